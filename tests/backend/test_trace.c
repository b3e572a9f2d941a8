/*
 * The trace decorator: what it counts, logs and passes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "support_fixture.h"

static int set_up(void **state)
{
    (void)state;
    fixture_log_catch();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_log_release();
    return 0;
}

typedef struct wanted_figure {
    const char *name;
    uint64_t value;
    size_t times;
} wanted_figure;

static void find_figure(const char *name, uint64_t value, void *arg)
{
    wanted_figure *wanted = arg;
    if (strcmp(name, wanted->name) != 0)
        return;
    wanted->value = value;
    wanted->times++;
}

/* A figure that is told exactly once. */
static uint64_t figure(weir__database *database, const char *name)
{
    wanted_figure wanted = {.name = name};
    assert_int_equal(weir__database_backend(database)->stats(weir__database_handle(database),
                                                             find_figure, &wanted, NULL),
                     WEIR_OK);
    assert_int_equal(wanted.times, 1);
    return wanted.value;
}

/* Two writes, three gets of which one finds nothing, one scan of two items. */
static void use(weir__database *database)
{
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    weir_backend_iter *iter;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_slice key;
    weir_slice value;
    assert_int_equal(fixture_put(database, "a", "one", NULL), WEIR_OK);
    assert_int_equal(fixture_put(database, "bb", "twooo", NULL), WEIR_OK);
    assert_string_equal(fixture_get(database, "a"), "one");
    assert_string_equal(fixture_get(database, "bb"), "twooo");
    assert_null(fixture_get(database, "c\n\"\xFF"));
    assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->iter_open(db, cf, &args, &iter, NULL), WEIR_OK);
    assert_int_equal(backend->iter_seek(iter, weir_slice_str("a"), NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_NOT_FOUND);
    backend->iter_close(iter);
}

static void test_calls_bytes_and_failures_are_counted_by_kind(void **state)
{
    (void)state;
    static const weir_option failing[] = {{"fault.op", "write"}, {"fault.nth", "3"}, {NULL, NULL}};
    weir__database *database = fixture_open("trace:fault:memory", "", failing);
    use(database);
    assert_int_equal(fixture_put(database, "c", "3", NULL), WEIR_IO);
    assert_int_equal(figure(database, "trace.write.calls"), 3);
    assert_int_equal(figure(database, "trace.write.items"), 3);
    assert_int_equal(figure(database, "trace.write.bytes"), 4 + 7 + 2);
    assert_int_equal(figure(database, "trace.write.failures"), 1);
    assert_int_equal(figure(database, "trace.get.calls"), 3);
    assert_int_equal(figure(database, "trace.get.bytes"), 4 + 7 + 4);
    assert_int_equal(figure(database, "trace.get.failures"), 0);
    assert_true(figure(database, "trace.get.nanoseconds") > 0);
    assert_int_equal(figure(database, "trace.iter_open.calls"), 1);
    assert_int_equal(figure(database, "trace.iter_seek.calls"), 1);
    assert_int_equal(figure(database, "trace.iter_next.calls"), 3);
    assert_int_equal(figure(database, "trace.iter_next.bytes"), 4 + 7);
    assert_int_equal(figure(database, "trace.flush.calls"), 0);
    /* Those of what is behind it are there too. */
    assert_int_equal(figure(database, "keys.estimated"), 2);
    assert_int_equal(figure(database, "fault.injected"), 1);
    fixture_close(database);
    assert_int_equal(fixture_log_count("backend.calls", "write 3 calls, 1 failed"), 1);
    assert_int_equal(fixture_log_count("backend.calls", "(backend=trace:fault:memory"), 1);
}

static void test_every_kind_of_call_is_counted(void **state)
{
    (void)state;
    static const char *const kinds[] = {
        "cf_open",   "cf_drop",   "cf_list", "get",     "multi_get",  "write",         "iter_open",
        "iter_next", "iter_seek", "flush",   "compact", "checkpoint", "snapshot_open", NULL};
    weir__database *database = fixture_open("trace:memory", "", NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    weir_backend_snapshot *snapshot;
    weir_backend_value value;
    weir_status status;
    weir_slice key = weir_slice_str("a");
    use(database);
    assert_int_equal(backend->cf_open(db, "x", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->cf_drop(db, "x", NULL), WEIR_OK);
    assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->multi_get(db, cf, NULL, &key, 1, &value, &status, NULL), WEIR_OK);
    backend->value_release(db, &value);
    assert_int_equal(backend->flush(db, NULL), WEIR_OK);
    assert_int_equal(backend->snapshot_open(db, &snapshot, NULL), WEIR_OK);
    backend->snapshot_close(db, snapshot);
    assert_int_equal(backend->compact(db, cf, key, key, NULL), WEIR_UNSUPPORTED);
    assert_int_equal(backend->checkpoint(db, "/nowhere", NULL), WEIR_UNSUPPORTED);
    assert_int_equal(backend->control(db, "unknown", NULL, NULL), WEIR_UNSUPPORTED);
    for (size_t i = 0; kinds[i] != NULL; i++) {
        char name[64];
        snprintf(name, sizeof name, "trace.%s.calls", kinds[i]);
        if (strcmp(kinds[i], "cf_list") != 0)
            assert_true(figure(database, name) > 0);
    }
    assert_int_equal(figure(database, "trace.multi_get.items"), 1);
    assert_int_equal(figure(database, "trace.checkpoint.failures"), 1);
    assert_int_equal(backend->control(db, "trace.reset", NULL, NULL), WEIR_OK);
    for (size_t i = 0; kinds[i] != NULL; i++) {
        char name[64];
        snprintf(name, sizeof name, "trace.%s.calls", kinds[i]);
        assert_int_equal(figure(database, name), 0);
    }
    fixture_close(database);
}

static void test_each_call_is_a_log_line_at_trace(void **state)
{
    (void)state;
    weir__database *database = fixture_open("trace:memory", "", NULL);
    use(database);
    assert_int_equal(fixture_log_count("backend.call", "get cf=default key=\"a\": status 0"), 1);
    assert_int_equal(fixture_log_count("backend.call", "get cf=default key=\"c\\x0a\\x22\\xff\""),
                     1);
    assert_int_equal(fixture_log_count("backend.call", "write: status 0, 1 items, 4 bytes"), 1);
    assert_int_equal(fixture_log_count("backend.call", "iter_next cf=default key=\"bb\""), 1);
    assert_int_equal(fixture_log_count("backend.call", "(backend=trace:memory store=s"),
                     fixture_log_count("backend.call", NULL));
    fixture_close(database);
}

static void test_nothing_is_logged_below_trace_or_when_switched_off(void **state)
{
    (void)state;
    static const weir_option silent[] = {{"trace.log", "off"}, {NULL, NULL}};
    weir__database *database = fixture_open("trace:memory", "", silent);
    use(database);
    assert_int_equal(figure(database, "trace.get.calls"), 3);
    fixture_close(database);
    assert_int_equal(fixture_log_count("backend.call", NULL), 0);
    weir_log_set_level(WEIR_LOG_DEBUG);
    database = fixture_open("trace:memory", "", NULL);
    use(database);
    fixture_close(database);
    assert_int_equal(fixture_log_count("backend.call", NULL), 0);
}

static void test_long_keys_are_cut_in_the_log(void **state)
{
    (void)state;
    char key[5000];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    weir__database *database = fixture_open("trace:memory", "", NULL);
    assert_null(fixture_get(database, key));
    assert_int_equal(fixture_log_count("backend.call", "kkk…\": status"), 1);
    assert_true(strlen(fixture_log_last("backend.call")) < 300);
    fixture_close(database);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_calls_bytes_and_failures_are_counted_by_kind),
        TEST(test_every_kind_of_call_is_counted),
        TEST(test_each_call_is_a_log_line_at_trace),
        TEST(test_nothing_is_logged_below_trace_or_when_switched_off),
        TEST(test_long_keys_are_cut_in_the_log),
    };
    return cmocka_run_group_tests_name("trace decorator", tests, NULL, NULL);
}
