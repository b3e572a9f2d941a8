/*
 * What every backend must show, as a library of checks over weir/backend.h. It knows no
 * test framework and nothing of Weir's inside: who runs it hands in an open, empty database
 * and says how to open it anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_CONFORMANCE_H
#define TESTS_BACKEND_CONFORMANCE_H

#include <weir/backend.h>

typedef struct conformance conformance;

struct conformance {
    /* A complete table, and a database on it that holds nothing yet. */
    const weir_backend *backend;
    weir_backend_db *db;
    /* Closes the database and opens it again at the same place: sets db. */
    weir_status (*reopen)(conformance *subject);
    void *arg; /* for reopen */
    /* Room for seeds: the same one gives the same run. */
    uint64_t seed;
    char failure[512]; /* filled by a check that returns false */
};

typedef struct conformance_case {
    const char *name; /* what is shown, as a sentence in snake case */
    bool (*run)(conformance *subject);
} conformance_case;

/* Each needs a database of its own. Ended by a NULL name. */
extern const conformance_case conformance_cases[];

#endif
