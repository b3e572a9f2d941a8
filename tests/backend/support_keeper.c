/*
 * The backend "keeper". See support_keeper.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_keeper.h"

#include <stdio.h>
#include <stdlib.h>

#include <weir/backend.h>

void keeper_register(void)
{
    static weir_backend keeper;
    const weir_backend *memory;
    weir_error err;
    weir_error_init(&err);
    weir_status status = weir_backend_find("memory", &memory, &err);
    if (status == WEIR_OK) {
        keeper = *memory;
        keeper.name = "keeper";
        keeper.capabilities |= WEIR_CAP_PERSISTENT;
        status = weir_backend_register(&keeper, &err);
    }
    if (status == WEIR_OK)
        return;
    fprintf(stderr, "keeper: %s\n", err.message);
    exit(1);
}
