/*
 * Inside of the consumer: its parts that rebalance.c and consumer.c share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KAFKA_CONSUMER_H
#define WEIR_KAFKA_CONSUMER_H

#include "base/arena.h"
#include "kafka/client.h"

/* An assigned partition. */
typedef struct weir__assigned {
    char *topic;
    int32_t partition;
    int64_t next; /* of the record to be handed out next; WEIR_OFFSET_NONE: not known */
    bool paused;
} weir__assigned;

struct weir__consumer {
    weir__client client;
    weir__consumer_events events;
    /*
     * Records come through a queue of their own, beside the one for rebalances and errors, so
     * that no rebalance can happen while a batch is being collected: a batch never mixes
     * records from before and after one.
     */
    rd_kafka_queue_t *records;
    int wake_fd; /* readable when either queue has something */

    bool start_at_begin; /* auto_offset_reset: earliest, latest, or neither ("error") */
    bool start_at_end;

    weir__assigned *assigned;
    size_t assigned_count;
    size_t last; /* where the latest record's partition was found */

    rd_kafka_message_t **raw; /* the current batch */
    weir__message *messages;
    size_t raw_count;
    size_t capacity;
    weir__arena headers; /* of the current batch, for weir__message_headers */

    bool flowing;       /* the last fetch gave records */
    bool joined;        /* has been assigned something: its credentials are good */
    weir_status failed; /* of a rebalance; told by the next poll */
    weir_error failure;
};

/* librdkafka's rebalance callback; the opaque is the consumer's client. */
void weir__consumer_on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                                 rd_kafka_topic_partition_list_t *partitions, void *opaque);
/* NULL if it is not assigned. */
weir__assigned *weir__consumer_find(weir__consumer *consumer, const char *topic, int32_t partition);

static inline bool weir__consumer_stopping(const weir__consumer *consumer)
{
    return consumer->events.stop && __atomic_load_n(consumer->events.stop, __ATOMIC_RELAXED);
}

/* Fills in the committed offsets and errors of a list. WEIR_ABORTED: events.stop. */
weir_status weir__consumer_ask_committed(weir__consumer *consumer,
                                         rd_kafka_topic_partition_list_t *list, int timeout_ms,
                                         weir_error *err);

#endif
