/*
 * The checkpoint of a worker. The order of its steps is what makes a crash between any
 * two of them lose nothing and repeat no state:
 *
 *   before the commit  changelogs hold the changes, but recovery skips them, because
 *                      their processed offset is not committed; the records come again
 *   after the commit   local state may lack the changes; recovery applies them
 *
 * A store without changelog can't be rebuilt, so it is written before the commit, with
 * the offset it has processed; if that is ahead of the committed one at the next start,
 * it wins (start.c).
 *
 * On object storage another writer may have opened the state meanwhile: each flush is refused
 * then. In a store without changelog that comes before the commit. In one with changelog it comes
 * after, and is harmless: the changes are in the changelog, where the other writer has found them
 * or will, because the offset that its state holds is below them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "app/worker.h"
#include "base/clock.h"

#define SLICE_MS        500
#define COMMIT_RETRY_MS 200

static bool has_started(const weir__task *task)
{
    return task->state == WEIR__TASK_RUNNING || task->state == WEIR__TASK_SUSPENDED;
}

/* A start without a committed offset is committed too, so that the next one knows it. */
static bool has_progress(const weir__task *task)
{
    return has_started(task) && (task->next != task->committed || task->offset_missing);
}

bool weir__checkpoint_needed(const weir__worker *worker)
{
    for (size_t i = 0; i < worker->task_count; i++) {
        if (has_progress(worker->tasks[i]))
            return true;
    }
    return false;
}

static weir_status prepare_task(weir__task *task, weir_error *err)
{
    weir_topic_offset processed = {task->source->topic.name, task->next - 1};
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < task->store_count && status == WEIR_OK; i++) {
        if (task->stores[i].txn)
            status = weir_txn_prepare(task->stores[i].txn, &processed, 1, err);
    }
    return status;
}

/* In slices, so that a stop that comes meanwhile shortens the wait. */
static weir_status flush_producer(weir__worker *worker, weir_error *err)
{
    int64_t began = weir__now_ms();
    int64_t left;
    weir_status status;
    do {
        left = weir__app_deadline(worker->app, began) - weir__now_ms();
        status = weir__producer_flush(worker->producer,
                                      left < 1 ? 1 : (int)(left < SLICE_MS ? left : SLICE_MS), err);
    } while (status == WEIR_TIMEOUT && left > SLICE_MS);
    return status;
}

static weir_status flush_store(weir__task_store *store, weir_error *err)
{
    int64_t offset = WEIR_OFFSET_NONE;
    if (store->changelog) {
        /* Nothing to wait for: all was delivered before the commit. */
        weir_status status = store->changelog->ops->flush(store->changelog, SLICE_MS, &offset, err);
        if (status != WEIR_OK)
            return status;
    }
    return weir_txn_flush(store->txn, offset, err);
}

/* The stores with or those without a changelog. */
static weir_status flush_stores(weir__worker *worker, bool with_changelog, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t t = 0; t < worker->task_count; t++) {
        weir__task *task = worker->tasks[t];
        for (size_t i = 0; i < task->store_count && status == WEIR_OK; i++) {
            weir__task_store *store = &task->stores[i];
            if (store->txn && (store->changelog != NULL) == with_changelog)
                status = flush_store(store, err);
        }
    }
    return status;
}

/* What a task would commit: what it has processed (done), or once more what is committed, or what
 * it started from if nothing is: a task that may write must never be left out. */
static int64_t offset_to_commit(const weir__task *task, bool done)
{
    if (done)
        return has_progress(task) ? task->next : WEIR_OFFSET_NONE;
    return task->offset_missing && !has_started(task) ? WEIR_OFFSET_NONE : task->committed;
}

/* The same commit twice does no harm, so a broker that is away for a while is waited for. */
static weir_status commit(weir__worker *worker, bool done, weir_error *err)
{
    int64_t began = weir__now_ms();
    size_t count = 0;
    for (size_t i = 0; i < worker->task_count; i++) {
        const weir__task *task = worker->tasks[i];
        int64_t offset = offset_to_commit(task, done);
        if (offset != WEIR_OFFSET_NONE)
            worker->commits[count++] =
                (weir__topic_partition){task->source->topic.name, task->partition, offset};
    }
    worker->evicted = false;
    if (count == 0)
        return WEIR_OK;
    weir_status status = weir__consumer_commit(worker->consumer, worker->commits, count, err);
    while ((status == WEIR_KAFKA || status == WEIR_TIMEOUT) &&
           weir__now_ms() + COMMIT_RETRY_MS < weir__app_deadline(worker->app, began)) {
        weir_log(WEIR_LOG_WARN, "checkpoint.retry", "the commit is tried again");
        weir__sleep_ms(COMMIT_RETRY_MS, NULL);
        status = weir__consumer_commit(worker->consumer, worker->commits, count, err);
    }
    worker->evicted = status == WEIR_FENCED;
    return status;
}

/* The broker takes a commit of a member only, so committing what is committed asks for that. */
weir_status weir__checkpoint_ask(weir__worker *worker, weir_error *err)
{
    weir_status status = commit(worker, false, err);
    worker->suspect = status != WEIR_OK;
    return status;
}

static weir_status run_steps(weir__worker *worker, bool *committed, weir_error *err)
{
    weir_status status = WEIR_OK;
    *committed = false;
    weir__worker_tick(worker);
    /* A worker that stood still must not write to changelogs that others have gone on with. */
    if (worker->suspect)
        status = weir__checkpoint_ask(worker, err);
    for (size_t i = 0; i < worker->task_count && status == WEIR_OK; i++)
        status = prepare_task(worker->tasks[i], err);
    if (status == WEIR_OK)
        status = flush_producer(worker, err);
    if (status == WEIR_OK)
        status = flush_stores(worker, false, err);
    if (status == WEIR_OK)
        status = commit(worker, true, err);
    *committed = status == WEIR_OK;
    if (status == WEIR_OK)
        status = flush_stores(worker, true, err);
    return status;
}

weir_status weir__checkpoint(weir__worker *worker, weir_error *err)
{
    int64_t began = weir__now_ms();
    int64_t records = worker->records_since;
    worker->last_checkpoint = began;
    worker->records_since = 0;
    if (!weir__checkpoint_needed(worker))
        return WEIR_OK;

    weir_error inner;
    weir_error_init(&inner);
    bool committed;
    weir_status status = run_steps(worker, &committed, &inner);
    for (size_t i = 0; i < worker->task_count; i++) {
        weir__task *task = worker->tasks[i];
        if (status == WEIR_OK && has_progress(task)) {
            task->committed = task->next;
            task->offset_missing = false;
        }
        weir__task_drop(task); /* flushed, or to be forgotten */
    }
    if (status != WEIR_OK)
        return weir_error_set(
            err, status, "checkpoint of %lld records failed, %s: %s", (long long)records,
            committed ? "the next start takes it from the changelog" : "nothing of it counts",
            inner.message);
    weir__count(&worker->checkpoints, 1);
    weir_log(WEIR_LOG_DEBUG, "checkpoint.done", "worker=%d records=%lld ms=%lld", worker->index,
             (long long)records, (long long)(weir__now_ms() - began));
    return WEIR_OK;
}
