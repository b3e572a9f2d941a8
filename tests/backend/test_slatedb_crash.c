/*
 * A process that writes batches over several families on slatedb is killed at random moments.
 * What is there afterwards is a prefix of whole batches that holds all that was promised.
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support_fixture.h"
#include "support_slatedb.h"

#define FAMILIES 3
#define ROUNDS   6

/* In a file that both map. */
typedef struct progress {
    volatile uint64_t written; /* write() has returned */
    volatile uint64_t durable; /* … with a promise */
} progress;

typedef struct mode {
    const char *name;
    weir_option options[6];
    bool keeps_all; /* what write() acknowledged survives the kill */
} mode;

static const mode modes[] = {
    {"durability=memory, every eighth batch with sync",
     {{"durability", "memory"}, {"memtable_size", "256KiB"}, {"manifest_poll_interval", "0.05"}},
     false},
    {"durability=flushed",
     {{"durability", "flushed"},
      {"use_fsync", "false"},
      {"memtable_size", "256KiB"},
      {"manifest_poll_interval", "0.05"}},
     true},
};

static const char *const family_names[FAMILIES] = {"default", "__metadata__", "other"};

typedef struct opened {
    weir__database *database;
    const weir_backend *backend;
    weir_backend_db *db;
    weir_backend_cf *cfs[FAMILIES];
} opened;

static opened open_with(const char *folder, const mode *how)
{
    opened o = {.database = fixture_open("slatedb", folder, how->options)};
    o.backend = weir__database_backend(o.database);
    o.db = weir__database_handle(o.database);
    for (size_t i = 0; i < FAMILIES; i++)
        assert_int_equal(o.backend->cf_open(o.db, family_names[i], true, &o.cfs[i], NULL), WEIR_OK);
    return o;
}

static uint64_t counter_of(const opened *o, size_t family)
{
    weir_backend_value value;
    char text[32] = "0";
    weir_status status =
        o->backend->get(o->db, o->cfs[family], NULL, weir_slice_str("counter"), &value, NULL);
    if (status == WEIR_NOT_FOUND)
        return 0;
    assert_int_equal(status, WEIR_OK);
    assert_true(value.size < sizeof text);
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    o->backend->value_release(o->db, &value);
    return strtoull(text, NULL, 10);
}

static void write_batch(const opened *o, uint64_t number, uint32_t flags)
{
    char key[32];
    char counter[32];
    char value[256];
    weir_backend_op ops[2 * FAMILIES];
    snprintf(key, sizeof key, "key-%012llu", (unsigned long long)number);
    snprintf(counter, sizeof counter, "%llu", (unsigned long long)number);
    memset(value, 'a' + (int)(number % 26), sizeof value);
    for (size_t i = 0; i < FAMILIES; i++) {
        ops[2 * i] = (weir_backend_op){WEIR_OP_PUT, 0, o->cfs[i], weir_slice_str(key),
                                       weir_slice_of(value, sizeof value / (i + 1))};
        ops[2 * i + 1] = (weir_backend_op){WEIR_OP_PUT, 0, o->cfs[i], weir_slice_str("counter"),
                                           weir_slice_str(counter)};
    }
    if (o->backend->write(o->db, ops, 2 * FAMILIES, flags, NULL) != WEIR_OK)
        _exit(3);
}

/* Writes until it is killed. */
static void child_main(const char *folder, const mode *how, progress *shared)
{
    opened o = open_with(folder, how);
    for (uint64_t number = counter_of(&o, 0) + 1;; number++) {
        bool sync = how->keeps_all || number % 8 == 0;
        write_batch(&o, number, number % 8 == 0 ? WEIR_WRITE_SYNC : 0);
        shared->written = number;
        if (sync)
            shared->durable = number;
    }
}

static progress *map_progress(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(progress)) != 0)
        return NULL;
    progress *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return shared == MAP_FAILED ? NULL : shared;
}

/* Kills a writing child after it has written something new and a random time has passed. */
static void run_and_kill(const char *folder, const char *progress_path, progress *shared,
                         const mode *how, unsigned *seed)
{
    int wait_status = 0;
    char number[16];
    uint64_t before = shared->written;
    snprintf(number, sizeof number, "%d", (int)(how - modes));
    pid_t child = fork();
    if (child == 0) {
        /* SlateDB's threads do not survive a fork: a program of its own from the beginning. */
        execl("/proc/self/exe", "child", number, folder, progress_path, (char *)NULL);
        _exit(1);
    }
    assert_true(child > 0);
    int64_t deadline = weir__now_ms() + 20000;
    while (shared->written <= before + 10 && weir__now_ms() < deadline &&
           waitpid(child, &wait_status, WNOHANG) == 0)
        usleep(500);
    usleep((useconds_t)(rand_r(seed) % 200000));
    kill(child, SIGKILL);
    waitpid(child, &wait_status, 0);
    assert_int_equal(wait_status, SIGKILL);
    assert_true(shared->written > before);
}

/* The counter on which all families agree; each holds exactly the keys 1 to counter. */
static uint64_t check_content(const opened *o)
{
    const uint64_t counter = counter_of(o, 0);
    for (size_t i = 0; i < FAMILIES; i++) {
        weir_backend_iter *iter;
        weir_slice key;
        weir_slice value;
        uint64_t keys = 0;
        weir_backend_iter_args args = {
            .struct_size = sizeof args, .lower = weir_slice_str("key-"), .has_lower = true};
        assert_int_equal(counter_of(o, i), counter);
        assert_int_equal(o->backend->iter_open(o->db, o->cfs[i], &args, &iter, NULL), WEIR_OK);
        while (o->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
            char wanted[32];
            keys++;
            snprintf(wanted, sizeof wanted, "key-%012llu", (unsigned long long)keys);
            assert_true(weir_slice_equal(key, weir_slice_str(wanted)));
            assert_int_equal(((const char *)value.data)[0], 'a' + (int)(keys % 26));
        }
        o->backend->iter_close(iter);
        assert_int_equal(keys, counter);
    }
    return counter;
}

static void run_mode(const mode *how)
{
    unsigned seed = (unsigned)time(NULL);
    char *root = fixture_folder();
    char folder[256];
    char progress_path[256];
    print_message("%s: seed %u\n", how->name, seed);
    snprintf(folder, sizeof folder, "%s/database", root);
    snprintf(progress_path, sizeof progress_path, "%s/progress", root);
    progress *shared = map_progress(progress_path);
    assert_non_null(shared);
    for (int round = 0; round < ROUNDS; round++) {
        run_and_kill(folder, progress_path, shared, how, &seed);
        opened o = open_with(folder, how);
        uint64_t found = check_content(&o);
        /* The batch under way may be there, if all of it is. */
        assert_in_range(found, shared->durable, shared->written + 1);
        fixture_close(o.database);
        shared->written = found;
        shared->durable = found;
    }
    munmap(shared, sizeof *shared);
    fixture_remove(root);
}

static void test_killed_in_memory_mode_keeps_what_was_synced_and_whole_batches(void **state)
{
    (void)state;
    run_mode(&modes[0]);
}

static void test_killed_in_flushed_mode_keeps_every_acknowledged_batch(void **state)
{
    (void)state;
    run_mode(&modes[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_in_memory_mode_keeps_what_was_synced_and_whole_batches),
        cmocka_unit_test(test_killed_in_flushed_mode_keeps_every_acknowledged_batch),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    if (argc == 4) {
        progress *shared = map_progress(argv[3]);
        if (shared != NULL)
            child_main(argv[2], &modes[atoi(argv[1])], shared);
        return 1;
    }
    return cmocka_run_group_tests_name("slatedb crash", tests, NULL, NULL);
}
