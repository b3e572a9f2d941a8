/*
 * Values as bytes and back. The application's dumps and loads decide. Where they are the default
 * JSON of Quix Streams (orjson), what is short and plain is written and read here (json.c), with
 * the same bytes, and the rest goes to orjson itself, without a Python frame between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

void encoded_release(encoded *out)
{
    Py_CLEAR(out->held);
}

/* --- Writing --- */

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
    size_t size =
        codec->dumps == native.dumps ? json_write(value, out->text, sizeof(out->text)) : 0;
    if (size > 0) {
        out->slice = weir_slice_of(out->text, size);
        return true;
    }
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

static bool is_default(const value_codec *codec)
{
    return codec->loads == native.loads && native.orjson_loads;
}

PyObject *codec_load_begin(const value_codec *codec, weir_slice data, bool *is_value)
{
    PyObject *value = is_default(codec) ? json_read(data) : NULL;
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
    PyObject *value = is_default(codec) ? json_read(data) : NULL;
    if (!value && !PyErr_Occurred())
        return codec_load_end(codec, bytes);
    Py_DECREF(bytes);
    return value;
}
