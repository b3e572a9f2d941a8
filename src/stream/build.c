/*
 * Building a topology: the functions of weir/stream.h that add an operator, and the
 * checks that can be made before the first record.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/topology.h"

static const char *const operator_names[] = {
    [WEIR__SOURCE] = "source", [WEIR__FILTER] = "filter",
    [WEIR__MAP] = "map",       [WEIR__MAP_VALUE] = "map_value",
    [WEIR__APPLY] = "apply",   [WEIR__APPLY_STATEFUL] = "apply_stateful",
    [WEIR__TO] = "to",
};

const char *weir__operator_name(weir__operator kind)
{
    return operator_names[kind];
}

/* A new operator below `stream`, not linked yet, so that a later failure leaves no trace. */
static weir_stream *new_node(weir_stream *stream, weir__operator kind, bool has_callback,
                             weir_error *err)
{
    if (!stream) {
        /* Calls in a row often share one weir_error: the first message is the useful one. */
        if (err && err->status == WEIR_OK)
            weir_error_set(err, WEIR_INVALID, "%s: the stream is NULL", operator_names[kind]);
        return NULL;
    }
    if (!has_callback) {
        weir_error_set(err, WEIR_INVALID, "%s: the callback is NULL", operator_names[kind]);
        return NULL;
    }
    weir_stream *node = weir__app_alloc(stream->topology->app, sizeof(*node));
    if (!node) {
        weir_error_set(err, WEIR_NO_MEMORY, "%s: out of memory", operator_names[kind]);
        return NULL;
    }
    node->topology = stream->topology;
    node->kind = kind;
    node->parent = stream;
    node->key_changed = stream->key_changed || kind == WEIR__MAP;
    return node;
}

static weir_stream *link_node(weir_stream *node)
{
    weir_stream *parent = node->parent;
    if (parent->last_child)
        parent->last_child->next_sibling = node;
    else
        parent->first_child = node;
    parent->last_child = node;
    return node;
}

weir_stream *weir_stream_source(weir_app *app, const weir_topic_config *topic, weir_error *err)
{
    if (!app || !topic) {
        /* After a failed weir_app_new its message is the useful one. */
        if (err && err->status == WEIR_OK)
            weir_error_set(err, WEIR_INVALID, "source: the %s is NULL", app ? "topic" : "app");
        return NULL;
    }
    weir__topology *topology = weir__app_alloc(app, sizeof(*topology));
    if (!topology) {
        weir_error_set(err, WEIR_NO_MEMORY, "source: out of memory");
        return NULL;
    }
    topology->app = app;
    topology->root.topology = topology;
    topology->root.kind = WEIR__SOURCE;
    if (weir__app_add_source(app, topic, &weir__topology_ops, topology, &topology->source, err))
        return NULL;
    return &topology->root;
}

weir_stream *weir_stream_filter(weir_stream *stream, weir_filter_fn filter, void *arg,
                                weir_error *err)
{
    weir_stream *node = new_node(stream, WEIR__FILTER, filter != NULL, err);
    if (!node)
        return NULL;
    node->fn.filter = filter;
    node->arg = arg;
    return link_node(node);
}

static weir_stream *add_map(weir_stream *stream, weir__operator kind, weir_map_fn map, void *arg,
                            weir_error *err)
{
    weir_stream *node = new_node(stream, kind, map != NULL, err);
    if (!node)
        return NULL;
    node->fn.map = map;
    node->arg = arg;
    return link_node(node);
}

weir_stream *weir_stream_map(weir_stream *stream, weir_map_fn map, void *arg, weir_error *err)
{
    return add_map(stream, WEIR__MAP, map, arg, err);
}

weir_stream *weir_stream_map_value(weir_stream *stream, weir_map_fn map, void *arg, weir_error *err)
{
    return add_map(stream, WEIR__MAP_VALUE, map, arg, err);
}

weir_stream *weir_stream_apply(weir_stream *stream, weir_apply_fn apply, void *arg, weir_error *err)
{
    weir_stream *node = new_node(stream, WEIR__APPLY, apply != NULL, err);
    if (!node)
        return NULL;
    node->fn.apply = apply;
    node->arg = arg;
    return link_node(node);
}

weir_stream *weir_stream_apply_stateful(weir_stream *stream, const weir_store_config *store,
                                        weir_apply_stateful_fn apply, void *arg, weir_error *err)
{
    weir_stream *node = new_node(stream, WEIR__APPLY_STATEFUL, apply != NULL, err);
    if (!node)
        return NULL;
    if (node->key_changed) {
        weir_error_set(err, WEIR_INVALID,
                       "apply_stateful: state behind a map that may change the key is refused, "
                       "because the partitions would no longer fit the keys; use "
                       "weir_stream_map_value, or send the records through a topic");
        return NULL;
    }
    if (weir__source_add_store(stream->topology->source, store, &node->store, err))
        return NULL;
    node->fn.apply_stateful = apply;
    node->arg = arg;
    for (weir_stream *above = stream; above; above = above->parent)
        above->state_below = true;
    return link_node(node);
}

weir_stream *weir_stream_to(weir_stream *stream, const weir_topic_config *topic, weir_error *err)
{
    weir_stream *node = new_node(stream, WEIR__TO, true, err);
    if (!node)
        return NULL;
    if (!topic) {
        weir_error_set(err, WEIR_INVALID, "to: the topic is NULL");
        return NULL;
    }
    if (weir__source_add_sink(stream->topology->source, topic, &node->sink, err))
        return NULL;
    return link_node(node);
}

void weir_topic_config_init(weir_topic_config *config)
{
    *config = (weir_topic_config){.struct_size = sizeof(*config)};
}
