/*
 * Names of topics that Weir makes: those of Quix Streams 3.x, so that both find the
 * same changelog.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "kafka/kafka.h"

#define TOPIC_NAME_MAX 249

/* An internal topic "{type}__{group}--{rest}" as stream id loses its group, which the new name
 * carries already, and "--" becomes "."; any other name stays as it is. */
static weir_status append_nested(weir__buffer *out, const char *group_id, const char *stream_id)
{
    weir__buffer marker;
    weir__buffer_init(&marker);
    weir_status status = weir__buffer_printf(&marker, "__%s--", group_id);
    if (!status)
        status = weir__buffer_append_byte(&marker, '\0');
    bool internal = !status && strstr(stream_id, (const char *)marker.data) != NULL;
    /* Without its "--" and NUL it is what goes from the name. */
    size_t group_size = strlen(group_id) + 2;
    for (const char *at = stream_id; !status && *at;) {
        if (internal && strncmp(at, (const char *)marker.data, group_size) == 0) {
            at += group_size;
        } else if (internal && at[0] == '-' && at[1] == '-') {
            status = weir__buffer_append_byte(out, '.');
            at += 2;
        } else {
            status = weir__buffer_append_byte(out, (uint8_t)*at++);
        }
    }
    weir__buffer_release(&marker);
    return status;
}

static weir_status check_name(const char *name, weir_error *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t good = strspn(name, allowed);
    if (name[good])
        return weir_error_set(err, WEIR_INVALID,
                              "topic name '%s': Kafka does not allow the character '%c' (byte "
                              "0x%02x); allowed are a-z A-Z 0-9 . _ -: choose another consumer "
                              "group or store name",
                              name, name[good], (unsigned)(uint8_t)name[good]);
    if (good > TOPIC_NAME_MAX)
        return weir_error_set(err, WEIR_TOO_LARGE,
                              "topic name '%s' has %zu bytes, Kafka allows %d: choose a shorter "
                              "consumer group or store name",
                              name, good, TOPIC_NAME_MAX);
    return WEIR_OK;
}

weir_status weir__changelog_topic_name(weir__buffer *out, const char *group_id,
                                       const char *stream_id, const char *store, weir_error *err)
{
    size_t begin = out->size;
    weir_status status = weir__buffer_printf(out, "changelog__%s--", group_id);
    if (!status && stream_id) {
        status = append_nested(out, group_id, stream_id);
        if (!status)
            status = weir__buffer_append(out, "--", 2);
    }
    if (!status)
        status = weir__buffer_append(out, store, strlen(store) + 1);
    if (status)
        status = weir_error_set(err, status, "no memory for the name of a changelog topic");
    else
        status = check_name((const char *)out->data + begin, err);
    if (status)
        out->size = begin;
    return status;
}
