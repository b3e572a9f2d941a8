/*
 * TTL in a transaction: event time, values that expire, and the chores: sweeping what has
 * expired, and stamping what was there before. See ttl.h.
 *
 * A chore is planned by prepare on what is committed then, goes to the changelog as a change
 * does, and is done by the flush. It must not undo what another transaction does in between:
 * chores are planned only by a transaction that is open alone, and are not done if another
 * batch came before. The changelog is right in either case, as what that other one appended
 * stands behind the chores.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/txn.h"

#define STEP_BYTES ((size_t)8 << 20)
#define KEEP_BYTES ((size_t)4 << 20)

static const uint8_t done_bytes[8] = {0, 0, 0, 0, 0, 0, 0, 2};

static weir_status no_memory(const weir_txn *txn, weir_error *err)
{
    return weir__partition_error(txn->partition, WEIR_NO_MEMORY, err, "out of memory for TTL");
}

void weir__txn_ttl_begin(weir_txn *txn)
{
    weir__txn_ttl *ttl = &txn->ttl;
    ttl->event_time = WEIR_TIME_NONE;
    ttl->clock = txn->partition->ttl.clock;
    ttl->limit = WEIR_TIME_NONE;
    ttl->is_wanted = ttl->is_warned = ttl->finishes = false;
    ttl->swept = 0;
    ttl->cursor = weir_slice_of(NULL, 0);
    ttl->chore_count = 0;
    if (ttl->arena.used > 0)
        weir__arena_reset(&ttl->arena, KEEP_BYTES);
}

void weir__txn_ttl_release(weir_txn *txn)
{
    weir__arena_release(&txn->ttl.arena);
    free(txn->ttl.chores);
}

/* --- Time --- */

static void warn_of_jump(weir_txn *txn, int64_t event_time)
{
    const weir_partition *partition = txn->partition;
    if (txn->ttl.is_warned)
        return;
    txn->ttl.is_warned = true;
    weir_log(WEIR_LOG_WARN, "ttl.time",
             "the event time %" PRId64 " is more than %" PRId64
             " ms ahead: the time by which values expire goes on to %" PRId64
             " only, in this checkpoint (%s)",
             event_time, partition->ttl.max_jump_ms, txn->ttl.limit,
             weir__database_label(partition->database));
}

/* A time from which to measure a jump is missing in a store that has seen none: the wall clock
 * is, as far as it goes, beyond what records can tell. */
static int64_t find_limit(const weir_txn *txn)
{
    int64_t from = txn->ttl.clock == WEIR_TIME_NONE ? weir__wall_ms() : txn->ttl.clock;
    int64_t jump = txn->partition->ttl.max_jump_ms;
    return jump < INT64_MAX - from ? from + jump : INT64_MAX;
}

void weir_txn_set_event_time(weir_txn *txn, int64_t event_time)
{
    weir__txn_ttl *ttl = &txn->ttl;
    ttl->event_time = event_time < 0 ? WEIR_TIME_NONE : event_time;
    if (event_time <= ttl->clock || !txn->partition->ttl.is_possible)
        return;
    if (ttl->limit == WEIR_TIME_NONE)
        ttl->limit = find_limit(txn);
    if (event_time > ttl->limit) {
        warn_of_jump(txn, event_time);
        event_time = ttl->limit;
    }
    if (event_time > ttl->clock)
        ttl->clock = event_time;
}

weir_status weir__txn_ttl_expiry(weir_txn *txn, int64_t ttl_ms, uint64_t *expiry, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    weir_status status = weir__txn_check(txn, err);
    *expiry = WEIR__TTL_NEVER;
    if (status || ttl_ms == WEIR_TTL_NEVER)
        return status;
    if (!partition->ttl.is_possible)
        status = weir__partition_error(partition, WEIR_UNSUPPORTED, err,
                                       "only the values of a plain store have a TTL");
    else if (ttl_ms <= 0)
        status = weir__partition_error(partition, WEIR_INVALID, err,
                                       "a TTL of %" PRId64 " ms: it has to be above 0", ttl_ms);
    else if (txn->ttl.event_time == WEIR_TIME_NONE)
        status = weir__partition_error(partition, WEIR_INVALID, err,
                                       "a TTL without a timestamp: it counts from the event time "
                                       "of a record, and the record at hand has none");
    else if (!weir__ttl_expiry(txn->ttl.event_time, ttl_ms, expiry))
        status = weir__partition_error(partition, WEIR_INVALID, err,
                                       "a TTL of %" PRId64 " ms from the event time %" PRId64
                                       " on ends beyond what can be stored (below 10^15 ms)",
                                       ttl_ms, txn->ttl.event_time);
    if (status)
        weir_txn_fail(txn);
    return status;
}

/* --- Planning --- */

static weir__ttl_chore *add_chore(weir_txn *txn)
{
    weir__txn_ttl *ttl = &txn->ttl;
    if (ttl->chore_count == ttl->chore_capacity) {
        size_t capacity = ttl->chore_capacity ? ttl->chore_capacity * 2 : 256;
        weir__ttl_chore *chores = realloc(ttl->chores, capacity * sizeof *chores);
        if (!chores)
            return NULL;
        ttl->chores = chores;
        ttl->chore_capacity = capacity;
    }
    return &ttl->chores[ttl->chore_count++];
}

static bool copy_slice(weir_txn *txn, weir_slice from, weir_slice *copy)
{
    const char *data = weir__arena_copy(&txn->ttl.arena, from.data, from.size);
    *copy = weir_slice_of(data, from.size);
    return data != NULL;
}

static const weir__update *find_change(const weir_txn *txn, weir_slice key)
{
    return weir__update_cache_find(&txn->updates, WEIR_CF_DEFAULT, key,
                                   weir__record_hash(WEIR_CF_DEFAULT, key));
}

/* Whether a change sets a value that expires then. */
static bool sets_expiry(const weir__update *change, uint64_t expiry)
{
    uint64_t set;
    weir_slice value;
    return !change->is_delete &&
           weir__ttl_split(weir_slice_of(change->value, change->value_size), &set, &value) &&
           set == expiry;
}

/* What becomes of an entry of the index whose time has come. */
static weir_status plan_entry(weir_txn *txn, weir_slice entry, uint64_t *expiry, weir_error *err)
{
    weir_slice key;
    uint64_t committed = WEIR__TTL_NEVER;
    bool is_there;
    const weir__update *change = NULL;
    bool is_entry = weir__ttl_split_index(entry, expiry, &key);
    if (is_entry) {
        weir_status status =
            weir__ttl_committed(txn->partition, key, weir__record_hash(WEIR_CF_DEFAULT, key),
                                &committed, &is_there, err);
        if (status)
            return status;
        change = find_change(txn, key);
    }
    bool is_live = is_entry && committed == *expiry;
    if (change && (is_live || sets_expiry(change, *expiry)))
        return WEIR_OK; /* the change sees to its entry */
    weir__ttl_chore *chore = add_chore(txn);
    if (!chore)
        return no_memory(txn, err);
    *chore = (weir__ttl_chore){.kind = is_live ? WEIR__CHORE_EXPIRE : WEIR__CHORE_DROP,
                               .expiry = committed};
    return copy_slice(txn, is_live ? key : entry, &chore->key) ? WEIR_OK : no_memory(txn, err);
}

/* More than the transaction changes: so a sweep is faster than any program fills the store. */
static size_t step_keys(const weir_txn *txn)
{
    return txn->partition->ttl.step_keys + 2 * txn->updates.count;
}

static weir_status open_iter(const weir_txn *txn, weir_backend_cf *cf,
                             const weir_backend_iter_args *args, weir_backend_iter **iter,
                             weir_error *err)
{
    const weir_partition *partition = txn->partition;
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = partition->backend->iter_open(partition->db, cf, args, iter, &inner);
    if (status)
        weir__database_error(partition->database, status, "opening an iterator for TTL", &inner,
                             err);
    return status;
}

static weir_status next_item(const weir_txn *txn, weir_backend_iter *iter, weir_slice *key,
                             weir_slice *value, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = partition->backend->iter_next(iter, key, value, &inner);
    if (status && status != WEIR_NOT_FOUND)
        weir__database_error(partition->database, status, "reading the next item for TTL", &inner,
                             err);
    return status;
}

static weir_status plan_sweep(weir_txn *txn, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    weir__txn_ttl *ttl = &txn->ttl;
    if (ttl->clock == WEIR_TIME_NONE || partition->ttl.swept > (uint64_t)ttl->clock)
        return WEIR_OK;
    uint8_t lower[WEIR__TTL_STAMP_SIZE];
    uint8_t upper[WEIR__TTL_STAMP_SIZE];
    weir__ttl_stamp(lower, partition->ttl.swept);
    weir__ttl_stamp(upper, (uint64_t)ttl->clock + 1);
    weir_backend_iter_args args = {.struct_size = sizeof args,
                                   .lower = weir_slice_of(lower, sizeof lower),
                                   .upper = weir_slice_of(upper, sizeof upper),
                                   .has_lower = partition->ttl.swept > 0,
                                   .has_upper = true};
    weir_backend_iter *iter;
    weir_slice entry;
    weir_slice value;
    uint64_t expiry = partition->ttl.swept;
    weir_status status = open_iter(txn, partition->ttl.index, &args, &iter, err);
    if (status)
        return status;
    size_t left = step_keys(txn);
    for (; left > 0 && !status; left--) {
        status = next_item(txn, iter, &entry, &value, err);
        if (!status)
            status = plan_entry(txn, entry, &expiry, err);
    }
    partition->backend->iter_close(iter);
    if (status && status != WEIR_NOT_FOUND)
        return status;
    bool is_all = status == WEIR_NOT_FOUND;
    if (is_all)
        ttl->swept = (uint64_t)ttl->clock + 1;
    else if (expiry != WEIR__TTL_NEVER)
        ttl->swept = expiry;
    return WEIR_OK;
}

/* *taken [out]: bytes that were copied. */
static weir_status plan_stamp(weir_txn *txn, weir_slice key, weir_slice stored, size_t *taken,
                              weir_error *err)
{
    uint64_t expiry;
    weir_slice value;
    bool is_stamped;
    *taken = 0;
    weir_status status =
        weir__ttl_read(txn->partition, key, stored, &expiry, &value, &is_stamped, err);
    if (status || is_stamped || find_change(txn, key))
        return status;
    *taken = key.size + WEIR__TTL_STAMP_SIZE + stored.size;
    weir__ttl_chore *chore = add_chore(txn);
    uint8_t *copy =
        chore ? weir__arena_alloc(&txn->ttl.arena, WEIR__TTL_STAMP_SIZE + stored.size) : NULL;
    if (!copy)
        return no_memory(txn, err);
    weir__ttl_stamp(copy, WEIR__TTL_NEVER);
    if (stored.size > 0)
        memcpy(copy + WEIR__TTL_STAMP_SIZE, stored.data, stored.size);
    *chore = (weir__ttl_chore){
        .kind = WEIR__CHORE_STAMP,
        .expiry = WEIR__TTL_NEVER,
        .stored = weir_slice_of(copy, WEIR__TTL_STAMP_SIZE + stored.size),
    };
    return copy_slice(txn, key, &chore->key) ? WEIR_OK : no_memory(txn, err);
}

/* The next keys behind the cursor. */
static weir_status plan_stamps(weir_txn *txn, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    weir_slice lower = weir__buffer_slice(&partition->ttl.cursor);
    weir_backend_iter_args args = {
        .struct_size = sizeof args, .lower = lower, .has_lower = lower.size > 0};
    weir_backend_iter *iter;
    weir_status status = open_iter(txn, partition->cfs[WEIR_CF_DEFAULT].handle, &args, &iter, err);
    if (status)
        return status;
    size_t left = step_keys(txn);
    size_t bytes = 0;
    weir_slice key = {0};
    weir_slice value;
    while (left-- > 0 && bytes < STEP_BYTES && !status) {
        size_t taken;
        status = next_item(txn, iter, &key, &value, err);
        if (!status)
            status = plan_stamp(txn, key, value, &taken, err);
        if (!status)
            bytes += taken;
    }
    txn->ttl.finishes = status == WEIR_NOT_FOUND;
    if (txn->ttl.finishes)
        status = WEIR_OK;
    else if (!status && !copy_slice(txn, key, &txn->ttl.cursor))
        status = no_memory(txn, err);
    partition->backend->iter_close(iter);
    return status;
}

/* Tells everybody that no value is unstamped; goes with the changes, behind all of them. */
static weir_status set_done(weir_txn *txn, weir_error *err)
{
    weir_cf system;
    weir_slice key = weir_slice_str(WEIR__TTL_DONE_KEY);
    weir_slice value = weir_slice_of(done_bytes, sizeof done_bytes);
    weir_status status = weir_partition_cf(txn->partition, WEIR__CF_TTL_SYSTEM, &system, err);
    if (!status &&
        weir__update_cache_set(&txn->updates, system, key, weir__record_hash(system, key), &value))
        status = no_memory(txn, err);
    return status;
}

weir_status weir__txn_ttl_plan(weir_txn *txn, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    const weir__ttl *ttl = &partition->ttl;
    if (txn->updates.count == 0 || !weir__txn_ttl_is_stamping(txn))
        return WEIR_OK;
    txn->ttl.planned_at = partition->stats.flushes;
    if (!ttl->is_on) {
        bool is_empty;
        weir_status status = weir__ttl_is_empty(partition, &is_empty, err);
        return status || !is_empty ? status : set_done(txn, err);
    }
    if (partition->open_txns > 1)
        return WEIR_OK;
    weir_status status = plan_sweep(txn, err);
    if (!status && ttl->is_partial)
        status = plan_stamps(txn, err);
    if (!status && txn->ttl.finishes)
        status = set_done(txn, err);
    return status;
}

weir_status weir__txn_ttl_append(weir_txn *txn, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < txn->ttl.chore_count && !status; i++) {
        const weir__ttl_chore *chore = &txn->ttl.chores[i];
        if (chore->kind == WEIR__CHORE_DROP)
            continue;
        bool is_stamp = chore->kind == WEIR__CHORE_STAMP;
        weir_changelog_record record = {
            .cf = WEIR_BACKEND_DEFAULT_CF,
            .key = chore->key,
            .value = chore->stored,
            .is_tombstone = !is_stamp,
            /* The value of a stamp is final, whatever becomes of this transaction. */
            .processed_offsets = is_stamp ? "null" : (const char *)txn->processed_json.data,
            .processed_offsets_size = is_stamp ? 4 : txn->processed_json.size,
            .ttl_stamped = true,
        };
        status = weir__txn_append(txn, &record, err);
    }
    return status;
}

/* --- Flush --- */

weir_status weir__txn_ttl_batch_begin(weir_txn *txn, weir__ttl_batch *batch, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    bool is_empty = true;
    batch->arena = &txn->ttl.arena;
    batch->turns_on = !partition->ttl.is_on;
    batch->clock = txn->ttl.clock;
    if (batch->turns_on) {
        weir_status status = weir__ttl_is_empty(partition, &is_empty, err);
        if (status)
            return status;
    }
    batch->becomes_partial = !is_empty;
    return weir__ttl_batch_begin(txn->partition, batch, err);
}

static weir_status do_chore(weir_txn *txn, weir__ttl_batch *batch, const weir__ttl_chore *chore,
                            weir_error *err)
{
    weir_partition *partition = txn->partition;
    if (chore->kind == WEIR__CHORE_DROP)
        return weir__ttl_batch_drop(partition, batch, chore->key, err);
    bool is_stamp = chore->kind == WEIR__CHORE_STAMP;
    batch->ops[batch->count++] = (weir_backend_op){
        .kind = is_stamp ? WEIR_OP_PUT : WEIR_OP_DELETE,
        .cf = partition->cfs[WEIR_CF_DEFAULT].handle,
        .key = chore->key,
        .value = chore->stored,
    };
    return weir__ttl_batch_change(partition, batch, chore->key, is_stamp ? &chore->stored : NULL,
                                  chore->expiry, err);
}

weir_status weir__txn_ttl_batch_end(weir_txn *txn, weir__ttl_batch *batch, weir_error *err)
{
    weir__txn_ttl *ttl = &txn->ttl;
    if (ttl->planned_at != txn->partition->stats.flushes)
        ttl->chore_count = 0; /* what they were planned on is not what there is */
    else if (txn->partition->ttl.is_on) {
        batch->finishes = ttl->finishes;
        batch->swept = ttl->swept;
        batch->cursor = ttl->cursor;
    }
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < ttl->chore_count && !status; i++)
        status = do_chore(txn, batch, &ttl->chores[i], err);
    return status ? status : weir__ttl_batch_end(txn->partition, batch, err);
}

static bool has_iters(const weir_partition *partition)
{
    for (const weir_txn *txn = partition->open_list; txn; txn = txn->next_open) {
        if (txn->updates.open_iters > 0)
            return true;
    }
    return false;
}

void weir__txn_ttl_batch_done(weir_txn *txn, const weir__ttl_batch *batch)
{
    weir_partition *partition = txn->partition;
    weir__ttl_batch_done(partition, batch);
    for (size_t i = 0; i < txn->ttl.chore_count && partition->cache; i++) {
        const weir__ttl_chore *chore = &txn->ttl.chores[i];
        if (chore->kind == WEIR__CHORE_EXPIRE)
            weir__record_cache_put(partition->cache, WEIR_CF_DEFAULT, chore->key,
                                   weir__record_hash(WEIR_CF_DEFAULT, chore->key), NULL);
    }
    if (batch->finishes && !has_iters(partition))
        weir__ttl_drop_ledger(partition);
}
