/*
 * The decorator "fault": lets chosen calls of the backend behind it fail or take long, once,
 * several times or for good. docs/backends.md has the options.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_FAULT_FAULT_H
#define WEIR_BACKEND_FAULT_FAULT_H

#include <weir/backend.h>

/* The method table. Static. Any thread. */
const weir_backend *weir__backend_fault(void);

#endif
