/*
 * The operations on windowed stores.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <weir/window.h>

#include "driver.h"

static weir_state *view(driver *d, const op *o)
{
    return weir_txn_state(driver_txn(d), op_bytes(o, 1));
}

/* ---------------------------------------------------------------------------
 * One window
 * ------------------------------------------------------------------------- */

static weir_status run_update(driver *d, const op *o)
{
    return weir_window_update(view(d, o), op_int(o, 2), op_int(o, 3), op_bytes(o, 4), op_int(o, 5),
                              &d->err);
}

static weir_status run_window(driver *d, const op *o)
{
    weir_slice value;
    weir_status status = weir_window_get(view(d, o), op_int(o, 2), op_int(o, 3), &value, &d->err);
    if (status == WEIR_OK) {
        answer_item("%s", "");
        answer_bytes(value);
    }
    return status;
}

static weir_status run_remove(driver *d, const op *o)
{
    return weir_window_delete(view(d, o), op_int(o, 2), op_int(o, 3), &d->err);
}

/* ---------------------------------------------------------------------------
 * Many windows
 * ------------------------------------------------------------------------- */

static void answer_window(const weir_window *window, bool with_key)
{
    answer_item("%s", "");
    if (with_key) {
        answer_bytes(window->key);
        answer_more("/");
    }
    answer_more("%" PRId64 ":%" PRId64 "=", window->start_ms, window->end_ms);
    answer_bytes(window->value);
    for (size_t i = 0; i < window->value_count; i++) {
        answer_more(i == 0 ? ";[" : ",");
        answer_bytes(window->values[i]);
    }
    if (window->value_count > 0)
        answer_more("]");
}

/* Up to `take` of them; closes windows. */
static weir_status answer_windows(driver *d, weir_windows *windows, int64_t take, bool with_key)
{
    weir_status status = WEIR_OK;
    for (; status == WEIR_OK && take > 0; take--) {
        weir_window window;
        status = weir_windows_next(windows, &window, &d->err);
        if (status == WEIR_OK)
            answer_window(&window, with_key);
    }
    weir_windows_close(windows);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status run_windows(driver *d, const op *o)
{
    weir_windows *windows;
    weir_status status = weir_window_range(view(d, o), op_int(o, 2), op_int(o, 3),
                                           op_is(o, 4, "backward"), &windows, &d->err);
    return status == WEIR_OK ? answer_windows(d, windows, INT64_MAX, false) : status;
}

/* As run_windows, but with the lower bound, and without an upper one if need be. */
static weir_status run_walk(driver *d, const op *o)
{
    int64_t to = op_is(o, 3, "-") ? INT64_MAX : op_int(o, 3);
    weir_windows *windows;
    weir_status status = weir_window_range(view(d, o), op_int(o, 2) - 1, to,
                                           op_is(o, 4, "backward"), &windows, &d->err);
    return status == WEIR_OK ? answer_windows(d, windows, INT64_MAX, false) : status;
}

/* ---------------------------------------------------------------------------
 * Expiry
 * ------------------------------------------------------------------------- */

static uint32_t expire_flags(const op *o, size_t field)
{
    uint32_t flags = op_is(o, field, "keep") ? WEIR_EXPIRE_KEEP : 0;
    if (!op_is(o, field + 1, "plain"))
        flags |= WEIR_EXPIRE_COLLECT;
    if (op_is(o, field + 1, "inclusive"))
        flags |= WEIR_EXPIRE_END_INCLUSIVE;
    return flags;
}

static int64_t take_field(const op *o, size_t field)
{
    return o->count > field ? op_int(o, field) : INT64_MAX;
}

static weir_status run_expire(driver *d, const op *o)
{
    weir_windows *windows;
    weir_status status =
        weir_window_expire(view(d, o), op_int(o, 2), expire_flags(o, 3), &windows, &d->err);
    return status == WEIR_OK ? answer_windows(d, windows, take_field(o, 5), false) : status;
}

static weir_status run_expireall(driver *d, const op *o)
{
    weir_windows *windows;
    weir_status status = weir_window_expire_all(driver_txn(d), op_int(o, 1), op_int(o, 2),
                                                expire_flags(o, 3), &windows, &d->err);
    if (status == WEIR_OK)
        status = answer_windows(d, windows, take_field(o, 5), true);
    if (status == WEIR_OK)
        answer_sort();
    return status;
}

static weir_status run_removeall(driver *d, const op *o)
{
    return weir_window_delete_until(view(d, o), op_int(o, 2), op_is(o, 3, "values"), &d->err);
}

/* ---------------------------------------------------------------------------
 * Marks
 * ------------------------------------------------------------------------- */

static weir_status answer_int(weir_status status, int64_t value)
{
    if (status == WEIR_OK || status == WEIR_NOT_FOUND)
        answer_item("%" PRId64, value);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status run_time(driver *d, const op *o)
{
    int64_t time;
    weir_status status = weir_window_latest_timestamp(view(d, o), &time, &d->err);
    return answer_int(status, time);
}

static weir_status run_expired(driver *d, const op *o)
{
    int64_t mark;
    weir_status status = weir_window_expired_until(view(d, o), &mark, &d->err);
    return answer_int(status, mark);
}

static weir_status run_checkpoint(driver *d, const op *o)
{
    int64_t mark;
    if (o->count > 2)
        return weir_window_set_expired_until(view(d, o), op_int(o, 2), &d->err);
    weir_status status = weir_window_expired_until(view(d, o), &mark, &d->err);
    return status == WEIR_OK ? answer_int(status, mark) : status;
}

static weir_status run_advance(driver *d, const op *o)
{
    int64_t latest;
    weir_state *partition = weir_txn_state(driver_txn(d), weir_slice_of(NULL, 0));
    weir_status status = weir_window_advance_timestamp(partition, op_int(o, 1), &latest, &d->err);
    return status == WEIR_OK ? answer_int(status, latest) : status;
}

/* ---------------------------------------------------------------------------
 * The collection
 * ------------------------------------------------------------------------- */

static weir_status run_add(driver *d, const op *o)
{
    uint64_t number;
    int64_t id = op_is(o, 2, "-") ? 0 : op_int(o, 2);
    weir_status status = weir_window_collect(view(d, o), op_is(o, 2, "-") ? NULL : &id,
                                             op_bytes(o, 3), &number, &d->err);
    if (status == WEIR_OK)
        answer_item("%" PRIu64, number);
    return status;
}

static weir_status run_collected(driver *d, const op *o)
{
    const weir_slice *values;
    size_t count;
    weir_status status =
        weir_window_collected(view(d, o), op_int(o, 2), op_int(o, 3), &values, &count, &d->err);
    for (size_t i = 0; status == WEIR_OK && i < count; i++) {
        answer_item("%s", "");
        answer_bytes(values[i]);
    }
    return status;
}

static weir_status run_uncollect(driver *d, const op *o)
{
    int64_t from = o->count > 3 ? op_int(o, 3) : 0;
    return weir_window_delete_collected(view(d, o), o->count > 3 ? &from : NULL, op_int(o, 2),
                                        &d->err);
}

const driver_op windowed_ops[] = {
    {"update", 6, run_update},
    {"window", 4, run_window},
    {"remove", 4, run_remove},
    {"windows", 5, run_windows},
    {"walk", 5, run_walk},
    {"expire", 5, run_expire},
    {"expireall", 5, run_expireall},
    {"removeall", 4, run_removeall},
    {"time", 2, run_time},
    {"expired", 2, run_expired},
    {"checkpoint", 2, run_checkpoint},
    {"advance", 2, run_advance},
    {"add", 4, run_add},
    {"collected", 4, run_collected},
    {"uncollect", 3, run_uncollect},
    {NULL, 0, NULL},
};
