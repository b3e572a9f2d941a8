/*
 * What the second half of the job comes to: for each airport, flights and mean delay of every
 * hour, and of every visibility.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_RESULTS_H
#define FLIGHTS_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data.h"

#define DEMO_AIRPORTS     3
#define DEMO_HOURS        (367 * 24) /* from 2013-01-01T00:00Z; the last flights leave in 2014 */
#define DEMO_VISIBILITIES 32

typedef struct demo_mean {
    int64_t flights; /* 0: none */
    double delay;    /* mean, minutes */
} demo_mean;

typedef struct demo_results {
    demo_mean hours[DEMO_AIRPORTS][DEMO_HOURS];
    struct {
        char visibility[8]; /* miles, as in the data; "": no more of them */
        demo_mean mean;
    } visibilities[DEMO_AIRPORTS][DEMO_VISIBILITIES];
} demo_results;

/* The code of an airport by number. */
const char *results_airport(int airport);
/* Each puts one result in, in place of an earlier one. False: no such airport, time, … */
bool results_put_hour(demo_results *results, const char *origin, int64_t start_ms, demo_mean mean);
bool results_put_visibility(demo_results *results, const char *origin, const char *visibility,
                            demo_mean mean);

/* Computed from the data, by loops over all of it. */
void results_expect(demo_results *results, const flight_data *data);
/* How many results differ by more than the rounding to three decimals. */
int results_compare(const demo_results *got, const demo_results *expected);
/* departures.csv and weather.csv. False: failed, see errno. */
bool results_write(const demo_results *results, const char *folder);

#endif
