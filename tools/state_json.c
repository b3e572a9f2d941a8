/*
 * Whether bytes are JSON, so that a value can be printed as it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "state.h"

/* Deeper values are printed as text. */
#define DEPTH_MAX 256

typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

static bool take(cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return false;
    c->at += size;
    return true;
}

/* Not line feeds: a value is printed on one line. */
static void skip_space(cursor *c)
{
    while (c->at < c->end && *c->at == ' ')
        c->at++;
}

static bool take_string(cursor *c)
{
    if (!take(c, '"'))
        return false;
    while (c->at < c->end && *c->at != '"') {
        if ((unsigned char)*c->at < 0x20)
            return false;
        if (*c->at++ != '\\')
            continue;
        if (c->at == c->end || strchr("\"\\/bfnrtu", *c->at) == NULL || *c->at == '\0')
            return false;
        if (*c->at++ != 'u')
            continue;
        for (int i = 0; i < 4; i++, c->at++)
            if (c->at == c->end || *c->at == '\0' ||
                strchr("0123456789abcdefABCDEF", *c->at) == NULL)
                return false;
    }
    return take(c, '"');
}

static bool take_digits(cursor *c)
{
    const char *begin = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > begin;
}

static bool take_number(cursor *c)
{
    take(c, '-');
    if (!take(c, '0') && !take_digits(c))
        return false;
    if (take(c, '.') && !take_digits(c))
        return false;
    if (!take(c, 'e') && !take(c, 'E'))
        return true;
    if (!take(c, '+'))
        take(c, '-');
    return take_digits(c);
}

/* Containers without recursion: one letter for each that is open. */
typedef struct nesting {
    char open[DEPTH_MAX];
    int depth;
} nesting;

static bool take_scalar(cursor *c)
{
    if (c->at == c->end)
        return false;
    if (*c->at == '"')
        return take_string(c);
    return take_word(c, "true") || take_word(c, "false") || take_word(c, "null") || take_number(c);
}

/* A member's name with its colon. */
static bool take_name(cursor *c)
{
    skip_space(c);
    if (!take_string(c))
        return false;
    skip_space(c);
    return take(c, ':');
}

/* Begins a value: a whole scalar or an empty container (*is_done), or the start of one. */
static bool begin_value(cursor *c, nesting *n, bool *is_done)
{
    skip_space(c);
    *is_done = true;
    bool is_object = take(c, '{');
    if (!is_object && !take(c, '['))
        return take_scalar(c);
    skip_space(c);
    if (take(c, is_object ? '}' : ']'))
        return true;
    *is_done = false;
    if (n->depth == DEPTH_MAX)
        return false;
    n->open[n->depth++] = is_object ? '}' : ']';
    return !is_object || take_name(c);
}

bool state_is_json(weir_slice bytes)
{
    cursor c = {bytes.data, (const char *)bytes.data + bytes.size};
    nesting n = {.depth = 0};
    if (bytes.size == 0 || !state_is_utf8(bytes))
        return false;
    for (;;) {
        bool is_done;
        if (!begin_value(&c, &n, &is_done))
            return false;
        if (!is_done)
            continue;
        for (skip_space(&c); n.depth > 0 && take(&c, n.open[n.depth - 1]); skip_space(&c))
            n.depth--;
        if (n.depth == 0)
            return c.at == c.end;
        if (!take(&c, ',') || (n.open[n.depth - 1] == '}' && !take_name(&c)))
            return false;
    }
}
