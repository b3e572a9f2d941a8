/*
 * Properties of Kafka clients: refused, unknown, passed on, and secrets in no message.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "support_layer.h"

#include <cmocka.h>

#define SECRET "hunter2-and-more"

static weir_status check(const weir_option *kafka, const weir_option *consumer,
                         const weir_option *producer, weir_error *err)
{
    weir__kafka_config config = test_config("127.0.0.1:1", "group");
    config.kafka = kafka;
    config.consumer = consumer;
    config.producer = producer;
    weir_error_init(err);
    return weir__kafka_config_check(&config, err);
}

static weir_status check_kafka(const char *key, const char *value, weir_error *err)
{
    const weir_option properties[] = {{key, value}, {NULL, NULL}};
    return check(properties, NULL, NULL, err);
}

static void test_no_properties_are_fine(void **state)
{
    weir_error err;
    (void)state;
    assert_ok(check(NULL, NULL, NULL, &err));
}

static void test_any_librdkafka_property_can_be_set(void **state)
{
    const weir_option kafka[] = {
        {"client.id", "me"}, {"socket.timeout.ms", "3000"}, {"linger.ms", "1"}, {NULL, NULL}};
    const weir_option consumer[] = {
        {"session.timeout.ms", "6000"}, {"queued.min.messages", "7"}, {NULL, NULL}};
    const weir_option producer[] = {
        {"compression.type", "gzip"}, {"message.max.bytes", "2000000"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    assert_ok(check(kafka, consumer, producer, &err));
}

static void test_properties_that_weir_sets_are_refused_by_name(void **state)
{
    static const char *const names[] = {"bootstrap.servers",  "group.id",
                                        "enable.auto.commit", "auto.offset.reset",
                                        "isolation.level",    "partition.assignment.strategy",
                                        "enable.idempotence", "transactional.id",
                                        "partitioner",        "ENABLE.AUTO.COMMIT"};
    weir_error err;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(check_kafka(names[i], "x", &err), WEIR_INVALID);
        assert_contains(err.message, names[i]);
        assert_contains(err.message, "set by Weir");
    }
    const weir_option producer[] = {{"partitioner", "random"}, {NULL, NULL}};
    assert_int_equal(check(NULL, NULL, producer, &err), WEIR_INVALID);
    assert_contains(err.message, "producer property 'partitioner'");
}

static void test_unknown_property_gives_the_message_of_librdkafka(void **state)
{
    weir_error err;
    (void)state;
    assert_int_equal(check_kafka("no.such.thing", "1", &err), WEIR_INVALID);
    assert_contains(err.message, "no.such.thing");
    assert_contains(err.message, "No such configuration property");
}

static void test_bad_value_names_property_and_range(void **state)
{
    const weir_option consumer[] = {{"session.timeout.ms", "-5"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    assert_int_equal(check(NULL, consumer, NULL, &err), WEIR_INVALID);
    assert_contains(err.message, "consumer property 'session.timeout.ms'");
}

static void test_properties_that_do_not_fit_together_are_refused(void **state)
{
    const weir_option producer[] = {{"acks", "1"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    assert_int_equal(check(NULL, NULL, producer, &err), WEIR_INVALID);
    assert_contains(err.message, "acks");
}

static void test_missing_certificate_file_is_told_before_connecting(void **state)
{
    const weir_option kafka[] = {
        {"security.protocol", "ssl"}, {"ssl.ca.location", "/nowhere/ca.pem"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    assert_int_equal(check(kafka, NULL, NULL, &err), WEIR_INVALID);
    assert_contains(err.message, "ssl.ca.location");
}

static void test_broker_and_group_are_required(void **state)
{
    weir_error err;
    (void)state;
    weir__kafka_config config = test_config("", "group");
    assert_int_equal(weir__kafka_config_check(&config, &err), WEIR_INVALID);
    assert_contains(err.message, "broker");
    config = test_config("127.0.0.1:1", NULL);
    assert_int_equal(weir__kafka_config_check(&config, &err), WEIR_INVALID);
    assert_contains(err.message, "consumer_group");
}

static void test_secrets_are_in_no_message_and_no_log(void **state)
{
    static const char *const names[] = {"sasl.password",
                                        "ssl.key.password",
                                        "ssl.key.pem",
                                        "ssl.keystore.password",
                                        "sasl.oauthbearer.client.secret",
                                        "sasl.pasword.mistyped",
                                        "my.secret"};
    weir_error err;
    (void)state;
    test_log_capture();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const weir_option kafka[] = {{"security.protocol", "sasl_ssl"},
                                     {"sasl.mechanism", "PLAIN"},
                                     {"sasl.username", "me"},
                                     {"debug", "all"},
                                     {names[i], SECRET},
                                     {"socket.timeout.ms", "soon"},
                                     {NULL, NULL}};
        assert_int_equal(check(kafka, NULL, NULL, &err), WEIR_INVALID);
        assert_null(strstr(err.message, SECRET));
    }
    /* A secret that turns up in another message is blanked out there. */
    const weir_option quoted[] = {{"sasl.password", SECRET}, {"acks", SECRET}, {NULL, NULL}};
    assert_int_equal(check(quoted, NULL, NULL, &err), WEIR_INVALID);
    assert_null(strstr(err.message, SECRET));
    assert_false(test_log_contains(SECRET));
    test_log_release();
}

static void test_debug_logs_of_librdkafka_hide_the_password(void **state)
{
    const weir_option kafka[] = {{"security.protocol", "sasl_plaintext"},
                                 {"sasl.mechanism", "PLAIN"},
                                 {"sasl.username", SECRET},
                                 {"sasl.password", SECRET},
                                 {"debug", "all"},
                                 {NULL, NULL}};
    weir_error err;
    (void)state;
    test_log_capture();
    assert_ok(check(kafka, NULL, NULL, &err));
    assert_true(test_log_contains("\nkafka."));
    assert_true(test_log_contains("sasl.username"));
    assert_false(test_log_contains(SECRET));
    test_log_release();
}

static void test_common_property_for_the_other_kind_of_client_is_fine(void **state)
{
    const weir_option kafka[] = {{"linger.ms", "3"}, {"fetch.min.bytes", "2"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    test_log_capture();
    weir_log_set_level(WEIR_LOG_WARN);
    assert_ok(check(kafka, NULL, NULL, &err));
    assert_int_equal(test_log_count("kafka.confwarn"), 0);
    test_log_release();
    assert_int_equal(check_kafka("linger.ms", "never", &err), WEIR_INVALID);
    assert_contains(err.message, "linger.ms");
}

static void test_property_in_the_list_of_the_wrong_client_is_refused(void **state)
{
    const weir_option consumer[] = {{"linger.ms", "3"}, {NULL, NULL}};
    const weir_option producer[] = {{"fetch.min.bytes", "2"}, {NULL, NULL}};
    weir_error err;
    (void)state;
    assert_int_equal(check(NULL, consumer, NULL, &err), WEIR_INVALID);
    assert_contains(err.message, "consumer property 'linger.ms' is one of producers");
    assert_int_equal(check(NULL, NULL, producer, &err), WEIR_INVALID);
    assert_contains(err.message, "producer property 'fetch.min.bytes' is one of consumers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_properties_are_fine),
        cmocka_unit_test(test_any_librdkafka_property_can_be_set),
        cmocka_unit_test(test_properties_that_weir_sets_are_refused_by_name),
        cmocka_unit_test(test_unknown_property_gives_the_message_of_librdkafka),
        cmocka_unit_test(test_bad_value_names_property_and_range),
        cmocka_unit_test(test_properties_that_do_not_fit_together_are_refused),
        cmocka_unit_test(test_missing_certificate_file_is_told_before_connecting),
        cmocka_unit_test(test_broker_and_group_are_required),
        cmocka_unit_test(test_secrets_are_in_no_message_and_no_log),
        cmocka_unit_test(test_debug_logs_of_librdkafka_hide_the_password),
        cmocka_unit_test(test_common_property_for_the_other_kind_of_client_is_fine),
        cmocka_unit_test(test_property_in_the_list_of_the_wrong_client_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
