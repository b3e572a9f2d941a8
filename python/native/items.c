/*
 * Items: keys and values in order, of a transaction or of what is committed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

PyTypeObject *items_type;

static void unlink_items(ItemsObject *self)
{
    if (self->previous)
        self->previous->next = self->next;
    else
        self->handle->items = self->next;
    if (self->next)
        self->next->previous = self->previous;
}

static void link_items(ItemsObject *self)
{
    self->previous = NULL;
    self->next = self->handle->items;
    if (self->next)
        self->next->previous = self;
    self->handle->items = self;
}

static void close_iter(ItemsObject *self)
{
    if (!self->iter && !self->windows)
        return;
    unlink_items(self);
    weir_iter_close(self->iter);
    weir_windows_close(self->windows);
    self->iter = NULL;
    self->windows = NULL;
}

void items_close_all(txn_handle *handle)
{
    while (handle->items)
        close_iter(handle->items);
}

static void drop_iter(ItemsObject *self)
{
    weir_iter *iter = self->iter;
    weir_windows *windows = self->windows;
    if (!iter && !windows)
        return;
    unlink_items(self);
    self->iter = NULL;
    self->windows = NULL;
    partition_drop(self->owner, NULL, iter, windows);
}

void items_drop_all(txn_handle *handle)
{
    while (handle->items)
        drop_iter(handle->items);
}

static bool read_bound(PyObject *bound, weir_slice *slice, bool *is_given)
{
    *is_given = bound && bound != Py_None;
    if (!*is_given)
        return true;
    if (!PyBytes_Check(bound)) {
        PyErr_Format(PyExc_TypeError, "a bound must be bytes or None, not %s",
                     Py_TYPE(bound)->tp_name);
        return false;
    }
    *slice = weir_slice_of(PyBytes_AS_STRING(bound), (size_t)PyBytes_GET_SIZE(bound));
    return true;
}

static bool open_iter(ItemsObject *self, weir_cf cf, const weir_iter_options *options)
{
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir_txn_iter_open(self->handle->txn, cf, options, &self->iter, &err);
    if (status != WEIR_OK) {
        raise_status(status, &err);
        return false;
    }
    link_items(self);
    return true;
}

/* Of a transaction, or of what is committed (NULL). */
static ItemsObject *items_new(PartitionObject *partition, TransactionObject *transaction)
{
    ItemsObject *self = (ItemsObject *)items_type->tp_alloc(items_type, 0);
    if (!self)
        return NULL;
    Py_INCREF(partition);
    self->owner = partition;
    self->handle = transaction ? &transaction->handle : &self->own;
    Py_XINCREF(transaction);
    self->keeper = (PyObject *)transaction;
    return self;
}

PyObject *items_of_windows(TransactionObject *transaction, weir_windows *windows)
{
    ItemsObject *self = items_new(transaction->owner, transaction);
    if (!self) {
        weir_windows_close(windows);
        return NULL;
    }
    self->is_of_windows = true;
    self->windows = windows;
    if (windows)
        link_items(self);
    return (PyObject *)self;
}

/* Bounds are bytes, None or NULL. Within the guard. */
static PyObject *items_open(PartitionObject *partition, TransactionObject *transaction,
                            PyObject *lower, PyObject *upper, bool backwards, PyObject *cf_name)
{
    weir_iter_options options = {.struct_size = sizeof(options), .reverse = backwards};
    weir_cf cf;
    if (!read_bound(lower, &options.lower, &options.has_lower) ||
        !read_bound(upper, &options.upper, &options.has_upper) ||
        !partition_cf(partition, cf_name, &cf))
        return NULL;
    ItemsObject *self = items_new(partition, transaction);
    if (!self)
        return NULL;
    bool is_open = transaction || txn_open(partition, &self->own);
    if (!is_open || !open_iter(self, cf, &options)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

PyObject *items_method(PartitionObject *partition, TransactionObject *transaction,
                       PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static arg_spec spec = {
        "items", 0, 4, {"lower_bound", "upper_bound", "backwards", "cf_name"}, {NULL}};
    PyObject *given[4];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    int backwards = given[2] ? PyObject_IsTrue(given[2]) : 0;
    if (backwards < 0 || !(transaction ? transaction_enter(transaction) : guard_enter(partition)))
        return NULL;
    PyObject *items = NULL;
    if (transaction || partition_apply(partition))
        items = items_open(partition, transaction, given[0], given[1], backwards != 0, given[3]);
    guard_leave(partition);
    return items;
}

static void items_dealloc(ItemsObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->owner && self->owner->fork_count == fork_count) {
        drop_iter(self);
        if (!self->keeper)
            txn_drop(self->owner, &self->own);
    }
    Py_XDECREF(self->keeper);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A pair of bytes. NULL: see *status, or an exception is set. */
static PyObject *next_pair(ItemsObject *self, weir_status *status, weir_error *err)
{
    weir_slice key;
    weir_slice value;
    *status = weir_iter_next(self->iter, &key, &value, err);
    if (*status != WEIR_OK)
        return NULL;
    return Py_BuildValue("(y#y#)", key.data ? key.data : "", (Py_ssize_t)key.size,
                         value.data ? value.data : "", (Py_ssize_t)value.size);
}

/* ((start, end), value, key), the value still as bytes. */
static PyObject *next_window(ItemsObject *self, weir_status *status, weir_error *err)
{
    weir_window window;
    *status = weir_windows_next(self->windows, &window, err);
    if (*status != WEIR_OK)
        return NULL;
    return Py_BuildValue("((LL)y#y#)", (long long)window.start_ms, (long long)window.end_ms,
                         window.value.data ? window.value.data : "", (Py_ssize_t)window.value.size,
                         window.key.data ? window.key.data : "", (Py_ssize_t)window.key.size);
}

/* After the guard: loads is the application's. Takes the row over. */
static PyObject *load_window(const ItemsObject *self, PyObject *row)
{
    PyObject *bytes = PyTuple_GET_ITEM(row, 1);
    Py_INCREF(bytes);
    PyObject *value = codec_loads(&((TransactionObject *)self->keeper)->codec, bytes);
    PyObject *made =
        value ? PyTuple_Pack(3, PyTuple_GET_ITEM(row, 0), value, PyTuple_GET_ITEM(row, 2)) : NULL;
    Py_XDECREF(value);
    Py_DECREF(row);
    return made;
}

static PyObject *items_next(ItemsObject *self)
{
    if (!guard_enter(self->owner))
        return NULL;
    bool is_open = self->iter || self->windows;
    bool is_ended = !is_open && self->is_of_windows && self->handle->txn;
    weir_error err = {.status = WEIR_OK};
    weir_status status = WEIR_OK;
    PyObject *item = NULL;
    if (self->iter)
        item = next_pair(self, &status, &err);
    else if (self->windows)
        item = next_window(self, &status, &err);
    guard_leave(self->owner);
    if (!is_open)
        return is_ended ? NULL
                        : raise_text(WEIR_CLOSED, "the transaction of this iterator has ended");
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        raise_status(status, &err);
    return item && self->is_of_windows ? load_window(self, item) : item;
}

static PyType_Slot slots[] = {
    {Py_tp_doc, "Pairs of bytes, key and value, in order."},
    {Py_tp_dealloc, items_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, items_next},
    {0, NULL},
};

static PyType_Spec type_spec = {
    .name = "weirstreams._native.Items",
    .basicsize = sizeof(ItemsObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

bool items_init_type(PyObject *module)
{
    (void)module; /* not made by hand */
    items_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    if (items_type)
        items_type->tp_new = NULL;
    return items_type != NULL;
}
