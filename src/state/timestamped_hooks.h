/*
 * Timestamped stores as the rest of the state layer sees them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TIMESTAMPED_HOOKS_H
#define WEIR_STATE_TIMESTAMPED_HOOKS_H

#include "state/txn.h"

/* The part of a transaction that is about timestamped values. NULL: no memory. */
weir__stamped_txn *weir__stamped_txn_new(void);
void weir__stamped_txn_free(weir__stamped_txn *stamped);
/* Forgets what the transaction had, and keeps the memory. */
void weir__stamped_txn_reset(weir__stamped_txn *stamped);
size_t weir__stamped_txn_bytes(const weir__stamped_txn *stamped);
void weir__stamped_txn_expect(weir_txn *txn, weir_slice prefix);
/* The last changes of a transaction: deletes what is older than the retention of its keys. */
weir_status weir__stamped_txn_expire(weir_txn *txn, weir_error *err);
/* After the batch of a flush was written. */
void weir__stamped_txn_flushed(weir_txn *txn);

/* A key was set or deleted by other means than the functions of timestamped stores. */
weir_status weir__stamped_note_change(weir_txn *txn, weir_cf cf, weir_slice key, weir_error *err);

#endif
