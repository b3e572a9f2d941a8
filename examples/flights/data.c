/*
 * Reading flights.csv.zst: decompression, CSV, order of departure, totals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

enum { TIME_HOUR, MINUTE, DEP_DELAY, CARRIER, FLIGHT, TAILNUM, ORIGIN, DEST, DISTANCE, COLUMNS };

static const char header[] =
    "time_hour,minute,dep_delay,carrier,flight,tailnum,origin,dest,distance";

/* The whole file, decompressed, with a NUL behind it. NULL: failed, and said so. */
static char *read_text(const char *path, size_t *text_size)
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
    *text_size = written;
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
static bool split(char *line, char *fields[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++) {
        fields[i] = line;
        char *comma = strchr(line, ',');
        if ((comma == NULL) != (i == COLUMNS - 1))
            return false;
        if (comma != NULL) {
            *comma = '\0';
            line = comma + 1;
        }
    }
    return true;
}

static bool parse_flight(char *fields[COLUMNS], int32_t row, demo_flight *out)
{
    struct tm tm = {0};
    const char *end = strptime(fields[TIME_HOUR], "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0')
        return false;
    out->scheduled_ms = ((int64_t)timegm(&tm) + 60 * atoi(fields[MINUTE])) * 1000;
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

static bool parse_text(const char *path, flight_data *data, size_t text_size)
{
    char *line = data->text, *end = line + text_size;
    size_t capacity = 0;
    int32_t row = -1; /* the header */
    while (line < end) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        char *next = newline != NULL ? newline + 1 : end;
        if (newline != NULL)
            *newline = '\0';
        char *fields[COLUMNS];
        if (row < 0 ? strcmp(line, header) != 0 : !split(line, fields)) {
            fprintf(stderr, "%s: line %d is not as expected\n", path, (int)row + 2);
            return false;
        }
        if (row >= 0 && fields[DEP_DELAY][0] != '\0' && fields[TAILNUM][0] != '\0') {
            if (data->count == capacity) {
                capacity = capacity ? capacity * 2 : 1 << 16;
                demo_flight *grown = realloc(data->flights, capacity * sizeof *grown);
                if (grown == NULL)
                    return false;
                data->flights = grown;
            }
            if (!parse_flight(fields, row, &data->flights[data->count++])) {
                fprintf(stderr, "%s: line %d has no valid time\n", path, (int)row + 2);
                return false;
            }
        }
        row++;
        line = next;
    }
    return data->count > 0;
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

bool flight_data_load(const char *path, flight_data *data)
{
    *data = (flight_data){0};
    size_t text_size = 0;
    data->text = read_text(path, &text_size);
    if (data->text == NULL)
        return false;
    if (!parse_text(path, data, text_size)) {
        flight_data_free(data);
        return false;
    }
    qsort(data->flights, data->count, sizeof *data->flights, by_departure);
    if (!sum_up(data)) {
        fprintf(stderr, "%s: out of memory\n", path);
        flight_data_free(data);
        return false;
    }
    return true;
}

void flight_data_free(flight_data *data)
{
    free(data->aircraft);
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
