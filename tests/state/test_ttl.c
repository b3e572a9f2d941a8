/*
 * Values that expire, on every backend: when they are gone for readers, when they are deleted,
 * what the clock does, and how a store that holds values begins with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"
#include "state/txn.h"

#define S weir_slice_str
#define T INT64_C(1700000000000)

static const weir_slice none = {NULL, 0};

static void set(weir_txn *txn, const char *key, const char *value)
{
    weir_error err;
    assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, none, S(key), S(value), &err), err);
}

static void set_ttl(weir_txn *txn, const char *key, const char *value, int64_t ttl_ms)
{
    weir_error err;
    assert_ok(weir_txn_set_ttl(txn, none, S(key), S(value), ttl_ms, &err), err);
}

static weir_txn *begin_at(harness *h, int64_t time)
{
    weir_txn *txn = harness_begin(h);
    weir_txn_set_event_time(txn, time);
    return txn;
}

/* One value in a checkpoint of its own. */
static void put_ttl(harness *h, int64_t time, const char *key, const char *value, int64_t ttl_ms)
{
    weir_txn *txn = begin_at(h, time);
    set_ttl(txn, key, value, ttl_ms);
    harness_commit(h, txn, 0);
}

static void put(harness *h, int64_t time, const char *key, const char *value)
{
    weir_txn *txn = begin_at(h, time);
    set(txn, key, value);
    harness_commit(h, txn, 0);
}

/* Values as "key=value …" by get, checked against exists and iteration both ways. */
static void assert_values(weir_txn *txn, const char *keys, const char *expected)
{
    weir_error err;
    char text[512] = "";
    char key[2] = "";
    weir_slice value;
    for (; *keys; keys++) {
        bool exists;
        key[0] = *keys;
        weir_status status = weir_txn_get(txn, WEIR_CF_DEFAULT, none, S(key), &value, &err);
        if (status == WEIR_OK)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s=%.*s ", key,
                     (int)value.size, (const char *)value.data);
        else
            assert_int_equal(status, WEIR_NOT_FOUND);
        assert_ok(weir_txn_exists(txn, WEIR_CF_DEFAULT, none, S(key), &exists, &err), err);
        assert_int_equal(exists, status == WEIR_OK);
    }
    assert_string_equal(text, expected);
    for (int reverse = 0; reverse < 2; reverse++) {
        weir_iter_options options = {.struct_size = sizeof options, .reverse = reverse == 1};
        weir_iter *iter;
        weir_slice found;
        size_t size = 0;
        assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, &options, &iter, &err), err);
        while (weir_iter_next(iter, &found, &value, &err) == WEIR_OK) {
            char item[128];
            snprintf(item, sizeof item, "%.*s=%.*s ", (int)found.size, (const char *)found.data,
                     (int)value.size, (const char *)value.data);
            assert_non_null(strstr(expected, item));
            size += strlen(item);
        }
        weir_iter_close(iter);
        assert_int_equal(size, strlen(expected));
    }
}

static void assert_at(harness *h, int64_t time, const char *keys, const char *expected)
{
    weir_txn *txn = begin_at(h, time);
    assert_values(txn, keys, expected);
    weir_txn_free(txn);
}

/* value NULL: there is none. */
static void assert_one(harness *h, int64_t time, const char *key, const char *value)
{
    weir_error err;
    weir_slice found;
    weir_txn *txn = begin_at(h, time);
    weir_status status = weir_txn_get(txn, WEIR_CF_DEFAULT, none, S(key), &found, &err);
    assert_int_equal(status, value ? WEIR_OK : WEIR_NOT_FOUND);
    if (value)
        assert_true(weir_slice_equal(found, S(value)));
    weir_txn_free(txn);
}

static void assert_dump(harness *h, const char *expected)
{
    char *dump = harness_dump(h);
    assert_string_equal(dump, expected);
    free(dump);
}

/* --- Expiry --- */

static void test_a_value_is_gone_from_the_moment_of_its_expiry(void **state)
{
    harness *h = *state;
    weir_txn *txn = begin_at(h, T);
    set_ttl(txn, "a", "1", 1000);
    set(txn, "b", "2");
    assert_values(txn, "ab", "a=1 b=2 ");
    weir_txn_set_event_time(txn, T + 999);
    assert_values(txn, "ab", "a=1 b=2 ");
    weir_txn_set_event_time(txn, T + 1000);
    assert_values(txn, "ab", "b=2 ");
    weir_txn_free(txn);

    put_ttl(h, T, "a", "1", 1000);
    put(h, T, "b", "2");
    assert_at(h, T + 999, "ab", "a=1 b=2 ");
    assert_at(h, T + 1000, "ab", "b=2 ");
    assert_at(h, T + 1, "ab", "a=1 b=2 "); /* what was only read does not count */
}

static void test_a_set_without_ttl_takes_the_expiry_away(void **state)
{
    harness *h = *state;
    put_ttl(h, T, "a", "1", 1000);
    put(h, T + 500, "a", "2");
    assert_at(h, T + 5000, "a", "a=2 ");
    put_ttl(h, T + 600, "a", "3", 1000);
    assert_at(h, T + 1599, "a", "a=3 ");
    assert_at(h, T + 1600, "a", "");
}

static void test_the_view_of_a_record_sets_values_that_expire(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = begin_at(h, T);
    weir_state *view = weir_txn_state(txn, S("k"));
    int64_t number;
    assert_ok(weir_state_set_int(view, "stays", 1, &err), err);
    assert_ok(weir_state_expire_after(view, 100, &err), err);
    assert_ok(weir_state_set_int(view, "goes", 2, &err), err);
    assert_ok(weir_state_set_bytes(view, "goes too", S("x"), &err), err);
    assert_ok(weir_state_expire_after(view, WEIR_TTL_NEVER, &err), err);
    assert_ok(weir_state_set_int(view, "stays too", 3, &err), err);
    weir_txn_set_event_time(txn, T + 100);
    view = weir_txn_state(txn, S("k"));
    assert_ok(weir_state_set_int(view, "of the next record", 4, &err), err);
    weir_txn_set_event_time(txn, T + 100000);
    assert_ok(weir_state_get_int(view, "stays", 0, &number, &err), err);
    assert_int_equal(number, 1);
    assert_ok(weir_state_get_int(view, "goes", 0, &number, &err), err);
    assert_int_equal(number, 0);
    assert_ok(weir_state_get_int(view, "stays too", 0, &number, &err), err);
    assert_int_equal(number, 3);
    assert_ok(weir_state_get_int(view, "of the next record", 0, &number, &err), err);
    assert_int_equal(number, 4);
    harness_commit(h, txn, 0);
}

/* --- The sweep --- */

static void test_what_has_expired_is_deleted_by_the_next_checkpoint(void **state)
{
    harness *h = *state;
    put_ttl(h, T, "a", "1", 1000);
    put(h, T, "b", "2");
    assert_dump(h,
                "__ttl_index__/\\x00\\x00\\x01\\x8b\\xcf\\xe5k\\xe8a=\n"
                "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
                "default/a=\\x00\\x00\\x01\\x8b\\xcf\\xe5k\\xe81\n"
                "default/b=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff2\n");
    put(h, T + 1000, "c", "3");
    static const char after[] =
        "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
        "default/b=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff2\n"
        "default/c=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff3\n";
    assert_dump(h, after);
    /* The changelog knows it too. */
    harness_close(h);
    test_folder_remove(h->folder);
    h->folder = test_folder_new();
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_dump(h, after);
}

static void test_a_value_refreshed_in_the_checkpoint_that_sweeps_stays(void **state)
{
    harness *h = *state;
    put_ttl(h, T, "a", "1", 1000);
    put_ttl(h, T, "b", "1", 1000);
    put_ttl(h, T, "c", "1", 1000);
    weir_txn *txn = begin_at(h, T + 1000);
    set_ttl(txn, "a", "2", 1000);
    set(txn, "b", "2");
    harness_commit(h, txn, 0);
    assert_at(h, T + 1500, "abc", "a=2 b=2 ");
    put(h, T + 2000, "d", "1");
    assert_dump(h,
                "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
                "default/b=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff2\n"
                "default/d=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff1\n");
}

static void test_what_another_transaction_refreshed_is_not_swept(void **state)
{
    harness *h = *state;
    weir_error err;
    put_ttl(h, T, "a", "1", 1000);
    weir_txn *sweeps = begin_at(h, T + 1000);
    set(sweeps, "x", "1");
    assert_ok(weir_txn_prepare(sweeps, NULL, 0, &err), err);
    put_ttl(h, T + 900, "a", "2", 1000);
    int64_t last;
    assert_ok(h->changelog->ops->flush(h->changelog, 1000, &last, &err), err);
    assert_ok(weir_txn_flush(sweeps, last, &err), err);
    weir_txn_free(sweeps);
    assert_at(h, T + 1000, "ax", "a=2 x=1 ");
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_at(h, T + 1000, "ax", "a=2 x=1 ");
}

static void test_values_that_are_swept_are_few_at_a_time(void **state)
{
    harness *h = *state;
    weir_txn *txn = begin_at(h, T);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%03d", i);
        set_ttl(txn, key, "v", 10 + i);
    }
    harness_commit(h, txn, 0);
    h->partition->ttl.step_keys = 8;
    for (int left = 100; left > 0; left -= left < 10 ? left : 10) {
        char *dump = harness_dump(h);
        int found = 0;
        for (const char *at = dump; (at = strstr(at, "default/")) != NULL; at++)
            found++;
        assert_int_equal(found, left + (left < 100));
        free(dump);
        put(h, T + 1000, "0", "x");
    }
    assert_dump(h,
                "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
                "default/0=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xffx\n");
}

static void test_a_value_that_has_expired_as_it_comes_is_swept_later(void **state)
{
    harness *h = *state;
    put(h, T, "a", "1");
    put_ttl(h, T, "b", "1", 5000);
    put(h, T + 5000, "a", "2");
    put_ttl(h, T, "c", "late", 1000); /* the clock is beyond */
    assert_at(h, T, "abc", "a=2 ");
    put(h, T, "a", "3");
    assert_dump(h,
                "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
                "default/a=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff3\n");
}

/* Sets b at T + 1000, and then a key at T with a TTL that is over by that time. */
static void set_over_by_now(harness *h, const char *key, const char *value)
{
    weir_txn *txn = begin_at(h, T + 1000);
    set(txn, "b", "1");
    weir_txn_set_event_time(txn, T);
    set_ttl(txn, key, value, 1000);
    harness_commit(h, txn, 0);
}

static void test_a_value_that_is_set_again_with_an_expiry_that_is_over_is_swept_later(void **state)
{
    harness *h = *state;
    put_ttl(h, T, "a", "1", 1000);
    set_over_by_now(h, "a", "late");
    assert_at(h, T, "ab", "b=1 ");
    put(h, T, "b", "2");
    assert_dump(h,
                "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
                "default/b=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff2\n");
}

/* --- The clock --- */

static void test_the_clock_is_kept_and_never_goes_back(void **state)
{
    harness *h = *state;
    if (!matrix_is_persistent(h))
        skip();
    put_ttl(h, T, "a", "1", 100000);
    put_ttl(h, T, "b", "1", 1000);
    h->partition->ttl.step_keys = 0;
    put(h, T + 1000, "c", "1");
    put(h, T + 10, "c", "1");
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_int_equal(h->partition->ttl.clock, T + 1000);
    assert_at(h, T, "abc", "a=1 c=1 ");
}

static void test_what_a_failed_transaction_saw_does_not_count(void **state)
{
    harness *h = *state;
    put_ttl(h, T, "a", "1", 1000);
    weir_txn *txn = begin_at(h, T + 2000);
    set(txn, "b", "1");
    weir_txn_fail(txn);
    weir_txn_free(txn);
    assert_at(h, T + 10, "a", "a=1 ");
}

static void test_one_record_from_the_far_future_does_not_expire_everything(void **state)
{
    harness *h = *state;
    test_log_capture();
    put_ttl(h, T, "a", "1", INT64_C(3) * 86400000);
    weir_txn *txn = begin_at(h, T + INT64_C(1000) * 86400000);
    weir_txn_set_event_time(txn, T + INT64_C(2000) * 86400000);
    set_ttl(txn, "b", "far", 1000);
    assert_values(txn, "ab", "a=1 b=far ");
    harness_commit(h, txn, 0);
    assert_int_equal(test_log_count("ttl.time"), 1);
    assert_int_equal(test_log_level("ttl.time"), WEIR_LOG_WARN);
    assert_int_equal(h->partition->ttl.clock, T + 86400000);
    assert_at(h, T + 1000, "ab", "a=1 b=far ");
    test_log_release();
}

static void test_the_first_time_is_measured_by_the_wall_clock(void **state)
{
    harness *h = *state;
    test_log_capture();
    put_ttl(h, INT64_C(999999999000000), "a", "1", 1);
    assert_int_equal(test_log_count("ttl.time"), 1);
    assert_true(h->partition->ttl.clock < INT64_C(100) * 365 * 86400000);
    assert_at(h, T, "a", "a=1 ");
    test_log_release();
}

/* --- Bad input --- */

static void assert_bad(harness *h, int64_t time, int64_t ttl_ms, const char *why)
{
    weir_error err;
    weir_txn *txn = begin_at(h, time);
    set(txn, "a", "1");
    assert_int_equal(weir_txn_set_ttl(txn, none, S("b"), S("2"), ttl_ms, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, why));
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
    txn = begin_at(h, time);
    assert_int_equal(weir_state_expire_after(weir_txn_state(txn, none), ttl_ms, &err),
                     WEIR_INVALID);
    assert_int_equal(weir_txn_get_status(txn), WEIR_TXN_FAILED_STATUS);
    weir_txn_free(txn);
}

static void test_a_ttl_that_makes_no_sense_fails_the_transaction_and_not_the_store(void **state)
{
    harness *h = *state;
    assert_bad(h, T, 0, "a TTL of 0 ms: it has to be above 0");
    assert_bad(h, T, -5, "a TTL of -5 ms: it has to be above 0");
    assert_bad(h, T, INT64_MIN, "above 0");
    assert_bad(h, WEIR_TIME_NONE, 1000, "a TTL without a timestamp");
    assert_bad(h, -77, 1000, "a TTL without a timestamp");
    assert_bad(h, T, INT64_MAX - 1, "beyond what can be stored");
    assert_bad(h, T, INT64_C(1000000000000000) - T, "beyond what can be stored");
    assert_bad(h, INT64_MAX, 1, "beyond what can be stored");
    put_ttl(h, T, "a", "1", INT64_C(1000000000000000) - T - 1);
    put_ttl(h, T, "b", "2", WEIR_TTL_NEVER);
    assert_at(h, T, "ab", "a=1 b=2 ");
}

static void test_only_a_plain_store_has_ttl(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_close(h);
    test_folder_remove(h->folder);
    h->folder = test_folder_new();
    h->store.kind = WEIR_STORE_TIMESTAMPED;
    harness_open(h);
    weir_txn *txn = begin_at(h, T);
    assert_int_equal(weir_txn_set_ttl(txn, none, S("b"), S("2"), 1, &err), WEIR_UNSUPPORTED);
    weir_txn_free(txn);
}

static void test_a_newer_format_is_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    if (!matrix_is_persistent(h))
        skip();
    put_ttl(h, T, "a", "1", 1000);
    weir_backend_op op = {.kind = WEIR_OP_PUT,
                          .cf = h->partition->metadata,
                          .key = S("__ttl_format_version__"),
                          .value = weir_slice_of("\0\0\0\0\0\0\0\3", 8)};
    assert_ok(h->partition->backend->write(h->partition->db, &op, 1, 0, &err), err);
    harness_close(h);
    assert_int_equal(harness_try_open(h, &err), WEIR_VERSION);
    assert_non_null(strstr(err.message, "version 3 of the TTL format"));
}

/* --- A store that holds values --- */

/* Values that begin like stamps, and others. */
static const struct {
    const char *key;
    const char *value;
    size_t size;
} old_values[] = {
    {"a", "1", 1},
    {"b", "", 0},
    {"c", "\0\0\1\x8b\xcf\xe5\x68\0tail", 12},
    {"d", "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
    {"e", "\0\0\0\0\0\0\0\1", 8},
    {"f", "\"json\"", 6},
    {"g", "\0\0\1\x8b\xcf\xe5\x68\0", 8},
};
#define OLD_VALUES (sizeof old_values / sizeof *old_values)

static void put_old_values(harness *h)
{
    weir_error err;
    weir_txn *txn = harness_begin(h);
    for (size_t i = 0; i < OLD_VALUES; i++)
        assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, none, S(old_values[i].key),
                               weir_slice_of(old_values[i].value, old_values[i].size), &err),
                  err);
    harness_commit(h, txn, 0);
}

static void assert_old_value(size_t i, weir_slice value)
{
    assert_int_equal(value.size, old_values[i].size);
    if (value.size > 0)
        assert_memory_equal(value.data, old_values[i].value, value.size);
}

static void assert_old_values(harness *h, int64_t time)
{
    weir_error err;
    weir_slice key;
    weir_slice value;
    weir_txn *txn = begin_at(h, time);
    for (size_t i = 0; i < OLD_VALUES; i++) {
        assert_ok(weir_txn_get(txn, WEIR_CF_DEFAULT, none, S(old_values[i].key), &value, &err),
                  err);
        assert_old_value(i, value);
    }
    for (int reverse = 0; reverse < 2; reverse++) {
        weir_iter_options options = {.struct_size = sizeof options,
                                     .upper = S("h"),
                                     .has_upper = true,
                                     .reverse = reverse == 1};
        weir_iter *iter;
        assert_ok(weir_txn_iter_open(txn, WEIR_CF_DEFAULT, &options, &iter, &err), err);
        for (size_t i = 0; i < OLD_VALUES; i++) {
            size_t at = reverse ? OLD_VALUES - 1 - i : i;
            assert_ok(weir_iter_next(iter, &key, &value, &err), err);
            assert_true(weir_slice_equal(key, S(old_values[at].key)));
            assert_old_value(at, value);
        }
        assert_int_equal(weir_iter_next(iter, &key, &value, &err), WEIR_NOT_FOUND);
        weir_iter_close(iter);
    }
    weir_txn_free(txn);
}

static void test_a_store_that_holds_values_loses_none_when_ttl_begins(void **state)
{
    harness *h = *state;
    put_old_values(h);
    put_ttl(h, T, "z", "1", 1000);
    assert_true(h->partition->ttl.is_partial);
    for (int i = 0; h->partition->ttl.is_partial; i++) {
        assert_true(i < 20);
        assert_old_values(h, T + i);
        if (i % 2 == 1) {
            harness_reopen(h);
            harness_recover(h, WEIR_OFFSET_NONE);
            assert_old_values(h, T + i);
        }
        h->partition->ttl.step_keys = 1;
        put(h, T, "y", "1");
    }
    assert_old_values(h, T + 86400000);
    assert_one(h, T + 1000, "z", NULL);
    assert_one(h, T + 1000, "y", "1");
}

static void test_values_written_meanwhile_are_told_from_old_ones(void **state)
{
    harness *h = *state;
    weir_error err;
    put_old_values(h);
    put_ttl(h, T, "g", "new", 1000);
    weir_txn *txn = begin_at(h, T);
    assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, none, S("e"), &err), err);
    set_ttl(txn, "f", "new", 2000);
    h->partition->ttl.step_keys = 0;
    harness_commit(h, txn, 0);
    put(h, T, "e", "\xff\xff\xff\xff\xff\xff\xff\xff!");
    while (h->partition->ttl.is_partial)
        put(h, T, "y", "1");
    txn = begin_at(h, T + 1000);
    weir_slice value;
    assert_int_equal(weir_txn_get(txn, WEIR_CF_DEFAULT, none, S("g"), &value, &err),
                     WEIR_NOT_FOUND);
    assert_ok(weir_txn_get(txn, WEIR_CF_DEFAULT, none, S("f"), &value, &err), err);
    assert_true(weir_slice_equal(value, S("new")));
    assert_ok(weir_txn_get(txn, WEIR_CF_DEFAULT, none, S("e"), &value, &err), err);
    assert_int_equal(value.size, 9);
    assert_ok(weir_txn_get(txn, WEIR_CF_DEFAULT, none, S("d"), &value, &err), err);
    assert_old_value(3, value);
    weir_txn_free(txn);
}

static void test_transactions_that_were_open_as_ttl_began_stay_right(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_slice key;
    weir_slice value;
    put_old_values(h);
    weir_txn *before = begin_at(h, T);
    weir_iter *iter;
    assert_ok(weir_txn_iter_open(before, WEIR_CF_DEFAULT, NULL, &iter, &err), err);
    set(before, "x", "raw");
    assert_ok(weir_txn_prepare(before, NULL, 0, &err), err);
    put_ttl(h, T, "a", "1", 1000);
    int64_t last;
    assert_ok(h->changelog->ops->flush(h->changelog, 1000, &last, &err), err);
    assert_ok(weir_txn_flush(before, last, &err), err);
    weir_iter_close(iter);
    weir_txn_free(before);

    before = begin_at(h, T);
    assert_ok(weir_txn_iter_open(before, WEIR_CF_DEFAULT, NULL, &iter, &err), err);
    for (int i = 0; i < 3; i++) /* as the last one ends, the iterator needs the ledger still */
        put(h, T, "y", "1");
    for (size_t i = 0; i < OLD_VALUES; i++) {
        assert_ok(weir_iter_next(iter, &key, &value, &err), err);
        assert_old_value(i, value);
    }
    assert_ok(weir_iter_next(iter, &key, &value, &err), err);
    assert_true(weir_slice_equal(value, S("raw")));
    weir_iter_close(iter);
    weir_txn_free(before);
    while (h->partition->ttl.is_partial)
        put(h, T, "y", "1");
    assert_one(h, T + 1000, "a", NULL);
    assert_one(h, T + 1000, "x", "raw");
}

/* --- Recovery --- */

static void test_recovery_tells_stamped_values_by_their_mark(void **state)
{
    harness *h = *state;
    put_old_values(h);
    harness_rebuild(h);
    assert_false(h->partition->ttl.is_on);
    assert_old_values(h, T);

    put_ttl(h, T, "z", "1", 1000);
    harness_rebuild(h);
    assert_true(h->partition->ttl.is_on);
    assert_old_values(h, T);
    assert_one(h, T + 999, "z", "1");
    assert_one(h, T + 1000, "z", NULL);
}

static void append_marked(harness *h, const char *key, const char *value, size_t size, bool marked)
{
    weir_error err;
    weir_changelog *changelog;
    assert_ok(weir_memory_topic_open(h->topic, "other", &changelog, &err), err);
    weir_changelog_record record = {
        .cf = "default", .key = S(key), .value = weir_slice_of(value, size), .ttl_stamped = marked};
    assert_ok(changelog->ops->append(changelog, &record, &err), err);
    changelog->ops->close(changelog);
}

static void test_a_changelog_without_marks_is_read_as_the_configuration_says(void **state)
{
    harness *h = *state;
    test_log_capture();
    append_marked(h, "a",
                  "\0\0\1\x8b\xcf\xe5k\xe8"
                  "1",
                  9, false); /* T + 1000 */
    append_marked(h, "b",
                  "\xff\xff\xff\xff\xff\xff\xff\xff"
                  "2",
                  9, false);
    harness_rebuild(h);
    assert_false(h->partition->ttl.is_on);
    assert_int_equal(test_log_count("recovery.ttl"), 1);
    h->store.ttl_unmarked = true;
    harness_rebuild(h);
    assert_true(h->partition->ttl.is_on);
    assert_int_equal(test_log_count("recovery.ttl"), 1);
    assert_at(h, T + 999, "ab", "a=1 b=2 ");
    assert_at(h, T + 1000, "ab", "b=2 ");
    test_log_release();
}

static void test_a_folder_of_quix_3_25_tells_how_to_read_its_changelog(void **state)
{
    harness *h = *state;
    weir_error err;
    if (!matrix_is_persistent(h))
        skip();
    weir_backend_op ops[] = {
        {.kind = WEIR_OP_PUT,
         .cf = h->partition->metadata,
         .key = S("__ttl_enabled__"),
         .value = weir_slice_of("\1", 1)},
        {.kind = WEIR_OP_PUT,
         .cf = h->partition->metadata,
         .key = S("__ttl_format_version__"),
         .value = weir_slice_of("\0\0\0\0\0\0\0\2", 8)},
    };
    assert_ok(h->partition->backend->write(h->partition->db, ops, 2, 0, &err), err);
    append_marked(h, "a",
                  "\0\0\1\x8b\xcf\xe5k\xe8"
                  "1",
                  9, false);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_at(h, T, "a", "a=1 ");
    assert_at(h, T + 1000, "a", "");
}

static void test_a_stamped_value_in_the_middle_of_a_recovery_keeps_what_is_there(void **state)
{
    harness *h = *state;
    if (!matrix_is_persistent(h))
        skip();
    put_old_values(h);
    append_marked(h, "z",
                  "\0\0\1\x8b\xcf\xe5k\xe8"
                  "1",
                  9, true);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_true(h->partition->ttl.is_partial);
    assert_old_values(h, T);
    assert_one(h, T, "z", "1");
    while (h->partition->ttl.is_partial)
        put(h, T, "y", "1");
    assert_old_values(h, T);
}

/* --- Faults --- */

static void test_an_entry_that_a_recovery_left_behind_and_a_change_needs_again_stays(void **state)
{
    harness *h = *state;
    char later[] = "\x00\x00\x01\x8b\xcf\xe5{\x88"
                   "2"; /* T + 5000 */
    put_ttl(h, T, "a", "1", 1000);
    harness_reopen(h);
    append_marked(h, "a", later, sizeof later - 1, true);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_at(h, T + 4999, "a", "a=2 ");

    set_over_by_now(h, "a", "3");
    put(h, T, "b", "2");
    assert_dump(h,
                "__ttl_system__/__ttl_migration_done__=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\n"
                "default/b=\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff2\n");
}

static void test_a_changelog_that_fails_leaves_values_as_they_were(void **state)
{
    harness *h = *state;
    weir_error err;
    put_old_values(h);
    put_ttl(h, T, "y", "1", 1000);
    for (int i = 0; i < 12; i++) { /* the call that fails is one of a change, a sweep, a stamp */
        weir_txn *txn = begin_at(h, T + 1000);
        set(txn, "x", "new");
        h->knobs.fail_at[TEST_CHANGELOG_APPEND] = h->knobs.calls[TEST_CHANGELOG_APPEND] + 1 + i;
        h->knobs.status = WEIR_IO;
        weir_status status = weir_txn_prepare(txn, NULL, 0, &err);
        weir_txn_free(txn);
        h->knobs.fail_at[TEST_CHANGELOG_APPEND] = 0;
        if (status == WEIR_OK)
            break;
        assert_int_equal(status, WEIR_IO);
        assert_old_values(h, T);
        assert_one(h, T, "y", "1");
        assert_one(h, T, "x", NULL);
        assert_true(i < 11);
    }
    /* What it had appended does not count, but for stamps, which change no value. */
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_old_values(h, T);
    while (h->partition->ttl.is_partial)
        put(h, T + 1000, "x", "1");
    assert_old_values(h, T + 1000);
    assert_one(h, T + 1000, "y", NULL);
}

int main(void)
{
    const matrix_test tests[] = {
        MATRIX_TEST(test_a_value_is_gone_from_the_moment_of_its_expiry),
        MATRIX_TEST(test_a_set_without_ttl_takes_the_expiry_away),
        MATRIX_TEST(test_the_view_of_a_record_sets_values_that_expire),
        MATRIX_TEST(test_what_has_expired_is_deleted_by_the_next_checkpoint),
        MATRIX_TEST(test_a_value_refreshed_in_the_checkpoint_that_sweeps_stays),
        MATRIX_TEST(test_what_another_transaction_refreshed_is_not_swept),
        MATRIX_TEST(test_values_that_are_swept_are_few_at_a_time),
        MATRIX_TEST(test_a_value_that_has_expired_as_it_comes_is_swept_later),
        MATRIX_TEST(test_a_value_that_is_set_again_with_an_expiry_that_is_over_is_swept_later),
        MATRIX_TEST(test_the_clock_is_kept_and_never_goes_back),
        MATRIX_TEST(test_what_a_failed_transaction_saw_does_not_count),
        MATRIX_TEST(test_one_record_from_the_far_future_does_not_expire_everything),
        MATRIX_TEST(test_the_first_time_is_measured_by_the_wall_clock),
        MATRIX_TEST(test_a_ttl_that_makes_no_sense_fails_the_transaction_and_not_the_store),
        MATRIX_TEST(test_only_a_plain_store_has_ttl),
        MATRIX_TEST(test_a_newer_format_is_refused),
        MATRIX_TEST(test_a_store_that_holds_values_loses_none_when_ttl_begins),
        MATRIX_TEST(test_values_written_meanwhile_are_told_from_old_ones),
        MATRIX_TEST(test_transactions_that_were_open_as_ttl_began_stay_right),
        MATRIX_TEST(test_recovery_tells_stamped_values_by_their_mark),
        MATRIX_TEST(test_a_changelog_without_marks_is_read_as_the_configuration_says),
        MATRIX_TEST(test_a_folder_of_quix_3_25_tells_how_to_read_its_changelog),
        MATRIX_TEST(test_a_stamped_value_in_the_middle_of_a_recovery_keeps_what_is_there),
        MATRIX_TEST(test_an_entry_that_a_recovery_left_behind_and_a_change_needs_again_stays),
        MATRIX_TEST(test_a_changelog_that_fails_leaves_values_as_they_were),
    };
    return matrix_run("ttl", tests, sizeof tests / sizeof *tests);
}
