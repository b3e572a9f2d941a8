/*
 * Random operations against a model that is too simple to be wrong: an array of keys in
 * order, with a value or none for what is committed and for what the transaction sees.
 * A run prints its seed; WEIR_SEED=… repeats that one alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/support_harness.h"
#include "state/support_model.h"

#define OPERATIONS 100000
#define FAMILIES   3
#define KEYS       250
#define KEY_MAX    1200
#define VALUE_MAX  3000

static const char *const family_names[FAMILIES] = {"default", "second", "__third__"};

/* The bytes of a value follow from its number. */
typedef struct value {
    uint64_t number; /* 0: absent */
    size_t size;
} value;

typedef struct key {
    uint8_t bytes[KEY_MAX];
    size_t size;
} key;

typedef struct model {
    harness h;
    test_random random;
    key keys[KEYS]; /* in order, all different */
    value committed[FAMILIES][KEYS];
    value current[FAMILIES][KEYS]; /* as the transaction sees it */
    bool changed[FAMILIES][KEYS];  /* in the transaction */
    weir_cf families[FAMILIES];
    weir_txn *txn;
    uint64_t last_number;
    int64_t source; /* the next source record */
    size_t operation;
    int reopen_per_million;
    uint8_t scratch[VALUE_MAX + 8];
} model;

static uint32_t below(model *m, uint32_t bound)
{
    return test_random_below(&m->random, bound);
}

static weir_slice value_bytes(model *m, value v)
{
    test_random bytes = {.state = v.number};
    for (size_t i = 0; i < v.size; i += sizeof(uint64_t)) {
        uint64_t eight = test_random_next(&bytes);
        memcpy(m->scratch + i, &eight, sizeof(eight));
    }
    return weir_slice_of(m->scratch, v.size);
}

static weir_slice key_slice(const key *k)
{
    return weir_slice_of(k->bytes, k->size);
}

static value random_value(model *m)
{
    value v = {.number = ++m->last_number};
    uint32_t kind = below(m, 100);
    v.size = kind < 5 ? 0 : kind < 98 ? below(m, 40) : below(m, VALUE_MAX);
    return v;
}

/* --- Keys --- */

static void random_key(model *m, key *k)
{
    static const uint8_t alphabet[] = {0x00, 0x01, '"', 'a', 'b', '|', '|', 0xfe, 0xff};
    k->size = below(m, 20) == 0 ? below(m, KEY_MAX) : below(m, 7);
    for (size_t i = 0; i < k->size; i++)
        k->bytes[i] = alphabet[below(m, sizeof(alphabet))];
}

static int compare_keys(const void *a, const void *b)
{
    return weir_slice_compare(key_slice(a), key_slice(b));
}

static void make_keys(model *m)
{
    size_t count = 1; /* the first is the empty key */
    while (count < KEYS) {
        random_key(m, &m->keys[count]);
        bool is_new = true;
        for (size_t i = 0; i < count && is_new; i++)
            is_new = compare_keys(&m->keys[i], &m->keys[count]) != 0;
        count += is_new;
    }
    qsort(m->keys, KEYS, sizeof(m->keys[0]), compare_keys);
}

/* A key with '|' inside may as well come as prefix and key. */
static void split_key(model *m, const key *k, weir_slice *prefix, weir_slice *rest)
{
    *prefix = weir_slice_of(NULL, 0);
    *rest = key_slice(k);
    if (k->size < 2 || below(m, 2) == 0)
        return;
    const uint8_t *bar = memchr(k->bytes + 1, '|', k->size - 1);
    if (bar == NULL)
        return;
    *prefix = weir_slice_of(k->bytes, (size_t)(bar - k->bytes));
    *rest = weir_slice_of(bar + 1, k->size - prefix->size - 1);
}

/* --- Comparing --- */

static void wrong(model *m, const char *what)
{
    fail_msg("operation %zu: %s", m->operation, what);
}

static void assert_value(model *m, weir_status status, weir_slice found, value expected,
                         const weir_error *err)
{
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        fail_msg("operation %zu: %s", m->operation, err->message);
    if ((status == WEIR_OK) != (expected.number != 0))
        wrong(m, status == WEIR_OK ? "a key is there that should not be" : "a key is missing");
    if (status == WEIR_OK && !weir_slice_equal(found, value_bytes(m, expected)))
        wrong(m, "a key has another value");
}

static size_t first_at_or_after(const model *m, weir_slice bound)
{
    size_t i = 0;
    while (i < KEYS && weir_slice_compare(key_slice(&m->keys[i]), bound) < 0)
        i++;
    return i;
}

/* Reads up to `limit` items; all of them have to be the model's. A change in the middle of
 * it must not show. */
static void change_one(model *m);

static void check_iteration(model *m, uint32_t family, const weir_iter_options *options,
                            size_t limit, bool with_changes)
{
    static value snapshot[KEYS];
    memcpy(snapshot, m->current[family], sizeof(snapshot));
    size_t from = options->has_lower ? first_at_or_after(m, options->lower) : 0;
    size_t to = options->has_upper ? first_at_or_after(m, options->upper) : KEYS;
    weir_error err;
    weir_iter *iter;
    assert_ok(weir_txn_iter_open(m->txn, m->families[family], options, &iter, &err), err);
    for (size_t step = 0; from < to && limit > 0; step++) {
        size_t i = options->reverse ? --to : from++;
        if (snapshot[i].number == 0)
            continue;
        weir_slice k;
        weir_slice v;
        weir_status status = weir_iter_next(iter, &k, &v, &err);
        assert_value(m, status, v, snapshot[i], &err);
        if (!weir_slice_equal(k, key_slice(&m->keys[i])))
            wrong(m, "an iterator gives another key");
        limit--;
        if (with_changes && step % 4 == 0)
            change_one(m);
    }
    if (limit > 0) {
        weir_slice k;
        weir_slice v;
        if (weir_iter_next(iter, &k, &v, &err) != WEIR_NOT_FOUND)
            wrong(m, "an iterator does not end");
        if (weir_iter_next(iter, &k, &v, &err) != WEIR_NOT_FOUND)
            wrong(m, "an iterator goes on after its end");
    }
    weir_iter_close(iter);
}

static void check_everything(model *m)
{
    weir_iter_options all = {.struct_size = sizeof(all)};
    for (uint32_t family = 0; family < FAMILIES; family++) {
        check_iteration(m, family, &all, KEYS + 1, false);
        all.reverse = !all.reverse;
    }
}

/* --- Operations --- */

static void begin(model *m)
{
    m->txn = harness_begin(&m->h);
    memcpy(m->current, m->committed, sizeof(m->current));
    memset(m->changed, 0, sizeof(m->changed));
}

static void open_families(model *m)
{
    weir_error err;
    for (int i = 0; i < FAMILIES; i++)
        assert_ok(weir_partition_cf(m->h.partition, family_names[i], &m->families[i], &err), err);
}

static void write_one(model *m, uint32_t family, size_t i, value v)
{
    weir_error err;
    weir_slice prefix;
    weir_slice rest;
    split_key(m, &m->keys[i], &prefix, &rest);
    if (v.number == 0)
        assert_ok(weir_txn_delete(m->txn, m->families[family], prefix, rest, &err), err);
    else
        assert_ok(weir_txn_set(m->txn, m->families[family], prefix, rest, value_bytes(m, v), &err),
                  err);
    m->current[family][i] = v;
    m->changed[family][i] = true;
}

static void change_one(model *m)
{
    uint32_t family = below(m, FAMILIES);
    value v = {0, 0};
    if (below(m, 4) > 0)
        v = random_value(m);
    write_one(m, family, below(m, KEYS), v);
}

static void read_one(model *m)
{
    weir_error err;
    weir_slice prefix;
    weir_slice rest;
    weir_slice found;
    uint32_t family = below(m, FAMILIES);
    uint32_t i = below(m, KEYS);
    split_key(m, &m->keys[i], &prefix, &rest);
    weir_status status = weir_txn_get(m->txn, m->families[family], prefix, rest, &found, &err);
    assert_value(m, status, found, m->current[family][i], &err);
    bool exists;
    assert_ok(weir_txn_exists(m->txn, m->families[family], prefix, rest, &exists, &err), err);
    if (exists != (m->current[family][i].number != 0))
        wrong(m, "exists and get disagree");
}

static void iterate(model *m)
{
    key bounds[2];
    weir_iter_options options = {.struct_size = sizeof(options)};
    for (int i = 0; i < 2; i++) {
        bounds[i] = m->keys[below(m, KEYS)];
        if (below(m, 2) == 0)
            random_key(m, &bounds[i]);
    }
    options.has_lower = below(m, 4) > 0;
    options.has_upper = below(m, 4) > 0;
    options.lower = key_slice(&bounds[0]);
    options.upper = key_slice(&bounds[1]);
    options.reverse = below(m, 2) == 0;
    size_t limit = below(m, 3) == 0 ? below(m, 10) : KEYS + 1;
    check_iteration(m, below(m, FAMILIES), &options, limit, below(m, 4) == 0);
}

static void commit(model *m)
{
    m->source += 1 + below(m, 50);
    harness_commit(&m->h, m->txn, m->source - 1);
    memcpy(m->committed, m->current, sizeof(m->committed));
    begin(m);
}

static void give_up(model *m)
{
    weir_error err;
    if (below(m, 2) == 0) {
        weir_txn_fail(m->txn);
        assert_int_equal(weir_txn_set(m->txn, m->families[0], weir_slice_of(NULL, 0),
                                      weir_slice_str("x"), weir_slice_str("y"), &err),
                         WEIR_TXN_FAILED);
        assert_int_equal(harness_try_commit(&m->h, m->txn, m->source, &err), WEIR_TXN_FAILED);
    } else {
        weir_txn_free(m->txn);
    }
    begin(m);
}

/* What a restart does: a new process, and recovery up to the committed source offset. */
static void restart(model *m)
{
    harness_close(&m->h);
    m->h.knobs.max_per_read = below(m, 3) == 0 ? 0 : 1 + below(m, 500);
    harness_open(&m->h);
    open_families(m);
    harness_recover(&m->h, m->source);
    begin(m);
    check_everything(m);
}

/* Processing is deterministic: the source records that come again make the same changes. */
static void process_again(model *m, value changes[FAMILIES][KEYS], bool is_changed[FAMILIES][KEYS],
                          int64_t processed)
{
    for (uint32_t family = 0; family < FAMILIES; family++) {
        for (size_t i = 0; i < KEYS; i++) {
            if (is_changed[family][i])
                write_one(m, family, i, changes[family][i]);
        }
    }
    m->source = processed + 1;
    harness_commit(&m->h, m->txn, processed);
    memcpy(m->committed, m->current, sizeof(m->committed));
    begin(m);
}

/* The process dies after the changelog is written and before the state is: in between,
 * the offsets were committed, or not. */
static void die_before_flush(model *m, bool offsets_committed, bool changelog_fails)
{
    static value changes[FAMILIES][KEYS];
    static bool is_changed[FAMILIES][KEYS];
    memcpy(changes, m->current, sizeof(changes));
    memcpy(is_changed, m->changed, sizeof(is_changed));
    size_t count = weir_txn_change_count(m->txn);
    weir_error err;
    int64_t processed = m->source + below(m, 50);
    weir_topic_offset offset = {.topic = TEST_STREAM, .offset = processed};
    if (changelog_fails && count > 0) {
        int64_t *fail_at = &m->h.knobs.fail_at[TEST_CHANGELOG_APPEND];
        *fail_at = m->h.knobs.calls[TEST_CHANGELOG_APPEND] + 1 + below(m, (uint32_t)count);
        m->h.knobs.status = WEIR_KAFKA;
        assert_int_equal(weir_txn_prepare(m->txn, &offset, 1, &err), WEIR_KAFKA);
        assert_int_equal(weir_txn_get_status(m->txn), WEIR_TXN_FAILED_STATUS);
        *fail_at = 0;
        offsets_committed = false;
    } else {
        assert_ok(weir_txn_prepare(m->txn, &offset, 1, &err), err);
    }
    weir_txn_free(m->txn);
    if (offsets_committed) {
        memcpy(m->committed, m->current, sizeof(m->committed));
        m->source = processed + 1;
    }
    restart(m);
    if (!offsets_committed)
        process_again(m, changes, is_changed, processed);
}

/* Another partition, on another backend, recovers from the same changelog. */
static void recover_elsewhere(model *m)
{
    static harness other;
    harness_init(&other, strcmp(m->h.backend, "memory") == 0 ? "rocksdb" : "memory", NULL);
    weir_memory_topic_free(other.topic);
    other.topic = m->h.topic;
    other.cache_bytes = 0;
    other.knobs.max_per_read = below(m, 2) == 0 ? 0 : 1 + below(m, 1000);
    harness_open(&other);
    harness_recover(&other, m->source);
    char *found = harness_dump(&other);
    char *expected = harness_dump(&m->h);
    if (strcmp(found, expected) != 0)
        wrong(m, "another partition recovers to another state");
    free(found);
    free(expected);
    harness_close(&other);
    other.topic = NULL;
    harness_release(&other);
}

static void operate(model *m)
{
    uint32_t kind = below(m, 1000000);
    uint32_t rare = (uint32_t)m->reopen_per_million;
    if (kind < rare)
        restart(m);
    else if (kind < 2 * rare)
        die_before_flush(m, below(m, 2) == 0, below(m, 3) == 0);
    else if (kind < 3 * rare)
        recover_elsewhere(m);
    else if (kind < 4 * rare)
        weir_memory_topic_compact(m->h.topic);
    else if (kind < 10000)
        check_everything(m);
    else if (kind < 40000)
        commit(m);
    else if (kind < 50000)
        give_up(m);
    else if (kind < 80000)
        iterate(m);
    else if (kind < 550000)
        change_one(m);
    else
        read_one(m);
}

static void run_model(const char *backend, uint64_t seed, size_t cache_bytes)
{
    /* A restart of SlateDB takes its time. */
    size_t operations = model_is_on_s3(backend)           ? MODEL_S3_OPERATIONS
                        : strcmp(backend, "slatedb") == 0 ? OPERATIONS / 5
                                                          : OPERATIONS;
    print_message("seed %" PRIu64 " on %s, cache of %zu bytes, %zu operations\n", seed, backend,
                  cache_bytes, operations);
    static model m;
    memset(&m, 0, sizeof(m));
    model_init(&m.h, backend);
    test_log_capture();
    m.random.state = seed;
    make_keys(&m);
    m.h.cache_bytes = cache_bytes;
    m.reopen_per_million = model_is_on_s3(backend)          ? 1500
                           : strcmp(backend, "memory") == 0 ? 400
                                                            : 100;
    harness_open(&m.h);
    open_families(&m);
    begin(&m);
    for (m.operation = 1; m.operation <= operations; m.operation++)
        operate(&m);
    commit(&m);
    restart(&m);
    recover_elsewhere(&m);
    weir_txn_free(m.txn);
    harness_release(&m.h);
    test_log_release();
}

/* The budget of the caches is one for the process and never shrinks: small ones first. */
static const size_t cache_sizes[] = {0, 100 << 10, 1 << 20, 64 << 20};

static void run_seeds(const char *backend, size_t cache)
{
    model_skip_unless_possible(backend);
    if (getenv("WEIR_SEED") != NULL)
        run_model(backend, test_seed(0), cache_sizes[cache]);
    else
        run_model(backend, 1 + cache, cache_sizes[cache]);
}

#define CACHE_TEST(backend, number)                                                                \
    static void test_##backend##_agrees_with_the_model_##number(void **state)                      \
    {                                                                                              \
        (void)state;                                                                               \
        run_seeds(#backend, number);                                                               \
    }

CACHE_TEST(memory, 0)
CACHE_TEST(rocksdb, 0)
CACHE_TEST(memory, 1)
CACHE_TEST(rocksdb, 1)
CACHE_TEST(memory, 2)
CACHE_TEST(rocksdb, 2)
CACHE_TEST(memory, 3)
CACHE_TEST(rocksdb, 3)

#define PLUGIN_TEST(place)                                                                         \
    static void test_##place##_agrees_with_the_model(void **state)                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run_seeds(#place, 1);                                                                      \
    }

PLUGIN_TEST(lmdb)
PLUGIN_TEST(slatedb)
PLUGIN_TEST(s3)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_agrees_with_the_model_0),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_0),
        cmocka_unit_test(test_memory_agrees_with_the_model_1),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_1),
        cmocka_unit_test(test_memory_agrees_with_the_model_2),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_2),
        cmocka_unit_test(test_memory_agrees_with_the_model_3),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_3),
        cmocka_unit_test(test_lmdb_agrees_with_the_model),
        cmocka_unit_test(test_slatedb_agrees_with_the_model),
        cmocka_unit_test(test_s3_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
