"""Folders that one program left, killed or in good order, and the other opens.

SPDX-License-Identifier: Apache-2.0
"""

import functools

from compare import GROUP, Difference, Folder, run_quix, run_quix_program, told
from generate import KINDS
from operations import Topic

SEED = 7
RECORDS = 400


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


def killed(comparison, kind, first, second):
    lines = KINDS[kind](SEED, RECORDS)
    comparison.killed(lines, comparison.check(lines), first, second)


def cases(comparison):
    yield "folder_that_quix_closed_is_read_or_refused", functools.partial(closed, comparison)
    by_weir, by_quix = comparison.weir.run, run_quix_program
    for kind in KINDS:
        yield "folder_of_a_%s_store_that_quix_left_killed_is_read" % kind, functools.partial(
            killed, comparison, kind, by_quix, by_weir
        )
        yield "folder_of_a_%s_store_that_weir_left_killed_is_read" % kind, functools.partial(
            killed, comparison, kind, by_weir, by_quix
        )
