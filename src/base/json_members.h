/*
 * The members of JSON objects while they are written, to find names given twice: as in Python, the
 * last value counts and stands where the first one stood.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_JSON_MEMBERS_H
#define WEIR_BASE_JSON_MEMBERS_H

#include "base/buffer.h"

/* Offsets into the buffer that is written to: "name":value, without comma. */
typedef struct weir__json_member {
    size_t begin;
    size_t name_size; /* with quotes */
    size_t end;
    uint64_t hash; /* of the name */
} weir__json_member;

#define WEIR__JSON_MEMBERS_INLINE 64

/* A stack of the members of all objects that are open. In place up to a size, so that usual
 * texts need no allocation. */
typedef struct weir__json_members {
    weir__json_member *items;
    size_t count;
    size_t capacity;
    weir__json_member in_place[WEIR__JSON_MEMBERS_INLINE];
} weir__json_members;

/* Does not clear in_place, which is large. */
void weir__json_members_init(weir__json_members *members);
void weir__json_members_release(weir__json_members *members);
/* A member whose name is out[begin…out->size). Its index in *index. */
weir_status weir__json_members_push(weir__json_members *members, const weir__buffer *out,
                                    size_t begin, size_t *index);
/* Takes the members from `first` on off the stack; their object ends at the end of out, without
 * its brace, and is rewritten if a name stands in it twice. */
weir_status weir__json_members_close(weir__json_members *members, size_t first, weir__buffer *out);

#endif
