"""Recovery of applications on a real broker: who reads the changelog, and who if not."""

import pytest
from confluent_kafka import Producer
from quixstreams.state.exceptions import ColumnFamilyHeaderMissing
from test_broker import KEYS, Job

from weirstreams import WeirError
from weirstreams.quix import recovery
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
