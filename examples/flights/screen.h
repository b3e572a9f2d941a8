/*
 * What the demo shows: lines of text and a progress bar that stays below them. On a
 * terminal the bar is redrawn in place; elsewhere a line is printed at each tenth.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_SCREEN_H
#define FLIGHTS_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

void screen_init(void);

/* A heading of a new part of the story. */
__attribute__((format(printf, 1, 2))) void screen_step(const char *format, ...);
/* A line that explains, or that tells what happened. */
__attribute__((format(printf, 1, 2))) void screen_note(const char *format, ...);
/* Something good that was checked. */
__attribute__((format(printf, 1, 2))) void screen_good(const char *format, ...);
/* To stderr: what went wrong. */
__attribute__((format(printf, 1, 2))) void screen_error(const char *format, ...);
/* Where the work stands; `date_ms` is the date of the flight at that point. */
void screen_progress(int64_t done, int64_t total, int64_t date_ms);

/* The number with commas. Static memory for eight results in a row. */
const char *screen_number(int64_t value);
/* Monotonic, ms. */
int64_t screen_now_ms(void);

#endif
