/*
 * See support_slatedb.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_slatedb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "support/plugins.h"
#include "support_fixture.h"

bool slatedb_prepare(void)
{
    return test_plugin_is_built("slatedb");
}

static char *server_folder;

/* Runs scripts/moto; returns its exit code and its answer. */
static int moto(const char *command, char *answer, size_t size)
{
    char line[1024];
    snprintf(line, sizeof line, "'%s/../scripts/moto' %s --dir '%s'", WEIR_TEST_DIR, command,
             server_folder);
    FILE *pipe = popen(line, "r");
    if (pipe == NULL)
        return 1;
    answer[fread(answer, 1, size - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int s3_start(void)
{
    char answer[512];
    server_folder = fixture_folder();
    int code = moto("start", answer, sizeof answer);
    char *endpoint = strstr(answer, "endpoint=");
    if (code == 0 && endpoint == NULL)
        code = 1;
    if (code != 0) {
        fprintf(stderr, "%s: no S3 server for the test\n", code == SKIPPED ? "SKIPPED" : "FAILED");
        fixture_remove(server_folder);
        return code;
    }
    endpoint += strlen("endpoint=");
    endpoint[strcspn(endpoint, "\n")] = '\0';
    setenv("AWS_ENDPOINT", endpoint, 1);
    setenv("AWS_ALLOW_HTTP", "true", 1);
    setenv("AWS_REGION", "us-east-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "test", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    return 0;
}

void s3_stop(void)
{
    char answer[512];
    (void)moto("stop", answer, sizeof answer);
    fixture_remove(server_folder);
}

const char *s3_location(const char *name)
{
    static char locations[4][256];
    static size_t next;
    char *location = locations[next++ % 4];
    snprintf(location, sizeof locations[0], "s3://weir/%s", name);
    return location;
}
