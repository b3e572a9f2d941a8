/*
 * Transaction: reads and changes of one checkpoint. What it stores passes through the
 * application's dumps and loads; what it changed goes to Quix Streams' ChangelogProducer when it
 * is prepared.
 *
 * dumps and loads are called outside the guard: they may do anything, even use the state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

PyTypeObject *transaction_type;

/* --- Life --- */

static int transaction_init(TransactionObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"partition", "dumps", "loads", "producer", "state_class", NULL};
    PyObject *owner;
    PyObject *dumps;
    PyObject *loads;
    PyObject *producer = Py_None;
    PyObject *state_class = (PyObject *)state_type;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO|OO!:Transaction", names, partition_type,
                                     &owner, &dumps, &loads, &producer, &PyType_Type, &state_class))
        return -1;
    if (self->owner) {
        PyErr_SetString(PyExc_RuntimeError, "a transaction can't be initialised twice");
        return -1;
    }
    if (!PyType_IsSubtype((PyTypeObject *)state_class, state_type)) {
        PyErr_SetString(PyExc_TypeError, "state_class must be derived from State");
        return -1;
    }
    PartitionObject *partition = (PartitionObject *)owner;
    if (!guard_enter(partition))
        return -1;
    bool is_open = partition_apply(partition) && txn_open(partition, &self->handle);
    guard_leave(partition);
    if (!is_open)
        return -1;
    Py_INCREF(owner);
    Py_INCREF(dumps);
    Py_INCREF(loads);
    Py_INCREF(producer);
    Py_INCREF(state_class);
    self->owner = partition;
    self->codec.dumps = dumps;
    self->codec.loads = loads;
    self->producer = producer;
    self->state_class = state_class;
    self->ended = WEIR_TXN_FAILED_STATUS;
    return 0;
}

static int transaction_traverse(TransactionObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->codec.dumps);
    Py_VISIT(self->codec.loads);
    Py_VISIT(self->producer);
    Py_VISIT(self->state_class);
    return 0;
}

/* To None, not to NULL: an object in a cycle may be called while the cycle is taken apart. */
static void forget(PyObject **reference)
{
    if (!*reference || *reference == Py_None)
        return;
    Py_INCREF(Py_None);
    Py_SETREF(*reference, Py_None);
}

static int transaction_clear(TransactionObject *self)
{
    forget(&self->codec.dumps);
    forget(&self->codec.loads);
    forget(&self->producer);
    return 0;
}

static void transaction_dealloc(TransactionObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->owner && self->owner->fork_count == fork_count)
        txn_drop(self->owner, &self->handle);
    Py_XDECREF(self->codec.dumps);
    Py_XDECREF(self->codec.loads);
    Py_XDECREF(self->producer);
    Py_XDECREF(self->state_class);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

bool transaction_enter(TransactionObject *self)
{
    if (!self->owner) {
        raise_text(WEIR_TXN_FAILED, "the transaction was not begun: __init__ did not succeed");
        return false;
    }
    if (!guard_enter(self->owner))
        return false;
    if (self->handle.txn)
        return true;
    guard_leave(self->owner);
    raise_text(WEIR_TXN_FAILED, self->ended == WEIR_TXN_COMPLETE
                                    ? "Invalid transaction status: the transaction is complete"
                                    : "Invalid transaction status: the transaction has failed");
    return false;
}

static weir_txn_status status_of(const TransactionObject *self)
{
    if (!self->owner)
        return WEIR_TXN_FAILED_STATUS;
    bool is_gone = !self->handle.txn || self->owner->fork_count != fork_count;
    return is_gone ? self->ended : weir_txn_get_status(self->handle.txn);
}

PyObject *transaction_fail(TransactionObject *self)
{
    if (self->owner && self->handle.txn && self->owner->fork_count == fork_count)
        weir_txn_fail(self->handle.txn);
    return NULL;
}

/* --- One key --- */

static bool tell_time(TransactionObject *self, PyObject *timestamp)
{
    if (!timestamp || timestamp == Py_None)
        return true;
    long long time = PyLong_AsLongLong(timestamp);
    if (time == -1 && PyErr_Occurred())
        return false;
    weir_txn_set_event_time(self->handle.txn, time);
    return true;
}

/* Within the guard. The value, or bytes for codec_load_end; NULL with *is_absent, or with an
 * exception. */
static PyObject *find(TransactionObject *self, weir_slice prefix, weir_slice key, PyObject *cf_name,
                      PyObject *timestamp, bool as_bytes, bool *is_value, bool *is_absent)
{
    weir_cf cf;
    weir_slice data = {NULL, 0};
    weir_error err;
    *is_absent = false;
    *is_value = true;
    if (!partition_cf(self->owner, cf_name, &cf) || !tell_time(self, timestamp))
        return NULL;
    err.status = WEIR_OK;
    weir_status status = weir_txn_get(self->handle.txn, cf, prefix, key, &data, &err);
    if (status == WEIR_NOT_FOUND) {
        *is_absent = true;
        return NULL;
    }
    if (status != WEIR_OK)
        return raise_status(status, &err);
    if (as_bytes)
        return PyBytes_FromStringAndSize(data.data, (Py_ssize_t)data.size);
    return codec_load_begin(&self->codec, data, is_value);
}

PyObject *transaction_get(TransactionObject *self, weir_slice prefix, PyObject *key,
                          PyObject *default_value, PyObject *cf, PyObject *timestamp, bool as_bytes)
{
    encoded name;
    if (!codec_key(&self->codec, key, &name))
        return NULL;
    if (!transaction_enter(self)) {
        encoded_release(&name);
        return NULL;
    }
    bool is_value;
    bool is_absent;
    PyObject *found =
        find(self, prefix, name.slice, cf, timestamp, as_bytes, &is_value, &is_absent);
    transaction_leave(self);
    encoded_release(&name);
    if (found && !is_value)
        return codec_load_end(&self->codec, found);
    if (is_absent) {
        found = default_value ? default_value : Py_None;
        Py_INCREF(found);
    }
    return found;
}

PyObject *transaction_exists(TransactionObject *self, weir_slice prefix, PyObject *key,
                             PyObject *cf, PyObject *timestamp)
{
    encoded name;
    if (!codec_key(&self->codec, key, &name))
        return NULL;
    if (!transaction_enter(self)) {
        encoded_release(&name);
        return NULL;
    }
    weir_cf number;
    bool exists = false;
    weir_error err;
    err.status = WEIR_OK;
    weir_status status = WEIR_OK;
    bool is_ready = partition_cf(self->owner, cf, &number) && tell_time(self, timestamp);
    if (is_ready)
        status = weir_txn_exists(self->handle.txn, number, prefix, name.slice, &exists, &err);
    transaction_leave(self);
    encoded_release(&name);
    if (!is_ready)
        return NULL;
    return status == WEIR_OK ? PyBool_FromLong(exists) : raise_status(status, &err);
}

/* timedelta → whole ms. False: an exception is set. */
static bool ttl_ms_of(PyObject *ttl, long long *ms)
{
    PyObject *seconds = PyObject_CallMethod(ttl, "total_seconds", NULL);
    double value = seconds ? PyFloat_AsDouble(seconds) : -1;
    Py_XDECREF(seconds);
    if (value == -1 && PyErr_Occurred())
        return false;
    if (!(value > 0) || value * 1000.0 < 1.0) {
        PyErr_Format(PyExc_ValueError, "ttl must be at least one millisecond, got %R", ttl);
        return false;
    }
    *ms = value * 1000.0 >= 9e18 ? INT64_MAX : (long long)(value * 1000.0 + 0.5);
    return true;
}

static weir_status write_value(TransactionObject *self, weir_cf cf, weir_slice prefix,
                               weir_slice key, weir_slice value, long long ttl_ms, weir_error *err)
{
    if (ttl_ms == 0)
        return weir_txn_set(self->handle.txn, cf, prefix, key, value, err);
    if (cf != WEIR_CF_DEFAULT)
        return weir_error_set(err, WEIR_INVALID, "only the default column family has TTLs");
    return weir_txn_set_ttl(self->handle.txn, prefix, key, value, ttl_ms, err);
}

/* Within the guard. */
static bool change(TransactionObject *self, weir_slice prefix, weir_slice key, weir_slice value,
                   PyObject *cf_name, PyObject *timestamp, long long ttl_ms)
{
    weir_cf cf;
    weir_error err;
    err.status = WEIR_OK;
    if (!partition_cf(self->owner, cf_name, &cf) || !tell_time(self, timestamp))
        return false;
    weir_status status = write_value(self, cf, prefix, key, value, ttl_ms, &err);
    if (status != WEIR_OK)
        raise_status(status, &err);
    return status == WEIR_OK;
}

static bool encode_value(TransactionObject *self, PyObject *value, bool as_bytes, encoded *out)
{
    if (!as_bytes)
        return codec_dumps(&self->codec, value, out);
    if (PyBytes_Check(value))
        return codec_key(&self->codec, value, out);
    raise_text(WEIR_SERIALIZATION, "Value must be bytes");
    return false;
}

PyObject *transaction_set(TransactionObject *self, weir_slice prefix, PyObject *key,
                          PyObject *value, PyObject *cf, PyObject *timestamp, PyObject *ttl,
                          bool as_bytes)
{
    encoded name;
    encoded data;
    long long ttl_ms = 0;
    if (ttl && ttl != Py_None && !ttl_ms_of(ttl, &ttl_ms))
        return transaction_fail(self);
    if (!encode_value(self, value, as_bytes, &data))
        return transaction_fail(self);
    if (!codec_key(&self->codec, key, &name)) {
        encoded_release(&data);
        return transaction_fail(self);
    }
    bool is_set = transaction_enter(self);
    if (is_set) {
        is_set = change(self, prefix, name.slice, data.slice, cf, timestamp, ttl_ms);
        transaction_leave(self);
        if (!is_set)
            (void)transaction_fail(self);
    }
    encoded_release(&name);
    encoded_release(&data);
    if (!is_set)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *transaction_delete(TransactionObject *self, weir_slice prefix, PyObject *key,
                             PyObject *cf)
{
    encoded name;
    if (!codec_key(&self->codec, key, &name))
        return transaction_fail(self);
    if (!transaction_enter(self)) {
        encoded_release(&name);
        return NULL;
    }
    weir_cf number;
    weir_error err;
    err.status = WEIR_OK;
    weir_status status = WEIR_OK;
    bool is_known = partition_cf(self->owner, cf, &number);
    if (is_known)
        status = weir_txn_delete(self->handle.txn, number, prefix, name.slice, &err);
    transaction_leave(self);
    encoded_release(&name);
    if (!is_known)
        return transaction_fail(self);
    if (status != WEIR_OK)
        return raise_status(status, &err);
    Py_RETURN_NONE;
}

/* --- Prepare and flush --- */

static PyObject *make_headers(const char *cf, PyObject *processed, bool ttl_stamped)
{
    PyObject *headers =
        Py_BuildValue("{sssO}", "__column_family__", cf, "__processed_tp_offsets__", processed);
    PyObject *stamp = headers && ttl_stamped ? PyBytes_FromStringAndSize("\x01", 1) : NULL;
    if (stamp && PyDict_SetItemString(headers, "__ttl_stamped__", stamp) != 0)
        Py_CLEAR(headers);
    Py_XDECREF(stamp);
    return headers;
}

typedef struct produce_call {
    PyObject *produce;
    PyObject *names; /* of the arguments */
    PyObject *processed;
    PyObject *headers;
    uint32_t cf; /* of which the headers are */
    bool ttl_stamped;
} produce_call;

static bool produce_one(const bridge *log, size_t index, produce_call *call)
{
    const bridge_record *record = bridge_at(log, index);
    if (!call->headers || record->cf != call->cf || record->ttl_stamped != call->ttl_stamped) {
        Py_XSETREF(call->headers,
                   make_headers(bridge_cf(log, record), call->processed, record->ttl_stamped));
        if (!call->headers)
            return false;
        call->cf = record->cf;
        call->ttl_stamped = record->ttl_stamped;
    }
    weir_slice key = bridge_key(log, record);
    weir_slice value = bridge_value(log, record);
    PyObject *arguments[4] = {NULL};
    arguments[1] = PyBytes_FromStringAndSize(key.data, (Py_ssize_t)key.size);
    if (record->is_tombstone) {
        arguments[2] = Py_None;
        Py_INCREF(Py_None);
    } else {
        arguments[2] = PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.size);
    }
    arguments[3] = call->headers;
    PyObject *result = NULL;
    if (arguments[1] && arguments[2])
        result = PyObject_Vectorcall(call->produce, arguments + 1, PY_VECTORCALL_ARGUMENTS_OFFSET,
                                     call->names);
    Py_XDECREF(arguments[1]);
    Py_XDECREF(arguments[2]);
    Py_XDECREF(result);
    return result != NULL;
}

/* Interned: a function of Python finds the parameter of such a name without comparing text. */
static PyObject *argument_names(void)
{
    static const char *const names[] = {"key", "value", "headers"};
    PyObject *tuple = PyTuple_New(3);
    for (Py_ssize_t i = 0; tuple && i < 3; i++) {
        PyObject *name = PyUnicode_InternFromString(names[i]);
        if (name)
            PyTuple_SET_ITEM(tuple, i, name);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* Hands what the bridge holds to the producer, in one go. */
static bool produce_all(TransactionObject *self, PyObject *processed)
{
    const bridge *log = self->owner->bridge;
    produce_call call = {.processed = processed};
    call.produce = PyObject_GetAttrString(self->producer, "produce");
    call.names = argument_names();
    bool is_done = call.produce && call.names;
    for (size_t i = 0; is_done && i < bridge_count(log); i++)
        is_done = produce_one(log, i, &call);
    Py_XDECREF(call.produce);
    Py_XDECREF(call.names);
    Py_XDECREF(call.headers);
    return is_done;
}

/* Within the guard. */
static bool prepare(TransactionObject *self, PyObject *offsets, PyObject *processed)
{
    weir_topic_offset topics[TOPICS_MAX];
    size_t count = 0;
    if (!args_offsets(offsets, topics, &count))
        return false;
    bridge *log = self->owner->bridge;
    if (log)
        bridge_clear(log);
    weir_error err;
    weir_error_init(&err);
    weir_status status;
    Py_BEGIN_ALLOW_THREADS status = weir_txn_prepare(self->handle.txn, topics, count, &err);
    Py_END_ALLOW_THREADS if (status != WEIR_OK)
    {
        raise_status(status, &err);
        return false;
    }
    bool is_produced =
        !log || self->producer == Py_None || processed == NULL || produce_all(self, processed);
    if (log)
        bridge_clear(log);
    return is_produced;
}

static PyObject *transaction_prepare(TransactionObject *self, PyObject *const *args,
                                     Py_ssize_t nargs, PyObject *kwnames)
{
    static arg_spec spec = {
        "prepare_changes", 2, 2, {"processed_offsets", "processed_header"}, {NULL}};
    PyObject *given[2];
    if (!args_take(&spec, args, nargs, kwnames, given) || !transaction_enter(self))
        return NULL;
    bool is_prepared = prepare(self, given[0], given[1]);
    transaction_leave(self);
    if (!is_prepared)
        return transaction_fail(self);
    Py_RETURN_NONE;
}

/* The transaction of Weir goes; what it came to is kept. */
static void end(TransactionObject *self)
{
    self->ended = weir_txn_get_status(self->handle.txn);
    self->was_changed = weir_txn_changed(self->handle.txn);
    txn_close(self->owner, &self->handle);
}

static bool flush(TransactionObject *self, int64_t offset)
{
    bool is_started = weir_txn_get_status(self->handle.txn) == WEIR_TXN_STARTED;
    if (is_started && self->owner->bridge && !prepare(self, NULL, NULL))
        return false;
    weir_error err;
    weir_error_init(&err);
    weir_status status;
    Py_BEGIN_ALLOW_THREADS status = weir_txn_flush(self->handle.txn, offset, &err);
    Py_END_ALLOW_THREADS if (status != WEIR_OK) raise_status(status, &err);
    return status == WEIR_OK;
}

static PyObject *transaction_flush(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    static arg_spec spec = {"flush", 0, 1, {"changelog_offset"}, {NULL}};
    PyObject *given[1];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    long long offset = WEIR_OFFSET_NONE;
    if (given[0] && given[0] != Py_None) {
        offset = PyLong_AsLongLong(given[0]);
        if (offset == -1 && PyErr_Occurred())
            return NULL;
    }
    if (!transaction_enter(self))
        return NULL;
    bool is_flushed = flush(self, offset);
    if (is_flushed)
        end(self);
    else
        weir_txn_fail(self->handle.txn);
    transaction_leave(self);
    if (!is_flushed)
        return NULL;
    Py_RETURN_NONE;
}

/* --- Methods of one key, with the prefix as an argument --- */

bool transaction_prefix(PyObject *prefix, weir_slice *slice)
{
    if (!PyBytes_Check(prefix)) {
        PyErr_Format(PyExc_TypeError, "prefix must be bytes, not %s", Py_TYPE(prefix)->tp_name);
        return false;
    }
    *slice = weir_slice_of(PyBytes_AS_STRING(prefix), (size_t)PyBytes_GET_SIZE(prefix));
    return true;
}

static PyObject *get_as(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames, bool as_bytes)
{
    static arg_spec spec = {
        "get", 2, 5, {"key", "prefix", "default", "cf_name", "timestamp"}, {NULL}};
    PyObject *given[5];
    weir_slice prefix;
    if (!args_take(&spec, args, nargs, kwnames, given) || !transaction_prefix(given[1], &prefix))
        return NULL;
    return transaction_get(self, prefix, given[0], given[2], given[3], given[4], as_bytes);
}

static PyObject *method_get(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    return get_as(self, args, nargs, kwnames, false);
}

static PyObject *method_get_bytes(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames)
{
    return get_as(self, args, nargs, kwnames, true);
}

static PyObject *set_as(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames, bool as_bytes)
{
    static arg_spec spec = {
        "set", 3, 6, {"key", "value", "prefix", "cf_name", "timestamp", "ttl"}, {NULL}};
    PyObject *given[6];
    weir_slice prefix;
    if (!args_take(&spec, args, nargs, kwnames, given) || !transaction_prefix(given[2], &prefix))
        return NULL;
    return transaction_set(self, prefix, given[0], given[1], given[3], given[4], given[5],
                           as_bytes);
}

static PyObject *method_set(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    return set_as(self, args, nargs, kwnames, false);
}

static PyObject *method_set_bytes(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames)
{
    return set_as(self, args, nargs, kwnames, true);
}

static PyObject *method_delete(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames)
{
    static arg_spec spec = {"delete", 2, 3, {"key", "prefix", "cf_name"}, {NULL}};
    PyObject *given[3];
    weir_slice prefix;
    if (!args_take(&spec, args, nargs, kwnames, given) || !transaction_prefix(given[1], &prefix))
        return NULL;
    return transaction_delete(self, prefix, given[0], given[2]);
}

static PyObject *method_exists(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames)
{
    static arg_spec spec = {"exists", 2, 4, {"key", "prefix", "cf_name", "timestamp"}, {NULL}};
    PyObject *given[4];
    weir_slice prefix;
    if (!args_take(&spec, args, nargs, kwnames, given) || !transaction_prefix(given[1], &prefix))
        return NULL;
    return transaction_exists(self, prefix, given[0], given[2], given[3]);
}

static PyObject *method_items(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    return items_method(self->owner, self, args, nargs, kwnames);
}

static PyObject *method_as_state(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    static arg_spec spec = {"as_state", 0, 2, {"prefix", "timestamp"}, {NULL}};
    PyObject *given[2];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    if (!self->owner)
        return raise_text(WEIR_TXN_FAILED, "the transaction was not begun");
    return state_make(self->state_class, self, given[0], given[1]);
}

static PyObject *method_fail(TransactionObject *self, PyObject *unused)
{
    (void)unused;
    (void)transaction_fail(self);
    Py_RETURN_NONE;
}

/* --- Properties --- */

static PyObject *property_status(TransactionObject *self, void *unused)
{
    (void)unused;
    int status = (int)status_of(self);
    if (!native.statuses)
        return PyLong_FromLong(status);
    PyObject *member = PyTuple_GetItem(native.statuses, status - 1);
    Py_XINCREF(member);
    return member;
}

/* context: the status that is asked for. */
static PyObject *property_is(TransactionObject *self, void *context)
{
    return PyBool_FromLong(status_of(self) == *(const weir_txn_status *)context);
}

static PyObject *property_changed(TransactionObject *self, void *unused)
{
    (void)unused;
    bool is_gone = !self->handle.txn || self->owner->fork_count != fork_count;
    return PyBool_FromLong(is_gone ? self->was_changed : weir_txn_changed(self->handle.txn));
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"get", FAST(method_get), "get(key, prefix, default=None, cf_name='default', timestamp=None)"},
    {"get_bytes", FAST(method_get_bytes),
     "get_bytes(key, prefix, default=None, cf_name='default', timestamp=None)"},
    {"set", FAST(method_set),
     "set(key, value, prefix, cf_name='default', timestamp=None, ttl=None)"},
    {"set_bytes", FAST(method_set_bytes),
     "set_bytes(key, value, prefix, cf_name='default', timestamp=None, ttl=None)"},
    {"delete", FAST(method_delete), "delete(key, prefix, cf_name='default')"},
    {"exists", FAST(method_exists), "exists(key, prefix, cf_name='default', timestamp=None)"},
    {"items", FAST(method_items),
     "items(lower_bound=None, upper_bound=None, backwards=False, cf_name='default')"},
    {"as_state", FAST(method_as_state), "as_state(prefix=b'', timestamp=None)"},
    {"prepare_changes", FAST(transaction_prepare),
     "prepare_changes(processed_offsets, processed_header): STARTED to PREPARED; hands each "
     "changed key to the producer."},
    {"flush", FAST(transaction_flush), "flush(changelog_offset=None): one atomic batch."},
    {"fail", (PyCFunction)method_fail, METH_NOARGS, "Marks the transaction FAILED."},
    {NULL, NULL, 0, NULL},
};

static const weir_txn_status failed = WEIR_TXN_FAILED_STATUS;
static const weir_txn_status completed = WEIR_TXN_COMPLETE;
static const weir_txn_status prepared = WEIR_TXN_PREPARED;

static PyGetSetDef properties[] = {
    {"status", (getter)property_status, NULL, "PartitionTransactionStatus", NULL},
    {"failed", (getter)property_is, NULL, "True in status FAILED", (void *)&failed},
    {"completed", (getter)property_is, NULL, "True in status COMPLETE", (void *)&completed},
    {"prepared", (getter)property_is, NULL, "True in status PREPARED", (void *)&prepared},
    {"changed", (getter)property_changed, NULL, "True once a set or delete was made", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "All changes of one checkpoint of one store partition."},
    {Py_tp_init, transaction_init},
    {Py_tp_traverse, transaction_traverse},
    {Py_tp_clear, transaction_clear},
    {Py_tp_dealloc, transaction_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

static PyType_Spec type_spec = {
    .name = "weirstreams._native.Transaction",
    .basicsize = sizeof(TransactionObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyTypeObject *type_derive(PyObject *module, PyTypeObject *base, const char *name, size_t size,
                          PyType_Slot *derived_slots)
{
    PyType_Spec derived = {
        .name = name,
        .basicsize = (int)size,
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, /* the rest is inherited */
        .slots = derived_slots,
    };
    PyObject *bases = PyTuple_Pack(1, base);
    PyObject *type = bases ? PyType_FromSpecWithBases(&derived, bases) : NULL;
    Py_XDECREF(bases);
    if (type && PyModule_AddType(module, (PyTypeObject *)type) != 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

bool transaction_init_type(PyObject *module)
{
    transaction_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    return transaction_type && PyModule_AddType(module, transaction_type) == 0;
}
