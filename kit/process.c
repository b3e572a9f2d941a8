/*
 * Processes of the kit. See process.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

void *kit_shared_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void kit_shared_free(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}

pid_t kit_fork(kit_subject *c)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        kit_fail(c, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

int kit_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

typedef struct answer {
    bool came;
    bool is_right;
    bool skipped;
    char note[KIT_NOTE_SIZE];
} answer;

/* True when the pipe's other end is closed in time. */
static bool wait_for_end(int fd, int timeout_s)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&item, 1, timeout_s > 0 ? timeout_s * 1000 : -1);
    while (ready < 0 && errno == EINTR);
    return ready != 0;
}

static bool tell_end(kit_subject *c, int status, bool in_time, int timeout_s)
{
    if (!in_time)
        return kit_fail(c, "expected an end within %d s; seen: still running", timeout_s);
    if (WIFSIGNALED(status))
        return kit_fail(c, "the backend crashed: the process ended with signal %d (%s)",
                        WTERMSIG(status), strsignal(WTERMSIG(status)));
    return kit_fail(c, "the backend ended the process with exit code %d", WEXITSTATUS(status));
}

bool kit_in_process(kit_subject *c, int timeout_s, bool (*run)(kit_subject *c, void *arg),
                    void *arg)
{
    int pipe_ends[2] = {-1, -1};
    bool is_right = false;
    answer *a = kit_shared_new(sizeof *a);
    if (a == NULL || pipe(pipe_ends) != 0) {
        kit_fail(c, "no process for the check: %s", strerror(errno));
        goto done;
    }
    pid_t pid = kit_fork(c);
    if (pid == 0) {
        close(pipe_ends[0]);
        a->is_right = run(c, arg);
        a->skipped = c->skipped;
        memcpy(a->note, c->note, sizeof a->note);
        a->came = true;
        /* A check that has failed leaves things open: nothing more is asked of the backend. */
        if (!a->is_right)
            _exit(0);
        exit(0);
    }
    if (pid < 0)
        goto done;
    close(pipe_ends[1]);
    pipe_ends[1] = -1;
    bool in_time = wait_for_end(pipe_ends[0], timeout_s);
    if (!in_time)
        kill(pid, SIGKILL);
    int status = kit_wait(pid);
    if (a->came && in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        is_right = a->is_right;
        c->skipped = a->skipped;
        memcpy(c->note, a->note, sizeof c->note);
    } else {
        is_right = tell_end(c, status, in_time, timeout_s);
    }
done:
    for (int i = 0; i < 2; i++)
        if (pipe_ends[i] >= 0)
            close(pipe_ends[i]);
    kit_shared_free(a, sizeof *a);
    return is_right;
}
