/*
 * The counting job on Weir's public API.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "counting.h"

#include <stdlib.h>
#include <string.h>

#include "keys.h"

#define PRELOAD_CHECKPOINT 100000u

/* ---------------------------------------------------------------------------
 * A changelog that forgets
 * ------------------------------------------------------------------------- */

static weir_status log_append(weir_changelog *changelog, const weir_changelog_record *record,
                              weir_error *err)
{
    (void)record;
    (void)err;
    ((counting_log *)changelog)->next++;
    return WEIR_OK;
}

static weir_status log_flush(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                             weir_error *err)
{
    (void)timeout_ms;
    (void)err;
    *last_offset = ((counting_log *)changelog)->next - 1;
    return WEIR_OK;
}

static weir_status log_range(weir_changelog *changelog, int64_t *low, int64_t *high,
                             weir_error *err)
{
    (void)err;
    *low = *high = ((counting_log *)changelog)->next;
    return WEIR_OK;
}

static weir_status log_seek(weir_changelog *changelog, int64_t offset, weir_error *err)
{
    (void)changelog;
    (void)offset;
    (void)err;
    return WEIR_OK;
}

static weir_status log_read(weir_changelog *changelog, weir_changelog_record *records, size_t max,
                            int timeout_ms, size_t *count, int64_t *position, weir_error *err)
{
    (void)records;
    (void)max;
    (void)timeout_ms;
    (void)err;
    *count = 0;
    *position = ((counting_log *)changelog)->next;
    return WEIR_OK;
}

static void log_close(weir_changelog *changelog)
{
    free(changelog);
}

static weir_status open_log(const char *store, const char *stream_id, int32_t partition,
                            weir_changelog **changelog, void *arg, weir_error *err)
{
    static const weir_changelog_ops ops = {sizeof(weir_changelog_ops),
                                           log_append,
                                           log_flush,
                                           log_range,
                                           log_seek,
                                           log_read,
                                           log_close};
    counting *self = arg;
    (void)store;
    (void)stream_id;
    (void)partition;
    self->log = calloc(1, sizeof(*self->log));
    *changelog = &self->log->base;
    if (!self->log)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a changelog");
    self->log->base.ops = &ops;
    self->log->base.name = "forgetting";
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * The job
 * ------------------------------------------------------------------------- */

bool counting_open(counting *self, const char *state_dir, const char *backend, size_t cache_bytes,
                   bench_sample *sample)
{
    weir_store_config store;
    weir_store_config_init(&store);
    return counting_open_store(self, state_dir, backend, cache_bytes, &store, sample);
}

bool counting_open_store(counting *self, const char *state_dir, const char *backend,
                         size_t cache_bytes, weir_store_config *store, bench_sample *sample)
{
    weir_error err;
    weir_state_options options;
    memset(self, 0, sizeof(*self));
    weir_error_init(&err);
    weir_log_set_level(WEIR_LOG_WARN);
    weir_state_options_init(&options);
    options.state_dir = state_dir;
    options.group_id = "bench";
    options.state_backend = backend;
    options.cache_bytes = cache_bytes;
    options.changelog_open = open_log;
    options.changelog_arg = self;
    store->stream_id = "records";
    if (weir_state_manager_new(&options, &self->manager, &err) != WEIR_OK ||
        weir_state_manager_register(self->manager, store, &err) != WEIR_OK ||
        weir_state_manager_assign(self->manager, "records", 0, &err) != WEIR_OK)
        return bench_fail(sample, &err, "open the state on %s", backend);
    self->partition = weir_state_manager_partition(self->manager, "default", "records", 0);
    if (!self->partition)
        return bench_fail(sample, NULL, "the partition is not there");
    self->log->next = weir_partition_changelog_offset(self->partition) + 1;
    return true;
}

void counting_close(counting *self)
{
    weir_state_manager_free(self->manager);
    memset(self, 0, sizeof(*self));
}

weir_status counting_checkpoint(counting *self, weir_txn **txn, int64_t offset, weir_error *err)
{
    int64_t last = WEIR_OFFSET_NONE;
    double start = bench_now();
    const weir_topic_offset processed = {"records", offset};
    weir_status status = weir_txn_prepare(*txn, &processed, 1, err);
    if (status == WEIR_OK)
        status = self->log->base.ops->flush(&self->log->base, 0, &last, err);
    if (status == WEIR_OK)
        status = weir_txn_flush(*txn, last, err);
    self->flush_seconds += bench_now() - start;
    weir_txn_free(*txn);
    *txn = NULL;
    return status;
}

bool counting_steps(counting *self, size_t count, size_t checkpoint, counting_step step, void *arg,
                    const char *what, bench_sample *sample)
{
    weir_error err;
    weir_txn *txn = NULL;
    weir_status status = WEIR_OK;
    weir_error_init(&err);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        if (!txn)
            status = weir_partition_begin(self->partition, &txn, &err);
        if (status == WEIR_OK)
            status = step(txn, i, arg, &err);
        if (status == WEIR_OK && ((i + 1) % checkpoint == 0 || i + 1 == count))
            status = counting_checkpoint(self, &txn, (int64_t)i, &err);
    }
    weir_txn_free(txn);
    return status == WEIR_OK || bench_fail(sample, &err, "%s", what);
}

static weir_state *view(weir_txn *txn, uint32_t key)
{
    char prefix[BENCH_KEY_SIZE];
    bench_key_text(key, prefix);
    return weir_txn_state(txn, weir_slice_of(prefix, sizeof(prefix)));
}

static weir_status count_one(weir_txn *txn, size_t number, void *arg, weir_error *err)
{
    const uint32_t *const *keys = arg;
    int64_t counter = 0;
    weir_state *state = view(txn, (*keys)[number]);
    weir_status status = weir_state_get_int(state, BENCH_VALUE_NAME, 0, &counter, err);
    if (status == WEIR_OK)
        status = weir_state_set_int(state, BENCH_VALUE_NAME, counter + 1, err);
    return status;
}

static weir_status set_one(weir_txn *txn, size_t number, void *arg, weir_error *err)
{
    const uint32_t *const *keys = arg;
    return weir_state_set_int(view(txn, (*keys)[number]), BENCH_VALUE_NAME, (int64_t)number, err);
}

static weir_status preload_one(weir_txn *txn, size_t number, void *arg, weir_error *err)
{
    (void)arg;
    return weir_state_set_int(view(txn, (uint32_t)number), BENCH_VALUE_NAME, 1, err);
}

bool counting_run(counting *self, const uint32_t *keys, size_t count, size_t checkpoint,
                  bench_sample *sample)
{
    return counting_steps(self, count, checkpoint, count_one, &keys, "count", sample);
}

bool counting_set(counting *self, const uint32_t *keys, size_t count, size_t checkpoint,
                  bench_sample *sample)
{
    return counting_steps(self, count, checkpoint, set_one, &keys, "set", sample);
}

bool counting_preload(counting *self, uint32_t count, bench_sample *sample)
{
    return counting_steps(self, count, PRELOAD_CHECKPOINT, preload_one, NULL, "preload", sample);
}

bool counting_get(counting *self, const uint32_t *keys, size_t count, bench_sample *sample)
{
    weir_error err;
    weir_txn *txn = NULL;
    weir_error_init(&err);
    weir_status status = weir_partition_begin(self->partition, &txn, &err);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        int64_t counter = 0;
        status = weir_state_get_int(view(txn, keys[i]), BENCH_VALUE_NAME, 0, &counter, &err);
    }
    weir_txn_free(txn);
    return status == WEIR_OK || bench_fail(sample, &err, "get");
}

/* *found [out]: items read, fewer than asked for at the end of all keys. */
static weir_status scan_once(weir_txn *txn, uint32_t from, size_t items, size_t *found,
                             weir_error *err)
{
    char lower[BENCH_STATE_KEY_SIZE];
    weir_iter *iter = NULL;
    weir_slice key;
    weir_slice value;
    bench_state_key(from, lower);
    const weir_iter_options range = {.struct_size = sizeof(range),
                                     .lower = weir_slice_of(lower, sizeof(lower)),
                                     .has_lower = true};
    weir_status status = weir_txn_iter_open(txn, WEIR_CF_DEFAULT, &range, &iter, err);
    for (*found = 0; *found < items && status == WEIR_OK; (*found)++) {
        status = weir_iter_next(iter, &key, &value, err);
        if (status != WEIR_OK)
            break;
    }
    weir_iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

bool counting_scan(counting *self, const uint32_t *keys, size_t count, size_t items,
                   bench_sample *sample)
{
    weir_error err;
    weir_txn *txn = NULL;
    weir_error_init(&err);
    weir_status status = weir_partition_begin(self->partition, &txn, &err);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        size_t found = 0;
        size_t rest = 0;
        status = scan_once(txn, keys[i], items, &found, &err);
        if (status == WEIR_OK && found < items)
            status = scan_once(txn, 0, items - found, &rest, &err);
        if (status == WEIR_OK && found + rest < items)
            status = weir_error_set(&err, WEIR_INVALID, "only %zu items", found + rest);
    }
    weir_txn_free(txn);
    return status == WEIR_OK || bench_fail(sample, &err, "scan");
}

bool counting_read(counting *self, uint32_t key, int64_t *value, bench_sample *sample)
{
    weir_error err;
    weir_txn *txn = NULL;
    weir_error_init(&err);
    weir_status status = weir_partition_begin(self->partition, &txn, &err);
    if (status == WEIR_OK)
        status = weir_state_get_int(view(txn, key), BENCH_VALUE_NAME, 0, value, &err);
    weir_txn_free(txn);
    return status == WEIR_OK || bench_fail(sample, &err, "read a counter");
}
