/*
 * The life cycle of a transaction: reads and changes by key, prepare, flush.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/txn.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "state/counter.h"
#include "state/timestamped_hooks.h"
#include "state/window_hooks.h"

/* A value and its stamp are what a backend takes, 2^31-1 bytes. */
#define VALUE_MAX ((size_t)INT32_MAX - WEIR__TTL_STAMP_SIZE)

static const char *status_text(weir_txn_status status)
{
    switch (status) {
    case WEIR_TXN_STARTED:
        return "started";
    case WEIR_TXN_PREPARED:
        return "prepared";
    case WEIR_TXN_COMPLETE:
        return "complete";
    case WEIR_TXN_FAILED_STATUS:
        return "failed";
    }
    return "unknown";
}

static weir_status refuse(const weir_txn *txn, weir_error *err)
{
    return weir__partition_error(txn->partition, WEIR_TXN_FAILED, err,
                                 "the transaction does not allow this call: it is %s",
                                 status_text(txn->status));
}

weir_status weir__txn_check(const weir_txn *txn, weir_error *err)
{
    return txn->status == WEIR_TXN_STARTED ? WEIR_OK : refuse(txn, err);
}

weir_status weir__txn_check_kind(const weir_txn *txn, weir_store_kind kind, const char *call,
                                 weir_error *err)
{
    const weir__kind_options *of = &txn->partition->kind;
    if (of->id != kind)
        return weir__partition_error(txn->partition, WEIR_INVALID, err,
                                     "%s needs a %s store, and this is a %s one", call,
                                     weir__kind_name(kind), of->kind->name);
    return weir__txn_check(txn, err);
}

static weir_status no_memory(const weir_txn *txn, weir_error *err)
{
    return weir__partition_error(txn->partition, WEIR_NO_MEMORY, err,
                                 "out of memory with %zu changes of %zu bytes in the transaction",
                                 txn->updates.count, weir__update_cache_bytes(&txn->updates));
}

static void release_held(weir_txn *txn)
{
    if (!txn->is_held)
        return;
    txn->is_held = false;
    txn->partition->backend->value_release(txn->partition->db, &txn->held);
}

/* --- Begin and end --- */

static void list_add(weir_partition *partition, weir_txn *txn)
{
    txn->previous_open = NULL;
    txn->next_open = partition->open_list;
    if (txn->next_open)
        txn->next_open->previous_open = txn;
    partition->open_list = txn;
    partition->open_txns++;
}

static void list_remove(weir_partition *partition, weir_txn *txn)
{
    if (txn->previous_open)
        txn->previous_open->next_open = txn->next_open;
    else
        partition->open_list = txn->next_open;
    if (txn->next_open)
        txn->next_open->previous_open = txn->previous_open;
    partition->open_txns--;
}

/* The part that is about the kind of store. False: no memory. */
static bool make_part(weir_txn *txn)
{
    switch (txn->partition->kind.id) {
    case WEIR_STORE_WINDOWED:
        txn->window = weir__window_txn_new();
        return txn->window != NULL;
    case WEIR_STORE_TIMESTAMPED:
        txn->stamped = weir__stamped_txn_new();
        return txn->stamped != NULL;
    case WEIR_STORE_PLAIN:
        break;
    }
    return true;
}

weir_status weir_partition_begin(weir_partition *partition, weir_txn **txn, weir_error *err)
{
    weir_txn *begun = partition->spare_txn;
    *txn = NULL;
    /* A flush would move the stored offset over records that were not applied yet. */
    if (partition->recovery)
        return weir__partition_error(partition, WEIR_BUSY, err,
                                     "no transaction can begin before the recovery is done");
    partition->spare_txn = NULL;
    if (!begun) {
        begun = calloc(1, sizeof *begun);
        if (!begun)
            return weir__partition_error(partition, WEIR_NO_MEMORY, err,
                                         "out of memory for a transaction");
        begun->partition = partition;
        begun->state.txn = begun;
        weir__update_cache_init(&begun->updates);
        if (!make_part(begun)) {
            weir__txn_destroy(begun);
            return weir__partition_error(partition, WEIR_NO_MEMORY, err,
                                         "out of memory for a transaction");
        }
    }
    if (begun->window)
        weir__window_txn_begin(partition, begun->window);
    begun->status = WEIR_TXN_STARTED;
    begun->is_sorted = false;
    begun->writes = 0;
    begun->has_counter = false;
    begun->memo_epoch = partition->memo_epoch;
    begun->processed_count = 0;
    weir__txn_ttl_begin(begun);
    list_add(partition, begun);
    *txn = begun;
    return WEIR_OK;
}

void weir__txn_destroy(weir_txn *txn)
{
    if (!txn)
        return;
    weir__update_cache_release(&txn->updates);
    weir__buffer_release(&txn->key);
    weir__buffer_release(&txn->topics);
    weir__buffer_release(&txn->processed_json);
    weir__state_release(&txn->state);
    weir__txn_ttl_release(txn);
    weir__iter_free(txn->spare_iter);
    weir__window_txn_free(txn->window);
    weir__stamped_txn_free(txn->stamped);
    free(txn->processed);
    free(txn);
}

void weir_txn_free(weir_txn *txn)
{
    if (!txn)
        return;
    weir_partition *partition = txn->partition;
    release_held(txn);
    list_remove(partition, txn);
    if (partition->spare_txn) {
        weir__txn_destroy(txn);
        return;
    }
    weir__update_cache_reset(&txn->updates);
    if (txn->window)
        weir__window_txn_reset(txn->window);
    if (txn->stamped)
        weir__stamped_txn_reset(txn->stamped);
    partition->spare_txn = txn;
}

weir_txn_status weir_txn_get_status(const weir_txn *txn)
{
    return txn->status;
}

bool weir_txn_changed(const weir_txn *txn)
{
    return txn->updates.count > 0;
}

size_t weir_txn_change_count(const weir_txn *txn)
{
    return txn->updates.count;
}

size_t weir_txn_change_bytes(const weir_txn *txn)
{
    return weir__update_cache_bytes(&txn->updates) +
           (txn->window ? weir__window_txn_bytes(txn->window) : 0) +
           (txn->stamped ? weir__stamped_txn_bytes(txn->stamped) : 0);
}

void weir_txn_fail(weir_txn *txn)
{
    if (txn->status != WEIR_TXN_COMPLETE)
        txn->status = WEIR_TXN_FAILED_STATUS;
}

/* --- Reads --- */

static weir_status too_long(const weir_txn *txn, size_t size, weir_error *err)
{
    return weir__partition_error(txn->partition, WEIR_TOO_LARGE, err,
                                 "a state key of %zu bytes, prefix included, is over the limit "
                                 "of %u bytes",
                                 size, WEIR_KEY_MAX_SIZE);
}

static weir_status check_key(const weir_txn *txn, weir_cf cf, weir_slice key, weir_error *err)
{
    if (cf >= txn->partition->cf_count)
        return weir__partition_error(txn->partition, WEIR_INVALID, err,
                                     "there is no column family number %u", cf);
    if (key.size > WEIR_KEY_MAX_SIZE)
        return too_long(txn, key.size, err);
    return WEIR_OK;
}

/* A stamped value as a reader sees it. */
static weir_status take_stamp(const weir_txn *txn, weir_slice stored, weir_slice *value)
{
    uint64_t expiry;
    weir__ttl_split(stored, &expiry, value);
    if (!weir__ttl_is_expired(expiry, txn->ttl.clock))
        return WEIR_OK;
    *value = weir_slice_of(NULL, 0);
    return WEIR_NOT_FOUND;
}

/* Whether records of the family are cached. */
static bool has_cache(const weir_partition *partition, weir_cf cf)
{
    return partition->cache && !partition->cfs[cf].is_uncached;
}

/* *value: what the database holds, which is read through its stamp. A value that has none
 * is not cached: the cache holds stamped ones alone, once the partition is on. */
static weir_status take_stored(weir_txn *txn, weir_cf cf, weir_slice key, uint64_t hash,
                               weir_slice *value, weir_error *err)
{
    weir_partition *partition = txn->partition;
    weir_slice stored = *value;
    bool is_on = weir__ttl_applies(&partition->ttl, cf) && partition->ttl.is_on;
    bool is_stamped = false;
    uint64_t expiry;
    if (is_on) {
        weir_status status =
            weir__ttl_read(partition, key, stored, &expiry, value, &is_stamped, err);
        if (status || !is_stamped)
            return status;
    }
    if (has_cache(partition, cf)) {
        weir_slice cached = weir__record_cache_put(partition->cache, cf, key, hash, &stored);
        if (cached.data) {
            stored = *value = cached;
            release_held(txn);
        }
    }
    return is_stamped ? take_stamp(txn, stored, value) : WEIR_OK;
}

static weir_status get_from_backend(weir_txn *txn, weir_cf cf, weir_slice key, uint64_t hash,
                                    weir_slice *value, weir_error *err)
{
    weir_partition *partition = txn->partition;
    weir_error inner;
    weir_error_init(&inner);
    partition->stats.backend_gets++;
    weir__partition_read_begins(partition);
    weir_status status = partition->backend->get(partition->db, partition->cfs[cf].handle, NULL,
                                                 key, &txn->held, &inner);
    weir__partition_read_ends(partition);
    if (status == WEIR_NOT_FOUND && has_cache(partition, cf))
        weir__record_cache_put(partition->cache, cf, key, hash, NULL);
    if (status == WEIR_NOT_FOUND)
        return status;
    if (status)
        return weir__database_error(partition->database, status, "reading a key", &inner, err);
    txn->is_held = true;
    *value = weir_slice_of(txn->held.data, txn->held.size);
    return take_stored(txn, cf, key, hash, value, err);
}

weir_status weir__txn_get(weir_txn *txn, weir_cf cf, weir_slice key, weir_slice *value,
                          weir_error *err)
{
    weir_partition *partition = txn->partition;
    *value = weir_slice_of(NULL, 0);
    if (txn->status != WEIR_TXN_STARTED)
        return refuse(txn, err);
    release_held(txn);
    weir_status status = check_key(txn, cf, key, err);
    if (status)
        return status;
    uint64_t hash = weir__record_hash(cf, key);
    if (partition->cache) /* on its way while the transaction's own table is looked at */
        weir__record_cache_prefetch(partition->cache, hash);
    partition->stats.gets++;
    bool has_stamp = weir__ttl_applies(&partition->ttl, cf);
    const weir__update *update = weir__update_cache_find(&txn->updates, cf, key, hash);
    if (update) {
        partition->stats.update_hits++;
        if (update->is_delete)
            return WEIR_NOT_FOUND;
        *value = weir_slice_of(update->value, update->value_size);
        return has_stamp ? take_stamp(txn, *value, value) : WEIR_OK;
    }
    if (partition->cache) {
        weir__cache_result result = weir__record_cache_get(partition->cache, cf, key, hash, value);
        if (result != WEIR__CACHE_MISS) {
            partition->stats.cache_hits++;
            if (result == WEIR__CACHE_ABSENT)
                return WEIR_NOT_FOUND;
            return has_stamp && partition->ttl.is_on ? take_stamp(txn, *value, value) : WEIR_OK;
        }
        if (weir__partition_is_cached(partition) && !partition->cfs[cf].is_uncached) {
            partition->stats.cache_hits++;
            return WEIR_NOT_FOUND;
        }
    }
    return get_from_backend(txn, cf, key, hash, value, err);
}

weir_status weir__txn_get_change(weir_txn *txn, const weir__update *update, weir_slice *value)
{
    release_held(txn);
    txn->partition->stats.gets++;
    txn->partition->stats.update_hits++;
    *value = weir_slice_of(update->value, update->is_delete ? 0 : update->value_size);
    return update->is_delete ? WEIR_NOT_FOUND : WEIR_OK;
}

/* *state_key [out]: borrowed until the next call on the transaction. */
static weir_status compose(weir_txn *txn, weir_slice prefix, weir_slice key, weir_slice *state_key,
                           weir_error *err)
{
    *state_key = key;
    if (prefix.size == 0)
        return WEIR_OK;
    size_t size = prefix.size + 1 + key.size;
    if (prefix.size > WEIR_KEY_MAX_SIZE || key.size > WEIR_KEY_MAX_SIZE || size > WEIR_KEY_MAX_SIZE)
        return too_long(txn, size, err);
    weir__buffer_clear(&txn->key);
    if (txn->key.capacity < size && weir__buffer_reserve(&txn->key, size))
        return no_memory(txn, err);
    memcpy(txn->key.data, prefix.data, prefix.size);
    txn->key.data[prefix.size] = '|';
    if (key.size > 0)
        memcpy(txn->key.data + prefix.size + 1, key.data, key.size);
    *state_key = weir_slice_of(txn->key.data, size);
    return WEIR_OK;
}

weir_status weir_txn_get(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                         weir_slice *value, weir_error *err)
{
    weir_slice state_key;
    *value = weir_slice_of(NULL, 0);
    weir_status status = compose(txn, prefix, key, &state_key, err);
    return status ? status : weir__txn_get(txn, cf, state_key, value, err);
}

weir_status weir_txn_exists(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                            bool *exists, weir_error *err)
{
    weir_slice value;
    weir_status status = weir_txn_get(txn, cf, prefix, key, &value, err);
    *exists = status == WEIR_OK;
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

void weir_txn_expect(weir_txn *txn, weir_slice prefix)
{
    if (txn->window)
        weir__window_txn_expect(txn, prefix);
    else if (txn->stamped)
        weir__stamped_txn_expect(txn, prefix);
}

/* --- Changes --- */

/* The value that was handed out goes only now: the new one may be the same. */
static weir_status end_change(weir_txn *txn, weir_status status)
{
    release_held(txn);
    if (status)
        weir_txn_fail(txn);
    else
        txn->writes++;
    return status;
}

static weir_status check_value(const weir_txn *txn, const weir_slice *value, weir_error *err)
{
    if (!value || value->size <= VALUE_MAX)
        return WEIR_OK;
    return weir__partition_error(txn->partition, WEIR_TOO_LARGE, err,
                                 "a value of %zu bytes is over the limit of %zu bytes", value->size,
                                 VALUE_MAX);
}

/* As weir__txn_put_at, for a value that expires. In "default" of a plain store a value has its
 * stamp before it. */
static weir_status change(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          uint64_t expiry, weir__update **update, weir_error *err)
{
    *update = NULL;
    if (txn->status != WEIR_TXN_STARTED)
        return refuse(txn, err);
    weir_status status = check_key(txn, cf, key, err);
    if (!status)
        status = check_value(txn, value, err);
    if (!status) {
        uint64_t hash = weir__record_hash(cf, key);
        uint8_t stamp[WEIR__TTL_STAMP_SIZE];
        weir_slice head = weir_slice_of(NULL, 0);
        if (value && weir__ttl_applies(&txn->partition->ttl, cf)) {
            weir__ttl_stamp(stamp, expiry);
            head = weir_slice_of(stamp, sizeof stamp);
        }
        *update = weir__update_cache_put(&txn->updates, cf, key, hash, head, value, 0);
        if (!*update)
            status = no_memory(txn, err);
    }
    return end_change(txn, status);
}

weir_status weir__txn_put_at(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                             weir__update **update, weir_error *err)
{
    return change(txn, cf, key, value, WEIR__TTL_NEVER, update, err);
}

weir_status weir__txn_put(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          weir_error *err)
{
    weir__update *update;
    return weir__txn_put_at(txn, cf, key, value, &update, err);
}

weir_status weir__txn_put_stored(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                                 weir__update **update, weir_error *err)
{
    size_t count = txn->updates.count;
    weir_status status = weir__txn_put_at(txn, cf, key, value, update, err);
    bool is_added = txn->updates.count > count; /* one that was there says more */
    if (!status && is_added)
        (*update)->is_stored = true;
    return status;
}

weir_status weir__txn_put_again(weir_txn *txn, weir__update *update, const weir_slice *value,
                                weir_error *err)
{
    weir_status status = check_value(txn, value, err);
    if (!status && weir__update_cache_change(&txn->updates, update, value))
        status = no_memory(txn, err);
    return end_change(txn, status);
}

weir_status weir__txn_set(weir_txn *txn, weir_cf cf, weir_slice key, const weir_slice *value,
                          weir_error *err)
{
    weir_status status = weir__txn_put(txn, cf, key, value, err);
    if (!status && txn->window)
        status = weir__window_note_change(txn, cf, key, !value, err);
    else if (!status && txn->stamped)
        status = weir__stamped_note_change(txn, cf, key, err);
    if (status)
        weir_txn_fail(txn);
    return status;
}

weir_status weir__txn_set_expiring(weir_txn *txn, weir_cf cf, weir_slice key, weir_slice value,
                                   uint64_t expiry, weir_error *err)
{
    if (expiry == WEIR__TTL_NEVER)
        return weir__txn_set(txn, cf, key, &value, err);
    weir__update *update;
    weir_status status = change(txn, cf, key, &value, expiry, &update, err);
    txn->ttl.is_wanted |= !status;
    return status;
}

static weir_status set_composed(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                                const weir_slice *value, uint64_t expiry, weir_error *err)
{
    weir_slice state_key;
    if (txn->status != WEIR_TXN_STARTED)
        return refuse(txn, err);
    weir_status status = compose(txn, prefix, key, &state_key, err);
    if (status) {
        weir_txn_fail(txn);
        return status;
    }
    if (value)
        return weir__txn_set_expiring(txn, cf, state_key, *value, expiry, err);
    return weir__txn_set(txn, cf, state_key, NULL, err);
}

weir_status weir_txn_set(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                         weir_slice value, weir_error *err)
{
    return set_composed(txn, cf, prefix, key, &value, WEIR__TTL_NEVER, err);
}

weir_status weir_txn_set_ttl(weir_txn *txn, weir_slice prefix, weir_slice key, weir_slice value,
                             int64_t ttl_ms, weir_error *err)
{
    uint64_t expiry;
    weir_status status = weir__txn_ttl_expiry(txn, ttl_ms, &expiry, err);
    return status ? status : set_composed(txn, WEIR_CF_DEFAULT, prefix, key, &value, expiry, err);
}

weir_status weir_txn_delete(weir_txn *txn, weir_cf cf, weir_slice prefix, weir_slice key,
                            weir_error *err)
{
    return set_composed(txn, cf, prefix, key, NULL, WEIR__TTL_NEVER, err);
}

/* --- Prepare --- */

/* Keeps a copy of the offsets for the flush, and their JSON for the changelog. */
static weir_status keep_processed(weir_txn *txn, const weir_topic_offset *processed, size_t count,
                                  weir_error *err)
{
    weir__buffer *json = &txn->processed_json;
    weir__buffer_clear(json);
    weir__buffer_clear(&txn->topics);
    if (count == 0)
        return weir__buffer_append_str(json, "null") ? no_memory(txn, err) : WEIR_OK;
    if (count > txn->processed_capacity) {
        weir_topic_offset *grown = realloc(txn->processed, count * sizeof *grown);
        if (!grown)
            return no_memory(txn, err);
        txn->processed = grown;
        txn->processed_capacity = count;
    }
    bool failed = false;
    for (size_t i = 0; i < count; i++) {
        weir_slice topic = weir_slice_str(processed[i].topic);
        failed |= weir__buffer_append(&txn->topics, topic.data, topic.size + 1) != WEIR_OK;
        failed |= weir__buffer_append_byte(json, i == 0 ? '{' : ',') != WEIR_OK;
        weir_status status = weir__json_write_string(json, topic, err);
        if (status)
            return status;
        failed |= weir__buffer_append_byte(json, ':') != WEIR_OK;
        failed |= weir__json_write_int(json, processed[i].offset) != WEIR_OK;
    }
    failed |= weir__buffer_append_byte(json, '}') != WEIR_OK;
    if (failed)
        return no_memory(txn, err);
    const char *topic = (const char *)txn->topics.data;
    for (size_t i = 0; i < count; i++) {
        txn->processed[i] = (weir_topic_offset){.topic = topic, .offset = processed[i].offset};
        topic += strlen(topic) + 1;
    }
    txn->processed_count = count;
    return WEIR_OK;
}

/* The changes in their order: that of the column families, then that of the keys. The
 * memory of the batch serves as scratch: it is not in use yet. */
static weir_status sort_updates(weir_txn *txn, weir_error *err)
{
    if (txn->is_sorted)
        return WEIR_OK;
    weir_backend_op *ops = weir__partition_ops(txn->partition, txn->updates.count);
    if (!ops)
        return no_memory(txn, err);
    _Static_assert(sizeof(weir_backend_op) >= WEIR__SORT_BYTES, "ops are the scratch of sorting");
    weir__update_cache_sort(&txn->updates, ops);
    txn->is_sorted = true;
    return WEIR_OK;
}

weir_status weir__txn_append(weir_txn *txn, const weir_changelog_record *record, weir_error *err)
{
    weir_changelog *changelog = txn->partition->changelog;
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = changelog->ops->append(changelog, record, &inner);
    if (status)
        weir__partition_error(txn->partition, status, err, "appending to the changelog %s: %s",
                              changelog->name, inner.message);
    return status;
}

/* The value of a change as it is stored. */
static weir_slice stored_value(const weir_txn *txn, const weir__update *update)
{
    weir_slice value = weir_slice_of(update->value, update->value_size);
    bool has_stamp = !update->is_delete && weir__ttl_applies(&txn->partition->ttl, update->cf);
    if (!has_stamp || weir__txn_ttl_is_stamping(txn))
        return value;
    return weir_slice_of(update->value + WEIR__TTL_STAMP_SIZE,
                         update->value_size - WEIR__TTL_STAMP_SIZE);
}

static weir_status append_change(weir_txn *txn, const weir__update *update, weir_error *err)
{
    const weir_partition *partition = txn->partition;
    weir_changelog_record record = {
        .cf = partition->cfs[update->cf].name,
        .key = weir_slice_of(update->key, update->key_size),
        .value = stored_value(txn, update),
        .is_tombstone = update->is_delete,
        .processed_offsets = (const char *)txn->processed_json.data,
        .processed_offsets_size = txn->processed_json.size,
        .ttl_stamped =
            weir__ttl_applies(&partition->ttl, update->cf) && weir__txn_ttl_is_stamping(txn),
    };
    return weir__txn_append(txn, &record, err);
}

/* The family "__ttl_system__" comes last: it tells of all that is before it. */
static weir_status append_changes(weir_txn *txn, weir_error *err)
{
    const weir__update_cache *updates = &txn->updates;
    size_t left = 0;
    weir_status status = sort_updates(txn, err);
    for (size_t i = 0; i < updates->count && !status; i++) {
        weir__update_cache_prefetch_update(updates, i);
        const weir__partition_cf *cf = &txn->partition->cfs[updates->updates[i]->cf];
        if (strcmp(cf->name, WEIR__CF_TTL_SYSTEM) == 0)
            left++;
        else if (!cf->is_local)
            status = append_change(txn, updates->updates[i], err);
    }
    if (!status)
        status = weir__txn_ttl_append(txn, err);
    for (size_t i = 0; i < updates->count && left > 0 && !status; i++) {
        if (strcmp(txn->partition->cfs[updates->updates[i]->cf].name, WEIR__CF_TTL_SYSTEM) == 0)
            status = append_change(txn, updates->updates[i], err);
    }
    return status;
}

/* The changes that a kind of store makes when a transaction ends, before it is written. */
static weir_status add_last_changes(weir_txn *txn, weir_error *err)
{
    weir_status status = txn->stamped ? weir__stamped_txn_expire(txn, err) : WEIR_OK;
    if (!status)
        status = weir__txn_keep_counter(txn, err);
    return status ? status : weir__txn_ttl_plan(txn, err);
}

weir_status weir_txn_prepare(weir_txn *txn, const weir_topic_offset *processed, size_t count,
                             weir_error *err)
{
    if (txn->status != WEIR_TXN_STARTED)
        return refuse(txn, err);
    release_held(txn);
    weir_status status = keep_processed(txn, processed, count, err);
    if (!status)
        status = add_last_changes(txn, err);
    if (!status && txn->partition->changelog)
        status = append_changes(txn, err);
    txn->status = status ? WEIR_TXN_FAILED_STATUS : WEIR_TXN_PREPARED;
    return status;
}

/* --- Flush --- */

/*
 * Fills the batch. A delete of a key that the record cache knows to be absent needs no
 * tombstone in the backend, and what is stored need not be written again. The changelog gets
 * both always: it may hold a value of the key that this state never saw, from an attempt that
 * ended before its commit.
 */
static weir_status fill_ops(weir_txn *txn, weir__ttl_batch *batch, weir_error *err)
{
    weir_partition *partition = txn->partition;
    bool is_stamping = weir__txn_ttl_is_stamping(txn);
    bool is_overlapped = txn->memo_epoch != partition->memo_epoch;
    bool is_cached = partition->cache && weir__partition_is_cached(partition);
    weir_status status = is_stamping ? weir__txn_ttl_batch_begin(txn, batch, err) : WEIR_OK;
    for (size_t i = 0; i < txn->updates.count && !status; i++) {
        const weir__update *update = txn->updates.updates[i];
        weir__update_cache_prefetch_update(&txn->updates, i);
        weir_slice key = weir_slice_of(update->key, update->key_size);
        weir_slice value;
        if (is_stamping && partition->cache)
            weir__update_cache_prefetch(&txn->updates, i, partition->cache);
        if (update->is_stored && !is_overlapped)
            continue;
        if (update->is_delete && has_cache(partition, update->cf)) {
            weir__cache_result result =
                weir__record_cache_get(partition->cache, update->cf, key, update->hash, &value);
            if (result == WEIR__CACHE_ABSENT || (result == WEIR__CACHE_MISS && is_cached))
                continue;
        }
        value = stored_value(txn, update);
        batch->ops[batch->count++] = (weir_backend_op){
            .kind = update->is_delete ? WEIR_OP_DELETE : WEIR_OP_PUT,
            .cf = partition->cfs[update->cf].handle,
            .key = key,
            .value = value,
        };
        if (is_stamping && weir__ttl_applies(&partition->ttl, update->cf))
            status = weir__ttl_batch_update(partition, batch, key, update->hash,
                                            update->is_delete ? NULL : &value, err);
    }
    if (!status && is_stamping)
        status = weir__txn_ttl_batch_end(txn, batch, err);
    return status;
}

/* What was written is what the record cache holds from now on. */
static void move_to_cache(weir_txn *txn)
{
    const weir_partition *partition = txn->partition;
    for (size_t i = 0; i < txn->updates.count; i++) {
        const weir__update *update = txn->updates.updates[i];
        if (partition->cfs[update->cf].is_uncached)
            continue;
        weir__update_cache_prefetch(&txn->updates, i, partition->cache);
        weir_slice value = stored_value(txn, update);
        weir__record_cache_put(partition->cache, update->cf,
                               weir_slice_of(update->key, update->key_size), update->hash,
                               update->is_delete ? NULL : &value);
    }
}

static size_t count_ops(const weir_txn *txn)
{
    size_t count = txn->updates.count;
    if (!weir__txn_ttl_is_stamping(txn))
        return count;
    return (count + txn->ttl.chore_count) * WEIR__TTL_CHANGE_OPS + WEIR__TTL_BATCH_OPS;
}

static weir_status write_changes(weir_txn *txn, int64_t changelog_offset, weir_error *err)
{
    weir_partition *partition = txn->partition;
    bool is_stamping = weir__txn_ttl_is_stamping(txn);
    weir_status status = sort_updates(txn, err);
    if (status)
        return status;
    weir__ttl_batch batch = {.ops = weir__partition_ops(partition, count_ops(txn))};
    if (!batch.ops)
        return no_memory(txn, err);
    status = fill_ops(txn, &batch, err);
    if (status)
        return status;
    if (txn->window)
        weir__window_txn_before_flush(txn);
    status = weir__partition_write(partition, batch.ops, batch.count, changelog_offset,
                                   txn->processed, txn->processed_count, err);
    if (!status && txn->window)
        weir__window_txn_flushed(txn);
    if (!status && txn->stamped)
        weir__stamped_txn_flushed(txn);
    if (!status && is_stamping)
        weir__txn_ttl_batch_done(txn, &batch);
    if (!partition->cache)
        return status;
    if (!status)
        move_to_cache(txn);
    else if (status != WEIR_OFFSET)
        /* Nothing of a failed batch is visible, says the backend's contract; to know
         * nothing is right also where a disk has broken it. */
        weir__record_cache_clear(partition->cache);
    return status;
}

weir_status weir_txn_flush(weir_txn *txn, int64_t changelog_offset, weir_error *err)
{
    bool is_allowed = txn->status == WEIR_TXN_PREPARED ||
                      (txn->status == WEIR_TXN_STARTED && !txn->partition->changelog);
    if (!is_allowed)
        return refuse(txn, err);
    release_held(txn);
    weir_status status = WEIR_OK;
    if (txn->status == WEIR_TXN_STARTED)
        status = add_last_changes(txn, err);
    if (!status && txn->updates.count > 0)
        status = write_changes(txn, changelog_offset, err);
    txn->status = status ? WEIR_TXN_FAILED_STATUS : WEIR_TXN_COMPLETE;
    return status;
}
