/*
 * Random operations on a windowed store against a model that is too simple to be wrong: plain
 * arrays of windows and collected values, searched from one end to the other. A run prints
 * its seed; WEIR_SEED=… repeats that one alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_model.h"
#include "state/support_window.h"

#define OPERATIONS 100000
#define KEYS       7
#define TIMES      60  /* starts; small, so that things meet */
#define WINDOWS    200 /* beyond, the first is deleted */
#define VALUES     200
#define NONE       INT64_MIN
#define TEXT_MAX   (1 << 16)

static const char *const keys[KEYS] = {"", "a", "a|", "a|b", "|", "b", "\xff"};

typedef struct window {
    int key;
    int64_t start;
    int64_t end;
    uint32_t value;
} window;

typedef struct value {
    int key;
    int64_t id;
    uint32_t value; /* rises with the numbers */
} value;

typedef struct content {
    window windows[WINDOWS]; /* by start, end, key */
    size_t window_count;
    value values[VALUES]; /* by id, then as they came */
    size_t value_count;
    int64_t latest[KEYS];
    int64_t expired[KEYS];
    int64_t deleted[KEYS];
    int64_t value_mark[KEYS];
} content;

typedef struct model {
    harness h;
    test_random random;
    content committed;
    content current;
    weir_txn *txn;
    uint32_t last_value;
    int64_t source;
    size_t operation;
    uint32_t reopen_one_in;
    int64_t now; /* times lie around it, and it moves on */
    char text[TEXT_MAX];
    size_t text_size;
} model;

static uint32_t below(model *m, uint32_t bound)
{
    return test_random_below(&m->random, bound);
}

static bool one_in(model *m, uint32_t n)
{
    return below(m, n) == 0;
}

/* --- What the model expects, as the text that support_window makes --- */

static void begin_text(model *m)
{
    m->text_size = 0;
    m->text[0] = '\0';
}

static void add(model *m, const char *format, ...) WEIR_PRINTF(2, 3);
static void add(model *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(m->text + m->text_size, TEXT_MAX - m->text_size, format, args);
    va_end(args);
    assert_true(size >= 0 && (size_t)size < TEXT_MAX - m->text_size);
    m->text_size += (size_t)size;
}

static void check(model *m, const char *got, const char *what)
{
    if (strcmp(got, m->text) != 0)
        fail_msg("operation %zu, %s: expected\n%s\ngot\n%s", m->operation, what, m->text, got);
}

static void add_values(model *m, int key, int64_t from, int64_t to, const char *open,
                       const char *close)
{
    bool is_first = true;
    for (size_t i = 0; i < m->current.value_count; i++) {
        const value *v = &m->current.values[i];
        if (v->key != key || v->id < from || v->id >= to)
            continue;
        add(m, "%s%" PRIu32, is_first ? open : ",", v->value);
        is_first = false;
    }
    if (!is_first)
        add(m, "%s", close);
}

static void add_window(model *m, const window *w, bool with_key, uint32_t flags)
{
    if (m->text_size > 0)
        add(m, " ");
    if (with_key)
        add(m, "%s:", keys[w->key]);
    add(m, "%" PRId64 "-%" PRId64 "=%" PRIu32, w->start, w->end, w->value);
    if (flags & WEIR_EXPIRE_COLLECT)
        add_values(m, w->key, w->start, w->end + !!(flags & WEIR_EXPIRE_END_INCLUSIVE), "[", "]");
}

/* --- The content --- */

static int compare(const window *a, const window *b)
{
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return a->key - b->key;
}

static void put_window(content *c, window w)
{
    size_t at = 0;
    while (at < c->window_count && compare(&c->windows[at], &w) < 0)
        at++;
    if (at == c->window_count || compare(&c->windows[at], &w) != 0) {
        assert_true(c->window_count < WINDOWS);
        memmove(&c->windows[at + 1], &c->windows[at], (c->window_count - at) * sizeof w);
        c->window_count++;
    }
    c->windows[at] = w;
}

static void drop_window(content *c, const window *w)
{
    for (size_t at = 0; at < c->window_count; at++) {
        if (compare(&c->windows[at], w) != 0)
            continue;
        c->window_count--;
        memmove(&c->windows[at], &c->windows[at + 1], (c->window_count - at) * sizeof *w);
        return;
    }
}

/* Values with from ≤ id < to; the mark follows. */
static void drop_values(content *c, int key, int64_t from, int64_t to)
{
    size_t left = 0;
    int64_t last = NONE;
    for (size_t i = 0; i < c->value_count; i++) {
        const value *v = &c->values[i];
        if (v->key == key && v->id >= from && v->id < to)
            last = v->id;
        else
            c->values[left++] = *v;
    }
    c->value_count = left;
    if (last != NONE)
        c->value_mark[key] = last;
}

static void drop_old_values(content *c, int key, int64_t to)
{
    drop_values(c, key, c->value_mark[key] > 0 ? c->value_mark[key] : 0, to);
}

/* --- Operations --- */

static int64_t some_time(model *m)
{
    int64_t time = m->now + (int64_t)below(m, TIMES) - TIMES / 2;
    return time < 0 ? 0 : time;
}

static window some_window(model *m)
{
    int64_t start = some_time(m);
    if (one_in(m, 2))
        start -= start % 4; /* so that it has been here before */
    return (window){.key = (int)below(m, KEYS),
                    .start = start,
                    .end = start + (one_in(m, 3) ? 1 + (int64_t)below(m, 12) : 4),
                    .value = ++m->last_value};
}

static void update(model *m)
{
    window w = some_window(m);
    char text[16];
    content *c = &m->current;
    int64_t timestamp = one_in(m, 4) ? some_time(m) : w.start;
    if (c->window_count == WINDOWS) {
        window first = c->windows[0];
        window_delete(m->txn, keys[first.key], first.start, first.end);
        drop_window(c, &first);
    }
    snprintf(text, sizeof text, "%" PRIu32, w.value);
    if (one_in(m, 2)) /* as a program does it */
        window_get(m->txn, keys[w.key], w.start, w.end);
    weir_txn_expect(m->txn, weir_slice_str(keys[(w.key + 1) % KEYS]));
    window_update(m->txn, keys[w.key], w.start, w.end, text, timestamp);
    put_window(c, w);
    if (timestamp > c->latest[w.key])
        c->latest[w.key] = timestamp;
}

static void delete_one(model *m)
{
    window w = some_window(m);
    if (m->current.window_count > 0 && !one_in(m, 4))
        w = m->current.windows[below(m, (uint32_t)m->current.window_count)];
    window_delete(m->txn, keys[w.key], w.start, w.end);
    drop_window(&m->current, &w);
}

static void get(model *m)
{
    window w = some_window(m);
    begin_text(m);
    for (size_t i = 0; i < m->current.window_count; i++)
        if (compare(&m->current.windows[i], &w) == 0)
            add(m, "%" PRIu32, m->current.windows[i].value);
    check(m, window_get(m->txn, keys[w.key], w.start, w.end), "get");
    assert_true(window_latest(m->txn, keys[w.key]) ==
                (m->current.latest[w.key] == NONE ? -1 : m->current.latest[w.key]));
}

static void range_of(model *m, int key, int64_t from, int64_t to, bool backward)
{
    const content *c = &m->current;
    begin_text(m);
    for (size_t i = 0; i < c->window_count; i++) {
        const window *w = &c->windows[backward ? c->window_count - 1 - i : i];
        if (w->key == key && w->start > from && w->start <= to)
            add_window(m, w, false, 0);
    }
    check(m, window_range(m->txn, keys[key], from, to, backward), "range");
}

static void range(model *m)
{
    int64_t from = one_in(m, 3) ? -1 : some_time(m) - 1;
    int64_t to = one_in(m, 3) ? INT64_MAX : some_time(m);
    range_of(m, (int)below(m, KEYS), from, to, one_in(m, 2));
}

static uint32_t some_flags(model *m)
{
    static const uint32_t flags[] = {0,
                                     0,
                                     0,
                                     WEIR_EXPIRE_COLLECT,
                                     WEIR_EXPIRE_KEEP,
                                     WEIR_EXPIRE_COLLECT | WEIR_EXPIRE_END_INCLUSIVE,
                                     WEIR_EXPIRE_COLLECT | WEIR_EXPIRE_KEEP};
    return flags[below(m, sizeof flags / sizeof *flags)];
}

/* The first window of a key after its mark of expiry, and with an end beyond another. The mark of
 * the empty key is of ends too, where all keys are closed. */
static int64_t first_window(const content *c, int key, int64_t mark_of_ends)
{
    for (size_t i = 0; i < c->window_count; i++) {
        const window *w = &c->windows[i];
        bool is_after = w->start > c->expired[key] || (key == 0 && mark_of_ends != NONE);
        if (w->key == key && is_after && w->end > mark_of_ends)
            return w->start;
    }
    return INT64_MAX;
}

static void drop_values_of(content *c, const window *w, int64_t mark_of_ends, uint32_t flags)
{
    int64_t to = first_window(c, w->key, mark_of_ends);
    if (to == INT64_MAX)
        to = w->end + !!(flags & WEIR_EXPIRE_END_INCLUSIVE);
    drop_old_values(c, w->key, to);
}

static void expire(model *m)
{
    static window found[WINDOWS];
    content *c = &m->current;
    size_t count = 0;
    int key = (int)below(m, KEYS);
    int64_t max_start = some_time(m) - (one_in(m, 8) ? 0 : TIMES / 3);
    uint32_t flags = some_flags(m);
    begin_text(m);
    for (size_t i = 0; i < c->window_count; i++) {
        const window *w = &c->windows[i];
        if (w->key != key || w->start <= c->expired[key] || w->start > max_start)
            continue;
        found[count++] = *w;
        add_window(m, w, false, flags);
    }
    check(m, window_expire(m->txn, keys[key], max_start, flags), "expire");
    if (count == 0)
        return;
    c->expired[key] = found[count - 1].start;
    for (size_t i = 0; i < count && !(flags & WEIR_EXPIRE_KEEP); i++)
        drop_window(c, &found[i]);
    if ((flags & WEIR_EXPIRE_COLLECT) && !(flags & WEIR_EXPIRE_KEEP))
        drop_values_of(c, &found[count - 1], NONE, flags);
}

static int by_end(const void *a, const void *b)
{
    const window *x = a;
    const window *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return strcmp(keys[x->key], keys[y->key]);
}

static int64_t grid(int64_t expired, int64_t max_end, int64_t step)
{
    int64_t mark = expired == NONE ? 0 : expired;
    while (mark + step <= max_end)
        mark += step;
    while (expired == NONE && mark > max_end)
        mark -= step;
    return mark;
}

static void expire_all(model *m)
{
    static window found[WINDOWS];
    content *c = &m->current;
    size_t count = 0;
    int64_t max_end = some_time(m) - TIMES / 3;
    int64_t step = 1 + (int64_t)below(m, 6);
    int64_t expired = c->expired[0];
    uint32_t flags = some_flags(m);
    for (size_t i = 0; i < c->window_count; i++)
        if (c->windows[i].end <= max_end && (expired <= 0 || c->windows[i].end > expired))
            found[count++] = c->windows[i];
    qsort(found, count, sizeof *found, by_end);
    begin_text(m);
    for (size_t i = 0; i < count; i++)
        add_window(m, &found[i], true, flags);
    check(m, window_expire_all(m->txn, max_end, step, flags), "expire_all");
    int64_t mark = grid(expired, max_end, step);
    if (count > 0 && found[count - 1].end > mark)
        mark = found[count - 1].end;
    c->expired[0] = mark;
    for (size_t i = 0; i < count && !(flags & WEIR_EXPIRE_KEEP); i++)
        drop_window(c, &found[i]);
    for (size_t i = 0; i < count; i++)
        if ((flags & WEIR_EXPIRE_COLLECT) && !(flags & WEIR_EXPIRE_KEEP))
            drop_values_of(c, &found[i], mark, flags);
}

static void delete_until(model *m)
{
    content *c = &m->current;
    int key = (int)below(m, KEYS);
    int64_t max_start = some_time(m) - TIMES / 2;
    bool with_values = one_in(m, 2);
    int64_t last = NONE;
    for (size_t i = 0; i < c->window_count;) {
        window w = c->windows[i];
        bool is_old = w.key == key && w.start <= max_start &&
                      w.start > (c->deleted[key] == NONE ? -1 : c->deleted[key]);
        if (is_old) {
            last = w.start;
            drop_window(c, &w);
        } else {
            i++;
        }
    }
    if (last > 0)
        c->deleted[key] = last;
    if (with_values)
        drop_old_values(c, key, max_start);
    window_delete_until(m->txn, keys[key], max_start, with_values);
}

static void delete_values_of(model *m, int key, const int64_t *from, int64_t to)
{
    weir_error err;
    weir_state *view = window_state(m->txn, weir_slice_str(keys[key]));
    assert_ok(weir_window_delete_collected(view, from, to, &err), err);
    if (from)
        drop_values(&m->current, key, *from, to);
    else
        drop_old_values(&m->current, key, to);
}

static void collect(model *m)
{
    content *c = &m->current;
    value v = {.key = (int)below(m, KEYS), .id = some_time(m), .value = ++m->last_value};
    char text[16];
    if (c->value_count == VALUES) {
        value first = c->values[0];
        delete_values_of(m, first.key, &first.id, first.id + 1);
    }
    snprintf(text, sizeof text, "%" PRIu32, v.value);
    window_collect(m->txn, keys[v.key], v.id, text);
    size_t at = c->value_count;
    while (at > 0 && c->values[at - 1].id > v.id)
        at--;
    memmove(&c->values[at + 1], &c->values[at], (c->value_count - at) * sizeof v);
    c->values[at] = v;
    c->value_count++;
    if (v.id < c->value_mark[v.key])
        c->value_mark[v.key] = v.id;
}

static void collected(model *m)
{
    int key = (int)below(m, KEYS);
    int64_t from = some_time(m);
    int64_t to = from + (int64_t)below(m, 20) - 2;
    begin_text(m);
    add_values(m, key, from, to, "", "");
    check(m, window_collected(m->txn, keys[key], from, to), "collected");
}

static void delete_collected(model *m)
{
    int key = (int)below(m, KEYS);
    int64_t from = some_time(m);
    int64_t to = some_time(m) - TIMES / 4;
    bool has_from = one_in(m, 3);
    delete_values_of(m, key, has_from ? &from : NULL, to);
}

static void set_mark(model *m)
{
    weir_error err;
    int key = (int)below(m, KEYS);
    int64_t mark = some_time(m) - TIMES / 2;
    weir_state *view = window_state(m->txn, weir_slice_str(keys[key]));
    assert_ok(weir_window_set_expired_until(view, mark, &err), err);
    m->current.expired[key] = mark;
}

/* --- Checkpoints --- */

static void check_all(model *m)
{
    for (int key = 0; key < KEYS; key++) {
        range_of(m, key, -1, INT64_MAX, false);
        begin_text(m);
        add_values(m, key, 0, INT64_MAX, "", "");
        check(m, window_collected(m->txn, keys[key], 0, INT64_MAX), "all values");
    }
}

static void commit(model *m)
{
    harness_commit(&m->h, m->txn, m->source++);
    m->committed = m->current;
    m->txn = harness_begin(&m->h);
}

static void abandon(model *m)
{
    weir_txn_free(m->txn);
    m->current = m->committed;
    m->txn = harness_begin(&m->h);
}

static void restart(model *m)
{
    weir_txn_free(m->txn);
    m->current = m->committed;
    harness_reopen(&m->h);
    harness_recover(&m->h, WEIR_OFFSET_NONE);
    m->txn = harness_begin(&m->h);
    check_all(m);
}

static void operate(model *m)
{
    static void (*const operations[])(model *) = {
        update,     update,       update,  update,    update, update,
        delete_one, get,          range,   expire,    expire, expire_all,
        collect,    collect,      collect, collected, update, expire_all,
        set_mark,   delete_until, expire,  collected, update, delete_collected,
    };
    if (one_in(m, 200))
        commit(m);
    else if (one_in(m, 2000))
        abandon(m);
    else if (one_in(m, m->reopen_one_in))
        restart(m);
    else if (one_in(m, 300))
        check_all(m);
    else
        operations[below(m, sizeof operations / sizeof *operations)](m);
    if (one_in(m, 20))
        m->now++;
}

static void run_model(const char *backend, uint64_t seed)
{
    static const size_t cache_sizes[] = {0, 8 << 10, 64 << 20};
    static model m;
    memset(&m, 0, sizeof m);
    m.random.state = seed;
    m.reopen_one_in = model_is_on_s3(backend) ? 500 : 10000;
    for (int key = 0; key < KEYS; key++)
        m.current.latest[key] = m.current.expired[key] = m.current.deleted[key] =
            m.current.value_mark[key] = NONE;
    m.committed = m.current;
    model_init(&m.h, backend);
    m.h.cache_bytes = cache_sizes[seed % 3];
    window_open(&m.h);
    m.txn = harness_begin(&m.h);
    /* Its iterators take their time over what was deleted. */
    size_t operations = model_is_on_s3(backend)           ? MODEL_S3_OPERATIONS
                        : strcmp(backend, "slatedb") == 0 ? OPERATIONS / 5
                                                          : OPERATIONS;
    for (m.operation = 1; m.operation <= operations; m.operation++)
        operate(&m);
    commit(&m);
    restart(&m);
    weir_txn_free(m.txn);
    harness_release(&m.h);
}

MODEL_TEST(memory, 3)
MODEL_TEST(rocksdb, 1)
MODEL_TEST(memory, 2)
MODEL_TEST(rocksdb, 2)
MODEL_TEST(lmdb, 2)
MODEL_TEST(slatedb, 2)
MODEL_TEST(s3, 2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_agrees_with_the_model_3),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_1),
        cmocka_unit_test(test_memory_agrees_with_the_model_2),
        cmocka_unit_test(test_rocksdb_agrees_with_the_model_2),
        cmocka_unit_test(test_lmdb_agrees_with_the_model_2),
        cmocka_unit_test(test_slatedb_agrees_with_the_model_2),
        cmocka_unit_test(test_s3_agrees_with_the_model_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
