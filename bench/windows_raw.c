/*
 * The yardstick of the case `windows`: the same keys and column families by hand on RocksDB.
 * What such a program would keep in memory for each key it keeps in arrays: the latest timestamp,
 * and the oldest window, so that nothing is sought where nothing can be found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "raw.h"
#include "windows.h"

#define LATEST_FAMILY   "__latest-timestamps__"
#define EXPIRED_FAMILY  "__expiration-index__"
#define ELIGIBLE_FAMILY "__min-eligible-timestamps__"
#define LATEST_NAME     "|__latest_timestamp__"
#define EXPIRED_NAME    "|__expired_start_gt__"
#define ELIGIBLE_NAME   "|__min_eligible_timestamps__"
#define ITEM_KEY_SIZE   (BENCH_KEY_SIZE + 18)
#define NAME_KEY_SIZE   64

typedef struct key_memory {
    int64_t latest; /* -1: none */
    int64_t oldest; /* start of the oldest window; INT64_MAX: none */
} key_memory;

typedef struct raw_windows {
    raw_db db;
    rocksdb_writebatch_wi_t *batch; /* NULL: each change is a put of its own */
    char *error;
    key_memory *keys;
    double sum;
} raw_windows;

static void put_be64(int64_t value, char *out)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)((uint64_t)value >> (56 - 8 * i));
}

static int64_t get_be64(const char *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | (uint8_t)in[i];
    return (int64_t)value;
}

/* key | first | second */
static void item_key(uint32_t key, int64_t first, int64_t second, char *out)
{
    bench_key_text(key, out);
    out[BENCH_KEY_SIZE] = out[BENCH_KEY_SIZE + 9] = '|';
    put_be64(first, out + BENCH_KEY_SIZE + 1);
    put_be64(second, out + BENCH_KEY_SIZE + 10);
}

/* ---------------------------------------------------------------------------
 * By puts or in batches
 * ------------------------------------------------------------------------- */

typedef rocksdb_column_family_handle_t family;

static char *get(raw_windows *self, family *cf, const char *key, size_t size, size_t *value_size)
{
    if (self->batch)
        return rocksdb_writebatch_wi_get_from_batch_and_db_cf(
            self->batch, self->db.db, self->db.read, cf, key, size, value_size, &self->error);
    return rocksdb_get_cf(self->db.db, self->db.read, cf, key, size, value_size, &self->error);
}

static void put(raw_windows *self, family *cf, const char *key, size_t size, const char *value,
                size_t value_size)
{
    if (self->batch)
        rocksdb_writebatch_wi_put_cf(self->batch, cf, key, size, value, value_size);
    else if (!self->error)
        rocksdb_put_cf(self->db.db, self->db.write, cf, key, size, value, value_size, &self->error);
}

static void delete_item(raw_windows *self, const char *key, size_t size)
{
    if (self->batch)
        rocksdb_writebatch_wi_delete_cf(self->batch, self->db.data, key, size);
    else if (!self->error)
        rocksdb_delete_cf(self->db.db, self->db.write, self->db.data, key, size, &self->error);
}

static rocksdb_iterator_t *iterate(raw_windows *self)
{
    rocksdb_iterator_t *base =
        rocksdb_create_iterator_cf(self->db.db, self->db.read, self->db.data);
    return self->batch ? rocksdb_writebatch_wi_create_iterator_with_base_cf(self->batch, base,
                                                                            self->db.data)
                       : base;
}

/* A number under key ∥ name. */
static void put_mark(raw_windows *self, family *cf, uint32_t key, const char *name,
                     const char *value, size_t value_size)
{
    char mark[NAME_KEY_SIZE];
    size_t size = BENCH_KEY_SIZE;
    bench_key_text(key, mark);
    for (; *name; name++)
        mark[size++] = *name;
    put(self, cf, mark, size, value, value_size);
}

/* ---------------------------------------------------------------------------
 * Tumbling windows
 * ------------------------------------------------------------------------- */

/* The items of a key from an iterator: first the seek, then the check of each. */
static bool is_item_of(rocksdb_iterator_t *iter, const char *like, const char **key)
{
    size_t size;
    if (!rocksdb_iter_valid(iter))
        return false;
    *key = rocksdb_iter_key(iter, &size);
    return size == ITEM_KEY_SIZE && memcmp(*key, like, BENCH_KEY_SIZE + 1) == 0;
}

static void expire(raw_windows *self, uint32_t key, int64_t max_start)
{
    key_memory *memory = &self->keys[key];
    char from[ITEM_KEY_SIZE];
    char mark[20];
    int64_t last = 0;
    const char *found;
    if (memory->oldest > max_start)
        return;
    item_key(key, memory->oldest, 0, from);
    memory->oldest = INT64_MAX;
    rocksdb_iterator_t *iter = iterate(self);
    for (rocksdb_iter_seek(iter, from, sizeof(from)); is_item_of(iter, from, &found);
         rocksdb_iter_next(iter)) {
        int64_t start = get_be64(found + BENCH_KEY_SIZE + 1);
        if (start > max_start) {
            memory->oldest = start;
            break;
        }
        char expired[ITEM_KEY_SIZE];
        memcpy(expired, found, sizeof(expired));
        delete_item(self, expired, sizeof(expired));
        self->sum += 1000;
        last = start;
    }
    rocksdb_iter_destroy(iter);
    put_mark(self, self->db.extra[1], key, EXPIRED_NAME, mark,
             bench_format_counter((uint64_t)last, mark));
}

static void count_record(raw_windows *self, const windows_record *record)
{
    key_memory *memory = &self->keys[record->key];
    int64_t start = windows_start(record->time);
    char key[ITEM_KEY_SIZE];
    char text[20];
    size_t size;
    uint64_t counter = 0;
    item_key(record->key, start, start + WINDOWS_SIZE_MS, key);
    char *found = get(self, self->db.data, key, sizeof(key), &size);
    if (found)
        counter = bench_parse_counter(found, size);
    rocksdb_free(found);
    self->sum += (double)++counter;
    put(self, self->db.data, key, sizeof(key), text, bench_format_counter(counter, text));
    if (start < memory->oldest)
        memory->oldest = start;
    if (record->time > memory->latest) {
        memory->latest = record->time;
        put_mark(self, self->db.extra[0], record->key, LATEST_NAME, text,
                 bench_format_counter((uint64_t)record->time, text));
    }
    expire(self, record->key, memory->latest - WINDOWS_GRACE_MS - WINDOWS_SIZE_MS);
}

/* ---------------------------------------------------------------------------
 * As-of lookups
 * ------------------------------------------------------------------------- */

static void look_up(raw_windows *self, uint32_t key, int64_t time)
{
    char bound[ITEM_KEY_SIZE];
    const char *found;
    size_t size;
    item_key(key, time, INT64_MAX, bound);
    if (time >= self->keys[key].latest) {
        item_key(key, self->keys[key].latest, 0, bound);
        char *value = get(self, self->db.data, bound, sizeof(bound), &size);
        self->sum += value ? (double)bench_parse_counter(value, size) : 0;
        rocksdb_free(value);
        return;
    }
    rocksdb_iterator_t *iter = iterate(self);
    rocksdb_iter_seek_for_prev(iter, bound, sizeof(bound));
    if (is_item_of(iter, bound, &found)) {
        const char *value = rocksdb_iter_value(iter, &size);
        self->sum += (double)bench_parse_counter(value, size);
    }
    rocksdb_iter_destroy(iter);
}

static void set_and_look_up(raw_windows *self, const windows_record *record, uint64_t number)
{
    key_memory *memory = &self->keys[record->key];
    char key[ITEM_KEY_SIZE];
    char text[20];
    item_key(record->key, record->time, 0, key);
    put(self, self->db.data, key, sizeof(key), text, bench_format_counter(number, text));
    if (record->time > memory->latest) {
        memory->latest = record->time;
        put_be64(record->time - WINDOWS_KEEP_MS, text);
        put_mark(self, self->db.extra[0], record->key, ELIGIBLE_NAME, text, 8);
    }
    look_up(self, record->key, record->time - (int64_t)record->back);
}

/* ---------------------------------------------------------------------------
 * The run
 * ------------------------------------------------------------------------- */

static void write_checkpoint(raw_windows *self, size_t offset)
{
    char text[8];
    put_be64((int64_t)offset, text);
    put(self, self->db.metadata, "__changelog_offset__", 20, text, sizeof(text));
    if (!self->batch || self->error)
        return;
    rocksdb_write_writebatch_wi(self->db.db, self->db.write, self->batch, &self->error);
    rocksdb_writebatch_wi_clear(self->batch);
}

static void run(raw_windows *self, const windows_work *work)
{
    for (size_t i = 0; i < work->count && !self->error; i++) {
        if (work->kind == WINDOWS_TUMBLING)
            count_record(self, &work->records[i]);
        else
            set_and_look_up(self, &work->records[i], i);
        if ((i + 1) % work->checkpoint == 0 || i + 1 == work->count)
            write_checkpoint(self, i);
    }
}

bool windows_raw(const bench_table *bench, const windows_work *work, bool in_batches,
                 bench_sample *sample)
{
    char folder[400];
    bool is_tumbling = work->kind == WINDOWS_TUMBLING;
    raw_windows self = {.keys = malloc(work->keys * sizeof(key_memory))};
    for (uint32_t i = 0; self.keys && i < work->keys; i++)
        self.keys[i] = (key_memory){-1, INT64_MAX};
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    bool is_ok =
        self.keys && raw_open_with(&self.db, folder, is_tumbling ? LATEST_FAMILY : ELIGIBLE_FAMILY,
                                   is_tumbling ? EXPIRED_FAMILY : "unused", sample);
    if (is_ok) {
        if (in_batches)
            self.batch = rocksdb_writebatch_wi_create(0, 1);
        double start = bench_now();
        run(&self, work);
        sample->rate = (double)work->count / (bench_now() - start);
        sample->figures[WINDOWS_FIGURE_SUM] = self.sum;
        sample->figures[WINDOWS_FIGURE_COUNT] = (double)work->count;
        if (self.batch)
            rocksdb_writebatch_wi_destroy(self.batch);
        is_ok = raw_check(self.error, "windows by hand", sample);
        raw_close(&self.db);
    }
    free(self.keys);
    bench_remove_folder(folder);
    return is_ok;
}
