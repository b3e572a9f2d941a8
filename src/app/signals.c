/*
 * SIGINT and SIGTERM stop the applications that ask for it. The handlers of the program
 * are put back when the last of them has ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "app/application.h"

#define MAX_APPS 64

static const int stop_signals[] = {SIGINT, SIGTERM};
#define STOP_SIGNAL_COUNT (sizeof(stop_signals) / sizeof(stop_signals[0]))

/* The handler reads the slots without a lock; the lock is for add and remove. */
static weir_app *apps[MAX_APPS];
static size_t app_count;
static struct sigaction before[STOP_SIGNAL_COUNT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    for (size_t i = 0; i < MAX_APPS; i++) {
        weir_app *app = __atomic_load_n(&apps[i], __ATOMIC_ACQUIRE);
        if (app)
            weir_app_stop(app);
    }
    errno = saved;
}

static void install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < STOP_SIGNAL_COUNT; i++)
        sigaction(stop_signals[i], &action, &before[i]);
}

weir_status weir__signals_add(weir_app *app, weir_error *err)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&lock);
    size_t slot = 0;
    while (slot < MAX_APPS && apps[slot])
        slot++;
    if (slot == MAX_APPS) {
        status = weir_error_set(err, WEIR_BUSY,
                                "%d applications of this process handle signals "
                                "already; set handle_signals to false",
                                MAX_APPS);
    } else {
        __atomic_store_n(&apps[slot], app, __ATOMIC_RELEASE);
        if (app_count++ == 0)
            install();
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void weir__signals_remove(weir_app *app)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MAX_APPS; i++) {
        if (apps[i] != app)
            continue;
        if (--app_count == 0) {
            for (size_t s = 0; s < STOP_SIGNAL_COUNT; s++)
                sigaction(stop_signals[s], &before[s], NULL);
        }
        __atomic_store_n(&apps[i], NULL, __ATOMIC_RELEASE);
        break;
    }
    pthread_mutex_unlock(&lock);
}
