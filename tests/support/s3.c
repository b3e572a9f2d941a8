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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[256];
static pid_t server;
static pid_t proxy;
static FILE *proxy_output;
static char endpoint_behind[128]; /* that of the server, while there is a proxy */

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

bool s3_disturb(unsigned seed, unsigned percent)
{
    char to[128];
    char numbers[2][16];
    char port[16];
    int output[2];
    snprintf(endpoint_behind, sizeof endpoint_behind, "%s", getenv("AWS_ENDPOINT"));
    snprintf(to, sizeof to, "%s", endpoint_behind + strlen("http://"));
    snprintf(numbers[0], sizeof numbers[0], "%u", seed);
    snprintf(numbers[1], sizeof numbers[1], "%u", percent);
    if (pipe(output) != 0)
        return false;
    proxy = fork();
    if (proxy == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not calm */
        dup2(output[1], STDOUT_FILENO);
        close(output[0]);
        close(output[1]);
        execlp("python3", "python3", WEIR_SOURCE_DIR "/tests/support/s3_faults.py", to, numbers[0],
               numbers[1], (char *)NULL);
        _exit(127);
    }
    close(output[1]);
    proxy_output = fdopen(output[0], "r");
    if (proxy < 0 || proxy_output == NULL || fgets(port, sizeof port, proxy_output) == NULL)
        return false;
    snprintf(to, sizeof to, "http://127.0.0.1:%d", atoi(port));
    setenv("AWS_ENDPOINT", to, 1);
    return true;
}

void s3_calm(void)
{
    char line[256];
    if (proxy <= 0)
        return;
    kill(proxy, SIGTERM);
    while (fgets(line, sizeof line, proxy_output) != NULL)
        printf("requests: %s", line);
    fclose(proxy_output);
    waitpid(proxy, NULL, 0);
    proxy = 0;
    setenv("AWS_ENDPOINT", endpoint_behind, 1);
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
