/*
 * What the counting job should have left behind: in its state folder, its output topic
 * and its changelog. And log lines, for tests that look at them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_job.h"

#include <cmocka.h>

#include "support/kafka.h"

static size_t count_state_keys(weir_partition *partition)
{
    weir_error err;
    weir_txn *txn;
    weir_iter *iter;
    weir_slice key;
    weir_slice value;
    size_t count = 0;
    assert_int_equal(weir_partition_begin(partition, &txn, &err), WEIR_OK);
    assert_int_equal(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, NULL, &iter, &err), WEIR_OK);
    while (weir_iter_next(iter, &key, &value, &err) == WEIR_OK)
        count++;
    weir_iter_close(iter);
    weir_txn_free(txn);
    return count;
}

static bool read_total(weir_partition *partition, const char *key, int64_t *n, int64_t *h)
{
    weir_error err;
    weir_txn *txn;
    assert_int_equal(weir_partition_begin(partition, &txn, &err), WEIR_OK);
    weir_state *state = weir_txn_state(txn, weir_slice_str(key));
    assert_int_equal(weir_state_get_int(state, "n", -1, n, &err), WEIR_OK);
    assert_int_equal(weir_state_get_int(state, "h", -1, h, &err), WEIR_OK);
    weir_txn_free(txn);
    return *n >= 0;
}

void job_verify_state(const char *state_dir, const char *group, const char *source,
                      const char *backend, int partitions, const job_total *totals, size_t count)
{
    weir_state_options options;
    weir_store_config store;
    weir_state_manager *manager;
    weir_error err;
    size_t keys = 0;
    weir_error_init(&err);
    weir_state_options_init(&options);
    options.state_dir = state_dir;
    options.group_id = group;
    options.state_backend = backend;
    if (weir_state_manager_new(&options, &manager, &err) != WEIR_OK)
        fail_msg("%s", err.message);
    weir_store_config_init(&store);
    store.stream_id = source;
    store.changelog = false;
    assert_int_equal(weir_state_manager_register(manager, &store, &err), WEIR_OK);
    for (int p = 0; p < partitions; p++) {
        if (weir_state_manager_assign(manager, source, p, &err) != WEIR_OK)
            fail_msg("%s", err.message);
        keys += count_state_keys(weir_state_manager_partition(manager, "default", source, p));
    }
    for (size_t i = 0; i < count; i++) {
        int64_t n = -1;
        int64_t h = -1;
        for (int p = 0; p < partitions && n < 0; p++)
            read_total(weir_state_manager_partition(manager, "default", source, p), totals[i].key,
                       &n, &h);
        if (n != totals[i].n || h != totals[i].h)
            fail_msg("state of %s: n=%lld h=%lld, should be n=%lld h=%lld", totals[i].key,
                     (long long)n, (long long)h, (long long)totals[i].n, (long long)totals[i].h);
    }
    assert_int_equal(keys, count * 2);
    weir_state_manager_free(manager);
}

/* The last value of each key of a topic. */
typedef struct fold {
    struct {
        char key[64];
        char value[64];
        bool is_tombstone;
    } * items;
    size_t count;
    size_t capacity;
} fold;

static void fold_add(fold *into, const kafka_record *record)
{
    size_t i = 0;
    assert_true(record->key_size < sizeof(into->items[i].key));
    assert_true(record->value_size < sizeof(into->items[i].value));
    while (i < into->count && strcmp(into->items[i].key, record->key) != 0)
        i++;
    if (i == into->capacity) {
        into->capacity = into->capacity ? into->capacity * 2 : 64;
        into->items = realloc(into->items, into->capacity * sizeof(*into->items));
        assert_non_null(into->items);
    }
    if (i == into->count) {
        snprintf(into->items[i].key, sizeof(into->items[i].key), "%s", record->key);
        into->count++;
    }
    into->items[i].is_tombstone = record->value == NULL;
    snprintf(into->items[i].value, sizeof(into->items[i].value), "%s",
             record->value ? record->value : "");
}

static fold fold_topic(const char *broker, const char *topic)
{
    fold folded = {NULL, 0, 0};
    kafka_records records = kafka_read_all(broker, topic);
    for (size_t i = 0; i < records.count; i++)
        fold_add(&folded, &records.items[i]);
    kafka_records_free(&records);
    return folded;
}

static void assert_folded(const fold *in, const char *what, const char *key, const char *expected)
{
    const char *found = "nothing";
    for (size_t i = 0; i < in->count; i++) {
        if (strcmp(in->items[i].key, key) == 0)
            found = in->items[i].is_tombstone ? "a tombstone" : in->items[i].value;
    }
    if (strcmp(found, expected) != 0)
        fail_msg("%s of %s: %s, should be %s", what, key, found, expected);
}

void job_verify_output(const char *broker, const char *output, const job_total *totals,
                       size_t count)
{
    fold folded = fold_topic(broker, output);
    for (size_t i = 0; i < count; i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "%lld %lld", (long long)totals[i].n,
                 (long long)totals[i].h);
        assert_folded(&folded, "output", totals[i].key, expected);
    }
    assert_int_equal(folded.count, count);
    free(folded.items);
}

void job_verify_changelog(const char *broker, const char *changelog, const job_total *totals,
                          size_t count)
{
    fold folded = fold_topic(broker, changelog);
    for (size_t i = 0; i < count; i++) {
        char key[64];
        char expected[32];
        snprintf(key, sizeof(key), "%s|\"n\"", totals[i].key);
        snprintf(expected, sizeof(expected), "%lld", (long long)totals[i].n);
        assert_folded(&folded, "changelog", key, expected);
        snprintf(key, sizeof(key), "%s|\"h\"", totals[i].key);
        snprintf(expected, sizeof(expected), "%lld", (long long)totals[i].h);
        assert_folded(&folded, "changelog", key, expected);
    }
    assert_int_equal(folded.count, count * 2);
    free(folded.items);
}

/* ---------------------------------------------------------------------------
 * Log lines
 * ------------------------------------------------------------------------- */

#define CAPTURE_SIZE (1u << 20)

static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;
static char *capture;
static size_t capture_size;
static weir_log_level level_before;

static void on_log(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)level, (void)arg;
    pthread_mutex_lock(&capture_lock);
    if (capture && capture_size < CAPTURE_SIZE)
        capture_size += (size_t)snprintf(capture + capture_size, CAPTURE_SIZE - capture_size,
                                         "%s: %s\n", event, message);
    pthread_mutex_unlock(&capture_lock);
}

void log_capture_start(void)
{
    pthread_mutex_lock(&capture_lock);
    free(capture);
    capture = calloc(1, CAPTURE_SIZE + 1);
    capture_size = 0;
    pthread_mutex_unlock(&capture_lock);
    /* Whatever WEIR_LOG says. */
    level_before = weir_log_get_level();
    weir_log_set_level(WEIR_LOG_INFO);
    weir_log_set(on_log, NULL);
}

bool log_captured(const char *event, const char *part)
{
    bool found = false;
    char start[128];
    size_t size = (size_t)snprintf(start, sizeof(start), "%s: ", event);
    pthread_mutex_lock(&capture_lock);
    for (const char *line = capture; line && *line && !found;) {
        const char *end = strchr(line, '\n');
        const char *at = strstr(line, part);
        found = strncmp(line, start, size) == 0 && at && (!end || at < end);
        line = end ? end + 1 : NULL;
    }
    pthread_mutex_unlock(&capture_lock);
    return found;
}

bool log_contains(const char *part)
{
    pthread_mutex_lock(&capture_lock);
    bool found = capture && strstr(capture, part) != NULL;
    pthread_mutex_unlock(&capture_lock);
    return found;
}

void log_capture_stop(void)
{
    weir_log_set(NULL, NULL);
    weir_log_set_level(level_before);
    pthread_mutex_lock(&capture_lock);
    free(capture);
    capture = NULL;
    pthread_mutex_unlock(&capture_lock);
}
