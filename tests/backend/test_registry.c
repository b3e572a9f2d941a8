/*
 * The registry: what is found by name, what is refused, and threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/registry.h"
#include "support_fixture.h"
#include "support_poor.h"

/* A copy of the memory backend under another name, to spoil. */
static weir_backend copy_of_memory(const char *name)
{
    const weir_backend *memory;
    assert_int_equal(weir_backend_find("memory", &memory, NULL), WEIR_OK);
    weir_backend copy = *memory;
    copy.name = name;
    return copy;
}

static void refuse(const weir_backend *backend, weir_status expected, const char *part)
{
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir_backend_register(backend, &err), expected);
    assert_int_equal(err.status, expected);
    assert_tells(&err, part);
}

static void test_builtins_are_found_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"memory", "rocksdb", "trace", "fault"};
    for (size_t i = 0; i < 4; i++) {
        const weir_backend *backend;
        const weir_backend *again;
        assert_int_equal(weir_backend_find(names[i], &backend, NULL), WEIR_OK);
        assert_int_equal(weir_backend_find(names[i], &again, NULL), WEIR_OK);
        assert_string_equal(backend->name, names[i]);
        assert_ptr_equal(backend, again);
        assert_int_equal(backend->struct_size, sizeof(weir_backend));
    }
}

static void test_unknown_name_tells_what_is_known_and_where_it_looked(void **state)
{
    (void)state;
    const weir_backend *backend = (const weir_backend *)&backend;
    weir_error err;
    assert_int_equal(weir_backend_find("nosuch", &backend, &err), WEIR_NOT_FOUND);
    assert_null(backend);
    assert_tells(&err, "'nosuch'");
    assert_tells(&err, "rocksdb");
    assert_tells(&err, "memory");
    assert_tells(&err, "libweir_nosuch.so in /");
}

static void test_missing_required_method_is_named(void **state)
{
    (void)state;
    weir_backend backend = copy_of_memory("lacking");
    backend.write = NULL;
    refuse(&backend, WEIR_INVALID, "'write'");
    backend = copy_of_memory("lacking");
    backend.iter_close = NULL;
    refuse(&backend, WEIR_INVALID, "'iter_close'");
    backend = copy_of_memory("lacking");
    backend.flush = NULL;
    refuse(&backend, WEIR_INVALID, "'flush'");
}

static void test_struct_that_ends_early_lacks_the_methods_behind_its_end(void **state)
{
    (void)state;
    weir_backend backend = copy_of_memory("early");
    backend.struct_size = offsetof(weir_backend, flush);
    refuse(&backend, WEIR_INVALID, "'flush'");
    backend.struct_size = offsetof(weir_backend, name) + 3;
    refuse(&backend, WEIR_INVALID, "bytes");
}

static void test_capability_without_its_method_is_named(void **state)
{
    (void)state;
    weir_backend backend = copy_of_memory("boasting");
    backend.cf_drop = NULL;
    refuse(&backend, WEIR_INVALID, "'column families'");
    refuse(&backend, WEIR_INVALID, "'cf_drop'");
    backend = copy_of_memory("boasting");
    backend.snapshot_close = NULL;
    refuse(&backend, WEIR_INVALID, "'snapshots'");
    refuse(&backend, WEIR_INVALID, "'snapshot_close'");
}

static void test_another_interface_version_is_refused(void **state)
{
    (void)state;
    weir_backend backend = copy_of_memory("newer");
    backend.abi_version = WEIR_BACKEND_ABI_VERSION + 1;
    refuse(&backend, WEIR_VERSION, "version 2");
}

static void test_bad_names_and_names_that_are_taken_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "Upper", "9lives", "with-dash", "a:b", "a/b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        weir_backend backend = copy_of_memory(names[i]);
        refuse(&backend, WEIR_INVALID, "has the name");
    }
    weir_backend backend = copy_of_memory(NULL);
    refuse(&backend, WEIR_INVALID, "has the name");
    backend = copy_of_memory("rocksdb");
    refuse(&backend, WEIR_INVALID, "taken (built in)");
}

static void test_option_table_with_a_bad_default_is_refused(void **state)
{
    (void)state;
    static const weir_option_spec table[] = {
        {"size", WEIR_OPTION_INT, "many", NULL, 0, 0, "a number"},
        {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
    };
    weir_backend backend = copy_of_memory("badtable");
    backend.options = table;
    refuse(&backend, WEIR_INVALID, "size");
}

static void test_longer_struct_of_a_later_version_is_cut(void **state)
{
    (void)state;
    static struct {
        weir_backend known;
        void *later[4];
    } longer;
    longer.known = copy_of_memory("longer");
    longer.known.struct_size = sizeof longer;
    memset(longer.later, 0xEE, sizeof longer.later);
    const weir_backend *found;
    assert_int_equal(weir_backend_register(&longer.known, NULL), WEIR_OK);
    assert_int_equal(weir_backend_find("longer", &found, NULL), WEIR_OK);
    assert_int_equal(found->struct_size, sizeof(weir_backend));
    fixture_close(fixture_open("longer", "", NULL));
}

static void test_shorter_struct_of_an_earlier_version_lacks_optional_methods(void **state)
{
    (void)state;
    static weir_backend shorter;
    shorter = copy_of_memory("shorter");
    shorter.struct_size = offsetof(weir_backend, stats);
    const weir_backend *found;
    assert_int_equal(weir_backend_register(&shorter, NULL), WEIR_OK);
    assert_int_equal(weir_backend_find("shorter", &found, NULL), WEIR_OK);
    assert_null(found->stats);
    assert_null(found->control);
    /* The host fills them in for those who use a database. */
    weir__database *database = fixture_open("shorter", "", NULL);
    const weir_backend *backend = weir__database_backend(database);
    assert_int_equal(backend->control(weir__database_handle(database), "x", NULL, NULL),
                     WEIR_UNSUPPORTED);
    fixture_close(database);
}

typedef struct listing {
    char names[1024];
    size_t builtins;
} listing;

static void list(const weir_backend *backend, const char *origin, void *arg)
{
    listing *l = arg;
    strcat(l->names, backend->name);
    strcat(l->names, " ");
    l->builtins += strcmp(origin, "built in") == 0;
}

static void test_each_visits_all_by_name(void **state)
{
    (void)state;
    listing l = {.names = ""};
    weir_backend_each(list, &l);
    assert_int_equal(l.builtins, 4);
    const char *fault = strstr(l.names, "fault ");
    const char *memory = strstr(l.names, "memory ");
    const char *rocksdb = strstr(l.names, "rocksdb ");
    const char *trace = strstr(l.names, "trace ");
    assert_true(fault != NULL && fault < memory && memory < rocksdb && rocksdb < trace);
}

typedef struct registrar {
    pthread_t thread;
    weir_backend backend;
    char name[32];
    bool is_right;
} registrar;

static void *register_and_find(void *arg)
{
    registrar *r = arg;
    const weir_backend *found;
    r->is_right = weir_backend_register(&r->backend, NULL) == WEIR_OK;
    for (int i = 0; i < 200 && r->is_right; i++)
        r->is_right = weir_backend_find(r->name, &found, NULL) == WEIR_OK &&
                      strcmp(found->name, r->name) == 0 &&
                      weir_backend_find("memory", &found, NULL) == WEIR_OK &&
                      weir_backend_find("nosuch", &found, NULL) == WEIR_NOT_FOUND;
    return NULL;
}

static void test_threads_register_and_find_at_once(void **state)
{
    (void)state;
    static registrar registrars[4];
    for (int i = 0; i < 4; i++) {
        snprintf(registrars[i].name, sizeof registrars[i].name, "thread%d", i);
        registrars[i].backend = copy_of_memory(registrars[i].name);
        assert_int_equal(
            pthread_create(&registrars[i].thread, NULL, register_and_find, &registrars[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(registrars[i].thread, NULL);
        assert_true(registrars[i].is_right);
    }
}

/* --------------------------------------------------------------- specs, options */

static weir_status check(const char *spec, const weir_option *options, weir_error *err)
{
    bool persistent;
    weir_error_init(err);
    return weir__database_check(spec, options, NULL, &persistent, err);
}

static void test_specs_are_checked_without_opening(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        weir_status status;
        const char *part;
    } cases[] = {
        {"memory", WEIR_OK, ""},
        {"trace:fault:rocksdb", WEIR_OK, ""},
        {"trace:trace:memory", WEIR_OK, ""},
        {"nosuch", WEIR_INVALID, "there is no backend 'nosuch'"},
        {"trace:nosuch", WEIR_INVALID, "state backend 'trace:nosuch'"},
        {"trace", WEIR_INVALID, "stores nothing itself"},
        {"trace:fault", WEIR_INVALID, "stores nothing itself"},
        {"memory:rocksdb", WEIR_INVALID, "can't stand before another"},
        {"", WEIR_INVALID, "a name is missing"},
        {"trace:", WEIR_INVALID, "a name is missing"},
        {":memory", WEIR_INVALID, "a name is missing"},
        {"trace:trace:trace:trace:trace:trace:trace:trace:trace:memory", WEIR_INVALID,
         "more than 8 decorators"},
        {"/no/such:file.so", WEIR_INVALID, "can't find the plugin /no/such:file.so"},
        {"trace:/no/such.so", WEIR_INVALID, "can't find the plugin /no/such.so"},
        {"poor_batch", WEIR_UNSUPPORTED, "'atomic batch'"},
        {"trace:poor_batch", WEIR_UNSUPPORTED, "'poor_batch' lacks"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_error err;
        assert_int_equal(check(cases[i].spec, NULL, &err), cases[i].status);
        assert_tells(&err, cases[i].part);
    }
}

static void test_persistence_is_that_of_what_stores(void **state)
{
    (void)state;
    bool persistent;
    assert_int_equal(weir__database_check("trace:rocksdb", NULL, NULL, &persistent, NULL), WEIR_OK);
    assert_true(persistent);
    assert_int_equal(weir__database_check("trace:memory", NULL, NULL, &persistent, NULL), WEIR_OK);
    assert_false(persistent);
    assert_int_equal(weir__database_check("nosuch", NULL, NULL, &persistent, NULL), WEIR_INVALID);
    assert_false(persistent);
}

static void test_unknown_options_list_the_known_ones(void **state)
{
    (void)state;
    weir_error err;
    weir_option options[] = {{"max_bites", "1"}, {NULL, NULL}};
    assert_int_equal(check("trace:memory", options, &err), WEIR_INVALID);
    assert_tells(&err, "'max_bites'");
    assert_tells(&err, "open_max_retries");
    assert_tells(&err, "on_corrupted_recreate");
    assert_tells(&err, ", max_bytes");
    assert_tells(&err, "trace.log");
    options[0] = (weir_option){"trace.noise", "1"};
    assert_int_equal(check("trace:memory", options, &err), WEIR_INVALID);
    assert_tells(&err, "noise");
    assert_tells(&err, "log");
    /* A decorator that is not in the spec has no options either. */
    options[0] = (weir_option){"trace.log", "on"};
    assert_int_equal(check("memory", options, &err), WEIR_INVALID);
    assert_int_equal(check("trace:memory", options, &err), WEIR_OK);
}

static void test_option_values_out_of_range_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
    } cases[] = {
        {"open_max_retries", "-1"},   {"open_retry_backoff", "soon"},
        {"open_retry_backoff", "-1"}, {"on_corrupted_recreate", "perhaps"},
        {"max_bytes", "-5"},          {"fault.nth", "0"},
        {"fault.op", "explode"},      {"fault.error", "strange"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_error err;
        weir_option options[] = {{cases[i].key, cases[i].value}, {NULL, NULL}};
        const char *name = strchr(cases[i].key, '.');
        assert_int_equal(check("fault:memory", options, &err), WEIR_INVALID);
        assert_tells(&err, name != NULL ? name + 1 : cases[i].key);
        assert_tells(&err, cases[i].value);
    }
}

int main(void)
{
    weir_log_set_level(WEIR_LOG_ERROR);
    poor_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtins_are_found_by_name),
        cmocka_unit_test(test_unknown_name_tells_what_is_known_and_where_it_looked),
        cmocka_unit_test(test_missing_required_method_is_named),
        cmocka_unit_test(test_struct_that_ends_early_lacks_the_methods_behind_its_end),
        cmocka_unit_test(test_capability_without_its_method_is_named),
        cmocka_unit_test(test_another_interface_version_is_refused),
        cmocka_unit_test(test_bad_names_and_names_that_are_taken_are_refused),
        cmocka_unit_test(test_option_table_with_a_bad_default_is_refused),
        cmocka_unit_test(test_longer_struct_of_a_later_version_is_cut),
        cmocka_unit_test(test_shorter_struct_of_an_earlier_version_lacks_optional_methods),
        cmocka_unit_test(test_each_visits_all_by_name),
        cmocka_unit_test(test_threads_register_and_find_at_once),
        cmocka_unit_test(test_specs_are_checked_without_opening),
        cmocka_unit_test(test_persistence_is_that_of_what_stores),
        cmocka_unit_test(test_unknown_options_list_the_known_ones),
        cmocka_unit_test(test_option_values_out_of_range_are_told),
    };
    return cmocka_run_group_tests_name("backend registry", tests, NULL, NULL);
}
