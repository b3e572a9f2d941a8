"""That the comparison itself finds what differs, and tells it shortly.

SPDX-License-Identifier: Apache-2.0
"""

import functools

import corrections
from compare import (
    Comparison,
    Difference,
    Folder,
    Weir,
    check_families,
    first_difference,
    run_quix,
)
from generate import closing, plain, timestamped, ttl, windowed
from operations import Topic

LOST = "delete N1 k"
SHORTEST = 8


class Forgetful(Weir):
    """Leaves out one kind of operation, and says that it was done."""

    def run(self, lines, folder, topic):
        given = iter(super().run([line for line in lines if line != LOST], folder, topic))
        return ["ok" if line == LOST else next(given) for line in lines]


def finds(program):
    try:
        Comparison(Forgetful(program)).check(plain(1, 1500))
    except Difference as difference:
        text = str(difference)
    else:
        raise Difference("it was not found")
    steps = text.split("that was found:\n")[1].splitlines()
    if "  " + LOST not in steps or len(steps) > SHORTEST:
        raise Difference("it was not told shortly:\n" + text)


def tells_families():
    left = {"default": {b"k": b"1"}, "__metadata__": {b"o": b"2"}}
    check_families(left, {**left, "__weir_index__": {b"x": b""}})
    for right in ({"default": left["default"]}, {**left, "more": {b"k": b"v"}}):
        try:
            check_families(left, right)
        except Difference:
            continue
        raise Difference("it was not found in %s" % right)


def correct_where_quix_is_right():
    """Where the random operations keep away from its mistakes, a correction changes nothing."""
    for make in (ttl, windowed, closing, timestamped):
        lines = make(3, 800)
        given = []
        for applied in ((), corrections.ALL):
            with Folder() as folder, corrections.applied(applied):
                given.append(run_quix(lines, folder, Topic()))
        number = first_difference(lines, *given)
        if number is not None:
            raise Difference("%s: %s" % (lines[number], [answers[number] for answers in given]))


def cases(program):
    yield "a_difference_in_answers_is_found_and_told_shortly", functools.partial(finds, program)
    yield "a_difference_in_a_folder_is_found", tells_families
    yield "corrections_change_nothing_where_quix_is_right", correct_where_quix_is_right
