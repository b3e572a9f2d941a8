/*
 * `weir state`: the subcommands, their options and their help.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    INFO = 1 << 0,
    GET = 1 << 1,
    SCAN = 1 << 2,
    COUNT = 1 << 3,
    VERIFY = 1 << 4,
    DIFF = 1 << 5,
    DUMP = 1 << 6,
    LOAD = 1 << 7,
    MIGRATE = 1 << 8,
    CLONE = 1 << 9,
    LOOKS = INFO | GET | SCAN | COUNT | VERIFY | DIFF | DUMP,
    FILTERS = SCAN | COUNT,
};

typedef struct subcommand {
    unsigned bit;
    const char *name;
    int (*run)(const state_request *request);
    size_t operands;
    const char *usage;
    const char *summary;
    const char *more;
} subcommand;

static const subcommand subcommands[] = {
    {INFO, "info", state_info, 1, "LOCATION",
     "which backend keeps it, what kind of state it is, offsets, families, sizes", NULL},
    {GET, "get", state_get, 2, "LOCATION KEY",
     "the value of a key; in windowed and timestamped state, the rows of a record's key",
     "KEY is written as scan prints it: N14228|\"flights\". Exit code 1: it is not there. With "
     "--raw\n"
     "the bytes of the value and nothing else."},
    {SCAN, "scan", state_scan, 1, "LOCATION", "rows in order of their keys, one on a line",
     "Columns are separated by tabs: database (if there are several), family (with --cf all), "
     "key,\n"
     "window or time, value, expiry."},
    {COUNT, "count", state_count, 1, "LOCATION", "rows and bytes of each family, by reading them",
     NULL},
    {VERIFY, "verify", state_verify, 1, "LOCATION",
     "reads everything: checksums, order, both directions, layout; prints a digest",
     "Equal digests mean equal rows, whatever the backend."},
    {DIFF, "diff", state_diff, 2, "LOCATION LOCATION",
     "rows that differ: - as in the first, + as in the second",
     "Exit code 1: there are differences."},
    {DUMP, "dump", state_dump, 2, "LOCATION FILE",
     "writes all databases of a location into one portable file (- : stdout)",
     "Format: docs/formats/dump.md. To compress: weir state dump LOCATION - | zstd > FILE"},
    {LOAD, "load", state_load, 2, "FILE LOCATION",
     "restores a dump (- : stdin) into BACKEND:LOCATION, which must be empty or not there",
     "Built beside a local LOCATION and renamed when it is complete and checked."},
    {MIGRATE, "migrate", state_migrate, 0, "--from LOCATION --to BACKEND:LOCATION",
     "copies a partition, a store or a whole state folder to another backend",
     "The source is only read. --to may name the same folder: then the copy takes its place.\n"
     "Built in TARGET.weir-new and renamed when all of it is complete and checked. Killed? The "
     "same\n"
     "command goes on where it was: databases that are complete are kept."},
    {CLONE, "clone", state_clone, 2, "URL URL",
     "makes databases at the second URL that share the tables of the first, whatever their size",
     "Within one bucket, of the backend slatedb; an application may go on at the source. The "
     "source "
     "can't\n"
     "be destroyed as long as a clone needs its tables."},
};
#define SUBCOMMAND_COUNT (sizeof subcommands / sizeof subcommands[0])

/* ----------------------------------------------------------------------- options */

typedef enum option_type {
    TYPE_FLAG,   /* bool */
    TYPE_TEXT,   /* const char * */
    TYPE_BYTES,  /* state_bytes */
    TYPE_TIME,   /* state_time */
    TYPE_NUMBER, /* uint64_t */
    TYPE_RAW,    /* state_output */
    TYPE_HEX,
    TYPE_JSON,
    TYPE_KIND,
    TYPE_PAIR, /* options */
    TYPE_FROM_PAIR
} option_type;

typedef struct option {
    unsigned of; /* subcommands */
    option_type type;
    const char *name;
    size_t offset;
    const char *value;
    const char *help;
} option;

#define AT(member) offsetof(state_request, member)

static const option options[] = {
    {MIGRATE, TYPE_TEXT, "--from", AT(from), "LOCATION", "what is copied"},
    {MIGRATE, TYPE_TEXT, "--to", AT(to), "LOCATION", "where it goes, with the backend in front"},
    {GET | FILTERS | DIFF, TYPE_TEXT, "--cf", AT(family), "NAME",
     "the column family; all: every one. Default: default (diff: all)"},
    {FILTERS, TYPE_BYTES, "--prefix", AT(prefix), "BYTES", "stored keys that begin so"},
    {FILTERS, TYPE_BYTES, "--key", AT(key), "BYTES",
     "rows of this record key: the key itself, KEY|…, its windows, its times"},
    {FILTERS, TYPE_BYTES, "--from", AT(lower), "BYTES", "the first stored key, inclusive"},
    {FILTERS, TYPE_BYTES, "--to", AT(upper), "BYTES", "the last stored key, exclusive"},
    {FILTERS | GET, TYPE_TIME, "--since", AT(since), "TIME",
     "rows whose window starts, whose time or whose expiry is at TIME or later"},
    {FILTERS | GET, TYPE_TIME, "--until", AT(until), "TIME", "… and before TIME"},
    {SCAN | GET | DIFF, TYPE_NUMBER, "--limit", AT(limit), "N", "at most so many rows"},
    {SCAN | GET, TYPE_FLAG, "--reverse", AT(reverse), NULL, "from the last key to the first"},
    {GET | FILTERS | VERIFY | DIFF | INFO, TYPE_KIND, "--as", AT(kind), "KIND",
     "plain, ttl, windowed or timestamped. Default: by what the database holds"},
    {GET | SCAN | DIFF, TYPE_RAW, "--raw", AT(output), NULL, "as stored, without meaning"},
    {GET | SCAN | DIFF, TYPE_HEX, "--hex", AT(output), NULL, "as stored, in hexadecimal"},
    {GET | SCAN | INFO | COUNT | VERIFY, TYPE_JSON, "--json", AT(output), NULL,
     "one JSON object a line"},
    {MIGRATE, TYPE_FLAG, "--keep", AT(keep), NULL,
     "same folder: keep what was there in LOCATION.weir-old"},
    {VERIFY | DUMP | LOAD | MIGRATE, TYPE_FLAG, "--progress", AT(progress), NULL,
     "tell it on stderr; by default if that is a terminal"},
    {LOOKS | LOAD | CLONE, TYPE_PAIR, "--option", 0, "KEY=VALUE", "an option of the backend"},
    {MIGRATE, TYPE_PAIR, "--option", 0, "KEY=VALUE", "an option of the target's backend"},
    {MIGRATE, TYPE_FROM_PAIR, "--from-option", 0, "KEY=VALUE", "an option of the source's backend"},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

static const char *const kind_names[] = {
    [STATE_KIND_AUTO] = "auto",
    [STATE_KIND_PLAIN] = "plain",
    [STATE_KIND_TTL] = "ttl",
    [STATE_KIND_WINDOWED] = "windowed",
    [STATE_KIND_TIMESTAMPED] = "timestamped",
};

const char *state_kind_name(state_kind kind)
{
    return kind_names[kind];
}

/* -------------------------------------------------------------------------- help */

static void summary(FILE *out)
{
    fputs("usage: weir state COMMAND [argument…]\n\n", out);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n           %s\n", subcommands[i].name, subcommands[i].usage,
                subcommands[i].summary);
    fputs("\nLOCATION is a folder (a partition, a store, or all of a state folder) or a URL, with\n"
          "BACKEND: in front if the folder does not say which: state/group, rocksdb:/old/state,\n"
          "slatedb:s3://bucket/path. What it holds is only read, except by load and migrate.\n"
          "weir state COMMAND --help tells the options of one.\n",
          out);
}

static void explain(const subcommand *of, FILE *out)
{
    fprintf(out, "usage: weir state %s %s [option…]\n\n%s\n", of->name, of->usage, of->summary);
    if (of->more != NULL)
        fprintf(out, "%s\n", of->more);
    fputc('\n', out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const option *row = &options[i];
        char left[64];
        if ((row->of & of->bit) == 0)
            continue;
        snprintf(left, sizeof left, "%s%s%s", row->name, row->value != NULL ? " " : "",
                 row->value != NULL ? row->value : "");
        fprintf(out, "  %-24s %s\n", left, row->help);
    }
    if ((of->bit & (FILTERS | GET)) != 0)
        fputs("\nBYTES are text with \\\\ for a backslash and \\xNN for any byte. TIME is in ms, "
              "or a\n"
              "date such as 2026-11-27 or 2026-11-27T10:00:00.000Z, UTC.\n",
              out);
    fputs("\nExit codes: 0 done, 1 failed, not found or different, 2 wrong arguments.\n", out);
}

/* ------------------------------------------------------------------- reading args */

static int misuse(const subcommand *of, const char *format, ...) WEIR_PRINTF(2, 3);

static int misuse(const subcommand *of, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "weir: %s\nTry: weir state %s --help\n", text, of->name);
    return TOOL_USAGE;
}

static int add_pair(const subcommand *of, const option *row, weir_option *pairs, size_t *count,
                    char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return misuse(of, "%s takes KEY=VALUE, not '%s'", row->name, text);
    if (*count == STATE_OPTIONS_MAX)
        return misuse(of, "more than %d of %s", STATE_OPTIONS_MAX, row->name);
    *equals = '\0';
    pairs[(*count)++] = (weir_option){text, equals + 1};
    return TOOL_DONE;
}

static int set_kind(const subcommand *of, state_request *request, const char *text)
{
    for (int kind = STATE_KIND_PLAIN; kind <= STATE_KIND_TIMESTAMPED; kind++)
        if (strcmp(kind_names[kind], text) == 0) {
            request->kind = (state_kind)kind;
            return TOOL_DONE;
        }
    return misuse(of, "--as takes plain, ttl, windowed or timestamped, not '%s'", text);
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *number > 0;
}

static int set_output(const subcommand *of, state_request *request, state_output output)
{
    if (request->output != STATE_READABLE && request->output != output)
        return misuse(of, "one of --raw, --hex and --json");
    request->output = output;
    return TOOL_DONE;
}

static int set(const subcommand *of, const option *row, state_request *request, char *text)
{
    char *member = (char *)request + row->offset;
    switch (row->type) {
    case TYPE_FLAG:
        *(bool *)member = true;
        break;
    case TYPE_TEXT:
        *(const char **)member = text;
        break;
    case TYPE_BYTES:
        free(((state_bytes *)member)->data);
        if (!state_parse_bytes(text, (state_bytes *)member))
            return tool_fail("out of memory");
        break;
    case TYPE_TIME:
        if (!state_parse_time(text, &((state_time *)member)->ms))
            return misuse(of,
                          "%s takes ms since 1970 or a date such as 2026-11-27T10:00:00Z, not "
                          "'%s'",
                          row->name, text);
        ((state_time *)member)->is_set = true;
        break;
    case TYPE_NUMBER:
        if (!parse_number(text, (uint64_t *)member))
            return misuse(of, "%s takes a number from 1 on, not '%s'", row->name, text);
        break;
    case TYPE_RAW:
        return set_output(of, request, STATE_RAW);
    case TYPE_HEX:
        return set_output(of, request, STATE_HEX);
    case TYPE_JSON:
        return set_output(of, request, STATE_JSON);
    case TYPE_KIND:
        return set_kind(of, request, text);
    case TYPE_PAIR:
        return add_pair(of, row, request->options, &request->option_count, text);
    case TYPE_FROM_PAIR:
        return add_pair(of, row, request->from_options, &request->from_option_count, text);
    }
    return TOOL_DONE;
}

static const option *find_option(const subcommand *of, const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if ((options[i].of & of->bit) != 0 && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static bool takes_value(const option *row)
{
    return row->value != NULL;
}

static int read_args(const subcommand *of, state_request *request, int count, char **args)
{
    bool only_operands = false;
    for (int i = 0; i < count; i++) {
        char *arg = args[i];
        if (!only_operands && strcmp(arg, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && arg[0] == '-' && arg[1] != '\0') {
            const option *row = find_option(of, arg);
            if (row == NULL)
                return misuse(of, "weir state %s has no option %s", of->name, arg);
            if (takes_value(row) && i + 1 == count)
                return misuse(of, "%s needs a value", arg);
            int code = set(of, row, request, takes_value(row) ? args[++i] : NULL);
            if (code != TOOL_DONE)
                return code;
        } else if (request->operand_count == of->operands) {
            return misuse(of, "weir state %s does not take '%s'", of->name, arg);
        } else {
            request->operands[request->operand_count++] = arg;
        }
    }
    if (request->operand_count < of->operands)
        return misuse(of, "weir state %s needs %s", of->name, of->usage);
    if (of->bit == MIGRATE && (request->from == NULL || request->to == NULL))
        return misuse(of, "weir state migrate needs --from and --to");
    return TOOL_DONE;
}

static void release(state_request *request)
{
    free(request->prefix.data);
    free(request->key.data);
    free(request->lower.data);
    free(request->upper.data);
}

/* Whole state folders are open at once, and RocksDB keeps each of its files open. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 || strcmp(arg, "help") == 0;
}

static int run(const subcommand *of, int count, char **args)
{
    state_request request = {.command = of->name};
    for (int i = 0; i < count; i++)
        if (strcmp(args[i], "--help") == 0 || strcmp(args[i], "-h") == 0) {
            explain(of, stdout);
            return TOOL_DONE;
        }
    int code = read_args(of, &request, count, args);
    if (code == TOOL_DONE) {
        raise_file_limit();
        code = of->run(&request);
    }
    release(&request);
    /* What stdout could not take (a full disk, say) must not look like success. */
    if (fflush(stdout) != 0 && code == TOOL_DONE)
        code = tool_fail("can't write to stdout: %s", strerror(errno));
    return code;
}

int tool_state(int count, char **args)
{
    if (count == 0) {
        summary(stderr);
        return TOOL_USAGE;
    }
    if (is_help(args[0])) {
        summary(stdout);
        return TOOL_DONE;
    }
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        if (strcmp(subcommands[i].name, args[0]) == 0)
            return run(&subcommands[i], count - 1, args + 1);
    fprintf(stderr, "weir: weir state has no command '%s'\nTry: weir state --help\n", args[0]);
    return TOOL_USAGE;
}
