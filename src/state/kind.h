/*
 * The kinds of stores: what each keeps beside the column family "default". The families
 * of a kind are opened with the partition and have fixed numbers; docs/formats/state.md
 * says what is in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_KIND_H
#define WEIR_STATE_KIND_H

#include <weir/state.h>

/* Column families of a windowed store. */
enum {
    WEIR__CF_LATEST_TIMESTAMPS = 1,
    WEIR__CF_EXPIRATION_INDEX,
    WEIR__CF_DELETION_INDEX,
    WEIR__CF_VALUE_DELETION_INDEX,
    WEIR__CF_VALUES,
    WEIR__CF_WINDOWED_COUNTER,
    WEIR__CF_WINDOW_ENDS /* local */
};

/* Column families of a timestamped store. */
enum { WEIR__CF_MIN_ELIGIBLE_TIMESTAMPS = 1, WEIR__CF_TIMESTAMPED_COUNTER };

typedef struct weir__kind {
    const char *name;       /* "windowed"; stored with the state */
    const char *const *cfs; /* numbered from 1; ends with NULL */
    weir_cf counter_cf;     /* of the global counter; 0: the kind has none */
    const char *counter_key;
    weir_cf uncached_cfs[5]; /* ends with 0 */
} weir__kind;

/* Whether records of a family are not worth a place in the record cache: they are read by range
 * alone, or what they say is in memos (memo.h). */
bool weir__kind_is_uncached(const weir__kind *kind, weir_cf cf);

/* "windowed", for messages. */
const char *weir__kind_name(weir_store_kind kind);
/* The kind of that name; NULL: there is none. */
const weir__kind *weir__kind_find(weir_slice name);

/* What a store is, as its configuration says; what its kind does not have is 0. */
typedef struct weir__kind_options {
    weir_store_kind id;
    const weir__kind *kind;
    int64_t grace_ms;
    bool keep_duplicates;
    int64_t ttl_max_jump_ms;
    bool ttl_unmarked;
} weir__kind_options;

/* *options [out]. WEIR_INVALID: not a kind, or a value out of range; the message names the
 * store. */
weir_status weir__kind_options_read(const weir_store_config *config, weir__kind_options *options,
                                    weir_error *err);
/* Two definitions of one store must agree. WEIR_INVALID tells how they don't. stream_id may
 * be NULL. */
weir_status weir__kind_options_match(const weir__kind_options *a, const weir__kind_options *b,
                                     const char *store, const char *stream_id, weir_error *err);

/*
 * Whether what is in a column family stays out of the changelog, whatever the kind: it can
 * be made anew from what is in the others. No record of a changelog names such a family.
 */
bool weir__cf_is_local(const char *name);

#endif
