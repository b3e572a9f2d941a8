/*
 * A growable byte buffer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINIMUM_CAPACITY 64

void weir__buffer_init(weir__buffer *buffer)
{
    *buffer = (weir__buffer){0};
}

void weir__buffer_release(weir__buffer *buffer)
{
    free(buffer->data);
    *buffer = (weir__buffer){0};
}

void weir__buffer_clear(weir__buffer *buffer)
{
    buffer->size = 0;
}

weir_status weir__buffer_reserve(weir__buffer *buffer, size_t extra)
{
    if (extra <= buffer->capacity - buffer->size)
        return WEIR_OK;
    if (extra > SIZE_MAX / 2 - buffer->size)
        return WEIR_NO_MEMORY;
    size_t needed = buffer->size + extra;
    size_t capacity = buffer->capacity < MINIMUM_CAPACITY ? MINIMUM_CAPACITY : buffer->capacity;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return WEIR_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return WEIR_OK;
}

weir_status weir__buffer_append(weir__buffer *buffer, const void *data, size_t size)
{
    weir_status status = weir__buffer_reserve(buffer, size);
    if (status != WEIR_OK || size == 0)
        return status;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return WEIR_OK;
}

weir_status weir__buffer_append_byte(weir__buffer *buffer, uint8_t byte)
{
    weir_status status = weir__buffer_reserve(buffer, 1);
    if (status == WEIR_OK)
        buffer->data[buffer->size++] = byte;
    return status;
}

weir_status weir__buffer_append_str(weir__buffer *buffer, const char *string)
{
    return weir__buffer_append(buffer, string, strlen(string));
}

weir_status weir__buffer_printf(weir__buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return WEIR_NO_MEMORY;
    /* vsnprintf wants room for its NUL. */
    weir_status status = weir__buffer_reserve(buffer, (size_t)length + 1);
    if (status != WEIR_OK)
        return status;
    va_start(args, format);
    vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, format, args);
    va_end(args);
    buffer->size += (size_t)length;
    return WEIR_OK;
}
