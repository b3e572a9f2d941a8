/*
 * The options of the RocksDB backend, with the names and defaults of Quix Streams'
 * RocksDBOptions, and what they become in RocksDB. Also the block caches, one in the process
 * for each capacity: the size is a ceiling for all partitions together, not for each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backend/rocksdb/internal.h"

#define KIB 1024.0
#define TIB (1024.0 * 1024.0 * 1024.0 * 1024.0)

/* Info logs of earlier opens that are kept. RocksDB's own 1000 fill a folder that is opened
 * at each rebalance. */
#define KEEP_INFO_LOGS 10
/* Of RocksDB's levels, 0 (debug) to 5 (header): what has no line in it besides the header. */
#define INFO_LOG_FATAL 4

enum option_row {
    ROW_WRITE_BUFFER_SIZE,
    ROW_TARGET_FILE_SIZE_BASE,
    ROW_MAX_WRITE_BUFFER_NUMBER,
    ROW_BLOCK_CACHE_SIZE,
    ROW_BLOOM_FILTER_BITS_PER_KEY,
    ROW_ENABLE_PIPELINED_WRITE,
    ROW_COMPRESSION_TYPE,
    ROW_WAL_DIR,
    ROW_MAX_TOTAL_WAL_SIZE,
    ROW_DB_LOG_DIR,
    ROW_USE_FSYNC,
    ROW_WAL,
    ROW_END
};

const weir_option_spec weir__rocksdb_option_table[] = {
    [ROW_WRITE_BUFFER_SIZE] = {"write_buffer_size", WEIR_OPTION_SIZE, "64MiB", NULL, 64 * KIB, TIB,
                               "memory of one memtable before it is written to a file, bytes"},
    [ROW_TARGET_FILE_SIZE_BASE] = {"target_file_size_base", WEIR_OPTION_SIZE, "64MiB", NULL,
                                   64 * KIB, TIB, "size of the files of level 1, bytes"},
    [ROW_MAX_WRITE_BUFFER_NUMBER] = {"max_write_buffer_number", WEIR_OPTION_INT, "3", NULL, 1, 1000,
                                     "memtables of a column family, full ones included"},
    [ROW_BLOCK_CACHE_SIZE] = {"block_cache_size", WEIR_OPTION_SIZE, "1GiB", NULL, 0, 1024 * TIB,
                              "block cache, one for all partitions of the process, bytes; 0: none"},
    [ROW_BLOOM_FILTER_BITS_PER_KEY] = {"bloom_filter_bits_per_key", WEIR_OPTION_INT, "10", NULL, 0,
                                       100, "bits of the bloom filter for each key; 0: no filter"},
    [ROW_ENABLE_PIPELINED_WRITE] = {"enable_pipelined_write", WEIR_OPTION_BOOL, "false", NULL, 0, 0,
                                    "write log and memtable in two stages; not with wal=off"},
    [ROW_COMPRESSION_TYPE] = {"compression_type", WEIR_OPTION_CHOICE, "lz4",
                              "none|snappy|zlib|bz2|lz4|lz4hc|zstd", 0, 0,
                              "compression of blocks in files"},
    [ROW_WAL_DIR] = {"wal_dir", WEIR_OPTION_STRING, NULL, NULL, 0, 0,
                     "folder for write-ahead logs; each database has a folder of its own below it"},
    [ROW_MAX_TOTAL_WAL_SIZE] = {"max_total_wal_size", WEIR_OPTION_SIZE, "128MiB", NULL, 0,
                                1024 * TIB,
                                "write-ahead logs of a database before memtables are flushed to "
                                "release them, bytes; 0: RocksDB decides"},
    [ROW_DB_LOG_DIR] = {"db_log_dir", WEIR_OPTION_STRING, NULL, NULL, 0, 0,
                        "folder for RocksDB's info logs; default: the folder of the database, "
                        "and no more than their head"},
    [ROW_USE_FSYNC] = {"use_fsync", WEIR_OPTION_BOOL, "true", NULL, 0, 0,
                       "make files durable with fsync instead of fdatasync"},
    [ROW_WAL] = {"wal", WEIR_OPTION_BOOL, "on", NULL, 0, 0,
                 "write-ahead log; off: what was not flushed is rebuilt from the changelog after "
                 "a crash"},
    [ROW_END] = {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

/* In the order of the choices of compression_type. */
static const int compressions[] = {
    rocksdb_no_compression,   rocksdb_snappy_compression, rocksdb_zlib_compression,
    rocksdb_bz2_compression,  rocksdb_lz4_compression,    rocksdb_lz4hc_compression,
    rocksdb_zstd_compression,
};

/* ---------------------------------------------------------------------------
 * Block caches
 * ------------------------------------------------------------------------- */

struct weir__rocksdb_cache {
    size_t capacity;
    size_t users;
    rocksdb_cache_t *cache;
    weir__rocksdb_cache *next;
};

static pthread_mutex_t caches_mutex = PTHREAD_MUTEX_INITIALIZER;
static weir__rocksdb_cache *caches;

/* NULL: no memory. */
static weir__rocksdb_cache *cache_take(size_t capacity)
{
    (void)pthread_mutex_lock(&caches_mutex);
    weir__rocksdb_cache *cache = caches;
    while (cache && cache->capacity != capacity)
        cache = cache->next;
    if (!cache) {
        cache = calloc(1, sizeof(*cache));
        if (cache) {
            cache->capacity = capacity;
            cache->cache = rocksdb_cache_create_lru(capacity);
            cache->next = caches;
            caches = cache;
        }
    }
    if (cache)
        cache->users++;
    (void)pthread_mutex_unlock(&caches_mutex);
    return cache;
}

static void cache_give_back(weir__rocksdb_cache *cache)
{
    if (!cache)
        return;
    (void)pthread_mutex_lock(&caches_mutex);
    cache->users--;
    if (cache->users == 0) {
        weir__rocksdb_cache **link = &caches;
        while (*link != cache)
            link = &(*link)->next;
        *link = cache->next;
        rocksdb_cache_destroy(cache->cache);
        free(cache);
    }
    (void)pthread_mutex_unlock(&caches_mutex);
}

/* ---------------------------------------------------------------------------
 * Settings
 * ------------------------------------------------------------------------- */

static const char *text_or_null(const weir_option_value *value)
{
    return value->string && value->string[0] ? value->string : NULL;
}

weir_status weir__rocksdb_settings_read(weir_backend_db *db, const weir_option_value *values,
                                        weir_error *err)
{
    weir__rocksdb_settings *settings = &db->settings;
    settings->write_buffer_size = (size_t)values[ROW_WRITE_BUFFER_SIZE].integer;
    settings->target_file_size_base = (uint64_t)values[ROW_TARGET_FILE_SIZE_BASE].integer;
    settings->max_write_buffer_number = (int)values[ROW_MAX_WRITE_BUFFER_NUMBER].integer;
    settings->block_cache_size = (size_t)values[ROW_BLOCK_CACHE_SIZE].integer;
    settings->bloom_filter_bits_per_key = (int)values[ROW_BLOOM_FILTER_BITS_PER_KEY].integer;
    settings->enable_pipelined_write = values[ROW_ENABLE_PIPELINED_WRITE].boolean;
    settings->compression = compressions[values[ROW_COMPRESSION_TYPE].integer];
    settings->wal_dir = text_or_null(&values[ROW_WAL_DIR]);
    settings->max_total_wal_size = (uint64_t)values[ROW_MAX_TOTAL_WAL_SIZE].integer;
    settings->db_log_dir = text_or_null(&values[ROW_DB_LOG_DIR]);
    settings->use_fsync = values[ROW_USE_FSYNC].boolean;
    settings->wal = values[ROW_WAL].boolean;
    if (!settings->wal && settings->enable_pipelined_write)
        return weir__rocksdb_error(db, err, WEIR_INVALID,
                                   "the options wal=off and enable_pipelined_write=true exclude "
                                   "each other: without the log, flushes are atomic across "
                                   "column families, which RocksDB can't do with pipelined "
                                   "writes; leave one of them out");
    return WEIR_OK;
}

static void set_table_options(weir_backend_db *db)
{
    const weir__rocksdb_settings *settings = &db->settings;
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    if (settings->block_cache_size > 0)
        rocksdb_block_based_options_set_block_cache(table, db->cache->cache);
    else
        rocksdb_block_based_options_set_no_block_cache(table, 1);
    if (settings->bloom_filter_bits_per_key > 0) {
        /* The table takes the policy over. */
        rocksdb_block_based_options_set_filter_policy(
            table, rocksdb_filterpolicy_create_bloom_full(settings->bloom_filter_bits_per_key));
    }
    rocksdb_options_set_block_based_table_factory(db->options, table);
    rocksdb_block_based_options_destroy(table);
}

/*
 * Batches come in the order of their keys, so the place of a key in a memtable is sought from that
 * of the key before. RocksDB keeps one such place for each prefix: here for the empty one, of all
 * keys. The C API has no function for it.
 */
static weir_status create_options(weir_backend_db *db, weir_error *err)
{
    char *text = NULL;
    rocksdb_options_t *defaults = rocksdb_options_create();
    db->options = rocksdb_options_create();
    rocksdb_get_options_from_string(
        defaults, "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.0", db->options,
        &text);
    rocksdb_options_destroy(defaults);
    return text ? weir__rocksdb_fail(db, text, false, "make options", err) : WEIR_OK;
}

weir_status weir__rocksdb_options_make(weir_backend_db *db, bool create, weir_error *err)
{
    const weir__rocksdb_settings *settings = &db->settings;
    weir_status status = create_options(db, err);
    rocksdb_options_t *options = db->options;
    if (status)
        return status;
    if (settings->block_cache_size > 0) {
        db->cache = cache_take(settings->block_cache_size);
        if (!db->cache)
            return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory for the block cache");
    }
    rocksdb_options_set_create_if_missing(options, create);
    rocksdb_options_set_write_buffer_size(options, settings->write_buffer_size);
    rocksdb_options_set_target_file_size_base(options, settings->target_file_size_base);
    rocksdb_options_set_max_write_buffer_number(options, settings->max_write_buffer_number);
    rocksdb_options_set_enable_pipelined_write(options, settings->enable_pipelined_write);
    rocksdb_options_set_compression(options, settings->compression);
    rocksdb_options_set_max_total_wal_size(options, settings->max_total_wal_size);
    rocksdb_options_set_use_fsync(options, settings->use_fsync);
    /* Without the log, only this keeps data and changelog offset in step after a crash. */
    rocksdb_options_set_atomic_flush(options, !settings->wal);
    /* A damaged record in a log is an error; the default ends the log before it without a word.
     * A record that is cut off at the end is what a killed writer leaves. */
    rocksdb_options_set_wal_recovery_mode(options,
                                          rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_keep_log_file_num(options, KEEP_INFO_LOGS);
    if (db->wal_folder)
        rocksdb_options_set_wal_dir(options, db->wal_folder);
    /* Where RocksDB is built with assertions, as distributions build it, a line for an info log
     * that could not be written before, on a full disk, ends the process. What a log tells about
     * errors comes back as the error itself. */
    if (!settings->db_log_dir)
        rocksdb_options_set_info_log_level(options, INFO_LOG_FATAL);
    if (db->read_only) {
        /* A folder that can't be made: RocksDB then goes on without an info log, which
         * would be the one thing that a read-only open changes at the location. */
        rocksdb_options_set_db_log_dir(options, "/dev/null/none");
    } else if (settings->db_log_dir) {
        int failure = weir__rocksdb_make_folders(settings->db_log_dir);
        if (failure)
            return weir__rocksdb_error(db, err, weir__rocksdb_errno_status(failure),
                                       "can't make the folder of option db_log_dir, %s: %s",
                                       settings->db_log_dir, strerror(failure));
        rocksdb_options_set_db_log_dir(options, settings->db_log_dir);
    }
    set_table_options(db);
    return WEIR_OK;
}

void weir__rocksdb_options_release(weir_backend_db *db)
{
    if (db->options)
        rocksdb_options_destroy(db->options);
    db->options = NULL;
    cache_give_back(db->cache);
    db->cache = NULL;
}
