/*
 * The harness of weir-bench: child processes, medians, the table and the JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "harness.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

bool bench_fail(bench_sample *sample, const weir_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(sample->message, sizeof(sample->message), format, args);
    va_end(args);
    if (err && size >= 0 && (size_t)size < sizeof(sample->message))
        (void)snprintf(sample->message + size, sizeof(sample->message) - (size_t)size, ": %.400s",
                       err->message);
    return false;
}

double bench_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
    if (count == 0)
        return BENCH_NONE;
    qsort(values, count, sizeof(*values), compare_doubles);
    if (count % 2 == 1)
        return values[count / 2];
    return (values[count / 2 - 1] + values[count / 2]) / 2;
}

void bench_path(const bench_table *bench, const char *name, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/%s", bench->folder, name);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void bench_remove_folder(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---------------------------------------------------------------------------
 * Runs
 * ------------------------------------------------------------------------- */

static void child_main(const bench_table *bench, bench_run run, const void *arg, int out)
{
    bench_sample sample;
    memset(&sample, 0, sizeof(sample));
    bool is_ok = run(bench, arg, &sample);
    if (!is_ok && sample.message[0] == '\0')
        (void)snprintf(sample.message, sizeof(sample.message), "it failed without a word");
    bool is_written = write(out, &sample, sizeof(sample)) == (ssize_t)sizeof(sample);
    (void)close(out);
    _exit(is_ok && is_written ? 0 : 1);
}

bool bench_run_child(const bench_table *bench, const char *name, bench_run run, const void *arg,
                     bench_sample *sample)
{
    int ends[2];
    int status = 0;
    struct rusage usage;
    memset(sample, 0, sizeof(*sample));
    if (pipe(ends) != 0) {
        bench_say("%s: pipe: %s", name, strerror(errno));
        return false;
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        child_main(bench, run, arg, ends[1]);
    }
    (void)close(ends[1]);
    ssize_t size = child > 0 ? read(ends[0], sample, sizeof(*sample)) : -1;
    (void)close(ends[0]);
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        bench_say("%s: can't run a child process: %s", name, strerror(errno));
        return false;
    }
    sample->peak_mib = (double)usage.ru_maxrss / 1024;
    if (status == 0 && size == (ssize_t)sizeof(*sample))
        return true;
    if (WIFSIGNALED(status))
        bench_say("%s: ended by signal %d", name, WTERMSIG(status));
    else
        bench_say("%s: %s", name, size > 0 ? sample->message : "no result");
    return false;
}

/* The run whose rate is the median of `rounds`; with an even number the lower middle one. */
static const bench_sample *median_run(const bench_sample *runs, size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        size_t slower = 0;
        size_t equal = 0;
        for (size_t j = 0; j < rounds; j++) {
            slower += runs[j].rate < runs[i].rate;
            equal += runs[j].rate == runs[i].rate;
        }
        if (slower <= (rounds - 1) / 2 && slower + equal > (rounds - 1) / 2)
            return &runs[i];
    }
    return runs;
}

bool bench_is_wanted(const bench_table *bench, const char *name)
{
    return !bench->match || strstr(name, bench->match) != NULL;
}

/* Copies the contestants that run, and tells how many those are; none without a case. */
static size_t choose_contestants(const bench_table *bench, const bench_contestant *contestants,
                                 size_t count, bench_contestant *chosen)
{
    size_t kept = 0;
    bool is_any = false;
    for (size_t i = 0; i < count; i++) {
        const bench_contestant *contestant = &contestants[i];
        if (!contestant->is_yardstick && !bench_is_wanted(bench, contestant->name))
            continue;
        is_any = is_any || !contestant->is_yardstick;
        chosen[kept++] = *contestant;
    }
    return is_any ? kept : 0;
}

static bool run_rounds(const bench_table *bench, const char *unit,
                       const bench_contestant *contestants, size_t count, bench_sample *runs)
{
    size_t rounds = (size_t)bench->rounds;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            bench_sample *sample = &runs[i * rounds + round];
            if (!bench_run_child(bench, contestants[i].name, contestants[i].run, contestants[i].arg,
                                 sample))
                return false;
            bench_say("  %zu/%zu %-44s %12.0f %s  cpu %.2f s  peak %.0f MiB", round + 1, rounds,
                      contestants[i].name, sample->rate, unit, sample->cpu_seconds,
                      sample->peak_mib);
        }
    }
    return true;
}

static void add_rows(bench_table *bench, const char *unit, const bench_contestant *contestants,
                     size_t count, const bench_sample *runs)
{
    size_t rounds = (size_t)bench->rounds;
    double yardstick = BENCH_NONE;
    for (size_t i = 0; i < count; i++) {
        double rate = median_run(&runs[i * rounds], rounds)->rate;
        if (contestants[i].is_yardstick && rate > yardstick)
            yardstick = rate;
    }
    for (size_t i = 0; i < count; i++) {
        if (contestants[i].is_yardstick)
            continue;
        bench_row row = {.weir = median_run(&runs[i * rounds], rounds)->rate,
                         .yardstick = yardstick,
                         .ratio = BENCH_NONE,
                         .target = contestants[i].target};
        if (yardstick > 0)
            row.ratio = row.weir / yardstick;
        (void)snprintf(row.name, sizeof(row.name), "%s", contestants[i].name);
        (void)snprintf(row.unit, sizeof(row.unit), "%s", unit);
        bench_add_row(bench, &row);
    }
}

bool bench_contest(bench_table *bench, const char *unit, const bench_contestant *contestants,
                   size_t count)
{
    bench_contestant *chosen = calloc(count, sizeof(*chosen));
    bench_sample *runs = calloc(count * (size_t)bench->rounds, sizeof(*runs));
    bool is_ok = chosen && runs;
    size_t running = is_ok ? choose_contestants(bench, contestants, count, chosen) : 0;
    is_ok = is_ok && run_rounds(bench, unit, chosen, running, runs);
    if (is_ok)
        add_rows(bench, unit, chosen, running, runs);
    free(chosen);
    free(runs);
    return is_ok;
}

/* ---------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------- */

void bench_add_row(bench_table *bench, const bench_row *row)
{
    bench_row *rows = realloc(bench->rows, (bench->row_count + 1) * sizeof(*rows));
    if (!rows) {
        bench_say("no memory for a row");
        exit(1);
    }
    bench->rows = rows;
    rows[bench->row_count++] = *row;
}

bool bench_row_is_ok(const bench_row *row)
{
    if (row->target < 0)
        return true;
    return row->is_limit ? row->weir <= row->target : row->ratio >= row->target;
}

/* A figure with three digits at least, in few places. */
static void format_figure(double value, char *text, size_t size)
{
    if (value < 0)
        (void)snprintf(text, size, "-");
    else
        (void)snprintf(text, size, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
}

void bench_print_table(const bench_table *bench)
{
    int width = (int)strlen("case");
    for (size_t i = 0; i < bench->row_count; i++) {
        int size = (int)strlen(bench->rows[i].name);
        width = size > width ? size : width;
    }
    printf("%-*s  %10s  %10s  %-12s  %6s  %8s  %s\n", width, "case", "weir", "yardstick", "unit",
           "ratio", "target", "ok");
    for (size_t i = 0; i < bench->row_count; i++) {
        const bench_row *row = &bench->rows[i];
        char weir[32];
        char yardstick[32];
        char ratio[32];
        char limit[32];
        char target[40] = "-";
        format_figure(row->weir, weir, sizeof(weir));
        format_figure(row->yardstick, yardstick, sizeof(yardstick));
        format_figure(row->ratio, ratio, sizeof(ratio));
        format_figure(row->target, limit, sizeof(limit));
        if (row->target >= 0)
            (void)snprintf(target, sizeof(target), "%s%s", row->is_limit ? "<= " : ">= ", limit);
        printf("%-*s  %10s  %10s  %-12s  %6s  %8s  %s\n", width, row->name, weir, yardstick,
               row->unit, ratio, target,
               row->target < 0        ? "-"
               : bench->quick         ? "(quick)"
               : bench_row_is_ok(row) ? "yes"
                                      : "NO");
    }
}

static void write_number(FILE *file, double value)
{
    if (value < 0)
        (void)fprintf(file, "null");
    else
        (void)fprintf(file, "%.*f", value < 1000 ? 3 : 0, value);
}

/* Names and units come from this program and hold no quotes. */
bool bench_write_json(const bench_table *bench, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        bench_say("can't write %s: %s", path, strerror(errno));
        return false;
    }
    (void)fprintf(file, "[\n");
    for (size_t i = 0; i < bench->row_count; i++) {
        const bench_row *row = &bench->rows[i];
        (void)fprintf(file, "  {\"case\": \"%s\", \"weir\": ", row->name);
        write_number(file, row->weir);
        (void)fprintf(file, ", \"yardstick\": ");
        write_number(file, row->yardstick);
        (void)fprintf(file, ", \"unit\": \"%s\", \"ratio\": ", row->unit);
        write_number(file, row->ratio);
        (void)fprintf(file, ", \"target\": ");
        write_number(file, row->target);
        (void)fprintf(file, "}%s\n", i + 1 < bench->row_count ? "," : "");
    }
    (void)fprintf(file, "]\n");
    bool is_ok = ferror(file) == 0;
    if (fclose(file) != 0 || !is_ok) {
        bench_say("can't write %s", path);
        return false;
    }
    return true;
}
