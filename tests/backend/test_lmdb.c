/*
 * What is special about the plugin lmdb: its map that grows, keys longer than LMDB takes, its
 * files, and what it says to damage. What every backend must show is in the conformance kit,
 * which tests/tools/test_kit.sh runs on it; here it runs through the host and its decorators.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support_fixture.h"

#define SKIPPED 77

typedef struct place {
    char *folder;
    const char *path; /* of the database, below */
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);
    p->folder = fixture_folder();
    p->path = strdup(fixture_path(p->folder, "db"));
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    fixture_remove(p->folder);
    free((char *)(uintptr_t)p->path);
    free(p);
    return 0;
}

static const weir_option small_map[] = {{"map_size", "1MiB"}, {NULL, NULL}};

static weir_backend_cf *default_family(weir__database *database)
{
    weir_backend_cf *cf;
    assert_int_equal(weir__database_backend(database)->cf_open(
                         weir__database_handle(database), WEIR_BACKEND_DEFAULT_CF, true, &cf, NULL),
                     WEIR_OK);
    return cf;
}

static weir_status write_one(weir__database *database, weir_slice key, weir_slice value,
                             weir_error *err)
{
    weir_backend_op op = {
        .kind = WEIR_OP_PUT, .cf = default_family(database), .key = key, .value = value};
    return weir__database_backend(database)->write(weir__database_handle(database), &op, 1, 0, err);
}

static uint64_t figure_value;
static const char *figure_name;

static void catch_figure(const char *name, uint64_t value, void *arg)
{
    (void)arg;
    if (strcmp(name, figure_name) == 0)
        figure_value = value;
}

static uint64_t figure(weir__database *database, const char *name)
{
    figure_name = name;
    figure_value = 0;
    assert_int_equal(weir__database_backend(database)->stats(weir__database_handle(database),
                                                             catch_figure, NULL, NULL),
                     WEIR_OK);
    return figure_value;
}

/* --------------------------------------------------------------------- the map */

static void test_a_full_map_grows_and_the_batch_goes_in(void **state)
{
    place *p = *state;
    weir__database *database = fixture_open("lmdb", p->path, small_map);
    assert_int_equal(figure(database, "bytes.map"), 1 << 20);
    /* One batch that is larger than the map. */
    char *large = malloc((size_t)5 << 20);
    memset(large, 'x', (size_t)5 << 20);
    weir_slice value = weir_slice_of(large, (size_t)5 << 20);
    assert_int_equal(write_one(database, weir_slice_str("large"), value, NULL), WEIR_OK);
    assert_true(figure(database, "bytes.map") >= (uint64_t)6 << 20);
    fixture_close(database);
    /* The option is smaller than the file now: what is there is read all the same. */
    database = fixture_open("lmdb", p->path, small_map);
    weir_backend_value found;
    assert_int_equal(weir__database_backend(database)->get(weir__database_handle(database),
                                                           default_family(database), NULL,
                                                           weir_slice_str("large"), &found, NULL),
                     WEIR_OK);
    assert_true(weir_slice_equal(weir_slice_of(found.data, found.size), value));
    weir__database_backend(database)->value_release(weir__database_handle(database), &found);
    assert_int_equal(fixture_put(database, "after", "1", NULL), WEIR_OK);
    fixture_close(database);
    free(large);
}

static void test_a_full_map_says_busy_while_an_iterator_is_open(void **state)
{
    place *p = *state;
    weir_error err;
    weir_error_init(&err);
    weir__database *database = fixture_open("lmdb", p->path, small_map);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(fixture_put(database, "a", "1", NULL), WEIR_OK);
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_backend_iter *iter;
    assert_int_equal(backend->iter_open(db, default_family(database), &args, &iter, NULL), WEIR_OK);
    char *large = calloc(1, (size_t)2 << 20);
    weir_slice value = weir_slice_of(large, (size_t)2 << 20);
    assert_int_equal(write_one(database, weir_slice_str("large"), value, &err), WEIR_BUSY);
    assert_tells(&err, "map_size");
    assert_null(fixture_get(database, "large"));
    /* The iterator is as it was, and once it is closed the same batch goes in. */
    weir_slice key;
    weir_slice seen;
    assert_int_equal(backend->iter_next(iter, &key, &seen, NULL), WEIR_OK);
    assert_true(weir_slice_equal(seen, weir_slice_str("1")));
    backend->iter_close(iter);
    assert_int_equal(write_one(database, weir_slice_str("large"), value, &err), WEIR_OK);
    fixture_close(database);
    free(large);
}

/* ------------------------------------------------------------------- long keys */

enum { LONG_KEYS = 60, LONG_SIZE = 900 };

/* Keys alike in their first 600 bytes; every fifth of another beginning. */
static weir_slice long_key(char room[LONG_SIZE + 1], int i)
{
    memset(room, i % 5 == 0 ? 'j' : 'k', LONG_SIZE);
    int used = snprintf(room + 600, LONG_SIZE - 600, "%06d", i);
    room[600 + used] = '-';
    return weir_slice_of(room, (size_t)(610 + i * 4));
}

static void expect_long_keys(weir__database *database, bool reverse, int step)
{
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_iter_args args = {.struct_size = sizeof args, .reverse = reverse};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    int seen = 0;
    char last[LONG_SIZE + 1] = "";
    size_t last_size = 0;
    assert_int_equal(backend->iter_open(weir__database_handle(database), default_family(database),
                                        &args, &iter, NULL),
                     WEIR_OK);
    while (backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
        char room[LONG_SIZE + 1];
        int i;
        memcpy(&i, value.data, sizeof i);
        assert_int_equal(i % step, 0);
        assert_true(weir_slice_equal(key, long_key(room, i)));
        int order = weir_slice_compare(key, weir_slice_of(last, last_size));
        assert_true(seen == 0 || (reverse ? order < 0 : order > 0));
        memcpy(last, key.data, key.size);
        last_size = key.size;
        seen++;
    }
    backend->iter_close(iter);
    assert_int_equal(seen, (LONG_KEYS + step - 1) / step);
}

static void test_long_keys_that_begin_alike_are_kept_apart_and_in_order(void **state)
{
    place *p = *state;
    weir__database *database = fixture_open("lmdb", p->path, NULL);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    char room[LONG_SIZE + 1];
    for (int n = 0; n < LONG_KEYS; n++) {
        int i = n * 7 % LONG_KEYS;
        assert_int_equal(write_one(database, long_key(room, i), weir_slice_of(&i, sizeof i), NULL),
                         WEIR_OK);
    }
    expect_long_keys(database, false, 1);
    expect_long_keys(database, true, 1);
    /* All odd ones go, in one batch, and the file is opened anew. */
    weir_backend_op ops[LONG_KEYS / 2];
    char rooms[LONG_KEYS / 2][LONG_SIZE + 1];
    for (int i = 0; i < LONG_KEYS / 2; i++)
        ops[i] = (weir_backend_op){.kind = WEIR_OP_DELETE,
                                   .cf = default_family(database),
                                   .key = long_key(rooms[i], 2 * i + 1)};
    assert_int_equal(backend->write(db, ops, LONG_KEYS / 2, 0, NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("lmdb", p->path, NULL);
    expect_long_keys(database, false, 2);
    expect_long_keys(database, true, 2);
    fixture_close(database);
}

/* ----------------------------------------------------------------------- files */

static void test_destroy_keeps_what_is_not_of_lmdb(void **state)
{
    place *p = *state;
    fixture_close(fixture_open("lmdb", p->path, NULL));
    fixture_write(p->path, "notes.txt", "mine");
    const weir_backend *backend;
    assert_int_equal(weir_backend_find("lmdb", &backend, NULL), WEIR_OK);
    weir__database_config config = fixture_config("lmdb", p->path, NULL);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    assert_string_equal(fixture_read(p->path, "notes.txt"), "mine");
    assert_int_equal(access(fixture_path(p->path, "data.mdb"), F_OK), -1);
    assert_int_equal(access(fixture_path(p->path, "lock.mdb"), F_OK), -1);
}

static void test_reading_only_changes_no_file(void **state)
{
    place *p = *state;
    weir__database *database = fixture_open("lmdb", p->path, NULL);
    assert_int_equal(fixture_put(database, "a", "1", NULL), WEIR_OK);
    fixture_close(database);
    assert_int_equal(unlink(fixture_path(p->path, "lock.mdb")), 0);
    struct stat before;
    struct stat after;
    assert_int_equal(stat(fixture_path(p->path, "data.mdb"), &before), 0);
    weir__database_config config = fixture_config("lmdb", p->path, NULL);
    config.read_only = true;
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    assert_string_equal(fixture_get(database, "a"), "1");
    assert_int_equal(fixture_put(database, "b", "2", NULL), WEIR_UNSUPPORTED);
    fixture_close(database);
    assert_int_equal(access(fixture_path(p->path, "lock.mdb"), F_OK), -1);
    assert_int_equal(stat(fixture_path(p->path, "data.mdb"), &after), 0);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_size == after.st_size);
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
        assert_int_equal(write_one(database, weir_slice_str(key), bytes, NULL), WEIR_OK);
    }
    fixture_close(database);
    struct stat file;
    assert_int_equal(stat(fixture_path(path, "data.mdb"), &file), 0);
    return file.st_size;
}

static void test_a_file_that_was_cut_short_is_corrupted_and_no_crash(void **state)
{
    place *p = *state;
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
                                       .cf = default_family(database),
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
    assert_int_equal(backend->iter_open(weir__database_handle(database), default_family(database),
                                        &args, &iter, NULL),
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
    place *p = *state;
    unsigned seed = damage_seed();
    fill_to_damage(p->path);
    assert_int_equal(open_and_expect(p->path, NULL), WEIR_OK);
    int told = damage_often(p->path, 300, false, &seed);
    print_message("%d of 300 were told\n", told);
    assert_true(told > 30);
}

static void test_a_file_cut_anywhere_is_told_or_does_not_matter(void **state)
{
    place *p = *state;
    unsigned seed = damage_seed();
    fill_to_damage(p->path);
    int told = damage_often(p->path, 60, true, &seed);
    assert_true(told > 40);
}

static void test_a_damaged_value_is_told_when_it_is_read_if_the_file_was_not_checked(void **state)
{
    place *p = *state;
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
    place *p = *state;
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

static void test_options_out_of_range_are_refused_with_the_known_ones(void **state)
{
    place *p = *state;
    const struct {
        weir_option pair;
        const char *tells;
    } bad[] = {
        {{"map_size", "10"}, "map_size"},
        {{"max_families", "0"}, "max_families"},
        {{"read_ahead", "perhaps"}, "read_ahead"},
        {{"block_cache", "1"}, "max_readers"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        weir_option options[] = {bad[i].pair, {NULL, NULL}};
        weir__database_config config = fixture_config("lmdb", p->path, options);
        weir__database *database;
        weir_error err;
        weir_error_init(&err);
        assert_int_equal(weir__database_open(&config, &database, &err), WEIR_INVALID);
        assert_tells(&err, bad[i].tells);
    }
}

static void test_more_families_than_allowed_are_refused_with_the_option_to_raise(void **state)
{
    place *p = *state;
    const weir_option options[] = {{"max_families", "3"}, {NULL, NULL}};
    weir__database *database = fixture_open("lmdb", p->path, options);
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_cf *cf;
    weir_error err;
    weir_error_init(&err);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(backend->cf_open(db, "one", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->cf_open(db, "two", true, &cf, NULL), WEIR_OK);
    assert_int_equal(backend->cf_open(db, "three", true, &cf, &err), WEIR_TOO_LARGE);
    assert_tells(&err, "max_families");
    assert_null(cf);
    fixture_close(database);
}

/* ------------------------------------------------------------ through the host */

static void run_all_checks(const char *spec, const char *folder);

static const char *reopened_spec;
static char reopened_path[512];
static weir__database *current;

static weir_status reopen(conformance *c)
{
    fixture_close(current);
    current = fixture_open(reopened_spec, reopened_path, NULL);
    c->backend = weir__database_backend(current);
    c->db = weir__database_handle(current);
    return WEIR_OK;
}

static void run_all_checks(const char *spec, const char *folder)
{
    reopened_spec = spec;
    for (size_t i = 0; i < kit_check_count(); i++) {
        char name[32];
        snprintf(name, sizeof name, "db%zu", i);
        snprintf(reopened_path, sizeof reopened_path, "%s", fixture_path(folder, name));
        current = fixture_open(spec, reopened_path, NULL);
        conformance c = {.backend = weir__database_backend(current),
                         .db = weir__database_handle(current),
                         .reopen = reopen,
                         .seed = 42};
        bool is_right = conformance_run(kit_check_at(i), &c);
        fixture_close(current);
        if (!is_right)
            fail_msg("%s: %s: %s", spec, kit_check_at(i)->name, c.failure);
    }
}

static void test_the_host_runs_all_checks_on_it(void **state)
{
    run_all_checks("lmdb", ((place *)*state)->folder);
}

static void test_the_host_runs_all_checks_through_decorators(void **state)
{
    run_all_checks("fault:trace:lmdb", ((place *)*state)->folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    static const char plugin[] = WEIR_PLUGIN_DIR "/libweir_lmdb.so";
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_map_grows_and_the_batch_goes_in),
        TEST(test_a_full_map_says_busy_while_an_iterator_is_open),
        TEST(test_long_keys_that_begin_alike_are_kept_apart_and_in_order),
        TEST(test_destroy_keeps_what_is_not_of_lmdb),
        TEST(test_reading_only_changes_no_file),
        TEST(test_a_file_that_was_cut_short_is_corrupted_and_no_crash),
        TEST(test_a_flipped_bit_is_told_or_does_not_matter),
        TEST(test_a_file_cut_anywhere_is_told_or_does_not_matter),
        TEST(test_a_damaged_value_is_told_when_it_is_read_if_the_file_was_not_checked),
        TEST(test_damaged_heads_are_corrupted),
        TEST(test_options_out_of_range_are_refused_with_the_known_ones),
        TEST(test_more_families_than_allowed_are_refused_with_the_option_to_raise),
        TEST(test_the_host_runs_all_checks_on_it),
        TEST(test_the_host_runs_all_checks_through_decorators),
    };
    if (access(plugin, F_OK) != 0) {
        fprintf(stderr, "NOT TESTED: lmdb was not built (apt-get install liblmdb-dev): no %s\n",
                plugin);
        return SKIPPED;
    }
    setenv("WEIR_BACKEND_PATH", WEIR_PLUGIN_DIR, 1);
    weir_log_set_level(WEIR_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
