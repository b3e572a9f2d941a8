/*
 * JSON: texts of one integer, double or string, and the map of processed offsets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/json.h"
#include "base/json_scan.h"

/* How much of a text a message quotes. */
#define QUOTE_SIZE 40

static weir_status not_a(const char *what, weir_slice json, weir_error *err)
{
    size_t quoted = json.size < QUOTE_SIZE ? json.size : QUOTE_SIZE;
    return weir_error_set(err, WEIR_SERIALIZATION, "not a JSON %s: %.*s%s", what, (int)quoted,
                          quoted > 0 ? (const char *)json.data : "",
                          json.size > quoted ? "..." : "");
}

static weir_status read_number(weir_slice json, weir__json_number *number)
{
    weir__json_cursor cursor = weir__json_cursor_of(json);
    weir__json_skip_space(&cursor);
    weir_status status = weir__json_scan_number(&cursor, number);
    return status == WEIR_OK ? weir__json_expect_end(&cursor) : status;
}

weir_status weir__json_read_int(weir_slice json, int64_t *value, weir_error *err)
{
    weir__json_number number;
    weir_status status = read_number(json, &number);
    bool is_int = status == WEIR_OK && number.kind == WEIR__JSON_INT;
    *value = is_int ? number.integer : 0;
    if (is_int)
        return WEIR_OK;
    if (status == WEIR_OK && number.kind != WEIR__JSON_REAL)
        return not_a("integer from -2^63 to 2^63-1", json, err);
    return not_a("integer", json, err);
}

weir_status weir__json_read_double(weir_slice json, double *value, weir_error *err)
{
    weir__json_number number;
    weir_status status = read_number(json, &number);
    *value = status == WEIR_OK ? number.real : 0;
    return status == WEIR_OK ? WEIR_OK : not_a("number within the range of a double", json, err);
}

weir_status weir__json_read_string(weir_slice json, weir__buffer *out, weir_error *err)
{
    size_t size_before = out->size;
    weir__json_cursor cursor = weir__json_cursor_of(json);
    weir__json_skip_space(&cursor);
    if (weir__json_peek(&cursor) != '"')
        return not_a("string", json, err);
    weir_status status = weir__json_scan_string(&cursor, WEIR__JSON_DECODED, out);
    if (status == WEIR_OK)
        status = weir__json_expect_end(&cursor);
    if (status == WEIR_OK)
        return WEIR_OK;
    out->size = size_before;
    return weir__json_fail(&cursor, status, err);
}

typedef weir_status (*visit_fn)(const char *name, int64_t value, void *arg);

/* Walks the members of one object. */
typedef struct member_reader {
    weir__json_cursor cursor;
    char short_name[256];   /* a topic's name fits, so that recovery does not allocate */
    weir__buffer long_name; /* for names that do not, or hold escapes */
    visit_fn visit;
    void *arg;
    bool is_stopped; /* the status is that of visit */
} member_reader;

static weir_status read_name(member_reader *reader, const char **name)
{
    weir_slice plain;
    weir__json_cursor ahead = reader->cursor;
    if (weir__json_scan_plain_string(&ahead, &plain) && plain.size < sizeof(reader->short_name)) {
        memcpy(reader->short_name, plain.data, plain.size);
        reader->short_name[plain.size] = '\0';
        reader->cursor = ahead;
        *name = reader->short_name;
        return WEIR_OK;
    }
    weir__buffer_clear(&reader->long_name);
    weir_status status =
        weir__json_scan_string(&reader->cursor, WEIR__JSON_DECODED, &reader->long_name);
    if (status == WEIR_OK)
        status = weir__buffer_append_byte(&reader->long_name, '\0');
    *name = (const char *)reader->long_name.data;
    return status;
}

/* "name":integer */
static weir_status read_member(member_reader *reader)
{
    weir__json_cursor *cursor = &reader->cursor;
    const char *name;
    weir__json_skip_space(cursor);
    weir_status status = read_name(reader, &name);
    if (status != WEIR_OK)
        return status;
    weir__json_skip_space(cursor);
    status = weir__json_expect(cursor, ':', "expected ':'");
    if (status != WEIR_OK)
        return status;
    weir__json_skip_space(cursor);
    const uint8_t *begin = cursor->at;
    weir__json_number number;
    status = weir__json_scan_number(cursor, &number);
    if (status != WEIR_OK)
        return status;
    if (number.kind != WEIR__JSON_INT) {
        cursor->at = begin;
        return weir__json_problem(cursor, "expected an integer from -2^63 to 2^63-1");
    }
    status = reader->visit(name, number.integer, reader->arg);
    reader->is_stopped = status != WEIR_OK;
    return status;
}

static weir_status read_members(member_reader *reader)
{
    weir__json_cursor *cursor = &reader->cursor;
    weir_status status = weir__json_expect(cursor, '{', "expected an object of integers, or null");
    if (status != WEIR_OK)
        return status;
    weir__json_skip_space(cursor);
    if (weir__json_peek(cursor) == '}') {
        cursor->at++;
        return WEIR_OK;
    }
    for (;;) {
        status = read_member(reader);
        if (status != WEIR_OK)
            return status;
        weir__json_skip_space(cursor);
        if (weir__json_peek(cursor) != ',')
            return weir__json_expect(cursor, '}', "expected ',' or '}'");
        cursor->at++;
    }
}

weir_status weir__json_each_int(weir_slice json, visit_fn visit, void *arg, weir_error *err)
{
    member_reader reader = {.cursor = weir__json_cursor_of(json), .visit = visit, .arg = arg};
    weir_status status;
    weir__json_skip_space(&reader.cursor);
    if (weir__json_peek(&reader.cursor) == 'n') {
        const char *literal;
        status = weir__json_scan_literal(&reader.cursor, &literal);
    } else {
        status = read_members(&reader);
    }
    if (status == WEIR_OK)
        status = weir__json_expect_end(&reader.cursor);
    if (status != WEIR_OK && !reader.is_stopped)
        weir__json_fail(&reader.cursor, status, err);
    weir__buffer_release(&reader.long_name);
    return status;
}
