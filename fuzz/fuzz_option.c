/*
 * Fuzz target: the option parser, on lines of key=value.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SYNC, COUNT, SIZE, RATIO, DIR, CODEC, OPTION_COUNT };

static const weir_option_spec specs[] = {
    {"sync", WEIR_OPTION_BOOL, "on", NULL, 0, 0, "wait for the disk"},
    {"count", WEIR_OPTION_INT, "0", NULL, -10, 1000, "number of things"},
    {"size", WEIR_OPTION_SIZE, "64KiB", NULL, 4096, 1099511627776.0, "bytes"},
    {"ratio", WEIR_OPTION_DOUBLE, "0.5", NULL, 0, 1, "share"},
    {"dir", WEIR_OPTION_STRING, NULL, NULL, 0, 0, "folder"},
    {"codec", WEIR_OPTION_CHOICE, "lz4", "none|snappy|lz4", 0, 0, "compression"},
    {0},
};

#define MAXIMUM_PAIRS 32

static void check(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "property does not hold: %s\n", what);
    abort();
}

static void check_values(const weir_option_value *values)
{
    check(values[COUNT].integer >= -10 && values[COUNT].integer <= 1000, "count is in range");
    check(values[SIZE].integer >= 4096 && values[SIZE].integer <= INT64_C(1099511627776),
          "size is in range");
    check(values[RATIO].number >= 0 && values[RATIO].number <= 1, "ratio is in range");
    check(values[CODEC].integer >= 0 && values[CODEC].integer <= 2, "codec is one of three");
    check(!values[DIR].is_set || values[DIR].string, "a text that was given is there");
}

static void check_parse(const weir_option *pairs)
{
    weir_option_value values[OPTION_COUNT];
    weir_error err;
    weir_status status = weir__option_parse("fuzz", specs, pairs, values, &err);
    if (status == WEIR_OK) {
        check_values(values);
    } else {
        check(status == WEIR_INVALID && err.status == status, "a failure is WEIR_INVALID");
        check(strncmp(err.message, "fuzz: ", 6) == 0, "a failure names its owner");
    }
}

static void check_copy(const weir_option *pairs)
{
    weir_option *copy = weir__option_copy(pairs);
    check(copy != NULL, "a copy is made");
    for (size_t i = 0; pairs[i].key; i++) {
        check(strcmp(copy[i].key, pairs[i].key) == 0, "keys are copied");
        check(strcmp(weir__option_get(copy, pairs[i].key), weir__option_get(pairs, pairs[i].key)) ==
                  0,
              "values are copied");
    }
    weir__option_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    weir_option pairs[MAXIMUM_PAIRS + 1] = {{0}};
    size_t count = 0;
    char *rest = text;
    char *line;
    while (count < MAXIMUM_PAIRS && (line = strsep(&rest, "\n")) != NULL) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        pairs[count++] = (weir_option){line, value};
    }
    check_parse(pairs);
    check_copy(pairs);
    free(text);
    return 0;
}
