/*
 * Hours and visibilities of airports: tables, the plain computation, files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "results.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MS INT64_C(1356998400000) /* 2013-01-01T00:00Z */
#define HOUR_MS  INT64_C(3600000)

static const char *const airports[DEMO_AIRPORTS] = {"EWR", "JFK", "LGA"};

static int find_airport(const char *origin)
{
    for (int i = 0; i < DEMO_AIRPORTS; i++)
        if (strcmp(airports[i], origin) == 0)
            return i;
    return -1;
}

const char *results_airport(int airport)
{
    return airports[airport];
}

/* NULL: there is no such place. */
static demo_mean *hour_of(demo_results *results, const char *origin, int64_t start_ms)
{
    int airport = find_airport(origin);
    int64_t hour = (start_ms - FIRST_MS) / HOUR_MS;
    if (airport < 0 || start_ms < FIRST_MS || start_ms % HOUR_MS != 0 || hour >= DEMO_HOURS)
        return NULL;
    return &results->hours[airport][hour];
}

static demo_mean *visibility_of(demo_results *results, const char *origin, const char *visibility)
{
    int airport = find_airport(origin);
    size_t size = strlen(visibility);
    if (airport < 0 || size == 0 || size >= sizeof results->visibilities[0][0].visibility)
        return NULL;
    for (int i = 0; i < DEMO_VISIBILITIES; i++) {
        char *name = results->visibilities[airport][i].visibility;
        if (name[0] == '\0')
            memcpy(name, visibility, size + 1);
        if (strcmp(name, visibility) == 0)
            return &results->visibilities[airport][i].mean;
    }
    return NULL;
}

static bool put(demo_mean *place, demo_mean mean)
{
    if (place != NULL)
        *place = mean;
    return place != NULL;
}

bool results_put_hour(demo_results *results, const char *origin, int64_t start_ms, demo_mean mean)
{
    return put(hour_of(results, origin, start_ms), mean);
}

bool results_put_visibility(demo_results *results, const char *origin, const char *visibility,
                            demo_mean mean)
{
    return put(visibility_of(results, origin, visibility), mean);
}

/* ---------------------------------------------------------------------------
 * The plain computation
 * ------------------------------------------------------------------------- */

/* The last observation of the airport at or before a time. They are sorted by airport and time. */
static const demo_weather *weather_at(const flight_data *data, const char *origin, int64_t time_ms)
{
    const demo_weather *latest = NULL;
    size_t low = 0, high = data->weather_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const demo_weather *found = &data->weather[middle];
        int order = strcmp(found->origin, origin);
        if (order < 0 || (order == 0 && found->time_ms <= time_ms)) {
            latest = found;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return latest != NULL && strcmp(latest->origin, origin) == 0 ? latest : NULL;
}

static void add(demo_mean *sum, int32_t delay)
{
    if (sum == NULL)
        return;
    sum->flights++;
    sum->delay += delay;
}

static void divide(demo_mean *sum)
{
    if (sum->flights > 0)
        sum->delay /= (double)sum->flights;
}

void results_expect(demo_results *results, const flight_data *data)
{
    memset(results, 0, sizeof *results);
    for (size_t i = 0; i < data->count; i++) {
        const demo_flight *flight = &data->flights[i];
        int64_t start_ms = flight->scheduled_ms - flight->scheduled_ms % HOUR_MS;
        const demo_weather *weather = weather_at(data, flight->origin, flight->scheduled_ms);
        add(hour_of(results, flight->origin, start_ms), flight->delay);
        if (weather != NULL)
            add(visibility_of(results, flight->origin, weather->visibility), flight->delay);
    }
    for (int a = 0; a < DEMO_AIRPORTS; a++) {
        for (int i = 0; i < DEMO_HOURS; i++)
            divide(&results->hours[a][i]);
        for (int i = 0; i < DEMO_VISIBILITIES; i++)
            divide(&results->visibilities[a][i].mean);
    }
}

static bool is_same(const demo_mean *a, const demo_mean *b)
{
    return a->flights == b->flights && fabs(a->delay - b->delay) < 0.001;
}

int results_compare(const demo_results *got, const demo_results *expected)
{
    int wrong = 0;
    demo_results *other = malloc(sizeof *other);
    if (other == NULL)
        return 1;
    *other = *got;
    for (int a = 0; a < DEMO_AIRPORTS; a++) {
        for (int i = 0; i < DEMO_HOURS; i++)
            wrong += !is_same(&other->hours[a][i], &expected->hours[a][i]);
        for (int i = 0; i < DEMO_VISIBILITIES; i++) {
            const char *visibility = expected->visibilities[a][i].visibility;
            if (visibility[0] == '\0')
                break;
            demo_mean *mean = visibility_of(other, airports[a], visibility);
            wrong += mean == NULL || !is_same(mean, &expected->visibilities[a][i].mean);
        }
    }
    free(other);
    return wrong;
}

/* ---------------------------------------------------------------------------
 * Files
 * ------------------------------------------------------------------------- */

static FILE *create(const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "w");
}

static bool write_hours(const demo_results *results, FILE *file)
{
    bool ok = fputs("origin,start_ms,flights,mean_delay\n", file) >= 0;
    for (int a = 0; a < DEMO_AIRPORTS; a++)
        for (int i = 0; i < DEMO_HOURS && ok; i++) {
            const demo_mean *mean = &results->hours[a][i];
            if (mean->flights > 0)
                ok = fprintf(file, "%s,%" PRId64 ",%" PRId64 ",%.3f\n", airports[a],
                             FIRST_MS + i * HOUR_MS, mean->flights, mean->delay) > 0;
        }
    return ok;
}

/* Rising, as numbers. */
static bool write_visibilities(const demo_results *results, FILE *file)
{
    bool ok = fputs("origin,visibility,flights,mean_delay\n", file) >= 0;
    for (int a = 0; a < DEMO_AIRPORTS; a++) {
        double last = -1;
        for (;;) {
            int next = -1;
            double least = INFINITY;
            for (int i = 0; i < DEMO_VISIBILITIES; i++) {
                double miles = strtod(results->visibilities[a][i].visibility, NULL);
                if (results->visibilities[a][i].mean.flights > 0 && miles > last && miles < least) {
                    least = miles;
                    next = i;
                }
            }
            if (next < 0 || !ok)
                break;
            last = least;
            const demo_mean *mean = &results->visibilities[a][next].mean;
            ok = fprintf(file, "%s,%s,%" PRId64 ",%.3f\n", airports[a],
                         results->visibilities[a][next].visibility, mean->flights, mean->delay) > 0;
        }
    }
    return ok;
}

static bool write_file(const demo_results *results, const char *folder, const char *name,
                       bool (*write)(const demo_results *results, FILE *file))
{
    FILE *file = create(folder, name);
    bool ok = file != NULL && write(results, file);
    return file != NULL && fclose(file) == 0 && ok;
}

bool results_write(const demo_results *results, const char *folder)
{
    return write_file(results, folder, "departures.csv", write_hours) &&
           write_file(results, folder, "weather.csv", write_visibilities);
}
