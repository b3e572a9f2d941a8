# What the tests of `weir state` share. Sourced after source_dir, build_dir and cases.sh.
#
# SPDX-License-Identifier: Apache-2.0
weir=$build_dir/tools/weir
export WEIR_BACKEND_PATH=$build_dir/backends
unset WEIR_STATE_BACKEND
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-state-XXXXXX")
holder=
clean_up() {
    [[ -z $holder ]] || kill -9 "$holder" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

# The plugins that were built.
plugins=()
for name in lmdb slatedb; do
    if [[ -e $WEIR_BACKEND_PATH/libweir_$name.so ]]; then
        plugins+=("$name")
    else
        echo "NOT TESTED: the backend $name was not built (see the output of cmake)"
    fi
done

# CODE TEXT COMMAND…: the exit code, and a text in what it says.
expect() {
    local code=0 wanted=$1 text=$2 output
    shift 2
    output=$("$@" 2>&1) || code=$?
    echo "$output"
    [[ $code == "$wanted" ]] || { echo "expected exit code $wanted, seen $code"; return 1; }
    [[ $output == *"$text"* ]] || { echo "expected: $text"; return 1; }
}

# The same, and that what it says is one line.
expect_message() {
    expect "$@"
    shift 2
    (($("$@" 2>&1 >/dev/null | grep -vc 'store\.beta') == 1)) || { echo "expected one line"; return 1; }
}

# LINES COMMAND…: exactly this on stdout.
expect_lines() {
    local output wanted=$1
    shift
    output=$("$@" 2>/dev/null)
    echo "$output"
    [[ $output == "$wanted" ]] || { echo "expected: $wanted"; return 1; }
}

# STATE_DIR BACKEND ROWS [PARTITIONS]
make_state() {
    WEIR_LOG=error "$build_dir/tests/tools/make_state" "$@"
}

# The same, kept open until release_state.
hold_state() {
    mkfifo "$1.in" "$1.out"
    WEIR_LOG=error "$build_dir/tests/tools/make_state" "$1" "$2" "$3" 1 hold <"$1.in" >"$1.out" &
    holder=$!
    exec 8>"$1.in"
    local line
    read -r line <"$1.out"
    [[ $line == ready ]]
}
release_state() {
    exec 8>&-
    wait "$holder"
    holder=
}

# Names and contents of all files below a folder.
fingerprint() {
    (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}
