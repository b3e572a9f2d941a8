/*
 * State on object storage: a server that speaks S3 (scripts/moto) is filled, and the state is
 * opened again, as a worker does that takes over. The time includes one read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/backend.h>
#include <weir/state.h>

#include "backends.h"

#define SCRIPT      WEIR_SOURCE_DIR "/scripts/moto"
#define MIB         2048u
#define QUICK_MIB   4u
#define VALUE_SIZE  1024u
#define CHECKPOINT  20000u /* values */
#define LIMIT       2.0    /* seconds */
#define SKIPPED     77
#define MOST_ROUNDS 32
#define STATE       "s3://bench/state"
#define CASE_CLOSED "backends object storage, opening"
#define CASE_KILLED "backends object storage, opening after a kill"

typedef struct remote_state {
    weir_state_manager *manager;
    weir_partition *partition;
} remote_state;

static bool remote_open(remote_state *self, bench_sample *sample)
{
    weir_error err;
    weir_state_options options;
    weir_store_config store;
    memset(self, 0, sizeof(*self));
    weir_error_init(&err);
    weir_log_set_level(WEIR_LOG_ERROR);
    weir_state_options_init(&options);
    options.state_dir = STATE;
    options.group_id = "bench";
    options.state_backend = "slatedb";
    options.cache_bytes = 0;
    weir_store_config_init(&store);
    if (weir_state_manager_new(&options, &self->manager, &err) != WEIR_OK ||
        weir_state_manager_register(self->manager, &store, &err) != WEIR_OK ||
        weir_state_manager_assign(self->manager, NULL, 0, &err) != WEIR_OK)
        return bench_fail(sample, &err, "open the state at " STATE);
    self->partition = weir_state_manager_partition(self->manager, "default", NULL, 0);
    return true;
}

/* The same for the same number, and not to be compressed. */
static void make_value(uint64_t number, char *value)
{
    uint64_t random = number * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < VALUE_SIZE; i += sizeof(random)) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(value + i, &random, sizeof(random));
    }
}

/* Sets the values [from, to) in one checkpoint. */
static weir_status write_values(weir_partition *partition, uint32_t from, uint32_t to,
                                weir_error *err)
{
    weir_txn *txn = NULL;
    char value[VALUE_SIZE];
    weir_status status = weir_partition_begin(partition, &txn, err);
    for (uint32_t i = from; i < to && status == WEIR_OK; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "key-%08u", i);
        make_value(i, value);
        status =
            weir_txn_set(txn, WEIR_CF_DEFAULT, weir_slice_of("", 0),
                         weir_slice_of(key, (size_t)size), weir_slice_of(value, VALUE_SIZE), err);
    }
    if (status == WEIR_OK)
        status = weir_txn_flush(txn, WEIR_OFFSET_NONE, err);
    weir_txn_free(txn);
    return status;
}

/* arg: the number of values. It ends without closing the state, as if it were killed. */
static bool fill(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const uint32_t *values = arg;
    weir_error err;
    remote_state self;
    (void)bench;
    weir_error_init(&err);
    if (!remote_open(&self, sample))
        return false;
    for (uint32_t from = 0; from < *values; from += CHECKPOINT) {
        uint32_t to = *values - from < CHECKPOINT ? *values : from + CHECKPOINT;
        if (write_values(self.partition, from, to, &err) != WEIR_OK)
            return bench_fail(sample, &err, "fill the state");
    }
    return true;
}

/* arg: the number of values. figures[0]: seconds until one of them is read. */
static bool reopen(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const uint32_t *values = arg;
    char key[16];
    char expected[VALUE_SIZE];
    weir_error err;
    weir_slice value;
    weir_txn *txn = NULL;
    remote_state self;
    (void)bench;
    weir_error_init(&err);
    double start = bench_now();
    bool is_ok = remote_open(&self, sample);
    if (is_ok) {
        int size = snprintf(key, sizeof(key), "key-%08u", *values / 2);
        weir_status status = weir_partition_begin(self.partition, &txn, &err);
        if (status == WEIR_OK)
            status = weir_txn_get(txn, WEIR_CF_DEFAULT, weir_slice_of("", 0),
                                  weir_slice_of(key, (size_t)size), &value, &err);
        sample->figures[0] = bench_now() - start;
        make_value(*values / 2, expected);
        is_ok = status == WEIR_OK
                    ? value.size == VALUE_SIZE && memcmp(value.data, expected, VALUE_SIZE) == 0
                    : bench_fail(sample, &err, "read a value");
        weir_txn_free(txn);
    }
    weir_state_manager_free(self.manager);
    return is_ok;
}

/* 0, SKIPPED, or another exit code. The environment then points to the server. */
static int start_server(const bench_table *bench)
{
    char command[1024];
    char line[256];
    (void)snprintf(command, sizeof(command), "%s start --dir '%s/s3' --bucket bench", SCRIPT,
                   bench->folder);
    FILE *output = popen(command, "r");
    while (output && fgets(line, sizeof(line), output)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "endpoint=", 9) == 0)
            (void)setenv("AWS_ENDPOINT", line + 9, 1);
    }
    int status = output ? pclose(output) : 1;
    (void)setenv("AWS_ALLOW_HTTP", "true", 1);
    (void)setenv("AWS_REGION", "us-east-1", 1);
    (void)setenv("AWS_ACCESS_KEY_ID", "bench", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "bench", 1);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void stop_server(const bench_table *bench)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "%s stop --dir '%s/s3'", SCRIPT, bench->folder);
    if (system(command) != 0)
        bench_say("backends: %s stop failed", SCRIPT);
}

static void add_seconds(bench_table *bench, const char *name, unsigned mib, double seconds,
                        double limit)
{
    bench_row row = {.weir = seconds,
                     .yardstick = BENCH_NONE,
                     .ratio = BENCH_NONE,
                     .target = limit,
                     .is_limit = true,
                     .unit = "s"};
    (void)snprintf(row.name, sizeof(row.name), "%s, %u MiB: slatedb", name, mib);
    bench_add_row(bench, &row);
}

static bool measure(bench_table *bench, unsigned mib)
{
    uint32_t values = mib * ((1u << 20) / VALUE_SIZE);
    double seconds[MOST_ROUNDS];
    size_t rounds = bench->rounds < MOST_ROUNDS ? (size_t)bench->rounds : MOST_ROUNDS;
    bench_sample done;
    bench_say("backends: filling %u MiB at " STATE, mib);
    if (!bench_run_child(bench, "fill", fill, &values, &done) ||
        !bench_run_child(bench, "open after a kill", reopen, &values, &done))
        return false;
    double after_kill = done.figures[0];
    for (size_t i = 0; i < rounds; i++) {
        if (!bench_run_child(bench, "open", reopen, &values, &done))
            return false;
        seconds[i] = done.figures[0];
        bench_say("  %zu/%zu %-44s %12.3f s", i + 1, rounds, CASE_CLOSED, seconds[i]);
    }
    add_seconds(bench, CASE_CLOSED, mib, bench_median(seconds, rounds), LIMIT);
    add_seconds(bench, CASE_KILLED, mib, after_kill, BENCH_NONE);
    return true;
}

bool backends_remote(bench_table *bench)
{
    if (!bench_is_wanted(bench, CASE_CLOSED))
        return true;
    if (!backends_has(bench, "slatedb"))
        return true; /* which has been said */
    int code = start_server(bench);
    if (code == SKIPPED) {
        bench_say("backends: object storage is LEFT OUT: no S3 server");
        return true;
    }
    bool is_ok = code == 0 && measure(bench, bench->quick ? QUICK_MIB : MIB);
    stop_server(bench);
    return is_ok;
}
