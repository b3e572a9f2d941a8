/*
 * The decorator that supplies what a backend lacks: opening, reads and batches. See
 * emulate.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/emulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys longer than this take a detour over the heap. */
#define KEY_ON_STACK 512
#define KEY_MAX_SIZE 65535u

#define EMULATED                                                                                   \
    (WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_BOUNDED_ITERATION | WEIR_CAP_REVERSE_ITERATION)

bool weir__emulation_needed(const weir_backend *table)
{
    return (table->capabilities & EMULATED) != EMULATED || table->multi_get == NULL ||
           table->iter_seek == NULL;
}

weir_status weir__emulation_fail(const weir_backend_db *db, weir_status status, const char *what,
                                 weir_error *err)
{
    return weir_error_set(err, status, "%s (%s)", what, db->label);
}

/* -------------------------------------------------------------- open and close */

static void say(const weir_backend_db *db, bool has, const char *what)
{
    if (!has)
        weir_log(WEIR_LOG_INFO, "store.emulation", "%s (%s)", what, db->label);
}

static void say_what_is_emulated(const weir_backend_db *db)
{
    say(db, db->has_families,
        "the backend lacks column families: each key gets a prefix of two bytes");
    say(db, db->has_bounds,
        db->has_seek ? "the backend lacks bounded iteration: the host stops at the bound"
                     : "the backend lacks bounded iteration: the host filters a full scan");
    say(db, db->has_reverse,
        db->has_seek || db->has_snapshots
            ? "the backend lacks reverse iteration: the host reads each range forward first, then "
              "again block by block from the end"
            : "the backend lacks reverse iteration: the host reads each range forward into memory");
    say(db, db->inner->multi_get != NULL, "the backend lacks multi_get: the host reads key by key");
    say(db, db->has_seek, "the backend lacks iter_seek: the host opens iterators anew");
}

static weir_status emulate_close(weir_backend_db *db, weir_error *err)
{
    weir_status status = db->inner->close(db->inner_db, err);
    weir__catalogue_close(db);
    weir__buffer_release(&db->keys);
    free(db->ops);
    free(db);
    return status;
}

static weir_status emulate_open(const weir_backend_open_args *args, weir_backend_db **db,
                                weir_error *err)
{
    *db = NULL;
    weir_backend_db *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a database (%s)", args->label);
    const uint64_t capabilities = args->inner->capabilities;
    made->host = args->host;
    made->label = args->label;
    made->inner = args->inner;
    made->read_only = args->read_only;
    made->has_families = (capabilities & WEIR_CAP_COLUMN_FAMILIES) != 0;
    made->has_bounds = (capabilities & WEIR_CAP_BOUNDED_ITERATION) != 0;
    made->has_reverse = (capabilities & WEIR_CAP_REVERSE_ITERATION) != 0;
    made->has_snapshots = (capabilities & WEIR_CAP_SNAPSHOTS) != 0;
    made->has_seek = args->inner->iter_seek != NULL;
    weir_status status = made->inner->open(args->inner_args, &made->inner_db, err);
    if (status != WEIR_OK) {
        free(made);
        return status;
    }
    if (!made->has_families)
        status = weir__catalogue_open(made, err);
    if (status != WEIR_OK) {
        (void)emulate_close(made, NULL);
        return status;
    }
    say_what_is_emulated(made);
    *db = made;
    return WEIR_OK;
}

static weir_status emulate_destroy(const weir_backend_open_args *args, weir_error *err)
{
    return args->inner->destroy(args->inner_args, err);
}

/* ------------------------------------------------------------ column families */

static weir_status emulate_cf_open(weir_backend_db *db, const char *name, bool create,
                                   weir_backend_cf **cf, weir_error *err)
{
    if (db->has_families)
        return db->inner->cf_open(db->inner_db, name, create, cf, err);
    return weir__catalogue_cf_open(db, name, create, cf, err);
}

static weir_status emulate_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    db->writes++;
    if (db->has_families)
        return db->inner->cf_drop(db->inner_db, name, err);
    return weir__catalogue_cf_drop(db, name, err);
}

static weir_status emulate_cf_list(weir_backend_db *db,
                                   weir_status (*visit)(const char *name, void *arg), void *arg,
                                   weir_error *err)
{
    if (db->has_families)
        return db->inner->cf_list(db->inner_db, visit, arg, err);
    for (const weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next) {
        /* A family whose removal was broken off has no name any more. */
        weir_status status = cf->name[0] != '\0' ? visit(cf->name, arg) : WEIR_OK;
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---------------------------------------------------------------------- reads */

static void put_key(uint8_t *out, const weir_backend_cf *cf, weir_slice key)
{
    memcpy(out, cf->prefix, WEIR__CF_PREFIX_SIZE);
    if (key.size > 0)
        memcpy(out + WEIR__CF_PREFIX_SIZE, key.data, key.size);
}

static weir_status emulate_get(weir_backend_db *db, weir_backend_cf *cf,
                               weir_backend_snapshot *snapshot, weir_slice key,
                               weir_backend_value *value, weir_error *err)
{
    if (db->has_families)
        return db->inner->get(db->inner_db, cf, snapshot, key, value, err);
    /* Not in a buffer of the database: readers may run in several threads. */
    uint8_t on_stack[KEY_ON_STACK];
    size_t size = key.size + WEIR__CF_PREFIX_SIZE;
    uint8_t *long_key = size > sizeof on_stack ? malloc(size) : NULL;
    uint8_t *bytes = size > sizeof on_stack ? long_key : on_stack;
    *value = (weir_backend_value){NULL, 0, NULL};
    if (bytes == NULL)
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for a key", err);
    put_key(bytes, cf, key);
    weir_status status = db->inner->get(db->inner_db, db->inner_cf, snapshot,
                                        weir_slice_of(bytes, size), value, err);
    free(long_key);
    return status;
}

/* Prefixes the keys, for a backend that reads several at once. */
static weir_status multi_get_prefixed(weir_backend_db *db, weir_backend_cf *cf,
                                      weir_backend_snapshot *snapshot, const weir_slice *keys,
                                      size_t count, weir_backend_value *values,
                                      weir_status *statuses, weir_error *err)
{
    size_t size = count * sizeof *keys;
    for (size_t i = 0; i < count; i++)
        size += keys[i].size + WEIR__CF_PREFIX_SIZE;
    /* Not in a buffer of the database: readers may run in several threads. */
    weir_slice *prefixed = malloc(size > 0 ? size : 1);
    if (prefixed == NULL) {
        for (size_t i = 0; i < count; i++) {
            values[i] = (weir_backend_value){NULL, 0, NULL};
            statuses[i] = WEIR_NO_MEMORY;
        }
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for keys", err);
    }
    uint8_t *at = (uint8_t *)(prefixed + count);
    for (size_t i = 0; i < count; i++) {
        put_key(at, cf, keys[i]);
        prefixed[i] = weir_slice_of(at, keys[i].size + WEIR__CF_PREFIX_SIZE);
        at += prefixed[i].size;
    }
    weir_status status = db->inner->multi_get(db->inner_db, db->inner_cf, snapshot, prefixed, count,
                                              values, statuses, err);
    free(prefixed);
    return status;
}

static weir_status emulate_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                     weir_backend_snapshot *snapshot, const weir_slice *keys,
                                     size_t count, weir_backend_value *values,
                                     weir_status *statuses, weir_error *err)
{
    if (db->inner->multi_get != NULL)
        return db->has_families
                   ? db->inner->multi_get(db->inner_db, cf, snapshot, keys, count, values, statuses,
                                          err)
                   : multi_get_prefixed(db, cf, snapshot, keys, count, values, statuses, err);
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        statuses[i] = emulate_get(db, cf, snapshot, keys[i], &values[i], err);
        if (statuses[i] != WEIR_OK && statuses[i] != WEIR_NOT_FOUND)
            status = statuses[i];
    }
    return status;
}

static void emulate_value_release(weir_backend_db *db, weir_backend_value *value)
{
    db->inner->value_release(db->inner_db, value);
}

/* --------------------------------------------------------------------- writes */

/* Translates a batch into db->ops. */
static weir_status translate_ops(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                 weir_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        /* With its prefix it is longer than keys need be; a backend that can't take it says so. */
        if (ops[i].key.size > KEY_MAX_SIZE)
            return weir__emulation_fail(db, WEIR_TOO_LARGE, "a key has more than 65535 bytes", err);
        bytes += ops[i].key.size + WEIR__CF_PREFIX_SIZE;
    }
    if (count > db->ops_capacity) {
        weir_backend_op *grown = realloc(db->ops, count * sizeof *grown);
        if (grown == NULL)
            return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for a batch", err);
        db->ops = grown;
        db->ops_capacity = count;
    }
    weir__buffer_clear(&db->keys);
    if (weir__buffer_reserve(&db->keys, bytes) != WEIR_OK)
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for a batch", err);
    uint8_t *at = db->keys.data;
    for (size_t i = 0; i < count; i++) {
        put_key(at, ops[i].cf, ops[i].key);
        db->ops[i] = ops[i];
        db->ops[i].cf = db->inner_cf;
        db->ops[i].key = weir_slice_of(at, ops[i].key.size + WEIR__CF_PREFIX_SIZE);
        at += db->ops[i].key.size;
    }
    return WEIR_OK;
}

static weir_status emulate_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                 uint32_t flags, weir_error *err)
{
    db->writes++;
    if (!db->has_families) {
        weir_status status = translate_ops(db, ops, count, err);
        if (status != WEIR_OK)
            return status;
        ops = db->ops;
    }
    return db->inner->write(db->inner_db, ops, count, flags, err);
}

/* ------------------------------------------------------------- passed through */

static weir_status emulate_flush(weir_backend_db *db, weir_error *err)
{
    return db->inner->flush(db->inner_db, err);
}

static weir_status emulate_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                         weir_error *err)
{
    return db->inner->snapshot_open(db->inner_db, snapshot, err);
}

static void emulate_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    db->inner->snapshot_close(db->inner_db, snapshot);
}

static weir_status emulate_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    return db->inner->checkpoint(db->inner_db, location, err);
}

static weir_status emulate_compact(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                                   weir_slice upper, weir_error *err)
{
    /* Families share one range below: what is compacted beyond the bounds does no harm. */
    if (!db->has_families)
        return db->inner->compact(db->inner_db, db->inner_cf, weir_slice_of(NULL, 0),
                                  weir_slice_of(NULL, 0), err);
    return db->inner->compact(db->inner_db, cf, lower, upper, err);
}

static weir_status emulate_stats(weir_backend_db *db,
                                 void (*visit)(const char *name, uint64_t value, void *arg),
                                 void *arg, weir_error *err)
{
    return db->inner->stats(db->inner_db, visit, arg, err);
}

static weir_status emulate_control(weir_backend_db *db, const char *op, void *arg, weir_error *err)
{
    return db->inner->control(db->inner_db, op, arg, err);
}

static const weir_backend emulation = {
    .struct_size = sizeof(weir_backend),
    .abi_version = WEIR_BACKEND_ABI_VERSION,
    .name = "emulation",
    .version = "emulation " WEIR_VERSION_STRING,
    .capabilities = EMULATED | WEIR_CAP_DECORATOR,
    .open = emulate_open,
    .close = emulate_close,
    .destroy = emulate_destroy,
    .cf_open = emulate_cf_open,
    .cf_drop = emulate_cf_drop,
    .cf_list = emulate_cf_list,
    .get = emulate_get,
    .multi_get = emulate_multi_get,
    .value_release = emulate_value_release,
    .write = emulate_write,
    .iter_open = weir__emulate_iter_open,
    .iter_next = weir__emulate_iter_next,
    .iter_seek = weir__emulate_iter_seek,
    .iter_close = weir__emulate_iter_close,
    .flush = emulate_flush,
    .snapshot_open = emulate_snapshot_open,
    .snapshot_close = emulate_snapshot_close,
    .checkpoint = emulate_checkpoint,
    .compact = emulate_compact,
    .stats = emulate_stats,
    .control = emulate_control,
};

const weir_backend *weir__emulation(void)
{
    return &emulation;
}
