/*
 * Windowed stores on a backend that fails: whichever call it is, an operation has happened as a
 * whole or not at all, and the store goes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_window.h"

#include "state/partition.h"

#define S          weir_slice_str
#define ROUNDS_MAX 200

static void inject(harness *h, const char *op, int nth)
{
    char rules[64];
    weir_error err;
    snprintf(rules, sizeof rules, "op=%s,nth=%d,error=io", op, nth);
    assert_ok(h->partition->backend->control(h->partition->db, "fault.set", rules, &err), err);
}

static void mend(harness *h)
{
    weir_error err;
    assert_ok(h->partition->backend->control(h->partition->db, "fault.clear", NULL, &err), err);
}

static int setup(void **state)
{
    harness *h = calloc(1, sizeof *h);
    assert_non_null(h);
    weir_log_set_level(WEIR_LOG_ERROR);
    harness_init(h, "fault:memory", NULL);
    h->cache_bytes = 0; /* so that everything is read */
    window_open(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness_release(*state);
    free(*state);
    return 0;
}

/* Two keys with windows and values, committed. */
static void fill(harness *h)
{
    weir_txn *txn = harness_begin(h);
    for (int64_t start = 0; start < 100; start += 10) {
        window_update(txn, "a", start, start + 10, "1", start);
        window_update(txn, "b", start, start + 10, "2", start);
        window_collect(txn, "a", start + 1, "v");
    }
    harness_commit(h, txn, 1);
}

static weir_status expire(weir_txn *txn, bool whole, weir_windows **windows, weir_error *err)
{
    uint32_t flags = WEIR_EXPIRE_COLLECT;
    return whole ? weir_window_expire_all(txn, 20, 10, flags, windows, err)
                 : weir_window_expire(window_state(txn, S("a")), 10, flags, windows, err);
}

static const char *expected_of(bool whole)
{
    return whole ? "a:0-10=1[v] b:0-10=2 a:10-20=1[v] b:10-20=2" : "a:0-10=1[v] a:10-20=1[v]";
}

/* The call fails at each of the backend's calls in turn, then goes well. */
static void check_expiry(harness *h, const char *op, bool whole)
{
    int nth = 0;
    weir_status status = WEIR_IO;
    while (status != WEIR_OK) {
        weir_error err;
        weir_windows *windows;
        assert_true(nth++ < ROUNDS_MAX);
        weir_txn *txn = harness_begin(h);
        inject(h, op, nth);
        status = expire(txn, whole, &windows, &err);
        mend(h);
        if (status != WEIR_OK) {
            assert_int_equal(status, WEIR_IO);
            assert_null(windows);
            assert_non_null(strstr(err.message, "partition=0"));
            /* A failure before the first change can be repeated at once. */
            if (weir_txn_get_status(txn) == WEIR_TXN_STARTED) {
                assert_ok(expire(txn, whole, &windows, &err), err);
                assert_string_equal(window_text(windows, true), expected_of(whole));
            }
            weir_txn_free(txn);
            continue;
        }
        assert_string_equal(window_text(windows, true), expected_of(whole));
        weir_txn_free(txn);
    }
    assert_true(nth > 1); /* it did fail */
}

static void test_an_expiry_that_fails_has_done_nothing(void **state)
{
    harness *h = *state;
    static const char *const ops[] = {"get", "iter_open", "iter_next"};
    fill(h);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        check_expiry(h, ops[i], false);
        check_expiry(h, ops[i], true);
    }
}

static void test_an_index_that_could_not_be_made_is_made_later(void **state)
{
    harness *h = *state;
    static const char *const ops[] = {"iter_open", "iter_next", "write"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        weir_status status = WEIR_IO;
        for (int nth = 1; status != WEIR_OK; nth++) {
            weir_error err;
            weir_windows *windows;
            assert_true(nth < ROUNDS_MAX);
            /* A new store each time, for a failure to come before the index is there. */
            teardown(state);
            setup(state);
            h = *state;
            fill(h);
            weir_txn *txn = harness_begin(h);
            inject(h, ops[i], nth);
            status = weir_window_expire_all(txn, 10, 10, 0, &windows, &err);
            mend(h);
            if (status == WEIR_OK) {
                weir_windows_close(windows);
                weir_txn_free(txn);
                continue;
            }
            assert_int_equal(status, WEIR_IO);
            assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=1 b:0-10=2");
            harness_commit(h, txn, 2);
            txn = harness_begin(h);
            assert_string_equal(window_expire_all(txn, 20, 10, 0), "a:10-20=1 b:10-20=2");
            weir_txn_free(txn);
        }
    }
}

static void test_a_flush_of_windows_that_fails_leaves_the_state_and_the_index(void **state)
{
    harness *h = *state;
    weir_error err;
    fill(h);
    weir_txn *txn = harness_begin(h);
    assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=1 b:0-10=2");
    inject(h, "write", 1);
    assert_int_equal(harness_try_commit(h, txn, 2, &err), WEIR_IO);
    mend(h);
    txn = harness_begin(h);
    assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=1 b:0-10=2");
    weir_txn_free(txn);
    /* The source offset was committed: the changelog brings the expiry. */
    harness_recover(h, 3);
    txn = harness_begin(h);
    assert_string_equal(window_expire_all(txn, 20, 10, 0), "a:10-20=1 b:10-20=2");
    weir_txn_free(txn);
}

static void test_an_update_that_fails_midway_fails_the_transaction(void **state)
{
    harness *h = *state;
    fill(h);
    for (int nth = 1; nth <= 2; nth++) { /* the marks of the key */
        weir_error err;
        weir_txn *txn = harness_begin(h);
        inject(h, "get", nth);
        assert_int_equal(weir_window_update(window_state(txn, S("a")), 200, 210, S("x"), 200, &err),
                         WEIR_IO);
        mend(h);
        assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
        weir_txn_free(txn);
        txn = harness_begin(h);
        assert_string_equal(window_get(txn, "a", 200, 210), "");
        weir_txn_free(txn);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_expiry_that_fails_has_done_nothing),
        TEST(test_an_index_that_could_not_be_made_is_made_later),
        TEST(test_a_flush_of_windows_that_fails_leaves_the_state_and_the_index),
        TEST(test_an_update_that_fails_midway_fails_the_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
