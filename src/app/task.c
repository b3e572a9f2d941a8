/*
 * A task: its stores and transactions, what it offers to its processor, and what an
 * error of a record does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/worker.h"
#include "state/txn.h"

const char *weir__task_label(const weir__task *task, char *text, size_t size)
{
    snprintf(text, size, "topic=%s partition=%d", task->source->topic.name, (int)task->partition);
    return text;
}

static weir_status host_state(weir__task_host *host, size_t store, weir_slice key,
                              int64_t timestamp, weir_state **state, weir_error *err)
{
    weir__task *task = (weir__task *)host;
    weir__task_store *used = &task->stores[store];
    *state = NULL;
    if (!used->txn) {
        weir_status status = weir_partition_begin(used->partition, &used->txn, err);
        if (status != WEIR_OK)
            return status;
    }
    weir_txn_set_event_time(used->txn, timestamp);
    *state = weir_txn_state(used->txn, key);
    if (!*state)
        return weir_error_set(err, WEIR_NO_MEMORY, "store %s: out of memory",
                              used->spec->config.name);
    return WEIR_OK;
}

static weir_status host_produce(weir__task_host *host, size_t sink, const weir_record *record,
                                weir_error *err)
{
    weir__task *task = (weir__task *)host;
    weir__worker *worker = task->worker;
    size_t source = task->source->index;
    weir_status status = weir__producer_produce(worker->producer, worker->sinks[source][sink], -1,
                                                record, NULL, err);
    if (status == WEIR_OK)
        weir__count(&worker->produced, 1);
    return status;
}

static const weir__task_host_ops host_ops = {
    .state = host_state,
    .produce = host_produce,
};

weir_status weir__task_new(weir__worker *worker, weir__source *source, int32_t partition,
                           weir__task **task, weir_error *err)
{
    weir__task *added = calloc(1, sizeof(*added));
    weir__task_store *stores = calloc(source->store_count + 1, sizeof(*stores));
    *task = NULL;
    if (!added || !stores) {
        free(added);
        free(stores);
        return weir_error_set(err, WEIR_NO_MEMORY,
                              "out of memory for a task (topic=%s partition=%d)",
                              source->topic.name, (int)partition);
    }
    added->host.ops = &host_ops;
    added->worker = worker;
    added->source = source;
    added->partition = partition;
    added->stores = stores;
    added->store_count = source->store_count;
    for (size_t i = 0; i < source->store_count; i++)
        stores[i].spec = &source->stores[i];
    added->next = WEIR_OFFSET_NONE;
    added->committed = WEIR_OFFSET_NONE;
    added->skip_offset = WEIR_OFFSET_NONE;
    *task = added;
    return WEIR_OK;
}

void weir__task_drop(weir__task *task)
{
    for (size_t i = 0; i < task->store_count; i++) {
        weir_txn_free(task->stores[i].txn);
        task->stores[i].txn = NULL;
    }
}

void weir__task_close(weir__task *task)
{
    weir_error err;
    char label[300];
    weir__task_drop(task);
    if (task->processor)
        task->source->ops->close(task->processor);
    task->processor = NULL;
    weir_error_init(&err);
    if (weir_state_manager_revoke(task->worker->manager, task->source->topic.name, task->partition,
                                  &err) != WEIR_OK)
        weir_log(WEIR_LOG_WARN, "task.close", "%s (%s)", err.message,
                 weir__task_label(task, label, sizeof(label)));
    for (size_t i = 0; i < task->store_count; i++) {
        task->stores[i].partition = NULL;
        task->stores[i].changelog = NULL;
    }
    task->state = WEIR__TASK_CLOSED;
}

void weir__task_free(weir__task *task)
{
    if (!task)
        return;
    free(task->stores);
    free(task);
}

size_t weir__task_change_bytes(const weir__task *task)
{
    size_t bytes = 0;
    for (size_t i = 0; i < task->store_count; i++) {
        if (task->stores[i].txn)
            bytes += weir_txn_change_bytes(task->stores[i].txn);
    }
    return bytes;
}

static inline uint64_t count_writes(const weir__task *task)
{
    uint64_t writes = 0;
    for (size_t i = 0; i < task->store_count; i++) {
        if (task->stores[i].txn)
            writes += weir__txn_writes(task->stores[i].txn);
    }
    return writes;
}

static bool has_failed_txn(const weir__task *task)
{
    for (size_t i = 0; i < task->store_count; i++) {
        if (task->stores[i].txn &&
            weir_txn_get_status(task->stores[i].txn) == WEIR_TXN_FAILED_STATUS)
            return true;
    }
    return false;
}

/* Skipping is for records that can't be handled, not for a machine that does not work:
 * a full disk would skip everything. */
static bool may_skip(const weir__task *task, weir_status status)
{
    if (task->worker->app->options.error_policy != WEIR_ERROR_SKIP)
        return false;
    weir_status_class class_ = weir_status_class_of(status);
    return (class_ == WEIR_CLASS_FATAL || class_ == WEIR_CLASS_ABORT_TXN) &&
           status != WEIR_NO_MEMORY && status != WEIR_ABORTED && status != WEIR_CLOSED;
}

/* Forgets what was done since the last checkpoint and has the records come again. */
static weir_status rewind_task(weir__task *task, weir_error *err)
{
    weir__task_drop(task);
    task->next = task->committed;
    task->rewound = true;
    return weir__consumer_seek(task->worker->consumer, task->source->topic.name, task->partition,
                               task->next, err);
}

static weir_status skip_record(weir__task *task, const weir_record *record,
                               const weir_error *reason, weir_error *err)
{
    weir_log(WEIR_LOG_WARN, "record.skip", "%s", reason->message);
    /* A refused change has spoilt the transaction of the records before it. They come
     * again, and this one is then passed over. */
    if (has_failed_txn(task)) {
        task->skip_offset = record->offset;
        return rewind_task(task, err);
    }
    weir__count(&task->worker->skipped, 1);
    task->next = record->offset + 1;
    return WEIR_OK;
}

static weir_status handle_failure(weir__task *task, const weir_record *record, weir_status status,
                                  const weir_error *inner, weir_error *err)
{
    weir_error full;
    weir_error_set(&full, status, "%.800s (topic=%s partition=%d offset=%lld)", inner->message,
                   record->topic, (int)record->partition, (long long)record->offset);
    if (may_skip(task, status))
        return skip_record(task, record, &full, err);
    /* What the record changed before it failed must not be checkpointed: it comes again. */
    if (task->writes_before != count_writes(task) || has_failed_txn(task)) {
        weir__task_drop(task);
        task->next = task->committed;
    }
    return weir_error_set(err, status, "%s", full.message);
}

void weir__task_expect(const weir__task *task, weir_slice key)
{
    for (size_t i = 0; i < task->store_count; i++) {
        if (task->stores[i].txn)
            weir_txn_expect(task->stores[i].txn, key);
    }
}

weir_status weir__task_process(weir__task *task, const weir_record *record, weir_error *err)
{
    weir_error inner;
    if (record->offset == task->skip_offset) {
        /* Behind the next commit it can't come again, and the next bad one gets its turn. */
        task->skip_offset = WEIR_OFFSET_NONE;
        task->wants_checkpoint = true;
        task->next = record->offset + 1;
        weir__count(&task->worker->skipped, 1);
        return WEIR_OK;
    }
    inner.status = WEIR_OK;
    inner.message[0] = '\0';
    task->writes_before = count_writes(task);
    weir_status status = task->source->ops->process(task->processor, record, &inner);
    if (status != WEIR_OK)
        return handle_failure(task, record, status, &inner, err);
    task->next = record->offset + 1;
    return WEIR_OK;
}
