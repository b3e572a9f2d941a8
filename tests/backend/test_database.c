/*
 * Databases: the folder and who wrote it, what is said when it can't be opened, recreation
 * after corruption, destroying, and the form of errors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support_child.h"
#include "support_fixture.h"
#include "support_keeper.h"

static char *folder;
static const char *place;

static int set_up(void **state)
{
    (void)state;
    static char path[512];
    folder = fixture_folder();
    snprintf(path, sizeof path, "%s/group/default/3", folder);
    place = path;
    fixture_log_catch();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_log_release();
    fixture_remove(folder);
    return 0;
}

static void refuse(const weir__database_config *config, weir_status expected, const char *part)
{
    weir__database *database = (weir__database *)1;
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir__database_open(config, &database, &err), expected);
    assert_null(database);
    assert_int_equal(err.status, expected);
    assert_tells(&err, part);
}

static bool exists(const char *name)
{
    return access(fixture_path(place, name), F_OK) == 0;
}

/* ------------------------------------------------------------------- the folder */

static void test_opening_makes_the_folder_and_says_who_wrote_it(void **state)
{
    (void)state;
    weir__database *database = fixture_open("keeper", place, NULL);
    const char *begin =
        "{\"backend\":\"keeper\",\"layout\":1,\"written_by\":\"weir " WEIR_VERSION_STRING "\"";
    assert_memory_equal(fixture_read(place, "weir.json"), begin, strlen(begin));
    assert_false(exists("weir.json.tmp"));
    assert_string_equal(weir__database_spec(database), "keeper");
    assert_false(weir__database_was_recreated(database));
    char label[600];
    snprintf(label, sizeof label, "backend=keeper store=s partition=0 path=%s", place);
    assert_string_equal(weir__database_label(database), label);
    assert_int_equal(fixture_log_count("store.open", label), 1);
    fixture_close(database);
    assert_int_equal(fixture_log_count("store.close", label), 1);
}

static void test_decorators_leave_the_folder_to_what_stores(void **state)
{
    (void)state;
    fixture_close(fixture_open("trace:fault:keeper", place, NULL));
    assert_non_null(strstr(fixture_read(place, "weir.json"), "\"backend\":\"keeper\""));
    fixture_close(fixture_open("keeper", place, NULL));
}

static void test_memory_needs_no_folder_and_makes_none(void **state)
{
    (void)state;
    fixture_close(fixture_open("memory", place, NULL));
    fixture_close(fixture_open("trace:memory", "", NULL));
    assert_int_not_equal(access(place, F_OK), 0);
}

static void test_folder_of_another_backend_is_refused_with_the_way_out(void **state)
{
    (void)state;
    fixture_close(fixture_open("keeper", place, NULL));
    char before[4096];
    snprintf(before, sizeof before, "%s", fixture_read(place, "weir.json"));
    weir__database_config config = fixture_config("rocksdb", place, NULL);
    config.can_rebuild = true;
    refuse(&config, WEIR_WRONG_BACKEND, "weir state migrate --from 'keeper:");
    refuse(&config, WEIR_WRONG_BACKEND, place);
    assert_string_equal(fixture_read(place, "weir.json"), before);
    assert_false(exists("CURRENT"));
    fixture_close(fixture_open("keeper", place, NULL));
}

static void test_folder_of_quix_streams_is_taken_as_rocksdb(void **state)
{
    (void)state;
    weir__database *database = fixture_open("rocksdb", place, NULL);
    assert_int_equal(fixture_put(database, "k", "kept", NULL), WEIR_OK);
    fixture_close(database);
    assert_int_equal(unlink(fixture_path(place, "weir.json")), 0);
    assert_int_equal(unlink(fixture_path(place, "weir.lock")), 0);
    weir__database_config config = fixture_config("keeper", place, NULL);
    refuse(&config, WEIR_WRONG_BACKEND, "--from 'rocksdb:");
    assert_false(exists("weir.json"));
    database = fixture_open("rocksdb", place, NULL);
    assert_string_equal(fixture_get(database, "k"), "kept");
    fixture_close(database);
    assert_non_null(strstr(fixture_read(place, "weir.json"), "\"backend\":\"rocksdb\""));
}

static void test_newer_layout_is_refused(void **state)
{
    (void)state;
    fixture_close(fixture_open("keeper", place, NULL));
    static const char *const contents[] = {"{\"backend\":\"other\",\"layout\":2}",
                                           "{\"backend\":\"x\",\"layout\":2,\"more\":[1]}"};
    weir__database_config config = fixture_config("keeper", place, NULL);
    config.can_rebuild = true;
    for (size_t i = 0; i < 2; i++) {
        fixture_write(place, "weir.json", contents[i]);
        refuse(&config, WEIR_VERSION, "version 2 of the folder layout");
        refuse(&config, WEIR_VERSION, "newer Weir");
        assert_string_equal(fixture_read(place, "weir.json"), contents[i]);
    }
}

static void test_unreadable_identity_is_corruption(void **state)
{
    (void)state;
    static const char *const contents[] = {"",
                                           "{",
                                           "{\"layout\":1}",
                                           "{\"backend\":\"keeper\"}",
                                           "{\"backend\":\"keeper\",\"layout\":0}",
                                           "nonsense"};
    fixture_close(fixture_open("keeper", place, NULL));
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        fixture_write(place, "weir.json", contents[i]);
        weir__database_config config = fixture_config("keeper", place, NULL);
        refuse(&config, WEIR_CORRUPTED, "does not say which backend wrote the folder");
        assert_string_equal(fixture_read(place, "weir.json"), contents[i]);
        config.can_rebuild = true;
        weir__database *database;
        assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
        assert_true(weir__database_was_recreated(database));
        fixture_close(database);
        fixture_close(fixture_open("keeper", place, NULL));
    }
}

/* The bytes of docs/formats/folder.md. */
static void test_the_identity_has_a_checksum_of_what_is_before_it(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "{\"backend\":\"keeper\",\"layout\":3,\"written_by\":\"weir 0.1.0\",\"checksum\":"
        "\"729687c76f21f55f\"}\n",
        "{\"backend\":\"rocksdb\",\"layout\":1,\"written_by\":\"weir 0.1.0\",\"checksum\":"
        "\"729687c76f21f55e\"}\n",
        "{\"backend\":\"rocksdb\",\"layout\":1,\"written_by\":\"weir 0.1.0\",\"checksum\":\"72",
    };
    fixture_close(fixture_open("keeper", place, NULL));
    weir__database_config config = fixture_config("keeper", place, NULL);
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        fixture_write(place, "weir.json", contents[i]);
        refuse(&config, WEIR_CORRUPTED, "its checksum is wrong");
    }
    fixture_write(
        place, "weir.json",
        "{\"backend\":\"rocksdb\",\"layout\":1,\"written_by\":\"weir 0.1.0\",\"checksum\":"
        "\"729687c76f21f55f\"}\n");
    refuse(&config, WEIR_WRONG_BACKEND, "was written by the backend 'rocksdb'");
}

static void test_failed_open_does_not_bind_the_folder(void **state)
{
    (void)state;
    static const weir_option failing[] = {
        {"fault.op", "open"}, {"fault.error", "io"}, {"fault.times", "0"}, {NULL, NULL}};
    weir__database_config config = fixture_config("fault:rocksdb", place, failing);
    refuse(&config, WEIR_IO, "injected by fault");
    assert_false(exists("weir.json"));
    fixture_close(fixture_open("keeper", place, NULL));
}

static void test_opening_without_create_needs_a_database(void **state)
{
    (void)state;
    weir__database *database;
    weir__database_config config = fixture_config("rocksdb", place, NULL);
    config.create = false;
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_NOT_FOUND);
    assert_int_not_equal(access(place, F_OK), 0);
    fixture_close(fixture_open("rocksdb", place, NULL));
    assert_int_equal(weir__database_open(&config, &database, NULL), WEIR_OK);
    fixture_close(database);
}

static void test_location_that_does_not_fit_the_backend_is_told(void **state)
{
    (void)state;
    weir__database_config config = fixture_config("rocksdb", "s3://bucket/state", NULL);
    refuse(&config, WEIR_INVALID, "can't keep state at a URL");
    config = fixture_config("rocksdb", "", NULL);
    refuse(&config, WEIR_INVALID, "state needs a folder");
    config = fixture_config("rocksdb", NULL, NULL);
    refuse(&config, WEIR_INVALID, "state needs a folder");
    fixture_write(folder, "file", "x");
    config = fixture_config("rocksdb", fixture_path(folder, "file"), NULL);
    refuse(&config, WEIR_INVALID, "a part of the path is a file");
    config = fixture_config("rocksdb", fixture_path(folder, "file/below"), NULL);
    refuse(&config, WEIR_INVALID, "a part of the path is a file");
}

/* ------------------------------------------------- rights and space, in a child */

static bool tells(const weir_error *err, const char *part)
{
    if (strstr(err->message, part) != NULL)
        return true;
    fprintf(stderr, "does not tell '%s': %s\n", part, err->message);
    return false;
}

static bool fails_with(const char *spec, const char *location, weir_status expected,
                       const char *part)
{
    weir__database_config config = fixture_config(spec, location, NULL);
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir__database_open(&config, &database, &err);
    if (status != expected) {
        fprintf(stderr, "%s instead of %s: %s\n", weir_status_name(status),
                weir_status_name(expected), err.message);
        return false;
    }
    return tells(&err, part) && tells(&err, location);
}

static bool open_without_rights(void *arg)
{
    (void)arg;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return false;
    char closed[600];
    snprintf(closed, sizeof closed, "%s/closed", folder);
    char below[700];
    snprintf(below, sizeof below, "%s/below", closed);
    return fails_with("keeper", below, WEIR_PERMISSION, "chown or chmod") &&
           fails_with("keeper", closed, WEIR_PERMISSION, "Permission denied") &&
           fails_with("rocksdb", closed, WEIR_PERMISSION, "Permission denied") &&
           fails_with("keeper", fixture_path(folder, "locked"), WEIR_PERMISSION, "weir.lock");
}

static void test_folder_without_permission_is_told(void **state)
{
    (void)state;
    assert_int_equal(mkdir(fixture_path(folder, "closed"), 0700), 0);
    assert_int_equal(mkdir(fixture_path(folder, "locked"), 0755), 0);
    fixture_write(fixture_path(folder, "locked"), "weir.lock", "");
    assert_int_equal(chmod(fixture_path(folder, "locked/weir.lock"), 0400), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    if (geteuid() != 0)
        assert_int_equal(chmod(fixture_path(folder, "closed"), 0), 0);
    assert_true(child_check(open_without_rights, NULL));
    assert_int_equal(chmod(fixture_path(folder, "closed"), 0700), 0);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return is_written;
}

/* Mounts of its own: as root at once, else as the root of a user namespace. */
static bool unshare_mounts(void)
{
    char users[64];
    char groups[64];
    snprintf(users, sizeof users, "0 %u 1", geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", getegid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", users) &&
           write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", groups);
}

/* A file system of `size` bytes at `place`, seen by this process alone. */
static bool mount_small(const char *size)
{
    char options[64];
    snprintf(options, sizeof options, "size=%s,mode=0700", size);
    if (!unshare_mounts())
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", place, "tmpfs", 0, options) == 0;
}

static bool can_mount(void *arg)
{
    (void)arg;
    return mount_small("64k");
}

static bool fill_disk(const char *path)
{
    char block[4096];
    memset(block, 'x', sizeof block);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return false;
    while (write(fd, block, sizeof block) > 0)
        ;
    bool is_full = errno == ENOSPC;
    close(fd);
    return is_full;
}

static bool open_on_a_full_disk(void *arg)
{
    (void)arg;
    char state_folder[600];
    char filler[600];
    snprintf(state_folder, sizeof state_folder, "%s/state", place);
    snprintf(filler, sizeof filler, "%s/filler", place);
    if (!mount_small("64k") || !fill_disk(filler))
        return false;
    if (!fails_with("keeper", state_folder, WEIR_NO_SPACE, "Free space on that file system"))
        return false;
    /* Nothing is left behind that would be in the way once there is space. */
    weir__database_config config = fixture_config("keeper", state_folder, NULL);
    weir__database *database;
    return unlink(filler) == 0 && weir__database_open(&config, &database, NULL) == WEIR_OK &&
           weir__database_close(database, NULL) == WEIR_OK;
}

static void test_full_disk_is_told_and_opening_works_once_there_is_space(void **state)
{
    (void)state;
    char command[600];
    snprintf(command, sizeof command, "%s/group", folder);
    assert_int_equal(mkdir(command, 0755), 0);
    assert_int_equal(mkdir(fixture_path(folder, "group/default"), 0755), 0);
    assert_int_equal(mkdir(place, 0755), 0);
    if (!child_check(can_mount, NULL))
        skip();
    assert_true(child_check(open_on_a_full_disk, NULL));
}

static void test_lack_of_space_told_by_the_backend_keeps_its_code(void **state)
{
    (void)state;
    static const weir_option failing[] = {
        {"fault.op", "open"}, {"fault.error", "no_space"}, {"fault.times", "0"}, {NULL, NULL}};
    weir__database_config config = fixture_config("fault:keeper", place, failing);
    refuse(&config, WEIR_NO_SPACE, "can't open state: ");
    refuse(&config, WEIR_NO_SPACE, place);
}

/* ------------------------------------------------------------------- corruption */

static void make_corrupted(void)
{
    weir__database *database = fixture_open("rocksdb", place, NULL);
    assert_int_equal(fixture_put(database, "k", "lost", NULL), WEIR_OK);
    fixture_close(database);
    fixture_write(place, "CURRENT", "MANIFEST-nonsense\n");
}

static void test_corrupted_state_with_a_changelog_is_made_anew_with_a_word(void **state)
{
    (void)state;
    make_corrupted();
    weir__database_config config = fixture_config("rocksdb", place, NULL);
    config.can_rebuild = true;
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir__database_open(&config, &database, &err);
    if (status != WEIR_OK)
        fail_msg("%s", err.message);
    assert_true(weir__database_was_recreated(database));
    assert_int_equal(fixture_log_count("store.corrupted", "rebuilt from its changelog"), 1);
    assert_int_equal(fixture_log_count("store.corrupted", place), 1);
    assert_int_equal(fixture_log_count("store.recreated", place), 1);
    assert_null(fixture_get(database, "k"));
    assert_int_equal(fixture_put(database, "k", "new", NULL), WEIR_OK);
    fixture_close(database);
    database = fixture_open("rocksdb", place, NULL);
    assert_false(weir__database_was_recreated(database));
    assert_string_equal(fixture_get(database, "k"), "new");
    fixture_close(database);
}

static void test_corrupted_state_without_a_changelog_is_never_destroyed(void **state)
{
    (void)state;
    static const weir_option keep[] = {{"on_corrupted_recreate", "false"}, {NULL, NULL}};
    make_corrupted();
    weir__database_config config = fixture_config("rocksdb", place, NULL);
    refuse(&config, WEIR_CORRUPTED, "no changelog can rebuild it");
    refuse(&config, WEIR_CORRUPTED, "Restore the folder from a backup");
    config.can_rebuild = true;
    config.options = keep;
    refuse(&config, WEIR_CORRUPTED, "Set on_corrupted_recreate=true");
    config.options = NULL;
    config.read_only = true;
    refuse(&config, WEIR_CORRUPTED, "left as it is");
    assert_string_equal(fixture_read(place, "CURRENT"), "MANIFEST-nonsense\n");
    assert_int_equal(fixture_log_count("store.corrupted", NULL), 0);
}

static void test_recreation_is_tried_once(void **state)
{
    (void)state;
    static const weir_option always[] = {
        {"fault.op", "open"}, {"fault.error", "corrupted"}, {"fault.times", "0"}, {NULL, NULL}};
    weir__database_config config = fixture_config("fault:keeper", place, always);
    config.can_rebuild = true;
    refuse(&config, WEIR_CORRUPTED, "call 2, injected");
    assert_int_equal(fixture_log_count("store.corrupted", NULL), 1);
    assert_int_equal(fixture_log_count("store.recreated", NULL), 0);
}

/* ------------------------------------------------------------------- destroying */

static void test_destroying_removes_state_and_folder_but_nothing_else(void **state)
{
    (void)state;
    weir__database_config config = fixture_config("rocksdb", place, NULL);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    weir__database *database = fixture_open("rocksdb", place, NULL);
    assert_int_equal(fixture_put(database, "k", "v", NULL), WEIR_OK);
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir__database_destroy(&config, &err), WEIR_LOCKED);
    assert_tells(&err, "can't remove state");
    fixture_close(database);
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    assert_int_not_equal(access(place, F_OK), 0);
    assert_int_equal(fixture_log_count("store.destroyed", place), 1);

    fixture_close(fixture_open("rocksdb", place, NULL));
    fixture_write(place, "notes.txt", "of somebody else");
    assert_int_equal(weir__database_destroy(&config, NULL), WEIR_OK);
    assert_string_equal(fixture_read(place, "notes.txt"), "of somebody else");
    assert_false(exists("CURRENT"));
    assert_false(exists("weir.json"));
    assert_false(exists("weir.lock"));
}

static void test_state_of_another_backend_is_not_destroyed(void **state)
{
    (void)state;
    fixture_close(fixture_open("keeper", place, NULL));
    weir__database_config config = fixture_config("rocksdb", place, NULL);
    weir_error err;
    assert_int_equal(weir__database_destroy(&config, &err), WEIR_WRONG_BACKEND);
    assert_tells(&err, "keeper");
    assert_true(exists("weir.json"));
}

/* ----------------------------------------------------------------------- errors */

static void test_errors_have_one_form(void **state)
{
    (void)state;
    weir__database *database = fixture_open("memory", "", NULL);
    const char *label = "backend=memory store=s partition=0";
    weir_error inner;
    weir_error err;
    char expected[256];
    weir_error_set(&inner, WEIR_IO, "disk gone");
    assert_int_equal(weir__database_error(database, WEIR_IO, "can't write", &inner, &err), WEIR_IO);
    snprintf(expected, sizeof expected, "can't write: disk gone (%s)", label);
    assert_string_equal(err.message, expected);
    weir_error_set(&inner, WEIR_IO, "disk gone (%s)", label);
    weir__database_error(database, WEIR_IO, "can't write", &inner, &inner);
    assert_string_equal(inner.message, expected);
    weir__database_error(database, WEIR_FENCED, "can't write", NULL, &err);
    snprintf(expected, sizeof expected, "can't write: fenced by a newer writer (%s)", label);
    assert_string_equal(err.message, expected);
    assert_int_equal(weir__database_error(database, WEIR_NOT_FOUND, "x", NULL, &err),
                     WEIR_NOT_FOUND);
    assert_string_equal(err.message, expected);
    fixture_close(database);
    assert_int_equal(weir__database_close(NULL, NULL), WEIR_OK);
}

static void test_failing_close_is_told_and_releases_the_folder(void **state)
{
    (void)state;
    static const weir_option failing[] = {{"fault.op", "close"}, {NULL, NULL}};
    weir__database *database = fixture_open("fault:keeper", place, failing);
    weir_error err;
    assert_int_equal(weir__database_close(database, &err), WEIR_IO);
    assert_tells(&err, "can't close state in order: failure of close");
    fixture_close(fixture_open("keeper", place, NULL));
}

int main(void)
{
    keeper_register();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        /* First what works in a child, which must not inherit threads of RocksDB. */
        TEST(test_folder_without_permission_is_told),
        TEST(test_full_disk_is_told_and_opening_works_once_there_is_space),
        TEST(test_opening_makes_the_folder_and_says_who_wrote_it),
        TEST(test_decorators_leave_the_folder_to_what_stores),
        TEST(test_memory_needs_no_folder_and_makes_none),
        TEST(test_folder_of_another_backend_is_refused_with_the_way_out),
        TEST(test_folder_of_quix_streams_is_taken_as_rocksdb),
        TEST(test_newer_layout_is_refused),
        TEST(test_unreadable_identity_is_corruption),
        TEST(test_the_identity_has_a_checksum_of_what_is_before_it),
        TEST(test_failed_open_does_not_bind_the_folder),
        TEST(test_opening_without_create_needs_a_database),
        TEST(test_location_that_does_not_fit_the_backend_is_told),
        TEST(test_lack_of_space_told_by_the_backend_keeps_its_code),
        TEST(test_corrupted_state_with_a_changelog_is_made_anew_with_a_word),
        TEST(test_corrupted_state_without_a_changelog_is_never_destroyed),
        TEST(test_recreation_is_tried_once),
        TEST(test_destroying_removes_state_and_folder_but_nothing_else),
        TEST(test_state_of_another_backend_is_not_destroyed),
        TEST(test_errors_have_one_form),
        TEST(test_failing_close_is_told_and_releases_the_folder),
    };
    return cmocka_run_group_tests_name("backend database", tests, NULL, NULL);
}
