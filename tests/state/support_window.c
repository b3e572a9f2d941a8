/*
 * See support_window.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_window.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static char text[1 << 16];
static size_t text_size;

static void begin_text(void)
{
    text_size = 0;
    text[0] = '\0';
}

static void add_text(const char *what, size_t size)
{
    assert_true(text_size + size < sizeof text);
    memcpy(text + text_size, what, size);
    text_size += size;
    text[text_size] = '\0';
}

static void add_slice(weir_slice slice)
{
    add_text(slice.size ? slice.data : "", slice.size);
}

void window_open(harness *h)
{
    harness_close(h);
    h->store.kind = WEIR_STORE_WINDOWED;
    harness_open(h);
}

weir_txn *window_begin(harness *h)
{
    if (weir_partition_kind(h->partition) != WEIR_STORE_WINDOWED)
        window_open(h);
    return harness_begin(h);
}

weir_txn *window_commit(harness *h, weir_txn *txn)
{
    harness_commit(h, txn, 1);
    return harness_begin(h);
}

weir_txn *window_reopen(harness *h, weir_txn *txn)
{
    harness_commit(h, txn, 1);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    return harness_begin(h);
}

weir_state *window_state(weir_txn *txn, weir_slice key)
{
    weir_state *state = weir_txn_state(txn, key);
    assert_non_null(state);
    return state;
}

static weir_state *state_of(weir_txn *txn, const char *key)
{
    return window_state(txn, weir_slice_str(key));
}

void window_update(weir_txn *txn, const char *key, int64_t start, int64_t end, const char *value,
                   int64_t timestamp)
{
    weir_error err;
    assert_ok(
        weir_window_update(state_of(txn, key), start, end, weir_slice_str(value), timestamp, &err),
        err);
}

void window_delete(weir_txn *txn, const char *key, int64_t start, int64_t end)
{
    weir_error err;
    assert_ok(weir_window_delete(state_of(txn, key), start, end, &err), err);
}

const char *window_get(weir_txn *txn, const char *key, int64_t start, int64_t end)
{
    weir_error err;
    weir_slice value;
    begin_text();
    weir_status status = weir_window_get(state_of(txn, key), start, end, &value, &err);
    if (status != WEIR_NOT_FOUND)
        assert_ok(status, err);
    add_slice(value);
    return text;
}

int64_t window_latest(weir_txn *txn, const char *key)
{
    weir_error err;
    int64_t latest;
    weir_status status = weir_window_latest_timestamp(state_of(txn, key), &latest, &err);
    if (status == WEIR_NOT_FOUND)
        return -1;
    assert_ok(status, err);
    return latest;
}

const char *window_text(weir_windows *windows, bool with_key)
{
    weir_error err;
    weir_window window;
    weir_status status;
    begin_text();
    while ((status = weir_windows_next(windows, &window, &err)) == WEIR_OK) {
        char times[64];
        if (text_size > 0)
            add_text(" ", 1);
        if (with_key) {
            add_slice(window.key);
            add_text(":", 1);
        }
        int size = snprintf(times, sizeof times, "%" PRId64 "-%" PRId64 "=", window.start_ms,
                            window.end_ms);
        add_text(times, (size_t)size);
        add_slice(window.value);
        for (size_t i = 0; i < window.value_count; i++) {
            add_text(i == 0 ? "[" : ",", 1);
            add_slice(window.values[i]);
        }
        if (window.value_count > 0)
            add_text("]", 1);
    }
    if (status != WEIR_NOT_FOUND)
        assert_ok(status, err);
    assert_int_equal(weir_windows_next(windows, &window, &err), WEIR_NOT_FOUND);
    weir_windows_close(windows);
    return text;
}

const char *window_range(weir_txn *txn, const char *key, int64_t from, int64_t to, bool backward)
{
    weir_error err;
    weir_windows *windows;
    assert_ok(weir_window_range(state_of(txn, key), from, to, backward, &windows, &err), err);
    return window_text(windows, false);
}

const char *window_expire(weir_txn *txn, const char *key, int64_t max_start, uint32_t flags)
{
    weir_error err;
    weir_windows *windows;
    assert_ok(weir_window_expire(state_of(txn, key), max_start, flags, &windows, &err), err);
    return window_text(windows, false);
}

const char *window_expire_all(weir_txn *txn, int64_t max_end, int64_t step, uint32_t flags)
{
    weir_error err;
    weir_windows *windows;
    assert_ok(weir_window_expire_all(txn, max_end, step, flags, &windows, &err), err);
    return window_text(windows, true);
}

void window_delete_until(weir_txn *txn, const char *key, int64_t max_start, bool values)
{
    weir_error err;
    assert_ok(weir_window_delete_until(state_of(txn, key), max_start, values, &err), err);
}

void window_collect(weir_txn *txn, const char *key, int64_t id, const char *value)
{
    weir_error err;
    assert_ok(weir_window_collect(state_of(txn, key), &id, weir_slice_str(value), NULL, &err), err);
}

const char *window_collected(weir_txn *txn, const char *key, int64_t from, int64_t to)
{
    weir_error err;
    const weir_slice *values;
    size_t count;
    begin_text();
    assert_ok(weir_window_collected(state_of(txn, key), from, to, &values, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            add_text(",", 1);
        add_slice(values[i]);
    }
    return text;
}

void window_delete_values(weir_txn *txn, const char *key, int64_t to)
{
    weir_error err;
    assert_ok(weir_window_delete_collected(state_of(txn, key), NULL, to, &err), err);
}
