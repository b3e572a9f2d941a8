/*
 * Emptying a partition before it is rebuilt from its changelog: see recovery.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/recovery.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define CLEAR_BATCH 4096u

typedef struct family_list {
    char **names;
    size_t count;
} family_list;

static weir_status visit_family(const char *name, void *arg)
{
    family_list *families = arg;
    char **names = realloc(families->names, (families->count + 1) * sizeof(*names));
    if (names == NULL)
        return WEIR_NO_MEMORY;
    families->names = names;
    names[families->count] = strdup(name);
    if (names[families->count] == NULL)
        return WEIR_NO_MEMORY;
    families->count++;
    return WEIR_OK;
}

static void family_list_release(family_list *families)
{
    for (size_t i = 0; i < families->count; i++)
        free(families->names[i]);
    free(families->names);
}

/* Deletes of up to CLEAR_BATCH next keys. *count 0: the iterator is at its end. */
static weir_status collect_deletes(weir_partition *partition, weir_backend_cf *cf,
                                   weir_backend_iter *iter, weir__arena *keys, weir_backend_op *ops,
                                   size_t *count, weir_error *err)
{
    *count = 0;
    weir__arena_reset(keys, SIZE_MAX);
    while (*count < CLEAR_BATCH) {
        weir_slice key;
        weir_slice value;
        weir_status status = partition->backend->iter_next(iter, &key, &value, err);
        if (status == WEIR_NOT_FOUND)
            return WEIR_OK;
        if (status != WEIR_OK)
            return status;
        char *copy = weir__arena_copy(keys, key.data, key.size);
        if (copy == NULL)
            return weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
        ops[*count] = (weir_backend_op){
            .kind = WEIR_OP_DELETE, .cf = cf, .key = weir_slice_of(copy, key.size)};
        (*count)++;
    }
    return WEIR_OK;
}

weir_status weir__partition_cf_clear(weir_partition *partition, weir_backend_cf *cf,
                                     weir_error *err)
{
    weir_backend_iter *iter = NULL;
    weir__arena keys;
    weir__arena_init(&keys);
    size_t count = 0;
    weir_backend_iter_args args = {.struct_size = sizeof(args)};
    weir_backend_op *ops = weir__partition_ops(partition, CLEAR_BATCH);
    weir_status status = WEIR_OK;
    if (ops == NULL) {
        status = weir_error_set(err, WEIR_NO_MEMORY, "out of memory");
        goto done;
    }
    status = partition->backend->iter_open(partition->db, cf, &args, &iter, err);
    while (status == WEIR_OK) {
        status = collect_deletes(partition, cf, iter, &keys, ops, &count, err);
        if (status != WEIR_OK || count == 0)
            break;
        status = weir__partition_write(partition, ops, count, WEIR_OFFSET_NONE, NULL, 0, err);
    }
done:
    if (iter != NULL)
        partition->backend->iter_close(iter);
    weir__arena_release(&keys);
    return status;
}

static weir_status clear_family(weir_partition *partition, const char *name, weir_error *err)
{
    weir_backend_cf *cf = NULL;
    weir_status status = partition->backend->cf_open(partition->db, name, false, &cf, err);
    return status == WEIR_OK ? weir__partition_cf_clear(partition, cf, err) : status;
}

/* What the partition knows in memory about its metadata follows what was deleted. */
static void forget_metadata(weir_partition *partition)
{
    partition->is_kind_stored = false;
    partition->changelog_offset = WEIR_OFFSET_NONE;
    partition->ends = WEIR__ENDS_NONE;
    for (size_t i = 0; i < partition->processed_count; i++)
        free(partition->processed[i].topic);
    partition->processed_count = 0;
}

weir_status weir__recovery_clear(weir_partition *partition, weir_error *err)
{
    family_list families = {0};
    weir_error inner;
    weir_error_init(&inner);
    if (partition->cache != NULL)
        weir__record_cache_clear(partition->cache);
    weir_status status =
        partition->backend->cf_list(partition->db, visit_family, &families, &inner);
    for (size_t i = 0; i < families.count && status == WEIR_OK; i++) {
        if (strcmp(families.names[i], WEIR__CF_METADATA) != 0)
            status = clear_family(partition, families.names[i], &inner);
    }
    if (status == WEIR_OK)
        status = clear_family(partition, WEIR__CF_METADATA, &inner);
    family_list_release(&families);
    if (status != WEIR_OK)
        return weir__partition_error(partition, status, err, "clear the state to rebuild it: %s",
                                     inner.message);
    forget_metadata(partition);
    return weir__ttl_load(partition, err);
}
