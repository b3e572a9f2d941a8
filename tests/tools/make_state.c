/*
 * Makes state for the tests of `weir state`: a store with a changelog in memory.
 *
 * usage: make_state STATE_DIR BACKEND ROWS [PARTITIONS [hold|ttl|windowed|timestamped]]
 *
 * Keys "k0" … with values 0 …, processed offsets of the topic "t". "hold" says "ready" and keeps
 * the state open until its stdin ends. The others make rows of that kind:
 *
 *   ttl          the value expires i + 1 seconds after HOUR
 *   windowed     key "k", and "k|" with the same bytes behind it: the i-th hour, and a collected
 * value timestamped  the same two keys: i seconds after HOUR
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

#define HOUR INT64_C(3600000)

static const char other_key[] = "k|\0\0\0\0\0\0\0\1";

typedef weir_status (*set_row)(weir_txn *txn, int64_t i, weir_error *err);

static weir_status set_plain(weir_txn *txn, int64_t i, weir_error *err)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "k%" PRId64, i);
    return weir_state_set_int(weir_txn_state(txn, weir_slice_str(prefix)), "n", i, err);
}

static weir_status set_ttl(weir_txn *txn, int64_t i, weir_error *err)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "k%" PRId64, i);
    weir_txn_set_event_time(txn, HOUR);
    return weir_txn_set_ttl(txn, weir_slice_str(prefix), weir_slice_str("n"), weir_slice_str("1"),
                            i == 0 ? WEIR_TTL_NEVER : 1000 * (i + 1), err);
}

static weir_slice key_number(int which)
{
    return which == 0 ? weir_slice_str("k") : weir_slice_of(other_key, sizeof other_key - 1);
}

static weir_status set_windowed(weir_txn *txn, int64_t i, weir_error *err)
{
    char value[24];
    weir_status status = WEIR_OK;
    snprintf(value, sizeof value, "%" PRId64, i);
    int64_t id = i * HOUR;
    for (int which = 0; which < 2 && status == WEIR_OK; which++) {
        weir_state *state = weir_txn_state(txn, key_number(which));
        status = weir_window_update(state, i * HOUR, (i + 1) * HOUR, weir_slice_str(value),
                                    i * HOUR, err);
        if (status == WEIR_OK)
            status = weir_window_collect(state, &id, weir_slice_str(value), NULL, err);
    }
    return status;
}

static weir_status set_timestamped(weir_txn *txn, int64_t i, weir_error *err)
{
    char value[24];
    weir_status status = WEIR_OK;
    snprintf(value, sizeof value, "%" PRId64, i);
    for (int which = 0; which < 2 && status == WEIR_OK; which++)
        status = weir_timestamped_set(weir_txn_state(txn, key_number(which)), HOUR + 1000 * i,
                                      weir_slice_str(value), err);
    return status;
}

typedef struct kind {
    const char *name;
    weir_store_kind kind;
    set_row set;
} kind;

static const kind kinds[] = {
    {"ttl", WEIR_STORE_PLAIN, set_ttl},
    {"windowed", WEIR_STORE_WINDOWED, set_windowed},
    {"timestamped", WEIR_STORE_TIMESTAMPED, set_timestamped},
    {NULL, WEIR_STORE_PLAIN, set_plain},
};

static const kind *find_kind(const char *name)
{
    const kind *of = kinds;
    while (of->name != NULL && (name == NULL || strcmp(of->name, name) != 0))
        of++;
    return of;
}

static weir_status fill(weir_partition *partition, int64_t rows, set_row set, weir_error *err)
{
    weir_txn *txn;
    const weir_topic_offset processed = {"t", rows};
    weir_status status = weir_partition_begin(partition, &txn, err);
    for (int64_t i = 0; i < rows && status == WEIR_OK; i++)
        status = set(txn, i, err);
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
    const kind *of = find_kind(argc > 5 ? argv[5] : NULL);
    store.kind = of->kind;
    store.keep_duplicates = of->kind == WEIR_STORE_TIMESTAMPED;
    weir_status status = weir_state_manager_new(&options, &manager, &err);
    if (status == WEIR_OK)
        status = weir_state_manager_register(manager, &store, &err);
    int partitions = argc > 4 ? atoi(argv[4]) : 1;
    for (int i = 0; i < partitions && status == WEIR_OK; i++) {
        status = weir_state_manager_assign(manager, "topic", i, &err);
        if (status == WEIR_OK)
            status = fill(weir_state_manager_partition(manager, "default", "topic", i),
                          atoll(argv[3]), of->set, &err);
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
