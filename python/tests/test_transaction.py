"""The life of a transaction, and what it hands to the changelog."""

import pytest
from conftest import CHANGELOG
from quixstreams.state.base.transaction import PartitionTransactionStatus as Status
from quixstreams.state.exceptions import (
    InvalidChangelogOffset,
    PartitionNotAssignedError,
    StateTransactionError,
)


@pytest.fixture()
def with_changelog(stores):
    return stores.plain(changelog=True).assign_partition(0)


def test_it_goes_from_started_to_prepared_to_complete(partition):
    transaction = partition.begin()
    assert transaction.status is Status.STARTED
    transaction.set("name", 1, prefix=b"key")
    transaction.prepare(processed_offsets={"topic": 1})
    assert transaction.status is Status.PREPARED and transaction.prepared
    transaction.flush()
    assert transaction.status is Status.COMPLETE and transaction.completed
    assert not transaction.failed


def test_changed_is_told_once_something_was_set_or_deleted(partition):
    transaction = partition.begin()
    if not hasattr(transaction, "changed"):
        pytest.skip("this version of the reference does not tell")
    assert not transaction.changed
    transaction.get("name", prefix=b"key")
    assert not transaction.changed
    transaction.delete("name", prefix=b"key")
    assert transaction.changed


def test_others_see_changes_after_the_flush_alone(partition):
    first = partition.begin()
    first.set("name", 1, prefix=b"key")
    assert partition.begin().get("name", prefix=b"key") is None
    first.prepare()
    first.flush()
    assert partition.begin().get("name", prefix=b"key") == 1


@pytest.mark.parametrize("end", ["prepared", "complete", "failed"])
@pytest.mark.parametrize("call", ["get", "set", "set_bytes", "delete", "exists", "prepare"])
def test_calls_that_the_status_does_not_allow_raise(partition, end, call):
    transaction = partition.begin()
    transaction.set("name", 1, prefix=b"key")
    if end == "failed":
        with pytest.raises(Exception):
            transaction.set("name", object(), prefix=b"key")
    else:
        transaction.prepare()
        if end == "complete":
            transaction.flush()
    calls = {
        "get": lambda: transaction.get("name", prefix=b"key"),
        "set": lambda: transaction.set("name", 2, prefix=b"key"),
        "set_bytes": lambda: transaction.set_bytes("name", b"2", prefix=b"key"),
        "delete": lambda: transaction.delete("name", prefix=b"key"),
        "exists": lambda: transaction.exists("name", prefix=b"key"),
        "prepare": transaction.prepare,
    }
    with pytest.raises(StateTransactionError):
        calls[call]()


def test_a_failed_transaction_is_not_flushed(partition):
    transaction = partition.begin()
    transaction.set("name", 1, prefix=b"key")
    with pytest.raises(Exception):
        transaction.set("other", object(), prefix=b"key")
    with pytest.raises(StateTransactionError):
        transaction.flush()
    assert partition.begin().get("name", prefix=b"key") is None


def test_a_with_block_that_raises_leaves_nothing(partition):
    with pytest.raises(ZeroDivisionError):
        with partition.begin() as transaction:
            transaction.set("name", 1, prefix=b"key")
            1 / 0
    assert partition.begin().get("name", prefix=b"key") is None


def test_column_families_are_apart(partition):
    with partition.begin() as transaction:
        transaction.set("name", 1, prefix=b"key", cf_name="other")
        assert transaction.get("name", prefix=b"key") is None
        assert transaction.get("name", prefix=b"key", cf_name="other") == 1
    assert partition.get(b'key|"name"', cf_name="other") == b"1"
    assert not partition.exists(b'key|"name"')
    assert partition.exists(b'key|"name"', cf_name="other")


def test_the_changelog_topic_and_partition_are_told(stores, with_changelog):
    assert with_changelog.begin().changelog_topic_partition == (CHANGELOG, 0)
    other = stores.plain(name="other").assign_partition(0)
    assert other.begin().changelog_topic_partition is None


def test_each_changed_key_is_one_message(stores, with_changelog):
    transaction = with_changelog.begin()
    transaction.set("a", 1, prefix=b"key")
    transaction.set("a", 2, prefix=b"key")
    transaction.set("b", "x", prefix=b"")
    transaction.set("c", 3, prefix=b"key", cf_name="other")
    transaction.set("d", 4, prefix=b"key")
    transaction.delete("d", prefix=b"key")
    transaction.delete("e", prefix=b"key")
    transaction.prepare(processed_offsets={"topic": 5, "tópic": 7})

    def headers(cf):
        return {
            "__column_family__": cf,
            "__processed_tp_offsets__": '{"topic":5,"tópic":7}'.encode(),
        }

    expected = {
        (b'key|"a"', b"2", "default"),
        (b'"b"', b'"x"', "default"),
        (b'key|"c"', b"3", "other"),
        (b'key|"d"', None, "default"),
        (b'key|"e"', None, "default"),
    }
    messages = stores.producer.messages
    assert {(m.key, m.value, m.headers["__column_family__"]) for m in messages} == expected
    assert len(messages) == len(expected)
    for message in messages:
        assert (message.topic, message.partition) == (CHANGELOG, 0)
        assert message.headers == headers(message.headers["__column_family__"])


@pytest.mark.parametrize("offsets, header", [(None, b"null"), ({}, b"{}")])
def test_no_processed_offsets_are_told_as_such(stores, with_changelog, offsets, header):
    transaction = with_changelog.begin()
    transaction.set("a", 1, prefix=b"key")
    transaction.prepare(processed_offsets=offsets)
    assert stores.producer.messages[0].headers["__processed_tp_offsets__"] == header


def test_an_error_of_the_producer_fails_the_transaction(stores, with_changelog):
    transaction = with_changelog.begin()
    transaction.set("a", 1, prefix=b"key")
    stores.producer.error = BufferError("the queue is full")
    with pytest.raises(BufferError):
        transaction.prepare()
    assert transaction.failed
    with pytest.raises(StateTransactionError):
        transaction.flush()


def test_the_changelog_offset_is_kept_with_the_data(with_changelog):
    assert with_changelog.get_changelog_offset() is None
    transaction = with_changelog.begin()
    transaction.set("a", 1, prefix=b"key")
    transaction.prepare()
    transaction.flush(changelog_offset=7)
    assert with_changelog.get_changelog_offset() == 7


def test_the_changelog_offset_does_not_go_back(with_changelog):
    for offset in (7, 7):
        transaction = with_changelog.begin()
        transaction.set("a", offset, prefix=b"key")
        transaction.prepare()
        transaction.flush(changelog_offset=offset)
    transaction = with_changelog.begin()
    transaction.set("a", 2, prefix=b"key")
    transaction.prepare()
    with pytest.raises(InvalidChangelogOffset):
        transaction.flush(changelog_offset=6)
    assert transaction.failed
    assert with_changelog.get_changelog_offset() == 7


def test_an_empty_transaction_writes_nothing(with_changelog):
    transaction = with_changelog.begin()
    transaction.prepare()
    transaction.flush(changelog_offset=7)
    assert with_changelog.get_changelog_offset() is None


def test_it_may_be_flushed_without_being_prepared(stores, with_changelog):
    transaction = with_changelog.begin()
    transaction.set("a", 1, prefix=b"key")
    transaction.flush(changelog_offset=1)
    assert transaction.completed
    assert stores.producer.messages == []
    assert with_changelog.get_changelog_offset() == 1


def test_a_partition_that_is_not_assigned_has_no_transactions(stores):
    store = stores.plain()
    with pytest.raises(PartitionNotAssignedError):
        store.start_partition_transaction(5)
