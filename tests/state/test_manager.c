/*
 * The state manager: names and folders, which backend a store gets, assigning and
 * revoking, clearing, and what is said when something is in the way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/backend.h>

#include "state/support_harness.h"

#define S weir_slice_str

static const weir_option no_wait[] = {{"open_max_retries", "0"}, {NULL, NULL}};

static int setup(void **state)
{
    *state = test_folder_new();
    unsetenv("WEIR_STATE_BACKEND");
    return 0;
}

static int teardown(void **state)
{
    test_folder_remove(*state);
    unsetenv("WEIR_STATE_BACKEND");
    return 0;
}

static weir_status try_manager(const char *folder, const char *backend, const weir_option *pairs,
                               weir_state_manager **manager, weir_error *err)
{
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = folder;
    options.group_id = "group";
    options.state_backend = backend;
    options.state_options = pairs;
    return weir_state_manager_new(&options, manager, err);
}

static weir_state_manager *new_manager(const char *folder, const char *backend)
{
    weir_error err;
    weir_state_manager *manager;
    assert_ok(try_manager(folder, backend, no_wait, &manager, &err), err);
    return manager;
}

static weir_status try_store(weir_state_manager *manager, const char *name, const char *stream_id,
                             const char *backend, weir_error *err)
{
    weir_store_config config;
    weir_store_config_init(&config);
    config.name = name;
    config.stream_id = stream_id;
    config.backend = backend;
    return weir_state_manager_register(manager, &config, err);
}

static void add_store(weir_state_manager *manager, const char *name, const char *stream_id)
{
    weir_error err;
    assert_ok(try_store(manager, name, stream_id, NULL, &err), err);
}

static void assign(weir_state_manager *manager, const char *stream_id, int32_t partition)
{
    weir_error err;
    assert_ok(weir_state_manager_assign(manager, stream_id, partition, &err), err);
}

static void put(weir_partition *partition, const char *key, const char *value)
{
    weir_error err;
    weir_txn *txn;
    assert_non_null(partition);
    assert_ok(weir_partition_begin(partition, &txn, &err), err);
    assert_ok(weir_txn_set(txn, 0, S(""), S(key), S(value), &err), err);
    assert_ok(weir_txn_flush(txn, WEIR_OFFSET_NONE, &err), err);
    weir_txn_free(txn);
}

static bool holds(weir_partition *partition, const char *key, const char *value)
{
    weir_error err;
    weir_txn *txn;
    weir_slice found;
    assert_ok(weir_partition_begin(partition, &txn, &err), err);
    weir_status status = weir_txn_get(txn, 0, S(""), S(key), &found, &err);
    bool is_so =
        value ? status == WEIR_OK && weir_slice_equal(found, S(value)) : status == WEIR_NOT_FOUND;
    weir_txn_free(txn);
    return is_so;
}

static bool exists(const char *folder, const char *below)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, below);
    return test_folder_exists(path);
}

/* --- Names and options --- */

static void test_names_that_no_folder_may_have_are_refused(void **state)
{
    char name[300];
    const char *const groups[] = {"", ".", "..", "a/b", "tab\t", NULL};
    const char *const stores[] = {"", ".", "..", "a/b", "white space", "caf\xc3\xa9", "a|b"};
    weir_error err;
    weir_state_manager *manager;
    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        weir_state_options options;
        weir_state_options_init(&options);
        options.state_dir = *state;
        options.group_id = groups[i];
        assert_int_equal(weir_state_manager_new(&options, &manager, &err), WEIR_INVALID);
        assert_null(manager);
        assert_non_null(strstr(err.message, "group id"));
    }
    manager = new_manager(*state, "memory");
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        assert_int_equal(try_store(manager, stores[i], "t", NULL, &err), WEIR_INVALID);
    name[201] = 0;
    assert_int_equal(try_store(manager, name, "t", NULL, &err), WEIR_INVALID);
    name[200] = 0;
    assert_int_equal(try_store(manager, name, "t", NULL, &err), WEIR_OK);
    assert_int_equal(try_store(manager, "s", "../t", NULL, &err), WEIR_INVALID);
    assert_int_equal(try_store(manager, "s", "", NULL, &err), WEIR_INVALID);
    assert_int_equal(try_store(manager, "tumbling_window_60.000-x", "a--b", NULL, &err), WEIR_OK);
    weir_state_manager_free(manager);
}

static void test_a_backend_or_option_that_is_not_known_is_told_at_once(void **state)
{
    const weir_option unknown[] = {{"write_bufer_size", "1"}, {NULL, NULL}};
    const weir_option wrong[] = {{"open_max_retries", "many"}, {NULL, NULL}};
    weir_error err;
    weir_state_manager *manager;
    assert_int_equal(try_manager(*state, "rockdb", NULL, &manager, &err), WEIR_INVALID);
    assert_int_equal(err.status, WEIR_INVALID);
    assert_non_null(strstr(err.message, "rockdb"));
    assert_null(manager);
    assert_int_equal(try_manager(*state, "rocksdb", unknown, &manager, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "write_bufer_size"));
    assert_non_null(strstr(err.message, "write_buffer_size"));
    assert_int_equal(try_manager(*state, "rocksdb", wrong, &manager, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "open_max_retries"));

    manager = new_manager(*state, "memory");
    weir_store_config config;
    weir_store_config_init(&config);
    config.backend = "rocksdb";
    config.backend_options = unknown;
    assert_int_equal(weir_state_manager_register(manager, &config, &err), WEIR_INVALID);
    assert_int_equal(try_store(manager, "s", NULL, "rockdb", &err), WEIR_INVALID);
    assert_ok(weir_state_manager_assign(manager, NULL, 0, &err), err);
    assert_null(weir_state_manager_partition(manager, "default", NULL, 0));
    weir_state_manager_free(manager);
}

static const char *backend_of(const char *folder, const char *of_manager, const char *of_store)
{
    static char text[64];
    weir_error err;
    weir_state_manager *manager = new_manager(folder, of_manager);
    assert_ok(try_store(manager, "default", "t", of_store, &err), err);
    assign(manager, "t", 0);
    weir_partition *partition = weir_state_manager_partition(manager, "default", "t", 0);
    snprintf(text, sizeof text, "%s", weir_partition_backend(partition));
    weir_state_manager_free(manager);
    return text;
}

static void test_the_backend_is_that_of_store_then_manager_then_environment(void **state)
{
    assert_string_equal(backend_of(*state, NULL, NULL), "rocksdb");
    setenv("WEIR_STATE_BACKEND", "trace:rocksdb", 1);
    assert_string_equal(backend_of(*state, NULL, NULL), "trace:rocksdb");
    assert_string_equal(backend_of(*state, "memory", NULL), "memory");
    assert_string_equal(backend_of(*state, "memory", "rocksdb"), "rocksdb");
    setenv("WEIR_STATE_BACKEND", "", 1);
    assert_string_equal(backend_of(*state, NULL, NULL), "rocksdb");
}

/* --- Stores --- */

static void test_a_store_may_be_registered_again_but_not_as_another(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state, "memory");
    add_store(manager, "counts", "t");
    add_store(manager, "counts", "t");
    add_store(manager, "counts", "u");
    add_store(manager, "counts", NULL);
    assert_int_equal(try_store(manager, "counts", "t", "rocksdb", &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, "counts"));
    assert_non_null(strstr(err.message, "rocksdb"));
    weir_store_config config;
    weir_store_config_init(&config);
    const weir_option more[] = {{"open_max_retries", "3"}, {NULL, NULL}};
    config.name = "counts";
    config.stream_id = "t";
    config.backend_options = more;
    assert_int_equal(weir_state_manager_register(manager, &config, &err), WEIR_INVALID);
    weir_state_manager_free(manager);
}

static void test_a_store_comes_before_the_partitions_of_its_stream(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state, "memory");
    add_store(manager, "one", "t");
    assign(manager, "t", 0);
    add_store(manager, "one", "t");
    add_store(manager, "two", "u");
    assert_int_equal(try_store(manager, "two", "t", NULL, &err), WEIR_BUSY);
    assert_ok(weir_state_manager_revoke(manager, "t", 0, &err), err);
    add_store(manager, "two", "t");
    weir_state_manager_free(manager);
}

static void test_folders_that_would_lie_in_each_other_are_refused(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state, "memory");
    add_store(manager, "s", NULL);
    assert_int_equal(try_store(manager, "s", "0", NULL, &err), WEIR_INVALID);
    add_store(manager, "s", "t0");
    add_store(manager, "other", "0");
    assert_int_equal(try_store(manager, "other", NULL, NULL, &err), WEIR_INVALID);
    weir_state_manager_free(manager);
}

static void test_what_a_program_of_an_older_version_does_not_know_has_its_default(void **state)
{
    weir_error err;
    weir_state_manager *manager;
    weir_state_options options;
    weir_store_config config;
    weir_state_options_init(&options);
    options.struct_size = offsetof(weir_state_options, state_options);
    options.state_dir = *state;
    options.group_id = "group";
    options.state_backend = "memory";
    options.state_options = (const weir_option *)(uintptr_t)1; /* beyond its end */
    assert_ok(weir_state_manager_new(&options, &manager, &err), err);
    weir_store_config_init(&config);
    config.struct_size = offsetof(weir_store_config, backend);
    config.stream_id = "t";
    config.backend = (const char *)(uintptr_t)1;
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    assign(manager, "t", 0);
    weir_partition *partition = weir_state_manager_partition(manager, "default", "t", 0);
    assert_string_equal(weir_partition_backend(partition), "memory");
    weir_state_manager_free(manager);
}

/* --- Assigning --- */

static void test_folders_lie_where_quix_streams_has_them(void **state)
{
    weir_state_manager *manager = new_manager(*state, "rocksdb");
    add_store(manager, "default", "flights");
    add_store(manager, "other", "a--b");
    add_store(manager, "plain", NULL);
    assign(manager, "flights", 3);
    assign(manager, "a--b", 12);
    assign(manager, NULL, 0);
    assert_true(exists(*state, "group/default/flights/3"));
    assert_true(exists(*state, "group/other/a--b/12"));
    assert_true(exists(*state, "group/plain/0"));
    assert_false(exists(*state, "group/other/flights"));
    weir_state_manager_free(manager);
}

static void test_assign_opens_all_stores_of_the_stream_and_revoke_closes_them(void **state)
{
    weir_error err;
    weir_state_manager *manager = new_manager(*state, "rocksdb");
    add_store(manager, "one", "t");
    add_store(manager, "two", "t");
    add_store(manager, "one", "u");
    assign(manager, "t", 0);
    assign(manager, "t", 1);
    assign(manager, "t", 0); /* is so already */
    weir_partition *one = weir_state_manager_partition(manager, "one", "t", 0);
    assert_non_null(one);
    assert_non_null(weir_state_manager_partition(manager, "two", "t", 0));
    assert_ptr_not_equal(weir_state_manager_partition(manager, "one", "t", 1), one);
    assert_null(weir_state_manager_partition(manager, "one", "u", 0));
    assert_null(weir_state_manager_partition(manager, "one", NULL, 0));
    assert_null(weir_state_manager_partition(manager, "three", "t", 0));
    put(one, "k", "v");
    assert_ok(weir_state_manager_revoke(manager, "t", 0, &err), err);
    assert_ok(weir_state_manager_revoke(manager, "t", 0, &err), err);
    assert_null(weir_state_manager_partition(manager, "one", "t", 0));
    assert_non_null(weir_state_manager_partition(manager, "one", "t", 1));
    weir_state_manager *other = new_manager(*state, "rocksdb");
    add_store(other, "one", "t");
    assign(other, "t", 0);
    assert_true(holds(weir_state_manager_partition(other, "one", "t", 0), "k", "v"));
    weir_state_manager_free(other);
    assert_int_equal(weir_state_manager_assign(manager, "t", -1, &err), WEIR_INVALID);
    weir_state_manager_free(manager);
    weir_state_manager_free(NULL);
}

static void test_partitions_do_not_share_state(void **state)
{
    weir_state_manager *manager = new_manager(*state, "memory");
    add_store(manager, "one", "t");
    add_store(manager, "two", "t");
    assign(manager, "t", 0);
    assign(manager, "t", 1);
    put(weir_state_manager_partition(manager, "one", "t", 0), "k", "one/0");
    put(weir_state_manager_partition(manager, "two", "t", 1), "k", "two/1");
    assert_true(holds(weir_state_manager_partition(manager, "one", "t", 0), "k", "one/0"));
    assert_true(holds(weir_state_manager_partition(manager, "one", "t", 1), "k", NULL));
    assert_true(holds(weir_state_manager_partition(manager, "two", "t", 0), "k", NULL));
    weir_state_manager_free(manager);
}

static void test_after_a_failed_assign_nothing_stays_open(void **state)
{
    weir_error err;
    weir_state_manager *owner = new_manager(*state, "rocksdb");
    add_store(owner, "two", "t");
    assign(owner, "t", 0);

    weir_state_manager *manager = new_manager(*state, "rocksdb");
    add_store(manager, "one", "t");
    add_store(manager, "two", "t");
    assert_int_equal(weir_state_manager_assign(manager, "t", 0, &err), WEIR_LOCKED);
    assert_non_null(strstr(err.message, "store=two"));
    assert_non_null(strstr(err.message, "partition=0"));
    assert_null(weir_state_manager_partition(manager, "one", "t", 0));

    weir_state_manager *third = new_manager(*state, "rocksdb");
    add_store(third, "one", "t");
    assign(third, "t", 0);
    weir_state_manager_free(third);

    weir_state_manager_free(owner);
    assign(manager, "t", 0);
    weir_state_manager_free(manager);
}

static void test_waiting_for_a_lock_ends_at_the_deadline_and_at_stop(void **state)
{
    weir_error err;
    weir_state_manager *owner = new_manager(*state, "rocksdb");
    add_store(owner, "s", "t");
    assign(owner, "t", 0);
    volatile bool stop = false;
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = *state;
    options.group_id = "group";
    options.state_backend = "rocksdb";
    options.open_deadline_ms = 50;
    options.stop = &stop;
    weir_state_manager *manager;
    assert_ok(weir_state_manager_new(&options, &manager, &err), err);
    add_store(manager, "s", "t");
    weir_status status = weir_state_manager_assign(manager, "t", 0, &err);
    assert_true(status == WEIR_LOCKED || status == WEIR_TIMEOUT);
    stop = true;
    assert_int_equal(weir_state_manager_assign(manager, "t", 0, &err), WEIR_ABORTED);
    weir_state_manager_free(manager);
    weir_state_manager_free(owner);
}

/* A backend that keeps what it holds, as far as the host can tell. */
static void register_other_backend(void)
{
    static weir_backend other;
    const weir_backend *memory;
    weir_error err;
    if (other.name)
        return;
    assert_ok(weir_backend_find("memory", &memory, &err), err);
    other = *memory;
    other.name = "other";
    other.capabilities |= WEIR_CAP_PERSISTENT;
    assert_ok(weir_backend_register(&other, &err), err);
}

static void test_state_of_another_backend_is_refused_and_left_alone(void **state)
{
    weir_error err;
    register_other_backend();
    weir_state_manager *manager = new_manager(*state, "rocksdb");
    add_store(manager, "s", "t");
    assign(manager, "t", 0);
    put(weir_state_manager_partition(manager, "s", "t", 0), "k", "v");
    weir_state_manager_free(manager);

    manager = new_manager(*state, "other");
    add_store(manager, "s", "t");
    assert_int_equal(weir_state_manager_assign(manager, "t", 0, &err), WEIR_WRONG_BACKEND);
    assert_non_null(strstr(err.message, "rocksdb"));
    assert_non_null(strstr(err.message, *state));
    weir_state_manager_free(manager);

    manager = new_manager(*state, "rocksdb");
    add_store(manager, "s", "t");
    assign(manager, "t", 0);
    assert_true(holds(weir_state_manager_partition(manager, "s", "t", 0), "k", "v"));
    weir_state_manager_free(manager);
}

/* Runs in a child that is nobody: root may write everywhere. 0: as it should be. */
static int assign_as_nobody(const char *folder)
{
    weir_error err;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 2;
    weir_state_manager *manager;
    if (try_manager(folder, "rocksdb", no_wait, &manager, &err) ||
        try_store(manager, "s", "t", NULL, &err))
        return 3;
    weir_status status = weir_state_manager_assign(manager, "t", 0, &err);
    bool is_told = strstr(err.message, folder) && strstr(err.message, "store=s");
    weir_state_manager_free(manager);
    if (status != WEIR_PERMISSION) {
        fprintf(stderr, "%s: %s\n", weir_status_name(status), err.message);
        return 4;
    }
    return is_told ? 0 : 5;
}

static void test_a_folder_without_permission_is_told(void **state)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/closed", (char *)*state);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(mkdir(folder, 0555), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(assign_as_nobody(folder));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_file_in_place_of_the_folder_is_told(void **state)
{
    char path[512];
    weir_error err;
    snprintf(path, sizeof path, "%s/file", (char *)*state);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    weir_state_manager *manager = new_manager(path, "rocksdb");
    add_store(manager, "s", "t");
    assert_int_equal(weir_state_manager_assign(manager, "t", 0, &err), WEIR_INVALID);
    assert_non_null(strstr(err.message, path));
    weir_state_manager_free(manager);
}

/* --- Changelogs --- */

static weir_status refuse_changelog(const char *store, const char *stream_id, int32_t partition,
                                    weir_changelog **changelog, void *arg, weir_error *err)
{
    int *calls = arg;
    *changelog = NULL;
    (*calls)++;
    return weir_error_set(err, WEIR_TOPIC, "no topic for %s %s %d", store, stream_id, partition);
}

static void test_a_changelog_that_can_not_be_opened_fails_the_assign(void **state)
{
    weir_error err;
    int calls = 0;
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = *state;
    options.group_id = "group";
    options.state_backend = "rocksdb";
    options.changelog_open = refuse_changelog;
    options.changelog_arg = &calls;
    weir_state_manager *manager;
    assert_ok(weir_state_manager_new(&options, &manager, &err), err);
    weir_store_config config;
    weir_store_config_init(&config);
    config.name = "a_without";
    config.stream_id = "t";
    config.changelog = false;
    assert_ok(weir_state_manager_register(manager, &config, &err), err);
    assign(manager, "t", 0);
    assert_int_equal(calls, 0);
    assert_false(
        weir_partition_has_changelog(weir_state_manager_partition(manager, "a_without", "t", 0)));
    assert_ok(weir_state_manager_revoke(manager, "t", 0, &err), err);
    add_store(manager, "with", "t");
    assert_int_equal(weir_state_manager_assign(manager, "t", 0, &err), WEIR_TOPIC);
    assert_string_equal(err.message, "no topic for with t 0");
    assert_int_equal(calls, 1);
    assert_null(weir_state_manager_partition(manager, "a_without", "t", 0));
    weir_state_manager_free(manager);
}

/* --- Clear --- */

static void test_clear_removes_all_state_of_the_group_and_no_other(void **state)
{
    weir_error err;
    char other_group[512];
    weir_state_manager *manager = new_manager(*state, "rocksdb");
    add_store(manager, "s", "t");
    add_store(manager, "plain", NULL);
    assign(manager, "t", 0);
    assign(manager, NULL, 1);
    put(weir_state_manager_partition(manager, "s", "t", 0), "k", "v");
    assert_int_equal(weir_state_manager_clear(manager, &err), WEIR_BUSY);
    assert_non_null(strstr(err.message, "group"));
    weir_state_manager_free(manager);
    snprintf(other_group, sizeof other_group, "%s/another group", (char *)*state);
    assert_int_equal(mkdir(other_group, 0755), 0);

    manager = new_manager(*state, "rocksdb"); /* knows one of the two stores */
    add_store(manager, "s", "t");
    assert_ok(weir_state_manager_clear(manager, &err), err);
    assert_false(exists(*state, "group"));
    assert_true(exists(*state, "another group"));
    assert_ok(weir_state_manager_clear(manager, &err), err);
    assign(manager, "t", 0);
    assert_true(holds(weir_state_manager_partition(manager, "s", "t", 0), "k", NULL));
    weir_state_manager_free(manager);
}

static void test_clear_takes_nothing_from_a_live_owner(void **state)
{
    const char *const backends[] = {"rocksdb", "memory"};
    for (size_t i = 0; i < 2; i++) {
        weir_error err;
        weir_state_manager *owner = new_manager(*state, "rocksdb");
        add_store(owner, "s", "t");
        assign(owner, "t", 0);
        put(weir_state_manager_partition(owner, "s", "t", 0), "k", "v");
        weir_state_manager *manager = new_manager(*state, backends[i]);
        if (i == 0)
            add_store(manager, "s", "t");
        assert_int_equal(weir_state_manager_clear(manager, &err), WEIR_LOCKED);
        assert_non_null(strstr(err.message, "group/s/t/0"));
        weir_state_manager_free(manager);
        weir_state_manager_free(owner);
        owner = new_manager(*state, "rocksdb");
        add_store(owner, "s", "t");
        assign(owner, "t", 0);
        assert_true(holds(weir_state_manager_partition(owner, "s", "t", 0), "k", "v"));
        weir_state_manager_free(owner);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names_that_no_folder_may_have_are_refused),
        TEST(test_a_backend_or_option_that_is_not_known_is_told_at_once),
        TEST(test_the_backend_is_that_of_store_then_manager_then_environment),
        TEST(test_a_store_may_be_registered_again_but_not_as_another),
        TEST(test_a_store_comes_before_the_partitions_of_its_stream),
        TEST(test_folders_that_would_lie_in_each_other_are_refused),
        TEST(test_what_a_program_of_an_older_version_does_not_know_has_its_default),
        TEST(test_folders_lie_where_quix_streams_has_them),
        TEST(test_assign_opens_all_stores_of_the_stream_and_revoke_closes_them),
        TEST(test_partitions_do_not_share_state),
        TEST(test_after_a_failed_assign_nothing_stays_open),
        TEST(test_waiting_for_a_lock_ends_at_the_deadline_and_at_stop),
        TEST(test_state_of_another_backend_is_refused_and_left_alone),
        TEST(test_a_folder_without_permission_is_told),
        TEST(test_a_file_in_place_of_the_folder_is_told),
        TEST(test_a_changelog_that_can_not_be_opened_fails_the_assign),
        TEST(test_clear_removes_all_state_of_the_group_and_no_other),
        TEST(test_clear_takes_nothing_from_a_live_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
