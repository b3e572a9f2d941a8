/*
 * The backend "rocksdb": state in a local folder, kept by RocksDB through its C API.
 * docs/rocksdb.md describes options, files and what each RocksDB version can read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_ROCKSDB_ROCKSDB_H
#define WEIR_BACKEND_ROCKSDB_ROCKSDB_H

#include <weir/backend.h>

/* The method table. Static. Any thread. */
const weir_backend *weir__backend_rocksdb(void);

#endif
