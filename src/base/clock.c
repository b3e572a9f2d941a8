/*
 * Time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/clock.h"

#include <time.h>

#define SLEEP_STEP_MS 20

static int64_t read_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t weir__now_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t weir__wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

bool weir__sleep_ms(int64_t ms, const volatile bool *stop)
{
    int64_t deadline = weir__now_ms() + ms;
    for (;;) {
        /* Set by a signal handler or by another thread. */
        if (stop && __atomic_load_n(stop, __ATOMIC_ACQUIRE))
            return false;
        int64_t left = deadline - weir__now_ms();
        if (left <= 0)
            return true;
        if (stop && left > SLEEP_STEP_MS)
            left = SLEEP_STEP_MS;
        struct timespec step = {.tv_sec = left / 1000, .tv_nsec = (left % 1000) * 1000000};
        /* An interruption by a signal only leads to another look at the clock. */
        nanosleep(&step, NULL);
    }
}
