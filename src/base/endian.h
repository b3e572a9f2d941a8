/*
 * 64-bit big-endian integers: how Quix Streams and Weir store offsets, times and
 * counters, so that unsigned byte order is numeric order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_ENDIAN_H
#define WEIR_BASE_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void weir__put_be64(uint8_t *out, uint64_t value)
{
    value = htobe64(value);
    memcpy(out, &value, sizeof value);
}

static inline uint64_t weir__get_be64(const uint8_t *in)
{
    uint64_t value;
    memcpy(&value, in, sizeof value);
    return be64toh(value);
}

#endif
