/*
 * The operations on plain stores.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

/* The event time of the record, if the operation has one: a field that is not "-". */
static void tell_time(driver *d, const op *o, size_t field)
{
    if (o->count > field)
        weir_txn_set_event_time(driver_txn(d),
                                op_is(o, field, "-") ? WEIR_TIME_NONE : op_int(o, field));
}

static weir_status run_set(driver *d, const op *o)
{
    weir_txn *txn = driver_txn(d);
    tell_time(d, o, 4);
    if (o->count > 5)
        return weir_txn_set_ttl(txn, op_bytes(o, 1), op_bytes(o, 2), op_bytes(o, 3), op_int(o, 5),
                                &d->err);
    return weir_state_set(weir_txn_state(txn, op_bytes(o, 1)), op_bytes(o, 2), op_bytes(o, 3),
                          &d->err);
}

static weir_status run_setjson(driver *d, const op *o)
{
    weir_state *state = weir_txn_state(driver_txn(d), op_bytes(o, 1));
    weir_status status = WEIR_OK;
    tell_time(d, o, 4);
    if (o->count > 5)
        status = weir_state_expire_after(state, op_int(o, 5), &d->err);
    if (status == WEIR_OK)
        status = weir_state_set_json(state, op_text(o, 2), op_bytes(o, 3), &d->err);
    if (status == WEIR_OK && o->count > 5)
        status = weir_state_expire_after(state, WEIR_TTL_NEVER, &d->err);
    return status;
}

static weir_status run_setbad(driver *d, const op *o)
{
    return weir_state_set_json(weir_txn_state(driver_txn(d), op_bytes(o, 1)), op_text(o, 2),
                               weir_slice_str("NaN"), &d->err);
}

static weir_status run_get(driver *d, const op *o)
{
    weir_slice value;
    tell_time(d, o, 3);
    weir_status status = weir_state_get(weir_txn_state(driver_txn(d), op_bytes(o, 1)),
                                        op_bytes(o, 2), &value, &d->err);
    if (status == WEIR_OK) {
        answer_item("%s", "");
        answer_bytes(value);
    }
    return status;
}

static weir_status run_exists(driver *d, const op *o)
{
    bool exists;
    tell_time(d, o, 3);
    weir_status status = weir_txn_exists(driver_txn(d), WEIR_CF_DEFAULT, op_bytes(o, 1),
                                         op_bytes(o, 2), &exists, &d->err);
    if (status == WEIR_OK)
        answer_item("%s", exists ? "yes" : "no");
    return status;
}

static weir_status run_delete(driver *d, const op *o)
{
    return weir_state_delete(weir_txn_state(driver_txn(d), op_bytes(o, 1)), op_bytes(o, 2),
                             &d->err);
}

const driver_op plain_ops[] = {
    {"set", 4, run_set}, {"setjson", 4, run_setjson}, {"setbad", 3, run_setbad},
    {"get", 3, run_get}, {"exists", 3, run_exists},   {"delete", 3, run_delete},
    {NULL, 0, NULL},
};
