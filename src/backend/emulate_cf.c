/*
 * Column families on a backend without them: the catalogue of families, which the database
 * itself keeps. docs/formats/column-families.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "backend/emulate.h"

/* Family number 0 is the catalogue. Its keys are 00 00, one of these, and what it is about. */
#define ENTRY_VERSION 'v' /* → one byte, the version of the catalogue */
#define ENTRY_FAMILY  'c' /* name → number, 2 bytes big-endian */
#define ENTRY_DROPPED 'd' /* number → nothing: its items are being removed */

#define CATALOGUE_VERSION 1
#define DEFAULT_NUMBER    1u
/* The upper bound of a family is the prefix of the next number, so the last has none. */
#define NUMBER_MAX 0xFFFEu

#define ENTRY_HEADER    (WEIR__CF_PREFIX_SIZE + 1)
#define NAME_MAX_SIZE   255
#define DROP_BATCH_SIZE 1024

static void put_number(uint8_t *out, uint32_t number)
{
    out[0] = (uint8_t)(number >> 8);
    out[1] = (uint8_t)number;
}

static uint16_t get_number(const uint8_t *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

static weir_backend_cf *family_new(const char *name, size_t name_size, uint16_t number)
{
    weir_backend_cf *cf = calloc(1, sizeof *cf);
    if (cf == NULL)
        return NULL;
    cf->name = strndup(name, name_size);
    if (cf->name == NULL) {
        free(cf);
        return NULL;
    }
    cf->number = number;
    put_number(cf->prefix, number);
    return cf;
}

static void families_free(weir_backend_cf *cf)
{
    while (cf != NULL) {
        weir_backend_cf *next = cf->next;
        free(cf->name);
        free(cf);
        cf = next;
    }
}

static weir_backend_cf *family_find(weir_backend_cf *cf, const char *name)
{
    while (cf != NULL && strcmp(cf->name, name) != 0)
        cf = cf->next;
    return cf;
}

void weir__catalogue_close(weir_backend_db *db)
{
    families_free(db->cfs);
    db->cfs = NULL;
}

/* ------------------------------------------------------------------ its entries */

typedef struct entry_key {
    uint8_t bytes[ENTRY_HEADER + NAME_MAX_SIZE];
    size_t size;
} entry_key;

static weir_backend_op entry_op(const weir_backend_db *db, weir_backend_op_kind kind,
                                entry_key *key, char type, weir_slice about, weir_slice value)
{
    put_number(key->bytes, 0);
    key->bytes[WEIR__CF_PREFIX_SIZE] = (uint8_t)type;
    memcpy(key->bytes + ENTRY_HEADER, about.data, about.size);
    key->size = ENTRY_HEADER + about.size;
    return (weir_backend_op){
        .kind = kind,
        .cf = db->inner_cf,
        .key = weir_slice_of(key->bytes, key->size),
        .value = value,
    };
}

static weir_status write_family(weir_backend_db *db, const weir_backend_cf *cf, weir_error *err)
{
    static const uint8_t version[] = {CATALOGUE_VERSION};
    entry_key keys[2];
    weir_backend_op ops[] = {
        entry_op(db, WEIR_OP_PUT, &keys[0], ENTRY_FAMILY, weir_slice_str(cf->name),
                 weir_slice_of(cf->prefix, sizeof cf->prefix)),
        entry_op(db, WEIR_OP_PUT, &keys[1], ENTRY_VERSION, weir_slice_of("", 0),
                 weir_slice_of(version, sizeof version)),
    };
    weir_status status = db->inner->write(db->inner_db, ops, db->has_catalogue ? 1 : 2, 0, err);
    if (status == WEIR_OK)
        db->has_catalogue = true;
    return status;
}

/* ---------------------------------------------------------------------- reading */

static weir_status damaged(const weir_backend_db *db, weir_error *err)
{
    return weir__emulation_fail(db, WEIR_CORRUPTED,
                                "the catalogue of column families has an entry that can't be "
                                "right",
                                err);
}

static weir_status read_family(weir_backend_db *db, weir_backend_cf **list, weir_slice name,
                               weir_slice value, weir_error *err)
{
    if (name.size == 0 || name.size > NAME_MAX_SIZE || value.size != WEIR__CF_PREFIX_SIZE ||
        memchr(name.data, 0, name.size) != NULL || get_number(value.data) == 0)
        return damaged(db, err);
    weir_backend_cf *cf = family_new(name.data, name.size, get_number(value.data));
    if (cf == NULL)
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for a column family", err);
    cf->next = *list;
    *list = cf;
    return WEIR_OK;
}

static weir_status read_entry(weir_backend_db *db, weir_slice key, weir_slice value,
                              weir_backend_cf **dropped, weir_error *err)
{
    const uint8_t *bytes = key.data;
    weir_slice about = weir_slice_of(bytes + ENTRY_HEADER, key.size - ENTRY_HEADER);
    switch (bytes[WEIR__CF_PREFIX_SIZE]) {
    case ENTRY_VERSION:
        db->has_catalogue = true;
        if (value.size != 1 || about.size != 0)
            return damaged(db, err);
        if (*(const uint8_t *)value.data > CATALOGUE_VERSION)
            return weir__emulation_fail(db, WEIR_VERSION,
                                        "the catalogue of column families was written by a newer "
                                        "Weir",
                                        err);
        return WEIR_OK;
    case ENTRY_FAMILY:
        return read_family(db, &db->cfs, about, value, err);
    case ENTRY_DROPPED:
        /* The name is only there because a family has one. */
        return about.size == WEIR__CF_PREFIX_SIZE
                   ? read_family(db, dropped, weir_slice_str("dropped"), about, err)
                   : damaged(db, err);
    default:
        return damaged(db, err);
    }
}

static weir_status read_catalogue(weir_backend_db *db, weir_backend_cf **dropped, weir_error *err)
{
    static const uint8_t end[] = {0, 1};
    weir_backend_iter *iter;
    weir_backend_iter_args args = {
        .struct_size = sizeof args, .upper = weir_slice_of(end, sizeof end), .has_upper = true};
    weir_slice key;
    weir_slice value;
    weir_status status = db->inner->iter_open(db->inner_db, db->inner_cf, &args, &iter, err);
    if (status != WEIR_OK)
        return status;
    while (status == WEIR_OK) {
        status = db->inner->iter_next(iter, &key, &value, err);
        if (status != WEIR_OK)
            break;
        if (key.size >= ENTRY_HEADER && memcmp(key.data, "\0\0", WEIR__CF_PREFIX_SIZE) == 0)
            status = read_entry(db, key, value, dropped, err);
        else if (db->has_catalogue)
            break; /* the first key behind the catalogue, from a backend without bounds */
        else
            status = weir__emulation_fail(db, WEIR_INVALID,
                                          "the database holds keys, but no catalogue of column "
                                          "families: something else than Weir wrote it",
                                          err);
    }
    db->inner->iter_close(iter);
    if (status == WEIR_NOT_FOUND)
        status = WEIR_OK;
    if (status == WEIR_OK && (db->cfs != NULL || *dropped != NULL) && !db->has_catalogue)
        status = damaged(db, err);
    return status;
}

/* ---------------------------------------------------------------------- dropping */

/* Writes the deletions collected in db->keys, whose sizes are in the ops. */
static weir_status delete_collected(weir_backend_db *db, weir_backend_op *ops, size_t count,
                                    weir_error *err)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        ops[i].key.data = db->keys.data + offset;
        offset += ops[i].key.size;
    }
    weir__buffer_clear(&db->keys);
    return count > 0 ? db->inner->write(db->inner_db, ops, count, 0, err) : WEIR_OK;
}

static bool begins_with(weir_slice key, const uint8_t *prefix)
{
    return key.size >= WEIR__CF_PREFIX_SIZE && memcmp(key.data, prefix, WEIR__CF_PREFIX_SIZE) == 0;
}

/* Removes the items of a family in batches, reading from one consistent iterator. */
static weir_status remove_items(weir_backend_db *db, const weir_backend_cf *cf,
                                weir_backend_op *ops, weir_error *err)
{
    uint8_t end[WEIR__CF_PREFIX_SIZE];
    put_number(end, cf->number + 1u);
    weir_backend_iter *iter;
    weir_backend_iter_args args = {.struct_size = sizeof args,
                                   .lower = weir_slice_of(cf->prefix, sizeof cf->prefix),
                                   .upper = weir_slice_of(end, sizeof end),
                                   .has_lower = true,
                                   .has_upper = true};
    weir_slice key;
    weir_slice value;
    size_t count = 0;
    weir__buffer_clear(&db->keys);
    weir_status status = db->inner->iter_open(db->inner_db, db->inner_cf, &args, &iter, err);
    if (status != WEIR_OK)
        return status;
    while ((status = db->inner->iter_next(iter, &key, &value, err)) == WEIR_OK) {
        if (!begins_with(key, cf->prefix)) {
            if (weir_slice_compare(key, args.upper) >= 0)
                break;
            continue;
        }
        status = weir__buffer_append(&db->keys, key.data, key.size);
        if (status != WEIR_OK)
            break;
        ops[count++] = (weir_backend_op){
            .kind = WEIR_OP_DELETE, .cf = db->inner_cf, .key = weir_slice_of(NULL, key.size)};
        if (count == DROP_BATCH_SIZE) {
            status = delete_collected(db, ops, count, err);
            count = 0;
            if (status != WEIR_OK)
                break;
        }
    }
    db->inner->iter_close(iter);
    if (status == WEIR_NOT_FOUND || status == WEIR_OK)
        status = delete_collected(db, ops, count, err);
    return status;
}

static weir_status finish_drop(weir_backend_db *db, const weir_backend_cf *cf, weir_error *err)
{
    weir_backend_op *ops = calloc(DROP_BATCH_SIZE, sizeof *ops);
    if (ops == NULL)
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory to drop a family", err);
    weir_status status = remove_items(db, cf, ops, err);
    free(ops);
    if (status != WEIR_OK)
        return status;
    entry_key key;
    weir_backend_op op =
        entry_op(db, WEIR_OP_DELETE, &key, ENTRY_DROPPED,
                 weir_slice_of(cf->prefix, sizeof cf->prefix), weir_slice_of(NULL, 0));
    return db->inner->write(db->inner_db, &op, 1, 0, err);
}

weir_status weir__catalogue_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    if (db->read_only)
        return weir__emulation_fail(db, WEIR_UNSUPPORTED,
                                    "a column family can't be dropped: opened read-only", err);
    if (strcmp(name, WEIR_BACKEND_DEFAULT_CF) == 0)
        return weir__emulation_fail(db, WEIR_INVALID,
                                    "the column family 'default' can't be dropped", err);
    weir_backend_cf **at = &db->cfs;
    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    weir_backend_cf *cf = *at;
    if (cf == NULL)
        return WEIR_NOT_FOUND;
    /* First the name goes and the number is marked, in one batch: from then on the family is
     * dropped, and whoever opens the database next goes on with its items. */
    entry_key keys[2];
    weir_slice nothing = weir_slice_of(NULL, 0);
    weir_backend_op ops[] = {
        entry_op(db, WEIR_OP_DELETE, &keys[0], ENTRY_FAMILY, weir_slice_str(name), nothing),
        entry_op(db, WEIR_OP_PUT, &keys[1], ENTRY_DROPPED,
                 weir_slice_of(cf->prefix, sizeof cf->prefix), nothing),
    };
    weir_status status = db->inner->write(db->inner_db, ops, 2, 0, err);
    if (status != WEIR_OK)
        return status;
    status = finish_drop(db, cf, err);
    if (status == WEIR_OK) {
        *at = cf->next;
        cf->next = NULL;
        families_free(cf);
        return WEIR_OK;
    }
    /* The number stays taken until the next open; the name is free. */
    cf->name[0] = '\0';
    return status;
}

/* ----------------------------------------------------------------------- opening */

static uint16_t free_number(const weir_backend_db *db)
{
    for (uint32_t number = DEFAULT_NUMBER; number <= NUMBER_MAX; number++) {
        const weir_backend_cf *cf = db->cfs;
        while (cf != NULL && cf->number != number)
            cf = cf->next;
        if (cf == NULL)
            return (uint16_t)number;
    }
    return 0;
}

weir_status weir__catalogue_cf_open(weir_backend_db *db, const char *name, bool create,
                                    weir_backend_cf **cf, weir_error *err)
{
    *cf = family_find(db->cfs, name);
    if (*cf != NULL)
        return WEIR_OK;
    if (!create)
        return WEIR_NOT_FOUND;
    if (db->read_only)
        return weir__emulation_fail(db, WEIR_UNSUPPORTED,
                                    "a column family can't be created: opened read-only", err);
    size_t size = strlen(name);
    uint16_t number = free_number(db);
    if (size == 0 || size > NAME_MAX_SIZE || number == 0)
        return weir__emulation_fail(db, WEIR_INVALID,
                                    "a column family can't be created: its name must have 1 to "
                                    "255 bytes, and there are at most 65534",
                                    err);
    weir_backend_cf *made = family_new(name, size, number);
    if (made == NULL)
        return weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for a column family", err);
    weir_status status = write_family(db, made, err);
    if (status != WEIR_OK) {
        families_free(made);
        return status;
    }
    db->writes++;
    made->next = db->cfs;
    db->cfs = made;
    *cf = made;
    return WEIR_OK;
}

/* A database that holds nothing yet. */
static weir_status begin_catalogue(weir_backend_db *db, weir_error *err)
{
    weir_backend_cf *cf;
    if (!db->read_only)
        return weir__catalogue_cf_open(db, WEIR_BACKEND_DEFAULT_CF, true, &cf, err);
    db->cfs = family_new(WEIR_BACKEND_DEFAULT_CF, strlen(WEIR_BACKEND_DEFAULT_CF), DEFAULT_NUMBER);
    return db->cfs != NULL
               ? WEIR_OK
               : weir__emulation_fail(db, WEIR_NO_MEMORY, "no memory for a column family", err);
}

weir_status weir__catalogue_open(weir_backend_db *db, weir_error *err)
{
    weir_backend_cf *dropped = NULL;
    weir_status status =
        db->inner->cf_open(db->inner_db, WEIR_BACKEND_DEFAULT_CF, true, &db->inner_cf, err);
    if (status == WEIR_OK)
        status = read_catalogue(db, &dropped, err);
    if (status == WEIR_OK && !db->has_catalogue)
        status = begin_catalogue(db, err);
    else if (status == WEIR_OK && family_find(db->cfs, WEIR_BACKEND_DEFAULT_CF) == NULL)
        status = damaged(db, err);
    for (const weir_backend_cf *cf = dropped; status == WEIR_OK && cf != NULL && !db->read_only;
         cf = cf->next)
        status = finish_drop(db, cf, err);
    families_free(dropped);
    return status;
}
