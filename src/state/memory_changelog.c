/*
 * The changelog in memory: a topic partition that outlives its handles, for tests and
 * for programs without a broker. It keeps the rules of a Kafka partition: offsets
 * grow by one and are never reused, compaction leaves holes, deleting from the front
 * moves the low watermark, the end of a transaction takes up an offset.
 *
 * Records stand in segments of a fixed number, each with an arena of its own, so that
 * appending does not allocate per record and deleting from the front frees memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <weir/state.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "state/record_cache.h"

#define SEGMENT_RECORDS 1024u

typedef struct memory_record {
    int64_t offset;
    const char *cf;        /* interned in the topic; NULL: without that header */
    const char *processed; /* in the arena, shared by equal neighbours; NULL: without */
    const uint8_t *data;   /* in the arena: the key, then the value */
    uint32_t cf_index;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t processed_size;
    bool is_tombstone;
    bool ttl_stamped;
} memory_record;

typedef struct segment {
    weir__arena arena;
    size_t count; /* never 0 in a topic, except in the newest segment */
    memory_record records[SEGMENT_RECORDS];
} segment;

struct weir_memory_topic {
    segment **segments;
    size_t segment_count;
    size_t segment_capacity;
    char **cfs; /* interned names of column families */
    size_t cf_count;
    int64_t low;
    int64_t high;
};

typedef struct memory_changelog {
    weir_changelog base;
    weir_memory_topic *topic;
    int64_t position;
    int64_t last_appended;
    char name[];
} memory_changelog;

/* ---------------------------------------------------------------------------
 * Segments
 * ------------------------------------------------------------------------- */

static void segment_free(segment *seg)
{
    if (seg == NULL)
        return;
    weir__arena_release(&seg->arena);
    free(seg);
}

/* The newest segment with room for one more record; NULL: no memory. */
static segment *topic_segment(weir_memory_topic *topic)
{
    if (topic->segment_count > 0) {
        segment *last = topic->segments[topic->segment_count - 1];
        if (last->count < SEGMENT_RECORDS)
            return last;
    }
    if (topic->segment_count == topic->segment_capacity) {
        size_t capacity = topic->segment_capacity > 0 ? topic->segment_capacity * 2 : 16;
        segment **segments = realloc(topic->segments, capacity * sizeof(*segments));
        if (segments == NULL)
            return NULL;
        topic->segments = segments;
        topic->segment_capacity = capacity;
    }
    segment *seg = malloc(sizeof(*seg));
    if (seg == NULL)
        return NULL;
    weir__arena_init(&seg->arena);
    seg->count = 0;
    topic->segments[topic->segment_count++] = seg;
    return seg;
}

/* The number of a column family's name; *name is its lasting copy. −1: no memory. */
static int64_t topic_intern_cf(weir_memory_topic *topic, const char *cf, const char **name)
{
    for (size_t i = topic->cf_count; i > 0; i--) {
        if (strcmp(topic->cfs[i - 1], cf) == 0) {
            *name = topic->cfs[i - 1];
            return (int64_t)i;
        }
    }
    char **cfs = realloc(topic->cfs, (topic->cf_count + 1) * sizeof(*cfs));
    if (cfs == NULL)
        return -1;
    topic->cfs = cfs;
    char *copy = strdup(cf);
    if (copy == NULL)
        return -1;
    topic->cfs[topic->cf_count++] = copy;
    *name = copy;
    return (int64_t)topic->cf_count;
}

/* Copies the processed offsets, or shares those of the record before. false: no memory. */
static bool segment_copy_processed(segment *seg, memory_record *record, const char *processed,
                                   size_t size)
{
    record->processed = NULL;
    record->processed_size = 0;
    if (processed == NULL)
        return true;
    if (seg->count > 0) {
        const memory_record *before = &seg->records[seg->count - 1];
        if (before->processed != NULL && before->processed_size == size &&
            memcmp(before->processed, processed, size) == 0)
            record->processed = before->processed;
    }
    if (record->processed == NULL)
        record->processed = weir__arena_copy(&seg->arena, processed, size);
    record->processed_size = (uint32_t)size;
    return record->processed != NULL;
}

static weir_status topic_append(weir_memory_topic *topic, const weir_changelog_record *record,
                                int64_t offset)
{
    size_t value_size = record->is_tombstone ? 0 : record->value.size;
    if (record->key.size > UINT32_MAX || value_size > INT32_MAX ||
        record->processed_offsets_size > UINT32_MAX)
        return WEIR_TOO_LARGE;
    segment *seg = topic_segment(topic);
    if (seg == NULL)
        return WEIR_NO_MEMORY;
    memory_record *added = &seg->records[seg->count];
    int64_t cf_index = 0;
    added->cf = NULL;
    if (record->cf != NULL)
        cf_index = topic_intern_cf(topic, record->cf, &added->cf);
    if (cf_index < 0)
        return WEIR_NO_MEMORY;
    added->cf_index = (uint32_t)cf_index;
    uint8_t *data = weir__arena_alloc(&seg->arena, record->key.size + value_size);
    if (data == NULL || !segment_copy_processed(seg, added, record->processed_offsets,
                                                record->processed_offsets_size))
        return WEIR_NO_MEMORY;
    if (record->key.size > 0)
        memcpy(data, record->key.data, record->key.size);
    if (value_size > 0)
        memcpy(data + record->key.size, record->value.data, value_size);
    added->data = data;
    added->key_size = (uint32_t)record->key.size;
    added->value_size = (uint32_t)value_size;
    added->is_tombstone = record->is_tombstone;
    added->ttl_stamped = record->ttl_stamped;
    added->offset = offset;
    seg->count++;
    return WEIR_OK;
}

static void record_view(const memory_record *stored, weir_changelog_record *record)
{
    record->cf = stored->cf;
    record->key = weir_slice_of(stored->data, stored->key_size);
    record->value = weir_slice_of(stored->data + stored->key_size, stored->value_size);
    record->is_tombstone = stored->is_tombstone;
    record->processed_offsets = stored->processed;
    record->processed_offsets_size = stored->processed_size;
    record->offset = stored->offset;
    record->ttl_stamped = stored->ttl_stamped;
}

/* The place of the first record with an offset ≥ `offset`: a segment, and an index in
 * it. The segment count if there is none. */
static size_t topic_find(const weir_memory_topic *topic, int64_t offset, size_t *index)
{
    size_t from = 0;
    size_t to = topic->segment_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const segment *seg = topic->segments[middle];
        if (seg->count == 0 || seg->records[seg->count - 1].offset >= offset)
            to = middle;
        else
            from = middle + 1;
    }
    *index = 0;
    if (from == topic->segment_count || topic->segments[from]->count == 0)
        return topic->segment_count;
    const segment *seg = topic->segments[from];
    size_t low = 0;
    size_t high = seg->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (seg->records[middle].offset >= offset)
            high = middle;
        else
            low = middle + 1;
    }
    *index = low;
    return from;
}

/* ---------------------------------------------------------------------------
 * The changelog interface
 * ------------------------------------------------------------------------- */

static weir_status changelog_append(weir_changelog *changelog, const weir_changelog_record *record,
                                    weir_error *err)
{
    memory_changelog *log = (memory_changelog *)changelog;
    weir_status status = topic_append(log->topic, record, log->topic->high);
    if (status != WEIR_OK)
        return weir_error_set(err, status, "append to changelog %s: %s", changelog->name,
                              weir_status_text(status));
    log->last_appended = log->topic->high++;
    return WEIR_OK;
}

static weir_status changelog_flush(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                                   weir_error *err)
{
    (void)timeout_ms;
    (void)err;
    *last_offset = ((memory_changelog *)changelog)->last_appended;
    return WEIR_OK;
}

static weir_status changelog_range(weir_changelog *changelog, int64_t *low, int64_t *high,
                                   weir_error *err)
{
    (void)err;
    const weir_memory_topic *topic = ((memory_changelog *)changelog)->topic;
    *low = topic->low;
    *high = topic->high;
    return WEIR_OK;
}

static weir_status changelog_seek(weir_changelog *changelog, int64_t offset, weir_error *err)
{
    (void)err;
    memory_changelog *log = (memory_changelog *)changelog;
    log->position = offset < log->topic->low ? log->topic->low : offset;
    return WEIR_OK;
}

static weir_status changelog_read(weir_changelog *changelog, weir_changelog_record *records,
                                  size_t max, int timeout_ms, size_t *count, int64_t *position,
                                  weir_error *err)
{
    /* Nobody else appends while the owner thread is in here: waiting would be in vain. */
    (void)timeout_ms;
    memory_changelog *log = (memory_changelog *)changelog;
    const weir_memory_topic *topic = log->topic;
    *count = 0;
    *position = log->position;
    if (log->position < topic->low)
        return weir_error_set(err, WEIR_OFFSET,
                              "read changelog %s: records from offset %lld to %lld were deleted",
                              changelog->name, (long long)log->position, (long long)topic->low - 1);
    size_t index;
    size_t number = topic_find(topic, log->position, &index);
    while (*count < max && number < topic->segment_count) {
        const segment *seg = topic->segments[number];
        for (; *count < max && index < seg->count; index++)
            record_view(&seg->records[index], &records[(*count)++]);
        if (index == seg->count) {
            number++;
            index = 0;
        }
    }
    if (number == topic->segment_count || topic->segments[number]->count == 0) {
        /* Everything was read; what follows the last record are control records. */
        if (log->position < topic->high)
            log->position = topic->high;
    } else if (*count > 0) {
        log->position = records[*count - 1].offset + 1;
    }
    *position = log->position;
    return WEIR_OK;
}

static void changelog_close(weir_changelog *changelog)
{
    free(changelog);
}

static const weir_changelog_ops memory_changelog_ops = {
    .struct_size = sizeof(weir_changelog_ops),
    .append = changelog_append,
    .flush = changelog_flush,
    .range = changelog_range,
    .seek = changelog_seek,
    .read = changelog_read,
    .close = changelog_close,
};

/* ---------------------------------------------------------------------------
 * The topic
 * ------------------------------------------------------------------------- */

weir_memory_topic *weir_memory_topic_new(void)
{
    return calloc(1, sizeof(weir_memory_topic));
}

static void topic_free_segments(segment **segments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        segment_free(segments[i]);
    free(segments);
}

void weir_memory_topic_free(weir_memory_topic *topic)
{
    if (topic == NULL)
        return;
    topic_free_segments(topic->segments, topic->segment_count);
    for (size_t i = 0; i < topic->cf_count; i++)
        free(topic->cfs[i]);
    free(topic->cfs);
    free(topic);
}

weir_status weir_memory_topic_open(weir_memory_topic *topic, const char *name,
                                   weir_changelog **changelog, weir_error *err)
{
    *changelog = NULL;
    size_t size = strlen(name) + 1;
    memory_changelog *log = malloc(sizeof(*log) + size);
    if (log == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "open changelog %s: out of memory", name);
    memcpy(log->name, name, size);
    log->base.ops = &memory_changelog_ops;
    log->base.name = log->name;
    log->topic = topic;
    log->position = topic->low;
    log->last_appended = WEIR_OFFSET_NONE;
    *changelog = &log->base;
    return WEIR_OK;
}

void weir_memory_topic_truncate(weir_memory_topic *topic, int64_t offset)
{
    if (offset <= topic->low)
        return;
    topic->low = offset < topic->high ? offset : topic->high;
    size_t index;
    size_t number = topic_find(topic, topic->low, &index);
    for (size_t i = 0; i < number; i++)
        segment_free(topic->segments[i]);
    topic->segment_count -= number;
    memmove(topic->segments, topic->segments + number,
            topic->segment_count * sizeof(*topic->segments));
    if (index > 0) {
        segment *seg = topic->segments[0];
        seg->count -= index;
        memmove(seg->records, seg->records + index, seg->count * sizeof(*seg->records));
    }
}

/* A set of (column family, key) by open addressing; slots are records or NULL. */
static bool key_set_add(const memory_record **slots, size_t mask, const memory_record *record)
{
    weir_slice key = weir_slice_of(record->data, record->key_size);
    size_t slot = (size_t)weir__record_hash(record->cf_index, key) & mask;
    for (; slots[slot] != NULL; slot = (slot + 1) & mask) {
        const memory_record *other = slots[slot];
        if (other->cf_index == record->cf_index && other->key_size == record->key_size &&
            memcmp(other->data, record->data, record->key_size) == 0)
            return false;
    }
    slots[slot] = record;
    return true;
}

/* Marks the records that a later one of the same key replaces by an offset of −1. */
static bool topic_mark_replaced(weir_memory_topic *topic)
{
    size_t slots_size = 64;
    while (slots_size < topic->segment_count * SEGMENT_RECORDS * 2)
        slots_size *= 2;
    const memory_record **slots = calloc(slots_size, sizeof(const memory_record *));
    if (slots == NULL)
        return false;
    for (size_t i = topic->segment_count; i > 0; i--) {
        segment *seg = topic->segments[i - 1];
        for (size_t j = seg->count; j > 0; j--) {
            if (!key_set_add(slots, slots_size - 1, &seg->records[j - 1]))
                seg->records[j - 1].offset = WEIR_OFFSET_NONE;
        }
    }
    free(slots);
    return true;
}

/* Copies all records together, so that the memory of those that went is given back. */
static void topic_repack(weir_memory_topic *topic)
{
    weir_memory_topic packed = {.cfs = topic->cfs, .cf_count = topic->cf_count};
    for (size_t i = 0; i < topic->segment_count; i++) {
        const segment *seg = topic->segments[i];
        for (size_t j = 0; j < seg->count; j++) {
            weir_changelog_record view;
            record_view(&seg->records[j], &view);
            if (topic_append(&packed, &view, view.offset) != WEIR_OK) {
                topic_free_segments(packed.segments, packed.segment_count);
                return;
            }
        }
    }
    topic_free_segments(topic->segments, topic->segment_count);
    topic->segments = packed.segments;
    topic->segment_count = packed.segment_count;
    topic->segment_capacity = packed.segment_capacity;
}

void weir_memory_topic_compact(weir_memory_topic *topic)
{
    if (!topic_mark_replaced(topic))
        return; /* no memory: a topic that is not compacted is as right as one that is */
    size_t kept_segments = 0;
    for (size_t i = 0; i < topic->segment_count; i++) {
        segment *seg = topic->segments[i];
        size_t kept = 0;
        for (size_t j = 0; j < seg->count; j++) {
            if (seg->records[j].offset != WEIR_OFFSET_NONE)
                seg->records[kept++] = seg->records[j];
        }
        seg->count = kept;
        if (kept == 0)
            segment_free(seg);
        else
            topic->segments[kept_segments++] = seg;
    }
    topic->segment_count = kept_segments;
    topic_repack(topic);
}

void weir_memory_topic_append_control(weir_memory_topic *topic)
{
    topic->high++;
}
