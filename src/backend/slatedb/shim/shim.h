/*
 * The border between C and the Rust crate in this folder: SlateDB as blocking functions.
 *
 * All of them may be called from any thread, but not from a process that was forked after the
 * first call: the threads of the runtime, which all databases of a process share, stay behind.
 * They end with the process.
 *
 * Functions return a kind (below) and, unless that is OK or NOT_FOUND, fill *error. No panic
 * crosses: it becomes WEIR__SLATE_PANIC, or WEIR__SLATE_CORRUPTED where stored bytes were read.
 * Out-parameters are written on OK alone.
 *
 * The structs have the layout of their namesakes in src/; a change is made in both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_SLATEDB_SHIM_H
#define WEIR_BACKEND_SLATEDB_SHIM_H

#include <weir/backend.h>

typedef enum weir__slate_kind {
    WEIR__SLATE_OK = 0,
    WEIR__SLATE_NOT_FOUND = 1, /* a key, the end of an iterator, a database */
    WEIR__SLATE_INVALID = 2,   /* settings, or a bucket that is not there */
    WEIR__SLATE_FENCED = 3,
    WEIR__SLATE_CORRUPTED = 4,
    WEIR__SLATE_IO = 5,
    WEIR__SLATE_NO_SPACE = 6,
    WEIR__SLATE_PERMISSION = 7,
    WEIR__SLATE_BUSY = 8,
    WEIR__SLATE_CLOSED = 9,
    WEIR__SLATE_UNSUPPORTED = 10,
    WEIR__SLATE_PANIC = 11, /* of SlateDB, here or in one of its threads */
    WEIR__SLATE_TIMEOUT = 12,
    WEIR__SLATE_VERSION = 13 /* stored in a format that is newer than SlateDB is here */
} weir__slate_kind;

typedef struct weir__slate_error {
    char message[512]; /* NUL-terminated UTF-8, cut if need be */
} weir__slate_error;

typedef struct weir__slate_db weir__slate_db;
typedef struct weir__slate_snapshot weir__slate_snapshot;
typedef struct weir__slate_iter weir__slate_iter;

/* Everything is borrowed for the call. */
typedef struct weir__slate_config {
    const char *folder;    /* a local folder that exists, or NULL */
    const char *store_url; /* without folder: "s3://bucket" */
    const char *path;      /* of the database below either; no '/' at the ends */
    bool create;
    bool read_only;
    bool use_fsync;             /* local folders: make files durable */
    uint64_t flush_interval_ms; /* 0: the log is written when it is asked for or full */
    uint64_t memtable_bytes;
    uint64_t max_unflushed_bytes;
    uint64_t block_cache_bytes; /* one cache for each capacity in the process */
    const char *disk_cache_dir; /* NULL: none */
    uint64_t disk_cache_bytes;
    uint64_t manifest_poll_ms;
    uint64_t garbage_age_ms;   /* for so long stays what the compactor has replaced */
    uint64_t retry_timeout_ms; /* for one request to an object store, with its retries */
    uint64_t open_timeout_ms;
    uint32_t max_retries;
    uint32_t min_filter_keys;
    uint32_t max_log_files;  /* of them at most are read by an open after a crash */
    const char *compression; /* "none", "lz4", "snappy", "zstd" */
} weir__slate_config;

/*
 * NOT_FOUND: no database, and not to be created. INVALID: no such bucket. CORRUPTED: also a
 * panic over what is stored. *db is released with weir_slate_close.
 */
int weir_slate_open(const weir__slate_config *config, weir__slate_db **db,
                    weir__slate_error *error);
/*
 * Stores what is not stored yet, unless a write has failed. The handle is gone in any case; its
 * iterators, snapshots and values must be gone before.
 */
int weir_slate_close(weir__slate_db *db, weir__slate_error *error);
/*
 * Deletes all objects of a database that is not open; none is OK. Empty local folders stay. BUSY: a
 * clone shares its tables.
 */
int weir_slate_destroy(const weir__slate_config *config, weir__slate_error *error);
/*
 * Calls visit with the path of each database that is named like config->path ("a/b/NAME") and lies
 * in the folder that this one is in ("a/b") or anywhere below it.
 */
int weir_slate_list(const weir__slate_config *config, void (*visit)(const char *path, void *arg),
                    void *arg, weir__slate_error *error);
/* Makes a new database that holds what db holds now and shares nothing with it. */
int weir_slate_copy(weir__slate_db *db, const weir__slate_config *target, weir__slate_error *error);
/*
 * Makes a new database in the same object store that holds what db (opened with source) has stored,
 * and shares its tables; what db was told to write is stored before. INVALID: the target is there.
 */
int weir_slate_clone(weir__slate_db *db, const weir__slate_config *source,
                     const weir__slate_config *target, weir__slate_error *error);

/* snapshot may be NULL. On OK, value->owner goes to weir_slate_value_release. */
int weir_slate_get(weir__slate_db *db, weir__slate_snapshot *snapshot, weir_slice key,
                   weir_backend_value *value, weir__slate_error *error);
/* Writes values[i] for each key that is there and leaves the others as they are. */
int weir_slate_multi_get(weir__slate_db *db, weir__slate_snapshot *snapshot, const weir_slice *keys,
                         size_t count, weir_backend_value *values, weir__slate_error *error);
/* NULL is allowed. */
void weir_slate_value_release(void *owner);

/*
 * One atomic batch of at least one change; no key is empty; cf is not looked at. durable: returns
 * when the batch is stored. Otherwise it is seen at once, but SlateDB takes it while the caller
 * goes on, and its failure is that of the next write, flush, snapshot or close. After a failure the
 * database answers everything with that failure, and closing it stores no more: the batch is in
 * memory already, but must not be seen.
 */
int weir_slate_write(weir__slate_db *db, const weir_backend_op *ops, size_t count, bool durable,
                     weir__slate_error *error);
/* Stores the log; memtable: stores tables, so that the next open has no log to read. */
int weir_slate_flush(weir__slate_db *db, bool memtable, weir__slate_error *error);

/* for_scans: for iterators alone; then it need not wait for what SlateDB has not taken yet. */
int weir_slate_snapshot_open(weir__slate_db *db, bool for_scans, weir__slate_snapshot **snapshot,
                             weir__slate_error *error);
/* NULL is allowed. */
void weir_slate_snapshot_close(weir__slate_snapshot *snapshot);

typedef struct weir__slate_range {
    weir_slice lower; /* inclusive */
    weir_slice upper; /* exclusive; above lower if both are there */
    bool has_lower;
    bool has_upper;
    bool reverse;
} weir__slate_range;

/* On the state as of now, or the snapshot. The range is borrowed for the call. */
int weir_slate_iter_open(weir__slate_db *db, weir__slate_snapshot *snapshot,
                         const weir__slate_range *range, weir__slate_iter **iter,
                         weir__slate_error *error);
/*
 * The next block of items, borrowed until the next call: for each item the sizes of key and value
 * (4 bytes each, in the order of this machine), key, value. NOT_FOUND at the end.
 */
int weir_slate_iter_block(weir__slate_iter *iter, weir_slice *block, weir__slate_error *error);
/* NULL is allowed. */
void weir_slate_iter_close(weir__slate_iter *iter);

/* Calls visit for each figure. */
int weir_slate_stats(weir__slate_db *db, void (*visit)(const char *name, uint64_t value, void *arg),
                     void *arg, weir__slate_error *error);

#endif
