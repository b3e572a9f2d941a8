/*
 * The conformance checks of a backend. See conformance.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            if (c->failure[0] == '\0')                                                             \
                snprintf(c->failure, sizeof c->failure, "%s:%d: %s", __func__, __LINE__,           \
                         #condition);                                                              \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

/* --------------------------------------------------------------------- helpers */

static weir_slice str(const char *text)
{
    return weir_slice_of(text, strlen(text));
}

static bool same(weir_slice a, weir_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static weir_backend_cf *family(conformance *c, const char *name)
{
    weir_backend_cf *cf;
    weir_status status = c->backend->cf_open(c->db, name, true, &cf, NULL);
    return status == WEIR_OK ? cf : NULL;
}

static weir_backend_op put_op(weir_backend_cf *cf, weir_slice key, weir_slice value)
{
    return (weir_backend_op){.kind = WEIR_OP_PUT, .cf = cf, .key = key, .value = value};
}

static weir_backend_op delete_op(weir_backend_cf *cf, weir_slice key)
{
    return (weir_backend_op){.kind = WEIR_OP_DELETE, .cf = cf, .key = key};
}

static weir_status put(conformance *c, weir_backend_cf *cf, const char *key, const char *value)
{
    weir_backend_op op = put_op(cf, str(key), str(value));
    return c->backend->write(c->db, &op, 1, 0, NULL);
}

static weir_status erase(conformance *c, weir_backend_cf *cf, const char *key)
{
    weir_backend_op op = delete_op(cf, str(key));
    return c->backend->write(c->db, &op, 1, 0, NULL);
}

/* Whether a key has this value; NULL: whether it is absent. */
static bool holds_bytes(conformance *c, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                        weir_slice key, const weir_slice *expected)
{
    weir_backend_value value;
    memset(&value, 0xA5, sizeof value);
    weir_status status = c->backend->get(c->db, cf, snapshot, key, &value, NULL);
    if (expected == NULL)
        return status == WEIR_NOT_FOUND && value.size == 0;
    if (status != WEIR_OK)
        return false;
    bool is_same = same(weir_slice_of(value.data, value.size), *expected);
    c->backend->value_release(c->db, &value);
    return is_same;
}

static bool holds(conformance *c, weir_backend_cf *cf, const char *key, const char *expected)
{
    weir_slice value = expected != NULL ? str(expected) : str("");
    return holds_bytes(c, cf, NULL, str(key), expected != NULL ? &value : NULL);
}

static weir_backend_iter *iterate(conformance *c, weir_backend_cf *cf, const char *lower,
                                  const char *upper, bool reverse, weir_backend_snapshot *snapshot)
{
    weir_backend_iter_args args = {.struct_size = sizeof args,
                                   .has_lower = lower != NULL,
                                   .has_upper = upper != NULL,
                                   .reverse = reverse,
                                   .snapshot = snapshot};
    if (lower != NULL)
        args.lower = str(lower);
    if (upper != NULL)
        args.upper = str(upper);
    weir_backend_iter *iter;
    weir_status status = c->backend->iter_open(c->db, cf, &args, &iter, NULL);
    return status == WEIR_OK ? iter : NULL;
}

/* Appends "key=value " for up to `max` items; "!" and a number for a failure. */
static void read_items(conformance *c, weir_backend_iter *iter, size_t max, char *out, size_t size)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < max; i++) {
        weir_slice key;
        weir_slice value;
        weir_status status = c->backend->iter_next(iter, &key, &value, NULL);
        if (status == WEIR_NOT_FOUND)
            return;
        int added = status == WEIR_OK ? snprintf(out + used, size - used, "%.*s=%.*s ",
                                                 (int)key.size, (const char *)key.data,
                                                 (int)value.size, (const char *)value.data)
                                      : snprintf(out + used, size - used, "!%d ", (int)status);
        if (status != WEIR_OK || added < 0 || (size_t)added >= size - used)
            return;
        used += (size_t)added;
    }
}

/* Whether a range reads as this text. */
static bool reads(conformance *c, weir_backend_cf *cf, const char *lower, const char *upper,
                  bool reverse, weir_backend_snapshot *snapshot, const char *expected)
{
    char text[1024] = "";
    weir_backend_iter *iter = iterate(c, cf, lower, upper, reverse, snapshot);
    if (iter == NULL)
        return false;
    read_items(c, iter, SIZE_MAX, text, sizeof text);
    c->backend->iter_close(iter);
    bool is_same = strcmp(text, expected) == 0;
    if (!is_same)
        snprintf(c->failure, sizeof c->failure, "range %s…%s%s reads '%s' instead of '%s'",
                 lower != NULL ? lower : "", upper != NULL ? upper : "", reverse ? " reverse" : "",
                 text, expected);
    return is_same;
}

/* a=1 … e=5 */
static bool fill_five(conformance *c, weir_backend_cf *cf)
{
    CHECK(put(c, cf, "c", "3") == WEIR_OK);
    CHECK(put(c, cf, "a", "1") == WEIR_OK);
    CHECK(put(c, cf, "e", "5") == WEIR_OK);
    CHECK(put(c, cf, "b", "2") == WEIR_OK);
    CHECK(put(c, cf, "d", "4") == WEIR_OK);
    return true;
}

/* ------------------------------------------------------------- keys and values */

static bool an_absent_key_is_not_found(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(cf != NULL);
    CHECK(holds(c, cf, "a", NULL));
    CHECK(put(c, cf, "ab", "1") == WEIR_OK);
    CHECK(holds(c, cf, "a", NULL));
    CHECK(holds(c, cf, "abc", NULL));
    return true;
}

static bool what_was_put_is_read_and_what_was_deleted_is_not(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(put(c, cf, "a", "1") == WEIR_OK);
    CHECK(holds(c, cf, "a", "1"));
    CHECK(put(c, cf, "a", "two") == WEIR_OK);
    CHECK(holds(c, cf, "a", "two"));
    CHECK(erase(c, cf, "a") == WEIR_OK);
    CHECK(holds(c, cf, "a", NULL));
    CHECK(erase(c, cf, "a") == WEIR_OK);
    CHECK(put(c, cf, "a", "") == WEIR_OK);
    CHECK(holds(c, cf, "a", ""));
    return true;
}

static bool keys_may_be_empty_and_hold_any_bytes(conformance *c)
{
    /* In the order in which they must come. */
    static const weir_slice keys[] = {
        {"", 0},         {"\x00", 1},     {"\x00\x00", 2},     {"\x00\x01", 2}, {"\x00\xFF", 2},
        {"\x01", 1},     {"a", 1},        {"a\x00", 2},        {"a\x00z", 3},   {"a\xFF", 2},
        {"b", 1},        {"\x7F", 1},     {"\x80", 1},         {"\xFF", 1},     {"\xFF\x00", 2},
        {"\xFF\xFE", 2}, {"\xFF\xFF", 2}, {"\xFF\xFF\xFF", 3},
    };
    const size_t count = sizeof keys / sizeof keys[0];
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    for (size_t i = 0; i < count; i++) {
        /* 7 and the count have no common divisor: all keys, in a mixed order. */
        weir_backend_op op = put_op(cf, keys[i * 7 % count], keys[i * 7 % count]);
        CHECK(c->backend->write(c->db, &op, 1, 0, NULL) == WEIR_OK);
    }
    for (size_t i = 0; i < count; i++)
        CHECK(holds_bytes(c, cf, NULL, keys[i], &keys[i]));
    for (int reverse = 0; reverse <= 1; reverse++) {
        weir_backend_iter *iter = iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        for (size_t i = 0; i < count; i++) {
            weir_slice key;
            weir_slice value;
            CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
            CHECK(same(key, keys[reverse != 0 ? count - 1 - i : i]));
            CHECK(same(value, key));
        }
        c->backend->iter_close(iter);
    }
    return true;
}

static bool long_keys_and_large_values_come_back_whole(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    const size_t key_size = 65533;
    const size_t value_size = (size_t)8 << 20;
    uint8_t *key = malloc(key_size);
    uint8_t *value = malloc(value_size);
    bool is_right = key != NULL && value != NULL;
    if (is_right) {
        memset(key, 0xEE, key_size);
        for (size_t i = 0; i < value_size; i++)
            value[i] = (uint8_t)(i * 31 >> 3);
        weir_slice bytes = weir_slice_of(value, value_size);
        weir_backend_op ops[] = {
            put_op(cf, weir_slice_of(key, key_size), bytes),
            put_op(cf, weir_slice_of(key, key_size - 1), str("shorter")),
        };
        weir_slice shorter = str("shorter");
        is_right = c->backend->write(c->db, ops, 2, 0, NULL) == WEIR_OK &&
                   holds_bytes(c, cf, NULL, ops[0].key, &bytes) &&
                   holds_bytes(c, cf, NULL, ops[1].key, &shorter);
    }
    free(key);
    free(value);
    CHECK(is_right);
    return true;
}

static bool a_value_stays_valid_until_it_is_released(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_value first;
    weir_backend_value second;
    CHECK(put(c, cf, "a", "old") == WEIR_OK);
    CHECK(c->backend->get(c->db, cf, NULL, str("a"), &first, NULL) == WEIR_OK);
    CHECK(c->backend->get(c->db, cf, NULL, str("a"), &second, NULL) == WEIR_OK);
    CHECK(put(c, cf, "a", "new") == WEIR_OK);
    CHECK(erase(c, cf, "a") == WEIR_OK);
    CHECK(same(weir_slice_of(first.data, first.size), str("old")));
    c->backend->value_release(c->db, &first);
    CHECK(same(weir_slice_of(second.data, second.size), str("old")));
    c->backend->value_release(c->db, &second);
    CHECK(holds(c, cf, "a", NULL));
    return true;
}

static bool multi_get_tells_each_key_by_itself(conformance *c)
{
    enum { COUNT = 5 };
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    const weir_slice keys[COUNT] = {str("b"), str("missing"), str("a"), str(""), str("b")};
    weir_backend_value values[COUNT];
    weir_status statuses[COUNT];
    CHECK(put(c, cf, "a", "1") == WEIR_OK);
    CHECK(put(c, cf, "b", "2") == WEIR_OK);
    CHECK(c->backend->multi_get(c->db, cf, NULL, keys, COUNT, values, statuses, NULL) == WEIR_OK);
    const char *expected[COUNT] = {"2", NULL, "1", NULL, "2"};
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(statuses[i] == (expected[i] != NULL ? WEIR_OK : WEIR_NOT_FOUND));
        if (expected[i] == NULL)
            continue;
        CHECK(same(weir_slice_of(values[i].data, values[i].size), str(expected[i])));
        c->backend->value_release(c->db, &values[i]);
    }
    CHECK(c->backend->multi_get(c->db, cf, NULL, keys, 0, values, statuses, NULL) == WEIR_OK);
    return true;
}

/* -------------------------------------------------------------------- batches */

static bool the_last_change_of_a_key_in_a_batch_wins(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(put(c, cf, "c", "before") == WEIR_OK);
    weir_backend_op ops[] = {
        put_op(cf, str("a"), str("1")), put_op(cf, str("a"), str("2")),
        put_op(cf, str("b"), str("1")), delete_op(cf, str("b")),
        delete_op(cf, str("c")),        put_op(cf, str("c"), str("after")),
        delete_op(cf, str("d")),
    };
    CHECK(c->backend->write(c->db, ops, sizeof ops / sizeof ops[0], 0, NULL) == WEIR_OK);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, "a=2 c=after "));
    CHECK(c->backend->write(c->db, NULL, 0, 0, NULL) == WEIR_OK);
    CHECK(c->backend->write(c->db, ops, 1, WEIR_WRITE_SYNC, NULL) == WEIR_OK);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, "a=1 c=after "));
    return true;
}

static bool a_batch_reaches_all_its_families(conformance *c)
{
    weir_backend_cf *first = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *second = family(c, "second");
    weir_backend_cf *third = family(c, "__third__");
    weir_backend_op ops[] = {
        put_op(first, str("k"), str("1")),
        put_op(second, str("k"), str("2")),
        put_op(third, str("k"), str("3")),
        delete_op(second, str("gone")),
    };
    CHECK(put(c, second, "gone", "x") == WEIR_OK);
    CHECK(c->backend->write(c->db, ops, 4, 0, NULL) == WEIR_OK);
    CHECK(reads(c, first, NULL, NULL, false, NULL, "k=1 "));
    CHECK(reads(c, second, NULL, NULL, false, NULL, "k=2 "));
    CHECK(reads(c, third, NULL, NULL, false, NULL, "k=3 "));
    return true;
}

static bool keys_and_values_of_a_batch_are_copied(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    char key[] = "key";
    char value[] = "value";
    weir_backend_op op = put_op(cf, str(key), str(value));
    CHECK(c->backend->write(c->db, &op, 1, 0, NULL) == WEIR_OK);
    memset(key, 'x', sizeof key - 1);
    memset(value, 'x', sizeof value - 1);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, "key=value "));
    return true;
}

/* ------------------------------------------------------------------- iteration */

static bool both_directions_give_the_same_items(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, ""));
    CHECK(reads(c, cf, NULL, NULL, true, NULL, ""));
    CHECK(fill_five(c, cf));
    CHECK(reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    CHECK(reads(c, cf, NULL, NULL, true, NULL, "e=5 d=4 c=3 b=2 a=1 "));
    return true;
}

static bool the_lower_bound_is_inclusive_and_the_upper_exclusive(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(fill_five(c, cf));
    CHECK(reads(c, cf, "b", "d", false, NULL, "b=2 c=3 "));
    CHECK(reads(c, cf, "b", "d", true, NULL, "c=3 b=2 "));
    CHECK(reads(c, cf, "b", NULL, false, NULL, "b=2 c=3 d=4 e=5 "));
    CHECK(reads(c, cf, "b", NULL, true, NULL, "e=5 d=4 c=3 b=2 "));
    CHECK(reads(c, cf, NULL, "d", false, NULL, "a=1 b=2 c=3 "));
    CHECK(reads(c, cf, NULL, "d", true, NULL, "c=3 b=2 a=1 "));
    CHECK(reads(c, cf, "bb", "dd", false, NULL, "c=3 d=4 "));
    CHECK(reads(c, cf, "bb", "dd", true, NULL, "d=4 c=3 "));
    CHECK(reads(c, cf, "", "zz", false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    CHECK(reads(c, cf, "", "zz", true, NULL, "e=5 d=4 c=3 b=2 a=1 "));
    CHECK(reads(c, cf, "x", NULL, false, NULL, ""));
    CHECK(reads(c, cf, "x", NULL, true, NULL, ""));
    return true;
}

static bool empty_and_inverted_ranges_give_nothing(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(fill_five(c, cf));
    for (int reverse = 0; reverse <= 1; reverse++) {
        CHECK(reads(c, cf, "c", "c", reverse != 0, NULL, ""));
        CHECK(reads(c, cf, "d", "b", reverse != 0, NULL, ""));
        CHECK(reads(c, cf, "zz", "a", reverse != 0, NULL, ""));
        CHECK(reads(c, cf, "bb", "bc", reverse != 0, NULL, ""));
        CHECK(reads(c, cf, NULL, "", reverse != 0, NULL, ""));
        CHECK(reads(c, cf, "", "", reverse != 0, NULL, ""));
    }
    return true;
}

static bool the_end_of_an_iterator_stays_the_end(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(fill_five(c, cf));
    for (int reverse = 0; reverse <= 1; reverse++) {
        weir_slice key = str("x");
        weir_slice value = str("x");
        weir_backend_iter *iter = iterate(c, cf, "b", "c", reverse != 0, NULL);
        CHECK(iter != NULL);
        CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
        for (int i = 0; i < 3; i++)
            CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_NOT_FOUND);
        CHECK(key.size == 0 && value.size == 0);
        c->backend->iter_close(iter);
    }
    c->backend->iter_close(NULL);
    return true;
}

static bool an_iterator_does_not_see_later_writes(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(fill_five(c, cf));
    for (int reverse = 0; reverse <= 1; reverse++) {
        char text[256] = "";
        weir_backend_iter *iter = iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        read_items(c, iter, 2, text, sizeof text);
        weir_backend_op ops[] = {
            put_op(cf, str("bb"), str("new")),
            put_op(cf, str("c"), str("changed")),
            delete_op(cf, str("d")),
            delete_op(cf, str("b")),
        };
        CHECK(c->backend->write(c->db, ops, 4, 0, NULL) == WEIR_OK);
        read_items(c, iter, SIZE_MAX, text, sizeof text);
        c->backend->iter_close(iter);
        CHECK(strcmp(text, reverse != 0 ? "e=5 d=4 c=3 b=2 a=1 " : "a=1 b=2 c=3 d=4 e=5 ") == 0);
        CHECK(reads(c, cf, NULL, NULL, false, NULL, "a=1 bb=new c=changed e=5 "));
        CHECK(erase(c, cf, "bb") == WEIR_OK);
        CHECK(fill_five(c, cf));
    }
    return true;
}

static bool several_iterators_run_side_by_side(conformance *c)
{
    weir_backend_cf *first = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *second = family(c, "second");
    char texts[3][128] = {"", "", ""};
    CHECK(fill_five(c, first));
    CHECK(put(c, second, "x", "8") == WEIR_OK);
    CHECK(put(c, second, "y", "9") == WEIR_OK);
    weir_backend_iter *iters[] = {
        iterate(c, first, NULL, NULL, false, NULL),
        iterate(c, first, "b", NULL, true, NULL),
        iterate(c, second, NULL, NULL, false, NULL),
    };
    for (size_t i = 0; i < 3; i++)
        CHECK(iters[i] != NULL);
    for (int round = 0; round < 6; round++)
        for (size_t i = 0; i < 3; i++)
            read_items(c, iters[i], 1, texts[i], sizeof texts[i]);
    for (size_t i = 0; i < 3; i++)
        c->backend->iter_close(iters[i]);
    CHECK(strcmp(texts[0], "a=1 b=2 c=3 d=4 e=5 ") == 0);
    CHECK(strcmp(texts[1], "e=5 d=4 c=3 b=2 ") == 0);
    CHECK(strcmp(texts[2], "x=8 y=9 ") == 0);
    return true;
}

/* Whether, after a seek, the next `max` items are these. */
static bool seek_reads(conformance *c, weir_backend_iter *iter, const char *target, size_t max,
                       const char *expected)
{
    char text[256] = "";
    CHECK(c->backend->iter_seek(iter, str(target), NULL) == WEIR_OK);
    read_items(c, iter, max, text, sizeof text);
    if (strcmp(text, expected) != 0)
        snprintf(c->failure, sizeof c->failure, "seek to '%s' reads '%s' instead of '%s'", target,
                 text, expected);
    return strcmp(text, expected) == 0;
}

static bool seek_moves_forward_and_back_within_the_bounds(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *before = family(c, "another");
    CHECK(put(c, before, "c", "other family") == WEIR_OK);
    CHECK(fill_five(c, cf));
    weir_backend_iter *iter = iterate(c, cf, "b", "e", false, NULL);
    CHECK(iter != NULL);
    CHECK(seek_reads(c, iter, "c", 1, "c=3 "));
    CHECK(seek_reads(c, iter, "cc", 9, "d=4 "));
    CHECK(seek_reads(c, iter, "a", 1, "b=2 "));
    CHECK(seek_reads(c, iter, "", 2, "b=2 c=3 "));
    CHECK(seek_reads(c, iter, "e", 9, ""));
    CHECK(seek_reads(c, iter, "zz", 9, ""));
    CHECK(seek_reads(c, iter, "b", 9, "b=2 c=3 d=4 "));
    c->backend->iter_close(iter);
    iter = iterate(c, cf, "b", "e", true, NULL);
    CHECK(iter != NULL);
    CHECK(seek_reads(c, iter, "c", 1, "c=3 "));
    CHECK(seek_reads(c, iter, "bb", 9, "b=2 "));
    CHECK(seek_reads(c, iter, "e", 1, "d=4 "));
    CHECK(seek_reads(c, iter, "zz", 2, "d=4 c=3 "));
    CHECK(seek_reads(c, iter, "a", 9, ""));
    CHECK(seek_reads(c, iter, "", 9, ""));
    CHECK(seek_reads(c, iter, "d", 9, "d=4 c=3 b=2 "));
    c->backend->iter_close(iter);
    return true;
}

/* The key of item i, in order. */
static weir_slice big_key(char *out, size_t size, int i)
{
    return weir_slice_of(out, (size_t)snprintf(out, size, "item-%06d", i));
}

#define BIG_COUNT      4000
#define BIG_VALUE_SIZE 300

static bool fill_big(conformance *c, weir_backend_cf *cf)
{
    char value[BIG_VALUE_SIZE];
    for (int i = 0; i < BIG_COUNT; i++) {
        char key[32];
        int shuffled = (int)((int64_t)i * 1237 % BIG_COUNT); /* no common divisor */
        memset(value, 'a' + shuffled % 26, sizeof value);
        weir_backend_op op =
            put_op(cf, big_key(key, sizeof key, shuffled), weir_slice_of(value, sizeof value));
        CHECK(c->backend->write(c->db, &op, 1, 0, NULL) == WEIR_OK);
    }
    return true;
}

static bool next_is_big(conformance *c, weir_backend_iter *iter, int expected)
{
    char text[32];
    weir_slice key;
    weir_slice value;
    CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
    CHECK(same(key, big_key(text, sizeof text, expected)));
    CHECK(value.size == BIG_VALUE_SIZE);
    CHECK(((const char *)value.data)[value.size - 1] == 'a' + expected % 26);
    return true;
}

static bool large_ranges_are_read_both_ways(conformance *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_slice key;
    weir_slice value;
    char lower[32];
    char text[32];
    big_key(lower, sizeof lower, 100);
    CHECK(fill_big(c, cf));
    weir_backend_iter *forward = iterate(c, cf, lower, NULL, false, NULL);
    weir_backend_iter *reverse = iterate(c, cf, lower, NULL, true, NULL);
    CHECK(forward != NULL && reverse != NULL);
    CHECK(erase(c, cf, lower) == WEIR_OK);
    for (int i = 100; i < BIG_COUNT; i++) {
        CHECK(next_is_big(c, forward, i));
        CHECK(next_is_big(c, reverse, BIG_COUNT - 1 - (i - 100)));
    }
    CHECK(c->backend->iter_next(forward, &key, &value, NULL) == WEIR_NOT_FOUND);
    CHECK(c->backend->iter_next(reverse, &key, &value, NULL) == WEIR_NOT_FOUND);
    c->backend->iter_close(forward);
    c->backend->iter_close(reverse);
    reverse = iterate(c, cf, NULL, NULL, true, NULL);
    CHECK(reverse != NULL);
    const int targets[] = {2000, 17, 3999, 1000, 101};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        weir_slice target = big_key(text, sizeof text, targets[i]);
        CHECK(c->backend->iter_seek(reverse, target, NULL) == WEIR_OK);
        CHECK(next_is_big(c, reverse, targets[i]));
        CHECK(next_is_big(c, reverse, targets[i] == 101 ? 99 : targets[i] - 1));
    }
    c->backend->iter_close(reverse);
    return true;
}

/* ------------------------------------------------------------------- snapshots */

static bool a_snapshot_keeps_what_was_there(conformance *c)
{
    if ((c->backend->capabilities & WEIR_CAP_SNAPSHOTS) == 0)
        return true;
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_snapshot *snapshots[3];
    char value[8];
    for (int i = 0; i < 3; i++) {
        snprintf(value, sizeof value, "%d", i);
        CHECK(put(c, cf, "k", value) == WEIR_OK);
        CHECK(put(c, cf, value, "x") == WEIR_OK);
        CHECK(c->backend->snapshot_open(c->db, &snapshots[i], NULL) == WEIR_OK);
    }
    CHECK(erase(c, cf, "k") == WEIR_OK);
    CHECK(erase(c, cf, "1") == WEIR_OK);
    /* The middle one goes first: what it kept must not go with it, nor stay for good. */
    c->backend->snapshot_close(c->db, snapshots[1]);
    const char *expected[] = {"0=x k=0 ", NULL, "0=x 1=x 2=x k=2 "};
    const char *reversed[] = {"k=0 0=x ", NULL, "k=2 2=x 1=x 0=x "};
    for (int i = 0; i < 3; i += 2) {
        weir_slice kept = weir_slice_of(i == 0 ? "0" : "2", 1);
        CHECK(holds_bytes(c, cf, snapshots[i], str("k"), &kept));
        CHECK(reads(c, cf, NULL, NULL, false, snapshots[i], expected[i]));
        CHECK(reads(c, cf, NULL, NULL, true, snapshots[i], reversed[i]));
    }
    weir_backend_iter *iter = iterate(c, cf, "0", "3", false, snapshots[0]);
    CHECK(iter != NULL);
    CHECK(put(c, cf, "0", "changed") == WEIR_OK);
    char text[64] = "";
    read_items(c, iter, SIZE_MAX, text, sizeof text);
    CHECK(strcmp(text, "0=x ") == 0);
    c->backend->iter_close(iter);
    c->backend->snapshot_close(c->db, snapshots[0]);
    c->backend->snapshot_close(c->db, snapshots[2]);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, "0=changed 2=x "));
    return true;
}

/* ------------------------------------------------------------- column families */

static weir_status count_family(const char *name, void *arg)
{
    size_t *counts = arg;
    static const char *const names[] = {"default", "one", "two"};
    for (size_t i = 0; i < 3; i++)
        counts[i] += strcmp(name, names[i]) == 0 ? 1 : 0;
    counts[3]++;
    return WEIR_OK;
}

static weir_status stop_at_once(const char *name, void *arg)
{
    (void)name;
    ++*(int *)arg;
    return WEIR_ABORTED;
}

static bool families_are_made_found_and_listed(conformance *c)
{
    weir_backend_cf *cf;
    weir_backend_cf *again;
    size_t counts[4] = {0};
    int visits = 0;
    CHECK(c->backend->cf_open(c->db, "one", false, &cf, NULL) == WEIR_NOT_FOUND);
    CHECK(cf == NULL);
    CHECK(c->backend->cf_open(c->db, "one", true, &cf, NULL) == WEIR_OK);
    CHECK(c->backend->cf_open(c->db, "one", true, &again, NULL) == WEIR_OK);
    CHECK(cf == again);
    CHECK(c->backend->cf_open(c->db, "one", false, &again, NULL) == WEIR_OK);
    CHECK(cf == again);
    CHECK(c->backend->cf_open(c->db, "two", true, &again, NULL) == WEIR_OK);
    CHECK(cf != again);
    CHECK(c->backend->cf_open(c->db, WEIR_BACKEND_DEFAULT_CF, false, &again, NULL) == WEIR_OK);
    CHECK(c->backend->cf_list(c->db, count_family, counts, NULL) == WEIR_OK);
    CHECK(counts[0] == 1 && counts[1] == 1 && counts[2] == 1 && counts[3] == 3);
    CHECK(c->backend->cf_list(c->db, stop_at_once, &visits, NULL) == WEIR_ABORTED);
    CHECK(visits == 1);
    return true;
}

static bool families_keep_their_keys_apart(conformance *c)
{
    enum { COUNT = 4 };
    const char *names[COUNT] = {WEIR_BACKEND_DEFAULT_CF, "one", "two", "three"};
    weir_backend_cf *cfs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        cfs[i] = family(c, names[i]);
        CHECK(cfs[i] != NULL);
    }
    static const weir_slice last = {"\xFF\xFF\xFF\xFF", 4};
    for (int i = 0; i < COUNT; i++) {
        weir_backend_op ops[] = {
            put_op(cfs[i], str(""), str(names[i])),
            put_op(cfs[i], str("k"), str(names[i])),
            put_op(cfs[i], last, str(names[i])),
        };
        CHECK(c->backend->write(c->db, ops, 3, 0, NULL) == WEIR_OK);
    }
    CHECK(erase(c, cfs[1], "k") == WEIR_OK);
    CHECK(holds(c, cfs[1], "k", NULL));
    for (int i = 0; i < COUNT; i++) {
        weir_slice name = str(names[i]);
        for (int reverse = 0; reverse <= 1; reverse++) {
            weir_slice key;
            weir_slice value;
            size_t items = 0;
            weir_backend_iter *iter = iterate(c, cfs[i], NULL, NULL, reverse != 0, NULL);
            CHECK(iter != NULL);
            while (c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
                CHECK(same(value, name));
                items++;
            }
            c->backend->iter_close(iter);
            CHECK(items == (i == 1 ? 2u : 3u));
        }
    }
    return true;
}

static bool a_dropped_family_is_gone_with_its_items(conformance *c)
{
    weir_backend_cf *cf = family(c, "one");
    weir_backend_cf *other = family(c, "two");
    CHECK(fill_big(c, cf));
    CHECK(fill_five(c, other));
    CHECK(c->backend->cf_drop(c->db, "one", NULL) == WEIR_OK);
    CHECK(c->backend->cf_drop(c->db, "one", NULL) == WEIR_NOT_FOUND);
    CHECK(c->backend->cf_drop(c->db, WEIR_BACKEND_DEFAULT_CF, NULL) == WEIR_INVALID);
    CHECK(c->backend->cf_open(c->db, "one", false, &cf, NULL) == WEIR_NOT_FOUND);
    size_t counts[4] = {0};
    CHECK(c->backend->cf_list(c->db, count_family, counts, NULL) == WEIR_OK);
    CHECK(counts[1] == 0 && counts[2] == 1);
    cf = family(c, "one");
    CHECK(cf != NULL);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, ""));
    CHECK(reads(c, other, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

/* ------------------------------------------------------------------ reopening */

static bool reopening_keeps_what_was_written(conformance *c)
{
    if ((c->backend->capabilities & WEIR_CAP_PERSISTENT) == 0)
        return true;
    weir_backend_cf *one = family(c, "one");
    CHECK(fill_five(c, family(c, WEIR_BACKEND_DEFAULT_CF)));
    CHECK(put(c, one, "k", "kept") == WEIR_OK);
    CHECK(put(c, family(c, "two"), "k", "dropped") == WEIR_OK);
    CHECK(c->backend->cf_drop(c->db, "two", NULL) == WEIR_OK);
    CHECK(c->backend->flush(c->db, NULL) == WEIR_OK);
    CHECK(put(c, one, "after", "flush") == WEIR_OK);
    for (int round = 0; round < 2; round++) {
        CHECK(c->reopen(c) == WEIR_OK);
        CHECK(c->backend->cf_open(c->db, "one", false, &one, NULL) == WEIR_OK);
        CHECK(reads(c, one, NULL, NULL, false, NULL, "after=flush k=kept "));
        CHECK(reads(c, family(c, WEIR_BACKEND_DEFAULT_CF), NULL, NULL, true, NULL,
                    "e=5 d=4 c=3 b=2 a=1 "));
        CHECK(c->backend->cf_open(c->db, "two", false, &one, NULL) == WEIR_NOT_FOUND);
    }
    CHECK(reads(c, family(c, "two"), NULL, NULL, false, NULL, ""));
    return true;
}

/* ------------------------------------------------------------- against a model */

#define MODEL_KEYS  600
#define MODEL_STEPS 300

/* The value of each possible key: 0 is absent. */
typedef struct model {
    uint32_t values[MODEL_KEYS];
} model;

static uint64_t random_next(uint64_t *state)
{
    /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static weir_slice model_key(char *out, size_t size, int i)
{
    /* Of different lengths, in the order of i. */
    return weir_slice_of(
        out, (size_t)snprintf(out, size, "%03d%.*s", i, i % 23, "abcdefghijklmnopqrstuvw"));
}

/* One range, both bounds drawn, read in either direction. */
static bool model_range(conformance *c, weir_backend_cf *cf, const model *m, uint64_t *random)
{
    char lower[64];
    char upper[64];
    int low = (int)(random_next(random) % MODEL_KEYS);
    int high = (int)(random_next(random) % MODEL_KEYS);
    bool reverse = random_next(random) % 2 != 0;
    model_key(lower, sizeof lower, low);
    model_key(upper, sizeof upper, high);
    weir_backend_iter *iter = iterate(c, cf, lower, upper, reverse, NULL);
    CHECK(iter != NULL);
    weir_slice key;
    weir_slice value;
    for (int n = 0; n < high - low; n++) {
        int i = reverse ? high - 1 - n : low + n;
        char text[64];
        if (m->values[i] == 0)
            continue;
        CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
        CHECK(same(key, model_key(text, sizeof text, i)));
        CHECK(same(value, weir_slice_of(&m->values[i], sizeof m->values[i])));
    }
    CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_NOT_FOUND);
    c->backend->iter_close(iter);
    return true;
}

/* One batch of up to 40 changes; in phases that mostly add and phases that mostly delete. */
static bool model_batch(conformance *c, weir_backend_cf *cf, model *m, int step, uint64_t *random)
{
    weir_backend_op ops[40];
    char keys[40][64];
    uint32_t values[40];
    size_t count = random_next(random) % 40 + 1;
    uint64_t deletes = step / 50 % 2 == 0 ? 2 : 8;
    for (size_t i = 0; i < count; i++) {
        int which = (int)(random_next(random) % MODEL_KEYS);
        weir_slice key = model_key(keys[i], sizeof keys[i], which);
        values[i] = (uint32_t)(random_next(random) >> 33) + 1;
        bool deleted = random_next(random) % 10 < deletes;
        ops[i] = deleted ? delete_op(cf, key)
                         : put_op(cf, key, weir_slice_of(&values[i], sizeof values[i]));
        m->values[which] = deleted ? 0 : values[i];
    }
    CHECK(c->backend->write(c->db, ops, count, 0, NULL) == WEIR_OK);
    return true;
}

static bool random_changes_match_a_model(conformance *c)
{
    weir_backend_cf *cf = family(c, "model");
    weir_backend_cf *other = family(c, "other");
    uint64_t random = c->seed != 0 ? c->seed : 1;
    model m;
    memset(&m, 0, sizeof m);
    CHECK(fill_five(c, other));
    for (int step = 0; step < MODEL_STEPS; step++) {
        char text[64];
        CHECK(model_batch(c, cf, &m, step, &random));
        CHECK(model_range(c, cf, &m, &random));
        int which = (int)(random_next(&random) % MODEL_KEYS);
        weir_slice value = weir_slice_of(&m.values[which], sizeof m.values[which]);
        CHECK(holds_bytes(c, cf, NULL, model_key(text, sizeof text, which),
                          m.values[which] != 0 ? &value : NULL));
    }
    CHECK(reads(c, other, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

/* ---------------------------------------------------------------------- others */

static void count_figure(const char *name, uint64_t value, void *arg)
{
    (void)value;
    *(size_t *)arg += name != NULL && name[0] != '\0' ? 1 : 0;
}

static bool optional_methods_answer(conformance *c)
{
    size_t figures = 0;
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(fill_five(c, cf));
    weir_status status = c->backend->stats(c->db, count_figure, &figures, NULL);
    CHECK(status == WEIR_UNSUPPORTED || (status == WEIR_OK && figures > 0));
    status = c->backend->compact(c->db, cf, str(""), str(""), NULL);
    CHECK(status == WEIR_UNSUPPORTED || status == WEIR_OK);
    CHECK(c->backend->control(c->db, "no.such.operation", NULL, NULL) == WEIR_UNSUPPORTED);
    CHECK(c->backend->flush(c->db, NULL) == WEIR_OK);
    CHECK(reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

const conformance_case conformance_cases[] = {
    CASE(an_absent_key_is_not_found),
    CASE(what_was_put_is_read_and_what_was_deleted_is_not),
    CASE(keys_may_be_empty_and_hold_any_bytes),
    CASE(long_keys_and_large_values_come_back_whole),
    CASE(a_value_stays_valid_until_it_is_released),
    CASE(multi_get_tells_each_key_by_itself),
    CASE(the_last_change_of_a_key_in_a_batch_wins),
    CASE(a_batch_reaches_all_its_families),
    CASE(keys_and_values_of_a_batch_are_copied),
    CASE(both_directions_give_the_same_items),
    CASE(the_lower_bound_is_inclusive_and_the_upper_exclusive),
    CASE(empty_and_inverted_ranges_give_nothing),
    CASE(the_end_of_an_iterator_stays_the_end),
    CASE(an_iterator_does_not_see_later_writes),
    CASE(several_iterators_run_side_by_side),
    CASE(seek_moves_forward_and_back_within_the_bounds),
    CASE(large_ranges_are_read_both_ways),
    CASE(a_snapshot_keeps_what_was_there),
    CASE(families_are_made_found_and_listed),
    CASE(families_keep_their_keys_apart),
    CASE(a_dropped_family_is_gone_with_its_items),
    CASE(reopening_keeps_what_was_written),
    CASE(random_changes_match_a_model),
    CASE(optional_methods_answer),
    {NULL, NULL},
};
