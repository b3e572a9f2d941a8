/*
 * Damage: each file of a slatedb folder in turn has a byte flipped, is cut, or is gone. Opening
 * and reading then give what was written, or WEIR_CORRUPTED; never something else, and never less
 * without a word.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support_fixture.h"
#include "support_slatedb.h"

#define KEYS      400
#define FILES_MAX 64
#define FLIPS     8 /* for each file */

/* A block cache for each open: copies of a table have the same name. */
static char cache_size[32] = "1000000";
static const weir_option options[] = {
    {"use_fsync", "false"}, {"block_cache_size", cache_size}, {NULL, NULL}};

static char *root;
static unsigned seed;

/* SlateDB leaves objects behind that hold each other when opening fails over a damaged log. The
 * other programs, which open what is whole, look for leaks. */
WEIR_API const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ------------------------------------------------------------------- the database */

static void item_of(int i, char key[32], char value[128])
{
    snprintf(key, 32, "key-%06d", i);
    snprintf(value, 128, "value-%06d-%040d", i, i * 7919);
}

static void put_some(weir__database *database, int from, int to)
{
    char key[32];
    char value[128];
    for (int i = from; i < to; i++) {
        item_of(i, key, value);
        assert_int_equal(fixture_put(database, key, value, NULL), WEIR_OK);
    }
}

/* Tables of an orderly close, and a log that is still to be read: the process kills itself. */
static int make_database(const char *folder)
{
    weir__database *database = fixture_open("slatedb", folder, options);
    put_some(database, 0, KEYS / 2);
    fixture_close(database);
    database = fixture_open("slatedb", folder, options);
    for (int from = KEYS / 2; from < KEYS; from += 50) {
        put_some(database, from, from + 50);
        assert_int_equal(
            weir__database_backend(database)->flush(weir__database_handle(database), NULL),
            WEIR_OK);
    }
    return kill(getpid(), SIGKILL);
}

/* What reading all of it by key and by range says. */
static weir_status read_all(weir__database *database)
{
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice found;
    weir_status status;
    int count = 0;
    assert_int_equal(backend->cf_open(db, WEIR_BACKEND_DEFAULT_CF, false, &cf, NULL), WEIR_OK);
    for (int i = 0; i < KEYS; i++) {
        char name[32];
        char value[128];
        weir_backend_value got;
        item_of(i, name, value);
        status = backend->get(db, cf, NULL, weir_slice_str(name), &got, NULL);
        if (status == WEIR_CORRUPTED)
            return status;
        assert_int_equal(status, WEIR_OK);
        assert_true(weir_slice_equal(weir_slice_of(got.data, got.size), weir_slice_str(value)));
        backend->value_release(db, &got);
    }
    weir_backend_iter_args args = {.struct_size = sizeof args};
    status = backend->iter_open(db, cf, &args, &iter, NULL);
    while (status == WEIR_OK &&
           (status = backend->iter_next(iter, &key, &found, NULL)) == WEIR_OK) {
        char name[32];
        char value[128];
        item_of(count++, name, value);
        assert_true(weir_slice_equal(key, weir_slice_str(name)));
        assert_true(weir_slice_equal(found, weir_slice_str(value)));
    }
    backend->iter_close(iter);
    assert_true(status == WEIR_NOT_FOUND || status == WEIR_CORRUPTED);
    if (status == WEIR_NOT_FOUND)
        assert_int_equal(count, KEYS);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

/* CORRUPTED is told when opening or when reading. */
static weir_status open_and_read(const char *folder)
{
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir__database_config config = fixture_config("slatedb", folder, options);
    config.create = false;
    weir_status status = weir__database_open(&config, &database, &err);
    if (status != WEIR_OK) {
        if (status != WEIR_CORRUPTED)
            fail_msg("%s: %s", weir_status_name(status), err.message);
        return status;
    }
    status = read_all(database);
    (void)weir__database_close(database, NULL);
    return status;
}

/* ---------------------------------------------------------------------- its files */

static char *files[FILES_MAX]; /* below the folder of the database */
static size_t file_count;
static size_t prefix_size;

static int collect(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && info->st_size > 0 && file_count < FILES_MAX &&
        strstr(path, "/weir.") == NULL)
        files[file_count++] = strdup(path + prefix_size);
    return 0;
}

static int make_pristine(void **state)
{
    (void)state;
    root = fixture_folder();
    const char *folder = fixture_path(root, "pristine");
    int status;
    pid_t child = fork();
    if (child == 0) {
        /* SlateDB's threads do not survive a fork: a program of its own from the beginning. */
        execl("/proc/self/exe", "child", folder, (char *)NULL);
        _exit(1);
    }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
        return -1;
    prefix_size = strlen(folder) + 1;
    return nftw(folder, collect, 16, FTW_PHYS);
}

static int remove_pristine(void **state)
{
    (void)state;
    for (size_t i = 0; i < file_count; i++)
        free(files[i]);
    fixture_remove(root);
    return 0;
}

/* A copy of the pristine database, removed by the next call. */
static const char *copy(void)
{
    static int copies;
    char command[1024];
    snprintf(cache_size, sizeof cache_size, "%d", 1000000 + ++copies);
    snprintf(command, sizeof command, "rm -rf '%s/copy' && cp -r '%s/pristine' '%s/copy'", root,
             root, root);
    assert_int_equal(system(command), 0);
    return fixture_path(root, "copy");
}

typedef void (*damage_fn)(const char *path, size_t size);

static void flip(const char *path, size_t size)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    long at = (long)((size_t)rand_r(&seed) % size);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    fputc(byte ^ (1 << (rand_r(&seed) % 8)), file);
    assert_int_equal(fclose(file), 0);
}

static void cut(const char *path, size_t size)
{
    assert_int_equal(truncate(path, (off_t)((size_t)rand_r(&seed) % size)), 0);
}

static void take_away(const char *path, size_t size)
{
    (void)size;
    assert_int_equal(unlink(path), 0);
}

/* Damages each file whose path holds `part`, `times` times; returns how often it was told. */
static size_t damage_each(const char *part, int times, damage_fn damage)
{
    size_t told = 0;
    size_t seen = 0;
    for (size_t i = 0; i < file_count; i++) {
        if (strstr(files[i], part) == NULL)
            continue;
        for (int time = 0; time < times; time++) {
            struct stat info;
            const char *folder = copy();
            const char *path = fixture_path(folder, files[i]);
            assert_int_equal(stat(path, &info), 0);
            print_message("%s\n", files[i]);
            damage(path, (size_t)info.st_size);
            told += open_and_read(folder) == WEIR_CORRUPTED;
            seen++;
        }
    }
    print_message("%s: %zu of %zu were told\n", part, told, seen);
    assert_true(seen > 0);
    return told;
}

static void test_an_undamaged_database_with_a_log_to_read_is_whole(void **state)
{
    (void)state;
    assert_int_equal(open_and_read(copy()), WEIR_OK);
}

static void test_a_flipped_bit_in_a_table_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("compacted/", FLIPS, flip) > 0);
}

static void test_a_flipped_bit_in_the_log_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("wal/", FLIPS, flip) > 0);
}

static void test_a_flipped_bit_in_a_manifest_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("manifest/", FLIPS, flip) > 0);
}

static void test_a_cut_file_is_told_or_does_not_matter(void **state)
{
    (void)state;
    assert_true(damage_each("slatedb/", 1, cut) > 0);
}

/* The lengths that lose the seal, the number of the format, or all. */
static void test_a_cut_manifest_or_list_of_compactions_is_told_whatever_is_left(void **state)
{
    (void)state;
    static const long lengths[] = {0, 1, 2, 3, 8, 12, -13, -12, -11, -1};
    for (size_t i = 0; i < file_count; i++) {
        if (strstr(files[i], ".manifest") == NULL && strstr(files[i], ".compactions") == NULL)
            continue;
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
            struct stat info;
            const char *folder = copy();
            const char *path = fixture_path(folder, files[i]);
            assert_int_equal(stat(path, &info), 0);
            const long size = lengths[j] >= 0 ? lengths[j] : (long)info.st_size + lengths[j];
            print_message("%s cut to %ld of %ld\n", files[i], size, (long)info.st_size);
            assert_int_equal(truncate(path, size), 0);
            (void)open_and_read(folder);
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

static void test_a_newer_format_is_told_as_that_and_nothing_is_touched(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", copy());
    for (size_t i = 0; i < file_count; i++)
        if (strstr(files[i], ".manifest") != NULL)
            make_newer(fixture_path(folder, files[i]));
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir__database_config config = fixture_config("slatedb", folder, options);
    config.can_rebuild = true;
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_VERSION);
    assert_tells(&err, "newer");
    assert_tells(&err, "format 200");
    for (size_t i = 0; i < file_count; i++)
        assert_int_equal(access(fixture_path(folder, files[i]), F_OK), 0);
}

static void test_a_table_that_is_gone_is_told(void **state)
{
    (void)state;
    assert_true(damage_each("compacted/", 1, take_away) > 0);
}

static void test_data_without_any_manifest_is_told(void **state)
{
    (void)state;
    const char *folder = copy();
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s/slatedb/manifest'", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(open_and_read(folder), WEIR_CORRUPTED);
}

static void test_corrupted_state_with_a_changelog_is_made_anew(void **state)
{
    (void)state;
    weir__database *database;
    const char *folder = copy();
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
        cmocka_unit_test(test_a_cut_file_is_told_or_does_not_matter),
        cmocka_unit_test(test_a_cut_manifest_or_list_of_compactions_is_told_whatever_is_left),
        cmocka_unit_test(test_a_newer_format_is_told_as_that_and_nothing_is_touched),
        cmocka_unit_test(test_a_table_that_is_gone_is_told),
        cmocka_unit_test(test_data_without_any_manifest_is_told),
        cmocka_unit_test(test_corrupted_state_with_a_changelog_is_made_anew),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    if (argc == 2)
        return make_database(argv[1]);
    const char *given = getenv("WEIR_TEST_SEED");
    seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (WEIR_TEST_SEED sets it)\n", seed);
    return cmocka_run_group_tests_name("slatedb damage", tests, make_pristine, remove_pristine);
}
