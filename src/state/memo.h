/*
 * Memos: what a kind of store knows about the key of a record without reading it, so that most
 * of what a record asks is answered without a search.
 *
 * A memo is no state. It can be made from the state, is in no family, and lives in the
 * transaction, and from flush to flush in the record cache. One of another epoch than the
 * partition's is worth nothing: the epoch moves when transactions overlap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_MEMO_H
#define WEIR_STATE_MEMO_H

#include "state/txn.h"

/* What each memo begins with. Behind it stands what its kind of store knows, at the end of that
 * `count` items. */
typedef struct weir__memo {
    uint64_t epoch;     /* that of the partition when it was made */
    weir__update *mark; /* how this transaction has changed the key's mark; NULL: to be found */
    uint32_t count;
    bool is_dirty;   /* differs from that in the record cache */
    bool is_set;     /* the mark of its key was written in this transaction */
    bool is_changed; /* so were, or may have been, other rows */
} weir__memo;

#define WEIR__EXPECTED 16u /* a power of two */

/* Those of a transaction. */
typedef struct weir__memos {
    weir__update_cache all;
    weir__update *last; /* the one used last; NULL: none */
    size_t size;        /* of a memo with all the items that it has room for */
    size_t items_at;    /* where they begin in it */
    size_t item_size;
    void (*settle)(weir__memo *memo); /* forgets changes of the transaction; NULL: it has none */
    /* Hints for what will be changed with a memo; NULL: none but the mark. */
    void (*expect)(const weir__memo *memo);
    uint64_t expected[WEIR__EXPECTED]; /* hashes of keys, the last ones */
    size_t expected_count;
} weir__memos;

static inline weir__memo *weir__memo_of(const weir__update *update)
{
    return (weir__memo *)(void *)update->value;
}

void weir__memos_init(weir__memos *memos, size_t size, size_t items_at, size_t item_size);
void weir__memos_release(weir__memos *memos);
/* Forgets them and keeps the memory. */
void weir__memos_reset(weir__memos *memos);
/* After a flush: they are those of the committed state from now on. */
void weir__memos_flushed(weir_partition *partition, weir__memos *memos);

/* A hint that the memo of a key is going to be asked for. */
void weir__memo_prefetch(const weir_partition *partition, const weir__memos *memos, weir_slice key);
/* The memo of a key if it takes no read; NULL: it does, or there is no memory. Lives as long as
 * the transaction, and is to be changed in place, is_dirty included. */
weir__memo *weir__memo_peek(const weir_partition *partition, weir__memos *memos, weir_slice key);
/*
 * A hint that a record of the key will come after some others. With each hint the memory of the
 * keys before moves a step closer: the place in the table, a memo, what is changed with it.
 */
void weir__memos_expect(const weir_partition *partition, weir__memos *memos, weir_slice key);
/* Whether it is certain that nothing was ever written for a key that peek has no memo of. */
bool weir__memo_is_new(const weir_partition *partition, const weir__memos *memos, weir_slice key);
/* Copies one that was made; is_set and is_changed stay what they were. NULL: no memory. */
weir__memo *weir__memo_keep(weir__memos *memos, weir_slice key, weir__memo *made);
/* Something about the key was changed around its memo. */
weir_status weir__memo_forget(weir__memos *memos, weir_slice key);

#endif
