/*
 * The mark that keeps applications away from a copy to a URL until all of it is there. See state.h;
 * docs/formats/state.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define WRITING '1'
#define COPIED  '2'

void state_mark_release(state_mark *mark)
{
    free(mark->first);
    *mark = (state_mark){.first = NULL};
}

/* The second line. */
static char *first_of(weir_slice value)
{
    const char *begin = memchr(value.data, '\n', value.size);
    if (begin == NULL)
        return strdup("");
    begin++;
    size_t left = value.size - (size_t)(begin - (const char *)value.data);
    const char *end = memchr(begin, '\n', left);
    return strndup(begin, end != NULL ? (size_t)(end - begin) : left);
}

weir_status state_mark_read(const state_store *store, state_mark *mark, weir_error *err)
{
    weir_backend_value value;
    const state_family *metadata = state_store_family(store, STATE_METADATA);
    *mark = (state_mark){.first = NULL};
    if (metadata == NULL)
        return WEIR_OK;
    weir_status status = store->backend->get(store->db, metadata->cf, NULL,
                                             weir_slice_str(STATE_INCOMPLETE), &value, err);
    if (status != WEIR_OK)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    mark->is_there = true;
    mark->is_copied = value.size > 0 && *(const char *)value.data == COPIED;
    mark->first = first_of(weir_slice_of(value.data, value.size));
    store->backend->value_release(store->db, &value);
    return mark->first != NULL ? WEIR_OK
                               : weir_error_set(err, WEIR_NO_MEMORY, "no memory for a mark");
}

static weir_status write_mark(const state_store *store, weir_backend_op_kind kind, weir_slice value,
                              weir_error *err)
{
    weir_backend_cf *cf;
    weir_status status = store->backend->cf_open(store->db, STATE_METADATA, true, &cf, err);
    if (status != WEIR_OK)
        return status;
    weir_backend_op op = {
        .kind = kind, .cf = cf, .key = weir_slice_str(STATE_INCOMPLETE), .value = value};
    status = store->backend->write(store->db, &op, 1, WEIR_WRITE_SYNC, err);
    return status == WEIR_OK ? store->backend->flush(store->db, err) : status;
}

weir_status state_mark_write(const state_store *store, bool is_copied, const char *first,
                             const char *command, weir_error *err)
{
    char *text;
    if (asprintf(&text, "%c\n%s\n%s", is_copied ? COPIED : WRITING, first, command) < 0)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a mark");
    weir_status status = write_mark(store, WEIR_OP_PUT, weir_slice_str(text), err);
    free(text);
    return status;
}

weir_status state_mark_remove(const state_store *store, weir_error *err)
{
    return write_mark(store, WEIR_OP_DELETE, weir_slice_str(""), err);
}

/* Whether the database whose mark decides for all has lost it. */
static weir_status is_decided(const state_store *store, const char *first, bool *is,
                              weir_error *err)
{
    state_store other = {.name = ""};
    state_mark mark = {.first = NULL};
    state_open_args args = {
        .spec = store->spec, .path = first, .options = store->options, .beside = true};
    *is = false;
    weir_status status = state_store_open(&args, &other, err);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status == WEIR_OK)
        status = state_mark_read(&other, &mark, err);
    *is = status == WEIR_OK && !mark.is_there;
    state_mark_release(&mark);
    state_store_close(&other, NULL);
    return status;
}

weir_status state_store_is_incomplete(const state_store *store, bool *is_incomplete,
                                      weir_error *err)
{
    state_mark mark;
    bool is = false;
    weir_status status = state_mark_read(store, &mark, err);
    if (status == WEIR_OK && mark.is_copied && mark.first[0] != '\0')
        status = is_decided(store, mark.first, &is, err);
    *is_incomplete = mark.is_there && !is;
    state_mark_release(&mark);
    return status;
}
