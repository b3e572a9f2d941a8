/*
 * Where processing starts: committed offsets that are missing, policies, and state that is
 * ahead of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"

#include <cmocka.h>

/* Forgets what the group has committed, as an expiry of its offsets does. */
static void forget_offsets(const test_fixture *fixture)
{
    char text[256];
    rd_kafka_t *client = kafka_producer(fixture->bootstrap, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(fixture->group);
    rd_kafka_DeleteGroups(client, &group, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    snprintf(text, sizeof(text), "%s", rd_kafka_event_error_string(event));
    if (rd_kafka_event_error(event))
        fail_msg("deleting the group: %s", text);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteGroup_destroy(group);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    assert_int_equal(kafka_committed(fixture->bootstrap, fixture->group, fixture->source, 0), -1);
}

/* A job that has processed `count` records, and whose group then forgot its offsets. */
static test_fixture *forgetful_fixture(void **state, int count)
{
    test_fixture *fixture = fixture_make(state, 1);
    fixture_send(fixture, count);
    fixture_run(fixture, (uint64_t)count);
    forget_offsets(fixture);
    return fixture;
}

static void test_fail_policy_stops_before_state_is_touched(void **state)
{
    weir_error err;
    test_fixture *f = forgetful_fixture(state, 200);
    f->config.options.missing_offset_policy = WEIR_MISSING_OFFSET_FAIL;
    test_job *job = job_start(&f->config);
    assert_int_equal(job_join(job, &err), WEIR_OFFSET);
    assert_non_null(strstr(err.message, f->source));
    assert_non_null(strstr(err.message, "partition=0"));
    assert_non_null(strstr(err.message, "missing_offset_policy"));
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_fail_policy_lets_a_new_group_start(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.missing_offset_policy = WEIR_MISSING_OFFSET_FAIL;
    fixture_send(f, 100);
    fixture_run(f, 100);
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_changelog_policy_goes_on_after_the_last_record_it_has_seen(void **state)
{
    for (int deleted = 0; deleted < 2; deleted++) {
        test_fixture *f = forgetful_fixture(state, 200);
        if (deleted)
            fixture_forget_state(f);
        f->config.options.missing_offset_policy = WEIR_MISSING_OFFSET_CHANGELOG;
        fixture_send(f, 50);
        log_capture_start();
        weir_app_stats stats = fixture_run_until(f, 250);
        assert_int_equal(stats.records, 50);
        assert_true(log_captured("recovery.missing_offset", "changelog"));
        log_capture_stop();
        fixture_verify(f, 1);
        fixture_end(f);
    }
}

/* All records come again, so neither the changelog nor the local state may count before. */
static void test_reset_policy_to_earliest_counts_all_again_from_nothing(void **state)
{
    for (int deleted = 0; deleted < 2; deleted++) {
        test_fixture *f = forgetful_fixture(state, 200);
        if (deleted)
            fixture_forget_state(f);
        log_capture_start();
        weir_app_stats stats = fixture_run_until(f, 200);
        assert_int_equal(stats.records, 200);
        assert_int_equal(stats.recovered, 0);
        assert_true(log_captured("recovery.missing_offset", "0 changelog records applied"));
        assert_true(log_captured("recovery.rebuild", "holds records up to 199") == !deleted);
        log_capture_stop();
        fixture_verify(f, 1);
        fixture_end(f);
    }
}

/* No record comes again, so all of the changelog counts. */
static void test_reset_policy_to_latest_keeps_what_the_changelog_holds(void **state)
{
    test_fixture *f = forgetful_fixture(state, 200);
    fixture_forget_state(f);
    f->config.options.auto_offset_reset = "latest";
    log_capture_start();
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 1);
    fixture_send(f, 50);
    fixture_wait_committed(f, 250);
    weir_app_stats stats;
    job_figures(job, &stats);
    assert_int_equal(stats.records, 50);
    assert_true(stats.recovered > 0);
    job_stop(job);
    assert_true(log_captured("recovery.missing_offset", "0 skipped"));
    log_capture_stop();
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_reset_to_error_stops(void **state)
{
    weir_error err;
    test_fixture *f = fixture_make(state, 1);
    f->config.options.auto_offset_reset = "error";
    test_job *job = job_start(&f->config);
    assert_int_equal(job_join(job, &err), WEIR_OFFSET);
    assert_non_null(strstr(err.message, "auto_offset_reset"));
    assert_non_null(strstr(err.message, f->source));
    fixture_end(f);
}

/* A start at the end of a topic is remembered: records that come while the job is away are
 * not passed over at its next start. */
static void test_a_start_at_latest_is_committed_although_nothing_came(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.auto_offset_reset = "latest";
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 1);
    job_stop(job);
    assert_int_equal(kafka_committed(f->bootstrap, f->group, f->source, 0), 0);
    fixture_send(f, 100);
    fixture_run(f, 100);
    fixture_verify(f, 1);
    fixture_end(f);
}

static void commit_offset(const test_fixture *fixture, int64_t offset)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", fixture->bootstrap, text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", fixture->group, text, sizeof(text));
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, fixture->source, 0)->offset = offset;
    assert_int_equal(rd_kafka_commit(client, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
}

/* As after a crash between the flush of a store without changelog and the commit. */
static void test_state_without_changelog_that_is_ahead_of_the_commit_wins(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.use_changelog = false;
    fixture_send(f, 200);
    fixture_run(f, 200);
    commit_offset(f, 120);
    fixture_send(f, 30);
    log_capture_start();
    weir_app_stats stats = fixture_run_until(f, 230);
    assert_int_equal(stats.records, 30);
    assert_true(log_captured("task.offset", "going on at 200"));
    log_capture_stop();
    fixture_verify(f, 1);
    fixture_end(f);
}

/* Changes that reached the changelog but not the commit belong to records that come again. */
static void test_changelog_records_beyond_the_commit_are_skipped_in_a_rebuild(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.commit_every = 10;
    f->config.options.commit_interval_ms = 3600 * 1000;
    fixture_send(f, 200);
    fixture_run(f, 200);
    commit_offset(f, 120);
    fixture_forget_state(f);
    weir_app_stats stats = fixture_run_until(f, 200);
    assert_int_equal(stats.records, 80);
    fixture_verify(f, 1);
    fixture_end(f);
}

/* The records that the group stands at have been deleted. */
static void test_a_committed_offset_that_is_gone_is_told(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    fixture_send(f, 100);
    fixture_run(f, 100);
    rd_kafka_t *producer = kafka_producer(f->bootstrap, NULL);
    for (int i = 0; i < 50; i++)
        kafka_send(producer, f->source, 0, "other", "1", 0);
    kafka_flush(producer);
    rd_kafka_destroy(producer);
    kafka_delete_records(f->bootstrap, f->source, 0, 150);
    fixture_send(f, 20);
    log_capture_start();
    weir_app_stats stats = fixture_run_until(f, 170);
    assert_int_equal(stats.records, 20);
    assert_true(log_captured("task.offset", "the committed offset 100 is gone"));
    log_capture_stop();
    fixture_verify(f, 1);
    fixture_end(f);
}

int main(void)
{
    if (!kafka_broker_available())
        return kafka_broker_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_policy_stops_before_state_is_touched),
        cmocka_unit_test(test_fail_policy_lets_a_new_group_start),
        cmocka_unit_test(test_changelog_policy_goes_on_after_the_last_record_it_has_seen),
        cmocka_unit_test(test_reset_policy_to_earliest_counts_all_again_from_nothing),
        cmocka_unit_test(test_reset_policy_to_latest_keeps_what_the_changelog_holds),
        cmocka_unit_test(test_reset_to_error_stops),
        cmocka_unit_test(test_a_start_at_latest_is_committed_although_nothing_came),
        cmocka_unit_test(test_state_without_changelog_that_is_ahead_of_the_commit_wins),
        cmocka_unit_test(test_changelog_records_beyond_the_commit_are_skipped_in_a_rebuild),
        cmocka_unit_test(test_a_committed_offset_that_is_gone_is_told),
    };
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
