"""Runs operations on both programs and compares; finds a short way to a difference.

SPDX-License-Identifier: Apache-2.0
"""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import quix
import rocksdict
from operations import Topic, encode
from quix import GROUP, PARTITION, STORE, STREAM, Engine

SHRINK_SECONDS = 20
SHM = "/dev/shm"
# In memory if it can be: databases are opened hundreds of times, and each is synced.
_TEMPORARY = None if "TMPDIR" in os.environ or not os.access(SHM, os.W_OK) else SHM


TTL_SYSTEM = "__ttl_system__"
TTL_INDEX = "__ttl_index__"
STAMP_SIZE = 8
NEVER = b"\xff" * STAMP_SIZE


class Difference(AssertionError):
    pass


class Weir:
    """The program differential_weir on one backend."""

    def __init__(self, program, backend="rocksdb"):
        self._program = program
        self._environment = {**os.environ, "WEIR_STATE_BACKEND": backend}
        #: "none" if it was not built.
        self.version = self._call("--version", backend).split()[-1]

    def _call(self, *arguments, lines=()):
        return call([self._program, *map(str, arguments)], lines, self._environment)

    @property
    def reads_format_6(self):
        return tuple(map(int, self.version.split(".")[:2])) >= (8, 6)

    def run(self, lines, folder, topic):
        """Answers; folder holds the state, topic is brought up to date."""
        return run_program([self._program], lines, folder, topic, self._environment)


def call(command, lines, environment=None):
    """What a program prints; one that is killed is one of ours, which asked for it."""
    result = subprocess.run(
        command,
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if result.returncode not in (0, -signal.SIGKILL):
        raise Difference(
            "%s ended with code %d\n%s" % (command, result.returncode, result.stderr[-4000:])
        )
    return result.stdout


def run_program(command, lines, folder, topic, environment=None):
    folder.mkdir(exist_ok=True)
    changelog = folder / "changelog"
    topic.save(changelog)
    command = [*command, str(folder), str(changelog)]
    answers = call(command, lines, environment).splitlines()
    written = Topic.load(changelog)
    topic.records, topic.high = written.records, written.high
    return answers


def run_quix_program(lines, folder, topic):
    """In a process of its own, which can be killed."""
    return run_program([sys.executable, quix.__file__], lines, folder, topic)


def run_quix(lines, folder, topic, format_version=None):
    engine = Engine(folder, topic, format_version)
    try:
        return [engine.run(line) for line in lines]
    finally:
        engine.close()


class Folder:
    """A folder for a state that goes away."""

    def __enter__(self):
        self._path = pathlib.Path(tempfile.mkdtemp(prefix="weir-differential-", dir=_TEMPORARY))
        return self._path

    def __exit__(self, *_):
        shutil.rmtree(self._path)


def told(answer):
    """Without what is for people."""
    return answer.split(" # ")[0]


def kinds(*answers):
    """What sort of answers they are: a difference between values is none between errors."""
    return [told(answer) if answer.startswith("error") else "ok" for answer in answers]


def first_difference(lines, left, right):
    for number, (a, b) in enumerate(zip(left, right)):
        if told(a) != told(b):
            return number
    return None if len(left) == len(right) == len(lines) else min(len(left), len(right))


class Comparison:
    """Quix Streams and Weir, side by side; has_files: both on RocksDB."""

    def __init__(self, weir, has_files=True):
        self.weir = weir
        self._has_files = has_files

    def check(self, lines):
        """Compares the answers, and what the folders hold in the end. The answers."""
        quix_topic, weir_topic = Topic(), Topic()
        with Folder() as quix_folder, Folder() as weir_folder:
            quix = run_quix(lines, quix_folder, quix_topic)
            weir = self.weir.run(lines, weir_folder, weir_topic)
            number = first_difference(lines, quix, weir)
            if number is not None:
                raise Difference(self._explain(lines, number, quix, weir))
            check_order(weir_topic)
            if self._has_files:
                check_families(
                    without_offset(families(quix_folder), quix_topic),
                    without_offset(families(weir_folder), weir_topic),
                )
        return weir

    def relay(self, lines, answers, through_changelog):
        """
        The same operations, and at each restart the other program takes over: the folder, or the
        changelog alone. All answers have to be those of a single program.
        """
        format_version = None if self.weir.reads_format_6 else 5

        def by_quix(part, folder, topic):
            return run_quix(part, folder, topic, format_version)

        def by_weir(part, folder, topic):
            return self.weir.run(part, folder, topic)

        programs = itertools.cycle((by_quix, by_weir))
        check_turns(lines, answers, zip(programs, segments(lines)), through_changelog)

    def killed(self, lines, answers, first, second):
        """
        One program is killed about half way, or before it is opened for the second time: then
        RocksDB writes a file of what its log holds. The other one takes over the folder.
        """
        parts = segments(lines)
        to_log = first is run_quix_program and not self.weir.reads_format_6
        count = 1 if to_log else len(parts) // 2
        turns = (
            (first, [*itertools.chain(*parts[:count]), "kill"]),
            (second, [*itertools.chain(*parts[count:])]),
        )
        check_turns(lines, answers, turns, False)

    def _explain(self, lines, number, quix, weir):
        short = self._shrink(lines[: number + 1], kinds(quix[number], weir[number]))
        text = ["at line %d: %s" % (number + 1, lines[number])]
        text += ["  Quix Streams: " + quix[number], "  Weir:         " + weir[number]]
        text += ["the shortest way there that was found:"]
        text += ["  " + line for line in short]
        return "\n".join(text)

    def _shrink(self, lines, wanted):
        """Leaves out what can be left out while the last answers, and no others, differ as they do."""
        deadline = time.monotonic() + SHRINK_SECONDS
        head, body, last = lines[:2], lines[2:-1], lines[-1]
        size = max(len(body) // 2, 1)
        while body and size > 0:
            at = 0
            while at < len(body) and time.monotonic() < deadline:
                shorter = body[:at] + body[at + size :]
                if self._differs([*head, *shorter, last], wanted):
                    body = shorter
                else:
                    at += size
            size //= 2
        return [*head, *body, last]

    def _differs(self, lines, wanted):
        with Folder() as quix_folder, Folder() as weir_folder:
            quix = run_quix(lines, quix_folder, Topic())
            weir = self.weir.run(lines, weir_folder, Topic())
        is_last = first_difference(lines, quix, weir) == len(lines) - 1
        return is_last and kinds(quix[-1], weir[-1]) == wanted


def check_turns(lines, answers, turns, through_changelog):
    """Runs parts of lines by different programs, and compares with the answers of one."""
    done = 1
    topic = Topic()
    with Folder() as folder:
        for number, (program, part) in enumerate(turns):
            if through_changelog:
                shutil.rmtree(folder / GROUP, ignore_errors=True)
            given = program([lines[0], *part], folder, topic)[1:]
            part = [line for line in part if line != "kill"]
            expected = answers[done : done + len(part)]
            at = first_difference(part, given, expected)
            if at is not None:
                raise Difference(
                    "part %d, %s, line %d:\n  %s\n  expected %s\n  given    %s"
                    % (
                        number,
                        program.__name__,
                        done + at + 1,
                        part[at],
                        expected[at],
                        given[at] if at < len(given) else "nothing",
                    )
                )
            done += len(part)


def segments(lines):
    """Parts that begin with "open", or with the "wipe" before it."""
    parts = []
    for number, line in enumerate(lines[1:], 1):
        after_wipe = lines[number - 1] == "wipe"
        if line == "wipe" or (line.startswith("open ") and not after_wipe):
            parts.append([])
        parts[-1].append(line)
    return parts


def families(folder):
    """What a RocksDB folder holds, read by rocksdict alone."""
    path = str(folder / GROUP / STORE / STREAM / str(PARTITION))
    options = rocksdict.Options(raw_mode=True)
    names = rocksdict.Rdict.list_cf(path, options)
    database = rocksdict.Rdict(
        path, options, {name: rocksdict.Options(raw_mode=True) for name in names}
    )
    try:
        return {name: dict(database.get_column_family(name).items()) for name in names}
    finally:
        database.close()


def without_offset(state, topic):
    """All but the offset of the last message. A recovery of Quix Streams may add messages."""
    offset = state["__metadata__"].pop(b"__changelog_offset__", None)
    if topic.high > 0 and offset != (topic.high - 1).to_bytes(8, "big"):
        raise Difference("the offset is %s, not that before %d" % (encode(offset), topic.high))
    return state


def check_order(topic):
    """That a store has TTLs is told after all messages that it is true of."""
    for before, record in zip(topic.records, topic.records[1:]):
        if before.family == TTL_SYSTEM != record.family and before.processed == record.processed:
            raise Difference("%s before %s" % (before.fields(), record.fields()))


def check_families(quix, weir):
    """Every column family: the same keys with the same values, but for what is Weir's own."""
    for name in sorted(set(quix) | set(weir)):
        if name.startswith("__weir"):
            continue
        left, right = quix.get(name, {}), weir.get(name, {})
        if name == TTL_INDEX:
            # In Quix Streams entries of values that are gone stay until they are swept.
            left = {
                stamped[:STAMP_SIZE] + key: b""
                for key, stamped in weir["default"].items()
                if stamped[:STAMP_SIZE] != NEVER
            }
        for key in sorted(set(left) | set(right)):
            if key.startswith(b"__weir"):
                continue
            if left.get(key) != right.get(key):
                raise Difference(
                    "in the folder, family %s, key %s:\n  Quix Streams: %s\n  Weir:         %s"
                    % (name, encode(key), encode(left.get(key)), encode(right.get(key)))
                )
