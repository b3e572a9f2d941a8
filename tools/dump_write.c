/*
 * Writing a dump. See dump.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bytes.h"
#include "dump.h"

#define HEAD_SIZE  5u /* of a block: kind, size */
#define BLOCK_SIZE ((size_t)256 << 10)

struct dump_writer {
    FILE *out;
    uint8_t *block; /* head, then payload */
    size_t size;
    size_t capacity;
    uint64_t databases;
    uint64_t rows;
    XXH3_state_t *whole;
    digester *sum;
    char family[DUMP_NAME_MAX + 1];
};

static weir_status no_memory(weir_error *err)
{
    return weir_error_set(err, WEIR_NO_MEMORY, "no memory to write the dump");
}

static weir_status failed(weir_error *err)
{
    int number = errno;
    return weir_error_set(err, number == ENOSPC || number == EDQUOT ? WEIR_NO_SPACE : WEIR_IO,
                          "can't write the dump: %s", strerror(number));
}

static weir_status put(dump_writer *writer, const void *data, size_t size, weir_error *err)
{
    (void)XXH3_64bits_update(writer->whole, data, size);
    return fwrite(data, 1, size, writer->out) == size ? WEIR_OK : failed(err);
}

static bool reserve(dump_writer *writer, size_t more)
{
    if (writer->size + more <= writer->capacity)
        return true;
    size_t capacity = writer->size + more + BLOCK_SIZE;
    uint8_t *grown = realloc(writer->block, capacity);
    if (grown == NULL)
        return false;
    writer->block = grown;
    writer->capacity = capacity;
    return true;
}

static void append(dump_writer *writer, const void *data, size_t size)
{
    if (size > 0)
        memcpy(writer->block + writer->size, data, size);
    writer->size += size;
}

static void append_number(dump_writer *writer, uint64_t number, size_t size)
{
    bytes_put(writer->block + writer->size, number, size);
    writer->size += size;
}

/* Ends the block that was appended. */
static weir_status end_block(dump_writer *writer, dump_block kind, weir_error *err)
{
    uint8_t check[8];
    writer->block[0] = (uint8_t)kind;
    bytes_put32(writer->block + 1, (uint32_t)(writer->size - HEAD_SIZE));
    bytes_put64(check, XXH3_64bits(writer->block, writer->size));
    weir_status status = put(writer, writer->block, writer->size, err);
    if (status == WEIR_OK)
        status = put(writer, check, sizeof check, err);
    writer->size = HEAD_SIZE;
    return status;
}

static weir_status flush_rows(dump_writer *writer, weir_error *err)
{
    return writer->size > HEAD_SIZE ? end_block(writer, DUMP_BLOCK_ROWS, err) : WEIR_OK;
}

weir_status dump_writer_new(FILE *out, dump_writer **writer, weir_error *err)
{
    uint8_t head[12];
    *writer = NULL;
    dump_writer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return no_memory(err);
    made->out = out;
    made->size = HEAD_SIZE;
    made->whole = XXH3_createState();
    if (made->whole == NULL || XXH3_64bits_reset(made->whole) != XXH_OK) {
        dump_writer_free(made);
        return no_memory(err);
    }
    for (size_t i = 0; i < sizeof DUMP_MAGIC - 1; i++)
        head[i] = (uint8_t)DUMP_MAGIC[i];
    bytes_put32(head + 8, DUMP_VERSION);
    weir_status status = put(made, head, sizeof head, err);
    if (status == WEIR_OK)
        *writer = made;
    else
        dump_writer_free(made);
    return status;
}

void dump_writer_free(dump_writer *writer)
{
    if (writer == NULL)
        return;
    XXH3_freeState(writer->whole);
    digester_free(writer->sum);
    free(writer->block);
    free(writer);
}

static weir_status check_name(const char *what, const char *name, weir_error *err)
{
    if (strlen(name) <= DUMP_NAME_MAX)
        return WEIR_OK;
    return weir_error_set(err, WEIR_TOO_LARGE, "the %s is longer than %u bytes", what,
                          DUMP_NAME_MAX);
}

weir_status dump_write_database(dump_writer *writer, const char *path, const char *backend,
                                weir_error *err)
{
    weir_status status = check_name("path of a database", path, err);
    if (status != WEIR_OK)
        return status;
    digester_free(writer->sum);
    writer->sum = digester_new();
    if (writer->sum == NULL || !reserve(writer, 4 + strlen(path) + strlen(backend)))
        return no_memory(err);
    append_number(writer, strlen(path), 2);
    append(writer, path, strlen(path));
    append_number(writer, strlen(backend), 2);
    append(writer, backend, strlen(backend));
    writer->databases++;
    return end_block(writer, DUMP_BLOCK_DATABASE, err);
}

weir_status dump_write_family(dump_writer *writer, const char *name, weir_error *err)
{
    weir_status status = check_name("name of a column family", name, err);
    if (status == WEIR_OK)
        status = flush_rows(writer, err);
    if (status != WEIR_OK)
        return status;
    if (!reserve(writer, strlen(name)))
        return no_memory(err);
    snprintf(writer->family, sizeof writer->family, "%s", name);
    digester_family(writer->sum, writer->family);
    append(writer, name, strlen(name));
    return end_block(writer, DUMP_BLOCK_FAMILY, err);
}

weir_status dump_write_row(dump_writer *writer, weir_slice key, weir_slice value, weir_error *err)
{
    const size_t size = 8 + key.size + value.size;
    if (writer->size > HEAD_SIZE && writer->size + size > BLOCK_SIZE) {
        weir_status status = flush_rows(writer, err);
        if (status != WEIR_OK)
            return status;
    }
    if (!reserve(writer, size))
        return no_memory(err);
    append_number(writer, key.size, 4);
    append_number(writer, value.size, 4);
    append(writer, key.data, key.size);
    append(writer, value.data, value.size);
    digester_row(writer->sum, key, value);
    writer->rows++;
    return WEIR_OK;
}

weir_status dump_write_database_end(dump_writer *writer, digest *sum, weir_error *err)
{
    *sum = digester_end(writer->sum);
    weir_status status = flush_rows(writer, err);
    if (status != WEIR_OK)
        return status;
    if (!reserve(writer, 16 + DIGEST_SIZE))
        return no_memory(err);
    append_number(writer, sum->rows, 8);
    append_number(writer, sum->size, 8);
    append(writer, sum->bytes, DIGEST_SIZE);
    return end_block(writer, DUMP_BLOCK_DATABASE_END, err);
}

weir_status dump_write_end(dump_writer *writer, weir_error *err)
{
    if (!reserve(writer, 24))
        return no_memory(err);
    append_number(writer, writer->databases, 8);
    append_number(writer, writer->rows, 8);
    append_number(writer, XXH3_64bits_digest(writer->whole), 8);
    weir_status status = end_block(writer, DUMP_BLOCK_END, err);
    if (status == WEIR_OK && fflush(writer->out) != 0)
        status = failed(err);
    return status;
}
