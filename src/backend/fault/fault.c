/*
 * The decorator "fault". Like a plugin, it uses nothing of Weir but weir/backend.h.
 *
 * A call that is to fail never reaches the backend behind, so that "nothing of a failed
 * batch is visible" stays true. A failing close is the exception: it closes, and then says
 * that it failed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/fault/fault.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/fault/rules.h"

enum option_row { ROW_OP, ROW_NTH, ROW_TIMES, ROW_ERROR, ROW_DELAY_MS, ROW_SPACE };

static const weir_option_spec option_table[] = {
    [ROW_OP] = {"op", WEIR_OPTION_CHOICE, "any", WEIR__FAULT_OP_CHOICES, 0, 0,
                "the kind of call that fails; any: each call on an open database"},
    [ROW_NTH] = {"nth", WEIR_OPTION_INT, "1", NULL, 1, 1e15,
                 "the first call of the kind that fails, from 1"},
    [ROW_TIMES] = {"times", WEIR_OPTION_INT, "1", NULL, 0, 1e15,
                   "so many calls fail from there on; 0: for good"},
    [ROW_ERROR] = {"error", WEIR_OPTION_CHOICE, "io", WEIR__FAULT_ERROR_CHOICES, 0, 0,
                   "how they fail; none: they are only delayed"},
    [ROW_DELAY_MS] = {"delay_ms", WEIR_OPTION_INT, "0", NULL, 0, 3600000,
                      "ms by which such a call is delayed before that"},
    [ROW_SPACE] = {"space", WEIR_OPTION_SIZE, "0", NULL, 0, 1e15,
                   "bytes that can be written before writes fail for want of space; not given: no "
                   "limit"},
    {NULL, WEIR_OPTION_BOOL, NULL, NULL, 0, 0, NULL},
};

struct weir_backend_db {
    const weir_backend *inner;
    weir_backend_db *inner_db;
    const weir_backend_host *host;
    const char *label;
    pthread_mutex_t lock; /* of the rules: readers may run in several threads */
    weir__fault_rules rules;
};

struct weir_backend_iter {
    weir_backend_db *db;
    weir_backend_iter *inner;
};

/* ------------------------------------------------------- before a database is open */

/*
 * Opening and destroying are counted per label for the whole process: a rule such as "the
 * first open fails" must not begin anew with each attempt.
 */
typedef struct place {
    char *label;
    int64_t opens;
    int64_t destroys;
    struct place *next;
} place;

static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
static place *places;

/* Counts a call; 0: no memory to count. */
static int64_t count_at_place(const char *label, weir__fault_op op)
{
    int64_t number = 0;
    pthread_mutex_lock(&places_lock);
    place *found = places;
    while (found != NULL && strcmp(found->label, label) != 0)
        found = found->next;
    if (found == NULL && (found = calloc(1, sizeof *found)) != NULL) {
        found->label = strdup(label);
        if (found->label == NULL) {
            free(found);
            found = NULL;
        } else {
            found->next = places;
            places = found;
        }
    }
    if (found != NULL)
        number = op == WEIR__FAULT_OPEN ? ++found->opens : ++found->destroys;
    pthread_mutex_unlock(&places_lock);
    return number;
}

static void rules_of_options(const weir_option_value *options, weir__fault_rules *rules)
{
    memset(rules, 0, sizeof *rules);
    rules->has_space = options[ROW_SPACE].is_set;
    rules->space = options[ROW_SPACE].integer;
    if (!options[ROW_OP].is_set && !options[ROW_NTH].is_set && !options[ROW_TIMES].is_set &&
        !options[ROW_ERROR].is_set && !options[ROW_DELAY_MS].is_set)
        return;
    rules->count = 1;
    rules->rules[0] = (weir__fault_rule){
        .op = (weir__fault_op)options[ROW_OP].integer,
        .nth = options[ROW_NTH].integer,
        .times = options[ROW_TIMES].integer,
        .status = weir__fault_error_status(options[ROW_ERROR].integer),
        .delay_ms = options[ROW_DELAY_MS].integer,
    };
}

/* ---------------------------------------------------------------------- verdicts */

static void delay(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    while (ms > 0 && nanosleep(&left, &left) != 0)
        ;
}

static weir_status tell(const weir_backend_host *host, const char *label, weir__fault_op op,
                        const weir__fault_verdict *verdict, weir_error *err)
{
    char name[32];
    char message[512];
    delay(verdict->delay_ms);
    if (verdict->status == WEIR_OK || verdict->status == WEIR_NOT_FOUND)
        return verdict->status;
    weir__fault_op_name(op, name, sizeof name);
    if (verdict->number > 0)
        snprintf(message, sizeof message, "failure of %s, call %" PRId64 ", injected by fault (%s)",
                 name, verdict->number, label);
    else
        snprintf(message, sizeof message, "lack of space for %s, injected by fault (%s)", name,
                 label);
    return host->error(err, verdict->status, message);
}

static weir_status judge_write(weir_backend_db *db, uint64_t bytes, weir_error *err)
{
    pthread_mutex_lock(&db->lock);
    weir__fault_verdict verdict = weir__fault_rules_judge(&db->rules, WEIR__FAULT_WRITE, bytes);
    pthread_mutex_unlock(&db->lock);
    return tell(db->host, db->label, WEIR__FAULT_WRITE, &verdict, err);
}

static weir_status judge(weir_backend_db *db, weir__fault_op op, weir_error *err)
{
    pthread_mutex_lock(&db->lock);
    weir__fault_verdict verdict = weir__fault_rules_judge(&db->rules, op, 0);
    pthread_mutex_unlock(&db->lock);
    return tell(db->host, db->label, op, &verdict, err);
}

/* The same for open and destroy, with the count of the process. */
static weir_status judge_closed(const weir_backend_open_args *args, weir__fault_rules *rules,
                                weir__fault_op op, weir_error *err)
{
    rules_of_options(args->options, rules);
    if (rules->count == 0 || rules->rules[0].op != op)
        return WEIR_OK;
    rules->rules[0].seen = count_at_place(args->label, op) - 1;
    weir__fault_verdict verdict = weir__fault_rules_judge(rules, op, 0);
    return tell(args->host, args->label, op, &verdict, err);
}

/* -------------------------------------------------------------- open and close */

static weir_status fault_open(const weir_backend_open_args *args, weir_backend_db **db,
                              weir_error *err)
{
    *db = NULL;
    weir_backend_db *made = calloc(1, sizeof *made);
    if (made == NULL)
        return args->host->error(err, WEIR_NO_MEMORY, "no memory for the fault decorator");
    made->inner = args->inner;
    made->host = args->host;
    made->label = args->label;
    weir_status status = judge_closed(args, &made->rules, WEIR__FAULT_OPEN, err);
    if (status == WEIR_OK)
        status = made->inner->open(args->inner_args, &made->inner_db, err);
    if (status != WEIR_OK) {
        free(made);
        return status;
    }
    pthread_mutex_init(&made->lock, NULL);
    *db = made;
    return WEIR_OK;
}

static weir_status fault_close(weir_backend_db *db, weir_error *err)
{
    weir_status injected = judge(db, WEIR__FAULT_CLOSE, err);
    weir_status status = db->inner->close(db->inner_db, injected == WEIR_OK ? err : NULL);
    pthread_mutex_destroy(&db->lock);
    free(db);
    return injected != WEIR_OK ? injected : status;
}

static weir_status fault_destroy(const weir_backend_open_args *args, weir_error *err)
{
    weir__fault_rules rules;
    weir_status status = judge_closed(args, &rules, WEIR__FAULT_DESTROY, err);
    return status == WEIR_OK ? args->inner->destroy(args->inner_args, err) : status;
}

/* ------------------------------------------------------------ column families */

static weir_status fault_cf_open(weir_backend_db *db, const char *name, bool create,
                                 weir_backend_cf **cf, weir_error *err)
{
    *cf = NULL;
    weir_status status = judge(db, WEIR__FAULT_CF_OPEN, err);
    return status == WEIR_OK ? db->inner->cf_open(db->inner_db, name, create, cf, err) : status;
}

static weir_status fault_cf_drop(weir_backend_db *db, const char *name, weir_error *err)
{
    weir_status status = judge(db, WEIR__FAULT_CF_DROP, err);
    return status == WEIR_OK ? db->inner->cf_drop(db->inner_db, name, err) : status;
}

static weir_status fault_cf_list(weir_backend_db *db,
                                 weir_status (*visit)(const char *name, void *arg), void *arg,
                                 weir_error *err)
{
    weir_status status = judge(db, WEIR__FAULT_CF_LIST, err);
    return status == WEIR_OK ? db->inner->cf_list(db->inner_db, visit, arg, err) : status;
}

/* ------------------------------------------------------------ reads and writes */

static weir_status fault_get(weir_backend_db *db, weir_backend_cf *cf,
                             weir_backend_snapshot *snapshot, weir_slice key,
                             weir_backend_value *value, weir_error *err)
{
    *value = (weir_backend_value){NULL, 0, NULL};
    weir_status status = judge(db, WEIR__FAULT_GET, err);
    return status == WEIR_OK ? db->inner->get(db->inner_db, cf, snapshot, key, value, err) : status;
}

static weir_status fault_multi_get(weir_backend_db *db, weir_backend_cf *cf,
                                   weir_backend_snapshot *snapshot, const weir_slice *keys,
                                   size_t count, weir_backend_value *values, weir_status *statuses,
                                   weir_error *err)
{
    weir_status status = judge(db, WEIR__FAULT_MULTI_GET, err);
    if (status == WEIR_OK)
        return db->inner->multi_get(db->inner_db, cf, snapshot, keys, count, values, statuses, err);
    for (size_t i = 0; i < count; i++) {
        values[i] = (weir_backend_value){NULL, 0, NULL};
        statuses[i] = status;
    }
    return status;
}

static void fault_value_release(weir_backend_db *db, weir_backend_value *value)
{
    db->inner->value_release(db->inner_db, value);
}

static weir_status fault_write(weir_backend_db *db, const weir_backend_op *ops, size_t count,
                               uint32_t flags, weir_error *err)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (ops[i].kind == WEIR_OP_PUT)
            bytes += ops[i].key.size + ops[i].value.size;
    weir_status status = judge_write(db, bytes, err);
    return status == WEIR_OK ? db->inner->write(db->inner_db, ops, count, flags, err) : status;
}

static weir_status fault_flush(weir_backend_db *db, weir_error *err)
{
    weir_status status = judge(db, WEIR__FAULT_FLUSH, err);
    return status == WEIR_OK ? db->inner->flush(db->inner_db, err) : status;
}

static weir_status fault_snapshot_open(weir_backend_db *db, weir_backend_snapshot **snapshot,
                                       weir_error *err)
{
    *snapshot = NULL;
    weir_status status = judge(db, WEIR__FAULT_SNAPSHOT_OPEN, err);
    return status == WEIR_OK ? db->inner->snapshot_open(db->inner_db, snapshot, err) : status;
}

static void fault_snapshot_close(weir_backend_db *db, weir_backend_snapshot *snapshot)
{
    db->inner->snapshot_close(db->inner_db, snapshot);
}

static weir_status fault_checkpoint(weir_backend_db *db, const char *location, weir_error *err)
{
    weir_status status = judge(db, WEIR__FAULT_CHECKPOINT, err);
    return status == WEIR_OK ? db->inner->checkpoint(db->inner_db, location, err) : status;
}

static weir_status fault_compact(weir_backend_db *db, weir_backend_cf *cf, weir_slice lower,
                                 weir_slice upper, weir_error *err)
{
    weir_status status = judge(db, WEIR__FAULT_COMPACT, err);
    return status == WEIR_OK ? db->inner->compact(db->inner_db, cf, lower, upper, err) : status;
}

/* ------------------------------------------------------------------- iteration */

static weir_status fault_iter_open(weir_backend_db *db, weir_backend_cf *cf,
                                   const weir_backend_iter_args *args, weir_backend_iter **iter,
                                   weir_error *err)
{
    *iter = NULL;
    weir_status status = judge(db, WEIR__FAULT_ITER_OPEN, err);
    if (status != WEIR_OK)
        return status;
    weir_backend_iter *made = malloc(sizeof *made);
    if (made == NULL)
        return db->host->error(err, WEIR_NO_MEMORY, "no memory for an iterator of fault");
    made->db = db;
    status = db->inner->iter_open(db->inner_db, cf, args, &made->inner, err);
    if (status != WEIR_OK)
        free(made);
    else
        *iter = made;
    return status;
}

static weir_status fault_iter_next(weir_backend_iter *iter, weir_slice *key, weir_slice *value,
                                   weir_error *err)
{
    *key = (weir_slice){NULL, 0};
    *value = (weir_slice){NULL, 0};
    weir_status status = judge(iter->db, WEIR__FAULT_ITER_NEXT, err);
    return status == WEIR_OK ? iter->db->inner->iter_next(iter->inner, key, value, err) : status;
}

static weir_status fault_iter_seek(weir_backend_iter *iter, weir_slice target, weir_error *err)
{
    weir_status status = judge(iter->db, WEIR__FAULT_ITER_SEEK, err);
    return status == WEIR_OK ? iter->db->inner->iter_seek(iter->inner, target, err) : status;
}

static void fault_iter_close(weir_backend_iter *iter)
{
    if (iter == NULL)
        return;
    iter->db->inner->iter_close(iter->inner);
    free(iter);
}

/* -------------------------------------------------------- figures and switching */

static weir_status fault_stats(weir_backend_db *db,
                               void (*visit)(const char *name, uint64_t value, void *arg),
                               void *arg, weir_error *err)
{
    pthread_mutex_lock(&db->lock);
    uint64_t hits = db->rules.hits;
    pthread_mutex_unlock(&db->lock);
    visit("fault.injected", hits, arg);
    weir_status status = db->inner->stats(db->inner_db, visit, arg, err);
    return status == WEIR_UNSUPPORTED ? WEIR_OK : status;
}

static weir_status fault_control(weir_backend_db *db, const char *op, void *arg, weir_error *err)
{
    char problem[512] = "";
    if (strcmp(op, "fault.set") != 0 && strcmp(op, "fault.clear") != 0)
        return db->inner->control(db->inner_db, op, arg, err);
    const char *text = strcmp(op, "fault.set") == 0 ? arg : "";
    pthread_mutex_lock(&db->lock);
    weir_status status = weir__fault_rules_parse(&db->rules, text, problem, sizeof problem);
    pthread_mutex_unlock(&db->lock);
    return status == WEIR_OK ? WEIR_OK : db->host->error(err, status, problem);
}

static const weir_backend fault_backend = {
    .struct_size = sizeof(weir_backend),
    .abi_version = WEIR_BACKEND_ABI_VERSION,
    .name = "fault",
    .version = "fault " WEIR_VERSION_STRING,
    /* What the backend behind it can do, it passes on. */
    .capabilities = (WEIR_CAP_DECORATOR << 1) - 1,
    .options = option_table,
    .open = fault_open,
    .close = fault_close,
    .destroy = fault_destroy,
    .cf_open = fault_cf_open,
    .cf_drop = fault_cf_drop,
    .cf_list = fault_cf_list,
    .get = fault_get,
    .multi_get = fault_multi_get,
    .value_release = fault_value_release,
    .write = fault_write,
    .iter_open = fault_iter_open,
    .iter_next = fault_iter_next,
    .iter_seek = fault_iter_seek,
    .iter_close = fault_iter_close,
    .flush = fault_flush,
    .snapshot_open = fault_snapshot_open,
    .snapshot_close = fault_snapshot_close,
    .checkpoint = fault_checkpoint,
    .compact = fault_compact,
    .stats = fault_stats,
    .control = fault_control,
};

const weir_backend *weir__backend_fault(void)
{
    return &fault_backend;
}
