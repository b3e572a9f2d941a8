/*
 * weir-bench: measures Weir against a yardstick that runs beside it.
 *
 *   weir-bench [NAME…] [--json FILE] [--quick] [--match TEXT] [--rounds N] [--dir FOLDER]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/backend.h>
#include <weir/weir.h>

#include "harness.h"

/* The groups of cases, by name. A new one is a line here and a file beside this one. */
static const struct {
    const char *name;
    bench_group run;
    const char *help;
} groups[] = {
    {"state", bench_state, "get + set of a counter, against raw RocksDB"},
    {"recovery", bench_recovery, "a changelog into a fresh partition, against raw bulk writes"},
    {"pipeline", bench_pipeline, "the counting job on a real broker, against librdkafka alone"},
    {"windows", bench_windows,
     "windows, as-of lookups and TTL, against raw RocksDB and Quix Streams"},
    {"backends", bench_backends, "all backends side by side, against rocksdb"},
};

#define GROUP_COUNT (sizeof(groups) / sizeof(groups[0]))

typedef struct arguments {
    bool is_wanted[GROUP_COUNT];
    const char *json;
    const char *folder;
    const char *match;
    bool quick;
    int rounds;
} arguments;

static void print_usage(void)
{
    bench_say("usage: weir-bench [NAME…] [--json FILE] [--quick] [--match TEXT] [--rounds N]"
              " [--dir FOLDER]");
    for (size_t i = 0; i < GROUP_COUNT; i++)
        bench_say("  %-10s %s", groups[i].name, groups[i].help);
    bench_say("  --json FILE  also writes the table as a list of JSON objects");
    bench_say("  --quick      a smoke run of seconds; its figures mean nothing");
    bench_say("  --match TEXT only the cases whose names hold it, as in \"100000 keys, zipf\"");
    bench_say("  --rounds N   alternating runs of each contestant, at least 3 (default 3)");
    bench_say("  --dir FOLDER where the databases go (default $TMPDIR or /tmp)");
}

static bool choose_group(arguments *chosen, const char *name)
{
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (strcmp(groups[i].name, name) == 0) {
            chosen->is_wanted[i] = true;
            return true;
        }
    }
    bench_say("weir-bench: there is no case %s", name);
    return false;
}

static bool parse_arguments(int argc, char **argv, arguments *chosen)
{
    bool is_any = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--quick") == 0) {
            chosen->quick = true;
        } else if (strcmp(argv[i], "--json") == 0 && value) {
            chosen->json = value;
            i++;
        } else if (strcmp(argv[i], "--match") == 0 && value) {
            chosen->match = value;
            i++;
        } else if (strcmp(argv[i], "--dir") == 0 && value) {
            chosen->folder = value;
            i++;
        } else if (strcmp(argv[i], "--rounds") == 0 && value) {
            chosen->rounds = atoi(value);
            if (chosen->rounds < 3)
                return false;
            i++;
        } else if (argv[i][0] == '-' || !choose_group(chosen, argv[i])) {
            return false;
        } else {
            is_any = true;
        }
    }
    for (size_t i = 0; i < GROUP_COUNT && !is_any; i++)
        chosen->is_wanted[i] = true;
    return true;
}

/* Asked in a child: the parent must not touch RocksDB. */
static bool ask_version(const bench_table *bench, const void *arg, bench_sample *sample)
{
    const weir_backend *backend = NULL;
    weir_error err;
    (void)bench;
    (void)arg;
    if (weir_backend_find("rocksdb", &backend, &err) != WEIR_OK)
        return bench_fail(sample, &err, "no backend rocksdb");
    (void)snprintf(sample->message, sizeof(sample->message), "%s", backend->version);
    return true;
}

static void print_heading(const bench_table *bench, const char *engine)
{
    printf("weir %s on %s, %ld processors", weir_version(), engine, sysconf(_SC_NPROCESSORS_ONLN));
#ifndef NDEBUG
    printf(", NOT a release build");
#endif
    if (bench->quick)
        printf(", quick run: the figures mean nothing");
    else
        printf(", median of %d alternating runs", bench->rounds);
    printf("\n\n");
}

int main(int argc, char **argv)
{
    bench_table bench = {.rounds = 3};
    arguments chosen = {.rounds = 3};
    bench_sample version;
    bool is_ok = true;
    if (!parse_arguments(argc, argv, &chosen)) {
        print_usage();
        return 2;
    }
    const char *base = chosen.folder ? chosen.folder : getenv("TMPDIR");
    (void)snprintf(bench.folder, sizeof(bench.folder), "%s/weir-bench-XXXXXX",
                   base && base[0] ? base : "/tmp");
    if (!mkdtemp(bench.folder)) {
        bench_say("weir-bench: can't make a folder %s", bench.folder);
        return 1;
    }
    bench.quick = chosen.quick;
    bench.match = chosen.match;
    bench.rounds = chosen.quick ? 1 : chosen.rounds;
    is_ok = bench_run_child(&bench, "version", ask_version, NULL, &version);
    for (size_t i = 0; i < GROUP_COUNT && is_ok; i++) {
        if (chosen.is_wanted[i])
            is_ok = groups[i].run(&bench);
    }
    bench_remove_folder(bench.folder);
    if (bench.row_count > 0) {
        print_heading(&bench, version.message);
        bench_print_table(&bench);
    }
    if (is_ok && chosen.json)
        is_ok = bench_write_json(&bench, chosen.json);
    free(bench.rows);
    return is_ok ? 0 : 1;
}
