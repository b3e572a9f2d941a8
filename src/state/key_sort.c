/*
 * See key_sort.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/key_sort.h"

#include <string.h>

#include "base/endian.h"

#define SMALL 48u /* below this many, insertion sort is faster */

typedef weir__sort_item item;

/* What is left of a key from a depth on. */
static weir_slice rest_of(weir_slice key, size_t depth)
{
    size_t from = key.size < depth ? key.size : depth;
    return weir_slice_of((const uint8_t *)key.data + from, key.size - from);
}

/* 8 bytes of the key from a depth on, big-endian, padded with 0. */
static uint64_t head_at(weir_slice key, size_t depth)
{
    uint8_t bytes[8] = {0};
    weir_slice rest = rest_of(key, depth);
    if (rest.size >= sizeof bytes)
        memcpy(bytes, rest.data, sizeof bytes);
    else if (rest.size > 0)
        memcpy(bytes, rest.data, rest.size);
    return weir__get_be64(bytes);
}

static int compare_from(const item *a, const item *b, size_t depth, weir__sort_key *key)
{
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    return weir_slice_compare(rest_of(key(a->of), depth), rest_of(key(b->of), depth));
}

static void insertion_sort(item *items, size_t count, size_t depth, weir__sort_key *key)
{
    for (size_t i = 1; i < count; i++) {
        item moved = items[i];
        size_t at = i;
        for (; at > 0 && compare_from(&items[at - 1], &moved, depth, key) > 0; at--)
            items[at] = items[at - 1];
        items[at] = moved;
    }
}

/* By head, stable; bytes that are equal in all cost nothing. */
static void radix_sort(item *items, item *spare, size_t count)
{
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++)
        differ |= items[i].head ^ items[0].head;
    item *from = items;
    item *to = spare;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 0xFF))
            continue;
        size_t starts[256] = {0};
        for (size_t i = 0; i < count; i++)
            starts[from[i].head >> shift & 0xFF]++;
        size_t sum = 0;
        for (unsigned byte = 0; byte < 256; byte++) {
            size_t number = starts[byte];
            starts[byte] = sum;
            sum += number;
        }
        for (size_t i = 0; i < count; i++)
            to[starts[from[i].head >> shift & 0xFF]++] = from[i];
        item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

/* The bytes that all keys begin with, `depth` or more. */
static size_t common_depth(const item *items, size_t count, size_t depth, weir__sort_key *key)
{
    weir_slice first = key(items[0].of);
    size_t common = first.size;
    for (size_t i = 1; i < count && common > depth; i++) {
        weir_slice other = key(items[i].of);
        if (other.size < common)
            common = other.size;
        size_t at = depth;
        while (at < common &&
               ((const uint8_t *)first.data)[at] == ((const uint8_t *)other.data)[at])
            at++;
        if (at < common)
            common = at;
    }
    return common > depth ? common : depth;
}

static void sort_from(item *items, item *spare, size_t count, size_t depth, weir__sort_key *key);

/*
 * Keys that agree in all 8 bytes of their head. Those that end within it differ in length
 * alone (by zero bytes, so there are at most nine) and come first.
 */
static void sort_run(item *items, item *spare, size_t count, size_t depth, weir__sort_key *key)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        if (key(items[i].of).size > depth + sizeof items[i].head)
            continue;
        item swap = items[ended];
        items[ended++] = items[i];
        items[i] = swap;
    }
    insertion_sort(items, ended, depth, key);
    if (count - ended > 1)
        sort_from(items + ended, spare + ended, count - ended, depth + sizeof items[0].head, key);
}

/* All keys agree in their first `depth` bytes. */
static void sort_from(item *items, item *spare, size_t count, size_t depth, weir__sort_key *key)
{
    depth = common_depth(items, count, depth, key);
    for (size_t i = 0; i < count; i++)
        items[i].head = head_at(key(items[i].of), depth);
    if (count < SMALL) {
        insertion_sort(items, count, depth, key);
        return;
    }
    radix_sort(items, spare, count);
    size_t begin = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && items[i].head == items[begin].head)
            continue;
        if (i - begin > 1)
            sort_run(items + begin, spare + begin, i - begin, depth, key);
        begin = i;
    }
}

void weir__key_sort(weir__sort_item *items, weir__sort_item *spare, size_t count,
                    weir__sort_key *key)
{
    if (count > 1)
        sort_from(items, spare, count, 0, key);
}
