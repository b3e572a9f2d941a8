#!/usr/bin/env bash
# Installs the build into a folder, moves it, and builds programs against it from outside.
# usage: test_install.sh SOURCE_DIR BUILD_DIR
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source_dir=$1
build_dir=$2
. "$source_dir/tests/support/cases.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-install-XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/moved/weir

expect_counter() { # PROGRAM
    local output
    output=$("$1" "$work/state")
    echo "$output"
    [[ $output == "count 3"$'\n'"weir "* ]]
}

find_pc() {
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name weir.pc)")
    export PKG_CONFIG_PATH
}

test_an_installed_tree_can_be_moved() {
    cmake --install "$build_dir" --prefix "$work/first" >"$work/install.log"
    mkdir -p "$work/moved"
    mv "$work/first" "$prefix"
    [[ -e $prefix/include/weir/weir.h ]]
    # Nothing but the public headers is installed, and nothing names the folders of the build.
    [[ $(ls "$prefix/include/weir") == $(ls "$source_dir/include/weir") ]]
    ! grep -rlF -e "$source_dir" -e "$work/first" --include='*.pc' --include='*.cmake' \
        --include='*.h' "$prefix"
}

test_the_folder_for_backends_is_installed() {
    find_pc
    [[ -d $(pkg-config --variable=backenddir weir) ]]
}

test_a_program_builds_with_pkg_config_and_keeps_state() {
    find_pc
    # shellcheck disable=SC2046
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -o "$work/by-pkg-config" \
        "$source_dir/tests/install/state.c" $(pkg-config --cflags --libs weir) \
        "-Wl,-rpath,$(pkg-config --variable=libdir weir)"
    expect_counter "$work/by-pkg-config"
}

test_the_installed_command_looks_into_the_state() {
    "$work/by-pkg-config" "$work/kept" rocksdb
    "$prefix/bin/weir" state info "$work/kept" | grep -q 'kind      plain'
    [[ $("$prefix/bin/weir" state get "$work/kept" 'key|"count"') == 3 ]]
    "$prefix/bin/weir" state dump "$work/kept" "$work/dump"
    "$prefix/bin/weir" state load "$work/dump" "rocksdb:$work/loaded"
    "$prefix/bin/weir" state diff "$work/kept" "$work/loaded"
}

test_backends_are_looked_for_where_the_tree_was_moved_to() {
    local output
    find_pc
    ! output=$("$work/by-pkg-config" "$work/state" no-such-backend 2>&1)
    echo "$output"
    [[ $output == *no-such-backend*"$prefix"*/weir/backends* ]]
}

test_a_program_builds_with_the_cmake_package_and_keeps_state() {
    cmake -S "$source_dir/tests/install/package" -B "$work/package" -G Ninja \
        -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >"$work/package.log" ||
        { cat "$work/package.log"; return 1; }
    cmake --build "$work/package"
    expect_counter "$work/package/state"
}

# The C program between the first fences of the README.
test_the_program_of_the_readme_builds_and_says_when_there_is_no_broker() {
    local code=0
    find_pc
    awk '/^```c$/ { on = 1; next } /^```$/ && on { exit } on' "$source_dir/README.md" \
        >"$work/readme.c"
    (($(wc -l <"$work/readme.c") > 15 && $(wc -l <"$work/readme.c") <= 36))
    # shellcheck disable=SC2046
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -o "$work/readme" "$work/readme.c" \
        $(pkg-config --cflags --libs weir) "-Wl,-rpath,$(pkg-config --variable=libdir weir)"
    cd "$work"
    timeout 60 "$work/readme" 127.0.0.1:1 >"$work/readme.out" 2>&1 || code=$?
    cat "$work/readme.out"
    ((code == 1))
    grep -q "127.0.0.1:1" "$work/readme.out"
}

run_cases test_an_installed_tree_can_be_moved test_the_folder_for_backends_is_installed \
    test_a_program_builds_with_pkg_config_and_keeps_state \
    test_the_installed_command_looks_into_the_state \
    test_backends_are_looked_for_where_the_tree_was_moved_to \
    test_a_program_builds_with_the_cmake_package_and_keeps_state \
    test_the_program_of_the_readme_builds_and_says_when_there_is_no_broker
