/*
 * See window_key.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/window_key.h"

#include <string.h>
#include <weir/window.h>

#include "base/endian.h"

#define SEPARATOR 0x7C

size_t weir__window_prefix_write(uint8_t *out, weir_slice prefix)
{
    if (prefix.size == 0)
        return 0;
    memcpy(out, prefix.data, prefix.size);
    out[prefix.size] = SEPARATOR;
    return prefix.size + 1;
}

void weir__window_pair_write(uint8_t *out, uint64_t first, uint64_t second)
{
    weir__put_be64(out, first);
    out[8] = SEPARATOR;
    weir__put_be64(out + 9, second);
}

static bool read_pair(const uint8_t *pair, uint64_t *first, uint64_t *second)
{
    *first = weir__get_be64(pair);
    *second = weir__get_be64(pair + 9);
    return pair[8] == SEPARATOR;
}

bool weir__window_pair_read(weir_slice key, weir_slice prefix, uint64_t *first, uint64_t *second)
{
    size_t at = weir__window_prefix_size(prefix);
    *first = *second = 0;
    return key.size == at + WEIR__PAIR_SIZE &&
           read_pair((const uint8_t *)key.data + at, first, second);
}

bool weir__window_first_read(weir_slice key, weir_slice prefix, uint64_t *first)
{
    size_t at = weir__window_prefix_size(prefix);
    *first = key.size < at + 8 ? 0 : weir__get_be64((const uint8_t *)key.data + at);
    return key.size >= at + 8;
}

bool weir__window_key_read(weir_slice key, weir_slice *prefix, uint64_t *first, uint64_t *second)
{
    const uint8_t *bytes = key.data;
    *prefix = weir_slice_of(NULL, 0);
    *first = *second = 0;
    if (key.size == WEIR__PAIR_SIZE)
        return read_pair(bytes, first, second);
    if (key.size <= WEIR__PAIR_SIZE + 1)
        return false;
    size_t at = key.size - WEIR__PAIR_SIZE;
    if (bytes[at - 1] != SEPARATOR || !read_pair(bytes + at, first, second))
        return false;
    *prefix = weir_slice_of(bytes, at - 1);
    return true;
}

bool weir_window_key_read(weir_slice state_key, weir_slice *key, int64_t *start_ms, int64_t *end_ms)
{
    uint64_t start;
    uint64_t end;
    bool is_known = weir__window_key_read(state_key, key, &start, &end);
    *start_ms = (int64_t)start;
    *end_ms = (int64_t)end;
    return is_known && start <= INT64_MAX && end <= INT64_MAX;
}

void weir__window_ends_write(uint8_t *out, weir_slice prefix, uint64_t start, uint64_t end)
{
    weir__put_be64(out, end);
    weir__put_be64(out + 8, start);
    if (prefix.size > 0)
        memcpy(out + WEIR__ENDS_SIZE, prefix.data, prefix.size);
}

bool weir__window_ends_read(weir_slice key, weir_slice *prefix, uint64_t *start, uint64_t *end)
{
    *prefix = weir_slice_of(NULL, 0);
    *start = *end = 0;
    if (key.size < WEIR__ENDS_SIZE)
        return false;
    const uint8_t *bytes = key.data;
    *end = weir__get_be64(bytes);
    *start = weir__get_be64(bytes + 8);
    *prefix = weir_slice_of(bytes + WEIR__ENDS_SIZE, key.size - WEIR__ENDS_SIZE);
    return true;
}
