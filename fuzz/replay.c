/*
 * Runs a fuzz target over files instead of generated input: each file of each folder that is
 * named, so that the corpus is a test with any compiler. `replay FOLDER...`
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A block of exactly the size of the file, so that a sanitizer sees each byte read beyond it. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "can't open %s\n", path);
        return 1;
    }
    int failed = 1;
    uint8_t *data = NULL;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0)
        goto done;
    data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
        goto done;
    LLVMFuzzerTestOneInput(data, (size_t)size);
    failed = 0;
done:
    if (failed)
        fprintf(stderr, "can't read %s\n", path);
    free(data);
    fclose(file);
    return failed;
}

static int replay_folder(const char *folder, int *count)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        fprintf(stderr, "can't open %s\n", folder);
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        failed |= replay_file(path);
        (*count)++;
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    int count = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay_folder(argv[i], &count);
    printf("%d files replayed\n", count);
    return failed || count == 0;
}
