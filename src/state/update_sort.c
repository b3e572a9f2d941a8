/*
 * The changes of a transaction in the order of column family and key, for the changelog
 * and for the batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/key_sort.h"
#include "state/update_cache.h"

_Static_assert(2 * sizeof(weir__sort_item) <= WEIR__SORT_BYTES, "an item and its spare");

static weir_slice key_of(const void *of)
{
    const weir__update *update = of;
    return weir_slice_of(update->key, update->key_size);
}

void weir__update_cache_sort(weir__update_cache *cache, void *scratch)
{
    weir__sort_item *items = scratch;
    size_t count = cache->count;
    size_t done = 0;
    /* Families are few: one pass over the changes for each that has any. */
    for (uint64_t cf = 0; done < count;) {
        uint64_t next_cf = UINT64_MAX;
        size_t begin = done;
        for (size_t i = 0; i < count; i++) {
            weir__update *update = cache->updates[i];
            if (update->cf == cf)
                items[done++].of = update;
            else if (update->cf > cf && update->cf < next_cf)
                next_cf = update->cf;
        }
        weir__key_sort(items + begin, items + count + begin, done - begin, key_of);
        cf = next_cf;
    }
    for (size_t i = 0; i < count; i++)
        cache->updates[i] = items[i].of;
}
