/*
 * The registry of backends: validation, and lookup by name or path.
 *
 * Entries are added and never removed, so a pointer to one may be used without the lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/fault/fault.h"
#include "backend/memory/memory.h"
#include "backend/rocksdb/rocksdb.h"
#include "backend/trace/trace.h"
#include "base/option.h"

typedef struct entry {
    weir_backend table;
    char *origin;
    struct entry *next;
} entry;

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static entry *entries;
static bool builtins_are_in;

/* ---------------------------------------------------------------- validation */

typedef struct method {
    const char *name;
    size_t offset;
    uint64_t capability; /* needs it; 0: required always */
} method;

#define REQUIRED(member)                                                                           \
    {                                                                                              \
#member, offsetof(weir_backend, member), 0                                                 \
    }
#define NEEDED(member, capability_)                                                                \
    {                                                                                              \
#member, offsetof(weir_backend, member), capability_                                       \
    }

static const method methods[] = {
    REQUIRED(open),
    REQUIRED(close),
    REQUIRED(destroy),
    REQUIRED(cf_open),
    REQUIRED(cf_list),
    REQUIRED(get),
    REQUIRED(value_release),
    REQUIRED(write),
    REQUIRED(iter_open),
    REQUIRED(iter_next),
    REQUIRED(iter_close),
    REQUIRED(flush),
    NEEDED(cf_drop, WEIR_CAP_COLUMN_FAMILIES),
    NEEDED(snapshot_open, WEIR_CAP_SNAPSHOTS),
    NEEDED(snapshot_close, WEIR_CAP_SNAPSHOTS),
};

static const char *capability_name(uint64_t capability)
{
    return capability == WEIR_CAP_COLUMN_FAMILIES ? "column families" : "snapshots";
}

static bool has_method(const weir_backend *backend, size_t offset)
{
    void (*function)(void);
    memcpy(&function, (const char *)backend + offset, sizeof function);
    return function != NULL;
}

static bool name_is_good(const char *name)
{
    if (name == NULL || name[0] < 'a' || name[0] > 'z')
        return false;
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return name[length] == '\0' && length <= 63;
}

static weir_status check_methods(const weir_backend *backend, const char *origin, weir_error *err)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const method *m = &methods[i];
        if (has_method(backend, m->offset))
            continue;
        if (m->capability == 0)
            return weir_error_set(err, WEIR_INVALID,
                                  "backend '%s' (%s) lacks the required method '%s'", backend->name,
                                  origin, m->name);
        if ((backend->capabilities & m->capability) != 0)
            return weir_error_set(
                err, WEIR_INVALID,
                "backend '%s' (%s) declares the capability '%s' but lacks its method '%s'",
                backend->name, origin, capability_name(m->capability), m->name);
    }
    return WEIR_OK;
}

/* A table is right when its own defaults pass it. */
static weir_status check_options(const weir_backend *backend, const char *origin, weir_error *err)
{
    size_t count = weir__option_count(backend->options);
    if (count == 0)
        return WEIR_OK;
    weir_option_value *values = calloc(count, sizeof *values);
    if (values == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory to check backend '%s'",
                              backend->name);
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = weir__option_parse(backend->name, backend->options, NULL, values, &inner);
    if (status != WEIR_OK)
        weir_error_set(err, WEIR_INVALID,
                       "the option table of backend '%s' (%s) has a bad default: %s", backend->name,
                       origin, inner.message);
    free(values);
    return status == WEIR_OK ? WEIR_OK : WEIR_INVALID;
}

weir_status weir__backend_validate(const weir_backend *given, const char *origin,
                                   weir_backend *copy, weir_error *err)
{
    memset(copy, 0, sizeof *copy);
    /* abi_version is at the same place in every version, and what follows is not. */
    if (given->abi_version != WEIR_BACKEND_ABI_VERSION)
        return weir_error_set(err, WEIR_VERSION,
                              "the backend of %s is built for version %u of the backend "
                              "interface, and this Weir %s speaks version %u: use a build of it "
                              "for this version",
                              origin, given->abi_version, weir_version(), WEIR_BACKEND_ABI_VERSION);
    size_t size = given->struct_size < sizeof *copy ? given->struct_size : sizeof *copy;
    if (size < offsetof(weir_backend, open))
        return weir_error_set(err, WEIR_INVALID,
                              "the backend of %s says that its struct has %zu bytes, too few to "
                              "hold a name",
                              origin, given->struct_size);
    memcpy(copy, given, size);
    copy->struct_size = sizeof *copy;
    if (!name_is_good(copy->name))
        return weir_error_set(err, WEIR_INVALID,
                              "the backend of %s has the name '%s': it must be 1 to 63 of a-z, "
                              "0-9 and _, a letter first",
                              origin, copy->name == NULL ? "" : copy->name);
    if (copy->version == NULL)
        copy->version = "";
    weir_status status = check_methods(copy, origin, err);
    if (status == WEIR_OK)
        status = check_options(copy, origin, err);
    return status;
}

/* ------------------------------------------------------------ entries, locked */

static entry *entry_by_name(const char *name)
{
    for (entry *e = entries; e != NULL; e = e->next)
        if (strcmp(e->table.name, name) == 0)
            return e;
    return NULL;
}

static entry *entry_by_origin(const char *origin)
{
    for (entry *e = entries; e != NULL; e = e->next)
        if (strcmp(e->origin, origin) == 0)
            return e;
    return NULL;
}

/* `wanted`: the name that the caller looks for, or NULL. *added [out]. */
static weir_status entry_add(const weir_backend *given, const char *origin, const char *wanted,
                             entry **added, weir_error *err)
{
    *added = NULL;
    weir_status status = WEIR_NO_MEMORY;
    entry *e = calloc(1, sizeof *e);
    if (e == NULL || (e->origin = strdup(origin)) == NULL) {
        weir_error_set(err, status, "no memory to register the backend of %s", origin);
        goto done;
    }
    status = weir__backend_validate(given, origin, &e->table, err);
    if (status != WEIR_OK)
        goto done;
    const entry *other = entry_by_name(e->table.name);
    if (other != NULL) {
        status = weir_error_set(err, WEIR_INVALID,
                                "the backend of %s has the name '%s', which is taken (%s)", origin,
                                e->table.name, other->origin);
        goto done;
    }
    if (wanted != NULL && strcmp(wanted, e->table.name) != 0) {
        status = weir_error_set(err, WEIR_INVALID,
                                "the plugin %s was looked for as '%s', but calls itself '%s'",
                                origin, wanted, e->table.name);
        goto done;
    }
    e->next = entries;
    entries = e;
    *added = e;
done:
    if (status != WEIR_OK && e != NULL) {
        free(e->origin);
        free(e);
    }
    return status;
}

static weir_status add_builtins(weir_error *err)
{
    if (builtins_are_in)
        return WEIR_OK;
    const weir_backend *builtins[] = {weir__backend_memory(), weir__backend_rocksdb(),
                                      weir__backend_trace(), weir__backend_fault()};
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        entry *added;
        /* A second attempt, after memory ran out, finds some of them in place. */
        if (entry_by_name(builtins[i]->name) != NULL)
            continue;
        weir_status status = entry_add(builtins[i], "built in", NULL, &added, err);
        if (status != WEIR_OK)
            return status;
    }
    builtins_are_in = true;
    return WEIR_OK;
}

static weir_status load(const char *path, const char *wanted, entry **found, weir_error *err)
{
    *found = NULL;
    char *resolved = NULL;
    void *library = NULL;
    const weir_backend *given;
    /* The same file by another path is the same backend. */
    char *real = realpath(path, NULL);
    if (real != NULL)
        *found = entry_by_origin(real);
    free(real);
    if (*found != NULL)
        return WEIR_OK;
    weir_status status = weir__plugin_load(path, &resolved, &library, &given, err);
    if (status == WEIR_OK)
        status = entry_add(given, resolved, wanted, found, err);
    if (status != WEIR_OK)
        weir__plugin_unload(library);
    else
        weir_log(WEIR_LOG_DEBUG, "backend.load", "loaded backend '%s' (%s) from %s",
                 (*found)->table.name, (*found)->table.version, resolved);
    free(resolved);
    return status;
}

/* Plugins of Weir itself are left out of a build that lacks their tools. */
static const char *hint_for(const char *name)
{
    if (strcmp(name, "slatedb") == 0)
        return ". The backend slatedb is not built: install cargo 1.91 or newer (rustup.rs) and "
               "build Weir with -DWEIR_WITH_SLATEDB=ON";
    return "";
}

static weir_status find(const char *name, entry **found, weir_error *err)
{
    *found = NULL;
    weir_status status = add_builtins(err);
    if (status != WEIR_OK)
        return status;
    if (strchr(name, '/') != NULL)
        return load(name, NULL, found, err);
    *found = entry_by_name(name);
    if (*found != NULL)
        return WEIR_OK;
    char *path = name_is_good(name) ? weir__plugin_find(name) : NULL;
    if (path != NULL) {
        status = load(path, name, found, err);
        free(path);
        return status;
    }
    char known[256] = "";
    char folders[512];
    for (const entry *e = entries; e != NULL; e = e->next) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "", e->table.name);
    }
    weir__plugin_folders(folders, sizeof folders);
    return weir_error_set(err, WEIR_NOT_FOUND,
                          "there is no backend '%s': it is none of those registered (%s), and "
                          "there is no libweir_%s.so in %s%s",
                          name, known, name, folders, hint_for(name));
}

/* ---------------------------------------------------------------- public side */

weir_status weir_backend_register(const weir_backend *backend, weir_error *err)
{
    entry *added;
    pthread_mutex_lock(&registry_lock);
    weir_status status = add_builtins(err);
    if (status == WEIR_OK)
        status = entry_add(backend, "registered by the program", NULL, &added, err);
    pthread_mutex_unlock(&registry_lock);
    return status;
}

weir_status weir_backend_find(const char *name, const weir_backend **backend, weir_error *err)
{
    entry *found;
    *backend = NULL;
    pthread_mutex_lock(&registry_lock);
    weir_status status = find(name, &found, err);
    pthread_mutex_unlock(&registry_lock);
    if (status == WEIR_OK)
        *backend = &found->table;
    return status;
}

weir_status weir_backend_parse_options(const weir_backend *backend, const weir_option *pairs,
                                       weir_option_value *values, weir_error *err)
{
    char owner[80];
    snprintf(owner, sizeof owner, "backend %s", backend->name);
    return weir__option_parse(owner, backend->options, pairs, values, err);
}

static void load_found(const char *name, void *arg)
{
    (void)arg;
    const weir_backend *backend;
    weir_error err;
    weir_error_init(&err);
    if (weir_backend_find(name, &backend, &err) != WEIR_OK)
        weir_log(WEIR_LOG_WARN, "backend.skipped", "%s", err.message);
}

static int by_name(const void *a, const void *b)
{
    const entry *const *left = a;
    const entry *const *right = b;
    return strcmp((*left)->table.name, (*right)->table.name);
}

/* A sorted array of the entries, to be freed. NULL: no memory, or none. */
static entry **sorted_entries(size_t *count)
{
    *count = 0;
    pthread_mutex_lock(&registry_lock);
    (void)add_builtins(NULL);
    size_t n = 0;
    for (entry *e = entries; e != NULL; e = e->next)
        n++;
    entry **sorted = n > 0 ? calloc(n, sizeof(entry *)) : NULL;
    if (sorted != NULL) {
        for (entry *e = entries; e != NULL; e = e->next)
            sorted[(*count)++] = e;
        qsort(sorted, n, sizeof(entry *), by_name);
    }
    pthread_mutex_unlock(&registry_lock);
    return sorted;
}

void weir_backend_each(void (*visit)(const weir_backend *backend, const char *origin, void *arg),
                       void *arg)
{
    weir__plugin_each(load_found, NULL);
    size_t count;
    entry **sorted = sorted_entries(&count);
    for (size_t i = 0; i < count; i++)
        visit(&sorted[i]->table, sorted[i]->origin, arg);
    free(sorted);
}
