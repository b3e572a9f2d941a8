/*
 * No allocation per record on the hot path once warm: counts what this thread allocates
 * while it reads and writes cached keys, checkpoints included, but not inside the
 * backend's own write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/timestamped.h>
#include <weir/window.h>

#include "state/support_matrix.h"

enum { KEYS = 5000, RECORDS = 100000, CHECKPOINT = 10000 };

static _Thread_local bool is_counting;
static _Thread_local size_t allocations;

#ifdef __SANITIZE_ADDRESS__

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *data, size_t size)
{
    (void)data;
    (void)size;
    allocations += is_counting;
}

static void on_free(const volatile void *data)
{
    (void)data;
}

static void install(void)
{
    assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}

#else

/* The allocator of the C library under its second names; these take its place, in shared
 * libraries too. */
#define EXPORTED __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *data, size_t size);

EXPORTED void *malloc(size_t size)
{
    allocations += is_counting;
    return __libc_malloc(size);
}

EXPORTED void *calloc(size_t count, size_t size)
{
    allocations += is_counting;
    return __libc_calloc(count, size);
}

EXPORTED void *realloc(void *data, size_t size)
{
    allocations += is_counting;
    return __libc_realloc(data, size);
}

static void install(void)
{
}

#endif

static const weir_backend *inner;

static weir_status quiet_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                               uint32_t flags, weir_error *err)
{
    bool was_counting = is_counting;
    is_counting = false;
    weir_status status = inner->write(db, ops, count, flags, err);
    is_counting = was_counting;
    return status;
}

/*
 * Counts up `records` random keys (in_order: one after the other), with a checkpoint every
 * CHECKPOINT.
 */
static void run(harness *h, size_t records, bool in_order)
{
    weir_error err;
    test_random random = {42};
    weir_topic_offset processed = {"flights", 0};
    weir_txn *txn = NULL;
    for (size_t i = 0; i < records; i++) {
        char prefix[16];
        int64_t value;
        if (!txn && weir_partition_begin(h->partition, &txn, &err))
            fail_msg("%s", err.message);
        uint32_t number = in_order ? (uint32_t)(i % KEYS) : test_random_below(&random, KEYS);
        int size = snprintf(prefix, sizeof prefix, "N%05u", number);
        weir_state *state = weir_txn_state(txn, weir_slice_of(prefix, (size_t)size));
        if (weir_state_get_int(state, "flights", 0, &value, &err) ||
            weir_state_set_int(state, "flights", value + 1, &err))
            fail_msg("%s", err.message);
        if ((i + 1) % CHECKPOINT != 0)
            continue;
        processed.offset = (int64_t)i;
        if (weir_txn_prepare(txn, &processed, 1, &err) ||
            weir_txn_flush(txn, WEIR_OFFSET_NONE, &err))
            fail_msg("%s", err.message);
        weir_txn_free(txn);
        txn = NULL;
    }
}

/* Counts by key and hour: two hours, out of order, and a search for expired ones each time. */
static void run_windows(harness *h, size_t records, bool in_order)
{
    static const int64_t hour = 3600000;
    weir_error err;
    test_random random = {42};
    weir_txn *txn = NULL;
    for (size_t i = 0; i < records; i++) {
        char key[16];
        weir_slice value;
        weir_windows *expired;
        if (!txn && weir_partition_begin(h->partition, &txn, &err))
            fail_msg("%s", err.message);
        uint32_t number = in_order ? (uint32_t)(i % KEYS) : test_random_below(&random, KEYS);
        int size = snprintf(key, sizeof key, "N%05u", number);
        weir_state *state = weir_txn_state(txn, weir_slice_of(key, (size_t)size));
        int64_t start = hour * (int64_t)(in_order ? i / KEYS % 2 : i % 2);
        weir_status status = weir_window_get(state, start, start + hour, &value, &err);
        if ((status && status != WEIR_NOT_FOUND) ||
            weir_window_update(state, start, start + hour, weir_slice_str("12345678"),
                               start + (int64_t)(i % 1000), &err) ||
            weir_window_expire(state, -1, 0, &expired, &err) || expired)
            fail_msg("%s", err.message);
        if ((i + 1) % CHECKPOINT != 0)
            continue;
        if (weir_txn_flush(txn, WEIR_OFFSET_NONE, &err))
            fail_msg("%s", err.message);
        weir_txn_free(txn);
        txn = NULL;
    }
}

static void test_windows_of_cached_keys_are_counted_up_without_an_allocation(void **state)
{
    harness *h = *state;
    harness_close(h);
    h->has_changelog = false;
    h->store.kind = WEIR_STORE_WINDOWED;
    harness_open(h);
    weir_backend table = *h->partition->backend;
    inner = h->partition->backend;
    table.write = quiet_write;
    h->partition->backend = &table;
    run_windows(h, 2 * CHECKPOINT, true);
    run_windows(h, 10 * CHECKPOINT, false); /* more than once: chunks grow for a while */
    allocations = 0;
    is_counting = true;
    run_windows(h, RECORDS, false);
    is_counting = false;
    assert_int_equal(allocations, 0);
    h->partition->backend = inner;
}

static void test_the_counter_counts(void **state)
{
    (void)state;
    install();
    allocations = 0;
    is_counting = true;
    char *text = NULL;
    weir__buffer buffer = {0};
    assert_true(asprintf(&text, "%s", "inside the C library") > 0);
    assert_int_equal(weir__buffer_append_str(&buffer, "inside Weir"), WEIR_OK);
    is_counting = false;
    free(text);
    weir__buffer_release(&buffer);
    assert_true(allocations >= 2);
}

static void test_cached_keys_are_counted_up_without_an_allocation(void **state)
{
    harness *h = *state;
    harness_close(h);
    h->has_changelog = false;
    harness_open(h);
    weir_backend table = *h->partition->backend;
    inner = h->partition->backend;
    table.write = quiet_write;
    h->partition->backend = &table;
    run(h, 2 * CHECKPOINT, true);
    run(h, 2 * CHECKPOINT, false);
    weir_partition_stats before;
    weir_partition_stats after;
    weir_partition_get_stats(h->partition, &before);
    allocations = 0;
    is_counting = true;
    run(h, RECORDS, false);
    is_counting = false;
    weir_partition_get_stats(h->partition, &after);
    assert_int_equal(allocations, 0);
    assert_int_equal(after.backend_gets, before.backend_gets);
    assert_int_equal(after.flushes - before.flushes, RECORDS / CHECKPOINT);
    h->partition->backend = inner;
}

/* What an engine takes for an iterator is its own affair, too. */
static weir_status quiet_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                   const weir_backend_iter_args *args, weir_backend_iter **iter,
                                   weir_error *err)
{
    bool was_counting = is_counting;
    is_counting = false;
    weir_status status = inner->iter_open(db, cf, args, iter, err);
    is_counting = was_counting;
    return status;
}

static weir_status quiet_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                   weir_error *err)
{
    bool was_counting = is_counting;
    is_counting = false;
    weir_status status = inner->iter_next(iter, key, value, err);
    is_counting = was_counting;
    return status;
}

/* A value and a lookup for each record, of five timestamps in turn; or a value that expires. */
static void run_by_time(harness *h, size_t records)
{
    weir_error err;
    weir_txn *txn = NULL;
    for (size_t i = 0; i < records; i++) {
        char prefix[16];
        weir_slice value;
        if (!txn && weir_partition_begin(h->partition, &txn, &err))
            fail_msg("%s", err.message);
        int size = snprintf(prefix, sizeof prefix, "N%05u", (unsigned)(i % (KEYS / 5)));
        weir_state *state = weir_txn_state(txn, weir_slice_of(prefix, (size_t)size));
        if (h->store.kind == WEIR_STORE_TIMESTAMPED) {
            int64_t time = 1000 + (int64_t)(i / (KEYS / 5) % 5) * 10;
            if (weir_timestamped_set(state, time, weir_slice_str("value"), &err) ||
                weir_timestamped_get_latest(state, time + 5, NULL, &value, &err))
                fail_msg("%s", err.message);
        } else {
            weir_txn_set_event_time(txn, (int64_t)i);
            if (weir_state_expire_after(state, 1000000000, &err) ||
                weir_state_set_int(state, "flights", 1, &err))
                fail_msg("%s", err.message);
        }
        if ((i + 1) % CHECKPOINT != 0)
            continue;
        if (weir_txn_prepare(txn, NULL, 0, &err) || weir_txn_flush(txn, WEIR_OFFSET_NONE, &err))
            fail_msg("%s", err.message);
        weir_txn_free(txn);
        txn = NULL;
    }
}

static void assert_quiet_by_time(harness *h, weir_store_kind kind)
{
    harness_close(h);
    h->has_changelog = false;
    h->store.kind = kind;
    harness_open(h);
    weir_backend table = *h->partition->backend;
    inner = h->partition->backend;
    table.write = quiet_write;
    table.iter_open = quiet_iter_open;
    table.iter_next = quiet_iter_next;
    h->partition->backend = &table;
    run_by_time(h, 3 * CHECKPOINT);
    allocations = 0;
    is_counting = true;
    run_by_time(h, RECORDS);
    is_counting = false;
    h->partition->backend = inner;
    /* A checkpoint opens an iterator; a record takes nothing. */
    assert_in_range(allocations, 0, RECORDS / 10);
}

static void test_values_by_time_are_set_and_looked_up_without_an_allocation(void **state)
{
    assert_quiet_by_time(*state, WEIR_STORE_TIMESTAMPED);
}

static void test_values_that_expire_are_set_without_an_allocation(void **state)
{
    assert_quiet_by_time(*state, WEIR_STORE_PLAIN);
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_the_counter_counts),
        MATRIX_TEST(test_cached_keys_are_counted_up_without_an_allocation),
        MATRIX_TEST(test_values_by_time_are_set_and_looked_up_without_an_allocation),
        MATRIX_TEST(test_values_that_expire_are_set_without_an_allocation),
        MATRIX_TEST(test_windows_of_cached_keys_are_counted_up_without_an_allocation),
    };
    return matrix_run("alloc", tests, sizeof tests / sizeof *tests);
}
