/*
 * What the files of the LMDB backend share.
 *
 * A plugin: it uses nothing of Weir but weir/backend.h, and is linked with LMDB alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_LMDB_INTERNAL_H
#define WEIR_BACKEND_LMDB_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <weir/backend.h>

#define WEIR__LMDB_KEY_MAX   65535u
#define WEIR__LMDB_VALUE_MAX ((UINT64_C(1) << 31) - 1)

/* ---------------------------------------------------------------------------
 * Databases
 * ------------------------------------------------------------------------- */

/*
 * A read transaction. LMDB lets it move between threads (MDB_NOTLS) but not run in two, so
 * it is taken by one call at a time; what a value or a snapshot holds on to is counted apart.
 */
typedef struct weir__lmdb_reader {
    MDB_txn *txn;
    bool taken;    /* a call or an iterator works with it */
    bool live;     /* not reset: it sees the state of `age` */
    unsigned pins; /* values that lie in its pages, snapshots */
    uint64_t age;  /* db->age as it was renewed */
    struct weir__lmdb_reader *next;
} weir__lmdb_reader;

struct weir_backend_cf {
    char *name;
    MDB_dbi dbi;
    weir_backend_cf *next;
};

struct weir_backend_snapshot {
    weir__lmdb_reader *reader;
    pthread_mutex_t mutex; /* one call at a time works with the transaction */
};

struct weir_backend_db {
    const weir_backend_host *host;
    const char *label;
    MDB_env *env;
    bool read_only;
    weir_backend_cf *cfs;
    unsigned char *bucket; /* room for a bucket in the making (bucket.c) */
    size_t bucket_capacity;
    size_t page_size;           /* 0: where pages begin can't be told */
    _Atomic uint64_t file_size; /* as it was last seen: it never becomes less */
    bool is_broken;             /* an assertion of LMDB failed as it wrote */

    pthread_mutex_t mutex; /* of what follows */
    weir__lmdb_reader *readers;
    uint64_t age;     /* raised by each commit */
    bool is_changing; /* a transaction is at work, and may commit at any moment */
    size_t map_size;
    bool is_remapping; /* the map moves: no reader may begin */
    pthread_cond_t changed;
};

/* Fills err with "what: why (label)" and returns status. */
weir_status weir__lmdb_error(const weir_backend_db *db, weir_status status, const char *what,
                             weir_error *err);
/* The same from a return code of LMDB, which may be an errno. */
weir_status weir__lmdb_fail(const weir_backend_host *host, const char *label, int code,
                            const char *what, weir_error *err);
weir_status weir__lmdb_status(int code);

/* ---------------------------------------------------------------------------
 * Keys (key.c)
 *
 * LMDB knows keys of 1 to 511 bytes; a backend must know those of 0 to 65,535. A key of up to
 * 509 bytes is stored with a byte 0 behind it. All longer ones with the same first 510 bytes
 * are in one item, the bucket, whose key is these 510 bytes and a byte 0: 511 bytes, a size
 * that no other item has. Both keep the order of the bytes exactly.
 *
 * A bucket is, all numbers little-endian:
 *   u32 count, then count × u32 start, then the entries in the order of their keys
 *   an entry, at `start` from the beginning of the bucket: u32 key size, key, value up to the
 *   next entry or the end
 * ------------------------------------------------------------------------- */

#define WEIR__LMDB_PLAIN_MAX   509u
#define WEIR__LMDB_PREFIX_SIZE 510u
#define WEIR__LMDB_STORED_MAX  511u

static inline bool weir__lmdb_is_long(weir_slice key)
{
    return key.size > WEIR__LMDB_PLAIN_MAX;
}
static inline bool weir__lmdb_is_bucket(const MDB_val *stored)
{
    return stored->mv_size == WEIR__LMDB_STORED_MAX;
}
/* The key under which LMDB has the item, or the bucket, of a key; in `room`. */
MDB_val weir__lmdb_stored_key(weir_slice key, unsigned char room[WEIR__LMDB_STORED_MAX]);
int weir__lmdb_compare(weir_slice a, weir_slice b);

/* Whether the bytes can be a bucket: everything lies within them, in order. */
bool weir__lmdb_bucket_is_whole(const MDB_val *bucket);
uint32_t weir__lmdb_bucket_count(const MDB_val *bucket);
void weir__lmdb_bucket_entry(const MDB_val *bucket, uint32_t index, weir_slice *key,
                             weir_slice *value);
/* The index of the first entry with a key ≥ `key`; the count if there is none. */
uint32_t weir__lmdb_bucket_find(const MDB_val *bucket, weir_slice key);
/* The size of `bucket` (NULL: none) once `key` has `value` (NULL: is gone); 0: empty. */
uint64_t weir__lmdb_bucket_changed_size(const MDB_val *bucket, weir_slice key,
                                        const weir_slice *value);
/* Writes that changed bucket. */
void weir__lmdb_bucket_change(const MDB_val *bucket, weir_slice key, const weir_slice *value,
                              unsigned char *out);

/* ---------------------------------------------------------------------------
 * Checksums (checksum.c)
 * ------------------------------------------------------------------------- */

#define WEIR__LMDB_CHECKSUM_SIZE 4u
#define WEIR__LMDB_FAMILY_SUFFIX 9u

uint32_t weir__lmdb_hash(const void *data, size_t size, uint32_t seed);
/* Puts an item with its checksum. */
int weir__lmdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, const void *data, size_t size);
/* Takes the checksum off what was read; false: it is wrong. */
bool weir__lmdb_open_item(const MDB_val *key, MDB_val *data);
/* The name that LMDB has for a family, to be freed; NULL: no memory. */
char *weir__lmdb_family_stored(const char *name);
/* How many bytes of it are the family's name; 0: it is damaged. */
size_t weir__lmdb_family_given(const MDB_val *stored);

/* ---------------------------------------------------------------------------
 * Reading (read.c)
 * ------------------------------------------------------------------------- */

/* A read transaction on the latest state, taken. Any thread. */
weir_status weir__lmdb_reader_take(weir_backend_db *db, weir__lmdb_reader **reader,
                                   weir_error *err);
/* Gives it back; `pinned`: something still lies in its pages, until weir__lmdb_reader_unpin. */
void weir__lmdb_reader_give(weir_backend_db *db, weir__lmdb_reader *reader, bool pinned);
void weir__lmdb_reader_unpin(weir_backend_db *db, weir__lmdb_reader *reader);
/* Lets go of what nobody uses, so that its pages can be used again. changes: a transaction
 * begins that changes the state; weir__lmdb_readers_age says when it has ended. */
void weir__lmdb_readers_rest(weir_backend_db *db, bool changes);
void weir__lmdb_readers_age(weir_backend_db *db);
void weir__lmdb_readers_free(weir_backend_db *db);
/*
 * Makes the map `size` bytes large. Waits for calls of other threads in progress.
 * WEIR_BUSY: iterators, snapshots or values are open, whose pages may not move.
 */
weir_status weir__lmdb_remap(weir_backend_db *db, size_t size, weir_error *err);

weir_status weir__lmdb_get(weir_backend_db *db, weir_backend_cf *cf,
                           weir_backend_snapshot *snapshot, weir_slice key,
                           weir_backend_value *value, weir_error *err);
weir_status weir__lmdb_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                 weir_backend_snapshot *snapshot, const weir_slice *keys,
                                 size_t count, weir_backend_value *values, weir_status *statuses,
                                 weir_error *err);
void weir__lmdb_value_release(weir_backend_db *db, weir_backend_value *value);
weir_status weir__lmdb_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                     weir_error *err);
void weir__lmdb_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot);

/* ---------------------------------------------------------------------------
 * Files (folder.c, check.c)
 * ------------------------------------------------------------------------- */

#define WEIR__LMDB_DATA_FILE "data.mdb"
#define WEIR__LMDB_LOCK_FILE "lock.mdb"
#define WEIR__LMDB_PATH_SIZE 4096

/* "FOLDER/NAME" in `path`; false: too long. */
bool weir__lmdb_path(char path[WEIR__LMDB_PATH_SIZE], const char *folder, const char *name);
/* Before LMDB maps the file (check.c): WEIR_CORRUPTED if its meta pages can't be right, or if
 * anything that is in use lies beyond its end; with is_thorough, if any page or item is damaged. */
weir_status weir__lmdb_check(const weir_backend_open_args *args, bool is_thorough, weir_error *err);
weir_status weir__lmdb_checkpoint(weir_backend_db *db, const char *location, weir_error *err);
weir_status weir__lmdb_destroy(const weir_backend_open_args *args, weir_error *err);

#define WEIR__LMDB_PAGE_LEAF  0x02u
#define WEIR__LMDB_PAGE_LARGE 0x04u /* with those behind it, holds one value */

/* ---------------------------------------------------------------------------
 * Damage that comes while the file is open (guard.c)
 * ------------------------------------------------------------------------- */

/* Once the environment is open. */
int weir__lmdb_guard_begin(weir_backend_db *db);
/*
 * Calls LMDB. MDB_PANIC: an assertion failed there, which would have ended the process. A
 * transaction that writes can't be ended then: nothing more can be written.
 */
int weir__lmdb_guard(int (*call)(void *arg), void *arg);
/* Before a transaction begins: MDB_CORRUPTED if the file has become smaller, so that reading what
 * is gone would end the process. With db->mutex, or before others know the database. */
int weir__lmdb_measure(weir_backend_db *db);
/* Whether an item of a transaction that reads lies where LMDB puts items, so that all of it can be
 * looked at. */
bool weir__lmdb_is_in_its_page(const weir_backend_db *db, const MDB_val *key, const MDB_val *data);

/* ---------------------------------------------------------------------------
 * Writing (write.c) and iterating (iter.c): the methods of these names
 * ------------------------------------------------------------------------- */

weir_status weir__lmdb_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                             uint32_t flags, weir_error *err);
weir_status weir__lmdb_flush(weir_backend_db *db, weir_error *err);
/* Runs one write transaction; grows the map and runs it again when it is full. */
weir_status weir__lmdb_change(weir_backend_db *db,
                              int (*run)(weir_backend_db *db, MDB_txn *txn, void *arg), void *arg,
                              const char *what, weir_error *err);

weir_status weir__lmdb_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                 const weir_backend_iter_args *args, weir_backend_iter **iter,
                                 weir_error *err);
weir_status weir__lmdb_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                 weir_error *err);
weir_status weir__lmdb_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err);
void weir__lmdb_iter_close(weir_backend_iter *iter);

#endif
