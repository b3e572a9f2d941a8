/*
 * See cloud.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char folder[256];
static const char *running;

/* Runs scripts/emulator; returns its exit code, and sets the variables that it tells. */
static int emulator(const char *cloud, const char *command)
{
    char line[1024];
    snprintf(line, sizeof line, "'%s/scripts/emulator' %s %s --dir '%s'", WEIR_SOURCE_DIR, cloud,
             command, folder);
    FILE *pipe = popen(line, "r");
    if (pipe == NULL)
        return 1;
    while (fgets(line, sizeof line, pipe) != NULL) {
        char *value = strchr(line, '=');
        line[strcspn(line, "\n")] = '\0';
        if (value == NULL)
            continue;
        *value++ = '\0';
        setenv(line, value, 1);
    }
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void remove_folder(void)
{
    char line[300];
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    if (system(line) != 0)
        fprintf(stderr, "could not remove %s\n", folder);
}

int cloud_start(const char *cloud)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/weir-cloud-XXXXXX", base != NULL && *base ? base : "/tmp");
    int code = mkdtemp(folder) != NULL ? emulator(cloud, "start") : 1;
    if (code != 0) {
        fprintf(stderr, "%s: no server for %s://\n", code == CLOUD_SKIPPED ? "SKIPPED" : "FAILED",
                cloud);
        remove_folder();
        return code;
    }
    running = cloud;
    return 0;
}

void cloud_stop(void)
{
    if (running == NULL)
        return;
    (void)emulator(running, "stop");
    running = NULL;
    remove_folder();
}
