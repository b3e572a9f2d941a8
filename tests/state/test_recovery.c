/*
 * Recovery brings a partition to exactly the state that its changelog tells, whatever
 * happens on the way, and says clearly when it can't.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "state/support_recovery.h"

/* --- What comes out --- */

static void test_a_fresh_partition_is_rebuilt(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "a", "1", "{\"flights\":0}");
    harness_append(h, "default", "b", "2", "{\"flights\":1}");
    harness_append(h, "default", "a", NULL, "{\"flights\":2}");
    harness_append(h, "default", "c", "3", "{\"flights\":3}");
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, 4);
    assert_state(h, "default/b=2\ndefault/c=3\n");
    assert_int_equal(progress.applied, 4);
    assert_int_equal(progress.skipped, 0);
    assert_int_equal(progress.position, 4);
    assert_int_equal(progress.end, 4);
    assert_string_equal(progress.store, "default");
    assert_string_equal(progress.stream_id, TEST_STREAM);
    assert_int_equal(progress.partition, 0);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 3);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 3);
    assert_not_needed(h);
}

static void test_an_empty_changelog_needs_no_recovery(void **state)
{
    harness *h = *state;
    harness_open(h);
    assert_not_needed(h);
    bool done = false;
    weir_error err;
    assert_ok(weir_partition_recovery_step(h->partition, 0, 0, &done, NULL, &err), err);
    assert_true(done);
    assert_int_equal(test_log_count("recovery.start"), 0);
}

static void test_a_partition_without_changelog_needs_no_recovery(void **state)
{
    harness *h = *state;
    h->has_changelog = false;
    harness_open(h);
    assert_not_needed(h);
}

static void test_the_last_change_of_a_key_in_a_block_wins(void **state)
{
    harness *h = *state;
    for (int i = 0; i < 100; i++)
        harness_append(h, "default", "counter", i % 2 == 0 ? "even" : NULL, NULL);
    harness_append(h, "default", "other", NULL, NULL);
    harness_append(h, "default", "other", "there", NULL);
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_state(h, "default/other=there\n");
}

static void test_column_families_that_are_new_are_created(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "k", "1", NULL);
    harness_append(h, "__global-counter__", "k", "2", NULL);
    harness_append(h, "default", "l", "3", NULL);
    harness_append(h, "__values__", "k", "4", NULL);
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_state(h, "__global-counter__/k=2\n__values__/k=4\ndefault/k=1\ndefault/l=3\n");
    weir_error err;
    weir_cf cf;
    weir_slice value;
    assert_ok(weir_partition_cf(h->partition, "__values__", &cf, &err), err);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_get(txn, cf, weir_slice_of(NULL, 0), weir_slice_str("k"), &value, &err),
              err);
    assert_true(weir_slice_equal(value, weir_slice_str("4")));
    weir_txn_free(txn);
}

static void test_values_read_before_recovery_are_not_served_from_the_cache_after_it(void **state)
{
    harness *h = *state;
    harness_open(h);
    harness_put(h, "a", "old", 0);
    assert_true(harness_holds(h, "a", "old"));
    assert_true(harness_holds(h, "b", NULL));
    harness_append(h, "default", "a", "new", "{\"flights\":1}");
    harness_append(h, "default", "b", "here", "{\"flights\":1}");
    harness_recover(h, 2);
    assert_true(harness_holds(h, "a", "new"));
    assert_true(harness_holds(h, "b", "here"));
}

static void test_own_checkpoints_are_not_read_again(void **state)
{
    harness *h = *state;
    harness_open(h);
    harness_put(h, "a", "1", 0);
    harness_put(h, "b", "2", 1);
    assert_not_needed(h);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 1);
}

static void test_a_long_history_comes_out_as_replayed_one_by_one(void **state)
{
    harness *h = *state;
    append_history(h, 0, 20000, 500);
    char *expected = expected_dump(h);
    h->knobs.max_per_read = 333;
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 20000);
    assert_state(h, expected);
    free(expected);
}

/* --- The rule of processed offsets --- */

static void test_records_whose_source_comes_again_are_skipped(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "a", "1", "{\"flights\":9}");
    harness_append(h, "default", "b", "1", "{\"flights\":9}");
    harness_append(h, "default", "a", "2", "{\"flights\":10}");
    harness_append(h, "default", "c", "2", "{\"flights\":19}");
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, 10);
    assert_state(h, "default/a=1\ndefault/b=1\n");
    assert_int_equal(progress.applied, 2);
    assert_int_equal(progress.skipped, 2);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 3);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 9);
    assert_not_needed(h);
}

static void test_any_topic_at_or_beyond_its_start_makes_a_record_skipped(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "a", "1", "{\"left\":4,\"right\":4}");
    harness_append(h, "default", "b", "1", "{\"left\":5,\"right\":4}");
    harness_append(h, "default", "c", "1", "{\"left\":4,\"right\":5}");
    harness_append(h, "default", "d", "1", "{\"left\":5,\"right\":5}");
    harness_append(h, "default", "e", "1", "{\"right\":4}");
    harness_open(h);
    const weir_topic_offset start[] = {{"left", 5}, {"right", 5}};
    weir_error err;
    bool done;
    assert_ok(weir_partition_recovery_begin(h->partition, start, 2, &done, &err), err);
    assert_true(done);
    weir_recovery_progress progress;
    assert_ok(weir_partition_recovery_step(h->partition, 1000, 1000, &done, &progress, &err), err);
    assert_true(done);
    assert_int_equal(progress.skipped, 3);
    assert_state(h, "default/a=1\ndefault/e=1\n");
    assert_int_equal(weir_partition_processed_offset(h->partition, "left"), 4);
    assert_int_equal(weir_partition_processed_offset(h->partition, "right"), 4);
}

static void test_a_topic_without_start_sets_no_bound(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "a", "1", "{\"renamed\":1000000}");
    harness_append(h, "default", "b", "1", "{\"renamed\":1000000,\"flights\":3}");
    harness_append(h, "default", "c", "1", "{\"renamed\":1000000,\"flights\":4}");
    harness_open(h);
    harness_recover(h, 4);
    assert_state(h, "default/a=1\ndefault/b=1\n");
}

static void test_records_without_processed_offsets_are_applied(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "a", "1", NULL);
    harness_append(h, "default", "b", "1", "null");
    harness_append(h, "default", "c", "1", "{}");
    harness_append(h, "default", "d", "1", "{\"flights\":5}");
    harness_append(h, "default", "e", "1", "null");
    harness_open(h);
    harness_recover(h, 0);
    assert_state(h, "default/a=1\ndefault/b=1\ndefault/c=1\ndefault/e=1\n");
}

static void test_without_a_committed_offset_nothing_is_skipped_unless_a_start_is_given(void **state)
{
    harness *h = *state;
    append_history(h, 0, 50, 50);
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 50);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 49);
    assert_int_equal(test_log_count("recovery.skipped"), 0);
}

static void test_an_empty_result_because_all_was_skipped_is_a_warning_with_counts(void **state)
{
    harness *h = *state;
    append_history(h, 0, 50, 50);
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, 0);
    assert_int_equal(progress.skipped, 50);
    assert_state(h, "");
    assert_int_equal(test_log_count("recovery.skipped"), 1);
    assert_int_equal(test_log_level("recovery.skipped"), WEIR_LOG_WARN);
    assert_non_null(strstr(test_log_message("recovery.skipped"), "50 records"));
}

static void test_a_negative_start_is_refused(void **state)
{
    harness *h = *state;
    append_history(h, 0, 5, 5);
    harness_open(h);
    const weir_topic_offset start = {TEST_STREAM, -1001};
    weir_error err;
    bool needed;
    assert_int_equal(weir_partition_recovery_begin(h->partition, &start, 1, &needed, &err),
                     WEIR_INVALID);
    assert_false(needed);
    assert_non_null(strstr(err.message, TEST_STREAM));
}

static void test_a_state_that_is_ahead_of_its_source_is_told(void **state)
{
    harness *h = *state;
    harness_open(h);
    harness_put(h, "a", "1", 9);
    harness_recover(h, 10);
    assert_int_equal(test_log_count("recovery.ahead"), 0);
    harness_recover(h, 9);
    assert_int_equal(test_log_count("recovery.ahead"), 1);
    assert_int_equal(test_log_level("recovery.ahead"), WEIR_LOG_WARN);
}

/* --- Control records and the end --- */

static void test_control_records_at_the_end_do_not_stall_or_come_again(void **state)
{
    harness *h = *state;
    harness_append(h, "default", "a", "1", "{\"flights\":0}");
    weir_memory_topic_append_control(h->topic);
    harness_append(h, "default", "b", "2", "{\"flights\":1}");
    weir_memory_topic_append_control(h->topic);
    weir_memory_topic_append_control(h->topic);
    harness_open(h);
    int64_t began = weir__now_ms();
    weir_recovery_progress progress = harness_recover(h, 2);
    assert_true(weir__now_ms() - began < 500);
    assert_int_equal(progress.position, 5);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 4);
    assert_not_needed(h);
    harness_put(h, "c", "3", 2);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 5);
    weir_memory_topic_append_control(h->topic);
    progress = harness_recover(h, 3);
    assert_int_equal(progress.applied, 0);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 6);
    assert_not_needed(h);
    assert_state(h, "default/a=1\ndefault/b=2\ndefault/c=3\n");
}

static void append_one(void *arg)
{
    harness_append(arg, "default", "late", "1", NULL);
}

static void test_recovery_ends_where_the_changelog_ended_when_it_began(void **state)
{
    harness *h = *state;
    append_history(h, 0, 100, 100);
    h->knobs.max_per_read = 7; /* the last block reaches beyond the end */
    h->knobs.before_read = append_one;
    h->knobs.before_read_arg = h;
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.end, 100);
    assert_int_equal(progress.applied, 100);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 99);
    h->knobs.before_read = NULL;
    progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 15);
}

static void test_a_changelog_that_gives_nothing_ends_in_a_timeout(void **state)
{
    harness *h = *state;
    append_history(h, 0, 10, 10);
    h->knobs.stalled = true;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    bool done;
    int64_t began = weir__now_ms();
    weir_status status = WEIR_OK;
    while (status == WEIR_OK) {
        assert_true(weir__now_ms() - began < 5000);
        status = weir_partition_recovery_step(h->partition, 20, 120, &done, NULL, &err);
        assert_false(done);
    }
    assert_int_equal(status, WEIR_TIMEOUT);
    assert_non_null(strstr(err.message, h->changelog->name));
    h->knobs.stalled = false;
    while (!done)
        assert_ok(weir_partition_recovery_step(h->partition, 100, 120, &done, NULL, &err), err);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 9);
}

static void test_a_slow_changelog_that_moves_on_is_no_stall(void **state)
{
    harness *h = *state;
    append_history(h, 0, 10, 10);
    h->knobs.max_per_read = 1;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    bool done = false;
    for (int i = 0; i < 10; i++) {
        h->knobs.stalled = true;
        assert_ok(weir_partition_recovery_step(h->partition, 40, 150, &done, NULL, &err), err);
        h->knobs.stalled = false;
        assert_false(done);
        assert_ok(weir_partition_recovery_step(h->partition, 0, 150, &done, NULL, &err), err);
    }
    assert_true(done);
}

static void test_a_step_without_stall_limit_returns_after_its_budget(void **state)
{
    harness *h = *state;
    append_history(h, 0, 10, 10);
    h->knobs.stalled = true;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    bool done;
    int64_t began = weir__now_ms();
    assert_ok(weir_partition_recovery_step(h->partition, 30, 0, &done, NULL, &err), err);
    assert_false(done);
    assert_true(weir__now_ms() - began >= 30);
    assert_true(weir__now_ms() - began < 3000);
}

/* --- Stopping anywhere --- */

/* Recovers in blocks of 13 and leaves it after `blocks` of them. */
static void recover_partly(harness *h, int blocks)
{
    weir_error err;
    bool done = false;
    begin_needed(h);
    for (int i = 0; i < blocks && !done; i++)
        assert_ok(weir_partition_recovery_step(h->partition, 0, 1000, &done, NULL, &err), err);
}

static void test_recovery_stopped_at_any_block_and_begun_anew_gives_the_same_state(void **state)
{
    harness *h = *state;
    append_history(h, 0, 130, 20);
    char *expected = expected_dump(h);
    h->knobs.max_per_read = 13;
    bool persistent = strcmp(h->backend, "memory") != 0;
    for (int blocks = 0; blocks <= 10; blocks++) {
        harness_open(h);
        recover_partly(h, blocks);
        assert_int_equal(weir_partition_changelog_offset(h->partition), blocks * 13 - 1);
        if (persistent) {
            harness_reopen(h);
            assert_int_equal(weir_partition_changelog_offset(h->partition), blocks * 13 - 1);
        }
        weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
        if (blocks < 10)
            assert_int_equal(progress.applied, 130 - blocks * 13);
        assert_state(h, expected);
        harness_close(h);
        test_folder_remove(h->folder);
        h->folder = test_folder_new();
    }
    free(expected);
}

static void test_a_failing_changelog_read_or_seek_can_be_repeated(void **state)
{
    harness *h = *state;
    append_history(h, 0, 130, 20);
    char *expected = expected_dump(h);
    h->knobs.max_per_read = 13;
    h->knobs.status = WEIR_KAFKA;
    const test_changelog_call calls[] = {TEST_CHANGELOG_SEEK, TEST_CHANGELOG_READ};
    for (size_t i = 0; i < 2; i++) {
        for (int64_t at = 1; at <= (calls[i] == TEST_CHANGELOG_SEEK ? 1 : 10); at++) {
            harness_open(h);
            memset(h->knobs.calls, 0, sizeof(h->knobs.calls));
            h->knobs.fail_at[calls[i]] = at;
            weir_error err;
            bool done = false;
            int failures = 0;
            begin_needed(h);
            while (!done) {
                weir_status status =
                    weir_partition_recovery_step(h->partition, 100, 1000, &done, NULL, &err);
                if (status == WEIR_KAFKA)
                    failures++;
                else
                    assert_ok(status, err);
            }
            assert_int_equal(failures, 1);
            h->knobs.fail_at[calls[i]] = 0;
            assert_state(h, expected);
            harness_close(h);
        }
    }
    free(expected);
}

static void test_a_changelog_that_cannot_tell_its_range_fails_the_beginning(void **state)
{
    harness *h = *state;
    append_history(h, 0, 10, 10);
    harness_open(h);
    h->knobs.fail_at[TEST_CHANGELOG_RANGE] = h->knobs.calls[TEST_CHANGELOG_RANGE] + 1;
    h->knobs.status = WEIR_KAFKA;
    weir_error err;
    bool needed = true;
    assert_int_equal(begin(h, &needed, &err), WEIR_KAFKA);
    assert_false(needed);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 10);
}

static void test_recovery_does_not_begin_under_an_open_transaction(void **state)
{
    harness *h = *state;
    append_history(h, 0, 10, 10);
    harness_open(h);
    weir_txn *txn = harness_begin(h);
    weir_error err;
    bool needed = true;
    assert_int_equal(begin(h, &needed, &err), WEIR_BUSY);
    assert_false(needed);
    weir_txn_free(txn);
    begin_needed(h);
}

static void test_no_transaction_begins_before_the_recovery_is_done(void **state)
{
    harness *h = *state;
    append_history(h, 0, 20, 20);
    h->knobs.max_per_read = 10;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    weir_txn *txn;
    bool done;
    assert_ok(weir_partition_recovery_step(h->partition, 0, 1000, &done, NULL, &err), err);
    assert_false(done);
    assert_int_equal(weir_partition_begin(h->partition, &txn, &err), WEIR_BUSY);
    assert_null(txn);
    assert_ok(weir_partition_recovery_step(h->partition, 1000, 1000, &done, NULL, &err), err);
    assert_true(done);
    weir_txn_free(harness_begin(h));
}

/* --- The log --- */

static void test_recovery_tells_its_beginning_and_its_end_with_counts(void **state)
{
    harness *h = *state;
    append_history(h, 0, 40, 40);
    harness_open(h);
    harness_recover(h, 20);
    assert_int_equal(test_log_count("recovery.start"), 1);
    assert_int_equal(test_log_level("recovery.start"), WEIR_LOG_INFO);
    assert_non_null(strstr(test_log_message("recovery.start"), "offsets 0 to 39"));
    assert_int_equal(test_log_count("recovery.done"), 1);
    assert_non_null(strstr(test_log_message("recovery.done"), "20 records applied, 20 skipped"));
    assert_non_null(strstr(test_log_message("recovery.done"), "partition=0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_a_fresh_partition_is_rebuilt),
        MEMORY(test_an_empty_changelog_needs_no_recovery),
        MEMORY(test_a_partition_without_changelog_needs_no_recovery),
        BOTH(test_the_last_change_of_a_key_in_a_block_wins),
        BOTH(test_column_families_that_are_new_are_created),
        BOTH(test_values_read_before_recovery_are_not_served_from_the_cache_after_it),
        BOTH(test_own_checkpoints_are_not_read_again),
        BOTH(test_a_long_history_comes_out_as_replayed_one_by_one),
        BOTH(test_records_whose_source_comes_again_are_skipped),
        MEMORY(test_any_topic_at_or_beyond_its_start_makes_a_record_skipped),
        MEMORY(test_a_topic_without_start_sets_no_bound),
        MEMORY(test_records_without_processed_offsets_are_applied),
        MEMORY(test_without_a_committed_offset_nothing_is_skipped_unless_a_start_is_given),
        MEMORY(test_an_empty_result_because_all_was_skipped_is_a_warning_with_counts),
        MEMORY(test_a_negative_start_is_refused),
        BOTH(test_a_state_that_is_ahead_of_its_source_is_told),
        BOTH(test_control_records_at_the_end_do_not_stall_or_come_again),
        MEMORY(test_recovery_ends_where_the_changelog_ended_when_it_began),
        MEMORY(test_a_changelog_that_gives_nothing_ends_in_a_timeout),
        MEMORY(test_a_slow_changelog_that_moves_on_is_no_stall),
        MEMORY(test_a_step_without_stall_limit_returns_after_its_budget),
        BOTH(test_recovery_stopped_at_any_block_and_begun_anew_gives_the_same_state),
        MEMORY(test_a_failing_changelog_read_or_seek_can_be_repeated),
        MEMORY(test_a_changelog_that_cannot_tell_its_range_fails_the_beginning),
        MEMORY(test_recovery_does_not_begin_under_an_open_transaction),
        MEMORY(test_no_transaction_begins_before_the_recovery_is_done),
        BOTH(test_recovery_tells_its_beginning_and_its_end_with_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
