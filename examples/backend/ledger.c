/*
 * A complete state backend, explained in docs/write-a-backend.md: every batch is appended to a
 * file, which is mapped into memory, and a sorted array points to the latest record of each key in
 * it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weir/backend.h>

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define MAP_SIZE ((size_t)1 << 36) /* the most that a file may hold; address space, not memory */

typedef struct record { /* one change; in the file each fills a multiple of 4 bytes */
    uint32_t kind, key_size, value_size;
    unsigned char bytes[]; /* key, value */
} record;
typedef struct batch {
    uint32_t size, check, count, sum; /* of the records; check is ~size, sum a checksum */
    unsigned char records[];
} batch;

struct weir_backend_db {
    const weir_backend_host *host;
    const char *label;
    bool read_only;
    int fd;
    unsigned char *map;
    size_t end;           /* of the last whole batch in the file */
    const record **items; /* by key */
    size_t count;
};

struct weir_backend_iter { /* the items as of iter_open */
    size_t next, count;
    const record *items[];
};

/* A code for the host, a text for people. */
static weir_status fail(weir_backend_db *db, weir_status status, const char *what, weir_error *err)
{
    char text[512];
    snprintf(text, sizeof text, "ledger: %s (%s)", what, db->label);
    return db->host->error(err, status, text);
}

static size_t record_size(uint64_t key_size, uint64_t value_size)
{
    return (sizeof(record) + key_size + value_size + 3) & ~(size_t)3;
}

static int compare(const record *r, weir_slice key)
{
    size_t common = r->key_size < key.size ? r->key_size : key.size;
    int order = common > 0 ? memcmp(r->bytes, key.data, common) : 0;
    return order != 0 ? order : (r->key_size > key.size) - (r->key_size < key.size);
}

/* The index of the first item with a key ≥ key. */
static size_t position(const weir_backend_db *db, weir_slice key)
{
    size_t low = 0, high = db->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(db->items[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void copy(unsigned char *out, weir_slice bytes)
{
    if (bytes.size > 0)
        memcpy(out, bytes.data, bytes.size);
}

/* Room for as many more items, so that apply() can't fail. */
static bool reserve(weir_backend_db *db, size_t more)
{
    const record **items = realloc(db->items, (db->count + more + 1) * sizeof *items);
    db->items = items != NULL ? items : db->items;
    return items != NULL;
}

/* Applies the batch that stands in the file behind the last one. */
static void apply(weir_backend_db *db, const batch *b)
{
    const unsigned char *at = b->records;
    for (uint32_t i = 0; i < b->count; i++) {
        const record *r = (const void *)at, **items = db->items;
        weir_slice key = weir_slice_of(r->bytes, r->key_size);
        size_t index = position(db, key), behind = db->count - index;
        bool put = r->kind == WEIR_OP_PUT, there = behind > 0 && compare(items[index], key) == 0;
        memmove(items + index + put, items + index + there, (behind - there) * sizeof *items);
        if (put)
            items[index] = r;
        db->count = db->count + put - there;
        at += record_size(r->key_size, r->value_size);
    }
    db->end += sizeof *b + b->size;
}

static uint32_t checksum(const unsigned char *bytes, size_t size) /* FNV-1a */
{
    uint32_t sum = 2166136261u;
    while (size-- > 0)
        sum = (sum ^ *bytes++) * 16777619u;
    return sum;
}

/* One batch that the end of its process has cut off never happened; anything else is damage. */
static weir_status load(weir_backend_db *db, size_t size, weir_error *err)
{
    while (size - db->end >= sizeof(batch)) {
        const batch *b = (const void *)(db->map + db->end);
        if (b->check != ~b->size)
            return fail(db, WEIR_CORRUPTED, "the head of a batch is damaged", err);
        if (b->size > size - db->end - sizeof *b)
            break;
        if (checksum(b->records, b->size) != b->sum)
            return fail(db, WEIR_CORRUPTED, "a batch has a wrong checksum", err);
        if (!reserve(db, b->count))
            return fail(db, WEIR_NO_MEMORY, "no memory", err);
        apply(db, b);
    }
    /* What a batch that was cut off has left must not stand before the next one. */
    bool cut = db->read_only || ftruncate(db->fd, (off_t)db->end) == 0;
    return cut ? WEIR_OK : fail(db, WEIR_IO, strerror(errno), err);
}

static weir_status ledger_close(weir_backend_db *db, weir_error *err)
{
    if (db->map != MAP_FAILED)
        munmap(db->map, MAP_SIZE);
    close(db->fd);
    free(db->items);
    free(db);
    return WEIR_OK;
}

static weir_status ledger_open(const weir_backend_open_args *args, weir_backend_db **db,
                               weir_error *err)
{
    char path[4096];
    weir_backend_db *made = calloc(1, sizeof *made);
    *db = NULL;
    if (made == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "ledger: no memory");
    snprintf(path, sizeof path, "%s/ledger.log", args->location);
    int flags = args->read_only ? O_RDONLY : O_RDWR | (args->create ? O_CREAT : 0);
    *made = (weir_backend_db){args->host, args->label, args->read_only, -1, NULL, 0, NULL, 0};
    made->fd = open(path, flags, 0666);
    off_t size = made->fd >= 0 ? lseek(made->fd, 0, SEEK_END) : -1;
    made->map = size >= 0 ? mmap(NULL, MAP_SIZE, PROT_READ, MAP_SHARED, made->fd, 0) : MAP_FAILED;
    weir_status status = made->map != MAP_FAILED ? load(made, (size_t)size, err)
                         : errno == ENOENT       ? WEIR_NOT_FOUND
                                                 : fail(made, WEIR_IO, strerror(errno), err);
    if (status != WEIR_OK)
        ledger_close(made, NULL);
    *db = status == WEIR_OK ? made : NULL;
    return status;
}

static weir_status ledger_destroy(const weir_backend_open_args *args, weir_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ledger.log", args->location);
    bool gone = unlink(path) == 0 || errno == ENOENT;
    return gone ? WEIR_OK : args->host->error(err, WEIR_IO, "ledger: can't remove the file");
}

static weir_status ledger_cf_open(weir_backend_db *db, const char *name, bool create,
                                  weir_backend_cf **cf, weir_error *err)
{
    *cf = strcmp(name, WEIR_BACKEND_DEFAULT_CF) == 0 ? (weir_backend_cf *)db : NULL;
    return *cf != NULL ? WEIR_OK : fail(db, WEIR_UNSUPPORTED, "there is one family", err);
}

static weir_status ledger_cf_list(weir_backend_db *db, weir_status (*visit)(const char *, void *),
                                  void *arg, weir_error *err)
{
    return visit(WEIR_BACKEND_DEFAULT_CF, arg);
}

static weir_status ledger_get(weir_backend_db *db, weir_backend_cf *cf,
                              weir_backend_snapshot *snapshot, weir_slice key,
                              weir_backend_value *value, weir_error *err)
{
    size_t at = position(db, key);
    *value = (weir_backend_value){NULL, 0, NULL};
    if (at == db->count || compare(db->items[at], key) != 0)
        return WEIR_NOT_FOUND;
    const record *r = db->items[at];
    *value =
        (weir_backend_value){r->bytes + r->key_size, r->value_size, NULL}; /* valid until close */
    return WEIR_OK;
}

static void ledger_value_release(weir_backend_db *db, weir_backend_value *value)
{
}

static weir_status ledger_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                                uint32_t flags, weir_error *err)
{
    size_t size = sizeof(batch);
    for (size_t i = 0; i < count; i++) {
        size += record_size(ops[i].key.size, ops[i].value.size);
        if (ops[i].key.size > UINT16_MAX || ops[i].value.size > INT32_MAX || size > UINT32_MAX)
            return fail(db, WEIR_TOO_LARGE, "a key, a value or a batch is too large", err);
    }
    if (db->read_only || size > MAP_SIZE - db->end)
        return fail(db, db->read_only ? WEIR_UNSUPPORTED : WEIR_NO_SPACE, "can't write", err);
    batch *b = reserve(db, count) ? calloc(1, size) : NULL;
    if (b == NULL)
        return fail(db, WEIR_NO_MEMORY, "no memory", err);
    unsigned char *at = b->records;
    for (size_t i = 0; i < count; i++) {
        weir_slice key = ops[i].key, value = ops[i].value;
        record *r = (void *)at;
        value.size = ops[i].kind == WEIR_OP_PUT ? value.size : 0;
        *r = (record){ops[i].kind, (uint32_t)key.size, (uint32_t)value.size};
        copy(r->bytes, key);
        copy(r->bytes + key.size, value);
        at += record_size(key.size, value.size);
    }
    uint32_t used = (uint32_t)(at - b->records);
    *b = (batch){used, ~used, (uint32_t)count, checksum(b->records, used)};
    size = sizeof *b + used;
    /* One append: the batch is in the file wholly, or its tail is cut off when it is opened. */
    weir_status status = WEIR_OK;
    if (pwrite(db->fd, b, size, (off_t)db->end) != (ssize_t)size ||
        ((flags & WEIR_WRITE_SYNC) != 0 && fdatasync(db->fd) != 0))
        status = fail(db, errno == ENOSPC ? WEIR_NO_SPACE : WEIR_IO, strerror(errno), err);
    free(b);
    if (status == WEIR_OK)
        apply(db, (const void *)(db->map + db->end));
    else if (ftruncate(db->fd, (off_t)db->end) != 0)
        db->read_only = true; /* what is behind the last batch can't be trusted any more */
    return status;
}

static weir_status ledger_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                    const weir_backend_iter_args *args, weir_backend_iter **iter,
                                    weir_error *err)
{
    *iter = malloc(sizeof **iter + db->count * sizeof(record *));
    if (*iter == NULL)
        return fail(db, WEIR_NO_MEMORY, "no memory", err);
    **iter = (weir_backend_iter){.count = db->count};
    copy((void *)(*iter)->items, weir_slice_of(db->items, db->count * sizeof(record *)));
    return WEIR_OK;
}

static weir_status ledger_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                    weir_error *err)
{
    *key = *value = weir_slice_of(NULL, 0);
    if (iter->next == iter->count)
        return WEIR_NOT_FOUND;
    const record *r = iter->items[iter->next++];
    *key = weir_slice_of(r->bytes, r->key_size);
    *value = weir_slice_of(r->bytes + r->key_size, r->value_size);
    return WEIR_OK;
}

static void ledger_iter_close(weir_backend_iter *iter)
{
    free(iter);
}

static weir_status ledger_flush(weir_backend_db *db, weir_error *err)
{
    return fsync(db->fd) == 0 ? WEIR_OK : fail(db, WEIR_IO, strerror(errno), err);
}

/* clang-format off */
static const weir_backend ledger = {
    .struct_size = sizeof(weir_backend), .abi_version = WEIR_BACKEND_ABI_VERSION,
    .capabilities = WEIR_CAP_ATOMIC_BATCH | WEIR_CAP_DURABLE_ON_WRITE | WEIR_CAP_PERSISTENT,
    .name = "ledger", .version = "ledger 1", .value_release = ledger_value_release,
    .open = ledger_open, .close = ledger_close, .destroy = ledger_destroy, .flush = ledger_flush,
    .cf_open = ledger_cf_open, .cf_list = ledger_cf_list, .get = ledger_get, .write = ledger_write,
    .iter_open = ledger_iter_open, .iter_next = ledger_iter_next, .iter_close = ledger_iter_close,
};
/* clang-format on */

WEIR_API const weir_backend *weir_backend_get(uint32_t host_abi_version)
{
    return &ledger;
}
