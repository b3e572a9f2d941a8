/*
 * Reading: the pool of read transactions, get, snapshots.
 *
 * Nothing is copied: a value lies in a page of the map, and the transaction that it was read
 * with keeps the page as it is until the value is released.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

/* ------------------------------------------------------------------- the pool */

/* A reader that sees the latest state and that no call works with, or one that can be renewed. */
static weir__lmdb_reader *find_reader(weir_backend_db *db)
{
    weir__lmdb_reader *idle = NULL;
    for (weir__lmdb_reader *r = db->readers; r != NULL; r = r->next) {
        if (r->taken)
            continue;
        /* While a transaction commits, two of one age may see the states before and after it:
         * a thread that got them in the wrong order would go back in time. */
        if (r->live && r->age == db->age && !db->is_changing)
            return r;
        if (r->pins == 0)
            idle = r;
    }
    return idle;
}

static weir_status new_reader(weir_backend_db *db, weir__lmdb_reader **reader, weir_error *err)
{
    weir__lmdb_reader *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir__lmdb_error(db, WEIR_NO_MEMORY, "no memory for a read transaction", err);
    int code = weir__lmdb_measure(db);
    if (code == 0)
        code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &made->txn);
    if (code != 0) {
        free(made);
        return weir__lmdb_fail(db->host, db->label, code, "can't begin a read transaction", err);
    }
    made->live = true;
    made->age = db->age;
    made->next = db->readers;
    db->readers = made;
    *reader = made;
    return WEIR_OK;
}

weir_status weir__lmdb_reader_take(weir_backend_db *db, weir__lmdb_reader **reader, weir_error *err)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&db->mutex);
    while (db->is_remapping)
        pthread_cond_wait(&db->changed, &db->mutex);
    *reader = find_reader(db);
    if (*reader == NULL) {
        status = new_reader(db, reader, err);
    } else if (!(*reader)->live || (*reader)->age != db->age || db->is_changing) {
        if ((*reader)->live)
            mdb_txn_reset((*reader)->txn);
        int code = weir__lmdb_measure(db);
        if (code == 0)
            code = mdb_txn_renew((*reader)->txn);
        (*reader)->live = code == 0;
        (*reader)->age = db->age;
        if (code != 0)
            status =
                weir__lmdb_fail(db->host, db->label, code, "can't renew a read transaction", err);
    }
    if (status == WEIR_OK)
        (*reader)->taken = true;
    else
        *reader = NULL;
    pthread_mutex_unlock(&db->mutex);
    return status;
}

/* A state that nobody will ask for again must not keep its pages from being used again. */
static void rest_if_old(weir_backend_db *db, weir__lmdb_reader *reader)
{
    if (reader->live && !reader->taken && reader->pins == 0 && reader->age != db->age) {
        mdb_txn_reset(reader->txn);
        reader->live = false;
    }
}

void weir__lmdb_reader_give(weir_backend_db *db, weir__lmdb_reader *reader, bool pinned)
{
    pthread_mutex_lock(&db->mutex);
    reader->taken = false;
    reader->pins += pinned ? 1 : 0;
    rest_if_old(db, reader);
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->mutex);
}

void weir__lmdb_reader_unpin(weir_backend_db *db, weir__lmdb_reader *reader)
{
    pthread_mutex_lock(&db->mutex);
    reader->pins--;
    rest_if_old(db, reader);
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->mutex);
}

void weir__lmdb_readers_age(weir_backend_db *db)
{
    pthread_mutex_lock(&db->mutex);
    db->is_changing = false;
    db->age++;
    for (weir__lmdb_reader *r = db->readers; r != NULL; r = r->next)
        rest_if_old(db, r);
    pthread_mutex_unlock(&db->mutex);
}

static void rest_idle(weir_backend_db *db)
{
    for (weir__lmdb_reader *r = db->readers; r != NULL; r = r->next) {
        if (r->live && !r->taken && r->pins == 0) {
            mdb_txn_reset(r->txn);
            r->live = false;
        }
    }
}

void weir__lmdb_readers_rest(weir_backend_db *db, bool changes)
{
    pthread_mutex_lock(&db->mutex);
    db->is_changing = changes;
    rest_idle(db);
    pthread_mutex_unlock(&db->mutex);
}

void weir__lmdb_readers_free(weir_backend_db *db)
{
    while (db->readers != NULL) {
        weir__lmdb_reader *reader = db->readers;
        db->readers = reader->next;
        mdb_txn_abort(reader->txn);
        free(reader);
    }
}

/* --------------------------------------------------------------------- the map */

/* Readers that keep the map where it is: of calls in progress, and of things that stay open. */
static bool map_is_used(weir_backend_db *db)
{
    for (weir__lmdb_reader *r = db->readers; r != NULL; r = r->next)
        if (r->taken || r->pins > 0)
            return true;
    return false;
}

weir_status weir__lmdb_remap(weir_backend_db *db, size_t size, weir_error *err)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&db->mutex);
    db->is_remapping = true;
    /* A call of another thread ends by itself. An iterator of this one does not, and how they
     * differ can't be told: a moment is waited, and then the caller is told. */
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 1;
    while (map_is_used(db) && pthread_cond_timedwait(&db->changed, &db->mutex, &end) == 0)
        continue;
    if (map_is_used(db)) {
        status = weir__lmdb_error(db, WEIR_BUSY,
                                  "the map is full and can't grow while iterators, snapshots or "
                                  "values are open: close them, or set a larger map_size",
                                  err);
    } else {
        rest_idle(db);
        int code = mdb_env_set_mapsize(db->env, size);
        if (code == 0)
            db->map_size = size;
        else
            status = weir__lmdb_fail(db->host, db->label, code, "can't make the map larger", err);
    }
    db->is_remapping = false;
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->mutex);
    return status;
}

/* ------------------------------------------------------------------------ get */

typedef struct lookup {
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val *key, *data;
} lookup;

static int look_up(void *arg)
{
    const lookup *l = arg;
    return mdb_get(l->txn, l->dbi, l->key, l->data);
}

/* *found [out] lies in a page of the transaction. */
static weir_status find_value(weir_backend_db *db, MDB_txn *txn, const weir_backend_cf *cf,
                              weir_slice key, weir_slice *found, weir_error *err)
{
    unsigned char room[WEIR__LMDB_STORED_MAX];
    MDB_val stored = weir__lmdb_stored_key(key, room);
    MDB_val data;
    *found = weir_slice_of(NULL, 0);
    lookup l = {txn, cf->dbi, &stored, &data};
    int code = weir__lmdb_guard(look_up, &l);
    /* A snapshot may be older than the family: then it holds nothing of it. */
    if (code == MDB_NOTFOUND || code == MDB_BAD_DBI || code == EINVAL)
        return WEIR_NOT_FOUND;
    if (code != 0)
        return weir__lmdb_fail(db->host, db->label, code, "can't read a key", err);
    if (!weir__lmdb_is_in_its_page(db, &stored, &data) || !weir__lmdb_open_item(&stored, &data))
        return weir__lmdb_error(db, WEIR_CORRUPTED, "the checksum of a value is wrong", err);
    if (!weir__lmdb_is_long(key)) {
        *found = weir_slice_of(data.mv_data, data.mv_size);
        return WEIR_OK;
    }
    if (!weir__lmdb_bucket_is_whole(&data))
        return weir__lmdb_error(db, WEIR_CORRUPTED, "a bucket of long keys is damaged", err);
    uint32_t index = weir__lmdb_bucket_find(&data, key);
    if (index == weir__lmdb_bucket_count(&data))
        return WEIR_NOT_FOUND;
    weir_slice entry_key;
    weir_slice entry_value;
    weir__lmdb_bucket_entry(&data, index, &entry_key, &entry_value);
    if (weir__lmdb_compare(entry_key, key) != 0)
        return WEIR_NOT_FOUND;
    *found = entry_value;
    return WEIR_OK;
}

/* With a reader that this call has taken. The value holds on to it. */
static weir_status get_with(weir_backend_db *db, weir__lmdb_reader *reader,
                            const weir_backend_cf *cf, weir_slice key, weir_backend_value *value,
                            weir_error *err)
{
    weir_slice found;
    weir_status status = find_value(db, reader->txn, cf, key, &found, err);
    if (status == WEIR_OK)
        *value = (weir_backend_value){found.data, found.size, reader};
    return status;
}

static void pin(weir_backend_db *db, weir__lmdb_reader *reader, unsigned count)
{
    pthread_mutex_lock(&db->mutex);
    reader->pins += count;
    pthread_mutex_unlock(&db->mutex);
}

weir_status weir__lmdb_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                 weir_backend_snapshot *snapshot, const weir_slice *keys,
                                 size_t count, weir_backend_value *values, weir_status *statuses,
                                 weir_error *err)
{
    weir__lmdb_reader *reader = snapshot != NULL ? snapshot->reader : NULL;
    unsigned found = 0;
    for (size_t i = 0; i < count; i++) {
        values[i] = (weir_backend_value){NULL, 0, NULL};
        statuses[i] = WEIR_NOT_FOUND;
    }
    if (reader == NULL) {
        weir_status status = weir__lmdb_reader_take(db, &reader, err);
        if (status != WEIR_OK)
            return status;
    } else {
        pthread_mutex_lock(&snapshot->mutex);
    }
    for (size_t i = 0; i < count; i++) {
        statuses[i] = get_with(db, reader, cf, keys[i], &values[i], err);
        found += statuses[i] == WEIR_OK ? 1 : 0;
    }
    pin(db, reader, found);
    if (snapshot != NULL)
        pthread_mutex_unlock(&snapshot->mutex);
    else
        weir__lmdb_reader_give(db, reader, false);
    return WEIR_OK;
}

weir_status weir__lmdb_get(weir_backend_db *db, weir_backend_cf *cf,
                           weir_backend_snapshot *snapshot, weir_slice key,
                           weir_backend_value *value, weir_error *err)
{
    weir__lmdb_reader *reader;
    *value = (weir_backend_value){NULL, 0, NULL};
    if (snapshot != NULL) {
        weir_status found;
        weir_status status = weir__lmdb_multi_get(db, cf, snapshot, &key, 1, value, &found, err);
        return status == WEIR_OK ? found : status;
    }
    weir_status status = weir__lmdb_reader_take(db, &reader, err);
    if (status != WEIR_OK)
        return status;
    status = get_with(db, reader, cf, key, value, err);
    weir__lmdb_reader_give(db, reader, status == WEIR_OK);
    return status;
}

void weir__lmdb_value_release(weir_backend_db *db, weir_backend_value *value)
{
    if (value->owner != NULL)
        weir__lmdb_reader_unpin(db, value->owner);
    *value = (weir_backend_value){NULL, 0, NULL};
}

/* ------------------------------------------------------------------- snapshots */

weir_status weir__lmdb_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                     weir_error *err)
{
    *snapshot = NULL;
    weir_backend_snapshot *made = calloc(1, sizeof *made);
    if (made == NULL)
        return weir__lmdb_error(db, WEIR_NO_MEMORY, "no memory for a snapshot", err);
    weir_status status = weir__lmdb_reader_take(db, &made->reader, err);
    if (status != WEIR_OK) {
        free(made);
        return status;
    }
    pthread_mutex_init(&made->mutex, NULL);
    /* It stays taken: it sees one state, and only calls that name the snapshot use it. */
    pin(db, made->reader, 1);
    *snapshot = made;
    return WEIR_OK;
}

void weir__lmdb_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    weir__lmdb_reader_unpin(db, snapshot->reader);
    weir__lmdb_reader_give(db, snapshot->reader, false);
    pthread_mutex_destroy(&snapshot->mutex);
    free(snapshot);
}
