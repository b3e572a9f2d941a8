/*
 * The portable dump of databases: docs/formats/dump.md has the bytes. Reading and writing know
 * nothing of backends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TOOLS_DUMP_H
#define WEIR_TOOLS_DUMP_H

#include <stdio.h>
#include <weir/base.h>

#include "digest.h"

#define DUMP_MAGIC    "weirdump" /* without its NUL */
#define DUMP_VERSION  1u
#define DUMP_NAME_MAX 4096u /* of a database's path, of a family's name */

typedef enum dump_block {
    DUMP_BLOCK_DATABASE = 'D',
    DUMP_BLOCK_FAMILY = 'F',
    DUMP_BLOCK_ROWS = 'R',
    DUMP_BLOCK_DATABASE_END = 'd',
    DUMP_BLOCK_END = 'E'
} dump_block;

/* ----------------------------------------------------------------------- writing */

typedef struct dump_writer dump_writer;

/* Writes the head. out is borrowed until dump_writer_free. *writer [out]. */
weir_status dump_writer_new(FILE *out, dump_writer **writer, weir_error *err);
void dump_writer_free(dump_writer *writer);
/* path: below what was dumped, "" for a single database. backend: for people. */
weir_status dump_write_database(dump_writer *writer, const char *path, const char *backend,
                                weir_error *err);
/* In order of their names; the name lives until the next family. */
weir_status dump_write_family(dump_writer *writer, const char *name, weir_error *err);
/* In order of their keys. */
weir_status dump_write_row(dump_writer *writer, weir_slice key, weir_slice value, weir_error *err);
/* *sum [out]. */
weir_status dump_write_database_end(dump_writer *writer, digest *sum, weir_error *err);
/* The last block, and all of it handed to the system. */
weir_status dump_write_end(dump_writer *writer, weir_error *err);

/* ----------------------------------------------------------------------- reading */

typedef enum dump_event {
    DUMP_DATABASE,     /* path, backend */
    DUMP_FAMILY,       /* family */
    DUMP_ROW,          /* key, value */
    DUMP_DATABASE_END, /* sum: as it is told, and as the rows came to */
    DUMP_END           /* nothing follows */
} dump_event;

/* What the last event brought; valid until the next one. */
typedef struct dump_item {
    const char *path;
    const char *backend;
    const char *family;
    weir_slice key;
    weir_slice value;
    digest sum;
} dump_item;

typedef struct dump_reader dump_reader;

/* Reads the head. WEIR_INVALID: no dump; WEIR_VERSION: a newer one. *reader [out]. */
weir_status dump_reader_new(FILE *in, dump_reader **reader, weir_error *err);
void dump_reader_free(dump_reader *reader);
/* Every block is checked before anything of it is handed out. WEIR_CORRUPTED says where and what:
 * cut short, altered, or blocks that can't follow one another. */
weir_status dump_read(dump_reader *reader, dump_event *event, dump_item *item, weir_error *err);

#endif
