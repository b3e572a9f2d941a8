/*
 * weir/database.h: one database of a state backend, opened by itself.
 *
 * What a store partition does to its database, for a program that looks after state rather
 * than processing records (the command `weir state` is one): find the backend, check options,
 * take the lock of a local folder, refuse a folder of another backend or of a newer Weir, and
 * supply what the backend lacks. Reading and writing then goes through the method table of
 * weir/backend.h. Keys and values are those of docs/formats/state.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_DATABASE_H
#define WEIR_DATABASE_H

#include <weir/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir__database weir_database;

/* Room for the name of a backend with its NUL. */
#define WEIR_BACKEND_NAME_SIZE 64

/*
 * Which backend keeps the database in a local folder: by what Weir noted there
 * (docs/formats/folder.md), or because RocksDB's files are there, as Quix Streams leaves them.
 * Nothing is locked or changed. backend [out], empty on failure. WEIR_NOT_FOUND: the folder is no
 * database, or is not there; WEIR_VERSION: a newer Weir wrote it; WEIR_CORRUPTED: the note can't
 * be read. Any thread.
 */
WEIR_API weir_status weir_database_identify(const char *folder,
                                            char backend[WEIR_BACKEND_NAME_SIZE], weir_error *err);

typedef struct weir_database_config {
    size_t struct_size;
    /* A spec (weir/backend.h). NULL: the backend that keeps the folder; a URL needs a spec. */
    const char *backend;
    /* A local folder, or a URL where the backend takes one. Required. */
    const char *location;
    /* As weir_state_options.state_options; NULL: defaults. */
    const weir_option *options;
    /* Who opens it, for messages: "store=default partition=3". NULL: nothing. */
    const char *label;
    /* Nothing at the location changes, and writers are kept away while it is open. Others may
     * read too. Default true. */
    bool read_only;
    /* With read_only false: make a database if there is none. Default false. */
    bool create;
    /* Waiting for a lock ends after this many ms, whatever open_max_retries says. 0: no bound. */
    int open_deadline_ms;
    /* With read_only, where the backend can (WEIR_CAP_READ_BESIDE_WRITER): writers are not kept
     * away, and one may have it open already. Else as if it were false. Default false. */
    bool beside_writer;
} weir_database_config;

WEIR_API void weir_database_config_init(weir_database_config *config);

/*
 * Everything in config is borrowed for the call. *database [out]. WEIR_NOT_FOUND, without a
 * message: no database there, and none was to be made. Other codes: docs/backends.md. Corrupted
 * data is told and left as it is. Owner thread: whoever uses the database, one at a time.
 */
WEIR_API weir_status weir_database_open(const weir_database_config *config,
                                        weir_database **database, weir_error *err);
/* NULL is allowed. The first error is returned; all is released anyway. */
WEIR_API weir_status weir_database_close(weir_database *database, weir_error *err);
/* Removes the database at config->location and the notes of the host beside it. WEIR_LOCKED:
 * somebody has it open. No database there: WEIR_OK. */
WEIR_API weir_status weir_database_destroy(const weir_database_config *config, weir_error *err);

/*
 * Calls visit with the location of each database that the backend keeps at or below
 * config->location, a URL, in any order; a negative return of visit ends the walk and is returned.
 * WEIR_UNSUPPORTED: the backend can't tell. Folders are looked through with
 * weir_database_identify.
 */
WEIR_API weir_status weir_database_list(const weir_database_config *config,
                                        weir_status (*visit)(const char *location, void *arg),
                                        void *arg, weir_error *err);

/*
 * The method table, with all that the host supplies: every method is there and keeps bounds,
 * direction and column families (snapshot_open, checkpoint, compact, stats and control may answer
 * WEIR_UNSUPPORTED), and the handle to call it with. Both are valid until the database is closed.
 */
WEIR_API const weir_backend *weir_database_backend(const weir_database *database);
WEIR_API weir_backend_db *weir_database_handle(const weir_database *database);
/* "backend=rocksdb path=…", for messages; valid until the database is closed. */
WEIR_API const char *weir_database_label(const weir_database *database);

#ifdef __cplusplus
}
#endif

#endif
