/*
 * The lock of a local folder: one writer, or several readers.
 *
 * What excludes is a kernel lock on weir.lock, which goes away with its owner, however that
 * ends. What the file holds only says who it is: docs/formats/folder.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_LOCK_H
#define WEIR_BACKEND_LOCK_H

#include <weir/base.h>

#define WEIR__LOCK_FILE "weir.lock"

typedef struct weir__lock {
    int fd; /* -1: not held, or a folder without lock file that is read only */
    bool shared;
} weir__lock;

typedef struct weir__lock_owner {
    bool known; /* false: the file said nothing, and the rest is empty */
    int64_t pid;
    char host[256];
    int64_t start_time; /* of the process, in clock ticks since the machine started */
    int64_t timestamp;  /* when it took the lock, ms since 1970 */
} weir__lock_owner;

void weir__lock_init(weir__lock *lock);
/*
 * Takes the lock of a folder that exists, without waiting. shared: nothing is written, and
 * other readers are allowed. *owner [out]: on WEIR_LOCKED who holds it; on WEIR_OK the
 * owner that ended without releasing it, if known. Any thread.
 */
weir_status weir__lock_take(weir__lock *lock, const char *folder, bool shared,
                            weir__lock_owner *owner, weir_error *err);
/* Not held: nothing happens. */
void weir__lock_release(weir__lock *lock);
/* Removes the lock file while the lock is held, then releases it. */
void weir__lock_remove(weir__lock *lock, const char *folder);

#endif
