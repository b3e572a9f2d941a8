/*
 * Partitions that come and go: librdkafka's rebalance callback in cooperative style,
 * turned into the events of weir__consumer_events.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/consumer.h"

#define COMMITTED_MS 30000

weir__assigned *weir__consumer_find(weir__consumer *consumer, const char *topic, int32_t partition)
{
    /* Records come in runs of one partition. */
    if (consumer->last < consumer->assigned_count) {
        weir__assigned *found = &consumer->assigned[consumer->last];
        if (found->partition == partition && strcmp(found->topic, topic) == 0)
            return found;
    }
    for (size_t i = 0; i < consumer->assigned_count; i++) {
        weir__assigned *found = &consumer->assigned[i];
        if (found->partition == partition && strcmp(found->topic, topic) == 0) {
            consumer->last = i;
            return found;
        }
    }
    return NULL;
}

static void keep_failure(weir__consumer *consumer, weir_status status, const weir_error *err)
{
    if (!status || consumer->failed)
        return;
    consumer->failed = status;
    consumer->failure = *err;
}

/* Where a partition without committed offset begins, so that it has a position of its own before
 * anything is fetched. *offset [out]: a logical offset of librdkafka if that is an error. */
static weir_status find_start(weir__consumer *consumer, const rd_kafka_topic_partition_t *partition,
                              int64_t *offset, weir_error *err)
{
    int64_t low, high;
    *offset = RD_KAFKA_OFFSET_INVALID;
    if (!consumer->start_at_begin && !consumer->start_at_end)
        return WEIR_OK;
    weir_status status = weir__consumer_watermarks(consumer, partition->topic, partition->partition,
                                                   &low, &high, err);
    if (!status)
        *offset = consumer->start_at_begin ? low : high;
    return status;
}

static weir_status add_assigned(weir__consumer *consumer,
                                const rd_kafka_topic_partition_t *partition, weir_error *err)
{
    size_t size = (consumer->assigned_count + 1) * sizeof *consumer->assigned;
    weir__assigned *grown = realloc(consumer->assigned, size);
    if (!grown)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for an assigned partition");
    consumer->assigned = grown;
    weir__assigned *added = &grown[consumer->assigned_count];
    added->topic = strdup(partition->topic);
    if (!added->topic)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for an assigned partition");
    added->partition = partition->partition;
    added->next = partition->offset >= 0 ? partition->offset : WEIR_OFFSET_NONE;
    added->paused = true;
    consumer->assigned_count++;
    return WEIR_OK;
}

static void remove_assigned(weir__consumer *consumer, const rd_kafka_topic_partition_t *partition)
{
    weir__assigned *gone = weir__consumer_find(consumer, partition->topic, partition->partition);
    if (!gone)
        return;
    free(gone->topic);
    *gone = consumer->assigned[--consumer->assigned_count];
}

/* Sends the records of a partition to the records queue instead of the consumer's own. */
static void forward_records(weir__consumer *consumer, const rd_kafka_topic_partition_t *partition)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(consumer->client.handle,
                                                           partition->topic, partition->partition);
    if (!queue)
        return; /* then they come through the consumer's queue, which is served as well */
    rd_kafka_queue_forward(queue, consumer->records);
    rd_kafka_queue_destroy(queue);
}

/* An array for the events; the offsets are committed ones or WEIR_OFFSET_NONE. */
static weir__topic_partition *copy_list(const rd_kafka_topic_partition_list_t *list)
{
    size_t count = (size_t)list->cnt;
    weir__topic_partition *copy = calloc(count ? count : 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i].topic = list->elems[i].topic;
        copy[i].partition = list->elems[i].partition;
        copy[i].offset = list->elems[i].offset >= 0 ? list->elems[i].offset : WEIR_OFFSET_NONE;
    }
    return copy;
}

static void log_partitions(const char *event, const char *what,
                           const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        weir_log(WEIR_LOG_INFO, event, "%s partition %d %s", list->elems[i].topic,
                 list->elems[i].partition, what);
}

/* Fills in the offsets at which the partitions begin: committed, or by the reset.
 * *committed [out]: an array for the event, from malloc. */
static weir_status find_offsets(weir__consumer *consumer, rd_kafka_topic_partition_list_t *list,
                                weir__topic_partition **committed, weir_error *err)
{
    weir_status status = WEIR_OK;
    *committed = NULL;
    status = weir__consumer_ask_committed(consumer, list, COMMITTED_MS, err);
    if (status)
        return status;
    *committed = copy_list(list);
    if (!*committed)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for assigned partitions");
    for (int i = 0; !status && i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            status = find_start(consumer, &list->elems[i], &list->elems[i].offset, err);
    return status;
}

static weir_status assign(weir__consumer *consumer, rd_kafka_topic_partition_list_t *list,
                          weir_error *err)
{
    rd_kafka_t *handle = consumer->client.handle;
    weir__topic_partition *committed = NULL;
    /* A member that is about to leave takes part in this rebalance, but not in the work. */
    bool leaving = weir__consumer_stopping(consumer);
    weir_status status = leaving ? WEIR_OK : find_offsets(consumer, list, &committed, err);
    for (int i = 0; !status && i < list->cnt; i++) {
        forward_records(consumer, &list->elems[i]);
        status = add_assigned(consumer, &list->elems[i], err);
    }
    /* The order matters: paused as soon as they are there, and assigned also on failure, because
     * librdkafka waits for it. */
    rd_kafka_error_t *error = rd_kafka_incremental_assign(handle, list);
    rd_kafka_pause_partitions(handle, list);
    if (error && status)
        rd_kafka_error_destroy(error);
    else if (error)
        status = weir__client_error_object(&consumer->client, error, "taking partitions", err);
    if (!status && !leaving && list->cnt > 0 && consumer->events.assigned)
        status = consumer->events.assigned(committed, (size_t)list->cnt, consumer->events.arg, err);
    free(committed);
    return status;
}

static weir_status revoke(weir__consumer *consumer, rd_kafka_topic_partition_list_t *list,
                          bool lost, weir_error *err)
{
    weir_status status = WEIR_OK;
    if (list->cnt > 0 && consumer->events.revoked) {
        weir__topic_partition *partitions = copy_list(list);
        if (partitions)
            status = consumer->events.revoked(partitions, (size_t)list->cnt, lost,
                                              consumer->events.arg, err);
        else
            status = weir_error_set(err, WEIR_NO_MEMORY, "no memory for revoked partitions");
        free(partitions);
    }
    for (int i = 0; i < list->cnt; i++)
        remove_assigned(consumer, &list->elems[i]);
    rd_kafka_error_t *error = rd_kafka_incremental_unassign(consumer->client.handle, list);
    if (error && status)
        rd_kafka_error_destroy(error);
    else if (error)
        status = weir__client_error_object(&consumer->client, error, "giving up partitions", err);
    return status;
}

void weir__consumer_on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                                 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    weir_error err;
    weir__client *client = opaque;
    weir__consumer *consumer = client->owner;
    weir_status status = WEIR_OK;
    weir_error_init(&err);
    weir__client_proved(client);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        consumer->joined = true;
        log_partitions("kafka.assigned", "assigned", partitions);
        status = assign(consumer, partitions, &err);
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        bool lost = rd_kafka_assignment_lost(handle) != 0;
        log_partitions("kafka.revoked", lost ? "lost" : "revoked", partitions);
        status = revoke(consumer, partitions, lost, &err);
    } else {
        rd_kafka_assign(handle, NULL);
        status = weir__client_error(client, code, "the rebalance of the group failed", &err);
    }
    keep_failure(consumer, status, &err);
}
