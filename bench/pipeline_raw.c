/*
 * The yardsticks of the case `pipeline`: librdkafka alone, with the settings that Weir's
 * clients have, on one application thread; and the topics that all runs read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "pipeline.h"

#define WAIT_MS     60000
#define BATCH       1000
#define REASON_SIZE 256

typedef struct setting {
    const char *name;
    const char *value;
} setting;

/* What src/kafka sets for speed. */
static const setting consumer_settings[] = {
    {"group.id", "bench-raw"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"isolation.level", "read_committed"},
    {"fetch.wait.max.ms", "100"},
    {"queued.min.messages", "50000"},
    {"queued.max.messages.kbytes", "32768"},
};
static const setting producer_settings[] = {
    {"enable.idempotence", "true"},  {"partitioner", "murmur2_random"},       {"linger.ms", "50"},
    {"batch.num.messages", "10000"}, {"queue.buffering.max.kbytes", "65536"},
};

/* librdkafka counts a delivery as done only when its report has been served. */
static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    size_t *failed = opaque;
    if (message->err)
        ++*failed;
}

static rd_kafka_t *new_client(const pipeline_work *work, rd_kafka_type_t type, size_t *failed,
                              bench_sample *sample)
{
    char reason[REASON_SIZE];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const setting *settings = consumer_settings;
    size_t count = sizeof(consumer_settings) / sizeof(consumer_settings[0]);
    if (type == RD_KAFKA_PRODUCER) {
        settings = producer_settings;
        count = sizeof(producer_settings) / sizeof(producer_settings[0]);
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        rd_kafka_conf_set_opaque(conf, failed);
    } else {
        const char *backoff =
            rd_kafka_version() < 0x02020000 ? "fetch.error.backoff.ms" : "fetch.queue.backoff.ms";
        rd_kafka_conf_set(conf, backoff, "5", reason, sizeof(reason));
    }
    bool is_ok = true;
    for (size_t i = 0; i < count && is_ok; i++)
        is_ok = rd_kafka_conf_set(conf, settings[i].name, settings[i].value, reason,
                                  sizeof(reason)) == RD_KAFKA_CONF_OK;
    is_ok = is_ok && rd_kafka_conf_set(conf, "bootstrap.servers", work->broker, reason,
                                       sizeof(reason)) == RD_KAFKA_CONF_OK;
    rd_kafka_t *client = is_ok ? rd_kafka_new(type, conf, reason, sizeof(reason)) : NULL;
    if (!client) {
        if (!is_ok)
            rd_kafka_conf_destroy(conf);
        bench_fail(sample, NULL, "librdkafka: %s", reason);
    }
    return client;
}

/* ---------------------------------------------------------------------------
 * Topics
 * ------------------------------------------------------------------------- */

static bool create_topic(rd_kafka_t *client, const char *name, bool is_compacted,
                         bench_sample *sample)
{
    char reason[REASON_SIZE] = "";
    size_t count = 0;
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, PIPELINE_PARTITIONS, 1, reason, sizeof(reason));
    if (!topic)
        return bench_fail(sample, NULL, "topic %s: %s", name, reason);
    if (is_compacted)
        rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!code) {
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        code = rd_kafka_topic_result_error(results[0]);
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return !code || bench_fail(sample, NULL, "topic %s: %s", name, rd_kafka_err2str(code));
}

/* Copies the bytes; waits while the queue is full. headers: taken over, or NULL. */
static bool send_record(rd_kafka_t *producer, rd_kafka_topic_t *topic, int32_t partition,
                        const char *key, size_t key_size, const char *value, size_t value_size,
                        rd_kafka_headers_t *headers, bench_sample *sample)
{
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_producev(producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_KEY(key, key_size),
                                 RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_size),
                                 RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(producer, 20);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code && headers)
        rd_kafka_headers_destroy(headers);
    return !code || bench_fail(sample, NULL, "produce: %s", rd_kafka_err2str(code));
}

static bool fill_input(const pipeline_work *work, rd_kafka_t *producer, bench_sample *sample)
{
    char key[BENCH_KEY_SIZE];
    char value[PIPELINE_VALUE_SIZE];
    bool is_ok = true;
    uint32_t *keys = bench_key_sequence(BENCH_UNIFORM, work->keys, work->records);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, PIPELINE_INPUT, NULL);
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; keys && i < work->records && is_ok; i++) {
        bench_key_text(keys[i], key);
        is_ok = send_record(producer, topic, RD_KAFKA_PARTITION_UA, key, sizeof(key), value,
                            sizeof(value), NULL, sample);
        if (i % 1000 == 0)
            rd_kafka_poll(producer, 0);
    }
    rd_kafka_topic_destroy(topic);
    free(keys);
    return keys ? is_ok : bench_fail(sample, NULL, "no memory for keys");
}

/* A changelog as Weir writes it, every message with a key of its own. */
static bool fill_changelog(const pipeline_work *work, rd_kafka_t *producer, bench_sample *sample)
{
    static const char processed[] = "{\"" PIPELINE_PAST_TOPIC "\":9}";
    char key[BENCH_STATE_KEY_SIZE];
    char value[20];
    bool is_ok = true;
    uint32_t *keys = bench_key_shuffle((uint32_t)work->messages);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, PIPELINE_CHANGELOG, NULL);
    for (size_t i = 0; keys && i < work->messages && is_ok; i++) {
        rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
        rd_kafka_header_add(headers, "__column_family__", -1, "default", -1);
        rd_kafka_header_add(headers, "__processed_tp_offsets__", -1, processed, -1);
        bench_state_key(keys[i], key);
        size_t size = bench_format_counter(i, value);
        is_ok = send_record(producer, topic, (int32_t)(i % PIPELINE_PARTITIONS), key, sizeof(key),
                            value, size, headers, sample);
        if (i % 1000 == 0)
            rd_kafka_poll(producer, 0);
    }
    rd_kafka_topic_destroy(topic);
    free(keys);
    return keys ? is_ok : bench_fail(sample, NULL, "no memory for keys");
}

static bool fill_past(rd_kafka_t *producer, bench_sample *sample)
{
    bool is_ok = true;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, PIPELINE_PAST_TOPIC, NULL);
    for (int i = 0; i < PIPELINE_PAST * PIPELINE_PARTITIONS && is_ok; i++)
        is_ok = send_record(producer, topic, i % PIPELINE_PARTITIONS, "key", 3, "value", 5, NULL,
                            sample);
    rd_kafka_topic_destroy(topic);
    return is_ok;
}

/* The restore job's group has processed all of its source: nothing but recovery is left. */
static bool commit_past(const pipeline_work *work, bench_sample *sample)
{
    char reason[REASON_SIZE];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", work->broker, reason, sizeof(reason));
    rd_kafka_conf_set(conf, "group.id", PIPELINE_GROUP, reason, sizeof(reason));
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (!consumer) {
        rd_kafka_conf_destroy(conf);
        return bench_fail(sample, NULL, "librdkafka: %s", reason);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PIPELINE_PARTITIONS);
    for (int i = 0; i < PIPELINE_PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(list, PIPELINE_PAST_TOPIC, i)->offset = PIPELINE_PAST;
    rd_kafka_resp_err_t code = rd_kafka_commit(consumer, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    return !code || bench_fail(sample, NULL, "commit: %s", rd_kafka_err2str(code));
}

bool pipeline_prepare(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const pipeline_work *work = arg;
    size_t failed = 0;
    (void)bench;
    rd_kafka_t *producer = new_client(work, RD_KAFKA_PRODUCER, &failed, sample);
    bool is_ok = producer && create_topic(producer, PIPELINE_INPUT, false, sample) &&
                 create_topic(producer, PIPELINE_OUTPUT, false, sample) &&
                 create_topic(producer, PIPELINE_PAST_TOPIC, false, sample) &&
                 create_topic(producer, PIPELINE_CHANGELOG, true, sample) &&
                 fill_input(work, producer, sample) && fill_changelog(work, producer, sample) &&
                 fill_past(producer, sample);
    if (is_ok && (rd_kafka_flush(producer, WAIT_MS) || failed > 0))
        is_ok = bench_fail(sample, NULL, "%zu records were not delivered", failed);
    if (producer)
        rd_kafka_destroy(producer);
    return is_ok && commit_past(work, sample);
}

/* ---------------------------------------------------------------------------
 * Loops
 * ------------------------------------------------------------------------- */

static rd_kafka_queue_t *start_consuming(rd_kafka_t *consumer, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PIPELINE_PARTITIONS);
    for (int i = 0; i < PIPELINE_PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return rd_kafka_queue_get_consumer(consumer);
}

/* Fetches up to a batch; returns the number of records. message->err: not a record. Old
 * versions need to be woken as src/kafka does, or they are several times slower. */
static size_t fetch(rd_kafka_t *consumer, rd_kafka_queue_t *queue, rd_kafka_message_t **messages)
{
    static double woken;
    ssize_t count = rd_kafka_consume_batch_queue(queue, 0, messages, BATCH);
    if (rd_kafka_version() < 0x02020000 && (count <= 0 || bench_now() - woken > 0.005)) {
        rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(consumer, "", "");
        if (error)
            rd_kafka_error_destroy(error);
        woken = bench_now();
    }
    if (count <= 0)
        count = rd_kafka_consume_batch_queue(queue, 100, messages, 1);
    return count > 0 ? (size_t)count : 0;
}

bool pipeline_raw_loop(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const pipeline_work *work = arg;
    rd_kafka_message_t *messages[BATCH];
    char value[20];
    size_t failed = 0;
    size_t done = 0;
    double start = 0;
    double cpu = bench_cpu_seconds();
    (void)bench;
    (void)alarm(PIPELINE_ALARM);
    rd_kafka_t *producer = new_client(work, RD_KAFKA_PRODUCER, &failed, sample);
    rd_kafka_t *consumer = new_client(work, RD_KAFKA_CONSUMER, NULL, sample);
    if (!producer || !consumer)
        return false;
    rd_kafka_topic_t *output = rd_kafka_topic_new(producer, PIPELINE_OUTPUT, NULL);
    rd_kafka_queue_t *queue = start_consuming(consumer, PIPELINE_INPUT);
    bool is_ok = true;
    while (done < work->records && is_ok) {
        size_t count = fetch(consumer, queue, messages);
        for (size_t i = 0; i < count; i++) {
            if (!messages[i]->err && is_ok) {
                if (done++ == 0)
                    start = bench_now();
                size_t size = bench_format_counter(done, value);
                is_ok = send_record(producer, output, RD_KAFKA_PARTITION_UA, messages[i]->key,
                                    messages[i]->key_len, value, size, NULL, sample);
            }
            rd_kafka_message_destroy(messages[i]);
        }
        rd_kafka_poll(producer, 0);
    }
    if (is_ok && (rd_kafka_flush(producer, WAIT_MS) || failed > 0))
        is_ok = bench_fail(sample, NULL, "%zu records were not delivered", failed);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    sample->rate = (double)done / (bench_now() - start);
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    rd_kafka_topic_destroy(output);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return is_ok;
}

bool pipeline_raw_consume(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const pipeline_work *work = arg;
    rd_kafka_message_t *messages[BATCH];
    size_t done = 0;
    double start = 0;
    double cpu = bench_cpu_seconds();
    (void)bench;
    (void)alarm(PIPELINE_ALARM);
    rd_kafka_t *consumer = new_client(work, RD_KAFKA_CONSUMER, NULL, sample);
    if (!consumer)
        return false;
    rd_kafka_queue_t *queue = start_consuming(consumer, PIPELINE_CHANGELOG);
    while (done < work->messages) {
        size_t count = fetch(consumer, queue, messages);
        for (size_t i = 0; i < count; i++) {
            if (!messages[i]->err && done++ == 0)
                start = bench_now();
            rd_kafka_message_destroy(messages[i]);
        }
    }
    sample->rate = (double)done / (bench_now() - start);
    sample->cpu_seconds = bench_cpu_seconds() - cpu;
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return true;
}
