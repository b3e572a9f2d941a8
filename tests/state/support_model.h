/*
 * Runs the models of the kinds of stores: random operations on a store and on a simple model of
 * it, which must agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_MODEL_H
#define WEIR_TESTS_STATE_SUPPORT_MODEL_H

#include "state/support_matrix.h"

/* Runs a model on a backend, unless that is a plugin that is not built; WEIR_SEED takes the
 * place of the seed. */
void model_run(void (*run_model)(const char *backend, uint64_t seed), const char *backend,
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
