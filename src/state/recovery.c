/*
 * Recovery: bringing a store partition up to date with its changelog, in bulk. What the
 * changelog hands out is gathered, the last record of each key, until it is worth a batch;
 * the batch goes to the database in key order, in one atomic write together with the offset
 * it reaches. A recovery that is stopped anywhere goes on from the last batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/update_cache.h"
#include "state/window_hooks.h"

/* Records of one read. */
#define BLOCK_RECORDS 4096u
/* Gathered changes that make a batch. The larger, the more records of a key become one and
 * the better the order of the batch suits the backend. */
#define GATHER_BYTES ((size_t)24 << 20)
/* Rebuilds in a row, each because records went away while it ran, before giving up. */
#define MAX_REBUILDS       3
#define LOG_INTERVAL_MS    2000
#define IDLE_PAUSE_MS      5
#define IDLE_STEP_LIMIT_MS 100

struct weir__recovery {
    weir__recovery_rule rule;
    int64_t first;    /* the offset at which it began */
    int64_t position; /* the next to read; all below is gathered or in the database */
    int64_t written;  /* all below is in the database */
    int64_t end;
    int64_t applied;
    int64_t skipped;
    bool fresh;     /* began without any stored offset */
    bool must_seek; /* the changelog reads from somewhere else than position */
    int rebuilds;

    int64_t began_ms;
    int64_t idle_ms; /* time without progress, in steps and a little between them */
    int64_t step_ended_ms;
    int64_t logged_ms;
    int64_t logged_position;

    weir_cf cf; /* of the record before */
    weir__update_cache gathered;
    weir__recovery_ttl ttl;
    weir_changelog_record records[BLOCK_RECORDS];
};

void weir__recovery_free(weir__recovery *recovery)
{
    if (recovery == NULL)
        return;
    weir__recovery_rule_release(&recovery->rule);
    weir__update_cache_release(&recovery->gathered);
    weir__arena_release(&recovery->ttl.arena);
    free(recovery);
}

/* Reading goes on at `position`, and what was gathered does not count. */
static void restart_at(weir__recovery *recovery, int64_t position, int64_t end)
{
    weir__update_cache_reset(&recovery->gathered);
    recovery->first = recovery->position = recovery->written = position;
    recovery->logged_position = position;
    recovery->end = end;
    recovery->applied = recovery->skipped = 0;
}

/* ---------------------------------------------------------------------------
 * Log events
 * ------------------------------------------------------------------------- */

static const char *label(const weir_partition *partition)
{
    return weir__database_label(partition->database);
}

static void log_start(const weir_partition *partition, const weir__recovery *recovery)
{
    weir_log(WEIR_LOG_INFO, "recovery.start",
             "recovering from changelog %s, offsets %lld to %lld (%lld) (%s)",
             partition->changelog->name, (long long)recovery->first, (long long)recovery->end - 1,
             (long long)(recovery->end - recovery->first), label(partition));
}

static void log_progress(const weir_partition *partition, weir__recovery *recovery)
{
    int64_t now = weir__now_ms();
    int64_t elapsed = now - recovery->logged_ms;
    if (elapsed < LOG_INTERVAL_MS)
        return;
    double rate =
        (double)(recovery->position - recovery->logged_position) * 1000.0 / (double)elapsed;
    double percent = 100.0 * (double)(recovery->position - recovery->first) /
                     (double)(recovery->end - recovery->first);
    double left = rate > 0 ? (double)(recovery->end - recovery->position) / rate : 0;
    weir_log(WEIR_LOG_INFO, "recovery.progress",
             "changelog %s at offset %lld of %lld (%.1f %%), %.0f offsets/s, %.0f s left (%s)",
             partition->changelog->name, (long long)recovery->position, (long long)recovery->end,
             percent, rate, left, label(partition));
    recovery->logged_ms = now;
    recovery->logged_position = recovery->position;
}

static void log_done(const weir_partition *partition, const weir__recovery *recovery)
{
    double seconds = (double)(weir__now_ms() - recovery->began_ms) / 1000.0;
    weir_log(WEIR_LOG_INFO, "recovery.done",
             "changelog %s: %lld records applied, %lld skipped, state at offset %lld, %.3f s (%s)",
             partition->changelog->name, (long long)recovery->applied, (long long)recovery->skipped,
             (long long)recovery->end - 1, seconds, label(partition));
    weir__recovery_ttl_hint(partition, &recovery->ttl);
    if (recovery->fresh && recovery->applied == 0 && recovery->skipped > 0)
        weir_log(WEIR_LOG_WARN, "recovery.skipped",
                 "changelog %s: all %lld records were skipped, because processing starts before "
                 "the source records that made them; the state is empty and is built again from "
                 "the source (%s)",
                 partition->changelog->name, (long long)recovery->skipped, label(partition));
}

/* The state holds the effect of source records that come again: their effect doubles. */
static void warn_if_ahead(const weir_partition *partition, const weir_topic_offset *start,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t processed = weir_partition_processed_offset(partition, start[i].topic);
        if (processed != WEIR_OFFSET_NONE && processed >= start[i].offset)
            weir_log(WEIR_LOG_WARN, "recovery.ahead",
                     "the state holds topic %s up to offset %lld, but processing goes on at %lld: "
                     "these records are counted again; to avoid it, clear the local state (%s)",
                     start[i].topic, (long long)processed, (long long)start[i].offset,
                     label(partition));
    }
}

/* ---------------------------------------------------------------------------
 * Gaps: records that the state needs are not in the changelog
 * ------------------------------------------------------------------------- */

typedef struct gap {
    int64_t stored; /* the state holds the changelog up to here */
    int64_t low;
    int64_t high;
} gap;

static weir_status tell_gap(const weir_partition *partition, const gap *found, weir_error *err)
{
    if (found->stored >= found->high)
        return weir_error_set(
            err, WEIR_OFFSET,
            "the state holds changelog offset %lld, but changelog %s ends at %lld: the topic was "
            "made anew or cut at its end",
            (long long)found->stored, partition->changelog->name, (long long)found->high - 1);
    return weir_error_set(
        err, WEIR_OFFSET,
        "the state holds changelog %s up to offset %lld, but it begins at %lld now: %lld offsets "
        "between were deleted",
        partition->changelog->name, (long long)found->stored, (long long)found->low,
        (long long)(found->low - found->stored - 1));
}

/* A state that is built from nothing takes what there is: the topic may drop old records on
 * purpose. */
static void warn_of_lost_beginning(const weir_partition *partition, int64_t low)
{
    weir_log(WEIR_LOG_WARN, "recovery.gap",
             "changelog %s begins at offset %lld: what was deleted before is not in the rebuilt "
             "state (%s)",
             partition->changelog->name, (long long)low, label(partition));
}

/* By policy: fails, or clears the local state, after which *low and *high say what there
 * is to replay. */
static weir_status handle_gap(weir_partition *partition, const gap *found, int64_t *low,
                              int64_t *high, weir_error *err)
{
    weir_error what;
    tell_gap(partition, found, &what);
    if (partition->gap_policy == WEIR_GAP_FAIL)
        return weir__partition_error(
            partition, WEIR_OFFSET, err,
            "recover: %s; set the gap policy to rebuild, or remove the folder of this partition, "
            "to rebuild the state from the records that are left",
            what.message);
    weir_log(WEIR_LOG_WARN, "recovery.gap",
             "%s; the local state is destroyed and rebuilt from the records that are left (%s)",
             what.message, label(partition));
    weir_status status = weir__recovery_clear(partition, err);
    if (status != WEIR_OK)
        return status;
    return partition->changelog->ops->range(partition->changelog, low, high, err);
}

/* Records were deleted while the recovery ran. */
static weir_status handle_gap_midway(weir_partition *partition, weir__recovery *recovery,
                                     weir_error *err)
{
    gap found = {.stored = recovery->position - 1};
    weir_changelog *changelog = partition->changelog;
    weir_status status = changelog->ops->range(changelog, &found.low, &found.high, err);
    if (status != WEIR_OK)
        return status;
    recovery->must_seek = true;
    if (found.stored < found.high && found.stored + 1 >= found.low)
        return WEIR_OK; /* the reader was somewhere else: what is needed is there */
    if (partition->changelog_offset == WEIR_OFFSET_NONE) {
        /* Nothing was taken yet: the same as if it had begun now. */
        warn_of_lost_beginning(partition, found.low);
        weir__recovery_rule_forget(&recovery->rule);
        restart_at(recovery, found.low, found.high);
        return WEIR_OK;
    }
    if (recovery->rebuilds++ >= MAX_REBUILDS)
        return weir__partition_error(partition, WEIR_OFFSET, err,
                                     "recover: changelog %s loses records faster than they are "
                                     "read; its retention is too short for its size",
                                     changelog->name);
    if (partition->gap_policy == WEIR_GAP_REBUILD) {
        /* Must not be written onto a state that was cleared in part. */
        weir__update_cache_reset(&recovery->gathered);
        recovery->position = recovery->written;
    }
    int64_t low;
    int64_t high;
    status = handle_gap(partition, &found, &low, &high, err);
    if (status != WEIR_OK)
        return status;
    weir__recovery_rule_forget(&recovery->rule);
    restart_at(recovery, low, high);
    recovery->fresh = true;
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * Beginning
 * ------------------------------------------------------------------------- */

/* From where to where the changelog is to be read. Handles what is gone. */
static weir_status find_range(weir_partition *partition, int64_t *position, int64_t *end,
                              weir_error *err)
{
    gap found = {.stored = partition->changelog_offset};
    weir_changelog *changelog = partition->changelog;
    weir_status status = changelog->ops->range(changelog, &found.low, &found.high, err);
    if (status != WEIR_OK)
        return status;
    int64_t low = found.low;
    int64_t high = found.high;
    if (found.stored != WEIR_OFFSET_NONE) {
        *position = found.stored + 1;
        *end = high;
        if (found.stored < found.high && found.stored + 1 >= found.low)
            return WEIR_OK;
        status = handle_gap(partition, &found, &low, &high, err);
        if (status != WEIR_OK)
            return status;
    }
    if (low > 0)
        warn_of_lost_beginning(partition, low);
    *position = low;
    *end = high;
    return WEIR_OK;
}

static weir_status recovery_new(weir_partition *partition, const weir_topic_offset *start,
                                size_t count, weir__recovery **created, weir_error *err)
{
    *created = NULL;
    weir__recovery *recovery = malloc(sizeof(*recovery));
    if (recovery == NULL)
        return weir__partition_error(partition, WEIR_NO_MEMORY, err,
                                     "begin recovery: out of memory");
    memset(recovery, 0, offsetof(weir__recovery, records));
    weir_status status = weir__recovery_rule_init(&recovery->rule, partition, start, count, err);
    if (status != WEIR_OK) {
        weir__recovery_free(recovery);
        return status;
    }
    recovery->cf = WEIR_CF_DEFAULT;
    weir__update_cache_init(&recovery->gathered);
    recovery->must_seek = true;
    recovery->began_ms = recovery->step_ended_ms = recovery->logged_ms = weir__now_ms();
    *created = recovery;
    return WEIR_OK;
}

weir_status weir_partition_recovery_begin(weir_partition *partition, const weir_topic_offset *start,
                                          size_t count, bool *needed, weir_error *err)
{
    *needed = false;
    if (partition->changelog == NULL)
        return WEIR_OK;
    if (partition->open_txns > 0)
        return weir__partition_error(partition, WEIR_BUSY, err,
                                     "begin recovery: a transaction is open");
    weir__recovery_free(partition->recovery);
    partition->recovery = NULL;

    int64_t position;
    int64_t end;
    weir_status status = find_range(partition, &position, &end, err);
    if (status != WEIR_OK)
        return status;
    warn_if_ahead(partition, start, count);
    weir__recovery *recovery;
    status = recovery_new(partition, start, count, &recovery, err);
    if (status != WEIR_OK)
        return status;
    if (position >= end) {
        weir__recovery_free(recovery);
        return WEIR_OK;
    }
    restart_at(recovery, position, end);
    recovery->fresh = partition->changelog_offset == WEIR_OFFSET_NONE;
    log_start(partition, recovery);
    partition->recovery = recovery;
    *needed = true;
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * Reading and applying
 * ------------------------------------------------------------------------- */

static weir_status bad_record(const weir_partition *partition, const weir_changelog_record *record,
                              const char *what, weir_error *err)
{
    return weir__partition_error(partition, WEIR_CORRUPTED, err,
                                 "recover: record at offset %lld of changelog %s %s",
                                 (long long)record->offset, partition->changelog->name, what);
}

/* The family of a record, most often that of the record before, into recovery->cf. */
static weir_status find_cf(weir_partition *partition, weir__recovery *recovery,
                           const weir_changelog_record *record, weir_error *err)
{
    if (record->cf == NULL || record->cf[0] == '\0')
        return bad_record(partition, record, "has no header __column_family__", err);
    if (strcmp(partition->cfs[recovery->cf].name, record->cf) == 0)
        return WEIR_OK;
    /* What is local is made from the rest; a record could only damage it. */
    if (weir__cf_is_local(record->cf)) {
        char what[300];
        snprintf(what, sizeof what, "names the column family %s, which is local", record->cf);
        return bad_record(partition, record, what, err);
    }
    return weir_partition_cf(partition, record->cf, &recovery->cf, err);
}

/* Whether the record counts, by the rule. *apply [out]. */
static weir_status decide(weir_partition *partition, weir__recovery *recovery,
                          const weir_changelog_record *record, bool *apply, weir_error *err)
{
    weir_error inner;
    weir_status status = weir__recovery_rule_decide(&recovery->rule, record->processed_offsets,
                                                    record->processed_offsets_size, apply, &inner);
    if (status == WEIR_CORRUPTED)
        return weir__partition_error(
            partition, status, err,
            "recover: record at offset %lld of changelog %s has a malformed header "
            "__processed_tp_offsets__: %s",
            (long long)record->offset, partition->changelog->name, inner.message);
    if (status != WEIR_OK)
        return weir__partition_error(partition, status, err, "recover: %s", inner.message);
    return WEIR_OK;
}

static weir_status gather_record(weir_partition *partition, weir__recovery *recovery,
                                 const weir_changelog_record *record, weir_error *err)
{
    bool apply;
    weir_status status = decide(partition, recovery, record, &apply, err);
    if (status != WEIR_OK)
        return status;
    if (!apply) {
        recovery->skipped++;
        return WEIR_OK;
    }
    if (record->key.size > WEIR_KEY_MAX_SIZE)
        return bad_record(partition, record, "has a key over 65535 bytes", err);
    status = find_cf(partition, recovery, record, err);
    if (status != WEIR_OK)
        return status;
    status =
        weir__recovery_gather(partition, &recovery->ttl, &recovery->gathered, recovery->cf, record);
    if (status != WEIR_OK)
        return weir__partition_error(partition, status, err, "recover: out of memory");
    recovery->applied++;
    return WEIR_OK;
}

/* Takes records[0…count) below the end. After a failure the position is behind the last one
 * that was taken, so that nothing is taken or counted twice. */
static weir_status gather_block(weir_partition *partition, weir__recovery *recovery, size_t count,
                                int64_t position, weir_error *err)
{
    for (size_t i = 0; i < count && recovery->records[i].offset < recovery->end; i++) {
        const weir_changelog_record *record = &recovery->records[i];
        weir_status status = gather_record(partition, recovery, record, err);
        if (status != WEIR_OK)
            return status;
        recovery->position = record->offset + 1;
    }
    recovery->position = position;
    return WEIR_OK;
}

static bool is_batch_due(const weir__recovery *recovery)
{
    return recovery->written < recovery->end &&
           (recovery->position >= recovery->end ||
            weir__update_cache_bytes(&recovery->gathered) >= GATHER_BYTES);
}

/* One batch: what was gathered, the offset before the position, and what is processed. After
 * a failure all of it waits for the next attempt. */
static weir_status write_batch(weir_partition *partition, weir__recovery *recovery, weir_error *err)
{
    weir__update_cache *gathered = &recovery->gathered;
    weir__ttl_batch batch = {0};
    bool has_ends = partition->ends == WEIR__ENDS_VALID;
    weir_status status = weir__recovery_fill(partition, &recovery->ttl, gathered,
                                             has_ends ? gathered->count : 0, &batch, err);
    if (status != WEIR_OK)
        return status;
    size_t followers = 0;
    if (has_ends && weir__window_ends_follow(partition, gathered, &gathered->arena,
                                             batch.ops + batch.count, &followers))
        return weir__partition_error(partition, WEIR_NO_MEMORY, err, "recover: out of memory");

    /* What is stored stays unless it is given. */
    const weir__offset_table *processed = &recovery->rule.processed;
    size_t processed_count = recovery->rule.processed_changed ? processed->count : 0;
    status = weir__partition_write(partition, batch.ops, batch.count + followers,
                                   recovery->position - 1, processed->items, processed_count, err);
    if (status != WEIR_OK)
        return status;
    weir__ttl_batch_done(partition, &batch);
    if (partition->cache != NULL && gathered->count > 0)
        weir__record_cache_clear(partition->cache);
    recovery->rule.processed_changed = false;
    recovery->written = recovery->position;
    weir__update_cache_reset(gathered);
    return WEIR_OK;
}

/* Nothing came: counts the time, and gives up after stall_ms of it. */
static weir_status note_idle(weir_partition *partition, weir__recovery *recovery, int64_t waited_ms,
                             int64_t timeout_ms, int stall_ms, weir_error *err)
{
    if (waited_ms < timeout_ms) {
        /* It returned early: without a pause this would turn in circles. */
        int64_t pause = timeout_ms - waited_ms;
        pause = pause < IDLE_PAUSE_MS ? pause : IDLE_PAUSE_MS;
        weir__sleep_ms(pause, NULL);
        waited_ms += pause;
    }
    recovery->idle_ms += waited_ms;
    if (stall_ms <= 0 || recovery->idle_ms < stall_ms)
        return WEIR_OK;
    return weir__partition_error(
        partition, WEIR_TIMEOUT, err,
        "recover: changelog %s gave nothing for %lld ms, at offset %lld of %lld",
        partition->changelog->name, (long long)recovery->idle_ms, (long long)recovery->position,
        (long long)recovery->end);
}

static weir_status read_block(weir_partition *partition, weir__recovery *recovery,
                              int64_t timeout_ms, int stall_ms, weir_error *err)
{
    weir_changelog *changelog = partition->changelog;
    weir_status status = WEIR_OK;
    if (recovery->must_seek)
        status = changelog->ops->seek(changelog, recovery->position, err);
    if (status != WEIR_OK)
        return status;
    /* Whatever fails from here on, the changelog has moved and the state has not. */
    recovery->must_seek = true;

    if (stall_ms > 0 && timeout_ms > stall_ms - recovery->idle_ms)
        timeout_ms = stall_ms > recovery->idle_ms ? stall_ms - recovery->idle_ms : 0;
    int64_t before = weir__now_ms();
    size_t count;
    int64_t position;
    weir_error inner;
    weir_error_init(&inner);
    status = changelog->ops->read(changelog, recovery->records, BLOCK_RECORDS, (int)timeout_ms,
                                  &count, &position, &inner);
    if (status == WEIR_OFFSET)
        return handle_gap_midway(partition, recovery, err);
    if (status != WEIR_OK)
        return weir__partition_error(partition, status, err, "recover: %s", inner.message);

    if (position <= recovery->position) {
        recovery->must_seek = false;
        return note_idle(partition, recovery, weir__now_ms() - before, timeout_ms, stall_ms, err);
    }
    if (position > recovery->end)
        position = recovery->end;
    status = gather_block(partition, recovery, count, position, err);
    if (status == WEIR_OK) {
        recovery->must_seek = false;
        recovery->idle_ms = 0;
    }
    return status;
}

/* As read_block; after a failure, what came before it is kept, so that one who tries again and
 * again gets on. */
static weir_status read_on(weir_partition *partition, weir__recovery *recovery, int64_t timeout_ms,
                           int stall_ms, weir_error *err)
{
    weir_status status = read_block(partition, recovery, timeout_ms, stall_ms, err);
    if (status != WEIR_OK && recovery->written < recovery->position)
        write_batch(partition, recovery, NULL); /* the failure to tell is the first one */
    return status;
}

static void fill_progress(const weir_partition *partition, weir_recovery_progress *progress)
{
    if (progress == NULL)
        return;
    const weir__recovery *recovery = partition->recovery;
    memset(progress, 0, sizeof(*progress));
    progress->store = partition->store;
    progress->stream_id = partition->stream_id;
    progress->partition = partition->number;
    progress->position = progress->end = partition->changelog_offset + 1;
    if (recovery != NULL) {
        progress->position = recovery->position;
        progress->end = recovery->end;
        progress->applied = recovery->applied;
        progress->skipped = recovery->skipped;
    }
}

weir_status weir_partition_recovery_step(weir_partition *partition, int budget_ms, int stall_ms,
                                         bool *done, weir_recovery_progress *progress,
                                         weir_error *err)
{
    weir__recovery *recovery = partition->recovery;
    *done = recovery == NULL;
    fill_progress(partition, progress);
    if (recovery == NULL)
        return WEIR_OK;

    int64_t now = weir__now_ms();
    int64_t deadline = now + (budget_ms > 0 ? budget_ms : 0);
    /* A caller that looks in now and then gives the changelog time as well; one that
     * was away for long does not make it late. */
    int64_t away = now - recovery->step_ended_ms;
    recovery->idle_ms += away < IDLE_STEP_LIMIT_MS ? away : IDLE_STEP_LIMIT_MS;
    weir_status status = WEIR_OK;
    do {
        status = is_batch_due(recovery)
                     ? write_batch(partition, recovery, err)
                     : read_on(partition, recovery, deadline - now, stall_ms, err);
        if (status == WEIR_OK)
            log_progress(partition, recovery);
        now = weir__now_ms();
    } while (status == WEIR_OK && recovery->written < recovery->end &&
             (now < deadline || is_batch_due(recovery)));
    if (status == WEIR_OK && budget_ms <= 0 && recovery->written < recovery->position)
        status = write_batch(partition, recovery, err);
    recovery->step_ended_ms = now;
    fill_progress(partition, progress);
    if (status == WEIR_OK && recovery->written >= recovery->end) {
        log_done(partition, recovery);
        weir__recovery_free(recovery);
        partition->recovery = NULL;
        *done = true;
    }
    return status;
}
