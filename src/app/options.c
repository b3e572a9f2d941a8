/*
 * Options of an application: defaults, checks that name the option and its range, and
 * copies that live as long as the app.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "app/application.h"
#include "backend/database.h"
#include "base/option.h"

#define MAX_WORKERS            64
#define DEFAULT_CACHE_BYTES    ((size_t)256 * 1024 * 1024)
#define DEFAULT_MAX_POLL_MS    300000
#define DEFAULT_SESSION_MS     45000
#define LEAST_TXN_BYTES        ((size_t)16 * 1024 * 1024)
#define LEAST_WORKER_TXN_BYTES ((size_t)1024 * 1024)

void weir_app_options_init(weir_app_options *options)
{
    *options = (weir_app_options){
        .struct_size = sizeof(*options),
        .auto_offset_reset = "latest",
        .workers = 1,
        .commit_interval_ms = 5000,
        .state_dir = "state",
        .cache_bytes = DEFAULT_CACHE_BYTES,
        .use_changelog = true,
        .gap_policy = WEIR_GAP_FAIL,
        .missing_offset_policy = WEIR_MISSING_OFFSET_RESET,
        .auto_create_topics = true,
        .error_policy = WEIR_ERROR_STOP,
        .handle_signals = true,
        .stop_timeout_ms = 30000,
        .connect_timeout_ms = 10000,
    };
}

char *weir__app_copy_string(weir_app *app, const char *string)
{
    return weir__arena_copy(&app->arena, string, strlen(string));
}

weir_option *weir__app_copy_options(weir_app *app, const weir_option *pairs)
{
    size_t count = 0;
    while (pairs && pairs[count].key)
        count++;
    weir_option *copy = weir__app_alloc(app, (count + 1) * sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++) {
        copy[i].key = weir__app_copy_string(app, pairs[i].key);
        copy[i].value = weir__app_copy_string(app, pairs[i].value ? pairs[i].value : "");
        if (!copy[i].key || !copy[i].value)
            return NULL;
    }
    return copy;
}

static weir_status check_range(const char *name, long long value, long long minimum,
                               long long maximum, weir_error *err)
{
    if (value >= minimum && value <= maximum)
        return WEIR_OK;
    return weir_error_set(err, WEIR_INVALID,
                          "option %s: %lld is out of range; it goes from %lld to %lld", name, value,
                          minimum, maximum);
}

static weir_status check_numbers(const weir_app_options *options, weir_error *err)
{
    const struct {
        const char *name;
        long long value, minimum, maximum;
    } rows[] = {
        {"workers", options->workers, 1, MAX_WORKERS},
        {"commit_interval_ms", options->commit_interval_ms, 1, INT_MAX},
        {"commit_every", options->commit_every, 0, INT64_MAX},
        {"replication_factor", options->replication_factor, 0, INT16_MAX},
        {"stop_timeout_ms", options->stop_timeout_ms, 1, INT_MAX},
        {"connect_timeout_ms", options->connect_timeout_ms, 1, INT_MAX},
        {"gap_policy", (long long)options->gap_policy, WEIR_GAP_FAIL, WEIR_GAP_REBUILD},
        {"missing_offset_policy", (long long)options->missing_offset_policy,
         WEIR_MISSING_OFFSET_RESET, WEIR_MISSING_OFFSET_FAIL},
        {"error_policy", (long long)options->error_policy, WEIR_ERROR_STOP, WEIR_ERROR_SKIP},
        {"on_backend_mismatch", (long long)options->on_backend_mismatch, WEIR_MISMATCH_REFUSE,
         WEIR_MISMATCH_REBUILD},
    };
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && status == WEIR_OK; i++)
        status = check_range(rows[i].name, rows[i].value, rows[i].minimum, rows[i].maximum, err);
    return status;
}

weir_status weir__app_check_backend(const weir_app *app, const weir_store_config *store,
                                    weir_error *err)
{
    const char *spec;
    weir_option *all;
    weir_status status =
        weir__store_options(weir__state_backend(app->options.state_backend),
                            app->options.state_options, &app->typed, store, &spec, &all, err);
    if (status == WEIR_OK)
        status = weir__database_check(spec, all, app->options.state_dir, NULL, err);
    weir__option_free(all);
    if (status != WEIR_NOT_FOUND)
        return status;
    if (err)
        err->status = WEIR_INVALID; /* no such backend: a mistake in the options */
    return WEIR_INVALID;
}

static weir_status check_strings(const weir_app_options *options, weir_error *err)
{
    if (!options->broker || !options->broker[0])
        return weir_error_set(err, WEIR_INVALID,
                              "option broker is required: host:port, several separated by commas");
    if (!options->consumer_group || !options->consumer_group[0])
        return weir_error_set(err, WEIR_INVALID, "option consumer_group is required");
    const char *reset = options->auto_offset_reset;
    if (!reset || (strcmp(reset, "earliest") != 0 && strcmp(reset, "latest") != 0 &&
                   strcmp(reset, "error") != 0))
        return weir_error_set(err, WEIR_INVALID,
                              "option auto_offset_reset: \"%s\" is not one of earliest, latest, "
                              "error",
                              reset ? reset : "(null)");
    if (!options->state_dir || !options->state_dir[0])
        return weir_error_set(err, WEIR_INVALID,
                              "option state_dir: an empty path; name a folder, or leave the "
                              "default \"state\"");
    return WEIR_OK;
}

static weir_status copy_all(weir_app *app, const weir_app_options *from, weir_error *err)
{
    weir_app_options *to = &app->options;
    *to = *from;
    to->broker = weir__app_copy_string(app, from->broker);
    to->consumer_group = weir__app_copy_string(app, from->consumer_group);
    to->auto_offset_reset = weir__app_copy_string(app, from->auto_offset_reset);
    to->state_dir = weir__app_copy_string(app, from->state_dir);
    if (from->state_backend)
        to->state_backend = weir__app_copy_string(app, from->state_backend);
    to->state_options = weir__app_copy_options(app, from->state_options);
    to->kafka = weir__app_copy_options(app, from->kafka);
    to->consumer = weir__app_copy_options(app, from->consumer);
    to->producer = weir__app_copy_options(app, from->producer);
    if (!to->broker || !to->consumer_group || !to->auto_offset_reset || !to->state_dir ||
        (from->state_backend && !to->state_backend) || !to->state_options || !to->kafka ||
        !to->consumer || !to->producer)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for the application's options");
    weir_status status = weir__typed_options_copy(from->rocksdb_options, from->slatedb_options,
                                                  &app->arena, &app->typed, err);
    to->rocksdb_options = from->rocksdb_options ? &app->typed.rocksdb : NULL;
    to->slatedb_options = from->slatedb_options ? &app->typed.slatedb : NULL;
    return status;
}

/* A number among the librdkafka properties, which the client check has accepted. */
static int64_t client_number(const weir_app_options *options, const char *name, int64_t absent)
{
    const char *text = weir__option_get(options->consumer, name);
    if (!text)
        text = weir__option_get(options->kafka, name);
    return text ? strtoll(text, NULL, 10) : absent;
}

static void set_limits(weir_app *app)
{
    const weir_app_options *options = &app->options;
    app->max_poll_interval_ms = client_number(options, "max.poll.interval.ms", DEFAULT_MAX_POLL_MS);
    app->session_timeout_ms = client_number(options, "session.timeout.ms", DEFAULT_SESSION_MS);
    size_t bytes = options->cache_bytes / 4;
    if (bytes < LEAST_TXN_BYTES)
        bytes = LEAST_TXN_BYTES;
    bytes /= (size_t)options->workers;
    app->txn_bytes_limit = bytes < LEAST_WORKER_TXN_BYTES ? LEAST_WORKER_TXN_BYTES : bytes;
}

weir_status weir__app_set_options(weir_app *app, const weir_app_options *options, weir_error *err)
{
    weir_app_options all;
    weir_app_options_init(&all);
    if (!options || options->struct_size < sizeof(options->struct_size))
        return weir_error_set(err, WEIR_INVALID,
                              "the application's options are not set: call weir_app_options_init");
    /* A program built against an earlier header has a shorter struct. */
    memcpy(&all, options, options->struct_size < sizeof(all) ? options->struct_size : sizeof(all));
    all.struct_size = sizeof(all);
    if (!all.state_dir)
        all.state_dir = "state";

    weir_status status = check_strings(&all, err);
    if (status == WEIR_OK)
        status = check_numbers(&all, err);
    if (status == WEIR_OK)
        status = copy_all(app, &all, err);
    if (status == WEIR_OK)
        status = weir__app_check_backend(app, NULL, err);
    if (status != WEIR_OK)
        return status;
    app->kafka = (weir__kafka_config){
        .broker = app->options.broker,
        .group_id = app->options.consumer_group,
        .auto_offset_reset = app->options.auto_offset_reset,
        .kafka = app->options.kafka,
        .consumer = app->options.consumer,
        .producer = app->options.producer,
    };
    status = weir__kafka_config_check(&app->kafka, err);
    if (status == WEIR_OK)
        set_limits(app);
    return status;
}
