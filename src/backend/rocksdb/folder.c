/*
 * What lies in the folder of a database, and where its write-ahead logs are.
 *
 * With the option wal_dir each database gets a folder of its own below it, named after the
 * end of its location and a hash of all of it: the logs of two partitions in one folder would
 * be taken for each other's. The file WAL_DIR in the location notes that folder, so that a
 * database whose logs are elsewhere (it was moved, or the option changed) is not opened
 * without them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/rocksdb/internal.h"

#define WAL_NOTE "WAL_DIR"
/* Written by the Python binding of RocksDB that Quix Streams uses. */
#define RAW_MODE_NOTE "rocksdict-config.json"
/* Readable part of the name of a log folder. */
#define NAME_PART_MAX 80

char *weir__rocksdb_join(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return NULL;
    return path;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text);
    size_t suffix_size = strlen(suffix);
    return size > suffix_size && strcmp(text + size - suffix_size, suffix) == 0;
}

int weir__rocksdb_make_folders(const char *path)
{
    char *copy = strdup(path);
    int failure = copy ? 0 : ENOMEM;
    for (char *end = copy; !failure && end;) {
        end = strchr(end + 1, '/');
        if (end)
            *end = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            failure = errno;
        if (end)
            *end = '/';
    }
    free(copy);
    struct stat info;
    if (!failure && stat(path, &info) != 0)
        failure = errno;
    else if (!failure && !S_ISDIR(info.st_mode))
        failure = ENOTDIR;
    return failure;
}

void weir__rocksdb_remove_flat_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
    (void)rmdir(path);
}

static bool is_data_file(const char *name)
{
    return ends_with(name, ".sst") || ends_with(name, ".ldb") || ends_with(name, ".log") ||
           ends_with(name, ".blob");
}

weir_status weir__rocksdb_folder_inspect(const weir_backend_db *db, weir__rocksdb_folder *state,
                                         weir_error *err)
{
    *state = WEIR__ROCKSDB_EMPTY;
    DIR *dir = opendir(db->location);
    if (!dir) {
        int failure = errno;
        if (failure == ENOENT)
            return WEIR_OK;
        return weir__rocksdb_error(db, err, weir__rocksdb_errno_status(failure),
                                   "can't read the folder %s: %s", db->location, strerror(failure));
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (strcmp(entry->d_name, "CURRENT") == 0) {
            *state = WEIR__ROCKSDB_DATABASE;
            break;
        }
        if (is_data_file(entry->d_name))
            *state = WEIR__ROCKSDB_DAMAGED;
    }
    (void)closedir(dir);
    return WEIR_OK;
}

/* FNV-1a: the name must be the same in every version of Weir. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *at = text; *at; at++) {
        hash ^= (uint8_t)*at;
        hash *= UINT64_C(1099511628211);
    }
    return hash;
}

/* The folder below wal_dir for a location: "default-flights-3-6c62272e07bb0142". */
static char *wal_folder_of(const char *wal_dir, const char *location)
{
    char real[PATH_MAX];
    char real_wal_dir[PATH_MAX];
    if (!realpath(location, real))
        return NULL;
    /* The note must hold when the process has another working directory next time. */
    if (realpath(wal_dir, real_wal_dir))
        wal_dir = real_wal_dir;
    /* The last three parts say store, stream and partition to a person. */
    const char *part = real + strlen(real);
    for (int slashes = 0; part > real && slashes < 3; part--) {
        if (part[-1] == '/')
            slashes++;
    }
    while (*part == '/')
        part++;
    if (strlen(part) > NAME_PART_MAX)
        part += strlen(part) - NAME_PART_MAX;
    char name[NAME_PART_MAX + 1];
    (void)snprintf(name, sizeof(name), "%s", part);
    for (char *at = name; *at; at++) {
        if (*at == '/')
            *at = '-';
    }
    char *folder = NULL;
    if (asprintf(&folder, "%s/%s-%016llx", wal_dir, name, (unsigned long long)hash_of(real)) < 0)
        return NULL;
    return folder;
}

/* True if the folder holds a log with something in it. */
static bool has_logs(const char *folder)
{
    bool found = false;
    DIR *dir = opendir(folder);
    if (!dir)
        return false;
    for (struct dirent *entry = readdir(dir); entry && !found; entry = readdir(dir)) {
        struct stat info;
        if (ends_with(entry->d_name, ".log"))
            found = fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && info.st_size > 0;
    }
    (void)closedir(dir);
    return found;
}

static void remove_logs(const weir_backend_db *db, const char *folder)
{
    char message[WEIR_ERROR_MESSAGE_SIZE];
    (void)snprintf(message, sizeof(message),
                   "removing the write-ahead logs in %s: the database they belonged to is gone "
                   "(%s)",
                   folder, db->label);
    db->host->log(WEIR_LOG_WARN, "rocksdb.stale_logs", message);
    weir__rocksdb_remove_flat_folder(folder);
}

/* What the note in the location says, freed with free(). NULL: there is none. */
static char *read_note(const weir_backend_db *db)
{
    char text[PATH_MAX + 2];
    char *folder = NULL;
    FILE *file = NULL;
    char *path = weir__rocksdb_join(db->location, WAL_NOTE);
    if (path)
        file = fopen(path, "re");
    if (file && fgets(text, sizeof(text), file)) {
        text[strcspn(text, "\n")] = '\0';
        folder = strdup(text);
    }
    if (file)
        (void)fclose(file);
    free(path);
    return folder;
}

/* Written aside and renamed, so that a crash leaves the old note or the new one. */
static weir_status write_note(const weir_backend_db *db, const char *folder, weir_error *err)
{
    int failure = ENOMEM;
    FILE *file = NULL;
    char *path = weir__rocksdb_join(db->location, WAL_NOTE);
    char *aside = weir__rocksdb_join(db->location, WAL_NOTE ".dbtmp");
    if (!path || !aside)
        goto done;
    file = fopen(aside, "we");
    if (!file || fprintf(file, "%s\n", folder) < 0 || fflush(file) != 0 ||
        fsync(fileno(file)) != 0) {
        failure = errno;
        goto done;
    }
    failure = rename(aside, path) == 0 ? 0 : errno;
done:
    if (file && fclose(file) != 0 && !failure)
        failure = errno;
    free(path);
    free(aside);
    if (failure)
        return weir__rocksdb_error(db, err, weir__rocksdb_errno_status(failure),
                                   "can't write %s/" WAL_NOTE ": %s", db->location,
                                   strerror(failure));
    return WEIR_OK;
}

/* The folder that the options ask for: below wal_dir, or the location itself. */
static char *configured_folder(const weir_backend_db *db)
{
    if (db->settings.wal_dir)
        return wal_folder_of(db->settings.wal_dir, db->location);
    return strdup(db->location);
}

/* WEIR_INVALID if logs of the database lie where it will not look for them. */
static weir_status check_logs_elsewhere(const weir_backend_db *db, const char *noted,
                                        const char *wanted, weir_error *err)
{
    const char *before = noted ? noted : db->location;
    if (strcmp(before, wanted) == 0 || !has_logs(before))
        return WEIR_OK;
    return weir__rocksdb_error(db, err, WEIR_INVALID,
                               "the write-ahead logs of this database are in %s, but the option "
                               "wal_dir and the location lead to %s: move the files *.log there, "
                               "or set wal_dir as it was",
                               before, wanted);
}

weir_status weir__rocksdb_wal_folder_prepare(weir_backend_db *db, weir__rocksdb_folder state,
                                             weir_error *err)
{
    weir_status status = WEIR_OK;
    char *noted = read_note(db);
    char *wanted = NULL;
    int failure = db->settings.wal_dir ? weir__rocksdb_make_folders(db->settings.wal_dir) : 0;
    if (failure) {
        status = weir__rocksdb_error(db, err, weir__rocksdb_errno_status(failure),
                                     "can't make the folder of option wal_dir, %s: %s",
                                     db->settings.wal_dir, strerror(failure));
        goto done;
    }
    wanted = configured_folder(db);
    if (!wanted) {
        status = weir__rocksdb_error(db, err, WEIR_IO, "can't resolve the path %s: %s",
                                     db->location, strerror(errno));
        goto done;
    }
    if (state == WEIR__ROCKSDB_DATABASE)
        status = check_logs_elsewhere(db, noted, wanted, err);
    if (status != WEIR_OK || (!noted && !db->settings.wal_dir))
        goto done;
    if (state == WEIR__ROCKSDB_EMPTY && db->settings.wal_dir && has_logs(wanted))
        remove_logs(db, wanted);
    failure = weir__rocksdb_make_folders(wanted);
    if (failure) {
        status = weir__rocksdb_error(db, err, weir__rocksdb_errno_status(failure),
                                     "can't make the folder %s below wal_dir: %s", wanted,
                                     strerror(failure));
        goto done;
    }
    if (!noted || strcmp(noted, wanted) != 0)
        status = write_note(db, wanted, err);
    if (status == WEIR_OK && db->settings.wal_dir) {
        db->wal_folder = wanted;
        wanted = NULL;
    }
done:
    free(noted);
    free(wanted);
    return status;
}

weir_status weir__rocksdb_wal_folder_find(weir_backend_db *db, weir_error *err)
{
    char *noted = read_note(db);
    if (noted) {
        db->wal_folder = noted;
        return WEIR_OK;
    }
    if (!db->settings.wal_dir || access(db->location, F_OK) != 0)
        return WEIR_OK;
    db->wal_folder = configured_folder(db);
    if (!db->wal_folder)
        return weir__rocksdb_error(db, err, WEIR_IO, "can't resolve the path %s: %s", db->location,
                                   strerror(errno));
    return WEIR_OK;
}

weir_status weir__rocksdb_lock_shared(weir_backend_db *db, weir_error *err)
{
    struct flock request = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    char *path = weir__rocksdb_join(db->location, "LOCK");
    if (!path)
        return weir__rocksdb_error(db, err, WEIR_NO_MEMORY, "no memory for a path");
    db->lock_fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (db->lock_fd < 0 || fcntl(db->lock_fd, F_OFD_SETLK, &request) == 0)
        return WEIR_OK;
    int failure = errno;
    if (failure != EAGAIN && failure != EACCES)
        return WEIR_OK; /* a file system without locks: RocksDB could not write there either */
    return weir__rocksdb_error(db, err, WEIR_LOCKED,
                               "another process has the database open for writing: stop it, or "
                               "wait for it");
}

void weir__rocksdb_remove_extras(const weir_backend_db *db)
{
    static const char *const names[] = {WAL_NOTE, WAL_NOTE ".dbtmp", RAW_MODE_NOTE, "CLOSED",
                                        "CLOSED.dbtmp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = weir__rocksdb_join(db->location, names[i]);
        if (path)
            (void)unlink(path);
        free(path);
    }
}
