/*
 * The memory backend, beyond what the conformance checks show: batches when memory runs out,
 * many snapshots at once, what is allocated and given back, and its limit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"

/* ---------------------------------------------- allocations, through the linker's --wrap */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static size_t allocations;      /* since it was set to 0 */
static int64_t fail_after = -1; /* so many more succeed, then one fails; -1: none fails */
static bool fails_for_good;     /* all fail from then on */
static bool has_failed;         /* one did */

static bool may_allocate(void)
{
    allocations++;
    if (fail_after < 0)
        return true;
    if (fail_after > 0) {
        fail_after--;
        return true;
    }
    if (!fails_for_good)
        fail_after = -1;
    has_failed = true;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
    return may_allocate() ? __real_realloc(old, size) : NULL;
}

/* --------------------------------------------------------------------- helpers */

typedef struct memory {
    weir__database *database;
    const weir_backend *backend;
    weir_backend_db *db;
    weir_backend_cf *cf;
} memory;

static memory memory_open(const weir_option *options)
{
    memory m = {.database = fixture_open("memory", "", options)};
    m.backend = weir__database_backend(m.database);
    m.db = weir__database_handle(m.database);
    assert_int_equal(m.backend->cf_open(m.db, WEIR_BACKEND_DEFAULT_CF, true, &m.cf, NULL), WEIR_OK);
    return m;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x7fb5d329728ea185);
    x = (x ^ (x >> 27)) * UINT64_C(0x81dadef4bc2dd44d);
    return x ^ (x >> 33);
}

/* A hash of all items in order, which two equal states share. *count [out]. */
static uint64_t digest(const memory *m, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                       bool reverse, size_t *count)
{
    weir_backend_iter_args args = {
        .struct_size = sizeof args, .reverse = reverse, .snapshot = snapshot};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    uint64_t sum = 0;
    *count = 0;
    assert_int_equal(m->backend->iter_open(m->db, cf, &args, &iter, NULL), WEIR_OK);
    while (m->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
        uint64_t item = key.size * 31 + value.size;
        for (size_t i = 0; i < key.size; i++)
            item = mix(item + ((const uint8_t *)key.data)[i]);
        for (size_t i = 0; i < value.size; i++)
            item = mix(item + ((const uint8_t *)value.data)[i]);
        sum += item;
        ++*count;
    }
    m->backend->iter_close(iter);
    return sum;
}

static uint64_t state_of(const memory *m, weir_backend_snapshot *snapshot)
{
    size_t forward;
    size_t backward;
    uint64_t sum = digest(m, m->cf, snapshot, false, &forward);
    assert_int_equal(digest(m, m->cf, snapshot, true, &backward), sum);
    assert_int_equal(forward, backward);
    return sum;
}

typedef struct batch {
    weir_backend_op ops[512];
    char keys[512][24];
    char values[512][24];
    size_t count;
} batch;

static void add_change(batch *b, weir_backend_cf *cf, uint64_t key, bool is_put, uint64_t value)
{
    size_t i = b->count++;
    int key_size = snprintf(b->keys[i], sizeof b->keys[i], "key-%08" PRIu64, key);
    int value_size = snprintf(b->values[i], sizeof b->values[i], "%" PRIu64, value);
    b->ops[i] = (weir_backend_op){
        .kind = is_put ? WEIR_OP_PUT : WEIR_OP_DELETE,
        .cf = cf,
        .key = weir_slice_of(b->keys[i], (size_t)key_size),
        .value = weir_slice_of(b->values[i], (size_t)value_size),
    };
}

/* `count` changes among `range` keys; `deletes` of 10 delete. */
static void draw_batch(batch *b, weir_backend_cf *cf, uint64_t seed, size_t count, uint64_t range,
                       uint64_t deletes)
{
    b->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t drawn = mix(seed * 1000003 + i);
        add_change(b, cf, drawn % range, mix(drawn) % 10 >= deletes, drawn);
    }
}

static weir_status write_batch(const memory *m, const batch *b)
{
    return m->backend->write(m->db, b->ops, b->count, 0, NULL);
}

typedef struct wanted_figure {
    const char *name;
    uint64_t value;
} wanted_figure;

static void find_figure(const char *name, uint64_t value, void *arg)
{
    wanted_figure *wanted = arg;
    if (strcmp(name, wanted->name) == 0)
        wanted->value = value;
}

static uint64_t figure(const memory *m, const char *name)
{
    wanted_figure wanted = {name, UINT64_MAX};
    assert_int_equal(m->backend->stats(m->db, find_figure, &wanted, NULL), WEIR_OK);
    return wanted.value;
}

static batch drawn;

/* ------------------------------------------------------------- memory runs out */

/* Lets each allocation of a batch fail in turn: after each failure all must be as before. */
static size_t fail_each_allocation(const memory *m, const batch *b, bool for_good)
{
    fails_for_good = for_good;
    uint64_t before = state_of(m, NULL);
    uint64_t bytes = figure(m, "bytes.data");
    size_t failures = 0;
    for (;; failures++) {
        fail_after = (int64_t)failures;
        has_failed = false;
        weir_status status = write_batch(m, b);
        fail_after = -1;
        if (!has_failed) {
            assert_int_equal(status, WEIR_OK);
            return failures;
        }
        /* A failure is got over where the memory was only to save other memory. */
        if (status == WEIR_OK) {
            before = state_of(m, NULL);
            bytes = figure(m, "bytes.data");
            continue;
        }
        assert_int_equal(status, WEIR_NO_MEMORY);
        assert_true(state_of(m, NULL) == before);
        assert_int_equal(figure(m, "bytes.data"), bytes);
    }
}

static void test_batch_is_undone_wherever_memory_runs_out(void **state)
{
    (void)state;
    for (int with_snapshot = 0; with_snapshot <= 1; with_snapshot++) {
        memory m = memory_open(NULL);
        size_t failures = 0;
        for (uint64_t seed = 0; seed < 12; seed++) {
            weir_backend_snapshot *snapshot = NULL;
            uint64_t kept = 0;
            draw_batch(&drawn, m.cf, seed + 100, 300, 3000, seed % 3 == 2 ? 9 : 2);
            assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
            if (with_snapshot != 0) {
                assert_int_equal(m.backend->snapshot_open(m.db, &snapshot, NULL), WEIR_OK);
                kept = state_of(&m, snapshot);
            }
            draw_batch(&drawn, m.cf, seed, 60, 3000, seed % 2 == 0 ? 3 : 9);
            failures += fail_each_allocation(&m, &drawn, seed % 4 == 1);
            if (with_snapshot != 0) {
                assert_true(state_of(&m, snapshot) == kept);
                m.backend->snapshot_close(m.db, snapshot);
            }
        }
        assert_true(failures > 100);
        fixture_close(m.database);
    }
}

static void test_every_family_of_a_batch_is_undone(void **state)
{
    (void)state;
    memory m = memory_open(NULL);
    weir_backend_cf *other;
    size_t count;
    assert_int_equal(m.backend->cf_open(m.db, "other", true, &other, NULL), WEIR_OK);
    drawn.count = 0;
    add_change(&drawn, m.cf, 1, true, 1);
    add_change(&drawn, other, 2, true, 2);
    assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
    uint64_t first = digest(&m, m.cf, NULL, false, &count);
    uint64_t second = digest(&m, other, NULL, false, &count);
    drawn.count = 0;
    add_change(&drawn, m.cf, 1, false, 0);
    add_change(&drawn, other, 2, true, 3);
    add_change(&drawn, m.cf, 5, true, 5);
    add_change(&drawn, other, 6, true, 6);
    fails_for_good = true;
    int64_t failures = 0;
    for (;; failures++) {
        fail_after = failures;
        weir_status status = write_batch(&m, &drawn);
        fail_after = -1;
        if (status == WEIR_OK)
            break;
        assert_int_equal(status, WEIR_NO_MEMORY);
        assert_true(digest(&m, m.cf, NULL, false, &count) == first);
        assert_true(digest(&m, other, NULL, false, &count) == second);
    }
    fails_for_good = false;
    assert_true(failures >= 2);
    assert_false(digest(&m, other, NULL, false, &count) == second);
    fixture_close(m.database);
}

/* ------------------------------------------------------------------- snapshots */

static void test_many_snapshots_each_keep_their_own_state(void **state)
{
    (void)state;
    enum { SLOTS = 16 };
    memory m = memory_open(NULL);
    weir_backend_snapshot *snapshots[SLOTS] = {NULL};
    uint64_t kept[SLOTS] = {0};
    for (uint64_t step = 0; step < 400; step++) {
        draw_batch(&drawn, m.cf, step, 50, 1500, step / 100 % 2 == 0 ? 2 : 8);
        assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
        size_t slot = mix(step) % SLOTS;
        if (snapshots[slot] != NULL) {
            assert_true(state_of(&m, snapshots[slot]) == kept[slot]);
            m.backend->snapshot_close(m.db, snapshots[slot]);
            snapshots[slot] = NULL;
        } else {
            assert_int_equal(m.backend->snapshot_open(m.db, &snapshots[slot], NULL), WEIR_OK);
            kept[slot] = state_of(&m, NULL);
        }
    }
    for (size_t slot = 0; slot < SLOTS; slot++) {
        if (snapshots[slot] == NULL)
            continue;
        assert_true(state_of(&m, snapshots[slot]) == kept[slot]);
        m.backend->snapshot_close(m.db, snapshots[slot]);
    }
    fixture_close(m.database);
}

static void test_snapshot_keeps_a_family_that_is_dropped(void **state)
{
    (void)state;
    memory m = memory_open(NULL);
    weir_backend_cf *cf;
    weir_backend_snapshot *snapshot;
    assert_int_equal(m.backend->cf_open(m.db, "brief", true, &cf, NULL), WEIR_OK);
    draw_batch(&drawn, cf, 1, 300, 3000, 0);
    assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
    assert_int_equal(m.backend->snapshot_open(m.db, &snapshot, NULL), WEIR_OK);
    uint64_t with = figure(&m, "bytes.memory");
    assert_int_equal(m.backend->cf_drop(m.db, "brief", NULL), WEIR_OK);
    assert_true(figure(&m, "bytes.memory") >= with);
    m.backend->snapshot_close(m.db, snapshot);
    assert_true(figure(&m, "bytes.memory") < with);
    fixture_close(m.database);
}

/* ------------------------------------------------------- what is allocated, and when */

static void fill(const memory *m, uint64_t count)
{
    for (uint64_t next = 0; next < count;) {
        drawn.count = 0;
        while (drawn.count < 500 && next < count) {
            /* Half in order, half not. */
            uint64_t key = next % 2 == 0 ? next : (next * 7919) % count | 1;
            add_change(&drawn, m->cf, key, true, next);
            next++;
        }
        assert_int_equal(write_batch(m, &drawn), WEIR_OK);
    }
}

static void test_snapshot_and_reads_cost_the_same_however_much_there_is(void **state)
{
    (void)state;
    memory m = memory_open(NULL);
    weir_backend_snapshot *snapshot;
    weir_backend_value value;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice item;
    fill(&m, 60000);
    allocations = 0;
    assert_int_equal(m.backend->snapshot_open(m.db, &snapshot, NULL), WEIR_OK);
    assert_int_equal(allocations, 1);
    m.backend->snapshot_close(m.db, snapshot);
    assert_int_equal(m.backend->iter_open(m.db, m.cf, &args, &iter, NULL), WEIR_OK);
    m.backend->iter_close(iter);
    allocations = 0;
    for (int round = 0; round < 100; round++) {
        assert_int_equal(
            m.backend->get(m.db, m.cf, NULL, weir_slice_str("key-00000042"), &value, NULL),
            WEIR_OK);
        m.backend->value_release(m.db, &value);
        assert_int_equal(m.backend->iter_open(m.db, m.cf, &args, &iter, NULL), WEIR_OK);
        assert_int_equal(m.backend->iter_next(iter, &key, &item, NULL), WEIR_OK);
        m.backend->iter_close(iter);
    }
    assert_int_equal(allocations, 0);
    fixture_close(m.database);
}

static void test_changes_of_values_allocate_nothing_once_warm(void **state)
{
    (void)state;
    memory m = memory_open(NULL);
    fill(&m, 20000);
    for (uint64_t round = 0; round < 3; round++) {
        draw_batch(&drawn, m.cf, 7, 500, 20000, 0);
        allocations = 0;
        assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
    }
    assert_int_equal(allocations, 0);
    /* With a snapshot open, each value is copied once, and the copy is changed from then on. */
    weir_backend_snapshot *snapshot;
    assert_int_equal(m.backend->snapshot_open(m.db, &snapshot, NULL), WEIR_OK);
    assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
    assert_true(allocations >= 400);
    allocations = 0;
    assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
    assert_int_equal(allocations, 0);
    m.backend->snapshot_close(m.db, snapshot);
    fixture_close(m.database);
}

static void test_what_is_deleted_is_given_back(void **state)
{
    (void)state;
    const uint64_t count = 60000;
    memory m = memory_open(NULL);
    size_t left;
    fill(&m, count);
    digest(&m, m.cf, NULL, false, &left);
    assert_int_equal(figure(&m, "keys.estimated"), left);
    uint64_t full = figure(&m, "bytes.memory");
    /* In an order that leaves few keys in each node for a long time. */
    for (uint64_t next = 0; next < count;) {
        drawn.count = 0;
        while (drawn.count < 500 && next < count)
            add_change(&drawn, m.cf, next++ * 7919 % count, false, 0);
        assert_int_equal(write_batch(&m, &drawn), WEIR_OK);
        if (next == count * 9 / 10) {
            digest(&m, m.cf, NULL, true, &left);
            assert_int_equal(figure(&m, "keys.estimated"), left);
            assert_true(figure(&m, "bytes.memory") < full / 2);
        }
    }
    assert_int_equal(figure(&m, "keys.estimated"), 0);
    assert_int_equal(figure(&m, "bytes.data"), 0);
    digest(&m, m.cf, NULL, false, &left);
    assert_int_equal(left, 0);
    assert_in_range(figure(&m, "bytes.memory"), 0, 200 * 1024);
    fixture_close(m.database);
}

/* ----------------------------------------------------------------- limit and rights */

static void test_limit_of_bytes_refuses_batches_wholly_but_no_deletions(void **state)
{
    (void)state;
    static const weir_option limited[] = {{"max_bytes", "1k"}, {NULL, NULL}};
    memory m = memory_open(limited);
    weir_error err;
    char large[600];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_int_equal(fixture_put(m.database, "a", large, &err), WEIR_OK);
    uint64_t before = state_of(&m, NULL);
    assert_int_equal(fixture_put(m.database, "b", large, &err), WEIR_NO_SPACE);
    assert_tells(&err, "max_bytes");
    assert_tells(&err, "backend=memory");
    assert_true(state_of(&m, NULL) == before);
    assert_int_equal(fixture_put(m.database, "a", large, &err), WEIR_OK);
    assert_int_equal(fixture_put(m.database, "a", NULL, &err), WEIR_OK);
    assert_int_equal(fixture_put(m.database, "b", large, &err), WEIR_OK);
    fixture_close(m.database);
}

static void test_read_only_refuses_every_change(void **state)
{
    (void)state;
    weir__database_config config = fixture_config("memory", "", NULL);
    weir__database *database;
    weir_backend_cf *cf;
    weir_error err;
    config.read_only = true;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(fixture_put(database, "a", "1", &err), WEIR_UNSUPPORTED);
    assert_tells(&err, "read-only");
    assert_int_equal(backend->cf_open(db, "x", true, &cf, &err), WEIR_UNSUPPORTED);
    assert_int_equal(backend->cf_open(db, "x", false, &cf, &err), WEIR_NOT_FOUND);
    assert_int_equal(backend->cf_drop(db, "x", &err), WEIR_UNSUPPORTED);
    fixture_close(database);
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_NOT_FOUND);
}

static void test_changes_that_can_not_be_right_are_refused(void **state)
{
    (void)state;
    memory m = memory_open(NULL);
    weir_error err;
    char *long_key = malloc(65536);
    assert_non_null(long_key);
    memset(long_key, 'k', 65536);
    weir_backend_op op = {.kind = WEIR_OP_PUT, .cf = m.cf, .key = {long_key, 65536}};
    assert_int_equal(m.backend->write(m.db, &op, 1, 0, &err), WEIR_TOO_LARGE);
    op.key.size = 65535;
    assert_int_equal(m.backend->write(m.db, &op, 1, 0, &err), WEIR_OK);
    op.value.size = (size_t)1 << 31;
    assert_int_equal(m.backend->write(m.db, &op, 1, 0, &err), WEIR_TOO_LARGE);
    op.value.size = 0;
    op.kind = 7;
    assert_int_equal(m.backend->write(m.db, &op, 1, 0, &err), WEIR_INVALID);
    op.kind = WEIR_OP_PUT;
    op.cf = NULL;
    assert_int_equal(m.backend->write(m.db, &op, 1, 0, &err), WEIR_INVALID);
    free(long_key);
    fixture_close(m.database);
}

int main(void)
{
    weir_log_set_level(WEIR_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_is_undone_wherever_memory_runs_out),
        cmocka_unit_test(test_every_family_of_a_batch_is_undone),
        cmocka_unit_test(test_many_snapshots_each_keep_their_own_state),
        cmocka_unit_test(test_snapshot_keeps_a_family_that_is_dropped),
        cmocka_unit_test(test_snapshot_and_reads_cost_the_same_however_much_there_is),
        cmocka_unit_test(test_changes_of_values_allocate_nothing_once_warm),
        cmocka_unit_test(test_what_is_deleted_is_given_back),
        cmocka_unit_test(test_limit_of_bytes_refuses_batches_wholly_but_no_deletions),
        cmocka_unit_test(test_read_only_refuses_every_change),
        cmocka_unit_test(test_changes_that_can_not_be_right_are_refused),
    };
    return cmocka_run_group_tests_name("memory backend", tests, NULL, NULL);
}
