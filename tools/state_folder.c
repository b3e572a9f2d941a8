/*
 * Folders: made, removed, made durable, given to an owner.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

char *state_join(const char *folder, const char *name)
{
    char *path;
    if (name[0] == '\0')
        return strdup(folder);
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

weir_status state_folder_error(int number, const char *what, const char *path, weir_error *err)
{
    weir_status status = number == ENOSPC || number == EDQUOT                     ? WEIR_NO_SPACE
                         : number == EACCES || number == EPERM || number == EROFS ? WEIR_PERMISSION
                                                                                  : WEIR_IO;
    return weir_error_set(err, status, "can't %s %s: %s", what, path, strerror(number));
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool state_folder_resolve(const char *path, char real[PATH_MAX])
{
    char parent[PATH_MAX];
    char above[PATH_MAX];
    if (realpath(path, real) != NULL)
        return true;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t size = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (size >= sizeof parent)
        return false;
    snprintf(parent, sizeof parent, "%.*s", (int)size, slash == NULL ? "." : path);
    /* Nothing of it is there: then it can't be anything that is, under another name. */
    if (realpath(parent, above) == NULL)
        snprintf(above, sizeof above, "%s", parent);
    return snprintf(real, PATH_MAX, "%s/%s", strcmp(above, "/") == 0 ? "" : above, name) < PATH_MAX;
}

weir_status state_folder_make(const char *path, weir_error *err)
{
    weir_status status = WEIR_OK;
    char *copy = strdup(path);
    if (copy == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a path");
    for (char *at = copy; status == WEIR_OK && at != NULL;) {
        at = strchr(at + 1, '/');
        if (at != NULL)
            *at = '\0';
        if (mkdir(copy, 0777) != 0) {
            int number = errno;
            if (!is_folder(copy))
                status = state_folder_error(number, "make the folder", copy, err);
        }
        if (at != NULL)
            *at = '/';
    }
    free(copy);
    return status;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : errno;
}

weir_status state_folder_remove(const char *path, weir_error *err)
{
    int number = nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
    if (number == -1)
        number = errno;
    if (number == 0 || number == ENOENT)
        return WEIR_OK;
    return state_folder_error(number, "remove", path, err);
}

weir_status state_folder_sync_parent(const char *path, weir_error *err)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    if (parent == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a path");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int number = fd >= 0 && fsync(fd) == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    /* Some file systems have no sync of folders, and then need none. */
    weir_status status = number == 0 || number == EINVAL || number == ENOTSUP
                             ? WEIR_OK
                             : state_folder_error(number, "make durable", parent, err);
    free(parent);
    return status;
}

/* nftw has no argument for its function; the command has one thread. */
static struct stat wanted;

static int give_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)type;
    (void)ftw;
    if (info->st_uid != wanted.st_uid || info->st_gid != wanted.st_gid)
        (void)!lchown(path, wanted.st_uid, wanted.st_gid);
    return 0;
}

void state_folder_give(const char *path, const char *like)
{
    if (stat(like, &wanted) != 0)
        return;
    (void)chmod(path, wanted.st_mode & 07777);
    if (geteuid() == 0)
        nftw(path, give_one, 32, FTW_PHYS);
}
