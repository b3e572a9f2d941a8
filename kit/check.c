/*
 * Helpers of the checks. See check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "check.h"

#include <stdarg.h>

bool kit_fail(kit_subject *c, const char *format, ...)
{
    if (c->note[0] != '\0')
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(c->note, sizeof c->note, format, args);
    va_end(args);
    return false;
}

bool kit_fail_status(kit_subject *c, weir_status expected, weir_status seen, const char *call)
{
    const char *message = c->err.status == seen && seen != WEIR_OK ? c->err.message : "";
    return kit_fail(c, "expected %s, seen %s%s%s%s from %s", weir_status_name(expected),
                    weir_status_name(seen), message[0] != '\0' ? " (" : "", message,
                    message[0] != '\0' ? ")" : "", call);
}

bool kit_skip(kit_subject *c, const char *why)
{
    c->skipped = true;
    snprintf(c->note, sizeof c->note, "%s", why);
    return true;
}

weir_backend_cf *family(kit_subject *c, const char *name)
{
    weir_backend_cf *cf = NULL;
    if (!kit_has(c, WEIR_CAP_COLUMN_FAMILIES))
        name = WEIR_BACKEND_DEFAULT_CF;
    weir_error_init(&c->err);
    weir_status status = c->backend->cf_open(c->db, name, true, &cf, &c->err);
    if (status == WEIR_OK && cf != NULL)
        return cf;
    kit_fail(c, "expected a handle of the family '%s', seen %s (%s)", name,
             weir_status_name(status), c->err.message);
    return NULL;
}

weir_status write_ops(kit_subject *c, const weir_backend_op *ops, size_t count)
{
    weir_error_init(&c->err);
    return c->backend->write(c->db, ops, count, 0, &c->err);
}

weir_status put(kit_subject *c, weir_backend_cf *cf, const char *key, const char *value)
{
    weir_backend_op op = put_op(cf, str(key), str(value));
    return write_ops(c, &op, 1);
}

weir_status erase(kit_subject *c, weir_backend_cf *cf, const char *key)
{
    weir_backend_op op = delete_op(cf, str(key));
    return write_ops(c, &op, 1);
}

/* Bytes as people read them: long ones are cut, others than letters in hex. */
static const char *shown(weir_slice bytes, char *out, size_t size)
{
    size_t used = 0;
    const unsigned char *data = bytes.data;
    out[0] = '\0';
    for (size_t i = 0; i < bytes.size && used + 16 < size; i++) {
        if (i == 24) {
            snprintf(out + used, size - used, "… (%zu bytes)", bytes.size);
            break;
        }
        bool readable = data[i] >= ' ' && data[i] < 127;
        used += (size_t)snprintf(out + used, size - used, readable ? "%c" : "\\x%02x", data[i]);
    }
    return out;
}

bool holds_bytes(kit_subject *c, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                 weir_slice key, const weir_slice *expected)
{
    char key_text[160];
    char expected_text[160];
    char seen_text[160];
    weir_backend_value value;
    memset(&value, 0xA5, sizeof value);
    weir_error_init(&c->err);
    weir_status status = c->backend->get(c->db, cf, snapshot, key, &value, &c->err);
    shown(key, key_text, sizeof key_text);
    if (status != WEIR_OK) {
        if (expected != NULL || status != WEIR_NOT_FOUND)
            return kit_fail(c, "get of '%s': expected %s, seen %s %s", key_text,
                            expected != NULL ? "a value" : "NOT_FOUND", weir_status_name(status),
                            c->err.message);
        if (value.size != 0 || value.owner != NULL)
            return kit_fail(c, "get of '%s', which is not there: expected an empty value",
                            key_text);
        return true;
    }
    weir_slice seen = weir_slice_of(value.data, value.size);
    bool is_same = expected != NULL && weir_slice_equal(seen, *expected);
    if (!is_same)
        kit_fail(c, "get of '%s': expected %s%s%s, seen '%s'", key_text,
                 expected != NULL ? "'" : "NOT_FOUND",
                 expected != NULL ? shown(*expected, expected_text, sizeof expected_text) : "",
                 expected != NULL ? "'" : "", shown(seen, seen_text, sizeof seen_text));
    c->backend->value_release(c->db, &value);
    return is_same;
}

bool holds(kit_subject *c, weir_backend_cf *cf, const char *key, const char *expected)
{
    weir_slice value = expected != NULL ? str(expected) : str("");
    return holds_bytes(c, cf, NULL, str(key), expected != NULL ? &value : NULL);
}

weir_backend_iter *iterate(kit_subject *c, weir_backend_cf *cf, const char *lower,
                           const char *upper, bool reverse, weir_backend_snapshot *snapshot)
{
    weir_backend_iter_args args = {.struct_size = sizeof args,
                                   .has_lower = lower != NULL,
                                   .has_upper = upper != NULL,
                                   .reverse = reverse,
                                   .snapshot = snapshot};
    if (lower != NULL)
        args.lower = str(lower);
    if (upper != NULL)
        args.upper = str(upper);
    weir_backend_iter *iter = NULL;
    weir_error_init(&c->err);
    weir_status status = c->backend->iter_open(c->db, cf, &args, &iter, &c->err);
    if (status == WEIR_OK && iter != NULL)
        return iter;
    kit_fail(c, "iter_open: expected an iterator, seen %s %s", weir_status_name(status),
             c->err.message);
    return NULL;
}

void read_items(kit_subject *c, weir_backend_iter *iter, size_t max, char *out, size_t size)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < max; i++) {
        weir_slice key;
        weir_slice value;
        weir_status status = c->backend->iter_next(iter, &key, &value, NULL);
        if (status == WEIR_NOT_FOUND)
            return;
        int added =
            status == WEIR_OK
                ? snprintf(out + used, size - used, "%.*s=%.*s ", (int)key.size,
                           (const char *)key.data, (int)value.size, (const char *)value.data)
                : snprintf(out + used, size - used, "!%s ", weir_status_name(status));
        if (status != WEIR_OK || added < 0 || (size_t)added >= size - used)
            return;
        used += (size_t)added;
    }
}

bool reads(kit_subject *c, weir_backend_cf *cf, const char *lower, const char *upper, bool reverse,
           weir_backend_snapshot *snapshot, const char *expected)
{
    char text[1024] = "";
    weir_backend_iter *iter = iterate(c, cf, lower, upper, reverse, snapshot);
    if (iter == NULL)
        return false;
    read_items(c, iter, 64, text, sizeof text);
    c->backend->iter_close(iter);
    if (strcmp(text, expected) == 0)
        return true;
    return kit_fail(c, "the range %s%s%s…%s%s%s%s: expected '%s', seen '%s'",
                    lower != NULL ? "'" : "", lower != NULL ? lower : "", lower != NULL ? "'" : "",
                    upper != NULL ? "'" : "", upper != NULL ? upper : "", upper != NULL ? "'" : "",
                    reverse ? " in reverse" : "", expected, text);
}

bool fill_five(kit_subject *c, weir_backend_cf *cf)
{
    EXPECT(WEIR_OK, put(c, cf, "c", "3"));
    EXPECT(WEIR_OK, put(c, cf, "a", "1"));
    EXPECT(WEIR_OK, put(c, cf, "e", "5"));
    EXPECT(WEIR_OK, put(c, cf, "b", "2"));
    EXPECT(WEIR_OK, put(c, cf, "d", "4"));
    return true;
}

weir_slice big_key(char *out, size_t size, int i)
{
    return weir_slice_of(out, (size_t)snprintf(out, size, "item-%06d", i));
}

#define BIG_BATCH 16

bool fill_big(kit_subject *c, weir_backend_cf *cf)
{
    char values[BIG_BATCH][BIG_VALUE_SIZE];
    char keys[BIG_BATCH][32];
    weir_backend_op ops[BIG_BATCH];
    for (int i = 0; i < BIG_COUNT; i++) {
        int shuffled = (int)((int64_t)i * 1237 % BIG_COUNT); /* no common divisor */
        int at = i % BIG_BATCH;
        memset(values[at], 'a' + shuffled % 26, BIG_VALUE_SIZE);
        ops[at] = put_op(cf, big_key(keys[at], sizeof keys[at], shuffled),
                         weir_slice_of(values[at], BIG_VALUE_SIZE));
        if (at == BIG_BATCH - 1)
            EXPECT(WEIR_OK, write_ops(c, ops, BIG_BATCH));
    }
    return true;
}

weir_status reopen(kit_subject *c)
{
    weir_status status = c->close(c);
    return status == WEIR_OK ? c->open(c, KIT_OPEN_CREATE) : status;
}

uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}
