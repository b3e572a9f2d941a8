/*
 * The flights of the data set, in the order in which they took off, the weather at their
 * airports, and the totals of each aircraft that a correct job must come to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_DATA_H
#define FLIGHTS_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct demo_flight {
    int64_t scheduled_ms; /* scheduled departure, since 1970, UTC */
    int64_t departed_ms;  /* actual departure */
    int32_t row;          /* in the file, from 0 */
    int32_t delay;        /* minutes; negative: early */
    int32_t distance;     /* miles */
    const char *carrier;  /* texts point into flight_data.text */
    const char *number;
    const char *tailnum;
    const char *origin;
    const char *destination;
} demo_flight;

typedef struct demo_weather {
    int64_t time_ms; /* of the observation */
    const char *origin;
    const char *visibility; /* miles, as text */
} demo_weather;

typedef struct demo_aircraft {
    const char *tailnum;
    int64_t flights;
    int64_t miles;
    int64_t delay_minutes;
    char last_destination[8];
} demo_aircraft;

typedef struct flight_data {
    char *text; /* of the flights */
    demo_flight *flights;
    size_t count;
    char *weather_text;
    demo_weather *weather; /* sorted by airport, then by time */
    demo_weather *weather_by_time;
    size_t weather_count;
    demo_aircraft *aircraft; /* sorted by tail number, with the totals of all flights */
    size_t aircraft_count;
} flight_data;

/* Reads a file that make_data.py wrote, and weather.csv.zst beside it; flights without
 * departure or tail number are left out. On failure an error is printed and false returned. */
bool flight_data_load(const char *path, flight_data *data);
void flight_data_free(flight_data *data);

/* The aircraft of a tail number in a sorted array, or NULL. The name need not end with NUL. */
demo_aircraft *aircraft_find(demo_aircraft *list, size_t count, const char *tailnum, size_t size);

#endif
