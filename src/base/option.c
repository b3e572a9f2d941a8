/*
 * Option tables: text to typed values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/number.h"

size_t weir__option_count(const weir_option_spec *specs)
{
    size_t count = 0;
    while (specs && specs[count].name)
        count++;
    return count;
}

int weir__option_find(const weir_option_spec *specs, const char *name)
{
    for (int i = 0; specs && specs[i].name; i++) {
        if (strcmp(specs[i].name, name) == 0)
            return i;
    }
    return -1;
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"off", "on"}, {"no", "yes"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int meaning = 0; meaning <= 1; meaning++) {
            if (strcasecmp(text, words[i][meaning]) == 0) {
                *value = meaning == 1;
                return true;
            }
        }
    }
    return false;
}

/* A decimal integer at the beginning of text; *rest is what follows it. */
static bool parse_integer(const char *text, int64_t *value, const char **rest)
{
    const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
    if (digits[0] < '0' || digits[0] > '9')
        return false;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *value = number;
    *rest = end;
    return errno == 0;
}

static bool parse_size(const char *text, int64_t *value)
{
    static const char *const units[][3] = {{"k", "m", "g"}, {"KiB", "MiB", "GiB"}};
    const char *rest;
    if (!parse_integer(text, value, &rest) || *value < 0)
        return false;
    if (rest[0] == '\0')
        return true;
    for (size_t i = 0; i < 2; i++) {
        for (int unit = 0; unit < 3; unit++) {
            if (strcasecmp(rest, units[i][unit]) != 0)
                continue;
            int shift = 10 * (unit + 1);
            if (*value > INT64_MAX >> shift)
                return false;
            *value = (int64_t)((uint64_t)*value << shift);
            return true;
        }
    }
    return false;
}

/* The index of text among "a|b|c", or -1. */
static int64_t find_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);
    const char *at = choices;
    for (int64_t index = 0;; index++) {
        size_t choice_size = strcspn(at, "|");
        if (choice_size == size && memcmp(at, text, size) == 0)
            return index;
        if (at[choice_size] == '\0')
            return -1;
        at += choice_size + 1;
    }
}

static const char *type_text(weir_option_type type)
{
    switch (type) {
    case WEIR_OPTION_BOOL:
        return "true or false";
    case WEIR_OPTION_INT:
        return "an integer";
    case WEIR_OPTION_SIZE:
        return "a size in bytes, such as 4096, 64KiB, 8MiB or 1GiB";
    case WEIR_OPTION_DOUBLE:
        return "a number";
    case WEIR_OPTION_STRING:
        return "a text";
    case WEIR_OPTION_CHOICE:
        return "one of";
    }
    return "of a type that this version knows";
}

static bool parse_value(const weir_option_spec *spec, const char *text, weir_option_value *value)
{
    const char *rest = "";
    switch (spec->type) {
    case WEIR_OPTION_BOOL:
        return parse_bool(text, &value->boolean);
    case WEIR_OPTION_INT:
        return parse_integer(text, &value->integer, &rest) && rest[0] == '\0';
    case WEIR_OPTION_SIZE:
        return parse_size(text, &value->integer);
    case WEIR_OPTION_DOUBLE:
        return weir__number_read_double(text, strlen(text), &value->number) == WEIR_OK;
    case WEIR_OPTION_STRING:
        value->string = text;
        return true;
    case WEIR_OPTION_CHOICE:
        value->string = text;
        value->integer = find_choice(spec->choices, text);
        return value->integer >= 0;
    }
    return false;
}

static bool is_in_range(const weir_option_spec *spec, const weir_option_value *value)
{
    if (spec->minimum == 0 && spec->maximum == 0)
        return true;
    if (spec->type == WEIR_OPTION_INT || spec->type == WEIR_OPTION_SIZE)
        return (double)value->integer >= spec->minimum && (double)value->integer <= spec->maximum;
    if (spec->type == WEIR_OPTION_DOUBLE)
        return value->number >= spec->minimum && value->number <= spec->maximum;
    return true;
}

static weir_status set_value(const char *owner, const weir_option_spec *spec, const char *text,
                             weir_option_value *value, weir_error *err)
{
    if (!parse_value(spec, text, value))
        return weir_error_set(err, WEIR_INVALID, "%s: option \"%s\" must be %s%s%s, not \"%s\"",
                              owner, spec->name, type_text(spec->type),
                              spec->type == WEIR_OPTION_CHOICE ? " " : "",
                              spec->type == WEIR_OPTION_CHOICE ? spec->choices : "", text);
    if (!is_in_range(spec, value))
        return weir_error_set(err, WEIR_INVALID,
                              "%s: option \"%s\" must be from %.15g to %.15g, not %s", owner,
                              spec->name, spec->minimum, spec->maximum, text);
    return WEIR_OK;
}

static weir_status unknown_option(const char *owner, const weir_option_spec *specs, const char *key,
                                  weir_error *err)
{
    if (weir__option_count(specs) == 0)
        return weir_error_set(err, WEIR_INVALID, "%s: there is no option \"%s\": it has no options",
                              owner, key);
    weir__buffer known = {0};
    weir_status status = WEIR_OK;
    for (size_t i = 0; specs[i].name && status == WEIR_OK; i++)
        status = weir__buffer_printf(&known, "%s%s", i > 0 ? ", " : "", specs[i].name);
    status =
        weir_error_set(err, WEIR_INVALID, "%s: there is no option \"%s\"; the options are %.*s",
                       owner, key, (int)known.size, known.data ? (const char *)known.data : "");
    weir__buffer_release(&known);
    return status;
}

static weir_status set_default(const char *owner, const weir_option_spec *spec,
                               weir_option_value *value, weir_error *err)
{
    *value = (weir_option_value){0};
    if (spec->default_value)
        return set_value(owner, spec, spec->default_value, value, err);
    if (spec->type == WEIR_OPTION_STRING)
        return WEIR_OK;
    return weir_error_set(err, WEIR_INVALID, "%s: the table gives no default for option \"%s\"",
                          owner, spec->name);
}

/* A key may be given again, as by two sources of options, but not with another value. */
static weir_status check_repeated(const char *owner, const weir_option *pairs, size_t index,
                                  weir_error *err)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(pairs[i].key, pairs[index].key) == 0 &&
            strcmp(pairs[i].value, pairs[index].value) != 0)
            return weir_error_set(err, WEIR_INVALID,
                                  "%s: option \"%s\" is given twice, as \"%s\" and as \"%s\"",
                                  owner, pairs[i].key, pairs[i].value, pairs[index].value);
    }
    return WEIR_OK;
}

weir_status weir__option_parse(const char *owner, const weir_option_spec *specs,
                               const weir_option *pairs, weir_option_value *values, weir_error *err)
{
    size_t count = weir__option_count(specs);
    for (size_t i = 0; i < count; i++) {
        weir_status status = set_default(owner, &specs[i], &values[i], err);
        if (status != WEIR_OK)
            return status;
    }
    for (size_t i = 0; pairs && pairs[i].key; i++) {
        int row = weir__option_find(specs, pairs[i].key);
        if (row < 0)
            return unknown_option(owner, specs, pairs[i].key, err);
        if (!pairs[i].value)
            return weir_error_set(err, WEIR_INVALID, "%s: option \"%s\" has no value", owner,
                                  pairs[i].key);
        weir_status status = check_repeated(owner, pairs, i, err);
        if (status == WEIR_OK)
            status = set_value(owner, &specs[row], pairs[i].value, &values[row], err);
        if (status != WEIR_OK)
            return status;
        values[row].is_set = true;
    }
    return WEIR_OK;
}
