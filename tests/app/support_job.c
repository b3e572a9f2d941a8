/*
 * The counting job: dataflow, thread, process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_job.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define WAIT_MS 30000

void job_config_init(job_config *config, const char *broker, const char *group, const char *source,
                     const char *output, const char *state_dir)
{
    static const weir_option quick[] = {{"session.timeout.ms", "3000"},
                                        {"heartbeat.interval.ms", "200"},
                                        {"fetch.wait.max.ms", "50"},
                                        {NULL, NULL}};
    static const weir_option prompt[] = {{"linger.ms", "2"}, {NULL, NULL}};
    *config = (job_config){.source = source, .output = output};
    weir_app_options_init(&config->options);
    config->options.broker = broker;
    config->options.consumer_group = group;
    config->options.state_dir = state_dir;
    config->options.auto_offset_reset = "earliest";
    config->options.commit_interval_ms = 200;
    config->options.cache_bytes = 16u << 20;
    config->options.handle_signals = false;
    config->options.consumer = quick;
    config->options.producer = prompt;
    config->options.stop_timeout_ms = 15000;
}

int64_t job_hash(int64_t hash, int64_t value)
{
    return (int64_t)(((uint64_t)hash * 31 + (uint64_t)value) & 0x3fffffffffffffffu);
}

static weir_status parse_value(const weir_record *record, int64_t *value, weir_error *err)
{
    char text[32];
    char *end;
    size_t size = record->value.size < sizeof(text) - 1 ? record->value.size : sizeof(text) - 1;
    if (size > 0)
        memcpy(text, record->value.data, size);
    text[size] = '\0';
    *value = strtoll(text, &end, 10);
    if (size == 0 || *end != '\0')
        return weir_error_set(err, WEIR_SERIALIZATION, "not an integer: \"%s\"", text);
    return WEIR_OK;
}

weir_status job_count(weir_context *context, weir_state *state, const weir_record *record,
                      void *arg, weir_error *err)
{
    int64_t n = 0;
    int64_t h = 0;
    int64_t value = 0;
    (void)arg;
    weir_status status = parse_value(record, &value, err);
    if (status == WEIR_OK)
        status = weir_state_get_int(state, "n", 0, &n, err);
    if (status == WEIR_OK)
        status = weir_state_get_int(state, "h", 0, &h, err);
    n++;
    h = job_hash(h, value);
    if (status == WEIR_OK)
        status = weir_state_set_int(state, "n", n, err);
    if (status == WEIR_OK)
        status = weir_state_set_int(state, "h", h, err);
    if (status != WEIR_OK)
        return status;
    weir_record update = *record;
    char *text = weir_context_alloc(context, 64);
    if (!text)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory");
    update.value =
        weir_slice_of(text, (size_t)snprintf(text, 64, "%lld %lld", (long long)n, (long long)h));
    return weir_forward(context, &update, err);
}

weir_app *job_new(const job_config *config, weir_error *err)
{
    weir_app *app;
    weir_topic_config source;
    weir_topic_config output;
    if (weir_app_new(&config->options, &app, err) != WEIR_OK)
        return NULL;
    weir_topic_config_init(&source);
    source.name = config->source;
    source.partitions = config->source_partitions;
    weir_topic_config_init(&output);
    output.name = config->output;
    output.partitions = config->output_partitions;
    weir_stream *stream = weir_stream_source(app, &source, err);
    stream = weir_stream_apply_stateful(
        stream, config->store, config->apply ? config->apply : job_count, config->arg, err);
    if (stream && config->output)
        stream = weir_stream_to(stream, &output, err);
    if (!stream) {
        weir_app_free(app);
        return NULL;
    }
    return app;
}

static void *run_job(void *arg)
{
    test_job *running = arg;
    running->status = weir_app_run(running->app, &running->err);
    __atomic_store_n(&running->ended, true, __ATOMIC_RELEASE);
    return NULL;
}

test_job *job_start(const job_config *config)
{
    test_job *started = calloc(1, sizeof(*started));
    assert_non_null(started);
    weir_error_init(&started->err);
    started->app = job_new(config, &started->err);
    if (!started->app)
        fail_msg("the job can't be made: %s", started->err.message);
    assert_int_equal(pthread_create(&started->thread, NULL, run_job, started), 0);
    return started;
}

void job_figures(const test_job *job, weir_app_stats *stats)
{
    stats->struct_size = sizeof(*stats);
    weir_app_get_stats(job->app, stats);
}

void wait_until(bool (*condition)(void *arg), void *arg, int timeout_ms, const char *what)
{
    int64_t deadline = weir__now_ms() + timeout_ms;
    while (!condition(arg)) {
        if (weir__now_ms() > deadline)
            fail_msg("waited %d ms in vain: %s", timeout_ms, what);
        weir__sleep_ms(5, NULL);
    }
}

weir_status job_count_held(weir_context *context, weir_state *state, const weir_record *record,
                           void *arg, weir_error *err)
{
    job_hold *hold = arg;
    if (record->offset == hold->offset) {
        __atomic_store_n(&hold->held, true, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&hold->let_go, __ATOMIC_ACQUIRE))
            weir__sleep_ms(5, NULL);
    }
    return job_count(context, state, record, NULL, err);
}

static bool is_held(void *arg)
{
    return __atomic_load_n(&((job_hold *)arg)->held, __ATOMIC_ACQUIRE);
}

void job_wait_held(job_hold *hold)
{
    wait_until(is_held, hold, WAIT_MS, "the callback to be held");
}

void job_let_go(job_hold *hold)
{
    __atomic_store_n(&hold->let_go, true, __ATOMIC_RELEASE);
}

typedef struct wait_arg {
    test_job *job;
    uint64_t records;
    uint32_t tasks;
} wait_arg;

static bool has_records(void *arg)
{
    const wait_arg *wanted = arg;
    weir_app_stats stats;
    job_figures(wanted->job, &stats);
    if (__atomic_load_n(&wanted->job->ended, __ATOMIC_ACQUIRE))
        fail_msg("the job has ended: %s", wanted->job->err.message);
    return stats.records >= wanted->records && stats.recovering == 0;
}

static bool has_tasks(void *arg)
{
    const wait_arg *wanted = arg;
    weir_app_stats stats;
    job_figures(wanted->job, &stats);
    if (__atomic_load_n(&wanted->job->ended, __ATOMIC_ACQUIRE))
        fail_msg("the job has ended: %s", wanted->job->err.message);
    return stats.tasks == wanted->tasks && stats.recovering == 0;
}

void job_wait_records(test_job *job, uint64_t records)
{
    wait_arg wanted = {.job = job, .records = records};
    wait_until(has_records, &wanted, WAIT_MS, "records of the job");
}

void job_wait_tasks(test_job *job, uint32_t tasks)
{
    wait_arg wanted = {.job = job, .tasks = tasks};
    wait_until(has_tasks, &wanted, WAIT_MS, "tasks of the job");
}

static void wait_end(test_job *job)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    if (pthread_timedjoin_np(job->thread, NULL, &until) != 0)
        fail_msg("the job did not end within %d s", WAIT_MS / 1000);
}

weir_status job_join(test_job *job, weir_error *err)
{
    wait_end(job);
    weir_status status = job->status;
    if (err)
        *err = job->err;
    weir_app_free(job->app);
    free(job);
    return status;
}

weir_app_stats job_stop(test_job *job)
{
    weir_app_stats stats;
    weir_app_stop(job->app);
    wait_end(job);
    if (job->status != WEIR_OK)
        fail_msg("the job ended with: %s", job->err.message);
    job_figures(job, &stats);
    weir_app_free(job->app);
    free(job);
    return stats;
}

/* ---------------------------------------------------------------------------
 * In a process of its own
 * ------------------------------------------------------------------------- */

static const char *pair_value(int argc, char **argv, const char *name, const char *absent)
{
    size_t size = strlen(name);
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], name, size) == 0 && argv[i][size] == '=')
            return argv[i] + size + 1;
    }
    return absent;
}

int job_main(int argc, char **argv)
{
    job_config config;
    weir_error err;
    weir_error_init(&err);
    job_config_init(&config, pair_value(argc, argv, "broker", NULL),
                    pair_value(argc, argv, "group", NULL), pair_value(argc, argv, "source", NULL),
                    pair_value(argc, argv, "output", NULL), pair_value(argc, argv, "state", NULL));
    const char *instance = pair_value(argc, argv, "instance", NULL);
    const weir_option with_instance[] = {{"session.timeout.ms", "3000"},
                                         {"heartbeat.interval.ms", "200"},
                                         {"fetch.wait.max.ms", "20"},
                                         {"group.instance.id", instance},
                                         {NULL, NULL}};
    if (instance)
        config.options.consumer = with_instance;
    config.options.handle_signals = true;
    config.options.connect_timeout_ms = 60000; /* a broker that is restarted */
    config.options.state_backend = pair_value(argc, argv, "backend", NULL);
    config.options.workers = atoi(pair_value(argc, argv, "workers", "1"));
    config.options.commit_interval_ms = atoi(pair_value(argc, argv, "commit_ms", "100"));
    config.options.commit_every = atoll(pair_value(argc, argv, "commit_every", "0"));
    const weir_option wal[] = {{"wal", pair_value(argc, argv, "wal", NULL)}, {NULL, NULL}};
    if (wal[0].value)
        config.options.state_options = wal;
    config.options.use_changelog = strcmp(pair_value(argc, argv, "changelog", "on"), "on") == 0;
    weir_app *app = job_new(&config, &err);
    weir_status status = app ? weir_app_run(app, &err) : err.status;
    weir_app_free(app);
    if (status != WEIR_OK)
        fprintf(stderr, "job: %s: %s\n", weir_status_name(status), err.message);
    return status == WEIR_OK ? 0 : status == WEIR_FENCED ? JOB_FENCED : 1;
}

pid_t job_spawn(const char *log, const char *const *pairs)
{
    char *argv[32] = {(char *)"job", (char *)"--job"};
    int count = 2;
    for (; *pairs && count < 31; pairs++)
        argv[count++] = (char *)(uintptr_t)*pairs;
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0); /* Ctrl-C is for the test, which then ends the job */
    int fd = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
    execv("/proc/self/exe", argv);
    _exit(127);
}

void temp_dir_make(char path[256])
{
    const char *base = getenv("TMPDIR");
    snprintf(path, 256, "%s/weir-app-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

void temp_dir_remove(const char *path)
{
    char command[320];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}
