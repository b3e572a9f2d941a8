/*
 * Runs the models of the kinds of stores: random operations on a store and on a simple model of
 * it, which must agree. A place is a backend, or "s3": slatedb on an S3 server, which is started.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_MODEL_H
#define WEIR_TESTS_STATE_SUPPORT_MODEL_H

#include "state/support_matrix.h"

/* A commit there is a request, and a restart dozens. */
#define MODEL_S3_OPERATIONS 1000

bool model_is_on_s3(const char *place);
/* Skips the test if the backend is a plugin that is not built, or there is no server. */
void model_skip_unless_possible(const char *place);
/* As harness_init. */
void model_init(harness *h, const char *place);

/* Runs a model on a place, where that is possible; WEIR_SEED takes the place of the seed. */
void model_run(void (*run_model)(const char *place, uint64_t seed), const char *place,
               uint64_t seed);

/* A test of the file's run_model. The budget of the caches never shrinks: in main, those without
 * a cache come first. */
#define MODEL_TEST(backend, seed)                                                                  \
    static void test_##backend##_agrees_with_the_model_##seed(void **state)                        \
    {                                                                                              \
        (void)state;                                                                               \
        model_run(run_model, #backend, seed);                                                      \
    }

#endif
