/*
 * A task's host for tests of the dataflow.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const store_names[HOST_MAX_STORES] = {"default", "s1", "s2", "s3"};

weir_app *test_app_new(void)
{
    weir_app_options options;
    weir_error err;
    weir_app *app;
    weir_app_options_init(&options);
    options.broker = "127.0.0.1:1";
    options.consumer_group = "group";
    options.state_backend = "memory";
    weir_error_init(&err);
    if (weir_app_new(&options, &app, &err) != WEIR_OK)
        fail_msg("weir_app_new: %s", err.message);
    return app;
}

weir_stream *test_source(weir_app *app)
{
    weir_topic_config topic;
    weir_error err;
    weir_topic_config_init(&topic);
    topic.name = "in";
    weir_error_init(&err);
    weir_stream *stream = weir_stream_source(app, &topic, &err);
    if (!stream)
        fail_msg("weir_stream_source: %s", err.message);
    return stream;
}

weir_stream *test_to(weir_stream *stream, const char *topic)
{
    weir_topic_config config;
    weir_error err;
    weir_topic_config_init(&config);
    config.name = topic;
    weir_error_init(&err);
    weir_stream *sink = weir_stream_to(stream, &config, &err);
    if (!sink)
        fail_msg("weir_stream_to: %s", err.message);
    return sink;
}

static weir_status host_state(weir__task_host *base, size_t store, weir_slice key,
                              int64_t timestamp, weir_state **state, weir_error *err)
{
    test_host *host = (test_host *)base;
    *state = NULL;
    if (!host->txns[store]) {
        weir_partition *partition =
            weir_state_manager_partition(host->manager, store_names[store], "in", 3);
        weir_status status = weir_partition_begin(partition, &host->txns[store], err);
        if (status != WEIR_OK)
            return status;
    }
    weir_txn_set_event_time(host->txns[store], timestamp);
    *state = weir_txn_state(host->txns[store], key);
    return *state ? WEIR_OK : weir_error_set(err, WEIR_NO_MEMORY, "no memory");
}

static void copy_text(char *to, size_t size, weir_slice from)
{
    snprintf(to, size, "%.*s", (int)from.size, from.size ? (const char *)from.data : "");
}

static weir_status host_produce(weir__task_host *base, size_t sink, const weir_record *record,
                                weir_error *err)
{
    test_host *host = (test_host *)base;
    if (host->produce_status != WEIR_OK)
        return weir_error_set(err, host->produce_status, "the sink refuses");
    if (host->forget) {
        host->sent_count++;
        return WEIR_OK;
    }
    assert_true(host->sent_count < HOST_MAX_SENT);
    test_sent *sent = &host->sent[host->sent_count++];
    sent->sink = sink;
    copy_text(sent->key, sizeof(sent->key), record->key);
    copy_text(sent->value, sizeof(sent->value), record->value);
    sent->has_value = record->has_value;
    sent->timestamp = record->timestamp;
    copy_text(sent->topic, sizeof(sent->topic), weir_slice_str(record->topic));
    sent->partition = record->partition;
    sent->offset = record->offset;
    return WEIR_OK;
}

static const weir__task_host_ops ops = {.state = host_state, .produce = host_produce};

static test_host *new_host(weir_stream *stream, size_t store_count,
                           weir_status (*add_store)(weir_state_manager *, const weir_store_config *,
                                                    weir_error *))
{
    weir_error err;
    weir_state_options options;
    test_host *host = calloc(1, sizeof(*host));
    assert_non_null(host);
    snprintf(host->dir, sizeof(host->dir), "/tmp/weir-stream-XXXXXX");
    assert_non_null(mkdtemp(host->dir));
    host->host.ops = &ops;
    host->store_count = store_count;
    weir_error_init(&err);
    weir_state_options_init(&options);
    options.group_id = "group";
    options.state_backend = "memory";
    options.state_dir = host->dir;
    if (weir_state_manager_new(&options, &host->manager, &err) != WEIR_OK)
        fail_msg("weir_state_manager_new: %s", err.message);
    for (size_t i = 0; i < store_count; i++) {
        weir_store_config config;
        weir_store_config_init(&config);
        config.name = store_names[i];
        config.stream_id = "in";
        config.changelog = false;
        assert_int_equal(add_store(host->manager, &config, &err), WEIR_OK);
    }
    if (store_count > 0 && weir_state_manager_assign(host->manager, "in", 3, &err) != WEIR_OK)
        fail_msg("weir_state_manager_assign: %s", err.message);
    assert_int_equal(weir__topology_ops.open(stream->topology, &host->host, &host->processor, &err),
                     WEIR_OK);
    return host;
}

test_host *test_host_new(weir_stream *stream, size_t store_count)
{
    return new_host(stream, store_count, weir_state_manager_register);
}

test_host *test_host_new_windowed(weir_stream *stream)
{
    return new_host(stream, 1, weir_state_manager_register_windowed_store);
}

void test_host_free(test_host *host)
{
    char command[128];
    weir__topology_ops.close(host->processor);
    for (size_t i = 0; i < host->store_count; i++)
        weir_txn_free(host->txns[i]);
    weir_state_manager_free(host->manager);
    snprintf(command, sizeof(command), "rm -rf '%s'", host->dir);
    assert_int_equal(system(command), 0);
    free(host);
}

weir_status test_host_run(test_host *host, const char *key, const char *value, int64_t offset,
                          weir_error *err)
{
    weir_record record = {
        .has_key = key != NULL,
        .has_value = value != NULL,
        .timestamp = 1000 + offset,
        .topic = "in",
        .partition = 3,
        .offset = offset,
    };
    if (key)
        record.key = weir_slice_str(key);
    if (value)
        record.value = weir_slice_str(value);
    return weir__topology_ops.process(host->processor, &record, err);
}

const char *test_host_sent(const test_host *host, size_t sink)
{
    static char text[8192];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < host->sent_count; i++) {
        const test_sent *sent = &host->sent[i];
        if (sent->sink == sink)
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s=%s", size ? " " : "",
                                     sent->key, sent->has_value ? sent->value : "(null)");
    }
    return text;
}
