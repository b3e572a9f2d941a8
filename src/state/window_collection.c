/*
 * Collected values: what expired windows are given of them, and their deletion.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>

#include "state/counter.h"
#include "state/window.h"

/* --- Adding --- */

/* The mark of deletion: where the search for values to delete begins. *memo [out]. */
static weir_status load_mark(weir_txn *txn, weir_slice prefix, weir__window_memo **memo,
                             weir_error *err)
{
    weir_status status = weir__window_memo_get(txn, prefix, memo, err);
    if (status || (*memo)->value_mark != WEIR__MARK_UNKNOWN)
        return status;
    (*memo)->base.is_dirty = true;
    return weir__window_mark_get(txn, WEIR__CF_VALUE_DELETION_INDEX, prefix, &(*memo)->value_mark,
                                 err);
}

static weir_status set_mark(weir_txn *txn, weir_slice prefix, weir__window_memo *memo, int64_t mark,
                            weir_error *err)
{
    memo->value_mark = mark;
    memo->base.is_dirty = true;
    return weir__window_mark_set(txn, WEIR__CF_VALUE_DELETION_INDEX, prefix, mark, err);
}

static weir_status collect(weir_txn *txn, weir_slice prefix, const int64_t *id, weir_slice value,
                           uint64_t *number, weir_error *err)
{
    weir_slice key;
    weir__window_memo *memo;
    weir_status status = weir__txn_next_counter(txn, number, err);
    if (status)
        return status;
    if (!id && *number > INT64_MAX)
        return weir__window_refuse(txn, true, WEIR_TOO_LARGE, err,
                                   "weir_window_collect: without an id, the number is the id, and "
                                   "%" PRIu64 " is above %" PRId64,
                                   *number, INT64_MAX);
    int64_t used = id ? *id : (int64_t)*number;
    status = weir__window_pair_key(txn, prefix, used, *number, &key, err);
    if (!status)
        status = weir__txn_put(txn, WEIR__CF_VALUES, key, &value, err);
    if (!status)
        status = load_mark(txn, prefix, &memo, err);
    if (status)
        return status;
    if (used < memo->first_value) {
        memo->first_value = used;
        memo->base.is_dirty = true;
    }
    /* A value that comes late must be found by the next deletion. */
    return used < memo->value_mark ? set_mark(txn, prefix, memo, used, err) : WEIR_OK;
}

weir_status weir_window_collect(weir_state *state, const int64_t *id, weir_slice value,
                                uint64_t *number, weir_error *err)
{
    weir_txn *txn = state->txn;
    uint64_t given = 0;
    if (number)
        *number = 0;
    weir_status status = weir__window_check(txn, "weir_window_collect", err);
    if (status)
        return status;
    if (id && *id < 0)
        return weir__window_refuse(
            txn, true, WEIR_INVALID, err,
            "weir_window_collect: id is %" PRId64 ", and must not be below 0", *id);
    status = collect(txn, weir__window_prefix(state), id, value, &given, err);
    if (status)
        weir_txn_fail(txn);
    else if (number)
        *number = given;
    return status;
}

/* --- Reading --- */

static weir_status keep_value(weir__window_txn *window, weir__arena *arena, size_t count,
                              weir_slice value)
{
    if (count == window->value_capacity) {
        size_t capacity = count ? count * 2 : 64;
        weir_slice *values = realloc(window->values, capacity * sizeof *values);
        if (!values)
            return WEIR_NO_MEMORY;
        window->values = values;
        window->value_capacity = capacity;
    }
    const void *copy = weir__arena_copy(arena, value.data, value.size);
    window->values[count] = weir_slice_of(copy, value.size);
    return copy ? WEIR_OK : WEIR_NO_MEMORY;
}

weir_status weir__window_collected(weir_txn *txn, weir_slice prefix, int64_t from, int64_t to,
                                   weir__arena *arena, const weir_slice **values, size_t *count,
                                   weir_error *err)
{
    weir_iter *iter;
    size_t found = 0;
    *values = NULL;
    *count = 0;
    if (to <= 0 || from >= to)
        return WEIR_OK;
    weir_status status =
        weir__window_iter_open(txn, WEIR__CF_VALUES, prefix, from, to, false, &iter, err);
    if (status)
        return status;
    while (!status) {
        weir_slice key;
        weir_slice value;
        uint64_t id;
        uint64_t number;
        status = weir_iter_next(iter, &key, &value, err);
        if (status || !weir__window_pair_read(key, prefix, &id, &number))
            continue;
        if (keep_value(txn->window, arena, found++, value))
            status = weir__window_no_memory(txn, err);
    }
    weir_iter_close(iter);
    if (status != WEIR_NOT_FOUND || found == 0)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    *values = (const weir_slice *)(const void *)weir__arena_copy(arena, txn->window->values,
                                                                 found * sizeof **values);
    if (!*values)
        return weir__window_no_memory(txn, err);
    *count = found;
    return WEIR_OK;
}

weir_status weir_window_collected(weir_state *state, int64_t from_id, int64_t to_id,
                                  const weir_slice **values, size_t *count, weir_error *err)
{
    weir_txn *txn = state->txn;
    *values = NULL;
    *count = 0;
    weir_status status = weir__window_check(txn, "weir_window_collected", err);
    if (status)
        return status;
    weir__arena_reset(&txn->window->collected, SIZE_MAX);
    return weir__window_collected(txn, weir__window_prefix(state), from_id, to_id,
                                  &txn->window->collected, values, count, err);
}

/* --- Deleting --- */

weir_status weir__window_delete_values(weir_txn *txn, weir_slice prefix, const int64_t *from,
                                       int64_t to, weir_error *err)
{
    int64_t last;
    int64_t first;
    weir__window_memo *memo;
    weir_status status = load_mark(txn, prefix, &memo, err);
    if (status || (!from && to <= memo->first_value))
        return status;
    int64_t begin = from ? *from : memo->value_mark;
    begin = begin > 0 ? begin : 0;
    if (begin >= to)
        return WEIR_OK;
    status =
        weir__window_delete_range(txn, WEIR__CF_VALUES, prefix, begin, to - 1, &last, &first, err);
    if (status)
        return status;
    if (!from)
        memo->first_value = first;
    else if (last != WEIR__MARK_NONE && last < memo->first_value)
        memo->first_value = last;
    memo->base.is_dirty = true;
    return last == WEIR__MARK_NONE ? WEIR_OK : set_mark(txn, prefix, memo, last, err);
}

weir_status weir_window_delete_collected(weir_state *state, const int64_t *from_id, int64_t to_id,
                                         weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_status status = weir__window_check(txn, "weir_window_delete_collected", err);
    if (status)
        return status;
    status = weir__window_delete_values(txn, weir__window_prefix(state), from_id, to_id, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}
