/*
 * See support_model.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_model.h"

#include <inttypes.h>
#include <string.h>

#include "support/plugins.h"

void model_run(void (*run_model)(const char *backend, uint64_t seed), const char *backend,
               uint64_t seed)
{
    bool is_built_in = strcmp(backend, "memory") == 0 || strcmp(backend, "rocksdb") == 0;
    if (!is_built_in && !test_plugin_is_built(backend))
        skip();
    seed = test_seed(seed);
    print_message("seed %" PRIu64 " on %s\n", seed, backend);
    test_log_capture();
    run_model(backend, seed);
    test_log_release();
}
