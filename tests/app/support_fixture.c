/*
 * The surroundings of an integration test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define COMMIT_WAIT_MS 60000

test_fixture *fixture_make(void **state, int partitions)
{
    static test_fixture made;
    memset(&made, 0, sizeof(made));
    made.broker = *state;
    made.bootstrap = made.broker->bootstrap;
    made.group = kafka_unique("group");
    made.source = kafka_unique("source");
    made.output = kafka_unique("output");
    snprintf(made.changelog, sizeof(made.changelog), "changelog__%s--%s--default", made.group,
             made.source);
    temp_dir_make(made.dir);
    snprintf(made.state, sizeof(made.state), "%s", made.dir);
    job_config_init(&made.config, made.bootstrap, made.group, made.source, made.output, made.state);
    made.config.options.state_backend = "rocksdb";
    for (int i = 0; i < FIXTURE_KEYS; i++)
        snprintf(made.totals[i].key, sizeof(made.totals[i].key), "key%d", i);
    if (partitions > 0)
        kafka_create_topic(made.bootstrap, made.source, partitions, NULL);
    return &made;
}

void fixture_end(test_fixture *fixture)
{
    if (fixture->client)
        rd_kafka_destroy(fixture->client);
    fixture->client = NULL;
    temp_dir_remove(fixture->dir);
}

void fixture_send(test_fixture *fixture, int count)
{
    /* In order also when a request has to be repeated: the hashes depend on it. */
    static const weir_option in_order[] = {{"enable.idempotence", "true"}, {NULL, NULL}};
    rd_kafka_t *producer = kafka_producer(fixture->bootstrap, in_order);
    for (int i = 0; i < count; i++) {
        char value[32];
        job_total *total = &fixture->totals[(fixture->sent * 7) % FIXTURE_KEYS];
        snprintf(value, sizeof(value), "%d", fixture->sent);
        kafka_send(producer, fixture->source, -1, total->key, value, 0);
        total->n++;
        total->h = job_hash(total->h, fixture->sent);
        fixture->sent++;
    }
    kafka_flush(producer);
    rd_kafka_destroy(producer);
}

void fixture_verify(const test_fixture *fixture, int partitions)
{
    const weir_app_options *options = &fixture->config.options;
    job_verify_state(fixture->state, fixture->group, fixture->source, options->state_backend,
                     partitions, fixture->totals, FIXTURE_KEYS);
    job_verify_output(fixture->bootstrap, fixture->output, fixture->totals, FIXTURE_KEYS);
    if (options->use_changelog)
        job_verify_changelog(fixture->bootstrap, fixture->changelog, fixture->totals, FIXTURE_KEYS);
}

/* One that asks for what the group has committed. */
static rd_kafka_t *group_client(test_fixture *fixture)
{
    char text[256];
    if (fixture->client)
        return fixture->client;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", fixture->bootstrap, text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", fixture->group, text, sizeof(text));
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    fixture->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(fixture->client);
    return fixture->client;
}

/* Waits while the group has no coordinator, as after a restart of the broker. */
int64_t fixture_committed(test_fixture *fixture, int partitions)
{
    int64_t sum = 0;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int tries = 0; tries < 300; tries++) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
        for (int p = 0; p < partitions; p++)
            rd_kafka_topic_partition_list_add(list, fixture->source, p);
        code = rd_kafka_committed(group_client(fixture), list, 10000);
        sum = 0;
        for (int p = 0; p < partitions && !code; p++) {
            code = list->elems[p].err;
            sum += list->elems[p].offset > 0 ? list->elems[p].offset : 0;
        }
        rd_kafka_topic_partition_list_destroy(list);
        if (!code)
            break;
        weir__sleep_ms(100, NULL);
    }
    if (code)
        fail_msg("committed offsets: %s", rd_kafka_err2str(code));
    return sum;
}

typedef struct committed_arg {
    test_fixture *fixture;
    int partitions;
    int64_t offset;
} committed_arg;

static bool has_committed(void *arg)
{
    committed_arg *wanted = arg;
    return fixture_committed(wanted->fixture, wanted->partitions) >= wanted->offset;
}

void fixture_wait_committed(test_fixture *fixture, int64_t offset)
{
    committed_arg wanted = {fixture, 1, offset};
    wait_until(has_committed, &wanted, COMMIT_WAIT_MS, "an offset to be committed");
}

void fixture_wait_all_committed(test_fixture *fixture, int partitions)
{
    committed_arg wanted = {fixture, partitions, fixture->sent};
    wait_until(has_committed, &wanted, COMMIT_WAIT_MS, "all records to be committed");
}

void fixture_run(const test_fixture *fixture, uint64_t records)
{
    test_job *job = job_start(&fixture->config);
    job_wait_records(job, records);
    job_stop(job);
}

weir_app_stats fixture_run_until(test_fixture *fixture, int64_t offset)
{
    test_job *job = job_start(&fixture->config);
    fixture_wait_committed(fixture, offset);
    return job_stop(job);
}

void fixture_forget_state(const test_fixture *fixture)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", fixture->dir, fixture->group);
    temp_dir_remove(path);
}

void fixture_finish(test_fixture *fixture, int64_t offset)
{
    (void)fixture_run_until(fixture, offset);
    fixture_verify(fixture, 1);
    fixture_end(fixture);
}

pid_t fixture_spawn(const test_fixture *fixture, const char *const *more)
{
    char pairs[6][400];
    char log[300];
    const char *arguments[24];
    size_t count = 0;
    const char *const names[] = {"broker", "group", "source", "output", "state", "backend"};
    const char *const values[] = {fixture->bootstrap, fixture->group,
                                  fixture->source,    fixture->output,
                                  fixture->state,     fixture->config.options.state_backend};
    for (; count < 6; count++) {
        snprintf(pairs[count], sizeof(pairs[count]), "%s=%s", names[count], values[count]);
        arguments[count] = pairs[count];
    }
    for (; more && *more && count < 23; more++)
        arguments[count++] = *more;
    arguments[count] = NULL;
    snprintf(log, sizeof(log), "%s/log", fixture->dir);
    return job_spawn(log, arguments);
}
