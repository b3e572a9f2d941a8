/*
 * A store partition: its column families, what it stores about offsets, what it hands to
 * the backend, and what holds after a call of the backend has failed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"

#define NONE weir_slice_of(NULL, 0)
#define S    weir_slice_str

/* --- A backend whose write and get can be watched and made to fail --- */

static struct {
    const weir_backend *inner;
    weir_backend table;
    weir_status write_status;
    weir_status get_status;
    uint32_t flags;
    char batch[4096]; /* "put key=value\n…" of the last write, without its families */
} spy;

static weir_status spy_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                             uint32_t flags, weir_error *err)
{
    spy.flags = flags;
    spy.batch[0] = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = strlen(spy.batch);
        bool is_put = ops[i].kind == WEIR_OP_PUT;
        snprintf(spy.batch + at, sizeof spy.batch - at, "%s %.*s%s%.*s\n",
                 is_put ? "put" : "delete", (int)ops[i].key.size, (const char *)ops[i].key.data,
                 is_put ? "=" : "", is_put ? (int)ops[i].value.size : 0,
                 is_put ? (const char *)ops[i].value.data : "");
    }
    if (spy.write_status)
        return weir_error_set(err, spy.write_status, "the disk says no");
    return spy.inner->write(db, ops, count, flags, err);
}

static weir_status spy_get(weir_backend_db *db, weir_backend_cf *cf,
                           weir_backend_snapshot *snapshot, weir_slice key,
                           weir_backend_value *value, weir_error *err)
{
    if (spy.get_status) {
        memset(value, 0, sizeof *value);
        return weir_error_set(err, spy.get_status, "the disk says nothing");
    }
    return spy.inner->get(db, cf, snapshot, key, value, err);
}

static void watch(harness *h)
{
    memset(&spy, 0, sizeof spy);
    spy.inner = h->partition->backend;
    spy.table = *spy.inner;
    spy.table.write = spy_write;
    spy.table.get = spy_get;
    h->partition->backend = &spy.table;
    h->partition->began_empty = false; /* else less would have to be asked and told */
}

static uint64_t backend_gets(const harness *h)
{
    weir_partition_stats stats;
    weir_partition_get_stats(h->partition, &stats);
    return stats.backend_gets;
}

static void set(weir_txn *txn, weir_cf cf, const char *key, const char *value)
{
    weir_error err;
    assert_ok(weir_txn_set(txn, cf, NONE, S(key), S(value), &err), err);
}

/* --- Tests --- */

static void test_a_batch_is_sorted_by_family_and_key_with_the_offsets_last(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    assert_ok(weir_partition_cf(h->partition, "windows", &cf, &err), err);
    watch(h);
    weir_txn *txn = harness_begin(h);
    set(txn, cf, "a", "w");
    set(txn, WEIR_CF_DEFAULT, "c", "3");
    assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, NONE, S("b"), &err), err);
    set(txn, WEIR_CF_DEFAULT, "a", "1");
    weir_topic_offset processed = {"flights", 12};
    assert_ok(weir_txn_prepare(txn, &processed, 1, &err), err);
    assert_ok(weir_txn_flush(txn, 0x4142434445464748, &err), err);
    weir_txn_free(txn);
    assert_string_equal(spy.batch, "put a=1\ndelete b\nput c=3\nput a=w\n"
                                   "put __changelog_offset__=ABCDEFGH\n"
                                   "put __weir_processed_offsets__={\"flights\":12}\n"
                                   "put __weir_store_kind__=plain\n");
    assert_int_equal(spy.flags, 0);
    assert_true(weir_partition_changelog_offset(h->partition) == 0x4142434445464748);
}

static void test_without_a_changelog_each_batch_is_synced_and_may_be_flushed_at_once(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_close(h);
    h->has_changelog = false;
    harness_open(h);
    watch(h);
    assert_false(weir_partition_has_changelog(h->partition));
    weir_txn *txn = harness_begin(h);
    set(txn, WEIR_CF_DEFAULT, "k", "1");
    assert_ok(weir_txn_flush(txn, WEIR_OFFSET_NONE, &err), err);
    weir_txn_free(txn);
    assert_string_equal(spy.batch, "put k=1\nput __weir_store_kind__=plain\n");
    assert_int_equal(spy.flags, WEIR_WRITE_SYNC);
    harness_put(h, "k", "2", 7);
    assert_string_equal(spy.batch, "put k=2\nput __weir_processed_offsets__={\"flights\":7}\n");
    assert_int_equal(weir_partition_changelog_offset(h->partition), WEIR_OFFSET_NONE);
    assert_int_equal(weir_partition_processed_offset(h->partition, "flights"), 7);
    assert_int_equal(spy.flags, WEIR_WRITE_SYNC);
    if (matrix_is_persistent(h)) {
        harness_reopen(h);
        assert_int_equal(weir_partition_processed_offset(h->partition, "flights"), 7);
        assert_true(harness_holds(h, "k", "2"));
    }
}

static void test_after_a_failed_write_state_offsets_and_cache_are_as_before(void **state)
{
    static const weir_status failures[] = {WEIR_IO, WEIR_NO_SPACE, WEIR_FENCED};
    harness *h = *state;
    weir_error err;
    harness_put(h, "k", "old", 1);
    harness_put(h, "gone", "x", 2);
    harness_put(h, "gone", NULL, 3);
    watch(h);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        weir_txn *txn = harness_begin(h);
        set(txn, WEIR_CF_DEFAULT, "k", "new");
        set(txn, WEIR_CF_DEFAULT, "gone", "new");
        set(txn, WEIR_CF_DEFAULT, "fresh", "new");
        weir_topic_offset processed[] = {{"flights", 99}, {"unheard of", 1}};
        assert_ok(weir_txn_prepare(txn, processed, 2, &err), err);
        spy.write_status = failures[i];
        assert_int_equal(weir_txn_flush(txn, 50, &err), failures[i]);
        assert_non_null(strstr(err.message, "the disk says no"));
        assert_non_null(strstr(err.message, "store=default"));
        assert_non_null(strstr(err.message, "partition=0"));
        assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
        assert_int_equal(weir_txn_flush(txn, 50, &err), WEIR_TXN_FAILED);
        weir_txn_free(txn);
        spy.write_status = WEIR_OK;
        assert_true(harness_holds(h, "k", "old"));
        assert_true(harness_holds(h, "gone", NULL));
        assert_true(harness_holds(h, "fresh", NULL));
        assert_int_equal(weir_partition_changelog_offset(h->partition), 2);
        assert_int_equal(weir_partition_processed_offset(h->partition, "flights"), 3);
        assert_int_equal(weir_partition_processed_offset(h->partition, "unheard of"),
                         WEIR_OFFSET_NONE);
    }
    harness_put(h, "k", "newest", 4);
    assert_null(strstr(spy.batch, "unheard of"));
    assert_true(harness_holds(h, "k", "newest"));
}

static void test_a_read_that_fails_is_told_and_may_be_repeated(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice value;
    watch(h);
    weir_txn *txn = harness_begin(h);
    spy.get_status = WEIR_IO;
    assert_int_equal(weir_txn_get(txn, WEIR_CF_DEFAULT, NONE, S("k"), &value, &err), WEIR_IO);
    assert_non_null(strstr(err.message, "the disk says nothing"));
    assert_non_null(strstr(err.message, "backend="));
    spy.get_status = WEIR_OK;
    assert_int_equal(weir_txn_get(txn, WEIR_CF_DEFAULT, NONE, S("k"), &value, &err),
                     WEIR_NOT_FOUND);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_STARTED);
    weir_txn_free(txn);
}

static void test_a_family_has_one_number_as_long_as_the_partition_is_open(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    char name[32];
    assert_ok(weir_partition_cf(h->partition, "default", &cf, &err), err);
    assert_int_equal(cf, WEIR_CF_DEFAULT);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 1; i <= 12; i++) {
            snprintf(name, sizeof name, "family-%u", i);
            assert_ok(weir_partition_cf(h->partition, name, &cf, &err), err);
            assert_int_equal(cf, i);
        }
    }
    weir_txn *txn = harness_begin(h);
    set(txn, 7, "k", "in the seventh");
    harness_commit(h, txn, 1);
    char *dump = harness_dump(h);
    assert_string_equal(dump, "family-7/k=in the seventh\n");
    free(dump);
}

static void test_a_family_is_found_again_after_a_restart(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    weir_slice value;
    if (!matrix_is_persistent(h))
        return;
    assert_ok(weir_partition_cf(h->partition, "first", &cf, &err), err);
    assert_ok(weir_partition_cf(h->partition, "second", &cf, &err), err);
    weir_txn *txn = harness_begin(h);
    set(txn, cf, "k", "v");
    harness_commit(h, txn, 1);
    harness_reopen(h);
    assert_ok(weir_partition_cf(h->partition, "second", &cf, &err), err);
    txn = harness_begin(h);
    assert_ok(weir_txn_get(txn, cf, NONE, S("k"), &value, &err), err);
    assert_memory_equal(value.data, "v", 1);
    weir_txn_free(txn);
}

static void test_names_that_no_family_may_have_are_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf = 5;
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = 0;
    assert_int_equal(weir_partition_cf(h->partition, "", &cf, &err), WEIR_INVALID);
    assert_int_equal(weir_partition_cf(h->partition, name, &cf, &err), WEIR_INVALID);
    assert_int_equal(weir_partition_cf(h->partition, "__metadata__", &cf, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "__metadata__"));
    assert_int_equal(cf, WEIR_CF_DEFAULT);
}

/* Writes to the metadata past the state layer. */
static void store_raw(harness *h, const char *key, const char *value, size_t size)
{
    weir_error err;
    weir_backend_op op = {.kind = WEIR_OP_PUT,
                          .cf = h->partition->metadata,
                          .key = S(key),
                          .value = weir_slice_of(value, size)};
    assert_ok(h->partition->backend->write(h->partition->db, &op, 1, 0, &err), err);
}

static void test_stored_offsets_that_make_no_sense_are_corruption(void **state)
{
    static const struct {
        const char *key;
        const char *bad;
        size_t size;
    } cases[] = {
        {"__changelog_offset__", "\0\0\0\0\0\0\7", 7},
        {"__changelog_offset__", "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
        {"__weir_processed_offsets__", "{\"a\":", 5},
        {"__weir_processed_offsets__", "{\"a\":\"b\"}", 9},
    };
    harness *h = *state;
    weir_error err;
    if (!matrix_is_persistent(h))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        store_raw(h, cases[i].key, cases[i].bad, cases[i].size);
        harness_close(h);
        assert_int_equal(harness_try_open(h, &err), WEIR_CORRUPTED);
        assert_non_null(strstr(err.message, "partition=0"));
        harness_release(h);
        harness_init(h, h->backend, NULL);
        harness_open(h);
    }
}

/* The mark of `weir state load` and `migrate`. */
static void test_a_copy_that_was_broken_off_is_not_opened(void **state)
{
    harness *h = *state;
    weir_error err;
    if (!matrix_is_persistent(h))
        return;
    store_raw(h, "__weir_incomplete__", "1", 1);
    harness_close(h);
    assert_int_equal(harness_try_open(h, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "a copy that was broken off"));
    assert_non_null(strstr(err.message, "partition=0"));
}

/* The mark of the first database of a copy decides for all of them. */
static void test_a_copy_is_opened_once_all_of_it_is_complete(void **state)
{
    harness *h = *state;
    harness first;
    weir_error err;
    char mark[1024];
    if (!matrix_is_persistent(h))
        return;
    harness_init(&first, h->backend, h->options);
    harness_open(&first);
    snprintf(mark, sizeof mark, "2\n%s\nweir state migrate --from a --to b", first.partition->path);
    harness_put(h, "k", "copied", 1);
    store_raw(h, "__weir_incomplete__", mark, strlen(mark));
    harness_close(h);
    harness_close(&first);
    harness_open(h);
    assert_true(harness_holds(h, "k", "copied"));
    store_raw(h, "__weir_incomplete__", mark, strlen(mark));
    harness_open(&first);
    store_raw(&first, "__weir_incomplete__", "1\n\n", 3);
    harness_close(&first);
    harness_close(h);
    assert_int_equal(harness_try_open(h, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "go on with it (weir state migrate --from a --to b)"));
    harness_release(&first); /* nor is one complete whose first is gone */
    assert_int_equal(harness_try_open(h, &err), WEIR_INVALID);
}

/* Then nobody needs the first any more. */
static void test_the_mark_of_a_complete_copy_is_removed(void **state)
{
    harness *h = *state;
    harness first;
    char mark[1024];
    if (!matrix_is_persistent(h))
        return;
    harness_init(&first, h->backend, h->options);
    harness_open(&first);
    snprintf(mark, sizeof mark, "2\n%s\n", first.partition->path);
    store_raw(h, "__weir_incomplete__", mark, strlen(mark));
    harness_close(&first);
    harness_reopen(h);
    harness_release(&first);
    harness_reopen(h);
}

static void test_closing_drops_the_transactions_that_are_open(void **state)
{
    harness *h = *state;
    harness_put(h, "k", "kept", 1);
    for (int i = 0; i < 3; i++)
        set(harness_begin(h), WEIR_CF_DEFAULT, "k", "lost");
    weir_txn_free(harness_begin(h));
    harness_close(h);
    harness_open(h);
    if (matrix_is_persistent(h))
        assert_true(harness_holds(h, "k", "kept"));
}

static void test_without_a_record_cache_every_read_goes_to_the_backend(void **state)
{
    harness *h = *state;
    harness_close(h);
    h->cache_bytes = 0;
    harness_open(h);
    harness_put(h, "k", "1", 1);
    uint64_t before = backend_gets(h);
    for (int i = 0; i < 5; i++) {
        assert_true(harness_holds(h, "k", "1"));
        assert_true(harness_holds(h, "ghost", NULL));
    }
    assert_int_equal(backend_gets(h) - before, 10);
    weir_partition_stats stats;
    weir_partition_get_stats(h->partition, &stats);
    assert_int_equal(stats.cache_bytes, 0);
    assert_int_equal(stats.cache_records, 0);
}

static void test_it_tells_who_it_is(void **state)
{
    harness *h = *state;
    char path[512];
    snprintf(path, sizeof path, "%s/test/default/%s/0", h->folder, TEST_STREAM);
    assert_string_equal(weir_partition_path(h->partition), path);
    assert_string_equal(weir_partition_backend(h->partition), h->backend);
    assert_true(weir_partition_has_changelog(h->partition));
    assert_int_equal(weir_partition_changelog_offset(h->partition), WEIR_OFFSET_NONE);
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_a_batch_is_sorted_by_family_and_key_with_the_offsets_last),
        MATRIX_TEST(test_without_a_changelog_each_batch_is_synced_and_may_be_flushed_at_once),
        MATRIX_TEST(test_after_a_failed_write_state_offsets_and_cache_are_as_before),
        MATRIX_TEST(test_a_read_that_fails_is_told_and_may_be_repeated),
        MATRIX_TEST(test_a_family_has_one_number_as_long_as_the_partition_is_open),
        MATRIX_TEST(test_a_family_is_found_again_after_a_restart),
        MATRIX_TEST(test_names_that_no_family_may_have_are_refused),
        MATRIX_TEST(test_stored_offsets_that_make_no_sense_are_corruption),
        MATRIX_TEST(test_a_copy_that_was_broken_off_is_not_opened),
        MATRIX_TEST(test_a_copy_is_opened_once_all_of_it_is_complete),
        MATRIX_TEST(test_the_mark_of_a_complete_copy_is_removed),
        MATRIX_TEST(test_closing_drops_the_transactions_that_are_open),
        MATRIX_TEST(test_without_a_record_cache_every_read_goes_to_the_backend),
        MATRIX_TEST(test_it_tells_who_it_is),
    };
    return matrix_run("partition", tests, sizeof tests / sizeof *tests);
}
