/*
 * See support_matrix.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/plugins.h"

/* The last ones only where they are built. */
static const char *const all_backends[] = {"memory", "rocksdb", "trace:rocksdb", "lmdb", "slatedb"};
#define BACKENDS_MAX  (sizeof all_backends / sizeof *all_backends)
#define PLUGINS_BEGIN 3

static int setup(void **state)
{
    const char *backend = *state;
    harness *h = malloc(sizeof *h);
    if (!h)
        return -1;
    harness_init(h, backend, NULL);
    harness_open(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness_release(*state);
    free(*state);
    return 0;
}

int matrix_run(const char *group, const matrix_test *tests, size_t count)
{
    if (!getenv("WEIR_LOG"))
        weir_log_set_level(WEIR_LOG_WARN);
    const char *backends[BACKENDS_MAX];
    size_t backend_count = 0;
    const char *wanted = getenv("WEIR_TEST_BACKEND");
    for (size_t i = 0; i < BACKENDS_MAX; i++) {
        if (wanted && strcmp(wanted, all_backends[i]) != 0)
            continue;
        if (i < PLUGINS_BEGIN || test_plugin_is_built(all_backends[i]))
            backends[backend_count++] = all_backends[i];
    }
    if (backend_count == 0) {
        fprintf(stderr, "the backend %s is not one of those that are tested\n", wanted);
        return 1;
    }
    struct CMUnitTest *cases = calloc(count * backend_count, sizeof *cases);
    char *names = calloc(count * backend_count, 256);
    if (!cases || !names)
        return 1;
    for (size_t i = 0; i < count * backend_count; i++) {
        const matrix_test *test = &tests[i % count];
        snprintf(names + i * 256, 256, "%s [%s]", test->name, backends[i / count]);
        cases[i] = (struct CMUnitTest){
            .name = names + i * 256,
            .test_func = test->test,
            .setup_func = setup,
            .teardown_func = teardown,
            .initial_state = (void *)(uintptr_t)backends[i / count],
        };
    }
    int failed = _cmocka_run_group_tests(group, cases, count * backend_count, NULL, NULL);
    free(cases);
    free(names);
    return failed;
}

bool matrix_is_persistent(const harness *h)
{
    return strstr(h->backend, "memory") == NULL;
}
