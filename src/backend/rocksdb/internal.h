/*
 * What the files of the RocksDB backend share: the database handle, the settings,
 * and the few questions that one of them answers for all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_ROCKSDB_INTERNAL_H
#define WEIR_BACKEND_ROCKSDB_INTERNAL_H

#include <rocksdb/c.h>
#include <weir/backend.h>

struct weir_backend_cf {
    char *name;
    rocksdb_column_family_handle_t *handle;
};

struct weir_backend_snapshot {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read; /* reads as of the snapshot; shared by all its reads */
};

/* The options of a database in typed form (options.c). Strings are borrowed. */
typedef struct weir__rocksdb_settings {
    size_t write_buffer_size;
    uint64_t target_file_size_base;
    int max_write_buffer_number;
    size_t block_cache_size;
    int bloom_filter_bits_per_key;
    bool enable_pipelined_write;
    int compression; /* rocksdb_…_compression */
    const char *wal_dir;
    uint64_t max_total_wal_size;
    const char *db_log_dir;
    bool use_fsync;
    bool wal;
} weir__rocksdb_settings;

/* A block cache of the process, shared by all databases that ask for its capacity. */
typedef struct weir__rocksdb_cache weir__rocksdb_cache;

struct weir_backend_db {
    const weir_backend_host *host;
    const char *label;
    const char *location;
    bool read_only;
    int lock_fd; /* read only: a shared lock on RocksDB's file LOCK; -1: none */
    weir__rocksdb_settings settings;
    char *wal_folder; /* NULL: in the location */

    weir__rocksdb_cache *cache;
    rocksdb_options_t *options;
    rocksdb_t *rocks;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_writeoptions_t *write_sync;
    rocksdb_writebatch_t *batch; /* empty between writes; keeps its memory */
    size_t largest_batch;        /* bytes of the largest that its memory was used for */
    bool has_failed;             /* to write a batch */

    weir_backend_cf **cfs;
    size_t cf_count;
    size_t cf_capacity;
};

/* --- errors.c --- */

/* The code of a message of RocksDB. opening: a file that is missing is damage then. */
weir_status weir__rocksdb_status_of(const char *text, bool opening);
/*
 * "rocksdb could not WHAT: TEXT (LABEL)" with a hint what to do. text is a message of
 * RocksDB and is freed.
 */
weir_status weir__rocksdb_fail(const weir_backend_db *db, char *text, bool opening,
                               const char *what, weir_error *err);
/* A failure that RocksDB has no part in; the label is added. */
weir_status weir__rocksdb_error(const weir_backend_db *db, weir_error *err, weir_status status,
                                const char *format, ...) WEIR_PRINTF(4, 5);
/* The code of an errno. */
weir_status weir__rocksdb_errno_status(int number);
weir_status weir__rocksdb_refuse_read_only(const weir_backend_db *db, const char *what,
                                           weir_error *err);

/* --- options.c --- */

extern const weir_option_spec weir__rocksdb_option_table[];

/* Fills db->settings. WEIR_INVALID: values that exclude each other. */
weir_status weir__rocksdb_settings_read(weir_backend_db *db, const weir_option_value *values,
                                        weir_error *err);
/* Makes db->options and takes db->cache from db->settings and db->wal_folder. */
weir_status weir__rocksdb_options_make(weir_backend_db *db, bool create, weir_error *err);
/* Releases both. */
void weir__rocksdb_options_release(weir_backend_db *db);

/* --- folder.c --- */

/* For a moment in the location while a flush goes on, where flushing needs it. */
#define WEIR__ROCKSDB_FLUSH_FOLDER "flush.tmp"

typedef enum weir__rocksdb_folder {
    WEIR__ROCKSDB_EMPTY = 0,    /* no database */
    WEIR__ROCKSDB_DATABASE = 1, /* has the file CURRENT */
    WEIR__ROCKSDB_DAMAGED = 2   /* has data, but no CURRENT */
} weir__rocksdb_folder;

/* *state [out]. */
weir_status weir__rocksdb_folder_inspect(const weir_backend_db *db, weir__rocksdb_folder *state,
                                         weir_error *err);
/*
 * Sets db->wal_folder to the folder below wal_dir that belongs to this location alone, makes
 * it, and notes it in the location. WEIR_INVALID: the logs of this database lie elsewhere.
 */
weir_status weir__rocksdb_wal_folder_prepare(weir_backend_db *db, weir__rocksdb_folder state,
                                             weir_error *err);
/* Sets db->wal_folder to where the logs of the database are, without changing anything. */
weir_status weir__rocksdb_wal_folder_find(weir_backend_db *db, weir_error *err);
/* Keeps writers that know nothing of Weir's own lock away while the database is read: takes
 * db->lock_fd. WEIR_LOCKED: one is there. Without the file LOCK nobody ever wrote. */
weir_status weir__rocksdb_lock_shared(weir_backend_db *db, weir_error *err);
/* Makes a folder with its parents. 0 or an errno. */
int weir__rocksdb_make_folders(const char *path);
/* Removes a folder that holds files only. Missing: nothing. */
void weir__rocksdb_remove_flat_folder(const char *path);
/* The files in the location that are of the database, but that RocksDB does not remove. */
void weir__rocksdb_remove_extras(const weir_backend_db *db);
/* "FOLDER/NAME", freed with free(). NULL: no memory. */
char *weir__rocksdb_join(const char *folder, const char *name);

/* --- closed.c --- */

/* WEIR_CORRUPTED: the logs or the manifest are not what they were when the database was closed. */
weir_status weir__rocksdb_closed_check(const weir_backend_db *db, weir_error *err);
/* Notes what they are now; without a note, as after a kill, there is nothing to compare with. */
void weir__rocksdb_closed_note(const weir_backend_db *db);
/* Before a writer opens. */
void weir__rocksdb_closed_remove(const weir_backend_db *db);

/* --- logend.c --- */

/* WEIR_CORRUPTED: a log or a manifest ends early for RocksDB, and in truth goes on. */
weir_status weir__rocksdb_log_ends_check(const weir_backend_db *db, weir_error *err);

/* --- read.c, write.c, iter.c, admin.c: the methods of the table --- */

weir_status weir__rocksdb_get(weir_backend_db *db, weir_backend_cf *cf,
                              weir_backend_snapshot *snapshot, weir_slice key,
                              weir_backend_value *value, weir_error *err);
weir_status weir__rocksdb_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                    weir_backend_snapshot *snapshot, const weir_slice *keys,
                                    size_t count, weir_backend_value *values, weir_status *statuses,
                                    weir_error *err);
void weir__rocksdb_value_release(weir_backend_db *db, weir_backend_value *value);

weir_status weir__rocksdb_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                uint32_t flags, weir_error *err);
weir_status weir__rocksdb_flush(weir_backend_db *db, weir_error *err);
/* Nothing in memtables: with wal=off all is on disk then. */
bool weir__rocksdb_is_flushed(const weir_backend_db *db);

weir_status weir__rocksdb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err);
weir_status weir__rocksdb_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err);
weir_status weir__rocksdb_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err);
void weir__rocksdb_iter_close(weir_backend_iter *iter);

weir_status weir__rocksdb_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                        weir_error *err);
void weir__rocksdb_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot);
weir_status weir__rocksdb_checkpoint(weir_backend_db *db, const char *location, weir_error *err);
weir_status weir__rocksdb_compact(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                                  weir_slice upper, weir_error *err);
weir_status weir__rocksdb_stats(weir_backend_db *db,
                                void (*visit)(const char *name, uint64_t value, void *arg),
                                void *arg, weir_error *err);

#endif
