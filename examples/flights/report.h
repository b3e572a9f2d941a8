/*
 * What the demo says and writes at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_REPORT_H
#define FLIGHTS_REPORT_H

#include "broker.h"

/* Compares what came with what the data says, and tells. */
bool report_check(const flight_data *data, const demo_received *received);
/* aircraft.csv, departures.csv and weather.csv. Failures are told. */
bool report_write(const demo_received *received, const char *folder);
void report_print(const demo_received *received);

#endif
