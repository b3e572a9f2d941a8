/*
 * The Kafka side of the demo: an embedded broker (librdkafka's mock cluster, in this
 * process) or a real one; the feed of flights; the totals that come back; what the group
 * has committed.
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

#define DEMO_PARTITIONS 4

typedef struct demo_broker {
    rd_kafka_t *producer;
    rd_kafka_t *consumer;          /* reads the totals; a mere observer of the group */
    rd_kafka_mock_cluster_t *mock; /* NULL: a real broker */
    rd_kafka_queue_t *queue;
    char address[256];
    char prefix[32]; /* of the topics and the group; often empty */
    char source[64];
    char totals[64];
    char changelog[128];
    int64_t next[DEMO_PARTITIONS]; /* offset of the next record of `totals` */
    int64_t fed[DEMO_PARTITIONS];  /* records delivered to `source` */
    int64_t acknowledged;          /* the sum of them */
    int64_t committed;             /* by the group, all partitions together */
    int64_t updates;               /* records read from `totals` */
    char failure[512];             /* the first error; empty: none */
} demo_broker;

/* address NULL: the embedded broker. Creates the topics. On failure an error is printed. */
bool demo_broker_open(demo_broker *broker, const char *address);
void demo_broker_close(demo_broker *broker);

/* Sends a flight (waits while the queue is full). */
bool demo_broker_feed(demo_broker *broker, const demo_flight *flight);
/* Takes what came from `totals` into the list; waits up to timeout_ms for the first. */
bool demo_broker_follow(demo_broker *broker, demo_aircraft *list, size_t count, int timeout_ms);
/* Reads `totals` up to its end. */
bool demo_broker_drain(demo_broker *broker, demo_aircraft *list, size_t count);
/* Asks what the group has committed, and checks that nothing before it was dropped. */
bool demo_broker_ask_committed(demo_broker *broker);
/* Checks that the embedded broker still has the changelog from its first record.
 * *records [out]: how many it holds. */
bool demo_broker_check_changelog(demo_broker *broker, int64_t *records);

#endif
