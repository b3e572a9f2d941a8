/*
 * Values that expire against a simple model: random sets, TTLs, deletes, times that go on and
 * back, transactions that fail, restarts and recoveries from nothing, in a store that holds
 * values when TTL begins. WEIR_SEED chooses other operations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_model.h"
#include "state/txn.h"

#define OPERATIONS 100000
#define KEYS       48
#define VALUE_MAX  24
#define START      INT64_C(1700000000000)
#define NEVER      INT64_MAX

typedef struct item {
    bool is_there;
    int64_t expiry;
    uint8_t value[VALUE_MAX];
    size_t size;
} item;

/* A change of the open transaction, to be made again after a crash: a stream comes again too. */
typedef struct change {
    uint32_t number;
    item to;
    int64_t ttl; /* NEVER: none */
    int64_t time;
} change;

typedef struct model {
    harness h;
    change changes[OPERATIONS];
    size_t change_count;
    test_random random;
    item committed[KEYS];
    item pending[KEYS];
    int64_t committed_clock;
    int64_t clock;
    weir_txn *txn;
    int64_t time; /* of the record at hand */
    int64_t processed;
    int operation;
    uint32_t rare; /* restarts of each way, in 100,000 operations */
    int raw_until; /* operations before the first TTL */
} model;

static uint32_t below(model *m, uint32_t bound)
{
    return test_random_below(&m->random, bound);
}

static weir_slice key_of(uint32_t number, char *text)
{
    return weir_slice_of(text, (size_t)snprintf(text, 16, "k%02u", number));
}

static void tell_time(model *m)
{
    weir_txn_set_event_time(m->txn, m->time);
    if (m->time > m->clock)
        m->clock = m->time;
}

static void begin(model *m)
{
    m->txn = harness_begin(&m->h);
    m->change_count = 0;
    memcpy(m->pending, m->committed, sizeof(m->pending));
    m->clock = m->committed_clock;
    /* A state that was rebuilt has no clock until it is told one. */
    weir_txn_set_event_time(m->txn, m->committed_clock);
    tell_time(m);
}

static void opened(model *m)
{
    m->h.partition->ttl.step_keys = 3;
    begin(m);
}

static bool is_visible(const model *m, const item *of)
{
    return of->is_there && of->expiry > m->clock;
}

static void random_value(model *m, item *of)
{
    static const uint8_t stamp[8] = {0, 0, 1, 0x8b, 0xcf, 0xe5, 0x70, 0};
    of->size = below(m, VALUE_MAX + 1);
    for (size_t i = 0; i < of->size; i++)
        of->value[i] = (uint8_t)below(m, 256);
    if (of->size >= 8 && below(m, 3) == 0)
        memcpy(of->value, stamp, 8);
    else if (of->size >= 8 && below(m, 3) == 0)
        memset(of->value, 0xff, 8);
}

static void make(model *m, const change *one)
{
    char text[16];
    weir_error err;
    const weir_slice none = {NULL, 0};
    weir_slice key = key_of(one->number, text);
    weir_slice value = weir_slice_of(one->to.value, one->to.size);
    if (!one->to.is_there)
        assert_ok(weir_txn_delete(m->txn, WEIR_CF_DEFAULT, none, key, &err), err);
    else if (one->ttl == NEVER)
        assert_ok(weir_txn_set(m->txn, WEIR_CF_DEFAULT, none, key, value, &err), err);
    else
        assert_ok(weir_txn_set_ttl(m->txn, none, key, value, one->ttl, &err), err);
    m->pending[one->number] = one->to;
}

static void change_one(model *m)
{
    change *one = &m->changes[m->change_count++];
    uint32_t kind = below(m, 10);
    *one = (change){.number = below(m, KEYS), .ttl = NEVER, .time = m->time};
    one->to.is_there = kind > 0;
    one->to.expiry = NEVER;
    random_value(m, &one->to);
    if (kind >= 5 && m->operation >= m->raw_until) {
        one->ttl = 1 + below(m, 3000);
        one->to.expiry = m->time + one->ttl;
    }
    make(m, one);
}

static void assert_same(const model *m, const item *of, weir_slice value)
{
    if (value.size != of->size || (of->size > 0 && memcmp(value.data, of->value, of->size) != 0))
        fail_msg("operation %d: another value", m->operation);
}

static void read_one(model *m)
{
    char text[16];
    weir_error err;
    weir_slice value;
    const weir_slice none = {NULL, 0};
    uint32_t number = below(m, KEYS);
    const item *of = &m->pending[number];
    weir_status status =
        weir_txn_get(m->txn, WEIR_CF_DEFAULT, none, key_of(number, text), &value, &err);
    if (status != (is_visible(m, of) ? WEIR_OK : WEIR_NOT_FOUND))
        fail_msg("operation %d: key %s is %s, at %" PRId64 ", its expiry %" PRId64, m->operation,
                 text, weir_status_name(status), m->clock, of->is_there ? of->expiry : -1);
    if (!status)
        assert_same(m, of, value);
}

static void iterate(model *m)
{
    weir_error err;
    weir_iter *iter;
    weir_slice key;
    weir_slice value;
    weir_iter_options options = {.struct_size = sizeof(options), .reverse = below(m, 2) == 0};
    assert_ok(weir_txn_iter_open(m->txn, WEIR_CF_DEFAULT, &options, &iter, &err), err);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t number = options.reverse ? KEYS - 1 - i : i;
        char text[16];
        if (!is_visible(m, &m->pending[number]))
            continue;
        assert_ok(weir_iter_next(iter, &key, &value, &err), err);
        if (!weir_slice_equal(key, key_of(number, text)))
            fail_msg("operation %d: %.*s and not %s", m->operation, (int)key.size,
                     (const char *)key.data, text);
        assert_same(m, &m->pending[number], value);
    }
    assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
    weir_iter_close(iter);
}

static void commit(model *m)
{
    bool changed = weir_txn_changed(m->txn);
    harness_commit(&m->h, m->txn, m->processed++);
    if (changed) {
        memcpy(m->committed, m->pending, sizeof(m->committed));
        m->committed_clock = m->clock;
    }
    begin(m);
}

static void give_up(model *m)
{
    weir_txn_free(m->txn);
    begin(m);
}

/* A crash with changes in the changelog that no commit followed. The records come again. */
static void die_prepared(model *m)
{
    weir_error err;
    weir_topic_offset offset = {.topic = TEST_STREAM, .offset = m->processed};
    size_t count = m->change_count;
    int64_t time = m->time;
    assert_ok(weir_txn_prepare(m->txn, &offset, 1, &err), err);
    weir_txn_free(m->txn);
    harness_reopen(&m->h);
    harness_recover(&m->h, m->processed);
    opened(m);
    for (size_t i = 0; i < count; i++) {
        m->time = m->changes[i].time;
        tell_time(m);
        make(m, &m->changes[i]);
    }
    m->time = time;
    tell_time(m);
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
    opened(m);
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
    else if (kind < 2000)
        commit(m);
    else if (kind < 2500)
        give_up(m);
    else if (kind < 4000)
        iterate(m);
    else if (kind < 50000)
        change_one(m);
    else
        read_one(m);
    if (below(m, 8) == 0) {
        m->time += (int64_t)below(m, 60) - 20;
        tell_time(m);
    }
}

static void run_model(const char *backend, uint64_t seed)
{
    static model m;
    const int operations = model_is_on_s3(backend) ? MODEL_S3_OPERATIONS : OPERATIONS;
    memset(&m, 0, sizeof(m));
    m.random.state = seed;
    m.rare = model_is_on_s3(backend) ? 200 : strcmp(backend, "memory") == 0 ? 20 : 6;
    m.raw_until = model_is_on_s3(backend) ? 200 : 2000;
    m.time = m.committed_clock = START;
    model_init(&m.h, backend);
    m.h.cache_bytes = seed % 2 == 0 ? 0 : 1 << 20;
    harness_open(&m.h);
    opened(&m);
    for (m.operation = 1; m.operation <= operations; m.operation++)
        operate(&m);
    assert_false(m.h.partition->ttl.is_partial);
    weir_txn_free(m.txn);
    harness_release(&m.h);
}

MODEL_TEST(memory, 2)
MODEL_TEST(rocksdb, 2)
MODEL_TEST(memory, 1)
MODEL_TEST(memory, 3)
MODEL_TEST(rocksdb, 1)
MODEL_TEST(lmdb, 5)
MODEL_TEST(slatedb, 5)
MODEL_TEST(s3, 5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_agrees_with_the_model_2),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_2),
        cmocka_unit_test(test_memory_agrees_with_the_model_1),
        cmocka_unit_test(test_memory_agrees_with_the_model_3),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_1),
        cmocka_unit_test(test_lmdb_agrees_with_the_model_5),
        cmocka_unit_test(test_slatedb_agrees_with_the_model_5),
        cmocka_unit_test(test_s3_agrees_with_the_model_5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
