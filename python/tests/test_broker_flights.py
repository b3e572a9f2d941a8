"""The example flights.py on a real broker: its results are those of flights.c, and each goes on
where the other one stopped."""

import collections
import csv
import datetime
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
FLIGHTS = 12_000
PARTITIONS = 4
HOUR_MS = 3_600_000
TOTALS, BY_HOUR, BY_VISIBILITY = RESULTS = (
    "aircraft-totals",
    "departures-by-hour",
    "departures-by-visibility",
)


def is_departure(row):
    return row["dep_delay"] and row["tailnum"]


def hour_ms(row):
    hour = datetime.datetime.strptime(row["time_hour"], "%Y-%m-%dT%H:%M:%SZ")
    return int(hour.replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000


def scheduled_ms(row):
    return hour_ms(row) + int(row["minute"]) * 60_000


def left_ms(row):
    return scheduled_ms(row) + int(row["dep_delay"]) * 60_000


def unpack(name):
    """The data as text, as it comes."""
    file = EXAMPLE / "data" / f"{name}.csv.zst"
    return subprocess.Popen(["zstd", "-dc", str(file)], stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def rows():
    """Of the year's first departures, in the order in which they left."""
    with unpack("flights") as unpacked:
        departures = filter(is_departure, csv.DictReader(unpacked.stdout))
        first = list(itertools.islice(departures, FLIGHTS))
        unpacked.kill()
    return sorted(first, key=left_ms)


@pytest.fixture(scope="module")
def weather():
    """The year's observations, by time."""
    with unpack("weather") as unpacked:
        return sorted(csv.DictReader(unpacked.stdout), key=hour_ms)


@pytest.fixture(scope="module")
def expected_files(rows, weather, tmp_path_factory):
    """The files that tests/examples computes from the data, by other means."""
    folder, scripts = tmp_path_factory.mktemp("expected"), ROOT / "tests" / "examples"
    for name, data in (("flights", rows), ("weather", weather)):
        with open(folder / f"{name}-data.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, data[0])
            writer.writeheader()
            writer.writerows(data)
    flights, observations = folder / "flights-data.csv", folder / "weather-data.csv"
    with open(flights) as data, open(folder / "aircraft.csv", "w") as table:
        subprocess.run(
            [sys.executable, scripts / "totals.py"], stdin=data, stdout=table, check=True
        )
    subprocess.run(
        [sys.executable, scripts / "departures.py", flights, observations, folder], check=True
    )
    return {name: (folder / name).read_text() for name in FILES}


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
        text = '{"flights":%d,"miles":%d,"delay_minutes":%d,"last_destination":"%s"}' % (
            *total,
            row["dest"],
        )
        updates[row["tailnum"].encode()].append(text.encode())
    return updates


def table(columns, rows):
    return "".join(",".join(map(str, row)) + "\n" for row in [columns, *rows])


def results(updates, topic):
    for key in sorted(updates[topic]):
        for value in updates[topic][key]:
            yield key.decode(), json.loads(value), value.decode()


def mean_of(text):
    """As it was sent, with its three decimals."""
    return text.partition('"mean_delay":')[2].rstrip("}")


def aircraft_table(updates):
    last = {tailnum: total for tailnum, total, _ in results(updates, TOTALS)}
    columns = ("flights", "miles", "delay_minutes")
    return table(
        ("tailnum", *columns), [(t, *(last[t][name] for name in columns)) for t in sorted(last)]
    )


def departures_table(updates):
    hours = {
        (airport, hour["start_ms"]): (hour["flights"], mean_of(text))
        for airport, hour, text in results(updates, BY_HOUR)
    }
    rows = [(*key, *hours[key]) for key in sorted(hours)]
    return table(("origin", "start_ms", "flights", "mean_delay"), rows)


def weather_table(updates):
    last = {
        (airport, found["visibility"]): (found["flights"], mean_of(text))
        for airport, found, text in results(updates, BY_VISIBILITY)
    }
    order = sorted(last, key=lambda key: (key[0], float(key[1])))
    rows = [(*key, *last[key]) for key in order]
    return table(("origin", "visibility", "flights", "mean_delay"), rows)


# As the demo writes them from what the job sends.
FILES = {
    "aircraft.csv": aircraft_table,
    "departures.csv": departures_table,
    "weather.csv": weather_table,
}


class Run:
    """The job's topics, and what came out of them, whichever program works on them."""

    def __init__(self, broker, prefix, folder, weather):
        self.broker, self.prefix, self.folder = broker, prefix, folder
        self.weather, self.now = collections.deque(weather), 0
        self.updates = {name: collections.defaultdict(list) for name in RESULTS}
        names = [prefix + name for name in ("flights", "departures", *RESULTS)]
        # The records are from 2013.
        topics = [NewTopic(n, PARTITIONS, 1, config={"retention.ms": "-1"}) for n in names]
        admin = AdminClient({"bootstrap.servers": broker})
        for made in admin.create_topics(topics).values():
            made.result(30)
        # Idempotent: what has to be sent again stays in its place.
        self.producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True})
        self.consumer = Consumer({"bootstrap.servers": broker, "group.id": prefix + "results"})
        self.consumer.assign(
            [TopicPartition(name, i, 0) for name in names[2:] for i in range(PARTITIONS)]
        )

    def send(self, topic, key, value, timestamp):
        self.producer.produce(self.prefix + topic, json.dumps(value), key, timestamp=timestamp)
        self.producer.poll(0)

    def feed_weather(self, until):
        """It is known an hour before: none left earlier than that."""
        while self.weather and hour_ms(self.weather[0]) <= until:
            seen = self.weather.popleft()
            value = {"visibility": seen["visib"]}
            self.send("departures", seen["origin"], value, hour_ms(seen))

    def feed(self, rows):
        for row in rows:
            scheduled, self.now = scheduled_ms(row), left_ms(row)
            self.feed_weather(self.now + HOUR_MS)
            flight = {name: row[name] for name in ("carrier", "tailnum", "origin", "dest")}
            numbers = {name: int(row[name]) for name in ("flight", "distance", "dep_delay")}
            self.send("flights", row["tailnum"], {**flight, **numbers}, scheduled)
            self.send("departures", row["origin"], {"dep_delay": int(row["dep_delay"])}, scheduled)
        assert self.producer.flush(30) == 0

    def feed_end(self):
        for airport in ("EWR", "JFK", "LGA"):
            self.send("departures", airport, {"end": True}, self.now + 7 * 24 * HOUR_MS)
        assert self.producer.flush(30) == 0

    def received(self, topic):
        return sum(map(len, self.updates[topic].values()))

    def receive(self, wanted, job):
        """Waits for so many results of each topic, as long as the job runs and some come."""
        deadline = time.monotonic() + 30
        while any(self.received(topic) < count for topic, count in wanted.items()):
            if job.poll() is not None or time.monotonic() > deadline:
                return False
            for message in self.consumer.consume(1000, 0.1):
                assert message.error() is None
                topic = message.topic()[len(self.prefix) :]
                self.updates[topic][message.key()].append(message.value())
                deadline = time.monotonic() + 30
        return True

    def work(self, command, state, wanted):
        """The program works with a state folder of its own until results are there, and stops."""
        options = ["--broker", self.broker, "--prefix", self.prefix, "--commit-interval", "500"]
        options += ["--state", str(self.folder / state), "--backend", "rocksdb"]
        options += ["--workers", "1"]
        # Changelogs that were just made may not be known yet; and the broker answers nothing else
        # to a consumer while it waits for records.
        options += ["--kafka", "topic.metadata.refresh.interval.ms=200"]
        options += ["--consumer", "fetch.wait.max.ms=20"]
        log = self.folder / f"{state}.log"
        with log.open("wb") as file:
            job = subprocess.Popen(command + options, stdout=file, stderr=file)
        try:
            assert self.receive(wanted, job), log.read_text()
            job.send_signal(signal.SIGTERM)
            assert job.wait(30) == 0, log.read_text()
        finally:
            job.kill()
            job.wait()


@pytest.mark.parametrize("order", [("python", "c", "python"), ("c", "python", "c")], ids="-".join)
def test_either_program_goes_on_where_the_other_stopped(
    broker, rows, weather, programs, expected_files, tmp_path, order
):
    run = Run(broker, "-".join(order) + "-", tmp_path, weather)
    # Each hour is told once; all these flights had a weather.
    everything = {
        TOTALS: FLIGHTS,
        BY_HOUR: expected_files["departures.csv"].count("\n") - 1,
        BY_VISIBILITY: FLIGHTS,
    }
    # A part for each, unequal ones; each begins on a machine that has only the changelog.
    ends = [0, 5_000, 8_000, FLIGHTS]
    for number, name in enumerate(order):
        run.feed(rows[ends[number] : ends[number + 1]])
        wanted = {TOTALS: ends[number + 1]}
        if number == len(order) - 1:
            run.feed_end()
            wanted = everything
        run.work(programs[name], f"{number}-{name}", wanted)
    # Nothing is missing, and nothing came twice: each stopped at a checkpoint.
    run.consumer.close()
    assert {topic: run.received(topic) for topic in RESULTS} == everything
    assert run.updates[TOTALS] == expected_updates(rows)
    assert {name: made(run.updates) for name, made in FILES.items()} == expected_files
