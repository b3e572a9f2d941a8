/*
 * Tests of the arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"

static int setup(void **state)
{
    static weir__arena arena;
    weir__arena_init(&arena);
    *state = &arena;
    return 0;
}

static int teardown(void **state)
{
    weir__arena_release(*state);
    return 0;
}

static void test_pieces_are_aligned_and_do_not_overlap(void **state)
{
    weir__arena *arena = *state;
    enum { COUNT = 2000 };
    static uint8_t *pieces[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 7 % 600;
        pieces[i] = weir__arena_alloc(arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i % 256), size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i * 7 % 600; j++)
            assert_int_equal(pieces[i][j], i % 256);
    }
    assert_true(arena->reserved >= arena->used);
}

static void test_a_piece_larger_than_any_chunk_is_given(void **state)
{
    weir__arena *arena = *state;
    size_t size = (size_t)5 << 20;
    uint8_t *small = weir__arena_alloc(arena, 1);
    uint8_t *large = weir__arena_alloc(arena, size);
    assert_non_null(small);
    assert_non_null(large);
    memset(large, 1, size);
    assert_non_null(weir__arena_alloc(arena, 1));
}

static void test_an_impossible_size_gives_null_and_the_arena_lives_on(void **state)
{
    weir__arena *arena = *state;
    assert_null(weir__arena_alloc(arena, SIZE_MAX));
    assert_null(weir__arena_alloc(arena, SIZE_MAX - 15));
    assert_null(weir__arena_copy(arena, "", SIZE_MAX));
    assert_non_null(weir__arena_alloc(arena, 1));
}

static void fill(weir__arena *arena, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_non_null(weir__arena_alloc(arena, 100 + i % 50));
}

static void test_a_warm_arena_reserves_nothing_more(void **state)
{
    weir__arena *arena = *state;
    fill(arena, 5000);
    weir__arena_reset(arena, SIZE_MAX);
    size_t reserved = arena->reserved;
    const weir__arena_chunk *chunk = arena->first;
    for (int round = 0; round < 5; round++) {
        assert_int_equal(arena->used, 0);
        fill(arena, 5000);
        assert_int_equal(arena->reserved, reserved);
        assert_ptr_equal(arena->first, chunk);
        weir__arena_reset(arena, SIZE_MAX);
    }
}

static void test_reset_keeps_at_most_what_it_is_told(void **state)
{
    weir__arena *arena = *state;
    fill(arena, 5000);
    assert_true(arena->reserved > 100000);
    weir__arena_reset(arena, 100000);
    assert_int_equal(arena->reserved, 100000);
    fill(arena, 10);
    assert_int_equal(arena->reserved, 100000);
    weir__arena_reset(arena, 0);
    assert_int_equal(arena->reserved, 0);
    assert_int_equal(arena->used, 0);
    fill(arena, 10);
}

static void test_a_copy_ends_with_nul(void **state)
{
    weir__arena *arena = *state;
    char *copy = weir__arena_copy(arena, "a\0bc", 4);
    assert_memory_equal(copy, "a\0bc", 5);
    assert_string_equal(weir__arena_copy(arena, NULL, 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces_are_aligned_and_do_not_overlap, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_piece_larger_than_any_chunk_is_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_impossible_size_gives_null_and_the_arena_lives_on,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_arena_reserves_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_keeps_at_most_what_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_copy_ends_with_nul, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
