/*
 * Windows of a key: reading and writing them, ranges, marks, and what is refused. On every
 * backend.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_window.h"

#include "state/partition.h"

#define S weir_slice_str

static void test_a_window_is_found_by_its_start_and_end(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 10, "a", 5);
    window_update(txn, "k", 0, 20, "b", 5);
    window_update(txn, "k", 10, 20, "c", 15);
    window_update(txn, "other", 0, 10, "d", 1);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(window_get(txn, "k", 0, 10), "a");
        assert_string_equal(window_get(txn, "k", 0, 20), "b");
        assert_string_equal(window_get(txn, "k", 10, 20), "c");
        assert_string_equal(window_get(txn, "other", 0, 10), "d");
        assert_string_equal(window_get(txn, "k", 10, 21), "");
        txn = i == 0 ? window_commit(h, txn) : window_reopen(h, txn);
    }
    window_update(txn, "k", 0, 10, "A", 5);
    window_delete(txn, "k", 0, 20);
    window_delete(txn, "k", 500, 600);
    txn = window_reopen(h, txn);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "0-10=A 10-20=c");
    weir_txn_free(txn);
}

static void test_a_range_takes_starts_after_from_and_up_to_to(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 10, "a", 5);
    window_update(txn, "k", 10, 20, "b", 15);
    window_update(txn, "k", 20, 30, "c", 25);
    txn = window_reopen(h, txn);
    window_update(txn, "k", 10, 15, "d", 15); /* not committed, among what is */
    window_update(txn, "k", 30, 40, "e", 35);
    window_delete(txn, "k", 20, 30);
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false),
                        "0-10=a 10-15=d 10-20=b 30-40=e");
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, true),
                        "30-40=e 10-20=b 10-15=d 0-10=a");
    assert_string_equal(window_range(txn, "k", 0, 10, false), "10-15=d 10-20=b");
    assert_string_equal(window_range(txn, "k", 0, 10, true), "10-20=b 10-15=d");
    assert_string_equal(window_range(txn, "k", -1, 0, false), "0-10=a");
    assert_string_equal(window_range(txn, "k", 9, 29, false), "10-15=d 10-20=b");
    assert_string_equal(window_range(txn, "k", 10, 10, false), "");
    assert_string_equal(window_range(txn, "k", 20, 10, false), "");
    assert_string_equal(window_range(txn, "k", -50, -1, false), "");
    assert_string_equal(window_range(txn, "k", 30, INT64_MAX, false), "");
    assert_string_equal(window_range(txn, "nobody", -1, INT64_MAX, false), "");
    weir_txn_free(txn);
}

static void test_changes_while_a_range_is_walked_neither_show_nor_do_harm(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_windows *windows;
    weir_window window;
    weir_txn *txn = window_begin(h);
    for (int64_t start = 0; start < 50; start += 10)
        window_update(txn, "k", start, start + 10, "v", start);
    assert_ok(weir_window_range(window_state(txn, S("k")), -1, INT64_MAX, false, &windows, &err),
              err);
    int64_t expected = 0;
    while (weir_windows_next(windows, &window, &err) == WEIR_OK) {
        assert_int_equal(window.start_ms, expected);
        assert_int_equal(window.end_ms, expected + 10);
        assert_true(weir_slice_equal(window.key, S("k")));
        window_delete(txn, "k", window.start_ms, window.end_ms);
        window_update(txn, "k", window.start_ms + 5, window.start_ms + 10, "new", 50);
        expected += 10;
    }
    assert_int_equal(expected, 50);
    weir_windows_close(windows);
    assert_string_equal(window_range(txn, "k", -1, 20, false), "5-10=new 15-20=new");
    weir_txn_free(txn);
}

static void test_the_latest_timestamp_of_a_key_only_rises(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    assert_int_equal(window_latest(txn, "k"), -1);
    window_update(txn, "k", 0, 10, "a", 7);
    assert_int_equal(window_latest(txn, "k"), 7);
    window_update(txn, "k", 0, 10, "a", 3);
    assert_int_equal(window_latest(txn, "k"), 7);
    txn = window_reopen(h, txn);
    assert_int_equal(window_latest(txn, "k"), 7);
    window_update(txn, "k", 0, 10, "a", 9);
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_int_equal(window_latest(txn, "k"), 7);
    window_update(txn, "k", 0, 10, "a", 0);
    txn = window_commit(h, txn);
    assert_int_equal(window_latest(txn, "k"), 7);
    assert_int_equal(window_latest(txn, "other"), -1);
    window_update(txn, "zero", 0, 10, "a", 0);
    assert_int_equal(window_latest(txn, "zero"), 0);
    weir_txn_free(txn);
}

static void test_hints_of_keys_to_come_change_nothing(void **state)
{
    harness *h = *state;
    weir_partition_stats before;
    weir_partition_stats after;
    weir_txn *txn = window_begin(h);
    for (int round = 0; round < 4; round++) {
        weir_partition_get_stats(h->partition, &before);
        for (int i = 0; i < 3 * WEIR_EXPECT_AHEAD; i++) {
            char key[8];
            snprintf(key, sizeof key, "%d", i % 20);
            weir_txn_expect(txn, i % 7 == 0 ? S("") : S(key));
        }
        weir_partition_get_stats(h->partition, &after);
        assert_int_equal(after.gets, before.gets);
        assert_int_equal(after.backend_gets, before.backend_gets);
        assert_int_equal(weir_txn_changed(txn), round == 1 || round == 3);
        for (int i = 10; i < 20; i++) {
            char key[8];
            char range[32];
            snprintf(key, sizeof key, "%d", i);
            snprintf(range, sizeof range, round == 0 ? "" : "0-10=%d 10-20=x", i);
            assert_string_equal(window_range(txn, key, -1, INT64_MAX, false), range);
            window_update(txn, key, 0, 10, key, 5);
            window_update(txn, key, 10, 20, "x", 15);
        }
        if (round == 1)
            txn = window_reopen(h, txn);
    }
    weir_txn_free(txn);
}

static void test_the_timestamp_of_a_partition_is_that_of_the_empty_key(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t latest;
    weir_txn *txn = window_begin(h);
    assert_ok(weir_window_advance_timestamp(window_state(txn, S("")), 40, &latest, &err), err);
    assert_int_equal(latest, 40);
    assert_ok(weir_window_advance_timestamp(window_state(txn, S("")), 30, &latest, &err), err);
    assert_int_equal(latest, 40);
    txn = window_reopen(h, txn);
    assert_int_equal(window_latest(txn, ""), 40);
    char *dump = harness_dump(h);
    assert_string_equal(dump, "__latest-timestamps__/__latest_timestamp__=40\n");
    free(dump);
    weir_txn_free(txn);
}

static void test_a_timestamp_that_is_not_later_goes_to_the_changelog_alone(void **state)
{
    harness *h = *state;
    weir_partition_stats before;
    weir_partition_stats after;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 10, "a", 5);
    txn = window_commit(h, txn);
    int64_t appended = h->knobs.calls[TEST_CHANGELOG_APPEND];
    weir_partition_get_stats(h->partition, &before);
    window_update(txn, "k", 0, 10, "b", 3);
    txn = window_commit(h, txn);
    weir_partition_get_stats(h->partition, &after);
    assert_int_equal(h->knobs.calls[TEST_CHANGELOG_APPEND] - appended, 2);
    assert_int_equal(after.written - before.written, 1);
    txn = window_reopen(h, txn);
    assert_int_equal(window_latest(txn, "k"), 5);
    weir_txn_free(txn);
}

static void test_transactions_that_overlap_store_what_they_append(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 10, "a", 100);
    harness_commit(h, txn, 1);
    weir_txn *first = harness_begin(h);
    weir_txn *second = harness_begin(h);
    window_update(first, "k", 0, 10, "b", 50);
    window_update(second, "k", 0, 10, "c", 200);
    harness_commit(h, second, 2);
    harness_commit(h, first, 3);
    char *stored = harness_dump(h);
    harness_rebuild(h);
    char *rebuilt = harness_dump(h);
    assert_string_equal(stored, rebuilt);
    free(stored);
    free(rebuilt);
}

static void test_a_mark_of_expiry_can_be_read_and_set(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t mark;
    weir_txn *txn = window_begin(h);
    weir_state *view = window_state(txn, S("k"));
    assert_int_equal(weir_window_expired_until(view, &mark, &err), WEIR_NOT_FOUND);
    assert_int_equal(mark, 0);
    for (int64_t start = 0; start < 100; start += 10)
        window_update(txn, "k", start, start + 10, "v", start);
    view = window_state(txn, S("k"));
    assert_ok(weir_window_set_expired_until(view, 70, &err), err);
    assert_string_equal(window_expire(txn, "k", 80, WEIR_EXPIRE_KEEP), "80-90=v");
    txn = window_reopen(h, txn);
    view = window_state(txn, S("k"));
    assert_ok(weir_window_expired_until(view, &mark, &err), err);
    assert_int_equal(mark, 80);
    assert_ok(weir_window_set_expired_until(view, 60, &err), err);
    assert_string_equal(window_expire(txn, "k", 80, WEIR_EXPIRE_KEEP), "70-80=v 80-90=v");
    assert_ok(weir_window_set_expired_until(window_state(txn, S("k")), -1, &err), err);
    assert_string_equal(window_expire(txn, "k", 10, 0), "0-10=v 10-20=v");
    weir_txn_free(txn);
}

static void test_the_mark_of_quix_streams_without_open_sessions_is_beyond_all_times(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t mark;
    harness_append(h, "__expiration-index__", "__expired_start_gt__", "18446744073709551615", NULL);
    harness_append(h, "__expiration-index__", "k|__expired_start_gt__", "18446744073709551616",
                   NULL);
    window_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_window_expired_until(window_state(txn, S("")), &mark, &err), err);
    assert_int_equal(mark, INT64_MAX);
    assert_string_equal(window_expire_all(txn, 100, 10, 0), "");
    assert_int_equal(weir_window_expired_until(window_state(txn, S("k")), &mark, &err),
                     WEIR_CORRUPTED);
    weir_txn_free(txn);
}

/* Keys that are in each other's way: the separator, prefixes, the ends of the range of bytes. */
static const weir_slice odd_keys[] = {
    {"", 0},
    {"a", 1},
    {"a|", 2},
    {"a|a", 3},
    {"a||", 3},
    {"|", 1},
    {"||", 2},
    {"\0", 1},
    {"\0\0", 2},
    {"\xff", 1},
    {"\xff\xff", 2},
    {"a\0", 2},
    {"a\xff", 2},
    /* a, and what a window of "a" looks like: start 1, end 2 */
    {"a|\0\0\0\0\0\0\0\1", 10},
    {"a|\0\0\0\0\0\0\0\1|\0\0\0\0\0\0\0\2", 19},
    {"a|\0\0\0\0\0\0\0\1|\0\0\0\0\0\0\0\2|", 20},
    {"\0\0\0\0\0\0\0\1|\0\0\0\0\0\0\0\2", 17},
    {"a|\0\0\0\0\0\0\0", 9},
};
#define ODD_KEYS (sizeof odd_keys / sizeof *odd_keys)

static void update_odd(weir_txn *txn, size_t key, int64_t start)
{
    weir_error err;
    char value[16];
    int size = snprintf(value, sizeof value, "%zu", key);
    assert_ok(weir_window_update(window_state(txn, odd_keys[key]), start, start + 1,
                                 weir_slice_of(value, (size_t)size), start, &err),
              err);
}

/* What a call gave of the key: so many windows, each with its own value. */
static size_t count_odd(weir_windows *windows, size_t key)
{
    weir_error err;
    weir_window window;
    char value[16];
    size_t count = 0;
    snprintf(value, sizeof value, "%zu", key);
    while (weir_windows_next(windows, &window, &err) == WEIR_OK) {
        assert_true(weir_slice_equal(window.key, odd_keys[key]));
        assert_true(weir_slice_equal(window.value, S(value)));
        count++;
    }
    weir_windows_close(windows);
    return count;
}

/* Row 10 of the list of weak spots: a range of `a` gave, and retention deleted, rows of `a|…`. */
static void test_a_scan_of_a_key_never_sees_the_windows_of_another(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_windows *windows;
    weir_txn *txn = window_begin(h);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ODD_KEYS; i++)
            for (int64_t start = 0; start < 4; start++)
                update_odd(txn, i, start);
        if (round == 0)
            txn = window_reopen(h, txn);
    }
    for (size_t i = 0; i < ODD_KEYS; i++) {
        assert_ok(weir_window_range(window_state(txn, odd_keys[i]), -1, INT64_MAX, i % 2 == 0,
                                    &windows, &err),
                  err);
        assert_int_equal(count_odd(windows, i), 4);
    }
    for (size_t i = 0; i < ODD_KEYS; i++) {
        assert_ok(weir_window_expire(window_state(txn, odd_keys[i]), 1, 0, &windows, &err), err);
        assert_int_equal(count_odd(windows, i), 2);
        assert_ok(weir_window_delete_until(window_state(txn, odd_keys[i]), 2, false, &err), err);
    }
    txn = window_reopen(h, txn);
    for (size_t i = 0; i < ODD_KEYS; i++) {
        assert_ok(
            weir_window_range(window_state(txn, odd_keys[i]), -1, INT64_MAX, false, &windows, &err),
            err);
        assert_int_equal(count_odd(windows, i), 1);
    }
    weir_txn_free(txn);
}

/* Row 12: ranges of the empty key used a separator that its writes left out. */
static void test_windows_of_the_empty_key_are_found_and_expire(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "", 0, 10, "a", 5);
    window_update(txn, "", 10, 20, "b", 15);
    window_update(txn, "x", 0, 10, "c", 5);
    txn = window_reopen(h, txn);
    assert_string_equal(window_range(txn, "", -1, INT64_MAX, false), "0-10=a 10-20=b");
    assert_string_equal(window_expire(txn, "", 0, 0), "0-10=a");
    window_collect(txn, "", 12, "v");
    assert_string_equal(window_collected(txn, "", 0, 20), "v");
    txn = window_reopen(h, txn);
    assert_string_equal(window_expire(txn, "", 10, WEIR_EXPIRE_COLLECT), "10-20=b[v]");
    assert_string_equal(window_range(txn, "", -1, INT64_MAX, false), "");
    assert_string_equal(window_range(txn, "x", -1, INT64_MAX, false), "0-10=c");
    weir_txn_free(txn);
}

/* --- What is refused --- */

static void assert_refused(harness *h, weir_txn *txn, weir_status got, weir_status expected,
                           const weir_error *err, const char *what)
{
    assert_int_equal(got, expected);
    if (!strstr(err->message, what))
        fail_msg("\"%s\" does not say \"%s\"", err->message, what);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    /* The store does not mind. */
    txn = harness_begin(h);
    window_update(txn, "fine", 0, 10, "v", 1);
    harness_commit(h, txn, 1);
}

/* Row 13: a record timestamp of −1 broke the encoding. */
static void test_negative_times_are_refused_by_name_and_value(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    weir_txn *txn = window_begin(h);
    weir_status status = weir_window_update(window_state(txn, S("k")), 0, 10, S("v"), -1, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err,
                   "weir_window_update: timestamp_ms is -1, and must not be below 0");
    txn = harness_begin(h);
    status = weir_window_update(window_state(txn, S("k")), -5, 10, S("v"), 1, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err, "start_ms is -5");
    txn = harness_begin(h);
    status = weir_window_delete(window_state(txn, S("k")), -5, 10, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err, "weir_window_delete: start_ms is -5");
    txn = harness_begin(h);
    status = weir_window_advance_timestamp(window_state(txn, S("k")), -2, NULL, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err, "timestamp_ms is -2");
    txn = harness_begin(h);
    int64_t id = -3;
    status = weir_window_collect(window_state(txn, S("k")), &id, S("v"), NULL, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err, "weir_window_collect: id is -3");
    /* A read leaves the transaction as it is. */
    txn = harness_begin(h);
    assert_int_equal(weir_window_get(window_state(txn, S("k")), -5, 10, &value, &err),
                     WEIR_INVALID);
    assert_non_null(strstr(err.message, "weir_window_get: start_ms is -5"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    weir_txn_free(txn);
}

static void test_an_end_that_does_not_come_after_the_start_is_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    weir_txn *txn = window_begin(h);
    weir_status status = weir_window_update(window_state(txn, S("k")), 10, 10, S("v"), 1, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err,
                   "weir_window_update: end_ms is 10, and must come after start_ms, 10");
    txn = harness_begin(h);
    status = weir_window_delete(window_state(txn, S("k")), 10, 9, &err);
    assert_refused(h, txn, status, WEIR_INVALID, &err, "end_ms is 9");
    txn = harness_begin(h);
    assert_int_equal(weir_window_get(window_state(txn, S("k")), 10, 9, &value, &err), WEIR_INVALID);
    weir_txn_free(txn);
    txn = harness_begin(h);
    weir_windows *windows;
    status = weir_window_expire_all(txn, 10, 0, 0, &windows, &err);
    assert_null(windows);
    assert_refused(h, txn, status, WEIR_INVALID, &err, "step_ms is 0, and must be 1 or above");
}

static void test_keys_at_the_limit_of_length_work_and_beyond_it_are_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    char *long_key = malloc(WEIR_KEY_MAX_SIZE + 1);
    weir_txn *txn = window_begin(h);
    assert_non_null(long_key);
    memset(long_key, 'k', WEIR_KEY_MAX_SIZE + 1);
    bool is_lmdb = strstr(h->backend, "lmdb") != NULL; /* has a lower limit of its own */
    size_t most = is_lmdb ? 400 : WEIR_KEY_MAX_SIZE - 40;
    weir_slice key = weir_slice_of(long_key, most);
    assert_ok(weir_window_update(window_state(txn, key), 0, 10, S("v"), 1, &err), err);
    txn = window_reopen(h, txn);
    weir_slice value;
    assert_ok(weir_window_get(window_state(txn, key), 0, 10, &value, &err), err);
    weir_txn_free(txn);
    txn = harness_begin(h);
    key = weir_slice_of(long_key, WEIR_KEY_MAX_SIZE - 17);
    weir_status status = weir_window_update(window_state(txn, key), 0, 10, S("v"), 1, &err);
    assert_refused(h, txn, status, WEIR_TOO_LARGE, &err, "65536 bytes");
    free(long_key);
}

static void test_window_functions_need_a_windowed_store(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    weir_windows *windows;
    weir_txn *txn = harness_begin(h);
    assert_int_equal(weir_window_get(window_state(txn, S("k")), 0, 10, &value, &err), WEIR_INVALID);
    assert_non_null(
        strstr(err.message, "weir_window_get needs a windowed store, and this is a plain one"));
    assert_int_equal(weir_window_update(window_state(txn, S("k")), 0, 10, S("v"), 1, &err),
                     WEIR_INVALID);
    assert_int_equal(weir_window_expire_all(txn, 0, 1, 0, &windows, &err), WEIR_INVALID);
    assert_int_equal(weir_window_range(window_state(txn, S("k")), 0, 1, false, &windows, &err),
                     WEIR_INVALID);
    weir_txn_free(txn);
}

static void test_a_stored_mark_that_is_no_time_is_corrupted(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    weir_txn *txn = window_begin(h);
    int64_t latest;
    assert_ok(weir_partition_cf(h->partition, "__latest-timestamps__", &cf, &err), err);
    assert_ok(weir_txn_set(txn, cf, S("k"), S("__latest_timestamp__"), S("noon"), &err), err);
    assert_int_equal(weir_window_latest_timestamp(window_state(txn, S("k")), &latest, &err),
                     WEIR_CORRUPTED);
    assert_non_null(strstr(err.message, "__latest_timestamp__"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    weir_txn_free(txn);
}

static void test_a_failed_transaction_leaves_nothing_of_its_windows(void **state)
{
    harness *h = *state;
    weir_txn *txn = window_begin(h);
    window_update(txn, "k", 0, 10, "a", 5);
    window_update(txn, "k", 10, 20, "b", 15);
    txn = window_commit(h, txn);
    window_update(txn, "k", 0, 10, "A", 25);
    window_update(txn, "k", 20, 30, "C", 25);
    assert_string_equal(window_expire(txn, "k", 10, 0), "0-10=A 10-20=b");
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_int_equal(window_latest(txn, "k"), 15);
    assert_string_equal(window_expire(txn, "k", 10, 0), "0-10=a 10-20=b");
    assert_string_equal(window_range(txn, "k", -1, INT64_MAX, false), "");
    weir_txn_free(txn);
}

/* Bytes under keys of the program, beside windows and around their functions. */
static void test_plain_changes_to_a_windowed_store_are_seen_by_its_functions(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf marks;
    weir_txn *txn = window_begin(h);
    assert_ok(weir_partition_cf(h->partition, "__expiration-index__", &marks, &err), err);
    weir_state *view = window_state(txn, S("k"));
    assert_ok(weir_state_set_int(view, "mine", 7, &err), err);
    window_update(txn, "k", 0, 10, "a", 5);
    window_update(txn, "k", 10, 20, "b", 5);
    assert_string_equal(window_expire(txn, "k", 0, WEIR_EXPIRE_KEEP), "0-10=a");
    assert_string_equal(window_expire_all(txn, 10, 10, WEIR_EXPIRE_KEEP), "k:0-10=a");
    const weir_slice third = {"\0\0\0\0\0\0\0\5|\0\0\0\0\0\0\0\x19", 17};
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, S("k"), third, S("c"), &err), err);
    assert_ok(weir_txn_set(txn, marks, S("k"), S("__expired_start_gt__"), S("3"), &err), err);
    assert_string_equal(window_expire(txn, "k", 10, WEIR_EXPIRE_KEEP), "5-25=c 10-20=b");
    assert_string_equal(window_expire_all(txn, 25, 10, WEIR_EXPIRE_KEEP), "k:10-20=b k:5-25=c");
    int64_t mine;
    assert_ok(weir_state_get_int(window_state(txn, S("k")), "mine", 0, &mine, &err), err);
    assert_int_equal(mine, 7);
    weir_txn_free(txn);
}

int main(void)
{
    static const matrix_test tests[] = {
        MATRIX_TEST(test_a_window_is_found_by_its_start_and_end),
        MATRIX_TEST(test_a_range_takes_starts_after_from_and_up_to_to),
        MATRIX_TEST(test_changes_while_a_range_is_walked_neither_show_nor_do_harm),
        MATRIX_TEST(test_the_latest_timestamp_of_a_key_only_rises),
        MATRIX_TEST(test_hints_of_keys_to_come_change_nothing),
        MATRIX_TEST(test_the_timestamp_of_a_partition_is_that_of_the_empty_key),
        MATRIX_TEST(test_a_timestamp_that_is_not_later_goes_to_the_changelog_alone),
        MATRIX_TEST(test_transactions_that_overlap_store_what_they_append),
        MATRIX_TEST(test_a_mark_of_expiry_can_be_read_and_set),
        MATRIX_TEST(test_the_mark_of_quix_streams_without_open_sessions_is_beyond_all_times),
        MATRIX_TEST(test_a_scan_of_a_key_never_sees_the_windows_of_another),
        MATRIX_TEST(test_windows_of_the_empty_key_are_found_and_expire),
        MATRIX_TEST(test_negative_times_are_refused_by_name_and_value),
        MATRIX_TEST(test_an_end_that_does_not_come_after_the_start_is_refused),
        MATRIX_TEST(test_keys_at_the_limit_of_length_work_and_beyond_it_are_refused),
        MATRIX_TEST(test_window_functions_need_a_windowed_store),
        MATRIX_TEST(test_a_stored_mark_that_is_no_time_is_corrupted),
        MATRIX_TEST(test_a_failed_transaction_leaves_nothing_of_its_windows),
        MATRIX_TEST(test_plain_changes_to_a_windowed_store_are_seen_by_its_functions),
    };
    return matrix_run("windows", tests, sizeof tests / sizeof *tests);
}
