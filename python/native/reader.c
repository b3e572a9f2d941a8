/*
 * ChangelogReader: a Kafka client of Weir's own, and the recovery of a partition that reads with
 * it. Messages go from the client into the database in bulk, without the interpreter lock, and are
 * never Python objects.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "native.h"

#define PROPERTIES_MAX 128

typedef struct ReaderObject {
    PyObject_HEAD weir_kafka_reader *reader;
    unsigned long fork_count;
    bool in_use;
} ReaderObject;

static PyTypeObject *reader_type;

/* --- The client --- */

static PyObject *reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"broker", "group", "properties", NULL};
    const char *broker;
    const char *group;
    PyObject *given;
    weir_option properties[PROPERTIES_MAX + 1];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ssO!:ChangelogReader", names, &broker, &group,
                                     &PyDict_Type, &given) ||
        !args_options(given, properties, PROPERTIES_MAX))
        return NULL;
    ReaderObject *self = (ReaderObject *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->fork_count = fork_count;
    weir_error err;
    weir_error_init(&err);
    weir_status status;
    Py_BEGIN_ALLOW_THREADS status =
        weir_kafka_reader_new(broker, group, properties, &self->reader, &err);
    Py_END_ALLOW_THREADS if (status == WEIR_OK) return (PyObject *)self;
    Py_DECREF(self);
    return raise_status(status, &err);
}

static void reader_dealloc(ReaderObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    weir_kafka_reader *reader = self->fork_count == fork_count ? self->reader : NULL;
    Py_BEGIN_ALLOW_THREADS weir_kafka_reader_free(reader);
    Py_END_ALLOW_THREADS type->tp_free(self);
    Py_DECREF(type);
}

/* A client is used by one thread at a time, as a partition is. */
static bool reader_enter(ReaderObject *self)
{
    if (self->fork_count != fork_count)
        raise_text(WEIR_INVALID, "the reader of changelogs was opened before this process was "
                                 "forked, and belongs to the parent; open one after the fork");
    else if (self->in_use)
        raise_text(WEIR_BUSY, "the reader of changelogs is in use by another thread");
    else
        self->in_use = true;
    return !PyErr_Occurred();
}

/* --- Recovery with it --- */

typedef struct range_request {
    ReaderObject *reader;
    const char *topic;
    int partition;
    long long low;
    long long high;
    PyObject *committed;
    weir_topic_offset start[TOPICS_MAX];
    size_t start_count;
} range_request;

static bool read_range(PyObject *args, range_request *request)
{
    PyObject *reader;
    if (!PyArg_ParseTuple(args, "O!siLLO:recover_begin", reader_type, &reader, &request->topic,
                          &request->partition, &request->low, &request->high,
                          &request->committed) ||
        !args_offsets(request->committed, request->start, &request->start_count))
        return false;
    request->reader = (ReaderObject *)reader;
    /* Without a committed offset all changes of the topic are skipped. */
    for (size_t i = 0; i < request->start_count; i++)
        if (request->start[i].offset < 0)
            request->start[i].offset = 0;
    return true;
}

/* Within both guards. */
static weir_status begin(PartitionObject *self, const range_request *request, bool *needed,
                         weir_error *err)
{
    weir_changelog *source;
    weir_status status = weir_kafka_reader_open(request->reader->reader, request->topic,
                                                request->partition, &source, err);
    if (status != WEIR_OK)
        return status;
    bridge_set_source(self->bridge, source);
    bridge_set_range(self->bridge, request->low, request->high);
    return weir_partition_recovery_begin(self->partition, request->start, request->start_count,
                                         needed, err);
}

void partition_stop_reading(PartitionObject *self)
{
    if (!self->reader)
        return;
    weir_changelog *source = bridge_source(self->bridge);
    bridge_set_source(self->bridge, NULL);
    if (source)
        source->ops->close(source);
    /* A recovery that is not done would keep transactions out: one over nothing ends it. */
    int64_t next = weir_partition_changelog_offset(self->partition) + 1;
    bool needed;
    bridge_set_range(self->bridge, next, next);
    (void)weir_partition_recovery_begin(self->partition, NULL, 0, &needed, NULL);
    Py_CLEAR(self->reader);
}

PyObject *partition_recover_begin(PartitionObject *self, PyObject *args)
{
    range_request request;
    if (!read_range(args, &request) || !guard_enter(self))
        return NULL;
    bool needed = false;
    bool is_begun = false;
    if (partition_check_changelog(self) && partition_apply(self) && reader_enter(request.reader)) {
        Py_INCREF(request.reader);
        self->reader = (PyObject *)request.reader;
        weir_error err;
        weir_error_init(&err);
        weir_status status;
        Py_BEGIN_ALLOW_THREADS status = begin(self, &request, &needed, &err);
        Py_END_ALLOW_THREADS is_begun = status == WEIR_OK;
        if (!is_begun)
            raise_status(status, &err);
        if (!needed)
            partition_stop_reading(self);
        request.reader->in_use = false;
    }
    guard_leave(self);
    return is_begun ? PyBool_FromLong(needed) : NULL;
}

PyObject *partition_recover_step(PartitionObject *self, PyObject *argument)
{
    long budget_ms = PyLong_AsLong(argument);
    if ((budget_ms == -1 && PyErr_Occurred()) || !guard_enter(self))
        return NULL;
    ReaderObject *reader = (ReaderObject *)self->reader;
    weir_recovery_progress progress = {.position = 0};
    bool is_good = false;
    bool is_done = false;
    if (!reader) {
        raise_text(WEIR_INVALID, "no recovery with a reader has begun");
    } else if (reader_enter(reader)) {
        Py_INCREF(reader);
        weir_error err;
        weir_error_init(&err);
        weir_status status;
        Py_BEGIN_ALLOW_THREADS status = weir_partition_recovery_step(
            self->partition, (int)budget_ms, 0, &is_done, &progress, &err);
        Py_END_ALLOW_THREADS is_good = status == WEIR_OK;
        if (!is_good)
            raise_status(status, &err);
        if (!is_good || is_done)
            partition_stop_reading(self);
        reader->in_use = false;
        Py_DECREF(reader);
    }
    guard_leave(self);
    if (!is_good)
        return NULL;
    return Py_BuildValue("LLN", (long long)progress.position, (long long)progress.skipped,
                         PyBool_FromLong(is_done));
}

PyObject *partition_recover_end(PartitionObject *self, PyObject *unused)
{
    (void)unused;
    if (!guard_enter(self))
        return NULL;
    partition_stop_reading(self);
    guard_leave(self);
    Py_RETURN_NONE;
}

/* --- The type --- */

static PyType_Slot slots[] = {
    {Py_tp_doc, "ChangelogReader(broker, group, properties): reads changelogs for recoveries."},
    {Py_tp_new, reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {0, NULL},
};

static PyType_Spec type_spec = {
    .name = "weirstreams._native.ChangelogReader",
    .basicsize = sizeof(ReaderObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

bool reader_init_type(PyObject *module)
{
    reader_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    return reader_type && PyModule_AddType(module, reader_type) == 0;
}
