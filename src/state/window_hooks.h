/*
 * Windowed stores as the rest of the state layer sees them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_WINDOW_HOOKS_H
#define WEIR_STATE_WINDOW_HOOKS_H

#include "base/arena.h"
#include "state/txn.h"

/* The part of a transaction that is about windows. NULL: no memory. */
weir__window_txn *weir__window_txn_new(void);
void weir__window_txn_free(weir__window_txn *window);
void weir__window_txn_begin(const weir_partition *partition, weir__window_txn *window);
/* Forgets what the transaction had, and keeps the memory. */
void weir__window_txn_reset(weir__window_txn *window);
size_t weir__window_txn_bytes(const weir__window_txn *window);
void weir__window_txn_expect(weir_txn *txn, weir_slice prefix);
/* Before the batch of a flush is written, and after it was. */
void weir__window_txn_before_flush(weir_txn *txn);
void weir__window_txn_flushed(weir_txn *txn);

/* A key was set or deleted by other means than the functions of windows. */
weir_status weir__window_note_change(weir_txn *txn, weir_cf cf, weir_slice key, bool is_delete,
                                     weir_error *err);

/*
 * The changes to the index by end that go with changes of a recovery; to be called if the
 * partition has the index. ops has room for one for each change; the keys are in the arena.
 * *count [out].
 */
weir_status weir__window_ends_follow(weir_partition *partition, const weir__update_cache *changes,
                                     weir__arena *arena, weir_backend_op *ops, size_t *count);

#endif
