/*
 * The changelog whose other end is Python: one buffer of bytes and a list of records in it, used
 * in one direction at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define CF_MAX 64u

struct bridge {
    weir_changelog base;
    char *name;
    char *bytes;
    size_t size;
    size_t capacity;
    bridge_record *records;
    size_t count;
    size_t record_capacity;
    char *cfs[CF_MAX]; /* names that came along, kept */
    uint32_t cf_count;
    size_t next; /* to be read */
    int64_t low;
    int64_t high;
    weir_changelog *source; /* what is read instead of what was pushed; NULL: none */
};

/* --- The buffer --- */

static bool grow(void **memory, size_t *capacity, size_t needed, size_t item)
{
    if (needed <= *capacity)
        return true;
    size_t larger = *capacity > 0 ? *capacity * 2 : 256;
    while (larger < needed)
        larger *= 2;
    void *moved = realloc(*memory, larger * item);
    if (!moved)
        return false;
    *memory = moved;
    *capacity = larger;
    return true;
}

/* SIZE_MAX: no memory. */
static size_t add_bytes(bridge *to, weir_slice data)
{
    if (!grow((void **)&to->bytes, &to->capacity, to->size + data.size, 1))
        return SIZE_MAX;
    size_t place = to->size;
    if (data.size > 0)
        memcpy(to->bytes + place, data.data, data.size);
    to->size += data.size;
    return place;
}

/* CF_MAX: no memory, or too many. */
static uint32_t find_cf(bridge *in, const char *name)
{
    for (uint32_t i = in->cf_count; i > 0; i--)
        if (strcmp(in->cfs[i - 1], name) == 0)
            return i - 1;
    if (in->cf_count == CF_MAX)
        return CF_MAX;
    in->cfs[in->cf_count] = strdup(name);
    return in->cfs[in->cf_count] ? in->cf_count++ : CF_MAX;
}

bool bridge_push(bridge *to, const weir_changelog_record *record)
{
    bridge_record made = {.key_size = record->key.size,
                          .value_size = record->value.size,
                          .offset = record->offset,
                          .is_tombstone = record->is_tombstone,
                          .cf = find_cf(to, record->cf)};
    made.ttl_stamped = record->ttl_stamped;
    if (made.cf == CF_MAX ||
        !grow((void **)&to->records, &to->record_capacity, to->count + 1, sizeof(*to->records)))
        return false;
    made.key = add_bytes(to, record->key);
    made.value = add_bytes(to, record->value);
    if (made.key == SIZE_MAX || made.value == SIZE_MAX)
        return false;
    to->records[to->count++] = made;
    return true;
}

void bridge_clear(bridge *of)
{
    of->size = 0;
    of->count = 0;
    of->next = 0;
}

size_t bridge_count(const bridge *of)
{
    return of->count;
}

size_t bridge_bytes(const bridge *of)
{
    return of->size;
}

const bridge_record *bridge_at(const bridge *of, size_t index)
{
    return &of->records[index];
}

const char *bridge_cf(const bridge *of, const bridge_record *record)
{
    return of->cfs[record->cf];
}

weir_slice bridge_key(const bridge *of, const bridge_record *record)
{
    return weir_slice_of(of->bytes + record->key, record->key_size);
}

weir_slice bridge_value(const bridge *of, const bridge_record *record)
{
    return weir_slice_of(of->bytes + record->value, record->value_size);
}

void bridge_set_range(bridge *of, int64_t low, int64_t high)
{
    of->low = low;
    of->high = high;
    of->next = 0;
}

void bridge_set_source(bridge *of, weir_changelog *source)
{
    of->source = source;
}

weir_changelog *bridge_source(const bridge *of)
{
    return of->source;
}

/* --- What the state layer calls --- */

static weir_status log_append(weir_changelog *changelog, const weir_changelog_record *record,
                              weir_error *err)
{
    if (!bridge_push((bridge *)changelog, record))
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory for a changelog record");
    return WEIR_OK;
}

static weir_status log_flush(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                             weir_error *err)
{
    (void)changelog;
    (void)timeout_ms;
    *last_offset = WEIR_OFFSET_NONE;
    return weir_error_set(err, WEIR_UNSUPPORTED, "the producer of Quix Streams flushes changelogs");
}

static weir_status log_range(weir_changelog *changelog, int64_t *low, int64_t *high,
                             weir_error *err)
{
    (void)err;
    const bridge *of = (const bridge *)changelog;
    *low = of->low;
    *high = of->high;
    return WEIR_OK;
}

static weir_status log_seek(weir_changelog *changelog, int64_t offset, weir_error *err)
{
    bridge *of = (bridge *)changelog;
    if (of->source)
        return of->source->ops->seek(of->source, offset, err);
    of->next = 0;
    while (of->next < of->count && of->records[of->next].offset < offset)
        of->next++;
    return WEIR_OK;
}

/* What is gone is the business of Quix Streams' consumer, which knows where to go on. */
static weir_status read_source(bridge *of, weir_changelog_record *records, size_t max,
                               int timeout_ms, size_t *count, int64_t *position, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status =
        of->source->ops->read(of->source, records, max, timeout_ms, count, position, &inner);
    if (status == WEIR_OFFSET)
        return weir_error_set(err, WEIR_KAFKA, "%s", inner.message);
    return status == WEIR_OK ? WEIR_OK : weir_error_set(err, status, "%s", inner.message);
}

static weir_status log_read(weir_changelog *changelog, weir_changelog_record *records, size_t max,
                            int timeout_ms, size_t *count, int64_t *position, weir_error *err)
{
    bridge *of = (bridge *)changelog;
    if (of->source)
        return read_source(of, records, max, timeout_ms, count, position, err);
    *count = 0;
    while (*count < max && of->next < of->count) {
        const bridge_record *from = &of->records[of->next++];
        weir_changelog_record *to = &records[(*count)++];
        memset(to, 0, sizeof(*to));
        to->cf = bridge_cf(of, from);
        to->key = bridge_key(of, from);
        to->value = bridge_value(of, from);
        to->is_tombstone = from->is_tombstone;
        to->offset = from->offset;
        to->ttl_stamped = from->ttl_stamped;
    }
    *position = of->next < of->count ? of->records[of->next].offset : of->high;
    return WEIR_OK;
}

static void log_close(weir_changelog *changelog)
{
    (void)changelog; /* belongs to the partition's object */
}

static const weir_changelog_ops bridge_ops = {
    .struct_size = sizeof(weir_changelog_ops),
    .append = log_append,
    .flush = log_flush,
    .range = log_range,
    .seek = log_seek,
    .read = log_read,
    .close = log_close,
};

bridge *bridge_new(const char *name)
{
    bridge *made = calloc(1, sizeof(*made));
    char *copy = strdup(name);
    if (!made || !copy) {
        free(made);
        free(copy);
        return NULL;
    }
    made->name = copy;
    made->base.ops = &bridge_ops;
    made->base.name = copy;
    return made;
}

weir_changelog *bridge_changelog(bridge *of)
{
    return &of->base;
}

void bridge_free(bridge *of)
{
    if (!of)
        return;
    for (uint32_t i = 0; i < of->cf_count; i++)
        free(of->cfs[i]);
    free(of->bytes);
    free(of->records);
    free(of->name);
    free(of);
}
