/*
 * The case `backends`: the same work through Weir on each backend, with rocksdb as the yardstick.
 * Record cache, keys, checkpoints and changelog are the same for all; each has its default options,
 * and none syncs its batches, as there is a changelog. What begins with many keys begins with a
 * copy of a folder that the same backend has filled; memory is filled before the time starts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir/backend.h>

#include "counting.h"
#include "keys.h"
#include "pipeline.h"
#include "recovery.h"

#define CHECKPOINT   10000u
#define SCAN_ITEMS   1000u
#define CHECKED_KEYS 20u

const char *const backends_all[BACKENDS_MAX] = {"rocksdb", "memory", "slatedb", "lmdb"};

typedef enum work_kind {
    WORK_GET_SET,
    WORK_GET,
    WORK_SET,
    WORK_CHECKPOINT, /* as SET, but the time of the checkpoints alone counts */
    WORK_SCAN,
    WORK_REOPEN
} work_kind;

typedef struct backend_work {
    work_kind kind;
    uint32_t keys;
    size_t records; /* or scanned items, or openings */
    size_t cache_bytes;
    const uint32_t *sequence;
} backend_work;

/* ---------------------------------------------------------------------------
 * Which backends there are
 * ------------------------------------------------------------------------- */

/* In a child: a plugin may start threads. */
static bool find_backend(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const weir_backend *backend;
    weir_error err;
    (void)bench;
    weir_error_init(&err);
    sample->figures[0] = weir_backend_find(arg, &backend, &err) == WEIR_OK;
    (void)snprintf(sample->message, sizeof(sample->message), "%s", err.message);
    return true;
}

bool backends_has(const bench_table *bench, const char *backend)
{
    static bool is_known;
    static bool is_there[BACKENDS_MAX];
    for (size_t i = 0; i < BACKENDS_MAX && !is_known; i++) {
        bench_sample found;
        is_there[i] =
            bench_run_child(bench, backends_all[i], find_backend, backends_all[i], &found) &&
            found.figures[0] > 0;
        if (!is_there[i])
            bench_say("backends: %s is LEFT OUT: %s", backends_all[i], found.message);
    }
    is_known = true;
    for (size_t i = 0; i < BACKENDS_MAX; i++) {
        if (strcmp(backends_all[i], backend) == 0)
            return is_there[i];
    }
    return false;
}

/* ---------------------------------------------------------------------------
 * One run
 * ------------------------------------------------------------------------- */

static bool copy_folder(const char *from, const char *to, bench_sample *sample)
{
    char command[800];
    (void)snprintf(command, sizeof(command), "cp -r --reflink=auto '%s' '%s'", from, to);
    return system(command) == 0 || bench_fail(sample, NULL, "can't copy %s", from);
}

static bool do_work(counting *state, const backend_work *work, bench_sample *sample)
{
    switch (work->kind) {
    case WORK_GET_SET:
        return counting_run(state, work->sequence, work->records, CHECKPOINT, sample);
    case WORK_GET:
        return counting_get(state, work->sequence, work->records, sample);
    case WORK_SET:
    case WORK_CHECKPOINT:
        return counting_set(state, work->sequence, work->records, CHECKPOINT, sample);
    case WORK_SCAN:
        return counting_scan(state, work->sequence, work->records / SCAN_ITEMS, SCAN_ITEMS, sample);
    case WORK_REOPEN:
        break;
    }
    return true;
}

/* What a counter must be afterwards, so that no backend is fast because it does nothing. */
static bool check_counters(counting *state, const backends_side *side, bench_sample *sample)
{
    const backend_work *work = side->work;
    bool is_counted = work->kind == WORK_GET_SET;
    bool is_set = work->kind == WORK_SET || work->kind == WORK_CHECKPOINT;
    for (size_t i = 0; i < CHECKED_KEYS; i++) {
        int64_t found = 0;
        int64_t expected = side->preloaded[0] ? 1 : 0;
        for (size_t j = 0; j < work->records && (is_counted || is_set); j++) {
            if (work->sequence[j] == work->sequence[i])
                expected = is_set ? (int64_t)j : expected + 1;
        }
        if (!counting_read(state, work->sequence[i], &found, sample))
            return false;
        if (found != expected)
            return bench_fail(sample, NULL, "the counter of key %u is %lld, not %lld",
                              work->sequence[i], (long long)found, (long long)expected);
    }
    return true;
}

static bool run_work(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const backends_side *side = arg;
    const backend_work *work = side->work;
    char folder[400];
    counting state = {0};
    bool is_memory = strcmp(side->backend, "memory") == 0;
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    if (side->preloaded[0] && !is_memory && !copy_folder(side->preloaded, folder, sample))
        return false;
    double open_start = bench_now();
    bool is_ok = counting_open(&state, folder, side->backend, work->cache_bytes, sample);
    if (is_ok && side->preloaded[0] && is_memory)
        is_ok = counting_preload(&state, work->keys, sample);
    if (is_ok && work->kind == WORK_REOPEN) {
        int64_t value;
        is_ok = counting_read(&state, work->sequence[0], &value, sample);
        sample->rate = 1 / (bench_now() - open_start);
    } else if (is_ok) {
        double start = bench_now();
        double cpu = bench_cpu_seconds();
        is_ok = do_work(&state, work, sample);
        double took = work->kind == WORK_CHECKPOINT ? state.flush_seconds : bench_now() - start;
        sample->rate = (double)work->records / took;
        sample->cpu_seconds = bench_cpu_seconds() - cpu;
    }
    is_ok = is_ok && check_counters(&state, side, sample);
    counting_close(&state);
    bench_remove_folder(folder);
    return is_ok;
}

/* ---------------------------------------------------------------------------
 * Contests
 * ------------------------------------------------------------------------- */

static void name_preloaded(const bench_table *bench, const char *backend, char *path, size_t size)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "preloaded-%s", backend);
    bench_path(bench, name, path, size);
}

static void name_case(const char *what, const char *backend, char *name)
{
    (void)snprintf(name, BENCH_NAME_SIZE, "backends %s: %s", what, backend);
}

/* True if the user wants the case of any backend but the yardstick, whose row is theirs. */
static bool is_wanted(const bench_table *bench, const char *what)
{
    bool is_any = false;
    for (size_t i = 1; i < BACKENDS_MAX; i++) {
        char name[BENCH_NAME_SIZE];
        name_case(what, backends_all[i], name);
        is_any = is_any || bench_is_wanted(bench, name);
    }
    return is_any;
}

bool backends_contest(bench_table *bench, const char *what, const char *unit, bench_run run,
                      const void *work, bool is_preloaded, bool has_memory, double target)
{
    backends_side sides[BACKENDS_MAX];
    bench_contestant contestants[BACKENDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < BACKENDS_MAX; i++) {
        backends_side *side = &sides[count];
        const char *backend = backends_all[i];
        if (!backends_has(bench, backend) || (!has_memory && strcmp(backend, "memory") == 0))
            continue;
        *side = (backends_side){.backend = backend, .work = work};
        name_case(what, backend, side->name);
        if (is_preloaded)
            name_preloaded(bench, backend, side->preloaded, sizeof(side->preloaded));
        bool is_target = strcmp(backend, "slatedb") == 0;
        contestants[count++] =
            (bench_contestant){side->name, i == 0, run, side, is_target ? target : BENCH_NONE};
    }
    return bench_contest(bench, unit, contestants, count);
}

static bool contest(bench_table *bench, const char *what, const backend_work *work,
                    bool is_preloaded, double target)
{
    static const char *const units[] = {"records/s", "records/s", "records/s",
                                        "changes/s", "items/s",   "openings/s"};
    return backends_contest(bench, what, units[work->kind], run_work, work, is_preloaded,
                            work->kind != WORK_REOPEN, target);
}

/* ---------------------------------------------------------------------------
 * State
 * ------------------------------------------------------------------------- */

static bool preload(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const backends_side *side = arg;
    const backend_work *work = side->work;
    counting state;
    (void)bench;
    bool is_ok = counting_open(&state, side->preloaded, side->backend, 0, sample) &&
                 counting_preload(&state, work->keys, sample);
    counting_close(&state);
    return is_ok;
}

static bool preload_all(const bench_table *bench, const backend_work *work)
{
    for (size_t i = 0; i < BACKENDS_MAX; i++) {
        bench_sample done;
        backends_side side = {.backend = backends_all[i], .work = work};
        if (!backends_has(bench, side.backend) || strcmp(side.backend, "memory") == 0)
            continue;
        name_preloaded(bench, side.backend, side.preloaded, sizeof(side.preloaded));
        bench_say("backends: filling %s with %u keys", side.backend, work->keys);
        if (!bench_run_child(bench, side.backend, preload, &side, &done))
            return false;
    }
    return true;
}

static bool run_few_keys(bench_table *bench)
{
    const bool quick = bench->quick;
    backend_work work = {.keys = quick ? 5000 : 100000,
                         .records = quick ? 20000 : 1000000,
                         .cache_bytes = (size_t)256 << 20};
    uint32_t *sequence = bench_key_sequence(BENCH_UNIFORM, work.keys, work.records);
    work.sequence = sequence;
    bool is_ok = sequence && contest(bench, "state get+set, 100000 keys", &work, false, 0.8);
    work.cache_bytes = 0;
    work.kind = WORK_SET;
    is_ok = is_ok && contest(bench, "state set, 100000 keys", &work, false, BENCH_NONE);
    work.kind = WORK_CHECKPOINT;
    is_ok = is_ok && contest(bench, "state checkpoint of 10000 changes", &work, false, BENCH_NONE);
    free(sequence);
    return is_ok;
}

#define MANY_GET_SET "state get+set, 5000000 keys, a tenth cached"
#define MANY_GET     "state get, 5000000 keys"
#define MANY_SCAN    "state scan of 1000 items"
#define MANY_REOPEN  "state reopening, 5000000 keys"

static bool run_many_keys(bench_table *bench)
{
    const bool quick = bench->quick;
    if (!is_wanted(bench, MANY_GET_SET) && !is_wanted(bench, MANY_GET) &&
        !is_wanted(bench, MANY_SCAN) && !is_wanted(bench, MANY_REOPEN))
        return true;
    backend_work work = {.keys = quick ? 50000 : 5000000,
                         .records = quick ? 20000 : 1000000,
                         /* About what a tenth of the keys take there (case `state`). */
                         .cache_bytes = (size_t)(quick ? 5000 : 500000) * 96};
    backend_work scan = {.kind = WORK_SCAN, .keys = work.keys, .records = 1000 * SCAN_ITEMS};
    uint32_t *sequence = bench_key_sequence(BENCH_UNIFORM, work.keys, work.records);
    work.sequence = scan.sequence = sequence;
    if (quick)
        scan.records = 20 * SCAN_ITEMS;
    bool is_ok =
        sequence && preload_all(bench, &work) && contest(bench, MANY_GET_SET, &work, true, 0.5);
    work.cache_bytes = 0;
    work.kind = WORK_GET;
    work.records /= 4;
    is_ok = is_ok && contest(bench, MANY_GET, &work, true, BENCH_NONE) &&
            contest(bench, MANY_SCAN, &scan, true, 0.5);
    work.kind = WORK_REOPEN;
    work.records = CHECKED_KEYS;
    is_ok = is_ok && contest(bench, MANY_REOPEN, &work, true, BENCH_NONE);
    for (size_t i = 0; i < BACKENDS_MAX; i++) {
        char folder[300];
        name_preloaded(bench, backends_all[i], folder, sizeof(folder));
        bench_remove_folder(folder);
    }
    free(sequence);
    return is_ok;
}

/* ---------------------------------------------------------------------------
 * Recovery and the pipeline job
 * ------------------------------------------------------------------------- */

static bool run_recovery(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const backends_side *side = arg;
    recovery_work work = *(const recovery_work *)side->work;
    work.backend = side->backend;
    return recovery_run(bench, &work, sample);
}

static bool measure_recovery(bench_table *bench)
{
    recovery_work work = {.count = bench->quick ? 20000 : 1000000};
    uint32_t *keys = bench_key_shuffle((uint32_t)work.count);
    work.keys = keys;
    bool is_ok = keys && backends_contest(bench, "state recovery from a changelog", "messages/s",
                                          run_recovery, &work, false, true, BENCH_NONE);
    free(keys);
    return is_ok;
}

static bool run_job(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const backends_side *side = arg;
    pipeline_work work = *(const pipeline_work *)side->work;
    work.backend = side->backend;
    return pipeline_job(bench, &work, sample);
}

static bool measure_job(bench_table *bench)
{
    static const char what[] = "pipeline, counting job, 100000 keys";
    bench_sample prepared;
    pipeline_work work = {.records = bench->quick ? 20000 : 2000000, .keys = 100000, .messages = 4};
    if (!is_wanted(bench, what))
        return true;
    if (!pipeline_start_broker(bench, work.broker, sizeof(work.broker)))
        return false;
    bool is_ok =
        bench_run_child(bench, "pipeline", pipeline_prepare, &work, &prepared) &&
        backends_contest(bench, what, "records/s", run_job, &work, false, true, BENCH_NONE);
    pipeline_stop_broker(bench);
    return is_ok;
}

bool bench_backends(bench_table *bench)
{
    return run_few_keys(bench) && run_many_keys(bench) && measure_recovery(bench) &&
           measure_job(bench) && backends_remote(bench);
}
