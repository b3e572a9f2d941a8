/*
 * What is checked while a dataflow is built.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "support_host.h"

#include <cmocka.h>

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

static weir_status keep_all(const weir_record *record, bool *keep, void *arg, weir_error *err)
{
    (void)record, (void)arg, (void)err;
    *keep = true;
    return WEIR_OK;
}

static weir_status same(weir_context *context, weir_record *record, void *arg, weir_error *err)
{
    (void)context, (void)record, (void)arg, (void)err;
    return WEIR_OK;
}

static weir_status count(weir_context *context, weir_state *state, const weir_record *record,
                         void *arg, weir_error *err)
{
    (void)context, (void)state, (void)record, (void)arg, (void)err;
    return WEIR_OK;
}

static void assert_refused(const weir_stream *stream, const weir_error *err, const char *part)
{
    assert_null(stream);
    assert_int_equal(err->status, WEIR_INVALID);
    if (!strstr(err->message, part))
        fail_msg("\"%s\" does not say \"%s\"", err->message, part);
}

static void test_state_after_a_key_change_is_refused(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *source = test_source(*state);
    weir_stream *mapped = weir_stream_map(source, same, NULL, &err);
    weir_stream *kept = weir_stream_filter(mapped, keep_all, NULL, &err);
    assert_non_null(kept);
    assert_refused(weir_stream_apply_stateful(kept, NULL, count, NULL, &err), &err, "key");
}

static void test_state_after_map_value_is_allowed(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *mapped = weir_stream_map_value(test_source(*state), same, NULL, &err);
    assert_non_null(weir_stream_apply_stateful(mapped, NULL, count, NULL, &err));
}

static void test_one_store_may_serve_two_operators(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *source = test_source(*state);
    weir_stream *first = weir_stream_apply_stateful(source, NULL, count, NULL, &err);
    weir_store_config store;
    weir_store_config_init(&store);
    weir_stream *second = weir_stream_apply_stateful(source, &store, count, NULL, &err);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(first->store, second->store);
}

static void test_two_definitions_of_a_store_are_refused(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *source = test_source(*state);
    assert_non_null(weir_stream_apply_stateful(source, NULL, count, NULL, &err));
    weir_store_config store;
    weir_store_config_init(&store);
    store.backend = "memory";
    assert_refused(weir_stream_apply_stateful(source, &store, count, NULL, &err), &err, "default");
}

static void test_two_kinds_of_a_store_are_refused(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *source = test_source(*state);
    weir_store_config store;
    weir_store_config_init(&store);
    store.kind = WEIR_STORE_WINDOWED;
    assert_non_null(weir_stream_apply_stateful(source, &store, count, NULL, &err));
    store.kind = WEIR_STORE_TIMESTAMPED;
    assert_refused(weir_stream_apply_stateful(source, &store, count, NULL, &err), &err,
                   "is a windowed store already, and can't be a timestamped store");
    store.kind = (weir_store_kind)3;
    weir_error_init(&err);
    assert_refused(weir_stream_apply_stateful(source, &store, count, NULL, &err), &err,
                   "3 is not a kind of store");
}

static void test_unknown_backend_of_a_store_is_told_when_it_is_declared(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_store_config store;
    weir_store_config_init(&store);
    store.backend = "nosuch";
    assert_refused(weir_stream_apply_stateful(test_source(*state), &store, count, NULL, &err), &err,
                   "nosuch");
}

static void test_stream_id_of_a_store_is_weirs(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_store_config store;
    weir_store_config_init(&store);
    store.stream_id = "other";
    assert_refused(weir_stream_apply_stateful(test_source(*state), &store, count, NULL, &err), &err,
                   "stream_id");
}

static void test_a_topic_is_a_source_once(void **state)
{
    weir_error err;
    weir_error_init(&err);
    test_source(*state);
    weir_topic_config topic;
    weir_topic_config_init(&topic);
    topic.name = "in";
    assert_refused(weir_stream_source(*state, &topic, &err), &err, "in is a source already");
}

static void test_two_definitions_of_a_sink_are_refused(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *source = test_source(*state);
    weir_topic_config topic;
    weir_topic_config_init(&topic);
    topic.name = "out";
    topic.partitions = 2;
    weir_stream *first = weir_stream_to(source, &topic, &err);
    weir_stream *second = weir_stream_to(source, &topic, &err);
    assert_non_null(first);
    assert_int_equal(first->sink, second->sink);
    topic.partitions = 3;
    assert_refused(weir_stream_to(source, &topic, &err), &err, "out is defined twice");
}

static void test_bad_topic_names_are_refused(void **state)
{
    static const char *const names[] = {"", ".", "..", "a b", "a/b", "ä"};
    weir_topic_config topic;
    weir_topic_config_init(&topic);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        weir_error err;
        weir_error_init(&err);
        topic.name = names[i];
        assert_refused(weir_stream_source(*state, &topic, &err), &err, "topic");
    }
}

static void test_null_callback_is_refused(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_stream *source = test_source(*state);
    assert_refused(weir_stream_filter(source, NULL, NULL, &err), &err, "filter");
    assert_refused(weir_stream_map(source, NULL, NULL, &err), &err, "map");
    assert_refused(weir_stream_apply(source, NULL, NULL, &err), &err, "apply");
}

/* Calls in a row share one weir_error; the reason that counts is the first. */
static void test_first_error_survives_the_calls_that_follow(void **state)
{
    weir_error err;
    weir_error_init(&err);
    weir_topic_config topic;
    weir_topic_config_init(&topic);
    topic.name = "a b";
    weir_stream *stream = weir_stream_source(*state, &topic, &err);
    stream = weir_stream_filter(stream, keep_all, NULL, &err);
    assert_refused(weir_stream_map(stream, same, NULL, &err), &err, "a b");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_state_after_a_key_change_is_refused),
        TEST(test_state_after_map_value_is_allowed),
        TEST(test_one_store_may_serve_two_operators),
        TEST(test_two_definitions_of_a_store_are_refused),
        TEST(test_two_kinds_of_a_store_are_refused),
        TEST(test_unknown_backend_of_a_store_is_told_when_it_is_declared),
        TEST(test_stream_id_of_a_store_is_weirs),
        TEST(test_a_topic_is_a_source_once),
        TEST(test_two_definitions_of_a_sink_are_refused),
        TEST(test_bad_topic_names_are_refused),
        TEST(test_null_callback_is_refused),
        TEST(test_first_error_survives_the_calls_that_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
