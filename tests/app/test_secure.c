/*
 * The application over SASL and TLS, set by plain librdkafka properties.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"

#include <cmocka.h>

static void set_security(weir_option pairs[6], const kafka_broker *broker, const char *password)
{
    const weir_option all[] = {{"security.protocol", "sasl_ssl"},   {"sasl.mechanism", "PLAIN"},
                               {"sasl.username", broker->username}, {"sasl.password", password},
                               {"ssl.ca.location", broker->ca},     {NULL, NULL}};
    memcpy(pairs, all, sizeof(all));
}

static void test_the_job_counts_over_sasl_and_tls(void **state)
{
    weir_option pairs[6];
    test_fixture *f = fixture_make(state, 2);
    set_security(pairs, f->broker, f->broker->password);
    f->config.options.broker = f->broker->sasl_bootstrap;
    f->config.options.kafka = pairs;
    fixture_send(f, 500);
    log_capture_start();
    weir_log_set_level(WEIR_LOG_TRACE);
    fixture_run(f, 500);
    assert_true(log_captured("task.run", f->source));
    assert_false(log_contains(f->broker->password));
    log_capture_stop();
    fixture_verify(f, 2);
    fixture_end(f);
}

static void test_a_wrong_password_is_told_without_it(void **state)
{
    static const char wrong[] = "not-the-password-at-all";
    weir_option pairs[6];
    weir_error err;
    test_fixture *f = fixture_make(state, 1);
    set_security(pairs, f->broker, wrong);
    f->config.options.broker = f->broker->sasl_bootstrap;
    f->config.options.kafka = pairs;
    f->config.options.connect_timeout_ms = 5000;
    log_capture_start();
    weir_log_set_level(WEIR_LOG_TRACE);
    test_job *job = job_start(&f->config);
    weir_status status = job_join(job, &err);
    assert_true(status == WEIR_PERMISSION || status == WEIR_KAFKA);
    assert_non_null(strstr(err.message, f->broker->sasl_bootstrap));
    assert_null(strstr(err.message, wrong));
    assert_false(log_contains(wrong));
    log_capture_stop();
    fixture_end(f);
}

int main(void)
{
    if (!kafka_broker_available())
        return kafka_broker_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_job_counts_over_sasl_and_tls),
        cmocka_unit_test(test_a_wrong_password_is_told_without_it),
    };
    return cmocka_run_group_tests(tests, kafka_broker_setup_secure, kafka_broker_teardown);
}
