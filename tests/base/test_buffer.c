/*
 * Tests of the byte buffer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include <cmocka.h>

static int setup(void **state)
{
    static weir__buffer buffer;
    weir__buffer_init(&buffer);
    *state = &buffer;
    return 0;
}

static int teardown(void **state)
{
    weir__buffer_release(*state);
    return 0;
}

static void assert_content(const weir__buffer *buffer, const char *expected)
{
    assert_true(weir_slice_equal(weir__buffer_slice(buffer), weir_slice_str(expected)));
}

static void test_appends_follow_one_another(void **state)
{
    weir__buffer *buffer = *state;
    assert_int_equal(weir__buffer_append(buffer, "ab", 2), WEIR_OK);
    assert_int_equal(weir__buffer_append_byte(buffer, 'c'), WEIR_OK);
    assert_int_equal(weir__buffer_append_str(buffer, "de"), WEIR_OK);
    assert_int_equal(weir__buffer_printf(buffer, "%d%s", 42, "f"), WEIR_OK);
    assert_int_equal(weir__buffer_append(buffer, NULL, 0), WEIR_OK);
    assert_content(buffer, "abcde42f");
}

static void test_a_cleared_buffer_keeps_its_memory(void **state)
{
    weir__buffer *buffer = *state;
    assert_int_equal(weir__buffer_reserve(buffer, 1000), WEIR_OK);
    const uint8_t *data = buffer->data;
    for (int round = 0; round < 3; round++) {
        weir__buffer_clear(buffer);
        assert_int_equal(buffer->size, 0);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(weir__buffer_append_byte(buffer, (uint8_t)i), WEIR_OK);
        assert_ptr_equal(buffer->data, data);
    }
}

static void test_growing_keeps_the_content(void **state)
{
    weir__buffer *buffer = *state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(weir__buffer_append_byte(buffer, (uint8_t)(i % 251)), WEIR_OK);
    assert_int_equal(buffer->size, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buffer->data[i], i % 251);
}

static void test_what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    weir__buffer *buffer = *state;
    assert_int_equal(weir__buffer_append_str(buffer, "abc"), WEIR_OK);
    assert_int_equal(weir__buffer_reserve(buffer, SIZE_MAX), WEIR_NO_MEMORY);
    assert_int_equal(weir__buffer_reserve(buffer, SIZE_MAX / 2), WEIR_NO_MEMORY);
    assert_content(buffer, "abc");
}

static void test_long_printf_output_is_whole(void **state)
{
    weir__buffer *buffer = *state;
    assert_int_equal(weir__buffer_printf(buffer, "%05000d", 7), WEIR_OK);
    assert_int_equal(buffer->size, 5000);
    assert_int_equal(buffer->data[0], '0');
    assert_int_equal(buffer->data[4999], '7');
}

static void test_release_leaves_an_empty_buffer(void **state)
{
    weir__buffer *buffer = *state;
    assert_int_equal(weir__buffer_append_str(buffer, "abc"), WEIR_OK);
    weir__buffer_release(buffer);
    assert_content(buffer, "");
    assert_int_equal(weir__buffer_append_str(buffer, "x"), WEIR_OK);
    assert_content(buffer, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_appends_follow_one_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cleared_buffer_keeps_its_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growing_keeps_the_content, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_does_not_fit_leaves_the_buffer_as_it_was, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_long_printf_output_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_leaves_an_empty_buffer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
