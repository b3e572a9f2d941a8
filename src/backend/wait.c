/*
 * Waiting for state that another owner still holds. See wait.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/wait.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

#define POLL_MS 25

void weir__wait_init(weir__wait *wait, const weir__host_options *options, int deadline_ms,
                     const volatile bool *stop, const char *label)
{
    wait->retries_left = options->open_max_retries;
    wait->backoff_ms = options->open_retry_backoff_ms;
    wait->began = weir__now_ms();
    wait->deadline = deadline_ms > 0 ? wait->began + deadline_ms : 0;
    wait->stop = stop;
    wait->label = label;
    wait->is_announced = false;
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_stopped(const weir__wait *wait)
{
    /* Set by a signal handler or by another thread. */
    return wait->stop != NULL && __atomic_load_n(wait->stop, __ATOMIC_ACQUIRE);
}

static bool is_over(const weir__wait *wait)
{
    return wait->deadline != 0 && weir__now_ms() >= wait->deadline;
}

/* Sleeps, but not beyond the deadline nor after the stop flag. */
static void rest(const weir__wait *wait, int64_t ms)
{
    if (wait->deadline != 0)
        ms = min_ms(ms, wait->deadline - weir__now_ms());
    if (ms > 0)
        (void)weir__sleep_ms(ms, wait->stop);
}

static weir_status append(weir_error *err, weir_status status, const char *text)
{
    char message[2 * WEIR_ERROR_MESSAGE_SIZE];
    snprintf(message, sizeof message, "%s%s", err->message, text);
    return weir_error_set(err, status, "%s", message);
}

static weir_status give_up(const weir__wait *wait, weir_status status, weir_error *err)
{
    char text[96];
    int64_t waited = weir__now_ms() - wait->began;
    snprintf(text, sizeof text, ". Gave up after %" PRId64 " ms%s", waited,
             is_over(wait) ? ", the deadline for opening" : "");
    return append(err, status, text);
}

static void announce(weir__wait *wait, const weir_error *err)
{
    if (wait->is_announced)
        return;
    wait->is_announced = true;
    weir_log(WEIR_LOG_INFO, "store.lock_wait",
             "waiting for state that is in use: %" PRId64 " retries, %" PRId64 " ms apart: %s (%s)",
             wait->retries_left, wait->backoff_ms, err->message, wait->label);
}

weir_status weir__wait_for(weir__wait *wait, weir__wait_mode mode,
                           weir_status (*attempt)(void *arg, weir_error *err), void *arg,
                           weir_error *err)
{
    weir_status status = attempt(arg, err);
    while (status == WEIR_LOCKED || status == WEIR_BUSY) {
        if (is_stopped(wait))
            return append(err, WEIR_ABORTED, ". Stopped on request while waiting for it");
        if (wait->retries_left <= 0 || is_over(wait))
            return give_up(wait, status, err);
        announce(wait, err);
        wait->retries_left--;
        const int64_t end = weir__now_ms() + wait->backoff_ms;
        do {
            rest(wait,
                 mode == WEIR__WAIT_POLL ? min_ms(POLL_MS, wait->backoff_ms) : wait->backoff_ms);
            if (is_stopped(wait))
                break;
            status = attempt(arg, err);
        } while ((status == WEIR_LOCKED || status == WEIR_BUSY) && weir__now_ms() < end &&
                 !is_over(wait));
    }
    return status;
}
