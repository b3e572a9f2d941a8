/*
 * Numbers as decimal text, the same in every locale.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_NUMBER_H
#define WEIR_BASE_NUMBER_H

#include <weir/base.h>

/* Room that `out` of the writers below must have. None of them writes a NUL. */
#define WEIR__NUMBER_SIZE 32

/* Decimal digits; returns how many bytes. */
size_t weir__number_write_u64(char *out, uint64_t value);
size_t weir__number_write_i64(char *out, int64_t value);

/*
 * The shortest decimal that reads back as the same double, and of several as short the one
 * closest to it, in the form that orjson writes: 1.0, 0.00001, 1e-6, 1000000000000000.0, 1e+16,
 * -0.0. value is finite. Returns how many bytes.
 */
size_t weir__number_write_double(char *out, double value);

/*
 * Reads `[+-]digits[.digits][e[+-]digits]`, rounded to nearest. WEIR_INVALID: not of this form;
 * WEIR_TOO_LARGE: beyond the largest double; WEIR_NO_MEMORY: thousands of digits and no memory for
 * them. *value [out], 0 on failure.
 */
weir_status weir__number_read_double(const char *text, size_t size, double *value);

#endif
