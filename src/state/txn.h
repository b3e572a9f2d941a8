/*
 * A transaction inside the state layer, shared by its life cycle (txn.c), its iterators
 * (iter.c) and its state view (state_view.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TXN_H
#define WEIR_STATE_TXN_H

#include "base/arena.h"
#include "state/partition.h"
#include "state/update_cache.h"

struct weir_state {
    weir_txn *txn;
    weir__buffer key;   /* the prefix with its separator, then the key at hand */
    size_t prefix_size; /* with the separator */
    weir__buffer value; /* what is being set */
    weir__buffer text;  /* the string that was handed out */
    uint64_t expiry;    /* of what is set through the view */
};

typedef struct weir__window_txn weir__window_txn;   /* window.h */
typedef struct weir__stamped_txn weir__stamped_txn; /* timestamped.h */
typedef enum weir__ttl_chore_kind {
    WEIR__CHORE_EXPIRE, /* delete a value that has expired */
    WEIR__CHORE_STAMP,  /* give an old value its stamp */
    WEIR__CHORE_DROP    /* take an entry without a value from the index */
} weir__ttl_chore_kind;

/* What a transaction does for the partition beside its changes, planned by prepare. */
typedef struct weir__ttl_chore {
    weir__ttl_chore_kind kind;
    uint64_t expiry;   /* EXPIRE */
    weir_slice key;    /* the state key; DROP: that of the index */
    weir_slice stored; /* STAMP */
} weir__ttl_chore;

/* TTL in a transaction: ttl_txn.c. */
typedef struct weir__txn_ttl {
    int64_t event_time; /* of the record at hand; WEIR_TIME_NONE */
    int64_t clock;      /* the event time it has reached; WEIR_TIME_NONE */
    int64_t limit;      /* that the clock can reach in it; WEIR_TIME_NONE: not known yet */
    bool is_wanted;     /* a value with a TTL was set */
    bool is_warned;
    /* From prepare to flush. */
    bool finishes;
    uint64_t swept;
    weir_slice cursor;
    uint64_t planned_at; /* batches that the partition had written */
    weir__ttl_chore *chores;
    size_t chore_count;
    size_t chore_capacity;
    weir__arena arena;
} weir__txn_ttl;

struct weir_txn {
    weir_partition *partition;
    weir_txn_status status;
    bool is_sorted;      /* updates are in their final order: no more reads by key */
    uint64_t memo_epoch; /* that of the partition when it began */
    uint64_t writes;     /* successful sets and deletes, each time a key was written */
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
    weir__txn_ttl ttl;
    weir__window_txn *window;   /* NULL unless the store is windowed */
    weir__stamped_txn *stamped; /* NULL unless it is timestamped */
    weir_iter *spare_iter;      /* a closed iterator whose memory waits for the next */
    weir_txn *next_open;        /* among the open transactions of the partition */
    weir_txn *previous_open;
};

/* As weir_txn_get, weir_txn_set and weir_txn_delete (value NULL) with a whole state key. */
weir_status weir__txn_get(weir_txn *txn, weir_cf cf, weir_slice key, weir_slice *value,
                          weir_error *err);
/* A hint that a key is going to be read. */
static inline void weir__txn_prefetch(const weir_txn *txn, weir_cf cf, weir_slice key)
{
    uint64_t hash = weir__record_hash(cf, key);
    weir__update_cache_prefetch_slot(&txn->updates, hash);
    if (txn->partition->cache)
        weir__record_cache_prefetch(txn->partition->cache, hash);
}
weir_status weir__txn_set(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          weir_error *err);
/* As weir__txn_set, without its look at what the kind of store makes of the change. */
weir_status weir__txn_put(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          weir_error *err);
/* As weir__txn_put. *change [out]: the change, which lives as long as the transaction. */
weir_status weir__txn_put_at(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                             weir__update **change, weir_error *err);
/* Sets or deletes once more what was changed in this transaction, which is STARTED. */
weir_status weir__txn_put_again(weir_txn *txn, weir__update *update, const weir_slice *value,
                                weir_error *err);
/* As weir__txn_get of what was changed in this transaction, which is STARTED. The store is none
 * with TTL. */
weir_status weir__txn_get_change(weir_txn *txn, const weir__update *update, weir_slice *value);
/* As weir__txn_put_at of what the key holds in the database, as this transaction knows it: for the
 * changelog alone. */
weir_status weir__txn_put_stored(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                                 weir__update **change, weir_error *err);
/* A set with an expiry; WEIR__TTL_NEVER: the same as weir__txn_set. */
weir_status weir__txn_set_expiring(weir_txn *txn, weir_cf cf, weir_slice key, weir_slice value,
                                   uint64_t expiry, weir_error *err);
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

/* --- ttl_txn.c --- */

void weir__txn_ttl_begin(weir_txn *txn);
void weir__txn_ttl_release(weir_txn *txn);
/* The expiry of a value that lives for ttl_ms. An error makes the transaction FAILED. */
weir_status weir__txn_ttl_expiry(weir_txn *txn, int64_t ttl_ms, uint64_t *expiry, weir_error *err);
/* Whether what it writes to "default" is stamped. */
static inline bool weir__txn_ttl_is_stamping(const weir_txn *txn)
{
    return txn->partition->ttl.is_on || txn->ttl.is_wanted;
}
/* The first step of prepare: plans the chores, which count only for this transaction. */
weir_status weir__txn_ttl_plan(weir_txn *txn, weir_error *err);
/* Appends them to the changelog. */
weir_status weir__txn_ttl_append(weir_txn *txn, weir_error *err);
/* Begins the batch of a flush that is stamping, and ends it with the chores. */
weir_status weir__txn_ttl_batch_begin(weir_txn *txn, weir__ttl_batch *batch, weir_error *err);
weir_status weir__txn_ttl_batch_end(weir_txn *txn, weir__ttl_batch *batch, weir_error *err);
void weir__txn_ttl_batch_done(weir_txn *txn, const weir__ttl_batch *batch);

/* txn.c: one record of the changelog. */
weir_status weir__txn_append(weir_txn *txn, const weir_changelog_record *record, weir_error *err);

/* state_view.c */
void weir__state_release(weir_state *state);
/* iter.c: as weir_txn_iter_open, for a range in which the transaction has changed nothing: so its
 * changes need no index. */
weir_status weir__txn_iter_open_stored(weir_txn *txn, weir_cf cf, const weir_iter_options *options,
                                       weir_iter **iter, weir_error *err);
/* iter.c: frees the memory of a closed iterator. NULL is allowed. */
void weir__iter_free(weir_iter *iter);

#endif
