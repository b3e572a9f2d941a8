/*
 * weir/database.h: a database that is opened by itself, and the backend of a folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weir/database.h>

#include "support_fixture.h"
#include "support_keeper.h"

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder();
    fixture_log_catch();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_log_release();
    fixture_remove(folder);
    return 0;
}

static weir_database_config config_of(const char *backend, const char *location)
{
    static const weir_option no_wait[] = {{"open_max_retries", "0"}, {NULL, NULL}};
    weir_database_config config;
    weir_database_config_init(&config);
    config.backend = backend;
    config.location = location;
    config.options = no_wait;
    return config;
}

static weir_database *open_ok(const weir_database_config *config)
{
    weir_database *database;
    weir_error err;
    weir_error_init(&err);
    if (weir_database_open(config, &database, &err) != WEIR_OK)
        fail_msg("%s", err.message);
    return database;
}

static void refuse(const weir_database_config *config, weir_status expected, const char *part)
{
    weir_database *database = (weir_database *)1;
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir_database_open(config, &database, &err), expected);
    assert_null(database);
    assert_non_null(strstr(err.message, part));
}

static void put(weir_database *database, const char *key)
{
    const weir_backend *backend = weir_database_backend(database);
    weir_backend_db *db = weir_database_handle(database);
    weir_backend_cf *cf;
    assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
    weir_backend_op op = {
        .kind = WEIR_OP_PUT, .cf = cf, .key = weir_slice_str(key), .value = weir_slice_str("v")};
    assert_int_equal(backend->write(db, &op, 1, WEIR_WRITE_SYNC, NULL), WEIR_OK);
}

static void make(const char *backend)
{
    weir_database_config config = config_of(backend, folder);
    config.read_only = false;
    config.create = true;
    weir_database *database = open_ok(&config);
    put(database, "k");
    assert_int_equal(weir_database_close(database, NULL), WEIR_OK);
}

static void test_the_folder_says_which_backend_keeps_it(void **state)
{
    (void)state;
    char backend[WEIR_BACKEND_NAME_SIZE] = "x";
    assert_int_equal(weir_database_identify(folder, backend, NULL), WEIR_NOT_FOUND);
    assert_string_equal(backend, "");
    assert_int_equal(weir_database_identify("/nowhere", backend, NULL), WEIR_NOT_FOUND);
    make("keeper");
    assert_int_equal(weir_database_identify(folder, backend, NULL), WEIR_OK);
    assert_string_equal(backend, "keeper");
}

static void test_rocksdb_is_told_from_its_files(void **state)
{
    (void)state;
    char backend[WEIR_BACKEND_NAME_SIZE];
    make("rocksdb");
    assert_int_equal(unlink(fixture_path(folder, "weir.json")), 0);
    assert_int_equal(weir_database_identify(folder, backend, NULL), WEIR_OK);
    assert_string_equal(backend, "rocksdb");
    /* And opened without saying so. */
    weir_database_config config = config_of(NULL, folder);
    weir_database *database = open_ok(&config);
    assert_int_equal(weir_database_close(database, NULL), WEIR_OK);
}

static void test_opening_reads_only_unless_it_is_asked_to_write(void **state)
{
    (void)state;
    make("rocksdb");
    weir_database_config config = config_of(NULL, folder);
    weir_database *database = open_ok(&config);
    char label[600];
    snprintf(label, sizeof label, "backend=rocksdb path=%s", folder);
    assert_string_equal(weir_database_label(database), label);
    const weir_backend *backend = weir_database_backend(database);
    weir_backend_cf *cf;
    assert_int_equal(backend->cf_open(weir_database_handle(database), "default", false, &cf, NULL),
                     WEIR_OK);
    weir_backend_op op = {.kind = WEIR_OP_PUT, .cf = cf, .key = weir_slice_str("k")};
    assert_int_equal(backend->write(weir_database_handle(database), &op, 1, 0, NULL),
                     WEIR_UNSUPPORTED);
    /* Another reader is let in, a writer is not. */
    weir_database *reader = open_ok(&config);
    config.read_only = false;
    refuse(&config, WEIR_LOCKED, "is in use by another process");
    assert_int_equal(weir_database_close(reader, NULL), WEIR_OK);
    assert_int_equal(weir_database_close(database, NULL), WEIR_OK);
}

static void test_what_is_not_there_is_not_made_unless_asked(void **state)
{
    (void)state;
    weir_database_config config = config_of(NULL, folder);
    refuse(&config, WEIR_NOT_FOUND, "");
    config.backend = "rocksdb";
    refuse(&config, WEIR_NOT_FOUND, "");
    config.read_only = false;
    refuse(&config, WEIR_NOT_FOUND, "");
    config.read_only = true;
    config.create = true;
    refuse(&config, WEIR_NOT_FOUND, "");
    assert_int_not_equal(access(fixture_path(folder, "weir.json"), F_OK), 0);
}

static void test_locations_that_say_too_little_are_refused(void **state)
{
    (void)state;
    weir_database_config config = config_of(NULL, "s3://bucket/path");
    refuse(&config, WEIR_INVALID, "does not say which backend keeps it");
    config.location = NULL;
    refuse(&config, WEIR_INVALID, "needs a location");
}

static weir_status count_location(const char *location, void *arg)
{
    (void)location;
    ++*(size_t *)arg;
    return WEIR_OK;
}

static void test_a_backend_that_can_not_list_says_so(void **state)
{
    (void)state;
    size_t count = 0;
    weir_error err;
    weir_error_init(&err);
    weir_database_config config = config_of("memory", "s3://bucket/path");
    assert_int_equal(weir_database_list(&config, count_location, &count, &err), WEIR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "can't tell where it keeps databases"));
    config.backend = "rocksdb";
    assert_int_equal(weir_database_list(&config, count_location, &count, &err), WEIR_INVALID);
    assert_int_equal(count, 0);
}

static void test_destroying_removes_the_database(void **state)
{
    (void)state;
    char backend[WEIR_BACKEND_NAME_SIZE];
    make("rocksdb");
    weir_database_config config = config_of(NULL, folder);
    weir_database *database = open_ok(&config);
    assert_int_equal(weir_database_destroy(&config, NULL), WEIR_LOCKED);
    assert_int_equal(weir_database_close(database, NULL), WEIR_OK);
    assert_int_equal(weir_database_destroy(&config, NULL), WEIR_OK);
    assert_int_equal(weir_database_identify(folder, backend, NULL), WEIR_NOT_FOUND);
    assert_int_equal(weir_database_destroy(&config, NULL), WEIR_OK);
}

static void test_a_config_of_an_older_header_has_defaults_for_the_rest(void **state)
{
    (void)state;
    make("rocksdb");
    weir_database_config config = config_of(NULL, folder);
    config.struct_size = offsetof(weir_database_config, read_only);
    config.read_only = false;
    config.create = true;
    weir_database *database = open_ok(&config);
    /* As it is read only, a second one is let in. */
    assert_int_equal(weir_database_close(open_ok(&config), NULL), WEIR_OK);
    assert_int_equal(weir_database_close(database, NULL), WEIR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    keeper_register();
    const struct CMUnitTest tests[] = {
        TEST(test_the_folder_says_which_backend_keeps_it),
        TEST(test_rocksdb_is_told_from_its_files),
        TEST(test_opening_reads_only_unless_it_is_asked_to_write),
        TEST(test_what_is_not_there_is_not_made_unless_asked),
        TEST(test_locations_that_say_too_little_are_refused),
        TEST(test_a_backend_that_can_not_list_says_so),
        TEST(test_destroying_removes_the_database),
        TEST(test_a_config_of_an_older_header_has_defaults_for_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
