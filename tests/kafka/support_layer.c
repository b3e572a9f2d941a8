/*
 * What the tests of the Kafka layer share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_layer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static weir__buffer captured; /* "\nevent message" for each, NUL at the end when read */
static weir_log_level level_before;

weir__kafka_config test_config(const char *bootstrap, const char *group_id)
{
    weir__kafka_config config = {
        .broker = bootstrap, .group_id = group_id, .auto_offset_reset = "earliest"};
    return config;
}

static void capture(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)level;
    (void)arg;
    pthread_mutex_lock(&lock);
    weir__buffer_append_str(&captured, "\n");
    weir__buffer_append_str(&captured, event);
    weir__buffer_append_str(&captured, " ");
    weir__buffer_append_str(&captured, message);
    pthread_mutex_unlock(&lock);
}

void test_log_capture(void)
{
    level_before = weir_log_get_level();
    weir_log_set_level(WEIR_LOG_TRACE);
    weir_log_set(capture, NULL);
}

void test_log_release(void)
{
    weir_log_set(NULL, NULL);
    weir_log_set_level(level_before);
    weir__buffer_release(&captured);
}

static const char *find(const char *from, const char *text)
{
    size_t left = captured.size - (size_t)(from - (const char *)captured.data);
    return memmem(from, left, text, strlen(text));
}

bool test_log_contains(const char *text)
{
    pthread_mutex_lock(&lock);
    bool found = captured.size > 0 && find((const char *)captured.data, text) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

int test_log_count(const char *event)
{
    char line[128];
    int count = 0;
    snprintf(line, sizeof line, "\n%s ", event);
    pthread_mutex_lock(&lock);
    const char *at = captured.size > 0 ? find((const char *)captured.data, line) : NULL;
    while (at) {
        count++;
        at = find(at + 1, line);
    }
    pthread_mutex_unlock(&lock);
    return count;
}

void test_assert_ok(weir_status status, const weir_error *err, const char *call, const char *file,
                    int line)
{
    if (!status)
        return;
    print_error("%s: %s: %s\n", call, weir_status_name(status), err->message);
    _fail(file, line);
}

void test_assert_contains(const char *text, const char *part, const char *file, int line)
{
    if (strstr(text, part))
        return;
    print_error("'%s' is not in: %s\n", part, text);
    _fail(file, line);
}
