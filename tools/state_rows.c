/*
 * Walking over the rows of a family that a request asks for: first by bounds, which the backend
 * keeps, then by what the rows mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "state.h"

#define SEPARATOR '|'

typedef struct range {
    weir_backend_iter_args args;
    uint8_t *upper_of_prefix; /* owned */
    uint8_t *upper_of_key;
} range;

static weir_slice slice_of(const state_bytes *bytes)
{
    return weir_slice_of(bytes->data, bytes->size);
}

static void narrow_lower(range *r, weir_slice lower)
{
    if (!r->args.has_lower || weir_slice_compare(lower, r->args.lower) > 0)
        r->args.lower = lower;
    r->args.has_lower = true;
}

static void narrow_upper(range *r, weir_slice upper)
{
    if (!r->args.has_upper || weir_slice_compare(upper, r->args.upper) < 0)
        r->args.upper = upper;
    r->args.has_upper = true;
}

/* The first key behind all that begin with the prefix: none if it is all FF. */
static bool narrow_to_prefix(range *r, weir_slice prefix, uint8_t **upper)
{
    size_t size = prefix.size;
    const uint8_t *bytes = prefix.data;
    narrow_lower(r, prefix);
    while (size > 0 && bytes[size - 1] == 0xFF)
        size--;
    if (size == 0)
        return true;
    *upper = malloc(size);
    if (*upper == NULL)
        return false;
    memcpy(*upper, bytes, size);
    (*upper)[size - 1]++;
    narrow_upper(r, weir_slice_of(*upper, size));
    return true;
}

static bool range_init(range *r, const state_request *request, const char *family)
{
    *r = (range){.args = {.struct_size = sizeof r->args, .reverse = request->reverse}};
    if (request->lower.is_set)
        narrow_lower(r, slice_of(&request->lower));
    if (request->upper.is_set)
        narrow_upper(r, slice_of(&request->upper));
    if (request->prefix.is_set &&
        !narrow_to_prefix(r, slice_of(&request->prefix), &r->upper_of_prefix))
        return false;
    /* In the indexes by time the key does not come first. */
    bool has_key_first =
        strcmp(family, "__ttl_index__") != 0 && strcmp(family, "__weir_window_ends__") != 0;
    return !request->key.is_set || !has_key_first ||
           narrow_to_prefix(r, slice_of(&request->key), &r->upper_of_key);
}

static void range_release(range *r)
{
    free(r->upper_of_prefix);
    free(r->upper_of_key);
}

/* ------------------------------------------------------------------------ filters */

static bool begins_with(weir_slice bytes, weir_slice begin)
{
    return bytes.size >= begin.size && memcmp(bytes.data, begin.data, begin.size) == 0;
}

static bool is_of_key(const state_row *row, weir_slice key)
{
    if (weir_slice_equal(row->key, key))
        return true;
    /* Where a window or a time was split off, the rest is the key exactly. */
    if (row->has_window || row->has_time || row->has_id)
        return false;
    return key.size > 0 && row->key.size > key.size && begins_with(row->key, key) &&
           ((const char *)row->key.data)[key.size] == SEPARATOR;
}

static bool is_in_time(const state_request *request, const state_row *row)
{
    if (!request->since.is_set && !request->until.is_set)
        return true;
    if (!row->has_window && !row->has_time && !row->has_expiry)
        return false;
    uint64_t time = row->has_window || row->has_time ? row->start : row->expiry;
    return (!request->since.is_set || time >= request->since.ms) &&
           (!request->until.is_set || time < request->until.ms);
}

bool state_wants_family(const state_request *request, const char *name)
{
    const char *wanted = request->family != NULL ? request->family : WEIR_BACKEND_DEFAULT_CF;
    return strcmp(wanted, "all") == 0 || strcmp(wanted, name) == 0;
}

/* --------------------------------------------------------------------------- walk */

weir_status state_rows(const state_request *request, const state_store *store,
                       const state_family *family, state_visit_row visit, void *arg,
                       weir_error *err)
{
    range r;
    weir_backend_iter *iter = NULL;
    weir_status status = WEIR_OK;
    if (!range_init(&r, request, family->name))
        status = weir_error_set(err, WEIR_NO_MEMORY, "no memory for the bounds");
    if (status == WEIR_OK)
        status = store->backend->iter_open(store->db, family->cf, &r.args, &iter, err);
    while (status == WEIR_OK) {
        weir_slice key;
        weir_slice value;
        bool as_laid_out;
        status = store->backend->iter_next(iter, &key, &value, err);
        if (status != WEIR_OK)
            break;
        state_row row = state_row_decode(store->kind, family->name, key, value, &as_laid_out);
        if ((!request->key.is_set || is_of_key(&row, slice_of(&request->key))) &&
            is_in_time(request, &row))
            status = visit(store, family, &row, arg, err);
    }
    store->backend->iter_close(iter);
    range_release(&r);
    return status == WEIR_NOT_FOUND || status == WEIR_ABORTED ? WEIR_OK : status;
}
