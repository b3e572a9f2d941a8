/*
 * The files of a database: a copy of them, their removal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

bool weir__lmdb_path(char path[WEIR__LMDB_PATH_SIZE], const char *folder, const char *name)
{
    int size = snprintf(path, WEIR__LMDB_PATH_SIZE, "%s/%s", folder, name);
    return size > 0 && size < (int)WEIR__LMDB_PATH_SIZE;
}

/* ------------------------------------------------------------------ checkpoint */

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code;
}

weir_status weir__lmdb_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    char path[WEIR__LMDB_PATH_SIZE];
    if (!weir__lmdb_path(path, location, WEIR__LMDB_DATA_FILE))
        return weir__lmdb_error(db, WEIR_INVALID, "the path of the checkpoint is too long", err);
    if (mkdir(location, 0777) != 0)
        return weir__lmdb_fail(db->host, db->label, errno, "can't make the checkpoint's folder",
                               err);
    weir__lmdb_readers_rest(db, false);
    int code = mdb_env_copy2(db->env, location, MDB_CP_COMPACT);
    if (code == 0)
        code = sync_path(path, O_RDONLY);
    if (code == 0)
        code = sync_path(location, O_RDONLY | O_DIRECTORY);
    if (code == 0)
        return WEIR_OK;
    unlink(path);
    rmdir(location);
    return weir__lmdb_fail(db->host, db->label, code, "can't write the checkpoint", err);
}

/* --------------------------------------------------------------------- destroy */

weir_status weir__lmdb_destroy(const weir_backend_open_args *args, weir_error *err)
{
    static const char *const names[] = {WEIR__LMDB_DATA_FILE, WEIR__LMDB_LOCK_FILE};
    char path[WEIR__LMDB_PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!weir__lmdb_path(path, args->location, names[i]))
            return args->host->error(err, WEIR_INVALID, "lmdb: the path is too long");
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return weir__lmdb_fail(args->host, args->label, errno, "can't remove a file", err);
    }
    return WEIR_OK;
}
