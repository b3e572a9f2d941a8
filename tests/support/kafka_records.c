/*
 * Topics and records for tests, with plain librdkafka.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>

#include "support/kafka.h"

#include <cmocka.h>

#define WAIT_MS 20000

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

const char *kafka_unique(const char *prefix)
{
    static char names[8][128];
    static unsigned next;
    char *name = names[next % 8];
    snprintf(name, sizeof names[0], "%s-%ld-%u", prefix, (long)getpid(), next++);
    return name;
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char reason[512];
    if (rd_kafka_conf_set(conf, key, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        fail_msg("%s", reason);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *bootstrap)
{
    char reason[512];
    set(conf, "bootstrap.servers", bootstrap);
    rd_kafka_t *kafka = rd_kafka_new(type, conf, reason, sizeof reason);
    if (!kafka)
        fail_msg("%s", reason);
    return kafka;
}

/* The one result error of an admin operation, checked. */
static void check_admin(rd_kafka_queue_t *queue, const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (!event)
        fail_msg("%s: no answer", what);
    if (rd_kafka_event_error(event))
        fail_msg("%s: %s", what, rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_CreateTopics_result_t *created = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_DeleteTopics_result_t *deleted = rd_kafka_event_DeleteTopics_result(event);
    const rd_kafka_topic_result_t **results = NULL;
    if (created)
        results = rd_kafka_CreateTopics_result_topics(created, &count);
    if (deleted)
        results = rd_kafka_DeleteTopics_result_topics(deleted, &count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_result_error(results[i]))
            fail_msg("%s: %s", what, rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(event);
}

static int partition_count(rd_kafka_t *kafka, const char *topic)
{
    const rd_kafka_metadata_t *metadata = NULL;
    int count = 0;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(kafka, topic, NULL);
    assert_int_equal(rd_kafka_metadata(kafka, 0, handle, &metadata, WAIT_MS), 0);
    if (metadata->topic_cnt == 1 && metadata->topics[0].err == 0)
        count = metadata->topics[0].partition_cnt;
    for (int i = 0; i < count; i++)
        if (metadata->topics[0].partitions[i].leader < 0) {
            count = 0; /* not elected yet */
            break;
        }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

int kafka_partition_count(const char *bootstrap, const char *topic)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "allow.auto.create.topics", "false");
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, conf, bootstrap);
    int count = partition_count(kafka, topic);
    rd_kafka_destroy(kafka);
    return count;
}

void kafka_create_topic(const char *bootstrap, const char *topic, int partitions,
                        const weir_option *config)
{
    char reason[512];
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), bootstrap);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_NewTopic_t *spec = rd_kafka_NewTopic_new(topic, partitions, 1, reason, sizeof reason);
    assert_non_null(spec);
    for (; config && config->key; config++)
        rd_kafka_NewTopic_set_config(spec, config->key, config->value);
    rd_kafka_CreateTopics(kafka, &spec, 1, NULL, queue);
    check_admin(queue, topic);
    int64_t deadline = now_ms() + WAIT_MS;
    while (partition_count(kafka, topic) != partitions) {
        if (now_ms() > deadline)
            fail_msg("topic %s does not show up", topic);
        usleep(10000);
    }
    rd_kafka_NewTopic_destroy(spec);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
}

void kafka_delete_topic(const char *bootstrap, const char *topic)
{
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), bootstrap);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_DeleteTopic_t *spec = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(kafka, &spec, 1, NULL, queue);
    check_admin(queue, topic);
    rd_kafka_DeleteTopic_destroy(spec);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
}

void kafka_delete_records(const char *bootstrap, const char *topic, int32_t partition,
                          int64_t before)
{
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), bootstrap);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
    rd_kafka_DeleteRecords_t *spec = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(kafka, &spec, 1, NULL, queue);
    check_admin(queue, topic);
    rd_kafka_DeleteRecords_destroy(spec);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
}

char *kafka_topic_config(const char *bootstrap, const char *topic, const char *name)
{
    char *value = NULL;
    size_t count = 0, entries = 0;
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), bootstrap);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(kafka, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    assert_int_equal(count, 1);
    const rd_kafka_ConfigEntry_t **list = rd_kafka_ConfigResource_configs(found[0], &entries);
    for (size_t i = 0; i < entries && !value; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(list[i]), name) == 0)
            value = strdup(rd_kafka_ConfigEntry_value(list[i]));
    assert_non_null(value);
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
    return value;
}

/* A new topic can be in the metadata before the broker that leads it knows that it does. */
static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__TRANSPORT;
}

void kafka_watermarks(const char *bootstrap, const char *topic, int32_t partition, int64_t *low,
                      int64_t *high)
{
    rd_kafka_resp_err_t code;
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), bootstrap);
    const int64_t deadline = now_ms() + WAIT_MS;
    while ((code = rd_kafka_query_watermark_offsets(kafka, topic, partition, low, high, WAIT_MS)) !=
               RD_KAFKA_RESP_ERR_NO_ERROR &&
           is_passing(code) && now_ms() < deadline)
        usleep(10000);
    if (code)
        fail_msg("watermarks of %s[%d]: %s", topic, partition, rd_kafka_err2str(code));
    rd_kafka_destroy(kafka);
}

int64_t kafka_committed(const char *bootstrap, const char *group, const char *topic,
                        int32_t partition)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", group);
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, conf, bootstrap);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    assert_int_equal(rd_kafka_committed(kafka, list, WAIT_MS), 0);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return offset < 0 ? -1 : offset;
}

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    (void)kafka;
    (void)opaque;
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
        message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        fprintf(stderr, "kafka_send: not delivered: %s\n", rd_kafka_err2str(message->err));
}

rd_kafka_t *kafka_producer(const char *bootstrap, const weir_option *properties)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "partitioner", "murmur2_random");
    set(conf, "linger.ms", "5");
    for (; properties && properties->key; properties++)
        set(conf, properties->key, properties->value);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = client(RD_KAFKA_PRODUCER, conf, bootstrap);
    /* What is sent before there is a connection may wait for a second. */
    const struct rd_kafka_metadata *found = NULL;
    if (rd_kafka_metadata(producer, 0, NULL, &found, WAIT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(found);
    return producer;
}

void kafka_send(rd_kafka_t *producer, const char *topic, int32_t partition, const char *key,
                const char *value, int64_t timestamp)
{
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0),
            RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_END);
        rd_kafka_poll(producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code)
        fail_msg("produce to %s: %s", topic, rd_kafka_err2str(code));
}

void kafka_flush(rd_kafka_t *producer)
{
    assert_int_equal(rd_kafka_flush(producer, WAIT_MS), 0);
}

void kafka_fill(const char *bootstrap, const char *topic, int32_t partition, int count)
{
    char key[32], value[32];
    rd_kafka_t *producer = kafka_producer(bootstrap, NULL);
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key%d", i);
        snprintf(value, sizeof value, "value%d", i);
        kafka_send(producer, topic, partition, key, value, 0);
    }
    kafka_flush(producer);
    rd_kafka_destroy(producer);
}

static char *copy_bytes(const void *data, size_t size)
{
    if (!data)
        return NULL;
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static void copy_headers(kafka_record *record, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    record->headers = calloc(rd_kafka_header_cnt(headers), sizeof *record->headers);
    assert_non_null(record->headers);
    while (rd_kafka_header_get_all(headers, record->header_count, &name, &value, &size) == 0) {
        kafka_header *header = &record->headers[record->header_count++];
        header->name = copy_bytes(name, strlen(name));
        header->value = copy_bytes(value, size);
        header->size = size;
    }
}

static void append(kafka_records *records, size_t *capacity, const rd_kafka_message_t *message)
{
    if (records->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 1024;
        records->items = realloc(records->items, *capacity * sizeof *records->items);
        assert_non_null(records->items);
    }
    kafka_record *record = &records->items[records->count++];
    memset(record, 0, sizeof *record);
    const char *topic = rd_kafka_topic_name(message->rkt);
    record->topic = copy_bytes(topic, strlen(topic));
    record->partition = message->partition;
    record->offset = message->offset;
    record->timestamp = rd_kafka_message_timestamp(message, NULL);
    record->key = copy_bytes(message->key, message->key_len);
    record->key_size = message->key_len;
    record->value = copy_bytes(message->payload, message->len);
    record->value_size = message->len;
    copy_headers(record, message);
}

/* Reads one partition up to its end (an event tells it, so control records don't matter). */
static void read_partition(rd_kafka_t *kafka, const char *topic, int32_t partition,
                           kafka_records *records, size_t *capacity)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(kafka, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t deadline = now_ms() + 3 * WAIT_MS;
    for (bool end = false; !end;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka, 100);
        if (now_ms() > deadline)
            fail_msg("reading %s[%d] does not end", topic, partition);
        if (!message)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            end = true;
        else if (!message->err)
            append(records, capacity, message);
        rd_kafka_message_destroy(message);
    }
}

kafka_records kafka_read_all(const char *bootstrap, const char *topic)
{
    kafka_records records = {NULL, 0};
    size_t capacity = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "kafka-read-all");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", "true");
    set(conf, "isolation.level", "read_committed");
    set(conf, "fetch.error.backoff.ms", "5");
    set(conf, "fetch.wait.max.ms", "5"); /* what the end of each partition takes */
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, conf, bootstrap);
    rd_kafka_poll_set_consumer(kafka);
    int count = partition_count(kafka, topic);
    for (int32_t partition = 0; partition < count; partition++)
        read_partition(kafka, topic, partition, &records, &capacity);
    rd_kafka_consumer_close(kafka);
    rd_kafka_destroy(kafka);
    return records;
}

void kafka_records_free(kafka_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        kafka_record *record = &records->items[i];
        for (size_t h = 0; h < record->header_count; h++) {
            free(record->headers[h].name);
            free(record->headers[h].value);
        }
        free(record->headers);
        free(record->topic);
        free(record->key);
        free(record->value);
    }
    free(records->items);
    records->items = NULL;
    records->count = 0;
}

const char *kafka_record_header(const kafka_record *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++)
        if (strcmp(record->headers[i].name, name) == 0)
            return record->headers[i].value;
    return NULL;
}
