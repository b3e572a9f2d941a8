#!/usr/bin/env bash
# The backend of docs/write-a-backend.md: built outside the tree against an installed header, run
# through the installed kit, and used by a program.
# usage: test_tutorial.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-tutorial-XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/weir

test_it_has_less_than_300_lines() {
    (($(wc -l <"$source_dir/examples/backend/ledger.c") < 300))
}

test_it_builds_against_the_installed_header_alone() {
    cmake --install "$build_dir" --prefix "$prefix" >"$work/install.log"
    mkdir "$work/mine"
    cp "$source_dir/examples/backend/ledger.c" "$work/mine"
    cd "$work/mine"
    "${CC:-cc}" -shared -fPIC -O2 -Wall -Wextra -Werror -I "$prefix/include" \
        -o libweir_ledger.so ledger.c
    # It links nothing of Weir.
    ! nm -D --undefined-only libweir_ledger.so | grep -i weir
}

test_it_keeps_what_it_claims() {
    cd "$work/mine"
    "$prefix/bin/weir" conformance libweir_ledger.so --location "$work" >report.txt ||
        { cat report.txt; return 1; }
    cat report.txt
    grep -Eq '^[0-9]+ checks: 2[0-9] passed, 0 failed, ' report.txt
    grep -q '  passed   batches are whole after a kill' report.txt
}

test_damage_is_found_and_a_cut_off_batch_is_not_there() {
    cd "$work/mine"
    ((skip = 30)) || true
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -I "$prefix/include" -o state \
        "$source_dir/tests/install/state.c" -L"$(dirname "$(find "$prefix" -name libweir.so)")" \
        -lweir "-Wl,-rpath,$(dirname "$(find "$prefix" -name libweir.so)")"
    ./state "$work/state" "$work/mine/libweir_ledger.so" >first.txt
    cat first.txt
    grep -q '^count 3' first.txt
    local log
    log=$(find "$work/state" -name ledger.log | head -n 1)
    printf 'XYZ' >>"$log"
    ./state "$work/state" "$work/mine/libweir_ledger.so"
    printf '\xff' | dd of="$log" bs=1 seek="$skip" conv=notrunc status=none
    ! ./state "$work/state" "$work/mine/libweir_ledger.so" >damaged.txt 2>&1
    cat damaged.txt
    grep -qi 'checksum\|damaged\|corrupt' damaged.txt
}

test_it_is_found_where_plugins_are_looked_for() {
    cp "$work/mine/libweir_ledger.so" "$(find "$prefix" -type d -path '*weir/backends')"
    "$prefix/bin/weir" backends ledger | grep -q "origin        $(realpath "$prefix")/"
}

# The program between the fences of the tutorial that build and check it.
test_the_commands_of_the_tutorial_are_those_that_work() {
    local page=$source_dir/docs/write-a-backend.md
    grep -q 'cc -shared -fPIC -O2 -o libweir_ledger.so ledger.c' "$page"
    grep -q 'weir conformance libweir_ledger.so' "$page"
    # Every fenced line of C in the page is in the file, apart from the indentation.
    local line missing=0
    while IFS= read -r line; do
        grep -qxF -- "$line" <(sed 's/^ *//' "$source_dir/examples/backend/ledger.c") ||
            { echo "not in ledger.c: $line"; missing=1; }
    done < <(awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on && NF { sub(/^ */, ""); print }' \
        "$page")
    ((missing == 0))
}

run_cases test_it_has_less_than_300_lines test_it_builds_against_the_installed_header_alone \
    test_it_keeps_what_it_claims test_damage_is_found_and_a_cut_off_batch_is_not_there \
    test_it_is_found_where_plugins_are_looked_for \
    test_the_commands_of_the_tutorial_are_those_that_work
