/*
 * The format of dumps (docs/formats/dump.md): its bytes, what a reader hands out, what it refuses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump.h"

#define S weir_slice_str

typedef struct text {
    char *data;
    size_t size;
} text;

/* A state folder of two partitions: what golden/two.dump holds. */
static text write_two(void)
{
    text made = {0};
    weir_error err;
    dump_writer *writer;
    digest sum;
    weir_error_init(&err);
    FILE *out = open_memstream(&made.data, &made.size);
    weir_status status = dump_writer_new(out, &writer, &err);
    status |= dump_write_database(writer, "group/default/topic/0", "rocksdb 7.8.3", &err);
    status |= dump_write_family(writer, "__metadata__", &err);
    status |= dump_write_row(writer, S("__changelog_offset__"),
                             weir_slice_of("\0\0\0\0\0\0\1\1", 8), &err);
    status |= dump_write_family(writer, "default", &err);
    status |= dump_write_row(writer, S(""), S("of the empty key"), &err);
    status |= dump_write_row(writer, S("N14228|\"flights\""), S("3"), &err);
    status |= dump_write_row(writer, weir_slice_of("\xff\0", 2), S(""), &err);
    status |= dump_write_database_end(writer, &sum, &err);
    status |= dump_write_database(writer, "group/default/topic/1", "rocksdb 7.8.3", &err);
    status |= dump_write_family(writer, "default", &err);
    status |= dump_write_database_end(writer, &sum, &err);
    status |= dump_write_end(writer, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(sum.rows, 0);
    dump_writer_free(writer);
    fclose(out);
    return made;
}

static text read_golden(void)
{
    text made = {.data = malloc(65536)};
    FILE *in = fopen(WEIR_TEST_DIR "/tools/golden/two.dump", "rb");
    assert_non_null(in);
    made.size = fread(made.data, 1, 65536, in);
    fclose(in);
    return made;
}

/* All that a dump hands out, as text. */
static weir_status tell(const text *dump, char *told, size_t told_size, weir_error *err)
{
    dump_reader *reader;
    dump_event event = DUMP_ROW;
    weir_error_init(err);
    FILE *in = fmemopen(dump->data, dump->size, "rb");
    FILE *out = fmemopen(told, told_size, "w");
    weir_status status = dump_reader_new(in, &reader, err);
    while (status == WEIR_OK && event != DUMP_END) {
        dump_item item;
        status = dump_read(reader, &event, &item, err);
        if (status != WEIR_OK)
            break;
        if (event == DUMP_DATABASE)
            fprintf(out, "database %s of %s\n", item.path, item.backend);
        else if (event == DUMP_FAMILY)
            fprintf(out, "family %s\n", item.family);
        else if (event == DUMP_ROW)
            fprintf(out, "%zu %zu %.*s\n", item.key.size, item.value.size, (int)item.value.size,
                    (const char *)item.value.data);
        else if (event == DUMP_DATABASE_END)
            fprintf(out, "%zu rows of %zu bytes\n", (size_t)item.sum.rows, (size_t)item.sum.size);
        else
            fprintf(out, "end\n");
    }
    dump_reader_free(reader);
    fclose(in);
    fclose(out);
    return status;
}

static void test_a_dump_has_the_bytes_of_the_golden_file(void **state)
{
    (void)state;
    text made = write_two();
    if (getenv("WEIR_UPDATE_GOLDEN") != NULL) {
        FILE *out = fopen(WEIR_TEST_DIR "/tools/golden/two.dump", "wb");
        assert_int_equal(fwrite(made.data, 1, made.size, out), made.size);
        fclose(out);
    }
    text golden = read_golden();
    assert_int_equal(made.size, golden.size);
    assert_memory_equal(made.data, golden.data, made.size);
    free(made.data);
    free(golden.data);
}

static void test_the_golden_file_is_read(void **state)
{
    (void)state;
    char told[2048];
    weir_error err;
    text golden = read_golden();
    assert_int_equal(tell(&golden, told, sizeof told, &err), WEIR_OK);
    /* The offset begins with NUL, where printf ends. */
    assert_string_equal(told, "database group/default/topic/0 of rocksdb 7.8.3\n"
                              "family __metadata__\n20 8 \n"
                              "family default\n0 16 of the empty key\n16 1 3\n2 0 \n"
                              "4 rows of 63 bytes\n"
                              "database group/default/topic/1 of rocksdb 7.8.3\nfamily default\n"
                              "0 rows of 0 bytes\nend\n");
    free(golden.data);
}

static void test_every_cut_is_told(void **state)
{
    (void)state;
    char told[2048];
    weir_error err;
    text golden = read_golden();
    for (size_t size = 1; size < golden.size; size++) {
        text cut = {golden.data, size};
        weir_status status = tell(&cut, told, sizeof told, &err);
        assert_int_equal(status, size < 12 ? WEIR_INVALID : WEIR_CORRUPTED);
        assert_non_null(strstr(err.message, size < 12 ? "no dump of weir" : "cut short"));
    }
    free(golden.data);
}

static void test_every_changed_byte_is_told(void **state)
{
    (void)state;
    char told[4096];
    weir_error err;
    text golden = read_golden();
    for (size_t at = 0; at < golden.size; at++) {
        golden.data[at] ^= 0x20;
        weir_status status = tell(&golden, told, sizeof told, &err);
        assert_int_not_equal(status, WEIR_OK);
        assert_int_equal(status, at < 8 ? WEIR_INVALID : at < 12 ? WEIR_VERSION : WEIR_CORRUPTED);
        golden.data[at] ^= 0x20;
    }
    free(golden.data);
}

static void test_rows_of_any_size_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 262143, 262144, 3000000};
    weir_error err;
    text made = {0};
    dump_writer *writer;
    dump_reader *reader;
    dump_event event;
    dump_item item;
    digest sum;
    char key[2] = "a";
    char *value = malloc(3000000);
    memset(value, 'v', 3000000);
    FILE *out = open_memstream(&made.data, &made.size);
    assert_int_equal(dump_writer_new(out, &writer, &err), WEIR_OK);
    assert_int_equal(dump_write_database(writer, "", "", &err), WEIR_OK);
    assert_int_equal(dump_write_family(writer, "default", &err), WEIR_OK);
    for (size_t i = 0; i < 6; i++, key[0]++)
        assert_int_equal(dump_write_row(writer, S(key), weir_slice_of(value, sizes[i]), &err),
                         WEIR_OK);
    assert_int_equal(dump_write_database_end(writer, &sum, &err), WEIR_OK);
    assert_int_equal(dump_write_end(writer, &err), WEIR_OK);
    dump_writer_free(writer);
    fclose(out);
    FILE *in = fmemopen(made.data, made.size, "rb");
    assert_int_equal(dump_reader_new(in, &reader, &err), WEIR_OK);
    assert_int_equal(dump_read(reader, &event, &item, &err), WEIR_OK);
    assert_int_equal(dump_read(reader, &event, &item, &err), WEIR_OK);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(dump_read(reader, &event, &item, &err), WEIR_OK);
        assert_int_equal(event, DUMP_ROW);
        assert_true(weir_slice_equal(item.value, weir_slice_of(value, sizes[i])));
    }
    assert_int_equal(dump_read(reader, &event, &item, &err), WEIR_OK);
    assert_int_equal(event, DUMP_DATABASE_END);
    assert_true(digest_equal(&sum, &item.sum));
    assert_int_equal(dump_read(reader, &event, &item, &err), WEIR_OK);
    assert_int_equal(event, DUMP_END);
    dump_reader_free(reader);
    fclose(in);
    free(made.data);
    free(value);
}

/* A dump that is right in every checksum and wrong in what it says. */
static void refuse_made(const char *path, const char *first, const char *second,
                        const char *first_key, const char *second_key, const char *why)
{
    char told[1024];
    weir_error err;
    text made = {0};
    dump_writer *writer;
    digest sum;
    FILE *out = open_memstream(&made.data, &made.size);
    assert_int_equal(dump_writer_new(out, &writer, &err), WEIR_OK);
    assert_int_equal(dump_write_database(writer, path, "x", &err), WEIR_OK);
    assert_int_equal(dump_write_family(writer, first, &err), WEIR_OK);
    assert_int_equal(dump_write_family(writer, second, &err), WEIR_OK);
    assert_int_equal(dump_write_row(writer, S(first_key), S(""), &err), WEIR_OK);
    assert_int_equal(dump_write_row(writer, S(second_key), S(""), &err), WEIR_OK);
    assert_int_equal(dump_write_database_end(writer, &sum, &err), WEIR_OK);
    assert_int_equal(dump_write_end(writer, &err), WEIR_OK);
    dump_writer_free(writer);
    fclose(out);
    assert_int_equal(tell(&made, told, sizeof told, &err), why == NULL ? WEIR_OK : WEIR_CORRUPTED);
    if (why != NULL)
        assert_non_null(strstr(err.message, why));
    free(made.data);
}

static void test_paths_that_lead_elsewhere_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"..",   "../x", "a/../../x", "/etc", "a//b",
                                      "a/..", "a/",   ".",         "./a",  "a/./b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse_made(bad[i], "a", "b", "k", "l", "a path that leads elsewhere");
    refuse_made("..a/b.", "a", "b", "k", "l", NULL);
}

static void test_what_is_out_of_order_is_refused(void **state)
{
    (void)state;
    refuse_made("a", "b", "a", "k", "l", "families are not in order");
    refuse_made("a", "b", "b", "k", "l", "families are not in order");
    refuse_made("a", "a", "b", "l", "k", "rows are not in order");
    refuse_made("a", "a", "b", "k", "k", "rows are not in order");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dump_has_the_bytes_of_the_golden_file),
        cmocka_unit_test(test_the_golden_file_is_read),
        cmocka_unit_test(test_every_cut_is_told),
        cmocka_unit_test(test_every_changed_byte_is_told),
        cmocka_unit_test(test_rows_of_any_size_come_back),
        cmocka_unit_test(test_paths_that_lead_elsewhere_are_refused),
        cmocka_unit_test(test_what_is_out_of_order_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
