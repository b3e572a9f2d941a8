/*
 * What the files of checks share: expectations that tell what was expected and seen, and
 * short words for keys, families and ranges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KIT_CHECK_H
#define WEIR_KIT_CHECK_H

#include <stdlib.h>
#include <string.h>

#include "kit.h"

/* The condition must hold, or the check fails and says which did not. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return kit_fail(c, "expected: %s", #condition);                                        \
    } while (0)

/* The call must return this status, or the check fails and says what it returned. */
#define EXPECT(expected, call)                                                                     \
    do {                                                                                           \
        weir_status expect_seen = (call);                                                          \
        if (expect_seen != (expected))                                                             \
            return kit_fail_status(c, (expected), expect_seen, #call);                             \
    } while (0)

/* The call does its own telling. */
#define MUST(call)                                                                                 \
    do {                                                                                           \
        if (!(call))                                                                               \
            return kit_fail(c, "%s", #call);                                                       \
    } while (0)

/* The checks of one file, ended by a NULL name. */
#define CASE(function, level, needs)                                                               \
    {                                                                                              \
#function, level, needs, function, false                                                   \
    }
#define CLOSED_CASE(function, level, needs)                                                        \
    {                                                                                              \
#function, level, needs, function, true                                                    \
    }

extern const kit_check kit_core_checks[];
extern const kit_check kit_iteration_checks[];
extern const kit_check kit_family_checks[];
extern const kit_check kit_crash_checks[];
extern const kit_check kit_concurrency_checks[];

/* Each keeps the first note and returns false. */
bool kit_fail(kit_subject *c, const char *format, ...) WEIR_PRINTF(2, 3);
bool kit_fail_status(kit_subject *c, weir_status expected, weir_status seen, const char *call);
/* Ends a check that has nothing to show; returns true. */
bool kit_skip(kit_subject *c, const char *why);

static inline weir_slice str(const char *text)
{
    return weir_slice_of(text, strlen(text));
}

static inline bool kit_has(const kit_subject *c, uint64_t capability)
{
    return (c->backend->capabilities & capability) == capability;
}

/* 2 if the backend reads in reverse too, else 1: for loops over directions. */
static inline int directions(const kit_subject *c)
{
    return kit_has(c, WEIR_CAP_REVERSE_ITERATION) ? 2 : 1;
}

/* A family, made if need be; "default" where there are no families. NULL: failed and told. */
weir_backend_cf *family(kit_subject *c, const char *name);

static inline weir_backend_op put_op(weir_backend_cf *cf, weir_slice key, weir_slice value)
{
    weir_backend_op op = {.kind = WEIR_OP_PUT, .cf = cf, .key = key, .value = value};
    return op;
}

static inline weir_backend_op delete_op(weir_backend_cf *cf, weir_slice key)
{
    weir_backend_op op = {.kind = WEIR_OP_DELETE, .cf = cf, .key = key};
    return op;
}

weir_status put(kit_subject *c, weir_backend_cf *cf, const char *key, const char *value);
weir_status erase(kit_subject *c, weir_backend_cf *cf, const char *key);
/* Writes a batch without flags. */
weir_status write_ops(kit_subject *c, const weir_backend_op *ops, size_t count);

/* Whether a key has this value; NULL: whether it is absent. Tells what it saw. */
bool holds_bytes(kit_subject *c, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                 weir_slice key, const weir_slice *expected);
bool holds(kit_subject *c, weir_backend_cf *cf, const char *key, const char *expected);

/* NULL bounds: none. NULL: failed and told. */
weir_backend_iter *iterate(kit_subject *c, weir_backend_cf *cf, const char *lower,
                           const char *upper, bool reverse, weir_backend_snapshot *snapshot);
/* Appends "key=value " for up to `max` items; "!" and the name of a failure. */
void read_items(kit_subject *c, weir_backend_iter *iter, size_t max, char *out, size_t size);
/* Whether a range reads as this text. Tells what it read. */
bool reads(kit_subject *c, weir_backend_cf *cf, const char *lower, const char *upper, bool reverse,
           weir_backend_snapshot *snapshot, const char *expected);

/* a=1 … e=5 */
bool fill_five(kit_subject *c, weir_backend_cf *cf);

/* Item i of the many that fill_big writes: "item-000000" …, in order. */
#define BIG_COUNT      4000
#define BIG_VALUE_SIZE 300
weir_slice big_key(char *out, size_t size, int i);
bool fill_big(kit_subject *c, weir_backend_cf *cf);

/* Closes and opens again. */
weir_status reopen(kit_subject *c);

/* Anything but 0 as state; xorshift64*. */
uint64_t random_next(uint64_t *state);

#endif
