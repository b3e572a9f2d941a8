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

/* The minimum alone: values are searched for when they are needed. A key without a minimum has
 * none, for each came with one. */
static weir_status load(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo, weir_error *err)
{
    weir_slice value;
    weir__buffer *key = &txn->stamped->key;
    *memo = (weir__stamped_memo){.base = {.epoch = txn->partition->memo_epoch, .is_dirty = true}};
    if (weir__memo_is_new(txn->partition, &txn->stamped->memos, prefix)) {
        memo->is_known = memo->is_complete = true;
        memo->oldest = INT64_MAX;
        return WEIR_OK;
    }
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
    weir__memo *memo = weir__memo_peek(txn->partition, &txn->stamped->memos, prefix);
    return (weir__stamped_memo *)(void *)memo;
}

weir_status weir__stamped_memo_get(weir_txn *txn, weir_slice prefix, weir__stamped_memo **memo,
                                   weir_error *err)
{
    weir__stamped_memo made;
    *memo = weir__stamped_memo_peek(txn, prefix);
    if (*memo)
        return WEIR_OK;
    weir_status status = load(txn, prefix, &made, err);
    if (status)
        return status;
    *memo = (weir__stamped_memo *)(void *)weir__memo_keep(&txn->stamped->memos, prefix, &made.base);
    return *memo ? WEIR_OK : weir__stamped_no_memory(txn, err);
}

weir_status weir__stamped_note_change(weir_txn *txn, weir_cf cf, weir_slice key, weir_error *err)
{
    weir_slice prefix;
    uint64_t timestamp;
    uint64_t number;
    bool is_ours = cf == WEIR_CF_DEFAULT ? weir__stamped_split(key, &prefix, &timestamp, &number)
                                         : cf == WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS &&
                                               weir__minimum_split(key, &prefix);
    if (is_ours && weir__memo_forget(&txn->stamped->memos, prefix))
        return weir__stamped_no_memory(txn, err);
    return WEIR_OK;
}

/* --- What they say --- */

static int compare(const weir__stamped_at *a, const weir__stamped_at *b)
{
    if (a->timestamp != b->timestamp)
        return a->timestamp < b->timestamp ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static void note_change(weir__stamped_memo *memo, int64_t timestamp)
{
    if (!memo->base.is_changed || timestamp < memo->changed)
        memo->changed = timestamp;
    memo->base.is_changed = memo->base.is_dirty = true;
}

void weir__stamped_memo_add(weir__stamped_memo *memo, int64_t timestamp, uint64_t number)
{
    weir__stamped_at added = {.timestamp = timestamp, .number = number};
    note_change(memo, timestamp);
    if (timestamp < memo->oldest)
        memo->oldest = timestamp;
    if (!memo->is_known)
        return;
    uint32_t at = memo->base.count;
    while (at > 0 && compare(&memo->recent[at - 1], &added) > 0)
        at--;
    if (at > 0 && compare(&memo->recent[at - 1], &added) == 0)
        return;
    if (at == 0 && !memo->is_complete)
        return; /* before those that are known */
    if (memo->base.count == WEIR__MEMO_RECENT) {
        memo->is_complete = false;
        if (at == 0)
            return;
        memmove(&memo->recent[0], &memo->recent[1], (at - 1) * sizeof added);
        memo->recent[at - 1] = added;
        return;
    }
    memmove(&memo->recent[at + 1], &memo->recent[at], (memo->base.count - at) * sizeof added);
    memo->recent[at] = added;
    memo->base.count++;
}

void weir__stamped_memo_remove(weir__stamped_memo *memo, int64_t timestamp, uint64_t number)
{
    weir__stamped_at removed = {.timestamp = timestamp, .number = number};
    note_change(memo, timestamp);
    for (uint32_t i = 0; i < memo->base.count; i++) {
        if (compare(&memo->recent[i], &removed) != 0)
            continue;
        memo->base.count--;
        memmove(&memo->recent[i], &memo->recent[i + 1], (memo->base.count - i) * sizeof removed);
        break;
    }
    if (memo->base.count == 0 && !memo->is_complete)
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
    weir_status status = weir__stamped_iter_open(txn, prefix, memo, 0, INT64_MAX, true, &iter, err);
    if (status)
        return status;
    while (!status && count <= WEIR__MEMO_RECENT) {
        status = weir__stamped_iter_next(iter, prefix, &found[count], &value, err);
        count += status == WEIR_OK;
    }
    weir_iter_close(iter);
    if (status && status != WEIR_NOT_FOUND)
        return status;
    memo->is_known = memo->base.is_dirty = true;
    memo->is_complete = count <= WEIR__MEMO_RECENT;
    memo->base.count = memo->is_complete ? count : WEIR__MEMO_RECENT;
    for (uint32_t i = 0; i < memo->base.count; i++)
        memo->recent[i] = found[memo->base.count - 1 - i];
    if (memo->is_complete)
        memo->oldest = count > 0 ? memo->recent[0].timestamp : INT64_MAX;
    return WEIR_OK;
}

/* --- The part of a transaction --- */

weir__stamped_txn *weir__stamped_txn_new(void)
{
    weir__stamped_txn *stamped = calloc(1, sizeof *stamped);
    if (stamped)
        weir__memos_init(&stamped->memos, sizeof(weir__stamped_memo),
                         offsetof(weir__stamped_memo, recent), sizeof(weir__stamped_at));
    return stamped;
}

void weir__stamped_txn_free(weir__stamped_txn *stamped)
{
    if (!stamped)
        return;
    weir__memos_release(&stamped->memos);
    weir__buffer_release(&stamped->key);
    weir__buffer_release(&stamped->value);
    weir__interval_free(stamped->spare);
    free(stamped);
}

void weir__stamped_txn_reset(weir__stamped_txn *stamped)
{
    weir__memos_reset(&stamped->memos);
}

size_t weir__stamped_txn_bytes(const weir__stamped_txn *stamped)
{
    return weir__update_cache_bytes(&stamped->memos.all);
}

void weir__stamped_txn_expect(weir_txn *txn, weir_slice prefix)
{
    weir__memos_expect(txn->partition, &txn->stamped->memos, prefix);
}

void weir__stamped_txn_flushed(weir_txn *txn)
{
    weir__memos_flushed(txn->partition, &txn->stamped->memos);
}
