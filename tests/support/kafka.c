/*
 * The real broker and the mock cluster for tests: starting and ending them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/kafka.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define SCRIPT WEIR_SOURCE_DIR "/scripts/kafka"

static bool skip_wanted(void)
{
    const char *value = getenv("WEIR_SKIP_KAFKA");
    return value && strcmp(value, "1") == 0;
}

static bool program_exists(const char *name)
{
    char command[256];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

bool kafka_broker_available(void)
{
    if (skip_wanted() || !program_exists("java") || !program_exists("flock"))
        return false;
    return program_exists("mvn") || system(SCRIPT " fetch >/dev/null 2>&1") == 0;
}

int kafka_broker_skip(void)
{
    const char *ci = getenv("CI");
    bool failure = !skip_wanted() && ci && *ci;
    fprintf(stderr,
            "************************************************************\n"
            "* %s: the tests on a real Kafka broker did not run: %s\n"
            "* Install default-jre-headless and maven to run them.\n"
            "************************************************************\n",
            failure ? "FAILED" : "SKIPPED",
            skip_wanted() ? "WEIR_SKIP_KAFKA=1" : "java or mvn is missing");
    return failure ? 1 : KAFKA_SKIPPED;
}

static void copy_line(char *out, size_t size, const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(line, name, length) == 0 && line[length] == '=')
        snprintf(out, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
}

/* Runs "scripts/kafka start" and takes over what it prints. False if it failed. */
static bool run_start(kafka_broker *broker, const char *arguments)
{
    char command[4096], line[512], pid[32] = "";
    snprintf(command, sizeof command, "%s start --dir '%s' --watch %ld --remove %s", SCRIPT,
             broker->dir, (long)getpid(), arguments);
    FILE *output = popen(command, "r");
    if (!output)
        return false;
    while (fgets(line, sizeof line, output)) {
        copy_line(broker->bootstrap, sizeof broker->bootstrap, line, "bootstrap");
        copy_line(broker->sasl_bootstrap, sizeof broker->sasl_bootstrap, line, "sasl_ssl");
        copy_line(broker->ca, sizeof broker->ca, line, "ca");
        copy_line(broker->username, sizeof broker->username, line, "username");
        copy_line(broker->password, sizeof broker->password, line, "password");
        copy_line(pid, sizeof pid, line, "pid");
    }
    broker->pid = atoi(pid);
    return pclose(output) == 0 && broker->pid > 0;
}

kafka_broker *kafka_broker_start(bool secure, const char *const *settings)
{
    char arguments[2048] = "";
    size_t used = 0;
    const char *tmp = getenv("TMPDIR");
    kafka_broker *broker = calloc(1, sizeof *broker);
    assert_non_null(broker);
    snprintf(broker->dir, sizeof broker->dir, "%s/weir-kafka-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(broker->dir)) {
        free(broker);
        fail_msg("mkdtemp failed");
    }
    if (secure)
        used += (size_t)snprintf(arguments, sizeof arguments, "--sasl-ssl ");
    for (; settings && *settings; settings++)
        used +=
            (size_t)snprintf(arguments + used, sizeof arguments - used, "--set '%s' ", *settings);
    if (!run_start(broker, arguments)) {
        kafka_broker_stop(broker);
        fail_msg("scripts/kafka could not start a broker");
    }
    return broker;
}

static void run_stop(kafka_broker *broker, const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof command, "%s stop --dir '%s' %s", SCRIPT, broker->dir, arguments);
    if (system(command) != 0)
        fprintf(stderr, "scripts/kafka stop failed for %s\n", broker->dir);
}

void kafka_broker_stop(kafka_broker *broker)
{
    char command[1024];
    if (!broker)
        return;
    run_stop(broker, "--kill"); /* the data goes anyway */
    snprintf(command, sizeof command, "rm -rf '%s'", broker->dir);
    if (system(command) != 0)
        fprintf(stderr, "could not remove %s\n", broker->dir);
    free(broker);
}

void kafka_broker_kill(kafka_broker *broker)
{
    run_stop(broker, "--kill");
}

void kafka_broker_restart(kafka_broker *broker)
{
    assert_true(run_start(broker, broker->sasl_bootstrap[0] ? "--sasl-ssl" : ""));
}

int kafka_broker_setup(void **state)
{
    *state = kafka_broker_start(false, NULL);
    return 0;
}

int kafka_broker_setup_secure(void **state)
{
    *state = kafka_broker_start(true, NULL);
    return 0;
}

int kafka_broker_teardown(void **state)
{
    kafka_broker_stop(*state);
    return 0;
}

kafka_mock *kafka_mock_start(int brokers)
{
    char reason[512];
    kafka_mock *mock = calloc(1, sizeof *mock);
    assert_non_null(mock);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    mock->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    assert_non_null(mock->owner);
    mock->cluster = rd_kafka_mock_cluster_new(mock->owner, brokers);
    assert_non_null(mock->cluster);
    mock->bootstrap = rd_kafka_mock_cluster_bootstraps(mock->cluster);
    return mock;
}

void kafka_mock_stop(kafka_mock *mock)
{
    if (!mock)
        return;
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->owner);
    free(mock);
}

void kafka_mock_create_topic(kafka_mock *mock, const char *topic, int partitions)
{
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1), 0);
}
