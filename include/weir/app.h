/*
 * weir/app.h: the application. It reads Kafka topics as a consumer group, runs a
 * dataflow (weir/stream.h) over the records, keeps the state in step with the
 * offsets, and recovers it.
 *
 * A worker is a thread with a consumer and a producer of its own. A task is one
 * partition number of one source; it owns its stores and belongs to one worker at
 * a time. Nothing is shared between tasks: an operator's callback runs in one
 * thread at a time for each task, and in several at once for several tasks.
 *
 * Guarantee: at least once. State and changelog hold each record's effect exactly
 * once; an output record may come twice after a crash, never too seldom.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_APP_H
#define WEIR_APP_H

#include <weir/base.h>
#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_app weir_app;

/* ---------------------------------------------------------------------------
 * Records
 * ------------------------------------------------------------------------- */

typedef struct weir_header {
    const char *name;
    weir_slice value; /* data NULL: a null value */
} weir_header;

/* A record on its way through the dataflow. All pointers are borrowed for the call
 * that receives the record. */
typedef struct weir_record {
    weir_slice key;
    weir_slice value;
    bool has_key;      /* false: the key is null */
    bool has_value;    /* false: the value is null (a tombstone) */
    int64_t timestamp; /* event time in ms since 1970; -1: none */
    const weir_header *headers;
    size_t header_count;
    /* Where the record came from: unchanged on its way, for messages. */
    const char *topic;
    int32_t partition;
    int64_t offset;
} weir_record;

/* ---------------------------------------------------------------------------
 * Application
 * ------------------------------------------------------------------------- */

/* What an error of a user's callback, or a record it can't handle, does. */
typedef enum weir_error_policy {
    WEIR_ERROR_STOP = 0, /* checkpoint what is done, stop; weir_app_run returns the error */
    WEIR_ERROR_SKIP = 1  /* log topic, partition and offset, go on with the next record;
                            changes that the record made to state are kept */
} weir_error_policy;

/* Where processing and recovery start when the group has no committed offset for a
 * partition that has a changelog. See docs/semantics.md. */
typedef enum weir_missing_offset_policy {
    /* As auto_offset_reset says; changelog records of source records that come
     * again are skipped, the others applied, and a WARN tells both counts. */
    WEIR_MISSING_OFFSET_RESET = 0,
    /* Go on after the last record that the changelog has seen; apply all of it. */
    WEIR_MISSING_OFFSET_CHANGELOG = 1,
    /* Stop with WEIR_OFFSET. */
    WEIR_MISSING_OFFSET_FAIL = 2
} weir_missing_offset_policy;

typedef struct weir_app_options {
    size_t struct_size;
    /* "host:port,…". Required. */
    const char *broker;
    /* Required. Names the consumer group, the state folder and the changelog topics. */
    const char *consumer_group;
    /* "earliest", "latest" (default) or "error": no committed offset. */
    const char *auto_offset_reset;
    /* Worker threads of this process. Default 1, at most 64. */
    int workers;

    /* A checkpoint comes when either is reached; also before a partition is revoked
     * and at the end. Interval in ms, default 5,000, ≥ 1. Records: 0 (default) off. */
    int commit_interval_ms;
    int64_t commit_every;

    /* State: see weir_state_options. */
    const char *state_dir;
    const char *state_backend;
    const weir_option *state_options;
    size_t cache_bytes;
    bool use_changelog; /* default true */
    weir_gap_policy gap_policy;
    weir_missing_offset_policy missing_offset_policy;

    /* Topics that are missing are created (changelog topics always as compacted ones);
     * default true. Replication factor of created topics: 0 (default) is the broker's. */
    bool auto_create_topics;
    int replication_factor;

    /* Any librdkafka property. kafka: for all clients; consumer and producer: for that
     * one. Those that Weir must set itself are refused by name (docs/configuration.md).
     * Secrets never reach a log. */
    const weir_option *kafka;
    const weir_option *consumer;
    const weir_option *producer;

    weir_error_policy error_policy;
    /* Ends weir_app_run on SIGINT and SIGTERM as weir_app_stop does. Default true. */
    bool handle_signals;
    /* After stop: finish, checkpoint, leave the group within this. Default 30,000 ms. */
    int stop_timeout_ms;
    /* A broker that can't be reached at start: give up after this. Default 10,000 ms. */
    int connect_timeout_ms;

    /* Called from worker threads while a task recovers, and once when it is done
     * (position ≥ end). progress is borrowed for the call. May be NULL. */
    void (*on_recovery)(const weir_recovery_progress *progress, void *arg);
    void *on_recovery_arg;

    /* State, as in weir_state_options. Typed options of two backends; NULL: none. */
    const weir_rocksdb_options *rocksdb_options;
    const weir_slatedb_options *slatedb_options;
    weir_mismatch_policy on_backend_mismatch; /* default WEIR_MISMATCH_REFUSE */
} weir_app_options;

WEIR_API void weir_app_options_init(weir_app_options *options);

/* Checks the options; does not connect. All options are copied. *app [out]. */
WEIR_API weir_status weir_app_new(const weir_app_options *options, weir_app **app, weir_error *err);
/* After weir_app_run has returned. NULL is allowed. */
WEIR_API void weir_app_free(weir_app *app);

/*
 * Connects, checks or creates the topics, joins the group and processes until
 * weir_app_stop, a signal, or an error that stops it. Blocks the calling thread.
 * WEIR_OK after a clean stop. Once for an app.
 */
WEIR_API weir_status weir_app_run(weir_app *app, weir_error *err);
/* Asks weir_app_run to end. Any thread, also a signal handler. */
WEIR_API void weir_app_stop(weir_app *app);
/* Stops fetching; what was fetched is processed and checkpointed; partitions stay
 * assigned. Any thread. */
WEIR_API void weir_app_pause(weir_app *app);
WEIR_API void weir_app_resume(weir_app *app);

typedef struct weir_app_stats {
    size_t struct_size;
    uint64_t records;  /* taken from source topics */
    uint64_t produced; /* records sent to output topics */
    uint64_t skipped;  /* by WEIR_ERROR_SKIP */
    uint64_t checkpoints;
    uint64_t recovered;  /* changelog records applied */
    uint32_t tasks;      /* assigned now */
    uint32_t recovering; /* … of them in recovery */
} weir_app_stats;

/* Figures since the start. Any thread. */
WEIR_API void weir_app_get_stats(const weir_app *app, weir_app_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
