/*
 * A topology: the tree of operators behind one source topic, as it is built, and the
 * context in which a task runs it. Records are pushed: an operator calls its children.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STREAM_TOPOLOGY_H
#define WEIR_STREAM_TOPOLOGY_H

#include <weir/stream.h>

#include "app/processor.h"
#include "base/arena.h"

typedef struct weir__topology weir__topology;

typedef enum weir__operator {
    WEIR__SOURCE = 0,
    WEIR__FILTER,
    WEIR__MAP,
    WEIR__MAP_VALUE,
    WEIR__APPLY,
    WEIR__APPLY_STATEFUL,
    WEIR__TO
} weir__operator;

/* A node of the tree. Fixed once the application runs; shared by all tasks. */
struct weir_stream {
    weir__topology *topology;
    weir__operator kind;
    weir_stream *parent;
    weir_stream *first_child;
    weir_stream *last_child;
    weir_stream *next_sibling;
    bool key_changed; /* a map above or here may have changed the key */
    bool state_below; /* some operator below uses state */
    union {
        weir_filter_fn filter;
        weir_map_fn map;
        weir_apply_fn apply;
        weir_apply_stateful_fn apply_stateful;
    } fn;
    void *arg;
    size_t store; /* APPLY_STATEFUL */
    size_t sink;  /* TO */
};

struct weir__topology {
    weir_app *app;
    weir__source *source;
    weir_stream root;
};

/* The processor of a task: where the record at hand is in the tree. */
struct weir_context {
    weir__task_host *host;
    const weir_stream *node;   /* the operator whose callback runs now */
    const weir_record *source; /* the record that the task was given */
    weir__arena arena;         /* taken back after each source record */
    /* The first failure behind the record at hand. It stays, also when a callback
     * overlooks what weir_forward returned: the record has failed. */
    weir_status failed;
    weir_error failure;
    weir_error error; /* handed to callbacks */
};

/* "map", "filter", …, as in the names of the public functions. Static. */
const char *weir__operator_name(weir__operator kind);

/* Runs a weir__topology. */
extern const weir__processor_ops weir__topology_ops;

#endif
