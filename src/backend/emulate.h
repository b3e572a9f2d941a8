/*
 * Emulation of what a backend lacks: a decorator that the host puts around it. It supplies
 *
 *   column families     by a prefix of two bytes before each key (docs/formats/column-families.md)
 *   bounded iteration   by filtering
 *   reverse iteration   by reading forward and turning round
 *   multi_get           by get
 *   iter_seek           by opening anew, or by reading on
 *
 * and passes everything else through. What it does depends on the capabilities of the table
 * below it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_EMULATE_H
#define WEIR_BACKEND_EMULATE_H

#include <weir/backend.h>

#include "base/buffer.h"

/* Whether a table, decorated or not, lacks anything that is emulated. */
bool weir__emulation_needed(const weir_backend *table);
/* The decorator. Its capabilities are those that it can supply or pass on. Static. */
const weir_backend *weir__emulation(void);

/* --- Shared by the files of the emulation --- */

/* Bytes before a key when column families are emulated. */
#define WEIR__CF_PREFIX_SIZE 2

struct weir_backend_cf {
    char *name;
    uint16_t number;
    uint8_t prefix[WEIR__CF_PREFIX_SIZE];
    weir_backend_cf *next;
};

struct weir_backend_db {
    const weir_backend_host *host;
    const char *label;
    const weir_backend *inner;
    weir_backend_db *inner_db;
    bool read_only;

    /* What the table below can do by itself. */
    bool has_families;
    bool has_bounds;
    bool has_reverse;
    bool has_seek;
    bool has_snapshots;

    /* Emulated column families: all in one family of the table below. */
    weir_backend_cf *inner_cf;
    weir_backend_cf *cfs;
    bool has_catalogue;

    uint64_t writes; /* counts batches, to know whether an iterator can be opened anew */

    /* Room for a batch with prefixed keys, kept from one to the next. */
    weir_backend_op *ops;
    size_t ops_capacity;
    weir__buffer keys;
};

/* "what (label)". */
weir_status weir__emulation_fail(const weir_backend_db *db, weir_status status, const char *what,
                                 weir_error *err);

/* emulate_cf.c: the catalogue. open makes db->cfs and finishes drops that were broken off. */
weir_status weir__catalogue_open(weir_backend_db *db, weir_error *err);
void weir__catalogue_close(weir_backend_db *db);
weir_status weir__catalogue_cf_open(weir_backend_db *db, const char *name, bool create,
                                    weir_backend_cf **cf, weir_error *err);
weir_status weir__catalogue_cf_drop(weir_backend_db *db, const char *name, weir_error *err);

/* emulate_iter.c: the four methods. */
weir_status weir__emulate_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err);
weir_status weir__emulate_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err);
weir_status weir__emulate_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err);
void weir__emulate_iter_close(weir_backend_iter *iter);

#endif
