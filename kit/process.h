/*
 * Processes of the kit: a check runs in one of its own, so that a backend that crashes or
 * hangs ends its check and not the run, and a crash check kills one of its own making.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KIT_PROCESS_H
#define WEIR_KIT_PROCESS_H

#include <sys/types.h>

#include "kit.h"

/* Memory that this process and those it forks see alike; zeroed. NULL: none. */
void *kit_shared_new(size_t size);
void kit_shared_free(void *memory, size_t size);

/*
 * Runs `run` in a new process and waits. The note, `skipped` and the result come back in the
 * subject. A process that ends otherwise (a signal, exit, more than timeout_s seconds; 0: no
 * limit) has failed, and the note says how it ended.
 */
bool kit_in_process(kit_subject *c, int timeout_s, bool (*run)(kit_subject *c, void *arg),
                    void *arg);

/* A new process that ends with this one. -1: failed and told. In the child: 0. */
pid_t kit_fork(kit_subject *c);
/* Waits for a process and gives its status as waitpid does. */
int kit_wait(pid_t pid);

#endif
