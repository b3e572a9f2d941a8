/*
 * JSON as orjson writes and reads it, for what is short and frequent: None, booleans, integers,
 * floats with few digits, text, and lists and dicts of these. Whatever is not plain and certain is
 * left to orjson itself, errors too; nothing here runs any Python code.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

#include "native.h"

/* Digits of an integer that fits into 64 bits whatever they are. */
#define SAFE_DIGITS 18
/* Digits that a double keeps apart, and powers of ten that it holds exactly. */
#define DOUBLE_DIGITS 15
#define EXACT_POWERS  22
#define DEPTH_MAX     8
#define ITEMS_MAX     64

static const double powers[EXACT_POWERS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* --- Writing --- */

typedef struct writer {
    char *to;
    char *end;
} writer;

static bool write_value(writer *out, PyObject *value, int depth);

static bool write_bytes(writer *out, const char *text, size_t size)
{
    if ((size_t)(out->end - out->to) < size)
        return false;
    memcpy(out->to, text, size);
    out->to += size;
    return true;
}

static bool write_byte(writer *out, char c)
{
    if (out->to == out->end)
        return false;
    *out->to++ = c;
    return true;
}

static bool write_digits(writer *out, unsigned long long number)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return write_bytes(out, digits + at, sizeof digits - at);
}

static bool write_integer(writer *out, PyObject *value)
{
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0)
        return false;
    if (number >= 0)
        return write_digits(out, (unsigned long long)number);
    return write_byte(out, '-') && write_digits(out, 0ull - (unsigned long long)number);
}

/*
 * As an integer over a power of ten, if that has no more digits than a double keeps apart: then no
 * other text of so many digits, and no shorter one, means the same number.
 */
static bool find_decimals(double size, unsigned long long *number, unsigned *decimals)
{
    for (*decimals = 1; *decimals <= 8; ++*decimals) {
        double scaled = size * powers[*decimals];
        if (scaled >= 1e15 - 1)
            return false;
        *number = (unsigned long long)(scaled + 0.5);
        if ((double)*number / powers[*decimals] == size)
            return true;
    }
    return false;
}

static bool write_float(writer *out, double value)
{
    double size = fabs(value);
    unsigned long long number;
    unsigned decimals;
    if (size == 0 && !signbit(value))
        return write_bytes(out, "0.0", 3);
    if (!(size >= 1e-3) || !find_decimals(size, &number, &decimals))
        return false;
    unsigned long long unit = (unsigned long long)powers[decimals];
    if ((value < 0 && !write_byte(out, '-')) || !write_digits(out, number / unit) ||
        !write_byte(out, '.'))
        return false;
    unsigned long long rest = number % unit;
    for (unit /= 10; unit > 1 && rest < unit; unit /= 10)
        if (!write_byte(out, '0'))
            return false;
    return write_digits(out, rest);
}

static bool write_text(writer *out, PyObject *value)
{
    Py_ssize_t size;
    const char *text;
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
        text = (const char *)PyUnicode_1BYTE_DATA(value);
        size = PyUnicode_GET_LENGTH(value);
    } else {
        text = PyUnicode_AsUTF8AndSize(value, &size);
    }
    if (!text || out->end - out->to < size + 2) {
        PyErr_Clear(); /* surrogates: orjson says so */
        return false;
    }
    char *to = out->to;
    *to++ = '"';
    for (Py_ssize_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\')
            return false;
        *to++ = (char)c;
    }
    *to++ = '"';
    out->to = to;
    return true;
}

static bool write_list(writer *out, PyObject *value, int depth)
{
    Py_ssize_t count = PyList_GET_SIZE(value);
    if (!write_byte(out, '['))
        return false;
    for (Py_ssize_t i = 0; i < count; i++)
        if ((i > 0 && !write_byte(out, ',')) ||
            !write_value(out, PyList_GET_ITEM(value, i), depth + 1))
            return false;
    return write_byte(out, ']');
}

static bool write_dict(writer *out, PyObject *value, int depth)
{
    Py_ssize_t place = 0;
    PyObject *key;
    PyObject *item;
    char next = '{';
    if (PyDict_GET_SIZE(value) == 0)
        return write_bytes(out, "{}", 2);
    for (; PyDict_Next(value, &place, &key, &item); next = ',')
        if (!write_byte(out, next) || !PyUnicode_CheckExact(key) || !write_text(out, key) ||
            !write_byte(out, ':') || !write_value(out, item, depth + 1))
            return false;
    return write_byte(out, '}');
}

static bool write_value(writer *out, PyObject *value, int depth)
{
    if (PyLong_CheckExact(value))
        return write_integer(out, value);
    if (PyUnicode_CheckExact(value))
        return write_text(out, value);
    if (PyFloat_CheckExact(value))
        return write_float(out, PyFloat_AS_DOUBLE(value));
    if (value == Py_None)
        return write_bytes(out, "null", 4);
    if (value == Py_True)
        return write_bytes(out, "true", 4);
    if (value == Py_False)
        return write_bytes(out, "false", 5);
    if (depth == DEPTH_MAX)
        return false;
    if (PyDict_CheckExact(value))
        return write_dict(out, value, depth);
    return PyList_CheckExact(value) && write_list(out, value, depth);
}

size_t json_write(PyObject *value, char *text, size_t capacity)
{
    writer out = {text, text + capacity};
    return write_value(&out, value, 0) ? (size_t)(out.to - text) : 0;
}

/* --- Reading --- */

typedef struct reader {
    const char *at;
    const char *end;
} reader;

static PyObject *read_value(reader *in, int depth);

static bool take(reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static PyObject *read_literal(reader *in, const char *text, PyObject *value)
{
    size_t size = strlen(text);
    if ((size_t)(in->end - in->at) < size || memcmp(in->at, text, size) != 0)
        return NULL;
    in->at += size;
    Py_INCREF(value);
    return value;
}

/* Digits into *number; returns how many. */
static size_t read_digits(reader *in, unsigned long long *number)
{
    const char *begin = in->at;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++)
        if (in->at - begin < SAFE_DIGITS)
            *number = *number * 10 + (unsigned long long)(*in->at - '0');
    return (size_t)(in->at - begin);
}

static PyObject *read_number(reader *in)
{
    bool is_negative = take(in, '-');
    const char *first = in->at;
    unsigned long long number = 0;
    size_t digits = read_digits(in, &number);
    if (digits == 0 || digits > SAFE_DIGITS || (*first == '0' && digits > 1))
        return NULL;
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E'))
        return NULL;
    if (!take(in, '.')) {
        if (is_negative && number == 0)
            return NULL;
        return PyLong_FromLongLong(is_negative ? -(long long)number : (long long)number);
    }
    size_t decimals = read_digits(in, &number);
    bool has_exponent = in->at < in->end && (*in->at == 'e' || *in->at == 'E');
    if (decimals == 0 || digits + decimals > DOUBLE_DIGITS || has_exponent)
        return NULL;
    /* Both are exact, so the quotient is the nearest double. */
    double value = (double)number / powers[decimals];
    return PyFloat_FromDouble(is_negative ? -value : value);
}

/* Text of ASCII without escapes. */
static bool read_plain(reader *in, weir_slice *text)
{
    const char *begin = in->at + 1;
    for (const char *at = begin; at < in->end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"') {
            *text = weir_slice_of(begin, (size_t)(at - begin));
            in->at = at + 1;
            return true;
        }
        if (c < 0x20 || c >= 0x80 || c == '\\')
            return false;
    }
    return false;
}

static PyObject *read_text(reader *in)
{
    weir_slice text;
    return read_plain(in, &text) ? PyUnicode_DecodeASCII(text.data, (Py_ssize_t)text.size, NULL)
                                 : NULL;
}

/* Names of members come again and again: the latest are kept, with the hash that a dict needs. */
#define NAMES_KEPT    256
#define NAME_MAX_SIZE 24

static PyObject *read_name(reader *in)
{
    static PyObject *kept[NAMES_KEPT];
    weir_slice text;
    if (in->at == in->end || *in->at != '"' || !read_plain(in, &text))
        return NULL;
    if (text.size > NAME_MAX_SIZE)
        return PyUnicode_DecodeASCII(text.data, (Py_ssize_t)text.size, NULL);
    size_t place = text.size;
    for (size_t i = 0; i < text.size; i++)
        place = place * 31 + (unsigned char)((const char *)text.data)[i];
    PyObject **name = &kept[place % NAMES_KEPT];
    if (!*name || (size_t)PyUnicode_GET_LENGTH(*name) != text.size ||
        memcmp(PyUnicode_1BYTE_DATA(*name), text.data, text.size) != 0) {
        PyObject *made = PyUnicode_DecodeASCII(text.data, (Py_ssize_t)text.size, NULL);
        if (!made)
            return NULL;
        Py_XSETREF(*name, made);
    }
    Py_INCREF(*name);
    return *name;
}

static PyObject *read_list(reader *in, int depth)
{
    PyObject *items[ITEMS_MAX];
    Py_ssize_t count = 0;
    bool is_good = true;
    in->at++;
    while (is_good && !take(in, ']')) {
        is_good = count < ITEMS_MAX && (count == 0 || take(in, ',')) &&
                  (items[count] = read_value(in, depth + 1)) != NULL;
        count += is_good;
    }
    PyObject *list = is_good ? PyList_New(count) : NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (list)
            PyList_SET_ITEM(list, i, items[i]);
        else
            Py_DECREF(items[i]);
    }
    return list;
}

static PyObject *read_dict(reader *in, int depth)
{
    PyObject *dict = PyDict_New();
    in->at++;
    for (bool is_first = true; dict && !take(in, '}'); is_first = false) {
        PyObject *name = is_first || take(in, ',') ? read_name(in) : NULL;
        PyObject *value = name && take(in, ':') ? read_value(in, depth + 1) : NULL;
        if (!value || PyDict_SetItem(dict, name, value) != 0)
            Py_CLEAR(dict);
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *read_value(reader *in, int depth)
{
    char c = in->at < in->end ? *in->at : '\0';
    if (c == '"')
        return read_text(in);
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(in);
    if (c == 'n')
        return read_literal(in, "null", Py_None);
    if (c == 't')
        return read_literal(in, "true", Py_True);
    if (c == 'f')
        return read_literal(in, "false", Py_False);
    if (depth == DEPTH_MAX)
        return NULL;
    if (c == '{')
        return read_dict(in, depth);
    return c == '[' ? read_list(in, depth) : NULL;
}

PyObject *json_read(weir_slice data)
{
    reader in = {data.data, (const char *)data.data + data.size};
    PyObject *value = data.size > 0 ? read_value(&in, 0) : NULL;
    if (value && in.at != in.end)
        Py_CLEAR(value);
    return value;
}
