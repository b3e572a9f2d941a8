/*
 * flights: totals for each aircraft. Reads departures from the topic "flights" (key: tail
 * number, value: JSON), keeps for each aircraft its flights, miles, minutes of delay and
 * last destination, and sends every change to the topic "aircraft-totals". What the same
 * flights say about the airports is in departures.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include "departures.h"

#define MAX_PROPERTIES 16

typedef struct job_config {
    weir_app_options app;
    const char *prefix; /* before the names of topics and group */
    weir_option kafka[MAX_PROPERTIES + 1];
    weir_option consumer[MAX_PROPERTIES + 1];
} job_config;

/* One flight: reads the aircraft's totals, adds to them, stores them and hands them on. */
static weir_status add_flight(weir_context *context, weir_state *state, const weir_record *record,
                              void *arg, weir_error *err)
{
    (void)arg;
    weir_status status;
    json_int_t distance, delay;
    const char *destination;
    int64_t flights, miles, delay_minutes;
    json_error_t json_err;
    json_t *flight = json_loadb(record->value.data, record->value.size, 0, &json_err);
    if (flight == NULL || json_unpack_ex(flight, &json_err, 0, "{s:I, s:I, s:s}", "distance",
                                         &distance, "dep_delay", &delay, "dest", &destination)) {
        status = weir_error_set(err, WEIR_SERIALIZATION, "not a flight: %s", json_err.text);
        goto done;
    }
    if ((status = weir_state_get_int(state, "flights", 0, &flights, err)) ||
        (status = weir_state_get_int(state, "miles", 0, &miles, err)) ||
        (status = weir_state_get_int(state, "delay_minutes", 0, &delay_minutes, err)))
        goto done;
    flights += 1;
    miles += distance;
    delay_minutes += delay;
    if ((status = weir_state_set_int(state, "flights", flights, err)) ||
        (status = weir_state_set_int(state, "miles", miles, err)) ||
        (status = weir_state_set_int(state, "delay_minutes", delay_minutes, err)) ||
        (status =
             weir_state_set_string(state, "last_destination", weir_slice_str(destination), err)))
        goto done;

    size_t room = 160 + strlen(destination);
    char *text = weir_context_alloc(context, room);
    if (text == NULL) {
        status = weir_error_set(err, WEIR_NO_MEMORY, "no memory for the totals");
        goto done;
    }
    int size = snprintf(text, room,
                        "{\"flights\":%" PRId64 ",\"miles\":%" PRId64 ",\"delay_minutes\":%" PRId64
                        ",\"last_destination\":\"%s\"}",
                        flights, miles, delay_minutes, destination);
    weir_record totals = *record;
    totals.value = weir_slice_of(text, (size_t)size);
    status = weir_forward(context, &totals, err);
done:
    json_decref(flight);
    return status;
}

/* Tells, for each partition, how its state came back. */
static void print_recovery(const weir_recovery_progress *progress, void *arg)
{
    (void)arg;
    if (progress->position < progress->end)
        return;
    printf("recovered %s partition %" PRId32 ": %" PRId64 " changelog records applied, %" PRId64
           " skipped\n",
           progress->store, progress->partition, progress->applied, progress->skipped);
    fflush(stdout);
}

static weir_status run(const job_config *config, weir_error *err)
{
    weir_status status;
    char source_name[200], output_name[200];
    snprintf(source_name, sizeof source_name, "%sflights", config->prefix);
    snprintf(output_name, sizeof output_name, "%saircraft-totals", config->prefix);

    weir_app *app;
    if ((status = weir_app_new(&config->app, &app, err)))
        return status;

    weir_topic_config source, output;
    weir_topic_config_init(&source);
    weir_topic_config_init(&output);
    source.name = source_name;
    output.name = output_name;
    source.partitions = output.partitions = 4;

    weir_stream *flights = weir_stream_source(app, &source, err);
    weir_stream *totals =
        flights ? weir_stream_apply_stateful(flights, NULL, add_flight, NULL, err) : NULL;
    if (totals == NULL || weir_stream_to(totals, &output, err) == NULL)
        status = err->status;
    else if ((status = departures_add(app, config->prefix, err)) == WEIR_OK)
        status = weir_app_run(app, err);

    weir_app_stats stats = {.struct_size = sizeof stats};
    weir_app_get_stats(app, &stats);
    if (status == WEIR_OK)
        printf("stopped after %" PRIu64 " records and %" PRIu64 " checkpoints\n", stats.records,
               stats.checkpoints);
    weir_app_free(app);
    return status;
}

static const char usage[] =
    "usage: flights --broker HOST:PORT [option…]\n"
    "  --broker HOST:PORT    Kafka broker\n"
    "  --backend NAME        where the state lives: rocksdb (default), memory, …\n"
    "  --state DIR           folder of the state (default: state)\n"
    "  --workers N           threads (default: 1)\n"
    "  --commit-interval MS  time between checkpoints (default: 5000)\n"
    "  --prefix TEXT         put before the names of the topics and the group\n"
    "  --kafka KEY=VALUE     a librdkafka property, may be repeated\n"
    "  --consumer KEY=VALUE  … for the consumers only\n";

/* Adds KEY=VALUE to a list that ends with NULL; `text` is cut at the equals sign. */
static bool add_property(weir_option *list, char *text)
{
    char *equals = strchr(text, '=');
    size_t count = 0;
    while (list[count].key != NULL)
        count++;
    if (equals == NULL || count == MAX_PROPERTIES)
        return false;
    *equals = '\0';
    list[count] = (weir_option){text, equals + 1};
    return true;
}

static bool parse_options(int argc, char **argv, job_config *config)
{
    static const struct option table[] = {
        {"broker", 1, 0, 'b'},          {"backend", 1, 0, 's'},  {"state", 1, 0, 'd'},
        {"workers", 1, 0, 'w'},         {"prefix", 1, 0, 'p'},   {"kafka", 1, 0, 'k'},
        {"commit-interval", 1, 0, 'i'}, {"consumer", 1, 0, 'c'}, {0}};
    bool ok = true;
    for (int c; ok && (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (c == 'b')
            config->app.broker = optarg;
        else if (c == 's')
            config->app.state_backend = optarg;
        else if (c == 'd')
            config->app.state_dir = optarg;
        else if (c == 'w')
            config->app.workers = atoi(optarg);
        else if (c == 'i')
            config->app.commit_interval_ms = atoi(optarg);
        else if (c == 'p')
            config->prefix = optarg;
        else
            ok = c != '?' && add_property(c == 'k' ? config->kafka : config->consumer, optarg);
    }
    return ok && optind == argc && config->app.broker != NULL;
}

int main(int argc, char **argv)
{
    job_config config = {.prefix = ""};
    weir_app_options_init(&config.app);
    if (!parse_options(argc, argv, &config)) {
        fputs(usage, stderr);
        return 2;
    }
    char group[200];
    snprintf(group, sizeof group, "%saircraft", config.prefix);
    config.app.consumer_group = group;
    config.app.auto_offset_reset = "earliest";
    config.app.kafka = config.kafka;
    config.app.consumer = config.consumer;
    config.app.producer = (weir_option[]){{"compression.type", "lz4"}, {NULL, NULL}};
    config.app.on_recovery = print_recovery;

    weir_error err;
    weir_error_init(&err);
    if (run(&config, &err) != WEIR_OK) {
        fprintf(stderr, "flights: %s\n", err.message);
        return 1;
    }
    return 0;
}
