/*
 * weir/backend.h: the interface between Weir and a state backend. This is the
 * one header that the author of a backend reads.
 *
 * A backend keeps bytes in order, in column families, and changes them in
 * atomic batches. It knows nothing of windows, timestamps, changelogs or Kafka.
 *
 * It is a binary interface. A backend is built once, in any language that can
 * export a C function, and works with later versions of Weir:
 *
 *   - a plugin (.so) exports one function, weir_backend_get (see the end of this
 *     file), which returns a const struct weir_backend;
 *   - the struct starts with its own size and grows only at its end. The host
 *     copies min(struct_size, its own size), clears the rest, and validates at
 *     load: a missing required method, or a capability without its method, is
 *     an error that names it;
 *   - a plugin links nothing of Weir. What it needs of the host (logging, error
 *     messages) it gets through weir_backend_host.
 *
 * What the host does for every backend, so that a backend does not: parse and
 * check options, wait for and hold the lock of a local folder, refuse a folder
 * that another backend wrote, recreate a corrupted database when that is safe,
 * and emulate what `capabilities` says is missing (except the atomic batch).
 *
 * Words used in the contracts:
 *   borrowed       valid until the call returns, unless another end is named
 *   [out]          written on every path, also on failure (then NULL, 0 or empty)
 *   owner thread   one thread at a time may call; the host moves a database from
 *                  one thread to another only with a memory barrier between
 *   required       the host refuses a backend without it; the others may be NULL
 *
 * Every method returns WEIR_OK or a negative weir_status. Text is for people:
 * the host decides by code alone. A method that fails for the reason in the
 * first column must return the code in the second:
 *
 *   key or column family not there                   WEIR_NOT_FOUND
 *   another process or handle has the database open  WEIR_LOCKED
 *   stored bytes that can't be right                 WEIR_CORRUPTED
 *   a newer writer has taken over                    WEIR_FENCED
 *   no space, quota used up                          WEIR_NO_SPACE
 *   other failures of disk or network                WEIR_IO
 *   may work later without any change                WEIR_BUSY
 *   not something this backend does                  WEIR_UNSUPPORTED
 *   out of memory                                    WEIR_NO_MEMORY
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_H
#define WEIR_BACKEND_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised only when an existing layout changes; appending a method does not. */
#define WEIR_BACKEND_ABI_VERSION 1u

/* Opaque to the host; each backend defines its own. */
typedef struct weir_backend_db weir_backend_db;
typedef struct weir_backend_cf weir_backend_cf;
typedef struct weir_backend_iter weir_backend_iter;
typedef struct weir_backend_snapshot weir_backend_snapshot;

typedef struct weir_backend weir_backend;

/* The column family that every database has. */
#define WEIR_BACKEND_DEFAULT_CF "default"

/* ---------------------------------------------------------------------------
 * Capabilities
 * ------------------------------------------------------------------------- */

/* Keeps column families apart itself. Without: emulated by key prefix. */
#define WEIR_CAP_COLUMN_FAMILIES (UINT64_C(1) << 0)
/* write() applies a batch over all column families wholly or not at all, also
 * when the process is killed inside it. Without: refused at open. */
#define WEIR_CAP_ATOMIC_BATCH (UINT64_C(1) << 1)
/* iter_open honours lower and upper. Without: the host filters a full scan. */
#define WEIR_CAP_BOUNDED_ITERATION (UINT64_C(1) << 2)
/* iter_open honours reverse. Without: the host reads forward and turns around. */
#define WEIR_CAP_REVERSE_ITERATION (UINT64_C(1) << 3)
/* snapshot_open and snapshot_close exist. An iterator reads a consistent state
 * as of iter_open with or without this capability. */
#define WEIR_CAP_SNAPSHOTS (UINT64_C(1) << 4)
/* write() with WEIR_WRITE_SYNC survives power loss once it has returned. */
#define WEIR_CAP_DURABLE_ON_WRITE (UINT64_C(1) << 5)
/* Locations may be URLs of an object store; a newer writer fences an older. */
#define WEIR_CAP_OBJECT_STORAGE (UINT64_C(1) << 6)
/* get, multi_get and iterators may run in several threads beside one writer. */
#define WEIR_CAP_CONCURRENT_READERS (UINT64_C(1) << 7)
/* What was written is there after close and open. Without (memory): a store
 * is rebuilt from its changelog each time. */
#define WEIR_CAP_PERSISTENT (UINT64_C(1) << 8)
/* Wraps another backend: open receives it in args->inner. Its name may stand
 * before another with a colon, as in "trace:rocksdb". */
#define WEIR_CAP_DECORATOR (UINT64_C(1) << 9)
/* A database may be opened read_only, in any process, while a writer has it open: it shows what
 * was stored at one moment, and the writer does not notice. What the writer has replaced
 * meanwhile and removed is WEIR_BUSY. */
#define WEIR_CAP_READ_BESIDE_WRITER (UINT64_C(1) << 10)

/* ---------------------------------------------------------------------------
 * Options
 *
 * A backend declares what can be set in a table. The host parses key=value text
 * by it, refuses unknown keys and values out of range with a message that lists
 * the known keys, fills in the defaults, and hands open() one typed value per
 * row, in the order of the table.
 * ------------------------------------------------------------------------- */

typedef enum weir_option_type {
    WEIR_OPTION_BOOL = 0,   /* true/false, on/off, yes/no, 1/0 */
    WEIR_OPTION_INT = 1,    /* decimal, minimum ≤ value ≤ maximum */
    WEIR_OPTION_SIZE = 2,   /* bytes: decimal with an optional KiB, MiB, GiB, or k, m, g */
    WEIR_OPTION_DOUBLE = 3, /* decimal, minimum ≤ value ≤ maximum */
    WEIR_OPTION_STRING = 4, /* any text; a default of NULL means "not set" */
    WEIR_OPTION_CHOICE = 5  /* one of `choices`, separated by '|' */
} weir_option_type;

typedef struct weir_option_spec {
    const char *name;
    weir_option_type type;
    const char *default_value; /* as text */
    const char *choices;       /* for WEIR_OPTION_CHOICE: "none|snappy|lz4" */
    double minimum;            /* for INT, SIZE and DOUBLE; ignored if both are 0 */
    double maximum;
    const char *help; /* one line, with the unit */
} weir_option_spec;

/* The member that holds the value is told by the row's type. */
typedef struct weir_option_value {
    bool is_set;        /* given by the user, not by default */
    bool boolean;       /* BOOL */
    int64_t integer;    /* INT, SIZE; CHOICE: the index into choices */
    double number;      /* DOUBLE */
    const char *string; /* STRING, CHOICE; borrowed until close() */
} weir_option_value;

/* ---------------------------------------------------------------------------
 * What open() receives
 * ------------------------------------------------------------------------- */

/* What the host offers to a backend. Valid until the process ends. Any thread. */
typedef struct weir_backend_host {
    size_t struct_size;
    /* Emits a log event; see weir_log in base.h. message is complete text. */
    void (*log)(weir_log_level level, const char *event, const char *message);
    /* Fills err (may be NULL) with status and a complete message; returns status. */
    weir_status (*error)(weir_error *err, weir_status status, const char *message);
    /* The threshold of the log: what is above it is dropped, and need not be built. */
    weir_log_level (*log_level)(void);
} weir_backend_host;

typedef struct weir_backend_open_args {
    size_t struct_size;
    const weir_backend_host *host;
    /* A local folder (exists, is locked by the host), a URL, or "" for backends
     * that keep nothing. Borrowed until close(). */
    const char *location;
    /* "backend=rocksdb store=default partition=3 path=…": put it into messages.
     * Borrowed until close(). */
    const char *label;
    /* One value for each row of backend->options. Borrowed until close(). */
    const weir_option_value *options;
    /* Create the database if there is none; else that is WEIR_NOT_FOUND. */
    bool create;
    /* write, cf_drop, … fail with WEIR_UNSUPPORTED; nothing at the location changes. */
    bool read_only;
    /* For WEIR_CAP_DECORATOR: the wrapped backend and the arguments to open it
     * with (its own option values; same location, label and flags). The inner table
     * is complete: the host has filled in and emulated what its backend lacks, and its
     * capabilities tell what holds now. */
    const weir_backend *inner;
    const struct weir_backend_open_args *inner_args;
} weir_backend_open_args;

/* ---------------------------------------------------------------------------
 * Values, batches, iterators
 * ------------------------------------------------------------------------- */

/*
 * A value that get() hands out without copying where the engine allows it. The
 * bytes are valid until value_release; owner belongs to the backend.
 */
typedef struct weir_backend_value {
    const void *data;
    size_t size;
    void *owner;
} weir_backend_value;

typedef enum weir_backend_op_kind {
    WEIR_OP_PUT = 1,
    WEIR_OP_DELETE = 2 /* of a key that is not there: no error */
} weir_backend_op_kind;

/* One change. The layout is frozen: arrays of it cross the border. */
typedef struct weir_backend_op {
    uint32_t kind;     /* weir_backend_op_kind */
    uint32_t reserved; /* 0 */
    weir_backend_cf *cf;
    weir_slice key;
    weir_slice value; /* PUT only */
} weir_backend_op;

/* write(): return only when the batch would survive power loss. */
#define WEIR_WRITE_SYNC (UINT32_C(1) << 0)

typedef struct weir_backend_iter_args {
    size_t struct_size;
    /* Items with lower ≤ key < upper. has_lower/has_upper false: no bound on that
     * side. lower ≥ upper is an empty range. Borrowed until iter_close. */
    weir_slice lower;
    weir_slice upper;
    bool has_lower;
    bool has_upper;
    bool reverse; /* descending order; the bounds mean the same */
    /* NULL: as of iter_open. */
    weir_backend_snapshot *snapshot;
} weir_backend_iter_args;

/* ---------------------------------------------------------------------------
 * The method table
 *
 * Keys are 0 to 65,535 bytes (a backend without WEIR_CAP_COLUMN_FAMILIES should take two more,
 * for the host's prefix, or says WEIR_TOO_LARGE), values 0 to 2^31−1 bytes, both any bytes; the
 * order is that of unsigned bytes, a prefix before what it begins.
 * ------------------------------------------------------------------------- */

struct weir_backend {
    size_t struct_size;              /* sizeof(weir_backend) as the backend was built */
    uint32_t abi_version;            /* WEIR_BACKEND_ABI_VERSION */
    uint32_t reserved;               /* 0 */
    const char *name;                /* [a-z][a-z0-9_]*, what users select it by */
    const char *version;             /* of the backend and its engine, "rocksdb 7.8.3" */
    uint64_t capabilities;           /* WEIR_CAP_… */
    const weir_option_spec *options; /* ended by a row with name NULL; NULL: none */

    /*
     * Required. Since 1. Opens the database at args->location. Must not wait for
     * locks: WEIR_LOCKED at once, the host retries. A method that finds damage
     * while it opens says WEIR_CORRUPTED. *db [out]. Any thread.
     */
    weir_status (*open)(const weir_backend_open_args *args, weir_backend_db **db, weir_error *err);

    /*
     * Required. Since 1. Releases everything, also when it returns an error. The
     * host has closed all iterators, snapshots and values before. Owner thread.
     */
    weir_status (*close)(weir_backend_db *db, weir_error *err);

    /*
     * Required. Since 1. Removes all that the backend keeps at args->location,
     * and nothing else; the location itself and files named "weir.*" stay. No
     * database there: WEIR_OK. Called on a location that is not open. Any thread.
     */
    weir_status (*destroy)(const weir_backend_open_args *args, weir_error *err);

    /*
     * cf_open: required. The handle of a column family, created if it is missing
     * and `create`, else WEIR_NOT_FOUND. Two calls for one name give the same
     * handle; it lives until cf_drop or close. A backend without
     * WEIR_CAP_COLUMN_FAMILIES knows "default" alone and answers any other name
     * with WEIR_UNSUPPORTED. *cf [out].
     * cf_drop: with WEIR_CAP_COLUMN_FAMILIES. Removes the family, its items and
     * its handle; "default" can't be dropped (WEIR_INVALID).
     * cf_list: required. Calls visit once for each family, in any order; a
     * negative return of visit ends the walk and is returned.
     * All since 1. Owner thread.
     */
    weir_status (*cf_open)(weir_backend_db *db, const char *name, bool create, weir_backend_cf **cf,
                           weir_error *err);
    weir_status (*cf_drop)(weir_backend_db *db, const char *name, weir_error *err);
    weir_status (*cf_list)(weir_backend_db *db, weir_status (*visit)(const char *name, void *arg),
                           void *arg, weir_error *err);

    /*
     * Required. Since 1. The value of key, or WEIR_NOT_FOUND. snapshot NULL: the
     * latest. On WEIR_OK the caller calls value_release once. *value [out].
     * Owner thread; any thread with WEIR_CAP_CONCURRENT_READERS.
     */
    weir_status (*get)(weir_backend_db *db, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                       weir_slice key, weir_backend_value *value, weir_error *err);

    /*
     * Optional (the host loops over get). Since 1. statuses[i] is WEIR_OK,
     * WEIR_NOT_FOUND or the failure of keys[i]; the return value is that of the
     * call as a whole. Each values[i] with WEIR_OK is released by the caller.
     */
    weir_status (*multi_get)(weir_backend_db *db, weir_backend_cf *cf,
                             weir_backend_snapshot *snapshot, const weir_slice *keys, size_t count,
                             weir_backend_value *values, weir_status *statuses, weir_error *err);

    /* Required. Since 1. Ends the life of a value; a value of size 0 and owner NULL is allowed. */
    void (*value_release)(weir_backend_db *db, weir_backend_value *value);

    /*
     * Required. Since 1. Applies ops[0…count) in order, atomically over all column
     * families: a later op on a key wins. Keys and values are copied. After a
     * failure nothing of the batch is visible, now or after a restart. flags:
     * WEIR_WRITE_…. Owner thread.
     */
    weir_status (*write)(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                         uint32_t flags, weir_error *err);

    /*
     * iter_open: required. An iterator before its first item, on the state as of
     * this call (or the snapshot): later writes are not seen. Bounds and
     * direction are ignored by a backend without the capability. *iter [out].
     * iter_next: required. Moves to the next item and hands it out, or
     * WEIR_NOT_FOUND at the end, and again at each further call. *key and *value
     * [out] are borrowed until the next call on this iterator.
     * iter_seek: optional (the host opens anew). The next iter_next gives the first
     * item with key ≥ target (reverse: ≤ target) within the bounds.
     * iter_close: required. NULL is allowed.
     * All since 1. The thread that opened it, or the owner thread.
     */
    weir_status (*iter_open)(weir_backend_db *db, weir_backend_cf *cf,
                             const weir_backend_iter_args *args, weir_backend_iter **iter,
                             weir_error *err);
    weir_status (*iter_next)(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                             weir_error *err);
    weir_status (*iter_seek)(weir_backend_iter *iter, weir_slice target, weir_error *err);
    void (*iter_close)(weir_backend_iter *iter);

    /*
     * Required. Since 1. Makes all that was written survive the end of the
     * process and power loss (where WEIR_CAP_PERSISTENT). Owner thread.
     */
    weir_status (*flush)(weir_backend_db *db, weir_error *err);

    /* With WEIR_CAP_SNAPSHOTS. Since 1. *snapshot [out]. Owner thread. */
    weir_status (*snapshot_open)(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                 weir_error *err);
    void (*snapshot_close)(weir_backend_db *db, weir_backend_snapshot *snapshot);

    /*
     * Optional. Since 1. A consistent copy of the database at another location,
     * which does not exist yet; it can be opened like any other. Owner thread.
     */
    weir_status (*checkpoint)(weir_backend_db *db, const char *location, weir_error *err);

    /* Optional. Since 1. Compacts [lower, upper) of a family; both empty: all of it. */
    weir_status (*compact)(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                           weir_slice upper, weir_error *err);

    /*
     * Optional. Since 1. Calls visit for each figure the backend can tell, with a
     * name such as "bytes.disk", "bytes.memory", "keys.estimated". Owner thread.
     */
    weir_status (*stats)(weir_backend_db *db,
                         void (*visit)(const char *name, uint64_t value, void *arg), void *arg,
                         weir_error *err);

    /*
     * Optional. Since 1. Room for what comes later without a new method. op is a
     * name; an unknown one is WEIR_UNSUPPORTED. What arg is depends on op.
     * Known names of the decorators are in docs/backends.md. "clone": arg is a location, as for
     * checkpoint(); the new database shares files with this one, so that it costs the same
     * however much there is, and destroy() of this one is WEIR_BUSY as long as they are needed.
     */
    weir_status (*control)(weir_backend_db *db, const char *op, void *arg, weir_error *err);

    /*
     * Optional; what a backend with WEIR_CAP_OBJECT_STORAGE needs for its state to be removed as
     * a whole, as nothing else can look there. Since 1. Calls visit with the location of each
     * database of the backend at or below args->location, in any order, borrowed for the call; a
     * negative return of visit ends the walk and is returned. visit may destroy what it is told.
     * None: WEIR_OK. Any thread.
     */
    weir_status (*list)(const weir_backend_open_args *args,
                        weir_status (*visit)(const char *location, void *arg), void *arg,
                        weir_error *err);
};

/* ---------------------------------------------------------------------------
 * The entry of a plugin
 *
 * Exported under this name; returns a struct that lives until the process ends,
 * or NULL if it can't work with the host's version.
 * ------------------------------------------------------------------------- */

#define WEIR_BACKEND_ENTRY "weir_backend_get"
typedef const weir_backend *(*weir_backend_get_fn)(uint32_t host_abi_version);

/* ---------------------------------------------------------------------------
 * The host's side: finding backends. A plugin calls none of these.
 *
 * A spec is a name ("rocksdb", "memory"), the path of a .so (it has a '/'), or a
 * decorator in front of a spec ("trace:rocksdb", "fault:trace:memory"). A name
 * is looked for among the registered ones, then as libweir_NAME.so in the
 * folders of WEIR_BACKEND_PATH (separated by ':'), then in the install folder;
 * never in the current folder.
 * ------------------------------------------------------------------------- */

/*
 * Validates a backend and adds it under its name. backend must live until the
 * process ends. WEIR_INVALID names what is missing or that the name is taken;
 * WEIR_VERSION: another abi_version. Any thread.
 */
WEIR_API weir_status weir_backend_register(const weir_backend *backend, weir_error *err);

/*
 * Finds and, if need be, loads the single backend of a name or path (not a
 * decorated spec). *backend [out] lives until the process ends. WEIR_NOT_FOUND
 * with a message (this once) that says where it looked. Any thread.
 */
WEIR_API weir_status weir_backend_find(const char *name, const weir_backend **backend,
                                       weir_error *err);

/*
 * Turns key=value pairs (NULL: none) into one typed value for each row of
 * backend->options, as open() receives them; values has room for all rows.
 * WEIR_INVALID lists the known keys. Strings are borrowed from pairs and table.
 * For programs that drive a backend themselves, such as the conformance kit.
 * Any thread.
 */
WEIR_API weir_status weir_backend_parse_options(const weir_backend *backend,
                                                const weir_option *pairs, weir_option_value *values,
                                                weir_error *err);

/* Calls visit for each registered or findable backend, by name. Any thread. */
WEIR_API void weir_backend_each(void (*visit)(const weir_backend *backend, const char *origin,
                                              void *arg),
                                void *arg);

#ifdef __cplusplus
}
#endif

#endif
