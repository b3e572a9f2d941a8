/*
 * Options that can't be right are told by name when the application is made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

static weir_app_options good_options(void)
{
    weir_app_options options;
    weir_app_options_init(&options);
    options.broker = "127.0.0.1:1";
    options.consumer_group = "group";
    options.state_backend = "memory";
    return options;
}

static void assert_refused(const weir_app_options *options, const char *part)
{
    weir_error err;
    weir_app *app = (weir_app *)1;
    weir_error_init(&err);
    assert_int_equal(weir_app_new(options, &app, &err), WEIR_INVALID);
    assert_null(app);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    assert_int_equal(weir_app_new(options, &app, NULL), WEIR_INVALID);
}

static void test_good_options_make_an_app(void **state)
{
    (void)state;
    weir_app_options options = good_options();
    weir_error err;
    weir_app *app;
    weir_error_init(&err);
    if (weir_app_new(&options, &app, &err) != WEIR_OK)
        fail_msg("%s", err.message);
    weir_app_free(app);
    weir_app_free(NULL);
}

static void test_required_options_are_asked_for(void **state)
{
    (void)state;
    weir_app_options options = good_options();
    options.broker = NULL;
    assert_refused(&options, "broker");
    options = good_options();
    options.consumer_group = "";
    assert_refused(&options, "consumer_group");
    memset(&options, 0, sizeof(options));
    assert_refused(&options, "weir_app_options_init");
    assert_refused(NULL, "weir_app_options_init");
}

static void test_numbers_out_of_range_are_told_with_their_range(void **state)
{
    (void)state;
    weir_app_options options = good_options();
    options.workers = 65;
    assert_refused(&options, "workers: 65 is out of range; it goes from 1 to 64");
    options.workers = 0;
    assert_refused(&options, "workers");
    options = good_options();
    options.commit_interval_ms = 0;
    assert_refused(&options, "commit_interval_ms");
    options = good_options();
    options.commit_every = -1;
    assert_refused(&options, "commit_every");
    options = good_options();
    options.replication_factor = -1;
    assert_refused(&options, "replication_factor");
    options = good_options();
    options.stop_timeout_ms = 0;
    assert_refused(&options, "stop_timeout_ms");
    options = good_options();
    options.connect_timeout_ms = -3;
    assert_refused(&options, "connect_timeout_ms");
    options = good_options();
    options.error_policy = (weir_error_policy)7;
    assert_refused(&options, "error_policy");
    options = good_options();
    options.gap_policy = (weir_gap_policy)7;
    assert_refused(&options, "gap_policy");
    options = good_options();
    options.missing_offset_policy = (weir_missing_offset_policy)7;
    assert_refused(&options, "missing_offset_policy");
}

static void test_words_that_are_not_known_are_told_with_those_that_are(void **state)
{
    (void)state;
    static const weir_option unknown_backend_option[] = {{"no_such", "1"}, {NULL, NULL}};
    weir_app_options options = good_options();
    options.auto_offset_reset = "newest";
    assert_refused(&options, "earliest, latest, error");
    options = good_options();
    options.state_backend = "nosuch";
    assert_refused(&options, "nosuch");
    options = good_options();
    options.state_options = unknown_backend_option;
    assert_refused(&options, "no_such");
}

static weir_status never(weir_context *context, weir_state *state, const weir_record *record,
                         void *arg, weir_error *err)
{
    (void)context;
    (void)state;
    (void)record;
    (void)arg;
    return weir_error_set(err, WEIR_CALLBACK, "not to be called");
}

static void test_typed_options_of_a_backend_are_checked(void **state)
{
    (void)state;
    static const weir_option cache[] = {{"block_cache_size", "1MiB"}, {NULL, NULL}};
    weir_rocksdb_options rocksdb;
    weir_rocksdb_options_init(&rocksdb);
    weir_app_options options = good_options();
    options.state_backend = "rocksdb";
    options.rocksdb_options = &rocksdb;
    rocksdb.block_cache_size = 4096;
    options.state_options = cache;
    assert_refused(&options, "block_cache_size is given twice: 4096 in rocksdb_options, 1MiB in "
                             "state_options");
    options.state_options = NULL;
    rocksdb.max_write_buffer_number = 0;
    assert_refused(&options, "max_write_buffer_number");
    /* Of no concern to stores in memory. */
    options.state_backend = "memory";
    weir_app *app;
    assert_int_equal(weir_app_new(&options, &app, NULL), WEIR_OK);
    /* But to one that chooses rocksdb, when it is defined. */
    weir_error err;
    weir_topic_config topic = {.struct_size = sizeof topic, .name = "t"};
    weir_store_config store;
    weir_store_config_init(&store);
    store.backend = "rocksdb";
    weir_error_init(&err);
    weir_stream *stream = weir_stream_source(app, &topic, &err);
    assert_null(weir_stream_apply_stateful(stream, &store, never, NULL, &err));
    assert_non_null(strstr(err.message, "max_write_buffer_number"));
    weir_app_free(app);
}

static void test_client_properties_are_checked_and_weirs_own_are_refused(void **state)
{
    (void)state;
    static const weir_option own[] = {{"enable.auto.commit", "true"}, {NULL, NULL}};
    static const weir_option unknown[] = {{"no.such.property", "1"}, {NULL, NULL}};
    static const weir_option bad[] = {{"session.timeout.ms", "soon"}, {NULL, NULL}};
    weir_app_options options = good_options();
    options.consumer = own;
    assert_refused(&options, "enable.auto.commit");
    options = good_options();
    options.kafka = unknown;
    assert_refused(&options, "no.such.property");
    options = good_options();
    options.consumer = bad;
    assert_refused(&options, "session.timeout.ms");
}

/* A program built against an earlier header has a shorter struct: the rest is by default. */
static void test_a_shorter_struct_gets_defaults_for_the_rest(void **state)
{
    (void)state;
    weir_app_options options = good_options();
    weir_app *app;
    options.struct_size = offsetof(weir_app_options, error_policy);
    options.stop_timeout_ms = -1; /* beyond the size: not looked at */
    options.error_policy = (weir_error_policy)7;
    assert_int_equal(weir_app_new(&options, &app, NULL), WEIR_OK);
    weir_app_free(app);
}

static void test_run_needs_a_source(void **state)
{
    (void)state;
    weir_app_options options = good_options();
    weir_error err;
    weir_app *app;
    weir_error_init(&err);
    assert_int_equal(weir_app_new(&options, &app, &err), WEIR_OK);
    assert_int_equal(weir_app_run(app, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "weir_stream_source"));
    weir_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_options_make_an_app),
        cmocka_unit_test(test_required_options_are_asked_for),
        cmocka_unit_test(test_numbers_out_of_range_are_told_with_their_range),
        cmocka_unit_test(test_words_that_are_not_known_are_told_with_those_that_are),
        cmocka_unit_test(test_typed_options_of_a_backend_are_checked),
        cmocka_unit_test(test_client_properties_are_checked_and_weirs_own_are_refused),
        cmocka_unit_test(test_a_shorter_struct_gets_defaults_for_the_rest),
        cmocka_unit_test(test_run_needs_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
