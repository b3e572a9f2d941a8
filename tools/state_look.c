/*
 * `weir state info`, `get`, `scan` and `count`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "state.h"

/* --------------------------------------------------------------------------- info */

/* A value of the metadata, freed by the caller. */
static weir_status read_metadata(const state_store *store, const char *key, char **value,
                                 size_t *size, weir_error *err)
{
    weir_backend_value found;
    const state_family *metadata = state_store_family(store, STATE_METADATA);
    *value = NULL;
    *size = 0;
    if (metadata == NULL)
        return WEIR_NOT_FOUND;
    weir_status status =
        store->backend->get(store->db, metadata->cf, NULL, weir_slice_str(key), &found, err);
    if (status != WEIR_OK)
        return status;
    *value = malloc(found.size + 1);
    if (*value != NULL) {
        if (found.size > 0)
            memcpy(*value, found.data, found.size);
        (*value)[found.size] = '\0';
        *size = found.size;
    }
    store->backend->value_release(store->db, &found);
    return *value != NULL ? WEIR_OK : weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
}

typedef struct facts {
    char *offset; /* 8 bytes; NULL: none */
    size_t offset_size;
    char *processed; /* JSON; NULL: none */
    size_t processed_size;
    bool is_incomplete;
} facts;

static weir_status read_facts(const state_store *store, facts *of, weir_error *err)
{
    *of = (facts){0};
    weir_status status =
        read_metadata(store, "__changelog_offset__", &of->offset, &of->offset_size, err);
    if (status == WEIR_OK || status == WEIR_NOT_FOUND)
        status = read_metadata(store, "__weir_processed_offsets__", &of->processed,
                               &of->processed_size, err);
    if (status == WEIR_OK || status == WEIR_NOT_FOUND)
        status = state_store_is_incomplete(store, &of->is_incomplete, err);
    return status;
}

static void tell_figure(const char *name, uint64_t value, void *arg)
{
    (void)arg;
    printf("  %-26s %" PRIu64 "\n", name, value);
}

static void tell_store(const state_store *store, const facts *of)
{
    printf("%s\nkind      %s\n", weir_database_label(store->database),
           state_kind_name(store->kind));
    printf("engine    %s\n", store->backend->version);
    if (of->is_incomplete)
        puts("INCOMPLETE: a copy that was broken off; run it again, or remove it");
    if (of->offset == NULL)
        puts("changelog no offset");
    else if (of->offset_size == 8)
        printf("changelog offset %" PRIu64 "\n", bytes_get64(of->offset));
    else
        printf("changelog offset of %zu bytes: not readable\n", of->offset_size);
    if (of->processed != NULL) {
        fputs("processed ", stdout);
        state_write_escaped(weir_slice_of(of->processed, of->processed_size), stdout);
        fputc('\n', stdout);
    }
    fputs("families ", stdout);
    for (size_t i = 0; i < store->family_count; i++)
        printf(" %s", store->families[i].name);
    puts("\nfigures");
    (void)store->backend->stats(store->db, tell_figure, NULL, NULL);
}

static void tell_figure_json(const char *name, uint64_t value, void *arg)
{
    bool *is_first = arg;
    printf("%s\"%s\":%" PRIu64, *is_first ? "" : ",", name, value);
    *is_first = false;
}

static void tell_store_json(const state_store *store, const facts *of)
{
    bool is_first = true;
    fputs("{\"database\":", stdout);
    state_write_json_string(weir_slice_str(store->name), stdout);
    fputs(",\"label\":", stdout);
    state_write_json_string(weir_slice_str(weir_database_label(store->database)), stdout);
    printf(",\"engine\":\"%s\",\"kind\":\"%s\",\"complete\":%s", store->backend->version,
           state_kind_name(store->kind), of->is_incomplete ? "false" : "true");
    if (of->offset_size == 8)
        printf(",\"changelog_offset\":%" PRIu64, bytes_get64(of->offset));
    if (of->processed != NULL && state_is_json(weir_slice_of(of->processed, of->processed_size)))
        printf(",\"processed\":%s", of->processed);
    fputs(",\"families\":[", stdout);
    for (size_t i = 0; i < store->family_count; i++) {
        fputs(i > 0 ? "," : "", stdout);
        state_write_json_string(weir_slice_str(store->families[i].name), stdout);
    }
    fputs("],\"figures\":{", stdout);
    (void)store->backend->stats(store->db, tell_figure_json, &is_first, NULL);
    puts("}}");
}

static int info_one(const state_request *request, state_store *store, size_t count, void *arg)
{
    facts of;
    weir_error err;
    bool *is_later = arg;
    (void)count;
    weir_error_init(&err);
    weir_status status = read_facts(store, &of, &err);
    if (status == WEIR_OK && request->output == STATE_JSON) {
        tell_store_json(store, &of);
    } else if (status == WEIR_OK) {
        if (*is_later)
            putchar('\n');
        tell_store(store, &of);
        *is_later = true;
    }
    free(of.offset);
    free(of.processed);
    return status == WEIR_OK ? TOOL_DONE : tool_fail("%s", err.message);
}

int state_info(const state_request *request)
{
    bool is_later = false;
    return state_each(request, info_one, &is_later);
}

/* --------------------------------------------------------------------------- scan */

typedef struct scan {
    const state_request *request;
    bool names; /* tell the database of each row */
    uint64_t rows;
} scan;

static weir_status scan_row(const state_store *store, const state_family *family,
                            const state_row *row, void *arg, weir_error *err)
{
    scan *s = arg;
    (void)err;
    bool tells_family = s->request->family != NULL && strcmp(s->request->family, "all") == 0;
    state_write_row(row, s->request->output, s->names ? store->name : NULL,
                    tells_family ? family->name : NULL, stdout);
    s->rows++;
    /* Who reads a pipe may have enough. */
    if (ferror(stdout))
        return WEIR_ABORTED;
    return s->request->limit > 0 && s->rows >= s->request->limit ? WEIR_ABORTED : WEIR_OK;
}

static int no_family(const state_request *request, const state_store *store)
{
    return tool_fail("there is no column family %s (%s)", request->family,
                     weir_database_label(store->database));
}

static int scan_one(const state_request *request, state_store *store, size_t count, void *arg)
{
    scan *s = arg;
    weir_error err;
    weir_status status = WEIR_OK;
    bool is_any = false;
    weir_error_init(&err);
    s->names = count > 1;
    for (size_t i = 0; i < store->family_count && status == WEIR_OK; i++) {
        if (!state_wants_family(request, store->families[i].name))
            continue;
        is_any = true;
        if (request->limit == 0 || s->rows < request->limit)
            status = state_rows(request, store, &store->families[i], scan_row, s, &err);
    }
    if (!is_any)
        return no_family(request, store);
    return status == WEIR_OK ? TOOL_DONE : tool_fail("%s", err.message);
}

int state_scan(const state_request *request)
{
    scan s = {.request = request};
    return state_each(request, scan_one, &s);
}

/* ---------------------------------------------------------------------------- get */

typedef struct get {
    weir_slice key;
    uint64_t found;
    scan rows;
} get;

static void tell_value(const state_request *request, const state_store *store,
                       const state_family *family, weir_slice key, weir_slice value, bool names)
{
    bool as_laid_out;
    state_row row = state_row_decode(store->kind, family->name, key, value, &as_laid_out);
    if (request->output == STATE_JSON || names) {
        state_write_row(&row, request->output, names ? store->name : NULL, NULL, stdout);
    } else if (request->output == STATE_RAW) {
        fwrite(value.data, 1, value.size, stdout);
    } else if (request->output == STATE_HEX) {
        state_write_hex(value, stdout);
        putchar('\n');
    } else {
        state_write_value(&row, stdout);
        putchar('\n');
    }
}

/* The row of exactly this key. */
static weir_status get_exact(const state_request *request, const state_store *store,
                             const state_family *family, get *g, bool names, weir_error *err)
{
    weir_backend_value value;
    weir_status status = store->backend->get(store->db, family->cf, NULL, g->key, &value, err);
    if (status != WEIR_OK)
        return status;
    tell_value(request, store, family, g->key, weir_slice_of(value.data, value.size), names);
    store->backend->value_release(store->db, &value);
    g->found++;
    return WEIR_OK;
}

/* In windowed and timestamped state, and in the index of expiries, a key has many rows. */
static bool has_rows_by_key(const state_store *store, const state_family *family)
{
    bool is_default = strcmp(family->name, WEIR_BACKEND_DEFAULT_CF) == 0;
    return (is_default &&
            (store->kind == STATE_KIND_WINDOWED || store->kind == STATE_KIND_TIMESTAMPED)) ||
           strcmp(family->name, "__values__") == 0 || strcmp(family->name, "__ttl_index__") == 0 ||
           strcmp(family->name, "__weir_window_ends__") == 0;
}

static int get_one(const state_request *request, state_store *store, size_t count, void *arg)
{
    get *g = arg;
    weir_error err;
    weir_status status = WEIR_OK;
    bool is_any = false;
    weir_error_init(&err);
    g->rows.names = count > 1;
    for (size_t i = 0; i < store->family_count; i++) {
        const state_family *family = &store->families[i];
        if (!state_wants_family(request, family->name))
            continue;
        is_any = true;
        status = get_exact(request, store, family, g, count > 1, &err);
        if (status == WEIR_NOT_FOUND && has_rows_by_key(store, family))
            status = state_rows(request, store, family, scan_row, &g->rows, &err);
        if (status != WEIR_OK && status != WEIR_NOT_FOUND)
            return tool_fail("%s", err.message);
    }
    return is_any ? TOOL_DONE : no_family(request, store);
}

int state_get(const state_request *request)
{
    state_request of_key = *request;
    if (!state_parse_bytes(request->operands[1], &of_key.key))
        return tool_fail("out of memory");
    get g = {.key = weir_slice_of(of_key.key.data, of_key.key.size), .rows = {.request = &of_key}};
    int code = state_each(&of_key, get_one, &g);
    if (code == TOOL_DONE && g.found + g.rows.rows == 0)
        code = tool_fail("not found: %s", request->operands[1]);
    free(of_key.key.data);
    return code;
}

/* -------------------------------------------------------------------------- count */

typedef struct sum {
    uint64_t rows;
    uint64_t bytes;
} sum;

static weir_status count_row(const state_store *store, const state_family *family,
                             const state_row *row, void *arg, weir_error *err)
{
    sum *of = arg;
    (void)store;
    (void)family;
    (void)err;
    of->rows++;
    of->bytes += row->stored_key.size + row->stored_value.size;
    return WEIR_OK;
}

static void tell_sum(const state_request *request, const char *name, const char *family,
                     const sum *of)
{
    if (request->output != STATE_JSON) {
        printf("%s%s%s\t%" PRIu64 " rows\t%" PRIu64 " bytes\n", name, name[0] != '\0' ? "\t" : "",
               family, of->rows, of->bytes);
        return;
    }
    fputs("{\"database\":", stdout);
    state_write_json_string(weir_slice_str(name), stdout);
    fputs(",\"family\":", stdout);
    state_write_json_string(weir_slice_str(family), stdout);
    printf(",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", of->rows, of->bytes);
}

static int count_one(const state_request *request, state_store *store, size_t count, void *arg)
{
    sum *total = arg;
    weir_error err;
    weir_error_init(&err);
    (void)count;
    for (size_t i = 0; i < store->family_count; i++) {
        sum of = {0};
        const state_family *family = &store->families[i];
        if (request->family != NULL && !state_wants_family(request, family->name))
            continue;
        if (state_rows(request, store, family, count_row, &of, &err) != WEIR_OK)
            return tool_fail("%s", err.message);
        tell_sum(request, store->name, family->name, &of);
        total->rows += of.rows;
        total->bytes += of.bytes;
    }
    return TOOL_DONE;
}

int state_count(const state_request *request)
{
    sum total = {0};
    int code = state_each(request, count_one, &total);
    if (code == TOOL_DONE && request->output != STATE_JSON)
        tell_sum(request, "", "total", &total);
    return code;
}
