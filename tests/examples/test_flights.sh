#!/usr/bin/env bash
# Runs the flights demo and compares its three files, byte for byte, with what a few lines of
# Python compute from the data.
# usage: test_flights.sh SOURCE_DIR BUILD_DIR CASE…
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
demo=$2/examples/flights/demo
export WEIR_BACKEND_PATH=$2/backends
shift 2
. "$source_dir/tests/support/cases.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-demo-XXXXXX")
export TMPDIR=$work

cleanup() {
    "$source_dir/scripts/kafka" stop --dir "$work/kafka"
    "$source_dir/scripts/moto" stop --dir "$work/s3"
    rm -rf "$work"
}
trap cleanup EXIT

for name in flights weather; do
    zstd -dc "$source_dir/examples/flights/data/$name.csv.zst" >"$work/$name.csv"
done
mkdir "$work/expected"
python3 "$source_dir/tests/examples/totals.py" <"$work/flights.csv" >"$work/expected/aircraft.csv"
python3 "$source_dir/tests/examples/departures.py" "$work/flights.csv" "$work/weather.csv" \
    "$work/expected"

# NAME OPTION…: runs the demo and compares.
run_demo() {
    local out=$work/$1
    shift
    timeout 200 "$demo" --out "$out" "$@" >"$out.log" 2>&1 || {
        cat "$out.log"
        return 1
    }
    local name
    for name in aircraft departures weather; do
        cmp "$work/expected/$name.csv" "$out/$name.csv"
    done
    # What ran is gone: no process, no state.
    [[ -z $(ls -d "$work"/weir-flights-* 2>/dev/null) ]]
    ! grep -qaF "$work/weir-flights" /proc/[0-9]*/cmdline 2>/dev/null
}

# NAME: the log of a run tells the crash and the rebuild.
expect_story() {
    grep -q 'killed (SIGKILL)' "$work/$1.log"
    grep -q 'state rebuilt from the changelog' "$work/$1.log"
    local store
    for store in default weather hours visibility; do
        grep -q "recovered $store partition" "$work/$1.log"
    done
    grep -q 'the totals of all 4,037 aircraft are those of the data' "$work/$1.log"
    grep -q 'so are the hours of all airports' "$work/$1.log"
}

start_kafka() {
    "$source_dir/scripts/kafka" start --dir "$work/kafka" --watch $$ |
        sed -n 's/^bootstrap=//p' >"$work/address"
    [[ -s $work/address ]]
}

test_rocksdb_without_crash() { run_demo rocksdb-calm --no-crash; }
test_memory_without_crash() { run_demo memory-calm --no-crash --backend memory; }
test_rocksdb_with_crash_and_rebuild() {
    run_demo rocksdb-crash
    expect_story rocksdb-crash
}
test_memory_and_two_workers_with_crash_and_rebuild() {
    run_demo memory-crash --backend memory --workers 2
    expect_story memory-crash
}

# A backend that was not built is skipped, loudly.
is_built() {
    [[ -e $WEIR_BACKEND_PATH/libweir_$1.so ]] || {
        echo "SKIPPED: the backend $1 is not built; CMake says why"
        return 1
    }
}
test_slatedb_without_crash() {
    is_built slatedb || return 0
    run_demo slatedb-calm --no-crash --backend slatedb
}
test_slatedb_with_crash_and_rebuild() {
    is_built slatedb || return 0
    run_demo slatedb-crash --backend slatedb
    expect_story slatedb-crash
}

start_s3() {
    local code=0
    "$source_dir/scripts/moto" start --dir "$work/s3" >"$work/s3.txt" || code=$?
    ((code != 77)) || echo "SKIPPED: no S3 server for the test"
    ((code == 0)) || return "$code"
    export AWS_ENDPOINT AWS_ALLOW_HTTP=true AWS_REGION=us-east-1
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    AWS_ENDPOINT=$(sed -n 's/^endpoint=//p' "$work/s3.txt")
}
# On a real broker, which lets a static member in at once: the group's waiting is no part of it.
test_state_on_s3_outlives_the_machine_and_can_be_rebuilt() {
    local code=0
    is_built slatedb || return 0
    start_s3 || code=$?
    ((code != 77)) || return 0
    start_kafka
    run_demo s3-crash --state s3://weir/flights --broker "$(<"$work/address")"
    grep -q 'state rebuilt from the changelog' "$work/s3-crash.log"
    grep -q 'the totals of all 4,037 aircraft are those of the data' "$work/s3-crash.log"
    # The last checkpoint before the kill may have to be read again, and no more than that.
    sed -n 's/.*goes on; \([0-9,]*\) changelog.*/\1/p' "$work/s3-crash.log" | tr -d , >"$work/read"
    grep 'goes on\|with the bucket' "$work/s3-crash.log"
    (($(<"$work/read") < 30000))
}

test_real_broker_with_crash_and_rebuild() {
    start_kafka
    run_demo real --broker "$(<"$work/address")"
    expect_story real
}
test_a_second_run_on_a_broker_takes_names_of_its_own() {
    run_demo again --no-crash --backend memory --broker "$(<"$work/address")"
    grep -q 'begin with run2-' "$work/again.log"
}

test_a_broker_that_does_not_answer_is_told() {
    local code=0
    timeout 60 "$demo" --out "$work/none" --broker 127.0.0.1:1 >"$work/none.log" 2>&1 || code=$?
    cat "$work/none.log"
    ((code == 1))
    grep -q '127.0.0.1:1' "$work/none.log"
}
test_a_data_file_that_is_missing_or_damaged_is_told() {
    local code=0
    "$demo" --out "$work/nodata" --data "$work/missing.zst" 2>"$work/nodata.log" || code=$?
    ((code == 1))
    grep -q "$work/missing.zst: No such file" "$work/nodata.log"
    echo "no data" >"$work/damaged.zst"
    code=0
    "$demo" --out "$work/nodata" --data "$work/damaged.zst" 2>"$work/nodata.log" || code=$?
    ((code == 1))
    grep -q "$work/damaged.zst: is not" "$work/nodata.log"
}
test_an_unknown_backend_is_told() {
    local code=0
    timeout 60 "$demo" --out "$work/backend" --backend nonsense >"$work/backend.log" 2>&1 || code=$?
    cat "$work/backend.log"
    ((code == 1))
    grep -q 'nonsense' "$work/backend.log"
}

test_slatedb_that_is_not_built_is_told() {
    local code=0
    WEIR_BACKEND_PATH=/nowhere timeout 60 "$demo" --out "$work/slate" --backend slatedb \
        >"$work/slate.log" 2>&1 || code=$?
    cat "$work/slate.log"
    ((code == 1))
    grep -q 'The backend slatedb is not built: install cargo' "$work/slate.log"
}
test_a_state_that_is_no_url_is_told() {
    local code=0
    "$demo" --out "$work/folder" --state here 2>"$work/folder.log" || code=$?
    ((code == 1))
    grep -q -e '--state here: it must be a URL' "$work/folder.log"
}
test_smoke_of_an_unknown_backend_fails() {
    local code=0
    "$source_dir/scripts/smoke" "${demo%/examples/*}" nonsense >"$work/smoke.log" 2>&1 || code=$?
    cat "$work/smoke.log"
    ((code == 1))
    grep -q "there is no backend 'nonsense'" "$work/smoke.log"
}

run_cases "$@"
