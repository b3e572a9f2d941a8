/*
 * An application whose state is on object storage: it goes on elsewhere, it is fenced, and what
 * it is told when the object store is not as it should be. On a real broker and a server that
 * speaks S3.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_fixture.h"

#include <cmocka.h>

#include "base/clock.h"
#include "support/plugins.h"
#include "support/s3.h"

/* A server that does not answer is given up within seconds. */
static const weir_option impatient[] = {{"max_retries", "1"},
                                        {"retry_timeout", "1"},
                                        {"open_timeout", "4"},
                                        {"open_max_retries", "0"},
                                        {NULL, NULL}};

static test_fixture *make(void **state, int partitions)
{
    test_fixture *fixture = fixture_make(state, partitions);
    snprintf(fixture->state, sizeof(fixture->state), "%s", s3_location(fixture->group));
    fixture->config.options.state_backend = "slatedb";
    return fixture;
}

/* The next start finds everything. */
static void goes_on_well(test_fixture *fixture)
{
    fixture_send(fixture, 20);
    test_job *job = job_start(&fixture->config);
    job_wait_tasks(job, 1);
    fixture_wait_all_committed(fixture, 1);
    job_stop(job);
    fixture_verify(fixture, 1);
    fixture_end(fixture);
}

static void wait_exit(pid_t pid, int *code)
{
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    *code = WEXITSTATUS(how);
}

static void assert_log_says(const test_fixture *fixture, const char *part)
{
    char command[900];
    snprintf(command, sizeof(command), "grep -qF '%s' '%s/log' || { cat '%s/log' >&2; exit 1; }",
             part, fixture->dir, fixture->dir);
    if (system(command) != 0)
        fail_msg("the log does not say: %s", part);
}

/* ---------------------------------------------------------------------------
 * Another machine
 * ------------------------------------------------------------------------- */

/* Nothing is left on the disk of the first one, because nothing was there. */
static void test_another_machine_goes_on_without_reading_the_changelog(void **state)
{
    weir_app_stats stats;
    test_fixture *f = make(state, 2);
    fixture_send(f, 1000);
    fixture_run(f, 1000);
    fixture_send(f, 200);
    test_job *job = job_start(&f->config);
    job_wait_records(job, 200);
    job_figures(job, &stats);
    assert_int_equal(stats.recovered, 0);
    job_stop(job);
    fixture_verify(f, 2);
    fixture_end(f);
}

/* Killed, it may lack the state of its last checkpoint: that alone is read. */
static void test_after_a_kill_at_most_the_last_checkpoint_is_read_from_the_changelog(void **state)
{
    int how;
    weir_app_stats stats;
    test_fixture *f = make(state, 1);
    fixture_send(f, 2000);
    pid_t pid = fixture_spawn(f, NULL);
    fixture_wait_all_committed(f, 1);
    fixture_send(f, 1);
    fixture_wait_all_committed(f, 1); /* so the checkpoints before it are whole */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    fixture_send(f, 100);
    test_job *job = job_start(&f->config);
    job_wait_records(job, 100);
    job_figures(job, &stats);
    assert_true(stats.recovered <= 2); /* the two values of one key */
    job_stop(job);
    fixture_verify(f, 1);
    fixture_end(f);
}

static void test_state_without_a_changelog_moves_to_another_machine(void **state)
{
    int how;
    test_fixture *f = make(state, 1);
    static const char *const more[] = {"changelog=off", NULL};
    f->config.options.use_changelog = false;
    fixture_send(f, 1000);
    pid_t pid = fixture_spawn(f, more);
    fixture_wait_committed(f, 500);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    fixture_send(f, 100);
    test_job *job = job_start(&f->config);
    fixture_wait_all_committed(f, 1);
    job_stop(job);
    fixture_verify(f, 1);
    fixture_end(f);
}

/* ---------------------------------------------------------------------------
 * Fencing
 * ------------------------------------------------------------------------- */

/* The group has moved on: it takes the commit of the old member no more, which therefore must
 * not open the state again, as that would fence its successor. */
static void takeover(void **state, bool changelog)
{
    int code;
    weir_app_stats stats;
    const char *const more[] = {changelog ? "changelog=on" : "changelog=off", "commit_ms=50", NULL};
    test_fixture *f = make(state, 1);
    f->config.options.use_changelog = changelog;
    fixture_send(f, 500);
    pid_t pid = fixture_spawn(f, more);
    fixture_wait_committed(f, 1);
    fixture_send(f, 500);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    test_job *job = job_start(&f->config);
    job_wait_tasks(job, 1); /* when the session of the other one has ended */
    fixture_wait_all_committed(f, 1);
    assert_int_equal(kill(pid, SIGCONT), 0);
    fixture_send(f, 500);
    fixture_wait_all_committed(f, 1);
    job_figures(job, &stats);
    assert_int_equal(stats.tasks, 1);
    /* It has ended because of its state, or it is a member without partitions. */
    kill(pid, SIGTERM);
    wait_exit(pid, &code);
    assert_true(code == 0 || code == JOB_FENCED);
    if (code == JOB_FENCED)
        assert_log_says(f, "a newer writer has opened this state");
    job_stop(job);
    assert_int_equal(fixture_committed(f, 1), f->sent);
    job_verify_state(f->state, f->group, f->source, "slatedb", 1, f->totals, FIXTURE_KEYS);
    fixture_end(f);
}

static void test_a_worker_that_wakes_up_after_a_takeover_changes_nothing(void **state)
{
    takeover(state, true);
}

static void test_a_worker_without_changelog_that_wakes_up_changes_nothing(void **state)
{
    takeover(state, false);
}

/* Somebody else than the group's next member opens the state for writing. */
static weir_state_manager *seize(const test_fixture *fixture)
{
    weir_error err;
    weir_state_options options;
    weir_store_config store;
    weir_state_manager *manager;
    weir_error_init(&err);
    weir_state_options_init(&options);
    options.state_dir = fixture->state;
    options.group_id = fixture->group;
    options.state_backend = "slatedb";
    weir_store_config_init(&store);
    store.stream_id = fixture->source;
    store.changelog = false;
    if (weir_state_manager_new(&options, &manager, &err) != WEIR_OK ||
        weir_state_manager_register(manager, &store, &err) != WEIR_OK ||
        weir_state_manager_assign(manager, fixture->source, 0, &err) != WEIR_OK)
        fail_msg("%s", err.message);
    return manager;
}

static void seized(void **state, bool changelog)
{
    weir_error err;
    test_fixture *f = make(state, 1);
    f->config.options.use_changelog = changelog;
    fixture_send(f, 300);
    test_job *job = job_start(&f->config);
    fixture_wait_all_committed(f, 1);
    int64_t before = fixture_committed(f, 1);
    weir_state_manager *manager = seize(f);
    fixture_send(f, 300);
    assert_int_equal(job_join(job, &err), WEIR_FENCED);
    assert_non_null(strstr(err.message, "a newer writer has opened this state"));
    assert_non_null(strstr(err.message, f->state));
    /* Without a changelog the offsets of what is not stored must not be committed. */
    if (!changelog)
        assert_int_equal(fixture_committed(f, 1), before);
    weir_state_manager_free(manager);
    goes_on_well(f);
}

static void test_a_worker_whose_state_is_seized_stops_and_loses_nothing(void **state)
{
    seized(state, true);
}

static void test_a_worker_without_changelog_whose_state_is_seized_commits_nothing(void **state)
{
    seized(state, false);
}

/* ---------------------------------------------------------------------------
 * What is not as it should be
 * ------------------------------------------------------------------------- */

/* Ends by itself, soon, with a message that has both parts; and nothing was committed. */
static void assert_refused(test_fixture *fixture, weir_status expected, const char *part,
                           const char *other)
{
    weir_error err;
    int64_t began = weir__now_ms();
    fixture->config.options.state_options = impatient;
    fixture_send(fixture, 50);
    weir_status status = job_join(job_start(&fixture->config), &err);
    print_message("%s after %lld ms: %s\n", weir_status_name(status),
                  (long long)(weir__now_ms() - began), err.message);
    assert_int_equal(status, expected);
    assert_non_null(strstr(err.message, part));
    assert_non_null(strstr(err.message, other));
    assert_int_equal(fixture_committed(fixture, 1), 0);
}

static void test_a_bucket_that_is_not_there_is_told(void **state)
{
    test_fixture *f = make(state, 1);
    snprintf(f->state, sizeof(f->state), "s3://no-such-bucket/state");
    assert_refused(f, WEIR_INVALID, "does not exist", "path=s3://no-such-bucket/state/");
    snprintf(f->state, sizeof(f->state), "%s", s3_location(f->group));
    goes_on_well(f);
}

static void test_missing_credentials_are_told(void **state)
{
    test_fixture *f = make(state, 1);
    char *key = strdup(getenv("AWS_ACCESS_KEY_ID"));
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1", 1);
    assert_refused(f, WEIR_IO, "there are no credentials: set AWS_ACCESS_KEY_ID", f->state);
    unsetenv("AWS_METADATA_ENDPOINT");
    setenv("AWS_ACCESS_KEY_ID", key, 1);
    free(key);
    goes_on_well(f);
}

static void test_a_server_that_is_down_at_the_start_is_told(void **state)
{
    test_fixture *f = make(state, 1);
    char *endpoint = strdup(getenv("AWS_ENDPOINT"));
    setenv("AWS_ENDPOINT", "http://127.0.0.1:1", 1);
    assert_refused(f, WEIR_IO, "check that the object store can be reached", f->state);
    setenv("AWS_ENDPOINT", endpoint, 1);
    free(endpoint);
    goes_on_well(f);
}

static void test_a_server_that_goes_away_ends_the_job_and_nothing_is_lost(void **state)
{
    weir_error err;
    test_fixture *f = make(state, 1);
    f->config.options.state_options = impatient;
    fixture_send(f, 300);
    test_job *job = job_start(&f->config);
    fixture_wait_all_committed(f, 1);
    s3_pause();
    int64_t began = weir__now_ms();
    fixture_send(f, 300);
    weir_status status = job_join(job, &err);
    s3_resume();
    print_message("%s after %lld ms: %s\n", weir_status_name(status),
                  (long long)(weir__now_ms() - began), err.message);
    assert_true(status == WEIR_IO || status == WEIR_TIMEOUT);
    assert_non_null(strstr(err.message, "check that the object store can be reached"));
    assert_non_null(strstr(err.message, f->state));
    goes_on_well(f);
}

static void test_slatedb_that_is_not_built_is_told_and_nothing_takes_its_place(void **state)
{
    weir_app *app;
    weir_error err;
    test_fixture *f = make(state, 1);
    char *folders = strdup(getenv("WEIR_BACKEND_PATH"));
    setenv("WEIR_BACKEND_PATH", "/nowhere", 1);
    f->config.options.state_backend = "not_there"; /* slatedb is loaded by now */
    assert_int_equal(weir_app_new(&f->config.options, &app, &err), WEIR_INVALID);
    assert_null(app);
    assert_non_null(strstr(err.message, "libweir_not_there.so in /nowhere"));
    pid_t pid = fixture_spawn(f, NULL);
    int code;
    wait_exit(pid, &code);
    assert_int_equal(code, 1);
    f->config.options.state_backend = "slatedb";
    pid = fixture_spawn(f, NULL);
    wait_exit(pid, &code);
    assert_int_equal(code, 1);
    assert_log_says(f, "The backend slatedb is not built: install cargo");
    setenv("WEIR_BACKEND_PATH", folders, 1);
    free(folders);
    fixture_end(f);
}

static void test_a_url_for_a_backend_of_local_folders_is_refused(void **state)
{
    weir_app *app;
    weir_error err;
    test_fixture *f = make(state, 1);
    f->config.options.state_backend = "rocksdb";
    assert_int_equal(weir_app_new(&f->config.options, &app, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "can't keep state at a URL"));
    fixture_end(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_machine_goes_on_without_reading_the_changelog),
        cmocka_unit_test(test_after_a_kill_at_most_the_last_checkpoint_is_read_from_the_changelog),
        cmocka_unit_test(test_state_without_a_changelog_moves_to_another_machine),
        cmocka_unit_test(test_a_worker_that_wakes_up_after_a_takeover_changes_nothing),
        cmocka_unit_test(test_a_worker_without_changelog_that_wakes_up_changes_nothing),
        cmocka_unit_test(test_a_worker_whose_state_is_seized_stops_and_loses_nothing),
        cmocka_unit_test(test_a_worker_without_changelog_whose_state_is_seized_commits_nothing),
        cmocka_unit_test(test_a_bucket_that_is_not_there_is_told),
        cmocka_unit_test(test_missing_credentials_are_told),
        cmocka_unit_test(test_a_server_that_is_down_at_the_start_is_told),
        cmocka_unit_test(test_a_server_that_goes_away_ends_the_job_and_nothing_is_lost),
        cmocka_unit_test(test_slatedb_that_is_not_built_is_told_and_nothing_takes_its_place),
        cmocka_unit_test(test_a_url_for_a_backend_of_local_folders_is_refused),
    };
    if (argc > 1 && strcmp(argv[1], "--job") == 0)
        return job_main(argc - 2, argv + 2);
    if (!kafka_broker_available())
        return kafka_broker_skip();
    if (!test_plugin_is_built("slatedb"))
        return S3_SKIPPED;
    int code = s3_start();
    if (code != 0)
        return code;
    weir_log_set_level(WEIR_LOG_ERROR);
    int failed = cmocka_run_group_tests_name("object storage", tests, kafka_broker_setup,
                                             kafka_broker_teardown);
    s3_stop();
    return failed;
}
