"""The differential test: Weir beside Quix Streams.

    run.py DIFFERENTIAL_WEIR [WHAT…] [--records N] [--seeds N…]

WHAT is a group of scripts (GROUPS; without it, all of them), backends, folders, weak_spots or
self_check. Prints cases as the other tests do.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import functools
import logging
import sys
import traceback

# The first of what imports quixstreams: it silences a warning.
from compare import Comparison, Difference, Weir

import corrections
import folders
import generate
import operators
import self_check
import weak_spots


class Script:
    """Random operations, and whether Quix Streams needs to be corrected for them."""

    def __init__(self, make, corrected=False):
        self._make = make
        self._corrections = corrections.ALL if corrected else ()

    def check(self, comparison, seed, records):
        with corrections.applied(self._corrections):
            return comparison.check(self._make(seed, records))

    def cases(self, comparison, name, seed, records):
        lines = self._make(seed, records)
        answers = []

        def same():
            answers.extend(self.check(comparison, seed, records))

        def relay(through_changelog):
            if not answers:
                raise Difference("there is nothing to compare with")
            with corrections.applied(self._corrections):
                comparison.relay(lines, answers, through_changelog)

        yield "%s_gives_the_same_answers_messages_and_files_seed_%d" % (name, seed), same
        yield "%s_is_handed_over_as_a_folder_seed_%d" % (name, seed), lambda: relay(False)
        yield "%s_is_handed_over_through_the_changelog_seed_%d" % (name, seed), lambda: relay(True)


def recorded(kind, corrected=False):
    return Script(functools.partial(operators.recorded, kind), corrected)


def corrected(make):
    return Script(functools.partial(make, corrected=True), True)


# What is random, by test, with the records of each script there.
GROUPS = {
    "plain": (1500, {"plain_store": Script(generate.plain)}),
    "ttl": (
        700,
        {
            "store_with_ttl": Script(generate.ttl),
            "store_with_ttl_and_failures": corrected(generate.ttl),
        },
    ),
    "windowed": (
        500,
        {
            "windowed_store": Script(generate.windowed),
            "windowed_store_with_keys_that_look_alike": corrected(generate.windowed),
            "windowed_store_closed_as_a_whole": Script(generate.closing),
            "windowed_store_closed_as_a_whole_off_the_grid": corrected(generate.closing),
        },
    ),
    "operators": (
        200,
        {
            "tumbling_window": recorded("tumbling"),
            "hopping_window_with_collection": recorded("hopping", corrected=True),
            "hopping_window_closed_as_a_whole": recorded("closing"),
            "sliding_window": recorded("sliding"),
            "session_window": recorded("session"),
        },
    ),
    "timestamped": (
        700,
        {
            "timestamped_store": Script(generate.timestamped),
            "timestamped_store_with_late_values": corrected(generate.timestamped),
        },
    ),
}


# Each kind of store on the backends that are not RocksDB.
BACKENDS = ("memory", "lmdb", "slatedb")
BACKEND_SEED = 11
BACKEND_RECORDS = 200
BACKEND_SCRIPTS = {
    "plain": Script(generate.plain),
    "ttl": corrected(generate.ttl),
    "windowed": corrected(generate.windowed),
    "timestamped": corrected(generate.timestamped),
}


def backend_cases(program):
    for backend in BACKENDS:
        weir = Weir(program, backend)
        if weir.version == "none":
            print("%s is not built: SKIPPED" % backend)
            continue
        for store, script in BACKEND_SCRIPTS.items():
            yield "%s_store_on_%s_gives_the_same_answers_and_messages" % (
                store,
                backend,
            ), functools.partial(
                script.check, Comparison(weir, has_files=False), BACKEND_SEED, BACKEND_RECORDS
            )


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


def random_cases(comparison, group, seeds, records):
    default, scripts = GROUPS[group]
    for name, script in scripts.items():
        for seed in seeds:
            yield from script.cases(comparison, name, seed, records or default)


def cases_of(what, comparison, arguments):
    if what == "self_check":
        return self_check.cases(arguments.weir)
    if what == "weak_spots":
        return weak_spots.cases(comparison.weir)
    if what == "folders":
        return folders.cases(comparison)
    if what == "backends":
        return backend_cases(arguments.weir)
    return random_cases(comparison, what, arguments.seeds, arguments.records)


def main():
    known = (*GROUPS, "backends", "folders", "weak_spots", "self_check")
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("what", nargs="*", default=list(GROUPS))
    parser.add_argument("--records", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    if not set(arguments.what) <= set(known):
        parser.error("WHAT is one of " + ", ".join(known))
    logging.disable(logging.CRITICAL)
    comparison = Comparison(Weir(arguments.weir))
    good = True
    for what in arguments.what:
        for name, function in cases_of(what, comparison, arguments):
            good = run_case(name, function) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
