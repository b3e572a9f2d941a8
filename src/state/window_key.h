/*
 * The keys of a windowed store. Source: Quix Streams 3.x, but for the last one.
 *
 *   window             prefix 7C start(8) 7C end(8)       "default"
 *   collected value    prefix 7C id(8) 7C number(8)       "__values__"
 *   mark               prefix 7C name                     a family for each mark
 *   window by its end  end(8) start(8) prefix             "__weir_window_ends__"
 *
 * Integers are big-endian. An empty prefix has no 7C behind it. So the size of a key tells
 * where its prefix ends, and two keys of one size and one prefix differ in their integers
 * alone. The order of keys puts windows of the prefix "a" among those of "a|…": who
 * walks a range compares sizes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_WINDOW_KEY_H
#define WEIR_STATE_WINDOW_KEY_H

#include <weir/base.h>

#define WEIR__PAIR_SIZE 17u /* start(8) 7C end(8) */
#define WEIR__ENDS_SIZE 16u /* end(8) start(8) */

/* How many bytes a prefix takes with its separator. */
static inline size_t weir__window_prefix_size(weir_slice prefix)
{
    return prefix.size > 0 ? prefix.size + 1 : 0;
}
/* Writes the prefix and its separator; returns how many bytes. */
size_t weir__window_prefix_write(uint8_t *out, weir_slice prefix);

void weir__window_pair_write(uint8_t *out, uint64_t first, uint64_t second);
/*
 * The integers of a key of this prefix; false: the key is another prefix's, or none of
 * these. For keys within the bounds of the prefix.
 */
bool weir__window_pair_read(weir_slice key, weir_slice prefix, uint64_t *first, uint64_t *second);
/* The integer behind the prefix, also of another prefix's key that is in its bounds: where a
 * key of this prefix would stand. False: the key ends before. */
bool weir__window_first_read(weir_slice key, weir_slice prefix, uint64_t *first);
/* Takes any key apart; false: it is none of these. *prefix points into key. */
bool weir__window_key_read(weir_slice key, weir_slice *prefix, uint64_t *first, uint64_t *second);

/* out has WEIR__ENDS_SIZE + prefix.size bytes. */
void weir__window_ends_write(uint8_t *out, weir_slice prefix, uint64_t start, uint64_t end);
/* False: not such a key. */
bool weir__window_ends_read(weir_slice key, weir_slice *prefix, uint64_t *start, uint64_t *end);

#endif
