/*
 * Search and change inside one node of the B+tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/memory/node.h"

#include <string.h>

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The 8 bytes of a key from `skip` on, zeros behind its end. */
static uint64_t head_of(weir_slice key, size_t skip)
{
    const uint8_t *bytes = (const uint8_t *)key.data + skip;
    size_t size = key.size - skip;
    uint64_t head = 0;
    if (size >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        head = __builtin_bswap64(head);
#endif
        return head;
    }
    for (size_t i = 0; i < size; i++)
        head |= (uint64_t)bytes[i] << (56 - 8 * i);
    return head;
}

/* Both are longer than or as long as skip, and equal up to there. */
static int compare_behind(weir_slice a, const weir__item *b, size_t skip)
{
    size_t a_size = a.size - skip;
    size_t b_size = b->key_size - skip;
    size_t common = min_size(a_size, b_size);
    int order = common == 0 ? 0 : memcmp((const uint8_t *)a.data + skip, b->bytes + skip, common);
    if (order != 0)
        return order;
    return a_size < b_size ? -1 : a_size > b_size ? 1 : 0;
}

/* How the key stands to the common prefix: before, after, or (0) beginning with it. */
static int compare_prefix(const weir__node *node, weir_slice key)
{
    size_t common = min_size(key.size, node->skip);
    int order = common == 0 ? 0 : memcmp(key.data, node->prefix, common);
    return order == 0 && key.size < node->skip ? -1 : order;
}

/* A search touches several lines of a node, each found by what the one before held. Asked for
 * at once, they take the time of one. */
static inline void fetch_ahead(const weir__node *node)
{
    for (size_t i = 0; i < node->count; i += 64 / sizeof node->heads[0]) {
        __builtin_prefetch(&node->heads[i]);
        __builtin_prefetch(&node->keys[i]);
    }
}

size_t weir__node_search(const weir__node *node, weir_slice key, bool *exact)
{
    const size_t first = weir__node_first(node);
    *exact = false;
    fetch_ahead(node);
    if (node->skip > 0) {
        int order = compare_prefix(node, key);
        if (order != 0)
            return order < 0 ? first : node->count;
    }
    const uint64_t head = head_of(key, node->skip);
    /* Without branches: what the processor can't predict here would cost more than it saves. */
    const uint64_t *at = node->heads + first;
    size_t n = node->count - first;
    while (n > 1) {
        size_t half = n / 2;
        at += half & (0 - (size_t)(at[half - 1] < head));
        n -= half;
    }
    size_t low = (size_t)(at - node->heads) + (n == 1 && *at < head ? 1 : 0);
    size_t high = low;
    while (high < node->count && node->heads[high] == head)
        high++;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_behind(key, node->keys[middle], node->skip);
        if (order == 0) {
            *exact = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

size_t weir__node_child(const weir__node *node, weir_slice key)
{
    bool exact;
    size_t index = weir__node_search(node, key, &exact);
    return exact ? index : index - 1;
}

static void compute_heads(weir__node *node)
{
    for (size_t i = weir__node_first(node); i < node->count; i++)
        node->heads[i] = head_of(weir__item_key(node->keys[i]), node->skip);
}

void weir__node_insert(weir__node *node, size_t index, weir__item *key, weir__node *child)
{
    const size_t tail = node->count - index;
    memmove(&node->keys[index + 1], &node->keys[index], tail * sizeof node->keys[0]);
    memmove(&node->heads[index + 1], &node->heads[index], tail * sizeof node->heads[0]);
    if (node->level > 0) {
        memmove(&node->children[index + 1], &node->children[index],
                tail * sizeof node->children[0]);
        node->children[index] = child;
    }
    node->keys[index] = key;
    node->count++;
    size_t common = 0;
    const size_t limit = min_size(node->skip, key->key_size);
    while (common < limit && node->prefix[common] == key->bytes[common])
        common++;
    if (common < node->skip) {
        node->skip = (uint8_t)common;
        compute_heads(node);
    } else {
        node->heads[index] = head_of(weir__item_key(key), node->skip);
    }
}

void weir__node_remove(weir__node *node, size_t index)
{
    const size_t tail = node->count - index - 1;
    memmove(&node->keys[index], &node->keys[index + 1], tail * sizeof node->keys[0]);
    memmove(&node->heads[index], &node->heads[index + 1], tail * sizeof node->heads[0]);
    if (node->level > 0)
        memmove(&node->children[index], &node->children[index + 1],
                tail * sizeof node->children[0]);
    node->count--;
    if (node->level > 0 && index == 0)
        node->keys[0] = NULL;
}

void weir__node_refit(weir__node *node)
{
    const size_t first = weir__node_first(node);
    node->skip = 0;
    if (node->count > first) {
        /* The keys are in order: what the first and the last share, all share. */
        const weir__item *low = node->keys[first];
        const weir__item *high = node->keys[node->count - 1];
        size_t limit = min_size(min_size(low->key_size, high->key_size), WEIR__PREFIX_MAX);
        size_t common = 0;
        while (common < limit && low->bytes[common] == high->bytes[common])
            common++;
        if (common > 0)
            memcpy(node->prefix, low->bytes, common);
        node->skip = (uint8_t)common;
    }
    compute_heads(node);
}
