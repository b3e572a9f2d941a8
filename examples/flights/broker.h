/*
 * The Kafka side of the demo: an embedded broker (librdkafka's mock cluster, in this
 * process) or a real one; the feed of flights and weather; the results that come back; what
 * the group has committed.
 *
 * The mock cluster keeps 5 MiB of a partition and drops older records without a word.
 * The feed therefore stays a bounded number of records ahead of what the group has
 * committed, and everything that could be dropped too early is checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLIGHTS_BROKER_H
#define FLIGHTS_BROKER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stdint.h>

#include "data.h"
#include "results.h"

#define DEMO_PARTITIONS 4
#define DEMO_CHANGELOGS 4

enum {
    DEMO_FLIGHTS,    /* key: aircraft */
    DEMO_DEPARTURES, /* key: airport; its flights and its weather */
    DEMO_INPUTS
};
enum { DEMO_TOTALS, DEMO_BY_HOUR, DEMO_BY_VISIBILITY, DEMO_OUTPUTS };

/* What has come back from the job. */
typedef struct demo_received {
    demo_aircraft *totals; /* sorted by tail number */
    size_t count;
    demo_results results;
} demo_received;

typedef struct demo_broker {
    rd_kafka_t *producer;
    rd_kafka_t *consumer;          /* reads the outputs; a mere observer of the group */
    rd_kafka_mock_cluster_t *mock; /* NULL: a real broker */
    rd_kafka_queue_t *queue;
    char address[256];
    char prefix[32]; /* of the topics and the group; often empty */
    char inputs[DEMO_INPUTS][64];
    char outputs[DEMO_OUTPUTS][64];
    char changelogs[DEMO_CHANGELOGS][128];
    int64_t next[DEMO_OUTPUTS][DEMO_PARTITIONS]; /* offset of the next record */
    int64_t fed[DEMO_INPUTS];                    /* records sent, all partitions together */
    int64_t committed[DEMO_INPUTS];              /* … and committed by the group */
    int64_t updates;                             /* records read from the totals */
    char failure[512];                           /* the first error; empty: none */
} demo_broker;

/* address NULL: the embedded broker. Creates the topics. On failure an error is printed. */
bool demo_broker_open(demo_broker *broker, const char *address);
void demo_broker_close(demo_broker *broker);

/* Sends a flight to both inputs (waits while the queue is full). */
bool demo_broker_feed(demo_broker *broker, const demo_flight *flight);
/* Sends an observation to the departures of its airport. */
bool demo_broker_feed_weather(demo_broker *broker, const demo_weather *weather);
/* Tells the departures of every airport that nothing comes before this time any more. */
bool demo_broker_feed_end(demo_broker *broker, int64_t time_ms);
/* Takes what came from the outputs; waits up to timeout_ms for the first. */
bool demo_broker_follow(demo_broker *broker, demo_received *received, int timeout_ms);
/* Reads the outputs up to their end. */
bool demo_broker_drain(demo_broker *broker, demo_received *received);
/* Asks what the group has committed, and checks that nothing before it was dropped. */
bool demo_broker_ask_committed(demo_broker *broker);
/* Checks that the embedded broker still has the changelogs from their first record.
 * *records [out]: how many they hold; *parts [out]: in how many partitions. */
bool demo_broker_check_changelogs(demo_broker *broker, int64_t *records, int *parts);

#endif
