"""Whole applications on a real broker: state, windows, recovery, moving in and moving back."""

import threading
import time
import uuid

import pytest
import quixstreams
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import _require

from weirstreams import quix

# Not long ago, or the broker deletes the records as too old.
NOW = int(time.time()) // 1000 * 1_000_000
# Topics that were just made may not be known yet when the consumer subscribes; and the broker
# answers nothing else to a consumer while it waits for records.
PROMPT = {"topic.metadata.refresh.interval.ms": 200, "fetch.wait.max.ms": 20}
KEYS = [f"key-{number}".encode() for number in range(20)]


class Job:
    """Counts records by key, and in windows of 100 ms, as any application would."""

    def __init__(self, broker, tmp_path):
        self.broker = broker
        self.folder = tmp_path
        self.name = uuid.uuid4().hex[:8]
        self.sent = 0
        admin = AdminClient({"bootstrap.servers": broker})
        admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result(30)

    def send(self, records):
        producer = Producer({"bootstrap.servers": self.broker})
        for number in range(self.sent, self.sent + records):
            key = KEYS[number % len(KEYS)]
            producer.produce(self.name, b"%d" % number, key, timestamp=NOW + number)
        assert producer.flush(30) == 0
        self.sent += records

    def run(self, backend, records, state_dir="state", **arguments):
        """Processes so many records; what was counted and which windows closed."""
        classes = {"quix": (quixstreams.Application, {})}
        class_, own = classes.get(backend, (quix.Application, {"state_backend": backend}))
        app = class_(
            broker_address=self.broker,
            consumer_group=f"group-{self.name}",
            state_dir=self.folder / state_dir,
            auto_offset_reset="earliest",
            commit_every=50,
            loglevel=None,
            consumer_extra_config=PROMPT,
            **own,
            **arguments,
        )
        topic = app.topic(self.name, key_deserializer="bytes", value_deserializer="json")
        frame = app.dataframe(topic)
        counts, closed, seen = {}, [], []

        def count(value, key, timestamp, headers, state):
            total = state.get("total", default=0) + 1
            state.set("total", total)
            counts[key] = total
            seen.append(value)
            if len(seen) == records:
                app.stop()
            return value

        frame = frame.apply(count, stateful=True, metadata=True)
        frame.tumbling_window(100, grace_ms=0).count().final().update(closed.append)
        guard = threading.Timer(60, app.stop)
        guard.start()
        app.run()
        guard.cancel()
        return counts, closed


@pytest.fixture()
def job(broker, tmp_path):
    return Job(broker, tmp_path)


def windows_of(closed):
    return sorted((window["start"] - NOW, window["value"]) for window in closed)


@pytest.mark.parametrize(
    "backend, guarantee",
    [
        ("rocksdb", "exactly-once"),
        ("rocksdb", "at-least-once"),
        ("slatedb", "at-least-once"),
        ("memory", "at-least-once"),
    ],
)
def test_state_goes_on_here_and_elsewhere(job, backend, guarantee):
    _require(backend)
    arguments = {"processing_guarantee": guarantee}
    job.send(200)
    counts, closed = job.run(backend, 200, **arguments)
    assert counts == {key: 10 for key in KEYS}
    assert windows_of(closed) == [(0, 5)] * 20
    # Where it was.
    job.send(200)
    counts, closed = job.run(backend, 200, **arguments)
    assert counts == {key: 20 for key in KEYS}
    assert windows_of(closed) == [(100, 5)] * 20 + [(200, 5)] * 20
    # On a machine that has only the changelogs.
    job.send(100)
    counts, closed = job.run(backend, 100, state_dir="elsewhere", **arguments)
    assert counts == {key: 25 for key in KEYS}
    assert windows_of(closed) == [(300, 5)] * 20


@pytest.mark.parametrize("backend", ["rocksdb", "slatedb", "memory"])
def test_changelogs_are_taken_over_and_given_back(job, backend):
    _require(backend)
    folders = iter(("first", "second", "third"))
    for number, application in enumerate(("quix", backend, "quix"), start=1):
        job.send(100)
        counts, closed = job.run(application, 100, state_dir=next(folders))
        assert counts == {key: 5 * number for key in KEYS}
        if number > 1:
            assert windows_of(closed) == [(100 * (number - 2), 5)] * 20


def test_a_record_of_the_batch_that_was_not_committed_comes_again(job):
    job.send(100)

    class Stop(Exception):
        pass

    seen = []

    def fail(value):
        seen.append(value)
        if len(seen) == 75:
            raise Stop

    app = quix.Application(
        broker_address=job.broker,
        consumer_group=f"group-{job.name}",
        state_dir=job.folder / "state",
        auto_offset_reset="earliest",
        commit_every=50,
        loglevel=None,
        consumer_extra_config=PROMPT,
    )
    frame = app.dataframe(app.topic(job.name, key_deserializer="bytes"))

    def count(value, key, timestamp, headers, state):
        state.set("total", state.get("total", default=0) + 1)
        return value

    frame.apply(count, stateful=True, metadata=True).update(fail)
    with pytest.raises(Stop):
        app.run()
    counts, _ = job.run("rocksdb", 50)
    assert counts == {key: 5 for key in KEYS}


def test_a_group_whose_offsets_are_forgotten_keeps_what_does_not_come_again(job):
    job.send(100)
    job.run("rocksdb", 100)
    admin = AdminClient({"bootstrap.servers": job.broker})
    for done in admin.delete_consumer_groups([f"group-{job.name}"]).values():
        done.result(30)
    # The topic has only the last 40 records; a checkpoint was after the first 50.
    for done in admin.delete_records([TopicPartition(job.name, 0, 60)]).values():
        done.result(30)
    counts, _ = job.run("rocksdb", 40, state_dir="elsewhere")
    numbers = [*range(50), *range(60, 100)]
    assert counts == {
        key: sum(KEYS[number % len(KEYS)] == key for number in numbers) for key in KEYS
    }
