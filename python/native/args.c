/*
 * Arguments of functions that are called for each record: positional or by name, without the
 * cost of a format string.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

static bool intern_names(arg_spec *spec)
{
    for (Py_ssize_t i = 0; i < spec->count; i++) {
        spec->interned[i] = PyUnicode_InternFromString(spec->names[i]);
        if (!spec->interned[i])
            return false;
    }
    return true;
}

static Py_ssize_t find_name(const arg_spec *spec, PyObject *name)
{
    for (Py_ssize_t i = 0; i < spec->count; i++)
        if (spec->interned[i] == name)
            return i;
    for (Py_ssize_t i = 0; i < spec->count; i++)
        if (PyUnicode_Compare(spec->interned[i], name) == 0)
            return i;
    return -1;
}

bool args_take(arg_spec *spec, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
               PyObject **out)
{
    if (spec->count > 0 && !spec->interned[spec->count - 1] && !intern_names(spec))
        return false;
    if (nargs > spec->count) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)",
                     spec->function, spec->count, nargs);
        return false;
    }
    for (Py_ssize_t i = 0; i < spec->count; i++)
        out[i] = i < nargs ? args[i] : NULL;
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        Py_ssize_t place = find_name(spec, name);
        if (place < 0 || out[place]) {
            PyErr_Format(PyExc_TypeError, "%s() got %s argument '%U'", spec->function,
                         place < 0 ? "an unexpected" : "two values for the", name);
            return false;
        }
        out[place] = args[nargs + i];
    }
    for (Py_ssize_t i = 0; i < spec->required; i++)
        if (!out[i]) {
            PyErr_Format(PyExc_TypeError, "%s() missing the argument '%s'", spec->function,
                         spec->names[i]);
            return false;
        }
    return true;
}

bool args_ms(PyObject *given, int64_t *ms)
{
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(given, &overflow);
    if (value == -1 && overflow == 0 && PyErr_Occurred())
        return false;
    *ms = overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : value;
    return true;
}

bool args_options(PyObject *given, weir_option *pairs, size_t max)
{
    Py_ssize_t place = 0;
    size_t count = 0;
    PyObject *key;
    PyObject *value;
    while (PyDict_Next(given, &place, &key, &value)) {
        if (count == max) {
            PyErr_SetString(PyExc_ValueError, "too many options");
            return false;
        }
        if (!PyUnicode_Check(key) || !PyUnicode_Check(value)) {
            PyErr_SetString(PyExc_TypeError, "names and values of options must be str");
            return false;
        }
        pairs[count].key = PyUnicode_AsUTF8(key);
        pairs[count].value = PyUnicode_AsUTF8(value);
        if (!pairs[count].key || !pairs[count].value)
            return false;
        count++;
    }
    pairs[count] = (weir_option){NULL, NULL};
    return true;
}

bool args_offsets(PyObject *given, weir_topic_offset *offsets, size_t *count)
{
    *count = 0;
    if (!given || given == Py_None)
        return true;
    if (!PyDict_Check(given) || PyDict_GET_SIZE(given) > TOPICS_MAX) {
        PyErr_Format(PyExc_TypeError, "offsets must be a dict of at most %d topics", TOPICS_MAX);
        return false;
    }
    Py_ssize_t place = 0;
    PyObject *topic;
    PyObject *offset;
    while (PyDict_Next(given, &place, &topic, &offset)) {
        weir_topic_offset *to = &offsets[(*count)++];
        to->topic = PyUnicode_AsUTF8(topic);
        to->offset = to->topic ? PyLong_AsLongLong(offset) : -1;
        if (PyErr_Occurred())
            return false;
    }
    return true;
}
