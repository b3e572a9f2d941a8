/*
 * The reader of dumps: never crashes, never takes more memory than the file has bytes; and what it
 * accepts, written again, reads back the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bytes.h"
#include "dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all of it; with a writer, passes on what comes. */
static weir_status read_all(FILE *in, dump_writer *writer, digest *sum, size_t *databases)
{
    weir_error err;
    dump_reader *reader;
    dump_event event = DUMP_ROW;
    *databases = 0;
    weir_error_init(&err);
    weir_status status = dump_reader_new(in, &reader, &err);
    while (status == WEIR_OK && event != DUMP_END) {
        dump_item item;
        digest written;
        status = dump_read(reader, &event, &item, &err);
        if (status != WEIR_OK)
            break;
        if (event == DUMP_DATABASE_END) {
            *sum = item.sum;
            ++*databases;
        }
        if (writer == NULL)
            continue;
        if (event == DUMP_DATABASE)
            status = dump_write_database(writer, item.path, item.backend, &err);
        else if (event == DUMP_FAMILY)
            status = dump_write_family(writer, item.family, &err);
        else if (event == DUMP_ROW)
            status = dump_write_row(writer, item.key, item.value, &err);
        else if (event == DUMP_DATABASE_END)
            status = dump_write_database_end(writer, &written, &err);
        else
            status = dump_write_end(writer, &err);
        if (status != WEIR_OK)
            abort(); /* what was read can be written */
    }
    if (status != WEIR_OK && (err.status != status || err.message[0] == '\0'))
        abort(); /* a refusal says why */
    dump_reader_free(reader);
    return status;
}

static void read_and_write(const uint8_t *data, size_t size)
{
    char *text = NULL;
    size_t text_size = 0;
    digest first = {0};
    digest second = {0};
    size_t first_count;
    size_t second_count;
    dump_writer *writer = NULL;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "rb");
    FILE *out = open_memstream(&text, &text_size);
    if (in == NULL || out == NULL || dump_writer_new(out, &writer, NULL) != WEIR_OK)
        abort();
    weir_status status = read_all(in, writer, &first, &first_count);
    dump_writer_free(writer);
    fclose(in);
    fclose(out);
    if (status == WEIR_OK) {
        in = fmemopen(text, text_size, "rb");
        if (in == NULL || read_all(in, NULL, &second, &second_count) != WEIR_OK ||
            first_count != second_count || !digest_equal(&first, &second))
            abort();
        fclose(in);
    }
    free(text);
}

/* Puts right the checksums that a mutation broke, so that what lies behind them is reached. */
static void repair(uint8_t *data, size_t size)
{
    enum { HEAD = 12, BLOCK_HEAD = 5, CHECK = 8 };
    for (size_t at = HEAD; at + BLOCK_HEAD + CHECK <= size;) {
        size_t block = BLOCK_HEAD + (size_t)bytes_get32(data + at + 1);
        if (block > size - at - CHECK)
            return;
        if (data[at] == DUMP_BLOCK_END && block == BLOCK_HEAD + 24)
            bytes_put64(data + at + BLOCK_HEAD + 16, XXH3_64bits(data, at));
        bytes_put64(data + at + block, XXH3_64bits(data + at, block));
        at += block + CHECK;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    read_and_write(data, size);
    uint8_t *copy = malloc(size);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    repair(copy, size);
    read_and_write(copy, size);
    free(copy);
    return 0;
}
