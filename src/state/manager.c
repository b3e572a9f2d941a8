/*
 * The state manager: stores by name and stream, which backend each has, and the
 * partitions that are assigned.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/folder.h"
#include "backend/lock.h"
#include "base/option.h"
#include "state/folder.h"
#include "state/options.h"
#include "state/partition.h"

#define DEFAULT_STATE_DIR   "state"
#define DEFAULT_STORE       "default"
#define DEFAULT_CACHE_BYTES ((size_t)256 << 20)
#define DEFAULT_GRACE_MS    (INT64_C(7) * 24 * 3600 * 1000)
#define DEFAULT_JUMP_MS     (INT64_C(24) * 3600 * 1000)

typedef struct store {
    char *name;
    char *stream_id; /* NULL: none */
    char *spec;
    weir_option *options;
    bool has_changelog;
    weir__kind_options kind;
} store;

typedef struct assignment {
    const store *of;
    weir_partition *partition;
} assignment;

struct weir_state_manager {
    char *state_dir;
    char *group_id;
    char *spec;
    weir_option *options;
    weir__typed_options typed;
    weir__arena arena; /* of typed */
    weir_mismatch_policy on_backend_mismatch;
    bool use_cache;
    weir_changelog_open_fn changelog_open;
    void *changelog_arg;
    weir_gap_policy gap_policy;
    int open_deadline_ms;
    const volatile bool *stop;
    store **stores;
    size_t store_count;
    assignment *assigned;
    size_t assigned_count;
};

static weir_status no_memory(weir_error *err)
{
    return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for the state manager");
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_same_stream(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* --- Life of a manager --- */

void weir_state_options_init(weir_state_options *options)
{
    *options = (weir_state_options){
        .struct_size = sizeof *options,
        .cache_bytes = DEFAULT_CACHE_BYTES,
        .gap_policy = WEIR_GAP_FAIL,
    };
}

/* A backend or an option that is not known is a mistake in the configuration. */
static weir_status check_backend(const char *spec, const weir_option *options,
                                 const char *state_dir, weir_error *err)
{
    weir_status status = weir__database_check(spec, options, state_dir, NULL, err);
    if (status != WEIR_NOT_FOUND)
        return status;
    if (err)
        err->status = WEIR_INVALID;
    return WEIR_INVALID;
}

static weir_status check_mismatch_policy(weir_mismatch_policy policy, weir_error *err)
{
    if (policy == WEIR_MISMATCH_REFUSE || policy == WEIR_MISMATCH_REBUILD)
        return WEIR_OK;
    return weir_error_set(err, WEIR_INVALID,
                          "on_backend_mismatch: %d is neither WEIR_MISMATCH_REFUSE nor "
                          "WEIR_MISMATCH_REBUILD",
                          (int)policy);
}

/* Those of a store that chooses nothing. */
static weir_status check_options(const weir_state_manager *manager, const char *spec,
                                 const weir_state_options *options, weir_error *err)
{
    weir_option *all;
    weir_status status =
        weir__store_options(spec, options->state_options, &manager->typed, NULL, &spec, &all, err);
    if (!status)
        status = check_backend(spec, all, options->state_dir, err);
    weir__option_free(all);
    return status;
}

/* "s3://bucket/" and "s3://bucket" are the same place. */
static void cut_slashes(char *url)
{
    for (size_t size = strlen(url); size > 0 && url[size - 1] == '/';)
        url[--size] = '\0';
}

weir_status weir_state_manager_new(const weir_state_options *options, weir_state_manager **manager,
                                   weir_error *err)
{
    *manager = NULL;
    weir_state_options known; /* what a program of an older version doesn't give has its default */
    weir_state_options_init(&known);
    memcpy(&known, options, smaller(options->struct_size, sizeof known));
    options = &known;
    const char *spec = weir__state_backend(options->state_backend);
    weir_status status = weir__folder_name_check("a group id", options->group_id, err);
    if (!status)
        status = check_mismatch_policy(options->on_backend_mismatch, err);
    if (status)
        return status;
    weir_state_manager *made = calloc(1, sizeof *made);
    if (!made)
        return no_memory(err);
    weir__arena_init(&made->arena);
    status = weir__typed_options_copy(options->rocksdb_options, options->slatedb_options,
                                      &made->arena, &made->typed, err);
    if (!status)
        status = check_options(made, spec, options, err);
    if (status) {
        weir_state_manager_free(made);
        return status;
    }
    const char *state_dir = options->state_dir;
    made->state_dir = strdup(state_dir && *state_dir ? state_dir : DEFAULT_STATE_DIR);
    made->group_id = strdup(options->group_id);
    made->spec = strdup(spec);
    made->options = weir__option_copy(options->state_options);
    if (!made->state_dir || !made->group_id || !made->spec || !made->options) {
        weir_state_manager_free(made);
        return no_memory(err);
    }
    if (weir__is_url(made->state_dir))
        cut_slashes(made->state_dir);
    made->use_cache = options->cache_bytes > 0;
    made->changelog_open = options->changelog_open;
    made->changelog_arg = options->changelog_arg;
    made->gap_policy = options->gap_policy;
    made->on_backend_mismatch = options->on_backend_mismatch;
    made->open_deadline_ms = options->open_deadline_ms;
    made->stop = options->stop;
    weir__cache_budget_raise(options->cache_bytes);
    *manager = made;
    return WEIR_OK;
}

static void store_free(store *of)
{
    if (!of)
        return;
    free(of->name);
    free(of->stream_id);
    free(of->spec);
    weir__option_free(of->options);
    free(of);
}

static weir_status close_assignment(weir_state_manager *manager, size_t index, weir_error *err)
{
    weir_partition *partition = manager->assigned[index].partition;
    manager->assigned[index] = manager->assigned[--manager->assigned_count];
    return weir__partition_close(partition, err);
}

void weir_state_manager_free(weir_state_manager *manager)
{
    if (!manager)
        return;
    while (manager->assigned_count > 0) {
        weir_error err;
        weir_error_init(&err);
        if (close_assignment(manager, manager->assigned_count - 1, &err))
            weir_log(WEIR_LOG_WARN, "store.close", "%s", err.message);
    }
    for (size_t i = 0; i < manager->store_count; i++)
        store_free(manager->stores[i]);
    free(manager->stores);
    free(manager->assigned);
    free(manager->state_dir);
    free(manager->group_id);
    free(manager->spec);
    weir__option_free(manager->options);
    weir__arena_release(&manager->arena);
    free(manager);
}

/* --- Stores --- */

void weir_store_config_init(weir_store_config *config)
{
    *config = (weir_store_config){
        .struct_size = sizeof *config,
        .name = DEFAULT_STORE,
        .changelog = true,
        .grace_ms = DEFAULT_GRACE_MS,
        .ttl_max_jump_ms = DEFAULT_JUMP_MS,
    };
}

static bool is_subset(const weir_option *a, const weir_option *b)
{
    for (; a->key; a++) {
        const char *value = weir__option_get(b, a->key);
        if (!value || strcmp(value, a->value) != 0)
            return false;
    }
    return true;
}

static bool is_same_store(const store *a, const store *b)
{
    return strcmp(a->spec, b->spec) == 0 && a->has_changelog == b->has_changelog &&
           is_subset(a->options, b->options) && is_subset(b->options, a->options);
}

static bool is_number(const char *text)
{
    return text && *text && text[strspn(text, "0123456789")] == 0;
}

/*
 * Two stores can't have one name and stream, and a stream named like a number can't stand
 * where the partitions of a store without stream are.
 */
static weir_status check_neighbours(const weir_state_manager *manager, const store *made,
                                    const store **same, weir_error *err)
{
    *same = NULL;
    for (size_t i = 0; i < manager->store_count; i++) {
        const store *other = manager->stores[i];
        if (strcmp(other->name, made->name) != 0)
            continue;
        if (is_same_stream(other->stream_id, made->stream_id)) {
            *same = other;
            weir_status status = weir__kind_options_match(&other->kind, &made->kind, made->name,
                                                          made->stream_id, err);
            if (status || is_same_store(other, made))
                return status;
            return weir_error_set(err, WEIR_INVALID,
                                  "the store %s%s%s is registered already with another backend "
                                  "(%s and %s), other options or another changelog setting",
                                  made->name, made->stream_id ? " of the stream " : "",
                                  made->stream_id ? made->stream_id : "", other->spec, made->spec);
        }
        const char *stream = !other->stream_id ? made->stream_id : other->stream_id;
        if ((!other->stream_id || !made->stream_id) && is_number(stream))
            return weir_error_set(err, WEIR_INVALID,
                                  "the store %s can't be used for the stream %s and without a "
                                  "stream: the folders of both would be in each other",
                                  made->name, stream);
    }
    return WEIR_OK;
}

static weir_status store_new(const weir_state_manager *manager, const weir_store_config *config,
                             store **made, weir_error *err)
{
    const char *spec;
    weir_option *options = NULL;
    *made = NULL;
    weir__kind_options kind;
    weir_status status = weir__kind_options_read(config, &kind, err);
    if (!status)
        status = weir__store_options(manager->spec, manager->options, &manager->typed, config,
                                     &spec, &options, err);
    if (!status)
        status = check_backend(spec, options, manager->state_dir, err);
    store *of = status ? NULL : calloc(1, sizeof *of);
    if (!of) {
        weir__option_free(options);
        return status ? status : no_memory(err);
    }
    of->name = strdup(config->name);
    of->stream_id = config->stream_id ? strdup(config->stream_id) : NULL;
    of->spec = strdup(spec);
    of->options = options;
    of->has_changelog = config->changelog && manager->changelog_open;
    of->kind = kind;
    if (!of->name || !of->spec || (config->stream_id && !of->stream_id)) {
        store_free(of);
        return no_memory(err);
    }
    *made = of;
    return WEIR_OK;
}

static bool is_stream_assigned(const weir_state_manager *manager, const char *stream_id)
{
    for (size_t i = 0; i < manager->assigned_count; i++) {
        if (is_same_stream(manager->assigned[i].of->stream_id, stream_id))
            return true;
    }
    return false;
}

weir_status weir_state_manager_register(weir_state_manager *manager,
                                        const weir_store_config *config, weir_error *err)
{
    store *made = NULL;
    const store *same = NULL;
    weir_store_config known;
    weir_store_config_init(&known);
    memcpy(&known, config, smaller(config->struct_size, sizeof known));
    if (!known.name)
        known.name = DEFAULT_STORE;
    config = &known;
    weir_status status = weir__store_name_check(config->name, err);
    if (!status && config->stream_id)
        status = weir__folder_name_check("a stream id", config->stream_id, err);
    if (!status)
        status = store_new(manager, config, &made, err);
    if (!status)
        status = check_neighbours(manager, made, &same, err);
    if (status || same)
        goto done;
    if (is_stream_assigned(manager, made->stream_id)) {
        status = weir_error_set(err, WEIR_BUSY,
                                "the store %s can't be registered: partitions of its stream are "
                                "assigned already",
                                made->name);
        goto done;
    }
    store **grown = realloc(manager->stores, (manager->store_count + 1) * sizeof(store *));
    if (!grown) {
        status = no_memory(err);
        goto done;
    }
    manager->stores = grown;
    manager->stores[manager->store_count++] = made;
    made = NULL;
done:
    store_free(made);
    return status;
}

static weir_status register_kind(weir_state_manager *manager, const weir_store_config *config,
                                 weir_store_kind kind, weir_error *err)
{
    weir_store_config known;
    weir_store_config_init(&known);
    memcpy(&known, config, smaller(config->struct_size, sizeof known));
    known.struct_size = sizeof known;
    known.kind = kind;
    return weir_state_manager_register(manager, &known, err);
}

weir_status weir_state_manager_register_windowed_store(weir_state_manager *manager,
                                                       const weir_store_config *config,
                                                       weir_error *err)
{
    return register_kind(manager, config, WEIR_STORE_WINDOWED, err);
}

weir_status weir_state_manager_register_timestamped_store(weir_state_manager *manager,
                                                          const weir_store_config *config,
                                                          weir_error *err)
{
    return register_kind(manager, config, WEIR_STORE_TIMESTAMPED, err);
}

/* --- Assigned partitions --- */

static weir_status open_partition(weir_state_manager *manager, const store *of, int32_t number,
                                  weir_partition **partition, weir_error *err)
{
    *partition = NULL;
    char *path = weir__partition_folder(manager->state_dir, manager->group_id, of->name,
                                        of->stream_id, number);
    if (!path)
        return no_memory(err);
    weir_changelog *changelog = NULL;
    weir_status status = WEIR_OK;
    if (of->has_changelog)
        status = manager->changelog_open(of->name, of->stream_id, number, &changelog,
                                         manager->changelog_arg, err);
    if (!status) {
        weir__partition_config config = {
            .store = of->name,
            .stream_id = of->stream_id,
            .number = number,
            .path = path,
            .kind = of->kind,
            .backend_spec = of->spec,
            .backend_options = of->options,
            .changelog = changelog,
            .gap_policy = manager->gap_policy,
            .on_backend_mismatch = manager->on_backend_mismatch,
            .use_cache = manager->use_cache,
            .open_deadline_ms = manager->open_deadline_ms,
            .stop = manager->stop,
        };
        status = weir__partition_open(&config, partition, err);
    }
    free(path);
    return status;
}

static bool is_assigned(const assignment *one, const char *stream_id, int32_t number)
{
    return one->partition->number == number && is_same_stream(one->of->stream_id, stream_id);
}

weir_status weir_state_manager_assign(weir_state_manager *manager, const char *stream_id,
                                      int32_t partition, weir_error *err)
{
    if (partition < 0)
        return weir_error_set(err, WEIR_INVALID, "%" PRId32 " is not a partition number",
                              partition);
    for (size_t i = 0; i < manager->assigned_count; i++) {
        if (is_assigned(&manager->assigned[i], stream_id, partition))
            return WEIR_OK;
    }
    size_t before = manager->assigned_count;
    assignment *grown =
        realloc(manager->assigned, (before + manager->store_count + 1) * sizeof *grown);
    if (!grown)
        return no_memory(err);
    manager->assigned = grown;
    for (size_t i = 0; i < manager->store_count; i++) {
        const store *of = manager->stores[i];
        if (!is_same_stream(of->stream_id, stream_id))
            continue;
        assignment *next = &manager->assigned[manager->assigned_count];
        weir_status status = open_partition(manager, of, partition, &next->partition, err);
        if (status) {
            while (manager->assigned_count > before)
                close_assignment(manager, manager->assigned_count - 1, NULL);
            return status;
        }
        next->of = of;
        manager->assigned_count++;
    }
    return WEIR_OK;
}

weir_status weir_state_manager_revoke(weir_state_manager *manager, const char *stream_id,
                                      int32_t partition, weir_error *err)
{
    weir_status first = WEIR_OK;
    for (size_t i = manager->assigned_count; i-- > 0;) {
        if (!is_assigned(&manager->assigned[i], stream_id, partition))
            continue;
        weir_status status = close_assignment(manager, i, first ? NULL : err);
        first = first ? first : status;
    }
    return first;
}

weir_partition *weir_state_manager_partition(weir_state_manager *manager, const char *store_name,
                                             const char *stream_id, int32_t partition)
{
    for (size_t i = 0; i < manager->assigned_count; i++) {
        const assignment *one = &manager->assigned[i];
        if (is_assigned(one, stream_id, partition) && strcmp(one->of->name, store_name) == 0)
            return one->partition;
    }
    return NULL;
}

/* --- Clear --- */

/* The store whose folder a database is in; NULL: one that is not registered. */
static const store *store_of_folder(const weir_state_manager *manager, const char *folder)
{
    const char *number = strrchr(folder, '/');
    if (!number || !is_number(number + 1))
        return NULL;
    for (size_t i = 0; i < manager->store_count; i++) {
        const store *of = manager->stores[i];
        char *path = weir__partition_folder(manager->state_dir, manager->group_id, of->name,
                                            of->stream_id, (int32_t)atol(number + 1));
        bool is_same = path && strcmp(path, folder) == 0;
        free(path);
        if (is_same)
            return of;
    }
    return NULL;
}

/* Another process may have the state open, also that of a store not registered here. */
static weir_status check_unlocked(const char *folder, weir_error *err)
{
    weir__lock lock;
    weir__lock_owner owner;
    weir_error inner;
    weir__lock_init(&lock);
    weir_error_init(&inner);
    weir_status status = weir__lock_take(&lock, folder, false, &owner, &inner);
    weir__lock_release(&lock);
    if (status)
        weir_error_set(err, status, "can't clear the state: %s (path=%s)", inner.message, folder);
    return status;
}

/*
 * Lets the backend of a registered store remove its database, for it may keep things
 * elsewhere too. What another backend wrote, or another program registered, goes with
 * the folder.
 */
static weir_status destroy_database(const char *folder, void *arg, weir_error *err)
{
    const weir_state_manager *manager = arg;
    weir_status status = check_unlocked(folder, err);
    const store *of = store_of_folder(manager, folder);
    if (status || !of)
        return status;
    weir__database_config config = {
        .spec = of->spec,
        .location = folder,
        .options = of->options,
        .label = of->name,
        .open_deadline_ms = manager->open_deadline_ms,
        .stop = manager->stop,
    };
    weir_error inner;
    weir_error_init(&inner);
    status = weir__database_destroy(&config, &inner);
    if (!status || status == WEIR_NOT_FOUND || status == WEIR_WRONG_BACKEND)
        return WEIR_OK;
    return weir_error_set(err, status, "%s", inner.message);
}

typedef struct cleaning {
    weir__database_config config;
    weir_error *err;
} cleaning;

static weir_status destroy_at_url(const char *location, void *arg)
{
    cleaning *of = arg;
    of->config.location = location;
    return weir__database_destroy(&of->config, of->err);
}

/* What the backend keeps below a URL; one that keeps nothing has nothing there. */
static weir_status clear_url(const weir_state_manager *manager, const char *url, const char *spec,
                             const weir_option *options, weir_error *err)
{
    bool is_persistent;
    weir_status status = weir__database_check(spec, options, url, &is_persistent, err);
    if (status || !is_persistent)
        return status;
    cleaning of = {.err = err,
                   .config = {.spec = spec,
                              .location = url,
                              .options = options,
                              .open_deadline_ms = manager->open_deadline_ms,
                              .stop = manager->stop}};
    weir__database_config where = of.config;
    return weir__database_list(&where, destroy_at_url, &of, err);
}

/* With each backend that the group is known to have. */
static weir_status clear_all_at_url(const weir_state_manager *manager, const char *url,
                                    weir_error *err)
{
    const char *spec;
    weir_option *options;
    weir_status status = weir__store_options(manager->spec, manager->options, &manager->typed, NULL,
                                             &spec, &options, err);
    if (!status)
        status = clear_url(manager, url, spec, options, err);
    weir__option_free(options);
    for (size_t i = 0; i < manager->store_count && !status; i++) {
        if (strcmp(manager->stores[i]->spec, manager->spec) != 0)
            status =
                clear_url(manager, url, manager->stores[i]->spec, manager->stores[i]->options, err);
    }
    return status;
}

static weir_status clear_folder(weir_state_manager *manager, const char *folder, weir_error *err)
{
    weir_status status = weir__folder_each_database(folder, destroy_database, manager, err);
    return status ? status : weir__folder_remove(folder, err);
}

weir_status weir_state_manager_clear(weir_state_manager *manager, weir_error *err)
{
    if (manager->assigned_count > 0)
        return weir_error_set(err, WEIR_BUSY,
                              "the state of the group %s can't be cleared while %zu partitions "
                              "are assigned",
                              manager->group_id, manager->assigned_count);
    char *folder = weir__group_folder(manager->state_dir, manager->group_id);
    if (!folder)
        return no_memory(err);
    weir_status status = weir__is_url(folder) ? clear_all_at_url(manager, folder, err)
                                              : clear_folder(manager, folder, err);
    if (!status)
        weir_log(WEIR_LOG_INFO, "state.clear", "removed all state (path=%s)", folder);
    free(folder);
    return status;
}
