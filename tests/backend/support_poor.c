/*
 * Poor backends. See support_poor.h.
 *
 * A database of one of these is a database of what it wraps, so only the methods that have
 * to do less are replaced.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_poor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"

static const weir_backend *memory;
static const weir_backend *rocksdb;

static weir_status default_only(const weir_backend *inner, weir_backend_db *db, const char *name,
                                weir_backend_cf **cf, weir_error *err)
{
    *cf = NULL;
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) != 0)
        return weir_error_set(err, WEIR_UNSUPPORTED, "poor backends know one family");
    return inner->cf_open(db, name, true, cf, err);
}

static weir_status memory_cf_open(weir_backend_db *db, const char *name, bool create,
                                  weir_backend_cf **cf, weir_error *err)
{
    (void)create;
    return default_only(memory, db, name, cf, err);
}

static weir_status rocksdb_cf_open(weir_backend_db *db, const char *name, bool create,
                                   weir_backend_cf **cf, weir_error *err)
{
    (void)create;
    return default_only(rocksdb, db, name, cf, err);
}

static weir_status list_default(weir_backend_db *db,
                                weir_status (*visit)(const char *name, void *arg), void *arg,
                                weir_error *err)
{
    (void)db;
    (void)err;
    return visit(WEIR_BACKEND_DEFAULT_CF, arg);
}

/* A full scan forward, whatever is asked for. */
static weir_backend_iter_args full_scan(const weir_backend_iter_args *args)
{
    return (weir_backend_iter_args){.struct_size = sizeof *args, .snapshot = args->snapshot};
}

static weir_status memory_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err)
{
    weir_backend_iter_args all = full_scan(args);
    return memory->iter_open(db, cf, &all, iter, err);
}

static weir_status rocksdb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                     const weir_backend_iter_args *args, weir_backend_iter **iter,
                                     weir_error *err)
{
    weir_backend_iter_args all = full_scan(args);
    return rocksdb->iter_open(db, cf, &all, iter, err);
}

static weir_backend poor_of(const weir_backend *inner, const char *name)
{
    weir_backend poor = *inner;
    poor.name = name;
    poor.capabilities &= WEIR_CAP_ATOMIC_BATCH | WEIR_CAP_PERSISTENT | WEIR_CAP_DURABLE_ON_WRITE;
    poor.cf_drop = NULL;
    poor.cf_list = list_default;
    poor.multi_get = NULL;
    poor.iter_seek = NULL;
    poor.snapshot_open = NULL;
    poor.snapshot_close = NULL;
    poor.checkpoint = NULL;
    poor.compact = NULL;
    poor.stats = NULL;
    poor.control = NULL;
    poor.cf_open = inner == memory ? memory_cf_open : rocksdb_cf_open;
    poor.iter_open = inner == memory ? memory_iter_open : rocksdb_iter_open;
    return poor;
}

/* Outside of a test of cmocka, so not with its asserts. */
static void must(weir_status status, const weir_error *err)
{
    if (status == WEIR_OK)
        return;
    fprintf(stderr, "poor backends: %s\n", err->message);
    exit(1);
}

void poor_register(void)
{
    static weir_backend tables[5];
    weir_error err;
    weir_error_init(&err);
    must(weir_backend_find("memory", &memory, &err), &err);
    must(weir_backend_find("rocksdb", &rocksdb, &err), &err);
    tables[0] = poor_of(memory, "poor");
    tables[1] = poor_of(memory, "poor_seek");
    tables[1].iter_seek = memory->iter_seek;
    tables[2] = poor_of(memory, "poor_snap");
    tables[2].capabilities |= WEIR_CAP_SNAPSHOTS;
    tables[2].snapshot_open = memory->snapshot_open;
    tables[2].snapshot_close = memory->snapshot_close;
    tables[3] = poor_of(rocksdb, "poor_disk");
    tables[4] = poor_of(memory, "poor_batch");
    tables[4].capabilities = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        must(weir_backend_register(&tables[i], &err), &err);
}
