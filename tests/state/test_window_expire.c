/*
 * Expiry of windows, by key and of the whole partition, and collections. On every backend.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_window.h"

#include "state/partition.h"

#define S weir_slice_str

/* The state holds `what` in a family, as in a dump. */
static void assert_holds(harness *h, const char *what, bool expected)
{
    char *dump = harness_dump(h);
    if ((strstr(dump, what) != NULL) != expected)
        fail_msg("%s is %sin\n%s", what, expected ? "not " : "", dump);
    free(dump);
}

/* --- By key --- */

static void test_windows_expire_once_in_order_and_are_gone(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 20, 30, "c", 25);
    window_update(txn, "k", 0, 10, "a", 5);
    window_update(txn, "k", 10, 20, "b", 15);
    window_update(txn, "other", 0, 10, "x", 5);
    assert_string_equal(window_expire(txn, "k", -1, 0), "");
    assert_string_equal(window_expire(txn, "k", 10, 0), "0-10=a 10-20=b");
    assert_string_equal(window_expire(txn, "k", 10, 0), "");
    assert_string_equal(window_expire(txn, "k", 15, 0), "");
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "20-30=c");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire(txn, "k", 19, 0), "");
    assert_string_equal(window_expire(txn, "k", 20, 0), "20-30=c");
    assert_string_equal(window_range(txn, "other", -1, INT64_MAX, false), "0-10=x");
    txn = window_commit(h, txn);
    assert_string_equal(window_expire(txn, "k", INT64_MAX, 0), "");
    assert_holds(h, "k|__expired_start_gt__=20\n", true);
    weir_txn_free(txn);
}

static void test_expired_windows_may_stay_and_do_not_expire_again(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 10, "a", 5);
    window_update(txn, "k", 10, 20, "b", 15);
    assert_string_equal(window_expire(txn, "k", 5, WEIR_EXPIRE_KEEP), "0-10=a");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire(txn, "k", 10, WEIR_EXPIRE_KEEP), "10-20=b");
    assert_string_equal(window_expire(txn, "k", 10, WEIR_EXPIRE_KEEP), "");
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "0-10=a 10-20=b");
    weir_txn_free(txn);
}

static void test_a_window_that_comes_late_does_not_expire(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 20, 30, "c", 25);
    assert_string_equal(window_expire(txn, "k", 20, 0), "20-30=c");
    window_update(txn, "k", 10, 20, "late", 15);
    window_update(txn, "k", 30, 40, "d", 35);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(window_expire(txn, "k", 29, 0), "");
        txn = window_reopen(h, txn);
    }
    assert_string_equal(window_get(txn, "k", 10, 20), "late");
    assert_string_equal(window_expire(txn, "k", 30, 0), "30-40=d");
    window_delete_until(txn, "k", 15, false);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "");
    weir_txn_free(txn);
}

/* More windows than are remembered, some of which begin together. */
static void test_many_windows_of_a_key_expire_in_steps(void **state)
{
    harness *h = *state;
    char value[16];
    weir_txn *txn = window_begin(h);
    for (int i = 39; i >= 0; i--) {
        snprintf(value, sizeof value, "%d", i);
        window_update(txn, "k", i / 2 * 10, i / 2 * 10 + 10 + i % 2, value, i);
        if (i == 20)
            txn = window_reopen(h, txn);
    }
    int next = 0;
    for (int step = 0; step < 8; step++) {
        weir_error err;
        weir_windows *windows;
        weir_window window;
        int64_t max_start = step * 30;
        assert_ok(weir_window_expire(window_state(txn, S("k")), max_start, 0, &windows, &err), err);
        while (weir_windows_next(windows, &window, &err) == WEIR_OK) {
            snprintf(value, sizeof value, "%d", next);
            assert_true(weir_slice_equal(window.value, S(value)));
            assert_true(window.start_ms <= max_start);
            next++;
        }
        weir_windows_close(windows);
        assert_int_equal(next, max_start >= 190 ? 40 : max_start / 10 * 2 + 2);
        txn = step % 2 ? window_commit(h, txn) : window_reopen(h, txn);
    }
    assert_int_equal(next, 40);
    weir_txn_free(txn);
}

/* Row 5: a caller that stopped early lost results and left windows behind. */
static void test_an_expiry_is_one_step_however_far_it_is_walked(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_windows *windows;
    weir_window window;
    weir_txn *txn = window_begin(h);
    for (int64_t start = 0; start < 50; start += 10)
        window_update(txn, "k", start, start + 10, "v", start);
    txn = window_commit(h, txn);
    assert_ok(weir_window_expire(window_state(txn, S("k")), 20, 0, &windows, &err), err);
    weir_windows_close(windows); /* not walked at all */
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "30-40=v 40-50=v");
    assert_ok(weir_window_expire_all(txn, 50, 10, 0, &windows, &err), err);
    assert_ok(weir_windows_next(windows, &window, &err), err);
    /* What is handed out stays as it is, whatever comes in between. */
    window_update(txn, "k", 30, 40, "new", 99);
    assert_int_equal(window.start_ms, 30);
    assert_true(weir_slice_equal(window.value, S("v")));
    assert_string_equal(window_text(windows, true), "k:40-50=v");
    txn = window_commit(h, txn);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "30-40=new");
    weir_txn_free(txn);
}

static void test_windows_are_deleted_up_to_a_start(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    for (int64_t start = 0; start < 50; start += 10)
        window_update(txn, "k", start, start + 10, "v", start);
    txn = window_reopen(h, txn);
    window_collect(txn, "k", 15, "x");
    window_collect(txn, "k", 25, "y");
    window_delete_until(txn, "k", -1, true);
    window_delete_until(txn, "k", 25, false);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "30-40=v 40-50=v");
    assert_string_equal(window_collected(txn, "k", 0, 100), "x,y");
    window_update(txn, "k", 20, 30, "late", 9); /* at the mark: it stays */
    window_delete_until(txn, "k", 25, true);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "20-30=late 30-40=v 40-50=v");
    assert_string_equal(window_collected(txn, "k", 0, 100), "y");
    txn = window_reopen(h, txn);
    assert_holds(h, "__deletion-index__/k|__deleted_start_gt__=20\n", true);
    window_delete_until(txn, "k", 40, true);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "20-30=late");
    weir_txn_free(txn);
}

/* --- The whole partition --- */

static void test_windows_of_all_keys_expire_by_their_end(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "b", 0, 10, "1", 5);
    window_update(txn, "a", 0, 10, "2", 5);
    window_update(txn, "a", 10, 20, "3", 15);
    txn = window_reopen(h, txn);
    window_update(txn, "c", 10, 20, "4", 15);
    assert_string_equal(window_expire_all(txn, 9, 10, 0), "");
    assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=2 b:0-10=1");
    assert_string_equal(window_expire_all(txn, 19, 10, 0), "");
    txn = window_reopen(h, txn);
    window_update(txn, "d", 10, 20, "5", 15);
    window_delete(txn, "c", 10, 20);
    window_update(txn, "e", 20, 30, "6", 25);
    assert_string_equal(window_expire_all(txn, 29, 10, WEIR_EXPIRE_KEEP), "a:10-20=3 d:10-20=5");
    assert_string_equal(window_expire_all(txn, 29, 10, WEIR_EXPIRE_KEEP), "");
    txn = window_reopen(h, txn);
    assert_holds(h, "__expiration-index__/__expired_start_gt__=20\n", true);
    assert_string_equal(window_expire_all(txn, 29, 10, 0), "");
    assert_string_equal(window_expire_all(txn, 35, 10, 0), "e:20-30=6");
    assert_string_equal(window_range(txn, "a", -1, INT64_MAX, false), "10-20=3");
    weir_txn_free(txn);
}

/* Row 2: ends were matched against multiples of the step, so that hopping(10, 4) gave
 * nothing and left every window behind. */
static void test_hopping_windows_of_a_partition_expire_by_their_real_end(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    for (int64_t start = 0; start <= 12; start += 4)
        window_update(txn, "k", start, start + 10, "v", start);
    assert_string_equal(window_expire_all(txn, 9, 4, 0), "");
    assert_string_equal(window_expire_all(txn, 10, 4, 0), "k:0-10=v");
    assert_string_equal(window_expire_all(txn, 13, 4, 0), "");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire_all(txn, 14, 4, 0), "k:4-14=v");
    assert_string_equal(window_expire_all(txn, 22, 4, 0), "k:8-18=v k:12-22=v");
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "");
    weir_txn_free(txn);
}

static void test_the_mark_of_a_partition_moves_on_the_grid_of_the_step(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    static const int64_t moves[][2] = {{7, 0}, {12, 10}, {19, 10}, {20, 20}, {55, 50}, {30, 50}};
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        weir_error err;
        int64_t mark;
        assert_string_equal(window_expire_all(txn, moves[i][0], 10, 0), "");
        assert_ok(weir_window_expired_until(window_state(txn, S("")), &mark, &err), err);
        assert_int_equal(mark, moves[i][1]);
    }
    weir_txn_free(txn);
}

static size_t log_count(void)
{
    return test_log_count("windows.index");
}

static void test_the_index_is_made_once_and_lasts(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    test_log_capture();
    weir_log_set_level(WEIR_LOG_INFO);
    window_update(txn, "a", 0, 10, "1", 5);
    txn = window_commit(h, txn);
    assert_int_equal(log_count(), 0); /* who expires by key does not pay for it */
    window_update(txn, "b", 0, 10, "2", 5);
    window_update(txn, "c", 0, 10, "3", 5);
    window_delete(txn, "c", 0, 10);
    assert_string_equal(window_expire_all(txn, 5, 10, 0), "");
    assert_int_equal(log_count(), 1);
    txn = window_commit(h, txn);
    window_update(txn, "d", 0, 10, "4", 5);
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=1 b:0-10=2 d:0-10=4");
    assert_int_equal(log_count(), matrix_is_persistent(h) ? 1 : 2);
    weir_log_set_level(WEIR_LOG_WARN);
    test_log_release();
    weir_txn_free(txn);
}

static void test_a_failed_transaction_leaves_the_index_as_it_was(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "a", 0, 10, "1", 5);
    assert_string_equal(window_expire_all(txn, 5, 10, 0), "");
    txn = window_commit(h, txn);
    window_update(txn, "b", 0, 10, "2", 5);
    assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=1 b:0-10=2");
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_string_equal(window_expire_all(txn, 10, 10, 0), "a:0-10=1");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire_all(txn, 100, 10, 0), "");
    weir_txn_free(txn);
}

static void test_transactions_that_overlap_do_not_spoil_the_index(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    weir_txn *other = harness_begin(h);
    window_update(other, "o", 0, 10, "1", 5);
    window_update(txn, "k", 0, 10, "2", 5);
    assert_string_equal(window_expire_all(txn, 5, 10, 0), "");
    assert_string_equal(window_expire(txn, "o", 5, 0), "");
    harness_commit(h, other, 1);
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    assert_string_equal(window_expire(txn, "o", 0, WEIR_EXPIRE_KEEP), "0-10=1");
    assert_string_equal(window_expire_all(txn, 10, 10, WEIR_EXPIRE_KEEP), "k:0-10=2 o:0-10=1");
    weir_txn_free(txn);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    txn = harness_begin(h);
    assert_string_equal(window_expire_all(txn, 10, 10, WEIR_EXPIRE_KEEP), "k:0-10=2 o:0-10=1");
    weir_txn_free(txn);
}

/* --- Collections --- */

static void test_collected_values_come_by_id_and_in_their_order(void **state)
{
    harness *h = *state;
    weir_error err;
    uint64_t number;
    weir_txn *txn = window_begin(h);
    window_collect(txn, "k", 5, "b");
    window_collect(txn, "k", 3, "a");
    window_collect(txn, "k", 5, "c");
    window_collect(txn, "other", 4, "x");
    txn = window_reopen(h, txn);
    window_collect(txn, "k", 5, "d");
    window_collect(txn, "k", 7, "e");
    assert_string_equal(window_collected(txn, "k", 0, 100), "a,b,c,d,e");
    assert_string_equal(window_collected(txn, "k", 3, 7), "a,b,c,d");
    assert_string_equal(window_collected(txn, "k", 4, 6), "b,c,d");
    assert_string_equal(window_collected(txn, "k", 6, 6), "");
    assert_string_equal(window_collected(txn, "k", -5, 0), "");
    /* Numbers go on from where they were; without an id, the number is the id. */
    assert_ok(weir_window_collect(window_state(txn, S("n")), NULL, S("v"), &number, &err), err);
    assert_int_equal(number, 6);
    assert_string_equal(window_collected(txn, "n", 6, 7), "v");
    int64_t from = 5;
    assert_ok(weir_window_delete_collected(window_state(txn, S("k")), &from, 6, &err), err);
    txn = window_reopen(h, txn);
    assert_string_equal(window_collected(txn, "k", 0, 100), "a,e");
    weir_txn_free(txn);
}

static void test_expired_windows_come_with_their_values(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    for (int64_t start = 0; start <= 20; start += 10) {
        char value[8];
        for (int64_t id = start; id < start + 10; id += 5) {
            snprintf(value, sizeof value, "v%d", (int)id);
            window_collect(txn, "k", id, value);
        }
        window_update(txn, "k", start, start + 10, "null", start);
        if (start == 10)
            txn = window_reopen(h, txn);
    }
    assert_string_equal(
        window_expire(txn, "k", 0,
                      WEIR_EXPIRE_COLLECT | WEIR_EXPIRE_END_INCLUSIVE | WEIR_EXPIRE_KEEP),
        "0-10=null[v0,v5,v10]");
    assert_string_equal(window_expire(txn, "k", 10, WEIR_EXPIRE_COLLECT), "10-20=null[v10,v15]");
    assert_string_equal(window_collected(txn, "k", 0, 100), "v20,v25");
    assert_string_equal(window_expire_all(txn, 100, 10, WEIR_EXPIRE_COLLECT | WEIR_EXPIRE_KEEP),
                        "k:0-10=null k:20-30=null[v20,v25]");
    weir_txn_free(txn);
}

/* Row 16: the values of the last window, and those that came late, were left behind. */
static void test_no_collected_value_is_left_when_the_last_window_has_expired(void **state)
{
    harness *h = *state;
    for (int whole = 0; whole < 2; whole++) {
        weir_txn *txn = window_begin(h);
        const char *key = whole ? "w" : "k";
        window_collect(txn, key, 5, "a");
        window_update(txn, key, 0, 10, "null", 5);
        window_collect(txn, key, 15, "b");
        window_update(txn, key, 10, 20, "null", 15);
        txn = window_reopen(h, txn);
        if (whole) {
            assert_string_equal(window_expire_all(txn, 10, 10, WEIR_EXPIRE_COLLECT),
                                "w:0-10=null[a]");
        } else {
            assert_string_equal(window_expire(txn, key, 0, WEIR_EXPIRE_COLLECT), "0-10=null[a]");
        }
        assert_string_equal(window_collected(txn, key, 0, 100), "b");
        window_collect(txn, key, 3, "late");
        txn = window_commit(h, txn);
        if (whole) {
            assert_string_equal(window_expire_all(txn, 20, 10, WEIR_EXPIRE_COLLECT),
                                "w:10-20=null[b]");
        } else {
            assert_string_equal(window_expire(txn, key, 10, WEIR_EXPIRE_COLLECT), "10-20=null[b]");
        }
        assert_string_equal(window_collected(txn, key, 0, 100), "");
        harness_commit(h, txn, 1);
    }
    assert_holds(h, "__values__/", false);
}

static void test_values_that_a_hopping_window_still_needs_stay(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    for (int64_t id = 0; id < 20; id += 4) {
        window_collect(txn, "k", id, "v");
        for (int64_t start = id; start > id - 10 && start >= 0; start -= 4)
            window_update(txn, "k", start, start + 10, "null", id);
    }
    assert_string_equal(window_expire(txn, "k", 4, WEIR_EXPIRE_COLLECT),
                        "0-10=null[v,v,v] 4-14=null[v,v,v]");
    assert_string_equal(window_expire(txn, "k", 8, WEIR_EXPIRE_COLLECT), "8-18=null[v,v,v]");
    assert_string_equal(window_collected(txn, "k", 0, 100), "v,v");
    weir_txn_free(txn);
}

static void test_closing_all_keys_keeps_the_values_of_windows_that_are_left(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    static const char *const keys[] = {"", "k"};
    for (size_t i = 0; i < 2; i++) {
        window_update(txn, keys[i], 0, 30, "x", 5);
        window_update(txn, keys[i], 10, 40, "y", 25);
        window_collect(txn, keys[i], 25, "kept");
    }
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire_all(txn, 30, 10, WEIR_EXPIRE_COLLECT),
                        ":0-30=x[kept] k:0-30=x[kept]");
    txn = window_commit(h, txn);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(window_collected(txn, keys[i], 0, 100), "kept");
        assert_string_equal(window_range(txn, keys[i], -1, INT64_MAX, false), "10-40=y");
    }
    assert_string_equal(window_expire_all(txn, 40, 10, WEIR_EXPIRE_COLLECT),
                        ":10-40=y[kept] k:10-40=y[kept]");
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(window_collected(txn, keys[i], 0, 100), "");
    weir_txn_free(txn);
}

/* The other key is "a", the separator and eight bytes: its rows stand before those of the windows
 * of "a" that start at 20. */
static void test_a_row_of_another_key_hides_no_window_whose_values_are_needed(void **state)
{
    harness *h = *state;
    weir_error err;
    static const uint8_t other[] = {'a', '|', 0, 0, 0, 0, 0, 0, 0, 20};
    weir_txn *txn = window_begin(h);
    assert_ok(weir_window_update(window_state(txn, weir_slice_of(other, sizeof other)), 0, 10,
                                 S("o"), 5, &err),
              err);
    window_update(txn, "a", 10, 35, "x", 10);
    window_update(txn, "a", 20, 30, "y", 25);
    window_collect(txn, "a", 12, "gone");
    window_collect(txn, "a", 26, "kept");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire(txn, "a", 10, WEIR_EXPIRE_COLLECT), "10-35=x[gone,kept]");
    assert_string_equal(window_collected(txn, "a", 0, 100), "kept");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire(txn, "a", 20, WEIR_EXPIRE_COLLECT), "20-30=y[kept]");
    assert_string_equal(window_collected(txn, "a", 0, 100), "");
    weir_txn_free(txn);
}

static void test_a_number_that_can_be_no_id_is_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    window_open(h);
    assert_ok(weir_partition_cf(h->partition, "__global-counter__", &cf, &err), err);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, cf, S(""), S("__global_counter__"), S("9223372036854775807"), &err),
              err);
    assert_int_equal(weir_window_collect(window_state(txn, S("k")), NULL, S("v"), NULL, &err),
                     WEIR_TOO_LARGE);
    assert_non_null(strstr(err.message, "9223372036854775808 is above 9223372036854775807"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
}

/* Row 19: deletes in one family hid keys of another. */
static void test_a_delete_in_one_family_leaves_the_same_key_of_another(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 1, "window", 5); /* the same key as that of … */
    window_collect(txn, "k", 0, "first");
    window_collect(txn, "k", 0, "second"); /* … this one, number 1 */
    window_delete(txn, "k", 0, 1);
    assert_string_equal(window_collected(txn, "k", 0, 10), "first,second");
    txn = window_reopen(h, txn);
    assert_string_equal(window_collected(txn, "k", 0, 10), "first,second");
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "");
    weir_txn_free(txn);
}

int main(void)
{
    static const matrix_test tests[] = {
        MATRIX_TEST(test_windows_expire_once_in_order_and_are_gone),
        MATRIX_TEST(test_expired_windows_may_stay_and_do_not_expire_again),
        MATRIX_TEST(test_a_window_that_comes_late_does_not_expire),
        MATRIX_TEST(test_many_windows_of_a_key_expire_in_steps),
        MATRIX_TEST(test_an_expiry_is_one_step_however_far_it_is_walked),
        MATRIX_TEST(test_windows_are_deleted_up_to_a_start),
        MATRIX_TEST(test_windows_of_all_keys_expire_by_their_end),
        MATRIX_TEST(test_hopping_windows_of_a_partition_expire_by_their_real_end),
        MATRIX_TEST(test_the_mark_of_a_partition_moves_on_the_grid_of_the_step),
        MATRIX_TEST(test_the_index_is_made_once_and_lasts),
        MATRIX_TEST(test_a_failed_transaction_leaves_the_index_as_it_was),
        MATRIX_TEST(test_transactions_that_overlap_do_not_spoil_the_index),
        MATRIX_TEST(test_collected_values_come_by_id_and_in_their_order),
        MATRIX_TEST(test_expired_windows_come_with_their_values),
        MATRIX_TEST(test_no_collected_value_is_left_when_the_last_window_has_expired),
        MATRIX_TEST(test_values_that_a_hopping_window_still_needs_stay),
        MATRIX_TEST(test_closing_all_keys_keeps_the_values_of_windows_that_are_left),
        MATRIX_TEST(test_a_row_of_another_key_hides_no_window_whose_values_are_needed),
        MATRIX_TEST(test_a_number_that_can_be_no_id_is_refused),
        MATRIX_TEST(test_a_delete_in_one_family_leaves_the_same_key_of_another),
    };
    return matrix_run("expiry of windows", tests, sizeof tests / sizeof *tests);
}
