/*
 * What Weir's Kafka clients share inside this folder: making a librdkafka handle
 * from the user's properties, its logs and errors, and secrets kept out of both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KAFKA_CLIENT_H
#define WEIR_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "kafka/kafka.h"

typedef enum weir__client_role {
    WEIR__CLIENT_ADMIN,    /* metadata and topics: the `kafka` properties */
    WEIR__CLIENT_CONSUMER, /* member of the group: `kafka` and `consumer` */
    WEIR__CLIENT_READER,   /* reads changelogs by assignment: `kafka` and `consumer` */
    WEIR__CLIENT_PRODUCER  /* `kafka` and `producer` */
} weir__client_role;

/* A librdkafka handle with its surroundings; embedded in the objects of this layer. Its address
 * is the handle's opaque: it must not move after weir__client_init. */
typedef struct weir__client {
    rd_kafka_t *handle;
    void *owner; /* the object that embeds it, for callbacks */
    char *broker;
    char **secrets; /* values that must not show up in any text */
    size_t secret_count;

    /* For weir__client_may_destroy: the group has taken it in, and given it an assignment. */
    bool is_member;
    bool has_assignment;
    char *username; /* of a consuming client: see weir__client_wake */
    char *password;
    int64_t woken_ms;

    pthread_mutex_t lock; /* for what follows: callbacks may come from several threads */
    char reason[512];     /* the latest error, redacted; "" if none */
    int64_t reason_ms;    /* when it was logged */
    bool denied;          /* authentication failed since the last success */
    int64_t denied_ms;    /* when it failed first */
} weir__client;

/*
 * Sets Weir's own properties and the user's on `conf` (which carries the caller's callbacks and
 * is consumed on every path) and makes the handle. WEIR_INVALID: a property is refused.
 */
weir_status weir__client_init(weir__client *client, weir__client_role role,
                              const weir__kafka_config *config, rd_kafka_conf_t *conf, void *owner,
                              weir_error *err);
/* properties.c: sets Weir's own properties, then the user's, and notes the secrets. */
weir_status weir__client_configure(weir__client *client, rd_kafka_conf_t *conf,
                                   weir__client_role role, const weir__kafka_config *config,
                                   weir_error *err);
/* Destroys the handle (a consumer closed before) and all else. A zeroed client is fine. */
void weir__client_release(weir__client *client);

/*
 * librdkafka's fetcher sees only when it wakes, within a second, that a partition was resumed;
 * and before 2.2 it sleeps as long once its queue is full, however soon that is empty again (2.2
 * brought fetch.queue.backoff.ms). This wakes it. Cheap: to be called for each batch that a
 * consuming client takes, and with `is_empty` when a batch came out empty after others, or
 * before the first.
 */
void weir__client_wake(weir__client *client, bool is_empty);
/*
 * False: destroying the handle would abort the process. Up to version 2.2, librdkafka asserts
 * that a member of a group has been given an assignment (cooperative-sticky), which is not so
 * when it is closed in between. Such a handle is left to the end of the process.
 */
bool weir__client_may_destroy(const weir__client *client);

/* Replaces every secret in the text by '*'. */
void weir__client_redact(const weir__client *client, char *text);
/* The latest error that librdkafka told, "" if none. Any thread. */
void weir__client_reason(weir__client *client, char *out, size_t size);
/* A broker has accepted this client: earlier refusals are forgotten. */
void weir__client_proved(weir__client *client);
/* WEIR_PERMISSION if authentication has been failing for at least grace_ms. */
weir_status weir__client_denied(weir__client *client, int64_t grace_ms, weir_error *err);

/*
 * The first offset of a partition and the one after its last, asked from the broker. Not by
 * rd_kafka_query_watermark_offsets, which (in 2.0) waits for a broker that does not answer,
 * whatever its timeout.
 */
rd_kafka_resp_err_t weir__client_watermarks(weir__client *client, const char *topic,
                                            int32_t partition, int64_t *low, int64_t *high,
                                            int timeout_ms);

/* The status that stands for an error code of librdkafka or the broker. */
weir_status weir__kafka_status(rd_kafka_resp_err_t code);
/* "what: text (broker=…)" with the latest reason when the code says nothing itself. */
weir_status weir__client_error(weir__client *client, rd_kafka_resp_err_t code, const char *what,
                               weir_error *err);
/* Like weir__client_error; frees the error object. */
weir_status weir__client_error_object(weir__client *client, rd_kafka_error_t *error,
                                      const char *what, weir_error *err);

#endif
