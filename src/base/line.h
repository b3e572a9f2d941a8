/*
 * One line of text for people, as error messages and log lines are: always valid UTF-8, without
 * control characters, cut where the room ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_LINE_H
#define WEIR_BASE_LINE_H

#include <stdarg.h>
#include <stddef.h>

#include <weir/base.h>

/*
 * printf into out[0…size), NUL-terminated. Control characters become spaces and bytes that are
 * not UTF-8 become '?', so that data quoted in a message can't break the line or a terminal. A
 * text that does not fit ends with "...". size is at least 8.
 */
void weir__line_format(char *out, size_t size, const char *format, va_list args) WEIR_PRINTF(3, 0);

#endif
