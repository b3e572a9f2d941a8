/*
 * What the functions of windows ask of the backend, counted by the decorator "trace": how much
 * there is makes no difference to what a record costs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_window.h"

#include "base/arena.h"
#include "state/partition.h"
#include "state/window_key.h"

#define BATCH 4096u

static const weir_option no_log[] = {{"trace.log", "off"}, {NULL, NULL}};

typedef struct calls {
    uint64_t gets;
    uint64_t iters;
    uint64_t nexts;
} calls;

static void visit(const char *name, uint64_t value, void *arg)
{
    calls *c = arg;
    if (strcmp(name, "trace.get.calls") == 0)
        c->gets = value;
    else if (strcmp(name, "trace.iter_open.calls") == 0)
        c->iters = value;
    else if (strcmp(name, "trace.iter_next.calls") == 0)
        c->nexts = value;
}

static calls count_calls(const harness *h)
{
    calls c = {0};
    weir_error err;
    const weir_partition *p = h->partition;
    assert_ok(p->backend->stats(p->db, visit, &c, &err), err);
    assert_ok(p->backend->control(p->db, "trace.reset", NULL, &err), err);
    return c;
}

static void open_traced(harness *h, size_t cache_bytes)
{
    weir_log_set_level(WEIR_LOG_ERROR);
    harness_init(h, "trace:memory", no_log);
    h->cache_bytes = cache_bytes;
    window_open(h);
}

/* Windows of as many keys, in the state only, as another program may have left them before it was
 * opened: window number i ends at i + 1. */
static void leave_windows(const harness *h, size_t count)
{
    weir_partition *p = h->partition;
    p->began_empty = false;
    weir__arena arena;
    weir_error err;
    weir__arena_init(&arena);
    weir_backend_op *ops = calloc(BATCH, sizeof *ops);
    assert_non_null(ops);
    for (size_t done = 0; done < count;) {
        size_t batch = 0;
        weir__arena_reset(&arena, SIZE_MAX);
        for (; batch < BATCH && done < count; batch++, done++) {
            char name[16];
            size_t size = (size_t)snprintf(name, sizeof name, "key%09zu", done);
            uint8_t *key = weir__arena_alloc(&arena, 40);
            size_t at = weir__window_prefix_write(key, weir_slice_of(name, size));
            weir__window_pair_write(key + at, done, done + 1);
            ops[batch] = (weir_backend_op){.kind = WEIR_OP_PUT,
                                           .cf = p->cfs[WEIR_CF_DEFAULT].handle,
                                           .key = weir_slice_of(key, at + WEIR__PAIR_SIZE),
                                           .value = weir_slice_str("1")};
        }
        assert_ok(p->backend->write(p->db, ops, batch, 0, &err), err);
    }
    free(ops);
    weir__arena_release(&arena);
}

static size_t expire_all(weir_txn *txn, int64_t max_end)
{
    weir_error err;
    weir_windows *windows;
    weir_window window;
    size_t count = 0;
    assert_ok(weir_window_expire_all(txn, max_end, 1, 0, &windows, &err), err);
    while (weir_windows_next(windows, &window, &err) == WEIR_OK)
        count++;
    weir_windows_close(windows);
    return count;
}

/* Calls of: the first expiry of a transaction, that of ten windows, and one of none. */
static void measure(size_t keys, calls first[1], calls ten[1], calls none[1])
{
    harness h;
    open_traced(&h, 8u << 20);
    leave_windows(&h, keys);
    weir_txn *txn = harness_begin(&h);
    assert_int_equal(expire_all(txn, 5), 5); /* makes the index */
    harness_commit(&h, txn, 1);
    txn = harness_begin(&h);
    count_calls(&h);
    assert_int_equal(expire_all(txn, 5), 0);
    *first = count_calls(&h);
    assert_int_equal(expire_all(txn, 15), 10);
    *ten = count_calls(&h);
    for (int i = 0; i < 1000; i++) {
        window_update(txn, "another", 100 + i, 200 + i, "1", 100 + i);
        assert_int_equal(expire_all(txn, 15), 0);
    }
    *none = count_calls(&h);
    weir_txn_free(txn);
    harness_release(&h);
}

static void
test_expiry_of_a_partition_costs_the_same_with_ten_thousand_and_a_million_keys(void **state)
{
    (void)state;
    calls small[3];
    calls large[3];
    measure(10000, &small[0], &small[1], &small[2]);
    measure(1000000, &large[0], &large[1], &large[2]);
    assert_memory_equal(small, large, sizeof small);
    assert_int_equal(large[0].iters, 1);
    assert_true(large[0].nexts <= 2);
    assert_int_equal(large[1].iters, 1);
    assert_true(large[1].nexts <= 12);
    assert_true(large[1].gets <= 30); /* each window's value, and marks of its key */
    assert_int_equal(large[2].iters, 0);
    assert_true(large[2].gets <= 3); /* of a key that is new */
}

/* A tumbling count: what a program does for each record. */
static size_t count_record(weir_txn *txn, const char *key, int64_t timestamp)
{
    weir_error err;
    weir_slice value;
    weir_windows *windows;
    weir_window window;
    size_t expired = 0;
    int64_t latest;
    weir_state *view = window_state(txn, weir_slice_str(key));
    int64_t start = timestamp - timestamp % 100;
    weir_status status = weir_window_get(view, start, start + 100, &value, &err);
    if (status != WEIR_NOT_FOUND)
        assert_ok(status, err);
    assert_ok(weir_window_update(view, start, start + 100, weir_slice_str("1"), timestamp, &err),
              err);
    assert_ok(weir_window_latest_timestamp(view, &latest, &err), err);
    assert_ok(weir_window_expire(view, latest - 150, 0, &windows, &err), err);
    while (weir_windows_next(windows, &window, &err) == WEIR_OK)
        expired++;
    weir_windows_close(windows);
    return expired;
}

static void test_records_of_a_known_key_read_nothing_even_when_windows_expire(void **state)
{
    (void)state;
    harness h;
    size_t expired = 0;
    open_traced(&h, 8u << 20);
    weir_txn *txn = harness_begin(&h);
    count_record(txn, "k", 1000);
    for (int64_t i = 0; i < 2000; i++) {
        if (i % 100 == 0) {
            harness_commit(&h, txn, i);
            txn = harness_begin(&h);
        }
        if (i == 1)
            count_calls(&h);
        expired += count_record(txn, "k", 1000 + i * 5 + (i % 3) * 40); /* out of order */
    }
    calls c = count_calls(&h);
    assert_true(expired > 90);
    assert_int_equal(c.iters, 0);
    assert_int_equal(c.gets, 0);
    harness_commit(&h, txn, 3000);
    harness_release(&h);
}

/* Row 18: the changes of a transaction were sorted for every read; here none is sorted at all,
 * and what is not in memory is one iterator over the windows at hand. */
static void test_a_forgotten_key_costs_one_bounded_search(void **state)
{
    (void)state;
    harness h;
    open_traced(&h, 8u << 20);
    weir_txn *txn = harness_begin(&h);
    for (int64_t i = 0; i < 5000; i++)
        window_update(txn, "k", i * 10, i * 10 + 10, "1", i * 10);
    harness_commit(&h, txn, 1);
    harness_close(&h);
    harness_open(&h);
    harness_recover(&h, WEIR_OFFSET_NONE);
    txn = harness_begin(&h);
    count_calls(&h);
    window_expire(txn, "k", 35, 0);
    calls c = count_calls(&h);
    assert_int_equal(c.iters, 1);
    assert_true(c.nexts <= 4 + 7);
    assert_true(c.gets <= 3);
    weir_txn_free(txn);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_expiry_of_a_partition_costs_the_same_with_ten_thousand_and_a_million_keys),
        cmocka_unit_test(test_records_of_a_known_key_read_nothing_even_when_windows_expire),
        cmocka_unit_test(test_a_forgotten_key_costs_one_bounded_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
