/*
 * What the files of the case `backends` share: the backends side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_BACKENDS_H
#define WEIR_BENCH_BACKENDS_H

#include "harness.h"

/* rocksdb, the yardstick, comes first. */
#define BACKENDS_MAX 4
extern const char *const backends_all[BACKENDS_MAX];

/* Says, the first time, which are not there. */
bool backends_has(const bench_table *bench, const char *backend);

/* The contestants of one case, one for each backend that is there. */
typedef struct backends_side {
    char name[BENCH_NAME_SIZE];
    const char *backend;
    const void *work; /* of the case */
    /* A folder with the state to begin with; "": none. */
    char preloaded[300];
} backends_side;

/*
 * Lets all backends that are there do a case in turn. run gets a backends_side; the case is called
 * "backends WHAT: BACKEND". target: of slatedb.
 */
bool backends_contest(bench_table *bench, const char *what, const char *unit, bench_run run,
                      const void *work, bool is_preloaded, bool has_memory, double target);

/* backends_remote.c: state on an S3 server, opened again. */
bool backends_remote(bench_table *bench);

#endif
