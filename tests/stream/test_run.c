/*
 * Records on their way through the operators.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_host.h"

#include <cmocka.h>

/* ---------------------------------------------------------------------------
 * An allocation counter: this program's malloc family, on top of the C library's
 * ------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
#else
#define COUNTS_ALLOCATIONS 1
static size_t allocations;
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}
#endif

static int setup(void **state)
{
    *state = test_app_new();
    return 0;
}

static int teardown(void **state)
{
    weir_app_free(*state);
    return 0;
}

/* ---------------------------------------------------------------------------
 * Callbacks
 * ------------------------------------------------------------------------- */

static weir_status keep_long(const weir_record *record, bool *keep, void *arg, weir_error *err)
{
    (void)err;
    assert_false(*keep);
    *keep = record->value.size >= *(const size_t *)arg;
    return WEIR_OK;
}

static weir_status upper_value(weir_context *context, weir_record *record, void *arg,
                               weir_error *err)
{
    (void)arg;
    char *upper = weir_context_alloc(context, record->value.size);
    if (!upper)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < record->value.size; i++)
        upper[i] = (char)(((const char *)record->value.data)[i] & ~0x20);
    record->value.data = upper;
    return WEIR_OK;
}

static weir_status other_key(weir_context *context, weir_record *record, void *arg, weir_error *err)
{
    (void)context, (void)err;
    record->key = weir_slice_str(arg);
    record->has_key = true;
    record->timestamp = 77;
    record->topic = "elsewhere";
    record->offset = -5;
    return WEIR_OK;
}

static weir_status twice(weir_context *context, const weir_record *record, void *arg,
                         weir_error *err)
{
    (void)arg;
    weir_record copy = *record;
    copy.topic = "elsewhere";
    copy.partition = 99;
    weir_status status = weir_forward(context, &copy, err);
    return status == WEIR_OK ? weir_forward(context, &copy, err) : status;
}

static weir_status count(weir_context *context, weir_state *state, const weir_record *record,
                         void *arg, weir_error *err)
{
    int64_t n;
    char *text = weir_context_alloc(context, 32);
    weir_record copy = *record;
    weir_status status = weir_state_get_int(state, "n", 0, &n, err);
    (void)arg;
    if (status == WEIR_OK)
        status = weir_state_set_int(state, "n", n + 1, err);
    if (status != WEIR_OK || !text)
        return status;
    copy.value = weir_slice_of(text, (size_t)snprintf(text, 32, "%lld", (long long)(n + 1)));
    return weir_forward(context, &copy, err);
}

static weir_status refuse(weir_context *context, const weir_record *record, void *arg,
                          weir_error *err)
{
    (void)context, (void)record;
    return weir_error_set(err, WEIR_CALLBACK, "%s", (const char *)arg);
}

static weir_status refuse_in_silence(weir_context *context, const weir_record *record, void *arg,
                                     weir_error *err)
{
    (void)context, (void)record, (void)arg, (void)err;
    return WEIR_SERIALIZATION;
}

static weir_status overlook_failures(weir_context *context, const weir_record *record, void *arg,
                                     weir_error *err)
{
    (void)arg, (void)err;
    weir_forward(context, record, NULL);
    weir_forward(context, record, NULL);
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * Tests
 * ------------------------------------------------------------------------- */

static void test_filter_passes_what_it_keeps(void **state)
{
    size_t least = 3;
    weir_stream *source = test_source(*state);
    test_to(weir_stream_filter(source, keep_long, &least, NULL), "out");
    test_host *host = test_host_new(source, 0);
    assert_int_equal(test_host_run(host, "a", "xx", 1, NULL), WEIR_OK);
    assert_int_equal(test_host_run(host, "b", "xxx", 2, NULL), WEIR_OK);
    assert_int_equal(test_host_run(host, "c", NULL, 3, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "b=xxx");
    test_host_free(host);
}

static void test_map_changes_a_copy_that_siblings_do_not_see(void **state)
{
    weir_stream *source = test_source(*state);
    test_to(weir_stream_map(source, other_key, "changed", NULL), "first");
    test_to(weir_stream_map_value(source, upper_value, NULL, NULL), "second");
    test_to(source, "third");
    test_host *host = test_host_new(source, 0);
    assert_int_equal(test_host_run(host, "k", "abc", 1, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "changed=abc");
    assert_string_equal(test_host_sent(host, 1), "k=ABC");
    assert_string_equal(test_host_sent(host, 2), "k=abc");
    assert_int_equal(host->sent[0].timestamp, 77);
    assert_int_equal(host->sent[2].timestamp, 1001);
    test_host_free(host);
}

static void test_a_record_says_where_it_came_from_all_the_way(void **state)
{
    weir_stream *source = test_source(*state);
    weir_stream *mapped = weir_stream_map(source, other_key, "changed", NULL);
    test_to(weir_stream_apply(mapped, twice, NULL, NULL), "out");
    test_host *host = test_host_new(source, 0);
    assert_int_equal(test_host_run(host, "k", "v", 41, NULL), WEIR_OK);
    assert_int_equal(host->sent_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(host->sent[i].topic, "in");
        assert_int_equal(host->sent[i].partition, 3);
        assert_int_equal(host->sent[i].offset, 41);
    }
    test_host_free(host);
}

static void test_a_sink_passes_records_on(void **state)
{
    weir_stream *source = test_source(*state);
    test_to(test_to(source, "first"), "second");
    test_host *host = test_host_new(source, 0);
    assert_int_equal(test_host_run(host, "k", NULL, 1, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "k=(null)");
    assert_string_equal(test_host_sent(host, 1), "k=(null)");
    test_host_free(host);
}

static void test_state_is_kept_by_key(void **state)
{
    weir_stream *source = test_source(*state);
    test_to(weir_stream_apply_stateful(source, NULL, count, NULL, NULL), "out");
    test_host *host = test_host_new(source, 1);
    const char *keys[] = {"a", "b", "a", "a", "b"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(test_host_run(host, keys[i], "x", i, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "a=1 b=1 a=2 a=3 b=2");
    test_host_free(host);
}

/* As count, but what it counted is forgotten 2 ms after the last record. */
static weir_status count_for_a_while(weir_context *context, weir_state *state,
                                     const weir_record *record, void *arg, weir_error *err)
{
    weir_status status = weir_state_expire_after(state, 2, err);
    return status ? status : count(context, state, record, arg, err);
}

static void test_values_expire_by_the_timestamps_of_records(void **state)
{
    weir_stream *source = test_source(*state);
    test_to(weir_stream_apply_stateful(source, NULL, count_for_a_while, NULL, NULL), "out");
    test_host *host = test_host_new(source, 1);
    static const int offsets[] = {0, 1, 2, 4, 5, 100};
    for (int i = 0; i < 6; i++) /* the timestamp is 1000 more */
        assert_int_equal(test_host_run(host, "a", "x", offsets[i], NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "a=1 a=2 a=3 a=1 a=2 a=1");
    test_host_free(host);
}

static void test_operators_in_a_row_share_or_part_their_stores(void **state)
{
    weir_store_config other;
    weir_store_config_init(&other);
    other.name = "s1";
    weir_stream *source = test_source(*state);
    weir_stream *first = weir_stream_apply_stateful(source, NULL, count, NULL, NULL);
    weir_stream *same_store = weir_stream_apply_stateful(first, NULL, count, NULL, NULL);
    test_to(same_store, "shared");
    test_to(weir_stream_apply_stateful(first, &other, count, NULL, NULL), "apart");
    test_host *host = test_host_new(source, 2);
    assert_int_equal(test_host_run(host, "a", "x", 1, NULL), WEIR_OK);
    assert_int_equal(test_host_run(host, "a", "x", 2, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "a=2 a=4");
    assert_string_equal(test_host_sent(host, 1), "a=1 a=2");
    test_host_free(host);
}

/* Forwards what it read from state: bytes that the next operator's calls may overwrite. */
static weir_status forward_stored(weir_context *context, weir_state *state,
                                  const weir_record *record, void *arg, weir_error *err)
{
    (void)arg;
    weir_record copy = *record;
    weir_status status = weir_state_set_string(state, "last", record->value, err);
    if (status == WEIR_OK)
        status = weir_state_get_string(state, "last", weir_slice_str(""), &copy.value, err);
    return status == WEIR_OK ? weir_forward(context, &copy, err) : status;
}

static weir_status overwrite(weir_context *context, weir_state *state, const weir_record *record,
                             void *arg, weir_error *err)
{
    (void)context, (void)record, (void)arg;
    weir_slice value;
    weir_status status =
        weir_state_set_string(state, "last", weir_slice_str("something-else-altogether"), err);
    return status == WEIR_OK ? weir_state_get_string(state, "last", weir_slice_str(""), &value, err)
                             : status;
}

static void test_a_value_read_from_state_survives_a_sibling_that_changes_it(void **state)
{
    weir_stream *source = test_source(*state);
    weir_stream *stored = weir_stream_apply_stateful(source, NULL, forward_stored, NULL, NULL);
    assert_non_null(weir_stream_apply_stateful(stored, NULL, overwrite, NULL, NULL));
    test_to(stored, "out");
    test_host *host = test_host_new(source, 1);
    assert_int_equal(test_host_run(host, "a", "short", 1, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "a=short");
    test_host_free(host);
}

static void assert_failure(test_host *host, const char *key, weir_status expected, const char *part)
{
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(test_host_run(host, key, "v", 1, &err), expected);
    assert_int_equal(err.status, expected);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_a_callbacks_error_comes_back_with_its_operator(void **state)
{
    weir_stream *source = test_source(*state);
    weir_stream *applied = weir_stream_apply(source, refuse, "no such airport", NULL);
    test_to(applied, "out");
    test_host *host = test_host_new(source, 0);
    assert_failure(host, "k", WEIR_CALLBACK, "apply: no such airport");
    assert_failure(host, "k", WEIR_CALLBACK, "apply: no such airport");
    test_host_free(host);
}

static void test_an_error_without_message_gets_the_text_of_its_code(void **state)
{
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_apply(source, refuse_in_silence, NULL, NULL));
    test_host *host = test_host_new(source, 0);
    assert_failure(host, "k", WEIR_SERIALIZATION, weir_status_text(WEIR_SERIALIZATION));
    test_host_free(host);
}

static void test_a_failure_that_a_callback_overlooks_still_fails_the_record(void **state)
{
    weir_stream *source = test_source(*state);
    test_to(weir_stream_apply(source, overlook_failures, NULL, NULL), "out");
    test_host *host = test_host_new(source, 0);
    host->produce_status = WEIR_TOO_LARGE;
    assert_failure(host, "k", WEIR_TOO_LARGE, "to: the sink refuses");
    host->produce_status = WEIR_OK;
    assert_int_equal(test_host_run(host, "k", "v", 2, NULL), WEIR_OK);
    assert_string_equal(test_host_sent(host, 0), "k=v k=v");
    test_host_free(host);
}

static void test_a_failed_record_goes_no_further(void **state)
{
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_apply(source, refuse, "stop", NULL));
    test_to(source, "after");
    test_host *host = test_host_new(source, 0);
    assert_failure(host, "k", WEIR_CALLBACK, "stop");
    assert_int_equal(host->sent_count, 0);
    test_host_free(host);
}

static void test_state_needs_a_key(void **state)
{
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_apply_stateful(source, NULL, count, NULL, NULL));
    test_host *host = test_host_new(source, 1);
    assert_failure(host, NULL, WEIR_INVALID, "apply_stateful: the record has no key");
    test_host_free(host);
}

static void test_a_key_that_is_too_long_for_state_is_an_error_of_the_record(void **state)
{
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_apply_stateful(source, NULL, count, NULL, NULL));
    test_host *host = test_host_new(source, 1);
    char *key = malloc(WEIR_KEY_MAX_SIZE + 2);
    assert_non_null(key);
    memset(key, 'k', WEIR_KEY_MAX_SIZE + 1);
    key[WEIR_KEY_MAX_SIZE + 1] = '\0';
    assert_failure(host, key, WEIR_TOO_LARGE, "65536 bytes");
    assert_int_equal(test_host_run(host, "short", "v", 2, NULL), WEIR_OK);
    free(key);
    test_host_free(host);
}

static weir_status forward_other_key(weir_context *context, const weir_record *record, void *arg,
                                     weir_error *err)
{
    weir_record copy = *record;
    copy.key = weir_slice_str(arg);
    return weir_forward(context, &copy, err);
}

static void test_state_of_another_key_is_refused_when_it_comes(void **state)
{
    weir_stream *source = test_source(*state);
    weir_stream *applied = weir_stream_apply(source, forward_other_key, "other", NULL);
    assert_non_null(weir_stream_apply_stateful(applied, NULL, count, NULL, NULL));
    test_host *host = test_host_new(source, 1);
    assert_failure(host, "mine", WEIR_INVALID, "apply_stateful: the key was changed");
    assert_int_equal(test_host_run(host, "other", "v", 2, NULL), WEIR_OK);
    test_host_free(host);
}

static void test_map_value_may_not_change_the_key(void **state)
{
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_map_value(source, other_key, "changed", NULL));
    test_host *host = test_host_new(source, 0);
    assert_failure(host, "k", WEIR_INVALID, "map_value: the callback changed the key");
    test_host_free(host);
}

static weir_status forward_from_map(weir_context *context, weir_record *record, void *arg,
                                    weir_error *err)
{
    (void)arg;
    return weir_forward(context, record, err);
}

static void test_forward_from_a_map_is_refused(void **state)
{
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_map(source, forward_from_map, NULL, NULL));
    test_host *host = test_host_new(source, 0);
    assert_failure(host, "k", WEIR_INVALID, "weir_forward is for");
    test_host_free(host);
}

static weir_status scratch(weir_context *context, const weir_record *record, void *arg,
                           weir_error *err)
{
    (void)record;
    size_t size = *(const size_t *)arg;
    for (int i = 0; i < 4; i++) {
        void *memory = weir_context_alloc(context, size);
        if (!memory)
            return weir_error_set(err, WEIR_NO_MEMORY, "no memory");
        memset(memory, 1, size);
    }
    return WEIR_OK;
}

static void test_scratch_memory_is_taken_back_after_each_record(void **state)
{
    size_t size = 100000;
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_apply(source, scratch, &size, NULL));
    test_host *host = test_host_new(source, 0);
    const weir_context *context = host->processor;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(test_host_run(host, "k", "v", i, NULL), WEIR_OK);
        assert_int_equal(context->arena.used, 0);
        assert_true(context->arena.reserved <= 1024 * 1024);
    }
    test_host_free(host);
}

static void test_no_allocation_for_a_record_once_warm(void **state)
{
#if COUNTS_ALLOCATIONS
    size_t least = 0;
    char key[16];
    weir_stream *source = test_source(*state);
    weir_stream *kept = weir_stream_filter(source, keep_long, &least, NULL);
    weir_stream *mapped = weir_stream_map_value(kept, upper_value, NULL, NULL);
    test_to(weir_stream_apply_stateful(mapped, NULL, count, NULL, NULL), "out");
    test_to(weir_stream_apply(mapped, twice, NULL, NULL), "twice");
    test_host *host = test_host_new(source, 1);
    host->forget = true;
    size_t before = 0;
    for (int i = 0; i < 20000; i++) {
        if (i == 10000)
            before = allocations;
        snprintf(key, sizeof(key), "key%d", i % 100);
        assert_int_equal(test_host_run(host, key, "value", i, NULL), WEIR_OK);
    }
    assert_int_equal(allocations - before, 0);
    assert_int_equal(host->sent_count, 60000);
    test_host_free(host);
#else
    (void)state;
    skip();
#endif
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_filter_passes_what_it_keeps),
        TEST(test_map_changes_a_copy_that_siblings_do_not_see),
        TEST(test_a_record_says_where_it_came_from_all_the_way),
        TEST(test_a_sink_passes_records_on),
        TEST(test_state_is_kept_by_key),
        TEST(test_values_expire_by_the_timestamps_of_records),
        TEST(test_operators_in_a_row_share_or_part_their_stores),
        TEST(test_a_value_read_from_state_survives_a_sibling_that_changes_it),
        TEST(test_a_callbacks_error_comes_back_with_its_operator),
        TEST(test_an_error_without_message_gets_the_text_of_its_code),
        TEST(test_a_failure_that_a_callback_overlooks_still_fails_the_record),
        TEST(test_a_failed_record_goes_no_further),
        TEST(test_state_needs_a_key),
        TEST(test_a_key_that_is_too_long_for_state_is_an_error_of_the_record),
        TEST(test_state_of_another_key_is_refused_when_it_comes),
        TEST(test_map_value_may_not_change_the_key),
        TEST(test_forward_from_a_map_is_refused),
        TEST(test_scratch_memory_is_taken_back_after_each_record),
        TEST(test_no_allocation_for_a_record_once_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
