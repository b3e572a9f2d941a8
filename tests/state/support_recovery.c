/*
 * See support_recovery.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup_on(void **state, const char *backend)
{
    harness *h = calloc(1, sizeof(*h));
    harness_init(h, backend, NULL);
    *state = h;
    test_log_capture();
    return 0;
}

int recovery_setup_memory(void **state)
{
    return setup_on(state, "memory");
}

int recovery_setup_rocksdb(void **state)
{
    return setup_on(state, "rocksdb");
}

int recovery_teardown(void **state)
{
    harness *h = *state;
    harness_release(h);
    free(h);
    test_log_release();
    return 0;
}

void append_history(harness *h, int from, int count, int keys)
{
    for (int i = from; i < from + count; i++) {
        char key[32];
        char value[32];
        char processed[64];
        snprintf(key, sizeof(key), "key-%03d", i % keys);
        snprintf(value, sizeof(value), "value-%d", i);
        snprintf(processed, sizeof(processed), "{\"flights\":%d}", i / 10 * 10 + 9);
        harness_append(h, "default", key, i % 7 == 3 ? NULL : value, processed);
    }
}

char *expected_dump(harness *h)
{
    harness fresh;
    harness_init(&fresh, "memory", NULL);
    weir_memory_topic_free(fresh.topic);
    fresh.topic = h->topic;
    harness_open(&fresh);
    harness_recover(&fresh, WEIR_OFFSET_NONE);
    char *text = harness_dump(&fresh);
    harness_close(&fresh);
    fresh.topic = NULL;
    harness_release(&fresh);
    return text;
}

void assert_state(harness *h, const char *expected)
{
    char *text = harness_dump(h);
    assert_string_equal(text, expected);
    free(text);
}

void assert_not_needed(harness *h)
{
    weir_error err;
    bool needed = true;
    assert_ok(weir_partition_recovery_begin(h->partition, NULL, 0, &needed, &err), err);
    assert_false(needed);
}

weir_status begin(harness *h, bool *needed, weir_error *err)
{
    weir_error_init(err);
    return weir_partition_recovery_begin(h->partition, NULL, 0, needed, err);
}

void begin_needed(harness *h)
{
    weir_error err;
    bool needed;
    assert_ok(begin(h, &needed, &err), err);
    assert_true(needed);
}
