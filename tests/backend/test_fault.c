/*
 * The fault decorator: which calls fail, when, how and for how long.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support_fixture.h"

typedef struct faulty {
    weir__database *database;
    const weir_backend *backend;
    weir_backend_db *db;
} faulty;

static faulty faulty_open(const weir_option *options)
{
    faulty f = {.database = fixture_open("fault:memory", "", options)};
    f.backend = weir__database_backend(f.database);
    f.db = weir__database_handle(f.database);
    return f;
}

static weir_status set(const faulty *f, const char *rules, weir_error *err)
{
    char text[256];
    snprintf(text, sizeof text, "%s", rules);
    return f->backend->control(f->db, "fault.set", text, err);
}

static weir_status put(const faulty *f, const char *key)
{
    return fixture_put(f->database, key, "value", NULL);
}

static weir_status get(const faulty *f, const char *key)
{
    weir_backend_cf *cf;
    weir_backend_value value;
    weir_status status = f->backend->cf_open(f->db, "default", true, &cf, NULL);
    if (status != WEIR_OK)
        return status;
    status = f->backend->get(f->db, cf, NULL, weir_slice_str(key), &value, NULL);
    if (status == WEIR_OK)
        f->backend->value_release(f->db, &value);
    return status;
}

static void test_without_options_nothing_fails(void **state)
{
    (void)state;
    faulty f = faulty_open(NULL);
    for (int i = 0; i < 50; i++)
        assert_int_equal(put(&f, "a"), WEIR_OK);
    assert_int_equal(get(&f, "a"), WEIR_OK);
    fixture_close(f.database);
}

static void test_nth_call_of_a_kind_fails_once(void **state)
{
    (void)state;
    static const weir_option options[] = {{"fault.op", "write"}, {"fault.nth", "3"}, {NULL, NULL}};
    faulty f = faulty_open(options);
    weir_error err;
    assert_int_equal(put(&f, "a"), WEIR_OK);
    assert_int_equal(get(&f, "a"), WEIR_OK);
    assert_int_equal(put(&f, "b"), WEIR_OK);
    assert_int_equal(fixture_put(f.database, "c", "v", &err), WEIR_IO);
    assert_tells(&err, "failure of write, call 3, injected by fault");
    assert_tells(&err, "backend=fault:memory");
    assert_int_equal(get(&f, "c"), WEIR_NOT_FOUND);
    assert_int_equal(put(&f, "c"), WEIR_OK);
    assert_int_equal(get(&f, "c"), WEIR_OK);
    fixture_close(f.database);
}

static void test_calls_fail_several_times_or_for_good(void **state)
{
    (void)state;
    static const weir_option twice[] = {
        {"fault.op", "get"}, {"fault.nth", "2"}, {"fault.times", "2"}, {NULL, NULL}};
    static const weir_option forever[] = {
        {"fault.op", "get"}, {"fault.nth", "2"}, {"fault.times", "0"}, {NULL, NULL}};
    faulty f = faulty_open(twice);
    const weir_status expected[] = {WEIR_NOT_FOUND, WEIR_IO, WEIR_IO, WEIR_NOT_FOUND,
                                    WEIR_NOT_FOUND};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(get(&f, "a"), expected[i]);
    fixture_close(f.database);
    f = faulty_open(forever);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(get(&f, "a"), i == 0 ? WEIR_NOT_FOUND : WEIR_IO);
    assert_int_equal(put(&f, "a"), WEIR_OK);
    fixture_close(f.database);
}

static void test_each_error_can_be_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        weir_status status;
    } cases[] = {
        {"error=io", WEIR_IO},
        {"error=no_space", WEIR_NO_SPACE},
        {"error=corrupted", WEIR_CORRUPTED},
        {"error=fenced", WEIR_FENCED},
        {"error=busy", WEIR_BUSY},
        {"error=locked", WEIR_LOCKED},
        {"error=permission", WEIR_PERMISSION},
        {"error=no_memory", WEIR_NO_MEMORY},
        {"error=unsupported", WEIR_UNSUPPORTED},
        {"error=timeout", WEIR_TIMEOUT},
        {"error=not_found", WEIR_NOT_FOUND},
        {"error=none", WEIR_OK},
    };
    faulty f = faulty_open(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char rule[64];
        snprintf(rule, sizeof rule, "op=write,%s", cases[i].rule);
        assert_int_equal(set(&f, rule, NULL), WEIR_OK);
        assert_int_equal(put(&f, "a"), cases[i].status);
        assert_int_equal(put(&f, "a"), WEIR_OK);
    }
    fixture_close(f.database);
}

static weir_status visit_family(const char *name, void *arg)
{
    (void)name;
    (void)arg;
    return WEIR_OK;
}

static void test_each_kind_of_call_can_fail(void **state)
{
    (void)state;
    faulty f = faulty_open(NULL);
    weir_backend_cf *cf;
    weir_backend_cf *made;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    weir_backend_snapshot *snapshot;
    weir_backend_value value;
    weir_status status;
    weir_slice key = weir_slice_str("a");
    weir_slice item;
    assert_int_equal(f.backend->cf_open(f.db, "default", true, &cf, NULL), WEIR_OK);
    assert_int_equal(f.backend->iter_open(f.db, cf, &args, &iter, NULL), WEIR_OK);
#define FAILS(op, call)                                                                            \
    do {                                                                                           \
        assert_int_equal(set(&f, "op=" op ",error=fenced", NULL), WEIR_OK);                        \
        assert_int_equal(f.backend->call, WEIR_FENCED);                                            \
    } while (0)
    FAILS("cf_open", cf_open(f.db, "x", true, &made, NULL));
    assert_null(made);
    FAILS("cf_drop", cf_drop(f.db, "x", NULL));
    FAILS("cf_list", cf_list(f.db, visit_family, NULL, NULL));
    FAILS("get", get(f.db, cf, NULL, key, &value, NULL));
    assert_null(value.data);
    FAILS("multi_get", multi_get(f.db, cf, NULL, &key, 1, &value, &status, NULL));
    assert_int_equal(status, WEIR_FENCED);
    FAILS("write", write(f.db, NULL, 0, 0, NULL));
    FAILS("iter_next", iter_next(iter, &item, &item, NULL));
    assert_int_equal(item.size, 0);
    FAILS("iter_seek", iter_seek(iter, key, NULL));
    f.backend->iter_close(iter);
    FAILS("iter_open", iter_open(f.db, cf, &args, &iter, NULL));
    assert_null(iter);
    FAILS("flush", flush(f.db, NULL));
    FAILS("snapshot_open", snapshot_open(f.db, &snapshot, NULL));
    assert_null(snapshot);
    FAILS("checkpoint", checkpoint(f.db, "/nowhere", NULL));
    FAILS("compact", compact(f.db, cf, key, key, NULL));
    FAILS("any", flush(f.db, NULL));
    FAILS("any", get(f.db, cf, NULL, key, &value, NULL));
#undef FAILS
    fixture_close(f.database);
}

static void test_open_and_destroy_are_counted_over_attempts(void **state)
{
    (void)state;
    static const weir_option first_open[] = {
        {"fault.op", "open"}, {"fault.error", "io"}, {NULL, NULL}};
    static const weir_option first_destroy[] = {
        {"fault.op", "destroy"}, {"fault.error", "io"}, {NULL, NULL}};
    weir__database_config config = fixture_config("fault:memory", "", first_open);
    weir__database *database;
    config.label = "store=counted";
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_IO);
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    fixture_close(database);
    /* Another store has its own count. */
    config.label = "store=another";
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_IO);
    config.options = first_destroy;
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_IO);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
}

static void test_space_runs_out_and_comes_back(void **state)
{
    (void)state;
    static const weir_option small[] = {{"fault.space", "20"}, {NULL, NULL}};
    faulty f = faulty_open(small);
    weir_error err;
    assert_int_equal(put(&f, "aaaaa"), WEIR_OK);
    assert_int_equal(put(&f, "bbbbb"), WEIR_OK);
    assert_int_equal(fixture_put(f.database, "c", "value", &err), WEIR_NO_SPACE);
    assert_tells(&err, "lack of space for write");
    assert_int_equal(get(&f, "c"), WEIR_NOT_FOUND);
    assert_int_equal(fixture_put(f.database, "aaaaa", NULL, NULL), WEIR_OK);
    assert_int_equal(f.backend->control(f.db, "fault.clear", NULL, NULL), WEIR_OK);
    assert_int_equal(put(&f, "c"), WEIR_OK);
    assert_int_equal(set(&f, "space=0", NULL), WEIR_OK);
    assert_int_equal(put(&f, "d"), WEIR_NO_SPACE);
    assert_int_equal(set(&f, "space=6", NULL), WEIR_OK);
    assert_int_equal(put(&f, "d"), WEIR_OK);
    assert_int_equal(put(&f, "e"), WEIR_NO_SPACE);
    fixture_close(f.database);
}

static void test_calls_can_be_slow(void **state)
{
    (void)state;
    static const weir_option slow[] = {
        {"fault.op", "get"}, {"fault.delay_ms", "60"}, {"fault.error", "none"}, {NULL, NULL}};
    faulty f = faulty_open(slow);
    int64_t began = weir__now_ms();
    assert_int_equal(get(&f, "a"), WEIR_NOT_FOUND);
    assert_true(weir__now_ms() - began >= 60);
    fixture_close(f.database);
}

static void count_injected(const char *name, uint64_t value, void *arg)
{
    if (strcmp(name, "fault.injected") == 0)
        *(uint64_t *)arg = value;
}

static void test_several_rules_hold_at_once(void **state)
{
    (void)state;
    faulty f = faulty_open(NULL);
    uint64_t injected = 0;
    assert_int_equal(set(&f, "op=write,nth=2,error=fenced;op=get,times=0,error=busy", NULL),
                     WEIR_OK);
    assert_int_equal(put(&f, "a"), WEIR_OK);
    assert_int_equal(get(&f, "a"), WEIR_BUSY);
    assert_int_equal(put(&f, "a"), WEIR_FENCED);
    assert_int_equal(put(&f, "a"), WEIR_OK);
    assert_int_equal(get(&f, "a"), WEIR_BUSY);
    assert_int_equal(f.backend->stats(f.db, count_injected, &injected, NULL), WEIR_OK);
    assert_int_equal(injected, 3);
    fixture_close(f.database);
}

static void test_rules_that_can_not_be_read_change_nothing(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "op=explode", "nth=0", "times=-1", "error=",      "delay_ms=abc",
        "unknown=1",  "op",    "space=-1", "op=get,nth=", "op=get;nth=x"};
    faulty f = faulty_open(NULL);
    weir_error err;
    assert_int_equal(set(&f, "op=write,times=0", NULL), WEIR_OK);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        assert_int_equal(set(&f, rules[i], &err), WEIR_INVALID);
        assert_tells(&err, "is not one of op=any|open");
        assert_int_equal(put(&f, "a"), WEIR_IO);
    }
    assert_int_equal(set(&f, "nth=1;nth=1;nth=1;nth=1;nth=1;nth=1;nth=1;nth=1;nth=1", &err),
                     WEIR_INVALID);
    assert_tells(&err, "more than 8");
    assert_int_equal(set(&f, "", NULL), WEIR_OK);
    assert_int_equal(put(&f, "a"), WEIR_OK);
    fixture_close(f.database);
}

int main(void)
{
    weir_log_set_level(WEIR_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_options_nothing_fails),
        cmocka_unit_test(test_nth_call_of_a_kind_fails_once),
        cmocka_unit_test(test_calls_fail_several_times_or_for_good),
        cmocka_unit_test(test_each_error_can_be_chosen),
        cmocka_unit_test(test_each_kind_of_call_can_fail),
        cmocka_unit_test(test_open_and_destroy_are_counted_over_attempts),
        cmocka_unit_test(test_space_runs_out_and_comes_back),
        cmocka_unit_test(test_calls_can_be_slow),
        cmocka_unit_test(test_several_rules_hold_at_once),
        cmocka_unit_test(test_rules_that_can_not_be_read_change_nothing),
    };
    return cmocka_run_group_tests_name("fault decorator", tests, NULL, NULL);
}
