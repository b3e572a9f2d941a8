/*
 * The record cache: it never tells anything but the last put of a key, it keeps to its
 * budget, and several caches come to a fair share of it.
 *
 * The budget of the process can only be raised, so the tests go from small to large.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/record_cache.h"
#include "state/support_harness.h"

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)

static weir_slice number_key(char *room, size_t number)
{
    int size = snprintf(room, 32, "key-%08zu", number);
    return weir_slice_of(room, (size_t)size);
}

static weir_slice put(weir__record_cache *cache, size_t number, const void *data, size_t size)
{
    char room[32];
    weir_slice key = number_key(room, number);
    weir_slice value = weir_slice_of(data, size);
    return weir__record_cache_put(cache, 0, key, weir__record_hash(0, key), &value);
}

static weir__cache_result get(weir__record_cache *cache, size_t number, weir_slice *value)
{
    char room[32];
    weir_slice key = number_key(room, number);
    return weir__record_cache_get(cache, 0, key, weir__record_hash(0, key), value);
}

static bool is_cached(weir__record_cache *cache, size_t number)
{
    weir_slice value;
    return get(cache, number, &value) != WEIR__CACHE_MISS;
}

static void assert_value(weir__record_cache *cache, size_t number, const char *text)
{
    weir_slice value;
    assert_int_equal(get(cache, number, &value), WEIR__CACHE_HIT);
    assert_int_equal(value.size, strlen(text));
    assert_memory_equal(value.data, text, value.size);
}

static void test_without_a_budget_nothing_is_cached_and_nothing_breaks(void **state)
{
    (void)state;
    assert_int_equal(weir__cache_budget(), 0);
    weir__record_cache *cache = weir__record_cache_new();
    assert_null(put(cache, 1, "one", 3).data);
    assert_false(is_cached(cache, 1));
    assert_int_equal(weir__record_cache_bytes(cache), 0);
    weir__record_cache_free(cache);
}

static void test_what_was_put_is_found_until_it_is_replaced(void **state)
{
    (void)state;
    weir__cache_budget_raise(MIB);
    weir__record_cache *cache = weir__record_cache_new();
    assert_false(is_cached(cache, 1));
    weir_slice at = put(cache, 1, "one", 3);
    assert_memory_equal(at.data, "one", 3);
    put(cache, 2, "", 0);
    assert_value(cache, 1, "one");
    assert_value(cache, 2, "");
    put(cache, 1, "another", 7);
    assert_value(cache, 1, "another");
    assert_int_equal(weir__record_cache_count(cache), 2);
    weir__record_cache_free(cache);
}

static void test_an_absent_key_is_remembered_and_can_come_to_be(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    weir_slice key = weir_slice_str("ghost");
    weir_slice value = weir_slice_str("here now");
    uint64_t hash = weir__record_hash(0, key);
    weir__record_cache_put(cache, 0, key, hash, NULL);
    assert_int_equal(weir__record_cache_get(cache, 0, key, hash, &value), WEIR__CACHE_ABSENT);
    value = weir_slice_str("here now");
    weir__record_cache_put(cache, 0, key, hash, &value);
    assert_int_equal(weir__record_cache_get(cache, 0, key, hash, &value), WEIR__CACHE_HIT);
    assert_memory_equal(value.data, "here now", 8);
    weir__record_cache_put(cache, 0, key, hash, NULL);
    assert_int_equal(weir__record_cache_get(cache, 0, key, hash, &value), WEIR__CACHE_ABSENT);
    weir__record_cache_free(cache);
}

static void test_one_key_in_two_families_and_the_empty_key_are_records_of_their_own(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    weir_slice keys[] = {weir_slice_str("k"), weir_slice_of(NULL, 0)};
    for (weir_cf cf = 0; cf < 3; cf++) {
        for (size_t i = 0; i < 2; i++) {
            uint8_t byte = (uint8_t)(cf * 2 + i);
            weir_slice value = weir_slice_of(&byte, 1);
            weir__record_cache_put(cache, cf, keys[i], weir__record_hash(cf, keys[i]), &value);
        }
    }
    for (weir_cf cf = 0; cf < 3; cf++) {
        for (size_t i = 0; i < 2; i++) {
            weir_slice value;
            assert_int_equal(
                weir__record_cache_get(cache, cf, keys[i], weir__record_hash(cf, keys[i]), &value),
                WEIR__CACHE_HIT);
            assert_int_equal(*(const uint8_t *)value.data, cf * 2 + i);
        }
    }
    weir__record_cache_free(cache);
}

static void test_keys_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    const uint64_t hash = 42;
    for (uint32_t i = 0; i < 200; i++) {
        weir_slice key = weir_slice_of(&i, sizeof i);
        weir__record_cache_put(cache, 0, key, hash, &key);
    }
    for (uint32_t i = 0; i < 200; i++) {
        weir_slice value;
        assert_int_equal(
            weir__record_cache_get(cache, 0, weir_slice_of(&i, sizeof i), hash, &value),
            WEIR__CACHE_HIT);
        assert_memory_equal(value.data, &i, sizeof i);
    }
    weir__record_cache_free(cache);
}

static void test_values_of_every_size_come_back_and_one_too_large_drops_the_old(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    static uint8_t data[80 * 1024];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t size = 0; size <= 65000; size = size + 1 + size / 7) {
        weir_slice value;
        put(cache, 7, data, size);
        assert_int_equal(get(cache, 7, &value), WEIR__CACHE_HIT);
        assert_int_equal(value.size, size);
        assert_memory_equal(value.data, data, size);
    }
    assert_null(put(cache, 7, data, sizeof data).data);
    assert_false(is_cached(cache, 7));
    assert_int_equal(weir__record_cache_count(cache), 0);
    weir__record_cache_free(cache);
}

static void test_the_budget_is_kept_and_hits_are_right_whatever_comes(void **state)
{
    (void)state;
    enum { KEYS = 20000 };
    test_random random = {test_seed(1)};
    printf("seed %llu\n", (unsigned long long)random.state);
    weir__record_cache *cache = weir__record_cache_new();
    static uint32_t last[KEYS]; /* 0: unknown, 1: absent, else size + 2 */
    static uint8_t data[4096];
    memset(last, 0, sizeof last);
    size_t hits = 0;
    for (size_t i = 0; i < 400000; i++) {
        uint32_t number = test_random_below(&random, KEYS);
        weir_slice value;
        weir__cache_result result = get(cache, number, &value);
        if (result == WEIR__CACHE_HIT) {
            hits++;
            assert_int_equal(value.size + 2, last[number]);
            memset(data, (uint8_t)(number ^ value.size), value.size);
            assert_memory_equal(value.data, data, value.size);
        } else if (result == WEIR__CACHE_ABSENT) {
            assert_int_equal(last[number], 1);
        }
        uint32_t size = test_random_below(&random, 8) ? test_random_below(&random, 100)
                                                      : test_random_below(&random, 4096);
        memset(data, (uint8_t)(number ^ size), size);
        char room[32];
        weir_slice key = number_key(room, number);
        bool is_absent = test_random_below(&random, 5) == 0;
        value = weir_slice_of(data, size);
        last[number] = is_absent ? 1 : size + 2;
        weir__record_cache_put(cache, 0, key, weir__record_hash(0, key), is_absent ? NULL : &value);
        assert_true(weir__record_cache_bytes(cache) <= MIB);
    }
    assert_true(hits > 1000);
    assert_int_equal(weir__cache_used(), weir__record_cache_bytes(cache));
    weir__record_cache_free(cache);
    assert_int_equal(weir__cache_used(), 0);
}

static void test_most_of_a_small_budget_goes_to_records(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    for (size_t i = 0; i < 100000; i++)
        put(cache, i, "123456", 6);
    /* 16 bytes of header, a key of 12, a value of 6: slots of 48 bytes, and the table. */
    assert_true(weir__record_cache_count(cache) * 48 > MIB * 6 / 10);
    weir__record_cache_free(cache);
}

static void test_records_in_use_outlive_a_scan(void **state)
{
    (void)state;
    enum { HOT = 500 };
    weir__record_cache *cache = weir__record_cache_new();
    for (size_t i = 0; i < HOT; i++)
        put(cache, i, "hot", 3);
    for (size_t i = 0; i < 200000; i++) {
        put(cache, 1000000 + i, "cold", 4);
        is_cached(cache, i % HOT);
    }
    size_t kept = 0;
    for (size_t i = 0; i < HOT; i++)
        kept += is_cached(cache, i);
    assert_true(kept > HOT * 9 / 10);
    weir__record_cache_free(cache);
}

static void test_memory_follows_when_the_sizes_of_records_change(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    static uint8_t data[700];
    for (size_t i = 0; i < 50000; i++)
        put(cache, i, data, 8);
    for (size_t i = 0; i < 5000; i++)
        put(cache, 100000 + i, data, sizeof data);
    size_t large = 0;
    for (size_t i = 0; i < 5000; i++)
        large += is_cached(cache, 100000 + i);
    assert_true(large * (sizeof data + 28) > MIB / 2);
    for (size_t i = 0; i < 50000; i++)
        put(cache, 200000 + i, data, 8);
    size_t small = 0;
    for (size_t i = 0; i < 50000; i++)
        small += is_cached(cache, 200000 + i);
    assert_true(small * 48 > MIB / 2);
    weir__record_cache_free(cache);
}

static void test_clear_forgets_all_and_gives_all_memory_back(void **state)
{
    (void)state;
    weir__record_cache *cache = weir__record_cache_new();
    for (size_t i = 0; i < 3000; i++)
        put(cache, i, "value", 5);
    assert_true(weir__cache_used() > 0);
    weir__record_cache_clear(cache);
    assert_int_equal(weir__cache_used(), 0);
    assert_int_equal(weir__record_cache_count(cache), 0);
    assert_false(is_cached(cache, 5));
    put(cache, 5, "again", 5);
    assert_value(cache, 5, "again");
    weir__record_cache_free(cache);
    assert_int_equal(weir__cache_used(), 0);
}

static void test_nothing_is_lost_as_the_table_grows(void **state)
{
    (void)state;
    enum { KEYS = 200000 };
    weir__cache_budget_raise(32 * MIB);
    weir__record_cache *cache = weir__record_cache_new();
    for (size_t i = 0; i < KEYS; i++)
        put(cache, i, &i, sizeof i);
    assert_int_equal(weir__record_cache_count(cache), KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        weir_slice value;
        assert_int_equal(get(cache, i, &value), WEIR__CACHE_HIT);
        assert_memory_equal(value.data, &i, sizeof i);
    }
    weir__record_cache_free(cache);
}

static void test_a_cache_uses_what_idle_ones_leave(void **state)
{
    (void)state;
    weir__record_cache *idle = weir__record_cache_new();
    weir__record_cache *busy = weir__record_cache_new();
    for (size_t i = 0; i < 1000000; i++)
        put(busy, i, "12345678", 8);
    assert_true(weir__record_cache_bytes(busy) > 30 * MIB);
    weir__record_cache_free(idle);
    weir__record_cache_free(busy);
}

static void test_a_cache_that_comes_later_gets_its_share(void **state)
{
    (void)state;
    weir__record_cache *first = weir__record_cache_new();
    for (size_t i = 0; i < 1000000; i++)
        put(first, i, "12345678", 8);
    assert_true(weir__record_cache_bytes(first) > 30 * MIB);
    weir__record_cache *second = weir__record_cache_new();
    size_t most = 0;
    for (size_t i = 0; i < 600000; i++) {
        put(first, i, "12345678", 8);
        put(second, i, "12345678", 8);
        if (weir__cache_used() > most)
            most = weir__cache_used();
    }
    assert_true(weir__record_cache_bytes(second) > 14 * MIB);
    assert_true(weir__record_cache_bytes(first) > 14 * MIB);
    assert_true(most <= 32 * MIB + 4 * MIB);
    weir__record_cache_free(second);
    for (size_t i = 0; i < 1000000; i++)
        put(first, i, "12345678", 8);
    assert_true(weir__record_cache_bytes(first) > 30 * MIB);
    weir__record_cache_free(first);
}

static void test_a_newcomer_beside_an_idle_full_cache_still_caches(void **state)
{
    (void)state;
    weir__record_cache *full = weir__record_cache_new();
    for (size_t i = 0; i < 1000000; i++)
        put(full, i, "12345678", 8);
    weir__record_cache *second = weir__record_cache_new();
    for (size_t i = 0; i < 100000; i++)
        put(second, i, "12345678", 8);
    assert_true(weir__record_cache_bytes(second) > 3 * MIB);
    assert_true(weir__cache_used() <= 36 * MIB);
    weir__record_cache_free(second);
    weir__record_cache_free(full);
    assert_int_equal(weir__cache_used(), 0);
}

static void *hammer(void *arg)
{
    size_t *over = arg;
    for (int round = 0; round < 2; round++) {
        weir__record_cache *cache = weir__record_cache_new();
        for (size_t i = 0; i < 150000; i++) {
            put(cache, i, "12345678", 8);
            if (i % 16 == 0 && weir__cache_used() > 36 * MIB)
                (*over)++;
        }
        weir__record_cache_free(cache);
    }
    return NULL;
}

static void test_caches_of_several_threads_keep_to_one_budget(void **state)
{
    (void)state;
    pthread_t threads[4];
    size_t over[4] = {0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &over[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(over[i], 0);
    }
    assert_int_equal(weir__cache_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_budget_nothing_is_cached_and_nothing_breaks),
        cmocka_unit_test(test_what_was_put_is_found_until_it_is_replaced),
        cmocka_unit_test(test_an_absent_key_is_remembered_and_can_come_to_be),
        cmocka_unit_test(test_one_key_in_two_families_and_the_empty_key_are_records_of_their_own),
        cmocka_unit_test(test_keys_of_one_hash_are_told_apart),
        cmocka_unit_test(test_values_of_every_size_come_back_and_one_too_large_drops_the_old),
        cmocka_unit_test(test_the_budget_is_kept_and_hits_are_right_whatever_comes),
        cmocka_unit_test(test_most_of_a_small_budget_goes_to_records),
        cmocka_unit_test(test_records_in_use_outlive_a_scan),
        cmocka_unit_test(test_memory_follows_when_the_sizes_of_records_change),
        cmocka_unit_test(test_clear_forgets_all_and_gives_all_memory_back),
        cmocka_unit_test(test_nothing_is_lost_as_the_table_grows),
        cmocka_unit_test(test_a_cache_uses_what_idle_ones_leave),
        cmocka_unit_test(test_a_cache_that_comes_later_gets_its_share),
        cmocka_unit_test(test_a_newcomer_beside_an_idle_full_cache_still_caches),
        cmocka_unit_test(test_caches_of_several_threads_keep_to_one_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
