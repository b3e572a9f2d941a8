/*
 * The application on librdkafka's mock cluster: works without Java and without a server, as
 * the demo does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"

#include "support/plugins.h"

#include <cmocka.h>

#include "base/clock.h"

#define SESSION_MS 3000 /* of job_config_init */

static int setup(void **state)
{
    *state = kafka_mock_start(1);
    return 0;
}

static int teardown(void **state)
{
    kafka_mock_stop(*state);
    return 0;
}

/* The mock cluster answers no CreateTopics, so the topics are there before. */
static test_fixture *mock_fixture(const kafka_mock *mock, int partitions)
{
    static kafka_broker broker;
    void *state = &broker;
    snprintf(broker.bootstrap, sizeof(broker.bootstrap), "%s", mock->bootstrap);
    test_fixture *fixture = fixture_make(&state, 0);
    kafka_mock_create_topic((kafka_mock *)(uintptr_t)mock, fixture->source, partitions);
    kafka_mock_create_topic((kafka_mock *)(uintptr_t)mock, fixture->output, partitions);
    kafka_mock_create_topic((kafka_mock *)(uintptr_t)mock, fixture->changelog, partitions);
    return fixture;
}

static void test_counts_are_exact_over_two_runs(void **state)
{
    test_fixture *f = mock_fixture(*state, 2);
    for (int run = 0; run < 2; run++) {
        fixture_send(f, 1000);
        fixture_run(f, 1000);
    }
    fixture_verify(f, 2);
    fixture_end(f);
}

/* The folder is rocksdb's; the same job is started with another backend. */
static void test_another_backend_is_refused_or_rebuilt_from_the_changelog(void **state)
{
    weir_error err;
    if (!test_plugin_is_built("lmdb"))
        skip();
    test_fixture *f = mock_fixture(*state, 2);
    fixture_send(f, 1000);
    fixture_run(f, 1000);

    f->config.options.state_backend = "lmdb";
    test_job *job = job_start(&f->config);
    weir_error_init(&err);
    assert_int_equal(job_join(job, &err), WEIR_WRONG_BACKEND);
    assert_non_null(strstr(err.message, "weir state migrate --from 'rocksdb:"));

    f->config.options.on_backend_mismatch = WEIR_MISMATCH_REBUILD;
    log_capture_start();
    fixture_send(f, 500);
    fixture_run(f, 500);
    assert_true(log_captured("store.replaced", "written by the backend 'rocksdb'"));
    assert_true(log_captured("store.recreated", "another backend"));
    log_capture_stop();
    fixture_verify(f, 2);
    fixture_end(f);
}

/* The commit is refused as by a group that has gone on without the member: nothing of the
 * checkpoint counts, and the work is done once more. */
static void test_a_fenced_commit_starts_the_tasks_anew(void **state)
{
    const kafka_mock *mock = *state;
    test_fixture *f = mock_fixture(mock, 1);
    f->config.options.commit_interval_ms = 3600 * 1000;
    f->config.options.commit_every = 100;
    fixture_send(f, 250);
    rd_kafka_mock_push_request_errors(mock->cluster, 8 /* OffsetCommit */, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    log_capture_start();
    test_job *job = job_start(&f->config);
    fixture_wait_committed(f, 200);
    job_stop(job);
    assert_true(log_captured("checkpoint.fenced", "nothing of it counts"));
    log_capture_stop();
    fixture_verify(f, 1);
    fixture_end(f);
}

static bool was_away(void *arg)
{
    return weir__now_ms() - *(const int64_t *)arg > SESSION_MS / 2;
}

/* It has committed nothing yet and stands still so long that the group may go on without it, as it
 * does here. Its values may be old by now, so it has to ask before it writes any. */
static void test_a_worker_that_was_away_before_its_first_commit_writes_nothing(void **state)
{
    static job_hold hold;
    const kafka_mock *mock = *state;
    int64_t low;
    int64_t high;
    test_fixture *f = mock_fixture(mock, 1);
    hold.offset = 50;
    f->config.apply = job_count_held;
    f->config.arg = &hold;
    f->config.options.commit_interval_ms = 3600 * 1000;
    fixture_send(f, 100);
    log_capture_start();
    test_job *job = job_start(&f->config);
    job_wait_held(&hold);
    int64_t began = weir__now_ms();
    rd_kafka_mock_push_request_errors(mock->cluster, 8 /* OffsetCommit */, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    weir_app_stop(job->app);
    wait_until(was_away, &began, 10000, "half the session to be over");
    job_let_go(&hold);
    assert_int_equal(job_join(job, NULL), WEIR_OK);
    assert_true(log_captured("checkpoint.fenced", "nothing of it counts"));
    log_capture_stop();
    kafka_watermarks(f->bootstrap, f->changelog, 0, &low, &high);
    assert_int_equal(high, 0);
    assert_int_equal(fixture_committed(f, 1), 0); /* all records come again */
    fixture_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_exact_over_two_runs),
        cmocka_unit_test(test_another_backend_is_refused_or_rebuilt_from_the_changelog),
        cmocka_unit_test(test_a_fenced_commit_starts_the_tasks_anew),
        cmocka_unit_test(test_a_worker_that_was_away_before_its_first_commit_writes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
