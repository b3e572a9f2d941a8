/*
 * What the files of windowed stores share.
 *
 *   window_key.c         the bytes of keys
 *   window.c             one window; marks; the part of a transaction that is about windows
 *   window_memo.c        what is known about the windows of a key without reading them
 *   window_list.c        weir_windows: a range that is walked, or a list of what expired
 *   window_expire.c      expiry of a key's windows
 *   window_expire_all.c  expiry of a partition's windows
 *   window_ends.c        the index that this takes
 *   window_collection.c  collected values
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_WINDOW_H
#define WEIR_STATE_WINDOW_H

#include <weir/window.h>

#include "state/memo.h"
#include "state/window_key.h"

/* A mark that is not there. */
#define WEIR__MARK_NONE INT64_MIN
/* One that was not looked for yet. */
#define WEIR__MARK_UNKNOWN (INT64_MIN + 1)

/* ---------------------------------------------------------------------------
 * Memos
 *
 * A memo (memo.h) holds the marks of a key and its first windows: the search for expired windows
 * of a key finds none almost always.
 * ------------------------------------------------------------------------- */

#define WEIR__MEMO_SPANS 6u

typedef struct weir__window_span {
    int64_t start;
    int64_t end;
    weir__update *change; /* how this transaction has changed it; NULL: to be found */
} weir__window_span;

typedef struct weir__window_memo {
    weir__memo base;            /* is_set: the latest timestamp was */
    int64_t latest;             /* the latest timestamp */
    int64_t expired;            /* the mark of expiry */
    weir__update *expired_mark; /* as base.mark */
    /* All windows with expired < start < bound are in spans, by start and end. INT64_MAX:
     * there are no others. */
    int64_t bound;
    int64_t undeleted;   /* no window that starts before it is left to weir_window_delete_until */
    int64_t value_mark;  /* of deleted values */
    int64_t first_value; /* no collected value at or after value_mark has a lower id */
    weir__window_span spans[WEIR__MEMO_SPANS];
} weir__window_memo;

/* The memo of a key in this transaction. Lives as long as the transaction, and is to be
 * changed in place, is_dirty included. *memo [out]. */
weir_status weir__window_memo_get(weir_txn *txn, weir_slice prefix, weir__window_memo **memo,
                                  weir_error *err);
/* The same if it takes no read; NULL: it does, or there is no memory. */
weir__window_memo *weir__window_memo_peek(weir_txn *txn, weir_slice prefix);
/* What it has of a window; NULL: nothing. */
const weir__window_span *weir__window_memo_find(const weir__window_memo *memo, int64_t start,
                                                int64_t end);
/* Whether it is certain that the key has no window with this start that find does not find. */
static inline bool weir__window_memo_knows(const weir__window_memo *memo, int64_t start)
{
    return memo->latest != WEIR__MARK_NONE && start > memo->expired && start < memo->bound;
}
/* A window has been added, or changed (change NULL: in another transaction), or removed. */
void weir__window_memo_add(weir__window_memo *memo, int64_t start, int64_t end,
                           weir__update *change);
void weir__window_memo_remove(weir__window_memo *memo, int64_t start, int64_t end);
/* Sets the mark of expiry. */
void weir__window_memo_expire(weir__window_memo *memo, int64_t mark);
/* The transaction was flushed: what it has changed is no longer to be found in it. */
void weir__window_memo_settle(weir__memo *memo);
/* A hint that it will be used. */
void weir__window_memo_expect(const weir__memo *memo);
/* Something about the key was changed around the memo. */
weir_status weir__window_memo_forget(weir_txn *txn, weir_slice prefix, weir_error *err);
/*
 * Reads on from the bound, to fill the spans with windows that start after `until`. Those
 * before go to the list (NULL: there are none). `until` ≥ bound − 1.
 */
weir_status weir__window_memo_scan(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                   int64_t until, weir_windows *list, weir_error *err);

/* Where the first window starts that has not expired and ends after `end`; INT64_MAX: there is
 * none. memo NULL: the first of all that end after `end`, by a search. *first [out]. */
weir_status weir__window_memo_first(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                    int64_t end, int64_t *first, weir_error *err);

/* ---------------------------------------------------------------------------
 * The part of a transaction
 * ------------------------------------------------------------------------- */

struct weir__window_txn {
    weir__memos memos;
    weir__buffer key; /* the state key at hand */
    bool has_ends;    /* the index by end has all windows of the transaction */
    /* No window of the transaction that has not expired ends before it. Holds in this epoch, and
     * while the partition's mark is not set back. */
    int64_t first_end;
    int64_t first_end_mark;
    uint64_t first_end_epoch;
    weir_windows *spare_list;
    weir__arena collected; /* what weir_window_collected handed out */
    weir_slice *values;
    size_t value_capacity;
};

/* The window functions' check of status and kind. */
static inline weir_status weir__window_check(const weir_txn *txn, const char *call, weir_error *err)
{
    if (txn->partition->kind.id == WEIR_STORE_WINDOWED && txn->status == WEIR_TXN_STARTED)
        return WEIR_OK;
    return weir__txn_check_kind(txn, WEIR_STORE_WINDOWED, call, err);
}

/* The record's key that a view is of. */
static inline weir_slice weir__window_prefix(const weir_state *state)
{
    size_t size = state->prefix_size;
    return weir_slice_of(state->key.data, size > 0 ? size - 1 : 0);
}

/* "call: what", and the transaction is FAILED if is_change. Returns status. */
weir_status weir__window_refuse(weir_txn *txn, bool is_change, weir_status status, weir_error *err,
                                const char *format, ...) WEIR_PRINTF(5, 6);
weir_status weir__window_no_memory(weir_txn *txn, weir_error *err);

/* The state key of a window or a collected value. Borrowed until the next of these calls. */
weir_status weir__window_pair_key(weir_txn *txn, weir_slice prefix, int64_t first, uint64_t second,
                                  weir_slice *key, weir_error *err);
/* A mark of a key, by the family that it is in; WEIR__MARK_NONE: it has none. */
weir_status weir__window_mark_get(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t *mark,
                                  weir_error *err);
weir_status weir__window_mark_set(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t mark,
                                  weir_error *err);
/* Sets the mark of expiry, in the memo too. */
weir_status weir__window_expired_set(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                     int64_t mark, weir_error *err);
/* Deletes a window, memo and index included. */
weir_status weir__window_remove(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                                weir_error *err);
/*
 * Deletes the windows (WEIR_CF_DEFAULT) or the values of a prefix with from ≤ first ≤ max, from
 * and max not below 0. *last [out]: the highest that was deleted; WEIR__MARK_NONE. *first [out]:
 * none that is left, and stands behind `from`, has a lower one.
 */
weir_status weir__window_delete_range(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t from,
                                      int64_t max, int64_t *last, int64_t *first, weir_error *err);
/* An iterator over the windows (or values) of a prefix with from ≤ first < to; to INT64_MAX:
 * to the last. Keys of other prefixes may be among them. */
weir_status weir__window_iter_open(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t from,
                                   int64_t to, bool reverse, weir_iter **iter, weir_error *err);

/* ---------------------------------------------------------------------------
 * Lists
 * ------------------------------------------------------------------------- */

/* An empty list; NULL: no memory. */
weir_windows *weir__window_list_new(weir_txn *txn);
/* Copies key and value. */
weir_status weir__window_list_add(weir_windows *list, const weir_window *window);
size_t weir__window_list_count(const weir_windows *list);
weir_window *weir__window_list_at(weir_windows *list, size_t index);
/* Memory that lives as long as the list. */
weir__arena *weir__window_list_arena(weir_windows *list);
void weir__window_list_free(weir_windows *list);

/* ---------------------------------------------------------------------------
 * Collections
 * ------------------------------------------------------------------------- */

/* Values with from ≤ id < to, copied into the arena. */
weir_status weir__window_collected(weir_txn *txn, weir_slice prefix, int64_t from, int64_t to,
                                   weir__arena *arena, const weir_slice **values, size_t *count,
                                   weir_error *err);
/* As weir_window_delete_collected. */
weir_status weir__window_delete_values(weir_txn *txn, weir_slice prefix, const int64_t *from,
                                       int64_t to, weir_error *err);
/* The end of the range of values that belong to a window, exclusive. */
static inline int64_t weir__window_values_end(int64_t end, uint32_t flags)
{
    return end + ((flags & WEIR_EXPIRE_END_INCLUSIVE) && end < INT64_MAX);
}

/* ---------------------------------------------------------------------------
 * The index by end
 * ------------------------------------------------------------------------- */

/* Makes the index if there is none, and adds to it what the transaction has changed so far.
 * window->first_end holds afterwards. */
weir_status weir__window_ends_require(weir_txn *txn, weir_error *err);
/* The index is wrong: the next require makes it anew. */
void weir__window_ends_reject(weir_txn *txn);
/* Whether a window that is about to be set may be missing in the index. */
bool weir__window_ends_lack(const weir_txn *txn, weir_slice key);
/* A window was set or deleted. */
weir_status weir__window_ends_change(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                                     bool is_delete, weir_error *err);

#endif
