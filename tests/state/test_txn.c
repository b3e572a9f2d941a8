/*
 * Transactions: what they see, their life cycle, what they leave in the changelog, in the
 * backend and in the record cache.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"

#define NONE weir_slice_of(NULL, 0)
#define S    weir_slice_str

static void set(weir_txn *txn, const char *prefix, const char *key, const char *value)
{
    weir_error err;
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, S(prefix), S(key), S(value), &err), err);
}

static void delete (weir_txn *txn, const char *prefix, const char *key)
{
    weir_error err;
    assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, S(prefix), S(key), &err), err);
}

/* The value as text, "-" when it is absent. Static. */
static const char *get(weir_txn *txn, const char *prefix, const char *key)
{
    static char text[256];
    weir_error err;
    weir_slice value;
    weir_status status = weir_txn_get(txn, WEIR_CF_DEFAULT, S(prefix), S(key), &value, &err);
    if (status == WEIR_NOT_FOUND)
        return "-";
    assert_ok(status, err);
    snprintf(text, sizeof text, "%.*s", (int)value.size, (const char *)value.data);
    return text;
}

static weir_partition_stats stats_of(const harness *h)
{
    weir_partition_stats stats;
    weir_partition_get_stats(h->partition, &stats);
    return stats;
}

/* The changelog as "cf key=value offsets\n…" (tombstone: key-), from its first record. */
static char *read_changelog(harness *h)
{
    static char text[8192];
    weir_changelog *log;
    weir_changelog_record records[64];
    weir_error err;
    size_t count = 0;
    int64_t position;
    text[0] = 0;
    assert_ok(weir_memory_topic_open(h->topic, "reader", &log, &err), err);
    assert_ok(log->ops->seek(log, 0, &err), err);
    do {
        assert_ok(log->ops->read(log, records, 64, 0, &count, &position, &err), err);
        for (size_t i = 0; i < count; i++) {
            size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, "%s %.*s%s%.*s %.*s\n", records[i].cf,
                     (int)records[i].key.size, (const char *)records[i].key.data,
                     records[i].is_tombstone ? "-" : "=", (int)records[i].value.size,
                     records[i].value.size ? (const char *)records[i].value.data : "",
                     (int)records[i].processed_offsets_size, records[i].processed_offsets);
        }
    } while (count > 0);
    log->ops->close(log);
    return text;
}

static void test_reads_see_own_changes_then_committed_state(void **state)
{
    harness *h = *state;
    harness_put(h, "k", "committed", 1);
    weir_txn *txn = harness_begin(h);
    assert_string_equal(get(txn, "", "k"), "committed");
    set(txn, "", "k", "mine");
    assert_string_equal(get(txn, "", "k"), "mine");
    delete (txn, "", "k");
    assert_string_equal(get(txn, "", "k"), "-");
    set(txn, "", "k", "");
    assert_string_equal(get(txn, "", "k"), "");
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_string_equal(get(txn, "", "k"), "committed");
    weir_txn_free(txn);
}

static void test_a_state_key_is_prefix_separator_key(void **state)
{
    harness *h = *state;
    weir_txn *txn = harness_begin(h);
    set(txn, "N1", "total", "1");
    set(txn, "", "total", "2");
    set(txn, "N1", "", "3");
    assert_string_equal(get(txn, "", "N1|total"), "1");
    assert_string_equal(get(txn, "N1", "total"), "1");
    assert_string_equal(get(txn, "", "N1|"), "3");
    harness_commit(h, txn, 1);
    char *dump = harness_dump(h);
    assert_string_equal(dump, "default/N1|=3\ndefault/N1|total=1\ndefault/total=2\n");
    free(dump);
}

static void test_open_transactions_do_not_see_each_other(void **state)
{
    harness *h = *state;
    harness_put(h, "k", "old", 1);
    weir_txn *one = harness_begin(h);
    weir_txn *two = harness_begin(h);
    set(one, "", "k", "one");
    assert_string_equal(get(two, "", "k"), "old");
    set(two, "", "other", "two");
    assert_string_equal(get(one, "", "other"), "-");
    harness_commit(h, one, 2);
    assert_string_equal(get(two, "", "k"), "one");
    harness_commit(h, two, 3);
    assert_true(harness_holds(h, "k", "one"));
    assert_true(harness_holds(h, "other", "two"));
}

static void test_families_are_kept_apart(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    assert_ok(weir_partition_cf(h->partition, "windows", &cf, &err), err);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, cf, NONE, S("k"), S("in windows"), &err), err);
    assert_string_equal(get(txn, "", "k"), "-");
    set(txn, "", "k", "in default");
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    weir_slice value;
    assert_ok(weir_txn_get(txn, cf, NONE, S("k"), &value, &err), err);
    assert_memory_equal(value.data, "in windows", 10);
    assert_string_equal(get(txn, "", "k"), "in default");
    weir_txn_free(txn);
}

static void test_changes_are_logged_in_one_order_whatever_the_order_of_calls(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    assert_ok(weir_partition_cf(h->partition, "windows", &cf, &err), err);
    harness_put(h, "gone", "x", 1);
    weir_memory_topic_truncate(h->topic, 1);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, cf, NONE, S("a"), S("w"), &err), err);
    set(txn, "", "c", "3");
    delete (txn, "", "gone");
    set(txn, "", "a", "overwritten");
    set(txn, "", "b", "2");
    set(txn, "", "a", "1");
    weir_topic_offset processed[] = {{"flights", 41}, {"a \"topic\"", 7}};
    assert_ok(weir_txn_prepare(txn, processed, 2, &err), err);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_PREPARED);
    assert_string_equal(read_changelog(h), "default a=1 {\"flights\":41,\"a \\\"topic\\\"\":7}\n"
                                           "default b=2 {\"flights\":41,\"a \\\"topic\\\"\":7}\n"
                                           "default c=3 {\"flights\":41,\"a \\\"topic\\\"\":7}\n"
                                           "default gone- {\"flights\":41,\"a \\\"topic\\\"\":7}\n"
                                           "windows a=w {\"flights\":41,\"a \\\"topic\\\"\":7}\n");
    weir_txn_free(txn);
}

static void test_without_processed_offsets_the_header_is_null(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set(txn, "", "a", "1");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_string_equal(read_changelog(h), "default a=1 null\n");
    weir_txn_free(txn);
}

static void test_offsets_are_stored_with_the_data_and_found_again(void **state)
{
    harness *h = *state;
    harness_put(h, "a", "1", 5);
    harness_put(h, "b", "2", 9);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 1);
    assert_int_equal(weir_partition_processed_offset(h->partition, "flights"), 9);
    assert_int_equal(weir_partition_processed_offset(h->partition, "other"), WEIR_OFFSET_NONE);
    if (!matrix_is_persistent(h))
        return;
    harness_reopen(h);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 1);
    assert_int_equal(weir_partition_processed_offset(h->partition, "flights"), 9);
    assert_true(harness_holds(h, "b", "2"));
}

static void test_the_offset_of_a_topic_stays_when_another_is_processed(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_topic_offset first[] = {{"a", 3}, {"b", 4}};
    weir_topic_offset second[] = {{"b", 8}};
    weir_txn *txn = harness_begin(h);
    set(txn, "", "k", "1");
    assert_ok(weir_txn_prepare(txn, first, 2, &err), err);
    assert_ok(weir_txn_flush(txn, 0, &err), err);
    weir_txn_free(txn);
    txn = harness_begin(h);
    set(txn, "", "k", "2");
    assert_ok(weir_txn_prepare(txn, second, 1, &err), err);
    assert_ok(weir_txn_flush(txn, 1, &err), err);
    weir_txn_free(txn);
    if (matrix_is_persistent(h))
        harness_reopen(h);
    assert_int_equal(weir_partition_processed_offset(h->partition, "a"), 3);
    assert_int_equal(weir_partition_processed_offset(h->partition, "b"), 8);
}

static void test_an_empty_transaction_writes_nothing_not_even_the_offset(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_topic_offset processed = {"flights", 10};
    harness_put(h, "a", "1", 5);
    uint64_t flushes = stats_of(h).flushes;
    weir_txn *txn = harness_begin(h);
    assert_false(weir_txn_changed(txn));
    assert_ok(weir_txn_prepare(txn, &processed, 1, &err), err);
    assert_ok(weir_txn_flush(txn, 77, &err), err);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_COMPLETE);
    weir_txn_free(txn);
    assert_int_equal(stats_of(h).flushes, flushes);
    assert_int_equal(weir_partition_changelog_offset(h->partition), 0);
    assert_int_equal(weir_partition_processed_offset(h->partition, "flights"), 5);
}

static void test_a_lower_changelog_offset_is_refused_and_an_equal_one_is_not(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set(txn, "", "k", "1");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_ok(weir_txn_flush(txn, 10, &err), err);
    weir_txn_free(txn);

    txn = harness_begin(h);
    set(txn, "", "k", "2");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_int_equal(weir_txn_flush(txn, 9, &err), WEIR_OFFSET);
    assert_non_null(strstr(err.message, "9"));
    assert_non_null(strstr(err.message, "partition=0"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "1"));

    txn = harness_begin(h);
    set(txn, "", "k", "3");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_ok(weir_txn_flush(txn, 10, &err), err);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "3"));
}

static void assert_refuses_everything(weir_txn *txn)
{
    weir_error err;
    weir_slice value;
    weir_iter *iter;
    bool exists;
    weir_cf cf = WEIR_CF_DEFAULT;
    weir_txn_status before = weir_txn_get_status(txn);
    assert_int_equal(weir_txn_get(txn, cf, NONE, S("k"), &value, &err), WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_exists(txn, cf, NONE, S("k"), &exists, &err), WEIR_TXN_FAILED);
    assert_false(exists);
    assert_int_equal(weir_txn_set(txn, cf, NONE, S("k"), S("v"), &err), WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_set(txn, cf, S("p"), S("k"), S("v"), &err), WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_delete(txn, cf, NONE, S("k"), &err), WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_prepare(txn, NULL, 0, &err), WEIR_TXN_FAILED);
    assert_int_equal(weir_txn_iter_open(txn, cf, NULL, &iter, &err), WEIR_TXN_FAILED);
    assert_null(iter);
    assert_int_equal(weir_txn_get_status(txn), before);
}

static void test_each_status_allows_only_what_comes_next(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    set(txn, "", "k", "1");
    assert_true(weir_txn_changed(txn));
    assert_int_equal(weir_txn_flush(txn, 0, &err), WEIR_TXN_FAILED);
    assert_non_null(strstr(err.message, "started"));
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    assert_refuses_everything(txn);
    assert_ok(weir_txn_flush(txn, 0, &err), err);
    assert_refuses_everything(txn);
    assert_int_equal(weir_txn_flush(txn, 0, &err), WEIR_TXN_FAILED);
    assert_non_null(strstr(err.message, "complete"));
    weir_txn_fail(txn);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_COMPLETE);
    weir_txn_free(txn);
}

static void test_a_failed_transaction_refuses_everything_and_leaves_no_trace(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_put(h, "k", "kept", 1);
    weir_txn *txn = harness_begin(h);
    set(txn, "", "k", "lost");
    weir_txn_fail(txn);
    assert_refuses_everything(txn);
    assert_int_equal(weir_txn_flush(txn, 5, &err), WEIR_TXN_FAILED);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", "kept"));
    assert_string_equal(read_changelog(h), "default k=kept {\"flights\":1}\n");
}

static void test_a_key_that_is_too_long_fails_the_transaction_but_a_read_does_not(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    size_t size = WEIR_KEY_MAX_SIZE;
    char *bytes = malloc(size + 1);
    memset(bytes, 'x', size + 1);

    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, 0, NONE, weir_slice_of(bytes, size), S("longest"), &err), err);
    assert_ok(weir_txn_set(txn, 0, S("p"), weir_slice_of(bytes, size - 2), S("too"), &err), err);
    assert_ok(weir_txn_get(txn, 0, NONE, weir_slice_of(bytes, size), &value, &err), err);
    assert_int_equal(weir_txn_get(txn, 0, NONE, weir_slice_of(bytes, size + 1), &value, &err),
                     WEIR_TOO_LARGE);
    assert_int_equal(weir_txn_get(txn, 0, S("p"), weir_slice_of(bytes, size - 1), &value, &err),
                     WEIR_TOO_LARGE);
    assert_non_null(strstr(err.message, "65536"));
    assert_non_null(strstr(err.message, "store=default"));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    assert_ok(weir_txn_get(txn, 0, NONE, weir_slice_of(bytes, size), &value, &err), err);
    assert_memory_equal(value.data, "longest", 7);
    assert_int_equal(weir_txn_set(txn, 0, S("p"), weir_slice_of(bytes, size - 1), S("v"), &err),
                     WEIR_TOO_LARGE);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    txn = harness_begin(h);
    assert_int_equal(weir_txn_delete(txn, 0, NONE, weir_slice_of(bytes, size + 1), &err),
                     WEIR_TOO_LARGE);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    free(bytes);
}

static void test_a_family_that_was_never_opened_is_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    weir_txn *txn = harness_begin(h);
    assert_int_equal(weir_txn_get(txn, 9, NONE, S("k"), &value, &err), WEIR_INVALID);
    assert_int_equal(weir_txn_set(txn, 9, NONE, S("k"), S("v"), &err), WEIR_INVALID);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
}

static void test_a_changelog_that_fails_fails_the_transaction(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set(txn, "", "a", "1");
    set(txn, "", "b", "2");
    h->knobs.fail_at[TEST_CHANGELOG_APPEND] = h->knobs.calls[TEST_CHANGELOG_APPEND] + 2;
    h->knobs.status = WEIR_KAFKA;
    assert_int_equal(weir_txn_prepare(txn, NULL, 0, &err), WEIR_KAFKA);
    assert_non_null(strstr(err.message, "append fails as asked"));
    assert_non_null(strstr(err.message, "partition=0"));
    assert_int_equal(weir_txn_flush(txn, 0, &err), WEIR_TXN_FAILED);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "a", NULL));
}

static void test_after_a_commit_reads_need_no_backend(void **state)
{
    harness *h = *state;
    harness_put(h, "k", "1", 1);
    harness_put(h, "gone", "1", 2);
    harness_put(h, "gone", NULL, 3);
    weir_partition_stats before = stats_of(h);
    weir_txn *txn = harness_begin(h);
    assert_string_equal(get(txn, "", "k"), "1");
    assert_string_equal(get(txn, "", "gone"), "-");
    set(txn, "", "k", "2");
    assert_string_equal(get(txn, "", "k"), "2");
    weir_txn_free(txn);
    weir_partition_stats after = stats_of(h);
    assert_int_equal(after.gets - before.gets, 3);
    assert_int_equal(after.cache_hits - before.cache_hits, 2);
    assert_int_equal(after.update_hits - before.update_hits, 1);
    assert_int_equal(after.backend_gets, before.backend_gets);
    assert_true(after.cache_records >= 2);
    assert_true(after.cache_bytes > 0);
}

static void test_a_key_is_read_from_the_backend_once_also_when_it_is_absent(void **state)
{
    harness *h = *state;
    harness_put(h, "k", "1", 1);
    if (matrix_is_persistent(h))
        harness_reopen(h);
    uint64_t before = stats_of(h).backend_gets;
    uint64_t needed = matrix_is_persistent(h) ? 2 : 0;
    for (int i = 0; i < 3; i++) {
        weir_txn *txn = harness_begin(h);
        assert_string_equal(get(txn, "", "k"), "1");
        assert_string_equal(get(txn, "", "nobody"), "-");
        weir_txn_free(txn);
    }
    assert_int_equal(stats_of(h).backend_gets - before, needed);
}

static void test_a_state_that_began_empty_is_looked_up_in_the_cache_alone(void **state)
{
    harness *h = *state;
    static char big[100000];
    weir_error err;
    weir_slice value;
    memset(big, 'x', sizeof(big));
    uint64_t before = stats_of(h).backend_gets;
    weir_txn *txn = harness_begin(h);
    assert_string_equal(get(txn, "", "k"), "-");
    set(txn, "", "k", "1");
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    assert_string_equal(get(txn, "", "k"), "1");
    assert_string_equal(get(txn, "", "nobody"), "-");
    assert_int_equal(stats_of(h).backend_gets, before);

    /* Until something has no place in it. */
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, weir_slice_str(""), weir_slice_str("big"),
                           weir_slice_of(big, sizeof(big)), &err),
              err);
    harness_commit(h, txn, 2);
    txn = harness_begin(h);
    assert_ok(
        weir_txn_get(txn, WEIR_CF_DEFAULT, weir_slice_str(""), weir_slice_str("big"), &value, &err),
        err);
    assert_int_equal(value.size, sizeof(big));
    assert_string_equal(get(txn, "", "nobody else"), "-");
    assert_int_equal(stats_of(h).backend_gets - before, 2);
    weir_txn_free(txn);
}

typedef struct read_calls {
    int before;
    int after;
} read_calls;

static void count_before(void *arg)
{
    read_calls *calls = arg;
    assert_int_equal(calls->before++, calls->after);
}

static void count_after(void *arg)
{
    read_calls *calls = arg;
    assert_int_equal(calls->before, ++calls->after);
}

static void test_hooks_are_called_around_reads_that_go_to_the_backend_alone(void **state)
{
    harness *h = *state;
    weir_error err;
    read_calls calls = {0, 0};
    harness_put(h, "k", "1", 1);
    weir_partition_set_read_hooks(h->partition, count_before, count_after, &calls);
    weir_txn *txn = harness_begin(h);
    set(txn, "", "own", "1");
    assert_string_equal(get(txn, "", "own"), "1");
    assert_string_equal(get(txn, "", "k"), "1");
    assert_int_equal(calls.before, 0);
    weir_txn_free(txn);
    if (matrix_is_persistent(h))
        harness_reopen(h);
    weir_partition_set_read_hooks(h->partition, count_before, count_after, &calls);
    txn = harness_begin(h);
    assert_string_equal(get(txn, "", "nobody"), "-");
    assert_string_equal(get(txn, "", "nobody"), "-");
    assert_int_equal(calls.before, matrix_is_persistent(h) ? 1 : 0);
    weir_iter *iter;
    weir_slice key;
    weir_slice value;
    assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, NULL, &iter, &err), err);
    while (weir_iter_next(iter, &key, &value, &err) == WEIR_OK)
        continue;
    weir_iter_close(iter);
    assert_true(calls.before >= 2);
    assert_int_equal(calls.after, calls.before);

    read_calls so_far = calls;
    weir_partition_set_read_hooks(h->partition, NULL, NULL, NULL);
    assert_string_equal(get(txn, "", "somebody"), "-");
    assert_int_equal(calls.before, so_far.before);
    weir_txn_free(txn);
}

static void test_deleting_what_is_known_to_be_absent_is_logged_but_not_written(void **state)
{
    harness *h = *state;
    harness_put(h, "other", "1", 1);
    weir_txn *txn = harness_begin(h);
    assert_string_equal(get(txn, "", "ghost"), "-");
    delete (txn, "", "ghost");
    set(txn, "", "other", "2");
    uint64_t before = stats_of(h).written;
    harness_commit(h, txn, 2);
    assert_int_equal(stats_of(h).written - before, 1);
    assert_string_equal(read_changelog(h), "default other=1 {\"flights\":1}\n"
                                           "default ghost- {\"flights\":2}\n"
                                           "default other=2 {\"flights\":2}\n");
    harness_put(h, "ghost", "born", 3);
    assert_true(harness_holds(h, "ghost", "born"));
    harness_put(h, "ghost", NULL, 4);
    assert_true(harness_holds(h, "ghost", NULL));
}

static void test_a_value_too_large_for_the_record_cache_is_read_all_the_same(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    size_t size = 300000;
    char *bytes = malloc(size);
    memset(bytes, 'v', size);
    harness_put(h, "large", "small yet", 1);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, 0, NONE, S("large"), weir_slice_of(bytes, size), &err), err);
    harness_commit(h, txn, 2);
    txn = harness_begin(h);
    for (int i = 0; i < 3; i++) {
        assert_ok(weir_txn_get(txn, 0, NONE, S("large"), &value, &err), err);
        assert_int_equal(value.size, size);
        assert_memory_equal(value.data, bytes, size);
    }
    /* A value that was handed out may be set again. */
    assert_ok(weir_txn_set(txn, 0, NONE, S("copy"), value, &err), err);
    assert_ok(weir_txn_get(txn, 0, NONE, S("copy"), &value, &err), err);
    assert_memory_equal(value.data, bytes, size);
    weir_txn_free(txn);
    free(bytes);
}

static void test_changes_are_counted_and_their_memory_told(void **state)
{
    harness *h = *state;
    char key[32];
    weir_txn *txn = harness_begin(h);
    assert_int_equal(weir_txn_change_bytes(txn), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key%d", i % 500);
        set(txn, "", key, "a value of some bytes");
    }
    assert_int_equal(weir_txn_change_count(txn), 500);
    assert_true(weir_txn_change_bytes(txn) > 500 * 30);
    weir_txn_free(txn);
}

static void test_freeing_a_transaction_drops_its_changes(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    set(txn, "", "k", "1");
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", NULL));
    txn = harness_begin(h);
    set(txn, "", "k", "2");
    assert_ok(weir_txn_prepare(txn, NULL, 0, &err), err);
    weir_txn_free(txn);
    assert_true(harness_holds(h, "k", NULL));
    weir_txn_free(NULL);
}

static void test_random_commits_and_drops_leave_what_a_plain_map_has(void **state)
{
    enum { KEYS = 300 };
    harness *h = *state;
    test_random random = {test_seed(5)};
    printf("seed %llu\n", (unsigned long long)random.state);
    uint32_t committed[KEYS] = {0}; /* 0: absent */
    uint32_t next = 1;
    char key[16];
    char text[16];
    for (int round = 0; round < 60; round++) {
        uint32_t seen[KEYS];
        memcpy(seen, committed, sizeof seen);
        weir_txn *txn = harness_begin(h);
        for (int i = 0; i < 100; i++) {
            uint32_t number = test_random_below(&random, KEYS);
            snprintf(key, sizeof key, "%u", number);
            snprintf(text, sizeof text, "%u", seen[number]);
            assert_string_equal(get(txn, "p", key), seen[number] ? text : "-");
            if (test_random_below(&random, 3) == 0) {
                delete (txn, "p", key);
                seen[number] = 0;
            } else {
                seen[number] = next++;
                snprintf(text, sizeof text, "%u", seen[number]);
                set(txn, "p", key, text);
            }
        }
        if (test_random_below(&random, 4) == 0) {
            weir_txn_free(txn);
        } else {
            harness_commit(h, txn, round);
            memcpy(committed, seen, sizeof seen);
        }
        if (matrix_is_persistent(h) && round % 20 == 19)
            harness_reopen(h);
    }
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_reads_see_own_changes_then_committed_state),
        MATRIX_TEST(test_a_state_key_is_prefix_separator_key),
        MATRIX_TEST(test_open_transactions_do_not_see_each_other),
        MATRIX_TEST(test_families_are_kept_apart),
        MATRIX_TEST(test_changes_are_logged_in_one_order_whatever_the_order_of_calls),
        MATRIX_TEST(test_without_processed_offsets_the_header_is_null),
        MATRIX_TEST(test_offsets_are_stored_with_the_data_and_found_again),
        MATRIX_TEST(test_the_offset_of_a_topic_stays_when_another_is_processed),
        MATRIX_TEST(test_an_empty_transaction_writes_nothing_not_even_the_offset),
        MATRIX_TEST(test_a_lower_changelog_offset_is_refused_and_an_equal_one_is_not),
        MATRIX_TEST(test_each_status_allows_only_what_comes_next),
        MATRIX_TEST(test_a_failed_transaction_refuses_everything_and_leaves_no_trace),
        MATRIX_TEST(test_a_key_that_is_too_long_fails_the_transaction_but_a_read_does_not),
        MATRIX_TEST(test_a_family_that_was_never_opened_is_refused),
        MATRIX_TEST(test_a_changelog_that_fails_fails_the_transaction),
        MATRIX_TEST(test_after_a_commit_reads_need_no_backend),
        MATRIX_TEST(test_a_key_is_read_from_the_backend_once_also_when_it_is_absent),
        MATRIX_TEST(test_a_state_that_began_empty_is_looked_up_in_the_cache_alone),
        MATRIX_TEST(test_hooks_are_called_around_reads_that_go_to_the_backend_alone),
        MATRIX_TEST(test_deleting_what_is_known_to_be_absent_is_logged_but_not_written),
        MATRIX_TEST(test_a_value_too_large_for_the_record_cache_is_read_all_the_same),
        MATRIX_TEST(test_changes_are_counted_and_their_memory_told),
        MATRIX_TEST(test_freeing_a_transaction_drops_its_changes),
        MATRIX_TEST(test_random_commits_and_drops_leave_what_a_plain_map_has),
    };
    return matrix_run("txn", tests, sizeof tests / sizeof *tests);
}
