/*
 * Running a topology: one context for each task pushes records down the tree of
 * operators. Allocates nothing once the arena is warm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "stream/topology.h"

/* Chunks of scratch memory that a task keeps from record to record. */
#define ARENA_KEEP_BYTES (256u * 1024u)

/* Remembers the first failure of the record at hand, with the operator it came from. */
static weir_status fail(weir_context *context, const weir_stream *node, weir_status status)
{
    if (context->failed != WEIR_OK)
        return context->failed;
    if (status > 0)
        status = WEIR_CALLBACK; /* not one of Weir's codes */
    const char *text = context->error.status != WEIR_OK && context->error.message[0]
                           ? context->error.message
                           : weir_status_text(status);
    context->failed = status;
    return weir_error_set(&context->failure, status, "%s: %s", weir__operator_name(node->kind),
                          text);
}

static bool same_bytes(weir_slice a, weir_slice b)
{
    return a.size == b.size &&
           (a.data == b.data || a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_key(const weir_record *a, const weir_record *b)
{
    return a->has_key == b->has_key && (!a->has_key || same_bytes(a->key, b->key));
}

static weir_status run(weir_context *context, const weir_stream *node, const weir_record *record);

static weir_status run_children(weir_context *context, const weir_stream *node,
                                const weir_record *record)
{
    weir_status status = WEIR_OK;
    for (const weir_stream *child = node->first_child; child && status == WEIR_OK;
         child = child->next_sibling)
        status = run(context, child, record);
    return status;
}

static weir_status run_filter(weir_context *context, const weir_stream *node,
                              const weir_record *record)
{
    bool keep = false;
    weir_status status = node->fn.filter(record, &keep, node->arg, &context->error);
    if (status != WEIR_OK)
        return fail(context, node, status);
    return keep ? run_children(context, node, record) : WEIR_OK;
}

static weir_status run_map(weir_context *context, const weir_stream *node,
                           const weir_record *record)
{
    weir_record changed = *record;
    weir_status status = node->fn.map(context, &changed, node->arg, &context->error);
    if (status != WEIR_OK)
        return fail(context, node, status);
    changed.topic = record->topic;
    changed.partition = record->partition;
    changed.offset = record->offset;
    if (node->kind == WEIR__MAP_VALUE && !same_key(&changed, record)) {
        weir_error_set(&context->error, WEIR_INVALID,
                       "the callback changed the key; weir_stream_map may do that");
        return fail(context, node, WEIR_INVALID);
    }
    return run_children(context, node, &changed);
}

static weir_status run_apply_stateful(weir_context *context, const weir_stream *node,
                                      const weir_record *record)
{
    weir_state *state;
    if (!record->has_key) {
        weir_error_set(&context->error, WEIR_INVALID, "the record has no key");
        return fail(context, node, WEIR_INVALID);
    }
    if (!same_key(record, context->source)) {
        weir_error_set(&context->error, WEIR_INVALID,
                       "the key was changed upstream: state of another key may live in another "
                       "partition");
        return fail(context, node, WEIR_INVALID);
    }
    if (record->key.size > WEIR_KEY_MAX_SIZE) {
        weir_error_set(&context->error, WEIR_TOO_LARGE,
                       "the record's key has %zu bytes, a state key at most %u", record->key.size,
                       WEIR_KEY_MAX_SIZE);
        return fail(context, node, WEIR_TOO_LARGE);
    }
    weir_status status = context->host->ops->state(context->host, node->store, record->key,
                                                   record->timestamp, &state, &context->error);
    if (status == WEIR_OK)
        status = node->fn.apply_stateful(context, state, record, node->arg, &context->error);
    return status == WEIR_OK ? WEIR_OK : fail(context, node, status);
}

static weir_status run_operator(weir_context *context, const weir_stream *node,
                                const weir_record *record)
{
    weir_status status;
    switch (node->kind) {
    case WEIR__FILTER:
        return run_filter(context, node, record);
    case WEIR__MAP:
    case WEIR__MAP_VALUE:
        return run_map(context, node, record);
    case WEIR__APPLY:
        status = node->fn.apply(context, record, node->arg, &context->error);
        return status == WEIR_OK ? WEIR_OK : fail(context, node, status);
    case WEIR__APPLY_STATEFUL:
        return run_apply_stateful(context, node, record);
    case WEIR__TO:
        status = context->host->ops->produce(context->host, node->sink, record, &context->error);
        if (status != WEIR_OK)
            return fail(context, node, status);
        return run_children(context, node, record);
    case WEIR__SOURCE:
        break;
    }
    return run_children(context, node, record);
}

static weir_status run(weir_context *context, const weir_stream *node, const weir_record *record)
{
    const weir_stream *caller = context->node;
    context->node = node;
    context->error.status = WEIR_OK;
    weir_status status = run_operator(context, node, record);
    context->node = caller;
    /* A callback may have gone on after a failed weir_forward. */
    return context->failed != WEIR_OK ? context->failed : status;
}

/* Bytes that a callback read from state are borrowed until the next call on it, and an
 * operator below may make that call before a sibling sees the record. */
static bool copy_bytes(weir_context *context, weir_record *record)
{
    if (record->key.size > 0)
        record->key.data = weir__arena_copy(&context->arena, record->key.data, record->key.size);
    if (record->value.size > 0)
        record->value.data =
            weir__arena_copy(&context->arena, record->value.data, record->value.size);
    return (record->key.size == 0 || record->key.data) &&
           (record->value.size == 0 || record->value.data);
}

weir_status weir_forward(weir_context *context, const weir_record *record, weir_error *err)
{
    const weir_stream *node = context->node;
    weir_record copy = *record;
    copy.topic = context->source->topic;
    copy.partition = context->source->partition;
    copy.offset = context->source->offset;

    weir_status status = context->failed;
    if (status == WEIR_OK && node->kind != WEIR__APPLY && node->kind != WEIR__APPLY_STATEFUL) {
        weir_error_set(&context->error, WEIR_INVALID,
                       "weir_forward is for the callbacks of apply and apply_stateful");
        status = fail(context, node, WEIR_INVALID);
    }
    if (status == WEIR_OK && node->kind == WEIR__APPLY_STATEFUL && node->state_below &&
        !copy_bytes(context, &copy)) {
        weir_error_set(&context->error, WEIR_NO_MEMORY, "out of memory");
        status = fail(context, node, WEIR_NO_MEMORY);
    }
    if (status == WEIR_OK)
        status = run_children(context, node, &copy);
    if (status != WEIR_OK)
        weir_error_set(err, status, "%s", context->failure.message);
    return status;
}

void *weir_context_alloc(weir_context *context, size_t size)
{
    return weir__arena_alloc(&context->arena, size);
}

static weir_status open_context(void *topology, weir__task_host *host, void **processor,
                                weir_error *err)
{
    weir_context *context = calloc(1, sizeof(*context));
    *processor = context;
    if (!context)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a task");
    context->host = host;
    context->node = &((weir__topology *)topology)->root;
    weir__arena_init(&context->arena);
    return WEIR_OK;
}

static weir_status process(void *processor, const weir_record *record, weir_error *err)
{
    weir_context *context = processor;
    context->source = record;
    context->failed = WEIR_OK;
    weir_status status = run_children(context, context->node, record);
    weir__arena_reset(&context->arena, ARENA_KEEP_BYTES);
    context->source = NULL;
    if (status != WEIR_OK)
        weir_error_set(err, status, "%s", context->failure.message);
    return status;
}

static void close_context(void *processor)
{
    weir_context *context = processor;
    if (!context)
        return;
    weir__arena_release(&context->arena);
    free(context);
}

const weir__processor_ops weir__topology_ops = {
    .open = open_context,
    .process = process,
    .close = close_context,
};
