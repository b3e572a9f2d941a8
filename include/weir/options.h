/*
 * weir/options.h: the options of the backends that come with Weir, typed.
 *
 * Thin aliases of the key=value pairs that every backend takes (weir_state_options.state_options,
 * `weir backends NAME`): a member that is set becomes the pair of its name. They concern the
 * stores whose backend has that name, whatever chose it, and no others. A member that is set and
 * whose pair is among state_options too is WEIR_INVALID; the options of one store
 * (weir_store_config.backend_options) win over both.
 *
 * The init functions leave every member unset: numbers and switches −1, strings NULL. Then the
 * backend's default holds, which is in the comment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_OPTIONS_H
#define WEIR_OPTIONS_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the backend rocksdb: docs/rocksdb.md. The names are those of Quix Streams' RocksDBOptions. */
typedef struct weir_rocksdb_options {
    size_t struct_size;
    int64_t write_buffer_size;         /* bytes, 64 MiB */
    int64_t target_file_size_base;     /* bytes, 64 MiB */
    int64_t max_write_buffer_number;   /* 3 */
    int64_t block_cache_size;          /* bytes for all partitions of the process, 1 GiB; 0: none */
    int64_t bloom_filter_bits_per_key; /* 10; 0: no filter */
    int enable_pipelined_write;        /* 0 or 1; 0 */
    const char *compression_type;      /* "lz4"; none, snappy, zlib, bz2, lz4, lz4hc, zstd */
    const char *wal_dir;               /* folder; with the database */
    int64_t max_total_wal_size;        /* bytes, 128 MiB */
    const char *db_log_dir;            /* folder; with the database */
    int use_fsync;                     /* 0 or 1; 1 */
    int wal;                           /* 0 or 1; 1 */
    int64_t open_max_retries;          /* 10 */
    double open_retry_backoff;         /* seconds, 3.0 */
    int on_corrupted_recreate;         /* 0 or 1; 1 */
} weir_rocksdb_options;

WEIR_API void weir_rocksdb_options_init(weir_rocksdb_options *options);

/* Of the backend slatedb: docs/slatedb.md. */
typedef struct weir_slatedb_options {
    size_t struct_size;
    const char *durability;        /* "auto"; flushed, memory */
    double flush_interval;         /* seconds, 0.1 */
    int64_t memtable_size;         /* bytes, 64 MiB */
    int64_t max_unflushed;         /* bytes, 256 MiB */
    int64_t block_cache_size;      /* bytes for all partitions of the process, 256 MiB */
    const char *disk_cache_dir;    /* folder; none */
    int64_t disk_cache_size;       /* bytes of a database, 4 GiB */
    const char *compression;       /* "none"; lz4, snappy, zstd */
    int64_t max_log_files;         /* 0: 32 at a URL, 4096 in a folder */
    int64_t min_filter_keys;       /* 1000 */
    double manifest_poll_interval; /* seconds, 1.0 */
    int64_t max_retries;           /* 8 */
    double retry_timeout;          /* seconds, 20 */
    double open_timeout;           /* seconds, 60 */
    int use_fsync;                 /* 0 or 1; 1 */
    int64_t open_max_retries;      /* 10 */
    double open_retry_backoff;     /* seconds, 3.0 */
    int on_corrupted_recreate;     /* 0 or 1; 1 */
    double garbage_age;            /* seconds, 900 */
} weir_slatedb_options;

WEIR_API void weir_slatedb_options_init(weir_slatedb_options *options);

#ifdef __cplusplus
}
#endif

#endif
