/*
 * Recovery of a changelog in memory, for the cases `recovery` and `backends`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_RECOVERY_H
#define WEIR_BENCH_RECOVERY_H

#include "harness.h"

typedef struct recovery_work {
    const char *backend;
    const uint32_t *keys; /* of the messages, each once */
    size_t count;
    size_t batch; /* messages of a raw batch: what recovery writes at once */
} recovery_work;

/* A bench_run: into a fresh partition. figures[0]: messages of a batch. */
bool recovery_run(const bench_table *bench, const void *arg, bench_sample *sample);

#endif
