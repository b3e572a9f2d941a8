/*
 * What the files of the SlateDB backend share. The backend is a plugin: it includes
 * weir/backend.h and links nothing of Weir.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_SLATEDB_INTERNAL_H
#define WEIR_BACKEND_SLATEDB_INTERNAL_H

#include <weir/backend.h>

#include "backend/slatedb/shim/shim.h"

/* All of SlateDB's files lie in this folder of a location, and nothing else does. */
#define WEIR__SLATEDB_FOLDER "slatedb"

/* There is one family, "default": the host keeps others apart by a prefix. */
struct weir_backend_cf {
    char unused;
};

/* The options of a database, and where it is (options.c). */
typedef struct weir__slatedb_settings {
    weir__slate_config config; /* its texts are borrowed, or in the members below */
    char *store_url;
    char *path;
    char *disk_cache_dir; /* of this database alone */
    bool is_remote;
    bool is_durable_write; /* a write counts when it is stored, even if nobody asked for that */
} weir__slatedb_settings;

struct weir_backend_db {
    const weir_backend_host *host;
    const char *label;
    bool read_only;
    weir__slatedb_settings settings;
    weir__slate_db *slate;
    weir_backend_cf default_cf;
};

/* --- options.c --- */

extern const weir_option_spec weir__slatedb_option_table[];

/*
 * Fills settings from values and location. WEIR_INVALID: a location that can't be one. settings
 * is released with weir__slatedb_settings_release on every path.
 */
weir_status weir__slatedb_settings_read(const weir_backend_db *db, const char *location,
                                        const weir_option_value *values,
                                        weir__slatedb_settings *settings, weir_error *err);
/* As settings, but for another location. */
weir_status weir__slatedb_settings_move(const weir_backend_db *db, const char *location,
                                        weir__slatedb_settings *settings, weir_error *err);
void weir__slatedb_settings_release(weir__slatedb_settings *settings);

/* --- errors.c --- */

/* "slatedb could not WHAT: why (LABEL)", with a hint; returns the status of kind. */
weir_status weir__slatedb_fail(const weir_backend_db *db, int kind, const weir__slate_error *error,
                               const char *what, weir_error *err);
/* A failure that SlateDB has no part in; the label is added. */
weir_status weir__slatedb_error(const weir_backend_db *db, weir_error *err, weir_status status,
                                const char *format, ...) WEIR_PRINTF(4, 5);

/* --- key.c --- */

/* 65,535, and the two bytes of the host's prefix. */
#define WEIR__SLATEDB_KEY_MAX 65537u

/* The key that stands for `key` in SlateDB; borrowed from key, or static. */
weir_slice weir__slatedb_key_stored(weir_slice key);
/* The other way; a part of `stored`. */
weir_slice weir__slatedb_key_given(weir_slice stored);

/* --- data.c, iter.c: methods of the table --- */

weir_status weir__slatedb_get(weir_backend_db *db, weir_backend_cf *cf,
                              weir_backend_snapshot *snapshot, weir_slice key,
                              weir_backend_value *value, weir_error *err);
weir_status weir__slatedb_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                    weir_backend_snapshot *snapshot, const weir_slice *keys,
                                    size_t count, weir_backend_value *values, weir_status *statuses,
                                    weir_error *err);
void weir__slatedb_value_release(weir_backend_db *db, weir_backend_value *value);
weir_status weir__slatedb_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                uint32_t flags, weir_error *err);
weir_status weir__slatedb_flush(weir_backend_db *db, weir_error *err);
weir_status weir__slatedb_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                        weir_error *err);
void weir__slatedb_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot);
weir_status weir__slatedb_checkpoint(weir_backend_db *db, const char *location, weir_error *err);
weir_status weir__slatedb_control(weir_backend_db *db, const char *op, void *arg, weir_error *err);
weir_status weir__slatedb_stats(weir_backend_db *db,
                                void (*visit)(const char *name, uint64_t value, void *arg),
                                void *arg, weir_error *err);

weir_status weir__slatedb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err);
weir_status weir__slatedb_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err);
weir_status weir__slatedb_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err);
void weir__slatedb_iter_close(weir_backend_iter *iter);

/* The snapshot of the interface is that of the shim. */
static inline weir__slate_snapshot *weir__slatedb_snapshot_of(weir_backend_snapshot *snapshot)
{
    return (weir__slate_snapshot *)(void *)snapshot;
}

#endif
