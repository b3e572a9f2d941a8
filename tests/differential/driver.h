/*
 * What the parts of the program `differential_weir` share: it runs the operations of
 * operations.py on Weir's public API, over a changelog in memory, and answers each
 * with one line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_DIFFERENTIAL_DRIVER_H
#define WEIR_TESTS_DIFFERENTIAL_DRIVER_H

#include <weir/state.h>

#define DRIVER_MAX_FIELDS 10
#define DRIVER_MAX_TOPICS 4

/* --- An operation: a line, cut into fields --- */

typedef struct op {
    const char *fields[DRIVER_MAX_FIELDS]; /* the first is the name */
    size_t count;
} op;

/* The bytes of a field; valid until the next operation. */
weir_slice op_bytes(const op *o, size_t field);
/* The same, with a NUL behind them. */
const char *op_text(const op *o, size_t field);
int64_t op_int(const op *o, size_t field);
bool op_is(const op *o, size_t field, const char *text);

typedef struct offsets {
    weir_topic_offset items[DRIVER_MAX_TOPICS];
    size_t count;
} offsets;

/* {"topic":offset,…} or null; the names stay valid until the next operation. */
offsets op_offsets(const op *o, size_t field);

/* --- The answer --- */

/* Begins an item of an answer and writes text into it. */
void answer_item(const char *format, ...) WEIR_PRINTF(1, 2);
/* Goes on with the item that was begun. */
void answer_more(const char *format, ...) WEIR_PRINTF(1, 2);
void answer_bytes(weir_slice bytes);
/* The answer is "none". */
void answer_none(void);
/* Sorts the items of this answer. */
void answer_sort(void);

/* --- The store partition --- */

typedef struct driver {
    const char *state_dir;
    weir_memory_topic *topic;
    weir_changelog *reader; /* a handle of the driver's own */
    weir_store_config store;
    weir_state_manager *manager; /* NULL: closed */
    weir_partition *partition;
    int32_t number;     /* of the partition */
    char wal_dir[4096]; /* "": with a changelog, and its write-ahead log in its folder */
    weir_txn *txn;      /* NULL: not begun */
    bool has_produced;
    weir_error err;
} driver;

/* The transaction, begun if need be; NULL after a failure in d->err. */
weir_txn *driver_txn(driver *d);

typedef struct driver_op {
    const char *name;
    size_t fields; /* that it needs, with its name */
    weir_status (*run)(driver *d, const op *o);
} driver_op;

/* A table ends with a name NULL. */
extern const driver_op plain_ops[];
extern const driver_op windowed_ops[];
extern const driver_op timestamped_ops[];

/* --- The changelog in a file --- */

/* false: a message was printed. A file that is not there is an empty changelog. */
bool changelog_load(driver *d, const char *path);
bool changelog_save(driver *d, const char *path);
/* Adds the messages from an offset on to the answer, sorted; *count [out]. */
weir_status changelog_answer(driver *d, int64_t from, size_t *count);

#endif
