/*
 * Progress on stderr: a line that is written over on a terminal, and one a few seconds else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

#define TERMINAL_EVERY_S 0.25
#define FILE_EVERY_S     5.0
#define LOOK_EVERY       1024u /* rows between two looks at the clock */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void state_progress_init(state_progress *progress, const state_request *request, const char *what,
                         size_t count, uint64_t rows_expected)
{
    *progress = (state_progress){.is_on = request->progress || isatty(STDERR_FILENO) == 1,
                                 .what = what,
                                 .count = count,
                                 .rows_expected = rows_expected,
                                 .began = now()};
    progress->told = progress->began;
}

static void tell(const state_progress *progress, double at, const char *end)
{
    double seconds = at - progress->began;
    double rate = seconds > 0 ? (double)progress->rows / seconds : 0;
    fprintf(stderr, "%s: %zu of %zu databases, %" PRIu64, progress->what, progress->done,
            progress->count, progress->rows);
    if (progress->rows_expected > 0)
        fprintf(stderr, " of about %" PRIu64, progress->rows_expected);
    fprintf(stderr, " rows, %.1f MiB, %.0f rows/s", (double)progress->bytes / 1048576.0, rate);
    if (progress->rows_expected > progress->rows && rate > 0) {
        double left = (double)(progress->rows_expected - progress->rows) / rate;
        fprintf(stderr, ", ETA %02d:%02d:%02d", (int)(left / 3600), (int)(left / 60) % 60,
                (int)left % 60);
    }
    fputs(end, stderr);
}

void state_progress_add(state_progress *progress, size_t bytes)
{
    progress->rows++;
    progress->bytes += bytes;
    if (!progress->is_on || progress->rows % LOOK_EVERY != 0)
        return;
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    double at = now();
    if (at - progress->told < (is_terminal ? TERMINAL_EVERY_S : FILE_EVERY_S))
        return;
    progress->told = at;
    if (is_terminal)
        fputs("\r\033[K", stderr);
    tell(progress, at, is_terminal ? "" : "\n");
}

void state_progress_end(state_progress *progress)
{
    if (!progress->is_on)
        return;
    if (isatty(STDERR_FILENO) == 1)
        fputs("\r\033[K", stderr);
    tell(progress, now(), "\n");
    progress->is_on = false;
}
