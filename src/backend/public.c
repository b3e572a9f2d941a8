/*
 * The public side of databases (weir/database.h): thin over database.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>
#include <weir/database.h>

#include "backend/database.h"
#include "backend/folder.h"
#include "backend/identity.h"

_Static_assert(WEIR_BACKEND_NAME_SIZE == WEIR__IDENTITY_NAME_SIZE, "one size for names");

weir_status weir_database_identify(const char *folder, char backend[WEIR_BACKEND_NAME_SIZE],
                                   weir_error *err)
{
    bool written;
    weir_status status = weir__identity_read(folder, backend, &written, err);
    if (status == WEIR_OK && backend[0] == '\0')
        return WEIR_NOT_FOUND;
    return status;
}

void weir_database_config_init(weir_database_config *config)
{
    *config = (weir_database_config){.struct_size = sizeof *config, .read_only = true};
}

/* What a caller of another version gave, and the backend that keeps the folder if it names none. */
static weir_status resolve(const weir_database_config *given, char backend[WEIR_BACKEND_NAME_SIZE],
                           weir__database_config *config, weir_error *err)
{
    weir_database_config known;
    weir_database_config_init(&known);
    memcpy(&known, given, given->struct_size < sizeof known ? given->struct_size : sizeof known);
    if (known.location == NULL || known.location[0] == '\0')
        return weir_error_set(err, WEIR_INVALID, "a database needs a location");
    weir_status status = WEIR_OK;
    if (known.backend == NULL && weir__is_url(known.location))
        return weir_error_set(err, WEIR_INVALID, "%s does not say which backend keeps it",
                              known.location);
    if (known.backend == NULL)
        status = weir_database_identify(known.location, backend, err);
    *config = (weir__database_config){
        .spec = known.backend != NULL ? known.backend : backend,
        .location = known.location,
        .options = known.options,
        .label = known.label,
        .create = known.create && !known.read_only,
        .read_only = known.read_only,
        .open_deadline_ms = known.open_deadline_ms,
        .beside_writer = known.beside_writer,
    };
    return status;
}

weir_status weir_database_open(const weir_database_config *given, weir_database **database,
                               weir_error *err)
{
    char backend[WEIR_BACKEND_NAME_SIZE];
    weir__database_config config;
    *database = NULL;
    weir_status status = resolve(given, backend, &config, err);
    return status == WEIR_OK ? weir__database_open(&config, database, err) : status;
}

weir_status weir_database_close(weir_database *database, weir_error *err)
{
    return weir__database_close(database, err);
}

weir_status weir_database_destroy(const weir_database_config *given, weir_error *err)
{
    char backend[WEIR_BACKEND_NAME_SIZE];
    weir__database_config config;
    weir_status status = resolve(given, backend, &config, err);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    return status == WEIR_OK ? weir__database_destroy(&config, err) : status;
}

weir_status weir_database_list(const weir_database_config *given,
                               weir_status (*visit)(const char *location, void *arg), void *arg,
                               weir_error *err)
{
    char backend[WEIR_BACKEND_NAME_SIZE];
    weir__database_config config;
    weir_status status = resolve(given, backend, &config, err);
    return status == WEIR_OK ? weir__database_list(&config, visit, arg, err) : status;
}

const weir_backend *weir_database_backend(const weir_database *database)
{
    return weir__database_backend(database);
}

weir_backend_db *weir_database_handle(const weir_database *database)
{
    return weir__database_handle(database);
}

const char *weir_database_label(const weir_database *database)
{
    return weir__database_label(database);
}
