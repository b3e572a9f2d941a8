/*
 * Runs each test once for every backend: memory, rocksdb, rocksdb behind a decorator, and the
 * plugins lmdb and slatedb where they are built. WEIR_TEST_BACKEND names one of them alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_MATRIX_H
#define WEIR_TESTS_STATE_SUPPORT_MATRIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/support_harness.h"

typedef struct matrix_test {
    const char *name;
    CMUnitTestFunction test; /* *state is a harness, open, with a changelog */
} matrix_test;

#define MATRIX_TEST(function)                                                                      \
    {                                                                                              \
#function, function                                                                        \
    }

/* As cmocka_run_group_tests_name. */
int matrix_run(const char *group, const matrix_test *tests, size_t count);

/* Whether the backend of a harness keeps what it holds when it is closed. */
bool matrix_is_persistent(const harness *h);

#endif
