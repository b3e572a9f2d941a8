/*
 * Tests of the JSON codec: values one by one, errors, and what is not in the golden file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static weir__buffer out;
static weir_error err;

static int setup(void **state)
{
    (void)state;
    weir__buffer_init(&out);
    weir_error_init(&err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir__buffer_release(&out);
    return 0;
}

/* What is in `out`, as a string; clears it. */
static const char *take_out(void)
{
    static char text[4096];
    snprintf(text, sizeof(text), "%.*s", (int)out.size, out.data ? (const char *)out.data : "");
    weir__buffer_clear(&out);
    return text;
}

static weir_slice str(const char *text)
{
    return weir_slice_str(text);
}

static void assert_canonical(const char *text, const char *expected)
{
    assert_int_equal(weir__json_write_canonical(&out, str(text), &err), WEIR_OK);
    assert_string_equal(take_out(), expected);
}

/* The text is refused with exactly this message, and nothing is appended. */
static void assert_refused(weir_slice text, const char *message)
{
    weir__buffer_append_str(&out, "before");
    assert_int_equal(weir__json_write_canonical(&out, text, &err), WEIR_SERIALIZATION);
    assert_int_equal(err.status, WEIR_SERIALIZATION);
    assert_string_equal(err.message, message);
    assert_string_equal(take_out(), "before");
}

static void test_integers_are_written_to_both_ends_of_their_range(void **state)
{
    (void)state;
    const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {10, "10"},
                 {1234567890123, "1234567890123"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(weir__json_write_int(&out, cases[i].value), WEIR_OK);
        int64_t value;
        assert_int_equal(weir__json_read_int(weir__buffer_slice(&out), &value, &err), WEIR_OK);
        assert_true(value == cases[i].value);
        assert_string_equal(take_out(), cases[i].text);
    }
}

static void test_nan_and_infinity_are_refused_by_name(void **state)
{
    (void)state;
    assert_int_equal(weir__json_write_double(&out, NAN, &err), WEIR_SERIALIZATION);
    assert_string_equal(err.message, "JSON has no number for NaN");
    assert_int_equal(weir__json_write_double(&out, INFINITY, &err), WEIR_SERIALIZATION);
    assert_string_equal(err.message, "JSON has no number for infinity");
    assert_int_equal(weir__json_write_double(&out, -INFINITY, NULL), WEIR_SERIALIZATION);
    assert_int_equal(out.size, 0);
}

static void test_strings_are_escaped_as_orjson_does(void **state)
{
    (void)state;
    char text[0x20];
    for (int i = 0; i < 0x20; i++)
        text[i] = (char)i;
    assert_int_equal(weir__json_write_string(&out, weir_slice_of(text, sizeof(text)), &err),
                     WEIR_OK);
    assert_string_equal(take_out(),
                        "\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n"
                        "\\u000b\\f\\r\\u000e\\u000f\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015"
                        "\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f\"");
    assert_int_equal(weir__json_write_string(
                         &out, str("a\"b\\c/\x7f\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80"), &err),
                     WEIR_OK);
    assert_string_equal(take_out(), "\"a\\\"b\\\\c/\x7f\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80\"");
    assert_int_equal(weir__json_write_string(&out, weir_slice_of(NULL, 0), &err), WEIR_OK);
    assert_string_equal(take_out(), "\"\"");
}

static void test_text_that_is_not_utf8_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "\xC3",
                                      "\xE2\x82",
                                      "\xF0\x9F\x98",
                                      "\xC3(",
                                      "\xE2(\xA1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[16];
        char message[80];
        snprintf(text, sizeof(text), "ab\n%s", bad[i]);
        weir__buffer_append_str(&out, "before");
        assert_int_equal(weir__json_write_string(&out, str(text), &err), WEIR_SERIALIZATION);
        snprintf(message, sizeof(message), "a JSON string must be UTF-8; byte 3 (0x%02x) is not",
                 (uint8_t)bad[i][0]);
        assert_string_equal(err.message, message);
        assert_string_equal(take_out(), "before");
        snprintf(text, sizeof(text), "\"ab%s\"", bad[i]);
        weir_slice json = str(text);
        assert_int_equal(weir__json_write_canonical(&out, json, &err), WEIR_SERIALIZATION);
        assert_non_null(strstr(err.message, "line 1 column 4: not UTF-8"));
        assert_int_equal(weir__json_read_string(json, &out, NULL), WEIR_SERIALIZATION);
        assert_int_equal(out.size, 0);
    }
}

static void test_strings_read_back_as_they_were_written(void **state)
{
    (void)state;
    srand(7);
    weir__buffer text = {0};
    for (int round = 0; round < 2000; round++) {
        static const char *const pieces[] = {
            "a",     "\"",  "\\", "\n", "/", "\x01", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
            "u0041", "\x7f"};
        weir__buffer_clear(&text);
        weir__buffer_clear(&out);
        for (int i = rand() % 20; i > 0; i--)
            weir__buffer_append_str(&text,
                                    pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
        if (round % 3 == 0)
            weir__buffer_append_byte(&text, '\0');
        weir__buffer decoded = {0};
        assert_int_equal(weir__json_write_string(&out, weir__buffer_slice(&text), &err), WEIR_OK);
        assert_int_equal(weir__json_read_string(weir__buffer_slice(&out), &decoded, &err), WEIR_OK);
        assert_true(weir_slice_equal(weir__buffer_slice(&text), weir__buffer_slice(&decoded)));
        weir__buffer_release(&decoded);
    }
    weir__buffer_release(&text);
}

static void test_reading_an_integer_refuses_other_values_and_quotes_them(void **state)
{
    (void)state;
    int64_t value = 5;
    assert_int_equal(weir__json_read_int(str(" 42\n"), &value, &err), WEIR_OK);
    assert_int_equal(value, 42);
    assert_int_equal(weir__json_read_int(str("-0"), &value, &err), WEIR_OK);
    assert_int_equal(value, 0);
    static const char *const bad[] = {"",    "1.0", "1e3", "\"1\"", "null", "true", "[1]",
                                      "1 2", "01",  "--1", "-",     "x",    "+1",   "1,"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char message[64];
        value = 5;
        assert_int_equal(weir__json_read_int(str(bad[i]), &value, &err), WEIR_SERIALIZATION);
        assert_int_equal(value, 0);
        snprintf(message, sizeof(message), "not a JSON integer: %s", bad[i]);
        assert_string_equal(err.message, message);
    }
    assert_int_equal(weir__json_read_int(weir_slice_of(NULL, 0), &value, NULL), WEIR_SERIALIZATION);
    assert_int_equal(weir__json_read_int(str("9223372036854775808"), &value, &err),
                     WEIR_SERIALIZATION);
    assert_string_equal(err.message,
                        "not a JSON integer from -2^63 to 2^63-1: 9223372036854775808");
    assert_int_equal(weir__json_read_int(str("-9223372036854775809"), &value, &err),
                     WEIR_SERIALIZATION);
    assert_int_equal(
        weir__json_read_int(str("\"a long text that goes on and on and on and on\""), &value, &err),
        WEIR_SERIALIZATION);
    assert_string_equal(err.message,
                        "not a JSON integer: \"a long text that goes on and on and on ...");
}

static void test_reading_a_double_takes_any_number(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1},
                 {" 1.5 ", 1.5},
                 {"-0.0", -0.0},
                 {"1e3", 1000},
                 {"1E-3", 0.001},
                 {"18446744073709551615", 18446744073709551615.0},
                 {"-18446744073709551617", -18446744073709551616.0},
                 {"1e-400", 0},
                 {"5e-324", 5e-324},
                 {"1.7976931348623157e308", 1.7976931348623157e308},
                 {"0.1000000000000000055511151231257827021181583404541015625", 0.1},
                 {"1e00000000000000000000000000000000000003", 1000},
                 {"0e999999999999999999999", 0}};
    double value;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(weir__json_read_double(str(cases[i].text), &value, &err), WEIR_OK);
        assert_true(value == cases[i].value);
        assert_int_equal(signbit(value) != 0, signbit(cases[i].value) != 0);
    }
    static const char *const bad[] = {
        "1e400", "-1e999999999999999999999", "NaN", "1.", ".5", "\"1\"", "null", "", "1 1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        value = 5;
        assert_int_equal(weir__json_read_double(str(bad[i]), &value, &err), WEIR_SERIALIZATION);
        assert_true(value == 0);
        assert_non_null(strstr(err.message, "not a JSON number within the range of a double"));
    }
}

static void test_a_number_of_thousands_of_digits_is_read(void **state)
{
    (void)state;
    static char text[5001];
    memset(text, '1', 5000);
    text[1] = '.';
    double value;
    assert_int_equal(weir__json_read_double(weir_slice_of(text, 5000), &value, &err), WEIR_OK);
    assert_true(value == 1.1111111111111111);
    assert_int_equal(weir__json_write_canonical(&out, weir_slice_of(text, 5000), &err), WEIR_OK);
    assert_string_equal(take_out(), "1.1111111111111112");
}

static void test_reading_a_string_appends_and_leaves_nothing_on_failure(void **state)
{
    (void)state;
    weir__buffer_append_str(&out, "<");
    assert_int_equal(weir__json_read_string(str(" \"a\\u00e9\\n\" "), &out, &err), WEIR_OK);
    assert_string_equal(take_out(), "<a\xC3\xA9\n");
    weir__buffer_append_str(&out, "<");
    assert_int_equal(weir__json_read_string(str("\"abc"), &out, &err), WEIR_SERIALIZATION);
    assert_string_equal(err.message, "JSON, line 1 column 5: the text ends inside a string");
    assert_int_equal(weir__json_read_string(str("\"abc\" x"), &out, &err), WEIR_SERIALIZATION);
    assert_int_equal(weir__json_read_string(str("12"), &out, &err), WEIR_SERIALIZATION);
    assert_string_equal(err.message, "not a JSON string: 12");
    assert_string_equal(take_out(), "<");
}

static void test_canonical_form_drops_space_of_every_kind(void **state)
{
    (void)state;
    assert_canonical("\t{\r\n \"a\" :\n[ 1 ,\t2.50 , null ] }\n", "{\"a\":[1,2.5,null]}");
}

static void test_refused_text_is_named_by_line_and_column(void **state)
{
    (void)state;
    assert_refused(str("{\n  \"\xC3\xA9\": tru }"),
                   "JSON, line 2 column 8: expected a JSON value: tru }");
    assert_refused(str("[1,2"), "JSON, line 1 column 5: expected ',' or ']'");
    assert_refused(str(""), "JSON, line 1 column 1: the text ends too early");
    assert_refused(weir_slice_of(NULL, 0), "JSON, line 1 column 1: the text ends too early");
    assert_refused(str("1 2"), "JSON, line 1 column 3: the text goes on after its value: 2");
    assert_refused(weir_slice_of("1\0", 2),
                   "JSON, line 1 column 2: the text goes on after its value: ");
    assert_refused(str("{1:2}"), "JSON, line 1 column 2: expected a member's name in quotes: 1:2}");
    assert_refused(str("{\"a\" 1}"), "JSON, line 1 column 6: expected ':': 1}");
    assert_refused(str("{\"a\":1;"), "JSON, line 1 column 7: expected ',' or '}': ;");
    assert_refused(str("[1e400]"),
                   "JSON, line 1 column 2: the number is beyond the range of a double: 1e400]");
    assert_refused(str("[\"a\nb\"]"),
                   "JSON, line 1 column 4: a control character in a string:  b\"]");
    assert_refused(str("\"\\ud800x\""), "JSON, line 1 column 8: half of a surrogate pair: x\"");
    assert_refused(str("\"\\q\""), "JSON, line 1 column 3: not an escape: q\"");
    assert_refused(str("\xEF\xBB\xBF 1"), "JSON, line 1 column 1: expected a JSON value: "
                                          "\xEF\xBB\xBF 1");
    assert_refused(str("this text is far too long to be quoted whole"),
                   "JSON, line 1 column 1: expected a JSON value: this text is far too long to be "
                   "...");
}

static void test_integers_beyond_64_bits_are_refused_not_rounded(void **state)
{
    (void)state;
    assert_canonical("[18446744073709551615,-9223372036854775808]",
                     "[18446744073709551615,-9223372036854775808]");
    assert_refused(str("[18446744073709551616]"), "JSON, line 1 column 2: an integer outside -2^63 "
                                                  "to 2^64-1: 18446744073709551616]");
    assert_refused(str("-9223372036854775809"), "JSON, line 1 column 1: an integer outside -2^63 "
                                                "to 2^64-1: -9223372036854775809");
}

static void test_nesting_ends_where_orjson_ends(void **state)
{
    (void)state;
    char text[600];
    memset(text, '[', 300);
    memset(text + 300, ']', 300);
    assert_int_equal(weir__json_write_canonical(&out, weir_slice_of(text + 46, 508), &err),
                     WEIR_OK);
    assert_int_equal(out.size, 508);
    weir__buffer_clear(&out);
    assert_int_equal(weir__json_write_canonical(&out, weir_slice_of(text + 45, 510), &err),
                     WEIR_SERIALIZATION);
    assert_non_null(strstr(err.message, "line 1 column 255: nested deeper than 254 levels"));
    static char deep[1000000];
    memset(deep, '[', sizeof(deep));
    assert_int_equal(weir__json_write_canonical(&out, weir_slice_of(deep, sizeof(deep)), &err),
                     WEIR_SERIALIZATION);
}

static void test_a_large_object_with_repeated_names_is_fast_and_right(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    weir__buffer text = {0};
    weir__buffer expected = {0};
    weir__buffer_append_byte(&text, '{');
    weir__buffer_append_byte(&expected, '{');
    for (int i = 0; i < 2 * COUNT; i++)
        weir__buffer_printf(&text, "%s\"n%d\":%d", i > 0 ? "," : "", i % COUNT, i);
    for (int i = 0; i < COUNT; i++)
        weir__buffer_printf(&expected, "%s\"n%d\":%d", i > 0 ? "," : "", i, i + COUNT);
    weir__buffer_append_byte(&text, '}');
    weir__buffer_append_byte(&expected, '}');
    assert_int_equal(weir__json_write_canonical(&out, weir__buffer_slice(&text), &err), WEIR_OK);
    assert_true(weir_slice_equal(weir__buffer_slice(&out), weir__buffer_slice(&expected)));
    weir__buffer_release(&text);
    weir__buffer_release(&expected);
}

typedef struct visits {
    int count;
    char text[1024];
    weir_status answer;
} visits;

static weir_status visit(const char *name, int64_t value, void *arg)
{
    visits *seen = arg;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof(seen->text) - length, "%s=%lld;", name, (long long)value);
    seen->count++;
    return seen->answer;
}

static void test_processed_offsets_are_visited_in_order(void **state)
{
    (void)state;
    visits seen = {0};
    assert_int_equal(
        weir__json_each_int(str(" { \"b\" : 1 , \"a\\u00e9\":-2,\"\":9223372036854775807} "), visit,
                            &seen, &err),
        WEIR_OK);
    assert_string_equal(seen.text, "b=1;a\xC3\xA9=-2;=9223372036854775807;");
    seen.count = 0;
    assert_int_equal(weir__json_each_int(str(" null "), visit, &seen, &err), WEIR_OK);
    assert_int_equal(weir__json_each_int(str("{ }"), visit, &seen, &err), WEIR_OK);
    assert_int_equal(seen.count, 0);
}

static void test_a_name_longer_than_any_topic_is_visited_whole(void **state)
{
    (void)state;
    visits seen = {0};
    weir__buffer_append_str(&out, "{\"");
    for (int i = 0; i < 400; i++)
        weir__buffer_append_byte(&out, 'n');
    weir__buffer_append_str(&out, "\":1}");
    assert_int_equal(weir__json_each_int(weir__buffer_slice(&out), visit, &seen, &err), WEIR_OK);
    assert_int_equal(strlen(seen.text), 400 + 3);
}

static void test_a_visit_that_fails_ends_the_walk(void **state)
{
    (void)state;
    visits seen = {.answer = WEIR_OFFSET};
    weir_error_set(&err, WEIR_IO, "as it was");
    assert_int_equal(weir__json_each_int(str("{\"a\":1,\"b\":2}"), visit, &seen, &err),
                     WEIR_OFFSET);
    assert_int_equal(seen.count, 1);
    assert_string_equal(err.message, "as it was");
}

static void test_processed_offsets_of_another_shape_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "1",
                                      "[]",
                                      "nul",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{\"a\":1.0}",
                                      "{\"a\":\"1\"}",
                                      "{\"a\":null}",
                                      "{\"a\":1",
                                      "{a:1}",
                                      "{\"a\":1}x",
                                      "{\"a\":9223372036854775808}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        visits seen = {0};
        weir_error_init(&err);
        assert_int_equal(weir__json_each_int(str(bad[i]), visit, &seen, &err), WEIR_SERIALIZATION);
        assert_int_equal(err.status, WEIR_SERIALIZATION);
        assert_ptr_equal(strstr(err.message, "JSON, line 1 column "), err.message);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_integers_are_written_to_both_ends_of_their_range),
        TEST(test_nan_and_infinity_are_refused_by_name),
        TEST(test_strings_are_escaped_as_orjson_does),
        TEST(test_text_that_is_not_utf8_is_refused_with_its_place),
        TEST(test_strings_read_back_as_they_were_written),
        TEST(test_reading_an_integer_refuses_other_values_and_quotes_them),
        TEST(test_reading_a_double_takes_any_number),
        TEST(test_a_number_of_thousands_of_digits_is_read),
        TEST(test_reading_a_string_appends_and_leaves_nothing_on_failure),
        TEST(test_canonical_form_drops_space_of_every_kind),
        TEST(test_refused_text_is_named_by_line_and_column),
        TEST(test_integers_beyond_64_bits_are_refused_not_rounded),
        TEST(test_nesting_ends_where_orjson_ends),
        TEST(test_a_large_object_with_repeated_names_is_fast_and_right),
        TEST(test_processed_offsets_are_visited_in_order),
        TEST(test_a_name_longer_than_any_topic_is_visited_whole),
        TEST(test_a_visit_that_fails_ends_the_walk),
        TEST(test_processed_offsets_of_another_shape_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
