/*
 * `weir state dump` and `load`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "state.h"

/* ---------------------------------------------------------------------------- dump */

typedef struct dumping {
    dump_writer *writer;
    state_progress progress;
} dumping;

static weir_status dump_row(const state_store *store, const state_family *family,
                            const state_row *row, void *arg, weir_error *err)
{
    dumping *d = arg;
    (void)store;
    (void)family;
    state_progress_add(&d->progress, row->stored_key.size + row->stored_value.size);
    return dump_write_row(d->writer, row->stored_key, row->stored_value, err);
}

static weir_status dump_store(dumping *d, const state_store *store, weir_error *err)
{
    digest sum;
    state_request all = {.limit = 0};
    bool is_incomplete;
    weir_status status = state_store_is_incomplete(store, &is_incomplete, err);
    if (status == WEIR_OK && is_incomplete)
        status = weir_error_set(err, WEIR_INVALID, "a copy that was broken off (%s)",
                                weir_database_label(store->database));
    if (status == WEIR_OK)
        status = dump_write_database(d->writer, store->name, store->backend->version, err);
    for (size_t i = 0; i < store->family_count && status == WEIR_OK; i++) {
        status = dump_write_family(d->writer, store->families[i].name, err);
        if (status == WEIR_OK)
            status = state_rows(&all, store, &store->families[i], dump_row, d, err);
    }
    return status == WEIR_OK ? dump_write_database_end(d->writer, &sum, err) : status;
}

static int dump_one(const state_request *request, state_store *store, size_t count, void *arg)
{
    dumping *d = arg;
    weir_error err;
    (void)request;
    weir_error_init(&err);
    d->progress.count = count;
    /* After a failure what follows is not worth reading. */
    if (d->writer == NULL)
        return TOOL_FAILED;
    if (dump_store(d, store, &err) != WEIR_OK) {
        dump_writer_free(d->writer);
        d->writer = NULL;
        return tool_fail("%s", err.message);
    }
    d->progress.done++;
    return TOOL_DONE;
}

static int dump_to(const state_request *request, FILE *out)
{
    dumping d = {0};
    weir_error err;
    weir_error_init(&err);
    if (dump_writer_new(out, &d.writer, &err) != WEIR_OK)
        return tool_fail("%s", err.message);
    state_progress_init(&d.progress, request, "dump", 0, 0);
    int code = state_each(request, dump_one, &d);
    state_progress_end(&d.progress);
    if (code == TOOL_DONE && dump_write_end(d.writer, &err) != WEIR_OK)
        code = tool_fail("%s", err.message);
    dump_writer_free(d.writer);
    return code;
}

/* Written beside, and renamed when it is complete. */
static int dump_to_file(const state_request *request, const char *path)
{
    char *draft;
    if (asprintf(&draft, "%s.weir-new", path) < 0)
        return tool_fail("out of memory");
    FILE *out = fopen(draft, "we");
    int code = out != NULL ? dump_to(request, out)
                           : tool_fail("can't write %s: %s", draft, strerror(errno));
    if (out != NULL) {
        if (code == TOOL_DONE && fsync(fileno(out)) != 0 && errno != EINVAL)
            code = tool_fail("can't write %s: %s", draft, strerror(errno));
        if (fclose(out) != 0 && code == TOOL_DONE)
            code = tool_fail("can't write %s: %s", draft, strerror(errno));
        if (code == TOOL_DONE && rename(draft, path) != 0)
            code = tool_fail("can't rename %s: %s", draft, strerror(errno));
        if (code == TOOL_DONE)
            (void)state_folder_sync_parent(path, NULL);
        else
            unlink(draft);
    }
    free(draft);
    return code;
}

static int dump_in_place(const state_request *request, const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return tool_fail("can't write %s: %s", path, strerror(errno));
    int code = dump_to(request, out);
    if (fclose(out) != 0 && code == TOOL_DONE)
        code = tool_fail("can't write %s: %s", path, strerror(errno));
    return code;
}

int state_dump(const state_request *request)
{
    struct stat info;
    const char *path = request->operands[1];
    /* A pipe or a device is written to as it is. */
    if (strcmp(path, "-") != 0 && stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return dump_in_place(request, path);
    if (strcmp(path, "-") != 0)
        return dump_to_file(request, path);
    if (isatty(STDOUT_FILENO) == 1)
        return tool_misuse("a dump is not for a terminal: name a file, or pipe it");
    return dump_to(request, stdout);
}

/* ---------------------------------------------------------------------------- load */

typedef struct loading {
    state_target target;
    state_progress progress;
    state_store store; /* of the database at hand */
    bool is_open;
    char *name; /* owned */
    state_writer writer;
    weir_backend_cf *cf;
    bool had_root; /* a database without a path: there can't be another */
    uint64_t rows;
} loading;

static weir_status begin_database(loading *l, const dump_item *item, weir_error *err)
{
    if (l->had_root || (item->path[0] == '\0' && l->progress.done > 0))
        return weir_error_set(err, WEIR_CORRUPTED,
                              "the dump is damaged: it has a database in another one");
    l->had_root = item->path[0] == '\0';
    free(l->name);
    l->name = strdup(item->path);
    if (l->name == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a path");
    if (state_target_left(&l->target, l->name))
        return weir_error_set(err, WEIR_INVALID,
                              l->target.location->is_url ? "there is state already at %s/%s"
                                                         : "the dump is damaged: %s/%s comes twice",
                              l->target.location->path, l->name);
    weir_status status = state_target_open(&l->target, l->name, &l->store, err);
    l->is_open = status == WEIR_OK;
    if (status == WEIR_OK)
        status = state_writer_init(&l->writer, &l->store, err);
    return status;
}

static weir_status end_database(loading *l, const dump_item *item, weir_error *err)
{
    weir_status status = state_writer_finish(&l->writer, err);
    state_writer_release(&l->writer);
    if (status == WEIR_OK) {
        l->is_open = false;
        status =
            state_target_complete(&l->target, l->name, &l->store, &item->sum, &l->progress, err);
    }
    l->progress.done++;
    return status;
}

static weir_status load_event(loading *l, dump_event event, const dump_item *item, weir_error *err)
{
    switch (event) {
    case DUMP_DATABASE:
        return begin_database(l, item, err);
    case DUMP_FAMILY:
        return l->store.backend->cf_open(l->store.db, item->family, true, &l->cf, err);
    case DUMP_ROW:
        l->rows++;
        state_progress_add(&l->progress, item->key.size + item->value.size);
        return state_writer_put(&l->writer, l->cf, item->key, item->value, err);
    case DUMP_DATABASE_END:
        return end_database(l, item, err);
    default:
        return WEIR_OK;
    }
}

static weir_status load_all(loading *l, FILE *in, weir_error *err)
{
    dump_reader *reader;
    dump_event event = DUMP_ROW;
    weir_status status = dump_reader_new(in, &reader, err);
    while (status == WEIR_OK && event != DUMP_END) {
        dump_item item;
        status = dump_read(reader, &event, &item, err);
        if (status == WEIR_OK)
            status = load_event(l, event, &item, err);
    }
    dump_reader_free(reader);
    if (l->is_open)
        state_store_close(&l->store, NULL);
    state_writer_release(&l->writer);
    if (status == WEIR_OK && l->progress.done == 0)
        status = weir_error_set(err, WEIR_INVALID, "the dump holds no database");
    return status == WEIR_OK ? state_target_commit(&l->target, err) : status;
}

static int tell_load(const state_request *request, const weir_error *err)
{
    const bool is_damage = err->status == WEIR_CORRUPTED;
    return tool_fail(
        "can't load %s: %s%s", request->operands[0], err->message,
        is_damage ? "; nothing was loaded: use another copy of the dump, or take it anew" : "");
}

static int load_from(const state_request *request, const state_location *location, FILE *in)
{
    loading l = {.store = {.name = ""},
                 .target = {.location = location, .options = request->options}};
    weir_error err;
    char *command;
    weir_error_init(&err);
    if (asprintf(&command, "weir state load '%s' '%s'", request->operands[0],
                 request->operands[1]) < 0)
        return tool_fail("out of memory");
    l.target.command = command;
    int code = state_target_begin(&l.target, NULL);
    state_progress_init(&l.progress, request, "load", 0, 0);
    if (code == TOOL_DONE && load_all(&l, in, &err) != WEIR_OK)
        code = tell_load(request, &err);
    state_progress_end(&l.progress);
    state_target_end(&l.target);
    if (code == TOOL_DONE)
        printf("loaded %zu databases, %" PRIu64 " rows into %s\n", l.progress.done, l.rows,
               location->path);
    free(l.name);
    free(command);
    return code;
}

int state_load(const state_request *request)
{
    state_location location;
    const char *path = request->operands[0];
    int code = state_location_parse(request->operands[1], &location);
    if (code != TOOL_DONE)
        return code;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(path, "re");
    code = in != NULL ? load_from(request, &location, in)
                      : tool_fail("can't read %s: %s", path, strerror(errno));
    if (in != NULL && !is_stdin)
        fclose(in);
    state_location_release(&location);
    return code;
}
