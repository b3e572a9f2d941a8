/*
 * Iteration: committed state and uncommitted changes merged in order, both ways.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"

#define NONE weir_slice_of(NULL, 0)
#define S    weir_slice_str

static void set(weir_txn *txn, const char *key, const char *value)
{
    weir_error err;
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, NONE, S(key), S(value), &err), err);
}

static void delete (weir_txn *txn, const char *key)
{
    weir_error err;
    assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, NONE, S(key), &err), err);
}

static weir_iter *open_range(weir_txn *txn, const char *lower, const char *upper, bool reverse)
{
    weir_error err;
    weir_iter *iter;
    weir_iter_options options = {.struct_size = sizeof options, .reverse = reverse};
    /* The bounds are borrowed for the call only. */
    char *low = lower ? strdup(lower) : NULL;
    char *high = upper ? strdup(upper) : NULL;
    options.has_lower = lower != NULL;
    options.has_upper = upper != NULL;
    if (lower)
        options.lower = S(low);
    if (upper)
        options.upper = S(high);
    assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, &options, &iter, &err), err);
    if (low)
        memset(low, '!', strlen(low));
    if (high)
        memset(high, '!', strlen(high));
    free(low);
    free(high);
    return iter;
}

/* "a=1 b=2 " of what is left; closes the iterator. Static. */
static const char *read_all(weir_iter *iter)
{
    static char text[4096];
    weir_error err;
    weir_slice key;
    weir_slice value;
    weir_status status;
    text[0] = 0;
    while ((status = weir_iter_next(iter, &key, &value, &err)) == WEIR_OK) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%.*s=%.*s ", (int)key.size, (const char *)key.data,
                 (int)value.size, (const char *)value.data);
    }
    if (status != WEIR_NOT_FOUND)
        assert_ok(status, err);
    assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
    assert_int_equal(key.size, 0);
    weir_iter_close(iter);
    return text;
}

static const char *range(weir_txn *txn, const char *lower, const char *upper, bool reverse)
{
    return read_all(open_range(txn, lower, upper, reverse));
}

/* b, d, f and h are committed; the transaction changes b, deletes d, adds a, e and i. */
static weir_txn *mixed(harness *h)
{
    weir_txn *txn = harness_begin(h);
    set(txn, "b", "2");
    set(txn, "d", "4");
    set(txn, "f", "6");
    set(txn, "h", "8");
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    set(txn, "a", "new");
    set(txn, "b", "changed");
    delete (txn, "d");
    set(txn, "e", "new");
    set(txn, "i", "new");
    delete (txn, "never");
    return txn;
}

static void test_changes_are_merged_in_order_both_ways(void **state)
{
    weir_txn *txn = mixed(*state);
    assert_string_equal(range(txn, NULL, NULL, false), "a=new b=changed e=new f=6 h=8 i=new ");
    assert_string_equal(range(txn, NULL, NULL, true), "i=new h=8 f=6 e=new b=changed a=new ");
    weir_txn_free(txn);
}

static void test_the_lower_bound_is_in_and_the_upper_one_is_not(void **state)
{
    weir_txn *txn = mixed(*state);
    assert_string_equal(range(txn, "b", "h", false), "b=changed e=new f=6 ");
    assert_string_equal(range(txn, "b", "h", true), "f=6 e=new b=changed ");
    assert_string_equal(range(txn, "a", "i", false), "a=new b=changed e=new f=6 h=8 ");
    assert_string_equal(range(txn, "a", "i", true), "h=8 f=6 e=new b=changed a=new ");
    assert_string_equal(range(txn, "aa", NULL, false), "b=changed e=new f=6 h=8 i=new ");
    assert_string_equal(range(txn, NULL, "ee", true), "e=new b=changed a=new ");
    assert_string_equal(range(txn, "d", "e", false), "");
    weir_txn_free(txn);
}

static void test_empty_and_inverted_ranges_give_nothing(void **state)
{
    weir_txn *txn = mixed(*state);
    for (int reverse = 0; reverse < 2; reverse++) {
        assert_string_equal(range(txn, "b", "b", reverse), "");
        assert_string_equal(range(txn, "h", "b", reverse), "");
        assert_string_equal(range(txn, "x", "z", reverse), "");
        assert_string_equal(range(txn, NULL, "", reverse), "");
        assert_string_equal(range(txn, "", "", reverse), "");
    }
    assert_string_equal(range(txn, "", "b", false), "a=new ");
    weir_txn_free(txn);
}

static void test_an_empty_store_and_an_untouched_transaction_iterate(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_iter *iter;
    weir_txn *txn = harness_begin(h);
    assert_string_equal(range(txn, NULL, NULL, false), "");
    weir_txn_free(txn);
    harness_put(h, "k", "v", 1);
    txn = harness_begin(h);
    assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, NULL, &iter, &err), err);
    assert_string_equal(read_all(iter), "k=v ");
    weir_txn_free(txn);
    weir_iter_close(NULL);
}

static void test_changes_made_while_iterating_do_not_show(void **state)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        weir_error err;
        weir_slice key;
        weir_slice value;
        weir_txn *txn = mixed(*state);
        weir_iter *iter = open_range(txn, NULL, NULL, reverse);
        assert_ok(weir_iter_next(iter, &key, &value, &err), err);
        assert_memory_equal(key.data, reverse ? "i" : "a", 1);
        set(txn, "a", "later");
        set(txn, "aa", "later");
        delete (txn, "b");
        set(txn, "d", "later");
        delete (txn, "f");
        set(txn, "h", "later");
        set(txn, "hh", "later");
        delete (txn, "i");
        if (reverse)
            assert_string_equal(read_all(iter), "h=8 f=6 e=new b=changed a=new ");
        else
            assert_string_equal(read_all(iter), "b=changed e=new f=6 h=8 i=new ");
        assert_string_equal(range(txn, NULL, NULL, false),
                            "a=later aa=later d=later e=new h=later hh=later ");
        weir_txn_free(txn);
    }
}

static void test_an_iterator_keeps_its_view_while_another_transaction_commits(void **state)
{
    harness *h = *state;
    weir_txn *txn = mixed(h);
    weir_iter *iter = open_range(txn, NULL, NULL, false);
    harness_put(h, "f", "committed later", 2);
    harness_put(h, "g", "committed later", 3);
    harness_put(h, "h", NULL, 4);
    assert_string_equal(read_all(iter), "a=new b=changed e=new f=6 h=8 i=new ");
    assert_string_equal(range(txn, "f", NULL, false), "f=committed later g=committed later i=new ");
    weir_txn_free(txn);
}

static void test_deleting_every_key_while_walking_over_it_leaves_nothing(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice key;
    weir_slice value;
    weir_txn *txn = mixed(h);
    weir_iter *iter = open_range(txn, NULL, NULL, false);
    while (weir_iter_next(iter, &key, &value, &err) == WEIR_OK)
        assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, NONE, key, &err), err);
    weir_iter_close(iter);
    assert_string_equal(range(txn, NULL, NULL, false), "");
    harness_commit(h, txn, 2);
    char *dump = harness_dump(h);
    assert_string_equal(dump, "");
    free(dump);
}

static void test_iteration_stays_within_its_family(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    weir_iter *iter;
    assert_ok(weir_partition_cf(h->partition, "windows", &cf, &err), err);
    weir_txn *txn = mixed(h);
    assert_ok(weir_txn_set(txn, cf, NONE, S("c"), S("window"), &err), err);
    assert_ok(weir_txn_iter_open(txn, cf, NULL, &iter, &err), err);
    assert_string_equal(read_all(iter), "c=window ");
    assert_string_equal(range(txn, "b", "e", false), "b=changed ");
    assert_int_equal(weir_txn_iter_open(txn, 9, NULL, &iter, &err), WEIR_INVALID);
    assert_null(iter);
    weir_txn_free(txn);
}

static void test_an_iterator_of_a_failed_transaction_refuses(void **state)
{
    weir_error err;
    weir_slice key;
    weir_slice value;
    weir_txn *txn = mixed(*state);
    weir_iter *iter = open_range(txn, NULL, NULL, false);
    weir_txn_fail(txn);
    assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_TXN_FAILED);
    weir_iter_close(iter);
    weir_txn_free(txn);
}

/* --- Against a model --- */

enum { MODEL_KEYS = 256 };

typedef struct model {
    int values[MODEL_KEYS]; /* 0: absent */
} model;

/* Keys of 1 to 3 bytes of a small alphabet, so that many are prefixes of others. */
static weir_slice model_key(uint32_t number, uint8_t *room)
{
    static const uint8_t alphabet[] = {0, '|', 'a', 0xFF};
    size_t size = 1 + number / 64 % 4;
    for (size_t i = 0; i < size; i++)
        room[i] = alphabet[number >> (2 * i) & 3];
    if (size == 4)
        room[3] = 'b';
    return weir_slice_of(room, size);
}

typedef struct model_item {
    uint8_t room[8];
    size_t size;
    int value;
} model_item;

static int compare_items(const void *a, const void *b)
{
    const model_item *left = a;
    const model_item *right = b;
    return weir_slice_compare(weir_slice_of(left->room, left->size),
                              weir_slice_of(right->room, right->size));
}

static void assert_range(weir_txn *txn, const model *expected, const weir_iter_options *options)
{
    static model_item items[MODEL_KEYS];
    size_t count = 0;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        uint8_t room[8];
        weir_slice key = model_key(i, room);
        if (expected->values[i] == 0 ||
            (options->has_lower && weir_slice_compare(key, options->lower) < 0) ||
            (options->has_upper && weir_slice_compare(key, options->upper) >= 0))
            continue;
        memcpy(items[count].room, room, sizeof room);
        items[count].size = key.size;
        items[count++].value = expected->values[i];
    }
    qsort(items, count, sizeof *items, compare_items);
    weir_iter *iter;
    weir_error err;
    weir_slice key;
    weir_slice value;
    assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, options, &iter, &err), err);
    for (size_t i = 0; i < count; i++) {
        const model_item *item = &items[options->reverse ? count - 1 - i : i];
        assert_ok(weir_iter_next(iter, &key, &value, &err), err);
        assert_true(weir_slice_equal(key, weir_slice_of(item->room, item->size)));
        assert_int_equal(value.size, sizeof item->value);
        assert_memory_equal(value.data, &item->value, value.size);
    }
    assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
    weir_iter_close(iter);
}

/* One number for each distinct key: several numbers give one key. */
static uint32_t first_of_key(uint32_t number)
{
    uint8_t room[8];
    uint8_t other[8];
    weir_slice key = model_key(number, room);
    uint32_t first = 0;
    while (!weir_slice_equal(model_key(first, other), key))
        first++;
    return first;
}

static void test_random_ranges_are_those_of_a_sorted_map(void **state)
{
    harness *h = *state;
    weir_error err;
    test_random random = {test_seed(6)};
    printf("seed %llu\n", (unsigned long long)random.state);
    model now = {{0}};
    int next = 1;
    for (int round = 0; round < 25; round++) {
        weir_txn *txn = harness_begin(h);
        for (int i = 0; i < 40; i++) {
            uint8_t room[8];
            uint8_t bounds[2][8];
            uint32_t number = first_of_key(test_random_below(&random, MODEL_KEYS));
            weir_slice key = model_key(number, room);
            if (test_random_below(&random, 3) == 0) {
                now.values[number] = 0;
                assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, NONE, key, &err), err);
            } else {
                now.values[number] = next++;
                weir_slice value = weir_slice_of(&now.values[number], sizeof(int));
                assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, NONE, key, value, &err), err);
            }
            weir_iter_options options = {
                .struct_size = sizeof options,
                .lower = model_key(test_random_below(&random, MODEL_KEYS), bounds[0]),
                .upper = model_key(test_random_below(&random, MODEL_KEYS), bounds[1]),
                .has_lower = test_random_below(&random, 3) > 0,
                .has_upper = test_random_below(&random, 3) > 0,
                .reverse = test_random_below(&random, 2) > 0,
            };
            assert_range(txn, &now, &options);
        }
        harness_commit(h, txn, round);
    }
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_changes_are_merged_in_order_both_ways),
        MATRIX_TEST(test_the_lower_bound_is_in_and_the_upper_one_is_not),
        MATRIX_TEST(test_empty_and_inverted_ranges_give_nothing),
        MATRIX_TEST(test_an_empty_store_and_an_untouched_transaction_iterate),
        MATRIX_TEST(test_changes_made_while_iterating_do_not_show),
        MATRIX_TEST(test_an_iterator_keeps_its_view_while_another_transaction_commits),
        MATRIX_TEST(test_deleting_every_key_while_walking_over_it_leaves_nothing),
        MATRIX_TEST(test_iteration_stays_within_its_family),
        MATRIX_TEST(test_an_iterator_of_a_failed_transaction_refuses),
        MATRIX_TEST(test_random_ranges_are_those_of_a_sorted_map),
    };
    return matrix_run("iter", tests, sizeof tests / sizeof *tests);
}
