/*
 * Tests of numbers as text: random doubles against the C library, and other locales.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* xorshift64: the same sequence on every machine. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static double read_back(const char *text, size_t size)
{
    double value;
    assert_int_equal(weir__number_read_double(text, size, &value), WEIR_OK);
    return value;
}

static size_t count_significant(const char *text)
{
    size_t count = 0;
    size_t zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '0') {
            zeros += count > 0;
        } else if (*text >= '1' && *text <= '9') {
            count += zeros + 1;
            zeros = 0;
        }
    }
    return count;
}

static void test_random_doubles_read_back_and_none_shorter_does(void **state)
{
    (void)state;
    uint64_t seed = UINT64_C(88172645463325252);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = next_random(&seed);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        char text[WEIR__NUMBER_SIZE + 1];
        size_t size = weir__number_write_double(text, value);
        assert_in_range(size, 3, WEIR__NUMBER_SIZE);
        text[size] = '\0';
        double again = read_back(text, size);
        assert_memory_equal(&again, &value, sizeof(value));
        assert_true(strtod(text, NULL) == value);
        size_t digits = count_significant(text);
        if (digits > 1) {
            char shorter[64];
            snprintf(shorter, sizeof(shorter), "%.*e", (int)digits - 2, value);
            assert_true(strtod(shorter, NULL) != value);
        }
    }
}

static void test_decimals_of_few_places_keep_their_text(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 100000; i++) {
        uint64_t random = next_random(&seed);
        char text[64];
        int places = (int)(random % 7) + 1;
        snprintf(text, sizeof(text), "%.*f", places, (double)(random >> 24) / pow(10, places));
        size_t length = strlen(text);
        while (text[length - 1] == '0' && text[length - 2] != '.')
            text[--length] = '\0';
        double value = strtod(text, NULL);
        if (count_significant(text) > 15 || value < 1e-5)
            continue;
        char written[WEIR__NUMBER_SIZE];
        size_t size = weir__number_write_double(written, value);
        assert_int_equal(size, length);
        assert_memory_equal(written, text, length);
    }
}

static void test_text_that_is_no_number_is_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {"",  "-",  "+",  ".",  "1.",  ".5",  "1e",  "1e+",
                                      "x", "1x", " 1", "1 ", "--1", "0x1", "inf", "nan"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        double value = 5;
        assert_int_equal(weir__number_read_double(bad[i], strlen(bad[i]), &value), WEIR_INVALID);
        assert_true(value == 0);
    }
    double value = 5;
    assert_int_equal(weir__number_read_double("1e309", 5, &value), WEIR_TOO_LARGE);
    assert_true(value == 0);
}

static void test_a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8",  "fr_FR.UTF-8",
                                        "de_AT.UTF-8", "nl_NL.UTF-8", "es_ES.UTF-8"};
    bool is_set = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !is_set; i++)
        is_set = setlocale(LC_ALL, names[i]) != NULL;
    if (!is_set)
        skip();
    char text[WEIR__NUMBER_SIZE];
    size_t size = weir__number_write_double(text, 1.0 / 3);
    double value = read_back("0.33333333333333331483", 22);
    setlocale(LC_ALL, "C");
    assert_int_equal(size, 18);
    assert_memory_equal(text, "0.3333333333333333", size);
    assert_true(value == 1.0 / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_doubles_read_back_and_none_shorter_does),
        cmocka_unit_test(test_decimals_of_few_places_keep_their_text),
        cmocka_unit_test(test_text_that_is_no_number_is_invalid),
        cmocka_unit_test(test_a_locale_with_a_decimal_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
