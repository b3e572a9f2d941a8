/*
 * A folder for targets whose input is a file in one. Included once by a program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_FUZZ_FOLDER_H
#define WEIR_FUZZ_FOLDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[256];

static void folder_path(char path[300], const char *name)
{
    (void)snprintf(path, 300, "%s/%s", folder, name);
}

static void folder_put(const char *name, const void *data, size_t size)
{
    char path[300];
    folder_path(path, name);
    FILE *file = fopen(path, "we");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

/* Below $TMPDIR; `remove` is called when the program ends, and removes it with its files. */
static void folder_make(void (*remove)(void))
{
    const char *above = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%s/weir-fuzz-XXXXXX", above ? above : "/tmp");
    if (!mkdtemp(folder) || atexit(remove) != 0)
        abort();
}

static void folder_remove_file(const char *name)
{
    char path[300];
    folder_path(path, name);
    (void)unlink(path);
}

#endif
