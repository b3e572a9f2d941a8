"""Random operations for each kind of store; the same for a seed everywhere.

A script does what an application does: records come, some change state, checkpoints are made,
and after a failure or a crash processing goes on from the last commit with the same records. Where
Quix Streams is known to be wrong, it keeps away unless that is corrected (corrections.py).

SPDX-License-Identifier: Apache-2.0
"""

import json
import random

import orjson
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
        self.opened = lambda: []  # what is done first after each start
        self.crashes = True
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

    def fail(self, *lines):
        """An operation that makes the transaction fail, what is refused after it, and anew."""
        self.lines += [*lines, "abort", *self._since]

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
        self.lines += [*self.opened(), *self._since]

    def live(self, count, families, act, failing):
        """count records, each what act() gives, with the accidents of a life between them."""
        chance = self.random.random
        while self._processed < count:
            self.record(*act())
            event = chance()
            if event < 0.02:
                self.commit()
            elif event < 0.024 and failing:
                self.fail(*failing())
            elif event < 0.028 and self.crashes:
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


def any_bytes_but_times(rng):
    """None that begin like a time, and so like the expiry of a value: 23."""
    return any_bytes(rng).lstrip(b"\x00\xff")


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

    return script.live(count, ["default"], act, lambda: ["setbad N1 k", "prepare null"])


def ttl(seed, count, corrected=False):
    """A plain store whose values expire, from its first one on."""
    value = any_bytes if corrected else any_bytes_but_times
    script = Script(seed, "store plain")
    rng = script.random
    clock = Clock(rng, (1_700_000_000_000,))
    rows = [(prefix, key) for prefix in some_keys(rng, PREFIXES) for key in ("k", "%", "count")]

    def times():
        # By far not all of what is late comes with a TTL, and some of it is over when it comes.
        ttl = rng.choice(("", " %d" % rng.choice((1, 20, 50, 100, 10**6))))
        return "%d%s" % (clock.tick(), ttl)

    def act():
        prefix, key = rng.choice(rows)
        choice = rng.random()
        if choice < 0.4:
            return ["set %s %s %s %s" % (prefix, key, encode(value(rng)), times())]
        if choice < 0.5:
            return ["setjson %s %s %s %s" % (prefix, "count", json_field(rng), times())]
        if choice < 0.6:
            return ["delete %s %s" % (prefix, key)]
        if choice < 0.65:
            return ["exists %s %s %d" % (prefix, key, clock.tick())]
        if choice < 0.75:
            return ["get %s %s" % (prefix, key)]
        return ["get %s %s %d" % (prefix, key, clock.tick())]

    # Quix Streams keeps the event time of a transaction that failed: 08. And when it recovers
    # it reads the last message that it knows once more, and drops it if it has expired since.
    script.crashes = corrected

    def failing():
        return [rng.choice(("set N1 k v - 5", "set N1 k v %d 0" % clock.now)), "get N1 k"]

    # The clock is not in the changelog.
    script.opened = lambda: ["get a k %d" % clock.now]
    script.record("set a k v %d 20" % clock.tick())
    script.commit()
    return script.live(count, ["__ttl_system__"], act, failing if corrected else None)


WINDOW_FAMILIES = (
    "default",
    "__latest-timestamps__",
    "__expiration-index__",
    "__deletion-index__",
    "__value-deletion-index__",
    "__values__",
    "__global-counter__",
)
# Keys whose rows look like rows of the key "a", or of one another; and the empty key.
LOOKALIKES = (
    b"",
    b"a|" + (10).to_bytes(8, "big"),
    b"a|" + (10).to_bytes(8, "big") + b"|" + (20).to_bytes(8, "big"),
    b"|" + (10).to_bytes(8, "big"),
)


class Clock:
    """Event time that goes on, and records that are late."""

    def __init__(self, rng, begin=(0, 1_700_000_000_000)):
        self._rng = rng
        self._base = rng.choice(begin)
        self.now = self._base

    def tick(self, late=100):
        self.now += self._rng.choice((0, 0, 0, 1, 2, 5))
        return max(self._base, self.now - min(late, self._rng.choice((0, 0, 0, 5, 10, 30, 100))))

    def near(self):
        return self.now + self._rng.randrange(-90, 20)

    def valid(self):
        return max(0, self.near())


def value_field(rng):
    """In the canonical form; not null, which Quix Streams has for no value."""
    value = any_json(rng)
    return encode(orjson.dumps(0 if value is None else value))


def some_keys(rng, prefixes):
    """Few, so that each has much."""
    return [encode(prefix) for prefix in (b"a", *rng.choices(prefixes, k=4))]


def choose(rng, acts):
    """One of (weight, function), called."""
    return rng.choices([act for _, act in acts], [weight for weight, _ in acts])[0]()


def windowed(seed, count, corrected=False):
    """Windows that expire by key, collections, and what session windows are made of."""
    script = Script(seed, "store windowed")
    rng = script.random
    clock = Clock(rng)
    prefixes = some_keys(rng, PREFIXES + (3 * LOOKALIKES if corrected else ()))

    def key():
        return rng.choice(prefixes)

    def window(time):
        start = time - time % 10
        return "%d %d" % (start, start + rng.choice((10, 10, 10, 20, 25)))

    def direction():
        return rng.choice(("forward", "backward"))

    def update():
        time = clock.tick()
        return "update %s %s %s %d" % (key(), window(time), value_field(rng), time)

    def expire():
        kept = rng.random() < 0.3
        # What becomes of the values of deleted windows: 16.
        collect = rng.choice(("plain", "collect", "inclusive") if kept or corrected else ("plain",))
        delete = "keep" if kept else "delete"
        return "expire %s %d %s %s" % (key(), clock.near() - 40, delete, collect)

    def walk():
        last = rng.choice(("-", clock.near()))
        return "walk %s %d %s %s" % (key(), clock.near(), last, direction())

    def add():
        number = rng.choice(("-", clock.tick()))
        return "add %s %s %s" % (key(), number, value_field(rng))

    def uncollect():
        start = rng.choice(("", " %d" % clock.valid()))
        return "uncollect %s %d%s" % (key(), clock.near() - 30, start)

    def range_of(name):
        return "%s %s %d %d" % (name, key(), clock.near(), clock.near())

    acts = [
        (30, update),
        (10, lambda: "window %s %s" % (key(), window(clock.valid()))),
        (4, lambda: "remove %s %s" % (key(), window(clock.valid()))),
        (8, lambda: "%s %s" % (range_of("windows"), direction())),
        (5, walk),
        (12, expire),
        (4, lambda: "time " + key()),
        (3, lambda: "expired " + key()),
        (4, lambda: "removeall %s %d keep" % (key(), clock.near() - 60)),
        (10, add),
        (5, lambda: range_of("collected")),
        (2, lambda: "checkpoint " + key()),
        (1, lambda: "checkpoint %s %d" % (key(), clock.near())),
    ]
    if corrected:
        acts += [
            (4, uncollect),
            (2, lambda: "removeall %s %d values" % (key(), clock.near() - 60)),
        ]

    def failing():
        time = clock.valid()
        return [rng.choice(("window N1 %d %d", "update N1 %d %d 1 5")) % (time, time)]

    return script.live(count, WINDOW_FAMILIES, lambda: [choose(rng, acts)], failing)


def closing(seed, count, corrected=False):
    """Windows of all keys that expire at once, as their partition's time goes on."""
    script = Script(seed, "store windowed")
    rng = script.random
    clock = Clock(rng)
    prefixes = some_keys(rng, PREFIXES + (3 * LOOKALIKES if corrected else ()))
    # Quix Streams finds the ends on the grid of the steps alone: 02.
    step, duration = rng.choice(((10, 10), (10, 30)) + (((10, 25), (4, 10)) if corrected else ()))
    grace = 20
    closed = -1

    def act():
        nonlocal closed
        time = clock.tick()
        lines = ["advance %d" % time]
        for start in range(time - time % step, max(time - duration, -1), -step):
            # Windows that are over are not opened again.
            if start + duration > max(closed, 0):
                lines.append(
                    "update %s %d %d %s %d"
                    % (rng.choice(prefixes), start, start + duration, value_field(rng), time)
                )
        if rng.random() < 0.5 and clock.now > grace:
            closed = max(closed, clock.now - grace)
            delete = rng.choice(("delete", "delete", "delete", "keep"))
            collect = rng.choice(("plain", "collect")) if corrected else "plain"
            lines.append("expireall %d %d %s %s" % (clock.now - grace, step, delete, collect))
        if corrected:
            lines.append("add %s %d %s" % (rng.choice(prefixes), time, value_field(rng)))
        return lines

    return script.live(count, WINDOW_FAMILIES, act, lambda: ["window N1 5 5"])


TIMESTAMPED_FAMILIES = ("default", "__min-eligible-timestamps__", "__global-counter__")


def timestamped(seed, count, corrected=False):
    """Values by time, looked up as of a time."""
    rng = random.Random(seed)
    duplicates = rng.choice(("one", "all"))
    grace = rng.choice((0, 20, 80))
    script = Script(seed, "store timestamped %d %s" % (grace, duplicates))
    rng = script.random
    clock = Clock(rng)
    prefixes = some_keys(rng, PREFIXES + (3 * LOOKALIKES if corrected else ()))

    def key():
        return rng.choice(prefixes)

    latest = {}

    def put():
        # Quix Streams forgets the grace of a key with each transaction: 01.
        prefix, time = key(), clock.tick(100 if corrected else 0)
        latest[prefix] = max(time, latest.get(prefix, 0))
        return "put %s %d %s" % (prefix, time, value_field(rng))

    def interval():
        prefix, start = key(), clock.near()
        # And what is too old stays in intervals until the transaction ends: 24.
        if not corrected:
            start = max(start, latest.get(prefix, 0) - grace)
        return "%s %d %d" % (prefix, start, clock.near())

    acts = (
        (40, put),
        (30, lambda: "latest %s %d" % (key(), clock.valid())),
        (15, lambda: "interval " + interval() + rng.choice(("", "", " %d" % rng.randrange(4)))),
        (4, lambda: "cut " + interval()),
    )
    return script.live(
        count,
        TIMESTAMPED_FAMILIES,
        lambda: [choose(rng, acts)],
        lambda: [put(), put()],
    )

