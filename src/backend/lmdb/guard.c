/*
 * What can be told of damage that comes while the file is open. See internal.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* ------------------------------------------------------------------ assertions */

/* Where an assertion of LMDB that fails in this thread leads to. */
static _Thread_local jmp_buf *way_out;

/* The process ends when this returns. */
static void on_assertion(MDB_env *env, const char *message)
{
    (void)env;
    (void)message;
    if (way_out != NULL)
        longjmp(*way_out, 1);
}

int weir__lmdb_guard(int (*call)(void *arg), void *arg)
{
    jmp_buf here;
    if (setjmp(here) != 0) {
        way_out = NULL;
        return MDB_PANIC;
    }
    way_out = &here;
    int code = call(arg);
    way_out = NULL;
    return code;
}

/* --------------------------------------------------------------------- the file */

int weir__lmdb_guard_begin(weir_backend_db *db)
{
    MDB_stat stat;
    mdb_env_stat(db->env, &stat);
    /* A map begins at a page of the system; those of a file from elsewhere may be larger. */
    db->page_size = stat.ms_psize == (unsigned long)sysconf(_SC_PAGESIZE) ? stat.ms_psize : 0;
    return mdb_env_set_assert(db->env, on_assertion);
}

int weir__lmdb_measure(weir_backend_db *db)
{
    mdb_filehandle_t fd;
    struct stat file;
    if (mdb_env_get_fd(db->env, &fd) != 0 || fstat(fd, &file) != 0)
        return MDB_CORRUPTED;
    if ((uint64_t)file.st_size < atomic_load_explicit(&db->file_size, memory_order_relaxed))
        return MDB_CORRUPTED;
    atomic_store_explicit(&db->file_size, (uint64_t)file.st_size, memory_order_relaxed);
    return 0;
}

/* The head of a page is said in check.c. */
bool weir__lmdb_is_in_its_page(const weir_backend_db *db, const MDB_val *key, const MDB_val *data)
{
    uint64_t number;
    uint32_t count;
    uint16_t flags;
    if (key->mv_size > WEIR__LMDB_STORED_MAX)
        return false;
    if (db->page_size == 0)
        return true;
    const size_t offset = (uintptr_t)data->mv_data % db->page_size;
    const unsigned char *page = (const unsigned char *)data->mv_data - offset;
    memcpy(&number, page, sizeof number);
    memcpy(&flags, page + 10, sizeof flags);
    memcpy(&count, page + 12, sizeof count);
    if (flags != WEIR__LMDB_PAGE_LARGE)
        return flags == WEIR__LMDB_PAGE_LEAF && data->mv_size <= db->page_size - offset;
    const uint64_t pages =
        atomic_load_explicit(&db->file_size, memory_order_relaxed) / db->page_size;
    return number < pages && count <= pages - number &&
           data->mv_size <= (uint64_t)count * db->page_size - offset;
}
