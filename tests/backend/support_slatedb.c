/*
 * See support_slatedb.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_slatedb.h"

#include "support/plugins.h"

bool slatedb_prepare(void)
{
    return test_plugin_is_built("slatedb");
}
