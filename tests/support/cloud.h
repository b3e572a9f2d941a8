/*
 * Servers that speak Azure Blob Storage ("az") and Google Cloud Storage ("gs"), for tests
 * (scripts/emulator).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_SUPPORT_CLOUD_H
#define TESTS_SUPPORT_CLOUD_H

/* What a test program returns to be counted as skipped. */
#define CLOUD_SKIPPED 77

/*
 * Starts a server with the container or bucket "weir" and points the environment to it. 0,
 * CLOUD_SKIPPED (with lines that say what is missing) or another exit code. One at a time, ended
 * with cloud_stop.
 */
int cloud_start(const char *cloud);
void cloud_stop(void);

#endif
