/*
 * See support_model.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/plugins.h"
#include "support/s3.h"

/* Once, and stopped when the program ends. */
static bool has_server(void)
{
    static int code = -1;
    if (code < 0) {
        code = s3_start();
        if (code == 0)
            atexit(s3_stop);
    }
    return code == 0;
}

bool model_is_on_s3(const char *place)
{
    return strcmp(place, "s3") == 0;
}

static const char *backend_of(const char *place)
{
    return model_is_on_s3(place) ? "slatedb" : place;
}

void model_skip_unless_possible(const char *place)
{
    const char *backend = backend_of(place);
    bool is_built_in = strcmp(backend, "memory") == 0 || strcmp(backend, "rocksdb") == 0;
    if ((!is_built_in && !test_plugin_is_built(backend)) ||
        (model_is_on_s3(place) && !has_server()))
        skip();
}

void model_init(harness *h, const char *place)
{
    harness_init(h, backend_of(place), NULL);
    if (model_is_on_s3(place))
        h->location = strdup(s3_location("model"));
}

void model_run(void (*run_model)(const char *place, uint64_t seed), const char *place,
               uint64_t seed)
{
    model_skip_unless_possible(place);
    seed = test_seed(seed);
    print_message("seed %" PRIu64 " on %s\n", seed, place);
    test_log_capture();
    run_model(place, seed);
    test_log_release();
}
