/*
 * The conformance checks on every backend that is built in, through the decorators, and on
 * poor backends through emulation.
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
#include "support_poor.h"

static const char *const specs[] = {
    "memory", "rocksdb",   "trace:memory", "trace:rocksdb", "fault:memory", "fault:trace:rocksdb",
    "poor",   "poor_seek", "poor_snap",    "poor_disk",     "trace:poor",
};
#define SPEC_COUNT (sizeof specs / sizeof specs[0])

typedef struct subject {
    const char *spec;
    const conformance_case *check;
    char *folder;
    weir__database *database;
} subject;

static uint64_t seed;

static void point_to(conformance *c, const subject *s)
{
    c->backend = weir__database_backend(s->database);
    c->db = weir__database_handle(s->database);
}

static weir_status reopen(conformance *c)
{
    subject *s = c->arg;
    fixture_close(s->database);
    s->database = fixture_open(s->spec, fixture_path(s->folder, "db"), NULL);
    point_to(c, s);
    return WEIR_OK;
}

static void run_check(void **state)
{
    subject *s = *state;
    conformance c = {.reopen = reopen, .arg = s, .seed = seed};
    s->folder = fixture_folder();
    s->database = fixture_open(s->spec, fixture_path(s->folder, "db"), NULL);
    point_to(&c, s);
    bool is_right = conformance_run(s->check, &c);
    fixture_close(s->database);
    fixture_remove(s->folder);
    if (!is_right)
        fail_msg("%s (seed %" PRIu64 ")", c.failure, seed);
}

static size_t case_count(void)
{
    return kit_check_count();
}

int main(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 " (WEIR_TEST_SEED sets it)\n", seed);
    weir_log_set_level(WEIR_LOG_ERROR);
    poor_register();
    const size_t count = SPEC_COUNT * case_count();
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    subject *subjects = calloc(count, sizeof *subjects);
    if (tests == NULL || subjects == NULL)
        return 1;
    for (size_t i = 0; i < count; i++) {
        char *name;
        subjects[i].spec = specs[i / case_count()];
        subjects[i].check = kit_check_at(i % case_count());
        if (asprintf(&name, "%s: %s", subjects[i].spec, subjects[i].check->name) < 0)
            return 1;
        tests[i].name = name;
        tests[i].test_func = run_check;
        tests[i].initial_state = &subjects[i];
    }
    int failed = _cmocka_run_group_tests("backend conformance", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)tests[i].name);
    free(tests);
    free(subjects);
    return failed;
}
