/*
 * The counting job on Weir's public API: a partition with a changelog that forgets what it
 * is given, so that state alone is measured.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_COUNTING_H
#define WEIR_BENCH_COUNTING_H

#include <weir/state.h>

#include "harness.h"

typedef struct counting_log {
    weir_changelog base;
    int64_t next; /* offset of the next record */
} counting_log;

typedef struct counting {
    weir_state_manager *manager;
    weir_partition *partition;
    counting_log *log;    /* owned by the partition */
    double flush_seconds; /* of all checkpoints so far */
} counting;

/* Where the only partition is below a state folder. */
#define COUNTING_PARTITION "bench/default/records/0"

bool counting_open(counting *self, const char *state_dir, const char *backend, size_t cache_bytes,
                   bench_sample *sample);
/* The same with a store of another kind; its name and stream are set here. */
bool counting_open_store(counting *self, const char *state_dir, const char *backend,
                         size_t cache_bytes, weir_store_config *store, bench_sample *sample);
/* NULL members are allowed. */
void counting_close(counting *self);

/* Ends *txn with a checkpoint at the record `offset`; NULL then. */
weir_status counting_checkpoint(counting *self, weir_txn **txn, int64_t offset, weir_error *err);
/* A step for each of `count` records, with a checkpoint every so many. `what` is for messages. */
typedef weir_status (*counting_step)(weir_txn *txn, size_t number, void *arg, weir_error *err);
bool counting_steps(counting *self, size_t count, size_t checkpoint, counting_step step, void *arg,
                    const char *what, bench_sample *sample);
/* For each record get + set of its key's counter, and a checkpoint every so many. */
bool counting_run(counting *self, const uint32_t *keys, size_t count, size_t checkpoint,
                  bench_sample *sample);
/* Reads the counter of each record's key. */
bool counting_get(counting *self, const uint32_t *keys, size_t count, bench_sample *sample);
/* Sets the counter of each record's key to the number of the record, with checkpoints. */
bool counting_set(counting *self, const uint32_t *keys, size_t count, size_t checkpoint,
                  bench_sample *sample);
/* `count` scans of `items` items each, from the counter of a key on, round the end of all keys. */
bool counting_scan(counting *self, const uint32_t *keys, size_t count, size_t items,
                   bench_sample *sample);
/* Sets the counter of the keys 0 to count - 1 to 1, in large checkpoints. */
bool counting_preload(counting *self, uint32_t count, bench_sample *sample);
/* 0: there is none. */
bool counting_read(counting *self, uint32_t key, int64_t *value, bench_sample *sample);

#endif
