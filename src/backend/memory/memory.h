/*
 * The backend "memory": state in the memory of the process, gone when it is closed.
 * A store on it is rebuilt from its changelog at each start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_MEMORY_MEMORY_H
#define WEIR_BACKEND_MEMORY_MEMORY_H

#include <weir/backend.h>

/* The method table. Static. Any thread. */
const weir_backend *weir__backend_memory(void);

#endif
