/*
 * JSON: any text checked and written again in orjson's form.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "base/json_members.h"
#include "base/json_scan.h"
#include "base/number.h"

/* What orjson writes at most, so that a Python application can write the value back. */
#define MAXIMUM_DEPTH 254

typedef struct canonical_writer {
    weir__json_cursor cursor;
    weir__buffer *out;
    weir__json_members members;
} canonical_writer;

static weir_status write_value(canonical_writer *writer, int depth);

static weir_status write_number(canonical_writer *writer)
{
    const uint8_t *begin = writer->cursor.at;
    weir__json_number number;
    weir_status status = weir__json_scan_number(&writer->cursor, &number);
    if (status != WEIR_OK)
        return status;
    char text[WEIR__NUMBER_SIZE];
    size_t size = 0;
    switch (number.kind) {
    case WEIR__JSON_INT:
        size = weir__number_write_i64(text, number.integer);
        break;
    case WEIR__JSON_UINT:
        size = weir__number_write_u64(text, number.unsigned_);
        break;
    case WEIR__JSON_REAL:
        size = weir__number_write_double(text, number.real);
        break;
    case WEIR__JSON_WIDE:
        /* Reading it as a double, as orjson does, would change the value without a word. */
        writer->cursor.at = begin;
        return weir__json_problem(&writer->cursor, "an integer outside -2^63 to 2^64-1");
    }
    return weir__buffer_append(writer->out, text, size);
}

static weir_status write_string(canonical_writer *writer)
{
    weir_status status = weir__buffer_append_byte(writer->out, '"');
    if (status == WEIR_OK)
        status = weir__json_scan_string(&writer->cursor, WEIR__JSON_ESCAPED, writer->out);
    return status == WEIR_OK ? weir__buffer_append_byte(writer->out, '"') : status;
}

/* "name":value, and the member pushed. */
static weir_status write_member(canonical_writer *writer, int depth)
{
    size_t index;
    size_t begin = writer->out->size;
    weir__json_skip_space(&writer->cursor);
    if (weir__json_peek(&writer->cursor) != '"')
        return weir__json_problem(&writer->cursor, "expected a member's name in quotes");
    weir_status status = write_string(writer);
    if (status == WEIR_OK)
        status = weir__json_members_push(&writer->members, writer->out, begin, &index);
    if (status != WEIR_OK)
        return status;
    weir__json_skip_space(&writer->cursor);
    status = weir__json_expect(&writer->cursor, ':', "expected ':'");
    if (status == WEIR_OK)
        status = weir__buffer_append_byte(writer->out, ':');
    if (status == WEIR_OK)
        status = write_value(writer, depth);
    writer->members.items[index].end = writer->out->size;
    return status;
}

/* An array or object; the cursor is on its opening bracket. */
static weir_status write_container(canonical_writer *writer, int depth)
{
    weir__json_cursor *cursor = &writer->cursor;
    bool is_object = *cursor->at == '{';
    uint8_t closing = is_object ? '}' : ']';
    size_t first_member = writer->members.count;
    if (depth == MAXIMUM_DEPTH)
        return weir__json_problem(cursor, "nested deeper than 254 levels");
    weir_status status = weir__buffer_append_byte(writer->out, *cursor->at++);
    weir__json_skip_space(cursor);
    if (status == WEIR_OK && weir__json_peek(cursor) == closing) {
        cursor->at++;
        return weir__buffer_append_byte(writer->out, closing);
    }
    while (status == WEIR_OK) {
        status = is_object ? write_member(writer, depth + 1) : write_value(writer, depth + 1);
        if (status != WEIR_OK)
            return status;
        weir__json_skip_space(cursor);
        if (weir__json_peek(cursor) != ',')
            break;
        cursor->at++;
        status = weir__buffer_append_byte(writer->out, ',');
    }
    if (status == WEIR_OK)
        status = weir__json_expect(cursor, closing,
                                   is_object ? "expected ',' or '}'" : "expected ',' or ']'");
    if (status == WEIR_OK && is_object)
        status = weir__json_members_close(&writer->members, first_member, writer->out);
    return status == WEIR_OK ? weir__buffer_append_byte(writer->out, closing) : status;
}

static weir_status write_value(canonical_writer *writer, int depth)
{
    weir__json_skip_space(&writer->cursor);
    int byte = weir__json_peek(&writer->cursor);
    if (byte == '{' || byte == '[')
        return write_container(writer, depth);
    if (byte == '"')
        return write_string(writer);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return write_number(writer);
    const char *literal;
    weir_status status = weir__json_scan_literal(&writer->cursor, &literal);
    return status == WEIR_OK ? weir__buffer_append_str(writer->out, literal) : status;
}

weir_status weir__json_write_canonical(weir__buffer *out, weir_slice json, weir_error *err)
{
    size_t size_before = out->size;
    canonical_writer writer;
    writer.cursor = weir__json_cursor_of(json);
    writer.out = out;
    weir__json_members_init(&writer.members);
    /* Mostly the text is in this form already, or longer. */
    weir_status status = weir__buffer_reserve(out, json.size);
    if (status == WEIR_OK)
        status = write_value(&writer, 0);
    if (status == WEIR_OK)
        status = weir__json_expect_end(&writer.cursor);
    if (status != WEIR_OK) {
        out->size = size_before;
        weir__json_fail(&writer.cursor, status, err);
    }
    weir__json_members_release(&writer.members);
    return status;
}
