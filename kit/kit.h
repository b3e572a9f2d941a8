/*
 * The conformance kit: what every backend must show, as checks over weir/backend.h, and a
 * runner that shows it for any backend, each check on a database of its own in a process of
 * its own.
 *
 * The checks know no test framework and nothing of Weir's inside. They run on the bare method
 * table, so that a capability that is claimed and not there is found, and they run through
 * the host in the tests, where what a backend lacks is emulated.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KIT_H
#define WEIR_KIT_H

#include <stdio.h>
#include <weir/backend.h>

/* ---------------------------------------------------------------------------
 * Checks
 * ------------------------------------------------------------------------- */

typedef enum kit_level {
    KIT_CORE = 0,
    KIT_ITERATION,
    KIT_FAMILIES,
    KIT_SNAPSHOTS,
    KIT_CRASH,
    KIT_CONCURRENCY,
    KIT_LEVEL_COUNT
} kit_level;

/* "core", "iteration", "families", "snapshots", "crash", "concurrency". Static. */
const char *kit_level_name(kit_level level);
/* The level of a name, or KIT_LEVEL_COUNT. */
kit_level kit_level_find(const char *name);

/* How a database is opened. */
#define KIT_OPEN_CREATE    1u
#define KIT_OPEN_READ_ONLY 2u

#define KIT_LOCATION_SIZE 1024
#define KIT_NOTE_SIZE     1024

typedef struct kit_subject kit_subject;

/* What a check works on. */
struct kit_subject {
    const weir_backend *backend; /* optional methods may be NULL */
    weir_backend_db *db;         /* NULL while closed */
    /* Opens the database at `location`: sets db, and err. */
    weir_status (*open)(kit_subject *subject, unsigned flags);
    weir_status (*close)(kit_subject *subject);
    /* Removes the data at `location`. */
    weir_status (*destroy)(kit_subject *subject);
    void *arg;                        /* for these */
    char location[KIT_LOCATION_SIZE]; /* a folder or a URL */
    bool through_host;                /* not the bare backend: the host is between */
    uint64_t seed;                    /* not 0; the same one gives the same run */
    weir_error err;                   /* of the last method that failed */
    char note[KIT_NOTE_SIZE];         /* what was expected and seen, or why it was skipped */
    bool skipped;
};

typedef struct kit_check {
    const char *name; /* what is shown, as a sentence in snake case */
    kit_level level;
    uint64_t needs; /* capabilities: without all of them the check is skipped */
    bool (*run)(kit_subject *subject);
    bool closed; /* begins without a database: it opens one itself */
} kit_check;

/* All checks: 0 … kit_check_count() - 1; NULL beyond. */
size_t kit_check_count(void);
const kit_check *kit_check_at(size_t index);

/* "column families", …, of a capability's single bit; NULL for an unknown one. Static. */
const char *kit_capability_name(uint64_t capability);
/* The names of a set of capabilities, separated by ", ". */
void kit_capability_names(uint64_t capabilities, char *text, size_t size);

/* ---------------------------------------------------------------------------
 * The runner
 * ------------------------------------------------------------------------- */

typedef enum kit_outcome { KIT_PASSED, KIT_FAILED, KIT_SKIPPED } kit_outcome;

typedef struct kit_result {
    const kit_check *check;
    kit_outcome outcome;
    double seconds;
    char note[KIT_NOTE_SIZE];
} kit_result;

typedef struct kit_config {
    const weir_backend *backend;
    const char *origin;         /* where it comes from, for the report */
    const weir_option *options; /* of the backend; may be NULL */
    /* A folder or URL under which each check gets a location; NULL: a new temporary folder.
     * What the checks make there is removed. */
    const char *location;
    uint32_t levels;     /* bits 1 << kit_level; 0: all */
    uint64_t seed;       /* 0: from the clock */
    int check_timeout_s; /* a check that takes longer has failed; 0: 120 */
    const char *only;    /* a check's name, or NULL: all */
    /* Called after each check; may be NULL. */
    void (*each)(const kit_result *result, void *arg);
    void *arg;
} kit_config;

typedef struct kit_report {
    kit_config config; /* with seed and levels filled in */
    kit_result *results;
    size_t count;
    size_t passed;
    size_t failed;
    size_t skipped;
} kit_report;

/*
 * Runs the checks, one process each. A failed check is a result and no error; an error is
 * what keeps checks from running: options that the backend does not know, a location that
 * can't be written. *report [out], to be released on every path.
 */
weir_status kit_run(const kit_config *config, kit_report *report, weir_error *err);
void kit_report_release(kit_report *report);

/* Says which backend this is and what it claims. */
void kit_write_head(const kit_report *report, FILE *out);
/* One check; `previous` is the level of the one before, or KIT_LEVEL_COUNT. */
void kit_write_result(const kit_result *result, kit_level previous, FILE *out);
void kit_write_sum(const kit_report *report, FILE *out);
/* All of it as one JSON object. */
void kit_write_json(const kit_report *report, FILE *out);

#endif
