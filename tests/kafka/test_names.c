/*
 * Names of changelog topics: those that Quix Streams 3.x gives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "support_layer.h"

#include <cmocka.h>

static void check(const char *group, const char *stream_id, const char *store, const char *expected)
{
    weir_error err;
    weir__buffer name;
    weir__buffer_init(&name);
    assert_ok(weir__changelog_topic_name(&name, group, stream_id, store, &err));
    assert_string_equal((const char *)name.data, expected);
    assert_int_equal(name.size, strlen(expected) + 1);
    weir__buffer_release(&name);
}

static void test_name_has_group_stream_and_store(void **state)
{
    (void)state;
    check("flights", "flights", "default", "changelog__flights--flights--default");
    check("my-group", "topic.a", "count_tumbling_window_1000",
          "changelog__my-group--topic.a--count_tumbling_window_1000");
    check("g", "a--b", "default", "changelog__g--a--b--default");
}

static void test_name_without_stream_has_group_and_store(void **state)
{
    (void)state;
    check("group", NULL, "store", "changelog__group--store");
}

static void test_internal_topic_is_nested_without_its_group(void **state)
{
    (void)state;
    check("group", "repartition__group--orders--by-user", "default",
          "changelog__group--repartition.orders.by-user--default");
    check("group", "repartition__group--repartition.orders.by-user--again", "default",
          "changelog__group--repartition.repartition.orders.by-user.again--default");
}

static void test_internal_topic_of_another_group_stays_as_it_is(void **state)
{
    (void)state;
    check("group", "repartition__other--orders--by-user", "default",
          "changelog__group--repartition__other--orders--by-user--default");
}

static void test_name_is_appended_and_a_failure_leaves_the_buffer(void **state)
{
    weir_error err;
    weir__buffer name;
    (void)state;
    weir__buffer_init(&name);
    weir__buffer_append_str(&name, "before:");
    assert_int_equal(weir__changelog_topic_name(&name, "group", "bad topic", "default", &err),
                     WEIR_INVALID);
    assert_contains(err.message, "changelog__group--bad topic--default");
    assert_contains(err.message, "0x20");
    assert_int_equal(name.size, strlen("before:"));
    assert_ok(weir__changelog_topic_name(&name, "g", "t", "s", &err));
    assert_string_equal((const char *)name.data, "before:changelog__g--t--s");
    weir__buffer_release(&name);
}

static void test_name_of_249_bytes_is_the_longest(void **state)
{
    char store[250];
    weir_error err;
    weir__buffer name;
    (void)state;
    weir__buffer_init(&name);
    size_t fixed = strlen("changelog__g--t--");
    memset(store, 's', sizeof store);
    store[249 - fixed] = '\0';
    assert_ok(weir__changelog_topic_name(&name, "g", "t", store, &err));
    assert_int_equal(name.size, 250);
    store[249 - fixed] = 's';
    store[250 - fixed] = '\0';
    assert_int_equal(weir__changelog_topic_name(&name, "g", "t", store, &err), WEIR_TOO_LARGE);
    assert_contains(err.message, "250 bytes");
    weir__buffer_release(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_has_group_stream_and_store),
        cmocka_unit_test(test_name_without_stream_has_group_and_store),
        cmocka_unit_test(test_internal_topic_is_nested_without_its_group),
        cmocka_unit_test(test_internal_topic_of_another_group_stays_as_it_is),
        cmocka_unit_test(test_name_is_appended_and_a_failure_leaves_the_buffer),
        cmocka_unit_test(test_name_of_249_bytes_is_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
