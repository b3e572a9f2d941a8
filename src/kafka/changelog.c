/*
 * A changelog over one partition of a Kafka topic: appended by the worker's producer,
 * read back in bulk by a consumer of its own that belongs to no group.
 *
 * A message has the state key and the stored value, and two headers that Quix Streams
 * 3.x knows: __column_family__ and __processed_tp_offsets__.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/client.h"
#include "kafka/producer.h"

#define HEADER_CF        "__column_family__"
#define HEADER_PROCESSED "__processed_tp_offsets__"
#define HEADER_STAMPED   "__ttl_stamped__"
#define QUERY_MS         30000

struct weir_kafka_reader {
    weir__client client;
};

typedef struct kafka_changelog {
    weir_changelog base;
    weir_kafka_reader *reader;
    weir__producer *producer; /* NULL: only read; then the next two are NULL too */
    weir__producer_topic *output;
    weir__delivery *delivery; /* outlives the changelog while reports are outstanding */
    char *topic;
    int32_t partition;
    char *name;

    rd_kafka_queue_t *queue; /* its messages alone; NULL: not reading */
    int64_t position;
    int64_t high; /* as range() told last */

    rd_kafka_message_t **batch; /* what the last read lent out */
    size_t batch_count;
    size_t batch_capacity;
} kafka_changelog;

/* ---------------------------------------------------------------------------
 * The reader
 * ------------------------------------------------------------------------- */

weir_status weir__kafka_reader_new(const weir__kafka_config *config, weir_kafka_reader **reader,
                                   weir_error *err)
{
    *reader = NULL;
    weir_kafka_reader *made = calloc(1, sizeof *made);
    if (!made)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for a changelog reader");
    weir_status status = weir__client_init(&made->client, WEIR__CLIENT_READER, config,
                                           rd_kafka_conf_new(), made, err);
    if (status) {
        free(made);
        return status;
    }
    rd_kafka_poll_set_consumer(made->client.handle);
    *reader = made;
    return WEIR_OK;
}

void weir_kafka_reader_free(weir_kafka_reader *reader)
{
    if (!reader)
        return;
    rd_kafka_consumer_close(reader->client.handle);
    weir__client_release(&reader->client);
    free(reader);
}

weir_status weir_kafka_reader_new(const char *broker, const char *group_id,
                                  const weir_option *properties, weir_kafka_reader **reader,
                                  weir_error *err)
{
    const weir__kafka_config config = {
        .broker = broker, .group_id = group_id, .consumer = properties};
    *reader = NULL;
    if (!broker || !group_id)
        return weir_error_set(err, WEIR_INVALID, "a reader needs a broker and the name of a group");
    return weir__kafka_reader_new(&config, reader, err);
}

weir_status weir_kafka_reader_open(weir_kafka_reader *reader, const char *topic, int32_t partition,
                                   weir_changelog **changelog, weir_error *err)
{
    return weir__kafka_changelog_open(NULL, reader, topic, partition, changelog, err);
}

/* Errors that concern no partition; the error callback. */
static weir_status serve_reader(weir_kafka_reader *reader, weir_error *err)
{
    rd_kafka_message_t *message;
    while ((message = rd_kafka_consumer_poll(reader->client.handle, 0)) != NULL) {
        if (message->err)
            weir_log(WEIR_LOG_WARN, "kafka.reader", "%s", rd_kafka_err2str(message->err));
        rd_kafka_message_destroy(message);
    }
    return weir__client_denied(&reader->client, 0, err);
}

/* ---------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------- */

static void stop_reading(kafka_changelog *log);

static weir_status check_writable(const kafka_changelog *log, weir_error *err)
{
    if (log->producer)
        return WEIR_OK;
    return weir_error_set(err, WEIR_UNSUPPORTED, "changelog %s was opened for reading alone",
                          log->name);
}

static weir_status changelog_append(weir_changelog *changelog, const weir_changelog_record *record,
                                    weir_error *err)
{
    kafka_changelog *log = (kafka_changelog *)changelog;
    static const weir_slice null_json = {"null", 4};
    weir_slice processed = record->processed_offsets ? weir_slice_of(record->processed_offsets,
                                                                     record->processed_offsets_size)
                                                     : null_json;
    const weir_header headers[] = {{HEADER_CF, weir_slice_of(record->cf, strlen(record->cf))},
                                   {HEADER_PROCESSED, processed},
                                   {HEADER_STAMPED, weir_slice_of("\x01", 1)}};
    const weir_record message = {.key = record->key,
                                 .value = record->value,
                                 .has_key = true,
                                 .has_value = !record->is_tombstone,
                                 .timestamp = -1,
                                 .headers = headers,
                                 .header_count = record->ttl_stamped ? 3 : 2};
    weir_status status = check_writable(log, err);
    if (status)
        return status;
    stop_reading(log);
    return weir__producer_produce(log->producer, log->output, log->partition, &message,
                                  log->delivery, err);
}

static weir_status changelog_flush(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                                   weir_error *err)
{
    kafka_changelog *log = (kafka_changelog *)changelog;
    *last_offset = WEIR_OFFSET_NONE;
    weir_status status = check_writable(log, err);
    if (status)
        return status;
    status = weir__producer_flush(log->producer, timeout_ms, err);
    *last_offset = log->delivery->last_offset;
    return status;
}

/* ---------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------- */

static weir_status log_error(kafka_changelog *log, rd_kafka_resp_err_t code, const char *what,
                             weir_error *err)
{
    char text[1024];
    snprintf(text, sizeof text, "changelog %s: %s", log->name, what);
    return weir__client_error(&log->reader->client, code, text, err);
}

static weir_status changelog_range(weir_changelog *changelog, int64_t *low, int64_t *high,
                                   weir_error *err)
{
    kafka_changelog *log = (kafka_changelog *)changelog;
    rd_kafka_resp_err_t code = weir__client_watermarks(&log->reader->client, log->topic,
                                                       log->partition, low, high, QUERY_MS);
    weir_status status = serve_reader(log->reader, err);
    if (status)
        return status;
    if (code)
        return log_error(log, code, "asking for its first and last offset", err);
    log->high = *high;
    return WEIR_OK;
}

static void release_batch(kafka_changelog *log)
{
    for (size_t i = 0; i < log->batch_count; i++)
        rd_kafka_message_destroy(log->batch[i]);
    log->batch_count = 0;
}

static rd_kafka_topic_partition_list_t *own_partition(const kafka_changelog *log)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, log->topic, log->partition)->offset = log->position;
    return list;
}

/* Ends fetching: nobody keeps messages of a log that is read no further. */
static void stop_reading(kafka_changelog *log)
{
    if (!log->queue)
        return;
    rd_kafka_topic_partition_list_t *list = own_partition(log);
    rd_kafka_error_t *error = rd_kafka_incremental_unassign(log->reader->client.handle, list);
    if (error) {
        weir_log(WEIR_LOG_WARN, "kafka.reader", "changelog %s: %s", log->name,
                 rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(log->queue);
    log->queue = NULL;
}

/* Begins fetching at the position, into a queue of its own: so several logs of one reader are
 * read side by side. */
static weir_status start_reading(kafka_changelog *log, weir_error *err)
{
    rd_kafka_t *handle = log->reader->client.handle;
    log->queue = rd_kafka_queue_get_partition(handle, log->topic, log->partition);
    if (!log->queue)
        return weir_error_set(err, WEIR_TOPIC, "changelog %s: there is no such partition",
                              log->name);
    rd_kafka_queue_forward(log->queue, NULL);
    rd_kafka_topic_partition_list_t *list = own_partition(log);
    rd_kafka_error_t *error = rd_kafka_incremental_assign(handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!error)
        return WEIR_OK;
    rd_kafka_queue_destroy(log->queue);
    log->queue = NULL;
    return weir__client_error_object(&log->reader->client, error, log->name, err);
}

static weir_status changelog_seek(weir_changelog *changelog, int64_t offset, weir_error *err)
{
    (void)err;
    kafka_changelog *log = (kafka_changelog *)changelog;
    stop_reading(log);
    release_batch(log);
    log->position = offset;
    return WEIR_OK;
}

/* What stands among the messages: the end of the log, which tells the position behind control
 * and aborted records, and errors. */
static weir_status take_event(kafka_changelog *log, const rd_kafka_message_t *message,
                              weir_error *err)
{
    char what[512];
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (message->offset > log->position)
            log->position = message->offset;
        return WEIR_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__FATAL:
        snprintf(what, sizeof what, "reading at offset %lld: %s", (long long)log->position,
                 rd_kafka_message_errstr(message));
        weir__client_redact(&log->reader->client, what);
        return log_error(log, message->err, what, err);
    default:
        weir_log(WEIR_LOG_WARN, "kafka.reader", "changelog %s: %s", log->name,
                 rd_kafka_err2name(message->err));
        return WEIR_OK;
    }
}

static weir_status fill_record(kafka_changelog *log, const rd_kafka_message_t *message,
                               weir_changelog_record *record, weir_error *err)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    *record = (weir_changelog_record){.key = weir_slice_of(message->key, message->key_len),
                                      .value = weir_slice_of(message->payload, message->len),
                                      .is_tombstone = message->payload == NULL,
                                      .offset = message->offset};
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; i++) {
            /* librdkafka puts a NUL behind each value. */
            if (strcmp(name, HEADER_CF) == 0) {
                record->cf = value;
            } else if (strcmp(name, HEADER_PROCESSED) == 0) {
                record->processed_offsets = value;
                record->processed_offsets_size = size;
            } else if (strcmp(name, HEADER_STAMPED) == 0) {
                record->ttl_stamped = size > 0;
            }
        }
    if (message->key && record->cf)
        return WEIR_OK;
    return weir_error_set(err, WEIR_SERIALIZATION,
                          "changelog %s offset %lld: the message has no %s: the topic holds "
                          "something else than a changelog of Weir or Quix Streams",
                          log->name, (long long)message->offset,
                          message->key ? "header " HEADER_CF : "key");
}

/* Sorts batch[0…fetched) into records and events. */
static weir_status take_batch(kafka_changelog *log, size_t fetched, weir_changelog_record *records,
                              size_t *count, weir_error *err)
{
    weir_status status = WEIR_OK;
    log->batch_count = fetched;
    for (size_t i = 0; !status && i < fetched; i++) {
        const rd_kafka_message_t *message = log->batch[i];
        if (message->err) {
            status = take_event(log, message, err);
        } else if (message->offset >= log->position) {
            status = fill_record(log, message, &records[*count], err);
            if (!status) {
                ++*count;
                log->position = message->offset + 1;
            }
        }
    }
    return status;
}

static weir_status changelog_read(weir_changelog *changelog, weir_changelog_record *records,
                                  size_t max, int timeout_ms, size_t *count, int64_t *position,
                                  weir_error *err)
{
    kafka_changelog *log = (kafka_changelog *)changelog;
    weir_status status = WEIR_OK;
    *count = 0;
    release_batch(log);
    if (max > log->batch_capacity) {
        rd_kafka_message_t **grown = realloc(log->batch, max * sizeof *grown);
        if (!grown)
            status = weir_error_set(err, WEIR_NO_MEMORY, "no memory for %zu messages", max);
        else
            log->batch = grown;
        log->batch_capacity = grown ? max : log->batch_capacity;
    }
    if (!status && !log->queue)
        status = start_reading(log, err);
    if (!status) {
        ssize_t fetched = rd_kafka_consume_batch_queue(log->queue, 0, log->batch, max);
        weir__client_wake(&log->reader->client, fetched <= 0);
        /* With a timeout it would wait until the whole batch is full: only for the first. */
        if (fetched == 0 && timeout_ms > 0) {
            fetched = rd_kafka_consume_batch_queue(log->queue, timeout_ms, log->batch, 1);
            if (fetched == 1 && max > 1)
                fetched += rd_kafka_consume_batch_queue(log->queue, 0, log->batch + 1, max - 1);
        }
        if (fetched > 0)
            status = take_batch(log, (size_t)fetched, records, count, err);
    }
    if (!status)
        status = serve_reader(log->reader, err);
    if (log->high >= 0 && log->position >= log->high)
        stop_reading(log);
    *position = log->position;
    if (status)
        *count = 0;
    return status;
}

static void changelog_release(kafka_changelog *log)
{
    free(log->delivery);
    free(log->batch);
    free(log->topic);
    free(log->name);
    free(log);
}

static void changelog_close(weir_changelog *changelog)
{
    kafka_changelog *log = (kafka_changelog *)changelog;
    stop_reading(log);
    release_batch(log);
    if (log->producer) {
        weir__producer_adopt(log->producer, log->delivery);
        log->delivery = NULL;
    }
    changelog_release(log);
}

static const weir_changelog_ops changelog_ops = {
    .struct_size = sizeof(weir_changelog_ops),
    .append = changelog_append,
    .flush = changelog_flush,
    .range = changelog_range,
    .seek = changelog_seek,
    .read = changelog_read,
    .close = changelog_close,
};

weir_status weir__kafka_changelog_open(weir__producer *producer, weir_kafka_reader *reader,
                                       const char *topic, int32_t partition,
                                       weir_changelog **changelog, weir_error *err)
{
    *changelog = NULL;
    weir__producer_topic *output = NULL;
    weir_status status =
        producer ? weir__producer_open_topic(producer, topic, &output, err) : WEIR_OK;
    if (status)
        return status;
    size_t name_size = strlen(topic) + 16;
    kafka_changelog *log = calloc(1, sizeof *log);
    if (!log)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for changelog %s", topic);
    log->delivery = producer ? calloc(1, sizeof *log->delivery) : NULL;
    log->topic = strdup(topic);
    log->name = malloc(name_size);
    if ((producer && !log->delivery) || !log->topic || !log->name) {
        changelog_release(log);
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for changelog %s", topic);
    }
    snprintf(log->name, name_size, "%s[%d]", topic, partition);
    log->base.ops = &changelog_ops;
    log->base.name = log->name;
    log->producer = producer;
    log->reader = reader;
    log->output = output;
    log->partition = partition;
    log->high = WEIR_OFFSET_NONE;
    if (log->delivery)
        log->delivery->last_offset = WEIR_OFFSET_NONE;
    *changelog = &log->base;
    return WEIR_OK;
}
