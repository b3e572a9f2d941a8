/*
 * Conformance: iteration, snapshots, and random changes against a model.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance_steps.h"

/* ------------------------------------------------------------------- iteration */

bool both_directions_give_the_same_items(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, ""));
    CHECK(conf_reads(c, cf, NULL, NULL, true, NULL, ""));
    CHECK(conf_fill_five(c, cf));
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    CHECK(conf_reads(c, cf, NULL, NULL, true, NULL, "e=5 d=4 c=3 b=2 a=1 "));
    return true;
}

bool the_lower_bound_is_inclusive_and_the_upper_exclusive(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_fill_five(c, cf));
    CHECK(conf_reads(c, cf, "b", "d", false, NULL, "b=2 c=3 "));
    CHECK(conf_reads(c, cf, "b", "d", true, NULL, "c=3 b=2 "));
    CHECK(conf_reads(c, cf, "b", NULL, false, NULL, "b=2 c=3 d=4 e=5 "));
    CHECK(conf_reads(c, cf, "b", NULL, true, NULL, "e=5 d=4 c=3 b=2 "));
    CHECK(conf_reads(c, cf, NULL, "d", false, NULL, "a=1 b=2 c=3 "));
    CHECK(conf_reads(c, cf, NULL, "d", true, NULL, "c=3 b=2 a=1 "));
    CHECK(conf_reads(c, cf, "bb", "dd", false, NULL, "c=3 d=4 "));
    CHECK(conf_reads(c, cf, "bb", "dd", true, NULL, "d=4 c=3 "));
    CHECK(conf_reads(c, cf, "", "zz", false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    CHECK(conf_reads(c, cf, "", "zz", true, NULL, "e=5 d=4 c=3 b=2 a=1 "));
    CHECK(conf_reads(c, cf, "x", NULL, false, NULL, ""));
    CHECK(conf_reads(c, cf, "x", NULL, true, NULL, ""));
    return true;
}

bool empty_and_inverted_ranges_give_nothing(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_fill_five(c, cf));
    for (int reverse = 0; reverse <= 1; reverse++) {
        CHECK(conf_reads(c, cf, "c", "c", reverse != 0, NULL, ""));
        CHECK(conf_reads(c, cf, "d", "b", reverse != 0, NULL, ""));
        CHECK(conf_reads(c, cf, "zz", "a", reverse != 0, NULL, ""));
        CHECK(conf_reads(c, cf, "bb", "bc", reverse != 0, NULL, ""));
        CHECK(conf_reads(c, cf, NULL, "", reverse != 0, NULL, ""));
        CHECK(conf_reads(c, cf, "", "", reverse != 0, NULL, ""));
    }
    return true;
}

bool the_end_of_an_iterator_stays_the_end(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_fill_five(c, cf));
    for (int reverse = 0; reverse <= 1; reverse++) {
        weir_slice key = conf_str("x");
        weir_slice value = conf_str("x");
        weir_backend_iter *iter = conf_iterate(c, cf, "b", "c", reverse != 0, NULL);
        CHECK(iter != NULL);
        CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
        for (int i = 0; i < 3; i++)
            CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_NOT_FOUND);
        CHECK(key.size == 0 && value.size == 0);
        c->backend->iter_close(iter);
    }
    c->backend->iter_close(NULL);
    return true;
}

bool an_iterator_does_not_see_later_writes(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(conf_fill_five(c, cf));
    for (int reverse = 0; reverse <= 1; reverse++) {
        char text[256] = "";
        weir_backend_iter *iter = conf_iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        conf_read_items(c, iter, 2, text, sizeof text);
        weir_backend_op ops[] = {
            conf_put_op(cf, conf_str("bb"), conf_str("new")),
            conf_put_op(cf, conf_str("c"), conf_str("changed")),
            conf_delete_op(cf, conf_str("d")),
            conf_delete_op(cf, conf_str("b")),
        };
        CHECK(c->backend->write(c->db, ops, 4, 0, NULL) == WEIR_OK);
        conf_read_items(c, iter, SIZE_MAX, text, sizeof text);
        c->backend->iter_close(iter);
        CHECK(strcmp(text, reverse != 0 ? "e=5 d=4 c=3 b=2 a=1 " : "a=1 b=2 c=3 d=4 e=5 ") == 0);
        CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "a=1 bb=new c=changed e=5 "));
        CHECK(conf_erase(c, cf, "bb") == WEIR_OK);
        CHECK(conf_fill_five(c, cf));
    }
    return true;
}

bool several_iterators_run_side_by_side(conformance *c)
{
    weir_backend_cf *first = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *second = conf_family(c, "second");
    char texts[3][128] = {"", "", ""};
    CHECK(conf_fill_five(c, first));
    CHECK(conf_put(c, second, "x", "8") == WEIR_OK);
    CHECK(conf_put(c, second, "y", "9") == WEIR_OK);
    weir_backend_iter *iters[] = {
        conf_iterate(c, first, NULL, NULL, false, NULL),
        conf_iterate(c, first, "b", NULL, true, NULL),
        conf_iterate(c, second, NULL, NULL, false, NULL),
    };
    for (size_t i = 0; i < 3; i++)
        CHECK(iters[i] != NULL);
    for (int round = 0; round < 6; round++)
        for (size_t i = 0; i < 3; i++)
            conf_read_items(c, iters[i], 1, texts[i], sizeof texts[i]);
    for (size_t i = 0; i < 3; i++)
        c->backend->iter_close(iters[i]);
    CHECK(strcmp(texts[0], "a=1 b=2 c=3 d=4 e=5 ") == 0);
    CHECK(strcmp(texts[1], "e=5 d=4 c=3 b=2 ") == 0);
    CHECK(strcmp(texts[2], "x=8 y=9 ") == 0);
    return true;
}

/* Whether, after a seek, the next `max` items are these. */
static bool seek_reads(conformance *c, weir_backend_iter *iter, const char *target, size_t max,
                       const char *expected)
{
    char text[256] = "";
    CHECK(c->backend->iter_seek(iter, conf_str(target), NULL) == WEIR_OK);
    conf_read_items(c, iter, max, text, sizeof text);
    if (strcmp(text, expected) != 0)
        snprintf(c->failure, sizeof c->failure, "seek to '%s' reads '%s' instead of '%s'", target,
                 text, expected);
    return strcmp(text, expected) == 0;
}

bool seek_moves_forward_and_back_within_the_bounds(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *before = conf_family(c, "another");
    CHECK(conf_put(c, before, "c", "other family") == WEIR_OK);
    CHECK(conf_fill_five(c, cf));
    weir_backend_iter *iter = conf_iterate(c, cf, "b", "e", false, NULL);
    CHECK(iter != NULL);
    CHECK(seek_reads(c, iter, "c", 1, "c=3 "));
    CHECK(seek_reads(c, iter, "cc", 9, "d=4 "));
    CHECK(seek_reads(c, iter, "a", 1, "b=2 "));
    CHECK(seek_reads(c, iter, "", 2, "b=2 c=3 "));
    CHECK(seek_reads(c, iter, "e", 9, ""));
    CHECK(seek_reads(c, iter, "zz", 9, ""));
    CHECK(seek_reads(c, iter, "b", 9, "b=2 c=3 d=4 "));
    c->backend->iter_close(iter);
    iter = conf_iterate(c, cf, "b", "e", true, NULL);
    CHECK(iter != NULL);
    CHECK(seek_reads(c, iter, "c", 1, "c=3 "));
    CHECK(seek_reads(c, iter, "bb", 9, "b=2 "));
    CHECK(seek_reads(c, iter, "e", 1, "d=4 "));
    CHECK(seek_reads(c, iter, "zz", 2, "d=4 c=3 "));
    CHECK(seek_reads(c, iter, "a", 9, ""));
    CHECK(seek_reads(c, iter, "", 9, ""));
    CHECK(seek_reads(c, iter, "d", 9, "d=4 c=3 b=2 "));
    c->backend->iter_close(iter);
    return true;
}

static bool next_is_big(conformance *c, weir_backend_iter *iter, int expected)
{
    char text[32];
    weir_slice key;
    weir_slice value;
    CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
    CHECK(conf_same(key, conf_big_key(text, sizeof text, expected)));
    CHECK(value.size == BIG_VALUE_SIZE);
    CHECK(((const char *)value.data)[value.size - 1] == 'a' + expected % 26);
    return true;
}

bool large_ranges_are_read_both_ways(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_slice key;
    weir_slice value;
    char lower[32];
    char text[32];
    conf_big_key(lower, sizeof lower, 100);
    CHECK(conf_fill_big(c, cf));
    weir_backend_iter *forward = conf_iterate(c, cf, lower, NULL, false, NULL);
    weir_backend_iter *reverse = conf_iterate(c, cf, lower, NULL, true, NULL);
    CHECK(forward != NULL && reverse != NULL);
    CHECK(conf_erase(c, cf, lower) == WEIR_OK);
    for (int i = 100; i < BIG_COUNT; i++) {
        CHECK(next_is_big(c, forward, i));
        CHECK(next_is_big(c, reverse, BIG_COUNT - 1 - (i - 100)));
    }
    CHECK(c->backend->iter_next(forward, &key, &value, NULL) == WEIR_NOT_FOUND);
    CHECK(c->backend->iter_next(reverse, &key, &value, NULL) == WEIR_NOT_FOUND);
    c->backend->iter_close(forward);
    c->backend->iter_close(reverse);
    reverse = conf_iterate(c, cf, NULL, NULL, true, NULL);
    CHECK(reverse != NULL);
    const int targets[] = {2000, 17, 3999, 1000, 101};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        weir_slice target = conf_big_key(text, sizeof text, targets[i]);
        CHECK(c->backend->iter_seek(reverse, target, NULL) == WEIR_OK);
        CHECK(next_is_big(c, reverse, targets[i]));
        CHECK(next_is_big(c, reverse, targets[i] == 101 ? 99 : targets[i] - 1));
    }
    c->backend->iter_close(reverse);
    return true;
}

/* ------------------------------------------------------------------- snapshots */

bool a_snapshot_keeps_what_was_there(conformance *c)
{
    if ((c->backend->capabilities & WEIR_CAP_SNAPSHOTS) == 0)
        return true;
    weir_backend_cf *cf = conf_family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_snapshot *snapshots[3];
    char value[8];
    for (int i = 0; i < 3; i++) {
        snprintf(value, sizeof value, "%d", i);
        CHECK(conf_put(c, cf, "k", value) == WEIR_OK);
        CHECK(conf_put(c, cf, value, "x") == WEIR_OK);
        CHECK(c->backend->snapshot_open(c->db, &snapshots[i], NULL) == WEIR_OK);
    }
    CHECK(conf_erase(c, cf, "k") == WEIR_OK);
    CHECK(conf_erase(c, cf, "1") == WEIR_OK);
    /* The middle one goes first: what it kept must not go with it, nor stay for good. */
    c->backend->snapshot_close(c->db, snapshots[1]);
    const char *expected[] = {"0=x k=0 ", NULL, "0=x 1=x 2=x k=2 "};
    const char *reversed[] = {"k=0 0=x ", NULL, "k=2 2=x 1=x 0=x "};
    for (int i = 0; i < 3; i += 2) {
        weir_slice kept = weir_slice_of(i == 0 ? "0" : "2", 1);
        CHECK(conf_holds_bytes(c, cf, snapshots[i], conf_str("k"), &kept));
        CHECK(conf_reads(c, cf, NULL, NULL, false, snapshots[i], expected[i]));
        CHECK(conf_reads(c, cf, NULL, NULL, true, snapshots[i], reversed[i]));
    }
    weir_backend_iter *iter = conf_iterate(c, cf, "0", "3", false, snapshots[0]);
    CHECK(iter != NULL);
    CHECK(conf_put(c, cf, "0", "changed") == WEIR_OK);
    char text[64] = "";
    conf_read_items(c, iter, SIZE_MAX, text, sizeof text);
    CHECK(strcmp(text, "0=x ") == 0);
    c->backend->iter_close(iter);
    c->backend->snapshot_close(c->db, snapshots[0]);
    c->backend->snapshot_close(c->db, snapshots[2]);
    CHECK(conf_reads(c, cf, NULL, NULL, false, NULL, "0=changed 2=x "));
    return true;
}

/* ------------------------------------------------------------- against a model */

#define MODEL_KEYS  600
#define MODEL_STEPS 300

/* The value of each possible key: 0 is absent. */
typedef struct model {
    uint32_t values[MODEL_KEYS];
} model;

static uint64_t random_next(uint64_t *state)
{
    /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static weir_slice model_key(char *out, size_t size, int i)
{
    /* Of different lengths, in the order of i. */
    return weir_slice_of(
        out, (size_t)snprintf(out, size, "%03d%.*s", i, i % 23, "abcdefghijklmnopqrstuvw"));
}

/* One range, both bounds drawn, read in either direction. */
static bool model_range(conformance *c, weir_backend_cf *cf, const model *m, uint64_t *random)
{
    char lower[64];
    char upper[64];
    int low = (int)(random_next(random) % MODEL_KEYS);
    int high = (int)(random_next(random) % MODEL_KEYS);
    bool reverse = random_next(random) % 2 != 0;
    model_key(lower, sizeof lower, low);
    model_key(upper, sizeof upper, high);
    weir_backend_iter *iter = conf_iterate(c, cf, lower, upper, reverse, NULL);
    CHECK(iter != NULL);
    weir_slice key;
    weir_slice value;
    for (int n = 0; n < high - low; n++) {
        int i = reverse ? high - 1 - n : low + n;
        char text[64];
        if (m->values[i] == 0)
            continue;
        CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK);
        CHECK(conf_same(key, model_key(text, sizeof text, i)));
        CHECK(conf_same(value, weir_slice_of(&m->values[i], sizeof m->values[i])));
    }
    CHECK(c->backend->iter_next(iter, &key, &value, NULL) == WEIR_NOT_FOUND);
    c->backend->iter_close(iter);
    return true;
}

/* One batch of up to 40 changes; in phases that mostly add and phases that mostly delete. */
static bool model_batch(conformance *c, weir_backend_cf *cf, model *m, int step, uint64_t *random)
{
    weir_backend_op ops[40];
    char keys[40][64];
    uint32_t values[40];
    size_t count = random_next(random) % 40 + 1;
    uint64_t deletes = step / 50 % 2 == 0 ? 2 : 8;
    for (size_t i = 0; i < count; i++) {
        int which = (int)(random_next(random) % MODEL_KEYS);
        weir_slice key = model_key(keys[i], sizeof keys[i], which);
        values[i] = (uint32_t)(random_next(random) >> 33) + 1;
        bool deleted = random_next(random) % 10 < deletes;
        ops[i] = deleted ? conf_delete_op(cf, key)
                         : conf_put_op(cf, key, weir_slice_of(&values[i], sizeof values[i]));
        m->values[which] = deleted ? 0 : values[i];
    }
    CHECK(c->backend->write(c->db, ops, count, 0, NULL) == WEIR_OK);
    return true;
}

bool random_changes_match_a_model(conformance *c)
{
    weir_backend_cf *cf = conf_family(c, "model");
    weir_backend_cf *other = conf_family(c, "other");
    uint64_t random = c->seed != 0 ? c->seed : 1;
    model m;
    memset(&m, 0, sizeof m);
    CHECK(conf_fill_five(c, other));
    for (int step = 0; step < MODEL_STEPS; step++) {
        char text[64];
        CHECK(model_batch(c, cf, &m, step, &random));
        CHECK(model_range(c, cf, &m, &random));
        int which = (int)(random_next(&random) % MODEL_KEYS);
        weir_slice value = weir_slice_of(&m.values[which], sizeof m.values[which]);
        CHECK(conf_holds_bytes(c, cf, NULL, model_key(text, sizeof text, which),
                               m.values[which] != 0 ? &value : NULL));
    }
    CHECK(conf_reads(c, other, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}
