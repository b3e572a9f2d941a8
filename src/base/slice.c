/*
 * Byte slices.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <weir/base.h>

weir_slice weir_slice_str(const char *string)
{
    return weir_slice_of(string, strlen(string));
}

int weir_slice_compare(weir_slice a, weir_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    /* memcmp must not see NULL, which an empty slice may hold. */
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool weir_slice_equal(weir_slice a, weir_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
