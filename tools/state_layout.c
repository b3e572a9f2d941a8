/*
 * What the bytes of a row mean: docs/formats/state.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "bytes.h"
#include "state.h"

#define SEPARATOR '|'
#define NUMBER    8u

/* KEY | first(8) | second(8), and first(8) | second(8) where the key is empty. */
static bool split_two(weir_slice stored, weir_slice *key, uint64_t *first, uint64_t *second)
{
    const uint8_t *at = stored.data;
    const size_t tail = 2 * NUMBER + 1;
    if (stored.size < tail || at[stored.size - NUMBER - 1] != SEPARATOR)
        return false;
    if (stored.size > tail && at[stored.size - tail - 1] != SEPARATOR)
        return false;
    *second = bytes_get64(at + stored.size - NUMBER);
    *first = bytes_get64(at + stored.size - tail);
    *key = weir_slice_of(at, stored.size == tail ? 0 : stored.size - tail - 1);
    return true;
}

static bool decode_window(state_row *row)
{
    weir_slice key;
    uint64_t start;
    uint64_t end;
    if (!split_two(row->stored_key, &key, &start, &end) || end <= start)
        return false;
    row->key = key;
    row->has_window = true;
    row->start = start;
    row->end = end;
    return true;
}

static bool decode_timestamped(state_row *row)
{
    if (!split_two(row->stored_key, &row->key, &row->start, &row->counter))
        return false;
    row->has_time = true;
    row->has_counter = true;
    return true;
}

static bool decode_collected(state_row *row)
{
    if (!split_two(row->stored_key, &row->key, &row->id, &row->counter))
        return false;
    row->has_id = true;
    row->has_counter = true;
    return true;
}

static bool decode_stamped(state_row *row)
{
    if (row->stored_value.size < NUMBER)
        return false;
    const uint8_t *at = row->stored_value.data;
    row->has_expiry = true;
    row->expiry = bytes_get64(at);
    row->value = weir_slice_of(at + NUMBER, row->stored_value.size - NUMBER);
    return true;
}

/* __ttl_index__: expiry(8) ∥ key. */
static bool decode_expiry_index(state_row *row)
{
    if (row->stored_key.size < NUMBER)
        return false;
    const uint8_t *at = row->stored_key.data;
    row->has_expiry = true;
    row->expiry = bytes_get64(at);
    row->key = weir_slice_of(at + NUMBER, row->stored_key.size - NUMBER);
    row->value_kind = STATE_VALUE_NONE;
    return true;
}

static bool is_time(const char *name)
{
    size_t size = strlen(name);
    return size > 5 && strcmp(name + size - 5, "_ms__") == 0;
}

static bool decode_metadata(state_row *row)
{
    char name[64];
    if (row->stored_key.size >= sizeof name)
        return true;
    memcpy(name, row->stored_key.data, row->stored_key.size);
    name[row->stored_key.size] = '\0';
    bool is_number = strcmp(name, "__changelog_offset__") == 0 ||
                     strcmp(name, "__ttl_format_version__") == 0 || is_time(name);
    if (!is_number)
        return true;
    if (row->stored_value.size != NUMBER)
        return false;
    row->value_kind = is_time(name) ? STATE_VALUE_TIME : STATE_VALUE_NUMBER;
    return true;
}

static bool decode_time_value(state_row *row)
{
    if (row->stored_value.size != NUMBER)
        return false;
    row->value_kind = STATE_VALUE_TIME;
    return true;
}

/* A JSON integer that is a time. */
static bool decode_time_text(state_row *row)
{
    const char *at = row->stored_value.data;
    size_t size = row->stored_value.size;
    if (size == 0 || size > 19)
        return false;
    for (size_t i = 0; i < size; i++)
        if (at[i] < '0' || at[i] > '9')
            return size > 1 && at[0] == '-'; /* before all times: kept as text */
    row->value_kind = STATE_VALUE_TIME_TEXT;
    return true;
}

static bool decode_default(state_kind kind, state_row *row)
{
    switch (kind) {
    case STATE_KIND_TTL:
        return decode_stamped(row);
    case STATE_KIND_WINDOWED:
        return decode_window(row);
    case STATE_KIND_TIMESTAMPED:
        return decode_timestamped(row);
    default:
        return true;
    }
}

static bool decode_family(state_kind kind, const char *family, state_row *row)
{
    static const struct {
        const char *family;
        bool (*decode)(state_row *row);
    } decoders[] = {
        {STATE_METADATA, decode_metadata},
        {"__ttl_index__", decode_expiry_index},
        {"__values__", decode_collected},
        {"__latest-timestamps__", decode_time_text},
        {"__expiration-index__", decode_time_text},
        {"__deletion-index__", decode_time_text},
        {"__value-deletion-index__", decode_time_text},
        {"__min-eligible-timestamps__", decode_time_value},
    };
    if (strcmp(family, WEIR_BACKEND_DEFAULT_CF) == 0)
        return decode_default(kind, row);
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++)
        if (strcmp(decoders[i].family, family) == 0)
            return decoders[i].decode(row);
    return true;
}

state_row state_row_decode(state_kind kind, const char *family, weir_slice key, weir_slice value,
                           bool *as_laid_out)
{
    const state_row plain = {.stored_key = key, .stored_value = value, .key = key, .value = value};
    state_row row = plain;
    *as_laid_out = decode_family(kind, family, &row);
    return *as_laid_out ? row : plain;
}
