/*
 * `weir backends`: which backends there are, what they can do and what can be set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <kit/kit.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

#define CAPABILITIES_SIZE 512

static const char *words_of(const weir_backend *backend, char *text)
{
    kit_capability_names(backend->capabilities, text, CAPABILITIES_SIZE);
    return text;
}

static void list_one(const weir_backend *backend, const char *origin, void *arg)
{
    char words[CAPABILITIES_SIZE];
    ++*(size_t *)arg;
    printf("%-12s %-22s %s\n%-12s %s\n", backend->name, backend->version, origin, "",
           words_of(backend, words));
}

typedef struct wanted {
    const char *name;
    const char *origin;
} wanted;

static void find_origin(const weir_backend *backend, const char *origin, void *arg)
{
    wanted *w = arg;
    if (strcmp(backend->name, w->name) == 0)
        w->origin = origin;
}

static const char *const type_names[] = {
    [WEIR_OPTION_BOOL] = "true or false", [WEIR_OPTION_INT] = "number",
    [WEIR_OPTION_SIZE] = "bytes",         [WEIR_OPTION_DOUBLE] = "decimal",
    [WEIR_OPTION_STRING] = "text",        [WEIR_OPTION_CHOICE] = "one of",
};

static void explain_option(const weir_option_spec *spec)
{
    const char *type = spec->type <= WEIR_OPTION_CHOICE ? type_names[spec->type] : "?";
    printf("  %s\n      %s", spec->name, type);
    if (spec->type == WEIR_OPTION_CHOICE && spec->choices != NULL)
        printf(" %s", spec->choices);
    bool is_number = spec->type == WEIR_OPTION_INT || spec->type == WEIR_OPTION_SIZE ||
                     spec->type == WEIR_OPTION_DOUBLE;
    /* Both 0 says that there is no range; tested with fpclassify, as == on doubles is not. */
    bool has_range = fpclassify(spec->minimum) != FP_ZERO || fpclassify(spec->maximum) != FP_ZERO;
    if (is_number && has_range)
        printf(", %.15g to %.15g", spec->minimum, spec->maximum);
    printf("; default %s\n", spec->default_value == NULL      ? "not set"
                             : spec->default_value[0] == '\0' ? "empty"
                                                              : spec->default_value);
    printf("      %s\n", spec->help != NULL ? spec->help : "");
}

static int explain(const char *spec)
{
    char words[CAPABILITIES_SIZE];
    const weir_backend *backend = tool_find_backend(spec);
    if (backend == NULL)
        return TOOL_FAILED;
    wanted w = {backend->name, ""};
    weir_backend_each(find_origin, &w);
    printf("%s\n  version       %s\n  origin        %s\n  capabilities  %s\n", backend->name,
           backend->version, w.origin, words_of(backend, words));
    if (backend->options == NULL || backend->options[0].name == NULL) {
        printf("  options       none\n");
        return TOOL_DONE;
    }
    printf("\nOptions, set as key=value:\n");
    for (const weir_option_spec *row = backend->options; row->name != NULL; row++)
        explain_option(row);
    return TOOL_DONE;
}

int tool_backends(int count, char **args)
{
    if (count > 1)
        return tool_misuse("weir backends takes one name");
    if (count == 1)
        return explain(args[0]);
    size_t listed = 0;
    weir_backend_each(list_one, &listed);
    return listed > 0 ? TOOL_DONE : tool_fail("there is no backend");
}
