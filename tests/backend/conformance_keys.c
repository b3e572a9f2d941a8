/*
 * Conformance: keys, values, batches, column families and reopening.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance_steps.h"

/* ------------------------------------------------------------- keys and values */

bool an_absent_key_is_not_found(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(cf != NULL);
    CHECK(conf_holds(c, cf, "a", NULL));
    CHECK(conf_put(c, cf, "ab", "1") == WEIR_OK);
    CHECK(conf_holds(c, cf, "a", NULL));
    CHECK(conf_holds(c, cf, "abc", NULL));
    return true;
}

bool what_was_put_is_read_and_what_was_deleted_is_not(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_put(c, cf, "a", "1") == WEIR_OK);
    CHECK(conf_holds(c, cf, "a", "1"));
    CHECK(conf_put(c, cf, "a", "two") == WEIR_OK);
    CHECK(conf_holds(c, cf, "a", "two"));
    CHECK(conf_erase(c, cf, "a") == WEIR_OK);
    CHECK(conf_holds(c, cf, "a", NULL));
    CHECK(conf_erase(c, cf, "a") == WEIR_OK);
    CHECK(conf_put(c, cf, "a", "") == WEIR_OK);
    CHECK(conf_holds(c, cf, "a", ""));
    return true;
}

bool keys_may_be_empty_and_hold_any_bytes(conformance *c)
{
    /* In the order in which they must come. */
    static const weir_slice keys[] = {
        {"", 0},         {"\x00", 1},     {"\x00\x00", 2},     {"\x00\x01", 2}, {"\x00\xFF", 2},
        {"\x01", 1},     {"a", 1},        {"a\x00", 2},        {"a\x00z", 3},   {"a\xFF", 2},
        {"b", 1},        {"\x7F", 1},     {"\x80", 1},         {"\xFF", 1},     {"\xFF\x00", 2},
        {"\xFF\xFE", 2}, {"\xFF\xFF", 2}, {"\xFF\xFF\xFF", 3},
    };
    const size_t count = sizeof keys / sizeof keys[0];
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    for (size_t i = 0; i < count; i++) {
        /* 7 and the count have no common divisor: all keys, in a mixed order. */
        weir_backend_op op = conf_put_op(cf, keys[i * 7 % count], keys[i * 7 % count]);
        CHECK(c->backend->write(c->db, &op, 1, 0, NULL) == WEIR_OK);
    }
    for (size_t i = 0; i < count; i++)
        CHECK(conf_holds_bytes(c, cf, NULL, keys[i], &keys[i]));
    for (int reverse = 0; reverse <= 1; reverse++) {
        weir_backend_iter *iter = conf_iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        for (size_t i = 0; i < count; i++) {
            weir_slice key;
            weir_slice value;
            CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
            CHECK(conf_same(key, keys[reverse != 0 ? count - 1 - i : i]));
            CHECK(conf_same(value, key));
        }
        c->backend->iter_close(iter);
    }
    return true;
}

bool long_keys_and_large_values_come_back_whole(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    const size_t key_size = 65533;
    const size_t value_size = (size_t)8 << 20;
    uint8_t *key = malloc(key_size);
    uint8_t *value = malloc(value_size);
    bool is_right = key != NULL && value != NULL;
    if (is_right) {
        memset(key, 0xEE, key_size);
        for (size_t i = 0; i < value_size; i++)
            value[i] = (uint8_t)(i * 31 >> 3);
        weir_slice bytes = weir_slice_of(value, value_size);
        weir_backend_op ops[] = {
            conf_put_op(cf, weir_slice_of(key, key_size), bytes),
            conf_put_op(cf, weir_slice_of(key, key_size - 1), conf_str("shorter")),
        };
        weir_slice shorter = conf_str("shorter");
        is_right = c->backend->write(c->db, ops, 2, 0, NULL) == WEIR_OK &&
                   conf_holds_bytes(c, cf, NULL, ops[0].key, &bytes) &&
                   conf_holds_bytes(c, cf, NULL, ops[1].key, &shorter);
    }
    free(key);
    free(value);
    CHECK(is_right);
    return true;
}

bool a_value_stays_valid_until_it_is_released(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_value first;
    weir_backend_value second;
    CHECK(conf_put(c, cf, "a", "old") == WEIR_OK);
    CHECK(c->backend->get(c->db, cf, NULL, conf_str("a"), &first, NULL) == WEIR_OK);
    CHECK(c->backend->get(c->db, cf, NULL, conf_str("a"), &second, NULL) == WEIR_OK);
    CHECK(conf_put(c, cf, "a", "new") == WEIR_OK);
    CHECK(conf_erase(c, cf, "a") == WEIR_OK);
    CHECK(conf_same(weir_slice_of(first.data, first.size), conf_str("old")));
    c->backend->value_release(c->db, &first);
    CHECK(conf_same(weir_slice_of(second.data, second.size), conf_str("old")));
    c->backend->value_release(c->db, &second);
    CHECK(conf_holds(c, cf, "a", NULL));
    return true;
}

bool multi_get_tells_each_key_by_itself(conformance *c)
{
    enum { COUNT = 5 };
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    const weir_slice keys[COUNT] = {conf_str("b"), conf_str("missing"), conf_str("a"), conf_str(""),
                                    conf_str("b")};
    weir_backend_value values[COUNT];
    weir_status statuses[COUNT];
    CHECK(conf_put(c, cf, "a", "1") == WEIR_OK);
    CHECK(conf_put(c, cf, "b", "2") == WEIR_OK);
    CHECK(c->backend->multi_get(c->db, cf, NULL, keys, COUNT, values, statuses, NULL) == WEIR_OK);
    const char *expected[COUNT] = {"2", NULL, "1", NULL, "2"};
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(statuses[i] == (expected[i] != NULL ? WEIR_OK : WEIR_NOT_FOUND));
        if (expected[i] == NULL)
            continue;
        CHECK(conf_same(weir_slice_of(values[i].data, values[i].size), conf_str(expected[i])));
        c->backend->value_release(c->db, &values[i]);
    }
    CHECK(c->backend->multi_get(c->db, cf, NULL, keys, 0, values, statuses, NULL) == WEIR_OK);
    return true;
}

/* -------------------------------------------------------------------- batches */

bool the_last_change_of_a_key_in_a_batch_wins(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_put(c, cf, "c", "before") == WEIR_OK);
    weir_backend_op ops[] = {
        conf_put_op(cf, conf_str("a"), conf_str("1")),
        conf_put_op(cf, conf_str("a"), conf_str("2")),
        conf_put_op(cf, conf_str("b"), conf_str("1")),
        conf_delete_op(cf, conf_str("b")),
        conf_delete_op(cf, conf_str("c")),
        conf_put_op(cf, conf_str("c"), conf_str("after")),
        conf_delete_op(cf, conf_str("d")),
    };
    CHECK(c->backend->write(c->db, ops, sizeof ops / sizeof ops[0], 0, NULL) == WEIR_OK);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "a=2 c=after "));
    CHECK(c->backend->write(c->db, NULL, 0, 0, NULL) == WEIR_OK);
    CHECK(c->backend->write(c->db, ops, 1, WEIR_WRITE_SYNC, NULL) == WEIR_OK);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "a=1 c=after "));
    return true;
}

bool a_batch_reaches_all_its_families(conformance *c)
{
    weir_backend_cf *first = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *second = conf_family(c, "second");
    weir_backend_cf *third = conf_family(c, "__third__");
    weir_backend_op ops[] = {
        conf_put_op(first, conf_str("k"), conf_str("1")),
        conf_put_op(second, conf_str("k"), conf_str("2")),
        conf_put_op(third, conf_str("k"), conf_str("3")),
        conf_delete_op(second, conf_str("gone")),
    };
    CHECK(conf_put(c, second, "gone", "x") == WEIR_OK);
    CHECK(c->backend->write(c->db, ops, 4, 0, NULL) == WEIR_OK);
    CHECK(conf_reads(c, first, NULL, NULL, false, NULL, "k=1 "));
    CHECK(conf_reads(c, second, NULL, NULL, false, NULL, "k=2 "));
    CHECK(conf_reads(c, third, NULL, NULL, false, NULL, "k=3 "));
    return true;
}

bool keys_and_values_of_a_batch_are_copied(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    char key[] = "key";
    char value[] = "value";
    weir_backend_op op = conf_put_op(cf, conf_str(key), conf_str(value));
    CHECK(c->backend->write(c->db, &op, 1, 0, NULL) == WEIR_OK);
    memset(key, 'x', sizeof key - 1);
    memset(value, 'x', sizeof value - 1);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "key=value "));
    return true;
}

/* ------------------------------------------------------------- column families */

static weir_status count_family(const char *name, void *arg)
{
    size_t *counts = arg;
    static const char *const names[] = {"default", "one", "two"};
    for (size_t i = 0; i < 3; i++)
        counts[i] += strcmp(name, names[i]) == 0 ? 1 : 0;
    counts[3]++;
    return WEIR_OK;
}

static weir_status stop_at_once(const char *name, void *arg)
{
    (void)name;
    ++*(int *)arg;
    return WEIR_ABORTED;
}

bool families_are_made_found_and_listed(conformance *c)
{
    weir_backend_cf *cf;
    weir_backend_cf *again;
    size_t counts[4] = {0};
    int visits = 0;
    CHECK(c->backend->cf_open(c->db, "one", false, &cf, NULL) == WEIR_NOT_FOUND);
    CHECK(cf == NULL);
    CHECK(c->backend->cf_open(c->db, "one", true, &cf, NULL) == WEIR_OK);
    CHECK(c->backend->cf_open(c->db, "one", true, &again, NULL) == WEIR_OK);
    CHECK(cf == again);
    CHECK(c->backend->cf_open(c->db, "one", false, &again, NULL) == WEIR_OK);
    CHECK(cf == again);
    CHECK(c->backend->cf_open(c->db, "two", true, &again, NULL) == WEIR_OK);
    CHECK(cf != again);
    CHECK(c->backend->cf_open(c->db, WEIR_BACKEND_DEFAULT_CF, false, &again, NULL) == WEIR_OK);
    CHECK(c->backend->cf_list(c->db, count_family, counts, NULL) == WEIR_OK);
    CHECK(counts[0] == 1 && counts[1] == 1 && counts[2] == 1 && counts[3] == 3);
    CHECK(c->backend->cf_list(c->db, stop_at_once, &visits, NULL) == WEIR_ABORTED);
    CHECK(visits == 1);
    return true;
}

bool families_keep_their_keys_apart(conformance *c)
{
    enum { COUNT = 4 };
    const char *names[COUNT] = {WEIR_BACKEND_DEFAULT_CF, "one", "two", "three"};
    weir_backend_cf *cfs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        cfs[i] = conf_family(c, names[i]);
        CHECK(cfs[i] != NULL);
    }
    static const weir_slice last = {"\xFF\xFF\xFF\xFF", 4};
    for (int i = 0; i < COUNT; i++) {
        weir_backend_op ops[] = {
            conf_put_op(cfs[i], conf_str(""), conf_str(names[i])),
            conf_put_op(cfs[i], conf_str("k"), conf_str(names[i])),
            conf_put_op(cfs[i], last, conf_str(names[i])),
        };
        CHECK(c->backend->write(c->db, ops, 3, 0, NULL) == WEIR_OK);
    }
    CHECK(conf_erase(c, cfs[1], "k") == WEIR_OK);
    CHECK(conf_holds(c, cfs[1], "k", NULL));
    for (int i = 0; i < COUNT; i++) {
        weir_slice name = conf_str(names[i]);
        for (int reverse = 0; reverse <= 1; reverse++) {
            weir_slice key;
            weir_slice value;
            size_t items = 0;
            weir_backend_iter *iter = conf_iterate(c, cfs[i], NULL, NULL, reverse != 0, NULL);
            CHECK(iter != NULL);
            while (c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
                CHECK(conf_same(value, name));
                items++;
            }
            c->backend->iter_close(iter);
            CHECK(items == (i == 1 ? 2u : 3u));
        }
    }
    return true;
}

bool a_dropped_family_is_gone_with_its_items(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, "one");
    weir_backend_cf *other = conf_family(c, "two");
    CHECK(conf_fill_big(c, cf));
    CHECK(conf_fill_five(c, other));
    CHECK(c->backend->cf_drop(c->db, "one", NULL) == WEIR_OK);
    CHECK(c->backend->cf_drop(c->db, "one", NULL) == WEIR_NOT_FOUND);
    CHECK(c->backend->cf_drop(c->db, WEIR_BACKEND_DEFAULT_CF, NULL) == WEIR_INVALID);
    CHECK(c->backend->cf_open(c->db, "one", false, &cf, NULL) == WEIR_NOT_FOUND);
    size_t counts[4] = {0};
    CHECK(c->backend->cf_list(c->db, count_family, counts, NULL) == WEIR_OK);
    CHECK(counts[1] == 0 && counts[2] == 1);
    cf = conf_family(c, "one");
    CHECK(cf != NULL);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, ""));
    CHECK(conf_reads(c, other, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

/* ------------------------------------------------------------------ reopening */

bool reopening_keeps_what_was_written(conformance *c)
{
    if ((c->backend->capabilities & WEIR_CAP_PERSISTENT) == 0)
        return true;
    weir_backend_cf *one = conf_family(c, "one");
    CHECK(conf_fill_five(c, conf_family(c, WEIR_BACKEND_DEFAULT_CF)));
    CHECK(conf_put(c, one, "k", "kept") == WEIR_OK);
    CHECK(conf_put(c, conf_family(c, "two"), "k", "dropped") == WEIR_OK);
    CHECK(c->backend->cf_drop(c->db, "two", NULL) == WEIR_OK);
    CHECK(c->backend->flush(c->db, NULL) == WEIR_OK);
    CHECK(conf_put(c, one, "after", "flush") == WEIR_OK);
    for (int round = 0; round < 2; round++) {
        CHECK(c->reopen(c) == WEIR_OK);
        CHECK(c->backend->cf_open(c->db, "one", false, &one, NULL) == WEIR_OK);
        CHECK(conf_reads(c, one, NULL, NULL, false, NULL, "after=flush k=kept "));
        CHECK(conf_reads(c, conf_family(c, WEIR_BACKEND_DEFAULT_CF), NULL, NULL, true, NULL,
                         "e=5 d=4 c=3 b=2 a=1 "));
        CHECK(c->backend->cf_open(c->db, "two", false, &one, NULL) == WEIR_NOT_FOUND);
    }
    CHECK(conf_reads(c, conf_family(c, "two"), NULL, NULL, false, NULL, ""));
    return true;
}

/* ---------------------------------------------------------------------- others */

static void count_figure(const char *name, uint64_t value, void *arg)
{
    (void)value;
    *(size_t *)arg += name != NULL && name[0] != '\0' ? 1 : 0;
}

bool optional_methods_answer(conformance *c)
{
    size_t figures = 0;
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_fill_five(c, cf));
    weir_status status = c->backend->stats(c->db, count_figure, &figures, NULL);
    CHECK(status == WEIR_UNSUPPORTED || (status == WEIR_OK && figures > 0));
    status = c->backend->compact(c->db, cf, conf_str(""), conf_str(""), NULL);
    CHECK(status == WEIR_UNSUPPORTED || status == WEIR_OK);
    CHECK(c->backend->control(c->db, "no.such.operation", NULL, NULL) == WEIR_UNSUPPORTED);
    CHECK(c->backend->flush(c->db, NULL) == WEIR_OK);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}
