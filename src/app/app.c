/*
 * The application: made, run, stopped. weir_app_run starts the workers and waits for
 * them; the first failure of one ends all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/application.h"
#include "app/worker.h"
#include "base/clock.h"

#define LOOK_MS 200 /* how often a wait for the workers looks at the clock */

weir_status weir_app_new(const weir_app_options *options, weir_app **app, weir_error *err)
{
    *app = NULL;
    weir_app *made = calloc(1, sizeof(*made));
    if (!made)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for an application");
    weir__arena_init(&made->arena);
    made->references = 1;
    pthread_mutex_init(&made->lock, NULL);
    sem_init(&made->wake, 0, 0);
    weir_status status = weir__app_set_options(made, options, err);
    if (status == WEIR_OK) {
        made->workers =
            weir__app_alloc(made, (size_t)made->options.workers * sizeof(weir__worker *));
        if (!made->workers)
            status = weir_error_set(err, WEIR_NO_MEMORY, "out of memory for an application");
    }
    if (status != WEIR_OK) {
        weir_app_free(made);
        return status;
    }
    *app = made;
    return WEIR_OK;
}

static void unref(weir_app *app)
{
    if (__atomic_sub_fetch(&app->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (int i = 0; app->workers && i < app->options.workers; i++)
        weir__worker_free(app->workers[i]);
    pthread_mutex_destroy(&app->lock);
    sem_destroy(&app->wake);
    weir__arena_release(&app->arena);
    free(app);
}

void weir_app_free(weir_app *app)
{
    if (app)
        unref(app);
}

/* Async-signal-safe: atomics, the clock and sem_post. */
void weir_app_stop(weir_app *app)
{
    int64_t none = 0;
    int64_t deadline = weir__now_ms() + app->options.stop_timeout_ms;
    __atomic_compare_exchange_n(&app->stop_deadline, &none, deadline, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
    __atomic_store_n(&app->stop, true, __ATOMIC_RELEASE);
    sem_post(&app->wake);
}

void weir_app_pause(weir_app *app)
{
    __atomic_store_n(&app->paused, true, __ATOMIC_RELAXED);
}

void weir_app_resume(weir_app *app)
{
    __atomic_store_n(&app->paused, false, __ATOMIC_RELAXED);
}

int64_t weir__app_deadline(const weir_app *app, int64_t began)
{
    int64_t deadline = began + app->max_poll_interval_ms / 2;
    int64_t stop = __atomic_load_n(&app->stop_deadline, __ATOMIC_RELAXED);
    return stop != 0 && stop < deadline ? stop : deadline;
}

void weir__app_worker_ended(weir_app *app, const weir_error *err)
{
    pthread_mutex_lock(&app->lock);
    app->running--;
    if (err->status != WEIR_OK && app->error.status == WEIR_OK)
        app->error = *err;
    pthread_mutex_unlock(&app->lock);
    if (err->status != WEIR_OK) {
        weir_log(WEIR_LOG_ERROR, "app.error", "%s", err->message);
        weir_app_stop(app);
    }
    sem_post(&app->wake);
    unref(app);
}

/* Signals are for the program's own threads: its handlers do not expect a worker's. */
static weir_status start_worker(weir_app *app, weir__worker *worker, weir_error *err)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_mutex_lock(&app->lock);
    app->running++;
    pthread_mutex_unlock(&app->lock);
    __atomic_add_fetch(&app->references, 1, __ATOMIC_RELAXED);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, weir__worker_run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        return WEIR_OK;
    pthread_mutex_lock(&app->lock);
    app->running--;
    pthread_mutex_unlock(&app->lock);
    unref(app);
    return weir_error_set(err, WEIR_NO_MEMORY, "worker %d: %s", worker->index, strerror(failed));
}

static void wait_for_wake(weir_app *app)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (sem_timedwait(&app->wake, &until) != 0 && errno == EINTR)
        continue;
}

static int running_workers(weir_app *app)
{
    pthread_mutex_lock(&app->lock);
    int running = app->running;
    pthread_mutex_unlock(&app->lock);
    return running;
}

/* Waits until all workers have ended, or have not although stop_timeout_ms is over. */
static weir_status wait_for_workers(weir_app *app, int started, weir_error *err)
{
    int running = running_workers(app);
    while (running > 0) {
        int64_t deadline = __atomic_load_n(&app->stop_deadline, __ATOMIC_RELAXED);
        if (deadline != 0 && weir__now_ms() > deadline)
            break;
        wait_for_wake(app);
        running = running_workers(app);
    }
    for (int i = 0; i < started; i++) {
        if (running == 0)
            pthread_join(app->workers[i]->thread, NULL);
        else
            pthread_detach(app->workers[i]->thread);
    }
    if (running == 0)
        return WEIR_OK;
    __atomic_store_n(&app->abandoned, true, __ATOMIC_RELAXED);
    return weir_error_set(err, WEIR_TIMEOUT,
                          "%d of %d workers have not ended within stop_timeout_ms=%d: a callback "
                          "or the broker keeps them; what they had not checkpointed comes again",
                          running, started, app->options.stop_timeout_ms);
}

static weir_status run_workers(weir_app *app, weir_error *err)
{
    weir_status status = WEIR_OK;
    int started = 0;
    for (int i = 0; i < app->options.workers && status == WEIR_OK; i++) {
        weir__worker *worker;
        status = weir__worker_new(app, i, &worker, err);
        __atomic_store_n(&app->workers[i], worker, __ATOMIC_RELEASE);
    }
    for (int i = 0; i < app->options.workers && status == WEIR_OK; i++) {
        status = start_worker(app, app->workers[i], err);
        started += status == WEIR_OK;
    }
    if (status != WEIR_OK)
        weir_app_stop(app);
    weir_error late;
    weir_status ended = wait_for_workers(app, started, &late);
    if (status != WEIR_OK)
        return status;
    pthread_mutex_lock(&app->lock);
    if (app->error.status != WEIR_OK)
        status = weir_error_set(err, app->error.status, "%s", app->error.message);
    pthread_mutex_unlock(&app->lock);
    if (status == WEIR_OK && ended != WEIR_OK)
        status = weir_error_set(err, ended, "%s", late.message);
    return status;
}

weir_status weir_app_run(weir_app *app, weir_error *err)
{
    if (app->started)
        return weir_error_set(err, WEIR_INVALID, "weir_app_run runs once for an application");
    if (app->source_count == 0)
        return weir_error_set(err, WEIR_INVALID,
                              "the application has no source: call weir_stream_source first");
    app->started = true;
    if (app->options.handle_signals) {
        weir_status status = weir__signals_add(app, err);
        if (status != WEIR_OK)
            return status;
    }
    weir_status status = weir__topics_prepare(app, err);
    if (status == WEIR_OK)
        status = run_workers(app, err);
    else if (status == WEIR_ABORTED && weir__app_stopping(app))
        status = WEIR_OK; /* stopped before it began */
    if (app->options.handle_signals)
        weir__signals_remove(app);
    return status;
}

void weir_app_get_stats(const weir_app *app, weir_app_stats *stats)
{
    weir_app_stats sum;
    memset(&sum, 0, sizeof(sum));
    sum.struct_size = stats->struct_size;
    for (int i = 0; i < app->options.workers; i++) {
        const weir__worker *worker = __atomic_load_n(&app->workers[i], __ATOMIC_ACQUIRE);
        if (!worker)
            continue;
        sum.records += __atomic_load_n(&worker->records, __ATOMIC_RELAXED);
        sum.produced += __atomic_load_n(&worker->produced, __ATOMIC_RELAXED);
        sum.skipped += __atomic_load_n(&worker->skipped, __ATOMIC_RELAXED);
        sum.checkpoints += __atomic_load_n(&worker->checkpoints, __ATOMIC_RELAXED);
        sum.recovered += __atomic_load_n(&worker->recovered, __ATOMIC_RELAXED);
        sum.tasks += __atomic_load_n(&worker->assigned, __ATOMIC_RELAXED);
        sum.recovering += __atomic_load_n(&worker->recovering, __ATOMIC_RELAXED);
    }
    size_t size = stats->struct_size < sizeof(sum) ? stats->struct_size : sizeof(sum);
    memcpy(stats, &sum, size);
}
