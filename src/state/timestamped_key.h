/*
 * The keys of a timestamped store. Source: Quix Streams 3.x.
 *
 *   value     prefix 7C timestamp(8) 7C number(8)           "default"
 *   minimum   prefix 7C __min_eligible_timestamps__         "__min-eligible-timestamps__"
 *
 * Integers are big-endian. An empty prefix has its 7C too. The number is 0 unless duplicates
 * are kept. The value of the minimum is an integer: the oldest timestamp that is kept.
 *
 * The order of keys puts values of the prefix "a|…" among those of "a". Keys of one size that
 * begin with one prefix are all of that prefix: who walks a range compares sizes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TIMESTAMPED_KEY_H
#define WEIR_STATE_TIMESTAMPED_KEY_H

#include <weir/base.h>

#define WEIR__STAMPED_SIZE 18u /* 7C timestamp(8) 7C number(8) */
#define WEIR__MINIMUM_NAME "|__min_eligible_timestamps__"
#define WEIR__MINIMUM_SIZE (sizeof(WEIR__MINIMUM_NAME) - 1)

/* Writes what stands behind the prefix: WEIR__STAMPED_SIZE bytes. */
void weir__stamped_write(uint8_t *out, uint64_t timestamp, uint64_t number);
/* The integers of a key that begins with this prefix; false: it is another prefix's. */
bool weir__stamped_read(weir_slice key, weir_slice prefix, uint64_t *timestamp, uint64_t *number);
/* Takes any key of a value apart; false: it is none. *prefix points into key. */
bool weir__stamped_split(weir_slice key, weir_slice *prefix, uint64_t *timestamp, uint64_t *number);
/* The prefix of the key of a minimum; false: it is none. */
bool weir__minimum_split(weir_slice key, weir_slice *prefix);
/* A stored minimum. False: it is none. */
bool weir__minimum_read(weir_slice value, int64_t *minimum);

#endif
