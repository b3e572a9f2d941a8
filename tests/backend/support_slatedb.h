/*
 * What the tests of the SlateDB plugin share: finding it, a server that speaks S3 (s3.h),
 * and what is told of places that can't be opened.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_SLATEDB_H
#define TESTS_BACKEND_SUPPORT_SLATEDB_H

#include <stdbool.h>
#include <weir/base.h>

#include "support/s3.h"

/* What a test program returns to be counted as skipped. */
#define SKIPPED S3_SKIPPED

/* Lets the backend "slatedb" be found. False, and a line that says so: it is not built. */
bool slatedb_prepare(void);

/* Options with which an attempt to open ends soon. */
extern const weir_option slatedb_few_retries[];
/* Fails to open within a bounded time, and tells why. */
void slatedb_assert_refused(const char *location, weir_status expected, const char *part);

/* Sets a variable of the environment (NULL: takes it out) until it is set back. */
char *slatedb_set_variable(const char *name, const char *value);
void slatedb_set_back(const char *name, char *old);

#endif
