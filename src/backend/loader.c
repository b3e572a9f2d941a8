/*
 * Plugins: where they are looked for, and what is refused before and after loading.
 *
 * A plugin runs with all rights of the program, so a file or a folder that somebody else
 * may write to is refused, and the current folder is never searched.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/registry.h"

#ifndef WEIR_BACKEND_FOLDER
#error "the build defines WEIR_BACKEND_FOLDER, the folder that plugins are installed into"
#endif

#define FILE_PREFIX "libweir_"
#define FILE_SUFFIX ".so"

/* ------------------------------------------------------------------ folders */

/*
 * Where plugins are installed: weir/backends beside libweir.so, so that an installed tree
 * can be moved; where the build says, in a program that holds the layers itself.
 */
static const char *installed_folder(char path[PATH_MAX])
{
    static const char library[] = "/libweir.so", below[] = "/weir/backends";
    Dl_info info;
    if (dladdr(library, &info) == 0 || realpath(info.dli_fname, path) == NULL)
        return WEIR_BACKEND_FOLDER;
    char *slash = strrchr(path, '/');
    if (slash == NULL || strncmp(slash, library, sizeof library - 1) != 0 ||
        (size_t)(slash - path) + sizeof below > PATH_MAX)
        return WEIR_BACKEND_FOLDER;
    memcpy(slash, below, sizeof below);
    return path;
}

/* Calls visit for each entry of WEIR_BACKEND_PATH that is an absolute path, or for each that is
 * not, until it returns false. Empty entries mean nothing. */
static bool each_entry(bool is_absolute, bool (*visit)(const char *entry, void *arg), void *arg)
{
    const char *path = secure_getenv("WEIR_BACKEND_PATH");
    char *copy = path != NULL ? strdup(path) : NULL;
    char *rest = copy;
    bool goes_on = true;
    for (char *entry = strsep(&rest, ":"); entry != NULL && goes_on; entry = strsep(&rest, ":"))
        if (entry[0] != '\0' && (entry[0] == '/') == is_absolute)
            goes_on = visit(entry, arg);
    free(copy);
    return goes_on;
}

/* Calls visit for each folder in order until it returns false. A relative one would depend on the
 * current folder. */
static void each_folder(bool (*visit)(const char *folder, void *arg), void *arg)
{
    char installed[PATH_MAX];
    if (each_entry(true, visit, arg))
        visit(installed_folder(installed), arg);
}

static bool warn_of(const char *entry, void *arg)
{
    (void)arg;
    weir_log(WEIR_LOG_WARN, "backend.path",
             "'%s' in WEIR_BACKEND_PATH is passed over: only absolute folders are searched", entry);
    return true;
}

typedef struct search {
    const char *name;
    char *found;
} search;

static bool look_into(const char *folder, void *arg)
{
    search *s = arg;
    char *path;
    if (asprintf(&path, "%s/" FILE_PREFIX "%s" FILE_SUFFIX, folder, s->name) < 0)
        return true;
    if (access(path, F_OK) == 0) {
        s->found = path;
        return false;
    }
    free(path);
    return true;
}

char *weir__plugin_find(const char *name)
{
    search s = {name, NULL};
    each_entry(false, warn_of, NULL);
    each_folder(look_into, &s);
    return s.found;
}

typedef struct folder_list {
    char *text;
    size_t size;
    const char *before; /* the next one */
} folder_list;

static bool append_folder(const char *folder, void *arg)
{
    folder_list *t = arg;
    size_t used = strlen(t->text);
    snprintf(t->text + used, t->size - used, "%s%s", t->before, folder);
    t->before = ", ";
    return true;
}

void weir__plugin_folders(char *text, size_t size)
{
    folder_list searched = {text, size, ""};
    folder_list passed_over = {text, size, " (only absolute folders are searched, not "};
    const char *first = passed_over.before;
    text[0] = '\0';
    each_folder(append_folder, &searched);
    each_entry(false, append_folder, &passed_over);
    size_t used = strlen(text);
    if (passed_over.before != first)
        snprintf(text + used, size - used, ")");
}

typedef struct walk {
    void (*visit)(const char *name, void *arg);
    void *arg;
} walk;

static bool walk_folder(const char *folder, void *arg)
{
    const walk *w = arg;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return true;
    const size_t prefix = strlen(FILE_PREFIX);
    const size_t suffix = strlen(FILE_SUFFIX);
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        size_t length = strlen(item->d_name);
        char name[64];
        if (length <= prefix + suffix || length - prefix - suffix >= sizeof name ||
            strncmp(item->d_name, FILE_PREFIX, prefix) != 0 ||
            strcmp(item->d_name + length - suffix, FILE_SUFFIX) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(length - prefix - suffix), item->d_name + prefix);
        w->visit(name, w->arg);
    }
    closedir(dir);
    return true;
}

void weir__plugin_each(void (*visit)(const char *name, void *arg), void *arg)
{
    walk w = {visit, arg};
    each_entry(false, warn_of, NULL);
    each_folder(walk_folder, &w);
}

/* ------------------------------------------------------------------ loading */

static weir_status check_writers(const char *what, const char *path, weir_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return weir_error_set(err, errno == EACCES ? WEIR_PERMISSION : WEIR_IO,
                              "can't look at the %s %s: %s", what, path, strerror(errno));
    if (info.st_uid != 0 && info.st_uid != geteuid())
        return weir_error_set(err, WEIR_PERMISSION,
                              "the %s %s belongs to user %u, who could change it: it is not "
                              "loaded. It must belong to root or to user %u",
                              what, path, info.st_uid, geteuid());
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return weir_error_set(err, WEIR_PERMISSION,
                              "the %s %s may be written to by others (mode %04o): it is not "
                              "loaded. Run: chmod go-w '%s'",
                              what, path, info.st_mode & 07777u, path);
    return WEIR_OK;
}

static weir_status check_file_and_folder(char *resolved, weir_error *err)
{
    char *slash = strrchr(resolved, '/');
    weir_status status;
    if (slash == resolved) {
        status = check_writers("plugin folder", "/", err);
    } else {
        *slash = '\0';
        status = check_writers("plugin folder", resolved, err);
        *slash = '/';
    }
    return status == WEIR_OK ? check_writers("plugin", resolved, err) : status;
}

/* The entry function, or NULL. POSIX lets an object pointer hold a function; C does not. */
static weir_backend_get_fn entry_of(void *library)
{
    weir_backend_get_fn get = NULL;
    void *symbol = dlsym(library, WEIR_BACKEND_ENTRY);
    memcpy(&get, &symbol, sizeof get);
    return get;
}

void weir__plugin_unload(void *library)
{
    if (library != NULL)
        dlclose(library);
}

weir_status weir__plugin_load(const char *path, char **resolved, void **library,
                              const weir_backend **given, weir_error *err)
{
    weir_status status;
    *library = NULL;
    *given = NULL;
    *resolved = realpath(path, NULL);
    if (*resolved == NULL) {
        status = errno == ENOENT || errno == ENOTDIR ? WEIR_NOT_FOUND
                 : errno == EACCES                   ? WEIR_PERMISSION
                                                     : WEIR_IO;
        return weir_error_set(err, status, "can't find the plugin %s: %s", path, strerror(errno));
    }
    status = check_file_and_folder(*resolved, err);
    if (status != WEIR_OK)
        goto done;
    *library = dlopen(*resolved, RTLD_NOW | RTLD_LOCAL);
    if (*library == NULL) {
        status =
            weir_error_set(err, WEIR_INVALID, "can't load the plugin %s: %s", *resolved, dlerror());
        goto done;
    }
    weir_backend_get_fn get = entry_of(*library);
    if (get == NULL) {
        status = weir_error_set(err, WEIR_INVALID,
                                "%s is not a backend of Weir: it does not export '%s'", *resolved,
                                WEIR_BACKEND_ENTRY);
        goto done;
    }
    *given = get(WEIR_BACKEND_ABI_VERSION);
    if (*given == NULL)
        status = weir_error_set(err, WEIR_VERSION,
                                "the plugin %s can't work with version %u of the backend "
                                "interface: use a build of it for Weir %s",
                                *resolved, WEIR_BACKEND_ABI_VERSION, weir_version());
done:
    if (status != WEIR_OK) {
        weir__plugin_unload(*library);
        *library = NULL;
        free(*resolved);
        *resolved = NULL;
        *given = NULL;
    }
    return status;
}
