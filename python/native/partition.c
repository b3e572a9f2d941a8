/*
 * Partition: one store partition of one state manager, from opening to closing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define OPTIONS_MAX 64
/* Bytes of pushed records that are gathered before they are written. */
#define BATCH_BYTES ((size_t)16 << 20)

unsigned long fork_count;
PyTypeObject *partition_type;

/* --- Guard --- */

static bool was_forked(const PartitionObject *self)
{
    return self->fork_count != fork_count;
}

bool guard_enter(PartitionObject *self)
{
    if (was_forked(self)) {
        raise_text(WEIR_INVALID, "the state was opened before this process was forked, and belongs "
                                 "to the parent; open stores after the fork");
        return false;
    }
    if (self->in_use) {
        raise_text(WEIR_BUSY, "the store partition is in use by another thread; one thread at a "
                              "time may use it");
        return false;
    }
    if (!self->partition) {
        raise_text(WEIR_CLOSED, "the store partition is closed");
        return false;
    }
    self->in_use = true;
    return true;
}

/* --- Transactions, known to the partition --- */

bool txn_open(PartitionObject *self, txn_handle *handle)
{
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir_partition_begin(self->partition, &handle->txn, &err);
    if (status != WEIR_OK) {
        raise_status(status, &err);
        return false;
    }
    handle->items = NULL;
    handle->previous = NULL;
    handle->next = self->txns;
    if (self->txns)
        self->txns->previous = handle;
    self->txns = handle;
    return true;
}

static void unlink_txn(PartitionObject *self, txn_handle *handle)
{
    if (handle->previous)
        handle->previous->next = handle->next;
    else
        self->txns = handle->next;
    if (handle->next)
        handle->next->previous = handle->previous;
    handle->txn = NULL;
}

void txn_close(PartitionObject *self, txn_handle *handle)
{
    weir_txn *txn = handle->txn;
    if (!txn)
        return;
    items_close_all(handle);
    orphans_close(self); /* there may be iterators of it */
    unlink_txn(self, handle);
    weir_txn_free(txn);
}

void txn_drop(PartitionObject *self, txn_handle *handle)
{
    weir_txn *txn = handle->txn;
    if (!txn)
        return;
    items_drop_all(handle);
    unlink_txn(self, handle);
    partition_drop(self, txn, NULL, NULL);
}

/* --- What lost its object while the partition was in use --- */

typedef struct orphan {
    weir_txn *txn;
    weir_iter *iter;
    weir_windows *windows;
    struct orphan *next;
} orphan;

static void close_orphan(const orphan *it)
{
    weir_iter_close(it->iter);
    weir_windows_close(it->windows);
    weir_txn_free(it->txn);
}

/* In the order in which they came: iterators before their transaction. */
void orphans_close(PartitionObject *self)
{
    while (self->orphans) {
        orphan *first = self->orphans;
        self->orphans = first->next;
        close_orphan(first);
        free(first);
    }
}

void partition_drop(PartitionObject *self, weir_txn *txn, weir_iter *iter, weir_windows *windows)
{
    const orphan given = {.txn = txn, .iter = iter, .windows = windows};
    if (!self->in_use) {
        close_orphan(&given);
        return;
    }
    orphan **end = &self->orphans;
    while (*end)
        end = &(*end)->next;
    *end = malloc(sizeof(given));
    if (*end)
        **end = given; /* else it stays until the process ends */
}

/* --- Opening --- */

static weir_status open_bridge(const char *store, const char *stream_id, int32_t partition,
                               weir_changelog **changelog, void *arg, weir_error *err)
{
    (void)store;
    (void)stream_id;
    (void)partition;
    (void)err;
    *changelog = bridge_changelog(arg);
    return WEIR_OK;
}

typedef struct open_request {
    weir_state_options options;
    weir_store_config config;
    weir_option pairs[OPTIONS_MAX + 1];
    const char *changelog;
    int partition;
} open_request;

static bool read_request(PyObject *args, PyObject *kwargs, open_request *request)
{
    static char *names[] = {"state_dir",       "group",       "store",     "stream_id", "partition",
                            "backend",         "options",     "changelog", "kind",      "grace_ms",
                            "keep_duplicates", "cache_bytes", NULL};
    int kind = WEIR_STORE_PLAIN;
    long long grace_ms = -1;
    int keep_duplicates = 0;
    Py_ssize_t cache_bytes = -1;
    PyObject *options = NULL;
    weir_state_options_init(&request->options);
    weir_store_config_init(&request->config);
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "sssziz|O!ziLpn:Partition", names, &request->options.state_dir,
            &request->options.group_id, &request->config.name, &request->config.stream_id,
            &request->partition, &request->options.state_backend, &PyDict_Type, &options,
            &request->changelog, &kind, &grace_ms, &keep_duplicates, &cache_bytes))
        return false;
    if (options && !args_options(options, request->pairs, OPTIONS_MAX))
        return false;
    if (options)
        request->options.state_options = request->pairs;
    if (cache_bytes >= 0)
        request->options.cache_bytes = (size_t)cache_bytes;
    request->config.kind = (weir_store_kind)kind;
    if (grace_ms >= 0)
        request->config.grace_ms = grace_ms;
    request->config.keep_duplicates = keep_duplicates != 0;
    request->config.changelog = request->changelog != NULL;
    return true;
}

static weir_status open_store(PartitionObject *self, const open_request *request, weir_error *err)
{
    weir_status status = weir_state_manager_new(&request->options, &self->manager, err);
    if (status == WEIR_OK)
        status = weir_state_manager_register(self->manager, &request->config, err);
    if (status == WEIR_OK)
        status = weir_state_manager_assign(self->manager, request->config.stream_id,
                                           request->partition, err);
    if (status == WEIR_OK)
        self->partition = weir_state_manager_partition(
            self->manager, request->config.name, request->config.stream_id, request->partition);
    return status;
}

/* Reads that go to the backend may wait for a disk or a network: the interpreter lock is released
 * meanwhile, unless it was before, for all of a call. */
static void before_read(void *arg)
{
    PartitionObject *self = arg;
    self->thread = PyGILState_Check() ? PyEval_SaveThread() : NULL;
}

static void after_read(void *arg)
{
    PartitionObject *self = arg;
    if (self->thread)
        PyEval_RestoreThread(self->thread);
}

static PyObject *partition_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    open_request request = {.partition = 0};
    if (!read_request(args, kwargs, &request))
        return NULL;
    PartitionObject *self = (PartitionObject *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->fork_count = fork_count;
    self->pushed_offset = WEIR_OFFSET_NONE;
    self->cfs = PyDict_New();
    self->bridge = request.changelog ? bridge_new(request.changelog) : NULL;
    if (!self->cfs || (request.changelog && !self->bridge)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    if (self->bridge) {
        request.options.changelog_open = open_bridge;
        request.options.changelog_arg = self->bridge;
    }
    weir_error err;
    weir_error_init(&err);
    weir_status status;
    Py_BEGIN_ALLOW_THREADS status = open_store(self, &request, &err);
    Py_END_ALLOW_THREADS if (status != WEIR_OK)
    {
        Py_DECREF(self);
        return raise_status(status, &err);
    }
    if (strcmp(weir_partition_backend(self->partition), "memory") != 0)
        weir_partition_set_read_hooks(self->partition, before_read, after_read, self);
    return (PyObject *)self;
}

/* --- Closing --- */

static void release(PartitionObject *self)
{
    if (self->partition)
        partition_stop_reading(self);
    while (self->txns)
        txn_close(self, self->txns);
    orphans_close(self);
    weir_state_manager *manager = self->manager;
    self->manager = NULL;
    self->partition = NULL;
    Py_BEGIN_ALLOW_THREADS weir_state_manager_free(manager);
    Py_END_ALLOW_THREADS bridge_free(self->bridge);
    self->bridge = NULL;
}

static void partition_dealloc(PartitionObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    /* What was opened before a fork has threads and locks in the parent: it is left alone. */
    if (!was_forked(self))
        release(self);
    Py_XDECREF(self->reader);
    Py_XDECREF(self->cfs);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *partition_close(PartitionObject *self, PyObject *unused)
{
    (void)unused;
    if (was_forked(self) || !self->partition)
        Py_RETURN_NONE;
    if (!guard_enter(self))
        return NULL;
    while (self->txns)
        txn_close(self, self->txns);
    bool is_applied = partition_apply(self);
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    release(self);
    guard_leave(self);
    PyErr_Restore(type, value, traceback);
    if (!is_applied)
        return NULL;
    Py_RETURN_NONE;
}

/* --- Recovery --- */

static weir_status recover(PartitionObject *self, weir_error *err)
{
    bool needed = false;
    weir_status status = weir_partition_recovery_begin(self->partition, NULL, 0, &needed, err);
    for (bool done = !needed; status == WEIR_OK && !done;)
        status = weir_partition_recovery_step(self->partition, 0, 0, &done, NULL, err);
    return status;
}

bool partition_apply(PartitionObject *self)
{
    if (self->pushed_offset == WEIR_OFFSET_NONE)
        return true;
    int64_t stored = weir_partition_changelog_offset(self->partition);
    int64_t end = self->pushed_offset + 1;
    self->pushed_offset = WEIR_OFFSET_NONE;
    weir_status status = WEIR_OK;
    weir_error err;
    weir_error_init(&err);
    if (end - 1 > stored) {
        bridge_set_range(self->bridge, stored == WEIR_OFFSET_NONE ? 0 : stored + 1, end);
        Py_BEGIN_ALLOW_THREADS status = recover(self, &err);
        Py_END_ALLOW_THREADS
    }
    bridge_clear(self->bridge);
    if (status != WEIR_OK)
        raise_status(status, &err);
    return status == WEIR_OK;
}

bool partition_check_changelog(const PartitionObject *self)
{
    if (!self->bridge)
        raise_text(WEIR_UNSUPPORTED, "the store has no changelog to recover from");
    else if (self->reader)
        raise_text(WEIR_BUSY, "a recovery with a reader has begun and is not done");
    return !PyErr_Occurred();
}

/* Within the guard. Records whose order is not that of the log start a batch of their own. */
bool partition_push_record(PartitionObject *self, const weir_changelog_record *record)
{
    if (record->offset <= self->pushed_offset && !partition_apply(self))
        return false;
    if (!bridge_push(self->bridge, record)) {
        PyErr_NoMemory();
        return false;
    }
    self->pushed_offset = record->offset;
    return bridge_bytes(self->bridge) <= BATCH_BYTES || partition_apply(self);
}

/* The method of Quix Streams' store partitions, which a recovery calls for each message. */
static PyObject *partition_push(PartitionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames)
{
    static arg_spec spec = {
        "push", 4, 5, {"key", "value", "cf_name", "offset", "ttl_stamped"}, {NULL}};
    PyObject *given[5];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    weir_changelog_record record = {.is_tombstone = given[1] == Py_None};
    record.offset = PyLong_AsLongLong(given[3]);
    record.cf = PyUnicode_Check(given[2]) ? PyUnicode_AsUTF8(given[2]) : NULL;
    int ttl_stamped = given[4] ? PyObject_IsTrue(given[4]) : 0;
    if (PyErr_Occurred())
        return NULL;
    if (!PyBytes_Check(given[0]) || !record.cf ||
        (!record.is_tombstone && !PyBytes_Check(given[1])))
        return PyErr_Format(PyExc_TypeError, "a changelog key must be bytes, its value bytes or "
                                             "None, the name of its column family str");
    if (record.offset < 0)
        return PyErr_Format(PyExc_ValueError, "a changelog offset can't be %R", given[3]);
    record.key = weir_slice_of(PyBytes_AS_STRING(given[0]), (size_t)PyBytes_GET_SIZE(given[0]));
    if (!record.is_tombstone)
        record.value =
            weir_slice_of(PyBytes_AS_STRING(given[1]), (size_t)PyBytes_GET_SIZE(given[1]));
    record.ttl_stamped = ttl_stamped != 0;
    if (!guard_enter(self))
        return NULL;
    bool is_pushed = partition_check_changelog(self) && partition_push_record(self, &record);
    guard_leave(self);
    if (!is_pushed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *partition_push_offset(PartitionObject *self, PyObject *argument)
{
    long long offset = PyLong_AsLongLong(argument);
    if (offset == -1 && PyErr_Occurred())
        return NULL;
    if (offset < 0)
        return PyErr_Format(PyExc_ValueError, "a changelog offset can't be %lld", offset);
    if (!guard_enter(self))
        return NULL;
    bool is_known = partition_check_changelog(self);
    if (is_known && offset > self->pushed_offset)
        self->pushed_offset = offset;
    guard_leave(self);
    if (!is_known)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *partition_apply_pushed(PartitionObject *self, PyObject *unused)
{
    (void)unused;
    if (!guard_enter(self))
        return NULL;
    bool is_applied = partition_apply(self);
    guard_leave(self);
    if (!is_applied)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *partition_changelog_offset(PartitionObject *self, PyObject *unused)
{
    (void)unused;
    if (!guard_enter(self))
        return NULL;
    int64_t stored = weir_partition_changelog_offset(self->partition);
    int64_t offset = self->pushed_offset > stored ? self->pushed_offset : stored;
    guard_leave(self);
    if (offset == WEIR_OFFSET_NONE)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(offset);
}

/* --- Reading what is committed --- */

bool partition_cf(PartitionObject *self, PyObject *name, weir_cf *cf)
{
    *cf = WEIR_CF_DEFAULT;
    if (!name)
        return true;
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "a column family's name must be str, not %s",
                     Py_TYPE(name)->tp_name);
        return false;
    }
    PyObject *known = PyDict_GetItemWithError(self->cfs, name);
    if (known) {
        *cf = (weir_cf)PyLong_AsUnsignedLong(known);
        return true;
    }
    const char *text = PyErr_Occurred() ? NULL : PyUnicode_AsUTF8(name);
    if (!text)
        return false;
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir_partition_cf(self->partition, text, cf, &err);
    if (status != WEIR_OK) {
        raise_status(status, &err);
        return false;
    }
    PyObject *number = PyLong_FromUnsignedLong(*cf);
    bool is_kept = number && PyDict_SetItem(self->cfs, name, number) == 0;
    Py_XDECREF(number);
    return is_kept;
}

/* In a transaction of its own, which nobody else sees: the guard is held all the time. */
static PyObject *read_one(PartitionObject *self, weir_slice key, PyObject *cf_name)
{
    weir_cf cf;
    if (!partition_apply(self) || !partition_cf(self, cf_name, &cf))
        return NULL;
    weir_txn *txn = NULL;
    weir_slice value = {NULL, 0};
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir_partition_begin(self->partition, &txn, &err);
    if (status == WEIR_OK)
        status = weir_txn_get(txn, cf, (weir_slice){NULL, 0}, key, &value, &err);
    PyObject *found = NULL;
    if (status == WEIR_OK) {
        found = PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.size);
    } else if (status == WEIR_NOT_FOUND) {
        found = Py_None;
        Py_INCREF(found);
    } else {
        raise_status(status, &err);
    }
    weir_txn_free(txn);
    return found;
}

static PyObject *partition_get(PartitionObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames)
{
    static arg_spec spec = {"get", 1, 2, {"key", "cf_name"}, {NULL}};
    PyObject *given[2];
    if (!args_take(&spec, args, nargs, kwnames, given))
        return NULL;
    if (!PyBytes_Check(given[0]))
        return PyErr_Format(PyExc_TypeError, "the key must be bytes, not %s",
                            Py_TYPE(given[0])->tp_name);
    if (!guard_enter(self))
        return NULL;
    weir_slice key = weir_slice_of(PyBytes_AS_STRING(given[0]), (size_t)PyBytes_GET_SIZE(given[0]));
    PyObject *found = read_one(self, key, given[1]);
    guard_leave(self);
    return found;
}

static PyObject *partition_items(PartitionObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    return items_method(self, NULL, args, nargs, kwnames);
}

/* --- About it --- */

static PyObject *partition_path(PartitionObject *self, void *unused)
{
    (void)unused;
    if (!guard_enter(self))
        return NULL;
    PyObject *path = PyUnicode_DecodeFSDefault(weir_partition_path(self->partition));
    guard_leave(self);
    return path;
}

static PyObject *partition_backend(PartitionObject *self, void *unused)
{
    (void)unused;
    if (!guard_enter(self))
        return NULL;
    PyObject *name = PyUnicode_FromString(weir_partition_backend(self->partition));
    guard_leave(self);
    return name;
}

static PyObject *partition_is_closed(PartitionObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(!self->partition);
}

static PyObject *partition_stats(PartitionObject *self, PyObject *unused)
{
    (void)unused;
    if (!guard_enter(self))
        return NULL;
    weir_partition_stats stats;
    weir_partition_get_stats(self->partition, &stats);
    guard_leave(self);
    return Py_BuildValue(
        "{sK sK sK sK sK sK sn sn}", "gets", (unsigned long long)stats.gets, "update_hits",
        (unsigned long long)stats.update_hits, "cache_hits", (unsigned long long)stats.cache_hits,
        "backend_gets", (unsigned long long)stats.backend_gets, "flushes",
        (unsigned long long)stats.flushes, "written", (unsigned long long)stats.written,
        "cache_bytes", (Py_ssize_t)stats.cache_bytes, "cache_records",
        (Py_ssize_t)stats.cache_records);
}

static PyMethodDef methods[] = {
    {"close", (PyCFunction)partition_close, METH_NOARGS,
     "Applies what was pushed, drops open transactions, closes the database."},
    {"push", (PyCFunction)(void (*)(void))partition_push, METH_FASTCALL | METH_KEYWORDS,
     "push(key, value, cf_name, offset, ttl_stamped=False): a changelog record to be applied, "
     "with others in one go."},
    {"push_messages", (PyCFunction)partition_push_messages, METH_VARARGS,
     "push_messages(messages, decide): those of confluent_kafka, from this changelog, in order. "
     "decide(header) tells of a header of processed offsets whether its changes are applied. "
     "Returns how many messages were taken (the next one is none of a changelog), and how many of "
     "them were skipped."},
    {"recover_begin", (PyCFunction)partition_recover_begin, METH_VARARGS,
     "recover_begin(reader, topic, partition, low, high, committed): begins to read the changelog "
     "from what the state holds up to `high`. Tells whether there is anything to read."},
    {"recover_step", (PyCFunction)partition_recover_step, METH_O,
     "recover_step(budget_ms): reads and writes so long, without the interpreter lock. Returns the "
     "position in the changelog, how many changes were skipped, and whether it is done."},
    {"recover_end", (PyCFunction)partition_recover_end, METH_NOARGS,
     "Ends a recovery that has begun, done or not."},
    {"push_offset", (PyCFunction)partition_push_offset, METH_O,
     "The changelog was read up to this offset."},
    {"apply", (PyCFunction)partition_apply_pushed, METH_NOARGS,
     "Writes what was pushed to the database, in one go."},
    {"changelog_offset", (PyCFunction)partition_changelog_offset, METH_NOARGS,
     "The offset of the last changelog record that the state holds, or None."},
    {"get", (PyCFunction)(void (*)(void))partition_get, METH_FASTCALL | METH_KEYWORDS,
     "get(key, cf_name='default'): committed bytes under a whole state key, or None."},
    {"items", (PyCFunction)(void (*)(void))partition_items, METH_FASTCALL | METH_KEYWORDS,
     "items(lower_bound=None, upper_bound=None, backwards=False, cf_name='default')"},
    {"stats", (PyCFunction)partition_stats, METH_NOARGS, "Figures of reads, flushes and cache."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"path", (getter)partition_path, NULL, "The folder of the database.", NULL},
    {"backend", (getter)partition_backend, NULL, "The backend's spec.", NULL},
    {"closed", (getter)partition_is_closed, NULL, "True after close().", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "One store partition, open."},
    {Py_tp_new, partition_new},
    {Py_tp_dealloc, partition_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

static PyType_Spec type_spec = {
    .name = "weirstreams._native.Partition",
    .basicsize = sizeof(PartitionObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

bool partition_init_type(PyObject *module)
{
    partition_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    return partition_type && PyModule_AddType(module, partition_type) == 0;
}
