/*
 * Sources, stores and sinks of an application, as the dataflow declares them. Everything
 * is copied into the app's memory, and what two declarations say of one thing must agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "app/application.h"
#include "base/option.h"
#include "state/kind.h"

#define TOPIC_NAME_MAX 249 /* Kafka's bound */

void *weir__app_alloc(weir_app *app, size_t size)
{
    void *memory = weir__arena_alloc(&app->arena, size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

/* A longer array with one zeroed item at its end; the old one stays in the arena. */
static void *grow(weir_app *app, const void *items, size_t count, size_t item_size)
{
    void *longer = weir__app_alloc(app, (count + 1) * item_size);
    if (longer && count > 0)
        memcpy(longer, items, count * item_size);
    return longer;
}

static weir_status check_building(const weir_app *app, const char *what, weir_error *err)
{
    if (!app->started)
        return WEIR_OK;
    return weir_error_set(err, WEIR_INVALID,
                          "%s: the application runs already; build the "
                          "dataflow before weir_app_run",
                          what);
}

static weir_status check_topic_name(const char *name, weir_error *err)
{
    if (!name || !name[0])
        return weir_error_set(err, WEIR_INVALID, "a topic needs a name");
    size_t size = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (size > TOPIC_NAME_MAX)
        return weir_error_set(err, WEIR_TOO_LARGE,
                              "topic name \"%.40s…\" has %zu bytes; Kafka allows %d", name, size,
                              TOPIC_NAME_MAX);
    if (good != size || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return weir_error_set(err, WEIR_INVALID,
                              "topic name \"%s\": letters, digits, '.', '_' and '-' only", name);
    return WEIR_OK;
}

static weir_status copy_topic(weir_app *app, const weir_topic_config *config,
                              weir__app_topic *topic, weir_error *err)
{
    if (config->struct_size < sizeof(config->struct_size))
        return weir_error_set(err, WEIR_INVALID,
                              "the topic's configuration is not set: call weir_topic_config_init");
    weir_status status = check_topic_name(config->name, err);
    if (status != WEIR_OK)
        return status;
    if (config->partitions < 0)
        return weir_error_set(err, WEIR_INVALID,
                              "topic %s: partitions is %d; it goes from 0 (as it is) up",
                              config->name, (int)config->partitions);
    topic->name = weir__app_copy_string(app, config->name);
    topic->config = weir__app_copy_options(app, config->config);
    topic->partitions = config->partitions;
    if (!topic->name || !topic->config)
        return weir_error_set(err, WEIR_NO_MEMORY, "topic %s: out of memory", config->name);
    return WEIR_OK;
}

weir_status weir__app_add_source(weir_app *app, const weir_topic_config *topic,
                                 const weir__processor_ops *ops, void *topology,
                                 weir__source **source, weir_error *err)
{
    *source = NULL;
    weir_status status = check_building(app, "source", err);
    weir__source *added = weir__app_alloc(app, sizeof(*added));
    weir__source **sources = grow(app, app->sources, app->source_count, sizeof(*sources));
    if (status != WEIR_OK)
        return status;
    if (!added || !sources)
        return weir_error_set(err, WEIR_NO_MEMORY, "source: out of memory");
    status = copy_topic(app, topic, &added->topic, err);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < app->source_count; i++) {
        if (strcmp(app->sources[i]->topic.name, added->topic.name) == 0)
            return weir_error_set(err, WEIR_INVALID,
                                  "topic %s is a source already: give its stream to several "
                                  "operators instead",
                                  added->topic.name);
    }
    added->app = app;
    added->index = app->source_count;
    added->ops = ops;
    added->topology = topology;
    sources[app->source_count] = added;
    app->sources = sources;
    app->source_count++;
    *source = added;
    return WEIR_OK;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_options(const weir_option *a, const weir_option *b)
{
    size_t i = 0;
    if (!a || !b)
        return (!a || !a[0].key) && (!b || !b[0].key);
    for (; a[i].key && b[i].key; i++) {
        if (!same_text(a[i].key, b[i].key) || !same_text(a[i].value, b[i].value))
            return false;
    }
    return !a[i].key && !b[i].key;
}

static bool same_store(const weir_store_config *a, const weir_store_config *b)
{
    return same_text(a->backend, b->backend) && a->changelog == b->changelog &&
           same_options(a->backend_options, b->backend_options);
}

static weir_status copy_store(weir__source *source, const weir_store_config *config,
                              weir__app_store *store, weir_error *err)
{
    weir_app *app = source->app;
    weir__buffer name;
    store->config = *config;
    store->config.stream_id = source->topic.name;
    store->config.name = weir__app_copy_string(app, config->name);
    if (config->backend)
        store->config.backend = weir__app_copy_string(app, config->backend);
    if (config->backend_options)
        store->config.backend_options = weir__app_copy_options(app, config->backend_options);
    if (!store->config.name || (config->backend && !store->config.backend) ||
        (config->backend_options && !store->config.backend_options))
        return weir_error_set(err, WEIR_NO_MEMORY, "store %s: out of memory", config->name);
    if (!config->changelog)
        return WEIR_OK;
    weir__buffer_init(&name);
    weir_status status = weir__changelog_topic_name(&name, app->options.consumer_group,
                                                    source->topic.name, config->name, err);
    if (status == WEIR_OK) {
        store->changelog_topic = weir__app_copy_string(app, (const char *)name.data);
        if (!store->changelog_topic)
            status = weir_error_set(err, WEIR_NO_MEMORY, "store %s: out of memory", config->name);
    }
    weir__buffer_release(&name);
    return status;
}

static weir_status check_store(const weir_app *app, const weir_store_config *config,
                               weir__kind_options *kind, weir_error *err)
{
    *kind = (weir__kind_options){0};
    if (!config->name || !config->name[0])
        return weir_error_set(err, WEIR_INVALID, "a store needs a name");
    if (config->stream_id)
        return weir_error_set(err, WEIR_INVALID,
                              "store %s: stream_id is set by Weir to the topic of the source; "
                              "leave it NULL",
                              config->name);
    weir_status status = weir__kind_options_read(config, kind, err);
    if (status == WEIR_OK)
        status = weir__app_check_backend(app, config, err);
    return status;
}

weir_status weir__source_add_store(weir__source *source, const weir_store_config *config,
                                   size_t *store, weir_error *err)
{
    weir_app *app = source->app;
    weir_store_config wanted;
    weir__kind_options kind;
    weir_store_config_init(&wanted);
    *store = 0;
    if (config)
        memcpy(&wanted, config,
               config->struct_size < sizeof(wanted) ? config->struct_size : sizeof(wanted));
    wanted.struct_size = sizeof(wanted);
    wanted.changelog = wanted.changelog && app->options.use_changelog;
    weir_status status = check_building(app, "store", err);
    if (status == WEIR_OK)
        status = check_store(app, &wanted, &kind, err);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < source->store_count; i++) {
        if (strcmp(source->stores[i].config.name, wanted.name) != 0)
            continue;
        status = weir__kind_options_match(&source->stores[i].kind, &kind, wanted.name,
                                          source->topic.name, err);
        if (status != WEIR_OK)
            return status;
        if (!same_store(&source->stores[i].config, &wanted))
            return weir_error_set(err, WEIR_INVALID,
                                  "store %s of topic %s is defined already with another backend, "
                                  "other options, or another choice of changelog",
                                  wanted.name, source->topic.name);
        *store = i;
        return WEIR_OK;
    }
    weir__app_store *stores =
        grow(app, source->stores, source->store_count, sizeof(*source->stores));
    if (!stores)
        return weir_error_set(err, WEIR_NO_MEMORY, "store %s: out of memory", wanted.name);
    stores[source->store_count].kind = kind;
    status = copy_store(source, &wanted, &stores[source->store_count], err);
    if (status != WEIR_OK)
        return status;
    source->stores = stores;
    *store = source->store_count++;
    return WEIR_OK;
}

/* Two declarations of a topic, as sinks or as source and sink, must not contradict. */
static weir_status check_same_topic(const weir__app_topic *a, const weir__app_topic *b,
                                    weir_error *err)
{
    if (strcmp(a->name, b->name) != 0 ||
        (a->partitions == b->partitions && same_options(a->config, b->config)))
        return WEIR_OK;
    return weir_error_set(err, WEIR_INVALID,
                          "topic %s is defined twice: with %d partitions and with %d, or with "
                          "another configuration",
                          a->name, (int)a->partitions, (int)b->partitions);
}

weir_status weir__source_add_sink(weir__source *source, const weir_topic_config *topic,
                                  size_t *sink, weir_error *err)
{
    weir_app *app = source->app;
    *sink = 0;
    weir_status status = check_building(app, "to", err);
    if (status != WEIR_OK)
        return status;
    weir__app_topic *sinks = grow(app, source->sinks, source->sink_count, sizeof(*sinks));
    if (!sinks)
        return weir_error_set(err, WEIR_NO_MEMORY, "to: out of memory");
    weir__app_topic *added = &sinks[source->sink_count];
    status = copy_topic(app, topic, added, err);
    for (size_t s = 0; s < app->source_count && status == WEIR_OK; s++) {
        const weir__source *other = app->sources[s];
        status = check_same_topic(&other->topic, added, err);
        for (size_t i = 0; i < other->sink_count && status == WEIR_OK; i++)
            status = check_same_topic(&other->sinks[i], added, err);
    }
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < source->sink_count; i++) {
        if (strcmp(sinks[i].name, added->name) == 0) {
            *sink = i;
            return WEIR_OK;
        }
    }
    source->sinks = sinks;
    *sink = source->sink_count++;
    return WEIR_OK;
}
