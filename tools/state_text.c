/*
 * Rows, bytes and times as text and as JSON, and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "state.h"

/* -------------------------------------------------------------------------- UTF-8 */

/* The size of the character at `at`, 0: it is none. */
static size_t character_size(const uint8_t *at, size_t left)
{
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (size == 0 || at[0] > 0xF4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool is_bad = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
                  (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);
    return is_bad ? 0 : size;
}

bool state_is_utf8(weir_slice bytes)
{
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < bytes.size;) {
        size_t size = character_size(at + i, bytes.size - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

/* ----------------------------------------------------------------- bytes, as text */

/* C1 controls (U+0080 to U+009F) move cursors as C0 does. */
static bool prints(const uint8_t *at, size_t size)
{
    if (size == 1)
        return at[0] >= 0x20 && at[0] != 0x7F;
    return size > 0 && !(at[0] == 0xC2 && at[1] < 0xA0);
}

void state_write_escaped(weir_slice bytes, FILE *out)
{
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < bytes.size;) {
        size_t size = character_size(at + i, bytes.size - i);
        if (at[i] == '\\') {
            fputs("\\\\", out);
            i++;
        } else if (prints(at + i, size)) {
            fwrite(at + i, 1, size, out);
            i += size;
        } else {
            fprintf(out, "\\x%02x", at[i++]);
        }
    }
}

void state_write_hex(weir_slice bytes, FILE *out)
{
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < bytes.size; i++)
        fprintf(out, "%02x", at[i]);
}

static int digit_of(char digit)
{
    const char *digits = "0123456789abcdef";
    char lower = digit >= 'A' && digit <= 'F' ? (char)(digit - 'A' + 'a') : digit;
    const char *found = lower != '\0' ? strchr(digits, lower) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

bool state_parse_bytes(const char *text, state_bytes *bytes)
{
    bytes->is_set = true;
    bytes->size = 0;
    bytes->data = malloc(strlen(text) + 1);
    if (bytes->data == NULL)
        return false;
    while (*text != '\0') {
        int high = text[0] == '\\' && text[1] == 'x' ? digit_of(text[2]) : -1;
        int low = high >= 0 ? digit_of(text[3]) : -1;
        if (low >= 0) {
            bytes->data[bytes->size++] = (uint8_t)(high * 16 + low);
            text += 4;
        } else {
            text += text[0] == '\\' && text[1] == '\\' ? 1 : 0;
            bytes->data[bytes->size++] = (uint8_t)*text++;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------- times */

void state_write_time(uint64_t ms, FILE *out)
{
    struct tm parts;
    const time_t seconds = (time_t)(ms / 1000);
    const uint64_t last = UINT64_C(253402300799999); /* the end of the year 9999 */
    char text[32];
    if (ms > last || gmtime_r(&seconds, &parts) == NULL) {
        fprintf(out, "%" PRIu64, ms);
        return;
    }
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    fprintf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

static bool parse_ms(const char *text, uint64_t *ms)
{
    char *end;
    errno = 0;
    *ms = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

/* ".5", ".123": *ms [out]. The rest of the text. */
static const char *parse_fraction(const char *text, uint64_t *ms)
{
    *ms = 0;
    if (*text != '.')
        return text;
    uint64_t unit = 100;
    for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
        *ms += unit * (uint64_t)(*text - '0');
    return text;
}

bool state_parse_time(const char *text, uint64_t *ms)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    if (parse_ms(text, ms))
        return true;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm parts = {0};
        uint64_t fraction = 0;
        const char *rest = strptime(text, formats[i], &parts);
        if (rest == NULL)
            continue;
        if (strstr(formats[i], "%S") != NULL)
            rest = parse_fraction(rest, &fraction);
        if (*rest != '\0' && strcmp(rest, "Z") != 0)
            continue;
        time_t seconds = timegm(&parts);
        *ms = (uint64_t)seconds * 1000 + fraction;
        return seconds >= 0;
    }
    return false;
}

/* -------------------------------------------------------------------------- JSON */

void state_write_json_string(weir_slice text, FILE *out)
{
    const uint8_t *at = text.data;
    fputc('"', out);
    for (size_t i = 0; i < text.size; i++) {
        if (at[i] == '"' || at[i] == '\\')
            fprintf(out, "\\%c", at[i]);
        else if (at[i] < 0x20 || at[i] == 0x7F)
            fprintf(out, "\\u%04x", at[i]);
        else
            fputc(at[i], out);
    }
    fputc('"', out);
}

void state_write_json_bytes(const char *name, weir_slice bytes, FILE *out)
{
    if (state_is_utf8(bytes)) {
        fprintf(out, "\"%s\":", name);
        state_write_json_string(bytes, out);
    } else {
        fprintf(out, "\"%s_hex\":\"", name);
        state_write_hex(bytes, out);
        fputc('"', out);
    }
}

/* --------------------------------------------------------------------------- rows */

static void write_number_value(const state_row *row, FILE *out)
{
    uint64_t number = bytes_get64(row->value.data);
    if (row->value_kind == STATE_VALUE_TIME)
        state_write_time(number, out);
    else
        fprintf(out, "%" PRIu64, number);
}

void state_write_value(const state_row *row, FILE *out)
{
    switch (row->value_kind) {
    case STATE_VALUE_NUMBER:
    case STATE_VALUE_TIME:
        write_number_value(row, out);
        break;
    case STATE_VALUE_TIME_TEXT: {
        char text[24];
        snprintf(text, sizeof text, "%.*s", (int)row->value.size, (const char *)row->value.data);
        state_write_time(strtoull(text, NULL, 10), out);
        break;
    }
    case STATE_VALUE_FLAG:
        fputs(*(const uint8_t *)row->value.data == 1 ? "true" : "false", out);
        break;
    case STATE_VALUE_NONE:
        break;
    case STATE_VALUE_BYTES:
        if (state_is_json(row->value))
            fwrite(row->value.data, 1, row->value.size, out);
        else
            state_write_escaped(row->value, out);
        break;
    }
}

static void write_readable(const state_row *row, FILE *out)
{
    state_write_escaped(row->key, out);
    fputc('\t', out);
    if (row->has_window) {
        fputc('[', out);
        state_write_time(row->start, out);
        fputs(", ", out);
        state_write_time(row->end, out);
        fputs(")\t", out);
    } else if (row->has_time) {
        state_write_time(row->start, out);
        if (row->counter > 0)
            fprintf(out, " #%" PRIu64, row->counter);
        fputc('\t', out);
    } else if (row->has_id) {
        fprintf(out, "id %" PRIu64 " #%" PRIu64 "\t", row->id, row->counter);
    }
    state_write_value(row, out);
    if (row->has_expiry && row->expiry == UINT64_MAX) {
        fputs("\tnever expires", out);
    } else if (row->has_expiry) {
        fputs(row->value_kind == STATE_VALUE_NONE ? "expires " : "\texpires ", out);
        state_write_time(row->expiry, out);
    }
}

static void write_json_value(const state_row *row, FILE *out)
{
    switch (row->value_kind) {
    case STATE_VALUE_NUMBER:
    case STATE_VALUE_TIME:
        fprintf(out, ",\"value\":%" PRIu64, bytes_get64(row->value.data));
        break;
    case STATE_VALUE_FLAG:
        fprintf(out, ",\"value\":%s", *(const uint8_t *)row->value.data == 1 ? "true" : "false");
        break;
    case STATE_VALUE_NONE:
        break;
    default:
        fputc(',', out);
        if (state_is_json(row->value)) {
            fputs("\"value\":", out);
            fwrite(row->value.data, 1, row->value.size, out);
        } else {
            state_write_json_bytes("text", row->value, out);
        }
    }
}

static void write_json(const state_row *row, const char *name, const char *family, FILE *out)
{
    fputc('{', out);
    if (name != NULL) {
        fputs("\"database\":", out);
        state_write_json_string(weir_slice_str(name), out);
        fputc(',', out);
    }
    if (family != NULL) {
        fputs("\"family\":", out);
        state_write_json_string(weir_slice_str(family), out);
        fputc(',', out);
    }
    state_write_json_bytes("key", row->key, out);
    if (row->has_window)
        fprintf(out, ",\"start\":%" PRIu64 ",\"end\":%" PRIu64, row->start, row->end);
    if (row->has_time)
        fprintf(out, ",\"timestamp\":%" PRIu64, row->start);
    if (row->has_id)
        fprintf(out, ",\"id\":%" PRIu64, row->id);
    if (row->has_counter)
        fprintf(out, ",\"counter\":%" PRIu64, row->counter);
    write_json_value(row, out);
    if (row->has_expiry && row->expiry == UINT64_MAX)
        fputs(",\"expires\":null", out);
    else if (row->has_expiry)
        fprintf(out, ",\"expires\":%" PRIu64, row->expiry);
    fputs("}", out);
}

void state_write_row(const state_row *row, state_output output, const char *name,
                     const char *family, FILE *out)
{
    if (output == STATE_JSON) {
        write_json(row, name, family, out);
        fputc('\n', out);
        return;
    }
    if (name != NULL)
        fprintf(out, "%s\t", name);
    if (family != NULL)
        fprintf(out, "%s\t", family);
    if (output == STATE_READABLE) {
        write_readable(row, out);
    } else {
        void (*write)(weir_slice bytes, FILE * to) =
            output == STATE_HEX ? state_write_hex : state_write_escaped;
        write(row->stored_key, out);
        fputc('\t', out);
        write(row->stored_value, out);
    }
    fputc('\n', out);
}
