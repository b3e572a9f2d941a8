/*
 * TTL of plain stores: values that expire in event time.
 *
 * The partition is either off (values stand in the database as they were set), or on (each
 * has a stamp of 8 bytes before it, ttl_codec.h). A transaction that sets the first value
 * with a TTL turns it on. If the store holds values by then, it is partial from there on:
 * what is written is stamped, the rest is stamped in steps of bounded size, one at each
 * prepare, until none is left. The ledger, a local column family, names all keys whose values
 * are stamped meanwhile; so a kill at any point loses nothing, and nothing is ever guessed.
 *
 * In a transaction (and in the gathered records of a recovery) every value of "default" has
 * its stamp, whether the partition is on or off; what is off leaves it out as it writes.
 *
 * Local, in "__metadata__" (the names __ttl_… are those of Quix Streams):
 *   __ttl_enabled__               01: on
 *   __ttl_format_version__        integer, 2
 *   __ttl_high_water_ms__         integer: the event time that the state has reached
 *   __ttl_backfill_in_progress__  01: partial
 *   __weir_ttl_marked__           01: the changelog marks values with a stamp, as Weir does
 *   __weir_ttl_cursor__           partial: the last key, in order, up to which all is stamped
 * In "__ttl_system__", which is in the changelog too:
 *   __ttl_migration_done__        integer, 2: no value is unstamped
 * Local families: "__ttl_index__" (see ttl_codec.h), "__ttl_backfill_stamped__" (the ledger).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_TTL_H
#define WEIR_STATE_TTL_H

#include <weir/backend.h>
#include <weir/state.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "state/ttl_codec.h"

#define WEIR__CF_TTL_SYSTEM "__ttl_system__"
#define WEIR__TTL_PREFIX    "__ttl_"
#define WEIR__TTL_ENABLED   WEIR__TTL_PREFIX "enabled__" /* in the metadata: TTL is on */
#define WEIR__TTL_DONE_KEY  "__ttl_migration_done__"
/* Ops of a batch: for each change at most these, and these beside all changes. */
#define WEIR__TTL_CHANGE_OPS 4u
#define WEIR__TTL_BATCH_OPS  7u

/* TTL of a partition. */
typedef struct weir__ttl {
    bool is_possible; /* a plain store */
    bool is_on;
    bool is_partial;
    /* Values in the changelog may be stamped without a mark: it was written by Quix Streams
     * before 3.28. Told by the configuration, or by what the folder holds. */
    bool is_unmarked;
    int64_t max_jump_ms;
    size_t step_keys;        /* that a checkpoint looks at, beside twice as many as it changes */
    int64_t clock;           /* event time that the state has reached; WEIR_TIME_NONE */
    uint64_t swept;          /* the index has no expiry below this one */
    weir_backend_cf *index;  /* NULL until on */
    weir_backend_cf *ledger; /* NULL unless partial */
    weir__buffer cursor;     /* empty unless partial */
} weir__ttl;

/* Reads what is stored; partition->ttl has its configuration. */
weir_status weir__ttl_load(weir_partition *partition, weir_error *err);
void weir__ttl_release(weir__ttl *ttl);
/* Once nothing is partial, and no iterator is open. A failure is logged: what is left behind
 * does no harm, and goes when the partition is opened next. */
void weir__ttl_drop_ledger(weir_partition *partition);

/* True when the values of a family have stamps, in transactions and (when on) stored. */
static inline bool weir__ttl_applies(const weir__ttl *ttl, weir_cf cf)
{
    return cf == WEIR_CF_DEFAULT && ttl->is_possible;
}

static inline bool weir__ttl_is_expired(uint64_t expiry, int64_t clock)
{
    return clock >= 0 && expiry <= (uint64_t)clock; /* never is above any time */
}

/* A value of "default" as the database holds it. *expiry, *value [out]; *is_stamped [out]:
 * it has a stamp, as all have in the record cache. */
weir_status weir__ttl_read(const weir_partition *partition, weir_slice key, weir_slice stored,
                           uint64_t *expiry, weir_slice *value, bool *is_stamped, weir_error *err);
/* The expiry of what the database holds under a key of "default". *expiry [out]: never also
 * where there is nothing; *is_there [out]. The partition is on. */
weir_status weir__ttl_committed(const weir_partition *partition, weir_slice key, uint64_t hash,
                                uint64_t *expiry, bool *is_there, weir_error *err);
/* Whether "default" holds anything. */
weir_status weir__ttl_is_empty(const weir_partition *partition, bool *is_empty, weir_error *err);

/* --- Writing --- */

/* A change of the index. */
typedef struct weir__ttl_entry weir__ttl_entry;

/* A batch to a partition that is on, or that it turns on. */
typedef struct weir__ttl_batch {
    weir_backend_op *ops; /* room for what follows; the caller adds its own too */
    size_t count;
    weir__ttl_entry *entries; /* the last one; they join ops at the end, in the order of keys */
    size_t entry_count;
    weir__arena *arena; /* for keys of the index; until the batch is written */
    bool turns_on;
    bool becomes_partial;
    bool finishes;     /* nothing is unstamped after this batch */
    int64_t clock;     /* after it; WEIR_TIME_NONE: as it was */
    weir_slice cursor; /* after it; data NULL: as it was */
    uint64_t swept;    /* it takes all entries below from the index; 0: none */
    uint64_t earliest; /* of the entries that it adds to the index */
} weir__ttl_batch;

/* Opens the families that the batch needs. */
weir_status weir__ttl_batch_begin(weir_partition *partition, weir__ttl_batch *batch,
                                  weir_error *err);
/*
 * What stands beside a change of "default": its entry in the index instead of the old one, and
 * in the ledger. stored: with its stamp; NULL: deleted. old: the expiry of what it replaces;
 * never if that is not known, and then a stale entry of the index is left to the sweep.
 */
weir_status weir__ttl_batch_change(weir_partition *partition, weir__ttl_batch *batch,
                                   weir_slice key, const weir_slice *stored, uint64_t old,
                                   weir_error *err);
/* The same for a change of a transaction, which knows what it replaces. */
weir_status weir__ttl_batch_update(weir_partition *partition, weir__ttl_batch *batch,
                                   weir_slice key, uint64_t hash, const weir_slice *stored,
                                   weir_error *err);
/* An entry of the index that belongs to no value, and that no change of the batch is about. */
weir_status weir__ttl_batch_drop(weir_partition *partition, weir__ttl_batch *batch,
                                 weir_slice entry, weir_error *err);
/* Adds the changes of the index and the metadata: the last step before the batch is written. */
weir_status weir__ttl_batch_end(weir_partition *partition, weir__ttl_batch *batch, weir_error *err);
/* The batch is in the database. */
void weir__ttl_batch_done(weir_partition *partition, const weir__ttl_batch *batch);

#endif
