/*
 * What the tests of changelog, recovery and conformance share: a folder that goes away,
 * a store partition over a changelog in memory that can be closed and opened again, a
 * changelog that fails or stalls on demand, a look at the log, and a seeded generator.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_STATE_SUPPORT_HARNESS_H
#define WEIR_TESTS_STATE_SUPPORT_HARNESS_H

#include <weir/state.h>

#include "state/partition.h"

/* --- A folder --- */

/* A new folder below $TMPDIR or /tmp, to be given to test_folder_remove. */
char *test_folder_new(void);
void test_folder_remove(char *path);
bool test_folder_exists(const char *path);

/* --- Random numbers (splitmix64), the same for a seed everywhere --- */

typedef struct test_random {
    uint64_t state;
} test_random;

uint64_t test_random_next(test_random *random);
/* 0 … bound − 1 */
uint32_t test_random_below(test_random *random, uint32_t bound);
/* $WEIR_SEED if it is set, else fallback. */
uint64_t test_seed(uint64_t fallback);

/* --- The log --- */

/* Collects events instead of printing them; clears what was collected. */
void test_log_capture(void);
void test_log_release(void);
size_t test_log_count(const char *event);
/* The last message of an event, "" if there was none. */
const char *test_log_message(const char *event);
/* The level of the last event of that name; −1: none. */
int test_log_level(const char *event);

/* --- A changelog with knobs, in front of another --- */

typedef enum test_changelog_call {
    TEST_CHANGELOG_APPEND,
    TEST_CHANGELOG_FLUSH,
    TEST_CHANGELOG_RANGE,
    TEST_CHANGELOG_SEEK,
    TEST_CHANGELOG_READ,
    TEST_CHANGELOG_CALLS
} test_changelog_call;

typedef struct test_changelog_knobs {
    size_t max_per_read; /* 0: what the reader asks for */
    bool stalled;        /* read gives nothing and stays where it is */
    int64_t calls[TEST_CHANGELOG_CALLS];
    /* The call with this number (from 1, counted in calls) fails with `status`; later
     * ones too when for_good. 0: none. */
    int64_t fail_at[TEST_CHANGELOG_CALLS];
    bool for_good;
    weir_status status;
    /* Called before each read; may truncate the topic. */
    void (*before_read)(void *arg);
    void *before_read_arg;
} test_changelog_knobs;

/* inner is handed over; knobs must outlive the changelog. */
weir_changelog *test_changelog_new(weir_changelog *inner, test_changelog_knobs *knobs);

/* --- A store partition --- */

#define TEST_STREAM "flights"

typedef struct harness {
    const char *backend;        /* spec */
    const weir_option *options; /* of the backend */
    char *folder;               /* state_dir */
    char *location;             /* state_dir instead, on object storage; NULL: folder */
    size_t cache_bytes;
    weir_gap_policy gap_policy;
    weir_mismatch_policy on_backend_mismatch;
    bool has_changelog;
    weir_store_config store; /* kind, grace, duplicates: before the opening */
    weir_memory_topic *topic;
    test_changelog_knobs knobs;
    /* NULL: the changelog is `topic`; else what this opens. */
    weir_status (*open_log)(void *arg, weir_changelog **changelog, weir_error *err);
    void *open_log_arg;

    weir_state_manager *manager; /* NULL: closed */
    weir_partition *partition;
    weir_changelog *changelog; /* of the open partition */
} harness;

/* Makes folder and topic; does not open. backend and options must outlive it. */
void harness_init(harness *h, const char *backend, const weir_option *options);
void harness_release(harness *h);
weir_status harness_try_open(harness *h, weir_error *err);
/* These assert that all goes well. */
void harness_open(harness *h);
void harness_close(harness *h);
void harness_reopen(harness *h);
weir_txn *harness_begin(harness *h);
/* Recovers from start to end; source "flights" goes on at `start`, WEIR_OFFSET_NONE
 * sets no bound. */
weir_recovery_progress harness_recover(harness *h, int64_t start);
/* Closes, forgets what is stored, opens and recovers all. */
void harness_rebuild(harness *h);
/* As harness_recover, but hands a failure back. */
weir_status harness_try_recover(harness *h, int64_t start, weir_recovery_progress *progress,
                                weir_error *err);
/* Prepares, makes the changelog durable, flushes, frees. processed: of "flights". */
weir_status harness_try_commit(harness *h, weir_txn *txn, int64_t processed, weir_error *err);
void harness_commit(harness *h, weir_txn *txn, int64_t processed);
/* Writes key=value in a transaction of its own; value NULL deletes. */
void harness_put(harness *h, const char *key, const char *value, int64_t processed);
/* Whether the committed state holds the value; NULL: whether the key is absent. */
bool harness_holds(harness *h, const char *key, const char *value);

/* Everything in the state and nothing else, as text "cf/key=value\n…" in order of keys;
 * to be freed. The metadata family is left out. Bytes that don't print are \xNN. */
char *harness_dump(harness *h);

/* Appends a record to the topic as another owner of the partition would. processed is
 * the header, NULL for none; value NULL makes a tombstone. */
void harness_append(harness *h, const char *cf, const char *key, const char *value,
                    const char *processed);

#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        weir_status status_ = (call);                                                              \
        if (status_ != WEIR_OK)                                                                    \
            fail_msg("%s: %s: %s", #call, weir_status_name(status_), (err).message);               \
    } while (0)

#endif
