/*
 * Sorting by key: radix sort on 8 bytes of the keys at a time, from where they begin to differ;
 * what these don't tell apart is sorted by the 8 bytes behind them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_KEY_SORT_H
#define WEIR_STATE_KEY_SORT_H

#include <weir/base.h>

/* Something that has a key. */
typedef struct weir__sort_item {
    uint64_t head; /* the sort's own */
    void *of;
} weir__sort_item;

typedef weir_slice weir__sort_key(const void *of);

/* spare: as many items. Equal keys come in any order. */
void weir__key_sort(weir__sort_item *items, weir__sort_item *spare, size_t count,
                    weir__sort_key *key);

#endif
