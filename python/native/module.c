/*
 * weirstreams._native: the module, and what the package tells it once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include <weir/backend.h>

#include "native.h"

native_config native;

static void count_fork(void)
{
    fork_count++;
}

/* Takes a value of the dict, if it is there. */
static void take(PyObject *from, const char *name, PyObject **to)
{
    PyObject *given = PyDict_GetItemString(from, name);
    if (!given)
        return;
    Py_INCREF(given);
    Py_XSETREF(*to, given == Py_None ? NULL : given);
    if (given == Py_None)
        Py_DECREF(given);
}

static PyObject *configure(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    if (PyTuple_GET_SIZE(args) > 0 || !kwargs) {
        PyErr_SetString(PyExc_TypeError, "configure() takes named arguments only");
        return NULL;
    }
    PyObject *errors = PyDict_GetItemString(kwargs, "errors");
    PyObject *statuses = PyDict_GetItemString(kwargs, "statuses");
    if ((errors && !PyDict_Check(errors)) ||
        (statuses && !(PyTuple_Check(statuses) && PyTuple_GET_SIZE(statuses) == 4))) {
        PyErr_SetString(PyExc_TypeError, "errors is a dict, statuses a tuple of four");
        return NULL;
    }
    take(kwargs, "errors", &native.errors);
    take(kwargs, "statuses", &native.statuses);
    take(kwargs, "dumps", &native.dumps);
    take(kwargs, "loads", &native.loads);
    take(kwargs, "orjson_dumps", &native.orjson_dumps);
    take(kwargs, "orjson_loads", &native.orjson_loads);
    take(kwargs, "orjson_option", &native.orjson_option);
    take(kwargs, "log", &native.log);
    weir_log_set(native.log ? log_to_python : NULL, NULL);
    Py_RETURN_NONE;
}

static PyObject *set_log_level(PyObject *module, PyObject *argument)
{
    (void)module;
    long level = PyLong_AsLong(argument);
    if (level == -1 && PyErr_Occurred())
        return NULL;
    if (level < WEIR_LOG_ERROR || level > WEIR_LOG_TRACE)
        return PyErr_Format(PyExc_ValueError, "a log level is 0 to 4, not %ld", level);
    weir_log_set_level((weir_log_level)level);
    Py_RETURN_NONE;
}

static PyObject *find_backend(PyObject *module, PyObject *argument)
{
    (void)module;
    const char *name = PyUnicode_AsUTF8(argument);
    if (!name)
        return NULL;
    const weir_backend *backend;
    weir_error err;
    weir_error_init(&err);
    weir_status status;
    Py_BEGIN_ALLOW_THREADS status = weir_backend_find(name, &backend, &err);
    Py_END_ALLOW_THREADS if (status != WEIR_OK) return raise_status(status, &err);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS,
     "Sets exception classes, statuses, the default JSON and the log callback."},
    {"set_log_level", set_log_level, METH_O, "0 error, 1 warn, 2 info, 3 debug, 4 trace."},
    {"find_backend", find_backend, METH_O, "Raises if there is no backend of this name or path."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "weirstreams._native",
    .m_doc = "Weir's state layer for Python.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void);

PyMODINIT_FUNC PyInit__native(void)
{
    static bool is_counting;
    if (!is_counting && pthread_atfork(NULL, NULL, count_fork) != 0)
        return PyErr_NoMemory();
    is_counting = true;
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    if (errors_init(module) && partition_init_type(module) && items_init_type(module) &&
        transaction_init_type(module) && state_init_type(module) && window_init_types(module) &&
        timestamped_init_type(module) && reader_init_type(module) &&
        PyModule_AddIntConstant(module, "PLAIN", WEIR_STORE_PLAIN) == 0 &&
        PyModule_AddIntConstant(module, "WINDOWED", WEIR_STORE_WINDOWED) == 0 &&
        PyModule_AddIntConstant(module, "TIMESTAMPED", WEIR_STORE_TIMESTAMPED) == 0 &&
        PyModule_AddStringConstant(module, "WEIR_VERSION", weir_version()) == 0)
        return module;
    Py_DECREF(module);
    return NULL;
}
