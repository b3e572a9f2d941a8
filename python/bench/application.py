"""
Whole applications on a real broker: Weir beside the unmodified Quix Streams, in one run.

stateful, windowed: records/s from the first record processed to the last, checkpoints included.
recovery: changelog messages/s, with an empty folder, from the beginning of recovery to its end.
"""

import argparse
import os
import subprocess
import tempfile
import time
import uuid
import warnings
from pathlib import Path
from typing import Callable, Dict

import quixstreams
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import weirstreams.quix as weir

ROOT = Path(__file__).resolve().parents[2]
APPLICATIONS = {"quix": quixstreams.Application, "weir": weir.Application}
# How many times the package's own speed is wanted.
TARGETS = {"stateful": 1.3, "windowed": 1.8, "recovery": 5.0}
KEYS = 10_000
NOW = int(time.time()) // 1000 * 1_000_000


class Broker:
    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="weir-bench-kafka-")
        self.script = str(ROOT / "scripts" / "kafka")
        started = subprocess.run(
            [self.script, "start", "--dir", self.folder, "--watch", str(os.getpid()), "--remove"]
            + ["--set", "group.initial.rebalance.delay.ms=0"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        self.address = dict(line.split("=", 1) for line in started.stdout.split())["bootstrap"]

    def topic(self, records: int) -> str:
        name = uuid.uuid4().hex[:8]
        admin = AdminClient({"bootstrap.servers": self.address})
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
        self.send(name, 0, records)
        return name

    def send(self, name: str, first: int, records: int) -> None:
        producer = Producer({"bootstrap.servers": self.address, "linger.ms": 50})
        for number in range(first, first + records):
            key = b"key-%d" % (number * 7919 % KEYS)
            producer.produce(name, b"%d" % number, key, timestamp=NOW + number * 10)
            if number % 10_000 == 0:
                producer.poll(0)
        producer.flush()

    def stop(self) -> None:
        subprocess.run([self.script, "stop", "--dir", self.folder], check=True)


def run(broker: Broker, who: str, topic: str, records: int, shape: Callable) -> Dict[str, float]:
    """Processes so many records with an empty folder."""
    app = APPLICATIONS[who](
        broker_address=broker.address,
        consumer_group=f"{who}-{topic}",
        state_dir=tempfile.mkdtemp(prefix="weir-bench-"),
        auto_offset_reset="earliest",
        commit_every=10_000,
        loglevel="ERROR",
        consumer_extra_config={"topic.metadata.refresh.interval.ms": 1000},
    )
    frame = app.dataframe(app.topic(topic, key_deserializer="bytes", value_deserializer="json"))
    times = []

    def count(value):
        times.append(time.perf_counter())
        if len(times) == records:
            app.stop()
        return value

    shape(frame.apply(count))
    manager = app._state_manager
    recover, spent = manager.do_recovery, [0.0]

    def timed_recovery():
        began = time.perf_counter()
        recover()
        spent[0] += time.perf_counter() - began

    manager.do_recovery = timed_recovery
    app.run()
    ended = time.perf_counter()
    return {"rate": records / (ended - times[0]), "recovery": spent[0]}


def stateful(frame):
    def total(value, state):
        state.set("total", state.get("total", default=0) + 1)
        return value

    return frame.apply(total, stateful=True)


def windowed(frame):
    return frame.tumbling_window(10_000, grace_ms=0).count().final()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    broker = Broker()
    rates: Dict[str, Dict[str, float]] = {name: {} for name in TARGETS}
    try:
        for who in APPLICATIONS:
            for name, shape in (("stateful", stateful), ("windowed", windowed)):
                topic = broker.topic(options.records)
                rates[name][who] = run(broker, who, topic, options.records, shape)["rate"]
                if name == "stateful":
                    broker.send(topic, options.records, 1)
                    seconds = run(broker, who, topic, 1, shape)["recovery"]
                    rates["recovery"][who] = options.records / seconds
    finally:
        broker.stop()
    print(f"{'':12} {'Quix Streams':>14} {'Weir':>14} {'times':>7} {'wanted':>7}")
    for name, measured in rates.items():
        times = measured["weir"] / measured["quix"]
        print(
            f"{name:12} {measured['quix']:12,.0f}/s {measured['weir']:12,.0f}/s "
            f"{times:7.1f} {TARGETS[name]:7.1f}"
        )


if __name__ == "__main__":
    main()
