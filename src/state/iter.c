/*
 * Iteration over committed state with the changes of the transaction merged in. The
 * backend's iterator and a cursor on the ordered changes go side by side; where both
 * have a key, the change holds. Values with a TTL (ttl.h) are read through their stamps as
 * of the opening; while some have none, an iterator on the ledger goes along.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "state/txn.h"

struct weir_iter {
    weir_txn *txn;
    weir_backend_iter *backend_iter; /* NULL: an empty range */
    bool has_cursor;                 /* is open */
    weir__update_cursor cursor;
    weir__buffer bounds; /* lower, then upper: the backend borrows them until close */
    weir_slice lower;
    weir_slice upper;
    bool has_lower;
    bool has_upper;
    bool reverse;
    /* The item of the backend that waits; its slices are borrowed from backend_iter. */
    bool has_item;
    bool is_exhausted;
    weir_slice key;
    weir_slice value;
    /* TTL, as of the opening. */
    bool has_stamps;    /* changes have, and */
    bool stores_stamps; /* what is stored */
    int64_t clock;
    weir_backend_iter *ledger; /* NULL: all that can have a stamp has one */
    bool has_entry;
    bool is_ledger_done;
    weir_slice entry; /* of the ledger, the first that was not passed */
};

void weir__iter_free(weir_iter *iter)
{
    if (!iter)
        return;
    weir__buffer_release(&iter->bounds);
    free(iter);
}

static weir_iter *iter_take(weir_txn *txn)
{
    weir_iter *iter = txn->spare_iter;
    txn->spare_iter = NULL;
    if (!iter)
        return calloc(1, sizeof *iter);
    weir__buffer bounds = iter->bounds;
    weir__buffer_clear(&bounds);
    *iter = (weir_iter){.bounds = bounds};
    return iter;
}

static void iter_give_back(weir_txn *txn, weir_iter *iter)
{
    if (txn->spare_iter)
        weir__iter_free(iter);
    else
        txn->spare_iter = iter;
}

static weir_status copy_bounds(weir_iter *iter, const weir_iter_options *options)
{
    iter->has_lower = options->has_lower;
    iter->has_upper = options->has_upper;
    iter->reverse = options->reverse;
    size_t lower = options->has_lower ? options->lower.size : 0;
    size_t upper = options->has_upper ? options->upper.size : 0;
    if (weir__buffer_reserve(&iter->bounds, lower + upper + 1))
        return WEIR_NO_MEMORY;
    if (lower > 0)
        memcpy(iter->bounds.data, options->lower.data, lower);
    if (upper > 0)
        memcpy(iter->bounds.data + lower, options->upper.data, upper);
    iter->lower = weir_slice_of(iter->bounds.data, lower);
    iter->upper = weir_slice_of(iter->bounds.data + lower, upper);
    return WEIR_OK;
}

static weir_status open_on(weir_iter *iter, weir_backend_cf *cf, weir_backend_iter **opened,
                           weir_error *err)
{
    const weir_partition *partition = iter->txn->partition;
    weir_backend_iter_args args = {
        .struct_size = sizeof args,
        .lower = iter->lower,
        .upper = iter->upper,
        .has_lower = iter->has_lower,
        .has_upper = iter->has_upper,
        .reverse = iter->reverse,
    };
    weir_error inner;
    weir_error_init(&inner);
    weir__partition_read_begins(partition);
    weir_status status = partition->backend->iter_open(partition->db, cf, &args, opened, &inner);
    weir__partition_read_ends(partition);
    if (status)
        return weir__database_error(partition->database, status, "opening an iterator", &inner,
                                    err);
    return WEIR_OK;
}

static weir_status next_on(const weir_iter *iter, weir_backend_iter *from, weir_slice *key,
                           weir_slice *value, weir_error *err)
{
    const weir_partition *partition = iter->txn->partition;
    weir_error inner;
    weir_error_init(&inner);
    weir__partition_read_begins(partition);
    weir_status status = partition->backend->iter_next(from, key, value, &inner);
    weir__partition_read_ends(partition);
    if (status && status != WEIR_NOT_FOUND)
        return weir__database_error(partition->database, status, "reading the next item", &inner,
                                    err);
    return status;
}

static void close_backend(weir_iter *iter)
{
    const weir_backend *backend = iter->txn->partition->backend;
    if (iter->ledger)
        backend->iter_close(iter->ledger);
    if (iter->backend_iter)
        backend->iter_close(iter->backend_iter);
    iter->ledger = iter->backend_iter = NULL;
}

static weir_status open_backend(weir_iter *iter, weir_cf cf, weir_error *err)
{
    const weir_partition *partition = iter->txn->partition;
    const weir__ttl *ttl = &partition->ttl;
    iter->has_stamps = weir__ttl_applies(ttl, cf);
    iter->stores_stamps = iter->has_stamps && ttl->is_on;
    iter->clock = iter->txn->ttl.clock;
    weir_status status = open_on(iter, partition->cfs[cf].handle, &iter->backend_iter, err);
    if (status || !iter->stores_stamps || !ttl->is_partial)
        return status;
    status = open_on(iter, ttl->ledger, &iter->ledger, err);
    if (status) {
        iter->ledger = NULL;
        close_backend(iter);
    }
    return status;
}

static weir_status open_iter(weir_txn *txn, weir_cf cf, const weir_iter_options *options,
                             bool is_changed, weir_iter **iter, weir_error *err)
{
    static const weir_iter_options all = {.struct_size = sizeof all};
    *iter = NULL;
    weir_status status = weir__txn_check(txn, err);
    if (status)
        return status;
    if (cf >= txn->partition->cf_count)
        return weir__partition_error(txn->partition, WEIR_INVALID, err,
                                     "there is no column family number %u", cf);
    weir_iter *opened = iter_take(txn);
    if (!opened)
        goto no_memory;
    opened->txn = txn;
    if (copy_bounds(opened, options ? options : &all))
        goto no_memory;
    bool is_empty = opened->has_lower && opened->has_upper &&
                    weir_slice_compare(opened->lower, opened->upper) >= 0;
    if (!is_empty) {
        status = open_backend(opened, cf, err);
        if (status)
            goto done;
        if (is_changed &&
            weir__update_cursor_open(&txn->updates, cf, opened->has_lower ? &opened->lower : NULL,
                                     opened->has_upper ? &opened->upper : NULL, opened->reverse,
                                     &opened->cursor)) {
            close_backend(opened);
            goto no_memory;
        }
        opened->has_cursor = is_changed;
    }
    *iter = opened;
    return WEIR_OK;

no_memory:
    status =
        weir__partition_error(txn->partition, WEIR_NO_MEMORY, err, "out of memory for an iterator");
done:
    if (opened)
        iter_give_back(txn, opened);
    return status;
}

weir_status weir_txn_iter_open(weir_txn *txn, weir_cf cf, const weir_iter_options *options,
                               weir_iter **iter, weir_error *err)
{
    return open_iter(txn, cf, options, true, iter, err);
}

weir_status weir__txn_iter_open_stored(weir_txn *txn, weir_cf cf, const weir_iter_options *options,
                                       weir_iter **iter, weir_error *err)
{
    return open_iter(txn, cf, options, false, iter, err);
}

static int order_of(const weir_iter *iter, weir_slice a, weir_slice b)
{
    return weir_slice_compare(a, b) * (iter->reverse ? -1 : 1);
}

/* Whether the ledger has a key; keys are asked for in order. */
static weir_status is_in_ledger(weir_iter *iter, weir_slice key, bool *found, weir_error *err)
{
    weir_slice value;
    *found = false;
    while (!iter->is_ledger_done && (!iter->has_entry || order_of(iter, iter->entry, key) < 0)) {
        weir_status status = next_on(iter, iter->ledger, &iter->entry, &value, err);
        iter->is_ledger_done = status == WEIR_NOT_FOUND;
        if (status && !iter->is_ledger_done)
            return status;
        iter->has_entry = true;
    }
    *found = !iter->is_ledger_done && order_of(iter, iter->entry, key) == 0;
    return WEIR_OK;
}

/* Reads a value through its stamp. *expired [out]. */
static weir_status take_stamp(weir_iter *iter, weir_slice key, bool is_stored, weir_slice *value,
                              bool *expired, weir_error *err)
{
    uint64_t expiry;
    weir_slice stored = *value;
    bool is_stamped = weir__ttl_split(stored, &expiry, value);
    weir_status status = WEIR_OK;
    if (is_stamped && is_stored && iter->ledger)
        status = is_in_ledger(iter, key, &is_stamped, err);
    if (!is_stamped)
        *value = stored;
    *expired = is_stamped && weir__ttl_is_expired(expiry, iter->clock);
    return status;
}

static weir_status fetch(weir_iter *iter, weir_error *err)
{
    while (!iter->has_item && !iter->is_exhausted) {
        bool expired = false;
        weir_status status = next_on(iter, iter->backend_iter, &iter->key, &iter->value, err);
        iter->is_exhausted = status == WEIR_NOT_FOUND;
        if (!status && iter->stores_stamps)
            status = take_stamp(iter, iter->key, true, &iter->value, &expired, err);
        if (status && !iter->is_exhausted)
            return status;
        iter->has_item = !status && !expired;
    }
    return WEIR_OK;
}

/* The change that the cursor stands at, if it is within the range. */
static bool peek(weir_iter *iter, weir__update_view *view)
{
    if (!weir__update_cursor_peek(&iter->cursor, view))
        return false;
    bool is_beyond = iter->reverse
                         ? iter->has_lower && weir_slice_compare(view->key, iter->lower) < 0
                         : iter->has_upper && weir_slice_compare(view->key, iter->upper) >= 0;
    if (is_beyond)
        iter->cursor.node = NULL;
    return !is_beyond;
}

weir_status weir_iter_next(weir_iter *iter, weir_slice *key, weir_slice *value, weir_error *err)
{
    *key = weir_slice_of(NULL, 0);
    *value = weir_slice_of(NULL, 0);
    weir_status status = weir__txn_check(iter->txn, err);
    if (status)
        return status;
    if (!iter->backend_iter)
        return WEIR_NOT_FOUND;
    for (;;) {
        status = fetch(iter, err);
        if (status)
            return status;
        weir__update_view view;
        bool has_change = peek(iter, &view);
        if (!has_change && !iter->has_item)
            return WEIR_NOT_FOUND;
        int order = -1; /* below 0: the change comes first */
        if (!has_change)
            order = 1;
        else if (iter->has_item)
            order = order_of(iter, view.key, iter->key);
        if (order >= 0)
            iter->has_item = false;
        if (order > 0) {
            *key = iter->key;
            *value = iter->value;
            return WEIR_OK;
        }
        weir__update_cursor_forward(&iter->cursor);
        bool expired = false;
        if (!view.is_delete && iter->has_stamps)
            status = take_stamp(iter, view.key, false, &view.value, &expired, err);
        if (status)
            return status;
        if (view.is_delete || expired)
            continue;
        *key = view.key;
        *value = view.value;
        return WEIR_OK;
    }
}

void weir_iter_close(weir_iter *iter)
{
    if (!iter)
        return;
    weir_txn *txn = iter->txn;
    if (iter->has_cursor)
        weir__update_cursor_close(&txn->updates);
    close_backend(iter);
    iter_give_back(txn, iter);
}
