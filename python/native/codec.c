/*
 * Values as bytes and back. The application's dumps and loads decide. Where they are the default
 * JSON of Quix Streams (orjson), what is short and frequent (integers, plain text, true, false,
 * null) is written and read here, with the same bytes, and the rest goes to orjson itself, without
 * a Python frame between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "native.h"

/* Digits of an integer that fits into 64 bits whatever they are. */
#define SAFE_DIGITS 18

void encoded_release(encoded *out)
{
    Py_CLEAR(out->held);
}

static void hold_text(encoded *out, size_t size)
{
    out->held = NULL;
    out->slice = weir_slice_of(out->text, size);
}

static bool hold_literal(encoded *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out->text, text, size);
    hold_text(out, size);
    return true;
}

/* --- Writing --- */

static bool dump_integer(PyObject *value, encoded *out)
{
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0 || (number == -1 && PyErr_Occurred())) {
        PyErr_Clear();
        return false;
    }
    unsigned long long rest =
        number < 0 ? 0ull - (unsigned long long)number : (unsigned long long)number;
    char digits[24];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    size_t size = 0;
    if (number < 0)
        out->text[size++] = '-';
    while (count > 0)
        out->text[size++] = digits[--count];
    hold_text(out, size);
    return true;
}

/* Text of ASCII without anything that JSON escapes. */
static bool dump_plain_text(PyObject *value, encoded *out)
{
    if (!PyUnicode_IS_COMPACT_ASCII(value))
        return false;
    size_t size = (size_t)PyUnicode_GET_LENGTH(value);
    if (size > sizeof(out->text) - 2)
        return false;
    const unsigned char *text = PyUnicode_1BYTE_DATA(value);
    char *to = out->text;
    *to++ = '"';
    for (size_t i = 0; i < size; i++) {
        if (text[i] < 0x20 || text[i] == '"' || text[i] == '\\')
            return false;
        *to++ = (char)text[i];
    }
    *to = '"';
    hold_text(out, size + 2);
    return true;
}

/* False without an exception: orjson has to do it. */
static bool dump_shortcut(PyObject *value, encoded *out)
{
    if (value == Py_None)
        return hold_literal(out, "null");
    if (value == Py_True || value == Py_False)
        return hold_literal(out, value == Py_True ? "true" : "false");
    if (PyLong_CheckExact(value))
        return dump_integer(value, out);
    return PyUnicode_CheckExact(value) && dump_plain_text(value, out);
}

static PyObject *call_dumps(const value_codec *codec, PyObject *value)
{
    if (codec->dumps != native.dumps || !native.orjson_dumps)
        return PyObject_CallFunctionObjArgs(codec->dumps, value, NULL);
    PyObject *arguments[] = {NULL, value, Py_None, native.orjson_option};
    return PyObject_Vectorcall(native.orjson_dumps, arguments + 1,
                               3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

bool codec_dumps(const value_codec *codec, PyObject *value, encoded *out)
{
    out->held = NULL;
    if (codec->dumps == native.dumps && dump_shortcut(value, out))
        return true;
    PyObject *bytes = call_dumps(codec, value);
    if (!bytes) {
        raise_serialization("serialize", value);
        return false;
    }
    if (!PyBytes_Check(bytes)) {
        Py_DECREF(bytes);
        raise_text(WEIR_SERIALIZATION, "Value must be bytes: dumps returned something else");
        return false;
    }
    out->held = bytes;
    out->slice = weir_slice_of(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return true;
}

bool codec_key(const value_codec *codec, PyObject *key, encoded *out)
{
    if (!PyBytes_Check(key))
        return codec_dumps(codec, key, out);
    Py_INCREF(key);
    out->held = key;
    out->slice = weir_slice_of(PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key));
    return true;
}

/* --- Reading --- */

static PyObject *load_integer(const char *text, size_t size)
{
    bool is_negative = text[0] == '-';
    size_t i = is_negative ? 1 : 0;
    size_t digits = size - i;
    if (digits == 0 || digits > SAFE_DIGITS || (text[i] == '0' && (digits > 1 || is_negative)))
        return NULL;
    long long number = 0;
    for (; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return NULL;
        number = number * 10 + (text[i] - '0');
    }
    return PyLong_FromLongLong(is_negative ? -number : number);
}

static PyObject *load_plain_text(const char *text, size_t size)
{
    if (size < 2 || text[size - 1] != '"')
        return NULL;
    for (size_t i = 1; i < size - 1; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            return NULL;
    }
    return PyUnicode_DecodeASCII(text + 1, (Py_ssize_t)(size - 2), NULL);
}

static bool is_literal(weir_slice data, const char *text)
{
    return data.size == strlen(text) && memcmp(data.data, text, data.size) == 0;
}

static PyObject *new_reference(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

/* NULL without an exception: orjson has to do it. */
static PyObject *load_shortcut(weir_slice data)
{
    const char *text = data.data;
    if (data.size == 0)
        return NULL;
    if (text[0] == '"')
        return load_plain_text(text, data.size);
    if (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))
        return load_integer(text, data.size);
    if (is_literal(data, "null"))
        return new_reference(Py_None);
    if (is_literal(data, "true"))
        return new_reference(Py_True);
    return is_literal(data, "false") ? new_reference(Py_False) : NULL;
}

static bool is_default(const value_codec *codec)
{
    return codec->loads == native.loads && native.orjson_loads;
}

PyObject *codec_load_begin(const value_codec *codec, weir_slice data, bool *is_value)
{
    PyObject *value = is_default(codec) ? load_shortcut(data) : NULL;
    *is_value = value != NULL;
    if (value || PyErr_Occurred())
        return value;
    return PyBytes_FromStringAndSize(data.data, (Py_ssize_t)data.size);
}

PyObject *codec_load_end(const value_codec *codec, PyObject *bytes)
{
    PyObject *loads = is_default(codec) ? native.orjson_loads : codec->loads;
    PyObject *value = PyObject_CallFunctionObjArgs(loads, bytes, NULL);
    if (!value)
        raise_serialization("deserialize", bytes);
    Py_DECREF(bytes);
    return value;
}

PyObject *codec_loads(const value_codec *codec, PyObject *bytes)
{
    weir_slice data = weir_slice_of(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    PyObject *value = is_default(codec) ? load_shortcut(data) : NULL;
    if (!value && !PyErr_Occurred())
        return codec_load_end(codec, bytes);
    Py_DECREF(bytes);
    return value;
}
