/*
 * The record cache: an open-addressed table over records in pages of one size class
 * each, with CLOCK eviction, under one budget of bytes for the process.
 *
 * The table holds 32 bits of the hash beside a 32-bit reference, so that probing,
 * growing and removing touch no record. A page is 64 KiB of equal slots. The clock
 * goes over pages, and within a page over its slots. A record that is read gets a
 * mark, the clock takes the mark off first and the record the next time.
 *
 * The budget. A cache takes memory by the page while the process has some left, also
 * beyond its fair share (budget / number of caches), so that one busy partition can
 * use what idle ones don't need. Once the budget is used up a cache evicts its own
 * records; one that is below its fair share (a partition that came later) may go on
 * taking pages from a small reserve on top of the budget, and while that reserve is
 * in use each cache above its share gives back a page at each of its puts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/record_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/large.h"

#define PAGE_BYTES    ((size_t)65536)
#define UNIT          ((size_t)16) /* references count in these */
#define UNITS_BITS    12           /* a page has 2^12 units */
#define UNITS_MASK    ((1u << UNITS_BITS) - 1u)
#define SMALL_CLASSES 15u /* 32, 48, … 256 */
#define CLASSES       47u /* … then four for each power of two, to 65,536 */
#define MIN_SLOTS     ((size_t)1024)
#define NO_PAGE       UINT32_MAX
#define BLOCK_PAGES   ((uint32_t)(WEIR__LARGE_MIN / PAGE_BYTES))
#define ABSENT        UINT32_MAX
#define RESERVE_MAX   ((size_t)16 << 20)
#define SWEEP_BATCH   64u
#define SWEEP_PAGES   16u

/* A slot of a page: this header, the key, the value. */
typedef struct record {
    uint32_t tag; /* the low half of the hash, as in the table */
    weir_cf cf;
    uint32_t value_size; /* ABSENT: known not to be there */
    uint16_t key_size;   /* of a free slot: the next free one, as its unit + 1 */
    uint8_t is_live;
    uint8_t is_marked; /* read since the clock passed */
    uint8_t bytes[];
} record;

typedef struct slot {
    uint32_t tag;
    uint32_t ref; /* 0: empty; else 1 + (page << UNITS_BITS | unit) */
} slot;

typedef struct page {
    uint32_t next; /* neighbours in the list of pages of the class that have room */
    uint32_t prev;
    uint16_t live;
    uint16_t scan;      /* the slot at which the clock goes on */
    uint16_t fresh;     /* slots from here on were never used */
    uint16_t free_head; /* first free slot as its unit + 1, 0: none */
    uint8_t size_class;
    bool has_room; /* is in the list */
} page;

struct weir__record_cache {
    slot *slots;
    size_t mask;
    size_t count;
    bool is_whole;
    uint8_t **memory; /* of each page; NULL: a hole */
    uint8_t **blocks; /* memory of BLOCK_PAGES pages each, except for the first; see page_memory */
    page *pages;
    uint32_t page_end;      /* pages and holes */
    uint32_t page_capacity; /* room in memory[] and pages[]; whole blocks */
    uint32_t page_count;
    uint32_t hand;
    uint32_t room[CLASSES];        /* heads of the lists */
    uint32_t class_pages[CLASSES]; /* how many pages each class has */
    size_t bytes;                  /* taken from the budget */
};

static atomic_size_t budget_bytes;
static atomic_size_t budget_used;
static atomic_size_t cache_number;

/* --- The budget --- */

void weir__cache_budget_raise(size_t bytes)
{
    size_t now = atomic_load(&budget_bytes);
    while (now < bytes && !atomic_compare_exchange_weak(&budget_bytes, &now, bytes)) {
    }
}

size_t weir__cache_budget(void)
{
    return atomic_load(&budget_bytes);
}

size_t weir__cache_used(void)
{
    return atomic_load(&budget_used);
}

static size_t fair_share(void)
{
    size_t caches = atomic_load_explicit(&cache_number, memory_order_relaxed);
    return atomic_load_explicit(&budget_bytes, memory_order_relaxed) / (caches ? caches : 1);
}

static bool budget_take(weir__record_cache *cache, size_t bytes)
{
    size_t budget = atomic_load_explicit(&budget_bytes, memory_order_relaxed);
    size_t limit = budget;
    if (cache->bytes + bytes <= fair_share())
        limit += budget / 8 < RESERVE_MAX ? budget / 8 : RESERVE_MAX;
    size_t used = atomic_load_explicit(&budget_used, memory_order_relaxed);
    do {
        if (bytes > limit || used > limit - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&budget_used, &used, used + bytes));
    cache->bytes += bytes;
    return true;
}

/* For the short time in which a smaller table takes the place of a bigger one. */
static void budget_force(weir__record_cache *cache, size_t bytes)
{
    atomic_fetch_add(&budget_used, bytes);
    cache->bytes += bytes;
}

static void budget_give(weir__record_cache *cache, size_t bytes)
{
    atomic_fetch_sub(&budget_used, bytes);
    cache->bytes -= bytes;
}

/* --- Size classes --- */

static uint32_t class_of(size_t size)
{
    if (size <= 32)
        return 0;
    if (size <= 256)
        return (uint32_t)((size + 15) / 16 - 2);
    uint32_t last = (uint32_t)size - 1;
    uint32_t exponent = 31u - (uint32_t)__builtin_clz(last);
    uint32_t quarter = (last >> (exponent - 2)) & 3u;
    return SMALL_CLASSES + (exponent - 8) * 4 + quarter;
}

static size_t class_size(uint32_t size_class)
{
    if (size_class < SMALL_CLASSES)
        return (size_t)(size_class + 2) * 16;
    uint32_t step = size_class - SMALL_CLASSES;
    return (size_t)(5 + step % 4) << (6 + step / 4);
}

static record *record_at(const weir__record_cache *cache, uint32_t ref)
{
    return (record *)(void *)(cache->memory[(ref - 1) >> UNITS_BITS] +
                              ((ref - 1) & UNITS_MASK) * UNIT);
}

/* --- The table --- */

static bool table_resize(weir__record_cache *cache, size_t slots)
{
    size_t old = cache->slots ? cache->mask + 1 : 0;
    if (slots < old)
        budget_force(cache, slots * sizeof(slot));
    else if (!budget_take(cache, slots * sizeof(slot)))
        return false;
    slot *table = weir__large_alloc_zeroed(slots * sizeof *table);
    if (!table) {
        budget_give(cache, slots * sizeof(slot));
        return false;
    }
    size_t mask = slots - 1;
    if (cache->slots) {
        for (size_t i = 0; i < old; i++) {
            if (!cache->slots[i].ref)
                continue;
            size_t at = cache->slots[i].tag & mask;
            while (table[at].ref)
                at = (at + 1) & mask;
            table[at] = cache->slots[i];
        }
        weir__large_free(cache->slots, old * sizeof(slot));
        budget_give(cache, old * sizeof(slot));
    }
    cache->slots = table;
    cache->mask = mask;
    return true;
}

static slot *table_find(const weir__record_cache *cache, weir_cf cf, weir_slice key, uint64_t hash)
{
    if (!cache->slots)
        return NULL;
    uint32_t tag = (uint32_t)hash;
    for (size_t at = tag & cache->mask; cache->slots[at].ref; at = (at + 1) & cache->mask) {
        if (cache->slots[at].tag != tag)
            continue;
        const record *rec = record_at(cache, cache->slots[at].ref);
        if (rec->key_size == key.size && rec->cf == cf &&
            weir__key_equal(rec->bytes, key.data, key.size))
            return &cache->slots[at];
    }
    return NULL;
}

/* Takes a slot out and moves those behind it up, so that no probe ends too early. */
static void table_remove(weir__record_cache *cache, size_t hole)
{
    size_t at = hole;
    for (;;) {
        at = (at + 1) & cache->mask;
        if (!cache->slots[at].ref)
            break;
        size_t home = cache->slots[at].tag & cache->mask;
        if (((at - home) & cache->mask) >= ((at - hole) & cache->mask)) {
            cache->slots[hole] = cache->slots[at];
            hole = at;
        }
    }
    cache->slots[hole].ref = 0;
    cache->count--;
}

/* --- Pages --- */

static void room_add(weir__record_cache *cache, uint32_t number)
{
    page *p = &cache->pages[number];
    if (p->has_room)
        return;
    p->has_room = true;
    p->prev = NO_PAGE;
    p->next = cache->room[p->size_class];
    if (p->next != NO_PAGE)
        cache->pages[p->next].prev = number;
    cache->room[p->size_class] = number;
}

static void room_remove(weir__record_cache *cache, uint32_t number)
{
    page *p = &cache->pages[number];
    if (!p->has_room)
        return;
    p->has_room = false;
    if (p->prev != NO_PAGE)
        cache->pages[p->prev].next = p->next;
    else
        cache->room[p->size_class] = p->next;
    if (p->next != NO_PAGE)
        cache->pages[p->next].prev = p->prev;
}

/* Makes an empty page one of the class. */
static void page_assign(weir__record_cache *cache, uint32_t number, uint32_t size_class)
{
    page *p = &cache->pages[number];
    *p = (page){.size_class = (uint8_t)size_class, .next = NO_PAGE, .prev = NO_PAGE};
    cache->class_pages[size_class]++;
    room_add(cache, number);
}

static void page_unassign(weir__record_cache *cache, uint32_t number)
{
    room_remove(cache, number);
    cache->class_pages[cache->pages[number].size_class]--;
}

/*
 * The first pages are pieces of their own, so that a small cache takes no more than it is accounted
 * for. The others are parts of blocks, which are large enough for huge pages.
 */
static uint8_t *page_memory(weir__record_cache *cache, uint32_t number)
{
    uint8_t **block = &cache->blocks[number / BLOCK_PAGES];
    if (number < BLOCK_PAGES)
        return malloc(PAGE_BYTES);
    if (!*block)
        *block = weir__large_alloc(BLOCK_PAGES * PAGE_BYTES);
    return *block ? *block + number % BLOCK_PAGES * PAGE_BYTES : NULL;
}

static void page_memory_free(weir__record_cache *cache, uint32_t number)
{
    uint32_t begin = number - number % BLOCK_PAGES;
    uint8_t *memory = cache->memory[number];
    cache->memory[number] = NULL;
    if (number < BLOCK_PAGES) {
        free(memory);
        return;
    }
    for (uint32_t i = begin; i < begin + BLOCK_PAGES && i < cache->page_end; i++) {
        if (cache->memory[i]) {
            weir__large_discard(memory, PAGE_BYTES);
            return;
        }
    }
    weir__large_free(cache->blocks[begin / BLOCK_PAGES], BLOCK_PAGES * PAGE_BYTES);
    cache->blocks[begin / BLOCK_PAGES] = NULL;
}

static bool page_numbers_grow(weir__record_cache *cache)
{
    uint32_t capacity = cache->page_capacity ? cache->page_capacity * 2 : BLOCK_PAGES;
    uint32_t block_end = cache->page_capacity / BLOCK_PAGES;
    if (capacity > UINT32_MAX >> UNITS_BITS)
        return false;
    uint8_t **blocks = realloc(cache->blocks, capacity / BLOCK_PAGES * sizeof *blocks);
    if (!blocks)
        return false;
    memset(blocks + block_end, 0, (capacity / BLOCK_PAGES - block_end) * sizeof *blocks);
    cache->blocks = blocks;
    uint8_t **memory = realloc(cache->memory, capacity * sizeof *memory);
    if (!memory)
        return false;
    cache->memory = memory;
    page *pages = realloc(cache->pages, capacity * sizeof *pages);
    if (!pages)
        return false;
    cache->pages = pages;
    cache->page_capacity = capacity;
    return true;
}

static bool page_new(weir__record_cache *cache, uint32_t size_class)
{
    uint32_t number = cache->page_end;
    if (cache->page_count < cache->page_end) {
        for (number = 0; cache->memory[number]; number++) {
        }
    }
    if (number == cache->page_capacity && !page_numbers_grow(cache))
        return false;
    if (!budget_take(cache, PAGE_BYTES))
        return false;
    uint8_t *memory = page_memory(cache, number);
    if (!memory) {
        budget_give(cache, PAGE_BYTES);
        return false;
    }
    cache->memory[number] = memory;
    if (number == cache->page_end)
        cache->page_end++;
    cache->page_count++;
    page_assign(cache, number, size_class);
    return true;
}

static void slot_free(weir__record_cache *cache, uint32_t ref)
{
    uint32_t number = (ref - 1) >> UNITS_BITS;
    page *p = &cache->pages[number];
    record *rec = record_at(cache, ref);
    rec->is_live = 0;
    rec->key_size = p->free_head;
    p->free_head = (uint16_t)(((ref - 1) & UNITS_MASK) + 1);
    p->live--;
    room_add(cache, number);
}

/* Takes a free slot of a page that has room; returns its reference. */
static uint32_t slot_take(weir__record_cache *cache, uint32_t size_class)
{
    uint32_t number = cache->room[size_class];
    page *p = &cache->pages[number];
    size_t size = class_size(size_class);
    uint32_t unit;
    if (p->free_head) {
        unit = p->free_head - 1u;
        p->free_head = record_at(cache, 1 + (number << UNITS_BITS | unit))->key_size;
    } else {
        unit = (uint32_t)(p->fresh * size / UNIT);
        p->fresh++;
    }
    p->live++;
    if (!p->free_head && (p->fresh + 1u) * size > PAGE_BYTES)
        room_remove(cache, number);
    return 1 + (number << UNITS_BITS | unit);
}

/* --- Eviction --- */

static void evict(weir__record_cache *cache, uint32_t ref)
{
    size_t at = record_at(cache, ref)->tag & cache->mask;
    while (cache->slots[at].ref != ref)
        at = (at + 1) & cache->mask;
    table_remove(cache, at);
    slot_free(cache, ref);
    cache->is_whole = false;
}

/*
 * Moves the clock over a page, from where it stood, until `max` records are out or the
 * page ends; true at its end. With force also marked records go. The victims are
 * collected first, so that their places in the table are on the way to the processor.
 */
static bool sweep(weir__record_cache *cache, uint32_t number, size_t max, bool force)
{
    page *p = &cache->pages[number];
    size_t units = class_size(p->size_class) / UNIT;
    while (max > 0) {
        uint32_t victims[SWEEP_BATCH];
        size_t batch = max < SWEEP_BATCH ? max : SWEEP_BATCH;
        size_t found = 0;
        for (; p->scan < p->fresh && found < batch; p->scan++) {
            uint32_t ref = 1 + (number << UNITS_BITS | (uint32_t)(p->scan * units));
            record *rec = record_at(cache, ref);
            if (!rec->is_live)
                continue;
            if (rec->is_marked && !force) {
                rec->is_marked = 0;
                continue;
            }
            __builtin_prefetch(&cache->slots[rec->tag & cache->mask]);
            victims[found++] = ref;
        }
        for (size_t i = 0; i < found; i++)
            evict(cache, victims[i]);
        max -= found;
        if (p->scan >= p->fresh) {
            p->scan = 0;
            return true;
        }
    }
    return false;
}

static void hand_forward(weir__record_cache *cache)
{
    cache->hand++;
    if (cache->hand >= cache->page_end)
        cache->hand = 0;
}

/* The page under the hand; the cache has one. */
static uint32_t hand_page(weir__record_cache *cache)
{
    if (cache->hand >= cache->page_end)
        cache->hand = 0;
    while (!cache->memory[cache->hand])
        hand_forward(cache);
    return cache->hand;
}

static void page_empty(weir__record_cache *cache, uint32_t number)
{
    cache->pages[number].scan = 0;
    sweep(cache, number, SIZE_MAX, true);
}

/*
 * Makes room for a record of the class without new memory. Cold records of all classes
 * on the way of the hand go, for their own class has use for their slots. When the
 * class gets none of them within a few pages, the emptiest page met changes class, so
 * that pages follow the sizes of the records as these change.
 */
static bool make_room(weir__record_cache *cache, uint32_t size_class)
{
    if (cache->page_count == 0)
        return false;
    uint32_t own = cache->class_pages[size_class];
    uint32_t limit = own ? 4 + 2 * (cache->page_count / own) : 4;
    limit = limit < SWEEP_PAGES ? limit : SWEEP_PAGES;
    uint32_t best = NO_PAGE;
    size_t best_bytes = SIZE_MAX;
    for (uint32_t visited = 0; visited < limit; visited++) {
        uint32_t number = hand_page(cache);
        bool is_own = cache->pages[number].size_class == size_class;
        if (sweep(cache, number, is_own ? SWEEP_BATCH : SIZE_MAX, false))
            hand_forward(cache);
        if (cache->room[size_class] != NO_PAGE)
            return true;
        if (is_own)
            continue;
        size_t live = cache->pages[number].live * class_size(cache->pages[number].size_class);
        if (live < best_bytes) {
            best_bytes = live;
            best = number;
        }
        if (live == 0)
            break;
    }
    if (best == NO_PAGE) { /* nothing but marked records of its own class */
        if (sweep(cache, hand_page(cache), SWEEP_BATCH, true))
            hand_forward(cache);
        return cache->room[size_class] != NO_PAGE;
    }
    page_empty(cache, best);
    page_unassign(cache, best);
    page_assign(cache, best, size_class);
    return true;
}

static void page_release(weir__record_cache *cache)
{
    uint32_t number = hand_page(cache);
    page_empty(cache, number);
    page_unassign(cache, number);
    page_memory_free(cache, number);
    cache->page_count--;
    budget_give(cache, PAGE_BYTES);
    hand_forward(cache);
}

/* Gives back a page while the process is over its budget and this cache above its share. */
static void shrink_if_due(weir__record_cache *cache)
{
    size_t budget = atomic_load_explicit(&budget_bytes, memory_order_relaxed);
    if (atomic_load_explicit(&budget_used, memory_order_relaxed) <= budget ||
        cache->bytes <= fair_share())
        return;
    if (cache->page_count > 0)
        page_release(cache);
    if (cache->mask + 1 > MIN_SLOTS && cache->count < (cache->mask + 1) / 8)
        table_resize(cache, (cache->mask + 1) / 4);
}

/*
 * Room in the table for one more. When the budget is used up, pages make way for a
 * bigger table as long as that leaves most of the memory to records; else records go.
 */
static bool table_room(weir__record_cache *cache)
{
    size_t slots = cache->slots ? cache->mask + 1 : 0;
    if ((cache->count + 1) * 4 <= slots * 3)
        return true;
    size_t wanted = slots ? slots * 2 : MIN_SLOTS;
    if (table_resize(cache, wanted))
        return true;
    while (wanted * sizeof(slot) <= cache->bytes / 3 && cache->page_count > 1) {
        page_release(cache);
        if (table_resize(cache, wanted))
            return true;
    }
    for (uint32_t visited = 0; visited < SWEEP_PAGES && cache->page_count > 0; visited++) {
        if ((cache->count + 1) * 4 <= slots * 3)
            return true;
        if (sweep(cache, hand_page(cache), SWEEP_BATCH, visited + 1 == SWEEP_PAGES))
            hand_forward(cache);
    }
    return (cache->count + 1) * 4 <= slots * 3;
}

/* --- The interface --- */

uint64_t weir__record_hash(weir_cf cf, weir_slice key)
{
    return XXH3_64bits(key.data, key.size) ^ (cf * UINT64_C(0x9E3779B97F4A7C15));
}

weir__record_cache *weir__record_cache_new(void)
{
    weir__record_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    for (uint32_t i = 0; i < CLASSES; i++)
        cache->room[i] = NO_PAGE;
    cache->is_whole = true;
    atomic_fetch_add(&cache_number, 1);
    return cache;
}

void weir__record_cache_clear(weir__record_cache *cache)
{
    for (uint32_t i = 0; i < cache->page_end; i++) {
        if (cache->memory[i])
            page_memory_free(cache, i);
    }
    weir__large_free(cache->slots, (cache->mask + 1) * sizeof(slot));
    cache->slots = NULL;
    cache->mask = 0;
    cache->count = 0;
    cache->is_whole = false;
    cache->page_end = 0;
    cache->page_count = 0;
    cache->hand = 0;
    for (uint32_t i = 0; i < CLASSES; i++) {
        cache->room[i] = NO_PAGE;
        cache->class_pages[i] = 0;
    }
    budget_give(cache, cache->bytes);
}

void weir__record_cache_free(weir__record_cache *cache)
{
    if (!cache)
        return;
    weir__record_cache_clear(cache);
    free(cache->memory);
    free(cache->blocks);
    free(cache->pages);
    free(cache);
    atomic_fetch_sub(&cache_number, 1);
}

void weir__record_cache_prefetch(const weir__record_cache *cache, uint64_t hash)
{
    if (cache->slots)
        __builtin_prefetch(&cache->slots[(uint32_t)hash & cache->mask]);
}

void weir__record_cache_prefetch_record(const weir__record_cache *cache, uint64_t hash)
{
    if (!cache->slots)
        return;
    const slot *first = &cache->slots[(uint32_t)hash & cache->mask];
    if (first->ref)
        __builtin_prefetch(record_at(cache, first->ref));
}

weir__cache_result weir__record_cache_get(weir__record_cache *cache, weir_cf cf, weir_slice key,
                                          uint64_t hash, weir_slice *value)
{
    *value = weir_slice_of(NULL, 0);
    slot *found = table_find(cache, cf, key, hash);
    if (!found)
        return WEIR__CACHE_MISS;
    record *rec = record_at(cache, found->ref);
    if (!rec->is_marked)
        rec->is_marked = 1;
    if (rec->value_size == ABSENT)
        return WEIR__CACHE_ABSENT;
    *value = weir_slice_of(rec->bytes + rec->key_size, rec->value_size);
    return WEIR__CACHE_HIT;
}

static weir_slice value_store(record *rec, const weir_slice *value)
{
    uint8_t *at = rec->bytes + rec->key_size;
    if (!value) {
        rec->value_size = ABSENT;
        return weir_slice_of(at, 0);
    }
    if (value->size > 0)
        memmove(at, value->data, value->size);
    rec->value_size = (uint32_t)value->size;
    return weir_slice_of(at, value->size);
}

bool weir__record_cache_is_whole(const weir__record_cache *cache)
{
    return cache->is_whole;
}

static weir_slice not_cached(weir__record_cache *cache)
{
    cache->is_whole = false;
    return weir_slice_of(NULL, 0);
}

weir_slice weir__record_cache_put(weir__record_cache *cache, weir_cf cf, weir_slice key,
                                  uint64_t hash, const weir_slice *value)
{
    shrink_if_due(cache);
    bool fits = key.size < PAGE_BYTES && (!value || value->size < PAGE_BYTES);
    size_t size = fits ? sizeof(record) + key.size + (value ? value->size : 0) : SIZE_MAX;
    fits = size <= PAGE_BYTES;
    slot *found = table_find(cache, cf, key, hash);
    if (found) {
        size_t held = class_size(cache->pages[(found->ref - 1) >> UNITS_BITS].size_class);
        if (fits && size <= held && (size * 2 >= held || held == class_size(0)))
            return value_store(record_at(cache, found->ref), value);
        uint32_t ref = found->ref;
        table_remove(cache, (size_t)(found - cache->slots));
        slot_free(cache, ref);
    }
    if (!fits || !table_room(cache))
        return not_cached(cache);
    uint32_t size_class = class_of(size);
    if (cache->room[size_class] == NO_PAGE && !page_new(cache, size_class) &&
        !make_room(cache, size_class))
        return not_cached(cache);
    uint32_t ref = slot_take(cache, size_class);
    record *rec = record_at(cache, ref);
    rec->tag = (uint32_t)hash;
    rec->cf = cf;
    rec->key_size = (uint16_t)key.size;
    rec->is_live = 1;
    rec->is_marked = 0;
    if (key.size > 0)
        memcpy(rec->bytes, key.data, key.size);
    size_t at = rec->tag & cache->mask;
    while (cache->slots[at].ref)
        at = (at + 1) & cache->mask;
    cache->slots[at] = (slot){.tag = rec->tag, .ref = ref};
    cache->count++;
    return value_store(rec, value);
}

size_t weir__record_cache_bytes(const weir__record_cache *cache)
{
    return cache->bytes;
}

size_t weir__record_cache_count(const weir__record_cache *cache)
{
    return cache->count;
}
