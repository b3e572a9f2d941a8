/*
 * Partitions that move between members of the group: workers, applications, processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
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

/* Counts what several jobs have taken together. */
typedef struct pair_arg {
    test_job *jobs[2];
    uint64_t records;
    uint32_t tasks[2];
} pair_arg;

static bool share_tasks(void *arg)
{
    const pair_arg *wanted = arg;
    for (int i = 0; i < 2; i++) {
        weir_app_stats stats;
        if (!wanted->jobs[i])
            continue;
        job_figures(wanted->jobs[i], &stats);
        if (__atomic_load_n(&wanted->jobs[i]->ended, __ATOMIC_ACQUIRE))
            fail_msg("a job has ended: %s", wanted->jobs[i]->err.message);
        if (stats.tasks != wanted->tasks[i] || stats.recovering > 0)
            return false;
    }
    return true;
}

/* One state folder for both, as two processes of one machine have it: what one gives up, the
 * other opens; the lock of the folder passes over. */
static void test_state_moves_to_a_member_that_joins_and_back(void **state)
{
    test_fixture *f = fixture_make(state, 4);
    fixture_send(f, 1000);
    test_job *first = job_start(&f->config);
    job_wait_tasks(first, 4);
    fixture_send(f, 1000);
    test_job *second = job_start(&f->config);
    fixture_send(f, 1000);
    pair_arg shared = {.jobs = {first, second}, .tasks = {2, 2}};
    wait_until(share_tasks, &shared, 30000, "two tasks for each");
    fixture_send(f, 1000);
    fixture_wait_all_committed(f, 4);
    job_stop(second);
    fixture_send(f, 1000);
    job_wait_tasks(first, 4);
    fixture_wait_all_committed(f, 4);
    job_stop(first);
    fixture_verify(f, 4);
    fixture_end(f);
}

/* Folders of their own, as on two machines: state comes from the changelog. */
static void test_state_is_rebuilt_on_another_machine(void **state)
{
    char dir[256];
    test_fixture *f = fixture_make(state, 4);
    fixture_send(f, 2000);
    test_job *first = job_start(&f->config);
    job_wait_records(first, 2000);
    temp_dir_make(dir);
    job_config other = f->config;
    other.options.state_dir = dir;
    test_job *second = job_start(&other);
    pair_arg shared = {.jobs = {first, second}, .tasks = {2, 2}};
    wait_until(share_tasks, &shared, 30000, "two tasks for each");
    weir_app_stats stats;
    job_figures(second, &stats);
    assert_true(stats.recovered > 0);
    fixture_send(f, 2000);
    fixture_wait_all_committed(f, 4);
    job_stop(second); /* a clean leave */
    fixture_send(f, 500);
    job_wait_tasks(first, 4);
    fixture_wait_all_committed(f, 4);
    job_stop(first);
    fixture_verify(f, 4);
    temp_dir_remove(dir);
    fixture_end(f);
}

static void test_a_killed_process_is_replaced_by_another_member(void **state)
{
    static const char *const more[] = {"commit_ms=50", NULL};
    int how = 0;
    test_fixture *f = fixture_make(state, 4);
    fixture_send(f, 1000);
    pid_t pid = fixture_spawn(f, more);
    fixture_wait_all_committed(f, 4);
    test_job *survivor = job_start(&f->config);
    job_wait_tasks(survivor, 2);
    fixture_send(f, 500);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    fixture_send(f, 500);
    job_wait_tasks(survivor, 4); /* after session.timeout.ms */
    fixture_wait_all_committed(f, 4);
    job_stop(survivor);
    fixture_verify(f, 4);
    fixture_end(f);
}

/* Stopped for longer than its session, and then woken: what it had under way must not count,
 * because others have done it meanwhile. (Output that it had queued still goes out: at least
 * once.) */
static void test_a_member_that_was_away_too_long_does_no_harm(void **state)
{
    static const char *const more[] = {"commit_ms=50", NULL};
    int how = 0;
    test_fixture *f = fixture_make(state, 4);
    char dir[256];
    temp_dir_make(dir);
    fixture_send(f, 1000);
    pid_t zombie = fixture_spawn(f, more);
    fixture_wait_all_committed(f, 4);
    fixture_send(f, 2000);
    assert_int_equal(kill(zombie, SIGSTOP), 0);
    job_config other = f->config;
    other.options.state_dir = dir;
    test_job *job = job_start(&other);
    fixture_wait_all_committed(f, 4); /* after session.timeout.ms */
    assert_int_equal(kill(zombie, SIGCONT), 0);
    fixture_send(f, 1000);
    fixture_wait_all_committed(f, 4);
    job_wait_tasks(job, 2); /* it is a member again */
    fixture_send(f, 1000);
    fixture_wait_all_committed(f, 4);
    assert_int_equal(kill(zombie, SIGTERM), 0);
    assert_int_equal(waitpid(zombie, &how, 0), zombie);
    assert_int_equal(how, 0);
    job_wait_tasks(job, 4);
    job_stop(job);
    job_verify_changelog(f->bootstrap, f->changelog, f->totals, FIXTURE_KEYS);
    job_verify_state(dir, f->group, f->source, "rocksdb", 4, f->totals, FIXTURE_KEYS);
    temp_dir_remove(dir);
    fixture_end(f);
}

static bool has_output(void *arg)
{
    const test_fixture *fixture = arg;
    int64_t low;
    int64_t high;
    int64_t count = 0;
    for (int p = 0; p < 2; p++) {
        kafka_watermarks(fixture->bootstrap, fixture->output, p, &low, &high);
        count += high;
    }
    return count >= fixture->sent;
}

/* It wakes up with changes that it has not written yet, and goes straight to its last
 * checkpoint. Their values are old by now; the changelog must not get them. */
static void test_a_zombie_writes_nothing_to_the_changelog(void **state)
{
    static const char *const more[] = {"commit_ms=3600000", NULL};
    int how = 0;
    char dir[256];
    test_fixture *f = fixture_make(state, 2);
    kafka_create_topic(f->bootstrap, f->output, 2, NULL);
    temp_dir_make(dir);
    fixture_send(f, 1000);
    pid_t zombie = fixture_spawn(f, more);
    wait_until(has_output, f, 20000, "the process to have processed all");
    assert_int_equal(kill(zombie, SIGSTOP), 0);
    fixture_send(f, 1000);
    job_config other = f->config;
    other.options.state_dir = dir;
    test_job *job = job_start(&other);
    fixture_wait_all_committed(f, 2);
    assert_int_equal(kill(zombie, SIGTERM), 0);
    assert_int_equal(kill(zombie, SIGCONT), 0);
    assert_int_equal(waitpid(zombie, &how, 0), zombie);
    assert_int_equal(how, 0);
    job_stop(job);
    job_verify_changelog(f->bootstrap, f->changelog, f->totals, FIXTURE_KEYS);
    job_verify_state(dir, f->group, f->source, "rocksdb", 2, f->totals, FIXTURE_KEYS);
    temp_dir_remove(dir);
    fixture_end(f);
}

typedef struct slow_recovery {
    int64_t calls;
    int64_t gate; /* atomic: recovery waits here while it is closed */
} slow_recovery;

static void slow_down(const weir_recovery_progress *progress, void *arg)
{
    slow_recovery *slow = arg;
    (void)progress;
    __atomic_add_fetch(&slow->calls, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&slow->gate, __ATOMIC_ACQUIRE))
        weir__sleep_ms(50, NULL);
}

static bool recovers(void *arg)
{
    return __atomic_load_n(&((slow_recovery *)arg)->calls, __ATOMIC_RELAXED) > 0;
}

/* A member that is still reading changelogs gives partitions up as promptly as any other. */
static void test_partitions_are_given_up_during_recovery(void **state)
{
    slow_recovery slow = {0, 1};
    char dir[256];
    test_fixture *f = fixture_make(state, 4);
    f->config.options.commit_every = 20;
    fixture_send(f, 4000);
    test_job *first = job_start(&f->config);
    job_wait_records(first, 4000);
    job_stop(first);
    temp_dir_make(dir);
    job_config recovering = f->config;
    recovering.options.state_dir = dir;
    recovering.options.on_recovery = slow_down;
    recovering.options.on_recovery_arg = &slow;
    test_job *second = job_start(&recovering);
    wait_until(recovers, &slow, 20000, "the recovery to begin");
    first = job_start(&f->config);
    job_wait_tasks(first, 2);
    __atomic_store_n(&slow.gate, 0, __ATOMIC_RELEASE);
    fixture_send(f, 500);
    fixture_wait_all_committed(f, 4);
    job_stop(second);
    job_wait_tasks(first, 4);
    job_stop(first);
    fixture_verify(f, 4);
    temp_dir_remove(dir);
    fixture_end(f);
}

static void test_a_stop_during_recovery_is_clean(void **state)
{
    slow_recovery slow = {0, 1};
    test_fixture *f = fixture_make(state, 2);
    f->config.options.commit_every = 20;
    fixture_send(f, 2000);
    fixture_run(f, 2000);
    fixture_forget_state(f);
    f->config.options.on_recovery = slow_down;
    f->config.options.on_recovery_arg = &slow;
    test_job *job = job_start(&f->config);
    wait_until(recovers, &slow, 20000, "the recovery to begin");
    job_stop(job);
    slow.gate = 0;
    fixture_send(f, 100);
    job = job_start(&f->config);
    fixture_wait_all_committed(f, 2);
    job_stop(job);
    fixture_verify(f, 2);
    fixture_end(f);
}

/* Among others between joining the group and being given partitions, where old versions of
 * librdkafka abort the process when a consumer is destroyed. A member that leaves while it joins is
 * waited for by the group, and so by the next one's stop, until its session is over. */
static void test_a_stop_at_any_moment_is_clean(void **state)
{
    static const weir_option short_session[] = {{"session.timeout.ms", "1000"},
                                                {"heartbeat.interval.ms", "200"},
                                                {"fetch.wait.max.ms", "50"},
                                                {NULL, NULL}};
    test_fixture *f = fixture_make(state, 4);
    f->config.options.consumer = short_session;
    f->config.options.workers = 3;
    f->config.options.state_backend = "memory";
    for (int i = 0; i < 20; i++) {
        fixture_send(f, FIXTURE_KEYS);
        test_job *job = job_start(&f->config);
        weir__sleep_ms(i * 25, NULL);
        job_stop(job);
    }
    fixture_send(f, FIXTURE_KEYS);
    test_job *job = job_start(&f->config);
    fixture_wait_all_committed(f, 4);
    job_stop(job);
    job_verify_output(f->bootstrap, f->output, f->totals, FIXTURE_KEYS);
    job_verify_changelog(f->bootstrap, f->changelog, f->totals, FIXTURE_KEYS);
    fixture_end(f);
}

static void test_a_stuck_callback_does_not_hold_the_stop_up(void **state)
{
    static job_hold stuck; /* for longer than anybody waits */
    weir_error err;
    test_fixture *f = fixture_make(state, 1);
    stuck.offset = 5;
    f->config.apply = job_count_held;
    f->config.arg = &stuck;
    f->config.options.stop_timeout_ms = 500;
    fixture_send(f, 2 * FIXTURE_KEYS);
    test_job *job = job_start(&f->config);
    job_wait_held(&stuck);
    int64_t began = weir__now_ms();
    weir_app_stop(job->app);
    assert_int_equal(job_join(job, &err), WEIR_TIMEOUT);
    assert_non_null(strstr(err.message, "stop_timeout_ms=500"));
    assert_true(weir__now_ms() - began < 5000);
    /* The worker ends by itself once the callback lets it, and nothing is lost. */
    job_let_go(&stuck);
    f->config.apply = NULL;
    fixture_finish(f, 2 * FIXTURE_KEYS);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--job") == 0)
        return job_main(argc - 2, argv + 2);
    if (!kafka_broker_available())
        return kafka_broker_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_moves_to_a_member_that_joins_and_back),
        cmocka_unit_test(test_state_is_rebuilt_on_another_machine),
        cmocka_unit_test(test_a_killed_process_is_replaced_by_another_member),
        cmocka_unit_test(test_a_member_that_was_away_too_long_does_no_harm),
        cmocka_unit_test(test_a_zombie_writes_nothing_to_the_changelog),
        cmocka_unit_test(test_partitions_are_given_up_during_recovery),
        cmocka_unit_test(test_a_stop_during_recovery_is_clean),
        cmocka_unit_test(test_a_stop_at_any_moment_is_clean),
        cmocka_unit_test(test_a_stuck_callback_does_not_hold_the_stop_up),
    };
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
