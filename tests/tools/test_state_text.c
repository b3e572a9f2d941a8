/*
 * Bytes, times and JSON as `weir state` prints and reads them, and the layouts of rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state.h"

#define S weir_slice_str

static char written[1024];

static const char *escaped(weir_slice bytes)
{
    FILE *out = fmemopen(written, sizeof written, "w");
    state_write_escaped(bytes, out);
    fclose(out);
    return written;
}

static const char *time_text(uint64_t ms)
{
    FILE *out = fmemopen(written, sizeof written, "w");
    state_write_time(ms, out);
    fclose(out);
    return written;
}

static void test_bytes_that_print_are_printed_and_the_rest_escaped(void **state)
{
    (void)state;
    assert_string_equal(escaped(S("N14228|\"flights\"")), "N14228|\"flights\"");
    assert_string_equal(escaped(S("caf\xc3\xa9 \xf0\x9f\x9b\xab")), "caf\xc3\xa9 \xf0\x9f\x9b\xab");
    assert_string_equal(escaped(S("a\\b\t\n\x7f")), "a\\\\b\\x09\\x0a\\x7f");
    assert_string_equal(escaped(weir_slice_of("\0\xff\xc3", 3)), "\\x00\\xff\\xc3");
    assert_string_equal(escaped(S("\xc2\x9b"
                                  "31m")),
                        "\\xc2\\x9b31m");                               /* a control of terminals */
    assert_string_equal(escaped(S("\xed\xa0\x80")), "\\xed\\xa0\\x80"); /* half a surrogate */
    assert_string_equal(escaped(S("\xc0\xaf")), "\\xc0\\xaf");          /* too long a form */
}

static void test_what_is_printed_is_read_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    state_bytes read;
    assert_true(state_parse_bytes(escaped(weir_slice_of(bytes, sizeof bytes)), &read));
    assert_int_equal(read.size, sizeof bytes);
    assert_memory_equal(read.data, bytes, sizeof bytes);
    free(read.data);
    /* What is no escape is taken as it is. */
    assert_true(state_parse_bytes("\\q\\x4\\xzz\\x41\\", &read));
    assert_int_equal(read.size, 11);
    assert_memory_equal(read.data, "\\q\\x4\\xzzA\\", 11);
    free(read.data);
}

static void test_times_are_printed_in_utc(void **state)
{
    (void)state;
    assert_string_equal(time_text(0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(time_text(1795773600123), "2026-11-27T10:00:00.123Z");
    assert_string_equal(time_text(253402300799999), "9999-12-31T23:59:59.999Z");
    assert_string_equal(time_text(253402300800000), "253402300800000");
    assert_string_equal(time_text(UINT64_MAX), "18446744073709551615");
}

static void test_times_are_read_in_several_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"0", 0},
        {"1795773600123", 1795773600123},
        {"2026-11-27T10:00:00.123Z", 1795773600123},
        {"2026-11-27T10:00:00.1", 1795773600100},
        {"2026-11-27T10:00:00Z", 1795773600000},
        {"2026-11-27 10:00", 1795773600000},
        {"2026-11-27", 1795737600000},
    };
    static const char *const bad[] = {"",
                                      "noon",
                                      "-1",
                                      "2026-13-01",
                                      "2026-11-27T",
                                      "2026-11-27x",
                                      "2026-11-27T10:00:00+01:00",
                                      "1969-12-31",
                                      "12ms"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(state_parse_time(good[i].text, &ms));
        assert_true(ms == good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (state_parse_time(bad[i], &ms))
            fail_msg("\"%s\" was read as a time", bad[i]);
}

static void test_json_is_told_from_text(void **state)
{
    (void)state;
    static const char *const json[] = {"0",
                                       "-1.5e+7",
                                       "\"\\u00e9\\\\\"",
                                       "true",
                                       "[]",
                                       "{}",
                                       "[1,[2,{\"a\":[]}]]",
                                       "{\"a\":null}",
                                       "[ 1 , 2 ]",
                                       "{\"a\":1,\"b\":{\"c\":\"\"}}",
                                       " 1 "};
    static const char *const text[] = {
        "",          "01",      "1.",       "-",       "nul",      "\"",          "\"\\x\"",
        "[1,]",      "{\"a\"}", "{1:2}",    "[1] 2",   "1 2",      "[",           "]",
        "{\"a\":1]", "[1}",     "\"a\nb\"", "[1,\n2]", "\"\xff\"", "\"\\u12g4\"", "{\"a\":1,}",
        ",",         "tru",     "1e",       "[1 2]"};
    for (size_t i = 0; i < sizeof json / sizeof json[0]; i++)
        if (!state_is_json(S(json[i])))
            fail_msg("%s is JSON", json[i]);
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        if (state_is_json(S(text[i])))
            fail_msg("%s is no JSON", text[i]);
    /* Deep nesting costs no stack. */
    char deep[1000];
    memset(deep, '[', sizeof deep);
    assert_false(state_is_json(weir_slice_of(deep, sizeof deep)));
    memset(deep + 100, ']', 100);
    assert_true(state_is_json(weir_slice_of(deep, 200)));
}

static const char pair[17] = {[7] = 1, [8] = '|', [16] = 2};

static state_row decode(state_kind kind, const char *family, const char *before, weir_slice value,
                        bool *as_laid_out)
{
    static char key[64];
    size_t size = (size_t)snprintf(key, sizeof key, "%s", before);
    memcpy(key + size, pair, sizeof pair);
    return state_row_decode(kind, family, weir_slice_of(key, size + 17), value, as_laid_out);
}

static void test_windows_and_times_are_split_off_as_they_were_written(void **state)
{
    (void)state;
    bool as_laid_out;
    state_row row = decode(STATE_KIND_WINDOWED, "default", "a|b|", S(""), &as_laid_out);
    assert_true(as_laid_out && row.has_window && row.start == 1 && row.end == 2);
    assert_true(weir_slice_equal(row.key, S("a|b")));
    /* An empty key has no separator before a window, and one before a time. */
    row = decode(STATE_KIND_WINDOWED, "default", "", S(""), &as_laid_out);
    assert_true(as_laid_out && row.has_window && row.key.size == 0);
    row = decode(STATE_KIND_WINDOWED, "default", "|", S(""), &as_laid_out);
    assert_true(!as_laid_out && !row.has_window && row.key.size == 18);
    row = decode(STATE_KIND_TIMESTAMPED, "default", "|", S(""), &as_laid_out);
    assert_true(as_laid_out && row.has_time && row.key.size == 0 && row.counter == 2);
    row = decode(STATE_KIND_TIMESTAMPED, "default", "", S(""), &as_laid_out);
    assert_false(as_laid_out);
    row = decode(STATE_KIND_WINDOWED, "default", "a", S(""), &as_laid_out);
    assert_false(as_laid_out);
    row = decode(STATE_KIND_PLAIN, "default", "a|", S(""), &as_laid_out);
    assert_true(as_laid_out && !row.has_window && row.key.size == 19);
}

static void test_values_without_an_expiry_are_told_from_those_with(void **state)
{
    (void)state;
    bool as_laid_out;
    state_row row = decode(STATE_KIND_TTL, "default", "k",
                           weir_slice_of("\0\0\1\x8b\xcf\xe5\x6b\xe8"
                                         "31",
                                         10),
                           &as_laid_out);
    assert_true(row.has_expiry && row.expiry == 1700000001000);
    assert_true(weir_slice_equal(row.value, S("31")));
    row = decode(STATE_KIND_TTL, "default", "k", S("{\"a\":12345}"), &as_laid_out);
    assert_true(as_laid_out && !row.has_expiry && row.value.size == 11);
    row = decode(STATE_KIND_TTL, "default", "k", S("1"), &as_laid_out);
    assert_true(as_laid_out && !row.has_expiry);
    row =
        decode(STATE_KIND_TTL, "default", "k", S("\xff\xff\xff\xff\xff\xff\xff\xff"), &as_laid_out);
    assert_true(row.has_expiry && row.expiry == UINT64_MAX && row.value.size == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_that_print_are_printed_and_the_rest_escaped),
        cmocka_unit_test(test_what_is_printed_is_read_back),
        cmocka_unit_test(test_times_are_printed_in_utc),
        cmocka_unit_test(test_times_are_read_in_several_forms),
        cmocka_unit_test(test_json_is_told_from_text),
        cmocka_unit_test(test_windows_and_times_are_split_off_as_they_were_written),
        cmocka_unit_test(test_values_without_an_expiry_are_told_from_those_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
