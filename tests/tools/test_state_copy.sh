#!/usr/bin/env bash
# `weir state dump`, `load` and `migrate`: what arrives, what is refused, what a full disk, a damaged
# dump and a kill leave behind.
# usage: test_state_copy.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
. "$source_dir/tests/tools/state.sh"

# Nothing is left beside a target, nor the target itself.
expect_nothing_at() {
    local left
    left=$(ls -d "$1"* 2>/dev/null) || true
    [[ -z $left ]] || { echo "left behind: $left"; return 1; }
}

cases=()
digest_of() {
    "$weir" state verify "$1" 2>/dev/null | awk -F '\t' '{ print $1, $5 }'
}

# ------------------------------------------------------------------------- dump and load

test_a_dump_brings_all_rows_to_every_backend() {
    make_state "$work/s" rocksdb 3000 2
    "$weir" state dump "$work/s" "$work/dump"
    local backend
    for backend in rocksdb "${plugins[@]}"; do
        expect 0 "loaded 2 databases, 6006 rows" "$weir" state load "$work/dump" "$backend:$work/$backend"
        expect 0 "" "$weir" state diff "$work/s" "$work/$backend"
        "$weir" state dump "$work/$backend" - 2>/dev/null >"$work/again"
        "$weir" state load - "rocksdb:$work/back" <"$work/again"
        [[ $(digest_of "$work/back") == $(digest_of "$work/s") ]]
        rm -r "$work/back"
    done
}

test_one_partition_is_dumped_and_loaded_alone() {
    make_state "$work/s" rocksdb 10
    "$weir" state dump "$work/s/group/default/topic/0" "$work/dump"
    "$weir" state load "$work/dump" "rocksdb:$work/deep/er/7"
    expect 0 "" "$weir" state diff "$work/s/group/default/topic/0" "$work/deep/er/7"
    [[ -z $(find "$work" -name '*.weir-new') ]]
}

test_an_application_goes_on_with_what_was_loaded() {
    make_state "$work/s" rocksdb 10
    "$weir" state dump "$work/s" "$work/dump"
    "$weir" state load "$work/dump" "rocksdb:$work/t"
    make_state "$work/t" rocksdb 20
    expect 0 "changelog offset 19" "$weir" state info "$work/t"
}

test_a_damaged_dump_is_refused_and_leaves_nothing() {
    make_state "$work/s" rocksdb 500
    "$weir" state dump "$work/s" "$work/dump"
    local size at
    size=$(stat -c %s "$work/dump")
    for at in 0 100 $((size - 1)); do
        head -c "$at" "$work/dump" >"$work/cut"
        expect_message 1 "dump" "$weir" state load "$work/cut" "rocksdb:$work/t"
        expect_nothing_at "$work/t"
    done
    expect 1 "the dump is cut short or altered: it ends after $((size / 2)) bytes" \
        "$weir" state load <(head -c $((size / 2)) "$work/dump") "rocksdb:$work/t"
    for at in 9 $((size / 2)); do
        cp "$work/dump" "$work/bad"
        printf '\x5a' | dd of="$work/bad" bs=1 seek="$at" conv=notrunc status=none
        cmp -s "$work/dump" "$work/bad" && continue
        expect_message 1 "can't load $work/bad: the dump" "$weir" state load "$work/bad" "rocksdb:$work/t"
        expect_nothing_at "$work/t"
    done
    (cat "$work/dump"; echo x) >"$work/bad"
    expect_message 1 "something follows the last block" "$weir" state load "$work/bad" "rocksdb:$work/t"
    expect_nothing_at "$work/t"
    echo "no dump at all" >"$work/bad"
    expect_message 1 "this is no dump of weir" "$weir" state load "$work/bad" "rocksdb:$work/t"
    expect_nothing_at "$work/t"
}

test_a_dump_that_can_not_be_written_leaves_no_file() {
    make_state "$work/s" rocksdb 5
    expect_message 1 "can't write $work/none/dump.weir-new" \
        "$weir" state dump "$work/s" "$work/none/dump"
    expect_message 1 "No space left on device" bash -c "'$weir' state dump '$work/s' - >/dev/full"
    # A device is written to, and not replaced by a file.
    ln -s /dev/full "$work/full"
    expect_message 1 "No space left on device" "$weir" state dump "$work/s" "$work/full"
    [[ -L $work/full && -c /dev/full ]]
    echo '{"backend":"rocksdb","layout":9}' >"$work/s/group/default/topic/0/weir.json"
    expect_message 1 "has version 9" "$weir" state dump "$work/s" "$work/dump"
    [[ ! -e $work/dump && ! -e $work/dump.weir-new ]]
}

# ------------------------------------------------------------------------------ migrate

test_every_backend_takes_over_from_every_other() {
    local from to
    make_state "$work/s" rocksdb 2000 2
    local wanted
    wanted=$(digest_of "$work/s")
    from=rocksdb
    for to in "${plugins[@]}" rocksdb; do
        expect 0 "migrated 2 databases" \
            "$weir" state migrate --from "$work/s" --to "$to:$work/on-$to"
        rm -r "$work/s"
        mv "$work/on-$to" "$work/s"
        grep -q "\"backend\":\"$to\"" "$work/s/group/default/topic/1/weir.json"
        [[ $(digest_of "$work/s") == "$wanted" ]]
    done
}

test_state_is_migrated_in_its_place_and_the_application_goes_on() {
    local to=${plugins[0]:-}
    [[ -n $to ]] || return 0
    make_state "$work/s" rocksdb 100 2
    fingerprint "$work/s" >"$work/before"
    expect 0 "migrated 2 databases" \
        "$weir" state migrate --from "$work/s/" --to "$to:$work/s" --keep
    make_state "$work/s" "$to" 150 2
    expect 0 "changelog offset 149" "$weir" state info "$work/s"
    fingerprint "$work/s.weir-old" | diff "$work/before" -
    [[ ! -e $work/s.weir-new ]]
    expect 0 "is kept by $to already" "$weir" state migrate --from "$work/s" --to "$to:$work/s"
    # And back, without keeping.
    rm -r "$work/s.weir-old"
    "$weir" state migrate --from "$to:$work/s" --to "rocksdb:$work/s"
    make_state "$work/s" rocksdb 160
    [[ $(ls "$work") == $'before\ns' ]]
}

# The message of an application that starts with another backend.
test_the_command_of_the_refusal_is_the_one_that_works() {
    local to=${plugins[0]:-} output
    [[ -n $to ]] || return 0
    make_state "$work/it's mine" rocksdb 10
    output=$(make_state "$work/it's mine" "$to" 20 2>&1) && return 1
    echo "$output"
    local command
    command=$(sed -n 's/.*bring the state over with: weir \(state migrate --from .* --to .*\) (backend.*/\1/p' <<<"$output")
    eval "'$weir' $command"
    make_state "$work/it's mine" "$to" 20
}

test_quix_streams_folders_are_migrated() {
    local to=${plugins[0]:-}
    [[ -n $to ]] || return 0
    cp -r "$source_dir/tests/backend/golden/quix_streams_wal" "$work/quix"
    fingerprint "$work/quix" >"$work/before"
    expect 0 "migrated 1 databases, 101 rows" \
        "$weir" state migrate --from "$work/quix" --to "$to:$work/t"
    expect 0 "" "$weir" state diff "$work/quix" "$work/t"
    fingerprint "$work/quix" | diff "$work/before" -
}

test_a_source_in_use_is_refused() {
    hold_state "$work/held" rocksdb 5
    expect_message 1 "is in use by process $holder" \
        "$weir" state migrate --from "$work/held" --to "rocksdb:$work/t"
    release_state
    expect_nothing_at "$work/t"
}

test_a_source_of_a_newer_weir_is_refused() {
    make_state "$work/s" rocksdb 5 2
    echo '{"backend":"rocksdb","layout":2}' >"$work/s/group/default/topic/1/weir.json"
    expect_message 1 "has version 2 of the folder layout" \
        "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t"
    expect_nothing_at "$work/t"
}

test_a_target_that_is_not_empty_or_in_use_is_refused() {
    make_state "$work/s" rocksdb 5
    mkdir "$work/t"
    touch "$work/t/mine"
    expect_message 1 "$work/t is not empty" "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t"
    expect_message 1 "is not empty" "$weir" state load /dev/null "rocksdb:$work/t"
    hold_state "$work/held" rocksdb 5
    expect_message 1 "is not empty" "$weir" state migrate --from "$work/s" --to "rocksdb:$work/held"
    release_state
    expect_message 1 "is a file" "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t/mine"
    rm "$work/t/mine"
    "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t"
    expect 0 "" "$weir" state diff "$work/s" "$work/t"
}

test_what_can_not_be_meant_is_refused() {
    make_state "$work/s" rocksdb 5
    expect 2 "does not say which backend" "$weir" state migrate --from "$work/s" --to "$work/t"
    expect 2 "needs --from and --to" "$weir" state migrate --from "$work/s"
    expect 1 "lies in the other" "$weir" state migrate --from "$work/s" --to "rocksdb:$work/s/t"
    expect 1 "lies in the other" "$weir" state migrate --from "$work/s/group" --to "rocksdb:$work/s"
    expect 1 "known" "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t" --option odd=1
    expect_nothing_at "$work/t"
    expect 1 "the backend memory keeps nothing" \
        "$weir" state migrate --from "$work/s" --to "memory:$work/t"
    expect_nothing_at "$work/t"
    if [[ -n ${plugins[0]:-} ]]; then
        touch "$work/s/notes.txt"
        expect 1 "notes.txt belongs to no state" \
            "$weir" state migrate --from "$work/s" --to "${plugins[0]}:$work/s"
    fi
}

test_a_full_disk_leaves_the_source_and_nothing_else() {
    make_state "$work/s" rocksdb 500
    make_state "$work/big" rocksdb 3000
    mv "$work/big/group/default/topic/0" "$work/s/group/default/topic/1"
    fingerprint "$work/s" >"$work/before"
    # Room for the first partition, not for the second.
    expect 1 "lack of space for write" "$weir" state migrate --from "$work/s" \
        --to "fault:rocksdb:$work/t" --option fault.space=20000
    expect_nothing_at "$work/t"
    expect 1 "failure of flush, call 1" "$weir" state migrate --from "$work/s" \
        --to "fault:rocksdb:$work/t" --option fault.op=flush --option fault.error=no_space
    expect_nothing_at "$work/t"
    fingerprint "$work/s" | diff "$work/before" -
}

# On real file systems, which are full at different moments: when the first files are made, in the
# middle, while the log is written.
test_a_file_system_that_is_full_is_told() {
    local backend size
    mkdir "$work/small"
    make_state "$work/s" rocksdb 20000
    for backend in rocksdb "${plugins[@]}"; do
        for size in 16k 40k 200k; do
            unshare -rm bash -c '
                set -e
                mount -t tmpfs -o "size=$4" tmpfs "$1/small"
                if "$2" state migrate --from "$1/s" --to "$3:$1/small/t" >"$1/told" 2>&1; then
                    exit 3
                fi
                cat "$1/told"
                grep -qi "no space left\|lack of space\|full" "$1/told"
                [[ -z $(ls "$1/small") ]]' - "$work" "$weir" "$backend" "$size" ||
                { echo "$backend on $size"; return 1; }
        done
    done
    expect 0 "fine" "$weir" state verify "$work/s"
}

# Killed at some moment of its run, again and again, then left to end.
test_a_killed_migration_is_gone_on_with() {
    local to=${plugins[0]:-rocksdb} round delay wanted kept=0 output
    make_state "$work/s" rocksdb 5000 3
    wanted=$(digest_of "$work/s")
    for round in 1 3 5 7; do
        delay=0.0$((round * 9 % 100))
        timeout -s KILL "$delay" "$weir" state migrate --from "$work/s" --to "$to:$work/t" \
            >"$work/out" 2>&1 || true
        [[ $(digest_of "$work/s") == "$wanted" ]]
        # Visible is all of it or nothing.
        if [[ -e $work/t ]]; then
            [[ $(digest_of "$work/t") == "$wanted" ]]
            rm -rf "$work/t"
        fi
    done
    # Each takes a second: one partition is complete, the next is cut off.
    rm -rf "$work/t.weir-new"
    "$weir" state migrate --from "$work/s" --to "fault:$to:$work/t" \
        --option fault.op=flush --option fault.times=0 --option fault.delay_ms=1000 \
        --option fault.error=none >"$work/out" 2>&1 &
    local pid=$! tries=0
    until [[ -e $work/t.weir-new/tree/group/default/topic/0 ]]; do
        ((tries += 1))
        ((tries < 1000)) || return 1
        sleep 0.02
    done
    kill -9 "$pid"
    wait "$pid" || true
    output=$("$weir" state migrate --from "$work/s" --to "$to:$work/t")
    echo "$output"
    [[ $output == *"1 of them had been copied by a run that was broken off"* ]]
    [[ $(digest_of "$work/t") == "$wanted" && ! -e $work/t.weir-new ]]
}

# In its place, there is at every moment all of the old or all of the new.
test_a_killed_migration_in_place_loses_nothing() {
    local to=${plugins[0]:-} round wanted
    [[ -n $to ]] || return 0
    make_state "$work/s" rocksdb 3000 2
    wanted=$(digest_of "$work/s")
    for round in 1 2 4; do
        timeout -s KILL "0.0$((round * 2))" "$weir" state migrate --from "$work/s" \
            --to "$to:$work/s" >"$work/out" 2>&1 || true
        [[ $(digest_of "$work/s") == "$wanted" ]]
    done
    "$weir" state migrate --from "$work/s" --to "$to:$work/s"
    [[ $(digest_of "$work/s") == "$wanted" ]]
    make_state "$work/s" "$to" 3010
}

test_a_folder_behind_a_link_is_migrated_where_it_is() {
    local to=${plugins[0]:-}
    [[ -n $to ]] || return 0
    mkdir "$work/disk"
    make_state "$work/disk/s" rocksdb 10
    ln -s disk/s "$work/s"
    (cd "$work/s" && "$weir" state migrate --from . --to "$to:$work/s")
    [[ -L $work/s && $(ls "$work/disk") == s ]]
    grep -q "\"backend\":\"$to\"" "$work/disk/s/group/default/topic/0/weir.json"
}

test_what_a_killed_run_left_of_other_state_does_not_come_along() {
    make_state "$work/s" rocksdb 10 1
    make_state "$work/other" rocksdb 10 3
    mkdir -p "$work/t.weir-new"
    cp -r "$work/other" "$work/t.weir-new/tree"
    echo half >"$work/t.weir-new/part"
    "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t"
    expect 0 "" "$weir" state diff "$work/s" "$work/t"
    [[ ! -e $work/t.weir-new ]]
}

test_progress_is_told_when_asked_for() {
    make_state "$work/s" rocksdb 2000
    expect 0 "migrate: 1 of 1 databases, 4006 of about 4006 rows" \
        "$weir" state migrate --from "$work/s" --to "rocksdb:$work/t" --progress
    expect 0 "verify: 1 of 1 databases" "$weir" state verify "$work/t" --progress
}

before_case() {
    rm -rf "${work:?}"/*
}
for name in $(declare -F | awk '{ print $3 }' | grep '^test_'); do
    cases+=("$name")
done
run_cases "${cases[@]}"
