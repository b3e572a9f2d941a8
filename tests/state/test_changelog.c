/*
 * The changelog in memory keeps the rules of a partition of a Kafka topic.
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

typedef struct fixture {
    weir_memory_topic *topic;
    weir_changelog *log;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    weir_error err;
    f->topic = weir_memory_topic_new();
    assert_non_null(f->topic);
    assert_ok(weir_memory_topic_open(f->topic, "log[0]", &f->log, &err), err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    if (f->log != NULL)
        f->log->ops->close(f->log);
    weir_memory_topic_free(f->topic);
    free(f);
    return 0;
}

static void append(weir_changelog *log, const char *cf, const char *key, const char *value)
{
    weir_error err;
    weir_changelog_record record = {
        .cf = cf,
        .key = weir_slice_str(key),
        .value = value != NULL ? weir_slice_str(value) : weir_slice_of(NULL, 0),
        .is_tombstone = value == NULL,
        .processed_offsets = "{\"t\":1}",
        .processed_offsets_size = 7,
    };
    assert_ok(log->ops->append(log, &record, &err), err);
}

static void append_many(weir_changelog *log, int count)
{
    for (int i = 0; i < count; i++) {
        char key[32];
        char value[32];
        snprintf(key, sizeof(key), "key-%d", i);
        snprintf(value, sizeof(value), "value-%d", i);
        append(log, "default", key, value);
    }
}

static size_t read_some(weir_changelog *log, weir_changelog_record *records, size_t max,
                        int64_t *position)
{
    weir_error err;
    size_t count;
    assert_ok(log->ops->read(log, records, max, 0, &count, position, &err), err);
    return count;
}

static void seek(weir_changelog *log, int64_t offset)
{
    weir_error err;
    assert_ok(log->ops->seek(log, offset, &err), err);
}

static void assert_range(weir_changelog *log, int64_t low, int64_t high)
{
    weir_error err;
    int64_t found_low;
    int64_t found_high;
    assert_ok(log->ops->range(log, &found_low, &found_high, &err), err);
    assert_int_equal(found_low, low);
    assert_int_equal(found_high, high);
}

static void test_a_new_topic_is_empty_and_says_so(void **state)
{
    fixture *f = *state;
    weir_changelog_record record;
    weir_error err;
    int64_t position;
    int64_t last;
    assert_range(f->log, 0, 0);
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, &record, 1, &position), 0);
    assert_int_equal(position, 0);
    assert_ok(f->log->ops->flush(f->log, 0, &last, &err), err);
    assert_int_equal(last, WEIR_OFFSET_NONE);
    assert_string_equal(f->log->name, "log[0]");
}

static void test_records_come_back_as_they_were_appended(void **state)
{
    fixture *f = *state;
    weir_error err;
    weir_changelog_record odd = {
        .cf = "__global-counter__",
        .key = weir_slice_of("a\0|b", 4),
        .value = weir_slice_of("\0\xff", 2),
        .processed_offsets = "null",
        .processed_offsets_size = 4,
    };
    append(f->log, "default", "k", "v");
    assert_ok(f->log->ops->append(f->log, &odd, &err), err);
    append(f->log, "default", "k", NULL);
    weir_changelog_record bare = {.key = weir_slice_of(NULL, 0), .value = weir_slice_of(NULL, 0)};
    assert_ok(f->log->ops->append(f->log, &bare, &err), err);

    weir_changelog_record records[8];
    int64_t position;
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, records, 8, &position), 4);
    assert_int_equal(position, 4);
    assert_string_equal(records[0].cf, "default");
    assert_true(weir_slice_equal(records[0].key, weir_slice_str("k")));
    assert_true(weir_slice_equal(records[0].value, weir_slice_str("v")));
    assert_false(records[0].is_tombstone);
    assert_memory_equal(records[0].processed_offsets, "{\"t\":1}", 7);
    assert_int_equal(records[0].processed_offsets_size, 7);
    assert_string_equal(records[1].cf, "__global-counter__");
    assert_true(weir_slice_equal(records[1].key, odd.key));
    assert_true(weir_slice_equal(records[1].value, odd.value));
    assert_memory_equal(records[1].processed_offsets, "null", 4);
    assert_true(records[2].is_tombstone);
    assert_int_equal(records[2].value.size, 0);
    assert_null(records[3].cf);
    assert_null(records[3].processed_offsets);
    assert_int_equal(records[3].key.size, 0);
    assert_false(records[3].is_tombstone);
    for (int i = 0; i < 4; i++)
        assert_int_equal(records[i].offset, i);
}

static void test_reading_in_blocks_gives_every_record_once_and_in_order(void **state)
{
    fixture *f = *state;
    enum { COUNT = 5000 };
    append_many(f->log, COUNT);
    weir_changelog_record records[37];
    int64_t position = 0;
    int next = 0;
    seek(f->log, 0);
    while (position < COUNT) {
        size_t count = read_some(f->log, records, 37, &position);
        for (size_t i = 0; i < count; i++, next++) {
            char key[32];
            snprintf(key, sizeof(key), "key-%d", next);
            assert_int_equal(records[i].offset, next);
            assert_true(weir_slice_equal(records[i].key, weir_slice_str(key)));
        }
    }
    assert_int_equal(next, COUNT);
}

static void test_seeking_reads_from_the_first_record_at_or_after_the_offset(void **state)
{
    fixture *f = *state;
    append_many(f->log, 3000);
    weir_changelog_record record;
    int64_t position;
    for (int64_t offset = 0; offset < 3000; offset += 511) {
        seek(f->log, offset);
        assert_int_equal(read_some(f->log, &record, 1, &position), 1);
        assert_int_equal(record.offset, offset);
        assert_int_equal(position, offset + 1);
    }
    seek(f->log, 3000);
    assert_int_equal(read_some(f->log, &record, 1, &position), 0);
    assert_int_equal(position, 3000);
    seek(f->log, 9999);
    assert_int_equal(read_some(f->log, &record, 1, &position), 0);
    assert_int_equal(position, 9999);
}

static void test_appended_records_stay_when_the_handle_is_closed_and_another_opened(void **state)
{
    fixture *f = *state;
    weir_error err;
    int64_t last;
    append(f->log, "default", "a", "1");
    assert_ok(f->log->ops->flush(f->log, 0, &last, &err), err);
    assert_int_equal(last, 0);
    f->log->ops->close(f->log);
    assert_ok(weir_memory_topic_open(f->topic, "log[0]", &f->log, &err), err);
    assert_range(f->log, 0, 1);
    assert_ok(f->log->ops->flush(f->log, 0, &last, &err), err);
    assert_int_equal(last, WEIR_OFFSET_NONE);
    append(f->log, "default", "b", "2");
    assert_ok(f->log->ops->flush(f->log, 0, &last, &err), err);
    assert_int_equal(last, 1);
    weir_changelog_record records[4];
    int64_t position;
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, records, 4, &position), 2);
}

static void test_truncating_moves_the_low_watermark_and_frees_what_is_below(void **state)
{
    fixture *f = *state;
    append_many(f->log, 3000);
    weir_changelog_record record;
    int64_t position;
    weir_memory_topic_truncate(f->topic, 2500);
    assert_range(f->log, 2500, 3000);
    seek(f->log, 10);
    assert_int_equal(read_some(f->log, &record, 1, &position), 1);
    assert_int_equal(record.offset, 2500);
    assert_true(weir_slice_equal(record.key, weir_slice_str("key-2500")));
    weir_memory_topic_truncate(f->topic, 100);
    assert_range(f->log, 2500, 3000);
    weir_memory_topic_truncate(f->topic, 99999);
    assert_range(f->log, 3000, 3000);
    append(f->log, "default", "next", "1");
    assert_range(f->log, 3000, 3001);
}

static void test_a_reader_overtaken_by_truncation_is_told(void **state)
{
    fixture *f = *state;
    append_many(f->log, 10);
    weir_changelog_record record;
    weir_error err;
    size_t count = 1;
    int64_t position;
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, &record, 1, &position), 1);
    weir_memory_topic_truncate(f->topic, 5);
    assert_int_equal(f->log->ops->read(f->log, &record, 1, 0, &count, &position, &err),
                     WEIR_OFFSET);
    assert_int_equal(count, 0);
    assert_non_null(strstr(err.message, "log[0]"));
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, &record, 1, &position), 1);
    assert_int_equal(record.offset, 5);
}

static void test_compaction_keeps_the_last_record_of_each_key_and_family(void **state)
{
    fixture *f = *state;
    append(f->log, "default", "a", "old");
    append(f->log, "other", "a", "another family");
    append(f->log, "default", "b", "kept");
    append(f->log, "default", "a", "new");
    append(f->log, "default", "c", "gone");
    append(f->log, "default", "c", NULL);
    weir_memory_topic_compact(f->topic);
    assert_range(f->log, 0, 6);
    weir_changelog_record records[8];
    int64_t position;
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, records, 8, &position), 4);
    assert_int_equal(position, 6);
    const int64_t offsets[] = {1, 2, 3, 5};
    for (int i = 0; i < 4; i++)
        assert_int_equal(records[i].offset, offsets[i]);
    assert_true(weir_slice_equal(records[2].value, weir_slice_str("new")));
    assert_true(records[3].is_tombstone);
    append(f->log, "default", "d", "after");
    seek(f->log, 6);
    assert_int_equal(read_some(f->log, records, 8, &position), 1);
    assert_int_equal(records[0].offset, 6);
}

static void test_compaction_of_many_keys_agrees_with_replaying_all(void **state)
{
    fixture *f = *state;
    test_random random = {.state = test_seed(7)};
    int last[100];
    memset(last, -1, sizeof(last));
    for (int i = 0; i < 20000; i++) {
        char key[16];
        char value[16];
        int number = (int)test_random_below(&random, 100);
        snprintf(key, sizeof(key), "%d", number);
        snprintf(value, sizeof(value), "%d", i);
        append(f->log, "default", key, value);
        last[number] = i;
    }
    weir_memory_topic_compact(f->topic);
    weir_changelog_record records[128];
    int64_t position;
    seek(f->log, 0);
    size_t count = read_some(f->log, records, 128, &position);
    assert_int_equal(count, 100);
    assert_int_equal(position, 20000);
    for (size_t i = 0; i < count; i++) {
        char key[16];
        memcpy(key, records[i].key.data, records[i].key.size);
        key[records[i].key.size] = '\0';
        assert_int_equal(records[i].offset, last[atoi(key)]);
    }
}

static void test_the_position_moves_over_control_records(void **state)
{
    fixture *f = *state;
    weir_changelog_record records[4];
    int64_t position;
    append(f->log, "default", "a", "1");
    weir_memory_topic_append_control(f->topic);
    assert_range(f->log, 0, 2);
    seek(f->log, 0);
    assert_int_equal(read_some(f->log, records, 4, &position), 1);
    assert_int_equal(position, 2);
    seek(f->log, 1);
    assert_int_equal(read_some(f->log, records, 4, &position), 0);
    assert_int_equal(position, 2);
    append(f->log, "default", "b", "2");
    assert_int_equal(read_some(f->log, records, 4, &position), 1);
    assert_int_equal(records[0].offset, 2);
}

static void test_a_million_records_are_appended_and_read_back(void **state)
{
    fixture *f = *state;
    append_many(f->log, 1000000);
    assert_range(f->log, 0, 1000000);
    static weir_changelog_record records[10000];
    int64_t position = 0;
    size_t total = 0;
    seek(f->log, 0);
    while (position < 1000000)
        total += read_some(f->log, records, 10000, &position);
    assert_int_equal(total, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_new_topic_is_empty_and_says_so),
        TEST(test_records_come_back_as_they_were_appended),
        TEST(test_reading_in_blocks_gives_every_record_once_and_in_order),
        TEST(test_seeking_reads_from_the_first_record_at_or_after_the_offset),
        TEST(test_appended_records_stay_when_the_handle_is_closed_and_another_opened),
        TEST(test_truncating_moves_the_low_watermark_and_frees_what_is_below),
        TEST(test_a_reader_overtaken_by_truncation_is_told),
        TEST(test_compaction_keeps_the_last_record_of_each_key_and_family),
        TEST(test_compaction_of_many_keys_agrees_with_replaying_all),
        TEST(test_the_position_moves_over_control_records),
        TEST(test_a_million_records_are_appended_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
