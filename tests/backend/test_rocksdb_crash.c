/*
 * A process that writes batches over several families is killed at random moments, with and
 * without the write-ahead log. What is there afterwards is a prefix of whole batches.
 *
 * Batch number n puts into each family a key of its own, n, and a counter, n: so all families
 * must agree on the counter, and hold the keys 1 to counter and no others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/rocksdb/rocksdb.h"
#include "backend/support_rocksdb.h"
#include "base/clock.h"

#define FAMILIES 3
#define ROUNDS   12

/* In a file that both map. */
typedef struct progress {
    volatile uint64_t written; /* write() has returned */
    volatile uint64_t durable; /* … with sync, or flush() has returned */
} progress;

typedef struct mode {
    const char *name;
    weir_option options[8];
    bool sync;      /* every eighth batch is written with WEIR_WRITE_SYNC */
    bool flush;     /* every 500th batch is followed by flush() */
    bool keeps_all; /* what write() acknowledged survives the kill */
} mode;

static const mode modes[] = {
    {.name = "wal=on",
     .options = {{"wal", "on"}, {"write_buffer_size", "256KiB"}},
     .sync = true,
     .keeps_all = true},
    {.name = "wal=off",
     .options = {{"wal", "off"}, {"write_buffer_size", "256KiB"}},
     .flush = true},
    {.name = "wal=off, sync", .options = {{"wal", "off"}}, .sync = true},
};

static const char *const family_names[FAMILIES] = {"default", "__metadata__", "other"};

static void write_batch(rdb *database, weir_backend_cf **cfs, uint64_t number, uint32_t flags)
{
    char key[32];
    char counter[32];
    char value[256];
    weir_backend_op ops[2 * FAMILIES];
    (void)snprintf(key, sizeof(key), "key-%012llu", (unsigned long long)number);
    (void)snprintf(counter, sizeof(counter), "%llu", (unsigned long long)number);
    memset(value, 'a' + (int)(number % 26), sizeof(value));
    for (size_t i = 0; i < FAMILIES; i++) {
        ops[2 * i] = (weir_backend_op){WEIR_OP_PUT, 0, cfs[i], weir_slice_str(key),
                                       weir_slice_of(value, sizeof(value) / (i + 1))};
        ops[2 * i + 1] = (weir_backend_op){WEIR_OP_PUT, 0, cfs[i], weir_slice_str("counter"),
                                           weir_slice_str(counter)};
    }
    if (weir__backend_rocksdb()->write(database->db, ops, 2 * FAMILIES, flags, NULL) != WEIR_OK)
        _exit(3);
}

/* Writes until it is killed. */
static void child_main(const char *folder, const mode *how, progress *shared)
{
    rdb database = {0};
    weir_backend_cf *cfs[FAMILIES];
    if (rdb_open(&database, folder, how->options, RDB_CREATE) != WEIR_OK)
        _exit(2);
    for (size_t i = 0; i < FAMILIES; i++)
        cfs[i] = rdb_cf(&database, family_names[i]);
    char *text = rdb_get(&database, cfs[0], "counter");
    uint64_t number = text ? strtoull(text, NULL, 10) : 0;
    free(text);
    for (;;) {
        number++;
        bool sync = how->sync && number % 8 == 0;
        write_batch(&database, cfs, number, sync ? WEIR_WRITE_SYNC : 0);
        shared->written = number;
        if (how->flush && number % 500 == 0) {
            if (weir__backend_rocksdb()->flush(database.db, NULL) != WEIR_OK)
                _exit(4);
            sync = true;
        }
        if (sync)
            shared->durable = number;
    }
}

static progress *map_progress(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(progress)) != 0)
        return NULL;
    progress *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    return shared == MAP_FAILED ? NULL : shared;
}

/* A process of its own from the beginning: RocksDB's threads do not survive a fork. */
static pid_t start_child(const char *folder, const char *progress_path, const mode *how)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", (int)(how - modes));
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "child", number, folder, progress_path, (char *)NULL);
        _exit(1);
    }
    return child;
}

/* Kills a writing child after it has written something new and a random time has passed. */
static void run_and_kill(const char *folder, const char *progress_path, progress *shared,
                         const mode *how, unsigned *seed)
{
    int wait_status = 0;
    uint64_t before = shared->written;
    pid_t child = start_child(folder, progress_path, how);
    assert_true(child > 0);
    int64_t deadline = weir__now_ms() + 20000;
    while (shared->written <= before + 10 && weir__now_ms() < deadline &&
           waitpid(child, &wait_status, WNOHANG) == 0)
        (void)usleep(500);
    (void)usleep((useconds_t)(rand_r(seed) % 60000));
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &wait_status, 0);
    assert_int_equal(wait_status, SIGKILL);
    assert_true(shared->written > before);
}

/* The counter on which all families agree; each holds exactly the keys 1 to counter. */
static uint64_t check_content(rdb *database)
{
    const weir_backend *backend = weir__backend_rocksdb();
    uint64_t counters[FAMILIES] = {0};
    for (size_t i = 0; i < FAMILIES; i++) {
        weir_backend_iter *iter = NULL;
        weir_slice key;
        weir_slice value;
        uint64_t keys = 0;
        weir_backend_cf *cf = rdb_cf(database, family_names[i]);
        char *text = rdb_get(database, cf, "counter");
        counters[i] = text ? strtoull(text, NULL, 10) : 0;
        free(text);
        weir_backend_iter_args args = {
            .struct_size = sizeof(args), .lower = weir_slice_str("key-"), .has_lower = true};
        assert_int_equal(backend->iter_open(database->db, cf, &args, &iter, NULL), WEIR_OK);
        while (backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
            char wanted[32];
            keys++;
            (void)snprintf(wanted, sizeof(wanted), "key-%012llu", (unsigned long long)keys);
            assert_true(weir_slice_equal(key, weir_slice_str(wanted)));
            assert_int_equal(((const char *)value.data)[0], 'a' + (int)(keys % 26));
        }
        backend->iter_close(iter);
        assert_int_equal(keys, counters[i]);
    }
    assert_int_equal(counters[0], counters[1]);
    assert_int_equal(counters[0], counters[2]);
    return counters[0];
}

static void run_mode(const mode *how)
{
    char root[PATH_MAX];
    char folder[PATH_MAX];
    char progress_path[PATH_MAX];
    unsigned seed = (unsigned)time(NULL);
    print_message("%s: seed %u\n", how->name, seed);
    rdb_folder_make(root);
    rdb_join(folder, root, "database");
    rdb_join(progress_path, root, "progress");
    assert_int_equal(mkdir(folder, 0700), 0);
    progress *shared = map_progress(progress_path);
    assert_non_null(shared);
    for (int round = 0; round < ROUNDS; round++) {
        rdb database = {0};
        run_and_kill(folder, progress_path, shared, how, &seed);
        weir_status status = rdb_open(&database, folder, how->options, RDB_EXISTING);
        if (status != WEIR_OK)
            print_error("%s\n", database.err.message);
        assert_int_equal(status, WEIR_OK);
        uint64_t found = check_content(&database);
        /* The batch under way may be there, if all of it is. */
        assert_in_range(found, how->keeps_all ? shared->written : shared->durable,
                        shared->written + 1);
        assert_int_equal(rdb_close(&database), WEIR_OK);
        shared->written = found;
        shared->durable = found;
    }
    (void)munmap(shared, sizeof(*shared));
    rdb_folder_remove(root);
}

static void test_killed_with_log_keeps_every_acknowledged_batch(void **state)
{
    (void)state;
    run_mode(&modes[0]);
}

static void test_killed_without_log_keeps_a_prefix_of_whole_batches(void **state)
{
    (void)state;
    run_mode(&modes[1]);
}

static void test_killed_while_syncing_without_log_keeps_what_was_synced(void **state)
{
    (void)state;
    run_mode(&modes[2]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_with_log_keeps_every_acknowledged_batch),
        cmocka_unit_test(test_killed_without_log_keeps_a_prefix_of_whole_batches),
        cmocka_unit_test(test_killed_while_syncing_without_log_keeps_what_was_synced),
    };
    if (argc == 4) {
        progress *shared = map_progress(argv[3]);
        if (shared)
            child_main(argv[2], &modes[atoi(argv[1])], shared);
        return 1;
    }
    return cmocka_run_group_tests_name("rocksdb crash", tests, NULL, NULL);
}
