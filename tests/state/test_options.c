/*
 * Which options a store's backend gets: those of the store, of the manager, and the typed ones;
 * and what becomes of a folder that another backend wrote.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#include "base/option.h"
#include "state/options.h"
#include "state/support_matrix.h"
#include "support/plugins.h"

static int setup(void **state)
{
    *state = test_folder_new();
    unsetenv("WEIR_STATE_BACKEND");
    return 0;
}

static int teardown(void **state)
{
    test_folder_remove(*state);
    unsetenv("WEIR_STATE_BACKEND");
    return 0;
}

/* --- What a store gets --- */

typedef struct asked {
    const char *manager_spec;
    const weir_option *state_options;
    const weir_rocksdb_options *rocksdb;
    const weir_slatedb_options *slatedb;
    const char *store_spec;
    const weir_option *store_options;
} asked;

/* "spec key=value …", or the error's message. */
static const char *resolve(const asked *from)
{
    static char text[2048];
    weir_error err;
    weir__arena arena;
    weir__typed_options typed;
    weir_store_config config;
    const char *spec;
    weir_option *all;
    weir_error_init(&err);
    weir__arena_init(&arena);
    weir_store_config_init(&config);
    config.backend = from->store_spec;
    config.backend_options = from->store_options;
    assert_ok(weir__typed_options_copy(from->rocksdb, from->slatedb, &arena, &typed, &err), err);
    weir_status status = weir__store_options(from->manager_spec, from->state_options, &typed,
                                             &config, &spec, &all, &err);
    int size = snprintf(text, sizeof text, "%s", status ? err.message : spec);
    for (size_t i = 0; !status && all[i].key; i++)
        size +=
            snprintf(text + size, sizeof text - (size_t)size, " %s=%s", all[i].key, all[i].value);
    if (status)
        assert_int_equal(status, WEIR_INVALID);
    weir__option_free(all);
    weir__arena_release(&arena);
    return text;
}

static const weir_option wal_off[] = {{"wal", "off"}, {NULL, NULL}};

static void test_typed_options_become_pairs(void **state)
{
    (void)state;
    weir_rocksdb_options rocksdb;
    weir_slatedb_options slatedb;
    weir_rocksdb_options_init(&rocksdb);
    weir_slatedb_options_init(&slatedb);
    asked from = {.manager_spec = "rocksdb", .rocksdb = &rocksdb, .slatedb = &slatedb};
    assert_string_equal(resolve(&from), "rocksdb");
    rocksdb.block_cache_size = 0;
    rocksdb.use_fsync = 0;
    rocksdb.compression_type = "zstd";
    rocksdb.open_retry_backoff = 0.5;
    assert_string_equal(resolve(&from), "rocksdb block_cache_size=0 compression_type=zstd "
                                        "use_fsync=0 open_retry_backoff=0.5");
    slatedb.flush_interval = 0;
    slatedb.durability = "memory";
    from.manager_spec = "trace:slatedb";
    assert_string_equal(resolve(&from), "trace:slatedb durability=memory flush_interval=0");
}

static void test_typed_options_go_with_their_backend_whatever_chose_it(void **state)
{
    (void)state;
    weir_rocksdb_options rocksdb;
    weir_rocksdb_options_init(&rocksdb);
    rocksdb.wal = 0;
    asked from = {.manager_spec = "memory", .rocksdb = &rocksdb};
    assert_string_equal(resolve(&from), "memory");
    from.store_spec = "rocksdb";
    assert_string_equal(resolve(&from), "rocksdb wal=0");
    from.store_spec = "myrocksdb";
    assert_string_equal(resolve(&from), "myrocksdb");
    from.store_spec = "fault:trace:rocksdb";
    assert_string_equal(resolve(&from), "fault:trace:rocksdb wal=0");
}

static void test_an_option_given_both_ways_is_refused_and_both_are_named(void **state)
{
    (void)state;
    weir_rocksdb_options rocksdb;
    weir_rocksdb_options_init(&rocksdb);
    rocksdb.wal = 1;
    asked from = {.manager_spec = "rocksdb", .state_options = wal_off, .rocksdb = &rocksdb};
    assert_string_equal(resolve(&from), "option wal is given twice: 1 in rocksdb_options, off in "
                                        "state_options; leave one out");
    /* Not where the store has another backend, or options of its own. */
    from.store_spec = "memory";
    assert_string_equal(resolve(&from), "memory");
    from.store_spec = NULL;
    from.store_options = wal_off;
    assert_string_equal(resolve(&from), "rocksdb wal=off");
}

static void test_the_pairs_of_the_manager_are_for_its_own_backend(void **state)
{
    (void)state;
    asked from = {.manager_spec = "rocksdb", .state_options = wal_off};
    assert_string_equal(resolve(&from), "rocksdb wal=off");
    from.store_spec = "trace:rocksdb";
    assert_string_equal(resolve(&from), "trace:rocksdb");
    from.store_spec = "rocksdb";
    assert_string_equal(resolve(&from), "rocksdb wal=off");
}

/* Every option of the table has its member, and no member is of no option. */
static void test_the_structs_have_the_options_of_the_backends(void **state)
{
    (void)state;
    static const char *const of_all[] = {"open_max_retries", "open_retry_backoff",
                                         "on_corrupted_recreate"};
    weir_rocksdb_options rocksdb;
    weir_slatedb_options slatedb;
    weir_rocksdb_options_init(&rocksdb);
    weir_slatedb_options_init(&slatedb);
    rocksdb.write_buffer_size = rocksdb.target_file_size_base = rocksdb.max_write_buffer_number = 1;
    rocksdb.block_cache_size = rocksdb.bloom_filter_bits_per_key = 1;
    rocksdb.enable_pipelined_write = rocksdb.use_fsync = rocksdb.wal = 1;
    rocksdb.compression_type = rocksdb.wal_dir = rocksdb.db_log_dir = "x";
    rocksdb.max_total_wal_size = rocksdb.open_max_retries = 1;
    rocksdb.open_retry_backoff = 1;
    rocksdb.on_corrupted_recreate = 1;
    slatedb.durability = slatedb.disk_cache_dir = slatedb.compression = "x";
    slatedb.flush_interval = slatedb.manifest_poll_interval = slatedb.retry_timeout = 1;
    slatedb.open_timeout = slatedb.open_retry_backoff = slatedb.garbage_age = 1;
    slatedb.memtable_size = slatedb.max_unflushed = slatedb.block_cache_size = 1;
    slatedb.disk_cache_size = slatedb.min_filter_keys = slatedb.max_retries = 1;
    slatedb.max_log_files = 1;
    slatedb.open_max_retries = 1;
    slatedb.use_fsync = slatedb.on_corrupted_recreate = 1;
    static const char *const names[] = {"rocksdb", "slatedb"};
    for (int i = 0; i < 2; i++) {
        const weir_backend *backend;
        size_t count = sizeof of_all / sizeof of_all[0];
        if (weir_backend_find(names[i], &backend, NULL) != WEIR_OK)
            continue; /* not built: it says so elsewhere */
        asked from = {.manager_spec = names[i], .rocksdb = &rocksdb, .slatedb = &slatedb};
        char text[2048];
        snprintf(text, sizeof text, "%s", resolve(&from));
        for (const weir_option_spec *row = backend->options; row->name; row++, count++) {
            char part[80];
            snprintf(part, sizeof part, " %s=", row->name);
            if (!strstr(text, part))
                fail_msg("%s_options has no %s", names[i], row->name);
        }
        size_t pairs = 0;
        for (const char *at = text; (at = strchr(at, '=')) != NULL; at++)
            pairs++;
        assert_int_equal(pairs, count);
    }
}

static void test_a_struct_of_an_older_header_gives_what_it_has(void **state)
{
    (void)state;
    weir_rocksdb_options rocksdb;
    weir_rocksdb_options_init(&rocksdb);
    rocksdb.write_buffer_size = 1048576;
    rocksdb.wal = 0;
    rocksdb.struct_size = offsetof(weir_rocksdb_options, target_file_size_base);
    asked from = {.manager_spec = "rocksdb", .rocksdb = &rocksdb};
    assert_string_equal(resolve(&from), "rocksdb write_buffer_size=1048576");
}

/* --- Through a manager --- */

static weir_state_options options_for(const char *folder, const char *backend)
{
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = folder;
    options.group_id = "group";
    options.state_backend = backend;
    return options;
}

static void refuse(const weir_state_options *options, const char *part)
{
    weir_error err;
    weir_state_manager *manager = (weir_state_manager *)1;
    weir_error_init(&err);
    assert_int_equal(weir_state_manager_new(options, &manager, &err), WEIR_INVALID);
    assert_null(manager);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_bad_typed_options_are_refused_by_name(void **state)
{
    weir_rocksdb_options rocksdb;
    weir_rocksdb_options_init(&rocksdb);
    weir_state_options options = options_for(*state, "rocksdb");
    options.rocksdb_options = &rocksdb;
    rocksdb.block_cache_size = -5;
    refuse(&options, "block_cache_size");
    weir_rocksdb_options_init(&rocksdb);
    rocksdb.compression_type = "fast";
    refuse(&options, "compression_type");
    options.state_options = (const weir_option[]){{"compression_type", "lz4"}, {NULL, NULL}};
    refuse(&options, "fast in rocksdb_options, lz4 in state_options");
    options = options_for(*state, "rocksdb");
    options.on_backend_mismatch = (weir_mismatch_policy)7;
    refuse(&options, "on_backend_mismatch");
}

static void test_typed_options_reach_the_database(void **state)
{
    char logs[600];
    weir_error err;
    weir_state_manager *manager;
    weir_rocksdb_options rocksdb;
    weir_rocksdb_options_init(&rocksdb);
    snprintf(logs, sizeof logs, "%s/logs", (const char *)*state);
    rocksdb.wal_dir = logs;
    weir_state_options options = options_for(*state, NULL);
    options.rocksdb_options = &rocksdb;
    assert_ok(weir_state_manager_new(&options, &manager, &err), err);
    rocksdb.wal_dir = "/nowhere"; /* it was copied */
    weir_store_config store;
    weir_store_config_init(&store);
    assert_ok(weir_state_manager_register(manager, &store, &err), err);
    assert_ok(weir_state_manager_assign(manager, NULL, 0, &err), err);
    weir_state_manager_free(manager);
    assert_true(test_folder_exists(logs));
}

/* --- A folder of another backend --- */

/* A harness whose state was written by rocksdb, and which another backend opens now. */
static bool other_backend(harness *h, bool has_changelog)
{
    if (!test_plugin_is_built("lmdb"))
        return false;
    harness_init(h, "rocksdb", NULL);
    h->has_changelog = has_changelog;
    harness_open(h);
    harness_put(h, "a", "1", 1);
    harness_put(h, "b", "2", 2);
    harness_close(h);
    h->backend = "lmdb";
    test_log_capture();
    return true;
}

static void end(harness *h)
{
    test_log_release();
    harness_release(h);
}

static void test_state_of_another_backend_is_refused_with_the_command(void **state)
{
    (void)state;
    harness h;
    weir_error err;
    if (!other_backend(&h, true))
        skip();
    assert_int_equal(harness_try_open(&h, &err), WEIR_WRONG_BACKEND);
    assert_non_null(strstr(err.message, "weir state migrate --from 'rocksdb:"));
    assert_non_null(strstr(err.message, "' --to 'lmdb:"));
    assert_int_equal(test_log_count("store.replaced"), 0);
    h.backend = "rocksdb";
    harness_open(&h);
    assert_true(harness_holds(&h, "a", "1"));
    end(&h);
}

static void test_state_of_another_backend_is_rebuilt_from_its_changelog_when_asked(void **state)
{
    (void)state;
    harness h;
    weir_error err;
    if (!other_backend(&h, true))
        skip();
    h.on_backend_mismatch = WEIR_MISMATCH_REBUILD;
    assert_ok(harness_try_open(&h, &err), err);
    assert_int_equal(test_log_count("store.replaced"), 1);
    assert_int_equal(test_log_level("store.replaced"), WEIR_LOG_INFO);
    assert_non_null(strstr(test_log_message("store.replaced"), "written by the backend 'rocksdb'"));
    assert_int_equal(test_log_count("store.recreated"), 1);
    assert_int_equal(test_log_level("store.recreated"), WEIR_LOG_INFO);
    assert_int_equal(weir_partition_changelog_offset(h.partition), WEIR_OFFSET_NONE);
    harness_recover(&h, 3);
    assert_true(harness_holds(&h, "a", "1"));
    assert_true(harness_holds(&h, "b", "2"));
    /* Nothing of RocksDB is left, and the folder is lmdb's from now on. */
    char backend[WEIR_BACKEND_NAME_SIZE];
    char path[600];
    snprintf(path, sizeof path, "%s", weir_partition_path(h.partition));
    harness_close(&h);
    assert_ok(weir_database_identify(path, backend, &err), err);
    assert_string_equal(backend, "lmdb");
    size_t files = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL; files++)
        assert_true(strncmp(entry->d_name, "weir.", 5) == 0 || entry->d_name[0] == '.' ||
                    strncmp(entry->d_name, "data", 4) == 0 ||
                    strncmp(entry->d_name, "lock", 4) == 0);
    closedir(dir);
    assert_true(files > 3);
    end(&h);
}

static void test_state_without_changelog_is_never_replaced(void **state)
{
    (void)state;
    harness h;
    weir_error err;
    if (!other_backend(&h, false))
        skip();
    h.on_backend_mismatch = WEIR_MISMATCH_REBUILD;
    assert_int_equal(harness_try_open(&h, &err), WEIR_WRONG_BACKEND);
    h.backend = "rocksdb";
    harness_open(&h);
    assert_true(harness_holds(&h, "b", "2"));
    end(&h);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_typed_options_become_pairs),
        TEST(test_typed_options_go_with_their_backend_whatever_chose_it),
        TEST(test_an_option_given_both_ways_is_refused_and_both_are_named),
        TEST(test_the_pairs_of_the_manager_are_for_its_own_backend),
        TEST(test_the_structs_have_the_options_of_the_backends),
        TEST(test_a_struct_of_an_older_header_gives_what_it_has),
        TEST(test_bad_typed_options_are_refused_by_name),
        TEST(test_typed_options_reach_the_database),
        TEST(test_state_of_another_backend_is_refused_with_the_command),
        TEST(test_state_of_another_backend_is_rebuilt_from_its_changelog_when_asked),
        TEST(test_state_without_changelog_is_never_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
