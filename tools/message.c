/*
 * What the command has to say on stderr.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>

#include "tool.h"

static void tell(const char *format, va_list args)
{
    fputs("weir: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int tool_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(format, args);
    va_end(args);
    return TOOL_FAILED;
}

int tool_misuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(format, args);
    va_end(args);
    fputs("Try: weir help\n", stderr);
    return TOOL_USAGE;
}
