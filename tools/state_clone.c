/*
 * `weir state clone`: databases that share the tables of their source, where the backend makes
 * such.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

typedef struct cloning {
    const state_request *request;
    state_location from;
    state_location to;
    state_list list;
    size_t made; /* of the list */
} cloning;

static weir_status make_clone(const cloning *c, const state_found *found, const char *url,
                              weir_error *err)
{
    state_store store = {.name = found->name};
    bool is_incomplete = false;
    state_open_args args = {
        .spec = c->from.spec, .path = found->path, .options = c->request->options, .beside = true};
    weir_status status = state_store_open(&args, &store, err);
    if (status != WEIR_OK)
        return status;
    status = state_store_is_incomplete(&store, &is_incomplete, err);
    if (status == WEIR_OK && is_incomplete)
        status = weir_error_set(err, WEIR_INVALID, "%s is a copy that was broken off", found->path);
    if (status == WEIR_OK)
        status = store.backend->control(store.db, "clone", (void *)(uintptr_t)url, err);
    if (status == WEIR_UNSUPPORTED)
        status = weir_error_set(err, status,
                                "the backend %s makes no clones: weir state migrate "
                                "copies",
                                store.backend->name);
    state_store_close(&store, NULL);
    return status;
}

static weir_status clone_all(cloning *c, weir_error *err)
{
    weir_status status = WEIR_OK;
    while (c->made < c->list.count && status == WEIR_OK) {
        const state_found *found = &c->list.items[c->made];
        char *url = state_join(c->to.path, found->name);
        status = url != NULL ? make_clone(c, found, url, err)
                             : weir_error_set(err, WEIR_NO_MEMORY, "no memory for a path");
        if (status == WEIR_OK)
            c->made++;
        free(url);
    }
    return status;
}

/* All or nothing. */
static void destroy_made(const cloning *c)
{
    weir_error err;
    weir_database_config config;
    weir_error_init(&err);
    weir_database_config_init(&config);
    for (size_t i = 0; i < c->made; i++) {
        char *url = state_join(c->to.path, c->list.items[i].name);
        config.backend = c->to.spec;
        config.location = url;
        config.options = c->request->options;
        config.read_only = false;
        if (url == NULL || weir_database_destroy(&config, &err) != WEIR_OK)
            tool_fail("can't remove what was begun: %s", err.message);
        free(url);
    }
}

static int check_target(const cloning *c)
{
    state_list there = {0};
    if (!c->to.is_url)
        return tool_misuse("'%s' is no URL: clones share tables, which only databases in one "
                           "bucket can",
                           c->to.text);
    int code = state_list_url(&c->to, c->request->options, &there);
    if (code == TOOL_DONE && there.count > 0)
        code = tool_fail("%s holds state already: name a place where there is none",
                         there.items[0].path);
    state_list_release(&there);
    return code;
}

int state_clone(const state_request *request)
{
    cloning c = {.request = request};
    weir_error err;
    weir_error_init(&err);
    int code = state_location_parse(request->operands[0], &c.from);
    if (code == TOOL_DONE)
        code = state_location_parse(request->operands[1], &c.to);
    if (code == TOOL_DONE)
        code = check_target(&c);
    if (code == TOOL_DONE)
        code = state_list_find(&c.from, request->options, &c.list);
    if (code == TOOL_DONE && clone_all(&c, &err) != WEIR_OK) {
        code = tool_fail("%s", err.message);
        destroy_made(&c);
    }
    if (code == TOOL_DONE)
        printf("made clones of %zu databases at %s\n", c.made, c.to.path);
    state_list_release(&c.list);
    state_location_release(&c.from);
    state_location_release(&c.to);
    return code;
}
