/*
 * The case `state`: get + set of a counter for each record, in checkpoints. Weir on rocksdb
 * and on memory against the faster of two loops on raw RocksDB. The write-ahead log is on for
 * all, batches are not synced (as with a changelog), and options and keys are the same.
 *
 * With 5 million keys all of them are there before the timed part: they are written in bulk
 * and compacted once, and each run on RocksDB, raw or not, begins with a copy of that folder.
 * Weir's record cache is given the bytes that a tenth of the keys take in it; the block cache
 * of RocksDB is the same for all. With 100 thousand keys every run begins with nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "counting.h"
#include "harness.h"
#include "keys.h"
#include "raw.h"

#define RECORDS       1000000u
#define QUICK_RECORDS 20000u
#define CHECKED_KEYS  20u

/* One combination of keys, distribution and checkpoint size. */
typedef struct state_shape {
    uint32_t keys;
    bench_distribution distribution;
    size_t checkpoint;
    size_t records;
    const uint32_t *sequence;
    const char *preloaded; /* a state folder to begin with; NULL: with nothing */
    size_t cache_bytes;    /* of Weir's record cache */
} state_shape;

typedef struct state_job {
    const state_shape *shape;
    const char *backend; /* of Weir; NULL: raw */
    bool (*raw_loop)(raw_db *raw, const raw_counting *work, bench_sample *sample);
} state_job;

/* What the counter of a key must be in the end. */
static uint64_t expected_counter(const state_shape *shape, uint32_t key)
{
    uint64_t counter = shape->preloaded ? 1 : 0;
    for (size_t i = 0; i < shape->records; i++)
        counter += shape->sequence[i] == key;
    return counter;
}

static bool check_counter(const state_shape *shape, uint32_t key, uint64_t found,
                          bench_sample *sample)
{
    uint64_t expected = expected_counter(shape, key);
    return found == expected ||
           bench_fail(sample, NULL, "the counter of key %u is %llu, not %llu", key,
                      (unsigned long long)found, (unsigned long long)expected);
}

/* A fresh state folder for one run: empty, or with a copy of the preloaded partition. */
static bool make_run_folder(const bench_table *bench, const state_shape *shape, char *folder,
                            size_t size, bench_sample *sample)
{
    static const char *const parts[] = {"", "/bench", "/bench/default", "/bench/default/records",
                                        ("/" COUNTING_PARTITION)};
    char path[512];
    char source[512];
    bench_path(bench, "run", folder, size);
    bench_remove_folder(folder);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", folder, parts[i]);
        if (mkdir(path, 0755) != 0)
            return bench_fail(sample, NULL, "can't make %s", path);
    }
    if (!shape->preloaded)
        return true;
    (void)snprintf(source, sizeof(source), "%s/" COUNTING_PARTITION, shape->preloaded);
    return raw_copy_folder(source, path, sample);
}

static void take_time(const state_shape *shape, double start, double cpu, bench_sample *sample)
{
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    sample->rate = (double)shape->records / (bench_now() - start);
}

static bool run_weir(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const state_job *job = arg;
    const state_shape *shape = job->shape;
    char folder[400];
    counting state;
    bool is_memory = strcmp(job->backend, "memory") == 0;
    memset(&state, 0, sizeof(state));
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    bool is_ok = is_memory || make_run_folder(bench, shape, folder, sizeof(folder), sample);
    is_ok = is_ok && counting_open(&state, folder, job->backend, shape->cache_bytes, sample);
    if (is_ok && is_memory && shape->preloaded)
        is_ok = counting_preload(&state, shape->keys, sample);
    if (is_ok) {
        double start = bench_now();
        double cpu = bench_cpu_seconds();
        is_ok = counting_run(&state, shape->sequence, shape->records, shape->checkpoint, sample);
        take_time(shape, start, cpu, sample);
    }
    for (size_t i = 0; is_ok && i < CHECKED_KEYS; i++) {
        int64_t found = 0;
        is_ok = counting_read(&state, shape->sequence[i], &found, sample) &&
                check_counter(shape, shape->sequence[i], (uint64_t)found, sample);
    }
    counting_close(&state);
    bench_remove_folder(folder);
    return is_ok;
}

static bool run_raw(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const state_job *job = arg;
    const state_shape *shape = job->shape;
    const raw_counting work = {shape->sequence, shape->records, shape->checkpoint};
    char folder[400];
    char path[512];
    raw_db raw;
    if (!make_run_folder(bench, shape, folder, sizeof(folder), sample))
        return false;
    (void)snprintf(path, sizeof(path), "%s/" COUNTING_PARTITION, folder);
    bool is_ok = raw_open(&raw, path, sample);
    if (is_ok) {
        double start = bench_now();
        double cpu = bench_cpu_seconds();
        is_ok = job->raw_loop(&raw, &work, sample);
        take_time(shape, start, cpu, sample);
    }
    for (size_t i = 0; is_ok && i < CHECKED_KEYS; i++) {
        uint64_t found = 0;
        is_ok = raw_read_counter(&raw, shape->sequence[i], &found, sample) &&
                check_counter(shape, shape->sequence[i], found, sample);
    }
    raw_close(&raw);
    bench_remove_folder(folder);
    return is_ok;
}

/* ---------------------------------------------------------------------------
 * Preparation
 * ------------------------------------------------------------------------- */

typedef struct preparation {
    const char *folder;
    uint32_t keys;
} preparation;

/* Writes all keys through Weir, then compacts the files with raw RocksDB. */
static bool preload(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const preparation *task = arg;
    char path[512];
    counting state;
    raw_db raw;
    (void)bench;
    bool is_ok = counting_open(&state, task->folder, "rocksdb", 0, sample) &&
                 counting_preload(&state, task->keys, sample);
    counting_close(&state);
    if (!is_ok)
        return false;
    (void)snprintf(path, sizeof(path), "%s/" COUNTING_PARTITION, task->folder);
    is_ok = raw_open(&raw, path, sample) && raw_settle(&raw, sample);
    raw_close(&raw);
    return is_ok;
}

/* figures[0]: bytes that a record takes in Weir's record cache. */
static bool measure_cached_record(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const preparation *task = arg;
    weir_partition_stats stats = {0};
    counting state;
    (void)bench;
    bool is_ok = counting_open(&state, task->folder, "memory", (size_t)1 << 30, sample) &&
                 counting_preload(&state, task->keys, sample);
    if (is_ok)
        weir_partition_get_stats(state.partition, &stats);
    if (is_ok && stats.cache_records == 0)
        is_ok = bench_fail(sample, NULL, "the record cache is empty after %u records", task->keys);
    if (is_ok)
        sample->figures[0] = (double)stats.cache_bytes / (double)stats.cache_records;
    counting_close(&state);
    return is_ok;
}

/* ---------------------------------------------------------------------------
 * Contests
 * ------------------------------------------------------------------------- */

static const char *const backends[] = {"rocksdb", "memory"};
#define BACKEND_COUNT (sizeof(backends) / sizeof(backends[0]))

static void name_case(const state_shape *shape, const char *backend, char *name)
{
    (void)snprintf(name, BENCH_NAME_SIZE, "state %s: %u keys, %s, checkpoints of %zu", backend,
                   shape->keys, shape->distribution == BENCH_ZIPF ? "zipf" : "uniform",
                   shape->checkpoint);
}

static bool run_contest(bench_table *bench, const state_shape *shape, double target)
{
    char names[BACKEND_COUNT][BENCH_NAME_SIZE];
    state_job jobs[BACKEND_COUNT];
    const state_job by_puts = {shape, NULL, raw_count_by_puts};
    const state_job by_batches = {shape, NULL, raw_count_by_batches};
    bench_contestant contestants[2 + BACKEND_COUNT] = {
        {"raw RocksDB, get + put", true, run_raw, &by_puts, BENCH_NONE},
        {"raw RocksDB, get + indexed batch", true, run_raw, &by_batches, BENCH_NONE},
    };
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        jobs[i] = (state_job){shape, backends[i], NULL};
        name_case(shape, backends[i], names[i]);
        contestants[2 + i] = (bench_contestant){names[i], false, run_weir, &jobs[i], target};
    }
    return bench_contest(bench, "records/s", contestants, 2 + BACKEND_COUNT);
}

static const bench_distribution distributions[] = {BENCH_UNIFORM, BENCH_ZIPF};

static size_t checkpoint_of(const bench_table *bench, size_t index)
{
    static const size_t sizes[][2] = {{10000, 500000}, {1000, 10000}};
    return sizes[bench->quick][index];
}

/* True if any case of the shape is wanted, in any distribution and checkpoint size. */
static bool is_any_wanted(const bench_table *bench, state_shape shape)
{
    for (size_t i = 0; i < 2 * 2 * BACKEND_COUNT; i++) {
        char name[BENCH_NAME_SIZE];
        shape.distribution = distributions[i % 2];
        shape.checkpoint = checkpoint_of(bench, i / 2 % 2);
        name_case(&shape, backends[i / 4], name);
        if (bench_is_wanted(bench, name))
            return true;
    }
    return false;
}

/* Both distributions and both checkpoint sizes. targets: of the small, of the large ones. */
static bool run_shapes(bench_table *bench, state_shape shape, const double *targets)
{
    bool is_ok = true;
    for (size_t d = 0; d < 2 && is_ok; d++) {
        uint32_t *sequence = bench_key_sequence(distributions[d], shape.keys, shape.records);
        if (!sequence)
            return false;
        shape.distribution = distributions[d];
        shape.sequence = sequence;
        for (size_t c = 0; c < 2 && is_ok; c++) {
            shape.checkpoint = checkpoint_of(bench, c);
            is_ok = run_contest(bench, &shape, targets[c]);
        }
        free(sequence);
    }
    return is_ok;
}

static bool run_few_keys(bench_table *bench)
{
    static const double targets[] = {1.5, 4.0};
    const state_shape few = {.keys = bench->quick ? 5000 : 100000,
                             .records = bench->quick ? QUICK_RECORDS : RECORDS,
                             .cache_bytes = (size_t)256 << 20};
    return run_shapes(bench, few, targets);
}

static bool run_many_keys(bench_table *bench)
{
    static const double targets[] = {0.9, 0.9};
    char folder[300];
    bench_sample prepared;
    bench_path(bench, "preloaded", folder, sizeof(folder));
    preparation task = {folder, bench->quick ? 50000 : 5000000};
    state_shape many = {
        .keys = task.keys, .records = bench->quick ? QUICK_RECORDS : RECORDS, .preloaded = folder};
    const preparation tenth = {folder, task.keys / 10};
    if (!is_any_wanted(bench, many))
        return true;
    if (!bench_run_child(bench, "measure a cached record", measure_cached_record, &tenth,
                         &prepared))
        return false;
    many.cache_bytes = (size_t)(prepared.figures[0] * tenth.keys);
    bench_say("state: preloading %u keys in bulk; the record cache holds a tenth of them: %.1f MiB",
              task.keys, (double)many.cache_bytes / (1 << 20));
    if (!bench_run_child(bench, "preload", preload, &task, &prepared))
        return false;
    bool is_ok = run_shapes(bench, many, targets);
    bench_remove_folder(folder);
    return is_ok;
}

bool bench_state(bench_table *bench)
{
    return run_few_keys(bench) && run_many_keys(bench);
}
