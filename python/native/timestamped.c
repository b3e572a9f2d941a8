/*
 * TimestampedTransaction: values by event time. A prefix is any object here, as in Quix Streams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

#include <weir/timestamped.h>

PyTypeObject *timestamped_transaction_type;

/* Enters the guard with the view of a prefix. NULL: an exception is set. */
static weir_state *enter(TransactionObject *self, PyObject *prefix)
{
    encoded key;
    if (!self->owner) {
        raise_text(WEIR_TXN_FAILED, "the transaction was not begun");
        return NULL;
    }
    if (!codec_key(&self->codec, prefix, &key))
        return NULL;
    weir_state *state = NULL;
    if (transaction_enter(self)) {
        state = weir_txn_state(self->handle.txn, key.slice);
        if (!state) {
            transaction_leave(self);
            PyErr_NoMemory();
        }
    }
    encoded_release(&key);
    return state;
}

static PyObject *set_for_timestamp(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    static arg_spec spec = {"set_for_timestamp", 3, 3, {"timestamp", "value", "prefix"}, {NULL}};
    PyObject *given[3];
    int64_t timestamp;
    encoded value;
    if (!args_take(&spec, args, nargs, kwnames, given) || !args_ms(given[0], &timestamp))
        return NULL;
    if (!codec_dumps(&self->codec, given[1], &value))
        return transaction_fail(self);
    weir_error err = {.status = WEIR_OK};
    weir_status status = WEIR_OK;
    weir_state *state = enter(self, given[2]);
    if (state) {
        status = weir_timestamped_set(state, timestamp, value.slice, &err);
        transaction_leave(self);
    }
    encoded_release(&value);
    if (!state)
        return transaction_fail(self);
    if (status != WEIR_OK)
        return raise_status(status, &err);
    Py_RETURN_NONE;
}

static PyObject *get_latest(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static arg_spec spec = {"get_latest", 2, 2, {"timestamp", "prefix"}, {NULL}};
    PyObject *given[2];
    int64_t timestamp;
    if (!args_take(&spec, args, nargs, kwnames, given) || !args_ms(given[0], &timestamp))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_slice value = {NULL, 0};
    weir_state *state = enter(self, given[1]);
    if (!state)
        return NULL;
    weir_status status = weir_timestamped_get_latest(state, timestamp, NULL, &value, &err);
    bool is_value = true;
    PyObject *found = status == WEIR_OK ? codec_load_begin(&self->codec, value, &is_value) : NULL;
    transaction_leave(self);
    if (status == WEIR_NOT_FOUND)
        Py_RETURN_NONE;
    if (status != WEIR_OK)
        return raise_status(status, &err);
    return found && !is_value ? codec_load_end(&self->codec, found) : found;
}

/* Within the guard; closes the interval. A list of bytes. */
static PyObject *gather(weir_interval *interval)
{
    PyObject *values = PyList_New(0);
    weir_error err = {.status = WEIR_OK};
    weir_status status = WEIR_OK;
    weir_slice value;
    while (values && (status = weir_interval_next(interval, NULL, &value, &err)) == WEIR_OK) {
        PyObject *bytes = PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.size);
        if (!bytes || PyList_Append(values, bytes) != 0)
            Py_CLEAR(values);
        Py_XDECREF(bytes);
    }
    weir_interval_close(interval);
    if (values && status != WEIR_NOT_FOUND) {
        Py_CLEAR(values);
        raise_status(status, &err);
    }
    return values;
}

/* 0 and below: none, as a slice of a list has it. */
static bool read_limit(PyObject *given, size_t *limit)
{
    *limit = WEIR_INTERVAL_ALL;
    if (!given || given == Py_None)
        return true;
    Py_ssize_t value = PyLong_AsSsize_t(given);
    if (value == -1 && PyErr_Occurred())
        return false;
    *limit = value > 0 ? (size_t)value : 0;
    return true;
}

static PyObject *get_interval(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    static arg_spec spec = {"get_interval", 3, 4, {"start", "end", "prefix", "limit"}, {NULL}};
    PyObject *given[4];
    int64_t start;
    int64_t end;
    size_t limit;
    if (!args_take(&spec, args, nargs, kwnames, given) || !args_ms(given[0], &start) ||
        !args_ms(given[1], &end) || !read_limit(given[3], &limit))
        return NULL;
    if (limit == 0)
        return PyList_New(0);
    weir_error err = {.status = WEIR_OK};
    weir_interval *interval = NULL;
    weir_state *state = enter(self, given[2]);
    if (!state)
        return NULL;
    weir_status status = weir_timestamped_get_interval(state, start, end, limit, &interval, &err);
    PyObject *values = status == WEIR_OK ? gather(interval) : raise_status(status, &err);
    transaction_leave(self);
    Py_ssize_t count = values ? PyList_GET_SIZE(values) : 0;
    for (Py_ssize_t i = 0; values && i < count; i++) {
        PyObject *bytes = PyList_GET_ITEM(values, i);
        Py_INCREF(bytes);
        PyObject *value = codec_loads(&self->codec, bytes);
        if (!value || PyList_SetItem(values, i, value) != 0)
            Py_CLEAR(values);
    }
    return values;
}

static PyObject *delete_interval(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    static arg_spec spec = {"delete_interval", 3, 3, {"start", "end", "prefix"}, {NULL}};
    PyObject *given[3];
    int64_t start;
    int64_t end;
    if (!args_take(&spec, args, nargs, kwnames, given) || !args_ms(given[0], &start) ||
        !args_ms(given[1], &end))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    size_t deleted = 0;
    weir_state *state = enter(self, given[2]);
    if (!state)
        return NULL;
    weir_status status = weir_timestamped_delete_interval(state, start, end, &deleted, &err);
    transaction_leave(self);
    return status == WEIR_OK ? PyLong_FromSize_t(deleted) : raise_status(status, &err);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"set_for_timestamp", FAST(set_for_timestamp), "set_for_timestamp(timestamp, value, prefix)"},
    {"get_latest", FAST(get_latest), "get_latest(timestamp, prefix): the value as of then"},
    {"get_interval", FAST(get_interval), "get_interval(start, end, prefix, limit=None)"},
    {"delete_interval", FAST(delete_interval), "delete_interval(start, end, prefix): how many"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A transaction of a timestamped store."},
    {Py_tp_methods, methods},
    {0, NULL},
};

bool timestamped_init_type(PyObject *module)
{
    timestamped_transaction_type =
        type_derive(module, transaction_type, "weirstreams._native.TimestampedTransaction",
                    sizeof(TransactionObject), slots);
    return timestamped_transaction_type != NULL;
}
