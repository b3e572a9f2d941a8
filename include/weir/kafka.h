/*
 * weir/kafka.h: changelogs of Kafka topics, to be read by a program that drives its state
 * itself (weir/state.h) and has clients of its own for everything else. weir/app.h does
 * all of this alone.
 *
 *   weir_kafka_reader_new ─► weir_kafka_reader_open ─► range, seek, read ─► close
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KAFKA_H
#define WEIR_KAFKA_H

#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A consumer that belongs to no group: it joins none and commits nothing. Owner thread,
 * together with the changelogs that it opened. */
typedef struct weir_kafka_reader weir_kafka_reader;

/*
 * Makes the client; does not wait for a broker. broker: "host:port,…". group_id: names the
 * client to brokers that ask for the right to use a group. properties: any of librdkafka's
 * for consumers, but for those that Weir sets itself (docs/configuration.md); may be NULL.
 * All is copied. WEIR_INVALID: a property is refused, with its name; secrets are not told.
 * *reader [out].
 */
WEIR_API weir_status weir_kafka_reader_new(const char *broker, const char *group_id,
                                           const weir_option *properties,
                                           weir_kafka_reader **reader, weir_error *err);
/* After its changelogs are closed. NULL is allowed. */
WEIR_API void weir_kafka_reader_free(weir_kafka_reader *reader);
/*
 * The changelog in a partition of a topic, in the format of docs/formats/changelog.md, for
 * reading: append and flush are WEIR_UNSUPPORTED. Several may be read by turns; each is
 * fetched ahead in the background. Only committed records are read. Does not wait for a
 * broker. topic is copied. *changelog [out] is closed by its own close.
 */
WEIR_API weir_status weir_kafka_reader_open(weir_kafka_reader *reader, const char *topic,
                                            int32_t partition, weir_changelog **changelog,
                                            weir_error *err);

#ifdef __cplusplus
}
#endif

#endif
