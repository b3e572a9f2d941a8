/*
 * The decorator "trace". Like a plugin, it uses nothing of Weir but weir/backend.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/trace/trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of a key that a log line shows. */
#define KEY_SHOWN 48

#define EVENT "backend.call"

/* The kinds of calls: constant, name. */
#define KINDS(X)                                                                                   \
    X(CF_OPEN, "cf_open")                                                                          \
    X(CF_DROP, "cf_drop")                                                                          \
    X(CF_LIST, "cf_list")                                                                          \
    X(GET, "get")                                                                                  \
    X(MULTI_GET, "multi_get")                                                                      \
    X(WRITE, "write")                                                                              \
    X(ITER_OPEN, "iter_open")                                                                      \
    X(ITER_NEXT, "iter_next")                                                                      \
    X(ITER_SEEK, "iter_seek")                                                                      \
    X(FLUSH, "flush")                                                                              \
    X(SNAPSHOT_OPEN, "snapshot_open")                                                              \
    X(CHECKPOINT, "checkpoint")                                                                    \
    X(COMPACT, "compact")

typedef enum call_kind {
#define KIND_ENUM(constant, name) KIND_##constant,
    KINDS(KIND_ENUM)
#undef KIND_ENUM
        KIND_COUNT
} call_kind;

static const char *const kind_names[] = {
#define KIND_NAME(constant, name) name,
    KINDS(KIND_NAME)
#undef KIND_NAME
};

enum option_row { ROW_LOG };

static const weir_option_spec option_table[] = {
    [ROW_LOG] = {"log", WEIR_OPTION_BOOL, "true", NULL, 0, 0,
                 "log each call at TRACE, besides counting it"},
    {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

/* Readers may run in several threads. */
typedef struct counter {
    _Atomic uint64_t calls;
    _Atomic uint64_t failures;
    _Atomic uint64_t items; /* keys of multi_get, changes of write */
    _Atomic uint64_t bytes; /* of keys and values, in either direction */
    _Atomic uint64_t nanoseconds;
} counter;

/* The names of column families, for log lines. */
typedef struct cf_name {
    const weir_backend_cf *cf;
    char *name;
    struct cf_name *next;
} cf_name;

struct weir_backend_db {
    const weir_backend *inner;
    weir_backend_db *inner_db;
    const weir_backend_host *host;
    const char *label;
    bool logs;
    counter counters[KIND_COUNT];
    pthread_mutex_t names_lock;
    cf_name *names;
};

struct weir_backend_iter {
    weir_backend_db *db;
    weir_backend_iter *inner;
    const weir_backend_cf *cf;
};

/* ------------------------------------------------------------- counting a call */

typedef struct call {
    weir_backend_db *db;
    call_kind kind;
    uint64_t began;
    uint64_t items;
    uint64_t bytes;
    /* For the log line. */
    const weir_backend_cf *cf;
    const weir_slice *key;
    const char *text;
} call;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static call begin(weir_backend_db *db, call_kind kind)
{
    return (call){.db = db, .kind = kind, .began = now()};
}

static bool is_logging(const weir_backend_db *db)
{
    return db->logs && db->host->log_level() >= WEIR_LOG_TRACE;
}

/* Printable bytes as they are, others as \xNN, in quotes. */
static void show_key(weir_slice key, char *out, size_t size)
{
    const uint8_t *bytes = key.data;
    size_t shown = key.size < KEY_SHOWN ? key.size : KEY_SHOWN;
    size_t used = (size_t)snprintf(out, size, " key=\"");
    for (size_t i = 0; i < shown; i++) {
        bool plain = bytes[i] >= 0x20 && bytes[i] < 0x7F && bytes[i] != '"' && bytes[i] != '\\';
        used += (size_t)snprintf(out + used, size - used, plain ? "%c" : "\\x%02x", bytes[i]);
    }
    snprintf(out + used, size - used, shown < key.size ? "…\"" : "\"");
}

static void log_call(const call *c, weir_status status, uint64_t nanoseconds)
{
    weir_backend_db *db = c->db;
    char message[768];
    char key[16 + 4 * KEY_SHOWN] = "";
    char family[128] = "";
    if (c->key != NULL)
        show_key(*c->key, key, sizeof key);
    if (c->cf != NULL) {
        pthread_mutex_lock(&db->names_lock);
        const cf_name *found = db->names;
        while (found != NULL && found->cf != c->cf)
            found = found->next;
        snprintf(family, sizeof family, " cf=%s", found != NULL ? found->name : "?");
        pthread_mutex_unlock(&db->names_lock);
    }
    snprintf(message, sizeof message,
             "%s%s%s%s%s: status %d, %" PRIu64 " items, %" PRIu64 " bytes, %" PRIu64 " ns (%s)",
             kind_names[c->kind], family, key, c->text != NULL ? " " : "",
             c->text != NULL ? c->text : "", (int)status, c->items, c->bytes, nanoseconds,
             db->label);
    db->host->log(WEIR_LOG_TRACE, EVENT, message);
}

static void add(_Atomic uint64_t *figure, uint64_t value)
{
    atomic_fetch_add_explicit(figure, value, memory_order_relaxed);
}

static weir_status end(const call *c, weir_status status)
{
    uint64_t nanoseconds = now() - c->began;
    counter *figures = &c->db->counters[c->kind];
    add(&figures->calls, 1);
    add(&figures->items, c->items);
    add(&figures->bytes, c->bytes);
    add(&figures->nanoseconds, nanoseconds);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        add(&figures->failures, 1);
    if (is_logging(c->db))
        log_call(c, status, nanoseconds);
    return status;
}

/* -------------------------------------------------------------- open and close */

static weir_status trace_open(const weir_backend_open_args *args, weir_backend_db **db,
                              weir_error *err)
{
    *db = NULL;
    weir_backend_db *made = calloc(1, sizeof *made);
    if (made == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "no memory for the trace decorator");
    made->inner = args->inner;
    made->host = args->host;
    made->label = args->label;
    made->logs = args->options[ROW_LOG].boolean;
    pthread_mutex_init(&made->names_lock, NULL);
    weir_status status = made->inner->open(args->inner_args, &made->inner_db, err);
    if (status != WEIR_OK) {
        pthread_mutex_destroy(&made->names_lock);
        free(made);
        return status;
    }
    *db = made;
    return WEIR_OK;
}

/* One line with what was called, as the last word on a database. */
static void log_summary(const weir_backend_db *db)
{
    char message[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < KIND_COUNT && used < sizeof message; i++) {
        const counter *figures = &db->counters[i];
        if (figures->calls == 0)
            continue;
        int added = snprintf(message + used, sizeof message - used,
                             "%s %" PRIu64 " calls, %" PRIu64 " failed, %" PRIu64 " ns each; ",
                             kind_names[i], figures->calls, figures->failures,
                             figures->nanoseconds / figures->calls);
        used += added > 0 ? (size_t)added : 0;
    }
    if (used < sizeof message)
        snprintf(message + used, sizeof message - used, "(%s)", db->label);
    db->host->log(WEIR_LOG_INFO, "backend.calls", message);
}

static weir_status trace_close(weir_backend_db *db, weir_error *err)
{
    log_summary(db);
    weir_status status = db->inner->close(db->inner_db, err);
    while (db->names != NULL) {
        cf_name *name = db->names;
        db->names = name->next;
        free(name->name);
        free(name);
    }
    pthread_mutex_destroy(&db->names_lock);
    free(db);
    return status;
}

static weir_status trace_destroy(const weir_backend_open_args *args, weir_error *err)
{
    return args->inner->destroy(args->inner_args, err);
}

/* ------------------------------------------------------------ column families */

/* A name that is not remembered for want of memory is shown as "?". */
static void remember_name(weir_backend_db *db, const weir_backend_cf *cf, const char *text)
{
    pthread_mutex_lock(&db->names_lock);
    cf_name *name = db->names;
    while (name != NULL && name->cf != cf)
        name = name->next;
    if (name == NULL && (name = calloc(1, sizeof *name)) != NULL) {
        name->cf = cf;
        name->name = strdup(text);
        if (name->name == NULL) {
            free(name);
        } else {
            name->next = db->names;
            db->names = name;
        }
    }
    pthread_mutex_unlock(&db->names_lock);
}

static void forget_name(weir_backend_db *db, const char *text)
{
    pthread_mutex_lock(&db->names_lock);
    cf_name **at = &db->names;
    while (*at != NULL && strcmp((*at)->name, text) != 0)
        at = &(*at)->next;
    cf_name *name = *at;
    if (name != NULL) {
        *at = name->next;
        free(name->name);
        free(name);
    }
    pthread_mutex_unlock(&db->names_lock);
}

static weir_status trace_cf_open(weir_backend_db *db, const char *name, bool create,
                                 weir_backend_cf **cf, weir_error *err)
{
    call c = begin(db, KIND_CF_OPEN);
    c.text = name;
    weir_status status = db->inner->cf_open(db->inner_db, name, create, cf, err);
    if (status == WEIR_OK)
        remember_name(db, *cf, name);
    return end(&c, status);
}

static weir_status trace_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    call c = begin(db, KIND_CF_DROP);
    c.text = name;
    weir_status status = db->inner->cf_drop(db->inner_db, name, err);
    if (status == WEIR_OK)
        forget_name(db, name);
    return end(&c, status);
}

static weir_status trace_cf_list(weir_backend_db *db,
                                 weir_status (*visit)(const char *name, void *arg), void *arg,
                                 weir_error *err)
{
    call c = begin(db, KIND_CF_LIST);
    return end(&c, db->inner->cf_list(db->inner_db, visit, arg, err));
}

/* ---------------------------------------------------------------------- reads */

static weir_status trace_get(weir_backend_db *db, weir_backend_cf *cf,
                             weir_backend_snapshot *snapshot, weir_slice key,
                             weir_backend_value *value, weir_error *err)
{
    call c = begin(db, KIND_GET);
    c.cf = cf;
    c.key = &key;
    weir_status status = db->inner->get(db->inner_db, cf, snapshot, key, value, err);
    c.bytes = key.size + (status == WEIR_OK ? value->size : 0);
    return end(&c, status);
}

static weir_status trace_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                   weir_backend_snapshot *snapshot, const weir_slice *keys,
                                   size_t count, weir_backend_value *values, weir_status *statuses,
                                   weir_error *err)
{
    call c = begin(db, KIND_MULTI_GET);
    c.cf = cf;
    c.items = count;
    weir_status status =
        db->inner->multi_get(db->inner_db, cf, snapshot, keys, count, values, statuses, err);
    for (size_t i = 0; i < count; i++)
        c.bytes += keys[i].size + (statuses[i] == WEIR_OK ? values[i].size : 0);
    return end(&c, status);
}

static void trace_value_release(weir_backend_db *db, weir_backend_value *value)
{
    db->inner->value_release(db->inner_db, value);
}

/* ------------------------------------------------------------- writes and others */

static weir_status trace_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                               uint32_t flags, weir_error *err)
{
    call c = begin(db, KIND_WRITE);
    c.items = count;
    for (size_t i = 0; i < count; i++)
        c.bytes += ops[i].key.size + (ops[i].kind == WEIR_OP_PUT ? ops[i].value.size : 0);
    c.text = (flags & WEIR_WRITE_SYNC) != 0 ? "sync" : NULL;
    return end(&c, db->inner->write(db->inner_db, ops, count, flags, err));
}

static weir_status trace_flush(weir_backend_db *db, weir_error *err)
{
    call c = begin(db, KIND_FLUSH);
    return end(&c, db->inner->flush(db->inner_db, err));
}

static weir_status trace_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                       weir_error *err)
{
    call c = begin(db, KIND_SNAPSHOT_OPEN);
    return end(&c, db->inner->snapshot_open(db->inner_db, snapshot, err));
}

static void trace_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    db->inner->snapshot_close(db->inner_db, snapshot);
}

static weir_status trace_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    call c = begin(db, KIND_CHECKPOINT);
    c.text = location;
    return end(&c, db->inner->checkpoint(db->inner_db, location, err));
}

static weir_status trace_compact(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                                 weir_slice upper, weir_error *err)
{
    call c = begin(db, KIND_COMPACT);
    c.cf = cf;
    return end(&c, db->inner->compact(db->inner_db, cf, lower, upper, err));
}

/* ------------------------------------------------------------------- iteration */

static weir_status trace_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                   const weir_backend_iter_args *args, weir_backend_iter **iter,
                                   weir_error *err)
{
    *iter = NULL;
    weir_backend_iter *made = malloc(sizeof *made);
    if (made == NULL)
        return db->host->error(err, WEIR_NO_MEMORY, "no memory for an iterator of trace");
    call c = begin(db, KIND_ITER_OPEN);
    c.cf = cf;
    c.key = args->has_lower ? &args->lower : NULL;
    c.text = args->reverse ? "reverse" : NULL;
    made->db = db;
    made->cf = cf;
    weir_status status = db->inner->iter_open(db->inner_db, cf, args, &made->inner, err);
    if (status != WEIR_OK)
        free(made);
    else
        *iter = made;
    return end(&c, status);
}

static weir_status trace_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                   weir_error *err)
{
    call c = begin(iter->db, KIND_ITER_NEXT);
    weir_status status = iter->db->inner->iter_next(iter->inner, key, value, err);
    c.cf = iter->cf;
    if (status == WEIR_OK) {
        c.key = key;
        c.bytes = key->size + value->size;
    }
    return end(&c, status);
}

static weir_status trace_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    call c = begin(iter->db, KIND_ITER_SEEK);
    c.cf = iter->cf;
    c.key = &target;
    c.bytes = target.size;
    return end(&c, iter->db->inner->iter_seek(iter->inner, target, err));
}

static void trace_iter_close(weir_backend_iter *iter)
{
    if (iter == NULL)
        return;
    iter->db->inner->iter_close(iter->inner);
    free(iter);
}

/* --------------------------------------------------------------------- figures */

typedef struct figure_name {
    const char *name;
    size_t offset;
} figure_name;

static const figure_name figure_names[] = {
    {"calls", offsetof(counter, calls)},
    {"failures", offsetof(counter, failures)},
    {"items", offsetof(counter, items)},
    {"bytes", offsetof(counter, bytes)},
    {"nanoseconds", offsetof(counter, nanoseconds)},
};

static weir_status trace_stats(weir_backend_db *db,
                               void (*visit)(const char *name, uint64_t value, void *arg),
                               void *arg, weir_error *err)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        for (size_t j = 0; j < sizeof figure_names / sizeof figure_names[0]; j++) {
            char name[64];
            const char *at = (const char *)&db->counters[i] + figure_names[j].offset;
            snprintf(name, sizeof name, "trace.%s.%s", kind_names[i], figure_names[j].name);
            visit(name,
                  atomic_load_explicit((const _Atomic uint64_t *)(const void *)at,
                                       memory_order_relaxed),
                  arg);
        }
    }
    /* The backend behind may have no figures: those above are there anyway. */
    weir_status status = db->inner->stats(db->inner_db, visit, arg, err);
    return status == WEIR_UNSUPPORTED ? WEIR_OK : status;
}

static weir_status trace_control(weir_backend_db *db, const char *op, void *arg, weir_error *err)
{
    if (strcmp(op, "trace.reset") != 0)
        return db->inner->control(db->inner_db, op, arg, err);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        counter *figures = &db->counters[i];
        figures->calls = 0;
        figures->failures = 0;
        figures->items = 0;
        figures->bytes = 0;
        figures->nanoseconds = 0;
    }
    return WEIR_OK;
}

static const weir_backend trace_backend = {
    .struct_size = sizeof(weir_backend),
    .abi_version = WEIR_BACKEND_ABI_VERSION,
    .name = "trace",
    .version = "trace " WEIR_VERSION_STRING,
    /* What the backend behind it can do, it passes on. */
    .capabilities = (WEIR_CAP_DECORATOR << 1) - 1,
    .options = option_table,
    .open = trace_open,
    .close = trace_close,
    .destroy = trace_destroy,
    .cf_open = trace_cf_open,
    .cf_drop = trace_cf_drop,
    .cf_list = trace_cf_list,
    .get = trace_get,
    .multi_get = trace_multi_get,
    .value_release = trace_value_release,
    .write = trace_write,
    .iter_open = trace_iter_open,
    .iter_next = trace_iter_next,
    .iter_seek = trace_iter_seek,
    .iter_close = trace_iter_close,
    .flush = trace_flush,
    .snapshot_open = trace_snapshot_open,
    .snapshot_close = trace_snapshot_close,
    .checkpoint = trace_checkpoint,
    .compact = trace_compact,
    .stats = trace_stats,
    .control = trace_control,
};

const weir_backend *weir__backend_trace(void)
{
    return &trace_backend;
}
