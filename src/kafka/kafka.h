/*
 * Kafka, as the rest of Weir sees it: names of topics, clients and their
 * configuration, the consumer of a worker, the producer of a worker, topic
 * administration, and the changelog over a topic. librdkafka's types do not leave
 * this folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KAFKA_KAFKA_H
#define WEIR_KAFKA_KAFKA_H

#include <weir/app.h>
#include <weir/kafka.h>
#include <weir/state.h>

#include "base/buffer.h"

/* ---------------------------------------------------------------------------
 * names.c: topic names of Quix Streams 3.x
 * ------------------------------------------------------------------------- */

/* "changelog__{group}--{stream_id}--{store}"; an internal topic as stream id is nested
 * as quix-formats says. Appends a NUL-terminated name. WEIR_TOO_LARGE: over 249 bytes;
 * WEIR_INVALID: a character that Kafka refuses. */
weir_status weir__changelog_topic_name(weir__buffer *out, const char *group_id,
                                       const char *stream_id, const char *store, weir_error *err);

/* ---------------------------------------------------------------------------
 * client.c: what all clients of an application share
 * ------------------------------------------------------------------------- */

typedef struct weir__kafka_config {
    const char *broker;
    const char *group_id;
    const char *auto_offset_reset; /* "earliest", "latest", "error" */
    const weir_option *kafka;
    const weir_option *consumer;
    const weir_option *producer;
} weir__kafka_config;

/* Refuses properties that Weir sets itself and those librdkafka does not know, with its
 * message; values of secret properties appear in no message. Does not connect. */
weir_status weir__kafka_config_check(const weir__kafka_config *config, weir_error *err);

/* ---------------------------------------------------------------------------
 * admin.c: topics
 * ------------------------------------------------------------------------- */

typedef struct weir__admin weir__admin;

weir_status weir__admin_new(const weir__kafka_config *config, weir__admin **admin, weir_error *err);
void weir__admin_free(weir__admin *admin);
/* Waits until a broker answers. WEIR_KAFKA names the addresses and the last reason. */
weir_status weir__admin_connect(weir__admin *admin, int timeout_ms, const volatile bool *stop,
                                weir_error *err);
/* *partitions [out]: 0 if there is no such topic (never creates one). */
weir_status weir__admin_partition_count(weir__admin *admin, const char *topic, int32_t *partitions,
                                        weir_error *err);
/* Creates a topic and waits until metadata shows it; replication_factor 0: the broker's.
 * A topic that exists by now is fine if its number of partitions is right. */
weir_status weir__admin_create_topic(weir__admin *admin, const char *topic, int32_t partitions,
                                     int replication_factor, const weir_option *config,
                                     weir_error *err);

/* ---------------------------------------------------------------------------
 * consumer.c: the consumer of a worker, member of the group
 * ------------------------------------------------------------------------- */

typedef struct weir__consumer weir__consumer;

typedef struct weir__topic_partition {
    const char *topic;
    int32_t partition;
    int64_t offset; /* meaning told by the function; WEIR_OFFSET_NONE: none */
} weir__topic_partition;

/* A fetched record; borrowed until weir__consumer_release of its batch. */
typedef struct weir__message {
    weir_record record; /* headers are parsed on demand: see weir__message_headers */
    const void *handle;
} weir__message;

/* Called from weir__consumer_poll, in cooperative style: increments. */
typedef struct weir__consumer_events {
    /* New partitions. They start paused at their committed offset (or the reset). */
    weir_status (*assigned)(const weir__topic_partition *partitions, size_t count, void *arg,
                            weir_error *err);
    /* To be given up: checkpoint inside. lost: another member may own them already,
     * offsets can't be committed any more. */
    weir_status (*revoked)(const weir__topic_partition *partitions, size_t count, bool lost,
                           void *arg, weir_error *err);
    void *arg;
    /* Once it is true, new partitions are left alone (no `assigned`, no question about their
     * offsets), and questions to the broker that are under way end with WEIR_ABORTED. May be
     * NULL. */
    const volatile bool *stop;
} weir__consumer_events;

weir_status weir__consumer_new(const weir__kafka_config *config,
                               const weir__consumer_events *events, weir__consumer **consumer,
                               weir_error *err);
/* Leaves the group: `revoked` is called for all that is assigned. NULL is allowed. */
weir_status weir__consumer_close(weir__consumer *consumer, weir_error *err);
weir_status weir__consumer_subscribe(weir__consumer *consumer, const char *const *topics,
                                     size_t count, weir_error *err);
/*
 * Serves rebalances and callbacks, and fetches up to max messages, waiting at most
 * timeout_ms for the first. *messages [out] is an array that belongs to the consumer
 * until release.
 * Errors that librdkafka retries are logged, not returned; a fatal one is.
 * WEIR_TOPIC: a subscribed topic has gone.
 */
weir_status weir__consumer_poll(weir__consumer *consumer, int timeout_ms, size_t max,
                                weir__message **messages, size_t *count, weir_error *err);
void weir__consumer_release(weir__consumer *consumer);
/* Fills record.headers of a message; borrowed as the message is. */
weir_status weir__message_headers(weir__consumer *consumer, weir__message *message,
                                  weir_error *err);
weir_status weir__consumer_pause(weir__consumer *consumer, const char *topic, int32_t partition,
                                 weir_error *err);
weir_status weir__consumer_resume(weir__consumer *consumer, const char *topic, int32_t partition,
                                  weir_error *err);
/* The next fetch of an assigned partition starts here; drops what was fetched ahead. */
weir_status weir__consumer_seek(weir__consumer *consumer, const char *topic, int32_t partition,
                                int64_t offset, weir_error *err);
/* *offset [out]: the group's committed offset, WEIR_OFFSET_NONE if there is none. WEIR_ABORTED:
 * events.stop. */
weir_status weir__consumer_committed(weir__consumer *consumer, const char *topic, int32_t partition,
                                     int64_t *offset, weir_error *err);
/* Log start offset and high watermark, asked from the broker. WEIR_ABORTED: events.stop. */
weir_status weir__consumer_watermarks(weir__consumer *consumer, const char *topic,
                                      int32_t partition, int64_t *low, int64_t *high,
                                      weir_error *err);
/* Commits (offset = last processed + 1) and waits. WEIR_FENCED: the group has moved on. */
weir_status weir__consumer_commit(weir__consumer *consumer, const weir__topic_partition *offsets,
                                  size_t count, weir_error *err);

/* ---------------------------------------------------------------------------
 * producer.c: the producer of a worker. Idempotent, murmur2 partitioner.
 * ------------------------------------------------------------------------- */

typedef struct weir__producer weir__producer;
typedef struct weir__producer_topic weir__producer_topic;

/* Where a delivery is to be noted: the highest offset of a changelog partition. */
typedef struct weir__delivery {
    int64_t last_offset;
    int64_t pending;
} weir__delivery;

weir_status weir__producer_new(const weir__kafka_config *config, weir__producer **producer,
                               weir_error *err);
/* What is unsent is dropped, unless it was flushed. NULL is allowed. */
void weir__producer_free(weir__producer *producer);
/* A topic handle, cached by name, freed with the producer. */
weir_status weir__producer_open_topic(weir__producer *producer, const char *name,
                                      weir__producer_topic **topic, weir_error *err);
/*
 * Copies and queues a record. partition −1: by key. When the queue is full it serves
 * deliveries and waits. The first failed delivery makes this and flush fail with its
 * reason, topic and partition. WEIR_TOO_LARGE: over message.max.bytes, told at once.
 * delivery may be NULL; else it lives until the flush after it.
 */
weir_status weir__producer_produce(weir__producer *producer, weir__producer_topic *topic,
                                   int32_t partition, const weir_record *record,
                                   weir__delivery *delivery, weir_error *err);
/* Serves delivery reports without waiting. */
void weir__producer_poll(weir__producer *producer);
/* Waits until all is delivered. WEIR_TIMEOUT: not within timeout_ms. */
weir_status weir__producer_flush(weir__producer *producer, int timeout_ms, weir_error *err);

/* ---------------------------------------------------------------------------
 * changelog.c: weir_changelog over a partition of a topic
 * ------------------------------------------------------------------------- */

/* Reads changelog partitions for recovery; one for each worker, made at first use. */
weir_status weir__kafka_reader_new(const weir__kafka_config *config, weir_kafka_reader **reader,
                                   weir_error *err);

/* producer and reader outlive the changelog. producer NULL: it is only read. */
weir_status weir__kafka_changelog_open(weir__producer *producer, weir_kafka_reader *reader,
                                       const char *topic, int32_t partition,
                                       weir_changelog **changelog, weir_error *err);

#endif
