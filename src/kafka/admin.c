/*
 * Topics: whether they are there, with how many partitions, and making them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/client.h"

/* How long a broker that has answered before may take. */
#define REQUEST_MS 10000
#define CREATE_MS  30000
/* One try of reaching a broker; also how soon a stop is seen. */
#define CONNECT_STEP_MS 200

struct weir__admin {
    weir__client client;
};

weir_status weir__admin_new(const weir__kafka_config *config, weir__admin **admin, weir_error *err)
{
    *admin = NULL;
    weir__admin *made = calloc(1, sizeof *made);
    if (!made)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a Kafka client");
    /* A consumer that joins no group: a producer's metadata requests would create topics. */
    weir_status status = weir__client_init(&made->client, WEIR__CLIENT_ADMIN, config,
                                           rd_kafka_conf_new(), made, err);
    if (status) {
        free(made);
        return status;
    }
    *admin = made;
    return WEIR_OK;
}

void weir__admin_free(weir__admin *admin)
{
    if (!admin)
        return;
    weir__client_release(&admin->client);
    free(admin);
}

weir_status weir__admin_connect(weir__admin *admin, int timeout_ms, const volatile bool *stop,
                                weir_error *err)
{
    char reason[512];
    int64_t deadline = weir__now_ms() + timeout_ms;
    for (;;) {
        const rd_kafka_metadata_t *metadata = NULL;
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(admin->client.handle, 0, NULL, &metadata, CONNECT_STEP_MS);
        rd_kafka_poll(admin->client.handle, 0); /* serves the error callback */
        if (!code) {
            rd_kafka_metadata_destroy(metadata);
            weir__client_proved(&admin->client);
            return WEIR_OK;
        }
        weir_status status = weir__client_denied(&admin->client, 0, err);
        if (status)
            return status;
        if (stop && *stop)
            return weir_error_set(err, WEIR_ABORTED, "stopped while connecting to Kafka");
        if (weir__now_ms() >= deadline)
            break;
        weir__sleep_ms(10, stop);
    }
    weir__client_reason(&admin->client, reason, sizeof reason);
    return weir_error_set(err, WEIR_KAFKA,
                          "no Kafka broker answered within %d ms (broker=%s): %s: check the "
                          "address and that the broker runs",
                          timeout_ms, admin->client.broker, *reason ? reason : "no connection");
}

/* *ready [out]: every partition has a leader. */
static weir_status query(weir__admin *admin, const char *topic, int32_t *partitions, bool *ready,
                         weir_error *err)
{
    char what[320];
    const rd_kafka_metadata_t *metadata = NULL;
    *partitions = 0;
    *ready = false;
    snprintf(what, sizeof what, "topic '%s': asking for its partitions", topic);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin->client.handle, topic, NULL);
    if (!handle)
        return weir__client_error(&admin->client, rd_kafka_last_error(), what, err);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(admin->client.handle, 0, handle, &metadata, REQUEST_MS);
    rd_kafka_poll(admin->client.handle, 0); /* serves the error callback */
    if (!code && metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    if (!code && metadata->topic_cnt == 1) {
        *partitions = metadata->topics[0].partition_cnt;
        *ready = true;
        for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
            *ready = *ready && metadata->topics[0].partitions[i].leader >= 0;
    }
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    if (!code || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return WEIR_OK;
    return weir__client_error(&admin->client, code, what, err);
}

weir_status weir__admin_partition_count(weir__admin *admin, const char *topic, int32_t *partitions,
                                        weir_error *err)
{
    bool ready;
    return query(admin, topic, partitions, &ready, err);
}

/* The answer to one CreateTopics request. */
static weir_status take_result(weir__admin *admin, rd_kafka_event_t *event, const char *topic,
                               weir_error *err)
{
    size_t count = 0;
    if (!event)
        return weir_error_set(err, WEIR_TIMEOUT, "topic '%s': no answer to its creation", topic);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *text = code ? rd_kafka_event_error_string(event) : NULL;
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    if (!code && result) {
        const rd_kafka_topic_result_t **topics =
            rd_kafka_CreateTopics_result_topics(result, &count);
        if (count == 1) {
            code = rd_kafka_topic_result_error(topics[0]);
            text = rd_kafka_topic_result_error_string(topics[0]);
        }
    }
    if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return WEIR_OK;
    weir_status status = weir__kafka_status(code);
    if (status == WEIR_KAFKA && code > 0)
        status = WEIR_TOPIC; /* the broker does not want it in this shape */
    return weir_error_set(err, status, "topic '%s' can't be created: %s (broker=%s)", topic,
                          text ? text : rd_kafka_err2str(code), admin->client.broker);
}

static weir_status request_topic(weir__admin *admin, rd_kafka_NewTopic_t *spec, const char *topic,
                                 weir_error *err)
{
    rd_kafka_t *handle = admin->client.handle;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    char reason[256];
    rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, reason, sizeof reason);
    rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_MS, reason, sizeof reason);
    rd_kafka_CreateTopics(handle, &spec, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CREATE_MS + 1000);
    weir_status status = take_result(admin, event, topic, err);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return status;
}

/* Metadata of other brokers lags behind the answer to the creation. */
static weir_status wait_for_topic(weir__admin *admin, const char *topic, int32_t partitions,
                                  weir_error *err)
{
    int64_t deadline = weir__now_ms() + CREATE_MS;
    for (;;) {
        int32_t found;
        bool ready;
        weir_status status = query(admin, topic, &found, &ready, err);
        if (status && weir_status_class_of(status) != WEIR_CLASS_RETRY)
            return status;
        if (!status && found != 0 && found != partitions)
            return weir_error_set(err, WEIR_TOPIC,
                                  "topic '%s' has %d partitions, not %d: delete it or create it "
                                  "with %d partitions",
                                  topic, found, partitions, partitions);
        if (!status && found == partitions && ready)
            return WEIR_OK;
        if (weir__now_ms() >= deadline)
            return weir_error_set(err, WEIR_TIMEOUT,
                                  "topic '%s' was created, but does not show up in the metadata "
                                  "(broker=%s)",
                                  topic, admin->client.broker);
        weir__sleep_ms(20, NULL);
    }
}

weir_status weir__admin_create_topic(weir__admin *admin, const char *topic, int32_t partitions,
                                     int replication_factor, const weir_option *config,
                                     weir_error *err)
{
    char reason[512];
    rd_kafka_NewTopic_t *spec = rd_kafka_NewTopic_new(
        topic, partitions, replication_factor > 0 ? replication_factor : -1, reason, sizeof reason);
    if (!spec)
        return weir_error_set(err, WEIR_TOPIC, "topic '%s' can't be created: %s", topic, reason);
    for (; config && config->key; config++)
        rd_kafka_NewTopic_set_config(spec, config->key, config->value);
    weir_status status = request_topic(admin, spec, topic, err);
    rd_kafka_NewTopic_destroy(spec);
    if (status)
        return status;
    return wait_for_topic(admin, topic, partitions, err);
}
