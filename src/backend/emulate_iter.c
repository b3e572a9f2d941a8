/*
 * Iterators with bounds, in both directions and with seek, over a backend that may lack each
 * of these.
 *
 * A *source* reads the inner iterator in a direction that it knows and drops what is out of
 * bounds. Where the inner one has no reverse, a *turn* reads the source forward and hands
 * its items out from the end. A range may be larger than memory, so where the source can go
 * back, the turn remembers the first key of each block of the range (a fence) and holds one
 * block: the range is read twice, and memory is one block and the fences. Where it can't go
 * back (neither iter_seek nor snapshots), the whole range is held.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "backend/emulate.h"

#define BLOCK_BYTES ((size_t)256 * 1024)

/* An item in turn.bytes, or a fence in turn.fence_bytes (value_size 0). */
typedef struct piece {
    size_t offset;
    uint32_t key_size;
    uint32_t value_size;
} piece;

typedef struct pieces {
    piece *items;
    size_t count;
    size_t capacity;
} pieces;

typedef struct turn {
    bool is_read; /* the fences are known */
    pieces fences;
    weir__buffer fence_bytes;
    pieces block; /* the items of fences.items[block_index] */
    weir__buffer bytes;
    size_t block_index;
    size_t left; /* items of the block that are still to be handed out */
} turn;

struct weir_backend_iter {
    weir_backend_db *db;
    weir_backend_cf *cf; /* of the table below */
    size_t prefix_size;
    weir__buffer bounds; /* lower, upper: keys of the table below */
    weir_slice lower, upper;
    bool has_lower, has_upper;
    bool reverse; /* what the caller asked for */
    bool turned;  /* the source reads forward nevertheless */
    weir_backend_snapshot *snapshot;
    bool owns_snapshot;
    uint64_t writes_at_open;

    weir_backend_iter *inner;
    weir__buffer target; /* items before it, in the direction of the source, are dropped */
    bool has_target;
    weir__buffer last; /* the last key, kept only when the inner iterator can't seek */
    bool has_last;
    weir__buffer sought; /* the key of a seek, with its prefix */

    turn turn;
};

static weir_status no_memory(const weir_backend_iter *iter, weir_error *err)
{
    return weir__emulation_fail(iter->db, WEIR_NO_MEMORY, "no memory for an iterator", err);
}

static weir_status copy_into(weir__buffer *buffer, weir_slice bytes)
{
    weir__buffer_clear(buffer);
    return weir__buffer_append(buffer, bytes.data, bytes.size);
}

/* --------------------------------------------------------------------- source */

static bool source_is_reverse(const weir_backend_iter *iter)
{
    return iter->reverse && !iter->turned;
}

/* Whether `a` comes before `b` in the direction of the source. */
static bool comes_before(const weir_backend_iter *iter, weir_slice a, weir_slice b)
{
    int order = weir_slice_compare(a, b);
    return source_is_reverse(iter) ? order > 0 : order < 0;
}

static weir_status inner_open(weir_backend_iter *iter, weir_error *err)
{
    const weir_backend_db *db = iter->db;
    weir_backend_iter_args args = {
        .struct_size = sizeof args,
        .lower = iter->lower,
        .upper = iter->upper,
        .has_lower = iter->has_lower,
        .has_upper = iter->has_upper,
        .reverse = source_is_reverse(iter),
        .snapshot = iter->snapshot,
    };
    iter->has_last = false;
    return db->inner->iter_open(db->inner_db, iter->cf, &args, &iter->inner, err);
}

/* A source without bounds but with seek need not read what lies before its range. */
static weir_status seek_to_start(weir_backend_iter *iter, weir_error *err)
{
    const weir_backend_db *db = iter->db;
    if (db->has_bounds || !db->has_seek)
        return WEIR_OK;
    if (source_is_reverse(iter) && iter->has_upper)
        return db->inner->iter_seek(iter->inner, iter->upper, err);
    if (!source_is_reverse(iter) && iter->has_lower)
        return db->inner->iter_seek(iter->inner, iter->lower, err);
    return WEIR_OK;
}

typedef enum side { SIDE_BEFORE, SIDE_INSIDE, SIDE_BEHIND } side;

/* Where a key lies, seen in the direction of the source. */
static side side_of(const weir_backend_iter *iter, weir_slice key)
{
    bool below = iter->has_lower && weir_slice_compare(key, iter->lower) < 0;
    bool above = iter->has_upper && weir_slice_compare(key, iter->upper) >= 0;
    if (!below && !above)
        return SIDE_INSIDE;
    /* An inverted range has keys on both sides; they are behind in either direction. */
    if (below && above)
        return SIDE_BEHIND;
    return below == source_is_reverse(iter) ? SIDE_BEHIND : SIDE_BEFORE;
}

static weir_status source_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                               weir_error *err)
{
    const weir_backend_db *db = iter->db;
    for (;;) {
        weir_status status = db->inner->iter_next(iter->inner, key, value, err);
        if (status != WEIR_OK)
            return status;
        if (!db->has_seek) {
            if (copy_into(&iter->last, *key) != WEIR_OK)
                return no_memory(iter, err);
            iter->has_last = true;
        }
        if (!db->has_bounds) {
            side where = side_of(iter, *key);
            if (where == SIDE_BEFORE)
                continue;
            if (where == SIDE_BEHIND)
                return WEIR_NOT_FOUND;
        }
        if (iter->has_target && comes_before(iter, *key, weir__buffer_slice(&iter->target)))
            continue;
        iter->has_target = false;
        return WEIR_OK;
    }
}

/* Opens the inner iterator again, on the same state. */
static weir_status reopen(weir_backend_iter *iter, weir_error *err)
{
    const weir_backend_db *db = iter->db;
    if (iter->snapshot == NULL && iter->writes_at_open != db->writes)
        return weir__emulation_fail(db, WEIR_UNSUPPORTED,
                                    "the iterator can't go back: the database has changed since, "
                                    "and the backend has neither snapshots nor iter_seek",
                                    err);
    db->inner->iter_close(iter->inner);
    iter->inner = NULL;
    return inner_open(iter, err);
}

/* The next item is the first one not before `target`. */
static weir_status source_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    const weir_backend_db *db = iter->db;
    iter->has_target = false;
    if (db->has_seek) {
        bool outside = side_of(iter, target) == SIDE_BEFORE;
        if (outside && !db->has_bounds)
            return seek_to_start(iter, err);
        return db->inner->iter_seek(iter->inner, target, err);
    }
    if (iter->has_last && !comes_before(iter, weir__buffer_slice(&iter->last), target)) {
        weir_status status = reopen(iter, err);
        if (status != WEIR_OK)
            return status;
    }
    if (copy_into(&iter->target, target) != WEIR_OK)
        return no_memory(iter, err);
    iter->has_target = true;
    return WEIR_OK;
}

/* ----------------------------------------------------------------------- turn */

static bool pieces_push(pieces *list, piece item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 64;
        piece *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

static bool keep(pieces *list, weir__buffer *bytes, weir_slice key, weir_slice value)
{
    piece item = {bytes->size, (uint32_t)key.size, (uint32_t)value.size};
    return weir__buffer_append(bytes, key.data, key.size) == WEIR_OK &&
           weir__buffer_append(bytes, value.data, value.size) == WEIR_OK && pieces_push(list, item);
}

static weir_slice piece_key(const weir__buffer *bytes, const piece *item)
{
    return weir_slice_of(bytes->data + item->offset, item->key_size);
}

static void block_clear(turn *t)
{
    t->block.count = 0;
    t->left = 0;
    weir__buffer_clear(&t->bytes);
}

/* Reads the range once, keeping its fences and its last block. */
static weir_status turn_read(weir_backend_iter *iter, weir_error *err)
{
    turn *t = &iter->turn;
    const bool can_go_back = iter->db->has_seek || iter->snapshot != NULL;
    weir_slice key;
    weir_slice value;
    weir_status status;
    while ((status = source_next(iter, &key, &value, err)) == WEIR_OK) {
        if (t->fences.count == 0 || (can_go_back && t->bytes.size >= BLOCK_BYTES)) {
            block_clear(t);
            if (!keep(&t->fences, &t->fence_bytes, key, weir_slice_of("", 0)))
                return no_memory(iter, err);
        }
        if (!keep(&t->block, &t->bytes, key, value))
            return no_memory(iter, err);
    }
    if (status != WEIR_NOT_FOUND)
        return status;
    t->is_read = true;
    t->block_index = t->fences.count > 0 ? t->fences.count - 1 : 0;
    t->left = t->block.count;
    return WEIR_OK;
}

/* Reads the items from one fence to the next. */
static weir_status turn_load(weir_backend_iter *iter, size_t index, weir_error *err)
{
    turn *t = &iter->turn;
    weir_slice key;
    weir_slice value;
    block_clear(t);
    weir_status status =
        source_seek(iter, piece_key(&t->fence_bytes, &t->fences.items[index]), err);
    while (status == WEIR_OK) {
        status = source_next(iter, &key, &value, err);
        if (status != WEIR_OK)
            break;
        if (index + 1 < t->fences.count &&
            weir_slice_compare(key, piece_key(&t->fence_bytes, &t->fences.items[index + 1])) >= 0)
            break;
        if (!keep(&t->block, &t->bytes, key, value))
            status = no_memory(iter, err);
    }
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        return status;
    t->block_index = index;
    t->left = t->block.count;
    return WEIR_OK;
}

static weir_status turn_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                             weir_error *err)
{
    turn *t = &iter->turn;
    weir_status status = t->is_read ? WEIR_OK : turn_read(iter, err);
    while (status == WEIR_OK && t->left == 0) {
        if (t->block_index == 0)
            return WEIR_NOT_FOUND;
        status = turn_load(iter, t->block_index - 1, err);
    }
    if (status != WEIR_OK)
        return status;
    const piece *item = &t->block.items[--t->left];
    *key = piece_key(&t->bytes, item);
    *value = weir_slice_of(t->bytes.data + item->offset + item->key_size, item->value_size);
    return WEIR_OK;
}

/* How many of the pieces have a key ≤ target. */
static size_t count_up_to(const pieces *list, const weir__buffer *bytes, weir_slice target)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (weir_slice_compare(piece_key(bytes, &list->items[middle]), target) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static weir_status turn_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    turn *t = &iter->turn;
    weir_status status = t->is_read ? WEIR_OK : turn_read(iter, err);
    if (status != WEIR_OK || t->fences.count == 0)
        return status;
    size_t fences = count_up_to(&t->fences, &t->fence_bytes, target);
    size_t index = fences > 0 ? fences - 1 : 0;
    if (index != t->block_index)
        status = turn_load(iter, index, err);
    if (status == WEIR_OK)
        t->left = count_up_to(&t->block, &t->bytes, target);
    return status;
}

static void turn_release(turn *t)
{
    free(t->fences.items);
    free(t->block.items);
    weir__buffer_release(&t->fence_bytes);
    weir__buffer_release(&t->bytes);
}

/* ------------------------------------------------------------------ the methods */

/* The range of the caller in keys of the table below. */
static weir_status set_bounds(weir_backend_iter *iter, const weir_backend_cf *cf,
                              const weir_backend_iter_args *args)
{
    if (iter->db->has_families) {
        iter->lower = args->lower;
        iter->upper = args->upper;
        iter->has_lower = args->has_lower;
        iter->has_upper = args->has_upper;
        return WEIR_OK;
    }
    const uint32_t next = cf->number + 1u;
    const uint8_t end[WEIR__CF_PREFIX_SIZE] = {(uint8_t)(next >> 8), (uint8_t)next};
    weir_slice lower = args->has_lower ? args->lower : weir_slice_of("", 0);
    weir_slice upper = args->has_upper ? args->upper : weir_slice_of("", 0);
    weir_status status = weir__buffer_append(&iter->bounds, cf->prefix, sizeof cf->prefix);
    if (status == WEIR_OK)
        status = weir__buffer_append(&iter->bounds, lower.data, lower.size);
    if (status == WEIR_OK)
        status = weir__buffer_append(&iter->bounds, args->has_upper ? cf->prefix : end,
                                     WEIR__CF_PREFIX_SIZE);
    if (status == WEIR_OK)
        status = weir__buffer_append(&iter->bounds, upper.data, upper.size);
    if (status != WEIR_OK)
        return status;
    size_t lower_size = WEIR__CF_PREFIX_SIZE + lower.size;
    iter->lower = weir_slice_of(iter->bounds.data, lower_size);
    iter->upper = weir_slice_of(iter->bounds.data + lower_size, WEIR__CF_PREFIX_SIZE + upper.size);
    iter->has_lower = true;
    iter->has_upper = true;
    return WEIR_OK;
}

weir_status weir__emulate_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err)
{
    *iter = NULL;
    weir_backend_iter *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for an iterator", err);
    made->db = db;
    made->cf = db->has_families ? cf : db->inner_cf;
    made->prefix_size = db->has_families ? 0 : WEIR__CF_PREFIX_SIZE;
    made->reverse = args->reverse;
    made->turned = args->reverse && !db->has_reverse;
    made->snapshot = args->snapshot;
    made->writes_at_open = db->writes;
    weir_status status = set_bounds(made, cf, args);
    if (status != WEIR_OK)
        no_memory(made, err);
    /* Going back means opening anew, and that needs a state to open on. */
    if (status == WEIR_OK && !db->has_seek && db->has_snapshots && made->snapshot == NULL) {
        status = db->inner->snapshot_open(db->inner_db, &made->snapshot, err);
        made->owns_snapshot = status == WEIR_OK;
    }
    if (status == WEIR_OK)
        status = inner_open(made, err);
    if (status == WEIR_OK)
        status = seek_to_start(made, err);
    if (status != WEIR_OK)
        weir__emulate_iter_close(made);
    else
        *iter = made;
    return status;
}

weir_status weir__emulate_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err)
{
    weir_status status = WEIR_NOT_FOUND;
    if (iter->inner != NULL)
        status =
            iter->turned ? turn_next(iter, key, value, err) : source_next(iter, key, value, err);
    if (status == WEIR_OK) {
        *key = weir_slice_of((const uint8_t *)key->data + iter->prefix_size,
                             key->size - iter->prefix_size);
        return WEIR_OK;
    }
    *key = weir_slice_of(NULL, 0);
    *value = weir_slice_of(NULL, 0);
    return status;
}

weir_status weir__emulate_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    weir__buffer_clear(&iter->sought);
    if (weir__buffer_append(&iter->sought, iter->lower.data, iter->prefix_size) != WEIR_OK ||
        weir__buffer_append(&iter->sought, target.data, target.size) != WEIR_OK)
        return no_memory(iter, err);
    weir_slice sought = weir__buffer_slice(&iter->sought);
    return iter->turned ? turn_seek(iter, sought, err) : source_seek(iter, sought, err);
}

void weir__emulate_iter_close(weir_backend_iter *iter)
{
    if (iter == NULL)
        return;
    const weir_backend_db *db = iter->db;
    db->inner->iter_close(iter->inner);
    if (iter->owns_snapshot)
        db->inner->snapshot_close(db->inner_db, iter->snapshot);
    turn_release(&iter->turn);
    weir__buffer_release(&iter->bounds);
    weir__buffer_release(&iter->target);
    weir__buffer_release(&iter->last);
    weir__buffer_release(&iter->sought);
    free(iter);
}
