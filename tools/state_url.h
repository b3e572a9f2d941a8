/*
 * The part of a target (state_target in state.h) that is at a URL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TOOLS_STATE_URL_H
#define WEIR_TOOLS_STATE_URL_H

#include "state.h"

/* Refuses a place where there is other state, removes what a copy of other databases left, and
 * marks a place for each of resumes. An exit code, and told. */
int state_url_begin(state_target *target, const state_list *resumes);
weir_status state_url_open(state_target *target, const char *name, state_store *store,
                           weir_error *err);
/* The database has all its rows. */
weir_status state_url_copied(const state_target *target, const char *url, weir_error *err);
weir_status state_url_commit(state_target *target, weir_error *err);
/* Destroys what is not complete. */
void state_url_end(state_target *target);

/* Of state_target.c. */
weir_status state_target_open_path(const state_target *target, const char *path, bool create,
                                   state_store *store, weir_error *err);

#endif
