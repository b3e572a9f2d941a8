/*
 * The producer of a worker: idempotent, partitioned like Java clients, with the highest
 * offset of each changelog partition noted and the first failure kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/client.h"
#include "kafka/producer.h"

/* Longer than librdkafka keeps a record that can't be delivered (message.timeout.ms) nobody waits
 * for room in its queue: by then the failure has been told. */
#define FULL_QUEUE_MS      330000
#define FULL_QUEUE_STEP_MS 50

struct weir__producer_topic {
    rd_kafka_topic_t *handle;
    char *name;
    weir__producer_topic *next;
};

/* A delivery whose owner has gone while reports were outstanding. */
typedef struct orphan {
    weir__delivery *delivery;
    struct orphan *next;
} orphan;

struct weir__producer {
    weir__client client;
    weir__producer_topic *topics;
    orphan *orphans;
    bool closing;
    weir_status failed; /* the first failed delivery; for good */
    weir_error failure;
};

static void note_failure(weir__producer *producer, const rd_kafka_message_t *message)
{
    char reason[512] = "";
    if (producer->failed || producer->closing)
        return;
    if (message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        weir__client_reason(&producer->client, reason, sizeof reason);
    producer->failed = weir_error_set(
        &producer->failure, weir__kafka_status(message->err),
        "a record was not delivered to topic '%s' partition %d: %s%s%s (broker=%s)",
        rd_kafka_topic_name(message->rkt), message->partition, rd_kafka_err2str(message->err),
        *reason ? "; last: " : "", reason, producer->client.broker);
    weir_log(WEIR_LOG_ERROR, "kafka.delivery", "%s", producer->failure.message);
}

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    weir__client *client = opaque;
    if (message->err)
        note_failure(client->owner, message);
    weir__delivery *delivery = message->_private;
    if (!delivery)
        return;
    delivery->pending--;
    if (!message->err && message->offset > delivery->last_offset)
        delivery->last_offset = message->offset;
}

weir_status weir__producer_new(const weir__kafka_config *config, weir__producer **producer,
                               weir_error *err)
{
    *producer = NULL;
    weir__producer *made = calloc(1, sizeof *made);
    if (!made)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a Kafka producer");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    weir_status status =
        weir__client_init(&made->client, WEIR__CLIENT_PRODUCER, config, conf, made, err);
    if (status) {
        free(made);
        return status;
    }
    *producer = made;
    return WEIR_OK;
}

void weir__producer_free(weir__producer *producer)
{
    if (!producer)
        return;
    producer->closing = true;
    rd_kafka_purge(producer->client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    /* The records' deliveries may be gone by now: their reports must not be served. */
    while (producer->topics) {
        weir__producer_topic *topic = producer->topics;
        producer->topics = topic->next;
        rd_kafka_topic_destroy(topic->handle);
        free(topic->name);
        free(topic);
    }
    weir__client_release(&producer->client);
    while (producer->orphans) {
        orphan *gone = producer->orphans;
        producer->orphans = gone->next;
        free(gone->delivery);
        free(gone);
    }
    free(producer);
}

void weir__producer_adopt(weir__producer *producer, weir__delivery *delivery)
{
    if (delivery->pending <= 0) {
        free(delivery);
        return;
    }
    orphan *added = malloc(sizeof *added);
    if (!added)
        return; /* leaking a few bytes is better than a report into freed memory */
    added->delivery = delivery;
    added->next = producer->orphans;
    producer->orphans = added;
}

weir_status weir__producer_open_topic(weir__producer *producer, const char *name,
                                      weir__producer_topic **topic, weir_error *err)
{
    *topic = NULL;
    for (weir__producer_topic *known = producer->topics; known; known = known->next)
        if (strcmp(known->name, name) == 0) {
            *topic = known;
            return WEIR_OK;
        }
    weir__producer_topic *made = calloc(1, sizeof *made);
    if (made)
        made->name = strdup(name);
    if (!made || !made->name) {
        free(made);
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for topic '%s'", name);
    }
    made->handle = rd_kafka_topic_new(producer->client.handle, name, NULL);
    if (!made->handle) {
        weir_status status = weir_error_set(err, WEIR_TOPIC, "topic '%s': %s", name,
                                            rd_kafka_err2str(rd_kafka_last_error()));
        free(made->name);
        free(made);
        return status;
    }
    made->next = producer->topics;
    producer->topics = made;
    *topic = made;
    return WEIR_OK;
}

static weir_status failed(const weir__producer *producer, weir_error *err)
{
    return weir_error_set(err, producer->failed, "%s", producer->failure.message);
}

/* What librdkafka says of the producer as a whole: a fatal error, refused credentials. */
static weir_status check_client(weir__producer *producer, weir_error *err)
{
    char reason[512];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer->client.handle, reason, sizeof reason);
    if (!code)
        return weir__client_denied(&producer->client, 0, err);
    weir__client_redact(&producer->client, reason);
    return weir_error_set(err, weir__kafka_status(code), "the Kafka producer can't go on: %s",
                          reason);
}

static weir_status produce_error(weir__producer *producer, const weir__producer_topic *topic,
                                 int32_t partition, const weir_record *record,
                                 rd_kafka_resp_err_t code, weir_error *err)
{
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return weir_error_set(err, WEIR_TOO_LARGE,
                              "a record for topic '%s' is larger than message.max.bytes: key %zu "
                              "and value %zu bytes: raise message.max.bytes here and "
                              "max.message.bytes of the topic, or send less",
                              topic->name, record->key.size, record->value.size);
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        weir_status status = check_client(producer, err);
        if (status)
            return status;
    }
    return weir_error_set(err, weir__kafka_status(code),
                          "a record can't be sent to topic '%s' partition %d: %s", topic->name,
                          partition, rd_kafka_err2str(code));
}

/* NULL in *headers [out] for a record without any. */
static weir_status make_headers(const weir_record *record, rd_kafka_headers_t **headers,
                                weir_error *err)
{
    *headers = NULL;
    if (record->header_count == 0)
        return WEIR_OK;
    *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; *headers && i < record->header_count; i++) {
        const weir_header *header = &record->headers[i];
        rd_kafka_resp_err_t code =
            rd_kafka_header_add(*headers, header->name, -1, header->value.data,
                                header->value.data ? (ssize_t)header->value.size : 0);
        if (code) {
            rd_kafka_headers_destroy(*headers);
            *headers = NULL;
            return weir_error_set(err, WEIR_INVALID, "header '%s': %s", header->name,
                                  rd_kafka_err2str(code));
        }
    }
    return *headers ? WEIR_OK : weir_error_set(err, WEIR_NO_MEMORY, "no memory for headers");
}

/* One try. On success the headers belong to librdkafka. An empty key or value needs an address:
 * NULL means null. */
static rd_kafka_resp_err_t send_once(weir__producer *producer, const weir__producer_topic *topic,
                                     int32_t partition, const weir_record *record,
                                     rd_kafka_headers_t *headers, weir__delivery *delivery)
{
    static const char empty[1];
    const void *key = record->key.size ? record->key.data : empty;
    const void *value = record->value.size ? record->value.data : empty;
    if (!record->has_key)
        key = NULL;
    if (!record->has_value)
        value = NULL;
    return rd_kafka_producev(
        producer->client.handle, RD_KAFKA_V_RKT(topic->handle), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, record->has_key ? record->key.size : 0),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, record->has_value ? record->value.size : 0),
        RD_KAFKA_V_TIMESTAMP(record->timestamp > 0 ? record->timestamp : 0),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(delivery), RD_KAFKA_V_END);
}

/* The queue is full: serves deliveries until there is room. */
static rd_kafka_resp_err_t send_when_room(weir__producer *producer,
                                          const weir__producer_topic *topic, int32_t partition,
                                          const weir_record *record, rd_kafka_headers_t *headers,
                                          weir__delivery *delivery)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    int64_t deadline = weir__now_ms() + FULL_QUEUE_MS;
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !producer->failed &&
           weir__now_ms() < deadline) {
        rd_kafka_poll(producer->client.handle, FULL_QUEUE_STEP_MS);
        if (check_client(producer, NULL))
            break;
        code = send_once(producer, topic, partition, record, headers, delivery);
    }
    return code;
}

weir_status weir__producer_produce(weir__producer *producer, weir__producer_topic *topic,
                                   int32_t partition, const weir_record *record,
                                   weir__delivery *delivery, weir_error *err)
{
    rd_kafka_headers_t *headers;
    if (producer->failed)
        return failed(producer, err);
    weir_status status = make_headers(record, &headers, err);
    if (status)
        return status;
    int32_t target = partition < 0 ? RD_KAFKA_PARTITION_UA : partition;
    rd_kafka_resp_err_t code = send_once(producer, topic, target, record, headers, delivery);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        code = send_when_room(producer, topic, target, record, headers, delivery);
    if (!code) {
        if (delivery)
            delivery->pending++;
        return WEIR_OK;
    }
    if (headers)
        rd_kafka_headers_destroy(headers);
    if (producer->failed)
        return failed(producer, err);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        status = check_client(producer, err);
        if (status)
            return status;
    }
    return produce_error(producer, topic, partition, record, code, err);
}

void weir__producer_poll(weir__producer *producer)
{
    rd_kafka_poll(producer->client.handle, 0);
}

weir_status weir__producer_flush(weir__producer *producer, int timeout_ms, weir_error *err)
{
    char reason[512];
    int64_t deadline = weir__now_ms() + timeout_ms;
    for (;;) {
        int64_t left = deadline - weir__now_ms();
        /* In steps, so that a failure of the producer as a whole is told when it happens. */
        int step = left < 0 ? 0 : left < 500 ? (int)left : 500;
        rd_kafka_resp_err_t code = rd_kafka_flush(producer->client.handle, step);
        if (producer->failed)
            return failed(producer, err);
        if (!code)
            return WEIR_OK;
        weir_status status = check_client(producer, err);
        if (status)
            return status;
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT)
            return weir__client_error(&producer->client, code, "flushing the producer", err);
        if (left <= 0)
            break;
    }
    weir__client_reason(&producer->client, reason, sizeof reason);
    return weir_error_set(err, WEIR_TIMEOUT,
                          "%d records are not delivered after %d ms%s%s (broker=%s)",
                          rd_kafka_outq_len(producer->client.handle), timeout_ms,
                          *reason ? "; last: " : "", reason, producer->client.broker);
}
