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
    expect 1 "there is state already" "$weir" state load "$work/dump" "slatedb:$place/loaded"
    expect 0 "" "$weir" state diff "$work/d" "$place/loaded"
}

test_places_with_state_are_refused() {
    make_state "$work/p" rocksdb 5
    make_state "$work/q" rocksdb 6
    "$weir" state migrate --from "$work/p" --to "slatedb:$place/taken"
    expect 1 "holds state already" "$weir" state migrate --from "$work/q" --to "slatedb:$place/taken"
    expect 0 "" "$weir" state diff "$work/p" "$place/taken"
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

test_a_killed_copy_is_no_state_until_it_was_gone_on_with() {
    make_state "$work/k" rocksdb 200 2
    # The mark is written; the rows are on their way.
    "$weir" state migrate --from "$work/k" --to "fault:slatedb:$place/killed" \
        --option fault.op=write --option fault.nth=2 --option fault.delay_ms=600000 \
        --option fault.error=none >"$work/out" 2>&1 &
    local pid=$! tries=0
    until "$weir" state info "$place/killed" 2>/dev/null | grep -q INCOMPLETE; do
        ((tries += 1))
        ((tries < 200)) || return 1
        sleep 0.1
    done
    kill -9 "$pid"
    wait "$pid" || true
    ! make_state "$place/killed" slatedb 1 2>"$work/told"
    grep -q "a copy that was broken off" "$work/told"
    expect 1 "broken off" "$weir" state dump "$place/killed" "$work/dump"
    expect 0 "migrated 2 databases" \
        "$weir" state migrate --from "$work/k" --to "slatedb:$place/killed"
    expect 0 "" "$weir" state diff "$work/k" "$place/killed"
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
        --option max_retries=0 --option retry_timeout=1 --option open_timeout=5 --option fault.op=write \
        --option fault.nth=2 --option fault.delay_ms=2000 --option fault.error=none \
        >"$work/out" 2>"$work/told" &
    pid=$!
    until "$weir" state info s3://weir/g 2>/dev/null | grep -q INCOMPLETE; do
        ((tries += 1))
        ((tries < 200)) || return 1
        sleep 0.05
    done
    "$source_dir/scripts/moto" stop --dir "$work/moto"
    wait "$pid" || code=$?
    cat "$work/told"
    [[ $code == 1 ]]
    # Why, and what is left: a database that has the mark of one that is not complete.
    (($(grep -c '^weir: ' "$work/told") == 2))
    grep -q "^weir: slatedb could not write a batch.*can be reached" "$work/told"
    grep -q "^weir: can't remove what was begun" "$work/told"
    fingerprint "$work/g" | diff "$work/before" -
}

run_cases test_a_state_folder_moves_to_object_storage_and_back \
    test_a_dump_is_taken_from_and_loaded_to_object_storage test_places_with_state_are_refused \
    test_a_failure_leaves_nothing_and_the_source \
    test_a_killed_copy_is_no_state_until_it_was_gone_on_with \
    test_what_can_not_be_reached_is_told test_a_server_that_goes_away_in_the_middle_is_told
