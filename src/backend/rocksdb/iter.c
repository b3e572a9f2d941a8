/*
 * Iteration: RocksDB walks within its own bounds over its own snapshot, and hands out its
 * own bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "backend/rocksdb/internal.h"

struct weir_backend_iter {
    const weir_backend_db *db;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *iter; /* NULL: an empty range */
    bool reverse;
    bool is_positioned; /* the next call hands out the item where iter stands */
    bool is_started;
    bool has_lower;
    bool has_upper;
    weir_slice lower;
    weir_slice upper;
};

static int compare(weir_slice a, weir_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    if (order == 0)
        order = (a.size > b.size) - (a.size < b.size);
    return order;
}

static bool is_empty_range(const weir_backend_iter_args *args)
{
    if (!args->has_upper)
        return false;
    if (args->upper.size == 0)
        return true;
    return args->has_lower && compare(args->lower, args->upper) >= 0;
}

static void set_bounds(weir_backend_iter *iter, const weir_backend_iter_args *args)
{
    /* An empty lower bound is below every key. */
    iter->has_lower = args->has_lower && args->lower.size > 0;
    iter->has_upper = args->has_upper;
    iter->lower = args->lower;
    iter->upper = args->upper;
    if (iter->has_lower)
        rocksdb_readoptions_set_iterate_lower_bound(iter->options, iter->lower.data,
                                                    iter->lower.size);
    if (iter->has_upper)
        rocksdb_readoptions_set_iterate_upper_bound(iter->options, iter->upper.data,
                                                    iter->upper.size);
}

weir_status weir__rocksdb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err)
{
    weir_backend_iter *made = calloc(1, sizeof(*made));
    *iter = made;
    if (!made)
        return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory for an iterator");
    made->db = db;
    made->reverse = args->reverse;
    if (is_empty_range(args))
        return WEIR_OK;
    made->options = rocksdb_readoptions_create();
    set_bounds(made, args);
    if (args->snapshot)
        rocksdb_readoptions_set_snapshot(made->options, args->snapshot->snapshot);
    made->iter = rocksdb_create_iterator_cf(db->rocks, made->options, cf->handle);
    return WEIR_OK;
}

static void step(weir_backend_iter *iter)
{
    if (iter->is_positioned) {
        iter->is_positioned = false;
    } else if (!iter->is_started) {
        if (iter->reverse)
            rocksdb_iter_seek_to_last(iter->iter);
        else
            rocksdb_iter_seek_to_first(iter->iter);
    } else if (rocksdb_iter_valid(iter->iter)) {
        if (iter->reverse)
            rocksdb_iter_prev(iter->iter);
        else
            rocksdb_iter_next(iter->iter);
    }
    iter->is_started = true;
}

weir_status weir__rocksdb_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err)
{
    char *text = NULL;
    *key = (weir_slice){NULL, 0};
    *value = (weir_slice){NULL, 0};
    if (!iter->iter)
        return WEIR_NOT_FOUND;
    step(iter);
    if (!rocksdb_iter_valid(iter->iter)) {
        rocksdb_iter_get_error(iter->iter, &text);
        return text ? weir__rocksdb_fail(iter->db, text, false, "iterate", err) : WEIR_NOT_FOUND;
    }
    key->data = rocksdb_iter_key(iter->iter, &key->size);
    value->data = rocksdb_iter_value(iter->iter, &value->size);
    return WEIR_OK;
}

weir_status weir__rocksdb_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    (void)err; /* A failure shows at the next iter_next. */
    if (!iter->iter)
        return WEIR_OK;
    /* RocksDB does not clip a target to the bounds at the side that it moves away from. */
    if (iter->reverse && iter->has_upper && compare(target, iter->upper) >= 0)
        rocksdb_iter_seek_to_last(iter->iter);
    else if (iter->reverse)
        rocksdb_iter_seek_for_prev(iter->iter, target.data, target.size);
    else if (iter->has_lower && compare(target, iter->lower) < 0)
        rocksdb_iter_seek_to_first(iter->iter);
    else
        rocksdb_iter_seek(iter->iter, target.data, target.size);
    iter->is_positioned = true;
    return WEIR_OK;
}

void weir__rocksdb_iter_close(weir_backend_iter *iter)
{
    if (!iter)
        return;
    if (iter->iter)
        rocksdb_iter_destroy(iter->iter);
    if (iter->options)
        rocksdb_readoptions_destroy(iter->options);
    free(iter);
}
