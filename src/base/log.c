/*
 * Logging: the threshold, the callback of the process, and the default one that writes lines to
 * stderr.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include <weir/base.h>

#include "base/line.h"

/* Longer messages are cut; an error message and a path before it fit. */
#define MESSAGE_SIZE 2048

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

#define LEVEL_COUNT (sizeof(level_names) / sizeof(level_names[0]))

static void write_line(weir_log_level level, const char *event, const char *message, void *arg);

static weir_log_fn callback = write_line;
static void *callback_arg;
static atomic_int threshold = WEIR_LOG_INFO;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

/* "2026-01-31T12:00:00.123Z INFO  store.open  message" */
static void write_line(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)arg;
    struct timespec now;
    struct tm utc;
    char when[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
    /* One call, so that stdio's lock keeps lines of several threads apart. */
    fprintf(stderr, "%s.%03ldZ %-5s %s  %s\n", when, now.tv_nsec / 1000000, level_names[level],
            event, message);
}

static void read_environment(void)
{
    const char *text = getenv("WEIR_LOG");
    if (!text || text[0] == '\0')
        return;
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            atomic_store_explicit(&threshold, (int)i, memory_order_relaxed);
            return;
        }
    }
    callback(WEIR_LOG_WARN, "log.level",
             "WEIR_LOG is none of error, warn, info, debug, trace: info is used", callback_arg);
}

void weir_log_set(weir_log_fn log, void *arg)
{
    callback = log ? log : write_line;
    callback_arg = log ? arg : NULL;
}

void weir_log_set_level(weir_log_level level)
{
    /* The environment is read first, so that it can't overrule this call later. */
    pthread_once(&environment_once, read_environment);
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

weir_log_level weir_log_get_level(void)
{
    pthread_once(&environment_once, read_environment);
    return (weir_log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

void weir_log(weir_log_level level, const char *event, const char *format, ...)
{
    if ((size_t)level >= LEVEL_COUNT || level > weir_log_get_level())
        return;
    int saved_errno = errno;
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    weir__line_format(message, sizeof(message), format, args);
    va_end(args);
    callback(level, event, message, callback_arg);
    errno = saved_errno;
}
