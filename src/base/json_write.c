/*
 * JSON: integers, doubles and strings as orjson writes them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/number.h"
#include "base/utf8.h"

weir_status weir__json_write_int(weir__buffer *out, int64_t value)
{
    char text[WEIR__NUMBER_SIZE];
    return weir__buffer_append(out, text, weir__number_write_i64(text, value));
}

weir_status weir__json_write_double(weir__buffer *out, double value, weir_error *err)
{
    if (!isfinite(value))
        return weir_error_set(err, WEIR_SERIALIZATION, "JSON has no number for %s",
                              isnan(value) ? "NaN"
                              : value > 0  ? "infinity"
                                           : "-infinity");
    char text[WEIR__NUMBER_SIZE];
    weir_status status = weir__buffer_append(out, text, weir__number_write_double(text, value));
    return status == WEIR_OK ? WEIR_OK : weir_error_set(err, status, "JSON: out of memory");
}

/* The text without its quotes. *valid_size: how much of it is UTF-8. */
static weir_status append_text(weir__buffer *out, const uint8_t *text, size_t size,
                               size_t *valid_size)
{
    const uint8_t *end = text + size;
    const uint8_t *at = text;
    const uint8_t *run = text; /* begin of what stands for itself and is not appended yet */
    weir_status status = WEIR_OK;
    while (at < end && status == WEIR_OK) {
        size_t sequence = weir__utf8_sequence(at, end);
        if (sequence == 0)
            break;
        if (*at < 0x20 || *at == '"' || *at == '\\') {
            status = weir__buffer_append(out, run, (size_t)(at - run));
            if (status == WEIR_OK)
                status = weir__json_append_escaped(out, *at);
            run = at + 1;
        }
        at += sequence;
    }
    *valid_size = (size_t)(at - text);
    return status == WEIR_OK ? weir__buffer_append(out, run, (size_t)(at - run)) : status;
}

weir_status weir__json_write_string(weir__buffer *out, weir_slice text, weir_error *err)
{
    size_t size_before = out->size;
    size_t valid_size = 0;
    weir_status status = weir__buffer_append_byte(out, '"');
    if (status == WEIR_OK && text.size > 0)
        status = append_text(out, text.data, text.size, &valid_size);
    if (status == WEIR_OK)
        status = weir__buffer_append_byte(out, '"');
    if (status != WEIR_OK) {
        out->size = size_before;
        return weir_error_set(err, status, "JSON: out of memory");
    }
    if (valid_size < text.size) {
        out->size = size_before;
        return weir_error_set(err, WEIR_SERIALIZATION,
                              "a JSON string must be UTF-8; byte %zu (0x%02x) is not", valid_size,
                              ((const uint8_t *)text.data)[valid_size]);
    }
    return WEIR_OK;
}
