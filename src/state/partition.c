/*
 * A store partition: opening and closing its database, its column families, what is
 * stored about offsets, and the one place that writes a batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/partition.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/json.h"

#define KEY_CHANGELOG_OFFSET  "__changelog_offset__"
#define KEY_PROCESSED_OFFSETS "__weir_processed_offsets__"
#define KEY_WINDOW_ENDS       "__weir_window_ends__"
#define KEY_STORE_KIND        "__weir_store_kind__"
#define CF_NAME_MAX           255u
#define META_OPS              4u /* what weir__partition_write adds to a batch */
#define OPS_KEPT              ((size_t)4096)

/* --- Errors --- */

weir_status weir__partition_error(const weir_partition *partition, weir_status status,
                                  weir_error *err, const char *format, ...)
{
    if (!err)
        return status;
    char what[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (partition->database)
        return weir_error_set(err, status, "%s (%s)", what,
                              weir__database_label(partition->database));
    return weir_error_set(err, status, "%s (store=%s%s%s partition=%d path=%s)", what,
                          partition->store, partition->stream_id ? " stream=" : "",
                          partition->stream_id ? partition->stream_id : "", partition->number,
                          partition->path);
}

/* --- What is stored about offsets --- */

static weir__processed_offset *find_processed(const weir_partition *partition, const char *topic)
{
    for (size_t i = 0; i < partition->processed_count; i++) {
        if (strcmp(partition->processed[i].topic, topic) == 0)
            return &partition->processed[i];
    }
    return NULL;
}

static weir_status add_processed(weir_partition *partition, const char *topic, int64_t offset)
{
    size_t count = partition->processed_count + 1;
    weir__processed_offset *grown = realloc(partition->processed, count * sizeof *grown);
    if (!grown)
        return WEIR_NO_MEMORY;
    partition->processed = grown;
    char *copy = strdup(topic);
    if (!copy)
        return WEIR_NO_MEMORY;
    grown[count - 1] = (weir__processed_offset){.topic = copy, .offset = offset};
    partition->processed_count = count;
    return WEIR_OK;
}

static weir_status visit_processed(const char *topic, int64_t offset, void *arg)
{
    return add_processed(arg, topic, offset);
}

static weir_status parse_changelog_offset(weir_partition *partition, weir_slice value,
                                          weir_error *err)
{
    uint64_t offset = value.size == 8 ? weir__get_be64(value.data) : UINT64_MAX;
    if (offset > INT64_MAX)
        return weir__partition_error(partition, WEIR_CORRUPTED, err,
                                     "the stored changelog offset is not an offset (%zu bytes)",
                                     value.size);
    partition->changelog_offset = (int64_t)offset;
    return WEIR_OK;
}

static weir_status parse_processed(weir_partition *partition, weir_slice value, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = weir__json_each_int(value, visit_processed, partition, &inner);
    if (status == WEIR_SERIALIZATION)
        return weir__partition_error(partition, WEIR_CORRUPTED, err,
                                     "the stored processed offsets can't be read: %s",
                                     inner.message);
    if (status)
        return weir__partition_error(partition, status, err, "reading the processed offsets");
    return WEIR_OK;
}

static weir_status parse_ends(weir_partition *partition, weir_slice value, weir_error *err)
{
    (void)err;
    /* Whatever else is there: the index is made anew. */
    bool is_complete =
        value.size == 8 && weir__get_be64(value.data) == (uint64_t)partition->changelog_offset + 1;
    partition->ends = is_complete ? WEIR__ENDS_VALID : WEIR__ENDS_NONE;
    return WEIR_OK;
}

/* What is stored is that of another kind of store than the one registered. */
static weir_status refuse_kind(const weir_partition *partition, const char *stored, weir_error *err)
{
    const char *name = partition->kind.kind->name;
    return weir__partition_error(partition, WEIR_INVALID, err,
                                 "the state there is that of a %s store, and %s is registered as a "
                                 "%s store: register it as a %s store, or give the %s store a name "
                                 "of its own",
                                 stored, partition->store, name, stored, name);
}

static weir_status parse_kind(weir_partition *partition, weir_slice value, weir_error *err)
{
    const weir__kind *stored = weir__kind_find(value);
    partition->is_kind_stored = true;
    if (stored == partition->kind.kind)
        return WEIR_OK;
    if (stored)
        return refuse_kind(partition, stored->name, err);
    return weir__partition_error(partition, WEIR_VERSION, err,
                                 "the state there is that of a store of kind \"%.*s\", which Weir "
                                 "%s does not know: open it with the newer Weir that wrote it",
                                 (int)(value.size < 64 ? value.size : 64), (const char *)value.data,
                                 weir_version());
}

/* Quix Streams notes no kind, but only its plain stores have TTL. */
static weir_status refuse_ttl(weir_partition *partition, weir_slice value, weir_error *err)
{
    (void)value;
    return refuse_kind(partition, "plain", err);
}

static weir_status load(weir_partition *partition, const char *key,
                        weir_status (*parse)(weir_partition *, weir_slice, weir_error *),
                        weir_error *err)
{
    weir_error inner;
    weir_backend_value value;
    weir_error_init(&inner);
    weir_status status = partition->backend->get(partition->db, partition->metadata, NULL,
                                                 weir_slice_str(key), &value, &inner);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status)
        return weir__database_error(partition->database, status, "reading the metadata", &inner,
                                    err);
    status = parse(partition, weir_slice_of(value.data, value.size), err);
    partition->backend->value_release(partition->db, &value);
    return status;
}

/* --- Open and close --- */

static weir_status open_database(const weir__partition_config *config, weir_partition *partition,
                                 weir_error *err)
{
    weir__buffer label = {0};
    weir_status status = weir__buffer_printf(&label, "store=%s", config->store);
    if (!status && config->stream_id)
        status = weir__buffer_printf(&label, " stream=%s", config->stream_id);
    if (!status)
        status = weir__buffer_printf(&label, " partition=%d", config->number);
    if (!status)
        status = weir__buffer_append_byte(&label, 0);
    if (status) {
        weir__partition_error(partition, status, err, "out of memory");
        goto done;
    }
    weir__database_config database = {
        .spec = config->backend_spec,
        .location = config->path,
        .options = config->backend_options,
        .label = (const char *)label.data,
        .create = true,
        .can_rebuild = config->changelog != NULL,
        .replaces_other = config->on_backend_mismatch == WEIR_MISMATCH_REBUILD,
        .open_deadline_ms = config->open_deadline_ms,
        .stop = config->stop,
    };
    status = weir__database_open(&database, &partition->database, err);
    if (status)
        goto done;
    partition->backend = weir__database_backend(partition->database);
    partition->db = weir__database_handle(partition->database);
done:
    weir__buffer_release(&label);
    return status;
}

static weir_status open_cf(weir_partition *partition, const char *name, weir_backend_cf **handle,
                           weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = partition->backend->cf_open(partition->db, name, true, handle, &inner);
    if (status)
        weir__database_error(partition->database, status, "opening a column family", &inner, err);
    return status;
}

weir_status weir__partition_cf_is_empty(const weir_partition *partition, weir_backend_cf *cf,
                                        bool *is_empty, weir_error *err)
{
    weir_backend_iter *iter = NULL;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_slice key;
    weir_slice value;
    weir_error inner;
    weir_error_init(&inner);
    *is_empty = false;
    weir_status status = partition->backend->iter_open(partition->db, cf, &args, &iter, &inner);
    if (!status) {
        status = partition->backend->iter_next(iter, &key, &value, &inner);
        partition->backend->iter_close(iter);
    }
    if (status && status != WEIR_NOT_FOUND)
        return weir__database_error(partition->database, status, "looking for a first key", &inner,
                                    err);
    *is_empty = status == WEIR_NOT_FOUND;
    return WEIR_OK;
}

/* A state that has offsets is not new, and looked at no further. */
static weir_status check_new(weir_partition *partition, weir_error *err)
{
    weir_status status = WEIR_OK;
    bool is_new = partition->cache && partition->changelog_offset == WEIR_OFFSET_NONE &&
                  partition->processed_count == 0;
    for (size_t i = 0; i < partition->cf_count && is_new; i++)
        status = weir__partition_cf_is_empty(partition, partition->cfs[i].handle, &is_new, err);
    partition->began_empty = is_new;
    return status;
}

/* Under the next number. */
static weir_status add_cf(weir_partition *partition, const char *name, weir_error *err)
{
    weir_backend_cf *handle;
    weir_status status = open_cf(partition, name, &handle, err);
    if (!status && partition->began_empty)
        status = weir__partition_cf_is_empty(partition, handle, &partition->began_empty, err);
    if (status)
        return status;
    size_t count = partition->cf_count + 1;
    weir__partition_cf *grown = realloc(partition->cfs, count * sizeof *grown);
    if (grown)
        partition->cfs = grown;
    char *copy = grown ? strdup(name) : NULL;
    if (!copy)
        return weir__partition_error(partition, WEIR_NO_MEMORY, err,
                                     "out of memory for the column family %s", name);
    partition->cfs[count - 1] = (weir__partition_cf){
        .name = copy,
        .handle = handle,
        .is_local = weir__cf_is_local(name),
        .is_uncached = weir__kind_is_uncached(partition->kind.kind, (weir_cf)(count - 1)),
    };
    partition->cf_count = count;
    return WEIR_OK;
}

/* Before the families of the kind are made. What has no mark is what the program says. */
static weir_status check_kind(weir_partition *partition, weir_error *err)
{
    weir_status status = load(partition, KEY_STORE_KIND, parse_kind, err);
    if (!status && !partition->is_kind_stored && partition->kind.id != WEIR_STORE_PLAIN)
        status = load(partition, WEIR__TTL_ENABLED, refuse_ttl, err);
    return status;
}

static weir_status open_all(const weir__partition_config *config, weir_partition *partition,
                            weir_error *err)
{
    weir_status status = open_database(config, partition, err);
    if (!status)
        status = open_cf(partition, WEIR__CF_METADATA, &partition->metadata, err);
    if (!status)
        status = weir__incomplete_check(config, partition, err);
    if (!status)
        status = check_kind(partition, err);
    if (!status)
        status = add_cf(partition, WEIR_BACKEND_DEFAULT_CF, err);
    for (const char *const *name = partition->kind.kind->cfs; *name && !status; name++)
        status = add_cf(partition, *name, err);
    if (!status)
        status = load(partition, KEY_CHANGELOG_OFFSET, parse_changelog_offset, err);
    if (!status)
        status = load(partition, KEY_PROCESSED_OFFSETS, parse_processed, err);
    if (!status && partition->kind.id == WEIR_STORE_WINDOWED)
        status = load(partition, KEY_WINDOW_ENDS, parse_ends, err);
    if (!status)
        status = weir__ttl_load(partition, err);
    return status ? status : check_new(partition, err);
}

weir_status weir__partition_open(const weir__partition_config *config, weir_partition **partition,
                                 weir_error *err)
{
    weir_status status = WEIR_NO_MEMORY;
    *partition = NULL;
    weir_partition *opened = calloc(1, sizeof *opened);
    if (!opened) {
        if (config->changelog)
            config->changelog->ops->close(config->changelog);
        return weir_error_set(err, status, "out of memory for a partition (path=%s)", config->path);
    }
    opened->changelog = config->changelog;
    opened->changelog_offset = WEIR_OFFSET_NONE;
    opened->gap_policy = config->gap_policy;
    opened->ttl = (weir__ttl){.is_possible = config->kind.id == WEIR_STORE_PLAIN,
                              .is_unmarked = config->kind.ttl_unmarked,
                              .max_jump_ms = config->kind.ttl_max_jump_ms};
    opened->number = config->number;
    opened->kind = config->kind;
    opened->memo_epoch = 1;
    opened->store = strdup(config->store);
    opened->stream_id = config->stream_id ? strdup(config->stream_id) : NULL;
    opened->path = strdup(config->path);
    opened->cache = config->use_cache ? weir__record_cache_new() : NULL;
    if (!opened->store || !opened->path || (config->stream_id && !opened->stream_id) ||
        (config->use_cache && !opened->cache))
        weir_error_set(err, status, "out of memory for a partition (path=%s)", config->path);
    else
        status = open_all(config, opened, err);
    if (status) {
        weir__partition_close(opened, NULL);
        return status;
    }
    *partition = opened;
    return WEIR_OK;
}

weir_status weir__partition_close(weir_partition *partition, weir_error *err)
{
    if (!partition)
        return WEIR_OK;
    while (partition->open_list)
        weir_txn_free(partition->open_list);
    weir__txn_destroy(partition->spare_txn);
    weir__recovery_free(partition->recovery);
    if (partition->changelog)
        partition->changelog->ops->close(partition->changelog);
    weir__record_cache_free(partition->cache);
    weir_status status = weir__database_close(partition->database, err);
    for (size_t i = 0; i < partition->cf_count; i++)
        free(partition->cfs[i].name);
    for (size_t i = 0; i < partition->processed_count; i++)
        free(partition->processed[i].topic);
    free(partition->cfs);
    free(partition->processed);
    free(partition->ops);
    weir__buffer_release(&partition->scratch);
    weir__ttl_release(&partition->ttl);
    free(partition->store);
    free(partition->stream_id);
    free(partition->path);
    free(partition);
    return status;
}

weir_status weir_partition_cf(weir_partition *partition, const char *name, weir_cf *cf,
                              weir_error *err)
{
    *cf = WEIR_CF_DEFAULT;
    for (size_t i = 0; i < partition->cf_count; i++) {
        if (!partition->cfs[i].is_local && strcmp(partition->cfs[i].name, name) == 0) {
            *cf = (weir_cf)i;
            return WEIR_OK;
        }
    }
    size_t size = strlen(name);
    if (size == 0 || size > CF_NAME_MAX)
        return weir__partition_error(partition, WEIR_INVALID, err,
                                     "the name of a column family has 1 to %u bytes, not %zu",
                                     CF_NAME_MAX, size);
    if (weir__cf_is_local(name))
        return weir__partition_error(partition, WEIR_INVALID, err,
                                     "the column family %s is Weir's own", name);
    weir_status status = add_cf(partition, name, err);
    if (!status)
        *cf = (weir_cf)(partition->cf_count - 1);
    return status;
}

/* --- Writing --- */

weir_backend_op *weir__partition_ops(weir_partition *partition, size_t count)
{
    size_t wanted = count + META_OPS;
    bool is_far_too_big =
        partition->ops_capacity > OPS_KEPT && wanted < partition->ops_capacity / 32;
    if (wanted <= partition->ops_capacity && !is_far_too_big)
        return partition->ops;
    size_t capacity = wanted > OPS_KEPT ? wanted + wanted / 2 : OPS_KEPT;
    free(partition->ops);
    partition->ops_capacity = 0;
    partition->ops = malloc(capacity * sizeof *partition->ops);
    if (partition->ops)
        partition->ops_capacity = capacity;
    return partition->ops;
}

static const weir_topic_offset *find_given(const weir_topic_offset *processed, size_t count,
                                           const char *topic)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(processed[i].topic, topic) == 0)
            return &processed[i];
    }
    return NULL;
}

/*
 * The JSON of the stored offsets with the given ones in their place, in partition->scratch.
 * A topic that was not known joins partition->processed without an offset until the
 * batch is written.
 */
static weir_status build_processed(weir_partition *partition, const weir_topic_offset *processed,
                                   size_t count, weir_error *err)
{
    weir__buffer *json = &partition->scratch;
    bool failed = false;
    for (size_t i = 0; i < count && !failed; i++) {
        if (!find_processed(partition, processed[i].topic))
            failed = add_processed(partition, processed[i].topic, WEIR_OFFSET_NONE) != WEIR_OK;
    }
    weir__buffer_clear(json);
    failed |= weir__buffer_append_byte(json, '{') != WEIR_OK;
    for (size_t i = 0; i < partition->processed_count && !failed; i++) {
        const char *topic = partition->processed[i].topic;
        const weir_topic_offset *given = find_given(processed, count, topic);
        int64_t offset = given ? given->offset : partition->processed[i].offset;
        if (offset == WEIR_OFFSET_NONE)
            continue;
        if (json->size > 1)
            failed |= weir__buffer_append_byte(json, ',') != WEIR_OK;
        weir_status status = weir__json_write_string(json, weir_slice_str(topic), err);
        if (status)
            return status;
        failed |= weir__buffer_append_byte(json, ':') != WEIR_OK;
        failed |= weir__json_write_int(json, offset) != WEIR_OK;
    }
    failed |= weir__buffer_append_byte(json, '}') != WEIR_OK;
    if (failed)
        return weir__partition_error(partition, WEIR_NO_MEMORY, err,
                                     "out of memory for the processed offsets");
    return WEIR_OK;
}

static void add_ends_op(const weir_partition *partition, int64_t changelog_offset, uint8_t *bytes,
                        weir_backend_op *ops, size_t *total)
{
    if (partition->ends == WEIR__ENDS_NONE ||
        (partition->ends == WEIR__ENDS_VALID && changelog_offset == WEIR_OFFSET_NONE))
        return;
    weir_backend_op op = {
        .kind = WEIR_OP_DELETE, .cf = partition->metadata, .key = weir_slice_str(KEY_WINDOW_ENDS)};
    if (partition->ends == WEIR__ENDS_VALID) {
        weir__put_be64(bytes, (uint64_t)changelog_offset + 1);
        op.kind = WEIR_OP_PUT;
        op.value = weir_slice_of(bytes, 8);
    }
    ops[(*total)++] = op;
}

weir_status weir__partition_write(weir_partition *partition, weir_backend_op *ops, size_t count,
                                  int64_t changelog_offset, const weir_topic_offset *processed,
                                  size_t processed_count, weir_error *err)
{
    size_t total = count;
    uint8_t offset_bytes[8];
    uint8_t ends_bytes[8];
    if (changelog_offset != WEIR_OFFSET_NONE && changelog_offset < partition->changelog_offset)
        return weir__partition_error(partition, WEIR_OFFSET, err,
                                     "the changelog offset %" PRId64
                                     " is below the stored one, %" PRId64,
                                     changelog_offset, partition->changelog_offset);
    if (changelog_offset != WEIR_OFFSET_NONE) {
        weir__put_be64(offset_bytes, (uint64_t)changelog_offset);
        ops[total++] = (weir_backend_op){.kind = WEIR_OP_PUT,
                                         .cf = partition->metadata,
                                         .key = weir_slice_str(KEY_CHANGELOG_OFFSET),
                                         .value = weir_slice_of(offset_bytes, 8)};
    }
    if (processed_count > 0) {
        weir_status status = build_processed(partition, processed, processed_count, err);
        if (status)
            return status;
        ops[total++] = (weir_backend_op){.kind = WEIR_OP_PUT,
                                         .cf = partition->metadata,
                                         .key = weir_slice_str(KEY_PROCESSED_OFFSETS),
                                         .value = weir__buffer_slice(&partition->scratch)};
    }
    add_ends_op(partition, changelog_offset, ends_bytes, ops, &total);
    if (total == 0)
        return WEIR_OK;
    if (!partition->is_kind_stored)
        ops[total++] = (weir_backend_op){.kind = WEIR_OP_PUT,
                                         .cf = partition->metadata,
                                         .key = weir_slice_str(KEY_STORE_KIND),
                                         .value = weir_slice_str(partition->kind.kind->name)};
    weir_error inner;
    weir_error_init(&inner);
    weir_status status = partition->backend->write(
        partition->db, ops, total, partition->changelog ? 0 : WEIR_WRITE_SYNC, &inner);
    if (status)
        return weir__database_error(partition->database, status, "writing a batch", &inner, err);
    partition->is_kind_stored = true;
    if (changelog_offset != WEIR_OFFSET_NONE)
        partition->changelog_offset = changelog_offset;
    if (partition->ends == WEIR__ENDS_STALE)
        partition->ends = WEIR__ENDS_NONE;
    for (size_t i = 0; i < processed_count; i++)
        find_processed(partition, processed[i].topic)->offset = processed[i].offset;
    partition->stats.flushes++;
    partition->stats.written += count;
    return WEIR_OK;
}

weir_status weir__partition_ends_complete(weir_partition *partition, weir_error *err)
{
    uint8_t bytes[8];
    weir_backend_op *ops = weir__partition_ops(partition, 1);
    if (!ops)
        return weir__partition_error(partition, WEIR_NO_MEMORY, err, "out of memory");
    weir__put_be64(bytes, (uint64_t)partition->changelog_offset + 1);
    ops[0] = (weir_backend_op){.kind = WEIR_OP_PUT,
                               .cf = partition->metadata,
                               .key = weir_slice_str(KEY_WINDOW_ENDS),
                               .value = weir_slice_of(bytes, sizeof bytes)};
    weir_status status = weir__partition_write(partition, ops, 1, WEIR_OFFSET_NONE, NULL, 0, err);
    if (!status)
        partition->ends = WEIR__ENDS_VALID;
    return status;
}

/* --- What the outside asks --- */

const char *weir_partition_backend(const weir_partition *partition)
{
    return weir__database_spec(partition->database);
}

const char *weir_partition_path(const weir_partition *partition)
{
    return partition->path;
}

int64_t weir_partition_changelog_offset(const weir_partition *partition)
{
    return partition->changelog_offset;
}

bool weir_partition_has_changelog(const weir_partition *partition)
{
    return partition->changelog != NULL;
}

weir_store_kind weir_partition_kind(const weir_partition *partition)
{
    return partition->kind.id;
}

int64_t weir_partition_processed_offset(const weir_partition *partition, const char *topic)
{
    const weir__processed_offset *found = find_processed(partition, topic);
    return found ? found->offset : WEIR_OFFSET_NONE;
}

void weir_partition_set_read_hooks(weir_partition *partition, void (*before)(void *arg),
                                   void (*after)(void *arg), void *arg)
{
    bool is_given = before && after;
    partition->before_read = is_given ? before : NULL;
    partition->after_read = is_given ? after : NULL;
    partition->read_arg = arg;
}

void weir_partition_get_stats(const weir_partition *partition, weir_partition_stats *stats)
{
    *stats = partition->stats;
    if (partition->cache) {
        stats->cache_bytes = weir__record_cache_bytes(partition->cache);
        stats->cache_records = weir__record_cache_count(partition->cache);
    }
}
