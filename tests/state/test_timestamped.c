/*
 * Timestamped stores on every backend: which value is the latest as of a time, retention,
 * duplicates, intervals, and keys that look like parts of others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"
#include "state/timestamped.h"

#define S weir_slice_str

/* Opens the harness anew with a timestamped store. */
static harness *with(void **state, int64_t grace_ms, bool keep_duplicates)
{
    harness *h = *state;
    harness_close(h);
    test_folder_remove(h->folder);
    h->folder = test_folder_new();
    h->store.kind = WEIR_STORE_TIMESTAMPED;
    h->store.grace_ms = grace_ms;
    h->store.keep_duplicates = keep_duplicates;
    harness_open(h);
    return h;
}

static void set_key(weir_txn *txn, weir_slice key, int64_t timestamp, const char *value)
{
    weir_error err;
    assert_ok(weir_timestamped_set(weir_txn_state(txn, key), timestamp, S(value), &err), err);
}

static void set(weir_txn *txn, int64_t timestamp, const char *value)
{
    set_key(txn, S("k"), timestamp, value);
}

/* expected NULL: there is none. */
static void assert_latest_of(weir_txn *txn, weir_slice key, int64_t timestamp, const char *expected,
                             int64_t expected_ms)
{
    weir_error err;
    weir_slice value;
    int64_t found;
    weir_status status =
        weir_timestamped_get_latest(weir_txn_state(txn, key), timestamp, &found, &value, &err);
    assert_int_equal(status, expected ? WEIR_OK : WEIR_NOT_FOUND);
    assert_int_equal(found, expected ? expected_ms : WEIR_TIME_NONE);
    if (expected && !weir_slice_equal(value, S(expected)))
        fail_msg("%.*s and not %s", (int)value.size, (const char *)value.data, expected);
}

static void assert_latest(weir_txn *txn, int64_t timestamp, const char *expected,
                          int64_t expected_ms)
{
    assert_latest_of(txn, S("k"), timestamp, expected, expected_ms);
}

static void assert_interval_of(weir_txn *txn, weir_slice key, int64_t start, int64_t end,
                               size_t limit, const char *expected)
{
    weir_error err;
    weir_interval *interval;
    weir_slice value;
    int64_t timestamp;
    char text[512] = "";
    weir_status status;
    assert_ok(
        weir_timestamped_get_interval(weir_txn_state(txn, key), start, end, limit, &interval, &err),
        err);
    while ((status = weir_interval_next(interval, &timestamp, &value, &err)) == WEIR_OK)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%lld=%.*s ",
                 (long long)timestamp, (int)value.size, (const char *)value.data);
    assert_int_equal(status, WEIR_NOT_FOUND);
    weir_interval_close(interval);
    assert_string_equal(text, expected);
}

static void assert_interval(weir_txn *txn, int64_t start, int64_t end, size_t limit,
                            const char *expected)
{
    assert_interval_of(txn, S("k"), start, end, limit, expected);
}

/* Rows of "default" in the dump. */
static int count_rows(harness *h)
{
    int rows = 0;
    char *dump = harness_dump(h);
    for (const char *at = dump; (at = strstr(at, "default/")) != NULL; at++)
        rows++;
    free(dump);
    return rows;
}

/* --- The latest --- */

static void assert_letters(weir_txn *txn)
{
    assert_latest(txn, 9, NULL, 0);
    assert_latest(txn, 10, "a", 10);
    assert_latest(txn, 19, "a", 10);
    assert_latest(txn, 20, "b", 20);
    assert_latest(txn, 29, "b", 20);
    assert_latest(txn, 30, "c", 30);
    assert_latest(txn, 1000, "c", 30);
    assert_latest(txn, INT64_MAX, "c", 30);
}

static void test_the_latest_value_as_of_a_time_is_found(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_txn *txn = harness_begin(h);
    assert_latest(txn, 10, NULL, 0);
    set(txn, 20, "b");
    set(txn, 10, "a");
    set(txn, 30, "c");
    assert_letters(txn);
    harness_commit(h, txn, 0);
    for (int i = 0; i < 2; i++) {
        txn = harness_begin(h);
        assert_letters(txn);
        weir_txn_free(txn);
        harness_reopen(h);
        harness_recover(h, WEIR_OFFSET_NONE);
    }
}

static void test_a_long_history_is_searched_where_it_is_not_remembered(void **state)
{
    harness *h = with(state, 1000000, false);
    char text[16];
    for (int part = 0; part < 3; part++) {
        weir_txn *txn = harness_begin(h);
        for (int i = part; i < 60; i += 3) {
            snprintf(text, sizeof text, "%d", i);
            set(txn, i * 10, text);
        }
        for (int i = part; i < 60; i += 3) {
            snprintf(text, sizeof text, "%d", i);
            assert_latest(txn, i * 10 + 3, text, i * 10);
        }
        if (part == 1)
            weir_txn_free(txn); /* what it saw does not count */
        else
            harness_commit(h, txn, part);
    }
    weir_txn *txn = harness_begin(h);
    for (int i = 0; i < 60; i++) {
        int last = i % 3 == 1 ? i - 1 : i;
        snprintf(text, sizeof text, "%d", last);
        assert_latest(txn, i * 10, text, last * 10);
    }
    weir_txn_free(txn);
}

static void assert_changed_history(weir_txn *txn)
{
    assert_latest(txn, 205, "late", 203);
    assert_latest(txn, 202, "19", 190);
    assert_latest(txn, 150, "15", 150);
    assert_latest(txn, 2000, "new", 1000);
}

static void test_a_search_meets_what_the_transaction_has_changed(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_error err;
    char text[16];
    weir_txn *txn = harness_begin(h);
    for (int i = 1; i < 60; i++) {
        snprintf(text, sizeof text, "%d", i);
        set(txn, i * 10, text);
    }
    harness_commit(h, txn, 0);
    txn = harness_begin(h);
    assert_latest(txn, 205, "20", 200);
    assert_latest(txn, 9, NULL, 0);
    set(txn, 1000, "new");
    assert_latest(txn, 205, "20", 200);
    set(txn, 203, "late");
    assert_latest(txn, 202, "20", 200);
    assert_ok(weir_timestamped_delete_interval(weir_txn_state(txn, S("k")), 195, 201, NULL, &err),
              err);
    assert_changed_history(txn);
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    assert_changed_history(txn);
    weir_txn_free(txn);
}

static void test_of_one_timestamp_the_last_value_counts(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_txn *txn = harness_begin(h);
    set(txn, 10, "a");
    set(txn, 10, "b");
    assert_latest(txn, 10, "b", 10);
    assert_interval(txn, 0, 100, WEIR_INTERVAL_ALL, "10=b ");
    harness_commit(h, txn, 0);
    txn = harness_begin(h);
    set(txn, 10, "c");
    assert_latest(txn, 10, "c", 10);
    harness_commit(h, txn, 0);
    assert_int_equal(count_rows(h), 1);

    h = with(state, 1000000, true);
    for (int i = 0; i < 2; i++) {
        txn = harness_begin(h);
        set(txn, 10, i == 0 ? "a" : "c");
        set(txn, 10, i == 0 ? "b" : "d");
        assert_latest(txn, 10, i == 0 ? "b" : "d", 10);
        harness_commit(h, txn, i);
        harness_reopen(h);
        harness_recover(h, WEIR_OFFSET_NONE);
    }
    txn = harness_begin(h);
    assert_latest(txn, 10, "d", 10);
    assert_interval(txn, 0, 100, WEIR_INTERVAL_ALL, "10=a 10=b 10=c 10=d ");
    assert_interval(txn, 0, 100, 3, "10=a 10=b 10=c ");
    weir_txn_free(txn);
}

static void test_a_value_that_was_read_can_be_set(void **state)
{
    harness *h = with(state, 1000000, true);
    weir_error err;
    weir_slice value;
    weir_txn *txn = harness_begin(h);
    set_key(txn, S("from"), 10, "a long enough value");
    harness_commit(h, txn, 0);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    txn = harness_begin(h);
    weir_state *view = weir_txn_state(txn, S("from"));
    assert_ok(weir_timestamped_get_latest(view, 10, NULL, &value, &err), err);
    assert_ok(weir_timestamped_set(weir_txn_state(txn, S("to")), 20, value, &err), err);
    assert_latest_of(txn, S("to"), 20, "a long enough value", 20);
    weir_txn_free(txn);
}

/* --- Retention --- */

static void test_the_retention_of_a_key_holds_across_transactions(void **state)
{
    harness *h = with(state, 100, false);
    weir_txn *txn = harness_begin(h);
    set(txn, 1000, "a");
    set(txn, 899, "too old");
    set(txn, 900, "b");
    assert_latest(txn, 899, NULL, 0);
    assert_latest(txn, 999, "b", 900);
    harness_commit(h, txn, 0);
    for (int i = 0; i < 3; i++) {
        txn = harness_begin(h);
        set(txn, 899, "too old");
        set(txn, 950 + i, "c");
        assert_latest(txn, 899, NULL, 0);
        assert_latest(txn, 901, "b", 900);
        harness_commit(h, txn, i);
        if (i == 1) {
            harness_reopen(h);
            harness_recover(h, WEIR_OFFSET_NONE);
        }
    }
    txn = harness_begin(h);
    set(txn, 1001, "d");
    assert_latest(txn, 940, NULL, 0); /* at once, and not when it is prepared */
    assert_interval(txn, 0, 2000, WEIR_INTERVAL_ALL, "950=c 951=c 952=c 1000=a 1001=d ");
    harness_commit(h, txn, 9);
    assert_int_equal(count_rows(h), 5);
}

static void test_expiry_of_many_values_deletes_these_alone(void **state)
{
    harness *h = with(state, 100, true);
    weir_txn *txn = harness_begin(h);
    for (int i = 0; i < 100; i++)
        set(txn, 1000 + i, "v");
    set_key(txn, S("other"), 1000, "v");
    harness_commit(h, txn, 0);
    assert_int_equal(count_rows(h), 101);
    txn = harness_begin(h);
    set(txn, 1150, "w");
    set(txn, 1140, "x");
    harness_commit(h, txn, 1);
    assert_int_equal(count_rows(h), 1 + 50 + 2);
    txn = harness_begin(h);
    set(txn, 5000, "y");
    harness_commit(h, txn, 2);
    assert_int_equal(count_rows(h), 1 + 1);
    harness_close(h);
    test_folder_remove(h->folder);
    h->folder = test_folder_new();
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(count_rows(h), 1 + 1);
    txn = harness_begin(h);
    assert_latest(txn, 4999, NULL, 0);
    assert_latest(txn, 5000, "y", 5000);
    assert_latest_of(txn, S("other"), 9000, "v", 1000);
    weir_txn_free(txn);
}

/* Retention looks for values from the oldest on that it knows to be there. Values that come late
 * may be older than this, in the transaction at hand or in one before; and what a transaction that
 * was given up has found out does not count. */
static void test_late_values_are_retained_and_expire_like_others(void **state)
{
    harness *h = with(state, 100, false);
    weir_txn *txn = harness_begin(h);
    for (int i = 1; i <= 50; i++)
        set(txn, 1000 + 2 * i, "v");
    harness_commit(h, txn, 0);
    assert_int_equal(count_rows(h), 50);
    txn = harness_begin(h); /* 1002 … 1020 go; 1022 is the oldest */
    set(txn, 1122, "w");
    harness_commit(h, txn, 1);
    assert_int_equal(count_rows(h), 41);

    weir_error err;
    const weir_topic_offset offset = {.topic = TEST_STREAM, .offset = 2};
    txn = harness_begin(h);
    set(txn, 1190, "given up");
    assert_ok(weir_txn_prepare(txn, &offset, 1, &err), err);
    weir_txn_free(txn);

    txn = harness_begin(h);
    set(txn, 1025, "late");
    harness_commit(h, txn, 2);
    txn = harness_begin(h);
    set(txn, 1023, "later than that");
    set(txn, 1124, "w"); /* 1022 and 1023 go */
    harness_commit(h, txn, 3);
    assert_int_equal(count_rows(h), 40 - 1 + 1 + 2);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    txn = harness_begin(h);
    set(txn, 1024, "b");
    assert_latest(txn, 1024, "b", 1024);
    assert_latest(txn, 1025, "late", 1025);
    harness_commit(h, txn, 4);
    txn = harness_begin(h);
    set(txn, 1190, "w"); /* all below 1090 */
    assert_latest(txn, 1089, NULL, 0);
    harness_commit(h, txn, 5);
    txn = harness_begin(h);
    assert_interval(txn, 0, 2000, WEIR_INTERVAL_ALL,
                    "1090=v 1092=v 1094=v 1096=v 1098=v 1100=v 1122=w 1124=w 1190=w ");
    weir_txn_free(txn);
    assert_int_equal(count_rows(h), 9);
}

static void count_read(void *arg)
{
    ++*(int *)arg;
}

static void no_read(void *arg)
{
    (void)arg;
}

/* An iterator, and an item for each value that goes and for the one that stays: never those that
 * went before, or that came. */
static void test_retention_reads_what_goes_and_no_more(void **state)
{
    harness *h = with(state, 100, false);
    for (int i = 0; i < 40; i++) {
        int reads = 0;
        weir_txn *txn = harness_begin(h);
        weir_partition_set_read_hooks(h->partition, count_read, no_read, &reads);
        for (int t = 0; t < 10; t++)
            set(txn, 10 * i + t, "v");
        harness_commit(h, txn, i);
        weir_partition_set_read_hooks(h->partition, NULL, NULL, NULL);
        if (i > 10 && reads > 1 + 10 + 1)
            fail_msg("%d reads in the transaction %d", reads, i);
    }
    assert_int_equal(count_rows(h), 101);
}

static void test_no_grace_keeps_the_newest_timestamp_alone(void **state)
{
    harness *h = with(state, 0, false);
    weir_txn *txn = harness_begin(h);
    set(txn, 10, "a");
    set(txn, 11, "b");
    set(txn, 10, "c");
    assert_latest(txn, 10, NULL, 0);
    assert_latest(txn, 11, "b", 11);
    harness_commit(h, txn, 0);
    assert_int_equal(count_rows(h), 1);
}

/* --- Intervals --- */

static void test_an_interval_has_its_start_and_not_its_end(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_error err;
    size_t deleted;
    weir_txn *txn = harness_begin(h);
    for (int i = 1; i <= 5; i++)
        set(txn, i * 10, "v");
    harness_commit(h, txn, 0);
    txn = harness_begin(h);
    set(txn, 25, "w");
    assert_interval(txn, 10, 30, WEIR_INTERVAL_ALL, "10=v 20=v 25=w ");
    assert_interval(txn, 11, 31, WEIR_INTERVAL_ALL, "20=v 25=w 30=v ");
    assert_interval(txn, -5, 11, WEIR_INTERVAL_ALL, "10=v ");
    assert_interval(txn, INT64_MIN, INT64_MAX, 2, "10=v 20=v ");
    assert_interval(txn, 0, 100, 0, "");
    assert_interval(txn, 30, 30, WEIR_INTERVAL_ALL, "");
    assert_interval(txn, 30, 20, WEIR_INTERVAL_ALL, "");
    assert_interval(txn, -10, 0, WEIR_INTERVAL_ALL, "");
    weir_state *view = weir_txn_state(txn, S("k"));
    assert_ok(weir_timestamped_delete_interval(view, 20, 40, &deleted, &err), err);
    assert_int_equal(deleted, 3);
    assert_ok(weir_timestamped_delete_interval(view, 20, 40, &deleted, &err), err);
    assert_int_equal(deleted, 0);
    assert_ok(weir_timestamped_delete_interval(view, 40, 20, NULL, &err), err);
    assert_interval(txn, 0, 100, WEIR_INTERVAL_ALL, "10=v 40=v 50=v ");
    assert_latest(txn, 39, "v", 10);
    harness_commit(h, txn, 1);
    assert_int_equal(count_rows(h), 3);
}

static void test_an_interval_is_as_of_its_opening(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_error err;
    weir_interval *interval;
    weir_slice value;
    int64_t timestamp;
    weir_txn *txn = harness_begin(h);
    set(txn, 10, "a");
    set(txn, 20, "b");
    weir_state *view = weir_txn_state(txn, S("k"));
    assert_ok(weir_timestamped_get_interval(view, 0, 100, WEIR_INTERVAL_ALL, &interval, &err), err);
    set(txn, 15, "x");
    set(txn, 20, "y");
    assert_ok(weir_timestamped_delete_interval(view, 10, 11, NULL, &err), err);
    assert_ok(weir_interval_next(interval, &timestamp, &value, &err), err);
    assert_int_equal(timestamp, 10);
    assert_ok(weir_interval_next(interval, &timestamp, &value, &err), err);
    assert_true(weir_slice_equal(value, S("b")));
    assert_int_equal(weir_interval_next(interval, NULL, &value, &err), WEIR_NOT_FOUND);
    weir_interval_close(interval);
    weir_txn_free(txn);
    weir_interval_close(NULL);
}

/* --- Keys --- */

static void test_a_key_never_sees_the_values_of_another(void **state)
{
    harness *h = with(state, 100, true);
    static const weir_slice keys[] = {
        {"", 0},
        {"|", 1},
        {"a", 1},
        {"a|", 2},
        {"aa", 2},
        {"a|\0\0\0\0\0\0\3\xe8", 10},
        {"a|\0\0\0\0\0\0\3\xe8|\0\0\0\0\0\0\0\0", 19},
        {"|\0\0\0\0\0\0\3\xe8|\0\0\0\0\0\0\0\1", 18},
        {"\xff\xff", 2},
        {"\xff", 1},
        {"\0", 1},
        {"\0\0", 2},
    };
    const size_t count = sizeof keys / sizeof *keys;
    for (int round = 0; round < 3; round++) {
        weir_txn *txn = harness_begin(h);
        for (size_t i = 0; i < count; i++) {
            char text[16];
            snprintf(text, sizeof text, "%zu", i);
            if (round < 2)
                set_key(txn, keys[i], 1000 + round, text);
        }
        for (size_t i = 0; i < count; i++) {
            char text[64];
            snprintf(text, sizeof text, "%zu", i);
            assert_latest_of(txn, keys[i], 1000, text, 1000);
            assert_latest_of(txn, keys[i], 999, NULL, 0);
            snprintf(text, sizeof text, "1000=%zu %s", i, round > 0 ? "1001=" : "");
            if (round > 0)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%zu ", i);
            assert_interval_of(txn, keys[i], 0, 5000, WEIR_INTERVAL_ALL, text);
        }
        harness_commit(h, txn, round);
    }
    /* Retention of one leaves the rows of the others. */
    weir_txn *txn = harness_begin(h);
    set_key(txn, S("a"), 5000, "new");
    set_key(txn, keys[0], 5000, "new");
    harness_commit(h, txn, 9);
    assert_int_equal(count_rows(h), (int)(count - 2) * 2 + 2);
    txn = harness_begin(h);
    assert_latest_of(txn, S("a"), 4000, NULL, 0);
    assert_latest_of(txn, keys[5], 4000, "5", 1001);
    weir_txn_free(txn);
}

/* --- Transactions --- */

static void test_what_a_failed_transaction_set_does_not_count(void **state)
{
    harness *h = with(state, 100, false);
    weir_txn *txn = harness_begin(h);
    set(txn, 1000, "a");
    harness_commit(h, txn, 0);
    txn = harness_begin(h);
    set(txn, 9000, "far");
    assert_latest(txn, 9000, "far", 9000);
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_latest(txn, 9000, "a", 1000);
    set(txn, 990, "b");
    assert_latest(txn, 995, "b", 990);
    weir_txn_free(txn);
}

static void test_transactions_that_overlap_see_what_was_flushed(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_txn *a = harness_begin(h);
    set(a, 10, "a");
    harness_commit(h, a, 0);
    a = harness_begin(h);
    weir_txn *b = harness_begin(h);
    assert_latest(a, 100, "a", 10);
    set(a, 15, "own");
    set(b, 20, "b");
    assert_latest(a, 100, "own", 15);
    harness_commit(h, b, 1);
    assert_latest(a, 100, "b", 20);
    set(a, 30, "c");
    harness_commit(h, a, 2);
    a = harness_begin(h);
    assert_interval(a, 0, 100, WEIR_INTERVAL_ALL, "10=a 15=own 20=b 30=c ");
    assert_latest(a, 25, "b", 20);
    weir_txn_free(a);
}

static void test_rows_that_are_changed_by_hand_are_seen(void **state)
{
    harness *h = with(state, 1000000, false);
    weir_error err;
    const weir_slice none = {NULL, 0};
    weir_txn *txn = harness_begin(h);
    set(txn, 10, "a");
    assert_latest(txn, 100, "a", 10);
    weir_slice key = weir_slice_of("k|\0\0\0\0\0\0\0\x14|\0\0\0\0\0\0\0\0", 19);
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, none, key, S("by hand"), &err), err);
    assert_latest(txn, 100, "by hand", 20);
    assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, none, key, &err), err);
    assert_latest(txn, 100, "a", 10);
    weir_txn_free(txn);
}

/* --- Bytes --- */

static void test_the_bytes_are_those_of_quix_streams(void **state)
{
    harness *h = with(state, 100, true);
    weir_txn *txn = harness_begin(h);
    set(txn, 1000, "a");
    set(txn, 1000, "b");
    set_key(txn, S(""), 5, "c");
    harness_commit(h, txn, 0);
    char *dump = harness_dump(h);
    assert_string_equal(dump, "__global-counter__/|__global_counter__=2\n"
                              "__min-eligible-timestamps__/k|__min_eligible_timestamps__="
                              "\\x00\\x00\\x00\\x00\\x00\\x00\\x03\\x84\n"
                              "__min-eligible-timestamps__/|__min_eligible_timestamps__="
                              "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\n"
                              "default/k|\\x00\\x00\\x00\\x00\\x00\\x00\\x03\\xe8|"
                              "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00=a\n"
                              "default/k|\\x00\\x00\\x00\\x00\\x00\\x00\\x03\\xe8|"
                              "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01=b\n"
                              "default/|\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x05|"
                              "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02=c\n");
    free(dump);
}

/* --- Bad input --- */

static void test_bad_timestamps_fail_the_transaction_and_not_the_store(void **state)
{
    harness *h = with(state, 100, false);
    weir_error err;
    weir_slice value;
    int64_t found;
    weir_txn *txn = harness_begin(h);
    weir_state *view = weir_txn_state(txn, S("k"));
    assert_int_equal(weir_timestamped_get_latest(view, -1, &found, &value, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "weir_timestamped_get_latest: timestamp_ms is -1"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    assert_int_equal(weir_timestamped_set(view, -5, S("v"), &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "weir_timestamped_set: timestamp_ms is -5"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    assert_int_equal(weir_timestamped_set(view, 5, S("v"), &err), WEIR_TXN_FAILED);
    weir_txn_free(txn);
    txn = harness_begin(h);
    set(txn, INT64_MAX, "last");
    assert_latest(txn, INT64_MAX, "last", INT64_MAX);
    assert_latest(txn, INT64_MAX - 1, NULL, 0);
    weir_txn_free(txn);
}

static void test_a_key_may_be_as_long_as_the_limit_allows(void **state)
{
    harness *h = with(state, 100, false);
    weir_error err;
    char *key = malloc(WEIR_KEY_MAX_SIZE);
    assert_non_null(key);
    memset(key, 'k', WEIR_KEY_MAX_SIZE);
    weir_txn *txn = harness_begin(h);
    weir_slice longest = weir_slice_of(key, WEIR_KEY_MAX_SIZE - 28);
    if (strstr(h->backend, "lmdb") == NULL) {
        set_key(txn, longest, 10, "a");
        assert_latest_of(txn, longest, 10, "a", 10);
    }
    weir_state *view = weir_txn_state(txn, weir_slice_of(key, WEIR_KEY_MAX_SIZE - 27));
    assert_int_equal(weir_timestamped_set(view, 10, S("v"), &err), WEIR_TOO_LARGE);
    weir_txn_free(txn);
    free(key);
}

static void test_another_kind_of_store_is_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    weir_interval *interval;
    weir_txn *txn = harness_begin(h);
    weir_state *view = weir_txn_state(txn, S("k"));
    assert_int_equal(weir_timestamped_get_latest(view, 1, NULL, &value, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "needs a timestamped store"));
    assert_int_equal(weir_timestamped_get_interval(view, 1, 2, 1, &interval, &err), WEIR_INVALID);
    assert_int_equal(weir_timestamped_delete_interval(view, 1, 2, NULL, &err), WEIR_INVALID);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
}

/* --- Faults --- */

static void test_a_checkpoint_that_fails_leaves_all_as_it_was(void **state)
{
    harness *h = with(state, 100, false);
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set(txn, 1000, "a");
    set(txn, 1050, "b");
    harness_commit(h, txn, 0);
    for (int i = 1; i <= 3; i++) { /* the value, the minimum, what has expired */
        txn = harness_begin(h);
        set(txn, 1140, "c");
        assert_latest(txn, 1045, NULL, 0);
        h->knobs.fail_at[TEST_CHANGELOG_APPEND] = h->knobs.calls[TEST_CHANGELOG_APPEND] + i;
        h->knobs.status = WEIR_IO;
        assert_int_equal(harness_try_commit(h, txn, 1, &err), WEIR_IO);
        h->knobs.fail_at[TEST_CHANGELOG_APPEND] = 0;
        assert_int_equal(count_rows(h), 2);
        txn = harness_begin(h);
        assert_latest(txn, 1045, "a", 1000);
        assert_latest(txn, 2000, "b", 1050);
        weir_txn_free(txn);
    }
    harness_reopen(h);
    harness_recover(h, 1); /* what failed comes again */
    txn = harness_begin(h);
    set(txn, 1140, "c");
    harness_commit(h, txn, 1);
    assert_int_equal(count_rows(h), 2);
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_the_latest_value_as_of_a_time_is_found),
        MATRIX_TEST(test_a_long_history_is_searched_where_it_is_not_remembered),
        MATRIX_TEST(test_a_search_meets_what_the_transaction_has_changed),
        MATRIX_TEST(test_of_one_timestamp_the_last_value_counts),
        MATRIX_TEST(test_a_value_that_was_read_can_be_set),
        MATRIX_TEST(test_the_retention_of_a_key_holds_across_transactions),
        MATRIX_TEST(test_expiry_of_many_values_deletes_these_alone),
        MATRIX_TEST(test_late_values_are_retained_and_expire_like_others),
        MATRIX_TEST(test_retention_reads_what_goes_and_no_more),
        MATRIX_TEST(test_no_grace_keeps_the_newest_timestamp_alone),
        MATRIX_TEST(test_an_interval_has_its_start_and_not_its_end),
        MATRIX_TEST(test_an_interval_is_as_of_its_opening),
        MATRIX_TEST(test_a_key_never_sees_the_values_of_another),
        MATRIX_TEST(test_what_a_failed_transaction_set_does_not_count),
        MATRIX_TEST(test_transactions_that_overlap_see_what_was_flushed),
        MATRIX_TEST(test_rows_that_are_changed_by_hand_are_seen),
        MATRIX_TEST(test_the_bytes_are_those_of_quix_streams),
        MATRIX_TEST(test_bad_timestamps_fail_the_transaction_and_not_the_store),
        MATRIX_TEST(test_a_key_may_be_as_long_as_the_limit_allows),
        MATRIX_TEST(test_another_kind_of_store_is_refused),
        MATRIX_TEST(test_a_checkpoint_that_fails_leaves_all_as_it_was),
    };
    return matrix_run("timestamped", tests, sizeof tests / sizeof *tests);
}
