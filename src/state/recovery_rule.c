/*
 * Which records of a changelog a recovery applies: see recovery.h, and docs/semantics.md
 * for why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/recovery.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

void weir__offset_table_release(weir__offset_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free((char *)table->items[i].topic);
    free(table->items);
    memset(table, 0, sizeof(*table));
}

static int64_t *offset_table_find(const weir__offset_table *table, const char *topic)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i].topic, topic) == 0)
            return &table->items[i].offset;
    }
    return NULL;
}

const int64_t *weir__offset_table_get(const weir__offset_table *table, const char *topic)
{
    return offset_table_find(table, topic);
}

weir_status weir__offset_table_set(weir__offset_table *table, const char *topic, int64_t offset)
{
    int64_t *found = offset_table_find(table, topic);
    if (found != NULL) {
        *found = offset;
        return WEIR_OK;
    }
    if (table->count == table->capacity) {
        size_t capacity = table->capacity > 0 ? table->capacity * 2 : 4;
        weir_topic_offset *items = realloc(table->items, capacity * sizeof(*items));
        if (items == NULL)
            return WEIR_NO_MEMORY;
        table->items = items;
        table->capacity = capacity;
    }
    char *copy = strdup(topic);
    if (copy == NULL)
        return WEIR_NO_MEMORY;
    table->items[table->count].topic = copy;
    table->items[table->count].offset = offset;
    table->count++;
    return WEIR_OK;
}

weir_status weir__recovery_rule_init(weir__recovery_rule *rule, const weir_partition *partition,
                                     const weir_topic_offset *start, size_t count, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        if (start[i].offset < 0)
            return weir__partition_error(
                partition, WEIR_INVALID, err,
                "begin recovery: the start of topic %s is %lld; give the offset at which "
                "processing goes on, or leave the topic out to set no bound",
                start[i].topic, (long long)start[i].offset);
        status = weir__offset_table_set(&rule->start, start[i].topic, start[i].offset);
    }
    for (size_t i = 0; i < partition->processed_count && status == WEIR_OK; i++)
        status = weir__offset_table_set(&rule->processed, partition->processed[i].topic,
                                        partition->processed[i].offset);
    if (status != WEIR_OK)
        return weir__partition_error(partition, status, err, "begin recovery: out of memory");
    return WEIR_OK;
}

void weir__recovery_rule_release(weir__recovery_rule *rule)
{
    weir__offset_table_release(&rule->start);
    weir__offset_table_release(&rule->pending);
    weir__offset_table_release(&rule->processed);
    weir__buffer_release(&rule->header);
}

void weir__recovery_rule_forget(weir__recovery_rule *rule)
{
    weir__offset_table_release(&rule->processed);
    weir__buffer_clear(&rule->header);
    rule->processed_changed = false;
}

static weir_status visit_offset(const char *topic, int64_t offset, void *arg)
{
    return weir__offset_table_set(arg, topic, offset);
}

/* Reads a header that differs from the one before. */
static weir_status rule_read_header(weir__recovery_rule *rule, const char *data, size_t size,
                                    weir_error *err)
{
    weir__offset_table_release(&rule->pending);
    weir_error inner;
    weir_error_init(&inner);
    weir_status status =
        weir__json_each_int(weir_slice_of(data, size), visit_offset, &rule->pending, &inner);
    if (status == WEIR_NO_MEMORY)
        return weir_error_set(err, status, "out of memory");
    if (status != WEIR_OK)
        return weir_error_set(err, WEIR_CORRUPTED, "%s", inner.message);
    rule->decision = true;
    for (size_t i = 0; i < rule->pending.count && rule->decision; i++) {
        const int64_t *start = offset_table_find(&rule->start, rule->pending.items[i].topic);
        rule->decision = start == NULL || rule->pending.items[i].offset < *start;
    }
    for (size_t i = 0; i < rule->pending.count && rule->decision; i++) {
        status = weir__offset_table_set(&rule->processed, rule->pending.items[i].topic,
                                        rule->pending.items[i].offset);
        if (status != WEIR_OK)
            return weir_error_set(err, status, "out of memory");
        rule->processed_changed = true;
    }
    return WEIR_OK;
}

weir_status weir__recovery_rule_decide(weir__recovery_rule *rule, const char *data, size_t size,
                                       bool *apply, weir_error *err)
{
    *apply = true;
    if (data == NULL)
        return WEIR_OK; /* written by a version without the header: there is no bound */
    if (size > 0 && rule->header.size == size && memcmp(rule->header.data, data, size) == 0) {
        *apply = rule->decision;
        return WEIR_OK;
    }
    weir__buffer_clear(&rule->header);
    weir_status status = rule_read_header(rule, data, size, err);
    if (status != WEIR_OK)
        return status;
    if (weir__buffer_append(&rule->header, data, size) != WEIR_OK)
        return weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
    *apply = rule->decision;
    return WEIR_OK;
}
