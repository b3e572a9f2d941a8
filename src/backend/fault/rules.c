/*
 * The rules of the fault decorator. See rules.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/fault/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const weir_status error_statuses[] = {
    WEIR_OK,     WEIR_IO,         WEIR_NO_SPACE,  WEIR_CORRUPTED,   WEIR_FENCED,  WEIR_BUSY,
    WEIR_LOCKED, WEIR_PERMISSION, WEIR_NO_MEMORY, WEIR_UNSUPPORTED, WEIR_TIMEOUT, WEIR_NOT_FOUND,
};

weir_status weir__fault_error_status(int64_t choice)
{
    return error_statuses[choice];
}

const char *weir__fault_op_name(weir__fault_op op, char *out, size_t size)
{
    const char *at = WEIR__FAULT_OP_CHOICES;
    for (int i = 0; i < (int)op; i++)
        at += strcspn(at, "|") + 1;
    snprintf(out, size, "%.*s", (int)strcspn(at, "|"), at);
    return out;
}

/* The index of text among "a|b|c", or -1. */
static int64_t choice_of(const char *choices, const char *text)
{
    int64_t index = 0;
    for (const char *at = choices;; index++) {
        size_t size = strcspn(at, "|");
        if (strlen(text) == size && strncmp(at, text, size) == 0)
            return index;
        if (at[size] == '\0')
            return -1;
        at += size + 1;
    }
}

static bool parse_number(const char *text, int64_t minimum, int64_t *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *value = number;
    return end != text && *end == '\0' && errno == 0 && number >= minimum;
}

/* One "name=value" of a rule. */
static bool parse_pair(weir__fault_rules *rules, weir__fault_rule *rule, bool *is_rule,
                       const char *name, const char *value)
{
    int64_t choice;
    if (strcmp(name, "space") == 0) {
        rules->has_space = true;
        return parse_number(value, 0, &rules->space);
    }
    *is_rule = true;
    if (strcmp(name, "op") == 0) {
        choice = choice_of(WEIR__FAULT_OP_CHOICES, value);
        rule->op = (weir__fault_op)choice;
        return choice >= 0;
    }
    if (strcmp(name, "error") == 0) {
        choice = choice_of(WEIR__FAULT_ERROR_CHOICES, value);
        rule->status = choice >= 0 ? error_statuses[choice] : WEIR_OK;
        return choice >= 0;
    }
    if (strcmp(name, "nth") == 0)
        return parse_number(value, 1, &rule->nth);
    if (strcmp(name, "times") == 0)
        return parse_number(value, 0, &rule->times);
    if (strcmp(name, "delay_ms") == 0)
        return parse_number(value, 0, &rule->delay_ms);
    return false;
}

static weir_status parse_rule(weir__fault_rules *rules, char *text, char *problem,
                              size_t problem_size)
{
    weir__fault_rule rule = {.op = WEIR__FAULT_ANY, .nth = 1, .times = 1, .status = WEIR_IO};
    bool is_rule = false;
    char *rest = text;
    for (char *pair = strsep(&rest, ","); pair != NULL; pair = strsep(&rest, ",")) {
        char *value = strchr(pair, '=');
        if (value != NULL)
            *value++ = '\0';
        if (value == NULL || !parse_pair(rules, &rule, &is_rule, pair, value)) {
            snprintf(problem, problem_size,
                     "fault rule: '%s' with value '%s' is not one of op=" WEIR__FAULT_OP_CHOICES
                     ", nth≥1, times≥0, error=" WEIR__FAULT_ERROR_CHOICES ", delay_ms≥0, space≥0",
                     pair, value != NULL ? value : "");
            return WEIR_INVALID;
        }
    }
    if (!is_rule)
        return WEIR_OK;
    if (rules->count == WEIR__FAULT_RULES_MAX) {
        snprintf(problem, problem_size, "more than %d fault rules", WEIR__FAULT_RULES_MAX);
        return WEIR_INVALID;
    }
    rules->rules[rules->count++] = rule;
    return WEIR_OK;
}

weir_status weir__fault_rules_parse(weir__fault_rules *rules, const char *text, char *problem,
                                    size_t problem_size)
{
    weir__fault_rules made = {.hits = rules->hits};
    char *copy = strdup(text);
    if (copy == NULL) {
        snprintf(problem, problem_size, "no memory for a fault rule");
        return WEIR_NO_MEMORY;
    }
    weir_status status = WEIR_OK;
    char *rest = copy;
    for (char *rule = strsep(&rest, ";"); status == WEIR_OK && rule != NULL;
         rule = strsep(&rest, ";"))
        if (rule[0] != '\0')
            status = parse_rule(&made, rule, problem, problem_size);
    free(copy);
    if (status == WEIR_OK)
        *rules = made;
    return status;
}

static bool is_on_open_database(weir__fault_op op)
{
    return op != WEIR__FAULT_OPEN && op != WEIR__FAULT_CLOSE && op != WEIR__FAULT_DESTROY;
}

weir__fault_verdict weir__fault_rules_judge(weir__fault_rules *rules, weir__fault_op op,
                                            uint64_t bytes)
{
    weir__fault_verdict verdict = {WEIR_OK, 0, 0};
    for (size_t i = 0; i < rules->count; i++) {
        weir__fault_rule *rule = &rules->rules[i];
        if (rule->op != op && (rule->op != WEIR__FAULT_ANY || !is_on_open_database(op)))
            continue;
        rule->seen++;
        if (rule->seen < rule->nth || (rule->times > 0 && rule->seen - rule->nth >= rule->times))
            continue;
        verdict.delay_ms += rule->delay_ms;
        if (verdict.status == WEIR_OK) {
            verdict.status = rule->status;
            verdict.number = rule->seen;
        }
    }
    if (verdict.status == WEIR_OK && rules->has_space && op == WEIR__FAULT_WRITE) {
        if (bytes > (uint64_t)rules->space)
            verdict.status = WEIR_NO_SPACE;
        else
            rules->space -= (int64_t)bytes;
    }
    if (verdict.status != WEIR_OK || verdict.delay_ms > 0)
        rules->hits++;
    return verdict;
}
