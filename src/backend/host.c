/*
 * The host's side of weir_backend_host, and stand-ins for optional methods. See host.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/host.h"

static void host_log(weir_log_level level, const char *event, const char *message)
{
    weir_log(level, event, "%s", message);
}

static weir_status host_error(weir_error *err, weir_status status, const char *message)
{
    return weir_error_set(err, status, "%s", message);
}

const weir_backend_host weir__backend_host = {
    .struct_size = sizeof(weir_backend_host),
    .log = host_log,
    .error = host_error,
    .log_level = weir_log_get_level,
};

static weir_status no_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                    weir_error *err)
{
    (void)db;
    *snapshot = NULL;
    return weir_error_set(err, WEIR_UNSUPPORTED, "the backend has no snapshots");
}

static void no_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    (void)db;
    (void)snapshot;
}

static weir_status no_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    (void)db;
    (void)location;
    return weir_error_set(err, WEIR_UNSUPPORTED,
                          "the backend can't make a consistent copy of a database");
}

static weir_status no_compact(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                              weir_slice upper, weir_error *err)
{
    (void)db;
    (void)cf;
    (void)lower;
    (void)upper;
    return weir_error_set(err, WEIR_UNSUPPORTED, "the backend has nothing to compact");
}

static weir_status no_stats(weir_backend_db *db,
                            void (*visit)(const char *name, uint64_t value, void *arg), void *arg,
                            weir_error *err)
{
    (void)db;
    (void)visit;
    (void)arg;
    return weir_error_set(err, WEIR_UNSUPPORTED, "the backend tells no figures");
}

static weir_status no_control(weir_backend_db *db, const char *op, void *arg, weir_error *err)
{
    (void)db;
    (void)arg;
    return weir_error_set(err, WEIR_UNSUPPORTED, "the backend does not know the operation '%s'",
                          op);
}

static weir_status no_list(const weir_backend_open_args *args,
                           weir_status (*visit)(const char *location, void *arg), void *arg,
                           weir_error *err)
{
    (void)args;
    (void)visit;
    (void)arg;
    return weir_error_set(err, WEIR_UNSUPPORTED, "the backend can't tell where it keeps databases");
}

void weir__backend_complete(weir_backend *table)
{
    if (table->snapshot_open == NULL)
        table->snapshot_open = no_snapshot_open;
    if (table->snapshot_close == NULL)
        table->snapshot_close = no_snapshot_close;
    if (table->checkpoint == NULL)
        table->checkpoint = no_checkpoint;
    if (table->compact == NULL)
        table->compact = no_compact;
    if (table->stats == NULL)
        table->stats = no_stats;
    if (table->control == NULL)
        table->control = no_control;
    if (table->list == NULL)
        table->list = no_list;
}
