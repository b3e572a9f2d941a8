/*
 * Keys longer than LMDB takes, and empty ones. The layout is in internal.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "internal.h"

#define NUMBER_SIZE 4u

MDB_val weir__lmdb_stored_key(weir_slice key, unsigned char room[WEIR__LMDB_STORED_MAX])
{
    size_t size = weir__lmdb_is_long(key) ? WEIR__LMDB_PREFIX_SIZE : key.size;
    if (size > 0)
        memcpy(room, key.data, size);
    room[size] = 0;
    return (MDB_val){.mv_size = size + 1, .mv_data = room};
}

int weir__lmdb_compare(weir_slice a, weir_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static uint32_t read_number(const MDB_val *bucket, size_t at)
{
    const unsigned char *bytes = (const unsigned char *)bucket->mv_data + at;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static void write_number(unsigned char *out, uint32_t number)
{
    out[0] = (unsigned char)number;
    out[1] = (unsigned char)(number >> 8);
    out[2] = (unsigned char)(number >> 16);
    out[3] = (unsigned char)(number >> 24);
}

uint32_t weir__lmdb_bucket_count(const MDB_val *bucket)
{
    return read_number(bucket, 0);
}

static size_t entry_start(const MDB_val *bucket, uint32_t index)
{
    return index < weir__lmdb_bucket_count(bucket)
               ? read_number(bucket, NUMBER_SIZE * ((size_t)index + 1))
               : bucket->mv_size;
}

bool weir__lmdb_bucket_is_whole(const MDB_val *bucket)
{
    if (bucket->mv_size < NUMBER_SIZE)
        return false;
    uint64_t count = weir__lmdb_bucket_count(bucket);
    uint64_t at = NUMBER_SIZE * (count + 1);
    if (count == 0 || at > bucket->mv_size)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (entry_start(bucket, i) != at || at + NUMBER_SIZE > bucket->mv_size)
            return false;
        uint64_t key_end = at + NUMBER_SIZE + read_number(bucket, (size_t)at);
        at = entry_start(bucket, i + 1);
        if (key_end > at || at > bucket->mv_size)
            return false;
    }
    return true;
}

void weir__lmdb_bucket_entry(const MDB_val *bucket, uint32_t index, weir_slice *key,
                             weir_slice *value)
{
    const unsigned char *bytes = bucket->mv_data;
    size_t start = entry_start(bucket, index);
    size_t key_size = read_number(bucket, start);
    size_t value_start = start + NUMBER_SIZE + key_size;
    *key = weir_slice_of(bytes + start + NUMBER_SIZE, key_size);
    *value = weir_slice_of(bytes + value_start, entry_start(bucket, index + 1) - value_start);
}

uint32_t weir__lmdb_bucket_find(const MDB_val *bucket, weir_slice key)
{
    uint32_t low = 0;
    uint32_t high = weir__lmdb_bucket_count(bucket);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        weir_slice entry_key;
        weir_slice entry_value;
        weir__lmdb_bucket_entry(bucket, middle, &entry_key, &entry_value);
        if (weir__lmdb_compare(entry_key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where a change goes: before entry `at`, which it replaces if `replaces`. */
typedef struct place {
    uint32_t count;
    uint32_t at;
    bool replaces;
    weir_slice old_key;
    weir_slice old_value;
} place;

static place find_place(const MDB_val *bucket, weir_slice key)
{
    place p = {0};
    if (bucket == NULL)
        return p;
    p.count = weir__lmdb_bucket_count(bucket);
    p.at = weir__lmdb_bucket_find(bucket, key);
    if (p.at < p.count) {
        weir__lmdb_bucket_entry(bucket, p.at, &p.old_key, &p.old_value);
        p.replaces = weir__lmdb_compare(p.old_key, key) == 0;
    }
    return p;
}

uint64_t weir__lmdb_bucket_changed_size(const MDB_val *bucket, weir_slice key,
                                        const weir_slice *value)
{
    place p = find_place(bucket, key);
    uint64_t size = bucket != NULL ? bucket->mv_size : NUMBER_SIZE;
    if (p.replaces)
        size -= 2 * NUMBER_SIZE + p.old_key.size + p.old_value.size;
    if (value != NULL)
        size += 2 * NUMBER_SIZE + (uint64_t)key.size + value->size;
    return size == NUMBER_SIZE ? 0 : size;
}

static unsigned char *put_bytes(unsigned char *out, weir_slice bytes)
{
    if (bytes.size > 0)
        memcpy(out, bytes.data, bytes.size);
    return out + bytes.size;
}

void weir__lmdb_bucket_change(const MDB_val *bucket, weir_slice key, const weir_slice *value,
                              unsigned char *out)
{
    place p = find_place(bucket, key);
    uint32_t count = p.count + (value != NULL ? 1 : 0) - (p.replaces ? 1 : 0);
    unsigned char *start = out + NUMBER_SIZE;
    unsigned char *entry = start + NUMBER_SIZE * (size_t)count;
    write_number(out, count);
    for (uint32_t i = 0; i <= p.count; i++) {
        weir_slice entry_key = key;
        weir_slice entry_value = value != NULL ? *value : weir_slice_of(NULL, 0);
        for (int is_old = i == p.at && value != NULL ? 0 : 1; is_old <= 1; is_old++) {
            if (is_old == 1 && (i == p.count || (i == p.at && p.replaces)))
                continue;
            if (is_old == 1)
                weir__lmdb_bucket_entry(bucket, i, &entry_key, &entry_value);
            write_number(start, (uint32_t)(entry - out));
            start += NUMBER_SIZE;
            write_number(entry, (uint32_t)entry_key.size);
            entry = put_bytes(entry + NUMBER_SIZE, entry_key);
            entry = put_bytes(entry, entry_value);
        }
    }
}
