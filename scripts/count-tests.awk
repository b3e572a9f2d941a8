# Counts single test cases in the JUnit files that CTest writes, and prints what failed,
# what was skipped, and "N passed, N failed".
#
# A cmocka program, or a script that prints the same marks, tells its cases: RUN, then OK
# or FAILED. A case that began and did not end, because the program died in it, failed. A
# program that tells no cases is one case; one that ends with an error although all its
# cases passed (a leak, a timeout) is one failure more. A program that could not be started
# failed. Exit code 1: a failure, or nothing ran.
#
# SPDX-License-Identifier: Apache-2.0
/<testcase / {
    name = $0
    sub(/.*<testcase name="/, "", name)
    sub(/".*/, "", name)
    status = $0
    sub(/.* status="/, "", status)
    sub(/".*/, "", status)
    began = passed = skipped = 0
}
/<skipped message="SKIP_RETURN_CODE/ { status = "skipped" }
{ sub(/^[ \t]*<system-out>/, "") }
/^\[ RUN      \] / { began++; current = $NF }
/^\[       OK \] / { passed++; current = "" }
/^\[  SKIPPED \] / && current != "" { skipped++; current = "" }
/<\/testcase>/ {
    if (status == "skipped") {
        all_skipped = all_skipped "\n  " name
        next
    }
    failed = began - passed - skipped
    if (failed <= 0)
        failed = status == "run" ? 0 : 1
    if (status == "run" && began == 0)
        passed = 1
    if (failed > 0)
        all_bad = all_bad "\n  " name " (" FILENAME ")"
    total_passed += passed
    total_failed += failed
}
END {
    if (all_skipped != "")
        print "skipped:" all_skipped
    if (all_bad != "")
        print "failed:" all_bad
    printf "%d passed, %d failed\n", total_passed, total_failed
    exit total_failed > 0 || total_passed == 0
}
