/*
 * A local folder that holds a database: making it, the small files of the host in it, and
 * one way to tell what the file system refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_BACKEND_FOLDER_H
#define WEIR_BACKEND_FOLDER_H

#include <weir/base.h>

/* "scheme://…". */
bool weir__is_url(const char *location);

/*
 * Fills err with "can't WHAT PATH: why", and what to do about it, from an errno; returns
 * PERMISSION, NO_SPACE, INVALID (a part of the path is no folder), NO_MEMORY or IO.
 */
weir_status weir__folder_error(int number, const char *what, const char *path, weir_error *err);

/* Makes a folder with its parents; one that is there already is fine. */
weir_status weir__folder_make(const char *path, weir_error *err);

/* Removes all that is in a folder, but for what is the host's ("weir.*"). Links are not followed.
 */
weir_status weir__folder_clear(const char *path, weir_error *err);

/* "FOLDER/NAME", to be freed. NULL: no memory. */
char *weir__folder_join(const char *folder, const char *name);

/*
 * Replaces a small file wholly or not at all, also when power is lost: written beside it,
 * synced, renamed, and the folder synced.
 */
weir_status weir__file_replace(const char *folder, const char *name, weir_slice content,
                               weir_error *err);

/* A member of a flat JSON object: a string (text ends with NUL), or an integer (text NULL). */
typedef void (*weir__flat_json_fn)(const char *name, const char *text, int64_t integer, void *arg);

/* Walks {"name":"text","other":1}; members of other types are passed over. WEIR_SERIALIZATION. */
weir_status weir__flat_json_each(weir_slice json, weir__flat_json_fn visit, void *arg,
                                 weir_error *err);

#endif
