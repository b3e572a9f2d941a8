/*
 * The application on a real broker, end to end: counting, workers, topics, pause, stop.
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

#define RECORDS 4000

static void test_counts_are_exact_in_state_output_and_changelog(void **state)
{
    test_fixture *f = fixture_make(state, 4);
    fixture_send(f, RECORDS);
    test_job *job = job_start(&f->config);
    job_wait_records(job, RECORDS);
    weir_app_stats stats;
    job_figures(job, &stats);
    assert_int_equal(stats.tasks, 4);
    job_stop(job);
    assert_int_equal(fixture_committed(f, 4), RECORDS);
    fixture_verify(f, 4);
    fixture_end(f);
}

static void test_a_second_run_goes_on_where_the_first_stopped(void **state)
{
    test_fixture *f = fixture_make(state, 2);
    for (int run = 0; run < 3; run++) {
        fixture_send(f, 500);
        fixture_run(f, 500);
    }
    fixture_verify(f, 2);
    fixture_end(f);
}

static void test_state_is_rebuilt_from_the_changelog(void **state)
{
    test_fixture *f = fixture_make(state, 2);
    fixture_send(f, 1000);
    fixture_run(f, 1000);
    temp_dir_remove(f->dir);
    fixture_send(f, 100);
    test_job *job = job_start(&f->config);
    job_wait_records(job, 100);
    weir_app_stats stats;
    job_figures(job, &stats);
    assert_true(stats.recovered > 0);
    assert_int_equal(stats.recovering, 0);
    job_stop(job);
    fixture_verify(f, 2);
    fixture_end(f);
}

static void test_state_in_memory_is_rebuilt_at_each_start(void **state)
{
    test_fixture *f = fixture_make(state, 2);
    f->config.options.state_backend = "memory";
    for (int run = 0; run < 2; run++) {
        fixture_send(f, 500);
        fixture_run(f, 500);
    }
    job_verify_output(f->bootstrap, f->output, f->totals, FIXTURE_KEYS);
    job_verify_changelog(f->bootstrap, f->changelog, f->totals, FIXTURE_KEYS);
    fixture_end(f);
}

static void test_workers_share_the_partitions(void **state)
{
    test_fixture *f = fixture_make(state, 6);
    f->config.options.workers = 3;
    fixture_send(f, RECORDS);
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 6);
    job_wait_records(job, RECORDS);
    job_stop(job);
    fixture_verify(f, 6);
    fixture_end(f);
}

static void test_workers_with_static_membership_are_members_of_their_own(void **state)
{
    static const weir_option member[] = {{"group.instance.id", "one"}, {NULL, NULL}};
    test_fixture *f = fixture_make(state, 4);
    f->config.options.workers = 2;
    f->config.options.consumer = member;
    fixture_send(f, 400);
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 4);
    job_wait_records(job, 400);
    job_stop(job);
    fixture_verify(f, 4);
    fixture_end(f);
}

static void test_without_changelog_state_and_offsets_agree_after_a_stop(void **state)
{
    test_fixture *f = fixture_make(state, 2);
    f->config.options.use_changelog = false;
    for (int run = 0; run < 2; run++) {
        fixture_send(f, 500);
        fixture_run(f, 500);
    }
    fixture_verify(f, 2);
    assert_int_equal(kafka_partition_count(f->bootstrap, f->changelog), 0);
    fixture_end(f);
}

static void test_checkpoints_come_by_count_when_the_interval_is_long(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.commit_interval_ms = 3600 * 1000;
    f->config.options.commit_every = 100;
    fixture_send(f, 1000);
    weir_app_stats stats = fixture_run_until(f, 1000);
    assert_int_equal(stats.checkpoints, 10);
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_large_transactions_bring_a_checkpoint_forward(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.commit_interval_ms = 3600 * 1000;
    f->config.options.workers = 16; /* the bound of each is a sixteenth of 16 MiB */
    rd_kafka_t *producer = kafka_producer(f->bootstrap, NULL);
    for (int i = 0; i < 40000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key-%d", i);
        kafka_send(producer, f->source, 0, key, "1", 0);
    }
    kafka_flush(producer);
    rd_kafka_destroy(producer);
    test_job *job = job_start(&f->config);
    job_wait_records(job, 40000);
    weir_app_stats stats;
    job_figures(job, &stats);
    assert_true(stats.checkpoints >= 2);
    job_stop(job);
    fixture_end(f);
}

static bool is_paused(void *arg)
{
    (void)arg;
    return log_captured("app.pause", "worker=0");
}

static void test_pause_checkpoints_and_keeps_the_partitions(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.commit_interval_ms = 3600 * 1000;
    fixture_send(f, 300);
    log_capture_start();
    test_job *job = job_start(&f->config);
    job_wait_records(job, 300);
    weir_app_pause(job->app);
    wait_until(is_paused, NULL, 10000, "the pause");
    fixture_wait_committed(f, 300);
    fixture_send(f, 200);
    weir_app_stats stats;
    for (int i = 0; i < 20; i++) {
        weir__sleep_ms(20, NULL); /* long enough to fetch what must not be fetched */
        job_figures(job, &stats);
        assert_int_equal(stats.records, 300);
        assert_int_equal(stats.tasks, 1);
    }
    weir_app_resume(job->app);
    job_wait_records(job, 500);
    job_stop(job);
    log_capture_stop();
    fixture_verify(f, 1);
    fixture_end(f);
}

/* The job in a process of its own, ended by a signal. */
static void end_by_signal(void **state, int number)
{
    test_fixture *f = fixture_make(state, 1);
    static const char *const pairs[] = {"commit_ms=600000", "commit_every=1", NULL};
    fixture_send(f, 1000);
    pid_t pid = fixture_spawn(f, pairs);
    fixture_wait_committed(f, 500);
    int64_t began = weir__now_ms();
    assert_int_equal(kill(pid, number), 0);
    int how = 0;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    assert_true(weir__now_ms() - began < 15000);
    /* What was processed before the signal is committed; the rest comes now. */
    fixture_finish(f, 1000);
}

static void test_sigterm_ends_cleanly_within_the_deadline(void **state)
{
    end_by_signal(state, SIGTERM);
}

static void test_sigint_ends_cleanly_within_the_deadline(void **state)
{
    end_by_signal(state, SIGINT);
}

static void on_usr(int number)
{
    (void)number;
}

static void test_handlers_of_the_program_are_put_back(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    struct sigaction own;
    struct sigaction after;
    memset(&own, 0, sizeof(own));
    own.sa_handler = on_usr;
    assert_int_equal(sigaction(SIGTERM, &own, NULL), 0);
    f->config.options.handle_signals = true;
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 1);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    weir_error err;
    assert_int_equal(job_join(job, &err), WEIR_OK);
    assert_int_equal(sigaction(SIGTERM, NULL, &after), 0);
    assert_ptr_equal(after.sa_handler, on_usr);
    own.sa_handler = SIG_DFL;
    assert_int_equal(sigaction(SIGTERM, &own, NULL), 0);
    fixture_end(f);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--job") == 0)
        return job_main(argc - 2, argv + 2);
    if (!kafka_broker_available())
        return kafka_broker_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_exact_in_state_output_and_changelog),
        cmocka_unit_test(test_a_second_run_goes_on_where_the_first_stopped),
        cmocka_unit_test(test_state_is_rebuilt_from_the_changelog),
        cmocka_unit_test(test_state_in_memory_is_rebuilt_at_each_start),
        cmocka_unit_test(test_workers_share_the_partitions),
        cmocka_unit_test(test_workers_with_static_membership_are_members_of_their_own),
        cmocka_unit_test(test_without_changelog_state_and_offsets_agree_after_a_stop),
        cmocka_unit_test(test_checkpoints_come_by_count_when_the_interval_is_long),
        cmocka_unit_test(test_large_transactions_bring_a_checkpoint_forward),
        cmocka_unit_test(test_pause_checkpoints_and_keeps_the_partitions),
        cmocka_unit_test(test_sigterm_ends_cleanly_within_the_deadline),
        cmocka_unit_test(test_sigint_ends_cleanly_within_the_deadline),
        cmocka_unit_test(test_handlers_of_the_program_are_put_back),
    };
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
