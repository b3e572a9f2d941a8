/*
 * Reads, batches, snapshots, copies and figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/slatedb/internal.h"

weir_status weir__slatedb_get(weir_backend_db *db, weir_backend_cf *cf,
                              weir_backend_snapshot *snapshot, weir_slice key,
                              weir_backend_value *value, weir_error *err)
{
    (void)cf;
    weir__slate_error error;
    *value = (weir_backend_value){NULL, 0, NULL};
    int kind = weir_slate_get(db->slate, weir__slatedb_snapshot_of(snapshot),
                              weir__slatedb_key_stored(key), value, &error);
    return kind == WEIR__SLATE_OK ? WEIR_OK
                                  : weir__slatedb_fail(db, kind, &error, "read a key", err);
}

weir_status weir__slatedb_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                    weir_backend_snapshot *snapshot, const weir_slice *keys,
                                    size_t count, weir_backend_value *values, weir_status *statuses,
                                    weir_error *err)
{
    (void)cf;
    weir__slate_error error;
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < count; i++)
        values[i] = (weir_backend_value){NULL, 0, NULL};
    weir_slice *stored = count > 0 ? malloc(count * sizeof *stored) : NULL;
    for (size_t i = 0; stored != NULL && i < count; i++)
        stored[i] = weir__slatedb_key_stored(keys[i]);
    if (stored != NULL) {
        int kind = weir_slate_multi_get(db->slate, weir__slatedb_snapshot_of(snapshot), stored,
                                        count, values, &error);
        if (kind != WEIR__SLATE_OK)
            status = weir__slatedb_fail(db, kind, &error, "read several keys", err);
    } else if (count > 0) {
        status = weir__slatedb_error(db, err, WEIR_NO_MEMORY, "no memory for keys");
    }
    free(stored);
    for (size_t i = 0; i < count; i++)
        statuses[i] = status != WEIR_OK         ? status
                      : values[i].owner != NULL ? WEIR_OK
                                                : WEIR_NOT_FOUND;
    return status;
}

void weir__slatedb_value_release(weir_backend_db *db, weir_backend_value *value)
{
    (void)db;
    weir_slate_value_release(value->owner);
    *value = (weir_backend_value){NULL, 0, NULL};
}

/* Writes ops whose keys are those of SlateDB. */
static weir_status write_stored(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                bool durable, weir_error *err)
{
    weir__slate_error error;
    int kind = weir_slate_write(db->slate, ops, count, durable, &error);
    return kind == WEIR__SLATE_OK ? WEIR_OK
                                  : weir__slatedb_fail(db, kind, &error, "write a batch", err);
}

/* A batch in which some keys are others in SlateDB. */
static weir_status write_given(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                               bool durable, weir_error *err)
{
    weir_backend_op *stored = malloc(count * sizeof *stored);
    if (stored == NULL)
        return weir__slatedb_error(db, err, WEIR_NO_MEMORY, "no memory for a batch");
    memcpy(stored, ops, count * sizeof *stored);
    for (size_t i = 0; i < count; i++)
        stored[i].key = weir__slatedb_key_stored(ops[i].key);
    weir_status status = write_stored(db, stored, count, durable, err);
    free(stored);
    return status;
}

weir_status weir__slatedb_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                uint32_t flags, weir_error *err)
{
    bool is_as_stored = true;
    if (db->read_only)
        return weir__slatedb_error(db, err, WEIR_UNSUPPORTED, "can't write: it is open read-only");
    if (count == 0)
        return WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        if (ops[i].key.size > WEIR__SLATEDB_KEY_MAX)
            return weir__slatedb_error(db, err, WEIR_TOO_LARGE, "a key has more than %u bytes",
                                       WEIR__SLATEDB_KEY_MAX);
        is_as_stored = is_as_stored && weir__slatedb_key_stored(ops[i].key).size == ops[i].key.size;
    }
    bool durable = db->settings.is_durable_write || (flags & WEIR_WRITE_SYNC) != 0;
    return is_as_stored ? write_stored(db, ops, count, durable, err)
                        : write_given(db, ops, count, durable, err);
}

weir_status weir__slatedb_flush(weir_backend_db *db, weir_error *err)
{
    weir__slate_error error;
    if (db->read_only)
        return WEIR_OK;
    int kind = weir_slate_flush(db->slate, false, &error);
    return kind == WEIR__SLATE_OK ? WEIR_OK
                                  : weir__slatedb_fail(db, kind, &error, "store its log", err);
}

weir_status weir__slatedb_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                        weir_error *err)
{
    weir__slate_error error;
    weir__slate_snapshot *made = NULL;
    *snapshot = NULL;
    int kind = weir_slate_snapshot_open(db->slate, false, &made, &error);
    if (kind != WEIR__SLATE_OK)
        return weir__slatedb_fail(db, kind, &error, "take a snapshot", err);
    *snapshot = (weir_backend_snapshot *)(void *)made;
    return WEIR_OK;
}

void weir__slatedb_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    (void)db;
    weir_slate_snapshot_close(weir__slatedb_snapshot_of(snapshot));
}

weir_status weir__slatedb_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    weir__slate_error error;
    weir__slatedb_settings target;
    if (db->read_only)
        return weir__slatedb_error(db, err, WEIR_UNSUPPORTED,
                                   "can't make a checkpoint: it is open read-only");
    weir_status status = weir__slatedb_settings_move(db, location, &target, err);
    if (status != WEIR_OK)
        goto done;
    if (!target.is_remote && mkdir(location, 0777) != 0) {
        status = weir__slatedb_error(db, err, errno == EEXIST ? WEIR_INVALID : WEIR_IO,
                                     "can't make the folder %s: %s", location, strerror(errno));
        goto done;
    }
    target.config.create = true;
    target.config.read_only = false;
    int kind = weir_slate_copy(db->slate, &target.config, &error);
    if (kind != WEIR__SLATE_OK)
        status = weir__slatedb_fail(db, kind, &error, "make a checkpoint", err);
done:
    weir__slatedb_settings_release(&target);
    return status;
}

/* A database at another place of the same bucket that shares the tables of this one. */
static weir_status clone_to(weir_backend_db *db, const char *location, weir_error *err)
{
    weir__slate_error error;
    weir__slatedb_settings target;
    weir_status status = weir__slatedb_settings_move(db, location, &target, err);
    if (status == WEIR_OK && (!db->settings.is_remote || !target.is_remote ||
                              strcmp(db->settings.store_url, target.store_url) != 0))
        status = weir__slatedb_error(db, err, WEIR_INVALID,
                                     "can't clone to %s: a clone shares tables, so both must lie "
                                     "in the same bucket; copy with 'weir state migrate' instead",
                                     location);
    if (status == WEIR_OK) {
        int kind = weir_slate_clone(db->slate, &db->settings.config, &target.config, &error);
        if (kind != WEIR__SLATE_OK)
            status = weir__slatedb_fail(db, kind, &error, "make a clone", err);
    }
    weir__slatedb_settings_release(&target);
    return status;
}

weir_status weir__slatedb_control(weir_backend_db *db, const char *op, void *arg, weir_error *err)
{
    return strcmp(op, "clone") == 0 ? clone_to(db, arg, err)
                                    : weir__slatedb_error(db, err, WEIR_UNSUPPORTED,
                                                          "slatedb has no operation '%s'", op);
}

weir_status weir__slatedb_stats(weir_backend_db *db,
                                void (*visit)(const char *name, uint64_t value, void *arg),
                                void *arg, weir_error *err)
{
    weir__slate_error error;
    int kind = weir_slate_stats(db->slate, visit, arg, &error);
    return kind == WEIR__SLATE_OK ? WEIR_OK
                                  : weir__slatedb_fail(db, kind, &error, "tell figures", err);
}
