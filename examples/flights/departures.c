/*
 * departures: what the topic "departures" says about each airport. Its records have the airport
 * as key and are one of
 *
 *   {"visibility":"2.5"}  the weather as of the record's timestamp, in miles
 *   {"dep_delay":-4}      a flight, scheduled at the record's timestamp, minutes late
 *   {"end":true}          nothing comes any more: hours before this time are over
 *
 * A flight gets the latest weather at or before its scheduled departure: an as-of join, by hand
 * on a timestamped store. Hours are tumbling windows, which close when their grace is over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "departures.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
/* Records come in the order in which flights left; none left a day after its time. */
#define GRACE_MS (24 * HOUR_MS)
/* A flight that is a day late still finds its weather, also where observations are missing. */
#define WEATHER_KEPT_MS (4 * 24 * HOUR_MS)
#define TEXT_SIZE       128

/* JSON text that lives as long as the record; size 0: no memory. */
static weir_slice format(weir_context *context, const char *pattern, ...)
{
    char *text = weir_context_alloc(context, TEXT_SIZE);
    va_list args;
    va_start(args, pattern);
    int size = text != NULL ? vsnprintf(text, TEXT_SIZE, pattern, args) : 0;
    va_end(args);
    return weir_slice_of(text, (size_t)size);
}

static weir_status forward(weir_context *context, const weir_record *record, weir_slice value,
                           weir_error *err)
{
    weir_record result = *record;
    result.value = value;
    if (value.size == 0)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a result");
    return weir_forward(context, &result, err);
}

/* The delay of a flight. False: the record is none. */
static bool read_flight(const json_t *value, json_int_t *delay)
{
    return json_unpack((json_t *)value, "{s:I}", "dep_delay", delay) == 0;
}

static weir_status forward_flight(weir_context *context, weir_state *state,
                                  const weir_record *record, json_int_t delay, weir_error *err)
{
    weir_slice seen;
    weir_status status = weir_timestamped_get_latest(state, record->timestamp, NULL, &seen, err);
    if (status == WEIR_NOT_FOUND)
        return weir_forward(context, record, err);
    if (status)
        return status;
    return forward(context, record,
                   format(context, "{\"dep_delay\":%" PRId64 ",\"visibility\":\"%.*s\"}",
                          (int64_t)delay, (int)seen.size, (const char *)seen.data),
                   err);
}

/* Keeps the weather, and hands on the flights with theirs. */
static weir_status join_weather(weir_context *context, weir_state *state, const weir_record *record,
                                void *arg, weir_error *err)
{
    (void)arg;
    weir_status status;
    json_int_t delay;
    const char *visibility;
    json_t *value = json_loadb(record->value.data, record->value.size, 0, NULL);
    if (value == NULL)
        status = weir_error_set(err, WEIR_SERIALIZATION, "neither a flight nor weather");
    else if (read_flight(value, &delay))
        status = forward_flight(context, state, record, delay, err);
    else if (json_unpack(value, "{s:s}", "visibility", &visibility) == 0)
        status = weir_timestamped_set(state, record->timestamp, weir_slice_str(visibility), err);
    else
        status = weir_forward(context, record, err);
    json_decref(value);
    return status;
}

/* Adds a flight to its hour. The value of a window is JSON, [flights,minutes]. */
static weir_status add_to_hour(weir_state *state, int64_t timestamp, int64_t delay, weir_error *err)
{
    int64_t flights = 0, minutes = 0, start = timestamp - timestamp % HOUR_MS;
    weir_slice stored;
    char text[64];
    weir_status status = weir_window_get(state, start, start + HOUR_MS, &stored, err);
    if (status == WEIR_OK) {
        snprintf(text, sizeof text, "%.*s", (int)stored.size, (const char *)stored.data);
        sscanf(text, "[%" SCNd64 ",%" SCNd64 "]", &flights, &minutes);
    } else if (status != WEIR_NOT_FOUND) {
        return status;
    }
    snprintf(text, sizeof text, "[%" PRId64 ",%" PRId64 "]", flights + 1, minutes + delay);
    return weir_window_update(state, start, start + HOUR_MS, weir_slice_str(text), timestamp, err);
}

/* Hands on the hours that are over. */
static weir_status close_hours(weir_context *context, weir_state *state, const weir_record *record,
                               weir_error *err)
{
    int64_t latest;
    weir_windows *over;
    weir_window hour;
    weir_status status = weir_window_latest_timestamp(state, &latest, err);
    if (status == WEIR_OK)
        status = weir_window_expire(state, latest - GRACE_MS - HOUR_MS, 0, &over, err);
    if (status)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    while ((status = weir_windows_next(over, &hour, err)) == WEIR_OK) {
        int64_t flights = 1, minutes = 0;
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)hour.value.size, (const char *)hour.value.data);
        sscanf(text, "[%" SCNd64 ",%" SCNd64 "]", &flights, &minutes);
        status =
            forward(context, record,
                    format(context,
                           "{\"start_ms\":%" PRId64 ",\"flights\":%" PRId64 ",\"mean_delay\":%.3f}",
                           hour.start_ms, flights, (double)minutes / (double)flights),
                    err);
        if (status)
            break;
    }
    weir_windows_close(over);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status count_hours(weir_context *context, weir_state *state, const weir_record *record,
                               void *arg, weir_error *err)
{
    (void)arg;
    json_int_t delay;
    json_t *value = json_loadb(record->value.data, record->value.size, 0, NULL);
    weir_status status = read_flight(value, &delay)
                             ? add_to_hour(state, record->timestamp, delay, err)
                             : weir_window_advance_timestamp(state, record->timestamp, NULL, err);
    json_decref(value);
    return status ? status : close_hours(context, state, record, err);
}

static weir_status count_visibilities(weir_context *context, weir_state *state,
                                      const weir_record *record, void *arg, weir_error *err)
{
    (void)arg;
    weir_status status = WEIR_OK;
    json_int_t delay;
    const char *visibility;
    int64_t flights, minutes;
    char flights_key[32], minutes_key[32];
    json_t *value = json_loadb(record->value.data, record->value.size, 0, NULL);
    if (json_unpack(value, "{s:I, s:s}", "dep_delay", &delay, "visibility", &visibility) != 0)
        goto done; /* the end, or a flight before the first observation */
    snprintf(flights_key, sizeof flights_key, "flights at %s", visibility);
    snprintf(minutes_key, sizeof minutes_key, "minutes at %s", visibility);
    if ((status = weir_state_get_int(state, flights_key, 0, &flights, err)) ||
        (status = weir_state_get_int(state, minutes_key, 0, &minutes, err)) ||
        (status = weir_state_set_int(state, flights_key, ++flights, err)) ||
        (status = weir_state_set_int(state, minutes_key, minutes += delay, err)))
        goto done;
    status = forward(context, record,
                     format(context,
                            "{\"visibility\":\"%s\",\"flights\":%" PRId64 ",\"mean_delay\":%.3f}",
                            visibility, flights, (double)minutes / (double)flights),
                     err);
done:
    json_decref(value);
    return status;
}

/* Sends the results of an operator to a topic. */
static weir_stream *send_to(weir_stream *results, const char *prefix, const char *name,
                            weir_error *err)
{
    char topic_name[200];
    weir_topic_config topic;
    weir_topic_config_init(&topic);
    snprintf(topic_name, sizeof topic_name, "%s%s", prefix, name);
    topic.name = topic_name;
    topic.partitions = 4;
    return weir_stream_to(results, &topic, err);
}

weir_status departures_add(weir_app *app, const char *prefix, weir_error *err)
{
    char source_name[200];
    weir_topic_config source;
    weir_store_config weather, hours, visibility;
    weir_topic_config_init(&source);
    snprintf(source_name, sizeof source_name, "%sdepartures", prefix);
    source.name = source_name;
    source.partitions = 4;
    weir_store_config_init(&weather);
    weather.name = "weather";
    weather.kind = WEIR_STORE_TIMESTAMPED;
    weather.grace_ms = WEATHER_KEPT_MS;
    weir_store_config_init(&hours);
    hours.name = "hours";
    hours.kind = WEIR_STORE_WINDOWED;
    weir_store_config_init(&visibility);
    visibility.name = "visibility";

    weir_stream *flights = weir_stream_source(app, &source, err);
    if (flights != NULL)
        flights = weir_stream_apply_stateful(flights, &weather, join_weather, NULL, err);
    if (flights == NULL)
        return err->status;
    weir_stream *by_hour = weir_stream_apply_stateful(flights, &hours, count_hours, NULL, err);
    weir_stream *by_visibility =
        weir_stream_apply_stateful(flights, &visibility, count_visibilities, NULL, err);
    if (by_hour == NULL || send_to(by_hour, prefix, "departures-by-hour", err) == NULL ||
        by_visibility == NULL ||
        send_to(by_visibility, prefix, "departures-by-visibility", err) == NULL)
        return err->status;
    return WEIR_OK;
}
