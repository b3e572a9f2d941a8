/*
 * What the tests of the Kafka layer share: configurations, captured logs, waiting.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_KAFKA_SUPPORT_LAYER_H
#define WEIR_TESTS_KAFKA_SUPPORT_LAYER_H

#include "kafka/kafka.h"

/* A configuration without properties; auto_offset_reset is "earliest". */
weir__kafka_config test_config(const char *bootstrap, const char *group_id);

/* Keeps all events from here on, at all levels. */
void test_log_capture(void);
/* Ends it and forgets them. */
void test_log_release(void);
/* Whether any captured event or message holds the text. */
bool test_log_contains(const char *text);
/* How often the event of that name was logged. */
int test_log_count(const char *event);

/* Fails the test with the error's message unless status is WEIR_OK. */
#define assert_ok(call) test_assert_ok((call), &err, #call, __FILE__, __LINE__)
void test_assert_ok(weir_status status, const weir_error *err, const char *call, const char *file,
                    int line);
void test_assert_contains(const char *text, const char *part, const char *file, int line);
#define assert_contains(text, part) test_assert_contains((text), (part), __FILE__, __LINE__)

#endif
