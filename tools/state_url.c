/*
 * A target at a URL, where nothing can be renamed: marks stand for that. See state_target in
 * state.h, and state_mark.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "state_url.h"

static weir_status no_memory(weir_error *err)
{
    return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a URL");
}

static weir_status destroy(const state_target *target, const char *url, weir_error *err)
{
    weir_database_config config;
    weir_database_config_init(&config);
    config.backend = target->location->spec;
    config.location = url;
    config.options = target->options;
    config.read_only = false;
    return weir_database_destroy(&config, err);
}

static weir_status add_made(state_target *target, const char *url, bool is_empty, weir_error *err)
{
    state_made *grown = realloc(target->made, (target->made_count + 1) * sizeof *grown);
    if (grown == NULL)
        return no_memory(err);
    target->made = grown;
    grown[target->made_count] = (state_made){.url = strdup(url), .is_empty = is_empty};
    return grown[target->made_count++].url != NULL ? WEIR_OK : no_memory(err);
}

static state_made *find_made(const state_target *target, const char *url)
{
    for (size_t i = 0; i < target->made_count; i++)
        if (strcmp(target->made[i].url, url) == 0)
            return &target->made[i];
    return NULL;
}

/* ---------------------------------------------------------------------------- beginning */

/* What lies there: a copy that was broken off, or state that is nobody's to touch. */
static weir_status look_at(state_target *target, const state_found *found, bool is_ours,
                           weir_error *err)
{
    state_store store = {.name = found->name};
    state_mark mark = {.first = NULL};
    weir_status status = state_target_open_path(target, found->path, false, &store, err);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status == WEIR_OK)
        status = state_mark_read(&store, &mark, err);
    state_store_close(&store, NULL);
    if (status == WEIR_OK && mark.is_there)
        status =
            is_ours ? add_made(target, found->path, false, err) : destroy(target, found->path, err);
    else if (status == WEIR_OK && !is_ours)
        status =
            weir_error_set(err, WEIR_INVALID,
                           "%s holds state already: name a place where there is none", found->path);
    state_mark_release(&mark);
    return status;
}

/* An empty database with a mark. */
static weir_status mark_place(state_target *target, const char *url, weir_error *err)
{
    state_store store = {.name = ""};
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = state_target_open_path(target, url, true, &store, err);
    if (status == WEIR_OK)
        status = state_mark_write(&store, false, target->first, target->command, err);
    weir_status closing = state_store_close(&store, &inner);
    if (status == WEIR_OK && closing != WEIR_OK)
        status = weir_error_set(err, closing, "%s", inner.message);
    return status;
}

#define CLEARED_AT_ONCE 500

typedef struct clearing {
    const state_store *store;
    weir_backend_cf *cf;
    weir_backend_op ops[CLEARED_AT_ONCE];
    size_t count;
} clearing;

static weir_status write_cleared(clearing *c, weir_error *err)
{
    if (c->count == 0)
        return WEIR_OK;
    weir_status status = c->store->backend->write(c->store->db, c->ops, c->count, 0, err);
    for (size_t i = 0; i < c->count; i++)
        free((void *)(uintptr_t)c->ops[i].key.data);
    c->count = 0;
    return status;
}

static weir_status clear_row(clearing *c, weir_slice key, weir_error *err)
{
    void *copy = malloc(key.size + 1);
    if (copy == NULL)
        return no_memory(err);
    memcpy(copy, key.data, key.size);
    c->ops[c->count++] = (weir_backend_op){
        .kind = WEIR_OP_DELETE, .cf = c->cf, .key = weir_slice_of(copy, key.size)};
    return c->count == CLEARED_AT_ONCE ? write_cleared(c, err) : WEIR_OK;
}

static weir_status clear_family(const state_store *store, const state_family *family,
                                weir_error *err)
{
    clearing c = {.store = store, .cf = family->cf};
    weir_backend_iter *iter;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_slice key;
    weir_slice value;
    weir_status status = store->backend->iter_open(store->db, family->cf, &args, &iter, err);
    if (status != WEIR_OK)
        return status;
    while (status == WEIR_OK &&
           (status = store->backend->iter_next(iter, &key, &value, err)) == WEIR_OK)
        if (!weir_slice_equal(key, weir_slice_str(STATE_INCOMPLETE)))
            status = clear_row(&c, key, err);
    store->backend->iter_close(iter);
    if (status == WEIR_NOT_FOUND)
        status = WEIR_OK;
    weir_status writing = write_cleared(&c, status == WEIR_OK ? err : NULL);
    return status == WEIR_OK ? writing : status;
}

/* What a killed run copied. The database itself stays, so that it is never without its mark. */
static weir_status clear_place(const state_target *target, const char *url, weir_error *err)
{
    state_store store = {.name = ""};
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = state_target_open_path(target, url, true, &store, err);
    if (status == WEIR_OK)
        status = state_mark_write(&store, false, target->first, target->command, err);
    for (size_t i = 0; i < store.family_count && status == WEIR_OK; i++)
        status = clear_family(&store, &store.families[i], err);
    weir_status closing = state_store_close(&store, &inner);
    if (status == WEIR_OK && closing != WEIR_OK)
        status = weir_error_set(err, closing, "%s", inner.message);
    return status;
}

static weir_status set_first(state_target *target, const char *name, weir_error *err)
{
    if (target->first == NULL)
        target->first = state_join(target->path, name);
    return target->first != NULL ? WEIR_OK : no_memory(err);
}

/* Before the first row is copied, so that nobody begins at a place whose turn comes later. */
static weir_status mark_places(state_target *target, const state_list *there,
                               const state_list *names, weir_error *err)
{
    weir_status status = set_first(target, names->items[0].name, err);
    for (size_t i = 0; i < names->count && status == WEIR_OK; i++) {
        if (state_list_name(there, names->items[i].name) != NULL)
            continue;
        char *url = state_join(target->path, names->items[i].name);
        status = url != NULL ? add_made(target, url, true, err) : no_memory(err);
        if (status == WEIR_OK)
            status = mark_place(target, url, err);
        free(url);
    }
    return status;
}

int state_url_begin(state_target *target, const state_list *resumes)
{
    state_list there;
    weir_error err;
    weir_status status = WEIR_OK;
    weir_error_init(&err);
    int code = state_list_url(target->location, target->options, &there);
    if (code != TOOL_DONE)
        return code;
    for (size_t i = 0; i < there.count && status == WEIR_OK; i++) {
        const state_found *found = &there.items[i];
        const bool is_ours = resumes != NULL && state_list_name(resumes, found->name) != NULL;
        status = look_at(target, found, is_ours, &err);
    }
    if (status == WEIR_OK && resumes != NULL)
        status = mark_places(target, &there, resumes, &err);
    state_list_release(&there);
    return status == WEIR_OK ? TOOL_DONE : tool_fail("%s", err.message);
}

/* ------------------------------------------------------------------------------ copying */

static weir_status make_place(state_target *target, const char *name, const char *url,
                              weir_error *err)
{
    state_made *made = find_made(target, url);
    weir_status status = WEIR_OK;
    if (made != NULL && made->is_empty)
        return WEIR_OK;
    if (made == NULL && state_target_left(target, name))
        return weir_error_set(err, WEIR_INVALID,
                              "%s holds state already: name a place where there is none", url);
    if (made != NULL)
        return clear_place(target, url, err);
    status = add_made(target, url, true, err);
    return status == WEIR_OK ? mark_place(target, url, err) : status;
}

weir_status state_url_open(state_target *target, const char *name, state_store *store,
                           weir_error *err)
{
    char *url = state_join(target->path, name);
    weir_status status = url != NULL ? set_first(target, name, err) : no_memory(err);
    if (status == WEIR_OK)
        status = make_place(target, name, url, err);
    if (status == WEIR_OK)
        status = state_target_open_path(target, url, true, store, err);
    if (status == WEIR_OK)
        find_made(target, url)->is_empty = false;
    free(url);
    return status;
}

static weir_status change_mark(const state_target *target, const char *url, bool removes,
                               weir_error *err)
{
    state_store store = {.name = ""};
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = state_target_open_path(target, url, true, &store, err);
    if (status != WEIR_OK)
        return status;
    status = removes ? state_mark_remove(&store, err)
                     : state_mark_write(&store, true, target->first, target->command, err);
    weir_status closing = state_store_close(&store, &inner);
    return status != WEIR_OK    ? status
           : closing != WEIR_OK ? weir_error_set(err, closing, "%s", inner.message)
                                : WEIR_OK;
}

weir_status state_url_copied(const state_target *target, const char *url, weir_error *err)
{
    return change_mark(target, url, false, err);
}

/* --------------------------------------------------------------------------- completing */

weir_status state_url_commit(state_target *target, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (find_made(target, target->first) != NULL)
        status = change_mark(target, target->first, true, err);
    target->is_committed = status == WEIR_OK;
    /* These say no more than that one should look at the first. */
    for (size_t i = 0; i < target->made_count && target->is_committed; i++)
        if (strcmp(target->made[i].url, target->first) != 0)
            (void)change_mark(target, target->made[i].url, true, NULL);
    return status;
}

void state_url_end(state_target *target)
{
    weir_error err;
    weir_error_init(&err);
    for (size_t i = 0; i < target->made_count; i++) {
        if (!target->is_committed && target->made[i].url != NULL &&
            destroy(target, target->made[i].url, &err) != WEIR_OK)
            tool_fail("can't remove what was begun, which no application opens before the same "
                      "command has completed it: %s",
                      err.message);
        free(target->made[i].url);
    }
    free(target->made);
    free(target->first);
    target->made = NULL;
    target->first = NULL;
    target->made_count = 0;
}
