/*
 * From the texts of RocksDB's C API to codes. The C API hands errors out as text alone, so
 * this file matches text, and it is the only one that does. The texts are those of
 * rocksdb::Status::ToString: the kind ("IO error: "), the subcode if there is one ("No space
 * left on device: "), then what was done and, for system calls, the text of errno at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/rocksdb/internal.h"

typedef struct text_rule {
    const char *prefix;
    weir_status status;
} text_rule;

/* What follows "IO error: ". */
static const text_rule io_subcodes[] = {
    {"No space left on device", WEIR_NO_SPACE},
    {"Space limit reached", WEIR_NO_SPACE},
    {"IO fenced off", WEIR_FENCED},
    {"lock hold by current process", WEIR_LOCKED},
};

/* What follows "Corruption: " and means that nothing may be damaged: the reader is too old. */
static const text_rule newer_versions[] = {
    {"Unknown Footer version", WEIR_VERSION},
    {"Corrupt or unsupported format_version: ", WEIR_VERSION},
};
/* A file that claims a version of its format above this is damaged. */
#define FORMAT_VERSION_MAX 64

static const text_rule kinds[] = {
    {"NotFound", WEIR_NOT_FOUND},
    {"Corruption", WEIR_CORRUPTED},
    {"Not implemented", WEIR_UNSUPPORTED},
    {"Invalid argument", WEIR_INVALID},
    {"IO error", WEIR_IO},
    {"Result incomplete", WEIR_BUSY},
    {"Shutdown in progress", WEIR_CLOSED},
    {"Operation timed out", WEIR_TIMEOUT},
    {"Operation aborted", WEIR_ABORTED},
    {"Resource busy", WEIR_BUSY},
    {"Operation expired", WEIR_BUSY},
    {"Operation failed. Try again.", WEIR_BUSY},
    {"Compaction too large", WEIR_TOO_LARGE},
    {"Column family dropped", WEIR_INVALID},
};

/* What the end of "IO error: …" says when a system call failed. */
static const struct {
    int number;
    weir_status status;
} errno_rules[] = {
    {ENOSPC, WEIR_NO_SPACE},  {EDQUOT, WEIR_NO_SPACE},  {EACCES, WEIR_PERMISSION},
    {EPERM, WEIR_PERMISSION}, {EROFS, WEIR_PERMISSION}, {ENOMEM, WEIR_NO_MEMORY},
    {EMFILE, WEIR_IO},        {EIO, WEIR_IO},           {ENOENT, WEIR_IO},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_with_errno(const char *text, int number)
{
    char buffer[256];
    /* The same function in the same locale as RocksDB made the text with. */
    const char *wanted = strerror_r(number, buffer, sizeof(buffer));
    size_t size = strlen(text);
    size_t wanted_size = strlen(wanted);
    return size >= wanted_size && strcmp(text + size - wanted_size, wanted) == 0;
}

static const text_rule *find_rule(const text_rule *rules, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (starts_with(text, rules[i].prefix))
            return &rules[i];
    }
    return NULL;
}

weir_status weir__rocksdb_errno_status(int number)
{
    for (size_t i = 0; i < COUNT_OF(errno_rules); i++) {
        if (errno_rules[i].number == number)
            return errno_rules[i].status;
    }
    return WEIR_IO;
}

/* detail: what follows "IO error: ". */
static weir_status status_of_io(const char *detail, bool opening)
{
    const text_rule *rule = find_rule(io_subcodes, COUNT_OF(io_subcodes), detail);
    if (rule)
        return rule->status;
    if (starts_with(detail, "While lock file: ") &&
        (ends_with_errno(detail, EAGAIN) || ends_with_errno(detail, EACCES)))
        return WEIR_LOCKED;
    if (starts_with(detail, "No such file or directory"))
        return opening ? WEIR_CORRUPTED : WEIR_IO;
    for (size_t i = 0; i < COUNT_OF(errno_rules); i++) {
        if (ends_with_errno(detail, errno_rules[i].number))
            return errno_rules[i].status;
    }
    return WEIR_IO;
}

/* detail: what follows "Corruption: ". */
static weir_status status_of_corruption(const char *detail)
{
    const text_rule *rule = find_rule(newer_versions, COUNT_OF(newer_versions), detail);
    if (!rule)
        return WEIR_CORRUPTED;
    const char *number = detail + strlen(rule->prefix);
    if (number[-1] == ' ' && strtoul(number, NULL, 10) > FORMAT_VERSION_MAX)
        return WEIR_CORRUPTED;
    return rule->status;
}

weir_status weir__rocksdb_status_of(const char *text, bool opening)
{
    const text_rule *kind = find_rule(kinds, COUNT_OF(kinds), text);
    if (!kind)
        return WEIR_IO;
    const char *detail = text + strlen(kind->prefix);
    if (starts_with(detail, ": "))
        detail += 2;
    if (kind->status == WEIR_IO)
        return status_of_io(detail, opening);
    if (kind->status == WEIR_CORRUPTED)
        return status_of_corruption(detail);
    if (kind->status == WEIR_ABORTED && starts_with(detail, "Memory limit reached"))
        return WEIR_NO_MEMORY;
    return kind->status;
}

static const char *hint_of(weir_status status)
{
    switch (status) {
    case WEIR_VERSION:
        return "; the files were written by a newer RocksDB than " WEIR_ROCKSDB_VERSION
               ", which this Weir is built with: use a Weir with that version or a later one, or "
               "start with an empty state folder, which is rebuilt from the changelog";
    case WEIR_NO_SPACE:
        return "; free some space, or give the state a larger disk";
    case WEIR_LOCKED:
        return "; another process or handle has the database open";
    case WEIR_PERMISSION:
        return "; give the user of this process the right to read and write the folder";
    default:
        return "";
    }
}

weir_status weir__rocksdb_fail(const weir_backend_db *db, char *text, bool opening,
                               const char *what, weir_error *err)
{
    weir_status status = weir__rocksdb_status_of(text, opening);
    (void)weir__rocksdb_error(db, err, status, "rocksdb could not %s: %s%s", what, text,
                              hint_of(status));
    rocksdb_free(text);
    return status;
}

weir_status weir__rocksdb_error(const weir_backend_db *db, weir_error *err, weir_status status,
                                const char *format, ...)
{
    char message[WEIR_ERROR_MESSAGE_SIZE];
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (size >= 0 && (size_t)size < sizeof(message))
        (void)snprintf(message + size, sizeof(message) - (size_t)size, " (%s)", db->label);
    return db->host->error(err, status, message);
}

weir_status weir__rocksdb_refuse_read_only(const weir_backend_db *db, const char *what,
                                           weir_error *err)
{
    return weir__rocksdb_error(db, err, WEIR_UNSUPPORTED, "can't %s: it is open read-only", what);
}
