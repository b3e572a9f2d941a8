/*
 * State: a transaction seen from one record key. This is what an application's functions receive,
 * so its calls are the ones that count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

PyTypeObject *state_type;

PyObject *state_make(PyObject *class_, TransactionObject *transaction, PyObject *prefix,
                     PyObject *timestamp)
{
    PyObject *bytes = prefix;
    if (!prefix) {
        bytes = PyBytes_FromStringAndSize(NULL, 0);
    } else if (PyBytes_Check(prefix)) {
        Py_INCREF(prefix);
    } else {
        encoded key;
        if (!codec_key(&transaction->codec, prefix, &key))
            return NULL;
        bytes = PyBytes_FromStringAndSize(key.slice.data, (Py_ssize_t)key.slice.size);
        encoded_release(&key);
    }
    PyTypeObject *type = (PyTypeObject *)class_;
    StateObject *self = bytes ? (StateObject *)type->tp_alloc(type, 0) : NULL;
    if (!self) {
        Py_XDECREF(bytes);
        return NULL;
    }
    Py_INCREF(transaction);
    self->transaction = transaction;
    self->prefix = bytes;
    self->timestamp = timestamp ? timestamp : Py_None;
    Py_INCREF(self->timestamp);
    return (PyObject *)self;
}

static PyObject *state_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"transaction", "prefix", "timestamp", NULL};
    PyObject *transaction;
    PyObject *prefix = NULL;
    PyObject *timestamp = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|OO:State", names, transaction_type,
                                     &transaction, &prefix, &timestamp))
        return NULL;
    if (!((TransactionObject *)transaction)->owner)
        return raise_text(WEIR_TXN_FAILED, "the transaction was not begun");
    return state_make((PyObject *)type, (TransactionObject *)transaction, prefix, timestamp);
}

static int state_traverse(StateObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->transaction);
    return 0;
}

static void state_dealloc(StateObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->transaction);
    Py_XDECREF(self->prefix);
    Py_XDECREF(self->timestamp);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_as(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames, bool as_bytes)
{
    static arg_spec spec = {"get", 1, 2, {"key", "default"}, {NULL}};
    PyObject *given[2];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    return transaction_get(self->transaction, state_prefix(self), given[0], given[1], NULL,
                           self->timestamp, as_bytes);
}

static PyObject *state_get(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    return get_as(self, args, nargs, kwnames, false);
}

static PyObject *state_get_bytes(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    return get_as(self, args, nargs, kwnames, true);
}

static PyObject *set_as(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames, bool as_bytes)
{
    static arg_spec spec = {"set", 2, 3, {"key", "value", "ttl"}, {NULL}};
    PyObject *given[3];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    return transaction_set(self->transaction, state_prefix(self), given[0], given[1], NULL,
                           self->timestamp, given[2], as_bytes);
}

static PyObject *state_set(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    return set_as(self, args, nargs, kwnames, false);
}

static PyObject *state_set_bytes(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    return set_as(self, args, nargs, kwnames, true);
}

static PyObject *state_delete(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    static arg_spec spec = {"delete", 1, 1, {"key"}, {NULL}};
    PyObject *given[1];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    return transaction_delete(self->transaction, state_prefix(self), given[0], NULL);
}

static PyObject *state_exists(StateObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    static arg_spec spec = {"exists", 1, 1, {"key"}, {NULL}};
    PyObject *given[1];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    return transaction_exists(self->transaction, state_prefix(self), given[0], NULL,
                              self->timestamp);
}

static PyObject *get_transaction(StateObject *self, void *unused)
{
    (void)unused;
    Py_INCREF(self->transaction);
    return (PyObject *)self->transaction;
}

static PyObject *get_prefix(StateObject *self, void *unused)
{
    (void)unused;
    Py_INCREF(self->prefix);
    return self->prefix;
}

static PyObject *get_timestamp(StateObject *self, void *unused)
{
    (void)unused;
    Py_INCREF(self->timestamp);
    return self->timestamp;
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"get", FAST(state_get), "get(key, default=None)"},
    {"get_bytes", FAST(state_get_bytes), "get_bytes(key, default=None)"},
    {"set", FAST(state_set), "set(key, value, ttl=None)"},
    {"set_bytes", FAST(state_set_bytes), "set_bytes(key, value, ttl=None)"},
    {"delete", FAST(state_delete), "delete(key)"},
    {"exists", FAST(state_exists), "exists(key)"},
    {NULL, NULL, 0, NULL},
};

/* Under the names that Quix Streams' TransactionState gives them. */
static PyGetSetDef properties[] = {
    {"_transaction", (getter)get_transaction, NULL, "The transaction.", NULL},
    {"_prefix", (getter)get_prefix, NULL, "The serialised record key.", NULL},
    {"_timestamp", (getter)get_timestamp, NULL, "The event time of the record.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A transaction seen from one record key."},
    {Py_tp_new, state_new},
    {Py_tp_traverse, state_traverse},
    {Py_tp_dealloc, state_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

static PyType_Spec type_spec = {
    .name = "weirstreams._native.State",
    .basicsize = sizeof(StateObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

bool state_init_type(PyObject *module)
{
    state_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    return state_type && PyModule_AddType(module, state_type) == 0;
}
