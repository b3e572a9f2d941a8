/*
 * The consumer of a worker: fetching in batches, errors told or left to librdkafka,
 * positions and commits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/consumer.h"

/* Credentials that were good before may be refused for this long (a broker that starts). */
#define DENIED_GRACE_MS 60000
/* How often the errors of a client are looked at while nothing arrives. */
#define WAIT_STEP_MS 1000
/* Memory for headers that is kept from batch to batch. */
#define HEADER_KEEP (256 * 1024)

weir_status weir__consumer_new(const weir__kafka_config *config,
                               const weir__consumer_events *events, weir__consumer **consumer,
                               weir_error *err)
{
    static const uint64_t one = 1;
    *consumer = NULL;
    weir__consumer *made = calloc(1, sizeof *made);
    if (!made)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a Kafka consumer");
    made->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made->wake_fd < 0) {
        weir_status status = weir_error_set(err, WEIR_IO, "eventfd: %s", strerror(errno));
        free(made);
        return status;
    }
    weir__arena_init(&made->headers);
    if (events)
        made->events = *events;
    const char *reset = config->auto_offset_reset;
    made->start_at_end = !reset || strcmp(reset, "latest") == 0;
    made->start_at_begin = reset && strcmp(reset, "earliest") == 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_rebalance_cb(conf, weir__consumer_on_rebalance);
    weir_status status =
        weir__client_init(&made->client, WEIR__CLIENT_CONSUMER, config, conf, made, err);
    if (status) {
        close(made->wake_fd);
        free(made);
        return status;
    }
    rd_kafka_poll_set_consumer(made->client.handle);
    made->records = rd_kafka_queue_new(made->client.handle);
    rd_kafka_queue_io_event_enable(made->records, made->wake_fd, &one, sizeof one);
    rd_kafka_queue_t *own = rd_kafka_queue_get_consumer(made->client.handle);
    rd_kafka_queue_io_event_enable(own, made->wake_fd, &one, sizeof one);
    rd_kafka_queue_destroy(own);
    *consumer = made;
    return WEIR_OK;
}

weir_status weir__consumer_close(weir__consumer *consumer, weir_error *err)
{
    if (!consumer)
        return WEIR_OK;
    weir__consumer_release(consumer);
    consumer->failed = WEIR_OK;
    rd_kafka_resp_err_t code = rd_kafka_consumer_close(consumer->client.handle);
    weir_status status = consumer->failed;
    if (status)
        weir_error_set(err, status, "%s", consumer->failure.message);
    else if (code)
        status = weir__client_error(&consumer->client, code, "leaving the consumer group", err);
    if (!weir__client_may_destroy(&consumer->client)) {
        consumer->events = (weir__consumer_events){.arg = NULL};
        weir_log(WEIR_LOG_DEBUG, "kafka.consumer",
                 "closed before it was given an assignment; its "
                 "memory is kept to the end of the process");
        return status;
    }
    rd_kafka_queue_io_event_enable(consumer->records, -1, NULL, 0);
    rd_kafka_queue_t *own = rd_kafka_queue_get_consumer(consumer->client.handle);
    if (own) {
        rd_kafka_queue_io_event_enable(own, -1, NULL, 0);
        rd_kafka_queue_destroy(own);
    }
    rd_kafka_queue_destroy(consumer->records);
    weir__client_release(&consumer->client);
    close(consumer->wake_fd);
    for (size_t i = 0; i < consumer->assigned_count; i++)
        free(consumer->assigned[i].topic);
    free(consumer->assigned);
    free(consumer->raw);
    free(consumer->messages);
    weir__arena_release(&consumer->headers);
    free(consumer);
    return status;
}

weir_status weir__consumer_subscribe(weir__consumer *consumer, const char *const *topics,
                                     size_t count, weir_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->client.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? weir__client_error(&consumer->client, code, "subscribing", err) : WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * Errors among the records
 * ------------------------------------------------------------------------- */

/* True for what ends the consumer; the rest is librdkafka's to retry. */
static bool is_final(rd_kafka_resp_err_t code)
{
    switch (weir__kafka_status(code)) {
    case WEIR_TOPIC:
    case WEIR_OFFSET:
    case WEIR_INVALID:
        return true;
    case WEIR_PERMISSION:
        /* Refused credentials have a time of grace: weir__client_denied. */
        return code != RD_KAFKA_RESP_ERR__AUTHENTICATION &&
               code != RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
    default:
        return code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__FENCED ||
               code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ||
               code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION || code == RD_KAFKA_RESP_ERR__BAD_MSG ||
               code == RD_KAFKA_RESP_ERR_INVALID_MSG ||
               code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION;
    }
}

static weir_status take_error(weir__consumer *consumer, const rd_kafka_message_t *message,
                              weir_error *err)
{
    char text[512], place[320] = "";
    rd_kafka_resp_err_t code = message->err;
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return WEIR_OK;
    snprintf(text, sizeof text, "%s", rd_kafka_message_errstr(message));
    weir__client_redact(&consumer->client, text);
    if (message->rkt)
        snprintf(place, sizeof place,
                 "topic '%s' partition %d offset %lld: ", rd_kafka_topic_name(message->rkt),
                 message->partition, (long long)message->offset);
    if (code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        weir_log(WEIR_LOG_WARN, "kafka.max_poll_exceeded",
                 "the group has taken the partitions away: %s", text);
        return WEIR_OK;
    }
    if (!is_final(code)) {
        weir_log(WEIR_LOG_WARN, "kafka.consumer", "%s%s: %s", place, rd_kafka_err2name(code), text);
        return WEIR_OK;
    }
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        /* The code below it tells what it is: another member with this instance id, say. */
        char unused[8];
        code = rd_kafka_fatal_error(consumer->client.handle, unused, sizeof unused);
    }
    weir_status status = weir__kafka_status(code);
    if (code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR_INVALID_MSG)
        status = WEIR_CORRUPTED;
    const char *hint = "";
    if (status == WEIR_TOPIC)
        hint = ": create the topic, or check its name";
    else if (status == WEIR_OFFSET)
        hint = ": there is no valid committed offset and auto_offset_reset is 'error'";
    return weir_error_set(err, status, "%s%s%s (broker=%s)", place, text, hint,
                          consumer->client.broker);
}

/* ---------------------------------------------------------------------------
 * Batches
 * ------------------------------------------------------------------------- */

static weir_status reserve(weir__consumer *consumer, size_t count, weir_error *err)
{
    if (count <= consumer->capacity)
        return WEIR_OK;
    rd_kafka_message_t **raw = realloc(consumer->raw, count * sizeof *raw);
    if (raw)
        consumer->raw = raw;
    weir__message *messages = realloc(consumer->messages, count * sizeof *messages);
    if (messages)
        consumer->messages = messages;
    if (!raw || !messages)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a batch of %zu records", count);
    consumer->capacity = count;
    return WEIR_OK;
}

static void fill_message(weir__message *out, rd_kafka_message_t *message)
{
    weir_record *record = &out->record;
    record->key = weir_slice_of(message->key, message->key_len);
    record->value = weir_slice_of(message->payload, message->len);
    record->has_key = message->key != NULL;
    record->has_value = message->payload != NULL;
    record->timestamp = rd_kafka_message_timestamp(message, NULL);
    record->headers = NULL;
    record->header_count = 0;
    record->topic = rd_kafka_topic_name(message->rkt);
    record->partition = message->partition;
    record->offset = message->offset;
    out->handle = message;
}

/* Turns raw[first…count) into messages. Records of partitions that are no longer assigned are
 * dropped. */
static weir_status take_batch(weir__consumer *consumer, size_t first, size_t count, size_t *taken,
                              weir_error *err)
{
    weir_status status = WEIR_OK;
    consumer->raw_count = count;
    for (size_t i = first; i < count; i++) {
        rd_kafka_message_t *message = consumer->raw[i];
        if (message->err) {
            if (!status)
                status = take_error(consumer, message, err);
            continue;
        }
        weir__assigned *from =
            weir__consumer_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);
        if (!from)
            continue;
        from->next = message->offset + 1;
        fill_message(&consumer->messages[(*taken)++], message);
    }
    return status;
}

/* Rebalances, errors and callbacks. A record here (from before its partition was forwarded) is
 * put in front of the batch. */
static weir_status serve_events(weir__consumer *consumer, size_t *raw_count, size_t *taken,
                                size_t max, weir_error *err)
{
    weir_status status = WEIR_OK;
    while (!status && *raw_count < max) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->client.handle, 0);
        if (!message)
            break;
        consumer->raw[*raw_count] = message;
        status = take_batch(consumer, *raw_count, *raw_count + 1, taken, err);
        ++*raw_count;
    }
    if (!status && consumer->failed) {
        status = weir_error_set(err, consumer->failed, "%s", consumer->failure.message);
        consumer->failed = WEIR_OK;
    }
    if (!status)
        status =
            weir__client_denied(&consumer->client, consumer->joined ? DENIED_GRACE_MS : 0, err);
    return status;
}

static void wait_for_more(weir__consumer *consumer, int64_t ms)
{
    uint64_t wakes;
    struct pollfd fd = {.fd = consumer->wake_fd, .events = POLLIN};
    if (poll(&fd, 1, ms > WAIT_STEP_MS ? WAIT_STEP_MS : (int)ms) > 0 &&
        read(consumer->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
        weir_log(WEIR_LOG_WARN, "kafka.consumer", "eventfd: %s", strerror(errno));
}

weir_status weir__consumer_poll(weir__consumer *consumer, int timeout_ms, size_t max,
                                weir__message **messages, size_t *count, weir_error *err)
{
    int64_t deadline = 0; /* the clock is read only when there is something to wait for */
    *messages = NULL;
    *count = 0;
    weir__consumer_release(consumer);
    weir_status status = reserve(consumer, max, err);
    while (!status) {
        size_t raw_count = 0;
        status = serve_events(consumer, &raw_count, count, max, err);
        if (!status && raw_count < max) {
            ssize_t fetched = rd_kafka_consume_batch_queue(
                consumer->records, 0, consumer->raw + raw_count, max - raw_count);
            if (fetched > 0)
                status = take_batch(consumer, raw_count, raw_count + (size_t)fetched, count, err);
        }
        if (!status && (*count > 0 || consumer->flowing))
            weir__client_wake(&consumer->client, *count == 0);
        consumer->flowing = *count > 0;
        if (status || *count > 0)
            break;
        weir__consumer_release(consumer); /* what held errors and stale records only */
        int64_t now = weir__now_ms();
        if (deadline == 0)
            deadline = now + timeout_ms;
        if (now >= deadline)
            break;
        wait_for_more(consumer, deadline - now);
    }
    if (status)
        weir__consumer_release(consumer);
    *messages = consumer->messages;
    if (status)
        *count = 0;
    return status;
}

void weir__consumer_release(weir__consumer *consumer)
{
    for (size_t i = 0; i < consumer->raw_count; i++)
        rd_kafka_message_destroy(consumer->raw[i]);
    consumer->raw_count = 0;
    weir__arena_reset(&consumer->headers, HEADER_KEEP);
}

weir_status weir__message_headers(weir__consumer *consumer, weir__message *message, weir_error *err)
{
    rd_kafka_headers_t *parsed;
    const rd_kafka_message_t *raw = message->handle;
    weir_record *record = &message->record;
    if (record->headers)
        return WEIR_OK;
    rd_kafka_resp_err_t code = rd_kafka_message_headers(raw, &parsed);
    if (code == RD_KAFKA_RESP_ERR__NOENT)
        return WEIR_OK;
    if (code)
        return weir_error_set(err, WEIR_CORRUPTED,
                              "topic '%s' partition %d offset %lld: headers: %s", record->topic,
                              record->partition, (long long)record->offset, rd_kafka_err2str(code));
    size_t count = rd_kafka_header_cnt(parsed);
    weir_header *headers = weir__arena_alloc(&consumer->headers, count * sizeof *headers);
    if (!headers)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for %zu headers", count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_header_get_all(parsed, i, &headers[i].name, &headers[i].value.data,
                                    &headers[i].value.size))
            headers[i] = (weir_header){.name = "", .value = {NULL, 0}};
    record->headers = headers;
    record->header_count = count;
    return WEIR_OK;
}
