#!/usr/bin/env bash
# `weir state` on state that is only looked at: info, get, scan, count, verify, diff, on each backend.
# usage: test_state.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
. "$source_dir/tests/tools/state.sh"

test_help_is_told_for_each_command() {
    expect 0 "usage: weir state COMMAND" "$weir" state --help
    expect 2 "usage: weir state COMMAND" "$weir" state
    local command
    for command in info get scan count verify diff dump load migrate; do
        expect 0 "usage: weir state $command" "$weir" state "$command" --help
    done
}

test_wrong_arguments_are_refused() {
    expect 2 "has no command 'frob'" "$weir" state frob
    expect 2 "needs LOCATION KEY" "$weir" state get "$work"
    expect 2 "does not take 'c'" "$weir" state diff a b c
    expect 2 "has no option --frob" "$weir" state scan "$work" --frob
    expect 2 "--limit takes a number from 1 on, not 'x'" "$weir" state scan "$work" --limit x
    expect 2 "--limit needs a value" "$weir" state scan "$work" --limit
    expect 2 "--since takes ms since 1970 or a date" "$weir" state scan "$work" --since noon
    expect 2 "one of --raw, --hex and --json" "$weir" state scan "$work" --raw --hex
    expect 2 "--as takes plain, ttl" "$weir" state scan "$work" --as odd
    expect 2 "--option takes KEY=VALUE" "$weir" state scan "$work" --option odd
    expect 2 "names no folder" "$weir" state info rocksdb:
}

test_rows_are_printed_in_the_order_of_their_keys() {
    make_state "$work/plain" "$backend" 12
    local part=$work/plain/group/default/topic/0
    expect_lines $'k0|"n"\t0\nk10|"n"\t10\nk11|"n"\t11' "$weir" state scan "$part" --limit 3
    expect_lines $'k9|"n"\t9\nk8|"n"\t8' "$weir" state scan "$part" --limit 2 --reverse
    expect_lines $'k10|"n"\t10\nk11|"n"\t11\nk1|"n"\t1' "$weir" state scan "$part" --prefix k1
    expect_lines $'k1|"n"\t1' "$weir" state scan "$part" --key k1
    expect_lines $'k3|"n"\t3\nk4|"n"\t4' "$weir" state scan "$part" --from k3 --to 'k\x35'
    expect_lines $'6b337c226e22\t33' "$weir" state scan "$part" --key k3 --hex
    expect_lines '{"key":"k3|\"n\"","value":3}' "$weir" state scan "$part" --key k3 --json
    expect_lines $'__metadata__\t__changelog_offset__\t11' \
        "$weir" state scan "$part" --cf all --key __changelog_offset__
    expect 1 "there is no column family none" "$weir" state scan "$part" --cf none
    expect 0 "" "$weir" state scan "$part" --key absent
}

test_a_key_is_found_in_whichever_partition_it_is() {
    make_state "$work/two" "$backend" 3 2
    expect_lines $'group/default/topic/0\tk2|"n"\t2\ngroup/default/topic/1\tk2|"n"\t2' \
        "$weir" state get "$work/two" 'k2|"n"'
    expect_lines 2 "$weir" state get "$work/two/group/default/topic/1" 'k2|"n"'
    expect 1 "not found: k7" "$weir" state get "$work/two" k7
    printf 2 >"$work/expected"
    "$weir" state get "$work/two/group/default/topic/1" 'k2|"n"' --raw | cmp - "$work/expected"
}

test_offsets_and_figures_are_told() {
    make_state "$work/offsets" "$backend" 5
    local part=$work/offsets/group/default/topic/0
    expect 0 "changelog offset 4" "$weir" state info "$part"
    expect 0 'processed {"t":5}' "$weir" state info "$backend:$part"
    "$weir" state info "$part" --json 2>/dev/null | python3 -c '
import json, sys
info = json.loads(sys.stdin.read())
assert info["changelog_offset"] == 4 and info["processed"] == {"t": 5}, info
assert info["kind"] == "plain" and info["complete"], info
assert info["families"] == ["__metadata__", "default"], info'
    expect 0 $'default\t5 rows' "$weir" state count "$part"
    expect 0 $'total\t8 rows' "$weir" state count "$part"
}

# As it was registered; a folder that says nothing is known by its families.
test_the_kind_of_a_store_is_told() {
    make_state "$work/kind-plain" "$backend" 5
    make_state "$work/kind-windows" "$backend" 5 1 windowed
    make_state "$work/kind-times" "$backend" 5 1 timestamped
    make_state "$work/kind-ttl" "$backend" 5 1 ttl
    expect 0 "kind      plain" "$weir" state info "$work/kind-plain"
    expect 0 "kind      windowed" "$weir" state info "$work/kind-windows"
    expect 0 "kind      timestamped" "$weir" state info "$work/kind-times"
    expect 0 "kind      ttl" "$weir" state info "$work/kind-ttl"
    expect 0 $'__weir_store_kind__\twindowed' "$weir" state scan "$work/kind-windows" --cf __metadata__
    expect 0 $'__weir_store_kind__\tplain' "$weir" state scan "$work/kind-ttl" --cf __metadata__
    ! make_state "$work/kind-windows" "$backend" 6 1 timestamped 2>"$work/told"
    cat "$work/told"
    grep -q "that of a windowed store, and default is registered as a timestamped store" "$work/told"
}

test_verifying_reads_all_and_gives_one_digest_for_the_same_rows() {
    make_state "$work/digest" "$backend" 50
    expect 0 $'fine\t53 rows\t' "$weir" state verify "$work/digest"
    expect 0 9c292e015a40a661d5be50a1aaff64fe "$weir" state verify "$work/digest"
}

test_differences_are_told_row_by_row() {
    make_state "$work/a" "$backend" 3
    make_state "$work/c" rocksdb 4
    expect 0 "" "$weir" state diff "$work/a" "$work/a"
    expect 1 $'+ group/default/topic/0\tdefault\tk3|"n"\t3' "$weir" state diff "$work/a" "$work/c"
    expect 1 $'- group/default/topic/0\t__metadata__\t__changelog_offset__\t2' \
        "$weir" state diff "$work/a" "$work/c"
    expect 1 "- database group/default/topic/0" "$weir" state diff "$work/c" "$work/a/group"
    expect 1 "1 rows differ" "$weir" state diff "$work/a" "$work/c" --cf default
}

test_looking_changes_nothing() {
    make_state "$work/still" "$backend" 20
    fingerprint "$work/still" >"$work/before"
    local command
    for command in info scan count verify; do
        "$weir" state "$command" "$work/still" >"$work/out" 2>&1
    done
    fingerprint "$work/still" | diff "$work/before" -
}

test_state_in_use_is_told_at_once() {
    hold_state "$work/held" "$backend" 5
    # slatedb is read beside its writer; what is to be moved must not change.
    if [[ $backend == slatedb ]]; then
        local tries=0 # it is stored soon
        until "$weir" state scan "$work/held" | grep -q 'k4|'; do ((++tries < 100)); done
        expect 0 "fine" "$weir" state verify "$work/held"
        expect 0 "" "$weir" state diff "$work/held" "$work/held"
    else
        expect 1 "is in use by process $holder" "$weir" state scan "$work/held"
    fi
    expect 1 "is in use by process $holder" \
        "$weir" state migrate --from "$work/held" --to "rocksdb:$work/moved"
    release_state
    expect 0 'k0|"n"' "$weir" state scan "$work/held"
}

test_another_backend_that_is_named_is_refused() {
    make_state "$work/named" "$backend" 1
    local other=rocksdb
    [[ $backend != rocksdb ]] || other=${plugins[0]:-}
    [[ -n $other ]] || return 0
    expect 1 "was written by the backend '$backend', not by '$other'" \
        "$weir" state info "$other:$work/named"
}

# The other key is "k|" and eight bytes that could be a time: it is never taken for the key "k".
other='k|\x00\x00\x00\x00\x00\x00\x00\x01'

test_windows_are_printed_and_found_by_key_and_time() {
    make_state "$work/windowed" "$backend" 3 1 windowed
    local part=$work/windowed/group/default/topic/0
    expect 0 "kind      windowed" "$weir" state info "$part"
    expect_lines $'k\t[1970-01-01T00:00:00.000Z, 1970-01-01T01:00:00.000Z)\t0
k\t[1970-01-01T01:00:00.000Z, 1970-01-01T02:00:00.000Z)\t1
k\t[1970-01-01T02:00:00.000Z, 1970-01-01T03:00:00.000Z)\t2' "$weir" state scan "$part" --key k
    expect_lines "$other"$'\t[1970-01-01T01:00:00.000Z, 1970-01-01T02:00:00.000Z)\t1' \
        "$weir" state get "$part" "$other" --since 1970-01-01T01:00 --until 7200000
    expect_lines $'k\t[1970-01-01T02:00:00.000Z, 1970-01-01T03:00:00.000Z)\t2' \
        "$weir" state get "$part" k --reverse --limit 1
    expect_lines '{"key":"k","start":3600000,"end":7200000,"value":1}' \
        "$weir" state scan "$part" --key k --since 1970-01-01T01:00:00Z --until 3600001 --json
    expect_lines $'k\tid 3600000 #2\t1' \
        "$weir" state scan "$part" --cf __values__ --key k --from 'k|\x00\x00\x00\x00\x00\x01' --limit 1
    expect_lines $'k|__latest_timestamp__\t1970-01-01T02:00:00.000Z' \
        "$weir" state scan "$part" --cf __latest-timestamps__ --prefix 'k|_'
    expect 0 "fine" "$weir" state verify "$part"
    expect_lines 6 bash -c "'$weir' state scan '$part' --as plain | wc -l"
}

test_timestamped_values_are_printed_and_found_by_key_and_time() {
    make_state "$work/timestamped" "$backend" 3 1 timestamped
    local part=$work/timestamped/group/default/topic/0
    expect 0 "kind      timestamped" "$weir" state info "$part"
    expect_lines $'k\t1970-01-01T01:00:00.000Z\t0
k\t1970-01-01T01:00:01.000Z #2\t1
k\t1970-01-01T01:00:02.000Z #4\t2' "$weir" state get "$part" k
    expect_lines '{"key":"k","timestamp":3601000,"counter":2,"value":1}' \
        "$weir" state scan "$part" --key k --since 3600001 --until 3602000 --json
    expect 0 "fine" "$weir" state verify "$part"
}

test_values_that_expire_are_printed_with_their_expiry() {
    make_state "$work/ttl" "$backend" 3 1 ttl
    local part=$work/ttl/group/default/topic/0
    expect 0 "kind      ttl" "$weir" state info "$part"
    expect_lines $'k0|n\t1\tnever expires
k1|n\t1\texpires 1970-01-01T01:00:02.000Z
k2|n\t1\texpires 1970-01-01T01:00:03.000Z' "$weir" state scan "$part"
    expect_lines '{"key":"k1|n","value":1,"expires":3602000}' \
        "$weir" state scan "$part" --until 1970-01-01T01:00:02.001 --json
    expect_lines $'k2|n\texpires 1970-01-01T01:00:03.000Z' \
        "$weir" state scan "$part" --cf __ttl_index__ --key k2
    expect_lines 1 "$weir" state get "$part" 'k1|n'
    expect_lines $'__ttl_high_water_ms__\t1970-01-01T01:00:00.000Z' \
        "$weir" state scan "$part" --cf __metadata__ --prefix __ttl_h
    expect 0 "fine" "$weir" state verify "$part"
}

# What is no row of its family is told, and printed as bytes.
test_rows_without_the_layout_of_their_family_are_told() {
    make_state "$work/odd" "$backend" 2
    expect 1 'default: the row k0|"n" does not have the layout of its family' \
        "$weir" state verify "$work/odd" --as windowed
    expect_lines $'k0|"n"\t0' "$weir" state scan "$work/odd" --as windowed --limit 1
}

# ----------------------------------------------------------- what does not depend on the backend

test_what_is_no_state_is_told() {
    mkdir "$work/empty"
    expect_message 1 "can't read $work/none: No such file" "$weir" state info "$work/none"
    expect_message 1 "there is no state in $work/empty" "$weir" state info "$work/empty"
    make_state "$work/mine" rocksdb 1
    expect_message 1 "there is no state at" "$weir" state info "memory:$work/mine"
    expect_message 1 "backend 'keeper'" "$weir" state info "keeper:$work/mine"
    local note=$work/mine/group/default/topic/0/weir.json
    echo '{"backend":"rocksdb","layout":9}' >"$note"
    expect_message 1 "has version 9 of the folder layout" "$weir" state info "$work/mine"
    echo 'odd' >"$note"
    expect_message 1 "does not say which backend wrote the folder" "$weir" state info "$work/mine"
}

test_folders_of_quix_streams_are_read() {
    cp -r "$source_dir/tests/backend/golden/quix_streams_wal" "$work/quix"
    fingerprint "$work/quix" >"$work/before"
    expect 0 "changelog offset 41" "$weir" state info "$work/quix"
    expect 0 $'pre|"k7"\t' "$weir" state scan "$work/quix"
    expect 0 $'default\t100 rows' "$weir" state count "$work/quix"
    fingerprint "$work/quix" | diff "$work/before" -
}

shared=(test_rows_are_printed_in_the_order_of_their_keys
    test_a_key_is_found_in_whichever_partition_it_is test_offsets_and_figures_are_told
    test_the_kind_of_a_store_is_told test_verifying_reads_all_and_gives_one_digest_for_the_same_rows
    test_differences_are_told_row_by_row test_looking_changes_nothing
    test_windows_are_printed_and_found_by_key_and_time
    test_timestamped_values_are_printed_and_found_by_key_and_time
    test_values_that_expire_are_printed_with_their_expiry
    test_rows_without_the_layout_of_their_family_are_told
    test_state_in_use_is_told_at_once test_another_backend_that_is_named_is_refused)
backend=rocksdb
run_cases test_help_is_told_for_each_command test_wrong_arguments_are_refused "${shared[@]}" \
    test_what_is_no_state_is_told test_folders_of_quix_streams_are_read
# What a backend can make different.
for backend in "${plugins[@]}"; do
    echo "on $backend"
    rm -rf "${work:?}"/*
    run_cases test_rows_are_printed_in_the_order_of_their_keys test_offsets_and_figures_are_told \
        test_verifying_reads_all_and_gives_one_digest_for_the_same_rows \
        test_windows_are_printed_and_found_by_key_and_time test_looking_changes_nothing \
        test_state_in_use_is_told_at_once test_another_backend_that_is_named_is_refused
done
