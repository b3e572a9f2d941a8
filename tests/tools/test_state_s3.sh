#!/usr/bin/env bash
# `weir state` on object storage: a whole state folder below a URL is looked at, loaded, migrated to and
# from; a copy that was broken off is not taken for state.
# usage: test_state_s3.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
. "$source_dir/tests/tools/state.sh"

if [[ ! -e $WEIR_BACKEND_PATH/libweir_slatedb.so ]]; then
    exit 77
fi
server=$(mktemp -d "${TMPDIR:-/tmp}/weir-state-s3-XXXXXX")
stop_server() {
    "$source_dir/scripts/moto" stop --dir "$server" || true
    rm -rf "$server"
    clean_up
}
trap stop_server EXIT
"$source_dir/scripts/moto" start --dir "$server" >"$server/answer" || exit $?
AWS_ENDPOINT=$(sed -n 's/^endpoint=//p' "$server/answer")
export AWS_ENDPOINT AWS_ALLOW_HTTP=true AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test \
    AWS_SECRET_ACCESS_KEY=test
place=s3://weir/$$

expect_nothing_at() {
    expect 1 "there is no state at or below $1" "$weir" state info "$1"
}

test_a_state_folder_moves_to_object_storage_and_back() {
    make_state "$work/s" rocksdb 300 2
    expect 0 "migrated 2 databases, 606 rows" \
        "$weir" state migrate --from "$work/s" --to "slatedb:$place/moved/"
    expect 0 "" "$weir" state diff "$work/s" "$place/moved"
    expect 0 $'group/default/topic/1\tk7|"n"\t7' "$weir" state get "$place/moved" 'k7|"n"'
    expect 0 "7" "$weir" state get "$place/moved/group/default/topic/1" 'k7|"n"'
    # An application goes on there.
    make_state "$place/moved" slatedb 320 2
    expect 0 "changelog offset 319" "$weir" state info "$place/moved"
    expect 0 "migrated 2 databases, 646 rows" \
        "$weir" state migrate --from "$place/moved" --to "rocksdb:$work/back"
    expect 0 "" "$weir" state diff "$work/back" "$place/moved"
}

test_a_dump_is_taken_from_and_loaded_to_object_storage() {
    make_state "$work/d" rocksdb 50 2
    "$weir" state dump "$work/d" - | "$weir" state load - "slatedb:$place/loaded"
    "$weir" state dump "$place/loaded" "$work/dump"
    "$weir" state load "$work/dump" "rocksdb:$work/again"
    expect 0 "" "$weir" state diff "$work/d" "$work/again"
    expect 1 "holds state already" "$weir" state load "$work/dump" "slatedb:$place/loaded"
    expect 0 "" "$weir" state diff "$work/d" "$place/loaded"
}

test_places_with_state_are_refused() {
    make_state "$work/p" rocksdb 5
    make_state "$work/q" rocksdb 6
    "$weir" state migrate --from "$work/p" --to "slatedb:$place/taken"
    expect 1 "holds state already" "$weir" state migrate --from "$work/q" --to "slatedb:$place/taken"
    expect 0 "" "$weir" state diff "$work/p" "$place/taken"
    # Of other names as well: the two would be taken for one.
    mkdir "$work/r"
    mv "$work/q/group" "$work/r/other"
    expect 1 "holds state already" "$weir" state migrate --from "$work/r" --to "slatedb:$place/taken"
    expect_nothing_at "$place/taken/other"
    expect 1 "name a URL apart" \
        "$weir" state migrate --from "$place/taken" --to "slatedb:$place/taken/in"
    expect 1 "only in a local folder" \
        "$weir" state migrate --from "$work/p" --to "rocksdb:$place/other"
}

test_a_failure_leaves_nothing_and_the_source() {
    make_state "$work/f" rocksdb 100
    make_state "$work/big" rocksdb 500
    mv "$work/big/group/default/topic/0" "$work/f/group/default/topic/1"
    # Room for the first partition, not for the second.
    expect 1 "fault" "$weir" state migrate --from "$work/f" --to "fault:slatedb:$place/full" \
        --option fault.space=4000
    expect_nothing_at "$place/full"
    "$weir" state dump "$work/f" "$work/dump"
    head -c 4000 "$work/dump" >"$work/cut"
    expect 1 "cut short" "$weir" state load "$work/cut" "slatedb:$place/cut"
    expect_nothing_at "$place/cut"
    expect 0 "fine" "$weir" state verify "$work/f"
}

# TARGET SOURCE TEST…: kills a migration, which is slow, once the test holds.
kill_migration() {
    local target=$1 source=$2 pid tries=0
    shift 2
    "$weir" state migrate --from "$source" --to "fault:slatedb:$target" --option fault.op=write \
        --option fault.times=0 --option fault.delay_ms=400 --option fault.error=none \
        >"$work/out" 2>&1 &
    pid=$!
    until "$@"; do
        ((tries += 1))
        ((tries < 200)) && kill -0 "$pid" || return 1
    done
    kill -9 "$pid"
    wait "$pid" || true
}
has_incomplete() { # COUNT URL
    (($("$weir" state info "$2" 2>/dev/null | grep -c INCOMPLETE) == $1))
}
is_copied() { # URL
    "$weir" state get --raw --cf __metadata__ "$1" __weir_incomplete__ 2>/dev/null | head -n 1 | grep -qx 2
}
expect_refused() { # URL: by an application and by the tool, with the command that goes on
    local partition
    ! make_state "$1" slatedb 1 3 2>"$work/told"
    grep -q "a copy that was broken off" "$work/told"
    grep -q "weir state migrate --from '$work/k' --to 'fault:slatedb:$1'" "$work/told"
    for partition in 0 1 2; do
        expect 1 "broken off" "$weir" state dump "$1/group/default/topic/$partition" "$work/dump"
    done
}

test_a_killed_copy_is_no_state_until_it_was_gone_on_with() {
    make_state "$work/k" rocksdb 200 3
    # All places are taken before the first row is copied.
    kill_migration "$place/killed" "$work/k" has_incomplete 3 "$place/killed"
    expect_refused "$place/killed"
    kill_migration "$place/killed" "$work/k" is_copied "$place/killed/group/default/topic/0"
    expect_refused "$place/killed"
    expect 0 "of them had been copied by a run that was broken off" \
        "$weir" state migrate --from "$work/k" --to "slatedb:$place/killed"
    expect 0 "" "$weir" state diff "$work/k" "$place/killed"
    make_state "$place/killed" slatedb 210 3
}

test_what_a_killed_copy_left_gives_way_to_another() {
    make_state "$work/l" rocksdb 50
    kill_migration "$place/left" "$work/l" has_incomplete 1 "$place/left"
    mkdir "$work/m"
    mv "$work/l/group" "$work/m/other"
    expect 0 "migrated 1 databases" "$weir" state migrate --from "$work/m" --to "slatedb:$place/left"
    expect 0 "" "$weir" state diff "$work/m" "$place/left"
}

test_state_is_looked_at_beside_its_application() {
    make_state "$work/b" rocksdb 40
    "$weir" state migrate --from "$work/b" --to "slatedb:$place/beside"
    mkfifo "$work/b.in" "$work/b.out"
    WEIR_LOG=error "$build_dir/tests/tools/make_state" "$place/beside" slatedb 60 1 hold \
        <"$work/b.in" >"$work/b.out" &
    holder=$!
    exec 8>"$work/b.in"
    local line
    read -r line <"$work/b.out"
    [[ $line == ready ]]
    expect 0 '59' "$weir" state get "$place/beside" 'k59|"n"'
    expect 0 "fine" "$weir" state verify "$place/beside"
    "$weir" state dump "$place/beside" "$work/dump"
    release_state
    "$weir" state load "$work/dump" "rocksdb:$work/loaded"
    expect 0 "" "$weir" state diff "$work/loaded" "$place/beside"
}

test_a_clone_is_made_beside_the_application_and_goes_its_own_way() {
    make_state "$place/run" slatedb 30 2
    expect 0 "made clones of 2 databases" "$weir" state clone "$place/run" "$place/trial"
    expect 0 "" "$weir" state diff "$place/run" "$place/trial"
    make_state "$place/trial" slatedb 50 1
    expect 1 "not found: k49" "$weir" state get "$place/run/group/default/topic/0" 'k49|"n"'
    expect 1 "holds state already" "$weir" state clone "$place/run" "$place/trial"
    expect 1 "does not exist" "$weir" state clone "$place/run" s3://other/trial
    make_state "$work/c" rocksdb 1
    expect 1 "makes no clones" "$weir" state clone "$work/c" "$place/never"
    expect 2 "is no URL" "$weir" state clone "$place/run" "$work/never"
    expect_nothing_at "$place/never"
}

# Each is one message, whatever is done; and the source stays as it is.
test_what_can_not_be_reached_is_told() {
    local few=(--option max_retries=0 --option retry_timeout=1 --option open_timeout=5)
    make_state "$work/a" rocksdb 5
    fingerprint "$work/a" >"$work/before"
    expect_message 1 "the bucket or container does not exist" "$weir" state info s3://no-such-bucket/x
    expect_message 1 "the bucket or container does not exist" \
        "$weir" state migrate --from "$work/a" --to slatedb:s3://no-such-bucket/x
    (
        unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        export AWS_METADATA_ENDPOINT=http://127.0.0.1:1
        expect_message 1 "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" \
            "$weir" state info "$place/away" "${few[@]}"
        expect_message 1 "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" \
            "$weir" state migrate --from "$work/a" --to "slatedb:$place/away" "${few[@]}"
    )
    (
        export AWS_ENDPOINT=http://127.0.0.1:1
        expect_message 1 "check that the object store can be reached" \
            "$weir" state info "$place/away" "${few[@]}"
        expect_message 1 "check that the object store can be reached" \
            "$weir" state migrate --from "$work/a" --to "slatedb:$place/away" "${few[@]}"
    )
    fingerprint "$work/a" | diff "$work/before" -
    expect_nothing_at "$place/away"
}

# A server of its own, taken away while the rows are on their way.
test_a_server_that_goes_away_in_the_middle_is_told() {
    local pid code=0 tries=0
    make_state "$work/g" rocksdb 50
    fingerprint "$work/g" >"$work/before"
    "$source_dir/scripts/moto" start --dir "$work/moto" >"$work/answer"
    AWS_ENDPOINT=$(sed -n 's/^endpoint=//p' "$work/answer")
    "$weir" state migrate --from "$work/g" --to "fault:slatedb:s3://weir/g" \
        --option max_retries=0 --option retry_timeout=10 --option fault.op=write \
        --option fault.nth=2 --option fault.delay_ms=2000 --option fault.error=none \
        >"$work/out" 2>"$work/told" &
    pid=$!
    until "$weir" state info s3://weir/g 2>/dev/null | grep -q INCOMPLETE; do
        ((tries += 1))
        ((tries < 200)) && kill -0 "$pid" || return 1
        sleep 0.05
    done
    "$source_dir/scripts/moto" stop --dir "$work/moto"
    wait "$pid" || code=$?
    cat "$work/told"
    [[ $code == 1 ]]
    # Why, and what is left: a database that has the mark of one that is not complete.
    (($(grep -c '^weir: ' "$work/told") == 2))
    grep -q "^weir: .*slatedb could not .*can be reached" "$work/told"
    grep -q "^weir: can't remove what was begun" "$work/told"
    fingerprint "$work/g" | diff "$work/before" -
}

run_cases test_a_state_folder_moves_to_object_storage_and_back \
    test_a_dump_is_taken_from_and_loaded_to_object_storage test_places_with_state_are_refused \
    test_a_failure_leaves_nothing_and_the_source \
    test_a_killed_copy_is_no_state_until_it_was_gone_on_with \
    test_what_a_killed_copy_left_gives_way_to_another \
    test_state_is_looked_at_beside_its_application \
    test_a_clone_is_made_beside_the_application_and_goes_its_own_way \
    test_what_can_not_be_reached_is_told test_a_server_that_goes_away_in_the_middle_is_told
