/*
 * The conformance suite of the state layer, second part: iteration. Each test runs on each
 * backend that is built in, also through the decorators.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_conformance.h"

/* --- Iteration --- */

static weir_iter_options bounds(const char *lower, const char *upper, bool reverse)
{
    weir_iter_options options = {.struct_size = sizeof(options), .reverse = reverse};
    if (lower != NULL) {
        options.has_lower = true;
        options.lower = bytes(lower);
    }
    if (upper != NULL) {
        options.has_upper = true;
        options.upper = bytes(upper);
    }
    return options;
}

/* Items as "key=value …", with bytes that don't print as they are. */
static void assert_items(weir_txn *txn, const weir_iter_options *options, const char *expected)
{
    weir_error err;
    weir_iter *iter;
    weir_slice key;
    weir_slice value;
    char text[1024];
    size_t size = 0;
    text[0] = '\0';
    assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, options, &iter, &err), err);
    weir_status status;
    while ((status = weir_iter_next(iter, &key, &value, &err)) == WEIR_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s=%.*s ", (int)key.size,
                                 (const char *)key.data, (int)value.size, (const char *)value.data);
    assert_int_equal(status, WEIR_NOT_FOUND);
    assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
    assert_int_equal(key.size, 0);
    weir_iter_close(iter);
    assert_string_equal(text, expected);
}

static void assert_range(weir_txn *txn, const char *lower, const char *upper, const char *forward,
                         const char *backward)
{
    weir_iter_options options = bounds(lower, upper, false);
    assert_items(txn, &options, forward);
    options.reverse = true;
    assert_items(txn, &options, backward);
}

static void put_letters(harness *h)
{
    weir_txn *txn = harness_begin(h);
    set_text(txn, "b", "1");
    set_text(txn, "d", "2");
    set_text(txn, "dd", "3");
    set_text(txn, "f", "4");
    harness_commit(h, txn, 0);
}

static void assert_letter_ranges(weir_txn *txn)
{
    assert_items(txn, NULL, "b=1 d=2 dd=3 f=4 ");
    assert_range(txn, NULL, NULL, "b=1 d=2 dd=3 f=4 ", "f=4 dd=3 d=2 b=1 ");
    assert_range(txn, "b", "f", "b=1 d=2 dd=3 ", "dd=3 d=2 b=1 ");
    assert_range(txn, "c", "e", "d=2 dd=3 ", "dd=3 d=2 ");
    assert_range(txn, "d", "dd", "d=2 ", "d=2 ");
    assert_range(txn, "dd", NULL, "dd=3 f=4 ", "f=4 dd=3 ");
    assert_range(txn, NULL, "d", "b=1 ", "b=1 ");
    assert_range(txn, "", NULL, "b=1 d=2 dd=3 f=4 ", "f=4 dd=3 d=2 b=1 ");
    assert_range(txn, "g", NULL, "", "");
    assert_range(txn, NULL, "", "", "");
    assert_range(txn, "d", "d", "", "");
    assert_range(txn, "f", "b", "", "");
}

static void test_iteration_keeps_to_its_bounds_in_both_directions(void **state)
{
    harness *h = *state;
    put_letters(h);
    weir_txn *txn = harness_begin(h);
    assert_letter_ranges(txn);
    weir_txn_free(txn);
}

static void test_iteration_over_uncommitted_changes_alone_is_the_same(void **state)
{
    harness *h = *state;
    weir_txn *txn = harness_begin(h);
    set_text(txn, "f", "4");
    set_text(txn, "dd", "3");
    set_text(txn, "b", "0");
    set_text(txn, "d", "2");
    set_text(txn, "b", "1");
    delete_text(txn, "e");
    assert_letter_ranges(txn);
    weir_txn_free(txn);
}

static void test_uncommitted_changes_are_merged_in_order(void **state)
{
    harness *h = *state;
    put_letters(h);
    weir_txn *txn = harness_begin(h);
    set_text(txn, "a", "new");
    set_text(txn, "d", "changed");
    delete_text(txn, "dd");
    set_text(txn, "e", "new");
    delete_text(txn, "never was");
    set_text(txn, "g", "new");
    delete_text(txn, "f");
    set_text(txn, "f", "again");
    assert_range(txn, NULL, NULL, "a=new b=1 d=changed e=new f=again g=new ",
                 "g=new f=again e=new d=changed b=1 a=new ");
    assert_range(txn, "b", "f", "b=1 d=changed e=new ", "e=new d=changed b=1 ");
    delete_text(txn, "a");
    delete_text(txn, "b");
    delete_text(txn, "d");
    delete_text(txn, "e");
    delete_text(txn, "f");
    delete_text(txn, "g");
    assert_range(txn, NULL, NULL, "", "");
    weir_txn_free(txn);
}

static void test_changes_made_while_iterating_do_not_show(void **state)
{
    harness *h = *state;
    put_letters(h);
    for (int reverse = 0; reverse < 2; reverse++) {
        static const char *const keys[2][4] = {{"b", "d", "dd", "f"}, {"f", "dd", "d", "b"}};
        weir_error err;
        weir_iter *iter;
        weir_iter_options options = bounds(NULL, NULL, reverse);
        weir_slice key;
        weir_slice value;
        weir_txn *txn = harness_begin(h);
        assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, &options, &iter, &err), err);
        for (int i = 0; i < 4; i++) {
            assert_ok(weir_iter_next(iter, &key, &value, &err), err);
            assert_true(weir_slice_equal(key, bytes(keys[reverse][i])));
            assert_int_not_equal(value.size, 0);
            for (int c = 'a'; c <= 'g'; c++) {
                char name[2] = {(char)c, '\0'};
                if (c % 2 == 0)
                    delete_text(txn, name);
                else
                    set_text(txn, name, "made while iterating");
            }
        }
        assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
        weir_iter_close(iter);
        assert_range(txn, "a", "b", "a=made while iterating ", "a=made while iterating ");
        weir_txn_free(txn);
    }
}

/* Keys of all kinds of bytes, in order. */
static const weir_slice odd_keys[] = {
    {"", 0},     {"\0", 1},     {"\0\0", 2},     {"\0\xff", 2},       {"\1", 1},
    {"a", 1},    {"a\0", 2},    {"a\0b", 3},     {"a|", 2},           {"a|b", 3},
    {"a||", 3},  {"b", 1},      {"\x7f", 1},     {"\x80", 1},         {"\xfe\xff", 2},
    {"\xff", 1}, {"\xff\0", 2}, {"\xff\xff", 2}, {"\xff\xff\xff", 3},
};
#define ODD_KEYS (sizeof(odd_keys) / sizeof(odd_keys[0]))

static void assert_odd_range(weir_txn *txn, size_t from, size_t to, bool reverse)
{
    weir_error err;
    weir_iter_options options = {
        .struct_size = sizeof(options),
        .has_lower = true,
        .lower = odd_keys[from],
        .has_upper = to < ODD_KEYS,
        .upper = to < ODD_KEYS ? odd_keys[to] : no_prefix,
        .reverse = reverse,
    };
    weir_iter *iter;
    weir_slice key;
    weir_slice value;
    assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, &options, &iter, &err), err);
    for (size_t i = from; i < to; i++) {
        size_t expected = reverse ? to - 1 - (i - from) : i;
        assert_ok(weir_iter_next(iter, &key, &value, &err), err);
        assert_true(weir_slice_equal(key, odd_keys[expected]));
        assert_true(weir_slice_equal(value, weir_slice_of(&expected, sizeof(expected))));
    }
    assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
    weir_iter_close(iter);
}

static void test_any_bytes_are_keys_and_bounds_in_the_order_of_unsigned_bytes(void **state)
{
    harness *h = *state;
    for (int committed = 0; committed < 2; committed++) {
        /* First every second key is committed, the others are changes; then all are. */
        weir_txn *txn = harness_begin(h);
        for (size_t i = (size_t)committed; i < ODD_KEYS; i += 2)
            set(txn, odd_keys[i], weir_slice_of(&i, sizeof(i)));
        harness_commit(h, txn, committed);
        txn = harness_begin(h);
        for (size_t i = 1; i < ODD_KEYS && committed == 0; i += 2)
            set(txn, odd_keys[i], weir_slice_of(&i, sizeof(i)));
        for (size_t from = 0; from < ODD_KEYS; from++) {
            for (size_t to = 0; to <= ODD_KEYS; to++) {
                assert_odd_range(txn, from, to, false);
                assert_odd_range(txn, from, to, true);
            }
        }
        weir_txn_free(txn);
    }
    restart(h);
    weir_txn *txn = harness_begin(h);
    assert_odd_range(txn, 0, ODD_KEYS, false);
    assert_odd_range(txn, 0, ODD_KEYS, true);
    weir_txn_free(txn);
}

int main(void)
{
    static const conformance_case cases[] = {
        CASE(test_iteration_keeps_to_its_bounds_in_both_directions),
        CASE(test_iteration_over_uncommitted_changes_alone_is_the_same),
        CASE(test_uncommitted_changes_are_merged_in_order),
        CASE(test_changes_made_while_iterating_do_not_show),
        CASE(test_any_bytes_are_keys_and_bounds_in_the_order_of_unsigned_bytes),
    };
    return conformance_run(cases, sizeof(cases) / sizeof(cases[0]));
}
