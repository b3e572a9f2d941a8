/*
 * Folders that Quix Streams 3.28.1 wrote: one store partition with the keys k0 to k99 below the
 * prefix "pre", at changelog offset 41. golden/quix_streams_wal was left by a killed process
 * and holds a write-ahead log; golden/quix_streams_sst was closed and holds files of the SST
 * format 6, which RocksDB can read since 8.6.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/rocksdb/rocksdb.h"
#include "backend/support_rocksdb.h"
#include "base/endian.h"

/* A copy of a golden folder, for opening changes it. */
static void copy_golden(char *folder, const char *name)
{
    char command[3 * PATH_MAX];
    rdb_folder_make(folder);
    (void)snprintf(command, sizeof(command), "cp %s/backend/golden/%s/* %s/", WEIR_TEST_DIR, name,
                   folder);
    assert_int_equal(system(command), 0);
}

static void check_content(rdb *database)
{
    const weir_backend *backend = weir__backend_rocksdb();
    weir_backend_value value;
    weir_backend_cf *cf = rdb_cf(database, "default");
    for (int i = 0; i < 100; i++) {
        char key[32];
        char number[16];
        (void)snprintf(key, sizeof(key), "pre|\"k%d\"", i);
        (void)snprintf(number, sizeof(number), "%d", i);
        rdb_assert_value(database, cf, key, number);
    }
    weir_backend_cf *metadata = NULL;
    assert_int_equal(
        backend->cf_open(database->db, "__metadata__", false, &metadata, &database->err), WEIR_OK);
    assert_int_equal(backend->get(database->db, metadata, NULL,
                                  weir_slice_str("__changelog_offset__"), &value, NULL),
                     WEIR_OK);
    assert_int_equal(value.size, 8);
    assert_int_equal(weir__get_be64(value.data), 41);
    backend->value_release(database->db, &value);
}

static void test_a_log_that_quix_streams_left_is_read(void **state)
{
    char folder[PATH_MAX];
    rdb database = {0};
    (void)state;
    copy_golden(folder, "quix_streams_wal");
    assert_int_equal(rdb_open(&database, folder, NULL, RDB_READ_ONLY), WEIR_OK);
    check_content(&database);
    assert_int_equal(rdb_close(&database), WEIR_OK);
    assert_int_equal(rdb_open(&database, folder, NULL, RDB_EXISTING), WEIR_OK);
    check_content(&database);
    rdb_put(&database, rdb_cf(&database, "default"), "pre|\"new\"", "1");
    assert_int_equal(rdb_close(&database), WEIR_OK);
    assert_int_equal(rdb_destroy(folder, NULL, NULL), WEIR_OK);
    assert_int_equal(rdb_count_files(folder, "", NULL), 0);
    rdb_folder_remove(folder);
}

static bool can_read_format_6(void)
{
    int major = 0;
    int minor = 0;
    assert_int_equal(sscanf(weir__backend_rocksdb()->version, "rocksdb %d.%d", &major, &minor), 2);
    return major > 8 || (major == 8 && minor >= 6);
}

static void test_files_that_quix_streams_wrote_are_read_or_clearly_refused(void **state)
{
    char folder[PATH_MAX];
    rdb database = {0};
    (void)state;
    copy_golden(folder, "quix_streams_sst");
    size_t files = rdb_count_files(folder, ".sst", NULL);
    weir_status status = rdb_open(&database, folder, NULL, RDB_EXISTING);
    if (can_read_format_6()) {
        assert_int_equal(status, WEIR_OK);
        check_content(&database);
        assert_int_equal(rdb_close(&database), WEIR_OK);
    } else {
        /* Not WEIR_CORRUPTED: nothing may be destroyed. */
        assert_int_equal(status, WEIR_VERSION);
        assert_non_null(strstr(database.err.message, "written by a newer RocksDB"));
        assert_int_equal(rdb_count_files(folder, ".sst", NULL), files);
    }
    rdb_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_log_that_quix_streams_left_is_read),
        cmocka_unit_test(test_files_that_quix_streams_wrote_are_read_or_clearly_refused),
    };
    return cmocka_run_group_tests_name("rocksdb and Quix Streams", tests, NULL, NULL);
}
