/*
 * Which backend a store has, and with which options: the order of what chooses, and the typed
 * options (weir/options.h) as pairs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_OPTIONS_H
#define WEIR_STATE_OPTIONS_H

#include <weir/state.h>

#include "base/arena.h"

/* The spec of a manager or an application: the given one, else $WEIR_STATE_BACKEND, else
 * "rocksdb". Borrowed. */
const char *weir__state_backend(const char *given);

/* The typed options, with all members that this version knows. */
typedef struct weir__typed_options {
    bool has_rocksdb;
    bool has_slatedb;
    weir_rocksdb_options rocksdb;
    weir_slatedb_options slatedb;
} weir__typed_options;

/* From what a caller gave, of this header or an older one; NULL: none. Strings are copied into the
 * arena. WEIR_NO_MEMORY. */
weir_status weir__typed_options_copy(const weir_rocksdb_options *rocksdb,
                                     const weir_slatedb_options *slatedb, weir__arena *arena,
                                     weir__typed_options *typed, weir_error *err);

/*
 * The spec of a store, and the pairs for it. config NULL: a store that chooses nothing.
 *
 *   spec    config->backend, else the manager's
 *   pairs   config->backend_options, else state_options if the spec is the manager's; and the
 *           typed options of the backend that stores. A store's own pair takes the place of a typed
 *           option; one that is in state_options too is WEIR_INVALID, and the message names both.
 *
 * *spec [out] is borrowed from the arguments; *all [out], freed with weir__option_free.
 */
weir_status weir__store_options(const char *manager_spec, const weir_option *state_options,
                                const weir__typed_options *typed, const weir_store_config *config,
                                const char **spec, weir_option **all, weir_error *err);

#endif
