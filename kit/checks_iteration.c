/*
 * Checks of iteration: order, bounds, directions, and what an iterator sees. See check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "check.h"

static bool items_come_in_the_order_of_their_bytes(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(reads(c, cf, NULL, NULL, false, NULL, ""));
    MUST(fill_five(c, cf));
    EXPECT(WEIR_OK, put(c, cf, "ab", "12"));
    EXPECT(WEIR_OK, put(c, cf, "B", "big"));
    EXPECT(WEIR_OK, put(c, cf, "\xC3\xA4", "umlaut"));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "B=big a=1 ab=12 b=2 c=3 d=4 e=5 \xC3\xA4=umlaut "));
    return true;
}

/* The sizes of keys that begin alike, around limits that engines have; in order. */
static const size_t long_sizes[] = {1,   254, 255, 256, 257,  508,  509,  510,   511,
                                    512, 513, 600, 767, 1023, 1024, 4096, 20000, 65533};
#define LONG_COUNT (sizeof long_sizes / sizeof long_sizes[0])

/* Key 2n is all 'x'; key 2n + 1 ends with 'y' and so comes after all of the even ones that are
 * longer: in order, the even ones rise and then the odd ones fall in size. */
static weir_slice long_key(char *room, size_t n)
{
    size_t size = long_sizes[n / 2];
    memset(room, 'x', size);
    if (n % 2 != 0)
        room[size - 1] = 'y';
    return weir_slice_of(room, size);
}

static size_t long_rank(size_t rank)
{
    return rank < LONG_COUNT ? 2 * rank : 2 * (2 * LONG_COUNT - 1 - rank) + 1;
}

static bool long_keys_in_order(kit_subject *c, char *room)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    for (size_t i = 0; i < 2 * LONG_COUNT; i++) {
        char value[16];
        size_t n = i * 5 % (2 * LONG_COUNT); /* no common divisor */
        snprintf(value, sizeof value, "%zu", n);
        weir_backend_op op = put_op(cf, long_key(room, n), str(value));
        EXPECT(WEIR_OK, write_ops(c, &op, 1));
    }
    for (int reverse = 0; reverse < directions(c); reverse++) {
        weir_slice key;
        weir_slice value;
        weir_backend_iter *iter = iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        for (size_t i = 0; i < 2 * LONG_COUNT; i++) {
            size_t n = long_rank(reverse != 0 ? 2 * LONG_COUNT - 1 - i : i);
            char text[16];
            snprintf(text, sizeof text, "%zu", n);
            EXPECT(WEIR_OK, c->backend->iter_next(iter, &key, &value, &c->err));
            if (!weir_slice_equal(key, long_key(room, n)) || !weir_slice_equal(value, str(text)))
                return kit_fail(c,
                                "item %zu%s of keys of many sizes: expected the key of %zu "
                                "bytes and value %s, seen one of %zu bytes and value %.*s",
                                i, reverse != 0 ? " in reverse" : "", long_sizes[n / 2], text,
                                key.size, (int)value.size, (const char *)value.data);
        }
        EXPECT(WEIR_NOT_FOUND, c->backend->iter_next(iter, &key, &value, &c->err));
        c->backend->iter_close(iter);
    }
    return true;
}

/* From each key on, up to another. */
static bool long_ranges(kit_subject *c, weir_backend_cf *cf, char *lower, char *upper, char *room)
{
    for (size_t from = 0; from < 2 * LONG_COUNT; from += 3) {
        for (size_t to = from; to < 2 * LONG_COUNT; to += 5) {
            for (int reverse = 0; reverse < directions(c); reverse++) {
                weir_slice key;
                weir_slice value;
                weir_backend_iter *iter;
                weir_backend_iter_args args = {.struct_size = sizeof args,
                                               .lower = long_key(lower, long_rank(from)),
                                               .upper = long_key(upper, long_rank(to)),
                                               .has_lower = true,
                                               .has_upper = true,
                                               .reverse = reverse != 0};
                EXPECT(WEIR_OK, c->backend->iter_open(c->db, cf, &args, &iter, &c->err));
                for (size_t i = 0; i < to - from; i++) {
                    size_t rank = reverse != 0 ? to - 1 - i : from + i;
                    EXPECT(WEIR_OK, c->backend->iter_next(iter, &key, &value, &c->err));
                    CHECK(weir_slice_equal(key, long_key(room, long_rank(rank))));
                }
                EXPECT(WEIR_NOT_FOUND, c->backend->iter_next(iter, &key, &value, &c->err));
                c->backend->iter_close(iter);
            }
        }
    }
    return true;
}

static bool keys_of_all_sizes_keep_their_order(kit_subject *c)
{
    char *room = malloc(3 * 65536);
    CHECK(room != NULL);
    bool is_right = long_keys_in_order(c, room);
    if (is_right && kit_has(c, WEIR_CAP_BOUNDED_ITERATION))
        is_right =
            long_ranges(c, family(c, WEIR_BACKEND_DEFAULT_CF), room, room + 65536, room + 131072);
    free(room);
    return is_right;
}

static bool both_directions_give_the_same_items(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(reads(c, cf, NULL, NULL, false, NULL, ""));
    MUST(reads(c, cf, NULL, NULL, true, NULL, ""));
    MUST(fill_five(c, cf));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    MUST(reads(c, cf, NULL, NULL, true, NULL, "e=5 d=4 c=3 b=2 a=1 "));
    return true;
}

static bool the_lower_bound_is_inclusive_and_the_upper_exclusive(kit_subject *c)
{
    static const struct {
        const char *lower, *upper, *forward, *reverse;
    } ranges[] = {
        {"b", "d", "b=2 c=3 ", "c=3 b=2 "},
        {"b", NULL, "b=2 c=3 d=4 e=5 ", "e=5 d=4 c=3 b=2 "},
        {NULL, "d", "a=1 b=2 c=3 ", "c=3 b=2 a=1 "},
        {"bb", "dd", "c=3 d=4 ", "d=4 c=3 "},
        {"", "zz", "a=1 b=2 c=3 d=4 e=5 ", "e=5 d=4 c=3 b=2 a=1 "},
        {"x", NULL, "", ""},
    };
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        for (int reverse = 0; reverse < directions(c); reverse++)
            MUST(reads(c, cf, ranges[i].lower, ranges[i].upper, reverse != 0, NULL,
                       reverse != 0 ? ranges[i].reverse : ranges[i].forward));
    return true;
}

static bool empty_and_inverted_ranges_give_nothing(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    for (int reverse = 0; reverse < directions(c); reverse++) {
        MUST(reads(c, cf, "c", "c", reverse != 0, NULL, ""));
        MUST(reads(c, cf, "d", "b", reverse != 0, NULL, ""));
        MUST(reads(c, cf, "zz", "a", reverse != 0, NULL, ""));
        MUST(reads(c, cf, "bb", "bc", reverse != 0, NULL, ""));
        MUST(reads(c, cf, NULL, "", reverse != 0, NULL, ""));
        MUST(reads(c, cf, "", "", reverse != 0, NULL, ""));
    }
    return true;
}

static bool the_end_of_an_iterator_stays_the_end(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    for (int reverse = 0; reverse < directions(c); reverse++) {
        weir_slice key = str("x");
        weir_slice value = str("x");
        weir_backend_iter *iter = iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        for (int i = 0; i < 5; i++)
            EXPECT(WEIR_OK, c->backend->iter_next(iter, &key, &value, &c->err));
        for (int i = 0; i < 3; i++)
            EXPECT(WEIR_NOT_FOUND, c->backend->iter_next(iter, &key, &value, &c->err));
        CHECK(key.size == 0 && value.size == 0);
        c->backend->iter_close(iter);
    }
    c->backend->iter_close(NULL);
    return true;
}

static bool an_iterator_does_not_see_later_writes(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    for (int reverse = 0; reverse < directions(c); reverse++) {
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
        EXPECT(WEIR_OK, write_ops(c, ops, 4));
        read_items(c, iter, 64, text, sizeof text);
        c->backend->iter_close(iter);
        const char *expected = reverse != 0 ? "e=5 d=4 c=3 b=2 a=1 " : "a=1 b=2 c=3 d=4 e=5 ";
        if (strcmp(text, expected) != 0)
            return kit_fail(c, "an iterator that was open before a write: expected '%s', seen '%s'",
                            expected, text);
        MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 bb=new c=changed e=5 "));
        EXPECT(WEIR_OK, erase(c, cf, "bb"));
        MUST(fill_five(c, cf));
    }
    return true;
}

static bool several_iterators_run_side_by_side(kit_subject *c)
{
    weir_backend_cf *first = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *second = family(c, "second");
    CHECK(first != NULL && second != NULL);
    char texts[3][128] = {"", "", ""};
    MUST(fill_five(c, first));
    EXPECT(WEIR_OK, put(c, second, "x", "8"));
    EXPECT(WEIR_OK, put(c, second, "y", "9"));
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
static bool seek_reads(kit_subject *c, weir_backend_iter *iter, const char *target, size_t max,
                       const char *expected)
{
    char text[256] = "";
    EXPECT(WEIR_OK, c->backend->iter_seek(iter, str(target), &c->err));
    read_items(c, iter, max, text, sizeof text);
    if (strcmp(text, expected) != 0)
        return kit_fail(c, "after a seek to '%s': expected '%s', seen '%s'", target, expected,
                        text);
    return true;
}

static bool seek_moves_forward_and_back_within_the_bounds(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *before = family(c, "another");
    if (c->backend->iter_seek == NULL)
        return kit_skip(c, "iter_seek is left out, which is allowed");
    if (before != cf)
        EXPECT(WEIR_OK, put(c, before, "c", "other family"));
    MUST(fill_five(c, cf));
    weir_backend_iter *iter = iterate(c, cf, "b", "e", false, NULL);
    CHECK(iter != NULL);
    MUST(seek_reads(c, iter, "c", 1, "c=3 "));
    MUST(seek_reads(c, iter, "cc", 9, "d=4 "));
    MUST(seek_reads(c, iter, "a", 1, "b=2 "));
    MUST(seek_reads(c, iter, "", 2, "b=2 c=3 "));
    MUST(seek_reads(c, iter, "e", 9, ""));
    MUST(seek_reads(c, iter, "zz", 9, ""));
    MUST(seek_reads(c, iter, "b", 9, "b=2 c=3 d=4 "));
    c->backend->iter_close(iter);
    iter = iterate(c, cf, "b", "e", true, NULL);
    CHECK(iter != NULL);
    MUST(seek_reads(c, iter, "c", 1, "c=3 "));
    MUST(seek_reads(c, iter, "bb", 9, "b=2 "));
    MUST(seek_reads(c, iter, "e", 1, "d=4 "));
    MUST(seek_reads(c, iter, "zz", 2, "d=4 c=3 "));
    MUST(seek_reads(c, iter, "a", 9, ""));
    MUST(seek_reads(c, iter, "", 9, ""));
    MUST(seek_reads(c, iter, "d", 9, "d=4 c=3 b=2 "));
    c->backend->iter_close(iter);
    return true;
}

static bool next_is_big(kit_subject *c, weir_backend_iter *iter, int expected)
{
    char text[32];
    weir_slice key;
    weir_slice value;
    EXPECT(WEIR_OK, c->backend->iter_next(iter, &key, &value, &c->err));
    CHECK(weir_slice_equal(key, big_key(text, sizeof text, expected)));
    CHECK(value.size == BIG_VALUE_SIZE);
    CHECK(((const char *)value.data)[value.size - 1] == 'a' + expected % 26);
    return true;
}

static bool large_ranges_are_read_both_ways(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_slice key;
    weir_slice value;
    char lower[32];
    char text[32];
    big_key(lower, sizeof lower, 100);
    MUST(fill_big(c, cf));
    weir_backend_iter *forward = iterate(c, cf, lower, NULL, false, NULL);
    weir_backend_iter *reverse = iterate(c, cf, lower, NULL, true, NULL);
    CHECK(forward != NULL && reverse != NULL);
    EXPECT(WEIR_OK, erase(c, cf, lower));
    for (int i = 100; i < BIG_COUNT; i++) {
        MUST(next_is_big(c, forward, i));
        MUST(next_is_big(c, reverse, BIG_COUNT - 1 - (i - 100)));
    }
    EXPECT(WEIR_NOT_FOUND, c->backend->iter_next(forward, &key, &value, &c->err));
    EXPECT(WEIR_NOT_FOUND, c->backend->iter_next(reverse, &key, &value, &c->err));
    c->backend->iter_close(forward);
    c->backend->iter_close(reverse);
    reverse = iterate(c, cf, NULL, NULL, true, NULL);
    CHECK(reverse != NULL);
    const int targets[] = {2000, 17, 3999, 1000, 101};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0] && c->backend->iter_seek != NULL;
         i++) {
        weir_slice target = big_key(text, sizeof text, targets[i]);
        EXPECT(WEIR_OK, c->backend->iter_seek(reverse, target, &c->err));
        MUST(next_is_big(c, reverse, targets[i]));
        MUST(next_is_big(c, reverse, targets[i] == 101 ? 99 : targets[i] - 1));
    }
    c->backend->iter_close(reverse);
    return true;
}

const kit_check kit_iteration_checks[] = {
    CASE(items_come_in_the_order_of_their_bytes, KIT_ITERATION, 0),
    CASE(keys_of_all_sizes_keep_their_order, KIT_ITERATION, 0),
    CASE(both_directions_give_the_same_items, KIT_ITERATION, WEIR_CAP_REVERSE_ITERATION),
    CASE(the_lower_bound_is_inclusive_and_the_upper_exclusive, KIT_ITERATION,
         WEIR_CAP_BOUNDED_ITERATION),
    CASE(empty_and_inverted_ranges_give_nothing, KIT_ITERATION, WEIR_CAP_BOUNDED_ITERATION),
    CASE(the_end_of_an_iterator_stays_the_end, KIT_ITERATION, 0),
    CASE(an_iterator_does_not_see_later_writes, KIT_ITERATION, 0),
    CASE(several_iterators_run_side_by_side, KIT_ITERATION,
         WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_REVERSE_ITERATION | WEIR_CAP_BOUNDED_ITERATION),
    CASE(seek_moves_forward_and_back_within_the_bounds, KIT_ITERATION,
         WEIR_CAP_REVERSE_ITERATION | WEIR_CAP_BOUNDED_ITERATION),
    CASE(large_ranges_are_read_both_ways, KIT_ITERATION,
         WEIR_CAP_REVERSE_ITERATION | WEIR_CAP_BOUNDED_ITERATION),
    {NULL, KIT_ITERATION, 0, NULL, false},
};
