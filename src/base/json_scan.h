/*
 * The tokens of JSON text (RFC 8259), read one at a time from a cursor, without allocating.
 *
 * Why not through jansson: it has no integers above 2^63−1, which Quix Streams' counters reach, no
 * object members with NUL in their names, and it builds a tree on the heap for each text, while
 * state is read and written per record and the hot path must not allocate. Numbers and strings
 * must be read by hand for that reason anyway; arrays and objects on top of them are few lines.
 * The tests compare what is accepted, and with which value, with jansson and with orjson.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_JSON_SCAN_H
#define WEIR_BASE_JSON_SCAN_H

#include "base/buffer.h"

typedef struct weir__json_cursor {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    const char *problem; /* set with WEIR_SERIALIZATION: what is wrong at `at`; static */
} weir__json_cursor;

typedef enum weir__json_number_kind {
    WEIR__JSON_INT,  /* −2^63 ≤ integer < 2^63 */
    WEIR__JSON_UINT, /* 2^63 ≤ integer < 2^64 */
    WEIR__JSON_WIDE, /* an integer beyond both; `real` is near it */
    WEIR__JSON_REAL  /* has a point or an exponent */
} weir__json_number_kind;

typedef struct weir__json_number {
    weir__json_number_kind kind;
    int64_t integer;    /* INT */
    uint64_t unsigned_; /* UINT */
    double real;        /* all kinds */
} weir__json_number;

/* How scan_string appends the text of a string. */
typedef enum weir__json_string_form {
    WEIR__JSON_DECODED, /* the text itself */
    WEIR__JSON_ESCAPED  /* as orjson writes it, without the quotes */
} weir__json_string_form;

weir__json_cursor weir__json_cursor_of(weir_slice json);
void weir__json_skip_space(weir__json_cursor *cursor);
/* The byte at the cursor, or -1 at the end. */
int weir__json_peek(const weir__json_cursor *cursor);
/* Sets the problem; returns WEIR_SERIALIZATION. */
weir_status weir__json_problem(weir__json_cursor *cursor, const char *problem);
/* Moves over the byte or says that it was expected ("expected ':'"). */
weir_status weir__json_expect(weir__json_cursor *cursor, uint8_t byte, const char *problem);
/* Nothing but space may follow. */
weir_status weir__json_expect_end(weir__json_cursor *cursor);
weir_status weir__json_scan_number(weir__json_cursor *cursor, weir__json_number *number);
weir_status weir__json_scan_string(weir__json_cursor *cursor, weir__json_string_form form,
                                   weir__buffer *out);
/* The text of a string without escapes, borrowed from the JSON. False: it has some, or is none; the
 * cursor has not moved. */
bool weir__json_scan_plain_string(weir__json_cursor *cursor, weir_slice *text);
/* "true", "false" or "null", which is borrowed from the program. */
weir_status weir__json_scan_literal(weir__json_cursor *cursor, const char **literal);
/* Fills err from a failed status: the problem with line, column and what stands there. */
weir_status weir__json_fail(const weir__json_cursor *cursor, weir_status status, weir_error *err);

/* Appends one character as orjson writes it inside a string. */
weir_status weir__json_append_escaped(weir__buffer *out, uint32_t code_point);

#endif
