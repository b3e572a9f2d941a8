/*
 * weir/timestamped.h: values by event time, in a store of the kind WEIR_STORE_TIMESTAMPED:
 * what was known about a key as of a time.
 *
 *   weir_timestamped_set(weather, record_ms, json, err);
 *   weir_timestamped_get_latest(weather, departure_ms, NULL, &json, err);
 *
 * A key keeps its values as long as they are not more than grace_ms of the store older than the
 * greatest timestamp that it was ever set for: its retention, which never falls. What is
 * older is gone for every read at once, and is deleted when a transaction that sets the key is
 * prepared. A key that is set no more keeps what is within its retention.
 *
 * All functions take the state view of the key (an operator's argument, or weir_txn_state).
 * For all of them:
 *   - a timestamp below 0 is WEIR_INVALID, with a message that tells argument and value;
 *     bounds of an interval may be any number;
 *   - a key, with the 28 bytes that the store adds, is at most WEIR_KEY_MAX_SIZE bytes long
 *     (WEIR_TOO_LARGE);
 *   - a store of another kind is WEIR_INVALID; a status of the transaction that does not
 *     allow the call WEIR_TXN_FAILED;
 *   - a failed change makes the transaction FAILED, a failed read leaves it as it is;
 *   - slices handed out are borrowed until the next call on any transaction of the partition;
 *   - owner thread of the partition.
 *
 * Bytes are those of Quix Streams 3.x: docs/formats/state.md. The rules in full are in
 * docs/semantics.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TIMESTAMPED_H
#define WEIR_TIMESTAMPED_H

#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sets the value of the key for a timestamp; the value is copied. A value that the key has for
 * the same timestamp is replaced, or, with keep_duplicates of the store, kept beside the new
 * one. A timestamp that is older than the retention changes nothing, and is no error.
 */
WEIR_API weir_status weir_timestamped_set(weir_state *state, int64_t timestamp_ms, weir_slice value,
                                          weir_error *err);

/*
 * The value of the greatest timestamp ≤ timestamp_ms; of several for one timestamp, the one
 * that was set last. WEIR_NOT_FOUND: the key has none within its retention.
 * *found_ms [out, may be NULL]: its timestamp. *value [out].
 */
WEIR_API weir_status weir_timestamped_get_latest(weir_state *state, int64_t timestamp_ms,
                                                 int64_t *found_ms, weir_slice *value,
                                                 weir_error *err);

/* No limit. */
#define WEIR_INTERVAL_ALL SIZE_MAX

typedef struct weir_interval weir_interval;

/*
 * The values with start_ms ≤ timestamp < end_ms in the order of timestamps, those of one
 * timestamp in the order in which they were set; at most the first `limit` of them. As of this
 * call: changes made while it is walked neither show nor do harm. *interval [out], closed
 * before the transaction is freed; NULL if the interval is empty by its bounds.
 */
WEIR_API weir_status weir_timestamped_get_interval(weir_state *state, int64_t start_ms,
                                                   int64_t end_ms, size_t limit,
                                                   weir_interval **interval, weir_error *err);
/* The next value; WEIR_NOT_FOUND: there are no more, also when interval is NULL. *timestamp_ms
 * [out, may be NULL], *value [out]: borrowed until the next call on the interval. */
WEIR_API weir_status weir_interval_next(weir_interval *interval, int64_t *timestamp_ms,
                                        weir_slice *value, weir_error *err);
/* NULL is allowed. */
WEIR_API void weir_interval_close(weir_interval *interval);

/* Deletes the values with start_ms ≤ timestamp < end_ms. *deleted [out, may be NULL]: how many
 * there were. */
WEIR_API weir_status weir_timestamped_delete_interval(weir_state *state, int64_t start_ms,
                                                      int64_t end_ms, size_t *deleted,
                                                      weir_error *err);

#ifdef __cplusplus
}
#endif

#endif
