/*
 * Changes of the copy-on-write B+tree. See tree.h.
 *
 * An insertion splits full nodes on its way down, so that there is always room above. A
 * deletion joins a node that has become small with a neighbour where both fit, and takes
 * out what has become empty.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/memory/tree.h"

#include <string.h>

#include "backend/memory/heap.h"

#define SMALL  (WEIR__NODE_MAX / 4)
#define JOINED (WEIR__NODE_MAX * 3 / 4)

/* A node that this batch may change, in place of *slot; false: no memory. */
static bool make_writable(weir__heap *heap, weir__node **slot)
{
    weir__node *old = *slot;
    if (old->birth == heap->batch)
        return true;
    weir__node *node = weir__node_new(heap, old->level);
    if (node == NULL)
        return false;
    node->count = old->count;
    node->skip = old->skip;
    memcpy(node->prefix, old->prefix, sizeof node->prefix);
    memcpy(node->heads, old->heads, old->count * sizeof old->heads[0]);
    memcpy(node->keys, old->keys, old->count * sizeof old->keys[0]);
    if (old->level > 0)
        memcpy(node->children, old->children, old->count * sizeof old->children[0]);
    *slot = node;
    weir__heap_retire_node(heap, old);
    return true;
}

/* ------------------------------------------------------------------ insertion */

/* The shortest key that is > a and ≤ b, for a < b. */
static weir__item *separator_between(weir__heap *heap, const weir__item *a, const weir__item *b)
{
    size_t common = 0;
    while (common < a->key_size && a->bytes[common] == b->bytes[common])
        common++;
    return weir__item_new(heap, weir_slice_of(b->bytes, common + 1), weir_slice_of(NULL, 0));
}

/* Splits children[index] of parent; both are writable, the child full, the parent not. */
static bool split_child(weir__heap *heap, weir__node *parent, size_t index, weir_slice key)
{
    weir__node *left = parent->children[index];
    bool exact;
    /* Keys that come in ascending order leave full nodes behind, not half-empty ones. */
    const bool ascending = weir__node_search(left, key, &exact) == left->count;
    const size_t middle = ascending ? WEIR__NODE_MAX * 7 / 8 : WEIR__NODE_MAX / 2;
    weir__node *right = weir__node_new(heap, left->level);
    if (right == NULL)
        return false;
    weir__item *separator =
        left->level > 0 ? left->keys[middle]
                        : separator_between(heap, left->keys[middle - 1], left->keys[middle]);
    if (separator == NULL) {
        weir__node_free(heap, right);
        return false;
    }
    right->count = (uint16_t)(left->count - middle);
    memcpy(right->keys, left->keys + middle, right->count * sizeof right->keys[0]);
    if (left->level > 0) {
        memcpy(right->children, left->children + middle, right->count * sizeof right->children[0]);
        right->keys[0] = NULL;
    }
    left->count = (uint16_t)middle;
    weir__node_refit(left);
    weir__node_refit(right);
    weir__node_insert(parent, index + 1, separator, right);
    return true;
}

/* A writable root with room in it. */
static bool prepare_root(weir__heap *heap, weir__tree *tree, weir_slice key)
{
    if (tree->root == NULL) {
        tree->root = weir__node_new(heap, 0);
        return tree->root != NULL;
    }
    if (!make_writable(heap, &tree->root))
        return false;
    if (tree->root->count < WEIR__NODE_MAX)
        return true;
    if (tree->root->level + 1 >= WEIR__TREE_MAX_HEIGHT)
        return false;
    weir__node *root = weir__node_new(heap, tree->root->level + 1u);
    if (root == NULL)
        return false;
    root->keys[0] = NULL;
    root->heads[0] = 0;
    root->children[0] = tree->root;
    root->count = 1;
    tree->root = root;
    return split_child(heap, root, 0, key);
}

/* Walks down to the leaf of key, copying and splitting. NULL: no memory. */
static weir__node *descend_for_put(weir__heap *heap, weir__tree *tree, weir_slice key)
{
    if (!prepare_root(heap, tree, key))
        return NULL;
    weir__node *node = tree->root;
    while (node->level > 0) {
        size_t index = weir__node_child(node, key);
        if (!make_writable(heap, &node->children[index]))
            return NULL;
        if (node->children[index]->count == WEIR__NODE_MAX) {
            if (!split_child(heap, node, index, key))
                return NULL;
            index = weir__node_child(node, key);
        }
        node = node->children[index];
    }
    return node;
}

weir_status weir__tree_put(weir__heap *heap, weir__tree *tree, weir_slice key, weir_slice value)
{
    weir__item *there = weir__tree_find(tree->root, key);
    if (there != NULL) {
        const uint32_t old_size = there->value_size;
        if (weir__item_change(heap, there, value)) {
            tree->bytes = tree->bytes - old_size + value.size;
            return WEIR_OK;
        }
    }
    if (!weir__heap_reserve(heap))
        return WEIR_NO_MEMORY;
    weir__item *item = weir__item_new(heap, key, value);
    if (item == NULL)
        return WEIR_NO_MEMORY;
    weir__node *leaf = descend_for_put(heap, tree, key);
    if (leaf == NULL) {
        weir__item_free(heap, item);
        return WEIR_NO_MEMORY;
    }
    bool exact;
    size_t index = weir__node_search(leaf, key, &exact);
    if (exact) {
        weir__item *old = leaf->keys[index];
        tree->bytes -= old->key_size + (uint64_t)old->value_size;
        leaf->keys[index] = item;
        weir__heap_retire_item(heap, old);
    } else {
        weir__node_insert(leaf, index, item, NULL);
        tree->count++;
    }
    tree->bytes += key.size + value.size;
    return WEIR_OK;
}

/* ------------------------------------------------------------------- deletion */

/* Joins children[index + 1] into children[index] where both fit into one. */
static void join_children(weir__heap *heap, weir__node *parent, size_t index)
{
    weir__node *right = parent->children[index + 1];
    if (parent->children[index]->count + right->count > JOINED)
        return;
    /* Joining saves memory, and doing without when there is none is right. */
    if (!make_writable(heap, &parent->children[index]))
        return;
    weir__node *left = parent->children[index];
    weir__item *separator = parent->keys[index + 1];
    memcpy(left->keys + left->count, right->keys, right->count * sizeof right->keys[0]);
    if (right->level > 0) {
        memcpy(left->children + left->count, right->children,
               right->count * sizeof right->children[0]);
        left->keys[left->count] = separator;
    } else {
        weir__heap_retire_item(heap, separator);
    }
    left->count = (uint16_t)(left->count + right->count);
    weir__node_refit(left);
    weir__node_remove(parent, index + 1);
    weir__heap_retire_node(heap, right);
}

/* Takes out children[index], which is empty, with one separator beside it. */
static void drop_child(weir__heap *heap, weir__node *parent, size_t index)
{
    weir__node *child = parent->children[index];
    if (parent->count > 1)
        weir__heap_retire_item(heap, parent->keys[index > 0 ? index : 1]);
    weir__node_remove(parent, index);
    weir__heap_retire_node(heap, child);
}

/* After a deletion in path[depth], from the leaf up. index[i]: the child taken in path[i]. */
static void tidy_up(weir__heap *heap, weir__tree *tree, weir__node **path, const size_t *index,
                    int depth)
{
    for (; depth > 0; depth--) {
        weir__node *parent = path[depth - 1];
        size_t at = index[depth - 1];
        if (path[depth]->count == 0)
            drop_child(heap, parent, at);
        else if (path[depth]->count >= SMALL)
            return;
        else if (at + 1 < parent->count)
            join_children(heap, parent, at);
        else if (at > 0)
            join_children(heap, parent, at - 1);
    }
    while (tree->root != NULL &&
           (tree->root->count == 0 || (tree->root->level > 0 && tree->root->count == 1))) {
        weir__node *old = tree->root;
        tree->root = old->count == 0 ? NULL : old->children[0];
        weir__heap_retire_node(heap, old);
    }
}

weir_status weir__tree_delete(weir__heap *heap, weir__tree *tree, weir_slice key)
{
    weir__node *path[WEIR__TREE_MAX_HEIGHT];
    size_t index[WEIR__TREE_MAX_HEIGHT];
    int depth = 0;
    bool exact;
    if (weir__tree_find(tree->root, key) == NULL)
        return WEIR_OK;
    if (!weir__heap_reserve(heap) || !make_writable(heap, &tree->root))
        return WEIR_NO_MEMORY;
    path[0] = tree->root;
    while (path[depth]->level > 0) {
        index[depth] = weir__node_child(path[depth], key);
        weir__node **child = &path[depth]->children[index[depth]];
        if (!make_writable(heap, child))
            return WEIR_NO_MEMORY;
        path[++depth] = *child;
    }
    size_t at = weir__node_search(path[depth], key, &exact);
    weir__item *old = path[depth]->keys[at];
    weir__node_remove(path[depth], at);
    tree->count--;
    tree->bytes -= old->key_size + (uint64_t)old->value_size;
    weir__heap_retire_item(heap, old);
    tidy_up(heap, tree, path, index, depth);
    return WEIR_OK;
}

void weir__tree_free(weir__heap *heap, weir__node *root)
{
    if (root == NULL)
        return;
    for (size_t i = weir__node_first(root); i < root->count; i++)
        weir__item_free(heap, root->keys[i]);
    for (size_t i = 0; root->level > 0 && i < root->count; i++)
        weir__tree_free(heap, root->children[i]);
    weir__node_free(heap, root);
}
