/*
 * When calls of the backend fail, the right code comes out, nothing is lost, and the
 * store works once the fault is gone. The faults come from the decorator "fault", through
 * the public interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/support_harness.h"
#include "support/plugins.h"

static const weir_slice no_prefix = {NULL, 0};

/* *state is the name of a backend. */
static int setup(void **state)
{
    const char *backend = *state;
    harness *h = calloc(1, sizeof(*h));
    test_log_capture();
    harness_init(h, backend, NULL);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness *h = *state;
    harness_release(h);
    free(h);
    test_log_release();
    return 0;
}

/* Rules of the decorator, from now on: "op=write,nth=2,error=io". */
static void inject(harness *h, const char *format, ...) WEIR_PRINTF(2, 3);
static void inject(harness *h, const char *format, ...)
{
    char rules[256];
    va_list args;
    va_start(args, format);
    vsnprintf(rules, sizeof(rules), format, args);
    va_end(args);
    weir_error err;
    assert_ok(h->partition->backend->control(h->partition->db, "fault.set", rules, &err), err);
}

static void mend(harness *h)
{
    weir_error err;
    assert_ok(h->partition->backend->control(h->partition->db, "fault.clear", NULL, &err), err);
}

static const struct {
    const char *name;
    weir_status status;
} errors[] = {
    {"io", WEIR_IO},         {"no_space", WEIR_NO_SPACE}, {"corrupted", WEIR_CORRUPTED},
    {"fenced", WEIR_FENCED}, {"busy", WEIR_BUSY},         {"no_memory", WEIR_NO_MEMORY},
};
#define ERRORS (sizeof(errors) / sizeof(errors[0]))

/* Which call fails goes from the first to beyond the last; each on memory, and not every
 * one on the others, where a round takes longer and the layer above is the same. */
static int stride(const harness *h)
{
    if (strcmp(h->backend, "fault:memory") == 0)
        return 1;
    return strcmp(h->backend, "fault:rocksdb") == 0 ? 5 : 13;
}

static void assert_names_place(const weir_error *err)
{
    assert_non_null(strstr(err->message, "store=default"));
    assert_non_null(strstr(err->message, "partition=0"));
}

/* --- One call at a time --- */

static void test_a_failed_read_is_told_and_can_be_repeated(void **state)
{
    harness *h = *state;
    h->cache_bytes = 0;
    harness_open(h);
    harness_put(h, "k", "v", 0);
    for (size_t i = 0; i < ERRORS; i++) {
        weir_error err;
        weir_slice value;
        weir_txn *txn = harness_begin(h);
        inject(h, "op=get,nth=1,error=%s", errors[i].name);
        assert_int_equal(weir_txn_get(txn, 0, no_prefix, weir_slice_str("k"), &value, &err),
                         errors[i].status);
        assert_int_equal(value.size, 0);
        assert_names_place(&err);
        assert_ok(weir_txn_get(txn, 0, no_prefix, weir_slice_str("k"), &value, &err), err);
        assert_true(weir_slice_equal(value, weir_slice_str("v")));
        weir_txn_free(txn);
    }
}

static void test_a_failed_flush_changes_nothing_and_recovery_brings_the_changes(void **state)
{
    harness *h = *state;
    harness_open(h);
    harness_put(h, "k", "0", 0);
    for (size_t i = 0; i < ERRORS; i++) {
        weir_error err;
        char before[16];
        char after[16];
        snprintf(before, sizeof(before), "%zu", i);
        snprintf(after, sizeof(after), "%zu", i + 1);
        int64_t offset = weir_partition_changelog_offset(h->partition);
        weir_txn *txn = harness_begin(h);
        assert_ok(weir_txn_set(txn, 0, no_prefix, weir_slice_str("k"), weir_slice_str(after), &err),
                  err);
        inject(h, "op=write,nth=1,error=%s", errors[i].name);
        assert_int_equal(harness_try_commit(h, txn, (int64_t)i + 1, &err), errors[i].status);
        assert_names_place(&err);
        assert_true(harness_holds(h, "k", before));
        assert_int_equal(weir_partition_changelog_offset(h->partition), offset);
        assert_int_equal(weir_partition_processed_offset(h->partition, TEST_STREAM), i);
        /* The source offset was committed before the flush: the change is final. */
        harness_recover(h, (int64_t)i + 2);
        assert_true(harness_holds(h, "k", after));
    }
}

static void test_a_flush_that_fails_for_good_fails_each_time_until_it_is_mended(void **state)
{
    harness *h = *state;
    harness_open(h);
    harness_put(h, "k", "0", 0);
    inject(h, "op=write,nth=1,times=0,error=no_space");
    for (int i = 1; i < 4; i++) {
        weir_error err;
        weir_txn *txn = harness_begin(h);
        assert_ok(weir_txn_set(txn, 0, no_prefix, weir_slice_str("k"), weir_slice_str("x"), &err),
                  err);
        assert_int_equal(harness_try_commit(h, txn, 1, &err), WEIR_NO_SPACE);
        assert_true(harness_holds(h, "k", "0"));
    }
    mend(h);
    /* Three checkpoints of the same source record are in the changelog: it comes again. */
    harness_recover(h, 1);
    assert_true(harness_holds(h, "k", "0"));
    harness_put(h, "k", "1", 1);
    assert_true(harness_holds(h, "k", "1"));
}

static void test_a_disk_that_fills_up_loses_nothing(void **state)
{
    harness *h = *state;
    harness_open(h);
    inject(h, "space=2000");
    weir_error err;
    char value[100];
    memset(value, 'x', sizeof(value));
    int committed = 0;
    for (;; committed++) {
        weir_txn *txn = harness_begin(h);
        assert_ok(weir_txn_set(txn, 0, no_prefix, weir_slice_of(&committed, sizeof(committed)),
                               weir_slice_of(value, sizeof(value)), &err),
                  err);
        weir_status status = harness_try_commit(h, txn, committed, &err);
        if (status != WEIR_OK) {
            assert_int_equal(status, WEIR_NO_SPACE);
            break;
        }
        assert_true(committed < 100);
    }
    assert_true(committed > 3);
    mend(h);
    harness_recover(h, committed);
    weir_txn *txn = harness_begin(h);
    for (int i = 0; i <= committed; i++) {
        bool exists;
        assert_ok(weir_txn_exists(txn, 0, no_prefix, weir_slice_of(&i, sizeof(i)), &exists, &err),
                  err);
        assert_int_equal(exists, i < committed);
    }
    weir_txn_free(txn);
}

static void fill(harness *h, int count)
{
    weir_error err;
    weir_txn *txn = harness_begin(h);
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%04d", i);
        assert_ok(weir_txn_set(txn, 0, no_prefix, weir_slice_str(key), weir_slice_str(key), &err),
                  err);
    }
    harness_commit(h, txn, 0);
}

/* Items read before the end or a failure, which is in *status. */
static int read_all(weir_txn *txn, bool reverse, weir_status *status, weir_error *err)
{
    weir_iter_options options = {.struct_size = sizeof(options), .reverse = reverse};
    weir_iter *iter;
    weir_slice key;
    weir_slice value;
    int count = 0;
    *status = weir_txn_iter_open(txn, 0, &options, &iter, err);
    if (*status != WEIR_OK) {
        assert_null(iter);
        return 0;
    }
    while ((*status = weir_iter_next(iter, &key, &value, err)) == WEIR_OK)
        count++;
    weir_iter_close(iter);
    return count;
}

static void test_a_failed_iteration_is_told_and_never_looks_like_an_end(void **state)
{
    harness *h = *state;
    harness_open(h);
    fill(h, 10);
    for (int reverse = 0; reverse < 2; reverse++) {
        for (int nth = 1; nth <= 10; nth++) {
            weir_error err;
            weir_status status;
            weir_txn *txn = harness_begin(h);
            inject(h, "op=iter_next,nth=%d,error=io", nth);
            assert_true(read_all(txn, reverse, &status, &err) < 10);
            assert_int_equal(status, WEIR_IO);
            assert_names_place(&err);
            mend(h);
            inject(h, "op=iter_open,nth=1,error=busy");
            read_all(txn, reverse, &status, &err);
            assert_int_equal(status, WEIR_BUSY);
            assert_int_equal(read_all(txn, reverse, &status, &err), 10);
            assert_int_equal(status, WEIR_NOT_FOUND);
            weir_txn_free(txn);
        }
    }
}

static void test_a_family_that_cannot_be_made_is_told_and_can_be_made_later(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    harness_open(h);
    inject(h, "op=cf_open,nth=1,error=no_space");
    assert_int_equal(weir_partition_cf(h->partition, "new", &cf, &err), WEIR_NO_SPACE);
    assert_ok(weir_partition_cf(h->partition, "new", &cf, &err), err);
    assert_int_not_equal(cf, WEIR_CF_DEFAULT);
}

/* --- Opening --- */

static void renew_folder(harness *h)
{
    harness_close(h);
    test_folder_remove(h->folder);
    h->folder = test_folder_new();
}

static void test_a_failed_open_leaves_nothing_open_and_works_later(void **state)
{
    harness *h = *state;
    static const struct {
        const char *op;
        const char *nth;
        const char *error;
        weir_status status;
    } faults[] = {{"open", "1", "io", WEIR_IO},
                  {"open", "1", "no_space", WEIR_NO_SPACE},
                  {"open", "1", "permission", WEIR_PERMISSION},
                  {"get", "1", "io", WEIR_IO},
                  {"cf_open", "1", "io", WEIR_IO},
                  {"cf_open", "2", "no_memory", WEIR_NO_MEMORY}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const weir_option options[] = {{"fault.op", faults[i].op},
                                       {"fault.nth", faults[i].nth},
                                       {"fault.error", faults[i].error},
                                       {"open_max_retries", "0"},
                                       {NULL, NULL}};
        weir_error err;
        h->options = options;
        assert_int_equal(harness_try_open(h, &err), faults[i].status);
        assert_names_place(&err);
        h->options = NULL;
        harness_open(h);
        harness_put(h, "k", "v", (int64_t)i);
        assert_true(harness_holds(h, "k", "v"));
        weir_memory_topic *topic = h->topic;
        renew_folder(h);
        h->topic = weir_memory_topic_new();
        weir_memory_topic_free(topic);
    }
}

/* --- Recovery --- */

static void append_history(harness *h, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        char key[16];
        char value[16];
        char family[16];
        snprintf(key, sizeof(key), "%d", i % 17);
        snprintf(value, sizeof(value), "%d", i);
        snprintf(family, sizeof(family), "family%d", i / 40);
        harness_append(h, i % 5 == 0 ? family : "default", key, i % 7 == 0 ? NULL : value,
                       "{\"flights\":1}");
    }
}

static char *expected_dump(harness *h)
{
    harness plain;
    harness_init(&plain, "memory", NULL);
    weir_memory_topic_free(plain.topic);
    plain.topic = h->topic;
    harness_open(&plain);
    harness_recover(&plain, WEIR_OFFSET_NONE);
    char *text = harness_dump(&plain);
    harness_close(&plain);
    plain.topic = NULL;
    harness_release(&plain);
    return text;
}

static void assert_state(harness *h, const char *expected)
{
    char *text = harness_dump(h);
    assert_string_equal(text, expected);
    free(text);
}

static void test_recovery_goes_on_after_any_call_of_the_backend_that_failed(void **state)
{
    harness *h = *state;
    append_history(h, 0, 100);
    char *expected = expected_dump(h);
    h->knobs.max_per_read = 10;
    int failures = 1;
    int nth = 1 - stride(h);
    while (failures > 0) {
        weir_error err;
        bool done;
        bool needed;
        nth += stride(h);
        failures = 0;
        harness_open(h);
        inject(h, "op=any,nth=%d,error=no_space", nth);
        assert_ok(weir_partition_recovery_begin(h->partition, NULL, 0, &needed, &err), err);
        for (done = !needed; !done;) {
            int64_t before = weir_partition_changelog_offset(h->partition);
            weir_status status =
                weir_partition_recovery_step(h->partition, 0, 1000, &done, NULL, &err);
            if (status != WEIR_OK) {
                assert_int_equal(status, WEIR_NO_SPACE);
                assert_names_place(&err);
                assert_true(weir_partition_changelog_offset(h->partition) >= before);
                failures++;
            }
        }
        assert_true(failures <= 1);
        mend(h);
        assert_state(h, expected);
        renew_folder(h);
    }
    assert_true(nth > 10);
    free(expected);
}

static void test_a_rebuild_goes_on_after_any_call_of_the_backend_that_failed(void **state)
{
    harness *h = *state;
    h->gap_policy = WEIR_GAP_REBUILD;
    int failures = 1;
    int nth = 1 - stride(h);
    while (failures > 0) {
        weir_error err;
        weir_recovery_progress progress;
        nth += stride(h);
        weir_memory_topic_free(h->topic);
        h->topic = weir_memory_topic_new();
        append_history(h, 0, 100);
        harness_open(h);
        harness_recover(h, WEIR_OFFSET_NONE);
        append_history(h, 200, 50);
        weir_memory_topic_truncate(h->topic, 120);
        char *expected = expected_dump(h);
        inject(h, "op=any,nth=%d,error=io", nth);
        failures = 0;
        weir_status status;
        while ((status = harness_try_recover(h, WEIR_OFFSET_NONE, &progress, &err)) != WEIR_OK) {
            assert_int_equal(status, WEIR_IO);
            assert_names_place(&err);
            failures++;
            if (nth % 2 == 0)
                harness_reopen(h);
        }
        assert_true(failures <= 1);
        mend(h);
        assert_state(h, expected);
        free(expected);
        renew_folder(h);
    }
    assert_true(nth > 20);
}

/* --- Everything at once --- */

/* What a source record does: a counter for one of seven keys, and every now and then a
 * deletion and a walk over all. */
static weir_status process(weir_txn *txn, int record, weir_error *err)
{
    char key[16];
    snprintf(key, sizeof(key), "key%d", record * 31 % 7);
    weir_state *view = weir_txn_state(txn, weir_slice_str(key));
    int64_t count;
    weir_status status = weir_state_get_int(view, "count", 0, &count, err);
    if (status == WEIR_OK)
        status = weir_state_set_int(view, "count", count + 1, err);
    if (status == WEIR_OK && record % 5 == 4)
        status = weir_state_remove(weir_txn_state(txn, weir_slice_str("key0")), "count", err);
    if (status == WEIR_OK && record % 3 == 0) {
        read_all(txn, record % 2, &status, err);
        if (status == WEIR_NOT_FOUND)
            status = WEIR_OK;
    }
    return status;
}

static weir_status run_checkpoint(harness *h, int first, int count, weir_error *err)
{
    weir_txn *txn;
    weir_status status = weir_partition_begin(h->partition, &txn, err);
    for (int i = first; i < first + count && status == WEIR_OK; i++) {
        status = process(txn, i, err);
        if (status != WEIR_OK)
            weir_txn_free(txn);
    }
    return status == WEIR_OK ? harness_try_commit(h, txn, first + count - 1, err) : status;
}

/* Six checkpoints; what fails is done again after a restart, from the source record after
 * the last checkpoint. Returns how often something failed. */
static int run_workload(harness *h, const char *error, int nth)
{
    int failures = 0;
    harness_open(h);
    if (error != NULL)
        inject(h, "op=any,nth=%d,error=%s", nth, error);
    for (int checkpoint = 0; checkpoint < 6;) {
        weir_error err;
        weir_status status = run_checkpoint(h, checkpoint * 4, 4, &err);
        if (status == WEIR_OK) {
            checkpoint++;
            continue;
        }
        assert_int_equal(status, WEIR_IO);
        assert_names_place(&err);
        failures++;
        harness_reopen(h);
        harness_recover(h, checkpoint * 4);
    }
    return failures;
}

static void test_a_program_survives_the_failure_of_any_call_of_the_backend(void **state)
{
    harness *h = *state;
    assert_int_equal(run_workload(h, NULL, 0), 0);
    char *expected = harness_dump(h);
    for (size_t cache = 0; cache < 2; cache++) {
        h->cache_bytes = cache << 20;
        int failures = 1;
        for (int nth = 1; failures > 0; nth += stride(h)) {
            renew_folder(h);
            weir_memory_topic_free(h->topic);
            h->topic = weir_memory_topic_new();
            failures = run_workload(h, "io", nth);
            assert_true(failures <= 1);
            mend(h);
            assert_state(h, expected);
        }
    }
    free(expected);
}

static void test_a_changelog_that_fails_to_flush_keeps_the_state_as_it_was(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_open(h);
    harness_put(h, "k", "0", 0);
    weir_txn *txn = harness_begin(h);
    assert_ok(weir_txn_set(txn, 0, no_prefix, weir_slice_str("k"), weir_slice_str("1"), &err), err);
    h->knobs.fail_at[TEST_CHANGELOG_FLUSH] = h->knobs.calls[TEST_CHANGELOG_FLUSH] + 1;
    h->knobs.status = WEIR_KAFKA;
    assert_int_equal(harness_try_commit(h, txn, 1, &err), WEIR_KAFKA);
    assert_true(harness_holds(h, "k", "0"));
    harness_recover(h, 1);
    assert_true(harness_holds(h, "k", "0"));
    harness_put(h, "k", "1", 1);
    harness_reopen(h);
    harness_recover(h, 2);
    assert_true(harness_holds(h, "k", "1"));
}

#define TEST(function)                                                                             \
    {                                                                                              \
#function, function, setup, teardown, NULL                                                 \
    }

static const struct CMUnitTest tests[] = {
    TEST(test_a_failed_read_is_told_and_can_be_repeated),
    TEST(test_a_failed_flush_changes_nothing_and_recovery_brings_the_changes),
    TEST(test_a_flush_that_fails_for_good_fails_each_time_until_it_is_mended),
    TEST(test_a_disk_that_fills_up_loses_nothing),
    TEST(test_a_failed_iteration_is_told_and_never_looks_like_an_end),
    TEST(test_a_family_that_cannot_be_made_is_told_and_can_be_made_later),
    TEST(test_a_failed_open_leaves_nothing_open_and_works_later),
    TEST(test_recovery_goes_on_after_any_call_of_the_backend_that_failed),
    TEST(test_a_rebuild_goes_on_after_any_call_of_the_backend_that_failed),
    TEST(test_a_program_survives_the_failure_of_any_call_of_the_backend),
    TEST(test_a_changelog_that_fails_to_flush_keeps_the_state_as_it_was),
};
#define TESTS (sizeof(tests) / sizeof(tests[0]))

static int run_on(const char *backend)
{
    struct CMUnitTest cases[TESTS];
    memcpy(cases, tests, sizeof(tests));
    for (size_t i = 0; i < TESTS; i++)
        cases[i].initial_state = (void *)(uintptr_t)backend;
    return _cmocka_run_group_tests(backend, cases, TESTS, NULL, NULL);
}

int main(void)
{
    int failed = run_on("fault:memory") + run_on("fault:rocksdb");
    if (test_plugin_is_built("lmdb"))
        failed += run_on("fault:lmdb");
    if (test_plugin_is_built("slatedb"))
        failed += run_on("fault:slatedb");
    return failed;
}
