/*
 * The checks of the conformance kit (kit/kit.h) on a database of the host: a complete table, in
 * which what the backend lacks is emulated. Checks that are about the bare backend, or that kill
 * a process, are passed over; tests/tools/test_kit.sh runs these.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_CONFORMANCE_H
#define TESTS_BACKEND_CONFORMANCE_H

#include <kit/kit.h>

typedef struct conformance conformance;

struct conformance {
    /* A complete table, and a database on it that holds nothing yet. */
    const weir_backend *backend;
    weir_backend_db *db;
    /* Closes the database and opens it again at the same place: sets db. */
    weir_status (*reopen)(conformance *subject);
    void *arg; /* for reopen */
    /* Not 0; the same one gives the same run. */
    uint64_t seed;
    char failure[KIT_NOTE_SIZE]; /* filled by a check that returns false */
};

typedef kit_check conformance_case;

/* Runs a check of the kit (kit_check_at); each needs a database of its own. */
bool conformance_run(const conformance_case *check, conformance *subject);

#endif
