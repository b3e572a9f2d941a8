#!/usr/bin/env bash
# Backends that lie are found by the kit, and the check that finds them is named.
# usage: test_liars.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
weir=$build_dir/tools/weir
plugins=$build_dir/tests/tools/plugins
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-liars-XXXXXX")
trap 'rm -rf "$work"' EXIT

# LIAR CHECK TEXT [argument…]: the check fails and says the text.
expect_found() {
    local code=0 liar=$1 check=$2 text=$3 output
    shift 3
    output=$("$weir" conformance "$plugins/libweir_liar_$liar.so" --location "$work" "$@" 2>&1) ||
        code=$?
    echo "$output"
    ((code == 1))
    grep -A1 -F "  FAILED   $check" <<<"$output" | grep -qF "$text"
    [[ $output == *" failed, "* && -z $(ls "$work") ]]
}

test_snapshots_that_change_are_found() {
    expect_found snapshots "a snapshot keeps what was there" "expected" --level snapshots
}
test_batches_that_come_in_parts_are_found() {
    expect_found atomic "batches are whole after a kill" "a batch was applied in part" \
        --level crash
}
test_disorder_is_found() {
    expect_found order "items come in the order of their bytes" "expected 'B=big a=1 ab=12" \
        --level iteration
}
test_iterators_that_see_later_writes_are_found() {
    expect_found iterator "an iterator does not see later writes" \
        "an iterator that was open before a write: expected 'a=1 b=2" --level iteration
}
test_bounds_that_are_ignored_are_found() {
    expect_found bounds "the lower bound is inclusive and the upper exclusive" \
        "the range 'b'…'d': expected 'b=2 c=3 ', seen 'a=1" --level iteration
}
test_a_direction_that_is_ignored_is_found() {
    expect_found reverse "both directions give the same items" "in reverse: expected 'e=5" \
        --level iteration
}
test_families_that_are_one_are_found() {
    expect_found families "families keep their keys apart" "expected" --level families
}
test_a_database_that_forgets_is_found() {
    expect_found persistent "reopening keeps what was written" "seen ''" --level core
}
test_a_crash_ends_its_check_and_not_the_run() {
    expect_found crash "an absent key is not found" "the backend crashed" --level core
    [[ $("$weir" conformance "$plugins/libweir_liar_crash.so" --level core || true) == \
        *"passed   atomic batches are claimed"*"passed   keys and values of a batch are copied"* ]]
}
test_a_backend_that_hangs_is_ended() {
    expect_found hang "an absent key is not found" "still running" --timeout 1 \
        --check an_absent_key_is_not_found
}

run_cases test_snapshots_that_change_are_found test_batches_that_come_in_parts_are_found \
    test_disorder_is_found test_iterators_that_see_later_writes_are_found \
    test_bounds_that_are_ignored_are_found test_a_direction_that_is_ignored_is_found \
    test_families_that_are_one_are_found test_a_database_that_forgets_is_found \
    test_a_crash_ends_its_check_and_not_the_run test_a_backend_that_hangs_is_ended
