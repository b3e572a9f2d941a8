/*
 * Big-endian integers, as all formats of Weir have them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TOOLS_BYTES_H
#define WEIR_TOOLS_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline void bytes_put(uint8_t *at, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

static inline uint64_t bytes_get(const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | at[i];
    return number;
}

static inline void bytes_put32(uint8_t *at, uint32_t number)
{
    bytes_put(at, number, 4);
}

static inline void bytes_put64(uint8_t *at, uint64_t number)
{
    bytes_put(at, number, 8);
}

static inline uint32_t bytes_get32(const void *data)
{
    return (uint32_t)bytes_get(data, 4);
}

static inline uint64_t bytes_get64(const void *data)
{
    return bytes_get(data, 8);
}

#endif
