/*
 * One line of text for people.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/line.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Replaces, in place, whatever would make the text more than one line of UTF-8. */
static void tidy(char *text, size_t size)
{
    uint8_t *at = (uint8_t *)text;
    const uint8_t *end = at + size;
    while (at < end) {
        size_t sequence = weir__utf8_sequence(at, end);
        if (sequence == 0) {
            *at++ = '?';
            continue;
        }
        if (*at < 0x20 || *at == 0x7F)
            *at = ' ';
        at += sequence;
    }
}

/* Ends a text that fills its room with "...", on the border of a character. */
static void mark_as_cut(char *out, size_t size)
{
    size_t keep = size - sizeof("...");
    while (keep > 0 && ((uint8_t)out[keep] & 0xC0) == 0x80)
        keep--;
    memcpy(out + keep, "...", sizeof("..."));
}

void weir__line_format(char *out, size_t size, const char *format, va_list args)
{
    int length = vsnprintf(out, size, format, args);
    if (length < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)length >= size)
        mark_as_cut(out, size);
    tidy(out, strlen(out));
}
