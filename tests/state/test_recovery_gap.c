/*
 * Recovery from a changelog that does not hold what it should: records that are gone, a topic
 * that was made anew, damaged records. An error that says what is wrong, or a rebuild.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/support_recovery.h"

/* --- Records that are gone --- */

/* A partition that knows the first 50 of 100 changes. */
static void half_recovered(harness *h, weir_gap_policy policy)
{
    h->gap_policy = policy;
    append_history(h, 0, 50, 10);
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    harness_append(h, "only-old", "k", "v", NULL);
    harness_recover(h, WEIR_OFFSET_NONE);
    append_history(h, 51, 49, 5);
}

static void test_deleted_records_fail_recovery_by_default(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_FAIL);
    char *before = harness_dump(h);
    weir_memory_topic_truncate(h->topic, 60);
    weir_error err;
    bool needed = true;
    assert_int_equal(begin(h, &needed, &err), WEIR_OFFSET);
    assert_false(needed);
    assert_non_null(strstr(err.message, h->changelog->name));
    assert_non_null(strstr(err.message, "begins at 60"));
    assert_non_null(strstr(err.message, "partition=0"));
    assert_int_equal(weir_partition_changelog_offset(h->partition), 50);
    assert_state(h, before);
    free(before);
}

static void test_deleted_records_lead_to_a_rebuild_if_the_policy_says_so(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_REBUILD);
    weir_memory_topic_truncate(h->topic, 60);
    char *expected = expected_dump(h);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 40);
    assert_state(h, expected);
    assert_int_equal(test_log_level("recovery.gap"), WEIR_LOG_WARN);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 99);
    assert_not_needed(h);
    free(expected);
}

static void test_deleting_only_what_the_state_has_is_no_gap(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_FAIL);
    weir_memory_topic_truncate(h->topic, 51);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 49);
}

static void test_holes_that_compaction_leaves_are_no_gap(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_FAIL);
    char *expected = expected_dump(h);
    weir_memory_topic_compact(h->topic);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 5);
    assert_state(h, expected);
    assert_int_equal(test_log_count("recovery.gap"), 0);
    free(expected);
}

static void renew_topic(harness *h)
{
    harness_close(h);
    weir_memory_topic_free(h->topic);
    h->topic = weir_memory_topic_new();
}

static void test_a_topic_made_anew_is_told(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_FAIL);
    renew_topic(h);
    append_history(h, 0, 10, 10);
    harness_open(h);
    weir_error err;
    bool needed = true;
    assert_int_equal(begin(h, &needed, &err), WEIR_OFFSET);
    assert_false(needed);
    assert_non_null(strstr(err.message, "made anew"));
}

static void test_a_topic_made_anew_and_still_empty_is_told(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_FAIL);
    renew_topic(h);
    harness_open(h);
    weir_error err;
    bool needed = true;
    assert_int_equal(begin(h, &needed, &err), WEIR_OFFSET);
}

static void test_a_rebuild_from_an_empty_topic_leaves_nothing_behind(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_REBUILD);
    renew_topic(h);
    harness_open(h);
    assert_not_needed(h);
    assert_int_equal(test_log_level("recovery.gap"), WEIR_LOG_WARN);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_partition_changelog_offset(h->partition), WEIR_OFFSET_NONE);
        assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM),
                         WEIR_OFFSET_NONE);
        assert_state(h, "");
        harness_reopen(h);
    }
}

static void test_a_topic_made_anew_leads_to_a_rebuild_if_the_policy_says_so(void **state)
{
    harness *h = *state;
    half_recovered(h, WEIR_GAP_REBUILD);
    renew_topic(h);
    harness_append(h, "default", "new", "1", "{\"other\":7}");
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_state(h, "default/new=1\n");
    assert_int_equal(weir_partition_changelog_offset(h->partition), 0);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), WEIR_OFFSET_NONE);
    assert_int_equal(weir_partition_processed_offset(h->partition, "other"), 7);
    harness_reopen(h);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 0);
    assert_state(h, "default/new=1\n");
}

static void test_a_fresh_partition_takes_what_a_shortened_changelog_still_has(void **state)
{
    harness *h = *state;
    append_history(h, 0, 100, 10);
    weir_memory_topic_truncate(h->topic, 95);
    harness_open(h);
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 5);
    assert_int_equal(test_log_count("recovery.gap"), 1);
    assert_int_equal(test_log_level("recovery.gap"), WEIR_LOG_WARN);
    assert_non_null(strstr(test_log_message("recovery.gap"), "95"));
}

static void truncate_to_60(void *arg)
{
    weir_memory_topic_truncate(arg, 60);
}

static void test_records_deleted_while_recovery_runs_are_noticed(void **state)
{
    harness *h = *state;
    append_history(h, 0, 100, 10);
    h->knobs.max_per_read = 10;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    bool done;
    assert_ok(weir_partition_recovery_step(h->partition, 0, 1000, &done, NULL, &err), err);
    h->knobs.before_read = truncate_to_60;
    h->knobs.before_read_arg = h->topic;
    assert_int_equal(weir_partition_recovery_step(h->partition, 100, 1000, &done, NULL, &err),
                     WEIR_OFFSET);
    assert_false(done);
    assert_non_null(strstr(err.message, "begins at 60"));
    assert_int_equal(weir_partition_changelog_offset(h->partition), 9);
}

static void test_records_deleted_before_the_first_was_read_are_a_lost_beginning(void **state)
{
    harness *h = *state;
    append_history(h, 0, 100, 100);
    harness_open(h);
    h->knobs.before_read = truncate_to_60;
    h->knobs.before_read_arg = h->topic;
    weir_recovery_progress progress = harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(progress.applied, 40);
    assert_int_equal(test_log_count("recovery.gap"), 1);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 99);
}

static void test_records_deleted_while_recovery_runs_lead_to_a_rebuild_by_policy(void **state)
{
    harness *h = *state;
    h->gap_policy = WEIR_GAP_REBUILD;
    harness_append(h, "default", "lost", "1", "{\"old\":5}");
    append_history(h, 1, 99, 100);
    h->knobs.max_per_read = 10;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    weir_recovery_progress progress;
    bool done;
    assert_ok(weir_partition_recovery_step(h->partition, 0, 1000, &done, NULL, &err), err);
    assert_int_equal(weir_partition_processed_offset(h->partition, "old"), 5);
    h->knobs.before_read = truncate_to_60;
    h->knobs.before_read_arg = h->topic;
    while (!done)
        assert_ok(weir_partition_recovery_step(h->partition, 100, 1000, &done, &progress, &err),
                  err);
    h->knobs.before_read = NULL;
    assert_int_equal(progress.applied, 40);
    char *expected = expected_dump(h);
    assert_state(h, expected);
    free(expected);
    assert_int_equal(weir_partition_processed_offset(h->partition, "old"), WEIR_OFFSET_NONE);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 99);
}

/* --- Damaged records --- */

static void assert_corrupted(harness *h, const char *word)
{
    harness_append(h, "default", "after", "1", NULL);
    h->knobs.max_per_read = 5;
    harness_open(h);
    begin_needed(h);
    weir_error err;
    bool done;
    assert_int_equal(weir_partition_recovery_step(h->partition, 1000, 1000, &done, NULL, &err),
                     WEIR_CORRUPTED);
    assert_false(done);
    assert_non_null(strstr(err.message, "offset 7 "));
    assert_non_null(strstr(err.message, h->changelog->name));
    assert_non_null(strstr(err.message, word));
    assert_int_equal(weir_partition_changelog_offset(h->partition), 6);
    /* The same again, not a record later. */
    assert_int_equal(weir_partition_recovery_step(h->partition, 1000, 1000, &done, NULL, &err),
                     WEIR_CORRUPTED);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 6);
}

static void test_malformed_processed_offsets_are_corruption_at_an_offset(void **state)
{
    static const char *const malformed[] = {
        "", "{", "{\"flights\":}", "[1]", "{\"flights\":\"x\"}", "{\"flights\":1.5}", "7", "\xff"};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        harness *h = *state;
        append_history(h, 0, 7, 7);
        harness_append(h, "default", "bad", "1", malformed[i]);
        assert_corrupted(h, "__processed_tp_offsets__");
        harness_close(h);
        weir_memory_topic_free(h->topic);
        h->topic = weir_memory_topic_new();
        test_folder_remove(h->folder);
        h->folder = test_folder_new();
    }
}

static void test_a_record_without_column_family_is_corruption_at_an_offset(void **state)
{
    append_history(*state, 0, 7, 7);
    harness_append(*state, NULL, "bad", "1", NULL);
    assert_corrupted(*state, "__column_family__");
}

static void test_a_record_for_the_metadata_family_is_corruption_at_an_offset(void **state)
{
    append_history(*state, 0, 7, 7);
    harness_append(*state, "__metadata__", "__changelog_offset__", "12345678", NULL);
    assert_corrupted(*state, "__metadata__");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_deleted_records_fail_recovery_by_default),
        BOTH(test_deleted_records_lead_to_a_rebuild_if_the_policy_says_so),
        MEMORY(test_deleting_only_what_the_state_has_is_no_gap),
        BOTH(test_holes_that_compaction_leaves_are_no_gap),
        ROCKSDB(test_a_topic_made_anew_is_told),
        ROCKSDB(test_a_topic_made_anew_and_still_empty_is_told),
        ROCKSDB(test_a_rebuild_from_an_empty_topic_leaves_nothing_behind),
        ROCKSDB(test_a_topic_made_anew_leads_to_a_rebuild_if_the_policy_says_so),
        BOTH(test_a_fresh_partition_takes_what_a_shortened_changelog_still_has),
        BOTH(test_records_deleted_while_recovery_runs_are_noticed),
        MEMORY(test_records_deleted_before_the_first_was_read_are_a_lost_beginning),
        BOTH(test_records_deleted_while_recovery_runs_lead_to_a_rebuild_by_policy),
        MEMORY(test_malformed_processed_offsets_are_corruption_at_an_offset),
        MEMORY(test_a_record_without_column_family_is_corruption_at_an_offset),
        MEMORY(test_a_record_for_the_metadata_family_is_corruption_at_an_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
