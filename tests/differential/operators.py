"""What the window operators of Quix Streams do to their state, as operations.

An operator runs on a real transaction, and each call it makes is noted. Session, sliding, hopping
and tumbling windows come into the test that way, as they are in an application.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import tempfile

from generate import WINDOW_FAMILIES, Clock, Script, some_keys, PREFIXES
from operations import Topic, decode, encode
from quix import Engine, dumps
from quixstreams.context import set_message_context
from quixstreams.dataframe.windows.aggregations import Collect, Count, Sum
from quixstreams.dataframe.windows.session import SessionWindowMultiAggregation
from quixstreams.dataframe.windows.sliding import SlidingWindowSingleAggregation
from quixstreams.dataframe.windows.time_based import (
    ClosingStrategy,
    FixedTimeWindowMultiAggregation,
    FixedTimeWindowSingleAggregation,
)
from quixstreams.models.messagecontext import MessageContext


class State:
    """The state of a key; notes what is called."""

    def __init__(self, notes, state, prefix):
        self._notes = notes
        self._state = state
        self._key = encode(prefix)

    def _note(self, name, *fields):
        self._notes.append(" ".join([name, self._key, *map(str, fields)]))

    def get_latest_timestamp(self):
        self._note("time")
        return self._state.get_latest_timestamp()

    def get_window(self, start, end, default=None):
        self._note("window", start, end)
        return self._state.get_window(start, end, default)

    def update_window(self, start_ms, end_ms, value, timestamp_ms):
        self._note("update", start_ms, end_ms, encode(dumps(value)), timestamp_ms)
        self._state.update_window(start_ms, end_ms, value, timestamp_ms)

    def delete_window(self, start_ms, end_ms):
        self._note("remove", start_ms, end_ms)
        self._state.delete_window(start_ms, end_ms)

    def get_windows(self, start_from_ms, start_to_ms, backwards=False):
        direction = "backward" if backwards else "forward"
        self._note("windows", start_from_ms, start_to_ms, direction)
        return self._state.get_windows(start_from_ms, start_to_ms, backwards)

    def iter_windows(self, start_from_ms=0, start_to_ms=None, backwards=False):
        last = "-" if start_to_ms is None else start_to_ms
        self._note("walk", start_from_ms, last, "backward" if backwards else "forward")
        return self._state.iter_windows(start_from_ms, start_to_ms, backwards)

    def add_to_collection(self, value, id):
        self._note("add", "-" if id is None else id, encode(dumps(value)))
        return self._state.add_to_collection(value, id)

    def get_from_collection(self, start, end):
        self._note("collected", start, end)
        return self._state.get_from_collection(start, end)

    def delete_from_collection(self, end, *, start=None):
        self._note("uncollect", end, *(() if start is None else (start,)))
        self._state.delete_from_collection(end, start=start)

    def expire_windows(self, max_start_time, delete=True, collect=False, end_inclusive=False):
        self._note(
            "expire",
            max_start_time,
            "delete" if delete else "keep",
            "plain" if not collect else "inclusive" if end_inclusive else "collect",
        )
        return list(
            self._state.expire_windows(max_start_time, delete, collect, end_inclusive)
        )

    def delete_windows(self, max_start_time, delete_values):
        self._note("removeall", max_start_time, "values" if delete_values else "keep")
        self._state.delete_windows(max_start_time, delete_values)

    def get_expiry_checkpoint(self):
        self._note("checkpoint")
        return self._state.get_expiry_checkpoint()

    def set_expiry_checkpoint(self, timestamp_ms):
        self._note("checkpoint", timestamp_ms)
        self._state.set_expiry_checkpoint(timestamp_ms)


class Transaction:
    """The same for calls that are about a partition."""

    def __init__(self, notes, txn):
        self._notes = notes
        self._txn = txn

    def as_state(self, prefix):
        return State(self._notes, self._txn.as_state(prefix), prefix)

    def get_latest_expired(self, prefix):
        self._notes.append("expired " + encode(prefix))
        return self._txn.get_latest_expired(prefix)

    def expire_all_windows(self, max_end_time, step_ms, delete=True, collect=False):
        self._notes.append(
            "expireall %d %d %s %s"
            % (
                max_end_time,
                step_ms,
                "delete" if delete else "keep",
                "collect" if collect else "plain",
            )
        )
        return list(self._txn.expire_all_windows(max_end_time, step_ms, delete, collect))

    def key_from_prefix(self, prefix, message_key):
        return prefix


def operator(kind, grace):
    common = {"grace_ms": grace, "name": "w", "dataframe": None, "on_late": lambda *_: False}
    sums = {"aggregators": {"value": Sum("v")}, "collectors": {}}
    both = {"aggregators": {"n": Count(), "sum": Sum("v")}, "collectors": {"all": Collect("v")}}
    if kind == "tumbling":
        return FixedTimeWindowSingleAggregation(duration_ms=10, **common, **sums)
    if kind == "closing":
        window = FixedTimeWindowSingleAggregation(duration_ms=30, step_ms=10, **common, **sums)
        window._closing_strategy = ClosingStrategy.PARTITION
        return window
    if kind == "hopping":
        return FixedTimeWindowMultiAggregation(duration_ms=20, step_ms=5, **common, **both)
    if kind == "sliding":
        return SlidingWindowSingleAggregation(duration_ms=12, **common, **sums)
    return SessionWindowMultiAggregation(inactivity_gap_ms=6, **common, **both)


def recorded(kind, seed, count):
    """The operations of an operator over random records."""
    script = Script(seed, "store windowed")
    rng = script.random
    # Sliding windows of Quix Streams fail for a record at 0, which has no window before it.
    clock = Clock(rng, (1_000, 1_700_000_000_000))
    keys = some_keys(rng, PREFIXES)
    window = operator(kind, rng.choice((0, 5, 20)))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-differential-"))
        engine = Engine(folder, Topic())
        stack.callback(engine.close)
        for line in script.lines:
            engine.run(line)

        def act():
            notes = []
            set_message_context(MessageContext("flights", 3, 0, 0))
            _, expired = window.process_window(
                value={"v": rng.randrange(100)},
                key=decode(rng.choice(keys)),
                timestamp_ms=clock.tick(30),
                headers=None,
                transaction=Transaction(notes, engine.txn),
            )
            list(expired)
            return notes

        return script.live(count, WINDOW_FAMILIES, act, lambda: ["window N1 5 5"])



def closed_as_a_whole(folder, topic, keys, format_version):
    """Leaves the state of session windows that close with their partition, and no open one."""
    engine = Engine(folder, topic, format_version)
    window = operator("session", 0)
    window._closing_strategy = ClosingStrategy.PARTITION
    for line in ("store windowed", 'open {"flights":0}'):
        engine.run(line)
    for time in range(0, 300, 7):
        window.process_window({"v": time}, keys[time % len(keys)], 1_000 + time, None, engine.txn)
    for line in ("checkpoint % 18446744073709551615", 'prepare {"flights":0}', "flush"):
        assert engine.run(line).startswith("ok")
    engine.close()
