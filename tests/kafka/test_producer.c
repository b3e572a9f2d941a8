/*
 * The producer of a worker: where records go, what is noted of deliveries, and what is
 * said when they fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_layer.h"

#include <cmocka.h>

#include "base/clock.h"
#include "support/kafka.h"

static weir__producer *new_producer(const char *bootstrap, const weir_option *properties)
{
    weir_error err;
    weir__producer *producer;
    weir__kafka_config config = test_config(bootstrap, "group");
    config.producer = properties;
    assert_ok(weir__producer_new(&config, &producer, &err));
    return producer;
}

static weir__producer_topic *open_topic(weir__producer *producer, const char *name)
{
    weir_error err;
    weir__producer_topic *topic;
    assert_ok(weir__producer_open_topic(producer, name, &topic, &err));
    return topic;
}

static weir_record text_record(const char *key, const char *value)
{
    weir_record record = {.has_key = key != NULL, .has_value = value != NULL, .timestamp = -1};
    if (key)
        record.key = weir_slice_str(key);
    if (value)
        record.value = weir_slice_str(value);
    return record;
}

static void test_record_arrives_with_key_value_time_and_headers(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("whole");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    const weir_header headers[] = {{"first", weir_slice_of("a\0b", 3)},
                                   {"null", weir_slice_of(NULL, 0)},
                                   {"first", weir_slice_str("again")}};
    weir_record record = text_record("key", "value");
    record.timestamp = 1234567890123;
    record.headers = headers;
    record.header_count = 3;
    assert_ok(
        weir__producer_produce(producer, open_topic(producer, topic), 0, &record, NULL, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    kafka_records records = kafka_read_all(broker->bootstrap, topic);
    assert_int_equal(records.count, 1);
    kafka_record *read = &records.items[0];
    assert_string_equal(read->key, "key");
    assert_string_equal(read->value, "value");
    assert_int_equal(read->timestamp, 1234567890123);
    assert_int_equal(read->header_count, 3);
    assert_int_equal(read->headers[0].size, 3);
    assert_memory_equal(read->headers[0].value, "a\0b", 3);
    assert_null(read->headers[1].value);
    assert_string_equal(read->headers[2].value, "again");
    kafka_records_free(&records);
    weir__producer_free(producer);
}

static void test_null_and_empty_are_told_apart(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("nulls");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *handle = open_topic(producer, topic);
    const weir_record records[] = {text_record(NULL, NULL), text_record("", ""),
                                   text_record("k", NULL), text_record(NULL, "v")};
    for (size_t i = 0; i < 4; i++)
        assert_ok(weir__producer_produce(producer, handle, 0, &records[i], NULL, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    kafka_records read = kafka_read_all(broker->bootstrap, topic);
    assert_int_equal(read.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read.items[i].key != NULL, records[i].has_key);
        assert_int_equal(read.items[i].value != NULL, records[i].has_value);
    }
    kafka_records_free(&read);
    weir__producer_free(producer);
}

/* Where Java's default partitioner puts these keys: (murmur2(key) & 0x7fffffff) % 4, computed
 * with Kafka's own Utils.murmur2. */
static void test_keys_go_where_java_clients_send_them(void **state)
{
    static const struct {
        const char *key;
        int partition;
    } golden[] = {
        {"N14228", 0}, {"N24211", 1}, {"foobar", 2}, {"21", 0}, {"a-little-bit-long-string", 0}};
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("murmur");
    kafka_create_topic(broker->bootstrap, topic, 4, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *handle = open_topic(producer, topic);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        weir_record record = text_record(golden[i].key, "");
        assert_ok(weir__producer_produce(producer, handle, -1, &record, NULL, &err));
    }
    assert_ok(weir__producer_flush(producer, 10000, &err));
    kafka_records read = kafka_read_all(broker->bootstrap, topic);
    assert_int_equal(read.count, sizeof golden / sizeof *golden);
    for (size_t r = 0; r < read.count; r++)
        for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
            if (strcmp(read.items[r].key, golden[i].key) == 0)
                assert_int_equal(read.items[r].partition, golden[i].partition);
    kafka_records_free(&read);
    weir__producer_free(producer);
}

static void test_last_offset_of_each_delivery_is_noted(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("offsets");
    kafka_create_topic(broker->bootstrap, topic, 2, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *handle = open_topic(producer, topic);
    weir__delivery deliveries[2] = {{WEIR_OFFSET_NONE, 0}, {WEIR_OFFSET_NONE, 0}};
    weir_record record = text_record("key", "value");
    for (int i = 0; i < 25; i++)
        assert_ok(weir__producer_produce(producer, handle, 0, &record, &deliveries[0], &err));
    assert_int_equal(deliveries[0].pending, 25);
    for (int i = 0; i < 3; i++)
        assert_ok(weir__producer_produce(producer, handle, 1, &record, &deliveries[1], &err));
    assert_ok(weir__producer_produce(producer, handle, 1, &record, NULL, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    assert_int_equal(deliveries[0].last_offset, 24);
    assert_int_equal(deliveries[1].last_offset, 2);
    assert_int_equal(deliveries[0].pending, 0);
    assert_int_equal(deliveries[1].pending, 0);
    assert_ok(weir__producer_produce(producer, handle, 1, &record, &deliveries[1], &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    assert_int_equal(deliveries[1].last_offset, 4);
    weir__producer_free(producer);
}

static void test_topic_handles_are_cached_by_name(void **state)
{
    kafka_broker *broker = *state;
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *first = open_topic(producer, "one");
    assert_ptr_not_equal(first, open_topic(producer, "two"));
    assert_ptr_equal(first, open_topic(producer, "one"));
    weir__producer_free(producer);
}

static void test_too_large_record_is_told_at_once_and_hurts_no_other(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("large");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *handle = open_topic(producer, topic);
    char *value = calloc(1, 1000001);
    weir__delivery delivery = {WEIR_OFFSET_NONE, 0};
    weir_record record = text_record("key", "small");
    const weir_header header = {"name", weir_slice_str("value")};
    record.value = weir_slice_of(value, 1000001);
    record.headers = &header;
    record.header_count = 1;
    assert_int_equal(weir__producer_produce(producer, handle, 0, &record, &delivery, &err),
                     WEIR_TOO_LARGE);
    assert_contains(err.message, topic);
    assert_contains(err.message, "message.max.bytes");
    assert_contains(err.message, "1000001 bytes");
    assert_int_equal(delivery.pending, 0);
    record.value = weir_slice_str("small");
    assert_ok(weir__producer_produce(producer, handle, 0, &record, &delivery, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    assert_int_equal(delivery.last_offset, 0);
    free(value);
    weir__producer_free(producer);
}

static void test_delivery_that_the_broker_refuses_fails_all_that_follows(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("refused");
    const weir_option config[] = {{"max.message.bytes", "1000"}, {NULL, NULL}};
    kafka_create_topic(broker->bootstrap, topic, 2, config);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *handle = open_topic(producer, topic);
    char *value = calloc(1, 5000);
    weir_record record = text_record("key", NULL);
    record.value = weir_slice_of(value, 5000);
    record.has_value = true;
    assert_ok(weir__producer_produce(producer, handle, 1, &record, NULL, &err));
    assert_int_equal(weir__producer_flush(producer, 10000, &err), WEIR_TOO_LARGE);
    assert_contains(err.message, topic);
    assert_contains(err.message, "partition 1");
    record.value = weir_slice_str("small");
    assert_int_equal(weir__producer_produce(producer, handle, 0, &record, NULL, &err),
                     WEIR_TOO_LARGE);
    assert_contains(err.message, "partition 1");
    assert_int_equal(weir__producer_flush(producer, 10000, &err), WEIR_TOO_LARGE);
    free(value);
    weir__producer_free(producer);
}

static void test_missing_partition_fails_the_delivery(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("narrow");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, NULL);
    weir__producer_topic *handle = open_topic(producer, topic);
    weir_record record = text_record("key", "value");
    assert_ok(weir__producer_produce(producer, handle, 0, &record, NULL, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    weir_status status = weir__producer_produce(producer, handle, 7, &record, NULL, &err);
    if (!status)
        status = weir__producer_flush(producer, 10000, &err);
    assert_int_equal(status, WEIR_TOPIC);
    assert_contains(err.message, "partition 7");
    weir__producer_free(producer);
}

static void test_broker_that_goes_away_gives_a_bounded_error(void **state)
{
    const weir_option properties[] = {{"message.timeout.ms", "1500"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    kafka_mock *mock = kafka_mock_start(1);
    kafka_mock_create_topic(mock, "gone", 1);
    weir__producer *producer = new_producer(mock->bootstrap, properties);
    weir__producer_topic *handle = open_topic(producer, "gone");
    weir_record record = text_record("key", "value");
    assert_ok(weir__producer_produce(producer, handle, 0, &record, NULL, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    rd_kafka_mock_broker_set_down(mock->cluster, 1);
    int64_t begin = weir__now_ms();
    assert_ok(weir__producer_produce(producer, handle, 0, &record, NULL, &err));
    assert_int_equal(weir__producer_flush(producer, 300, &err), WEIR_TIMEOUT);
    assert_contains(err.message, "1 records are not delivered");
    assert_int_equal(weir__producer_flush(producer, 20000, &err), WEIR_TIMEOUT);
    assert_contains(err.message, "'gone' partition 0");
    assert_in_range(weir__now_ms() - begin, 1000, 10000);
    weir__producer_free(producer);
    kafka_mock_stop(mock);
}

static void test_full_queue_waits_for_room(void **state)
{
    const weir_option properties[] = {
        {"queue.buffering.max.messages", "100"}, {"linger.ms", "0"}, {NULL, NULL}};
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("full");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, properties);
    weir__producer_topic *handle = open_topic(producer, topic);
    weir__delivery delivery = {WEIR_OFFSET_NONE, 0};
    weir_record record = text_record("key", "value");
    for (int i = 0; i < 3000; i++)
        assert_ok(weir__producer_produce(producer, handle, 0, &record, &delivery, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    assert_int_equal(delivery.last_offset, 2999);
    weir__producer_free(producer);
}

static void test_unsent_records_are_dropped_when_it_is_freed(void **state)
{
    const weir_option properties[] = {{"linger.ms", "60000"}, {NULL, NULL}};
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("dropped");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__producer *producer = new_producer(broker->bootstrap, properties);
    weir_record record = text_record("key", "value");
    test_log_capture();
    int64_t begin = weir__now_ms();
    assert_ok(
        weir__producer_produce(producer, open_topic(producer, topic), 0, &record, NULL, &err));
    weir__producer_free(producer);
    assert_in_range(weir__now_ms() - begin, 0, 5000);
    assert_int_equal(test_log_count("kafka.delivery"), 0);
    test_log_release();
    kafka_records read = kafka_read_all(broker->bootstrap, topic);
    assert_int_equal(read.count, 0);
    kafka_records_free(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_arrives_with_key_value_time_and_headers),
        cmocka_unit_test(test_null_and_empty_are_told_apart),
        cmocka_unit_test(test_keys_go_where_java_clients_send_them),
        cmocka_unit_test(test_last_offset_of_each_delivery_is_noted),
        cmocka_unit_test(test_topic_handles_are_cached_by_name),
        cmocka_unit_test(test_too_large_record_is_told_at_once_and_hurts_no_other),
        cmocka_unit_test(test_delivery_that_the_broker_refuses_fails_all_that_follows),
        cmocka_unit_test(test_missing_partition_fails_the_delivery),
        cmocka_unit_test(test_broker_that_goes_away_gives_a_bounded_error),
        cmocka_unit_test(test_full_queue_waits_for_room),
        cmocka_unit_test(test_unsent_records_are_dropped_when_it_is_freed),
    };
    if (!kafka_broker_available())
        return kafka_broker_skip();
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
