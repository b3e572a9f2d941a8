/*
 * See timestamped_key.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/timestamped_key.h"

#include <string.h>

#include "base/endian.h"

#define SEPARATOR 0x7C

void weir__stamped_write(uint8_t *out, uint64_t timestamp, uint64_t number)
{
    out[0] = SEPARATOR;
    weir__put_be64(out + 1, timestamp);
    out[9] = SEPARATOR;
    weir__put_be64(out + 10, number);
}

bool weir__stamped_split(weir_slice key, weir_slice *prefix, uint64_t *timestamp, uint64_t *number)
{
    *prefix = weir_slice_of(NULL, 0);
    *timestamp = *number = 0;
    if (key.size < WEIR__STAMPED_SIZE)
        return false;
    const uint8_t *tail = (const uint8_t *)key.data + key.size - WEIR__STAMPED_SIZE;
    if (tail[0] != SEPARATOR || tail[9] != SEPARATOR)
        return false;
    *prefix = weir_slice_of(key.data, key.size - WEIR__STAMPED_SIZE);
    *timestamp = weir__get_be64(tail + 1);
    *number = weir__get_be64(tail + 10);
    return *timestamp <= INT64_MAX;
}

bool weir__stamped_read(weir_slice key, weir_slice prefix, uint64_t *timestamp, uint64_t *number)
{
    weir_slice found;
    return weir__stamped_split(key, &found, timestamp, number) && found.size == prefix.size;
}

bool weir__minimum_split(weir_slice key, weir_slice *prefix)
{
    *prefix = weir_slice_of(NULL, 0);
    if (key.size < WEIR__MINIMUM_SIZE)
        return false;
    size_t at = key.size - WEIR__MINIMUM_SIZE;
    if (memcmp((const uint8_t *)key.data + at, WEIR__MINIMUM_NAME, WEIR__MINIMUM_SIZE) != 0)
        return false;
    *prefix = weir_slice_of(key.data, at);
    return true;
}

bool weir__minimum_read(weir_slice value, int64_t *minimum)
{
    uint64_t number = value.size == 8 ? weir__get_be64(value.data) : UINT64_MAX;
    *minimum = number <= INT64_MAX ? (int64_t)number : 0;
    return number <= INT64_MAX;
}
