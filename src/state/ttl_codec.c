/*
 * The bytes of TTL: see ttl_codec.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/ttl_codec.h"

#include "base/endian.h"

static bool is_expiry(uint64_t expiry)
{
    return expiry > 0 && expiry < WEIR__TTL_LIMIT;
}

bool weir__ttl_split(weir_slice stored, uint64_t *expiry, weir_slice *value)
{
    *expiry = WEIR__TTL_NEVER;
    *value = stored;
    if (stored.size < WEIR__TTL_STAMP_SIZE)
        return false;
    uint64_t stamp = weir__get_be64(stored.data);
    if (stamp != WEIR__TTL_NEVER && !is_expiry(stamp))
        return false;
    *expiry = stamp;
    *value = weir_slice_of((const uint8_t *)stored.data + WEIR__TTL_STAMP_SIZE,
                           stored.size - WEIR__TTL_STAMP_SIZE);
    return true;
}

bool weir__ttl_split_index(weir_slice entry, uint64_t *expiry, weir_slice *key)
{
    return weir__ttl_split(entry, expiry, key) && *expiry != WEIR__TTL_NEVER;
}

void weir__ttl_stamp(uint8_t *out, uint64_t expiry)
{
    weir__put_be64(out, expiry);
}

bool weir__ttl_expiry(int64_t event_time, int64_t ttl_ms, uint64_t *expiry)
{
    *expiry = (uint64_t)event_time + (uint64_t)ttl_ms; /* both below 2^63: no overflow */
    return is_expiry(*expiry);
}
