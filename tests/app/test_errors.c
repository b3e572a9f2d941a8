/*
 * What can't work is told once, clearly, and loses nothing: topics, brokers, records,
 * callbacks, state folders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support_fixture.h"

#include <cmocka.h>

#include "base/clock.h"

static void assert_says(const weir_error *err, const char *part)
{
    if (!strstr(err->message, part))
        fail_msg("\"%s\" does not say \"%s\"", err->message, part);
}

/* Runs until the job ends by itself. */
static void assert_ends_with(const job_config *config, weir_status expected, weir_error *err)
{
    test_job *job = job_start(config);
    weir_status status = job_join(job, err);
    if (status != expected)
        fail_msg("ended with %s (%s), not %s", weir_status_name(status), err->message,
                 weir_status_name(expected));
    assert_int_equal(err->status, expected);
}

/* ---------------------------------------------------------------------------
 * Brokers and topics
 * ------------------------------------------------------------------------- */

static void test_unreachable_broker_is_told_within_the_timeout(void **state)
{
    test_fixture *f = fixture_make(state, 0);
    weir_error err;
    int64_t began = weir__now_ms();
    f->config.options.broker = "127.0.0.1:1";
    f->config.options.connect_timeout_ms = 1000;
    assert_ends_with(&f->config, WEIR_KAFKA, &err);
    assert_says(&err, "127.0.0.1:1");
    assert_true(weir__now_ms() - began < 8000);
    fixture_end(f);
}

static void test_stop_ends_the_wait_for_a_broker(void **state)
{
    test_fixture *f = fixture_make(state, 0);
    f->config.options.broker = "127.0.0.1:1";
    f->config.options.connect_timeout_ms = 600000;
    test_job *job = job_start(&f->config);
    weir__sleep_ms(50, NULL); /* into the wait, or before it: both must end */
    job_stop(job);
    fixture_end(f);
}

static void test_missing_topic_is_told_when_topics_are_not_created(void **state)
{
    test_fixture *f = fixture_make(state, 0);
    weir_error err;
    f->config.options.auto_create_topics = false;
    assert_ends_with(&f->config, WEIR_TOPIC, &err);
    assert_says(&err, f->source);
    assert_says(&err, "does not exist");
    kafka_create_topic(f->bootstrap, f->source, 2, NULL);
    assert_ends_with(&f->config, WEIR_TOPIC, &err);
    assert_says(&err, f->output);
    kafka_create_topic(f->bootstrap, f->output, 2, NULL);
    assert_ends_with(&f->config, WEIR_TOPIC, &err);
    assert_says(&err, f->changelog);
    fixture_end(f);
}

static void test_missing_topics_are_created_with_the_right_shape(void **state)
{
    test_fixture *f = fixture_make(state, 0);
    f->config.source_partitions = 3;
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 3);
    job_stop(job);
    assert_int_equal(kafka_partition_count(f->bootstrap, f->source), 3);
    assert_int_equal(kafka_partition_count(f->bootstrap, f->output), 3);
    assert_int_equal(kafka_partition_count(f->bootstrap, f->changelog), 3);
    char *policy = kafka_topic_config(f->bootstrap, f->changelog, "cleanup.policy");
    assert_string_equal(policy, "compact");
    free(policy);
    fixture_end(f);
}

static void test_wrong_number_of_partitions_is_told_for_each_kind_of_topic(void **state)
{
    test_fixture *f = fixture_make(state, 2);
    weir_error err;
    f->config.source_partitions = 3;
    assert_ends_with(&f->config, WEIR_TOPIC, &err);
    assert_says(&err, "has 2 partitions, expected 3");
    assert_says(&err, f->source);
    f->config.source_partitions = 0;
    kafka_create_topic(f->bootstrap, f->output, 1, NULL);
    f->config.output_partitions = 4;
    assert_ends_with(&f->config, WEIR_TOPIC, &err);
    assert_says(&err, "has 1 partitions, expected 4");
    f->config.output_partitions = 0;
    kafka_create_topic(f->bootstrap, f->changelog, 5, NULL);
    assert_ends_with(&f->config, WEIR_TOPIC, &err);
    assert_says(&err, "has 5 partitions, expected 2");
    assert_says(&err, f->changelog);
    fixture_end(f);
}

/* ---------------------------------------------------------------------------
 * Records that can't be handled
 * ------------------------------------------------------------------------- */

static void send_one(const test_fixture *fixture, const char *key, const char *value)
{
    rd_kafka_t *producer = kafka_producer(fixture->bootstrap, NULL);
    kafka_send(producer, fixture->source, 0, key, value, 0);
    kafka_flush(producer);
    rd_kafka_destroy(producer);
}

static void test_a_bad_record_stops_the_job_and_what_came_before_counts(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    char place[400];
    f->config.options.commit_interval_ms = 3600 * 1000;
    fixture_send(f, 100);
    send_one(f, "key1", "{\"broken");
    assert_ends_with(&f->config, WEIR_SERIALIZATION, &err);
    snprintf(place, sizeof(place), "topic=%s partition=0 offset=100", f->source);
    assert_says(&err, place);
    assert_says(&err, "not an integer");
    assert_int_equal(fixture_committed(f, 1), 100);
    fixture_verify(f, 1);
    /* It is still there, and tells the same again. */
    assert_ends_with(&f->config, WEIR_SERIALIZATION, &err);
    assert_says(&err, place);
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_bad_records_are_skipped_when_asked_for(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.options.error_policy = WEIR_ERROR_SKIP;
    fixture_send(f, 100);
    send_one(f, "key1", "{\"broken");
    fixture_send(f, 50);
    send_one(f, "key2", NULL);
    send_one(f, NULL, "7"); /* state needs a key */
    fixture_send(f, 50);
    log_capture_start();
    test_job *job = job_start(&f->config);
    job_wait_records(job, 203);
    weir_app_stats stats;
    job_figures(job, &stats);
    assert_int_equal(stats.skipped, 3);
    job_stop(job);
    assert_true(log_captured("record.skip", "offset=100"));
    log_capture_stop();
    assert_int_equal(fixture_committed(f, 1), 203);
    fixture_verify(f, 1);
    fixture_end(f);
}

/* Counts, and refuses by a change that state does not take: that spoils the transaction. */
static weir_status count_or_spoil(weir_context *context, weir_state *state,
                                  const weir_record *record, void *arg, weir_error *err)
{
    if (record->value.size == 3 && memcmp(record->value.data, "NaN", 3) == 0)
        return weir_state_set_double(state, "d", NAN, err);
    return job_count(context, state, record, arg, err);
}

static void test_a_refused_change_is_skipped_and_the_changes_before_it_stay(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    f->config.apply = count_or_spoil;
    f->config.options.error_policy = WEIR_ERROR_SKIP;
    f->config.options.commit_interval_ms = 3600 * 1000;
    fixture_send(f, 100);
    send_one(f, "key1", "NaN");
    send_one(f, "key1", "NaN");
    fixture_send(f, 50);
    send_one(f, "key2", "NaN");
    fixture_send(f, 50);
    test_job *job = job_start(&f->config);
    fixture_wait_committed(f, 153); /* right behind the last bad one */
    job_stop(job);
    f->config.options.commit_interval_ms = 200;
    fixture_finish(f, 203);
}

static void test_a_refused_change_stops_the_job_without_half_of_the_record(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    f->config.apply = count_or_spoil;
    f->config.options.commit_every = 40;
    fixture_send(f, 100);
    send_one(f, "key1", "NaN");
    assert_ends_with(&f->config, WEIR_SERIALIZATION, &err);
    assert_says(&err, "offset=100");
    /* The spoilt transaction is gone; its records come again, none twice. */
    int64_t committed = fixture_committed(f, 1);
    assert_true(committed <= 100 && committed >= 40);
    f->config.options.error_policy = WEIR_ERROR_SKIP;
    fixture_finish(f, 101);
}

/* Changes state, then fails. */
static weir_status change_and_fail(weir_context *context, weir_state *state,
                                   const weir_record *record, void *arg, weir_error *err)
{
    weir_status status = job_count(context, state, record, arg, err);
    if (status == WEIR_OK && record->offset == *(const int64_t *)arg)
        return weir_error_set(err, WEIR_CALLBACK, "no more");
    return status;
}

static void test_what_a_failing_record_changed_is_not_counted_twice(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    int64_t bad = 60;
    f->config.apply = change_and_fail;
    f->config.arg = &bad;
    fixture_send(f, 100);
    assert_ends_with(&f->config, WEIR_CALLBACK, &err);
    assert_says(&err, "apply_stateful: no more");
    assert_says(&err, "offset=60");
    bad = -1; /* mended */
    fixture_finish(f, 100);
}

static weir_status make_large_output(weir_context *context, weir_state *state,
                                     const weir_record *record, void *arg, weir_error *err)
{
    if (record->offset != 50)
        return job_count(context, state, record, arg, err);
    weir_record large = *record;
    size_t size = 2000000;
    void *bytes = weir_context_alloc(context, size);
    if (!bytes)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory");
    memset(bytes, 'x', size);
    large.value = weir_slice_of(bytes, size);
    return weir_forward(context, &large, err);
}

static void test_an_output_over_the_message_limit_is_told_and_can_be_skipped(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    f->config.apply = make_large_output;
    fixture_send(f, 50);
    send_one(f, "key1", "replaced");
    assert_ends_with(&f->config, WEIR_TOO_LARGE, &err);
    assert_says(&err, "offset=50");
    assert_says(&err, f->output);
    fixture_verify(f, 1);
    f->config.options.error_policy = WEIR_ERROR_SKIP;
    fixture_finish(f, 51);
}

static weir_status store_large(weir_context *context, weir_state *state, const weir_record *record,
                               void *arg, weir_error *err)
{
    (void)record, (void)arg;
    size_t size = 2000000;
    void *bytes = weir_context_alloc(context, size);
    if (!bytes)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory");
    memset(bytes, 'x', size);
    return weir_state_set_bytes(state, "large", weir_slice_of(bytes, size), err);
}

static void test_a_state_value_over_the_message_limit_fails_the_checkpoint(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    f->config.apply = store_large;
    send_one(f, "key1", "1");
    assert_ends_with(&f->config, WEIR_TOO_LARGE, &err);
    assert_says(&err, f->changelog);
    assert_int_equal(fixture_committed(f, 1), 0);
    fixture_end(f);
}

static void test_a_key_that_is_too_long_is_told_and_can_be_skipped(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    char *key = malloc(70001);
    assert_non_null(key);
    memset(key, 'k', 70000);
    key[70000] = '\0';
    fixture_send(f, 50);
    send_one(f, key, "1");
    free(key);
    assert_ends_with(&f->config, WEIR_TOO_LARGE, &err);
    assert_says(&err, "70000");
    assert_says(&err, "offset=50");
    f->config.options.error_policy = WEIR_ERROR_SKIP;
    fixture_finish(f, 51);
}

/* ---------------------------------------------------------------------------
 * State
 * ------------------------------------------------------------------------- */

static weir_state_manager *hold_partition(const test_fixture *fixture)
{
    weir_state_options options;
    weir_store_config store;
    weir_state_manager *manager;
    weir_error err;
    weir_state_options_init(&options);
    options.state_dir = fixture->dir;
    options.group_id = fixture->group;
    options.state_backend = fixture->config.options.state_backend;
    assert_int_equal(weir_state_manager_new(&options, &manager, &err), WEIR_OK);
    weir_store_config_init(&store);
    store.stream_id = fixture->source;
    assert_int_equal(weir_state_manager_register(manager, &store, &err), WEIR_OK);
    assert_int_equal(weir_state_manager_assign(manager, fixture->source, 0, &err), WEIR_OK);
    return manager;
}

static void test_a_locked_state_folder_is_told(void **state)
{
    static const weir_option no_wait[] = {{"open_max_retries", "0"}, {NULL, NULL}};
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    weir_state_manager *owner = hold_partition(f);
    f->config.options.state_options = no_wait;
    assert_ends_with(&f->config, WEIR_LOCKED, &err);
    assert_says(&err, f->dir);
    weir_state_manager_free(owner);
    fixture_end(f);
}

static void test_a_lock_that_is_released_in_time_is_waited_for(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_state_manager *owner = hold_partition(f);
    fixture_send(f, 100);
    test_job *job = job_start(&f->config);
    weir__sleep_ms(1500, NULL); /* several attempts fail meanwhile */
    weir_app_stats stats;
    job_figures(job, &stats);
    assert_int_equal(stats.records, 0);
    weir_state_manager_free(owner);
    job_wait_records(job, 100);
    job_stop(job);
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_a_state_folder_that_can_not_be_made_is_told(void **state)
{
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    char path[300];
    snprintf(path, sizeof(path), "%s/file", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    f->config.options.state_dir = path; /* a file where a folder should be */
    test_job *job = job_start(&f->config);
    assert_int_not_equal(job_join(job, &err), WEIR_OK);
    assert_says(&err, path);
    fixture_end(f);
}

/* The disk is full when a checkpoint wants to write: nothing of it counts, nothing is lost. */
static void test_a_full_disk_stops_the_job_and_loses_nothing(void **state)
{
    static const weir_option full[] = {{"fault.op", "write"},
                                       {"fault.nth", "3"},
                                       {"fault.times", "0"},
                                       {"fault.error", "no_space"},
                                       {NULL, NULL}};
    for (int changelog = 0; changelog < 2; changelog++) {
        test_fixture *f = fixture_make(state, 1);
        weir_error err;
        f->config.options.use_changelog = changelog;
        f->config.options.error_policy = WEIR_ERROR_SKIP; /* not a matter of records */
        f->config.options.commit_every = 30;
        f->config.options.state_backend = "fault:rocksdb";
        f->config.options.state_options = full;
        fixture_send(f, 200);
        assert_ends_with(&f->config, WEIR_NO_SPACE, &err);
        assert_says(&err, f->dir);
        f->config.options.state_backend = "rocksdb";
        f->config.options.state_options = NULL;
        fixture_finish(f, 200);
    }
}

/* Reads fail while records are processed: that stops the job under either policy. */
static void test_a_failing_disk_skips_no_records(void **state)
{
    static const weir_option broken[] = {{"fault.op", "get"},
                                         {"fault.nth", "50"},
                                         {"fault.times", "0"},
                                         {"fault.error", "io"},
                                         {NULL, NULL}};
    test_fixture *f = fixture_make(state, 1);
    weir_error err;
    f->config.options.error_policy = WEIR_ERROR_SKIP;
    f->config.options.cache_bytes = 0;
    f->config.options.commit_every = 10;
    f->config.options.state_backend = "fault:rocksdb";
    f->config.options.state_options = broken;
    fixture_send(f, 400);
    assert_ends_with(&f->config, WEIR_IO, &err);
    assert_says(&err, "offset=");
    f->config.options.state_backend = "rocksdb";
    f->config.options.state_options = NULL;
    fixture_finish(f, 400);
}

int main(void)
{
    if (!kafka_broker_available())
        return kafka_broker_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreachable_broker_is_told_within_the_timeout),
        cmocka_unit_test(test_stop_ends_the_wait_for_a_broker),
        cmocka_unit_test(test_missing_topic_is_told_when_topics_are_not_created),
        cmocka_unit_test(test_missing_topics_are_created_with_the_right_shape),
        cmocka_unit_test(test_wrong_number_of_partitions_is_told_for_each_kind_of_topic),
        cmocka_unit_test(test_a_bad_record_stops_the_job_and_what_came_before_counts),
        cmocka_unit_test(test_bad_records_are_skipped_when_asked_for),
        cmocka_unit_test(test_a_refused_change_is_skipped_and_the_changes_before_it_stay),
        cmocka_unit_test(test_a_refused_change_stops_the_job_without_half_of_the_record),
        cmocka_unit_test(test_what_a_failing_record_changed_is_not_counted_twice),
        cmocka_unit_test(test_an_output_over_the_message_limit_is_told_and_can_be_skipped),
        cmocka_unit_test(test_a_state_value_over_the_message_limit_fails_the_checkpoint),
        cmocka_unit_test(test_a_key_that_is_too_long_is_told_and_can_be_skipped),
        cmocka_unit_test(test_a_locked_state_folder_is_told),
        cmocka_unit_test(test_a_lock_that_is_released_in_time_is_waited_for),
        cmocka_unit_test(test_a_state_folder_that_can_not_be_made_is_told),
        cmocka_unit_test(test_a_full_disk_stops_the_job_and_loses_nothing),
        cmocka_unit_test(test_a_failing_disk_skips_no_records),
    };
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
