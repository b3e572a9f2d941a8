/*
 * The global counter of a store partition: it numbers collected values and duplicates, in
 * the order in which they came. JSON in a column family of its own, in the changelog.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_COUNTER_H
#define WEIR_STATE_COUNTER_H

#include "state/txn.h"

/*
 * The next number: 0 in a new store, then one more each time, and 0 again after 2^64−1.
 * Read at the first call of a transaction, and kept there until it is prepared.
 * WEIR_CORRUPTED: what is stored is not a counter. *counter [out].
 */
weir_status weir__txn_next_counter(weir_txn *txn, uint64_t *counter, weir_error *err);
/* Sets the counter in the state if a number was taken: once, when a transaction is prepared. */
weir_status weir__txn_keep_counter(weir_txn *txn, weir_error *err);

#endif
