/*
 * The decorator "trace": counts each call of the backend behind it by kind, with bytes,
 * failures and time, and logs each call at TRACE. docs/backends.md has the names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_TRACE_TRACE_H
#define WEIR_BACKEND_TRACE_TRACE_H

#include <weir/backend.h>

/* The method table. Static. Any thread. */
const weir_backend *weir__backend_trace(void);

#endif
