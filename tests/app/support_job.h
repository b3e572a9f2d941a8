/*
 * A counting job for integration tests, built on the public API: for each key it keeps
 * how many records came ("n") and a hash of their values in order ("h"), so that a record
 * lost, repeated or out of order shows; every update goes to the output topic.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_APP_SUPPORT_JOB_H
#define WEIR_TESTS_APP_SUPPORT_JOB_H

#include <pthread.h>
#include <weir/weir.h>

typedef struct job_config {
    weir_app_options options; /* handle_signals is false by default */
    const char *source;
    const char *output;             /* NULL: none */
    int32_t source_partitions;      /* 0: as it is */
    int32_t output_partitions;      /* 0: as it is */
    const weir_store_config *store; /* NULL: the default one */
    weir_apply_stateful_fn apply;   /* NULL: job_count */
    void *arg;                      /* for apply */
} job_config;

/* Defaults for tests: earliest, short intervals, static membership off. */
void job_config_init(job_config *config, const char *broker, const char *group, const char *source,
                     const char *output, const char *state_dir);

/* The counting operator. A value that is not an integer is WEIR_SERIALIZATION. */
weir_status job_count(weir_context *context, weir_state *state, const weir_record *record,
                      void *arg, weir_error *err);
/* How job_count changes the hash. */
int64_t job_hash(int64_t hash, int64_t value);

/* For apply: job_count, but held at the record with this offset until it is let go. */
typedef struct job_hold {
    int64_t offset;
    bool held;   /* atomic */
    bool let_go; /* atomic */
} job_hold;

/* arg is a job_hold. */
weir_status job_count_held(weir_context *context, weir_state *state, const weir_record *record,
                           void *arg, weir_error *err);
void job_wait_held(job_hold *hold);
void job_let_go(job_hold *hold);

/* Makes app and dataflow. NULL with *err filled. */
weir_app *job_new(const job_config *config, weir_error *err);

/* A job in a thread of its own. */
typedef struct test_job {
    weir_app *app;
    pthread_t thread;
    bool ended; /* atomic */
    weir_status status;
    weir_error err;
} test_job;

/* Fails the test if the app can't be made. */
test_job *job_start(const job_config *config);
void job_figures(const test_job *job, weir_app_stats *stats);
/* Waits until so many records were taken and none of its tasks recovers; fails the test
 * after 30 s or if the job ends. */
void job_wait_records(test_job *job, uint64_t records);
/* Waits until it has this many tasks, all running. */
void job_wait_tasks(test_job *job, uint32_t tasks);
/* Waits for the job to end by itself; frees it. */
weir_status job_join(test_job *job, weir_error *err);
/* Stops it, waits, frees it; fails the test if it does not end well. Its last figures. */
weir_app_stats job_stop(test_job *job);

/* Waits until condition(arg) holds; fails the test after timeout_ms. */
void wait_until(bool (*condition)(void *arg), void *arg, int timeout_ms, const char *what);

/* The job in a process of its own: this program again, with `--job key=value …`. */
int job_main(int argc, char **argv);
/* Its exit code when another member of the same instance id has fenced it. */
#define JOB_FENCED 3
/* Starts it; pairs as in config and by name: broker, group, source, output, state, backend,
 * workers, instance, commit_ms, commit_every, changelog, wal. Ends with NULL. log: a file that
 * gets stderr, or NULL. Returns the pid. */
pid_t job_spawn(const char *log, const char *const *pairs);

/* A fresh folder below $TMPDIR, and its end. */
void temp_dir_make(char path[256]);
void temp_dir_remove(const char *path);

/* What one key should have. */
typedef struct job_total {
    char key[32];
    int64_t n;
    int64_t h;
} job_total;

/* Compares what the state folder (stores of `source`, opened here), the output topic (last
 * value of each key) and, if changelog is not NULL, the changelog topic (folded by key)
 * hold with what they should; fails the test and says where they differ. */
void job_verify_state(const char *state_dir, const char *group, const char *source,
                      const char *backend, int partitions, const job_total *totals, size_t count);
void job_verify_output(const char *broker, const char *output, const job_total *totals,
                       size_t count);
void job_verify_changelog(const char *broker, const char *changelog, const job_total *totals,
                          size_t count);

/* Log lines of this process, seen by tests. Each start is a new one. */
void log_capture_start(void);
bool log_captured(const char *event, const char *part);
bool log_contains(const char *part);
void log_capture_stop(void);

#endif
