/*
 * LMDB as a state backend: a memory-mapped B+tree with transactions of its own. The life of a
 * database, its column families (named databases of LMDB), errors, and the method table.
 *
 * Durability: each batch is on disk when write() returns; only LMDB's last meta page may not be
 * (MDB_NOMETASYNC), so that a power loss takes the last batch but never damages the database.
 * WEIR_WRITE_SYNC writes the meta page too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define VERSION_TEXT(major, minor, patch) "lmdb " #major "." #minor "." #patch
#define VERSION_OF(major, minor, patch)   VERSION_TEXT(major, minor, patch)

enum option_row { ROW_MAP_SIZE, ROW_MAX_FAMILIES, ROW_MAX_READERS, ROW_READ_AHEAD, ROW_CHECK };

static const weir_option_spec option_table[] = {
    [ROW_MAP_SIZE] = {"map_size", WEIR_OPTION_SIZE, "64GiB", NULL, 1 << 20, 1e14,
                      "address space of the database in bytes, no disk; doubled when it is full "
                      "and no iterator or snapshot is open"},
    [ROW_MAX_FAMILIES] = {"max_families", WEIR_OPTION_INT, "128", NULL, 1, 4096,
                          "most column families of a database"},
    [ROW_MAX_READERS] = {"max_readers", WEIR_OPTION_INT, "512", NULL, 8, 65536,
                         "most iterators, snapshots and reading threads at a time"},
    [ROW_READ_AHEAD] = {"read_ahead", WEIR_OPTION_BOOL, "true", NULL, 0, 0,
                        "let the system read ahead; off is better for state larger than memory"},
    [ROW_CHECK] = {"check", WEIR_OPTION_BOOL, "true", NULL, 0, 0,
                   "read the whole file when it is opened, and look for damage"},
    {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

/* ---------------------------------------------------------------------- errors */

weir_status weir__lmdb_status(int code)
{
    switch (code) {
    case 0:
        return WEIR_OK;
    case MDB_NOTFOUND:
        return WEIR_NOT_FOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL: /* a tree deeper than any can be */
    case MDB_BAD_TXN:     /* one that met damage before */
    case MDB_INVALID:
    case MDB_PANIC:
        return WEIR_CORRUPTED;
    case MDB_VERSION_MISMATCH:
        return WEIR_VERSION;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        return WEIR_NO_SPACE;
    case MDB_READERS_FULL:
        return WEIR_BUSY;
    case MDB_DBS_FULL:
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE:
        return WEIR_TOO_LARGE;
    case ENOMEM:
        return WEIR_NO_MEMORY;
    case EACCES:
    case EPERM:
    case EROFS:
        return WEIR_PERMISSION;
    case EAGAIN:
        return WEIR_LOCKED;
    case EINVAL:
        return WEIR_INVALID;
    default:
        return WEIR_IO;
    }
}

static weir_status tell(const weir_backend_host *host, const char *label, weir_status status,
                        const char *what, const char *why, weir_error *err)
{
    char message[WEIR_ERROR_MESSAGE_SIZE];
    snprintf(message, sizeof message, "%s%s%s (%s)", what, why[0] != '\0' ? ": " : "", why, label);
    return host->error(err, status, message);
}

weir_status weir__lmdb_error(const weir_backend_db *db, weir_status status, const char *what,
                             weir_error *err)
{
    return tell(db->host, db->label, status, what, "", err);
}

weir_status weir__lmdb_fail(const weir_backend_host *host, const char *label, int code,
                            const char *what, weir_error *err)
{
    const char *why = code == MDB_DBS_FULL       ? "raise max_families"
                      : code == MDB_READERS_FULL ? "raise max_readers"
                                                 : mdb_strerror(code);
    return tell(host, label, weir__lmdb_status(code), what, why, err);
}

/* ------------------------------------------------------------- column families */

static weir_backend_cf *find_cf(const weir_backend_db *db, const char *name)
{
    for (weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next)
        if (strcmp(cf->name, name) == 0)
            return cf;
    return NULL;
}

/* The handle of a family. */
static int open_cf(MDB_txn *txn, weir_backend_cf *cf, unsigned flags)
{
    char *stored = weir__lmdb_family_stored(cf->name);
    int code = stored != NULL ? mdb_dbi_open(txn, stored, flags, &cf->dbi) : ENOMEM;
    free(stored);
    return code;
}

static void free_cf(weir_backend_cf *cf)
{
    if (cf != NULL)
        free(cf->name);
    free(cf);
}

static weir_backend_cf *new_cf(const char *name, size_t size)
{
    weir_backend_cf *cf = calloc(1, sizeof *cf);
    if (cf != NULL && (cf->name = strndup(name, size)) == NULL) {
        free(cf);
        return NULL;
    }
    return cf;
}

static int make_cf(weir_backend_db *db, MDB_txn *txn, void *arg)
{
    weir_backend_cf *cf = arg;
    (void)db;
    return open_cf(txn, cf, MDB_CREATE);
}

static weir_status lmdb_cf_open(weir_backend_db *db, const char *name, bool create,
                                weir_backend_cf **cf, weir_error *err)
{
    *cf = find_cf(db, name);
    if (*cf != NULL)
        return WEIR_OK;
    if (!create)
        return WEIR_NOT_FOUND;
    weir_backend_cf *made = new_cf(name, strlen(name));
    if (made == NULL)
        return weir__lmdb_error(db, WEIR_NO_MEMORY, "no memory for a column family", err);
    weir_status status = weir__lmdb_change(db, make_cf, made, "can't make a column family", err);
    if (status != WEIR_OK) {
        free_cf(made);
        return status;
    }
    made->next = db->cfs;
    db->cfs = made;
    *cf = made;
    return WEIR_OK;
}

static int drop_cf(weir_backend_db *db, MDB_txn *txn, void *arg)
{
    const weir_backend_cf *cf = arg;
    (void)db;
    return mdb_drop(txn, cf->dbi, 1);
}

static weir_status lmdb_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) == 0)
        return weir__lmdb_error(db, WEIR_INVALID, "the family 'default' can't be dropped", err);
    weir_backend_cf **link = &db->cfs;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    weir_backend_cf *cf = *link;
    if (cf == NULL)
        return WEIR_NOT_FOUND;
    weir_status status = weir__lmdb_change(db, drop_cf, cf, "can't drop a column family", err);
    if (status != WEIR_OK)
        return status;
    *link = cf->next;
    free_cf(cf);
    return WEIR_OK;
}

static weir_status lmdb_cf_list(weir_backend_db *db,
                                weir_status (*visit)(const char *name, void *arg), void *arg,
                                weir_error *err)
{
    (void)err;
    for (weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next) {
        weir_status status = visit(cf->name, arg);
        if (status < 0)
            return status;
    }
    return WEIR_OK;
}

/* All families that the file has get their handles at once: a handle that is made later is
 * unknown to the snapshots before it. The names are the keys of LMDB's unnamed database. */
static int open_families(weir_backend_db *db, MDB_txn *txn)
{
    MDB_dbi names;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val data;
    int code = mdb_dbi_open(txn, NULL, 0, &names);
    if (code == 0)
        code = mdb_cursor_open(txn, names, &cursor);
    if (code != 0)
        return code;
    while ((code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        size_t size = weir__lmdb_family_given(&key);
        if (size == 0) {
            code = MDB_CORRUPTED;
            break;
        }
        weir_backend_cf *cf = new_cf(key.mv_data, size);
        if (cf == NULL) {
            code = ENOMEM;
            break;
        }
        cf->next = db->cfs;
        db->cfs = cf;
    }
    mdb_cursor_close(cursor);
    code = code == MDB_NOTFOUND ? 0 : code;
    for (weir_backend_cf *cf = db->cfs; code == 0 && cf != NULL; cf = cf->next)
        code = open_cf(txn, cf, 0);
    return code;
}

/* -------------------------------------------------------------- open and close */

static void free_db(weir_backend_db *db)
{
    weir__lmdb_readers_free(db);
    if (db->env != NULL)
        mdb_env_close(db->env);
    while (db->cfs != NULL) {
        weir_backend_cf *cf = db->cfs;
        db->cfs = cf->next;
        free_cf(cf);
    }
    pthread_cond_destroy(&db->changed);
    pthread_mutex_destroy(&db->mutex);
    free(db->bucket);
    free(db);
}

static weir_backend_db *new_db(const weir_backend_open_args *args)
{
    weir_backend_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return NULL;
    db->host = args->host;
    db->label = args->label;
    db->read_only = args->read_only;
    db->map_size = (size_t)args->options[ROW_MAP_SIZE].integer;
    pthread_mutex_init(&db->mutex, NULL);
    pthread_cond_init(&db->changed, NULL);
    return db;
}

static int open_env(weir_backend_db *db, const weir_backend_open_args *args)
{
    unsigned flags = MDB_NOTLS | MDB_NOMETASYNC;
    /* The host's lock keeps writers away; LMDB's own lock file would be a change. */
    if (args->read_only)
        flags |= MDB_RDONLY | MDB_NOLOCK;
    if (!args->options[ROW_READ_AHEAD].boolean)
        flags |= MDB_NORDAHEAD;
    int code = mdb_env_create(&db->env);
    if (code == 0)
        code = mdb_env_set_mapsize(db->env, db->map_size);
    if (code == 0)
        code = mdb_env_set_maxdbs(db->env, (MDB_dbi)args->options[ROW_MAX_FAMILIES].integer);
    if (code == 0)
        code = mdb_env_set_maxreaders(db->env, (unsigned)args->options[ROW_MAX_READERS].integer);
    if (code == 0)
        code = mdb_env_open(db->env, args->location, flags, 0666);
    if (code != 0)
        return code;
    /* A file that has outgrown the option keeps its size. */
    MDB_envinfo info;
    mdb_env_info(db->env, &info);
    db->map_size = info.me_mapsize;
    if ((code = weir__lmdb_guard_begin(db)) != 0 || (code = weir__lmdb_measure(db)) != 0)
        return code;
    int dead;
    if (!args->read_only)
        (void)mdb_reader_check(db->env, &dead);
    return 0;
}

static int begin_families(weir_backend_db *db)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return code;
    code = open_families(db, txn);
    if (code == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

static weir_status lmdb_open(const weir_backend_open_args *args, weir_backend_db **db,
                             weir_error *err)
{
    char path[WEIR__LMDB_PATH_SIZE];
    weir_backend_cf *cf;
    *db = NULL;
    if (strstr(args->location, "://") != NULL || args->location[0] == '\0')
        return args->host->error(err, WEIR_INVALID, "lmdb keeps its files in a local folder");
    if (!weir__lmdb_path(path, args->location, WEIR__LMDB_DATA_FILE))
        return args->host->error(err, WEIR_INVALID, "lmdb: the path is too long");
    if ((!args->create || args->read_only) && access(path, F_OK) != 0 && errno == ENOENT)
        return WEIR_NOT_FOUND;
    weir_status status = weir__lmdb_check(args, args->options[ROW_CHECK].boolean, err);
    if (status != WEIR_OK)
        return status;
    weir_backend_db *made = new_db(args);
    if (made == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "lmdb: no memory for a database");
    int code = open_env(made, args);
    if (code != 0)
        status = weir__lmdb_fail(args->host, args->label, code, "can't open the database", err);
    if (status == WEIR_OK && (code = begin_families(made)) != 0)
        status = weir__lmdb_fail(args->host, args->label, code, "can't read the families", err);
    if (status == WEIR_OK && !args->read_only)
        status = lmdb_cf_open(made, WEIR_BACKEND_DEFAULT_CF, true, &cf, err);
    if (status != WEIR_OK) {
        free_db(made);
        return status;
    }
    *db = made;
    return WEIR_OK;
}

static weir_status lmdb_close(weir_backend_db *db, weir_error *err)
{
    weir_status status = weir__lmdb_flush(db, err);
    free_db(db);
    return status;
}

/* ----------------------------------------------------------------------- stats */

static weir_status lmdb_stats(weir_backend_db *db,
                              void (*visit)(const char *name, uint64_t value, void *arg), void *arg,
                              weir_error *err)
{
    weir__lmdb_reader *reader;
    uint64_t keys = 0;
    MDB_envinfo info;
    MDB_stat stat;
    weir_status status = weir__lmdb_reader_take(db, &reader, err);
    if (status != WEIR_OK)
        return status;
    for (weir_backend_cf *cf = db->cfs; cf != NULL; cf = cf->next)
        if (mdb_stat(reader->txn, cf->dbi, &stat) == 0)
            keys += stat.ms_entries;
    weir__lmdb_reader_give(db, reader, false);
    mdb_env_info(db->env, &info);
    mdb_env_stat(db->env, &stat);
    visit("keys.estimated", keys, arg);
    visit("bytes.disk", ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize, arg);
    visit("bytes.map", info.me_mapsize, arg);
    visit("transactions", info.me_last_txnid, arg);
    return WEIR_OK;
}

/* ----------------------------------------------------------------------- table */

static const weir_backend table = {
    .struct_size = sizeof(weir_backend),
    .abi_version = WEIR_BACKEND_ABI_VERSION,
    .name = "lmdb",
    .version = VERSION_OF(MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH),
    .capabilities = WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_ATOMIC_BATCH | WEIR_CAP_BOUNDED_ITERATION |
                    WEIR_CAP_REVERSE_ITERATION | WEIR_CAP_SNAPSHOTS | WEIR_CAP_DURABLE_ON_WRITE |
                    WEIR_CAP_CONCURRENT_READERS | WEIR_CAP_PERSISTENT,
    .options = option_table,
    .open = lmdb_open,
    .close = lmdb_close,
    .destroy = weir__lmdb_destroy,
    .cf_open = lmdb_cf_open,
    .cf_drop = lmdb_cf_drop,
    .cf_list = lmdb_cf_list,
    .get = weir__lmdb_get,
    .multi_get = weir__lmdb_multi_get,
    .value_release = weir__lmdb_value_release,
    .write = weir__lmdb_write,
    .iter_open = weir__lmdb_iter_open,
    .iter_next = weir__lmdb_iter_next,
    .iter_seek = weir__lmdb_iter_seek,
    .iter_close = weir__lmdb_iter_close,
    .flush = weir__lmdb_flush,
    .snapshot_open = weir__lmdb_snapshot_open,
    .snapshot_close = weir__lmdb_snapshot_close,
    .checkpoint = weir__lmdb_checkpoint,
    .stats = lmdb_stats,
};

WEIR_API const weir_backend *weir_backend_get(uint32_t host_abi_version);

const weir_backend *weir_backend_get(uint32_t host_abi_version)
{
    return host_abi_version >= WEIR_BACKEND_ABI_VERSION ? &table : NULL;
}
