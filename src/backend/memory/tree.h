/*
 * The copy-on-write B+tree under the memory backend.
 *
 * Every object (node or item) knows the number of the batch that made it, its birth. A
 * batch changes nodes in place only if it made them itself and copies the others, so that
 *
 *   - undoing a batch is: take the old root again and free what the batch made;
 *   - a snapshot is: remember the root and the number of the last batch, O(1).
 *
 * What a batch takes out of the tree is freed when the batch commits, or, if a snapshot
 * can still see it, moves to a list of the newest such snapshot. When that one is closed,
 * each object on its list moves on to the next older snapshot that can see it, or is
 * freed. So an object is looked at only when something about it may have changed.
 *
 * One thing is changed in place: a short value whose item no snapshot sees and nobody holds.
 * The batch keeps the old value to put it back. So a counter costs a search and nothing else:
 * no copy of a node, no allocation.
 *
 * All functions: one thread at a time for a heap and its trees.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_MEMORY_TREE_H
#define WEIR_BACKEND_MEMORY_TREE_H

#include <weir/backend.h>

/* Deeper than any tree that fits an address space: a new level needs a full root. */
#define WEIR__TREE_MAX_HEIGHT 24

/*
 * A key with its value, or in an inner node a separator without one. The key never changes;
 * a short value is changed in place where nobody can see it meanwhile.
 */
typedef struct weir__item {
    uint64_t birth;
    uint32_t pins; /* values handed out that are not released yet */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t value_room; /* what a value in place may take */
    bool dead;           /* to be freed when the last pin goes */
    uint8_t bytes[];
} weir__item;

typedef struct weir__node weir__node;
typedef struct weir__cell weir__cell; /* one object that waits for a snapshot to close */

/* A node or an item that was taken out of the tree. */
typedef struct weir__object {
    void *pointer;
    bool is_node;
} weir__object;

/* The part of a snapshot that the heap needs. Embedded in what its user calls a snapshot. */
typedef struct weir__epoch {
    uint64_t batch; /* sees what was born up to this batch */
    struct weir__epoch *older;
    struct weir__epoch *newer;
    weir__cell *waiting;
} weir__epoch;

/* A value that was changed in place: its old bytes lie at `offset` in the undo bytes. */
typedef struct weir__undo {
    weir__item *item;
    size_t offset;
    uint32_t size;
} weir__undo;

typedef struct weir__heap {
    uint64_t batch; /* the one in progress, or the last */
    weir__epoch *newest;
    weir__object *retired; /* taken out by this batch, seen by no snapshot */
    size_t retired_count;
    size_t retired_capacity;
    weir__undo *undo; /* of this batch, in order */
    size_t undo_count;
    size_t undo_capacity;
    uint8_t *undo_bytes;
    size_t undo_size;
    size_t undo_bytes_capacity;
    weir__cell *batch_waiting; /* … seen by the newest snapshot */
    weir__cell *spare_cells;
    size_t spare_cell_count;
    weir__node *spare_nodes[2]; /* leaves, inner nodes */
    size_t spare_node_count;
    size_t node_count;
    uint64_t bytes; /* allocated for nodes and items */
} weir__heap;

typedef struct weir__tree {
    weir__node *root; /* NULL: empty */
    uint64_t count;   /* items */
    uint64_t bytes;   /* of their keys and values */
} weir__tree;

static inline weir_slice weir__item_key(const weir__item *item)
{
    return weir_slice_of(item->bytes, item->key_size);
}

static inline weir_slice weir__item_value(const weir__item *item)
{
    return weir_slice_of(item->bytes + item->key_size, item->value_size);
}

void weir__heap_init(weir__heap *heap);
/* After all trees are freed. */
void weir__heap_release(weir__heap *heap);

/* A batch: begin, changes, then commit, or abort and, for each changed tree, undo. */
void weir__batch_begin(weir__heap *heap);
void weir__batch_commit(weir__heap *heap);
void weir__batch_abort(weir__heap *heap);
void weir__batch_undo(weir__heap *heap, weir__tree *tree, const weir__tree *before);

/* Inside a batch. WEIR_OK or WEIR_NO_MEMORY; after that the batch must be undone. */
weir_status weir__tree_put(weir__heap *heap, weir__tree *tree, weir_slice key, weir_slice value);
weir_status weir__tree_delete(weir__heap *heap, weir__tree *tree, weir_slice key);

/* The item of a key, or NULL. */
weir__item *weir__tree_find(const weir__node *root, weir_slice key);
/* Frees all of a tree that no snapshot sees. */
void weir__tree_free(weir__heap *heap, weir__node *root);

/* Ends the life of a pin that the caller took by ++item->pins. */
void weir__item_unpin(weir__heap *heap, weir__item *item);

/* Begins to keep alive all that the trees hold now, or, with `like`, all that it keeps. */
void weir__epoch_open(weir__heap *heap, weir__epoch *epoch, weir__epoch *like);
void weir__epoch_close(weir__heap *heap, weir__epoch *epoch);

/* A position in a tree that does not change (an epoch keeps its root). */
typedef struct weir__cursor {
    const weir__node *root;
    const weir__node *path[WEIR__TREE_MAX_HEIGHT];
    uint16_t index[WEIR__TREE_MAX_HEIGHT];
    int depth; /* of the leaf in path; -1: at no item */
} weir__cursor;

void weir__cursor_init(weir__cursor *cursor, const weir__node *root);
/* The item at the cursor, or NULL. */
const weir__item *weir__cursor_item(const weir__cursor *cursor);
void weir__cursor_first(weir__cursor *cursor);
void weir__cursor_last(weir__cursor *cursor);
void weir__cursor_next(weir__cursor *cursor);
void weir__cursor_previous(weir__cursor *cursor);
/* To the first item ≥ key; to the last item < key. */
void weir__cursor_at_or_after(weir__cursor *cursor, weir_slice key);
void weir__cursor_before(weir__cursor *cursor, weir_slice key);

#endif
