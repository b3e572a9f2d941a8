/*
 * What the tree needs of the heap: making objects, and taking them out of the tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_MEMORY_HEAP_H
#define WEIR_BACKEND_MEMORY_HEAP_H

#include "backend/memory/node.h"

/* Born in the batch in progress; NULL: no memory. A node is empty. */
weir__node *weir__node_new(weir__heap *heap, unsigned level);
weir__item *weir__item_new(weir__heap *heap, weir_slice key, weir_slice value);
/* At once, whoever sees them. */
void weir__node_free(weir__heap *heap, weir__node *node);
void weir__item_free(weir__heap *heap, weir__item *item);

/* Changes a value in place. False: nothing was changed, as it is too long, or somebody might
 * see it, or memory is out. */
bool weir__item_change(weir__heap *heap, weir__item *item, weir_slice value);

/* Before each change of a tree: makes sure that taking objects out can't fail. */
bool weir__heap_reserve(weir__heap *heap);
/* The object is no longer in the newest tree. */
void weir__heap_retire_node(weir__heap *heap, weir__node *node);
void weir__heap_retire_item(weir__heap *heap, weir__item *item);

#endif
