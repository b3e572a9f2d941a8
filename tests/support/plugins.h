/*
 * Backends that are plugins of Weir itself and are built only where their tools are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_SUPPORT_PLUGINS_H
#define TESTS_SUPPORT_PLUGINS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Lets a plugin of this build be found by its name. False, and a line that says so: not built. */
static inline bool test_plugin_is_built(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, WEIR_PLUGIN_DIR "/libweir_%s.so", name);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "SKIPPED: the backend %s is not built; CMake says why\n", name);
        return false;
    }
    return setenv("WEIR_BACKEND_PATH", WEIR_PLUGIN_DIR, 1) == 0;
}

#endif
