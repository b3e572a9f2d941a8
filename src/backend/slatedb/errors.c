/*
 * From kinds of SlateDB's errors to Weir's codes and messages. No text is matched.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/slatedb/internal.h"

static weir_status status_of(int kind)
{
    switch ((weir__slate_kind)kind) {
    case WEIR__SLATE_OK:
        return WEIR_OK;
    case WEIR__SLATE_NOT_FOUND:
        return WEIR_NOT_FOUND;
    case WEIR__SLATE_INVALID:
        return WEIR_INVALID;
    case WEIR__SLATE_FENCED:
        return WEIR_FENCED;
    case WEIR__SLATE_CORRUPTED:
        return WEIR_CORRUPTED;
    case WEIR__SLATE_NO_SPACE:
        return WEIR_NO_SPACE;
    case WEIR__SLATE_PERMISSION:
        return WEIR_PERMISSION;
    case WEIR__SLATE_BUSY:
        return WEIR_BUSY;
    case WEIR__SLATE_CLOSED:
        return WEIR_CLOSED;
    case WEIR__SLATE_UNSUPPORTED:
        return WEIR_UNSUPPORTED;
    case WEIR__SLATE_TIMEOUT:
        return WEIR_TIMEOUT;
    case WEIR__SLATE_VERSION:
        return WEIR_VERSION;
    case WEIR__SLATE_IO:
    case WEIR__SLATE_PANIC:
        break;
    }
    return WEIR_IO;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

/* Without any, a server is asked that is only there on the machines of that cloud. */
static const char *missing_credentials(const weir_backend_db *db)
{
    static const struct {
        const char *scheme;
        const char *any_of[9];
        const char *hint;
    } clouds[] = {
        {"s3",
         {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE",
          "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
          "AWS_SKIP_SIGNATURE"},
         "; there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
        {"a",
         {"AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN",
          "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_TOKEN", "AZURE_STORAGE_CLIENT_SECRET",
          "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USE_AZURE_CLI", "AZURE_STORAGE_USE_EMULATOR"},
         "; there are no credentials: set AZURE_STORAGE_ACCOUNT_NAME and "
         "AZURE_STORAGE_ACCOUNT_KEY"},
        {"gs",
         {"GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY",
          "GOOGLE_APPLICATION_CREDENTIALS", "SERVICE_ACCOUNT"},
         "; there are no credentials: set GOOGLE_SERVICE_ACCOUNT to the path of a key"},
    };
    const char *url = db->settings.store_url;
    for (size_t i = 0; url != NULL && i < sizeof clouds / sizeof clouds[0]; i++) {
        if (strncmp(url, clouds[i].scheme, strlen(clouds[i].scheme)) != 0)
            continue;
        for (size_t j = 0; j < sizeof clouds[i].any_of / sizeof clouds[i].any_of[0]; j++)
            if (clouds[i].any_of[j] != NULL && is_set(clouds[i].any_of[j]))
                return NULL;
        return clouds[i].hint;
    }
    return NULL;
}

static const char *hint_of(const weir_backend_db *db, weir_status status)
{
    const bool is_remote = db->settings.is_remote;
    const char *missing = missing_credentials(db);
    switch (status) {
    case WEIR_FENCED:
        return "; a newer writer has opened this state: this one must stop";
    case WEIR_VERSION:
        return "; a newer Weir wrote this state: use one that is as new";
    case WEIR_NO_SPACE:
        return "; free some space, or give the state a larger disk";
    case WEIR_PERMISSION:
    case WEIR_IO:
    case WEIR_TIMEOUT:
        if (missing != NULL)
            return missing;
        if (status == WEIR_PERMISSION)
            return is_remote ? "; check the credentials in the environment and what they allow"
                             : "; give the user of this process the right to read and write the "
                               "folder";
        return is_remote ? "; check that the object store can be reached from this machine" : "";
    default:
        return "";
    }
}

weir_status weir__slatedb_fail(const weir_backend_db *db, int kind, const weir__slate_error *error,
                               const char *what, weir_error *err)
{
    weir_status status = status_of(kind);
    if (status == WEIR_OK || status == WEIR_NOT_FOUND)
        return status;
    return weir__slatedb_error(db, err, status, "slatedb could not %s: %s%s", what, error->message,
                               hint_of(db, status));
}

weir_status weir__slatedb_error(const weir_backend_db *db, weir_error *err, weir_status status,
                                const char *format, ...)
{
    char message[WEIR_ERROR_MESSAGE_SIZE];
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (size >= 0 && (size_t)size < sizeof message)
        snprintf(message + size, sizeof message - (size_t)size, " (%s)", db->label);
    return db->host->error(err, status, message);
}
