/*
 * Fuzz target: the decoders of the keys of a windowed store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/window.h>

#include "state/window_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "property does not hold: %s\n", what);
    abort();
}

/* What was read, written again, gives the same bytes. */
static void check_pair(weir_slice key, uint8_t *room)
{
    weir_slice prefix;
    uint64_t first;
    uint64_t second;
    uint64_t same_first;
    uint64_t same_second;
    if (!weir__window_key_read(key, &prefix, &first, &second))
        return;
    size_t size = weir__window_prefix_write(room, prefix);
    weir__window_pair_write(room + size, first, second);
    size += WEIR__PAIR_SIZE;
    check(weir_slice_equal(weir_slice_of(room, size), key), "a window's key is written as read");
    check(weir__window_pair_read(key, prefix, &same_first, &same_second) && first == same_first &&
              second == same_second,
          "the key is one of its prefix");
    check(weir__window_first_read(key, prefix, &same_first) && first == same_first,
          "and begins with its first integer");
    int64_t start;
    int64_t end;
    check(weir_window_key_read(key, &prefix, &start, &end) ==
              (first <= INT64_MAX && second <= INT64_MAX),
          "times are what fits");
}

static void check_ends(weir_slice key, uint8_t *room)
{
    weir_slice prefix;
    uint64_t start;
    uint64_t end;
    if (!weir__window_ends_read(key, &prefix, &start, &end))
        return;
    weir__window_ends_write(room, prefix, start, end);
    check(weir_slice_equal(weir_slice_of(room, WEIR__ENDS_SIZE + prefix.size), key),
          "a key of the index is written as read");
}

/* Each size of prefix: a key is of one at most. */
static void check_prefixes(weir_slice key)
{
    size_t owners = 0;
    for (size_t size = 0; size <= key.size; size++) {
        uint64_t first;
        uint64_t second;
        if (weir__window_pair_read(key, weir_slice_of(key.data, size), &first, &second))
            owners++;
    }
    check(owners <= 1, "a key has one prefix");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of the exact size, so that reading beyond it is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    uint8_t *room = malloc(size + 32);
    if (copy && room) {
        if (size > 0)
            memcpy(copy, data, size);
        weir_slice key = weir_slice_of(copy, size);
        check_pair(key, room);
        check_ends(key, room);
        check_prefixes(key);
    }
    free(copy);
    free(room);
    return 0;
}
