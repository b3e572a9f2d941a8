/*
 * Reading flights.csv.zst and weather.csv.zst: decompression, CSV, order of departure, totals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "data.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

enum { TIME_HOUR, MINUTE, DEP_DELAY, CARRIER, FLIGHT, TAILNUM, ORIGIN, DEST, DISTANCE, COLUMNS };
enum { WEATHER_ORIGIN, WEATHER_TIME_HOUR, WEATHER_VISIBILITY, WEATHER_COLUMNS };

static const char flight_header[] =
    "time_hour,minute,dep_delay,carrier,flight,tailnum,origin,dest,distance";
static const char weather_header[] = "origin,time_hour,visib";

/* The whole file, decompressed, with a NUL behind it. NULL: failed, and said so. */
static char *read_text(const char *path)
{
    char *packed = NULL, *text = NULL;
    const char *problem = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return NULL;
    }
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size <= 0 || fseek(file, 0, SEEK_SET) != 0 || (packed = malloc((size_t)size)) == NULL ||
        fread(packed, 1, (size_t)size, file) != (size_t)size) {
        problem = "can't be read";
        goto done;
    }
    unsigned long long length = ZSTD_getFrameContentSize(packed, (size_t)size);
    if (length == ZSTD_CONTENTSIZE_ERROR || length == ZSTD_CONTENTSIZE_UNKNOWN ||
        length > 1ULL << 30) {
        problem = "is not a zstd file that make_data.py wrote";
        goto done;
    }
    if ((text = malloc((size_t)length + 1)) == NULL) {
        problem = "does not fit into memory";
        goto done;
    }
    size_t written = ZSTD_decompress(text, (size_t)length, packed, (size_t)size);
    if (ZSTD_isError(written)) {
        problem = ZSTD_getErrorName(written);
        goto done;
    }
    text[written] = '\0';
done:
    fclose(file);
    free(packed);
    if (problem != NULL) {
        fprintf(stderr, "%s: %s\n", path, problem);
        free(text);
        return NULL;
    }
    return text;
}

/* Cuts a line into its fields in place. The data has no quotes. */
static bool split(char *line, char **fields, int columns)
{
    for (int i = 0; i < columns; i++) {
        fields[i] = line;
        char *comma = strchr(line, ',');
        if ((comma == NULL) != (i == columns - 1))
            return false;
        if (comma != NULL) {
            *comma = '\0';
            line = comma + 1;
        }
    }
    return true;
}

static bool parse_hour(const char *text, int64_t *ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    *ms = end != NULL ? (int64_t)timegm(&tm) * 1000 : 0;
    return end != NULL && *end == '\0';
}

/* One row of a file. False: it has no valid time. */
typedef bool (*take_row_fn)(flight_data *data, char **fields, int32_t row);

static bool take_flight(flight_data *data, char **fields, int32_t row)
{
    if (fields[DEP_DELAY][0] == '\0' || fields[TAILNUM][0] == '\0')
        return true;
    demo_flight *out = &data->flights[data->count++];
    if (!parse_hour(fields[TIME_HOUR], &out->scheduled_ms))
        return false;
    out->scheduled_ms += (int64_t)60000 * atoi(fields[MINUTE]);
    out->delay = atoi(fields[DEP_DELAY]);
    out->departed_ms = out->scheduled_ms + (int64_t)out->delay * 60000;
    out->row = row;
    out->distance = atoi(fields[DISTANCE]);
    out->carrier = fields[CARRIER];
    out->number = fields[FLIGHT];
    out->tailnum = fields[TAILNUM];
    out->origin = fields[ORIGIN];
    out->destination = fields[DEST];
    return true;
}

static bool take_weather(flight_data *data, char **fields, int32_t row)
{
    (void)row;
    demo_weather *out = &data->weather[data->weather_count++];
    out->origin = fields[WEATHER_ORIGIN];
    out->visibility = fields[WEATHER_VISIBILITY];
    return parse_hour(fields[WEATHER_TIME_HOUR], &out->time_ms);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines + 1;
}

static bool parse_text(const char *path, char *text, const char *header, int columns,
                       flight_data *data, take_row_fn take_row)
{
    char *fields[COLUMNS], *end = text + strlen(text);
    int32_t row = -1; /* the header */
    for (char *line = text; line < end; row++) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        char *next = newline != NULL ? newline + 1 : end;
        if (newline != NULL)
            *newline = '\0';
        if (row < 0 ? strcmp(line, header) != 0 : !split(line, fields, columns)) {
            fprintf(stderr, "%s: line %d is not as expected\n", path, (int)row + 2);
            return false;
        }
        if (row >= 0 && !take_row(data, fields, row)) {
            fprintf(stderr, "%s: line %d has no valid time\n", path, (int)row + 2);
            return false;
        }
        line = next;
    }
    return true;
}

static int by_departure(const void *left, const void *right)
{
    const demo_flight *a = left, *b = right;
    if (a->departed_ms != b->departed_ms)
        return a->departed_ms < b->departed_ms ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

static int by_tailnum(const void *left, const void *right)
{
    return strcmp(((const demo_aircraft *)left)->tailnum, ((const demo_aircraft *)right)->tailnum);
}

/* One entry for each tail number, then the totals of its flights. */
static bool sum_up(flight_data *data)
{
    demo_aircraft *list = calloc(data->count, sizeof *list);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < data->count; i++)
        list[i].tailnum = data->flights[i].tailnum;
    qsort(list, data->count, sizeof *list, by_tailnum);
    size_t count = 1;
    for (size_t i = 1; i < data->count; i++)
        if (strcmp(list[i].tailnum, list[count - 1].tailnum) != 0)
            list[count++].tailnum = list[i].tailnum;
    data->aircraft = list;
    data->aircraft_count = count;
    for (size_t i = 0; i < data->count; i++) {
        const demo_flight *f = &data->flights[i];
        demo_aircraft *a = aircraft_find(list, count, f->tailnum, strlen(f->tailnum));
        a->flights++;
        a->miles += f->distance;
        a->delay_minutes += f->delay;
        snprintf(a->last_destination, sizeof a->last_destination, "%s", f->destination);
    }
    return true;
}

static int by_airport(const void *left, const void *right)
{
    const demo_weather *a = left, *b = right;
    int order = strcmp(a->origin, b->origin);
    return order != 0 ? order : (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

static int by_time(const void *left, const void *right)
{
    const demo_weather *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return strcmp(a->origin, b->origin);
}

static bool load_flights(const char *path, flight_data *data)
{
    if ((data->text = read_text(path)) == NULL)
        return false;
    data->flights = calloc(count_lines(data->text), sizeof *data->flights);
    if (data->flights == NULL ||
        !parse_text(path, data->text, flight_header, COLUMNS, data, take_flight) ||
        data->count == 0)
        return false;
    qsort(data->flights, data->count, sizeof *data->flights, by_departure);
    return true;
}

static bool load_weather(const char *flights_path, flight_data *data)
{
    char path[PATH_MAX];
    const char *slash = strrchr(flights_path, '/');
    snprintf(path, sizeof path, "%.*sweather.csv.zst",
             slash != NULL ? (int)(slash + 1 - flights_path) : 0, flights_path);
    if ((data->weather_text = read_text(path)) == NULL)
        return false;
    size_t lines = count_lines(data->weather_text);
    data->weather = calloc(lines, sizeof *data->weather);
    data->weather_by_time = calloc(lines, sizeof *data->weather);
    if (data->weather == NULL || data->weather_by_time == NULL ||
        !parse_text(path, data->weather_text, weather_header, WEATHER_COLUMNS, data, take_weather))
        return false;
    memcpy(data->weather_by_time, data->weather, data->weather_count * sizeof *data->weather);
    qsort(data->weather, data->weather_count, sizeof *data->weather, by_airport);
    qsort(data->weather_by_time, data->weather_count, sizeof *data->weather, by_time);
    return true;
}

bool flight_data_load(const char *path, flight_data *data)
{
    *data = (flight_data){0};
    if (load_flights(path, data) && load_weather(path, data) && sum_up(data))
        return true;
    flight_data_free(data);
    return false;
}

void flight_data_free(flight_data *data)
{
    free(data->aircraft);
    free(data->weather_by_time);
    free(data->weather);
    free(data->weather_text);
    free(data->flights);
    free(data->text);
    *data = (flight_data){0};
}

demo_aircraft *aircraft_find(demo_aircraft *list, size_t count, const char *tailnum, size_t size)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strncmp(list[middle].tailnum, tailnum, size);
        if (order == 0 && list[middle].tailnum[size] != '\0')
            order = 1;
        if (order == 0)
            return &list[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
