/*
 * The state view: typed values under text keys, in the bytes of Quix Streams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"

#define S weir_slice_str

typedef struct view {
    harness *h;
    weir_txn *txn;
    weir_state *state;
} view;

static view open_view(harness *h, const char *prefix)
{
    view v = {.h = h, .txn = harness_begin(h)};
    char *copy = strdup(prefix);
    v.state = weir_txn_state(v.txn, S(copy));
    assert_non_null(v.state);
    memset(copy, '!', strlen(copy)); /* the prefix was copied */
    free(copy);
    return v;
}

static void assert_dump(harness *h, const char *expected)
{
    char *dump = harness_dump(h);
    assert_string_equal(dump, expected);
    free(dump);
}

static void test_typed_values_have_the_bytes_of_quix_streams(void **state)
{
    weir_error err;
    view v = open_view(*state, "N14228");
    assert_ok(weir_state_set_int(v.state, "flights", -42, &err), err);
    assert_ok(weir_state_set_double(v.state, "mean", 1.0, &err), err);
    assert_ok(weir_state_set_string(v.state, "last", S("caf\xc3\xa9 \"x\"\n"), &err), err);
    assert_ok(weir_state_set_json(v.state, "json", S(" { \"b\" : [ 1 , 2.50 ] } "), &err), err);
    assert_ok(weir_state_set_bytes(v.state, "raw", S("as it is"), &err), err);
    assert_ok(weir_state_set(v.state, S("bytes"), S("too"), &err), err);
    assert_ok(weir_state_set_int(v.state, "say \"\xc3\xa9\"", 1, &err), err);
    harness_commit(v.h, v.txn, 1);
    assert_dump(v.h, "default/N14228|\"flights\"=-42\n"
                     "default/N14228|\"json\"={\"b\":[1,2.5]}\n"
                     "default/N14228|\"last\"=\"caf\\xc3\\xa9 \\x5c\"x\\x5c\"\\x5cn\"\n"
                     "default/N14228|\"mean\"=1.0\n"
                     "default/N14228|\"raw\"=as it is\n"
                     "default/N14228|\"say \\x5c\"\\xc3\\xa9\\x5c\"\"=1\n"
                     "default/N14228|bytes=too\n");
}

static void test_typed_values_come_back(void **state)
{
    weir_error err;
    int64_t integer;
    double number;
    weir_slice text;
    bool exists;
    for (int committed = 0; committed < 2; committed++) {
        view v = open_view(*state, "p");
        assert_ok(weir_state_set_int(v.state, "int", INT64_MIN, &err), err);
        assert_ok(weir_state_set_double(v.state, "double", 0.1, &err), err);
        assert_ok(weir_state_set_string(v.state, "string", S("a \"b\" \xf0\x9f\x9b\xab"), &err),
                  err);
        assert_ok(weir_state_set_json(v.state, "json", S("[null, true]"), &err), err);
        assert_ok(weir_state_set_bytes(v.state, "bytes", weir_slice_of("\0\xff", 2), &err), err);
        if (committed) {
            harness_commit(v.h, v.txn, 1);
            v = open_view(*state, "p");
        }
        assert_ok(weir_state_get_int(v.state, "int", 0, &integer, &err), err);
        assert_true(integer == INT64_MIN);
        assert_ok(weir_state_get_double(v.state, "double", 0, &number, &err), err);
        assert_true(number == 0.1);
        assert_ok(weir_state_get_string(v.state, "string", S(""), &text, &err), err);
        assert_true(weir_slice_equal(text, S("a \"b\" \xf0\x9f\x9b\xab")));
        assert_ok(weir_state_get_json(v.state, "json", &text, &err), err);
        assert_true(weir_slice_equal(text, S("[null,true]")));
        assert_ok(weir_state_get_bytes(v.state, "bytes", &text, &err), err);
        assert_true(weir_slice_equal(text, weir_slice_of("\0\xff", 2)));
        assert_ok(weir_state_exists(v.state, "int", &exists, &err), err);
        assert_true(exists);
        assert_ok(weir_state_remove(v.state, "int", &err), err);
        assert_ok(weir_state_exists(v.state, "int", &exists, &err), err);
        assert_false(exists);
        weir_txn_free(v.txn);
    }
}

static void test_an_absent_key_gives_the_default_or_not_found(void **state)
{
    weir_error err;
    int64_t integer;
    double number;
    weir_slice value;
    view v = open_view(*state, "p");
    assert_ok(weir_state_get_int(v.state, "k", 7, &integer, &err), err);
    assert_int_equal(integer, 7);
    assert_ok(weir_state_get_double(v.state, "k", 1.5, &number, &err), err);
    assert_true(number == 1.5);
    assert_ok(weir_state_get_string(v.state, "k", S("none"), &value, &err), err);
    assert_true(weir_slice_equal(value, S("none")));
    assert_int_equal(weir_state_get_json(v.state, "k", &value, &err), WEIR_NOT_FOUND);
    assert_int_equal(weir_state_get_bytes(v.state, "k", &value, &err), WEIR_NOT_FOUND);
    assert_int_equal(weir_state_get(v.state, S("k"), &value, &err), WEIR_NOT_FOUND);
    weir_txn_free(v.txn);
}

static void test_integers_of_every_length_and_form_are_read(void **state)
{
    static const struct {
        const char *json;
        int64_t value;
    } cases[] = {
        {"0", 0},
        {"-1", -1},
        {"-0", 0},
        {"999999999999999999", 999999999999999999},
        {"1000000000000000000", 1000000000000000000},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {" 12 ", 12},
    };
    weir_error err;
    int64_t value;
    view v = open_view(*state, "p");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(weir_state_set_bytes(v.state, "k", S(cases[i].json), &err), err);
        assert_ok(weir_state_get_int(v.state, "k", 99, &value, &err), err);
        assert_true(value == cases[i].value);
    }
    weir_txn_free(v.txn);
}

static void test_a_value_of_another_type_is_told_and_the_transaction_goes_on(void **state)
{
    static const char *const wrong[] = {"",    "-",  "01",   "1.5",  "\"1\"",
                                        "abc", "1x", "null", "true", "9223372036854775808"};
    weir_error err;
    int64_t integer;
    double number;
    weir_slice text;
    view v = open_view(*state, "p");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_ok(weir_state_set_bytes(v.state, "count", S(wrong[i]), &err), err);
        assert_int_equal(weir_state_get_int(v.state, "count", 5, &integer, &err),
                         WEIR_SERIALIZATION);
        assert_int_equal(integer, 5);
        assert_non_null(strstr(err.message, "\"count\""));
        assert_non_null(strstr(err.message, "store=default"));
    }
    assert_ok(weir_state_set_bytes(v.state, "count", S("[1]"), &err), err);
    assert_int_equal(weir_state_get_double(v.state, "count", 2, &number, &err), WEIR_SERIALIZATION);
    assert_true(number == 2);
    assert_int_equal(weir_state_get_string(v.state, "count", S("d"), &text, &err),
                     WEIR_SERIALIZATION);
    assert_true(weir_slice_equal(text, S("d")));
    assert_int_equal(weir_txn_get_status(v.txn), WEIR_TXN_STARTED);
    weir_txn_free(v.txn);
}

static void test_an_integer_is_read_as_a_double(void **state)
{
    weir_error err;
    double number;
    view v = open_view(*state, "p");
    assert_ok(weir_state_set_int(v.state, "k", -3, &err), err);
    assert_ok(weir_state_get_double(v.state, "k", 0, &number, &err), err);
    assert_true(number == -3.0);
    weir_txn_free(v.txn);
}

static void test_what_has_no_json_fails_the_set_and_the_transaction(void **state)
{
    weir_error err;
    for (int i = 0; i < 5; i++) {
        view v = open_view(*state, "p");
        weir_status status = WEIR_OK;
        if (i == 0)
            status = weir_state_set_double(v.state, "mean", NAN, &err);
        else if (i == 1)
            status = weir_state_set_double(v.state, "mean", -INFINITY, &err);
        else if (i == 2)
            status = weir_state_set_string(v.state, "mean", S("\xff not UTF-8"), &err);
        else if (i == 3)
            status = weir_state_set_json(v.state, "mean", S("{\"a\":"), &err);
        else
            status = weir_state_set_int(v.state, "mean\xff", 1, &err);
        assert_int_equal(status, WEIR_SERIALIZATION);
        assert_true(strlen(err.message) > 10);
        if (i < 4)
            assert_non_null(strstr(err.message, "\"mean\""));
        assert_int_equal(weir_txn_get_status(v.txn), WEIR_TXN_FAILED_STATUS);
        assert_int_equal(weir_state_set_int(v.state, "k", 1, &err), WEIR_TXN_FAILED);
        weir_txn_free(v.txn);
    }
}

static void test_a_bad_value_for_a_prepared_transaction_leaves_it_prepared(void **state)
{
    weir_error err;
    view v = open_view(*state, "p");
    assert_ok(weir_state_set_int(v.state, "k", 1, &err), err);
    assert_ok(weir_txn_prepare(v.txn, NULL, 0, &err), err);
    assert_int_equal(weir_state_set_double(v.state, "k", NAN, &err), WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_get_status(v.txn), WEIR_TXN_PREPARED);
    assert_ok(weir_txn_flush(v.txn, 0, &err), err);
    weir_txn_free(v.txn);
}

static void test_each_prefix_has_its_own_keys_and_the_empty_one_no_separator(void **state)
{
    weir_error err;
    harness *h = *state;
    int64_t value;
    view v = open_view(h, "a");
    assert_ok(weir_state_set_int(v.state, "k", 1, &err), err);
    v.state = weir_txn_state(v.txn, S("bb"));
    assert_ok(weir_state_get_int(v.state, "k", 0, &value, &err), err);
    assert_int_equal(value, 0);
    assert_ok(weir_state_set_int(v.state, "k", 2, &err), err);
    v.state = weir_txn_state(v.txn, S(""));
    assert_ok(weir_state_set_int(v.state, "k", 3, &err), err);
    v.state = weir_txn_state(v.txn, S("a"));
    assert_ok(weir_state_get_int(v.state, "k", 0, &value, &err), err);
    assert_int_equal(value, 1);
    harness_commit(h, v.txn, 1);
    assert_dump(h, "default/\"k\"=3\ndefault/a|\"k\"=1\ndefault/bb|\"k\"=2\n");
}

static void test_a_prefix_that_is_too_long_is_told_at_the_first_use(void **state)
{
    weir_error err;
    harness *h = *state;
    weir_slice value;
    size_t size = WEIR_KEY_MAX_SIZE;
    char *bytes = calloc(1, size + 1);
    memset(bytes, 'x', size);
    weir_txn *txn = harness_begin(h);
    weir_state *view_of_it = weir_txn_state(txn, weir_slice_of(bytes, size));
    assert_non_null(view_of_it);
    assert_int_equal(weir_state_get_bytes(view_of_it, "k", &value, &err), WEIR_TOO_LARGE);
    assert_int_equal(weir_state_set_int(view_of_it, "k", 1, &err), WEIR_TOO_LARGE);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    free(bytes);
}

static void test_a_value_that_was_handed_out_may_be_set_again(void **state)
{
    weir_error err;
    harness *h = *state;
    weir_slice value;
    view v = open_view(h, "p");
    assert_ok(weir_state_set_json(v.state, "from", S("{\"list\": [1, 2, 3]}"), &err), err);
    assert_ok(weir_state_set_string(v.state, "text", S("hello"), &err), err);
    harness_commit(h, v.txn, 1);
    v = open_view(h, "p");
    assert_ok(weir_state_get_json(v.state, "from", &value, &err), err);
    assert_ok(weir_state_set_json(v.state, "from", value, &err), err);
    assert_ok(weir_state_get_bytes(v.state, "from", &value, &err), err);
    assert_ok(weir_state_set_bytes(v.state, "to", value, &err), err);
    assert_ok(weir_state_get_string(v.state, "text", S(""), &value, &err), err);
    assert_ok(weir_state_set_string(v.state, "text", value, &err), err);
    harness_commit(h, v.txn, 2);
    assert_dump(h, "default/p|\"from\"={\"list\":[1,2,3]}\n"
                   "default/p|\"text\"=\"hello\"\n"
                   "default/p|\"to\"={\"list\":[1,2,3]}\n");
}

static void test_random_typed_values_come_back_as_they_were(void **state)
{
    weir_error err;
    harness *h = *state;
    test_random random = {test_seed(7)};
    printf("seed %llu\n", (unsigned long long)random.state);
    view v = open_view(h, "p");
    for (int i = 0; i < 20000; i++) {
        int64_t integer = (int64_t)test_random_next(&random) >> test_random_below(&random, 64);
        int64_t got;
        assert_ok(weir_state_set_int(v.state, "i", integer, &err), err);
        assert_ok(weir_state_get_int(v.state, "i", 0, &got, &err), err);
        assert_true(got == integer);
        uint64_t bits = test_random_next(&random);
        double number;
        double back;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        assert_ok(weir_state_set_double(v.state, "d", number, &err), err);
        assert_ok(weir_state_get_double(v.state, "d", 0, &back, &err), err);
        assert_memory_equal(&back, &number, sizeof number);
    }
    weir_txn_free(v.txn);
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_typed_values_have_the_bytes_of_quix_streams),
        MATRIX_TEST(test_typed_values_come_back),
        MATRIX_TEST(test_an_absent_key_gives_the_default_or_not_found),
        MATRIX_TEST(test_integers_of_every_length_and_form_are_read),
        MATRIX_TEST(test_a_value_of_another_type_is_told_and_the_transaction_goes_on),
        MATRIX_TEST(test_an_integer_is_read_as_a_double),
        MATRIX_TEST(test_what_has_no_json_fails_the_set_and_the_transaction),
        MATRIX_TEST(test_a_bad_value_for_a_prepared_transaction_leaves_it_prepared),
        MATRIX_TEST(test_each_prefix_has_its_own_keys_and_the_empty_one_no_separator),
        MATRIX_TEST(test_a_prefix_that_is_too_long_is_told_at_the_first_use),
        MATRIX_TEST(test_a_value_that_was_handed_out_may_be_set_again),
        MATRIX_TEST(test_random_typed_values_come_back_as_they_were),
    };
    return matrix_run("state", tests, sizeof tests / sizeof *tests);
}
