/*
 * Peak memory stays within what the options say, whatever the state grows to: the record cache,
 * the memtables and the block cache, plus 64 MiB for all else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "state/support_harness.h"

#define MIB ((size_t)1 << 20)

enum { RECORDS = 500000, CHECKPOINT = 10000, VALUE_SIZE = 400 };
enum {
    CACHE_MIB = 40,
    MEMTABLE_MIB = 8,
    MEMTABLES = 2,
    FAMILIES = 2,
    BLOCKS_MIB = 8,
    REST_MIB = 64
};

static size_t peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024 / MIB;
}

static void must(weir_status status, const weir_error *err)
{
    if (status == WEIR_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    _exit(1);
}

/* A key of its own for each record, read before it is written, so that the caches fill up. */
static void fill(weir_partition *partition)
{
    weir_error err;
    char value[VALUE_SIZE];
    memset(value, 'v', sizeof value);
    weir_txn *txn = NULL;
    for (uint32_t i = 0; i < RECORDS; i++) {
        char key[16];
        weir_slice found;
        if (!txn)
            must(weir_partition_begin(partition, &txn, &err), &err);
        weir_slice prefix =
            weir_slice_of(key, (size_t)snprintf(key, sizeof key, "%08x", i * UINT32_C(2654435761)));
        weir_state *state = weir_txn_state(txn, prefix);
        weir_status status = weir_state_get_bytes(state, "seen", &found, &err);
        if (status != WEIR_NOT_FOUND)
            must(status ? status : WEIR_INVALID, &err);
        must(weir_state_set_bytes(state, "seen", weir_slice_of(value, sizeof value), &err), &err);
        if ((i + 1) % CHECKPOINT != 0)
            continue;
        must(weir_txn_prepare(txn, NULL, 0, &err), &err);
        must(weir_txn_flush(txn, WEIR_OFFSET_NONE, &err), &err);
        weir_txn_free(txn);
        txn = NULL;
    }
}

/* In a process of its own: exits with 0 if the peak was within the budget. */
static void run_child(const char *folder)
{
    static const weir_option rocksdb[] = {{"write_buffer_size", "8MiB"},
                                          {"max_write_buffer_number", "2"},
                                          {"block_cache_size", "8MiB"},
                                          {NULL, NULL}};
    weir_error err;
    weir_state_manager *manager;
    weir_state_options options;
    weir_store_config store;
    size_t before = peak_mib();
    weir_state_options_init(&options);
    options.state_dir = folder;
    options.group_id = "memory";
    options.state_backend = "rocksdb";
    options.state_options = rocksdb;
    options.cache_bytes = CACHE_MIB * MIB;
    must(weir_state_manager_new(&options, &manager, &err), &err);
    weir_store_config_init(&store);
    store.changelog = false;
    must(weir_state_manager_register(manager, &store, &err), &err);
    must(weir_state_manager_assign(manager, NULL, 0, &err), &err);
    weir_partition *partition = weir_state_manager_partition(manager, "default", NULL, 0);
    fill(partition);
    weir_partition_stats stats;
    weir_partition_get_stats(partition, &stats);
    size_t peak = peak_mib() - before;
    size_t budget = CACHE_MIB + MEMTABLE_MIB * MEMTABLES * FAMILIES + BLOCKS_MIB + REST_MIB;
    fprintf(stderr, "peak %zu MiB of %zu; record cache %zu MiB; %d MiB written\n", peak, budget,
            stats.cache_bytes / MIB, (int)((size_t)RECORDS * VALUE_SIZE / MIB));
    bool is_full = stats.cache_bytes > CACHE_MIB * MIB * 3 / 4;
    weir_state_manager_free(manager);
    _exit(peak <= budget && is_full && stats.cache_bytes <= CACHE_MIB * MIB ? 0 : 1);
}

static void test_peak_memory_stays_within_the_budget(void **state)
{
    (void)state;
    int status;
    char *folder = test_folder_new();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_child(folder);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    test_folder_remove(folder);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak_memory_stays_within_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
