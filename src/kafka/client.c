/*
 * What all Kafka clients of an application share: making and releasing a handle,
 * librdkafka's logs and errors as events of Weir, and secrets kept out of both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kafka/client.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The same reason is logged again only after this long. */
#define REPEAT_MS 30000

/* ---------------------------------------------------------------------------
 * Logs and errors
 * ------------------------------------------------------------------------- */

void weir__client_redact(const weir__client *client, char *text)
{
    for (size_t i = 0; i < client->secret_count; i++) {
        const char *secret = client->secrets[i];
        size_t size = strlen(secret);
        for (char *at = strstr(text, secret); at; at = strstr(at + 1, secret)) {
            at[0] = '*';
            memmove(at + 1, at + size, strlen(at + size) + 1);
        }
    }
}

/* Wakes at most this often while records flow. */
#define WAKE_MS 5

/* What a call that changes nothing needs: the property as it stands. NULL: no memory. */
static char *copy_property(rd_kafka_t *handle, const char *name)
{
    size_t size = 0;
    const rd_kafka_conf_t *conf = rd_kafka_conf(handle);
    char *value = NULL;
    if (rd_kafka_conf_get(conf, name, NULL, &size) == RD_KAFKA_CONF_OK && size > 0)
        value = calloc(1, size);
    else
        return strdup("");
    if (value && rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
        value[0] = '\0';
    return value;
}

static void prepare_wake(weir__client *client, weir__client_role role)
{
    if (role != WEIR__CLIENT_CONSUMER && role != WEIR__CLIENT_READER)
        return;
    client->username = copy_property(client->handle, "sasl.username");
    client->password = copy_property(client->handle, "sasl.password");
}

/* Of all calls of librdkafka, setting the credentials (to what they are) is the one that wakes
 * the threads of all brokers without asking a broker anything. */
void weir__client_wake(weir__client *client, bool is_empty)
{
    if (!client->username || !client->password)
        return;
    int64_t now = weir__now_ms();
    if (!is_empty && now - client->woken_ms < WAKE_MS)
        return;
    client->woken_ms = now;
    rd_kafka_error_t *error =
        rd_kafka_sasl_set_credentials(client->handle, client->username, client->password);
    if (error)
        rd_kafka_error_destroy(error);
}

/* logical: RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END, which are times to this request. */
static rd_kafka_resp_err_t find_offset(weir__client *client, const char *topic, int32_t partition,
                                       int64_t logical, int64_t *offset, int timeout_ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = logical;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client->handle, list, timeout_ms);
    if (!code)
        code = list->elems[0].err;
    *offset = code ? 0 : list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

rd_kafka_resp_err_t weir__client_watermarks(weir__client *client, const char *topic,
                                            int32_t partition, int64_t *low, int64_t *high,
                                            int timeout_ms)
{
    int64_t deadline = weir__now_ms() + timeout_ms;
    *high = 0;
    rd_kafka_resp_err_t code =
        find_offset(client, topic, partition, RD_KAFKA_OFFSET_BEGINNING, low, timeout_ms);
    int64_t left = deadline - weir__now_ms();
    return code ? code
                : find_offset(client, topic, partition, RD_KAFKA_OFFSET_END, high,
                              left < 1 ? 1 : (int)left);
}

static weir_log_level log_level(int syslog_level)
{
    if (syslog_level <= 2)
        return WEIR_LOG_ERROR;
    if (syslog_level <= 4)
        return WEIR_LOG_WARN;
    return syslog_level <= 6 ? WEIR_LOG_INFO : WEIR_LOG_DEBUG;
}

/* The only way in which these versions tell: lines of debug=consumer,cgrp (properties.c). */
static void note_membership(weir__client *client, const char *facility, const char *text)
{
    if (strcmp(facility, "JOINGROUP") == 0 && strstr(text, "Protocol cooperative-sticky"))
        __atomic_store_n(&client->is_member, true, __ATOMIC_RELAXED);
    else if (strcmp(facility, "SYNCGROUP") == 0 && strstr(text, "response: Success"))
        __atomic_store_n(&client->has_assignment, true, __ATOMIC_RELAXED);
}

bool weir__client_may_destroy(const weir__client *client)
{
    return rd_kafka_version() >= 0x02030000 ||
           !__atomic_load_n(&client->is_member, __ATOMIC_RELAXED) ||
           __atomic_load_n(&client->has_assignment, __ATOMIC_RELAXED);
}

static void on_log(const rd_kafka_t *handle, int syslog_level, const char *facility,
                   const char *text)
{
    weir__client *client = handle ? rd_kafka_opaque(handle) : NULL;
    if (client && syslog_level == 7)
        note_membership(client, facility, text);
    weir_log_level level = log_level(syslog_level);
    char event[64], message[1024];
    snprintf(event, sizeof event, "kafka.%s", facility);
    for (char *at = event; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    snprintf(message, sizeof message, "%s", text);
    if (client) {
        weir__client_redact(client, message);
        if (!*client->broker) /* weir__kafka_config_check: not meant to connect */
            level = WEIR_LOG_DEBUG;
    }
    weir_log(level, event, "%s: %s", handle ? rd_kafka_name(handle) : "librdkafka", message);
}

/* What librdkafka has logged itself when it calls on_error. */
static bool is_logged(int code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE ||
           code == RD_KAFKA_RESP_ERR__SSL || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

static void on_error(rd_kafka_t *handle, int code, const char *text, void *opaque)
{
    weir__client *client = opaque;
    char message[sizeof client->reason];
    int64_t now = weir__now_ms();
    snprintf(message, sizeof message, "%s", text);
    weir__client_redact(client, message);
    pthread_mutex_lock(&client->lock);
    bool repeated = strcmp(client->reason, message) == 0 && now - client->reason_ms < REPEAT_MS;
    /* "All brokers are down" follows the reason and must not replace it. */
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !repeated) {
        memcpy(client->reason, message, sizeof message);
        client->reason_ms = now;
    }
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION && !client->denied) {
        client->denied = true;
        client->denied_ms = now;
    }
    pthread_mutex_unlock(&client->lock);
    if (!repeated)
        weir_log(is_logged(code) ? WEIR_LOG_DEBUG : WEIR_LOG_WARN, "kafka.error", "%s: %s: %s",
                 rd_kafka_name(handle), rd_kafka_err2name((rd_kafka_resp_err_t)code), message);
}

void weir__client_reason(weir__client *client, char *out, size_t size)
{
    pthread_mutex_lock(&client->lock);
    snprintf(out, size, "%s", client->reason);
    pthread_mutex_unlock(&client->lock);
}

void weir__client_proved(weir__client *client)
{
    pthread_mutex_lock(&client->lock);
    client->denied = false;
    pthread_mutex_unlock(&client->lock);
}

weir_status weir__client_denied(weir__client *client, int64_t grace_ms, weir_error *err)
{
    char reason[sizeof client->reason];
    pthread_mutex_lock(&client->lock);
    bool denied = client->denied && weir__now_ms() - client->denied_ms >= grace_ms;
    memcpy(reason, client->reason, sizeof reason);
    pthread_mutex_unlock(&client->lock);
    if (!denied)
        return WEIR_OK;
    /* Before 2.6.1 librdkafka sent the client's nonce twice, which Kafka 4 does not accept. */
    bool old_scram = rd_kafka_version() < 0x02060100 && strstr(reason, "SCRAM");
    return weir_error_set(err, WEIR_PERMISSION,
                          "the Kafka broker refuses the credentials: %s (broker=%s): check "
                          "security.protocol, sasl.mechanism, sasl.username and sasl.password%s%s",
                          reason, client->broker,
                          old_scram ? "; SCRAM with Kafka 4 needs librdkafka 2.6.1, this is " : "",
                          old_scram ? rd_kafka_version_str() : "");
}

weir_status weir__kafka_status(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return WEIR_OK;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
        return WEIR_TIMEOUT;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return WEIR_PERMISSION;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return WEIR_TOPIC;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return WEIR_TOO_LARGE;
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__NO_OFFSET:
        return WEIR_OFFSET;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        return WEIR_FENCED;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
        return WEIR_INVALID;
    default:
        return WEIR_KAFKA;
    }
}

weir_status weir__client_error(weir__client *client, rd_kafka_resp_err_t code, const char *what,
                               weir_error *err)
{
    char reason[sizeof client->reason];
    weir__client_reason(client, reason, sizeof reason);
    bool vague = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                 code == RD_KAFKA_RESP_ERR__WAIT_COORD || code == RD_KAFKA_RESP_ERR__FATAL;
    return weir_error_set(err, weir__kafka_status(code), "%s: %s%s%s (broker=%s)", what,
                          rd_kafka_err2str(code), vague && *reason ? "; last: " : "",
                          vague ? reason : "", client->broker);
}

weir_status weir__client_error_object(weir__client *client, rd_kafka_error_t *error,
                                      const char *what, weir_error *err)
{
    char text[512];
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    snprintf(text, sizeof text, "%s", rd_kafka_error_string(error));
    weir__client_redact(client, text);
    rd_kafka_error_destroy(error);
    return weir_error_set(err, weir__kafka_status(code), "%s: %s (broker=%s)", what, text,
                          client->broker);
}

weir_status weir__client_init(weir__client *client, weir__client_role role,
                              const weir__kafka_config *config, rd_kafka_conf_t *conf, void *owner,
                              weir_error *err)
{
    char reason[512];
    memset(client, 0, sizeof *client);
    pthread_mutex_init(&client->lock, NULL);
    client->owner = owner;
    client->broker = strdup(config->broker ? config->broker : "");
    weir_status status = WEIR_NO_MEMORY;
    if (!conf || !client->broker) {
        status = weir_error_set(err, status, "no memory for a Kafka client");
        goto done;
    }
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    status = weir__client_configure(client, conf, role, config, err);
    if (status)
        goto done;
    client->handle =
        rd_kafka_new(role == WEIR__CLIENT_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf,
                     reason, sizeof reason);
    if (client->handle) {
        conf = NULL;
        prepare_wake(client, role);
    } else {
        weir__client_redact(client, reason);
        status = weir_error_set(err, WEIR_INVALID, "the Kafka properties do not fit: %s", reason);
    }
done:
    if (conf)
        rd_kafka_conf_destroy(conf);
    if (status)
        weir__client_release(client);
    return status;
}

void weir__client_release(weir__client *client)
{
    if (!client->broker && !client->handle)
        return;
    if (client->handle)
        rd_kafka_destroy(client->handle);
    for (size_t i = 0; i < client->secret_count; i++)
        free(client->secrets[i]);
    free(client->secrets);
    free(client->username);
    free(client->password);
    free(client->broker);
    pthread_mutex_destroy(&client->lock);
    memset(client, 0, sizeof *client);
}

weir_status weir__kafka_config_check(const weir__kafka_config *config, weir_error *err)
{
    static const weir__client_role roles[] = {WEIR__CLIENT_CONSUMER, WEIR__CLIENT_PRODUCER};
    /* Without addresses librdkafka checks all properties, loads certificates and connects to
     * nobody. */
    weir__kafka_config offline = *config;
    offline.broker = NULL;
    weir_status status = WEIR_OK;
    if (!config->broker || !*config->broker)
        return weir_error_set(err, WEIR_INVALID, "option broker: no address given");
    if (!config->group_id || !*config->group_id)
        return weir_error_set(err, WEIR_INVALID, "option consumer_group: no name given");
    for (size_t i = 0; !status && i < sizeof roles / sizeof *roles; i++) {
        weir__client client;
        status = weir__client_init(&client, roles[i], &offline, rd_kafka_conf_new(), NULL, err);
        if (!status)
            weir__client_release(&client);
    }
    return status;
}
