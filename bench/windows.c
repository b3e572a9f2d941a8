/*
 * The case `windows`: counting in tumbling windows with an expiry for each record, as-of lookups,
 * and values with a TTL. Weir on every backend, against a loop by hand on raw RocksDB (the faster
 * of two), against the package quixstreams, and against its own backend rocksdb. Event time goes on
 * by 2 ms a record and is out of order by up to five minutes: of 100 thousand keys each sends three
 * records in a window of ten minutes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "windows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include "backends.h"
#include "counting.h"
#include "keys.h"

#define RECORDS       1000000u
#define QUICK_RECORDS 4000u
#define STEP_MS       2
#define FIRST_MS      INT64_C(1700000000000)
#define QUIX_SECONDS  "60" /* it is stopped after so long: its rate is steady by then */
#define MAX_ROUNDS    32
#define CACHE_BYTES   ((size_t)256 << 20)

static const char *const kind_names[] = {"tumbling", "as-of", "TTL"};

/* ---------------------------------------------------------------------------
 * Weir
 * ------------------------------------------------------------------------- */

static weir_status count_window(weir_state *state, const windows_record *record, double *sum,
                                weir_error *err)
{
    int64_t start = windows_start(record->time);
    int64_t end = start + WINDOWS_SIZE_MS;
    int64_t latest;
    uint64_t counter = 0;
    char text[20];
    weir_slice value;
    weir_windows *expired;
    weir_window window;
    weir_status status = weir_window_get(state, start, end, &value, err);
    if (status == WEIR_OK)
        counter = bench_parse_counter(value.data, value.size);
    else if (status != WEIR_NOT_FOUND)
        return status;
    *sum += (double)++counter;
    value = weir_slice_of(text, bench_format_counter(counter, text));
    if ((status = weir_window_update(state, start, end, value, record->time, err)) ||
        (status = weir_window_latest_timestamp(state, &latest, err)) ||
        (status = weir_window_expire(state, latest - WINDOWS_GRACE_MS - WINDOWS_SIZE_MS, 0,
                                     &expired, err)))
        return status;
    while ((status = weir_windows_next(expired, &window, err)) == WEIR_OK)
        *sum += 1000;
    weir_windows_close(expired);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status look_up(weir_state *state, const windows_record *record, uint64_t number,
                           double *sum, weir_error *err)
{
    char text[20];
    weir_slice value = weir_slice_of(text, bench_format_counter(number, text));
    weir_status status = weir_timestamped_set(state, record->time, value, err);
    if (status)
        return status;
    status =
        weir_timestamped_get_latest(state, record->time - (int64_t)record->back, NULL, &value, err);
    if (status == WEIR_OK)
        *sum += (double)bench_parse_counter(value.data, value.size);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status set_expiring(weir_txn *txn, const windows_record *record, uint64_t number,
                                uint32_t keys, double *sum, weir_error *err)
{
    char prefix[BENCH_KEY_SIZE];
    int64_t value;
    weir_txn_set_event_time(txn, record->time);
    bench_key_text(record->key, prefix);
    weir_state *state = weir_txn_state(txn, weir_slice_of(prefix, sizeof(prefix)));
    weir_status status = weir_state_expire_after(state, WINDOWS_TTL_MS, err);
    if (!status)
        status = weir_state_set_int(state, "value", (int64_t)number, err);
    if (status)
        return status;
    bench_key_text((record->key + record->back) % keys, prefix);
    state = weir_txn_state(txn, weir_slice_of(prefix, sizeof(prefix)));
    status = weir_state_get_int(state, "value", 0, &value, err);
    *sum += (double)value;
    return status;
}

typedef struct running {
    const windows_work *work;
    double sum;
    char keys[WEIR_EXPECT_AHEAD][BENCH_KEY_SIZE]; /* of the next records */
} running;

/* The key of a record. Those that come next are told to the store, as an application does with
 * the records that it has fetched. */
static weir_state *view_of(weir_txn *txn, running *self, size_t number)
{
    const windows_work *work = self->work;
    char *key = self->keys[number % WEIR_EXPECT_AHEAD];
    for (size_t i = 0; number == 0 && i < WEIR_EXPECT_AHEAD && i < work->count; i++)
        bench_key_text(work->records[i].key, self->keys[i]);
    weir_state *state = weir_txn_state(txn, weir_slice_of(key, BENCH_KEY_SIZE));
    if (number + WEIR_EXPECT_AHEAD < work->count) {
        bench_key_text(work->records[number + WEIR_EXPECT_AHEAD].key, key);
        weir_txn_expect(txn, weir_slice_of(key, BENCH_KEY_SIZE));
    }
    return state;
}

static weir_status do_record(weir_txn *txn, size_t number, void *arg, weir_error *err)
{
    running *self = arg;
    const windows_work *work = self->work;
    const windows_record *record = &work->records[number];
    if (work->kind == WINDOWS_TTL)
        return set_expiring(txn, record, number, work->keys, &self->sum, err);
    weir_state *state = view_of(txn, self, number);
    return work->kind == WINDOWS_TUMBLING ? count_window(state, record, &self->sum, err)
                                          : look_up(state, record, number, &self->sum, err);
}

/* ---------------------------------------------------------------------------
 * Contestants
 * ------------------------------------------------------------------------- */

typedef struct side {
    const char *name; /* of the backend, or what else it is */
    const windows_work *work;
    bool in_batches; /* raw */
    double rates[MAX_ROUNDS];
} side;

static bool run_weir(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const side *self = arg;
    const windows_work *work = self->work;
    char folder[400];
    running run = {.work = work};
    counting state = {0};
    weir_store_config store;
    weir_store_config_init(&store);
    store.kind = work->kind == WINDOWS_TUMBLING ? WEIR_STORE_WINDOWED
                 : work->kind == WINDOWS_AS_OF  ? WEIR_STORE_TIMESTAMPED
                                                : WEIR_STORE_PLAIN;
    store.grace_ms = WINDOWS_KEEP_MS;
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    bool is_ok = counting_open_store(&state, folder, self->name, CACHE_BYTES, &store, sample);
    double start = bench_now();
    is_ok = is_ok && counting_steps(&state, work->count, work->checkpoint, do_record, &run,
                                    "windows", sample);
    sample->rate = (double)work->count / (bench_now() - start);
    sample->figures[WINDOWS_FIGURE_SUM] = run.sum;
    sample->figures[WINDOWS_FIGURE_COUNT] = (double)work->count;
    counting_close(&state);
    bench_remove_folder(folder);
    return is_ok;
}

static bool run_raw(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const side *self = arg;
    return windows_raw(bench, self->work, self->in_batches, sample);
}

/* figures stay 0 when the package can't be had. */
static bool run_quix(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const side *self = arg;
    const windows_work *work = self->work;
    char command[1400];
    char folder[400];
    double count = 0;
    bench_path(bench, "run", folder, sizeof(folder));
    bench_remove_folder(folder);
    (void)snprintf(command, sizeof(command),
                   WEIR_SOURCE_DIR "/scripts/python-env python " WEIR_SOURCE_DIR
                                   "/bench/windows_quix.py %s '%s' %zu '%s' " QUIX_SECONDS,
                   kind_names[work->kind], work->path, work->checkpoint, folder);
    FILE *output = popen(command, "r");
    int fields = output ? fscanf(output, "%lf %lf %lf", &sample->rate,
                                 &sample->figures[WINDOWS_FIGURE_SUM], &count)
                        : 0;
    sample->figures[WINDOWS_FIGURE_COUNT] = count;
    int code = output ? pclose(output) : -1;
    bench_remove_folder(folder);
    if (code != 0 || fields != 3)
        return bench_fail(sample, NULL, "quixstreams could not be run (exit code %d)", code);
    return true;
}

static bool is_quix(const side *self)
{
    return strcmp(self->name, "quixstreams") == 0;
}

static bool is_raw(const side *self)
{
    return strcmp(self->name, "raw RocksDB") == 0;
}

/* ---------------------------------------------------------------------------
 * A contest
 * ------------------------------------------------------------------------- */

#define MAX_SIDES (BACKENDS_MAX + 3)

static size_t choose_sides(const bench_table *bench, const windows_work *work, bool with_quix,
                           side *sides)
{
    size_t count = 0;
    for (size_t i = 0; i < BACKENDS_MAX; i++) {
        if (backends_has(bench, backends_all[i]))
            sides[count++] = (side){.name = backends_all[i], .work = work};
    }
    if (work->kind != WINDOWS_TTL) {
        sides[count++] = (side){.name = "raw RocksDB", .work = work};
        sides[count++] = (side){.name = "raw RocksDB", .work = work, .in_batches = true};
    }
    if (with_quix)
        sides[count++] = (side){.name = "quixstreams", .work = work};
    return count;
}

static bool run_sides(const bench_table *bench, const char *what, side *sides, size_t count)
{
    size_t rounds = (size_t)(bench->rounds < MAX_ROUNDS ? bench->rounds : MAX_ROUNDS);
    double sum = 0;
    for (size_t i = 0; i < rounds * count; i++) {
        bench_sample sample;
        side *self = &sides[i % count];
        bench_run run = is_quix(self) ? run_quix : is_raw(self) ? run_raw : run_weir;
        if (!bench_run_child(bench, self->name, run, self, &sample))
            return false;
        self->rates[i / count] = sample.rate;
        bench_say("  %zu/%zu %-40s %-12s %12.0f records/s", i / count + 1, rounds, what, self->name,
                  sample.rate);
        if (i == 0)
            sum = sample.figures[WINDOWS_FIGURE_SUM];
        /* A sum of fewer records can't be compared. */
        if (sample.figures[WINDOWS_FIGURE_COUNT] == (double)self->work->count &&
            sample.figures[WINDOWS_FIGURE_SUM] != sum) {
            bench_say("%s on %s has read something else: the sum is %.0f, not %.0f", what,
                      self->name, sample.figures[WINDOWS_FIGURE_SUM], sum);
            return false;
        }
    }
    for (size_t i = 0; i < count; i++)
        sides[i].rates[0] = bench_median(sides[i].rates, rounds);
    return true;
}

static void add_row(bench_table *bench, const char *what, const char *weir_name,
                    const char *against, double weir, double yardstick, double target)
{
    bench_row row = {.weir = weir,
                     .yardstick = yardstick,
                     .unit = "records/s",
                     .ratio = weir / yardstick,
                     .target = target};
    (void)snprintf(row.name, sizeof(row.name), "windows %s: %s against %s", what, weir_name,
                   against);
    bench_add_row(bench, &row);
}

/* rocksdb against what is no backend, the other backends against rocksdb. */
static void add_rows(bench_table *bench, const char *what, const side *sides, size_t count,
                     double quix_target)
{
    double raw = 0;
    for (size_t i = 1; i < count; i++) {
        const side *other = &sides[i];
        if (is_raw(other))
            raw = other->rates[0] > raw ? other->rates[0] : raw;
        else if (is_quix(other))
            add_row(bench, what, "rocksdb", "quixstreams", sides[0].rates[0], other->rates[0],
                    quix_target);
        else
            add_row(bench, what, other->name, "rocksdb", other->rates[0], sides[0].rates[0],
                    strcmp(other->name, "slatedb") == 0 ? 0.7 : BENCH_NONE);
    }
    if (raw > 0)
        add_row(bench, what, "rocksdb", "raw RocksDB", sides[0].rates[0], raw, 1.0);
}

/* *rate [out]: that of rocksdb. */
static bool run_contest(bench_table *bench, const windows_work *work, bool with_quix, double *rate)
{
    char what[80];
    side sides[MAX_SIDES];
    double quix_target = work->kind == WINDOWS_TTL   ? BENCH_NONE
                         : work->checkpoint < 100000 ? 10
                                                     : 30;
    *rate = 0;
    (void)snprintf(what, sizeof(what), "%s, %u keys, checkpoints of %zu", kind_names[work->kind],
                   work->keys, work->checkpoint);
    if (bench->match && !strstr(what, bench->match))
        return true;
    size_t count = choose_sides(bench, work, with_quix, sides);
    if (!run_sides(bench, what, sides, count))
        return false;
    add_rows(bench, what, sides, count, quix_target);
    *rate = sides[0].rates[0];
    return true;
}

/* ---------------------------------------------------------------------------
 * The records
 * ------------------------------------------------------------------------- */

static windows_record *make_records(uint32_t keys, size_t count)
{
    uint32_t *sequence = bench_key_sequence(BENCH_UNIFORM, keys, count);
    uint32_t *late = bench_key_sequence(BENCH_UNIFORM, (uint32_t)WINDOWS_GRACE_MS, count);
    windows_record *records = malloc(count * sizeof(*records));
    for (size_t i = 0; records && sequence && late && i < count; i++)
        records[i] = (windows_record){.key = sequence[i],
                                      .back = late[count - 1 - i] * 12, /* up to an hour */
                                      .time = FIRST_MS + (int64_t)i * STEP_MS - late[i]};
    free(late);
    free(sequence);
    return records;
}

static bool write_records(const bench_table *bench, const windows_record *records, size_t count,
                          char *path, size_t size)
{
    bench_path(bench, "records", path, size);
    FILE *file = fopen(path, "w");
    bool is_ok = file && fwrite(records, sizeof(*records), count, file) == count;
    return file && fclose(file) == 0 && is_ok;
}

/* All kinds of work and sizes of checkpoints on so many keys. rates [out], one for each. */
static bool run_keys(bench_table *bench, uint32_t keys, bool with_quix, double rates[3][2])
{
    char path[400];
    const size_t sizes[2][2] = {{10000, 500000}, {1000, 4000}};
    windows_work work = {.keys = keys, .count = bench->quick ? QUICK_RECORDS : RECORDS};
    windows_record *records = make_records(keys, work.count);
    work.records = records;
    work.path = path;
    bool is_ok = records && write_records(bench, records, work.count, path, sizeof(path));
    for (int k = 0; k < 3 && is_ok; k++) {
        work.kind = (windows_kind)k;
        for (size_t c = 0; c < 2 && is_ok; c++) {
            work.checkpoint = sizes[bench->quick][c];
            is_ok = run_contest(bench, &work, with_quix, &rates[k][c]);
        }
    }
    free(records);
    return is_ok;
}

static bool has_quix(void)
{
    int code = system(WEIR_SOURCE_DIR "/scripts/python-env fetch");
    if (code != 0)
        bench_say("windows: quixstreams is LEFT OUT: scripts/python-env can't install it");
    return code == 0;
}

bool bench_windows(bench_table *bench)
{
    double many[3][2] = {{0}};
    double few[3][2] = {{0}};
    /* The package takes half a second to start alone, and with few keys it would take hours. */
    bool with_quix = !bench->quick && has_quix();
    if (!run_keys(bench, bench->quick ? 500 : 100000, with_quix, many) ||
        !run_keys(bench, 10, false, few))
        return false;
    for (int k = 0; k < 2; k++) {
        if (many[k][0] > 0 && few[k][0] > 0)
            add_row(bench, kind_names[k], "10 keys", "100000 keys", few[k][0], many[k][0], 1.0);
    }
    return true;
}
