/*
 * TTL of a partition: what is stored about it, how a stored value is read, and what a batch
 * writes beside values. See ttl.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/ttl.h"

#include <inttypes.h>
#include <string.h>

#include "base/endian.h"
#include "state/key_sort.h"
#include "state/partition.h"

#define CF_INDEX   WEIR__TTL_PREFIX "index__"
#define CF_LEDGER  WEIR__TTL_PREFIX "backfill_stamped__"
#define CF_PENDING WEIR__TTL_PREFIX "backfill_pending__"

#define KEY_VERSION WEIR__TTL_PREFIX "format_version__"
#define KEY_CLOCK   WEIR__TTL_PREFIX "high_water_ms__"
#define KEY_PARTIAL WEIR__TTL_PREFIX "backfill_in_progress__"
#define KEY_MARKED  "__weir_ttl_marked__"
#define KEY_CURSOR  "__weir_ttl_cursor__"
#define VERSION     2u
#define STEP_KEYS   10000u

static const uint8_t flag_bytes[1] = {1};
static const uint8_t version_bytes[8] = {0, 0, 0, 0, 0, 0, 0, VERSION};

/* --- Reading the database --- */

static weir_status tell(const weir_partition *partition, weir_status status, const char *what,
                        weir_error *inner, weir_error *err)
{
    return weir__database_error(partition->database, status, what, inner, err);
}

/* *found [out]; the value, if wanted, is copied into `copy`. */
static weir_status look_up(const weir_partition *partition, weir_backend_cf *cf, weir_slice key,
                           bool *found, weir__buffer *copy, weir_error *err)
{
    weir_error inner;
    weir_backend_value value;
    weir_error_init(&inner);
    *found = false;
    weir_status status = partition->backend->get(partition->db, cf, NULL, key, &value, &inner);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status)
        return tell(partition, status, "reading what is stored about TTL", &inner, err);
    *found = true;
    if (copy) {
        weir__buffer_clear(copy);
        status = weir__buffer_append(copy, value.data, value.size);
    }
    partition->backend->value_release(partition->db, &value);
    if (status)
        return weir__partition_error(partition, status, err, "out of memory for TTL");
    return WEIR_OK;
}

weir_status weir__ttl_is_empty(const weir_partition *partition, bool *is_empty, weir_error *err)
{
    return weir__partition_cf_is_empty(partition, partition->cfs[WEIR_CF_DEFAULT].handle, is_empty,
                                       err);
}

static weir_status open_family(const weir_partition *partition, const char *name, bool create,
                               weir_backend_cf **cf, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    *cf = NULL;
    weir_status status = partition->backend->cf_open(partition->db, name, create, cf, &inner);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    return status ? tell(partition, status, "opening a column family of TTL", &inner, err)
                  : WEIR_OK;
}

static weir_status is_family_empty(const weir_partition *partition, const char *name,
                                   bool *is_empty, weir_error *err)
{
    weir_backend_cf *cf;
    *is_empty = true;
    weir_status status = open_family(partition, name, false, &cf, err);
    return status || !cf ? status : weir__partition_cf_is_empty(partition, cf, is_empty, err);
}

void weir__ttl_drop_ledger(weir_partition *partition)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = partition->backend->cf_drop(partition->db, CF_LEDGER, &inner);
    if (status)
        weir_log(WEIR_LOG_WARN, "ttl.ledger", "the ledger of TTL could not be removed: %s (%s)",
                 inner.message, weir__database_label(partition->database));
}

/* --- Opening --- */

static weir_status load_version(weir_partition *partition, weir_error *err)
{
    weir__buffer *value = &partition->scratch;
    bool found;
    weir_status status =
        look_up(partition, partition->metadata, weir_slice_str(KEY_VERSION), &found, value, err);
    if (status || !found)
        return status;
    uint64_t version = value->size == 8 ? weir__get_be64(value->data) : UINT64_MAX;
    if (version <= VERSION)
        return WEIR_OK;
    return weir__partition_error(partition, WEIR_VERSION, err,
                                 "the state has version %" PRIu64 " of the TTL format; this "
                                 "version of Weir knows up to %u",
                                 version, VERSION);
}

static weir_status load_clock(weir_partition *partition, weir_error *err)
{
    weir__buffer *value = &partition->scratch;
    bool found;
    weir_status status =
        look_up(partition, partition->metadata, weir_slice_str(KEY_CLOCK), &found, value, err);
    if (status || !found)
        return status;
    uint64_t clock = value->size == 8 ? weir__get_be64(value->data) : UINT64_MAX;
    if (clock < WEIR__TTL_LIMIT) {
        partition->ttl.clock = (int64_t)clock;
        return WEIR_OK;
    }
    weir_log(WEIR_LOG_WARN, "ttl.time",
             "the stored event time is no time and does not count: it is learned anew from the "
             "next record (%s)",
             weir__database_label(partition->database));
    return WEIR_OK;
}

/* Whether some values have no stamp, which is what the ledger is for. */
static weir_status load_partial(weir_partition *partition, weir_error *err)
{
    weir__ttl *ttl = &partition->ttl;
    weir_backend_cf *system;
    bool is_begun;
    bool is_marked;
    bool is_done = false;
    bool no_ledger;
    bool no_pending;
    weir_status status =
        look_up(partition, partition->metadata, weir_slice_str(KEY_PARTIAL), &is_begun, NULL, err);
    if (!status)
        status = look_up(partition, partition->metadata, weir_slice_str(KEY_MARKED), &is_marked,
                         NULL, err);
    if (!status)
        status = open_family(partition, WEIR__CF_TTL_SYSTEM, false, &system, err);
    if (!status && system)
        status =
            look_up(partition, system, weir_slice_str(WEIR__TTL_DONE_KEY), &is_done, NULL, err);
    if (!status)
        status = is_family_empty(partition, CF_LEDGER, &no_ledger, err);
    if (!status && !is_done)
        status = is_family_empty(partition, CF_PENDING, &no_pending, err);
    if (status)
        return status;
    if (ttl->is_on && !is_done && !no_pending)
        return weir__partition_error(
            partition, WEIR_UNSUPPORTED, err,
            "Quix Streams has not completed the recovery of this state: let it do so, or remove "
            "the folder, to rebuild the state from its changelog");
    ttl->is_partial = is_begun || (!is_done && !no_ledger);
    ttl->is_on |= ttl->is_partial;
    ttl->is_unmarked |= ttl->is_on && !is_done && !is_marked && !ttl->is_partial;
    if (!ttl->is_partial && !no_ledger)
        weir__ttl_drop_ledger(partition);
    if (!ttl->is_partial)
        return WEIR_OK;
    bool found;
    status = open_family(partition, CF_LEDGER, true, &ttl->ledger, err);
    return status ? status
                  : look_up(partition, partition->metadata, weir_slice_str(KEY_CURSOR), &found,
                            &ttl->cursor, err);
}

weir_status weir__ttl_load(weir_partition *partition, weir_error *err)
{
    weir__ttl *ttl = &partition->ttl;
    ttl->is_on = ttl->is_partial = false;
    ttl->step_keys = STEP_KEYS;
    ttl->clock = WEIR_TIME_NONE;
    ttl->swept = 0;
    ttl->index = ttl->ledger = NULL;
    weir__buffer_clear(&ttl->cursor);
    if (!ttl->is_possible)
        return WEIR_OK;
    weir_status status = look_up(partition, partition->metadata, weir_slice_str(WEIR__TTL_ENABLED),
                                 &ttl->is_on, NULL, err);
    if (!status)
        status = load_version(partition, err);
    if (!status)
        status = load_partial(partition, err);
    if (status || !ttl->is_on)
        return status;
    status = load_clock(partition, err);
    return status ? status : open_family(partition, CF_INDEX, true, &ttl->index, err);
}

void weir__ttl_release(weir__ttl *ttl)
{
    weir__buffer_release(&ttl->cursor);
}

/* --- Values --- */

weir_status weir__ttl_read(const weir_partition *partition, weir_slice key, weir_slice stored,
                           uint64_t *expiry, weir_slice *value, bool *is_stamped, weir_error *err)
{
    *is_stamped = weir__ttl_split(stored, expiry, value);
    if (!*is_stamped || !partition->ttl.is_partial)
        return WEIR_OK;
    weir_status status = look_up(partition, partition->ttl.ledger, key, is_stamped, NULL, err);
    if (status || *is_stamped)
        return status;
    *expiry = WEIR__TTL_NEVER; /* the value itself begins like a stamp */
    *value = stored;
    return WEIR_OK;
}

weir_status weir__ttl_committed(const weir_partition *partition, weir_slice key, uint64_t hash,
                                uint64_t *expiry, bool *is_there, weir_error *err)
{
    weir_error inner;
    weir_backend_value held;
    weir_slice value;
    bool is_stamped;
    weir_error_init(&inner);
    *expiry = WEIR__TTL_NEVER;
    *is_there = false;
    if (partition->cache) {
        weir__cache_result result =
            weir__record_cache_get(partition->cache, WEIR_CF_DEFAULT, key, hash, &value);
        *is_there = result == WEIR__CACHE_HIT;
        if (*is_there)
            weir__ttl_split(value, expiry, &value);
        if (result != WEIR__CACHE_MISS)
            return WEIR_OK;
    }
    weir_status status = partition->backend->get(
        partition->db, partition->cfs[WEIR_CF_DEFAULT].handle, NULL, key, &held, &inner);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status)
        return tell(partition, status, "reading the expiry of a key", &inner, err);
    *is_there = true;
    status = weir__ttl_read(partition, key, weir_slice_of(held.data, held.size), expiry, &value,
                            &is_stamped, err);
    partition->backend->value_release(partition->db, &held);
    return status;
}

/* --- Writing --- */

weir_status weir__ttl_batch_begin(weir_partition *partition, weir__ttl_batch *batch,
                                  weir_error *err)
{
    weir__ttl *ttl = &partition->ttl;
    batch->earliest = WEIR__TTL_NEVER;
    weir_status status = WEIR_OK;
    if (batch->turns_on)
        status = open_family(partition, CF_INDEX, true, &ttl->index, err);
    if (!status && batch->becomes_partial)
        status = open_family(partition, CF_LEDGER, true, &ttl->ledger, err);
    return status;
}

static weir_status no_memory(const weir_partition *partition, weir_error *err)
{
    return weir__partition_error(partition, WEIR_NO_MEMORY, err, "out of memory for TTL");
}

static void add(weir__ttl_batch *batch, weir_backend_op_kind kind, weir_backend_cf *cf,
                weir_slice key, weir_slice value)
{
    batch->ops[batch->count++] =
        (weir_backend_op){.kind = kind, .cf = cf, .key = key, .value = value};
}

struct weir__ttl_entry {
    weir__ttl_entry *before;
    uint32_t size;
    bool is_delete;
    uint8_t key[];
};

/* head ∥ rest is the key. */
static weir_status add_entry(weir_partition *partition, weir__ttl_batch *batch, bool is_delete,
                             weir_slice head, weir_slice rest, weir_error *err)
{
    size_t size = head.size + rest.size;
    weir__ttl_entry *entry = weir__arena_alloc(batch->arena, sizeof *entry + size);
    if (!entry)
        return no_memory(partition, err);
    entry->before = batch->entries;
    entry->size = (uint32_t)size;
    entry->is_delete = is_delete;
    if (head.size > 0)
        memcpy(entry->key, head.data, head.size);
    if (rest.size > 0)
        memcpy(entry->key + head.size, rest.data, rest.size);
    batch->entries = entry;
    batch->entry_count++;
    return WEIR_OK;
}

static weir_status change_entry(weir_partition *partition, weir__ttl_batch *batch, bool is_delete,
                                uint64_t expiry, weir_slice key, weir_error *err)
{
    uint8_t stamp[WEIR__TTL_STAMP_SIZE];
    weir__ttl_stamp(stamp, expiry);
    return add_entry(partition, batch, is_delete, weir_slice_of(stamp, sizeof stamp), key, err);
}

static weir_slice entry_key(const void *of)
{
    const weir__ttl_entry *entry = of;
    return weir_slice_of(entry->key, entry->size);
}

/* In their order, as what stands beside each other in a batch is found beside each other. */
static weir_status add_entries(weir_partition *partition, weir__ttl_batch *batch, weir_error *err)
{
    size_t count = batch->entry_count;
    if (count == 0)
        return WEIR_OK;
    weir__sort_item *items = weir__arena_alloc(batch->arena, 2 * count * sizeof *items);
    if (!items)
        return no_memory(partition, err);
    size_t at = count; /* so they are looked at as they lie in memory */
    for (weir__ttl_entry *entry = batch->entries; entry; entry = entry->before)
        items[--at].of = entry;
    weir__key_sort(items, items + count, count, entry_key);
    for (size_t i = 0; i < count; i++) {
        const weir__ttl_entry *entry = items[i].of;
        add(batch, entry->is_delete ? WEIR_OP_DELETE : WEIR_OP_PUT, partition->ttl.index,
            entry_key(entry), weir_slice_of(NULL, 0));
    }
    return WEIR_OK;
}

weir_status weir__ttl_batch_change(weir_partition *partition, weir__ttl_batch *batch,
                                   weir_slice key, const weir_slice *stored, uint64_t old,
                                   weir_error *err)
{
    const weir__ttl *ttl = &partition->ttl;
    uint64_t expiry = WEIR__TTL_NEVER;
    weir_slice value;
    weir_status status = WEIR_OK;
    if (stored)
        weir__ttl_split(*stored, &expiry, &value);
    if (old != WEIR__TTL_NEVER && old != expiry)
        status = change_entry(partition, batch, true, old, key, err);
    if (!status && expiry != WEIR__TTL_NEVER && old != expiry)
        status = change_entry(partition, batch, false, expiry, key, err);
    /* An entry that stays may be one that the sweep has left to this change. */
    if (expiry < batch->earliest)
        batch->earliest = expiry;
    if (ttl->is_partial || batch->becomes_partial)
        add(batch, stored ? WEIR_OP_PUT : WEIR_OP_DELETE, ttl->ledger, key, weir_slice_of(NULL, 0));
    return status;
}

weir_status weir__ttl_batch_update(weir_partition *partition, weir__ttl_batch *batch,
                                   weir_slice key, uint64_t hash, const weir_slice *stored,
                                   weir_error *err)
{
    uint64_t old = WEIR__TTL_NEVER;
    bool is_there;
    weir_status status = WEIR_OK;
    if (partition->ttl.is_on)
        status = weir__ttl_committed(partition, key, hash, &old, &is_there, err);
    return status ? status : weir__ttl_batch_change(partition, batch, key, stored, old, err);
}

weir_status weir__ttl_batch_drop(weir_partition *partition, weir__ttl_batch *batch,
                                 weir_slice entry, weir_error *err)
{
    return add_entry(partition, batch, true, entry, weir_slice_of(NULL, 0), err);
}

static void add_metadata(const weir_partition *partition, weir__ttl_batch *batch, const char *key,
                         const void *value, size_t size)
{
    add(batch, value ? WEIR_OP_PUT : WEIR_OP_DELETE, partition->metadata, weir_slice_str(key),
        weir_slice_of(value, size));
}

weir_status weir__ttl_batch_end(weir_partition *partition, weir__ttl_batch *batch, weir_error *err)
{
    const weir__ttl *ttl = &partition->ttl;
    weir_status status = add_entries(partition, batch, err);
    if (status)
        return status;
    if (batch->turns_on || batch->finishes) { /* Quix Streams sets the flag at the end */
        add_metadata(partition, batch, WEIR__TTL_ENABLED, flag_bytes, sizeof flag_bytes);
        add_metadata(partition, batch, KEY_VERSION, version_bytes, sizeof version_bytes);
        add_metadata(partition, batch, KEY_MARKED, flag_bytes, sizeof flag_bytes);
    }
    if (batch->becomes_partial)
        add_metadata(partition, batch, KEY_PARTIAL, flag_bytes, sizeof flag_bytes);
    if (batch->clock > ttl->clock) {
        uint8_t *bytes = weir__arena_alloc(batch->arena, 8);
        if (!bytes)
            return no_memory(partition, err);
        weir__put_be64(bytes, (uint64_t)batch->clock);
        add_metadata(partition, batch, KEY_CLOCK, bytes, 8);
    }
    if (batch->finishes) {
        add_metadata(partition, batch, KEY_PARTIAL, NULL, 0);
        add_metadata(partition, batch, KEY_CURSOR, NULL, 0);
    } else if (batch->cursor.data) {
        add_metadata(partition, batch, KEY_CURSOR, batch->cursor.data, batch->cursor.size);
    }
    return WEIR_OK;
}

void weir__ttl_batch_done(weir_partition *partition, const weir__ttl_batch *batch)
{
    weir__ttl *ttl = &partition->ttl;
    if (batch->turns_on) {
        ttl->is_on = true;
        ttl->is_partial = batch->becomes_partial;
        /* The record cache holds values without a stamp. */
        if (partition->cache && ttl->is_partial)
            weir__record_cache_clear(partition->cache);
        weir_log(WEIR_LOG_INFO, "ttl.on", "the first value with a TTL: %s (%s)",
                 ttl->is_partial ? "the values that are there never expire; they get their stamps "
                                   "in the course of the next checkpoints"
                                 : "from now on values are stored with a stamp",
                 weir__database_label(partition->database));
    }
    if (batch->clock > ttl->clock)
        ttl->clock = batch->clock;
    if (batch->swept > ttl->swept)
        ttl->swept = batch->swept;
    if (batch->earliest < ttl->swept)
        ttl->swept = batch->earliest;
    if (batch->finishes) {
        ttl->is_partial = false;
        ttl->ledger = NULL;
        weir__buffer_clear(&ttl->cursor);
        weir_log(WEIR_LOG_INFO, "ttl.stamped", "all values have their stamp now (%s)",
                 weir__database_label(partition->database));
    } else if (batch->cursor.data) {
        weir__buffer_clear(&ttl->cursor);
        if (weir__buffer_append(&ttl->cursor, batch->cursor.data, batch->cursor.size))
            weir__buffer_clear(&ttl->cursor); /* no memory: it begins at the first key again */
    }
}
