/*
 * Batches and flushes. One WriteBatch over all column families is atomic in the write-ahead
 * log, and without the log in the flush, which then takes all families at one point between
 * two batches.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "backend/rocksdb/internal.h"

/* Memory that an emptied batch may keep for the next one, however small that is. */
#define BATCH_KEEP_BYTES ((size_t)8 << 20)
/* Changes are in the order of their keys, and so anywhere in memory: those that come next are on
 * their way while one is copied. */
#define PREFETCH 8u

static weir_status fill_batch(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                              weir_error *err)
{
    rocksdb_writebatch_t *batch = db->batch;
    for (size_t i = 0; i < count; i++) {
        const weir_backend_op *op = &ops[i];
        if (i + PREFETCH < count) {
            __builtin_prefetch(ops[i + PREFETCH].key.data);
            __builtin_prefetch(ops[i + PREFETCH].value.data);
        }
        switch (op->kind) {
        case WEIR_OP_PUT:
            rocksdb_writebatch_put_cf(batch, op->cf->handle, op->key.data, op->key.size,
                                      op->value.data, op->value.size);
            break;
        case WEIR_OP_DELETE:
            rocksdb_writebatch_delete_cf(batch, op->cf->handle, op->key.data, op->key.size);
            break;
        default:
            return weir__rocksdb_error(db, err, WEIR_INVALID, "a batch holds a change of kind %u",
                                       (unsigned)op->kind);
        }
    }
    return WEIR_OK;
}

static void empty_batch(weir_backend_db *db)
{
    size_t size = 0;
    (void)rocksdb_writebatch_data(db->batch, &size);
    if (size > db->largest_batch)
        db->largest_batch = size;
    if (db->largest_batch <= BATCH_KEEP_BYTES || size >= db->largest_batch / 4) {
        rocksdb_writebatch_clear(db->batch);
        return;
    }
    rocksdb_writebatch_destroy(db->batch);
    db->batch = rocksdb_writebatch_create();
    db->largest_batch = 0;
}

weir_status weir__rocksdb_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                uint32_t flags, weir_error *err)
{
    char *text = NULL;
    if (db->read_only)
        return weir__rocksdb_refuse_read_only(db, "write", err);
    bool sync = (flags & WEIR_WRITE_SYNC) != 0;
    weir_status status = fill_batch(db, ops, count, err);
    if (status == WEIR_OK) {
        rocksdb_write(db->rocks, sync && db->settings.wal ? db->write_sync : db->write, db->batch,
                      &text);
        if (text) {
            db->has_failed = true;
            status = weir__rocksdb_fail(db, text, false, "write a batch", err);
        }
    }
    empty_batch(db);
    /* Without the log only a flush makes a batch durable. */
    if (status == WEIR_OK && sync && !db->settings.wal)
        status = weir__rocksdb_flush(db, err);
    return status;
}

bool weir__rocksdb_is_flushed(const weir_backend_db *db)
{
    for (size_t i = 0; i < db->cf_count; i++) {
        uint64_t active = 1;
        uint64_t waiting = 1;
        rocksdb_column_family_handle_t *handle = db->cfs[i]->handle;
        (void)rocksdb_property_int_cf(db->rocks, handle, "rocksdb.num-entries-active-mem-table",
                                      &active);
        (void)rocksdb_property_int_cf(db->rocks, handle, "rocksdb.num-immutable-mem-table",
                                      &waiting);
        if (active > 0 || waiting > 0)
            return false;
    }
    return true;
}

#ifdef WEIR_ROCKSDB_HAS_FLUSH_CFS

static weir_status flush_memtables(weir_backend_db *db, weir_error *err)
{
    char *text = NULL;
    weir_status status = WEIR_OK;
    rocksdb_flushoptions_t *options = NULL;
    rocksdb_column_family_handle_t **handles = calloc(db->cf_count, sizeof(*handles));
    if (!handles)
        return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory to flush");
    for (size_t i = 0; i < db->cf_count; i++)
        handles[i] = db->cfs[i]->handle;
    options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, 1);
    rocksdb_flush_cfs(db->rocks, options, handles, (int)db->cf_count, &text);
    if (text)
        status = weir__rocksdb_fail(db, text, false, "flush", err);
    rocksdb_flushoptions_destroy(options);
    free(handles);
    return status;
}

#else

/*
 * Older C APIs flush one column family at a time, which would tear batches apart. Taking a
 * checkpoint flushes all of them as one, so a checkpoint is taken (hard links only) and
 * removed.
 */
static weir_status flush_memtables(weir_backend_db *db, weir_error *err)
{
    char *text = NULL;
    weir_status status = WEIR_OK;
    rocksdb_checkpoint_t *checkpoint = NULL;
    char *folder = weir__rocksdb_join(db->location, WEIR__ROCKSDB_FLUSH_FOLDER);
    if (!folder)
        return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory to flush");
    weir__rocksdb_remove_flat_folder(folder);
    checkpoint = rocksdb_checkpoint_object_create(db->rocks, &text);
    if (!text)
        rocksdb_checkpoint_create(checkpoint, folder, 0, &text);
    if (text)
        status = weir__rocksdb_fail(db, text, false, "flush", err);
    if (checkpoint)
        rocksdb_checkpoint_object_destroy(checkpoint);
    weir__rocksdb_remove_flat_folder(folder);
    free(folder);
    return status;
}

#endif

weir_status weir__rocksdb_flush(weir_backend_db *db, weir_error *err)
{
    char *text = NULL;
    if (db->read_only)
        return WEIR_OK;
    if (!db->settings.wal)
        return weir__rocksdb_is_flushed(db) ? WEIR_OK : flush_memtables(db, err);
    rocksdb_flush_wal(db->rocks, 1, &text);
    if (text)
        return weir__rocksdb_fail(db, text, false, "sync the write-ahead log", err);
    return WEIR_OK;
}
