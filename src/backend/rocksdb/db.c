/*
 * The life of a database: open, close, destroy, its column families, and the method table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/rocksdb/internal.h"
#include "backend/rocksdb/rocksdb.h"

/* ---------------------------------------------------------------------------
 * Column families
 * ------------------------------------------------------------------------- */

static weir_backend_cf *find_cf(const weir_backend_db *db, const char *name)
{
    for (size_t i = 0; i < db->cf_count; i++) {
        if (strcmp(db->cfs[i]->name, name) == 0)
            return db->cfs[i];
    }
    return NULL;
}

/* Makes room for `count` families in all, so that adding one can't fail half-way. */
static bool reserve_cfs(weir_backend_db *db, size_t count)
{
    if (count <= db->cf_capacity)
        return true;
    size_t capacity = count + 8;
    weir_backend_cf **cfs = realloc(db->cfs, capacity * sizeof(*cfs));
    if (!cfs)
        return false;
    db->cfs = cfs;
    db->cf_capacity = capacity;
    return true;
}

/* Without a handle yet. NULL: no memory. */
static weir_backend_cf *new_cf(const char *name)
{
    weir_backend_cf *cf = calloc(1, sizeof(*cf));
    if (!cf)
        return NULL;
    cf->name = strdup(name);
    if (!cf->name) {
        free(cf);
        return NULL;
    }
    return cf;
}

static void free_cf(weir_backend_cf *cf)
{
    if (cf->handle)
        rocksdb_column_family_handle_destroy(cf->handle);
    free(cf->name);
    free(cf);
}

static weir_status cf_open(weir_backend_db *db, const char *name, bool create, weir_backend_cf **cf,
                           weir_error *err)
{
    char *text = NULL;
    *cf = find_cf(db, name);
    if (*cf)
        return WEIR_OK;
    if (!create)
        return WEIR_NOT_FOUND;
    if (db->read_only)
        return weir__rocksdb_refuse_read_only(db, "create a column family", err);
    weir_backend_cf *made = reserve_cfs(db, db->cf_count + 1) ? new_cf(name) : NULL;
    if (!made)
        return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory for a column family");
    made->handle = rocksdb_create_column_family(db->rocks, db->options, name, &text);
    if (text) {
        made->handle = NULL;
        free_cf(made);
        return weir__rocksdb_fail(db, text, false, "create a column family", err);
    }
    db->cfs[db->cf_count++] = made;
    *cf = made;
    return WEIR_OK;
}

static weir_status cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    char *text = NULL;
    if (db->read_only)
        return weir__rocksdb_refuse_read_only(db, "drop a column family", err);
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) == 0)
        return weir__rocksdb_error(db, err, WEIR_INVALID,
                                   "the column family " WEIR_BACKEND_DEFAULT_CF
                                   " can't be dropped");
    weir_backend_cf *cf = find_cf(db, name);
    if (!cf)
        return WEIR_NOT_FOUND;
    rocksdb_drop_column_family(db->rocks, cf->handle, &text);
    if (text)
        return weir__rocksdb_fail(db, text, false, "drop a column family", err);
    for (size_t i = 0; i < db->cf_count; i++) {
        if (db->cfs[i] == cf) {
            db->cfs[i] = db->cfs[--db->cf_count];
            break;
        }
    }
    free_cf(cf);
    return WEIR_OK;
}

static weir_status cf_list(weir_backend_db *db, weir_status (*visit)(const char *name, void *arg),
                           void *arg, weir_error *err)
{
    (void)err;
    for (size_t i = 0; i < db->cf_count; i++) {
        weir_status status = visit(db->cfs[i]->name, arg);
        if (status < 0)
            return status;
    }
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * Open and close
 * ------------------------------------------------------------------------- */

/* What RocksDB does at the end of a database, it does here. */
static void close_rocks(weir_backend_db *db)
{
    for (size_t i = 0; i < db->cf_count; i++)
        free_cf(db->cfs[i]);
    db->cf_count = 0;
    if (db->rocks)
        rocksdb_close(db->rocks);
    db->rocks = NULL;
}

static void free_db(weir_backend_db *db)
{
    if (db->batch)
        rocksdb_writebatch_destroy(db->batch);
    if (db->read)
        rocksdb_readoptions_destroy(db->read);
    if (db->write)
        rocksdb_writeoptions_destroy(db->write);
    if (db->write_sync)
        rocksdb_writeoptions_destroy(db->write_sync);
    close_rocks(db);
    free(db->cfs);
    weir__rocksdb_options_release(db);
    if (db->lock_fd >= 0)
        (void)close(db->lock_fd);
    free(db->wal_folder);
    free(db);
}

static weir_backend_db *new_db(const weir_backend_open_args *args)
{
    weir_backend_db *db = calloc(1, sizeof(*db));
    if (!db)
        return NULL;
    db->host = args->host;
    db->label = args->label;
    db->location = args->location;
    db->read_only = args->read_only;
    db->lock_fd = -1;
    return db;
}

/* Opens with the families in names, all of which become db->cfs. */
static weir_status open_families(weir_backend_db *db, char **names, size_t count, weir_error *err)
{
    char *text = NULL;
    weir_status status = WEIR_NO_MEMORY;
    const rocksdb_options_t **options = calloc(count, sizeof(const rocksdb_options_t *));
    rocksdb_column_family_handle_t **handles = calloc(count, sizeof(*handles));
    if (!options || !handles || !reserve_cfs(db, count))
        goto done;
    for (size_t i = 0; i < count; i++) {
        options[i] = db->options;
        db->cfs[i] = new_cf(names[i]);
        if (!db->cfs[i])
            goto done;
        db->cf_count++;
    }
    if (db->read_only)
        db->rocks = rocksdb_open_for_read_only_column_families(
            db->options, db->location, (int)count, (const char *const *)names, options, handles, 0,
            &text);
    else
        db->rocks =
            rocksdb_open_column_families(db->options, db->location, (int)count,
                                         (const char *const *)names, options, handles, &text);
    if (text) {
        db->rocks = NULL;
        status = weir__rocksdb_fail(db, text, true, "open the database", err);
        text = NULL;
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        db->cfs[i]->handle = handles[i];
    status = WEIR_OK;
done:
    if (status == WEIR_NO_MEMORY && !text && !db->rocks)
        (void)weir__rocksdb_error(db, err, status, "no memory to open the database");
    free(options);
    free(handles);
    return status;
}

static weir_status open_existing(weir_backend_db *db, weir_error *err)
{
    char *text = NULL;
    size_t count = 0;
    char **names = rocksdb_list_column_families(db->options, db->location, &count, &text);
    weir_status status = text ? weir__rocksdb_fail(db, text, true, "list the column families", err)
                              : open_families(db, names, count, err);
    /* The array is made, empty, after a failure too. */
    if (names)
        rocksdb_list_column_families_destroy(names, count);
    return status;
}

static weir_status open_new(weir_backend_db *db, weir_error *err)
{
    char name[] = WEIR_BACKEND_DEFAULT_CF;
    char *names[] = {name};
    return open_families(db, names, 1, err);
}

static void make_handles(weir_backend_db *db)
{
    db->read = rocksdb_readoptions_create();
    db->write = rocksdb_writeoptions_create();
    db->write_sync = rocksdb_writeoptions_create();
    db->batch = rocksdb_writebatch_create();
    rocksdb_writeoptions_disable_WAL(db->write, !db->settings.wal);
    rocksdb_writeoptions_set_sync(db->write_sync, 1);
}

static void remove_flush_folder(const weir_backend_db *db)
{
    static const char *const names[] = {WEIR__ROCKSDB_FLUSH_FOLDER,
                                        WEIR__ROCKSDB_FLUSH_FOLDER ".tmp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = weir__rocksdb_join(db->location, names[i]);
        if (path)
            weir__rocksdb_remove_flat_folder(path);
        free(path);
    }
}

static weir_status open_db(const weir_backend_open_args *args, weir_backend_db **out,
                           weir_error *err)
{
    *out = NULL;
    weir__rocksdb_folder state = WEIR__ROCKSDB_EMPTY;
    weir_backend_db *db = new_db(args);
    if (!db)
        return args->host->error(err, WEIR_NO_MEMORY, "no memory to open a database");
    weir_status status = weir__rocksdb_settings_read(db, args->options, err);
    if (status == WEIR_OK)
        status = weir__rocksdb_folder_inspect(db, &state, err);
    if (status != WEIR_OK)
        goto done;
    if (state == WEIR__ROCKSDB_EMPTY && (!args->create || args->read_only)) {
        status = weir__rocksdb_error(db, err, WEIR_NOT_FOUND, "there is no RocksDB database");
        goto done;
    }
    if (state == WEIR__ROCKSDB_DAMAGED) {
        status = weir__rocksdb_error(db, err, WEIR_CORRUPTED,
                                     "the folder holds data of RocksDB, but the file CURRENT, "
                                     "which tells where to begin, is missing");
        goto done;
    }
    if (db->read_only)
        status = weir__rocksdb_lock_shared(db, err);
    if (status == WEIR_OK)
        status = db->read_only ? weir__rocksdb_wal_folder_find(db, err)
                               : weir__rocksdb_wal_folder_prepare(db, state, err);
    if (status == WEIR_OK && state == WEIR__ROCKSDB_DATABASE)
        status = weir__rocksdb_closed_check(db, err);
    if (status == WEIR_OK)
        status = weir__rocksdb_log_ends_check(db, err);
    if (status == WEIR_OK)
        status = weir__rocksdb_options_make(db, args->create, err);
    if (status == WEIR_OK && !db->read_only)
        weir__rocksdb_closed_remove(db);
    if (status == WEIR_OK)
        status = state == WEIR__ROCKSDB_DATABASE ? open_existing(db, err) : open_new(db, err);
    if (status != WEIR_OK)
        goto done;
    if (!db->read_only)
        remove_flush_folder(db);
    make_handles(db);
    *out = db;
    db = NULL;
done:
    if (db)
        free_db(db);
    return status;
}

static weir_status close_db(weir_backend_db *db, weir_error *err)
{
    /* Closing flushes what the log does not hold, but keeps a failure to itself. */
    weir_status status = WEIR_OK;
    if (!db->settings.wal)
        status = weir__rocksdb_flush(db, err);
    /* What is noted has to be on the disk. After a write that failed, a RocksDB with assertions
     * ends the process over a sync. */
    if (!db->read_only && !db->has_failed && weir__rocksdb_flush(db, NULL) == WEIR_OK) {
        close_rocks(db);
        weir__rocksdb_closed_note(db);
    }
    free_db(db);
    return status;
}

/* ---------------------------------------------------------------------------
 * Destroy
 * ------------------------------------------------------------------------- */

static weir_status destroy_files(weir_backend_db *db, weir_error *err)
{
    char *text = NULL;
    struct stat before;
    weir_status status = weir__rocksdb_wal_folder_find(db, err);
    if (status == WEIR_OK)
        status = weir__rocksdb_options_make(db, false, err);
    if (status != WEIR_OK)
        return status;
    if (stat(db->location, &before) != 0)
        return WEIR_OK;
    rocksdb_destroy_db(db->options, db->location, &text);
    if (text)
        return weir__rocksdb_fail(db, text, false, "destroy the database", err);
    remove_flush_folder(db);
    weir__rocksdb_remove_extras(db);
    if (db->wal_folder)
        weir__rocksdb_remove_flat_folder(db->wal_folder);
    /* RocksDB removes the location too when nothing else is in it. */
    if (mkdir(db->location, before.st_mode & 07777) != 0 && errno != EEXIST)
        return weir__rocksdb_error(db, err, weir__rocksdb_errno_status(errno),
                                   "can't make the emptied folder %s again: %s", db->location,
                                   strerror(errno));
    return WEIR_OK;
}

static weir_status destroy_db(const weir_backend_open_args *args, weir_error *err)
{
    weir_backend_db *db = new_db(args);
    if (!db)
        return args->host->error(err, WEIR_NO_MEMORY, "no memory to destroy a database");
    weir_status status = weir__rocksdb_settings_read(db, args->options, err);
    if (status == WEIR_OK)
        status = destroy_files(db, err);
    free_db(db);
    return status;
}

/* ---------------------------------------------------------------------------
 * The table
 * ------------------------------------------------------------------------- */

const weir_backend *weir__backend_rocksdb(void)
{
    static const weir_backend backend = {
        .struct_size = sizeof(weir_backend),
        .abi_version = WEIR_BACKEND_ABI_VERSION,
        .name = "rocksdb",
        .version = "rocksdb " WEIR_ROCKSDB_VERSION,
        .capabilities = WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_ATOMIC_BATCH |
                        WEIR_CAP_BOUNDED_ITERATION | WEIR_CAP_REVERSE_ITERATION |
                        WEIR_CAP_SNAPSHOTS | WEIR_CAP_DURABLE_ON_WRITE |
                        WEIR_CAP_CONCURRENT_READERS | WEIR_CAP_PERSISTENT,
        .options = weir__rocksdb_option_table,
        .open = open_db,
        .close = close_db,
        .destroy = destroy_db,
        .cf_open = cf_open,
        .cf_drop = cf_drop,
        .cf_list = cf_list,
        .get = weir__rocksdb_get,
        .multi_get = weir__rocksdb_multi_get,
        .value_release = weir__rocksdb_value_release,
        .write = weir__rocksdb_write,
        .iter_open = weir__rocksdb_iter_open,
        .iter_next = weir__rocksdb_iter_next,
        .iter_seek = weir__rocksdb_iter_seek,
        .iter_close = weir__rocksdb_iter_close,
        .flush = weir__rocksdb_flush,
        .snapshot_open = weir__rocksdb_snapshot_open,
        .snapshot_close = weir__rocksdb_snapshot_close,
        .checkpoint = weir__rocksdb_checkpoint,
        .compact = weir__rocksdb_compact,
        .stats = weir__rocksdb_stats,
    };
    return &backend;
}
