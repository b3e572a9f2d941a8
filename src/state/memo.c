/*
 * See memo.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/memo.h"

#include <string.h>

#define ITEMS_STEP 4u

void weir__memos_init(weir__memos *memos, size_t size, size_t items_at, size_t item_size)
{
    *memos = (weir__memos){.size = size, .items_at = items_at, .item_size = item_size};
    weir__update_cache_init(&memos->all);
}

void weir__memos_release(weir__memos *memos)
{
    weir__update_cache_release(&memos->all);
}

void weir__memos_reset(weir__memos *memos)
{
    weir__update_cache_reset(&memos->all);
    memos->last = NULL;
    memos->expected_count = 0;
}

/* Without the room for more items, except a few: with these the record cache has a memo that grows
 * in the same place. */
static size_t used_size(const weir__memos *memos, const weir__memo *memo)
{
    size_t count = (memo->count + ITEMS_STEP - 1) / ITEMS_STEP * ITEMS_STEP;
    size_t size = memos->items_at + count * memos->item_size;
    return size < memos->size ? size : memos->size;
}

void weir__memos_flushed(weir_partition *partition, weir__memos *memos)
{
    weir__record_cache *cache = partition->cache;
    for (size_t i = 0; cache && i < memos->all.count; i++) {
        const weir__update *update = memos->all.updates[i];
        weir__memo *memo = weir__memo_of(update);
        weir__update_cache_prefetch(&memos->all, i, cache);
        if (!memo->is_dirty)
            continue;
        memo->is_dirty = memo->is_set = memo->is_changed = false;
        memo->mark = NULL;
        if (memos->settle)
            memos->settle(memo);
        weir_slice value = weir_slice_of(memo, used_size(memos, memo));
        weir__record_cache_put(cache, WEIR__CF_MEMO, weir_slice_of(update->key, update->key_size),
                               update->hash, &value);
    }
    /* Another transaction has changed, or found out, things that don't go together with this. */
    if (partition->open_txns > 1)
        partition->memo_epoch++;
}

/* --- One memo --- */

static bool is_last(const weir__memos *memos, weir_slice key)
{
    const weir__update *last = memos->last;
    return last && last->key_size == key.size && weir__key_equal(last->key, key.data, key.size);
}

/* The memo of the committed state, if the record cache has it and it is worth something. */
static weir__update *recall(const weir_partition *partition, weir__memos *memos, weir_slice key,
                            uint64_t hash)
{
    const weir_slice nothing = {0};
    weir_slice cached;
    weir__memo memo;
    if (!partition->cache || weir__record_cache_get(partition->cache, WEIR__CF_MEMO, key, hash,
                                                    &cached) != WEIR__CACHE_HIT)
        return NULL;
    memcpy(&memo, cached.data, sizeof memo);
    if (memo.epoch != partition->memo_epoch)
        return NULL;
    return weir__update_cache_put(&memos->all, WEIR_CF_DEFAULT, key, hash, nothing, &cached,
                                  memos->size);
}

static void prefetch_place(const weir_partition *partition, const weir__memos *memos, uint64_t hash)
{
    weir__update_cache_prefetch_slot(&memos->all, hash);
    if (partition->cache)
        weir__record_cache_prefetch(partition->cache, hash);
}

void weir__memo_prefetch(const weir_partition *partition, const weir__memos *memos, weir_slice key)
{
    if (!is_last(memos, key))
        prefetch_place(partition, memos, weir__record_hash(WEIR__CF_MEMO, key));
}

weir__memo *weir__memo_peek(const weir_partition *partition, weir__memos *memos, weir_slice key)
{
    if (!is_last(memos, key)) {
        uint64_t hash = weir__record_hash(WEIR__CF_MEMO, key);
        if (partition->cache)
            weir__record_cache_prefetch(partition->cache, hash);
        memos->last = weir__update_cache_find(&memos->all, WEIR_CF_DEFAULT, key, hash);
        if (!memos->last)
            memos->last = recall(partition, memos, key, hash);
    }
    if (!memos->last || weir__memo_of(memos->last)->epoch != partition->memo_epoch)
        return NULL;
    return weir__memo_of(memos->last);
}

/* --- Hints --- */

#define STEP       4u /* hints from one step of a key to the next */
#define CACHE_LINE 64u

static uint64_t expected_at(const weir__memos *memos, size_t before)
{
    return memos->expected[(memos->expected_count - before) % WEIR__EXPECTED];
}

void weir__memos_expect(const weir_partition *partition, weir__memos *memos, weir_slice key)
{
    uint64_t hash = weir__record_hash(WEIR__CF_MEMO, key);
    memos->expected[memos->expected_count++ % WEIR__EXPECTED] = hash;
    prefetch_place(partition, memos, hash);
    if (memos->expected_count <= 2 * STEP)
        return;
    hash = expected_at(memos, 1 + STEP);
    const weir__update *update = weir__update_cache_guess(&memos->all, hash);
    if (update)
        for (size_t at = 0; at < sizeof *update + memos->size; at += CACHE_LINE)
            __builtin_prefetch((const char *)update + at);
    else if (partition->cache)
        weir__record_cache_prefetch_record(partition->cache, hash);
    update = weir__update_cache_guess(&memos->all, expected_at(memos, 1 + 2 * STEP));
    if (!update)
        return;
    const weir__memo *memo = weir__memo_of(update);
    if (memo->mark)
        weir__update_prefetch(memo->mark);
    if (memos->expect)
        memos->expect(memo);
}

bool weir__memo_is_new(const weir_partition *partition, const weir__memos *memos, weir_slice key)
{
    weir_slice cached;
    return !memos->last && partition->cache && weir__partition_is_cached(partition) &&
           weir__record_cache_get(partition->cache, WEIR__CF_MEMO, key,
                                  weir__record_hash(WEIR__CF_MEMO, key),
                                  &cached) == WEIR__CACHE_MISS;
}

static weir__memo *replace(weir__memos *memos, weir_slice key, weir__memo *memo, size_t size)
{
    uint64_t hash = weir__record_hash(WEIR__CF_MEMO, key);
    const weir__update *old = weir__update_cache_find(&memos->all, WEIR_CF_DEFAULT, key, hash);
    memo->is_set = old && weir__memo_of(old)->is_set;
    memo->is_changed |= old && weir__memo_of(old)->is_changed;
    weir_slice value = weir_slice_of(memo, size);
    memos->last = weir__update_cache_put(&memos->all, WEIR_CF_DEFAULT, key, hash,
                                         weir_slice_of(NULL, 0), &value, memos->size);
    return memos->last ? weir__memo_of(memos->last) : NULL;
}

weir__memo *weir__memo_keep(weir__memos *memos, weir_slice key, weir__memo *made)
{
    return replace(memos, key, made, used_size(memos, made));
}

weir_status weir__memo_forget(weir__memos *memos, weir_slice key)
{
    weir__memo nothing = {.is_dirty = true, .is_changed = true}; /* no partition has the epoch 0 */
    return replace(memos, key, &nothing, sizeof nothing) ? WEIR_OK : WEIR_NO_MEMORY;
}
