/*
 * The values of an interval of a timestamped store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "state/timestamped.h"

struct weir_interval {
    weir_txn *txn;
    weir_iter *iter;
    weir__buffer prefix;
    size_t left;
};

void weir__interval_free(weir_interval *interval)
{
    if (!interval)
        return;
    weir__buffer_release(&interval->prefix);
    free(interval);
}

static weir_interval *take(weir_txn *txn, weir_slice prefix)
{
    weir_interval *taken = txn->stamped->spare;
    txn->stamped->spare = NULL;
    if (!taken)
        taken = calloc(1, sizeof *taken);
    if (!taken)
        return NULL;
    weir__buffer_clear(&taken->prefix);
    if (weir__buffer_append(&taken->prefix, prefix.data, prefix.size)) {
        weir__interval_free(taken);
        return NULL;
    }
    taken->txn = txn;
    taken->iter = NULL;
    return taken;
}

/* What is older than the retention is not there. *is_empty [out]: by its bounds. */
static weir_status clip(weir_txn *txn, weir_slice prefix, int64_t *start, int64_t end,
                        weir__stamped_memo **memo, bool *is_empty, weir_error *err)
{
    *is_empty = true;
    *memo = NULL;
    if (*start < 0)
        *start = 0;
    if (*start >= end)
        return WEIR_OK;
    weir_status status = weir__stamped_memo_get(txn, prefix, memo, err);
    if (!status && *start < (*memo)->minimum)
        *start = (*memo)->minimum;
    *is_empty = status || *start >= end;
    return status;
}

weir_status weir_timestamped_get_interval(weir_state *state, int64_t start_ms, int64_t end_ms,
                                          size_t limit, weir_interval **interval, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__stamped_prefix(state);
    weir__stamped_memo *memo;
    bool is_empty;
    *interval = NULL;
    weir_status status =
        weir__stamped_check(txn, prefix, false, "weir_timestamped_get_interval", err);
    if (!status)
        status = clip(txn, prefix, &start_ms, end_ms, &memo, &is_empty, err);
    if (status || is_empty || limit == 0)
        return status;
    weir_interval *opened = take(txn, prefix);
    if (!opened)
        return weir__stamped_no_memory(txn, err);
    opened->left = limit;
    status =
        weir__stamped_iter_open(txn, prefix, memo, start_ms, end_ms, false, &opened->iter, err);
    if (status) {
        weir_interval_close(opened);
        return status;
    }
    *interval = opened;
    return WEIR_OK;
}

weir_status weir_interval_next(weir_interval *interval, int64_t *timestamp_ms, weir_slice *value,
                               weir_error *err)
{
    weir__stamped_at at = {.timestamp = WEIR_TIME_NONE};
    weir_status status = WEIR_NOT_FOUND;
    *value = weir_slice_of(NULL, 0);
    if (interval && interval->left > 0)
        status = weir__stamped_iter_next(interval->iter, weir__buffer_slice(&interval->prefix), &at,
                                         value, err);
    if (!status && interval->left != WEIR_INTERVAL_ALL)
        interval->left--;
    if (timestamp_ms)
        *timestamp_ms = status ? WEIR_TIME_NONE : at.timestamp;
    return status;
}

void weir_interval_close(weir_interval *interval)
{
    if (!interval)
        return;
    weir__stamped_txn *stamped = interval->txn->stamped;
    weir_iter_close(interval->iter);
    if (stamped->spare)
        weir__interval_free(interval);
    else
        stamped->spare = interval;
}

static weir_status delete_interval(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                                   size_t *deleted, weir_error *err)
{
    bool is_empty;
    weir_iter *iter;
    weir_slice value;
    weir__stamped_at at;
    weir__stamped_memo *memo;
    weir_status status = clip(txn, prefix, &start, end, &memo, &is_empty, err);
    if (status || is_empty)
        return status;
    status = weir__stamped_iter_open(txn, prefix, memo, start, end, false, &iter, err);
    if (status)
        return status;
    for (;;) {
        status = weir__stamped_iter_next(iter, prefix, &at, &value, err);
        if (status)
            break;
        status = weir__stamped_remove(txn, prefix, memo, &at, err);
        if (status)
            break;
        ++*deleted;
    }
    weir_iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

weir_status weir_timestamped_delete_interval(weir_state *state, int64_t start_ms, int64_t end_ms,
                                             size_t *deleted, weir_error *err)
{
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__stamped_prefix(state);
    size_t count = 0;
    weir_status status =
        weir__stamped_check(txn, prefix, true, "weir_timestamped_delete_interval", err);
    if (!status) {
        status = delete_interval(txn, prefix, start_ms, end_ms, &count, err);
        if (status)
            weir_txn_fail(txn);
    }
    if (deleted)
        *deleted = count;
    return status;
}
