/*
 * The plugin slatedb in a local folder: options, locations, what lies in the folder, read-only,
 * copies, figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support_fixture.h"
#include "support_slatedb.h"

static const weir_option fast[] = {{"use_fsync", "false"}, {NULL, NULL}};

static int make_folder(void **state)
{
    *state = fixture_folder();
    return 0;
}

static int remove_folder(void **state)
{
    fixture_remove(*state);
    fixture_log_release();
    weir_log_set_level(WEIR_LOG_ERROR);
    return 0;
}

static bool exists(const char *folder, const char *name)
{
    return access(fixture_path(folder, name), F_OK) == 0;
}

static weir_status try_open(const char *location, const weir_option *options, weir_error *err)
{
    weir__database *database;
    weir__database_config config = fixture_config("slatedb", location, options);
    weir_error_init(err);
    weir_status status = weir__database_open(&config, &database, err);
    if (status == WEIR_OK)
        fixture_close(database);
    return status;
}

/* ------------------------------------------------------------- finding and options */

static void test_asking_for_it_when_it_is_not_built_says_what_to_do(void **state)
{
    (void)state;
    const weir_backend *backend;
    weir_error err;
    weir_error_init(&err);
    unsetenv("WEIR_BACKEND_PATH");
    weir_status status = weir_backend_find("slatedb", &backend, &err);
    if (status == WEIR_OK)
        skip(); /* Weir is installed on this machine, with it */
    assert_int_equal(status, WEIR_NOT_FOUND);
    assert_tells(&err, "slatedb is not built");
    assert_tells(&err, "install cargo");
}

static void test_every_option_tells_its_default_and_its_meaning(void **state)
{
    (void)state;
    const weir_backend *backend;
    assert_int_equal(weir_backend_find("slatedb", &backend, NULL), WEIR_OK);
    for (const weir_option_spec *row = backend->options; row->name != NULL; row++) {
        assert_true(strlen(row->help) > 10);
        assert_true(row->default_value != NULL || row->type == WEIR_OPTION_STRING);
    }
}

static void test_bad_options_are_told_by_name(void **state)
{
    static const struct {
        weir_option option;
        const char *part;
    } rows[] = {
        {{"no_such_option", "1"}, "memtable_size"},
        {{"durability", "sometimes"}, "auto|flushed|memory"},
        {{"compression", "rar"}, "compression"},
        {{"flush_interval", "-1"}, "flush_interval"},
        {{"memtable_size", "1"}, "memtable_size"},
        {{"max_unflushed", "1MiB"}, "max_unflushed"},
        {{"block_cache_size", "much"}, "block_cache_size"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        weir_error err;
        const weir_option options[] = {rows[i].option, {NULL, NULL}};
        assert_int_equal(try_open(fixture_path(*state, "db"), options, &err), WEIR_INVALID);
        assert_tells(&err, rows[i].part);
    }
}

static void test_a_location_that_can_be_none_is_told(void **state)
{
    (void)state;
    static const char *const locations[] = {"s3://bucket", "s3://bucket/", "s3:///path",
                                            "ftp://host/a", "file:///tmp/state"};
    for (size_t i = 0; i < sizeof locations / sizeof locations[0]; i++) {
        weir_error err;
        assert_int_equal(try_open(locations[i], fast, &err), WEIR_INVALID);
        assert_tells(&err, locations[i]);
        assert_tells(&err, "s3://BUCKET/PATH");
    }
}

static void test_opening_warns_once_that_it_is_beta(void **state)
{
    weir_error err;
    fixture_log_catch();
    assert_int_equal(try_open(fixture_path(*state, "one"), fast, &err), WEIR_OK);
    assert_int_equal(try_open(fixture_path(*state, "two"), fast, &err), WEIR_OK);
    /* This process may have opened one before. */
    assert_true(fixture_log_count("store.beta", NULL) <= 1);
    assert_int_equal(fixture_log_count("store.open", "beta"), 2);
}

/* --------------------------------------------------------------------- the folder */

static void test_any_folder_name_will_do(void **state)
{
    static const char *const names[] = {"a b", "100%", "a%20b", "#1", "ü ñ", "?x=1", "~"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *folder = fixture_path(*state, names[i]);
        weir__database *database = fixture_open("slatedb", folder, fast);
        assert_int_equal(fixture_put(database, "name", names[i], NULL), WEIR_OK);
        fixture_close(database);
        assert_true(exists(folder, "slatedb/manifest"));
        database = fixture_open("slatedb", folder, fast);
        assert_string_equal(fixture_get(database, "name"), names[i]);
        fixture_close(database);
    }
}

static void test_destroy_removes_its_own_files_alone(void **state)
{
    const char *folder = fixture_path(*state, "db");
    weir__database *database = fixture_open("slatedb", folder, fast);
    assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    fixture_close(database);
    fixture_write(folder, "weir.notes", "of the host");
    fixture_write(folder, "mine.txt", "of somebody else");
    weir__database_config config = fixture_config("slatedb", folder, fast);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    assert_false(exists(folder, "slatedb"));
    assert_string_equal(fixture_read(folder, "weir.notes"), "of the host");
    assert_string_equal(fixture_read(folder, "mine.txt"), "of somebody else");
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    database = fixture_open("slatedb", folder, fast);
    assert_null(fixture_get(database, "key"));
    fixture_close(database);
}

static void test_another_backend_does_not_open_its_folder(void **state)
{
    weir_error err;
    weir__database *database;
    const char *folder = fixture_path(*state, "db");
    assert_int_equal(try_open(folder, fast, &err), WEIR_OK);
    weir__database_config config = fixture_config("rocksdb", folder, NULL);
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_WRONG_BACKEND);
    assert_tells(&err, "slatedb");
}

static void test_what_is_not_there_is_not_found(void **state)
{
    weir__database *database;
    const char *folder = fixture_path(*state, "db");
    assert_int_equal(mkdir(folder, 0700), 0);
    weir__database_config config = fixture_config("slatedb", folder, fast);
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_NOT_FOUND);
    config.create = true;
    config.read_only = true;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_NOT_FOUND);
    assert_false(exists(folder, "slatedb"));
}

static void test_opened_read_only_it_tells_all_and_changes_nothing(void **state)
{
    const char *folder = fixture_path(*state, "db");
    char before[4096];
    char command[512];
    weir__database *database = fixture_open("slatedb", folder, fast);
    for (char key[] = "a"; key[0] <= 'e'; key[0]++)
        assert_int_equal(fixture_put(database, key, "value", NULL), WEIR_OK);
    fixture_close(database);
    snprintf(command, sizeof command, "cd '%s' && find . -type f | sort > ../files", folder);
    assert_int_equal(system(command), 0);
    snprintf(before, sizeof before, "%s", fixture_read(*state, "files"));
    weir__database_config config = fixture_config("slatedb", folder, fast);
    config.read_only = true;
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    assert_string_equal(fixture_get(database, "c"), "value");
    assert_null(fixture_get(database, "x"));
    assert_int_equal(fixture_put(database, "x", "1", NULL), WEIR_UNSUPPORTED);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    weir_backend_iter_args args = {.struct_size = sizeof args, .reverse = true};
    assert_int_equal(backend->cf_open(db, "default", false, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->iter_open(db, cf, &args, &iter, NULL), WEIR_OK);
    assert_int_equal(backend->iter_seek(iter, weir_slice_str("cc"), NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_true(weir_slice_equal(key, weir_slice_str("c")));
    backend->iter_close(iter);
    fixture_close(database);
    assert_int_equal(system(command), 0);
    assert_string_equal(fixture_read(*state, "files"), before);
}

/* Of another process as well: the host would keep any other backend from it by its lock. */
static void test_it_is_read_beside_its_writer(void **state)
{
    static const weir_option flushed[] = {
        {"durability", "flushed"}, {"use_fsync", "false"}, {"open_max_retries", "0"}, {NULL, NULL}};
    const char *folder = fixture_path(*state, "db");
    weir__database *beside;
    weir__database *writer = fixture_open("slatedb", folder, flushed);
    weir__database_config config = fixture_config("slatedb", folder, flushed);
    config.read_only = true;
    assert_int_equal(weir__database_open(&config, &beside, NULL), WEIR_LOCKED);
    config.beside_writer = true;
    for (char value[] = "1"; value[0] <= '3'; value[0]++) {
        assert_int_equal(fixture_put(writer, "key", value, NULL), WEIR_OK);
        assert_int_equal(weir__database_open(&config, &beside, NULL), WEIR_OK);
        assert_string_equal(fixture_get(beside, "key"), value);
        assert_int_equal(fixture_put(writer, "key", "later", NULL), WEIR_OK);
        assert_string_equal(fixture_get(beside, "key"), value);
        fixture_close(beside);
    }
    fixture_close(writer);
    writer = fixture_open("slatedb", folder, flushed);
    assert_string_equal(fixture_get(writer, "key"), "later");
    fixture_close(writer);
}

/* ------------------------------------------------------------------- the database */

static void test_each_compression_reads_back_what_it_wrote(void **state)
{
    static const char *const names[] = {"none", "lz4", "snappy", "zstd"};
    char value[1000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const weir_option options[] = {
            {"compression", names[i]}, {"use_fsync", "false"}, {NULL, NULL}};
        const char *folder = fixture_path(*state, names[i]);
        weir__database *database = fixture_open("slatedb", folder, options);
        assert_int_equal(fixture_put(database, "key", value, NULL), WEIR_OK);
        fixture_close(database);
        /* Each table tells how it is compressed. */
        database = fixture_open("slatedb", folder, fast);
        assert_string_equal(fixture_get(database, "key"), value);
        fixture_close(database);
    }
}

static void test_a_checkpoint_outlives_its_source(void **state)
{
    const char *folder = fixture_path(*state, "db");
    const char *copy = fixture_path(*state, "copy");
    weir__database *database = fixture_open("slatedb", folder, fast);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(fixture_put(database, key, key, NULL), WEIR_OK);
    }
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(backend->checkpoint(db, copy, NULL), WEIR_OK);
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(backend->checkpoint(db, copy, &err), WEIR_INVALID);
    assert_tells(&err, copy);
    assert_int_equal(fixture_put(database, "key-0", "later", NULL), WEIR_OK);
    fixture_close(database);
    weir__database_config config = fixture_config("slatedb", folder, fast);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    database = fixture_open("slatedb", copy, fast);
    assert_string_equal(fixture_get(database, "key-0"), "key-0");
    assert_string_equal(fixture_get(database, "key-99"), "key-99");
    fixture_close(database);
}

static void take_figure(const char *name, uint64_t value, void *arg)
{
    if (strcmp(name, "bytes.disk") == 0)
        *(uint64_t *)arg = value;
}

static void test_figures_tell_the_size_of_what_is_stored(void **state)
{
    uint64_t bytes = 0;
    const char *folder = fixture_path(*state, "db");
    char value[1000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    weir__database *database = fixture_open("slatedb", folder, fast);
    for (char key[] = "a"; key[0] <= 'z'; key[0]++)
        assert_int_equal(fixture_put(database, key, value, NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("slatedb", folder, fast);
    assert_int_equal(weir__database_backend(database)->stats(weir__database_handle(database),
                                                             take_figure, &bytes, NULL),
                     WEIR_OK);
    assert_in_range(bytes, 25 * 1000, 40 * 1000);
    fixture_close(database);
}

static void test_several_keys_are_read_at_once(void **state)
{
    weir__database *database = fixture_open("slatedb", fixture_path(*state, "db"), fast);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    const weir_slice keys[] = {weir_slice_str("b"), weir_slice_str("x"), weir_slice_str("a")};
    weir_backend_value values[3];
    weir_status statuses[3];
    assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
    assert_int_equal(fixture_put(database, "a", "1", NULL), WEIR_OK);
    assert_int_equal(fixture_put(database, "b", "22", NULL), WEIR_OK);
    assert_int_equal(backend->multi_get(db, cf, NULL, keys, 3, values, statuses, NULL), WEIR_OK);
    assert_int_equal(statuses[0], WEIR_OK);
    assert_int_equal(statuses[1], WEIR_NOT_FOUND);
    assert_int_equal(statuses[2], WEIR_OK);
    assert_true(
        weir_slice_equal(weir_slice_of(values[0].data, values[0].size), weir_slice_str("22")));
    backend->value_release(db, &values[0]);
    backend->value_release(db, &values[2]);
    fixture_close(database);
}

/* More at a time than SlateDB takes, so that some of it waits, and waits together. */
static void test_batches_that_wait_together_end_as_the_last_of_them_says(void **state)
{
    enum { BATCHES = 40 };
    const char *folder = fixture_path(*state, "db");
    weir__database *database = fixture_open("slatedb", folder, fast);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    static char value[300000];
    memset(value, 'v', sizeof value);
    assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
    for (int i = 0; i < BATCHES; i++) {
        char key[16], before[16], number[16];
        snprintf(key, sizeof key, "key-%d", i);
        snprintf(before, sizeof before, "key-%d", i - 1);
        snprintf(number, sizeof number, "%d", i);
        const weir_backend_op ops[] = {
            {.kind = WEIR_OP_PUT, .cf = cf, .key = weir_slice_str("last"), .value = {"x", 1}},
            {.kind = WEIR_OP_PUT,
             .cf = cf,
             .key = weir_slice_str("last"),
             .value = weir_slice_str(number)},
            {.kind = WEIR_OP_PUT,
             .cf = cf,
             .key = weir_slice_str(key),
             .value = {value, sizeof value}},
            {.kind = WEIR_OP_DELETE, .cf = cf, .key = weir_slice_str(before)},
        };
        assert_int_equal(backend->write(db, ops, sizeof ops / sizeof ops[0], 0, NULL), WEIR_OK);
        assert_string_equal(fixture_get(database, "last"), number);
        assert_null(fixture_get(database, before));
    }
    fixture_close(database);
    database = fixture_open("slatedb", folder, fast);
    assert_string_equal(fixture_get(database, "last"), "39");
    for (int i = 0; i < BATCHES; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        weir_backend_value found;
        backend = weir__database_backend(database);
        db = weir__database_handle(database);
        assert_int_equal(backend->cf_open(db, "default", false, &cf, NULL), WEIR_OK);
        weir_status status = backend->get(db, cf, NULL, weir_slice_str(key), &found, NULL);
        assert_int_equal(status, i == BATCHES - 1 ? WEIR_OK : WEIR_NOT_FOUND);
        if (status == WEIR_OK) {
            assert_int_equal(found.size, sizeof value);
            backend->value_release(db, &found);
        }
    }
    fixture_close(database);
}

static void test_many_partitions_are_open_side_by_side(void **state)
{
    weir__database *databases[16];
    char name[16];
    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "%d", i);
        databases[i] = fixture_open("slatedb", fixture_path(*state, name), fast);
        assert_int_equal(fixture_put(databases[i], "partition", name, NULL), WEIR_OK);
    }
    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_string_equal(fixture_get(databases[i], "partition"), name);
        fixture_close(databases[i]);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_option_tells_its_default_and_its_meaning),
        TEST(test_bad_options_are_told_by_name),
        TEST(test_a_location_that_can_be_none_is_told),
        TEST(test_opening_warns_once_that_it_is_beta),
        TEST(test_any_folder_name_will_do),
        TEST(test_destroy_removes_its_own_files_alone),
        TEST(test_another_backend_does_not_open_its_folder),
        TEST(test_what_is_not_there_is_not_found),
        TEST(test_opened_read_only_it_tells_all_and_changes_nothing),
        TEST(test_it_is_read_beside_its_writer),
        TEST(test_each_compression_reads_back_what_it_wrote),
        TEST(test_a_checkpoint_outlives_its_source),
        TEST(test_figures_tell_the_size_of_what_is_stored),
        TEST(test_several_keys_are_read_at_once),
        TEST(test_batches_that_wait_together_end_as_the_last_of_them_says),
        TEST(test_many_partitions_are_open_side_by_side),
    };
    const struct CMUnitTest absent[] = {
        cmocka_unit_test(test_asking_for_it_when_it_is_not_built_says_what_to_do)};
    weir_log_set_level(WEIR_LOG_ERROR);
    int failed = cmocka_run_group_tests_name("slatedb, absent", absent, NULL, NULL);
    if (!slatedb_prepare())
        return failed != 0 ? failed : SKIPPED;
    return failed + cmocka_run_group_tests_name("slatedb", tests, NULL, NULL);
}
