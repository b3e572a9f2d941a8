/*
 * What an integration test has: the broker that all tests of a program share, topic names
 * and a state folder of its own, and what the counting job should come to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_APP_SUPPORT_FIXTURE_H
#define WEIR_TESTS_APP_SUPPORT_FIXTURE_H

#include "support_job.h"

#include "support/kafka.h"

#define FIXTURE_KEYS 20

typedef struct test_fixture {
    kafka_broker *broker;
    const char *bootstrap;
    const char *group;
    const char *source;
    const char *output;
    char changelog[256];
    char dir[256];
    char state[300]; /* where the state is: dir, or what a test chooses */
    job_config config;
    job_total totals[FIXTURE_KEYS];
    int sent;
    rd_kafka_t *client; /* for what the group has committed; NULL: not asked yet */
} test_fixture;

/* state: the broker of the group. One at a time. The source topic has so many partitions. */
test_fixture *fixture_make(void **state, int partitions);
/* Removes the folder. */
void fixture_end(test_fixture *fixture);
/* `count` more records with values 0, 1, …, over all keys; totals follow. */
void fixture_send(test_fixture *fixture, int count);
/* The job has stopped: state, output and changelog must fit what was sent. */
void fixture_verify(const test_fixture *fixture, int partitions);
/* Waits until the group has committed `offset` of partition 0. */
void fixture_wait_committed(test_fixture *fixture, int64_t offset);
/* … all that was sent, to so many partitions. */
void fixture_wait_all_committed(test_fixture *fixture, int partitions);
/* Runs the job until it has taken so many records. */
void fixture_run(const test_fixture *fixture, uint64_t records);
/* Runs the job until the group has committed `offset` of partition 0; its last figures. */
weir_app_stats fixture_run_until(test_fixture *fixture, int64_t offset);
/* Removes the state of the group, as on another machine. */
void fixture_forget_state(const test_fixture *fixture);
/* Runs the job until then, compares all that it left, and ends the fixture. */
void fixture_finish(test_fixture *fixture, int64_t offset);
/* The sum of the committed offsets of so many partitions. */
int64_t fixture_committed(test_fixture *fixture, int partitions);
/* Starts the job as a process; more: further pairs of job_spawn, or NULL. */
pid_t fixture_spawn(const test_fixture *fixture, const char *const *more);

#endif
