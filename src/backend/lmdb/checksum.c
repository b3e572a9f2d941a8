/*
 * Checksums of items. LMDB has none: each item carries 4 bytes behind its value, the XXH32
 * (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) of the value, seeded with that
 * of the key as LMDB has it. The name of a family carries that of the name, in hexadecimal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define PRIME1 UINT32_C(2654435761)
#define PRIME2 UINT32_C(2246822519)
#define PRIME3 UINT32_C(3266489917)
#define PRIME4 UINT32_C(668265263)
#define PRIME5 UINT32_C(374761393)

static uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t load(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t weir__lmdb_hash(const void *data, size_t size, uint32_t seed)
{
    const unsigned char *at = data;
    const unsigned char *end = at + size;
    uint32_t hash = seed + PRIME5;
    if (size >= 16) {
        uint32_t lanes[4] = {seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1};
        for (; end - at >= 16; at += 16)
            for (int i = 0; i < 4; i++)
                lanes[i] = rotate(lanes[i] + load(at + 4 * i) * PRIME2, 13) * PRIME1;
        hash =
            rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    }
    hash += (uint32_t)size;
    for (; end - at >= 4; at += 4)
        hash = rotate(hash + load(at) * PRIME3, 17) * PRIME4;
    for (; at < end; at++)
        hash = rotate(hash + *at * PRIME5, 11) * PRIME1;
    hash = (hash ^ hash >> 15) * PRIME2;
    hash = (hash ^ hash >> 13) * PRIME3;
    return hash ^ hash >> 16;
}

static uint32_t hash_item(const MDB_val *key, const void *data, size_t size)
{
    return weir__lmdb_hash(data, size, weir__lmdb_hash(key->mv_data, key->mv_size, 0));
}

int weir__lmdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, const void *data, size_t size)
{
    MDB_val room = {.mv_size = size + WEIR__LMDB_CHECKSUM_SIZE};
    uint32_t hash = hash_item(key, data, size);
    int code = mdb_put(txn, dbi, key, &room, MDB_RESERVE);
    if (code != 0)
        return code;
    unsigned char *at = room.mv_data;
    if (size > 0)
        memcpy(at, data, size);
    for (int i = 0; i < 4; i++)
        at[size + (size_t)i] = (unsigned char)(hash >> (8 * i));
    return 0;
}

bool weir__lmdb_open_item(const MDB_val *key, MDB_val *data)
{
    if (data->mv_size < WEIR__LMDB_CHECKSUM_SIZE)
        return false;
    size_t size = data->mv_size - WEIR__LMDB_CHECKSUM_SIZE;
    const unsigned char *bytes = data->mv_data;
    if (load(bytes + size) != hash_item(key, bytes, size))
        return false;
    data->mv_size = size;
    return true;
}

char *weir__lmdb_family_stored(const char *name)
{
    char *stored;
    uint32_t hash = weir__lmdb_hash(name, strlen(name), 0);
    return asprintf(&stored, "%s.%08x", name, (unsigned)hash) < 0 ? NULL : stored;
}

size_t weir__lmdb_family_given(const MDB_val *stored)
{
    char suffix[16];
    size_t size = stored->mv_size;
    if (size < WEIR__LMDB_FAMILY_SUFFIX)
        return 0;
    size -= WEIR__LMDB_FAMILY_SUFFIX;
    snprintf(suffix, sizeof suffix, ".%08x", (unsigned)weir__lmdb_hash(stored->mv_data, size, 0));
    const char *bytes = stored->mv_data;
    return memcmp(bytes + size, suffix, WEIR__LMDB_FAMILY_SUFFIX) == 0 ? size : 0;
}
