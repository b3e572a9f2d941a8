/*
 * The bytes of windowed stores: the operations of golden/windows.txt give what Quix Streams made
 * of them (golden/quix_windows.txt), and its state can be read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_window.h"

#include "state/partition.h"

#define LINE_MAX_SIZE 1024
#define ARGS_MAX      6

static FILE *open_golden(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/state/golden/%s", WEIR_TEST_DIR, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is not there", path);
    return file;
}

/* The next line that is not a comment, without its end. */
static bool next_line(FILE *file, char *line)
{
    while (fgets(line, LINE_MAX_SIZE, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#' && line[0] != '\0')
            return true;
    }
    return false;
}

static int64_t number(const char *text)
{
    return strtoll(text, NULL, 10);
}

/* NULL: it gives nothing. */
static const char *run(weir_txn *txn, char *const *args)
{
    const char *op = args[0];
    const char *key = args[1];
    if (strcmp(op, "expire_all") == 0)
        return window_expire_all(txn, number(key), number(args[2]), 0);
    if (strcmp(op, "range") == 0)
        return window_range(txn, key, number(args[2]), number(args[3]), false);
    if (strcmp(op, "expire") == 0)
        return window_expire(txn, key, number(args[2]), number(args[3]) ? WEIR_EXPIRE_KEEP : 0);
    if (strcmp(op, "collected") == 0)
        return window_collected(txn, key, number(args[2]), number(args[3]));
    if (strcmp(op, "update") == 0)
        window_update(txn, key, number(args[2]), number(args[3]), args[4], number(args[5]));
    else if (strcmp(op, "delete") == 0)
        window_delete(txn, key, number(args[2]), number(args[3]));
    else if (strcmp(op, "until") == 0)
        window_delete_until(txn, key, number(args[2]), number(args[3]) != 0);
    else if (strcmp(op, "collect") == 0)
        window_collect(txn, key, number(args[2]), args[3]);
    else if (strcmp(op, "uncollect") == 0)
        window_delete_values(txn, key, number(args[2]));
    else
        fail_msg("%s is no operation", op);
    return NULL;
}

static void check_result(FILE *golden, const char *op, const char *result)
{
    char got[LINE_MAX_SIZE];
    char expected[LINE_MAX_SIZE];
    snprintf(got, sizeof got, "%s%s%s", op, result[0] ? " " : "", result);
    assert_true(next_line(golden, expected));
    assert_string_equal(got, expected);
}

/* Runs the operations and checks what they give; golden is at the state then. */
static void run_all(harness *h, FILE *golden)
{
    char line[LINE_MAX_SIZE];
    FILE *file = open_golden("windows.txt");
    weir_txn *txn = harness_begin(h);
    while (next_line(file, line)) {
        char *args[ARGS_MAX] = {0};
        char *rest = line;
        for (size_t i = 0; i < ARGS_MAX && rest; i++)
            args[i] = strsep(&rest, " ");
        if (strcmp(args[0], "checkpoint") == 0) {
            harness_commit(h, txn, 1);
            txn = harness_begin(h);
            continue;
        }
        const char *result = run(txn, args);
        if (result)
            check_result(golden, args[0], result);
    }
    weir_txn_free(txn);
    fclose(file);
}

static weir_slice unhex(const char *text, uint8_t *out)
{
    size_t size = strlen(text) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return weir_slice_of(out, size);
}

/* Splits a line of state. */
static void read_state(char *line, const char **cf, weir_slice *key, weir_slice *value,
                       uint8_t *bytes)
{
    char *rest = line;
    *cf = strsep(&rest, " ");
    *key = unhex(strsep(&rest, " "), bytes);
    *value = unhex(rest, bytes + LINE_MAX_SIZE);
}

/* Every line is in the state, and nothing else. */
static void check_state(harness *h, FILE *golden)
{
    char line[LINE_MAX_SIZE];
    uint8_t bytes[2 * LINE_MAX_SIZE];
    size_t count = 0;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    while (next_line(golden, line)) {
        const char *name;
        weir_slice key;
        weir_slice value;
        weir_slice got;
        weir_cf cf;
        read_state(line, &name, &key, &value, bytes);
        assert_ok(weir_partition_cf(h->partition, name, &cf, &err), err);
        assert_ok(weir_txn_get(txn, cf, weir_slice_of(NULL, 0), key, &got, &err), err);
        assert_true(weir_slice_equal(got, value));
        count++;
    }
    for (weir_cf cf = 0; cf < h->partition->cf_count; cf++) {
        weir_iter *iter;
        weir_slice key;
        weir_slice value;
        if (h->partition->cfs[cf].is_local)
            continue;
        assert_ok(weir_txn_iter_open(txn, cf, NULL, &iter, &err), err);
        while (weir_iter_next(iter, &key, &value, &err) == WEIR_OK)
            count--;
        weir_iter_close(iter);
    }
    assert_int_equal(count, 0);
    weir_txn_free(txn);
}

static void test_windows_have_the_bytes_of_quix_streams(void **state)
{
    harness *h = *state;
    FILE *golden = open_golden("quix_windows.txt");
    window_open(h);
    run_all(h, golden);
    long at = ftell(golden);
    check_state(h, golden);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    fseek(golden, at, SEEK_SET);
    check_state(h, golden);
    fclose(golden);
}

/* Its state comes through the changelog, as it would from a topic. */
static void test_windows_of_quix_streams_are_read_and_expire(void **state)
{
    harness *h = *state;
    char line[LINE_MAX_SIZE];
    uint8_t bytes[2 * LINE_MAX_SIZE];
    FILE *golden = open_golden("quix_windows.txt");
    weir_error err;
    window_open(h);
    while (next_line(golden, line)) {
        if (!strstr(line, "__ ") && strncmp(line, "default ", 8) != 0)
            continue;
        weir_changelog_record record = {.processed_offsets = "null", .processed_offsets_size = 4};
        read_state(line, &record.cf, &record.key, &record.value, bytes);
        assert_ok(h->changelog->ops->append(h->changelog, &record, &err), err);
    }
    fclose(golden);
    harness_recover(h, WEIR_OFFSET_NONE);
    weir_txn *txn = harness_begin(h);
    assert_string_equal(window_collected(txn, "c", 0, 100), "50,51,90");
    assert_int_equal(window_latest(txn, "last"), 1700013600000);
    assert_string_equal(window_expire(txn, "last", 1700013600000, WEIR_EXPIRE_KEEP),
                        "1700013600000-1700017200000=1");
    assert_string_equal(window_expire_all(txn, 1700017200000, 3600000, 0),
                        "last:1700013600000-1700017200000=1");
    weir_txn_free(txn);
}

int main(void)
{
    static const matrix_test tests[] = {
        MATRIX_TEST(test_windows_have_the_bytes_of_quix_streams),
        MATRIX_TEST(test_windows_of_quix_streams_are_read_and_expire),
    };
    return matrix_run("bytes of windows", tests, sizeof tests / sizeof *tests);
}
