/*
 * `weir state`: what its files share. Each file has one subject:
 *
 *   state.c            subcommands, their options, help
 *   state_location.c   from LOCATION to databases: found, opened, their families and kind
 *   state_layout.c     what the bytes of a row mean (docs/formats/state.md)
 *   state_text.c       rows, bytes and times as text and as JSON
 *   state_rows.c       walking over the rows that a request asks for
 *   state_look.c       info, get, scan, count
 *   state_check.c      digest, verify, diff
 *   state_dump.c       dump, load; the format is in dump.h
 *   state_target.c     where load and migrate build, and how it becomes visible
 *   state_folder.c     folders: made, removed, made durable, given to an owner
 *   state_writer.c     rows into batches
 *   state_migrate.c    migrate
 *   state_progress.c   progress on stderr
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TOOLS_STATE_H
#define WEIR_TOOLS_STATE_H

#include <limits.h>
#include <stdio.h>
#include <weir/database.h>

#include "digest.h"
#include "tool.h"

/* ------------------------------------------------------------------ the request */

#define STATE_OPTIONS_MAX 64

typedef struct state_bytes {
    bool is_set;
    uint8_t *data; /* owned */
    size_t size;
} state_bytes;

typedef struct state_time {
    bool is_set;
    uint64_t ms;
} state_time;

typedef enum state_output {
    STATE_READABLE = 0,
    STATE_RAW,  /* as stored, without meaning; what does not print is escaped */
    STATE_HEX,  /* the same in hexadecimal */
    STATE_JSON, /* one object a line */
} state_output;

typedef enum state_kind {
    STATE_KIND_AUTO = 0, /* by what the database holds */
    STATE_KIND_PLAIN,
    STATE_KIND_TTL,
    STATE_KIND_WINDOWED,
    STATE_KIND_TIMESTAMPED,
} state_kind;

/* One command line, read. Strings are borrowed from the arguments. */
typedef struct state_request {
    const char *command;
    const char *operands[2];
    size_t operand_count;
    const char *from; /* migrate */
    const char *to;
    weir_option options[STATE_OPTIONS_MAX + 1];
    size_t option_count;
    weir_option from_options[STATE_OPTIONS_MAX + 1];
    size_t from_option_count;
    const char *family; /* NULL: default; "all" */
    state_bytes prefix;
    state_bytes key;
    state_bytes lower;
    state_bytes upper;
    state_time since;
    state_time until;
    uint64_t limit; /* 0: none */
    state_output output;
    state_kind kind;
    bool reverse;
    bool keep;
    bool progress;
} state_request;

/* The subcommands; each returns an exit code. */
int state_info(const state_request *request);
int state_get(const state_request *request);
int state_scan(const state_request *request);
int state_count(const state_request *request);
int state_verify(const state_request *request);
int state_diff(const state_request *request);
int state_dump(const state_request *request);
int state_load(const state_request *request);
int state_migrate(const state_request *request);
int state_clone(const state_request *request);

const char *state_kind_name(state_kind kind);

/* ----------------------------------------------------------- locations, databases */

typedef struct state_location {
    const char *text; /* as given */
    char *spec;       /* NULL: what the folder says */
    char *path;       /* a folder without '/' at its end, or a URL */
    bool is_url;
} state_location;

/* PATH, URL, BACKEND:PATH or BACKEND:URL. A URL without a backend is one of slatedb. */
int state_location_parse(const char *text, state_location *location);
void state_location_release(state_location *location);

/* The databases at or below a location, in order of their names. */
typedef struct state_found {
    char *name; /* the path below the location; "" if it is the location itself */
    char *path;
} state_found;

typedef struct state_list {
    state_found *items;
    size_t count;
    char *stray; /* the first file that belongs to no database, NULL: none */
} state_list;

/* TOOL_FAILED, and told, if there is none. */
int state_list_find(const state_location *location, const weir_option *options, state_list *list);
/* The same below a URL, and below a folder, where there may be none. */
int state_list_url(const state_location *location, const weir_option *options, state_list *list);
int state_list_look(const char *root, state_list *list);
/* NULL: none of that name. */
const state_found *state_list_name(const state_list *list, const char *name);
void state_list_release(state_list *list);

/* A database that is open. */
typedef struct state_family {
    char *name;
    weir_backend_cf *cf;
} state_family;

typedef struct state_store {
    const char *name; /* borrowed from the list */
    const char *spec; /* with options: as it was opened */
    const weir_option *options;
    weir_database *database;
    const weir_backend *backend;
    weir_backend_db *db;
    state_family *families; /* in order of their names */
    size_t family_count;
    state_kind kind;
} state_store;

typedef struct state_open_args {
    const char *spec; /* NULL: what the folder says */
    const char *path;
    const weir_option *options;
    bool create; /* and write; else read only */
    bool beside; /* … perhaps beside a writer */
} state_open_args;

/* WEIR_NOT_FOUND fills err here. */
weir_status state_store_open(const state_open_args *args, state_store *store, weir_error *err);
/* A store that is not open: nothing happens. */
weir_status state_store_close(state_store *store, weir_error *err);
/* NULL: it has no such family. */
const state_family *state_store_family(const state_store *store, const char *name);
/* A copy to a URL that was broken off (state_mark.c). */
weir_status state_store_is_incomplete(const state_store *store, bool *is_incomplete,
                                      weir_error *err);
/* A figure of the backend's stats; false: it tells none of that name. */
bool state_store_figure(const state_store *store, const char *name, uint64_t *value);

/* Opens each database of the first operand read only and visits it; one that fails is told, and
 * the others follow. visit returns an exit code. */
int state_each(const state_request *request,
               int (*visit)(const state_request *request, state_store *store, size_t count,
                            void *arg),
               void *arg);

#define STATE_METADATA "__metadata__"
/* A database of a copy to a URL that is not complete has this key in its metadata. */
#define STATE_INCOMPLETE "__weir_incomplete__"

typedef struct state_mark {
    bool is_there;
    bool is_copied; /* this database has all its rows, but others may not */
    char *first;    /* the database whose mark, once it is gone, ends that of all; "": not told */
} state_mark;

/* *mark [out] is set, and to be released, on every path. */
weir_status state_mark_read(const state_store *store, state_mark *mark, weir_error *err);
void state_mark_release(state_mark *mark);
/* Durable on return. command: what goes on with the copy. */
weir_status state_mark_write(const state_store *store, bool is_copied, const char *first,
                             const char *command, weir_error *err);
weir_status state_mark_remove(const state_store *store, weir_error *err);

/* ------------------------------------------------------------------------ layout */

typedef enum state_value_kind {
    STATE_VALUE_BYTES = 0, /* JSON, text or anything */
    STATE_VALUE_NUMBER,    /* 8 bytes, big-endian */
    STATE_VALUE_TIME,      /* the same, ms */
    STATE_VALUE_FLAG,      /* one byte, 01 */
    STATE_VALUE_TIME_TEXT, /* ms as a JSON integer */
    STATE_VALUE_NONE       /* nothing to tell */
} state_value_kind;

/* A row taken apart. Slices borrow from it. */
typedef struct state_row {
    weir_slice stored_key;
    weir_slice stored_value;
    weir_slice key; /* of the record in windowed and timestamped rows, else all of it */
    weir_slice value;
    state_value_kind value_kind;
    bool has_window;
    bool has_time;
    bool has_counter;
    bool has_expiry;
    bool has_id;
    uint64_t start; /* of the window, or the time */
    uint64_t end;
    uint64_t counter;
    uint64_t id;
    uint64_t expiry; /* UINT64_MAX: never */
} state_row;

/* Never fails: a row that does not have the layout of its family is one of bytes. *as_laid_out
 * [out]: it has. */
state_row state_row_decode(state_kind kind, const char *family, weir_slice key, weir_slice value,
                           bool *as_laid_out);

/* -------------------------------------------------------------------------- text */

/* `\\` and `\xNN` for what does not print; the way back takes both. */
void state_write_escaped(weir_slice bytes, FILE *out);
void state_write_hex(weir_slice bytes, FILE *out);
bool state_is_utf8(weir_slice bytes);
void state_write_json_string(weir_slice text, FILE *out);
/* "name": string, or "name_hex" if the bytes are no text. */
void state_write_json_bytes(const char *name, weir_slice bytes, FILE *out);
/* 2026-11-27T10:00:00.000Z, or the number where that has no year of four digits. */
void state_write_time(uint64_t ms, FILE *out);
/* Takes ms, or a date with or without time, UTC. */
bool state_parse_time(const char *text, uint64_t *ms);
/* False: no memory. */
bool state_parse_bytes(const char *text, state_bytes *bytes);
/* Whether the bytes are one JSON value on one line. */
bool state_is_json(weir_slice bytes);

/* A row on a line. family NULL: not told; name NULL: the database is not told. */
void state_write_row(const state_row *row, state_output output, const char *name,
                     const char *family, FILE *out);
void state_write_value(const state_row *row, FILE *out);

/* -------------------------------------------------------------------------- rows */

/* A negative return ends the walk; WEIR_ABORTED ends it without being an error. */
typedef weir_status (*state_visit_row)(const state_store *store, const state_family *family,
                                       const state_row *row, void *arg, weir_error *err);

/* The rows of a family that the request asks for: key, prefix, bounds, times, direction. */
weir_status state_rows(const state_request *request, const state_store *store,
                       const state_family *family, state_visit_row visit, void *arg,
                       weir_error *err);
/* The families that the request asks for: by --cf, by default "default" alone. */
bool state_wants_family(const state_request *request, const char *name);

/* --------------------------------------------------------------- progress, digest */

typedef struct state_progress {
    bool is_on;
    const char *what;
    size_t done;  /* databases */
    size_t count; /* of databases */
    uint64_t rows;
    uint64_t rows_expected; /* 0: not known */
    uint64_t bytes;
    double began;
    double told;
} state_progress;

void state_progress_init(state_progress *progress, const state_request *request, const char *what,
                         size_t count, uint64_t rows_expected);
void state_progress_add(state_progress *progress, size_t bytes);
/* Ends the line. */
void state_progress_end(state_progress *progress);

/* The digest of all rows of a store, in the order of digest.h. progress may be NULL. */
weir_status state_store_digest(const state_store *store, digest *sum, state_progress *progress,
                               weir_error *err);

/* ----------------------------------------------------------------------- writing */

/* Collects changes of one database into batches. */
typedef struct state_writer {
    state_store *store;
    weir_backend_op *ops;
    size_t count;
    uint8_t *bytes;
    size_t size;
    size_t capacity;
} state_writer;

weir_status state_writer_init(state_writer *writer, state_store *store, weir_error *err);
weir_status state_writer_put(state_writer *writer, weir_backend_cf *cf, weir_slice key,
                             weir_slice value, weir_error *err);
/* Writes what is collected; durable on return. */
weir_status state_writer_finish(state_writer *writer, weir_error *err);
void state_writer_release(state_writer *writer);

/* ------------------------------------------------------------------------ folders */

/* "A/B", or A if B is empty; freed by the caller. NULL: no memory. */
char *state_join(const char *folder, const char *name);
/* The path without links and "..", also of a folder that is not there yet. False: too long. */
bool state_folder_resolve(const char *path, char real[PATH_MAX]);
/* With its parents. */
weir_status state_folder_make(const char *path, weir_error *err);
/* With all that is in it, links not followed. Not there: nothing. */
weir_status state_folder_remove(const char *path, weir_error *err);
/* Makes the entry of `path` in its folder durable. */
weir_status state_folder_sync_parent(const char *path, weir_error *err);
/* Gives all at and below a folder to the owner of another, if this user may. */
void state_folder_give(const char *path, const char *like);
/* "can't WHAT PATH: why": PERMISSION, NO_SPACE or IO. */
weir_status state_folder_error(int number, const char *what, const char *path, weir_error *err);

/* A database at a URL that is not complete: one that this run made, or a killed one. */
typedef struct state_made {
    char *url;
    bool is_empty; /* but for its mark */
} state_made;

/*
 * Where load and migrate build. A folder: in LOCATION.weir-new beside it, under `part` as long as a
 * database is written, under `tree` once it is complete and checked; commit renames `tree`. A URL:
 * in its place. Each database there has a mark that keeps applications away; commit removes that
 * of the first, at which moment all are complete.
 */
typedef struct state_target {
    const state_location *location;
    const weir_option *options;
    const char *command; /* that goes on after a kill */
    bool replaces;       /* the location holds the source, and is exchanged */
    bool keeps;          /* … and what was there stays in LOCATION.weir-old */
    char *path;          /* of the folder, without links; of a URL as it was given */
    char *draft;         /* NULL: a URL */
    int draft_fd;        /* locked; -1: not ours, nothing of it is removed */
    char *first;         /* of a URL */
    state_made *made;
    size_t made_count;
    bool is_committed;
} state_target;

/* The members location, options, command, replaces and keeps are set. resumes: databases of these
 * names that a killed run completed stay; NULL: none. An exit code, and told. */
int state_target_begin(state_target *target, const state_list *resumes);
/* Whether a killed run left a database of that name that says it is complete. */
bool state_target_left(const state_target *target, const char *name);
/* Whether that one has the digest. */
bool state_target_matches(const state_target *target, const char *name, const digest *expected,
                          state_progress *progress);
/* Opens an empty database to be written. */
weir_status state_target_open(state_target *target, const char *name, state_store *store,
                              weir_error *err);
/* Closes it, reads it all again and compares the digest; complete from then on. */
weir_status state_target_complete(state_target *target, const char *name, state_store *store,
                                  const digest *expected, state_progress *progress,
                                  weir_error *err);
/* Makes all of it visible. */
weir_status state_target_commit(state_target *target, weir_error *err);
/* Without commit: removes what was built. */
void state_target_end(state_target *target);

#endif
