/*
 * Checks of crashes: a process that writes batches is killed with SIGKILL inside its writes;
 * what a new process finds must be whole batches, none of them missing before the last.
 *
 * The process of the check opens no database itself: an engine with threads of its own does
 * not survive fork. One process writes, another one looks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "process.h"

#define BATCH_KEYS   96
#define VALUE_SIZE   120
#define FAMILY_COUNT 3
#define FLUSH_EVERY  4

static const char *const family_names[FAMILY_COUNT] = {WEIR_BACKEND_DEFAULT_CF, "one", "two"};

/* What the processes of a check know of each other. */
typedef struct crash {
    uint32_t write_flags;
    bool flushes;
    uint64_t found;            /* the last batch that the last look found */
    _Atomic uint64_t answered; /* the last batch whose write returned */
    _Atomic uint64_t flushed;  /* the last batch before a flush that returned */
} crash;

static weir_slice number_text(char *out, size_t size, uint64_t number)
{
    /* Of one size, so that values can be compared whole. */
    int used = snprintf(out, size, "%0*llu", VALUE_SIZE, (unsigned long long)number);
    return weir_slice_of(out, (size_t)used);
}

static weir_slice part_key(char *out, size_t size, int i)
{
    return weir_slice_of(out, (size_t)snprintf(out, size, "part-%03d", i));
}

static weir_slice trace_key(char *out, size_t size, uint64_t batch)
{
    return weir_slice_of(out,
                         (size_t)snprintf(out, size, "batch-%08llu", (unsigned long long)batch));
}

static bool families_of(kit_subject *c, weir_backend_cf *cfs[FAMILY_COUNT])
{
    for (int i = 0; i < FAMILY_COUNT; i++) {
        cfs[i] = family(c, family_names[i]);
        MUST(cfs[i] != NULL);
    }
    return true;
}

/* Batch n sets every part to n, in all families, and leaves a trace of its own. */
static bool write_batch(kit_subject *c, weir_backend_cf *const cfs[FAMILY_COUNT], uint64_t n,
                        uint32_t flags)
{
    char keys[BATCH_KEYS][16];
    char trace[32];
    char text[VALUE_SIZE + 1];
    weir_backend_op ops[BATCH_KEYS + 1];
    weir_slice value = number_text(text, sizeof text, n);
    for (int i = 0; i < BATCH_KEYS; i++)
        ops[i] = put_op(cfs[i % FAMILY_COUNT], part_key(keys[i], sizeof keys[i], i), value);
    ops[BATCH_KEYS] = put_op(cfs[0], trace_key(trace, sizeof trace, n), value);
    weir_error_init(&c->err);
    EXPECT(WEIR_OK, c->backend->write(c->db, ops, BATCH_KEYS + 1, flags, &c->err));
    return true;
}

/* Writes until it is killed; a byte in the pipe for each batch. */
static void write_without_end(kit_subject *c, crash *k, int fd)
{
    weir_backend_cf *cfs[FAMILY_COUNT];
    if (c->open(c, KIT_OPEN_CREATE) != WEIR_OK || !families_of(c, cfs))
        _exit(2);
    for (uint64_t n = k->found + 1;; n++) {
        if (!write_batch(c, cfs, n, k->write_flags))
            _exit(3);
        atomic_store(&k->answered, n);
        if (k->flushes && n % FLUSH_EVERY == 0) {
            if (c->backend->flush(c->db, NULL) != WEIR_OK)
                _exit(4);
            atomic_store(&k->flushed, n);
        }
        if (write(fd, "", 1) != 1)
            _exit(5);
    }
}

static bool look_at_parts(kit_subject *c, weir_backend_cf *const cfs[FAMILY_COUNT], uint64_t n)
{
    char key[16];
    char text[VALUE_SIZE + 1];
    weir_slice value = number_text(text, sizeof text, n);
    for (int i = 0; i < BATCH_KEYS; i++) {
        if (!holds_bytes(c, cfs[i % FAMILY_COUNT], NULL, part_key(key, sizeof key, i),
                         n > 0 ? &value : NULL)) {
            char seen[KIT_NOTE_SIZE];
            snprintf(seen, sizeof seen, "%s", c->note);
            snprintf(c->note, sizeof c->note,
                     "a batch was applied in part: batch %llu is there, and %.800s",
                     (unsigned long long)n, seen);
            return false;
        }
    }
    return true;
}

/* Runs in a process of its own: finds the last batch and checks all of it and those before. */
static bool look(kit_subject *c, void *arg)
{
    crash *k = arg;
    weir_backend_cf *cfs[FAMILY_COUNT];
    uint64_t answered = atomic_load(&k->answered);
    uint64_t last = 0;
    char key[32];
    EXPECT(WEIR_OK, c->open(c, KIT_OPEN_CREATE));
    MUST(families_of(c, cfs));
    for (uint64_t n = answered + 1; n > 0 && last == 0; n--) {
        weir_backend_value value;
        if (c->backend->get(c->db, cfs[0], NULL, trace_key(key, sizeof key, n), &value, NULL) !=
            WEIR_OK)
            continue;
        c->backend->value_release(c->db, &value);
        last = n;
    }
    MUST(look_at_parts(c, cfs, last));
    for (uint64_t n = 1; n <= last; n++) {
        char text[VALUE_SIZE + 1];
        weir_slice value = number_text(text, sizeof text, n);
        MUST(holds_bytes(c, cfs[0], NULL, trace_key(key, sizeof key, n), &value));
    }
    bool is_synced = (k->write_flags & WEIR_WRITE_SYNC) != 0;
    uint64_t least = is_synced ? answered : atomic_load(&k->flushed);
    if (last < least)
        return kit_fail(c, "expected batch %llu, %s before the kill; the last one seen is %llu",
                        (unsigned long long)least, is_synced ? "written with SYNC" : "flushed",
                        (unsigned long long)last);
    k->found = last;
    EXPECT(WEIR_OK, c->close(c));
    return true;
}

/* Lets a process write `batches`, and a random moment more, and kills it. */
static bool write_and_kill(kit_subject *c, crash *k, int batches, uint64_t *random)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = kit_fork(c);
    if (pid == 0) {
        close(ends[0]);
        write_without_end(c, k, ends[1]);
    }
    close(ends[1]);
    char byte;
    int done = 0;
    while (pid > 0 && done < batches && read(ends[0], &byte, 1) == 1)
        done++;
    struct timespec moment = {0, (long)(random_next(random) % 1500000)};
    nanosleep(&moment, NULL);
    if (pid > 0) {
        kill(pid, SIGKILL);
        kit_wait(pid);
    }
    close(ends[0]);
    if (done < batches)
        return kit_fail(c,
                        "expected a process that writes until it is killed; seen: it ended "
                        "after %d batches",
                        done);
    return true;
}

static bool rounds(kit_subject *c, int count, bool flushes, uint32_t flags)
{
    bool is_right = false;
    uint64_t random = c->seed;
    crash *k = kit_shared_new(sizeof *k);
    CHECK(k != NULL);
    k->flushes = flushes;
    k->write_flags = flags;
    for (int i = 0; i < count; i++) {
        int batches = (int)(random_next(&random) % 8) + (flushes ? FLUSH_EVERY : 1);
        is_right = write_and_kill(c, k, batches, &random) && kit_in_process(c, 0, look, k);
        if (!is_right)
            break;
        /* What was found is all there is: later batches count from it. */
        atomic_store(&k->answered, k->found);
    }
    kit_shared_free(k, sizeof *k);
    return is_right;
}

static bool batches_are_whole_after_a_kill(kit_subject *c)
{
    return rounds(c, 8, false, 0);
}

static bool what_was_flushed_survives_a_kill(kit_subject *c)
{
    return rounds(c, 3, true, 0);
}

static bool what_was_written_with_sync_survives_a_kill(kit_subject *c)
{
    return rounds(c, 3, false, WEIR_WRITE_SYNC);
}

const kit_check kit_crash_checks[] = {
    CLOSED_CASE(batches_are_whole_after_a_kill, KIT_CRASH,
                WEIR_CAP_PERSISTENT | WEIR_CAP_ATOMIC_BATCH),
    CLOSED_CASE(what_was_flushed_survives_a_kill, KIT_CRASH,
                WEIR_CAP_PERSISTENT | WEIR_CAP_ATOMIC_BATCH),
    CLOSED_CASE(what_was_written_with_sync_survives_a_kill, KIT_CRASH,
                WEIR_CAP_PERSISTENT | WEIR_CAP_ATOMIC_BATCH | WEIR_CAP_DURABLE_ON_WRITE),
    {NULL, KIT_CRASH, 0, NULL, false},
};
