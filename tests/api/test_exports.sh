#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The shared library exports exactly the functions that the public headers declare with WEIR_API:
# `CC=cc test_exports.sh ROOT LIBRARY`.

set -euo pipefail
root=$1
library=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The compiler takes the comments out; each declaration ends with ';', and its name is the word
# before the first parenthesis.
cat "$root"/include/weir/*.h | grep -v '^# *define WEIR_API' |
    "${CC:-cc}" -w -fpreprocessed -dD -E -P -x c - | tr '\n' ' ' | tr ';' '\n' |
    sed -n 's/.*WEIR_API[^(]*[ *]\([a-z_0-9]*\) *(.*/\1/p' | sort -u > "$work/declared"

# Sanitizers and the linker add names of their own, which begin with '_'.
nm -D --defined-only "$library" | awk '$2 != "w" && $3 !~ /^_/ { print $3 }' |
    sed 's/@.*//' | sort -u > "$work/exported"

count=$(wc -l < "$work/declared")
if [ "$count" -lt 30 ]; then
    echo "FAILED: found only $count declarations with WEIR_API in $root/include/weir"
    exit 1
fi
if ! diff "$work/declared" "$work/exported" > "$work/difference"; then
    sed -n 's/^< /FAILED: declared but not exported: /p; s/^> /FAILED: exported but not declared: /p' \
        "$work/difference"
    exit 1
fi
echo "$count functions are declared and exported"
