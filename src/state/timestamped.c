/*
 * Timestamped stores: one value, and retention. See timestamped.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/timestamped.h"

#include <inttypes.h>
#include <string.h>

#include "base/endian.h"
#include "state/counter.h"
#include "state/kind.h"

#define PREFIX_MAX (WEIR_KEY_MAX_SIZE - WEIR__MINIMUM_SIZE)

weir_status weir__stamped_no_memory(weir_txn *txn, weir_error *err)
{
    return weir__partition_error(txn->partition, WEIR_NO_MEMORY, err,
                                 "out of memory for a timestamped value");
}

weir_status weir__stamped_check(weir_txn *txn, weir_slice prefix, bool is_change, const char *call,
                                weir_error *err)
{
    weir_status status = weir__txn_check_kind(txn, WEIR_STORE_TIMESTAMPED, call, err);
    if (!status && prefix.size > PREFIX_MAX)
        status = weir__partition_error(txn->partition, WEIR_TOO_LARGE, err,
                                       "%s: a key of %zu bytes is over the limit of %zu bytes",
                                       call, prefix.size, (size_t)PREFIX_MAX);
    if (status && is_change)
        weir_txn_fail(txn);
    return status;
}

static weir_status check_timestamp(weir_txn *txn, int64_t timestamp, bool is_change,
                                   const char *call, weir_error *err)
{
    if (timestamp >= 0)
        return WEIR_OK;
    if (is_change)
        weir_txn_fail(txn);
    return weir__partition_error(txn->partition, WEIR_INVALID, err,
                                 "%s: timestamp_ms is %" PRId64 ", and must not be below 0", call,
                                 timestamp);
}

/* --- Keys and iterators --- */

weir_status weir__stamped_key(weir_txn *txn, weir_slice prefix, int64_t timestamp, uint64_t number,
                              weir_slice *key, weir_error *err)
{
    weir__buffer *buffer = &txn->stamped->key;
    size_t size = prefix.size + WEIR__STAMPED_SIZE;
    weir__buffer_clear(buffer);
    *key = weir_slice_of(NULL, 0);
    if (buffer->capacity < size && weir__buffer_reserve(buffer, size))
        return weir__stamped_no_memory(txn, err);
    if (prefix.size > 0)
        memcpy(buffer->data, prefix.data, prefix.size);
    weir__stamped_write(buffer->data + prefix.size, (uint64_t)timestamp, number);
    *key = weir_slice_of(buffer->data, size);
    return WEIR_OK;
}

weir_status weir__stamped_iter_open(weir_txn *txn, weir_slice prefix,
                                    const weir__stamped_memo *memo, int64_t from, int64_t to,
                                    bool reverse, weir_iter **iter, weir_error *err)
{
    weir__buffer *buffer = &txn->stamped->key;
    size_t size = prefix.size + 9;
    weir__buffer_clear(buffer);
    *iter = NULL;
    if (weir__buffer_reserve(buffer, 2 * size))
        return weir__stamped_no_memory(txn, err);
    uint8_t *lower = buffer->data;
    uint8_t *upper = buffer->data + size;
    if (prefix.size > 0) {
        memcpy(lower, prefix.data, prefix.size);
        memcpy(upper, prefix.data, prefix.size);
    }
    lower[prefix.size] = upper[prefix.size] = '|';
    weir__put_be64(lower + prefix.size + 1, (uint64_t)from);
    weir__put_be64(upper + prefix.size + 1, (uint64_t)to + (to == INT64_MAX));
    weir_iter_options options = {.struct_size = sizeof options,
                                 .lower = weir_slice_of(lower, size),
                                 .upper = weir_slice_of(upper, size),
                                 .has_lower = true,
                                 .has_upper = true,
                                 .reverse = reverse};
    /* What a checkpoint changes is new, and a search goes back far. */
    bool is_stored = !memo->base.is_changed || (to <= memo->changed && to < INT64_MAX);
    return (is_stored ? weir__txn_iter_open_stored : weir_txn_iter_open)(txn, WEIR_CF_DEFAULT,
                                                                         &options, iter, err);
}

weir_status weir__stamped_iter_next(weir_iter *iter, weir_slice prefix, weir__stamped_at *at,
                                    weir_slice *value, weir_error *err)
{
    weir_slice key;
    uint64_t timestamp;
    weir_status status;
    do {
        status = weir_iter_next(iter, &key, value, err);
    } while (!status && !weir__stamped_read(key, prefix, &timestamp, &at->number));
    if (!status)
        at->timestamp = (int64_t)timestamp;
    return status;
}

weir_status weir__stamped_remove(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                                 const weir__stamped_at *at, weir_error *err)
{
    weir_slice key;
    weir__stamped_at gone = *at; /* which may be in the memo */
    weir_status status = weir__stamped_key(txn, prefix, gone.timestamp, gone.number, &key, err);
    if (!status)
        status = weir__txn_put(txn, WEIR_CF_DEFAULT, key, NULL, err);
    if (!status)
        weir__stamped_memo_remove(memo, gone.timestamp, gone.number);
    return status;
}

/* --- Set --- */

static weir_status set_minimum(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                               int64_t minimum, weir_error *err)
{
    uint8_t bytes[8];
    weir__buffer *key = &txn->stamped->key;
    weir__put_be64(bytes, (uint64_t)minimum);
    weir_slice value = weir_slice_of(bytes, sizeof bytes);
    /* Written with the first value of a transaction even if it is the same, as Quix Streams does.
     * 0 may stand for none. */
    bool is_stored = minimum == memo->minimum && minimum > 0;
    weir_status status;
    if (memo->base.mark) {
        status = weir__txn_put_again(txn, memo->base.mark, &value, err);
    } else {
        weir__buffer_clear(key);
        if (weir__buffer_append(key, prefix.data, prefix.size) ||
            weir__buffer_append_str(key, WEIR__MINIMUM_NAME))
            return weir__stamped_no_memory(txn, err);
        status = (is_stored ? weir__txn_put_stored : weir__txn_put_at)(
            txn, WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS, weir__buffer_slice(key), &value,
            &memo->base.mark, err);
    }
    if (status)
        return status;
    memo->minimum = minimum;
    memo->base.is_set = true;
    memo->base.is_dirty |= !is_stored;
    return WEIR_OK;
}

/* What is needed may have to be read, and the value may be one that was read before. */
static weir_status secure_value(weir_txn *txn, bool has_memo, weir_slice *value, weir_error *err)
{
    const weir__kind_options *kind = &txn->partition->kind;
    if (has_memo && (txn->has_counter || !kind->keep_duplicates))
        return WEIR_OK;
    weir__buffer *copy = &txn->stamped->value;
    if (value->data == copy->data)
        return WEIR_OK;
    weir__buffer_clear(copy);
    if (weir__buffer_append(copy, value->data, value->size))
        return weir__stamped_no_memory(txn, err);
    *value = weir__buffer_slice(copy);
    return WEIR_OK;
}

/* The places of the memo and of the value are on their way together. */
static weir_status prefetch(weir_txn *txn, weir_slice prefix, int64_t timestamp, weir_error *err)
{
    weir_slice key;
    weir__memo_prefetch(txn->partition, &txn->stamped->memos, prefix);
    weir_status status = weir__stamped_key(txn, prefix, timestamp, 0, &key, err);
    if (!status)
        weir__update_cache_prefetch_slot(&txn->updates, weir__record_hash(WEIR_CF_DEFAULT, key));
    return status;
}

static weir_status set(weir_txn *txn, weir_slice prefix, int64_t timestamp, weir_slice value,
                       weir_error *err)
{
    const weir__kind_options *kind = &txn->partition->kind;
    uint64_t number = 0;
    weir_slice key;
    weir_status status = prefetch(txn, prefix, timestamp, err);
    if (status)
        return status;
    weir__stamped_memo *memo = weir__stamped_memo_peek(txn, prefix);
    if (memo && memo->base.mark)
        weir__update_prefetch(memo->base.mark);
    status = secure_value(txn, memo != NULL, &value, err);
    if (!status && !memo)
        status = weir__stamped_memo_get(txn, prefix, &memo, err);
    if (!status && kind->keep_duplicates)
        status = weir__txn_next_counter(txn, &number, err);
    if (status || timestamp < memo->minimum)
        return status;
    status = weir__stamped_key(txn, prefix, timestamp, number, &key, err);
    if (!status)
        status = weir__txn_put(txn, WEIR_CF_DEFAULT, key, &value, err);
    if (status)
        return status;
    weir__stamped_memo_add(memo, timestamp, number);
    int64_t minimum = timestamp > kind->grace_ms ? timestamp - kind->grace_ms : 0;
    if (minimum < memo->minimum)
        minimum = memo->minimum;
    if (minimum > memo->minimum || !memo->base.is_set)
        status = set_minimum(txn, prefix, memo, minimum, err);
    return status;
}

weir_status weir_timestamped_set(weir_state *state, int64_t timestamp_ms, weir_slice value,
                                 weir_error *err)
{
    static const char call[] = "weir_timestamped_set";
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__stamped_prefix(state);
    weir_status status = weir__stamped_check(txn, prefix, true, call, err);
    if (!status)
        status = check_timestamp(txn, timestamp_ms, true, call, err);
    if (status)
        return status;
    status = set(txn, prefix, timestamp_ms, value, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}

/* --- The latest --- */

/* With a search. The value has to outlive the iterator. */
static weir_status search(weir_txn *txn, weir_slice prefix, const weir__stamped_memo *memo,
                          int64_t timestamp, int64_t *found, weir_slice *value, weir_error *err)
{
    weir_iter *iter;
    weir__stamped_at at;
    weir__buffer *copy = &txn->stamped->value;
    int64_t to = timestamp < INT64_MAX ? timestamp + 1 : INT64_MAX;
    weir_status status =
        weir__stamped_iter_open(txn, prefix, memo, memo->minimum, to, true, &iter, err);
    if (status)
        return status;
    status = weir__stamped_iter_next(iter, prefix, &at, value, err);
    if (!status) {
        weir__buffer_clear(copy);
        if (weir__buffer_append(copy, value->data, value->size))
            status = weir__stamped_no_memory(txn, err);
        *value = weir__buffer_slice(copy);
        *found = at.timestamp;
    }
    weir_iter_close(iter);
    return status;
}

static weir_status get_latest(weir_txn *txn, weir_slice prefix, int64_t timestamp, int64_t *found,
                              weir_slice *value, weir_error *err)
{
    weir_slice key;
    weir__stamped_memo *memo;
    weir_status status = weir__stamped_memo_get(txn, prefix, &memo, err);
    if (!status && (timestamp < memo->minimum || timestamp < memo->oldest))
        return WEIR_NOT_FOUND;
    if (!status)
        status = weir__stamped_memo_fill(txn, prefix, memo, err);
    if (status)
        return status;
    uint32_t i = memo->base.count;
    while (i > 0 && memo->recent[i - 1].timestamp > timestamp)
        i--;
    if (i == 0 && memo->is_complete)
        return WEIR_NOT_FOUND;
    if (i == 0)
        return search(txn, prefix, memo, timestamp, found, value, err);
    const weir__stamped_at *at = &memo->recent[i - 1];
    if (at->timestamp < memo->minimum)
        return WEIR_NOT_FOUND;
    *found = at->timestamp;
    status = weir__stamped_key(txn, prefix, at->timestamp, at->number, &key, err);
    return status ? status : weir__txn_get(txn, WEIR_CF_DEFAULT, key, value, err);
}

weir_status weir_timestamped_get_latest(weir_state *state, int64_t timestamp_ms, int64_t *found_ms,
                                        weir_slice *value, weir_error *err)
{
    static const char call[] = "weir_timestamped_get_latest";
    weir_txn *txn = state->txn;
    weir_slice prefix = weir__stamped_prefix(state);
    int64_t found = WEIR_TIME_NONE;
    *value = weir_slice_of(NULL, 0);
    weir_status status = weir__stamped_check(txn, prefix, false, call, err);
    if (!status)
        status = check_timestamp(txn, timestamp_ms, false, call, err);
    if (!status)
        status = get_latest(txn, prefix, timestamp_ms, &found, value, err);
    if (status)
        *value = weir_slice_of(NULL, 0);
    if (found_ms)
        *found_ms = status ? WEIR_TIME_NONE : found;
    return status;
}

/* --- Retention --- */

/* From what is known. */
static weir_status expire_known(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                                weir_error *err)
{
    weir_status status = WEIR_OK;
    while (!status && memo->base.count > 0 && memo->recent[0].timestamp < memo->minimum)
        status = weir__stamped_remove(txn, prefix, memo, &memo->recent[0], err);
    memo->oldest = memo->base.count > 0 ? memo->recent[0].timestamp : INT64_MAX;
    return status;
}

/* With a search, up to the oldest value that stays: so the next is due only when that is. Values
 * that this transaction has changed are mostly newer, and then it ends before these. */
static weir_status expire_search(weir_txn *txn, weir_slice prefix, weir__stamped_memo *memo,
                                 weir_error *err)
{
    weir_iter *iter;
    weir_slice value;
    weir__stamped_at at = {0};
    bool is_stored = memo->base.is_changed && memo->changed > memo->minimum;
    int64_t end = is_stored ? memo->changed : INT64_MAX;
    weir_status status =
        weir__stamped_iter_open(txn, prefix, memo, memo->oldest, end, false, &iter, err);
    if (status)
        return status;
    for (;;) {
        status = weir__stamped_iter_next(iter, prefix, &at, &value, err);
        if (status || at.timestamp >= memo->minimum)
            break;
        status = weir__stamped_remove(txn, prefix, memo, &at, err);
        if (status)
            break;
    }
    weir_iter_close(iter);
    if (status && status != WEIR_NOT_FOUND)
        return status;
    memo->oldest = status ? end : at.timestamp;
    memo->base.is_dirty = true;
    return WEIR_OK;
}

weir_status weir__stamped_txn_expire(weir_txn *txn, weir_error *err)
{
    const weir__update_cache *memos = &txn->stamped->memos.all;
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < memos->count && !status; i++) {
        weir__update *update = memos->updates[i];
        weir__stamped_memo *memo = (weir__stamped_memo *)(void *)update->value;
        weir_slice prefix = weir_slice_of(update->key, update->key_size);
        if (!memo->base.is_set)
            continue;
        if (memo->base.epoch != txn->partition->memo_epoch)
            status = weir__stamped_memo_get(txn, prefix, &memo, err);
        if (status || memo->oldest >= memo->minimum)
            continue;
        status = memo->is_known && memo->is_complete ? expire_known(txn, prefix, memo, err)
                                                     : expire_search(txn, prefix, memo, err);
    }
    return status;
}
