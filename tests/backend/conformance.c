/*
 * The conformance checks of a backend: their list and what they share. See conformance.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance_steps.h"

weir_slice conf_str(const char *text)
{
    return weir_slice_of(text, strlen(text));
}

bool conf_same(weir_slice a, weir_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

weir_backend_cf *conf_family(conformance *c, const char *name)
{
    weir_backend_cf *cf;
    weir_status status = c->backend->cf_open(c->db, name, true, &cf, NULL);
    return status == WEIR_OK ? cf : NULL;
}

weir_backend_op conf_put_op(weir_backend_cf *cf, weir_slice key, weir_slice value)
{
    return (weir_backend_op){.kind = WEIR_OP_PUT, .cf = cf, .key = key, .value = value};
}

weir_backend_op conf_delete_op(weir_backend_cf *cf, weir_slice key)
{
    return (weir_backend_op){.kind = WEIR_OP_DELETE, .cf = cf, .key = key};
}

weir_status conf_put(conformance *c, weir_backend_cf *cf, const char *key, const char *value)
{
    weir_backend_op op = conf_put_op(cf, conf_str(key), conf_str(value));
    return c->backend->write(c->db, &op, 1, 0, NULL);
}

weir_status conf_erase(conformance *c, weir_backend_cf *cf, const char *key)
{
    weir_backend_op op = conf_delete_op(cf, conf_str(key));
    return c->backend->write(c->db, &op, 1, 0, NULL);
}

bool conf_holds_bytes(conformance *c, weir_backend_cf *cf, weir_backend_snapshot *snapshot,
                      weir_slice key, const weir_slice *expected)
{
    weir_backend_value value;
    memset(&value, 0xA5, sizeof value);
    weir_status status = c->backend->get(c->db, cf, snapshot, key, &value, NULL);
    if (expected == NULL)
        return status == WEIR_NOT_FOUND && value.size == 0;
    if (status != WEIR_OK)
        return false;
    bool is_same = conf_same(weir_slice_of(value.data, value.size), *expected);
    c->backend->value_release(c->db, &value);
    return is_same;
}

bool conf_holds(conformance *c, weir_backend_cf *cf, const char *key, const char *expected)
{
    weir_slice value = expected != NULL ? conf_str(expected) : conf_str("");
    return conf_holds_bytes(c, cf, NULL, conf_str(key), expected != NULL ? &value : NULL);
}

weir_backend_iter *conf_iterate(conformance *c, weir_backend_cf *cf, const char *lower,
                                const char *upper, bool reverse, weir_backend_snapshot *snapshot)
{
    weir_backend_iter_args args = {.struct_size = sizeof args,
                                   .has_lower = lower != NULL,
                                   .has_upper = upper != NULL,
                                   .reverse = reverse,
                                   .snapshot = snapshot};
    if (lower != NULL)
        args.lower = conf_str(lower);
    if (upper != NULL)
        args.upper = conf_str(upper);
    weir_backend_iter *iter;
    weir_status status = c->backend->iter_open(c->db, cf, &args, &iter, NULL);
    return status == WEIR_OK ? iter : NULL;
}

void conf_read_items(conformance *c, weir_backend_iter *iter, size_t max, char *out, size_t size)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < max; i++) {
        weir_slice key;
        weir_slice value;
        weir_status status = c->backend->iter_next(iter, &key, &value, NULL);
        if (status == WEIR_NOT_FOUND)
            return;
        int added = status == WEIR_OK ? snprintf(out + used, size - used, "%.*s=%.*s ",
                                                 (int)key.size, (const char *)key.data,
                                                 (int)value.size, (const char *)value.data)
                                      : snprintf(out + used, size - used, "!%d ", (int)status);
        if (status != WEIR_OK || added < 0 || (size_t)added >= size - used)
            return;
        used += (size_t)added;
    }
}

bool conf_reads(conformance *c, weir_backend_cf *cf, const char *lower, const char *upper,
                bool reverse, weir_backend_snapshot *snapshot, const char *expected)
{
    char text[1024] = "";
    weir_backend_iter *iter = conf_iterate(c, cf, lower, upper, reverse, snapshot);
    if (iter == NULL)
        return false;
    conf_read_items(c, iter, SIZE_MAX, text, sizeof text);
    c->backend->iter_close(iter);
    bool is_same = strcmp(text, expected) == 0;
    if (!is_same)
        snprintf(c->failure, sizeof c->failure, "range %s…%s%s reads '%s' instead of '%s'",
                 lower != NULL ? lower : "", upper != NULL ? upper : "", reverse ? " reverse" : "",
                 text, expected);
    return is_same;
}

bool conf_fill_five(conformance *c, weir_backend_cf *cf)
{
    CHECK(conf_put(c, cf, "c", "3") == WEIR_OK);
    CHECK(conf_put(c, cf, "a", "1") == WEIR_OK);
    CHECK(conf_put(c, cf, "e", "5") == WEIR_OK);
    CHECK(conf_put(c, cf, "b", "2") == WEIR_OK);
    CHECK(conf_put(c, cf, "d", "4") == WEIR_OK);
    return true;
}

weir_slice conf_big_key(char *out, size_t size, int i)
{
    return weir_slice_of(out, (size_t)snprintf(out, size, "item-%06d", i));
}

bool conf_fill_big(conformance *c, weir_backend_cf *cf)
{
    char value[BIG_VALUE_SIZE];
    for (int i = 0; i < BIG_COUNT; i++) {
        char key[32];
        int shuffled = (int)((int64_t)i * 1237 % BIG_COUNT); /* no common divisor */
        memset(value, 'a' + shuffled % 26, sizeof value);
        weir_backend_op op = conf_put_op(cf, conf_big_key(key, sizeof key, shuffled),
                                         weir_slice_of(value, sizeof value));
        CHECK(c->backend->write(c->db, &op, 1, 0, NULL) == WEIR_OK);
    }
    return true;
}

#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

const conformance_case conformance_cases[] = {
    CASE(an_absent_key_is_not_found),
    CASE(what_was_put_is_read_and_what_was_deleted_is_not),
    CASE(keys_may_be_empty_and_hold_any_bytes),
    CASE(long_keys_and_large_values_come_back_whole),
    CASE(a_value_stays_valid_until_it_is_released),
    CASE(multi_get_tells_each_key_by_itself),
    CASE(the_last_change_of_a_key_in_a_batch_wins),
    CASE(a_batch_reaches_all_its_families),
    CASE(keys_and_values_of_a_batch_are_copied),
    CASE(both_directions_give_the_same_items),
    CASE(the_lower_bound_is_inclusive_and_the_upper_exclusive),
    CASE(empty_and_inverted_ranges_give_nothing),
    CASE(the_end_of_an_iterator_stays_the_end),
    CASE(an_iterator_does_not_see_later_writes),
    CASE(several_iterators_run_side_by_side),
    CASE(seek_moves_forward_and_back_within_the_bounds),
    CASE(large_ranges_are_read_both_ways),
    CASE(a_snapshot_keeps_what_was_there),
    CASE(families_are_made_found_and_listed),
    CASE(families_keep_their_keys_apart),
    CASE(a_dropped_family_is_gone_with_its_items),
    CASE(reopening_keeps_what_was_written),
    CASE(random_changes_match_a_model),
    CASE(optional_methods_answer),
    {NULL, NULL},
};
