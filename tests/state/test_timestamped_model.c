/*
 * Timestamped stores against a simple model: random sets, lookups, intervals and deletes of keys
 * that look like parts of others, transactions that fail or overlap, restarts and recoveries from
 * nothing. WEIR_SEED chooses other operations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_model.h"
#include "state/timestamped.h"

#define OPERATIONS 100000
#define KEYS       7
#define SPAN       4000 /* of timestamps that a test uses at a time */
#define ROWS_MAX   512

static const weir_slice keys[KEYS] = {
    {"", 0},     {"a", 1},   {"a|", 2}, {"a|\0\0\0\0\0\0\4\0", 10}, {"a|\0\0\0\0\0\0\4\0|", 11},
    {"\xff", 1}, {"hot", 3},
};

typedef struct row {
    int64_t timestamp;
    uint64_t order; /* in which it was set */
    uint32_t value;
} row;

typedef struct history {
    row rows[ROWS_MAX]; /* by timestamp, then by order */
    size_t count;
    int64_t minimum;
} history;

typedef struct change {
    uint32_t key;
    int64_t timestamp; /* −1: deletes an interval */
    int64_t start;
    int64_t end;
    uint32_t value;
} change;

typedef struct model {
    harness h;
    test_random random;
    history committed[KEYS];
    history pending[KEYS];
    change changes[OPERATIONS];
    size_t change_count;
    uint64_t order;
    weir_txn *txn;
    int64_t time;
    int64_t processed;
    int operation;
    uint32_t rare; /* restarts of each way, in 100,000 operations */
} model;

static uint32_t below(model *m, uint32_t bound)
{
    return test_random_below(&m->random, bound);
}

static void begin(model *m)
{
    m->txn = harness_begin(&m->h);
    memcpy(m->pending, m->committed, sizeof(m->pending));
    m->change_count = 0;
}

/* --- The model --- */

static void model_remove(history *of, size_t at, size_t count)
{
    memmove(&of->rows[at], &of->rows[at + count], (of->count - at - count) * sizeof(row));
    of->count -= count;
}

static size_t model_first(const history *of, int64_t timestamp)
{
    size_t at = 0;
    while (at < of->count && of->rows[at].timestamp < timestamp)
        at++;
    return at;
}

static void model_set(model *m, const change *one)
{
    history *of = &m->pending[one->key];
    row added = {.timestamp = one->timestamp, .order = m->order++, .value = one->value};
    if (one->timestamp < of->minimum)
        return;
    size_t at = model_first(of, one->timestamp + 1);
    if (!m->h.store.keep_duplicates && at > 0 && of->rows[at - 1].timestamp == one->timestamp) {
        of->rows[at - 1] = added;
    } else {
        assert_true(of->count < ROWS_MAX);
        memmove(&of->rows[at + 1], &of->rows[at], (of->count - at) * sizeof(row));
        of->rows[at] = added;
        of->count++;
    }
    int64_t minimum = one->timestamp - m->h.store.grace_ms;
    if (minimum > of->minimum)
        of->minimum = minimum;
    model_remove(of, 0, model_first(of, of->minimum));
}

/* --- Operations --- */

static weir_state *view_of(model *m, uint32_t key)
{
    weir_txn_expect(m->txn, keys[(key + 1) % KEYS]);
    return weir_txn_state(m->txn, keys[key]);
}

static weir_slice value_of(const uint32_t *value)
{
    return weir_slice_of(value, sizeof *value);
}

static void make(model *m, const change *one)
{
    weir_error err;
    if (one->timestamp >= 0) {
        assert_ok(
            weir_timestamped_set(view_of(m, one->key), one->timestamp, value_of(&one->value), &err),
            err);
        model_set(m, one);
        return;
    }
    size_t deleted;
    history *of = &m->pending[one->key];
    size_t from = model_first(of, one->start);
    size_t to = model_first(of, one->end);
    assert_ok(weir_timestamped_delete_interval(view_of(m, one->key), one->start, one->end, &deleted,
                                               &err),
              err);
    if (deleted != to - from)
        fail_msg("operation %d: %zu rows deleted, not %zu", m->operation, deleted, to - from);
    model_remove(of, from, to - from);
}

static int64_t some_time(model *m)
{
    int64_t timestamp = m->time + 50 - (int64_t)below(m, below(m, 8) == 0 ? SPAN : 200);
    return timestamp > 0 ? timestamp : 0;
}

static void change_one(model *m)
{
    change *one = &m->changes[m->change_count++];
    *one = (change){.key = below(m, KEYS), .timestamp = -1, .value = (uint32_t)m->operation};
    if (below(m, 40) > 0) {
        one->timestamp = some_time(m);
    } else {
        one->start = some_time(m);
        one->end = one->start + below(m, 300);
    }
    make(m, one);
}

static void look_up(model *m)
{
    weir_error err;
    weir_slice value;
    int64_t found;
    uint32_t key = below(m, KEYS);
    int64_t timestamp = some_time(m);
    const history *of = &m->pending[key];
    size_t at = model_first(of, timestamp + 1);
    weir_status status =
        weir_timestamped_get_latest(view_of(m, key), timestamp, &found, &value, &err);
    if (status != (at > 0 ? WEIR_OK : WEIR_NOT_FOUND))
        fail_msg("operation %d: key %u at %" PRId64 ": %s", m->operation, key, timestamp,
                 weir_status_name(status));
    if (at > 0 && (found != of->rows[at - 1].timestamp ||
                   !weir_slice_equal(value, value_of(&of->rows[at - 1].value))))
        fail_msg("operation %d: key %u at %" PRId64 ": that of %" PRId64 ", not of %" PRId64,
                 m->operation, key, timestamp, found, of->rows[at - 1].timestamp);
}

static void walk(model *m, uint32_t key, int64_t start, int64_t end, size_t limit)
{
    weir_error err;
    weir_interval *interval;
    weir_slice value;
    int64_t timestamp;
    const history *of = &m->pending[key];
    size_t from = model_first(of, start);
    size_t to = model_first(of, end);
    assert_ok(weir_timestamped_get_interval(view_of(m, key), start, end, limit, &interval, &err),
              err);
    for (size_t i = from; i < to && i - from < limit; i++) {
        assert_ok(weir_interval_next(interval, &timestamp, &value, &err), err);
        if (timestamp != of->rows[i].timestamp ||
            !weir_slice_equal(value, value_of(&of->rows[i].value)))
            fail_msg("operation %d: key %u, row %zu of %zu", m->operation, key, i - from,
                     to - from);
    }
    assert_int_equal(weir_interval_next(interval, &timestamp, &value, &err), WEIR_NOT_FOUND);
    weir_interval_close(interval);
}

static void commit(model *m)
{
    bool changed = weir_txn_changed(m->txn);
    harness_commit(&m->h, m->txn, m->processed++);
    if (changed)
        memcpy(m->committed, m->pending, sizeof(m->committed));
    begin(m);
}

static void give_up(model *m)
{
    weir_txn_free(m->txn);
    begin(m);
}

/* Another transaction is flushed while this one, with no changes so far, is open. */
static void overlap(model *m)
{
    commit(m);
    weir_txn *outer = m->txn;
    look_up(m);
    begin(m);
    for (uint32_t i = below(m, 5); i > 0; i--)
        change_one(m);
    commit(m);
    weir_txn_free(m->txn);
    m->txn = outer;
}

/* A crash with changes in the changelog that no commit followed. The records come again. */
static void die_prepared(model *m)
{
    weir_error err;
    weir_topic_offset offset = {.topic = TEST_STREAM, .offset = m->processed};
    size_t count = m->change_count;
    assert_ok(weir_txn_prepare(m->txn, &offset, 1, &err), err);
    weir_txn_free(m->txn);
    harness_reopen(&m->h);
    harness_recover(&m->h, m->processed);
    begin(m);
    for (size_t i = 0; i < count; i++)
        make(m, &m->changes[i]);
    commit(m);
}

static void recover(model *m, bool from_nothing)
{
    weir_txn_free(m->txn);
    harness_close(&m->h);
    if (from_nothing) {
        test_folder_remove(m->h.folder);
        m->h.folder = test_folder_new();
    }
    harness_open(&m->h);
    harness_recover(&m->h, m->processed);
    begin(m);
}

static void operate(model *m)
{
    uint32_t kind = below(m, 100000);
    if (kind < m->rare)
        recover(m, false);
    else if (kind < 2 * m->rare)
        die_prepared(m);
    else if (kind < 3 * m->rare)
        recover(m, true);
    else if (kind < 4 * m->rare)
        weir_memory_topic_compact(m->h.topic);
    else if (kind < 1500)
        commit(m);
    else if (kind < 1800)
        give_up(m);
    else if (kind < 2000)
        overlap(m);
    else if (kind < 4000)
        walk(m, below(m, KEYS), some_time(m), some_time(m), 1 + below(m, 20));
    else if (kind < 50000)
        change_one(m);
    else
        look_up(m);
    m->time += below(m, 3);
}

static void run_model(const char *backend, uint64_t seed)
{
    static model m;
    /* Reads of a range take long there. */
    int operations = model_is_on_s3(backend)           ? MODEL_S3_OPERATIONS
                     : strcmp(backend, "slatedb") == 0 ? OPERATIONS / 5
                                                       : OPERATIONS;
    memset(&m, 0, sizeof(m));
    m.random.state = seed;
    m.rare = model_is_on_s3(backend) ? 200 : strcmp(backend, "memory") == 0 ? 20 : 6;
    model_init(&m.h, backend);
    m.h.store.kind = WEIR_STORE_TIMESTAMPED;
    m.h.store.grace_ms = seed % 3 == 0 ? 150 : 2000;
    m.h.store.keep_duplicates = seed % 2 == 0;
    m.h.cache_bytes = seed % 4 == 0 ? 0 : 1 << 20;
    harness_open(&m.h);
    begin(&m);
    for (m.operation = 1; m.operation <= operations; m.operation++)
        operate(&m);
    commit(&m);
    recover(&m, true);
    for (uint32_t key = 0; key < KEYS; key++)
        walk(&m, key, 0, INT64_MAX, WEIR_INTERVAL_ALL);
    weir_txn_free(m.txn);
    harness_release(&m.h);
}

MODEL_TEST(memory, 4)
MODEL_TEST(memory, 1)
MODEL_TEST(memory, 2)
MODEL_TEST(rocksdb, 3)
MODEL_TEST(lmdb, 5)
MODEL_TEST(slatedb, 5)
MODEL_TEST(s3, 5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_agrees_with_the_model_4),
        cmocka_unit_test(test_memory_agrees_with_the_model_1),
        cmocka_unit_test(test_memory_agrees_with_the_model_2),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_3),
        cmocka_unit_test(test_lmdb_agrees_with_the_model_5),
        cmocka_unit_test(test_slatedb_agrees_with_the_model_5),
        cmocka_unit_test(test_s3_agrees_with_the_model_5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
