/*
 * Where state lies: {state_dir}/{group}/{store}/{stream_id?}/{partition}, one folder for
 * each database, as Quix Streams has it; and the names that may be part of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_STATE_FOLDER_H
#define WEIR_STATE_FOLDER_H

#include <weir/base.h>

/* A store's name: [A-Za-z0-9._-]+, at most 200 bytes, not "." or "..". WEIR_INVALID. */
weir_status weir__store_name_check(const char *name, weir_error *err);
/* A consumer group or stream id as one folder: any bytes but '/' and control characters,
 * at most 255, not "." or "..". `what` is for the message. WEIR_INVALID. */
weir_status weir__folder_name_check(const char *what, const char *name, weir_error *err);

/* "{state_dir}/{group}"; NULL: no memory. Freed by the caller, both. */
char *weir__group_folder(const char *state_dir, const char *group);
char *weir__partition_folder(const char *state_dir, const char *group, const char *store,
                             const char *stream_id, int32_t partition);

/*
 * Calls visit for each folder at or below root that holds a file of the host ("weir.*"),
 * innermost first. visit may empty the folder. A negative return ends the walk and is
 * returned. root is not there: WEIR_OK.
 */
weir_status weir__folder_each_database(const char *root,
                                       weir_status (*visit)(const char *folder, void *arg,
                                                            weir_error *err),
                                       void *arg, weir_error *err);
/* Removes a folder and all in it, without following links. Not there: WEIR_OK. */
weir_status weir__folder_remove(const char *root, weir_error *err);

#endif
