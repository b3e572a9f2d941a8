/*
 * The `weir` command: which command, help, version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

typedef struct command {
    const char *name;
    int (*run)(int count, char **args);
    const char *usage;
    const char *summary;
} command;

static const command commands[] = {
    {"backends", tool_backends, "backends [NAME|PATH.so]",
     "lists the state backends that are built in or found; NAME explains one and its options"},
    {"conformance", tool_conformance,
     "conformance NAME|PATH.so [--location DIR|URL] [--level NAME]… [--option KEY=VALUE]…\n"
     "                   [--check NAME] [--seed N] [--timeout SECONDS] [--json FILE] [--list]",
     "shows whether a backend keeps what it claims; exits with 1 when it does not"},
    {"state", tool_state, "state info|get|scan|count|verify|diff|dump|load|migrate|clone …",
     "looks into state, checks, exports and restores it, moves it to another backend"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void help(FILE *out)
{
    fputs("usage: weir COMMAND [argument…]\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  weir %s\n      %s\n", commands[i].usage, commands[i].summary);
    fputs("  weir --version\n  weir help\n"
          "\nPlugins are looked for in the folders of WEIR_BACKEND_PATH, then where Weir is "
          "installed.\nWEIR_LOG=debug shows what a backend logs.\n",
          out);
}

const weir_backend *tool_find_backend(const char *spec)
{
    const weir_backend *backend = NULL;
    char *path = NULL;
    size_t length = strlen(spec);
    bool is_file = length > 3 && strcmp(spec + length - 3, ".so") == 0;
    if (is_file && strchr(spec, '/') == NULL) {
        path = malloc(length + 3);
        if (path == NULL) {
            tool_fail("out of memory");
            return NULL;
        }
        snprintf(path, length + 3, "./%s", spec);
        spec = path;
    }
    weir_error err;
    weir_error_init(&err);
    if (weir_backend_find(spec, &backend, &err) != WEIR_OK)
        tool_fail("%s", err.message);
    free(path);
    return backend;
}

int main(int argc, char **argv)
{
    /* What a backend has to say while it is looked at is for who asks for it. */
    if (getenv("WEIR_LOG") == NULL)
        weir_log_set_level(WEIR_LOG_WARN);
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help(stdout);
        return TOOL_DONE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("weir %s (backend interface %u)\n", weir_version(), WEIR_BACKEND_ABI_VERSION);
        return TOOL_DONE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    if (name[0] != '\0')
        return tool_misuse("there is no command '%s'", name);
    help(stderr);
    return TOOL_USAGE;
}
