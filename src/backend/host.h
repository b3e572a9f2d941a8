/*
 * What the host offers to every backend (weir_backend_host), and the answers of methods
 * that a backend may leave out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_HOST_H
#define WEIR_BACKEND_HOST_H

#include <weir/backend.h>

extern const weir_backend_host weir__backend_host;

/* Fills in the missing optional methods that need no state: they answer WEIR_UNSUPPORTED. */
void weir__backend_complete(weir_backend *table);

#endif
