#!/usr/bin/env bash
# The conformance kit, as it is installed, on every backend that was built: all that is claimed
# passes. And its report, as JSON.
# usage: test_kit.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
weir=$build_dir/tools/weir
export WEIR_BACKEND_PATH=$build_dir/backends
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-kit-XXXXXX")
trap 'rm -rf "$work"' EXIT

# BACKEND LEAST [argument…]: nothing fails, and at least as many checks pass.
expect_conforming() {
    local backend=$1 least=$2
    shift 2
    "$weir" conformance "$backend" --location "$work" --json "$work/$backend.json" "$@"
    (($(grep -c '"outcome": "passed"' "$work/$backend.json") >= least))
    rm "$work/$backend.json"
    [[ -z $(ls "$work") ]]
}

test_memory_keeps_what_it_claims() {
    expect_conforming memory 30
}
test_rocksdb_keeps_what_it_claims() {
    expect_conforming rocksdb 40
}
test_lmdb_keeps_what_it_claims() {
    expect_conforming lmdb 40
}
# A snapshot keeps the map from growing, so the levels that write much beside one are left out.
test_lmdb_with_the_smallest_map_keeps_what_it_claims() {
    expect_conforming lmdb 20 --option map_size=1MiB --level core --level crash \
        --level concurrency
}
# SlateDB has no empty keys, and its backend refuses them. The host never hands it one, as it puts
# a family's prefix before each key; on the bare method table the kit finds it.
test_slatedb_keeps_what_it_claims_but_for_empty_keys() {
    "$weir" conformance slatedb --location "$work" --json "$work/slatedb.json" || true
    python3 - "$work/slatedb.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
failed = {check["name"] for check in report["checks"] if check["outcome"] == "failed"}
assert failed <= {"keys_may_be_empty_and_hold_any_bytes"}, failed
assert report["passed"] >= 33, report
PYTHON
    rm "$work/slatedb.json"
    [[ -z $(ls "$work") ]]
}

test_the_report_is_json_with_a_note_for_what_did_not_pass() {
    "$weir" conformance memory --level core --level crash --seed 7 --json "$work/report.json" \
        >"$work/report.txt"
    python3 - "$work/report.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["backend"]["name"] == "memory", report
assert "atomic batch" in report["backend"]["capabilities"], report
assert report["seed"] == 7, report
checks = report["checks"]
assert {check["level"] for check in checks} == {"core", "crash"}, report
for outcome in ("passed", "failed", "skipped"):
    assert report[outcome] == sum(check["outcome"] == outcome for check in checks), report
skipped = [check for check in checks if check["outcome"] == "skipped"]
assert skipped and all("not claimed: " in check["note"] for check in skipped), skipped
PYTHON
    rm "$work/report.json" "$work/report.txt"
}

test_checks_are_listed_and_run_one_by_one() {
    "$weir" conformance --list | grep -q '^crash        batches_are_whole_after_a_kill (where'
    "$weir" conformance memory --check keys_of_all_sizes_keep_their_order >"$work/one.txt"
    grep -q '^1 checks: 1 passed, 0 failed, 0 skipped' "$work/one.txt"
    rm "$work/one.txt"
}

cases=(test_memory_keeps_what_it_claims test_rocksdb_keeps_what_it_claims
    test_the_report_is_json_with_a_note_for_what_did_not_pass
    test_checks_are_listed_and_run_one_by_one)
for plugin in lmdb slatedb; do
    if [[ -e $WEIR_BACKEND_PATH/libweir_$plugin.so ]]; then
        for name in $(compgen -A function "test_$plugin"); do
            cases+=("$name")
        done
    else
        echo "NOT TESTED: the backend $plugin was not built (see the output of cmake)"
        echo "[ RUN      ] test_${plugin}_keeps_what_it_claims"
        echo "[  SKIPPED ] test_${plugin}_keeps_what_it_claims"
    fi
done
run_cases "${cases[@]}"
