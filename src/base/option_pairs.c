/*
 * Arrays of key=value pairs: copies and look-ups.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "base/option.h"

/* Copies a string to *at and moves *at behind it. NULL stays NULL. */
static const char *copy_string(char **at, const char *string)
{
    if (!string)
        return NULL;
    char *copy = *at;
    size_t size = strlen(string) + 1;
    memcpy(copy, string, size);
    *at += size;
    return copy;
}

weir_option *weir__option_copy(const weir_option *pairs)
{
    size_t count = 0;
    size_t text_size = 0;
    for (; pairs && pairs[count].key; count++) {
        text_size += strlen(pairs[count].key) + 1;
        text_size += pairs[count].value ? strlen(pairs[count].value) + 1 : 0;
    }
    /* One block: the pairs, then their text. */
    weir_option *copy = malloc((count + 1) * sizeof(*copy) + text_size);
    if (!copy)
        return NULL;
    char *text = (char *)(copy + count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i].key = copy_string(&text, pairs[i].key);
        copy[i].value = copy_string(&text, pairs[i].value);
    }
    copy[count] = (weir_option){0};
    return copy;
}

void weir__option_free(weir_option *pairs)
{
    free(pairs);
}

const char *weir__option_get(const weir_option *pairs, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; pairs && pairs[i].key; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            value = pairs[i].value;
    }
    return value;
}
