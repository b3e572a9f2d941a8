/*
 * The registered backends, and how plugins become part of them. The public side is at
 * the end of weir/backend.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_REGISTRY_H
#define WEIR_BACKEND_REGISTRY_H

#include <weir/backend.h>

/*
 * Copies min(struct_size) of what a backend gave, clears the rest and checks it: a
 * missing required method, a capability without its method, a name or an option table
 * that can't be right are WEIR_INVALID, another abi_version is WEIR_VERSION. origin is
 * for messages: "built in", or the path of a plugin. *copy [out].
 */
weir_status weir__backend_validate(const weir_backend *given, const char *origin,
                                   weir_backend *copy, weir_error *err);

/* --- loader.c --- */

/*
 * Loads the plugin at `path` and returns what its entry gives, not yet validated. Refuses
 * a file, or a folder that holds it, which others than root and this user may write to.
 * *resolved [out]: the real path, to be freed. *library [out]: for unload, if what it gives
 * turns out not to be usable. WEIR_NOT_FOUND fills err here.
 */
weir_status weir__plugin_load(const char *path, char **resolved, void **library,
                              const weir_backend **given, weir_error *err);
void weir__plugin_unload(void *library);
/* The path at which a plugin of that name lies, to be freed, or NULL. What WEIR_BACKEND_PATH
 * names and is not searched is told at WARN. */
char *weir__plugin_find(const char *name);
/* The folders that are searched, separated by ", ", for messages, and those of WEIR_BACKEND_PATH
 * that are not. */
void weir__plugin_folders(char *text, size_t size);
/* Calls visit for the name of each plugin file in those folders. */
void weir__plugin_each(void (*visit)(const char *name, void *arg), void *arg);

#endif
