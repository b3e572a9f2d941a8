/*
 * The backend "slatedb", a plugin: the life of a database, and the method table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/slatedb/internal.h"

/* The one symbol that the library exports. */
WEIR_API const weir_backend *weir_backend_get(uint32_t host_abi_version);

/* ---------------------------------------------------------------------------
 * The one column family
 * ------------------------------------------------------------------------- */

static weir_status cf_open(weir_backend_db *db, const char *name, bool create, weir_backend_cf **cf,
                           weir_error *err)
{
    (void)create;
    *cf = NULL;
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) != 0)
        return weir__slatedb_error(db, err, WEIR_UNSUPPORTED,
                                   "slatedb has no column families of its own");
    *cf = &db->default_cf;
    return WEIR_OK;
}

static weir_status cf_list(weir_backend_db *db, weir_status (*visit)(const char *name, void *arg),
                           void *arg, weir_error *err)
{
    (void)db;
    (void)err;
    return visit(WEIR_BACKEND_DEFAULT_CF, arg);
}

/* ---------------------------------------------------------------------------
 * Open and close
 * ------------------------------------------------------------------------- */

/* Once in a process: the hundred partitions of an application are no hundred warnings. */
static void say_beta(const weir_backend_db *db)
{
    static atomic_flag was_said = ATOMIC_FLAG_INIT;
    char message[WEIR_ERROR_MESSAGE_SIZE];
    if (atomic_flag_test_and_set(&was_said))
        return;
    snprintf(message, sizeof message,
             "the backend slatedb is beta: keep a changelog for state that must not be lost (%s)",
             db->label);
    db->host->log(WEIR_LOG_WARN, "store.beta", message);
}

static void free_db(weir_backend_db *db)
{
    weir__slatedb_settings_release(&db->settings);
    free(db);
}

/* The threads of SlateDB's runtime stay with the process that began it: in a child of fork,
 * whatever waits for them would wait for ever. */
static weir_status check_process(const weir_backend_db *db, weir_error *err)
{
    static _Atomic pid_t first;
    pid_t user = 0;
    if (atomic_compare_exchange_strong(&first, &user, getpid()) || user == getpid())
        return WEIR_OK;
    return weir__slatedb_error(db, err, WEIR_INVALID,
                               "slatedb was used before this process was forked, and its threads "
                               "stayed with the parent: fork first, or start the process anew "
                               "(exec; in Python, multiprocessing's \"spawn\")");
}

static weir_status new_db(const weir_backend_open_args *args, weir_backend_db **db, weir_error *err)
{
    *db = NULL;
    weir_backend_db *made = calloc(1, sizeof *made);
    if (made == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "no memory for a database");
    made->host = args->host;
    made->label = args->label;
    made->read_only = args->read_only;
    weir_status status = check_process(made, err);
    if (status == WEIR_OK)
        status =
            weir__slatedb_settings_read(made, args->location, args->options, &made->settings, err);
    made->settings.config.create = args->create;
    made->settings.config.read_only = args->read_only;
    if (status == WEIR_OK)
        *db = made;
    else
        free_db(made);
    return status;
}

static weir_status open_db(const weir_backend_open_args *args, weir_backend_db **out,
                           weir_error *err)
{
    *out = NULL;
    weir_backend_db *db;
    weir__slate_error error;
    weir_status status = new_db(args, &db, err);
    if (status != WEIR_OK)
        return status;
    say_beta(db);
    int kind = weir_slate_open(&db->settings.config, &db->slate, &error);
    if (kind != WEIR__SLATE_OK) {
        status = weir__slatedb_fail(db, kind, &error, "open the database", err);
        free_db(db);
        return status;
    }
    *out = db;
    return WEIR_OK;
}

static weir_status close_db(weir_backend_db *db, weir_error *err)
{
    weir__slate_error error;
    int kind = weir_slate_close(db->slate, &error);
    weir_status status = kind == WEIR__SLATE_OK
                             ? WEIR_OK
                             : weir__slatedb_fail(db, kind, &error, "close the database", err);
    free_db(db);
    return status;
}

/* ---------------------------------------------------------------------------
 * Destroy
 * ------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* One that is not there is fine. */
static weir_status remove_folder(const weir_backend_db *db, const char *path, weir_error *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return WEIR_OK;
    weir_status status =
        errno == EACCES || errno == EPERM || errno == EROFS ? WEIR_PERMISSION : WEIR_IO;
    return weir__slatedb_error(db, err, status, "can't remove %s: %s", path, strerror(errno));
}

static weir_status destroy_files(const weir_backend_db *db, weir_error *err)
{
    weir__slate_error error;
    const weir__slatedb_settings *settings = &db->settings;
    if (!settings->is_remote) {
        char *folder;
        if (asprintf(&folder, "%s/%s", settings->config.folder, settings->path) < 0)
            return weir__slatedb_error(db, err, WEIR_NO_MEMORY, "no memory for a path");
        weir_status status = remove_folder(db, folder, err);
        free(folder);
        return status;
    }
    int kind = weir_slate_destroy(&settings->config, &error);
    if (kind != WEIR__SLATE_OK)
        return weir__slatedb_fail(db, kind, &error, "destroy the database", err);
    return settings->disk_cache_dir != NULL ? remove_folder(db, settings->disk_cache_dir, err)
                                            : WEIR_OK;
}

static weir_status destroy_db(const weir_backend_open_args *args, weir_error *err)
{
    weir_backend_db *db;
    weir_status status = new_db(args, &db, err);
    if (status != WEIR_OK)
        return status;
    status = destroy_files(db, err);
    free_db(db);
    return status;
}

/* ---------------------------------------------------------------------------
 * List
 * ------------------------------------------------------------------------- */

typedef struct listing {
    const weir_backend_db *db;
    weir_status (*visit)(const char *location, void *arg);
    void *arg;
    weir_status status;
} listing;

/* The text before !XX was put in place of odd bytes. */
static void decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        unsigned byte;
        if (sscanf(from, "!%2X", &byte) == 1) {
            *to++ = (char)byte;
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

/* PATH/slatedb becomes a location. */
static void visit_path(const char *path, void *arg)
{
    listing *walk = arg;
    char *location;
    if (walk->status != WEIR_OK)
        return;
    const int size = (int)(strlen(path) - strlen("/" WEIR__SLATEDB_FOLDER));
    if (asprintf(&location, "%s/%.*s", walk->db->settings.store_url, size, path) < 0) {
        walk->status = WEIR_NO_MEMORY;
        return;
    }
    decode(location);
    walk->status = walk->visit(location, walk->arg);
    free(location);
}

/* In a local folder the host can look by itself. */
static weir_status list_dbs(const weir_backend_open_args *args,
                            weir_status (*visit)(const char *location, void *arg), void *arg,
                            weir_error *err)
{
    weir_backend_db *db;
    weir__slate_error error;
    weir_status status = new_db(args, &db, err);
    if (status != WEIR_OK)
        return status;
    listing walk = {db, visit, arg, WEIR_OK};
    int kind = WEIR__SLATE_UNSUPPORTED;
    snprintf(error.message, sizeof error.message, "it is a local folder");
    if (db->settings.is_remote)
        kind = weir_slate_list(&db->settings.config, visit_path, &walk, &error);
    status = kind == WEIR__SLATE_OK
                 ? walk.status
                 : weir__slatedb_fail(db, kind, &error, "list the databases there", err);
    free_db(db);
    return status;
}

/* ---------------------------------------------------------------------------
 * The table
 * ------------------------------------------------------------------------- */

const weir_backend *weir_backend_get(uint32_t host_abi_version)
{
    static const weir_backend backend = {
        .struct_size = sizeof(weir_backend),
        .abi_version = WEIR_BACKEND_ABI_VERSION,
        .name = "slatedb",
        .version = "slatedb " WEIR_SLATEDB_VERSION " (beta)",
        .capabilities =
            WEIR_CAP_ATOMIC_BATCH | WEIR_CAP_BOUNDED_ITERATION | WEIR_CAP_REVERSE_ITERATION |
            WEIR_CAP_SNAPSHOTS | WEIR_CAP_DURABLE_ON_WRITE | WEIR_CAP_OBJECT_STORAGE |
            WEIR_CAP_CONCURRENT_READERS | WEIR_CAP_PERSISTENT | WEIR_CAP_READ_BESIDE_WRITER,
        .options = weir__slatedb_option_table,
        .open = open_db,
        .close = close_db,
        .destroy = destroy_db,
        .cf_open = cf_open,
        .cf_list = cf_list,
        .get = weir__slatedb_get,
        .multi_get = weir__slatedb_multi_get,
        .value_release = weir__slatedb_value_release,
        .write = weir__slatedb_write,
        .iter_open = weir__slatedb_iter_open,
        .iter_next = weir__slatedb_iter_next,
        .iter_seek = weir__slatedb_iter_seek,
        .iter_close = weir__slatedb_iter_close,
        .flush = weir__slatedb_flush,
        .snapshot_open = weir__slatedb_snapshot_open,
        .snapshot_close = weir__slatedb_snapshot_close,
        .checkpoint = weir__slatedb_checkpoint,
        .stats = weir__slatedb_stats,
        .control = weir__slatedb_control,
        .list = list_dbs,
    };
    return host_abi_version >= WEIR_BACKEND_ABI_VERSION ? &backend : NULL;
}
