/*
 * The bytes of keys, values, metadata and changelog records are those of Quix Streams:
 * golden/scenario.txt holds operations, golden/quix.txt what Quix Streams made of them
 * (golden/generate.py writes it), and Weir has to make the same of them and read it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/json.h"
#include "state/support_harness.h"

#define MAX_FIELDS 8
#define MAX_LINES  256

/* --- Files of lines of fields --- */

typedef struct line {
    char *fields[MAX_FIELDS];
    size_t count;
} line;

typedef struct file {
    char *text;
    line lines[MAX_LINES];
    size_t count;
} file;

static void file_read(file *f, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/state/golden/%s", WEIR_TEST_DIR, name);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        fail_msg("can't open %s", path);
    f->count = 0;
    f->text = calloc(1, 1u << 20);
    assert_non_null(f->text);
    assert_true(fread(f->text, 1, (1u << 20) - 1, stream) > 0);
    fclose(stream);
    char *rest = f->text;
    for (char *text = strsep(&rest, "\n"); text != NULL; text = strsep(&rest, "\n")) {
        if (text[0] == '\0' || text[0] == '#')
            continue;
        assert_true(f->count < MAX_LINES);
        line *l = &f->lines[f->count++];
        l->count = 0;
        for (char *field = strsep(&text, "\t"); field != NULL; field = strsep(&text, "\t")) {
            assert_true(l->count < MAX_FIELDS);
            l->fields[l->count++] = field;
        }
    }
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Bytes of a hexadecimal field, "-" for none; a leading '=' is left out. Static buffers,
 * four in turn. */
static weir_slice unhex(const char *field)
{
    static uint8_t buffers[4][1024];
    static int turn;
    uint8_t *bytes = buffers[turn++ % 4];
    size_t size = 0;
    if (field[0] == '=')
        field++;
    if (field[0] == '-')
        return weir_slice_of(NULL, 0);
    for (; field[0] != '\0'; field += 2)
        bytes[size++] = (uint8_t)(hex_digit(field[0]) * 16 + hex_digit(field[1]));
    return weir_slice_of(bytes, size);
}

/* The text of a JSON string, with a NUL. */
static const char *decode(const char *json, weir__buffer *out)
{
    weir_error err;
    weir__buffer_clear(out);
    assert_ok(weir__json_read_string(weir_slice_str(json), out, &err), err);
    assert_int_equal(weir__buffer_append_byte(out, 0), WEIR_OK);
    return (const char *)out->data;
}

/* --- The scenario in Weir --- */

static void apply(weir_txn *txn, const line *l)
{
    const char *op = l->fields[0];
    const char *value = l->count > 3 ? l->fields[3] : "-";
    weir_state *view = weir_txn_state(txn, unhex(l->fields[1]));
    weir__buffer key_text = {0};
    weir__buffer value_text = {0};
    bool raw = strcmp(op, "raw") == 0 || strcmp(op, "delete_raw") == 0;
    const char *key = raw ? "" : decode(l->fields[2], &key_text);
    weir_error err;
    weir_status status = WEIR_INVALID;
    if (strcmp(op, "int") == 0)
        status = weir_state_set_int(view, key, strtoll(value, NULL, 10), &err);
    else if (strcmp(op, "double") == 0)
        status = weir_state_set_double(view, key, strtod(value, NULL), &err);
    else if (strcmp(op, "json") == 0)
        status = weir_state_set_json(view, key, weir_slice_str(value), &err);
    else if (strcmp(op, "bytes") == 0)
        status = weir_state_set_bytes(view, key, unhex(value), &err);
    else if (strcmp(op, "raw") == 0)
        status = weir_state_set(view, unhex(l->fields[2]), unhex(value), &err);
    else if (strcmp(op, "delete") == 0)
        status = weir_state_remove(view, key, &err);
    else if (strcmp(op, "delete_raw") == 0)
        status = weir_state_delete(view, unhex(l->fields[2]), &err);
    else if (strcmp(op, "string") == 0) {
        decode(value, &value_text);
        status = weir_state_set_string(view, key,
                                       weir_slice_of(value_text.data, value_text.size - 1), &err);
    }
    assert_ok(status, err);
    weir__buffer_release(&key_text);
    weir__buffer_release(&value_text);
}

typedef struct offsets {
    char topics[4][64];
    weir_topic_offset items[4];
    size_t count;
} offsets;

static weir_status add_offset(const char *topic, int64_t offset, void *arg)
{
    offsets *all = arg;
    snprintf(all->topics[all->count], sizeof(all->topics[0]), "%s", topic);
    all->items[all->count] =
        (weir_topic_offset){.topic = all->topics[all->count], .offset = offset};
    all->count++;
    return WEIR_OK;
}

static void checkpoint(harness *h, weir_txn *txn, const char *json)
{
    weir_error err;
    offsets processed = {.count = 0};
    int64_t last;
    assert_ok(weir__json_each_int(weir_slice_str(json), add_offset, &processed, &err), err);
    assert_ok(weir_txn_prepare(txn, processed.items, processed.count, &err), err);
    assert_ok(h->changelog->ops->flush(h->changelog, 1000, &last, &err), err);
    assert_ok(weir_txn_flush(txn, last, &err), err);
    weir_txn_free(txn);
}

static void run_scenario(harness *h)
{
    file scenario;
    file_read(&scenario, "scenario.txt");
    weir_txn *txn = harness_begin(h);
    for (size_t i = 0; i < scenario.count; i++) {
        const line *l = &scenario.lines[i];
        if (strcmp(l->fields[0], "checkpoint") == 0) {
            checkpoint(h, txn, l->fields[1]);
            txn = harness_begin(h);
        } else {
            apply(txn, l);
        }
    }
    assert_false(weir_txn_changed(txn));
    weir_txn_free(txn);
    free(scenario.text);
}

/* --- Both sides as comparable text --- */

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct text_list {
    char *items[MAX_LINES];
    size_t count;
} text_list;

static void list_add(text_list *list, const char *format, ...) WEIR_PRINTF(2, 3);
static void list_add(text_list *list, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    assert_true(list->count < MAX_LINES);
    assert_true(vasprintf(&list->items[list->count++], format, args) >= 0);
    va_end(args);
}

static void list_release(text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
}

static const char *hex(weir_slice bytes)
{
    static char buffers[4][2100];
    static int turn;
    char *text = buffers[turn++ % 4];
    text[0] = '\0';
    for (size_t i = 0; i < bytes.size; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)bytes.data)[i]);
    return text;
}

static void assert_lists_equal(text_list *found, text_list *expected)
{
    qsort(found->items, found->count, sizeof(found->items[0]), compare_text);
    qsort(expected->items, expected->count, sizeof(expected->items[0]), compare_text);
    for (size_t i = 0; i < found->count && i < expected->count; i++)
        assert_string_equal(found->items[i], expected->items[i]);
    assert_int_equal(found->count, expected->count);
    list_release(found);
    list_release(expected);
}

/* Lines of a kind of quix.txt, without that first field. */
static void golden_lines(text_list *list, const char *kind)
{
    file golden;
    file_read(&golden, "quix.txt");
    list->count = 0;
    for (size_t i = 0; i < golden.count; i++) {
        const line *l = &golden.lines[i];
        if (strcmp(l->fields[0], kind) != 0)
            continue;
        if (l->count == 6)
            list_add(list, "%s %s %s %s %s", l->fields[1], l->fields[2], l->fields[3], l->fields[4],
                     l->fields[5]);
        else
            list_add(list, "%s %s %s", l->fields[1], l->fields[2], l->fields[3]);
    }
    free(golden.text);
}

/* A checkpoint ends where the processed offsets of the scenario change. */
static void topic_lines(harness *h, text_list *list)
{
    static weir_changelog_record records[MAX_LINES];
    weir_error err;
    size_t count;
    int64_t position;
    int checkpoint_number = -1;
    char before[256] = "";
    list->count = 0;
    assert_ok(h->changelog->ops->seek(h->changelog, 0, &err), err);
    assert_ok(h->changelog->ops->read(h->changelog, records, MAX_LINES, 0, &count, &position, &err),
              err);
    assert_true(count < MAX_LINES);
    for (size_t i = 0; i < count; i++) {
        const weir_changelog_record *record = &records[i];
        char processed[256];
        snprintf(processed, sizeof(processed), "%.*s", (int)record->processed_offsets_size,
                 record->processed_offsets);
        if (strcmp(processed, before) != 0)
            checkpoint_number++;
        snprintf(before, sizeof(before), "%s", processed);
        list_add(list, "%d %s %s %s%s %s", checkpoint_number, record->cf, hex(record->key),
                 record->is_tombstone ? "-" : "=", hex(record->value), processed);
    }
}

static void add_family(harness *h, weir_backend_cf *cf, const char *name, text_list *list)
{
    const weir_backend *backend = h->partition->backend;
    weir_backend_iter_args args = {.struct_size = sizeof(args)};
    weir_backend_iter *iter;
    weir_slice key;
    weir_slice value;
    weir_error err;
    assert_ok(backend->iter_open(h->partition->db, cf, &args, &iter, &err), err);
    while (backend->iter_next(iter, &key, &value, &err) == WEIR_OK) {
        /* Weir's own additions to the metadata have a name of their own. */
        if (key.size > 7 && memcmp(key.data, "__weir_", 7) == 0)
            continue;
        list_add(list, "%s %s =%s", name, hex(key), hex(value));
    }
    backend->iter_close(iter);
}

static void state_lines(harness *h, text_list *list)
{
    list->count = 0;
    add_family(h, h->partition->cfs[WEIR_CF_DEFAULT].handle, "default", list);
    add_family(h, h->partition->metadata, "__metadata__", list);
}

/* --- Tests --- */

static int setup(void **state)
{
    harness *h = calloc(1, sizeof(*h));
    harness_init(h, "rocksdb", NULL);
    test_log_capture();
    harness_open(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness *h = *state;
    harness_release(h);
    free(h);
    test_log_release();
    return 0;
}

static void test_changelog_records_have_the_bytes_of_quix_streams(void **state)
{
    harness *h = *state;
    text_list found;
    text_list expected;
    run_scenario(h);
    topic_lines(h, &found);
    golden_lines(&expected, "changelog");
    assert_true(expected.count > 50);
    assert_lists_equal(&found, &expected);
}

static void test_keys_values_and_metadata_have_the_bytes_of_quix_streams(void **state)
{
    harness *h = *state;
    text_list found;
    text_list expected;
    run_scenario(h);
    state_lines(h, &found);
    golden_lines(&expected, "state");
    assert_true(expected.count > 40);
    assert_lists_equal(&found, &expected);
}

/* Fills the topic with the messages that Quix Streams produced. */
static void produce_golden(harness *h)
{
    file golden;
    file_read(&golden, "quix.txt");
    for (size_t i = 0; i < golden.count; i++) {
        const line *l = &golden.lines[i];
        if (strcmp(l->fields[0], "changelog") != 0)
            continue;
        weir_error err;
        weir_changelog_record record = {
            .cf = l->fields[2],
            .key = unhex(l->fields[3]),
            .value = unhex(l->fields[4]),
            .is_tombstone = l->fields[4][0] == '-',
            .processed_offsets = l->fields[5],
            .processed_offsets_size = strlen(l->fields[5]),
        };
        assert_ok(h->changelog->ops->append(h->changelog, &record, &err), err);
    }
    free(golden.text);
}

static void test_a_changelog_of_quix_streams_recovers_to_its_state(void **state)
{
    harness *h = *state;
    text_list found;
    text_list expected;
    produce_golden(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    state_lines(h, &found);
    golden_lines(&expected, "state");
    assert_lists_equal(&found, &expected);
    assert_int_equal(weir_partition_processed_offset(h->partition, "flights"),
                     INT64_C(1000000000001));
    assert_int_equal(weir_partition_processed_offset(h->partition, "weather"), 8);
}

static void test_state_of_quix_streams_reads_back_as_typed_values(void **state)
{
    harness *h = *state;
    weir_error err;
    int64_t integer;
    double number;
    weir_slice text;
    produce_golden(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    weir_txn *txn = harness_begin(h);
    weir_state *view = weir_txn_state(txn, weir_slice_str("N14228"));
    assert_ok(weir_state_get_int(view, "flights", -1, &integer, &err), err);
    assert_int_equal(integer, 3);
    assert_ok(weir_state_get_string(view, "again", weir_slice_str("?"), &text, &err), err);
    assert_true(weir_slice_equal(text, weir_slice_str("2")));
    bool exists = true;
    assert_ok(weir_state_exists(view, "destination", &exists, &err), err);
    assert_false(exists);
    view = weir_txn_state(txn, weir_slice_str(""));
    assert_ok(weir_state_get_int(view, "i3", 0, &integer, &err), err);
    assert_true(integer == INT64_MIN);
    assert_ok(weir_state_get_double(view, "d11", 0, &number, &err), err);
    assert_true(number == 1.7976931348623157e308);
    assert_ok(weir_state_get_double(view, "d12", 0, &number, &err), err);
    assert_true(number == 5e-324);
    view = weir_txn_state(txn, weir_slice_str("text"));
    assert_ok(weir_state_get_string(view, "s4", weir_slice_str("?"), &text, &err), err);
    assert_true(weir_slice_equal(text, weir_slice_of("\0\x01\x1f\x7f", 4)));
    assert_ok(weir_state_get_string(view, "s6", weir_slice_str("?"), &text, &err), err);
    assert_true(weir_slice_equal(text, weir_slice_str("\xe2\x82\xac \xf0\x9f\x9a\x80")));
    view = weir_txn_state(txn, weir_slice_str("bin"));
    assert_ok(weir_state_get_bytes(view, "b1", &text, &err), err);
    assert_int_equal(text.size, 256);
    view = weir_txn_state(txn, weir_slice_of("\0\xff|", 3));
    assert_ok(weir_state_get(view, weir_slice_str("a|b"), &text, &err), err);
    assert_true(weir_slice_equal(text, weir_slice_str("x")));
    weir_txn_free(txn);
}

static weir_slice metadata(harness *h, const char *key, weir_backend_value *value)
{
    weir_error err;
    assert_ok(h->partition->backend->get(h->partition->db, h->partition->metadata, NULL,
                                         weir_slice_str(key), value, &err),
              err);
    return weir_slice_of(value->data, value->size);
}

static void test_offsets_are_stored_as_documented(void **state)
{
    harness *h = *state;
    weir_backend_value value;
    for (int i = 0; i < 0x102; i++)
        harness_put(h, "k", "v", i);
    weir_slice found = metadata(h, "__changelog_offset__", &value);
    assert_true(weir_slice_equal(found, weir_slice_of("\0\0\0\0\0\0\1\1", 8)));
    h->partition->backend->value_release(h->partition->db, &value);
    found = metadata(h, "__weir_processed_offsets__", &value);
    assert_true(weir_slice_equal(found, weir_slice_str("{\"flights\":257}")));
    h->partition->backend->value_release(h->partition->db, &value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_changelog_records_have_the_bytes_of_quix_streams),
        TEST(test_keys_values_and_metadata_have_the_bytes_of_quix_streams),
        TEST(test_a_changelog_of_quix_streams_recovers_to_its_state),
        TEST(test_state_of_quix_streams_reads_back_as_typed_values),
        TEST(test_offsets_are_stored_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
