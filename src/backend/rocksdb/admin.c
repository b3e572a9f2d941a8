/*
 * Snapshots, checkpoints, compaction and figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "backend/rocksdb/internal.h"

weir_status weir__rocksdb_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                        weir_error *err)
{
    weir_backend_snapshot *made = calloc(1, sizeof(*made));
    *snapshot = made;
    if (!made)
        return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory for a snapshot");
    made->snapshot = rocksdb_create_snapshot(db->rocks);
    made->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(made->read, made->snapshot);
    return WEIR_OK;
}

void weir__rocksdb_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    if (!snapshot)
        return;
    rocksdb_readoptions_destroy(snapshot->read);
    rocksdb_release_snapshot(db->rocks, snapshot->snapshot);
    free(snapshot);
}

weir_status weir__rocksdb_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    char *text = NULL;
    weir_status status = WEIR_OK;
    if (db->read_only)
        return weir__rocksdb_refuse_read_only(db, "make a checkpoint", err);
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(db->rocks, &text);
    /* 0: flush first, so that the copy needs no write-ahead log, wherever those are kept. */
    if (!text)
        rocksdb_checkpoint_create(checkpoint, location, 0, &text);
    if (text)
        status = weir__rocksdb_fail(db, text, false, "make a checkpoint", err);
    if (checkpoint)
        rocksdb_checkpoint_object_destroy(checkpoint);
    return status;
}

weir_status weir__rocksdb_compact(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                                  weir_slice upper, weir_error *err)
{
    if (db->read_only)
        return weir__rocksdb_refuse_read_only(db, "compact", err);
    /* RocksDB takes NULL for "no bound". */
    rocksdb_compact_range_cf(db->rocks, cf->handle, lower.size ? lower.data : NULL, lower.size,
                             upper.size ? upper.data : NULL, upper.size);
    return WEIR_OK;
}

/* Sum of an integer property over all column families. */
static uint64_t sum_of(const weir_backend_db *db, const char *property)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < db->cf_count; i++) {
        uint64_t value = 0;
        if (rocksdb_property_int_cf(db->rocks, db->cfs[i]->handle, property, &value) == 0)
            sum += value;
    }
    return sum;
}

weir_status weir__rocksdb_stats(weir_backend_db *db,
                                void (*visit)(const char *name, uint64_t value, void *arg),
                                void *arg, weir_error *err)
{
    (void)err;
    uint64_t memtables = sum_of(db, "rocksdb.cur-size-all-mem-tables");
    uint64_t readers = sum_of(db, "rocksdb.estimate-table-readers-mem");
    uint64_t cache = 0;
    /* The cache is shared: this is what all databases of its capacity use. */
    (void)rocksdb_property_int(db->rocks, "rocksdb.block-cache-usage", &cache);
    visit("bytes.disk", sum_of(db, "rocksdb.total-sst-files-size"), arg);
    visit("bytes.memory", memtables + readers, arg);
    visit("bytes.memtables", memtables, arg);
    visit("bytes.block_cache_shared", cache, arg);
    visit("keys.estimated", sum_of(db, "rocksdb.estimate-num-keys"), arg);
    visit("families", db->cf_count, arg);
    visit("pending_compaction.bytes", sum_of(db, "rocksdb.estimate-pending-compaction-bytes"), arg);
    return WEIR_OK;
}
