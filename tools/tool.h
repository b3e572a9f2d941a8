/*
 * The commands of `weir`, each a file of its own. A command gets its arguments without its own
 * name and returns the exit code: 0 done, 1 failed, 2 wrong arguments.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TOOLS_TOOL_H
#define WEIR_TOOLS_TOOL_H

#include <weir/backend.h>

enum { TOOL_DONE = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

int tool_backends(int count, char **args);
int tool_conformance(int count, char **args);
int tool_state(int count, char **args);

/* "weir: …" on stderr; each returns the exit code of its name. */
int tool_fail(const char *format, ...) WEIR_PRINTF(1, 2);
int tool_misuse(const char *format, ...) WEIR_PRINTF(1, 2);

/*
 * The backend of a name or of the path of a .so, which here may also lie in the current
 * folder: naming a file is asking for it. NULL: failed and told.
 */
const weir_backend *tool_find_backend(const char *spec);

#endif
