/*
 * How a log, or a manifest, which has the format of a log, ends.
 *
 * The last record of a log whose writer was killed may be cut off, and RocksDB takes every record
 * that claims to be longer than what is left of the file for that one: also one with a wrong bit in
 * its size, behind which there are others. So it is looked for others. RocksDB does the rest: every
 * record has a checksum.
 *
 * The format (https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format): blocks of
 * 32 KiB, each beginning with a record; a record is u32 masked CRC-32C of type and payload, u16
 * size, u8 type, payload, all little-endian; what is left of a block and is no head is zero.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/rocksdb/internal.h"

#define BLOCK_SIZE 32768u
#define HEAD_SIZE  7u
#define TYPE_FULL  1u
#define TYPE_LAST  4u

static uint32_t crc32c(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0x82F63B78) : 0);
    }
    return ~crc;
}

static size_t size_of_payload(const uint8_t *record)
{
    return record[4] | (size_t)record[5] << 8;
}

static bool is_record(const uint8_t *at, size_t size)
{
    if (size < HEAD_SIZE || at[6] < TYPE_FULL || at[6] > TYPE_LAST ||
        size_of_payload(at) > size - HEAD_SIZE)
        return false;
    const uint32_t crc = crc32c(at + 6, 1 + size_of_payload(at));
    const uint32_t masked = (crc >> 15 | crc << 17) + UINT32_C(0xA282EAD8);
    const uint32_t stored =
        (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return masked == stored;
}

/* The last block of a file: whether a record that seems to be cut off has others behind it. */
static bool block_is_damaged(const uint8_t *block, size_t size)
{
    size_t at = 0;
    while (size - at >= HEAD_SIZE && size_of_payload(block + at) <= size - at - HEAD_SIZE)
        at += HEAD_SIZE + size_of_payload(block + at);
    if (size - at < HEAD_SIZE)
        return false;
    for (at++; size - at >= HEAD_SIZE; at++) {
        if (is_record(block + at, size - at))
            return true;
    }
    return false;
}

/* What can't be read is RocksDB's to tell. */
static bool file_is_damaged(const char *folder, const char *name)
{
    struct stat file;
    ssize_t size = 0;
    uint8_t *block = malloc(BLOCK_SIZE);
    char *path = weir__rocksdb_join(folder, name);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (block && fd >= 0 && fstat(fd, &file) == 0)
        size = pread(fd, block, BLOCK_SIZE, file.st_size / BLOCK_SIZE * BLOCK_SIZE);
    bool is_damaged = size > 0 && block_is_damaged(block, (size_t)size);
    if (fd >= 0)
        (void)close(fd);
    free(path);
    free(block);
    return is_damaged;
}

static int is_log_or_manifest(const struct dirent *entry)
{
    const size_t size = strlen(entry->d_name);
    return strncmp(entry->d_name, "MANIFEST-", 9) == 0 ||
           (size > 4 && strcmp(entry->d_name + size - 4, ".log") == 0);
}

static weir_status check_folder(const weir_backend_db *db, const char *folder, weir_error *err)
{
    weir_status status = WEIR_OK;
    struct dirent **files = NULL;
    int count = scandir(folder, &files, is_log_or_manifest, alphasort);
    for (int i = 0; i < count; i++) {
        if (status == WEIR_OK && file_is_damaged(folder, files[i]->d_name))
            status = weir__rocksdb_error(db, err, WEIR_CORRUPTED,
                                         "%s/%s is damaged: there are records behind one that "
                                         "claims to be longer than the file",
                                         folder, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    return status;
}

weir_status weir__rocksdb_log_ends_check(const weir_backend_db *db, weir_error *err)
{
    weir_status status = check_folder(db, db->location, err);
    if (status == WEIR_OK && db->wal_folder)
        status = check_folder(db, db->wal_folder, err);
    return status;
}
