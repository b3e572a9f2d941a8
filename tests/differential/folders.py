"""Folders that one program left, killed or in good order, and the other opens.

SPDX-License-Identifier: Apache-2.0
"""

import functools

from compare import (
    GROUP,
    Difference,
    Folder,
    first_difference,
    run_quix,
    run_quix_program,
    told,
)
from generate import WINDOW_FAMILIES, plain, timestamped, ttl, windowed
from operations import Topic, encode
from operators import closed_as_a_whole

SEED = 52  # each of its scripts begins with more than 100 operations before the second opening
RECORDS = 300
STORES = {"plain": plain, "ttl": ttl, "windowed": windowed, "timestamped": timestamped}


def closed(comparison):
    """The files that Quix Streams writes have the SST format 6, which RocksDB reads from 8.6 on."""
    lines = ["store plain", 'open {"flights":0}', "set a k 1", 'prepare {"flights":0}', "flush"]
    after = ["store plain", 'open {"flights":1}', "dump default"]
    with Folder() as folder:
        topic = Topic()
        # The second opening writes what the log held into a file.
        run_quix([*lines, *after[1:]], folder, topic)
        before = sorted(file.name for file in (folder / GROUP).rglob("*.sst"))
        given = [told(answer) for answer in comparison.weir.run(after, folder, topic)][1:]
        kept = sorted(file.name for file in (folder / GROUP).rglob("*.sst"))
        if comparison.weir.reads_format_6:
            if given != ["ok", "ok a|k=1"]:
                raise Difference("given: %s" % given)
        elif given[0] != "error version" or kept != before:
            raise Difference("given: %s; files before: %s, after: %s" % (given, before, kept))


def killed(comparison, store, first, second):
    lines = STORES[store](SEED, RECORDS)
    comparison.killed(lines, comparison.check(lines), first, second)


def sessions(comparison):
    """Session windows that close as a whole keep a mark that no other window has: 2^64−1."""
    keys = (b"a", b"N1", b"a|b")
    reads = ["dump " + family for family in WINDOW_FAMILIES]
    for key in map(encode, keys):
        reads += ["walk %s 0 - forward" % key, "collected %s 0 9999" % key, "time " + key]
    lines = ["store windowed", 'open {"flights":1}', *reads]
    with Folder() as folder:
        topic = Topic()
        closed_as_a_whole(folder, topic, keys, 5)
        expected = run_quix(lines, folder, topic, 5)
        given = comparison.weir.run([*lines, "expired %", "wipe", *lines], folder, topic)
    here, mark, through_changelog = given[: len(lines)], given[len(lines)], given[len(lines) + 2 :]
    if mark != "ok %d" % (2**63 - 1):
        raise Difference("the mark of the partition: " + mark)
    for answers in (here, through_changelog):
        number = first_difference(lines, expected, answers)
        if number is not None:
            raise Difference("%s:\n  %s\n  %s" % (lines[number], expected[number], answers[number]))


def cases(comparison):
    yield "sessions_of_quix_that_close_as_a_whole_are_read", functools.partial(sessions, comparison)
    yield "folder_that_quix_closed_is_read_or_refused", functools.partial(closed, comparison)
    by_weir, by_quix = comparison.weir.run, run_quix_program
    for store in STORES:
        yield "folder_of_a_%s_store_that_quix_left_killed_is_read" % store, functools.partial(
            killed, comparison, store, by_quix, by_weir
        )
        yield "folder_of_a_%s_store_that_weir_left_killed_is_read" % store, functools.partial(
            killed, comparison, store, by_weir, by_quix
        )
