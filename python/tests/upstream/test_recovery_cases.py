"""Recovery from changelogs: of a partition, of an application's manager, from offsets."""

import json
from functools import partial

import pytest
from confluent_kafka import OFFSET_BEGINNING
from harness import CHANGELOG, Message, fake_consumer, fake_topics
from quixstreams.models import TopicConfig
from quixstreams.state.exceptions import (
    ChangelogTopicPartitionNotAssigned,
    ColumnFamilyHeaderMissing,
    InvalidStoreChangelogOffset,
)
from quixstreams.state.metadata import (
    CHANGELOG_CF_MESSAGE_HEADER,
    CHANGELOG_PROCESSED_OFFSETS_MESSAGE_HEADER,
)
from quixstreams.state.recovery import RecoveryManager, RecoveryPartition

from weirstreams.quix.recovery import RecoveryManager as BatchRecoveryManager

KEY = b"__record__"
ROW = KEY + b'|"k"'


def headers(processed=None, cf_name="default"):
    found = [(CHANGELOG_CF_MESSAGE_HEADER, cf_name.encode())]
    if processed is not None:
        found.append((CHANGELOG_PROCESSED_OFFSETS_MESSAGE_HEADER, json.dumps(processed).encode()))
    return found


def recovery_of(partition, committed=None, low=0, high=100):
    return RecoveryPartition(
        changelog_name=CHANGELOG,
        partition_num=0,
        store_partition=partition,
        committed_offsets=committed or {"topic": -1001},
        lowwater=low,
        highwater=high,
    )


# --- One message ---


@pytest.mark.parametrize("value, expected", [(b"10", 10), (None, None), (b"null", None)])
def test_a_message_is_applied(with_changelog, value, expected):
    with with_changelog.begin() as transaction:
        transaction.set("k", "before", prefix=KEY)
    recovery = recovery_of(with_changelog)
    recovery.recover_from_changelog_message(Message(ROW, value, headers(), offset_=50))
    recovery.complete_recovery()
    assert with_changelog.get_changelog_offset() == 50
    assert with_changelog.begin().get("k", prefix=KEY) == expected
    assert with_changelog.begin().exists("k", prefix=KEY) == (value is not None)


def test_a_message_goes_to_its_column_family(with_changelog):
    recovery = recovery_of(with_changelog)
    message = Message(ROW, b"1", headers(cf_name="other"), offset_=0)
    recovery.recover_from_changelog_message(message)
    recovery.complete_recovery()
    assert with_changelog.get(ROW, cf_name="other") == b"1"
    assert not with_changelog.exists(ROW)


def test_a_message_without_a_column_family_is_refused(with_changelog):
    with pytest.raises(ColumnFamilyHeaderMissing):
        recovery_of(with_changelog).recover_from_changelog_message(Message(ROW, b"1", []))
    assert with_changelog.get_changelog_offset() is None


@pytest.mark.parametrize("key, value", [("k", b"1"), (None, b"1"), (b"k", "1"), (b"k", 0)])
def test_a_message_of_other_types_is_refused(with_changelog, key, value):
    with pytest.raises(TypeError):
        recovery_of(with_changelog).recover_from_changelog_message(
            Message(key, value, headers(), offset_=50)
        )
    assert with_changelog.get_changelog_offset() is None


# --- What was processed, and what was committed ---


@pytest.mark.parametrize(
    "processed, committed, is_applied",
    [
        ({"a": 1}, {"a": 2}, True),
        ({"a": 1, "b": 4}, {"a": 2, "b": 5}, True),
        ({}, {"a": 1}, True),
        (None, {"a": 1}, True),
        ({"a": 2}, {"a": 1}, False),
        ({"a": 2}, {"a": 2}, False),
        ({"a": 2, "b": 2}, {"a": 3, "b": 2}, False),
        ({"a": 2, "b": 2}, {"a": 1, "b": 3}, False),
        ({"a": 2, "b": 2}, {"a": 1, "b": 1}, False),
    ],
)
def test_what_was_not_committed_is_not_applied(with_changelog, processed, committed, is_applied):
    recovery = recovery_of(with_changelog, committed=committed)
    recovery.recover_from_changelog_message(Message(ROW, b"10", headers(processed), offset_=7))
    recovery.complete_recovery()
    assert with_changelog.get_changelog_offset() == 7
    assert with_changelog.begin().exists("k", prefix=KEY) == is_applied


# --- Whether to recover at all ---


@pytest.mark.parametrize(
    "stored, low, high, is_needed, is_invalid",
    [
        (None, 0, 20, True, False),
        (17, 0, 20, True, False),
        (18, 0, 20, True, False),
        (19, 0, 20, False, False),
        (20, 0, 20, False, True),
        (21, 0, 20, False, True),
        (21, 20, 20, False, True),
        (19, 20, 20, False, False),
        (None, 0, 0, False, False),
        (None, 20, 20, False, False),
        (None, 0, 1, True, False),
    ],
)
def test_offsets_say_whether_there_is_something_to_recover(
    with_changelog, stored, low, high, is_needed, is_invalid
):
    if stored is not None:
        with_changelog.write_changelog_offset(stored)
    recovery = recovery_of(with_changelog, low=low, high=high)
    assert recovery.needs_recovery_check == is_needed
    assert recovery.has_invalid_offset == is_invalid


@pytest.mark.parametrize("stored, expected", [(None, OFFSET_BEGINNING), (0, 0), (1, 1)])
def test_recovery_starts_where_the_store_ended(with_changelog, stored, expected):
    if stored is not None:
        with_changelog.write_changelog_offset(stored)
    assert recovery_of(with_changelog).offset == expected


def test_a_recovered_offset_outlives_the_partition(durable):
    store = durable.store(changelog=True)
    recovery = recovery_of(store.assign_partition(0))
    recovery.recover_from_changelog_message(Message(ROW, b"10", headers(), offset_=50))
    store.revoke_partition(0)
    partition = store.assign_partition(0)
    assert partition.get_changelog_offset() == 50
    assert partition.begin().get("k", prefix=KEY) == 10


# --- A manager's recovery ---


class Application:
    """What of an application recovers: a manager with one store of each kind."""

    def __init__(self, backend, recovery_class=None):
        recovery_class = recovery_class or RecoveryManager
        self.backend = backend
        self.topics = fake_topics()
        self.topics.topic("topic")
        changelogs = [(f"changelog__group--topic--{name}", 0) for name in ("store", "window")]
        self.consumer = fake_consumer(backend.kafka, ("topic", 0), *changelogs)
        self.recovery = recovery_class(consumer=self.consumer, topic_manager=self.topics)
        self.manager = backend.manager(recovery_manager=self.recovery)
        config = TopicConfig(num_partitions=1, replication_factor=1)
        self.manager.register_store("topic", "store", changelog_config=config)
        self.manager.register_windowed_store("topic", "window", changelog_config=config)

    def assign(self, committed=-1001):
        self.partitions = self.manager.on_partition_assign(
            stream_id="topic", partition=0, committed_offsets={"topic": committed}
        )
        return self

    def process(self, values, processed):
        """Sets values, as one checkpoint whose last processed record is `processed`."""
        transactions = [self.partitions[name].begin() for name in ("store", "window")]
        for key, value in values.items():
            transactions[0].set(key, value, prefix=KEY)
            transactions[1].update_window(0, 10, value, timestamp_ms=1, prefix=key.encode())
        for transaction in transactions:
            transaction.prepare(processed_offsets={"topic": processed})
        self.backend.kafka.flush()
        for transaction in transactions:
            offset = self.backend.kafka.offsets[transaction.changelog_topic_partition]
            transaction.flush(changelog_offset=offset)

    def values(self, *keys):
        plain = self.partitions["store"].begin()
        windows = self.partitions["window"].begin()
        found = {key: plain.get(key, prefix=KEY) for key in keys}
        assert found == {key: windows.get_window(0, 10, prefix=key.encode()) for key in keys}
        return found

    def lose_state(self):
        self.manager.on_partition_revoke(stream_id="topic", partition=0)
        self.manager.destroy_partition_state("topic", 0)


@pytest.fixture(params=[RecoveryManager, BatchRecoveryManager], ids=["one-by-one", "batches"])
def recovery_class(request):
    return request.param


@pytest.fixture()
def application(backend, recovery_class):
    return Application(backend, recovery_class)


def test_lost_state_is_rebuilt_from_the_changelogs(application):
    application.assign(0).process({"a": 1, "b": 2}, processed=10)
    application.process({"a": 3}, processed=20)
    application.lose_state()
    application.assign(committed=21)
    assert application.manager.recovery_required
    application.manager.do_recovery()
    assert not application.recovery.recovering
    assert application.values("a", "b", "c") == {"a": 3, "b": 2, "c": None}


def test_changes_that_were_not_committed_are_not_rebuilt(application):
    application.assign(0).process({"a": 1}, processed=10)
    application.process({"a": 2, "b": 2}, processed=20)
    application.lose_state()
    application.assign(committed=15).manager.do_recovery()
    assert application.values("a", "b") == {"a": 1, "b": None}


def test_state_that_is_up_to_date_is_not_recovered(durable):
    application = Application(durable)
    application.assign(0).process({"a": 1}, processed=10)
    application.manager.on_partition_revoke(stream_id="topic", partition=0)
    application.assign(committed=11)
    assert not application.manager.recovery_required
    assert application.values("a") == {"a": 1}


def test_an_offset_that_the_changelog_has_not_is_refused(durable):
    application = Application(durable)
    application.assign(0).process({"a": 1, "b": 2, "c": 3}, processed=10)
    application.manager.on_partition_revoke(stream_id="topic", partition=0)
    for log in durable.kafka.log.values():
        del log[1:]
    with pytest.raises(InvalidStoreChangelogOffset):
        application.assign(committed=11)


def test_a_changelog_that_is_not_assigned_is_refused(backend):
    application = Application(backend)
    backend.kafka.produce("changelog__group--topic--store", ROW, b"1", {}, 0)
    application.consumer.assignment.return_value = []
    with pytest.raises(ChangelogTopicPartitionNotAssigned):
        application.assign()


def test_data_is_paused_during_recovery_and_resumed_after(application):
    application.assign(0).process({"a": 1}, processed=10)
    application.lose_state()
    application.assign(committed=11)
    paused = [tp.topic for call in application.consumer.pause.mock_calls for tp in call.args[0]]
    assert "topic" in paused
    application.manager.do_recovery()
    resumed = application.consumer.resume.mock_calls[-1].args[0]
    assert [(tp.topic, tp.partition) for tp in resumed] == [("topic", 0)]


def test_a_partition_revoked_before_recovery_needs_none(application):
    application.assign(0).process({"a": 1}, processed=10)
    application.lose_state()
    application.assign(committed=11)
    application.manager.on_partition_revoke(stream_id="topic", partition=0)
    assert not application.recovery.partitions


def test_nothing_is_read_when_nothing_is_assigned(backend):
    application = Application(backend)
    application.manager.do_recovery()
    assert not application.consumer.poll.called
    assert not application.consumer.consume.called


@pytest.mark.parametrize("reset, a, changes", [("earliest", 1, 1), ("latest", 2, 0)])
def test_without_any_committed_offset_no_change_is_lost(backend, caplog, reset, a, changes):
    """Weak spot 4: every message was skipped, and counting began anew without a word."""
    recovery_class = RecoveryManager
    if not backend.is_reference:
        recovery_class = partial(BatchRecoveryManager, auto_offset_reset=reset)
    application = Application(backend, recovery_class)
    application.assign(0).process({"a": 1, "b": 2}, processed=10)
    application.process({"a": 2}, processed=20)
    application.lose_state()
    # Of the records, those from 15 on are still there.
    of_changelog = application.consumer.get_watermark_offsets.side_effect
    application.consumer.get_watermark_offsets.side_effect = lambda tp, **_: (
        (15, 21) if tp.topic == "topic" else of_changelog(tp)
    )
    caplog.set_level("WARNING", logger="quixstreams.state.recovery")
    application.assign(committed=-1001).manager.do_recovery()
    assert application.values("a", "b") == {"a": a, "b": 2}
    (said,) = [found.message for found in caplog.records if "--store" in found.message]
    assert f'no committed offset for "topic[0]", which is read from {21 if a == 2 else 15}' in said
    assert f"without {changes} change(s)" in said


def test_a_topic_that_is_read_no_more_sets_no_bound(backend):
    """Weak spot 15: a header that names one ended recovery with KeyError."""
    application = Application(backend, None if backend.is_reference else BatchRecoveryManager)
    application.assign(0)
    transaction = application.partitions["store"].begin()
    transaction.set("a", 1, prefix=KEY)
    transaction.prepare(processed_offsets={"topic": 1, "read no more": 99})
    application.lose_state()
    application.assign(committed=11).manager.do_recovery()
    assert application.partitions["store"].begin().get("a", prefix=KEY) == 1
