"""The StateStoreManager: registering, assigning, revoking, clearing; with and without recovery."""

from pathlib import Path

import pytest
from harness import fake_consumer, fake_topics
from quixstreams.models import TopicConfig
from quixstreams.state.exceptions import (
    PartitionStoreIsUsed,
    StoreAlreadyRegisteredError,
    StoreNotRegisteredError,
)
from quixstreams.state.recovery import RecoveryManager

KEY = b"__record__"
NONE_COMMITTED = {"topic": -1001, "another": -1001}


def assign(manager, topic, partition):
    return manager.on_partition_assign(
        stream_id=topic, partition=partition, committed_offsets=NONE_COMMITTED
    )


def test_a_manager_makes_its_folder(backend):
    backend.manager()
    assert backend.folder.is_dir()


def test_a_folder_may_be_there_before(backend):
    backend.folder.mkdir(parents=True)
    backend.manager()


def test_a_file_in_the_place_of_the_folder_is_refused(backend):
    backend.folder.parent.mkdir(parents=True)
    backend.folder.touch()
    with pytest.raises(FileExistsError):
        backend.manager()


def test_partitions_without_stores_are_assigned_and_revoked(backend):
    manager = backend.manager()
    assert not assign(manager, "topic", 0)
    manager.on_partition_revoke(stream_id="topic", partition=0)


def test_a_registered_store_is_known(backend):
    manager = backend.manager()
    manager.register_store("topic")
    manager.register_store("topic", store_name="mine")
    manager.register_store("topic", store_name="mine")
    assert sorted(manager.stores["topic"]) == ["default", "mine"]
    assert manager.get_store("topic", "mine").name == "mine"
    assert manager.get_store("topic", "mine").stream_id == "topic"


def test_a_store_that_is_not_registered_is_not_known(backend):
    with pytest.raises(StoreNotRegisteredError):
        backend.manager().get_store("topic", "store")


def test_a_windowed_store_is_registered_once(backend):
    manager = backend.manager()
    manager.register_windowed_store("topic", "window")
    with pytest.raises(StoreAlreadyRegisteredError):
        manager.register_windowed_store("topic", "window")


def test_a_timestamped_store_is_registered_once(backend):
    manager = backend.manager()
    manager.register_timestamped_store("topic", "join", grace_ms=10, keep_duplicates=False)
    with pytest.raises(StoreAlreadyRegisteredError):
        manager.register_timestamped_store("topic", "join", grace_ms=10, keep_duplicates=False)


def test_an_unknown_class_of_store_is_refused(backend):
    with pytest.raises(ValueError):
        backend.manager().register_store("topic", store_type=dict)


def test_each_kind_of_store_has_its_transactions(backend):
    manager = backend.manager()
    manager.register_store("topic", "plain")
    manager.register_windowed_store("topic", "window")
    manager.register_timestamped_store("topic", "join", grace_ms=10, keep_duplicates=True)
    partitions = assign(manager, "topic", 0)
    assert sorted(partitions) == ["join", "plain", "window"]
    with manager.get_store("topic", "plain").start_partition_transaction(0) as transaction:
        transaction.as_state(KEY).set("k", 1)
    with manager.get_store("topic", "window").start_partition_transaction(0) as transaction:
        transaction.as_state(KEY).update_window(0, 10, 1, 1)
    with manager.get_store("topic", "join").start_partition_transaction(0) as transaction:
        transaction.set_for_timestamp(1, "a", prefix=KEY)
        transaction.set_for_timestamp(1, "b", prefix=KEY)
        assert transaction.get_interval(0, 9, prefix=KEY) == ["a", "b"]


def test_stores_have_the_partitions_of_their_topic(backend):
    manager = backend.manager()
    for topic, name in (("topic", "one"), ("topic", "two"), ("another", "one")):
        manager.register_store(topic, store_name=name)
    assert sorted(assign(manager, "topic", 0)) == ["one", "two"]
    assert sorted(assign(manager, "another", 0)) == ["one"]
    for topic, name in (("topic", "one"), ("topic", "two"), ("another", "one")):
        assert list(manager.get_store(topic, name).partitions) == [0]
    for topic in ("topic", "another"):
        manager.on_partition_revoke(stream_id=topic, partition=0)
    for topic, name in (("topic", "one"), ("topic", "two"), ("another", "one")):
        assert not manager.get_store(topic, name).partitions


# --- Clearing ---


def test_nothing_is_cleared_when_there_is_nothing(backend):
    manager = backend.manager()
    manager.clear_stores()
    assert not manager.stores


def test_cleared_stores_are_gone(durable):
    manager = durable.manager()
    manager.register_store("topic", "plain")
    manager.register_windowed_store("another", "window")
    folders = []
    for topic, partition in (("topic", 0), ("topic", 1), ("another", 0)):
        folders += [Path(found.path) for found in assign(manager, topic, partition).values()]
    assert len(folders) == 3 and all(folder.exists() for folder in folders)
    for topic, partition in (("topic", 0), ("topic", 1), ("another", 0)):
        manager.on_partition_revoke(stream_id=topic, partition=partition)
    manager.clear_stores()
    assert not any(folder.exists() for folder in folders)


def test_stores_in_use_are_not_cleared(backend):
    manager = backend.manager()
    manager.register_store("topic")
    assign(manager, "topic", 0)
    with pytest.raises(PartitionStoreIsUsed):
        manager.clear_stores()


def test_the_state_of_a_partition_is_destroyed(durable):
    manager = durable.manager()
    manager.register_store("topic", "store")
    partition = assign(manager, "topic", 0)["store"]
    with partition.begin() as transaction:
        transaction.set("k", 1, prefix=KEY)
    manager.on_partition_revoke(stream_id="topic", partition=0)
    assert manager.destroy_partition_state("topic", 0) == ["store"]
    assert not assign(manager, "topic", 0)["store"].begin().exists("k", prefix=KEY)


# --- With recovery ---


@pytest.fixture()
def recovering(backend):
    """A manager with one store, and its topics, changelog and consumer."""
    topics = fake_topics()
    topics.topic("topic")
    changelog = ("changelog__group--topic--store", 0)
    consumer = fake_consumer(backend.kafka, ("topic", 0), changelog)
    recovery = RecoveryManager(consumer=consumer, topic_manager=topics)
    manager = backend.manager(recovery_manager=recovery)
    config = TopicConfig(num_partitions=1, replication_factor=1)
    manager.register_store("topic", "store", changelog_config=config)
    return manager, recovery, topics


def test_a_registered_store_has_a_changelog_topic(recovering):
    manager, _, topics = recovering
    assert manager.using_changelogs
    assert topics.changelog_topics["topic"]["store"].name == "changelog__group--topic--store"


def test_partitions_are_assigned_to_recovery_and_revoked(recovering, backend):
    manager, recovery, _ = recovering
    for _ in range(3):
        backend.kafka.produce("changelog__group--topic--store", b"k", b"1", {}, 0)
    assign(manager, "topic", 0)
    assert list(recovery.partitions) == [0]
    assert manager.recovery_required
    manager.on_partition_revoke(stream_id="topic", partition=0)
    assert not recovery.partitions


def test_partitions_with_an_empty_changelog_need_no_recovery(recovering):
    manager, recovery, _ = recovering
    assign(manager, "topic", 0)
    assert not recovery.partitions
    assert not manager.recovery_required
