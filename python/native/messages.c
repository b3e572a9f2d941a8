/*
 * Changelog messages of confluent_kafka, many at a time: taken apart here, and applied in large
 * batches without the interpreter lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "native.h"

/* Of one message; what is not there is NULL. `headers` keeps the others, except key and value. */
typedef struct message_parts {
    PyObject *headers;
    PyObject *cf;
    PyObject *processed;
    PyObject *stamp;
    PyObject *key;
    PyObject *value;
    long long offset;
} message_parts;

/* The header of processed offsets that was seen last, and what was decided about it: all
 * messages of a checkpoint have the same. */
typedef struct decision {
    PyObject *decide;
    PyObject *header;
    bool applies;
} decision;

static void release_parts(message_parts *parts)
{
    Py_CLEAR(parts->headers);
    Py_CLEAR(parts->key);
    Py_CLEAR(parts->value);
}

static void read_header(message_parts *parts, PyObject *header)
{
    if (!PyTuple_Check(header) || PyTuple_GET_SIZE(header) != 2)
        return;
    PyObject *name = PyTuple_GET_ITEM(header, 0);
    PyObject *value = PyTuple_GET_ITEM(header, 1);
    if (!PyUnicode_Check(name) || !PyBytes_Check(value))
        return;
    if (PyUnicode_CompareWithASCIIString(name, "__column_family__") == 0)
        parts->cf = value;
    else if (PyUnicode_CompareWithASCIIString(name, "__processed_tp_offsets__") == 0)
        parts->processed = value;
    else if (PyUnicode_CompareWithASCIIString(name, "__ttl_stamped__") == 0)
        parts->stamp = value;
}

static bool read_parts(PyObject *message, message_parts *parts)
{
    memset(parts, 0, sizeof(*parts));
    parts->headers = PyObject_CallMethod(message, "headers", NULL);
    parts->key = parts->headers ? PyObject_CallMethod(message, "key", NULL) : NULL;
    parts->value = parts->key ? PyObject_CallMethod(message, "value", NULL) : NULL;
    PyObject *offset = parts->value ? PyObject_CallMethod(message, "offset", NULL) : NULL;
    parts->offset = offset ? PyLong_AsLongLong(offset) : -1;
    Py_XDECREF(offset);
    if (PyErr_Occurred())
        return false;
    Py_ssize_t count = PyList_Check(parts->headers) ? PyList_GET_SIZE(parts->headers) : 0;
    for (Py_ssize_t i = 0; i < count; i++)
        read_header(parts, PyList_GET_ITEM(parts->headers, i));
    return true;
}

/* What Quix Streams' own code has to say something about. */
static bool is_malformed(const message_parts *parts)
{
    return !parts->cf || PyBytes_GET_SIZE(parts->cf) == 0 || !PyBytes_Check(parts->key) ||
           parts->offset < 0 || (parts->value != Py_None && !PyBytes_Check(parts->value));
}

static bool is_same(PyObject *a, PyObject *b)
{
    return a && b && PyBytes_GET_SIZE(a) == PyBytes_GET_SIZE(b) &&
           memcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b), (size_t)PyBytes_GET_SIZE(a)) == 0;
}

static bool decide(decision *last, PyObject *header)
{
    if (!header) {
        last->applies = true;
        Py_CLEAR(last->header);
        return true;
    }
    if (is_same(last->header, header))
        return true;
    PyObject *answer = PyObject_CallFunctionObjArgs(last->decide, header, NULL);
    int applies = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (applies < 0)
        return false;
    last->applies = applies > 0;
    Py_INCREF(header);
    Py_XSETREF(last->header, header);
    return true;
}

static bool push_parts(PartitionObject *self, const message_parts *parts, bool applies)
{
    if (!guard_enter(self))
        return false;
    bool is_done = partition_check_changelog(self);
    if (is_done && !applies) {
        if (parts->offset > self->pushed_offset)
            self->pushed_offset = parts->offset;
    } else if (is_done) {
        weir_changelog_record record = {
            .cf = PyBytes_AS_STRING(parts->cf),
            .key = {PyBytes_AS_STRING(parts->key), (size_t)PyBytes_GET_SIZE(parts->key)},
            .is_tombstone = parts->value == Py_None,
            .offset = parts->offset,
            .ttl_stamped = parts->stamp && PyBytes_GET_SIZE(parts->stamp) > 0,
        };
        if (!record.is_tombstone)
            record.value = weir_slice_of(PyBytes_AS_STRING(parts->value),
                                         (size_t)PyBytes_GET_SIZE(parts->value));
        is_done = partition_push_record(self, &record);
    }
    guard_leave(self);
    return is_done;
}

PyObject *partition_push_messages(PartitionObject *self, PyObject *args)
{
    PyObject *messages;
    decision last = {NULL, NULL, false};
    if (!PyArg_ParseTuple(args, "O!O:push_messages", &PyList_Type, &messages, &last.decide))
        return NULL;
    Py_ssize_t taken = 0;
    Py_ssize_t skipped = 0;
    bool is_good = true;
    for (; is_good && taken < PyList_GET_SIZE(messages); taken++) {
        PyObject *message = PyList_GET_ITEM(messages, taken);
        Py_INCREF(message);
        message_parts parts;
        is_good = read_parts(message, &parts);
        bool is_strange = is_good && is_malformed(&parts);
        if (is_good && !is_strange)
            is_good = decide(&last, parts.processed) && push_parts(self, &parts, last.applies);
        if (is_good && !is_strange && !last.applies)
            skipped++;
        release_parts(&parts);
        Py_DECREF(message);
        if (is_strange)
            break;
    }
    Py_XDECREF(last.header);
    return is_good ? Py_BuildValue("nn", taken, skipped) : NULL;
}
