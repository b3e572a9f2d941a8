/*
 * The topics of an application, before it starts: sources and sinks are checked or
 * created, each changelog topic has as many partitions as its source.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "app/application.h"

static const weir_option changelog_config[] = {{"cleanup.policy", "compact"}, {NULL, NULL}};

/*
 * Makes sure that a topic is there. expected: the partitions it must have, 0 for any.
 * created: how many it gets when it is missing. *actual [out].
 */
static weir_status prepare_topic(const weir_app *app, weir__admin *admin, const char *what,
                                 const char *name, int32_t expected, int32_t created,
                                 const weir_option *config, int32_t *actual, weir_error *err)
{
    weir_status status = weir__admin_partition_count(admin, name, actual, err);
    if (status != WEIR_OK)
        return status;
    if (*actual == 0 && !app->options.auto_create_topics)
        return weir_error_set(err, WEIR_TOPIC,
                              "%s topic %s does not exist on %s; create it with %d partitions, or "
                              "set auto_create_topics",
                              what, name, app->options.broker, (int)created);
    if (*actual == 0) {
        status = weir__admin_create_topic(admin, name, created, app->options.replication_factor,
                                          config, err);
        if (status != WEIR_OK)
            return status;
        *actual = created;
        weir_log(WEIR_LOG_INFO, "topic.create", "created %s topic %s with %d partitions", what,
                 name, (int)created);
    }
    if (expected != 0 && *actual != expected)
        return weir_error_set(err, WEIR_TOPIC,
                              "%s topic %s has %d partitions, expected %d; give it that many, or "
                              "use another name",
                              what, name, (int)*actual, (int)expected);
    return WEIR_OK;
}

static weir_status prepare_source(const weir_app *app, weir__admin *admin, weir__source *source,
                                  weir_error *err)
{
    weir__app_topic *topic = &source->topic;
    weir_status status = prepare_topic(app, admin, "source", topic->name, topic->partitions,
                                       topic->partitions ? topic->partitions : 1, topic->config,
                                       &topic->actual, err);
    for (size_t i = 0; i < source->sink_count && status == WEIR_OK; i++) {
        weir__app_topic *sink = &source->sinks[i];
        status = prepare_topic(app, admin, "output", sink->name, sink->partitions,
                               sink->partitions ? sink->partitions : topic->actual, sink->config,
                               &sink->actual, err);
    }
    for (size_t i = 0; i < source->store_count && status == WEIR_OK; i++) {
        int32_t actual;
        if (source->stores[i].changelog_topic)
            status = prepare_topic(app, admin, "changelog", source->stores[i].changelog_topic,
                                   topic->actual, topic->actual, changelog_config, &actual, err);
    }
    return status;
}

weir_status weir__topics_prepare(weir_app *app, weir_error *err)
{
    weir__admin *admin;
    weir_status status = weir__admin_new(&app->kafka, &admin, err);
    if (status != WEIR_OK)
        return status;
    status = weir__admin_connect(admin, app->options.connect_timeout_ms, &app->stop, err);
    for (size_t i = 0; i < app->source_count && status == WEIR_OK; i++)
        status = prepare_source(app, admin, app->sources[i], err);
    weir__admin_free(admin);
    return status;
}
