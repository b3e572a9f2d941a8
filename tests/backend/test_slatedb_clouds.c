/*
 * The plugin slatedb on Azure Blob Storage and on Google Cloud Storage: the conformance kit with
 * its kills, what is left when all local is gone, fencing, and what is told of places, credentials
 * and servers that are not there. (On S3: test_slatedb_s3.c and most other tests.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <kit/kit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cloud.h"
#include "support_fixture.h"
#include "support_slatedb.h"

#define FENCING_ROUNDS 3

typedef struct cloud {
    const char *scheme;
    const char *credentials[4]; /* variables without which there are none */
    const char *needed;         /* what the message then names */
    const char *endpoint;       /* the variable that has it */
    const char *nowhere;        /* … with a port where nobody listens */
} cloud;

static const cloud clouds[] = {
    {"az",
     {"AZURE_STORAGE_USE_EMULATOR", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"},
     "AZURE_STORAGE_ACCOUNT_NAME",
     "AZURITE_BLOB_STORAGE_URL",
     "http://127.0.0.1:1"},
    {"gs",
     {"GOOGLE_SERVICE_ACCOUNT_KEY"},
     "GOOGLE_SERVICE_ACCOUNT",
     "GOOGLE_SERVICE_ACCOUNT_KEY",
     "{\"gcs_base_url\":\"http://127.0.0.1:1\",\"disable_oauth\":true,\"client_email\":\"\","
     "\"private_key\":\"\",\"private_key_id\":\"\"}"},
};

static const cloud *here; /* the server that runs */

/* "SCHEME://weir/NAME" in a static buffer; four of them live at a time. */
static const char *location_of(const char *name)
{
    static char locations[4][128];
    static size_t next;
    char *location = locations[next++ % 4];
    snprintf(location, sizeof locations[0], "%s://weir/%s", here->scheme, name);
    return location;
}

/* ------------------------------------------------------------------------------ the kit */

static void show(const kit_result *result, void *arg)
{
    bool *is_right = arg;
    /* The host never hands it one: see tests/tools/test_kit.sh. */
    if (result->outcome == KIT_FAILED &&
        strcmp(result->check->name, "keys_may_be_empty_and_hold_any_bytes") != 0)
        *is_right = false;
    kit_write_result(result, KIT_LEVEL_COUNT, stdout);
}

/* Before this process uses the backend, as the kit forks. */
static bool passes_the_kit(void)
{
    static const weir_option options[] = {{"durability", "memory"}, {NULL, NULL}};
    bool is_right = true;
    kit_report report;
    weir_error err;
    kit_config config = {.options = options,
                         .location = location_of("kit"),
                         .levels = 1u << KIT_CORE | 1u << KIT_CRASH | 1u << KIT_CONCURRENCY,
                         .each = show,
                         .arg = &is_right};
    weir_error_init(&err);
    weir_status status = weir_backend_find("slatedb", &config.backend, &err);
    if (status == WEIR_OK) {
        status = kit_run(&config, &report, &err);
        is_right = is_right && status == WEIR_OK && report.passed >= 20;
        kit_report_release(&report);
    }
    if (status != WEIR_OK)
        printf("%s\n", err.message);
    printf("%s: the conformance kit %s\n", here->scheme, is_right ? "passed" : "FAILED");
    return is_right && status == WEIR_OK;
}

/* ------------------------------------------------------------------------- what is kept */

static weir_status count_one(const char *location, void *arg)
{
    size_t *count = arg;
    assert_string_equal(location, location_of("kept/store/0"));
    ++*count;
    return WEIR_OK;
}

static void test_state_is_kept_listed_copied_and_destroyed(void **state)
{
    (void)state;
    const char *location = location_of("kept/store/0");
    const char *copy = location_of("copied/0");
    size_t count = 0;
    weir__database *database = fixture_open("slatedb", location, NULL);
    assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("slatedb", location, NULL);
    assert_string_equal(fixture_get(database, "key"), "value");
    assert_int_equal(
        weir__database_backend(database)->checkpoint(weir__database_handle(database), copy, NULL),
        WEIR_OK);
    fixture_close(database);
    weir__database_config config = fixture_config("slatedb", location_of("kept"), NULL);
    assert_int_equal(weir__database_list(&config, count_one, &count, NULL), WEIR_OK);
    assert_int_equal(count, 1);
    config = fixture_config("slatedb", location, NULL);
    config.create = false;
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_NOT_FOUND);
    database = fixture_open("slatedb", copy, NULL);
    assert_string_equal(fixture_get(database, "key"), "value");
    fixture_close(database);
}

static void test_a_clone_is_made_and_goes_its_own_way(void **state)
{
    (void)state;
    const char *location = location_of("source/0");
    const char *copy = location_of("clone/0");
    weir_error err;
    weir_error_init(&err);
    weir__database *database = fixture_open("slatedb", location, NULL);
    assert_int_equal(fixture_put(database, "key", "value", NULL), WEIR_OK);
    assert_int_equal(weir__database_backend(database)->control(
                         weir__database_handle(database), "clone", (char *)(uintptr_t)copy, &err),
                     WEIR_OK);
    assert_int_equal(fixture_put(database, "key", "later", NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("slatedb", copy, NULL);
    assert_string_equal(fixture_get(database, "key"), "value");
    fixture_close(database);
    weir__database_config config = fixture_config("slatedb", location, NULL);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_BUSY);
    weir__database_config of_clone = fixture_config("slatedb", copy, NULL);
    assert_int_equal(weir__database_destroy(&of_clone, NULL), WEIR_OK);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
}

/* The server honours conditional puts, or two writers would go on side by side. */
static void test_a_newer_writer_fences_the_older_one(void **state)
{
    (void)state;
    const char *location = location_of("fenced/0");
    for (int round = 0; round < FENCING_ROUNDS; round++) {
        weir_error err;
        weir_error_init(&err);
        weir__database *older = fixture_open("slatedb", location, NULL);
        assert_null(fixture_get(older, "after")); /* nor of the round before */
        assert_int_equal(fixture_put(older, "before", "kept", NULL), WEIR_OK);
        weir__database *newer = fixture_open("slatedb", location, NULL);
        assert_string_equal(fixture_get(newer, "before"), "kept");
        assert_int_equal(fixture_put(older, "after", "older", &err), WEIR_FENCED);
        assert_tells(&err, "newer writer");
        assert_null(fixture_get(newer, "after"));
        assert_int_equal(fixture_put(newer, "before", "newer", NULL), WEIR_OK);
        assert_int_equal(weir__database_close(older, NULL), WEIR_FENCED);
        fixture_close(newer);
    }
}

static void test_a_place_that_is_not_there_is_told(void **state)
{
    (void)state;
    char location[64];
    snprintf(location, sizeof location, "%s://no-such-place/state", here->scheme);
    slatedb_assert_refused(location, WEIR_INVALID, "does not exist");
}

static void test_missing_credentials_are_told(void **state)
{
    (void)state;
    char *taken[4];
    for (size_t i = 0; here->credentials[i] != NULL; i++)
        taken[i] = slatedb_set_variable(here->credentials[i], NULL);
    /* Without, a machine of the cloud is asked for them; here nobody answers. */
    setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
    slatedb_assert_refused(location_of("state"), WEIR_IO, here->needed);
    unsetenv("HTTP_PROXY");
    for (size_t i = 0; here->credentials[i] != NULL; i++)
        slatedb_set_back(here->credentials[i], taken[i]);
}

static void test_wrong_credentials_are_told(void **state)
{
    (void)state;
    if (strcmp(here->scheme, "az") != 0) {
        print_message("fake-gcs-server takes any\n");
        skip();
    }
    char *key = slatedb_set_variable("AZURE_STORAGE_ACCOUNT_KEY", NULL);
    setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=", 1);
    slatedb_assert_refused(location_of("state"), WEIR_PERMISSION, "check the credentials");
    slatedb_set_back("AZURE_STORAGE_ACCOUNT_KEY", key);
}

static void test_a_server_that_is_down_is_told(void **state)
{
    (void)state;
    char *endpoint = slatedb_set_variable(here->endpoint, NULL);
    setenv(here->endpoint, here->nowhere, 1);
    slatedb_assert_refused(location_of("state"), WEIR_IO, "can be reached");
    slatedb_set_back(here->endpoint, endpoint);
}

static int run_here(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_is_kept_listed_copied_and_destroyed),
        cmocka_unit_test(test_a_clone_is_made_and_goes_its_own_way),
        cmocka_unit_test(test_a_newer_writer_fences_the_older_one),
        cmocka_unit_test(test_a_place_that_is_not_there_is_told),
        cmocka_unit_test(test_missing_credentials_are_told),
        cmocka_unit_test(test_wrong_credentials_are_told),
        cmocka_unit_test(test_a_server_that_is_down_is_told),
    };
    return cmocka_run_group_tests_name(here->scheme, tests, NULL, NULL);
}

/* In a process of its own, as the next one forks again. */
static int run_cloud(void)
{
    int code = cloud_start(here->scheme);
    if (code != 0)
        return code;
    code = passes_the_kit() ? 0 : 1;
    code |= run_here() != 0 ? 1 : 0;
    cloud_stop();
    fflush(stdout);
    return code;
}

int main(void)
{
    int codes[sizeof clouds / sizeof clouds[0]];
    int result = 0;
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    for (size_t i = 0; i < sizeof clouds / sizeof clouds[0]; i++) {
        here = &clouds[i];
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            _exit(run_cloud());
        int status = 1;
        waitpid(pid, &status, 0);
        codes[i] = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    for (size_t i = 0; i < sizeof clouds / sizeof clouds[0]; i++)
        if (codes[i] != 0 && result != 1)
            result = codes[i] == CLOUD_SKIPPED ? CLOUD_SKIPPED : 1;
    return result;
}
