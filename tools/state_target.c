/*
 * Where load and migrate build, and how it becomes visible. See state.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_url.h"

#define PART "part"
#define TREE "tree"

static weir_status no_memory(weir_error *err)
{
    return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a path");
}

/* ------------------------------------------------------------------------ beginning */

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool is = dir != NULL;
    if (dir == NULL)
        return false;
    for (struct dirent *entry; is && (entry = readdir(dir)) != NULL;)
        is = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return is;
}

static bool is_mount_point(const char *path)
{
    struct stat own;
    struct stat above;
    char *parent = state_join(path, "..");
    bool is = parent != NULL && stat(path, &own) == 0 && stat(parent, &above) == 0 &&
              own.st_dev != above.st_dev;
    free(parent);
    return is;
}

static int check_folder(const state_target *target)
{
    struct stat info;
    const char *path = target->path;
    if (stat(path, &info) != 0)
        return errno == ENOENT ? TOOL_DONE : tool_fail("can't read %s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return tool_fail("%s is a file, not a folder", path);
    if (!target->replaces && !is_empty(path))
        return tool_fail("%s is not empty: name a folder that is empty or not there", path);
    if (is_mount_point(path))
        return tool_fail("%s is a mount point, which can't be exchanged: name folders in it", path);
    return TOOL_DONE;
}

/* What a killed run left of other databases than these must not come along. */
static int drop_others(const char *tree, const state_list *resumes)
{
    state_list left = {0};
    weir_error err;
    weir_error_init(&err);
    if (access(tree, F_OK) != 0)
        return TOOL_DONE;
    int code = state_list_look(tree, &left);
    for (size_t i = 0; i < left.count && code == TOOL_DONE; i++)
        if (state_list_name(resumes, left.items[i].name) == NULL &&
            state_folder_remove(left.items[i].path, &err) != WEIR_OK)
            code = tool_fail("%s", err.message);
    state_list_release(&left);
    return code;
}

static int clear_draft(const state_target *target, const state_list *resumes)
{
    weir_error err;
    weir_error_init(&err);
    char *tree = state_join(target->draft, TREE);
    if (tree == NULL)
        return tool_fail("out of memory");
    int code = TOOL_DONE;
    if (resumes != NULL)
        code = drop_others(tree, resumes);
    else if (state_folder_remove(tree, &err) != WEIR_OK)
        code = tool_fail("%s", err.message);
    free(tree);
    return code;
}

static int begin_draft(state_target *target, const state_list *resumes)
{
    weir_error err;
    weir_error_init(&err);
    if (asprintf(&target->draft, "%s.weir-new", target->path) < 0) {
        target->draft = NULL;
        return tool_fail("out of memory");
    }
    if (state_folder_make(target->draft, &err) != WEIR_OK)
        return tool_fail("%s", err.message);
    int fd = open(target->draft, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return number == EWOULDBLOCK
                   ? tool_fail("another run builds in %s: wait for it", target->draft)
                   : tool_fail("can't lock %s: %s", target->draft, strerror(number));
    }
    target->draft_fd = fd;
    return clear_draft(target, resumes);
}

static int check_old(const state_target *target)
{
    char *old;
    if (asprintf(&old, "%s.weir-old", target->path) < 0)
        return tool_fail("out of memory");
    int code =
        access(old, F_OK) != 0 ? TOOL_DONE : tool_fail("%s is there already: move it away", old);
    free(old);
    return code;
}

int state_target_begin(state_target *target, const state_list *resumes)
{
    const state_location *location = target->location;
    char real[PATH_MAX];
    target->draft_fd = -1;
    if (location->spec == NULL)
        return tool_misuse("'%s' does not say which backend is to keep it: write BACKEND:%s",
                           location->text, location->text);
    if (!location->is_url && !state_folder_resolve(location->path, real))
        return tool_fail("the path %s is too long", location->path);
    target->path = strdup(location->is_url ? location->path : real);
    if (target->path == NULL)
        return tool_fail("out of memory");
    if (location->is_url)
        return state_url_begin(target, resumes);
    int code = check_folder(target);
    if (code == TOOL_DONE && target->replaces && target->keeps)
        code = check_old(target);
    return code == TOOL_DONE ? begin_draft(target, resumes) : code;
}

/* ------------------------------------------------------------------------- databases */

/* Where the complete database of a name is; freed by the caller. */
static char *complete_path(const state_target *target, const char *name)
{
    if (target->location->is_url)
        return state_join(target->path, name);
    char *tree = state_join(target->draft, TREE);
    char *path = tree != NULL ? state_join(tree, name) : NULL;
    free(tree);
    return path;
}

weir_status state_target_open_path(const state_target *target, const char *path, bool create,
                                   state_store *store, weir_error *err)
{
    state_open_args args = {
        .spec = target->location->spec, .path = path, .options = target->options, .create = create};
    return state_store_open(&args, store, err);
}

bool state_target_left(const state_target *target, const char *name)
{
    state_store store = {.name = name};
    state_mark mark = {.first = NULL};
    bool is_left = false;
    char *path = complete_path(target, name);
    if (path == NULL)
        return false;
    if (!target->location->is_url && access(path, F_OK) != 0) {
        free(path);
        return false;
    }
    if (state_target_open_path(target, path, false, &store, NULL) == WEIR_OK)
        is_left =
            state_mark_read(&store, &mark, NULL) == WEIR_OK && (!mark.is_there || mark.is_copied);
    state_mark_release(&mark);
    state_store_close(&store, NULL);
    free(path);
    return is_left;
}

static weir_status digest_path(const state_target *target, const char *path, digest *sum,
                               state_progress *progress, weir_error *err)
{
    state_store store = {.name = ""};
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = state_target_open_path(target, path, false, &store, err);
    if (status != WEIR_OK)
        return status;
    status = state_store_digest(&store, sum, progress, err);
    weir_status closing = state_store_close(&store, &inner);
    if (status == WEIR_OK && closing != WEIR_OK)
        status = weir_error_set(err, closing, "%s", inner.message);
    return status;
}

bool state_target_matches(const state_target *target, const char *name, const digest *expected,
                          state_progress *progress)
{
    digest sum;
    char *path = complete_path(target, name);
    bool matches = path != NULL && digest_path(target, path, &sum, progress, NULL) == WEIR_OK &&
                   digest_equal(&sum, expected);
    free(path);
    return matches;
}

static weir_status open_part(state_target *target, state_store *store, weir_error *err)
{
    char *part = state_join(target->draft, PART);
    weir_status status = part != NULL ? state_folder_remove(part, err) : no_memory(err);
    if (status == WEIR_OK)
        status = state_target_open_path(target, part, true, store, err);
    free(part);
    return status;
}

weir_status state_target_open(state_target *target, const char *name, state_store *store,
                              weir_error *err)
{
    return target->location->is_url ? state_url_open(target, name, store, err)
                                    : open_part(target, store, err);
}

/* ------------------------------------------------------------------------- completing */

static weir_status compare(const state_target *target, const char *path, const digest *expected,
                           state_progress *progress, weir_error *err)
{
    digest sum;
    char texts[2][2 * DIGEST_SIZE + 1];
    weir_status status = digest_path(target, path, &sum, progress, err);
    if (status != WEIR_OK || digest_equal(&sum, expected))
        return status;
    digest_text(expected, texts[0]);
    digest_text(&sum, texts[1]);
    return weir_error_set(err, WEIR_CORRUPTED,
                          "what was written to %s does not read back the same: digest %s, expected "
                          "%s",
                          path, texts[1], texts[0]);
}

/* part → tree/name. */
static weir_status complete_part(const state_target *target, const char *path,
                                 const digest *expected, state_progress *progress, weir_error *err)
{
    char *part = state_join(target->draft, PART);
    char *above = strdup(path);
    weir_status status = part != NULL && above != NULL
                             ? compare(target, part, expected, progress, err)
                             : no_memory(err);
    if (status == WEIR_OK) {
        *strrchr(above, '/') = '\0';
        status = state_folder_make(above, err);
    }
    if (status == WEIR_OK)
        status = state_folder_remove(path, err);
    if (status == WEIR_OK && rename(part, path) != 0)
        status = state_folder_error(errno, "rename", part, err);
    if (status == WEIR_OK)
        status = state_folder_sync_parent(path, err);
    free(part);
    free(above);
    return status;
}

weir_status state_target_complete(state_target *target, const char *name, state_store *store,
                                  const digest *expected, state_progress *progress, weir_error *err)
{
    weir_status status = state_store_close(store, err);
    char *path = complete_path(target, name);
    if (path == NULL)
        status = no_memory(err);
    if (status == WEIR_OK && target->location->is_url) {
        status = compare(target, path, expected, progress, err);
        if (status == WEIR_OK)
            status = state_url_copied(target, path, err);
    } else if (status == WEIR_OK) {
        status = complete_part(target, path, expected, progress, err);
    }
    free(path);
    return status;
}

/* ------------------------------------------------------------------------ making visible */

/* Both exist; each gets the other's name, at one moment where the file system can. */
static int exchange(const char *a, const char *b)
{
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    char *aside;
    if (asprintf(&aside, "%s.aside", a) < 0)
        return ENOMEM;
    int number = rename(b, aside) == 0 ? 0 : errno;
    if (number == 0 && rename(a, b) != 0) {
        number = errno;
        (void)rename(aside, b);
    } else if (number == 0) {
        number = rename(aside, a) == 0 ? 0 : errno;
    }
    free(aside);
    return number;
}

static weir_status keep_old(const state_target *target, const char *tree, weir_error *err)
{
    char *old;
    weir_status status = WEIR_OK;
    if (asprintf(&old, "%s.weir-old", target->path) < 0)
        return no_memory(err);
    if (rename(tree, old) != 0)
        status = state_folder_error(errno, "rename the old folder to", old, err);
    free(old);
    return status;
}

static void leave_draft(state_target *target)
{
    close(target->draft_fd);
    target->draft_fd = -1;
}

weir_status state_target_commit(state_target *target, weir_error *err)
{
    const char *path = target->path;
    if (target->location->is_url)
        return state_url_commit(target, err);
    char *tree = state_join(target->draft, TREE);
    if (tree == NULL)
        return no_memory(err);
    if (target->replaces)
        state_folder_give(tree, path);
    weir_status status = WEIR_OK;
    int number = syncfs(target->draft_fd) == 0 ? 0 : errno;
    if (number == 0 && target->replaces)
        number = exchange(tree, path);
    else if (number == 0 && rename(tree, path) != 0)
        number = errno;
    if (number != 0)
        status = state_folder_error(number, "put the new state in place at", path, err);
    target->is_committed = status == WEIR_OK;
    if (status == WEIR_OK)
        status = state_folder_sync_parent(path, err);
    if (status == WEIR_OK && target->replaces && target->keeps)
        status = keep_old(target, tree, err);
    /* Then the draft is all there is of what was to be kept. */
    if (status != WEIR_OK && target->is_committed && target->keeps)
        leave_draft(target);
    free(tree);
    return status;
}

void state_target_end(state_target *target)
{
    weir_error err;
    weir_error_init(&err);
    state_url_end(target);
    /* Only whoever has the lock of the draft may remove it. */
    if (target->draft_fd >= 0) {
        if (state_folder_remove(target->draft, &err) != WEIR_OK)
            tool_fail("can't remove what is not needed: %s", err.message);
        close(target->draft_fd);
    }
    free(target->draft);
    free(target->path);
    *target = (state_target){.draft_fd = -1};
}
