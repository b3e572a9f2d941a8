/*
 * The members of JSON objects while they are written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json_members.h"

#include <stdlib.h>
#include <string.h>

/* Up to so many members are compared pair by pair, more are sorted. */
#define PAIRWISE_COUNT 16

/* A member with what sorting needs to know. */
typedef struct sorted_member {
    const weir__json_member *member;
    const uint8_t *name;
} sorted_member;

void weir__json_members_init(weir__json_members *members)
{
    members->items = members->in_place;
    members->count = 0;
    members->capacity = WEIR__JSON_MEMBERS_INLINE;
}

void weir__json_members_release(weir__json_members *members)
{
    if (members->items != members->in_place)
        free(members->items);
}

static weir_status grow(weir__json_members *members)
{
    size_t capacity = members->capacity * 2;
    bool in_place = members->items == members->in_place;
    weir__json_member *items = realloc(in_place ? NULL : members->items, capacity * sizeof(*items));
    if (!items)
        return WEIR_NO_MEMORY;
    if (in_place)
        memcpy(items, members->in_place, sizeof(members->in_place));
    members->items = items;
    members->capacity = capacity;
    return WEIR_OK;
}

/* FNV-1a. Names that are made to collide only cost time: what is equal is decided by the bytes. */
static uint64_t hash_bytes(const uint8_t *bytes, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

weir_status weir__json_members_push(weir__json_members *members, const weir__buffer *out,
                                    size_t begin, size_t *index)
{
    *index = members->count;
    if (members->count == members->capacity) {
        weir_status status = grow(members);
        if (status != WEIR_OK)
            return status;
    }
    size_t name_size = out->size - begin;
    members->items[members->count++] =
        (weir__json_member){.begin = begin,
                            .name_size = name_size,
                            .end = out->size,
                            .hash = hash_bytes(out->data + begin, name_size)};
    return WEIR_OK;
}

static bool has_pair(const weir__json_member *items, size_t count, const weir__buffer *out)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (items[i].hash == items[j].hash && items[i].name_size == items[j].name_size &&
                memcmp(out->data + items[i].begin, out->data + items[j].begin,
                       items[i].name_size) == 0)
                return true;
        }
    }
    return false;
}

/* By name, in any order that keeps equal names together. */
static int compare_names(const sorted_member *a, const sorted_member *b)
{
    if (a->member->hash != b->member->hash)
        return a->member->hash < b->member->hash ? -1 : 1;
    if (a->member->name_size != b->member->name_size)
        return a->member->name_size < b->member->name_size ? -1 : 1;
    return memcmp(a->name, b->name, a->member->name_size);
}

/* Equal names in the order of the text. */
static int compare(const void *left, const void *right)
{
    const sorted_member *a = left;
    const sorted_member *b = right;
    int order = compare_names(a, b);
    return order != 0 ? order : (a->member > b->member) - (a->member < b->member);
}

/* Appends the object's members to `text`: each name where it stood first, with its last value.
 * chosen[i] is the member that gives the text of the i-th, or NULL. */
static weir_status join(const weir__json_member *const *chosen, size_t count,
                        const weir__buffer *out, weir__buffer *text)
{
    for (size_t i = 0; i < count; i++) {
        if (!chosen[i])
            continue;
        weir_status status = text->size > 0 ? weir__buffer_append_byte(text, ',') : WEIR_OK;
        if (status == WEIR_OK)
            status = weir__buffer_append(text, out->data + chosen[i]->begin,
                                         chosen[i]->end - chosen[i]->begin);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* Returns how many names are left. */
static size_t choose(const sorted_member *sorted, size_t count, const weir__json_member *items,
                     const weir__json_member **chosen)
{
    size_t names = 0;
    for (size_t first = 0; first < count;) {
        size_t last = first;
        while (last + 1 < count && compare_names(&sorted[first], &sorted[last + 1]) == 0)
            last++;
        chosen[sorted[first].member - items] = sorted[last].member;
        names++;
        first = last + 1;
    }
    return names;
}

static weir_status rewrite(const weir__json_member *items, size_t count, weir__buffer *out)
{
    weir_status status = WEIR_NO_MEMORY;
    weir__buffer text = {0};
    sorted_member *sorted = malloc(count * sizeof(*sorted));
    const weir__json_member **chosen = calloc(count, sizeof(*chosen));
    if (!sorted || !chosen)
        goto done;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (sorted_member){&items[i], out->data + items[i].begin};
    qsort(sorted, count, sizeof(*sorted), compare);
    status = WEIR_OK;
    if (choose(sorted, count, items, chosen) == count)
        goto done;
    status = join(chosen, count, out, &text);
    if (status != WEIR_OK || text.size == 0)
        goto done;
    /* Shorter than what it replaces. */
    memcpy(out->data + items[0].begin, text.data, text.size);
    out->size = items[0].begin + text.size;
done:
    weir__buffer_release(&text);
    free(chosen);
    free(sorted);
    return status;
}

weir_status weir__json_members_close(weir__json_members *members, size_t first, weir__buffer *out)
{
    const weir__json_member *items = members->items + first;
    size_t count = members->count - first;
    members->count = first;
    if (count < 2 || (count <= PAIRWISE_COUNT && !has_pair(items, count, out)))
        return WEIR_OK;
    return rewrite(items, count, out);
}
