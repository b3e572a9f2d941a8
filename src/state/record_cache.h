/*
 * The record cache of a partition: values of recently used keys, and the knowledge
 * that a key is absent, so that a hit needs no call of the backend. All caches of
 * the process share one budget of bytes; CLOCK decides what goes. The budget may be
 * exceeded by an eighth, at most 16 MiB, while caches that came later get their share.
 * A record of more than 64 KiB, key included, is not cached.
 *
 * Holds committed state only: a transaction's changes come in at its flush.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_RECORD_CACHE_H
#define WEIR_STATE_RECORD_CACHE_H

#include <string.h>
#include <weir/state.h>

typedef struct weir__record_cache weir__record_cache;

/* Raises the budget of the process to at least `bytes`. Any thread. */
void weir__cache_budget_raise(size_t bytes);
size_t weir__cache_budget(void);
size_t weir__cache_used(void); /* by all caches. Any thread. */

/* Owner thread of the partition. NULL: no memory. */
weir__record_cache *weir__record_cache_new(void);
void weir__record_cache_free(weir__record_cache *cache);
/* Forgets everything. */
void weir__record_cache_clear(weir__record_cache *cache);

/* The family of what is no record but a memo (memo.h); no database has one of this number. */
#define WEIR__CF_MEMO UINT32_MAX

/* The hash that all functions below and the update cache take, computed once a call. */
uint64_t weir__record_hash(weir_cf cf, weir_slice key);

/* Whether two keys of one size are the same. Most are short. */
static inline bool weir__key_equal(const void *a, const void *b, size_t size)
{
    uint64_t of_a[2];
    uint64_t of_b[2];
    if (size < sizeof(uint64_t) || size > sizeof of_a)
        return size == 0 || memcmp(a, b, size) == 0;
    size_t last = size - sizeof(uint64_t);
    memcpy(&of_a[0], a, sizeof(uint64_t));
    memcpy(&of_b[0], b, sizeof(uint64_t));
    memcpy(&of_a[1], (const uint8_t *)a + last, sizeof(uint64_t));
    memcpy(&of_b[1], (const uint8_t *)b + last, sizeof(uint64_t));
    return ((of_a[0] ^ of_b[0]) | (of_a[1] ^ of_b[1])) == 0;
}

/* Whether all that was ever put is still there: nothing had to go, was too big, or was cleared. */
bool weir__record_cache_is_whole(const weir__record_cache *cache);

typedef enum weir__cache_result {
    WEIR__CACHE_MISS = 0,
    WEIR__CACHE_HIT = 1,
    WEIR__CACHE_ABSENT = 2 /* known not to be in the backend */
} weir__cache_result;

/* *value is borrowed until the next put, clear or free. */
weir__cache_result weir__record_cache_get(weir__record_cache *cache, weir_cf cf, weir_slice key,
                                          uint64_t hash, weir_slice *value);
/*
 * Adds or replaces; value NULL: absent. What does not fit is not cached (and an older
 * value of the key is dropped): never an error. Returns where the cached value stands,
 * for callers that hand it on (data NULL: not cached).
 */
weir_slice weir__record_cache_put(weir__record_cache *cache, weir_cf cf, weir_slice key,
                                  uint64_t hash, const weir_slice *value);
/* Hints for a caller that knows its next keys: the place in the table, and later, once
 * that has arrived, the record. They change nothing. */
void weir__record_cache_prefetch(const weir__record_cache *cache, uint64_t hash);
void weir__record_cache_prefetch_record(const weir__record_cache *cache, uint64_t hash);
size_t weir__record_cache_bytes(const weir__record_cache *cache);
size_t weir__record_cache_count(const weir__record_cache *cache);

#endif
