/*
 * The changes of one transaction: a hash table over an arena, both reused by the next
 * transaction, and for each column family that is read by range an ordered index.
 *
 * The index is built at the first range read and kept up with each new key from then
 * on, so that a range read costs O(log n) and never sorts. Iterators see the changes as
 * of their opening: while any is open, a change keeps the version before it.
 *
 * Owner thread of the partition.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_UPDATE_CACHE_H
#define WEIR_STATE_UPDATE_CACHE_H

#include <weir/state.h>

#include "base/arena.h"
#include "state/record_cache.h"

#define WEIR__INDEX_LEVELS 16

/* What a key was before a change, kept for open iterators. */
typedef struct weir__update_version {
    struct weir__update_version *older;
    const uint8_t *value;
    uint64_t epoch;
    uint32_t value_size;
    bool is_delete;
} weir__update_version;

typedef struct weir__update {
    uint64_t hash; /* weir__record_hash of (cf, key) */
    uint64_t epoch;
    uint8_t *value; /* NULL: no value was ever set */
    weir__update_version *older;
    uint32_t value_size;
    uint32_t value_capacity;
    weir_cf cf;
    uint16_t key_size;
    bool is_delete;
    bool is_stored; /* weir__txn_put_stored */
    uint8_t key[];
} weir__update;

/* A key of the index: a skip list, with the way back on its lowest level. */
typedef struct weir__index_node {
    uint64_t head; /* the first 8 bytes of the key, big-endian */
    weir__update *update;
    struct weir__index_node *previous;
    struct weir__index_node *next[];
} weir__index_node;

typedef struct weir__index {
    bool is_built;
    unsigned levels;
    weir__index_node *first[WEIR__INDEX_LEVELS];
    weir__index_node *last;
} weir__index;

typedef struct weir__update_slot {
    uint64_t hash;
    weir__update *update; /* NULL: empty */
} weir__update_slot;

typedef struct weir__update_cache {
    weir__arena arena;
    weir__update_slot *slots;
    size_t slot_count; /* a power of two, or 0 */
    weir__update **updates;
    size_t count;
    size_t capacity;
    weir__index *indexes; /* by column family */
    size_t index_count;
    size_t open_iters;
    uint64_t epoch;  /* iterators opened so far */
    uint64_t random; /* for the heights in the index */
} weir__update_cache;

void weir__update_cache_init(weir__update_cache *cache);
void weir__update_cache_release(weir__update_cache *cache);
/* Forgets the changes and keeps memory for about as many again. No iterator is open. */
void weir__update_cache_reset(weir__update_cache *cache);

/* A hint that a key is going to be looked for. */
static inline void weir__update_cache_prefetch_slot(const weir__update_cache *cache, uint64_t hash)
{
    if (cache->count > 0)
        __builtin_prefetch(&cache->slots[hash & (cache->slot_count - 1)]);
}
/* What find may give for a key with this hash, without a look at it; NULL: not known. */
static inline const weir__update *weir__update_cache_guess(const weir__update_cache *cache,
                                                           uint64_t hash)
{
    if (cache->count == 0)
        return NULL;
    const size_t mask = cache->slot_count - 1;
    for (size_t at = hash & mask; cache->slots[at].update; at = (at + 1) & mask) {
        if (cache->slots[at].hash == hash)
            return cache->slots[at].update;
    }
    return NULL;
}
/* The change of a key, a delete included, or NULL. */
weir__update *weir__update_cache_find(const weir__update_cache *cache, weir_cf cf, weir_slice key,
                                      uint64_t hash);
/* Sets (value NULL: deletes). Copies key and value. WEIR_NO_MEMORY leaves all as it was. */
weir_status weir__update_cache_set(weir__update_cache *cache, weir_cf cf, weir_slice key,
                                   uint64_t hash, const weir_slice *value);
/* As set, with the value head ∥ value, of which value may be what the key holds now; returns the
 * change, whose value has room for `room` bytes if it is a new one. NULL: no memory. */
weir__update *weir__update_cache_put(weir__update_cache *cache, weir_cf cf, weir_slice key,
                                     uint64_t hash, weir_slice head, const weir_slice *value,
                                     size_t room);
/* As set, for a change that is there. */
weir_status weir__update_cache_change(weir__update_cache *cache, weir__update *update,
                                      const weir_slice *value);
/* Whoever puts all changes into the record cache, one after the other, says so before each: those
 * that come next are on their way then. */
void weir__update_cache_prefetch(const weir__update_cache *cache, size_t at,
                                 const weir__record_cache *records);
/* A hint that a change is going to be looked at, with its key and the beginning of its value. */
static inline void weir__update_prefetch(const weir__update *update)
{
    __builtin_prefetch(update);
    __builtin_prefetch((const uint8_t *)update + 64);
}
/* The same for who goes over all changes and leaves the record cache alone. */
static inline void weir__update_cache_prefetch_update(const weir__update_cache *cache, size_t at)
{
    enum { AHEAD = 8 };
    if (at + AHEAD < cache->count)
        weir__update_prefetch(cache->updates[at + AHEAD]);
}
/* Memory that the changes take. */
size_t weir__update_cache_bytes(const weir__update_cache *cache);

/* Puts updates[] into the order of column family, then key. scratch: WEIR__SORT_BYTES for
 * each change, 8-byte aligned. */
#define WEIR__SORT_BYTES 32u
void weir__update_cache_sort(weir__update_cache *cache, void *scratch);

/* --- Ordered reading --- */

typedef struct weir__update_cursor {
    weir__index_node *node; /* the next to look at; NULL: end */
    uint64_t epoch;
    bool reverse;
} weir__update_cursor;

/* A change as a cursor sees it. */
typedef struct weir__update_view {
    weir_slice key;
    weir_slice value;
    bool is_delete;
} weir__update_view;

/*
 * Opens an iterator's view of the changes of a column family as of now, from the lower
 * bound (reverse: from below the upper one) on; the bounds may be NULL. Each successful
 * open is followed by one close.
 */
weir_status weir__update_cursor_open(weir__update_cache *cache, weir_cf cf, const weir_slice *lower,
                                     const weir_slice *upper, bool reverse,
                                     weir__update_cursor *cursor);
void weir__update_cursor_close(weir__update_cache *cache);
/* What the cursor stands at, over keys that are newer than it; false: end. */
bool weir__update_cursor_peek(weir__update_cursor *cursor, weir__update_view *view);
/* Goes on from what peek showed. */
void weir__update_cursor_forward(weir__update_cursor *cursor);

/* update_index.c, for update_cache.c: adds a new key to the index of its column family if
 * that is built. */
weir_status weir__update_index_add(weir__update_cache *cache, weir__update *update);

#endif
