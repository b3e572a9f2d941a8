/*
 * A store partition inside the state layer: one database, its column families by
 * number, its changelog, its record cache, and what is stored about offsets.
 *
 * Stored in the column family "__metadata__" (docs/formats/state.md):
 *   __changelog_offset__        integer, 8 bytes big-endian, as Quix Streams
 *   __weir_processed_offsets__  JSON {"topic":offset,…}, Weir's own
 *   __weir_window_ends__        integer: the index of windows by end is complete as of this
 *                               changelog offset + 1, Weir's own
 *   __weir_store_kind__         the name of the kind of store, with the first batch, Weir's own
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_PARTITION_H
#define WEIR_STATE_PARTITION_H

#include <weir/state.h>

#include "backend/database.h"
#include "base/buffer.h"
#include "state/kind.h"
#include "state/record_cache.h"
#include "state/ttl.h"

#define WEIR__CF_METADATA "__metadata__"

typedef struct weir__recovery weir__recovery; /* recovery.c */

typedef struct weir__partition_cf {
    char *name;
    weir_backend_cf *handle;
    bool is_local;    /* stays out of the changelog */
    bool is_uncached; /* stays out of the record cache */
} weir__partition_cf;

typedef struct weir__processed_offset {
    char *topic;
    int64_t offset;
} weir__processed_offset;

/* The index of a windowed store's windows by end. */
typedef enum weir__ends {
    WEIR__ENDS_NONE,  /* not there, or of another changelog offset */
    WEIR__ENDS_VALID, /* complete, and kept up with every batch */
    WEIR__ENDS_STALE  /* it was complete; the next batch must say that it is not */
} weir__ends;

struct weir_partition {
    /* Who it is, for messages. Owned. */
    char *store;
    char *stream_id; /* NULL: none */
    int32_t number;
    char *path;
    weir__kind_options kind;
    bool is_kind_stored; /* else the next batch stores it */

    weir__database *database;
    const weir_backend *backend; /* of the database, emulation in place */
    weir_backend_db *db;

    weir__partition_cf *cfs; /* [WEIR_CF_DEFAULT] is "default", then those of the kind */
    size_t cf_count;
    weir_backend_cf *metadata;

    weir_changelog *changelog;         /* NULL: none. Owned. */
    int64_t changelog_offset;          /* as stored; WEIR_OFFSET_NONE */
    weir__processed_offset *processed; /* as stored */
    size_t processed_count;

    weir__ttl ttl;
    weir__record_cache *cache; /* NULL: none */
    bool began_empty;          /* no family held anything when it was opened */
    weir_txn *spare_txn;       /* a freed transaction whose memory waits for the next */
    weir_txn *open_list;       /* the transactions that are open */
    size_t open_txns;
    weir__recovery *recovery; /* NULL: none in progress */
    weir_gap_policy gap_policy;

    weir__ends ends;
    uint64_t memo_epoch; /* from 1; see state/memo.h */

    void (*before_read)(void *arg); /* both or none: see weir_partition_set_read_hooks */
    void (*after_read)(void *arg);
    void *read_arg;

    weir_partition_stats stats;
    weir_backend_op *ops; /* room for a batch, kept from flush to flush */
    size_t ops_capacity;
    weir__buffer scratch; /* for the metadata values of a batch */
};

/* Whether what the record cache does not have is nowhere: a state that began empty, and fits
 * into the cache, is never read from the backend. */
static inline bool weir__partition_is_cached(const weir_partition *partition)
{
    return partition->began_empty && weir__record_cache_is_whole(partition->cache);
}

typedef struct weir__partition_config {
    const char *store;
    const char *stream_id;
    int32_t number;
    const char *path;
    weir__kind_options kind;
    const char *backend_spec;
    const weir_option *backend_options;
    weir_changelog *changelog; /* handed over, also on failure; NULL: none */
    weir_gap_policy gap_policy;
    weir_mismatch_policy on_backend_mismatch;
    bool use_cache;
    int open_deadline_ms;
    const volatile bool *stop;
} weir__partition_config;

/* Around a read of the backend. */
static inline void weir__partition_read_begins(const weir_partition *partition)
{
    if (partition->before_read)
        partition->before_read(partition->read_arg);
}

static inline void weir__partition_read_ends(const weir_partition *partition)
{
    if (partition->after_read)
        partition->after_read(partition->read_arg);
}

/* Opens the database and reads what is stored about offsets. *partition [out]. */
weir_status weir__partition_open(const weir__partition_config *config, weir_partition **partition,
                                 weir_error *err);
weir_status weir__partition_close(weir_partition *partition, weir_error *err);

/*
 * One atomic batch: ops[0…count), which has room for four more at its end, then the
 * changelog offset and the processed offsets (each only if given), the state of the
 * index by end, and the kind of store if it is not stored yet. The one place that
 * writes to the database. WEIR_OFFSET: changelog_offset is below the stored one.
 * Syncs when there is no changelog. The record cache is the caller's business.
 */
weir_status weir__partition_write(weir_partition *partition, weir_backend_op *ops, size_t count,
                                  int64_t changelog_offset, const weir_topic_offset *processed,
                                  size_t processed_count, weir_error *err);
/* Room for `count` ops plus the four of weir__partition_write. NULL: no memory. */
weir_backend_op *weir__partition_ops(weir_partition *partition, size_t count);
/* Says in the database that the index by end is complete. */
weir_status weir__partition_ends_complete(weir_partition *partition, weir_error *err);
/* *is_empty [out]: the database has no key in it; false after an error. */
weir_status weir__partition_cf_is_empty(const weir_partition *partition, weir_backend_cf *cf,
                                        bool *is_empty, weir_error *err);
/* Deletes all keys of a column family, in batches. */
weir_status weir__partition_cf_clear(weir_partition *partition, weir_backend_cf *cf,
                                     weir_error *err);

/* "…: what (store=… stream=… partition=… backend=… path=…)", the one form of errors here. */
weir_status weir__partition_error(const weir_partition *partition, weir_status status,
                                  weir_error *err, const char *format, ...) WEIR_PRINTF(4, 5);

/* incomplete.c: WEIR_INVALID if the database belongs to a copy to a URL that was broken off. */
weir_status weir__incomplete_check(const weir__partition_config *config, weir_partition *partition,
                                   weir_error *err);

/* txn.c: frees partition->spare_txn. */
void weir__txn_destroy(weir_txn *txn);
/* recovery.c: frees partition->recovery. NULL is allowed. */
void weir__recovery_free(weir__recovery *recovery);

#endif
