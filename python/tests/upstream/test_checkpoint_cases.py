"""Checkpoints: changelogs, offsets and stores in their order, and what ends them."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from harness import fake_consumer, fake_topics
from quixstreams.checkpointing import Checkpoint
from quixstreams.checkpointing.exceptions import (
    CheckpointConsumerCommitError,
    CheckpointProducerTimeout,
)
from quixstreams.dataframe import DataFrameRegistry
from quixstreams.models import TopicConfig
from quixstreams.sinks import SinkManager
from quixstreams.state.exceptions import (
    StateSerializationError,
    StoreNotRegisteredError,
    StoreTransactionFailed,
)
from quixstreams.state.recovery import RecoveryManager

KEY = b"__record__"
CHANGELOG = ("changelog__group--topic--default", 0)


class Bench:
    """A checkpoint over a manager with one store."""

    def __init__(self, backend, changelog, exactly_once=False):
        self.kafka = backend.kafka
        self.consumer = fake_consumer(backend.kafka, ("topic", 0), CHANGELOG)
        recovery = None
        if changelog:
            topics = fake_topics()
            topics.topic("topic")
            recovery = RecoveryManager(consumer=self.consumer, topic_manager=topics)
        self.manager = backend.manager(recovery_manager=recovery)
        config = TopicConfig(num_partitions=1, replication_factor=1)
        self.manager.register_store("topic", changelog_config=config)
        self.store = self.manager.get_store("topic")
        self.partition = self.store.assign_partition(0)
        self.exactly_once = exactly_once
        self.begin()

    def begin(self):
        streams = DataFrameRegistry()
        streams.register_stream_id("topic", ["topic"])
        self.checkpoint = Checkpoint(
            commit_interval=999,
            producer=self.kafka,
            consumer=self.consumer,
            state_manager=self.manager,
            sink_manager=SinkManager(),
            dataframe_registry=streams,
            exactly_once=self.exactly_once,
        )

    def process(self, offset=999, **values):
        transaction = self.checkpoint.get_store_transaction("topic", 0)
        for key, value in values.items():
            transaction.set(key, value, prefix=KEY)
        self.checkpoint.store_offset("topic", 0, offset)
        return transaction

    def stored(self, key):
        return self.store.start_partition_transaction(0).get(key, prefix=KEY)

    @property
    def committed(self):
        calls = self.consumer.commit.mock_calls
        return [
            (tp.topic, tp.partition, tp.offset) for call in calls for tp in call.kwargs["offsets"]
        ]


@pytest.fixture(params=[False, True], ids=["without-changelog", "with-changelog"])
def bench(backend, request):
    return Bench(backend, request.param)


@pytest.fixture()
def logged(backend):
    return Bench(backend, changelog=True)


def test_a_transaction_is_begun_once(bench):
    one = bench.checkpoint.get_store_transaction("topic", 0)
    assert bench.checkpoint.get_store_transaction("topic", 0) is one


def test_a_store_that_is_not_registered_has_none(bench):
    with pytest.raises(StoreNotRegisteredError):
        bench.checkpoint.get_store_transaction("another", 0)


def test_offsets_are_committed_without_state(bench):
    bench.checkpoint.store_offset("topic", 0, 999)
    bench.checkpoint.commit()
    assert bench.committed == [("topic", 0, 1000)]


def test_changes_are_stored_and_offsets_committed(bench):
    transaction = bench.process(a=1, b=2)
    bench.checkpoint.commit()
    assert transaction.completed
    assert bench.committed == [("topic", 0, 1000)]
    assert (bench.stored("a"), bench.stored("b")) == (1, 2)


def test_the_offset_of_the_last_change_is_kept(logged):
    logged.process(a=1, b=2)
    logged.checkpoint.commit()
    assert logged.partition.get_changelog_offset() == 1
    headers = dict(logged.kafka.messages[-1].headers())
    assert headers["__processed_tp_offsets__"] == b'{"topic":999}'


def test_without_a_changelog_no_offset_is_kept(backend):
    bench = Bench(backend, changelog=False)
    bench.process(a=1)
    bench.checkpoint.commit()
    assert bench.partition.get_changelog_offset() is None
    assert bench.kafka.messages == []


def test_without_changes_nothing_is_produced(bench):
    transaction = bench.process()
    bench.checkpoint.commit()
    assert transaction.completed
    assert bench.kafka.messages == []
    assert bench.partition.get_changelog_offset() is None


def test_a_partition_that_goes_away_is_not_flushed_if_it_has_a_changelog(logged):
    transaction = logged.process(a=1)
    logged.checkpoint.commit(revoking=True)
    assert transaction.prepared and not transaction.completed
    assert logged.partition.get_changelog_offset() is None
    assert logged.committed == [("topic", 0, 1000)]
    assert len(logged.kafka.messages) == 1
    logged.manager.on_partition_revoke(stream_id="topic", partition=0)


def test_a_partition_that_goes_away_is_flushed_if_it_has_no_changelog(backend):
    bench = Bench(backend, changelog=False)
    transaction = bench.process(a=1)
    bench.checkpoint.commit(revoking=True)
    assert transaction.completed
    assert bench.stored("a") == 1


def test_a_failed_transaction_fails_the_checkpoint(bench):
    transaction = bench.process(a=1)
    with pytest.raises(StateSerializationError):
        transaction.set("b", object(), prefix=KEY)
    with pytest.raises(StoreTransactionFailed):
        bench.checkpoint.commit()
    assert bench.committed == []
    assert bench.stored("a") is None


def test_undelivered_changes_fail_the_checkpoint(logged):
    transaction = logged.process(a=1)
    logged.kafka.undelivered = 1
    with pytest.raises(CheckpointProducerTimeout):
        logged.checkpoint.commit()
    assert logged.committed == []
    assert not transaction.completed
    assert logged.stored("a") is None


def test_an_error_of_the_producer_fails_the_checkpoint(logged):
    transaction = logged.process(a=1)
    logged.kafka.error = ValueError("no broker")
    with pytest.raises(ValueError, match="no broker"):
        logged.checkpoint.commit()
    assert transaction.failed
    assert logged.committed == []
    assert logged.stored("a") is None


def test_an_error_of_the_commit_leaves_the_store(bench):
    transaction = bench.process(a=1)
    bench.consumer.commit.side_effect = KafkaException(KafkaError(1))
    with pytest.raises(CheckpointConsumerCommitError):
        bench.checkpoint.commit()
    assert not transaction.completed
    assert bench.stored("a") is None


def test_an_error_of_one_partition_of_the_commit_leaves_the_store(bench):
    bench.process(a=1)
    bench.consumer.commit.return_value = [SimpleNamespace(error=KafkaError(1))]
    with pytest.raises(CheckpointConsumerCommitError):
        bench.checkpoint.commit()
    assert bench.stored("a") is None


def test_with_exactly_once_the_producer_commits(backend):
    bench = Bench(backend, changelog=True, exactly_once=True)
    bench.process(a=1)
    bench.checkpoint.commit()
    assert bench.kafka.calls == ["begin", "flush", "commit"]
    assert bench.committed == []
    assert bench.stored("a") == 1
    assert bench.partition.get_changelog_offset() == 0


def test_with_exactly_once_an_empty_checkpoint_is_aborted(backend):
    bench = Bench(backend, changelog=True, exactly_once=True)
    bench.checkpoint.close()
    assert bench.kafka.calls == ["begin", "abort"]


def test_one_checkpoint_after_another(logged):
    for number in range(3):
        logged.process(offset=number, a=number)
        logged.checkpoint.commit()
        assert logged.stored("a") == number
        assert logged.partition.get_changelog_offset() == number
        logged.begin()
