/*
 * What the files of the conformance checks share: one-line reads and writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_CONFORMANCE_STEPS_H
#define TESTS_BACKEND_CONFORMANCE_STEPS_H

#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends a check with what did not hold. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            if (c->failure[0] == '\0')                                                             \
                snprintf(c->failure, sizeof c->failure, "%s:%d: %s", __func__, __LINE__,           \
                         #condition);                                                              \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

#define BIG_COUNT      4000
#define BIG_VALUE_SIZE 300

weir_slice conf_str(const char *text);
bool conf_same(weir_slice a, weir_slice b);
weir_backend_cf *conf_family(conformance *c, const char *name);
weir_backend_op conf_put_op(weir_backend_cf *cf, weir_slice key, weir_slice value);
weir_backend_op conf_delete_op(weir_backend_cf *cf, weir_slice key);
weir_status conf_put(conformance *c, weir_backend_cf *cf, const char *key, const char *value);
weir_status conf_erase(conformance *c, weir_backend_cf *cf, const char *key);
/* Whether a key has this value; NULL: whether it is absent. */
bool conf_holds_bytes(conformance *c, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                      weir_slice key, const weir_slice *expected);
/* The same for text. */
bool conf_holds(conformance *c, weir_backend_cf *cf, const char *key, const char *expected);
weir_backend_iter *conf_iterate(conformance *c, weir_backend_cf *cf, const char *lower,
                                const char *upper, bool reverse, weir_backend_snapshot *snapshot);
/* Appends "key=value " for up to `max` items; "!" and a number for a failure. */
void conf_read_items(conformance *c, weir_backend_iter *iter, size_t max, char *out, size_t size);
/* Whether a range reads as this text. */
bool conf_reads(conformance *c, weir_backend_cf *cf, const char *lower, const char *upper,
                bool reverse, weir_backend_snapshot *snapshot, const char *expected);
/* a=1 … e=5 */
bool conf_fill_five(conformance *c, weir_backend_cf *cf);
/* The key of item i, in order. */
weir_slice conf_big_key(char *out, size_t size, int i);
/* BIG_COUNT items, in a mixed order; the last letter of each value tells its item. */
bool conf_fill_big(conformance *c, weir_backend_cf *cf);

/* The checks themselves, by name. */
bool an_absent_key_is_not_found(conformance *c);
bool what_was_put_is_read_and_what_was_deleted_is_not(conformance *c);
bool keys_may_be_empty_and_hold_any_bytes(conformance *c);
bool long_keys_and_large_values_come_back_whole(conformance *c);
bool a_value_stays_valid_until_it_is_released(conformance *c);
bool multi_get_tells_each_key_by_itself(conformance *c);
bool the_last_change_of_a_key_in_a_batch_wins(conformance *c);
bool a_batch_reaches_all_its_families(conformance *c);
bool keys_and_values_of_a_batch_are_copied(conformance *c);
bool both_directions_give_the_same_items(conformance *c);
bool the_lower_bound_is_inclusive_and_the_upper_exclusive(conformance *c);
bool empty_and_inverted_ranges_give_nothing(conformance *c);
bool the_end_of_an_iterator_stays_the_end(conformance *c);
bool an_iterator_does_not_see_later_writes(conformance *c);
bool several_iterators_run_side_by_side(conformance *c);
bool seek_moves_forward_and_back_within_the_bounds(conformance *c);
bool large_ranges_are_read_both_ways(conformance *c);
bool a_snapshot_keeps_what_was_there(conformance *c);
bool families_are_made_found_and_listed(conformance *c);
bool families_keep_their_keys_apart(conformance *c);
bool a_dropped_family_is_gone_with_its_items(conformance *c);
bool reopening_keeps_what_was_written(conformance *c);
bool random_changes_match_a_model(conformance *c);
bool optional_methods_answer(conformance *c);

#endif
