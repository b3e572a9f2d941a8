/*
 * A transaction inside the state layer, shared by its life cycle (txn.c), its iterators
 * (iter.c) and its state view (state_view.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TXN_H
#define WEIR_STATE_TXN_H

#include "state/partition.h"
#include "state/update_cache.h"

struct weir_state {
    weir_txn *txn;
    weir__buffer key;   /* the prefix with its separator, then the key at hand */
    size_t prefix_size; /* with the separator */
    weir__buffer value; /* what is being set */
    weir__buffer text;  /* the string that was handed out */
};

typedef struct weir__window_txn weir__window_txn; /* window.h */

struct weir_txn {
    weir_partition *partition;
    weir_txn_status status;
    bool is_sorted;  /* updates are in their final order: no more reads by key */
    uint64_t writes; /* successful sets and deletes, each time a key was written */
    bool has_counter;
    uint64_t counter; /* the last number taken: counter.h */
    weir__update_cache updates;
    weir__buffer key; /* the state key at hand */
    /* A value of the backend that was handed out, to be released at the next call. */
    weir_backend_value held;
    bool is_held;
    /* From prepare to flush: offsets of processed records, their topics in `topics`. */
    weir_topic_offset *processed;
    size_t processed_count;
    size_t processed_capacity;
    weir__buffer topics;
    weir__buffer processed_json;
    weir_state state;
    weir__window_txn *window; /* NULL unless the store is windowed */
    weir_iter *spare_iter;    /* a closed iterator whose memory waits for the next */
    weir_txn *next_open;      /* among the open transactions of the partition */
    weir_txn *previous_open;
};

/* As weir_txn_get, weir_txn_set and weir_txn_delete (value NULL) with a whole state key. */
weir_status weir__txn_get(weir_txn *txn, weir_cf cf, weir_slice key, weir_slice *value,
                          weir_error *err);
weir_status weir__txn_set(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          weir_error *err);
/* As weir__txn_set, without its look at what the kind of store makes of the change. */
weir_status weir__txn_put(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          weir_error *err);
/* Successful sets and deletes since the transaction began: tells whether a record changed
 * anything, also when it only wrote keys anew. */
static inline uint64_t weir__txn_writes(const weir_txn *txn)
{
    return txn->writes;
}
/* OK in STARTED; else WEIR_TXN_FAILED with a message that tells the status. */
weir_status weir__txn_check(const weir_txn *txn, weir_error *err);
/* The same, and WEIR_INVALID unless the store is of the kind that `call` needs. */
weir_status weir__txn_check_kind(const weir_txn *txn, weir_store_kind kind, const char *call,
                                 weir_error *err);

/* state_view.c */
void weir__state_release(weir_state *state);
/* iter.c: frees the memory of a closed iterator. NULL is allowed. */
void weir__iter_free(weir_iter *iter);

#endif
