/*
 * The counting job, killed at random moments. What it leaves must be what a sequential run
 * gives: nothing lost in the output, and state and changelog exact.
 *
 *   WEIR_CRASH_ROUNDS  rounds in all, default 50; 0: until SIGINT or SIGTERM (scripts/soak)
 *   WEIR_CRASH_SEED    the seed, default from the clock; printed
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_fixture.h"

#include <cmocka.h>

#include "base/clock.h"
#include "support/plugins.h"

#define PARTITIONS     4
#define DEFAULT_ROUNDS 50
#define LONGEST_LIFE   900 /* ms until the kill; a start takes about a third of it */
#define LONGEST_START  5000
#define DRAIN_MS       60000

typedef struct scenario {
    const char *name;
    int share;    /* of 50 rounds */
    bool restart; /* the broker, once */
    const char *backend;
    bool changelog;
    bool is_plugin;
    const char *more[8]; /* further pairs for the job */
} scenario;

static const scenario scenarios[] = {
    {"rocksdb", 20, true, "rocksdb", true, false, {"commit_ms=50", NULL}},
    {"rocksdb without write-ahead log",
     10,
     false,
     "rocksdb",
     true,
     false,
     {"wal=off", "workers=2", NULL}},
    {"memory", 8, false, "memory", true, false, {"commit_every=37", NULL}},
    {"rocksdb without changelog",
     12,
     true,
     "rocksdb",
     false,
     false,
     {"changelog=off", "commit_ms=30", NULL}},
    {"slatedb", 4, false, "slatedb", true, true, {"commit_ms=50", NULL}},
    {"lmdb", 4, false, "lmdb", true, true, {"commit_ms=50", NULL}},
};
#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

static volatile sig_atomic_t told_to_stop;
static uint64_t random_state;

static void on_stop(int number)
{
    (void)number;
    told_to_stop = 1;
}

/* xorshift: the same rounds again with the same seed, but for what time does. */
static int random_below(int bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)bound);
}

static void fail_with_log(const test_fixture *fixture, const char *what)
{
    char command[400];
    snprintf(command, sizeof(command), "tail -n 40 '%s/log' >&2", fixture->dir);
    if (system(command) != 0)
        fprintf(stderr, "no log of the job\n");
    fail_msg("%s", what);
}

static pid_t start_job(const test_fixture *fixture, const scenario *with)
{
    const char *pairs[12] = {"instance=crash"};
    for (int i = 0; with->more[i]; i++)
        pairs[i + 1] = with->more[i];
    return fixture_spawn(fixture, pairs);
}

/* Waits so long; true if the process has ended by itself. */
static bool ends_within(pid_t pid, int ms, int *how)
{
    int64_t end = weir__now_ms() + ms;
    do {
        if (waitpid(pid, how, WNOHANG) == pid)
            return true;
        weir__sleep_ms(2, NULL);
    } while (weir__now_ms() < end);
    return false;
}

/*
 * A request that a killed job has sent may reach the group after its successor has joined
 * under the same instance id. The successor is fenced then and ends; who watches over it
 * starts it once more, and so do the rounds here.
 */
static bool was_fenced(int how)
{
    return WIFEXITED(how) && WEXITSTATUS(how) == JOB_FENCED;
}

/* What happens around the kill of a round. */
typedef enum disturbance { NONE, DELETE_STATE, STOP_BROKER, RESTART_BROKER } disturbance;

static disturbance choose(const scenario *with)
{
    int number = random_below(24);
    if (number < 3)
        return with->changelog ? DELETE_STATE : NONE;
    return number < 5 ? STOP_BROKER : NONE;
}

/* In the middle of work: records come while it commits, and then the kill within a moment. */
static bool live_a_while(test_fixture *fixture, pid_t pid, int *how)
{
    int64_t before = fixture_committed(fixture, PARTITIONS);
    int64_t deadline = weir__now_ms() + LONGEST_START;
    while (fixture_committed(fixture, PARTITIONS) == before && weir__now_ms() < deadline) {
        if (ends_within(pid, 5, how))
            return true;
    }
    fixture_send(fixture, 50 + random_below(1000));
    return ends_within(pid, random_below(150), how);
}

static void run_round(test_fixture *fixture, const scenario *with, disturbance what)
{
    int how = 0;
    fixture_send(fixture, 20 + random_below(400));
    pid_t pid = start_job(fixture, with);
    bool ended = random_below(2) ? ends_within(pid, random_below(LONGEST_LIFE), &how)
                                 : live_a_while(fixture, pid, &how);
    if (what == STOP_BROKER) {
        kill(fixture->broker->pid, SIGSTOP);
        ended = ended || ends_within(pid, 100 + random_below(500), &how);
        kill(fixture->broker->pid, SIGCONT);
    } else if (what == RESTART_BROKER) {
        kafka_broker_kill(fixture->broker);
        ended = ended || ends_within(pid, random_below(500), &how);
        kafka_broker_restart(fixture->broker);
        ended = ended || ends_within(pid, random_below(2000), &how);
    }
    if (ended && !was_fenced(how))
        fail_with_log(fixture, "the job has ended by itself");
    if (!ended) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &how, 0), pid);
    }
    if (what == DELETE_STATE)
        fixture_forget_state(fixture);
}

/* Lets the job finish, stops it, and looks at what it has left. */
static void drain_and_verify(test_fixture *fixture, const scenario *with)
{
    int how = 0;
    int64_t deadline = weir__now_ms() + DRAIN_MS;
    /* Offsets that move show that every partition has been recovered. */
    fixture_send(fixture, 5 * FIXTURE_KEYS);
    pid_t pid = start_job(fixture, with);
    while (fixture_committed(fixture, PARTITIONS) < fixture->sent) {
        if (waitpid(pid, &how, WNOHANG) == pid) {
            if (!was_fenced(how))
                fail_with_log(fixture, "the job has ended by itself");
            pid = start_job(fixture, with);
        }
        if (weir__now_ms() > deadline)
            fail_with_log(fixture, "the job does not come to the end of its topic");
        weir__sleep_ms(20, NULL);
    }
    assert_int_equal(kill(pid, SIGTERM), 0);
    if (!ends_within(pid, 20000, &how))
        fail_with_log(fixture, "SIGTERM does not end the job");
    if (how != 0) {
        char text[80];
        snprintf(text, sizeof(text), "the job did not end well: wait status 0x%x", (unsigned)how);
        fail_with_log(fixture, text);
    }
    assert_int_equal(fixture_committed(fixture, PARTITIONS), fixture->sent);
    job_verify_output(fixture->bootstrap, fixture->output, fixture->totals, FIXTURE_KEYS);
    if (with->changelog)
        job_verify_changelog(fixture->bootstrap, fixture->changelog, fixture->totals, FIXTURE_KEYS);
    if (strcmp(with->backend, "memory") != 0)
        job_verify_state(fixture->dir, fixture->group, fixture->source, with->backend, PARTITIONS,
                         fixture->totals, FIXTURE_KEYS);
}

static void run_scenario(void **state, const scenario *with, int rounds)
{
    int counts[4] = {0};
    if (with->is_plugin && !test_plugin_is_built(with->backend))
        return;
    test_fixture *fixture = fixture_make(state, PARTITIONS);
    fixture->config.options.state_backend = with->backend;
    int restart = with->restart && rounds > 5 ? random_below(rounds) : -1;
    for (int round = 0; round < rounds && !told_to_stop; round++) {
        disturbance what = round == restart ? RESTART_BROKER : choose(with);
        run_round(fixture, with, what);
        counts[what]++;
        if (round == rounds / 2)
            drain_and_verify(fixture, with);
    }
    drain_and_verify(fixture, with);
    printf("%s: %d records; kills: %d alone, %d with state deleted, %d with the broker stopped, "
           "%d with the broker restarted\n",
           with->name, fixture->sent, counts[NONE], counts[DELETE_STATE], counts[STOP_BROKER],
           counts[RESTART_BROKER]);
    fflush(stdout); /* the soak's only sign of life, also in a file */
    fixture_end(fixture);
}

static int rounds_in_all(void)
{
    const char *text = getenv("WEIR_CRASH_ROUNDS");
    return text && *text ? atoi(text) : DEFAULT_ROUNDS;
}

static void run_share(void **state, size_t number)
{
    int all = rounds_in_all();
    int rounds = (all * scenarios[number].share + DEFAULT_ROUNDS - 1) / DEFAULT_ROUNDS;
    run_scenario(state, &scenarios[number], rounds);
}

static void test_state_survives_kills(void **state)
{
    run_share(state, 0);
}

static void test_state_survives_kills_without_write_ahead_log(void **state)
{
    run_share(state, 1);
}

static void test_state_in_memory_survives_kills(void **state)
{
    run_share(state, 2);
}

static void test_state_without_changelog_survives_kills(void **state)
{
    run_share(state, 3);
}

static void test_state_in_slatedb_survives_kills(void **state)
{
    run_share(state, 4);
}

static void test_state_in_lmdb_survives_kills(void **state)
{
    run_share(state, 5);
}

static void test_all_of_it_until_told_to_stop(void **state)
{
    for (size_t i = 0; !told_to_stop; i++)
        run_scenario(state, &scenarios[i % SCENARIO_COUNT], 20 + random_below(30));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--job") == 0)
        return job_main(argc - 2, argv + 2);
    if (!kafka_broker_available())
        return kafka_broker_skip();
    const char *seed = getenv("WEIR_CRASH_SEED");
    random_state = seed && *seed ? strtoull(seed, NULL, 10) : (uint64_t)weir__wall_ms();
    random_state += random_state == 0;
    printf("WEIR_CRASH_SEED=%llu\n", (unsigned long long)random_state);
    if (rounds_in_all() == 0) {
        signal(SIGINT, on_stop);
        signal(SIGTERM, on_stop);
        const struct CMUnitTest endless[] = {cmocka_unit_test(test_all_of_it_until_told_to_stop)};
        return cmocka_run_group_tests(endless, kafka_broker_setup, kafka_broker_teardown);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_survives_kills),
        cmocka_unit_test(test_state_survives_kills_without_write_ahead_log),
        cmocka_unit_test(test_state_in_memory_survives_kills),
        cmocka_unit_test(test_state_without_changelog_survives_kills),
        cmocka_unit_test(test_state_in_slatedb_survives_kills),
        cmocka_unit_test(test_state_in_lmdb_survives_kills),
    };
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
