/*
 * The state view: a transaction seen from one record key, with typed values in the JSON
 * of Quix Streams' defaults.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/json.h"
#include "state/txn.h"

#define INT_DIGITS_SAFE 18u /* so many digits never overflow an int64_t */
#define KEY_SHOWN       64  /* bytes of a key in a message */

void weir__state_release(weir_state *state)
{
    weir__buffer_release(&state->key);
    weir__buffer_release(&state->value);
    weir__buffer_release(&state->text);
}

static weir_status no_memory(const weir_state *state, weir_error *err)
{
    return weir__partition_error(state->txn->partition, WEIR_NO_MEMORY, err,
                                 "out of memory for a key or a value");
}

weir_state *weir_txn_state(weir_txn *txn, weir_slice prefix)
{
    weir_state *state = &txn->state;
    weir__buffer_clear(&state->key);
    if (weir__buffer_reserve(&state->key, prefix.size + 1))
        return NULL;
    if (prefix.size > 0) {
        memcpy(state->key.data, prefix.data, prefix.size);
        state->key.data[prefix.size] = '|';
    }
    state->prefix_size = prefix.size > 0 ? prefix.size + 1 : 0;
    state->key.size = state->prefix_size;
    state->expiry = WEIR__TTL_NEVER;
    return state;
}

weir_status weir_state_expire_after(weir_state *state, int64_t ttl_ms, weir_error *err)
{
    return weir__txn_ttl_expiry(state->txn, ttl_ms, &state->expiry, err);
}

/* --- Keys --- */

static weir_status bytes_key(weir_state *state, weir_slice key, weir_slice *state_key,
                             weir_error *err)
{
    weir__buffer *buffer = &state->key;
    buffer->size = state->prefix_size;
    if (buffer->capacity - buffer->size < key.size && weir__buffer_reserve(buffer, key.size))
        return no_memory(state, err);
    if (key.size > 0)
        memcpy(buffer->data + buffer->size, key.data, key.size);
    *state_key = weir_slice_of(buffer->data, buffer->size + key.size);
    return WEIR_OK;
}

/* A text key is stored as its JSON string. Most have nothing to escape. */
static weir_status text_key(weir_state *state, const char *text, weir_slice *state_key,
                            weir_error *err)
{
    weir__buffer *buffer = &state->key;
    size_t size = strlen(text);
    buffer->size = state->prefix_size;
    if (buffer->capacity - buffer->size < size + 2 && weir__buffer_reserve(buffer, size + 2))
        return no_memory(state, err);
    uint8_t *out = buffer->data + buffer->size;
    size_t i = 0;
    out[0] = '"';
    for (; i < size; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
        out[1 + i] = c;
    }
    if (i == size) {
        out[1 + i] = '"';
        buffer->size += size + 2;
    } else {
        weir_status status = weir__json_write_string(buffer, weir_slice_of(text, size), err);
        if (status)
            return status;
    }
    *state_key = weir__buffer_slice(buffer);
    return WEIR_OK;
}

/* --- Reading and writing stored bytes --- */

static weir_status get_text(weir_state *state, const char *key, weir_slice *value, weir_error *err)
{
    weir_slice state_key;
    *value = weir_slice_of(NULL, 0);
    weir_status status = text_key(state, key, &state_key, err);
    return status ? status : weir__txn_get(state->txn, WEIR_CF_DEFAULT, state_key, value, err);
}

/* A change that fails before it reaches the transaction makes it FAILED too. */
static weir_status fail(weir_state *state, weir_status status)
{
    weir_txn_fail(state->txn);
    return status;
}

static weir_status change(weir_state *state, weir_slice state_key, const weir_slice *value,
                          weir_error *err)
{
    if (value)
        return weir__txn_set_expiring(state->txn, WEIR_CF_DEFAULT, state_key, *value, state->expiry,
                                      err);
    return weir__txn_set(state->txn, WEIR_CF_DEFAULT, state_key, NULL, err);
}

static weir_status set_text(weir_state *state, const char *key, const weir_slice *value,
                            weir_error *err)
{
    weir_slice state_key;
    weir_status status = weir__txn_check(state->txn, err);
    if (status)
        return status;
    status = text_key(state, key, &state_key, err);
    if (status)
        return fail(state, status);
    return change(state, state_key, value, err);
}

/* Sets what the buffer `value` holds, or fails with the status of its making. */
static weir_status set_made(weir_state *state, const char *key, weir_status made,
                            const weir_error *inner, weir_error *err)
{
    weir_status status = weir__txn_check(state->txn, err);
    if (status)
        return status;
    if (made) {
        fail(state, made);
        return weir__partition_error(
            state->txn->partition, made, err, "the value for the key \"%.*s\" can't be stored: %s",
            KEY_SHOWN, key, inner ? inner->message : weir_status_text(made));
    }
    weir_slice value = weir__buffer_slice(&state->value);
    return set_text(state, key, &value, err);
}

static weir_status bad_value(const weir_state *state, const char *key, weir_status status,
                             const weir_error *inner, const char *type, weir_error *err)
{
    return weir__partition_error(state->txn->partition, status, err,
                                 "the value under the key \"%.*s\" is not %s: %s", KEY_SHOWN, key,
                                 type, inner->message);
}

/* --- Bytes --- */

weir_txn *weir_state_txn(const weir_state *state)
{
    return state->txn;
}

weir_status weir_state_get(weir_state *state, weir_slice key, weir_slice *value, weir_error *err)
{
    weir_slice state_key;
    *value = weir_slice_of(NULL, 0);
    weir_status status = bytes_key(state, key, &state_key, err);
    return status ? status : weir__txn_get(state->txn, WEIR_CF_DEFAULT, state_key, value, err);
}

static weir_status change_bytes(weir_state *state, weir_slice key, const weir_slice *value,
                                weir_error *err)
{
    weir_slice state_key;
    weir_status status = weir__txn_check(state->txn, err);
    if (status)
        return status;
    status = bytes_key(state, key, &state_key, err);
    if (status)
        return fail(state, status);
    return change(state, state_key, value, err);
}

weir_status weir_state_set(weir_state *state, weir_slice key, weir_slice value, weir_error *err)
{
    return change_bytes(state, key, &value, err);
}

weir_status weir_state_delete(weir_state *state, weir_slice key, weir_error *err)
{
    return change_bytes(state, key, NULL, err);
}

weir_status weir_state_get_bytes(weir_state *state, const char *key, weir_slice *value,
                                 weir_error *err)
{
    return get_text(state, key, value, err);
}

weir_status weir_state_set_bytes(weir_state *state, const char *key, weir_slice value,
                                 weir_error *err)
{
    return set_text(state, key, &value, err);
}

weir_status weir_state_exists(weir_state *state, const char *key, bool *exists, weir_error *err)
{
    weir_slice value;
    weir_status status = get_text(state, key, &value, err);
    *exists = status == WEIR_OK;
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

weir_status weir_state_remove(weir_state *state, const char *key, weir_error *err)
{
    return set_text(state, key, NULL, err);
}

/* --- Integers and doubles --- */

/* The decimal integers that Weir and orjson write, as far as they can't overflow. */
static bool read_plain_int(weir_slice json, int64_t *value)
{
    const uint8_t *bytes = json.data;
    bool is_negative = json.size > 0 && bytes[0] == '-';
    size_t at = is_negative ? 1 : 0;
    size_t digits = json.size - at;
    if (json.size <= at || digits > INT_DIGITS_SAFE || (bytes[at] == '0' && digits > 1))
        return false;
    int64_t number = 0;
    for (; at < json.size; at++) {
        unsigned digit = (unsigned)bytes[at] - '0';
        if (digit > 9)
            return false;
        number = number * 10 + (int64_t)digit;
    }
    *value = is_negative ? -number : number;
    return true;
}

weir_status weir_state_get_int(weir_state *state, const char *key, int64_t default_value,
                               int64_t *value, weir_error *err)
{
    weir_slice json;
    *value = default_value;
    weir_status status = get_text(state, key, &json, err);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status || read_plain_int(json, value))
        return status;
    weir_error inner;
    weir_error_init(&inner);
    status = weir__json_read_int(json, value, &inner);
    if (!status)
        return WEIR_OK;
    *value = default_value;
    return bad_value(state, key, status, &inner, "an integer", err);
}

weir_status weir_state_set_int(weir_state *state, const char *key, int64_t value, weir_error *err)
{
    weir__buffer_clear(&state->value);
    return set_made(state, key, weir__json_write_int(&state->value, value), NULL, err);
}

weir_status weir_state_get_double(weir_state *state, const char *key, double default_value,
                                  double *value, weir_error *err)
{
    weir_slice json;
    weir_error inner;
    weir_error_init(&inner);
    *value = default_value;
    weir_status status = get_text(state, key, &json, err);
    if (status)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    status = weir__json_read_double(json, value, &inner);
    if (!status)
        return WEIR_OK;
    *value = default_value;
    return bad_value(state, key, status, &inner, "a number", err);
}

weir_status weir_state_set_double(weir_state *state, const char *key, double value, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir__buffer_clear(&state->value);
    weir_status made = weir__json_write_double(&state->value, value, &inner);
    return set_made(state, key, made, &inner, err);
}

/* --- Strings and JSON --- */

weir_status weir_state_get_string(weir_state *state, const char *key, weir_slice default_value,
                                  weir_slice *value, weir_error *err)
{
    weir_slice json;
    weir_error inner;
    weir_error_init(&inner);
    *value = default_value;
    weir_status status = get_text(state, key, &json, err);
    if (status)
        return status == WEIR_NOT_FOUND ? WEIR_OK : status;
    weir__buffer_clear(&state->text);
    status = weir__json_read_string(json, &state->text, &inner);
    if (status)
        return bad_value(state, key, status, &inner, "a string", err);
    *value = weir__buffer_slice(&state->text);
    return WEIR_OK;
}

weir_status weir_state_set_string(weir_state *state, const char *key, weir_slice value,
                                  weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir__buffer_clear(&state->value);
    weir_status made = weir__json_write_string(&state->value, value, &inner);
    return set_made(state, key, made, &inner, err);
}

weir_status weir_state_get_json(weir_state *state, const char *key, weir_slice *json,
                                weir_error *err)
{
    return get_text(state, key, json, err);
}

weir_status weir_state_set_json(weir_state *state, const char *key, weir_slice json,
                                weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir__buffer_clear(&state->value);
    weir_status made = weir__json_write_canonical(&state->value, json, &inner);
    return set_made(state, key, made, &inner, err);
}
