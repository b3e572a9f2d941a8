/*
 * The tokens of JSON text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json_scan.h"

#include <string.h>

#include "base/number.h"
#include "base/utf8.h"

/* How much of the text a message quotes. */
#define QUOTE_SIZE 32

weir__json_cursor weir__json_cursor_of(weir_slice json)
{
    /* An empty slice may hold NULL, with which no pointer arithmetic is allowed. */
    const uint8_t *begin = json.size > 0 ? json.data : (const uint8_t *)"";
    return (weir__json_cursor){.begin = begin, .at = begin, .end = begin + json.size};
}

void weir__json_skip_space(weir__json_cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n' ||
                                        *cursor->at == '\r' || *cursor->at == '\t'))
        cursor->at++;
}

int weir__json_peek(const weir__json_cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : -1;
}

weir_status weir__json_problem(weir__json_cursor *cursor, const char *problem)
{
    cursor->problem = problem;
    return WEIR_SERIALIZATION;
}

weir_status weir__json_expect(weir__json_cursor *cursor, uint8_t byte, const char *problem)
{
    if (weir__json_peek(cursor) != byte)
        return weir__json_problem(cursor, problem);
    cursor->at++;
    return WEIR_OK;
}

weir_status weir__json_expect_end(weir__json_cursor *cursor)
{
    weir__json_skip_space(cursor);
    if (cursor->at < cursor->end)
        return weir__json_problem(cursor, "the text goes on after its value");
    return WEIR_OK;
}

static bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (is_digit(at, end))
        at++;
    return at;
}

/* Moves the cursor over the text of a number, by the grammar of JSON. */
static weir_status skip_number(weir__json_cursor *cursor, bool *is_integer)
{
    *is_integer = true;
    if (weir__json_peek(cursor) == '-')
        cursor->at++;
    if (!is_digit(cursor->at, cursor->end))
        return weir__json_problem(cursor, "expected a digit");
    if (*cursor->at == '0' && is_digit(cursor->at + 1, cursor->end))
        return weir__json_problem(cursor, "a number can't begin with 0");
    cursor->at = skip_digits(cursor->at, cursor->end);
    if (weir__json_peek(cursor) == '.') {
        cursor->at++;
        *is_integer = false;
        if (!is_digit(cursor->at, cursor->end))
            return weir__json_problem(cursor, "expected a digit after the decimal point");
        cursor->at = skip_digits(cursor->at, cursor->end);
    }
    int next = weir__json_peek(cursor);
    if (next == 'e' || next == 'E') {
        cursor->at++;
        *is_integer = false;
        next = weir__json_peek(cursor);
        if (next == '+' || next == '-')
            cursor->at++;
        if (!is_digit(cursor->at, cursor->end))
            return weir__json_problem(cursor, "expected a digit in the exponent");
        cursor->at = skip_digits(cursor->at, cursor->end);
    }
    return WEIR_OK;
}

/* The integer text[0…size), which is in form, as INT or UINT; false if it is too wide for both. */
static bool read_integer(const uint8_t *text, size_t size, weir__json_number *number)
{
    bool is_negative = text[0] == '-';
    uint64_t magnitude = 0;
    for (size_t i = is_negative ? 1 : 0; i < size; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (magnitude > (UINT64_MAX - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    if (is_negative) {
        if (magnitude > UINT64_C(1) << 63)
            return false;
        number->kind = WEIR__JSON_INT;
        number->integer = magnitude == 0 ? 0 : -1 - (int64_t)(magnitude - 1);
        number->real = (double)number->integer;
        return true;
    }
    number->kind = magnitude <= INT64_MAX ? WEIR__JSON_INT : WEIR__JSON_UINT;
    if (number->kind == WEIR__JSON_INT)
        number->integer = (int64_t)magnitude;
    else
        number->unsigned_ = magnitude;
    number->real = (double)magnitude;
    return true;
}

weir_status weir__json_scan_number(weir__json_cursor *cursor, weir__json_number *number)
{
    const uint8_t *text = cursor->at;
    bool is_integer;
    *number = (weir__json_number){0};
    weir_status status = skip_number(cursor, &is_integer);
    if (status != WEIR_OK)
        return status;
    size_t size = (size_t)(cursor->at - text);
    if (is_integer && read_integer(text, size, number))
        return WEIR_OK;
    number->kind = is_integer ? WEIR__JSON_WIDE : WEIR__JSON_REAL;
    status = weir__number_read_double((const char *)text, size, &number->real);
    if (status == WEIR_TOO_LARGE) {
        cursor->at = text;
        return weir__json_problem(cursor, "the number is beyond the range of a double");
    }
    return status;
}

/* Four hexadecimal digits. */
static weir_status scan_hex4(weir__json_cursor *cursor, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int byte = weir__json_peek(cursor);
        uint32_t digit;
        if (byte >= '0' && byte <= '9')
            digit = (uint32_t)(byte - '0');
        else if (byte >= 'a' && byte <= 'f')
            digit = (uint32_t)(byte - 'a' + 10);
        else if (byte >= 'A' && byte <= 'F')
            digit = (uint32_t)(byte - 'A' + 10);
        else
            return weir__json_problem(cursor, "expected four hexadecimal digits");
        *unit = *unit << 4 | digit;
        cursor->at++;
    }
    return WEIR_OK;
}

/* What follows "\u", which for a character above U+FFFF is a pair of surrogates. */
static weir_status scan_unicode_escape(weir__json_cursor *cursor, uint32_t *code_point)
{
    weir_status status = scan_hex4(cursor, code_point);
    if (status != WEIR_OK || *code_point < 0xD800 || *code_point > 0xDFFF)
        return status;
    if (*code_point > 0xDBFF || cursor->end - cursor->at < 2 || cursor->at[0] != '\\' ||
        cursor->at[1] != 'u')
        return weir__json_problem(cursor, "half of a surrogate pair");
    cursor->at += 2;
    uint32_t low;
    status = scan_hex4(cursor, &low);
    if (status != WEIR_OK)
        return status;
    if (low < 0xDC00 || low > 0xDFFF)
        return weir__json_problem(cursor, "half of a surrogate pair");
    *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
    return WEIR_OK;
}

/* The cursor is behind a backslash. */
static weir_status scan_escape(weir__json_cursor *cursor, uint32_t *code_point)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    int byte = weir__json_peek(cursor);
    if (byte == 'u') {
        cursor->at++;
        return scan_unicode_escape(cursor, code_point);
    }
    const char *letter = byte > 0 ? strchr(letters, byte) : NULL;
    if (!letter)
        return weir__json_problem(cursor, "not an escape");
    cursor->at++;
    *code_point = (uint8_t)meanings[letter - letters];
    return WEIR_OK;
}

weir_status weir__json_append_escaped(weir__buffer *out, uint32_t code_point)
{
    static const char short_escapes[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char hex[] = "0123456789abcdef";
    if (code_point == '"' || code_point == '\\') {
        const char escape[2] = {'\\', (char)code_point};
        return weir__buffer_append(out, escape, sizeof(escape));
    }
    if (code_point < 0x20 && short_escapes[code_point]) {
        const char escape[2] = {'\\', short_escapes[code_point]};
        return weir__buffer_append(out, escape, sizeof(escape));
    }
    if (code_point < 0x20) {
        const char escape[6] = {'\\', 'u', '0', '0', hex[code_point >> 4], hex[code_point & 0xF]};
        return weir__buffer_append(out, escape, sizeof(escape));
    }
    uint8_t bytes[4];
    return weir__buffer_append(out, bytes, weir__utf8_encode(bytes, code_point));
}

/* Moves over characters that stand for themselves in every form. */
static void skip_plain(weir__json_cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at >= 0x20 && *cursor->at != '"' &&
           *cursor->at != '\\') {
        if (*cursor->at < 0x80) {
            cursor->at++;
            continue;
        }
        size_t sequence = weir__utf8_sequence(cursor->at, cursor->end);
        if (sequence == 0)
            return;
        cursor->at += sequence;
    }
}

weir_status weir__json_scan_string(weir__json_cursor *cursor, weir__json_string_form form,
                                   weir__buffer *out)
{
    weir_status status = weir__json_expect(cursor, '"', "expected a string");
    while (status == WEIR_OK) {
        const uint8_t *run = cursor->at;
        skip_plain(cursor);
        status = weir__buffer_append(out, run, (size_t)(cursor->at - run));
        if (status != WEIR_OK)
            return status;
        int byte = weir__json_peek(cursor);
        if (byte == '"') {
            cursor->at++;
            return WEIR_OK;
        }
        if (byte != '\\')
            return weir__json_problem(cursor, byte < 0      ? "the text ends inside a string"
                                              : byte < 0x20 ? "a control character in a string"
                                                            : "not UTF-8");
        cursor->at++;
        uint32_t code_point;
        status = scan_escape(cursor, &code_point);
        if (status != WEIR_OK)
            return status;
        if (form == WEIR__JSON_ESCAPED) {
            status = weir__json_append_escaped(out, code_point);
        } else {
            uint8_t bytes[4];
            status = weir__buffer_append(out, bytes, weir__utf8_encode(bytes, code_point));
        }
    }
    return status;
}

bool weir__json_scan_plain_string(weir__json_cursor *cursor, weir_slice *text)
{
    weir__json_cursor ahead = *cursor;
    if (weir__json_peek(&ahead) != '"')
        return false;
    ahead.at++;
    skip_plain(&ahead);
    if (weir__json_peek(&ahead) != '"')
        return false;
    *text = weir_slice_of(cursor->at + 1, (size_t)(ahead.at - cursor->at - 1));
    cursor->at = ahead.at + 1;
    return true;
}

weir_status weir__json_scan_literal(weir__json_cursor *cursor, const char **literal)
{
    static const char *const literals[] = {"true", "false", "null"};
    *literal = NULL;
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        size_t size = strlen(literals[i]);
        if ((size_t)(cursor->end - cursor->at) >= size &&
            memcmp(cursor->at, literals[i], size) == 0) {
            cursor->at += size;
            *literal = literals[i];
            return WEIR_OK;
        }
    }
    return weir__json_problem(cursor, cursor->at < cursor->end ? "expected a JSON value"
                                                               : "the text ends too early");
}

weir_status weir__json_fail(const weir__json_cursor *cursor, weir_status status, weir_error *err)
{
    if (status != WEIR_SERIALIZATION)
        return weir_error_set(err, status, "JSON: %s", weir_status_text(status));
    size_t line = 1;
    size_t column = 1;
    for (const uint8_t *at = cursor->begin; at < cursor->at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if ((*at & 0xC0) != 0x80) {
            column++;
        }
    }
    size_t left = (size_t)(cursor->end - cursor->at);
    return weir_error_set(err, status, "JSON, line %zu column %zu: %s%s%.*s%s", line, column,
                          cursor->problem, left > 0 ? ": " : "",
                          (int)(left < QUOTE_SIZE ? left : QUOTE_SIZE), (const char *)cursor->at,
                          left > QUOTE_SIZE ? "..." : "");
}
