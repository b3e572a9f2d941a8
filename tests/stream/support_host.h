/*
 * A task's host for tests of the dataflow, without Kafka: state in memory, sinks that
 * remember what was sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STREAM_SUPPORT_HOST_H
#define WEIR_TESTS_STREAM_SUPPORT_HOST_H

#include <weir/weir.h>

#include "stream/topology.h"

#define HOST_MAX_STORES 4
#define HOST_MAX_SENT   64

typedef struct test_sent {
    size_t sink;
    char key[64];
    char value[128];
    bool has_value;
    int64_t timestamp;
    char topic[64]; /* of the source record */
    int32_t partition;
    int64_t offset;
} test_sent;

typedef struct test_host {
    weir__task_host host;
    weir_state_manager *manager;
    weir_txn *txns[HOST_MAX_STORES];
    size_t store_count;
    test_sent sent[HOST_MAX_SENT];
    size_t sent_count;
    bool forget; /* count what is sent, but keep nothing */
    weir_status produce_status;
    void *processor;
    char dir[64];
} test_host;

/* An app that is never run; the broker need not exist. Fails the test that calls it. */
weir_app *test_app_new(void);
/* A task of the topology that `stream` belongs to; stores named default, s1, s2, s3 by number. */
test_host *test_host_new(weir_stream *stream, size_t store_count);
/* The same with one store, "default", for windows. */
test_host *test_host_new_windowed(weir_stream *stream);
void test_host_free(test_host *host);
/* A record of topic "in", partition 3. key or value NULL: null. */
weir_status test_host_run(test_host *host, const char *key, const char *value, int64_t offset,
                          weir_error *err);
/* "key=value" of all that was sent to a sink, separated by spaces. Static storage. */
const char *test_host_sent(const test_host *host, size_t sink);

/* The stream over topic "in", and one more sink by name. */
weir_stream *test_source(weir_app *app);
weir_stream *test_to(weir_stream *stream, const char *topic);

#endif
