/*
 * The changes of one transaction by key: the hash table, and values in the arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/update_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"

#define MIN_SLOTS      ((size_t)256)
#define KEEP_BYTES_MIN ((size_t)256 << 10)
#define VALUE_ALIGN    ((size_t)8)

#define PREFETCH_UPDATE 24u
#define PREFETCH_SLOT   16u
#define PREFETCH_RECORD 8u

void weir__update_cache_init(weir__update_cache *cache)
{
    memset(cache, 0, sizeof *cache);
    weir__arena_init(&cache->arena);
    cache->random = UINT64_C(0x9E3779B97F4A7C15);
}

static void free_slots(weir__update_cache *cache)
{
    weir__large_free(cache->slots, cache->slot_count * sizeof *cache->slots);
}

void weir__update_cache_release(weir__update_cache *cache)
{
    weir__arena_release(&cache->arena);
    free_slots(cache);
    free(cache->updates);
    free(cache->indexes);
    memset(cache, 0, sizeof *cache);
}

void weir__update_cache_reset(weir__update_cache *cache)
{
    size_t keep = cache->arena.used * 2;
    weir__arena_reset(&cache->arena, keep > KEEP_BYTES_MIN ? keep : KEEP_BYTES_MIN);
    /* After a far bigger transaction the table would be cold and slow to clear. */
    if (cache->slot_count > MIN_SLOTS && cache->count < cache->slot_count / 32) {
        free_slots(cache);
        free(cache->updates);
        cache->slots = NULL;
        cache->updates = NULL;
        cache->slot_count = 0;
        cache->capacity = 0;
    } else if (cache->count > 0) {
        memset(cache->slots, 0, cache->slot_count * sizeof *cache->slots);
    }
    if (cache->index_count > 0)
        memset(cache->indexes, 0, cache->index_count * sizeof *cache->indexes);
    cache->count = 0;
}

weir__update *weir__update_cache_find(const weir__update_cache *cache, weir_cf cf, weir_slice key,
                                      uint64_t hash)
{
    if (cache->count == 0)
        return NULL;
    size_t mask = cache->slot_count - 1;
    for (size_t at = hash & mask; cache->slots[at].update; at = (at + 1) & mask) {
        if (cache->slots[at].hash != hash)
            continue;
        weir__update *update = cache->slots[at].update;
        if (update->key_size == key.size && update->cf == cf &&
            weir__key_equal(update->key, key.data, key.size))
            return update;
    }
    return NULL;
}

static void slots_add(weir__update_slot *slots, size_t mask, weir__update_slot added)
{
    size_t at = added.hash & mask;
    while (slots[at].update)
        at = (at + 1) & mask;
    slots[at] = added;
}

/* Room for one more in the table and in the list. */
static weir_status grow(weir__update_cache *cache)
{
    if (cache->count == cache->capacity) {
        size_t capacity = cache->capacity ? cache->capacity * 2 : MIN_SLOTS;
        weir__update **updates = realloc(cache->updates, capacity * sizeof(weir__update *));
        if (!updates)
            return WEIR_NO_MEMORY;
        cache->updates = updates;
        cache->capacity = capacity;
    }
    if ((cache->count + 1) * 2 > cache->slot_count) {
        size_t count = cache->slot_count ? cache->slot_count * 2 : MIN_SLOTS;
        weir__update_slot *slots = weir__large_alloc_zeroed(count * sizeof *slots);
        if (!slots)
            return WEIR_NO_MEMORY;
        for (size_t i = 0; i < cache->slot_count; i++) {
            if (cache->slots[i].update)
                slots_add(slots, count - 1, cache->slots[i]);
        }
        free_slots(cache);
        cache->slots = slots;
        cache->slot_count = count;
    }
    return WEIR_OK;
}

static size_t align_up(size_t size)
{
    return (size + VALUE_ALIGN - 1) & ~(VALUE_ALIGN - 1);
}

/* What a key is set to: head ∥ body, or nothing. */
typedef struct content {
    weir_slice head;
    weir_slice body;
    size_t room; /* a new key gets so much, if its value is smaller */
    bool is_delete;
} content;

/* The body first: it may stand where the head goes. */
static void write_content(uint8_t *out, const content *what)
{
    if (what->body.size > 0)
        memmove(out + what->head.size, what->body.data, what->body.size);
    if (what->head.size > 0)
        memcpy(out, what->head.data, what->head.size);
}

/* A new key. Its first value stands behind it in the same piece of the arena. */
static weir__update *add(weir__update_cache *cache, weir_cf cf, weir_slice key, uint64_t hash,
                         const content *what)
{
    size_t size = what->head.size + what->body.size;
    if (grow(cache))
        return NULL;
    size_t value_at = align_up(sizeof(weir__update) + key.size);
    size_t room = align_up(size > what->room ? size : what->room);
    weir__update *update = weir__arena_alloc(&cache->arena, value_at + room);
    if (!update)
        return NULL;
    update->hash = hash;
    update->epoch = cache->epoch;
    update->older = NULL;
    update->cf = cf;
    update->key_size = (uint16_t)key.size;
    update->is_delete = what->is_delete;
    update->is_stored = false;
    update->value = (uint8_t *)update + value_at;
    update->value_size = (uint32_t)size;
    update->value_capacity = (uint32_t)room;
    if (key.size > 0)
        memcpy(update->key, key.data, key.size);
    write_content(update->value, what);
    if (weir__update_index_add(cache, update))
        return NULL;
    slots_add(cache->slots, cache->slot_count - 1,
              (weir__update_slot){.hash = hash, .update = update});
    cache->updates[cache->count++] = update;
    return update;
}

/* True when an open iterator may see what the key holds now. */
static bool is_seen(const weir__update_cache *cache, const weir__update *update)
{
    return cache->open_iters > 0 && update->epoch < cache->epoch;
}

static weir__update *change(weir__update_cache *cache, weir__update *update, const content *what)
{
    size_t size = what->head.size + what->body.size;
    bool seen = is_seen(cache, update);
    weir__update_version *version = NULL;
    if (seen) {
        version = weir__arena_alloc(&cache->arena, sizeof *version);
        if (!version)
            return NULL;
        *version = (weir__update_version){.older = update->older,
                                          .value = update->value,
                                          .epoch = update->epoch,
                                          .value_size = update->value_size,
                                          .is_delete = update->is_delete};
    }
    if (size > update->value_capacity || (seen && !what->is_delete)) {
        /* A value that grows again and again must not take up its square. */
        size_t room = size + (size > update->value_capacity ? size / 2 : 0);
        room = align_up(room < UINT32_MAX - VALUE_ALIGN ? room : size);
        uint8_t *data = weir__arena_alloc(&cache->arena, room);
        if (!data)
            return NULL;
        write_content(data, what);
        update->value = data;
        update->value_capacity = (uint32_t)room;
    } else {
        write_content(update->value, what);
    }
    if (seen) {
        update->older = version;
        if (what->is_delete)
            update->value_capacity = 0; /* the bytes are the version's now */
    } else if (cache->open_iters == 0) {
        update->older = NULL;
    }
    update->epoch = cache->epoch;
    update->value_size = (uint32_t)size;
    update->is_delete = what->is_delete;
    update->is_stored = false;
    return update;
}

static weir__update *set(weir__update_cache *cache, weir_cf cf, weir_slice key, uint64_t hash,
                         const content *what)
{
    weir__update *update = weir__update_cache_find(cache, cf, key, hash);
    return update ? change(cache, update, what) : add(cache, cf, key, hash, what);
}

static content content_of(weir_slice head, const weir_slice *value)
{
    content what = {.head = head, .is_delete = !value};
    if (value)
        what.body = *value;
    return what;
}

weir__update *weir__update_cache_put(weir__update_cache *cache, weir_cf cf, weir_slice key,
                                     uint64_t hash, weir_slice head, const weir_slice *value,
                                     size_t room)
{
    content what = content_of(head, value);
    what.room = room;
    return set(cache, cf, key, hash, &what);
}

weir_status weir__update_cache_set(weir__update_cache *cache, weir_cf cf, weir_slice key,
                                   uint64_t hash, const weir_slice *value)
{
    return weir__update_cache_put(cache, cf, key, hash, weir_slice_of(NULL, 0), value, 0)
               ? WEIR_OK
               : WEIR_NO_MEMORY;
}

weir_status weir__update_cache_change(weir__update_cache *cache, weir__update *update,
                                      const weir_slice *value)
{
    content what = content_of(weir_slice_of(NULL, 0), value);
    return change(cache, update, &what) ? WEIR_OK : WEIR_NO_MEMORY;
}

void weir__update_cache_prefetch(const weir__update_cache *cache, size_t at,
                                 const weir__record_cache *records)
{
    weir__update **updates = cache->updates;
    if (at + PREFETCH_UPDATE < cache->count)
        __builtin_prefetch(updates[at + PREFETCH_UPDATE]);
    if (at + PREFETCH_SLOT < cache->count)
        weir__record_cache_prefetch(records, updates[at + PREFETCH_SLOT]->hash);
    if (at + PREFETCH_RECORD < cache->count)
        weir__record_cache_prefetch_record(records, updates[at + PREFETCH_RECORD]->hash);
}

size_t weir__update_cache_bytes(const weir__update_cache *cache)
{
    if (cache->count == 0)
        return 0;
    return cache->arena.used + cache->slot_count * sizeof *cache->slots +
           cache->capacity * sizeof(weir__update *);
}
