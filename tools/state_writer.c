/*
 * Rows into batches of one database.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define BATCH_ROWS  8192u
#define BATCH_BYTES ((size_t)1 << 20)

weir_status state_writer_init(state_writer *writer, state_store *store, weir_error *err)
{
    *writer = (state_writer){.store = store, .capacity = BATCH_BYTES};
    writer->ops = malloc(BATCH_ROWS * sizeof *writer->ops);
    writer->bytes = malloc(writer->capacity);
    if (writer->ops != NULL && writer->bytes != NULL)
        return WEIR_OK;
    state_writer_release(writer);
    return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a batch");
}

static weir_status write_batch(state_writer *writer, weir_error *err)
{
    if (writer->count == 0)
        return WEIR_OK;
    const state_store *store = writer->store;
    weir_status status = store->backend->write(store->db, writer->ops, writer->count, 0, err);
    writer->count = 0;
    writer->size = 0;
    return status;
}

static weir_slice keep(state_writer *writer, weir_slice bytes)
{
    uint8_t *at = writer->bytes + writer->size;
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    writer->size += bytes.size;
    return weir_slice_of(at, bytes.size);
}

weir_status state_writer_put(state_writer *writer, weir_backend_cf *cf, weir_slice key,
                             weir_slice value, weir_error *err)
{
    weir_status status = WEIR_OK;
    const size_t size = key.size + value.size;
    weir_backend_op op = {.kind = WEIR_OP_PUT, .cf = cf, .key = key, .value = value};
    if (writer->count == BATCH_ROWS || writer->size + size > writer->capacity)
        status = write_batch(writer, err);
    if (status != WEIR_OK)
        return status;
    if (size > writer->capacity)
        return writer->store->backend->write(writer->store->db, &op, 1, 0, err);
    op.key = keep(writer, key);
    op.value = keep(writer, value);
    writer->ops[writer->count++] = op;
    return WEIR_OK;
}

weir_status state_writer_finish(state_writer *writer, weir_error *err)
{
    weir_status status = write_batch(writer, err);
    return status == WEIR_OK ? writer->store->backend->flush(writer->store->db, err) : status;
}

void state_writer_release(state_writer *writer)
{
    free(writer->ops);
    free(writer->bytes);
    *writer = (state_writer){0};
}
