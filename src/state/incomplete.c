/*
 * The mark of `weir state load` and `migrate` in a copy at a URL that is not complete, and how a
 * partition gets rid of it. docs/formats/state.md has its bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "state/partition.h"

#define KEY_INCOMPLETE "__weir_incomplete__"
#define COPIED         '2'

/* The value taken apart, in one piece of memory. */
typedef struct mark {
    char *text; /* NULL: there is none */
    bool is_copied;
    const char *first;   /* the database whose mark decides for all; "": not told */
    const char *command; /* that goes on with the copy; "": not told */
} mark;

/* Cuts the text at its next end of line and returns what follows. */
static char *next_line(char *text)
{
    char *end = text + strcspn(text, "\n");
    if (*end == '\0')
        return end;
    *end = '\0';
    return end + 1;
}

/* metadata NULL: nothing is marked. *m [out]; its text is the caller's. */
static weir_status read_mark(const weir_backend *backend, weir_backend_db *db,
                             weir_backend_cf *metadata, mark *m, weir_error *err)
{
    weir_backend_value value;
    *m = (mark){.text = NULL};
    if (!metadata)
        return WEIR_OK;
    weir_status status =
        backend->get(db, metadata, NULL, weir_slice_str(KEY_INCOMPLETE), &value, err);
    if (status)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    m->text = calloc(1, value.size + 1);
    if (m->text)
        memcpy(m->text, value.data, value.size);
    backend->value_release(db, &value);
    if (!m->text)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
    m->is_copied = m->text[0] == COPIED;
    char *first = next_line(m->text);
    m->first = first;
    m->command = next_line(first);
    return WEIR_OK;
}

/* *is [out]: the first database of the copy is there, and has lost its mark. */
static weir_status is_decided(const weir__partition_config *config, const char *first, bool *is,
                              weir_error *err)
{
    weir__database *database;
    weir_backend_cf *metadata;
    mark m = {.text = NULL};
    weir__database_config other = {
        .spec = config->backend_spec,
        .location = first,
        .options = config->backend_options,
        .label = "store=first",
        .read_only = true,
        .beside_writer = true,
        .open_deadline_ms = config->open_deadline_ms,
        .stop = config->stop,
    };
    *is = false;
    weir_status status = weir__database_open(&other, &database, err);
    if (status)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    status = backend->cf_open(db, WEIR__CF_METADATA, false, &metadata, err);
    if (!status)
        status = read_mark(backend, db, metadata, &m, err);
    *is = !status && !m.text;
    free(m.text);
    weir__database_close(database, NULL);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status remove_mark(weir_partition *partition, weir_error *err)
{
    weir_backend_op op = {
        .kind = WEIR_OP_DELETE, .cf = partition->metadata, .key = weir_slice_str(KEY_INCOMPLETE)};
    return partition->backend->write(partition->db, &op, 1, WEIR_WRITE_SYNC, err);
}

weir_status weir__incomplete_check(const weir__partition_config *config, weir_partition *partition,
                                   weir_error *err)
{
    mark m;
    weir_error inner;
    bool is_complete = false;
    weir_error_init(&inner);
    weir_status status =
        read_mark(partition->backend, partition->db, partition->metadata, &m, &inner);
    if (!status && !m.text)
        return WEIR_OK;
    if (!status && m.is_copied && strcmp(m.first, config->path) != 0 && m.first[0] != '\0')
        status = is_decided(config, m.first, &is_complete, &inner);
    if (!status && is_complete)
        status = remove_mark(partition, &inner);
    if (status)
        weir__database_error(partition->database, status, "reading the metadata", &inner, err);
    else if (!is_complete)
        status = weir__partition_error(
            partition, WEIR_INVALID, err,
            "the state is a copy that was broken off: go on with it (%s), or remove it",
            m.command[0] != '\0' ? m.command : "weir state migrate or load, as before");
    free(m.text);
    return status;
}
