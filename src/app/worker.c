/*
 * The loop of a worker: fetch, process, checkpoint when it is due, and a slice of
 * recovery for tasks that are not ready yet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "app/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/option.h"

#define POLL_MS           100 /* an idle worker sees a stop or a pause within this */
#define LOCKED_POLL_MS    20  /* … and while a task waits for a lock */
#define RECOVERY_SLICE_MS 200
#define OPEN_SLICE_MS     1000
#define FIRST_BATCH       128
#define LARGEST_BATCH     4096
#define FAST_BATCH_MS     20 /* a full batch faster than this makes the next one larger */
#define SLOW_BATCH_MS     100
#define MEMORY_CHECK_MASK 127u /* records between two looks at the transactions' size */

/* ---------------------------------------------------------------------------
 * Making and releasing
 * ------------------------------------------------------------------------- */

static weir_status open_changelog(const char *store, const char *stream_id, int32_t partition,
                                  weir_changelog **changelog, void *arg, weir_error *err)
{
    weir__worker *worker = arg;
    weir__task *task = weir__worker_task(worker, stream_id, partition);
    weir_status status = WEIR_OK;
    *changelog = NULL;
    if (!worker->reader)
        status = weir__kafka_reader_new(&worker->kafka, &worker->reader, err);
    for (size_t i = 0; task && i < task->store_count && status == WEIR_OK; i++) {
        weir__task_store *opened = &task->stores[i];
        if (strcmp(opened->spec->config.name, store) != 0)
            continue;
        status =
            weir__kafka_changelog_open(worker->producer, worker->reader,
                                       opened->spec->changelog_topic, partition, changelog, err);
        opened->changelog = *changelog;
        return status;
    }
    return status != WEIR_OK ? status
                             : weir_error_set(err, WEIR_INVALID, "store %s is not assigned", store);
}

static weir_status make_manager(weir__worker *worker, weir_error *err)
{
    const weir_app *app = worker->app;
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = app->options.state_dir;
    options.group_id = app->options.consumer_group;
    options.state_backend = app->options.state_backend;
    options.state_options = app->options.state_options;
    options.rocksdb_options = app->options.rocksdb_options;
    options.slatedb_options = app->options.slatedb_options;
    options.on_backend_mismatch = app->options.on_backend_mismatch;
    /* A quarter of the budget is for the transactions: weir_app.txn_bytes_limit. */
    options.cache_bytes = app->options.cache_bytes - app->options.cache_bytes / 4;
    options.changelog_open = open_changelog;
    options.changelog_arg = worker;
    options.gap_policy = app->options.gap_policy;
    options.open_deadline_ms = OPEN_SLICE_MS;
    options.stop = &app->stop;
    weir_status status = weir_state_manager_new(&options, &worker->manager, err);
    for (size_t s = 0; s < app->source_count && status == WEIR_OK; s++) {
        const weir__source *source = app->sources[s];
        for (size_t i = 0; i < source->store_count && status == WEIR_OK; i++)
            status = weir_state_manager_register(worker->manager, &source->stores[i].config, err);
    }
    return status;
}

static weir_status open_sinks(weir__worker *worker, weir_error *err)
{
    const weir_app *app = worker->app;
    weir_status status = WEIR_OK;
    worker->sinks = weir__app_alloc(worker->app, app->source_count * sizeof(*worker->sinks));
    for (size_t s = 0; s < app->source_count && worker->sinks && status == WEIR_OK; s++) {
        const weir__source *source = app->sources[s];
        weir__producer_topic **sinks =
            weir__app_alloc(worker->app, (source->sink_count + 1) * sizeof(weir__producer_topic *));
        worker->sinks[s] = sinks;
        if (!sinks)
            status = weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a worker");
        for (size_t i = 0; i < source->sink_count && status == WEIR_OK; i++)
            status =
                weir__producer_open_topic(worker->producer, source->sinks[i].name, &sinks[i], err);
    }
    return worker->sinks ? status
                         : weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a worker");
}

/* Static membership: each worker is a member of its own, so the id must differ. */
static weir_status name_member(weir__worker *worker, const weir_option **pairs, weir_error *err)
{
    static const char key[] = "group.instance.id";
    const char *id = weir__option_get(*pairs, key);
    if (!id || worker->app->options.workers == 1)
        return WEIR_OK;
    size_t size = strlen(id) + 16;
    weir_option *copy = weir__app_copy_options(worker->app, *pairs);
    char *name = weir__app_alloc(worker->app, size);
    if (!copy || !name)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a worker");
    snprintf(name, size, "%s-%d", id, worker->index);
    for (weir_option *pair = copy; pair->key; pair++) {
        if (strcmp(pair->key, key) == 0)
            pair->value = name;
    }
    *pairs = copy;
    return WEIR_OK;
}

weir_status weir__worker_new(weir_app *app, int index, weir__worker **worker, weir_error *err)
{
    weir__worker *added = calloc(1, sizeof(*added));
    *worker = added;
    if (!added)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a worker");
    added->app = app;
    added->index = index;
    added->kafka = app->kafka;
    added->batch_size = FIRST_BATCH;
    added->last_checkpoint = weir__now_ms();
    weir_status status = name_member(added, &added->kafka.consumer, err);
    if (status == WEIR_OK)
        status = name_member(added, &added->kafka.kafka, err);
    if (status == WEIR_OK)
        status = make_manager(added, err);
    if (status == WEIR_OK)
        status = weir__producer_new(&added->kafka, &added->producer, err);
    if (status == WEIR_OK)
        status = open_sinks(added, err);
    if (status == WEIR_OK) {
        weir__consumer_events events = weir__rebalance_events;
        events.arg = added;
        events.stop = &app->stop;
        status = weir__consumer_new(&added->kafka, &events, &added->consumer, err);
    }
    return status;
}

/* All that a worker holds but its figures. The stores are closed before the clients that
 * their changelogs use. */
static weir_status release(weir__worker *worker, weir_error *err)
{
    weir__worker_drop_tasks(worker);
    weir_status status = worker->consumer ? weir__consumer_close(worker->consumer, err) : WEIR_OK;
    worker->consumer = NULL;
    weir_state_manager_free(worker->manager);
    worker->manager = NULL;
    weir_kafka_reader_free(worker->reader);
    worker->reader = NULL;
    weir__producer_free(worker->producer);
    worker->producer = NULL;
    return status;
}

void weir__worker_free(weir__worker *worker)
{
    if (!worker)
        return;
    release(worker, NULL);
    free(worker->tasks);
    free(worker->commits);
    free(worker);
}

/* ---------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------- */

void weir__worker_tick(weir__worker *worker)
{
    int64_t now = weir__now_ms();
    if (worker->tick != 0 && now - worker->tick > worker->app->session_timeout_ms / 2)
        worker->suspect = true;
    worker->tick = now;
}

static weir_status checkpoint(weir__worker *worker, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = weir__checkpoint(worker, &inner);
    if (status == WEIR_FENCED && worker->evicted) {
        /* Away for too long: others may have gone on with the partitions. What the group
         * still gives to this worker starts anew from what is committed. */
        weir_log(WEIR_LOG_WARN, "checkpoint.fenced", "%s", inner.message);
        weir__worker_restart_tasks(worker);
        return WEIR_OK;
    }
    return status == WEIR_OK ? WEIR_OK : weir_error_set(err, status, "%s", inner.message);
}

static weir__task *task_of(weir__worker *worker, const weir_record *record)
{
    weir__task *task = worker->last_task;
    if (task && task->partition == record->partition &&
        (task->source->topic.name == record->topic ||
         strcmp(task->source->topic.name, record->topic) == 0))
        return task;
    worker->last_task = weir__worker_task(worker, record->topic, record->partition);
    return worker->last_task;
}

static bool txns_are_large(const weir__worker *worker)
{
    size_t bytes = 0;
    for (size_t i = 0; i < worker->task_count; i++)
        bytes += weir__task_change_bytes(worker->tasks[i]);
    return bytes > worker->app->txn_bytes_limit;
}

/* Due by count or size; the interval is looked at between batches. */
static bool checkpoint_is_due(weir__worker *worker, weir__task *task)
{
    int64_t every = worker->app->options.commit_every;
    bool due = task->wants_checkpoint || (every > 0 && worker->records_since >= every) ||
               ((worker->records_since & MEMORY_CHECK_MASK) == 0 && txns_are_large(worker));
    task->wants_checkpoint = false;
    return due;
}

static void expect(weir__worker *worker, const weir_record *record)
{
    const weir__task *task = task_of(worker, record);
    if (task)
        weir__task_expect(task, record->key);
}

static weir_status process_batch(weir__worker *worker, weir__message *messages, size_t count,
                                 weir_error *err)
{
    weir_status status = WEIR_OK;
    uint64_t taken = 0;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        weir__message *message = &messages[i];
        if (weir__app_stopping(worker->app))
            break; /* not processed, so not committed: they come again */
        if (i + WEIR_EXPECT_AHEAD < count)
            expect(worker, &messages[i + WEIR_EXPECT_AHEAD].record);
        weir__task *task = task_of(worker, &message->record);
        if (!task || task->state != WEIR__TASK_RUNNING || task->rewound)
            continue;
        status = weir__message_headers(worker->consumer, message, err);
        if (status == WEIR_OK)
            status = weir__task_process(task, &message->record, err);
        if (status != WEIR_OK) {
            worker->record_failed = true;
            break;
        }
        taken++;
        worker->records_since++;
        if (checkpoint_is_due(worker, task))
            status = checkpoint(worker, err);
    }
    for (size_t i = 0; i < worker->task_count; i++)
        worker->tasks[i]->rewound = false;
    weir__count(&worker->records, taken);
    return status;
}

/* Batches as large as they can be processed in a fraction of a second, whatever the
 * callbacks do: a stop, a rebalance and the next poll do not wait for long. */
static void adapt_batch(weir__worker *worker, size_t count, int64_t took_ms)
{
    if (took_ms > SLOW_BATCH_MS && worker->batch_size > 1)
        worker->batch_size /= 2;
    else if (took_ms < FAST_BATCH_MS && count == worker->batch_size &&
             worker->batch_size < LARGEST_BATCH)
        worker->batch_size *= 2;
}

static weir_status fetch(weir__worker *worker, int timeout_ms, weir_error *err)
{
    weir__message *messages;
    size_t count;
    weir_status status = weir__consumer_poll(worker->consumer, timeout_ms, worker->batch_size,
                                             &messages, &count, err);
    weir__worker_tick(worker);
    if (status == WEIR_OK && count > 0) {
        int64_t began = worker->tick;
        status = process_batch(worker, messages, count, err);
        weir__worker_tick(worker);
        adapt_batch(worker, count, worker->tick - began);
    }
    weir__consumer_release(worker->consumer);
    weir__producer_poll(worker->producer);
    return status;
}

/*
 * All that wait for their stores first, because asking the broker for offsets takes longer
 * while it holds a fetch of this consumer back; then a slice for the first that recovers.
 */
static weir_status advance_tasks(weir__worker *worker, bool *recovering, bool *waiting,
                                 weir_error *err)
{
    weir_status status = WEIR_OK;
    bool changed = false;
    *recovering = false;
    *waiting = worker->evicted;
    if (worker->evicted)
        status = weir__checkpoint_ask(worker, err);
    if (worker->evicted)
        return WEIR_OK; /* the next poll tells what is lost */
    for (size_t i = 0; i < worker->task_count && status == WEIR_OK; i++) {
        if (worker->tasks[i]->state == WEIR__TASK_CREATED) {
            status = weir__task_advance(worker->tasks[i], RECOVERY_SLICE_MS, err);
            *waiting |= worker->tasks[i]->state == WEIR__TASK_CREATED;
            changed |= worker->tasks[i]->state != WEIR__TASK_CREATED;
        }
    }
    for (size_t i = 0; i < worker->task_count && status == WEIR_OK && !*recovering; i++) {
        if (worker->tasks[i]->state == WEIR__TASK_RECOVERING) {
            status = weir__task_advance(worker->tasks[i], RECOVERY_SLICE_MS, err);
            *recovering = worker->tasks[i]->state == WEIR__TASK_RECOVERING;
            changed |= !*recovering;
        }
    }
    if (changed)
        weir__worker_count_tasks(worker);
    return status;
}

/* Follows weir_app_pause and weir_app_resume. */
static weir_status follow_pause(weir__worker *worker, weir_error *err)
{
    bool paused = weir__app_paused(worker->app);
    weir_status status = WEIR_OK;
    if (paused == worker->paused)
        return WEIR_OK;
    worker->paused = paused;
    for (size_t i = 0; i < worker->task_count && status == WEIR_OK; i++) {
        weir__task *task = worker->tasks[i];
        const char *topic = task->source->topic.name;
        if (paused && task->state == WEIR__TASK_RUNNING) {
            status = weir__consumer_pause(worker->consumer, topic, task->partition, err);
            task->state = WEIR__TASK_SUSPENDED;
        } else if (!paused && task->state == WEIR__TASK_SUSPENDED) {
            status = weir__consumer_resume(worker->consumer, topic, task->partition, err);
            task->state = WEIR__TASK_RUNNING;
        }
    }
    if (status == WEIR_OK && paused)
        status = checkpoint(worker, err);
    weir_log(WEIR_LOG_INFO, paused ? "app.pause" : "app.resume", "worker=%d partitions=%zu",
             worker->index, worker->task_count);
    return status;
}

static weir_status loop(weir__worker *worker, weir_error *err)
{
    const weir_app *app = worker->app;
    const char **topics = calloc(app->source_count, sizeof(*topics));
    bool recovering = false;
    bool waiting = false;
    if (!topics)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a worker");
    for (size_t i = 0; i < app->source_count; i++)
        topics[i] = app->sources[i]->topic.name;
    weir_status status = weir__consumer_subscribe(worker->consumer, topics, app->source_count, err);
    free(topics);
    while (status == WEIR_OK && !weir__app_stopping(app)) {
        int64_t due = worker->last_checkpoint + app->options.commit_interval_ms - weir__now_ms();
        int timeout_ms = recovering ? 0 : waiting ? LOCKED_POLL_MS : POLL_MS;
        status = follow_pause(worker, err);
        if (status == WEIR_OK)
            status = fetch(worker, due < timeout_ms ? (due > 0 ? (int)due : 0) : timeout_ms, err);
        if (status == WEIR_OK &&
            weir__now_ms() - worker->last_checkpoint >= app->options.commit_interval_ms)
            status = checkpoint(worker, err);
        if (status == WEIR_OK)
            status = advance_tasks(worker, &recovering, &waiting, err);
    }
    return status;
}

void *weir__worker_run(void *arg)
{
    weir__worker *worker = arg;
    weir_error err;
    weir_error last;
    weir_error_init(&err);
    weir_error_init(&last);
    weir_status status = loop(worker, &err);
    if (status == WEIR_ABORTED && weir__app_stopping(worker->app))
        status = WEIR_OK; /* a wait that the stop has ended */
    if (status == WEIR_OK || (worker->record_failed && status != WEIR_FENCED)) {
        weir_status end = weir__checkpoint(worker, &last);
        if (end == WEIR_FENCED && worker->evicted) {
            weir_log(WEIR_LOG_WARN, "checkpoint.fenced", "%s", last.message);
            end = WEIR_OK;
        }
        if (status == WEIR_OK)
            status = end;
        else if (end != WEIR_OK)
            weir_log(WEIR_LOG_ERROR, "worker.fail", "%s", last.message);
        if (err.status == WEIR_OK && end != WEIR_OK)
            err = last;
    }
    weir_status closed = release(worker, &last);
    if (status == WEIR_OK && closed != WEIR_OK) {
        status = closed;
        err = last;
    }
    if (status == WEIR_OK)
        weir_error_init(&err);
    weir__app_worker_ended(worker->app, &err);
    return NULL;
}
