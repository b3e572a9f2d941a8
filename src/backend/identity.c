/*
 * The identity of a local folder. See identity.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "backend/folder.h"
#include "base/buffer.h"
#include "base/json.h"

#define CONTENT_MAX 4096

/* The last member, of which the checksum is that of all before it. */
#define CHECKSUM_BEGIN ",\"checksum\":\""

/* What RocksDB keeps in every folder of a database, Quix Streams' included. */
#define ROCKSDB_FILE "CURRENT"
#define ROCKSDB_NAME "rocksdb"

typedef struct identity {
    char backend[WEIR__IDENTITY_NAME_SIZE];
    int64_t layout;
} identity;

static void read_member(const char *name, const char *text, int64_t integer, void *arg)
{
    identity *found = arg;
    if (text != NULL && strcmp(name, "backend") == 0)
        snprintf(found->backend, sizeof found->backend, "%s", text);
    else if (text == NULL && strcmp(name, "layout") == 0)
        found->layout = integer;
}

/* The content of the file; *size -1: it is not there. */
static weir_status read_file(const char *path, char *content, ssize_t *size, weir_error *err)
{
    *size = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? WEIR_OK : weir__folder_error(errno, "open the file", path, err);
    *size = read(fd, content, CONTENT_MAX);
    int number = errno;
    close(fd);
    return *size < 0 ? weir__folder_error(number, "read the file", path, err) : WEIR_OK;
}

/* XXH3-64 as 16 hexadecimal digits. */
static void checksum_of(const char *content, size_t size, char digits[17])
{
    snprintf(digits, 17, "%016" PRIx64, (uint64_t)XXH3_64bits(content, size));
}

/* Without a checksum, as the first folders are, nothing can be told. */
static bool is_whole(weir_slice content)
{
    const size_t begin = sizeof CHECKSUM_BEGIN - 1;
    const char *bytes = content.data;
    const char *at = memmem(bytes, content.size, CHECKSUM_BEGIN, begin);
    if (at == NULL)
        return true;
    char digits[17];
    checksum_of(bytes, (size_t)(at - bytes), digits);
    return content.size - (size_t)(at - bytes) >= begin + 16 && memcmp(at + begin, digits, 16) == 0;
}

static weir_status read_content(const char *folder, const char *path, weir_slice content,
                                identity *found, weir_error *err)
{
    weir_error inner;
    weir_error_init(&inner);
    if (!is_whole(content))
        return weir_error_set(err, WEIR_CORRUPTED, "%s is damaged: its checksum is wrong", path);
    weir_status status = weir__flat_json_each(content, read_member, found, &inner);
    if (status == WEIR_NO_MEMORY)
        return weir_error_set(err, status, "no memory to read %s", path);
    /* Also when the rest can't be read: a newer layout may say more than this reader takes. */
    if (found->layout > WEIR__IDENTITY_LAYOUT)
        return weir_error_set(err, WEIR_VERSION,
                              "%s has version %" PRId64 " of the folder layout, and Weir %s knows "
                              "up to %d: open it with the newer Weir that wrote it",
                              folder, found->layout, weir_version(), WEIR__IDENTITY_LAYOUT);
    if (status != WEIR_OK || found->layout < 1 || found->backend[0] == '\0')
        return weir_error_set(
            err, WEIR_CORRUPTED, "%s does not say which backend wrote the folder: %s", path,
            status != WEIR_OK ? inner.message : "\"backend\" or \"layout\" is missing");
    return WEIR_OK;
}

static weir_status find_rocksdb(const char *folder, identity *found, weir_error *err)
{
    char *path = weir__folder_join(folder, ROCKSDB_FILE);
    if (path == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory to look into %s", folder);
    if (access(path, F_OK) == 0)
        snprintf(found->backend, sizeof found->backend, ROCKSDB_NAME);
    free(path);
    return WEIR_OK;
}

weir_status weir__identity_read(const char *folder, char backend[WEIR__IDENTITY_NAME_SIZE],
                                bool *written, weir_error *err)
{
    char content[CONTENT_MAX];
    ssize_t size;
    identity found = {.layout = 0};
    *written = false;
    backend[0] = '\0';
    char *path = weir__folder_join(folder, WEIR__IDENTITY_FILE);
    if (path == NULL)
        return weir_error_set(err, WEIR_NO_MEMORY, "no memory to look into %s", folder);
    weir_status status = read_file(path, content, &size, err);
    if (status == WEIR_OK && size < 0) {
        status = find_rocksdb(folder, &found, err);
    } else if (status == WEIR_OK) {
        *written = true;
        status = read_content(folder, path, weir_slice_of(content, (size_t)size), &found, err);
    }
    free(path);
    if (status == WEIR_OK)
        memcpy(backend, found.backend, sizeof found.backend);
    return status;
}

/* "'BACKEND:FOLDER'", as a shell takes it. */
static weir_status append_location(weir__buffer *text, const char *backend, const char *folder)
{
    weir_status status = weir__buffer_printf(text, "'%s:", backend);
    for (const char *at = folder; status == WEIR_OK && *at != '\0';) {
        size_t size = strcspn(at, "'");
        status = weir__buffer_append(text, at, size);
        at += size;
        if (status == WEIR_OK && *at == '\'') {
            status = weir__buffer_printf(text, "'\\''");
            at++;
        }
    }
    return status == WEIR_OK ? weir__buffer_append_byte(text, '\'') : status;
}

static weir_status wrong_backend(const char *folder, const char *from, const char *to,
                                 weir_error *err)
{
    weir__buffer command;
    weir__buffer_init(&command);
    weir_status status = weir__buffer_printf(&command, "weir state migrate --from ");
    if (status == WEIR_OK)
        status = append_location(&command, from, folder);
    if (status == WEIR_OK)
        status = weir__buffer_printf(&command, " --to ");
    if (status == WEIR_OK)
        status = append_location(&command, to, folder);
    if (status == WEIR_OK)
        weir_error_set(err, WEIR_WRONG_BACKEND,
                       "%s was written by the backend '%s', not by '%s'. Go on with '%s', or bring "
                       "the state over with: %.*s",
                       folder, from, to, from, (int)command.size, (const char *)command.data);
    else
        weir_error_set(err, WEIR_WRONG_BACKEND, "%s was written by the backend '%s', not by '%s'",
                       folder, from, to);
    weir__buffer_release(&command);
    return WEIR_WRONG_BACKEND;
}

weir_status weir__identity_check(const char *folder, const char *backend, bool *written,
                                 weir_error *err)
{
    char from[WEIR__IDENTITY_NAME_SIZE];
    weir_status status = weir__identity_read(folder, from, written, err);
    if (status != WEIR_OK || from[0] == '\0' || strcmp(from, backend) == 0)
        return status;
    return wrong_backend(folder, from, backend, err);
}

weir_status weir__identity_write(const char *folder, const char *backend, weir_error *err)
{
    char content[256];
    char digits[17];
    int size = snprintf(content, sizeof content,
                        "{\"backend\":\"%s\",\"layout\":%d,\"written_by\":\"weir %s\"", backend,
                        WEIR__IDENTITY_LAYOUT, weir_version());
    checksum_of(content, (size_t)size, digits);
    size +=
        snprintf(content + size, sizeof content - (size_t)size, CHECKSUM_BEGIN "%s\"}\n", digits);
    return weir__file_replace(folder, WEIR__IDENTITY_FILE, weir_slice_of(content, (size_t)size),
                              err);
}

void weir__identity_remove(const char *folder)
{
    char *path = weir__folder_join(folder, WEIR__IDENTITY_FILE);
    if (path != NULL)
        unlink(path);
    free(path);
}
