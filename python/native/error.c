/*
 * Status codes as exceptions, and log events as calls of Python.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "native.h"

static PyObject *base_error;

bool errors_init(PyObject *module)
{
    base_error = PyErr_NewExceptionWithDoc(
        "weirstreams.WeirError",
        "An operation on state failed. `status` is the name of the code in weir/base.h.",
        PyExc_RuntimeError, NULL);
    if (!base_error)
        return false;
    Py_INCREF(base_error);
    if (PyModule_AddObject(module, "WeirError", base_error) == 0)
        return true;
    Py_DECREF(base_error);
    return false;
}

/* Borrowed. */
static PyObject *class_of(const char *status)
{
    PyObject *found = native.errors ? PyDict_GetItemString(native.errors, status) : NULL;
    return found ? found : base_error;
}

/* A new exception object with its status. */
static PyObject *make(weir_status status, PyObject *message)
{
    const char *name = weir_status_name(status);
    PyObject *exception = PyObject_CallFunctionObjArgs(class_of(name), message, NULL);
    PyObject *text = exception ? PyUnicode_FromString(name) : NULL;
    if (!text || PyObject_SetAttrString(exception, "status", text) != 0)
        Py_CLEAR(exception);
    Py_XDECREF(text);
    return exception;
}

PyObject *raise_text(weir_status status, const char *text)
{
    if (status == WEIR_NO_MEMORY)
        return PyErr_NoMemory();
    PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    PyObject *exception = message ? make(status, message) : NULL;
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(message);
    Py_XDECREF(exception);
    return NULL;
}

PyObject *raise_status(weir_status status, const weir_error *err)
{
    bool is_told = err && err->status == status && err->message[0];
    return raise_text(status, is_told ? err->message : weir_status_text(status));
}

PyObject *raise_serialization(const char *what, PyObject *value)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return NULL;
    PyObject *type;
    PyObject *cause;
    PyObject *traceback;
    PyErr_Fetch(&type, &cause, &traceback);
    PyErr_NormalizeException(&type, &cause, &traceback);
    if (traceback)
        PyException_SetTraceback(cause, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);

    PyObject *text = PyObject_Str(value);
    if (!text) {
        PyErr_Clear();
        text = PyUnicode_FromString(Py_TYPE(value)->tp_name);
    }
    PyObject *message =
        text ? PyUnicode_FromFormat("Failed to %s value: \"%U\"", what, text) : NULL;
    PyObject *exception = message ? make(WEIR_SERIALIZATION, message) : NULL;
    if (exception) {
        Py_INCREF(cause);
        PyException_SetContext(exception, cause);
        PyException_SetCause(exception, cause);
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    } else {
        Py_DECREF(cause);
    }
    Py_XDECREF(text);
    Py_XDECREF(message);
    Py_XDECREF(exception);
    return NULL;
}

#if PY_VERSION_HEX >= 0x030d0000
#define is_finalizing() Py_IsFinalizing()
#else
#define is_finalizing() _Py_IsFinalizing()
#endif

/* Called with the interpreter lock or without; an exception that is set stays set. */
void log_to_python(weir_log_level level, const char *event, const char *message, void *arg)
{
    (void)arg;
    if (!Py_IsInitialized() || is_finalizing())
        return;
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (native.log) {
        PyObject *result = PyObject_CallFunction(native.log, "iss", (int)level, event, message);
        if (!result)
            PyErr_WriteUnraisable(native.log);
        Py_XDECREF(result);
    }
    PyErr_Restore(type, value, traceback);
    PyGILState_Release(gil);
}
