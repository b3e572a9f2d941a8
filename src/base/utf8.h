/*
 * UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the valid sequence that begins at `at` (1 to 4), or 0 if there is none. at < end. */
size_t weir__utf8_sequence(const uint8_t *at, const uint8_t *end);

/* Writes a code point that is no surrogate and at most 0x10FFFF; returns its bytes, 1 to 4. */
size_t weir__utf8_encode(uint8_t out[4], uint32_t code_point);

#endif
