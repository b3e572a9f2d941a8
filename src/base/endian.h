/*
 * 64-bit big-endian integers: how Quix Streams and Weir store offsets, times and
 * counters, so that unsigned byte order is numeric order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_ENDIAN_H
#define WEIR_BASE_ENDIAN_H

#include <stdint.h>

static inline void weir__put_be64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static inline uint64_t weir__get_be64(const uint8_t *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

#endif
