"""Recovery of applications on a real broker: who reads the changelog, and who if not."""

import threading
import time
import uuid
from collections import Counter

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from quixstreams.state.exceptions import ColumnFamilyHeaderMissing
from quixstreams.utils.dicts import dict_values
from test_broker import KEYS, PROMPT, Job

from weirstreams import WeirError, quix
from weirstreams.quix import recovery
from weirstreams.quix.options import StoreOptions
from weirstreams.quix.recovery import RecoveryPartition


@pytest.fixture()
def lost(broker, tmp_path):
    """A job whose state is in its changelogs alone: each key was counted ten times."""
    job = Job(broker, tmp_path)
    job.send(200)
    job.run("memory", 200)
    job.send(20)
    return job


def goes_on(job, backend="rocksdb"):
    counts, _ = job.run(backend, 20)
    return counts == {key: 11 for key in KEYS}


def test_no_message_of_a_changelog_becomes_an_object_of_python(lost, monkeypatch):
    def fail(self, messages):
        raise AssertionError("the consumer has read a changelog")

    monkeypatch.setattr(RecoveryPartition, "take", fail)
    assert goes_on(lost)


def test_without_a_reader_the_consumer_reads_the_changelog(lost, monkeypatch):
    monkeypatch.setattr(recovery, "_make_reader", lambda config: None)
    assert goes_on(lost)


def test_a_reader_that_fails_is_followed_by_the_consumer(lost, monkeypatch):
    read = RecoveryPartition.read

    def fail(self, budget_ms):
        read(self, 0)
        error = WeirError("the broker says no")
        error.status = "KAFKA"
        raise error

    monkeypatch.setattr(RecoveryPartition, "read", fail)
    assert goes_on(lost)


def test_a_recovery_that_is_stopped_goes_on_at_the_next_start(lost, monkeypatch):
    apps = []
    start = recovery.RecoveryManager.do_recovery

    def stop(self):
        self._recovery_loop, loop = (
            lambda: (self._read(), self.stop_recovery()),
            self._recovery_loop,
        )
        try:
            start(self)
        finally:
            self._recovery_loop = loop
        apps.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(recovery.RecoveryManager, "do_recovery", stop)
    with pytest.raises(KeyboardInterrupt):
        lost.run("rocksdb", 20)
    assert apps
    monkeypatch.undo()
    assert goes_on(lost)


def test_a_message_that_is_none_of_a_changelog_raises_as_in_quix_streams(lost):
    producer = Producer({"bootstrap.servers": lost.broker})
    producer.produce(f"changelog__group-{lost.name}--{lost.name}--default", b"1", b"key", 0)
    assert producer.flush(30) == 0
    with pytest.raises(ColumnFamilyHeaderMissing):
        lost.run("rocksdb", 20)


# --- A rebalance in the middle of it ---

PARTITIONS = 4
MANY_KEYS = [b"key-%d" % number for number in range(8000)]


# A client has only some of a changelog's messages at a time.
FEW_AT_A_TIME = {"queued.max.messages.kbytes": 1, "fetch.message.max.bytes": 1000}


class Member(quix.Application):
    """Counts by key in a thread of its own, as a member of the group beside others."""

    def __init__(self, broker, name, folder, **settings):
        super().__init__(
            broker_address=broker,
            consumer_group=f"group-{name}",
            state_dir=folder,
            auto_offset_reset="earliest",
            commit_every=1000,
            loglevel=None,
            consumer_extra_config={**PROMPT, "heartbeat.interval.ms": 100, **settings},
        )
        self.topic_name = name
        self.state_folder = folder / f"group-{name}"
        self.counts = {}
        self.seen = Counter()
        self.rebalanced = threading.Event()
        self.error = None
        frame = self.dataframe(self.topic(name, key_deserializer="bytes"))
        frame.apply(self._count, stateful=True, metadata=True)
        self.thread = threading.Thread(target=self._run_and_keep_error, daemon=True)

    def _count(self, value, key, timestamp, headers, state):
        total = state.get("total", default=0) + 1
        state.set("total", total)
        self.counts[key] = total
        self.seen[key] += 1

    def _run_and_keep_error(self):
        try:
            self.run()
        except BaseException as exc:  # told by the test
            self.error = exc

    def _setup_signal_handlers(self):
        pass  # they are the main thread's

    def _on_revoke(self, consumer, partitions):
        super()._on_revoke(consumer, partitions)
        self.rebalanced.set()

    @property
    def recovery(self):
        return self._state_manager._recovery_manager

    def stored(self, keys):
        """What the state in its folder has of these keys."""
        store = quix.RocksDBStore(
            "default", self.topic_name, str(self.state_folder), None, StoreOptions()
        )
        found = {}
        for number in range(PARTITIONS):
            with store.assign_partition(number).begin() as transaction:
                for key in keys:
                    total = transaction.get("total", prefix=key)
                    if total is not None:
                        found.setdefault(key, []).append(total)
        store.close()
        return found


def end(*members):
    for member in members:
        member.stop()
    for member in members:
        member.thread.join(30)
        assert not member.thread.is_alive()
        assert member.error is None


def send_many(broker, name):
    producer = Producer({"bootstrap.servers": broker})
    for number, key in enumerate(MANY_KEYS):
        producer.produce(name, b"{}", key, number % PARTITIONS)
    assert producer.flush(30) == 0


def wait_for(condition, *members):
    deadline = time.monotonic() + 60
    while not condition():
        for member in members:
            assert member.error is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hold_reading(member):
    """The reader gets a little way in each changelog, and no further until a rebalance."""
    begun = threading.Event()
    manager = member.recovery
    go_on = manager._read

    def read():
        if member.rebalanced.is_set():
            return go_on()
        reading = list(dict_values(manager._recovery_partitions))
        for partition in reading:
            if not partition.read_position:
                partition.read(0)
            assert partition.read_position < partition.changelog_highwater
        if len(reading) == PARTITIONS and all(partition.read_position for partition in reading):
            begun.set()
        return False

    manager._read = read
    return begun


def hold_consuming(member):
    """Likewise the consumer."""
    begun = threading.Event()
    manager = member.recovery
    go_on = manager._recover_from
    paused = set()

    def recover_from(topic, number, messages):
        go_on(topic, number, messages)
        if not member.rebalanced.is_set():
            manager._consumer.pause([TopicPartition(topic, number)])
            paused.add(number)
            if len(paused) == PARTITIONS:
                begun.set()

    manager._recover_from = recover_from
    return begun


@pytest.fixture(scope="module")
def many(broker, tmp_path_factory):
    """The name of a topic whose keys were all counted once more with each use."""
    name = uuid.uuid4().hex[:8]
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
    send_many(broker, name)
    member = Member(broker, name, tmp_path_factory.mktemp("before"))
    member.thread.start()
    wait_for(lambda: len(member.counts) == len(MANY_KEYS), member)
    end(member)
    return name


@pytest.mark.parametrize("total, hold", [(2, hold_reading), (3, hold_consuming)])
def test_a_member_that_joins_during_recovery_takes_its_part(
    broker, many, tmp_path, monkeypatch, total, hold
):
    send_many(broker, many)
    if hold is hold_consuming:
        monkeypatch.setattr(recovery, "_make_reader", lambda config: None)
        monkeypatch.setattr(recovery, "_BATCH_MESSAGES", 300)
    settings = FEW_AT_A_TIME if hold is hold_reading else {}
    first = Member(broker, many, tmp_path / "first", **settings)
    second = Member(broker, many, tmp_path / "second")
    begun = hold(first)
    first.thread.start()
    wait_for(begun.is_set, first)
    second.thread.start()
    wait_for(lambda: len(first.counts) + len(second.counts) >= len(MANY_KEYS), first, second)
    end(first, second)
    # Each key came to one of them, and each record once.
    assert sorted([*first.counts, *second.counts]) == sorted(MANY_KEYS)
    assert first.counts and second.counts
    for member in (first, second):
        assert set(member.counts.values()) == {total}
        assert set(member.seen.values()) == {1}
        assert member.stored(member.counts) == {key: [total] for key in member.counts}
