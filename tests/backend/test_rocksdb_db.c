/*
 * A RocksDB database through the method table: families, batches, reads, iteration,
 * snapshots, copies, damage, locks and destruction.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/rocksdb/rocksdb.h"
#include "backend/support_rocksdb.h"

typedef struct fixture {
    char folder[PATH_MAX];
    rdb database;
} fixture;

static const weir_option wal_off[] = {{"wal", "off"}, {NULL, NULL}};

static int setup(void **state)
{
    fixture *self = calloc(1, sizeof(*self));
    rdb_folder_make(self->folder);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    fixture *self = *state;
    (void)rdb_close(&self->database);
    rdb_folder_remove(self->folder);
    free(self);
    return 0;
}

static const weir_backend *backend(void)
{
    return weir__backend_rocksdb();
}

static void open_ok(fixture *self, const weir_option *options, rdb_mode mode)
{
    weir_status status = rdb_open(&self->database, self->folder, options, mode);
    if (status != WEIR_OK)
        print_error("%s\n", self->database.err.message);
    assert_int_equal(status, WEIR_OK);
}

static void reopen(fixture *self, const weir_option *options)
{
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    open_ok(self, options, RDB_EXISTING);
}

/* ------------------------------------------------------------------------- */

static void test_a_folder_without_database_is_not_found_unless_created(void **state)
{
    fixture *self = *state;
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_EXISTING), WEIR_NOT_FOUND);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_READ_ONLY), WEIR_NOT_FOUND);
    assert_int_equal(rdb_count_files(self->folder, "", NULL), 0);
    open_ok(self, NULL, RDB_CREATE);
    reopen(self, NULL);
}

static weir_status collect_name(const char *name, void *arg)
{
    char *text = arg;
    (void)strcat(text, name);
    (void)strcat(text, " ");
    return WEIR_OK;
}

static void test_families_come_back_by_themselves_and_can_be_dropped(void **state)
{
    fixture *self = *state;
    char names[128] = "";
    weir_backend_cf *cf = NULL;
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *made = rdb_cf(&self->database, "__metadata__");
    rdb_put(&self->database, made, "offset", "7");
    assert_ptr_equal(rdb_cf(&self->database, "__metadata__"), made);
    reopen(self, NULL);
    assert_int_equal(
        backend()->cf_open(self->database.db, "__metadata__", false, &cf, &self->database.err),
        WEIR_OK);
    rdb_assert_value(&self->database, cf, "offset", "7");
    rdb_assert_absent(&self->database, rdb_cf(&self->database, "default"), "offset");
    assert_int_equal(backend()->cf_open(self->database.db, "none", false, &cf, &self->database.err),
                     WEIR_NOT_FOUND);
    assert_null(cf);
    assert_int_equal(backend()->cf_list(self->database.db, collect_name, names, NULL), WEIR_OK);
    assert_non_null(strstr(names, "default "));
    assert_non_null(strstr(names, "__metadata__ "));
    assert_int_equal(backend()->cf_drop(self->database.db, "__metadata__", NULL), WEIR_OK);
    assert_int_equal(backend()->cf_drop(self->database.db, "__metadata__", NULL), WEIR_NOT_FOUND);
    assert_int_equal(backend()->cf_drop(self->database.db, "default", NULL), WEIR_INVALID);
    rdb_assert_absent(&self->database, rdb_cf(&self->database, "__metadata__"), "offset");
}

static void test_a_batch_applies_in_order_over_all_families(void **state)
{
    fixture *self = *state;
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *a = rdb_cf(&self->database, "default");
    weir_backend_cf *b = rdb_cf(&self->database, "other");
    weir_slice key = weir_slice_str("key");
    const weir_backend_op ops[] = {
        {WEIR_OP_PUT, 0, a, key, weir_slice_str("first")},
        {WEIR_OP_PUT, 0, b, key, weir_slice_str("in other")},
        {WEIR_OP_PUT, 0, a, key, weir_slice_str("second")},
        {WEIR_OP_DELETE, 0, b, weir_slice_str("absent"), {NULL, 0}},
        {WEIR_OP_PUT, 0, a, weir_slice_of(NULL, 0), weir_slice_of(NULL, 0)},
    };
    assert_int_equal(backend()->write(self->database.db, ops, 5, WEIR_WRITE_SYNC, NULL), WEIR_OK);
    rdb_assert_value(&self->database, a, "key", "second");
    rdb_assert_value(&self->database, b, "key", "in other");
    rdb_assert_value(&self->database, a, "", "");
    const weir_backend_op wrong[] = {
        {WEIR_OP_PUT, 0, a, key, weir_slice_str("third")},
        {9, 0, a, key, {NULL, 0}},
    };
    assert_int_equal(backend()->write(self->database.db, wrong, 2, 0, NULL), WEIR_INVALID);
    assert_int_equal(backend()->write(self->database.db, ops, 0, 0, NULL), WEIR_OK);
    rdb_assert_value(&self->database, a, "key", "second");
}

static void test_multi_get_tells_each_key_apart(void **state)
{
    enum { COUNT = 200 };
    fixture *self = *state;
    char names[COUNT][16];
    weir_slice keys[COUNT];
    weir_backend_value values[COUNT];
    weir_status statuses[COUNT];
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "key-%03d", i);
        keys[i] = weir_slice_str(names[i]);
        if (i % 3 == 0)
            rdb_put(&self->database, cf, names[i], names[i]);
    }
    assert_int_equal(
        backend()->multi_get(self->database.db, cf, NULL, keys, COUNT, values, statuses, NULL),
        WEIR_OK);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(statuses[i], i % 3 == 0 ? WEIR_OK : WEIR_NOT_FOUND);
        if (statuses[i] != WEIR_OK)
            continue;
        assert_true(weir_slice_equal(weir_slice_of(values[i].data, values[i].size), keys[i]));
        backend()->value_release(self->database.db, &values[i]);
    }
}

/* The keys of an iteration in a row, "b c d ". */
static void walk(fixture *self, const weir_backend_iter_args *args, const char *seek,
                 const char *expected)
{
    char text[128] = "";
    weir_slice key;
    weir_slice value;
    weir_backend_iter *iter = NULL;
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    assert_int_equal(backend()->iter_open(self->database.db, cf, args, &iter, NULL), WEIR_OK);
    if (seek)
        assert_int_equal(backend()->iter_seek(iter, weir_slice_str(seek), NULL), WEIR_OK);
    while (backend()->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
        assert_true(weir_slice_equal(key, value));
        (void)strncat(text, key.data, key.size);
        (void)strcat(text, " ");
    }
    assert_int_equal(backend()->iter_next(iter, &key, &value, NULL), WEIR_NOT_FOUND);
    backend()->iter_close(iter);
    assert_string_equal(text, expected);
}

static weir_backend_iter_args range(const char *lower, const char *upper, bool reverse)
{
    return (weir_backend_iter_args){
        .struct_size = sizeof(weir_backend_iter_args),
        .lower = weir_slice_str(lower ? lower : ""),
        .upper = weir_slice_str(upper ? upper : ""),
        .has_lower = lower != NULL,
        .has_upper = upper != NULL,
        .reverse = reverse,
    };
}

static void test_iteration_honours_bounds_both_ways(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    static const struct {
        const char *lower;
        const char *upper;
        const char *seek;
        const char *forward;
        const char *reverse;
    } cases[] = {
        {NULL, NULL, NULL, "a b c d e ", "e d c b a "},
        {"b", "d", NULL, "b c ", "c b "},
        {"b", NULL, NULL, "b c d e ", "e d c b "},
        {NULL, "c", NULL, "a b ", "b a "},
        {"", NULL, NULL, "a b c d e ", "e d c b a "},
        {"c", "c", NULL, "", ""},
        {"d", "b", NULL, "", ""},
        {NULL, "", NULL, "", ""},
        {"b", "e", "c", "c d ", "c b "},
        {"b", "e", "cc", "d ", "c b "},
        {"b", "d", "a", "b c ", ""},
        {"b", "d", "z", "", "c b "},
        {NULL, NULL, "", "a b c d e ", ""},
    };
    fixture *self = *state;
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        rdb_put(&self->database, cf, keys[i], keys[i]);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        weir_backend_iter_args forward = range(cases[i].lower, cases[i].upper, false);
        weir_backend_iter_args reverse = range(cases[i].lower, cases[i].upper, true);
        walk(self, &forward, cases[i].seek, cases[i].forward);
        walk(self, &reverse, cases[i].seek, cases[i].reverse);
    }
}

static void test_a_snapshot_does_not_see_later_writes(void **state)
{
    fixture *self = *state;
    weir_backend_snapshot *snapshot = NULL;
    weir_backend_value value;
    weir_status status;
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    rdb_put(&self->database, cf, "a", "a");
    assert_int_equal(backend()->snapshot_open(self->database.db, &snapshot, NULL), WEIR_OK);
    rdb_put(&self->database, cf, "a", "later");
    rdb_put(&self->database, cf, "b", "later");
    weir_slice key = weir_slice_str("a");
    assert_int_equal(backend()->get(self->database.db, cf, snapshot, key, &value, NULL), WEIR_OK);
    assert_memory_equal(value.data, "a", 1);
    backend()->value_release(self->database.db, &value);
    assert_int_equal(
        backend()->get(self->database.db, cf, snapshot, weir_slice_str("b"), &value, NULL),
        WEIR_NOT_FOUND);
    assert_int_equal(
        backend()->multi_get(self->database.db, cf, snapshot, &key, 1, &value, &status, NULL),
        WEIR_OK);
    assert_int_equal(status, WEIR_OK);
    assert_memory_equal(value.data, "a", 1);
    backend()->value_release(self->database.db, &value);
    weir_backend_iter_args args = range(NULL, NULL, false);
    args.snapshot = snapshot;
    walk(self, &args, NULL, "a ");
    backend()->snapshot_close(self->database.db, snapshot);
    rdb_assert_value(&self->database, cf, "a", "later");
}

static void test_an_iterator_does_not_see_later_writes(void **state)
{
    fixture *self = *state;
    weir_backend_iter *iter = NULL;
    weir_slice key;
    weir_slice value;
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    rdb_put(&self->database, cf, "b", "b");
    weir_backend_iter_args args = range(NULL, NULL, false);
    assert_int_equal(backend()->iter_open(self->database.db, cf, &args, &iter, NULL), WEIR_OK);
    rdb_put(&self->database, cf, "a", "later");
    rdb_put(&self->database, cf, "c", "later");
    assert_int_equal(backend()->iter_next(iter, &key, &value, NULL), WEIR_OK);
    assert_memory_equal(key.data, "b", 1);
    assert_int_equal(backend()->iter_next(iter, &key, &value, NULL), WEIR_NOT_FOUND);
    backend()->iter_close(iter);
}

static void test_a_checkpoint_opens_like_any_other(void **state)
{
    static const weir_option *const modes[] = {NULL, wal_off};
    for (size_t i = 0; i < 2; i++) {
        fixture *self = *state;
        char copy[PATH_MAX];
        char parent[PATH_MAX];
        rdb copied = {0};
        rdb_folder_make(parent);
        rdb_join(copy, parent, "copy");
        open_ok(self, modes[i], RDB_CREATE);
        weir_backend_cf *cf = rdb_cf(&self->database, "other");
        rdb_put(&self->database, cf, "key", "as copied");
        assert_int_equal(backend()->checkpoint(self->database.db, copy, &self->database.err),
                         WEIR_OK);
        rdb_put(&self->database, cf, "key", "later");
        assert_int_equal(rdb_open(&copied, copy, modes[i], RDB_EXISTING), WEIR_OK);
        rdb_assert_value(&copied, rdb_cf(&copied, "other"), "key", "as copied");
        assert_int_equal(rdb_close(&copied), WEIR_OK);
        assert_int_equal(rdb_close(&self->database), WEIR_OK);
        rdb_folder_remove(parent);
    }
}

static void test_flush_without_log_reaches_the_files_of_all_families(void **state)
{
    fixture *self = *state;
    open_ok(self, wal_off, RDB_CREATE);
    weir_backend_cf *a = rdb_cf(&self->database, "default");
    weir_backend_cf *b = rdb_cf(&self->database, "other");
    rdb_put(&self->database, a, "key", "a");
    rdb_put(&self->database, b, "key", "b");
    assert_int_equal(rdb_count_files(self->folder, ".sst", NULL), 0);
    assert_int_equal(backend()->flush(self->database.db, &self->database.err), WEIR_OK);
    assert_int_equal(rdb_count_files(self->folder, ".sst", NULL), 2);
    assert_int_equal(rdb_count_files(self->folder, "flush.tmp", NULL), 0);
    /* Nothing to do: no empty files. */
    assert_int_equal(backend()->flush(self->database.db, &self->database.err), WEIR_OK);
    assert_int_equal(rdb_count_files(self->folder, ".sst", NULL), 2);
}

enum { READER_KEYS = 64, READER_ROUNDS = 2000 };

typedef struct reader {
    fixture *self;
    weir_backend_cf *cf;
    int wrong;
} reader;

/* Reads keys whose value only ever grows. */
static void *read_growing(void *arg)
{
    reader *reading = arg;
    weir_backend_db *db = reading->self->database.db;
    int last[READER_KEYS] = {0};
    for (int i = 0; i < READER_ROUNDS; i++) {
        char key[16];
        weir_backend_value value;
        int at = i % READER_KEYS;
        (void)snprintf(key, sizeof(key), "key-%d", at);
        weir_status status =
            backend()->get(db, reading->cf, NULL, weir_slice_str(key), &value, NULL);
        int number = status == WEIR_OK ? atoi(value.data) : -1;
        reading->wrong += number < last[at];
        last[at] = number;
        if (status == WEIR_OK)
            backend()->value_release(db, &value);
    }
    return NULL;
}

static void put_number(fixture *self, weir_backend_cf *cf, int round)
{
    weir_backend_op ops[READER_KEYS];
    char keys[READER_KEYS][16];
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", round);
    for (int i = 0; i < READER_KEYS; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
        /* With its NUL, so that readers may take it for text. */
        ops[i] = (weir_backend_op){WEIR_OP_PUT, 0, cf, weir_slice_str(keys[i]),
                                   weir_slice_of(number, strlen(number) + 1)};
    }
    assert_int_equal(backend()->write(self->database.db, ops, READER_KEYS, 0, NULL), WEIR_OK);
}

static void test_readers_in_other_threads_run_beside_the_writer(void **state)
{
    fixture *self = *state;
    pthread_t threads[2];
    reader readers[2];
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    put_number(self, cf, 1);
    for (int i = 0; i < 2; i++) {
        readers[i] = (reader){self, cf, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_growing, &readers[i]), 0);
    }
    for (int round = 2; round < 200; round++)
        put_number(self, cf, round);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
    }
}

static void count_figure(const char *name, uint64_t value, void *arg)
{
    uint64_t *keys = arg;
    if (strcmp(name, "keys.estimated") == 0)
        *keys = value;
}

static void test_compaction_and_figures_answer(void **state)
{
    fixture *self = *state;
    uint64_t keys = 0;
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    for (char key[2] = "a"; key[0] <= 'j'; key[0]++)
        rdb_put(&self->database, cf, key, key);
    weir_slice none = {NULL, 0};
    assert_int_equal(backend()->compact(self->database.db, cf, none, none, NULL), WEIR_OK);
    assert_int_equal(rdb_count_files(self->folder, ".sst", NULL), 1);
    assert_int_equal(backend()->stats(self->database.db, count_figure, &keys, NULL), WEIR_OK);
    assert_int_equal(keys, 10);
}

/* ------------------------------------------------------------------------- */

/* The newest modification in a folder and the number of entries, as one figure. */
static uint64_t fingerprint(const char *folder)
{
    char command[PATH_MAX + 64];
    char line[256];
    uint64_t sum = 5381;
    (void)snprintf(command, sizeof(command), "ls -lA --time-style=full-iso %s", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof(line), pipe)) {
        for (const char *at = line; *at; at++)
            sum = sum * 33 + (uint8_t)*at;
    }
    (void)pclose(pipe);
    return sum;
}

static void test_read_only_changes_nothing_and_refuses_writes(void **state)
{
    fixture *self = *state;
    weir_backend_cf *cf = NULL;
    weir_slice none = {NULL, 0};
    open_ok(self, NULL, RDB_CREATE);
    rdb_put(&self->database, rdb_cf(&self->database, "default"), "key", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    uint64_t before = fingerprint(self->folder);
    open_ok(self, NULL, RDB_READ_ONLY);
    weir_backend_db *db = self->database.db;
    cf = rdb_cf(&self->database, "default");
    rdb_assert_value(&self->database, cf, "key", "value");
    weir_backend_op op = {WEIR_OP_PUT, 0, cf, weir_slice_str("key"), weir_slice_str("new")};
    assert_int_equal(backend()->write(db, &op, 1, 0, NULL), WEIR_UNSUPPORTED);
    assert_int_equal(backend()->cf_open(db, "new", true, &cf, NULL), WEIR_UNSUPPORTED);
    assert_int_equal(backend()->cf_drop(db, "new", NULL), WEIR_UNSUPPORTED);
    assert_int_equal(backend()->compact(db, rdb_cf(&self->database, "default"), none, none, NULL),
                     WEIR_UNSUPPORTED);
    assert_int_equal(backend()->checkpoint(db, "/nowhere", NULL), WEIR_UNSUPPORTED);
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(fingerprint(self->folder), before);
}

static void test_a_second_handle_is_locked_out(void **state)
{
    fixture *self = *state;
    rdb second = {0};
    weir_error err;
    open_ok(self, NULL, RDB_CREATE);
    assert_int_equal(rdb_open(&second, self->folder, NULL, RDB_EXISTING), WEIR_LOCKED);
    assert_int_equal(rdb_destroy(self->folder, NULL, &err), WEIR_LOCKED);
}

static void test_another_process_is_locked_out(void **state)
{
    fixture *self = *state;
    int pipes[2];
    char byte = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        rdb own = {0};
        bool is_open = rdb_open(&own, self->folder, NULL, RDB_CREATE) == WEIR_OK;
        byte = is_open ? 'y' : 'n';
        (void)!write(pipes[1], &byte, 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    weir_status while_alive = rdb_open(&self->database, self->folder, NULL, RDB_CREATE);
    rdb second = {0};
    weir_status reading = rdb_open(&second, self->folder, NULL, RDB_READ_ONLY);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    assert_int_equal(while_alive, WEIR_LOCKED);
    assert_int_equal(reading, WEIR_LOCKED);
    open_ok(self, NULL, RDB_CREATE);
}

/* Without the host's lock: what Quix Streams would meet. */
static void test_readers_keep_a_writer_out(void **state)
{
    fixture *self = *state;
    rdb first = {0};
    rdb second = {0};
    open_ok(self, NULL, RDB_CREATE);
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(rdb_open(&first, self->folder, NULL, RDB_READ_ONLY), WEIR_OK);
    assert_int_equal(rdb_open(&second, self->folder, NULL, RDB_READ_ONLY), WEIR_OK);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_EXISTING), WEIR_LOCKED);
    assert_int_equal(rdb_close(&first), WEIR_OK);
    assert_int_equal(rdb_close(&second), WEIR_OK);
    open_ok(self, NULL, RDB_EXISTING);
}

static void flip_bytes(const char *path, off_t offset, size_t count)
{
    unsigned char bytes[64];
    assert_in_range(count, 1, sizeof(bytes));
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pread(file, bytes, count, offset), (ssize_t)count);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)~bytes[i];
    assert_int_equal(pwrite(file, bytes, count, offset), (ssize_t)count);
    (void)close(file);
}

/* Closes with everything in one file of the family "default", and tells its path. */
static void make_one_file(fixture *self, char *path)
{
    char name[NAME_MAX + 1];
    weir_slice none = {NULL, 0};
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    for (int i = 0; i < 1000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key-%04d", i);
        rdb_put(&self->database, cf, key, key);
    }
    assert_int_equal(backend()->compact(self->database.db, cf, none, none, NULL), WEIR_OK);
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(rdb_count_files(self->folder, ".sst", name), 1);
    rdb_join(path, self->folder, name);
}

static void test_flipped_bytes_of_data_are_corruption(void **state)
{
    fixture *self = *state;
    char path[PATH_MAX];
    weir_backend_value value;
    weir_backend_iter *iter = NULL;
    weir_slice key;
    weir_slice item;
    weir_status status;
    make_one_file(self, path);
    flip_bytes(path, 40, 8);
    open_ok(self, NULL, RDB_EXISTING);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    key = weir_slice_str("key-0003");
    assert_int_equal(backend()->get(self->database.db, cf, NULL, key, &value, &self->database.err),
                     WEIR_CORRUPTED);
    assert_non_null(strstr(self->database.err.message, path));
    assert_int_equal(backend()->multi_get(self->database.db, cf, NULL, &key, 1, &value, &status,
                                          &self->database.err),
                     WEIR_CORRUPTED);
    assert_int_equal(status, WEIR_CORRUPTED);
    weir_backend_iter_args args = range(NULL, NULL, false);
    assert_int_equal(backend()->iter_open(self->database.db, cf, &args, &iter, NULL), WEIR_OK);
    assert_int_equal(backend()->iter_next(iter, &key, &item, NULL), WEIR_CORRUPTED);
    backend()->iter_close(iter);
}

static void test_a_damaged_or_missing_file_is_corruption_at_open(void **state)
{
    fixture *self = *state;
    char path[PATH_MAX];
    char current[PATH_MAX];
    struct stat info;
    make_one_file(self, path);
    rdb_join(current, self->folder, "CURRENT");

    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_EXISTING), WEIR_CORRUPTED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_EXISTING), WEIR_CORRUPTED);
    assert_int_equal(truncate(current, 0), 0);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_CREATE), WEIR_CORRUPTED);
    assert_int_equal(unlink(current), 0);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_CREATE), WEIR_CORRUPTED);
    /* Still as it was: creating must not sweep up what is left. */
    assert_int_not_equal(rdb_count_files(self->folder, ".log", NULL), 0);
    assert_int_not_equal(stat(current, &info), 0);
    assert_int_equal(rdb_destroy(self->folder, NULL, &self->database.err), WEIR_OK);
    open_ok(self, NULL, RDB_CREATE);
}

static void test_a_missing_manifest_is_corruption(void **state)
{
    fixture *self = *state;
    char path[PATH_MAX];
    char command[PATH_MAX + 32];
    make_one_file(self, path);
    (void)snprintf(command, sizeof(command), "rm %s/MANIFEST-*", self->folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(rdb_open(&self->database, self->folder, NULL, RDB_CREATE), WEIR_CORRUPTED);
}

static void touch(const char *folder, const char *name)
{
    char path[PATH_MAX];
    rdb_join(path, folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
}

static void test_destroy_removes_its_files_and_leaves_the_rest(void **state)
{
    fixture *self = *state;
    char path[PATH_MAX];
    make_one_file(self, path);
    touch(self->folder, "weir.json");
    touch(self->folder, "weir.lock");
    touch(self->folder, "notes.txt");
    assert_int_equal(rdb_destroy(self->folder, NULL, &self->database.err), WEIR_OK);
    assert_int_equal(rdb_count_files(self->folder, "", NULL), 3);
    assert_int_equal(rdb_count_files(self->folder, "weir.json", NULL), 1);
    /* Again, with nothing there; and the folder itself stays when it is empty. */
    char empty[PATH_MAX];
    rdb_folder_make(empty);
    assert_int_equal(rdb_destroy(self->folder, NULL, &self->database.err), WEIR_OK);
    assert_int_equal(rdb_destroy(empty, NULL, &self->database.err), WEIR_OK);
    assert_int_equal(access(empty, F_OK), 0);
    rdb_folder_remove(empty);
}

static void test_a_folder_without_permission_says_so(void **state)
{
    fixture *self = *state;
    bool is_root = geteuid() == 0;
    assert_int_equal(chmod(self->folder, 0555), 0);
    /* Rights do not bind root: be somebody else for the call. */
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    weir_status status = rdb_open(&self->database, self->folder, NULL, RDB_CREATE);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(self->folder, 0700), 0);
    assert_int_equal(status, WEIR_PERMISSION);
    assert_non_null(strstr(self->database.err.message, self->folder));
}

/* Writes until a batch fails, at most `limit` times; the status of the last. */
static weir_status fill_disk(fixture *self, weir_backend_cf *cf, int limit)
{
    static char value[65536];
    weir_status status = WEIR_OK;
    for (int i = 0; i < limit && status == WEIR_OK; i++) {
        char key[16];
        /* What lz4 can't make smaller. */
        for (size_t at = 0; at < sizeof(value); at++)
            value[at] = (char)rand();
        (void)snprintf(key, sizeof(key), "key-%04d", i);
        weir_backend_op op = {WEIR_OP_PUT, 0, cf, weir_slice_str(key),
                              weir_slice_of(value, sizeof(value))};
        status = backend()->write(self->database.db, &op, 1, 0, &self->database.err);
    }
    return status;
}

static void test_a_full_disk_is_no_space_and_loses_nothing(void **state)
{
    fixture *self = *state;
    weir_backend_value value;
    /* A small file system of the test's own; only some users may make one. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", self->folder, "tmpfs", 0, "size=4m") != 0)
        skip();
    open_ok(self, NULL, RDB_CREATE);
    weir_backend_cf *cf = rdb_cf(&self->database, "default");
    assert_int_equal(fill_disk(self, cf, 200), WEIR_NO_SPACE);
    assert_non_null(strstr(self->database.err.message, "free some space"));
    (void)rdb_close(&self->database);
    assert_int_equal(mount("tmpfs", self->folder, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    open_ok(self, NULL, RDB_EXISTING);
    cf = rdb_cf(&self->database, "default");
    assert_int_equal(backend()->get(self->database.db, cf, NULL, weir_slice_str("key-0010"), &value,
                                    &self->database.err),
                     WEIR_OK);
    assert_int_equal(value.size, 65536);
    backend()->value_release(self->database.db, &value);
    rdb_put(&self->database, cf, "new", "value");
    assert_int_equal(rdb_close(&self->database), WEIR_OK);
    assert_int_equal(umount(self->folder), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_folder_without_database_is_not_found_unless_created),
        TEST(test_families_come_back_by_themselves_and_can_be_dropped),
        TEST(test_a_batch_applies_in_order_over_all_families),
        TEST(test_multi_get_tells_each_key_apart),
        TEST(test_iteration_honours_bounds_both_ways),
        TEST(test_a_snapshot_does_not_see_later_writes),
        TEST(test_an_iterator_does_not_see_later_writes),
        TEST(test_a_checkpoint_opens_like_any_other),
        TEST(test_flush_without_log_reaches_the_files_of_all_families),
        TEST(test_readers_in_other_threads_run_beside_the_writer),
        TEST(test_compaction_and_figures_answer),
        TEST(test_read_only_changes_nothing_and_refuses_writes),
        TEST(test_a_second_handle_is_locked_out),
        TEST(test_another_process_is_locked_out),
        TEST(test_readers_keep_a_writer_out),
        TEST(test_flipped_bytes_of_data_are_corruption),
        TEST(test_a_damaged_or_missing_file_is_corruption_at_open),
        TEST(test_a_missing_manifest_is_corruption),
        TEST(test_destroy_removes_its_files_and_leaves_the_rest),
        TEST(test_a_folder_without_permission_says_so),
        TEST(test_a_full_disk_is_no_space_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("rocksdb database", tests, NULL, NULL);
}
