/*
 * See support_slatedb.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_slatedb.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/plugins.h"
#include "support_fixture.h"

bool slatedb_prepare(void)
{
    return test_plugin_is_built("slatedb");
}

/* ----------------------------------------------------------------- what is refused */

const weir_option slatedb_few_retries[] = {{"retry_timeout", "2"},
                                           {"max_retries", "2"},
                                           {"open_timeout", "8"},
                                           {"open_max_retries", "0"},
                                           {NULL, NULL}};

void slatedb_assert_refused(const char *location, weir_status expected, const char *part)
{
    weir__database *database;
    weir_error err;
    int64_t began = weir__now_ms();
    weir__database_config config = fixture_config("slatedb", location, slatedb_few_retries);
    weir_error_init(&err);
    weir_status status = weir__database_open(&config, &database, &err);
    print_message("%s after %lld ms: %s\n", weir_status_name(status),
                  (long long)(weir__now_ms() - began), err.message);
    assert_int_equal(status, expected);
    assert_tells(&err, part);
    assert_tells(&err, location);
    assert_true(weir__now_ms() - began < 15000);
}

char *slatedb_set_variable(const char *name, const char *value)
{
    const char *old = getenv(name);
    char *copy = old != NULL ? strdup(old) : NULL;
    assert_non_null(copy);
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
    return copy;
}

void slatedb_set_back(const char *name, char *old)
{
    setenv(name, old, 1);
    free(old);
}
