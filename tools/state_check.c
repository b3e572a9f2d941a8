/*
 * `weir state verify` and `diff`, and the digest of a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "state.h"

/* ------------------------------------------------------------------------- digest */

static weir_status digest_family(const state_store *store, const state_family *family,
                                 digester *sum, state_progress *progress, weir_error *err)
{
    weir_backend_iter *iter;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_status status = store->backend->iter_open(store->db, family->cf, &args, &iter, err);
    digester_family(sum, family->name);
    while (status == WEIR_OK) {
        weir_slice key;
        weir_slice value;
        status = store->backend->iter_next(iter, &key, &value, err);
        if (status != WEIR_OK)
            break;
        /* No row of the state, and gone in a moment. */
        if (!weir_slice_equal(key, weir_slice_str(STATE_INCOMPLETE)))
            digester_row(sum, key, value);
        if (progress != NULL)
            state_progress_add(progress, key.size + value.size);
    }
    store->backend->iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

weir_status state_store_digest(const state_store *store, digest *sum, state_progress *progress,
                               weir_error *err)
{
    weir_status status = WEIR_OK;
    *sum = (digest){0};
    digester *of = digester_new();
    if (of == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a digest");
    for (size_t i = 0; i < store->family_count && status == WEIR_OK; i++)
        status = digest_family(store, &store->families[i], of, progress, err);
    *sum = digester_end(of);
    digester_free(of);
    return status;
}

/* ------------------------------------------------------------------------- verify */

/* A sum of hashes that does not depend on the order, to compare the two directions. */
typedef struct direction {
    uint64_t rows;
    uint64_t hashes;
} direction;

typedef struct verification {
    const state_store *store;
    state_progress *progress;
    digester *sum; /* NULL in the second direction */
    bool reverse;
    bool has_last;
    uint8_t *last;
    size_t last_size;
    size_t last_capacity;
    direction seen;
    uint64_t complaints;
} verification;

static void complain(verification *v, const state_family *family, weir_slice key, const char *what)
{
    if (v->complaints++ >= 10)
        return; /* the first ones tell */
    fprintf(stderr, "weir: %s: the row ", family->name);
    state_write_escaped(key, stderr);
    fprintf(stderr, " %s (%s)\n", what, weir_database_label(v->store->database));
}

static weir_status remember(verification *v, weir_slice key, weir_error *err)
{
    if (key.size > v->last_capacity) {
        uint8_t *grown = realloc(v->last, key.size);
        if (grown == NULL)
            return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a key");
        v->last = grown;
        v->last_capacity = key.size;
    }
    if (key.size > 0)
        memcpy(v->last, key.data, key.size);
    v->last_size = key.size;
    v->has_last = true;
    return WEIR_OK;
}

static weir_status verify_row(const state_store *store, const state_family *family,
                              const state_row *row, void *arg, weir_error *err)
{
    verification *v = arg;
    bool as_laid_out;
    const weir_slice key = row->stored_key;
    const weir_slice value = row->stored_value;
    if (v->has_last) {
        int order = weir_slice_compare(key, weir_slice_of(v->last, v->last_size));
        if (v->reverse ? order >= 0 : order <= 0)
            complain(v, family, key, "is out of order");
    }
    uint64_t of_key = XXH3_64bits(key.data, key.size);
    v->seen.rows++;
    v->seen.hashes += XXH3_64bits_withSeed(value.data, value.size, of_key);
    state_progress_add(v->progress, key.size + value.size);
    if (v->sum != NULL) {
        digester_row(v->sum, key, value);
        (void)state_row_decode(store->kind, family->name, key, value, &as_laid_out);
        if (!as_laid_out)
            complain(v, family, key, "does not have the layout of its family");
    }
    return remember(v, key, err);
}

static weir_status verify_family(verification *v, const state_family *family, digester *sum,
                                 weir_error *err)
{
    state_request all = {.kind = v->store->kind};
    v->has_last = false;
    v->seen = (direction){0};
    v->reverse = all.reverse = false;
    v->sum = sum;
    digester_family(sum, family->name);
    weir_status status = state_rows(&all, v->store, family, verify_row, v, err);
    direction forward = v->seen;
    v->has_last = false;
    v->seen = (direction){0};
    v->reverse = all.reverse = true;
    v->sum = NULL;
    if (status == WEIR_OK)
        status = state_rows(&all, v->store, family, verify_row, v, err);
    if (status == WEIR_OK && (forward.rows != v->seen.rows || forward.hashes != v->seen.hashes))
        status = weir_error_set(err, WEIR_CORRUPTED,
                                "the family %s has %" PRIu64 " rows forward and %" PRIu64
                                " backward, and they differ (%s)",
                                family->name, forward.rows, v->seen.rows,
                                weir_database_label(v->store->database));
    return status;
}

static void tell_verified(const state_request *request, const state_store *store, const digest *sum,
                          uint64_t complaints)
{
    char text[2 * DIGEST_SIZE + 1];
    digest_text(sum, text);
    const char *name = store->name[0] != '\0' ? store->name : ".";
    if (request->output != STATE_JSON) {
        printf("%s\t%s\t%" PRIu64 " rows\t%" PRIu64 " bytes\t%s\n", name,
               complaints == 0 ? "fine" : "WRONG", sum->rows, sum->size, text);
        return;
    }
    fputs("{\"database\":", stdout);
    state_write_json_string(weir_slice_str(store->name), stdout);
    printf(",\"fine\":%s,\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"digest\":\"%s\"}\n",
           complaints == 0 ? "true" : "false", sum->rows, sum->size, text);
}

static int verify_one(const state_request *request, state_store *store, size_t count, void *arg)
{
    weir_error err;
    weir_status status = WEIR_OK;
    state_progress *progress = arg;
    verification v = {.store = store, .progress = progress};
    weir_error_init(&err);
    progress->count = count;
    digester *sum = digester_new();
    if (sum == NULL)
        status = weir_error_set(&err, WEIR_NO_MEMORY, "no memory for a digest");
    for (size_t i = 0; i < store->family_count && status == WEIR_OK; i++)
        status = verify_family(&v, &store->families[i], sum, &err);
    if (status == WEIR_OK) {
        digest of = digester_end(sum);
        tell_verified(request, store, &of, v.complaints);
    }
    digester_free(sum);
    free(v.last);
    progress->done++;
    if (status != WEIR_OK)
        return tool_fail("%s", err.message);
    return v.complaints == 0 ? TOOL_DONE : TOOL_FAILED;
}

int state_verify(const state_request *request)
{
    state_progress progress;
    state_progress_init(&progress, request, "verify", 0, 0);
    int code = state_each(request, verify_one, &progress);
    state_progress_end(&progress);
    return code;
}

/* --------------------------------------------------------------------------- diff */

typedef struct side {
    const state_store *store;
    const state_family *family; /* NULL: has no such family */
    weir_backend_iter *iter;
    bool has_row;
    weir_slice key;
    weir_slice value;
} side;

typedef struct comparison {
    const state_request *request;
    const char *name; /* of the databases; NULL: not told */
    uint64_t differences;
} comparison;

static weir_status side_next(side *s, weir_error *err)
{
    s->has_row = false;
    if (s->iter == NULL)
        return WEIR_OK;
    weir_status status = s->store->backend->iter_next(s->iter, &s->key, &s->value, err);
    s->has_row = status == WEIR_OK;
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status side_open(side *s, const state_store *store, const char *family, weir_error *err)
{
    *s = (side){.store = store, .family = state_store_family(store, family)};
    if (s->family == NULL)
        return WEIR_OK;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_status status = store->backend->iter_open(store->db, s->family->cf, &args, &s->iter, err);
    return status == WEIR_OK ? side_next(s, err) : status;
}

static void side_close(side *s)
{
    if (s->store != NULL)
        s->store->backend->iter_close(s->iter);
}

static void tell_side(comparison *c, const side *s, char mark)
{
    bool as_laid_out;
    if (c->request->limit > 0 && c->differences > c->request->limit)
        return;
    state_row row =
        state_row_decode(s->store->kind, s->family->name, s->key, s->value, &as_laid_out);
    printf("%c ", mark);
    state_write_row(&row, c->request->output, c->name, s->family->name, stdout);
}

static weir_status compare_rows(comparison *c, side *a, side *b, weir_error *err)
{
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && (a->has_row || b->has_row)) {
        int order = !a->has_row ? 1 : !b->has_row ? -1 : weir_slice_compare(a->key, b->key);
        if (order == 0 && !weir_slice_equal(a->value, b->value)) {
            c->differences++;
            tell_side(c, a, '-');
            tell_side(c, b, '+');
        } else if (order != 0) {
            c->differences++;
            tell_side(c, order < 0 ? a : b, order < 0 ? '-' : '+');
        }
        if (order <= 0)
            status = side_next(a, err);
        if (status == WEIR_OK && order >= 0)
            status = side_next(b, err);
    }
    return status;
}

static weir_status compare_family(comparison *c, const state_store *first,
                                  const state_store *second, const char *name, weir_error *err)
{
    side a = {0};
    side b = {0};
    if (c->request->family != NULL && !state_wants_family(c->request, name))
        return WEIR_OK;
    weir_status status = side_open(&a, first, name, err);
    if (status == WEIR_OK)
        status = side_open(&b, second, name, err);
    if (status == WEIR_OK)
        status = compare_rows(c, &a, &b, err);
    side_close(&a);
    side_close(&b);
    return status;
}

static weir_status compare_stores(comparison *c, const state_store *first,
                                  const state_store *second, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < first->family_count && status == WEIR_OK; i++)
        status = compare_family(c, first, second, first->families[i].name, err);
    for (size_t i = 0; i < second->family_count && status == WEIR_OK; i++)
        if (state_store_family(first, second->families[i].name) == NULL)
            status = compare_family(c, first, second, second->families[i].name, err);
    return status;
}

typedef struct pair {
    state_location locations[2];
    state_list lists[2];
} pair;

static int diff_one(comparison *c, const pair *p, const state_found *a, const state_found *b)
{
    const state_found *found[] = {a, b};
    state_store stores[2] = {{.name = a->name}, {.name = b->name}};
    weir_error err;
    weir_status status = WEIR_OK;
    weir_error_init(&err);
    for (int i = 0; i < 2 && status == WEIR_OK; i++) {
        state_open_args args = {.spec = p->locations[i].spec,
                                .path = found[i]->path,
                                .options = c->request->options,
                                .beside = true};
        status = state_store_open(&args, &stores[i], &err);
    }
    c->name = a->name[0] != '\0' ? a->name : NULL;
    if (c->request->kind != STATE_KIND_AUTO)
        stores[0].kind = stores[1].kind = c->request->kind;
    if (status == WEIR_OK)
        status = compare_stores(c, &stores[0], &stores[1], &err);
    for (int i = 0; i < 2; i++)
        state_store_close(&stores[i], NULL);
    return status == WEIR_OK ? TOOL_DONE : tool_fail("%s", err.message);
}

/* Databases without a partner differ as a whole. */
static int diff_all(comparison *c, const pair *p)
{
    int code = TOOL_DONE;
    for (size_t i = 0; i < p->lists[0].count && code == TOOL_DONE; i++) {
        const state_found *other = state_list_name(&p->lists[1], p->lists[0].items[i].name);
        if (other != NULL) {
            code = diff_one(c, p, &p->lists[0].items[i], other);
        } else {
            printf("- database %s\n", p->lists[0].items[i].name);
            c->differences++;
        }
    }
    for (size_t i = 0; i < p->lists[1].count; i++)
        if (state_list_name(&p->lists[0], p->lists[1].items[i].name) == NULL) {
            printf("+ database %s\n", p->lists[1].items[i].name);
            c->differences++;
        }
    return code;
}

int state_diff(const state_request *request)
{
    pair p = {0};
    comparison c = {.request = request};
    int code = TOOL_DONE;
    for (int i = 0; i < 2 && code == TOOL_DONE; i++) {
        code = state_location_parse(request->operands[i], &p.locations[i]);
        if (code == TOOL_DONE)
            code = state_list_find(&p.locations[i], request->options, &p.lists[i]);
    }
    if (code == TOOL_DONE)
        code = diff_all(&c, &p);
    if (code == TOOL_DONE && c.differences > 0) {
        fprintf(stderr, "weir: %" PRIu64 " rows differ\n", c.differences);
        code = TOOL_FAILED;
    }
    for (int i = 0; i < 2; i++) {
        state_list_release(&p.lists[i]);
        state_location_release(&p.locations[i]);
    }
    return code;
}
