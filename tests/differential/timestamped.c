/*
 * The operations on timestamped stores.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>

#include <weir/timestamped.h>

#include "driver.h"

static weir_state *view(driver *d, const op *o)
{
    return weir_txn_state(driver_txn(d), op_bytes(o, 1));
}

static weir_status run_put(driver *d, const op *o)
{
    return weir_timestamped_set(view(d, o), op_int(o, 2), op_bytes(o, 3), &d->err);
}

static weir_status run_latest(driver *d, const op *o)
{
    weir_slice value;
    weir_status status =
        weir_timestamped_get_latest(view(d, o), op_int(o, 2), NULL, &value, &d->err);
    if (status == WEIR_OK) {
        answer_item("%s", "");
        answer_bytes(value);
    }
    return status;
}

static weir_status run_interval(driver *d, const op *o)
{
    size_t limit = o->count > 4 ? (size_t)op_int(o, 4) : WEIR_INTERVAL_ALL;
    weir_interval *interval;
    weir_status status = weir_timestamped_get_interval(view(d, o), op_int(o, 2), op_int(o, 3),
                                                       limit, &interval, &d->err);
    while (status == WEIR_OK) {
        weir_slice value;
        status = weir_interval_next(interval, NULL, &value, &d->err);
        if (status == WEIR_OK) {
            answer_item("%s", "");
            answer_bytes(value);
        }
    }
    weir_interval_close(interval);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status run_cut(driver *d, const op *o)
{
    size_t deleted;
    weir_status status =
        weir_timestamped_delete_interval(view(d, o), op_int(o, 2), op_int(o, 3), &deleted, &d->err);
    if (status == WEIR_OK)
        answer_item("%zu", deleted);
    return status;
}

const driver_op timestamped_ops[] = {
    {"put", 4, run_put}, {"latest", 3, run_latest}, {"interval", 4, run_interval},
    {"cut", 4, run_cut}, {NULL, 0, NULL},
};
