/*
 * Reading the B+tree: one key, and positions that move both ways.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/memory/node.h"

weir__item *weir__tree_find(const weir__node *root, weir_slice key)
{
    if (root == NULL)
        return NULL;
    const weir__node *node = root;
    while (node->level > 0)
        node = node->children[weir__node_child(node, key)];
    bool exact;
    size_t index = weir__node_search(node, key, &exact);
    return exact ? node->keys[index] : NULL;
}

void weir__cursor_init(weir__cursor *cursor, const weir__node *root)
{
    cursor->root = root;
    cursor->depth = -1;
}

const weir__item *weir__cursor_item(const weir__cursor *cursor)
{
    if (cursor->depth < 0)
        return NULL;
    return cursor->path[cursor->depth]->keys[cursor->index[cursor->depth]];
}

/* From path[depth] down to the first or the last leaf below it. */
static void descend(weir__cursor *cursor, int depth, bool to_last)
{
    const weir__node *node = cursor->path[depth];
    for (;;) {
        cursor->index[depth] = to_last ? (uint16_t)(node->count - 1) : 0;
        if (node->level == 0)
            break;
        node = node->children[cursor->index[depth]];
        cursor->path[++depth] = node;
    }
    cursor->depth = depth;
}

static void to_end(weir__cursor *cursor, bool to_last)
{
    cursor->depth = -1;
    if (cursor->root == NULL)
        return;
    cursor->path[0] = cursor->root;
    descend(cursor, 0, to_last);
}

void weir__cursor_first(weir__cursor *cursor)
{
    to_end(cursor, false);
}

void weir__cursor_last(weir__cursor *cursor)
{
    to_end(cursor, true);
}

/* To the leaf beside that of the cursor; to no item when there is none. */
static void next_leaf(weir__cursor *cursor)
{
    for (int depth = cursor->depth - 1; depth >= 0; depth--) {
        if (cursor->index[depth] + 1 >= cursor->path[depth]->count)
            continue;
        cursor->index[depth]++;
        cursor->path[depth + 1] = cursor->path[depth]->children[cursor->index[depth]];
        descend(cursor, depth + 1, false);
        return;
    }
    cursor->depth = -1;
}

static void previous_leaf(weir__cursor *cursor)
{
    for (int depth = cursor->depth - 1; depth >= 0; depth--) {
        if (cursor->index[depth] == 0)
            continue;
        cursor->index[depth]--;
        cursor->path[depth + 1] = cursor->path[depth]->children[cursor->index[depth]];
        descend(cursor, depth + 1, true);
        return;
    }
    cursor->depth = -1;
}

void weir__cursor_next(weir__cursor *cursor)
{
    if (cursor->depth < 0)
        return;
    if (cursor->index[cursor->depth] + 1 < cursor->path[cursor->depth]->count)
        cursor->index[cursor->depth]++;
    else
        next_leaf(cursor);
}

void weir__cursor_previous(weir__cursor *cursor)
{
    if (cursor->depth < 0)
        return;
    if (cursor->index[cursor->depth] > 0)
        cursor->index[cursor->depth]--;
    else
        previous_leaf(cursor);
}

/* To the leaf that holds key if any does; returns the index of the first key ≥ key there. */
static size_t to_leaf_of(weir__cursor *cursor, weir_slice key)
{
    const weir__node *node = cursor->root;
    int depth = 0;
    bool exact;
    cursor->path[0] = node;
    while (node->level > 0) {
        cursor->index[depth] = (uint16_t)weir__node_child(node, key);
        node = node->children[cursor->index[depth]];
        cursor->path[++depth] = node;
    }
    cursor->depth = depth;
    return weir__node_search(node, key, &exact);
}

void weir__cursor_at_or_after(weir__cursor *cursor, weir_slice key)
{
    cursor->depth = -1;
    if (cursor->root == NULL)
        return;
    size_t index = to_leaf_of(cursor, key);
    if (index < cursor->path[cursor->depth]->count)
        cursor->index[cursor->depth] = (uint16_t)index;
    else
        next_leaf(cursor);
}

void weir__cursor_before(weir__cursor *cursor, weir_slice key)
{
    cursor->depth = -1;
    if (cursor->root == NULL)
        return;
    size_t index = to_leaf_of(cursor, key);
    if (index > 0)
        cursor->index[cursor->depth] = (uint16_t)(index - 1);
    else
        previous_leaf(cursor);
}
