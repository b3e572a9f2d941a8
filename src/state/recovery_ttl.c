/*
 * TTL in a recovery. Whether a value is stamped is told by the mark of its record, never by its
 * bytes; the exception are changelogs from before that mark existed, and that is told by the
 * configuration, or by the state they belong to (docs/semantics.md).
 *
 * A record without the mark in a partition that is on holds an old value: it gets the stamp
 * "never" on its way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/recovery.h"

#include <string.h>

#define KEEP_BYTES ((size_t)1 << 20)

static weir_status gather_value(weir_partition *partition, weir__recovery_ttl *ttl,
                                weir__update_cache *gathered, const weir_changelog_record *record,
                                uint64_t hash)
{
    uint64_t expiry;
    weir_slice value;
    bool can_be = weir__ttl_split(record->value, &expiry, &value);
    bool is_stamped = can_be && (record->ttl_stamped || partition->ttl.is_unmarked);
    ttl->turns_on |= is_stamped;
    if (!record->ttl_stamped && !is_stamped) {
        if (can_be && value.size > 0)
            ttl->unmarked++;
        else
            ttl->plain++;
    }
    if (is_stamped)
        return weir__update_cache_set(gathered, WEIR_CF_DEFAULT, record->key, hash, &record->value);
    uint8_t never[WEIR__TTL_STAMP_SIZE];
    weir__ttl_stamp(never, WEIR__TTL_NEVER);
    return weir__update_cache_put(gathered, WEIR_CF_DEFAULT, record->key, hash,
                                  weir_slice_of(never, sizeof never), &record->value, 0)
               ? WEIR_OK
               : WEIR_NO_MEMORY;
}

weir_status weir__recovery_gather(weir_partition *partition, weir__recovery_ttl *ttl,
                                  weir__update_cache *gathered, weir_cf cf,
                                  const weir_changelog_record *record)
{
    uint64_t hash = weir__record_hash(cf, record->key);
    ttl->turns_on |= record->ttl_stamped && weir__ttl_applies(&partition->ttl, cf);
    if (partition->ttl.is_possible && strcmp(record->cf, WEIR__CF_TTL_SYSTEM) == 0 &&
        weir_slice_equal(record->key, weir_slice_str(WEIR__TTL_DONE_KEY)))
        ttl->turns_on = true;
    if (record->is_tombstone)
        return weir__update_cache_set(gathered, cf, record->key, hash, NULL);
    if (weir__ttl_applies(&partition->ttl, cf))
        return gather_value(partition, ttl, gathered, record, hash);
    return weir__update_cache_set(gathered, cf, record->key, hash, &record->value);
}

/* What the batch is for TTL; false: the partition is off and stays so. */
static weir_status begin(weir_partition *partition, weir__recovery_ttl *ttl, weir__ttl_batch *batch,
                         bool *is_stamping, weir_error *err)
{
    *is_stamping = partition->ttl.is_on || ttl->turns_on;
    batch->clock = WEIR_TIME_NONE;
    if (!*is_stamping)
        return WEIR_OK;
    bool is_empty = true;
    weir_status status = WEIR_OK;
    batch->turns_on = !partition->ttl.is_on;
    if (batch->turns_on)
        status = weir__ttl_is_empty(partition, &is_empty, err);
    batch->becomes_partial = !is_empty;
    weir__arena_reset(&ttl->arena, KEEP_BYTES);
    batch->arena = &ttl->arena;
    return status ? status : weir__ttl_batch_begin(partition, batch, err);
}

weir_status weir__recovery_fill(weir_partition *partition, weir__recovery_ttl *ttl,
                                weir__update_cache *gathered, size_t more, weir__ttl_batch *batch,
                                weir_error *err)
{
    bool is_stamping;
    weir_status status = begin(partition, ttl, batch, &is_stamping, err);
    if (status)
        return status;
    size_t count = gathered->count;
    size_t room = is_stamping ? count * WEIR__TTL_CHANGE_OPS + WEIR__TTL_BATCH_OPS : count;
    batch->ops = weir__partition_ops(partition, room + more);
    if (!batch->ops)
        return weir__partition_error(partition, WEIR_NO_MEMORY, err, "recover: out of memory");
    weir__update_cache_sort(gathered, batch->ops);
    for (size_t i = 0; i < count && !status; i++) {
        const weir__update *update = gathered->updates[i];
        bool has_stamp = !update->is_delete && weir__ttl_applies(&partition->ttl, update->cf);
        size_t left_out = has_stamp && !is_stamping ? WEIR__TTL_STAMP_SIZE : 0;
        weir_slice key = weir_slice_of(update->key, update->key_size);
        weir_slice value = weir_slice_of(update->value + left_out, update->value_size - left_out);
        batch->ops[batch->count++] = (weir_backend_op){
            .kind = update->is_delete ? WEIR_OP_DELETE : WEIR_OP_PUT,
            .cf = partition->cfs[update->cf].handle,
            .key = key,
            .value = value,
        };
        if (is_stamping && weir__ttl_applies(&partition->ttl, update->cf))
            status = weir__ttl_batch_change(
                partition, batch, key, update->is_delete ? NULL : &value, WEIR__TTL_NEVER, err);
    }
    return status || !is_stamping ? status : weir__ttl_batch_end(partition, batch, err);
}

void weir__recovery_ttl_hint(const weir_partition *partition, const weir__recovery_ttl *ttl)
{
    if (ttl->unmarked == 0 || ttl->plain > 0)
        return;
    weir_log(WEIR_LOG_WARN, "recovery.ttl",
             "changelog %s: all %lld values without the header __ttl_stamped__ begin like values "
             "with a TTL; if Quix Streams before 3.28 wrote them, set ttl_unmarked for the store "
             "and rebuild its state (%s)",
             partition->changelog->name, (long long)ttl->unmarked,
             weir__database_label(partition->database));
}
