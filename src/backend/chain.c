/*
 * Specs and options: from text to a chain of tables with their arguments. See chain.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/database.h"
#include "backend/emulate.h"
#include "backend/host.h"
#include "backend/registry.h"
#include "base/buffer.h"
#include "base/option.h"

/* Decorators in one spec. */
#define DECORATORS_MAX 8

/* The backends of a spec, the outermost first; the last one stores. */
typedef struct parsed_spec {
    const weir_backend *backends[DECORATORS_MAX + 1];
    size_t count;
} parsed_spec;

/* --------------------------------------------------------------------- specs */

static weir_status find_backend(const char *spec, const char *name, const weir_backend **backend,
                                weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = weir_backend_find(name, backend, &inner);
    if (status == WEIR_OK)
        return WEIR_OK;
    /* That a backend is not there is a mistake of whoever wrote the spec. */
    return weir_error_set(err, status == WEIR_NOT_FOUND ? WEIR_INVALID : status,
                          "state backend '%s': %s", spec, inner.message);
}

static weir_status add_backend(const char *spec, const weir_backend *backend, bool is_last,
                               parsed_spec *parsed, weir_error *err)
{
    bool wraps = (backend->capabilities & WEIR_CAP_DECORATOR) != 0;
    if (is_last && wraps)
        return weir_error_set(err, WEIR_INVALID,
                              "state backend '%s': '%s' stores nothing itself, it goes in front "
                              "of another, as in '%s:rocksdb'",
                              spec, backend->name, backend->name);
    if (!is_last && !wraps)
        return weir_error_set(err, WEIR_INVALID,
                              "state backend '%s': '%s' can't stand before another: only "
                              "decorators such as 'trace' and 'fault' can",
                              spec, backend->name);
    if (parsed->count > DECORATORS_MAX)
        return weir_error_set(err, WEIR_INVALID, "state backend '%s': more than %d decorators",
                              spec, DECORATORS_MAX);
    parsed->backends[parsed->count++] = backend;
    return WEIR_OK;
}

static weir_status parse_spec(const char *spec, parsed_spec *parsed, weir_error *err)
{
    weir_status status = WEIR_OK;
    parsed->count = 0;
    const char *at = spec;
    bool is_last = false;
    while (status == WEIR_OK && !is_last) {
        size_t size = strcspn(at, ":");
        /* A path takes all the rest: it may hold colons itself. */
        if (memchr(at, '/', size) != NULL)
            size = strlen(at);
        is_last = at[size] == '\0';
        if (size == 0)
            return weir_error_set(err, WEIR_INVALID,
                                  "state backend '%s': a name is missing; known are rocksdb, "
                                  "memory, and trace: or fault: in front of another",
                                  spec);
        char *name = strndup(at, size);
        if (name == NULL)
            return weir_error_set(err, WEIR_NO_MEMORY, "no memory for state backend '%s'", spec);
        const weir_backend *backend;
        status = find_backend(spec, name, &backend, err);
        free(name);
        if (status == WEIR_OK)
            status = add_backend(spec, backend, is_last, parsed, err);
        at += size + 1;
    }
    return status;
}

static char *names_of(const parsed_spec *parsed)
{
    weir__buffer text;
    weir__buffer_init(&text);
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < parsed->count; i++)
        status = weir__buffer_printf(&text, "%s%s", i > 0 ? ":" : "", parsed->backends[i]->name);
    if (status == WEIR_OK)
        status = weir__buffer_append_byte(&text, 0);
    if (status != WEIR_OK)
        weir__buffer_release(&text);
    return (char *)text.data;
}

/* ------------------------------------------------------------------- options */

/* What stands behind "NAME." in a key, or NULL. */
static const char *key_behind_prefix(const char *key, const char *name)
{
    size_t size = strlen(name);
    return strncmp(key, name, size) == 0 && key[size] == '.' ? key + size + 1 : NULL;
}

static void list_keys(weir__buffer *text, const char *prefix, const weir_option_spec *specs)
{
    for (size_t i = 0; i < weir__option_count(specs); i++)
        (void)weir__buffer_printf(text, "%s%s%s%s", text->size > 0 ? ", " : "", prefix,
                                  prefix[0] != '\0' ? "." : "", specs[i].name);
}

static weir_status unknown_key(const weir__chain *chain, const parsed_spec *parsed, const char *key,
                               weir_error *err)
{
    weir__buffer known;
    weir__buffer_init(&known);
    list_keys(&known, "", weir__database_options);
    list_keys(&known, "", parsed->backends[parsed->count - 1]->options);
    for (size_t i = 0; i + 1 < parsed->count; i++)
        list_keys(&known, parsed->backends[i]->name, parsed->backends[i]->options);
    weir_error_set(err, WEIR_INVALID, "unknown option '%s' for state backend %s; known are %.*s",
                   key, chain->name, (int)known.size, (const char *)known.data);
    weir__buffer_release(&known);
    return WEIR_INVALID;
}

/* Whether a pair belongs to the backend at parsed->backends[index]; *key: its name there. */
static bool belongs_to(const parsed_spec *parsed, size_t index, const weir_option *pair,
                       const char **key)
{
    const weir_backend *backend = parsed->backends[index];
    if (index + 1 < parsed->count) {
        *key = key_behind_prefix(pair->key, backend->name);
        return *key != NULL;
    }
    *key = pair->key;
    return weir__option_find(weir__database_options, pair->key) < 0 &&
           weir__option_find(backend->options, pair->key) >= 0;
}

static weir_status check_keys(const weir__chain *chain, const parsed_spec *parsed, weir_error *err)
{
    for (const weir_option *pair = chain->options; pair->key != NULL; pair++) {
        const char *key;
        bool known = weir__option_find(weir__database_options, pair->key) >= 0;
        for (size_t i = 0; !known && i < parsed->count; i++)
            known = belongs_to(parsed, i, pair, &key);
        if (!known)
            return unknown_key(chain, parsed, pair->key, err);
    }
    return WEIR_OK;
}

/* The typed values of a backend's table from the pairs that belong to it. *values [out]. */
static weir_status parse_level(const weir__chain *chain, const parsed_spec *parsed, size_t index,
                               weir_option_value **values, weir_error *err)
{
    const weir_backend *backend = parsed->backends[index];
    size_t pair_count = 0;
    for (const weir_option *pair = chain->options; pair->key != NULL; pair++)
        pair_count++;
    char owner[128];
    snprintf(owner, sizeof owner, "state backend %s", backend->name);
    weir_status status = WEIR_NO_MEMORY;
    weir_option *pairs = calloc(pair_count + 1, sizeof *pairs);
    *values = calloc(weir__option_count(backend->options) + 1, sizeof **values);
    if (pairs == NULL || *values == NULL) {
        weir_error_set(err, status, "no memory for the options of %s", owner);
        goto done;
    }
    size_t used = 0;
    for (const weir_option *pair = chain->options; pair->key != NULL; pair++) {
        const char *key;
        if (belongs_to(parsed, index, pair, &key))
            pairs[used++] = (weir_option){key, pair->value};
    }
    status = weir__option_parse(owner, backend->options, pairs, *values, err);
done:
    free(pairs);
    if (status != WEIR_OK) {
        free(*values);
        *values = NULL;
    }
    return status;
}

static weir_status parse_host_options(weir__chain *chain, weir_error *err)
{
    weir_option pairs[16];
    weir_option_value values[WEIR__DATABASE_OPTION_COUNT];
    size_t used = 0;
    for (const weir_option *pair = chain->options; pair->key != NULL; pair++) {
        if (weir__option_find(weir__database_options, pair->key) < 0)
            continue;
        if (used + 1 == sizeof pairs / sizeof pairs[0])
            return weir_error_set(err, WEIR_INVALID, "option '%s' is given too often", pair->key);
        pairs[used++] = *pair;
    }
    pairs[used] = (weir_option){NULL, NULL};
    weir_status status =
        weir__option_parse("state options", weir__database_options, pairs, values, err);
    if (status != WEIR_OK)
        return status;
    chain->host.open_max_retries = values[WEIR__OPEN_MAX_RETRIES].integer;
    chain->host.open_retry_backoff_ms = (int64_t)(values[WEIR__OPEN_RETRY_BACKOFF].number * 1000.0);
    chain->host.on_corrupted_recreate = values[WEIR__ON_CORRUPTED_RECREATE].boolean;
    return WEIR_OK;
}

/* ---------------------------------------------------------------- the levels */

/* Adds a level around what is there; the values are handed over. */
static void push_level(weir__chain *chain, const weir_backend *backend, weir_option_value *values)
{
    weir__level *level = &chain->levels[chain->count];
    level->table = *backend;
    level->values = values;
    if (chain->count > 0) {
        /* A decorator can only pass on what is there below it. */
        const uint64_t below = chain->levels[chain->count - 1].table.capabilities;
        level->table.capabilities &= below;
    }
    weir__backend_complete(&level->table);
    chain->count++;
}

static void push_emulation(weir__chain *chain)
{
    const weir_backend *below = weir__chain_top(chain);
    weir__level *level = &chain->levels[chain->count++];
    level->table = *weir__emulation();
    /* Whoever asks wants to know what keeps the data. */
    level->table.version = below->version;
    level->table.capabilities = below->capabilities | WEIR_CAP_COLUMN_FAMILIES |
                                WEIR_CAP_BOUNDED_ITERATION | WEIR_CAP_REVERSE_ITERATION;
}

static weir_status push_backend(weir__chain *chain, const weir_backend *backend,
                                weir_option_value *values, weir_error *err)
{
    push_level(chain, backend, values);
    const weir_backend *table = weir__chain_top(chain);
    if ((table->capabilities & WEIR_CAP_ATOMIC_BATCH) == 0)
        return weir_error_set(err, WEIR_UNSUPPORTED,
                              "state backend %s can't be used: '%s' lacks the capability 'atomic "
                              "batch', which state needs and which can't be emulated",
                              chain->name, backend->name);
    if (weir__emulation_needed(table))
        push_emulation(chain);
    return WEIR_OK;
}

static weir_status build(weir__chain *chain, const parsed_spec *parsed, const char *spec,
                         const weir_option *options, weir_error *err)
{
    chain->name = names_of(parsed);
    chain->options = weir__option_copy(options);
    /* Each backend may need an emulation around it. */
    chain->levels = calloc(2 * parsed->count, sizeof *chain->levels);
    if (chain->name == NULL || chain->options == NULL || chain->levels == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for state backend '%s'", spec);
    weir_status status = check_keys(chain, parsed, err);
    if (status == WEIR_OK)
        status = parse_host_options(chain, err);
    for (size_t i = parsed->count; status == WEIR_OK && i > 0; i--) {
        weir_option_value *values;
        status = parse_level(chain, parsed, i - 1, &values, err);
        if (status == WEIR_OK)
            status = push_backend(chain, parsed->backends[i - 1], values, err);
    }
    return status;
}

weir_status weir__chain_new(const char *spec, const weir_option *options, weir__chain **chain,
                            weir_error *err)
{
    parsed_spec parsed;
    *chain = NULL;
    weir_status status = parse_spec(spec, &parsed, err);
    if (status != WEIR_OK)
        return status;
    weir__chain *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for state backend '%s'", spec);
    status = build(made, &parsed, spec, options, err);
    if (status != WEIR_OK)
        weir__chain_free(made);
    else
        *chain = made;
    return status;
}

void weir__chain_free(weir__chain *chain)
{
    if (chain == NULL)
        return;
    for (size_t i = 0; i < chain->count; i++)
        free(chain->levels[i].values);
    free(chain->levels);
    weir__option_free(chain->options);
    free(chain->name);
    free(chain);
}

void weir__chain_bind(weir__chain *chain, const char *location, const char *label, bool create,
                      bool read_only)
{
    for (size_t i = 0; i < chain->count; i++) {
        weir__level *level = &chain->levels[i];
        const weir__level *below = i > 0 ? &chain->levels[i - 1] : NULL;
        level->args = (weir_backend_open_args){
            .struct_size = sizeof level->args,
            .host = &weir__backend_host,
            .location = location,
            .label = label,
            .options = level->values,
            .create = create,
            .read_only = read_only,
            .inner = below != NULL ? &below->table : NULL,
            .inner_args = below != NULL ? &below->args : NULL,
        };
    }
}
