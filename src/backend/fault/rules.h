/*
 * The rules of the fault decorator: which call fails, when, how often and how.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_FAULT_RULES_H
#define WEIR_BACKEND_FAULT_RULES_H

#include <weir/backend.h>

#define WEIR__FAULT_RULES_MAX 8

/* "any" is each call on an open database. The order is that of the option's choices. */
typedef enum weir__fault_op {
    WEIR__FAULT_ANY,
    WEIR__FAULT_OPEN,
    WEIR__FAULT_CLOSE,
    WEIR__FAULT_DESTROY,
    WEIR__FAULT_CF_OPEN,
    WEIR__FAULT_CF_DROP,
    WEIR__FAULT_CF_LIST,
    WEIR__FAULT_GET,
    WEIR__FAULT_MULTI_GET,
    WEIR__FAULT_WRITE,
    WEIR__FAULT_ITER_OPEN,
    WEIR__FAULT_ITER_NEXT,
    WEIR__FAULT_ITER_SEEK,
    WEIR__FAULT_FLUSH,
    WEIR__FAULT_SNAPSHOT_OPEN,
    WEIR__FAULT_CHECKPOINT,
    WEIR__FAULT_COMPACT,
    WEIR__FAULT_OP_COUNT
} weir__fault_op;

#define WEIR__FAULT_OP_CHOICES                                                                     \
    "any|open|close|destroy|cf_open|cf_drop|cf_list|get|multi_get|write|iter_open|iter_next|"      \
    "iter_seek|flush|snapshot_open|checkpoint|compact"

#define WEIR__FAULT_ERROR_CHOICES                                                                  \
    "none|io|no_space|corrupted|fenced|busy|locked|permission|no_memory|unsupported|timeout|"      \
    "not_found"

typedef struct weir__fault_rule {
    weir__fault_op op;
    int64_t nth;   /* the first matching call that fails, from 1 */
    int64_t times; /* so many from there on; 0: for good */
    weir_status status;
    int64_t delay_ms; /* before it fails, or before it goes on if status is WEIR_OK */
    int64_t seen;     /* matching calls so far */
} weir__fault_rule;

typedef struct weir__fault_rules {
    size_t count;
    weir__fault_rule rules[WEIR__FAULT_RULES_MAX];
    bool has_space; /* writes fail once so many bytes have been written */
    int64_t space;  /* bytes left */
    uint64_t hits;  /* calls that failed or were delayed */
} weir__fault_rules;

/* What becomes of a call. */
typedef struct weir__fault_verdict {
    weir_status status; /* WEIR_OK: it goes on */
    int64_t delay_ms;
    int64_t number; /* which matching call it was */
} weir__fault_verdict;

/* "open", "write", …. Static. */
const char *weir__fault_op_name(weir__fault_op op, char *out, size_t size);
weir_status weir__fault_error_status(int64_t choice);

/*
 * Replaces the rules by text: rules separated by ';', of pairs separated by ',', with the
 * names of the options: "op=write,nth=3,error=io;op=get,delay_ms=5;space=1000".
 * WEIR_INVALID with the problem in `problem`; the rules are unchanged then.
 */
weir_status weir__fault_rules_parse(weir__fault_rules *rules, const char *text, char *problem,
                                    size_t problem_size);

/* Counts one call; bytes: what a write would add. */
weir__fault_verdict weir__fault_rules_judge(weir__fault_rules *rules, weir__fault_op op,
                                            uint64_t bytes);

#endif
