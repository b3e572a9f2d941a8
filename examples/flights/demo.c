/*
 * The demo: feeds a year of flights to Kafka, runs the job as a child process, kills it
 * halfway, takes its state away later, and shows that the totals come out right. With its state
 * on object storage, the local disk is taken away first, which is no loss, and then the bucket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "data.h"
#include "report.h"
#include "screen.h"
#include "worker.h"

#define AHEAD_OF_TOTALS    30000 /* flights sent, but not yet in the totals */
#define AHEAD_OF_COMMITTED 60000 /* … not yet committed: 5 MiB a partition hold 100,000 */
#define FEED_STEP          500
/* The weather comes before the flights that look it up: none left an hour early. */
#define WEATHER_AHEAD_MS INT64_C(3600000)
/* Every hour is over by then. */
#define END_AFTER_MS  (INT64_C(7) * 24 * 3600000)
#define ASK_MS        100
#define LOSS          2000 /* flights that the kill is to take away */
#define LOSS_TURNS    20
#define LOSS_WAIT_MS  3000
#define STALL_MS      60000
#define STOP_MS       30000
#define AFTER_RESTART 2000 /* flights that show that the job is back */

typedef struct demo_run {
    /* options */
    const char *broker_address; /* NULL: embedded */
    const char *backend;        /* NULL: rocksdb, or slatedb with a bucket */
    const char *bucket;         /* NULL: the state is in a local folder */
    const char *out;
    const char *data_path;
    const char *job_path;
    const char *workers;
    bool crash;

    flight_data data;
    demo_received received; /* as the job sent it; totals in the order of data.aircraft */
    demo_broker broker;
    demo_worker worker;
    char folder[PATH_MAX]; /* of the state; removed at the end */
    char state[PATH_MAX];  /* its folder or URL */
    char log[PATH_MAX];
    char job[PATH_MAX]; /* room for a job path beside this program */
    size_t fed;         /* flights */
    size_t weather_fed; /* observations */
    int64_t asked_ms;
} demo_run;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---------------------------------------------------------------------------
 * Folders
 * ------------------------------------------------------------------------- */

static int64_t removed_files, removed_bytes;

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)where;
    if (kind == FTW_F) {
        removed_files++;
        removed_bytes += info->st_size;
    }
    return remove(path);
}

/* Removes a folder with all that is in it, and counts. A missing one is fine. */
static bool remove_folder(const char *path)
{
    removed_files = removed_bytes = 0;
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        screen_error("%s can't be removed: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* Makes a folder and those above it. */
static bool make_path(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    for (size_t i = 1; i <= size && size < sizeof part; i++) {
        if (i < size && path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return false;
    }
    return size < sizeof part;
}

/* The state is NAME in the folder of this run, or in the bucket, below a name of this run. */
static bool set_state(demo_run *run, const char *name)
{
    const char *above = run->bucket != NULL ? run->bucket : run->folder;
    const char *of_run = run->bucket != NULL ? strrchr(run->folder, '/') : "";
    return (size_t)snprintf(run->state, sizeof run->state, "%s%s/%s", above, of_run, name) <
           sizeof run->state;
}

static bool make_folders(demo_run *run)
{
    if (!make_path(run->out)) {
        screen_error("--out %s: %s", run->out, strerror(errno));
        return false;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(run->folder, sizeof run->folder, "%s/weir-flights-XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(run->folder) == NULL) {
        screen_error("%s: %s", run->folder, strerror(errno));
        run->folder[0] = '\0';
        return false;
    }
    if (!set_state(run, "state") ||
        (size_t)snprintf(run->log, sizeof run->log, "%s/worker.log", run->out) >= sizeof run->log) {
        screen_error("the path is too long: %s", run->out);
        return false;
    }
    remove(run->log);
    return true;
}

/* ---------------------------------------------------------------------------
 * The job at work
 * ------------------------------------------------------------------------- */

static bool start_worker(demo_run *run)
{
    const char *argv[32] = {run->job_path, "--broker",  run->broker.address, "--backend",
                            run->backend,  "--state",   run->state,          "--workers",
                            run->workers,  "--prefix",  run->broker.prefix,  "--commit-interval",
                            "500",         "--consumer"};
    size_t count = 14;
    if (run->broker.mock != NULL) {
        /* The embedded broker waits for a killed member until its session ends. It lets
         * no member in within three seconds, so a session must be longer than that. */
        argv[count++] = "session.timeout.ms=4000";
        argv[count++] = "--consumer";
        argv[count++] = "heartbeat.interval.ms=500";
    } else {
        /* A static member that comes back after a crash gets its partitions at once. */
        argv[count++] = "group.instance.id=aircraft";
    }
    if (!worker_start(&run->worker, (char *const *)argv, run->log))
        return false;
    screen_note("worker process %d, state backend %s%s%s", (int)run->worker.pid, run->backend,
                run->bucket != NULL ? " at " : "", run->bucket != NULL ? run->state : "");
    return true;
}

/* Flights in the totals: exactly those processed, once the job is right. */
static int64_t processed(const demo_run *run)
{
    int64_t sum = 0;
    for (size_t i = 0; i < run->data.aircraft_count; i++)
        sum += run->received.totals[i].flights;
    return sum;
}

/* Records that were sent, but not yet committed, of the input that has more of them. */
static int64_t ahead_of_committed(const demo_broker *broker)
{
    int64_t flights = broker->fed[DEMO_FLIGHTS] - broker->committed[DEMO_FLIGHTS];
    int64_t departures = broker->fed[DEMO_DEPARTURES] - broker->committed[DEMO_DEPARTURES];
    return flights > departures ? flights : departures;
}

/* A flight, and before it the weather up to its time. */
static bool feed_flight(demo_run *run, const demo_flight *flight)
{
    bool ok = true;
    while (ok && run->weather_fed < run->data.weather_count) {
        const demo_weather *next = &run->data.weather_by_time[run->weather_fed];
        if (next->time_ms - WEATHER_AHEAD_MS > flight->departed_ms)
            break;
        ok = demo_broker_feed_weather(&run->broker, next);
        run->weather_fed++;
    }
    return ok && demo_broker_feed(&run->broker, flight);
}

/* One round of feeding and following. *busy [out]: something was fed. */
static bool turn(demo_run *run, size_t feed_limit, int64_t done, bool *busy)
{
    demo_broker *broker = &run->broker;
    int status;
    if (interrupted) {
        screen_error("interrupted");
        return false;
    }
    if (worker_ended(&run->worker, &status)) {
        screen_error("the worker ended unexpectedly (%s %d)",
                     WIFEXITED(status) ? "exit code" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        return false;
    }
    worker_show_output(&run->worker);
    if (screen_now_ms() - run->asked_ms >= ASK_MS) {
        if (!demo_broker_ask_committed(broker))
            return false;
        run->asked_ms = screen_now_ms();
    }
    *busy = false;
    for (int i = 0; i < FEED_STEP && run->fed < feed_limit; i++) {
        int64_t fed = (int64_t)run->fed;
        if (fed - done >= AHEAD_OF_TOTALS ||
            (broker->mock != NULL && ahead_of_committed(broker) >= AHEAD_OF_COMMITTED))
            break;
        if (!feed_flight(run, &run->data.flights[run->fed]))
            return false;
        run->fed++;
        *busy = true;
    }
    return demo_broker_follow(broker, &run->received, *busy ? 0 : 20);
}

/* Feeds up to `feed_limit` flights and goes on until the totals hold `goal` flights, the
 * group has committed `committed` of them, and `recovered` partitions of the worker have
 * told that they are back. */
static bool run_until(demo_run *run, size_t feed_limit, int64_t goal, int64_t committed,
                      int recovered)
{
    int64_t total = (int64_t)run->data.count;
    int64_t moved_ms = screen_now_ms(), last = -1;
    for (;;) {
        int64_t done = processed(run);
        if (done >= goal && run->broker.committed[DEMO_FLIGHTS] >= committed &&
            run->worker.recovered >= recovered)
            return true;
        if (done != last)
            moved_ms = screen_now_ms();
        last = done;
        if (screen_now_ms() - moved_ms > STALL_MS) {
            screen_error("nothing has moved for %d s: %s of %s flights sent, %s in the totals, "
                         "%s committed",
                         STALL_MS / 1000, screen_number((int64_t)run->fed), screen_number(total),
                         screen_number(done), screen_number(run->broker.committed[DEMO_FLIGHTS]));
            return false;
        }
        bool busy;
        if (!turn(run, feed_limit, done, &busy))
            return false;
        if (goal > 0)
            screen_progress(done, total,
                            run->data.flights[done < total ? done : total - 1].departed_ms);
    }
}

/* ---------------------------------------------------------------------------
 * The story
 * ------------------------------------------------------------------------- */

static bool tell_start(demo_run *run)
{
    screen_step("%s flights left New York City in 2013, flown by %s aircraft",
                screen_number((int64_t)run->data.count),
                screen_number((int64_t)run->data.aircraft_count));
    if (!demo_broker_open(&run->broker, run->broker_address))
        return false;
    screen_note("%s broker at %s", run->broker.mock ? "embedded" : "Kafka", run->broker.address);
    for (int i = 0; i < DEMO_INPUTS; i++)
        screen_note("topic %s, %d partitions ─► job ─► topic %s", run->broker.inputs[i],
                    DEMO_PARTITIONS,
                    run->broker.outputs[i == DEMO_FLIGHTS ? DEMO_TOTALS : DEMO_BY_HOUR]);
    screen_note("                                      and topic %s",
                run->broker.outputs[DEMO_BY_VISIBILITY]);
    return start_worker(run);
}

/* Goes on until the first total of the worker that was just started. */
static bool wait_for_update(demo_run *run)
{
    int64_t before = run->broker.updates, deadline = screen_now_ms() + STALL_MS;
    while (run->broker.updates == before) {
        bool busy;
        if (!turn(run, run->data.count, processed(run), &busy))
            return false;
        if (screen_now_ms() > deadline) {
            screen_error("the new worker has sent nothing for %d s", STALL_MS / 1000);
            return false;
        }
    }
    return true;
}

/* Goes on until the worker has work behind it that no checkpoint holds, so that the kill
 * takes something away; not for long, if checkpoints come too often for that. */
static bool wait_for_loss(demo_run *run)
{
    int64_t deadline = screen_now_ms() + LOSS_WAIT_MS;
    do {
        /* Several turns, because asking takes longer than one, and the totals must not lag. */
        for (int i = 0; i < LOSS_TURNS; i++) {
            bool busy;
            if (!turn(run, run->data.count, processed(run), &busy))
                return false;
        }
        if (!demo_broker_ask_committed(&run->broker))
            return false;
    } while (processed(run) - run->broker.committed[DEMO_FLIGHTS] < LOSS &&
             screen_now_ms() < deadline);
    return true;
}

static bool kill_halfway(demo_run *run)
{
    size_t half = run->data.count / 2;
    if (!run_until(run, run->data.count, (int64_t)half, 0, 0) || !wait_for_loss(run))
        return false;
    worker_kill(&run->worker);
    if (!demo_broker_drain(&run->broker, &run->received) ||
        !demo_broker_ask_committed(&run->broker))
        return false;
    int64_t done = processed(run), committed = run->broker.committed[DEMO_FLIGHTS];
    screen_step("Halfway: the worker was killed (SIGKILL); nothing is deleted");
    screen_note("%s flights were in the totals, the last checkpoint stands at %s",
                screen_number(done), screen_number(committed));
    int64_t start_ms = screen_now_ms();
    if (!start_worker(run))
        return false;
    if (run->broker.mock != NULL)
        screen_note("the group waits four seconds for the dead one …");
    if (!wait_for_update(run))
        return false;
    screen_good("recovered after %.1f s: %s; %s flights are processed again",
                (double)(screen_now_ms() - start_ms) / 1000,
                run->worker.recovered > 0 ? "the changelog has brought the state up to date"
                                          : "the state on disk is that of the last checkpoint",
                screen_number(done - committed));
    return true;
}

static bool delete_state(demo_run *run)
{
    size_t limit = run->data.count / 4 * 3;
    int64_t records;
    int parts;
    if (!run_until(run, limit, (int64_t)limit, (int64_t)limit, 0))
        return false;
    screen_step("Three quarters: the worker is stopped (SIGTERM) and its local state deleted");
    if (!worker_stop(&run->worker, STOP_MS) ||
        !demo_broker_check_changelogs(&run->broker, &records, &parts) || !remove_folder(run->state))
        return false;
    if (removed_files > 0)
        screen_note("deleted: %s files, %s KiB", screen_number(removed_files),
                    screen_number(removed_bytes / 1024));
    else
        screen_note("nothing to delete: this backend keeps nothing on disk");
    screen_note("left: the changelogs with %s records", screen_number(records));
    if (!start_worker(run))
        return false;
    int64_t start_ms = screen_now_ms();
    /* Nothing is fed meanwhile: what follows counts on from the rebuilt state alone. */
    if (!run_until(run, limit, 0, 0, parts))
        return false;
    screen_good("state rebuilt from the changelog, %.1f s after the start of the process",
                (double)(screen_now_ms() - start_ms) / 1000);
    return true;
}

/* Starts the job again with the state at run->state. It is back when its totals hold some more
 * flights; *ms [out] is its own part of that. */
static bool time_restart(demo_run *run, int64_t *ms)
{
    size_t goal = (size_t)processed(run) + AFTER_RESTART;
    if (!start_worker(run) || !run_until(run, goal, (int64_t)goal, (int64_t)goal, 0))
        return false;
    *ms = worker_ready_ms(&run->worker, run->log);
    return true;
}

/* The state is in a bucket: first the local disk is lost, and then the bucket too. */
static bool lose_machine_and_bucket(demo_run *run)
{
    size_t limit = run->data.count / 4 * 3;
    int64_t records, from_bucket_ms, from_changelog_ms, read;
    int parts;
    if (!run_until(run, limit, (int64_t)limit, (int64_t)limit, 0))
        return false;
    worker_kill(&run->worker);
    screen_step("Three quarters: the worker was killed (SIGKILL), its local disk is wiped");
    if (!demo_broker_check_changelogs(&run->broker, &records, &parts) ||
        !remove_folder(run->folder))
        return false;
    screen_note("deleted: %s files; left: the bucket, and the changelogs with %s records",
                screen_number(removed_files), screen_number(records));
    if (!time_restart(run, &from_bucket_ms))
        return false;
    read = run->worker.applied;
    screen_good("the state in the bucket goes on; %s changelog records were read",
                screen_number(read));

    worker_kill(&run->worker);
    screen_step("Once more, and this time the bucket is lost too");
    if (!set_state(run, "rebuilt") || !time_restart(run, &from_changelog_ms))
        return false;
    screen_good("state rebuilt from the changelog; %s changelog records were read",
                screen_number(run->worker.applied));
    screen_good("from its partitions to its first flight: %.2f s with the bucket, %.2f s with the "
                "changelog alone",
                (double)from_bucket_ms / 1000, (double)from_changelog_ms / 1000);
    return true;
}

/* All flights are in the totals: the departures are told that this was it, and waited for. */
static bool end_departures(demo_run *run)
{
    const demo_broker *broker = &run->broker;
    int64_t deadline = screen_now_ms() + STALL_MS;
    if (!demo_broker_feed_end(&run->broker,
                              run->data.flights[run->data.count - 1].departed_ms + END_AFTER_MS))
        return false;
    while (broker->committed[DEMO_DEPARTURES] < broker->fed[DEMO_DEPARTURES]) {
        bool busy;
        if (!turn(run, run->data.count, processed(run), &busy))
            return false;
        if (screen_now_ms() > deadline) {
            screen_error("%s of %s records of the departures are committed, and no more",
                         screen_number(broker->committed[DEMO_DEPARTURES]),
                         screen_number(broker->fed[DEMO_DEPARTURES]));
            return false;
        }
    }
    return true;
}

static bool finish(demo_run *run)
{
    int64_t total = (int64_t)run->data.count, records;
    int parts;
    if (!run_until(run, run->data.count, total, total, 0) || !end_departures(run))
        return false;
    screen_progress(total, total, run->data.flights[total - 1].departed_ms);
    screen_step("All flights are in: the worker is stopped");
    if (!worker_stop(&run->worker, STOP_MS) || !demo_broker_drain(&run->broker, &run->received) ||
        !demo_broker_ask_committed(&run->broker) ||
        !demo_broker_check_changelogs(&run->broker, &records, &parts))
        return false;
    if (run->broker.committed[DEMO_FLIGHTS] != total) {
        screen_error("%s flights are committed instead of %s",
                     screen_number(run->broker.committed[DEMO_FLIGHTS]), screen_number(total));
        return false;
    }
    int64_t again = run->broker.updates - total;
    screen_note("%s updates came for %s flights%s", screen_number(run->broker.updates),
                screen_number(total),
                again > 0 ? ": those after the last checkpoint before the kill came twice" : "");
    return true;
}

static bool play(demo_run *run)
{
    int64_t start_ms = screen_now_ms();
    if (!tell_start(run))
        return false;
    bool (*lose_state)(demo_run *) = run->bucket != NULL ? lose_machine_and_bucket : delete_state;
    if (run->crash && (!kill_halfway(run) || !lose_state(run)))
        return false;
    if (!finish(run))
        return false;
    bool right = report_check(&run->data, &run->received);
    if (!report_write(&run->received, run->out) || !right)
        return false;
    report_print(&run->received);
    if (run->bucket != NULL)
        screen_note("what is left of the state is below %s%s", run->bucket,
                    strrchr(run->folder, '/'));
    screen_note("done in %.1f s", (double)(screen_now_ms() - start_ms) / 1000);
    return true;
}

/* ---------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------- */

static const char usage[] =
    "usage: demo [option…]\n"
    "  --backend NAME      where the job keeps its state: rocksdb (default), memory, slatedb, …\n"
    "  --state URL         state on object storage, s3://BUCKET/PATH (the default backend is then\n"
    "                      slatedb; credentials come from the environment)\n"
    "  --broker HOST:PORT  a Kafka broker instead of the embedded one\n"
    "  --no-crash          neither kill the job nor delete its state\n"
    "  --workers N         threads of the job (default: 1)\n"
    "  --out DIR           where the results and worker.log go (default: .)\n"
    "  --data FILE         flights.csv.zst (default: that of the source tree)\n"
    "  --job FILE          the job (default: flights, beside this program)\n";

static bool parse_options(int argc, char **argv, demo_run *run)
{
    static const struct option table[] = {{"backend", 1, 0, 's'},  {"broker", 1, 0, 'b'},
                                          {"no-crash", 0, 0, 'n'}, {"workers", 1, 0, 'w'},
                                          {"out", 1, 0, 'o'},      {"data", 1, 0, 'd'},
                                          {"job", 1, 0, 'j'},      {"help", 0, 0, 'h'},
                                          {"state", 1, 0, 'u'},    {0}};
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (c == 's')
            run->backend = optarg;
        else if (c == 'u')
            run->bucket = optarg;
        else if (c == 'b')
            run->broker_address = optarg;
        else if (c == 'n')
            run->crash = false;
        else if (c == 'w')
            run->workers = optarg;
        else if (c == 'o')
            run->out = optarg;
        else if (c == 'd')
            run->data_path = optarg;
        else if (c == 'j')
            run->job_path = optarg;
        else {
            fputs(usage, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "unknown argument: %s\n%s", argv[optind], usage);
        exit(2);
    }
    if (run->bucket != NULL && strstr(run->bucket, "://") == NULL) {
        screen_error("--state %s: it must be a URL; a local folder of its own is the default",
                     run->bucket);
        return false;
    }
    if (run->backend == NULL)
        run->backend = run->bucket != NULL ? "slatedb" : "rocksdb";
    if (run->job_path != NULL)
        return true;
    ssize_t size = readlink("/proc/self/exe", run->job, sizeof run->job - 16);
    char *slash = size > 0 ? memrchr(run->job, '/', (size_t)size) : NULL;
    if (slash == NULL) {
        screen_error("the job was not found beside this program: give --job FILE");
        return false;
    }
    strcpy(slash, "/flights");
    run->job_path = run->job;
    return true;
}

int main(int argc, char **argv)
{
    static demo_run run = {.out = ".", .workers = "1", .data_path = FLIGHTS_DATA, .crash = true};
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    screen_init();
    bool ok = parse_options(argc, argv, &run) && make_folders(&run) &&
              flight_data_load(run.data_path, &run.data);
    if (ok) {
        run.received.count = run.data.aircraft_count;
        run.received.totals = calloc(run.received.count, sizeof *run.received.totals);
        ok = run.received.totals != NULL;
        for (size_t i = 0; ok && i < run.data.aircraft_count; i++)
            run.received.totals[i].tailnum = run.data.aircraft[i].tailnum;
        ok = ok && play(&run);
        worker_kill(&run.worker);
        if (!ok)
            worker_print_log(run.log);
        demo_broker_close(&run.broker);
    }
    if (run.folder[0] != '\0')
        remove_folder(run.folder);
    free(run.received.totals);
    flight_data_free(&run.data);
    return ok ? 0 : 1;
}
