/*
 * The bytes of TTL (docs/formats/state.md), those of Quix Streams:
 *
 *   value in "default"       expiry (8 bytes, big-endian, event time in ms) ∥ value
 *   key in "__ttl_index__"   expiry (8) ∥ state key, with an empty value
 *
 * An expiry of all ones means never, and has no entry in the index. No writer makes an
 * expiry of 0, or one from 10^15 on that is not "never": what begins like that is no
 * stamped value.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TTL_CODEC_H
#define WEIR_STATE_TTL_CODEC_H

#include <weir/base.h>

#define WEIR__TTL_NEVER      UINT64_MAX
#define WEIR__TTL_LIMIT      UINT64_C(1000000000000000) /* expiries are below: the year 33658 */
#define WEIR__TTL_STAMP_SIZE ((size_t)8)

/* Splits a stored value. False: it can't be a stamped one; then *expiry is never, and *value
 * all of it. True: it is one, if stamped values are what stands there. */
bool weir__ttl_split(weir_slice stored, uint64_t *expiry, weir_slice *value);
/* Splits a key of the index. False: it is none. */
bool weir__ttl_split_index(weir_slice entry, uint64_t *expiry, weir_slice *key);
/* Writes an expiry into 8 bytes. */
void weir__ttl_stamp(uint8_t *out, uint64_t expiry);
/* event time + TTL. False: the sum is no expiry. ttl_ms is above 0, event_time not below. */
bool weir__ttl_expiry(int64_t event_time, int64_t ttl_ms, uint64_t *expiry);

#endif
