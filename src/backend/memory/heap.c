/*
 * The life of nodes and items: making, taking out, and freeing them when no snapshot can
 * see them any more. See tree.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/memory/heap.h"

#include <stdlib.h>
#include <string.h>

/* What one change of a tree can take out, with room to spare: at each level a node, its
 * neighbour and a separator. */
#define RETIRED_PER_CHANGE (3 * (size_t)WEIR__TREE_MAX_HEIGHT + 2)

struct weir__cell {
    weir__object object;
    weir__cell *next;
};

/* ------------------------------------------------------------------ objects */

static uint64_t birth_of(weir__object object)
{
    return object.is_node ? ((const weir__node *)object.pointer)->birth
                          : ((const weir__item *)object.pointer)->birth;
}

static size_t node_size(unsigned level)
{
    return sizeof(weir__node) + (level > 0 ? WEIR__NODE_MAX * sizeof(weir__node *) : 0);
}

static size_t item_size(const weir__item *item)
{
    return offsetof(weir__item, bytes) + item->key_size + item->value_room;
}

/* What malloc gives anyway for so many bytes: multiples of 16, less a header of 8. */
static size_t rounded(size_t size)
{
    return ((size + 8 + 15) & ~(size_t)15) - 8;
}

weir__node *weir__node_new(weir__heap *heap, unsigned level)
{
    weir__node **spare = &heap->spare_nodes[level > 0];
    weir__node *node = *spare;
    if (node != NULL) {
        *spare = (weir__node *)node->keys[0];
        heap->spare_node_count--;
    } else {
        node = malloc(node_size(level));
        if (node == NULL)
            return NULL;
        heap->bytes += node_size(level);
    }
    heap->node_count++;
    node->birth = heap->batch;
    node->count = 0;
    node->level = (uint8_t)level;
    node->skip = 0;
    return node;
}

void weir__node_free(weir__heap *heap, weir__node *node)
{
    heap->node_count--;
    /* A batch frees about as many nodes as the next one makes. */
    if (heap->spare_node_count <= heap->node_count + 64) {
        weir__node **spare = &heap->spare_nodes[node->level > 0];
        node->keys[0] = (weir__item *)*spare;
        *spare = node;
        heap->spare_node_count++;
        return;
    }
    heap->bytes -= node_size(node->level);
    free(node);
}

weir__item *weir__item_new(weir__heap *heap, weir_slice key, weir_slice value)
{
    const size_t size = rounded(offsetof(weir__item, bytes) + key.size + value.size);
    weir__item *item = malloc(size);
    if (item == NULL)
        return NULL;
    item->birth = heap->batch;
    item->pins = 0;
    item->dead = false;
    item->key_size = (uint32_t)key.size;
    item->value_size = (uint32_t)value.size;
    item->value_room = (uint32_t)(size - offsetof(weir__item, bytes) - key.size);
    if (key.size > 0)
        memcpy(item->bytes, key.data, key.size);
    if (value.size > 0)
        memcpy(item->bytes + key.size, value.data, value.size);
    heap->bytes += item_size(item);
    return item;
}

void weir__item_free(weir__heap *heap, weir__item *item)
{
    if (item->pins > 0) {
        item->dead = true;
        return;
    }
    heap->bytes -= item_size(item);
    free(item);
}

void weir__item_unpin(weir__heap *heap, weir__item *item)
{
    item->pins--;
    if (item->pins == 0 && item->dead)
        weir__item_free(heap, item);
}

static void object_free(weir__heap *heap, weir__object object)
{
    if (object.is_node)
        weir__node_free(heap, object.pointer);
    else
        weir__item_free(heap, object.pointer);
}

/* ------------------------------------------------------------------ retiring */

bool weir__heap_reserve(weir__heap *heap)
{
    if (heap->retired_count + RETIRED_PER_CHANGE > heap->retired_capacity) {
        size_t capacity = heap->retired_capacity * 2 + RETIRED_PER_CHANGE;
        weir__object *retired = realloc(heap->retired, capacity * sizeof *retired);
        if (retired == NULL)
            return false;
        heap->retired = retired;
        heap->retired_capacity = capacity;
    }
    while (heap->newest != NULL && heap->spare_cell_count < RETIRED_PER_CHANGE) {
        weir__cell *cell = malloc(sizeof *cell);
        if (cell == NULL)
            return false;
        cell->next = heap->spare_cells;
        heap->spare_cells = cell;
        heap->spare_cell_count++;
    }
    return true;
}

static void retire(weir__heap *heap, weir__object object)
{
    uint64_t birth = birth_of(object);
    if (birth == heap->batch) {
        object_free(heap, object);
    } else if (heap->newest != NULL && heap->newest->batch >= birth) {
        weir__cell *cell = heap->spare_cells;
        heap->spare_cells = cell->next;
        heap->spare_cell_count--;
        cell->object = object;
        cell->next = heap->batch_waiting;
        heap->batch_waiting = cell;
    } else {
        heap->retired[heap->retired_count++] = object;
    }
}

void weir__heap_retire_node(weir__heap *heap, weir__node *node)
{
    retire(heap, (weir__object){node, true});
}

void weir__heap_retire_item(weir__heap *heap, weir__item *item)
{
    retire(heap, (weir__object){item, false});
}

/* ------------------------------------------------------------ changes in place */

/* Longer values are not worth a copy of the old one. */
#define IN_PLACE_MAX 256

static bool seen_by_snapshot(const weir__heap *heap, const weir__item *item)
{
    return heap->newest != NULL && heap->newest->batch >= item->birth;
}

static bool reserve_undo(weir__heap *heap)
{
    if (heap->undo_count == heap->undo_capacity) {
        size_t capacity = heap->undo_capacity * 2 + 64;
        weir__undo *undo = realloc(heap->undo, capacity * sizeof *undo);
        if (undo == NULL)
            return false;
        heap->undo = undo;
        heap->undo_capacity = capacity;
    }
    if (heap->undo_size + IN_PLACE_MAX > heap->undo_bytes_capacity) {
        size_t capacity = heap->undo_bytes_capacity * 2 + (size_t)16 * IN_PLACE_MAX;
        uint8_t *bytes = realloc(heap->undo_bytes, capacity);
        if (bytes == NULL)
            return false;
        heap->undo_bytes = bytes;
        heap->undo_bytes_capacity = capacity;
    }
    return true;
}

bool weir__item_change(weir__heap *heap, weir__item *item, weir_slice value)
{
    if (value.size > item->value_room || value.size > IN_PLACE_MAX ||
        item->value_size > IN_PLACE_MAX || item->pins > 0 || seen_by_snapshot(heap, item))
        return false;
    uint8_t *bytes = item->bytes + item->key_size;
    /* What this batch made goes away with it if it fails. */
    if (item->birth != heap->batch) {
        if (!reserve_undo(heap))
            return false;
        heap->undo[heap->undo_count++] = (weir__undo){item, heap->undo_size, item->value_size};
        memcpy(heap->undo_bytes + heap->undo_size, bytes, item->value_size);
        heap->undo_size += item->value_size;
    }
    if (value.size > 0)
        memcpy(bytes, value.data, value.size);
    item->value_size = (uint32_t)value.size;
    return true;
}

/* The last change first: an item may have been changed twice. */
static void change_back(weir__heap *heap)
{
    while (heap->undo_count > 0) {
        const weir__undo *undo = &heap->undo[--heap->undo_count];
        memcpy(undo->item->bytes + undo->item->key_size, heap->undo_bytes + undo->offset,
               undo->size);
        undo->item->value_size = undo->size;
    }
    heap->undo_size = 0;
}

/* ------------------------------------------------------------------- batches */

static void cell_to_spares(weir__heap *heap, weir__cell *cell)
{
    if (heap->spare_cell_count >= 4 * RETIRED_PER_CHANGE) {
        free(cell);
        return;
    }
    cell->next = heap->spare_cells;
    heap->spare_cells = cell;
    heap->spare_cell_count++;
}

void weir__batch_begin(weir__heap *heap)
{
    heap->batch++;
}

void weir__batch_commit(weir__heap *heap)
{
    for (size_t i = 0; i < heap->retired_count; i++)
        object_free(heap, heap->retired[i]);
    heap->retired_count = 0;
    heap->undo_count = 0;
    heap->undo_size = 0;
    while (heap->batch_waiting != NULL) {
        weir__cell *cell = heap->batch_waiting;
        heap->batch_waiting = cell->next;
        cell->next = heap->newest->waiting;
        heap->newest->waiting = cell;
    }
}

/* Frees what this batch made below `node`: only below new nodes there are new ones. */
static void free_new(weir__heap *heap, weir__node *node)
{
    if (node->birth != heap->batch)
        return;
    for (size_t i = weir__node_first(node); i < node->count; i++)
        if (node->keys[i]->birth == heap->batch)
            weir__item_free(heap, node->keys[i]);
    for (size_t i = 0; node->level > 0 && i < node->count; i++)
        free_new(heap, node->children[i]);
    weir__node_free(heap, node);
}

void weir__batch_undo(weir__heap *heap, weir__tree *tree, const weir__tree *before)
{
    if (tree->root != NULL)
        free_new(heap, tree->root);
    *tree = *before;
}

void weir__batch_abort(weir__heap *heap)
{
    change_back(heap);
    heap->retired_count = 0;
    while (heap->batch_waiting != NULL) {
        weir__cell *cell = heap->batch_waiting;
        heap->batch_waiting = cell->next;
        cell_to_spares(heap, cell);
    }
}

/* -------------------------------------------------------------------- epochs */

void weir__epoch_open(weir__heap *heap, weir__epoch *epoch, weir__epoch *like)
{
    epoch->waiting = NULL;
    if (like == NULL) {
        epoch->batch = heap->batch;
        epoch->older = heap->newest;
        epoch->newer = NULL;
        heap->newest = epoch;
    } else {
        epoch->batch = like->batch;
        epoch->older = like->older;
        epoch->newer = like;
        like->older = epoch;
    }
    if (epoch->older != NULL)
        epoch->older->newer = epoch;
}

void weir__epoch_close(weir__heap *heap, weir__epoch *epoch)
{
    weir__epoch *older = epoch->older;
    if (older != NULL)
        older->newer = epoch->newer;
    if (epoch->newer != NULL)
        epoch->newer->older = older;
    else
        heap->newest = older;
    while (epoch->waiting != NULL) {
        weir__cell *cell = epoch->waiting;
        epoch->waiting = cell->next;
        if (older != NULL && older->batch >= birth_of(cell->object)) {
            cell->next = older->waiting;
            older->waiting = cell;
        } else {
            object_free(heap, cell->object);
            cell_to_spares(heap, cell);
        }
    }
}

/* ---------------------------------------------------------------------- heap */

void weir__heap_init(weir__heap *heap)
{
    memset(heap, 0, sizeof *heap);
}

void weir__heap_release(weir__heap *heap)
{
    for (size_t i = 0; i < 2; i++) {
        while (heap->spare_nodes[i] != NULL) {
            weir__node *node = heap->spare_nodes[i];
            heap->spare_nodes[i] = (weir__node *)node->keys[0];
            free(node);
        }
    }
    while (heap->spare_cells != NULL) {
        weir__cell *cell = heap->spare_cells;
        heap->spare_cells = cell->next;
        free(cell);
    }
    free(heap->retired);
    free(heap->undo);
    free(heap->undo_bytes);
    weir__heap_init(heap);
}
