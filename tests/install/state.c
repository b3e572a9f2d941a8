/*
 * A program outside the source tree: keeps a counter in the state of the backend "memory",
 * or of another, on the installed headers and library alone.
 *
 * usage: state FOLDER [BACKEND]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <weir/weir.h>

static weir_status count_to(weir_partition *partition, int64_t goal, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (int64_t i = 0; i < goal && status == WEIR_OK; i++) {
        weir_txn *txn;
        int64_t count = 0;
        if ((status = weir_partition_begin(partition, &txn, err)))
            return status;
        weir_state *state = weir_txn_state(txn, weir_slice_str("key"));
        if ((status = weir_state_get_int(state, "count", 0, &count, err)) == WEIR_OK &&
            (status = weir_state_set_int(state, "count", count + 1, err)) == WEIR_OK)
            status = weir_txn_flush(txn, WEIR_OFFSET_NONE, err);
        weir_txn_free(txn);
        if (i + 1 == goal && status == WEIR_OK)
            printf("count %" PRId64 "\n", count + 1);
    }
    return status;
}

int main(int argc, char **argv)
{
    weir_error err;
    weir_error_init(&err);
    weir_state_manager *manager = NULL;
    weir_state_options options;
    weir_state_options_init(&options);
    options.state_dir = argc > 1 ? argv[1] : "state";
    options.group_id = "install-test";
    options.state_backend = argc > 2 ? argv[2] : "memory";
    weir_store_config store;
    weir_store_config_init(&store);

    weir_status status = weir_state_manager_new(&options, &manager, &err);
    if (status == WEIR_OK)
        status = weir_state_manager_register(manager, &store, &err);
    if (status == WEIR_OK)
        status = weir_state_manager_assign(manager, NULL, 0, &err);
    if (status == WEIR_OK)
        status = count_to(weir_state_manager_partition(manager, "default", NULL, 0), 3, &err);
    weir_state_manager_free(manager);
    if (status != WEIR_OK) {
        fprintf(stderr, "%s: %s\n", weir_status_name(status), err.message);
        return 1;
    }
    printf("weir %s\n", weir_version());
    return 0;
}
