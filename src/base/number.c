/*
 * Numbers as decimal text.
 *
 * The C library rounds correctly but knows only fixed precision, and takes its decimal point from
 * the locale. Both are worked around here: text that goes through printf or strtod is written as an
 * integer with an exponent, which needs no point.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/number.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number as mantissa × 10^exponent. */
typedef struct decimal {
    uint64_t mantissa;
    int exponent;
} decimal;

/* The powers of ten that a double holds exactly. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define LARGEST_EXACT_POWER   22
#define LARGEST_EXACT_INTEGER (UINT64_C(1) << 53)

size_t weir__number_write_u64(char *out, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

size_t weir__number_write_i64(char *out, int64_t value)
{
    if (value >= 0)
        return weir__number_write_u64(out, (uint64_t)value);
    out[0] = '-';
    return 1 + weir__number_write_u64(out + 1, UINT64_C(0) - (uint64_t)value);
}

/* The double nearest to a decimal, where mantissa and power of ten are exact as doubles: then one
 * operation rounds, as the C library would. False: they are not. */
static bool find_exactly(decimal number, double *value)
{
    if (number.mantissa > LARGEST_EXACT_INTEGER || number.exponent < -LARGEST_EXACT_POWER ||
        number.exponent > LARGEST_EXACT_POWER)
        return false;
    *value = number.exponent < 0 ? (double)number.mantissa / exact_powers[-number.exponent]
                                 : (double)number.mantissa * exact_powers[number.exponent];
    return true;
}

/*
 * Numbers with few decimal places, the most usual ones, without the C library. With at most 15
 * digits no other decimal as short reads back as the same double.
 */
static bool find_short_decimal(double value, decimal *found)
{
    for (int places = 0; places <= 6; places++) {
        double scaled = value * exact_powers[places];
        if (scaled >= 1e15)
            return false;
        double again;
        *found = (decimal){(uint64_t)(scaled + 0.5), -places};
        if (find_exactly(*found, &again) && again == value)
            return true;
    }
    return false;
}

static bool reads_back(decimal number, double value)
{
    double found;
    if (find_exactly(number, &found))
        return found == value;
    char text[WEIR__NUMBER_SIZE];
    snprintf(text, sizeof(text), "%" PRIu64 "e%d", number.mantissa, number.exponent);
    return strtod(text, NULL) == value;
}

/* value rounded to so many significant digits. */
static decimal round_to_digits(double value, int digits)
{
    char text[WEIR__NUMBER_SIZE * 2];
    snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    decimal number = {0, 1 - digits};
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9')
            number.mantissa = number.mantissa * 10 + (uint64_t)(*at - '0');
    }
    number.exponent += atoi(at + 1);
    return number;
}

static decimal find_shortest_decimal(double value)
{
    decimal number;
    if (find_short_decimal(value, &number))
        return number;
    /* Up to 15 digits always survive a normal double, so fewer need not be tried: rounding to 15
     * gives them with zeros behind. Near the subnormal range precision is lost digit by digit. */
    int digits = value < DBL_MIN * 16 ? 1 : 15;
    int exponent;
    bool is_power_of_two = frexp(value, &exponent) == 0.5;
    for (; digits < 17; digits++) {
        number = round_to_digits(value, digits);
        if (reads_back(number, value))
            return number;
        /* The doubles below a power of two lie half as far away as those above it. So the
         * nearest decimal, below, may read back as another double while the next one above does
         * not. */
        number.mantissa++;
        if (is_power_of_two && reads_back(number, value))
            return number;
    }
    return round_to_digits(value, 17);
}

/* "de+x" or "d.ddde-x", x without leading zeros. */
static size_t write_scientific(char *out, const char *digits, size_t count, int exponent)
{
    char *at = out;
    *at++ = digits[0];
    if (count > 1) {
        *at++ = '.';
        memcpy(at, digits + 1, count - 1);
        at += count - 1;
    }
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    at += weir__number_write_u64(at, (uint64_t)abs(exponent));
    return (size_t)(at - out);
}

/* Without exponent; `point` is where the decimal point stands, counted from the first digit. */
static size_t write_positional(char *out, const char *digits, size_t count, int point)
{
    char *at = out;
    if (point <= 0) {
        memcpy(at, "0.00000", (size_t)(2 - point));
        at += 2 - point;
        memcpy(at, digits, count);
        return (size_t)(at - out) + count;
    }
    size_t whole = (size_t)point < count ? (size_t)point : count;
    memcpy(at, digits, whole);
    at += whole;
    memset(at, '0', (size_t)point - whole);
    at += (size_t)point - whole;
    *at++ = '.';
    if (whole == count) {
        *at++ = '0';
    } else {
        memcpy(at, digits + whole, count - whole);
        at += count - whole;
    }
    return (size_t)(at - out);
}

size_t weir__number_write_double(char *out, double value)
{
    char *at = out;
    if (signbit(value)) {
        *at++ = '-';
        value = -value;
    }
    if (value == 0) {
        memcpy(at, "0.0", 3);
        return (size_t)(at - out) + 3;
    }
    decimal number = find_shortest_decimal(value);
    while (number.mantissa % 10 == 0) {
        number.mantissa /= 10;
        number.exponent++;
    }
    char digits[WEIR__NUMBER_SIZE];
    size_t count = weir__number_write_u64(digits, number.mantissa);
    int point = (int)count + number.exponent;
    if (point > -5 && point <= 16)
        at += write_positional(at, digits, count, point);
    else
        at += write_scientific(at, digits, count, point - 1);
    return (size_t)(at - out);
}

/* What the text of a number consists of. Digits with the point taken out are those of
 * text[whole_at…) and text[fraction_at…), to be multiplied by 10^exponent. */
typedef struct number_parts {
    bool is_negative;
    const char *whole;
    size_t whole_size;
    const char *fraction;
    size_t fraction_size;
    int64_t exponent;
} number_parts;

static size_t count_digits(const char *at, const char *end)
{
    const char *begin = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - begin);
}

/* Reads what follows the 'e'. Far outside the range of doubles the exact value is of no matter. */
static const char *split_exponent(const char *at, const char *end, number_parts *parts)
{
    bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    size_t count = count_digits(at, end);
    if (count == 0)
        return NULL;
    int64_t exponent = 0;
    for (size_t i = 0; i < count; i++) {
        if (exponent < INT64_C(1000000000000))
            exponent = exponent * 10 + (at[i] - '0');
    }
    parts->exponent += is_negative ? -exponent : exponent;
    return at + count;
}

static bool split_number(const char *text, size_t size, number_parts *parts)
{
    const char *at = text;
    const char *end = text + size;
    *parts = (number_parts){0};
    parts->is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    parts->whole = at;
    parts->whole_size = count_digits(at, end);
    at += parts->whole_size;
    if (parts->whole_size == 0)
        return false;
    if (at < end && *at == '.') {
        at++;
        parts->fraction = at;
        parts->fraction_size = count_digits(at, end);
        at += parts->fraction_size;
        if (parts->fraction_size == 0)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E'))
        at = split_exponent(at + 1, end, parts);
    parts->exponent -= (int64_t)parts->fraction_size;
    return at == end;
}

/* Numbers of few digits, the most usual ones, without the C library. */
static bool read_short(const number_parts *parts, double *value)
{
    if (parts->whole_size + parts->fraction_size > 18 || parts->exponent < -LARGEST_EXACT_POWER ||
        parts->exponent > LARGEST_EXACT_POWER)
        return false;
    decimal number = {0, (int)parts->exponent};
    for (size_t i = 0; i < parts->whole_size; i++)
        number.mantissa = number.mantissa * 10 + (uint64_t)(parts->whole[i] - '0');
    for (size_t i = 0; i < parts->fraction_size; i++)
        number.mantissa = number.mantissa * 10 + (uint64_t)(parts->fraction[i] - '0');
    return find_exactly(number, value);
}

static weir_status read_with_strtod(const number_parts *parts, double *value)
{
    char small[256];
    size_t digits = parts->whole_size + parts->fraction_size;
    size_t size = digits + WEIR__NUMBER_SIZE;
    char *text = size <= sizeof(small) ? small : malloc(size);
    if (!text)
        return WEIR_NO_MEMORY;
    memcpy(text, parts->whole, parts->whole_size);
    if (parts->fraction_size > 0)
        memcpy(text + parts->whole_size, parts->fraction, parts->fraction_size);
    snprintf(text + digits, WEIR__NUMBER_SIZE, "e%" PRId64, parts->exponent);
    *value = strtod(text, NULL);
    if (text != small)
        free(text);
    if (!isfinite(*value)) {
        *value = 0;
        return WEIR_TOO_LARGE;
    }
    return WEIR_OK;
}

weir_status weir__number_read_double(const char *text, size_t size, double *value)
{
    number_parts parts;
    *value = 0;
    if (!split_number(text, size, &parts))
        return WEIR_INVALID;
    if (!read_short(&parts, value)) {
        weir_status status = read_with_strtod(&parts, value);
        if (status != WEIR_OK)
            return status;
    }
    if (parts.is_negative)
        *value = -*value;
    return WEIR_OK;
}
