/*
 * The application: its options, its sources, and its workers. What the files of
 * this folder share; processor.h is what src/stream sees of it.
 *
 *   options.c   options: defaults, checks, copies
 *   sources.c   sources, stores and sinks, as the dataflow declares them
 *   topics.c    the topics of the sources: checked or created before the start
 *   app.c       new, run, stop, pause, figures
 *   signals.c   SIGINT and SIGTERM
 *   worker.c    the loop of a worker        (worker.h)
 *   rebalance.c partitions that come and go
 *   task.c      a task and what it offers to its processor
 *   start.c     where a task starts, and its recovery
 *   checkpoint.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_APP_APPLICATION_H
#define WEIR_APP_APPLICATION_H

#include <pthread.h>
#include <semaphore.h>
#include <weir/app.h>

#include "app/processor.h"
#include "base/arena.h"
#include "kafka/kafka.h"
#include "state/kind.h"
#include "state/options.h"

typedef struct weir__worker weir__worker;

typedef struct weir__app_topic {
    const char *name;
    int32_t partitions; /* asked for; 0: as it is */
    const weir_option *config;
    int32_t actual; /* how many there are; set by weir__topics_prepare */
} weir__app_topic;

typedef struct weir__app_store {
    weir_store_config config; /* stream_id: the topic of the source */
    weir__kind_options kind;
    char *changelog_topic; /* NULL: no changelog */
} weir__app_store;

struct weir__source {
    weir_app *app;
    size_t index; /* in app->sources */
    weir__app_topic topic;
    weir__app_store *stores;
    size_t store_count;
    weir__app_topic *sinks;
    size_t sink_count;
    const weir__processor_ops *ops;
    void *topology;
};

struct weir_app {
    weir_app_options options;  /* a copy, in the arena */
    weir__arena arena;         /* lives as long as the app */
    weir__typed_options typed; /* what options.rocksdb_options and slatedb_options point to */
    weir__kafka_config kafka;
    weir__source **sources;
    size_t source_count;

    /* Written by any thread with __atomic builtins; plain bool because the layers below
     * take a pointer to it. */
    volatile bool stop;
    bool paused;
    bool started;
    /* Set when weir_app_run gave up waiting: workers call nothing of the user any more. */
    bool abandoned;

    int64_t max_poll_interval_ms;
    int64_t session_timeout_ms;
    /* Change bytes of one worker's transactions that bring a checkpoint forward. */
    size_t txn_bytes_limit;

    weir__worker **workers; /* options.workers of them, kept for their figures */
    sem_t wake;             /* posted by weir_app_stop and by a worker that ends */
    int64_t stop_deadline;  /* ms; 0: nobody has asked to stop */
    int references;         /* the program and each worker thread; the last one frees */

    pthread_mutex_t lock; /* guards the two below */
    weir_error error;     /* the first failure of a worker */
    int running;          /* worker threads that have not ended */
};

/* options.c */

/* Copies *options into app->options, checked. WEIR_INVALID names the option and its range. */
weir_status weir__app_set_options(weir_app *app, const weir_app_options *options, weir_error *err);
/* A mistake in the backend of a store or its options is told now and not when the first partition
 * comes. store NULL: one that chooses nothing. */
weir_status weir__app_check_backend(const weir_app *app, const weir_store_config *store,
                                    weir_error *err);
/* Copies into the app's memory. NULL: none left (a NULL array gives an empty one). */
char *weir__app_copy_string(weir_app *app, const char *string);
weir_option *weir__app_copy_options(weir_app *app, const weir_option *pairs);

/* topics.c */

/* Waits for a broker, then checks every topic of the app and creates what is missing. */
weir_status weir__topics_prepare(weir_app *app, weir_error *err);

/* signals.c */

/* SIGINT and SIGTERM stop the app until removed; the handlers that were there are put back
 * with the last app. WEIR_BUSY: 64 apps do so already. */
weir_status weir__signals_add(weir_app *app, weir_error *err);
void weir__signals_remove(weir_app *app);

/* app.c */

static inline bool weir__app_stopping(const weir_app *app)
{
    return __atomic_load_n(&app->stop, __ATOMIC_RELAXED);
}

static inline bool weir__app_paused(const weir_app *app)
{
    return __atomic_load_n(&app->paused, __ATOMIC_RELAXED);
}

static inline bool weir__app_abandoned(const weir_app *app)
{
    return __atomic_load_n(&app->abandoned, __ATOMIC_RELAXED);
}

/* Until when a step that began at `began` may wait for the broker: well below
 * max.poll.interval.ms, and not beyond stop_timeout_ms once the app is stopping. */
int64_t weir__app_deadline(const weir_app *app, int64_t began);

/* A worker's thread calls this last; it may free the app. An error stops the others. */
void weir__app_worker_ended(weir_app *app, const weir_error *err);

#endif
