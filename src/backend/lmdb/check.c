/*
 * Whether a data file is whole. LMDB maps the file and trusts it: a page beyond its end ends the
 * process when it is read, one that makes no sense does so by an assertion, and a wrong number
 * of a page gives wrong answers without a sound. So the pages are looked at here, before LMDB
 * looks, by the layout of LMDB's data format 1:
 *
 *   a page   u64 number, u16, u16 flags, u16 end of the table of nodes, u16 start of the nodes;
 * then the table of u16 positions of nodes. Instead of the last two: u32 pages of a large value a
 * node   u16 low, u16 high, u16 flags, u16 key size, key, data. In a branch low, high and flags are
 * the number of the page below; in a leaf low and high are the data's size meta     behind the head
 * of pages 0 and 1: u32 magic, u32 version, u64 address, u64 map size, two trees (free pages,
 * main), u64 last page, u64 transaction a tree   u32 page size, u16 flags, u16 depth, u64 branch
 * pages, u64 leaf pages, u64 pages of large values, u64 items, u64 number of its root page
 *
 * Everything is counted against what its tree says, keys must be in order and between those of
 * the branches above, no page may have two owners, and each item has its checksum (checksum.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define HEAD_SIZE    16u
#define FLAGS_AT     10u
#define TABLE_END_AT 12u
#define NODES_AT     14u
#define LARGE_AT     12u
#define NODE_SIZE    8u
#define TREE_SIZE    48u
#define META_FREE_AT (HEAD_SIZE + 24u)
#define META_MAIN_AT (META_FREE_AT + TREE_SIZE)
#define META_LAST_AT (META_MAIN_AT + TREE_SIZE)
#define META_TXN_AT  (META_LAST_AT + 8u)
#define META_END     (META_TXN_AT + 8u)
#define MAGIC        UINT32_C(0xBEEFC0DE)
#define PAGE_BRANCH  0x01u
#define PAGE_META    0x08u
#define NODE_LARGE   0x01u
#define NODE_TREE    0x02u
#define INTEGER_KEYS 0x08u
#define NO_PAGE      UINT64_MAX
#define DEPTH_MAX    32
#define METAS        2
#define MAP_SIZE_MAX (UINT64_C(1) << 47)

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_FAMILY };

typedef struct file {
    int fd;
    size_t page_size;
    uint64_t last;       /* page */
    unsigned char *used; /* a bit for each page */
    bool is_thorough;
} file;

/* A tree as it is read, to be compared with what is said of it. */
typedef struct tree {
    enum tree_kind kind;
    unsigned depth;
    uint64_t branches, leaves, large, items;
} tree;

static uint16_t number16(const unsigned char *at)
{
    uint16_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static uint32_t number32(const unsigned char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static uint64_t number64(const unsigned char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static bool read_at(const file *f, void *out, size_t size, uint64_t page)
{
    return pread(f->fd, out, size, (off_t)(page * f->page_size)) == (ssize_t)size;
}

/* Each page has one owner. */
static bool take_pages(const file *f, uint64_t first, uint64_t count)
{
    if (first < METAS || count > f->last || first > f->last - count + 1)
        return false;
    for (uint64_t page = first; page < first + count; page++) {
        unsigned char bit = (unsigned char)(1u << page % 8);
        if ((f->used[page / 8] & bit) != 0)
            return false;
        f->used[page / 8] |= bit;
    }
    return true;
}

/* ----------------------------------------------------------------------- items */

static bool tree_is_whole(const file *f, const unsigned char *said, enum tree_kind kind);

/* The numbers of free pages, after their count. */
static bool free_pages_are_whole(const file *f, const MDB_val *data)
{
    const unsigned char *bytes = data->mv_data;
    if (data->mv_size < sizeof(uint64_t))
        return false;
    uint64_t count = number64(bytes);
    if (count > data->mv_size / sizeof(uint64_t) - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++)
        if (!take_pages(f, number64(bytes + i * sizeof(uint64_t)), 1))
            return false;
    return true;
}

static bool data_is_whole(const file *f, const tree *t, const MDB_val *key, MDB_val *data)
{
    if (t->kind == TREE_FREE)
        return free_pages_are_whole(f, data);
    return !f->is_thorough || weir__lmdb_open_item(key, data);
}

/* A value in pages of its own: they may be more than it needs, if they were of a larger one. */
static bool large_is_whole(const file *f, tree *t, const MDB_val *key, uint64_t first, size_t size)
{
    unsigned char head[HEAD_SIZE];
    if (first > f->last || !read_at(f, head, sizeof head, first) || number64(head) != first ||
        number16(head + FLAGS_AT) != WEIR__LMDB_PAGE_LARGE)
        return false;
    uint64_t count = number32(head + LARGE_AT);
    if (count < (HEAD_SIZE - 1 + size) / f->page_size + 1 || !take_pages(f, first, count))
        return false;
    t->large += count;
    unsigned char *bytes = malloc(HEAD_SIZE + size);
    MDB_val data = {.mv_size = size, .mv_data = bytes != NULL ? bytes + HEAD_SIZE : NULL};
    bool is_whole = bytes != NULL && read_at(f, bytes, HEAD_SIZE + size, first) &&
                    data_is_whole(f, t, key, &data);
    free(bytes);
    return is_whole;
}

static bool item_is_whole(const file *f, tree *t, unsigned char *page, size_t at, MDB_val *key)
{
    size_t size = number16(page + at) | (size_t)number16(page + at + 2) << 16;
    unsigned flags = number16(page + at + 4);
    size_t start = at + NODE_SIZE + key->mv_size;
    size_t room = f->page_size - start;
    MDB_val data = {.mv_size = size, .mv_data = page + start};
    t->items++;
    if (flags == NODE_LARGE)
        return room >= sizeof(uint64_t) && t->kind != TREE_MAIN &&
               large_is_whole(f, t, key, number64(page + start), size);
    if (t->kind == TREE_MAIN)
        return flags == NODE_TREE && size == TREE_SIZE && room >= size &&
               weir__lmdb_family_given(key) > 0 && tree_is_whole(f, page + start, TREE_FAMILY);
    return flags == 0 && size <= room && data_is_whole(f, t, key, &data);
}

/* ----------------------------------------------------------------------- pages */

static int compare(const tree *t, const MDB_val *a, const MDB_val *b)
{
    if (t->kind != TREE_FREE)
        return weir__lmdb_compare(weir_slice_of(a->mv_data, a->mv_size),
                                  weir_slice_of(b->mv_data, b->mv_size));
    uint64_t x = number64(a->mv_data);
    uint64_t y = number64(b->mv_data);
    return (x > y) - (x < y);
}

/* The key of a node, if the node lies within its page. */
static bool node_key(const file *f, const tree *t, unsigned char *page, size_t at, MDB_val *key)
{
    if (at < number16(page + NODES_AT) || at + NODE_SIZE > f->page_size)
        return false;
    key->mv_size = number16(page + at + 6);
    key->mv_data = page + at + NODE_SIZE;
    return at + NODE_SIZE + key->mv_size <= f->page_size &&
           (t->kind != TREE_FREE || key->mv_size == sizeof(uint64_t) || key->mv_size == 0);
}

static bool page_is_whole(const file *f, tree *t, uint64_t number, unsigned depth,
                          const MDB_val *lower, const MDB_val *upper);

/* Keys from `lower` on and before `upper`; NULL: no bound. */
static bool nodes_are_whole(const file *f, tree *t, unsigned char *page, unsigned depth,
                            const MDB_val *lower, const MDB_val *upper)
{
    const bool is_branch = number16(page + FLAGS_AT) == PAGE_BRANCH;
    const size_t count = (number16(page + TABLE_END_AT) - HEAD_SIZE) / 2;
    MDB_val keys[2]; /* of a node and of the next one */
    for (size_t i = 0; i < count; i++) {
        MDB_val *key = &keys[i % 2];
        size_t at = number16(page + HEAD_SIZE + 2 * i);
        /* The first key of a branch is not looked at, and stands for all before the second. */
        const bool is_open = is_branch && i == 0;
        if (!node_key(f, t, page, at, key) || (!is_open && key->mv_size == 0))
            return false;
        const MDB_val *from = is_open ? lower : key;
        if (!is_open && ((lower != NULL && compare(t, key, lower) < 0) ||
                         (upper != NULL && compare(t, key, upper) >= 0)))
            return false;
        const MDB_val *to = upper;
        if (i + 1 < count) {
            size_t next_at = number16(page + HEAD_SIZE + 2 * (i + 1));
            MDB_val *next = &keys[(i + 1) % 2];
            if (!node_key(f, t, page, next_at, next) || next->mv_size == 0 ||
                (!is_open && compare(t, key, next) >= 0))
                return false;
            to = next;
        }
        uint64_t below = number16(page + at) | (uint64_t)number16(page + at + 2) << 16 |
                         (uint64_t)number16(page + at + 4) << 32;
        if (is_branch ? !page_is_whole(f, t, below, depth + 1, from, to)
                      : !item_is_whole(f, t, page, at, key))
            return false;
    }
    return true;
}

static bool head_is_whole(const file *f, const unsigned char *page, uint64_t number)
{
    unsigned flags = number16(page + FLAGS_AT);
    size_t table_end = number16(page + TABLE_END_AT);
    size_t nodes = number16(page + NODES_AT);
    return number64(page) == number && (flags == PAGE_BRANCH || flags == WEIR__LMDB_PAGE_LEAF) &&
           table_end > HEAD_SIZE && table_end % 2 == 0 && table_end <= nodes &&
           nodes <= f->page_size;
}

static bool page_is_whole(const file *f, tree *t, uint64_t number, unsigned depth,
                          const MDB_val *lower, const MDB_val *upper)
{
    if (depth == DEPTH_MAX || !take_pages(f, number, 1))
        return false;
    unsigned char *page = malloc(f->page_size);
    bool is_whole =
        page != NULL && read_at(f, page, f->page_size, number) && head_is_whole(f, page, number);
    if (is_whole) {
        bool is_leaf = number16(page + FLAGS_AT) == WEIR__LMDB_PAGE_LEAF;
        t->leaves += is_leaf;
        t->branches += !is_leaf;
        if (is_leaf && t->depth == 0)
            t->depth = depth + 1;
        /* All leaves are equally deep. */
        is_whole =
            (!is_leaf || t->depth == depth + 1) && nodes_are_whole(f, t, page, depth, lower, upper);
    }
    free(page);
    return is_whole;
}

/* ----------------------------------------------------------------------- trees */

static bool tree_is_whole(const file *f, const unsigned char *said, enum tree_kind kind)
{
    tree t = {.kind = kind};
    uint64_t root = number64(said + 40);
    unsigned flags = number16(said + 4);
    if (flags != (kind == TREE_FREE ? INTEGER_KEYS : 0))
        return false;
    if (root != NO_PAGE && !page_is_whole(f, &t, root, 0, NULL, NULL))
        return false;
    return t.depth == number16(said + 6) && t.branches == number64(said + 8) &&
           t.leaves == number64(said + 16) && t.large == number64(said + 24) &&
           t.items == number64(said + 32);
}

/* ----------------------------------------------------------------------- metas */

static bool meta_is_whole(const unsigned char *meta, uint64_t number)
{
    uint32_t page_size = number32(meta + META_FREE_AT);
    return number64(meta) == number && number16(meta + FLAGS_AT) == PAGE_META &&
           number32(meta + HEAD_SIZE) == MAGIC && number64(meta + HEAD_SIZE + 8) == 0 &&
           number64(meta + HEAD_SIZE + 16) <= MAP_SIZE_MAX && page_size >= 512 &&
           page_size <= 65536 && (page_size & (page_size - 1)) == 0;
}

/* The meta page of the last transaction; NULL: they can't be right. A transaction writes the one
 * that its number is odd or even for, so that the other is of the one before. */
static const unsigned char *last_meta(const unsigned char metas[METAS][META_END])
{
    uint64_t first = number64(metas[0] + META_TXN_AT);
    uint64_t second = number64(metas[1] + META_TXN_AT);
    if (!meta_is_whole(metas[0], 0) || !meta_is_whole(metas[1], 1) || first % 2 != 0 ||
        (second % 2 != 1 && second != 0) ||
        (first > second ? first - second : second - first) > 1 ||
        number32(metas[0] + META_FREE_AT) != number32(metas[1] + META_FREE_AT))
        return NULL;
    return first > second ? metas[0] : metas[1];
}

static weir_status tell(const weir_backend_open_args *args, weir_status status, const char *why,
                        weir_error *err)
{
    char message[WEIR_ERROR_MESSAGE_SIZE];
    snprintf(message, sizeof message, "%s (%s)", why, args->label);
    return args->host->error(err, status, message);
}

static weir_status check_file(const weir_backend_open_args *args, file *f, weir_error *err)
{
    unsigned char metas[METAS][META_END];
    struct stat status;
    if (fstat(f->fd, &status) != 0)
        return weir__lmdb_fail(args->host, args->label, errno,
                               "can't look at " WEIR__LMDB_DATA_FILE, err);
    if (status.st_size == 0)
        return WEIR_OK; /* just made */
    if (pread(f->fd, metas[0], META_END, 0) != (ssize_t)META_END)
        return tell(args, WEIR_CORRUPTED, WEIR__LMDB_DATA_FILE " has been cut short", err);
    f->page_size = number32(metas[0] + META_FREE_AT);
    if (!meta_is_whole(metas[0], 0) || !read_at(f, metas[1], META_END, 1))
        return tell(args, WEIR_CORRUPTED, "the head of " WEIR__LMDB_DATA_FILE " is damaged", err);
    if (number32(metas[0] + HEAD_SIZE + 4) == number32(metas[1] + HEAD_SIZE + 4) &&
        number32(metas[0] + HEAD_SIZE + 4) != 1)
        return tell(args, WEIR_VERSION, "another version of LMDB wrote " WEIR__LMDB_DATA_FILE, err);
    const unsigned char *meta = last_meta(metas);
    if (meta == NULL || number32(meta + HEAD_SIZE + 4) != 1)
        return tell(args, WEIR_CORRUPTED, "the head of " WEIR__LMDB_DATA_FILE " is damaged", err);
    f->last = number64(meta + META_LAST_AT);
    /* The last pages may be unused and never written: a short file alone is no damage. */
    if (f->last > MAP_SIZE_MAX / f->page_size)
        return tell(args, WEIR_CORRUPTED, "the head of " WEIR__LMDB_DATA_FILE " is damaged", err);
    const uint64_t size = (uint64_t)status.st_size;
    if (!f->is_thorough && size >= (f->last + 1) * f->page_size)
        return WEIR_OK;
    f->used = calloc(1, f->last / 8 + 1);
    if (f->used == NULL)
        return tell(args, WEIR_NO_MEMORY, "no memory to check the file", err);
    if (tree_is_whole(f, meta + META_MAIN_AT, TREE_MAIN) &&
        tree_is_whole(f, meta + META_FREE_AT, TREE_FREE))
        return WEIR_OK;
    return tell(args, WEIR_CORRUPTED,
                size < (f->last + 1) * f->page_size ? WEIR__LMDB_DATA_FILE " has been cut short"
                                                    : "a page of " WEIR__LMDB_DATA_FILE
                                                      " is damaged",
                err);
}

weir_status weir__lmdb_check(const weir_backend_open_args *args, bool is_thorough, weir_error *err)
{
    char path[WEIR__LMDB_PATH_SIZE];
    file f = {.fd = -1, .is_thorough = is_thorough};
    if (weir__lmdb_path(path, args->location, WEIR__LMDB_DATA_FILE))
        f.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f.fd < 0 && errno == ENOENT)
        return WEIR_OK; /* to be made */
    weir_status status = f.fd < 0 ? weir__lmdb_fail(args->host, args->label, errno,
                                                    "can't look at " WEIR__LMDB_DATA_FILE, err)
                                  : check_file(args, &f, err);
    if (f.fd >= 0)
        close(f.fd);
    free(f.used);
    return status;
}
