/*
 * Iterators: blocks of items from SlateDB, handed out one by one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "backend/slatedb/internal.h"

struct weir_backend_iter {
    weir_backend_db *db;
    weir__slate_iter *slate; /* NULL: an empty range */
    weir__slate_snapshot *snapshot;
    bool owns_snapshot;
    weir_slice lower, upper; /* as stored; borrowed from the caller */
    bool has_lower, has_upper, reverse;
    uint8_t *sought; /* the bound of the last seek */
    weir_slice block;
    size_t offset; /* of the next item in block */
    bool is_at_end;
};

static int compare(weir_slice a, weir_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Scans from `from` on (NULL: from the start) to the end of the range. */
static weir_status scan(weir_backend_iter *iter, const weir_slice *from, weir_error *err)
{
    weir__slate_error error;
    weir__slate_range range = {iter->lower, iter->upper, iter->has_lower, iter->has_upper,
                               iter->reverse};
    weir_slate_iter_close(iter->slate);
    iter->slate = NULL;
    iter->block = weir_slice_of(NULL, 0);
    iter->offset = 0;
    iter->is_at_end = false;
    if (from != NULL && iter->reverse) {
        range.upper = *from;
        range.has_upper = true;
    } else if (from != NULL) {
        range.lower = *from;
        range.has_lower = true;
    }
    if (range.has_lower && range.has_upper && compare(range.lower, range.upper) >= 0) {
        iter->is_at_end = true;
        return WEIR_OK;
    }
    int kind = weir_slate_iter_open(iter->db->slate, iter->snapshot, &range, &iter->slate, &error);
    return kind == WEIR__SLATE_OK
               ? WEIR_OK
               : weir__slatedb_fail(iter->db, kind, &error, "open an iterator", err);
}

weir_status weir__slatedb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err)
{
    (void)cf;
    weir__slate_error error;
    weir_status status = WEIR_OK;
    *iter = NULL;
    weir_backend_iter *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir__slatedb_error(db, err, WEIR_NO_MEMORY, "no memory for an iterator");
    made->db = db;
    if (args->has_lower)
        made->lower = weir__slatedb_key_stored(args->lower);
    if (args->has_upper)
        made->upper = weir__slatedb_key_stored(args->upper);
    made->has_lower = args->has_lower;
    made->has_upper = args->has_upper;
    made->reverse = args->reverse;
    made->snapshot = weir__slatedb_snapshot_of(args->snapshot);
    /* A seek scans anew, and must find the state as of now. A reader's does not change. */
    if (made->snapshot == NULL && !db->read_only) {
        int kind = weir_slate_snapshot_open(db->slate, true, &made->snapshot, &error);
        if (kind != WEIR__SLATE_OK)
            status = weir__slatedb_fail(db, kind, &error, "open an iterator", err);
        made->owns_snapshot = kind == WEIR__SLATE_OK;
    }
    if (status == WEIR_OK)
        status = scan(made, NULL, err);
    if (status == WEIR_OK)
        *iter = made;
    else
        weir__slatedb_iter_close(made);
    return status;
}

/* The item at `offset` of the block, its key as stored; returns the offset behind it. */
static size_t item_at(weir_slice block, size_t offset, weir_slice *key, weir_slice *value)
{
    uint32_t sizes[2];
    const uint8_t *at = (const uint8_t *)block.data + offset;
    memcpy(sizes, at, sizeof sizes);
    *key = weir_slice_of(at + sizeof sizes, sizes[0]);
    *value = weir_slice_of(at + sizeof sizes + sizes[0], sizes[1]);
    return offset + sizeof sizes + sizes[0] + sizes[1];
}

weir_status weir__slatedb_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err)
{
    *key = weir_slice_of(NULL, 0);
    *value = weir_slice_of(NULL, 0);
    if (iter->offset == iter->block.size) {
        weir__slate_error error;
        if (iter->is_at_end)
            return WEIR_NOT_FOUND;
        iter->offset = 0;
        iter->block = weir_slice_of(NULL, 0);
        int kind = weir_slate_iter_block(iter->slate, &iter->block, &error);
        if (kind == WEIR__SLATE_NOT_FOUND) {
            iter->block = weir_slice_of(NULL, 0);
            iter->is_at_end = true;
            return WEIR_NOT_FOUND;
        }
        if (kind != WEIR__SLATE_OK)
            return weir__slatedb_fail(iter->db, kind, &error, "read on in an iterator", err);
    }
    iter->offset = item_at(iter->block, iter->offset, key, value);
    *key = weir__slatedb_key_given(*key);
    return WEIR_OK;
}

/* Looks for the target among the items that are read already and not handed out. */
static bool seek_in_block(weir_backend_iter *iter, weir_slice target)
{
    size_t offset = iter->offset;
    bool is_first = true;
    while (offset < iter->block.size) {
        weir_slice key;
        weir_slice value;
        size_t behind = item_at(iter->block, offset, &key, &value);
        int order = compare(key, target);
        if (iter->reverse ? order <= 0 : order >= 0) {
            /* What was handed out before may be a better answer than the first that is left. */
            if (is_first && order != 0)
                return false;
            iter->offset = offset;
            return true;
        }
        is_first = false;
        offset = behind;
    }
    return false;
}

weir_status weir__slatedb_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    target = weir__slatedb_key_stored(target);
    if (seek_in_block(iter, target))
        return WEIR_OK;
    /* Beyond the start of the range, that is where to begin. */
    if (iter->reverse ? iter->has_upper && compare(target, iter->upper) >= 0
                      : iter->has_lower && compare(target, iter->lower) <= 0)
        return scan(iter, NULL, err);
    /* In reverse the target itself belongs to the range, whose upper end is exclusive: the key
     * after it is the one with a zero byte more. */
    uint8_t *bound = malloc(target.size + 1);
    if (bound == NULL)
        return weir__slatedb_error(iter->db, err, WEIR_NO_MEMORY, "no memory to seek");
    if (target.size > 0)
        memcpy(bound, target.data, target.size);
    bound[target.size] = 0;
    weir_slice from = weir_slice_of(bound, target.size + (iter->reverse ? 1 : 0));
    weir_status status = scan(iter, &from, err);
    free(iter->sought);
    iter->sought = bound;
    return status;
}

void weir__slatedb_iter_close(weir_backend_iter *iter)
{
    if (iter == NULL)
        return;
    weir_slate_iter_close(iter->slate);
    if (iter->owns_snapshot)
        weir_slate_snapshot_close(iter->snapshot);
    free(iter->sought);
    free(iter);
}
