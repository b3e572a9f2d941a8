/*
 * A worker, a thread with a consumer, a producer and a state manager of its own, and
 * its tasks, one for each partition of a source that the group has assigned to it.
 * Everything here belongs to the worker's thread unless said otherwise.
 *
 *   CREATED ──► RECOVERING ──► RUNNING ◄──► SUSPENDED
 *      └────────────┴─────────────┴───────────┴──► CLOSED
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_APP_WORKER_H
#define WEIR_APP_WORKER_H

#include "app/application.h"

typedef enum weir__task_state {
    WEIR__TASK_CREATED = 0, /* assigned; its stores are not open yet */
    WEIR__TASK_RECOVERING,  /* stores are open and follow their changelogs */
    WEIR__TASK_RUNNING,     /* gets records */
    WEIR__TASK_SUSPENDED,   /* ready, but the application is paused */
    WEIR__TASK_CLOSED       /* stores are closed */
} weir__task_state;

typedef struct weir__task_store {
    const weir__app_store *spec;
    weir_partition *partition; /* of the state manager; NULL: not open */
    weir_changelog *changelog; /* of the partition; NULL: none */
    weir_txn *txn;             /* NULL: not used since the last checkpoint */
    bool needs_recovery;
    int64_t applied; /* changelog records, as last reported */
    int64_t skipped;
} weir__task_store;

typedef struct weir__task {
    weir__task_host host; /* what its processor sees */
    weir__worker *worker;
    weir__source *source;
    int32_t partition;
    weir__task_state state;
    void *processor;
    weir__task_store *stores;
    size_t store_count;

    /* Source offsets. committed: everything below is final (at first: where the task
     * starts); next: what a commit would say now. */
    int64_t next;
    int64_t committed;
    int64_t low, high;      /* of the source partition when the task started */
    bool offset_missing;    /* the group has none, or one that is out of range */
    bool has_past;          /* a changelog had records, or its store had read some */
    bool needs_seek;        /* the consumer would start elsewhere */
    int64_t skip_offset;    /* a record that must not be run again; WEIR_OFFSET_NONE: none */
    bool rewound;           /* the rest of the batch at hand comes again */
    bool wants_checkpoint;  /* right after the record at hand */
    uint64_t writes_before; /* of its transactions, when the record at hand began */

    int64_t lock_deadline; /* for a store that another owner has open; 0: not tried yet */
    int64_t away_since;    /* the broker does not answer; 0: it does */
    int64_t retry_at;
    int64_t recovery_began;
} weir__task;

struct weir__worker {
    weir_app *app;
    int index;
    pthread_t thread;
    weir__kafka_config kafka; /* the app's, with what differs from worker to worker */
    weir_state_manager *manager;
    weir__producer *producer;
    weir_kafka_reader *reader; /* made at first use */
    weir__consumer *consumer;
    weir__producer_topic ***sinks; /* by source and sink */

    weir__task **tasks;
    size_t task_count;
    size_t task_capacity;
    weir__task *last_task; /* of the last record */

    weir__topic_partition *commits; /* room for one for each task */
    size_t commit_capacity;
    int64_t last_checkpoint; /* ms */
    int64_t records_since;   /* records since the last checkpoint */
    size_t batch_size;       /* adapts to how long a batch takes */
    int64_t tick;            /* ms; see weir__worker_tick */
    bool suspect;            /* the process may have been away for longer than its session */
    bool evicted;            /* the group has moved on; see weir__checkpoint_ask */
    bool paused;
    bool record_failed; /* it ends because of a record; what came before it is checkpointed */

    /* Figures: written by the worker, read by any thread with __atomic builtins. */
    uint64_t records;
    uint64_t produced;
    uint64_t skipped;
    uint64_t checkpoints;
    uint64_t recovered;
    uint32_t assigned;
    uint32_t recovering;
};

/* worker.c */

/* Makes the state manager, the producer and the consumer. *worker [out]. */
weir_status weir__worker_new(weir_app *app, int index, weir__worker **worker, weir_error *err);
/* After its thread has ended, or if it never started. NULL is allowed. */
void weir__worker_free(weir__worker *worker);
/* The body of the thread; arg is the worker. */
void *weir__worker_run(void *arg);

/*
 * Called at every turn of the loop. A long time between two calls may mean that the whole
 * process stood still and the group has gone on without it: the worker is then suspect,
 * and the next checkpoint asks the group before it writes anything.
 */
void weir__worker_tick(weir__worker *worker);

static inline void weir__count(uint64_t *figure, uint64_t more)
{
    __atomic_store_n(figure, *figure + more, __ATOMIC_RELAXED);
}

/* rebalance.c */

extern const weir__consumer_events weir__rebalance_events; /* arg is set by the worker */
/* The task of a partition, or NULL. */
weir__task *weir__worker_task(weir__worker *worker, const char *topic, int32_t partition);
/* Drops the transactions of all tasks and starts each anew from what is committed. */
void weir__worker_restart_tasks(weir__worker *worker);
/* Closes and frees all tasks, without a checkpoint. */
void weir__worker_drop_tasks(weir__worker *worker);
/* Updates the figures of tasks. */
void weir__worker_count_tasks(weir__worker *worker);

/* task.c */

weir_status weir__task_new(weir__worker *worker, weir__source *source, int32_t partition,
                           weir__task **task, weir_error *err);
/* Drops transactions and closes stores; the state becomes CLOSED. */
void weir__task_close(weir__task *task);
void weir__task_free(weir__task *task);
/* Drops the transactions: what was done since the last checkpoint is forgotten. */
void weir__task_drop(weir__task *task);
/*
 * Runs one record. The error policy is applied here: a record that is skipped gives
 * WEIR_OK. An error names topic, partition and offset; what the task can checkpoint after
 * it is what came before the record.
 */
weir_status weir__task_process(weir__task *task, const weir_record *record, weir_error *err);
/* A hint: a record with this key comes WEIR_EXPECT_AHEAD records later. */
void weir__task_expect(const weir__task *task, weir_slice key);
/* Change bytes of its transactions. */
size_t weir__task_change_bytes(const weir__task *task);
/* "topic=… partition=…" into text, for messages. */
const char *weir__task_label(const weir__task *task, char *text, size_t size);

/* start.c */

/* Works on a task that is CREATED or RECOVERING for about budget_ms; it is RUNNING or
 * SUSPENDED at the end of that road. */
weir_status weir__task_advance(weir__task *task, int budget_ms, weir_error *err);

/* checkpoint.c */

/* True if a checkpoint would do anything. */
bool weir__checkpoint_needed(const weir__worker *worker);
/*
 * WEIR_OK: the group still knows this worker as a member. WEIR_FENCED: it does not; the worker is
 * then evicted until this is asked again with success, and must not open any state before: on
 * object storage, that would fence the worker that the group has given it to.
 */
weir_status weir__checkpoint_ask(weir__worker *worker, weir_error *err);
/*
 * Makes final what all running tasks have processed, in this order: changelogs of all
 * transactions, producer flush, stores without changelog, offsets, stores with changelog.
 * After a failed step nothing further runs and the transactions are dropped.
 * WEIR_FENCED: if the worker is evicted, the tasks must start anew; else another writer has
 * opened the state, which is for the program to hear of.
 */
weir_status weir__checkpoint(weir__worker *worker, weir_error *err);

#endif
