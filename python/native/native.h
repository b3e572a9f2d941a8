/*
 * The C side of the package weirstreams: Python objects over the public headers of Weir.
 *
 *   Partition      one store partition, open; the changelog records of a prepared transaction
 *                  and those of a recovery pass through its bridge
 *   Transaction    reads and changes of one checkpoint, with the application's dumps and loads
 *   State          a transaction seen from one record key
 *   Items          an iterator over keys and values
 *   ChangelogReader  a Kafka client that recoveries read with
 *
 * Rules for all of them: one thread at a time uses a partition and what belongs to it, which is
 * checked (Guard); a process that was forked after the partition was opened may not use it; what
 * a closed partition left behind raises, and never touches memory that is gone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIRSTREAMS_NATIVE_H
#define WEIRSTREAMS_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <weir/kafka.h>
#include <weir/state.h>
#include <weir/window.h>

/* --- What the package tells the extension once (configure) --- */

typedef struct native_config {
    PyObject *errors;   /* dict: name of a status → exception class; may be NULL */
    PyObject *statuses; /* tuple of four: what Transaction.status returns; may be NULL */
    PyObject *dumps;    /* the default dumps and loads, for which C may take shortcuts */
    PyObject *loads;
    PyObject *orjson_dumps; /* what they call */
    PyObject *orjson_loads;
    PyObject *orjson_option; /* an int */
    PyObject *log;           /* log(level, event, message) */
} native_config;

extern native_config native;
extern PyTypeObject *partition_type;
extern PyTypeObject *transaction_type;
extern PyTypeObject *state_type;
extern PyTypeObject *items_type;

/* --- Errors (error.c) --- */

bool errors_init(PyObject *module);
/* Raises what belongs to the status, with err's message; returns NULL. */
PyObject *raise_status(weir_status status, const weir_error *err);
PyObject *raise_text(weir_status status, const char *text);
/* Replaces the exception that is set, if it is an Exception, by the class for SERIALIZATION,
 * with the former as cause. what: "serialize" or "deserialize". Returns NULL. */
PyObject *raise_serialization(const char *what, PyObject *value);
void log_to_python(weir_log_level level, const char *event, const char *message, void *arg);

/* --- Arguments (args.c) --- */

typedef struct arg_spec {
    const char *function;
    Py_ssize_t required;
    Py_ssize_t count;
    const char *names[8];
    PyObject *interned[8];
} arg_spec;

/* Puts what was given into out (count long); NULL where nothing was. */
bool args_take(arg_spec *spec, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
               PyObject **out);
/* A time in ms; one that does not fit becomes the nearest that does. */
bool args_ms(PyObject *given, int64_t *ms);
/* A dict of str as options, ended by NULL: pairs has room for max + 1. Borrows the texts. */
bool args_options(PyObject *given, weir_option *pairs, size_t max);

#define TOPICS_MAX 256
/* A dict from topics to offsets, or None, or NULL. Borrows the names. */
bool args_offsets(PyObject *given, weir_topic_offset *offsets, size_t *count);

/* --- The default JSON (json.c) --- */

/* Writes what orjson would write; returns its size. 0: orjson has to do it. Sets no exception. */
size_t json_write(PyObject *value, char *text, size_t capacity);
/* What orjson would read. NULL without an exception: orjson has to do it. */
PyObject *json_read(weir_slice data);

/* --- Values (codec.c) --- */

typedef struct value_codec {
    PyObject *dumps;
    PyObject *loads;
} value_codec;

/* Bytes of a Python object, kept by `held` or in `text` until encoded_release. */
typedef struct encoded {
    weir_slice slice;
    PyObject *held;
    char text[512];
} encoded;

/* dumps(value). False: an exception is set. */
bool codec_dumps(const value_codec *codec, PyObject *value, encoded *out);
/* A key or prefix: bytes as they are, else dumps. */
bool codec_key(const value_codec *codec, PyObject *key, encoded *out);
void encoded_release(encoded *out);
/*
 * loads(data) in two steps, because loads is the application's and may do anything. The first
 * copies what it needs and calls no Python: its result is the value if *is_value [out], else bytes
 * for the second, which takes them over. NULL: an exception is set.
 */
PyObject *codec_load_begin(const value_codec *codec, weir_slice data, bool *is_value);
PyObject *codec_load_end(const value_codec *codec, PyObject *bytes);
/* Both steps for bytes that are at hand, which are taken over. */
PyObject *codec_loads(const value_codec *codec, PyObject *bytes);

/* --- The bridge (bridge.c) --- */

/*
 * A weir_changelog whose other end is Python. Prepared transactions append to it; what it then
 * holds is produced by Quix Streams' ChangelogProducer. The other way round, records that Quix
 * Streams has consumed are pushed into it, and a recovery reads them.
 */
typedef struct bridge bridge;

typedef struct bridge_record {
    size_t key; /* places in the bytes of the bridge */
    size_t value;
    size_t key_size;
    size_t value_size;
    int64_t offset;
    uint32_t cf; /* index of a name */
    bool is_tombstone;
    bool ttl_stamped;
} bridge_record;

bridge *bridge_new(const char *name);
/* Hands out the changelog; the bridge outlives it. */
weir_changelog *bridge_changelog(bridge *of);
void bridge_free(bridge *of);
void bridge_clear(bridge *of);
size_t bridge_count(const bridge *of);
size_t bridge_bytes(const bridge *of);
const bridge_record *bridge_at(const bridge *of, size_t index);
const char *bridge_cf(const bridge *of, const bridge_record *record);
weir_slice bridge_key(const bridge *of, const bridge_record *record);
weir_slice bridge_value(const bridge *of, const bridge_record *record);
/* Adds a consumed record; its offset must be above the one before. False: no memory. */
bool bridge_push(bridge *of, const weir_changelog_record *record);
/* What a recovery is told: it reads what was pushed, from `low`, up to `high`. */
void bridge_set_range(bridge *of, int64_t low, int64_t high);
/* While there is a source, a recovery reads that instead. Borrowed; NULL: none. */
void bridge_set_source(bridge *of, weir_changelog *source);
weir_changelog *bridge_source(const bridge *of);

/* --- Objects --- */

/* A transaction of a partition, whoever owns it: all are known, so that closing frees them. */
typedef struct txn_handle {
    weir_txn *txn; /* NULL: the partition was closed */
    struct txn_handle *previous;
    struct txn_handle *next;
    struct ItemsObject *items; /* iterators that are open */
} txn_handle;

typedef struct PartitionObject {
    PyObject_HEAD weir_state_manager *manager;
    weir_partition *partition; /* NULL: closed */
    bridge *bridge;            /* NULL: without changelog */
    PyObject *reader;          /* a ChangelogReader that recovers it; NULL: none */
    txn_handle *txns;
    PyObject *cfs; /* dict: name → number */
    unsigned long fork_count;
    int64_t pushed_offset; /* of the last record or offset pushed; NONE: none is pending */
    bool in_use;
    PyThreadState *thread;  /* that has released the interpreter lock for a read; NULL: none */
    struct orphan *orphans; /* what lost its object while the partition was in use */
} PartitionObject;

typedef struct TransactionObject {
    PyObject_HEAD PartitionObject *owner;
    txn_handle handle;
    value_codec codec;
    PyObject *producer;    /* ChangelogProducer, or None */
    PyObject *state_class; /* what as_state makes: State, or a class derived from it */
    weir_txn_status ended; /* what it came to; told once the transaction of Weir is gone */
    bool was_changed;
} TransactionObject;

typedef struct ItemsObject {
    PyObject_HEAD PartitionObject *owner;
    PyObject *keeper; /* the Transaction, or NULL if own is used */
    txn_handle own;   /* of a reading of the partition itself */
    txn_handle *handle;
    weir_iter *iter; /* one of the two, until the end of the transaction */
    weir_windows *windows;
    bool is_of_windows;
    struct ItemsObject *previous;
    struct ItemsObject *next;
} ItemsObject;

extern unsigned long fork_count; /* how often this process is a child */

/* Checks that the partition is open, used by no other thread, and not inherited by a fork;
 * marks it as in use. False: an exception is set. Each true is followed by guard_leave. */
bool guard_enter(PartitionObject *partition);
void orphans_close(PartitionObject *self);
static inline void guard_leave(PartitionObject *partition)
{
    if (partition->orphans)
        orphans_close(partition);
    partition->in_use = false;
}
/*
 * For the end of an object, which may come at any time and in any thread, also while another one
 * has released the interpreter lock in a call of the partition: each is closed now, or when that
 * call is over. All may be NULL.
 */
void partition_drop(PartitionObject *self, weir_txn *txn, weir_iter *iter, weir_windows *windows);

bool partition_init_type(PyObject *module);
/* Adds a record to what partition_apply writes, which comes when it is much. Within a guard; the
 * partition has a changelog. */
bool partition_push_record(PartitionObject *partition, const weir_changelog_record *record);
/* The method push_messages (messages.c). */
PyObject *partition_push_messages(PartitionObject *self, PyObject *args);
/* Methods that recover with a reader (reader.c). */
PyObject *partition_recover_begin(PartitionObject *self, PyObject *args);
PyObject *partition_recover_step(PartitionObject *self, PyObject *argument);
PyObject *partition_recover_end(PartitionObject *self, PyObject *unused);
/* Ends such a recovery, done or not. Within a guard, or when nobody else knows the partition. */
void partition_stop_reading(PartitionObject *self);
/* False, with an exception: there is none, or a reader is at it. */
bool partition_check_changelog(const PartitionObject *partition);
bool reader_init_type(PyObject *module);
/* The number of a column family; its name is a str, NULL the default one. */
bool partition_cf(PartitionObject *partition, PyObject *name, weir_cf *cf);
/* Brings what was pushed into the database. Within a guard. */
bool partition_apply(PartitionObject *partition);
bool txn_open(PartitionObject *partition, txn_handle *handle);
void txn_close(PartitionObject *self, txn_handle *handle);
/* The same at the end of the object that has the handle. */
void txn_drop(PartitionObject *self, txn_handle *handle);

typedef struct StateObject {
    PyObject_HEAD TransactionObject *transaction;
    PyObject *prefix;    /* bytes */
    PyObject *timestamp; /* an int, or None */
} StateObject;

bool transaction_init_type(PyObject *module);
/* Enters the guard of a transaction that is still there. */
bool transaction_enter(TransactionObject *transaction);
static inline void transaction_leave(TransactionObject *transaction)
{
    guard_leave(transaction->owner);
}
/* Marks it FAILED, whatever it is; the exception that is set stays. Returns NULL. */
PyObject *transaction_fail(TransactionObject *self);
/* A prefix that is bytes. False: an exception is set. */
bool transaction_prefix(PyObject *prefix, weir_slice *slice);
/* One operation of a key; cf, timestamp and ttl may be NULL. prefix is borrowed. */
PyObject *transaction_get(TransactionObject *self, weir_slice prefix, PyObject *key,
                          PyObject *default_value, PyObject *cf, PyObject *timestamp,
                          bool as_bytes);
PyObject *transaction_set(TransactionObject *self, weir_slice prefix, PyObject *key,
                          PyObject *value, PyObject *cf, PyObject *timestamp, PyObject *ttl,
                          bool as_bytes);
PyObject *transaction_delete(TransactionObject *self, weir_slice prefix, PyObject *key,
                             PyObject *cf);
PyObject *transaction_exists(TransactionObject *self, weir_slice prefix, PyObject *key,
                             PyObject *cf, PyObject *timestamp);

bool state_init_type(PyObject *module);
/* class_ is State or derived from it. prefix: any object, see codec_key. */
PyObject *state_make(PyObject *class_, TransactionObject *transaction, PyObject *prefix,
                     PyObject *timestamp);

static inline weir_slice state_prefix(const StateObject *state)
{
    return weir_slice_of(PyBytes_AS_STRING(state->prefix), (size_t)PyBytes_GET_SIZE(state->prefix));
}

bool window_init_types(PyObject *module);
bool timestamped_init_type(PyObject *module);
/* A type derived from `base`, with methods in addition. */
PyTypeObject *type_derive(PyObject *module, PyTypeObject *base, const char *name, size_t size,
                          PyType_Slot *slots);

bool items_init_type(PyObject *module);
/* The method items(lower_bound, upper_bound, backwards, cf_name) of a transaction, or (NULL) of
 * a partition: committed items. */
PyObject *items_method(PartitionObject *partition, TransactionObject *transaction,
                       PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
/* Takes `windows` over, which may be NULL: there are none. Within a guard. */
PyObject *items_of_windows(TransactionObject *transaction, weir_windows *windows);
/* Closes the iterators of a transaction, whose objects then raise. Within a guard. */
void items_close_all(txn_handle *handle);
/* The same at the end of the object that has the handle. */
void items_drop_all(txn_handle *handle);

#endif
