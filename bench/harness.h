/*
 * The harness of weir-bench: it lets contestants run in turn, takes medians, and keeps the
 * rows of the table. A group of cases is one function in one file; main.c lists them.
 *
 * Each run is a process of its own, forked from a parent that has neither threads nor any
 * database open: no run finds caches, memory or background work of the one before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_HARNESS_H
#define WEIR_BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/base.h>

/* No value: an empty cell of the table, null in the JSON. */
#define BENCH_NONE (-1.0)

#define BENCH_NAME_SIZE 128
#define BENCH_UNIT_SIZE 32

typedef struct bench_table {
    bool quick;        /* a smoke run: few records, one round; the figures mean nothing */
    int rounds;        /* alternating runs of each contestant: 3, unless the user says more */
    char folder[256];  /* scratch, removed at the end */
    const char *match; /* contests run only the cases whose names hold this; NULL: all */
    struct bench_row *rows;
    size_t row_count;
} bench_table;

typedef struct bench_row {
    char name[BENCH_NAME_SIZE];
    double weir;
    double yardstick; /* or BENCH_NONE */
    char unit[BENCH_UNIT_SIZE];
    double ratio;  /* weir to yardstick, or BENCH_NONE */
    double target; /* or BENCH_NONE */
    bool is_limit; /* target is an upper limit of weir; else a lower one of ratio */
} bench_row;

/* What a run measures. */
typedef struct bench_sample {
    double rate;        /* in the unit of the contest; more is better */
    double cpu_seconds; /* of the timed part, all threads; 0: not measured */
    double peak_mib;    /* peak memory of the process; filled in by the harness */
    double figures[8];  /* whatever a run hands back to the one that asked for it */
    char message[512];  /* why it failed */
} bench_sample;

/*
 * One run, in a child process. False: it failed, with sample->message. arg is the parent's
 * memory as it was at the fork.
 */
typedef bool (*bench_run)(const bench_table *bench, const void *arg, bench_sample *sample);

typedef struct bench_contestant {
    const char *name; /* of its row; of a yardstick: for progress lines */
    bool is_yardstick;
    bench_run run;
    const void *arg;
    double target; /* ratio to reach, or BENCH_NONE */
} bench_contestant;

/* False if the user asked for other cases only. */
bool bench_is_wanted(const bench_table *bench, const char *name);

/*
 * bench->rounds times all contestants in turn, then a row for each that is no yardstick: its
 * median against the fastest yardstick's median. Nothing runs if no case is wanted. False: a
 * run failed; it has been reported.
 */
bool bench_contest(bench_table *bench, const char *unit, const bench_contestant *contestants,
                   size_t count);
/* One run outside a contest (preparation, calibration). Reports a failure. */
bool bench_run_child(const bench_table *bench, const char *name, bench_run run, const void *arg,
                     bench_sample *sample);

/* A row that did not come from a contest. Copied. */
void bench_add_row(bench_table *bench, const bench_row *row);
bool bench_row_is_ok(const bench_row *row);

/* A line on stderr. */
void bench_say(const char *format, ...) WEIR_PRINTF(1, 2);
/* Fills sample->message and returns false. err may be NULL. */
bool bench_fail(bench_sample *sample, const weir_error *err, const char *format, ...)
    WEIR_PRINTF(3, 4);

double bench_now(void);                            /* seconds, monotonic */
double bench_cpu_seconds(void);                    /* of this process, all threads */
double bench_median(double *values, size_t count); /* sorts the values */

void bench_print_table(const bench_table *bench);
bool bench_write_json(const bench_table *bench, const char *path);

/* "FOLDER/NAME" of the scratch folder into path, which has room for size bytes. */
void bench_path(const bench_table *bench, const char *name, char *path, size_t size);
void bench_remove_folder(const char *path);

/* A group of cases, as main.c lists them. False: it could not be measured. */
typedef bool (*bench_group)(bench_table *bench);

bool bench_state(bench_table *bench);    /* state.c */
bool bench_recovery(bench_table *bench); /* recovery.c */
bool bench_pipeline(bench_table *bench); /* pipeline.c */
bool bench_backends(bench_table *bench); /* backends.c */
bool bench_windows(bench_table *bench);  /* windows.c */

#endif
