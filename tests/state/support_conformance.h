/*
 * The backends on which the conformance suite of the state layer runs, and the little
 * language of its tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_CONFORMANCE_H
#define WEIR_TESTS_STATE_SUPPORT_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "state/support_harness.h"

extern const weir_slice no_prefix;

weir_slice bytes(const char *text);
/* All in the default family, without a prefix. */
void set(weir_txn *txn, weir_slice key, weir_slice value);
void set_text(weir_txn *txn, const char *key, const char *value);
void delete_text(weir_txn *txn, const char *key);
/* Closes, opens, recovers what the backend does not keep. */
void restart(harness *h);

typedef struct conformance_case {
    const char *name;
    CMUnitTestFunction run; /* gets an open harness */
} conformance_case;

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

/* Runs every case on every backend; the number of failures. */
int conformance_run(const conformance_case *cases, size_t count);

#endif
