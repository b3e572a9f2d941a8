/*
 * What the tests of the LMDB plugin share: a place for a database, and writing into it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_LMDB_H
#define TESTS_BACKEND_SUPPORT_LMDB_H

#include "backend/database.h"

typedef struct lmdb_place {
    char *folder;
    const char *path; /* of the database, below */
} lmdb_place;

/* Set-up and tear-down of a test: *state is an lmdb_place. */
int lmdb_make_place(void **state);
int lmdb_remove_place(void **state);

weir_backend_cf *lmdb_default_family(weir__database *database);
weir_status lmdb_write_one(weir__database *database, weir_slice key, weir_slice value,
                           weir_error *err);

#endif
