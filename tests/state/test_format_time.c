/*
 * The bytes of timestamped values and of values that expire are those of Quix Streams:
 * golden/scenario_time.txt holds operations, golden/quix_time.txt what Quix Streams made of them
 * (golden/generate_time.py writes it), and Weir has to make the same of them and read it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state/support_harness.h"
#include "state/timestamped.h"

#define MAX_LINES  128
#define MAX_LINE   512
#define MAX_FIELDS 7

typedef struct lines {
    char text[MAX_LINES][MAX_LINE];
    size_t count;
} lines;

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sort_from(lines *all, size_t from)
{
    qsort(all->text[from], all->count - from, MAX_LINE, compare_lines);
}

static char *add_line(lines *all)
{
    assert_true(all->count < MAX_LINES);
    return all->text[all->count++];
}

static void read_lines(const char *name, lines *all)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/state/golden/%s", WEIR_TEST_DIR, name);
    FILE *stream = fopen(path, "r");
    if (!stream)
        fail_msg("can't open %s", path);
    char line[MAX_LINE];
    all->count = 0;
    while (fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            snprintf(add_line(all), MAX_LINE, "%s", line);
    }
    fclose(stream);
}

static size_t split(char *line, char **fields)
{
    size_t count = 0;
    for (char *field = strsep(&line, "\t"); field; field = strsep(&line, "\t")) {
        assert_true(count < MAX_FIELDS);
        fields[count++] = field;
    }
    return count;
}

static void append_hex(char *line, weir_slice bytes)
{
    size_t size = strlen(line);
    for (size_t i = 0; i < bytes.size; i++)
        size += (size_t)snprintf(line + size, MAX_LINE - size, "%02x",
                                 ((const uint8_t *)bytes.data)[i]);
}

/* In place; "-" and a leading '=' are handled by the caller. */
static weir_slice unhex(char *field)
{
    uint8_t *bytes = (uint8_t *)field;
    size_t size = strlen(field) / 2;
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {field[2 * i], field[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return weir_slice_of(bytes, size);
}

/* --- The scenario in Weir --- */

typedef struct run {
    harness h;
    const char *name;
    weir_txn *txn;
    int64_t offset; /* of the next changelog record */
    int checkpoints;
} run;

static void run_open(run *r, char **fields)
{
    harness_init(&r->h, "rocksdb", NULL);
    r->name = fields[1];
    r->offset = 0;
    r->checkpoints = 0;
    if (strcmp(fields[2], "-") != 0) {
        r->h.store.kind = WEIR_STORE_TIMESTAMPED;
        r->h.store.grace_ms = strtoll(fields[2], NULL, 10);
        r->h.store.keep_duplicates = strcmp(fields[3], "1") == 0;
    }
    harness_open(&r->h);
    r->txn = harness_begin(&r->h);
}

static void run_set(run *r, char **fields)
{
    weir_error err;
    int64_t timestamp = strtoll(fields[2], NULL, 10);
    weir_txn_set_event_time(r->txn, timestamp);
    weir_state *view = weir_txn_state(r->txn, weir_slice_str(fields[1]));
    if (r->h.store.kind == WEIR_STORE_TIMESTAMPED) {
        assert_ok(weir_timestamped_set(view, timestamp, weir_slice_str(fields[3]), &err), err);
        return;
    }
    if (strcmp(fields[4], "-") != 0)
        assert_ok(weir_state_expire_after(view, strtoll(fields[4], NULL, 10), &err), err);
    assert_ok(weir_state_set_int(view, "v", strtoll(fields[3], NULL, 10), &err), err);
}

static void run_checkpoint(run *r, lines *made)
{
    weir_error err;
    weir_changelog *reader;
    weir_changelog_record records[64];
    size_t count;
    int64_t last;
    size_t from = made->count;
    assert_ok(weir_txn_prepare(r->txn, NULL, 0, &err), err);
    assert_ok(r->h.changelog->ops->flush(r->h.changelog, 1000, &last, &err), err);
    assert_ok(weir_memory_topic_open(r->h.topic, "reader", &reader, &err), err);
    assert_ok(reader->ops->seek(reader, r->offset, &err), err);
    assert_ok(reader->ops->read(reader, records, 64, 0, &count, &r->offset, &err), err);
    for (size_t i = 0; i < count; i++) {
        char *line = add_line(made);
        snprintf(line, MAX_LINE, "changelog\t%s\t%d\t%s\t", r->name, r->checkpoints, records[i].cf);
        append_hex(line, records[i].key);
        strcat(line, records[i].is_tombstone ? "\t-" : "\t=");
        append_hex(line, records[i].value);
        strcat(line, records[i].ttl_stamped ? "\t1" : "\t0");
    }
    reader->ops->close(reader);
    sort_from(made, from);
    assert_ok(weir_txn_flush(r->txn, last, &err), err);
    weir_txn_free(r->txn);
    r->txn = harness_begin(&r->h);
    r->checkpoints++;
}

typedef struct state_dump {
    run *r;
    lines *made;
    bool with_metadata;
} state_dump;

static weir_status dump_family(const char *name, void *arg)
{
    state_dump *out = arg;
    const weir_partition *partition = out->r->h.partition;
    weir_backend_iter_args args = {.struct_size = sizeof args};
    weir_error err;
    weir_backend_cf *cf;
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    if (strcmp(name, WEIR__CF_METADATA) == 0 && !out->with_metadata)
        return WEIR_OK;
    assert_ok(partition->backend->cf_open(partition->db, name, false, &cf, &err), err);
    assert_ok(partition->backend->iter_open(partition->db, cf, &args, &iter, &err), err);
    while (partition->backend->iter_next(iter, &key, &value, &err) == WEIR_OK) {
        if (key.size > 7 && memcmp(key.data, "__weir_", 7) == 0)
            continue; /* Weir's own */
        char *line = add_line(out->made);
        snprintf(line, MAX_LINE, "state\t%s\t%s\t", out->r->name, name);
        append_hex(line, key);
        strcat(line, "\t=");
        append_hex(line, value);
    }
    partition->backend->iter_close(iter);
    return WEIR_OK;
}

static void dump_state(run *r, bool with_metadata, lines *made)
{
    weir_error err;
    size_t from = made->count;
    state_dump out = {.r = r, .made = made, .with_metadata = with_metadata};
    assert_ok(r->h.partition->backend->cf_list(r->h.partition->db, dump_family, &out, &err), err);
    sort_from(made, from);
}

static void run_close(run *r)
{
    weir_txn_free(r->txn);
    harness_release(&r->h);
}

static void test_weir_makes_the_bytes_of_quix_streams(void **state)
{
    (void)state;
    static lines scenario;
    static lines golden;
    static lines made;
    static run r;
    bool is_open = false;
    read_lines("scenario_time.txt", &scenario);
    read_lines("quix_time.txt", &golden);
    made.count = 0;
    for (size_t i = 0; i < scenario.count; i++) {
        char *fields[MAX_FIELDS];
        split(scenario.text[i], fields);
        if (strcmp(fields[0], "store") == 0) {
            if (is_open) {
                dump_state(&r, true, &made);
                run_close(&r);
            }
            run_open(&r, fields);
            is_open = true;
        } else if (strcmp(fields[0], "set") == 0) {
            run_set(&r, fields);
        } else {
            run_checkpoint(&r, &made);
        }
    }
    dump_state(&r, true, &made);
    run_close(&r);
    for (size_t i = 0; i < golden.count && i < made.count; i++)
        assert_string_equal(made.text[i], golden.text[i]);
    assert_int_equal(made.count, golden.count);
}

/* Recovers the changelog of a store, and compares what is not local. */
static void recover(const lines *golden, char *name, char *grace, char *duplicates)
{
    static lines made;
    static lines expected;
    static run r;
    weir_error err;
    weir_changelog *writer;
    char *store[] = {(char *)"store", name, grace, duplicates};
    made.count = expected.count = 0;
    run_open(&r, store);
    assert_ok(weir_memory_topic_open(r.h.topic, "quix", &writer, &err), err);
    for (size_t i = 0; i < golden->count; i++) {
        char line[MAX_LINE];
        char *fields[MAX_FIELDS];
        snprintf(line, sizeof line, "%s", golden->text[i]);
        split(line, fields);
        if (strcmp(fields[1], name) != 0)
            continue;
        if (strcmp(fields[0], "state") == 0) {
            if (strcmp(fields[2], WEIR__CF_METADATA) != 0)
                snprintf(add_line(&expected), MAX_LINE, "%s", golden->text[i]);
            continue;
        }
        weir_changelog_record record = {.cf = fields[3],
                                        .is_tombstone = fields[5][0] == '-',
                                        .ttl_stamped = fields[6][0] == '1'};
        record.key = unhex(fields[4]);
        record.value = record.is_tombstone ? weir_slice_of(NULL, 0) : unhex(fields[5] + 1);
        assert_ok(writer->ops->append(writer, &record, &err), err);
    }
    writer->ops->close(writer);
    weir_txn_free(r.txn);
    harness_recover(&r.h, WEIR_OFFSET_NONE);
    r.txn = harness_begin(&r.h);
    dump_state(&r, false, &made);
    for (size_t i = 0; i < expected.count && i < made.count; i++)
        assert_string_equal(made.text[i], expected.text[i]);
    assert_int_equal(made.count, expected.count);
    run_close(&r);
}

static void test_weir_recovers_what_quix_streams_wrote(void **state)
{
    (void)state;
    static lines golden;
    char grace[] = "1000";
    char none[] = "-";
    char yes[] = "1";
    char no[] = "0";
    char expiring[] = "expiring";
    char stamped[] = "stamped";
    char duplicates[] = "duplicates";
    read_lines("quix_time.txt", &golden);
    recover(&golden, expiring, none, no);
    recover(&golden, stamped, grace, no);
    recover(&golden, duplicates, grace, yes);
}

int main(void)
{
    weir_log_set_level(WEIR_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weir_makes_the_bytes_of_quix_streams),
        cmocka_unit_test(test_weir_recovers_what_quix_streams_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
