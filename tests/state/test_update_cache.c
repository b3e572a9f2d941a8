/*
 * The changes of a transaction: by key, in order, and as open iterators see them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/record_cache.h"
#include "state/support_harness.h"
#include "state/update_cache.h"

static int setup(void **state)
{
    weir__update_cache *cache = malloc(sizeof *cache);
    weir__update_cache_init(cache);
    *state = cache;
    return 0;
}

static int teardown(void **state)
{
    weir__update_cache_release(*state);
    free(*state);
    return 0;
}

static void set_in(weir__update_cache *cache, weir_cf cf, weir_slice key, const char *value)
{
    weir_slice bytes = weir_slice_of(value, value ? strlen(value) : 0);
    assert_int_equal(
        weir__update_cache_set(cache, cf, key, weir__record_hash(cf, key), value ? &bytes : NULL),
        WEIR_OK);
}

static void set(weir__update_cache *cache, const char *key, const char *value)
{
    set_in(cache, 0, weir_slice_str(key), value);
}

static weir__update *find(weir__update_cache *cache, const char *key)
{
    weir_slice slice = weir_slice_str(key);
    return weir__update_cache_find(cache, 0, slice, weir__record_hash(0, slice));
}

static void test_a_change_is_found_and_a_delete_is_a_change(void **state)
{
    weir__update_cache *cache = *state;
    assert_null(find(cache, "a"));
    set(cache, "a", "one");
    set(cache, "b", NULL);
    assert_memory_equal(find(cache, "a")->value, "one", 3);
    assert_true(find(cache, "b")->is_delete);
    set(cache, "a", NULL);
    set(cache, "b", "two");
    assert_true(find(cache, "a")->is_delete);
    assert_false(find(cache, "b")->is_delete);
    assert_int_equal(cache->count, 2);
}

static void test_a_value_that_fits_is_overwritten_in_place(void **state)
{
    weir__update_cache *cache = *state;
    set(cache, "counter", "1");
    const uint8_t *at = find(cache, "counter")->value;
    size_t bytes = weir__update_cache_bytes(cache);
    char text[16];
    for (int i = 0; i < 100000; i++) {
        snprintf(text, sizeof text, "%d", i);
        set(cache, "counter", text);
    }
    assert_ptr_equal(find(cache, "counter")->value, at);
    assert_memory_equal(at, "99999", 5);
    assert_int_equal(weir__update_cache_bytes(cache), bytes);
}

static void test_a_value_that_grows_takes_no_more_than_a_few_times_its_size(void **state)
{
    weir__update_cache *cache = *state;
    static char text[20001];
    for (size_t size = 1; size < sizeof text; size++) {
        text[size - 1] = 'x';
        set(cache, "list", text);
    }
    assert_int_equal(find(cache, "list")->value_size, 20000);
    assert_true(weir__update_cache_bytes(cache) < 20000 * 8);
}

static void test_reset_forgets_changes_and_keeps_memory(void **state)
{
    weir__update_cache *cache = *state;
    size_t reserved = 0;
    for (int round = 0; round < 5; round++) {
        char key[32];
        for (int i = 0; i < 5000; i++) {
            snprintf(key, sizeof key, "%d-%d", round, i);
            set(cache, key, "value");
        }
        assert_int_equal(cache->count, 5000);
        assert_non_null(find(cache, key));
        if (round > 1)
            assert_int_equal(cache->arena.reserved, reserved);
        reserved = cache->arena.reserved;
        weir__update_cache_reset(cache);
        assert_null(find(cache, key));
        assert_int_equal(cache->count, 0);
        assert_int_equal(weir__update_cache_bytes(cache), 0);
    }
}

static void test_a_small_transaction_after_a_large_one_gives_memory_back(void **state)
{
    weir__update_cache *cache = *state;
    char key[32];
    for (int i = 0; i < 200000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        set(cache, key, "value");
    }
    weir__update_cache_reset(cache);
    set(cache, "few", "value");
    weir__update_cache_reset(cache);
    assert_true(cache->arena.reserved < (size_t)4 << 20);
    assert_true(cache->slot_count < 65536);
    set(cache, "few", "value");
    assert_non_null(find(cache, "few"));
}

/* --- Order --- */

static int compare_updates(const void *a, const void *b)
{
    const weir__update *left = *(weir__update *const *)a;
    const weir__update *right = *(weir__update *const *)b;
    if (left->cf != right->cf)
        return left->cf < right->cf ? -1 : 1;
    return weir_slice_compare(weir_slice_of(left->key, left->key_size),
                              weir_slice_of(right->key, right->key_size));
}

static void assert_sorts(weir__update_cache *cache)
{
    size_t count = cache->count;
    weir__update **expected = malloc((count + 1) * sizeof *expected);
    void *scratch = malloc((count + 1) * WEIR__SORT_BYTES);
    for (size_t i = 0; i < count; i++)
        expected[i] = cache->updates[i];
    qsort(expected, count, sizeof(weir__update *), compare_updates);
    weir__update_cache_sort(cache, scratch);
    if (count > 0)
        assert_memory_equal(cache->updates, expected, count * sizeof(weir__update *));
    free(expected);
    free(scratch);
}

/* A key of bytes that collide often: zeros, separators, common beginnings. */
static weir_slice strange_key(test_random *random, uint8_t *room)
{
    static const uint8_t alphabet[] = {0, 0, '|', 'a', 0xFF};
    size_t common = test_random_below(random, 3) * 9;
    size_t size = common + test_random_below(random, 20);
    memset(room, 'p', common);
    for (size_t i = common; i < size; i++)
        room[i] = alphabet[test_random_below(random, sizeof alphabet)];
    return weir_slice_of(room, size);
}

static void test_sort_gives_the_order_of_families_and_bytes(void **state)
{
    weir__update_cache *cache = *state;
    test_random random = {test_seed(2)};
    printf("seed %llu\n", (unsigned long long)random.state);
    static const size_t sizes[] = {0, 1, 2, 10, 47, 48, 49, 1000, 30000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t room[64];
        while (cache->count < sizes[i])
            set_in(cache, test_random_below(&random, 3) * 2, strange_key(&random, room), "v");
        assert_sorts(cache);
        weir__update_cache_reset(cache);
    }
}

static void test_sort_tells_keys_apart_that_differ_by_zero_bytes_at_their_end(void **state)
{
    weir__update_cache *cache = *state;
    static uint8_t zeros[600];
    for (size_t size = 0; size < sizeof zeros; size++)
        set_in(cache, 0, weir_slice_of(zeros, (size * 7) % sizeof zeros), "v");
    assert_int_equal(cache->count, sizeof zeros);
    assert_sorts(cache);
}

static void test_sort_of_a_checkpoint_of_numbered_keys(void **state)
{
    weir__update_cache *cache = *state;
    for (uint32_t i = 0; i < 100000; i++) {
        char key[40];
        int size = snprintf(key, sizeof key, "user-%08u|\"total\"", i * 2654435761u % 100000000u);
        set_in(cache, 0, weir_slice_of(key, (size_t)size), "1");
    }
    assert_sorts(cache);
}

/* --- Cursors --- */

/* "a=1 b- c=3 " from what the cursor still has to show. */
static char *read_all(weir__update_cursor *cursor)
{
    static char text[4096];
    weir__update_view view;
    text[0] = 0;
    while (weir__update_cursor_peek(cursor, &view)) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%.*s%s%.*s ", (int)view.key.size,
                 (const char *)view.key.data, view.is_delete ? "-" : "=", (int)view.value.size,
                 view.value.size ? (const char *)view.value.data : "");
        weir__update_cursor_forward(cursor);
    }
    return text;
}

static weir__update_cursor open_cursor(weir__update_cache *cache, const char *lower,
                                       const char *upper, bool reverse)
{
    weir__update_cursor cursor;
    weir_slice low = weir_slice_of(lower, lower ? strlen(lower) : 0);
    weir_slice high = weir_slice_of(upper, upper ? strlen(upper) : 0);
    assert_int_equal(weir__update_cursor_open(cache, 0, lower ? &low : NULL, upper ? &high : NULL,
                                              reverse, &cursor),
                     WEIR_OK);
    return cursor;
}

static void test_cursors_go_both_ways_from_their_bound(void **state)
{
    weir__update_cache *cache = *state;
    set(cache, "c", "3");
    set(cache, "a", "1");
    set_in(cache, 1, weir_slice_str("other"), "x");
    set(cache, "b", NULL);
    weir__update_cursor cursor = open_cursor(cache, NULL, NULL, false);
    assert_string_equal(read_all(&cursor), "a=1 b- c=3 ");
    cursor = open_cursor(cache, "b", NULL, false);
    assert_string_equal(read_all(&cursor), "b- c=3 ");
    cursor = open_cursor(cache, "bb", NULL, false);
    assert_string_equal(read_all(&cursor), "c=3 ");
    cursor = open_cursor(cache, NULL, "c", true);
    assert_string_equal(read_all(&cursor), "b- a=1 ");
    cursor = open_cursor(cache, NULL, NULL, true);
    assert_string_equal(read_all(&cursor), "c=3 b- a=1 ");
    cursor = open_cursor(cache, NULL, "a", true);
    assert_string_equal(read_all(&cursor), "");
    for (int i = 0; i < 6; i++)
        weir__update_cursor_close(cache);
}

static void test_each_cursor_sees_the_changes_as_of_its_opening(void **state)
{
    weir__update_cache *cache = *state;
    set(cache, "a", "old");
    set(cache, "c", "3");
    weir__update_cursor first = open_cursor(cache, NULL, NULL, false);
    set(cache, "a", "new");
    set(cache, "b", "2");
    set(cache, "c", NULL);
    weir__update_cursor second = open_cursor(cache, NULL, NULL, true);
    set(cache, "a", NULL);
    set(cache, "a", "x");
    set(cache, "a", "newest");
    set(cache, "c", "y");
    set(cache, "c", NULL);
    set(cache, "b", "changed");
    set(cache, "d", "4");
    weir__update_cursor third = open_cursor(cache, NULL, NULL, false);
    assert_string_equal(read_all(&first), "a=old c=3 ");
    assert_string_equal(read_all(&second), "c- b=2 a=new ");
    assert_string_equal(read_all(&third), "a=newest b=changed c- d=4 ");
    for (int i = 0; i < 3; i++)
        weir__update_cursor_close(cache);
    assert_memory_equal(find(cache, "a")->value, "newest", 6);
}

static void test_a_cursor_in_the_middle_is_not_disturbed(void **state)
{
    weir__update_cache *cache = *state;
    char key[16];
    for (int i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof key, "%04d", i);
        set(cache, key, "even");
    }
    weir__update_cursor cursor = open_cursor(cache, NULL, NULL, false);
    weir__update_view view;
    int seen = 0;
    for (; weir__update_cursor_peek(&cursor, &view); seen += 2) {
        snprintf(key, sizeof key, "%04d", seen);
        assert_memory_equal(view.key.data, key, 4);
        assert_memory_equal(view.value.data, "even", 4);
        set(cache, key, NULL);
        snprintf(key, sizeof key, "%04d", seen + 1);
        set(cache, key, "odd");
        snprintf(key, sizeof key, "%04d", 998 - seen);
        set(cache, key, "odd");
        weir__update_cursor_forward(&cursor);
    }
    assert_int_equal(seen, 1000);
    weir__update_cursor_close(cache);
}

static void test_the_index_keeps_up_with_random_changes(void **state)
{
    weir__update_cache *cache = *state;
    test_random random = {test_seed(3)};
    printf("seed %llu\n", (unsigned long long)random.state);
    for (int round = 0; round < 60; round++) {
        uint8_t room[64];
        for (int i = 0; i < 200; i++)
            set_in(cache, 0, strange_key(&random, room), "v");
        size_t count = cache->count;
        weir__update **expected = malloc(count * sizeof *expected);
        memcpy(expected, cache->updates, count * sizeof(weir__update *));
        qsort(expected, count, sizeof(weir__update *), compare_updates);
        weir__update_cursor up = open_cursor(cache, NULL, NULL, false);
        weir__update_cursor down = open_cursor(cache, NULL, NULL, true);
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(up.node->update, expected[i]);
            assert_ptr_equal(down.node->update, expected[count - 1 - i]);
            weir__update_cursor_forward(&up);
            weir__update_cursor_forward(&down);
        }
        assert_null(up.node);
        assert_null(down.node);
        weir__update_cursor_close(cache);
        weir__update_cursor_close(cache);
        free(expected);
    }
}

/* A sort or a walk of all changes at each read would be 10^10 steps here. */
static void test_a_range_read_at_each_record_costs_no_sort(void **state)
{
    weir__update_cache *cache = *state;
    char key[16];
    char next[24];
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "%010u", i * 2654435761u);
        snprintf(next, sizeof next, "%s!", key);
        set(cache, key, "value");
        weir__update_cursor cursor = open_cursor(cache, key, NULL, false);
        weir__update_view view;
        assert_true(weir__update_cursor_peek(&cursor, &view));
        assert_memory_equal(view.key.data, key, 10);
        cursor = open_cursor(cache, NULL, next, true);
        assert_true(weir__update_cursor_peek(&cursor, &view));
        assert_memory_equal(view.key.data, key, 10);
        weir__update_cursor_close(cache);
        weir__update_cursor_close(cache);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_is_found_and_a_delete_is_a_change),
        TEST(test_a_value_that_fits_is_overwritten_in_place),
        TEST(test_a_value_that_grows_takes_no_more_than_a_few_times_its_size),
        TEST(test_reset_forgets_changes_and_keeps_memory),
        TEST(test_a_small_transaction_after_a_large_one_gives_memory_back),
        TEST(test_sort_gives_the_order_of_families_and_bytes),
        TEST(test_sort_tells_keys_apart_that_differ_by_zero_bytes_at_their_end),
        TEST(test_sort_of_a_checkpoint_of_numbered_keys),
        TEST(test_cursors_go_both_ways_from_their_bound),
        TEST(test_each_cursor_sees_the_changes_as_of_its_opening),
        TEST(test_a_cursor_in_the_middle_is_not_disturbed),
        TEST(test_the_index_keeps_up_with_random_changes),
        TEST(test_a_range_read_at_each_record_costs_no_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
