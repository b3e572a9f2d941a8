/*
 * Where a task starts, and what it takes to get there: stores open, offsets asked for,
 * changelogs read. In slices, so that the consumer is polled meanwhile and a long
 * recovery is no reason for the group to take the partition away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "app/worker.h"
#include "base/clock.h"
#include "base/option.h"
#include "state/recovery.h"

#define LOCK_RETRY_MS   100
#define STALL_MS        60000 /* a changelog that should give records and does not */
#define BROKER_RETRY_MS 200
#define BROKER_AWAY_MS  60000 /* a broker that restarts or moves the group elsewhere */

/* How long another owner of a store is waited for: what the options of state say. */
static int64_t lock_wait_ms(const weir_app *app)
{
    const char *spec;
    weir_option *all;
    double seconds = 30.0;
    if (weir__store_options(weir__state_backend(app->options.state_backend),
                            app->options.state_options, &app->typed, NULL, &spec, &all,
                            NULL) == WEIR_OK) {
        const char *retries = weir__option_get(all, "open_max_retries");
        const char *backoff = weir__option_get(all, "open_retry_backoff");
        seconds =
            (retries ? strtod(retries, NULL) : 10.0) * (backoff ? strtod(backoff, NULL) : 3.0);
    }
    weir__option_free(all);
    double most = (double)app->max_poll_interval_ms * 100;
    return (int64_t)(seconds * 1000 < most ? seconds * 1000 : most);
}

/* *opened [out]: false when a store is locked and the task tries again later. */
static weir_status open_stores(weir__task *task, bool *opened, weir_error *err)
{
    weir_app *app = task->worker->app;
    const char *topic = task->source->topic.name;
    *opened = false;
    weir_status status =
        weir_state_manager_assign(task->worker->manager, topic, task->partition, err);
    if (status == WEIR_LOCKED) {
        int64_t now = weir__now_ms();
        if (task->lock_deadline == 0)
            task->lock_deadline = now + lock_wait_ms(app);
        if (now >= task->lock_deadline)
            return status;
        task->retry_at = now + LOCK_RETRY_MS;
        for (size_t i = 0; i < task->store_count; i++)
            task->stores[i].changelog = NULL;
        return WEIR_OK;
    }
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < task->store_count; i++)
        task->stores[i].partition = weir_state_manager_partition(
            task->worker->manager, task->stores[i].spec->config.name, topic, task->partition);
    *opened = true;
    return WEIR_OK;
}

/* A broker that is away is waited for; the task begins anew then. What it was is logged. */
static weir_status try_again(weir__task *task, weir_status status, const weir_error *inner,
                             weir_error *err)
{
    int64_t now = weir__now_ms();
    char label[300];
    if (task->away_since == 0)
        task->away_since = now;
    if ((status != WEIR_KAFKA && status != WEIR_TIMEOUT) || now - task->away_since > BROKER_AWAY_MS)
        return weir_error_set(err, status, "%s", inner->message);
    weir_log(WEIR_LOG_WARN, "task.retry", "%s (%s)", inner->message,
             weir__task_label(task, label, sizeof(label)));
    task->state = WEIR__TASK_CREATED;
    task->retry_at = now + BROKER_RETRY_MS;
    return WEIR_OK;
}

/* What auto_offset_reset says. */
static weir_status reset_offset(const weir__task *task, int64_t *offset, weir_error *err)
{
    const char *reset = task->worker->app->options.auto_offset_reset;
    char label[300];
    *offset = strcmp(reset, "earliest") == 0 ? task->low : task->high;
    if (strcmp(reset, "error") != 0)
        return WEIR_OK;
    return weir_error_set(err, WEIR_OFFSET,
                          "group %s has no committed offset within %lld … %lld and "
                          "auto_offset_reset is \"error\" (%s)",
                          task->worker->app->options.consumer_group, (long long)task->low,
                          (long long)task->high, weir__task_label(task, label, sizeof(label)));
}

static weir_status ask_offsets(weir__task *task, weir_error *err)
{
    weir__worker *worker = task->worker;
    const char *topic = task->source->topic.name;
    char label[300];
    weir_status status =
        weir__consumer_committed(worker->consumer, topic, task->partition, &task->committed, err);
    if (status == WEIR_OK)
        status = weir__consumer_watermarks(worker->consumer, topic, task->partition, &task->low,
                                           &task->high, err);
    if (status != WEIR_OK)
        return status;
    task->offset_missing = task->committed < task->low || task->committed > task->high;
    if (task->offset_missing && task->committed != WEIR_OFFSET_NONE)
        weir_log(WEIR_LOG_WARN, "task.offset",
                 "the committed offset %lld is gone: the topic has %lld … %lld (%s)",
                 (long long)task->committed, (long long)task->low, (long long)task->high,
                 weir__task_label(task, label, sizeof(label)));
    return WEIR_OK;
}

static bool goes_by_changelog(const weir__task *task)
{
    return task->offset_missing &&
           task->worker->app->options.missing_offset_policy == WEIR_MISSING_OFFSET_CHANGELOG;
}

/*
 * Without a committed offset, processing may start at records whose effect the local state
 * holds already. That state would count them twice, so it is rebuilt from the changelog,
 * without those records. (Offsets that somebody has set back on purpose leave it alone.)
 */
static weir_status drop_state_ahead(weir__task *task, weir__task_store *store, weir_error *err)
{
    int64_t seen = weir_partition_processed_offset(store->partition, task->source->topic.name);
    char label[300];
    if (!task->offset_missing || goes_by_changelog(task) || seen < task->committed)
        return WEIR_OK;
    weir_log(WEIR_LOG_WARN, "recovery.rebuild",
             "no committed offset: processing starts at %lld, but the state of store %s holds "
             "records up to %lld; it is rebuilt from the changelog without them (%s)",
             (long long)task->committed, store->spec->config.name, (long long)seen,
             weir__task_label(task, label, sizeof(label)));
    return weir__recovery_clear(store->partition, err);
}

static weir_status begin_recovery(weir__task *task, weir_error *err)
{
    weir_app *app = task->worker->app;
    weir_topic_offset start = {task->source->topic.name, task->committed};
    weir_missing_offset_policy policy = app->options.missing_offset_policy;
    size_t bounds = goes_by_changelog(task) ? 0 : 1;
    weir_status status = WEIR_OK;
    char label[300];
    task->has_past = false;
    for (size_t i = 0; i < task->store_count && status == WEIR_OK; i++) {
        weir__task_store *store = &task->stores[i];
        store->needs_recovery = false;
        store->applied = 0;
        store->skipped = 0;
        if (!store->changelog)
            continue;
        bool had_state = weir_partition_changelog_offset(store->partition) != WEIR_OFFSET_NONE;
        if (policy != WEIR_MISSING_OFFSET_FAIL)
            status = drop_state_ahead(task, store, err);
        if (status == WEIR_OK)
            status = weir_partition_recovery_begin(store->partition, &start, bounds,
                                                   &store->needs_recovery, err);
        task->has_past |= had_state || store->needs_recovery;
    }
    if (status != WEIR_OK || !task->offset_missing || !task->has_past ||
        policy != WEIR_MISSING_OFFSET_FAIL)
        return status;
    return weir_error_set(err, WEIR_OFFSET,
                          "group %s has no committed offset for a partition with state, and "
                          "missing_offset_policy is to fail; commit an offset, choose another "
                          "policy, or clear the state and its changelog (%s)",
                          app->options.consumer_group,
                          weir__task_label(task, label, sizeof(label)));
}

static weir_status open_task(weir__task *task, weir_error *err)
{
    bool opened;
    weir_status status = open_stores(task, &opened, err);
    if (status != WEIR_OK || !opened)
        return status;
    status = ask_offsets(task, err);
    if (status == WEIR_OK && task->offset_missing) {
        /* Going by the changelog, the reset matters only if the changelog knows nothing. */
        task->needs_seek = true;
        status = reset_offset(task, &task->committed, goes_by_changelog(task) ? NULL : err);
        if (goes_by_changelog(task))
            status = WEIR_OK;
    }
    if (status == WEIR_OK)
        status = begin_recovery(task, err);
    if (status != WEIR_OK)
        return status;
    task->recovery_began = weir__now_ms();
    task->state = WEIR__TASK_RECOVERING;
    return WEIR_OK;
}

static weir_status recover(weir__task *task, weir__task_store *store, int budget_ms,
                           weir_error *err)
{
    weir_app *app = task->worker->app;
    weir_recovery_progress progress;
    bool done = false;
    weir_status status =
        weir_partition_recovery_step(store->partition, budget_ms, STALL_MS, &done, &progress, err);
    if (status != WEIR_OK)
        return status;
    if (progress.applied < store->applied)
        store->applied = 0; /* it was begun anew, from an empty state */
    weir__count(&task->worker->recovered, (uint64_t)(progress.applied - store->applied));
    store->applied = progress.applied;
    store->skipped = progress.skipped;
    store->needs_recovery = !done;
    if (app->options.on_recovery && !weir__app_abandoned(app))
        app->options.on_recovery(&progress, app->options.on_recovery_arg);
    return WEIR_OK;
}

/* After the last record that the changelogs have seen, if that is in the topic. */
static weir_status start_by_changelog(weir__task *task, weir_error *err)
{
    int64_t last = WEIR_OFFSET_NONE;
    for (size_t i = 0; i < task->store_count; i++) {
        if (!task->stores[i].changelog)
            continue;
        int64_t seen =
            weir_partition_processed_offset(task->stores[i].partition, task->source->topic.name);
        last = seen > last ? seen : last;
    }
    if (last == WEIR_OFFSET_NONE || last + 1 < task->low || last + 1 > task->high)
        return reset_offset(task, &task->committed, err);
    task->committed = last + 1;
    return WEIR_OK;
}

/*
 * A store without changelog is written before the offsets are committed: after a crash
 * between the two it is ahead, and its records must not come again. With several such
 * stores the one furthest behind decides, so that none loses anything.
 */
static void start_by_stored_offset(weir__task *task)
{
    int64_t least = INT64_MAX;
    char label[300];
    for (size_t i = 0; i < task->store_count; i++) {
        if (task->stores[i].changelog)
            continue;
        int64_t seen =
            weir_partition_processed_offset(task->stores[i].partition, task->source->topic.name);
        least = seen < least ? seen : least;
    }
    if (least == INT64_MAX || least == WEIR_OFFSET_NONE || least + 1 <= task->committed ||
        least + 1 > task->high)
        return;
    weir_log(WEIR_LOG_INFO, "task.offset",
             "the state is ahead of the committed offset %lld: going on at %lld (%s)",
             (long long)task->committed, (long long)(least + 1),
             weir__task_label(task, label, sizeof(label)));
    task->committed = least + 1;
    task->offset_missing = true; /* to be committed with the first checkpoint */
    task->needs_seek = true;
}

static void tell_missing_offset(const weir__task *task)
{
    long long applied = 0;
    long long skipped = 0;
    char label[300];
    for (size_t i = 0; i < task->store_count; i++) {
        applied += (long long)task->stores[i].applied;
        skipped += (long long)task->stores[i].skipped;
    }
    weir_log(WEIR_LOG_WARN, "recovery.missing_offset",
             "group %s had no committed offset for a partition with state: processing starts at "
             "%lld by missing_offset_policy=%s; %lld changelog records applied, %lld skipped (%s)",
             task->worker->app->options.consumer_group, (long long)task->committed,
             goes_by_changelog(task) ? "changelog" : "reset", applied, skipped,
             weir__task_label(task, label, sizeof(label)));
}

static weir_status run_task(weir__task *task, weir_error *err)
{
    weir__worker *worker = task->worker;
    const char *topic = task->source->topic.name;
    weir_status status = WEIR_OK;
    char label[300];
    if (goes_by_changelog(task))
        status = start_by_changelog(task, err);
    if (status != WEIR_OK)
        return status;
    if (task->offset_missing && task->has_past)
        tell_missing_offset(task);
    start_by_stored_offset(task);
    task->next = task->committed;
    if (!task->processor)
        status =
            task->source->ops->open(task->source->topology, &task->host, &task->processor, err);
    if (status == WEIR_OK && task->needs_seek)
        status = weir__consumer_seek(worker->consumer, topic, task->partition, task->next, err);
    if (status == WEIR_OK && !worker->paused)
        status = weir__consumer_resume(worker->consumer, topic, task->partition, err);
    if (status != WEIR_OK)
        return status;
    task->needs_seek = false;
    task->lock_deadline = 0;
    task->state = worker->paused ? WEIR__TASK_SUSPENDED : WEIR__TASK_RUNNING;
    weir_log(WEIR_LOG_INFO, "task.run", "processing starts at offset %lld after %lld ms (%s)",
             (long long)task->next, (long long)(weir__now_ms() - task->recovery_began),
             weir__task_label(task, label, sizeof(label)));
    return WEIR_OK;
}

static weir_status advance(weir__task *task, int budget_ms, weir_error *err)
{
    if (task->state == WEIR__TASK_CREATED)
        return open_task(task, err);
    int64_t end = weir__now_ms() + budget_ms;
    for (size_t i = 0; i < task->store_count; i++) {
        while (task->stores[i].needs_recovery) {
            int64_t left = end - weir__now_ms();
            if (left <= 0 || weir__app_stopping(task->worker->app))
                return WEIR_OK;
            weir_status status = recover(task, &task->stores[i], (int)left, err);
            if (status != WEIR_OK)
                return status;
        }
    }
    return run_task(task, err);
}

weir_status weir__task_advance(weir__task *task, int budget_ms, weir_error *err)
{
    weir_error inner;
    if (task->state == WEIR__TASK_CREATED && weir__now_ms() < task->retry_at)
        return WEIR_OK;
    weir_error_init(&inner);
    weir_status status = advance(task, budget_ms, &inner);
    if (status != WEIR_OK)
        return try_again(task, status, &inner, err);
    task->away_since = 0;
    return WEIR_OK;
}
