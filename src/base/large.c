/*
 * See large.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static size_t mapped_size(size_t size)
{
    return (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

/* A huge page begins at a multiple of its size: one more is mapped, and what is over goes. */
static void *map(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t wanted = mapped_size(size);
    uint8_t *memory =
        mmap(NULL, wanted + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        (void)munmap(memory, before);
    if (before < HUGE_PAGE)
        (void)munmap(memory + before + wanted, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    (void)madvise(memory + before, wanted, MADV_HUGEPAGE); /* without, it is only slower */
#endif
    return memory + before;
}

void *weir__large_alloc(size_t size)
{
    return size < WEIR__LARGE_MIN ? malloc(size) : map(size);
}

void *weir__large_alloc_zeroed(size_t size)
{
    return size < WEIR__LARGE_MIN ? calloc(1, size) : map(size);
}

void weir__large_free(void *memory, size_t size)
{
    if (size < WEIR__LARGE_MIN)
        free(memory);
    else if (memory)
        (void)munmap(memory, mapped_size(size));
}

void weir__large_discard(void *memory, size_t size)
{
    (void)madvise(memory, size, MADV_DONTNEED);
}
