/*
 * The end of the demo: are the results right, the files, the tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "screen.h"

static bool check_totals(const flight_data *data, const demo_received *received)
{
    int wrong = 0;
    for (size_t i = 0; i < data->aircraft_count; i++) {
        const demo_aircraft *expected = &data->aircraft[i], *got = &received->totals[i];
        if (got->flights == expected->flights && got->miles == expected->miles &&
            got->delay_minutes == expected->delay_minutes &&
            strcmp(got->last_destination, expected->last_destination) == 0)
            continue;
        if (wrong++ < 5)
            screen_error("%s: %" PRId64 " flights, %" PRId64 " miles, %" PRId64
                         " minutes, last to %s; expected %" PRId64 ", %" PRId64 ", %" PRId64 ", %s",
                         got->tailnum, got->flights, got->miles, got->delay_minutes,
                         got->last_destination, expected->flights, expected->miles,
                         expected->delay_minutes, expected->last_destination);
    }
    if (wrong > 0)
        screen_error("the totals of %d aircraft are wrong", wrong);
    else
        screen_good("the totals of all %s aircraft are those of the data",
                    screen_number((int64_t)data->aircraft_count));
    return wrong == 0;
}

static bool check_airports(const flight_data *data, const demo_received *received)
{
    demo_results *expected = malloc(sizeof *expected);
    if (expected == NULL) {
        screen_error("out of memory");
        return false;
    }
    results_expect(expected, data);
    int wrong = results_compare(&received->results, expected);
    free(expected);
    if (wrong > 0)
        screen_error("%d hours and visibilities of airports are wrong", wrong);
    else
        screen_good("so are the hours of all airports, and the delays by the weather");
    return wrong == 0;
}

bool report_check(const flight_data *data, const demo_received *received)
{
    bool totals = check_totals(data, received);
    return check_airports(data, received) && totals;
}

static bool write_aircraft(const demo_received *received, const char *folder)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/aircraft.csv", folder);
    FILE *file = fopen(path, "w");
    bool ok = file != NULL && fputs("tailnum,flights,miles,delay_minutes\n", file) >= 0;
    for (size_t i = 0; ok && i < received->count; i++) {
        const demo_aircraft *a = &received->totals[i];
        ok = fprintf(file, "%s,%" PRId64 ",%" PRId64 ",%" PRId64 "\n", a->tailnum, a->flights,
                     a->miles, a->delay_minutes) > 0;
    }
    return file != NULL && fclose(file) == 0 && ok;
}

bool report_write(const demo_received *received, const char *folder)
{
    if (!write_aircraft(received, folder) || !results_write(&received->results, folder)) {
        screen_error("the results can't be written into %s: %s", folder, strerror(errno));
        return false;
    }
    screen_good("%s/aircraft.csv, departures.csv and weather.csv written", folder);
    return true;
}

static int by_miles(const void *left, const void *right)
{
    const demo_aircraft *const *a = left, *const *b = right;
    if ((*a)->miles != (*b)->miles)
        return (*a)->miles > (*b)->miles ? -1 : 1;
    return strcmp((*a)->tailnum, (*b)->tailnum);
}

static void print_top_ten(const demo_received *received)
{
    size_t count = received->count;
    const demo_aircraft **sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &received->totals[i];
    qsort(sorted, count, sizeof *sorted, by_miles);
    screen_step("The ten aircraft with the most miles");
    printf("\n      aircraft   flights       miles   hours late   last seen leaving for\n");
    for (size_t i = 0; i < 10 && i < count; i++)
        printf("  %2zu  %-8s   %7s   %9s   %10s   %s\n", i + 1, sorted[i]->tailnum,
               screen_number(sorted[i]->flights), screen_number(sorted[i]->miles),
               screen_number(sorted[i]->delay_minutes / 60), sorted[i]->last_destination);
    printf("\n");
    free(sorted);
}

/* The mean delay at an airport while one could see from `from` to less than `to` miles. */
static double mean_delay(const demo_results *results, int airport, double from, double to)
{
    double minutes = 0, flights = 0;
    for (int i = 0; i < DEMO_VISIBILITIES; i++) {
        const demo_mean *mean = &results->visibilities[airport][i].mean;
        double miles = strtod(results->visibilities[airport][i].visibility, NULL);
        if (mean->flights == 0 || miles < from || miles >= to)
            continue;
        minutes += mean->delay * (double)mean->flights;
        flights += (double)mean->flights;
    }
    return flights > 0 ? minutes / flights : 0;
}

static void print_weather(const demo_results *results)
{
    screen_step("Minutes late, by how far one could see");
    printf("\n      airport   under 1 mile   1 to 5 miles   5 to 10 miles   10 miles\n");
    for (int i = 0; i < DEMO_AIRPORTS; i++)
        printf("      %-7s   %12.1f   %12.1f   %13.1f   %8.1f\n", results_airport(i),
               mean_delay(results, i, 0, 1), mean_delay(results, i, 1, 5),
               mean_delay(results, i, 5, 10), mean_delay(results, i, 10, 100));
    printf("\n");
}

void report_print(const demo_received *received)
{
    print_top_ten(received);
    print_weather(&received->results);
}
