/*
 * The yardstick: RocksDB through its C API and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "raw.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"

#define OFFSET_KEY "__changelog_offset__"

bool raw_check(char *text, const char *what, bench_sample *sample)
{
    if (!text)
        return true;
    (void)bench_fail(sample, NULL, "%s: %s", what, text);
    rocksdb_free(text);
    return false;
}

/* The defaults of Weir's options (docs/rocksdb.md). */
static rocksdb_options_t *make_options(rocksdb_cache_t *cache)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_write_buffer_size(options, (size_t)64 << 20);
    rocksdb_options_set_target_file_size_base(options, (uint64_t)64 << 20);
    rocksdb_options_set_max_write_buffer_number(options, 3);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_max_total_wal_size(options, (uint64_t)128 << 20);
    rocksdb_options_set_use_fsync(options, 1);
    return options;
}

static bool open_families(raw_db *raw, const char *path, const char *const *names, int count,
                          bench_sample *sample)
{
    rocksdb_column_family_handle_t *handles[4] = {NULL};
    char *text = NULL;
    memset(raw, 0, sizeof(*raw));
    raw->cache = rocksdb_cache_create_lru((size_t)1 << 30);
    raw->options = make_options(raw->cache);
    raw->read = rocksdb_readoptions_create();
    raw->write = rocksdb_writeoptions_create();
    const rocksdb_options_t *options[] = {raw->options, raw->options, raw->options, raw->options};
    raw->db =
        rocksdb_open_column_families(raw->options, path, count, names, options, handles, &text);
    if (!raw_check(text, "open raw RocksDB", sample)) {
        raw->db = NULL;
        return false;
    }
    raw->data = handles[0];
    raw->metadata = handles[1];
    raw->extra[0] = handles[2];
    raw->extra[1] = handles[3];
    return true;
}

bool raw_open(raw_db *raw, const char *path, bench_sample *sample)
{
    static const char *const names[] = {"default", "__metadata__"};
    return open_families(raw, path, names, 2, sample);
}

bool raw_open_with(raw_db *raw, const char *path, const char *first, const char *second,
                   bench_sample *sample)
{
    const char *const names[] = {"default", "__metadata__", first, second};
    return open_families(raw, path, names, 4, sample);
}

void raw_close(raw_db *raw)
{
    if (raw->db) {
        rocksdb_column_family_handle_destroy(raw->data);
        rocksdb_column_family_handle_destroy(raw->metadata);
        for (int i = 0; i < 2 && raw->extra[i]; i++)
            rocksdb_column_family_handle_destroy(raw->extra[i]);
        rocksdb_close(raw->db);
    }
    rocksdb_readoptions_destroy(raw->read);
    rocksdb_writeoptions_destroy(raw->write);
    rocksdb_options_destroy(raw->options);
    rocksdb_cache_destroy(raw->cache);
}

bool raw_settle(raw_db *raw, bench_sample *sample)
{
    char *text = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flush_cf(raw->db, options, raw->data, &text);
    bool is_ok = raw_check(text, "flush", sample);
    text = NULL;
    if (is_ok)
        rocksdb_flush_cf(raw->db, options, raw->metadata, &text);
    is_ok = is_ok && raw_check(text, "flush", sample);
    rocksdb_flushoptions_destroy(options);
    if (is_ok)
        rocksdb_compact_range_cf(raw->db, raw->data, NULL, 0, NULL, 0);
    return is_ok;
}

/* ---------------------------------------------------------------------------
 * Copies
 * ------------------------------------------------------------------------- */

static bool copy_file(const char *from, const char *to)
{
    char buffer[65536];
    size_t size;
    FILE *in = fopen(from, "r");
    FILE *out = in ? fopen(to, "w") : NULL;
    bool is_ok = out != NULL;
    while (is_ok && (size = fread(buffer, 1, sizeof(buffer), in)) > 0)
        is_ok = fwrite(buffer, 1, size, out) == size;
    if (in)
        (void)fclose(in);
    if (out)
        is_ok = fclose(out) == 0 && is_ok;
    return is_ok;
}

bool raw_copy_folder(const char *from, const char *to, bench_sample *sample)
{
    bool is_ok = true;
    DIR *dir = opendir(from);
    if (!dir || (mkdir(to, 0755) != 0 && errno != EEXIST))
        is_ok = false;
    for (struct dirent *entry = is_ok ? readdir(dir) : NULL; entry && is_ok; entry = readdir(dir)) {
        char source[512];
        char target[512];
        const char *end = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "weir.lock") == 0)
            continue;
        (void)snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
        (void)snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
        if (end && strcmp(end, ".sst") == 0)
            is_ok = link(source, target) == 0;
        else
            is_ok = copy_file(source, target);
    }
    if (dir)
        (void)closedir(dir);
    return is_ok || bench_fail(sample, NULL, "can't copy %s to %s: %s", from, to, strerror(errno));
}

/* ---------------------------------------------------------------------------
 * The loops
 * ------------------------------------------------------------------------- */

static void put_be64(uint64_t value, char *out)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)(value >> (56 - 8 * i));
}

bool raw_count_by_puts(raw_db *raw, const raw_counting *work, bench_sample *sample)
{
    char *text = NULL;
    for (size_t i = 0; i < work->count; i++) {
        char key[BENCH_STATE_KEY_SIZE];
        char value[20];
        uint64_t counter = 0;
        bench_state_key(work->keys[i], key);
        rocksdb_pinnableslice_t *found =
            rocksdb_get_pinned_cf(raw->db, raw->read, raw->data, key, sizeof(key), &text);
        if (found) {
            size_t size;
            const char *bytes = rocksdb_pinnableslice_value(found, &size);
            counter = bench_parse_counter(bytes, size);
            rocksdb_pinnableslice_destroy(found);
        }
        size_t size = bench_format_counter(counter + 1, value);
        if (!text)
            rocksdb_put_cf(raw->db, raw->write, raw->data, key, sizeof(key), value, size, &text);
        if (!text && ((i + 1) % work->checkpoint == 0 || i + 1 == work->count)) {
            char offset[8];
            put_be64(i, offset);
            rocksdb_put_cf(raw->db, raw->write, raw->metadata, OFFSET_KEY, sizeof(OFFSET_KEY) - 1,
                           offset, sizeof(offset), &text);
        }
        if (text)
            return raw_check(text, "count by puts", sample);
    }
    return true;
}

bool raw_count_by_batches(raw_db *raw, const raw_counting *work, bench_sample *sample)
{
    char *text = NULL;
    rocksdb_writebatch_wi_t *batch = rocksdb_writebatch_wi_create(0, 1);
    for (size_t i = 0; i < work->count && !text; i++) {
        char key[BENCH_STATE_KEY_SIZE];
        char value[20];
        size_t found_size = 0;
        uint64_t counter = 0;
        bench_state_key(work->keys[i], key);
        char *found = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
            batch, raw->db, raw->read, raw->data, key, sizeof(key), &found_size, &text);
        if (found)
            counter = bench_parse_counter(found, found_size);
        rocksdb_free(found);
        size_t size = bench_format_counter(counter + 1, value);
        rocksdb_writebatch_wi_put_cf(batch, raw->data, key, sizeof(key), value, size);
        if (!text && ((i + 1) % work->checkpoint == 0 || i + 1 == work->count)) {
            char offset[8];
            put_be64(i, offset);
            rocksdb_writebatch_wi_put_cf(batch, raw->metadata, OFFSET_KEY, sizeof(OFFSET_KEY) - 1,
                                         offset, sizeof(offset));
            rocksdb_write_writebatch_wi(raw->db, raw->write, batch, &text);
            rocksdb_writebatch_wi_clear(batch);
        }
    }
    rocksdb_writebatch_wi_destroy(batch);
    return raw_check(text, "count by batches", sample);
}

bool raw_read_counter(raw_db *raw, uint32_t key, uint64_t *value, bench_sample *sample)
{
    char *text = NULL;
    char state_key[BENCH_STATE_KEY_SIZE];
    size_t size = 0;
    bench_state_key(key, state_key);
    char *found =
        rocksdb_get_cf(raw->db, raw->read, raw->data, state_key, sizeof(state_key), &size, &text);
    *value = found ? bench_parse_counter(found, size) : 0;
    rocksdb_free(found);
    return raw_check(text, "read a counter", sample);
}
