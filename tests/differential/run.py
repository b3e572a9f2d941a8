"""The differential test: Weir beside Quix Streams.

    run.py DIFFERENTIAL_WEIR [WHAT…] [--operations N] [--seeds N…]

WHAT is a kind of store (generate.py; without it, all of them), folders, weak_spots or self_check.
Prints cases as the other tests do.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import logging
import sys
import traceback

import folders
import self_check
import weak_spots
from compare import Comparison, Difference, Weir
from generate import KINDS

OTHERS = ("folders", "weak_spots", "self_check")


def cases_of_kind(comparison, kind, seeds, count):
    """Name and function of each case."""
    scripts = {seed: KINDS[kind](seed, count) for seed in seeds}
    answers = {}

    def same(seed):
        answers[seed] = comparison.check(scripts[seed])

    def relay(seed, through_changelog):
        if seed in answers:
            comparison.relay(scripts[seed], answers[seed], through_changelog)

    for seed in seeds:
        title = "%s_store_%%s_seed_%d" % (kind, seed)
        yield title % "gives_the_same_answers_messages_and_files", lambda s=seed: same(s)
        yield title % "is_handed_over_as_a_folder", lambda s=seed: relay(s, False)
        yield title % "is_handed_over_through_the_changelog", lambda s=seed: relay(s, True)


def run_case(name, function):
    name = "test_" + name
    print("[ RUN      ] " + name, flush=True)
    try:
        function()
    except Difference as difference:
        print(difference)
    except Exception:
        traceback.print_exc(file=sys.stdout)
    else:
        print("[       OK ] " + name, flush=True)
        return True
    print("[  FAILED  ] " + name, flush=True)
    return False


def cases_of(what, comparison, arguments):
    if what == "self_check":
        return self_check.cases(arguments.weir)
    if what == "weak_spots":
        return weak_spots.cases(comparison.weir)
    if what == "folders":
        return folders.cases(comparison)
    return cases_of_kind(comparison, what, arguments.seeds, arguments.operations)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("what", nargs="*")
    parser.add_argument("--operations", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    if not set(arguments.what) <= {*KINDS, *OTHERS}:
        parser.error("there are %s" % ", ".join((*KINDS, *OTHERS)))
    logging.disable(logging.CRITICAL)
    comparison = Comparison(Weir(arguments.weir))
    good = True
    for what in arguments.what or KINDS:
        for name, function in cases_of(what, comparison, arguments):
            good = run_case(name, function) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
