/*
 * State at a URL: stores of a manager on a server that speaks S3. What another machine finds
 * there, what a writer that wakes up can still do, clearing, and what is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "state/support_harness.h"
#include "support/plugins.h"
#include "support/s3.h"

#define S             weir_slice_str
#define ROUNDS        20
#define WRITER_FENCED 3

static weir_status try_manager(const char *url, const char *group, const char *backend,
                               weir_state_manager **manager, weir_error *err)
{
    weir_state_options options;
    weir_error_init(err);
    weir_state_options_init(&options);
    options.state_dir = url;
    options.group_id = group;
    options.state_backend = backend;
    return weir_state_manager_new(&options, manager, err);
}

/* A manager with the store "s" of the stream "t", partition 0 of it assigned. */
static weir_state_manager *open_state(const char *url, const char *group)
{
    weir_error err;
    weir_state_manager *manager;
    weir_store_config config;
    assert_ok(try_manager(url, group, "slatedb", &manager, &err), err);
    weir_store_config_init(&config);
    config.name = "s";
    config.stream_id = "t";
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    assert_ok(weir_state_manager_assign(manager, "t", 0, &err), err);
    return manager;
}

static weir_status try_put(weir_state_manager *manager, const char *key, const char *value,
                           weir_error *err)
{
    weir_txn *txn;
    weir_partition *partition = weir_state_manager_partition(manager, "s", "t", 0);
    weir_error_init(err);
    weir_status status = weir_partition_begin(partition, &txn, err);
    if (!status)
        status = weir_txn_set(txn, WEIR_CF_DEFAULT, S(""), S(key), S(value), err);
    if (!status)
        status = weir_txn_flush(txn, WEIR_OFFSET_NONE, err);
    weir_txn_free(txn);
    return status;
}

static void put(weir_state_manager *manager, const char *key, const char *value)
{
    weir_error err;
    assert_ok(try_put(manager, key, value, &err), err);
}

/* In a static buffer; "" if it is not there. */
static const char *get(weir_state_manager *manager, const char *key)
{
    static char text[64];
    weir_error err;
    weir_txn *txn;
    weir_slice value;
    weir_partition *partition = weir_state_manager_partition(manager, "s", "t", 0);
    text[0] = '\0';
    assert_ok(weir_partition_begin(partition, &txn, &err), err);
    weir_status status = weir_txn_get(txn, WEIR_CF_DEFAULT, S(""), S(key), &value, &err);
    if (status != WEIR_NOT_FOUND) {
        assert_ok(status, err);
        snprintf(text, sizeof text, "%.*s", (int)value.size, (const char *)value.data);
    }
    weir_txn_free(txn);
    return text;
}

/* --- What is there --- */

static void test_another_machine_finds_the_state_at_the_url(void **state)
{
    (void)state;
    const char *url = s3_location("found/state");
    weir_state_manager *manager = open_state(url, "group");
    put(manager, "key", "value");
    assert_string_equal(weir_partition_path(weir_state_manager_partition(manager, "s", "t", 0)),
                        "s3://weir/found/state/group/s/t/0");
    weir_state_manager_free(manager);
    manager = open_state(s3_location("found/state//"), "group");
    assert_string_equal(get(manager, "key"), "value");
    weir_state_manager_free(manager);
    manager = open_state(url, "another");
    assert_string_equal(get(manager, "key"), "");
    weir_state_manager_free(manager);
}

static void test_clear_removes_all_state_of_the_group_and_no_other(void **state)
{
    (void)state;
    static const char odd[] = "a group, 100% #1?";
    weir_error err;
    const char *url = s3_location("cleared");
    weir_state_manager *other = open_state(url, "a group");
    weir_state_manager *manager = open_state(url, odd);
    put(other, "key", "other");
    put(manager, "key", "value");
    assert_int_equal(weir_state_manager_clear(manager, &err), WEIR_BUSY);
    weir_state_manager_free(manager);
    assert_ok(try_manager(url, odd, "slatedb", &manager, &err), err); /* knows no store */
    assert_ok(weir_state_manager_clear(manager, &err), err);
    assert_ok(weir_state_manager_clear(manager, &err), err);
    weir_state_manager_free(manager);
    manager = open_state(url, odd);
    assert_string_equal(get(manager, "key"), "");
    assert_string_equal(get(other, "key"), "other");
    weir_state_manager_free(manager);
    weir_state_manager_free(other);
}

/* --- Fencing --- */

/* A process that counts in the state, says so for each batch that was written, and ends when one
 * is refused. */
static int write_until_refused(const char *url)
{
    weir_error err;
    weir_status status = WEIR_OK;
    weir_state_manager *manager = open_state(url, "group");
    for (int i = atoi(get(manager, "count")) + 1; !status; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        status = try_put(manager, "count", text, &err);
        if (!status)
            dprintf(STDOUT_FILENO, "%s\n", text);
    }
    if (status != WEIR_FENCED)
        fprintf(stderr, "%s: %s\n", weir_status_name(status), err.message);
    weir_state_manager_free(manager);
    return status == WEIR_FENCED ? WRITER_FENCED : 1;
}

static pid_t start_writer(const char *url, FILE **output)
{
    int ends[2];
    char *argv[] = {(char *)"writer", (char *)"--writer", (char *)(uintptr_t)url, NULL};
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    close(ends[1]);
    *output = fdopen(ends[0], "r");
    return pid;
}

static int last_number(FILE *output, int lines)
{
    char line[64];
    int number = 0;
    while (lines-- != 0 && fgets(line, sizeof line, output) != NULL)
        number = atoi(line);
    return number;
}

static void test_a_writer_that_wakes_up_is_fenced_and_nothing_of_it_is_seen(void **state)
{
    (void)state;
    char url[64];
    char text[16];
    int expected = 0;
    snprintf(url, sizeof url, "%s", s3_location("fenced"));
    for (int round = 0; round < ROUNDS; round++) {
        FILE *output;
        int how;
        pid_t pid = start_writer(url, &output);
        int told = last_number(output, 1);
        if (round > 0)
            assert_int_equal(told, expected);
        told = last_number(output, 1 + round % 2);
        assert_int_equal(kill(pid, SIGSTOP), 0);
        assert_int_equal(waitpid(pid, &how, WUNTRACED), pid);
        assert_true(WIFSTOPPED(how));

        weir_state_manager *manager = open_state(url, "group");
        int found = atoi(get(manager, "count"));
        assert_true(found >= told);
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(waitpid(pid, &how, 0), pid);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), WRITER_FENCED);
        /* What it was told to be written is what the takeover has found, or less. */
        assert_true(last_number(output, -1) <= found);
        fclose(output);

        assert_int_equal(atoi(get(manager, "count")), found);
        snprintf(text, sizeof text, "%d", found + 1);
        put(manager, "count", text);
        weir_state_manager_free(manager); /* the next writer goes on from there */
        expected = found + 2;
    }
}

/* --- Refused --- */

static void test_a_url_is_refused_for_a_backend_that_needs_a_folder(void **state)
{
    (void)state;
    weir_error err;
    weir_state_manager *manager;
    weir_store_config config;
    assert_int_equal(try_manager("s3://weir/x", "group", "rocksdb", &manager, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "can't keep state at a URL"));
    assert_non_null(strstr(err.message, "backend=rocksdb path=s3://weir/x"));
    /* Decorators change nothing about it; what keeps nothing may be anywhere. */
    assert_int_equal(try_manager("s3://weir/x", "group", "trace:rocksdb", &manager, &err),
                     WEIR_INVALID);
    assert_ok(try_manager("s3://weir/x", "group", "memory", &manager, &err), err);
    weir_store_config_init(&config);
    config.backend = "rocksdb";
    assert_int_equal(weir_state_manager_register(manager, &config, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "can't keep state at a URL"));
    assert_ok(weir_state_manager_clear(manager, &err), err);
    weir_state_manager_free(manager);
}

static void test_a_url_of_an_unknown_kind_is_refused(void **state)
{
    (void)state;
    weir_error err;
    weir_state_manager *manager;
    weir_store_config config;
    assert_ok(try_manager("ftp://weir/x", "group", "slatedb", &manager, &err), err);
    weir_store_config_init(&config);
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    assert_int_equal(weir_state_manager_assign(manager, NULL, 0, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "s3://BUCKET/PATH"));
    weir_state_manager_free(manager);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_machine_finds_the_state_at_the_url),
        cmocka_unit_test(test_clear_removes_all_state_of_the_group_and_no_other),
        cmocka_unit_test(test_a_writer_that_wakes_up_is_fenced_and_nothing_of_it_is_seen),
        cmocka_unit_test(test_a_url_is_refused_for_a_backend_that_needs_a_folder),
        cmocka_unit_test(test_a_url_of_an_unknown_kind_is_refused),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (argc == 3 && strcmp(argv[1], "--writer") == 0)
        return write_until_refused(argv[2]);
    if (!test_plugin_is_built("slatedb"))
        return S3_SKIPPED;
    int code = s3_start();
    if (code != 0)
        return code;
    int failed = cmocka_run_group_tests_name("object storage", tests, NULL, NULL);
    s3_stop();
    return failed;
}
