/*
 * The job as a child process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "screen.h"

#define LOG_TAIL_LINES 15

bool worker_start(demo_worker *worker, char *const *argv, const char *log_path)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        screen_error("pipe: %s", strerror(errno));
        return false;
    }
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
        screen_error("%s: %s", log_path, strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    off_t log_from = lseek(log, 0, SEEK_END);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || dup2(ends[1], STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
            _exit(127);
        /* A process group of its own: Ctrl-C is for the demo, which then ends the job. */
        setpgid(0, 0);
        execv(argv[0], argv);
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(log);
    close(ends[1]);
    if (pid < 0) {
        screen_error("fork: %s", strerror(errno));
        close(ends[0]);
        return false;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *worker = (demo_worker){.pid = pid, .output = ends[0], .log_from = (long)log_from};
    return true;
}

static void show_line(demo_worker *worker)
{
    int partition;
    int64_t applied = 0; /* not every job tells it */
    worker->line[worker->line_size] = '\0';
    if (sscanf(worker->line, "recovered %*s partition %d: %" SCNd64, &partition, &applied) >= 1) {
        worker->recovered++;
        worker->applied += applied;
    }
    screen_note("worker │ %s", worker->line);
    worker->line_size = 0;
}

void worker_show_output(demo_worker *worker)
{
    char bytes[512];
    ssize_t size;
    while (worker->output >= 0 && (size = read(worker->output, bytes, sizeof bytes)) != 0) {
        if (size < 0)
            return; /* nothing more for now */
        for (ssize_t i = 0; i < size; i++) {
            if (bytes[i] == '\n' || worker->line_size == sizeof worker->line - 1)
                show_line(worker);
            if (bytes[i] != '\n')
                worker->line[worker->line_size++] = bytes[i];
        }
    }
}

static void forget(demo_worker *worker)
{
    if (worker->output >= 0)
        close(worker->output);
    worker->output = -1;
    worker->pid = 0;
}

bool worker_ended(demo_worker *worker, int *status)
{
    if (worker->pid == 0 || waitpid(worker->pid, status, WNOHANG) != worker->pid)
        return false;
    worker_show_output(worker);
    forget(worker);
    return true;
}

void worker_kill(demo_worker *worker)
{
    if (worker->pid == 0)
        return;
    kill(worker->pid, SIGKILL);
    waitpid(worker->pid, NULL, 0);
    forget(worker);
}

bool worker_stop(demo_worker *worker, int timeout_ms)
{
    int status;
    int64_t deadline = screen_now_ms() + timeout_ms;
    kill(worker->pid, SIGTERM);
    while (!worker_ended(worker, &status)) {
        if (screen_now_ms() > deadline) {
            screen_error("the worker did not stop within %d s after SIGTERM", timeout_ms / 1000);
            worker_kill(worker);
            return false;
        }
        struct pollfd waiting = {.fd = worker->output, .events = POLLIN};
        poll(&waiting, 1, 20);
        worker_show_output(worker);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        screen_error("the worker ended with %s %d", WIFEXITED(status) ? "exit code" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        return false;
    }
    return true;
}

/* Of a line "2026-11-27T20:30:19.493Z INFO  EVENT …": ms since midnight if it has this event. */
static bool event_ms(const char *line, const char *event, int64_t *ms)
{
    int hour, minute, second, thousandth;
    char level[8], name[32];
    if (sscanf(line, "%*10[0-9-]T%d:%d:%d.%dZ %7s %31s", &hour, &minute, &second, &thousandth,
               level, name) != 6 ||
        strcmp(name, event) != 0)
        return false;
    *ms = ((hour * 60 + minute) * INT64_C(60) + second) * 1000 + thousandth;
    return true;
}

int64_t worker_ready_ms(const demo_worker *worker, const char *log_path)
{
    char line[2048];
    int64_t ms, assigned = -1, running = -1;
    FILE *log = fopen(log_path, "r");
    if (log == NULL || fseek(log, worker->log_from, SEEK_SET) != 0)
        goto done;
    while (fgets(line, sizeof line, log) != NULL) {
        if (assigned < 0 && event_ms(line, "group.assigned", &ms))
            assigned = ms;
        else if (assigned >= 0 && event_ms(line, "task.run", &ms))
            running = ms < assigned ? ms + 24 * 60 * 60 * 1000 : ms; /* it is past midnight */
    }
done:
    if (log != NULL)
        fclose(log);
    return running < 0 ? -1 : running - assigned;
}

void worker_print_log(const char *log_path)
{
    char lines[LOG_TAIL_LINES][512];
    unsigned count = 0;
    FILE *log = fopen(log_path, "r");
    if (log == NULL)
        return;
    while (fgets(lines[count % LOG_TAIL_LINES], sizeof lines[0], log) != NULL)
        count++;
    fclose(log);
    fprintf(stderr, "the end of %s:\n", log_path);
    for (unsigned i = count > LOG_TAIL_LINES ? count - LOG_TAIL_LINES : 0; i < count; i++)
        fprintf(stderr, "  %s", lines[i % LOG_TAIL_LINES]);
}
