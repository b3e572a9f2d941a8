/*
 * What the options become in RocksDB, told by the OPTIONS file that RocksDB itself writes, and
 * what a wrong one gives. Also where the folders of the options are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/rocksdb/internal.h"
#include "backend/rocksdb/rocksdb.h"
#include "backend/support_rocksdb.h"
#include "base/option.h"

typedef struct fixture {
    char root[PATH_MAX];
    char first[PATH_MAX];
    char second[PATH_MAX];
    char logs[PATH_MAX];
    rdb database;
    rdb other;
} fixture;

static int setup(void **state)
{
    fixture *self = calloc(1, sizeof(*self));
    rdb_folder_make(self->root);
    rdb_join(self->first, self->root, "0");
    rdb_join(self->second, self->root, "1");
    rdb_join(self->logs, self->root, "wal/below");
    assert_int_equal(mkdir(self->first, 0700), 0);
    assert_int_equal(mkdir(self->second, 0700), 0);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    fixture *self = *state;
    (void)rdb_close(&self->database);
    (void)rdb_close(&self->other);
    rdb_folder_remove(self->root);
    free(self);
    return 0;
}

static void open_ok(rdb *database, const char *folder, const weir_option *options)
{
    weir_status status = rdb_open(database, folder, options, RDB_CREATE);
    if (status != WEIR_OK)
        print_error("%s\n", database->err.message);
    assert_int_equal(status, WEIR_OK);
}

/* The newest OPTIONS file of a database, freed with free(). */
static char *read_options_file(const char *folder)
{
    char newest[NAME_MAX + 1] = "";
    char path[PATH_MAX];
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (strncmp(entry->d_name, "OPTIONS-", 8) == 0 && strcmp(entry->d_name, newest) > 0)
            (void)snprintf(newest, sizeof(newest), "%s", entry->d_name);
    }
    (void)closedir(dir);
    rdb_join(path, folder, newest);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_in_range(fread(text, 1, (1 << 16) - 1, file), 1, (1 << 16) - 2);
    (void)fclose(file);
    return text;
}

static void assert_lines(const char *folder, const char *const *lines)
{
    char *text = read_options_file(folder);
    for (; *lines; lines++) {
        char wanted[PATH_MAX];
        (void)snprintf(wanted, sizeof(wanted), "\n  %s\n", *lines);
        if (!strstr(text, wanted))
            print_error("not in OPTIONS: %s\n", *lines);
        assert_non_null(strstr(text, wanted));
    }
    free(text);
}

static void test_defaults_are_those_of_quix_streams(void **state)
{
    static const char *const lines[] = {
        "write_buffer_size=67108864",
        "target_file_size_base=67108864",
        "max_write_buffer_number=3",
        "enable_pipelined_write=false",
        "compression=kLZ4Compression",
        "max_total_wal_size=134217728",
        "use_fsync=true",
        "atomic_flush=false",
        NULL,
    };
    fixture *self = *state;
    open_ok(&self->database, self->first, NULL);
    assert_lines(self->first, lines);
    char *text = read_options_file(self->first);
    assert_non_null(strstr(text, "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix"));
    free(text);
    weir_option_value values[RDB_MAX_OPTIONS];
    const weir_option_spec *specs = weir__backend_rocksdb()->options;
    assert_int_equal(weir__option_parse("rocksdb", specs, NULL, values, NULL), WEIR_OK);
    assert_int_equal(values[weir__option_find(specs, "block_cache_size")].integer, 1 << 30);
    assert_int_equal(values[weir__option_find(specs, "bloom_filter_bits_per_key")].integer, 10);
    assert_null(values[weir__option_find(specs, "wal_dir")].string);
    assert_true(values[weir__option_find(specs, "wal")].boolean);
}

static void test_each_option_reaches_rocksdb(void **state)
{
    static const char *const lines[] = {
        "write_buffer_size=1048576", "target_file_size_base=2097152",
        "max_write_buffer_number=5", "enable_pipelined_write=true",
        "compression=kZSTD",         "max_total_wal_size=4194304",
        "use_fsync=false",           NULL,
    };
    fixture *self = *state;
    char info_logs[PATH_MAX];
    rdb_join(info_logs, self->root, "info/logs");
    const weir_option options[] = {
        {"write_buffer_size", "1MiB"},
        {"target_file_size_base", "2MiB"},
        {"max_write_buffer_number", "5"},
        {"enable_pipelined_write", "true"},
        {"compression_type", "zstd"},
        {"max_total_wal_size", "4m"},
        {"use_fsync", "false"},
        {"block_cache_size", "0"},
        {"bloom_filter_bits_per_key", "0"},
        {"db_log_dir", info_logs},
        {NULL, NULL},
    };
    open_ok(&self->database, self->first, options);
    assert_lines(self->first, lines);
    char *text = read_options_file(self->first);
    assert_non_null(strstr(text, "no_block_cache=true"));
    assert_non_null(strstr(text, "filter_policy=nullptr"));
    free(text);
    assert_int_equal(rdb_count_files(self->first, "LOG", NULL), 0);
    assert_int_equal(rdb_count_files(info_logs, "_LOG", NULL), 1);
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    rdb_assert_value(&self->database, rdb_cf(&self->database, "default"), "key", "value");
}

static void test_each_compression_writes_and_reads(void **state)
{
    static const struct {
        const char *name;
        const char *line;
    } types[] = {
        {"none", "compression=kNoCompression"},
        {"snappy", "compression=kSnappyCompression"},
        {"zlib", "compression=kZlibCompression"},
        {"bz2", "compression=kBZip2Compression"},
        {"lz4", "compression=kLZ4Compression"},
        {"lz4hc", "compression=kLZ4HCCompression"},
        {"zstd", "compression=kZSTD"},
    };
    fixture *self = *state;
    weir_slice none = {NULL, 0};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const weir_option options[] = {{"compression_type", types[i].name}, {NULL, NULL}};
        const char *const lines[] = {types[i].line, NULL};
        open_ok(&self->database, self->first, options);
        assert_lines(self->first, lines);
        weir_backend_cf *cf = rdb_cf(&self->database, "default");
        rdb_put(&self->database, cf, types[i].name, "a value a value a value a value");
        assert_int_equal(weir__backend_rocksdb()->compact(self->database.db, cf, none, none, NULL),
                         WEIR_OK);
        rdb_assert_value(&self->database, cf, types[i].name, "a value a value a value a value");
        assert_int_equal(rdb_close(&self->database), WEIR_OK);
    }
}

static void test_without_log_flushes_are_atomic(void **state)
{
    static const weir_option options[] = {{"wal", "off"}, {NULL, NULL}};
    static const char *const lines[] = {"atomic_flush=true", NULL};
    fixture *self = *state;
    open_ok(&self->database, self->first, options);
    assert_lines(self->first, lines);
}

static void test_values_that_exclude_each_other_are_refused(void **state)
{
    static const weir_option options[] = {
        {"wal", "off"}, {"enable_pipelined_write", "true"}, {NULL, NULL}};
    fixture *self = *state;
    assert_int_equal(rdb_open(&self->database, self->first, options, RDB_CREATE), WEIR_INVALID);
    assert_non_null(strstr(self->database.err.message, "wal=off"));
    assert_non_null(strstr(self->database.err.message, "enable_pipelined_write"));
}

static void test_unknown_options_and_wrong_values_are_named(void **state)
{
    static const struct {
        weir_option option;
        const char *told;
    } cases[] = {
        {{"write_bufer_size", "1MiB"}, "max_write_buffer_number"},
        {{"write_buffer_size", "1"}, "write_buffer_size"},
        {{"write_buffer_size", "much"}, "much"},
        {{"max_write_buffer_number", "0"}, "max_write_buffer_number"},
        {{"compression_type", "rar"}, "lz4hc"},
        {{"wal", "maybe"}, "maybe"},
        {{"bloom_filter_bits_per_key", "-1"}, "bloom_filter_bits_per_key"},
    };
    weir_option_value values[RDB_MAX_OPTIONS];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        weir_error err;
        weir_error_init(&err);
        const weir_option options[] = {cases[i].option, {NULL, NULL}};
        assert_int_equal(weir__option_parse("backend rocksdb", weir__backend_rocksdb()->options,
                                            options, values, &err),
                         WEIR_INVALID);
        assert_non_null(strstr(err.message, cases[i].told));
    }
}

static void test_databases_of_one_capacity_share_a_block_cache(void **state)
{
    static const weir_option small[] = {{"block_cache_size", "8MiB"}, {NULL, NULL}};
    static const weir_option large[] = {{"block_cache_size", "16MiB"}, {NULL, NULL}};
    fixture *self = *state;
    open_ok(&self->database, self->first, small);
    open_ok(&self->other, self->second, small);
    assert_ptr_equal(self->database.db->cache, self->other.db->cache);
    assert_int_equal(rdb_close(&self->other), WEIR_OK);
    open_ok(&self->other, self->second, large);
    assert_ptr_not_equal(self->database.db->cache, self->other.db->cache);
}

/* ------------------------------------------------------------------------- */

static const char *wal_folder(const rdb *database)
{
    assert_non_null(database->db->wal_folder);
    return database->db->wal_folder;
}

static void test_logs_of_two_partitions_do_not_mix(void **state)
{
    fixture *self = *state;
    const weir_option options[] = {{"wal_dir", self->logs}, {NULL, NULL}};
    char first_folder[PATH_MAX];
    open_ok(&self->database, self->first, options);
    open_ok(&self->other, self->second, options);
    (void)snprintf(first_folder, sizeof(first_folder), "%s", wal_folder(&self->database));
    assert_string_not_equal(first_folder, wal_folder(&self->other));
    assert_int_equal(rdb_count_files(self->logs, "", NULL), 2);
    assert_int_equal(rdb_count_files(self->first, ".log", NULL), 0);
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "first");
    rdb_put(&self->other, rdb_cf(&self->other, "default"), "key", "second");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(rdb_close(&self->other), WEIR_OK);
    open_ok(&self->database, self->first, options);
    open_ok(&self->other, self->second, options);
    assert_string_equal(first_folder, wal_folder(&self->database));
    rdb_assert_value(&self->database, rdb_cf(&self->database, "default"), "key", "first");
    rdb_assert_value(&self->other, rdb_cf(&self->other, "default"), "key", "second");
}

static void test_read_only_finds_the_logs_by_itself(void **state)
{
    fixture *self = *state;
    const weir_option options[] = {{"wal_dir", self->logs}, {NULL, NULL}};
    open_ok(&self->database, self->first, options);
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(rdb_open(&self->database, self->first, NULL, RDB_READ_ONLY), WEIR_OK);
    rdb_assert_value(&self->database, rdb_cf(&self->database, "default"), "key", "value");
}

static void test_a_database_is_not_opened_without_its_logs(void **state)
{
    fixture *self = *state;
    char moved[PATH_MAX];
    char command[3 * PATH_MAX];
    char folder[PATH_MAX];
    const weir_option options[] = {{"wal_dir", self->logs}, {NULL, NULL}};
    open_ok(&self->database, self->first, options);
    (void)snprintf(folder, sizeof(folder), "%s", wal_folder(&self->database));
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    /* Another option, and another location. */
    assert_int_equal(rdb_open(&self->database, self->first, NULL, RDB_CREATE), WEIR_INVALID);
    assert_non_null(strstr(self->database.err.message, folder));
    rdb_join(moved, self->root, "moved");
    assert_int_equal(rename(self->first, moved), 0);
    assert_int_equal(rdb_open(&self->database, moved, options, RDB_CREATE), WEIR_INVALID);
    /* What the message says to do. */
    (void)snprintf(command, sizeof(command), "mv %s/*.log %s/", folder, moved);
    assert_int_equal(system(command), 0);
    open_ok(&self->database, moved, NULL);
    rdb_assert_value(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
}

static void test_logs_of_a_deleted_database_are_not_taken_over(void **state)
{
    fixture *self = *state;
    const weir_option options[] = {{"wal_dir", self->logs}, {NULL, NULL}};
    open_ok(&self->database, self->first, options);
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    rdb_folder_remove(self->first);
    assert_int_equal(mkdir(self->first, 0700), 0);
    open_ok(&self->database, self->first, options);
    rdb_assert_absent(&self->database, rdb_cf(&self->database, "default"), "key");
}

static void test_destroy_removes_the_logs_too(void **state)
{
    fixture *self = *state;
    const weir_option options[] = {{"wal_dir", self->logs}, {NULL, NULL}};
    open_ok(&self->database, self->first, options);
    open_ok(&self->other, self->second, options);
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    rdb_put(&self->other, rdb_cf(&self->other, "default"), "key", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(rdb_close(&self->other), WEIR_OK);
    assert_int_equal(rdb_destroy(self->first, options, &self->database.err), WEIR_OK);
    assert_int_equal(rdb_count_files(self->first, "", NULL), 0);
    assert_int_equal(rdb_count_files(self->logs, "", NULL), 1);
    open_ok(&self->other, self->second, options);
    rdb_assert_value(&self->other, rdb_cf(&self->other, "default"), "key", "value");
}

static void test_a_wal_dir_that_cant_be_made_is_named(void **state)
{
    fixture *self = *state;
    const weir_option options[] = {{"wal_dir", "/dev/null/logs"}, {NULL, NULL}};
    assert_int_equal(rdb_open(&self->database, self->first, options, RDB_CREATE), WEIR_IO);
    assert_non_null(strstr(self->database.err.message, "wal_dir"));
    assert_non_null(strstr(self->database.err.message, "/dev/null/logs"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_are_those_of_quix_streams),
        TEST(test_each_option_reaches_rocksdb),
        TEST(test_each_compression_writes_and_reads),
        TEST(test_without_log_flushes_are_atomic),
        TEST(test_values_that_exclude_each_other_are_refused),
        TEST(test_unknown_options_and_wrong_values_are_named),
        TEST(test_databases_of_one_capacity_share_a_block_cache),
        TEST(test_logs_of_two_partitions_do_not_mix),
        TEST(test_read_only_finds_the_logs_by_itself),
        TEST(test_a_database_is_not_opened_without_its_logs),
        TEST(test_logs_of_a_deleted_database_are_not_taken_over),
        TEST(test_destroy_removes_the_logs_too),
        TEST(test_a_wal_dir_that_cant_be_made_is_named),
    };
    return cmocka_run_group_tests_name("rocksdb options", tests, NULL, NULL);
}
