/*
 * weir_windows: the windows of a range, read as it is walked, or a list that was made before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "state/window.h"

#define KEPT_BYTES ((size_t)256 << 10)

struct weir_windows {
    weir_txn *txn;
    /* A range. */
    weir_iter *iter;
    weir__buffer prefix;
    /* A list. */
    weir_window *items;
    size_t count;
    size_t capacity;
    size_t next;
    weir__arena arena; /* its keys and values */
};

weir_windows *weir__window_list_new(weir_txn *txn)
{
    weir_windows *list = txn->window->spare_list;
    txn->window->spare_list = NULL;
    if (!list) {
        list = calloc(1, sizeof *list);
        if (!list)
            return NULL;
        weir__arena_init(&list->arena);
    }
    list->txn = txn;
    return list;
}

void weir__window_list_free(weir_windows *list)
{
    if (!list)
        return;
    weir__buffer_release(&list->prefix);
    weir__arena_release(&list->arena);
    free(list->items);
    free(list);
}

void weir_windows_close(weir_windows *windows)
{
    if (!windows)
        return;
    weir__window_txn *window = windows->txn->window;
    weir_iter_close(windows->iter);
    windows->iter = NULL;
    windows->count = windows->next = 0;
    weir__arena_reset(&windows->arena, KEPT_BYTES);
    if (window->spare_list)
        weir__window_list_free(windows);
    else
        window->spare_list = windows;
}

/* --- A list --- */

static weir_status copy_slice(weir__arena *arena, weir_slice *slice)
{
    if (slice->size == 0)
        return WEIR_OK;
    slice->data = weir__arena_copy(arena, slice->data, slice->size);
    return slice->data ? WEIR_OK : WEIR_NO_MEMORY;
}

weir_status weir__window_list_add(weir_windows *list, const weir_window *window)
{
    weir_window added = *window;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        weir_window *items = realloc(list->items, capacity * sizeof *items);
        if (!items)
            return WEIR_NO_MEMORY;
        list->items = items;
        list->capacity = capacity;
    }
    /* Most often all are of one key. */
    const weir_window *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    if (last && weir_slice_equal(last->key, added.key))
        added.key = last->key;
    else if (copy_slice(&list->arena, &added.key))
        return WEIR_NO_MEMORY;
    if (copy_slice(&list->arena, &added.value))
        return WEIR_NO_MEMORY;
    list->items[list->count++] = added;
    return WEIR_OK;
}

size_t weir__window_list_count(const weir_windows *list)
{
    return list->count;
}

weir_window *weir__window_list_at(weir_windows *list, size_t index)
{
    return &list->items[index];
}

weir__arena *weir__window_list_arena(weir_windows *list)
{
    return &list->arena;
}

/* --- A range --- */

/* prefix, separator, integer */
static weir_status write_bound(weir__buffer *out, weir_slice prefix, int64_t first)
{
    uint8_t bytes[8];
    if (weir__buffer_reserve(out, weir__window_prefix_size(prefix) + sizeof bytes))
        return WEIR_NO_MEMORY;
    out->size += weir__window_prefix_write(out->data + out->size, prefix);
    weir__put_be64(bytes, (uint64_t)first);
    return weir__buffer_append(out, bytes, sizeof bytes);
}

weir_status weir__window_iter_open(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t from,
                                   int64_t to, bool reverse, weir_iter **iter, weir_error *err)
{
    weir__buffer *bounds = &txn->window->key;
    *iter = NULL;
    weir__buffer_clear(bounds);
    if (write_bound(bounds, prefix, from > 0 ? from : 0))
        return weir__window_no_memory(txn, err);
    size_t lower = bounds->size;
    if (write_bound(bounds, prefix, to))
        return weir__window_no_memory(txn, err);
    weir_iter_options options = {
        .struct_size = sizeof options,
        .lower = weir_slice_of(bounds->data, lower),
        .upper = weir_slice_of(bounds->data + lower, bounds->size - lower),
        .has_lower = true,
        .has_upper = true,
        .reverse = reverse,
    };
    return weir_txn_iter_open(txn, cf, &options, iter, err);
}

weir_status weir_window_range(weir_state *state, int64_t from_ms, int64_t to_ms, bool backward,
                              weir_windows **windows, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__window_prefix(state);
    *windows = NULL;
    weir_status status = weir__window_check(txn, "weir_window_range", err);
    if (status || to_ms < 0 || from_ms >= to_ms)
        return status;
    weir_windows *range = weir__window_list_new(txn);
    if (!range)
        return weir__window_no_memory(txn, err);
    weir__buffer_clear(&range->prefix);
    if (weir__buffer_append(&range->prefix, prefix.data, prefix.size))
        status = weir__window_no_memory(txn, err);
    else
        status = weir__window_iter_open(txn, WEIR_CF_DEFAULT, prefix, from_ms < 0 ? 0 : from_ms + 1,
                                        to_ms < INT64_MAX ? to_ms + 1 : INT64_MAX, backward,
                                        &range->iter, err);
    if (status)
        weir_windows_close(range);
    else
        *windows = range;
    return status;
}

static weir_status next_of_range(weir_windows *windows, weir_window *window, weir_error *err)
{
    for (;;) {
        weir_slice key;
        uint64_t start;
        uint64_t end;
        weir_status status = weir_iter_next(windows->iter, &key, &window->value, err);
        if (status)
            return status;
        window->key = weir__buffer_slice(&windows->prefix);
        if (!weir__window_pair_read(key, window->key, &start, &end) || end > INT64_MAX)
            continue;
        window->start_ms = (int64_t)start;
        window->end_ms = (int64_t)end;
        return WEIR_OK;
    }
}

weir_status weir_windows_next(weir_windows *windows, weir_window *window, weir_error *err)
{
    memset(window, 0, sizeof *window);
    if (!windows)
        return WEIR_NOT_FOUND;
    if (windows->iter)
        return next_of_range(windows, window, err);
    if (windows->next == windows->count)
        return WEIR_NOT_FOUND;
    *window = windows->items[windows->next++];
    return WEIR_OK;
}
