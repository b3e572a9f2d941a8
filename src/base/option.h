/*
 * Option tables: key=value text checked and turned into typed values by the rows
 * of a weir_option_spec table (weir/backend.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_OPTION_H
#define WEIR_BASE_OPTION_H

#include <weir/backend.h>

/* Rows of a table; NULL has none. */
size_t weir__option_count(const weir_option_spec *specs);

/*
 * Fills values[i] for each row from its default, then from the pairs. `owner` is for
 * messages ("backend rocksdb"). WEIR_INVALID: unknown key (the message lists the known
 * ones), a value of the wrong type or out of range (the message tells both), a key
 * given twice with different values. Strings are borrowed from the pairs and the table.
 */
weir_status weir__option_parse(const char *owner, const weir_option_spec *specs,
                               const weir_option *pairs, weir_option_value *values,
                               weir_error *err);
/* The row of a name, or -1. */
int weir__option_find(const weir_option_spec *specs, const char *name);

/* A deep copy of an array of pairs (NULL copies to an empty array). NULL: no memory. */
weir_option *weir__option_copy(const weir_option *pairs);
void weir__option_free(weir_option *pairs);
/* The value of the last pair with that key, or NULL. */
const char *weir__option_get(const weir_option *pairs, const char *key);

#endif
