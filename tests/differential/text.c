/*
 * The text of operations and answers; see operations.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "differential_weir: %s\n", what);
    exit(2);
}

/* ---------------------------------------------------------------------------
 * Text that grows
 * ------------------------------------------------------------------------- */

typedef struct text {
    char *data;
    size_t size;
    size_t capacity;
} text;

static char *text_room(text *t, size_t size)
{
    if (t->size + size > t->capacity) {
        t->capacity = 2 * (t->size + size) + 256;
        t->data = realloc(t->data, t->capacity);
        if (t->data == NULL)
            die("out of memory");
    }
    return t->data + t->size;
}

static void text_add(text *t, const void *data, size_t size)
{
    if (size > 0)
        memcpy(text_room(t, size), data, size);
    t->size += size;
}

static void text_print(text *t, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    (void)vsnprintf(text_room(t, (size_t)size + 1), (size_t)size + 1, format, again);
    t->size += (size_t)size;
    va_end(again);
}

/* ---------------------------------------------------------------------------
 * Operations
 * ------------------------------------------------------------------------- */

/* What fields were decoded to, in blocks that stay where they are until op_split. */
static struct {
    void *blocks[4 * DRIVER_MAX_FIELDS];
    size_t count;
} decoded;

static char *decoded_block(size_t size)
{
    if (decoded.count == sizeof(decoded.blocks) / sizeof(decoded.blocks[0]))
        die("too many fields were decoded");
    char *block = malloc(size + 1);
    if (block == NULL)
        die("out of memory");
    decoded.blocks[decoded.count++] = block;
    return block;
}

void op_split(op *o, char *line)
{
    while (decoded.count > 0)
        free(decoded.blocks[--decoded.count]);
    o->count = 0;
    for (char *field = strsep(&line, " "); field != NULL; field = strsep(&line, " ")) {
        if (o->count == DRIVER_MAX_FIELDS)
            die("an operation has too many fields");
        o->fields[o->count++] = field;
    }
}

static int hex_digit(char c)
{
    if (!isxdigit((unsigned char)c))
        die("a field has a % without two hexadecimal digits");
    return isdigit((unsigned char)c) ? c - '0' : toupper((unsigned char)c) - 'A' + 10;
}

weir_slice text_decode(const char *field)
{
    char *bytes = decoded_block(strlen(field));
    size_t size = 0;
    if (strcmp(field, "%") != 0) {
        for (; *field != '\0'; field++) {
            if (*field == '%') {
                bytes[size++] = (char)(hex_digit(field[1]) * 16 + hex_digit(field[2]));
                field += 2;
            } else {
                bytes[size++] = *field;
            }
        }
    }
    bytes[size] = '\0';
    return weir_slice_of(bytes, size);
}

weir_slice op_bytes(const op *o, size_t field)
{
    return text_decode(o->fields[field]);
}

const char *op_text(const op *o, size_t field)
{
    return text_decode(o->fields[field]).data;
}

int64_t op_int(const op *o, size_t field)
{
    char *end;
    int64_t value = strtoll(o->fields[field], &end, 10);
    if (*end != '\0')
        die("a field is not a number");
    return value;
}

bool op_is(const op *o, size_t field, const char *expected)
{
    return field < o->count && strcmp(o->fields[field], expected) == 0;
}

offsets op_offsets(const op *o, size_t field)
{
    offsets all = {.count = 0};
    char *rest = (char *)(uintptr_t)op_text(o, field);
    for (char *quote = strchr(rest, '"'); quote != NULL; quote = strchr(rest, '"')) {
        char *end = strchr(quote + 1, '"');
        if (end == NULL || end[1] != ':' || all.count == DRIVER_MAX_TOPICS)
            die("offsets are not understood");
        *end = '\0';
        all.items[all.count].topic = quote + 1;
        all.items[all.count++].offset = strtoll(end + 2, &rest, 10);
    }
    return all;
}

/* ---------------------------------------------------------------------------
 * Answers
 * ------------------------------------------------------------------------- */

static text answer;

void answer_begin(void)
{
    answer.size = 0;
    text_add(&answer, "ok", 2);
}

void answer_item(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_add(&answer, " ", 1);
    text_print(&answer, format, args);
    va_end(args);
}

void answer_more(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_print(&answer, format, args);
    va_end(args);
}

void answer_none(void)
{
    answer.size = 0;
    text_add(&answer, "none", 4);
}

static bool is_plain(unsigned char byte)
{
    return byte != '\0' && byte < 0x80 && (isalnum(byte) || strchr("_.:|\"{}[],+*-", byte) != NULL);
}

/* "-" alone is %2D, and nothing is %. */
static void encode(text *t, weir_slice bytes)
{
    const uint8_t *data = bytes.data;
    if (bytes.size == 0)
        text_add(t, "%", 1);
    for (size_t i = 0; i < bytes.size; i++) {
        char escaped[4] = {(char)data[i]};
        bool plain = is_plain(data[i]) && !(bytes.size == 1 && data[i] == '-');
        if (!plain)
            (void)snprintf(escaped, sizeof(escaped), "%%%02X", data[i]);
        text_add(t, escaped, plain ? 1 : 3);
    }
}

void answer_bytes(weir_slice bytes)
{
    encode(&answer, bytes);
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void answer_sort(void)
{
    /* The answer does not end with NUL. */
    char *copy = calloc(answer.size + 1, 1);
    size_t count = 0;
    char **items = calloc(answer.size + 1, sizeof(*items));
    if (copy == NULL || items == NULL)
        die("out of memory");
    memcpy(copy, answer.data, answer.size);
    char *rest = copy;
    (void)strsep(&rest, " ");
    while (rest != NULL)
        items[count++] = strsep(&rest, " ");
    qsort(items, count, sizeof(*items), compare_items);
    answer_begin();
    for (size_t i = 0; i < count; i++)
        answer_item("%s", items[i]);
    free(items);
    free(copy);
}

void answer_print(FILE *file)
{
    fprintf(file, "%.*s\n", (int)answer.size, answer.data);
}

/* ---------------------------------------------------------------------------
 * Bytes in a file
 * ------------------------------------------------------------------------- */

void text_write(FILE *file, weir_slice bytes)
{
    text t = {0};
    encode(&t, bytes);
    fprintf(file, "%.*s", (int)t.size, t.data);
    free(t.data);
}
