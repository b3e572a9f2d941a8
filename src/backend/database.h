/*
 * A database: a backend opened at a location, with everything that the host does
 * for every backend. Finding it by its spec, parsing options, the folder and its
 * lock, the identity file, waiting and retrying, recreation after corruption, and
 * emulation of what the backend lacks. The state layer sees this and no backend.
 *
 * Files of the host in a local folder:
 *   weir.lock   JSON of the owner (pid, host, start time, timestamp) under a kernel
 *               lock (F_OFD_SETLK), which the kernel drops when the owner dies
 *   weir.json   which backend wrote the folder, and the version of the layout
 * docs/formats/folder.md describes both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_DATABASE_H
#define WEIR_BACKEND_DATABASE_H

#include <weir/backend.h>

typedef struct weir__database weir__database;

/* The options that every database has, whatever its backend; ended by a NULL name. */
enum {
    WEIR__OPEN_MAX_RETRIES,
    WEIR__OPEN_RETRY_BACKOFF,
    WEIR__ON_CORRUPTED_RECREATE,
    WEIR__DATABASE_OPTION_COUNT
};
extern const weir_option_spec weir__database_options[];

typedef struct weir__database_config {
    const char *spec;           /* "rocksdb", "fault:trace:memory", "/path/x.so" */
    const char *location;       /* local folder, URL, or "" */
    const weir_option *options; /* those of the host, of each decorator and of the backend */
    const char *label;          /* "store=default stream=flights partition=3" */
    bool create;
    bool read_only;
    /* Read beside a writer where the backend can. */
    bool beside_writer;
    /* A changelog can rebuild it: corrupted data may be destroyed and made anew. */
    bool can_rebuild;
    /* … and so may what another backend wrote. */
    bool replaces_other;
    int open_deadline_ms;      /* 0: none */
    const volatile bool *stop; /* may be NULL */
} weir__database_config;

/*
 * Checks spec and options without opening anything, so that a mistake is told when a
 * program starts and not when the first partition comes; with a location, also whether the
 * backend can keep state at a URL if it is one. *persistent [out, may be
 * NULL]: WEIR_CAP_PERSISTENT of the backend that stores.
 */
weir_status weir__database_check(const char *spec, const weir_option *options, const char *location,
                                 bool *persistent, weir_error *err);

/* Everything in the config is borrowed for the call. *database [out]. */
weir_status weir__database_open(const weir__database_config *config, weir__database **database,
                                weir_error *err);
/* NULL is allowed. The first error of closing is returned; all is released anyway. */
weir_status weir__database_close(weir__database *database, weir_error *err);
/* Removes the data and the host's files at a location that nobody has open (WEIR_LOCKED else; a
 * URL has no lock). */
weir_status weir__database_destroy(const weir__database_config *config, weir_error *err);
/* Calls visit with the location of each database of the backend at or below the URL
 * config->location. A negative return ends the walk and is returned. WEIR_UNSUPPORTED. */
weir_status weir__database_list(const weir__database_config *config,
                                weir_status (*visit)(const char *location, void *arg), void *arg,
                                weir_error *err);

/* The method table with emulation in place: every method is there (snapshot_open, checkpoint,
 * compact, stats and control may answer WEIR_UNSUPPORTED) and honours bounds, direction and
 * column families. */
const weir_backend *weir__database_backend(const weir__database *database);
weir_backend_db *weir__database_handle(const weir__database *database);
/* "backend=rocksdb store=… partition=… path=…", for messages. */
const char *weir__database_label(const weir__database *database);
const char *weir__database_spec(const weir__database *database);
/* True if open destroyed corrupted data, or that of another backend. */
bool weir__database_was_recreated(const weir__database *database);

/* Fills err with "what: message of inner (label)" and returns status, the one form in
 * which errors of a database are told. */
weir_status weir__database_error(const weir__database *database, weir_status status,
                                 const char *what, weir_error *inner, weir_error *err);

#endif
