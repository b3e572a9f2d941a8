/*
 * The options of the SlateDB backend, and what a location means: a local folder, or the URL of
 * an object store. docs/slatedb.md says when to change what.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/slatedb/internal.h"

#define KIB 1024.0
#define TIB (1024.0 * 1024.0 * 1024.0 * 1024.0)

enum option_row {
    ROW_DURABILITY,
    ROW_FLUSH_INTERVAL,
    ROW_MEMTABLE_SIZE,
    ROW_MAX_UNFLUSHED,
    ROW_MAX_LOG_FILES,
    ROW_BLOCK_CACHE_SIZE,
    ROW_DISK_CACHE_DIR,
    ROW_DISK_CACHE_SIZE,
    ROW_COMPRESSION,
    ROW_MIN_FILTER_KEYS,
    ROW_MANIFEST_POLL_INTERVAL,
    ROW_GARBAGE_AGE,
    ROW_MAX_RETRIES,
    ROW_RETRY_TIMEOUT,
    ROW_OPEN_TIMEOUT,
    ROW_USE_FSYNC,
    ROW_END
};

/* In the order of the choices of durability. */
enum { DURABILITY_AUTO, DURABILITY_FLUSHED, DURABILITY_MEMORY };

const weir_option_spec weir__slatedb_option_table[] = {
    [ROW_DURABILITY] = {"durability", WEIR_OPTION_CHOICE, "auto", "auto|flushed|memory", 0, 0,
                        "when a checkpoint of a store with a changelog counts as written: flushed: "
                        "it is stored; memory: at once, stored within flush_interval; auto: "
                        "flushed on object storage, memory in a local folder"},
    [ROW_FLUSH_INTERVAL] = {"flush_interval", WEIR_OPTION_DOUBLE, "0.1", NULL, 0, 3600,
                            "seconds between two writes of the log; 0: only when asked for"},
    [ROW_MEMTABLE_SIZE] = {"memtable_size", WEIR_OPTION_SIZE, "64MiB", NULL, 64 * KIB, TIB,
                           "memory of a memtable before it is written as a table, bytes"},
    [ROW_MAX_UNFLUSHED] = {"max_unflushed", WEIR_OPTION_SIZE, "256MiB", NULL, 64 * KIB, TIB,
                           "bytes not stored yet before writes wait; at least memtable_size"},
    [ROW_MAX_LOG_FILES] = {"max_log_files", WEIR_OPTION_INT, "0", NULL, 0, 1000000,
                           "log files after which the memtable is written as a table, however "
                           "small it is, so that opening after a crash has no more of them to "
                           "read; 0: 32 on object storage, 4096 in a local folder"},
    [ROW_BLOCK_CACHE_SIZE] = {"block_cache_size", WEIR_OPTION_SIZE, "256MiB", NULL, 64 * KIB, TIB,
                              "block cache, one for all partitions of the process, bytes"},
    [ROW_DISK_CACHE_DIR] = {"disk_cache_dir", WEIR_OPTION_STRING, NULL, NULL, 0, 0,
                            "local folder that keeps copies of tables of an object store; each "
                            "database has a folder of its own below it"},
    [ROW_DISK_CACHE_SIZE] = {"disk_cache_size", WEIR_OPTION_SIZE, "4GiB", NULL, 16 * 1024 * KIB,
                             1024 * TIB, "size of the disk cache of one database, bytes"},
    [ROW_COMPRESSION] = {"compression", WEIR_OPTION_CHOICE, "none", "none|lz4|snappy|zstd", 0, 0,
                         "compression of blocks in tables and logs"},
    [ROW_MIN_FILTER_KEYS] = {"min_filter_keys", WEIR_OPTION_INT, "1000", NULL, 0, 1000000000,
                             "keys that a table must have to get a bloom filter"},
    [ROW_MANIFEST_POLL_INTERVAL] = {"manifest_poll_interval", WEIR_OPTION_DOUBLE, "1.0", NULL, 0.01,
                                    3600,
                                    "seconds between two looks for a newer writer and for "
                                    "compacted tables"},
    [ROW_GARBAGE_AGE] = {"garbage_age", WEIR_OPTION_DOUBLE, "900", NULL, 1, 31536000,
                         "seconds for which tables that were merged into others stay, for those "
                         "who read beside the writer"},
    [ROW_MAX_RETRIES] = {"max_retries", WEIR_OPTION_INT, "8", NULL, 0, 1000,
                         "how often a request to an object store is tried again"},
    [ROW_RETRY_TIMEOUT] = {"retry_timeout", WEIR_OPTION_DOUBLE, "20", NULL, 0.1, 3600,
                           "seconds for one request to an object store with its retries"},
    [ROW_OPEN_TIMEOUT] = {"open_timeout", WEIR_OPTION_DOUBLE, "60", NULL, 0.1, 86400,
                          "seconds that opening may take"},
    [ROW_USE_FSYNC] = {"use_fsync", WEIR_OPTION_BOOL, "true", NULL, 0, 0,
                       "local folder: make files durable with fsync; false: a committed "
                       "checkpoint may be lost with the power, but not with the process"},
    [ROW_END] = {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

static uint64_t milliseconds(const weir_option_value *value)
{
    return (uint64_t)(value->number * 1000.0 + 0.5);
}

static weir_status no_memory(const weir_backend_db *db, weir_error *err)
{
    return weir__slatedb_error(db, err, WEIR_NO_MEMORY, "no memory for the options");
}

/* A name that differs between locations and is one of a folder. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return hash;
}

static weir_status refuse(const weir_backend_db *db, const char *location, weir_error *err)
{
    return weir__slatedb_error(db, err, WEIR_INVALID,
                               "'%s' is no location for state: it must be a local folder, or "
                               "s3://BUCKET/PATH, az://CONTAINER/PATH or gs://BUCKET/PATH",
                               location);
}

/* PATH/slatedb, with !XX for each byte that an object store or SlateDB may write otherwise. */
static char *object_path(const char *text, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "._-=/";
    char *path = malloc(3 * size + sizeof "/" WEIR__SLATEDB_FOLDER);
    char *to = path;
    for (size_t i = 0; path != NULL && i < size; i++) {
        if (text[i] != '\0' && strchr(plain, text[i]) != NULL)
            *to++ = text[i];
        else
            to += sprintf(to, "!%02X", (unsigned char)text[i]);
    }
    if (path != NULL)
        strcpy(to, "/" WEIR__SLATEDB_FOLDER);
    return path;
}

/* scheme://bucket/path becomes store_url and path/slatedb. */
static weir_status split_url(const weir_backend_db *db, const char *location,
                             weir__slatedb_settings *settings, weir_error *err)
{
    static const char *const schemes[] = {"s3://",   "s3a://",   "az://", "azure://",
                                          "abfs://", "abfss://", "gs://"};
    size_t scheme = 0;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncmp(location, schemes[i], strlen(schemes[i])) == 0)
            scheme = strlen(schemes[i]);
    const char *bucket = location + scheme;
    const char *slash = scheme > 0 ? strchr(bucket, '/') : NULL;
    if (slash == NULL || slash == bucket)
        return refuse(db, location, err);
    while (*slash == '/')
        slash++;
    size_t size = strlen(slash);
    while (size > 0 && slash[size - 1] == '/')
        size--;
    if (size == 0)
        return refuse(db, location, err);
    const size_t url_size = scheme + strcspn(bucket, "/");
    if (asprintf(&settings->store_url, "%.*s", (int)url_size, location) < 0)
        settings->store_url = NULL;
    settings->path = object_path(slash, size);
    settings->is_remote = true;
    return WEIR_OK;
}

static weir_status set_location(const weir_backend_db *db, const char *location,
                                weir__slatedb_settings *settings, weir_error *err)
{
    settings->config.folder = NULL;
    settings->store_url = NULL;
    settings->path = NULL;
    settings->is_remote = false;
    if (strstr(location, "://") != NULL) {
        weir_status status = split_url(db, location, settings, err);
        if (status != WEIR_OK)
            return status;
        if (settings->store_url == NULL)
            return no_memory(db, err);
    } else {
        settings->config.folder = location;
        settings->path = strdup(WEIR__SLATEDB_FOLDER);
    }
    if (settings->path == NULL)
        return no_memory(db, err);
    settings->config.store_url = settings->store_url;
    settings->config.path = settings->path;
    return WEIR_OK;
}

static weir_status set_disk_cache(const weir_backend_db *db, const char *location,
                                  const char *folder, weir__slatedb_settings *settings,
                                  weir_error *err)
{
    /* A local folder is its own cache. */
    if (folder == NULL || folder[0] == '\0' || !settings->is_remote)
        return WEIR_OK;
    if (asprintf(&settings->disk_cache_dir, "%s/%016llx", folder,
                 (unsigned long long)hash_of(location)) < 0) {
        settings->disk_cache_dir = NULL;
        return no_memory(db, err);
    }
    settings->config.disk_cache_dir = settings->disk_cache_dir;
    return WEIR_OK;
}

weir_status weir__slatedb_settings_read(const weir_backend_db *db, const char *location,
                                        const weir_option_value *values,
                                        weir__slatedb_settings *settings, weir_error *err)
{
    memset(settings, 0, sizeof *settings);
    weir__slate_config *config = &settings->config;
    config->use_fsync = values[ROW_USE_FSYNC].boolean;
    config->flush_interval_ms = milliseconds(&values[ROW_FLUSH_INTERVAL]);
    config->memtable_bytes = (uint64_t)values[ROW_MEMTABLE_SIZE].integer;
    config->max_unflushed_bytes = (uint64_t)values[ROW_MAX_UNFLUSHED].integer;
    config->max_log_files = (uint32_t)values[ROW_MAX_LOG_FILES].integer;
    config->block_cache_bytes = (uint64_t)values[ROW_BLOCK_CACHE_SIZE].integer;
    config->disk_cache_bytes = (uint64_t)values[ROW_DISK_CACHE_SIZE].integer;
    config->manifest_poll_ms = milliseconds(&values[ROW_MANIFEST_POLL_INTERVAL]);
    config->garbage_age_ms = milliseconds(&values[ROW_GARBAGE_AGE]);
    config->retry_timeout_ms = milliseconds(&values[ROW_RETRY_TIMEOUT]);
    config->open_timeout_ms = milliseconds(&values[ROW_OPEN_TIMEOUT]);
    config->max_retries = (uint32_t)values[ROW_MAX_RETRIES].integer;
    config->min_filter_keys = (uint32_t)values[ROW_MIN_FILTER_KEYS].integer;
    config->compression = values[ROW_COMPRESSION].string;
    if (config->max_unflushed_bytes < config->memtable_bytes)
        return weir__slatedb_error(db, err, WEIR_INVALID,
                                   "the option max_unflushed is below memtable_size: writes would "
                                   "wait for a table that is never full; make it at least as "
                                   "large");
    weir_status status = set_location(db, location, settings, err);
    if (status != WEIR_OK)
        return status;
    if (config->max_log_files == 0)
        config->max_log_files = settings->is_remote ? 32 : 4096;
    const int64_t durability = values[ROW_DURABILITY].integer;
    settings->is_durable_write =
        durability == DURABILITY_FLUSHED || (durability == DURABILITY_AUTO && settings->is_remote);
    return set_disk_cache(db, location, values[ROW_DISK_CACHE_DIR].string, settings, err);
}

weir_status weir__slatedb_settings_move(const weir_backend_db *db, const char *location,
                                        weir__slatedb_settings *settings, weir_error *err)
{
    *settings = db->settings;
    settings->disk_cache_dir = NULL;
    settings->config.disk_cache_dir = NULL;
    return set_location(db, location, settings, err);
}

void weir__slatedb_settings_release(weir__slatedb_settings *settings)
{
    free(settings->store_url);
    free(settings->path);
    free(settings->disk_cache_dir);
    settings->store_url = NULL;
    settings->path = NULL;
    settings->disk_cache_dir = NULL;
}
