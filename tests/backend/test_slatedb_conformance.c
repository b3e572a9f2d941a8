/*
 * The conformance checks on the plugin slatedb: in a local folder with its defaults, with every
 * write stored at once and tables of the smallest size, and on an S3 server.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support_fixture.h"
#include "support_slatedb.h"

static const weir_option on_defaults[] = {{NULL, NULL}};
static const weir_option on_small[] = {{"durability", "flushed"},
                                       {"use_fsync", "false"},
                                       {"memtable_size", "256KiB"},
                                       {"manifest_poll_interval", "0.05"},
                                       {"max_unflushed", "1MiB"},
                                       {"compression", "lz4"},
                                       {NULL, NULL}};
static const weir_option on_s3[] = {
    {"durability", "memory"}, {"retry_timeout", "10"}, {NULL, NULL}};

typedef struct place {
    const char *name;
    const weir_option *options;
    bool is_remote;
} place;

static const place places[] = {
    {"folder", on_defaults, false},
    {"folder, stored at once, small tables", on_small, false},
    {"s3", on_s3, true},
};

typedef struct subject {
    const place *place;
    const conformance_case *check;
    char *folder;
    char location[256];
    weir__database *database;
} subject;

static uint64_t seed;

static void open_subject(subject *s, conformance *c)
{
    s->database = fixture_open("slatedb", s->location, s->place->options);
    c->backend = weir__database_backend(s->database);
    c->db = weir__database_handle(s->database);
}

static weir_status reopen(conformance *c)
{
    subject *s = c->arg;
    fixture_close(s->database);
    open_subject(s, c);
    return WEIR_OK;
}

static void run_check(void **state)
{
    subject *s = *state;
    conformance c = {.reopen = reopen, .arg = s, .seed = seed};
    s->folder = fixture_folder();
    snprintf(s->location, sizeof s->location, "%s",
             s->place->is_remote ? s3_location(s->check->name) : fixture_path(s->folder, "db"));
    open_subject(s, &c);
    bool is_right = conformance_run(s->check, &c);
    fixture_close(s->database);
    fixture_remove(s->folder);
    if (!is_right)
        fail_msg("%s (seed %" PRIu64 ")", c.failure, seed);
}

static int run_all(size_t place_count)
{
    const size_t cases = kit_check_count();
    const size_t count = place_count * cases;
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    subject *subjects = calloc(count, sizeof *subjects);
    if (tests == NULL || subjects == NULL)
        return 1;
    for (size_t i = 0; i < count; i++) {
        char *name;
        subjects[i].place = &places[i / cases];
        subjects[i].check = kit_check_at(i % cases);
        if (asprintf(&name, "%s: %s", subjects[i].place->name, subjects[i].check->name) < 0)
            return 1;
        tests[i].name = name;
        tests[i].test_func = run_check;
        tests[i].initial_state = &subjects[i];
    }
    int failed = _cmocka_run_group_tests("slatedb conformance", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)tests[i].name);
    free(tests);
    free(subjects);
    return failed;
}

int main(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 " (WEIR_TEST_SEED sets it)\n", seed);
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    int code = s3_start();
    if (code != 0 && code != SKIPPED)
        return code;
    int failed = run_all(sizeof places / sizeof places[0] - (code == SKIPPED ? 1 : 0));
    if (code == 0)
        s3_stop();
    return failed != 0 ? 1 : code;
}
