/*
 * Kinds of stores: registering them, what a partition of a kind has, and what local
 * column families keep out of the changelog.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "state/support_matrix.h"

#include "state/counter.h"
#include "state/recovery.h"
#include "state/txn.h"

#define S weir_slice_str

static int setup(void **state)
{
    *state = test_folder_new();
    return 0;
}

static int teardown(void **state)
{
    test_folder_remove(*state);
    return 0;
}

static weir_state_manager *new_manager(const char *folder)
{
    weir_state_options options;
    weir_state_manager *manager;
    weir_error err;
    weir_state_options_init(&options);
    options.state_dir = folder;
    options.group_id = "group";
    options.state_backend = "memory";
    assert_ok(weir_state_manager_new(&options, &manager, &err), err);
    return manager;
}

static weir_store_config a_store(weir_store_kind kind)
{
    weir_store_config config;
    weir_store_config_init(&config);
    config.stream_id = "t";
    config.kind = kind;
    return config;
}

static void assert_refused(weir_state_manager *manager, const weir_store_config *config,
                           const char *what)
{
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir_state_manager_register(manager, config, &err), WEIR_INVALID);
    if (!strstr(err.message, what))
        fail_msg("\"%s\" does not say \"%s\"", err.message, what);
}

static void test_a_store_of_another_kind_is_refused_with_both_names(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state);
    weir_store_config config = a_store(WEIR_STORE_WINDOWED);
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    assert_ok(weir_state_manager_register_windowed_store(manager, &config, &err), err);
    config.kind = WEIR_STORE_PLAIN;
    assert_refused(manager, &config,
                   "the store default of the stream t is a windowed store already, and can't be a "
                   "plain store too");
    config.kind = WEIR_STORE_TIMESTAMPED;
    assert_refused(manager, &config, "can't be a timestamped store too");
    config.kind = (weir_store_kind)3;
    assert_refused(manager, &config, "3 is not a kind of store");
    weir_state_manager_free(manager);
}

static void test_a_timestamped_store_has_one_grace_and_one_choice_of_duplicates(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state);
    weir_store_config config = a_store(WEIR_STORE_PLAIN);
    assert_ok(weir_state_manager_register_timestamped_store(manager, &config, &err), err);
    config.kind = WEIR_STORE_TIMESTAMPED;
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    config.grace_ms = 5;
    assert_refused(manager, &config, "a grace of 604800000 ms already, and can't have one of 5 ms");
    config = a_store(WEIR_STORE_TIMESTAMPED);
    config.keep_duplicates = true;
    assert_refused(manager, &config, "duplicates replaced already, and can't have them kept");
    config = a_store(WEIR_STORE_TIMESTAMPED);
    config.name = "other";
    config.grace_ms = -1;
    assert_refused(manager, &config, "store other: grace_ms is -1");
    /* Where it means nothing, it makes no difference. */
    config.kind = WEIR_STORE_WINDOWED;
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    config.grace_ms = 7;
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    weir_state_manager_free(manager);
}

static void test_a_configuration_of_an_older_program_is_a_plain_store(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state);
    weir_store_config config = a_store((weir_store_kind)77);
    config.struct_size = offsetof(weir_store_config, kind);
    config.changelog = false;
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    assert_ok(weir_state_manager_assign(manager, "t", 0, &err), err);
    weir_partition *partition = weir_state_manager_partition(manager, "default", "t", 0);
    assert_int_equal(weir_partition_kind(partition), WEIR_STORE_PLAIN);
    weir_state_manager_free(manager);
}

static void open_as(harness *h, weir_store_kind kind)
{
    harness_close(h);
    h->store.kind = kind;
    harness_open(h);
}

/* Puts a row into the metadata as another program would; NULL deletes it. */
static void store_note(harness *h, const char *key, const char *value)
{
    weir_error err;
    weir_backend_op op = {.kind = value ? WEIR_OP_PUT : WEIR_OP_DELETE,
                          .cf = h->partition->metadata,
                          .key = S(key),
                          .value = S(value ? value : "")};
    assert_ok(h->partition->backend->write(h->partition->db, &op, 1, 0, &err), err);
}

static bool has_note(harness *h, const char *expected)
{
    weir_backend_value value;
    weir_partition *partition = h->partition;
    weir_status status = partition->backend->get(partition->db, partition->metadata, NULL,
                                                 S("__weir_store_kind__"), &value, NULL);
    bool is_equal =
        status == WEIR_OK && weir_slice_equal(weir_slice_of(value.data, value.size), S(expected));
    partition->backend->value_release(partition->db, &value);
    return is_equal;
}

static void assert_not_opened_as(harness *h, weir_store_kind kind, weir_status expected,
                                 const char *what)
{
    weir_error err;
    harness_close(h);
    h->store.kind = kind;
    weir_error_init(&err);
    assert_int_equal(harness_try_open(h, &err), expected);
    if (!strstr(err.message, what) || !strstr(err.message, "path="))
        fail_msg("\"%s\" does not say \"%s\"", err.message, what);
}

static void test_the_state_of_another_kind_is_refused_after_a_restart(void **state)
{
    harness *h = *state;
    if (!matrix_is_persistent(h))
        return;
    open_as(h, WEIR_STORE_WINDOWED);
    assert_false(has_note(h, "windowed")); /* nothing is stored that could be of a kind */
    open_as(h, WEIR_STORE_TIMESTAMPED);
    harness_put(h, "k", "v", 1);
    assert_true(has_note(h, "timestamped"));
    assert_not_opened_as(
        h, WEIR_STORE_WINDOWED, WEIR_INVALID,
        "the state there is that of a timestamped store, and default is registered "
        "as a windowed store: register it as a timestamped store");
    assert_not_opened_as(h, WEIR_STORE_PLAIN, WEIR_INVALID, "is registered as a plain store");
    open_as(h, WEIR_STORE_TIMESTAMPED);
    assert_true(harness_holds(h, "k", "v"));
}

static void test_state_without_a_note_is_of_the_kind_that_is_registered_and_says_so(void **state)
{
    harness *h = *state;
    if (!matrix_is_persistent(h))
        return;
    open_as(h, WEIR_STORE_WINDOWED);
    harness_put(h, "k", "v", 1);
    store_note(h, "__weir_store_kind__", NULL); /* as Quix Streams leaves it */
    harness_reopen(h);
    harness_put(h, "k", "w", 2);
    assert_true(has_note(h, "windowed"));
}

static void test_only_a_plain_store_opens_state_with_ttl(void **state)
{
    harness *h = *state;
    if (!matrix_is_persistent(h))
        return;
    store_note(h, "__ttl_enabled__", "\1");
    assert_not_opened_as(h, WEIR_STORE_WINDOWED, WEIR_INVALID, "that of a plain store");
    open_as(h, WEIR_STORE_PLAIN);
}

static void test_the_state_of_a_kind_to_come_asks_for_the_newer_weir(void **state)
{
    harness *h = *state;
    if (!matrix_is_persistent(h))
        return;
    store_note(h, "__weir_store_kind__", "sessions");
    assert_not_opened_as(h, WEIR_STORE_PLAIN, WEIR_VERSION, "of kind \"sessions\"");
}

static void test_a_rebuild_from_the_changelog_notes_the_kind_again(void **state)
{
    harness *h = *state;
    weir_error err;
    harness_put(h, "k", "v", 1);
    assert_true(has_note(h, "plain"));
    assert_ok(weir__recovery_clear(h->partition, &err), err);
    assert_false(has_note(h, "plain"));
    harness_recover(h, WEIR_OFFSET_NONE);
    assert_true(has_note(h, "plain"));
}

static void assert_family(weir_partition *partition, const char *name, weir_cf number)
{
    weir_error err;
    weir_cf cf;
    assert_ok(weir_partition_cf(partition, name, &cf, &err), err);
    assert_int_equal(cf, number);
}

static void test_a_partition_has_the_families_of_its_kind(void **state)
{
    harness *h = *state;
    open_as(h, WEIR_STORE_WINDOWED);
    assert_int_equal(weir_partition_kind(h->partition), WEIR_STORE_WINDOWED);
    assert_family(h->partition, "default", WEIR_CF_DEFAULT);
    assert_family(h->partition, "__latest-timestamps__", WEIR__CF_LATEST_TIMESTAMPS);
    assert_family(h->partition, "__expiration-index__", WEIR__CF_EXPIRATION_INDEX);
    assert_family(h->partition, "__deletion-index__", WEIR__CF_DELETION_INDEX);
    assert_family(h->partition, "__value-deletion-index__", WEIR__CF_VALUE_DELETION_INDEX);
    assert_family(h->partition, "__values__", WEIR__CF_VALUES);
    assert_family(h->partition, "__global-counter__", WEIR__CF_WINDOWED_COUNTER);
    open_as(h, WEIR_STORE_TIMESTAMPED);
    assert_int_equal(weir_partition_kind(h->partition), WEIR_STORE_TIMESTAMPED);
    assert_family(h->partition, "__min-eligible-timestamps__", WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS);
    assert_family(h->partition, "__global-counter__", WEIR__CF_TIMESTAMPED_COUNTER);
}

static void test_a_call_of_another_kind_is_refused_with_both_names(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_txn *txn = harness_begin(h);
    assert_int_equal(weir__txn_check_kind(txn, WEIR_STORE_WINDOWED, "weir_x", &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "weir_x needs a windowed store, and this is a plain one"));
    assert_int_equal(weir__txn_check_kind(txn, WEIR_STORE_PLAIN, "weir_x", &err), WEIR_OK);
    weir_txn_free(txn);
}

static void test_what_is_local_stays_out_of_the_changelog(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_cf cf;
    open_as(h, WEIR_STORE_WINDOWED);
    assert_int_equal(weir_partition_cf(h->partition, "__weir_window_ends__", &cf, &err),
                     WEIR_INVALID);
    assert_int_equal(weir_partition_cf(h->partition, "__metadata__", &cf, &err), WEIR_INVALID);
    weir_txn *txn = harness_begin(h);
    weir_slice value = S("v");
    assert_ok(weir__txn_set(txn, WEIR__CF_WINDOW_ENDS, S("local"), &value, &err), err);
    assert_ok(weir__txn_set(txn, WEIR__CF_LATEST_TIMESTAMPS, S("shared"), &value, &err), err);
    harness_commit(h, txn, 1);
    assert_int_equal(h->knobs.calls[TEST_CHANGELOG_APPEND], 1);
    txn = harness_begin(h);
    assert_ok(weir__txn_get(txn, WEIR__CF_WINDOW_ENDS, S("local"), &value, &err), err);
    weir_txn_free(txn);
}

static void test_a_changelog_record_of_a_local_family_is_refused(void **state)
{
    harness *h = *state;
    weir_error err;
    weir_recovery_progress progress;
    weir_error_init(&err);
    harness_append(h, "__weir_window_ends__", "key", "value", NULL);
    assert_int_equal(harness_try_recover(h, WEIR_OFFSET_NONE, &progress, &err), WEIR_CORRUPTED);
    assert_non_null(strstr(err.message, "__weir_window_ends__, which is local"));
}

static uint64_t next(weir_txn *txn)
{
    uint64_t counter;
    weir_error err;
    assert_ok(weir__txn_next_counter(txn, &counter, &err), err);
    return counter;
}

static void test_the_counter_goes_on_where_the_last_checkpoint_left_it(void **state)
{
    harness *h = *state;
    open_as(h, WEIR_STORE_TIMESTAMPED);
    weir_txn *txn = harness_begin(h);
    assert_int_equal(next(txn), 0);
    assert_int_equal(next(txn), 1);
    harness_commit(h, txn, 1);
    txn = harness_begin(h);
    assert_int_equal(next(txn), 2);
    weir_txn_free(txn); /* not committed */
    char *dump = harness_dump(h);
    assert_string_equal(dump, "__global-counter__/|__global_counter__=1\n");
    free(dump);
    harness_reopen(h);
    harness_recover(h, WEIR_OFFSET_NONE);
    txn = harness_begin(h);
    assert_int_equal(next(txn), 2);
    weir_txn_free(txn);
}

static void set_counter(harness *h, const char *text)
{
    weir_error err;
    weir_txn *txn = harness_begin(h);
    weir_slice value = S(text);
    assert_ok(weir__txn_set(txn, WEIR__CF_WINDOWED_COUNTER, S("__global_counter__"), &value, &err),
              err);
    harness_commit(h, txn, 1);
}

static void test_the_counter_begins_anew_after_its_largest_value(void **state)
{
    harness *h = *state;
    weir_error err;
    uint64_t counter;
    open_as(h, WEIR_STORE_WINDOWED);
    set_counter(h, "18446744073709551614");
    weir_txn *txn = harness_begin(h);
    assert_true(next(txn) == UINT64_MAX);
    assert_int_equal(next(txn), 0);
    weir_txn_free(txn);
    static const char *const bad[] = {"", "-1", "1.0", "18446744073709551616", "1 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        set_counter(h, bad[i]);
        txn = harness_begin(h);
        assert_int_equal(weir__txn_next_counter(txn, &counter, &err), WEIR_CORRUPTED);
        weir_txn_free(txn);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const matrix_test tests[] = {
        MATRIX_TEST(test_a_partition_has_the_families_of_its_kind),
        MATRIX_TEST(test_the_state_of_another_kind_is_refused_after_a_restart),
        MATRIX_TEST(test_state_without_a_note_is_of_the_kind_that_is_registered_and_says_so),
        MATRIX_TEST(test_only_a_plain_store_opens_state_with_ttl),
        MATRIX_TEST(test_the_state_of_a_kind_to_come_asks_for_the_newer_weir),
        MATRIX_TEST(test_a_rebuild_from_the_changelog_notes_the_kind_again),
        MATRIX_TEST(test_a_call_of_another_kind_is_refused_with_both_names),
        MATRIX_TEST(test_what_is_local_stays_out_of_the_changelog),
        MATRIX_TEST(test_a_changelog_record_of_a_local_family_is_refused),
        MATRIX_TEST(test_the_counter_goes_on_where_the_last_checkpoint_left_it),
        MATRIX_TEST(test_the_counter_begins_anew_after_its_largest_value),
    };
    static const struct CMUnitTest alone[] = {
        TEST(test_a_store_of_another_kind_is_refused_with_both_names),
        TEST(test_a_timestamped_store_has_one_grace_and_one_choice_of_duplicates),
        TEST(test_a_configuration_of_an_older_program_is_a_plain_store),
    };
    int failed = cmocka_run_group_tests_name("kinds", alone, NULL, NULL);
    return failed + matrix_run("kinds", tests, sizeof tests / sizeof *tests);
}
