/*
 * See support_harness.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/support_harness.h"

#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- A folder --- */

char *test_folder_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/weir-test-XXXXXX", parent != NULL ? parent : "/tmp") < 0)
        fail_msg("out of memory");
    if (mkdtemp(path) == NULL)
        fail_msg("can't make a folder at %s", path);
    return path;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void test_folder_remove(char *path)
{
    if (path == NULL)
        return;
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

bool test_folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* --- Random numbers --- */

uint64_t test_random_next(test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t test_random_below(test_random *random, uint32_t bound)
{
    return (uint32_t)(test_random_next(random) % bound);
}

uint64_t test_seed(uint64_t fallback)
{
    const char *text = getenv("WEIR_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

/* --- The log --- */

#define LOG_EVENTS 256

static struct {
    pthread_mutex_t lock;
    size_t count;
    struct {
        char event[64];
        char message[1024];
        size_t times;
        int level;
    } events[LOG_EVENTS];
} captured = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t log_find(const char *event)
{
    size_t i = 0;
    while (i < captured.count && strcmp(captured.events[i].event, event) != 0)
        i++;
    return i;
}

static void log_collect(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&captured.lock);
    size_t i = log_find(event);
    if (i == captured.count && i < LOG_EVENTS) {
        captured.count++;
        captured.events[i].times = 0;
        snprintf(captured.events[i].event, sizeof(captured.events[i].event), "%s", event);
    }
    if (i < LOG_EVENTS) {
        captured.events[i].times++;
        captured.events[i].level = (int)level;
        snprintf(captured.events[i].message, sizeof(captured.events[i].message), "%s", message);
    }
    pthread_mutex_unlock(&captured.lock);
}

void test_log_capture(void)
{
    captured.count = 0;
    weir_log_set(log_collect, NULL);
}

void test_log_release(void)
{
    weir_log_set(NULL, NULL);
    captured.count = 0;
}

size_t test_log_count(const char *event)
{
    size_t i = log_find(event);
    return i < captured.count ? captured.events[i].times : 0;
}

const char *test_log_message(const char *event)
{
    size_t i = log_find(event);
    return i < captured.count ? captured.events[i].message : "";
}

int test_log_level(const char *event)
{
    size_t i = log_find(event);
    return i < captured.count ? captured.events[i].level : -1;
}

/* --- A changelog with knobs --- */

typedef struct test_changelog {
    weir_changelog base;
    weir_changelog *inner;
    test_changelog_knobs *knobs;
    int64_t position;
} test_changelog;

static weir_status knob(test_changelog *log, test_changelog_call call, const char *name,
                        weir_error *err)
{
    test_changelog_knobs *knobs = log->knobs;
    int64_t number = ++knobs->calls[call];
    int64_t at = knobs->fail_at[call];
    if (at > 0 && (number == at || (knobs->for_good && number > at)))
        return weir_error_set(err, knobs->status, "%s fails as asked", name);
    return WEIR_OK;
}

static weir_status test_append(weir_changelog *changelog, const weir_changelog_record *record,
                               weir_error *err)
{
    test_changelog *log = (test_changelog *)changelog;
    weir_status status = knob(log, TEST_CHANGELOG_APPEND, "append", err);
    return status != WEIR_OK ? status : log->inner->ops->append(log->inner, record, err);
}

static weir_status test_flush(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                              weir_error *err)
{
    test_changelog *log = (test_changelog *)changelog;
    *last_offset = WEIR_OFFSET_NONE;
    weir_status status = knob(log, TEST_CHANGELOG_FLUSH, "flush", err);
    return status != WEIR_OK ? status
                             : log->inner->ops->flush(log->inner, timeout_ms, last_offset, err);
}

static weir_status test_range(weir_changelog *changelog, int64_t *low, int64_t *high,
                              weir_error *err)
{
    test_changelog *log = (test_changelog *)changelog;
    weir_status status = knob(log, TEST_CHANGELOG_RANGE, "range", err);
    return status != WEIR_OK ? status : log->inner->ops->range(log->inner, low, high, err);
}

static weir_status test_seek(weir_changelog *changelog, int64_t offset, weir_error *err)
{
    test_changelog *log = (test_changelog *)changelog;
    weir_status status = knob(log, TEST_CHANGELOG_SEEK, "seek", err);
    if (status != WEIR_OK)
        return status;
    log->position = offset;
    return log->inner->ops->seek(log->inner, offset, err);
}

static weir_status test_read(weir_changelog *changelog, weir_changelog_record *records, size_t max,
                             int timeout_ms, size_t *count, int64_t *position, weir_error *err)
{
    test_changelog *log = (test_changelog *)changelog;
    test_changelog_knobs *knobs = log->knobs;
    *count = 0;
    *position = log->position;
    weir_status status = knob(log, TEST_CHANGELOG_READ, "read", err);
    if (status != WEIR_OK || knobs->stalled)
        return status;
    if (knobs->before_read != NULL)
        knobs->before_read(knobs->before_read_arg);
    if (knobs->max_per_read > 0 && max > knobs->max_per_read)
        max = knobs->max_per_read;
    status = log->inner->ops->read(log->inner, records, max, timeout_ms, count, position, err);
    log->position = *position;
    return status;
}

static void test_close(weir_changelog *changelog)
{
    test_changelog *log = (test_changelog *)changelog;
    log->inner->ops->close(log->inner);
    free(log);
}

static const weir_changelog_ops test_changelog_ops = {
    .struct_size = sizeof(weir_changelog_ops),
    .append = test_append,
    .flush = test_flush,
    .range = test_range,
    .seek = test_seek,
    .read = test_read,
    .close = test_close,
};

weir_changelog *test_changelog_new(weir_changelog *inner, test_changelog_knobs *knobs)
{
    test_changelog *log = calloc(1, sizeof(*log));
    assert_non_null(log);
    log->base.ops = &test_changelog_ops;
    log->base.name = inner->name;
    log->inner = inner;
    log->knobs = knobs;
    return &log->base;
}

/* --- A store partition --- */

static weir_status open_changelog(const char *store, const char *stream_id, int32_t partition,
                                  weir_changelog **changelog, void *arg, weir_error *err)
{
    harness *h = arg;
    char name[256];
    snprintf(name, sizeof(name), "changelog__test--%s--%s[%d]", stream_id, store, partition);
    *changelog = NULL;
    weir_changelog *inner;
    weir_status status = h->open_log != NULL ? h->open_log(h->open_log_arg, &inner, err)
                                             : weir_memory_topic_open(h->topic, name, &inner, err);
    if (status == WEIR_OK)
        *changelog = h->changelog = test_changelog_new(inner, &h->knobs);
    return status;
}

void harness_init(harness *h, const char *backend, const weir_option *options)
{
    memset(h, 0, sizeof(*h));
    h->backend = backend;
    h->options = options;
    h->folder = test_folder_new();
    h->cache_bytes = 8u << 20;
    h->has_changelog = true;
    weir_store_config_init(&h->store);
    h->store.stream_id = TEST_STREAM;
    h->topic = weir_memory_topic_new();
    assert_non_null(h->topic);
}

void harness_release(harness *h)
{
    harness_close(h);
    weir_memory_topic_free(h->topic);
    test_folder_remove(h->folder);
    free(h->location);
}

weir_status harness_try_open(harness *h, weir_error *err)
{
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = h->location != NULL ? h->location : h->folder;
    options.group_id = "test";
    options.state_backend = h->backend;
    options.state_options = h->options;
    options.cache_bytes = h->cache_bytes;
    options.gap_policy = h->gap_policy;
    options.on_backend_mismatch = h->on_backend_mismatch;
    if (h->has_changelog) {
        options.changelog_open = open_changelog;
        options.changelog_arg = h;
    }
    h->store.changelog = h->has_changelog;
    weir_status status = weir_state_manager_new(&options, &h->manager, err);
    if (status == WEIR_OK)
        status = weir_state_manager_register(h->manager, &h->store, err);
    if (status == WEIR_OK)
        status = weir_state_manager_assign(h->manager, TEST_STREAM, 0, err);
    if (status != WEIR_OK) {
        harness_close(h);
        return status;
    }
    h->partition = weir_state_manager_partition(h->manager, "default", TEST_STREAM, 0);
    assert_non_null(h->partition);
    return WEIR_OK;
}

void harness_open(harness *h)
{
    weir_error err;
    assert_ok(harness_try_open(h, &err), err);
}

void harness_close(harness *h)
{
    weir_state_manager_free(h->manager);
    h->manager = NULL;
    h->partition = NULL;
    h->changelog = NULL;
}

void harness_reopen(harness *h)
{
    harness_close(h);
    harness_open(h);
}

weir_txn *harness_begin(harness *h)
{
    weir_error err;
    weir_txn *txn;
    assert_ok(weir_partition_begin(h->partition, &txn, &err), err);
    return txn;
}

weir_status harness_try_recover(harness *h, int64_t start, weir_recovery_progress *progress,
                                weir_error *err)
{
    weir_topic_offset offset = {.topic = TEST_STREAM, .offset = start};
    memset(progress, 0, sizeof(*progress));
    bool needed;
    weir_status status = weir_partition_recovery_begin(
        h->partition, &offset, start == WEIR_OFFSET_NONE ? 0 : 1, &needed, err);
    bool done = !needed;
    while (status == WEIR_OK && !done)
        status = weir_partition_recovery_step(h->partition, 1000, 5000, &done, progress, err);
    return status;
}

weir_recovery_progress harness_recover(harness *h, int64_t start)
{
    weir_error err;
    weir_recovery_progress progress;
    assert_ok(harness_try_recover(h, start, &progress, &err), err);
    return progress;
}

void harness_rebuild(harness *h)
{
    harness_close(h);
    test_folder_remove(h->folder);
    h->folder = test_folder_new();
    harness_open(h);
    harness_recover(h, WEIR_OFFSET_NONE);
}

weir_status harness_try_commit(harness *h, weir_txn *txn, int64_t processed, weir_error *err)
{
    weir_topic_offset offset = {.topic = TEST_STREAM, .offset = processed};
    int64_t last = WEIR_OFFSET_NONE;
    weir_status status = weir_txn_prepare(txn, &offset, 1, err);
    if (status == WEIR_OK && h->has_changelog)
        status = h->changelog->ops->flush(h->changelog, 1000, &last, err);
    if (status == WEIR_OK)
        status = weir_txn_flush(txn, last, err);
    weir_txn_free(txn);
    return status;
}

void harness_commit(harness *h, weir_txn *txn, int64_t processed)
{
    weir_error err;
    assert_ok(harness_try_commit(h, txn, processed, &err), err);
}

void harness_put(harness *h, const char *key, const char *value, int64_t processed)
{
    weir_error err;
    weir_txn *txn = harness_begin(h);
    weir_slice none = {NULL, 0};
    if (value != NULL)
        assert_ok(weir_txn_set(txn, WEIR_CF_DEFAULT, none, weir_slice_str(key),
                               weir_slice_str(value), &err),
                  err);
    else
        assert_ok(weir_txn_delete(txn, WEIR_CF_DEFAULT, none, weir_slice_str(key), &err), err);
    harness_commit(h, txn, processed);
}

bool harness_holds(harness *h, const char *key, const char *value)
{
    weir_error err;
    weir_txn *txn = harness_begin(h);
    weir_slice none = {NULL, 0};
    weir_slice found;
    weir_status status =
        weir_txn_get(txn, WEIR_CF_DEFAULT, none, weir_slice_str(key), &found, &err);
    bool holds = status == WEIR_NOT_FOUND
                     ? value == NULL
                     : value != NULL && weir_slice_equal(found, weir_slice_str(value));
    weir_txn_free(txn);
    return holds;
}

/* --- A look at everything --- */

typedef struct dump {
    harness *h;
    weir__buffer text;
} dump;

static void dump_bytes(weir__buffer *text, weir_slice bytes)
{
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size; i++) {
        if (data[i] >= 0x20 && data[i] < 0x7f && data[i] != '\\')
            assert_int_equal(weir__buffer_append_byte(text, data[i]), WEIR_OK);
        else
            assert_int_equal(weir__buffer_printf(text, "\\x%02x", data[i]), WEIR_OK);
    }
}

static weir_status dump_family(const char *name, void *arg)
{
    dump *out = arg;
    if (strcmp(name, WEIR__CF_METADATA) == 0)
        return WEIR_OK;
    const weir_backend *backend = out->h->partition->backend;
    weir_backend_db *db = out->h->partition->db;
    weir_error err;
    weir_backend_cf *cf;
    assert_ok(backend->cf_open(db, name, false, &cf, &err), err);
    weir_backend_iter_args args = {.struct_size = sizeof(args)};
    weir_backend_iter *iter;
    assert_ok(backend->iter_open(db, cf, &args, &iter, &err), err);
    weir_slice key;
    weir_slice value;
    while (backend->iter_next(iter, &key, &value, &err) == WEIR_OK) {
        assert_int_equal(weir__buffer_printf(&out->text, "%s/", name), WEIR_OK);
        dump_bytes(&out->text, key);
        assert_int_equal(weir__buffer_append_byte(&out->text, '='), WEIR_OK);
        dump_bytes(&out->text, value);
        assert_int_equal(weir__buffer_append_byte(&out->text, '\n'), WEIR_OK);
    }
    backend->iter_close(iter);
    return WEIR_OK;
}

typedef struct family_names {
    char *names[64];
    size_t count;
} family_names;

static weir_status collect_family(const char *name, void *arg)
{
    family_names *families = arg;
    assert_true(families->count < 64);
    families->names[families->count++] = strdup(name);
    return WEIR_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *harness_dump(harness *h)
{
    dump out = {.h = h};
    family_names families = {.count = 0};
    weir_error err;
    assert_ok(h->partition->backend->cf_list(h->partition->db, collect_family, &families, &err),
              err);
    qsort(families.names, families.count, sizeof(families.names[0]), compare_names);
    for (size_t i = 0; i < families.count; i++) {
        dump_family(families.names[i], &out);
        free(families.names[i]);
    }
    assert_int_equal(weir__buffer_append_byte(&out.text, 0), WEIR_OK);
    return (char *)out.text.data;
}

void harness_append(harness *h, const char *cf, const char *key, const char *value,
                    const char *processed)
{
    weir_error err;
    weir_changelog *changelog;
    assert_ok(weir_memory_topic_open(h->topic, "other", &changelog, &err), err);
    weir_changelog_record record = {
        .cf = cf,
        .key = weir_slice_str(key),
        .is_tombstone = value == NULL,
        .processed_offsets = processed,
        .processed_offsets_size = processed != NULL ? strlen(processed) : 0,
    };
    if (value != NULL)
        record.value = weir_slice_str(value);
    assert_ok(changelog->ops->append(changelog, &record, &err), err);
    changelog->ops->close(changelog);
}
