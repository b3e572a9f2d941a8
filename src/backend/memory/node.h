/*
 * A node of the B+tree and the search in it.
 *
 * Beside each key stands its head: the 8 bytes that follow what all keys of the node
 * have in common, as a big-endian integer. Most comparisons are of heads, so a search
 * touches one item at most where it would otherwise touch six.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_MEMORY_NODE_H
#define WEIR_BACKEND_MEMORY_NODE_H

#include "backend/memory/tree.h"

#define WEIR__NODE_MAX   64
#define WEIR__PREFIX_MAX 44

struct weir__node {
    uint64_t birth;
    uint16_t count; /* items of a leaf, children of an inner node */
    uint8_t level;  /* 0: leaf */
    uint8_t skip;   /* bytes of prefix that all keys begin with */
    uint8_t prefix[WEIR__PREFIX_MAX];
    uint64_t heads[WEIR__NODE_MAX];
    /* Leaf: the items. Inner: keys[i] is the lower bound of children[i]; keys[0] is NULL. */
    weir__item *keys[WEIR__NODE_MAX];
    weir__node *children[]; /* inner nodes: WEIR__NODE_MAX of them */
};

/* The first index with a key, which inner nodes have from 1 on. */
static inline size_t weir__node_first(const weir__node *node)
{
    return node->level > 0 ? 1 : 0;
}

/* The index of the first key ≥ key, up to count. *exact: it is equal. */
size_t weir__node_search(const weir__node *node, weir_slice key, bool *exact);
/* The index of the child that holds key, if any does. */
size_t weir__node_child(const weir__node *node, weir_slice key);
/* Puts a key (and, in an inner node, the child behind it) at an index; there is room. */
void weir__node_insert(weir__node *node, size_t index, weir__item *key, weir__node *child);
/* Takes the key and child at an index out. */
void weir__node_remove(weir__node *node, size_t index);
/* Computes prefix and heads anew, after many keys came or went. */
void weir__node_refit(weir__node *node);

#endif
