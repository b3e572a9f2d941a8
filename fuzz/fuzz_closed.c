/*
 * The reader of CLOSED, what the backend rocksdb notes of its files when a database is closed: a
 * note that was damaged counts for nothing; one that is whole and about these files is compared
 * with them, and a difference names a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "backend/host.h"
#include "backend/rocksdb/internal.h"
#include "folder.h"

#define NOTE      "CLOSED"
#define NOTE_ROOM 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the note is about; only their bytes count. */
static const char *const files[][2] = {
    {"CURRENT", "MANIFEST-000004\n"},
    {"IDENTITY", "8f3c2a10-5d41-4c9e-9d3b-0c5f1f6f2f10"},
    {"MANIFEST-000004", "a manifest"},
    {"000007.log", "a log"},
};
#define FILE_COUNT (sizeof(files) / sizeof(*files))

static char right[NOTE_ROOM];

static void remove_folder(void)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        folder_remove_file(files[i][0]);
    folder_remove_file(NOTE);
    (void)rmdir(folder);
}

static weir_status check(const void *note, size_t size)
{
    const weir_backend_db db = {
        .host = &weir__backend_host, .label = "of a fuzz target", .location = folder};
    weir_error err;
    weir_error_init(&err);
    folder_put(NOTE, note, size);
    weir_status status = weir__rocksdb_closed_check(&db, &err);
    if (err.status != status || (status != WEIR_OK && status != WEIR_CORRUPTED) ||
        (status != WEIR_OK && !strstr(err.message, db.label)))
        abort();
    return status;
}

static void make_folder(void)
{
    const weir_backend_db db = {.location = folder};
    char path[300];
    folder_make(remove_folder);
    for (size_t i = 0; i < FILE_COUNT; i++)
        folder_put(files[i][0], files[i][1], strlen(files[i][1]));
    weir__rocksdb_closed_note(&db);
    folder_path(path, NOTE);
    FILE *file = fopen(path, "re");
    if (!file || fread(right, 1, sizeof(right) - 1, file) == 0 || fclose(file) != 0 ||
        check(right, strlen(right)) != WEIR_OK)
        abort();
}

/* The beginning that says which files it is about, then the input, then its checksum. */
static void check_behind_the_checksum(const uint8_t *data, size_t size)
{
    char checksum[64];
    const char *end = strchr(strchr(right, '\n') + 1, '\n') + 1;
    const size_t begin = (size_t)(end - right);
    char *note = malloc(begin + size + sizeof(checksum));
    if (!note)
        abort();
    memcpy(note, right, begin);
    if (size > 0)
        memcpy(note + begin, data, size);
    size_t total = begin + size;
    if (note[total - 1] != '\n')
        note[total++] = '\n';
    (void)snprintf(checksum, sizeof(checksum), "checksum %016" PRIx64 "\n",
                   (uint64_t)XXH3_64bits(note, total));
    memcpy(note + total, checksum, strlen(checksum));
    total += strlen(checksum);
    /* A note with a byte 0, or two checksums, is not whole. */
    bool is_whole = !memchr(note, 0, total) && !memmem(data, size, "\nchecksum ", 10) &&
                    !(size >= 9 && memcmp(data, "checksum ", 9) == 0);
    bool is_right = total == strlen(right) && memcmp(note, right, total) == 0;
    weir_status status = check(note, total);
    if (status != (is_whole && !is_right ? WEIR_CORRUPTED : WEIR_OK))
        abort();
    free(note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!folder[0])
        make_folder();
    (void)check(data, size);
    check_behind_the_checksum(data, size);
    return 0;
}
