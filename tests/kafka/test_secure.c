/*
 * SASL over TLS to a real broker, by nothing but the user's properties; and refused
 * credentials.
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

#define WAIT_MS        20000
#define WRONG_PASSWORD "wrong-password-of-the-test"

/* Six properties and the end; the strings are the broker's. */
typedef struct credentials {
    weir_option properties[7];
} credentials;

static credentials sasl_over_tls(const kafka_broker *broker, const char *mechanism,
                                 const char *password)
{
    credentials made = {{{"security.protocol", "sasl_ssl"},
                         {"ssl.ca.location", broker->ca},
                         {"sasl.mechanism", mechanism},
                         {"sasl.username", broker->username},
                         {"sasl.password", password},
                         {"debug", "security,broker"},
                         {NULL, NULL}}};
    return made;
}

static weir__consumer *reading;

static weir_status on_assigned(const weir__topic_partition *partitions, size_t count, void *arg,
                               weir_error *err)
{
    (void)arg;
    for (size_t i = 0; i < count; i++)
        if (weir__consumer_resume(reading, partitions[i].topic, partitions[i].partition, err))
            return WEIR_KAFKA;
    return WEIR_OK;
}

static void consume_one(const weir__kafka_config *config, const char *topic, const char *value)
{
    weir_error err;
    size_t count = 0;
    weir__message *messages;
    weir__consumer_events events = {.assigned = on_assigned};
    assert_ok(weir__consumer_new(config, &events, &reading, &err));
    assert_ok(weir__consumer_subscribe(reading, &topic, 1, &err));
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (count == 0 && weir__now_ms() < deadline)
        assert_ok(weir__consumer_poll(reading, 100, 10, &messages, &count, &err));
    assert_int_equal(count, 1);
    assert_true(weir_slice_equal(messages[0].record.value, weir_slice_str(value)));
    weir__topic_partition offset = {topic, 0, 1};
    assert_ok(weir__consumer_commit(reading, &offset, 1, &err));
    assert_ok(weir__consumer_close(reading, &err));
}

static void round_trip(kafka_broker *broker, const char *mechanism)
{
    weir_error err;
    int32_t partitions;
    int64_t last;
    weir__admin *admin;
    weir__producer *producer;
    weir__producer_topic *handle;
    weir_kafka_reader *reader;
    weir_changelog *log;
    const char *topic = kafka_unique("secure");
    credentials user = sasl_over_tls(broker, mechanism, broker->password);
    weir__kafka_config config = test_config(broker->sasl_bootstrap, topic);
    config.kafka = user.properties;
    test_log_capture();
    assert_ok(weir__kafka_config_check(&config, &err));
    assert_ok(weir__admin_new(&config, &admin, &err));
    assert_ok(weir__admin_connect(admin, 10000, NULL, &err));
    assert_ok(weir__admin_create_topic(admin, topic, 1, 0, NULL, &err));
    assert_ok(weir__admin_partition_count(admin, topic, &partitions, &err));
    assert_int_equal(partitions, 1);
    weir__admin_free(admin);
    assert_ok(weir__producer_new(&config, &producer, &err));
    assert_ok(weir__producer_open_topic(producer, topic, &handle, &err));
    weir_record record = {.value = weir_slice_str("sealed"), .has_value = true, .timestamp = -1};
    assert_ok(weir__producer_produce(producer, handle, 0, &record, NULL, &err));
    assert_ok(weir__producer_flush(producer, 10000, &err));
    consume_one(&config, topic, "sealed");
    assert_ok(weir__kafka_reader_new(&config, &reader, &err));
    assert_ok(weir__kafka_changelog_open(producer, reader, topic, 0, &log, &err));
    weir_changelog_record change = {.cf = "default", .key = weir_slice_str("k")};
    assert_ok(log->ops->append(log, &change, &err));
    assert_ok(log->ops->flush(log, 10000, &last, &err));
    assert_int_equal(last, 1);
    log->ops->close(log);
    weir_kafka_reader_free(reader);
    weir__producer_free(producer);
    assert_true(test_log_contains("kafka."));
    assert_false(test_log_contains(broker->password));
    test_log_release();
}

static void test_all_clients_speak_sasl_plain_over_tls(void **state)
{
    round_trip(*state, "PLAIN");
}

static void test_scram_works_or_says_which_librdkafka_it_needs(void **state)
{
    weir_error err;
    weir__admin *admin;
    kafka_broker *broker = *state;
    if (rd_kafka_version() >= 0x02060100) {
        round_trip(broker, "SCRAM-SHA-512");
        return;
    }
    credentials user = sasl_over_tls(broker, "SCRAM-SHA-512", broker->password);
    weir__kafka_config config = test_config(broker->sasl_bootstrap, "group");
    config.kafka = user.properties;
    test_log_capture();
    assert_ok(weir__admin_new(&config, &admin, &err));
    assert_int_equal(weir__admin_connect(admin, 30000, NULL, &err), WEIR_PERMISSION);
    assert_contains(err.message, "needs librdkafka 2.6.1");
    assert_null(strstr(err.message, broker->password));
    weir__admin_free(admin);
    test_log_release();
}

static void check_refused(const weir_error *err)
{
    assert_contains(err->message, "refuses the credentials");
    assert_contains(err->message, "sasl.password");
    assert_null(strstr(err->message, WRONG_PASSWORD));
}

static void test_wrong_password_gives_one_clear_message_without_it(void **state)
{
    weir_error err;
    size_t count;
    weir__message *messages;
    weir__admin *admin;
    weir__consumer *consumer;
    weir__producer *producer;
    weir__producer_topic *handle;
    weir_status status = WEIR_OK;
    kafka_broker *broker = *state;
    const char *topic = "any";
    credentials user = sasl_over_tls(broker, "PLAIN", WRONG_PASSWORD);
    weir__kafka_config config = test_config(broker->sasl_bootstrap, "group");
    config.kafka = user.properties;
    test_log_capture();
    int64_t begin = weir__now_ms();
    assert_ok(weir__admin_new(&config, &admin, &err));
    assert_int_equal(weir__admin_connect(admin, 30000, NULL, &err), WEIR_PERMISSION);
    check_refused(&err);
    weir__admin_free(admin);
    assert_ok(weir__consumer_new(&config, NULL, &consumer, &err));
    assert_ok(weir__consumer_subscribe(consumer, &topic, 1, &err));
    while (!status && weir__now_ms() - begin < WAIT_MS)
        status = weir__consumer_poll(consumer, 100, 10, &messages, &count, &err);
    assert_int_equal(status, WEIR_PERMISSION);
    check_refused(&err);
    assert_ok(weir__consumer_close(consumer, &err));
    assert_ok(weir__producer_new(&config, &producer, &err));
    assert_ok(weir__producer_open_topic(producer, topic, &handle, &err));
    weir_record record = {.has_value = true, .timestamp = -1};
    assert_ok(weir__producer_produce(producer, handle, 0, &record, NULL, &err));
    assert_int_equal(weir__producer_flush(producer, 30000, &err), WEIR_PERMISSION);
    check_refused(&err);
    weir__producer_free(producer);
    assert_true(weir__now_ms() - begin < 15000);
    assert_false(test_log_contains(WRONG_PASSWORD));
    test_log_release();
}

static void test_unknown_authority_is_named_as_the_reason(void **state)
{
    weir_error err;
    weir__admin *admin;
    kafka_broker *broker = *state;
    const weir_option properties[] = {{"security.protocol", "ssl"}, {NULL, NULL}};
    weir__kafka_config config = test_config(broker->sasl_bootstrap, "group");
    config.kafka = properties;
    assert_ok(weir__admin_new(&config, &admin, &err));
    assert_int_equal(weir__admin_connect(admin, 1500, NULL, &err), WEIR_KAFKA);
    assert_contains(err.message, broker->sasl_bootstrap);
    assert_contains(err.message, "certificate");
    weir__admin_free(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_clients_speak_sasl_plain_over_tls),
        cmocka_unit_test(test_scram_works_or_says_which_librdkafka_it_needs),
        cmocka_unit_test(test_wrong_password_gives_one_clear_message_without_it),
        cmocka_unit_test(test_unknown_authority_is_named_as_the_reason),
    };
    if (!kafka_broker_available())
        return kafka_broker_skip();
    return cmocka_run_group_tests(tests, kafka_broker_setup_secure, kafka_broker_teardown);
}
