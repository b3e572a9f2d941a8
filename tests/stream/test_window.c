/*
 * Operators over a windowed store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "support_host.h"

#include <cmocka.h>

#define SIZE_MS 10

/* Hands on the windows that are over: "start:count". */
static weir_status close_windows(weir_context *context, weir_state *state,
                                 const weir_record *record, int64_t latest, weir_error *err)
{
    weir_windows *over;
    weir_window window;
    weir_status status = weir_window_expire(state, latest - SIZE_MS, 0, &over, err);
    if (status)
        return status;
    while ((status = weir_windows_next(over, &window, err)) == WEIR_OK) {
        weir_record result = *record;
        char *text = weir_context_alloc(context, 64);
        assert_non_null(text);
        int size = snprintf(text, 64, "%d:%.*s", (int)window.start_ms, (int)window.value.size,
                            (const char *)window.value.data);
        result.value = weir_slice_of(text, (size_t)size);
        status = weir_forward(context, &result, err);
        if (status)
            break;
    }
    weir_windows_close(over);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status count_in_windows(weir_context *context, weir_state *state,
                                    const weir_record *record, void *arg, weir_error *err)
{
    int64_t start = record->timestamp - record->timestamp % SIZE_MS;
    int64_t latest;
    weir_slice value;
    char count = '0';
    (void)arg;
    weir_status status = weir_window_get(state, start, start + SIZE_MS, &value, err);
    if (status == WEIR_OK)
        count = *(const char *)value.data;
    else if (status != WEIR_NOT_FOUND)
        return status;
    count++;
    status = weir_window_update(state, start, start + SIZE_MS, weir_slice_of(&count, 1),
                                record->timestamp, err);
    if (status == WEIR_OK)
        status = weir_window_latest_timestamp(state, &latest, err);
    return status ? status : close_windows(context, state, record, latest, err);
}

static test_host *new_counting(weir_app *app)
{
    weir_error err;
    weir_store_config store;
    weir_store_config_init(&store);
    store.kind = WEIR_STORE_WINDOWED;
    weir_stream *stream =
        weir_stream_apply_stateful(test_source(app), &store, count_in_windows, NULL, &err);
    assert_non_null(stream);
    return test_host_new_windowed(test_to(stream, "out"));
}

/* Records come at 1000 + offset. */
static void send(test_host *host, const char *key, int64_t offset)
{
    weir_error err;
    assert_int_equal(test_host_run(host, key, "", offset, &err), WEIR_OK);
}

static void test_an_operator_hands_on_the_windows_of_a_key_that_are_over(void **state)
{
    weir_app *app = test_app_new();
    test_host *host = new_counting(app);
    (void)state;
    send(host, "a", 0);
    send(host, "a", 9);
    send(host, "b", 9);
    send(host, "a", 5);
    send(host, "a", 10);
    send(host, "a", 6); /* too late */
    assert_string_equal(test_host_sent(host, 0), "a=1000:3");
    test_host_free(host);
    weir_app_free(app);
}

static void test_windows_of_an_operator_are_over_once_and_by_key(void **state)
{
    weir_app *app = test_app_new();
    test_host *host = new_counting(app);
    (void)state;
    send(host, "a", 0);
    send(host, "b", 0);
    send(host, "b", 1);
    send(host, "a", 25);
    send(host, "a", 26);
    send(host, "b", 47);
    assert_string_equal(test_host_sent(host, 0), "a=1000:1 b=1000:2");
    test_host_free(host);
    weir_app_free(app);
}

static void test_a_window_function_fails_in_an_operator_over_a_plain_store(void **state)
{
    weir_app *app = test_app_new();
    weir_error err;
    (void)state;
    weir_stream *stream =
        weir_stream_apply_stateful(test_source(app), NULL, count_in_windows, NULL, &err);
    assert_non_null(stream);
    test_host *host = test_host_new(test_to(stream, "out"), 1);
    assert_int_equal(test_host_run(host, "a", "", 0, &err), WEIR_INVALID);
    assert_string_equal(test_host_sent(host, 0), "");
    test_host_free(host);
    weir_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_operator_hands_on_the_windows_of_a_key_that_are_over),
        cmocka_unit_test(test_windows_of_an_operator_are_over_once_and_by_key),
        cmocka_unit_test(test_a_window_function_fails_in_an_operator_over_a_plain_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
