/*
 * Reading a dump. See dump.h. Nothing that a file says is believed before its checksum was seen,
 * and no more memory is taken than the file has bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bytes.h"
#include "dump.h"

#define HEAD_SIZE  5u
#define CHECK_SIZE 8u
#define READ_STEP  ((size_t)1 << 20)

typedef enum place {
    BETWEEN_DATABASES,
    IN_DATABASE, /* no family yet */
    IN_FAMILY,
    AT_END
} place;

struct dump_reader {
    FILE *in;
    uint64_t offset; /* of the block at hand */
    uint64_t read;
    uint8_t *block; /* head, payload, checksum */
    size_t size;
    size_t capacity;
    size_t payload_size;
    size_t at; /* in the payload, of the next row */
    place where;
    uint64_t databases;
    uint64_t rows;
    XXH3_state_t *whole;
    digester *sum;
    char path[DUMP_NAME_MAX + 1];
    char backend[DUMP_NAME_MAX + 1];
    char family[DUMP_NAME_MAX + 1];
    uint8_t *last; /* key, to check the order */
    size_t last_size;
    size_t last_capacity;
    bool has_last;
};

static weir_status no_memory(weir_error *err)
{
    return weir_error_set(err, WEIR_NO_MEMORY, "no memory to read the dump");
}

static weir_status damaged(const dump_reader *reader, const char *what, weir_error *err)
{
    return weir_error_set(err, WEIR_CORRUPTED, "the dump is damaged at byte %" PRIu64 ": %s",
                          reader->offset, what);
}

/* Appends exactly `size` bytes to the block. */
static weir_status take(dump_reader *reader, size_t size, weir_error *err)
{
    while (size > 0) {
        size_t step = size < READ_STEP ? size : READ_STEP;
        if (reader->size + step > reader->capacity) {
            size_t capacity = reader->capacity * 2 > reader->size + step ? reader->capacity * 2
                                                                         : reader->size + step;
            uint8_t *grown = realloc(reader->block, capacity);
            if (grown == NULL)
                return no_memory(err);
            reader->block = grown;
            reader->capacity = capacity;
        }
        errno = 0;
        size_t got = fread(reader->block + reader->size, 1, step, reader->in);
        reader->size += got;
        reader->read += got;
        size -= got;
        if (got == step)
            continue;
        if (ferror(reader->in))
            return weir_error_set(err, WEIR_IO, "can't read the dump: %s", strerror(errno));
        return weir_error_set(err, WEIR_CORRUPTED,
                              "the dump is cut short or altered: it ends after %" PRIu64
                              " bytes, in the middle of a block",
                              reader->read);
    }
    return WEIR_OK;
}

static weir_status next_block(dump_reader *reader, weir_error *err)
{
    reader->offset = reader->read;
    reader->size = 0;
    reader->payload_size = 0;
    reader->at = 0;
    int first = fgetc(reader->in);
    if (first == EOF && !ferror(reader->in))
        return weir_error_set(err, WEIR_CORRUPTED,
                              "the dump is cut short: it ends after %" PRIu64 " bytes, without "
                              "its last block",
                              reader->read);
    if (first != EOF)
        ungetc(first, reader->in);
    weir_status status = take(reader, HEAD_SIZE, err);
    if (status != WEIR_OK)
        return status;
    size_t size = bytes_get32(reader->block + 1);
    status = take(reader, size + CHECK_SIZE, err);
    if (status != WEIR_OK)
        return status;
    if (XXH3_64bits(reader->block, HEAD_SIZE + size) !=
        bytes_get64(reader->block + HEAD_SIZE + size))
        return damaged(reader, "the checksum of a block is wrong", err);
    reader->payload_size = size;
    return WEIR_OK;
}

static const uint8_t *payload(const dump_reader *reader)
{
    return reader->block + HEAD_SIZE;
}

weir_status dump_reader_new(FILE *in, dump_reader **reader, weir_error *err)
{
    *reader = NULL;
    dump_reader *made = calloc(1, sizeof *made);
    if (made == NULL)
        return no_memory(err);
    made->in = in;
    made->whole = XXH3_createState();
    weir_status status = WEIR_OK;
    if (made->whole == NULL || XXH3_64bits_reset(made->whole) != XXH_OK)
        status = no_memory(err);
    if (status == WEIR_OK)
        status = take(made, 12, err);
    if (status == WEIR_CORRUPTED || (status == WEIR_OK && memcmp(made->block, DUMP_MAGIC, 8) != 0))
        status = weir_error_set(err, WEIR_INVALID,
                                "this is no dump of weir: it does not begin with "
                                "\"" DUMP_MAGIC "\"");
    if (status == WEIR_OK && bytes_get32(made->block + 8) != DUMP_VERSION)
        status = weir_error_set(err, WEIR_VERSION,
                                "the dump has version %u of the format, and Weir %s reads version "
                                "%u",
                                bytes_get32(made->block + 8), weir_version(), DUMP_VERSION);
    if (status == WEIR_OK) {
        (void)XXH3_64bits_update(made->whole, made->block, made->size);
        *reader = made;
    } else {
        dump_reader_free(made);
    }
    return status;
}

void dump_reader_free(dump_reader *reader)
{
    if (reader == NULL)
        return;
    XXH3_freeState(reader->whole);
    digester_free(reader->sum);
    free(reader->block);
    free(reader->last);
    free(reader);
}

/* ------------------------------------------------------------------------- blocks */

static bool copy_name(char *to, const uint8_t *from, size_t size)
{
    if (size > DUMP_NAME_MAX || memchr(from, 0, size) != NULL)
        return false;
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

/* A path that leads to a place below, whoever wrote it: "a/b", without "..". */
static bool is_below(const char *path)
{
    for (const char *part = path; *part != '\0';) {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += size;
        if (*part == '/' && *++part == '\0')
            return false;
    }
    return true;
}

static weir_status read_database(dump_reader *reader, weir_error *err)
{
    const uint8_t *at = payload(reader);
    size_t left = reader->payload_size;
    char *names[] = {reader->path, reader->backend};
    for (int i = 0; i < 2; i++) {
        size_t size = left >= 2 ? (size_t)bytes_get(at, 2) : 0;
        if (left < 2 + size || !copy_name(names[i], at + 2, size))
            return damaged(reader, "a database has no name that can be read", err);
        at += 2 + size;
        left -= 2 + size;
    }
    if (left > 0 || !is_below(reader->path))
        return damaged(reader, "a database has a path that leads elsewhere", err);
    digester_free(reader->sum);
    reader->sum = digester_new();
    if (reader->sum == NULL)
        return no_memory(err);
    reader->family[0] = '\0';
    reader->databases++;
    reader->where = IN_DATABASE;
    return WEIR_OK;
}

static weir_status read_family(dump_reader *reader, weir_error *err)
{
    char name[DUMP_NAME_MAX + 1];
    if (reader->payload_size == 0 || !copy_name(name, payload(reader), reader->payload_size))
        return damaged(reader, "a column family has no name that can be read", err);
    if (reader->where == IN_FAMILY && strcmp(name, reader->family) <= 0)
        return damaged(reader, "the column families are not in order", err);
    memcpy(reader->family, name, reader->payload_size + 1);
    digester_family(reader->sum, reader->family);
    reader->has_last = false;
    reader->where = IN_FAMILY;
    return WEIR_OK;
}

static weir_status read_database_end(dump_reader *reader, digest *sum, weir_error *err)
{
    digest told = {0};
    const uint8_t *at = payload(reader);
    if (reader->payload_size != 16 + DIGEST_SIZE)
        return damaged(reader, "a database has an end of another size", err);
    told.rows = bytes_get64(at);
    told.size = bytes_get64(at + 8);
    memcpy(told.bytes, at + 16, DIGEST_SIZE);
    *sum = digester_end(reader->sum);
    if (!digest_equal(sum, &told))
        return damaged(reader, "the rows of a database do not have its digest", err);
    reader->where = BETWEEN_DATABASES;
    return WEIR_OK;
}

static weir_status read_end(dump_reader *reader, weir_error *err)
{
    const uint8_t *at = payload(reader);
    if (reader->payload_size != 24)
        return damaged(reader, "the last block has another size", err);
    if (bytes_get64(at) != reader->databases || bytes_get64(at + 8) != reader->rows)
        return damaged(reader, "the last block counts other databases and rows", err);
    if (bytes_get64(at + 16) != XXH3_64bits_digest(reader->whole))
        return damaged(reader, "the checksum of the whole is wrong", err);
    reader->offset = reader->read;
    if (fgetc(reader->in) != EOF)
        return damaged(reader, "something follows the last block", err);
    reader->where = AT_END;
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------- rows */

static weir_status remember(dump_reader *reader, weir_slice key, weir_error *err)
{
    if (key.size > reader->last_capacity) {
        uint8_t *grown = realloc(reader->last, key.size);
        if (grown == NULL)
            return no_memory(err);
        reader->last = grown;
        reader->last_capacity = key.size;
    }
    if (key.size > 0)
        memcpy(reader->last, key.data, key.size);
    reader->last_size = key.size;
    reader->has_last = true;
    return WEIR_OK;
}

static weir_status read_row(dump_reader *reader, dump_item *item, weir_error *err)
{
    const uint8_t *at = payload(reader) + reader->at;
    size_t left = reader->payload_size - reader->at;
    if (left < 8)
        return damaged(reader, "a row is cut off", err);
    size_t key_size = bytes_get32(at);
    size_t value_size = bytes_get32(at + 4);
    if (left - 8 < key_size || left - 8 - key_size < value_size)
        return damaged(reader, "a row is cut off", err);
    item->key = weir_slice_of(at + 8, key_size);
    item->value = weir_slice_of(at + 8 + key_size, value_size);
    if (reader->has_last &&
        weir_slice_compare(item->key, weir_slice_of(reader->last, reader->last_size)) <= 0)
        return damaged(reader, "the rows are not in order", err);
    reader->at += 8 + key_size + value_size;
    reader->rows++;
    digester_row(reader->sum, item->key, item->value);
    return remember(reader, item->key, err);
}

static bool may_follow(place where, uint8_t kind)
{
    switch (kind) {
    case DUMP_BLOCK_DATABASE:
    case DUMP_BLOCK_END:
        return where == BETWEEN_DATABASES;
    case DUMP_BLOCK_FAMILY:
    case DUMP_BLOCK_DATABASE_END:
        return where == IN_DATABASE || where == IN_FAMILY;
    case DUMP_BLOCK_ROWS:
        return where == IN_FAMILY;
    default:
        return false;
    }
}

static weir_status read_block(dump_reader *reader, dump_event *event, dump_item *item,
                              weir_error *err)
{
    switch (reader->block[0]) {
    case DUMP_BLOCK_DATABASE:
        *event = DUMP_DATABASE;
        return read_database(reader, err);
    case DUMP_BLOCK_FAMILY:
        *event = DUMP_FAMILY;
        return read_family(reader, err);
    case DUMP_BLOCK_DATABASE_END:
        *event = DUMP_DATABASE_END;
        return read_database_end(reader, &item->sum, err);
    case DUMP_BLOCK_ROWS:
        *event = DUMP_ROW;
        return read_row(reader, item, err);
    default:
        *event = DUMP_END;
        return read_end(reader, err);
    }
}

weir_status dump_read(dump_reader *reader, dump_event *event, dump_item *item, weir_error *err)
{
    weir_status status = WEIR_OK;
    *item = (dump_item){.path = reader->path, .backend = reader->backend, .family = reader->family};
    *event = DUMP_ROW;
    bool has_rows = reader->size > 0 && reader->block[0] == DUMP_BLOCK_ROWS && reader->at > 0 &&
                    reader->at < reader->payload_size;
    if (has_rows)
        return read_row(reader, item, err);
    if (reader->where == AT_END) {
        *event = DUMP_END;
        return WEIR_OK;
    }
    status = next_block(reader, err);
    if (status == WEIR_OK && !may_follow(reader->where, reader->block[0]))
        status = damaged(reader, "a block stands where it can't", err);
    if (status == WEIR_OK)
        status = read_block(reader, event, item, err);
    /* What precedes the last block. */
    if (status == WEIR_OK)
        (void)XXH3_64bits_update(reader->whole, reader->block, reader->size);
    return status;
}
