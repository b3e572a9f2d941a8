/*
 * A worker process counts source records and is killed with SIGKILL at random moments,
 * again and again on the same folder. With a changelog, recovery gives exactly the state
 * of the committed source offset; without one, every checkpoint that was flushed is there.
 *
 * The test program is its own worker: it runs itself with arguments. What the worker
 * tells (the committed source offset, the flushed records) stands in a mapped file, which
 * outlives it as a broker would.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/endian.h"
#include <weir/window.h>

#include "state/support_harness.h"
#include "support/plugins.h"
#include "support/s3.h"

#define COUNTERS     64
#define MAX_RUN_US   25000
#define START_MS     20000
#define FILE_NAME    "changelog.log"
#define LEDGER_NAME  "ledger"
#define KILL_PERCENT 30 /* of the rounds end while the worker still recovers or opens */

/* What survives the worker. */
typedef struct ledger {
    _Atomic int64_t committed; /* the next source record, as the broker knows it */
    _Atomic int64_t flushed;   /* source records whose checkpoint is complete */
    _Atomic int64_t alive;     /* the worker has begun to process */
} ledger;

/* Small write buffers: flushes happen in the middle of a run. */
static const weir_option wal_on[] = {{"write_buffer_size", "65536"}, {NULL, NULL}};
static const weir_option small_memtables[] = {{"memtable_size", "64KiB"}, {NULL, NULL}};
static const weir_option wal_off[] = {{"wal", "off"}, {"write_buffer_size", "65536"}, {NULL, NULL}};

typedef struct mode {
    const char *name;
    const char *backend;
    const weir_option *options;
    bool has_changelog;
    bool has_windows; /* counts by key and second, seconds that are over expire */
    bool is_remote;   /* on object storage */
    int rounds;       /* 3n + 1: the last is one that is checked */
} mode;

/* --worker takes the number of one. */
static const mode modes[] = {
    {"changelog", "rocksdb", wal_on, true, false, false, 28},
    {"changelog-wal-off", "rocksdb", wal_off, true, false, false, 28},
    {"no-changelog", "rocksdb", wal_on, false, false, false, 28},
    {"no-changelog-wal-off", "rocksdb", wal_off, false, false, false, 28},
    {"windows", "rocksdb", wal_off, true, true, false, 28},
    {"windows-no-changelog", "rocksdb", wal_on, false, true, false, 28},
    {"changelog-lmdb", "lmdb", NULL, true, false, false, 16},
    {"no-changelog-lmdb", "lmdb", NULL, false, false, false, 16},
    {"windows-lmdb", "lmdb", NULL, true, true, false, 13},
    {"changelog-slatedb", "slatedb", small_memtables, true, false, false, 13},
    {"no-changelog-slatedb", "slatedb", small_memtables, false, false, false, 13},
    {"windows-slatedb", "slatedb", small_memtables, true, true, false, 10},
    {"changelog-s3", "slatedb", NULL, true, false, true, 4},
    {"no-changelog-s3", "slatedb", NULL, false, false, true, 4},
};

/* ---------------------------------------------------------------------------
 * A changelog in a file: a topic in memory, filled from the file when it is opened,
 * whose records go to the file at each flush
 * ------------------------------------------------------------------------- */

typedef struct file_log {
    weir_changelog base;
    weir_changelog *inner;
    weir_memory_topic *topic;
    weir__buffer pending;
    int fd;
} file_log;

/* Sizes of key, value and processed offsets; the tombstone; the family; then the bytes. */
#define FRAME_HEAD 26u

static const char *const families[] = {"default", "__latest-timestamps__", "__expiration-index__",
                                       "__global-counter__"};

static uint8_t family_number(const char *name)
{
    uint8_t number = 0;
    while (strcmp(families[number], name) != 0)
        number++;
    return number;
}

static weir_status frame_write(weir__buffer *out, const weir_changelog_record *record)
{
    uint8_t head[FRAME_HEAD];
    weir__put_be64(head, record->key.size);
    weir__put_be64(head + 8, record->value.size);
    weir__put_be64(head + 16, record->processed_offsets_size);
    head[24] = record->is_tombstone;
    head[25] = family_number(record->cf);
    weir_status status = weir__buffer_append(out, head, sizeof(head));
    if (status == WEIR_OK)
        status = weir__buffer_append(out, record->key.data, record->key.size);
    if (status == WEIR_OK)
        status = weir__buffer_append(out, record->value.data, record->value.size);
    if (status == WEIR_OK)
        status =
            weir__buffer_append(out, record->processed_offsets, record->processed_offsets_size);
    return status;
}

/* The size of the frame at data, 0 if the rest of it was never written. */
static size_t frame_read(const uint8_t *data, size_t size, weir_changelog_record *record)
{
    if (size < FRAME_HEAD)
        return 0;
    size_t key_size = weir__get_be64(data);
    size_t value_size = weir__get_be64(data + 8);
    size_t processed_size = weir__get_be64(data + 16);
    size_t total = FRAME_HEAD + key_size + value_size + processed_size;
    if (size < total)
        return 0;
    const uint8_t *bytes = data + FRAME_HEAD;
    memset(record, 0, sizeof(*record));
    record->cf = families[data[25]];
    record->key = weir_slice_of(bytes, key_size);
    record->value = weir_slice_of(bytes + key_size, value_size);
    record->processed_offsets = (const char *)bytes + key_size + value_size;
    record->processed_offsets_size = processed_size;
    record->is_tombstone = data[24] != 0;
    return total;
}

static weir_status file_append(weir_changelog *changelog, const weir_changelog_record *record,
                               weir_error *err)
{
    file_log *log = (file_log *)changelog;
    weir_status status = frame_write(&log->pending, record);
    return status != WEIR_OK ? status : log->inner->ops->append(log->inner, record, err);
}

/* In pieces, so that a kill leaves a part of a checkpoint behind. */
static weir_status file_flush(weir_changelog *changelog, int timeout_ms, int64_t *last_offset,
                              weir_error *err)
{
    file_log *log = (file_log *)changelog;
    for (size_t at = 0; at < log->pending.size;) {
        size_t size = log->pending.size - at < 100 ? log->pending.size - at : 100;
        ssize_t written = write(log->fd, log->pending.data + at, size);
        if (written < 0)
            return weir_error_set(err, WEIR_IO, "write %s: %s", FILE_NAME, strerror(errno));
        at += (size_t)written;
    }
    weir__buffer_clear(&log->pending);
    return log->inner->ops->flush(log->inner, timeout_ms, last_offset, err);
}

static weir_status file_range(weir_changelog *changelog, int64_t *low, int64_t *high,
                              weir_error *err)
{
    file_log *log = (file_log *)changelog;
    return log->inner->ops->range(log->inner, low, high, err);
}

static weir_status file_seek(weir_changelog *changelog, int64_t offset, weir_error *err)
{
    file_log *log = (file_log *)changelog;
    return log->inner->ops->seek(log->inner, offset, err);
}

static weir_status file_read(weir_changelog *changelog, weir_changelog_record *records, size_t max,
                             int timeout_ms, size_t *count, int64_t *position, weir_error *err)
{
    file_log *log = (file_log *)changelog;
    return log->inner->ops->read(log->inner, records, max, timeout_ms, count, position, err);
}

static void file_close(weir_changelog *changelog)
{
    file_log *log = (file_log *)changelog;
    log->inner->ops->close(log->inner);
    weir_memory_topic_free(log->topic);
    weir__buffer_release(&log->pending);
    close(log->fd);
    free(log);
}

static const weir_changelog_ops file_ops = {
    .struct_size = sizeof(weir_changelog_ops),
    .append = file_append,
    .flush = file_flush,
    .range = file_range,
    .seek = file_seek,
    .read = file_read,
    .close = file_close,
};

/* Takes the whole records of the file over and cuts off a half one at its end. */
static void file_load(file_log *log)
{
    off_t size = lseek(log->fd, 0, SEEK_END);
    assert_true(size >= 0);
    uint8_t *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_true(pread(log->fd, data, (size_t)size, 0) == size);
    weir_changelog_record record;
    weir_error err;
    size_t at = 0;
    size_t frame;
    while ((frame = frame_read(data + at, (size_t)size - at, &record)) > 0) {
        assert_ok(log->inner->ops->append(log->inner, &record, &err), err);
        at += frame;
    }
    free(data);
    assert_int_equal(ftruncate(log->fd, (off_t)at), 0);
    assert_true(lseek(log->fd, 0, SEEK_END) >= 0);
}

static weir_status open_file_log(void *arg, weir_changelog **changelog, weir_error *err)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/" FILE_NAME, (const char *)arg);
    file_log *log = calloc(1, sizeof(*log));
    log->base.ops = &file_ops;
    log->base.name = "changelog in a file";
    log->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(log->fd >= 0);
    log->topic = weir_memory_topic_new();
    assert_ok(weir_memory_topic_open(log->topic, "file", &log->inner, err), *err);
    file_load(log);
    *changelog = &log->base;
    return WEIR_OK;
}

/* ---------------------------------------------------------------------------
 * The worker, and what it should come to
 * ------------------------------------------------------------------------- */

static uint32_t counter_of(int64_t record)
{
    test_random random = {.state = (uint64_t)record};
    return test_random_below(&random, COUNTERS);
}

static ledger *map_ledger(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/" LEDGER_NAME, folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(ledger)), 0);
    ledger *mapped = mmap(NULL, sizeof(ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(mapped != MAP_FAILED);
    close(fd);
    return mapped;
}

static void open_partition(harness *h, const char *folder, const mode *m)
{
    memset(h, 0, sizeof(*h));
    h->backend = m->backend;
    h->options = m->options;
    h->folder = strdup(folder);
    if (m->is_remote)
        h->location = strdup(s3_location(m->name));
    h->cache_bytes = 1 << 20;
    h->has_changelog = m->has_changelog;
    weir_store_config_init(&h->store);
    h->store.stream_id = TEST_STREAM;
    h->store.kind = m->has_windows ? WEIR_STORE_WINDOWED : WEIR_STORE_PLAIN;
    h->open_log = open_file_log;
    h->open_log_arg = h->folder;
    harness_open(h);
}

static void close_partition(harness *h)
{
    harness_close(h);
    free(h->folder);
    free(h->location);
}

/* Where processing goes on: the committed offset, or what the state says of itself. */
static int64_t resume(harness *h, const ledger *book, const mode *m)
{
    int64_t next = weir_partition_processed_offset(h->partition, TEST_STREAM) + 1;
    if (!m->has_changelog)
        return next;
    next = atomic_load(&book->committed);
    harness_recover(h, next);
    return next;
}

/* Ten ms from record to record: a window of a second has a hundred. */
#define RECORD_MS 10
#define WINDOW_MS 1000
#define GRACE_MS  500

static int64_t window_of(int64_t record)
{
    return record * RECORD_MS / WINDOW_MS * WINDOW_MS;
}

static int64_t read_count(weir_txn *txn, uint32_t counter, int64_t start)
{
    char key[16];
    weir_slice value;
    weir_error err;
    snprintf(key, sizeof(key), "%u", counter);
    weir_state *view = weir_txn_state(txn, weir_slice_str(key));
    weir_status status = weir_window_get(view, start, start + WINDOW_MS, &value, &err);
    if (status == WEIR_NOT_FOUND)
        return 0;
    assert_ok(status, err);
    return strtoll((const char *)value.data, NULL, 10);
}

static void process_window(weir_txn *txn, int64_t record)
{
    char key[16];
    char value[24];
    weir_windows *windows;
    weir_error err;
    int64_t now = record * RECORD_MS;
    int64_t start = window_of(record);
    int64_t count = read_count(txn, counter_of(record), start);
    snprintf(value, sizeof(value), "%" PRId64, count + 1);
    snprintf(key, sizeof(key), "%u", counter_of(record));
    weir_state *view = weir_txn_state(txn, weir_slice_str(key));
    /* With its NUL, which ends the number for who reads it. */
    weir_slice bytes = weir_slice_of(value, strlen(value) + 1);
    assert_ok(weir_window_update(view, start, start + WINDOW_MS, bytes, now, &err), err);
    assert_ok(weir_window_expire_all(txn, now - GRACE_MS, WINDOW_MS, 0, &windows, &err), err);
    weir_windows_close(windows);
}

static void process(weir_txn *txn, int64_t record)
{
    char key[16];
    int64_t count;
    weir_error err;
    snprintf(key, sizeof(key), "%u", counter_of(record));
    weir_state *view = weir_txn_state(txn, weir_slice_str(key));
    assert_ok(weir_state_get_int(view, "count", 0, &count, &err), err);
    assert_ok(weir_state_set_int(view, "count", count + 1, &err), err);
}

static void checkpoint(harness *h, ledger *book, const mode *m, weir_txn *txn, int64_t next)
{
    weir_error err;
    weir_topic_offset processed = {TEST_STREAM, next - 1};
    int64_t last = WEIR_OFFSET_NONE;
    assert_ok(weir_txn_prepare(txn, &processed, 1, &err), err);
    if (m->has_changelog) {
        assert_ok(h->changelog->ops->flush(h->changelog, 1000, &last, &err), err);
        atomic_store(&book->committed, next);
    }
    assert_ok(weir_txn_flush(txn, last, &err), err);
    atomic_store(&book->flushed, next);
    weir_txn_free(txn);
}

static _Noreturn void work(const char *folder, const mode *m)
{
    harness h;
    ledger *book = map_ledger(folder);
    test_random random = {.state = (uint64_t)getpid()};
    weir_log_set_level(WEIR_LOG_ERROR);
    open_partition(&h, folder, m);
    int64_t next = resume(&h, book, m);
    atomic_store(&book->alive, 1);
    for (;;) {
        weir_txn *txn = harness_begin(&h);
        for (uint32_t i = 1 + test_random_below(&random, 100); i > 0; i--)
            m->has_windows ? process_window(txn, next++) : process(txn, next++);
        checkpoint(&h, book, m, txn, next);
    }
}

/* ---------------------------------------------------------------------------
 * The test
 * ------------------------------------------------------------------------- */

static pid_t start_worker(const char *folder, const mode *m)
{
    char number[8];
    snprintf(number, sizeof(number), "%d", (int)(m - modes));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_crash", "--worker", folder, number, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Lets the worker run for a random while and kills it; the last one not before some checkpoint has
 * been completed, by whom ever. */
static void run_and_kill(const char *folder, const mode *m, ledger *book, bool is_last,
                         test_random *random)
{
    atomic_store(&book->alive, 0);
    pid_t pid = start_worker(folder, m);
    bool wait_for_work = test_random_below(random, 100) >= KILL_PERCENT || is_last;
    int64_t deadline = weir__now_ms() + START_MS;
    while (wait_for_work &&
           (atomic_load(&book->alive) == 0 || (is_last && atomic_load(&book->flushed) == 0))) {
        int exit_status;
        if (waitpid(pid, &exit_status, WNOHANG) != 0)
            fail_msg("the worker ended by itself: %d", exit_status);
        assert_true(weir__now_ms() < deadline);
        usleep(500);
    }
    usleep(test_random_below(random, MAX_RUN_US));
    kill(pid, SIGKILL);
    int exit_status;
    assert_int_equal(waitpid(pid, &exit_status, 0), pid);
    if (!WIFSIGNALED(exit_status))
        fail_msg("the worker ended by itself: %d", exit_status);
}

static void check_counters(harness *h, int64_t records)
{
    int64_t expected[COUNTERS] = {0};
    weir_error err;
    for (int64_t i = 0; i < records; i++)
        expected[counter_of(i)]++;
    weir_txn *txn = harness_begin(h);
    for (uint32_t i = 0; i < COUNTERS; i++) {
        char key[16];
        int64_t count;
        snprintf(key, sizeof(key), "%u", i);
        weir_state *view = weir_txn_state(txn, weir_slice_str(key));
        assert_ok(weir_state_get_int(view, "count", 0, &count, &err), err);
        assert_int_equal(count, expected[i]);
    }
    weir_txn_free(txn);
}

/* The windows that are not over hold what they should, and the index has them and no others. */
static void check_windows(harness *h, int64_t records)
{
    weir_windows *windows;
    weir_window window;
    weir_error err;
    size_t expected = 0;
    weir_txn *txn = harness_begin(h);
    int64_t last = (records - 1) * RECORD_MS;
    for (int64_t start = 0; start <= window_of(records - 1); start += WINDOW_MS) {
        int64_t counts[COUNTERS] = {0};
        for (int64_t i = start / RECORD_MS; i < (start + WINDOW_MS) / RECORD_MS && i < records; i++)
            counts[counter_of(i)]++;
        bool is_over = start + WINDOW_MS <= last - GRACE_MS;
        for (uint32_t i = 0; i < COUNTERS; i++) {
            assert_int_equal(read_count(txn, i, start), is_over ? 0 : counts[i]);
            expected += !is_over && counts[i] > 0;
        }
    }
    assert_ok(weir_window_expire_all(txn, INT64_MAX - 1, WINDOW_MS, 0, &windows, &err), err);
    while (weir_windows_next(windows, &window, &err) == WEIR_OK)
        expected--;
    weir_windows_close(windows);
    assert_int_equal(expected, 0);
    weir_txn_free(txn);
}

static void run_mode(const mode *m)
{
    char *folder = test_folder_new();
    ledger *book = map_ledger(folder);
    test_random random = {.state = test_seed((uint64_t)weir__wall_ms())};
    print_message("%s: seed %" PRIu64 "\n", m->name, random.state);
    test_log_capture();
    int64_t before = 0;
    for (int i = 0; i < m->rounds; i++) {
        harness h;
        run_and_kill(folder, m, book, i == m->rounds - 1, &random);
        if (i % 3 != 0)
            continue; /* the next worker takes over what this one left */
        open_partition(&h, folder, m);
        int64_t records = resume(&h, book, m);
        assert_true(records >= atomic_load(&book->flushed));
        assert_true(records >= before);
        if (records > 0)
            m->has_windows ? check_windows(&h, records) : check_counters(&h, records);
        close_partition(&h);
        before = records;
    }
    assert_true(before > 0);
    print_message("%s: %" PRId64 " source records counted\n", m->name, before);
    test_log_release();
    munmap(book, sizeof(*book));
    test_folder_remove(folder);
}

static void test_kills_lose_nothing(void **state)
{
    run_mode(*state);
}

/* Whether a mode can run here; a server for object storage is started when it is needed. */
static bool is_possible(const mode *m)
{
    if (strcmp(m->backend, "rocksdb") != 0 && !test_plugin_is_built(m->backend))
        return false;
    static int server = -1;
    if (m->is_remote && server < 0)
        server = s3_start();
    return !m->is_remote || server == 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--worker") == 0)
        work(argv[2], &modes[atoi(argv[3])]);
    struct CMUnitTest tests[sizeof(modes) / sizeof(modes[0])];
    size_t count = 0;
    bool has_server = false;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (!is_possible(&modes[i]))
            continue;
        has_server = has_server || modes[i].is_remote;
        tests[count++] = (struct CMUnitTest){modes[i].name, test_kills_lose_nothing, NULL, NULL,
                                             (void *)(uintptr_t)&modes[i]};
    }
    int failed = _cmocka_run_group_tests("kills lose nothing", tests, count, NULL, NULL);
    if (has_server)
        s3_stop();
    return failed;
}
