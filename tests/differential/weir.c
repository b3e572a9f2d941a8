/*
 * differential_weir STATE_DIR CHANGELOG < operations > answers
 * differential_weir --version BACKEND
 *
 * Runs operations on Weir; see operations.py. CHANGELOG is read if it is there, and written
 * at the end. Backend: $WEIR_STATE_BACKEND.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <weir/backend.h>

#include "text.h"

#define GROUP     "differential"
#define STREAM    "flights"
#define STORE     "store"
#define PARTITION 3

/* ---------------------------------------------------------------------------
 * The partition's life
 * ------------------------------------------------------------------------- */

static weir_status open_changelog(const char *store, const char *stream_id, int32_t partition,
                                  weir_changelog **changelog, void *arg, weir_error *err)
{
    driver *d = arg;
    (void)store;
    (void)stream_id;
    (void)partition;
    return weir_memory_topic_open(d->topic, "changelog", changelog, err);
}

weir_txn *driver_txn(driver *d)
{
    if (d->txn == NULL && weir_partition_begin(d->partition, &d->txn, &d->err) != WEIR_OK)
        d->txn = NULL;
    return d->txn;
}

static void drop_txn(driver *d)
{
    weir_txn_free(d->txn);
    d->txn = NULL;
    d->has_produced = false;
}

static void close_store(driver *d)
{
    drop_txn(d);
    weir_state_manager_free(d->manager);
    d->manager = NULL;
    d->partition = NULL;
}

static weir_status new_manager(driver *d)
{
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = d->state_dir;
    options.group_id = GROUP;
    const weir_option wal_dir[] = {{"wal_dir", d->wal_dir}, {NULL, NULL}};
    if (d->wal_dir[0] != '\0') {
        options.state_options = wal_dir;
    } else {
        options.changelog_open = open_changelog;
        options.changelog_arg = d;
    }
    return weir_state_manager_new(&options, &d->manager, &d->err);
}

static weir_status recover(driver *d, const offsets *start)
{
    bool needed = false;
    bool done = false;
    weir_status status =
        weir_partition_recovery_begin(d->partition, start->items, start->count, &needed, &d->err);
    while (status == WEIR_OK && needed && !done)
        status = weir_partition_recovery_step(d->partition, 0, 0, &done, NULL, &d->err);
    return status;
}

static weir_status run_store(driver *d, const op *o)
{
    weir_store_config_init(&d->store);
    d->store.name = STORE;
    d->store.stream_id = STREAM;
    if (op_is(o, 1, "windowed")) {
        d->store.kind = WEIR_STORE_WINDOWED;
    } else if (op_is(o, 1, "timestamped")) {
        d->store.kind = WEIR_STORE_TIMESTAMPED;
        d->store.grace_ms = op_int(o, 2);
        d->store.keep_duplicates = op_is(o, 3, "all");
    }
    return WEIR_OK;
}

static weir_status run_alone(driver *d, const op *o)
{
    close_store(d);
    d->number = (int32_t)op_int(o, 1);
    (void)snprintf(d->wal_dir, sizeof(d->wal_dir), "%s/%s", d->state_dir, op_text(o, 2));
    return WEIR_OK;
}

static weir_status run_open(driver *d, const op *o)
{
    offsets start = op_offsets(o, 1);
    close_store(d);
    weir_status status = new_manager(d);
    if (status == WEIR_OK)
        status = weir_state_manager_register(d->manager, &d->store, &d->err);
    if (status == WEIR_OK)
        status = weir_state_manager_assign(d->manager, STREAM, d->number, &d->err);
    if (status == WEIR_OK) {
        d->partition = weir_state_manager_partition(d->manager, STORE, STREAM, d->number);
        status = recover(d, &start);
    }
    if (status != WEIR_OK)
        close_store(d);
    return status;
}

static weir_status run_wipe(driver *d, const op *o)
{
    (void)o;
    close_store(d);
    weir_status status = new_manager(d);
    if (status == WEIR_OK)
        status = weir_state_manager_register(d->manager, &d->store, &d->err);
    if (status == WEIR_OK)
        status = weir_state_manager_clear(d->manager, &d->err);
    close_store(d);
    return status;
}

/* ---------------------------------------------------------------------------
 * Transactions
 * ------------------------------------------------------------------------- */

static weir_status run_abort(driver *d, const op *o)
{
    (void)o;
    drop_txn(d);
    return WEIR_OK;
}

static weir_status run_prepare(driver *d, const op *o)
{
    offsets processed = op_offsets(o, 1);
    int64_t low;
    int64_t before;
    size_t count = 0;
    weir_status status = d->reader->ops->range(d->reader, &low, &before, &d->err);
    if (status == WEIR_OK)
        status = weir_txn_prepare(driver_txn(d), processed.items, processed.count, &d->err);
    if (status == WEIR_OK)
        status = changelog_answer(d, before, &count);
    d->has_produced = count > 0;
    return status;
}

static weir_status run_flush(driver *d, const op *o)
{
    int64_t low;
    int64_t high;
    int64_t offset = WEIR_OFFSET_NONE;
    weir_status status = d->reader->ops->range(d->reader, &low, &high, &d->err);
    if (o->count > 1)
        offset = op_int(o, 1);
    else if (d->has_produced)
        offset = high - 1;
    if (status == WEIR_OK)
        status = weir_txn_flush(driver_txn(d), offset, &d->err);
    if (status == WEIR_OK)
        drop_txn(d);
    return status;
}

/* ---------------------------------------------------------------------------
 * The changelog, and what is committed
 * ------------------------------------------------------------------------- */

static weir_status run_compact(driver *d, const op *o)
{
    (void)o;
    weir_memory_topic_compact(d->topic);
    return WEIR_OK;
}

static weir_status run_control(driver *d, const op *o)
{
    (void)o;
    weir_memory_topic_append_control(d->topic);
    return WEIR_OK;
}

static weir_status dump_items(driver *d, weir_txn *txn, weir_cf cf)
{
    weir_iter *iter = NULL;
    weir_status status = weir_txn_iter_open(txn, cf, NULL, &iter, &d->err);
    while (status == WEIR_OK) {
        weir_slice key;
        weir_slice value;
        status = weir_iter_next(iter, &key, &value, &d->err);
        if (status == WEIR_OK) {
            answer_item("%s", "");
            answer_bytes(key);
            answer_more("=");
            answer_bytes(value);
        }
    }
    weir_iter_close(iter);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status run_dump(driver *d, const op *o)
{
    weir_cf cf;
    weir_txn *txn = NULL;
    weir_status status = weir_partition_cf(d->partition, op_text(o, 1), &cf, &d->err);
    if (status == WEIR_OK)
        status = weir_partition_begin(d->partition, &txn, &d->err);
    if (status == WEIR_OK)
        status = dump_items(d, txn, cf);
    weir_txn_free(txn);
    return status;
}

static weir_status run_offset(driver *d, const op *o)
{
    (void)o;
    int64_t offset = weir_partition_changelog_offset(d->partition);
    if (offset == WEIR_OFFSET_NONE)
        return WEIR_NOT_FOUND;
    answer_item("%lld", (long long)offset);
    return WEIR_OK;
}

/* Those that need no open partition. */
static const driver_op life_ops[] = {
    {"store", 2, run_store}, {"alone", 3, run_alone},     {"open", 2, run_open},
    {"wipe", 1, run_wipe},   {"compact", 1, run_compact}, {"control", 1, run_control},
    {NULL, 0, NULL},
};

static const driver_op session_ops[] = {
    {"abort", 1, run_abort}, {"prepare", 2, run_prepare}, {"flush", 1, run_flush},
    {"dump", 2, run_dump},   {"offset", 1, run_offset},   {NULL, 0, NULL},
};

/* ---------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------- */

static const driver_op *const tables[] = {life_ops, session_ops, plain_ops, windowed_ops,
                                          timestamped_ops};

static const driver_op *find_op(const op *o, bool *needs_partition)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        *needs_partition = tables[i] != life_ops;
        for (const driver_op *entry = tables[i]; entry->name != NULL; entry++) {
            if (strcmp(entry->name, o->fields[0]) == 0 && o->count >= entry->fields)
                return entry;
        }
    }
    return NULL;
}

static weir_status run_op(driver *d, const op *o, const driver_op *entry, bool needs_partition)
{
    weir_error_init(&d->err);
    if (needs_partition && d->partition == NULL)
        return weir_error_set(&d->err, WEIR_CLOSED, "the store partition is not open");
    return entry->run(d, o);
}

static void answer_error(weir_status status, const weir_error *err)
{
    printf("error ");
    for (const char *c = weir_status_name(status); *c != '\0'; c++)
        putchar(tolower((unsigned char)*c));
    printf(" # %s\n", err->message);
}

static bool run_line(driver *d, char *line, const char *changelog)
{
    op o;
    op_split(&o, line);
    if (op_is(&o, 0, "kill") && changelog_save(d, changelog) && fflush(stdout) == 0)
        (void)raise(SIGKILL);
    bool needs_partition;
    const driver_op *entry = find_op(&o, &needs_partition);
    if (entry == NULL) {
        fprintf(stderr, "differential_weir: operation %s is not understood\n", o.fields[0]);
        return false;
    }
    answer_begin();
    weir_status status = run_op(d, &o, entry, needs_partition);
    if (status == WEIR_NOT_FOUND)
        answer_none();
    if (status == WEIR_OK || status == WEIR_NOT_FOUND)
        answer_print(stdout);
    else
        answer_error(status, &d->err);
    return true;
}

static bool run_all(driver *d, const char *changelog)
{
    char *line = NULL;
    size_t capacity = 0;
    bool good = true;
    while (good && getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        good = run_line(d, line, changelog);
    }
    free(line);
    return good;
}

static int print_version(const char *name)
{
    const weir_backend *backend;
    weir_status status = weir_backend_find(name, &backend, NULL);
    printf("%s\n", status == WEIR_OK ? backend->version : "none");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--version") == 0)
        return print_version(argv[2]);
    if (argc != 3) {
        fprintf(stderr, "usage: differential_weir STATE_DIR CHANGELOG < operations > answers\n");
        return 2;
    }
    driver d = {.state_dir = argv[1], .number = PARTITION, .topic = weir_memory_topic_new()};
    if (d.topic == NULL ||
        weir_memory_topic_open(d.topic, "changelog", &d.reader, &d.err) != WEIR_OK)
        return 1;
    bool good = changelog_load(&d, argv[2]) && run_all(&d, argv[2]) && changelog_save(&d, argv[2]);
    close_store(&d);
    d.reader->ops->close(d.reader);
    weir_memory_topic_free(d.topic);
    return good ? 0 : 1;
}
