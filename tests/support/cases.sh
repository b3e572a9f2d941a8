# Test cases in shell scripts, told with cmocka's marks so that they are counted alike.
#
#   . cases.sh
#   test_something() { … ; }     # fails when a command in it fails
#   before_case() { … ; }        # optional: before each
#   run_cases test_something …
#
# SPDX-License-Identifier: Apache-2.0

# Runs each case in a subshell that stops at the first failing command.
run_cases() {
    local name failed=0
    for name in "$@"; do
        echo "[ RUN      ] $name"
        set +e
        (
            set -euo pipefail
            if declare -F before_case >/dev/null; then
                before_case
            fi
            "$name"
        )
        local code=$?
        set -e
        if ((code == 0)); then
            echo "[       OK ] $name"
        else
            echo "[  FAILED  ] $name"
            failed=1
        fi
    done
    return "$failed"
}
