/*
 * WindowedTransaction and WindowedState: windows in time. Each function of a key exists twice, as a
 * method of the state, and as one of the transaction, which takes the prefix in addition; what it
 * does is written once.
 *
 * Values pass through loads after the guard, so results are gathered as bytes first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

PyTypeObject *windowed_transaction_type;
PyTypeObject *windowed_state_type;

/* --- Arguments --- */

static bool read_flag(PyObject *given, bool otherwise, bool *flag)
{
    int value = given ? PyObject_IsTrue(given) : otherwise;
    *flag = value > 0;
    return value >= 0;
}

/* Enters the guard and makes the view. NULL: an exception is set, and no guard is held. */
static weir_state *enter(TransactionObject *self, weir_slice prefix)
{
    if (!transaction_enter(self))
        return NULL;
    weir_state *state = weir_txn_state(self->handle.txn, prefix);
    if (state)
        return state;
    transaction_leave(self);
    PyErr_NoMemory();
    return NULL;
}

/* What a function without a result comes to; it has left the guard. */
static PyObject *finish(weir_status status, const weir_error *err)
{
    if (status != WEIR_OK)
        return raise_status(status, err);
    Py_RETURN_NONE;
}

static PyObject *bytes_of(weir_slice slice)
{
    return PyBytes_FromStringAndSize(slice.data, (Py_ssize_t)slice.size);
}

/* --- One window --- */

static PyObject *run_get_window(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t start;
    int64_t end;
    if (!args_ms(given[0], &start) || !args_ms(given[1], &end))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_slice value = {NULL, 0};
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_get(state, start, end, &value, &err);
    bool is_value = true;
    PyObject *found = status == WEIR_OK ? codec_load_begin(&self->codec, value, &is_value) : NULL;
    transaction_leave(self);
    if (status == WEIR_NOT_FOUND) {
        found = given[2] ? given[2] : Py_None;
        Py_INCREF(found);
        return found;
    }
    if (status != WEIR_OK)
        return raise_status(status, &err);
    return found && !is_value ? codec_load_end(&self->codec, found) : found;
}

static PyObject *run_update_window(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t start;
    int64_t end;
    int64_t timestamp;
    encoded value;
    if (!args_ms(given[0], &start) || !args_ms(given[1], &end) || !args_ms(given[3], &timestamp))
        return NULL;
    if (!codec_dumps(&self->codec, given[2], &value))
        return transaction_fail(self);
    weir_error err = {.status = WEIR_OK};
    weir_state *state = enter(self, prefix);
    weir_status status = WEIR_OK;
    if (state) {
        status = weir_window_update(state, start, end, value.slice, timestamp, &err);
        transaction_leave(self);
    }
    encoded_release(&value);
    return state ? finish(status, &err) : NULL;
}

static PyObject *run_delete_window(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t start;
    int64_t end;
    if (!args_ms(given[0], &start) || !args_ms(given[1], &end))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_delete(state, start, end, &err);
    transaction_leave(self);
    return finish(status, &err);
}

/* --- Many windows --- */

/* ((start, end), value, [collected,] key), with bytes for values. */
static PyObject *window_row(const weir_window *window, bool is_expired)
{
    if (!is_expired)
        return Py_BuildValue("((LL)NN)", (long long)window->start_ms, (long long)window->end_ms,
                             bytes_of(window->value), bytes_of(window->key));
    PyObject *collected = PyList_New((Py_ssize_t)window->value_count);
    for (size_t i = 0; collected && i < window->value_count; i++) {
        PyObject *value = bytes_of(window->values[i]);
        if (!value)
            Py_CLEAR(collected);
        else
            PyList_SET_ITEM(collected, (Py_ssize_t)i, value);
    }
    if (!collected)
        return NULL;
    return Py_BuildValue("((LL)NNN)", (long long)window->start_ms, (long long)window->end_ms,
                         bytes_of(window->value), collected, bytes_of(window->key));
}

/* Within the guard; closes `windows`. */
static PyObject *gather(weir_windows *windows, bool is_expired)
{
    PyObject *rows = PyList_New(0);
    weir_error err = {.status = WEIR_OK};
    weir_status status = WEIR_OK;
    while (rows && status == WEIR_OK) {
        weir_window window;
        status = weir_windows_next(windows, &window, &err);
        if (status != WEIR_OK)
            break;
        PyObject *row = window_row(&window, is_expired);
        if (!row || PyList_Append(rows, row) != 0)
            Py_CLEAR(rows);
        Py_XDECREF(row);
    }
    weir_windows_close(windows);
    if (rows && status != WEIR_NOT_FOUND) {
        Py_CLEAR(rows);
        raise_status(status, &err);
    }
    return rows;
}

/* Replaces an item of bytes by its value. The container is not seen by anybody else yet. */
static bool load_item(const TransactionObject *self, PyObject **item)
{
    PyObject *bytes = *item;
    *item = NULL;
    *item = codec_loads(&self->codec, bytes);
    return *item != NULL;
}

static bool load_row(const TransactionObject *self, PyObject *row, bool is_expired)
{
    PyTupleObject *tuple = (PyTupleObject *)row;
    if (!load_item(self, &tuple->ob_item[1])) {
        /* No holes: the tuple goes, but the collector may look at it before. */
        Py_INCREF(Py_None);
        tuple->ob_item[1] = Py_None;
        return false;
    }
    PyListObject *collected = is_expired ? (PyListObject *)tuple->ob_item[2] : NULL;
    Py_ssize_t count = collected ? PyList_GET_SIZE(collected) : 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!load_item(self, &collected->ob_item[i])) {
            Py_INCREF(Py_None);
            collected->ob_item[i] = Py_None;
            return false;
        }
    return true;
}

/* After the guard. Takes the list over. */
static PyObject *load_rows(const TransactionObject *self, PyObject *rows, bool is_expired)
{
    Py_ssize_t count = rows ? PyList_GET_SIZE(rows) : 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!load_row(self, PyList_GET_ITEM(rows, i), is_expired)) {
            Py_DECREF(rows);
            return NULL;
        }
    return rows;
}

static PyObject *run_get_windows(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t from;
    int64_t to;
    bool backwards;
    if (!args_ms(given[0], &from) || !args_ms(given[1], &to) ||
        !read_flag(given[2], false, &backwards))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_windows *windows = NULL;
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_range(state, from, to, backwards, &windows, &err);
    PyObject *rows = status == WEIR_OK ? gather(windows, false) : raise_status(status, &err);
    transaction_leave(self);
    return load_rows(self, rows, false);
}

static PyObject *run_iter_windows(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t from = 0;
    int64_t to = INT64_MAX;
    bool backwards;
    if ((given[0] && !args_ms(given[0], &from)) ||
        (given[1] && given[1] != Py_None && !args_ms(given[1], &to)) ||
        !read_flag(given[2], false, &backwards))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_windows *windows = NULL;
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status =
        weir_window_range(state, from > 0 ? from - 1 : -1, to, backwards, &windows, &err);
    PyObject *items =
        status == WEIR_OK ? items_of_windows(self, windows) : raise_status(status, &err);
    transaction_leave(self);
    return items;
}

/* --- Expiry --- */

static bool read_expiry(PyObject *delete, PyObject *collect, PyObject *end_inclusive,
                        uint32_t *flags)
{
    bool deletes;
    bool collects;
    bool is_inclusive;
    if (!read_flag(delete, true, &deletes) || !read_flag(collect, false, &collects) ||
        !read_flag(end_inclusive, false, &is_inclusive))
        return false;
    *flags = (deletes ? 0 : WEIR_EXPIRE_KEEP) | (collects ? WEIR_EXPIRE_COLLECT : 0) |
             (is_inclusive ? WEIR_EXPIRE_END_INCLUSIVE : 0);
    return true;
}

/* An iterator, as the generator that it stands for. After the guard. */
static PyObject *iterate_rows(const TransactionObject *self, PyObject *rows)
{
    rows = load_rows(self, rows, true);
    PyObject *iterator = rows ? PyObject_GetIter(rows) : NULL;
    Py_XDECREF(rows);
    return iterator;
}

static PyObject *run_expire_windows(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t max_start;
    uint32_t flags;
    if (!args_ms(given[0], &max_start) || !read_expiry(given[1], given[2], given[3], &flags))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_windows *windows = NULL;
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_expire(state, max_start, flags, &windows, &err);
    PyObject *rows = status == WEIR_OK ? gather(windows, true) : raise_status(status, &err);
    transaction_leave(self);
    return iterate_rows(self, rows);
}

static PyObject *run_delete_windows(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t max_start;
    bool deletes_values;
    if (!args_ms(given[0], &max_start) || !read_flag(given[1], false, &deletes_values))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_delete_until(state, max_start, deletes_values, &err);
    transaction_leave(self);
    return finish(status, &err);
}

/* --- Marks --- */

typedef weir_status (*read_mark_fn)(weir_state *state, int64_t *ms, weir_error *err);

/* otherwise: what stands for a mark that is not there; borrowed. */
static PyObject *read_mark(TransactionObject *self, weir_slice prefix, read_mark_fn read,
                           PyObject *otherwise)
{
    weir_error err = {.status = WEIR_OK};
    int64_t ms = 0;
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = read(state, &ms, &err);
    transaction_leave(self);
    if (status == WEIR_OK || (status == WEIR_NOT_FOUND && !otherwise))
        return PyLong_FromLongLong(ms);
    if (status != WEIR_NOT_FOUND)
        return raise_status(status, &err);
    Py_INCREF(otherwise);
    return otherwise;
}

static PyObject *run_get_latest_timestamp(TransactionObject *self, weir_slice prefix,
                                          PyObject **given)
{
    (void)given;
    return read_mark(self, prefix, weir_window_latest_timestamp, NULL);
}

static PyObject *run_get_latest_expired(TransactionObject *self, weir_slice prefix,
                                        PyObject **given)
{
    (void)given;
    return read_mark(self, prefix, weir_window_expired_until, NULL);
}

static PyObject *run_get_expiry_checkpoint(TransactionObject *self, weir_slice prefix,
                                           PyObject **given)
{
    (void)given;
    return read_mark(self, prefix, weir_window_expired_until, Py_None);
}

static PyObject *run_set_expiry_checkpoint(TransactionObject *self, weir_slice prefix,
                                           PyObject **given)
{
    int64_t ms;
    if (!args_ms(given[0], &ms))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_set_expired_until(state, ms, &err);
    transaction_leave(self);
    return finish(status, &err);
}

/* --- Collections --- */

static PyObject *run_add_to_collection(TransactionObject *self, weir_slice prefix, PyObject **given)
{
    int64_t id = 0;
    bool has_id = given[1] != Py_None;
    encoded value;
    if (has_id && !args_ms(given[1], &id))
        return NULL;
    if (!codec_dumps(&self->codec, given[0], &value))
        return transaction_fail(self);
    weir_error err = {.status = WEIR_OK};
    uint64_t number = 0;
    weir_status status = WEIR_OK;
    weir_state *state = enter(self, prefix);
    if (state) {
        status = weir_window_collect(state, has_id ? &id : NULL, value.slice, &number, &err);
        transaction_leave(self);
    }
    encoded_release(&value);
    if (!state)
        return NULL;
    return status == WEIR_OK ? PyLong_FromUnsignedLongLong(number) : raise_status(status, &err);
}

static PyObject *run_get_from_collection(TransactionObject *self, weir_slice prefix,
                                         PyObject **given)
{
    int64_t start;
    int64_t end;
    if (!args_ms(given[0], &start) || !args_ms(given[1], &end))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    const weir_slice *values = NULL;
    size_t count = 0;
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_collected(state, start, end, &values, &count, &err);
    const weir_window found = {.values = values, .value_count = count};
    PyObject *row = status == WEIR_OK ? window_row(&found, true) : raise_status(status, &err);
    transaction_leave(self);
    PyObject *collected = row ? PyTuple_GET_ITEM(row, 2) : NULL;
    Py_XINCREF(collected);
    Py_XDECREF(row);
    for (size_t i = 0; collected && i < count; i++) {
        PyObject **item = &((PyListObject *)collected)->ob_item[i];
        if (load_item(self, item))
            continue;
        Py_INCREF(Py_None);
        *item = Py_None;
        Py_CLEAR(collected);
    }
    return collected;
}

static PyObject *run_delete_from_collection(TransactionObject *self, weir_slice prefix,
                                            PyObject **given)
{
    int64_t end;
    int64_t start = 0;
    bool has_start = given[1] && given[1] != Py_None;
    if (!args_ms(given[0], &end) || (has_start && !args_ms(given[1], &start)))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_state *state = enter(self, prefix);
    if (!state)
        return NULL;
    weir_status status = weir_window_delete_collected(state, has_start ? &start : NULL, end, &err);
    transaction_leave(self);
    return finish(status, &err);
}

/* --- The partition as a whole --- */

static PyObject *expire_all_windows(TransactionObject *self, PyObject *const *args,
                                    Py_ssize_t nargs, PyObject *kwnames)
{
    static arg_spec spec = {
        "expire_all_windows", 2, 4, {"max_end_time", "step_ms", "delete", "collect"}, {NULL}};
    PyObject *given[4];
    int64_t max_end;
    int64_t step;
    uint32_t flags;
    if (!args_take(&spec, args, nargs, kwnames, given) || !args_ms(given[0], &max_end) ||
        !args_ms(given[1], &step) || !read_expiry(given[2], given[3], NULL, &flags) ||
        !transaction_enter(self))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    weir_windows *windows = NULL;
    weir_status status =
        weir_window_expire_all(self->handle.txn, max_end, step, flags, &windows, &err);
    PyObject *rows = status == WEIR_OK ? gather(windows, true) : raise_status(status, &err);
    transaction_leave(self);
    return iterate_rows(self, rows);
}

static PyObject *get_partition_timestamp(TransactionObject *self, PyObject *unused)
{
    (void)unused;
    return run_get_latest_timestamp(self, (weir_slice){NULL, 0}, NULL);
}

static PyObject *advance_partition_timestamp(TransactionObject *self, PyObject *const *args,
                                             Py_ssize_t nargs, PyObject *kwnames)
{
    static arg_spec spec = {"advance_partition_timestamp", 1, 1, {"timestamp_ms"}, {NULL}};
    PyObject *given[1];
    int64_t ms;
    if (!args_take(&spec, args, nargs, kwnames, given) || !args_ms(given[0], &ms))
        return NULL;
    weir_error err = {.status = WEIR_OK};
    int64_t latest = 0;
    weir_state *state = enter(self, (weir_slice){NULL, 0});
    if (!state)
        return NULL;
    /* A time before the epoch moves nothing in Quix Streams; Weir has none. */
    weir_status status = weir_window_advance_timestamp(state, ms > 0 ? ms : 0, &latest, &err);
    transaction_leave(self);
    return status == WEIR_OK ? PyLong_FromLongLong(latest) : raise_status(status, &err);
}

/* --- Methods, twice --- */

typedef PyObject *(*run_fn)(TransactionObject *self, weir_slice prefix, PyObject **given);

static PyObject *call_on_state(StateObject *self, arg_spec *spec, run_fn run, PyObject *const *args,
                               Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *given[8];
    if (!args_take(spec, args, nargs, kwnames, given))
        return NULL;
    return run(self->transaction, state_prefix(self), given);
}

/* prefix_at: the place of the prefix among the arguments. */
static PyObject *call_on_transaction(TransactionObject *self, arg_spec *spec, Py_ssize_t prefix_at,
                                     run_fn run, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kwnames)
{
    PyObject *given[8];
    weir_slice prefix = {NULL, 0};
    if (!args_take(spec, args, nargs, kwnames, given))
        return NULL;
    if (given[prefix_at] && !transaction_prefix(given[prefix_at], &prefix))
        return NULL;
    for (Py_ssize_t i = prefix_at; i + 1 < spec->count; i++)
        given[i] = given[i + 1];
    return run(self, prefix, given);
}

#define NAMES(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
/* The names of the state's arguments, then those of the transaction's. */
#define TWICE(name, required, count, names, txn_required, prefix_at, txn_names)                    \
    static PyObject *state_##name(StateObject *self, PyObject *const *args, Py_ssize_t nargs,      \
                                  PyObject *kwnames)                                               \
    {                                                                                              \
        static arg_spec spec = {#name, required, count, names, {NULL}};                            \
        return call_on_state(self, &spec, run_##name, args, nargs, kwnames);                       \
    }                                                                                              \
    static PyObject *txn_##name(TransactionObject *self, PyObject *const *args, Py_ssize_t nargs,  \
                                PyObject *kwnames)                                                 \
    {                                                                                              \
        static arg_spec spec = {#name, txn_required, (count) + 1, txn_names, {NULL}};              \
        return call_on_transaction(self, &spec, prefix_at, run_##name, args, nargs, kwnames);      \
    }

TWICE(get_window, 2, 3, NAMES("start_ms", "end_ms", "default"), 3, 2,
      NAMES("start_ms", "end_ms", "prefix", "default"))
TWICE(update_window, 4, 4, NAMES("start_ms", "end_ms", "value", "timestamp_ms"), 5, 4,
      NAMES("start_ms", "end_ms", "value", "timestamp_ms", "prefix"))
TWICE(delete_window, 2, 2, NAMES("start_ms", "end_ms"), 3, 2, NAMES("start_ms", "end_ms", "prefix"))
TWICE(get_windows, 2, 3, NAMES("start_from_ms", "start_to_ms", "backwards"), 3, 2,
      NAMES("start_from_ms", "start_to_ms", "prefix", "backwards"))
TWICE(iter_windows, 0, 3, NAMES("start_from_ms", "start_to_ms", "backwards"), 1, 0,
      NAMES("prefix", "start_from_ms", "start_to_ms", "backwards"))
TWICE(expire_windows, 1, 4, NAMES("max_start_time", "delete", "collect", "end_inclusive"), 2, 1,
      NAMES("max_start_time", "prefix", "delete", "collect", "end_inclusive"))
TWICE(delete_windows, 2, 2, NAMES("max_start_time", "delete_values"), 3, 2,
      NAMES("max_start_time", "delete_values", "prefix"))
TWICE(get_latest_timestamp, 0, 0, NAMES(NULL), 1, 0, NAMES("prefix"))
TWICE(get_latest_expired, 0, 0, NAMES(NULL), 1, 0, NAMES("prefix"))
TWICE(get_expiry_checkpoint, 0, 0, NAMES(NULL), 0, 0, NAMES("prefix"))
TWICE(set_expiry_checkpoint, 1, 1, NAMES("timestamp_ms"), 1, 1, NAMES("timestamp_ms", "prefix"))
TWICE(add_to_collection, 2, 2, NAMES("value", "id"), 3, 2, NAMES("value", "id", "prefix"))
TWICE(get_from_collection, 2, 2, NAMES("start", "end"), 3, 2, NAMES("start", "end", "prefix"))
TWICE(delete_from_collection, 1, 2, NAMES("end", "start"), 2, 1, NAMES("end", "prefix", "start"))

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS
#define STATE_METHOD(name)                                                                         \
    {                                                                                              \
#name, FAST(state_##name), "As in Quix Streams."                                           \
    }
#define TXN_METHOD(name)                                                                           \
    {                                                                                              \
#name, FAST(txn_##name), "As in Quix Streams."                                             \
    }

static PyMethodDef state_methods[] = {
    STATE_METHOD(get_window),
    STATE_METHOD(update_window),
    STATE_METHOD(delete_window),
    STATE_METHOD(get_windows),
    STATE_METHOD(iter_windows),
    STATE_METHOD(expire_windows),
    STATE_METHOD(delete_windows),
    STATE_METHOD(get_latest_timestamp),
    STATE_METHOD(get_latest_expired),
    STATE_METHOD(get_expiry_checkpoint),
    STATE_METHOD(set_expiry_checkpoint),
    STATE_METHOD(add_to_collection),
    STATE_METHOD(get_from_collection),
    STATE_METHOD(delete_from_collection),
    {NULL, NULL, 0, NULL},
};

static PyMethodDef txn_methods[] = {
    TXN_METHOD(get_window),
    TXN_METHOD(update_window),
    TXN_METHOD(delete_window),
    TXN_METHOD(get_windows),
    TXN_METHOD(iter_windows),
    TXN_METHOD(expire_windows),
    TXN_METHOD(delete_windows),
    TXN_METHOD(get_latest_timestamp),
    TXN_METHOD(get_latest_expired),
    TXN_METHOD(get_expiry_checkpoint),
    TXN_METHOD(set_expiry_checkpoint),
    TXN_METHOD(add_to_collection),
    TXN_METHOD(get_from_collection),
    TXN_METHOD(delete_from_collection),
    {"expire_all_windows", FAST(expire_all_windows), "As in Quix Streams."},
    {"advance_partition_timestamp", FAST(advance_partition_timestamp), "As in Quix Streams."},
    {"get_partition_timestamp", (PyCFunction)get_partition_timestamp, METH_NOARGS,
     "As in Quix Streams."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot state_slots[] = {
    {Py_tp_doc, "Windows of one record key."},
    {Py_tp_methods, state_methods},
    {0, NULL},
};

static PyType_Slot txn_slots[] = {
    {Py_tp_doc, "A transaction of a windowed store."},
    {Py_tp_methods, txn_methods},
    {0, NULL},
};

bool window_init_types(PyObject *module)
{
    windowed_state_type = type_derive(module, state_type, "weirstreams._native.WindowedState",
                                      sizeof(StateObject), state_slots);
    if (!windowed_state_type)
        return false;
    windowed_transaction_type =
        type_derive(module, transaction_type, "weirstreams._native.WindowedTransaction",
                    sizeof(TransactionObject), txn_slots);
    return windowed_transaction_type != NULL;
}
