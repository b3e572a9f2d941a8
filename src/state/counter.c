/*
 * See counter.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/counter.h"

#include "base/number.h"
#include "state/kind.h"

/* Digits alone, up to 2^64−1: what Quix Streams writes too. */
static bool parse(weir_slice text, uint64_t *counter)
{
    const uint8_t *digits = text.data;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)digits[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *counter = value;
    return text.size > 0;
}

weir_status weir__txn_next_counter(weir_txn *txn, uint64_t *counter, weir_error *err)
{
    const weir__kind *kind = txn->partition->kind.kind;
    *counter = 0;
    if (!txn->has_counter) {
        weir_slice stored;
        weir_status status =
            weir__txn_get(txn, kind->counter_cf, weir_slice_str(kind->counter_key), &stored, err);
        txn->counter = UINT64_MAX; /* the next one is 0 */
        if (status && status != WEIR_NOT_FOUND)
            return status;
        if (!status && !parse(stored, &txn->counter))
            return weir__partition_error(txn->partition, WEIR_CORRUPTED, err,
                                         "the stored global counter is not a number: \"%.*s\"",
                                         stored.size > 40 ? 40 : (int)stored.size,
                                         (const char *)stored.data);
        txn->has_counter = true;
    }
    *counter = ++txn->counter;
    return WEIR_OK;
}

weir_status weir__txn_keep_counter(weir_txn *txn, weir_error *err)
{
    if (!txn->has_counter)
        return WEIR_OK;
    const weir__kind *kind = txn->partition->kind.kind;
    char text[WEIR__NUMBER_SIZE];
    weir_slice value = weir_slice_of(text, weir__number_write_u64(text, txn->counter));
    txn->has_counter = false;
    return weir__txn_set(txn, kind->counter_cf, weir_slice_str(kind->counter_key), &value, err);
}
