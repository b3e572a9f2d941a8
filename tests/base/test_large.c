/*
 * Tests of large pieces of memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/large.h"

static const size_t sizes[] = {1, 4096, WEIR__LARGE_MIN - 1, WEIR__LARGE_MIN, WEIR__LARGE_MIN + 1};

static void test_all_bytes_of_a_piece_can_be_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *piece = weir__large_alloc(sizes[i]);
        assert_non_null(piece);
        memset(piece, 0xA5, sizes[i]);
        assert_int_equal(piece[sizes[i] - 1], 0xA5);
        weir__large_free(piece, sizes[i]);
    }
    weir__large_free(NULL, 1);
    weir__large_free(NULL, WEIR__LARGE_MIN);
}

static void test_a_zeroed_piece_is_zero_after_a_used_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *used = weir__large_alloc(sizes[i]);
        assert_non_null(used);
        memset(used, 1, sizes[i]);
        weir__large_free(used, sizes[i]);
        uint8_t *piece = weir__large_alloc_zeroed(sizes[i]);
        assert_non_null(piece);
        for (size_t at = 0; at < sizes[i]; at++) {
            if (piece[at] != 0)
                fail_msg("byte %zu of %zu is %u", at, sizes[i], piece[at]);
        }
        weir__large_free(piece, sizes[i]);
    }
}

static void test_what_is_given_back_can_be_used_on_and_its_neighbours_stay(void **state)
{
    enum { PART = 65536 };
    (void)state;
    uint8_t *piece = weir__large_alloc(WEIR__LARGE_MIN);
    assert_non_null(piece);
    memset(piece, 7, WEIR__LARGE_MIN);
    weir__large_discard(piece + PART, PART);
    assert_int_equal(piece[PART - 1], 7);
    assert_int_equal(piece[2 * PART], 7);
    memset(piece + PART, 8, PART);
    assert_int_equal(piece[PART], 8);
    assert_int_equal(piece[2 * PART - 1], 8);
    weir__large_free(piece, WEIR__LARGE_MIN);
}

static void test_more_than_there_is_is_refused(void **state)
{
    (void)state;
    assert_null(weir__large_alloc(SIZE_MAX - 1));
    assert_null(weir__large_alloc_zeroed(SIZE_MAX / 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_bytes_of_a_piece_can_be_used),
        cmocka_unit_test(test_a_zeroed_piece_is_zero_after_a_used_one),
        cmocka_unit_test(test_what_is_given_back_can_be_used_on_and_its_neighbours_stay),
        cmocka_unit_test(test_more_than_there_is_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
