"""Random operations for each kind of store; the same for a seed everywhere.

A script does what an application does: records come, some change state, checkpoints are made,
and after a failure or a crash processing goes on from the last commit with the same records. Where
Quix Streams is known to be wrong, it keeps away unless that is corrected (corrections.py).

SPDX-License-Identifier: Apache-2.0
"""

import json
import random

from operations import encode

# Keys of records: prefixes of one another, with separators, with bytes at the ends of the range.
PREFIXES = (
    b"N14228",
    b"N1",
    b"a",
    b"a|",
    b"ab",
    b"\x00",
    b"\x00\x00",
    b"\xff\xff",
    "é".encode(),
    b"long" * 60,
)


class Script:
    """Lines of operations, and where the last commit was."""

    def __init__(self, seed, store):
        self.random = random.Random(seed)
        self.lines = [store, 'open {"flights":0}']
        self._processed = -1
        self._committed = -1
        self._since = []

    def record(self, *lines):
        """What one source record does."""
        self._processed += 1
        self._since += lines
        self.lines += lines

    def commit(self):
        self._prepare()
        self.lines.append("flush")
        self._committed = self._processed
        self._since = []

    def fail(self, line):
        """An operation that makes the transaction fail, one that is refused after it, and anew."""
        self.lines += [line, "prepare null", "abort"]
        self.lines += self._since

    def restart(self):
        """A stop in good order, after a commit or in the middle of a transaction."""
        self._open()

    def crash(self):
        """The changelog has what was not committed."""
        self._prepare()
        self._open()

    def rebuild(self):
        self.lines.append("wipe")
        self._open()

    def compact(self):
        self.lines.append("compact")

    def dump(self, families):
        self.commit()
        self.lines += ["dump " + family for family in families]

    def _prepare(self):
        processed = "null" if self._processed < 0 else '{"flights":%d}' % self._processed
        self.lines.append("prepare " + processed)

    def _open(self):
        self.lines.append('open {"flights":%d}' % (self._committed + 1))
        self.lines += self._since

    def live(self, count, families, act, failing):
        """count records, each what act() gives, with the accidents of a life between them."""
        chance = self.random.random
        while self._processed < count:
            self.record(*act())
            event = chance()
            if event < 0.02:
                self.commit()
            elif event < 0.024:
                self.fail(failing())
            elif event < 0.028:
                self.crash()
            elif event < 0.032:
                self.restart()
            elif event < 0.035:
                self.dump(families)
            elif event < 0.037:
                self.commit()
                self.compact()
            elif event < 0.039:
                self.rebuild()
        self.dump(families)
        return self.lines


def any_bytes(rng):
    size = rng.choice((0, 1, 2, 7, 8, 9, 30, 200))
    return bytes(rng.choice((0, 1, 124, 255, 97, rng.randrange(256))) for _ in range(size))


def any_json(rng, depth=0):
    kind = rng.randrange(6 if depth > 2 else 8)
    if kind == 0:
        return rng.choice((0, 1, -1, 2**63 - 1, -(2**63), 2**64 - 1, rng.randrange(10**6)))
    if kind == 1:
        return rng.choice((0.0, -0.0, 1.5, 1e16, 1e-7, 0.1, rng.random() * 10 ** rng.randrange(20)))
    if kind in (2, 3):
        return "".join(rng.choice('abN1|"\\\n\x01é😀 ') for _ in range(rng.randrange(12)))
    if kind == 4:
        return rng.choice((None, True, False))
    if kind == 5:
        return rng.randrange(100)
    if kind == 6:
        return [any_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {str(rng.randrange(9)): any_json(rng, depth + 1) for _ in range(rng.randrange(4))}


def json_field(rng):
    """With spaces and escapes that are not in the canonical form."""
    return encode(json.dumps(any_json(rng)).encode())


def plain(seed, count):
    script = Script(seed, "store plain")
    rng = script.random
    keys = [b"k", b"", b"\x00", b"\xff", b'"count"', b"k" * 100]
    # ("a", "|x") and ("a|", "x") would be the same row.
    rows = [(prefix, key) for prefix in PREFIXES for key in keys if prefix + key != b"a|"]
    rows += [(b"", key) for key in keys]

    def act():
        prefix, key = map(encode, rng.choice(rows))
        choice = rng.random()
        if choice < 0.35:
            return ["set %s %s %s" % (prefix, key, encode(any_bytes(rng)))]
        if choice < 0.45:
            text = rng.choice(("k", "count", 'quo"te', "é"))
            return ["setjson %s %s %s" % (prefix, encode(text.encode()), json_field(rng))]
        if choice < 0.6:
            return ["delete %s %s" % (prefix, key)]
        if choice < 0.7:
            return ["exists %s %s" % (prefix, key)]
        return ["get %s %s" % (prefix, key)]

    return script.live(count, ["default"], act, lambda: "setbad N1 k")


KINDS = {"plain": plain}
