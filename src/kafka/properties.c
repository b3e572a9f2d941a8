/*
 * Properties of Kafka clients: those that Weir sets itself and refuses, its defaults,
 * and the user's, with secrets known as such.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kafka/client.h"

/* A shorter secret is not searched for in texts: it would blank out half of them. */
#define SECRET_MIN_SIZE 3

/* What the checkpoints, the state and the partitions depend on, with what to use instead. */
static const struct refused {
    const char *name;
    const char *why;
} refused[] = {
    {"bootstrap.servers", "use the option broker"},
    {"metadata.broker.list", "use the option broker"},
    {"group.id", "use the option consumer_group"},
    {"auto.offset.reset", "use the option auto_offset_reset"},
    {"enable.auto.commit", "checkpoints commit the offsets"},
    {"auto.commit.enable", "checkpoints commit the offsets"},
    {"auto.commit.interval.ms", "use the option commit_interval_ms"},
    {"enable.auto.offset.store", "checkpoints commit the offsets"},
    {"offset.store.method", "checkpoints commit the offsets"},
    {"enable.partition.eof", "recovery depends on it"},
    {"isolation.level", "only committed records are read"},
    {"partition.assignment.strategy", "partitions move in cooperative style"},
    {"group.protocol", "partitions move in cooperative style"},
    {"allow.auto.create.topics", "use the option auto_create_topics"},
    {"enable.idempotence", "the order of the changelog depends on it"},
    {"transactional.id", "checkpoints are at-least-once"},
    {"partitioner", "records go where Java clients and the state expect them"},
    {"queuing.strategy", "records keep their order"},
    {"delivery.report.only.error", "checkpoints wait for every delivery"},
    {"log.queue", "logs go to weir_log"},
    {"test.mock.num.brokers", "each client would have a cluster of its own"},
};

/* Beside those whose name says it: see is_secret. */
static const char *const secret_names[] = {
    "ssl.key.pem",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.assertion.private.key.pem",
};

typedef struct setting {
    const char *name;
    const char *value;
    bool optional; /* newer librdkafka only */
} setting;

/* Reconnecting within a second, and no long sleep when the fetch queue is full: 2.0 and 2.1 take
 * fetch.error.backoff.ms for that, later ones fetch.queue.backoff.ms. */
static const setting common_settings[] = {
    {"reconnect.backoff.max.ms", "1000", false},
    {"topic.metadata.refresh.sparse", "true", false},
};
static const setting consuming_settings[] = {
    {"allow.auto.create.topics", "false", false}, {"enable.auto.commit", "false", false},
    {"enable.auto.offset.store", "false", false}, {"isolation.level", "read_committed", false},
    {"fetch.queue.backoff.ms", "5", true},
};
/*
 * The queue counts the records of all partitions together and bounds the memory. Half of the
 * default costs no speed; with 20,000 records it ran dry between fetches, at a fifth of the speed.
 * A fetch that waits for new records holds up a partition that is resumed meanwhile.
 */
static const setting group_settings[] = {
    {"queued.min.messages", "50000", false},
    {"queued.max.messages.kbytes", "32768", false},
    {"partition.assignment.strategy", "cooperative-sticky", false},
    {"fetch.wait.max.ms", "100", false},
};
/* Each changelog has a queue of its own. The end of one must be seen at once, not after the
 * default half second. */
static const setting reader_settings[] = {
    {"queued.min.messages", "50000", false}, {"queued.max.messages.kbytes", "16384", false},
    {"auto.offset.reset", "error", false},   {"enable.partition.eof", "true", false},
    {"fetch.wait.max.ms", "20", false},
};
static const setting producer_settings[] = {
    {"enable.idempotence", "true", false},
    {"partitioner", "murmur2_random", false},
    {"linger.ms", "50", false},
    {"batch.num.messages", "10000", false},
    {"queue.buffering.max.kbytes", "65536", false},
};

static bool is_secret(const char *name)
{
    for (size_t i = 0; i < sizeof secret_names / sizeof *secret_names; i++)
        if (strcasecmp(name, secret_names[i]) == 0)
            return true;
    /* By parts of the name, so that a newer property or a typing error is covered too. */
    return strcasestr(name, "password") || strcasestr(name, "secret") ||
           strcasestr(name, "passphrase") || strcasestr(name, "jaas");
}

static weir_status check_refused(const char *list, const char *name, weir_error *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcasecmp(name, refused[i].name) == 0)
            return weir_error_set(err, WEIR_INVALID, "%s property '%s' is set by Weir itself: %s",
                                  list, name, refused[i].why);
    return WEIR_OK;
}

static weir_status add_secret(weir__client *client, const char *value)
{
    char **grown = realloc(client->secrets, (client->secret_count + 1) * sizeof *grown);
    if (!grown)
        return WEIR_NO_MEMORY;
    client->secrets = grown;
    grown[client->secret_count] = strdup(value);
    if (!grown[client->secret_count])
        return WEIR_NO_MEMORY;
    client->secret_count++;
    return WEIR_OK;
}

/*
 * librdkafka's own table of properties says which clients a property is for: a line is
 * "name | C/P | range | …" with C for consumers, P for producers, * for both.
 * Returns that character, '*' for what the table does not have.
 */
static char property_scope(const char *table, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = table; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, size) != 0 || (line[size] != ' ' && line[size] != '|'))
            continue;
        const char *column = strchr(line, '|');
        return column ? column[1 + strspn(column + 1, " ")] : '*';
    }
    return '*';
}

/* Memory from malloc; NULL: none. */
static char *property_table(void)
{
    char *table = NULL;
    size_t size;
    FILE *out = open_memstream(&table, &size);
    if (!out)
        return NULL;
    rd_kafka_conf_properties_show(out);
    fclose(out);
    return table;
}

/* One property of the user. A message of librdkafka's may quote the value: not for secrets. */
static weir_status set_property(weir__client *client, rd_kafka_conf_t *conf, const char *list,
                                const weir_option *property, weir_error *err)
{
    char reason[512];
    bool secret = is_secret(property->key);
    if (secret && property->value && strlen(property->value) >= SECRET_MIN_SIZE &&
        add_secret(client, property->value))
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory for the Kafka properties");
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, property->key, property->value, reason, sizeof reason);
    if (result == RD_KAFKA_CONF_OK)
        return WEIR_OK;
    if (secret && result == RD_KAFKA_CONF_INVALID)
        snprintf(reason, sizeof reason, "invalid value (not shown)");
    weir__client_redact(client, reason);
    return weir_error_set(err, WEIR_INVALID, "%s property '%s': %s (librdkafka %s)", list,
                          property->key, reason, rd_kafka_version_str());
}

/* The user's list of properties. One for the other kind of client is passed over in the list for
 * all clients, and refused in the others. */
static weir_status set_properties(weir__client *client, rd_kafka_conf_t *conf, const char *list,
                                  char kind, const weir_option *properties, weir_error *err)
{
    weir_status status = WEIR_OK;
    char *table = properties && properties->key ? property_table() : NULL;
    for (; !status && properties && properties->key; properties++) {
        status = check_refused(list, properties->key, err);
        char scope = table ? property_scope(table, properties->key) : '*';
        if (status || scope == '*' || scope == kind)
            status = status ? status : set_property(client, conf, list, properties, err);
        else if (strcmp(list, "kafka") != 0)
            status =
                weir_error_set(err, WEIR_INVALID, "%s property '%s' is one of %s: move it", list,
                               properties->key, scope == 'P' ? "producers" : "consumers");
    }
    free(table);
    return status;
}

static weir_status set_own(rd_kafka_conf_t *conf, const setting *settings, size_t count,
                           weir_error *err)
{
    char reason[512];
    for (size_t i = 0; i < count; i++) {
        rd_kafka_conf_res_t result =
            rd_kafka_conf_set(conf, settings[i].name, settings[i].value, reason, sizeof reason);
        if (result == RD_KAFKA_CONF_OK || (result == RD_KAFKA_CONF_UNKNOWN && settings[i].optional))
            continue;
        return weir_error_set(err, WEIR_INVALID, "Kafka property '%s': %s (librdkafka %s)",
                              settings[i].name, reason, rd_kafka_version_str());
    }
    return WEIR_OK;
}

#define SET_OWN(conf, settings, err)                                                               \
    set_own(conf, settings, sizeof(settings) / sizeof *(settings), err)

/* Weir's settings for a role; the user's properties come after and override them. */
static weir_status set_defaults(rd_kafka_conf_t *conf, weir__client_role role,
                                const weir__kafka_config *config, weir_error *err)
{
    weir_status status = SET_OWN(conf, common_settings, err);
    if (!status && role != WEIR__CLIENT_PRODUCER)
        status = SET_OWN(conf, consuming_settings, err);
    if (!status && role != WEIR__CLIENT_PRODUCER && rd_kafka_version() < 0x02020000) {
        static const setting backoff[] = {{"fetch.error.backoff.ms", "5", false}};
        status = SET_OWN(conf, backoff, err);
    }
    if (!status && role == WEIR__CLIENT_PRODUCER)
        status = SET_OWN(conf, producer_settings, err);
    if (!status && role == WEIR__CLIENT_READER)
        status = SET_OWN(conf, reader_settings, err);
    if (!status && role == WEIR__CLIENT_CONSUMER)
        status = SET_OWN(conf, group_settings, err);
    if (!status && role == WEIR__CLIENT_CONSUMER && rd_kafka_version() < 0x02030000) {
        /* For weir__client_may_destroy. */
        static const setting debug[] = {{"debug", "consumer,cgrp", false}};
        status = SET_OWN(conf, debug, err);
    }
    if (!status && role == WEIR__CLIENT_CONSUMER) {
        const char *reset = config->auto_offset_reset ? config->auto_offset_reset : "latest";
        setting own[] = {{"auto.offset.reset", reset, false}};
        status = SET_OWN(conf, own, err);
    }
    if (!status && (role == WEIR__CLIENT_CONSUMER || role == WEIR__CLIENT_READER)) {
        setting own[] = {{"group.id", config->group_id, false}};
        status = SET_OWN(conf, own, err);
    }
    return status;
}

weir_status weir__client_configure(weir__client *client, rd_kafka_conf_t *conf,
                                   weir__client_role role, const weir__kafka_config *config,
                                   weir_error *err)
{
    char kind = role == WEIR__CLIENT_PRODUCER ? 'P' : 'C';
    weir_status status = set_defaults(conf, role, config, err);
    if (!status)
        status = set_properties(client, conf, "kafka", kind, config->kafka, err);
    if (!status && (role == WEIR__CLIENT_CONSUMER || role == WEIR__CLIENT_READER))
        status = set_properties(client, conf, "consumer", kind, config->consumer, err);
    if (!status && role == WEIR__CLIENT_PRODUCER)
        status = set_properties(client, conf, "producer", kind, config->producer, err);
    if (!status && config->broker) {
        setting own[] = {{"bootstrap.servers", config->broker, false}};
        status = SET_OWN(conf, own, err);
    }
    return status;
}
