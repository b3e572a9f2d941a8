/*
 * A small plugin for the tests of the loader, built in several spoilt variants, each chosen
 * by a definition. It keeps up to 64 items in an array, sorted, and links nothing of Weir:
 * it shows the least that a backend needs. Everything else is emulated by the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <weir/backend.h>

#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 64
#define BYTES_MAX 256

#ifndef PLUGIN_NAME
#define PLUGIN_NAME "tiny"
#endif
#ifndef PLUGIN_ABI
#define PLUGIN_ABI WEIR_BACKEND_ABI_VERSION
#endif
#ifndef PLUGIN_NEEDS
#define PLUGIN_NEEDS 1
#endif
#ifndef PLUGIN_CAPABILITIES
#define PLUGIN_CAPABILITIES WEIR_CAP_ATOMIC_BATCH
#endif

typedef struct item {
    size_t key_size;
    size_t value_size;
    unsigned char key[BYTES_MAX];
    unsigned char value[BYTES_MAX];
} item;

struct weir_backend_cf {
    int unused;
};

struct weir_backend_db {
    const weir_backend_host *host;
    weir_backend_cf family;
    size_t count;
    item items[ITEMS_MAX];
};

struct weir_backend_iter {
    size_t next;
    weir_backend_db copy; /* the state as of iter_open */
};

static weir_status tiny_open(const weir_backend_open_args *args, weir_backend_db **db,
                             weir_error *err)
{
    *db = calloc(1, sizeof **db);
    if (*db == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "tiny: no memory");
    (*db)->host = args->host;
    args->host->log(WEIR_LOG_DEBUG, "tiny.open", "a plugin speaks through its host");
    return WEIR_OK;
}

static weir_status tiny_close(weir_backend_db *db, weir_error *err)
{
    (void)err;
    free(db);
    return WEIR_OK;
}

static weir_status tiny_destroy(const weir_backend_open_args *args, weir_error *err)
{
    (void)args;
    (void)err;
    return WEIR_OK;
}

static weir_status tiny_cf_open(weir_backend_db *db, const char *name, bool create,
                                weir_backend_cf **cf, weir_error *err)
{
    (void)create;
    *cf = NULL;
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) != 0)
        return db->host->error(err, WEIR_UNSUPPORTED, "tiny: no column families");
    *cf = &db->family;
    return WEIR_OK;
}

static weir_status tiny_cf_list(weir_backend_db *db,
                                weir_status (*visit)(const char *name, void *arg), void *arg,
                                weir_error *err)
{
    (void)db;
    (void)err;
    return visit(WEIR_BACKEND_DEFAULT_CF, arg);
}

static int compare(const item *i, weir_slice key)
{
    size_t common = i->key_size < key.size ? i->key_size : key.size;
    int order = common == 0 ? 0 : memcmp(i->key, key.data, common);
    if (order != 0)
        return order;
    return i->key_size < key.size ? -1 : i->key_size > key.size ? 1 : 0;
}

/* The index of the first item ≥ key. */
static size_t position(const weir_backend_db *db, weir_slice key)
{
    size_t at = 0;
    while (at < db->count && compare(&db->items[at], key) < 0)
        at++;
    return at;
}

static weir_status tiny_get(weir_backend_db *db, weir_backend_cf *cf,
                            weir_backend_snapshot *snapshot, weir_slice key,
                            weir_backend_value *value, weir_error *err)
{
    (void)cf;
    (void)snapshot;
    size_t at = position(db, key);
    *value = (weir_backend_value){NULL, 0, NULL};
    if (at == db->count || compare(&db->items[at], key) != 0)
        return WEIR_NOT_FOUND;
    void *copy = malloc(db->items[at].value_size + 1);
    if (copy == NULL)
        return db->host->error(err, WEIR_NO_MEMORY, "tiny: no memory");
    memcpy(copy, db->items[at].value, db->items[at].value_size);
    *value = (weir_backend_value){copy, db->items[at].value_size, copy};
    return WEIR_OK;
}

static void tiny_value_release(weir_backend_db *db, weir_backend_value *value)
{
    (void)db;
    free(value->owner);
}

static bool apply(weir_backend_db *db, const weir_backend_op *op)
{
    size_t at = position(db, op->key);
    bool there = at < db->count && compare(&db->items[at], op->key) == 0;
    if (op->kind == WEIR_OP_DELETE) {
        if (there) {
            memmove(&db->items[at], &db->items[at + 1], (db->count - at - 1) * sizeof(item));
            db->count--;
        }
        return true;
    }
    if (op->key.size > BYTES_MAX || op->value.size > BYTES_MAX ||
        (!there && db->count == ITEMS_MAX))
        return false;
    if (!there) {
        memmove(&db->items[at + 1], &db->items[at], (db->count - at) * sizeof(item));
        db->count++;
    }
    item *i = &db->items[at];
    i->key_size = op->key.size;
    i->value_size = op->value.size;
    memcpy(i->key, op->key.data, op->key.size);
    memcpy(i->value, op->value.data, op->value.size);
    return true;
}

static weir_status tiny_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                              uint32_t flags, weir_error *err)
{
    (void)flags;
    weir_backend_db *draft = malloc(sizeof *draft);
    if (draft == NULL)
        return db->host->error(err, WEIR_NO_MEMORY, "tiny: no memory");
    *draft = *db;
    bool fits = true;
    for (size_t i = 0; fits && i < count; i++)
        fits = apply(draft, &ops[i]);
    if (fits)
        *db = *draft;
    free(draft);
    return fits ? WEIR_OK : db->host->error(err, WEIR_NO_SPACE, "tiny: full");
}

static weir_status tiny_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                  const weir_backend_iter_args *args, weir_backend_iter **iter,
                                  weir_error *err)
{
    (void)cf;
    (void)args;
    *iter = malloc(sizeof **iter);
    if (*iter == NULL)
        return db->host->error(err, WEIR_NO_MEMORY, "tiny: no memory");
    (*iter)->next = 0;
    (*iter)->copy = *db;
    return WEIR_OK;
}

static weir_status tiny_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                  weir_error *err)
{
    (void)err;
    *key = (weir_slice){NULL, 0};
    *value = (weir_slice){NULL, 0};
    if (iter->next == iter->copy.count)
        return WEIR_NOT_FOUND;
    const item *i = &iter->copy.items[iter->next++];
    *key = (weir_slice){i->key, i->key_size};
    *value = (weir_slice){i->value, i->value_size};
    return WEIR_OK;
}

static void tiny_iter_close(weir_backend_iter *iter)
{
    free(iter);
}

static weir_status tiny_flush(weir_backend_db *db, weir_error *err)
{
    (void)db;
    (void)err;
    return WEIR_OK;
}

static const weir_backend tiny = {
    .struct_size = sizeof(weir_backend),
    .abi_version = PLUGIN_ABI,
    .name = PLUGIN_NAME,
    .version = "tiny 1",
    .capabilities = PLUGIN_CAPABILITIES,
    .open = tiny_open,
    .close = tiny_close,
    .destroy = tiny_destroy,
    .cf_open = tiny_cf_open,
    .cf_list = tiny_cf_list,
    .get = tiny_get,
    .value_release = tiny_value_release,
#ifndef PLUGIN_WITHOUT_WRITE
    .write = tiny_write,
#endif
    .iter_open = tiny_iter_open,
    .iter_next = tiny_iter_next,
    .iter_close = tiny_iter_close,
    .flush = tiny_flush,
};

#ifdef PLUGIN_WITHOUT_WRITE
/* Used by nobody here, as the table leaves it out. */
weir_status (*const tiny_unused_write)(weir_backend_db *, const weir_backend_op *, size_t, uint32_t,
                                       weir_error *) = tiny_write;
#endif

#ifdef PLUGIN_WITHOUT_ENTRY
#define PLUGIN_ENTRY some_other_function
#else
#define PLUGIN_ENTRY weir_backend_get
#endif

__attribute__((visibility("default"))) const weir_backend *PLUGIN_ENTRY(uint32_t host_abi_version);

const weir_backend *PLUGIN_ENTRY(uint32_t host_abi_version)
{
    return host_abi_version >= PLUGIN_NEEDS ? &tiny : NULL;
}
