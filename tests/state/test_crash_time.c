/*
 * Workers with timestamped values, and with values that expire, are killed with SIGKILL at
 * random moments, again and again on the same folder. Each finds exactly what the records up to
 * the stored offset make, the index of expiries included, and goes on from there. The first
 * records have no TTL: so workers also die while old values get their stamps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
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
#include "state/support_harness.h"
#include "state/timestamped.h"

#define ROUNDS     10
#define KEYS       40
#define CHECKPOINT 37
#define OLD        400 /* records before the first TTL */
#define START      INT64_C(1700000000000)
#define START_MS   20000

static const weir_option wal_on[] = {{"write_buffer_size", "65536"}, {NULL, NULL}};
static const weir_option wal_off[] = {{"wal", "off"}, {"write_buffer_size", "65536"}, {NULL, NULL}};

/* --- The records, and what they make --- */

typedef struct record {
    char key[8];
    int64_t time;
    int64_t ttl; /* 0: none */
    char value[24];
} record;

static record record_at(int64_t number)
{
    test_random random = {.state = (uint64_t)number};
    record made = {.time = START + number * 10};
    snprintf(made.key, sizeof made.key, "k%02u", test_random_below(&random, KEYS));
    snprintf(made.value, sizeof made.value, "%" PRId64, number);
    if (number >= OLD && test_random_below(&random, 3) > 0)
        made.ttl = 1 + test_random_below(&random, 8000);
    else
        made.time -= test_random_below(&random, 300);
    return made;
}

/* The last record of a key up to `last`, by number (plain) or by time; −1: none. */
static int64_t find_last(const char *key, int64_t last, bool by_time)
{
    int64_t found = -1;
    for (int64_t i = 0; i <= last; i++) {
        record one = record_at(i);
        if (strcmp(one.key, key) == 0 &&
            (!by_time || found < 0 || one.time >= record_at(found).time))
            found = i;
    }
    return found;
}

/* --- The worker --- */

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "worker: %s\n", what);
    _exit(3);
}

static int64_t clock_after(int64_t last)
{
    int64_t clock = -1;
    for (int64_t i = last; i >= 0 && i > last - 50; i--) {
        int64_t time = record_at(i).time;
        clock = time > clock ? time : clock;
    }
    return clock;
}

static void check_state(harness *h, int64_t last)
{
    weir_error err;
    bool is_plain = h->store.kind == WEIR_STORE_PLAIN;
    weir_txn *txn = harness_begin(h);
    int64_t clock = clock_after(last);
    weir_txn_set_event_time(txn, clock);
    for (int i = 0; i < KEYS; i++) {
        char key[8];
        weir_slice value;
        snprintf(key, sizeof key, "k%02d", i);
        int64_t number = find_last(key, last, !is_plain);
        record one = record_at(number < 0 ? 0 : number);
        weir_state *view = weir_txn_state(txn, weir_slice_str(key));
        weir_status status = is_plain
                                 ? weir_state_get_bytes(view, "v", &value, &err)
                                 : weir_timestamped_get_latest(view, INT64_MAX, NULL, &value, &err);
        bool is_there = number >= 0 && (!is_plain || one.ttl == 0 || one.time + one.ttl > clock);
        require(status == (is_there ? WEIR_OK : WEIR_NOT_FOUND), "a value too many or too few");
        require(!is_there || weir_slice_equal(value, weir_slice_str(one.value)), "another value");
    }
    weir_txn_free(txn);
}

/* Each entry of the index belongs to a value, and there are as many as values that expire. */
static void check_index(harness *h)
{
    char *dump = harness_dump(h);
    size_t entries = 0;
    size_t values = 0;
    for (const char *line = dump; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "__ttl_index__/", 14) == 0)
            entries++;
        else if (strncmp(line, "default/", 8) == 0 && strstr(line, "=\\x00\\x00\\x01\\x8b"))
            values += strstr(line, "=\\x00\\x00\\x01\\x8b") < strchr(line, '\n');
    }
    free(dump);
    require(entries == values, "the index does not match the values");
}

static void apply(harness *h, weir_txn *txn, const record *one)
{
    weir_error err;
    weir_slice value = weir_slice_str(one->value);
    weir_txn_set_event_time(txn, one->time);
    weir_state *view = weir_txn_state(txn, weir_slice_str(one->key));
    if (h->store.kind == WEIR_STORE_TIMESTAMPED) {
        require(weir_timestamped_set(view, one->time, value, &err) == WEIR_OK, err.message);
        return;
    }
    if (one->ttl > 0)
        require(weir_state_expire_after(view, one->ttl, &err) == WEIR_OK, err.message);
    require(weir_state_set_bytes(view, "v", value, &err) == WEIR_OK, err.message);
}

/* Runs until it is killed, or only checks what there is. */
static _Noreturn void work(harness *h, _Atomic int64_t *checkpoints, bool goes_on)
{
    weir_error err;
    require(harness_try_open(h, &err) == WEIR_OK, err.message);
    h->partition->ttl.step_keys = 2;
    int64_t last = weir_partition_processed_offset(h->partition, TEST_STREAM);
    check_state(h, last);
    check_index(h);
    if (!goes_on) {
        harness_close(h);
        _exit(0);
    }
    for (;;) {
        weir_txn *txn = harness_begin(h);
        for (int i = 0; i < CHECKPOINT; i++) {
            record one = record_at(++last);
            apply(h, txn, &one);
        }
        require(harness_try_commit(h, txn, last, &err) == WEIR_OK, err.message);
        atomic_fetch_add(checkpoints, 1);
    }
}

/* --- The rounds --- */

static void run(weir_store_kind kind, const weir_option *options)
{
    harness h;
    test_random random = {.state = test_seed((uint64_t)weir__wall_ms())};
    _Atomic int64_t *checkpoints =
        mmap(NULL, sizeof *checkpoints, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(checkpoints != MAP_FAILED);
    harness_init(&h, "rocksdb", options);
    h.has_changelog = false;
    h.store.kind = kind;
    h.store.grace_ms = 1000;
    print_message("seed %" PRIu64 "\n", random.state);
    for (int round = 0; round < ROUNDS; round++) {
        bool goes_on = round < ROUNDS - 1;
        int64_t until = *checkpoints + test_random_below(&random, 12);
        fflush(NULL);
        pid_t worker = fork();
        assert_true(worker >= 0);
        if (worker == 0)
            work(&h, checkpoints, goes_on);
        int status = 0;
        if (goes_on) {
            int64_t deadline = weir__now_ms() + START_MS;
            while (*checkpoints < until && weir__now_ms() < deadline &&
                   waitpid(worker, &status, WNOHANG) == 0)
                usleep(200);
            usleep(test_random_below(&random, 3000));
            kill(worker, SIGKILL);
        }
        while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
            fail_msg("round %d: the worker found something wrong", round);
    }
    assert_true(*checkpoints > 0);
    munmap((void *)checkpoints, sizeof *checkpoints);
    harness_release(&h);
}

static void test_values_that_expire_survive_kills(void **state)
{
    (void)state;
    run(WEIR_STORE_PLAIN, wal_on);
}

static void test_values_that_expire_survive_kills_without_a_log(void **state)
{
    (void)state;
    run(WEIR_STORE_PLAIN, wal_off);
}

static void test_timestamped_values_survive_kills(void **state)
{
    (void)state;
    run(WEIR_STORE_TIMESTAMPED, wal_on);
}

static void test_timestamped_values_survive_kills_without_a_log(void **state)
{
    (void)state;
    run(WEIR_STORE_TIMESTAMPED, wal_off);
}

int main(void)
{
    weir_log_set_level(WEIR_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_that_expire_survive_kills),
        cmocka_unit_test(test_values_that_expire_survive_kills_without_a_log),
        cmocka_unit_test(test_timestamped_values_survive_kills),
        cmocka_unit_test(test_timestamped_values_survive_kills_without_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
