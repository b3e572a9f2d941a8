/*
 * Tests of clocks, interruptible sleep and big-endian integers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/endian.h"

static void test_the_wall_clock_is_that_of_the_system(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t now = weir__wall_ms();
    /* The coarse clock behind time() may lag by a tick. */
    assert_in_range(now, before, ((int64_t)time(NULL) + 2) * 1000);
}

static void test_sleep_takes_at_least_its_time(void **state)
{
    (void)state;
    bool stop = false;
    int64_t before = weir__now_ms();
    assert_true(weir__sleep_ms(30, NULL));
    assert_true(weir__sleep_ms(30, &stop));
    assert_true(weir__now_ms() - before >= 58);
    assert_true(weir__sleep_ms(0, NULL));
    assert_true(weir__sleep_ms(-5, NULL));
}

typedef struct sleeper {
    volatile bool is_asleep;
    volatile bool stop;
    bool result;
} sleeper;

static void *sleep_long(void *arg)
{
    sleeper *self = arg;
    __atomic_store_n(&self->is_asleep, true, __ATOMIC_RELEASE);
    self->result = weir__sleep_ms(60000, &self->stop);
    return NULL;
}

static void test_a_stop_ends_the_sleep_soon(void **state)
{
    (void)state;
    sleeper other = {.result = true};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, sleep_long, &other), 0);
    while (!__atomic_load_n(&other.is_asleep, __ATOMIC_ACQUIRE))
        weir__sleep_ms(1, NULL);
    int64_t before = weir__now_ms();
    __atomic_store_n(&other.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_false(other.result);
    assert_true(weir__now_ms() - before < 10000);
}

static void test_a_stop_before_the_sleep_prevents_it(void **state)
{
    (void)state;
    bool stop = true;
    assert_false(weir__sleep_ms(60000, &stop));
    assert_false(weir__sleep_ms(0, &stop));
}

static void test_big_endian_bytes_sort_as_numbers(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 255, 256, UINT64_C(0x0102030405060708), INT64_MAX, UINT64_MAX};
    uint8_t before[8];
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        uint8_t bytes[8];
        weir__put_be64(bytes, values[i]);
        assert_true(weir__get_be64(bytes) == values[i]);
        if (i > 0)
            assert_true(memcmp(before, bytes, 8) < 0);
        memcpy(before, bytes, 8);
    }
    weir__put_be64(before, UINT64_C(0x0102030405060708));
    assert_memory_equal(before, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_wall_clock_is_that_of_the_system),
        cmocka_unit_test(test_sleep_takes_at_least_its_time),
        cmocka_unit_test(test_a_stop_ends_the_sleep_soon),
        cmocka_unit_test(test_a_stop_before_the_sleep_prevents_it),
        cmocka_unit_test(test_big_endian_bytes_sort_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
