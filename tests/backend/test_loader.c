/*
 * Loading plugins: by path, by name, and what is refused.
 *
 * Plugins are loaded for good, so each test works on files with names of its own. They are
 * copied into a new folder, as the build folder may well be one that others may write to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/registry.h"
#include "support_fixture.h"

/* Copies the plugin libweir_NAME.so into a folder. */
static const char *install(const char *name, const char *folder)
{
    static char copy[512];
    char buffer[65536];
    char file[64];
    snprintf(file, sizeof file, "libweir_%s.so", name);
    FILE *from = fopen(fixture_path(TEST_PLUGIN_FOLDER, file), "r");
    assert_non_null(from);
    snprintf(copy, sizeof copy, "%s/%s", folder, file);
    FILE *to = fopen(copy, "w");
    assert_non_null(to);
    for (size_t size; (size = fread(buffer, 1, sizeof buffer, from)) > 0;)
        assert_int_equal(fwrite(buffer, 1, size, to), size);
    fclose(from);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(chmod(copy, 0755), 0);
    return copy;
}

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder();
    setenv("WEIR_BACKEND_PATH", folder, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_remove(folder);
    folder = NULL;
    unsetenv("WEIR_BACKEND_PATH");
    return 0;
}

static void refuse(const char *name, weir_status expected, const char *part)
{
    const weir_backend *backend;
    weir_error err;
    weir_error_init(&err);
    assert_int_equal(weir_backend_find(name, &backend, &err), expected);
    assert_null(backend);
    assert_tells(&err, part);
}

static void test_plugin_is_found_by_name_and_by_path_and_works(void **state)
{
    (void)state;
    const weir_backend *by_name;
    const weir_backend *by_path;
    char link[512];
    refuse("tiny", WEIR_NOT_FOUND, folder);
    const char *path = install("tiny", folder);
    assert_int_equal(weir_backend_find("tiny", &by_name, NULL), WEIR_OK);
    assert_string_equal(by_name->version, "tiny 1");
    assert_int_equal(weir_backend_find(path, &by_path, NULL), WEIR_OK);
    assert_ptr_equal(by_path, by_name);
    snprintf(link, sizeof link, "%s/link.so", folder);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(weir_backend_find(link, &by_path, NULL), WEIR_OK);
    assert_ptr_equal(by_path, by_name);

    fixture_log_catch();
    char spec[600];
    snprintf(spec, sizeof spec, "trace:%s", path);
    weir__database *database = fixture_open(spec, "", NULL);
    assert_int_equal(fixture_log_count("tiny.open", "through its host"), 1);
    assert_int_equal(fixture_put(database, "b", "2", NULL), WEIR_OK);
    assert_int_equal(fixture_put(database, "a", "1", NULL), WEIR_OK);
    assert_string_equal(fixture_get(database, "a"), "1");
    assert_null(fixture_get(database, "c"));
    weir_error err;
    weir_status status = WEIR_OK;
    for (int i = 0; i < 100 && status == WEIR_OK; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        status = fixture_put(database, key, "x", &err);
    }
    assert_int_equal(status, WEIR_NO_SPACE);
    assert_string_equal(err.message, "tiny: full");
    fixture_close(database);
    fixture_log_release();
}

static void test_plugin_that_can_not_be_right_is_refused_by_name_of_its_fault(void **state)
{
    (void)state;
    install("nowrite", folder);
    refuse("nowrite", WEIR_INVALID, "lacks the required method 'write'");
    install("boasting", folder);
    refuse("boasting", WEIR_INVALID, "'snapshots' but lacks its method 'snapshot_open'");
    install("newer", folder);
    refuse("newer", WEIR_VERSION, "version 2");
    install("noentry", folder);
    refuse("noentry", WEIR_INVALID, "does not export 'weir_backend_get'");
    install("refuses", folder);
    refuse("refuses", WEIR_VERSION, "can't work with version 1");
    install("othername", folder);
    refuse("othername", WEIR_INVALID, "calls itself 'someone_else'");
    fixture_write(folder, "libweir_text.so", "not a library");
    refuse("text", WEIR_INVALID, "can't load the plugin");
    /* By path, the name that it gives itself is right. */
    const weir_backend *backend;
    const char *path = install("othername", folder);
    assert_int_equal(weir_backend_find(path, &backend, NULL), WEIR_OK);
    assert_string_equal(backend->name, "someone_else");
}

static void test_plugin_without_atomic_batches_is_refused_when_state_opens(void **state)
{
    (void)state;
    weir_error err;
    weir_error_init(&err);
    install("nobatch", folder);
    weir__database_config config = fixture_config("nobatch", "", NULL);
    weir__database *database;
    assert_int_equal(weir__database_open(&config, &database, &err), WEIR_UNSUPPORTED);
    assert_null(database);
    assert_tells(&err, "'nobatch' lacks the capability 'atomic batch'");
}

static void test_file_or_folder_that_others_may_write_to_is_refused(void **state)
{
    (void)state;
    static const mode_t bad_folders[] = {0777, 0775, 01777};
    const char *path = install("noentry", folder);
    for (size_t i = 0; i < sizeof bad_folders / sizeof bad_folders[0]; i++) {
        assert_int_equal(chmod(folder, bad_folders[i]), 0);
        refuse(path, WEIR_PERMISSION, "the plugin folder");
        refuse("noentry", WEIR_PERMISSION, "chmod go-w");
    }
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(path, 0722), 0);
    refuse(path, WEIR_PERMISSION, "may be written to by others (mode 0722)");
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0755), 0);
        assert_int_equal(chown(path, 65534, 65534), 0);
        refuse(path, WEIR_PERMISSION, "belongs to user 65534");
    }
}

static void test_current_folder_is_never_searched(void **state)
{
    (void)state;
    char before[512];
    assert_non_null(getcwd(before, sizeof before));
    install("refuses", folder);
    assert_int_equal(chdir(folder), 0);
    static const char *const paths[] = {"", ":", ".", "::/nonexistent:", "./", "sub"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        setenv("WEIR_BACKEND_PATH", paths[i], 1);
        refuse("refuses", WEIR_NOT_FOUND, "libweir_refuses.so in ");
    }
    unsetenv("WEIR_BACKEND_PATH");
    refuse("refuses", WEIR_NOT_FOUND, "libweir_refuses.so in /");
    assert_int_equal(chdir(before), 0);
}

static void test_relative_folders_of_the_path_are_told_when_they_are_passed_over(void **state)
{
    (void)state;
    setenv("WEIR_BACKEND_PATH", "build/backends::/nonexistent:.", 1);
    fixture_log_catch();
    refuse("refuses", WEIR_NOT_FOUND, "libweir_refuses.so in /nonexistent, ");
    refuse("refuses", WEIR_NOT_FOUND,
           "(only absolute folders are searched, not build/backends, .)");
    assert_int_equal(fixture_log_count("backend.path", "'build/backends' in WEIR_BACKEND_PATH"), 2);
    assert_int_equal(fixture_log_count("backend.path", "'.' in WEIR_BACKEND_PATH"), 2);
    setenv("WEIR_BACKEND_PATH", "/nonexistent:", 1);
    fixture_log_catch();
    refuse("refuses", WEIR_NOT_FOUND, "libweir_refuses.so in /nonexistent, ");
    assert_int_equal(fixture_log_count("backend.path", NULL), 0);
    fixture_log_release();
}

static void test_folders_are_searched_in_order(void **state)
{
    (void)state;
    char *second = fixture_folder();
    char path[1200];
    install("refuses", folder);
    install("noentry", second);
    fixture_write(second, "libweir_refuses.so", "would be another error");
    snprintf(path, sizeof path, "/nonexistent:%s:%s", folder, second);
    setenv("WEIR_BACKEND_PATH", path, 1);
    refuse("refuses", WEIR_VERSION, "can't work with");
    refuse("noentry", WEIR_INVALID, "does not export");
    fixture_remove(second);
}

static void test_missing_path_is_told(void **state)
{
    (void)state;
    refuse("/no/such/plugin.so", WEIR_NOT_FOUND, "can't find the plugin /no/such/plugin.so");
    refuse("./plugin.so", WEIR_NOT_FOUND, "./plugin.so");
}

static void note_visit(const weir_backend *backend, const char *origin, void *arg)
{
    (void)origin;
    *(size_t *)arg += strcmp(backend->name, "memory") == 0;
    assert_string_not_equal(backend->name, "noentry");
}

static void test_each_passes_over_plugins_that_do_not_load(void **state)
{
    (void)state;
    size_t visits = 0;
    install("noentry", folder);
    fixture_write(folder, "libweir_.so", "no name");
    fixture_write(folder, "readme.txt", "not a plugin");
    fixture_log_catch();
    weir_backend_each(note_visit, &visits);
    assert_int_equal(visits, 1);
    assert_int_equal(fixture_log_count("backend.skipped", "does not export"), 1);
    fixture_log_release();
}

int main(void)
{
    weir_log_set_level(WEIR_LOG_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_plugin_is_found_by_name_and_by_path_and_works),
        TEST(test_plugin_that_can_not_be_right_is_refused_by_name_of_its_fault),
        TEST(test_plugin_without_atomic_batches_is_refused_when_state_opens),
        TEST(test_file_or_folder_that_others_may_write_to_is_refused),
        TEST(test_current_folder_is_never_searched),
        TEST(test_relative_folders_of_the_path_are_told_when_they_are_passed_over),
        TEST(test_folders_are_searched_in_order),
        TEST(test_missing_path_is_told),
        TEST(test_each_passes_over_plugins_that_do_not_load),
    };
    return cmocka_run_group_tests_name("backend loader", tests, NULL, NULL);
}
