/*
 * An arena: memory handed out in pieces and taken back all at once.
 *
 * Chunks form a list in the order in which they were filled; only the last one has room. A reset
 * after growth replaces them by one chunk as large as all of them, so that the next round of the
 * same size fits into it and allocates nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

#include "base/large.h"

#define ALIGNMENT          ((size_t)16)
#define FIRST_CHUNK        ((size_t)4096)
#define LARGEST_GROWN_SIZE ((size_t)1 << 20)

struct weir__arena_chunk {
    weir__arena_chunk *next;
    size_t capacity;
    size_t used;
    alignas(16) uint8_t bytes[];
};

void weir__arena_init(weir__arena *arena)
{
    *arena = (weir__arena){0};
}

static void free_chunks(weir__arena *arena)
{
    weir__arena_chunk *chunk = arena->first;
    while (chunk) {
        weir__arena_chunk *next = chunk->next;
        weir__large_free(chunk, sizeof(*chunk) + chunk->capacity);
        chunk = next;
    }
    *arena = (weir__arena){0};
}

void weir__arena_release(weir__arena *arena)
{
    free_chunks(arena);
}

/* Puts a chunk of at least `capacity` bytes at the end of the list. False: no memory. */
static bool add_chunk(weir__arena *arena, size_t capacity)
{
    if (capacity > SIZE_MAX / 2)
        return false;
    weir__arena_chunk *chunk = weir__large_alloc(sizeof(*chunk) + capacity);
    if (!chunk)
        return false;
    chunk->next = NULL;
    chunk->capacity = capacity;
    chunk->used = 0;
    if (arena->current)
        arena->current->next = chunk;
    else
        arena->first = chunk;
    arena->current = chunk;
    arena->reserved += capacity;
    return true;
}

void weir__arena_reset(weir__arena *arena, size_t keep_bytes)
{
    size_t target = arena->reserved < keep_bytes ? arena->reserved : keep_bytes;
    bool is_one_chunk = arena->first && !arena->first->next;
    if (is_one_chunk && arena->first->capacity <= keep_bytes) {
        arena->first->used = 0;
        arena->used = 0;
        return;
    }
    free_chunks(arena);
    /* Without memory the arena stays empty, which is only slower. */
    if (target >= FIRST_CHUNK)
        add_chunk(arena, target);
}

void *weir__arena_alloc(weir__arena *arena, size_t size)
{
    if (size > SIZE_MAX / 4)
        return NULL;
    size_t rounded = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    weir__arena_chunk *chunk = arena->current;
    if (!chunk || rounded > chunk->capacity - chunk->used) {
        size_t capacity = chunk ? chunk->capacity * 2 : FIRST_CHUNK;
        size_t largest = arena->reserved / 4;
        if (largest < LARGEST_GROWN_SIZE)
            largest = LARGEST_GROWN_SIZE;
        if (capacity > largest)
            capacity = largest;
        if (!add_chunk(arena, capacity > rounded ? capacity : rounded))
            return NULL;
        chunk = arena->current;
    }
    void *piece = chunk->bytes + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    return piece;
}

char *weir__arena_copy(weir__arena *arena, const void *data, size_t size)
{
    char *copy = size < SIZE_MAX ? weir__arena_alloc(arena, size + 1) : NULL;
    if (!copy)
        return NULL;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}
