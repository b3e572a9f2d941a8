/*
 * The records of the benchmarks: which key comes when, and how a key is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64, by Sebastiano Vigna (public domain). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double next_unit(uint64_t *state)
{
    return (double)(next_random(state) >> 11) * 0x1.0p-53;
}

/* Zipf's law by the method of Gray et al., "Quickly generating billion-record synthetic
 * databases" (1994), as YCSB does it. */
typedef struct zipf {
    double keys;
    double zeta;
    double alpha;
    double eta;
} zipf;

#define ZIPF_EXPONENT 0.99

static zipf zipf_of(uint32_t keys)
{
    zipf law = {.keys = keys, .alpha = 1 / (1 - ZIPF_EXPONENT)};
    for (uint32_t i = 1; i <= keys; i++)
        law.zeta += pow(i, -ZIPF_EXPONENT);
    double zeta_2 = 1 + pow(2, -ZIPF_EXPONENT);
    law.eta = (1 - pow(2 / law.keys, 1 - ZIPF_EXPONENT)) / (1 - zeta_2 / law.zeta);
    return law;
}

static uint64_t zipf_rank(const zipf *law, double u)
{
    double uz = u * law->zeta;
    if (uz < 1)
        return 0;
    if (uz < 1 + pow(0.5, ZIPF_EXPONENT))
        return 1;
    uint64_t rank = (uint64_t)(law->keys * pow(law->eta * u - law->eta + 1, law->alpha));
    return rank < (uint64_t)law->keys ? rank : (uint64_t)law->keys - 1;
}

uint32_t *bench_key_sequence(bench_distribution distribution, uint32_t keys, size_t count)
{
    uint64_t state = 42;
    uint32_t *sequence = malloc((count ? count : 1) * sizeof(*sequence));
    if (!sequence)
        return NULL;
    zipf law = {0};
    if (distribution == BENCH_ZIPF)
        law = zipf_of(keys);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = next_random(&state) % keys;
        /* A prime spreads the ranks: neighbours in rank are not neighbours in order. */
        if (distribution == BENCH_ZIPF)
            number = zipf_rank(&law, next_unit(&state)) * UINT64_C(2654435761) % keys;
        sequence[i] = (uint32_t)number;
    }
    return sequence;
}

uint32_t *bench_key_shuffle(uint32_t count)
{
    uint64_t state = 43;
    uint32_t *sequence = malloc((count ? count : 1) * sizeof(*sequence));
    for (uint32_t i = 0; sequence && i < count; i++)
        sequence[i] = i;
    for (uint32_t i = count; sequence && i > 1; i--) {
        uint32_t other = (uint32_t)(next_random(&state) % i);
        uint32_t swapped = sequence[i - 1];
        sequence[i - 1] = sequence[other];
        sequence[other] = swapped;
    }
    return sequence;
}

void bench_key_text(uint32_t number, char *text)
{
    static const char head[] = {'u', 's', 'e', 'r', '-'};
    memcpy(text, head, sizeof(head));
    for (size_t i = BENCH_KEY_SIZE - 1; i >= sizeof(head); i--) {
        text[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

void bench_state_key(uint32_t number, char *text)
{
    bench_key_text(number, text);
    memcpy(text + BENCH_KEY_SIZE, BENCH_STATE_KEY_TAIL, sizeof(BENCH_STATE_KEY_TAIL) - 1);
}

size_t bench_format_counter(uint64_t value, char *text)
{
    char digits[20];
    size_t size = 0;
    do {
        digits[size++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < size; i++)
        text[i] = digits[size - 1 - i];
    return size;
}

uint64_t bench_parse_counter(const char *text, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return value;
}
