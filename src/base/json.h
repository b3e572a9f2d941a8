/*
 * JSON in the form that Quix Streams' default dumps writes: that of orjson, compact,
 * UTF-8, members in the order given, doubles in their shortest form that reads back
 * the same (1.0, 1e+16, 1e-7), integers from −2^63 to 2^64−1. That is how orjson 3.13 writes; older
 * ones leave the '+' out, which every reader takes too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include "base/buffer.h"

/* All append to out; on failure out is as before. What is read must not lie in out. */
weir_status weir__json_write_int(weir__buffer *out, int64_t value);
/* WEIR_SERIALIZATION for NaN and infinity. */
weir_status weir__json_write_double(weir__buffer *out, double value, weir_error *err);
/* With quotes and escapes. WEIR_SERIALIZATION: not UTF-8. */
weir_status weir__json_write_string(weir__buffer *out, weir_slice text, weir_error *err);
/* Checks JSON text and appends it in orjson's form. WEIR_SERIALIZATION names line and column. */
weir_status weir__json_write_canonical(weir__buffer *out, weir_slice json, weir_error *err);

/* Each reads a whole JSON text of one value. WEIR_SERIALIZATION: another type, out of
 * range, or not JSON; the message quotes the beginning of the text. */
weir_status weir__json_read_int(weir_slice json, int64_t *value, weir_error *err);
weir_status weir__json_read_double(weir_slice json, double *value, weir_error *err);
/* Appends the decoded text to out. */
weir_status weir__json_read_string(weir_slice json, weir__buffer *out, weir_error *err);

/* Walks {"name":integer,…} as in __processed_tp_offsets__; JSON null has no members.
 * name is borrowed for the call and NUL-terminated. A status of visit that is not OK ends the walk
 * and is returned, with err as it was. WEIR_SERIALIZATION as above. */
weir_status weir__json_each_int(weir_slice json,
                                weir_status (*visit)(const char *name, int64_t value, void *arg),
                                void *arg, weir_error *err);

#endif
