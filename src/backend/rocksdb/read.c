/*
 * Point reads. A value is pinned where RocksDB has it, in a memtable's copy or a block of the
 * cache, and handed out without a copy of ours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "backend/rocksdb/internal.h"

/* RocksDB reads 32 keys of a batch at a time; the arrays of one round stay on the stack. */
#define MULTI_GET_ROUND 64u

static const rocksdb_readoptions_t *read_options(const weir_backend_db *db,
                                                 const weir_backend_snapshot *snapshot)
{
    return snapshot ? snapshot->read : db->read;
}

static void hand_out(rocksdb_pinnableslice_t *pinned, weir_backend_value *value)
{
    value->data = rocksdb_pinnableslice_value(pinned, &value->size);
    value->owner = pinned;
}

weir_status weir__rocksdb_get(weir_backend_db *db, weir_backend_cf *cf,
                              weir_backend_snapshot *snapshot, weir_slice key,
                              weir_backend_value *value, weir_error *err)
{
    char *text = NULL;
    memset(value, 0, sizeof(*value));
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned_cf(db->rocks, read_options(db, snapshot),
                                                            cf->handle, key.data, key.size, &text);
    if (text)
        return weir__rocksdb_fail(db, text, false, "read a key", err);
    if (!pinned)
        return WEIR_NOT_FOUND;
    hand_out(pinned, value);
    return WEIR_OK;
}

/* The first failure of a round goes into err; its status is returned. */
static weir_status take_round(const weir_backend_db *db, size_t count,
                              rocksdb_pinnableslice_t **pinned, char **texts,
                              weir_backend_value *values, weir_status *statuses, weir_error *err)
{
    weir_status first = WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        if (texts[i]) {
            statuses[i] = weir__rocksdb_fail(db, texts[i], false, "read several keys",
                                             first == WEIR_OK ? err : NULL);
            if (first == WEIR_OK)
                first = statuses[i];
        } else if (pinned[i]) {
            hand_out(pinned[i], &values[i]);
            statuses[i] = WEIR_OK;
        }
    }
    return first;
}

weir_status weir__rocksdb_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                    weir_backend_snapshot *snapshot, const weir_slice *keys,
                                    size_t count, weir_backend_value *values, weir_status *statuses,
                                    weir_error *err)
{
    weir_status first = WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        memset(&values[i], 0, sizeof(values[i]));
        statuses[i] = WEIR_NOT_FOUND;
    }
    for (size_t done = 0; done < count;) {
        const char *data[MULTI_GET_ROUND];
        size_t sizes[MULTI_GET_ROUND];
        rocksdb_pinnableslice_t *pinned[MULTI_GET_ROUND];
        char *texts[MULTI_GET_ROUND];
        size_t round = count - done < MULTI_GET_ROUND ? count - done : MULTI_GET_ROUND;
        for (size_t i = 0; i < round; i++) {
            data[i] = keys[done + i].data ? keys[done + i].data : "";
            sizes[i] = keys[done + i].size;
            pinned[i] = NULL;
            texts[i] = NULL;
        }
        rocksdb_batched_multi_get_cf(db->rocks, read_options(db, snapshot), cf->handle, round, data,
                                     sizes, pinned, texts, false);
        weir_status status = take_round(db, round, pinned, texts, values + done, statuses + done,
                                        first == WEIR_OK ? err : NULL);
        if (first == WEIR_OK)
            first = status;
        done += round;
    }
    return first;
}

void weir__rocksdb_value_release(weir_backend_db *db, weir_backend_value *value)
{
    (void)db;
    if (value->owner)
        rocksdb_pinnableslice_destroy(value->owner);
    memset(value, 0, sizeof(*value));
}
