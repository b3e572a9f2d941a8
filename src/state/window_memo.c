/*
 * Memos: see window.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "state/window.h"

/* --- Finding and making them --- */

/*
 * From the marks alone: the windows are searched for when they are needed. A key without
 * latest timestamp has none, for each window came with one.
 */
static weir_status load(weir_txn *txn, weir_slice prefix, weir__window_memo *memo, weir_error *err)
{
    *memo = (weir__window_memo){.base = {.epoch = txn->partition->memo_epoch, .is_dirty = true},
                                .value_mark = WEIR__MARK_UNKNOWN};
    memo->latest = memo->expired = WEIR__MARK_NONE;
    bool is_new = weir__memo_is_new(txn->partition, &txn->window->memos, prefix);
    weir_status status = WEIR_OK;
    if (!is_new)
        status = weir__window_mark_get(txn, WEIR__CF_LATEST_TIMESTAMPS, prefix, &memo->latest, err);
    if (!is_new && !status)
        status = weir__window_mark_get(txn, WEIR__CF_EXPIRATION_INDEX, prefix, &memo->expired, err);
    if (memo->latest == WEIR__MARK_NONE)
        memo->bound = memo->undeleted = INT64_MAX;
    else if (memo->expired >= 0)
        memo->bound = memo->expired < INT64_MAX ? memo->expired + 1 : INT64_MAX;
    return status;
}

weir_status weir__window_memo_get(weir_txn *txn, weir_slice prefix, weir__window_memo **memo,
                                  weir_error *err)
{
    weir__window_memo made;
    *memo = weir__window_memo_peek(txn, prefix);
    if (*memo)
        return WEIR_OK;
    weir_status status = load(txn, prefix, &made, err);
    if (status)
        return status;
    *memo = (weir__window_memo *)(void *)weir__memo_keep(&txn->window->memos, prefix, &made.base);
    return *memo ? WEIR_OK : weir__window_no_memory(txn, err);
}

weir__window_memo *weir__window_memo_peek(weir_txn *txn, weir_slice prefix)
{
    weir__memo *memo = weir__memo_peek(txn->partition, &txn->window->memos, prefix);
    return (weir__window_memo *)(void *)memo;
}

weir_status weir__window_memo_forget(weir_txn *txn, weir_slice prefix, weir_error *err)
{
    return weir__memo_forget(&txn->window->memos, prefix) ? weir__window_no_memory(txn, err)
                                                          : WEIR_OK;
}

/* --- What they say --- */

static int compare(const weir__window_span *a, const weir__window_span *b)
{
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

/* From here on nothing is known. */
static void limit(weir__window_memo *memo, int64_t bound)
{
    if (bound >= memo->bound)
        return;
    memo->bound = bound;
    while (memo->base.count > 0 && memo->spans[memo->base.count - 1].start >= bound)
        memo->base.count--;
    memo->base.is_dirty = true;
}

const weir__window_span *weir__window_memo_find(const weir__window_memo *memo, int64_t start,
                                                int64_t end)
{
    for (uint32_t i = 0; i < memo->base.count; i++) {
        if (memo->spans[i].start == start && memo->spans[i].end == end)
            return &memo->spans[i];
    }
    return NULL;
}

void weir__window_memo_add(weir__window_memo *memo, int64_t start, int64_t end,
                           weir__update *change)
{
    weir__window_span added = {.start = start, .end = end, .change = change};
    if (start < memo->undeleted) {
        memo->undeleted = start;
        memo->base.is_dirty = true;
    }
    if (start <= memo->expired || start >= memo->bound)
        return;
    uint32_t at = memo->base.count;
    while (at > 0 && compare(&memo->spans[at - 1], &added) > 0)
        at--;
    if (at > 0 && compare(&memo->spans[at - 1], &added) == 0) {
        memo->spans[at - 1].change = change;
        return;
    }
    if (memo->base.count == WEIR__MEMO_SPANS) {
        /* The last one has to go, and with it all that start with it. */
        limit(memo, at == memo->base.count ? start : memo->spans[memo->base.count - 1].start);
        if (start >= memo->bound)
            return;
    }
    memmove(&memo->spans[at + 1], &memo->spans[at], (memo->base.count - at) * sizeof added);
    memo->spans[at] = added;
    memo->base.count++;
    memo->base.is_dirty = true;
}

void weir__window_memo_remove(weir__window_memo *memo, int64_t start, int64_t end)
{
    weir__window_span removed = {.start = start, .end = end};
    for (uint32_t i = 0; i < memo->base.count; i++) {
        if (compare(&memo->spans[i], &removed) != 0)
            continue;
        memo->base.count--;
        memmove(&memo->spans[i], &memo->spans[i + 1], (memo->base.count - i) * sizeof removed);
        memo->base.is_dirty = true;
        return;
    }
}

void weir__window_memo_expect(const weir__memo *base)
{
    const weir__window_memo *memo = (const weir__window_memo *)(const void *)base;
    for (uint32_t i = 0; i < base->count; i++) {
        if (memo->spans[i].change)
            weir__update_prefetch(memo->spans[i].change);
    }
}

void weir__window_memo_settle(weir__memo *base)
{
    weir__window_memo *memo = (weir__window_memo *)(void *)base;
    memo->expired_mark = NULL;
    for (uint32_t i = 0; i < base->count; i++)
        memo->spans[i].change = NULL;
}

void weir__window_memo_expire(weir__window_memo *memo, int64_t mark)
{
    uint32_t gone = 0;
    memo->base.is_dirty = true;
    if (mark < memo->expired) {
        /* What is between the new mark and the old one was not kept. */
        memo->base.count = 0;
        memo->bound = mark < 0 ? 0 : mark + 1;
    }
    memo->expired = mark;
    if (memo->bound <= mark)
        memo->bound = mark < INT64_MAX ? mark + 1 : INT64_MAX;
    while (gone < memo->base.count && memo->spans[gone].start <= mark)
        gone++;
    memo->base.count -= gone;
    memmove(memo->spans, memo->spans + gone, memo->base.count * sizeof *memo->spans);
}

/* --- Searching --- */

/* *is_done [out]: the rest of the range needn't be read. */
static weir_status take(weir__window_memo *memo, weir_slice prefix, int64_t until,
                        weir_windows *list, weir_slice key, weir_slice value, bool *is_done)
{
    uint64_t first;
    uint64_t start;
    uint64_t end;
    *is_done = false;
    if (!weir__window_first_read(key, prefix, &first))
        return WEIR_OK;
    bool is_own =
        weir__window_pair_read(key, prefix, &start, &end) && start < INT64_MAX && end <= INT64_MAX;
    if (until < 0 || first > (uint64_t)until) {
        /* Whoever it belongs to: the prefix's windows that start before it have been seen. */
        if (is_own)
            weir__window_memo_add(memo, (int64_t)start, (int64_t)end, NULL);
        else
            limit(memo, first < INT64_MAX ? (int64_t)first : INT64_MAX);
        *is_done = !is_own || memo->bound < INT64_MAX;
        return WEIR_OK;
    }
    if (!is_own || !list)
        return WEIR_OK;
    weir_window window = {
        .key = prefix, .start_ms = (int64_t)start, .end_ms = (int64_t)end, .value = value};
    return weir__window_list_add(list, &window);
}

weir_status weir__window_memo_scan(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                   int64_t until, weir_windows *list, weir_error *err)
{
    weir_iter *iter;
    bool is_done = false;
    weir__window_memo found = *memo; /* a failure leaves it as it was */
    weir_status status = weir__window_iter_open(txn, WEIR_CF_DEFAULT, prefix, memo->bound,
                                                INT64_MAX, false, &iter, err);
    if (status)
        return status;
    found.base.count = 0;
    found.bound = INT64_MAX;
    found.base.is_dirty = true;
    while (!status && !is_done) {
        weir_slice key;
        weir_slice value;
        status = weir_iter_next(iter, &key, &value, err);
        if (!status && take(&found, prefix, until, list, key, value, &is_done))
            status = weir__window_no_memory(txn, err);
    }
    weir_iter_close(iter);
    if (status && status != WEIR_NOT_FOUND)
        return status;
    *memo = found;
    return WEIR_OK;
}

/* From `from` on, over the keys of other prefixes. */
static weir_status search_first(weir_txn *txn, weir_slice prefix, int64_t from, int64_t after,
                                int64_t *first, weir_error *err)
{
    weir_iter *iter;
    weir_status status =
        weir__window_iter_open(txn, WEIR_CF_DEFAULT, prefix, from, INT64_MAX, false, &iter, err);
    while (!status && *first == INT64_MAX) {
        weir_slice key;
        weir_slice value;
        uint64_t start;
        uint64_t end;
        status = weir_iter_next(iter, &key, &value, err);
        if (!status && weir__window_pair_read(key, prefix, &start, &end) && end <= INT64_MAX &&
            (int64_t)end > after)
            *first = (int64_t)start;
    }
    weir_iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

weir_status weir__window_memo_first(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                    int64_t end, int64_t *first, weir_error *err)
{
    weir_status status = WEIR_OK;
    *first = INT64_MAX;
    if (!memo)
        return search_first(txn, prefix, 0, end, first, err);
    if (memo->base.count == 0 && memo->bound < INT64_MAX)
        status = weir__window_memo_scan(txn, prefix, memo, memo->bound - 1, NULL, err);
    if (status)
        return status;
    for (uint32_t i = 0; i < memo->base.count && *first == INT64_MAX; i++) {
        if (memo->spans[i].end > end)
            *first = memo->spans[i].start;
    }
    if (*first < INT64_MAX || memo->bound == INT64_MAX)
        return WEIR_OK;
    return search_first(txn, prefix, memo->bound, end, first, err);
}
