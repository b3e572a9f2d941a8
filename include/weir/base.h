/*
 * weir/base.h: what every other header of Weir builds on. Status codes, error
 * details, byte slices, options and logging.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_PRINTF(format_index, first_arg)                                                       \
    __attribute__((format(printf, format_index, first_arg)))
#else
#define WEIR_API
#define WEIR_PRINTF(format_index, first_arg)
#endif

#define WEIR_VERSION_MAJOR  0
#define WEIR_VERSION_MINOR  1
#define WEIR_VERSION_PATCH  0
#define WEIR_VERSION_STRING "0.1.0"

/* The version of the library that is linked, "MAJOR.MINOR.PATCH". Static. Any thread. */
WEIR_API const char *weir_version(void);

/* ---------------------------------------------------------------------------
 * Status codes
 *
 * Functions that can fail return a weir_status: WEIR_OK is 0, failures are
 * negative. WEIR_NOT_FOUND is a result, not an error: it says that a key, an
 * item or a column family is not there, and never fills a weir_error.
 *
 * The numbers are part of the binary interface and never change; new codes are
 * appended. Columns: name, number, class, text.
 * ------------------------------------------------------------------------- */

#define WEIR_STATUS_TABLE(X)                                                                       \
    X(OK, 0, NONE, "success")                                                                      \
    X(NOT_FOUND, -1, NONE, "not found")                                                            \
    X(INVALID, -2, FATAL, "invalid argument, option or data")                                      \
    X(LOCKED, -3, RETRY, "locked by another owner")                                                \
    X(CORRUPTED, -4, CORRUPT, "data is corrupted")                                                 \
    X(FENCED, -5, FENCED, "fenced by a newer writer")                                              \
    X(IO, -6, RETRY, "input/output error")                                                         \
    X(NO_SPACE, -7, RETRY, "no space left on device")                                              \
    X(BUSY, -8, RETRY, "busy")                                                                     \
    X(UNSUPPORTED, -9, FATAL, "not supported")                                                     \
    X(CLOSED, -10, FATAL, "already closed")                                                        \
    X(NO_MEMORY, -11, FATAL, "out of memory")                                                      \
    X(PERMISSION, -12, FATAL, "permission denied")                                                 \
    X(TIMEOUT, -13, RETRY, "timed out")                                                            \
    X(ABORTED, -14, FATAL, "stopped on request")                                                   \
    X(TXN_FAILED, -15, ABORT_TXN, "the transaction has failed or is no longer open")               \
    X(OFFSET, -16, FATAL, "changelog offset out of order or gone")                                 \
    X(WRONG_BACKEND, -17, FATAL, "the state was written by another backend")                       \
    X(VERSION, -18, FATAL, "written or built for a version that is not understood")                \
    X(SERIALIZATION, -19, FATAL, "a value can't be encoded or decoded")                            \
    X(TOO_LARGE, -20, FATAL, "larger than a limit")                                                \
    X(KAFKA, -21, RETRY, "the Kafka client or broker reported an error")                           \
    X(TOPIC, -22, FATAL, "a topic is missing or does not have the expected shape")                 \
    X(CALLBACK, -23, FATAL, "a callback of the program reported an error")

typedef enum weir_status {
#define WEIR_STATUS_ENUM(name, number, class_, text) WEIR_##name = number,
    WEIR_STATUS_TABLE(WEIR_STATUS_ENUM)
#undef WEIR_STATUS_ENUM
} weir_status;

/* What a caller can do about a status. */
typedef enum weir_status_class {
    WEIR_CLASS_NONE = 0,      /* nothing is wrong */
    WEIR_CLASS_RETRY = 1,     /* the same call may succeed later */
    WEIR_CLASS_ABORT_TXN = 2, /* give up this transaction and start another */
    WEIR_CLASS_FENCED = 3,    /* another writer owns the state now: stop */
    WEIR_CLASS_CORRUPT = 4,   /* stored data is damaged: rebuild or repair */
    WEIR_CLASS_FATAL = 5      /* the call, the configuration or the data is wrong */
} weir_status_class;

/* "NOT_FOUND", "LOCKED", …; "UNKNOWN" for a number outside the table. Static. Any thread. */
WEIR_API const char *weir_status_name(weir_status status);
/* The text column of the table. Static. Any thread. */
WEIR_API const char *weir_status_text(weir_status status);
WEIR_API weir_status_class weir_status_class_of(weir_status status);

/* ---------------------------------------------------------------------------
 * Error details
 *
 * An optional out-parameter, owned by the caller, on the stack or anywhere
 * else; every function that takes one accepts NULL. It is written only when
 * the function fails. The message is for people: programs look at the code.
 * ------------------------------------------------------------------------- */

#define WEIR_ERROR_MESSAGE_SIZE 1024

typedef struct weir_error {
    weir_status status;
    char message[WEIR_ERROR_MESSAGE_SIZE]; /* NUL-terminated UTF-8, one line */
} weir_error;

/* Sets OK and an empty message. */
WEIR_API void weir_error_init(weir_error *err);

/*
 * Fills *err (unless it is NULL) and returns status, so that a failing function
 * ends with `return weir_error_set(err, WEIR_INVALID, "…", …);`. A message
 * that does not fit is cut. A backend or a callback of yours may call it.
 */
WEIR_API weir_status weir_error_set(weir_error *err, weir_status status, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* ---------------------------------------------------------------------------
 * Byte slices
 *
 * A slice borrows: it never owns its bytes, and they need not end with NUL.
 * How long the bytes stay valid is said by the function that hands them out.
 * A slice of size 0 may have any data pointer, NULL included.
 * ------------------------------------------------------------------------- */

typedef struct weir_slice {
    const void *data;
    size_t size;
} weir_slice;

static inline weir_slice weir_slice_of(const void *data, size_t size)
{
    weir_slice slice;
    slice.data = data;
    slice.size = size;
    return slice;
}

/* The bytes of a C string, without its NUL. */
WEIR_API weir_slice weir_slice_str(const char *string);
/* <0, 0 or >0, in the order of unsigned bytes; a prefix sorts first. Any thread. */
WEIR_API int weir_slice_compare(weir_slice a, weir_slice b);
WEIR_API bool weir_slice_equal(weir_slice a, weir_slice b);

/* ---------------------------------------------------------------------------
 * Options as text
 *
 * A key=value pair. Arrays of pairs are ended by {NULL, NULL}; a NULL array is
 * an empty one. Who takes the pair says which keys it knows.
 * ------------------------------------------------------------------------- */

typedef struct weir_option {
    const char *key;
    const char *value;
} weir_option;

/* ---------------------------------------------------------------------------
 * Logging
 *
 * One callback for the process. An event has a fixed name ("store.open",
 * "recovery.progress", …; docs/semantics.md lists them), the same on every
 * backend, and a message for people. The default callback writes one readable
 * line to stderr. The threshold is taken from the environment variable WEIR_LOG
 * (error, warn, info, debug, trace; default info) at first use.
 * ------------------------------------------------------------------------- */

typedef enum weir_log_level {
    WEIR_LOG_ERROR = 0,
    WEIR_LOG_WARN = 1,
    WEIR_LOG_INFO = 2,
    WEIR_LOG_DEBUG = 3,
    WEIR_LOG_TRACE = 4
} weir_log_level;

/*
 * event and message are borrowed for the call. May be called from any thread,
 * from several at once; must not call back into Weir.
 */
typedef void (*weir_log_fn)(weir_log_level level, const char *event, const char *message,
                            void *arg);

/* Sets the callback; NULL brings the default back. Call before other threads log. */
WEIR_API void weir_log_set(weir_log_fn log, void *arg);
/* Sets the threshold. Any thread. */
WEIR_API void weir_log_set_level(weir_log_level level);
WEIR_API weir_log_level weir_log_get_level(void);

/* Emits one event through the callback if level is within the threshold. Any thread. */
WEIR_API void weir_log(weir_log_level level, const char *event, const char *format, ...)
    WEIR_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif

#endif
