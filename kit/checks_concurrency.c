/*
 * Checks of threads: readers beside a writer where that is claimed, and a database that moves
 * from one thread to another, which every backend must allow. See check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "check.h"

#define READERS        3
#define KEYS           24
#define READS_AT_LEAST 20
#define BATCHES_MAX    4000
#define DEADLINE_S     20

typedef struct reader {
    kit_subject view; /* its own note and error on the same database */
    weir_backend_cf *cf;
    atomic_bool *stop;
    _Atomic int reads;
    bool is_right;
    pthread_t thread;
} reader;

static weir_slice row_key(char *out, size_t size, int i)
{
    return weir_slice_of(out, (size_t)snprintf(out, size, "row-%02d", i));
}

static bool write_rows(kit_subject *c, weir_backend_cf *cf, int number)
{
    char keys[KEYS][16];
    char text[16];
    weir_backend_op ops[KEYS];
    snprintf(text, sizeof text, "%08d", number);
    for (int i = 0; i < KEYS; i++)
        ops[i] = put_op(cf, row_key(keys[i], sizeof keys[i], i), str(text));
    EXPECT(WEIR_OK, write_ops(c, ops, KEYS));
    return true;
}

static int number_of(weir_slice value)
{
    char text[16] = "";
    if (value.size < sizeof text)
        memcpy(text, value.data, value.size);
    return atoi(text);
}

/* One walk: the rows of one batch, all of them. *number [out]: which batch. */
static bool walk_rows(kit_subject *c, weir_backend_cf *cf, int *number)
{
    int rows = 0;
    weir_slice key;
    weir_slice value;
    weir_status status;
    *number = -1;
    weir_backend_iter *iter = iterate(c, cf, NULL, NULL, false, NULL);
    MUST(iter != NULL);
    while ((status = c->backend->iter_next(iter, &key, &value, &c->err)) == WEIR_OK) {
        int seen = number_of(value);
        if (*number >= 0 && seen != *number) {
            c->backend->iter_close(iter);
            return kit_fail(c,
                            "an iterator beside a writer: expected items of one batch, seen "
                            "batch %d and batch %d",
                            *number, seen);
        }
        *number = seen;
        rows++;
    }
    c->backend->iter_close(iter);
    EXPECT(WEIR_NOT_FOUND, status);
    CHECK(rows == KEYS);
    return true;
}

static bool get_row(kit_subject *c, weir_backend_cf *cf, int i, int *number)
{
    char key[16];
    weir_backend_value value;
    EXPECT(WEIR_OK, c->backend->get(c->db, cf, NULL, row_key(key, sizeof key, i), &value, &c->err));
    *number = number_of(weir_slice_of(value.data, value.size));
    c->backend->value_release(c->db, &value);
    return true;
}

static bool read_rows(reader *r)
{
    kit_subject *c = &r->view;
    int last = 0;
    for (int i = 0; !atomic_load(r->stop); i++) {
        int walked = 0;
        int got = 0;
        MUST(walk_rows(c, r->cf, &walked));
        MUST(get_row(c, r->cf, i % KEYS, &got));
        if (walked < last || got < walked)
            return kit_fail(c, "a reader went back in time: after batch %d it saw %d and then %d",
                            last, walked, got);
        last = got;
        atomic_fetch_add(&r->reads, 1);
    }
    return true;
}

static void *reader_main(void *arg)
{
    reader *r = arg;
    r->is_right = read_rows(r);
    return NULL;
}

static bool all_have_read(reader *readers)
{
    for (int i = 0; i < READERS; i++)
        if (atomic_load(&readers[i].reads) < READS_AT_LEAST)
            return false;
    return true;
}

/* Writes until every reader has read often enough, but not for ever. */
static bool write_beside(kit_subject *c, weir_backend_cf *cf, reader *readers)
{
    time_t end = time(NULL) + DEADLINE_S;
    for (int n = 2; n < BATCHES_MAX || !all_have_read(readers); n++) {
        MUST(write_rows(c, cf, n));
        if ((n % 100 == 0 && n >= 400 && all_have_read(readers)) || time(NULL) > end)
            break;
    }
    return true;
}

static bool readers_beside_a_writer_see_whole_batches(kit_subject *c)
{
    atomic_bool stop = false;
    reader readers[READERS];
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(write_rows(c, cf, 1));
    int started = 0;
    for (; started < READERS; started++) {
        reader *r = &readers[started];
        memset(r, 0, sizeof *r);
        r->view = *c;
        r->cf = cf;
        r->stop = &stop;
        if (pthread_create(&r->thread, NULL, reader_main, r) != 0)
            break;
    }
    bool is_right = started == READERS && write_beside(c, cf, readers);
    atomic_store(&stop, true);
    for (int i = 0; i < started; i++) {
        pthread_join(readers[i].thread, NULL);
        if (!readers[i].is_right)
            is_right = kit_fail(c, "%s", readers[i].view.note);
    }
    return is_right;
}

typedef struct stage {
    kit_subject *c;
    bool (*run)(kit_subject *c);
    bool is_right;
} stage;

static void *stage_main(void *arg)
{
    stage *s = arg;
    s->is_right = s->run(s->c);
    return NULL;
}

static bool in_thread(kit_subject *c, bool (*run)(kit_subject *c))
{
    stage s = {c, run, false};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, stage_main, &s) == 0);
    pthread_join(thread, NULL);
    return s.is_right;
}

static bool open_and_fill(kit_subject *c)
{
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_CREATE));
    return fill_five(c, family(c, WEIR_BACKEND_DEFAULT_CF));
}

static bool read_and_change(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    EXPECT(WEIR_OK, put(c, cf, "f", "6"));
    MUST(holds(c, cf, "f", "6"));
    return true;
}

static bool a_database_may_move_from_thread_to_thread(kit_subject *c)
{
    MUST(in_thread(c, open_and_fill));
    MUST(in_thread(c, read_and_change));
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    EXPECT(WEIR_OK, erase(c, cf, "a"));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "b=2 c=3 d=4 e=5 f=6 "));
    return true;
}

/* One moment, which the writer leaves behind; the writer does not notice. */
static bool read_beside(kit_subject *c, const char *expected, weir_backend_db *writer)
{
    weir_backend_cf *cf;
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_READ_ONLY));
    weir_backend_db *beside = c->db;
    EXPECT(WEIR_OK, c->backend->cf_open(beside, WEIR_BACKEND_DEFAULT_CF, false, &cf, &c->err));
    c->db = writer;
    EXPECT(WEIR_OK, put(c, family(c, WEIR_BACKEND_DEFAULT_CF), "a", "later"));
    EXPECT(WEIR_OK, c->backend->flush(writer, &c->err));
    c->db = beside;
    bool is_right = reads(c, cf, NULL, NULL, false, NULL, expected);
    EXPECT(WEIR_OK, c->close(c));
    c->db = writer;
    return is_right;
}

static bool a_reader_beside_a_writer_sees_one_moment(kit_subject *c)
{
    if (c->through_host)
        return kit_skip(c, "checked on the bare backend");
    weir_backend_db *writer = c->db;
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    MUST(fill_five(c, cf));
    EXPECT(WEIR_OK, c->backend->flush(writer, &c->err));
    MUST(read_beside(c, "a=1 b=2 c=3 d=4 e=5 ", writer));
    MUST(read_beside(c, "a=later b=2 c=3 d=4 e=5 ", writer));
    EXPECT(WEIR_OK, put(c, cf, "f", "6"));
    MUST(reads(c, cf, NULL, NULL, false, NULL, "a=later b=2 c=3 d=4 e=5 f=6 "));
    return true;
}

const kit_check kit_concurrency_checks[] = {
    CLOSED_CASE(a_database_may_move_from_thread_to_thread, KIT_CONCURRENCY, 0),
    CASE(readers_beside_a_writer_see_whole_batches, KIT_CONCURRENCY, WEIR_CAP_CONCURRENT_READERS),
    CASE(a_reader_beside_a_writer_sees_one_moment, KIT_CONCURRENCY,
         WEIR_CAP_READ_BESIDE_WRITER | WEIR_CAP_PERSISTENT),
    {NULL, KIT_CONCURRENCY, 0, NULL, false},
};
