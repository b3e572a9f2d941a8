/*
 * See support_conformance.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/plugins.h"
#include "support/s3.h"

typedef struct subject {
    const char *name;
    const char *backend;
    const weir_option *options;
    bool is_remote; /* on object storage */
} subject;

static const weir_option wal_off[] = {{"wal", "off"}, {NULL, NULL}};

static subject subjects[] = {
    {"memory", "memory", NULL, false},
    {"rocksdb", "rocksdb", NULL, false},
    {"rocksdb wal=off", "rocksdb", wal_off, false},
    {"trace:rocksdb", "trace:rocksdb", NULL, false},
    {"fault:memory", "fault:memory", NULL, false},
    {"fault:trace:rocksdb", "fault:trace:rocksdb", NULL, false},
    {"lmdb", "lmdb", NULL, false},
    {"slatedb", "slatedb", NULL, false},
    {"slatedb on s3", "slatedb", NULL, true},
};

const weir_slice no_prefix = {NULL, 0};

weir_slice bytes(const char *text)
{
    return weir_slice_str(text);
}

static int setup(void **state)
{
    const subject *s = *state;
    harness *h = calloc(1, sizeof(*h));
    test_log_capture();
    harness_init(h, s->backend, s->options);
    if (s->is_remote) {
        static int number;
        char name[32];
        snprintf(name, sizeof(name), "conformance/%d", number++);
        h->location = strdup(s3_location(name));
    }
    harness_open(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness *h = *state;
    harness_release(h);
    free(h);
    test_log_release();
    return 0;
}

void set(weir_txn *txn, weir_slice key, weir_slice value)
{
    weir_error err;
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, no_prefix, key, value, &err), err);
}

void set_text(weir_txn *txn, const char *key, const char *value)
{
    set(txn, bytes(key), bytes(value));
}

void delete_text(weir_txn *txn, const char *key)
{
    weir_error err;
    assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, no_prefix, bytes(key), &err), err);
}

void restart(harness *h)
{
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
}

/* A server for object storage is started when it is needed. */
static bool is_possible(const subject *s, bool *has_server)
{
    if (strcmp(s->backend, "slatedb") == 0 || strcmp(s->backend, "lmdb") == 0)
        if (!test_plugin_is_built(s->backend))
            return false;
    return !s->is_remote || (*has_server = s3_start() == 0);
}

int conformance_run(const conformance_case *cases, size_t count)
{
    int failed = 0;
    bool has_server = false;
    struct CMUnitTest *tests = calloc(count, sizeof(*tests));
    assert_non_null(tests);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (!is_possible(&subjects[i], &has_server))
            continue;
        for (size_t j = 0; j < count; j++) {
            struct CMUnitTest test = {cases[j].name, cases[j].run, setup, teardown, &subjects[i]};
            memcpy(&tests[j], &test, sizeof(test));
        }
        failed += _cmocka_run_group_tests(subjects[i].name, tests, count, NULL, NULL);
    }
    free(tests);
    if (has_server)
        s3_stop();
    return failed;
}
