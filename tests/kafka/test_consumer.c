/*
 * The consumer of a worker on a real broker: batches, positions, commits, and partitions
 * that move between members of a group.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_layer.h"

#include <cmocka.h>

#include "base/clock.h"
#include "support/kafka.h"

#define WAIT_MS    20000
#define PARTITIONS 8

/* Members learn of a rebalance by their next heartbeat. */
static const weir_option quick_rebalance[] = {{"heartbeat.interval.ms", "100"}, {NULL, NULL}};

/* A member of a group, as a worker uses it: resumes what it gets, counts what it reads. */
typedef struct member {
    weir__consumer *consumer;
    bool resume; /* at once when assigned */
    bool owned[PARTITIONS];
    int64_t committed[PARTITIONS]; /* as told by `assigned` */
    int64_t next[PARTITIONS];      /* offset after the last record */
    size_t owned_count;
    size_t records;
    int assigned_calls;
    int revoked_calls;
    int lost_calls;
    bool commit_in_revoked;
    weir_status commit_status;
    weir_status fail_assigned;
    const volatile bool *stop;
    const char *topic;
} member;

static weir_status on_assigned(const weir__topic_partition *partitions, size_t count, void *arg,
                               weir_error *err)
{
    member *self = arg;
    self->assigned_calls++;
    for (size_t i = 0; i < count; i++) {
        int32_t number = partitions[i].partition;
        self->owned[number] = true;
        self->owned_count++;
        self->committed[number] = partitions[i].offset;
        self->next[number] = partitions[i].offset < 0 ? 0 : partitions[i].offset;
        if (self->resume && weir__consumer_resume(self->consumer, partitions[i].topic, number, err))
            return WEIR_KAFKA;
    }
    if (self->fail_assigned)
        return weir_error_set(err, self->fail_assigned, "no room for more");
    return WEIR_OK;
}

static weir_status on_revoked(const weir__topic_partition *partitions, size_t count, bool lost,
                              void *arg, weir_error *err)
{
    member *self = arg;
    self->revoked_calls++;
    self->lost_calls += lost;
    for (size_t i = 0; i < count; i++) {
        int32_t number = partitions[i].partition;
        if (self->commit_in_revoked) {
            weir__topic_partition offset = {partitions[i].topic, number, self->next[number]};
            self->commit_status = weir__consumer_commit(self->consumer, &offset, 1, err);
        }
        self->owned[number] = false;
        self->owned_count--;
    }
    return WEIR_OK;
}

static void join(member *self, const char *bootstrap, const char *group, const char *topic,
                 const weir_option *properties)
{
    weir_error err;
    weir__kafka_config config = test_config(bootstrap, group);
    config.consumer = properties;
    weir__consumer_events events = {on_assigned, on_revoked, self, self->stop};
    self->topic = topic;
    assert_ok(weir__consumer_new(&config, &events, &self->consumer, &err));
    assert_ok(weir__consumer_subscribe(self->consumer, &topic, 1, &err));
}

static void leave(member *self)
{
    weir_error err;
    assert_ok(weir__consumer_close(self->consumer, &err));
    self->consumer = NULL;
}

/* One poll; checks that the records follow each other. */
static void poll_once(member *self, int timeout_ms, size_t max)
{
    weir_error err;
    size_t count;
    weir__message *messages;
    assert_ok(weir__consumer_poll(self->consumer, timeout_ms, max, &messages, &count, &err));
    for (size_t i = 0; i < count; i++) {
        const weir_record *record = &messages[i].record;
        assert_true(self->owned[record->partition]);
        assert_int_equal(record->offset, self->next[record->partition]);
        self->next[record->partition] = record->offset + 1;
        self->records++;
    }
    weir__consumer_release(self->consumer);
}

static void poll_until_records(member *self, size_t records)
{
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (self->records < records && weir__now_ms() < deadline)
        poll_once(self, 100, 100);
    assert_int_equal(self->records, records);
}

static void poll_until_owned(member *a, member *b, size_t owned_a, size_t owned_b)
{
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while ((a->owned_count != owned_a || (b && b->owned_count != owned_b)) &&
           weir__now_ms() < deadline) {
        poll_once(a, 20, 100);
        if (b)
            poll_once(b, 20, 100);
    }
    assert_int_equal(a->owned_count, owned_a);
    if (b)
        assert_int_equal(b->owned_count, owned_b);
}

static void test_records_come_in_batches_with_all_their_parts(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    size_t count = 0;
    weir__message *messages;
    member self = {.resume = true};
    const char *topic = kafka_unique("parts");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    rd_kafka_t *producer = kafka_producer(broker->bootstrap, NULL);
    kafka_send(producer, topic, 0, "key", "value", 1234567890123);
    kafka_send(producer, topic, 0, NULL, "no key", 1);
    kafka_send(producer, topic, 0, "no value", NULL, 1);
    kafka_send(producer, topic, 0, "", "", 1);
    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_HEADER("a", "1", 1), RD_KAFKA_V_HEADER("b", NULL, 0),
                      RD_KAFKA_V_END);
    kafka_flush(producer);
    rd_kafka_destroy(producer);
    join(&self, broker->bootstrap, topic, topic, NULL);
    int64_t deadline = weir__now_ms() + WAIT_MS;
    /* Once more from the start, if the fetch gave the first of them before the others. */
    while (count != 5 && weir__now_ms() < deadline) {
        weir__consumer_release(self.consumer);
        if (count > 0)
            assert_ok(weir__consumer_seek(self.consumer, topic, 0, 0, &err));
        assert_ok(weir__consumer_poll(self.consumer, 1000, 100, &messages, &count, &err));
    }
    assert_int_equal(count, 5);
    const weir_record *record = &messages[0].record;
    assert_string_equal(record->topic, topic);
    assert_int_equal(record->offset, 0);
    assert_int_equal(record->timestamp, 1234567890123);
    assert_true(weir_slice_equal(record->key, weir_slice_str("key")));
    assert_true(weir_slice_equal(record->value, weir_slice_str("value")));
    assert_false(messages[1].record.has_key);
    assert_true(messages[1].record.has_value);
    assert_true(messages[2].record.has_key);
    assert_false(messages[2].record.has_value);
    assert_true(messages[3].record.has_key && messages[3].record.has_value);
    assert_int_equal(messages[3].record.key.size + messages[3].record.value.size, 0);
    assert_ok(weir__message_headers(self.consumer, &messages[0], &err));
    assert_int_equal(messages[0].record.header_count, 0);
    assert_ok(weir__message_headers(self.consumer, &messages[4], &err));
    assert_int_equal(messages[4].record.header_count, 2);
    assert_string_equal(messages[4].record.headers[0].name, "a");
    assert_true(weir_slice_equal(messages[4].record.headers[0].value, weir_slice_str("1")));
    assert_null(messages[4].record.headers[1].value.data);
    leave(&self);
}

static void test_new_partitions_start_paused_at_the_committed_offset(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    member self = {.resume = false};
    const char *topic = kafka_unique("paused");
    kafka_create_topic(broker->bootstrap, topic, 2, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 50);
    kafka_fill(broker->bootstrap, topic, 1, 50);
    join(&self, broker->bootstrap, topic, topic, NULL);
    poll_until_owned(&self, NULL, 2, 0);
    assert_int_equal(self.committed[0], WEIR_OFFSET_NONE);
    for (int i = 0; i < 10; i++)
        poll_once(&self, 50, 100);
    assert_int_equal(self.records, 0);
    assert_ok(weir__consumer_resume(self.consumer, topic, 1, &err));
    poll_until_records(&self, 50);
    assert_int_equal(self.next[1], 50);
    weir__topic_partition offset = {topic, 1, 20};
    assert_ok(weir__consumer_commit(self.consumer, &offset, 1, &err));
    leave(&self);
    member again = {.resume = true};
    join(&again, broker->bootstrap, topic, topic, NULL);
    poll_until_records(&again, 80);
    assert_int_equal(again.committed[0], WEIR_OFFSET_NONE);
    assert_int_equal(again.committed[1], 20);
    leave(&again);
}

static void test_pause_seek_and_resume_lose_and_repeat_nothing(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    member self = {.resume = true};
    const char *topic = kafka_unique("seek");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 1000);
    join(&self, broker->bootstrap, topic, topic, NULL);
    /* poll_once checks that each record follows the one before. */
    while (self.records < 100)
        poll_once(&self, 100, 7);
    for (int i = 0; i < 20; i++) {
        size_t before = self.records;
        assert_ok(weir__consumer_pause(self.consumer, topic, 0, &err));
        poll_once(&self, 20, 7);
        assert_int_equal(self.records, before);
        assert_ok(weir__consumer_resume(self.consumer, topic, 0, &err));
        int64_t deadline = weir__now_ms() + WAIT_MS;
        while (self.records == before && weir__now_ms() < deadline)
            poll_once(&self, 100, 7);
        assert_int_not_equal(self.records, before);
    }
    /* While records are fetched ahead: back, forward, and while it is paused. */
    static const int64_t targets[] = {3, 900, 500, 0, 499};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        bool paused = i % 2 == 1;
        if (paused)
            assert_ok(weir__consumer_pause(self.consumer, topic, 0, &err));
        assert_ok(weir__consumer_seek(self.consumer, topic, 0, targets[i], &err));
        if (paused)
            assert_ok(weir__consumer_resume(self.consumer, topic, 0, &err));
        self.next[0] = targets[i];
        self.records = 0;
        while (self.records < 50)
            poll_once(&self, 100, 7);
    }
    leave(&self);
}

/* An old librdkafka sleeps for a second each time its queue was full: 16 times here. */
static void test_full_fetch_queue_does_not_stall_the_consumer(void **state)
{
    static const weir_option properties[] = {{"queued.min.messages", "1000"}, {NULL, NULL}};
    kafka_broker *broker = *state;
    member self = {.resume = true};
    const char *topic = kafka_unique("full");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 400000);
    join(&self, broker->bootstrap, topic, topic, properties);
    poll_until_owned(&self, NULL, 1, 0);
    int64_t begin = weir__now_ms();
    while (self.records < 400000 && weir__now_ms() - begin < WAIT_MS)
        poll_once(&self, 100, 100);
    assert_int_equal(self.records, 400000);
    assert_in_range(weir__now_ms() - begin, 0, 8000);
    leave(&self);
}

static void test_seek_right_after_the_assignment_decides_where_it_begins(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    member self = {.resume = false};
    const char *topic = kafka_unique("begin");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 100);
    join(&self, broker->bootstrap, topic, topic, NULL);
    poll_until_owned(&self, NULL, 1, 0);
    assert_ok(weir__consumer_seek(self.consumer, topic, 0, 60, &err));
    self.next[0] = 60;
    poll_once(&self, 100, 100);
    assert_int_equal(self.records, 0);
    assert_ok(weir__consumer_resume(self.consumer, topic, 0, &err));
    poll_until_records(&self, 40);
    leave(&self);
}

static void test_positions_of_partitions_that_are_not_assigned_are_refused(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    member self = {.resume = false};
    const char *topic = kafka_unique("foreign");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    join(&self, broker->bootstrap, topic, topic, NULL);
    poll_until_owned(&self, NULL, 1, 0);
    assert_int_equal(weir__consumer_pause(self.consumer, topic, 5, &err), WEIR_INVALID);
    assert_int_equal(weir__consumer_resume(self.consumer, "other", 0, &err), WEIR_INVALID);
    assert_int_equal(weir__consumer_seek(self.consumer, topic, 1, 0, &err), WEIR_INVALID);
    assert_contains(err.message, "partition 1 is not assigned");
    leave(&self);
}

static void test_committed_offsets_and_watermarks_are_the_brokers(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    int64_t offset = 0, low, high;
    member self = {.resume = false};
    const char *topic = kafka_unique("marks");
    kafka_create_topic(broker->bootstrap, topic, 2, NULL);
    kafka_fill(broker->bootstrap, topic, 1, 30);
    kafka_delete_records(broker->bootstrap, topic, 1, 12);
    join(&self, broker->bootstrap, topic, topic, NULL);
    poll_until_owned(&self, NULL, 2, 0);
    assert_ok(weir__consumer_committed(self.consumer, topic, 1, &offset, &err));
    assert_int_equal(offset, WEIR_OFFSET_NONE);
    const weir__topic_partition offsets[] = {{topic, 0, 0}, {topic, 1, 25}};
    assert_ok(weir__consumer_commit(self.consumer, offsets, 2, &err));
    assert_ok(weir__consumer_committed(self.consumer, topic, 1, &offset, &err));
    assert_int_equal(offset, 25);
    assert_int_equal(kafka_committed(broker->bootstrap, topic, topic, 1), 25);
    assert_ok(weir__consumer_watermarks(self.consumer, topic, 1, &low, &high, &err));
    assert_int_equal(low, 12);
    assert_int_equal(high, 30);
    assert_ok(weir__consumer_commit(self.consumer, NULL, 0, &err));
    leave(&self);
}

static void test_second_member_takes_half_while_the_first_keeps_the_rest(void **state)
{
    kafka_broker *broker = *state;
    member first = {.resume = true, .commit_in_revoked = true};
    member second = {.resume = true, .commit_in_revoked = true};
    const char *topic = kafka_unique("moves");
    kafka_create_topic(broker->bootstrap, topic, 4, NULL);
    for (int i = 0; i < 4; i++)
        kafka_fill(broker->bootstrap, topic, i, 100);
    join(&first, broker->bootstrap, topic, topic, quick_rebalance);
    poll_until_records(&first, 400);
    assert_int_equal(first.assigned_calls, 1);
    join(&second, broker->bootstrap, topic, topic, quick_rebalance);
    poll_until_owned(&first, &second, 2, 2);
    /* Cooperative: what stays was never given up, and what moved went on where it stood. */
    assert_int_equal(first.revoked_calls, 1);
    assert_int_equal(first.lost_calls, 0);
    assert_int_equal(first.commit_status, WEIR_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(first.owned[i] != second.owned[i]);
        if (second.owned[i])
            assert_int_equal(second.committed[i], 100);
        kafka_fill(broker->bootstrap, topic, i, 10);
    }
    first.records = 0;
    poll_until_records(&first, 20);
    poll_until_records(&second, 20);
    leave(&second);
    assert_int_equal(second.revoked_calls, 1);
    assert_int_equal(second.owned_count, 0);
    poll_until_owned(&first, NULL, 4, 0);
    leave(&first);
    assert_int_equal(first.owned_count, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(kafka_committed(broker->bootstrap, topic, topic, i), 110);
}

static void test_member_that_does_not_poll_loses_its_partitions(void **state)
{
    static const weir_option properties[] = {{"max.poll.interval.ms", "1500"},
                                             {"session.timeout.ms", "1500"},
                                             {"heartbeat.interval.ms", "300"},
                                             {NULL, NULL}};
    kafka_broker *broker = *state;
    weir_error err;
    member slow = {.resume = true, .commit_in_revoked = true};
    member quick = {.resume = true};
    const char *topic = kafka_unique("lost");
    kafka_create_topic(broker->bootstrap, topic, 2, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 10);
    test_log_capture();
    join(&slow, broker->bootstrap, topic, topic, properties);
    poll_until_owned(&slow, NULL, 2, 0);
    join(&quick, broker->bootstrap, topic, topic, properties);
    /* `slow` polls no more: the other gets everything. */
    poll_until_owned(&quick, NULL, 2, 0);
    weir__topic_partition offset = {topic, 0, 5};
    assert_int_equal(weir__consumer_commit(slow.consumer, &offset, 1, &err), WEIR_FENCED);
    poll_until_owned(&slow, NULL, 0, 0);
    assert_int_equal(slow.lost_calls, 1);
    assert_int_equal(slow.commit_status, WEIR_FENCED);
    assert_int_equal(test_log_count("kafka.max_poll_exceeded"), 1);
    /* It comes back to the group by polling. */
    poll_until_owned(&slow, &quick, 1, 1);
    slow.commit_in_revoked = false;
    leave(&slow);
    leave(&quick);
    test_log_release();
}

static void test_error_of_the_assigned_event_is_returned_by_poll(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    size_t count;
    weir__message *messages;
    weir_status status = WEIR_OK;
    member self = {.resume = true, .fail_assigned = WEIR_NO_SPACE};
    const char *topic = kafka_unique("refused");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    join(&self, broker->bootstrap, topic, topic, NULL);
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (!status && weir__now_ms() < deadline)
        status = weir__consumer_poll(self.consumer, 100, 10, &messages, &count, &err);
    assert_int_equal(status, WEIR_NO_SPACE);
    assert_string_equal(err.message, "no room for more");
    leave(&self);
}

static weir_status poll_for_error(weir__consumer *consumer, weir_error *err)
{
    size_t count;
    weir__message *messages;
    weir_status status = WEIR_OK;
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (!status && weir__now_ms() < deadline)
        status = weir__consumer_poll(consumer, 100, 10, &messages, &count, err);
    return status;
}

static void test_member_that_is_to_stop_takes_no_partitions(void **state)
{
    kafka_broker *broker = *state;
    volatile bool stop = true;
    member self = {.resume = true, .stop = &stop};
    const char *topic = kafka_unique("leaving");
    kafka_create_topic(broker->bootstrap, topic, PARTITIONS, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 10);
    test_log_capture();
    join(&self, broker->bootstrap, topic, topic, NULL);
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (test_log_count("kafka.assigned") == 0 && weir__now_ms() < deadline)
        poll_once(&self, 100, 100);
    assert_int_equal(test_log_count("kafka.assigned"), PARTITIONS);
    poll_once(&self, 300, 100);
    assert_int_equal(self.assigned_calls, 0);
    assert_int_equal(self.records, 0);
    leave(&self);
    test_log_release();
    assert_int_equal(self.assigned_calls, 0);
}

static void *stop_soon(void *arg)
{
    volatile bool *stop = arg;
    weir__sleep_ms(300, NULL);
    __atomic_store_n(stop, true, __ATOMIC_RELAXED);
    return NULL;
}

static void test_stop_ends_questions_to_a_broker_that_does_not_answer(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    volatile bool stop = false;
    member self = {.resume = true, .stop = &stop};
    int64_t offset, low, high;
    pthread_t stopper;
    const char *topic = kafka_unique("silent");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 10);
    join(&self, broker->bootstrap, topic, topic, NULL);
    poll_until_records(&self, 10);
    assert_int_equal(kill(broker->pid, SIGSTOP), 0);
    int64_t began = weir__now_ms();
    assert_int_equal(pthread_create(&stopper, NULL, stop_soon, (void *)&stop), 0);
    weir_status committed = weir__consumer_committed(self.consumer, topic, 0, &offset, &err);
    weir_status watermarks = weir__consumer_watermarks(self.consumer, topic, 0, &low, &high, NULL);
    int64_t took = weir__now_ms() - began;
    pthread_join(stopper, NULL);
    kill(broker->pid, SIGCONT);
    assert_int_equal(committed, WEIR_ABORTED);
    assert_contains(err.message, "stopped");
    assert_int_equal(watermarks, WEIR_ABORTED);
    assert_true(took < 8000); /* either alone would wait for 10 s */
    leave(&self);
}

static void test_missing_topic_is_told(void **state)
{
    static const weir_option properties[] = {{"topic.metadata.propagation.max.ms", "100"},
                                             {"topic.metadata.refresh.fast.interval.ms", "50"},
                                             {NULL, NULL}};
    kafka_broker *broker = *state;
    weir_error err;
    member self = {.resume = true};
    const char *topic = kafka_unique("not-there");
    join(&self, broker->bootstrap, topic, topic, properties);
    assert_int_equal(poll_for_error(self.consumer, &err), WEIR_TOPIC);
    assert_contains(err.message, topic);
    leave(&self);
}

static void test_no_committed_offset_is_an_error_if_reset_says_so(void **state)
{
    kafka_broker *broker = *state;
    weir_error err;
    member self = {.resume = true};
    const char *topic = kafka_unique("no-reset");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    weir__kafka_config config = test_config(broker->bootstrap, topic);
    config.auto_offset_reset = "error";
    weir__consumer_events events = {.assigned = on_assigned, .revoked = on_revoked, .arg = &self};
    assert_ok(weir__consumer_new(&config, &events, &self.consumer, &err));
    assert_ok(weir__consumer_subscribe(self.consumer, &topic, 1, &err));
    assert_int_equal(poll_for_error(self.consumer, &err), WEIR_OFFSET);
    assert_contains(err.message, topic);
    assert_contains(err.message, "auto_offset_reset");
    leave(&self);
}

static void test_broker_that_comes_back_is_taken_up_again(void **state)
{
    kafka_broker *broker = *state;
    member self = {.resume = true};
    const char *topic = kafka_unique("back");
    kafka_create_topic(broker->bootstrap, topic, 1, NULL);
    kafka_fill(broker->bootstrap, topic, 0, 10);
    join(&self, broker->bootstrap, topic, topic, NULL);
    poll_until_records(&self, 10);
    kafka_broker_kill(broker);
    poll_once(&self, 300, 10);
    kafka_broker_restart(broker);
    kafka_fill(broker->bootstrap, topic, 0, 10);
    poll_until_records(&self, 20);
    leave(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_in_batches_with_all_their_parts),
        cmocka_unit_test(test_new_partitions_start_paused_at_the_committed_offset),
        cmocka_unit_test(test_pause_seek_and_resume_lose_and_repeat_nothing),
        cmocka_unit_test(test_full_fetch_queue_does_not_stall_the_consumer),
        cmocka_unit_test(test_seek_right_after_the_assignment_decides_where_it_begins),
        cmocka_unit_test(test_positions_of_partitions_that_are_not_assigned_are_refused),
        cmocka_unit_test(test_committed_offsets_and_watermarks_are_the_brokers),
        cmocka_unit_test(test_second_member_takes_half_while_the_first_keeps_the_rest),
        cmocka_unit_test(test_member_that_does_not_poll_loses_its_partitions),
        cmocka_unit_test(test_error_of_the_assigned_event_is_returned_by_poll),
        cmocka_unit_test(test_member_that_is_to_stop_takes_no_partitions),
        cmocka_unit_test(test_stop_ends_questions_to_a_broker_that_does_not_answer),
        cmocka_unit_test(test_missing_topic_is_told),
        cmocka_unit_test(test_no_committed_offset_is_an_error_if_reset_says_so),
        cmocka_unit_test(test_broker_that_comes_back_is_taken_up_again),
    };
    if (!kafka_broker_available())
        return kafka_broker_skip();
    return cmocka_run_group_tests(tests, kafka_broker_setup, kafka_broker_teardown);
}
