/*
 * The folders of state: names, paths, finding databases, removing a tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/folder.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_NAME_MAX  200u
#define FOLDER_NAME_MAX 255u

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

weir_status weir__store_name_check(const char *name, weir_error *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = name ? strlen(name) : 0;
    if (size == 0 || size > STORE_NAME_MAX || is_dots(name) || strspn(name, allowed) != size)
        return weir_error_set(err, WEIR_INVALID,
                              "\"%.300s\" can't be the name of a store: it takes 1 to %u of the "
                              "characters A-Z a-z 0-9 . _ -",
                              name ? name : "", STORE_NAME_MAX);
    return WEIR_OK;
}

weir_status weir__folder_name_check(const char *what, const char *name, weir_error *err)
{
    size_t size = name ? strlen(name) : 0;
    bool is_bad = size == 0 || size > FOLDER_NAME_MAX || is_dots(name);
    for (size_t i = 0; i < size && !is_bad; i++)
        is_bad = name[i] == '/' || (unsigned char)name[i] < 0x20 || name[i] == 0x7F;
    if (is_bad)
        return weir_error_set(err, WEIR_INVALID,
                              "\"%.300s\" can't be %s: it names a folder, so it takes 1 to %u "
                              "bytes without '/' and control characters",
                              name ? name : "", what, FOLDER_NAME_MAX);
    return WEIR_OK;
}

char *weir__group_folder(const char *state_dir, const char *group)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", state_dir, group) < 0 ? NULL : path;
}

char *weir__partition_folder(const char *state_dir, const char *group, const char *store,
                             const char *stream_id, int32_t partition)
{
    char *path = NULL;
    int size = asprintf(&path, "%s/%s/%s%s%s/%" PRId32, state_dir, group, store,
                        stream_id ? "/" : "", stream_id ? stream_id : "", partition);
    return size < 0 ? NULL : path;
}

static FTS *open_walk(const char *root, weir_status *status, weir_error *err)
{
    char *copy = strdup(root);
    char *const roots[] = {copy, NULL};
    FTS *walk = copy ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    if (!walk)
        *status = weir_error_set(err, WEIR_NO_MEMORY, "out of memory for the folder %s", root);
    free(copy);
    return walk;
}

static weir_status walk_error(const FTSENT *entry, const char *doing, int code, weir_error *err)
{
    if (code == ENOENT)
        return WEIR_OK;
    weir_status status =
        code == EACCES || code == EPERM || code == EROFS ? WEIR_PERMISSION : WEIR_IO;
    return weir_error_set(err, status, "%s %s: %s", doing, entry->fts_path, strerror(code));
}

weir_status weir__folder_each_database(const char *root,
                                       weir_status (*visit)(const char *folder, void *arg,
                                                            weir_error *err),
                                       void *arg, weir_error *err)
{
    weir_status status = WEIR_OK;
    FTS *walk = open_walk(root, &status, err);
    for (FTSENT *entry; !status && (entry = fts_read(walk)) != NULL;) {
        bool is_error = entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
                        (entry->fts_info == FTS_NS && entry->fts_level == FTS_ROOTLEVEL);
        if (is_error)
            status = walk_error(entry, "reading the folder", entry->fts_errno, err);
        else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP && entry->fts_level > 0 &&
                 strncmp(entry->fts_name, "weir.", 5) == 0)
            entry->fts_parent->fts_number = 1;
        else if (entry->fts_info == FTS_DP && entry->fts_number == 1)
            status = visit(entry->fts_path, arg, err);
    }
    if (walk)
        fts_close(walk);
    return status;
}

weir_status weir__folder_remove(const char *root, weir_error *err)
{
    weir_status status = WEIR_OK;
    FTS *walk = open_walk(root, &status, err);
    for (FTSENT *entry; !status && (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_D)
            continue;
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
            status = walk_error(entry, "reading the folder", entry->fts_errno, err);
        else if (remove(entry->fts_path) != 0)
            status = walk_error(entry, "removing", errno, err);
    }
    if (walk)
        fts_close(walk);
    return status;
}
