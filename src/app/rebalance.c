/*
 * Partitions that come and go. What is assigned becomes a task and gets its stores in the
 * worker's loop, outside the callback; what is revoked is checkpointed and closed at once;
 * what was lost is closed without a commit, because somebody else may own it by now.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "app/worker.h"

weir__task *weir__worker_task(weir__worker *worker, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < worker->task_count; i++) {
        weir__task *task = worker->tasks[i];
        if (task->partition == partition && strcmp(task->source->topic.name, topic) == 0)
            return task;
    }
    return NULL;
}

void weir__worker_count_tasks(weir__worker *worker)
{
    uint32_t recovering = 0;
    for (size_t i = 0; i < worker->task_count; i++) {
        weir__task_state state = worker->tasks[i]->state;
        recovering += state == WEIR__TASK_CREATED || state == WEIR__TASK_RECOVERING;
    }
    __atomic_store_n(&worker->assigned, (uint32_t)worker->task_count, __ATOMIC_RELAXED);
    __atomic_store_n(&worker->recovering, recovering, __ATOMIC_RELAXED);
}

static weir_status reserve(weir__worker *worker, weir_error *err)
{
    if (worker->task_count < worker->task_capacity)
        return WEIR_OK;
    size_t capacity = worker->task_capacity ? worker->task_capacity * 2 : 16;
    weir__task **tasks = realloc(worker->tasks, capacity * sizeof(weir__task *));
    if (tasks)
        worker->tasks = tasks;
    weir__topic_partition *commits = realloc(worker->commits, capacity * sizeof(*commits));
    if (commits)
        worker->commits = commits;
    if (!tasks || !commits)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for %zu tasks", capacity);
    worker->task_capacity = capacity;
    return WEIR_OK;
}

static weir__source *find_source(const weir_app *app, const char *topic)
{
    for (size_t i = 0; i < app->source_count; i++) {
        if (strcmp(app->sources[i]->topic.name, topic) == 0)
            return app->sources[i];
    }
    return NULL;
}

static weir_status add_task(weir__worker *worker, const weir__topic_partition *assigned,
                            weir_error *err)
{
    weir__source *source = find_source(worker->app, assigned->topic);
    weir__task *task;
    if (!source || weir__worker_task(worker, assigned->topic, assigned->partition))
        return WEIR_OK;
    if (source->store_count > 0 && assigned->partition >= source->topic.actual)
        return weir_error_set(err, WEIR_TOPIC,
                              "source topic %s has grown: partition %d is new, but the changelog "
                              "topics have %d partitions; add partitions to them and start again",
                              assigned->topic, (int)assigned->partition, (int)source->topic.actual);
    weir_status status = reserve(worker, err);
    if (status == WEIR_OK)
        status = weir__task_new(worker, source, assigned->partition, &task, err);
    if (status == WEIR_OK)
        worker->tasks[worker->task_count++] = task;
    return status;
}

static weir_status on_assigned(const weir__topic_partition *partitions, size_t count, void *arg,
                               weir_error *err)
{
    weir__worker *worker = arg;
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = add_task(worker, &partitions[i], err);
    weir_log(WEIR_LOG_INFO, "group.assigned", "worker=%d new=%zu partitions=%zu", worker->index,
             count, worker->task_count);
    weir__worker_count_tasks(worker);
    return status;
}

static void remove_task(weir__worker *worker, const weir__topic_partition *gone)
{
    weir__task *task = weir__worker_task(worker, gone->topic, gone->partition);
    if (!task)
        return;
    weir__task_close(task);
    size_t i = 0;
    while (worker->tasks[i] != task)
        i++;
    worker->tasks[i] = worker->tasks[--worker->task_count];
    worker->last_task = NULL;
    weir__task_free(task);
}

static weir_status on_revoked(const weir__topic_partition *partitions, size_t count, bool lost,
                              void *arg, weir_error *err)
{
    weir__worker *worker = arg;
    weir_status status = WEIR_OK;
    weir_error inner;
    weir_error_init(&inner);
    if (!lost && weir__checkpoint_needed(worker))
        status = weir__checkpoint(worker, &inner);
    for (size_t i = 0; i < count; i++)
        remove_task(worker, &partitions[i]);
    weir_log(lost ? WEIR_LOG_WARN : WEIR_LOG_INFO, lost ? "group.lost" : "group.revoked",
             "worker=%d gone=%zu partitions=%zu", worker->index, count, worker->task_count);
    if (status == WEIR_FENCED && worker->evicted) {
        weir_log(WEIR_LOG_WARN, "checkpoint.fenced", "%s", inner.message);
        weir__worker_restart_tasks(worker);
        status = WEIR_OK;
    }
    weir__worker_count_tasks(worker);
    return status == WEIR_OK ? WEIR_OK : weir_error_set(err, status, "%s", inner.message);
}

const weir__consumer_events weir__rebalance_events = {
    .assigned = on_assigned,
    .revoked = on_revoked,
};

void weir__worker_restart_tasks(weir__worker *worker)
{
    for (size_t i = 0; i < worker->task_count; i++) {
        weir__task *task = worker->tasks[i];
        weir__task_close(task);
        task->state = WEIR__TASK_CREATED;
        task->needs_seek = true;
        task->lock_deadline = 0;
        task->retry_at = 0;
        /* Fails for a partition that is lost already; the poll that follows says so. */
        weir__consumer_pause(worker->consumer, task->source->topic.name, task->partition, NULL);
    }
    worker->suspect = false; /* nothing is left that could be written */
    weir__worker_count_tasks(worker);
}

void weir__worker_drop_tasks(weir__worker *worker)
{
    for (size_t i = 0; i < worker->task_count; i++) {
        weir__task_close(worker->tasks[i]);
        weir__task_free(worker->tasks[i]);
    }
    worker->task_count = 0;
    worker->last_task = NULL;
    weir__worker_count_tasks(worker);
}
