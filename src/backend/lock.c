/*
 * The lock of a local folder. See lock.h.
 *
 * The kernel lock belongs to the open file (F_OFD_SETLK), not to the process: two databases
 * of one process exclude each other too, and closing another descriptor of the same file
 * does not drop it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/folder.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"

#define CONTENT_MAX 1024

void weir__lock_init(weir__lock *lock)
{
    lock->fd = -1;
    lock->shared = false;
}

/* --------------------------------------------------------------- who owns it */

/* Field 22 of /proc/PID/stat; 0: there is no such process, or it can't be told. */
static int64_t start_time_of(int64_t pid)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    /* The name of the program, the second field, may hold spaces and parentheses. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoll(at + 1, NULL, 10) : 0;
}

static void host_name(char *text, size_t size)
{
    if (gethostname(text, size) != 0)
        snprintf(text, size, "unknown");
    text[size - 1] = '\0';
}

static void read_member(const char *name, const char *text, int64_t integer, void *arg)
{
    weir__lock_owner *owner = arg;
    if (text == NULL && strcmp(name, "pid") == 0)
        owner->pid = integer;
    else if (text == NULL && strcmp(name, "start_time") == 0)
        owner->start_time = integer;
    else if (text == NULL && strcmp(name, "timestamp") == 0)
        owner->timestamp = integer;
    else if (text != NULL && strcmp(name, "host") == 0)
        snprintf(owner->host, sizeof owner->host, "%s", text);
}

static void read_owner(int fd, weir__lock_owner *owner)
{
    char content[CONTENT_MAX];
    memset(owner, 0, sizeof *owner);
    ssize_t size = pread(fd, content, sizeof content, 0);
    if (size <= 0)
        return;
    /* The owner may be writing at this moment: half a text says nothing. */
    if (weir__flat_json_each(weir_slice_of(content, (size_t)size), read_member, owner, NULL) !=
            WEIR_OK ||
        owner->pid <= 0)
        memset(owner, 0, sizeof *owner);
    else
        owner->known = true;
}

/* Writes this process into the file; 0 or an errno. */
static int write_owner(int fd)
{
    weir__buffer content;
    char host[256];
    int number = ENOMEM;
    weir__buffer_init(&content);
    host_name(host, sizeof host);
    if (weir__buffer_printf(&content, "{\"pid\":%" PRId64 ",\"host\":", (int64_t)getpid()) ==
            WEIR_OK &&
        weir__json_write_string(&content, weir_slice_str(host), NULL) == WEIR_OK &&
        weir__buffer_printf(&content, ",\"start_time\":%" PRId64 ",\"timestamp\":%" PRId64 "}\n",
                            start_time_of(getpid()), weir__wall_ms()) == WEIR_OK) {
        number = 0;
        if (ftruncate(fd, 0) != 0)
            number = errno;
        else if (pwrite(fd, content.data, content.size, 0) != (ssize_t)content.size)
            number = errno != 0 ? errno : EIO;
    }
    weir__buffer_release(&content);
    return number;
}

static weir_status tell_locked(const weir__lock_owner *owner, const char *folder, weir_error *err)
{
    char host[256];
    if (!owner->known)
        return weir_error_set(err, WEIR_LOCKED,
                              "%s is in use by another process, which did not say who it is "
                              "(maybe it only reads)",
                              folder);
    host_name(host, sizeof host);
    bool gone = strcmp(host, owner->host) == 0 && start_time_of(owner->pid) != owner->start_time;
    return weir_error_set(err, WEIR_LOCKED,
                          "%s is in use by process %" PRId64 " on host %s%s. One writer at a time "
                          "is allowed: stop that process, or wait for it",
                          folder, owner->pid, owner->host,
                          gone ? ", which has ended, but left the folder open to a process that "
                                 "it started"
                               : "");
}

/* -------------------------------------------------------------------- taking */

/* Another process may have removed the file (with the folder) between open and lock. */
static bool is_still_there(int fd, const char *path)
{
    struct stat held;
    struct stat there;
    return fstat(fd, &held) == 0 && stat(path, &there) == 0 && held.st_ino == there.st_ino &&
           held.st_dev == there.st_dev;
}

static weir_status open_and_lock(weir__lock *lock, const char *path, const char *folder,
                                 weir__lock_owner *owner, weir_error *err)
{
    lock->fd = lock->shared ? open(path, O_RDONLY | O_CLOEXEC)
                            : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    /* Nobody ever wrote here, and a reader leaves no trace. */
    if (lock->fd < 0 && lock->shared && errno == ENOENT)
        return WEIR_OK;
    if (lock->fd < 0)
        return weir__folder_error(errno, "open the lock file", path, err);
    struct flock request = {.l_type = lock->shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock->fd, F_OFD_SETLK, &request) != 0) {
        int number = errno;
        if (number == EAGAIN || number == EACCES) {
            read_owner(lock->fd, owner);
            return tell_locked(owner, folder, err);
        }
        return weir_error_set(err, WEIR_IO,
                              "can't lock %s: %s. State needs a file system with locks (fcntl)",
                              path, strerror(number));
    }
    if (!lock->shared && !is_still_there(lock->fd, path))
        return WEIR_BUSY;
    return WEIR_OK;
}

weir_status weir__lock_take(weir__lock *lock, const char *folder, bool shared,
                            weir__lock_owner *owner, weir_error *err)
{
    weir_status status = WEIR_NO_MEMORY;
    memset(owner, 0, sizeof *owner);
    weir__lock_init(lock);
    lock->shared = shared;
    char *path = weir__folder_join(folder, WEIR__LOCK_FILE);
    if (path == NULL)
        return weir_error_set(err, status, "no memory to lock %s", folder);
    status = open_and_lock(lock, path, folder, owner, err);
    if (status == WEIR_BUSY)
        weir_error_set(err, status, "%s was removed while it was locked", path);
    if (status == WEIR_OK && !shared) {
        read_owner(lock->fd, owner);
        errno = 0;
        int number = write_owner(lock->fd);
        if (number != 0)
            status = weir__folder_error(number, "write the lock file", path, err);
    }
    if (status != WEIR_OK && lock->fd >= 0) {
        close(lock->fd);
        lock->fd = -1;
    }
    free(path);
    return status;
}

void weir__lock_release(weir__lock *lock)
{
    if (lock->fd < 0)
        return;
    /* An empty file says that its owner ended in order. If that fails, the next one says
     * that it took over from a dead owner, which does no harm. */
    if (!lock->shared && ftruncate(lock->fd, 0) != 0)
        weir_log(WEIR_LOG_DEBUG, "store.lock_release", "can't empty the lock file: %s",
                 strerror(errno));
    close(lock->fd);
    lock->fd = -1;
}

void weir__lock_remove(weir__lock *lock, const char *folder)
{
    char *path = weir__folder_join(folder, WEIR__LOCK_FILE);
    if (path != NULL && lock->fd >= 0)
        unlink(path);
    free(path);
    weir__lock_release(lock);
}
