/*
 * The changes of a transaction in the order of column family and key, for the changelog
 * and for the batch.
 *
 * Radix sort on 8 bytes of the key at a time, from where the keys begin to differ; what
 * these don't tell apart is sorted by the 8 bytes behind them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/endian.h"
#include "state/update_cache.h"

#define SMALL 48u /* below this many, insertion sort is faster */

typedef struct item {
    uint64_t head; /* 8 bytes of the key from a depth, big-endian, padded with 0 */
    weir__update *update;
} item;

_Static_assert(2 * sizeof(item) <= WEIR__SORT_BYTES, "an item and its spare");

static uint64_t head_at(const weir__update *update, size_t depth)
{
    uint8_t bytes[8] = {0};
    size_t left = update->key_size > depth ? update->key_size - depth : 0;
    if (left >= sizeof bytes)
        memcpy(bytes, update->key + depth, sizeof bytes);
    else if (left > 0)
        memcpy(bytes, update->key + depth, left);
    return weir__get_be64(bytes);
}

static int compare_from(const item *a, const item *b, size_t depth)
{
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    size_t from_a = a->update->key_size < depth ? a->update->key_size : depth;
    size_t from_b = b->update->key_size < depth ? b->update->key_size : depth;
    return weir_slice_compare(weir_slice_of(a->update->key + from_a, a->update->key_size - from_a),
                              weir_slice_of(b->update->key + from_b, b->update->key_size - from_b));
}

static void insertion_sort(item *items, size_t count, size_t depth)
{
    for (size_t i = 1; i < count; i++) {
        item moved = items[i];
        size_t at = i;
        for (; at > 0 && compare_from(&items[at - 1], &moved, depth) > 0; at--)
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

/* The bytes that all keys begin with, from a depth on. */
static size_t common_depth(const item *items, size_t count, size_t depth)
{
    const weir__update *first = items[0].update;
    size_t common = first->key_size;
    for (size_t i = 1; i < count && common > depth; i++) {
        const weir__update *other = items[i].update;
        if (other->key_size < common)
            common = other->key_size;
        size_t at = depth;
        while (at < common && first->key[at] == other->key[at])
            at++;
        if (at < common)
            common = at;
    }
    return common > depth ? common : depth;
}

static void sort_from(item *items, item *spare, size_t count, size_t depth);

/*
 * Keys that agree in all 8 bytes of their head. Those that end within it differ in length
 * alone (by zero bytes, so there are at most nine) and come first.
 */
static void sort_run(item *items, item *spare, size_t count, size_t depth)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].update->key_size > depth + sizeof items[i].head)
            continue;
        item swap = items[ended];
        items[ended++] = items[i];
        items[i] = swap;
    }
    insertion_sort(items, ended, depth);
    if (count - ended > 1)
        sort_from(items + ended, spare + ended, count - ended, depth + sizeof items[0].head);
}

/* All keys agree in their first `depth` bytes. */
static void sort_from(item *items, item *spare, size_t count, size_t depth)
{
    depth = common_depth(items, count, depth);
    for (size_t i = 0; i < count; i++)
        items[i].head = head_at(items[i].update, depth);
    if (count < SMALL) {
        insertion_sort(items, count, depth);
        return;
    }
    radix_sort(items, spare, count);
    size_t begin = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && items[i].head == items[begin].head)
            continue;
        if (i - begin > 1)
            sort_run(items + begin, spare + begin, i - begin, depth);
        begin = i;
    }
}

void weir__update_cache_sort(weir__update_cache *cache, void *scratch)
{
    item *items = scratch;
    size_t count = cache->count;
    size_t done = 0;
    /* Families are few: one pass over the changes for each that has any. */
    for (uint64_t cf = 0; done < count;) {
        uint64_t next_cf = UINT64_MAX;
        size_t begin = done;
        for (size_t i = 0; i < count; i++) {
            weir__update *update = cache->updates[i];
            if (update->cf == cf)
                items[done++].update = update;
            else if (update->cf > cf && update->cf < next_cf)
                next_cf = update->cf;
        }
        if (done > begin)
            sort_from(items + begin, items + count + begin, done - begin, 0);
        cf = next_cf;
    }
    for (size_t i = 0; i < count; i++)
        cache->updates[i] = items[i].update;
}
