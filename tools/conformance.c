/*
 * `weir conformance`: runs the kit on a backend and reports.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <kit/kit.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define OPTIONS_MAX 64

typedef struct request {
    kit_config config;
    const char *spec;
    const char *json;
    bool list;
    size_t option_count;
    weir_option options[OPTIONS_MAX + 1];
    kit_level previous;
} request;

static void tell_result(const kit_result *result, void *arg)
{
    request *r = arg;
    kit_write_result(result, r->previous, stdout);
    r->previous = result->check->level;
}

static bool read_number(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static int set_option(request *r, char *pair)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair)
        return tool_misuse("--option takes KEY=VALUE, not '%s'", pair);
    if (r->option_count == OPTIONS_MAX)
        return tool_misuse("more than %d options", OPTIONS_MAX);
    *equals = '\0';
    r->options[r->option_count++] = (weir_option){pair, equals + 1};
    return TOOL_DONE;
}

static int set_level(request *r, const char *name)
{
    kit_level level = kit_level_find(name);
    if (level == KIT_LEVEL_COUNT)
        return tool_misuse("there is no level '%s': core, iteration, families, snapshots, crash, "
                           "concurrency",
                           name);
    r->config.levels |= UINT32_C(1) << level;
    return TOOL_DONE;
}

static int set_check(request *r, char *name)
{
    for (char *at = name; *at != '\0'; at++)
        if (*at == ' ')
            *at = '_';
    for (size_t i = 0; i < kit_check_count(); i++)
        if (strcmp(kit_check_at(i)->name, name) == 0) {
            r->config.only = name;
            return TOOL_DONE;
        }
    return tool_misuse("there is no check '%s': --list shows all", name);
}

static int set(request *r, const char *name, char *value)
{
    uint64_t number = 0;
    if (strcmp(name, "--location") == 0)
        r->config.location = value;
    else if (strcmp(name, "--json") == 0)
        r->json = value;
    else if (strcmp(name, "--level") == 0)
        return set_level(r, value);
    else if (strcmp(name, "--option") == 0)
        return set_option(r, value);
    else if (strcmp(name, "--check") == 0)
        return set_check(r, value);
    else if (strcmp(name, "--seed") == 0 && read_number(value, &number))
        r->config.seed = number;
    else if (strcmp(name, "--timeout") == 0 && read_number(value, &number) && number > 0 &&
             number <= 86400)
        r->config.check_timeout_s = (int)number;
    else
        return tool_misuse("weir conformance does not understand %s %s", name, value);
    return TOOL_DONE;
}

static int read_args(request *r, int count, char **args)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(args[i], "--list") == 0) {
            r->list = true;
        } else if (strncmp(args[i], "--", 2) == 0) {
            if (i + 1 == count)
                return tool_misuse("%s needs a value", args[i]);
            int code = set(r, args[i], args[i + 1]);
            if (code != TOOL_DONE)
                return code;
            i++;
        } else if (r->spec == NULL) {
            r->spec = args[i];
        } else {
            return tool_misuse("one backend at a time: '%s' or '%s'", r->spec, args[i]);
        }
    }
    if (r->spec == NULL && !r->list)
        return tool_misuse("weir conformance needs the name of a backend or the path of a .so");
    return TOOL_DONE;
}

static int list_checks(void)
{
    char needs[256];
    for (int level = 0; level < KIT_LEVEL_COUNT; level++)
        for (size_t i = 0; i < kit_check_count(); i++) {
            const kit_check *check = kit_check_at(i);
            if ((int)check->level != level)
                continue;
            kit_capability_names(check->needs, needs, sizeof needs);
            printf("%-12s %s%s%s%s\n", kit_level_name(check->level), check->name,
                   check->needs != 0 ? " (where claimed: " : "", check->needs != 0 ? needs : "",
                   check->needs != 0 ? ")" : "");
        }
    return TOOL_DONE;
}

static int write_json(const request *r, const kit_report *report)
{
    FILE *out = fopen(r->json, "w");
    if (out == NULL)
        return tool_fail("can't write %s: %s", r->json, strerror(errno));
    kit_write_json(report, out);
    bool is_written = ferror(out) == 0;
    if (fclose(out) != 0 || !is_written)
        return tool_fail("can't write %s: %s", r->json, strerror(errno));
    return TOOL_DONE;
}

int tool_conformance(int count, char **args)
{
    static request r;
    static kit_report report;
    weir_error err;
    r.previous = KIT_LEVEL_COUNT;
    int code = read_args(&r, count, args);
    if (code != TOOL_DONE)
        return code;
    if (r.list)
        return list_checks();
    const weir_backend *backend = tool_find_backend(r.spec);
    if (backend == NULL)
        return TOOL_FAILED;
    r.config.backend = backend;
    r.config.origin = r.spec;
    r.config.options = r.options;
    r.config.each = tell_result;
    r.config.arg = &r;
    report.config = r.config;
    kit_write_head(&report, stdout);
    weir_error_init(&err);
    if (kit_run(&r.config, &report, &err) != WEIR_OK) {
        code = tool_fail("%s", err.message);
        goto done;
    }
    kit_write_sum(&report, stdout);
    if (report.failed > 0)
        code = TOOL_FAILED;
    if (r.json != NULL && write_json(&r, &report) != TOOL_DONE)
        code = TOOL_FAILED;
done:
    kit_report_release(&report);
    return code;
}
