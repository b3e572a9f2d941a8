/*
 * The file CLOSED: what the files were that RocksDB begins with, when the database was closed.
 *
 * A write-ahead log or a manifest that ends in the middle is, to RocksDB, one that a writer was
 * killed over: it goes on with what is before, and what is behind is gone without a word. After
 * an orderly close nothing of the kind can be, so what stands at the beginning is noted:
 *
 *   MANIFEST-000012                         the content of CURRENT
 *   7 IDENTITY 8f3c…                        size, name, XXH3-64 of each file
 *   …
 *   checksum 51d0…                          XXH3-64 of all before
 *
 * Each opening for writing makes a manifest of another name, and removes the note. One of another
 * manifest was left by a program that knows nothing of it, and counts for nothing; so does one
 * that is damaged itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "backend/rocksdb/internal.h"

#define NOTE      "CLOSED"
#define NOTE_MAX  65536u
#define CURRENT   "CURRENT"
#define NAME_ROOM 512u
#define BLOCK     65536u

/* Adds the line of a file. False: it can't be read, or there is no memory. */
static bool add_file(FILE *text, const char *folder, const char *name)
{
    bool is_added = false;
    uint64_t size = 0;
    char *block = malloc(BLOCK);
    char *path = weir__rocksdb_join(folder, name);
    FILE *file = path ? fopen(path, "re") : NULL;
    XXH3_state_t *hash = XXH3_createState();
    if (!block || !file || !hash)
        goto done;
    (void)XXH3_64bits_reset(hash);
    for (size_t got = fread(block, 1, BLOCK, file); got > 0; got = fread(block, 1, BLOCK, file)) {
        (void)XXH3_64bits_update(hash, block, got);
        size += got;
    }
    is_added = !ferror(file) && fprintf(text, "%" PRIu64 " %s %016" PRIx64 "\n", size, name,
                                        (uint64_t)XXH3_64bits_digest(hash)) > 0;
done:
    (void)XXH3_freeState(hash);
    if (file)
        (void)fclose(file);
    free(path);
    free(block);
    return is_added;
}

static int is_log(const struct dirent *entry)
{
    const size_t size = strlen(entry->d_name);
    return size > 4 && strcmp(entry->d_name + size - 4, ".log") == 0;
}

/* Lines of the logs, in the order of their names. */
static bool add_logs(FILE *text, const char *folder)
{
    struct dirent **logs = NULL;
    int count = scandir(folder, &logs, is_log, alphasort);
    bool is_added = count >= 0 || errno == ENOENT;
    for (int i = 0; i < count; i++) {
        is_added = is_added && add_file(text, folder, logs[i]->d_name);
        free(logs[i]);
    }
    free(logs);
    return is_added;
}

/* A small text file as a string, to be freed; NULL: not there, too large or not readable. */
static char *read_text(const char *folder, const char *name)
{
    char *text = calloc(1, NOTE_MAX + 1);
    char *path = weir__rocksdb_join(folder, name);
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!text || !file || fread(text, 1, NOTE_MAX + 1, file) > NOTE_MAX || ferror(file)) {
        free(text);
        text = NULL;
    }
    if (file)
        (void)fclose(file);
    free(path);
    return text;
}

static void checksum_line(const char *text, size_t size, char line[64])
{
    (void)snprintf(line, 64, "checksum %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, size));
}

/* What the note has to be now, to be freed. NULL: what it is about can't be read. */
static char *describe(const weir_backend_db *db)
{
    char line[64];
    char *text = NULL;
    size_t size = 0;
    char *manifest = read_text(db->location, CURRENT);
    FILE *out = manifest ? open_memstream(&text, &size) : NULL;
    bool is_made = false;
    if (out) {
        manifest[strcspn(manifest, "\n")] = '\0';
        is_made = fprintf(out, "%s\n", manifest) > 0 && add_file(out, db->location, "IDENTITY") &&
                  add_file(out, db->location, CURRENT) && add_file(out, db->location, manifest) &&
                  add_logs(out, db->wal_folder ? db->wal_folder : db->location) && fflush(out) == 0;
        if (is_made)
            checksum_line(text, size, line);
        is_made = is_made && fputs(line, out) >= 0;
        is_made = fclose(out) == 0 && is_made;
    }
    free(manifest);
    if (is_made)
        return text;
    free(text);
    return NULL;
}

/* The first two lines tell whose state the note is about. */
static bool is_about(const char *note, const char *now)
{
    const char *end = strchr(now, '\n');
    end = end ? strchr(end + 1, '\n') : NULL;
    return end && strncmp(note, now, (size_t)(end - now)) == 0;
}

static bool is_whole(const char *note)
{
    char line[64];
    const char *last = strstr(note, "\nchecksum ");
    if (!last)
        return false;
    checksum_line(note, (size_t)(last + 1 - note), line);
    return strcmp(last + 1, line) == 0;
}

/* The name in the first line that differs: "size NAME hash". */
static void find_difference(const char *note, const char *now, char name[NAME_ROOM])
{
    size_t at = 0;
    size_t line = 0;
    for (; note[at] && note[at] == now[at]; at++) {
        if (note[at] == '\n')
            line = at + 1;
    }
    (void)snprintf(name, NAME_ROOM, "a file");
    /* A log that is gone differs from the next line, or from the checksum. */
    if (strncmp(note + line, "checksum", 8) != 0)
        (void)sscanf(note + line, "%*s %511s", name);
}

weir_status weir__rocksdb_closed_check(const weir_backend_db *db, weir_error *err)
{
    weir_status status = WEIR_OK;
    char name[NAME_ROOM];
    char *note = read_text(db->location, NOTE);
    char *now = note && is_whole(note) ? describe(db) : NULL;
    if (now && is_about(note, now) && strcmp(note, now) != 0) {
        find_difference(note, now, name);
        status = weir__rocksdb_error(db, err, WEIR_CORRUPTED,
                                     "%s is not what it was when the database was closed", name);
    }
    free(now);
    free(note);
    return status;
}

void weir__rocksdb_closed_remove(const weir_backend_db *db)
{
    char *path = weir__rocksdb_join(db->location, NOTE);
    if (path)
        (void)unlink(path);
    free(path);
}

void weir__rocksdb_closed_note(const weir_backend_db *db)
{
    char *text = describe(db);
    char *path = weir__rocksdb_join(db->location, NOTE);
    char *aside = weir__rocksdb_join(db->location, NOTE ".dbtmp");
    FILE *file = text && path && aside ? fopen(aside, "we") : NULL;
    bool is_written = file && fputs(text, file) >= 0;
    if (file)
        is_written = fclose(file) == 0 && is_written;
    if (file && (!is_written || rename(aside, path) != 0))
        (void)unlink(aside);
    free(aside);
    free(path);
    free(text);
}
