/*
 * Scans and point reads of a local slatedb database, which merge tables with what is in no table
 * yet, beside a model: while memtables become tables and tables are merged under them, an iterator
 * shows the state as it was opened, forward and in reverse, and so does a snapshot; a point read
 * shows the state of now.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support_fixture.h"
#include "support_slatedb.h"

#define KEYS       1500
#define BATCHES    260
#define BATCH_KEYS 120
#define SCANS      5
#define READS      40

/* A table for every few batches, merged soon. */
static const weir_option options[] = {{"use_fsync", "false"},
                                      {"memtable_size", "128KiB"},
                                      {"max_unflushed", "8MiB"},
                                      {"manifest_poll_interval", "0.02"},
                                      {"block_cache_size", "300KiB"},
                                      {"min_filter_keys", "100"},
                                      {NULL, NULL}};

static unsigned seed;

static unsigned below(unsigned bound)
{
    return (unsigned)rand_r(&seed) % bound;
}

/* The number of the change that a key has now; 0: it is not there. */
typedef unsigned model[KEYS];

typedef struct running_scan {
    weir_backend_iter *iter; /* NULL: none */
    model seen;
    int next, end; /* the next key that may come, and one beyond the last; downwards in reverse */
    bool reverse;
} running_scan;

typedef struct subject {
    weir__database *database;
    const weir_backend *backend;
    weir_backend_db *db;
    weir_backend_cf *cf;
    model now;
    unsigned changes;
    running_scan scans[SCANS];
} subject;

static weir_slice key_of(int i, char room[32])
{
    snprintf(room, 32, "key-%06d", i);
    return weir_slice_str(room);
}

static weir_slice value_of(unsigned change, char room[96])
{
    snprintf(room, 96, "change-%080u", change);
    return weir_slice_str(room);
}

static void write_batch(subject *s)
{
    static char keys[BATCH_KEYS][32];
    static char values[BATCH_KEYS][96];
    weir_backend_op ops[BATCH_KEYS];
    for (int i = 0; i < BATCH_KEYS; i++) {
        int key = (int)below(KEYS);
        bool is_put = below(5) > 0;
        s->now[key] = is_put ? ++s->changes : 0;
        ops[i] = (weir_backend_op){.kind = is_put ? WEIR_OP_PUT : WEIR_OP_DELETE,
                                   .cf = s->cf,
                                   .key = key_of(key, keys[i])};
        if (is_put)
            ops[i].value = value_of(s->changes, values[i]);
    }
    assert_int_equal(s->backend->write(s->db, ops, BATCH_KEYS, 0, NULL), WEIR_OK);
}

/* --------------------------------------------------------------------------- scans */

static void open_scan(subject *s, running_scan *scan, weir_backend_snapshot *snapshot,
                      const unsigned *seen)
{
    char lower[32];
    char upper[32];
    int from = (int)below(KEYS);
    int to = from + 1 + (int)below((unsigned)(KEYS - from));
    scan->reverse = below(2) == 1;
    memcpy(scan->seen, seen, sizeof scan->seen);
    weir_backend_iter_args args = {.struct_size = sizeof args,
                                   .lower = key_of(from, lower),
                                   .upper = key_of(to, upper),
                                   .has_lower = true,
                                   .has_upper = true,
                                   .reverse = scan->reverse,
                                   .snapshot = snapshot};
    scan->next = scan->reverse ? to - 1 : from;
    scan->end = scan->reverse ? from - 1 : to;
    assert_int_equal(s->backend->iter_open(s->db, s->cf, &args, &scan->iter, NULL), WEIR_OK);
}

/* Reads up to `count` items and compares them; closes at the end. */
static void read_on(subject *s, running_scan *scan, int count)
{
    weir_slice key;
    weir_slice value;
    int step = scan->reverse ? -1 : 1;
    for (int i = 0; i < count; i++) {
        char expected_key[32];
        char expected_value[96];
        while (scan->next != scan->end && scan->seen[scan->next] == 0)
            scan->next += step;
        weir_status status = s->backend->iter_next(scan->iter, &key, &value, NULL);
        if (scan->next == scan->end) {
            assert_int_equal(status, WEIR_NOT_FOUND);
            s->backend->iter_close(scan->iter);
            scan->iter = NULL;
            return;
        }
        assert_int_equal(status, WEIR_OK);
        assert_true(weir_slice_equal(key, key_of(scan->next, expected_key)));
        assert_true(weir_slice_equal(value, value_of(scan->seen[scan->next], expected_value)));
        scan->next += step;
    }
}

/* --------------------------------------------------------------------------- point reads */

static void check_value(subject *s, unsigned change, weir_status status, weir_backend_value *value)
{
    char expected[96];
    assert_int_equal(status, change > 0 ? WEIR_OK : WEIR_NOT_FOUND);
    if (change == 0)
        return;
    assert_true(
        weir_slice_equal(weir_slice_of(value->data, value->size), value_of(change, expected)));
    s->backend->value_release(s->db, value);
}

/* Keys one by one and together; a few more than the model has are not there. */
static void read_keys(subject *s)
{
    char room[READS][32];
    weir_slice keys[READS];
    unsigned changes[READS];
    weir_backend_value values[READS];
    weir_status statuses[READS];
    for (int i = 0; i < READS; i++) {
        int key = (int)below(KEYS + 20);
        keys[i] = key_of(key, room[i]);
        changes[i] = key < KEYS ? s->now[key] : 0;
        weir_status status = s->backend->get(s->db, s->cf, NULL, keys[i], &values[i], NULL);
        check_value(s, changes[i], status, &values[i]);
    }
    assert_int_equal(s->backend->multi_get(s->db, s->cf, NULL, keys, READS, values, statuses, NULL),
                     WEIR_OK);
    for (int i = 0; i < READS; i++)
        check_value(s, changes[i], statuses[i], &values[i]);
}

static uint64_t tables;

static void catch_tables(const char *name, uint64_t value, void *arg)
{
    (void)arg;
    if (strcmp(name, "tables") == 0 && value > tables)
        tables = value;
}

static void open_subject(subject *s, const char *folder)
{
    s->database = fixture_open("slatedb", folder, options);
    s->backend = weir__database_backend(s->database);
    s->db = weir__database_handle(s->database);
    assert_int_equal(s->backend->cf_open(s->db, WEIR_BACKEND_DEFAULT_CF, false, &s->cf, NULL),
                     WEIR_OK);
}

static void close_scans(subject *s)
{
    for (size_t i = 0; i < SCANS; i++)
        if (s->scans[i].iter != NULL)
            read_on(s, &s->scans[i], KEYS + 1);
}

static void test_reads_show_their_state_while_tables_come_and_go(void **state)
{
    (void)state;
    static subject s;
    static model held;
    char *folder = fixture_folder();
    weir_backend_snapshot *snapshot = NULL;
    running_scan on_snapshot = {0};
    tables = 0;
    open_subject(&s, fixture_path(folder, "db"));
    for (int batch = 0; batch < BATCHES; batch++) {
        write_batch(&s);
        read_keys(&s);
        running_scan *scan = &s.scans[below(SCANS)];
        if (scan->iter == NULL)
            open_scan(&s, scan, NULL, s.now);
        read_on(&s, scan, (int)below(400));
        if (batch % 40 == 10) {
            assert_int_equal(s.backend->snapshot_open(s.db, &snapshot, NULL), WEIR_OK);
            memcpy(held, s.now, sizeof held);
        }
        if (snapshot != NULL) {
            open_scan(&s, &on_snapshot, snapshot, held);
            read_on(&s, &on_snapshot, KEYS + 1);
        }
        if (batch % 40 == 35) {
            s.backend->snapshot_close(s.db, snapshot);
            snapshot = NULL;
        }
        if (batch % 90 == 80) {
            close_scans(&s);
            if (snapshot != NULL)
                s.backend->snapshot_close(s.db, snapshot);
            snapshot = NULL;
            fixture_close(s.database);
            open_subject(&s, fixture_path(folder, "db"));
            read_keys(&s);
        }
        assert_int_equal(s.backend->stats(s.db, catch_tables, NULL, NULL), WEIR_OK);
    }
    if (snapshot != NULL)
        s.backend->snapshot_close(s.db, snapshot);
    close_scans(&s);
    assert_true(tables > 2);
    fixture_close(s.database);
    fixture_remove(folder);
}

static void test_compressed_tables_are_read(void **state)
{
    (void)state;
    static const char *const codecs[] = {"lz4", "snappy", "zstd"};
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        static subject s;
        char *folder = fixture_folder();
        const weir_option compressed[] = {{"compression", codecs[i]}, {NULL, NULL}};
        memset(&s, 0, sizeof s);
        weir__database *database = fixture_open("slatedb", fixture_path(folder, "db"), compressed);
        s.database = database;
        s.backend = weir__database_backend(database);
        s.db = weir__database_handle(database);
        assert_int_equal(s.backend->cf_open(s.db, WEIR_BACKEND_DEFAULT_CF, false, &s.cf, NULL),
                         WEIR_OK);
        for (int batch = 0; batch < 10; batch++)
            write_batch(&s);
        fixture_close(database);
        open_subject(&s, fixture_path(folder, "db"));
        for (int round = 0; round < 10; round++) {
            open_scan(&s, &s.scans[0], NULL, s.now);
            read_on(&s, &s.scans[0], KEYS + 1);
            read_keys(&s);
        }
        fixture_close(s.database);
        fixture_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_show_their_state_while_tables_come_and_go),
        cmocka_unit_test(test_compressed_tables_are_read),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    const char *given = getenv("WEIR_TEST_SEED");
    seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (WEIR_TEST_SEED sets it)\n", seed);
    return cmocka_run_group_tests_name("slatedb reads", tests, NULL, NULL);
}
