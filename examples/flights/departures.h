/*
 * The second half of the job: departures by airport.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_DEPARTURES_H
#define FLIGHTS_DEPARTURES_H

#include <weir/weir.h>

/*
 * Adds to the app: the topic PREFIX"departures" (key: airport; flights and weather), each flight
 * joined with the weather of its time, and two results: flights and mean delay of every hour
 * (PREFIX"departures-by-hour") and of every visibility (PREFIX"departures-by-visibility").
 */
weir_status departures_add(weir_app *app, const char *prefix, weir_error *err);

#endif
