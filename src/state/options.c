/*
 * The choice of backend and options. See options.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"

#define DEFAULT_BACKEND "rocksdb"
#define UNSET           (-1)
#define MEMBERS_MAX     32
#define NUMBER_SIZE     32

const char *weir__state_backend(const char *given)
{
    if (given && *given)
        return given;
    const char *of_environment = getenv("WEIR_STATE_BACKEND");
    return of_environment && *of_environment ? of_environment : DEFAULT_BACKEND;
}

/* --- The structs --- */

typedef enum member_type { MEMBER_SIZE, MEMBER_SWITCH, MEMBER_SECONDS, MEMBER_TEXT } member_type;

typedef struct member {
    const char *name;
    member_type type;
    size_t offset;
} member;

#define SIZE(of, name)                                                                             \
    {                                                                                              \
#name, MEMBER_SIZE, offsetof(of, name)                                                     \
    }
#define SWITCH(of, name)                                                                           \
    {                                                                                              \
#name, MEMBER_SWITCH, offsetof(of, name)                                                   \
    }
#define SECONDS(of, name)                                                                          \
    {                                                                                              \
#name, MEMBER_SECONDS, offsetof(of, name)                                                  \
    }
#define TEXT(of, name)                                                                             \
    {                                                                                              \
#name, MEMBER_TEXT, offsetof(of, name)                                                     \
    }

static const member rocksdb_members[] = {
    SIZE(weir_rocksdb_options, write_buffer_size),
    SIZE(weir_rocksdb_options, target_file_size_base),
    SIZE(weir_rocksdb_options, max_write_buffer_number),
    SIZE(weir_rocksdb_options, block_cache_size),
    SIZE(weir_rocksdb_options, bloom_filter_bits_per_key),
    SWITCH(weir_rocksdb_options, enable_pipelined_write),
    TEXT(weir_rocksdb_options, compression_type),
    TEXT(weir_rocksdb_options, wal_dir),
    SIZE(weir_rocksdb_options, max_total_wal_size),
    TEXT(weir_rocksdb_options, db_log_dir),
    SWITCH(weir_rocksdb_options, use_fsync),
    SWITCH(weir_rocksdb_options, wal),
    SIZE(weir_rocksdb_options, open_max_retries),
    SECONDS(weir_rocksdb_options, open_retry_backoff),
    SWITCH(weir_rocksdb_options, on_corrupted_recreate),
    {NULL, MEMBER_TEXT, 0},
};

static const member slatedb_members[] = {
    TEXT(weir_slatedb_options, durability),
    SECONDS(weir_slatedb_options, flush_interval),
    SIZE(weir_slatedb_options, memtable_size),
    SIZE(weir_slatedb_options, max_unflushed),
    SIZE(weir_slatedb_options, block_cache_size),
    TEXT(weir_slatedb_options, disk_cache_dir),
    SIZE(weir_slatedb_options, disk_cache_size),
    TEXT(weir_slatedb_options, compression),
    SIZE(weir_slatedb_options, max_log_files),
    SIZE(weir_slatedb_options, min_filter_keys),
    SECONDS(weir_slatedb_options, manifest_poll_interval),
    SIZE(weir_slatedb_options, max_retries),
    SECONDS(weir_slatedb_options, retry_timeout),
    SECONDS(weir_slatedb_options, open_timeout),
    SWITCH(weir_slatedb_options, use_fsync),
    SIZE(weir_slatedb_options, open_max_retries),
    SECONDS(weir_slatedb_options, open_retry_backoff),
    SWITCH(weir_slatedb_options, on_corrupted_recreate),
    SECONDS(weir_slatedb_options, garbage_age),
    {NULL, MEMBER_TEXT, 0},
};

/* Every member unset. */
static void clear(void *options, const member *members)
{
    for (; members->name; members++) {
        char *at = (char *)options + members->offset;
        if (members->type == MEMBER_SIZE)
            *(int64_t *)(void *)at = UNSET;
        else if (members->type == MEMBER_SWITCH)
            *(int *)(void *)at = UNSET;
        else if (members->type == MEMBER_SECONDS)
            *(double *)(void *)at = UNSET;
        else
            *(const char **)(void *)at = NULL;
    }
}

void weir_rocksdb_options_init(weir_rocksdb_options *options)
{
    clear(options, rocksdb_members);
    options->struct_size = sizeof *options;
}

void weir_slatedb_options_init(weir_slatedb_options *options)
{
    clear(options, slatedb_members);
    options->struct_size = sizeof *options;
}

/* What the caller gave over the defaults, its strings in the arena. False: no memory. */
static bool copy_struct(void *to, size_t size, const void *given, size_t given_size,
                        const member *members, weir__arena *arena)
{
    memcpy(to, given, given_size < size ? given_size : size);
    for (; members->name; members++) {
        const char **text = (const char **)(void *)((char *)to + members->offset);
        if (members->type != MEMBER_TEXT || !*text)
            continue;
        *text = weir__arena_copy(arena, *text, strlen(*text));
        if (!*text)
            return false;
    }
    return true;
}

weir_status weir__typed_options_copy(const weir_rocksdb_options *rocksdb,
                                     const weir_slatedb_options *slatedb, weir__arena *arena,
                                     weir__typed_options *typed, weir_error *err)
{
    weir_rocksdb_options_init(&typed->rocksdb);
    weir_slatedb_options_init(&typed->slatedb);
    typed->has_rocksdb = rocksdb != NULL;
    typed->has_slatedb = slatedb != NULL;
    bool done = (!rocksdb || copy_struct(&typed->rocksdb, sizeof *rocksdb, rocksdb,
                                         rocksdb->struct_size, rocksdb_members, arena)) &&
                (!slatedb || copy_struct(&typed->slatedb, sizeof *slatedb, slatedb,
                                         slatedb->struct_size, slatedb_members, arena));
    /* A copy can be copied again. */
    typed->rocksdb.struct_size = sizeof typed->rocksdb;
    typed->slatedb.struct_size = sizeof typed->slatedb;
    return done ? WEIR_OK
                : weir_error_set(err, WEIR_NO_MEMORY, "out of memory for the options of state");
}

/* --- As pairs --- */

/* The typed options of one backend, whose numbers are text in `numbers`. */
typedef struct typed_pairs {
    const char *name; /* "rocksdb_options"; NULL: the backend has none, or none were given */
    weir_option pairs[MEMBERS_MAX];
    size_t count;
    char numbers[MEMBERS_MAX][NUMBER_SIZE];
} typed_pairs;

_Static_assert(sizeof rocksdb_members / sizeof rocksdb_members[0] <= MEMBERS_MAX, "too few");
_Static_assert(sizeof slatedb_members / sizeof slatedb_members[0] <= MEMBERS_MAX, "too few");

/* The value of a member as text; NULL: it is not set. A value that can't be is passed on, for the
 * backend's own check to refuse. */
static const char *text_of(const void *options, const member *of, char *number)
{
    const char *at = (const char *)options + of->offset;
    switch (of->type) {
    case MEMBER_SIZE: {
        int64_t value = *(const int64_t *)(const void *)at;
        if (value == UNSET)
            return NULL;
        snprintf(number, NUMBER_SIZE, "%" PRId64, value);
        return number;
    }
    case MEMBER_SWITCH: {
        int value = *(const int *)(const void *)at;
        if (value == UNSET)
            return NULL;
        snprintf(number, NUMBER_SIZE, "%d", value);
        return number;
    }
    case MEMBER_SECONDS: {
        double value = *(const double *)(const void *)at;
        if (value >= UNSET && value <= UNSET)
            return NULL;
        snprintf(number, NUMBER_SIZE, "%.17g", value);
        return number;
    }
    default:
        return *(const char *const *)(const void *)at;
    }
}

static void take_pairs(typed_pairs *all, const char *name, const void *given, const member *members)
{
    all->name = name;
    for (; members->name; members++) {
        const char *text = text_of(given, members, all->numbers[all->count]);
        if (text)
            all->pairs[all->count++] = (weir_option){members->name, text};
    }
}

/* What stands last in a spec stores. */
static bool is_stored_by(const char *spec, const char *backend)
{
    size_t size = strlen(spec);
    size_t end = strlen(backend);
    return size >= end && strcmp(spec + size - end, backend) == 0 &&
           (size == end || spec[size - end - 1] == ':');
}

static bool has_key(const weir_option *pairs, const char *key)
{
    for (; pairs && pairs->key; pairs++) {
        if (strcmp(pairs->key, key) == 0)
            return true;
    }
    return false;
}

static weir_status given_twice(const typed_pairs *typed, const weir_option *pair,
                               const weir_option *pairs, weir_error *err)
{
    const char *other = weir__option_get(pairs, pair->key);
    return weir_error_set(err, WEIR_INVALID,
                          "option %s is given twice: %s in %s, %s in state_options; leave one out",
                          pair->key, pair->value, typed->name, other ? other : "nothing");
}

static weir_status merge(const weir_option *pairs, bool pairs_win, const typed_pairs *typed,
                         weir_option **all, weir_error *err)
{
    size_t count = 0;
    weir_status status = WEIR_OK;
    while (pairs && pairs[count].key)
        count++;
    weir_option *both = calloc(count + typed->count + 1, sizeof *both);
    if (!both)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for the options of state");
    for (size_t i = 0; i < count; i++)
        both[i] = pairs[i];
    for (size_t i = 0; i < typed->count && !status; i++) {
        if (!has_key(pairs, typed->pairs[i].key))
            both[count++] = typed->pairs[i];
        else if (!pairs_win)
            status = given_twice(typed, &typed->pairs[i], pairs, err);
    }
    if (!status) {
        *all = weir__option_copy(both);
        if (!*all)
            status = weir_error_set(err, WEIR_NO_MEMORY, "out of memory for the options of state");
    }
    free(both);
    return status;
}

weir_status weir__store_options(const char *manager_spec, const weir_option *state_options,
                                const weir__typed_options *typed, const weir_store_config *config,
                                const char **spec, weir_option **all, weir_error *err)
{
    typed_pairs of = {0};
    *all = NULL;
    *spec = config && config->backend && *config->backend ? config->backend : manager_spec;
    const weir_option *own = config ? config->backend_options : NULL;
    const weir_option *pairs = own;
    if (!own && strcmp(*spec, manager_spec) == 0)
        pairs = state_options;
    if (typed->has_rocksdb && is_stored_by(*spec, "rocksdb"))
        take_pairs(&of, "rocksdb_options", &typed->rocksdb, rocksdb_members);
    if (typed->has_slatedb && is_stored_by(*spec, "slatedb"))
        take_pairs(&of, "slatedb_options", &typed->slatedb, slatedb_members);
    return merge(pairs, own != NULL, &of, all, err);
}
