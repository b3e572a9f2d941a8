/*
 * Databases: opening, recreating, closing and destroying, with everything that the host
 * does for every backend. See database.h; what waits is in wait.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/chain.h"
#include "backend/folder.h"
#include "backend/identity.h"
#include "backend/lock.h"
#include "backend/wait.h"

const weir_option_spec weir__database_options[] = {
    [WEIR__OPEN_MAX_RETRIES] = {"open_max_retries", WEIR_OPTION_INT, "10", NULL, 0, 1000000,
                                "how often opening is tried again while the state is locked"},
    [WEIR__OPEN_RETRY_BACKOFF] = {"open_retry_backoff", WEIR_OPTION_DOUBLE, "3.0", NULL, 0, 86400,
                                  "seconds between two attempts to open"},
    [WEIR__ON_CORRUPTED_RECREATE] = {"on_corrupted_recreate", WEIR_OPTION_BOOL, "true", NULL, 0, 0,
                                     "destroy and rebuild corrupted state that has a changelog"},
    [WEIR__DATABASE_OPTION_COUNT] = {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

struct weir__database {
    char *spec;
    char *location;
    char *label;
    weir__chain *chain;
    weir_backend_db *db; /* of the outermost table; NULL: not open */
    weir__lock lock;
    bool uses_folder; /* a local folder that the host looks after */
    bool made_identity;
    bool was_recreated;
};

/* ----------------------------------------------------------------------- shared */

static weir_status not_enough_memory(const char *spec, weir_error *err)
{
    return weir_error_set(err, WEIR_NO_MEMORY, "no memory to open state on '%s'", spec);
}

static char *make_label(const weir__chain *chain, const weir__database_config *config)
{
    char *label;
    const char *text = config->label != NULL ? config->label : "";
    const bool has_path = config->location != NULL && config->location[0] != '\0';
    int size = asprintf(&label, "backend=%s%s%s%s%s", chain->name, text[0] != '\0' ? " " : "", text,
                        has_path ? " path=" : "", has_path ? config->location : "");
    return size < 0 ? NULL : label;
}

static void database_free(weir__database *database)
{
    if (database == NULL)
        return;
    weir__lock_release(&database->lock);
    weir__chain_free(database->chain);
    free(database->spec);
    free(database->location);
    free(database->label);
    free(database);
}

/* A URL is for backends on object storage; what keeps nothing can be anywhere. */
static weir_status check_url(const weir__chain *chain, const char *location, weir_error *err)
{
    const uint64_t capabilities = weir__chain_top(chain)->capabilities;
    if (!weir__is_url(location) || (capabilities & WEIR_CAP_PERSISTENT) == 0 ||
        (capabilities & WEIR_CAP_OBJECT_STORAGE) != 0)
        return WEIR_OK;
    return weir_error_set(err, WEIR_INVALID,
                          "the backend can't keep state at a URL, but only in a local folder; "
                          "slatedb can (backend=%s path=%s)",
                          chain->name, location);
}

static weir_status check_location(const weir__database *database, weir_error *err)
{
    const uint64_t capabilities = weir__chain_top(database->chain)->capabilities;
    if (database->location[0] == '\0' && (capabilities & WEIR_CAP_PERSISTENT) != 0)
        return weir_error_set(err, WEIR_INVALID, "state needs a folder (%s)", database->label);
    return check_url(database->chain, database->location, err);
}

/* All but the opening: spec, options, label, arguments. *database [out]. */
static weir_status prepare(const weir__database_config *config, weir__database **database,
                           weir_error *err)
{
    *database = NULL;
    weir__database *made = calloc(1, sizeof *made);
    if (made == NULL)
        return not_enough_memory(config->spec, err);
    weir__lock_init(&made->lock);
    weir_status status = weir__chain_new(config->spec, config->options, &made->chain, err);
    if (status != WEIR_OK)
        goto done;
    made->spec = strdup(config->spec);
    made->location = strdup(config->location != NULL ? config->location : "");
    made->label = make_label(made->chain, config);
    if (made->spec == NULL || made->location == NULL || made->label == NULL) {
        status = not_enough_memory(config->spec, err);
        goto done;
    }
    const uint64_t capabilities = weir__chain_top(made->chain)->capabilities;
    made->uses_folder = (capabilities & WEIR_CAP_PERSISTENT) != 0 && !weir__is_url(made->location);
    weir__chain_bind(made->chain, made->location, made->label, config->create, config->read_only);
    status = check_location(made, err);
done:
    if (status != WEIR_OK)
        database_free(made);
    else
        *database = made;
    return status;
}

weir_status weir__database_error(const weir__database *database, weir_status status,
                                 const char *what, weir_error *inner, weir_error *err)
{
    if (status == WEIR_OK || status == WEIR_NOT_FOUND)
        return status;
    /* err may be inner: the text is put together elsewhere first. */
    char text[2 * WEIR_ERROR_MESSAGE_SIZE];
    const char *why =
        inner != NULL && inner->message[0] != '\0' ? inner->message : weir_status_text(status);
    /* A backend puts the label into its messages itself. */
    if (strstr(why, database->label) != NULL)
        snprintf(text, sizeof text, "%s: %s", what, why);
    else
        snprintf(text, sizeof text, "%s: %s (%s)", what, why, database->label);
    return weir_error_set(err, status, "%s", text);
}

weir_status weir__database_check(const char *spec, const weir_option *options, const char *location,
                                 bool *persistent, weir_error *err)
{
    weir__chain *chain;
    if (persistent != NULL)
        *persistent = false;
    weir_status status = weir__chain_new(spec, options, &chain, err);
    if (status == WEIR_OK && persistent != NULL)
        *persistent = (weir__chain_top(chain)->capabilities & WEIR_CAP_PERSISTENT) != 0;
    if (status == WEIR_OK && location != NULL)
        status = check_url(chain, location, err);
    weir__chain_free(chain);
    return status;
}

/* ------------------------------------------------------------- folder and lock */

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

typedef struct folder_attempt {
    weir__database *database;
    bool create;
    bool read_only;
    bool needs_lock;
} folder_attempt;

/* Takes the lock, in a folder that it makes if need be. Tried again while LOCKED or BUSY. */
static weir_status take_folder(void *arg, weir_error *err)
{
    const folder_attempt *attempt = arg;
    weir__database *database = attempt->database;
    weir__lock_owner owner;
    if (attempt->create && !attempt->read_only) {
        weir_status status = weir__folder_make(database->location, err);
        if (status != WEIR_OK)
            return status;
    } else if (!is_folder(database->location)) {
        return WEIR_NOT_FOUND;
    }
    if (!attempt->needs_lock)
        return WEIR_OK;
    weir_status status =
        weir__lock_take(&database->lock, database->location, attempt->read_only, &owner, err);
    if (status == WEIR_OK && owner.known)
        weir_log(WEIR_LOG_INFO, "store.lock_stale",
                 "process %lld on host %s ended without closing the state: took over its lock "
                 "(%s)",
                 (long long)owner.pid, owner.host, database->label);
    return status;
}

/* Removes what another backend wrote; its own plugin does it as long as there is one. */
static weir_status destroy_other(weir__database *database, weir_error *err)
{
    char from[WEIR__IDENTITY_NAME_SIZE];
    bool written;
    weir__chain *chain = NULL;
    weir_status status = weir__identity_read(database->location, from, &written, err);
    if (status != WEIR_OK)
        return status;
    if (weir__chain_new(from, NULL, &chain, NULL) == WEIR_OK) {
        weir__chain_bind(chain, database->location, database->label, false, false);
        status = weir__chain_top(chain)->destroy(weir__chain_args(chain), err);
        weir__chain_free(chain);
    }
    return status == WEIR_OK ? weir__folder_clear(database->location, err) : status;
}

/* err holds why, and then what failed. */
static weir_status replace_other(weir__database *database, weir_error *err)
{
    weir_log(WEIR_LOG_INFO, "store.replaced",
             "the state of another backend is destroyed now and rebuilt from its changelog: %s "
             "(%s)",
             err->message, database->label);
    weir_status status = destroy_other(database, err);
    database->was_recreated = status == WEIR_OK;
    return status;
}

/* Folder, lock, and who wrote it. CORRUPTED: the identity can't be read; all else is done. */
static weir_status open_folder(weir__database *database, const weir__database_config *config,
                               weir__wait *wait, weir_error *err)
{
    bool written;
    weir_error inner;
    weir_error_init(&inner);
    const uint64_t capabilities = weir__chain_top(database->chain)->capabilities;
    folder_attempt attempt = {
        .database = database,
        .create = config->create,
        .read_only = config->read_only,
        .needs_lock = !config->read_only || !config->beside_writer ||
                      (capabilities & WEIR_CAP_READ_BESIDE_WRITER) == 0,
    };
    weir_status status = weir__wait_for(wait, WEIR__WAIT_POLL, take_folder, &attempt, &inner);
    if (status != WEIR_OK)
        return weir__database_error(database, status, "can't open state", &inner, err);
    const char *backend = weir__chain_storage(database->chain)->name;
    status = weir__identity_check(database->location, backend, &written, &inner);
    if (status == WEIR_WRONG_BACKEND && config->replaces_other && config->can_rebuild &&
        config->create && !config->read_only) {
        status = replace_other(database, &inner);
        written = false;
    }
    if (status == WEIR_OK && !written && !config->read_only) {
        status = weir__identity_write(database->location, backend, &inner);
        database->made_identity = status == WEIR_OK;
    }
    return weir__database_error(database, status, "can't open state", &inner, err);
}

/* ------------------------------------------------------------------------ opening */

static weir_status open_once(void *arg, weir_error *err)
{
    weir__database *database = arg;
    return weir__chain_top(database->chain)
        ->open(weir__chain_args(database->chain), &database->db, err);
}

static weir_status open_backend(weir__database *database, weir__wait *wait, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = weir__wait_for(wait, WEIR__WAIT_BACKOFF, open_once, database, &inner);
    return weir__database_error(database, status, "can't open state", &inner, err);
}

static weir_status keep_corrupted(const weir__database_config *config, weir_error *err)
{
    const char *advice =
        config->read_only ? "Opened read-only, it is left as it is"
        : !config->can_rebuild
            ? "It is left as it is, because no changelog can rebuild it. Restore the folder from a "
              "backup, or move it away to start without it"
            : "It is left as it is. Set on_corrupted_recreate=true to have it rebuilt from the "
              "changelog, or move the folder away";
    char text[2 * WEIR_ERROR_MESSAGE_SIZE];
    snprintf(text, sizeof text, "%s. %s", err->message, advice);
    return weir_error_set(err, WEIR_CORRUPTED, "%s", text);
}

/* Removes corrupted data and opens an empty database, once. err holds why. */
static weir_status recreate(weir__database *database, weir__wait *wait, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_log(WEIR_LOG_INFO, "store.corrupted",
             "the state is corrupted; it is destroyed now and rebuilt from its changelog: %s",
             err->message);
    weir_status status =
        weir__chain_top(database->chain)->destroy(weir__chain_args(database->chain), &inner);
    if (status == WEIR_OK && database->uses_folder)
        status = weir__identity_write(database->location,
                                      weir__chain_storage(database->chain)->name, &inner);
    if (status != WEIR_OK)
        return weir__database_error(database, status, "can't destroy corrupted state", &inner, err);
    status = open_backend(database, wait, err);
    if (status != WEIR_OK)
        return status;
    database->was_recreated = true;
    weir_log(WEIR_LOG_INFO, "store.recreated",
             "made an empty database in place of the corrupted one (%s)", database->label);
    return WEIR_OK;
}

weir_status weir__database_open(const weir__database_config *config, weir__database **database,
                                weir_error *err)
{
    weir__database *made;
    weir_error inner; /* advice is added to it, so it must be there */
    weir_error_init(&inner);
    *database = NULL;
    weir_status status = prepare(config, &made, err);
    if (status != WEIR_OK)
        return status;
    weir__wait wait;
    weir__wait_init(&wait, &made->chain->host, config->open_deadline_ms, config->stop, made->label);
    if (made->uses_folder)
        status = open_folder(made, config, &wait, &inner);
    if (status == WEIR_OK)
        status = open_backend(made, &wait, &inner);
    if (status == WEIR_OK && made->was_recreated)
        weir_log(WEIR_LOG_INFO, "store.recreated",
                 "made an empty database in place of that of another backend (%s)", made->label);
    if (status == WEIR_CORRUPTED) {
        if (config->can_rebuild && made->chain->host.on_corrupted_recreate && config->create &&
            !config->read_only)
            status = recreate(made, &wait, &inner);
        else
            status = keep_corrupted(config, &inner);
    }
    if (status != WEIR_OK) {
        /* Nothing was stored, so nothing may bind the folder to this backend. */
        if (made->made_identity)
            weir__identity_remove(made->location);
        database_free(made);
        if (status != WEIR_NOT_FOUND)
            weir_error_set(err, status, "%s", inner.message);
        return status;
    }
    weir_log(WEIR_LOG_INFO, "store.open", "opened state with %s%s (%s)",
             weir__chain_storage(made->chain)->version, config->read_only ? ", read-only" : "",
             made->label);
    *database = made;
    return WEIR_OK;
}

weir_status weir__database_close(weir__database *database, weir_error *err)
{
    if (database == NULL)
        return WEIR_OK;
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = weir__chain_top(database->chain)->close(database->db, &inner);
    weir__database_error(database, status, "can't close state in order", &inner, err);
    weir_log(WEIR_LOG_DEBUG, "store.close", "closed state (%s)", database->label);
    database_free(database);
    return status;
}

/* --------------------------------------------------------------------- destroying */

weir_status weir__database_destroy(const weir__database_config *config, weir_error *err)
{
    weir__database *database;
    weir__lock_owner owner;
    weir_error inner;
    bool written = false;
    weir_error_init(&inner);
    weir_status status = prepare(config, &database, err);
    if (status != WEIR_OK)
        return status;
    if (database->uses_folder) {
        if (!is_folder(database->location))
            goto done;
        status = weir__lock_take(&database->lock, database->location, false, &owner, &inner);
        if (status == WEIR_OK)
            status = weir__identity_check(
                database->location, weir__chain_storage(database->chain)->name, &written, &inner);
        /* What can't be read is what one wants to be rid of. */
        if (status == WEIR_CORRUPTED)
            status = WEIR_OK;
    }
    if (status == WEIR_OK)
        status =
            weir__chain_top(database->chain)->destroy(weir__chain_args(database->chain), &inner);
    if (status == WEIR_OK && database->uses_folder) {
        weir__identity_remove(database->location);
        weir__lock_remove(&database->lock, database->location);
        /* Fails, and rightly, if the folder holds what is not of Weir. */
        (void)rmdir(database->location);
    }
    if (status == WEIR_OK)
        weir_log(WEIR_LOG_INFO, "store.destroyed", "removed state (%s)", database->label);
    else
        weir__database_error(database, status, "can't remove state", &inner, err);
done:
    database_free(database);
    return status;
}

weir_status weir__database_list(const weir__database_config *config,
                                weir_status (*visit)(const char *location, void *arg), void *arg,
                                weir_error *err)
{
    weir__database *database;
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = prepare(config, &database, err);
    if (status != WEIR_OK)
        return status;
    status = weir__chain_storage(database->chain)
                 ->list(&database->chain->levels[0].args, visit, arg, &inner);
    weir__database_error(database, status, "can't look for state", &inner, err);
    database_free(database);
    return status;
}

/* ----------------------------------------------------------------------- questions */

const weir_backend *weir__database_backend(const weir__database *database)
{
    return weir__chain_top(database->chain);
}

weir_backend_db *weir__database_handle(const weir__database *database)
{
    return database->db;
}

const char *weir__database_label(const weir__database *database)
{
    return database->label;
}

const char *weir__database_spec(const weir__database *database)
{
    return database->spec;
}

bool weir__database_was_recreated(const weir__database *database)
{
    return database->was_recreated;
}
