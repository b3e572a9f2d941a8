/*
 * Waiting for state that another owner still holds: retries, backoff, a deadline and a stop
 * flag, one budget for all steps of opening a database.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_WAIT_H
#define WEIR_BACKEND_WAIT_H

#include "backend/chain.h"

typedef struct weir__wait {
    int64_t retries_left;
    int64_t backoff_ms;
    int64_t began;    /* monotonic */
    int64_t deadline; /* monotonic; 0: none */
    const volatile bool *stop;
    const char *label;
    bool is_announced;
} weir__wait;

typedef enum weir__wait_mode {
    WEIR__WAIT_BACKOFF, /* try once in each backoff: an attempt is work */
    WEIR__WAIT_POLL     /* look every few ms in between: an attempt costs nothing */
} weir__wait_mode;

/* Everything is borrowed. deadline_ms: from now on; 0: none. */
void weir__wait_init(weir__wait *wait, const weir__host_options *options, int deadline_ms,
                     const volatile bool *stop, const char *label);

/*
 * Calls attempt until it returns something else than WEIR_LOCKED or WEIR_BUSY, the retries
 * or the deadline are used up (then that is returned, with how long it waited in the
 * message), or stop becomes true (WEIR_ABORTED). err must be given.
 */
weir_status weir__wait_for(weir__wait *wait, weir__wait_mode mode,
                           weir_status (*attempt)(void *arg, weir_error *err), void *arg,
                           weir_error *err);

#endif
