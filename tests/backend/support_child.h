/*
 * A child process of a test: holding state, and checks that need other rights or mounts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_CHILD_H
#define TESTS_BACKEND_SUPPORT_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct child {
    pid_t pid;
    int release; /* closing it tells the child to close the state and to end */
} child;

/* A process that has opened state with this spec; returns when it is open. */
child child_holding(const char *spec, const char *location);
/* Lets it close the state and end, and waits for that. */
void child_release(child *c);
/* Only tells it to; may be called in a log callback. */
void child_tell_to_release(child *c);
/* SIGKILL, and waits for that. */
void child_kill(child *c);

/* Runs a check in a process of its own: true if it returned true. */
bool child_check(bool (*check)(void *arg), void *arg);

#endif
