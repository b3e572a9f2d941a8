/*
 * The index of a partition's windows by their end, in a local family.
 *
 * It is made when it is first needed and kept up from then on, by transactions (in the same
 * batch as the windows) and by recovery. A mark among the stored offsets says that it is
 * complete, and for which changelog offset: after another program has written to the
 * database, the offset is another one, and the index is made anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/clock.h"
#include "state/recovery.h"
#include "state/window.h"
#include "state/window_hooks.h"

#define BUILD_BATCH 4096u

/* --- Keeping it up --- */

bool weir__window_ends_lack(const weir_txn *txn, weir_slice key)
{
    const weir_partition *partition = txn->partition;
    uint64_t hash = weir__record_hash(WEIR_CF_DEFAULT, key);
    weir_slice value;
    const weir__update *update = weir__update_cache_find(&txn->updates, WEIR_CF_DEFAULT, key, hash);
    if (update)
        return update->is_delete;
    /* What is in the database is in its index. */
    return !partition->cache || weir__record_cache_get(partition->cache, WEIR_CF_DEFAULT, key, hash,
                                                       &value) != WEIR__CACHE_HIT;
}

static weir_status write_key(weir__buffer *buffer, weir_slice prefix, int64_t start, int64_t end)
{
    weir__buffer_clear(buffer);
    if (weir__buffer_reserve(buffer, WEIR__ENDS_SIZE + prefix.size))
        return WEIR_NO_MEMORY;
    weir__window_ends_write(buffer->data, prefix, (uint64_t)start, (uint64_t)end);
    buffer->size = WEIR__ENDS_SIZE + prefix.size;
    return WEIR_OK;
}

weir_status weir__window_ends_change(weir_txn *txn, weir_slice prefix, int64_t start, int64_t end,
                                     bool is_delete, weir_error *err)
{
    weir__window_txn *window = txn->window;
    weir_slice nothing = weir_slice_of(NULL, 0);
    if (write_key(&window->key, prefix, start, end))
        return weir__window_no_memory(txn, err);
    if (!is_delete && end < window->first_end)
        window->first_end = end;
    return weir__txn_put(txn, WEIR__CF_WINDOW_ENDS, weir__buffer_slice(&window->key),
                         is_delete ? NULL : &nothing, err);
}

/* The window that a state key is of; false: of none. */
static bool read_window(weir_slice key, weir_slice *prefix, uint64_t *start, uint64_t *end)
{
    return weir__window_key_read(key, prefix, start, end) && *start < *end && *end <= INT64_MAX;
}

static weir_status add_op(weir_partition *partition, weir__arena *arena, weir_slice key,
                          bool is_delete, weir_backend_op *ops, size_t *count)
{
    weir_slice prefix;
    uint64_t start;
    uint64_t end;
    if (!read_window(key, &prefix, &start, &end))
        return WEIR_OK;
    size_t size = WEIR__ENDS_SIZE + prefix.size;
    uint8_t *copy = weir__arena_alloc(arena, size);
    if (!copy)
        return WEIR_NO_MEMORY;
    weir__window_ends_write(copy, prefix, start, end);
    ops[(*count)++] = (weir_backend_op){
        .kind = is_delete ? WEIR_OP_DELETE : WEIR_OP_PUT,
        .cf = partition->cfs[WEIR__CF_WINDOW_ENDS].handle,
        .key = weir_slice_of(copy, size),
    };
    return WEIR_OK;
}

weir_status weir__window_ends_follow(weir_partition *partition, const weir__update_cache *changes,
                                     weir__arena *arena, weir_backend_op *ops, size_t *count)
{
    weir_status status = WEIR_OK;
    *count = 0;
    for (size_t i = 0; i < changes->count && !status; i++) {
        const weir__update *update = changes->updates[i];
        if (update->cf == WEIR_CF_DEFAULT)
            status = add_op(partition, arena, weir_slice_of(update->key, update->key_size),
                            update->is_delete, ops, count);
    }
    return status;
}

/* --- Making it --- */

/* The next batch of entries. *count 0: there are no more. */
static weir_status fill_batch(weir_partition *partition, weir_backend_iter *iter,
                              weir__arena *arena, weir_backend_op *ops, size_t *count,
                              weir_error *err)
{
    *count = 0;
    weir__arena_reset(arena, SIZE_MAX);
    while (*count < BUILD_BATCH) {
        weir_slice key;
        weir_slice value;
        weir_status status = partition->backend->iter_next(iter, &key, &value, err);
        if (status == WEIR_NOT_FOUND)
            return WEIR_OK;
        if (status)
            return status;
        if (add_op(partition, arena, key, false, ops, count))
            return weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
    }
    return WEIR_OK;
}

static weir_status write_entries(weir_partition *partition, size_t *total, weir_error *err)
{
    weir_backend_iter *iter = NULL;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir__arena arena;
    size_t count = 1;
    weir__arena_init(&arena);
    weir_backend_op *ops = weir__partition_ops(partition, BUILD_BATCH);
    weir_status status = ops ? WEIR_OK : weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
    if (!status)
        status = partition->backend->iter_open(
            partition->db, partition->cfs[WEIR_CF_DEFAULT].handle, &args, &iter, err);
    while (!status && count > 0) {
        status = fill_batch(partition, iter, &arena, ops, &count, err);
        if (!status && count > 0)
            status = weir__partition_write(partition, ops, count, WEIR_OFFSET_NONE, NULL, 0, err);
        *total += count;
    }
    if (iter)
        partition->backend->iter_close(iter);
    weir__arena_release(&arena);
    return status;
}

/* Of the committed windows. */
static weir_status build(weir_partition *partition, weir_error *err)
{
    weir_error inner;
    size_t total = 0;
    int64_t began = weir__now_ms();
    weir_error_init(&inner);
    weir_status status =
        weir__partition_cf_clear(partition, partition->cfs[WEIR__CF_WINDOW_ENDS].handle, &inner);
    if (!status)
        status = write_entries(partition, &total, &inner);
    if (!status)
        status = weir__partition_ends_complete(partition, &inner);
    if (status)
        return weir__partition_error(partition, status, err, "making the index of windows: %s",
                                     inner.message);
    weir_log(WEIR_LOG_INFO, "windows.index", "made the index of %zu windows by end, %lld ms (%s)",
             total, (long long)(weir__now_ms() - began), weir__database_label(partition->database));
    return WEIR_OK;
}

/* What the transaction has changed before it had the index. */
static weir_status add_changes(weir_txn *txn, weir_error *err)
{
    weir_status status = WEIR_OK;
    size_t count = txn->updates.count;
    for (size_t i = 0; i < count && !status; i++) {
        const weir__update *update = txn->updates.updates[i];
        weir_slice prefix;
        uint64_t start;
        uint64_t end;
        if (update->cf == WEIR_CF_DEFAULT &&
            read_window(weir_slice_of(update->key, update->key_size), &prefix, &start, &end))
            status = weir__window_ends_change(txn, prefix, (int64_t)start, (int64_t)end,
                                              update->is_delete, err);
    }
    return status;
}

void weir__window_ends_reject(weir_txn *txn)
{
    txn->partition->ends = WEIR__ENDS_STALE;
    txn->window->has_ends = false;
}

weir_status weir__window_ends_require(weir_txn *txn, weir_error *err)
{
    weir__window_txn *window = txn->window;
    weir_status status = WEIR_OK;
    if (window->first_end_epoch != txn->partition->memo_epoch) {
        window->first_end = 0;
        window->first_end_epoch = txn->partition->memo_epoch;
    }
    if (window->has_ends)
        return WEIR_OK;
    if (txn->partition->ends != WEIR__ENDS_VALID)
        status = build(txn->partition, err);
    if (status)
        return status;
    window->first_end = 0;
    status = add_changes(txn, err);
    if (status)
        weir_txn_fail(txn);
    else
        window->has_ends = true;
    return status;
}
