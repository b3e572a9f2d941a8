/*
 * The lock of a state folder: live owners, dead ones, waiting, and readers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support_child.h"
#include "support_fixture.h"
#include "support_keeper.h"

static char *folder;
static const char *place; /* a folder below it, not yet there */

static int set_up(void **state)
{
    (void)state;
    static char path[512];
    folder = fixture_folder();
    snprintf(path, sizeof path, "%s/group/default/flights/3", folder);
    place = path;
    fixture_log_catch();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_log_release();
    fixture_remove(folder);
    return 0;
}

static const weir_option no_retries[] = {{"open_max_retries", "0"}, {NULL, NULL}};

static weir_status try_open(const weir_option *options, weir__database **database, weir_error *err)
{
    weir__database_config config = fixture_config("keeper", place, options);
    weir_error_init(err);
    return weir__database_open(&config, database, err);
}

static void test_live_owner_is_respected_and_named(void **state)
{
    (void)state;
    weir__database *database = (weir__database *)1;
    weir_error err;
    char pid[64];
    char host[300] = "on host ";
    child owner = child_holding("keeper", place);
    assert_int_equal(try_open(no_retries, &database, &err), WEIR_LOCKED);
    assert_null(database);
    snprintf(pid, sizeof pid, "process %d ", (int)owner.pid);
    gethostname(host + strlen(host), 200);
    assert_tells(&err, pid);
    assert_tells(&err, host);
    assert_tells(&err, place);
    assert_tells(&err, "stop that process");
    assert_tells(&err, "backend=keeper store=s partition=0 path=");
    child_release(&owner);
    fixture_close(fixture_open("keeper", place, no_retries));
    assert_int_equal(fixture_log_count("store.lock_stale", NULL), 0);
}

static void test_lock_file_says_who_owns_the_state(void **state)
{
    (void)state;
    char expected[400];
    char host[256];
    weir__database *database = fixture_open("keeper", place, NULL);
    const char *text = fixture_read(place, "weir.lock");
    gethostname(host, sizeof host);
    snprintf(expected, sizeof expected, "{\"pid\":%d,\"host\":\"%s\",\"start_time\":", getpid(),
             host);
    assert_memory_equal(text, expected, strlen(expected));
    assert_non_null(strstr(text, ",\"timestamp\":"));
    int64_t stamp = strtoll(strstr(text, ",\"timestamp\":") + 13, NULL, 10);
    assert_in_range(stamp, weir__wall_ms() - 60000, weir__wall_ms());
    fixture_close(database);
    assert_string_equal(fixture_read(place, "weir.lock"), "");
}

static void test_lock_of_a_dead_owner_is_taken_over_with_a_word(void **state)
{
    (void)state;
    char pid[64];
    child owner = child_holding("keeper", place);
    child_kill(&owner);
    assert_string_not_equal(fixture_read(place, "weir.lock"), "");
    weir__database *database = fixture_open("keeper", place, no_retries);
    snprintf(pid, sizeof pid, "process %d ", (int)owner.pid);
    assert_int_equal(fixture_log_count("store.lock_stale", pid), 1);
    assert_int_equal(fixture_log_count("store.lock_wait", NULL), 0);
    fixture_close(database);
    fixture_close(fixture_open("keeper", place, no_retries));
    assert_int_equal(fixture_log_count("store.lock_stale", NULL), 1);
}

static void test_leftover_lock_file_of_any_content_does_no_harm(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "", "{\"pid\":1", "\x00\x01\x02", "[]", "{\"pid\":\"x\",\"host\":3}", "{\"pid\":-5}"};
    fixture_close(fixture_open("keeper", place, NULL));
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        fixture_write(place, "weir.lock", contents[i]);
        fixture_close(fixture_open("keeper", place, no_retries));
    }
    fixture_write(place, "weir.lock",
                  "{\"pid\":4194000,\"host\":\"elsewhere\",\"start_time\":1,\"timestamp\":2}");
    fixture_close(fixture_open("keeper", place, no_retries));
    assert_int_equal(fixture_log_count("store.lock_stale", "on host elsewhere"), 1);
}

static void test_two_databases_of_one_process_exclude_each_other(void **state)
{
    (void)state;
    weir__database *second;
    weir_error err;
    char pid[64];
    weir__database *first = fixture_open("keeper", place, NULL);
    assert_int_equal(try_open(no_retries, &second, &err), WEIR_LOCKED);
    snprintf(pid, sizeof pid, "process %d ", (int)getpid());
    assert_tells(&err, pid);
    fixture_close(first);
    fixture_close(fixture_open("keeper", place, no_retries));
}

/* ---------------------------------------------------------------------- waiting */

static child *to_release;
static bool *to_stop;

/* When the waiting begins, which the event tells, the other side does its part. */
static void on_wait(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)level;
    (void)message;
    (void)arg;
    if (strcmp(event, "store.lock_wait") != 0)
        return;
    if (to_release != NULL)
        child_tell_to_release(to_release);
    if (to_stop != NULL)
        __atomic_store_n(to_stop, true, __ATOMIC_RELEASE);
}

static void test_waiting_ends_as_soon_as_the_owner_lets_go(void **state)
{
    (void)state;
    static const weir_option patient[] = {
        {"open_max_retries", "3"}, {"open_retry_backoff", "20"}, {NULL, NULL}};
    weir__database *database;
    weir_error err;
    child owner = child_holding("keeper", place);
    to_release = &owner;
    weir_log_set(on_wait, NULL);
    int64_t began = weir__now_ms();
    assert_int_equal(try_open(patient, &database, &err), WEIR_OK);
    to_release = NULL;
    /* Far less than one backoff. */
    assert_in_range(weir__now_ms() - began, 0, 10000);
    fixture_close(database);
    child_release(&owner);
}

static void test_waiting_gives_up_after_its_retries(void **state)
{
    (void)state;
    static const weir_option quick[] = {
        {"open_max_retries", "3"}, {"open_retry_backoff", "0.05"}, {NULL, NULL}};
    weir__database *database;
    weir_error err;
    child owner = child_holding("keeper", place);
    int64_t began = weir__now_ms();
    assert_int_equal(try_open(quick, &database, &err), WEIR_LOCKED);
    assert_in_range(weir__now_ms() - began, 150, 10000);
    assert_tells(&err, "Gave up after");
    assert_int_equal(fixture_log_count("store.lock_wait", "3 retries, 50 ms apart"), 1);
    child_release(&owner);
}

static void test_waiting_ends_at_the_deadline(void **state)
{
    (void)state;
    static const weir_option long_wait[] = {
        {"open_max_retries", "1000"}, {"open_retry_backoff", "60"}, {NULL, NULL}};
    weir__database *database;
    weir_error err;
    child owner = child_holding("keeper", place);
    weir__database_config config = fixture_config("keeper", place, long_wait);
    config.open_deadline_ms = 200;
    int64_t began = weir__now_ms();
    weir_error_init(&err);
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_LOCKED);
    assert_in_range(weir__now_ms() - began, 200, 10000);
    assert_tells(&err, "the deadline for opening");
    child_release(&owner);
}

static void test_stop_flag_ends_waiting_at_once(void **state)
{
    (void)state;
    static const weir_option long_wait[] = {
        {"open_max_retries", "1000"}, {"open_retry_backoff", "60"}, {NULL, NULL}};
    weir__database *database;
    weir_error err;
    bool stop = false;
    child owner = child_holding("keeper", place);
    weir__database_config config = fixture_config("keeper", place, long_wait);
    config.stop = &stop;
    to_stop = &stop;
    weir_log_set(on_wait, NULL);
    int64_t began = weir__now_ms();
    weir_error_init(&err);
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_ABORTED);
    to_stop = NULL;
    assert_in_range(weir__now_ms() - began, 0, 10000);
    assert_null(database);
    assert_tells(&err, "Stopped on request");
    child_release(&owner);
}

static void test_only_locked_and_busy_are_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        weir_status status; /* of an open whose first two attempts fail so */
    } cases[] = {{"busy", WEIR_OK},
                 {"locked", WEIR_OK},
                 {"io", WEIR_IO},
                 {"no_space", WEIR_NO_SPACE},
                 {"permission", WEIR_PERMISSION},
                 {"timeout", WEIR_TIMEOUT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_option options[] = {{"open_retry_backoff", "0"},
                                 {"fault.op", "open"},
                                 {"fault.times", "2"},
                                 {"fault.error", cases[i].error},
                                 {NULL, NULL}};
        weir__database_config config = fixture_config("fault:memory", "", options);
        config.label = cases[i].error;
        weir__database *database;
        weir_error err;
        weir_error_init(&err);
        assert_int_equal(weir__database_open(&config, &database, &err), cases[i].status);
        if (cases[i].status == WEIR_OK)
            fixture_close(database);
        else
            assert_tells(&err, "failure of open, call 1, injected by fault");
    }
}

/* ---------------------------------------------------------------------- readers */

static weir_status open_reader(weir__database **database, weir_error *err)
{
    weir__database_config config = fixture_config("keeper", place, no_retries);
    config.read_only = true;
    weir_error_init(err);
    return weir__database_open(&config, database, err);
}

static void test_readers_share_and_exclude_a_writer(void **state)
{
    (void)state;
    weir__database *first;
    weir__database *second;
    weir__database *writer;
    weir_error err;
    fixture_close(fixture_open("keeper", place, NULL));
    assert_int_equal(open_reader(&first, &err), WEIR_OK);
    assert_int_equal(open_reader(&second, &err), WEIR_OK);
    assert_int_equal(try_open(no_retries, &writer, &err), WEIR_LOCKED);
    assert_tells(&err, "maybe it only reads");
    fixture_close(first);
    fixture_close(second);
    writer = fixture_open("keeper", place, no_retries);
    assert_int_equal(open_reader(&first, &err), WEIR_LOCKED);
    fixture_close(writer);
}

static void test_reader_leaves_no_trace(void **state)
{
    (void)state;
    weir__database *database;
    weir_error err;
    assert_int_equal(open_reader(&database, &err), WEIR_NOT_FOUND);
    assert_int_not_equal(access(place, F_OK), 0);
    fixture_close(fixture_open("keeper", place, NULL));
    assert_int_equal(unlink(fixture_path(place, "weir.lock")), 0);
    assert_int_equal(unlink(fixture_path(place, "weir.json")), 0);
    assert_int_equal(open_reader(&database, &err), WEIR_OK);
    fixture_close(database);
    assert_int_not_equal(access(fixture_path(place, "weir.lock"), F_OK), 0);
    assert_int_not_equal(access(fixture_path(place, "weir.json"), F_OK), 0);
}

int main(void)
{
    keeper_register();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_live_owner_is_respected_and_named),
        TEST(test_lock_file_says_who_owns_the_state),
        TEST(test_lock_of_a_dead_owner_is_taken_over_with_a_word),
        TEST(test_leftover_lock_file_of_any_content_does_no_harm),
        TEST(test_two_databases_of_one_process_exclude_each_other),
        TEST(test_waiting_ends_as_soon_as_the_owner_lets_go),
        TEST(test_waiting_gives_up_after_its_retries),
        TEST(test_waiting_ends_at_the_deadline),
        TEST(test_stop_flag_ends_waiting_at_once),
        TEST(test_only_locked_and_busy_are_tried_again),
        TEST(test_readers_share_and_exclude_a_writer),
        TEST(test_reader_leaves_no_trace),
    };
    return cmocka_run_group_tests_name("backend lock", tests, NULL, NULL);
}
