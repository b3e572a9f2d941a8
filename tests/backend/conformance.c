/*
 * The checks of the kit on a database of the host. See conformance.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conformance.h"

#include <string.h>

/* Closing is a part of reopening. */
static weir_status open_again(kit_subject *subject, unsigned flags)
{
    conformance *c = subject->arg;
    (void)flags;
    weir_status status = c->reopen(c);
    subject->backend = c->backend;
    subject->db = c->db;
    return status;
}

static weir_status close_later(kit_subject *subject)
{
    subject->db = NULL;
    return WEIR_OK;
}

static weir_status destroy_nothing(kit_subject *subject)
{
    return weir_error_set(&subject->err, WEIR_UNSUPPORTED, "the host destroys databases");
}

bool conformance_run(const conformance_case *check, conformance *c)
{
    kit_subject subject = {.backend = c->backend,
                           .db = c->db,
                           .open = open_again,
                           .close = close_later,
                           .destroy = destroy_nothing,
                           .arg = c,
                           .through_host = true,
                           .seed = c->seed != 0 ? c->seed : 1};
    if (check->closed || (check->needs & ~c->backend->capabilities) != 0)
        return true;
    bool is_right = check->run(&subject);
    memcpy(c->failure, subject.note, sizeof c->failure);
    return is_right;
}
