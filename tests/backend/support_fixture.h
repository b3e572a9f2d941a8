/*
 * What the tests of src/backend share: folders of their own, databases, and the log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_FIXTURE_H
#define TESTS_BACKEND_SUPPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/database.h"

/* A new empty folder under $TMPDIR or /tmp, to be removed with fixture_remove. */
char *fixture_folder(void);
/* Removes a folder with all in it, and frees the path. NULL is allowed. */
void fixture_remove(char *folder);
/* "FOLDER/NAME" in a static buffer; eight of them live at a time. */
const char *fixture_path(const char *folder, const char *name);
/* Writes a file; fails the test if it can't. */
void fixture_write(const char *folder, const char *name, const char *content);
/* Reads a file into a static buffer, "" if it is not there. */
const char *fixture_read(const char *folder, const char *name);

/* A configuration of a database that is created, with the label "store=s partition=0". */
weir__database_config fixture_config(const char *spec, const char *location,
                                     const weir_option *options);
/* Opens a database or fails the test. */
weir__database *fixture_open(const char *spec, const char *location, const weir_option *options);
void fixture_close(weir__database *database);

/* One change in the family "default"; value NULL deletes. */
weir_status fixture_put(weir__database *database, const char *key, const char *value,
                        weir_error *err);
/* The value of a key of "default" in a static buffer, or NULL. */
const char *fixture_get(weir__database *database, const char *key);

/* Catches the log from now on; what was caught before is forgotten. The threshold is TRACE. */
void fixture_log_catch(void);
/* How many lines of an event were caught whose message holds `part` (NULL: any). */
size_t fixture_log_count(const char *event, const char *part);
/* The message of the last line of an event, or "". Valid until the next catch. */
const char *fixture_log_last(const char *event);
/* Gives the log back to stderr. */
void fixture_log_release(void);

/* The message holds the part, or the test fails and shows it. */
void assert_tells(const weir_error *err, const char *part);

#endif
