/*
 * What the tests of the SlateDB plugin share: finding it, and a server that speaks S3 (s3.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_SLATEDB_H
#define TESTS_BACKEND_SUPPORT_SLATEDB_H

#include <stdbool.h>

#include "support/s3.h"

/* What a test program returns to be counted as skipped. */
#define SKIPPED S3_SKIPPED

/* Lets the backend "slatedb" be found. False, and a line that says so: it is not built. */
bool slatedb_prepare(void);

#endif
