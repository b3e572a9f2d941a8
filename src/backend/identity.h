/*
 * The identity of a local folder: which backend wrote it, in which version of the layout.
 * The file weir.json, described in docs/formats/folder.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_IDENTITY_H
#define WEIR_BACKEND_IDENTITY_H

#include <weir/base.h>

#define WEIR__IDENTITY_FILE   "weir.json"
#define WEIR__IDENTITY_LAYOUT 1

/* Room for the name of a backend. */
#define WEIR__IDENTITY_NAME_SIZE 64

/*
 * Which backend wrote the folder. *written [out]: the folder says so itself; false with a backend:
 * it holds a RocksDB database of Quix Streams; false without: nobody did. WEIR_VERSION: a newer
 * layout; WEIR_CORRUPTED: the file can't be read.
 */
weir_status weir__identity_read(const char *folder, char backend[WEIR__IDENTITY_NAME_SIZE],
                                bool *written, weir_error *err);
/*
 * Checks that `backend` may open the folder. *written [out]: false if the folder does not say
 * who wrote it (new, or it holds a RocksDB database of Quix Streams).
 * WEIR_WRONG_BACKEND with the command that migrates; WEIR_VERSION: a newer layout;
 * WEIR_CORRUPTED: the file can't be read.
 */
weir_status weir__identity_check(const char *folder, const char *backend, bool *written,
                                 weir_error *err);
weir_status weir__identity_write(const char *folder, const char *backend, weir_error *err);
/* Not there: nothing happens. */
void weir__identity_remove(const char *folder);

#endif
