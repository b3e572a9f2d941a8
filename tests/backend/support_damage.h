/*
 * Damage to the files of a database: each file in turn has a bit flipped, is cut, or is gone, in
 * a copy. Opening and reading then give what was written, or WEIR_CORRUPTED; never something
 * else, and never less without a word.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_DAMAGE_H
#define TESTS_BACKEND_SUPPORT_DAMAGE_H

#include "support_fixture.h"

#define DAMAGE_KEYS 400

typedef struct damage_subject {
    const char *spec;
    const weir_option *options;
    /* Called before a copy is opened, with its number from 1; NULL: nothing. */
    void (*prepare)(int copy);
} damage_subject;

/* Items number from … to − 1, one batch each. */
void damage_put_some(weir__database *database, int from, int to);
/* Makes a database in a process of its own, the program itself run as "PROGRAM MODE FOLDER", which
 * may end by killing itself. False: it failed. What was made before is forgotten. */
bool damage_make(const damage_subject *subject, const char *mode);
void damage_remove(void);
/* WEIR_OK: all is there and right; WEIR_CORRUPTED: that was told; else the test fails. With
 * may_miss_last, items may be missing behind the first `safe`, all behind the first that is. */
weir_status damage_open_and_read(const char *folder);
void damage_may_miss(int safe);
/* A copy of the database, removed by the next call. */
const char *damage_copy(void);
/* The files below its folder that are not empty. */
size_t damage_file_count(void);
const char *damage_file(size_t index);

typedef void (*damage_fn)(const char *path, size_t size);
void damage_flip(const char *path, size_t size);
void damage_cut(const char *path, size_t size);
void damage_take_away(const char *path, size_t size);
/* Damages each file whose path holds `part`, `times` times; returns how often it was told. */
size_t damage_each(const char *part, int times, damage_fn damage);
/* Seeds what is random, and prints the seed. WEIR_TEST_SEED sets it. */
void damage_seed(void);

#endif
