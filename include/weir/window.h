/*
 * weir/window.h: windows in time, in a store of the kind WEIR_STORE_WINDOWED.
 *
 * A window belongs to a record's key and has a start and an end, in ms since 1970; a
 * program gives it a value, finds it again, and is told when it has expired. Beside its
 * windows a key has a collection: values by number (most often a timestamp), of which an
 * expired window gets those that fall into it.
 *
 *   weir_window_get(state, start, end, &value, err);             value of this hour
 *   weir_window_update(state, start, end, value, timestamp, err);
 *   weir_window_expire(state, latest - grace - duration, 0, &expired, err);
 *   while (weir_windows_next(expired, &window, err) == WEIR_OK)
 *       …                                                        hours that are over
 *   weir_windows_close(expired);
 *
 * Functions of one key take the state view of that key (an operator's argument, or
 * weir_txn_state), those of the whole partition take the transaction.
 *
 * For all of them:
 *   - times are 0 or above, and a window's end comes after its start: anything else is
 *     WEIR_INVALID, with a message that tells argument and value. Bounds of a range may be
 *     any number;
 *   - a key, with the 18 bytes that a window adds, is at most WEIR_KEY_MAX_SIZE bytes long
 *     (WEIR_TOO_LARGE);
 *   - a store of another kind is WEIR_INVALID; a status of the transaction that does not
 *     allow the call WEIR_TXN_FAILED;
 *   - a failed change makes the transaction FAILED, a failed read leaves it as it is; a
 *     failed expiry does either, but never a part of what it has to do;
 *   - slices handed out are borrowed until the next call on any transaction of the
 *     partition, unless something else is said;
 *   - owner thread of the partition.
 *
 * Bytes are those of Quix Streams 3.x: docs/formats/state.md. The rules in full are in
 * docs/semantics.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_WINDOW_H
#define WEIR_WINDOW_H

#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- One window --- */

/* *value [out]. WEIR_NOT_FOUND: there is no such window. */
WEIR_API weir_status weir_window_get(weir_state *state, int64_t start_ms, int64_t end_ms,
                                     weir_slice *value, weir_error *err);
/*
 * Sets the value, which is copied, and raises the latest timestamp of the key to
 * timestamp_ms, that of the record at hand. A window that starts at or before the last
 * expired one is set as any other, and does not expire any more.
 */
WEIR_API weir_status weir_window_update(weir_state *state, int64_t start_ms, int64_t end_ms,
                                        weir_slice value, int64_t timestamp_ms, weir_error *err);
/* There is no such window: WEIR_OK. */
WEIR_API weir_status weir_window_delete(weir_state *state, int64_t start_ms, int64_t end_ms,
                                        weir_error *err);

/* --- Many windows --- */

/* Windows that were found: a range that is read as it is walked, or those that expired. */
typedef struct weir_windows weir_windows;

/* The layout is frozen. */
typedef struct weir_window {
    weir_slice key; /* the record's key */
    int64_t start_ms;
    int64_t end_ms;
    weir_slice value;
    /* Of an expired window, with WEIR_EXPIRE_COLLECT: its part of the collection, by id, and
     * of one id in the order in which they came. */
    const weir_slice *values;
    size_t value_count;
} weir_window;

/*
 * The windows of the key with from_ms < start ≤ to_ms, by start and then by end, or in
 * the opposite order; from_ms −1 and to_ms INT64_MAX give all. As of this call: changes made
 * while it is walked neither show nor do harm. *windows [out], closed before the
 * transaction is freed; NULL if the range is empty by its bounds.
 */
WEIR_API weir_status weir_window_range(weir_state *state, int64_t from_ms, int64_t to_ms,
                                       bool backward, weir_windows **windows, weir_error *err);

/* The next window, or WEIR_NOT_FOUND at the end (windows NULL: at once). Its slices are
 * borrowed until the next call on `windows`. */
WEIR_API weir_status weir_windows_next(weir_windows *windows, weir_window *window, weir_error *err);
/* NULL is allowed. */
WEIR_API void weir_windows_close(weir_windows *windows);

/* --- Expiry --- */

/* Expired windows stay in the store; without it they are deleted. */
#define WEIR_EXPIRE_KEEP (UINT32_C(1) << 0)
/*
 * Each expired window comes with the collected values with start ≤ id < end. Together
 * with deletion, values that no window of the key can get any more are deleted: those before
 * the first window that is left, or if there is none, before the end of the last expired.
 */
#define WEIR_EXPIRE_COLLECT (UINT32_C(1) << 1)
/* … with start ≤ id ≤ end. */
#define WEIR_EXPIRE_END_INCLUSIVE (UINT32_C(1) << 2)

/*
 * The windows of the key with a start ≤ max_start_ms, and after that of the last expired
 * one, expire: in one step they are handed out, deleted (see the flags), and the start of the
 * last of them is kept as the key's mark. By start, then by end.
 * *windows [out]: NULL if nothing expired, which costs no read of the database as long as
 * the key is in the record cache. Else closed before the transaction is freed; what it hands
 * out does not depend on whether, and how far, it is walked.
 */
WEIR_API weir_status weir_window_expire(weir_state *state, int64_t max_start_ms, uint32_t flags,
                                        weir_windows **windows, weir_error *err);
/*
 * The same for the windows of all keys with an end ≤ max_end_ms, and after the partition's
 * mark. By end, then by start, then by key. The mark, kept under the empty key, moves on the
 * grid of step_ms (that of the windows; 1 or above) and to the end of each window that
 * expires. Its cost follows what expires, not what there is: the first call in a partition
 * makes an index of its windows by end, which is then kept up with every change, in this
 * store alone.
 */
WEIR_API weir_status weir_window_expire_all(weir_txn *txn, int64_t max_end_ms, int64_t step_ms,
                                            uint32_t flags, weir_windows **windows,
                                            weir_error *err);
/*
 * Deletes the windows of the key with a start ≤ max_start_ms, and after that of the last one
 * deleted by this function, expired or not; with delete_values also the collected values
 * with an id < max_start_ms.
 */
WEIR_API weir_status weir_window_delete_until(weir_state *state, int64_t max_start_ms,
                                              bool delete_values, weir_error *err);

/* --- Marks ---
 *
 * Those of the partition as a whole are kept under the empty key (a view of the prefix of
 * size 0), which a record with an empty key shares.
 */

/* The latest timestamp of the key. WEIR_NOT_FOUND and 0: it has none. */
WEIR_API weir_status weir_window_latest_timestamp(weir_state *state, int64_t *timestamp_ms,
                                                  weir_error *err);
/* Raises it, without a window. *latest_ms [out, may be NULL]: what it is then. */
WEIR_API weir_status weir_window_advance_timestamp(weir_state *state, int64_t timestamp_ms,
                                                   int64_t *latest_ms, weir_error *err);
/* How far weir_window_expire came, the start of the last expired window; under the empty
 * key, how far weir_window_expire_all came. WEIR_NOT_FOUND and 0: nothing has expired.
 * INT64_MAX: also what Quix Streams keeps under the empty key where no session is open. */
WEIR_API weir_status weir_window_expired_until(weir_state *state, int64_t *mark_ms,
                                               weir_error *err);
/* Sets it, also to an earlier time. Any number. */
WEIR_API weir_status weir_window_set_expired_until(weir_state *state, int64_t mark_ms,
                                                   weir_error *err);

/* --- The collection of a key --- */

/*
 * Adds a value, which is copied, under *id (0 or above), or if id is NULL under the number that it
 * gets: values of a partition are numbered as they come. *number [out, may be NULL].
 * WEIR_TOO_LARGE: id is NULL and the number is above INT64_MAX.
 */
WEIR_API weir_status weir_window_collect(weir_state *state, const int64_t *id, weir_slice value,
                                         uint64_t *number, weir_error *err);
/* The values with from_id ≤ id < to_id, by id and number. *values [out], *count [out]: an
 * array, borrowed with what it points to until the next call of this function, or the end
 * of the transaction. */
WEIR_API weir_status weir_window_collected(weir_state *state, int64_t from_id, int64_t to_id,
                                           const weir_slice **values, size_t *count,
                                           weir_error *err);
/*
 * Deletes the values with *from_id ≤ id < to_id. from_id NULL: those below to_id, searched
 * from the key's mark on, which is the highest id deleted so far; a value that was added
 * below it has set it back.
 */
WEIR_API weir_status weir_window_delete_collected(weir_state *state, const int64_t *from_id,
                                                  int64_t to_id, weir_error *err);

/* --- Keys, for who reads a store as bytes --- */

/*
 * Takes the state key of a window (of the family "default") or of a collected value
 * (of "__values__": id and number) apart. False: it is neither. *key [out] points into
 * state_key.
 */
WEIR_API bool weir_window_key_read(weir_slice state_key, weir_slice *key, int64_t *start_ms,
                                   int64_t *end_ms);

#ifdef __cplusplus
}
#endif

#endif
