/*
 * Local folders and the small files of the host in them. See folder.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"

bool weir__is_url(const char *location)
{
    return strstr(location, "://") != NULL;
}

char *weir__folder_join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

weir_status weir__folder_error(int number, const char *what, const char *path, weir_error *err)
{
    const char *why = strerror(number);
    switch (number) {
    case EACCES:
    case EPERM:
        return weir_error_set(err, WEIR_PERMISSION,
                              "can't %s %s: %s. Give user %u the right to read, write and search "
                              "there (chown or chmod), or choose another folder",
                              what, path, why, geteuid());
    case EROFS:
        return weir_error_set(err, WEIR_PERMISSION,
                              "can't %s %s: %s. Choose a folder on a file system that can be "
                              "written to",
                              what, path, why);
    case ENOSPC:
    case EDQUOT:
        return weir_error_set(err, WEIR_NO_SPACE,
                              "can't %s %s: %s. Free space on that file system, then start again: "
                              "what was committed before is not lost",
                              what, path, why);
    case ENOTDIR:
    case EEXIST:
        return weir_error_set(err, WEIR_INVALID,
                              "can't %s %s: a part of the path is a file, not a folder", what,
                              path);
    case ENOMEM:
        return weir_error_set(err, WEIR_NO_MEMORY, "can't %s %s: %s", what, path, why);
    default:
        return weir_error_set(err, WEIR_IO, "can't %s %s: %s", what, path, why);
    }
}

static weir_status make_one(const char *path, weir_error *err)
{
    struct stat info;
    if (mkdir(path, 0777) == 0)
        return WEIR_OK;
    int number = errno;
    /* Asked first, as mkdir may refuse (read-only, no right) what is there already. */
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return WEIR_OK;
    return weir__folder_error(number, "create the folder", path, err);
}

weir_status weir__folder_make(const char *path, weir_error *err)
{
    weir_status status = WEIR_OK;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return WEIR_OK;
    char *copy = strdup(path);
    if (copy == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory to create the folder %s", path);
    for (char *at = copy + 1; status == WEIR_OK && *at != '\0'; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        status = make_one(copy, err);
        *at = '/';
    }
    if (status == WEIR_OK)
        status = make_one(copy, err);
    free(copy);
    return status;
}

static bool is_of_host(const FTSENT *entry)
{
    return entry->fts_level == 1 && strncmp(entry->fts_name, "weir.", 5) == 0;
}

weir_status weir__folder_clear(const char *path, weir_error *err)
{
    char *copy = strdup(path);
    char *const roots[] = {copy, NULL};
    FTS *walk = copy != NULL ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    weir_status status = WEIR_OK;
    if (walk == NULL)
        status = weir_error_set(err, WEIR_NO_MEMORY, "no memory to clear the folder %s", path);
    for (FTSENT *entry; status == WEIR_OK && (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_D || entry->fts_level == FTS_ROOTLEVEL || is_of_host(entry))
            continue;
        if (remove(entry->fts_accpath) != 0 && errno != ENOENT)
            status = weir__folder_error(errno, "remove", entry->fts_path, err);
    }
    if (walk != NULL)
        fts_close(walk);
    free(copy);
    return status;
}

/* -------------------------------------------------------------------- files */

static int write_all(int fd, weir_slice content)
{
    const char *at = content.data;
    size_t left = content.size;
    while (left > 0) {
        ssize_t written = write(fd, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        at += written;
        left -= (size_t)written;
    }
    return 0;
}

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int number = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    /* Some file systems have no sync of folders, and then need none. */
    return number == EINVAL || number == ENOTSUP ? 0 : number;
}

weir_status weir__file_replace(const char *folder, const char *name, weir_slice content,
                               weir_error *err)
{
    int number = 0;
    char *path = weir__folder_join(folder, name);
    char *draft = NULL;
    if (path == NULL || asprintf(&draft, "%s.tmp", path) < 0) {
        draft = NULL;
        number = ENOMEM;
        goto done;
    }
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        number = errno;
        goto done;
    }
    number = write_all(fd, content);
    if (number == 0 && fsync(fd) != 0)
        number = errno;
    if (close(fd) != 0 && number == 0)
        number = errno;
    if (number == 0 && rename(draft, path) != 0)
        number = errno;
    if (number == 0)
        number = sync_folder(folder);
    else
        unlink(draft);
done:;
    weir_status status = WEIR_OK;
    if (number != 0)
        status = weir__folder_error(number, "write the file", path != NULL ? path : name, err);
    free(draft);
    free(path);
    return status;
}

/* ---------------------------------------------------------------------- JSON */

typedef struct flat_reader {
    weir__json_cursor cursor;
    weir__buffer name;
    weir__buffer text;
    weir__flat_json_fn visit;
    void *arg;
} flat_reader;

/* Appends a string with a NUL behind it. */
static weir_status scan_text(weir__json_cursor *cursor, weir__buffer *text)
{
    weir__buffer_clear(text);
    weir_status status = weir__json_scan_string(cursor, WEIR__JSON_DECODED, text);
    return status == WEIR_OK ? weir__buffer_append_byte(text, 0) : status;
}

static weir_status read_member(flat_reader *reader)
{
    weir__json_cursor *cursor = &reader->cursor;
    const char *text = NULL;
    weir__json_number number = {.kind = WEIR__JSON_REAL};
    weir__json_skip_space(cursor);
    weir_status status = scan_text(cursor, &reader->name);
    weir__json_skip_space(cursor);
    if (status == WEIR_OK)
        status = weir__json_expect(cursor, ':', "expected ':'");
    weir__json_skip_space(cursor);
    if (status != WEIR_OK)
        return status;
    int next = weir__json_peek(cursor);
    if (next == '"') {
        status = scan_text(cursor, &reader->text);
        text = (const char *)reader->text.data;
    } else if (next == 't' || next == 'f' || next == 'n') {
        const char *literal;
        return weir__json_scan_literal(cursor, &literal);
    } else {
        status = weir__json_scan_number(cursor, &number);
    }
    if (status == WEIR_OK && (text != NULL || number.kind == WEIR__JSON_INT))
        reader->visit((const char *)reader->name.data, text, text != NULL ? 0 : number.integer,
                      reader->arg);
    return status;
}

static weir_status read_object(flat_reader *reader)
{
    weir__json_cursor *cursor = &reader->cursor;
    weir__json_skip_space(cursor);
    weir_status status = weir__json_expect(cursor, '{', "expected '{'");
    weir__json_skip_space(cursor);
    if (status == WEIR_OK && weir__json_peek(cursor) == '}')
        return weir__json_expect(cursor, '}', "");
    while (status == WEIR_OK) {
        status = read_member(reader);
        weir__json_skip_space(cursor);
        if (status != WEIR_OK || weir__json_peek(cursor) != ',')
            break;
        status = weir__json_expect(cursor, ',', "");
    }
    return status == WEIR_OK ? weir__json_expect(cursor, '}', "expected ',' or '}'") : status;
}

weir_status weir__flat_json_each(weir_slice json, weir__flat_json_fn visit, void *arg,
                                 weir_error *err)
{
    flat_reader reader = {.cursor = weir__json_cursor_of(json), .visit = visit, .arg = arg};
    weir_status status = read_object(&reader);
    if (status == WEIR_OK)
        status = weir__json_expect_end(&reader.cursor);
    if (status != WEIR_OK)
        weir__json_fail(&reader.cursor, status, err);
    weir__buffer_release(&reader.name);
    weir__buffer_release(&reader.text);
    return status;
}
