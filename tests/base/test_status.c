/*
 * Tests of status codes, error details and byte slices.
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

#include <weir/weir.h>

static void test_each_status_has_name_text_and_class(void **state)
{
    (void)state;
    int expected = 0;
#define CHECK_STATUS(name, number, class_, text_)                                                  \
    assert_int_equal(WEIR_##name, number);                                                         \
    assert_int_equal(number, expected--);                                                          \
    assert_string_equal(weir_status_name(WEIR_##name), #name);                                     \
    assert_string_equal(weir_status_text(WEIR_##name), text_);                                     \
    assert_int_equal(weir_status_class_of(WEIR_##name), WEIR_CLASS_##class_);
    WEIR_STATUS_TABLE(CHECK_STATUS)
#undef CHECK_STATUS
}

static void test_numbers_of_the_binary_interface_do_not_change(void **state)
{
    (void)state;
    assert_int_equal(WEIR_OK, 0);
    assert_int_equal(WEIR_NOT_FOUND, -1);
    assert_int_equal(WEIR_LOCKED, -3);
    assert_int_equal(WEIR_NO_MEMORY, -11);
    assert_int_equal(WEIR_CALLBACK, -23);
}

static void test_a_number_outside_the_table_is_unknown_and_fatal(void **state)
{
    (void)state;
    assert_string_equal(weir_status_name((weir_status)-999), "UNKNOWN");
    assert_string_equal(weir_status_text((weir_status)7), "unknown status");
    assert_int_equal(weir_status_class_of((weir_status)-999), WEIR_CLASS_FATAL);
}

static void test_the_version_is_that_of_the_headers(void **state)
{
    (void)state;
    char expected[32];
    snprintf(expected, sizeof(expected), "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
             WEIR_VERSION_PATCH);
    assert_string_equal(weir_version(), expected);
}

static void test_an_error_holds_status_and_message(void **state)
{
    (void)state;
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(err.status, WEIR_OK);
    assert_string_equal(err.message, "");
    assert_int_equal(weir_error_set(&err, WEIR_LOCKED, "pid %d holds %s", 7, "a"), WEIR_LOCKED);
    assert_int_equal(err.status, WEIR_LOCKED);
    assert_string_equal(err.message, "pid 7 holds a");
}

static void test_an_error_may_be_absent(void **state)
{
    (void)state;
    assert_int_equal(weir_error_set(NULL, WEIR_IO, "lost %s", "text"), WEIR_IO);
}

static void test_an_error_message_can_be_wrapped_in_another(void **state)
{
    (void)state;
    weir_error err;
    weir_error_set(&err, WEIR_IO, "disk");
    weir_error_set(&err, WEIR_CORRUPTED, "opening x: %s (%s)", err.message, err.message);
    assert_string_equal(err.message, "opening x: disk (disk)");
}

static void test_a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        char text[2 * WEIR_ERROR_MESSAGE_SIZE];
        size_t size = shift;
        memset(text, 'x', shift);
        while (size + 4 < sizeof(text)) {
            memcpy(text + size, "\xF0\x9F\x98\x80", 4);
            size += 4;
        }
        text[size] = '\0';
        weir_error err;
        weir_error_set(&err, WEIR_INVALID, "%s", text);
        size_t length = strlen(err.message);
        assert_in_range(length, WEIR_ERROR_MESSAGE_SIZE - 5, WEIR_ERROR_MESSAGE_SIZE - 1);
        assert_string_equal(err.message + length - 3, "...");
        assert_int_equal((length - 3 - shift) % 4, 0);
        assert_memory_equal(err.message, text, length - 3);
    }
}

static void test_a_message_is_one_line_of_utf8_whatever_it_quotes(void **state)
{
    (void)state;
    weir_error err;
    weir_error_set(&err, WEIR_INVALID, "a\nb\x1b[31m\xff\xc3(%s)\x7f", "\xC3\xA9\xED\xA0\x80");
    assert_string_equal(err.message, "a b [31m\?\?(\xC3\xA9\?\?\?) ");
}

static weir_slice slice(const char *text)
{
    return weir_slice_str(text);
}

static void test_slices_compare_as_unsigned_bytes_with_prefixes_first(void **state)
{
    (void)state;
    assert_true(weir_slice_compare(slice("a"), slice("b")) < 0);
    assert_true(weir_slice_compare(slice("\x80"), slice("\x7f")) > 0);
    assert_true(weir_slice_compare(slice("a"), slice("ab")) < 0);
    assert_true(weir_slice_compare(slice("ab"), slice("a")) > 0);
    assert_int_equal(weir_slice_compare(slice("ab"), slice("ab")), 0);
    assert_true(weir_slice_compare(weir_slice_of("a\0b", 3), weir_slice_of("a\0c", 3)) < 0);
}

static void test_empty_slices_are_equal_whatever_they_point_to(void **state)
{
    (void)state;
    assert_true(weir_slice_equal(weir_slice_of(NULL, 0), slice("")));
    assert_int_equal(weir_slice_compare(weir_slice_of(NULL, 0), slice("")), 0);
    assert_true(weir_slice_compare(weir_slice_of(NULL, 0), slice("a")) < 0);
    assert_false(weir_slice_equal(weir_slice_of(NULL, 0), slice("a")));
    assert_false(weir_slice_equal(slice("a"), slice("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_status_has_name_text_and_class),
        cmocka_unit_test(test_numbers_of_the_binary_interface_do_not_change),
        cmocka_unit_test(test_a_number_outside_the_table_is_unknown_and_fatal),
        cmocka_unit_test(test_the_version_is_that_of_the_headers),
        cmocka_unit_test(test_an_error_holds_status_and_message),
        cmocka_unit_test(test_an_error_may_be_absent),
        cmocka_unit_test(test_an_error_message_can_be_wrapped_in_another),
        cmocka_unit_test(test_a_long_message_is_cut_between_characters),
        cmocka_unit_test(test_a_message_is_one_line_of_utf8_whatever_it_quotes),
        cmocka_unit_test(test_slices_compare_as_unsigned_bytes_with_prefixes_first),
        cmocka_unit_test(test_empty_slices_are_equal_whatever_they_point_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
