/*
 * From LOCATION to databases: parsing, finding what lies below a folder, opening.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "state.h"

/* ----------------------------------------------------------------------- parsing */

static bool is_url(const char *path)
{
    return strstr(path, "://") != NULL;
}

/* The size of "name:" at the start, which is a backend unless "//" follows; 0: it is none. */
static size_t name_size(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (size == 0 || text[size] != ':' || strncmp(text + size, "://", 3) == 0)
        return 0;
    return size + 1;
}

/* The size of the spec with its colon: "rocksdb:", "fault:rocksdb:", "/path/mine.so:". */
static size_t spec_size(const char *text)
{
    size_t size = 0;
    for (size_t more; (more = name_size(text + size)) > 0;)
        size += more;
    const char *plugin = strstr(text + size, ".so:");
    if (plugin != NULL && strncmp(plugin + 3, "://", 3) != 0)
        size = (size_t)(plugin - text) + 4;
    return size;
}

int state_location_parse(const char *text, state_location *location)
{
    size_t size = spec_size(text);
    const char *path = text + size;
    *location = (state_location){.text = text, .is_url = is_url(path)};
    if (path[0] == '\0')
        return tool_misuse("'%s' names no folder and no URL", text);
    if (size > 0)
        location->spec = strndup(text, size - 1);
    else if (location->is_url)
        location->spec = strdup("slatedb");
    location->path = strdup(path);
    if (location->path == NULL || (location->spec == NULL && (size > 0 || location->is_url))) {
        state_location_release(location);
        return tool_fail("out of memory");
    }
    for (size_t end = strlen(path); end > 1 && location->path[end - 1] == '/'; end--)
        location->path[end - 1] = '\0';
    return TOOL_DONE;
}

void state_location_release(state_location *location)
{
    free(location->spec);
    free(location->path);
    location->spec = NULL;
    location->path = NULL;
}

/* ----------------------------------------------------------------------- finding */

static bool add(state_list *list, const char *path, const char *name)
{
    state_found *grown = realloc(list->items, (list->count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    list->items = grown;
    state_found *item = &grown[list->count];
    *item = (state_found){.name = strdup(name), .path = strdup(path)};
    list->count++;
    return item->name != NULL && item->path != NULL;
}

/* Partitions by number. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strverscmp((*a)->fts_name, (*b)->fts_name);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    return size > strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

/* What an entry of the walk is; *status is set when the walk must end. */
static int visit_entry(FTS *walk, FTSENT *entry, const char *root, state_list *list)
{
    char backend[WEIR_BACKEND_NAME_SIZE];
    switch (entry->fts_info) {
    case FTS_D:
        /* Of load and migrate. */
        if (entry->fts_level > 0 &&
            (ends_with(entry->fts_name, ".weir-new") || ends_with(entry->fts_name, ".weir-old"))) {
            fts_set(walk, entry, FTS_SKIP);
            return TOOL_DONE;
        }
        if (weir_database_identify(entry->fts_path, backend, NULL) == WEIR_NOT_FOUND)
            return TOOL_DONE;
        fts_set(walk, entry, FTS_SKIP);
        const char *name = entry->fts_path + strlen(root);
        return add(list, entry->fts_path, name + strspn(name, "/")) ? TOOL_DONE
                                                                    : tool_fail("out of memory");
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return tool_fail("can't read %s: %s", entry->fts_path, strerror(entry->fts_errno));
    case FTS_DP:
    case FTS_DC:
        return TOOL_DONE;
    default:
        if (list->stray == NULL)
            list->stray = strdup(entry->fts_path);
        return TOOL_DONE;
    }
}

int state_list_look(const char *root, state_list *list)
{
    *list = (state_list){0};
    char *copy = strdup(root);
    char *const roots[] = {copy, NULL};
    FTS *walk =
        copy != NULL ? fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name) : NULL;
    int code = walk != NULL ? TOOL_DONE : tool_fail("out of memory");
    for (FTSENT *entry; code == TOOL_DONE && (entry = fts_read(walk)) != NULL;)
        code = visit_entry(walk, entry, root, list);
    if (walk != NULL)
        fts_close(walk);
    free(copy);
    return code;
}

typedef struct listing {
    const char *root;
    state_list *list;
} listing;

static weir_status add_listed(const char *url, void *arg)
{
    listing *of = arg;
    size_t size = strlen(of->root);
    const char *name = strncmp(url, of->root, size) == 0 ? url + size : url;
    return add(of->list, url, name + strspn(name, "/")) ? WEIR_OK : WEIR_NO_MEMORY;
}

static int compare_found(const void *a, const void *b)
{
    return strverscmp(((const state_found *)a)->name, ((const state_found *)b)->name);
}

int state_list_url(const state_location *location, const weir_option *options, state_list *list)
{
    weir_error err;
    listing of = {location->path, list};
    *list = (state_list){0};
    weir_database_config config;
    weir_error_init(&err);
    weir_database_config_init(&config);
    config.backend = location->spec;
    config.location = location->path;
    config.options = options;
    weir_status status = weir_database_list(&config, add_listed, &of, &err);
    /* Then it is taken as one database. */
    if (status == WEIR_UNSUPPORTED)
        return add(list, location->path, "") ? TOOL_DONE : tool_fail("out of memory");
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_found);
    return status == WEIR_OK ? TOOL_DONE : tool_fail("%s", err.message);
}

int state_list_find(const state_location *location, const weir_option *options, state_list *list)
{
    *list = (state_list){0};
    int code = TOOL_DONE;
    if (location->is_url)
        code = state_list_url(location, options, list);
    else if (access(location->path, F_OK) != 0)
        code = tool_fail("can't read %s: %s", location->path, strerror(errno));
    else
        code = state_list_look(location->path, list);
    if (code == TOOL_DONE && list->count == 0)
        code = location->is_url
                   ? tool_fail("there is no state at or below %s", location->path)
                   : tool_fail("there is no state in %s: no folder at or below it holds weir.json "
                               "or a RocksDB database",
                               location->path);
    if (code != TOOL_DONE)
        state_list_release(list);
    return code;
}

const state_found *state_list_name(const state_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

void state_list_release(state_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].path);
    }
    free(list->items);
    free(list->stray);
    *list = (state_list){0};
}

/* ----------------------------------------------------------------------- opening */

/* Options with what an operator expects: a lock is told at once and not waited for. */
static weir_option *impatient(const weir_option *given)
{
    size_t count = 0;
    bool is_told = false;
    while (given != NULL && given[count].key != NULL)
        is_told |= strcmp(given[count++].key, "open_max_retries") == 0;
    weir_option *made = calloc(count + 2, sizeof *made);
    if (made == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        made[i] = given[i];
    if (!is_told)
        made[count] = (weir_option){"open_max_retries", "0"};
    return made;
}

static weir_status add_family(const char *name, void *arg)
{
    state_store *store = arg;
    state_family *grown = realloc(store->families, (store->family_count + 1) * sizeof *grown);
    if (grown == NULL)
        return WEIR_NO_MEMORY;
    store->families = grown;
    grown[store->family_count] = (state_family){.name = strdup(name)};
    return grown[store->family_count++].name != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

static int compare_families(const void *a, const void *b)
{
    return strcmp(((const state_family *)a)->name, ((const state_family *)b)->name);
}

static weir_status open_families(state_store *store, weir_error *err)
{
    weir_status status = store->backend->cf_list(store->db, add_family, store, err);
    if (status == WEIR_NO_MEMORY)
        weir_error_set(err, status, "no memory for the column families");
    if (store->family_count > 0)
        qsort(store->families, store->family_count, sizeof *store->families, compare_families);
    for (size_t i = 0; status == WEIR_OK && i < store->family_count; i++) {
        state_family *family = &store->families[i];
        status = store->backend->cf_open(store->db, family->name, false, &family->cf, err);
        if (status == WEIR_NOT_FOUND)
            status = weir_error_set(err, WEIR_CORRUPTED,
                                    "the column family %s is listed and not there (%s)",
                                    family->name, weir_database_label(store->database));
    }
    return status;
}

const state_family *state_store_family(const state_store *store, const char *name)
{
    for (size_t i = 0; i < store->family_count; i++)
        if (strcmp(store->families[i].name, name) == 0)
            return &store->families[i];
    return NULL;
}

/* What is noted under a key of the metadata, as far as it fits, with a NUL; nothing: "". */
static weir_status read_note(const state_store *store, const state_family *metadata,
                             const char *key, char note[16], weir_error *err)
{
    weir_backend_value value;
    memset(note, 0, 16);
    weir_status status =
        store->backend->get(store->db, metadata->cf, NULL, weir_slice_str(key), &value, err);
    if (status != WEIR_OK)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    if (value.size < 16)
        memcpy(note, value.data, value.size);
    store->backend->value_release(store->db, &value);
    return WEIR_OK;
}

/* As it is noted; else by the families that only one kind has. */
static weir_status find_kind(state_store *store, weir_error *err)
{
    const state_family *metadata = state_store_family(store, STATE_METADATA);
    char noted[16] = "";
    char ttl[16] = "";
    weir_status status = WEIR_OK;
    if (metadata != NULL)
        status = read_note(store, metadata, "__weir_store_kind__", noted, err);
    if (status == WEIR_OK && metadata != NULL)
        status = read_note(store, metadata, "__ttl_enabled__", ttl, err);
    /* Quix Streams makes a family when it first writes to it: no window may have expired yet. */
    const bool is_plain = strcmp(noted, "plain") == 0;
    if (strcmp(noted, "windowed") == 0 ||
        (!is_plain && (state_store_family(store, "__expiration-index__") != NULL ||
                       state_store_family(store, "__latest-timestamps__") != NULL)))
        store->kind = STATE_KIND_WINDOWED;
    else if (strcmp(noted, "timestamped") == 0 ||
             (!is_plain && state_store_family(store, "__min-eligible-timestamps__") != NULL))
        store->kind = STATE_KIND_TIMESTAMPED;
    else
        store->kind = ttl[0] == 1 ? STATE_KIND_TTL : STATE_KIND_PLAIN;
    return status;
}

weir_status state_store_open(const state_open_args *args, state_store *store, weir_error *err)
{
    const char *name = store->name;
    *store = (state_store){.name = name, .spec = args->spec, .options = args->options};
    weir_option *options = impatient(args->options);
    if (options == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for the options");
    weir_database_config config;
    weir_database_config_init(&config);
    config.backend = args->spec;
    config.location = args->path;
    config.options = options;
    config.read_only = !args->create;
    config.create = args->create;
    config.beside_writer = args->beside;
    weir_status status = weir_database_open(&config, &store->database, err);
    free(options);
    if (status == WEIR_NOT_FOUND)
        return weir_error_set(err, status, "there is no state at %s", args->path);
    if (status != WEIR_OK)
        return status;
    store->backend = weir_database_backend(store->database);
    store->db = weir_database_handle(store->database);
    if ((store->backend->capabilities & WEIR_CAP_PERSISTENT) == 0)
        status = weir_error_set(err, WEIR_INVALID,
                                "the backend %s keeps nothing that could be looked at",
                                store->backend->name);
    if (status == WEIR_OK)
        status = open_families(store, err);
    if (status == WEIR_OK)
        status = find_kind(store, err);
    if (status != WEIR_OK)
        state_store_close(store, NULL);
    return status;
}

weir_status state_store_close(state_store *store, weir_error *err)
{
    weir_status status = weir_database_close(store->database, err);
    for (size_t i = 0; i < store->family_count; i++)
        free(store->families[i].name);
    free(store->families);
    *store = (state_store){.name = store->name};
    return status;
}

typedef struct figure {
    const char *name;
    uint64_t value;
    bool is_there;
} figure;

static void find_figure(const char *name, uint64_t value, void *arg)
{
    figure *wanted = arg;
    if (strcmp(name, wanted->name) != 0)
        return;
    wanted->value = value;
    wanted->is_there = true;
}

bool state_store_figure(const state_store *store, const char *name, uint64_t *value)
{
    figure wanted = {.name = name};
    weir_status status = store->backend->stats(store->db, find_figure, &wanted, NULL);
    *value = wanted.value;
    return status == WEIR_OK && wanted.is_there;
}

/* -------------------------------------------------------------------- visiting all */

static int visit_one(const state_request *request, const state_location *location,
                     const state_found *found, size_t count,
                     int (*visit)(const state_request *request, state_store *store, size_t count,
                                  void *arg),
                     void *arg)
{
    weir_error err;
    state_store store = {.name = found->name};
    weir_error_init(&err);
    state_open_args args = {
        .spec = location->spec, .path = found->path, .options = request->options, .beside = true};
    if (state_store_open(&args, &store, &err) != WEIR_OK)
        return tool_fail("%s", err.message);
    if (request->kind != STATE_KIND_AUTO)
        store.kind = request->kind;
    int code = visit(request, &store, count, arg);
    if (state_store_close(&store, &err) != WEIR_OK)
        code = tool_fail("%s", err.message);
    return code;
}

int state_each(const state_request *request,
               int (*visit)(const state_request *request, state_store *store, size_t count,
                            void *arg),
               void *arg)
{
    state_location location;
    state_list list = {0};
    int code = state_location_parse(request->operands[0], &location);
    if (code != TOOL_DONE)
        return code;
    code = state_list_find(&location, request->options, &list);
    for (size_t i = 0; i < list.count; i++) {
        int one = visit_one(request, &location, &list.items[i], list.count, visit, arg);
        code = one != TOOL_DONE ? one : code;
    }
    state_list_release(&list);
    state_location_release(&location);
    return code;
}
