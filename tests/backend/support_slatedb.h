/*
 * What the tests of the SlateDB plugin share: finding it, and a server that speaks S3.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_SLATEDB_H
#define TESTS_BACKEND_SUPPORT_SLATEDB_H

#include <stdbool.h>

/* What a test program returns to be counted as skipped. */
#define SKIPPED 77

/* Lets the backend "slatedb" be found. False, and a line that says so: it is not built. */
bool slatedb_prepare(void);

/*
 * Starts a server with the bucket "weir" and points the environment to it. 0, SKIPPED (with a
 * line that says what is missing) or another exit code. Ended with s3_stop.
 */
int s3_start(void);
void s3_stop(void);
/* "s3://weir/NAME" in a static buffer; four of them live at a time. */
const char *s3_location(const char *name);

#endif
