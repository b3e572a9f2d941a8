/*
 * What the files of timestamped stores share.
 *
 *   timestamped_key.c        the bytes of keys
 *   timestamped_memo.c       what is known about a key without reading its values
 *   timestamped.c            one value: set, and the latest one as of a time; retention
 *   timestamped_interval.c   the values of an interval
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TIMESTAMPED_H
#define WEIR_STATE_TIMESTAMPED_H

#include <weir/timestamped.h>

#include "state/memo.h"
#include "state/timestamped_hooks.h"
#include "state/timestamped_key.h"

/* ---------------------------------------------------------------------------
 * Memos
 *
 * A memo (memo.h) holds the minimum of a key and where its newest values are, so that a record
 * that is set and looked up needs no search.
 * ------------------------------------------------------------------------- */

#define WEIR__MEMO_RECENT 24u

typedef struct weir__stamped_at {
    int64_t timestamp;
    uint64_t number;
} weir__stamped_at;

typedef struct weir__stamped_memo {
    weir__memo base; /* is_set: the minimum was */
    int64_t minimum; /* the oldest timestamp that is kept */
    int64_t oldest;  /* no value has an older timestamp */
    int64_t changed; /* with is_changed: this transaction has changed none that is older */
    bool is_known;   /* recent holds the newest values, in order; false: nothing is known of them */
    bool is_complete; /* with is_known: there are no others */
    weir__stamped_at recent[WEIR__MEMO_RECENT];
} weir__stamped_memo;

/* The memo of a key in this transaction. Lives as long as the transaction, and is to be changed
 * in place, is_dirty included. *memo [out]. */
weir_status weir__stamped_memo_get(weir_txn *txn, weir_slice prefix, weir__stamped_memo **memo,
                                   weir_error *err);
/* The same if it takes no read; NULL: it does. */
weir__stamped_memo *weir__stamped_memo_peek(weir_txn *txn, weir_slice prefix);
/* Finds the newest values, if they are not known. */
weir_status weir__stamped_memo_fill(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                                    weir_error *err);
/* A value was added or removed. */
void weir__stamped_memo_add(weir__stamped_memo *memo, int64_t timestamp, uint64_t number);
void weir__stamped_memo_remove(weir__stamped_memo *memo, int64_t timestamp, uint64_t number);

/* ---------------------------------------------------------------------------
 * The part of a transaction
 * ------------------------------------------------------------------------- */

struct weir__stamped_txn {
    weir__memos memos;
    weir__buffer key;   /* the state key at hand */
    weir__buffer value; /* one that outlives what was read */
    weir_interval *spare;
};

/* The record's key that a view is of. */
static inline weir_slice weir__stamped_prefix(const weir_state *state)
{
    size_t size = state->prefix_size;
    return weir_slice_of(state->key.data, size > 0 ? size - 1 : 0);
}

/* Kind, status and the size of the key. A change that is refused makes the transaction FAILED. */
weir_status weir__stamped_check(weir_txn *txn, weir_slice prefix, bool is_change, const char *call,
                                weir_error *err);
weir_status weir__stamped_no_memory(weir_txn *txn, weir_error *err);
/* The state key of a value. Borrowed until the next of these calls. */
weir_status weir__stamped_key(weir_txn *txn, weir_slice prefix, int64_t timestamp, uint64_t number,
                              weir_slice *key, weir_error *err);
/* An iterator over from ≤ timestamp < to; to INT64_MAX: to the last. Keys of other prefixes may
 * be among them. memo: that of the prefix. */
weir_status weir__stamped_iter_open(weir_txn *txn, weir_slice prefix,
                                    const weir__stamped_memo *memo, int64_t from, int64_t to,
                                    bool reverse, weir_iter **iter, weir_error *err);
/* The next value of the prefix itself. */
weir_status weir__stamped_iter_next(weir_iter *iter, weir_slice prefix, weir__stamped_at *at,
                                    weir_slice *value, weir_error *err);
/* Deletes a value, memo included. */
weir_status weir__stamped_remove(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                                 const weir__stamped_at *at, weir_error *err);
/* timestamped_interval.c: frees the memory of a closed interval. NULL is allowed. */
void weir__interval_free(weir_interval *interval);

#endif
