#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each public header compiles alone, twice in one file, without warnings, as C11 and as C++17:
# `CC=cc CXX=c++ test_headers.sh ROOT`.

set -euo pipefail
root=$1
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
failed=0
count=0

compile() { # what header compiler-and-flags…
    local what=$1 header=$2
    shift 2
    if printf '#include <weir/%s>\n#include <weir/%s>\n' "$header" "$header" |
        "$@" "${warnings[@]}" -fsyntax-only -I "$root/include" -; then
        count=$((count + 1))
    else
        echo "FAILED: <weir/$header> does not compile alone as $what"
        failed=1
    fi
}

for path in "$root"/include/weir/*.h; do
    header=$(basename "$path")
    compile C11 "$header" "${CC:-cc}" -x c -std=c11
    compile C++17 "$header" "${CXX:-c++}" -x c++ -std=c++17
done
[ "$count" -ge 2 ] || failed=1
echo "$count compilations are fine"
exit $failed
