/*
 * The backend "keeper": memory that says it is persistent, so that the host looks after a
 * folder for it. For tests of the folder that need no engine, in child processes too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_BACKEND_SUPPORT_KEEPER_H
#define TESTS_BACKEND_SUPPORT_KEEPER_H

/* Registers it, once in a program. */
void keeper_register(void);

#endif
