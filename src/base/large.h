/*
 * Memory for what is large and read at random: tables, arenas, pages of records. From a few MiB
 * on it lies on huge pages, where the system has any to give: a look-up then costs the processor
 * one miss and not two or three more for the address.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_LARGE_H
#define WEIR_BASE_LARGE_H

#include <stdbool.h>
#include <stddef.h>

/* Below this it is memory as any other. */
#define WEIR__LARGE_MIN ((size_t)4 << 20)

/* As malloc and calloc. NULL: no memory. */
void *weir__large_alloc(size_t size);
void *weir__large_alloc_zeroed(size_t size);
/* size: that of the alloc. NULL is allowed. */
void weir__large_free(void *memory, size_t size);
/* Gives the bytes of a piece of at least WEIR__LARGE_MIN, or of a part of it in whole pages, back
 * to the system. They may be used on, and are undefined. */
void weir__large_discard(void *memory, size_t size);

#endif
