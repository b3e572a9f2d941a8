"""
Weir's stores beside the unmodified Quix Streams, in one run: the same calls, on RocksDB.

Each figure is the median of rounds in which both take turns, so that what else the machine does
meets both. Only the ratios of one run say something.
"""

import argparse
import json
import logging
import shutil
import statistics
import tempfile
import time
from typing import Callable, Dict, List

import quixstreams.state.rocksdb as quix
from quixstreams.state.recovery import ChangelogProducerFactory
from quixstreams.state.rocksdb.timestamped import TimestampedStore
from quixstreams.state.rocksdb.windowed.store import WindowedRocksDBStore
from quixstreams.utils.json import dumps, loads

import weirstreams.quix as weir

KEYS = 100_000
CHECKPOINT = 10_000
# How many times the package's own speed is wanted.
TARGETS = {"plain": 5.0, "windowed": 8.0, "timestamped": 8.0, "recovery": 5.0}


class NoProducer:
    """Takes changelog messages, with the parameters of InternalProducer, at the least cost."""

    def produce(self, topic, value=None, key=None, headers=None, partition=None, on_delivery=None):
        pass


FACTORY = ChangelogProducerFactory("changelog", NoProducer())


class Run:
    """One store of one implementation, in a folder of its own."""

    def __init__(self, store_class, **arguments) -> None:
        self.folder = tempfile.mkdtemp(prefix="weir-bench-")
        self.store = store_class(
            name="default",
            stream_id="topic",
            base_dir=self.folder + "/group",
            changelog_producer_factory=FACTORY,
            **arguments,
        )
        self.partition = self.store.assign_partition(0)
        self.offset = 0

    def checkpoints(self, records: int, work: Callable) -> None:
        for first in range(0, records, CHECKPOINT):
            transaction = self.partition.begin()
            work(transaction, range(first, min(first + CHECKPOINT, records)))
            transaction.prepare({"topic": first})
            self.offset += CHECKPOINT
            transaction.flush(changelog_offset=self.offset)

    def close(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


def key_of(number: int) -> bytes:
    return b"key-%d" % (number * 7919 % KEYS)


def plain(run: Run, records: int) -> None:
    def work(transaction, numbers):
        for number in numbers:
            state = transaction.as_state(prefix=key_of(number), timestamp=number)
            state.set("total", state.get("total", default=0) + 1)

    run.checkpoints(records, work)


def windowed(run: Run, records: int) -> None:
    """What a tumbling window of 10 s does with a record: get, update, expire."""

    def work(transaction, numbers):
        for number in numbers:
            time_ms = number * 20
            start = time_ms - time_ms % 10_000
            state = transaction.as_state(prefix=b"key-%d" % (number * 7919 % 1000))
            value = state.get_window(start, start + 10_000, default=0)
            state.update_window(start, start + 10_000, value + 1, timestamp_ms=time_ms)
            for _ in state.expire_windows(max_start_time=state.get_latest_timestamp() - 10_000):
                pass

    run.checkpoints(records, work)


def timestamped(run: Run, records: int) -> None:
    def work(transaction, numbers):
        for number in numbers:
            prefix = b"key-%d" % (number * 7919 % 1000)
            transaction.set_for_timestamp(timestamp=number, value=number, prefix=prefix)
            transaction.get_latest(timestamp=number, prefix=prefix)

    run.checkpoints(records, work)


def recovery(run: Run, records: int) -> None:
    apply = run.partition.recover_from_changelog_message
    for number in range(records):
        apply(key=key_of(number) + b'|"total"', value=b"1", cf_name="default", offset=number)
    run.partition.complete_recovery()


def no_op(records: int) -> float:
    """The plain case with three calls of C that do nothing in the place of its three."""
    call = {}.get
    began = time.perf_counter()
    for number in range(records):
        call(key_of(number), number)
        call("total", call("total", 0))
    return records / (time.perf_counter() - began)


def dictionary(records: int) -> float:
    """The plain case on a dict, with the same JSON, in Python: without a changelog or a database."""
    kept: Dict[bytes, bytes] = {}

    class State:
        __slots__ = ("prefix",)

        def __init__(self, prefix):
            self.prefix = prefix

        def get(self, key, default=None):
            data = kept.get(self.prefix + b"|" + dumps(key))
            return default if data is None else loads(data)

        def set(self, key, value):
            kept[self.prefix + b"|" + dumps(key)] = dumps(value)

    began = time.perf_counter()
    for number in range(records):
        state = State(key_of(number))
        state.set("total", state.get("total", default=0) + 1)
    return records / (time.perf_counter() - began)


CASES = {
    "plain": (plain, quix.RocksDBStore, weir.RocksDBStore, {}),
    "windowed": (windowed, WindowedRocksDBStore, weir.WindowedRocksDBStore, {}),
    "timestamped": (
        timestamped,
        TimestampedStore,
        weir.TimestampedRocksDBStore,
        {"grace_ms": 100_000, "keep_duplicates": False},
    ),
    "recovery": (recovery, quix.RocksDBStore, weir.RocksDBStore, {}),
}


def measure(store_class, work: Callable, records: int, arguments: dict) -> float:
    run = Run(store_class, **arguments)
    began = time.perf_counter()
    work(run, records)
    rate = records / (time.perf_counter() - began)
    run.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="keeps the figures in this file")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    options = parser.parse_args()
    logging.getLogger("quixstreams").setLevel(logging.ERROR)

    figures: List[dict] = []
    print(f"{'':12} {'Quix Streams':>14} {'Weir':>14} {'times':>7} {'wanted':>7}")
    for name in options.cases or CASES:
        work, reference, own, arguments = CASES[name]
        rates: Dict[str, List[float]] = {"quix": [], "weir": []}
        for _ in range(options.rounds):
            rates["quix"].append(measure(reference, work, options.records, arguments))
            rates["weir"].append(measure(own, work, options.records, arguments))
        before, after = (statistics.median(rates[who]) for who in ("quix", "weir"))
        times = after / before
        print(f"{name:12} {before:12,.0f}/s {after:12,.0f}/s {times:7.1f} {TARGETS[name]:7.1f}")
        figures.append({"name": name, "quix": before, "weir": after, "times": times})
    # What the plain case can be compared with: neither keeps anything.
    for name, contestant in (("no-op call", no_op), ("dict, JSON", dictionary)):
        rate = statistics.median(contestant(options.records) for _ in range(options.rounds))
        print(f"{name:12} {'':14} {rate:12,.0f}/s")
        figures.append({"name": name, "weir": rate})
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
