/*
 * Fuzz target: the JSON codec on any bytes, with jansson as the judge of what is JSON and of what
 * it means.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JANSSON_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

static void check(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "property does not hold: %s\n", what);
    abort();
}

/* Deeper than what the codec writes; strings with brackets in them may make it so too. */
static bool may_be_too_deep(weir_slice json)
{
    const uint8_t *bytes = json.data;
    size_t open = 0;
    for (size_t i = 0; i < json.size; i++)
        open += bytes[i] == '[' || bytes[i] == '{';
    return open > 254;
}

static json_t *load(weir_slice json, json_error_t *error)
{
    return json_loadb(json.size > 0 ? json.data : "", json.size, JANSSON_FLAGS, error);
}

static void check_canonical(weir_slice json)
{
    weir_error err;
    json_error_t error;
    weir__buffer first = {0};
    weir__buffer second = {0};
    weir_status status = weir__json_write_canonical(&first, json, &err);
    json_t *meant = load(json, &error);
    if (status == WEIR_OK) {
        weir_slice text = weir__buffer_slice(&first);
        check(weir__json_write_canonical(&second, text, &err) == WEIR_OK &&
                  weir_slice_equal(text, weir__buffer_slice(&second)),
              "canonical text stays as it is");
        json_t *written = load(text, &error);
        /* What jansson cannot hold: integers above 2^63-1, and NUL in names. */
        check(written || json_error_code(&error) == json_error_numeric_overflow ||
                  json_error_code(&error) == json_error_null_byte_in_key,
              "jansson reads what was written");
        check(!meant || !written || json_equal(meant, written), "the meaning stays");
        json_decref(written);
    } else {
        check(first.size == 0, "nothing is appended on failure");
        check(err.status == status && err.message[0] != '\0', "a failure has a message");
        /* jansson takes a NUL byte behind the value for the end of the text. */
        bool has_nul = json.size > 0 && memchr(json.data, '\0', json.size);
        check(!meant || has_nul || may_be_too_deep(json), "what jansson reads is accepted");
    }
    json_decref(meant);
    weir__buffer_release(&first);
    weir__buffer_release(&second);
}

static void check_scalars(weir_slice json)
{
    int64_t integer;
    double number;
    weir__buffer text = {0};
    weir__buffer again = {0};
    if (weir__json_read_int(json, &integer, NULL) == WEIR_OK) {
        int64_t same;
        check(weir__json_write_int(&text, integer) == WEIR_OK, "an integer is written");
        check(weir__json_read_int(weir__buffer_slice(&text), &same, NULL) == WEIR_OK &&
                  same == integer,
              "an integer reads back");
    }
    weir__buffer_clear(&text);
    if (weir__json_read_double(json, &number, NULL) == WEIR_OK) {
        double same;
        check(isfinite(number), "a double is finite");
        check(weir__json_write_double(&text, number, NULL) == WEIR_OK, "a double is written");
        check(weir__json_read_double(weir__buffer_slice(&text), &same, NULL) == WEIR_OK &&
                  same == number && signbit(same) == signbit(number),
              "a double reads back");
    }
    weir__buffer_clear(&text);
    if (weir__json_read_string(json, &text, NULL) == WEIR_OK) {
        weir__buffer decoded = {0};
        check(weir__json_write_string(&again, weir__buffer_slice(&text), NULL) == WEIR_OK &&
                  weir__json_read_string(weir__buffer_slice(&again), &decoded, NULL) == WEIR_OK &&
                  weir_slice_equal(weir__buffer_slice(&text), weir__buffer_slice(&decoded)),
              "a string reads back");
        weir__buffer_release(&decoded);
    } else {
        check(text.size == 0, "nothing is appended on failure");
    }
    weir__buffer_release(&text);
    weir__buffer_release(&again);
}

static weir_status count_member(const char *name, int64_t value, void *arg)
{
    size_t *count = arg;
    (void)value;
    check(strlen(name) < SIZE_MAX, "a name ends with NUL");
    (*count)++;
    return WEIR_OK;
}

/* The input as the text of a string: what is written must be JSON, unless it is not UTF-8. */
static void check_written_string(weir_slice text)
{
    weir__buffer written = {0};
    weir__buffer decoded = {0};
    if (weir__json_write_string(&written, text, NULL) == WEIR_OK) {
        check(weir__json_read_string(weir__buffer_slice(&written), &decoded, NULL) == WEIR_OK &&
                  weir_slice_equal(text, weir__buffer_slice(&decoded)),
              "a written string reads back");
    }
    weir__buffer_release(&written);
    weir__buffer_release(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_slice json = weir_slice_of(data, size);
    size_t members = 0;
    check_canonical(json);
    check_scalars(json);
    check_written_string(json);
    weir__json_each_int(json, count_member, &members, NULL);
    return 0;
}
