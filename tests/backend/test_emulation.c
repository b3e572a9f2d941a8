/*
 * Emulation, beyond what the conformance checks show on poor backends: what is said, the
 * bytes of the catalogue of column families, and what happens when things break off.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"
#include "support_poor.h"

static char *folder;
static const char *place;

static int set_up(void **state)
{
    (void)state;
    static char path[512];
    folder = fixture_folder();
    snprintf(path, sizeof path, "%s/db", folder);
    place = path;
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

static weir_backend_cf *family(weir__database *database, const char *name)
{
    weir_backend_cf *cf = NULL;
    assert_int_equal(weir__database_backend(database)->cf_open(weir__database_handle(database),
                                                               name, true, &cf, NULL),
                     WEIR_OK);
    return cf;
}

static void put_in(weir__database *database, const char *name, const char *key, const char *value)
{
    weir_backend_op op = {.kind = WEIR_OP_PUT,
                          .cf = family(database, name),
                          .key = weir_slice_str(key),
                          .value = weir_slice_str(value)};
    assert_int_equal(
        weir__database_backend(database)->write(weir__database_handle(database), &op, 1, 0, NULL),
        WEIR_OK);
}

static bool in_family(weir__database *database, const char *name, const char *key)
{
    weir_backend_value value;
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_status status =
        backend->get(db, family(database, name), NULL, weir_slice_str(key), &value, NULL);
    if (status == WEIR_OK)
        backend->value_release(db, &value);
    return status == WEIR_OK;
}

/* --------------------------------------------------------------------- what is said */

static void test_each_emulated_capability_is_said_once_when_a_store_opens(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        size_t lines;
    } cases[] = {{"memory", 0},    {"rocksdb", 0},   {"trace:memory", 0}, {"poor", 5},
                 {"poor_snap", 5}, {"poor_seek", 4}, {"trace:poor", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_log_catch();
        weir__database *database = fixture_open(cases[i].spec, place, NULL);
        assert_int_equal(fixture_log_count("store.emulation", NULL), cases[i].lines);
        assert_int_equal(fixture_log_count("store.emulation", "store=s partition=0"),
                         cases[i].lines);
        put_in(database, "a", "k", "v");
        put_in(database, "b", "k", "v");
        assert_int_equal(fixture_log_count("store.emulation", NULL), cases[i].lines);
        fixture_close(database);
    }
    fixture_log_catch();
    fixture_close(fixture_open("poor", "", NULL));
    assert_int_equal(fixture_log_count("store.emulation", "lacks column families"), 1);
    assert_int_equal(fixture_log_count("store.emulation", "lacks bounded iteration"), 1);
    assert_int_equal(fixture_log_count("store.emulation", "lacks reverse iteration"), 1);
    assert_int_equal(fixture_log_count("store.emulation", "lacks multi_get"), 1);
    assert_int_equal(fixture_log_count("store.emulation", "lacks iter_seek"), 1);
}

static void test_emulated_capabilities_are_in_the_table_of_the_database(void **state)
{
    (void)state;
    const uint64_t emulated = WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_BOUNDED_ITERATION |
                              WEIR_CAP_REVERSE_ITERATION | WEIR_CAP_ATOMIC_BATCH;
    weir__database *database = fixture_open("trace:poor", "", NULL);
    assert_int_equal(weir__database_backend(database)->capabilities, emulated);
    weir_backend_snapshot *snapshot;
    assert_int_equal(weir__database_backend(database)->snapshot_open(
                         weir__database_handle(database), &snapshot, NULL),
                     WEIR_UNSUPPORTED);
    assert_null(snapshot);
    fixture_close(database);
}

/* --------------------------------------------------------------------- the bytes */

/* The raw content of the folder, seen by RocksDB itself: "key=value\n" in hexadecimal. */
static const char *raw_content(void)
{
    static char text[4096];
    size_t used = 0;
    char *json = strdup(fixture_read(place, "weir.json"));
    /* Whose folder it is does not matter for this look into it. */
    fixture_write(place, "weir.json", "{\"backend\":\"rocksdb\",\"layout\":1}");
    weir__database *database = fixture_open("rocksdb", place, NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    weir_slice parts[2];
    assert_int_equal(backend->iter_open(weir__database_handle(database),
                                        family(database, WEIR_BACKEND_DEFAULT_CF), &args, &iter,
                                        NULL),
                     WEIR_OK);
    text[0] = '\0';
    while (backend->iter_next(iter, &parts[0], &parts[1], NULL) == WEIR_OK) {
        for (int part = 0; part < 2; part++) {
            for (size_t i = 0; i < parts[part].size; i++)
                used += (size_t)snprintf(text + used, sizeof text - used, "%02x",
                                         ((const uint8_t *)parts[part].data)[i]);
            used += (size_t)snprintf(text + used, sizeof text - used, part == 0 ? "=" : "\n");
        }
    }
    backend->iter_close(iter);
    fixture_close(database);
    fixture_write(place, "weir.json", json);
    free(json);
    return text;
}

static void raw_put(const char *key, size_t key_size, const char *value, size_t value_size)
{
    fixture_write(place, "weir.json", "{\"backend\":\"rocksdb\",\"layout\":1}");
    weir__database *database = fixture_open("rocksdb", place, NULL);
    weir_backend_op op = {.kind = WEIR_OP_PUT,
                          .cf = family(database, WEIR_BACKEND_DEFAULT_CF),
                          .key = weir_slice_of(key, key_size),
                          .value = weir_slice_of(value, value_size)};
    assert_int_equal(
        weir__database_backend(database)->write(weir__database_handle(database), &op, 1, 0, NULL),
        WEIR_OK);
    fixture_close(database);
    fixture_write(place, "weir.json", "{\"backend\":\"poor_disk\",\"layout\":1}");
}

static void test_bytes_of_emulated_families_are_as_documented(void **state)
{
    (void)state;
    weir__database *database = fixture_open("poor_disk", place, NULL);
    put_in(database, "default", "key", "value");
    put_in(database, "meta", "", "\x01");
    put_in(database, "gone", "x", "y");
    put_in(database, "last", "\xFF\xFF", "z");
    assert_int_equal(
        weir__database_backend(database)->cf_drop(weir__database_handle(database), "gone", NULL),
        WEIR_OK);
    fixture_close(database);
    const char *golden = "00006364656661756c74=0001\n" /* 'c' "default" → 1 */
                         "0000636c617374=0004\n"       /* 'c' "last" → 4 */
                         "0000636d657461=0002\n"       /* 'c' "meta" → 2 */
                         "000076=01\n"                 /* 'v' → version 1 */
                         "00016b6579=76616c7565\n"     /* default: key → value */
                         "0002=01\n"                   /* meta: the empty key */
                         "0004ffff=7a\n";              /* last: ff ff → z */
    assert_string_equal(raw_content(), golden);
    /* The number of a dropped family is used again. */
    database = fixture_open("poor_disk", place, NULL);
    put_in(database, "again", "k", "v");
    fixture_close(database);
    assert_non_null(strstr(raw_content(), "000063616761696e=0003\n"));
    assert_non_null(strstr(raw_content(), "00036b=76\n"));
}

static void refuse(weir_status expected, const char *part)
{
    weir__database_config config = fixture_config("poor_disk", place, NULL);
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir__database_open(&config, &database, &err), expected);
    assert_tells(&err, part);
    assert_tells(&err, place);
}

static void test_catalogue_that_can_not_be_right_is_corruption(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t key_size;
        const char *value;
        size_t value_size;
    } cases[] = {
        {"\0\0cbad", 6, "\0", 1},    {"\0\0cbad", 6, "\0\0", 2}, {"\0\0c", 3, "\0\5", 2},
        {"\0\0zbad", 6, "\0\1", 2},  {"\0\0d\0", 4, "", 0},      {"\0\0v", 3, "", 0},
        {"\0\0cb\0d", 6, "\0\1", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_close(fixture_open("poor_disk", place, NULL));
        raw_put(cases[i].key, cases[i].key_size, cases[i].value, cases[i].value_size);
        refuse(WEIR_CORRUPTED, "catalogue of column families");
        weir__database_config config = fixture_config("poor_disk", place, NULL);
        assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    }
}

static void test_newer_catalogue_and_foreign_keys_are_refused(void **state)
{
    (void)state;
    fixture_close(fixture_open("poor_disk", place, NULL));
    raw_put("\0\0v", 3, "\2", 1);
    refuse(WEIR_VERSION, "newer Weir");
    weir__database_config config = fixture_config("poor_disk", place, NULL);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    fixture_close(fixture_open("rocksdb", place, NULL));
    raw_put("someone", 7, "else", 4);
    refuse(WEIR_INVALID, "something else than Weir wrote it");
}

/* ----------------------------------------------------------------- broken off */

static const weir_backend *poor_disk;
static int64_t writes_left; /* then they fail */

static weir_status failing_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                 uint32_t flags, weir_error *err)
{
    if (writes_left-- <= 0)
        return weir_error_set(err, WEIR_IO, "no more writes");
    return poor_disk->write(db, ops, count, flags, err);
}

static weir_status list_name(const char *name, void *arg)
{
    strcat(arg, name);
    strcat(arg, " ");
    return WEIR_OK;
}

static void test_dropping_that_broke_off_is_finished_by_the_next_open(void **state)
{
    (void)state;
    static weir_backend breaking;
    assert_int_equal(weir_backend_find("poor_disk", &poor_disk, NULL), WEIR_OK);
    breaking = *poor_disk;
    breaking.name = "breaking";
    breaking.write = failing_write;
    assert_int_equal(weir_backend_register(&breaking, NULL), WEIR_OK);
    writes_left = INT64_MAX;
    weir__database *database = fixture_open("breaking", place, NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%04d", i);
        put_in(database, "large", key, "v");
    }
    put_in(database, "other", "k", "v");
    /* The mark and one batch of deletions get through. */
    writes_left = 2;
    assert_int_equal(backend->cf_drop(db, "large", NULL), WEIR_IO);
    writes_left = INT64_MAX;
    char names[128] = "";
    assert_int_equal(backend->cf_list(db, list_name, names, NULL), WEIR_OK);
    assert_null(strstr(names, "large"));
    assert_false(in_family(database, "large", "k2999"));
    fixture_close(database);

    database = fixture_open("breaking", place, NULL);
    assert_false(in_family(database, "large", "k2999"));
    assert_true(in_family(database, "other", "k"));
    fixture_close(database);
    /* Nothing of it is left in the bytes: two families, one key, the catalogue. */
    assert_null(strstr(raw_content(), "6b32393939"));
    assert_null(strstr(raw_content(), "000064"));
}

static void test_failed_write_of_the_catalogue_makes_no_family(void **state)
{
    (void)state;
    writes_left = INT64_MAX;
    weir__database *database = fixture_open("breaking", place, NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    writes_left = 0;
    assert_int_equal(backend->cf_open(db, "new", true, &cf, NULL), WEIR_IO);
    assert_null(cf);
    assert_int_equal(backend->cf_open(db, "new", false, &cf, NULL), WEIR_NOT_FOUND);
    writes_left = INT64_MAX;
    assert_int_equal(backend->cf_open(db, "new", true, &cf, NULL), WEIR_OK);
    fixture_close(database);
}

/* ------------------------------------------------------------------- iterators */

static void test_going_back_without_seek_and_snapshots_needs_an_unchanged_database(void **state)
{
    (void)state;
    weir__database *database = fixture_open("poor", "", NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf = family(database, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    weir_error err;
    put_in(database, "default", "a", "1");
    put_in(database, "default", "b", "2");
    put_in(database, "default", "c", "3");
    assert_int_equal(backend->iter_open(db, cf, &args, &iter, NULL), WEIR_OK);
    assert_int_equal(backend->iter_seek(iter, weir_slice_str("b"), NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_int_equal(backend->iter_seek(iter, weir_slice_str("a"), NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_memory_equal(key.data, "a", 1);
    put_in(database, "default", "a", "changed");
    assert_int_equal(backend->iter_seek(iter, weir_slice_str("c"), NULL), WEIR_OK);
    assert_int_equal(backend->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_memory_equal(key.data, "c", 1);
    assert_int_equal(backend->iter_seek(iter, weir_slice_str("a"), &err), WEIR_UNSUPPORTED);
    assert_tells(&err, "can't go back");
    backend->iter_close(iter);
    fixture_close(database);
}

/* What passes through the inner iterator of the table below, for a backend with seek. */
static const weir_backend *poor_seek;
static size_t items_read;

static weir_status counting_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                 weir_error *err)
{
    items_read++;
    return poor_seek->iter_next(iter, key, value, err);
}

static void test_reverse_reading_by_blocks_reads_each_item_twice_at_most(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static weir_backend counting;
    assert_int_equal(weir_backend_find("poor_seek", &poor_seek, NULL), WEIR_OK);
    counting = *poor_seek;
    counting.name = "counting";
    counting.iter_next = counting_next;
    assert_int_equal(weir_backend_register(&counting, NULL), WEIR_OK);
    weir__database *database = fixture_open("counting", "", NULL);
    const weir_backend *backend = weir__database_backend(database);
    char value[1001];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < COUNT; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%04d", i);
        put_in(database, "default", key, value);
    }
    weir_backend_iter_args args = {.struct_size = sizeof args, .reverse = true};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice item;
    items_read = 0;
    assert_int_equal(backend->iter_open(weir__database_handle(database),
                                        family(database, WEIR_BACKEND_DEFAULT_CF), &args, &iter,
                                        NULL),
                     WEIR_OK);
    assert_int_equal(items_read, 0);
    for (int i = COUNT - 1; i >= 0; i--) {
        char expected[16];
        snprintf(expected, sizeof expected, "k%04d", i);
        assert_int_equal(backend->iter_next(iter, &key, &item, NULL), WEIR_OK);
        assert_memory_equal(key.data, expected, 5);
    }
    assert_int_equal(backend->iter_next(iter, &key, &item, NULL), WEIR_NOT_FOUND);
    backend->iter_close(iter);
    /* Some 12 blocks, each read with the first item behind it. */
    assert_in_range(items_read, COUNT + COUNT / 2, 2 * COUNT + 32);
    fixture_close(database);
}

static void test_key_that_the_backend_does_not_take_with_its_prefix_is_told(void **state)
{
    (void)state;
    weir__database *database = fixture_open("poor", "", NULL);
    char *key = malloc(65535);
    weir_error err;
    assert_non_null(key);
    memset(key, 'k', 65535);
    weir_backend_op op = {.kind = WEIR_OP_PUT,
                          .cf = family(database, WEIR_BACKEND_DEFAULT_CF),
                          .key = weir_slice_of(key, 65534)};
    const weir_backend *backend = weir__database_backend(database);
    assert_int_equal(backend->write(weir__database_handle(database), &op, 1, 0, &err),
                     WEIR_TOO_LARGE);
    assert_tells(&err, "65535");
    free(key);
    fixture_close(database);
}

int main(void)
{
    poor_register();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_each_emulated_capability_is_said_once_when_a_store_opens),
        TEST(test_emulated_capabilities_are_in_the_table_of_the_database),
        TEST(test_bytes_of_emulated_families_are_as_documented),
        TEST(test_catalogue_that_can_not_be_right_is_corruption),
        TEST(test_newer_catalogue_and_foreign_keys_are_refused),
        TEST(test_dropping_that_broke_off_is_finished_by_the_next_open),
        TEST(test_failed_write_of_the_catalogue_makes_no_family),
        TEST(test_going_back_without_seek_and_snapshots_needs_an_unchanged_database),
        TEST(test_reverse_reading_by_blocks_reads_each_item_twice_at_most),
        TEST(test_key_that_the_backend_does_not_take_with_its_prefix_is_told),
    };
    return cmocka_run_group_tests_name("backend emulation", tests, NULL, NULL);
}
