/*
 * What the tests of the RocksDB backend share: a folder that goes away, and the backend
 * opened in it straight through its method table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_BACKEND_SUPPORT_ROCKSDB_H
#define WEIR_TESTS_BACKEND_SUPPORT_ROCKSDB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <limits.h>
#include <weir/backend.h>

#define RDB_MAX_OPTIONS 32

/* A new folder below $TMPDIR or /tmp. path has room for PATH_MAX bytes. */
void rdb_folder_make(char *path);
/* Removes it with all that is in it. */
void rdb_folder_remove(const char *path);
/* "FOLDER/NAME" into path, which has room for PATH_MAX bytes. */
void rdb_join(char *path, const char *folder, const char *name);
/* Files in a folder whose names end with suffix. The first name goes into name, if not NULL. */
size_t rdb_count_files(const char *folder, const char *suffix, char *name);

typedef enum rdb_mode { RDB_CREATE, RDB_EXISTING, RDB_READ_ONLY } rdb_mode;

/* An opened database; all zero is a closed one. */
typedef struct rdb {
    weir_backend_db *db;
    weir_option_value values[RDB_MAX_OPTIONS];
    weir_error err;
} rdb;

/* The status of open, or of parsing the options. options may be NULL. */
weir_status rdb_open(rdb *self, const char *path, const weir_option *options, rdb_mode mode);
weir_status rdb_close(rdb *self);
weir_status rdb_destroy(const char *path, const weir_option *options, weir_error *err);

/* All of these fail the test when the backend fails. */
weir_backend_cf *rdb_cf(rdb *self, const char *name);
void rdb_put(rdb *self, weir_backend_cf *cf, const char *key, const char *value);
/* The value as text, freed with free(), or NULL if there is none. */
char *rdb_get(rdb *self, weir_backend_cf *cf, const char *key);
void rdb_assert_value(rdb *self, weir_backend_cf *cf, const char *key, const char *value);
void rdb_assert_absent(rdb *self, weir_backend_cf *cf, const char *key);

#endif
