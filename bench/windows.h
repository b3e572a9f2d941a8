/*
 * What the contestants of the case `windows` share: the records, and what is done with each.
 *
 *   tumbling  get the window of the record, count it up, update, expire what is over
 *   as-of     set a value for the record's time, look up the latest at an earlier time
 *   TTL       set a value that expires, read that of another key
 *
 * Every contestant sums up what it has read; the sums must be the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_WINDOWS_H
#define WEIR_BENCH_WINDOWS_H

#include "harness.h"

#define WINDOWS_SIZE_MS  INT64_C(600000)
#define WINDOWS_GRACE_MS INT64_C(300000)
#define WINDOWS_KEEP_MS  INT64_C(604800000) /* of values in time: a week, so all */
#define WINDOWS_TTL_MS   INT64_C(600000)

typedef enum windows_kind { WINDOWS_TUMBLING, WINDOWS_AS_OF, WINDOWS_TTL } windows_kind;

/* As written to the file that Python reads: 16 bytes, native byte order. */
typedef struct windows_record {
    uint32_t key;
    uint32_t back; /* ms before the record's time to look up; distance to the other key */
    int64_t time;
} windows_record;

typedef struct windows_work {
    windows_kind kind;
    uint32_t keys;
    size_t checkpoint;
    size_t count;
    const windows_record *records;
    const char *path; /* the file with the records */
} windows_work;

/* Of a sample: the sum, and for how many records (a slow contestant may stop early). */
#define WINDOWS_FIGURE_SUM   0
#define WINDOWS_FIGURE_COUNT 1

static inline int64_t windows_start(int64_t time)
{
    return time - time % WINDOWS_SIZE_MS;
}

/* windows_raw.c: by hand on RocksDB, with the latest timestamps in memory. */
bool windows_raw(const bench_table *bench, const windows_work *work, bool in_batches,
                 bench_sample *sample);

#endif
