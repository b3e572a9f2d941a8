/*
 * The version of the library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <weir/base.h>

const char *weir_version(void)
{
    return WEIR_VERSION_STRING;
}
