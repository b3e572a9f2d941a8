/*
 * Every text of RocksDB that Weir tells apart, and the code it becomes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/rocksdb/internal.h"
#include "backend/support_rocksdb.h"

static void assert_status(const char *text, weir_status expected)
{
    weir_status status = weir__rocksdb_status_of(text, false);
    if (status != expected)
        print_error("%s\n", text);
    assert_int_equal(status, expected);
}

static void test_each_kind_of_status_has_its_code(void **state)
{
    (void)state;
    assert_status("NotFound: ", WEIR_NOT_FOUND);
    assert_status("Corruption: block checksum mismatch: stored = 1, computed = 2 in /s/000009.sst",
                  WEIR_CORRUPTED);
    assert_status("Not implemented: Not supported operation in read only mode.", WEIR_UNSUPPORTED);
    assert_status("Invalid argument: Column family not found", WEIR_INVALID);
    assert_status("IO error: While appending to file: /s/000010.log: Input/output error", WEIR_IO);
    assert_status("Result incomplete: Write stall", WEIR_BUSY);
    assert_status("Shutdown in progress: ", WEIR_CLOSED);
    assert_status("Operation timed out: Timeout waiting to lock key", WEIR_TIMEOUT);
    assert_status("Operation aborted: ", WEIR_ABORTED);
    assert_status("Resource busy: Deadlock", WEIR_BUSY);
    assert_status("Operation expired: ", WEIR_BUSY);
    assert_status("Operation failed. Try again.: ", WEIR_BUSY);
    assert_status("Compaction too large: ", WEIR_TOO_LARGE);
    assert_status("Column family dropped: ", WEIR_INVALID);
}

static void test_a_full_disk_is_told_from_other_io_errors(void **state)
{
    (void)state;
    assert_status("IO error: No space left on device: While appending to file: /s/000010.log: "
                  "No space left on device",
                  WEIR_NO_SPACE);
    assert_status("IO error: Space limit reached: Max allowed space was reached", WEIR_NO_SPACE);
    assert_status("IO error: While appending to file: /s/000010.sst: Disk quota exceeded",
                  WEIR_NO_SPACE);
    /* A folder may be called anything. */
    assert_status("IO error: While fsync: /No space left on device/1.log: Input/output error",
                  WEIR_IO);
}

static void test_a_lock_of_another_process_or_handle_is_locked(void **state)
{
    (void)state;
    assert_status("IO error: While lock file: /s/LOCK: Resource temporarily unavailable",
                  WEIR_LOCKED);
    assert_status("IO error: lock hold by current process, acquire time 17 acquiring thread 5: "
                  "/s/LOCK: No locks available",
                  WEIR_LOCKED);
    assert_status("IO error: While lock file: /s/LOCK: No locks available", WEIR_IO);
}

static void test_missing_rights_are_permission(void **state)
{
    (void)state;
    assert_status("IO error: While open a file for lock: /s/LOCK: Permission denied",
                  WEIR_PERMISSION);
    assert_status("IO error: While mkdir if missing: /s: Read-only file system", WEIR_PERMISSION);
    assert_status("IO error: While rename: /s/CURRENT: Operation not permitted", WEIR_PERMISSION);
}

static void test_memory_and_fencing_have_their_codes(void **state)
{
    (void)state;
    assert_status("Operation aborted: Memory limit reached: ", WEIR_NO_MEMORY);
    assert_status("IO error: While mmap file: /s/1.sst: Cannot allocate memory", WEIR_NO_MEMORY);
    assert_status("IO error: IO fenced off: /s/1.log", WEIR_FENCED);
}

static void test_files_of_a_newer_version_are_not_called_corrupted(void **state)
{
    (void)state;
    assert_status("Corruption: Unknown Footer version. Maybe this file was created with newer "
                  "version of RocksDB?",
                  WEIR_VERSION);
    assert_status("Corruption: Corrupt or unsupported format_version: 6 in file /s/1.sst",
                  WEIR_VERSION);
    assert_status("Corruption: Corrupt or unsupported format_version: 4042322160 in file /s/1.sst",
                  WEIR_CORRUPTED);
}

static void test_a_missing_file_is_damage_only_while_opening(void **state)
{
    (void)state;
    const char *text = "IO error: No such file or directory: While opening a file for "
                       "sequentially reading: /s/MANIFEST-000005: No such file or directory";
    assert_int_equal(weir__rocksdb_status_of(text, true), WEIR_CORRUPTED);
    assert_int_equal(weir__rocksdb_status_of(text, false), WEIR_IO);
}

static void test_an_unknown_text_is_an_io_error(void **state)
{
    (void)state;
    assert_status("Something that a later version says: x", WEIR_IO);
    assert_status("", WEIR_IO);
}

static void test_each_errno_has_its_code(void **state)
{
    (void)state;
    assert_int_equal(weir__rocksdb_errno_status(ENOSPC), WEIR_NO_SPACE);
    assert_int_equal(weir__rocksdb_errno_status(EDQUOT), WEIR_NO_SPACE);
    assert_int_equal(weir__rocksdb_errno_status(EACCES), WEIR_PERMISSION);
    assert_int_equal(weir__rocksdb_errno_status(EROFS), WEIR_PERMISSION);
    assert_int_equal(weir__rocksdb_errno_status(ENOMEM), WEIR_NO_MEMORY);
    assert_int_equal(weir__rocksdb_errno_status(EIO), WEIR_IO);
    assert_int_equal(weir__rocksdb_errno_status(ELOOP), WEIR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_status_has_its_code),
        cmocka_unit_test(test_a_full_disk_is_told_from_other_io_errors),
        cmocka_unit_test(test_a_lock_of_another_process_or_handle_is_locked),
        cmocka_unit_test(test_missing_rights_are_permission),
        cmocka_unit_test(test_memory_and_fencing_have_their_codes),
        cmocka_unit_test(test_files_of_a_newer_version_are_not_called_corrupted),
        cmocka_unit_test(test_a_missing_file_is_damage_only_while_opening),
        cmocka_unit_test(test_an_unknown_text_is_an_io_error),
        cmocka_unit_test(test_each_errno_has_its_code),
    };
    return cmocka_run_group_tests_name("rocksdb errors", tests, NULL, NULL);
}
