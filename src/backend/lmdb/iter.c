/*
 * Iterators: a cursor of LMDB, and a position inside the bucket it stands on, if it does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct weir_backend_iter {
    weir_backend_db *db;
    weir_backend_snapshot *snapshot; /* NULL: `reader` is of this iterator alone */
    weir__lmdb_reader *reader;
    MDB_cursor *cursor; /* NULL: a snapshot older than the family: nothing to see */
    weir_slice lower, upper;
    bool has_lower, has_upper, reverse;

    /* Where it stands: on `key` and `data`, or beyond the end. `placed`: what stands there has
     * not been handed out yet. */
    bool at_end;
    bool placed;
    MDB_val key;
    MDB_val data;
    bool in_bucket;
    uint32_t index;
};

static void lock_snapshot(weir_backend_iter *iter)
{
    if (iter->snapshot != NULL)
        pthread_mutex_lock(&iter->snapshot->mutex);
}

static void unlock_snapshot(weir_backend_iter *iter)
{
    if (iter->snapshot != NULL)
        pthread_mutex_unlock(&iter->snapshot->mutex);
}

/* ------------------------------------------------------------------- movements */

/* What a movement of the cursor found; from which end a bucket is entered. */
static int arrive(weir_backend_iter *iter, int code, bool from_behind)
{
    iter->at_end = code == MDB_NOTFOUND;
    iter->in_bucket = false;
    if (code != 0)
        return code == MDB_NOTFOUND ? 0 : code;
    if (!weir__lmdb_is_in_its_page(iter->db, &iter->key, &iter->data) ||
        !weir__lmdb_open_item(&iter->key, &iter->data))
        return MDB_CORRUPTED;
    if (!weir__lmdb_is_bucket(&iter->key))
        return 0;
    if (!weir__lmdb_bucket_is_whole(&iter->data))
        return MDB_CORRUPTED;
    iter->in_bucket = true;
    iter->index = from_behind ? weir__lmdb_bucket_count(&iter->data) - 1 : 0;
    return 0;
}

typedef struct movement {
    weir_backend_iter *iter;
    MDB_cursor_op op;
} movement;

static int move_cursor(void *arg)
{
    const movement *m = arg;
    return mdb_cursor_get(m->iter->cursor, &m->iter->key, &m->iter->data, m->op);
}

static int move(weir_backend_iter *iter, MDB_cursor_op op)
{
    movement m = {iter, op};
    return arrive(iter, weir__lmdb_guard(move_cursor, &m), op == MDB_PREV || op == MDB_LAST);
}

static int step(weir_backend_iter *iter, bool back)
{
    if (iter->in_bucket) {
        uint32_t count = weir__lmdb_bucket_count(&iter->data);
        if (back ? iter->index > 0 : iter->index + 1 < count) {
            iter->index = back ? iter->index - 1 : iter->index + 1;
            return 0;
        }
    }
    return move(iter, back ? MDB_PREV : MDB_NEXT);
}

static void stand_on(const weir_backend_iter *iter, weir_slice *key, weir_slice *value)
{
    if (iter->in_bucket) {
        weir__lmdb_bucket_entry(&iter->data, iter->index, key, value);
    } else {
        *key = weir_slice_of(iter->key.mv_data, iter->key.mv_size - 1);
        *value = weir_slice_of(iter->data.mv_data, iter->data.mv_size);
    }
}

/* To the first item ≥ key, or to the end. */
static int move_to(weir_backend_iter *iter, weir_slice key)
{
    unsigned char room[WEIR__LMDB_STORED_MAX];
    iter->key = weir__lmdb_stored_key(key, room);
    int code = move(iter, MDB_SET_RANGE);
    if (code != 0 || iter->at_end || !iter->in_bucket || !weir__lmdb_is_long(key))
        return code;
    /* Of this bucket, or of a later one: then all its keys are greater. */
    iter->index = weir__lmdb_bucket_find(&iter->data, key);
    if (iter->index < weir__lmdb_bucket_count(&iter->data))
        return 0;
    return move(iter, MDB_NEXT);
}

/* To the last item < key (or ≤ key), or to the end. */
static int move_before(weir_backend_iter *iter, weir_slice key, bool or_at)
{
    int code = move_to(iter, key);
    if (code != 0)
        return code;
    if (iter->at_end)
        return move(iter, MDB_LAST);
    if (or_at) {
        weir_slice found;
        weir_slice value;
        stand_on(iter, &found, &value);
        if (weir__lmdb_compare(found, key) == 0)
            return 0;
    }
    return step(iter, true);
}

/* To where iteration begins. */
static int move_to_start(weir_backend_iter *iter)
{
    if (iter->reverse)
        return iter->has_upper ? move_before(iter, iter->upper, false) : move(iter, MDB_LAST);
    return iter->has_lower ? move_to(iter, iter->lower) : move(iter, MDB_FIRST);
}

static bool is_outside(const weir_backend_iter *iter, weir_slice key)
{
    return iter->reverse ? iter->has_lower && weir__lmdb_compare(key, iter->lower) < 0
                         : iter->has_upper && weir__lmdb_compare(key, iter->upper) >= 0;
}

/* --------------------------------------------------------------------- methods */

static bool range_is_empty(const weir_backend_iter *iter)
{
    return iter->has_lower && iter->has_upper && weir__lmdb_compare(iter->lower, iter->upper) >= 0;
}

weir_status weir__lmdb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                 const weir_backend_iter_args *args, weir_backend_iter **iter,
                                 weir_error *err)
{
    *iter = NULL;
    weir_backend_iter *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir__lmdb_error(db, WEIR_NO_MEMORY, "no memory for an iterator", err);
    *made = (weir_backend_iter){.db = db,
                                .snapshot = args->snapshot,
                                .lower = args->lower,
                                .upper = args->upper,
                                .has_lower = args->has_lower,
                                .has_upper = args->has_upper,
                                .reverse = args->reverse};
    weir_status status = WEIR_OK;
    if (made->snapshot != NULL)
        made->reader = made->snapshot->reader;
    else
        status = weir__lmdb_reader_take(db, &made->reader, err);
    if (status == WEIR_OK) {
        lock_snapshot(made);
        int code = mdb_cursor_open(made->reader->txn, cf->dbi, &made->cursor);
        /* A snapshot may be older than the family. */
        if (code == EINVAL || code == MDB_BAD_DBI)
            made->cursor = NULL;
        else if (code != 0)
            status = weir__lmdb_fail(db->host, db->label, code, "can't open an iterator", err);
        unlock_snapshot(made);
    }
    made->at_end = made->cursor == NULL || range_is_empty(made);
    if (status != WEIR_OK) {
        weir__lmdb_iter_close(made);
        return status;
    }
    /* The first movement comes with the first iter_next, as a seek may come before it. */
    *iter = made;
    return WEIR_OK;
}

static weir_status advance(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                           weir_error *err)
{
    int code = 0;
    if (iter->placed)
        iter->placed = false;
    else if (iter->key.mv_data == NULL)
        code = move_to_start(iter);
    else
        code = step(iter, iter->reverse);
    if (code != 0) {
        iter->at_end = true;
        return weir__lmdb_fail(iter->db->host, iter->db->label, code, "can't move an iterator",
                               err);
    }
    if (iter->at_end)
        return WEIR_NOT_FOUND;
    stand_on(iter, key, value);
    if (!is_outside(iter, *key))
        return WEIR_OK;
    iter->at_end = true;
    *key = weir_slice_of(NULL, 0);
    *value = weir_slice_of(NULL, 0);
    return WEIR_NOT_FOUND;
}

weir_status weir__lmdb_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                 weir_error *err)
{
    *key = weir_slice_of(NULL, 0);
    *value = weir_slice_of(NULL, 0);
    if (iter->at_end)
        return WEIR_NOT_FOUND;
    lock_snapshot(iter);
    weir_status status = advance(iter, key, value, err);
    unlock_snapshot(iter);
    return status;
}

weir_status weir__lmdb_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    int code;
    if (iter->cursor == NULL || range_is_empty(iter))
        return WEIR_OK;
    lock_snapshot(iter);
    iter->at_end = false;
    bool before = iter->has_lower && weir__lmdb_compare(target, iter->lower) < 0;
    bool behind = iter->has_upper && weir__lmdb_compare(target, iter->upper) >= 0;
    if (iter->reverse)
        code = behind ? move_to_start(iter) : move_before(iter, target, true);
    else
        code = before ? move_to_start(iter) : move_to(iter, target);
    iter->placed = code == 0 && !iter->at_end;
    if (code != 0)
        iter->at_end = true;
    unlock_snapshot(iter);
    return code == 0 ? WEIR_OK
                     : weir__lmdb_fail(iter->db->host, iter->db->label, code,
                                       "can't move an iterator", err);
}

void weir__lmdb_iter_close(weir_backend_iter *iter)
{
    if (iter == NULL)
        return;
    lock_snapshot(iter);
    if (iter->cursor != NULL)
        mdb_cursor_close(iter->cursor);
    unlock_snapshot(iter);
    if (iter->snapshot == NULL && iter->reader != NULL)
        weir__lmdb_reader_give(iter->db, iter->reader, false);
    free(iter);
}
