/*
 * A growable byte buffer that keeps its memory when it is cleared, so that code
 * on the hot path stops allocating once it is warm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_BUFFER_H
#define WEIR_BASE_BUFFER_H

#include <weir/base.h>

typedef struct weir__buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
} weir__buffer;

/* An empty buffer is all zero bytes; init says so by name. */
void weir__buffer_init(weir__buffer *buffer);
void weir__buffer_release(weir__buffer *buffer);
void weir__buffer_clear(weir__buffer *buffer);
/* All of these: WEIR_OK or WEIR_NO_MEMORY, and then the buffer is unchanged. What is appended must
 * not lie in the buffer. */
weir_status weir__buffer_reserve(weir__buffer *buffer, size_t extra);
weir_status weir__buffer_append(weir__buffer *buffer, const void *data, size_t size);
weir_status weir__buffer_append_byte(weir__buffer *buffer, uint8_t byte);
weir_status weir__buffer_append_str(weir__buffer *buffer, const char *string);
/* printf into the buffer, without a NUL. */
weir_status weir__buffer_printf(weir__buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3);

static inline weir_slice weir__buffer_slice(const weir__buffer *buffer)
{
    return weir_slice_of(buffer->data, buffer->size);
}

#endif
