/*
 * The little language of the tests of windowed stores.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_WINDOW_H
#define WEIR_TESTS_STATE_SUPPORT_WINDOW_H

#include "state/support_matrix.h"

#include <weir/window.h>

/* Closes the store and opens it as a windowed one. */
void window_open(harness *h);
/* The same if it is none, and begins a transaction. */
weir_txn *window_begin(harness *h);
/* Commits, and begins anew on what is committed. */
weir_txn *window_commit(harness *h, weir_txn *txn);
/* The same, with everything read from the backend. */
weir_txn *window_reopen(harness *h, weir_txn *txn);

/* Each takes a key as text, asserts that the call goes well, and begins no transaction. */
void window_update(weir_txn *txn, const char *key, int64_t start, int64_t end, const char *value,
                   int64_t timestamp);
void window_delete(weir_txn *txn, const char *key, int64_t start, int64_t end);
/* "": there is none. Borrowed until the next call. */
const char *window_get(weir_txn *txn, const char *key, int64_t start, int64_t end);
int64_t window_latest(weir_txn *txn, const char *key); /* −1: none */

/* What a call gives, as text: "start-end=value …", with "key:" before each if it is of
 * the whole partition, and "[a,b]" behind each that has collected values. Borrowed until
 * the next of these. */
const char *window_range(weir_txn *txn, const char *key, int64_t from, int64_t to, bool backward);
const char *window_expire(weir_txn *txn, const char *key, int64_t max_start, uint32_t flags);
const char *window_expire_all(weir_txn *txn, int64_t max_end, int64_t step, uint32_t flags);
const char *window_text(weir_windows *windows, bool with_key);

void window_delete_until(weir_txn *txn, const char *key, int64_t max_start, bool values);
void window_collect(weir_txn *txn, const char *key, int64_t id, const char *value);
/* "a,b". */
const char *window_collected(weir_txn *txn, const char *key, int64_t from, int64_t to);
void window_delete_values(weir_txn *txn, const char *key, int64_t to);

/* The view of a key of any bytes. */
weir_state *window_state(weir_txn *txn, weir_slice key);

#endif
