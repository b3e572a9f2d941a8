/*
 * What the tests of recovery share: histories in a changelog, and the state they lead to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_RECOVERY_H
#define WEIR_TESTS_STATE_SUPPORT_RECOVERY_H

#include "state/support_harness.h"

/* A harness that is not open yet, and the log captured. */
int recovery_setup_memory(void **state);
int recovery_setup_rocksdb(void **state);
int recovery_teardown(void **state);

/* `count` changes of `keys` keys, with deletes, in checkpoints of ten source records. */
void append_history(harness *h, int from, int count, int keys);
/* The state that a reader of the whole topic has to come to; to be freed. */
char *expected_dump(harness *h);
void assert_state(harness *h, const char *expected);
void assert_not_needed(harness *h);
weir_status begin(harness *h, bool *needed, weir_error *err);
void begin_needed(harness *h);

/* Each on memory and on rocksdb. */
#define BOTH(name)                                                                                 \
    {#name "[memory]", name, recovery_setup_memory, recovery_teardown, NULL},                      \
    {                                                                                              \
#name "[rocksdb]", name, recovery_setup_rocksdb, recovery_teardown, NULL                   \
    }
#define MEMORY(name)                                                                               \
    {                                                                                              \
#name, name, recovery_setup_memory, recovery_teardown, NULL                                \
    }
#define ROCKSDB(name)                                                                              \
    {                                                                                              \
#name, name, recovery_setup_rocksdb, recovery_teardown, NULL                               \
    }

#endif
