/*
 * The table of kinds of stores.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/kind.h"

#include <inttypes.h>
#include <string.h>

#include "state/partition.h"

#define CF_GLOBAL_COUNTER "__global-counter__"
#define CF_WINDOW_ENDS    "__weir_window_ends__"

static const char *const plain_cfs[] = {NULL};

static const char *const windowed_cfs[] = {
    [WEIR__CF_LATEST_TIMESTAMPS - 1] = "__latest-timestamps__",
    [WEIR__CF_EXPIRATION_INDEX - 1] = "__expiration-index__",
    [WEIR__CF_DELETION_INDEX - 1] = "__deletion-index__",
    [WEIR__CF_VALUE_DELETION_INDEX - 1] = "__value-deletion-index__",
    [WEIR__CF_VALUES - 1] = "__values__",
    [WEIR__CF_WINDOWED_COUNTER - 1] = CF_GLOBAL_COUNTER,
    [WEIR__CF_WINDOW_ENDS - 1] = CF_WINDOW_ENDS,
    NULL,
};

static const char *const timestamped_cfs[] = {
    [WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS - 1] = "__min-eligible-timestamps__",
    [WEIR__CF_TIMESTAMPED_COUNTER - 1] = CF_GLOBAL_COUNTER,
    NULL,
};

static const weir__kind kinds[] = {
    [WEIR_STORE_PLAIN] = {.name = "plain", .cfs = plain_cfs},
    [WEIR_STORE_WINDOWED] = {.name = "windowed",
                             .cfs = windowed_cfs,
                             .counter_cf = WEIR__CF_WINDOWED_COUNTER,
                             .counter_key = "__global_counter__",
                             .uncached_cfs = {WEIR__CF_LATEST_TIMESTAMPS, WEIR__CF_EXPIRATION_INDEX,
                                              WEIR__CF_VALUES, WEIR__CF_WINDOW_ENDS}},
    /* Quix Streams gives the key of this one an empty prefix and its separator. */
    [WEIR_STORE_TIMESTAMPED] = {.name = "timestamped",
                                .cfs = timestamped_cfs,
                                .counter_cf = WEIR__CF_TIMESTAMPED_COUNTER,
                                .counter_key = "|__global_counter__",
                                .uncached_cfs = {WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS}},
};

const char *weir__kind_name(weir_store_kind kind)
{
    return kinds[kind].name;
}

bool weir__kind_is_uncached(const weir__kind *kind, weir_cf cf)
{
    const weir_cf *uncached = kind->uncached_cfs;
    while (*uncached && *uncached != cf)
        uncached++;
    return *uncached != 0;
}

const weir__kind *weir__kind_find(weir_slice name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (weir_slice_equal(name, weir_slice_str(kinds[i].name)))
            return &kinds[i];
    }
    return NULL;
}

static weir_status read_ttl_options(const weir_store_config *config, weir__kind_options *options,
                                    weir_error *err)
{
    if (config->ttl_max_jump_ms < 1)
        return weir_error_set(err, WEIR_INVALID,
                              "store %s: ttl_max_jump_ms is %" PRId64 ", but must be above 0",
                              config->name, config->ttl_max_jump_ms);
    options->ttl_max_jump_ms = config->ttl_max_jump_ms;
    options->ttl_unmarked = config->ttl_unmarked;
    return WEIR_OK;
}

weir_status weir__kind_options_read(const weir_store_config *config, weir__kind_options *options,
                                    weir_error *err)
{
    *options = (weir__kind_options){.kind = &kinds[WEIR_STORE_PLAIN]};
    if ((size_t)config->kind >= sizeof kinds / sizeof *kinds)
        return weir_error_set(err, WEIR_INVALID, "store %s: %d is not a kind of store",
                              config->name, (int)config->kind);
    options->id = config->kind;
    options->kind = &kinds[config->kind];
    if (config->kind == WEIR_STORE_PLAIN)
        return read_ttl_options(config, options, err);
    if (config->kind != WEIR_STORE_TIMESTAMPED)
        return WEIR_OK;
    if (config->grace_ms < 0)
        return weir_error_set(err, WEIR_INVALID,
                              "store %s: grace_ms is %" PRId64 ", but must not be below 0",
                              config->name, config->grace_ms);
    options->grace_ms = config->grace_ms;
    options->keep_duplicates = config->keep_duplicates;
    return WEIR_OK;
}

static const char *duplicates_text(const weir__kind_options *options)
{
    return options->keep_duplicates ? "kept" : "replaced";
}

weir_status weir__kind_options_match(const weir__kind_options *a, const weir__kind_options *b,
                                     const char *store, const char *stream_id, weir_error *err)
{
    const char *of = stream_id ? " of the stream " : "";
    const char *stream = stream_id ? stream_id : "";
    if (a->id != b->id)
        return weir_error_set(err, WEIR_INVALID,
                              "the store %s%s%s is a %s store already, and can't be a %s store too",
                              store, of, stream, a->kind->name, b->kind->name);
    if (a->grace_ms != b->grace_ms)
        return weir_error_set(err, WEIR_INVALID,
                              "the store %s%s%s has a grace of %" PRId64
                              " ms already, and can't have one of %" PRId64 " ms too",
                              store, of, stream, a->grace_ms, b->grace_ms);
    if (a->keep_duplicates != b->keep_duplicates)
        return weir_error_set(err, WEIR_INVALID,
                              "the store %s%s%s has duplicates %s already, and can't have them %s "
                              "too",
                              store, of, stream, duplicates_text(a), duplicates_text(b));
    if (a->ttl_max_jump_ms != b->ttl_max_jump_ms || a->ttl_unmarked != b->ttl_unmarked)
        return weir_error_set(err, WEIR_INVALID,
                              "the store %s%s%s has other options of TTL already", store, of,
                              stream);
    return WEIR_OK;
}

/* The families of TTL are local in Quix Streams too. */
static const char *const local_cfs[] = {
    WEIR__CF_METADATA,          CF_WINDOW_ENDS,         "__ttl_index__", "__ttl_backfill_pending__",
    "__ttl_backfill_stamped__", "__ttl_adopt_backup__",
};

bool weir__cf_is_local(const char *name)
{
    if (name[0] != '_')
        return false;
    for (size_t i = 0; i < sizeof local_cfs / sizeof *local_cfs; i++) {
        if (strcmp(name, local_cfs[i]) == 0)
            return true;
    }
    return false;
}
