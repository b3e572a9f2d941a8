/*
 * The seam between the application and the dataflow. Below it, src/app feeds the records
 * of a source partition to a processor and knows nothing of operators; above it,
 * src/stream runs operators and knows nothing of threads and Kafka.
 *
 *   building:  weir__app_add_source, then stores and sinks of that source, by number
 *   running:   open makes the processor of a task; process gets each record in order
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_APP_PROCESSOR_H
#define WEIR_APP_PROCESSOR_H

#include <weir/app.h>
#include <weir/stream.h>

typedef struct weir__source weir__source;
typedef struct weir__task_host weir__task_host;

/* What a task offers to its processor. Thread of the task. */
typedef struct weir__task_host_ops {
    /* The state of a key in a store of the source (its number from weir__source_add_store),
     * for a record with this timestamp. *state [out] is valid until the next call for the
     * same store. */
    weir_status (*state)(weir__task_host *host, size_t store, weir_slice key, int64_t timestamp,
                         weir_state **state, weir_error *err);
    /* Queues a record for a sink of the source (its number from weir__source_add_sink). The
     * record is copied. */
    weir_status (*produce)(weir__task_host *host, size_t sink, const weir_record *record,
                           weir_error *err);
} weir__task_host_ops;

/* An implementation embeds this as its first member. */
struct weir__task_host {
    const weir__task_host_ops *ops;
};

typedef struct weir__processor_ops {
    /* The processor of one task. topology and host outlive it. *processor [out]. */
    weir_status (*open)(void *topology, weir__task_host *host, void **processor, weir_error *err);
    /* Runs one source record through. The record is borrowed for the call. After an error
     * the processor is ready for the next record. */
    weir_status (*process)(void *processor, const weir_record *record, weir_error *err);
    void (*close)(void *processor);
} weir__processor_ops;

/* ---------------------------------------------------------------------------
 * Building. The thread that made the app, before weir_app_run (WEIR_INVALID after).
 * ------------------------------------------------------------------------- */

/* Memory that lives as long as the app; zeroed. NULL: none left. */
void *weir__app_alloc(weir_app *app, size_t size);

/* A source topic with the topology that its records go to; both live as long as the app.
 * WEIR_INVALID: bad name or configuration, or the topic is a source already. *source [out]. */
weir_status weir__app_add_source(weir_app *app, const weir_topic_config *topic,
                                 const weir__processor_ops *ops, void *topology,
                                 weir__source **source, weir_error *err);
/* The stream id is the topic of the source. config NULL: the store "default". The same
 * store again gives the same number; another definition of it is WEIR_INVALID. */
weir_status weir__source_add_store(weir__source *source, const weir_store_config *config,
                                   size_t *store, weir_error *err);
weir_status weir__source_add_sink(weir__source *source, const weir_topic_config *topic,
                                  size_t *sink, weir_error *err);

#endif
