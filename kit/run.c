/*
 * The runner: each check on a bare backend, in a process and at a location of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "process.h"

#define CHECK_TIMEOUT_S 120

/* ------------------------------------------------------------- levels and checks */

static const char *const level_names[KIT_LEVEL_COUNT] = {
    [KIT_CORE] = "core",           [KIT_ITERATION] = "iteration", [KIT_FAMILIES] = "families",
    [KIT_SNAPSHOTS] = "snapshots", [KIT_CRASH] = "crash",         [KIT_CONCURRENCY] = "concurrency",
};

const char *kit_level_name(kit_level level)
{
    return level_names[level];
}

kit_level kit_level_find(const char *name)
{
    int level = 0;
    while (level < KIT_LEVEL_COUNT && strcmp(level_names[level], name) != 0)
        level++;
    return (kit_level)level;
}

static const kit_check *const tables[] = {kit_core_checks, kit_iteration_checks, kit_family_checks,
                                          kit_crash_checks, kit_concurrency_checks};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

size_t kit_check_count(void)
{
    size_t count = 0;
    while (kit_check_at(count) != NULL)
        count++;
    return count;
}

const kit_check *kit_check_at(size_t index)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        for (const kit_check *check = tables[i]; check->name != NULL; check++)
            if (index-- == 0)
                return check;
    return NULL;
}

/* ------------------------------------------------------------- the bare backend */

static void host_log(weir_log_level level, const char *event, const char *message)
{
    weir_log(level, event, "%s", message);
}

static weir_status host_error(weir_error *err, weir_status status, const char *message)
{
    return weir_error_set(err, status, "%s", message);
}

static const weir_backend_host host = {
    .struct_size = sizeof host,
    .log = host_log,
    .error = host_error,
    .log_level = weir_log_get_level,
};

/* What open() borrows until close(). */
typedef struct bare {
    const weir_option_value *values;
    char label[256];
    char location[KIT_LOCATION_SIZE];
    weir_backend_open_args args;
} bare;

static bool is_url(const char *location)
{
    return strstr(location, "://") != NULL;
}

static void bind_args(kit_subject *c, unsigned flags)
{
    bare *b = c->arg;
    memcpy(b->location, c->location, sizeof b->location);
    snprintf(b->label, sizeof b->label, "backend=%s store=kit partition=0", c->backend->name);
    b->args = (weir_backend_open_args){.struct_size = sizeof b->args,
                                       .host = &host,
                                       .location = b->location,
                                       .label = b->label,
                                       .options = b->values,
                                       .create = (flags & KIT_OPEN_CREATE) != 0,
                                       .read_only = (flags & KIT_OPEN_READ_ONLY) != 0};
}

static weir_status bare_open(kit_subject *c, unsigned flags)
{
    bare *b = c->arg;
    /* The host makes the folder and holds its lock before it opens a backend. */
    if (!is_url(c->location) && mkdir(c->location, 0700) != 0 && errno != EEXIST)
        return weir_error_set(&c->err, WEIR_IO, "can't make %s: %s", c->location, strerror(errno));
    bind_args(c, flags);
    weir_error_init(&c->err);
    c->db = NULL;
    return c->backend->open(&b->args, &c->db, &c->err);
}

static weir_status bare_close(kit_subject *c)
{
    weir_backend_db *db = c->db;
    weir_error_init(&c->err);
    c->db = NULL;
    return db != NULL ? c->backend->close(db, &c->err) : WEIR_OK;
}

static weir_status bare_destroy(kit_subject *c)
{
    bare *b = c->arg;
    bind_args(c, 0);
    weir_error_init(&c->err);
    return c->backend->destroy(&b->args, &c->err);
}

/* ------------------------------------------------------------------- locations */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_folder(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The folder or URL that holds the locations of this run; unique. *made [out]: to be removed. */
static weir_status make_base(const char *given, char *base, size_t size, bool *made,
                             weir_error *err)
{
    const char *folder = given != NULL ? given : getenv("TMPDIR");
    if (folder == NULL || folder[0] == '\0')
        folder = "/tmp";
    *made = false;
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length + 64 > size)
        return weir_error_set(err, WEIR_TOO_LARGE, "the location %s is too long", folder);
    if (is_url(folder)) {
        snprintf(base, size, "%.*s/weir-kit-%lld-%d", (int)length, folder, (long long)time(NULL),
                 (int)getpid());
        return WEIR_OK;
    }
    snprintf(base, size, "%.*s/weir-kit-XXXXXX", (int)length, folder);
    if (mkdtemp(base) == NULL)
        return weir_error_set(err, errno == EACCES ? WEIR_PERMISSION : WEIR_IO,
                              "can't make a folder in %s: %s", folder, strerror(errno));
    *made = true;
    return WEIR_OK;
}

/* ------------------------------------------------------------------- one check */

static bool run_check(kit_subject *c, void *arg)
{
    const kit_check *check = arg;
    if (!check->closed)
        EXPECT(WEIR_OK, c->open(c, KIT_OPEN_CREATE));
    if (!check->run(c))
        return false;
    if (c->db != NULL)
        EXPECT(WEIR_OK, c->close(c));
    return true;
}

static bool clean_up(kit_subject *c, void *arg)
{
    (void)arg;
    return c->destroy(c) == WEIR_OK;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_one(const kit_config *config, const weir_option_value *values, const char *base,
                    const kit_check *check, kit_result *result)
{
    bare *b = calloc(1, sizeof *b);
    kit_subject *c = calloc(1, sizeof *c);
    *result = (kit_result){.check = check, .outcome = KIT_FAILED};
    uint64_t missing = check->needs & ~config->backend->capabilities;
    double start = now();
    if (b == NULL || c == NULL) {
        snprintf(result->note, sizeof result->note, "no memory for the check");
    } else if (missing != 0) {
        char names[256];
        kit_capability_names(missing, names, sizeof names);
        result->outcome = KIT_SKIPPED;
        snprintf(result->note, sizeof result->note, "not claimed: %s", names);
    } else {
        *b = (bare){.values = values};
        *c = (kit_subject){.backend = config->backend,
                           .open = bare_open,
                           .close = bare_close,
                           .destroy = bare_destroy,
                           .arg = b,
                           .seed = config->seed};
        /* Short names: some engines use them for sockets or locks. */
        snprintf(c->location, sizeof c->location, "%s/%.48s", base, check->name);
        bool is_right =
            kit_in_process(c, config->check_timeout_s, run_check, (void *)(uintptr_t)check);
        result->outcome = !is_right ? KIT_FAILED : c->skipped ? KIT_SKIPPED : KIT_PASSED;
        memcpy(result->note, c->note, sizeof result->note);
        if (is_url(base))
            kit_in_process(c, config->check_timeout_s, clean_up, NULL);
    }
    result->seconds = now() - start;
    free(b);
    free(c);
}

/* --------------------------------------------------------------------- the run */

static size_t option_count(const weir_option_spec *specs)
{
    size_t count = 0;
    while (specs != NULL && specs[count].name != NULL)
        count++;
    return count;
}

static bool is_wanted(const kit_config *config, const kit_check *check)
{
    return (config->levels & (UINT32_C(1) << check->level)) != 0 &&
           (config->only == NULL || strcmp(config->only, check->name) == 0);
}

static void count_result(kit_report *report, const kit_result *result)
{
    report->passed += result->outcome == KIT_PASSED ? 1 : 0;
    report->failed += result->outcome == KIT_FAILED ? 1 : 0;
    report->skipped += result->outcome == KIT_SKIPPED ? 1 : 0;
    report->count++;
}

static void run_all(kit_report *report, const weir_option_value *values, const char *base)
{
    const kit_config *config = &report->config;
    for (int level = 0; level < KIT_LEVEL_COUNT; level++) {
        const kit_check *check;
        for (size_t i = 0; (check = kit_check_at(i)) != NULL; i++) {
            if ((int)check->level != level || !is_wanted(config, check))
                continue;
            kit_result *result = &report->results[report->count];
            run_one(config, values, base, check, result);
            count_result(report, result);
            if (config->each != NULL)
                config->each(result, config->arg);
        }
    }
}

weir_status kit_run(const kit_config *config, kit_report *report, weir_error *err)
{
    char base[KIT_LOCATION_SIZE - 64];
    bool made = false;
    const weir_backend *backend = config->backend;
    *report = (kit_report){.config = *config};
    if (report->config.levels == 0)
        report->config.levels = (UINT32_C(1) << KIT_LEVEL_COUNT) - 1;
    if (report->config.seed == 0)
        report->config.seed = (uint64_t)time(NULL) | 1;
    if (report->config.check_timeout_s == 0)
        report->config.check_timeout_s = CHECK_TIMEOUT_S;
    if ((backend->capabilities & WEIR_CAP_DECORATOR) != 0)
        return weir_error_set(err, WEIR_UNSUPPORTED,
                              "'%s' keeps nothing itself, it wraps another backend: there is "
                              "nothing to check",
                              backend->name);
    weir_option_value *values = calloc(option_count(backend->options) + 1, sizeof *values);
    report->results = calloc(kit_check_count() + 1, sizeof *report->results);
    weir_status status = WEIR_NO_MEMORY;
    if (values == NULL || report->results == NULL)
        weir_error_set(err, status, "no memory for the report");
    else
        status = weir_backend_parse_options(backend, config->options, values, err);
    if (status == WEIR_OK)
        status = make_base(config->location, base, sizeof base, &made, err);
    if (status == WEIR_OK)
        run_all(report, values, base);
    if (made)
        remove_folder(base);
    free(values);
    return status;
}

void kit_report_release(kit_report *report)
{
    free(report->results);
    report->results = NULL;
}
