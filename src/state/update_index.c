/*
 * The ordered index over the changes of a column family, and the cursors on it.
 *
 * A skip list whose nodes live in the arena of the changes: keys are only ever added
 * within a transaction (a delete is a change too), so there is nothing to take out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/update_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/endian.h"

static weir_slice key_of(const weir__update *update)
{
    return weir_slice_of(update->key, update->key_size);
}

/* The first 8 bytes as a number: its order is that of the keys as far as they go. */
static uint64_t head_of(weir_slice key)
{
    uint8_t bytes[8] = {0};
    size_t size = key.size < sizeof bytes ? key.size : sizeof bytes;
    if (size > 0)
        memcpy(bytes, key.data, size);
    return weir__get_be64(bytes);
}

static int compare(const weir__index_node *node, uint64_t head, weir_slice key)
{
    if (node->head != head)
        return node->head < head ? -1 : 1;
    return weir_slice_compare(key_of(node->update), key);
}

/* One level more for one node in four. */
static unsigned height(weir__update_cache *cache)
{
    cache->random ^= cache->random << 13;
    cache->random ^= cache->random >> 7;
    cache->random ^= cache->random << 17;
    uint64_t bits = cache->random | UINT64_C(1) << (2 * WEIR__INDEX_LEVELS - 2);
    return 1u + (unsigned)__builtin_ctzll(bits) / 2u;
}

/*
 * The last node with a key below `key`, or NULL. With `before`, also the node before the
 * place of `key` on each level (NULL: the beginning).
 */
static weir__index_node *find_below(const weir__index *index, weir_slice key,
                                    weir__index_node **before)
{
    uint64_t head = head_of(key);
    weir__index_node *at = NULL;
    for (unsigned level = index->levels; level-- > 0;) {
        for (;;) {
            weir__index_node *next = at ? at->next[level] : index->first[level];
            if (!next || compare(next, head, key) >= 0)
                break;
            at = next;
        }
        if (before)
            before[level] = at;
    }
    return at;
}

static weir_status insert(weir__update_cache *cache, weir__index *index, weir__update *update)
{
    unsigned levels = height(cache);
    weir__index_node *node =
        weir__arena_alloc(&cache->arena, sizeof *node + levels * sizeof(weir__index_node *));
    if (!node)
        return WEIR_NO_MEMORY;
    weir__index_node *before[WEIR__INDEX_LEVELS];
    for (unsigned level = index->levels; level < levels; level++)
        before[level] = NULL;
    find_below(index, key_of(update), before);
    if (levels > index->levels)
        index->levels = levels;
    node->head = head_of(key_of(update));
    node->update = update;
    node->previous = before[0];
    for (unsigned level = 0; level < levels; level++) {
        weir__index_node **link =
            before[level] ? &before[level]->next[level] : &index->first[level];
        node->next[level] = *link;
        *link = node;
    }
    if (node->next[0])
        node->next[0]->previous = node;
    else
        index->last = node;
    return WEIR_OK;
}

weir_status weir__update_index_add(weir__update_cache *cache, weir__update *update)
{
    if (update->cf >= cache->index_count || !cache->indexes[update->cf].is_built)
        return WEIR_OK;
    return insert(cache, &cache->indexes[update->cf], update);
}

/* *index [out]: that of the column family, built. */
static weir_status index_of(weir__update_cache *cache, weir_cf cf, weir__index **index)
{
    *index = NULL;
    if (cf >= cache->index_count) {
        size_t count = (size_t)cf + 1;
        weir__index *indexes = realloc(cache->indexes, count * sizeof *indexes);
        if (!indexes)
            return WEIR_NO_MEMORY;
        memset(indexes + cache->index_count, 0, (count - cache->index_count) * sizeof *indexes);
        cache->indexes = indexes;
        cache->index_count = count;
    }
    weir__index *found = &cache->indexes[cf];
    if (!found->is_built) {
        memset(found, 0, sizeof *found);
        for (size_t i = 0; i < cache->count; i++) {
            if (cache->updates[i]->cf != cf)
                continue;
            weir_status status = insert(cache, found, cache->updates[i]);
            if (status)
                return status;
        }
        found->is_built = true;
    }
    *index = found;
    return WEIR_OK;
}

weir_status weir__update_cursor_open(weir__update_cache *cache, weir_cf cf, const weir_slice *lower,
                                     const weir_slice *upper, bool reverse,
                                     weir__update_cursor *cursor)
{
    *cursor = (weir__update_cursor){.reverse = reverse};
    weir__index *index = NULL;
    weir_status status = index_of(cache, cf, &index);
    if (status)
        return status;
    if (reverse) {
        cursor->node = upper ? find_below(index, *upper, NULL) : index->last;
    } else {
        weir__index_node *below = lower ? find_below(index, *lower, NULL) : NULL;
        cursor->node = below ? below->next[0] : index->first[0];
    }
    cursor->epoch = cache->epoch++;
    cache->open_iters++;
    return WEIR_OK;
}

void weir__update_cursor_close(weir__update_cache *cache)
{
    cache->open_iters--;
}

bool weir__update_cursor_peek(weir__update_cursor *cursor, weir__update_view *view)
{
    for (; cursor->node; weir__update_cursor_forward(cursor)) {
        const weir__update *update = cursor->node->update;
        view->key = key_of(update);
        if (update->epoch <= cursor->epoch) {
            view->value = weir_slice_of(update->value, update->value_size);
            view->is_delete = update->is_delete;
            return true;
        }
        const weir__update_version *version = update->older;
        while (version && version->epoch > cursor->epoch)
            version = version->older;
        if (version) {
            view->value = weir_slice_of(version->value, version->value_size);
            view->is_delete = version->is_delete;
            return true;
        }
    }
    return false;
}

void weir__update_cursor_forward(weir__update_cursor *cursor)
{
    cursor->node = cursor->reverse ? cursor->node->previous : cursor->node->next[0];
}
