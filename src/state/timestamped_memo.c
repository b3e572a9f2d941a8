/*
 * Memos of timestamped stores: see timestamped.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "state/kind.h"
#include "state/timestamped.h"

/* --- Finding and making them --- */

static weir__update *find(weir_txn *txn, weir_slice prefix)
{
    weir__stamped_txn *stamped = txn->stamped;
    weir__update *last = stamped->last;
    if (last && last->key_size == prefix.size &&
        (prefix.size == 0 || memcmp(last->key, prefix.data, prefix.size) == 0))
        return last;
    stamped->last = weir__update_cache_find(&stamped->memos, WEIR_CF_DEFAULT, prefix,
                                            weir__record_hash(WEIR__CF_STAMPED_MEMO, prefix));
    return stamped->last;
}

static bool is_current(const weir_txn *txn, const weir__stamped_memo *memo)
{
    return memo->epoch == txn->partition->memo_epoch;
}

/* The memo of the committed state, if the record cache has it. */
static bool recall(const weir_txn *txn, weir_slice prefix, uint64_t hash, weir__stamped_memo *memo)
{
    weir_slice cached;
    if (!txn->partition->cache ||
        weir__record_cache_get(txn->partition->cache, WEIR__CF_STAMPED_MEMO, prefix, hash,
                               &cached) != WEIR__CACHE_HIT)
        return false;
    memcpy(memo, cached.data, cached.size);
    return is_current(txn, memo);
}

static weir__stamped_memo *keep(weir_txn *txn, weir_slice prefix, uint64_t hash,
                                const weir__stamped_memo *memo)
{
    weir__stamped_txn *stamped = txn->stamped;
    weir_slice value = weir_slice_of(memo, sizeof *memo);
    if (weir__update_cache_set(&stamped->memos, WEIR_CF_DEFAULT, prefix, hash, &value))
        return NULL;
    stamped->last = weir__update_cache_find(&stamped->memos, WEIR_CF_DEFAULT, prefix, hash);
    return weir__stamped_memo_of(stamped->last);
}

/* The minimum alone: values are searched for when they are needed. A key without a minimum has
 * none, for each came with one. */
static weir_status load(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo, weir_error *err)
{
    weir_slice value;
    weir__buffer *key = &txn->stamped->key;
    *memo = (weir__stamped_memo){.epoch = txn->partition->memo_epoch, .is_dirty = true};
    weir__buffer_clear(key);
    if (weir__buffer_append(key, prefix.data, prefix.size) ||
        weir__buffer_append_str(key, WEIR__MINIMUM_NAME))
        return weir__stamped_no_memory(txn, err);
    weir_status status =
        weir__txn_get(txn, WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS, weir__buffer_slice(key), &value, err);
    if (status == WEIR_NOT_FOUND) {
        memo->is_known = memo->is_complete = true;
        memo->oldest = INT64_MAX;
        return WEIR_OK;
    }
    if (!status && !weir__minimum_read(value, &memo->minimum))
        status = weir__partition_error(txn->partition, WEIR_CORRUPTED, err,
                                       "the stored minimum of a key is not a timestamp (%zu bytes)",
                                       value.size);
    return status;
}

weir__stamped_memo *weir__stamped_memo_peek(weir_txn *txn, weir_slice prefix)
{
    weir__stamped_memo made = {0};
    weir__update *update = find(txn, prefix);
    if (update && is_current(txn, weir__stamped_memo_of(update)))
        return weir__stamped_memo_of(update);
    uint64_t hash = weir__record_hash(WEIR__CF_STAMPED_MEMO, prefix);
    return !update && recall(txn, prefix, hash, &made) ? keep(txn, prefix, hash, &made) : NULL;
}

weir_status weir__stamped_memo_get(weir_txn *txn, weir_slice prefix, weir__stamped_memo **memo,
                                   weir_error *err)
{
    *memo = weir__stamped_memo_peek(txn, prefix);
    if (*memo)
        return WEIR_OK;
    weir__stamped_memo made;
    const weir__update *update = find(txn, prefix);
    weir_status status = load(txn, prefix, &made, err);
    if (status)
        return status;
    made.is_set = update && weir__stamped_memo_of(txn->stamped->last)->is_set;
    *memo = keep(txn, prefix, weir__record_hash(WEIR__CF_STAMPED_MEMO, prefix), &made);
    return *memo ? WEIR_OK : weir__stamped_no_memory(txn, err);
}

static weir_status forget(weir_txn *txn, weir_slice prefix, weir_error *err)
{
    weir__update *update = find(txn, prefix);
    weir__stamped_memo nothing = {.is_dirty = true}; /* no partition has the epoch 0 */
    nothing.is_set = update && weir__stamped_memo_of(update)->is_set;
    if (!keep(txn, prefix, weir__record_hash(WEIR__CF_STAMPED_MEMO, prefix), &nothing))
        return weir__stamped_no_memory(txn, err);
    return WEIR_OK;
}

weir_status weir__stamped_note_change(weir_txn *txn, weir_cf cf, weir_slice key, weir_error *err)
{
    weir_slice prefix;
    uint64_t timestamp;
    uint64_t number;
    bool is_ours = cf == WEIR_CF_DEFAULT ? weir__stamped_split(key, &prefix, &timestamp, &number)
                                         : cf == WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS &&
                                               weir__minimum_split(key, &prefix);
    return is_ours ? forget(txn, prefix, err) : WEIR_OK;
}

/* --- What they say --- */

static int compare(const weir__stamped_at *a, const weir__stamped_at *b)
{
    if (a->timestamp != b->timestamp)
        return a->timestamp < b->timestamp ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

void weir__stamped_memo_add(weir__stamped_memo *memo, int64_t timestamp, uint64_t number)
{
    weir__stamped_at added = {.timestamp = timestamp, .number = number};
    memo->is_dirty = true;
    if (timestamp < memo->oldest)
        memo->oldest = timestamp;
    if (!memo->is_known)
        return;
    uint32_t at = memo->count;
    while (at > 0 && compare(&memo->recent[at - 1], &added) > 0)
        at--;
    if (at > 0 && compare(&memo->recent[at - 1], &added) == 0)
        return;
    if (at == 0 && !memo->is_complete)
        return; /* before those that are known */
    if (memo->count == WEIR__MEMO_RECENT) {
        memo->is_complete = false;
        if (at == 0)
            return;
        memmove(&memo->recent[0], &memo->recent[1], (at - 1) * sizeof added);
        memo->recent[at - 1] = added;
        return;
    }
    memmove(&memo->recent[at + 1], &memo->recent[at], (memo->count - at) * sizeof added);
    memo->recent[at] = added;
    memo->count++;
}

void weir__stamped_memo_remove(weir__stamped_memo *memo, int64_t timestamp, uint64_t number)
{
    weir__stamped_at removed = {.timestamp = timestamp, .number = number};
    memo->is_dirty = true;
    for (uint32_t i = 0; i < memo->count; i++) {
        if (compare(&memo->recent[i], &removed) != 0)
            continue;
        memo->count--;
        memmove(&memo->recent[i], &memo->recent[i + 1], (memo->count - i) * sizeof removed);
        break;
    }
    if (memo->count == 0 && !memo->is_complete)
        memo->is_known = false;
}

weir_status weir__stamped_memo_fill(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                                    weir_error *err)
{
    weir__stamped_at found[WEIR__MEMO_RECENT + 1];
    uint32_t count = 0;
    weir_slice value;
    weir_iter *iter;
    if (memo->is_known)
        return WEIR_OK;
    weir_status status = weir__stamped_iter_open(txn, prefix, 0, INT64_MAX, true, &iter, err);
    if (status)
        return status;
    while (!status && count <= WEIR__MEMO_RECENT) {
        status = weir__stamped_iter_next(iter, prefix, &found[count], &value, err);
        count += status == WEIR_OK;
    }
    weir_iter_close(iter);
    if (status && status != WEIR_NOT_FOUND)
        return status;
    memo->is_known = memo->is_dirty = true;
    memo->is_complete = count <= WEIR__MEMO_RECENT;
    memo->count = memo->is_complete ? count : WEIR__MEMO_RECENT;
    for (uint32_t i = 0; i < memo->count; i++)
        memo->recent[i] = found[memo->count - 1 - i];
    if (memo->is_complete)
        memo->oldest = count > 0 ? memo->recent[0].timestamp : INT64_MAX;
    return WEIR_OK;
}

/* --- The part of a transaction --- */

weir__stamped_txn *weir__stamped_txn_new(void)
{
    weir__stamped_txn *stamped = calloc(1, sizeof *stamped);
    if (stamped)
        weir__update_cache_init(&stamped->memos);
    return stamped;
}

void weir__stamped_txn_free(weir__stamped_txn *stamped)
{
    if (!stamped)
        return;
    weir__update_cache_release(&stamped->memos);
    weir__buffer_release(&stamped->key);
    weir__buffer_release(&stamped->value);
    weir__interval_free(stamped->spare);
    free(stamped);
}

void weir__stamped_txn_reset(weir__stamped_txn *stamped)
{
    weir__update_cache_reset(&stamped->memos);
    stamped->last = NULL;
}

size_t weir__stamped_txn_bytes(const weir__stamped_txn *stamped)
{
    return weir__update_cache_bytes(&stamped->memos);
}

/* The memos are those of the committed state now. */
static void move_memos(weir_txn *txn)
{
    const weir__update_cache *memos = &txn->stamped->memos;
    for (size_t i = 0; i < memos->count; i++) {
        const weir__update *from = memos->updates[i];
        weir__stamped_memo memo;
        memcpy(&memo, from->value, sizeof memo);
        if (!memo.is_dirty)
            continue;
        memo.is_dirty = memo.is_set = false;
        weir_slice value = weir_slice_of(&memo, offsetof(weir__stamped_memo, recent) +
                                                    memo.count * sizeof *memo.recent);
        weir__record_cache_put(txn->partition->cache, WEIR__CF_STAMPED_MEMO,
                               weir_slice_of(from->key, from->key_size), from->hash, &value);
    }
}

void weir__stamped_txn_flushed(weir_txn *txn)
{
    weir_partition *partition = txn->partition;
    if (partition->cache)
        move_memos(txn);
    /* Another transaction has changed, or found out, things that don't go together with this. */
    if (partition->open_txns > 1)
        partition->memo_epoch++;
}
