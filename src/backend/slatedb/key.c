/*
 * Keys as SlateDB stores them. It has no empty key, so a key of zero bytes alone, however many,
 * gets one more; all others stay as they are. That keeps the order, because a key of zero bytes
 * alone comes before every key that holds another byte. docs/slatedb.md has the rule.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/slatedb/internal.h"

static bool is_all_zero(weir_slice key)
{
    const uint8_t *bytes = key.data;
    for (size_t i = 0; i < key.size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

weir_slice weir__slatedb_key_stored(weir_slice key)
{
    static const uint8_t zeros[WEIR__SLATEDB_KEY_MAX + 1];
    return is_all_zero(key) && key.size < sizeof zeros ? weir_slice_of(zeros, key.size + 1) : key;
}

weir_slice weir__slatedb_key_given(weir_slice stored)
{
    return is_all_zero(stored) ? weir_slice_of(stored.data, stored.size - 1) : stored;
}
