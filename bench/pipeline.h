/*
 * What the files of the case `pipeline` share: the job's sizes and topics, and librdkafka's
 * own loops, which are the yardsticks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_PIPELINE_H
#define WEIR_BENCH_PIPELINE_H

#include "harness.h"

#define PIPELINE_PARTITIONS 4
/* Source records of the restore job in each partition; all are processed already. */
#define PIPELINE_PAST 10

typedef struct pipeline_work {
    char broker[64];
    size_t records; /* of the counting job, over all partitions */
    uint32_t keys;
    size_t messages;     /* of the changelog */
    const char *backend; /* of the job's state; NULL: the default */
} pipeline_work;

/* Topics. The changelog's name is the one that Weir gives to it. */
#define PIPELINE_INPUT      "bench-input"
#define PIPELINE_OUTPUT     "bench-output"
#define PIPELINE_PAST_TOPIC "bench-past"
#define PIPELINE_GROUP      "bench-restore"
#define PIPELINE_CHANGELOG  "changelog__" PIPELINE_GROUP "--" PIPELINE_PAST_TOPIC "--default"

/* Seconds after which a run is ended by a signal: a broker that is gone must not hang it. */
#define PIPELINE_ALARM 300

/* Size of a source record's value. */
#define PIPELINE_VALUE_SIZE 100

/* pipeline.c */

/* A broker in the scratch folder; its address into bootstrap, which has room for size bytes. */
bool pipeline_start_broker(const bench_table *bench, char *bootstrap, size_t size);
void pipeline_stop_broker(const bench_table *bench);
/* A bench_run: the counting job over the input. arg is a pipeline_work. */
bool pipeline_job(const bench_table *bench, const void *arg, bench_sample *sample);

/* pipeline_raw.c; each a bench_run, arg is a pipeline_work. */

/* Creates and fills the topics, and commits the offsets of the restore job's group. */
bool pipeline_prepare(const bench_table *bench, const void *arg, bench_sample *sample);
/* Consumes every record of the input and produces one with its key, as the job does. */
bool pipeline_raw_loop(const bench_table *bench, const void *arg, bench_sample *sample);
/* Consumes the changelog and looks at nothing. */
bool pipeline_raw_consume(const bench_table *bench, const void *arg, bench_sample *sample);

#endif
