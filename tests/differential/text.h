/*
 * The text of operations and answers, for the main program; see driver.h for the rest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TESTS_DIFFERENTIAL_TEXT_H
#define WEIR_TESTS_DIFFERENTIAL_TEXT_H

#include <stdio.h>

#include "driver.h"

/* Cuts a line in place and forgets what was decoded before. */
void op_split(op *o, char *line);
/* The bytes of a field, with a NUL behind them; valid until the next op_split. */
weir_slice text_decode(const char *field);
/* "ok" so far. */
void answer_begin(void);
void answer_print(FILE *file);
/* Writes bytes as a field. */
void text_write(FILE *file, weir_slice bytes);

#endif
