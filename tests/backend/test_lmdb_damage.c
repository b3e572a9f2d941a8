/*
 * Damage to the files of the plugin lmdb: while it is closed, when all of it is looked at before
 * LMDB sees it, and while it is open, when what can be told is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support_fixture.h"
#include "support_lmdb.h"

#define SKIPPED 77

enum { LONG_SIZE = 900 };

/* Keys alike in their first 600 bytes; every fifth of another beginning. */
static weir_slice long_key(char room[LONG_SIZE + 1], int i)
{
    memset(room, i % 5 == 0 ? 'j' : 'k', LONG_SIZE);
    int used = snprintf(room + 600, LONG_SIZE - 600, "%06d", i);
    room[600 + used] = '-';
    return weir_slice_of(room, (size_t)(610 + i * 4));
}

static weir_status try_open(const char *path, weir_error *err)
{
    weir__database *database;
    weir__database_config config = fixture_config("lmdb", path, NULL);
    weir_status status = weir__database_open(&config, &database, err);
    if (status == WEIR_OK)
        fixture_close(database);
    return status;
}

/* A database of a few hundred KiB, one value of it in pages of its own. */
static off_t fill_and_measure(const char *path)
{
    char value[20000];
    weir__database *database = fixture_open("lmdb", path, NULL);
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%04d", i);
        weir_slice bytes = weir_slice_of(value, i == 299 ? sizeof value : 700);
        assert_int_equal(lmdb_write_one(database, weir_slice_str(key), bytes, NULL), WEIR_OK);
    }
    fixture_close(database);
    struct stat file;
    assert_int_equal(stat(fixture_path(path, "data.mdb"), &file), 0);
    return file.st_size;
}

static void test_a_file_that_was_cut_short_is_corrupted_and_no_crash(void **state)
{
    lmdb_place *p = *state;
    off_t size = fill_and_measure(p->path);
    const off_t cuts[] = {size - 4096, size - 8192, size / 2, 3 * 4096, 100};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        weir_error err;
        weir_error_init(&err);
        assert_int_equal(truncate(fixture_path(p->path, "data.mdb"), cuts[i]), 0);
        weir_status status = try_open(p->path, &err);
        if (status == WEIR_OK)
            fail_msg("cut to %lld of %lld bytes: opened", (long long)cuts[i], (long long)size);
        assert_int_equal(status, WEIR_CORRUPTED);
        /* And it is not mended by having been looked at. */
        assert_int_equal(try_open(p->path, NULL), WEIR_CORRUPTED);
    }
}

/* ---------------------------------------------------------------------- damage */

enum { DAMAGED_KEYS = 900 };

/* Small values, values in pages of their own, long keys; every fifth was deleted. */
static weir_slice damaged_key(int i, char room[LONG_SIZE + 1])
{
    if (i % 30 == 7)
        return long_key(room, i / 30);
    return weir_slice_of(room, (size_t)snprintf(room, LONG_SIZE, "key-%05d", i));
}

static weir_slice damaged_value(int i, char room[6000])
{
    size_t size = i % 40 == 3 ? 5000 : 20 + (size_t)i % 60;
    memset(room, 'a' + i % 26, size);
    memcpy(room, &i, sizeof i);
    return weir_slice_of(room, size);
}

/* In many transactions, so that there are free pages. */
static void fill_to_damage(const char *path)
{
    static char keys[30][LONG_SIZE + 1];
    static char values[30][6000];
    weir_backend_op ops[30];
    weir__database *database = fixture_open("lmdb", path, NULL);
    const weir_backend *backend = weir__database_backend(database);
    for (int i = 0; i < DAMAGED_KEYS; i += 30) {
        for (int j = 0; j < 30; j++)
            ops[j] = (weir_backend_op){.kind = WEIR_OP_PUT,
                                       .cf = lmdb_default_family(database),
                                       .key = damaged_key(i + j, keys[j]),
                                       .value = damaged_value(i + j, values[j])};
        assert_int_equal(backend->write(weir__database_handle(database), ops, 30, 0, NULL),
                         WEIR_OK);
        for (int j = 0; j < 30; j++)
            ops[j].kind = WEIR_OP_DELETE;
        for (int j = 0; j < 6; j++)
            ops[j] = ops[5 * j];
        assert_int_equal(backend->write(weir__database_handle(database), ops, 6, 0, NULL), WEIR_OK);
    }
    fixture_close(database);
}

static weir_status expect_each_by_key(weir__database *database)
{
    char key[LONG_SIZE + 1];
    char value[6000];
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    assert_int_equal(backend->cf_open(db, "default", false, &cf, NULL), WEIR_OK);
    for (int i = 0; i < DAMAGED_KEYS; i++) {
        weir_backend_value found;
        weir_status status = backend->get(db, cf, NULL, damaged_key(i, key), &found, NULL);
        if (status == WEIR_CORRUPTED)
            return status;
        assert_int_equal(status, i % 5 == 0 ? WEIR_NOT_FOUND : WEIR_OK);
        if (status == WEIR_OK)
            assert_true(
                weir_slice_equal(weir_slice_of(found.data, found.size), damaged_value(i, value)));
        backend->value_release(db, &found);
    }
    return WEIR_OK;
}

static weir_status expect_all_in_a_scan(weir__database *database)
{
    char value[6000];
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice found;
    weir_status status;
    int count = 0;
    assert_int_equal(backend->iter_open(weir__database_handle(database),
                                        lmdb_default_family(database), &args, &iter, NULL),
                     WEIR_OK);
    while ((status = backend->iter_next(iter, &key, &found, NULL)) == WEIR_OK) {
        int i;
        memcpy(&i, found.data, sizeof i);
        assert_in_range(i, 0, DAMAGED_KEYS - 1);
        assert_true(weir_slice_equal(found, damaged_value(i, value)));
        count++;
    }
    backend->iter_close(iter);
    assert_true(status == WEIR_NOT_FOUND || status == WEIR_CORRUPTED);
    if (status == WEIR_NOT_FOUND)
        assert_int_equal(count, DAMAGED_KEYS - DAMAGED_KEYS / 5);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

/* WEIR_OK: everything is right; WEIR_CORRUPTED: it was told, when opening or reading. */
static weir_status open_and_expect(const char *path, const weir_option *options)
{
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir__database_config config = fixture_config("lmdb", path, options);
    weir_status status = weir__database_open(&config, &database, &err);
    if (status != WEIR_OK) {
        if (status != WEIR_CORRUPTED)
            fail_msg("%s: %s", weir_status_name(status), err.message);
        return status;
    }
    status = expect_each_by_key(database);
    if (status == WEIR_OK)
        status = expect_all_in_a_scan(database);
    (void)weir__database_close(database, NULL);
    return status;
}

/* Damages the file in turn and puts it back. Returns how often that was told. */
static int damage_often(const char *path, int times, bool cuts, unsigned *seed)
{
    int told = 0;
    const char *file = fixture_path(path, "data.mdb");
    int fd = open(file, O_RDWR);
    struct stat whole;
    assert_int_equal(fstat(fd, &whole), 0);
    size_t size = (size_t)whole.st_size;
    unsigned char *bytes = malloc(size);
    assert_int_equal(pread(fd, bytes, size, 0), (ssize_t)size);
    for (int time = 0; time < times; time++) {
        /* Every second one hits the pages at the beginning, which hold what leads to others. */
        size_t at = (size_t)rand_r(seed) % (time % 2 == 0 ? size : 3 * (size_t)4096);
        if (cuts)
            assert_int_equal(ftruncate(fd, (off_t)at), 0);
        unsigned char byte = bytes[at] ^ (unsigned char)(1u << rand_r(seed) % 8);
        if (!cuts)
            assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        if (open_and_expect(path, NULL) == WEIR_CORRUPTED)
            told++;
        assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
    }
    assert_int_equal(open_and_expect(path, NULL), WEIR_OK);
    free(bytes);
    close(fd);
    return told;
}

static unsigned damage_seed(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (WEIR_TEST_SEED sets it)\n", seed);
    return seed;
}

static void test_a_flipped_bit_is_told_or_does_not_matter(void **state)
{
    lmdb_place *p = *state;
    unsigned seed = damage_seed();
    fill_to_damage(p->path);
    assert_int_equal(open_and_expect(p->path, NULL), WEIR_OK);
    int told = damage_often(p->path, 300, false, &seed);
    print_message("%d of 300 were told\n", told);
    assert_true(told > 30);
}

static void test_a_file_cut_anywhere_is_told_or_does_not_matter(void **state)
{
    lmdb_place *p = *state;
    unsigned seed = damage_seed();
    fill_to_damage(p->path);
    int told = damage_often(p->path, 60, true, &seed);
    assert_true(told > 40);
}

static void test_a_damaged_value_is_told_when_it_is_read_if_the_file_was_not_checked(void **state)
{
    lmdb_place *p = *state;
    const weir_option unchecked[] = {{"check", "false"}, {NULL, NULL}};
    char value[6000];
    fill_to_damage(p->path);
    int fd = open(fixture_path(p->path, "data.mdb"), O_RDWR);
    struct stat whole;
    assert_int_equal(fstat(fd, &whole), 0);
    unsigned char *bytes = malloc((size_t)whole.st_size);
    assert_int_equal(pread(fd, bytes, (size_t)whole.st_size, 0), (ssize_t)whole.st_size);
    weir_slice wanted = damaged_value(43, value); /* 5000 bytes */
    const unsigned char *at = memmem(bytes, (size_t)whole.st_size, wanted.data, wanted.size);
    assert_non_null(at);
    unsigned char byte = at[2500] ^ 1;
    assert_int_equal(pwrite(fd, &byte, 1, at - bytes + 2500), 1);
    assert_int_equal(open_and_expect(p->path, unchecked), WEIR_CORRUPTED);
    assert_int_equal(open_and_expect(p->path, NULL), WEIR_CORRUPTED);
    free(bytes);
    close(fd);
}

static void test_damaged_heads_are_corrupted(void **state)
{
    lmdb_place *p = *state;
    fill_and_measure(p->path);
    int fd = open(fixture_path(p->path, "data.mdb"), O_RDWR);
    char garbage[8192];
    memset(garbage, 0x5A, sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, 0), (ssize_t)sizeof garbage);
    close(fd);
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(try_open(p->path, &err), WEIR_CORRUPTED);
    assert_tells(&err, "path=");
}

/* LMDB makes it anew when nobody else has it open. */
static void test_a_damaged_lock_file_does_not_matter(void **state)
{
    lmdb_place *p = *state;
    unsigned seed = damage_seed();
    fill_to_damage(p->path);
    const char *path = fixture_path(p->path, "lock.mdb");
    for (int time = 0; time < 20; time++) {
        struct stat file;
        int fd = open(path, O_RDWR);
        assert_int_equal(fstat(fd, &file), 0);
        if (time % 5 == 4)
            assert_int_equal(ftruncate(fd, (off_t)((size_t)rand_r(&seed) % (size_t)file.st_size)),
                             0);
        for (int i = 0; i < 8; i++) {
            unsigned char byte = (unsigned char)rand_r(&seed);
            off_t at = (off_t)((size_t)rand_r(&seed) % 200);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        close(fd);
        assert_int_equal(open_and_expect(p->path, NULL), WEIR_OK);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_and_expect(p->path, NULL), WEIR_OK);
}

/* ------------------------------------------------------------- while it is open */

enum { ENDED_WHOLE = 10, ENDED_TOLD, ENDED_LESS };

/* As expect_each_by_key, but keys may seem to be gone. */
static int read_each_by_key(weir__database *database)
{
    char key[LONG_SIZE + 1];
    char value[6000];
    int end = ENDED_WHOLE;
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    for (int i = 0; i < DAMAGED_KEYS; i++) {
        weir_backend_value found;
        weir_status status = backend->get(db, lmdb_default_family(database), NULL,
                                          damaged_key(i, key), &found, NULL);
        if (status == WEIR_CORRUPTED)
            return ENDED_TOLD;
        if (status == WEIR_NOT_FOUND) {
            end = i % 5 == 0 ? end : ENDED_LESS;
            continue;
        }
        assert_int_equal(status, WEIR_OK);
        assert_true(
            weir_slice_equal(weir_slice_of(found.data, found.size), damaged_value(i, value)));
        backend->value_release(db, &found);
    }
    return end;
}

static int read_all_in_a_scan(weir__database *database)
{
    char value[6000];
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice found;
    weir_status status;
    int count = 0;
    if (backend->iter_open(weir__database_handle(database), lmdb_default_family(database), &args,
                           &iter, NULL) != WEIR_OK)
        return ENDED_TOLD;
    while ((status = backend->iter_next(iter, &key, &found, NULL)) == WEIR_OK) {
        int i;
        memcpy(&i, found.data, sizeof i);
        assert_in_range(i, 0, DAMAGED_KEYS - 1);
        assert_true(weir_slice_equal(found, damaged_value(i, value)));
        count++;
    }
    backend->iter_close(iter);
    assert_true(status == WEIR_NOT_FOUND || status == WEIR_CORRUPTED);
    if (status == WEIR_CORRUPTED)
        return ENDED_TOLD;
    return count == DAMAGED_KEYS - DAMAGED_KEYS / 5 ? ENDED_WHOLE : ENDED_LESS;
}

/* Writes all over the tree, so that its pages are copied, and takes it back. */
static bool write_is_told(weir__database *database)
{
    static const char bytes[3000];
    weir_status status = WEIR_OK;
    for (int i = 0; i < 20 && status == WEIR_OK; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%05d-", i * 45);
        status = lmdb_write_one(database, weir_slice_str(key),
                                weir_slice_of(bytes, 100 * (size_t)i), NULL);
        weir_backend_op op = {.kind = WEIR_OP_DELETE,
                              .cf = lmdb_default_family(database),
                              .key = weir_slice_str(key)};
        if (status == WEIR_OK)
            status = weir__database_backend(database)->write(weir__database_handle(database), &op,
                                                             1, 0, NULL);
    }
    return status != WEIR_OK;
}

/* "child PATH cut|flip OFFSET BITS": opens, damages, goes on. A failed assertion is another code.
 */
static void go_on_after_damage(char **argv)
{
    const off_t at = atol(argv[3]);
    weir__database *database = fixture_open("lmdb", argv[1], NULL);
    int fd = open(fixture_path(argv[1], "data.mdb"), O_RDWR);
    unsigned char byte;
    if (strcmp(argv[2], "cut") == 0) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (unsigned char)atoi(argv[4]);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    int by_key = read_each_by_key(database);
    int scanned = read_all_in_a_scan(database);
    bool is_told = write_is_told(database) || by_key == ENDED_TOLD || scanned == ENDED_TOLD;
    (void)weir__database_close(database, NULL);
    int end = by_key == ENDED_WHOLE ? scanned : by_key;
    /* What a transaction held that could not be ended is lost: no look for leaks. */
    _exit(is_told ? ENDED_TOLD : end);
}

typedef struct outcomes {
    int whole, told, less, ended, wrong;
} outcomes;

static void damage_once(const char *path, const char *how, size_t at, unsigned bits, outcomes *of)
{
    char command[1200];
    char offset[32];
    char mask[16];
    int status;
    const char *copy = fixture_path(path, "../copy");
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", copy, path, copy);
    assert_int_equal(system(command), 0);
    snprintf(offset, sizeof offset, "%zu", at);
    snprintf(mask, sizeof mask, "%u", bits);
    pid_t child = fork();
    if (child == 0) {
        /* A signal is one, also where AddressSanitizer would make an exit code of it. */
        const char *given = getenv("ASAN_OPTIONS");
        char options[400];
        snprintf(options, sizeof options, "%s:handle_segv=0:handle_sigbus=0:handle_abort=0",
                 given ? given : "");
        setenv("ASAN_OPTIONS", options, 1);
        execl("/proc/self/exe", "child", copy, how, offset, mask, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    const bool is_wrong = code >= 0 && (code < ENDED_WHOLE || code > ENDED_LESS);
    of->whole += code == ENDED_WHOLE;
    of->told += code == ENDED_TOLD;
    of->less += code == ENDED_LESS;
    of->ended += code < 0;
    of->wrong += is_wrong;
    if (is_wrong || code < 0)
        print_message("%s at %zu of page %zu, bits %s: status %d\n", how, at % 4096, at / 4096,
                      mask, status);
}

/* WEIR_TEST_DAMAGES sets how often. */
static outcomes damage_while_open(const char *path, const char *how, int times)
{
    outcomes of = {0};
    struct stat whole;
    unsigned seed = damage_seed();
    const char *given = getenv("WEIR_TEST_DAMAGES");
    fill_to_damage(path);
    assert_int_equal(stat(fixture_path(path, "data.mdb"), &whole), 0);
    for (int time = 0; time < (given ? atoi(given) : times); time++)
        damage_once(path, how, (size_t)rand_r(&seed) % (size_t)whole.st_size,
                    1u << rand_r(&seed) % 8, &of);
    print_message("%d whole, %d told, %d less, %d ended, %d wrong\n", of.whole, of.told, of.less,
                  of.ended, of.wrong);
    return of;
}

static void test_what_is_cut_off_an_open_file_is_told(void **state)
{
    lmdb_place *p = *state;
    outcomes of = damage_while_open(p->path, "cut", 10);
    assert_int_equal(of.less + of.ended + of.wrong, 0);
    assert_true(of.told > 5);
}

/* Rarely LMDB goes astray over a page and ends the process, 1 of some 700 times: docs/lmdb.md. */
static void test_damage_to_an_open_file_gives_no_wrong_value(void **state)
{
    lmdb_place *p = *state;
    outcomes of = damage_while_open(p->path, "flip", 40);
    assert_int_equal(of.wrong, 0);
    assert_in_range(of.ended, 0, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_make_place, lmdb_remove_place)

int main(int argc, char **argv)
{
    static const char plugin[] = WEIR_PLUGIN_DIR "/libweir_lmdb.so";
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_that_was_cut_short_is_corrupted_and_no_crash),
        TEST(test_a_flipped_bit_is_told_or_does_not_matter),
        TEST(test_a_file_cut_anywhere_is_told_or_does_not_matter),
        TEST(test_a_damaged_value_is_told_when_it_is_read_if_the_file_was_not_checked),
        TEST(test_damaged_heads_are_corrupted),
        TEST(test_a_damaged_lock_file_does_not_matter),
        TEST(test_what_is_cut_off_an_open_file_is_told),
        TEST(test_damage_to_an_open_file_gives_no_wrong_value),
    };
    if (access(plugin, F_OK) != 0) {
        fprintf(stderr, "NOT TESTED: lmdb was not built (apt-get install liblmdb-dev): no %s\n",
                plugin);
        return SKIPPED;
    }
    setenv("WEIR_BACKEND_PATH", WEIR_PLUGIN_DIR, 1);
    weir_log_set_level(WEIR_LOG_ERROR);
    if (argc == 5)
        go_on_after_damage(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
