/*
 * Time. Durations are measured on the monotonic clock; the wall clock is for
 * lock files and log lines only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t weir__now_ms(void);  /* monotonic */
int64_t weir__wall_ms(void); /* since 1970, UTC */
/* Sleeps; wakes within 20 ms when *stop becomes true (stop may be NULL). Returns false then. */
bool weir__sleep_ms(int64_t ms, const volatile bool *stop);

#endif
