/*
 * Error details that a caller owns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <string.h>

#include <weir/base.h>

#include "base/line.h"

void weir_error_init(weir_error *err)
{
    err->status = WEIR_OK;
    err->message[0] = '\0';
}

weir_status weir_error_set(weir_error *err, weir_status status, const char *format, ...)
{
    if (!err)
        return status;
    /* Not straight into *err: its own message may be among the arguments. */
    char message[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    weir__line_format(message, sizeof(message), format, args);
    va_end(args);
    memcpy(err->message, message, strlen(message) + 1);
    err->status = status;
    return status;
}
