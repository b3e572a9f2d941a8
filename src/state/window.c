/*
 * One window, the marks of a key, and the part of a transaction that is about windows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/window.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "state/window_hooks.h"

#define KEPT_BYTES ((size_t)256 << 10)

/* What Quix Streams keeps under the empty key where no session window is open: 2^64−1. */
#define MARK_BEYOND "18446744073709551615"

static const char *const mark_names[] = {
    [WEIR__CF_LATEST_TIMESTAMPS] = "__latest_timestamp__",
    [WEIR__CF_EXPIRATION_INDEX] = "__expired_start_gt__",
    [WEIR__CF_DELETION_INDEX] = "__deleted_start_gt__",
    [WEIR__CF_VALUE_DELETION_INDEX] = "__value_deleted_start_gt__",
};
#define MARKS_BEGIN WEIR__CF_LATEST_TIMESTAMPS
#define MARKS_END   (WEIR__CF_VALUE_DELETION_INDEX + 1)

/* --- Errors --- */

weir_status weir__window_refuse(weir_txn *txn, bool is_change, weir_status status, weir_error *err,
                                const char *format, ...)
{
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (is_change)
        weir_txn_fail(txn);
    return weir__partition_error(txn->partition, status, err, "%s", what);
}

weir_status weir__window_no_memory(weir_txn *txn, weir_error *err)
{
    return weir__partition_error(txn->partition, WEIR_NO_MEMORY, err, "out of memory for windows");
}

/* --- Keys --- */

/* Room for a state key of the prefix and `size` bytes. A longer one than there may be is
 * refused where it is used. */
static weir_status prefix_key(weir_txn *txn, weir_slice prefix, size_t size, weir_error *err)
{
    weir__buffer *buffer = &txn->window->key;
    size_t whole = weir__window_prefix_size(prefix) + size;
    weir__buffer_clear(buffer);
    if (buffer->capacity < whole && weir__buffer_reserve(buffer, whole))
        return weir__window_no_memory(txn, err);
    buffer->size = weir__window_prefix_write(buffer->data, prefix);
    return WEIR_OK;
}

weir_status weir__window_pair_key(weir_txn *txn, weir_slice prefix, int64_t first, uint64_t second,
                                  weir_slice *key, weir_error *err)
{
    weir__buffer *buffer = &txn->window->key;
    weir_status status = prefix_key(txn, prefix, WEIR__PAIR_SIZE, err);
    *key = weir_slice_of(NULL, 0);
    if (status)
        return status;
    weir__window_pair_write(buffer->data + buffer->size, (uint64_t)first, second);
    buffer->size += WEIR__PAIR_SIZE;
    *key = weir__buffer_slice(buffer);
    return WEIR_OK;
}

static weir_status mark_key(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice *key,
                            weir_error *err)
{
    weir__buffer *buffer = &txn->window->key;
    size_t size = strlen(mark_names[cf]);
    weir_status status = prefix_key(txn, prefix, size, err);
    *key = weir_slice_of(NULL, 0);
    if (status)
        return status;
    memcpy(buffer->data + buffer->size, mark_names[cf], size);
    buffer->size += size;
    *key = weir__buffer_slice(buffer);
    return WEIR_OK;
}

/* --- Marks --- */

weir_status weir__window_mark_get(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t *mark,
                                  weir_error *err)
{
    weir_slice key;
    weir_slice json;
    weir_error inner;
    weir_error_init(&inner);
    *mark = WEIR__MARK_NONE;
    weir_status status = mark_key(txn, cf, prefix, &key, err);
    if (!status)
        status = weir__txn_get(txn, cf, key, &json, err);
    if (status)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    if (weir_slice_equal(json, weir_slice_str(MARK_BEYOND))) {
        *mark = INT64_MAX;
        return WEIR_OK;
    }
    if (weir__json_read_int(json, mark, &inner) == WEIR_OK)
        return WEIR_OK;
    *mark = WEIR__MARK_NONE;
    return weir__partition_error(txn->partition, WEIR_CORRUPTED, err,
                                 "the stored %s is not a time: %s", mark_names[cf], inner.message);
}

/* *change: how the transaction has changed the mark; NULL: to be found. [out] */
static weir_status mark_put(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t mark,
                            bool is_stored, weir__update **change, weir_error *err)
{
    weir_slice key;
    char text[WEIR__NUMBER_SIZE];
    weir_slice value = weir_slice_of(text, weir__number_write_i64(text, mark));
    if (*change)
        return weir__txn_put_again(txn, *change, &value, err);
    weir_status status = mark_key(txn, cf, prefix, &key, err);
    if (status)
        return status;
    return (is_stored ? weir__txn_put_stored : weir__txn_put_at)(txn, cf, key, &value, change, err);
}

weir_status weir__window_mark_set(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t mark,
                                  weir_error *err)
{
    weir__update *change = NULL;
    return mark_put(txn, cf, prefix, mark, false, &change, err);
}

weir_status weir__window_expired_set(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                     int64_t mark, weir_error *err)
{
    weir_status status =
        mark_put(txn, WEIR__CF_EXPIRATION_INDEX, prefix, mark, false, &memo->expired_mark, err);
    if (!status)
        weir__window_memo_expire(memo, mark);
    return status;
}

static weir_status hand_out(int64_t mark, int64_t *value)
{
    *value = mark == WEIR__MARK_NONE ? 0 : mark;
    return mark == WEIR__MARK_NONE ? WEIR_NOT_FOUND : WEIR_OK;
}

weir_status weir_window_latest_timestamp(weir_state *state, int64_t *timestamp_ms, weir_error *err)
{
    weir__window_memo *memo;
    *timestamp_ms = 0;
    weir_status status = weir__window_check(state->txn, "weir_window_latest_timestamp", err);
    if (!status)
        status = weir__window_memo_get(state->txn, weir__window_prefix(state), &memo, err);
    return status ? status : hand_out(memo->latest, timestamp_ms);
}

weir_status weir_window_expired_until(weir_state *state, int64_t *mark_ms, weir_error *err)
{
    weir__window_memo *memo;
    *mark_ms = 0;
    weir_status status = weir__window_check(state->txn, "weir_window_expired_until", err);
    if (!status)
        status = weir__window_memo_get(state->txn, weir__window_prefix(state), &memo, err);
    return status ? status : hand_out(memo->expired, mark_ms);
}

weir_status weir_window_set_expired_until(weir_state *state, int64_t mark_ms, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__window_prefix(state);
    weir__window_memo *memo;
    weir_status status = weir__window_check(txn, "weir_window_set_expired_until", err);
    if (status)
        return status;
    status = weir__window_memo_get(txn, prefix, &memo, err);
    if (!status)
        status = weir__window_expired_set(txn, prefix, memo, mark_ms, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}

/* Written with the first record of a transaction even if it is not later, as Quix Streams does. */
static weir_status raise_latest(weir_txn *txn, weir_slice prefix, weir__window_memo *memo,
                                int64_t timestamp, weir_error *err)
{
    bool is_stored = timestamp <= memo->latest;
    if (is_stored && memo->base.is_set)
        return WEIR_OK;
    if (is_stored)
        timestamp = memo->latest;
    weir_status status = mark_put(txn, WEIR__CF_LATEST_TIMESTAMPS, prefix, timestamp, is_stored,
                                  &memo->base.mark, err);
    if (status)
        return status;
    memo->base.is_dirty |= !is_stored;
    memo->base.is_set = true;
    memo->latest = timestamp;
    return WEIR_OK;
}

weir_status weir_window_advance_timestamp(weir_state *state, int64_t timestamp_ms,
                                          int64_t *latest_ms, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__window_prefix(state);
    weir__window_memo *memo;
    if (latest_ms)
        *latest_ms = 0;
    weir_status status = weir__window_check(txn, "weir_window_advance_timestamp", err);
    if (status)
        return status;
    if (timestamp_ms < 0)
        return weir__window_refuse(txn, true, WEIR_INVALID, err,
                                   "weir_window_advance_timestamp: timestamp_ms is %" PRId64
                                   ", and must not be below 0",
                                   timestamp_ms);
    status = weir__window_memo_get(txn, prefix, &memo, err);
    /* 0 is as good as none here. */
    if (!status && timestamp_ms > (memo->latest > 0 ? memo->latest : 0))
        status = raise_latest(txn, prefix, memo, timestamp_ms, err);
    if (status)
        weir_txn_fail(txn);
    else if (latest_ms)
        *latest_ms = memo->latest > 0 ? memo->latest : 0;
    return status;
}

/* --- One window --- */

static weir_status check_span(weir_txn *txn, bool is_change, const char *call, int64_t start,
                              int64_t end, weir_error *err)
{
    if (start < 0)
        return weir__window_refuse(txn, is_change, WEIR_INVALID, err,
                                   "%s: start_ms is %" PRId64 ", and must not be below 0", call,
                                   start);
    if (end <= start)
        return weir__window_refuse(txn, is_change, WEIR_INVALID, err,
                                   "%s: end_ms is %" PRId64 ", and must come after start_ms, "
                                   "%" PRId64,
                                   call, end, start);
    return WEIR_OK;
}

weir_status weir_window_get(weir_state *state, int64_t start_ms, int64_t end_ms, weir_slice *value,
                            weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice key;
    *value = weir_slice_of(NULL, 0);
    weir_status status = weir__window_check(txn, "weir_window_get", err);
    if (!status)
        status = check_span(txn, false, "weir_window_get", start_ms, end_ms, err);
    if (status)
        return status;
    weir_slice prefix = weir__window_prefix(state);
    const weir__window_memo *memo = weir__window_memo_peek(txn, prefix);
    const weir__window_span *span = memo ? weir__window_memo_find(memo, start_ms, end_ms) : NULL;
    if (memo)
        __builtin_prefetch(memo->base.mark); /* an update will follow */
    if (span && span->change)
        return weir__txn_get_change(txn, span->change, value);
    status = weir__window_pair_key(txn, prefix, start_ms, (uint64_t)end_ms, &key, err);
    if (status)
        return status;
    /* A window that is new needs no search in the database. */
    if (memo && !span && weir__window_memo_knows(memo, start_ms)) {
        weir__txn_prefetch(txn, WEIR_CF_DEFAULT, key);
        return WEIR_NOT_FOUND;
    }
    return weir__txn_get(txn, WEIR_CF_DEFAULT, key, value, err);
}

/* Sets a window (value NULL: deletes it). *change: how the transaction has changed it; NULL: to
 * be found. [out] */
static weir_status put_window(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                              const weir_slice *value, weir__update **change, weir_error *err)
{
    weir_slice key;
    bool is_new = !*change || (*change)->is_delete;
    weir_status status = WEIR_OK;
    if (*change) {
        status = weir__txn_put_again(txn, *change, value, err);
    } else {
        status = weir__window_pair_key(txn, prefix, start, (uint64_t)end, &key, err);
        if (!status && value)
            is_new = txn->window->has_ends && weir__window_ends_lack(txn, key);
        if (!status)
            status = weir__txn_put_at(txn, WEIR_CF_DEFAULT, key, value, change, err);
    }
    if (!status && txn->window->has_ends && (!value || is_new))
        status = weir__window_ends_change(txn, prefix, start, end, !value, err);
    return status;
}

static weir__update *known_change(const weir__window_memo *memo, int64_t start, int64_t end)
{
    const weir__window_span *span = memo ? weir__window_memo_find(memo, start, end) : NULL;
    return span ? span->change : NULL;
}

static weir_status update(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                          weir_slice value, int64_t timestamp, weir_error *err)
{
    weir__window_memo *memo = weir__window_memo_peek(txn, prefix);
    weir__update *change = known_change(memo, start, end);
    /* Before anything is read: the value may be one that was handed out. */
    weir_status status = put_window(txn, prefix, start, end, &value, &change, err);
    if (!status && !memo)
        status = weir__window_memo_get(txn, prefix, &memo, err);
    if (status)
        return status;
    weir__window_memo_add(memo, start, end, change);
    return raise_latest(txn, prefix, memo, timestamp, err);
}

weir_status weir_window_update(weir_state *state, int64_t start_ms, int64_t end_ms,
                               weir_slice value, int64_t timestamp_ms, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_status status = weir__window_check(txn, "weir_window_update", err);
    if (!status)
        status = check_span(txn, true, "weir_window_update", start_ms, end_ms, err);
    if (status)
        return status;
    if (timestamp_ms < 0)
        return weir__window_refuse(txn, true, WEIR_INVALID, err,
                                   "weir_window_update: timestamp_ms is %" PRId64
                                   ", and must not be below 0",
                                   timestamp_ms);
    status = update(txn, weir__window_prefix(state), start_ms, end_ms, value, timestamp_ms, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}

weir_status weir__window_remove(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                                weir_error *err)
{
    weir__window_memo *memo = weir__window_memo_peek(txn, prefix);
    weir__update *change = known_change(memo, start, end);
    weir_status status = put_window(txn, prefix, start, end, NULL, &change, err);
    if (!status && memo)
        weir__window_memo_remove(memo, start, end);
    return status;
}

weir_status weir__window_delete_range(weir_txn *txn, weir_cf cf, weir_slice prefix, int64_t from,
                                      int64_t max, int64_t *last, int64_t *first, weir_error *err)
{
    weir_iter *iter;
    *last = WEIR__MARK_NONE;
    *first = INT64_MAX;
    weir_status status =
        weir__window_iter_open(txn, cf, prefix, from, INT64_MAX, false, &iter, err);
    while (!status) {
        weir_slice key;
        weir_slice value;
        uint64_t at;
        uint64_t second;
        status = weir_iter_next(iter, &key, &value, err);
        if (status || !weir__window_first_read(key, prefix, &at))
            continue;
        if (at > (uint64_t)max) {
            /* Whoever it belongs to. */
            *first = at < INT64_MAX ? (int64_t)at : INT64_MAX;
            break;
        }
        if (!weir__window_pair_read(key, prefix, &at, &second))
            continue;
        if (cf != WEIR_CF_DEFAULT)
            status = weir__txn_put(txn, cf, key, NULL, err);
        else if (second <= INT64_MAX)
            status = weir__window_remove(txn, prefix, (int64_t)at, (int64_t)second, err);
        else
            continue;
        *last = (int64_t)at;
    }
    weir_iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

weir_status weir_window_delete(weir_state *state, int64_t start_ms, int64_t end_ms, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_status status = weir__window_check(txn, "weir_window_delete", err);
    if (!status)
        status = check_span(txn, true, "weir_window_delete", start_ms, end_ms, err);
    if (status)
        return status;
    status = weir__window_remove(txn, weir__window_prefix(state), start_ms, end_ms, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}

/* --- The part of a transaction --- */

weir__window_txn *weir__window_txn_new(void)
{
    weir__window_txn *window = calloc(1, sizeof *window);
    if (!window)
        return NULL;
    weir__memos_init(&window->memos, sizeof(weir__window_memo), offsetof(weir__window_memo, spans),
                     sizeof(weir__window_span));
    window->memos.settle = weir__window_memo_settle;
    window->memos.expect = weir__window_memo_expect;
    weir__arena_init(&window->collected);
    return window;
}

void weir__window_txn_free(weir__window_txn *window)
{
    if (!window)
        return;
    weir__memos_release(&window->memos);
    weir__buffer_release(&window->key);
    weir__window_list_free(window->spare_list);
    weir__arena_release(&window->collected);
    free(window->values);
    free(window);
}

void weir__window_txn_begin(const weir_partition *partition, weir__window_txn *window)
{
    window->has_ends = partition->ends == WEIR__ENDS_VALID;
    window->first_end = 0;
    window->first_end_mark = WEIR__MARK_NONE;
    window->first_end_epoch = partition->memo_epoch;
}

void weir__window_txn_reset(weir__window_txn *window)
{
    weir__memos_reset(&window->memos);
    weir__arena_reset(&window->collected, KEPT_BYTES);
}

size_t weir__window_txn_bytes(const weir__window_txn *window)
{
    return weir__update_cache_bytes(&window->memos.all);
}

void weir__window_txn_expect(weir_txn *txn, weir_slice prefix)
{
    weir__memos_expect(txn->partition, &txn->window->memos, prefix);
}

void weir__window_txn_before_flush(weir_txn *txn)
{
    /* What this transaction has changed is missing in an index that was made meanwhile. */
    if (txn->partition->ends == WEIR__ENDS_VALID && !txn->window->has_ends)
        txn->partition->ends = WEIR__ENDS_STALE;
}

void weir__window_txn_flushed(weir_txn *txn)
{
    weir__memos_flushed(txn->partition, &txn->window->memos);
}

/* --- Changes around the functions of windows --- */

static bool is_mark(weir_cf cf, weir_slice key, weir_slice *prefix)
{
    if (cf < MARKS_BEGIN || cf >= MARKS_END)
        return false;
    weir_slice name = weir_slice_str(mark_names[cf]);
    if (key.size < name.size)
        return false;
    size_t at = key.size - name.size;
    *prefix = weir_slice_of(key.data, at > 0 ? at - 1 : 0);
    return memcmp((const uint8_t *)key.data + at, name.data, name.size) == 0;
}

weir_status weir__window_note_change(weir_txn *txn, weir_cf cf, weir_slice key, bool is_delete,
                                     weir_error *err)
{
    weir_slice prefix;
    uint64_t start;
    uint64_t end;
    if (is_mark(cf, key, &prefix))
        return weir__window_memo_forget(txn, prefix, err);
    if ((cf != WEIR_CF_DEFAULT && cf != WEIR__CF_VALUES) ||
        !weir__window_key_read(key, &prefix, &start, &end))
        return WEIR_OK;
    weir_status status = WEIR_OK;
    if (cf == WEIR_CF_DEFAULT && txn->window->has_ends && start < end && end <= INT64_MAX)
        status =
            weir__window_ends_change(txn, prefix, (int64_t)start, (int64_t)end, is_delete, err);
    return status ? status : weir__window_memo_forget(txn, prefix, err);
}
