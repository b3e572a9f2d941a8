/*
 * The reader of weir.json: whatever the file holds, it names a backend or says why it can't; and
 * what it names can be written and is read again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "backend/identity.h"
#include "folder.h"

#define CHECKSUM_BEGIN ",\"checksum\":\""

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void remove_folder(void)
{
    folder_remove_file(WEIR__IDENTITY_FILE);
    (void)rmdir(folder);
}

/* The status of the check for `backend`; a refusal says why, and names the folder. */
static weir_status check(const char *backend)
{
    weir_error err;
    bool is_written = false;
    weir_error_init(&err);
    weir_status status = weir__identity_check(folder, backend, &is_written, &err);
    if (!is_written || err.status != status || (status != WEIR_OK && !strstr(err.message, folder)))
        abort();
    return status;
}

static void read_and_write(const uint8_t *data, size_t size)
{
    char first[WEIR__IDENTITY_NAME_SIZE];
    char second[WEIR__IDENTITY_NAME_SIZE];
    bool is_written = false;
    folder_put(WEIR__IDENTITY_FILE, data, size);
    weir_status status = weir__identity_read(folder, first, &is_written, NULL);
    if (!is_written || (status == WEIR_OK) != (first[0] != '\0'))
        abort();
    if (status != WEIR_OK) {
        if ((status != WEIR_CORRUPTED && status != WEIR_VERSION) || check("rocksdb") != status)
            abort();
        return;
    }
    if (check(first) != WEIR_OK || check("another one") != WEIR_WRONG_BACKEND)
        abort();
    /* Names of backends need no escapes. */
    for (const char *at = first; *at; at++)
        if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ')
            return;
    if (weir__identity_write(folder, first, NULL) != WEIR_OK ||
        weir__identity_read(folder, second, &is_written, NULL) != WEIR_OK ||
        strcmp(first, second) != 0)
        abort();
}

/* Puts the checksum right that a mutation broke, so that what lies behind it is reached. */
static void repair(uint8_t *data, size_t size)
{
    const size_t begin = sizeof(CHECKSUM_BEGIN) - 1;
    char digits[17];
    uint8_t *at = memmem(data, size, CHECKSUM_BEGIN, begin);
    if (!at || size - (size_t)(at - data) < begin + 16)
        return;
    (void)snprintf(digits, sizeof(digits), "%016" PRIx64,
                   (uint64_t)XXH3_64bits(data, (size_t)(at - data)));
    memcpy(at + begin, digits, 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!folder[0])
        folder_make(remove_folder);
    read_and_write(data, size);
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    repair(copy, size);
    read_and_write(copy, size);
    free(copy);
    return 0;
}
