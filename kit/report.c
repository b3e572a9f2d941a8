/*
 * What the kit says: to people, and as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "kit.h"

static const struct {
    uint64_t capability;
    const char *name;
} capability_names[] = {
    {WEIR_CAP_COLUMN_FAMILIES, "column families"},
    {WEIR_CAP_ATOMIC_BATCH, "atomic batch"},
    {WEIR_CAP_BOUNDED_ITERATION, "bounded iteration"},
    {WEIR_CAP_REVERSE_ITERATION, "reverse iteration"},
    {WEIR_CAP_SNAPSHOTS, "snapshots"},
    {WEIR_CAP_DURABLE_ON_WRITE, "durable on write"},
    {WEIR_CAP_OBJECT_STORAGE, "object storage"},
    {WEIR_CAP_CONCURRENT_READERS, "concurrent readers"},
    {WEIR_CAP_PERSISTENT, "persistent"},
    {WEIR_CAP_DECORATOR, "decorator"},
    {WEIR_CAP_READ_BESIDE_WRITER, "read beside a writer"},
};
#define CAPABILITY_COUNT (sizeof capability_names / sizeof capability_names[0])

const char *kit_capability_name(uint64_t capability)
{
    for (size_t i = 0; i < CAPABILITY_COUNT; i++)
        if (capability_names[i].capability == capability)
            return capability_names[i].name;
    return NULL;
}

void kit_capability_names(uint64_t capabilities, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "none");
    for (size_t i = 0; i < CAPABILITY_COUNT && used < size; i++)
        if ((capabilities & capability_names[i].capability) != 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     capability_names[i].name);
}

/* ------------------------------------------------------------------ for people */

static void write_name(const char *name, FILE *out)
{
    for (; *name != '\0'; name++)
        fputc(*name == '_' ? ' ' : *name, out);
}

void kit_write_head(const kit_report *report, FILE *out)
{
    const weir_backend *backend = report->config.backend;
    char names[512];
    kit_capability_names(backend->capabilities, names, sizeof names);
    fprintf(out, "backend %s (%s), %s\nclaims: %s\n", backend->name, backend->version,
            report->config.origin, names);
}

void kit_write_result(const kit_result *result, kit_level previous, FILE *out)
{
    static const char *const words[] = {"passed ", "FAILED ", "skipped"};
    if (result->check->level != previous)
        fprintf(out, "\n%s\n", kit_level_name(result->check->level));
    fprintf(out, "  %s  ", words[result->outcome]);
    write_name(result->check->name, out);
    if (result->outcome == KIT_SKIPPED)
        fprintf(out, " (%s)", result->note);
    else if (result->outcome == KIT_FAILED)
        fprintf(out, "\n             %s", result->note);
    fputc('\n', out);
    fflush(out);
}

void kit_write_sum(const kit_report *report, FILE *out)
{
    fprintf(out, "\n%zu checks: %zu passed, %zu failed, %zu skipped (seed %llu)\n", report->count,
            report->passed, report->failed, report->skipped,
            (unsigned long long)report->config.seed);
}

/* ------------------------------------------------------------------------ JSON */

static void write_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte == '"' || *byte == '\\')
            fprintf(out, "\\%c", *byte);
        else if (*byte < ' ')
            fprintf(out, "\\u%04x", *byte);
        else
            fputc(*byte, out);
    }
    fputc('"', out);
}

static void write_member(const char *name, const char *text, FILE *out)
{
    fprintf(out, "\"%s\": ", name);
    write_string(text, out);
}

static void write_result_json(const kit_result *result, FILE *out)
{
    static const char *const words[] = {"passed", "failed", "skipped"};
    fputs("    {", out);
    write_member("name", result->check->name, out);
    fputs(", ", out);
    write_member("level", kit_level_name(result->check->level), out);
    fputs(", ", out);
    write_member("outcome", words[result->outcome], out);
    fprintf(out, ", \"seconds\": %.3f", result->seconds);
    if (result->outcome != KIT_PASSED) {
        fputs(", ", out);
        write_member("note", result->note, out);
    }
    fputc('}', out);
}

void kit_write_json(const kit_report *report, FILE *out)
{
    const weir_backend *backend = report->config.backend;
    bool first = true;
    fputs("{\n  ", out);
    write_member("weir", weir_version(), out);
    fputs(",\n  \"backend\": {", out);
    write_member("name", backend->name, out);
    fputs(", ", out);
    write_member("version", backend->version, out);
    fputs(", ", out);
    write_member("origin", report->config.origin, out);
    fputs(",\n    \"capabilities\": [", out);
    for (size_t i = 0; i < CAPABILITY_COUNT; i++) {
        if ((backend->capabilities & capability_names[i].capability) == 0)
            continue;
        fputs(first ? "" : ", ", out);
        write_string(capability_names[i].name, out);
        first = false;
    }
    fprintf(out,
            "]},\n  \"seed\": %llu, \"passed\": %zu, \"failed\": %zu, \"skipped\": %zu,\n"
            "  \"checks\": [\n",
            (unsigned long long)report->config.seed, report->passed, report->failed,
            report->skipped);
    for (size_t i = 0; i < report->count; i++) {
        write_result_json(&report->results[i], out);
        fputs(i + 1 < report->count ? ",\n" : "\n", out);
    }
    fputs("  ]\n}\n", out);
}
