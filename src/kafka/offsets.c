/*
 * The consumer's positions: pause, resume, seek, watermarks, and what the group has
 * committed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "base/clock.h"
#include "kafka/consumer.h"

#define QUERY_MS       10000
#define QUERY_SLICE_MS 2000 /* a stop is seen within this */
#define COMMIT_MS      60000
#define SEEK_MS        10000
/* A rebalance in the background holds commits up for as long as the slowest member takes. */
#define COMMIT_RETRY_MS      30000
#define COMMIT_RETRY_STEP_MS 50
/* A commit may cross the change to a new generation once; more often it is another's turn. */
#define GENERATION_RETRIES 3

static rd_kafka_topic_partition_list_t *one_partition(const char *topic, int32_t partition,
                                                      int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

static weir_status partition_error(weir__consumer *consumer, rd_kafka_resp_err_t code,
                                   const char *what, const char *topic, int32_t partition,
                                   weir_error *err)
{
    char text[384];
    snprintf(text, sizeof text, "topic '%s' partition %d: %s", topic, partition, what);
    return weir__client_error(&consumer->client, code, text, err);
}

/* Questions to the broker are asked again in slices, so that a stop need not wait for a broker
 * that is slow or away. True: this answer is not the last. */
static bool ask_again(const weir__consumer *consumer, rd_kafka_resp_err_t code, int64_t deadline)
{
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT && !weir__consumer_stopping(consumer) &&
           weir__now_ms() < deadline;
}

static int slice_ms(int64_t deadline)
{
    int64_t left = deadline - weir__now_ms();
    return left < 1 ? 1 : left < QUERY_SLICE_MS ? (int)left : QUERY_SLICE_MS;
}

static bool is_stopped(const weir__consumer *consumer, rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT && weir__consumer_stopping(consumer);
}

weir_status weir__consumer_ask_committed(weir__consumer *consumer,
                                         rd_kafka_topic_partition_list_t *list, int timeout_ms,
                                         weir_error *err)
{
    static const char what[] = "asking for committed offsets";
    int64_t deadline = weir__now_ms() + timeout_ms;
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_committed(consumer->client.handle, list, slice_ms(deadline));
    } while (ask_again(consumer, code, deadline));
    if (is_stopped(consumer, code))
        return weir_error_set(err, WEIR_ABORTED, "stopped while %s", what);
    if (code)
        return weir__client_error(&consumer->client, code, what, err);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err)
            return partition_error(consumer, list->elems[i].err, what, list->elems[i].topic,
                                   list->elems[i].partition, err);
    return WEIR_OK;
}

weir_status weir__consumer_pause(weir__consumer *consumer, const char *topic, int32_t partition,
                                 weir_error *err)
{
    weir__assigned *assigned = weir__consumer_find(consumer, topic, partition);
    if (!assigned)
        return weir_error_set(err, WEIR_INVALID, "topic '%s' partition %d is not assigned", topic,
                              partition);
    if (assigned->paused)
        return WEIR_OK;
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, 0);
    rd_kafka_resp_err_t code = rd_kafka_pause_partitions(consumer->client.handle, list);
    if (!code)
        code = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return partition_error(consumer, code, "pausing", topic, partition, err);
    assigned->paused = true;
    return WEIR_OK;
}

static rd_kafka_resp_err_t seek_once(weir__consumer *consumer, const char *topic, int32_t partition,
                                     int64_t offset)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, offset);
    rd_kafka_error_t *error = rd_kafka_seek_partitions(consumer->client.handle, list, SEEK_MS);
    if (error) {
        code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
    } else {
        code = list->elems[0].err;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static weir_status seek_to(weir__consumer *consumer, const char *topic, int32_t partition,
                           int64_t offset, weir_error *err)
{
    /* Right after the assignment librdkafka is still on its way to the first offset, and says
     * so by an "erroneous state", or by a timeout long before the time is up. */
    int64_t deadline = weir__now_ms() + SEEK_MS;
    rd_kafka_resp_err_t code = seek_once(consumer, topic, partition, offset);
    while ((code == RD_KAFKA_RESP_ERR__STATE || code == RD_KAFKA_RESP_ERR__TIMED_OUT) &&
           weir__now_ms() < deadline) {
        weir__sleep_ms(5, NULL);
        code = seek_once(consumer, topic, partition, offset);
    }
    if (code)
        return partition_error(consumer, code, "seeking", topic, partition, err);
    return WEIR_OK;
}

weir_status weir__consumer_seek(weir__consumer *consumer, const char *topic, int32_t partition,
                                int64_t offset, weir_error *err)
{
    weir__assigned *assigned = weir__consumer_find(consumer, topic, partition);
    if (!assigned)
        return weir_error_set(err, WEIR_INVALID, "topic '%s' partition %d is not assigned", topic,
                              partition);
    weir_status status = seek_to(consumer, topic, partition, offset, err);
    if (!status)
        assigned->next = offset;
    return status;
}

weir_status weir__consumer_resume(weir__consumer *consumer, const char *topic, int32_t partition,
                                  weir_error *err)
{
    weir__assigned *assigned = weir__consumer_find(consumer, topic, partition);
    if (!assigned)
        return weir_error_set(err, WEIR_INVALID, "topic '%s' partition %d is not assigned", topic,
                              partition);
    if (!assigned->paused)
        return WEIR_OK;
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, 0);
    rd_kafka_resp_err_t code = rd_kafka_resume_partitions(consumer->client.handle, list);
    if (!code)
        code = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return partition_error(consumer, code, "resuming", topic, partition, err);
    weir__client_wake(&consumer->client, true);
    assigned->paused = false;
    /* A fetch that was under way when the partition was paused has moved librdkafka's own
     * position, although its records were dropped. */
    if (assigned->next == WEIR_OFFSET_NONE)
        return WEIR_OK;
    return seek_to(consumer, topic, partition, assigned->next, err);
}

weir_status weir__consumer_committed(weir__consumer *consumer, const char *topic, int32_t partition,
                                     int64_t *offset, weir_error *err)
{
    *offset = WEIR_OFFSET_NONE;
    rd_kafka_topic_partition_list_t *list =
        one_partition(topic, partition, RD_KAFKA_OFFSET_INVALID);
    weir_status status = weir__consumer_ask_committed(consumer, list, QUERY_MS, err);
    if (!status && list->elems[0].offset >= 0)
        *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

weir_status weir__consumer_watermarks(weir__consumer *consumer, const char *topic,
                                      int32_t partition, int64_t *low, int64_t *high,
                                      weir_error *err)
{
    int64_t deadline = weir__now_ms() + QUERY_MS;
    rd_kafka_resp_err_t code;
    do {
        code = weir__client_watermarks(&consumer->client, topic, partition, low, high,
                                       slice_ms(deadline));
    } while (ask_again(consumer, code, deadline));
    if (is_stopped(consumer, code))
        return weir_error_set(err, WEIR_ABORTED,
                              "stopped while asking for the first and last "
                              "offset of topic '%s' partition %d",
                              topic, partition);
    if (code)
        return partition_error(consumer, code, "asking for its first and last offset", topic,
                               partition, err);
    return WEIR_OK;
}

static rd_kafka_resp_err_t commit_once(weir__consumer *consumer,
                                       const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client.handle);
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(consumer->client.handle, list, queue, NULL, NULL);
    if (!code) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, COMMIT_MS);
        code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
        const rd_kafka_topic_partition_list_t *done =
            event ? rd_kafka_event_topic_partition_list(event) : NULL;
        for (int i = 0; !code && done && i < done->cnt; i++)
            code = done->elems[i].err;
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return code;
}

/* While the group rebalances, the broker turns commits away although nothing is lost: librdkafka
 * joins the new generation in the background, and then they are taken. */
static bool commit_again(weir__consumer *consumer, rd_kafka_resp_err_t code, int *generations,
                         int64_t deadline)
{
    bool again = false;
    if (code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
        again = ++*generations <= GENERATION_RETRIES;
    else
        again = code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS ||
                code == RD_KAFKA_RESP_ERR__WAIT_COORD ||
                code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
                code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
                code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    return again && !rd_kafka_assignment_lost(consumer->client.handle) && weir__now_ms() < deadline;
}

weir_status weir__consumer_commit(weir__consumer *consumer, const weir__topic_partition *offsets,
                                  size_t count, weir_error *err)
{
    int generations = 0;
    int64_t deadline = weir__now_ms() + COMMIT_RETRY_MS;
    if (count == 0)
        return WEIR_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, offsets[i].topic, offsets[i].partition)->offset =
            offsets[i].offset;
    rd_kafka_resp_err_t code = commit_once(consumer, list);
    while (commit_again(consumer, code, &generations, deadline)) {
        weir__sleep_ms(COMMIT_RETRY_STEP_MS, NULL);
        code = commit_once(consumer, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (!code)
        return WEIR_OK;
    return partition_error(consumer, code, "committing offsets", offsets[0].topic,
                           offsets[0].partition, err);
}
