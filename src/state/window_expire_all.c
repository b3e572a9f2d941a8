/*
 * Expiry of a partition's windows, whatever their key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <string.h>

#include "base/endian.h"
#include "state/window.h"

static const weir_slice partition_wide = {NULL, 0};

/* --- Finding them --- */

static weir_status open_ends(weir_txn *txn, int64_t from, weir_iter **iter, weir_error *err)
{
    uint8_t lower[8];
    weir__put_be64(lower, (uint64_t)from);
    weir_iter_options options = {
        .struct_size = sizeof options,
        .lower = weir_slice_of(lower, sizeof lower),
        .has_lower = true,
    };
    return weir_txn_iter_open(txn, WEIR__CF_WINDOW_ENDS, &options, iter, err);
}

/* Values are read afterwards: reading one takes from the transaction what the other holds. */
static weir_status find_ends(weir_txn *txn, int64_t from, int64_t max_end, weir_windows *list,
                             int64_t *first_left, weir_error *err)
{
    weir_iter *iter;
    *first_left = INT64_MAX;
    weir_status status = open_ends(txn, from, &iter, err);
    while (!status) {
        weir_slice key;
        weir_slice value;
        uint64_t start;
        uint64_t end;
        weir_window window = {0};
        status = weir_iter_next(iter, &key, &value, err);
        if (status || !weir__window_ends_read(key, &window.key, &start, &end))
            continue;
        if (end > (uint64_t)max_end) {
            *first_left = end < INT64_MAX ? (int64_t)end : INT64_MAX;
            break;
        }
        window.start_ms = (int64_t)start;
        window.end_ms = (int64_t)end;
        if (weir__window_list_add(list, &window))
            status = weir__window_no_memory(txn, err);
    }
    weir_iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status read_values(weir_txn *txn, weir_windows *list, uint32_t flags, weir_error *err)
{
    weir__arena *arena = weir__window_list_arena(list);
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < weir__window_list_count(list) && !status; i++) {
        weir_window *window = weir__window_list_at(list, i);
        weir_slice key;
        weir_slice value;
        status = weir__window_pair_key(txn, window->key, window->start_ms, (uint64_t)window->end_ms,
                                       &key, err);
        if (!status)
            status = weir__txn_get(txn, WEIR_CF_DEFAULT, key, &value, err);
        if (status)
            break;
        const void *copy = weir__arena_copy(arena, value.data, value.size);
        window->value = weir_slice_of(copy, value.size);
        if (!copy)
            return weir__window_no_memory(txn, err);
        if (flags & WEIR_EXPIRE_COLLECT)
            status = weir__window_collected(txn, window->key, window->start_ms,
                                            weir__window_values_end(window->end_ms, flags), arena,
                                            &window->values, &window->value_count, err);
    }
    return status;
}

/* --- Changing the state --- */

static weir_status delete_values(weir_txn *txn, const weir_window *window, int64_t mark,
                                 uint32_t flags, weir_error *err)
{
    int64_t first;
    weir__window_memo *memo = NULL;
    weir_status status = WEIR_OK;
    /* The memo of the empty key has the mark of the partition, which is of ends, not of starts. */
    if (window->key.size > 0)
        status = weir__window_memo_get(txn, window->key, &memo, err);
    /* Windows that came late, with an end at or before the mark, don't count. */
    if (!status)
        status = weir__window_memo_first(txn, window->key, memo, mark, &first, err);
    if (status)
        return status;
    int64_t to = first < INT64_MAX ? first : weir__window_values_end(window->end_ms, flags);
    return weir__window_delete_values(txn, window->key, NULL, to, err);
}

static weir_status apply(weir_txn *txn, weir_windows *list, int64_t mark, uint32_t flags,
                         weir_error *err)
{
    size_t count = weir__window_list_count(list);
    weir__window_memo *memo;
    weir_status status = weir__window_memo_get(txn, partition_wide, &memo, err);
    if (status)
        return status;
    if (mark != memo->expired) {
        status = weir__window_mark_set(txn, WEIR__CF_EXPIRATION_INDEX, partition_wide, mark, err);
        if (status)
            return status;
        weir__window_memo_expire(memo, mark);
    }
    if (flags & WEIR_EXPIRE_KEEP)
        return WEIR_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const weir_window *window = weir__window_list_at(list, i);
        status = weir__window_remove(txn, window->key, window->start_ms, window->end_ms, err);
    }
    for (size_t i = 0; i < count && !status && (flags & WEIR_EXPIRE_COLLECT); i++)
        status = delete_values(txn, weir__window_list_at(list, i), mark, flags, err);
    return status;
}

/* --- The whole --- */

/*
 * Where the mark moves: at first to the last multiple of the step, from there on by whole
 * steps; and to the end of what expires, if that is beyond. So it is that of Quix
 * Streams where all ends are on its grid, and right where they are not.
 */
static int64_t move_mark(int64_t expired, int64_t max_end, int64_t step)
{
    if (expired == WEIR__MARK_NONE)
        return max_end - (max_end % step + step) % step;
    if (max_end <= expired)
        return expired;
    return max_end - (int64_t)(((uint64_t)max_end - (uint64_t)expired) % (uint64_t)step);
}

static weir_status expire(weir_txn *txn, int64_t max_end, int64_t step, uint32_t flags,
                          weir_windows *list, weir_error *err)
{
    weir__window_txn *window = txn->window;
    weir__window_memo *memo;
    weir_status status = weir__window_memo_get(txn, partition_wide, &memo, err);
    if (!status)
        status = weir__window_ends_require(txn, err);
    if (status)
        return status;
    int64_t expired = memo->expired;
    int64_t mark = move_mark(expired, max_end, step);
    if (expired < window->first_end_mark)
        window->first_end = 0;
    int64_t first_left = window->first_end;
    if (max_end >= window->first_end && expired < INT64_MAX)
        status = find_ends(txn, expired > 0 ? expired + 1 : 0, max_end, list, &first_left, err);
    if (!status)
        status = read_values(txn, list, flags, err);
    if (status)
        return status;
    size_t count = weir__window_list_count(list);
    if (count > 0 && weir__window_list_at(list, count - 1)->end_ms > mark)
        mark = weir__window_list_at(list, count - 1)->end_ms;
    if (count > 0 || mark != expired)
        status = apply(txn, list, mark, flags, err);
    if (status)
        weir_txn_fail(txn);
    else
        window->first_end = first_left;
    window->first_end_mark = mark;
    return status;
}

weir_status weir_window_expire_all(weir_txn *txn, int64_t max_end_ms, int64_t step_ms,
                                   uint32_t flags, weir_windows **windows, weir_error *err)
{
    *windows = NULL;
    weir_status status = weir__window_check(txn, "weir_window_expire_all", err);
    if (status)
        return status;
    if (step_ms < 1)
        return weir__window_refuse(
            txn, true, WEIR_INVALID, err,
            "weir_window_expire_all: step_ms is %" PRId64 ", and must be 1 or above", step_ms);
    weir_windows *list = weir__window_list_new(txn);
    if (!list)
        return weir__window_no_memory(txn, err);
    status = expire(txn, max_end_ms, step_ms, flags, list, err);
    if (status == WEIR_NOT_FOUND) {
        /* Another program has deleted a window, and left no trace that it wrote. */
        weir_windows_close(list);
        list = weir__window_list_new(txn);
        if (!list)
            return weir__window_no_memory(txn, err);
        weir__window_ends_reject(txn);
        status = expire(txn, max_end_ms, step_ms, flags, list, err);
    }
    if (status == WEIR_NOT_FOUND)
        status = weir__partition_error(txn->partition, WEIR_CORRUPTED, err,
                                       "the index of windows by end has one that is not there");
    if (!status && weir__window_list_count(list) > 0)
        *windows = list;
    else
        weir_windows_close(list);
    return status;
}
