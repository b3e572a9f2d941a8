/*
 * What the tests of src/backend share. See support_fixture.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_fixture.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --------------------------------------------------------------------- folders */

char *fixture_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *folder;
    assert_true(asprintf(&folder, "%s/weir-backend-XXXXXX", base != NULL ? base : "/tmp") > 0);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_remove(char *folder)
{
    if (folder != NULL)
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

const char *fixture_path(const char *folder, const char *name)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void fixture_write(const char *folder, const char *name, const char *content)
{
    FILE *file = fopen(fixture_path(folder, name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
}

const char *fixture_read(const char *folder, const char *name)
{
    static char content[4096];
    content[0] = '\0';
    FILE *file = fopen(fixture_path(folder, name), "r");
    if (file == NULL)
        return content;
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    return content;
}

/* ------------------------------------------------------------------- databases */

weir__database_config fixture_config(const char *spec, const char *location,
                                     const weir_option *options)
{
    return (weir__database_config){.spec = spec,
                                   .location = location,
                                   .options = options,
                                   .label = "store=s partition=0",
                                   .create = true};
}

weir__database *fixture_open(const char *spec, const char *location, const weir_option *options)
{
    weir__database_config config = fixture_config(spec, location, options);
    weir__database *database;
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir__database_open(&config, &database, &err);
    if (status != WEIR_OK)
        fail_msg("can't open %s: %s", spec, err.message);
    return database;
}

void fixture_close(weir__database *database)
{
    assert_int_equal(weir__database_close(database, NULL), WEIR_OK);
}

static weir_backend_cf *default_family(weir__database *database)
{
    weir_backend_cf *cf = NULL;
    assert_int_equal(weir__database_backend(database)->cf_open(
                         weir__database_handle(database), WEIR_BACKEND_DEFAULT_CF, true, &cf, NULL),
                     WEIR_OK);
    return cf;
}

weir_status fixture_put(weir__database *database, const char *key, const char *value,
                        weir_error *err)
{
    weir_backend_op op = {
        .kind = value != NULL ? WEIR_OP_PUT : WEIR_OP_DELETE,
        .cf = default_family(database),
        .key = weir_slice_str(key),
        .value = weir_slice_str(value != NULL ? value : ""),
    };
    return weir__database_backend(database)->write(weir__database_handle(database), &op, 1, 0, err);
}

const char *fixture_get(weir__database *database, const char *key)
{
    static char text[1024];
    weir_backend_value value;
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    weir_status status =
        backend->get(db, default_family(database), NULL, weir_slice_str(key), &value, NULL);
    if (status == WEIR_NOT_FOUND)
        return NULL;
    assert_int_equal(status, WEIR_OK);
    snprintf(text, sizeof text, "%.*s", (int)value.size, (const char *)value.data);
    backend->value_release(db, &value);
    return text;
}

/* ------------------------------------------------------------------------- log */

#define LINES_MAX 4096

typedef struct line {
    char *event;
    char *message;
} line;

static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static line lines[LINES_MAX];
static size_t line_count;

static void catch_line(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)level;
    (void)arg;
    pthread_mutex_lock(&lines_lock);
    if (line_count < LINES_MAX)
        lines[line_count++] = (line){strdup(event), strdup(message)};
    pthread_mutex_unlock(&lines_lock);
}

static void forget_lines(void)
{
    for (size_t i = 0; i < line_count; i++) {
        free(lines[i].event);
        free(lines[i].message);
    }
    line_count = 0;
}

void fixture_log_catch(void)
{
    forget_lines();
    weir_log_set(catch_line, NULL);
    weir_log_set_level(WEIR_LOG_TRACE);
}

size_t fixture_log_count(const char *event, const char *part)
{
    size_t count = 0;
    for (size_t i = 0; i < line_count; i++)
        count += strcmp(lines[i].event, event) == 0 &&
                 (part == NULL || strstr(lines[i].message, part) != NULL);
    return count;
}

const char *fixture_log_last(const char *event)
{
    for (size_t i = line_count; i > 0; i--)
        if (strcmp(lines[i - 1].event, event) == 0)
            return lines[i - 1].message;
    return "";
}

void fixture_log_release(void)
{
    forget_lines();
    weir_log_set(NULL, NULL);
    weir_log_set_level(WEIR_LOG_WARN);
}

void assert_tells(const weir_error *err, const char *part)
{
    if (strstr(err->message, part) == NULL)
        fail_msg("the message does not tell '%s': %s", part, err->message);
}
