/*
 * The job as a child process: started, read from, stopped, killed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_WORKER_H
#define FLIGHTS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct demo_worker {
    pid_t pid;        /* 0: not running */
    int output;       /* its stdout; -1: closed */
    int recovered;    /* partitions that it told to have recovered since its start */
    int64_t applied;  /* … and the changelog records that this took */
    long log_from;    /* where its part of the log begins */
    char line[512];   /* the beginning of a line that is still to be completed */
    size_t line_size; /* bytes of it */
} demo_worker;

/* Starts argv[0] with its stderr appended to log_path. The child dies with this process.
 * On failure an error is printed and false returned. */
bool worker_start(demo_worker *worker, char *const *argv, const char *log_path);
/* Shows what the job printed meanwhile; does not wait. */
void worker_show_output(demo_worker *worker);
/* True if the process has ended; *status is then what waitpid gave. */
bool worker_ended(demo_worker *worker, int *status);
/* SIGKILL, and waits. Nothing happens if it does not run. */
void worker_kill(demo_worker *worker);
/* SIGTERM, waits up to timeout_ms for a clean end (exit code 0), and shows its last words.
 * Says what went wrong and returns false otherwise. */
bool worker_stop(demo_worker *worker, int timeout_ms);
/* From its log: ms from the assignment of its partitions until it processes all of them, so without
 * the start of the process and without what the group waits for. -1: the log does not tell. */
int64_t worker_ready_ms(const demo_worker *worker, const char *log_path);
/* Prints the last lines of the log to stderr. */
void worker_print_log(const char *log_path);

#endif
