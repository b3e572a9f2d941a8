/*
 * The changelog over a topic of a real broker: append, flush and read back; with
 * transactions, truncation and compaction.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_layer.h"

#include <cmocka.h>

#include "base/clock.h"
#include "support/kafka.h"

#define WAIT_MS 30000
#define BATCH   64

/* A changelog of one partition with the clients of a worker. */
typedef struct fixture {
    weir__producer *producer;
    weir_kafka_reader *reader;
    weir_changelog *log;
} fixture;

static fixture open_log(const char *bootstrap, const char *topic, int32_t partition)
{
    weir_error err;
    fixture self;
    weir__kafka_config config = test_config(bootstrap, "group");
    assert_ok(weir__producer_new(&config, &self.producer, &err));
    assert_ok(weir__kafka_reader_new(&config, &self.reader, &err));
    assert_ok(
        weir__kafka_changelog_open(self.producer, self.reader, topic, partition, &self.log, &err));
    return self;
}

static void close_log(fixture *self)
{
    self->log->ops->close(self->log);
    weir_kafka_reader_free(self->reader);
    weir__producer_free(self->producer);
}

static weir_changelog_record text_record(const char *cf, const char *key, const char *value)
{
    weir_changelog_record record = {.cf = cf, .key = weir_slice_str(key)};
    if (value)
        record.value = weir_slice_str(value);
    record.is_tombstone = value == NULL;
    return record;
}

static void append(weir_changelog *log, const char *cf, const char *key, const char *value)
{
    weir_error err;
    weir_changelog_record record = text_record(cf, key, value);
    assert_ok(log->ops->append(log, &record, &err));
}

static int64_t flush(weir_changelog *log)
{
    weir_error err;
    int64_t last;
    assert_ok(log->ops->flush(log, 20000, &last, &err));
    return last;
}

/* Reads from `offset` until the position reaches the high watermark; returns the number of
 * records. Each is handed to `check`, which may be NULL. */
static size_t read_to_end(weir_changelog *log, int64_t offset,
                          void (*check)(const weir_changelog_record *record, size_t index))
{
    weir_error err;
    int64_t low, high, position = 0, previous = offset - 1;
    size_t total = 0;
    weir_changelog_record records[BATCH];
    assert_ok(log->ops->range(log, &low, &high, &err));
    assert_ok(log->ops->seek(log, offset, &err));
    int64_t deadline = weir__now_ms() + WAIT_MS;
    do {
        size_t count;
        assert_true(weir__now_ms() < deadline);
        assert_ok(log->ops->read(log, records, BATCH, 1000, &count, &position, &err));
        for (size_t i = 0; i < count; i++) {
            assert_true(records[i].offset > previous);
            previous = records[i].offset;
            if (check)
                check(&records[i], total + i);
        }
        total += count;
    } while (position < high);
    assert_int_equal(position, high);
    return total;
}

static void check_golden(const weir_changelog_record *record, size_t index)
{
    static const char *const cfs[] = {"default", "default", "__expiration-index__", "default"};
    static const char *const keys[] = {"a|\"n\"", "b|\"n\"", "a", "a|\"n\""};
    assert_string_equal(record->cf, cfs[index]);
    assert_true(weir_slice_equal(record->key, weir_slice_str(keys[index])));
    assert_int_equal(record->offset, index);
    assert_int_equal(record->is_tombstone, index == 3);
    assert_int_equal(record->ttl_stamped, index == 0);
    if (index == 0)
        assert_memory_equal(record->processed_offsets, "{\"t\":7}", record->processed_offsets_size);
    else
        assert_memory_equal(record->processed_offsets, "null", record->processed_offsets_size);
    assert_int_equal(record->processed_offsets_size, index == 0 ? 7 : 4);
    if (index == 2)
        assert_int_equal(record->value.size, 0);
}

static void test_appended_records_are_read_back_with_all_their_parts(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("changelog__g--t");
    kafka_create_topic(broker->bootstrap, topic, 2, NULL);
    fixture self = open_log(broker->bootstrap, topic, 1);
    char name[160];
    snprintf(name, sizeof name, "%s[1]", topic);
    assert_string_equal(self.log->name, name);
    assert_int_equal(flush(self.log), WEIR_OFFSET_NONE);
    weir_changelog_record first = text_record("default", "a|\"n\"", "1");
    first.processed_offsets = "{\"t\":7}";
    first.processed_offsets_size = 7;
    first.ttl_stamped = true;
    assert_ok(self.log->ops->append(self.log, &first, &err));
    append(self.log, "default", "b|\"n\"", "2");
    append(self.log, "__expiration-index__", "a", "");
    append(self.log, "default", "a|\"n\"", NULL);
    assert_int_equal(flush(self.log), 3);
    assert_int_equal(read_to_end(self.log, 0, check_golden), 4);
    assert_int_equal(read_to_end(self.log, 3, NULL), 1);
    close_log(&self);
    /* What others read: the headers of Quix Streams, and nothing in the other partition. */
    kafka_records records = kafka_read_all(broker->bootstrap, topic);
    assert_int_equal(records.count, 4);
    assert_int_equal(records.items[0].partition, 1);
    assert_int_equal(records.items[0].header_count, 3);
    assert_string_equal(kafka_record_header(&records.items[0], "__ttl_stamped__"), "\x01");
    assert_int_equal(records.items[1].header_count, 2);
    assert_string_equal(kafka_record_header(&records.items[0], "__column_family__"), "default");
    assert_string_equal(kafka_record_header(&records.items[0], "__processed_tp_offsets__"),
                        "{\"t\":7}");
    assert_string_equal(kafka_record_header(&records.items[1], "__processed_tp_offsets__"), "null");
    assert_null(records.items[3].value);
    kafka_records_free(&records);
}

static void test_empty_log_has_nothing_to_read(void **state)
{
    weir_error err;
    int64_t low = -1, high = -1;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("empty");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    assert_ok(self.log->ops->range(self.log, &low, &high, &err));
    assert_int_equal(low, 0);
    assert_int_equal(high, 0);
    assert_int_equal(read_to_end(self.log, 0, NULL), 0);
    close_log(&self);
}

static void test_reading_and_appending_alternate(void **state)
{
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("alternate");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 100; i++)
            append(self.log, "default", "key", "value");
        assert_int_equal(flush(self.log), 100 * (round + 1) - 1);
        assert_int_equal(read_to_end(self.log, 0, NULL), 100 * (round + 1));
        assert_int_equal(read_to_end(self.log, 100 * round, NULL), 100);
    }
    close_log(&self);
}

static void test_seek_drops_what_was_read_ahead(void **state)
{
    weir_error err;
    size_t count = 0;
    int64_t position;
    weir_changelog_record record;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("ahead");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    for (int i = 0; i < 2000; i++)
        append(self.log, "default", "key", "value");
    flush(self.log);
    static const int64_t targets[] = {1500, 10, 700, 699, 0, 1999};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        assert_ok(self.log->ops->seek(self.log, targets[i], &err));
        count = 0;
        int64_t deadline = weir__now_ms() + WAIT_MS;
        while (count == 0 && weir__now_ms() < deadline)
            assert_ok(self.log->ops->read(self.log, &record, 1, 100, &count, &position, &err));
        assert_int_equal(count, 1);
        assert_int_equal(record.offset, targets[i]);
        assert_int_equal(position, targets[i] + 1);
    }
    close_log(&self);
}

static void test_several_logs_of_one_reader_are_read_side_by_side(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("many");
    weir_changelog *logs[4];
    size_t totals[4] = {0};
    kafka_create_topic(broker->bootstrap, topic, 4, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    logs[0] = self.log;
    for (int p = 1; p < 4; p++)
        assert_ok(weir__kafka_changelog_open(self.producer, self.reader, topic, p, &logs[p], &err));
    for (int i = 0; i < 500; i++)
        for (int p = 0; p < 4; p++)
            append(logs[p], "default", "key", p == 0 ? "0" : p == 1 ? "1" : p == 2 ? "2" : "3");
    flush(logs[0]);
    for (int p = 0; p < 4; p++)
        assert_ok(logs[p]->ops->seek(logs[p], 0, &err));
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (totals[0] + totals[1] + totals[2] + totals[3] < 2000 && weir__now_ms() < deadline)
        for (int p = 0; p < 4; p++) {
            size_t count;
            int64_t position;
            weir_changelog_record records[BATCH];
            assert_ok(logs[p]->ops->read(logs[p], records, BATCH, 20, &count, &position, &err));
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(records[i].offset, totals[p] + i);
                assert_int_equal(((const char *)records[i].value.data)[0], '0' + p);
            }
            totals[p] += count;
        }
    for (int p = 0; p < 4; p++)
        assert_int_equal(totals[p], 500);
    for (int p = 1; p < 4; p++)
        logs[p]->ops->close(logs[p]);
    close_log(&self);
}

static void test_a_reader_alone_reads_and_does_not_write(void **state)
{
    weir_error err;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("read-only");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    append(self.log, "default", "a|\"n\"", "1");
    append(self.log, "default", "b|\"n\"", NULL);
    flush(self.log);

    const weir_option properties[] = {{"fetch.message.max.bytes", "100000"}, {NULL, NULL}};
    weir_kafka_reader *reader;
    weir_changelog *log;
    assert_ok(weir_kafka_reader_new(broker->bootstrap, "group", properties, &reader, &err));
    assert_ok(weir_kafka_reader_open(reader, topic, 0, &log, &err));
    assert_int_equal(read_to_end(log, 0, NULL), 2);
    assert_int_equal(read_to_end(log, 1, NULL), 1);
    weir_changelog_record record = text_record("default", "c", "1");
    int64_t last = 7;
    assert_int_equal(log->ops->append(log, &record, &err), WEIR_UNSUPPORTED);
    assert_contains(err.message, topic);
    assert_int_equal(log->ops->flush(log, 1000, &last, &err), WEIR_UNSUPPORTED);
    assert_int_equal(last, WEIR_OFFSET_NONE);
    log->ops->close(log);
    weir_kafka_reader_free(reader);
    close_log(&self);
}

static void test_a_reader_refuses_what_it_cannot_take(void **state)
{
    (void)state;
    weir_error err;
    weir_kafka_reader *reader;
    const weir_option own[] = {{"isolation.level", "read_uncommitted"}, {NULL, NULL}};
    const weir_option unknown[] = {{"no.such.property", "1"}, {NULL, NULL}};
    assert_int_equal(weir_kafka_reader_new(NULL, "group", NULL, &reader, &err), WEIR_INVALID);
    assert_int_equal(weir_kafka_reader_new("localhost:1", "group", own, &reader, &err),
                     WEIR_INVALID);
    assert_contains(err.message, "isolation.level");
    assert_int_equal(weir_kafka_reader_new("localhost:1", "group", unknown, &reader, &err),
                     WEIR_INVALID);
    assert_null(reader);
    weir_kafka_reader_free(NULL);
}

/* A transaction by another producer, as exactly-once processing writes a changelog. */
static void transaction(rd_kafka_t *producer, const char *topic, int count, bool commit)
{
    assert_null(rd_kafka_begin_transaction(producer));
    for (int i = 0; i < count; i++)
        assert_int_equal(rd_kafka_producev(
                             producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("k", 1),
                             RD_KAFKA_V_VALUE(commit ? "good" : "drop", 4),
                             RD_KAFKA_V_HEADER("__column_family__", "default", -1), RD_KAFKA_V_END),
                         0);
    kafka_flush(producer); /* an abort drops what is not sent */
    if (commit)
        assert_null(rd_kafka_commit_transaction(producer, 20000));
    else
        assert_null(rd_kafka_abort_transaction(producer, 20000));
}

/* The end of a transaction reaches the log some time after the commit has returned. */
static void wait_for_high(weir_changelog *log, int64_t expected)
{
    weir_error err;
    int64_t low, high = -1;
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (high != expected && weir__now_ms() < deadline)
        assert_ok(log->ops->range(log, &low, &high, &err));
    assert_int_equal(high, expected);
}

static void check_committed(const weir_changelog_record *record, size_t index)
{
    (void)index;
    assert_true(weir_slice_equal(record->value, weir_slice_str("good")));
    assert_null(record->processed_offsets);
}

static void test_position_moves_past_control_and_aborted_records(void **state)
{
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("transactions");
    const weir_option properties[] = {{"transactional.id", topic}, {NULL, NULL}};
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    rd_kafka_t *producer = kafka_producer(broker->bootstrap, properties);
    assert_null(rd_kafka_init_transactions(producer, 30000));
    fixture self = open_log(broker->bootstrap, topic, 0);
    transaction(producer, topic, 10, true);
    /* The last offset is a control record: 10 records, high is 11. */
    wait_for_high(self.log, 11);
    int64_t begin = weir__now_ms();
    assert_int_equal(read_to_end(self.log, 0, check_committed), 10);
    assert_int_equal(read_to_end(self.log, 10, check_committed), 0);
    assert_true(weir__now_ms() - begin < 3000);
    /* Behind it only records of an aborted transaction. */
    transaction(producer, topic, 500, false);
    wait_for_high(self.log, 512);
    assert_int_equal(read_to_end(self.log, 0, check_committed), 10);
    assert_int_equal(read_to_end(self.log, 100, check_committed), 0);
    transaction(producer, topic, 5, true);
    transaction(producer, topic, 3, false);
    wait_for_high(self.log, 522);
    assert_int_equal(read_to_end(self.log, 0, check_committed), 15);
    /* An open transaction ends what can be read; it holds up nothing. */
    assert_null(rd_kafka_begin_transaction(producer));
    kafka_send(producer, topic, 0, "k", "open", 0);
    rd_kafka_flush(producer, 10000);
    assert_int_equal(read_to_end(self.log, 0, check_committed), 15);
    assert_null(rd_kafka_abort_transaction(producer, 20000));
    close_log(&self);
    rd_kafka_destroy(producer);
}

static void test_truncated_log_says_so(void **state)
{
    weir_error err;
    int64_t low, high, position;
    size_t count;
    weir_changelog_record record;
    weir_status status = WEIR_OK;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("truncated");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    for (int i = 0; i < 100; i++)
        append(self.log, "default", "key", "value");
    flush(self.log);
    kafka_delete_records(broker->bootstrap, topic, 0, 60);
    assert_ok(self.log->ops->range(self.log, &low, &high, &err));
    assert_int_equal(low, 60);
    assert_int_equal(high, 100);
    assert_int_equal(read_to_end(self.log, 60, NULL), 40);
    assert_ok(self.log->ops->seek(self.log, 20, &err));
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (!status && weir__now_ms() < deadline)
        status = self.log->ops->read(self.log, &record, 1, 100, &count, &position, &err);
    assert_int_equal(status, WEIR_OFFSET);
    assert_contains(err.message, self.log->name);
    assert_contains(err.message, "offset 20");
    assert_int_equal(position, 20);
    close_log(&self);
}

static void check_compacted(const weir_changelog_record *record, size_t index)
{
    (void)index;
    assert_true(record->offset >= 0);
    assert_string_equal(record->cf, "default");
}

static void test_compacted_log_is_read_over_its_gaps(void **state)
{
    static const weir_option config[] = {{"cleanup.policy", "compact"},
                                         {"segment.ms", "200"},
                                         {"min.cleanable.dirty.ratio", "0.01"},
                                         {"max.compaction.lag.ms", "200"},
                                         {NULL, NULL}};
    kafka_broker *broker = *state;
    char key[16];
    const char *topic = kafka_unique("compacted");
    size_t left = 1000;
    kafka_create_topic(broker->bootstrap, topic, 1, config);
    fixture self = open_log(broker->bootstrap, topic, 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key%d", i % 5);
        append(self.log, "default", key, "value");
    }
    flush(self.log);
    int64_t deadline = weir__now_ms() + WAIT_MS;
    int64_t appended = 1000;
    while (left > 100 && weir__now_ms() < deadline) {
        /* The active segment is never compacted: another record rolls it. */
        append(self.log, "default", "roll", "value");
        flush(self.log);
        appended++;
        left = read_to_end(self.log, 0, check_compacted);
    }
    assert_in_range(left, 6, 100);
    assert_int_equal(read_to_end(self.log, appended - 1, NULL), 1);
    close_log(&self);
}

static void test_foreign_message_is_named(void **state)
{
    weir_error err;
    int64_t position;
    size_t count;
    weir_changelog_record record;
    weir_status status = WEIR_OK;
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("foreign");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 1);
    fixture self = open_log(broker->bootstrap, topic, 0);
    assert_ok(self.log->ops->seek(self.log, 0, &err));
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (!status && weir__now_ms() < deadline)
        status = self.log->ops->read(self.log, &record, 1, 100, &count, &position, &err);
    assert_int_equal(status, WEIR_SERIALIZATION);
    assert_contains(err.message, "__column_family__");
    assert_contains(err.message, "offset 0");
    close_log(&self);
}

static void test_missing_topic_is_told(void **state)
{
    weir_error err;
    int64_t low, high;
    kafka_broker *broker = *state;
    fixture self = open_log(broker->bootstrap, kafka_unique("missing"), 0);
    weir_status status = self.log->ops->range(self.log, &low, &high, &err);
    assert_int_equal(status, WEIR_TOPIC);
    assert_contains(err.message, self.log->name);
    close_log(&self);
}

static void test_closing_with_records_on_their_way_is_safe(void **state)
{
    kafka_broker *broker = *state;
    const char *topic = kafka_unique("closing");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    fixture self = open_log(broker->bootstrap, topic, 0);
    for (int i = 0; i < 100; i++)
        append(self.log, "default", "key", "value");
    self.log->ops->close(self.log);
    weir_error err;
    assert_ok(weir__producer_flush(self.producer, 20000, &err));
    weir_kafka_reader_free(self.reader);
    weir__producer_free(self.producer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appended_records_are_read_back_with_all_their_parts),
        cmocka_unit_test(test_empty_log_has_nothing_to_read),
        cmocka_unit_test(test_reading_and_appending_alternate),
        cmocka_unit_test(test_seek_drops_what_was_read_ahead),
        cmocka_unit_test(test_several_logs_of_one_reader_are_read_side_by_side),
        cmocka_unit_test(test_a_reader_alone_reads_and_does_not_write),
        cmocka_unit_test(test_a_reader_refuses_what_it_cannot_take),
        cmocka_unit_test(test_position_moves_past_control_and_aborted_records),
        cmocka_unit_test(test_truncated_log_says_so),
        cmocka_unit_test(test_compacted_log_is_read_over_its_gaps),
        cmocka_unit_test(test_foreign_message_is_named),
        cmocka_unit_test(test_missing_topic_is_told),
        cmocka_unit_test(test_closing_with_records_on_their_way_is_safe),
    };
    if (!kafka_broker_available())
        return kafka_broker_skip();
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
