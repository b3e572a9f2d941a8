/*
 * Child processes of tests. See support_child.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_child.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_fixture.h"

/* Ends without the handlers of the parent: its threads and its output are not here. */
static void hold(const char *spec, const char *location, int ready, int release)
{
    weir__database_config config = fixture_config(spec, location, NULL);
    weir__database *database;
    char byte = 'r';
    if (weir__database_open(&config, &database, NULL) != WEIR_OK || write(ready, &byte, 1) != 1)
        _exit(1);
    while (read(release, &byte, 1) > 0)
        ;
    _exit(weir__database_close(database, NULL) == WEIR_OK ? 0 : 1);
}

child child_holding(const char *spec, const char *location)
{
    int ready[2];
    int release[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(release), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ready[0]);
        close(release[1]);
        hold(spec, location, ready[1], release[0]);
    }
    close(ready[1]);
    close(release[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return (child){pid, release[1]};
}

void child_tell_to_release(child *c)
{
    if (c->release >= 0)
        close(c->release);
    c->release = -1;
}

void child_release(child *c)
{
    int status;
    child_tell_to_release(c);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void child_kill(child *c)
{
    int status;
    assert_int_equal(kill(c->pid, SIGKILL), 0);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    child_tell_to_release(c);
}

bool child_check(bool (*check)(void *arg), void *arg)
{
    int status;
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(check(arg) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
