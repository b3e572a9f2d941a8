/*
 * Makes state for the tests of `weir state`: a store with a changelog in memory.
 *
 * usage: make_state STATE_DIR BACKEND ROWS [PARTITIONS [hold]]
 *
 * Keys "k0" … with values 0 …, processed offsets of the topic "t". With "hold" it says "ready" and
 * keeps the state open until its stdin ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

static weir_memory_topic *topic;

static weir_status open_changelog(const char *store, const char *stream_id, int32_t partition,
                                  weir_changelog **changelog, void *arg, weir_error *err)
{
    (void)store;
    (void)stream_id;
    (void)partition;
    (void)arg;
    return weir_memory_topic_open(topic, "changelog", changelog, err);
}

static weir_status fill(weir_partition *partition, int64_t rows, weir_error *err)
{
    char prefix[32];
    weir_txn *txn;
    const weir_topic_offset processed = {"t", rows};
    weir_status status = weir_partition_begin(partition, &txn, err);
    for (int64_t i = 0; i < rows && status == WEIR_OK; i++) {
        snprintf(prefix, sizeof prefix, "k%" PRId64, i);
        status = weir_state_set_int(weir_txn_state(txn, weir_slice_str(prefix)), "n", i, err);
    }
    if (status == WEIR_OK)
        status = weir_txn_prepare(txn, &processed, 1, err);
    if (status == WEIR_OK)
        status = weir_txn_flush(txn, rows - 1, err);
    weir_txn_free(txn);
    return status;
}

int main(int argc, char **argv)
{
    weir_error err;
    weir_error_init(&err);
    weir_state_manager *manager = NULL;
    weir_state_options options;
    weir_store_config store;
    if (argc < 4)
        return 2;
    topic = weir_memory_topic_new();
    weir_state_options_init(&options);
    options.state_dir = argv[1];
    options.group_id = "group";
    options.state_backend = argv[2];
    options.changelog_open = open_changelog;
    weir_store_config_init(&store);
    store.stream_id = "topic";
    weir_status status = weir_state_manager_new(&options, &manager, &err);
    if (status == WEIR_OK)
        status = weir_state_manager_register(manager, &store, &err);
    int partitions = argc > 4 ? atoi(argv[4]) : 1;
    for (int i = 0; i < partitions && status == WEIR_OK; i++) {
        status = weir_state_manager_assign(manager, "topic", i, &err);
        if (status == WEIR_OK)
            status = fill(weir_state_manager_partition(manager, "default", "topic", i),
                          atoll(argv[3]), &err);
    }
    if (status == WEIR_OK && argc > 5 && strcmp(argv[5], "hold") == 0) {
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF) {
        }
    }
    weir_state_manager_free(manager);
    weir_memory_topic_free(topic);
    if (status != WEIR_OK)
        fprintf(stderr, "%s: %s\n", weir_status_name(status), err.message);
    return status == WEIR_OK ? 0 : 1;
}
