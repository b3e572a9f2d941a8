/*
 * Tests of logging: threshold, callback, and the lines on stderr.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/base.h>

typedef struct recorder {
    int count;
    weir_log_level level;
    char event[64];
    char message[4096];
} recorder;

static void record(weir_log_level level, const char *event, const char *message, void *arg)
{
    recorder *seen = arg;
    seen->count++;
    seen->level = level;
    snprintf(seen->event, sizeof(seen->event), "%s", event);
    snprintf(seen->message, sizeof(seen->message), "%s", message);
    errno = ENOENT;
}

static int restore_logging(void **state)
{
    (void)state;
    weir_log_set(NULL, NULL);
    weir_log_set_level(WEIR_LOG_INFO);
    return 0;
}

static void test_the_callback_gets_level_event_and_message(void **state)
{
    (void)state;
    recorder seen = {0};
    weir_log_set(record, &seen);
    weir_log(WEIR_LOG_WARN, "store.open", "partition %d", 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, WEIR_LOG_WARN);
    assert_string_equal(seen.event, "store.open");
    assert_string_equal(seen.message, "partition 3");
}

static void test_events_beyond_the_threshold_are_dropped(void **state)
{
    (void)state;
    recorder seen = {0};
    weir_log_set(record, &seen);
    for (int threshold = WEIR_LOG_ERROR; threshold <= WEIR_LOG_TRACE; threshold++) {
        weir_log_set_level((weir_log_level)threshold);
        assert_int_equal(weir_log_get_level(), threshold);
        seen.count = 0;
        for (int level = WEIR_LOG_ERROR; level <= WEIR_LOG_TRACE; level++)
            weir_log((weir_log_level)level, "event", "message");
        assert_int_equal(seen.count, threshold + 1);
    }
}

static void test_a_level_outside_the_enumeration_is_dropped(void **state)
{
    (void)state;
    recorder seen = {0};
    weir_log_set(record, &seen);
    weir_log_set_level(WEIR_LOG_TRACE);
    weir_log((weir_log_level)99, "event", "message");
    weir_log((weir_log_level)-1, "event", "message");
    assert_int_equal(seen.count, 0);
}

static void test_logging_keeps_errno(void **state)
{
    (void)state;
    recorder seen = {0};
    weir_log_set(record, &seen);
    errno = EAGAIN;
    weir_log(WEIR_LOG_ERROR, "event", "%m");
    assert_int_equal(errno, EAGAIN);
    assert_string_equal(seen.message, strerror(EAGAIN));
}

static void test_a_long_message_is_cut(void **state)
{
    (void)state;
    recorder seen = {0};
    weir_log_set(record, &seen);
    weir_log(WEIR_LOG_ERROR, "event", "%8000d", 1);
    size_t length = strlen(seen.message);
    assert_in_range(length, 1500, 4000);
    assert_string_equal(seen.message + length - 3, "...");
}

static void log_three(void)
{
    weir_log(WEIR_LOG_WARN, "a.warn", "one");
    weir_log(WEIR_LOG_INFO, "store.open", "two\nlines, backend=%s", "memory");
    weir_log(WEIR_LOG_DEBUG, "a.debug", "three");
}

static void set_level_and_log_three(void)
{
    weir_log_set_level(WEIR_LOG_DEBUG);
    log_three();
}

/* Runs `run` in a child with WEIR_LOG=value (NULL: not set), where the threshold has not been read
 * yet, and gives what it wrote to stderr. */
static void stderr_of(const char *value, void (*run)(void), char *out, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (value)
            setenv("WEIR_LOG", value, 1);
        else
            unsetenv("WEIR_LOG");
        run();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], out + length, size - 1 - length)) > 0)
        length += (size_t)got;
    out[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void test_the_default_callback_writes_readable_lines(void **state)
{
    (void)state;
    char out[4096];
    stderr_of(NULL, log_three, out, sizeof(out));
    regex_t pattern;
    assert_int_equal(
        regcomp(&pattern,
                "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "
                "WARN  a\\.warn  one\n"
                "20[^ ]*Z INFO  store\\.open  two lines, backend=memory\n$",
                REG_EXTENDED | REG_NOSUB),
        0);
    assert_int_equal(regexec(&pattern, out, 0, NULL, 0), 0);
    regfree(&pattern);
}

static void test_the_environment_sets_the_threshold(void **state)
{
    (void)state;
    char out[4096];
    stderr_of("error", log_three, out, sizeof(out));
    assert_string_equal(out, "");
    stderr_of("warn", log_three, out, sizeof(out));
    assert_int_equal(count_lines(out), 1);
    stderr_of("DEBUG", log_three, out, sizeof(out));
    assert_int_equal(count_lines(out), 3);
    stderr_of("", log_three, out, sizeof(out));
    assert_int_equal(count_lines(out), 2);
}

static void test_a_level_that_is_set_wins_over_the_environment(void **state)
{
    (void)state;
    char out[4096];
    stderr_of("error", set_level_and_log_three, out, sizeof(out));
    assert_int_equal(count_lines(out), 3);
}

static void test_an_unknown_level_in_the_environment_is_reported(void **state)
{
    (void)state;
    char out[4096];
    stderr_of("loud", log_three, out, sizeof(out));
    assert_int_equal(count_lines(out), 3);
    assert_non_null(strstr(out, "WARN  log.level  WEIR_LOG is none of error, warn, info, debug, "
                                "trace: info is used"));
}

int main(void)
{
    /* The tests that fork come first: in this process the environment is read only once. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_default_callback_writes_readable_lines),
        cmocka_unit_test(test_the_environment_sets_the_threshold),
        cmocka_unit_test(test_a_level_that_is_set_wins_over_the_environment),
        cmocka_unit_test(test_an_unknown_level_in_the_environment_is_reported),
        cmocka_unit_test_teardown(test_the_callback_gets_level_event_and_message, restore_logging),
        cmocka_unit_test_teardown(test_events_beyond_the_threshold_are_dropped, restore_logging),
        cmocka_unit_test_teardown(test_a_level_outside_the_enumeration_is_dropped, restore_logging),
        cmocka_unit_test_teardown(test_logging_keeps_errno, restore_logging),
        cmocka_unit_test_teardown(test_a_long_message_is_cut, restore_logging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
