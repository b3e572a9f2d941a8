/*
 * Topics on a real broker: reaching it, counting partitions, making topics. And what is
 * said when there is no broker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "support_layer.h"

#include <cmocka.h>

#include "base/clock.h"
#include "support/kafka.h"

static weir__admin *new_admin(const char *bootstrap)
{
    weir_error err;
    weir__admin *admin;
    weir__kafka_config config = test_config(bootstrap, "group");
    assert_ok(weir__admin_new(&config, &admin, &err));
    return admin;
}

static void test_connect_succeeds_when_a_broker_answers(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    weir__admin *admin = new_admin(broker->bootstrap);
    assert_ok(weir__admin_connect(admin, 10000, NULL, &err));
    weir__admin_free(admin);
}

static void test_connect_to_nobody_names_address_and_reason_in_time(void **state)
{
    weir_error err;
    (void)state;
    weir__admin *admin = new_admin("127.0.0.1:1");
    int64_t begin = weir__now_ms();
    assert_int_equal(weir__admin_connect(admin, 1000, NULL, &err), WEIR_KAFKA);
    assert_in_range(weir__now_ms() - begin, 900, 4000);
    assert_contains(err.message, "127.0.0.1:1");
    assert_contains(err.message, "Connection refused");
    weir__admin_free(admin);
}

static void test_connect_ends_at_once_on_stop(void **state)
{
    weir_error err;
    (void)state;
    volatile bool stop = true;
    weir__admin *admin = new_admin("127.0.0.1:1");
    int64_t begin = weir__now_ms();
    assert_int_equal(weir__admin_connect(admin, 60000, &stop, &err), WEIR_ABORTED);
    assert_in_range(weir__now_ms() - begin, 0, 3000);
    weir__admin_free(admin);
}

static void test_partition_count_is_zero_for_a_missing_topic_and_makes_none(void **state)
{
    weir_error err;
    int32_t count = -1;
    kafka_broker *broker = *state;
    weir__admin *admin = new_admin(broker->bootstrap);
    const char *topic = kafka_unique("missing");
    assert_ok(weir__admin_partition_count(admin, topic, &count, &err));
    assert_int_equal(count, 0);
    assert_ok(weir__admin_partition_count(admin, topic, &count, &err));
    assert_int_equal(count, 0);
    weir__admin_free(admin);
}

static void test_created_topic_has_its_partitions_and_configuration(void **state)
{
    weir_error err;
    int32_t count = 0;
    kafka_broker *broker = *state;
    weir__admin *admin = new_admin(broker->bootstrap);
    const char *topic = kafka_unique("created");
    const weir_option config[] = {{"cleanup.policy", "compact"}, {NULL, NULL}};
    assert_ok(weir__admin_create_topic(admin, topic, 3, 0, config, &err));
    assert_ok(weir__admin_partition_count(admin, topic, &count, &err));
    assert_int_equal(count, 3);
    assert_int_equal(kafka_partition_count(broker->bootstrap, topic), 3);
    char *policy = kafka_topic_config(broker->bootstrap, topic, "cleanup.policy");
    assert_string_equal(policy, "compact");
    free(policy);
    weir__admin_free(admin);
}

static void test_creating_an_existing_topic_is_fine_if_its_shape_is_right(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    weir__admin *admin = new_admin(broker->bootstrap);
    const char *topic = kafka_unique("twice");
    assert_ok(weir__admin_create_topic(admin, topic, 2, 1, NULL, &err));
    assert_ok(weir__admin_create_topic(admin, topic, 2, 1, NULL, &err));
    assert_int_equal(weir__admin_create_topic(admin, topic, 4, 1, NULL, &err), WEIR_TOPIC);
    assert_contains(err.message, topic);
    assert_contains(err.message, "has 2 partitions, not 4");
    weir__admin_free(admin);
}

static void test_refused_topics_give_the_reason_of_the_broker(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    weir__admin *admin = new_admin(broker->bootstrap);
    const weir_option config[] = {{"cleanup.policy", "sometimes"}, {NULL, NULL}};
    assert_int_equal(weir__admin_create_topic(admin, kafka_unique("bad"), 1, 0, config, &err),
                     WEIR_TOPIC);
    assert_contains(err.message, "cleanup.policy");
    assert_int_equal(weir__admin_create_topic(admin, kafka_unique("wide"), 1, 3, NULL, &err),
                     WEIR_TOPIC);
    assert_contains(err.message, "eplication factor");
    assert_int_equal(weir__admin_create_topic(admin, "not a name", 1, 0, NULL, &err), WEIR_TOPIC);
    assert_contains(err.message, "not a name");
    weir__admin_free(admin);
}

static void test_mock_cluster_answers_too(void **state)
{
    weir_error err;
    int32_t count = 0;
    (void)state;
    kafka_mock *mock = kafka_mock_start(1);
    kafka_mock_create_topic(mock, "mocked", 4);
    weir__admin *admin = new_admin(mock->bootstrap);
    assert_ok(weir__admin_connect(admin, 10000, NULL, &err));
    assert_ok(weir__admin_partition_count(admin, "mocked", &count, &err));
    assert_int_equal(count, 4);
    weir__admin_free(admin);
    kafka_mock_stop(mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_succeeds_when_a_broker_answers),
        cmocka_unit_test(test_connect_to_nobody_names_address_and_reason_in_time),
        cmocka_unit_test(test_connect_ends_at_once_on_stop),
        cmocka_unit_test(test_partition_count_is_zero_for_a_missing_topic_and_makes_none),
        cmocka_unit_test(test_created_topic_has_its_partitions_and_configuration),
        cmocka_unit_test(test_creating_an_existing_topic_is_fine_if_its_shape_is_right),
        cmocka_unit_test(test_refused_topics_give_the_reason_of_the_broker),
        cmocka_unit_test(test_mock_cluster_answers_too),
    };
    if (!kafka_broker_available())
        return kafka_broker_skip();
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
