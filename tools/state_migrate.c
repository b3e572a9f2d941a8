/*
 * `weir state migrate`: from one backend to another, or to another place.
 *
 * All sources are opened first, read only, and stay open to the end: so what can't be read is told
 * before anything is written, and no application can start on a source that is being copied.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

typedef struct migration {
    const state_request *request;
    state_location from;
    state_location to;
    state_list list;
    state_store *sources;
    state_target target;
    state_progress progress;
    size_t kept; /* databases that a killed run had copied */
    uint64_t rows;
    uint64_t bytes;
} migration;

/* ------------------------------------------------------------------------ what is asked */

static bool is_inside(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && path[size] == '/';
}

/* *replaces [out]: source and target are the same folder. */
static int check_places(const migration *m, bool *replaces)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    *replaces = false;
    if (m->from.is_url && m->to.is_url &&
        (strcmp(m->from.path, m->to.path) == 0 || is_inside(m->from.path, m->to.path) ||
         is_inside(m->to.path, m->from.path)))
        return tool_fail("one of %s and %s is or lies in the other: name a URL apart", m->from.path,
                         m->to.path);
    if (m->from.is_url || m->to.is_url)
        return TOOL_DONE;
    if (!state_folder_resolve(m->from.path, from) || !state_folder_resolve(m->to.path, to))
        return tool_fail("a path is too long");
    *replaces = strcmp(from, to) == 0;
    if (is_inside(from, to) || is_inside(to, from))
        return tool_fail("one of %s and %s lies in the other: name the same folder, or one apart",
                         m->from.path, m->to.path);
    if (*replaces && m->list.stray != NULL)
        return tool_fail("%s belongs to no state, and would not be there afterwards: move it away, "
                         "or name the folders that hold state",
                         m->list.stray);
    return TOOL_DONE;
}

/* The backend that stores: what stands last in a spec. */
static const char *storage_of(const char *spec)
{
    const char *colon = strrchr(spec, ':');
    return strchr(spec, '/') == NULL && colon != NULL ? colon + 1 : spec;
}

/* In place and done already, as after a run that was killed at its very end. */
static bool is_done_already(const migration *m)
{
    char backend[WEIR_BACKEND_NAME_SIZE];
    for (size_t i = 0; i < m->list.count; i++)
        if (weir_database_identify(m->list.items[i].path, backend, NULL) != WEIR_OK ||
            strcmp(backend, storage_of(m->to.spec)) != 0)
            return false;
    return true;
}

/* ------------------------------------------------------------------------------ copying */

static weir_status open_sources(migration *m, weir_error *err)
{
    weir_status status = WEIR_OK;
    m->sources = calloc(m->list.count, sizeof *m->sources);
    if (m->sources == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < m->list.count && status == WEIR_OK; i++) {
        bool is_incomplete = false;
        m->sources[i].name = m->list.items[i].name;
        state_open_args args = {.spec = m->from.spec,
                                .path = m->list.items[i].path,
                                .options = m->request->from_options};
        status = state_store_open(&args, &m->sources[i], err);
        if (status == WEIR_OK)
            status = state_store_is_incomplete(&m->sources[i], &is_incomplete, err);
        if (status == WEIR_OK && is_incomplete)
            status = weir_error_set(err, WEIR_INVALID, "%s is a copy that was broken off",
                                    m->list.items[i].path);
    }
    return status;
}

/* Each row is read, written, and read again at the target. 0: some source can't tell. */
static uint64_t expected_rows(const migration *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->list.count; i++) {
        uint64_t rows;
        if (!state_store_figure(&m->sources[i], "keys.estimated", &rows))
            return 0;
        sum += 2 * rows;
    }
    return sum;
}

typedef struct copying {
    migration *of;
    state_writer writer;
    digester *sum;
    weir_backend_cf *cf;
} copying;

static weir_status copy_row(const state_store *store, const state_family *family,
                            const state_row *row, void *arg, weir_error *err)
{
    copying *c = arg;
    (void)store;
    (void)family;
    digester_row(c->sum, row->stored_key, row->stored_value);
    state_progress_add(&c->of->progress, row->stored_key.size + row->stored_value.size);
    return state_writer_put(&c->writer, c->cf, row->stored_key, row->stored_value, err);
}

static weir_status copy_families(copying *c, const state_store *source, state_store *copy,
                                 weir_error *err)
{
    state_request all = {.limit = 0};
    weir_status status = state_writer_init(&c->writer, copy, err);
    for (size_t i = 0; i < source->family_count && status == WEIR_OK; i++) {
        const state_family *family = &source->families[i];
        digester_family(c->sum, family->name);
        status = copy->backend->cf_open(copy->db, family->name, true, &c->cf, err);
        if (status == WEIR_OK)
            status = state_rows(&all, source, family, copy_row, c, err);
    }
    if (status == WEIR_OK)
        status = state_writer_finish(&c->writer, err);
    state_writer_release(&c->writer);
    return status;
}

/* What a killed run left is kept if it still equals its source. */
static weir_status keep_copied(migration *m, const state_store *source, bool *is_kept, digest *sum,
                               weir_error *err)
{
    *is_kept = false;
    if (!state_target_left(&m->target, source->name))
        return WEIR_OK;
    weir_status status = state_store_digest(source, sum, &m->progress, err);
    *is_kept =
        status == WEIR_OK && state_target_matches(&m->target, source->name, sum, &m->progress);
    return status;
}

static weir_status copy_store(migration *m, const state_store *source, digest *sum, weir_error *err)
{
    copying c = {.of = m, .sum = digester_new()};
    state_store copy = {.name = source->name};
    if (c.sum == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a digest");
    weir_status status = state_target_open(&m->target, source->name, &copy, err);
    if (status == WEIR_OK)
        status = copy_families(&c, source, &copy, err);
    *sum = digester_end(c.sum);
    digester_free(c.sum);
    if (status != WEIR_OK) {
        state_store_close(&copy, NULL);
        return status;
    }
    return state_target_complete(&m->target, source->name, &copy, sum, &m->progress, err);
}

static weir_status copy_all(migration *m, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < m->list.count && status == WEIR_OK; i++) {
        bool is_kept;
        digest sum;
        status = keep_copied(m, &m->sources[i], &is_kept, &sum, err);
        if (status == WEIR_OK && !is_kept)
            status = copy_store(m, &m->sources[i], &sum, err);
        m->kept += is_kept ? 1 : 0;
        m->rows += sum.rows;
        m->bytes += sum.size;
        m->progress.done++;
    }
    return status == WEIR_OK ? state_target_commit(&m->target, err) : status;
}

/* ------------------------------------------------------------------------------- the run */

static void tell(const migration *m)
{
    printf("migrated %zu databases, %" PRIu64 " rows, %" PRIu64 " bytes to %s at %s; all read back "
           "with the digest of the source\n",
           m->list.count, m->rows, m->bytes, storage_of(m->to.spec), m->to.path);
    if (m->kept > 0)
        printf("%zu of them had been copied by a run that was broken off\n", m->kept);
    if (m->target.replaces && m->target.keeps)
        printf("what was there before is in %s.weir-old\n", m->to.path);
}

static int copy(migration *m, bool replaces)
{
    weir_error err;
    weir_error_init(&err);
    int code = TOOL_DONE;
    char *command = NULL;
    if (asprintf(&command, "weir state migrate --from '%s' --to '%s'", m->request->from,
                 m->request->to) < 0)
        return tool_fail("out of memory");
    m->target = (state_target){.location = &m->to,
                               .command = command,
                               .options = m->request->options,
                               .replaces = replaces,
                               .keeps = m->request->keep,
                               .draft_fd = -1};
    if (open_sources(m, &err) != WEIR_OK)
        code = tool_fail("%s", err.message);
    if (code == TOOL_DONE)
        code = state_target_begin(&m->target, &m->list);
    if (code == TOOL_DONE) {
        state_progress_init(&m->progress, m->request, "migrate", m->list.count, expected_rows(m));
        if (copy_all(m, &err) != WEIR_OK)
            code = tool_fail("%s", err.message);
        state_progress_end(&m->progress);
    }
    for (size_t i = 0; m->sources != NULL && i < m->list.count; i++)
        state_store_close(&m->sources[i], NULL);
    free(m->sources);
    if (code == TOOL_DONE)
        tell(m);
    state_target_end(&m->target);
    free(command);
    return code;
}

int state_migrate(const state_request *request)
{
    migration m = {.request = request};
    bool replaces = false;
    int code = state_location_parse(request->from, &m.from);
    if (code == TOOL_DONE)
        code = state_location_parse(request->to, &m.to);
    if (code == TOOL_DONE && m.to.spec == NULL)
        code = tool_misuse("'%s' does not say which backend is to keep it: write BACKEND:%s",
                           request->to, request->to);
    if (code == TOOL_DONE)
        code = state_list_find(&m.from, request->from_options, &m.list);
    if (code == TOOL_DONE)
        code = check_places(&m, &replaces);
    if (code == TOOL_DONE && replaces && is_done_already(&m))
        printf("%s is kept by %s already\n", m.to.path, storage_of(m.to.spec));
    else if (code == TOOL_DONE)
        code = copy(&m, replaces);
    state_list_release(&m.list);
    state_location_release(&m.from);
    state_location_release(&m.to);
    return code;
}
