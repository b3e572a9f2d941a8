/*
 * Backends for tests that can do little: memory and RocksDB with capabilities and optional
 * methods hidden, so that the host has to emulate them.
 *
 *   poor        memory, with nothing but atomic batches
 *   poor_seek   … and iter_seek
 *   poor_snap   … and snapshots
 *   poor_disk   rocksdb, with nothing but atomic batches and being persistent
 *   poor_batch  memory, without even atomic batches
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_POOR_H
#define TESTS_BACKEND_SUPPORT_POOR_H

/* Registers them, once in a program. */
void poor_register(void);

#endif
