/*
 * The Kafka side of the demo, on plain librdkafka.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "broker.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "screen.h"

#define REQUEST_MS 10000
#define BATCH      2000

__attribute__((format(printf, 2, 3))) static bool fail(demo_broker *broker, const char *format, ...)
{
    if (broker->failure[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(broker->failure, sizeof broker->failure, format, args);
        va_end(args);
        screen_error("%s", broker->failure);
    }
    return false;
}

/* ---------------------------------------------------------------------------
 * Clients
 * ------------------------------------------------------------------------- */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    (void)rk;
    demo_broker *broker = arg;
    if (message->err)
        fail(broker, "%s: a record could not be sent: %s", rd_kafka_topic_name(message->rkt),
             rd_kafka_err2str(message->err));
}

static void client_error(rd_kafka_t *rk, int err, const char *reason, void *arg)
{
    (void)rk;
    demo_broker *broker = arg;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__FATAL)
        fail(broker, "the broker at %s can't be reached: %s", broker->address, reason);
}

typedef struct setting {
    const char *name; /* NULL: the end of a list */
    const char *value;
} setting;

/* NULL: failed, and said so. */
static rd_kafka_t *new_client(demo_broker *broker, rd_kafka_type_t type, const setting *settings)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, broker);
    rd_kafka_conf_set_error_cb(conf, client_error);
    rd_kafka_conf_set_log_cb(conf, NULL); /* what matters comes through client_error */
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    for (; settings->name != NULL; settings++) {
        if (rd_kafka_conf_set(conf, settings->name, settings->value, reason, sizeof reason) !=
            RD_KAFKA_CONF_OK) {
            fail(broker, "%s=%s: %s", settings->name, settings->value, reason);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    if (client == NULL) {
        fail(broker, "Kafka client: %s", reason);
        rd_kafka_conf_destroy(conf);
    }
    return client;
}

static bool open_producer(demo_broker *broker, const char *address)
{
    /* murmur2: the partition that a Java client would choose for the key. */
    const setting settings[] = {
        {"partitioner", "murmur2"},
        {"linger.ms", "20"},
        {"batch.num.messages", "5000"},
        {"compression.type", "lz4"},
        {"enable.idempotence", "true"},
        {address ? "bootstrap.servers" : NULL, address},
        {NULL, NULL},
    };
    broker->producer = new_client(broker, RD_KAFKA_PRODUCER, settings);
    if (broker->producer == NULL)
        return false;
    if (address != NULL) {
        snprintf(broker->address, sizeof broker->address, "%s", address);
        return true;
    }
    broker->mock = rd_kafka_mock_cluster_new(broker->producer, 1);
    if (broker->mock == NULL)
        return fail(broker, "the embedded broker could not be started");
    snprintf(broker->address, sizeof broker->address, "%s",
             rd_kafka_mock_cluster_bootstraps(broker->mock));
    /* The producer was made before its broker, and learns of it now. */
    rd_kafka_brokers_add(broker->producer, broker->address);
    return true;
}

static bool open_consumer(demo_broker *broker)
{
    char group[64];
    snprintf(group, sizeof group, "%saircraft", broker->prefix);
    /* The group is that of the job, so that its committed offsets can be asked for. This
     * client never joins it: it assigns its partitions itself and commits nothing. */
    const setting settings[] = {
        {"bootstrap.servers", broker->address},
        {"group.id", group},
        {"enable.auto.commit", "false"},
        {"fetch.error.backoff.ms", "5"},
        {"fetch.wait.max.ms", "50"},
        {NULL, NULL},
    };
    broker->consumer = new_client(broker, RD_KAFKA_CONSUMER, settings);
    if (broker->consumer == NULL)
        return false;
    rd_kafka_poll_set_consumer(broker->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(DEMO_PARTITIONS);
    for (int o = 0; o < DEMO_OUTPUTS; o++)
        for (int i = 0; i < DEMO_PARTITIONS; i++)
            rd_kafka_topic_partition_list_add(list, broker->outputs[o], i)->offset = 0;
    rd_kafka_resp_err_t err = rd_kafka_assign(broker->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    broker->queue = rd_kafka_queue_get_consumer(broker->consumer);
    return err == 0 || fail(broker, "the job's results: %s", rd_kafka_err2str(err));
}

/* ---------------------------------------------------------------------------
 * Topics
 * ------------------------------------------------------------------------- */

static void name_topics(demo_broker *broker)
{
    static const char *const inputs[DEMO_INPUTS] = {"flights", "departures"};
    static const char *const outputs[DEMO_OUTPUTS] = {"aircraft-totals", "departures-by-hour",
                                                      "departures-by-visibility"};
    static const char *const stores[DEMO_CHANGELOGS][2] = {
        {"flights", "default"},
        {"departures", "weather"},
        {"departures", "hours"},
        {"departures", "visibility"},
    };
    const char *prefix = broker->prefix;
    for (int i = 0; i < DEMO_INPUTS; i++)
        snprintf(broker->inputs[i], sizeof broker->inputs[i], "%s%s", prefix, inputs[i]);
    for (int i = 0; i < DEMO_OUTPUTS; i++)
        snprintf(broker->outputs[i], sizeof broker->outputs[i], "%s%s", prefix, outputs[i]);
    for (int i = 0; i < DEMO_CHANGELOGS; i++)
        snprintf(broker->changelogs[i], sizeof broker->changelogs[i],
                 "changelog__%saircraft--%s%s--%s", prefix, prefix, stores[i][0], stores[i][1]);
}

/* Topic number i of those that the job uses; NULL behind the last. The changelogs come last. */
static const char *topic_name(const demo_broker *broker, int i)
{
    if (i < DEMO_INPUTS)
        return broker->inputs[i];
    i -= DEMO_INPUTS;
    if (i < DEMO_OUTPUTS)
        return broker->outputs[i];
    i -= DEMO_OUTPUTS;
    return i < DEMO_CHANGELOGS ? broker->changelogs[i] : NULL;
}

static bool has_topic(const rd_kafka_metadata_t *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0)
            return true;
    return false;
}

/* Names that no earlier run has left on the broker. */
static bool choose_names(demo_broker *broker)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(broker->producer, 1, NULL, &metadata, REQUEST_MS);
    if (err)
        return fail(broker, "no answer from the broker at %s: %s", broker->address,
                    rd_kafka_err2str(err));
    for (int run = 2;; run++) {
        bool taken = false;
        name_topics(broker);
        for (int i = 0; topic_name(broker, i) != NULL; i++)
            taken = taken || has_topic(metadata, topic_name(broker, i));
        if (!taken)
            break;
        snprintf(broker->prefix, sizeof broker->prefix, "run%d-", run);
    }
    rd_kafka_metadata_destroy(metadata);
    if (broker->prefix[0] != '\0')
        screen_note("Topics of an earlier run are there: all names of this run begin with %s",
                    broker->prefix);
    return true;
}

static bool create_mock_topics(demo_broker *broker)
{
    for (int i = 0; topic_name(broker, i) != NULL; i++) {
        rd_kafka_resp_err_t err =
            rd_kafka_mock_topic_create(broker->mock, topic_name(broker, i), DEMO_PARTITIONS, 1);
        if (err)
            return fail(broker, "topic %s: %s", topic_name(broker, i), rd_kafka_err2str(err));
    }
    return true;
}

/* The flights are of 2013: retention by time would delete them at once. The job makes its
 * changelogs itself. */
static bool create_real_topics(demo_broker *broker)
{
    rd_kafka_NewTopic_t *topics[DEMO_INPUTS + DEMO_OUTPUTS];
    for (int i = 0; i < DEMO_INPUTS + DEMO_OUTPUTS; i++) {
        topics[i] = rd_kafka_NewTopic_new(topic_name(broker, i), DEMO_PARTITIONS, -1, NULL, 0);
        rd_kafka_NewTopic_set_config(topics[i], "retention.ms", "-1");
    }
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(broker->producer, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_operation_timeout(options, REQUEST_MS, NULL, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(broker->producer);
    rd_kafka_CreateTopics(broker->producer, topics, DEMO_INPUTS + DEMO_OUTPUTS, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * REQUEST_MS);
    bool ok = event != NULL && rd_kafka_event_error(event) == 0;
    if (!ok)
        fail(broker, "topics can't be created: %s",
             event ? rd_kafka_event_error_string(event) : "no answer");
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        ok ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
           : NULL;
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_result_error(results[i]))
            ok = fail(broker, "topic %s can't be created: %s",
                      rd_kafka_topic_result_name(results[i]),
                      rd_kafka_topic_result_error_string(results[i]));
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(topics, DEMO_INPUTS + DEMO_OUTPUTS);
    return ok;
}

bool demo_broker_open(demo_broker *broker, const char *address)
{
    *broker = (demo_broker){0};
    if (!open_producer(broker, address))
        return false;
    if (broker->mock != NULL) {
        name_topics(broker);
        return create_mock_topics(broker) && open_consumer(broker);
    }
    return choose_names(broker) && create_real_topics(broker) && open_consumer(broker);
}

void demo_broker_close(demo_broker *broker)
{
    if (broker->queue != NULL)
        rd_kafka_queue_destroy(broker->queue);
    if (broker->consumer != NULL) {
        rd_kafka_assign(broker->consumer, NULL);
        rd_kafka_destroy_flags(broker->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    if (broker->producer != NULL)
        rd_kafka_purge(broker->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (broker->mock != NULL)
        rd_kafka_mock_cluster_destroy(broker->mock);
    if (broker->producer != NULL)
        rd_kafka_destroy(broker->producer);
    *broker = (demo_broker){0};
}

/* ---------------------------------------------------------------------------
 * Flights and weather out, results in
 * ------------------------------------------------------------------------- */

static bool send_record(demo_broker *broker, int input, const char *key, const char *value,
                        int64_t timestamp)
{
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            broker->producer, RD_KAFKA_V_TOPIC(broker->inputs[input]),
            RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE((void *)value, strlen(value)),
            RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_END);
        if (err == 0)
            break;
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return fail(broker, "a record could not be sent: %s", rd_kafka_err2str(err));
        rd_kafka_poll(broker->producer, 50);
        if (broker->failure[0] != '\0')
            return false;
    }
    broker->fed[input]++;
    rd_kafka_poll(broker->producer, 0);
    return broker->failure[0] == '\0';
}

bool demo_broker_feed(demo_broker *broker, const demo_flight *flight)
{
    char value[256], departure[64];
    snprintf(value, sizeof value,
             "{\"carrier\":\"%s\",\"flight\":%s,\"tailnum\":\"%s\",\"origin\":\"%s\","
             "\"dest\":\"%s\",\"distance\":%d,\"dep_delay\":%d}",
             flight->carrier, flight->number, flight->tailnum, flight->origin, flight->destination,
             (int)flight->distance, (int)flight->delay);
    snprintf(departure, sizeof departure, "{\"dep_delay\":%d}", (int)flight->delay);
    return send_record(broker, DEMO_FLIGHTS, flight->tailnum, value, flight->scheduled_ms) &&
           send_record(broker, DEMO_DEPARTURES, flight->origin, departure, flight->scheduled_ms);
}

bool demo_broker_feed_weather(demo_broker *broker, const demo_weather *weather)
{
    char value[64];
    snprintf(value, sizeof value, "{\"visibility\":\"%s\"}", weather->visibility);
    return send_record(broker, DEMO_DEPARTURES, weather->origin, value, weather->time_ms);
}

bool demo_broker_feed_end(demo_broker *broker, int64_t time_ms)
{
    bool ok = true;
    for (int i = 0; i < DEMO_AIRPORTS && ok; i++)
        ok = send_record(broker, DEMO_DEPARTURES, results_airport(i), "{\"end\":true}", time_ms);
    return ok;
}

static bool take_totals(demo_broker *broker, const rd_kafka_message_t *message, json_t *value,
                        demo_received *received)
{
    demo_aircraft *found =
        aircraft_find(received->totals, received->count, message->key, message->key_len);
    json_int_t flights, miles, delay;
    const char *destination;
    if (found == NULL ||
        json_unpack(value, "{s:I, s:I, s:I, s:s}", "flights", &flights, "miles", &miles,
                    "delay_minutes", &delay, "last_destination", &destination) != 0)
        return false;
    found->flights = flights;
    found->miles = miles;
    found->delay_minutes = delay;
    snprintf(found->last_destination, sizeof found->last_destination, "%s", destination);
    broker->updates++;
    return true;
}

/* An hour or a visibility of an airport. */
static bool take_mean(const rd_kafka_message_t *message, json_t *value, demo_received *received)
{
    char origin[8];
    json_int_t start_ms = 0, flights;
    const char *visibility = NULL;
    double delay;
    snprintf(origin, sizeof origin, "%.*s", (int)message->key_len, (const char *)message->key);
    if (json_unpack(value, "{s?I, s?s, s:I, s:F}", "start_ms", &start_ms, "visibility", &visibility,
                    "flights", &flights, "mean_delay", &delay) != 0)
        return false;
    demo_mean mean = {flights, delay};
    return visibility != NULL ? results_put_visibility(&received->results, origin, visibility, mean)
                              : results_put_hour(&received->results, origin, start_ms, mean);
}

static bool take_record(demo_broker *broker, const rd_kafka_message_t *message,
                        demo_received *received)
{
    if (message->err)
        return fail(broker, "the job's results: %s", rd_kafka_message_errstr(message));
    const char *topic = rd_kafka_topic_name(message->rkt);
    int32_t partition = message->partition;
    int output = 0;
    while (output < DEMO_OUTPUTS && strcmp(broker->outputs[output], topic) != 0)
        output++;
    if (output == DEMO_OUTPUTS || partition < 0 || partition >= DEMO_PARTITIONS)
        return fail(broker, "%s has a partition %d", topic, (int)partition);
    int64_t *next = &broker->next[output][partition];
    if (broker->mock != NULL && message->offset != *next)
        return fail(broker,
                    "the embedded broker dropped records of %s before they were read "
                    "(partition %d: offset %" PRId64 " came instead of %" PRId64 ")",
                    topic, (int)partition, message->offset, *next);
    *next = message->offset + 1;
    json_t *value = json_loadb(message->payload, message->len, 0, NULL);
    bool ok =
        value != NULL && (output == DEMO_TOTALS ? take_totals(broker, message, value, received)
                                                : take_mean(message, value, received));
    json_decref(value);
    return ok ||
           fail(broker, "%s partition %d offset %" PRId64 " is not as expected: %.*s", topic,
                (int)partition, message->offset, (int)message->len, (const char *)message->payload);
}

bool demo_broker_follow(demo_broker *broker, demo_received *received, int timeout_ms)
{
    rd_kafka_message_t *messages[BATCH];
    rd_kafka_poll(broker->producer, 0);
    ssize_t got = rd_kafka_consume_batch_queue(broker->queue, timeout_ms, messages, BATCH);
    bool ok = broker->failure[0] == '\0';
    for (ssize_t i = 0; i < got; i++) {
        ok = ok && take_record(broker, messages[i], received);
        rd_kafka_message_destroy(messages[i]);
    }
    return ok;
}

/* ---------------------------------------------------------------------------
 * Questions
 * ------------------------------------------------------------------------- */

static bool watermarks(demo_broker *broker, const char *topic, int32_t partition, int64_t *low,
                       int64_t *high)
{
    rd_kafka_resp_err_t err =
        rd_kafka_query_watermark_offsets(broker->consumer, topic, partition, low, high, REQUEST_MS);
    return err == 0 ||
           fail(broker, "%s partition %d: %s", topic, (int)partition, rd_kafka_err2str(err));
}

static bool drain_partition(demo_broker *broker, int output, int32_t partition,
                            demo_received *received, int64_t deadline)
{
    int64_t low, high;
    if (!watermarks(broker, broker->outputs[output], partition, &low, &high))
        return false;
    while (broker->next[output][partition] < high) {
        if (!demo_broker_follow(broker, received, 100))
            return false;
        if (screen_now_ms() > deadline)
            return fail(broker, "%s partition %d could not be read to its end",
                        broker->outputs[output], (int)partition);
    }
    return true;
}

bool demo_broker_drain(demo_broker *broker, demo_received *received)
{
    int64_t deadline = screen_now_ms() + 30000;
    bool ok = true;
    for (int i = 0; i < DEMO_OUTPUTS * DEMO_PARTITIONS && ok; i++)
        ok = drain_partition(broker, i / DEMO_PARTITIONS, i % DEMO_PARTITIONS, received, deadline);
    return ok;
}

static bool ask_committed(demo_broker *broker, int input)
{
    bool ok = true;
    int64_t sum = 0;
    const char *topic = broker->inputs[input];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(DEMO_PARTITIONS);
    for (int i = 0; i < DEMO_PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(list, topic, i);
    rd_kafka_resp_err_t err = rd_kafka_committed(broker->consumer, list, REQUEST_MS);
    if (err)
        ok = fail(broker, "committed offsets: %s", rd_kafka_err2str(err));
    for (int i = 0; ok && i < list->cnt; i++) {
        int64_t low = 0, high, offset = list->elems[i].offset > 0 ? list->elems[i].offset : 0;
        sum += offset;
        if (broker->mock == NULL)
            continue;
        ok = watermarks(broker, topic, i, &low, &high);
        if (ok && low > offset)
            ok = fail(broker,
                      "the embedded broker dropped records of %s before they were processed "
                      "(partition %d starts at %" PRId64 ", committed is %" PRId64 ")",
                      topic, i, low, offset);
    }
    rd_kafka_topic_partition_list_destroy(list);
    broker->committed[input] = sum;
    return ok;
}

bool demo_broker_ask_committed(demo_broker *broker)
{
    return ask_committed(broker, DEMO_FLIGHTS) && ask_committed(broker, DEMO_DEPARTURES);
}

bool demo_broker_check_changelogs(demo_broker *broker, int64_t *records, int *parts)
{
    *records = 0;
    *parts = 0;
    for (int i = 0; i < DEMO_CHANGELOGS * DEMO_PARTITIONS; i++) {
        const char *topic = broker->changelogs[i / DEMO_PARTITIONS];
        int32_t partition = i % DEMO_PARTITIONS;
        int64_t low, high;
        if (!watermarks(broker, topic, partition, &low, &high))
            return false;
        if (broker->mock != NULL && low != 0)
            return fail(broker,
                        "the embedded broker dropped records of %s (partition %d starts at "
                        "%" PRId64 "): give --broker or --real",
                        topic, (int)partition, low);
        *records += high - low;
        *parts += high > low;
    }
    return true;
}
