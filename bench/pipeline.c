/*
 * The case `pipeline`: the counting job on a real broker against librdkafka's own
 * consume→produce loop, with CPU time and peak memory beside it, and restoring a changelog
 * against consuming it alone.
 *
 * Both sides begin to count time at their first record and end when everything is delivered
 * and the consumer is closed; CPU time is that of the whole process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#include "keys.h"

#define RECORDS        2000000u
#define QUICK_RECORDS  20000u
#define KEYS           100000u
#define MESSAGES       2000000u
#define QUICK_MESSAGES 20000u

#define LOOP_TARGET    0.6
#define RESTORE_TARGET 0.5
#define CPU_LIMIT      3.0   /* seconds per million records */
#define MEMORY_LIMIT   200.0 /* MB */
#define MB_PER_MIB     1.048576
#define MAX_ROUNDS     32

#define SCRIPT WEIR_SOURCE_DIR "/scripts/kafka"

/* ---------------------------------------------------------------------------
 * The broker
 * ------------------------------------------------------------------------- */

bool pipeline_start_broker(const bench_table *bench, char *bootstrap, size_t size)
{
    char command[1024];
    char line[256];
    (void)snprintf(command, sizeof(command), "%s start --dir '%s/kafka' --heap 1g --watch %ld",
                   SCRIPT, bench->folder, (long)getpid());
    FILE *output = popen(command, "r");
    bootstrap[0] = '\0';
    while (output && fgets(line, sizeof(line), output)) {
        if (strncmp(line, "bootstrap=", 10) == 0)
            (void)snprintf(bootstrap, size, "%.*s", (int)strcspn(line + 10, "\n"), line + 10);
    }
    if (!output || pclose(output) != 0 || bootstrap[0] == '\0') {
        bench_say("pipeline: %s could not start a broker", SCRIPT);
        return false;
    }
    return true;
}

void pipeline_stop_broker(const bench_table *bench)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "%s stop --kill --dir '%s/kafka'", SCRIPT,
                   bench->folder);
    if (system(command) != 0)
        bench_say("pipeline: %s stop failed", SCRIPT);
}

/* ---------------------------------------------------------------------------
 * The counting job
 * ------------------------------------------------------------------------- */

typedef struct job {
    weir_app *app;
    size_t wanted;
    size_t done;
    double start;
} job;

static weir_status count_record(weir_context *context, weir_state *state, const weir_record *record,
                                void *arg, weir_error *err)
{
    job *self = arg;
    int64_t count = 0;
    if (self->done++ == 0)
        self->start = bench_now();
    weir_status status = weir_state_get_int(state, BENCH_VALUE_NAME, 0, &count, err);
    if (status == WEIR_OK)
        status = weir_state_set_int(state, BENCH_VALUE_NAME, ++count, err);
    if (status != WEIR_OK)
        return status;
    weir_record update = *record;
    char *text = weir_context_alloc(context, 20);
    if (!text)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory");
    update.value = weir_slice_of(text, bench_format_counter((uint64_t)count, text));
    update.timestamp = -1; /* now, as the yardstick's */
    if (self->done == self->wanted)
        weir_app_stop(self->app);
    return weir_forward(context, &update, err);
}

static void set_options(const pipeline_work *work, weir_app_options *options)
{
    weir_app_options_init(options);
    options->broker = work->broker;
    options->state_backend = work->backend;
    options->auto_offset_reset = "earliest";
    options->handle_signals = false;
}

/* Makes self->app: input, the counting operator, PIPELINE_OUTPUT. */
static bool new_app(const bench_table *bench, weir_app_options *options, const char *input,
                    job *self, weir_error *err)
{
    char folder[400];
    weir_topic_config topic;
    bench_path(bench, "state", folder, sizeof(folder));
    bench_remove_folder(folder);
    weir_log_set_level(WEIR_LOG_WARN);
    options->state_dir = folder;
    if (weir_app_new(options, &self->app, err) != WEIR_OK)
        return false;
    weir_topic_config_init(&topic);
    topic.name = input;
    weir_stream *stream = weir_stream_source(self->app, &topic, err);
    stream = weir_stream_apply_stateful(stream, NULL, count_record, self, err);
    topic.name = PIPELINE_OUTPUT;
    if (stream && weir_stream_to(stream, &topic, err))
        return true;
    weir_app_free(self->app);
    return false;
}

bool pipeline_job(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const pipeline_work *work = arg;
    char group[64];
    weir_error err;
    weir_app_options options;
    job self = {.wanted = work->records};
    double cpu = bench_cpu_seconds();
    (void)alarm(PIPELINE_ALARM);
    weir_error_init(&err);
    /* A group of its own for each run: it starts from the first record. */
    (void)snprintf(group, sizeof(group), "bench-count-%ld", (long)getpid());
    set_options(work, &options);
    options.consumer_group = group;
    if (!new_app(bench, &options, PIPELINE_INPUT, &self, &err))
        return bench_fail(sample, &err, "counting job");
    weir_status status = weir_app_run(self.app, &err);
    sample->rate = (double)self.done / (bench_now() - self.start);
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    weir_app_stats stats = {.struct_size = sizeof(stats)};
    weir_app_get_stats(self.app, &stats);
    weir_app_free(self.app);
    if (status != WEIR_OK)
        return bench_fail(sample, &err, "counting job");
    if (stats.produced < work->records)
        return bench_fail(sample, NULL, "only %llu records produced",
                          (unsigned long long)stats.produced);
    return true;
}

/* ---------------------------------------------------------------------------
 * Restoring
 * ------------------------------------------------------------------------- */

typedef struct restore {
    job job; /* first member: the operator's argument */
    int64_t applied[PIPELINE_PARTITIONS];
    bool is_done[PIPELINE_PARTITIONS];
    int64_t first; /* messages applied before the time started */
    double start;
    double end;
} restore;

static int64_t total_applied(const restore *self)
{
    int64_t total = 0;
    for (int i = 0; i < PIPELINE_PARTITIONS; i++)
        total += self->applied[i];
    return total;
}

/* Called by several workers. */
static void on_recovery(const weir_recovery_progress *progress, void *arg)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    restore *self = arg;
    bool is_done = true;
    pthread_mutex_lock(&lock);
    self->applied[progress->partition] = progress->applied;
    self->is_done[progress->partition] = progress->position >= progress->end;
    if (self->start == 0 && progress->applied > 0) {
        self->start = bench_now();
        self->first = total_applied(self);
    }
    for (int i = 0; i < PIPELINE_PARTITIONS; i++)
        is_done = is_done && self->is_done[i];
    if (is_done && self->end == 0) {
        self->end = bench_now();
        weir_app_stop(self->job.app);
    }
    pthread_mutex_unlock(&lock);
}

/* A restore takes as many workers as there are processors: its partitions are independent. */
static int restore_workers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1                     ? 1
           : processors > PIPELINE_PARTITIONS ? PIPELINE_PARTITIONS
                                              : (int)processors;
}

static bool run_restore(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const pipeline_work *work = arg;
    weir_error err;
    weir_app_options options;
    restore self = {.start = 0};
    double cpu = bench_cpu_seconds();
    (void)alarm(PIPELINE_ALARM);
    weir_error_init(&err);
    set_options(work, &options);
    options.consumer_group = PIPELINE_GROUP;
    options.on_recovery = on_recovery;
    options.on_recovery_arg = &self;
    options.workers = restore_workers();
    if (!new_app(bench, &options, PIPELINE_PAST_TOPIC, &self.job, &err))
        return bench_fail(sample, &err, "restore");
    weir_status status = weir_app_run(self.job.app, &err);
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    weir_app_free(self.job.app);
    if (status != WEIR_OK)
        return bench_fail(sample, &err, "restore");
    if (total_applied(&self) != (int64_t)work->messages)
        return bench_fail(sample, NULL, "%lld of %zu messages restored",
                          (long long)total_applied(&self), work->messages);
    sample->rate = (double)(total_applied(&self) - self.first) / (self.end - self.start);
    return true;
}

/* ---------------------------------------------------------------------------
 * The table
 * ------------------------------------------------------------------------- */

typedef struct side {
    const char *name;
    bench_run run;
    double rates[MAX_ROUNDS];
    double cpu[MAX_ROUNDS];  /* seconds per million records */
    double peak[MAX_ROUNDS]; /* MB */
} side;

/* Runs both sides in turn; the median of each figure is in its first element then. */
static bool run_sides(const bench_table *bench, const pipeline_work *work, size_t count,
                      side *sides)
{
    size_t rounds = (size_t)(bench->rounds < MAX_ROUNDS ? bench->rounds : MAX_ROUNDS);
    for (size_t i = 0; i < 2 * rounds; i++) {
        bench_sample sample;
        side *self = &sides[i % 2];
        if (!bench_run_child(bench, self->name, self->run, work, &sample))
            return false;
        self->rates[i / 2] = sample.rate;
        self->cpu[i / 2] = sample.cpu_seconds * 1e6 / (double)count;
        self->peak[i / 2] = sample.peak_mib * MB_PER_MIB;
        bench_say("  %zu/%zu %-44s %12.0f records/s  cpu %.2f s/M  peak %.0f MB", i / 2 + 1, rounds,
                  self->name, self->rates[i / 2], self->cpu[i / 2], self->peak[i / 2]);
    }
    for (int i = 0; i < 2; i++) {
        sides[i].rates[0] = bench_median(sides[i].rates, rounds);
        sides[i].cpu[0] = bench_median(sides[i].cpu, rounds);
        sides[i].peak[0] = bench_median(sides[i].peak, rounds);
    }
    return true;
}

static void add_row(bench_table *bench, const char *name, const char *unit, double weir,
                    double yardstick, double target, bool is_limit)
{
    bench_row row = {.weir = weir,
                     .yardstick = yardstick,
                     .ratio = yardstick > 0 ? weir / yardstick : BENCH_NONE,
                     .target = target,
                     .is_limit = is_limit};
    (void)snprintf(row.name, sizeof(row.name), "%s", name);
    (void)snprintf(row.unit, sizeof(row.unit), "%s", unit);
    bench_add_row(bench, &row);
}

static bool measure_job(bench_table *bench, const pipeline_work *work)
{
    side sides[2] = {{.name = "librdkafka consume and produce", .run = pipeline_raw_loop},
                     {.name = "counting job", .run = pipeline_job}};
    if (!run_sides(bench, work, work->records, sides))
        return false;
    add_row(bench, "pipeline, counting job, 100000 keys", "records/s", sides[1].rates[0],
            sides[0].rates[0], LOOP_TARGET, false);
    add_row(bench, "pipeline, CPU time of the counting job", "s/M records", sides[1].cpu[0],
            sides[0].cpu[0], CPU_LIMIT, true);
    add_row(bench, "pipeline, peak memory of the counting job", "MB", sides[1].peak[0],
            sides[0].peak[0], MEMORY_LIMIT, true);
    return true;
}

static bool measure_restore(bench_table *bench, const pipeline_work *work)
{
    side sides[2] = {{.name = "librdkafka consumes the changelog", .run = pipeline_raw_consume},
                     {.name = "restore", .run = run_restore}};
    if (!run_sides(bench, work, work->messages, sides))
        return false;
    char name[64];
    (void)snprintf(name, sizeof(name), "pipeline, restore of 2000000 messages, %d workers",
                   restore_workers());
    add_row(bench, name, "messages/s", sides[1].rates[0], sides[0].rates[0], RESTORE_TARGET, false);
    add_row(bench, "pipeline, CPU time of the restore", "s/M messages", sides[1].cpu[0],
            sides[0].cpu[0], BENCH_NONE, true);
    add_row(bench, "pipeline, peak memory of the restore", "MB", sides[1].peak[0], sides[0].peak[0],
            BENCH_NONE, true);
    return true;
}

bool bench_pipeline(bench_table *bench)
{
    bench_sample prepared;
    pipeline_work work = {.records = bench->quick ? QUICK_RECORDS : RECORDS,
                          .keys = KEYS,
                          .messages = bench->quick ? QUICK_MESSAGES : MESSAGES};
    bool wants_job = bench_is_wanted(bench, "pipeline, counting job");
    bool wants_restore = bench_is_wanted(bench, "pipeline, restore");
    if (!wants_job && !wants_restore)
        return true;
    if (!pipeline_start_broker(bench, work.broker, sizeof(work.broker)))
        return false;
    bench_say("pipeline: a broker at %s; filling its topics", work.broker);
    bool is_ok = bench_run_child(bench, "pipeline", pipeline_prepare, &work, &prepared);
    if (is_ok && wants_job)
        is_ok = measure_job(bench, &work);
    if (is_ok && wants_restore)
        is_ok = measure_restore(bench, &work);
    pipeline_stop_broker(bench);
    return is_ok;
}
