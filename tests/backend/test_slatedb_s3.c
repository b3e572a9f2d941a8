/*
 * The plugin slatedb on an S3 server: what is left when all local is gone, fencing, and what is
 * told of buckets, credentials and servers that are not there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support_fixture.h"
#include "support_slatedb.h"

#define FENCING_ROUNDS 6

/* --------------------------------------------------------------------- what is kept */

static void test_state_is_there_without_anything_local(void **state)
{
    (void)state;
    const char *location = s3_location("kept/store/0");
    weir__database *database = fixture_open("slatedb", location, NULL);
    assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("slatedb", location, NULL);
    assert_string_equal(fixture_get(database, "key"), "value");
    fixture_close(database);
}

static void test_destroy_removes_this_state_and_no_other(void **state)
{
    (void)state;
    const char *location = s3_location("destroyed/1");
    const char *other = s3_location("destroyed/10");
    weir_error err;
    weir__database *database = fixture_open("slatedb", location, NULL);
    assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("slatedb", other, NULL);
    assert_int_equal(fixture_put(database, "key", "other", NULL), WEIR_OK);
    fixture_close(database);
    weir__database_config config = fixture_config("slatedb", location, NULL);
    assert_int_equal(weir__database_destroy(&config, &err), WEIR_OK);
    assert_int_equal(weir__database_destroy(&config, &err), WEIR_OK);
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_NOT_FOUND);
    database = fixture_open("slatedb", location, NULL);
    assert_null(fixture_get(database, "key"));
    fixture_close(database);
    database = fixture_open("slatedb", other, NULL);
    assert_string_equal(fixture_get(database, "key"), "other");
    fixture_close(database);
}

static void test_a_disk_cache_does_not_outlive_what_it_caches(void **state)
{
    (void)state;
    char *folder = fixture_folder();
    const weir_option options[] = {{"disk_cache_dir", folder}, {NULL, NULL}};
    const char *location = s3_location("cached/0");
    weir__database_config config = fixture_config("slatedb", location, options);
    for (int round = 0; round < 3; round++) {
        char value[16];
        snprintf(value, sizeof value, "round %d", round);
        weir__database *database = fixture_open("slatedb", location, options);
        assert_null(fixture_get(database, "key"));
        assert_int_equal(fixture_put(database, "key", value, NULL), WEIR_OK);
        fixture_close(database);
        database = fixture_open("slatedb", location, options);
        assert_string_equal(fixture_get(database, "key"), value);
        fixture_close(database);
        assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    }
    fixture_remove(folder);
}

static void test_a_checkpoint_goes_to_another_place_of_the_bucket(void **state)
{
    (void)state;
    const char *copy = s3_location("copied/to");
    weir__database *database = fixture_open("slatedb", s3_location("copied/from"), NULL);
    assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    assert_int_equal(
        weir__database_backend(database)->checkpoint(weir__database_handle(database), copy, NULL),
        WEIR_OK);
    fixture_close(database);
    database = fixture_open("slatedb", copy, NULL);
    assert_string_equal(fixture_get(database, "key"), "value");
    fixture_close(database);
}

static void take_log_files(const char *name, uint64_t value, void *arg)
{
    if (strcmp(name, "log.files") == 0)
        *(uint64_t *)arg = value;
}

static uint64_t log_files(weir__database *database)
{
    uint64_t count = UINT64_MAX;
    assert_int_equal(weir__database_backend(database)->stats(weir__database_handle(database),
                                                             take_log_files, &count, NULL),
                     WEIR_OK);
    return count;
}

/* Each small checkpoint is a file of the log, and opening after a crash reads them all. */
static void test_small_checkpoints_do_not_leave_many_files_to_read(void **state)
{
    (void)state;
    static const weir_option options[] = {{"max_log_files", "4"}, {NULL, NULL}};
    weir__database *database = fixture_open("slatedb", s3_location("logs/0"), options);
    for (int i = 0; i < 12; i++)
        assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    int64_t deadline = weir__now_ms() + 20000;
    /* The table is written in the background; the file at hand is not counted among the four. */
    while (log_files(database) > 5 && weir__now_ms() < deadline)
        weir__sleep_ms(20, NULL);
    assert_true(log_files(database) <= 5);
    fixture_close(database);
}

/* -------------------------------------------------------------- readers and clones */

/* What nobody needs is removed after a second; tables are small, and merged soon. */
static const weir_option busy[] = {{"garbage_age", "1"},       {"durability", "memory"},
                                   {"memtable_size", "64KiB"}, {"manifest_poll_interval", "0.05"},
                                   {"open_max_retries", "0"},  {NULL, NULL}};

static weir__database *open_beside(const char *location)
{
    /* Not what the writer has in its cache. */
    static const weir_option apart[] = {{"block_cache_size", "64KiB"}, {NULL, NULL}};
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir__database_config config = fixture_config("slatedb", location, apart);
    config.create = false;
    config.read_only = true;
    if (weir__database_open(&config, &database, &err) != WEIR_OK)
        fail_msg("%s", err.message);
    return database;
}

static void test_looking_at_state_does_not_fence_its_writer(void **state)
{
    (void)state;
    const char *location = s3_location("looked/0");
    weir__database *writer = fixture_open("slatedb", location, NULL);
    for (char value[] = "1"; value[0] <= '3'; value[0]++) {
        assert_int_equal(fixture_put(writer, "key", value, NULL), WEIR_OK);
        weir__database *beside = open_beside(location);
        assert_string_equal(fixture_get(beside, "key"), value);
        assert_int_equal(fixture_put(writer, "key", "later", NULL), WEIR_OK);
        assert_string_equal(fixture_get(beside, "key"), value);
        fixture_close(beside);
    }
    fixture_close(writer);
}

#define KEYS 200

/* Each value is "WORD" and as many bytes that a few hundred fill a memtable. */
static void fill(weir__database *database, char word)
{
    char key[16];
    char value[1024];
    memset(value, word, sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key %d", i);
        weir_backend_cf *cf;
        const weir_backend *backend = weir__database_backend(database);
        weir_backend_db *db = weir__database_handle(database);
        assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
        weir_backend_op op = {.kind = WEIR_OP_PUT,
                              .cf = cf,
                              .key = weir_slice_str(key),
                              .value = weir_slice_str(value)};
        assert_int_equal(backend->write(db, &op, 1, 0, NULL), WEIR_OK);
    }
    assert_int_equal(weir__database_backend(database)->flush(weir__database_handle(database), NULL),
                     WEIR_OK);
}

static void assert_filled(weir__database *database, char word)
{
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key %d", i);
        const char *value = fixture_get(database, key);
        assert_non_null(value);
        assert_int_equal(value[0], word);
        assert_int_equal(strlen(value), 1023);
    }
}

/* The names of the tables of a database, as the server tells them. */
static size_t tables_of(const char *path, char *names, size_t size)
{
    char line[1024];
    snprintf(
        line, sizeof line,
        "python3 -c 'import re, sys, urllib.request as u; print(*re.findall(\"<Key>(.*?)</Key>\","
        " u.urlopen(sys.argv[1]).read().decode()))' "
        "\"$AWS_ENDPOINT/weir?list-type=2&prefix=%s/slatedb/compacted/\"",
        path);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t got = fread(names, 1, size - 1, pipe);
    names[got] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return got;
}

/* Changes all of it until the collector has removed tables that were there. */
static void go_on_until_tables_are_gone(weir__database *database, const char *path)
{
    static char before[65536];
    static char now[65536];
    int64_t deadline = weir__now_ms() + 40000;
    tables_of(path, before, sizeof before);
    for (char word = 'b';; word = (char)(word == 'y' ? 'b' : word + 1)) {
        fill(database, word);
        tables_of(path, now, sizeof now);
        bool is_gone = false;
        for (char *name = strtok(before, " \n"); name != NULL; name = strtok(NULL, " \n"))
            is_gone |= strstr(now, name) == NULL;
        if (is_gone)
            break;
        if (weir__now_ms() > deadline)
            fail_msg("no table of %s was removed", path);
        tables_of(path, before, sizeof before);
    }
    fill(database, 'z');
}

static void test_what_a_writer_removed_under_a_reader_is_no_damage(void **state)
{
    (void)state;
    const char *location = s3_location("removed/0");
    weir__database *writer = fixture_open("slatedb", location, busy);
    fill(writer, 'a');
    fixture_close(writer);
    weir__database *beside = open_beside(location);
    writer = fixture_open("slatedb", location, busy);
    go_on_until_tables_are_gone(writer, "removed/0");
    weir_error err;
    weir_error_init(&err);
    weir_backend_cf *cf;
    weir_backend_value value;
    const weir_backend *backend = weir__database_backend(beside);
    weir_backend_db *db = weir__database_handle(beside);
    weir_status status = backend->cf_open(db, "default", false, &cf, &err);
    for (int i = 0; status == WEIR_OK && i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %d", i);
        status = backend->get(db, cf, NULL, weir_slice_str(key), &value, &err);
        if (status == WEIR_OK)
            backend->value_release(db, &value);
    }
    print_message("%s: %s\n", weir_status_name(status), err.message);
    assert_int_equal(status, WEIR_BUSY);
    assert_tells(&err, "a writer has replaced");
    (void)weir__database_close(beside, NULL);
    beside = open_beside(location);
    assert_filled(beside, 'z');
    fixture_close(beside);
    fixture_close(writer);
}

static weir_status clone(weir__database *database, const char *location, weir_error *err)
{
    weir_error_init(err);
    return weir__database_backend(database)->control(weir__database_handle(database), "clone",
                                                     (char *)(uintptr_t)location, err);
}

static void test_a_clone_stays_right_when_its_source_goes_on(void **state)
{
    (void)state;
    const char *location = s3_location("source/0");
    const char *copy = s3_location("clone/0");
    static char names[65536];
    weir_error err;
    weir__database *database = fixture_open("slatedb", location, busy);
    fill(database, 'a');
    assert_int_equal(fixture_put(database, "last", "in the log", NULL), WEIR_OK);
    assert_int_equal(clone(database, copy, &err), WEIR_OK);
    tables_of("clone/0", names, sizeof names);
    assert_null(strstr(names, "clone/0")); /* it has none of its own */
    assert_int_equal(clone(database, copy, &err), WEIR_INVALID);
    assert_tells(&err, "a database already");
    assert_int_equal(clone(database, "s3://other/0", &err), WEIR_INVALID);
    assert_tells(&err, "the same bucket");
    go_on_until_tables_are_gone(database, "source/0");
    /* As long as the clone has no other tables, these can't go. */
    weir__database_config config = fixture_config("slatedb", location, busy);
    assert_int_equal(weir__database_destroy(&config, &err), WEIR_BUSY);
    assert_tells(&err, "clone");
    weir__database *other = fixture_open("slatedb", copy, busy);
    assert_filled(other, 'a');
    assert_string_equal(fixture_get(other, "last"), "in the log");
    assert_filled(database, 'z');
    fixture_close(database);
    fill(other, 'c');
    assert_filled(other, 'c');
    fixture_close(other);
    database = fixture_open("slatedb", location, busy);
    assert_filled(database, 'z');
    fixture_close(database);
    weir__database_config of_clone = fixture_config("slatedb", copy, busy);
    assert_int_equal(weir__database_destroy(&of_clone, NULL), WEIR_OK);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
}

/* As `weir state` does beside a running application. */
static void test_a_reader_makes_a_clone_of_what_is_stored(void **state)
{
    (void)state;
    weir_error err;
    const char *location = s3_location("running/0");
    weir__database *writer = fixture_open("slatedb", location, NULL);
    assert_int_equal(fixture_put(writer, "key", "1", NULL), WEIR_OK);
    weir__database *beside = open_beside(location);
    assert_int_equal(clone(beside, s3_location("running-clone/0"), &err), WEIR_OK);
    fixture_close(beside);
    assert_int_equal(fixture_put(writer, "key", "2", NULL), WEIR_OK);
    weir__database *copy = fixture_open("slatedb", s3_location("running-clone/0"), NULL);
    assert_string_equal(fixture_get(copy, "key"), "1");
    fixture_close(copy);
    fixture_close(writer);
}

/* -------------------------------------------------------------------------- fencing */

static void test_a_newer_writer_fences_the_older_one(void **state)
{
    (void)state;
    const char *location = s3_location("fenced/0");
    for (int round = 0; round < FENCING_ROUNDS; round++) {
        char value[32];
        weir_error err;
        weir__database *older = fixture_open("slatedb", location, NULL);
        assert_null(fixture_get(older, "after")); /* nor of the round before */
        if (round > 0)
            assert_string_equal(fixture_get(older, "by"), "newer");
        snprintf(value, sizeof value, "older %d", round);
        assert_int_equal(fixture_put(older, "before", value, NULL), WEIR_OK);
        weir__database *newer = fixture_open("slatedb", location, NULL);
        /* What it was told to be written is there; what it tries from now on is not. */
        assert_string_equal(fixture_get(newer, "before"), value);
        weir_error_init(&err);
        assert_int_equal(fixture_put(older, "after", "older", &err), WEIR_FENCED);
        assert_tells(&err, "newer writer");
        assert_int_equal(fixture_put(older, "after", "older", NULL), WEIR_FENCED);
        assert_null(fixture_get(newer, "after"));
        assert_int_equal(fixture_put(newer, "by", "newer", NULL), WEIR_OK);
        assert_int_equal(weir__database_close(older, NULL), WEIR_FENCED);
        fixture_close(newer);
    }
}

/* ------------------------------------------------------------------------ bad input */

static void test_a_bucket_that_is_not_there_is_told(void **state)
{
    (void)state;
    slatedb_assert_refused("s3://no-such-bucket/state", WEIR_INVALID, "does not exist");
}

static void test_missing_credentials_are_told(void **state)
{
    (void)state;
    char *key = slatedb_set_variable("AWS_ACCESS_KEY_ID", NULL);
    char *secret = slatedb_set_variable("AWS_SECRET_ACCESS_KEY", NULL);
    setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1", 1);
    slatedb_assert_refused(s3_location("state"), WEIR_IO, "AWS_ACCESS_KEY_ID");
    unsetenv("AWS_METADATA_ENDPOINT");
    slatedb_set_back("AWS_ACCESS_KEY_ID", key);
    slatedb_set_back("AWS_SECRET_ACCESS_KEY", secret);
}

static void test_a_server_that_is_down_at_the_start_is_told(void **state)
{
    (void)state;
    char *endpoint = slatedb_set_variable("AWS_ENDPOINT", "http://127.0.0.1:1");
    slatedb_assert_refused(s3_location("state"), WEIR_IO, "can be reached");
    slatedb_set_back("AWS_ENDPOINT", endpoint);
}

/* The last test: it takes the server away. */
static void test_a_server_that_goes_away_fails_writes_and_all_after_them(void **state)
{
    bool *has_server = *state;
    weir_error err;
    int64_t began;
    weir__database *database = fixture_open("slatedb", s3_location("away/0"), slatedb_few_retries);
    assert_int_equal(fixture_put(database, "before", "1", NULL), WEIR_OK);
    s3_stop();
    *has_server = false;
    began = weir__now_ms();
    weir_error_init(&err);
    assert_int_equal(fixture_put(database, "after", "1", &err), WEIR_IO);
    print_message("after %lld ms: %s\n", (long long)(weir__now_ms() - began), err.message);
    assert_tells(&err, "can be reached");
    /* It is in the memory of SlateDB, but must not be seen. */
    weir_backend_cf *cf;
    weir_backend_value value;
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->get(db, cf, NULL, weir_slice_str("after"), &value, NULL), WEIR_IO);
    assert_int_equal(weir__database_close(database, NULL), WEIR_IO);
    assert_true(weir__now_ms() - began < 30000);
}

int main(void)
{
    static bool has_server = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_is_there_without_anything_local),
        cmocka_unit_test(test_destroy_removes_this_state_and_no_other),
        cmocka_unit_test(test_a_disk_cache_does_not_outlive_what_it_caches),
        cmocka_unit_test(test_a_checkpoint_goes_to_another_place_of_the_bucket),
        cmocka_unit_test(test_small_checkpoints_do_not_leave_many_files_to_read),
        cmocka_unit_test(test_looking_at_state_does_not_fence_its_writer),
        cmocka_unit_test(test_what_a_writer_removed_under_a_reader_is_no_damage),
        cmocka_unit_test(test_a_clone_stays_right_when_its_source_goes_on),
        cmocka_unit_test(test_a_reader_makes_a_clone_of_what_is_stored),
        cmocka_unit_test(test_a_newer_writer_fences_the_older_one),
        cmocka_unit_test(test_a_bucket_that_is_not_there_is_told),
        cmocka_unit_test(test_missing_credentials_are_told),
        cmocka_unit_test(test_a_server_that_is_down_at_the_start_is_told),
        cmocka_unit_test_prestate(test_a_server_that_goes_away_fails_writes_and_all_after_them,
                                  &has_server),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    int code = s3_start();
    if (code != 0)
        return code;
    int failed = cmocka_run_group_tests_name("slatedb s3", tests, NULL, NULL);
    if (has_server)
        s3_stop();
    return failed;
}
