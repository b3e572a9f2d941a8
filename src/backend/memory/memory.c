/*
 * The method table of the memory backend: databases, column families, batches, snapshots
 * and iterators over the copy-on-write B+tree of tree.h.
 *
 * Like a plugin, this folder uses nothing of Weir but weir/backend.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/memory/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/memory/tree.h"

#define KEY_MAX_SIZE    65535u
#define VALUE_MAX_SIZE  ((UINT64_C(1) << 31) - 1)
#define SPARE_ITERATORS 4

enum option_row { ROW_MAX_BYTES };

static const weir_option_spec option_table[] = {
    [ROW_MAX_BYTES] = {"max_bytes", WEIR_OPTION_SIZE, "0", NULL, 0, 0,
                       "most bytes of keys and values that a database may hold; 0: no limit"},
    {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

struct weir_backend_cf {
    char *name;
    uint64_t id; /* never used twice in a database */
    weir__tree tree;
    weir__tree before; /* when the batch in progress first touched it */
    bool touched;
    weir_backend_cf *next;
};

typedef struct snapshot_root {
    uint64_t cf_id;
    const weir__node *root;
} snapshot_root;

struct weir_backend_snapshot {
    weir__epoch epoch;
    size_t count;
    snapshot_root roots[];
};

struct weir_backend_iter {
    weir_backend_db *db;
    weir__epoch epoch;
    weir__cursor cursor;
    weir_slice lower, upper;
    bool has_lower, has_upper, reverse;
    bool placed; /* the cursor stands on the item that iter_next gives next */
    weir_backend_iter *next_spare;
};

struct weir_backend_db {
    const weir_backend_host *host;
    const char *label;
    bool read_only;
    uint64_t max_bytes;
    uint64_t last_cf_id;
    weir__heap heap;
    weir_backend_cf *cfs;
    weir_backend_cf *dropped; /* while a snapshot may still see their items */
    weir_backend_iter *spare_iters;
    size_t spare_iter_count;
};

static weir_status fail(const weir_backend_db *db, weir_status status, const char *what,
                        weir_error *err)
{
    char message[512];
    snprintf(message, sizeof message, "%s (%s)", what, db->label);
    return db->host->error(err, status, message);
}

/* ------------------------------------------------------------ column families */

static weir_backend_cf *cf_find(const weir_backend_db *db, const char *name)
{
    for (weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next)
        if (strcmp(cf->name, name) == 0)
            return cf;
    return NULL;
}

static void cf_free(weir_backend_db *db, weir_backend_cf *cf)
{
    weir__tree_free(&db->heap, cf->tree.root);
    free(cf->name);
    free(cf);
}

static void free_dropped(weir_backend_db *db)
{
    while (db->dropped != NULL) {
        weir_backend_cf *cf = db->dropped;
        db->dropped = cf->next;
        cf_free(db, cf);
    }
}

static weir_status memory_cf_open(weir_backend_db *db, const char *name, bool create,
                                  weir_backend_cf **cf, weir_error *err)
{
    *cf = cf_find(db, name);
    if (*cf != NULL)
        return WEIR_OK;
    if (!create)
        return WEIR_NOT_FOUND;
    if (db->read_only)
        return fail(db, WEIR_UNSUPPORTED, "a column family can't be created: opened read-only",
                    err);
    weir_backend_cf *made = calloc(1, sizeof *made);
    if (made == NULL || (made->name = strdup(name)) == NULL) {
        free(made);
        return fail(db, WEIR_NO_MEMORY, "no memory for a column family", err);
    }
    made->id = ++db->last_cf_id;
    made->next = db->cfs;
    db->cfs = made;
    *cf = made;
    return WEIR_OK;
}

static weir_status memory_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    if (db->read_only)
        return fail(db, WEIR_UNSUPPORTED, "a column family can't be dropped: opened read-only",
                    err);
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) == 0)
        return fail(db, WEIR_INVALID, "the column family 'default' can't be dropped", err);
    weir_backend_cf **at = &db->cfs;
    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    weir_backend_cf *cf = *at;
    if (cf == NULL)
        return WEIR_NOT_FOUND;
    *at = cf->next;
    cf->next = db->dropped;
    db->dropped = cf;
    if (db->heap.newest == NULL)
        free_dropped(db);
    return WEIR_OK;
}

static weir_status memory_cf_list(weir_backend_db *db,
                                  weir_status (*visit)(const char *name, void *arg), void *arg,
                                  weir_error *err)
{
    (void)err;
    for (const weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next) {
        weir_status status = visit(cf->name, arg);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* -------------------------------------------------------------- open and close */

static weir_status memory_open(const weir_backend_open_args *args, weir_backend_db **db,
                               weir_error *err)
{
    *db = NULL;
    if (!args->create)
        return WEIR_NOT_FOUND;
    weir_backend_db *made = calloc(1, sizeof *made);
    if (made == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "no memory for a database");
    made->host = args->host;
    made->label = args->label;
    made->max_bytes = (uint64_t)args->options[ROW_MAX_BYTES].integer;
    weir__heap_init(&made->heap);
    weir_backend_cf *cf;
    weir_status status = memory_cf_open(made, WEIR_BACKEND_DEFAULT_CF, true, &cf, err);
    if (status != WEIR_OK) {
        free(made);
        return status;
    }
    made->read_only = args->read_only;
    *db = made;
    return WEIR_OK;
}

static weir_status memory_close(weir_backend_db *db, weir_error *err)
{
    (void)err;
    free_dropped(db);
    while (db->cfs != NULL) {
        weir_backend_cf *cf = db->cfs;
        db->cfs = cf->next;
        cf_free(db, cf);
    }
    while (db->spare_iters != NULL) {
        weir_backend_iter *iter = db->spare_iters;
        db->spare_iters = iter->next_spare;
        free(iter);
    }
    weir__heap_release(&db->heap);
    free(db);
    return WEIR_OK;
}

static weir_status memory_destroy(const weir_backend_open_args *args, weir_error *err)
{
    (void)args;
    (void)err;
    return WEIR_OK;
}

/* ---------------------------------------------------------------------- reads */

static const weir__node *root_of(const weir_backend_cf *cf, const weir_backend_snapshot *snapshot)
{
    if (snapshot == NULL)
        return cf->tree.root;
    for (size_t i = 0; i < snapshot->count; i++)
        if (snapshot->roots[i].cf_id == cf->id)
            return snapshot->roots[i].root;
    return NULL;
}

static weir_status memory_get(weir_backend_db *db, weir_backend_cf *cf,
                              weir_backend_snapshot *snapshot, weir_slice key,
                              weir_backend_value *value, weir_error *err)
{
    (void)db;
    (void)err;
    weir__item *item = weir__tree_find(root_of(cf, snapshot), key);
    if (item == NULL) {
        *value = (weir_backend_value){NULL, 0, NULL};
        return WEIR_NOT_FOUND;
    }
    item->pins++;
    weir_slice bytes = weir__item_value(item);
    *value = (weir_backend_value){bytes.data, bytes.size, item};
    return WEIR_OK;
}

static weir_status memory_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                    weir_backend_snapshot *snapshot, const weir_slice *keys,
                                    size_t count, weir_backend_value *values, weir_status *statuses,
                                    weir_error *err)
{
    for (size_t i = 0; i < count; i++)
        statuses[i] = memory_get(db, cf, snapshot, keys[i], &values[i], err);
    return WEIR_OK;
}

static void memory_value_release(weir_backend_db *db, weir_backend_value *value)
{
    if (value->owner != NULL)
        weir__item_unpin(&db->heap, value->owner);
    *value = (weir_backend_value){NULL, 0, NULL};
}

/* --------------------------------------------------------------------- writes */

static weir_status check_ops(const weir_backend_db *db, const weir_backend_op *ops, size_t count,
                             weir_error *err)
{
    if (db->read_only)
        return fail(db, WEIR_UNSUPPORTED, "can't write: opened read-only", err);
    for (size_t i = 0; i < count; i++) {
        const weir_backend_op *op = &ops[i];
        if (op->cf == NULL || (op->kind != WEIR_OP_PUT && op->kind != WEIR_OP_DELETE))
            return fail(db, WEIR_INVALID, "a batch has a change of no known kind or family", err);
        if (op->key.size > KEY_MAX_SIZE)
            return fail(db, WEIR_TOO_LARGE, "a key has more than 65535 bytes", err);
        if (op->kind == WEIR_OP_PUT && op->value.size > VALUE_MAX_SIZE)
            return fail(db, WEIR_TOO_LARGE, "a value has 2 GiB or more", err);
    }
    return WEIR_OK;
}

static weir_status apply(weir_backend_db *db, const weir_backend_op *op)
{
    weir_backend_cf *cf = op->cf;
    if (!cf->touched) {
        cf->touched = true;
        cf->before = cf->tree;
    }
    if (op->kind == WEIR_OP_PUT)
        return weir__tree_put(&db->heap, &cf->tree, op->key, op->value);
    return weir__tree_delete(&db->heap, &cf->tree, op->key);
}

static bool is_too_big(const weir_backend_db *db)
{
    uint64_t bytes = 0;
    uint64_t bytes_before = 0;
    for (const weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next) {
        bytes += cf->tree.bytes;
        bytes_before += cf->touched ? cf->before.bytes : cf->tree.bytes;
    }
    /* Deleting is always allowed. */
    return db->max_bytes > 0 && bytes > db->max_bytes && bytes > bytes_before;
}

static weir_status memory_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                uint32_t flags, weir_error *err)
{
    (void)flags;
    weir_status status = check_ops(db, ops, count, err);
    if (status != WEIR_OK)
        return status;
    weir__batch_begin(&db->heap);
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        status = apply(db, &ops[i]);
    if (status != WEIR_OK)
        fail(db, status, "no memory for a batch", err);
    else if (is_too_big(db))
        status = fail(db, WEIR_NO_SPACE, "a batch goes beyond the option max_bytes", err);
    if (status == WEIR_OK)
        weir__batch_commit(&db->heap);
    else
        weir__batch_abort(&db->heap);
    for (weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next) {
        if (cf->touched && status != WEIR_OK)
            weir__batch_undo(&db->heap, &cf->tree, &cf->before);
        cf->touched = false;
    }
    return status;
}

static weir_status memory_flush(weir_backend_db *db, weir_error *err)
{
    (void)db;
    (void)err;
    return WEIR_OK;
}

/* ------------------------------------------------------------------- snapshots */

static weir_status memory_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                        weir_error *err)
{
    size_t count = 0;
    for (const weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next)
        count++;
    *snapshot = malloc(sizeof **snapshot + count * sizeof(snapshot_root));
    if (*snapshot == NULL)
        return fail(db, WEIR_NO_MEMORY, "no memory for a snapshot", err);
    (*snapshot)->count = 0;
    for (const weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next)
        (*snapshot)->roots[(*snapshot)->count++] = (snapshot_root){cf->id, cf->tree.root};
    weir__epoch_open(&db->heap, &(*snapshot)->epoch, NULL);
    return WEIR_OK;
}

static void close_epoch(weir_backend_db *db, weir__epoch *epoch)
{
    weir__epoch_close(&db->heap, epoch);
    if (db->heap.newest == NULL)
        free_dropped(db);
}

static void memory_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    close_epoch(db, &snapshot->epoch);
    free(snapshot);
}

/* ------------------------------------------------------------------- iteration */

static int compare(weir_slice a, weir_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size ? 1 : 0;
}

static void place_at_start(weir_backend_iter *iter)
{
    iter->placed = true;
    if (iter->reverse && iter->has_upper)
        weir__cursor_before(&iter->cursor, iter->upper);
    else if (iter->reverse)
        weir__cursor_last(&iter->cursor);
    else if (iter->has_lower)
        weir__cursor_at_or_after(&iter->cursor, iter->lower);
    else
        weir__cursor_first(&iter->cursor);
}

static weir_status memory_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err)
{
    weir_backend_iter *made = db->spare_iters;
    *iter = NULL;
    if (made != NULL) {
        db->spare_iters = made->next_spare;
        db->spare_iter_count--;
    } else {
        made = malloc(sizeof *made);
        if (made == NULL)
            return fail(db, WEIR_NO_MEMORY, "no memory for an iterator", err);
    }
    made->db = db;
    made->lower = args->lower;
    made->upper = args->upper;
    made->has_lower = args->has_lower;
    made->has_upper = args->has_upper;
    made->reverse = args->reverse;
    weir__cursor_init(&made->cursor, root_of(cf, args->snapshot));
    weir__epoch_open(&db->heap, &made->epoch,
                     args->snapshot != NULL ? &args->snapshot->epoch : NULL);
    place_at_start(made);
    *iter = made;
    return WEIR_OK;
}

static weir_status memory_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err)
{
    (void)err;
    if (!iter->placed && iter->reverse)
        weir__cursor_previous(&iter->cursor);
    else if (!iter->placed)
        weir__cursor_next(&iter->cursor);
    iter->placed = false;
    const weir__item *item = weir__cursor_item(&iter->cursor);
    if (item != NULL) {
        *key = weir__item_key(item);
        *value = weir__item_value(item);
        if (iter->reverse ? !iter->has_lower || compare(*key, iter->lower) >= 0
                          : !iter->has_upper || compare(*key, iter->upper) < 0)
            return WEIR_OK;
        iter->cursor.depth = -1;
    }
    *key = weir_slice_of(NULL, 0);
    *value = weir_slice_of(NULL, 0);
    return WEIR_NOT_FOUND;
}

static weir_status memory_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    (void)err;
    iter->placed = true;
    if (!iter->reverse) {
        if (iter->has_lower && compare(target, iter->lower) < 0)
            target = iter->lower;
        weir__cursor_at_or_after(&iter->cursor, target);
        return WEIR_OK;
    }
    if (iter->has_upper && compare(target, iter->upper) >= 0) {
        weir__cursor_before(&iter->cursor, iter->upper);
        return WEIR_OK;
    }
    weir__cursor_at_or_after(&iter->cursor, target);
    const weir__item *item = weir__cursor_item(&iter->cursor);
    if (item == NULL || compare(weir__item_key(item), target) != 0)
        weir__cursor_before(&iter->cursor, target);
    return WEIR_OK;
}

static void memory_iter_close(weir_backend_iter *iter)
{
    if (iter == NULL)
        return;
    weir_backend_db *db = iter->db;
    close_epoch(db, &iter->epoch);
    if (db->spare_iter_count >= SPARE_ITERATORS) {
        free(iter);
        return;
    }
    iter->next_spare = db->spare_iters;
    db->spare_iters = iter;
    db->spare_iter_count++;
}

/* --------------------------------------------------------------------- figures */

static weir_status memory_stats(weir_backend_db *db,
                                void (*visit)(const char *name, uint64_t value, void *arg),
                                void *arg, weir_error *err)
{
    (void)err;
    uint64_t keys = 0;
    uint64_t bytes = 0;
    for (const weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next) {
        keys += cf->tree.count;
        bytes += cf->tree.bytes;
    }
    visit("bytes.memory", db->heap.bytes, arg);
    visit("bytes.data", bytes, arg);
    visit("keys.estimated", keys, arg);
    return WEIR_OK;
}

static const weir_backend memory_backend = {
    .struct_size = sizeof(weir_backend),
    .abi_version = WEIR_BACKEND_ABI_VERSION,
    .name = "memory",
    .version = "memory " WEIR_VERSION_STRING,
    .capabilities = WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_ATOMIC_BATCH | WEIR_CAP_BOUNDED_ITERATION |
                    WEIR_CAP_REVERSE_ITERATION | WEIR_CAP_SNAPSHOTS,
    .options = option_table,
    .open = memory_open,
    .close = memory_close,
    .destroy = memory_destroy,
    .cf_open = memory_cf_open,
    .cf_drop = memory_cf_drop,
    .cf_list = memory_cf_list,
    .get = memory_get,
    .multi_get = memory_multi_get,
    .value_release = memory_value_release,
    .write = memory_write,
    .iter_open = memory_iter_open,
    .iter_next = memory_iter_next,
    .iter_seek = memory_iter_seek,
    .iter_close = memory_iter_close,
    .flush = memory_flush,
    .snapshot_open = memory_snapshot_open,
    .snapshot_close = memory_snapshot_close,
    .stats = memory_stats,
};

const weir_backend *weir__backend_memory(void)
{
    return &memory_backend;
}
