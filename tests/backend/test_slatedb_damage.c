/*
 * Damage: each file of a slatedb folder in turn has a byte flipped, is cut, or is gone. Opening
 * and reading then give what was written, or WEIR_CORRUPTED; never something else, and never less
 * without a word.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support_damage.h"
#include "support_slatedb.h"

#define FLIPS      8 /* for each file */
#define FENCE_SIZE 8 /* of a file of the log that only keeps another writer out */

/* A block cache for each open: copies of a table have the same name. */
static char cache_size[32] = "1000000";
static const weir_option options[] = {
    {"use_fsync", "false"}, {"block_cache_size", cache_size}, {NULL, NULL}};

/* SlateDB leaves objects behind that hold each other when opening fails over a damaged log. The
 * other programs, which open what is whole, look for leaks. */
WEIR_API const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* Tables of an orderly close, and a log that is still to be read: the process kills itself. */
static int make_database(const char *folder)
{
    weir__database *database = fixture_open("slatedb", folder, options);
    damage_put_some(database, 0, DAMAGE_KEYS / 2);
    fixture_close(database);
    database = fixture_open("slatedb", folder, options);
    for (int from = DAMAGE_KEYS / 2; from < DAMAGE_KEYS; from += 50) {
        damage_put_some(database, from, from + 50);
        assert_int_equal(
            weir__database_backend(database)->flush(weir__database_handle(database), NULL),
            WEIR_OK);
    }
    return kill(getpid(), SIGKILL);
}

static void use_another_cache(int copy)
{
    snprintf(cache_size, sizeof cache_size, "%d", 1000000 + copy);
}

static const damage_subject subject = {"slatedb", options, use_another_cache};

static int make_pristine(void **state)
{
    (void)state;
    return damage_make(&subject, "make") ? 0 : -1;
}

static int remove_pristine(void **state)
{
    (void)state;
    damage_remove();
    return 0;
}

static void test_an_undamaged_database_with_a_log_to_read_is_whole(void **state)
{
    (void)state;
    assert_int_equal(damage_open_and_read(damage_copy()), WEIR_OK);
}

static void test_a_flipped_bit_in_a_table_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("compacted/", FLIPS, damage_flip) > 0);
}

static void test_a_flipped_bit_in_the_log_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("wal/", FLIPS, damage_flip) > 0);
}

static void test_a_flipped_bit_in_a_manifest_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("manifest/", FLIPS, damage_flip) > 0);
}

static void test_a_flipped_bit_in_a_list_of_compactions_is_told_or_does_not_matter(void **state)
{
    (void)state;
    (void)damage_each(".compactions", FLIPS, damage_flip);
}

static void test_a_cut_file_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("slatedb/", 1, damage_cut) > 0);
}

/* The lengths that lose the seal, the number of the format, or all; and those that SlateDB takes
 * for the fence of a writer. */
static void test_a_file_that_is_cut_short_is_told_whatever_is_left(void **state)
{
    (void)state;
    static const long lengths[] = {0, 1, 2, 3, 8, 10, 12, -13, -12, -11, -1};
    for (size_t i = 0; i < damage_file_count(); i++) {
        if (strstr(damage_file(i), ".manifest") == NULL &&
            strstr(damage_file(i), ".compactions") == NULL &&
            strstr(damage_file(i), "/wal/") == NULL)
            continue;
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
            struct stat info;
            const char *folder = damage_copy();
            const char *path = fixture_path(folder, damage_file(i));
            assert_int_equal(stat(path, &info), 0);
            const long size = lengths[j] >= 0 ? lengths[j] : (long)info.st_size + lengths[j];
            if (size < 0 || size > (long)info.st_size)
                continue;
            print_message("%s cut to %ld of %ld\n", damage_file(i), size, (long)info.st_size);
            assert_int_equal(truncate(path, size), 0);
            (void)damage_open_and_read(folder);
        }
    }
}

/* CRC-32 (IEEE), as in a seal. */
static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0xEDB88320) : 0);
    }
    return ~crc;
}

/* Gives the file the next number of a format, and a seal that fits. */
static void make_newer(const char *path)
{
    static uint8_t bytes[65536];
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    assert_in_range(size, 15, sizeof bytes - 1);
    size -= 12;
    assert_memory_equal(bytes + size + 4, "weirseal", 8);
    bytes[0] = 0;
    bytes[1] = 200;
    uint32_t crc = crc32_of(bytes, size);
    for (int i = 0; i < 4; i++)
        bytes[size + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size + 12, file), size + 12);
    assert_int_equal(fclose(file), 0);
}

/* Also when it could be rebuilt. */
static void refuse_as_newer(const char *folder, const char *format)
{
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir__database_config config = fixture_config("slatedb", folder, options);
    config.can_rebuild = true;
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_VERSION);
    assert_tells(&err, "newer");
    assert_tells(&err, format);
}

static void test_a_newer_format_is_told_as_that_and_nothing_is_touched(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", damage_copy());
    for (size_t i = 0; i < damage_file_count(); i++)
        if (strstr(damage_file(i), ".manifest") != NULL)
            make_newer(fixture_path(folder, damage_file(i)));
    refuse_as_newer(folder, "format 200");
    for (size_t i = 0; i < damage_file_count(); i++)
        assert_int_equal(access(fixture_path(folder, damage_file(i)), F_OK), 0);
}

/* No checksum covers the number of a table's format, which is its last two bytes. */
static void test_a_table_of_a_newer_format_is_told_as_that(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", damage_copy());
    for (size_t i = 0; i < damage_file_count(); i++) {
        if (strstr(damage_file(i), ".sst") == NULL)
            continue;
        FILE *file = fopen(fixture_path(folder, damage_file(i)), "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, 0, SEEK_END), 0);
        if (ftell(file) > FENCE_SIZE) {
            assert_int_equal(fseek(file, -2, SEEK_END), 0);
            assert_int_equal(fwrite("\0\3", 1, 2, file), 2);
        }
        assert_int_equal(fclose(file), 0);
    }
    refuse_as_newer(folder, "format 3");
}

static void test_a_table_that_is_gone_is_told(void **state)
{
    (void)state;
    assert_true(damage_each("compacted/", 1, damage_take_away) > 0);
}

static void test_data_without_any_manifest_is_told(void **state)
{
    (void)state;
    const char *folder = damage_copy();
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s/slatedb/manifest'", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(damage_open_and_read(folder), WEIR_CORRUPTED);
}

static void test_corrupted_state_with_a_changelog_is_made_anew(void **state)
{
    (void)state;
    weir__database *database;
    const char *folder = damage_copy();
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s/slatedb/manifest'", folder);
    assert_int_equal(system(command), 0);
    weir__database_config config = fixture_config("slatedb", folder, options);
    config.can_rebuild = true;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    assert_true(weir__database_was_recreated(database));
    assert_null(fixture_get(database, "key-000000"));
    fixture_close(database);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_undamaged_database_with_a_log_to_read_is_whole),
        cmocka_unit_test(test_a_flipped_bit_in_a_table_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_flipped_bit_in_the_log_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_flipped_bit_in_a_manifest_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_flipped_bit_in_a_list_of_compactions_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_cut_file_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_file_that_is_cut_short_is_told_whatever_is_left),
        cmocka_unit_test(test_a_newer_format_is_told_as_that_and_nothing_is_touched),
        cmocka_unit_test(test_a_table_of_a_newer_format_is_told_as_that),
        cmocka_unit_test(test_a_table_that_is_gone_is_told),
        cmocka_unit_test(test_data_without_any_manifest_is_told),
        cmocka_unit_test(test_corrupted_state_with_a_changelog_is_made_anew),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    if (argc == 3)
        return make_database(argv[2]);
    damage_seed();
    return cmocka_run_group_tests_name("slatedb damage", tests, make_pristine, remove_pristine);
}
