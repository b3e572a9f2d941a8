/*
 * The records of the benchmarks: which key comes when, and how a key is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BENCH_KEYS_H
#define WEIR_BENCH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bench_distribution { BENCH_UNIFORM, BENCH_ZIPF } bench_distribution;

/* `count` key numbers below `keys`, the same for the same arguments. Zipf has the exponent
 * 0.99, its frequent keys spread over all numbers. Freed with free(); NULL: no memory. */
uint32_t *bench_key_sequence(bench_distribution distribution, uint32_t keys, size_t count);
/* The numbers 0 to count - 1, each once, in random order. */
uint32_t *bench_key_shuffle(uint32_t count);

/* The record key of a number, "user-0001234", without NUL. */
#define BENCH_KEY_SIZE 12
void bench_key_text(uint32_t number, char *text);

/* The state key of the counter of a record key, as Weir lays it out: record key, '|', and the
 * name of the value as JSON. */
#define BENCH_VALUE_NAME     "count"
#define BENCH_STATE_KEY_TAIL "|\"count\""
#define BENCH_STATE_KEY_SIZE (BENCH_KEY_SIZE + sizeof(BENCH_STATE_KEY_TAIL) - 1)
void bench_state_key(uint32_t number, char *text);

/* A counter as decimal text. Returns its size; text has room for 20 bytes. */
size_t bench_format_counter(uint64_t value, char *text);
uint64_t bench_parse_counter(const char *text, size_t size);

#endif
