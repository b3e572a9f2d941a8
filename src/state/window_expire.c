/*
 * Expiry of a key's windows, and their deletion by age.
 *
 * An expiry first finds what it will hand out, which changes nothing, then changes: so a
 * failure of a read can be repeated.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/window.h"

static weir_status read_window(weir_txn *txn, weir_slice prefix, const weir__window_span *span,
                               weir_slice *value, weir_error *err)
{
    weir_slice key;
    if (span->change)
        return weir__txn_get_change(txn, span->change, value);
    weir_status status =
        weir__window_pair_key(txn, prefix, span->start, (uint64_t)span->end, &key, err);
    return status ? status : weir__txn_get(txn, WEIR_CF_DEFAULT, key, value, err);
}

/* The windows that start up to max_start, from the memo as far as it knows them. *after
 * [out]: the memo as it will be. */
static weir_status find_expired(weir_txn *txn, weir_slice prefix, const weir__window_memo *memo,
                                int64_t max_start, weir_windows *list, weir__window_memo *after,
                                weir_error *err)
{
    *after = *memo;
    for (uint32_t i = 0; i < memo->base.count && memo->spans[i].start <= max_start; i++) {
        const weir__window_span *span = &memo->spans[i];
        weir_window window = {.key = prefix, .start_ms = span->start, .end_ms = span->end};
        weir_status status = read_window(txn, prefix, span, &window.value, err);
        if (status == WEIR_NOT_FOUND)
            continue;
        if (status)
            return status;
        if (weir__window_list_add(list, &window))
            return weir__window_no_memory(txn, err);
    }
    if (max_start >= memo->bound)
        return weir__window_memo_scan(txn, prefix, after, max_start, list, err);
    return WEIR_OK;
}

static weir_status find_values(weir_txn *txn, weir_windows *list, uint32_t flags, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < weir__window_list_count(list) && !status; i++) {
        weir_window *window = weir__window_list_at(list, i);
        status = weir__window_collected(
            txn, window->key, window->start_ms, weir__window_values_end(window->end_ms, flags),
            weir__window_list_arena(list), &window->values, &window->value_count, err);
    }
    return status;
}

/* Values before the first window that is left can't be in one any more; without any window
 * left, those of the last one neither. */
static weir_status delete_old_values(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                     const weir_window *last, uint32_t flags, weir_error *err)
{
    int64_t first;
    weir_status status = weir__window_memo_first(txn, prefix, memo, WEIR__MARK_NONE, &first, err);
    if (status)
        return status;
    int64_t to = first < INT64_MAX ? first : weir__window_values_end(last->end_ms, flags);
    return weir__window_delete_values(txn, prefix, NULL, to, err);
}

static weir_status apply(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                         const weir__window_memo *after, weir_windows *list, uint32_t flags,
                         weir_error *err)
{
    size_t count = weir__window_list_count(list);
    const weir_window *last = weir__window_list_at(list, count - 1);
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && !status && !(flags & WEIR_EXPIRE_KEEP); i++) {
        const weir_window *window = weir__window_list_at(list, i);
        status = weir__window_remove(txn, prefix, window->start_ms, window->end_ms, err);
    }
    if (status)
        return status;
    *memo = *after;
    status = weir__window_expired_set(txn, prefix, memo, last->start_ms, err);
    if (status)
        return status;
    if ((flags & WEIR_EXPIRE_COLLECT) && !(flags & WEIR_EXPIRE_KEEP))
        status = delete_old_values(txn, prefix, memo, last, flags, err);
    return status;
}

weir_status weir_window_expire(weir_state *state, int64_t max_start_ms, uint32_t flags,
                               weir_windows **windows, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__window_prefix(state);
    weir__window_memo *memo;
    weir__window_memo after;
    *windows = NULL;
    weir_status status = weir__window_check(txn, "weir_window_expire", err);
    if (!status)
        status = weir__window_memo_get(txn, prefix, &memo, err);
    if (status || max_start_ms < (memo->base.count > 0 ? memo->spans[0].start : memo->bound))
        return status;
    weir_windows *list = weir__window_list_new(txn);
    if (!list)
        return weir__window_no_memory(txn, err);
    status = find_expired(txn, prefix, memo, max_start_ms, list, &after, err);
    if (!status && (flags & WEIR_EXPIRE_COLLECT))
        status = find_values(txn, list, flags, err);
    if (status)
        goto done;
    if (weir__window_list_count(list) == 0) {
        *memo = after;
        goto done;
    }
    status = apply(txn, prefix, memo, &after, list, flags, err);
    if (status) {
        weir_txn_fail(txn);
        goto done;
    }
    *windows = list;
    list = NULL;
done:
    weir_windows_close(list);
    return status;
}

/* --- Deletion by age --- */

static weir_status delete_windows(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                  int64_t max_start, weir_error *err)
{
    int64_t deleted;
    int64_t first;
    int64_t last;
    weir_status status = weir__window_mark_get(txn, WEIR__CF_DELETION_INDEX, prefix, &deleted, err);
    int64_t from = deleted < 0 ? 0 : deleted + (deleted < INT64_MAX);
    if (status || from > max_start)
        return status;
    status = weir__window_delete_range(txn, WEIR_CF_DEFAULT, prefix, from, max_start, &last, &first,
                                       err);
    if (status)
        return status;
    memo->undeleted = first;
    memo->base.is_dirty = true;
    /* A mark of 0 says as much as none, and Quix Streams does not write it. */
    if (last > 0)
        status = weir__window_mark_set(txn, WEIR__CF_DELETION_INDEX, prefix, last, err);
    return status;
}

weir_status weir_window_delete_until(weir_state *state, int64_t max_start_ms, bool delete_values,
                                     weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__window_prefix(state);
    weir__window_memo *memo;
    weir_status status = weir__window_check(txn, "weir_window_delete_until", err);
    if (status)
        return status;
    status = weir__window_memo_get(txn, prefix, &memo, err);
    if (!status && max_start_ms >= memo->undeleted)
        status = delete_windows(txn, prefix, memo, max_start_ms, err);
    if (!status && delete_values)
        status = weir__window_delete_values(txn, prefix, NULL, max_start_ms, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}
