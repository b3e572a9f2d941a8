/*
 * What is special about the plugin lmdb: its map that grows, keys longer than LMDB takes, its
 * files. What every backend must show is in the conformance kit, which tests/tools/test_kit.sh
 * runs on it; here it runs through the host and its decorators.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support_fixture.h"
#include "support_lmdb.h"

#define SKIPPED 77

static const weir_option small_map[] = {{"map_size", "1MiB"}, {NULL, NULL}};

static uint64_t figure_value;
static const char *figure_name;

static void catch_figure(const char *name, uint64_t value, void *arg)
{
    (void)arg;
    if (strcmp(name, figure_name) == 0)
        figure_value = value;
}

static uint64_t figure(weir__database *database, const char *name)
{
    figure_name = name;
    figure_value = 0;
    assert_int_equal(weir__database_backend(database)->stats(weir__database_handle(database),
                                                             catch_figure, NULL, NULL),
                     WEIR_OK);
    return figure_value;
}

/* --------------------------------------------------------------------- the map */

static void test_a_full_map_grows_and_the_batch_goes_in(void **state)
{
    lmdb_place *p = *state;
    weir__database *database = fixture_open("lmdb", p->path, small_map);
    assert_int_equal(figure(database, "bytes.map"), 1 << 20);
    /* One batch that is larger than the map. */
    char *large = malloc((size_t)5 << 20);
    memset(large, 'x', (size_t)5 << 20);
    weir_slice value = weir_slice_of(large, (size_t)5 << 20);
    assert_int_equal(lmdb_write_one(database, weir_slice_str("large"), value, NULL), WEIR_OK);
    assert_true(figure(database, "bytes.map") >= (uint64_t)6 << 20);
    fixture_close(database);
    /* The option is smaller than the file now: what is there is read all the same. */
    database = fixture_open("lmdb", p->path, small_map);
    weir_backend_value found;
    assert_int_equal(weir__database_backend(database)->get(weir__database_handle(database),
                                                           lmdb_default_family(database), NULL,
                                                           weir_slice_str("large"), &found, NULL),
                     WEIR_OK);
    assert_true(weir_slice_equal(weir_slice_of(found.data, found.size), value));
    weir__database_backend(database)->value_release(weir__database_handle(database), &found);
    assert_int_equal(fixture_put(database, "after", "1", NULL), WEIR_OK);
    fixture_close(database);
    free(large);
}

static void test_a_full_map_says_busy_while_an_iterator_is_open(void **state)
{
    lmdb_place *p = *state;
    weir_error err;
    weir_error_init(&err);
    weir__database *database = fixture_open("lmdb", p->path, small_map);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(fixture_put(database, "a", "1", NULL), WEIR_OK);
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    assert_int_equal(backend->iter_open(db, lmdb_default_family(database), &args, &iter, NULL),
                     WEIR_OK);
    char *large = calloc(1, (size_t)2 << 20);
    weir_slice value = weir_slice_of(large, (size_t)2 << 20);
    assert_int_equal(lmdb_write_one(database, weir_slice_str("large"), value, &err), WEIR_BUSY);
    assert_tells(&err, "map_size");
    assert_null(fixture_get(database, "large"));
    /* The iterator is as it was, and once it is closed the same batch goes in. */
    weir_slice key;
    weir_slice seen;
    assert_int_equal(backend->iter_next(iter, &key, &seen, NULL), WEIR_OK);
    assert_true(weir_slice_equal(seen, weir_slice_str("1")));
    backend->iter_close(iter);
    assert_int_equal(lmdb_write_one(database, weir_slice_str("large"), value, &err), WEIR_OK);
    fixture_close(database);
    free(large);
}

/* ------------------------------------------------------------------- long keys */

enum { LONG_KEYS = 60, LONG_SIZE = 900 };

/* Keys alike in their first 600 bytes; every fifth of another beginning. */
static weir_slice long_key(char room[LONG_SIZE + 1], int i)
{
    memset(room, i % 5 == 0 ? 'j' : 'k', LONG_SIZE);
    int used = snprintf(room + 600, LONG_SIZE - 600, "%06d", i);
    room[600 + used] = '-';
    return weir_slice_of(room, (size_t)(610 + i * 4));
}

static void expect_long_keys(weir__database *database, bool reverse, int step)
{
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_iter_args args = {.struct_size = sizeof args, .reverse = reverse};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    int seen = 0;
    char last[LONG_SIZE + 1] = "";
    size_t last_size = 0;
    assert_int_equal(backend->iter_open(weir__database_handle(database),
                                        lmdb_default_family(database), &args, &iter, NULL),
                     WEIR_OK);
    while (backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
        char room[LONG_SIZE + 1];
        int i;
        memcpy(&i, value.data, sizeof i);
        assert_int_equal(i % step, 0);
        assert_true(weir_slice_equal(key, long_key(room, i)));
        int order = weir_slice_compare(key, weir_slice_of(last, last_size));
        assert_true(seen == 0 || (reverse ? order < 0 : order > 0));
        memcpy(last, key.data, key.size);
        last_size = key.size;
        seen++;
    }
    backend->iter_close(iter);
    assert_int_equal(seen, (LONG_KEYS + step - 1) / step);
}

static void test_long_keys_that_begin_alike_are_kept_apart_and_in_order(void **state)
{
    lmdb_place *p = *state;
    weir__database *database = fixture_open("lmdb", p->path, NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    char room[LONG_SIZE + 1];
    for (int n = 0; n < LONG_KEYS; n++) {
        int i = n * 7 % LONG_KEYS;
        assert_int_equal(
            lmdb_write_one(database, long_key(room, i), weir_slice_of(&i, sizeof i), NULL),
            WEIR_OK);
    }
    expect_long_keys(database, false, 1);
    expect_long_keys(database, true, 1);
    /* All odd ones go, in one batch, and the file is opened anew. */
    weir_backend_op ops[LONG_KEYS / 2];
    char rooms[LONG_KEYS / 2][LONG_SIZE + 1];
    for (int i = 0; i < LONG_KEYS / 2; i++)
        ops[i] = (weir_backend_op){.kind = WEIR_OP_DELETE,
                                   .cf = lmdb_default_family(database),
                                   .key = long_key(rooms[i], 2 * i + 1)};
    assert_int_equal(backend->write(db, ops, LONG_KEYS / 2, 0, NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("lmdb", p->path, NULL);
    expect_long_keys(database, false, 2);
    expect_long_keys(database, true, 2);
    fixture_close(database);
}

/* ----------------------------------------------------------------------- files */

static void test_destroy_keeps_what_is_not_of_lmdb(void **state)
{
    lmdb_place *p = *state;
    fixture_close(fixture_open("lmdb", p->path, NULL));
    fixture_write(p->path, "notes.txt", "mine");
    const weir_backend *backend;
    assert_int_equal(weir_backend_find("lmdb", &backend, NULL), WEIR_OK);
    weir__database_config config = fixture_config("lmdb", p->path, NULL);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    assert_string_equal(fixture_read(p->path, "notes.txt"), "mine");
    assert_int_equal(access(fixture_path(p->path, "data.mdb"), F_OK), -1);
    assert_int_equal(access(fixture_path(p->path, "lock.mdb"), F_OK), -1);
}

static void test_reading_only_changes_no_file(void **state)
{
    lmdb_place *p = *state;
    weir__database *database = fixture_open("lmdb", p->path, NULL);
    assert_int_equal(fixture_put(database, "a", "1", NULL), WEIR_OK);
    fixture_close(database);
    assert_int_equal(unlink(fixture_path(p->path, "lock.mdb")), 0);
    struct stat before;
    struct stat after;
    assert_int_equal(stat(fixture_path(p->path, "data.mdb"), &before), 0);
    weir__database_config config = fixture_config("lmdb", p->path, NULL);
    config.read_only = true;
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    assert_string_equal(fixture_get(database, "a"), "1");
    assert_int_equal(fixture_put(database, "b", "2", NULL), WEIR_UNSUPPORTED);
    fixture_close(database);
    assert_int_equal(access(fixture_path(p->path, "lock.mdb"), F_OK), -1);
    assert_int_equal(stat(fixture_path(p->path, "data.mdb"), &after), 0);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_size == after.st_size);
}

static void test_options_out_of_range_are_refused_with_the_known_ones(void **state)
{
    lmdb_place *p = *state;
    const struct {
        weir_option pair;
        const char *tells;
    } bad[] = {
        {{"map_size", "10"}, "map_size"},
        {{"max_families", "0"}, "max_families"},
        {{"read_ahead", "perhaps"}, "read_ahead"},
        {{"block_cache", "1"}, "max_readers"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        weir_option options[] = {bad[i].pair, {NULL, NULL}};
        weir__database_config config = fixture_config("lmdb", p->path, options);
        weir__database *database;
        weir_error err;
        weir_error_init(&err);
        assert_int_equal(weir__database_open(&config, &database, &err), WEIR_INVALID);
        assert_tells(&err, bad[i].tells);
    }
}

static void test_more_families_than_allowed_are_refused_with_the_option_to_raise(void **state)
{
    lmdb_place *p = *state;
    const weir_option options[] = {{"max_families", "3"}, {NULL, NULL}};
    weir__database *database = fixture_open("lmdb", p->path, options);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_cf *cf;
    weir_error err;
    weir_error_init(&err);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(backend->cf_open(db, "one", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->cf_open(db, "two", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->cf_open(db, "three", true, &cf, &err), WEIR_TOO_LARGE);
    assert_tells(&err, "max_families");
    assert_null(cf);
    fixture_close(database);
}

/* ------------------------------------------------------------ through the host */

static void run_all_checks(const char *spec, const char *folder);

static const char *reopened_spec;
static char reopened_path[512];
static weir__database *current;

static weir_status reopen(conformance *c)
{
    fixture_close(current);
    current = fixture_open(reopened_spec, reopened_path, NULL);
    c->backend = weir__database_backend(current);
    c->db = weir__database_handle(current);
    return WEIR_OK;
}

static void run_all_checks(const char *spec, const char *folder)
{
    reopened_spec = spec;
    for (size_t i = 0; i < kit_check_count(); i++) {
        char name[32];
        snprintf(name, sizeof name, "db%zu", i);
        snprintf(reopened_path, sizeof reopened_path, "%s", fixture_path(folder, name));
        current = fixture_open(spec, reopened_path, NULL);
        conformance c = {.backend = weir__database_backend(current),
                         .db = weir__database_handle(current),
                         .reopen = reopen,
                         .seed = 42};
        bool is_right = conformance_run(kit_check_at(i), &c);
        fixture_close(current);
        if (!is_right)
            fail_msg("%s: %s: %s", spec, kit_check_at(i)->name, c.failure);
    }
}

static void test_the_host_runs_all_checks_on_it(void **state)
{
    run_all_checks("lmdb", ((lmdb_place *)*state)->folder);
}

static void test_the_host_runs_all_checks_through_decorators(void **state)
{
    run_all_checks("fault:trace:lmdb", ((lmdb_place *)*state)->folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_make_place, lmdb_remove_place)

int main(void)
{
    static const char plugin[] = WEIR_PLUGIN_DIR "/libweir_lmdb.so";
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_map_grows_and_the_batch_goes_in),
        TEST(test_a_full_map_says_busy_while_an_iterator_is_open),
        TEST(test_long_keys_that_begin_alike_are_kept_apart_and_in_order),
        TEST(test_destroy_keeps_what_is_not_of_lmdb),
        TEST(test_reading_only_changes_no_file),
        TEST(test_options_out_of_range_are_refused_with_the_known_ones),
        TEST(test_more_families_than_allowed_are_refused_with_the_option_to_raise),
        TEST(test_the_host_runs_all_checks_on_it),
        TEST(test_the_host_runs_all_checks_through_decorators),
    };
    if (access(plugin, F_OK) != 0) {
        fprintf(stderr, "NOT TESTED: lmdb was not built (apt-get install liblmdb-dev): no %s\n",
                plugin);
        return SKIPPED;
    }
    setenv("WEIR_BACKEND_PATH", WEIR_PLUGIN_DIR, 1);
    weir_log_set_level(WEIR_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
