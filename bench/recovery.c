/*
 * The case `recovery`: a changelog in memory into a fresh partition on rocksdb, against a raw
 * bulk write of the same changes in batches of the same size. Each message has a key of its
 * own, in random order; both write the changelog offset with every batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir/state.h>

#include "keys.h"
#include "raw.h"

#define MESSAGES       1000000u
#define QUICK_MESSAGES 20000u
#define TARGET         0.7
#define CASE_NAME      "recovery: from a changelog in memory"

static weir_status open_topic(const char *store, const char *stream_id, int32_t partition,
                              weir_changelog **changelog, void *arg, weir_error *err)
{
    (void)store;
    (void)stream_id;
    (void)partition;
    return weir_memory_topic_open(arg, "bench", changelog, err);
}

static weir_status fill_topic(weir_memory_topic *topic, const recovery_work *work, weir_error *err)
{
    static const char processed[] = "{\"records\":1}";
    weir_changelog *log = NULL;
    int64_t last = 0;
    weir_status status = weir_memory_topic_open(topic, "bench", &log, err);
    for (size_t i = 0; i < work->count && status == WEIR_OK; i++) {
        char key[BENCH_STATE_KEY_SIZE];
        char value[20];
        bench_state_key(work->keys[i], key);
        size_t size = bench_format_counter(i, value);
        const weir_changelog_record record = {.cf = "default",
                                              .key = weir_slice_of(key, sizeof(key)),
                                              .value = weir_slice_of(value, size),
                                              .processed_offsets = processed,
                                              .processed_offsets_size = sizeof(processed) - 1};
        status = log->ops->append(log, &record, err);
    }
    if (status == WEIR_OK)
        status = log->ops->flush(log, 0, &last, err);
    if (log)
        log->ops->close(log);
    return status;
}

static weir_status open_partition(weir_memory_topic *topic, const char *folder, const char *backend,
                                  weir_state_manager **manager, weir_partition **partition,
                                  weir_error *err)
{
    weir_state_options options;
    weir_store_config store;
    weir_log_set_level(WEIR_LOG_WARN);
    weir_state_options_init(&options);
    options.state_dir = folder;
    options.group_id = "bench";
    options.state_backend = backend;
    options.changelog_open = open_topic;
    options.changelog_arg = topic;
    weir_store_config_init(&store);
    store.stream_id = "records";
    weir_status status = weir_state_manager_new(&options, manager, err);
    if (status == WEIR_OK)
        status = weir_state_manager_register(*manager, &store, err);
    if (status == WEIR_OK)
        status = weir_state_manager_assign(*manager, "records", 0, err);
    if (status == WEIR_OK)
        *partition = weir_state_manager_partition(*manager, "default", "records", 0);
    return status;
}

static weir_status recover(weir_partition *partition, size_t *steps, weir_error *err)
{
    bool needed = false;
    bool done = false;
    weir_status status = weir_partition_recovery_begin(partition, NULL, 0, &needed, err);
    if (status == WEIR_OK && !needed)
        status = weir_error_set(err, WEIR_INVALID, "recovery has nothing to do");
    while (status == WEIR_OK && !done) {
        status = weir_partition_recovery_step(partition, 1000, 10000, &done, NULL, err);
        (*steps)++;
    }
    return status;
}

bool recovery_run(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const recovery_work *work = arg;
    char folder[400];
    size_t steps = 0;
    weir_error err;
    weir_state_manager *manager = NULL;
    weir_partition *partition = NULL;
    weir_error_init(&err);
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    weir_memory_topic *topic = weir_memory_topic_new();
    weir_status status = topic ? fill_topic(topic, work, &err) : WEIR_NO_MEMORY;
    if (status == WEIR_OK)
        status = open_partition(topic, folder, work->backend, &manager, &partition, &err);
    double start = bench_now();
    double cpu = bench_cpu_seconds();
    if (status == WEIR_OK)
        status = recover(partition, &steps, &err);
    sample->rate = (double)work->count / (bench_now() - start);
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    bool is_ok = status == WEIR_OK || bench_fail(sample, &err, "recover");
    if (is_ok) {
        weir_partition_stats stats = {0};
        weir_partition_get_stats(partition, &stats);
        sample->figures[0] = stats.flushes > 0 ? (double)work->count / (double)stats.flushes : 0;
        if (weir_partition_changelog_offset(partition) != (int64_t)work->count - 1)
            is_ok = bench_fail(sample, NULL, "recovery ended at offset %lld",
                               (long long)weir_partition_changelog_offset(partition));
    }
    weir_state_manager_free(manager);
    weir_memory_topic_free(topic);
    bench_remove_folder(folder);
    return is_ok;
}

/* Writes the batch [from, to) with its offset. */
static bool write_batch(raw_db *raw, rocksdb_writebatch_t *batch, const recovery_work *work,
                        size_t from, size_t to, bench_sample *sample)
{
    char *text = NULL;
    char offset[8];
    for (size_t i = from; i < to; i++) {
        char key[BENCH_STATE_KEY_SIZE];
        char value[20];
        bench_state_key(work->keys[i], key);
        size_t size = bench_format_counter(i, value);
        rocksdb_writebatch_put_cf(batch, raw->data, key, sizeof(key), value, size);
    }
    for (int i = 0; i < 8; i++)
        offset[i] = (char)((uint64_t)(to - 1) >> (56 - 8 * i));
    rocksdb_writebatch_put_cf(batch, raw->metadata, "__changelog_offset__", 20, offset, 8);
    rocksdb_write(raw->db, raw->write, batch, &text);
    rocksdb_writebatch_clear(batch);
    return raw_check(text, "write a batch", sample);
}

static bool run_raw(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const recovery_work *work = arg;
    char folder[400];
    raw_db raw;
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    (void)mkdir(folder, 0755);
    bool is_ok = raw_open(&raw, folder, sample);
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    double start = bench_now();
    double cpu = bench_cpu_seconds();
    for (size_t from = 0; is_ok && from < work->count;) {
        size_t to = from + work->batch < work->count ? from + work->batch : work->count;
        is_ok = write_batch(&raw, batch, work, from, to, sample);
        from = to;
    }
    sample->rate = (double)work->count / (bench_now() - start);
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    rocksdb_writebatch_destroy(batch);
    raw_close(&raw);
    bench_remove_folder(folder);
    return is_ok;
}

bool bench_recovery(bench_table *bench)
{
    bench_sample first;
    recovery_work work = {.backend = "rocksdb", .count = bench->quick ? QUICK_MESSAGES : MESSAGES};
    if (!bench_is_wanted(bench, CASE_NAME))
        return true;
    uint32_t *keys = bench_key_shuffle((uint32_t)work.count);
    if (!keys)
        return false;
    work.keys = keys;
    bool is_ok = bench_run_child(bench, "recovery", recovery_run, &work, &first);
    if (is_ok) {
        work.batch = first.figures[0] >= 1 ? (size_t)first.figures[0] : 1;
        bench_say("recovery: %zu messages, %zu in a batch", work.count, work.batch);
        const bench_contestant contestants[] = {
            {"raw RocksDB, the same batches", true, run_raw, &work, BENCH_NONE},
            {CASE_NAME, false, recovery_run, &work, TARGET},
        };
        is_ok = bench_contest(bench, "messages/s", contestants, 2);
    }
    free(keys);
    return is_ok;
}
