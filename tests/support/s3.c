/*
 * See s3.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/s3.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[256];
static pid_t server;

/* Runs scripts/moto; returns its exit code and its answer. */
static int moto(const char *command, char *answer, size_t size)
{
    char line[1024];
    snprintf(line, sizeof line, "'%s/scripts/moto' %s --dir '%s'", WEIR_SOURCE_DIR, command,
             folder);
    FILE *pipe = popen(line, "r");
    if (pipe == NULL)
        return 1;
    answer[fread(answer, 1, size - 1, pipe)] = '\0';
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

int s3_start(void)
{
    char answer[512];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/weir-s3-XXXXXX", base != NULL && *base ? base : "/tmp");
    int code = mkdtemp(folder) != NULL ? moto("start", answer, sizeof answer) : 1;
    char *endpoint = code == 0 ? strstr(answer, "endpoint=") : NULL;
    char *pid = code == 0 ? strstr(answer, "pid=") : NULL;
    if (code == 0 && (endpoint == NULL || pid == NULL))
        code = 1;
    if (code != 0) {
        fprintf(stderr, "%s: no S3 server for the test\n",
                code == S3_SKIPPED ? "SKIPPED" : "FAILED");
        remove_folder();
        return code;
    }
    server = (pid_t)atoi(pid + strlen("pid="));
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
    s3_resume();
    (void)moto("stop", answer, sizeof answer);
    remove_folder();
}

void s3_pause(void)
{
    kill(server, SIGSTOP);
}

void s3_resume(void)
{
    kill(server, SIGCONT);
}

const char *s3_location(const char *name)
{
    static char locations[4][256];
    static size_t next;
    char *location = locations[next++ % 4];
    snprintf(location, sizeof locations[0], "s3://weir/%s", name);
    return location;
}
