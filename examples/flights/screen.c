/*
 * Text and progress bar of the demo.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "screen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH  36
#define REDRAW_MS  80
#define RATE_SPAN  4 /* samples of half a second that the rate is taken over */
#define BOLD       "\033[1m"
#define DIM        "\033[2m"
#define GREEN      "\033[32m"
#define CYAN       "\033[36m"
#define RED        "\033[31m"
#define PLAIN      "\033[0m"
#define CLEAR_LINE "\r\033[K"

static struct {
    bool terminal;
    bool colours;
    bool bar_drawn;
    int64_t drawn_ms;
    int last_tenth;
    struct {
        int64_t ms;
        int64_t done;
    } samples[RATE_SPAN];
    unsigned sample_count;
} screen;

void screen_init(void)
{
    const char *term = getenv("TERM");
    screen.terminal = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    screen.colours = screen.terminal && getenv("NO_COLOR") == NULL;
    screen.last_tenth = -1;
}

int64_t screen_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void print_line(FILE *out, const char *colour, const char *mark, const char *format,
                       va_list args)
{
    if (screen.bar_drawn)
        fputs(CLEAR_LINE, stdout);
    screen.bar_drawn = false;
    fflush(stdout);
    fprintf(out, "%s%s", screen.colours ? colour : "", mark);
    vfprintf(out, format, args);
    fprintf(out, "%s\n", screen.colours ? PLAIN : "");
    fflush(out);
}

#define PRINT(out, colour, mark, format)                                                           \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        print_line(out, colour, mark, format, args);                                               \
        va_end(args);                                                                              \
    } while (0)

void screen_step(const char *format, ...)
{
    PRINT(stdout, BOLD CYAN, "\n▶ ", format);
}

void screen_note(const char *format, ...)
{
    PRINT(stdout, DIM, "  ", format);
}

void screen_good(const char *format, ...)
{
    PRINT(stdout, GREEN, "  ✓ ", format);
}

void screen_error(const char *format, ...)
{
    PRINT(stderr, BOLD RED, "✗ ", format);
}

const char *screen_number(int64_t value)
{
    static char texts[8][32];
    static unsigned next;
    char *text = texts[next++ % 8];
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRId64, value < 0 ? -value : value);
    char *out = text;
    if (value < 0)
        *out++ = '-';
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

/* Records a second over the last samples. */
static int64_t rate(int64_t now, int64_t done)
{
    unsigned last = screen.sample_count;
    if (last == 0 || now - screen.samples[(last - 1) % RATE_SPAN].ms >= 500) {
        screen.samples[last % RATE_SPAN].ms = now;
        screen.samples[last % RATE_SPAN].done = done;
        screen.sample_count = ++last;
    }
    unsigned oldest = last > RATE_SPAN ? last % RATE_SPAN : 0;
    int64_t span = now - screen.samples[oldest].ms;
    int64_t gain = done - screen.samples[oldest].done;
    return span > 0 && gain > 0 ? gain * 1000 / span : 0;
}

static void date_text(int64_t date_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(date_ms / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(out, size, "%e %b %Y", &tm) == 0)
        *out = '\0';
}

static void draw_bar(int64_t done, int64_t total, const char *date, int64_t per_second)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = total > 0 ? (int)(done * BAR_WIDTH * 8 / total) : 0;
    char bar[BAR_WIDTH * 4 + 1] = "";
    int cells = 0;
    for (; cells < filled / 8; cells++)
        strcat(bar, "█");
    if (filled % 8 != 0) {
        strcat(bar, eighths[filled % 8]);
        cells++;
    }
    for (; cells < BAR_WIDTH; cells++)
        strcat(bar, "░");
    printf(CLEAR_LINE "  %s%s%s %3d %%  %s flights  %s/s  %s", screen.colours ? CYAN : "", bar,
           screen.colours ? PLAIN : "", total > 0 ? (int)(done * 100 / total) : 0,
           screen_number(done), screen_number(per_second), date);
    screen.bar_drawn = true;
    fflush(stdout);
}

void screen_progress(int64_t done, int64_t total, int64_t date_ms)
{
    int64_t now = screen_now_ms();
    int64_t per_second = rate(now, done);
    char date[32];
    date_text(date_ms, date, sizeof date);
    if (screen.terminal) {
        if (now - screen.drawn_ms < REDRAW_MS && done < total)
            return;
        screen.drawn_ms = now;
        draw_bar(done, total, date, per_second);
        return;
    }
    int tenth = total > 0 ? (int)(done * 10 / total) : 0;
    if (tenth > screen.last_tenth) {
        screen.last_tenth = tenth;
        if (tenth > 0)
            printf("  %3d %%  %s flights, up to %s\n", tenth * 10, screen_number(done),
                   date[0] == ' ' ? date + 1 : date);
        fflush(stdout);
    }
}
