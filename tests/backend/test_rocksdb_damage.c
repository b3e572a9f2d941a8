/*
 * Damage to each kind of file in the folder of a rocksdb database, one that was closed in order
 * and one whose process was killed: see support_damage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support_damage.h"

#define FLIPS       12 /* for each file */
#define CUTS        4
#define RECORDS_MAX 1000
#define TABLED      (DAMAGE_KEYS / 2) /* items in tables; those behind are in the log */

static const weir_option options[] = {{"use_fsync", "false"}, {NULL, NULL}};
static const damage_subject subject = {"rocksdb", options, NULL};

/* A table, and a log that is still to be read. */
static int make_database(const char *mode, const char *folder)
{
    weir__database *database = fixture_open("rocksdb", folder, options);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    const weir_slice none = {NULL, 0};
    weir_backend_cf *cf;
    for (int from = 0; from < TABLED; from += TABLED / 2) {
        damage_put_some(database, from, from + TABLED / 2);
        assert_int_equal(backend->cf_open(db, "default", true, &cf, NULL), WEIR_OK);
        assert_int_equal(backend->compact(db, cf, none, none, NULL), WEIR_OK);
    }
    damage_put_some(database, TABLED, DAMAGE_KEYS);
    if (strcmp(mode, "kill") == 0)
        return kill(getpid(), SIGKILL);
    fixture_close(database);
    return 0;
}

static int make_closed(void **state)
{
    (void)state;
    return damage_make(&subject, "close") ? 0 : -1;
}

static int make_killed(void **state)
{
    (void)state;
    return damage_make(&subject, "kill") ? 0 : -1;
}

static int forget(void **state)
{
    (void)state;
    damage_remove();
    return 0;
}

static void test_what_is_not_damaged_is_whole(void **state)
{
    (void)state;
    assert_int_equal(damage_open_and_read(damage_copy()), WEIR_OK);
}

static void test_a_damaged_table_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each(".sst", FLIPS, damage_flip) > 0);
    assert_true(damage_each(".sst", CUTS, damage_cut) > 0);
    assert_true(damage_each(".sst", 1, damage_take_away) > 0);
}

static void test_a_damaged_log_is_told_after_an_orderly_close(void **state)
{
    (void)state;
    assert_int_equal(damage_each(".log", FLIPS, damage_flip), FLIPS);
    assert_int_equal(damage_each(".log", CUTS, damage_cut), CUTS);
    assert_int_equal(damage_each(".log", 1, damage_take_away), 1);
}

static void test_a_damaged_manifest_is_told_after_an_orderly_close(void **state)
{
    (void)state;
    assert_int_equal(damage_each("MANIFEST-", FLIPS, damage_flip), FLIPS);
    assert_int_equal(damage_each("MANIFEST-", CUTS, damage_cut), CUTS);
    assert_int_equal(damage_each("MANIFEST-", 1, damage_take_away), 1);
}

static void test_a_damaged_current_is_told(void **state)
{
    (void)state;
    assert_int_equal(damage_each("CURRENT", FLIPS, damage_flip), FLIPS);
    assert_int_equal(damage_each("CURRENT", CUTS, damage_cut), CUTS);
    assert_int_equal(damage_each("CURRENT", 1, damage_take_away), 1);
}

static void test_a_damaged_identity_of_the_folder_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("weir.json", FLIPS, damage_flip) > FLIPS / 2);
    assert_true(damage_each("weir.json", CUTS, damage_cut) > 0);
    assert_int_equal(damage_each("weir.json", 1, damage_take_away), 0);
}

/* Nothing is read from them that could be wrong. */
static void test_damage_to_the_other_files_does_not_matter(void **state)
{
    static const char *const names[] = {"OPTIONS-", "IDENTITY", "CLOSED"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(damage_each(names[i], CUTS, damage_flip), 0);
        assert_int_equal(damage_each(names[i], 1, damage_cut), 0);
        assert_int_equal(damage_each(names[i], 1, damage_take_away), 0);
    }
}

/* Where the records of a log or manifest of one block begin. */
static size_t find_records(const uint8_t *bytes, size_t size, size_t positions[RECORDS_MAX])
{
    size_t count = 0;
    for (size_t at = 0; at + 7 <= size && count < RECORDS_MAX;
         at += 7 + (bytes[at + 4] | (size_t)bytes[at + 5] << 8))
        positions[count++] = at;
    return count;
}

/* Flips bits of the size of a record in turn: RocksDB alone may end the file there. */
static void damage_the_size_at(const char *name, uint8_t *bytes, size_t size, size_t record)
{
    for (int bit = 0; bit < 16; bit += 3) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s", damage_copy());
        uint8_t *at = bytes + record + 4 + bit / 8;
        *at ^= (uint8_t)(1u << bit % 8);
        FILE *file = fopen(fixture_path(folder, name), "w");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
        *at ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(damage_open_and_read(folder), WEIR_CORRUPTED);
    }
}

static void test_after_a_kill_a_damaged_size_of_a_record_is_told(void **state)
{
    static uint8_t bytes[32768];
    static size_t positions[RECORDS_MAX];
    (void)state;
    for (size_t i = 0; i < damage_file_count(); i++) {
        const char *name = damage_file(i);
        if (strstr(name, "MANIFEST-") == NULL && strstr(name, ".log") == NULL)
            continue;
        FILE *file = fopen(fixture_path(damage_copy(), name), "r");
        assert_non_null(file);
        const size_t size = fread(bytes, 1, sizeof bytes, file);
        assert_in_range(size, 100, sizeof bytes - 1);
        fclose(file);
        const size_t count = find_records(bytes, size, positions);
        assert_in_range(count, 3, RECORDS_MAX - 1);
        damage_the_size_at(name, bytes, size, positions[0]);
        damage_the_size_at(name, bytes, size, positions[count / 2]);
        damage_the_size_at(name, bytes, size, positions[count - 2]);
    }
}

/* What a writer that was killed left of its last record is no damage, and a cut looks like it. */
static void test_after_a_kill_a_damaged_log_is_told_or_ends_early(void **state)
{
    (void)state;
    damage_may_miss(TABLED);
    assert_true(damage_each(".log", FLIPS, damage_flip) > 0);
    (void)damage_each(".log", CUTS, damage_cut);
}

static void test_after_a_kill_damage_elsewhere_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each(".sst", FLIPS, damage_flip) > 0);
    assert_int_equal(damage_each("CURRENT", FLIPS, damage_flip), FLIPS);
    assert_int_equal(damage_each("weir.lock", FLIPS, damage_flip), 0);
}

/* As Quix Streams does, which knows nothing of the note. */
static void test_a_note_of_another_manifest_counts_for_nothing(void **state)
{
    char command[1200];
    char folder[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", damage_copy());
    snprintf(command, sizeof command, "cp '%s/CLOSED' '%s.note'", folder, folder);
    assert_int_equal(system(command), 0);
    weir__database *database = fixture_open("rocksdb", folder, options);
    assert_int_equal(access(fixture_path(folder, "CLOSED"), F_OK), -1);
    fixture_close(database);
    assert_int_equal(access(fixture_path(folder, "CLOSED"), F_OK), 0);
    snprintf(command, sizeof command, "mv '%s.note' '%s/CLOSED'", folder, folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(damage_open_and_read(folder), WEIR_OK);
}

static void test_a_file_that_differs_is_named_and_reading_alone_tells_it_too(void **state)
{
    char folder[512];
    weir_error err;
    weir__database *database;
    (void)state;
    snprintf(folder, sizeof folder, "%s", damage_copy());
    for (size_t i = 0; i < damage_file_count(); i++) {
        if (strstr(damage_file(i), ".log") == NULL)
            continue;
        damage_cut(fixture_path(folder, damage_file(i)), 100);
        weir__database_config config = fixture_config("rocksdb", folder, options);
        config.read_only = true;
        weir_error_init(&err);
        assert_int_equal(weir__database_open(&config, &database, &err), WEIR_CORRUPTED);
        assert_tells(&err, damage_file(i));
        assert_tells(&err, "is not what it was when the database was closed");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest closed[] = {
        cmocka_unit_test(test_what_is_not_damaged_is_whole),
        cmocka_unit_test(test_a_damaged_table_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_damaged_log_is_told_after_an_orderly_close),
        cmocka_unit_test(test_a_damaged_manifest_is_told_after_an_orderly_close),
        cmocka_unit_test(test_a_damaged_current_is_told),
        cmocka_unit_test(test_a_damaged_identity_of_the_folder_is_told_or_does_not_matter),
        cmocka_unit_test(test_damage_to_the_other_files_does_not_matter),
        cmocka_unit_test(test_a_note_of_another_manifest_counts_for_nothing),
        cmocka_unit_test(test_a_file_that_differs_is_named_and_reading_alone_tells_it_too),
    };
    const struct CMUnitTest killed[] = {
        cmocka_unit_test(test_what_is_not_damaged_is_whole),
        cmocka_unit_test(test_after_a_kill_damage_elsewhere_is_told_or_does_not_matter),
        cmocka_unit_test(test_after_a_kill_a_damaged_size_of_a_record_is_told),
        cmocka_unit_test(test_after_a_kill_a_damaged_log_is_told_or_ends_early),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (argc == 3)
        return make_database(argv[1], argv[2]);
    damage_seed();
    int failed = cmocka_run_group_tests_name("rocksdb damage, closed", closed, make_closed, forget);
    return failed +
           cmocka_run_group_tests_name("rocksdb damage, killed", killed, make_killed, forget);
}
