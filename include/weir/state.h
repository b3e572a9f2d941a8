/*
 * weir/state.h: state beside a stream. A state manager holds stores; a store has
 * partitions, each one database of a backend; a transaction collects all changes
 * of one checkpoint of one partition; a changelog makes them recoverable.
 *
 * weir/app.h drives all this for programs that read from Kafka. This header alone
 * is enough for a program that has its own way to the records.
 *
 * The way of a change:
 *
 *   weir_partition_begin ─► weir_txn_set … ─► weir_txn_prepare ─► (the caller makes
 *   the changelog durable and commits its offsets) ─► weir_txn_flush
 *
 * Keys, values and changelog messages have the bytes of Quix Streams 3.x; see
 * docs/formats/state.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include <weir/base.h>
#include <weir/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_state_manager weir_state_manager;
typedef struct weir_partition weir_partition;
typedef struct weir_txn weir_txn;
typedef struct weir_state weir_state;
typedef struct weir_iter weir_iter;

/* No changelog offset, or no offset at all. */
#define WEIR_OFFSET_NONE INT64_C(-1)

/* No event time. */
#define WEIR_TIME_NONE INT64_C(-1)

/* A state key, with its prefix, is at most this many bytes (WEIR_TOO_LARGE). */
#define WEIR_KEY_MAX_SIZE 65535u

/* An offset of a source topic, for the partition number at hand. */
typedef struct weir_topic_offset {
    const char *topic;
    int64_t offset;
} weir_topic_offset;

/* ---------------------------------------------------------------------------
 * Changelog
 *
 * The durable log of the changes of one store partition. Weir has one over a
 * Kafka topic (weir/app.h uses it) and one in memory (below, for tests and for
 * programs without a broker); others can be written against this table.
 * ------------------------------------------------------------------------- */

typedef struct weir_changelog_record {
    const char *cf; /* column family */
    weir_slice key; /* the state key with its prefix */
    weir_slice value;
    bool is_tombstone; /* the key was deleted; value is empty */
    /* The JSON of the header __processed_tp_offsets__: {"topic":offset,…} or
     * null; NULL when reading a record without that header. */
    const char *processed_offsets;
    size_t processed_offsets_size;
    int64_t offset; /* set by read; ignored by append */
    /* The header __ttl_stamped__: an expiry of 8 bytes stands before the value. False when
     * reading a record without that header, or with an empty one. */
    bool ttl_stamped;
} weir_changelog_record;

typedef struct weir_changelog weir_changelog;

typedef struct weir_changelog_ops {
    size_t struct_size;
    /* Takes over a copy of the record; need not wait for it to be durable. */
    weir_status (*append)(weir_changelog *changelog, const weir_changelog_record *record,
                          weir_error *err);
    /* Waits until all appended records are durable. *last_offset [out]: that of the
     * last record appended since the log was opened, WEIR_OFFSET_NONE if none. */
    weir_status (*flush)(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                         weir_error *err);
    /* The first offset still there, and the one after the last (low == high: empty). */
    weir_status (*range)(weir_changelog *changelog, int64_t *low, int64_t *high, weir_error *err);
    /* The next read starts at the first record with an offset ≥ `offset`. */
    weir_status (*seek)(weir_changelog *changelog, int64_t offset, weir_error *err);
    /*
     * Up to `max` committed records in order; waits at most timeout_ms for the
     * first. The records are borrowed until the next call. *count [out] may be 0.
     * *position [out] is the offset at which the next read continues: it moves
     * over control records and aborted records too, so that position ≥ high says
     * "all read" also when no record came. WEIR_OFFSET: what stood at the position
     * was deleted after the seek.
     */
    weir_status (*read)(weir_changelog *changelog, weir_changelog_record *records, size_t max,
                        int timeout_ms, size_t *count, int64_t *position, weir_error *err);
    /* Releases the log and its memory. */
    void (*close)(weir_changelog *changelog);
} weir_changelog_ops;

/* An implementation embeds this as its first member. */
struct weir_changelog {
    const weir_changelog_ops *ops;
    const char *name; /* for messages: "changelog__group--topic--store[3]" */
};

/* The changelog in memory: a topic that outlives the partitions that write to it. */
typedef struct weir_memory_topic weir_memory_topic;

WEIR_API weir_memory_topic *weir_memory_topic_new(void);
WEIR_API void weir_memory_topic_free(weir_memory_topic *topic);
/* A handle on the topic; closing it leaves the records. Owner thread of the topic. */
WEIR_API weir_status weir_memory_topic_open(weir_memory_topic *topic, const char *name,
                                            weir_changelog **changelog, weir_error *err);
/* Forgets the records below `offset`, as retention or DeleteRecords does. */
WEIR_API void weir_memory_topic_truncate(weir_memory_topic *topic, int64_t offset);
/* Keeps only the last record of each (column family, key), offsets unchanged. */
WEIR_API void weir_memory_topic_compact(weir_memory_topic *topic);
/* Takes up one offset without a record, as the end of a Kafka transaction does. */
WEIR_API void weir_memory_topic_append_control(weir_memory_topic *topic);

/* ---------------------------------------------------------------------------
 * State manager
 *
 * Owner thread, all of it: one thread at a time uses a manager and what it
 * opened. Several managers in a process share the memory budget.
 * ------------------------------------------------------------------------- */

/* What to do when a changelog can't bring a partition up to date, because records
 * between the stored offset and now are gone, or the topic was made anew. */
typedef enum weir_gap_policy {
    WEIR_GAP_FAIL = 0,   /* WEIR_OFFSET with a message that says what is missing */
    WEIR_GAP_REBUILD = 1 /* WARN, destroy the local state, replay what there is */
} weir_gap_policy;

/* What to do when the folder of a partition was written by another backend. */
typedef enum weir_mismatch_policy {
    WEIR_MISMATCH_REFUSE = 0, /* WEIR_WRONG_BACKEND with the command that migrates the state */
    /* Destroy it and rebuild it from the changelog, with an INFO line before and one after. A
     * store without changelog is refused all the same. */
    WEIR_MISMATCH_REBUILD = 1
} weir_mismatch_policy;

/*
 * Opens the changelog of a store partition; called when a partition is assigned.
 * WEIR_UNSUPPORTED is not allowed: a store without changelog says so in its config.
 */
typedef weir_status (*weir_changelog_open_fn)(const char *store, const char *stream_id,
                                              int32_t partition, weir_changelog **changelog,
                                              void *arg, weir_error *err);

typedef struct weir_state_options {
    size_t struct_size;
    /*
     * Folder of all state, created when missing. Default "state". Or a URL, "s3://BUCKET/PATH"
     * (az://, gs://), for backends with WEIR_CAP_OBJECT_STORAGE: there is no lock there, but the
     * newest writer fences the older one, whose changes are WEIR_FENCED then.
     */
    const char *state_dir;
    /* Consumer group; a folder below state_dir. Required. */
    const char *group_id;
    /* A backend spec (weir/backend.h). Default: $WEIR_STATE_BACKEND, else "rocksdb". */
    const char *state_backend;
    /* Options for the backend, and for every backend these: open_max_retries (10),
     * open_retry_backoff (3.0 s), on_corrupted_recreate (true). Borrowed for the call. */
    const weir_option *state_options;
    /* Bytes for the record caches of all managers of the process together; the
     * largest value any of them asked for holds. 0: no record cache. Default 256 MiB. */
    size_t cache_bytes;
    /* Opening changelogs. NULL: no store has a changelog. Must outlive the manager. */
    weir_changelog_open_fn changelog_open;
    void *changelog_arg;
    weir_gap_policy gap_policy; /* default WEIR_GAP_FAIL */
    /* Waiting for a lock ends at this many ms in all, whatever the retries. 0: no bound. */
    int open_deadline_ms;
    /* When it becomes true, waits end with WEIR_ABORTED. May be NULL. */
    const volatile bool *stop;
    /* Options of two backends, typed: weir/options.h. Borrowed for the call. NULL: none. */
    const weir_rocksdb_options *rocksdb_options;
    const weir_slatedb_options *slatedb_options;
    weir_mismatch_policy on_backend_mismatch; /* default WEIR_MISMATCH_REFUSE */
} weir_state_options;

WEIR_API void weir_state_options_init(weir_state_options *options);

/* *manager [out]. WEIR_INVALID: an unknown option or backend, a bad group id, a URL for a backend
 * that keeps state in local folders alone. */
WEIR_API weir_status weir_state_manager_new(const weir_state_options *options,
                                            weir_state_manager **manager, weir_error *err);
/* Revokes what is assigned and releases all. NULL is allowed. */
WEIR_API void weir_state_manager_free(weir_state_manager *manager);

/* What a store keeps for a key, beyond bytes under keys of the program. */
typedef enum weir_store_kind {
    WEIR_STORE_PLAIN = 0,
    WEIR_STORE_WINDOWED = 1,   /* values of windows in time: weir/window.h */
    WEIR_STORE_TIMESTAMPED = 2 /* values by event time: weir/timestamped.h */
} weir_store_kind;

typedef struct weir_store_config {
    size_t struct_size;
    /* Default "default". [A-Za-z0-9._-]+, at most 200 bytes. */
    const char *name;
    /* The topic, or several sorted and joined by "--". NULL: none. */
    const char *stream_id;
    const char *backend;                /* NULL: that of the manager */
    const weir_option *backend_options; /* NULL: those of the manager, if the backend is the same */
    bool changelog;                     /* default true, if the manager can open any */
    weir_store_kind kind;               /* default WEIR_STORE_PLAIN */
    /* WEIR_STORE_TIMESTAMPED: how far behind the latest timestamp of its key a value may be,
     * in ms, before it is too old to be kept. 0 or above; default 7 days. */
    int64_t grace_ms;
    /* WEIR_STORE_TIMESTAMPED: values of one key and timestamp are all kept, in the order in
     * which they came; false (default): the latest takes the place of the one before. */
    bool keep_duplicates;
    /* By how much event time, which makes values expire, may go on within one transaction,
     * in ms, at least 1: see TTL below. Default 86,400,000 (a day). */
    int64_t ttl_max_jump_ms;
    /* The changelog was written by Quix Streams 3.24 or 3.25, which mark no record whose value
     * has a TTL: what can be a value with a TTL is read as one. Default false. */
    bool ttl_unmarked;
} weir_store_config;

WEIR_API void weir_store_config_init(weir_store_config *config);

/* Adds a store, before any partition of its stream is assigned. Registering the
 * same again is allowed; WEIR_INVALID: the name is taken by another configuration, of which
 * the message tells kinds and backends. */
WEIR_API weir_status weir_state_manager_register(weir_state_manager *manager,
                                                 const weir_store_config *config, weir_error *err);
/* The same with config->kind set to WEIR_STORE_WINDOWED or WEIR_STORE_TIMESTAMPED. */
WEIR_API weir_status weir_state_manager_register_windowed_store(weir_state_manager *manager,
                                                                const weir_store_config *config,
                                                                weir_error *err);
WEIR_API weir_status weir_state_manager_register_timestamped_store(weir_state_manager *manager,
                                                                   const weir_store_config *config,
                                                                   weir_error *err);

/*
 * Opens partition number `partition` of every store of the stream: creates the
 * folder, takes the lock, checks who wrote it. After an error nothing of it is
 * open. Codes: LOCKED, CORRUPTED, WRONG_BACKEND, PERMISSION, NO_SPACE, IO, ABORTED; INVALID:
 * the state there is that of another kind of store; VERSION: a newer Weir wrote it.
 */
WEIR_API weir_status weir_state_manager_assign(weir_state_manager *manager, const char *stream_id,
                                               int32_t partition, weir_error *err);
/* Closes them. An open transaction is dropped with its changes. Not assigned: OK. */
WEIR_API weir_status weir_state_manager_revoke(weir_state_manager *manager, const char *stream_id,
                                               int32_t partition, weir_error *err);
/* An assigned partition, owned by the manager, valid until revoked; NULL if there is none. */
WEIR_API weir_partition *weir_state_manager_partition(weir_state_manager *manager,
                                                      const char *store, const char *stream_id,
                                                      int32_t partition);
/*
 * Removes all state of the group at state_dir. WEIR_BUSY while anything is assigned; WEIR_LOCKED
 * while another process has any of it open. At a URL nothing tells that, so end them before; what
 * is found there is that of the backends of the manager and its stores.
 */
WEIR_API weir_status weir_state_manager_clear(weir_state_manager *manager, weir_error *err);

/* ---------------------------------------------------------------------------
 * Partition
 * ------------------------------------------------------------------------- */

/* The backend spec, "rocksdb" or "trace:memory". Valid as long as the partition. */
WEIR_API const char *weir_partition_backend(const weir_partition *partition);
/* The folder or URL of the database. Valid as long as the partition. */
WEIR_API const char *weir_partition_path(const weir_partition *partition);
/* Offset of the last changelog record that the state holds; WEIR_OFFSET_NONE: none. */
WEIR_API int64_t weir_partition_changelog_offset(const weir_partition *partition);
WEIR_API bool weir_partition_has_changelog(const weir_partition *partition);
WEIR_API weir_store_kind weir_partition_kind(const weir_partition *partition);
/* Offset of the last processed record of `topic` in the state; WEIR_OFFSET_NONE: unknown. */
WEIR_API int64_t weir_partition_processed_offset(const weir_partition *partition,
                                                 const char *topic);

/* A column family of a partition, by number. WEIR_CF_DEFAULT always exists. */
typedef uint32_t weir_cf;
#define WEIR_CF_DEFAULT 0u
/* Finds or creates a column family. *cf [out]. WEIR_INVALID: one of Weir's own, that are not
 * in the changelog. */
WEIR_API weir_status weir_partition_cf(weir_partition *partition, const char *name, weir_cf *cf,
                                       weir_error *err);

typedef struct weir_partition_stats {
    uint64_t gets;         /* reads by transactions */
    uint64_t update_hits;  /* … answered by the transaction's own changes */
    uint64_t cache_hits;   /* … answered by the record cache, absent keys included */
    uint64_t backend_gets; /* … that went to the backend */
    uint64_t flushes;      /* batches written */
    uint64_t written;      /* changes in them */
    size_t cache_bytes;    /* memory of the record cache now */
    size_t cache_records;
} weir_partition_stats;

WEIR_API void weir_partition_get_stats(const weir_partition *partition,
                                       weir_partition_stats *stats);

/*
 * before and after are called around each read of a transaction or an iterator that goes to the
 * backend, and may wait for a disk or a network: a program that holds a lock for long can give it
 * up in between. What caches answer calls nothing. Both NULL (the default): no calls.
 */
WEIR_API void weir_partition_set_read_hooks(weir_partition *partition, void (*before)(void *arg),
                                            void (*after)(void *arg), void *arg);

/* --- Recovery --- */

typedef struct weir_recovery_progress {
    const char *store;
    const char *stream_id;
    int32_t partition;
    int64_t position; /* the next changelog offset to read */
    int64_t end;      /* where recovery ends: the high watermark when it began */
    int64_t applied;  /* records written */
    int64_t skipped;  /* records of changes whose source records come again */
} weir_recovery_progress;

/*
 * Begins to bring the partition up to date with its changelog. `start` holds, for
 * each source topic, the offset at which processing goes on: a changelog record
 * whose processed offset for any topic is ≥ that is skipped, because its source
 * record will be processed again. A topic that is not in `start` sets no bound.
 * *needed [out]: false when there is nothing to read. Without changelog: OK, false.
 * WEIR_OFFSET: records that are needed are gone, and the policy is to fail. WEIR_BUSY: a
 * transaction is open. WEIR_INVALID: an offset in `start` is below 0.
 */
WEIR_API weir_status weir_partition_recovery_begin(weir_partition *partition,
                                                   const weir_topic_offset *start, size_t count,
                                                   bool *needed, weir_error *err);
/*
 * Reads records for about budget_ms (0: one read) and applies them in bulk, each batch
 * with its offset in the same atomic write: it may be stopped at any point and begun
 * anew. What was read is gathered over several steps until it makes a batch; a step that
 * fails, and one with budget_ms 0, leaves all it has read in the database.
 * *done [out]: all is read and written. progress [out] may be NULL. WEIR_TIMEOUT: the
 * changelog gave nothing for stall_ms (0: no bound), although it should.
 */
WEIR_API weir_status weir_partition_recovery_step(weir_partition *partition, int budget_ms,
                                                  int stall_ms, bool *done,
                                                  weir_recovery_progress *progress,
                                                  weir_error *err);

/* ---------------------------------------------------------------------------
 * Transaction
 *
 *   STARTED ──prepare──► PREPARED ──flush──► COMPLETE
 *      └────────┴─ any failed change ─► FAILED
 *
 * Reads see the transaction's own changes, then the record cache, then the
 * backend. Reads and changes are allowed in STARTED alone; a call in a status that
 * does not allow it is WEIR_TXN_FAILED. Several transactions of a partition may be
 * open: each sees its own changes and what others have flushed. Slices that reads
 * hand out are borrowed until the next call on any transaction of the partition.
 * ------------------------------------------------------------------------- */

typedef enum weir_txn_status {
    WEIR_TXN_STARTED = 1,
    WEIR_TXN_PREPARED = 2,
    WEIR_TXN_COMPLETE = 3,
    WEIR_TXN_FAILED_STATUS = 4
} weir_txn_status;

/* *txn [out], freed with weir_txn_free before the partition is revoked. The memory
 * of a freed transaction is kept for the next one of the partition. WEIR_BUSY: a
 * recovery has begun and is not done. */
WEIR_API weir_status weir_partition_begin(weir_partition *partition, weir_txn **txn,
                                          weir_error *err);
/* Drops what was not flushed. NULL is allowed. */
WEIR_API void weir_txn_free(weir_txn *txn);

WEIR_API weir_txn_status weir_txn_get_status(const weir_txn *txn);
/* True once a set or delete was made. */
WEIR_API bool weir_txn_changed(const weir_txn *txn);
/* Distinct changed keys, and the bytes the changes take in memory. */
WEIR_API size_t weir_txn_change_count(const weir_txn *txn);
WEIR_API size_t weir_txn_change_bytes(const weir_txn *txn);

/*
 * The state key of (prefix, key) is prefix ∥ 0x7C ∥ key, and key alone when the
 * prefix is empty. get: WEIR_NOT_FOUND when absent; *value [out].
 */
WEIR_API weir_status weir_txn_get(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                                  weir_slice *value, weir_error *err);
WEIR_API weir_status weir_txn_exists(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                                     bool *exists, weir_error *err);
/* set copies key and value. */
WEIR_API weir_status weir_txn_set(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                                  weir_slice value, weir_error *err);
WEIR_API weir_status weir_txn_delete(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                                     weir_error *err);

/* --- TTL ---
 *
 * A value of a plain store, in WEIR_CF_DEFAULT, may expire: ttl_ms after the event time of the
 * record that set it. Expiry goes by event time alone. A partition has a clock, the greatest
 * event time that its transactions were told; a value is gone for every read (get, exists,
 * iteration) as soon as the clock reaches its expiry, and is deleted in the course of later
 * checkpoints, from the changelog too. A set without TTL replaces a value and its expiry.
 *
 * The clock belongs to the transaction until its flush: what a failed one saw does not count.
 * It never goes back, and is stored with the state. One record with a wrong time must not
 * expire everything: within one transaction the clock goes on by at most ttl_max_jump_ms of the
 * store (in a store without a clock: to that much after the wall clock), and a WARN says so.
 *
 * The first value with a TTL changes how the partition stores values (docs/formats/state.md).
 * Values that are there by then never expire; nothing is lost.
 */

/* A TTL that never ends. */
#define WEIR_TTL_NEVER INT64_MAX

/* The event time of the record at hand, in ms since 1970: for the TTLs that follow, and for the
 * clock. Below 0: the record has none. weir/app.h does this for each record. */
WEIR_API void weir_txn_set_event_time(weir_txn *txn, int64_t event_time);
/*
 * As weir_txn_set in WEIR_CF_DEFAULT; the value expires ttl_ms after the event time.
 * WEIR_INVALID: ttl_ms is not above 0, there is no event time, or the sum is 10^15 or more.
 * WEIR_UNSUPPORTED: not a plain store. Both make the transaction FAILED.
 */
WEIR_API weir_status weir_txn_set_ttl(weir_txn *txn, weir_slice prefix, weir_slice key,
                                      weir_slice value, int64_t ttl_ms, weir_error *err);

/* Marks the transaction FAILED: its changes will not be flushed. */
WEIR_API void weir_txn_fail(weir_txn *txn);

/*
 * STARTED → PREPARED: appends one changelog record for each changed key, in an
 * order that depends on the changes alone. `processed`: the offset of the last
 * processed record of each source topic, kept in the records and with the state;
 * count 0 writes null. An error makes the transaction FAILED.
 */
WEIR_API weir_status weir_txn_prepare(weir_txn *txn, const weir_topic_offset *processed,
                                      size_t count, weir_error *err);
/*
 * PREPARED (or STARTED, without changelog) → COMPLETE: one atomic batch with all
 * changes, the changelog offset and the processed offsets. changelog_offset:
 * WEIR_OFFSET_NONE keeps the stored one; one below the stored one is WEIR_OFFSET. An
 * empty transaction writes nothing. Without a changelog the batch is durable on return.
 */
WEIR_API weir_status weir_txn_flush(weir_txn *txn, int64_t changelog_offset, weir_error *err);

/* --- Iteration --- */

typedef struct weir_iter_options {
    size_t struct_size;
    weir_slice lower; /* inclusive; has_lower false: from the first key */
    weir_slice upper; /* exclusive; has_upper false: to the last key */
    bool has_lower;
    bool has_upper;
    bool reverse;
} weir_iter_options;

/*
 * State keys of a column family in order, with the transaction's changes merged in
 * as of this call: a change made while iterating does not show and does no harm.
 * options NULL: all, forward. Bounds are borrowed for the call. *iter [out].
 */
WEIR_API weir_status weir_txn_iter_open(weir_txn *txn, weir_cf cf, const weir_iter_options *options,
                                        weir_iter **iter, weir_error *err);
/* The next item, or WEIR_NOT_FOUND at the end; borrowed until the next call on the iterator. */
WEIR_API weir_status weir_iter_next(weir_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err);
/* Before the transaction is freed. NULL is allowed. */
WEIR_API void weir_iter_close(weir_iter *iter);

/* ---------------------------------------------------------------------------
 * State view: a transaction seen from one record key
 *
 * What operators receive. Text keys are stored as Quix Streams stores them, as
 * JSON strings ("flights" with its quotes); values as JSON in the form of orjson:
 * compact, UTF-8, doubles in their shortest form. A failed set makes the
 * transaction FAILED. A value of another type is WEIR_SERIALIZATION.
 * ------------------------------------------------------------------------- */

/* The view of a prefix (the record's key). One for each transaction: valid until the
 * next call of weir_txn_state. prefix is copied. NULL: no memory. */
WEIR_API weir_state *weir_txn_state(weir_txn *txn, weir_slice prefix);
/*
 * A hint: a record of this prefix comes about WEIR_EXPECT_AHEAD records later. For whoever has
 * the next records at hand, as an application has: called once for each of them, in their order,
 * it has what the transaction knows about a key in the processor's caches when its record is
 * there. Changes nothing, and reads nothing from the backend. Windowed and timestamped stores;
 * for a plain one it does nothing. prefix is borrowed for the call.
 */
#define WEIR_EXPECT_AHEAD 16
WEIR_API void weir_txn_expect(weir_txn *txn, weir_slice prefix);
/* The transaction that a view is of. */
WEIR_API weir_txn *weir_state_txn(const weir_state *state);

/* What is set through the view from now on expires ttl_ms after the event time of the record
 * at hand: see TTL above. Holds until the view's end; WEIR_TTL_NEVER takes it back. Errors as
 * of weir_txn_set_ttl. */
WEIR_API weir_status weir_state_expire_after(weir_state *state, int64_t ttl_ms, weir_error *err);

/* Bytes under a key of bytes, used as it is. */
WEIR_API weir_status weir_state_get(weir_state *state, weir_slice key, weir_slice *value,
                                    weir_error *err);
WEIR_API weir_status weir_state_set(weir_state *state, weir_slice key, weir_slice value,
                                    weir_error *err);
WEIR_API weir_status weir_state_delete(weir_state *state, weir_slice key, weir_error *err);

/* Typed values under a text key. An absent key gives default_value and WEIR_OK. */
WEIR_API weir_status weir_state_get_int(weir_state *state, const char *key, int64_t default_value,
                                        int64_t *value, weir_error *err);
WEIR_API weir_status weir_state_set_int(weir_state *state, const char *key, int64_t value,
                                        weir_error *err);
/* An integer is read as the double of the same value. */
WEIR_API weir_status weir_state_get_double(weir_state *state, const char *key, double default_value,
                                           double *value, weir_error *err);
/* NaN and infinity have no JSON: WEIR_SERIALIZATION. */
WEIR_API weir_status weir_state_set_double(weir_state *state, const char *key, double value,
                                           weir_error *err);
/* The text of a JSON string, without quotes and escapes; UTF-8. */
WEIR_API weir_status weir_state_get_string(weir_state *state, const char *key,
                                           weir_slice default_value, weir_slice *value,
                                           weir_error *err);
WEIR_API weir_status weir_state_set_string(weir_state *state, const char *key, weir_slice value,
                                           weir_error *err);
/* JSON text. set checks it and stores it in the form of orjson. get: WEIR_NOT_FOUND if absent. */
WEIR_API weir_status weir_state_get_json(weir_state *state, const char *key, weir_slice *json,
                                         weir_error *err);
WEIR_API weir_status weir_state_set_json(weir_state *state, const char *key, weir_slice json,
                                         weir_error *err);
/* Bytes under a text key. get: WEIR_NOT_FOUND if absent. */
WEIR_API weir_status weir_state_get_bytes(weir_state *state, const char *key, weir_slice *value,
                                          weir_error *err);
WEIR_API weir_status weir_state_set_bytes(weir_state *state, const char *key, weir_slice value,
                                          weir_error *err);
WEIR_API weir_status weir_state_exists(weir_state *state, const char *key, bool *exists,
                                       weir_error *err);
WEIR_API weir_status weir_state_remove(weir_state *state, const char *key, weir_error *err);

#ifdef __cplusplus
}
#endif

#endif
