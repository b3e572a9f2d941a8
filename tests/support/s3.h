/*
 * A server that speaks S3, for tests (scripts/moto).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_SUPPORT_S3_H
#define TESTS_SUPPORT_S3_H

#include <stdbool.h>

/* What a test program returns to be counted as skipped. */
#define S3_SKIPPED 77

/*
 * Starts a server with the bucket "weir" and points the environment to it. 0, S3_SKIPPED (with a
 * line that says what is missing) or another exit code. Ended with s3_stop.
 */
int s3_start(void);
void s3_stop(void);
/* A server that does not answer, and one that does again and has kept everything. */
void s3_pause(void);
void s3_resume(void);
/*
 * From now on the environment points to a proxy that fails, delays and resets about `percent` of
 * the requests (s3_faults.py), until s3_calm. False: it could not be started.
 */
bool s3_disturb(unsigned seed, unsigned percent);
/* Prints how often it did what. Fine if there is no proxy. */
void s3_calm(void);
/* "s3://weir/NAME" in a static buffer; four of them live at a time. */
const char *s3_location(const char *name);

#endif
