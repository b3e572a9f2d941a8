/*
 * The yardstick: RocksDB through its C API and nothing else, with the options that Weir's
 * backend sets, the same keys, and the same batches.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_RAW_H
#define WEIR_BENCH_RAW_H

#include <rocksdb/c.h>

#include "harness.h"

typedef struct raw_db {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_column_family_handle_t *data;     /* "default" */
    rocksdb_column_family_handle_t *metadata; /* "__metadata__" */
    rocksdb_column_family_handle_t *extra[2]; /* of raw_open_with */
} raw_db;

/* Opens, or makes, a database with the two column families. */
bool raw_open(raw_db *raw, const char *path, bench_sample *sample);
/* … and two more. */
bool raw_open_with(raw_db *raw, const char *path, const char *first, const char *second,
                   bench_sample *sample);
void raw_close(raw_db *raw);
/* False, with sample->message, if text is an error of RocksDB, which is freed. */
bool raw_check(char *text, const char *what, bench_sample *sample);
/* Compacts everything, so that all runs begin with the same files. */
bool raw_settle(raw_db *raw, bench_sample *sample);
/* A copy of a closed database: files that never change are hard links. */
bool raw_copy_folder(const char *from, const char *to, bench_sample *sample);

/* What both loops do. */
typedef struct raw_counting {
    const uint32_t *keys;
    size_t count;
    size_t checkpoint;
} raw_counting;

/* For each record a get and a put; at each checkpoint the offset. */
bool raw_count_by_puts(raw_db *raw, const raw_counting *work, bench_sample *sample);
/* For each record a read through a WriteBatchWithIndex and a change in it; at each checkpoint
 * the offset, and the batch is written. */
bool raw_count_by_batches(raw_db *raw, const raw_counting *work, bench_sample *sample);
/* The counter of a key; 0 if there is none. */
bool raw_read_counter(raw_db *raw, uint32_t key, uint64_t *value, bench_sample *sample);

#endif
