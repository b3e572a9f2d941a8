/*
 * Checks of the core: keys and values, batches, closing and opening, what every backend must
 * have. See check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <unistd.h>

/* ------------------------------------------------------------- what is claimed */

static bool atomic_batches_are_claimed(kit_subject *c)
{
    if (!kit_has(c, WEIR_CAP_ATOMIC_BATCH))
        return kit_fail(c, "expected the capability 'atomic batch', without which no database "
                           "is opened; seen: not claimed");
    return true;
}

/* ------------------------------------------------------------- keys and values */

static bool an_absent_key_is_not_found(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    CHECK(cf != NULL);
    MUST(holds(c, cf, "a", NULL));
    EXPECT(WEIR_OK, put(c, cf, "ab", "1"));
    MUST(holds(c, cf, "a", NULL));
    MUST(holds(c, cf, "abc", NULL));
    return true;
}

static bool what_was_put_is_read_and_what_was_deleted_is_not(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    EXPECT(WEIR_OK, put(c, cf, "a", "1"));
    MUST(holds(c, cf, "a", "1"));
    EXPECT(WEIR_OK, put(c, cf, "a", "two"));
    MUST(holds(c, cf, "a", "two"));
    EXPECT(WEIR_OK, erase(c, cf, "a"));
    MUST(holds(c, cf, "a", NULL));
    EXPECT(WEIR_OK, erase(c, cf, "a"));
    EXPECT(WEIR_OK, put(c, cf, "a", ""));
    MUST(holds(c, cf, "a", ""));
    return true;
}

static bool keys_may_be_empty_and_hold_any_bytes(kit_subject *c)
{
    /* In the order in which they must come. */
    static const weir_slice keys[] = {
        {"", 0},         {"\x00", 1},     {"\x00\x00", 2},     {"\x00\x01", 2}, {"\x00\xFF", 2},
        {"\x01", 1},     {"a", 1},        {"a\x00", 2},        {"a\x00z", 3},   {"a\xFF", 2},
        {"b", 1},        {"\x7F", 1},     {"\x80", 1},         {"\xFF", 1},     {"\xFF\x00", 2},
        {"\xFF\xFE", 2}, {"\xFF\xFF", 2}, {"\xFF\xFF\xFF", 3},
    };
    const size_t count = sizeof keys / sizeof keys[0];
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    for (size_t i = 0; i < count; i++) {
        /* 7 and the count have no common divisor: all keys, in a mixed order. */
        weir_backend_op op = put_op(cf, keys[i * 7 % count], keys[i * 7 % count]);
        EXPECT(WEIR_OK, write_ops(c, &op, 1));
    }
    for (size_t i = 0; i < count; i++)
        MUST(holds_bytes(c, cf, NULL, keys[i], &keys[i]));
    for (int reverse = 0; reverse < directions(c); reverse++) {
        weir_backend_iter *iter = iterate(c, cf, NULL, NULL, reverse != 0, NULL);
        CHECK(iter != NULL);
        for (size_t i = 0; i < count; i++) {
            weir_slice key;
            weir_slice value;
            EXPECT(WEIR_OK, c->backend->iter_next(iter, &key, &value, &c->err));
            CHECK(weir_slice_equal(key, keys[reverse != 0 ? count - 1 - i : i]));
            CHECK(weir_slice_equal(value, key));
        }
        c->backend->iter_close(iter);
    }
    return true;
}

#define LONG_KEY   65535u
#define LARGE_SIZE ((size_t)8 << 20)

static bool write_long_and_large(kit_subject *c, uint8_t *key, uint8_t *value)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    /* The host needs two bytes of a key where it emulates column families. */
    size_t key_size = c->through_host ? LONG_KEY - 2 : LONG_KEY;
    memset(key, 0xEE, key_size);
    for (size_t i = 0; i < LARGE_SIZE; i++)
        value[i] = (uint8_t)(i * 31 >> 3);
    weir_slice large = weir_slice_of(value, LARGE_SIZE);
    weir_slice shorter = str("shorter");
    weir_backend_op ops[] = {
        put_op(cf, weir_slice_of(key, key_size), large),
        put_op(cf, weir_slice_of(key, key_size - 1), shorter),
    };
    EXPECT(WEIR_OK, write_ops(c, ops, 2));
    MUST(holds_bytes(c, cf, NULL, ops[0].key, &large));
    MUST(holds_bytes(c, cf, NULL, ops[1].key, &shorter));
    weir_backend_op gone = delete_op(cf, ops[0].key);
    EXPECT(WEIR_OK, write_ops(c, &gone, 1));
    MUST(holds_bytes(c, cf, NULL, ops[0].key, NULL));
    MUST(holds_bytes(c, cf, NULL, ops[1].key, &shorter));
    return true;
}

static bool long_keys_and_large_values_come_back_whole(kit_subject *c)
{
    uint8_t *key = malloc(LONG_KEY);
    uint8_t *value = malloc(LARGE_SIZE);
    bool is_right = key != NULL && value != NULL && write_long_and_large(c, key, value);
    free(key);
    free(value);
    return is_right;
}

static bool a_value_stays_valid_until_it_is_released(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_value first;
    weir_backend_value second;
    EXPECT(WEIR_OK, put(c, cf, "a", "old"));
    EXPECT(WEIR_OK, c->backend->get(c->db, cf, NULL, str("a"), &first, &c->err));
    EXPECT(WEIR_OK, c->backend->get(c->db, cf, NULL, str("a"), &second, &c->err));
    EXPECT(WEIR_OK, put(c, cf, "a", "new"));
    EXPECT(WEIR_OK, erase(c, cf, "a"));
    CHECK(weir_slice_equal(weir_slice_of(first.data, first.size), str("old")));
    c->backend->value_release(c->db, &first);
    CHECK(weir_slice_equal(weir_slice_of(second.data, second.size), str("old")));
    c->backend->value_release(c->db, &second);
    MUST(holds(c, cf, "a", NULL));
    return true;
}

static bool multi_get_tells_each_key_by_itself(kit_subject *c)
{
    enum { COUNT = 5 };
    if (c->backend->multi_get == NULL)
        return kit_skip(c, "multi_get is left out, which is allowed");
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    const weir_slice keys[COUNT] = {str("b"), str("missing"), str("a"), str(""), str("b")};
    weir_backend_value values[COUNT];
    weir_status statuses[COUNT];
    EXPECT(WEIR_OK, put(c, cf, "a", "1"));
    EXPECT(WEIR_OK, put(c, cf, "b", "2"));
    EXPECT(WEIR_OK, c->backend->multi_get(c->db, cf, NULL, keys, COUNT, values, statuses, &c->err));
    const char *expected[COUNT] = {"2", NULL, "1", NULL, "2"};
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(statuses[i] == (expected[i] != NULL ? WEIR_OK : WEIR_NOT_FOUND));
        if (expected[i] == NULL)
            continue;
        CHECK(weir_slice_equal(weir_slice_of(values[i].data, values[i].size), str(expected[i])));
        c->backend->value_release(c->db, &values[i]);
    }
    EXPECT(WEIR_OK, c->backend->multi_get(c->db, cf, NULL, keys, 0, values, statuses, &c->err));
    return true;
}

/* -------------------------------------------------------------------- batches */

static bool the_last_change_of_a_key_in_a_batch_wins(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    EXPECT(WEIR_OK, put(c, cf, "c", "before"));
    weir_backend_op ops[] = {
        put_op(cf, str("a"), str("1")), put_op(cf, str("a"), str("2")),
        put_op(cf, str("b"), str("1")), delete_op(cf, str("b")),
        delete_op(cf, str("c")),        put_op(cf, str("c"), str("after")),
        delete_op(cf, str("d")),
    };
    EXPECT(WEIR_OK, write_ops(c, ops, sizeof ops / sizeof ops[0]));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=2 c=after "));
    EXPECT(WEIR_OK, write_ops(c, NULL, 0));
    EXPECT(WEIR_OK, c->backend->write(c->db, ops, 1, WEIR_WRITE_SYNC, &c->err));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 c=after "));
    return true;
}

static bool keys_and_values_of_a_batch_are_copied(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    char key[] = "key";
    char value[] = "value";
    weir_backend_op op = put_op(cf, str(key), str(value));
    EXPECT(WEIR_OK, write_ops(c, &op, 1));
    memset(key, 'x', sizeof key - 1);
    memset(value, 'x', sizeof value - 1);
    MUST(reads(c, cf, NULL, NULL, false, NULL, "key=value "));
    return true;
}

/* What is beyond a limit may be refused; then nothing of its batch is there. */
static bool a_refused_batch_leaves_nothing(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    char *key = calloc(1, 70000);
    CHECK(key != NULL);
    weir_backend_op ops[] = {
        put_op(cf, str("before"), str("1")),
        put_op(cf, weir_slice_of(key, 70000), str("2")),
        put_op(cf, str("after"), str("3")),
    };
    weir_status status = write_ops(c, ops, 3);
    bool is_right = status == WEIR_OK ? holds(c, cf, "before", "1") && holds(c, cf, "after", "3")
                                      : holds(c, cf, "before", NULL) && holds(c, cf, "after", NULL);
    free(key);
    return is_right;
}

/* ------------------------------------------------------------------ reopening */

static bool reopening_keeps_what_was_written(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    EXPECT(WEIR_OK, c->backend->flush(c->db, &c->err));
    EXPECT(WEIR_OK, put(c, cf, "after", "flush"));
    EXPECT(WEIR_OK, erase(c, cf, "c"));
    for (int round = 0; round < 2; round++) {
        EXPECT(WEIR_OK, reopen(c));
        cf = family(c, WEIR_BACKEND_DEFAULT_CF);
        MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 after=flush b=2 d=4 e=5 "));
    }
    return true;
}

static bool a_database_is_made_only_when_asked(kit_subject *c)
{
    EXPECT(WEIR_NOT_FOUND, c->open(c, 0));
    CHECK(c->db == NULL);
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_CREATE));
    EXPECT(WEIR_OK, put(c, family(c, WEIR_BACKEND_DEFAULT_CF), "a", "1"));
    EXPECT(WEIR_OK, c->close(c));
    EXPECT(WEIR_OK, c->open(c, 0));
    MUST(holds(c, family(c, WEIR_BACKEND_DEFAULT_CF), "a", "1"));
    return true;
}

static bool a_read_only_database_is_read_and_not_written(kit_subject *c)
{
    if (c->through_host)
        return kit_skip(c, "checked on the bare backend");
    EXPECT(WEIR_OK, put(c, family(c, WEIR_BACKEND_DEFAULT_CF), "a", "1"));
    EXPECT(WEIR_OK, c->close(c));
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_READ_ONLY));
    weir_backend_cf *cf = NULL;
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, WEIR_BACKEND_DEFAULT_CF, false, &cf, &c->err));
    EXPECT(WEIR_UNSUPPORTED, put(c, cf, "b", "2"));
    if (c->err.status != WEIR_UNSUPPORTED || c->err.message[0] == '\0')
        return kit_fail(c,
                        "expected a refused write to fill the error with its status and a "
                        "message; seen %s '%s'",
                        weir_status_name(c->err.status), c->err.message);
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 "));
    EXPECT(WEIR_OK, reopen(c));
    MUST(reads(c, family(c, WEIR_BACKEND_DEFAULT_CF), NULL, NULL, false, NULL, "a=1 "));
    return true;
}

static bool make_file(const char *folder, const char *name)
{
    char path[KIT_LOCATION_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    return fd >= 0 && close(fd) == 0;
}

static bool file_is_there(const char *folder, const char *name)
{
    char path[KIT_LOCATION_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static bool destroy_removes_the_database_and_nothing_else(kit_subject *c)
{
    if (c->through_host)
        return kit_skip(c, "checked on the bare backend");
    bool local = strstr(c->location, "://") == NULL;
    EXPECT(WEIR_OK, c->close(c));
    CHECK(!local || (make_file(c->location, "weir.kit") && make_file(c->location, "someones")));
    EXPECT(WEIR_OK, c->destroy(c));
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_CREATE));
    EXPECT(WEIR_OK, put(c, family(c, WEIR_BACKEND_DEFAULT_CF), "a", "1"));
    EXPECT(WEIR_OK, c->close(c));
    EXPECT(WEIR_OK, c->destroy(c));
    if (local &&
        (!file_is_there(c->location, "weir.kit") || !file_is_there(c->location, "someones")))
        return kit_fail(c, "expected files that are not the backend's to stay; seen: removed");
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_CREATE));
    MUST(reads(c, family(c, WEIR_BACKEND_DEFAULT_CF), NULL, NULL, false, NULL, ""));
    return true;
}

static bool a_checkpoint_is_a_database_of_its_own(kit_subject *c)
{
    if (c->through_host)
        return kit_skip(c, "checked on the bare backend");
    if (c->backend->checkpoint == NULL)
        return kit_skip(c, "checkpoint is left out, which is allowed");
    char original[KIT_LOCATION_SIZE];
    char copy[KIT_LOCATION_SIZE + 8];
    snprintf(original, sizeof original, "%s", c->location);
    snprintf(copy, sizeof copy, "%s-copy", c->location);
    MUST(fill_five(c, family(c, WEIR_BACKEND_DEFAULT_CF)));
    weir_status status = c->backend->checkpoint(c->db, copy, &c->err);
    if (status == WEIR_UNSUPPORTED)
        return kit_skip(c, "checkpoint says that it is not supported here");
    EXPECT(WEIR_OK, status);
    EXPECT(WEIR_OK, put(c, family(c, WEIR_BACKEND_DEFAULT_CF), "z", "later"));
    EXPECT(WEIR_OK, c->close(c));
    snprintf(c->location, sizeof c->location, "%s", copy);
    EXPECT(WEIR_OK, c->open(c, 0));
    MUST(reads(c, family(c, WEIR_BACKEND_DEFAULT_CF), NULL, NULL, false, NULL,
               "a=1 b=2 c=3 d=4 e=5 "));
    EXPECT(WEIR_OK, put(c, family(c, WEIR_BACKEND_DEFAULT_CF), "y", "in the copy"));
    EXPECT(WEIR_OK, c->close(c));
    EXPECT(WEIR_OK, c->destroy(c));
    snprintf(c->location, sizeof c->location, "%s", original);
    EXPECT(WEIR_OK, c->open(c, 0));
    MUST(reads(c, family(c, WEIR_BACKEND_DEFAULT_CF), NULL, NULL, false, NULL,
               "a=1 b=2 c=3 d=4 e=5 z=later "));
    return true;
}

/* ------------------------------------------------------------- against a model */

#define MODEL_KEYS  600
#define MODEL_STEPS 300

/* The value of each possible key: 0 is absent. */
typedef struct model {
    uint32_t values[MODEL_KEYS];
} model;

static weir_slice model_key(char *out, size_t size, int i)
{
    /* Of different lengths, in the order of i. */
    return weir_slice_of(
        out, (size_t)snprintf(out, size, "%03d%.*s", i, i % 23, "abcdefghijklmnopqrstuvw"));
}

static bool model_range(kit_subject *c, weir_backend_cf *cf, const model *m, uint64_t *random)
{
    char lower[64];
    char upper[64];
    int low = (int)(random_next(random) % MODEL_KEYS);
    int high = (int)(random_next(random) % MODEL_KEYS);
    bool reverse = random_next(random) % 2 != 0 && kit_has(c, WEIR_CAP_REVERSE_ITERATION);
    bool bounded = kit_has(c, WEIR_CAP_BOUNDED_ITERATION);
    if (!bounded) {
        low = 0;
        high = MODEL_KEYS;
    }
    model_key(lower, sizeof lower, low);
    model_key(upper, sizeof upper, high);
    weir_backend_iter *iter =
        iterate(c, cf, bounded ? lower : NULL, bounded ? upper : NULL, reverse, NULL);
    CHECK(iter != NULL);
    weir_slice key;
    weir_slice value;
    for (int n = 0; n < high - low; n++) {
        int i = reverse ? high - 1 - n : low + n;
        char text[64];
        if (m->values[i] == 0)
            continue;
        EXPECT(WEIR_OK, c->backend->iter_next(iter, &key, &value, &c->err));
        CHECK(weir_slice_equal(key, model_key(text, sizeof text, i)));
        CHECK(weir_slice_equal(value, weir_slice_of(&m->values[i], sizeof m->values[i])));
    }
    EXPECT(WEIR_NOT_FOUND, c->backend->iter_next(iter, &key, &value, &c->err));
    c->backend->iter_close(iter);
    return true;
}

static bool model_batch(kit_subject *c, weir_backend_cf *cf, model *m, int step, uint64_t *random)
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
        ops[i] = deleted ? delete_op(cf, key)
                         : put_op(cf, key, weir_slice_of(&values[i], sizeof values[i]));
        m->values[which] = deleted ? 0 : values[i];
    }
    EXPECT(WEIR_OK, write_ops(c, ops, count));
    return true;
}

static bool random_changes_match_a_model(kit_subject *c)
{
    weir_backend_cf *cf = family(c, "model");
    weir_backend_cf *other = kit_has(c, WEIR_CAP_COLUMN_FAMILIES) ? family(c, "other") : NULL;
    uint64_t random = c->seed;
    model m;
    memset(&m, 0, sizeof m);
    MUST(other == NULL || fill_five(c, other));
    for (int step = 0; step < MODEL_STEPS; step++) {
        char text[64];
        MUST(model_batch(c, cf, &m, step, &random));
        MUST(model_range(c, cf, &m, &random));
        int which = (int)(random_next(&random) % MODEL_KEYS);
        weir_slice value = weir_slice_of(&m.values[which], sizeof m.values[which]);
        MUST(holds_bytes(c, cf, NULL, model_key(text, sizeof text, which),
                         m.values[which] != 0 ? &value : NULL));
    }
    MUST(other == NULL || reads(c, other, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

/* ---------------------------------------------------------------------- others */

static void count_figure(const char *name, uint64_t value, void *arg)
{
    (void)value;
    *(size_t *)arg += name != NULL && name[0] != '\0' ? 1 : 0;
}

static bool optional_methods_answer(kit_subject *c)
{
    size_t figures = 0;
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    if (c->backend->stats != NULL) {
        weir_status status = c->backend->stats(c->db, count_figure, &figures, &c->err);
        CHECK(status == WEIR_UNSUPPORTED || (status == WEIR_OK && figures > 0));
    }
    if (c->backend->compact != NULL) {
        weir_status status = c->backend->compact(c->db, cf, str(""), str(""), &c->err);
        CHECK(status == WEIR_UNSUPPORTED || status == WEIR_OK);
    }
    if (c->backend->control != NULL)
        EXPECT(WEIR_UNSUPPORTED, c->backend->control(c->db, "no.such.operation", NULL, &c->err));
    EXPECT(WEIR_OK, c->backend->flush(c->db, &c->err));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

const kit_check kit_core_checks[] = {
    CASE(atomic_batches_are_claimed, KIT_CORE, 0),
    CASE(an_absent_key_is_not_found, KIT_CORE, 0),
    CASE(what_was_put_is_read_and_what_was_deleted_is_not, KIT_CORE, 0),
    CASE(keys_may_be_empty_and_hold_any_bytes, KIT_CORE, 0),
    CASE(long_keys_and_large_values_come_back_whole, KIT_CORE, 0),
    CASE(a_value_stays_valid_until_it_is_released, KIT_CORE, 0),
    CASE(multi_get_tells_each_key_by_itself, KIT_CORE, 0),
    CASE(the_last_change_of_a_key_in_a_batch_wins, KIT_CORE, 0),
    CASE(keys_and_values_of_a_batch_are_copied, KIT_CORE, 0),
    CASE(a_refused_batch_leaves_nothing, KIT_CORE, 0),
    CASE(reopening_keeps_what_was_written, KIT_CORE, WEIR_CAP_PERSISTENT),
    CLOSED_CASE(a_database_is_made_only_when_asked, KIT_CORE, WEIR_CAP_PERSISTENT),
    CASE(a_read_only_database_is_read_and_not_written, KIT_CORE, WEIR_CAP_PERSISTENT),
    CASE(destroy_removes_the_database_and_nothing_else, KIT_CORE, 0),
    CASE(a_checkpoint_is_a_database_of_its_own, KIT_CORE, WEIR_CAP_PERSISTENT),
    CASE(random_changes_match_a_model, KIT_CORE, 0),
    CASE(optional_methods_answer, KIT_CORE, 0),
    {NULL, KIT_CORE, 0, NULL, false},
};
