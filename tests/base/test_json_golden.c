/*
 * Compares the JSON codec with what orjson writes: golden/json.tsv, made by
 * golden/make_json_golden.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define GOLDEN_FILE WEIR_TEST_DIR "/base/golden/json.tsv"

typedef void (*check_fn)(const char *input, const char *expected, weir__buffer *out);

/* Calls check for each line of a kind; returns how many there were. */
static int each_line(const char *kind, check_fn check)
{
    FILE *file = fopen(GOLDEN_FILE, "r");
    if (!file)
        fail_msg("can't open %s", GOLDEN_FILE);
    char *line = NULL;
    size_t capacity = 0;
    weir__buffer out = {0};
    int count = 0;
    while (getline(&line, &capacity, file) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        char *input = strchr(line, '\t');
        char *expected = input ? strrchr(input, '\t') : NULL;
        if (!expected || expected == input)
            fail_msg("line %d is not of three fields", count + 1);
        *input++ = '\0';
        *expected++ = '\0';
        if (strcmp(line, kind) != 0)
            continue;
        weir__buffer_clear(&out);
        check(input, expected, &out);
        count++;
    }
    weir__buffer_release(&out);
    free(line);
    fclose(file);
    return count;
}

static double double_of(const char *hex)
{
    uint64_t bits = strtoull(hex, NULL, 16);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void assert_text(const weir__buffer *out, const char *expected)
{
    if (!weir_slice_equal(weir__buffer_slice(out), weir_slice_str(expected)))
        fail_msg("%.*s, orjson gives %s", (int)out->size, (const char *)out->data, expected);
}

static void check_written_double(const char *input, const char *expected, weir__buffer *out)
{
    assert_int_equal(weir__json_write_double(out, double_of(input), NULL), WEIR_OK);
    assert_text(out, expected);
}

static void check_read_double(const char *input, const char *expected, weir__buffer *out)
{
    (void)out;
    double value;
    double wanted = double_of(input);
    assert_int_equal(weir__json_read_double(weir_slice_str(expected), &value, NULL), WEIR_OK);
    assert_memory_equal(&value, &wanted, sizeof(value));
}

static void check_canonical(const char *input, const char *expected, weir__buffer *out)
{
    weir_error err;
    weir_status status = weir__json_write_canonical(out, weir_slice_str(input), &err);
    if (strcmp(expected, "!") == 0) {
        if (status != WEIR_SERIALIZATION)
            fail_msg("%s is accepted, orjson refuses it", input);
        return;
    }
    if (status != WEIR_OK)
        fail_msg("%s: %s", input, err.message);
    assert_text(out, expected);
}

static void check_canonical_again(const char *input, const char *expected, weir__buffer *out)
{
    if (strcmp(expected, "!") != 0)
        check_canonical(expected, expected, out);
    (void)input;
}

static void test_doubles_are_written_as_orjson_does(void **state)
{
    (void)state;
    assert_true(each_line("double", check_written_double) > 5000);
}

static void test_doubles_that_orjson_wrote_are_read_exactly(void **state)
{
    (void)state;
    assert_true(each_line("double", check_read_double) > 5000);
}

static void test_any_text_is_written_as_orjson_does_or_refused_as_by_orjson(void **state)
{
    (void)state;
    assert_true(each_line("text", check_canonical) > 120);
}

static void test_text_in_canonical_form_stays_as_it_is(void **state)
{
    (void)state;
    assert_true(each_line("text", check_canonical_again) > 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_are_written_as_orjson_does),
        cmocka_unit_test(test_doubles_that_orjson_wrote_are_read_exactly),
        cmocka_unit_test(test_any_text_is_written_as_orjson_does_or_refused_as_by_orjson),
        cmocka_unit_test(test_text_in_canonical_form_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
