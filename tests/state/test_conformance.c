/*
 * The conformance suite of the state layer: what a store partition has to show is the
 * same on every backend. Each test runs on each backend that is built in, also through
 * the decorators. Iteration is in test_conformance_iteration.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_conformance.h"

/* value NULL: the key must be absent. */
static void assert_reads(weir_txn *txn, const char *key, const char *value)
{
    weir_error err;
    weir_slice found;
    weir_status status = weir_txn_get(txn, WEIR_CF_DEFAULT, no_prefix, bytes(key), &found, &err);
    bool exists;
    assert_ok(weir_txn_exists(txn, WEIR_CF_DEFAULT, no_prefix, bytes(key), &exists, &err), err);
    assert_int_equal(exists, value != NULL);
    if (value == NULL) {
        assert_int_equal(status, WEIR_NOT_FOUND);
        assert_int_equal(found.size, 0);
        return;
    }
    assert_ok(status, err);
    assert_ok(weir_txn_get(txn, WEIR_CF_DEFAULT, no_prefix, bytes(key), &found, &err), err);
    assert_true(weir_slice_equal(found, bytes(value)));
}

/* --- Life cycle --- */

static void test_a_transaction_goes_from_started_to_complete(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t last;
    weir_txn *txn = harness_begin(h);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    assert_false(weir_txn_changed(txn));
    set_text(txn, "k", "v");
    set_text(txn, "k", "w");
    delete_text(txn, "l");
    assert_true(weir_txn_changed(txn));
    assert_int_equal(weir_txn_change_count(txn), 2);
    assert_true(weir_txn_change_bytes(txn) > 0);
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_PREPARED);
    assert_ok(h->changelog->ops->flush(h->changelog, 1000, &last, &err), err);
    assert_int_equal(last, 1);
    assert_ok(weir_txn_flush(txn, last, &err), err);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_COMPLETE);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "w"));
}

static void assert_refused(weir_txn *txn)
{
    weir_error err;
    weir_slice value;
    bool exists;
    weir_iter *iter;
    assert_int_equal(weir_txn_set(txn, WEIR_CF_DEFAULT, no_prefix, bytes("k"), bytes("v"), &err),
                     WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_delete(txn, WEIR_CF_DEFAULT, no_prefix, bytes("k"), &err),
                     WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_get(txn, WEIR_CF_DEFAULT, no_prefix, bytes("k"), &value, &err),
                     WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_exists(txn, WEIR_CF_DEFAULT, no_prefix, bytes("k"), &exists, &err),
                     WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, NULL, &iter, &err), WEIR_TXN_FAILED);
    assert_null(iter);
    assert_int_equal(weir_txn_prepare(txn, NULL, 0, &err), WEIR_TXN_FAILED);
    assert_non_null(strstr(err.message, "partition=0"));
}

static void test_a_prepared_transaction_takes_no_changes(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "before");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_int_equal(weir_txn_set(txn, WEIR_CF_DEFAULT, no_prefix, bytes("k"), bytes("v"), &err),
                     WEIR_TXN_FAILED);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", NULL));
}

static void test_a_complete_transaction_is_over(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "v");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_ok(weir_txn_flush(txn, 0, &err), err);
    assert_refused(txn);
    assert_int_equal(weir_txn_flush(txn, 1, &err), WEIR_TXN_FAILED);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "v"));
}

static void test_a_failed_transaction_changes_nothing(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_put(h, "k", "old", 0);
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "new");
    weir_txn_fail(txn);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    assert_refused(txn);
    assert_int_equal(weir_txn_flush(txn, 5, &err), WEIR_TXN_FAILED);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "old"));
    harness_put(h, "k", "next", 1);
    assert_true(harness_holds(h, "k", "next"));
}

static void test_a_changelog_that_refuses_a_record_fails_the_transaction(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_put(h, "k", "old", 0);
    h->knobs.fail_at[TEST_CHANGELOG_APPEND] = h->knobs.calls[TEST_CHANGELOG_APPEND] + 2;
    h->knobs.status = WEIR_KAFKA;
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "new");
    set_text(txn, "l", "new");
    assert_int_equal(harness_try_commit(h, txn, 1, &err), WEIR_KAFKA);
    assert_true(harness_holds(h, "k", "old"));
    assert_int_equal(weir_partition_changelog_offset(h->partition), 0);
}

static void test_a_transaction_with_changelog_is_prepared_before_its_flush(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "v");
    assert_int_equal(weir_txn_flush(txn, 0, &err), WEIR_TXN_FAILED);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", NULL));
}

static void test_a_transaction_without_changelog_may_be_flushed_at_once(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_close(h);
    h->has_changelog = false;
    harness_open(h);
    assert_false(weir_partition_has_changelog(h->partition));
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "v");
    assert_ok(weir_txn_flush(txn, WEIR_OFFSET_NONE, &err), err);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "v"));
}

/* --- Own writes and isolation --- */

static void test_a_transaction_reads_its_own_writes(void **state)
{
    harness *h = *state;
    harness_put(h, "committed", "1", 0);
    weir_txn *txn = harness_begin(h);
    assert_reads(txn, "committed", "1");
    set_text(txn, "committed", "2");
    assert_reads(txn, "committed", "2");
    delete_text(txn, "committed");
    assert_reads(txn, "committed", NULL);
    set_text(txn, "committed", "3");
    assert_reads(txn, "committed", "3");
    set_text(txn, "new", "");
    assert_reads(txn, "new", "");
    delete_text(txn, "new");
    assert_reads(txn, "new", NULL);
    harness_commit(h, txn, 1);
    assert_true(harness_holds(h, "committed", "3"));
    assert_true(harness_holds(h, "new", NULL));
}

static void test_changes_of_an_open_transaction_are_its_own(void **state)
{
    harness *h = *state;
    harness_put(h, "k", "old", 0);
    weir_txn *writer = harness_begin(h);
    weir_txn *reader = harness_begin(h);
    set_text(writer, "k", "new");
    set_text(writer, "l", "new");
    assert_reads(reader, "k", "old");
    assert_reads(reader, "l", NULL);
    weir_txn_free(reader);
    weir_txn_free(writer);
    assert_true(harness_holds(h, "k", "old"));
    assert_true(harness_holds(h, "l", NULL));
}

static void test_the_memory_of_a_dropped_transaction_does_not_show_in_the_next(void **state)
{
    harness *h = *state;
    weir_txn *txn = harness_begin(h);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        set_text(txn, key, "dropped");
    }
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_false(weir_txn_changed(txn));
    assert_reads(txn, "7", NULL);
    set_text(txn, "7", "kept");
    harness_commit(h, txn, 0);
    char *text = harness_dump(h);
    assert_string_equal(text, "default/7=kept\n");
    free(text);
}

static void test_families_hold_the_same_key_apart(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf first;
    weir_cf second;
    weir_slice value;
    assert_ok(weir_partition_cf(h->partition, "first", &first, &err), err);
    assert_ok(weir_partition_cf(h->partition, "second", &second, &err), err);
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "default");
    assert_ok(weir_txn_set(txn, first, no_prefix, bytes("k"), bytes("first"), &err), err);
    assert_ok(weir_txn_set(txn, second, no_prefix, bytes("k"), bytes("second"), &err), err);
    assert_ok(weir_txn_delete(txn, second, no_prefix, bytes("k"), &err), err);
    harness_commit(h, txn, 0);
    restart(h);
    assert_ok(weir_partition_cf(h->partition, "second", &second, &err), err);
    assert_ok(weir_partition_cf(h->partition, "first", &first, &err), err);
    txn = harness_begin(h);
    assert_reads(txn, "k", "default");
    assert_ok(weir_txn_get(txn, first, no_prefix, bytes("k"), &value, &err), err);
    assert_true(weir_slice_equal(value, bytes("first")));
    assert_int_equal(weir_txn_get(txn, second, no_prefix, bytes("k"), &value, &err),
                     WEIR_NOT_FOUND);
    weir_txn_free(txn);
}

static void test_prefix_and_key_stand_with_a_bar_between(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, 0, bytes("N1"), bytes("k"), bytes("1"), &err), err);
    assert_ok(weir_txn_set(txn, 0, bytes("N1"), bytes(""), bytes("2"), &err), err);
    assert_ok(weir_txn_set(txn, 0, no_prefix, bytes("k"), bytes("3"), &err), err);
    assert_ok(weir_txn_set(txn, 0, no_prefix, no_prefix, bytes("4"), &err), err);
    assert_ok(
        weir_txn_set(txn, 0, weir_slice_of("\0|", 2), weir_slice_of("|\0", 2), bytes("5"), &err),
        err);
    harness_commit(h, txn, 0);
    char *text = harness_dump(h);
    assert_string_equal(text, "default/=4\n"
                              "default/\\x00|||\\x00=5\n"
                              "default/N1|=2\n"
                              "default/N1|k=1\n"
                              "default/k=3\n");
    free(text);
}

static void test_keys_up_to_the_limit_are_taken_and_longer_ones_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    char *key = malloc(WEIR_KEY_MAX_SIZE + 1);
    memset(key, 'k', WEIR_KEY_MAX_SIZE + 1);
    weir_txn *txn = harness_begin(h);
    set(txn, weir_slice_of(key, WEIR_KEY_MAX_SIZE), bytes("v"));
    harness_commit(h, txn, 0);
    txn = harness_begin(h);
    assert_ok(weir_txn_get(txn, 0, no_prefix, weir_slice_of(key, WEIR_KEY_MAX_SIZE), &value, &err),
              err);
    assert_true(weir_slice_equal(value, bytes("v")));
    assert_int_equal(weir_txn_set(txn, 0, no_prefix, weir_slice_of(key, WEIR_KEY_MAX_SIZE + 1),
                                  bytes("v"), &err),
                     WEIR_TOO_LARGE);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_int_equal(weir_txn_set(txn, 0, bytes("p"), weir_slice_of(key, WEIR_KEY_MAX_SIZE - 1),
                                  bytes("v"), &err),
                     WEIR_TOO_LARGE);
    weir_txn_free(txn);
    free(key);
}

static void test_values_of_any_size_come_back(void **state)
{
    harness *h = *state;
    weir_error err;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 4096, 65535, 65536, 1 << 20};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    uint8_t *data = malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    weir_txn *txn = harness_begin(h);
    for (size_t i = 0; i < COUNT; i++)
        set(txn, weir_slice_of(&sizes[i], sizeof(sizes[i])), weir_slice_of(data, sizes[i]));
    harness_commit(h, txn, 0);
    restart(h);
    txn = harness_begin(h);
    for (size_t i = 0; i < COUNT; i++) {
        weir_slice value;
        weir_slice key = weir_slice_of(&sizes[i], sizeof(sizes[i]));
        assert_ok(weir_txn_get(txn, 0, no_prefix, key, &value, &err), err);
        assert_true(weir_slice_equal(value, weir_slice_of(data, sizes[i])));
    }
    weir_txn_free(txn);
    free(data);
}

static void test_a_transaction_takes_many_changes(void **state)
{
    harness *h = *state;
    weir_error err;
    enum { COUNT = 50000 };
    for (int round = 0; round < 2; round++) {
        weir_txn *txn = harness_begin(h);
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t value = i + (uint32_t)round;
            set(txn, weir_slice_of(&i, sizeof(i)), weir_slice_of(&value, sizeof(value)));
        }
        assert_int_equal(weir_txn_change_count(txn), COUNT);
        harness_commit(h, txn, round);
    }
    restart(h);
    weir_txn *txn = harness_begin(h);
    for (uint32_t i = 0; i < COUNT; i++) {
        weir_slice value;
        uint32_t expected = i + 1;
        assert_ok(weir_txn_get(txn, 0, no_prefix, weir_slice_of(&i, sizeof(i)), &value, &err), err);
        assert_true(weir_slice_equal(value, weir_slice_of(&expected, sizeof(expected))));
    }
    weir_txn_free(txn);
}

/* --- Offsets --- */

static void test_the_changelog_offset_is_stored_with_the_data(void **state)
{
    harness *h = *state;
    assert_int_equal(weir_partition_changelog_offset(h->partition), WEIR_OFFSET_NONE);
    harness_put(h, "a", "1", 7);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 0);
    harness_put(h, "b", "1", 8);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 1);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 8);
    assert_int_equal(weir_partition_processed_offset(h->partition, "other"), WEIR_OFFSET_NONE);
    restart(h);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 1);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 8);
}

static void test_the_changelog_offset_never_moves_back(void **state)
{
    harness *h = *state;
    weir_error err;
    const int64_t offsets[] = {10, 9, 10, WEIR_OFFSET_NONE, 11};
    for (int i = 0; i < 5; i++) {
        weir_txn *txn = harness_begin(h);
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        set_text(txn, "k", value);
        assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
        weir_status status = weir_txn_flush(txn, offsets[i], &err);
        assert_int_equal(status, i == 1 ? WEIR_OFFSET : WEIR_OK);
        if (i == 1)
            assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
        weir_txn_free(txn);
        assert_true(harness_holds(h, "k", i == 1 ? "0" : value));
        assert_int_equal(weir_partition_changelog_offset(h->partition), i < 4 ? 10 : 11);
    }
}

static void test_an_empty_transaction_writes_nothing(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_topic_offset processed = {TEST_STREAM, 99};
    harness_put(h, "k", "v", 0);
    weir_partition_stats before;
    weir_partition_stats after;
    weir_partition_get_stats(h->partition, &before);
    weir_txn *txn = harness_begin(h);
    assert_reads(txn, "k", "v");
    assert_ok(weir_txn_prepare(txn, &processed, 1, &err), err);
    assert_ok(weir_txn_flush(txn, 50, &err), err);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_COMPLETE);
    weir_txn_free(txn);
    weir_partition_get_stats(h->partition, &after);
    assert_int_equal(after.flushes, before.flushes);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 0);
    assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), 0);
}

/* --- Restarts --- */

static void test_committed_state_is_there_after_a_restart_and_uncommitted_is_not(void **state)
{
    harness *h = *state;
    harness_put(h, "kept", "1", 0);
    harness_put(h, "deleted", "1", 1);
    harness_put(h, "deleted", NULL, 2);
    weir_txn *txn = harness_begin(h);
    set_text(txn, "kept", "2");
    set_text(txn, "lost", "1");
    weir_txn_free(txn);
    for (int i = 0; i < 3; i++) {
        restart(h);
        char *text = harness_dump(h);
        assert_string_equal(text, "default/kept=1\n");
        free(text);
    }
}

static void test_revoking_drops_an_open_transaction(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_put(h, "kept", "1", 0);
    weir_txn *txn = harness_begin(h);
    set_text(txn, "kept", "2");
    assert_ok(weir_state_manager_revoke(h->manager, TEST_STREAM, 0, &err), err);
    assert_null(weir_state_manager_partition(h->manager, "default", TEST_STREAM, 0));
    restart(h);
    assert_true(harness_holds(h, "kept", "1"));
}

static void test_what_was_prepared_but_not_flushed_comes_from_the_changelog(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_topic_offset processed = {TEST_STREAM, 4};
    harness_put(h, "k", "old", 3);
    weir_txn *txn = harness_begin(h);
    set_text(txn, "k", "new");
    assert_ok(weir_txn_prepare(txn, &processed, 1, &err), err);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "old"));
    /* The offsets were not committed: the source record comes again. */
    harness_reopen(h);
    harness_recover(h, 4);
    assert_true(harness_holds(h, "k", "old"));
    harness_put(h, "k", "new", 4);
    /* They were: the change is final. */
    txn = harness_begin(h);
    processed.offset = 5;
    set_text(txn, "k", "newer");
    assert_ok(weir_txn_prepare(txn, &processed, 1, &err), err);
    weir_txn_free(txn);
    harness_reopen(h);
    harness_recover(h, 6);
    assert_true(harness_holds(h, "k", "newer"));
}

static void test_any_partition_recovers_to_the_same_state(void **state)
{
    harness *h = *state;
    test_random random = {.state = 42};
    for (int i = 0; i < 300; i++) {
        weir_txn *txn = harness_begin(h);
        for (uint32_t j = test_random_below(&random, 20); j > 0; j--) {
            char key[16];
            char value[32];
            snprintf(key, sizeof(key), "%u", test_random_below(&random, 100));
            snprintf(value, sizeof(value), "%d", i);
            if (test_random_below(&random, 4) == 0)
                delete_text(txn, key);
            else
                set_text(txn, key, value);
        }
        harness_commit(h, txn, i);
    }
    char *expected = harness_dump(h);
    harness other;
    harness_init(&other, h->backend, h->options);
    weir_memory_topic_free(other.topic);
    other.topic = h->topic;
    other.knobs.max_per_read = 17;
    harness_open(&other);
    harness_recover(&other, 300);
    char *found = harness_dump(&other);
    assert_string_equal(found, expected);
    assert_int_equal(weir_partition_changelog_offset(other.partition),
                     weir_partition_changelog_offset(h->partition));
    harness_close(&other);
    other.topic = NULL;
    harness_release(&other);
    free(found);
    free(expected);
}

/* --- Typed values --- */

static void test_typed_values_come_back_after_a_restart(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t integer;
    double number;
    weir_slice value;
    bool exists;
    weir_txn *txn = harness_begin(h);
    weir_state *view = weir_txn_state(txn, bytes("N14228"));
    assert_ok(weir_state_set_int(view, "int", INT64_MIN, &err), err);
    assert_ok(weir_state_set_double(view, "double", 0.1, &err), err);
    assert_ok(weir_state_set_string(view, "string", bytes("\"\xc3\xa9\n"), &err), err);
    assert_ok(weir_state_set_json(view, "json", bytes("{ \"a\" : [1, 2.0] }"), &err), err);
    assert_ok(weir_state_set_bytes(view, "bytes", weir_slice_of("\0\xff", 2), &err), err);
    assert_ok(weir_state_set(view, weir_slice_of("\0", 1), bytes("raw"), &err), err);
    harness_commit(h, txn, 0);
    restart(h);
    txn = harness_begin(h);
    view = weir_txn_state(txn, bytes("N14228"));
    assert_ok(weir_state_get_int(view, "int", 0, &integer, &err), err);
    assert_true(integer == INT64_MIN);
    assert_ok(weir_state_get_double(view, "double", 0, &number, &err), err);
    assert_true(number == 0.1);
    assert_ok(weir_state_get_string(view, "string", no_prefix, &value, &err), err);
    assert_true(weir_slice_equal(value, bytes("\"\xc3\xa9\n")));
    assert_ok(weir_state_get_json(view, "json", &value, &err), err);
    assert_true(weir_slice_equal(value, bytes("{\"a\":[1,2.0]}")));
    assert_ok(weir_state_get_bytes(view, "bytes", &value, &err), err);
    assert_true(weir_slice_equal(value, weir_slice_of("\0\xff", 2)));
    assert_ok(weir_state_get(view, weir_slice_of("\0", 1), &value, &err), err);
    assert_true(weir_slice_equal(value, bytes("raw")));
    assert_ok(weir_state_remove(view, "int", &err), err);
    assert_ok(weir_state_exists(view, "int", &exists, &err), err);
    assert_false(exists);
    assert_ok(weir_state_get_int(view, "int", 17, &integer, &err), err);
    assert_int_equal(integer, 17);
    view = weir_txn_state(txn, bytes("another key"));
    assert_ok(weir_state_exists(view, "double", &exists, &err), err);
    assert_false(exists);
    weir_txn_free(txn);
}

static void test_a_value_of_another_type_is_told(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t integer;
    weir_txn *txn = harness_begin(h);
    weir_state *view = weir_txn_state(txn, no_prefix);
    assert_ok(weir_state_set_string(view, "s", bytes("text"), &err), err);
    assert_int_equal(weir_state_get_int(view, "s", 0, &integer, &err), WEIR_SERIALIZATION);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    assert_int_equal(weir_state_set_double(view, "d", (double)NAN, &err), WEIR_SERIALIZATION);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
}

int main(void)
{
    static const conformance_case cases[] = {
        CASE(test_a_transaction_goes_from_started_to_complete),
        CASE(test_a_prepared_transaction_takes_no_changes),
        CASE(test_a_complete_transaction_is_over),
        CASE(test_a_failed_transaction_changes_nothing),
        CASE(test_a_changelog_that_refuses_a_record_fails_the_transaction),
        CASE(test_a_transaction_with_changelog_is_prepared_before_its_flush),
        CASE(test_a_transaction_without_changelog_may_be_flushed_at_once),
        CASE(test_a_transaction_reads_its_own_writes),
        CASE(test_changes_of_an_open_transaction_are_its_own),
        CASE(test_the_memory_of_a_dropped_transaction_does_not_show_in_the_next),
        CASE(test_families_hold_the_same_key_apart),
        CASE(test_prefix_and_key_stand_with_a_bar_between),
        CASE(test_keys_up_to_the_limit_are_taken_and_longer_ones_refused),
        CASE(test_values_of_any_size_come_back),
        CASE(test_a_transaction_takes_many_changes),
        CASE(test_the_changelog_offset_is_stored_with_the_data),
        CASE(test_the_changelog_offset_never_moves_back),
        CASE(test_an_empty_transaction_writes_nothing),
        CASE(test_committed_state_is_there_after_a_restart_and_uncommitted_is_not),
        CASE(test_revoking_drops_an_open_transaction),
        CASE(test_what_was_prepared_but_not_flushed_comes_from_the_changelog),
        CASE(test_any_partition_recovers_to_the_same_state),
        CASE(test_typed_values_come_back_after_a_restart),
        CASE(test_a_value_of_another_type_is_told),
    };
    return conformance_run(cases, sizeof(cases) / sizeof(cases[0]));
}
