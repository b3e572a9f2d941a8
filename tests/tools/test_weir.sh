#!/usr/bin/env bash
# The `weir` command: help, version, lists, explanations, and what it says to wrong arguments.
# usage: test_weir.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
weir=$build_dir/tools/weir
# The plugins of the loader's tests: one that works, and spoilt ones.
plugins=$build_dir/tests/backend/plugins
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-tools-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset WEIR_BACKEND_PATH WEIR_LOG

# CODE TEXT COMMAND…: the exit code, and a text on one line of all it says.
expect() {
    local code=0 wanted=$1 text=$2 output
    shift 2
    output=$("$@" 2>&1) || code=$?
    echo "$output"
    [[ $code == "$wanted" ]] || { echo "expected exit code $wanted, seen $code"; return 1; }
    [[ $output == *"$text"* ]] || { echo "expected: $text"; return 1; }
}

# The same, and that the message is one line.
expect_message() {
    expect "$@"
    shift 2
    (($("$@" 2>&1 >/dev/null | wc -l) == 1)) || { echo "expected one line"; return 1; }
}

test_version_and_help_are_told() {
    expect 0 "weir $(sed -n 's/^#define WEIR_VERSION_STRING "\(.*\)"/\1/p' \
        "$source_dir/include/weir/base.h") (backend interface 1)" "$weir" --version
    expect 0 "weir conformance" "$weir" help
    expect 0 "weir backends" "$weir" --help
}

test_wrong_arguments_are_refused() {
    expect 2 "usage" "$weir"
    expect 2 "there is no command 'frobnicate'" "$weir" frobnicate
    expect 2 "takes one name" "$weir" backends a b
    expect 2 "needs the name of a backend" "$weir" conformance
    expect 2 "there is no level 'all'" "$weir" conformance memory --level all
    expect 2 "takes KEY=VALUE" "$weir" conformance memory --option novalue
    expect 2 "does not understand --frob" "$weir" conformance memory --frob 1
    expect 2 "--level needs a value" "$weir" conformance memory --level
    expect 2 "does not understand --timeout" "$weir" conformance memory --timeout soon
    expect 2 "there is no check 'x'" "$weir" conformance memory --check x
    expect 2 "one backend at a time" "$weir" conformance memory rocksdb
}

test_backends_are_listed_with_their_capabilities() {
    local output
    output=$("$weir" backends)
    echo "$output"
    grep -Eq '^memory +memory [0-9.]+ +built in$' <<<"$output"
    grep -Eq '^rocksdb +rocksdb [0-9.]+ +built in$' <<<"$output"
    grep -Eq '^ +column families, atomic batch, bounded iteration, reverse iteration, snapshots$' \
        <<<"$output"
    [[ $output != *tiny* ]]
}

test_plugins_of_the_path_are_listed_with_their_file() {
    local output
    mkdir -p "$work/path"
    cp "$plugins/libweir_tiny.so" "$work/path"
    output=$(WEIR_BACKEND_PATH=$work/path "$weir" backends)
    echo "$output"
    grep -Eq "^tiny +tiny 1 +$(realpath "$work")/path/libweir_tiny.so\$" <<<"$output"
    # The current folder is no place for plugins.
    cd "$work/path"
    [[ $("$weir" backends) != *tiny* ]]
    expect 1 "there is no backend 'tiny'" "$weir" backends tiny
    expect 0 "atomic batch" "$weir" backends ./libweir_tiny.so
}

test_a_backend_is_explained_with_its_options() {
    local output
    output=$("$weir" backends rocksdb)
    echo "$output"
    grep -q '  version       rocksdb' <<<"$output"
    grep -q '  origin        built in' <<<"$output"
    grep -q '  capabilities  column families, atomic batch' <<<"$output"
    # Type, range, default and help of an option.
    grep -A2 '^  max_bytes$' <("$weir" backends memory) | grep -q 'bytes; default 0'
    (($(grep -c 'default ' <<<"$output") > 5))
    expect 1 "there is no backend 'nosuch'" "$weir" backends nosuch
}

test_a_plugin_that_is_none_is_refused_with_one_message() {
    echo "no library" >"$work/libweir_text.so"
    expect_message 1 "can't load the plugin" "$weir" conformance "$work/libweir_text.so"
    expect_message 1 "can't find the plugin" "$weir" conformance "$work/libweir_missing.so"
    expect_message 1 "does not export 'weir_backend_get'" \
        "$weir" conformance "$plugins/libweir_noentry.so"
    expect_message 1 "built for version 2 of the backend interface" \
        "$weir" conformance "$plugins/libweir_newer.so"
    expect_message 1 "can't work with version 1" "$weir" conformance "$plugins/libweir_refuses.so"
    expect_message 1 "lacks the required method 'write'" \
        "$weir" conformance "$plugins/libweir_nowrite.so"
    expect_message 1 "declares the capability 'snapshots' but lacks its method 'snapshot_open'" \
        "$weir" conformance "$plugins/libweir_boasting.so"
}

test_a_plugin_that_others_may_change_is_refused() {
    mkdir -p "$work/open"
    cp "$plugins/libweir_tiny.so" "$work/open"
    chmod 0777 "$work/open"
    expect_message 1 "may be written to by others" "$weir" conformance "$work/open/libweir_tiny.so"
}

test_what_can_not_be_run_is_told_before_it_runs() {
    expect 1 "max_bytes" "$weir" conformance memory --option max_byte=1
    expect 1 "wraps another backend" "$weir" conformance trace
    expect 1 "can't make a folder in $work/none" "$weir" conformance memory --location "$work/none"
    expect 1 "can't write $work/none/report.json" "$weir" conformance memory --level families \
        --json "$work/none/report.json"
}

run_cases test_version_and_help_are_told test_wrong_arguments_are_refused \
    test_backends_are_listed_with_their_capabilities \
    test_plugins_of_the_path_are_listed_with_their_file \
    test_a_backend_is_explained_with_its_options \
    test_a_plugin_that_is_none_is_refused_with_one_message \
    test_a_plugin_that_others_may_change_is_refused \
    test_what_can_not_be_run_is_told_before_it_runs
