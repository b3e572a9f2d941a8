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

/* KEY | first(8) | second(8). An empty key has its separator in timestamped state alone. */
static bool split_two(weir_slice stored, bool empty_has_separator, weir_slice *key, uint64_t *first,
                      uint64_t *second)
{
    const uint8_t *at = stored.data;
    const size_t pair = 2 * NUMBER + 1;
    const size_t shortest = empty_has_separator ? pair + 1 : pair;
    if (stored.size < shortest || at[stored.size - NUMBER - 1] != SEPARATOR)
        return false;
    if (stored.size > pair && at[stored.size - pair - 1] != SEPARATOR)
        return false;
    if (stored.size == pair + 1 && !empty_has_separator)
        return false;
    *second = bytes_get64(at + stored.size - NUMBER);
    *first = bytes_get64(at + stored.size - pair);
    *key = weir_slice_of(at, stored.size > pair ? stored.size - pair - 1 : 0);
    return true;
}

static bool decode_window(state_row *row)
{
    weir_slice key;
    uint64_t start;
    uint64_t end;
    /* A session of one record begins and ends with it. */
    if (!split_two(row->stored_key, false, &key, &start, &end) || end < start)
        return false;
    row->key = key;
    row->has_window = true;
    row->start = start;
    row->end = end;
    return true;
}

static bool decode_timestamped(state_row *row)
{
    if (!split_two(row->stored_key, true, &row->key, &row->start, &row->counter))
        return false;
    row->has_time = true;
    row->has_counter = true;
    return true;
}

static bool decode_collected(state_row *row)
{
    if (!split_two(row->stored_key, false, &row->key, &row->id, &row->counter))
        return false;
    row->has_id = true;
    row->has_counter = true;
    return true;
}

/* No writer makes another expiry than 1 … 10^15 − 1, or never: what begins differently has none. */
static bool decode_stamped(state_row *row)
{
    const uint8_t *at = row->stored_value.data;
    uint64_t expiry = row->stored_value.size >= NUMBER ? bytes_get64(at) : 0;
    if (expiry == 0 || (expiry >= UINT64_C(1000000000000000) && expiry != UINT64_MAX))
        return true;
    row->has_expiry = true;
    row->expiry = expiry;
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

/* __weir_window_ends__: end(8) ∥ start(8) ∥ key. */
static bool decode_window_end(state_row *row)
{
    if (row->stored_key.size < 2 * NUMBER)
        return false;
    const uint8_t *at = row->stored_key.data;
    row->has_window = true;
    row->end = bytes_get64(at);
    row->start = bytes_get64(at + NUMBER);
    row->key = weir_slice_of(at + 2 * NUMBER, row->stored_key.size - 2 * NUMBER);
    row->value_kind = STATE_VALUE_NONE;
    return true;
}

typedef struct named_value {
    const char *key;
    size_t size;
    state_value_kind kind;
} named_value;

/* A key that is not in the table has a value of bytes. */
static bool decode_named(const named_value *table, state_row *row)
{
    for (; table->key != NULL; table++) {
        if (!weir_slice_equal(row->stored_key, weir_slice_str(table->key)))
            continue;
        row->value_kind = table->kind;
        return row->stored_value.size == table->size;
    }
    return true;
}

static bool decode_metadata(state_row *row)
{
    static const named_value table[] = {
        {"__changelog_offset__", NUMBER, STATE_VALUE_NUMBER},
        {"__weir_window_ends__", NUMBER, STATE_VALUE_NUMBER},
        {"__ttl_format_version__", NUMBER, STATE_VALUE_NUMBER},
        {"__ttl_high_water_ms__", NUMBER, STATE_VALUE_TIME},
        {"__ttl_enabled__", 1, STATE_VALUE_FLAG},
        {"__ttl_backfill_in_progress__", 1, STATE_VALUE_FLAG},
        {"__weir_ttl_marked__", 1, STATE_VALUE_FLAG},
        {NULL, 0, STATE_VALUE_BYTES},
    };
    return decode_named(table, row);
}

static bool decode_ttl_system(state_row *row)
{
    static const named_value table[] = {
        {"__ttl_migration_done__", NUMBER, STATE_VALUE_NUMBER},
        {NULL, 0, STATE_VALUE_BYTES},
    };
    return decode_named(table, row);
}

static bool decode_time_value(state_row *row)
{
    if (row->stored_value.size != NUMBER)
        return false;
    row->value_kind = STATE_VALUE_TIME;
    return true;
}

/* A JSON integer that is a time; below 0 it is before all times, and printed as it is. */
static bool decode_time_text(state_row *row)
{
    const char *at = row->stored_value.data;
    size_t size = row->stored_value.size;
    if (size == 0 || size > 20)
        return false;
    bool is_negative = at[0] == '-';
    for (size_t i = is_negative ? 1 : 0; i < size; i++)
        if (at[i] < '0' || at[i] > '9')
            return false;
    if (!is_negative)
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
        {"__ttl_system__", decode_ttl_system},
        {"__weir_window_ends__", decode_window_end},
        {"__values__", decode_collected},
        {"__latest-timestamps__", decode_time_text},
        {"__expiration-index__", decode_time_text},
        {"__deletion-index__", decode_time_text},
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
