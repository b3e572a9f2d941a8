/* See support_lmdb.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support_lmdb.h"

#include <stdlib.h>
#include <string.h>

#include "support_fixture.h"

int lmdb_make_place(void **state)
{
    lmdb_place *p = calloc(1, sizeof *p);
    p->folder = fixture_folder();
    p->path = strdup(fixture_path(p->folder, "db"));
    *state = p;
    return 0;
}

int lmdb_remove_place(void **state)
{
    lmdb_place *p = *state;
    fixture_remove(p->folder);
    free((char *)(uintptr_t)p->path);
    free(p);
    return 0;
}

weir_backend_cf *lmdb_default_family(weir__database *database)
{
    weir_backend_cf *cf;
    assert_int_equal(weir__database_backend(database)->cf_open(
                         weir__database_handle(database), WEIR_BACKEND_DEFAULT_CF, true, &cf, NULL),
                     WEIR_OK);
    return cf;
}

weir_status lmdb_write_one(weir__database *database, weir_slice key, weir_slice value,
                           weir_error *err)
{
    weir_backend_op op = {
        .kind = WEIR_OP_PUT, .cf = lmdb_default_family(database), .key = key, .value = value};
    return weir__database_backend(database)->write(weir__database_handle(database), &op, 1, 0, err);
}
