/*
 * The changelog in memory, from a file and into it: "OFFSET FAMILY KEY VALUE PROCESSED
 * FLAGS", below a line with the offset after the last; see operations.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define RECORDS  256
#define TTL_FLAG "__ttl_stamped__"

static weir_slice field_slice(const op *o, size_t field)
{
    return op_is(o, field, "-") ? weir_slice_of(NULL, 0) : op_bytes(o, field);
}

static weir_status append_line(driver *d, int64_t *next, const op *o)
{
    while (*next < op_int(o, 0)) {
        weir_memory_topic_append_control(d->topic);
        (*next)++;
    }
    weir_slice processed = field_slice(o, 4);
    weir_changelog_record record = {
        .cf = op_text(o, 1),
        .key = op_bytes(o, 2),
        .value = field_slice(o, 3),
        .is_tombstone = op_is(o, 3, "-"),
        .processed_offsets = processed.data,
        .processed_offsets_size = processed.size,
        .ttl_stamped = op_is(o, 5, TTL_FLAG),
    };
    (*next)++;
    return d->reader->ops->append(d->reader, &record, &d->err);
}

bool changelog_load(driver *d, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    char *line = NULL;
    size_t capacity = 0;
    int64_t next = 0;
    weir_status status = WEIR_OK;
    ssize_t size = getline(&line, &capacity, file);
    int64_t high = size > 0 ? strtoll(line, NULL, 10) : 0;
    while (status == WEIR_OK && (size = getline(&line, &capacity, file)) > 0) {
        op o;
        line[strcspn(line, "\n")] = '\0';
        op_split(&o, line);
        status = append_line(d, &next, &o);
    }
    for (; next < high; next++)
        weir_memory_topic_append_control(d->topic);
    free(line);
    fclose(file);
    if (status != WEIR_OK)
        fprintf(stderr, "differential_weir: %s: %s\n", path, d->err.message);
    return status == WEIR_OK;
}

typedef void (*visit_fn)(const weir_changelog_record *record, void *arg);

static weir_status each_record(driver *d, int64_t from, visit_fn visit, void *arg)
{
    static weir_changelog_record records[RECORDS];
    const weir_changelog_ops *ops = d->reader->ops;
    int64_t low;
    int64_t high;
    weir_status status = ops->range(d->reader, &low, &high, &d->err);
    if (status == WEIR_OK)
        status = ops->seek(d->reader, from, &d->err);
    int64_t position = from;
    while (status == WEIR_OK && position < high) {
        size_t count;
        status = ops->read(d->reader, records, RECORDS, 0, &count, &position, &d->err);
        for (size_t i = 0; status == WEIR_OK && i < count; i++)
            visit(&records[i], arg);
    }
    return status;
}

static const char *flag_of(const weir_changelog_record *record)
{
    return record->ttl_stamped ? TTL_FLAG : "-";
}

static void write_record(const weir_changelog_record *record, void *arg)
{
    FILE *file = arg;
    fprintf(file, "%lld ", (long long)record->offset);
    text_write(file, weir_slice_of(record->cf, strlen(record->cf)));
    fputc(' ', file);
    text_write(file, record->key);
    fputc(' ', file);
    if (record->is_tombstone)
        fputc('-', file);
    else
        text_write(file, record->value);
    fputc(' ', file);
    if (record->processed_offsets == NULL)
        fputc('-', file);
    else
        text_write(file, weir_slice_of(record->processed_offsets, record->processed_offsets_size));
    fprintf(file, " %s\n", flag_of(record));
}

bool changelog_save(driver *d, const char *path)
{
    FILE *file = fopen(path, "w");
    int64_t low;
    int64_t high;
    weir_status status = WEIR_IO;
    if (file != NULL && d->reader->ops->range(d->reader, &low, &high, &d->err) == WEIR_OK) {
        fprintf(file, "%lld\n", (long long)high);
        status = each_record(d, 0, write_record, file);
    }
    if (file != NULL && fclose(file) != 0)
        status = WEIR_IO;
    if (status != WEIR_OK)
        fprintf(stderr, "differential_weir: can't write %s\n", path);
    return status == WEIR_OK;
}

static void answer_record(const weir_changelog_record *record, void *arg)
{
    (*(size_t *)arg)++;
    answer_item("%s", "");
    answer_bytes(weir_slice_of(record->cf, strlen(record->cf)));
    answer_more("/");
    answer_bytes(record->key);
    answer_more("/");
    if (record->is_tombstone)
        answer_more("-");
    else
        answer_bytes(record->value);
    answer_more("/");
    answer_bytes(weir_slice_of(record->processed_offsets, record->processed_offsets_size));
    answer_more("/%s", flag_of(record));
}

weir_status changelog_answer(driver *d, int64_t from, size_t *count)
{
    *count = 0;
    weir_status status = each_record(d, from, answer_record, count);
    answer_sort();
    return status;
}
