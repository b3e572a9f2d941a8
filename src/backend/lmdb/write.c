/*
 * Writing: one transaction for a batch, and a map that grows when it is full.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "internal.h"

/* LMDB keeps the size of an item in 32 bits; a bucket is one item. */
#define BUCKET_MAX (UINT32_MAX - WEIR__LMDB_CHECKSUM_SIZE)
/* A disk with less is full. */
#define LEAST_FREE 65536u

/* ------------------------------------------------------------- a transaction */

/* Twice as large; LMDB maps whole pages, and so large a map is address space, not disk. */
static weir_status grow(weir_backend_db *db, weir_error *err)
{
    char message[128];
    if (db->map_size > SIZE_MAX / 2)
        return weir__lmdb_error(db, WEIR_NO_SPACE, "the map can't grow any more", err);
    size_t size = db->map_size * 2;
    weir_status status = weir__lmdb_remap(db, size, err);
    if (status == WEIR_OK) {
        snprintf(message, sizeof message, "the map has grown to %zu MiB", size >> 20);
        db->host->log(WEIR_LOG_DEBUG, "lmdb.grow", message);
    }
    return status;
}

/* LMDB tells a write that the end of the disk cut off as EIO. */
static int reason_of(weir_backend_db *db, int code)
{
    mdb_filehandle_t fd;
    struct statvfs disk;
    if (code != EIO || mdb_env_get_fd(db->env, &fd) != 0 || fstatvfs(fd, &disk) != 0)
        return code;
    return disk.f_bavail * disk.f_frsize < LEAST_FREE ? ENOSPC : code;
}

typedef struct change {
    weir_backend_db *db;
    int (*run)(weir_backend_db *db, MDB_txn *txn, void *arg);
    void *arg;
} change;

static int run_transaction(void *arg)
{
    const change *c = arg;
    MDB_txn *txn;
    int code = mdb_txn_begin(c->db->env, NULL, 0, &txn);
    if (code != 0)
        return code;
    code = c->run(c->db, txn, c->arg);
    if (code == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

static int measure(weir_backend_db *db)
{
    pthread_mutex_lock(&db->mutex);
    int code = weir__lmdb_measure(db);
    pthread_mutex_unlock(&db->mutex);
    return code;
}

weir_status weir__lmdb_change(weir_backend_db *db,
                              int (*run)(weir_backend_db *db, MDB_txn *txn, void *arg), void *arg,
                              const char *what, weir_error *err)
{
    if (db->read_only)
        return weir__lmdb_error(db, WEIR_UNSUPPORTED, "the database was opened read-only", err);
    change c = {db, run, arg};
    if (db->is_broken)
        return weir__lmdb_error(
            db, WEIR_CORRUPTED,
            "the file was damaged while it was open: close it, and open it again", err);
    for (;;) {
        weir__lmdb_readers_rest(db, true);
        int code = measure(db);
        if (code == 0)
            code = weir__lmdb_guard(run_transaction, &c);
        db->is_broken = code == MDB_PANIC;
        weir__lmdb_readers_age(db);
        if (code != MDB_MAP_FULL)
            return code == 0 ? WEIR_OK
                             : weir__lmdb_fail(db->host, db->label, reason_of(db, code), what, err);
        weir_status status = grow(db, err);
        if (status != WEIR_OK)
            return status;
    }
}

/* -------------------------------------------------------------------- batches */

typedef struct batch {
    const weir_backend_op *ops;
    size_t count;
} batch;

static bool reserve_bucket(weir_backend_db *db, size_t size)
{
    if (size <= db->bucket_capacity)
        return true;
    unsigned char *room = realloc(db->bucket, size);
    if (room == NULL)
        return false;
    db->bucket = room;
    db->bucket_capacity = size;
    return true;
}

/* A key that is longer than LMDB takes: its bucket is read, changed and written back. */
static int change_bucket(weir_backend_db *db, MDB_txn *txn, const weir_backend_op *op,
                         MDB_val *stored)
{
    MDB_val old;
    const weir_slice *value = op->kind == WEIR_OP_PUT ? &op->value : NULL;
    int code = mdb_get(txn, op->cf->dbi, stored, &old);
    if (code != 0 && code != MDB_NOTFOUND)
        return code;
    const MDB_val *bucket = code == 0 ? &old : NULL;
    if (bucket != NULL &&
        (!weir__lmdb_open_item(stored, &old) || !weir__lmdb_bucket_is_whole(bucket)))
        return MDB_CORRUPTED;
    if (bucket == NULL && value == NULL)
        return 0;
    uint64_t size = weir__lmdb_bucket_changed_size(bucket, op->key, value);
    if (size == 0)
        return mdb_del(txn, op->cf->dbi, stored, NULL);
    if (size > BUCKET_MAX)
        return MDB_BAD_VALSIZE;
    if (!reserve_bucket(db, size))
        return ENOMEM;
    weir__lmdb_bucket_change(bucket, op->key, value, db->bucket);
    return weir__lmdb_put(txn, op->cf->dbi, stored, db->bucket, size);
}

static int apply(weir_backend_db *db, MDB_txn *txn, const weir_backend_op *op)
{
    unsigned char room[WEIR__LMDB_STORED_MAX];
    MDB_val stored = weir__lmdb_stored_key(op->key, room);
    if (weir__lmdb_is_long(op->key))
        return change_bucket(db, txn, op, &stored);
    if (op->kind == WEIR_OP_DELETE) {
        int code = mdb_del(txn, op->cf->dbi, &stored, NULL);
        return code == MDB_NOTFOUND ? 0 : code;
    }
    return weir__lmdb_put(txn, op->cf->dbi, &stored, op->value.data, op->value.size);
}

static int apply_all(weir_backend_db *db, MDB_txn *txn, void *arg)
{
    const batch *b = arg;
    int code = 0;
    for (size_t i = 0; i < b->count && code == 0; i++)
        code = apply(db, txn, &b->ops[i]);
    return code;
}

static weir_status check_ops(const weir_backend_db *db, const weir_backend_op *ops, size_t count,
                             weir_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ops[i].kind != WEIR_OP_PUT && ops[i].kind != WEIR_OP_DELETE)
            return weir__lmdb_error(db, WEIR_INVALID, "a change that is no put and no delete", err);
        if (ops[i].key.size > WEIR__LMDB_KEY_MAX)
            return weir__lmdb_error(db, WEIR_TOO_LARGE, "a key has more than 65535 bytes", err);
        if (ops[i].kind == WEIR_OP_PUT && ops[i].value.size > WEIR__LMDB_VALUE_MAX)
            return weir__lmdb_error(db, WEIR_TOO_LARGE, "a value has 2 GiB or more", err);
    }
    return WEIR_OK;
}

weir_status weir__lmdb_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                             uint32_t flags, weir_error *err)
{
    batch b = {ops, count};
    weir_status status = check_ops(db, ops, count, err);
    if (status == WEIR_OK && (count > 0 || db->read_only))
        status = weir__lmdb_change(db, apply_all, &b, "can't write a batch", err);
    if (status == WEIR_OK && (flags & WEIR_WRITE_SYNC) != 0)
        status = weir__lmdb_flush(db, err);
    return status;
}

weir_status weir__lmdb_flush(weir_backend_db *db, weir_error *err)
{
    int code = db->read_only ? 0 : mdb_env_sync(db->env, 1);
    return code == 0 ? WEIR_OK : weir__lmdb_fail(db->host, db->label, code, "can't sync", err);
}
