/*
 * Whether a data file has been cut short. LMDB maps the file and trusts it: a page beyond its end
 * ends the process when it is read, and one of zeros does so by an assertion. So the pages are
 * looked at here, before LMDB looks, by the layout of LMDB's data format 1:
 *
 *   a page   u64 number, u16, u16 flags, u16 end of the table of nodes, u16; then the table of
 *            u16 positions of nodes
 *   a node   u16 low, u16 high, u16 flags, u16 key size, key, data. In a branch low, high and
 *            flags are the number of the page below; in a leaf low and high are the data's size
 *   meta     behind the head of pages 0 and 1: u32 magic, u32 version, u64 address, u64 map size,
 *            two trees (free pages, main), u64 last page, u64 transaction
 *   a tree   48 bytes, of which the last 8 are the number of its root page
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define HEAD_SIZE      16u
#define FLAGS_AT       10u
#define TABLE_END_AT   12u
#define NODE_SIZE      8u
#define TREE_SIZE      48u
#define ROOT_AT        40u
#define META_TREES_AT  (HEAD_SIZE + 24u)
#define META_TXN_AT    (META_TREES_AT + 2 * TREE_SIZE + 8u)
#define META_END       (META_TXN_AT + 8u)
#define PAGE_BRANCH    0x01u
#define PAGE_LEAF      0x02u
#define NODE_BIG_DATA  0x01u
#define NODE_TREE      0x02u
#define NO_PAGE        UINT64_MAX
#define DEPTH_MAX      32
#define FIRST_OF_TREES 2

typedef struct file {
    int fd;
    size_t page_size;
    uint64_t size;
} file;

static unsigned number16(const unsigned char *at)
{
    uint16_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static uint64_t number64(const unsigned char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static bool tree_is_within(const file *f, uint64_t number, int depth);

static bool leaf_is_within(const file *f, const unsigned char *page, size_t at, int depth)
{
    size_t size = number16(page + at) | (size_t)number16(page + at + 2) << 16;
    unsigned flags = number16(page + at + 4);
    size_t data = at + NODE_SIZE + number16(page + at + 6);
    if ((flags & NODE_BIG_DATA) != 0) {
        if (data + sizeof(uint64_t) > f->page_size)
            return false;
        uint64_t first = number64(page + data);
        return first < f->size && first * f->page_size + HEAD_SIZE + size <= f->size;
    }
    if ((flags & NODE_TREE) != 0)
        return data + TREE_SIZE <= f->page_size &&
               tree_is_within(f, number64(page + data + ROOT_AT), depth);
    return data + size <= f->page_size;
}

static bool nodes_are_within(const file *f, const unsigned char *page, int depth)
{
    unsigned flags = number16(page + FLAGS_AT);
    size_t table_end = number16(page + TABLE_END_AT);
    if ((flags & (PAGE_BRANCH | PAGE_LEAF)) == 0 || table_end > f->page_size)
        return false;
    for (size_t entry = HEAD_SIZE; entry + 2 <= table_end; entry += 2) {
        size_t at = number16(page + entry);
        if (at + NODE_SIZE > f->page_size)
            return false;
        uint64_t below = number16(page + at) | (uint64_t)number16(page + at + 2) << 16 |
                         (uint64_t)number16(page + at + 4) << 32;
        bool is_within = (flags & PAGE_BRANCH) != 0 ? tree_is_within(f, below, depth)
                                                    : leaf_is_within(f, page, at, depth);
        if (!is_within)
            return false;
    }
    return true;
}

static bool tree_is_within(const file *f, uint64_t number, int depth)
{
    if (number == NO_PAGE)
        return true;
    if (depth == DEPTH_MAX || number < FIRST_OF_TREES || number >= f->size / f->page_size)
        return false;
    unsigned char *page = malloc(f->page_size);
    bool is_within =
        page != NULL &&
        pread(f->fd, page, f->page_size, (off_t)(number * f->page_size)) == (ssize_t)f->page_size &&
        number64(page) == number && nodes_are_within(f, page, depth + 1);
    free(page);
    return is_within;
}

/* From the meta page of the last transaction. */
static bool all_is_within(const file *f, uint64_t transaction)
{
    unsigned char meta[META_END];
    for (off_t i = 0; i < FIRST_OF_TREES; i++) {
        off_t at = i * (off_t)f->page_size;
        if (pread(f->fd, meta, sizeof meta, at) != (ssize_t)sizeof meta)
            return false;
        if (number64(meta + META_TXN_AT) == transaction)
            return tree_is_within(f, number64(meta + META_TREES_AT + ROOT_AT), 0) &&
                   tree_is_within(f, number64(meta + META_TREES_AT + TREE_SIZE + ROOT_AT), 0);
    }
    return false;
}

weir_status weir__lmdb_check_length(weir_backend_db *db, const char *folder, weir_error *err)
{
    char path[WEIR__LMDB_PATH_SIZE];
    MDB_envinfo info;
    MDB_stat page;
    struct stat status;
    file f = {.fd = -1};
    mdb_env_info(db->env, &info);
    mdb_env_stat(db->env, &page);
    if (weir__lmdb_path(path, folder, WEIR__LMDB_DATA_FILE))
        f.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f.fd < 0 || fstat(f.fd, &status) != 0) {
        int code = errno;
        if (f.fd >= 0)
            close(f.fd);
        return weir__lmdb_fail(db->host, db->label, code, "can't look at " WEIR__LMDB_DATA_FILE,
                               err);
    }
    f.size = (uint64_t)status.st_size;
    f.page_size = page.ms_psize;
    /* The last pages may be unused and never written: a short file alone is no damage. */
    bool is_whole = f.size >= ((uint64_t)info.me_last_pgno + 1) * f.page_size ||
                    all_is_within(&f, info.me_last_txnid);
    close(f.fd);
    if (is_whole)
        return WEIR_OK;
    return weir__lmdb_error(db, WEIR_CORRUPTED, WEIR__LMDB_DATA_FILE " has been cut short", err);
}
