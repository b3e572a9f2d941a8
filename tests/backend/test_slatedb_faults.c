/*
 * The plugin slatedb on object storage that misbehaves, and a writer that sleeps through a
 * takeover: nothing that was told to be written is lost, and nothing of a fenced writer is seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conformance.h"
#include "support/s3.h"
#include "support_fixture.h"
#include "support_slatedb.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FENCING_ROUNDS 6
#else
#define FENCING_ROUNDS 20
#endif
#define KEYS    200
#define BATCHES 30
#define WAIT_MS 20000

static unsigned seed;

static unsigned below(unsigned bound)
{
    return (unsigned)rand_r(&seed) % bound;
}

/* Says why it can't be closed. */
static void close_it(weir__database *database)
{
    weir_error err;
    weir_error_init(&err);
    if (weir__database_close(database, &err) != WEIR_OK)
        fail_msg("close: %s", err.message);
}

static int stop_disturbing(void **state)
{
    (void)state;
    s3_calm();
    return 0;
}

/* ------------------------------------------------------- requests that fail, are late or lost */

static void assert_holds(weir__database *database, const unsigned model[KEYS])
{
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        char value[32];
        snprintf(key, sizeof key, "key-%03d", i);
        snprintf(value, sizeof value, "%u", model[i]);
        const char *found = fixture_get(database, key);
        if (model[i] == 0)
            assert_null(found);
        else
            assert_string_equal(found, value);
    }
}

static void write_some(weir__database *database, unsigned model[KEYS], unsigned *changes)
{
    char keys[20][32];
    char values[20][32];
    weir_backend_op ops[20];
    weir_backend_cf *cf;
    weir_error err;
    const weir_backend *backend = weir__database_backend(database);
    weir_backend_db *db = weir__database_handle(database);
    assert_int_equal(backend->cf_open(db, WEIR_BACKEND_DEFAULT_CF, true, &cf, NULL), WEIR_OK);
    for (int i = 0; i < 20; i++) {
        unsigned key = below(KEYS);
        model[key] = ++*changes;
        snprintf(keys[i], sizeof keys[i], "key-%03u", key);
        snprintf(values[i], sizeof values[i], "%u", model[key]);
        ops[i] = (weir_backend_op){.kind = WEIR_OP_PUT,
                                   .cf = cf,
                                   .key = weir_slice_str(keys[i]),
                                   .value = weir_slice_str(values[i])};
    }
    weir_error_init(&err);
    if (backend->write(db, ops, 20, WEIR_WRITE_SYNC, &err) != WEIR_OK)
        fail_msg("batch: %s", err.message);
}

static void test_requests_that_fail_are_late_or_lost_lose_nothing(void **state)
{
    (void)state;
    static unsigned model[KEYS];
    unsigned changes = 0;
    const char *location = s3_location("disturbed/0");
    assert_true(s3_disturb(seed, 15));
    weir__database *database = fixture_open("slatedb", location, NULL);
    for (int batch = 0; batch < BATCHES; batch++) {
        write_some(database, model, &changes);
        if (batch % 15 == 14) {
            close_it(database);
            database = fixture_open("slatedb", location, NULL);
            assert_holds(database, model);
        }
    }
    close_it(database);
    s3_calm();
    database = fixture_open("slatedb", location, NULL);
    assert_holds(database, model);
    fixture_close(database);
}

static char kit_location[64];

static weir_status reopen(conformance *c)
{
    weir__database **database = c->arg;
    close_it(*database);
    *database = fixture_open("slatedb", kit_location, NULL);
    c->backend = weir__database_backend(*database);
    c->db = weir__database_handle(*database);
    return WEIR_OK;
}

/* Every eighth: each of them opens a database of its own. */
static void test_the_checks_of_the_kit_hold_over_such_requests(void **state)
{
    (void)state;
    assert_true(s3_disturb(seed, 8));
    for (size_t i = below(8); i < kit_check_count(); i += 8) {
        snprintf(kit_location, sizeof kit_location, "s3://weir/disturbed/kit/%zu", i);
        weir__database *database = fixture_open("slatedb", kit_location, NULL);
        conformance c = {.backend = weir__database_backend(database),
                         .db = weir__database_handle(database),
                         .reopen = reopen,
                         .arg = &database,
                         .seed = seed};
        bool is_right = conformance_run(kit_check_at(i), &c);
        close_it(database);
        if (!is_right)
            fail_msg("%s: %s", kit_check_at(i)->name, c.failure);
    }
}

/* ------------------------------------------------------------- a writer that sleeps too long */

/* What the older writer tells, in memory that both share. */
typedef struct ledger {
    _Atomic int written; /* so many of its writes were told to be done */
    _Atomic int tried;
    _Atomic int refused_with; /* the status of the first that was not */
} ledger;

static const char *key_of(int round, int i)
{
    static char key[64];
    snprintf(key, sizeof key, "older-%d-%06d", round, i);
    return key;
}

/* Writes until it is refused, and then some more. */
static int be_the_older_writer(const char *location, int round, int ledger_fd)
{
    ledger *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, ledger_fd, 0);
    weir__database *database = fixture_open("slatedb", location, NULL);
    int i = 0;
    weir_status status;
    while ((status = fixture_put(database, key_of(round, i), "older", NULL)) == WEIR_OK) {
        atomic_store(&told->written, ++i);
        atomic_store(&told->tried, i + 1);
    }
    atomic_store(&told->refused_with, status);
    for (int more = 0; more < 3; more++)
        if (fixture_put(database, key_of(round, ++i), "older", NULL) == WEIR_OK)
            return 1;
    atomic_store(&told->tried, i + 1);
    return weir__database_close(database, NULL) == WEIR_FENCED ? 0 : 2;
}

static pid_t start_older(const char *location, int round, int ledger_fd)
{
    char numbers[2][16];
    snprintf(numbers[0], sizeof numbers[0], "%d", round);
    snprintf(numbers[1], sizeof numbers[1], "%d", ledger_fd);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "older", location, numbers[0], numbers[1], (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void wait_for_writes(const ledger *told, int count)
{
    int64_t deadline = weir__now_ms() + WAIT_MS;
    while (atomic_load(&told->written) < count) {
        assert_true(weir__now_ms() < deadline);
        usleep(500);
    }
}

static int count_visible(weir__database *database, int round)
{
    int count = 0;
    while (fixture_get(database, key_of(round, count)) != NULL)
        count++;
    return count;
}

static void take_over(const char *location, int round, ledger *told, int ledger_fd)
{
    int status;
    memset(told, 0, sizeof *told);
    pid_t older = start_older(location, round, ledger_fd);
    wait_for_writes(told, 2 + (int)below(4));
    usleep(below(8000)); /* anywhere in a write */
    assert_int_equal(kill(older, SIGSTOP), 0);
    assert_int_equal(waitpid(older, &status, WUNTRACED), older);
    assert_true(WIFSTOPPED(status));
    int written = atomic_load(&told->written);
    weir__database *newer = fixture_open("slatedb", location, NULL);
    assert_int_equal(fixture_put(newer, "by", "newer", NULL), WEIR_OK);
    int visible = count_visible(newer, round);
    assert_in_range(visible, written, written + 1); /* one may have been on its way */
    assert_int_equal(kill(older, SIGCONT), 0);
    assert_int_equal(waitpid(older, &status, 0), older);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(atomic_load(&told->refused_with), WEIR_FENCED);
    assert_int_equal(count_visible(newer, round), visible);
    for (int i = visible; i < atomic_load(&told->tried); i++)
        assert_null(fixture_get(newer, key_of(round, i)));
    fixture_close(newer);
    newer = fixture_open("slatedb", location, NULL);
    for (int i = visible; i < atomic_load(&told->tried); i++)
        assert_null(fixture_get(newer, key_of(round, i)));
    assert_string_equal(fixture_get(newer, "by"), "newer");
    fixture_close(newer);
}

static void test_a_writer_that_sleeps_through_a_takeover_is_fenced(void **state)
{
    (void)state;
    const char *location = s3_location("slept/0");
    int fd = memfd_create("ledger", 0);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(ledger)), 0);
    ledger *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(told != MAP_FAILED);
    for (int round = 0; round < FENCING_ROUNDS; round++)
        take_over(location, round, told, fd);
    munmap(told, sizeof *told);
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_requests_that_fail_are_late_or_lost_lose_nothing,
                                  stop_disturbing),
        cmocka_unit_test_teardown(test_the_checks_of_the_kit_hold_over_such_requests,
                                  stop_disturbing),
        cmocka_unit_test(test_a_writer_that_sleeps_through_a_takeover_is_fenced),
    };
    weir_log_set_level(WEIR_LOG_ERROR);
    if (!slatedb_prepare())
        return SKIPPED;
    if (argc == 4)
        return be_the_older_writer(argv[1], atoi(argv[2]), atoi(argv[3]));
    int code = s3_start();
    if (code != 0)
        return code;
    const char *given = getenv("WEIR_TEST_SEED");
    seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (WEIR_TEST_SEED sets it)\n", seed);
    int failed = cmocka_run_group_tests_name("slatedb faults", tests, NULL, NULL);
    s3_stop();
    return failed;
}
