"""The example flights.py on a real broker: its results are those of flights.c, and each goes on
where the other one stopped."""

import collections
import csv
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import ROOT

EXAMPLE = ROOT / "examples" / "flights"
FLIGHTS = 20_000
PARTITIONS = 4


def is_departure(row):
    return row["dep_delay"] and row["tailnum"]


@pytest.fixture(scope="module")
def rows():
    """The year's first departures."""
    with subprocess.Popen(
        ["zstd", "-dc", str(EXAMPLE / "data" / "flights.csv.zst")],
        stdout=subprocess.PIPE,
        text=True,
    ) as unpacked:
        departures = filter(is_departure, csv.DictReader(unpacked.stdout))
        first = list(itertools.islice(departures, FLIGHTS))
        unpacked.kill()
    return first


@pytest.fixture(scope="module")
def programs():
    """The command of each job."""
    job = os.environ.get("WEIR_FLIGHTS", "")
    if not os.access(job, os.X_OK):
        pytest.skip(f"WEIR_FLIGHTS={job}: it must be the program made of flights.c")
    return {"c": [job], "python": [sys.executable, str(EXAMPLE / "flights.py")]}


def expected_updates(rows):
    """For each aircraft what the job has to send, in this order and with these bytes."""
    totals, updates = {}, collections.defaultdict(list)
    for row in rows:
        flights, miles, delay = totals.get(row["tailnum"], (0, 0, 0))
        total = (flights + 1, miles + int(row["distance"]), delay + int(row["dep_delay"]))
        totals[row["tailnum"]] = total
        text = (
            '{"flights":%d,"miles":%d,"delay_minutes":%d,"last_destination":"%s"}'
            % (*total, row["dest"])
        )
        updates[row["tailnum"].encode()].append(text.encode())
    return updates


def table_of_data(rows):
    """aircraft.csv as tests/examples/totals.py computes it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    totals = ROOT / "tests" / "examples" / "totals.py"
    return subprocess.run(
        [sys.executable, str(totals)], input=text.getvalue().encode(), stdout=-1, check=True
    ).stdout


def table_of_updates(updates):
    """aircraft.csv as the demo writes it, from the last update of each aircraft."""
    lines = ["tailnum,flights,miles,delay_minutes\n"]
    for tailnum in sorted(updates):
        total = json.loads(updates[tailnum][-1])
        line = f"{total['flights']},{total['miles']},{total['delay_minutes']}\n"
        lines.append(f"{tailnum.decode()},{line}")
    return "".join(lines).encode()


class Run:
    """The job's topics, and what came out of them, whichever program works on them."""

    def __init__(self, broker, prefix, folder):
        self.broker, self.prefix, self.folder = broker, prefix, folder
        self.updates = collections.defaultdict(list)
        self.received = 0
        names = [prefix + name for name in ("flights", "aircraft-totals", "departures")]
        topics = [NewTopic(name, PARTITIONS, 1) for name in names]
        admin = AdminClient({"bootstrap.servers": broker})
        for made in admin.create_topics(topics).values():
            made.result(30)
        # Idempotent: what has to be sent again stays in its place.
        self.producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True})
        self.consumer = Consumer({"bootstrap.servers": broker, "group.id": prefix + "results"})
        self.consumer.assign([TopicPartition(names[1], i, 0) for i in range(PARTITIONS)])

    def feed(self, rows):
        for row in rows:
            flight = {
                "carrier": row["carrier"],
                "flight": int(row["flight"]),
                "tailnum": row["tailnum"],
                "origin": row["origin"],
                "dest": row["dest"],
                "distance": int(row["distance"]),
                "dep_delay": int(row["dep_delay"]),
            }
            self.producer.produce(self.prefix + "flights", json.dumps(flight), row["tailnum"])
            self.producer.poll(0)
        assert self.producer.flush(30) == 0

    def receive(self, count, job):
        """Waits for so many updates more, as long as the job runs and some come."""
        wanted, deadline = self.received + count, time.monotonic() + 30
        while self.received < wanted and job.poll() is None and time.monotonic() < deadline:
            for message in self.consumer.consume(1000, 0.1):
                assert message.error() is None
                self.updates[message.key()].append(message.value())
                self.received += 1
                deadline = time.monotonic() + 30
        return self.received == wanted

    def work(self, command, state, rows):
        """Feeds flights; the program works on them with a state folder of its own, and stops."""
        self.feed(rows)
        options = ["--broker", self.broker, "--prefix", self.prefix, "--commit-interval", "500"]
        options += ["--state", str(self.folder / state), "--backend", "rocksdb"]
        options += ["--workers", "1"]
        # Changelogs that were just made may not be known yet.
        options += ["--kafka", "topic.metadata.refresh.interval.ms=1000"]
        log = self.folder / f"{state}.log"
        with log.open("wb") as file:
            job = subprocess.Popen(command + options, stdout=file, stderr=file)
        try:
            assert self.receive(len(rows), job), log.read_text()
            job.send_signal(signal.SIGTERM)
            assert job.wait(30) == 0, log.read_text()
        finally:
            job.kill()
            job.wait()


@pytest.mark.parametrize("order", [("python", "c", "python"), ("c", "python", "c")], ids="-".join)
def test_either_program_goes_on_where_the_other_stopped(broker, rows, programs, tmp_path, order):
    run = Run(broker, "-".join(order) + "-", tmp_path)
    # A part for each, unequal ones; each begins on a machine that has only the changelog.
    ends = [0, 8_000, 13_000, FLIGHTS]
    for number, name in enumerate(order):
        part = rows[ends[number] : ends[number + 1]]
        run.work(programs[name], f"{number}-{name}", part)
    # Nothing is missing, and nothing came twice: each stopped at a checkpoint.
    run.consumer.close()
    assert run.updates == expected_updates(rows)
    assert table_of_updates(run.updates) == table_of_data(rows)
