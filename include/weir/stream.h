/*
 * weir/stream.h: the dataflow. A source topic, operators in a row or a tree, and
 * topics that results go to.
 *
 *   weir_stream *flights = weir_stream_source(app, &topic, &err);
 *   weir_stream *totals = weir_stream_apply_stateful(flights, NULL, count, NULL, &err);
 *   weir_stream_to(totals, &output, &err);
 *   weir_app_run(app, &err);
 *
 * Each function returns the stream that follows, owned by the app, or NULL with
 * *err filled. A stream may be given to several operators: each gets every
 * record. All of it before weir_app_run, by the thread that made the app.
 *
 * A callback returns WEIR_OK or an error (with its own message in err, which
 * Weir completes with topic, partition and offset); what an error does is told
 * by weir_app_options.error_policy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <weir/app.h>
#include <weir/base.h>
#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_stream weir_stream;
typedef struct weir_context weir_context;

typedef struct weir_topic_config {
    size_t struct_size;
    const char *name; /* required */
    /* 0 (default): as it is. Else the topic is created with, or must have, this many. */
    int32_t partitions;
    /* Topic-level configuration when it is created ("retention.ms", …). */
    const weir_option *config;
} weir_topic_config;

WEIR_API void weir_topic_config_init(weir_topic_config *config);

/* The records of a topic. Everything is copied. */
WEIR_API weir_stream *weir_stream_source(weir_app *app, const weir_topic_config *topic,
                                         weir_error *err);

/* --- Operators without state --- */

/* Keeps the records for which *keep is set to true (it comes in as false). */
typedef weir_status (*weir_filter_fn)(const weir_record *record, bool *keep, void *arg,
                                      weir_error *err);
WEIR_API weir_stream *weir_stream_filter(weir_stream *stream, weir_filter_fn filter, void *arg,
                                         weir_error *err);

/*
 * Changes key, value, timestamp or headers of the record in place; the new bytes
 * must live until the call returns to Weir's next operator: take them from
 * weir_context_alloc, or point into the old ones. State further down the stream
 * after a change of key is refused: partitions would no longer fit the keys.
 */
typedef weir_status (*weir_map_fn)(weir_context *context, weir_record *record, void *arg,
                                   weir_error *err);
WEIR_API weir_stream *weir_stream_map(weir_stream *stream, weir_map_fn map, void *arg,
                                      weir_error *err);
/* A map that leaves the key alone, so that state may follow (checked). */
WEIR_API weir_stream *weir_stream_map_value(weir_stream *stream, weir_map_fn map, void *arg,
                                            weir_error *err);

/* Gives any number of records on with weir_forward. */
typedef weir_status (*weir_apply_fn)(weir_context *context, const weir_record *record, void *arg,
                                     weir_error *err);
WEIR_API weir_stream *weir_stream_apply(weir_stream *stream, weir_apply_fn apply, void *arg,
                                        weir_error *err);

/* --- With state --- */

/*
 * As apply, with the state of the record's key. store: its name and backend, NULL:
 * the store "default" of the stream; stream_id is set by Weir, changelog false means
 * none for this store.
 * A record without key is an error (WEIR_INVALID). The record's timestamp is the event time of
 * TTLs (weir_state_expire_after).
 */
typedef weir_status (*weir_apply_stateful_fn)(weir_context *context, weir_state *state,
                                              const weir_record *record, void *arg,
                                              weir_error *err);
WEIR_API weir_stream *weir_stream_apply_stateful(weir_stream *stream,
                                                 const weir_store_config *store,
                                                 weir_apply_stateful_fn apply, void *arg,
                                                 weir_error *err);

/* --- Sinks --- */

/* Sends every record to a topic, partitioned by key as Java clients do (murmur2). */
WEIR_API weir_stream *weir_stream_to(weir_stream *stream, const weir_topic_config *topic,
                                     weir_error *err);

/* --- Inside callbacks --- */

/* Hands a record to the operators behind this one, at once. Topic, partition and
 * offset stay those of the source record, whatever the copy says. */
WEIR_API weir_status weir_forward(weir_context *context, const weir_record *record,
                                  weir_error *err);
/* Memory that lives until the source record has been processed; no free. NULL: none left. */
WEIR_API void *weir_context_alloc(weir_context *context, size_t size);

#ifdef __cplusplus
}
#endif

#endif
