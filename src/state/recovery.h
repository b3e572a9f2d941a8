/*
 * The parts of recovery: the rule that says which changelog records are applied, and
 * the removal of local content before a rebuild.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_RECOVERY_H
#define WEIR_STATE_RECOVERY_H

#include "state/partition.h"
#include "state/update_cache.h"

/* Offsets by topic, few of them. */
typedef struct weir__offset_table {
    weir_topic_offset *items; /* the topics are owned copies */
    size_t count;
    size_t capacity;
} weir__offset_table;

void weir__offset_table_release(weir__offset_table *table);
/* Adds or replaces. WEIR_NO_MEMORY leaves the table as it was. */
weir_status weir__offset_table_set(weir__offset_table *table, const char *topic, int64_t offset);
/* NULL: not in the table. Borrowed until the next set. */
const int64_t *weir__offset_table_get(const weir__offset_table *table, const char *topic);

/*
 * The skip rule: a record is skipped if its header __processed_tp_offsets__ holds, for
 * any topic that has a start, an offset ≥ that start. Records of one checkpoint carry
 * the same bytes, so the decision is kept and made once for each header that differs
 * from the one before.
 */
typedef struct weir__recovery_rule {
    weir__offset_table start;
    weir__buffer header; /* the header decided last; empty: none */
    bool decision;       /* for it: apply */
    weir__offset_table pending;
    /* The processed offsets that the records applied so far tell, the latest of each
     * topic, on top of what was stored when recovery began. */
    weir__offset_table processed;
    bool processed_changed;
} weir__recovery_rule;

/* *rule is all zero bytes before; release it also on failure. WEIR_INVALID: a start
 * below 0. */
weir_status weir__recovery_rule_init(weir__recovery_rule *rule, const weir_partition *partition,
                                     const weir_topic_offset *start, size_t count, weir_error *err);
void weir__recovery_rule_release(weir__recovery_rule *rule);
/* *apply [out]. data NULL: the record has no such header. WEIR_CORRUPTED: malformed. */
weir_status weir__recovery_rule_decide(weir__recovery_rule *rule, const char *data, size_t size,
                                       bool *apply, weir_error *err);
/* Forgets what was seen and stored: local content is gone. */
void weir__recovery_rule_forget(weir__recovery_rule *rule);

/* What a recovery sees of TTL: recovery_ttl.c. */
typedef struct weir__recovery_ttl {
    bool turns_on;    /* a record says that values are stamped */
    int64_t unmarked; /* values without a mark that could be stamped ones, */
    int64_t plain;    /* and that could not */
    weir__arena arena;
} weir__recovery_ttl;

/* Takes a record in. Values of "default" are gathered with a stamp, be it "never". */
weir_status weir__recovery_gather(weir_partition *partition, weir__recovery_ttl *ttl,
                                  weir__update_cache *gathered, weir_cf cf,
                                  const weir_changelog_record *record);
/* The ops of a batch of all that was gathered, sorted, without the offsets; there is room for
 * `more` behind them. */
weir_status weir__recovery_fill(weir_partition *partition, weir__recovery_ttl *ttl,
                                weir__update_cache *gathered, size_t more, weir__ttl_batch *batch,
                                weir_error *err);
/* A WARN if the changelog looks like one whose values are stamped without a mark. */
void weir__recovery_ttl_hint(const weir_partition *partition, const weir__recovery_ttl *ttl);

/*
 * Deletes everything the partition holds, in every column family, the stored offsets
 * last: killed at any point, it is found with its old offsets and cleared again.
 */
weir_status weir__recovery_clear(weir_partition *partition, weir_error *err);

#endif
