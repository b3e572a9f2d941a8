/*
 * Kafka for tests: a real broker (scripts/kafka), librdkafka's mock cluster, and
 * plain librdkafka helpers that make topics, produce and read back, independent of
 * the code under test. Helpers fail the cmocka test that calls them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_SUPPORT_KAFKA_H
#define WEIR_TESTS_SUPPORT_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/base.h>

/* The exit code that tells ctest that a program was skipped. */
#define KAFKA_SKIPPED 77

/* ---------------------------------------------------------------------------
 * The real broker
 *
 *   int main(void)
 *   {
 *       if (!kafka_broker_available())
 *           return kafka_broker_skip();
 *       return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
 *   }
 *
 * In tests: kafka_broker *broker = *state.
 * ------------------------------------------------------------------------- */

typedef struct kafka_broker {
    char dir[256];
    char bootstrap[64];
    int pid;
    /* With the second listener (SASL over TLS; PLAIN and SCRAM-SHA-512) only. */
    char sasl_bootstrap[64];
    char ca[320];
    char username[64];
    char password[128];
} kafka_broker;

/* Java is there, and either the jars or Maven to bring them; WEIR_SKIP_KAFKA=1 says no. */
bool kafka_broker_available(void);
/* Says loudly that the program is skipped, and returns its exit code: KAFKA_SKIPPED, or 1
 * when the variable CI is set and WEIR_SKIP_KAFKA=1 is not. */
int kafka_broker_skip(void);

/* cmocka group fixtures: a broker in a folder of its own, ended with the tests, also
 * when the test program dies. _secure has the SASL over TLS listener. */
int kafka_broker_setup(void **state);
int kafka_broker_setup_secure(void **state);
int kafka_broker_teardown(void **state);

/* The same by hand. settings: "key=value" broker properties, NULL or ended by NULL. */
kafka_broker *kafka_broker_start(bool secure, const char *const *settings);
void kafka_broker_stop(kafka_broker *broker); /* removes the folder; NULL is allowed */
void kafka_broker_kill(kafka_broker *broker); /* SIGKILL; data and ports stay */
void kafka_broker_restart(kafka_broker *broker);

/* ---------------------------------------------------------------------------
 * librdkafka's mock cluster: within its limits (no compaction, transactions, admin; a
 * topic that is asked for is made)
 * ------------------------------------------------------------------------- */

typedef struct kafka_mock {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    const char *bootstrap;
} kafka_mock;

kafka_mock *kafka_mock_start(int brokers);
void kafka_mock_stop(kafka_mock *mock); /* NULL is allowed */
void kafka_mock_create_topic(kafka_mock *mock, const char *topic, int partitions);

/* ---------------------------------------------------------------------------
 * Topics and records, on either
 * ------------------------------------------------------------------------- */

/* A topic name that no other call gives, starting with `prefix`; static storage, 8 at a time. */
const char *kafka_unique(const char *prefix);
/* config: pairs ended by {NULL, NULL}, or NULL. Waits until metadata shows the topic. */
void kafka_create_topic(const char *bootstrap, const char *topic, int partitions,
                        const weir_option *config);
void kafka_delete_topic(const char *bootstrap, const char *topic);
/* DeleteRecords: the partition begins at `before` then. */
void kafka_delete_records(const char *bootstrap, const char *topic, int32_t partition,
                          int64_t before);
/* The number of partitions, 0 if there is no such topic. */
int kafka_partition_count(const char *bootstrap, const char *topic);
/* The broker's value of a topic's configuration entry; from malloc. */
char *kafka_topic_config(const char *bootstrap, const char *topic, const char *name);
void kafka_watermarks(const char *bootstrap, const char *topic, int32_t partition, int64_t *low,
                      int64_t *high);
/* Committed offset of a group, -1 if none. */
int64_t kafka_committed(const char *bootstrap, const char *group, const char *topic,
                        int32_t partition);

/* A producer without Weir; properties may be NULL. Destroy with rd_kafka_destroy after
 * kafka_flush. */
rd_kafka_t *kafka_producer(const char *bootstrap, const weir_option *properties);
/* partition -1: by key (murmur2_random). key or value NULL: null. timestamp 0: now. */
void kafka_send(rd_kafka_t *producer, const char *topic, int32_t partition, const char *key,
                const char *value, int64_t timestamp);
/* Waits until all is delivered; fails the test if anything was not. */
void kafka_flush(rd_kafka_t *producer);
/* `count` records "key<i>" → "value<i>" to one partition (or by key, -1). */
void kafka_fill(const char *bootstrap, const char *topic, int32_t partition, int count);

typedef struct kafka_header {
    char *name;
    char *value; /* NUL-terminated copy; NULL: null */
    size_t size;
} kafka_header;

typedef struct kafka_record {
    char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp;
    char *key; /* NUL-terminated copy; NULL: null */
    size_t key_size;
    char *value; /* likewise */
    size_t value_size;
    kafka_header *headers;
    size_t header_count;
} kafka_record;

typedef struct kafka_records {
    kafka_record *items; /* partition by partition, each in order */
    size_t count;
} kafka_records;

/* All records of a topic from its beginning to the watermarks as of now, read_committed. */
kafka_records kafka_read_all(const char *bootstrap, const char *topic);
void kafka_records_free(kafka_records *records);
/* The value of a header (NUL-terminated), or NULL. */
const char *kafka_record_header(const kafka_record *record, const char *name);

#endif
