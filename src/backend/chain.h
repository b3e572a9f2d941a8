/*
 * A spec resolved: the backend that stores, the decorators around it, the emulation where
 * one of them needs it, and the options of each. The host builds it from the inside out, so
 * that each level finds a complete table below it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_CHAIN_H
#define WEIR_BACKEND_CHAIN_H

#include <weir/backend.h>

typedef struct weir__level {
    weir_backend table; /* complete: every method is there */
    weir_option_value *values;
    weir_backend_open_args args;
} weir__level;

/* The options that every database has (weir__database_options in database.h), typed. */
typedef struct weir__host_options {
    int64_t open_max_retries;
    int64_t open_retry_backoff_ms;
    bool on_corrupted_recreate;
} weir__host_options;

typedef struct weir__chain {
    char *name; /* the spec in names: "trace:rocksdb" */
    weir_option *options;
    weir__host_options host;
    size_t count;
    weir__level *levels; /* levels[0] stores; levels[count - 1] is the outermost */
} weir__chain;

/*
 * Finds, checks and connects all of a spec. Everything is copied. WEIR_INVALID: the spec, or
 * an unknown or bad option; WEIR_UNSUPPORTED: no atomic batches. *chain [out].
 */
weir_status weir__chain_new(const char *spec, const weir_option *options, weir__chain **chain,
                            weir_error *err);
void weir__chain_free(weir__chain *chain);

/* Says where to open; location and label are borrowed until the chain is freed. */
void weir__chain_bind(weir__chain *chain, const char *location, const char *label, bool create,
                      bool read_only);

static inline const weir_backend *weir__chain_storage(const weir__chain *chain)
{
    return &chain->levels[0].table;
}

/* The outermost table, with the capabilities of the whole. */
static inline const weir_backend *weir__chain_top(const weir__chain *chain)
{
    return &chain->levels[chain->count - 1].table;
}

static inline const weir_backend_open_args *weir__chain_args(const weir__chain *chain)
{
    return &chain->levels[chain->count - 1].args;
}

#endif
