/*
 * See support_damage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_damage.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 64

static const damage_subject *subject;
static char *root;
static unsigned seed;
static int safe_items = DAMAGE_KEYS;

/* ------------------------------------------------------------------- the database */

static void item_of(int i, char key[32], char value[128])
{
    snprintf(key, 32, "key-%06d", i);
    snprintf(value, 128, "value-%06d-%040d", i, i * 7919);
}

void damage_put_some(weir__database *database, int from, int to)
{
    char key[32];
    char value[128];
    for (int i = from; i < to; i++) {
        item_of(i, key, value);
        assert_int_equal(fixture_put(database, key, value, NULL), WEIR_OK);
    }
}

void damage_may_miss(int safe)
{
    safe_items = safe;
}

/* VERSION: what was damaged is the number of a format. */
static bool is_told(weir_status status)
{
    return status == WEIR_CORRUPTED || status == WEIR_VERSION;
}

/* How many items there are when they are read by key. */
static weir_status read_by_key(const weir_backend *backend, weir_backend_db *db,
                               weir_backend_cf *cf, int *count)
{
    *count = DAMAGE_KEYS;
    for (int i = 0; i < DAMAGE_KEYS; i++) {
        char name[32];
        char value[128];
        weir_backend_value got;
        item_of(i, name, value);
        weir_status status = backend->get(db, cf, NULL, weir_slice_str(name), &got, NULL);
        if (is_told(status))
            return WEIR_CORRUPTED;
        if (status == WEIR_NOT_FOUND && i >= safe_items) {
            *count = *count < i ? *count : i;
            continue;
        }
        assert_int_equal(status, WEIR_OK);
        assert_in_range(i, 0, *count - 1);
        assert_true(weir_slice_equal(weir_slice_of(got.data, got.size), weir_slice_str(value)));
        backend->value_release(db, &got);
    }
    return WEIR_OK;
}

static weir_status read_by_range(const weir_backend *backend, weir_backend_db *db,
                                 weir_backend_cf *cf, int expected)
{
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice found;
    int count = 0;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_status status = backend->iter_open(db, cf, &args, &iter, NULL);
    while (status == WEIR_OK &&
           (status = backend->iter_next(iter, &key, &found, NULL)) == WEIR_OK) {
        char name[32];
        char value[128];
        item_of(count++, name, value);
        assert_true(weir_slice_equal(key, weir_slice_str(name)));
        assert_true(weir_slice_equal(found, weir_slice_str(value)));
    }
    backend->iter_close(iter);
    if (is_told(status))
        return status;
    assert_int_equal(status, WEIR_NOT_FOUND);
    assert_int_equal(count, expected);
    return WEIR_OK;
}

static weir_status read_all(weir__database *database)
{
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_backend_cf *cf;
    int count;
    assert_int_equal(backend->cf_open(db, WEIR_BACKEND_DEFAULT_CF, false, &cf, NULL), WEIR_OK);
    weir_status status = read_by_key(backend, db, cf, &count);
    return status == WEIR_OK ? read_by_range(backend, db, cf, count) : status;
}

weir_status damage_open_and_read(const char *folder)
{
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir__database_config config = fixture_config(subject->spec, folder, subject->options);
    config.create = false;
    weir_status status = weir__database_open(&config, &database, &err);
    if (status != WEIR_OK) {
        if (!is_told(status))
            fail_msg("%s: %s", weir_status_name(status), err.message);
        assert_tells(&err, folder);
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
    if (type == FTW_F && info->st_size > 0 && file_count < FILES_MAX)
        files[file_count++] = strdup(path + prefix_size);
    return 0;
}

bool damage_make(const damage_subject *of, const char *mode)
{
    damage_remove();
    subject = of;
    root = fixture_folder();
    const char *folder = fixture_path(root, "pristine");
    int status;
    pid_t child = fork();
    if (child == 0) {
        /* Threads do not survive a fork: a program of its own from the beginning. */
        execl("/proc/self/exe", "child", mode, folder, (char *)NULL);
        _exit(1);
    }
    if (waitpid(child, &status, 0) != child ||
        !(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0))
        return false;
    prefix_size = strlen(folder) + 1;
    return nftw(folder, collect, 16, FTW_PHYS) == 0;
}

void damage_remove(void)
{
    while (file_count > 0)
        free(files[--file_count]);
    fixture_remove(root);
    root = NULL;
    safe_items = DAMAGE_KEYS;
}

size_t damage_file_count(void)
{
    return file_count;
}

const char *damage_file(size_t index)
{
    return files[index];
}

const char *damage_copy(void)
{
    static int copies;
    char command[1024];
    if (subject->prepare != NULL)
        subject->prepare(++copies);
    snprintf(command, sizeof command, "rm -rf '%s/copy' && cp -r '%s/pristine' '%s/copy'", root,
             root, root);
    assert_int_equal(system(command), 0);
    return fixture_path(root, "copy");
}

/* --------------------------------------------------------------------- the damage */

void damage_flip(const char *path, size_t size)
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

void damage_cut(const char *path, size_t size)
{
    assert_int_equal(truncate(path, (off_t)((size_t)rand_r(&seed) % size)), 0);
}

void damage_take_away(const char *path, size_t size)
{
    (void)size;
    assert_int_equal(unlink(path), 0);
}

size_t damage_each(const char *part, int times, damage_fn damage)
{
    size_t told = 0;
    size_t seen = 0;
    for (size_t i = 0; i < file_count; i++) {
        if (strstr(files[i], part) == NULL)
            continue;
        for (int time = 0; time < times; time++) {
            struct stat info;
            char folder[512];
            snprintf(folder, sizeof folder, "%s", damage_copy());
            const char *path = fixture_path(folder, files[i]);
            assert_int_equal(stat(path, &info), 0);
            print_message("%s\n", files[i]);
            damage(path, (size_t)info.st_size);
            told += damage_open_and_read(folder) == WEIR_CORRUPTED;
            seen++;
        }
    }
    print_message("%s: %zu of %zu were told\n", part, told, seen);
    assert_true(seen > 0);
    return told;
}

void damage_seed(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (WEIR_TEST_SEED sets it)\n", seed);
}
