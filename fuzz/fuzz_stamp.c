/*
 * Fuzz target: what is decoded from the keys and values of timestamped stores and of values that
 * expire. The first byte says which, the second the size of the prefix.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/timestamped_key.h"
#include "state/ttl_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "property does not hold: %s\n", what);
    abort();
}

static void check_ttl_value(weir_slice stored)
{
    uint64_t expiry;
    weir_slice value;
    uint8_t stamp[WEIR__TTL_STAMP_SIZE];
    if (!weir__ttl_split(stored, &expiry, &value)) {
        check(expiry == WEIR__TTL_NEVER, "what is not stamped never expires");
        check(value.data == stored.data && value.size == stored.size, "and is whole");
        return;
    }
    check(expiry > 0, "an expiry is above 0");
    check(expiry < WEIR__TTL_LIMIT || expiry == WEIR__TTL_NEVER, "and below the limit, or never");
    check(value.size + sizeof stamp == stored.size, "a stamp has 8 bytes");
    weir__ttl_stamp(stamp, expiry);
    check(memcmp(stamp, stored.data, sizeof stamp) == 0, "a stamp is written as it was read");
}

static void check_ttl_index(weir_slice entry)
{
    uint64_t expiry;
    weir_slice key;
    if (weir__ttl_split_index(entry, &expiry, &key))
        check(expiry < WEIR__TTL_LIMIT && key.size + 8 == entry.size, "an entry has an expiry");
}

static void check_stamped(weir_slice key, size_t prefix_size)
{
    uint64_t timestamp;
    uint64_t number;
    weir_slice prefix;
    uint8_t tail[WEIR__STAMPED_SIZE];
    if (weir__stamped_split(key, &prefix, &timestamp, &number)) {
        check(timestamp <= INT64_MAX, "a timestamp fits");
        weir__stamped_write(tail, timestamp, number);
        check(prefix.size + sizeof tail == key.size, "a key is a prefix and its tail");
        check(memcmp((const uint8_t *)key.data + prefix.size, tail, sizeof tail) == 0,
              "a key is written as it was read");
    }
    weir_slice other = weir_slice_of(key.data, prefix_size < key.size ? prefix_size : key.size);
    if (weir__stamped_read(key, other, &timestamp, &number))
        check(other.size + sizeof tail == key.size, "a key belongs to one prefix");
}

static void check_minimum(weir_slice bytes)
{
    weir_slice prefix;
    int64_t minimum;
    if (weir__minimum_split(bytes, &prefix))
        check(prefix.size + WEIR__MINIMUM_SIZE == bytes.size, "a minimum has a prefix");
    if (weir__minimum_read(bytes, &minimum))
        check(bytes.size == 8 && minimum >= 0, "a minimum is a timestamp");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    weir_slice rest = weir_slice_of(data + 2, size - 2);
    switch (data[0] % 4) {
    case 0:
        check_ttl_value(rest);
        break;
    case 1:
        check_ttl_index(rest);
        break;
    case 2:
        check_stamped(rest, data[1]);
        break;
    default:
        check_minimum(rest);
    }
    return 0;
}
