/*
 * Tests of option tables and pairs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/option.h"

enum { SYNC, COUNT, SIZE, RATIO, DIR, CODEC, WIDE };

static const weir_option_spec specs[] = {
    {"sync", WEIR_OPTION_BOOL, "on", NULL, 0, 0, "wait for the disk"},
    {"count", WEIR_OPTION_INT, "-1", NULL, -1, 1000, "number of things"},
    {"size", WEIR_OPTION_SIZE, "64KiB", NULL, 4096, 1099511627776.0, "bytes"},
    {"ratio", WEIR_OPTION_DOUBLE, "0.5", NULL, 0, 1, "share"},
    {"dir", WEIR_OPTION_STRING, NULL, NULL, 0, 0, "folder"},
    {"codec", WEIR_OPTION_CHOICE, "lz4", "none|snappy|lz4", 0, 0, "compression"},
    {"wide", WEIR_OPTION_SIZE, "0", NULL, 0, 0, "bytes, any"},
    {0},
};

static weir_option_value values[7];
static weir_error err;

static weir_status parse_one(const char *key, const char *value)
{
    const weir_option pairs[] = {{key, value}, {NULL, NULL}};
    return weir__option_parse("backend test", specs, pairs, values, &err);
}

static void assert_refused(const char *key, const char *value, const char *message)
{
    assert_int_equal(parse_one(key, value), WEIR_INVALID);
    assert_string_equal(err.message, message);
}

static void test_defaults_come_from_the_table(void **state)
{
    (void)state;
    assert_int_equal(weir__option_count(specs), 7);
    assert_int_equal(weir__option_parse("x", specs, NULL, values, &err), WEIR_OK);
    assert_true(values[SYNC].boolean);
    assert_int_equal(values[COUNT].integer, -1);
    assert_int_equal(values[SIZE].integer, 65536);
    assert_true(values[RATIO].number == 0.5);
    assert_null(values[DIR].string);
    assert_string_equal(values[CODEC].string, "lz4");
    assert_int_equal(values[CODEC].integer, 2);
    for (size_t i = 0; i < 7; i++)
        assert_false(values[i].is_set);
}

static void test_pairs_override_defaults(void **state)
{
    (void)state;
    const weir_option pairs[] = {{"sync", "off"},   {"count", "+12"}, {"size", "4096"},
                                 {"ratio", "1e-1"}, {"dir", ""},      {"codec", "none"},
                                 {"wide", "7"},     {NULL, NULL}};
    assert_int_equal(weir__option_parse("x", specs, pairs, values, &err), WEIR_OK);
    assert_false(values[SYNC].boolean);
    assert_int_equal(values[COUNT].integer, 12);
    assert_int_equal(values[SIZE].integer, 4096);
    assert_true(values[RATIO].number == 0.1);
    assert_ptr_equal(values[DIR].string, pairs[4].value);
    assert_int_equal(values[CODEC].integer, 0);
    for (size_t i = 0; i < 7; i++)
        assert_true(values[i].is_set);
}

static void test_booleans_have_four_spellings(void **state)
{
    (void)state;
    static const char *const truths[] = {"true", "on", "yes", "1", "TRUE", "On"};
    static const char *const falsehoods[] = {"false", "off", "no", "0", "False", "OFF"};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(parse_one("sync", truths[i]), WEIR_OK);
        assert_true(values[SYNC].boolean);
        assert_int_equal(parse_one("sync", falsehoods[i]), WEIR_OK);
        assert_false(values[SYNC].boolean);
    }
    assert_refused("sync", "maybe",
                   "backend test: option \"sync\" must be true or false, not \"maybe\"");
    assert_refused("sync", "", "backend test: option \"sync\" must be true or false, not \"\"");
}

static void test_sizes_take_binary_suffixes(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"0", 0},
                 {"1k", 1024},
                 {"1K", 1024},
                 {"3KiB", 3072},
                 {"2m", 2097152},
                 {"2MiB", 2097152},
                 {"1g", 1073741824},
                 {"1GiB", 1073741824},
                 {"8589934591g", INT64_C(9223372035781033984)},
                 {"9223372036854775807", INT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse_one("wide", cases[i].text), WEIR_OK);
        assert_true(values[WIDE].integer == cases[i].bytes);
    }
    static const char *const bad[] = {"",     "k",   "1kb",         "1 k",
                                      "1.5k", "-1",  "1t",          "0x1",
                                      " 1",   "1kk", "8589934592g", "9223372036854775808"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char message[200];
        snprintf(message, sizeof(message),
                 "backend test: option \"wide\" must be a size in bytes, such as 4096, 64KiB, "
                 "8MiB or 1GiB, not \"%s\"",
                 bad[i]);
        assert_refused("wide", bad[i], message);
    }
}

static void test_values_of_the_wrong_type_are_refused(void **state)
{
    (void)state;
    assert_refused("count", "ten",
                   "backend test: option \"count\" must be an integer, not \"ten\"");
    assert_refused("count", "1.5",
                   "backend test: option \"count\" must be an integer, not \"1.5\"");
    assert_refused("count", "99999999999999999999",
                   "backend test: option \"count\" must be an integer, not "
                   "\"99999999999999999999\"");
    assert_refused("ratio", "0,5", "backend test: option \"ratio\" must be a number, not \"0,5\"");
    assert_refused("ratio", "nan", "backend test: option \"ratio\" must be a number, not \"nan\"");
    assert_refused("codec", "zip",
                   "backend test: option \"codec\" must be one of none|snappy|lz4, not \"zip\"");
    assert_int_equal(parse_one("codec", "lz"), WEIR_INVALID);
    assert_int_equal(parse_one("codec", "none|snappy"), WEIR_INVALID);
    assert_int_equal(parse_one("codec", ""), WEIR_INVALID);
}

static void test_values_out_of_range_are_refused_with_the_range(void **state)
{
    (void)state;
    assert_int_equal(parse_one("count", "-1"), WEIR_OK);
    assert_int_equal(parse_one("count", "1000"), WEIR_OK);
    assert_refused("count", "-2", "backend test: option \"count\" must be from -1 to 1000, not -2");
    assert_refused("count", "1001",
                   "backend test: option \"count\" must be from -1 to 1000, not 1001");
    assert_refused("size", "1k",
                   "backend test: option \"size\" must be from 4096 to 1099511627776, not 1k");
    assert_refused("ratio", "1.01", "backend test: option \"ratio\" must be from 0 to 1, not 1.01");
}

static void test_an_unknown_key_is_refused_with_the_known_ones(void **state)
{
    (void)state;
    assert_refused("sizes", "1",
                   "backend test: there is no option \"sizes\"; the options are sync, count, "
                   "size, ratio, dir, codec, wide");
    const weir_option pairs[] = {{"a", "b"}, {NULL, NULL}};
    assert_int_equal(weir__option_parse("backend bare", NULL, pairs, NULL, &err), WEIR_INVALID);
    assert_string_equal(err.message, "backend bare: there is no option \"a\": it has no options");
    assert_int_equal(weir__option_parse("backend bare", NULL, NULL, NULL, &err), WEIR_OK);
}

static void test_a_key_may_come_twice_only_with_the_same_value(void **state)
{
    (void)state;
    const weir_option same[] = {{"count", "3"}, {"sync", "on"}, {"count", "3"}, {NULL, NULL}};
    assert_int_equal(weir__option_parse("x", specs, same, values, &err), WEIR_OK);
    assert_int_equal(values[COUNT].integer, 3);
    const weir_option other[] = {{"count", "3"}, {"sync", "on"}, {"count", "4"}, {NULL, NULL}};
    assert_int_equal(weir__option_parse("x", specs, other, values, &err), WEIR_INVALID);
    assert_string_equal(err.message, "x: option \"count\" is given twice, as \"3\" and as \"4\"");
}

static void test_a_key_without_value_is_refused(void **state)
{
    (void)state;
    assert_refused("dir", NULL, "backend test: option \"dir\" has no value");
}

static void test_a_default_that_breaks_its_own_rule_is_refused(void **state)
{
    (void)state;
    const weir_option_spec broken[] = {{"n", WEIR_OPTION_INT, "9", NULL, 1, 5, "number"}, {0}};
    const weir_option_spec missing[] = {{"n", WEIR_OPTION_INT, NULL, NULL, 1, 5, "number"}, {0}};
    assert_int_equal(weir__option_parse("x", broken, NULL, values, &err), WEIR_INVALID);
    assert_string_equal(err.message, "x: option \"n\" must be from 1 to 5, not 9");
    assert_int_equal(weir__option_parse("x", missing, NULL, values, &err), WEIR_INVALID);
    assert_string_equal(err.message, "x: the table gives no default for option \"n\"");
}

static void test_rows_are_found_by_name(void **state)
{
    (void)state;
    assert_int_equal(weir__option_find(specs, "codec"), CODEC);
    assert_int_equal(weir__option_find(specs, "cod"), -1);
    assert_int_equal(weir__option_find(NULL, "codec"), -1);
    assert_int_equal(weir__option_count(NULL), 0);
}

static void test_a_copy_outlives_its_source(void **state)
{
    (void)state;
    char key[] = "name";
    char value[] = "first";
    const weir_option pairs[] = {{key, value}, {"empty", ""}, {"none", NULL}, {NULL, NULL}};
    weir_option *copy = weir__option_copy(pairs);
    assert_non_null(copy);
    memset(key, 'x', sizeof(key) - 1);
    memset(value, 'x', sizeof(value) - 1);
    assert_string_equal(copy[0].key, "name");
    assert_string_equal(copy[0].value, "first");
    assert_string_equal(copy[1].value, "");
    assert_null(copy[2].value);
    assert_null(copy[3].key);
    weir__option_free(copy);

    copy = weir__option_copy(NULL);
    assert_non_null(copy);
    assert_null(copy[0].key);
    weir__option_free(copy);
    weir__option_free(NULL);
}

static void test_the_last_pair_of_a_key_is_got(void **state)
{
    (void)state;
    const weir_option pairs[] = {{"a", "1"}, {"b", "2"}, {"a", "3"}, {NULL, NULL}};
    assert_string_equal(weir__option_get(pairs, "a"), "3");
    assert_string_equal(weir__option_get(pairs, "b"), "2");
    assert_null(weir__option_get(pairs, "c"));
    assert_null(weir__option_get(NULL, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_come_from_the_table),
        cmocka_unit_test(test_pairs_override_defaults),
        cmocka_unit_test(test_booleans_have_four_spellings),
        cmocka_unit_test(test_sizes_take_binary_suffixes),
        cmocka_unit_test(test_values_of_the_wrong_type_are_refused),
        cmocka_unit_test(test_values_out_of_range_are_refused_with_the_range),
        cmocka_unit_test(test_an_unknown_key_is_refused_with_the_known_ones),
        cmocka_unit_test(test_a_key_may_come_twice_only_with_the_same_value),
        cmocka_unit_test(test_a_key_without_value_is_refused),
        cmocka_unit_test(test_a_default_that_breaks_its_own_rule_is_refused),
        cmocka_unit_test(test_rows_are_found_by_name),
        cmocka_unit_test(test_a_copy_outlives_its_source),
        cmocka_unit_test(test_the_last_pair_of_a_key_is_got),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
