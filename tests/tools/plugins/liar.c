/*
 * The tutorial's backend with a lie in it, chosen by a definition: what it claims and does not
 * keep, the kit must find and name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define weir_backend_get honest_backend
#include "examples/backend/ledger.c"
#undef weir_backend_get

/* ------------------------------------------- snapshots that show the latest state */

#ifdef LIE_SNAPSHOTS
static weir_status lie_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                     weir_error *err)
{
    *snapshot = (weir_backend_snapshot *)db;
    return WEIR_OK;
}

static void lie_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
}
#endif

/* --------------------------------------------------- batches that are no batches */

#ifdef LIE_ATOMIC
static weir_status lie_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                             uint32_t flags, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = ledger_write(db, &ops[i], 1, flags, err);
    return status;
}
#endif

/* -------------------------------------------------------------- items in disorder */

#ifdef LIE_ORDER
static weir_status lie_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                 const weir_backend_iter_args *args, weir_backend_iter **iter,
                                 weir_error *err)
{
    weir_status status = ledger_iter_open(db, cf, args, iter, err);
    if (status == WEIR_OK && (*iter)->count > 2) {
        const record *second = (*iter)->items[1];
        (*iter)->items[1] = (*iter)->items[2];
        (*iter)->items[2] = second;
    }
    return status;
}
#endif

/* -------------------------------------------- iterators that see what comes later */

#ifdef LIE_ITERATOR
struct live_iter {
    weir_backend_db *db;
    size_t next;
};

static weir_status lie_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                 const weir_backend_iter_args *args, weir_backend_iter **iter,
                                 weir_error *err)
{
    struct live_iter *made = calloc(1, sizeof *made);
    *iter = (weir_backend_iter *)made;
    if (made == NULL)
        return WEIR_NO_MEMORY;
    made->db = db;
    return WEIR_OK;
}

static weir_status lie_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                 weir_error *err)
{
    struct live_iter *live = (struct live_iter *)iter;
    *key = *value = weir_slice_of(NULL, 0);
    if (live->next >= live->db->count)
        return WEIR_NOT_FOUND;
    const record *r = live->db->items[live->next++];
    *key = weir_slice_of(r->bytes, r->key_size);
    *value = weir_slice_of(r->bytes + r->key_size, r->value_size);
    return WEIR_OK;
}
#endif

/* -------------------------------------------------------- families that are one */

#ifdef LIE_FAMILIES
static weir_status lie_cf_open(weir_backend_db *db, const char *name, bool create,
                               weir_backend_cf **cf, weir_error *err)
{
    *cf = (weir_backend_cf *)db;
    return WEIR_OK;
}

static weir_status lie_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    return WEIR_OK;
}
#endif

/* ------------------------------------------------------------- a short memory */

#ifdef LIE_PERSISTENT
static weir_status lie_open(const weir_backend_open_args *args, weir_backend_db **db,
                            weir_error *err)
{
    weir_status status = args->create ? ledger_destroy(args, err) : WEIR_OK;
    return status == WEIR_OK ? ledger_open(args, db, err) : status;
}
#endif

/* ----------------------------------------------------- one that crashes, or hangs */

#if defined(LIE_CRASH) || defined(LIE_HANG)
static weir_status lie_get(weir_backend_db *db, weir_backend_cf *cf,
                           weir_backend_snapshot *snapshot, weir_slice key,
                           weir_backend_value *value, weir_error *err)
{
#ifdef LIE_HANG
    for (;;)
        pause();
#endif
    abort();
}
#endif

WEIR_API const weir_backend *weir_backend_get(uint32_t host_abi_version);

const weir_backend *weir_backend_get(uint32_t host_abi_version)
{
    static weir_backend liar;
    liar = *honest_backend(host_abi_version);
    liar.name = LIAR_NAME;
#ifdef LIE_SNAPSHOTS
    liar.capabilities |= WEIR_CAP_SNAPSHOTS;
    liar.snapshot_open = lie_snapshot_open;
    liar.snapshot_close = lie_snapshot_close;
#endif
#ifdef LIE_ATOMIC
    liar.write = lie_write;
#endif
#if defined(LIE_ORDER) || defined(LIE_ITERATOR)
    liar.iter_open = lie_iter_open;
#endif
#ifdef LIE_ITERATOR
    liar.iter_next = lie_iter_next;
#endif
#ifdef LIE_BOUNDS
    liar.capabilities |= WEIR_CAP_BOUNDED_ITERATION;
#endif
#ifdef LIE_REVERSE
    liar.capabilities |= WEIR_CAP_REVERSE_ITERATION;
#endif
#ifdef LIE_FAMILIES
    liar.capabilities |= WEIR_CAP_COLUMN_FAMILIES;
    liar.cf_open = lie_cf_open;
    liar.cf_drop = lie_cf_drop;
#endif
#ifdef LIE_PERSISTENT
    liar.open = lie_open;
#endif
#if defined(LIE_CRASH) || defined(LIE_HANG)
    liar.get = lie_get;
#endif
    return &liar;
}
