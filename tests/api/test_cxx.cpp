/*
 * A C++ program links against the shared library and calls it: the headers give C linkage.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <weir/weir.h>

#include <cstdio>
#include <cstring>

int main()
{
    weir_error err;
    weir_error_init(&err);
    if (std::strcmp(weir_version(), WEIR_VERSION_STRING) != 0)
        return 1;
    if (weir_error_set(&err, WEIR_LOCKED, "%s", "held") != WEIR_LOCKED ||
        std::strcmp(err.message, "held") != 0)
        return 2;
    weir_slice left = weir_slice_of("a", 1);
    if (!weir_slice_equal(left, weir_slice_str("a")))
        return 3;
    const weir_backend *backend = nullptr;
    if (weir_backend_find("memory", &backend, &err) != WEIR_OK)
        return 4;
    std::printf("weir %s from C++, backend %s\n", weir_version(), backend->name);
    return 0;
}
