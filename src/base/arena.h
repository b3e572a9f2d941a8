/*
 * An arena: memory handed out in pieces and taken back all at once. Chunks are
 * kept by reset, so a warm arena does not allocate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <weir/base.h>

typedef struct weir__arena_chunk weir__arena_chunk;

typedef struct weir__arena {
    weir__arena_chunk *first;
    weir__arena_chunk *current;
    size_t used;     /* bytes handed out since the last reset */
    size_t reserved; /* bytes of all chunks */
} weir__arena;

void weir__arena_init(weir__arena *arena);
void weir__arena_release(weir__arena *arena);
/* Takes everything back. Keeps at most keep_bytes of chunks. */
void weir__arena_reset(weir__arena *arena, size_t keep_bytes);
/* 16-byte aligned; NULL when memory is out. size 0 gives a valid pointer. */
void *weir__arena_alloc(weir__arena *arena, size_t size);
/* A copy of the bytes with a NUL behind them. */
char *weir__arena_copy(weir__arena *arena, const void *data, size_t size);

#endif
