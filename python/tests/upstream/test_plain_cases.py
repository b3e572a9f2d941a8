"""Transactions of plain stores: values, keys, prefixes, statuses, changelog messages."""

import datetime
import json

import pytest
from quixstreams.state.exceptions import (
    InvalidChangelogOffset,
    StateSerializationError,
    StateTransactionError,
)
from quixstreams.state.metadata import (
    CHANGELOG_CF_MESSAGE_HEADER,
    CHANGELOG_PROCESSED_OFFSETS_MESSAGE_HEADER,
)

KEY = b"__record__"
KEYS = ["text", 12, 1.5, (1, "two"), None]
VALUES = [None, "text", 12, 1.5, {"a": {"b": [1, None]}}, [1, "2"], True, ""]
PREFIXES = [b"raw", "text", 12, 1.5, (1, 2), [1, 2], None]
UNSERIALIZABLE = [object(), datetime.date, {1, 2}]


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("key", KEYS)
def test_any_value_under_any_key_comes_back(partition, key, is_flushed):
    transaction = partition.begin()
    for prefix, value in enumerate(VALUES):
        transaction.set(key, value, prefix=b"%d" % prefix)
    if is_flushed:
        transaction.flush()
        transaction = partition.begin()
    for prefix, value in enumerate(VALUES):
        assert transaction.get(key, prefix=b"%d" % prefix) == value
        assert transaction.exists(key, prefix=b"%d" % prefix)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_record_key_makes_a_state(partition, prefix):
    with partition.begin() as transaction:
        state = transaction.as_state(prefix=prefix)
        assert not state.exists("k")
        state.set("k", "v")
        assert state.get("k") == "v"
    with partition.begin() as transaction:
        state = transaction.as_state(prefix=prefix)
        assert state.get("k") == "v"
        state.delete("k")
        assert state.get("k") is None
        assert state.get("k", default=5) == 5


def test_bytes_are_kept_untouched(partition):
    with partition.begin() as transaction:
        state = transaction.as_state(prefix=KEY)
        state.set_bytes("k", b"\x00\xff{")
        assert state.get_bytes("k") == b"\x00\xff{"
    with partition.begin() as transaction:
        state = transaction.as_state(prefix=KEY)
        assert state.get_bytes("k") == b"\x00\xff{"
        assert state.get_bytes("absent", default=b"d") == b"d"


@pytest.mark.parametrize("value", ["text", 1, None, {}])
def test_values_that_are_no_bytes_are_refused_as_bytes(partition, value):
    transaction = partition.begin()
    with pytest.raises(StateSerializationError):
        transaction.set_bytes("k", value, prefix=KEY)


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_deleted_key_is_gone(partition, is_flushed):
    transaction = partition.begin()
    transaction.set("k", "v", prefix=KEY)
    if is_flushed:
        transaction.flush()
        transaction = partition.begin()
    transaction.delete("k", prefix=KEY)
    assert transaction.get("k", prefix=KEY) is None
    assert transaction.get("k", default="d", prefix=KEY) == "d"
    assert not transaction.exists("k", prefix=KEY)
    transaction.flush()
    assert partition.begin().get("k", prefix=KEY) is None


def test_a_deleted_key_may_be_set_again(partition):
    with partition.begin() as transaction:
        transaction.set("k", 1, prefix=KEY)
    with partition.begin() as transaction:
        transaction.delete("k", prefix=KEY)
        transaction.set("k", 2, prefix=KEY)
        assert transaction.get("k", prefix=KEY) == 2
    assert partition.begin().get("k", prefix=KEY) == 2


def test_an_absent_key_may_be_deleted(partition):
    with partition.begin() as transaction:
        transaction.delete("absent", prefix=KEY)
    assert transaction.completed


def test_a_key_belongs_to_its_record_key_and_column_family(partition):
    with partition.begin() as transaction:
        transaction.set("k", 1, prefix=b"one")
        transaction.set("k", 2, prefix=b"two")
        transaction.set("k", 3, prefix=b"one", cf_name="other")
        transaction.delete("k", prefix=b"two")
        assert transaction.get("k", prefix=b"two") is None
    transaction = partition.begin()
    assert transaction.get("k", prefix=b"one") == 1
    assert transaction.get("k", prefix=b"one", cf_name="other") == 3
    assert not transaction.exists("k", prefix=b"two", cf_name="other")
    transaction.delete("k", prefix=b"one", cf_name="other")
    assert transaction.exists("k", prefix=b"one")


@pytest.mark.parametrize("position", ["key", "value"])
@pytest.mark.parametrize("given", UNSERIALIZABLE)
def test_what_json_has_not_is_refused_by_set(partition, position, given):
    arguments = {"key": "k", "value": "v", position: given}
    transaction = partition.begin()
    with pytest.raises(StateSerializationError):
        transaction.set(prefix=KEY, **arguments)
    assert transaction.failed


@pytest.mark.parametrize("value", [{1: 2}, datetime.datetime(2026, 1, 1), b"bytes"])
def test_values_that_would_come_back_otherwise_are_refused(partition, value):
    with pytest.raises(StateSerializationError):
        partition.begin().set("k", value, prefix=KEY)


@pytest.mark.parametrize("key", UNSERIALIZABLE)
def test_what_json_has_not_is_refused_by_delete(partition, key):
    with pytest.raises(StateSerializationError):
        partition.begin().delete(key, prefix=KEY)


def test_stored_bytes_that_are_no_json_are_refused_by_get(partition):
    with partition.begin() as transaction:
        transaction.set_bytes("k", b"\xfe\xff", prefix=KEY)
    with pytest.raises(StateSerializationError):
        partition.begin().get("k", prefix=KEY)


def test_own_dumps_and_loads_are_used(backend):
    options = {
        "dumps": lambda value: b"<" + json.dumps(value).encode() + b">",
        "loads": lambda value: json.loads(value[1:-1]),
    }
    partition = backend.partition(options=options)
    with partition.begin() as transaction:
        transaction.set("k", {"a": 1}, prefix=KEY)
    assert partition.get(KEY + b'|<"k">') == b'<{"a": 1}>'
    assert partition.begin().get("k", prefix=KEY) == {"a": 1}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_is_null(partition, number):
    """Weak spot 9. It is what the application's `dumps` makes of it, so it stays (docs/quix.md)."""
    with partition.begin() as transaction:
        transaction.set("k", number, prefix=KEY)
    assert partition.begin().get("k", default="d", prefix=KEY) is None


def test_an_integer_beyond_64_bits_is_refused(partition):
    with pytest.raises(StateSerializationError):
        partition.begin().set("k", 2**64, prefix=KEY)


# --- Statuses ---


def test_it_is_complete_after_its_block(partition):
    with partition.begin() as transaction:
        assert not transaction.completed
    assert transaction.completed


def test_nothing_is_written_when_nothing_changed(with_changelog, backend):
    with with_changelog.begin() as transaction:
        transaction.get("k", prefix=KEY)
    assert backend.kafka.messages == []
    assert with_changelog.get_changelog_offset() is None


def test_it_leaves_nothing_when_its_block_raises(partition):
    with pytest.raises(KeyError):
        with partition.begin() as transaction:
            transaction.set("k", 1, prefix=KEY)
            raise KeyError
    assert not transaction.completed
    assert partition.begin().get("k", prefix=KEY) is None


@pytest.mark.parametrize("call", ["set", "get", "delete", "exists", "flush"])
def test_once_failed_it_can_not_be_used(partition, call):
    with partition.begin() as transaction:
        with pytest.raises(StateSerializationError):
            transaction.set("k", object(), prefix=KEY)
        calls = {
            "set": lambda: transaction.set("k", 1, prefix=KEY),
            "get": lambda: transaction.get("k", prefix=KEY),
            "delete": lambda: transaction.delete("k", prefix=KEY),
            "exists": lambda: transaction.exists("k", prefix=KEY),
            "flush": lambda: transaction.flush(),
        }
        with pytest.raises(StateTransactionError):
            calls[call]()
    assert not transaction.completed


def test_once_prepared_it_can_not_be_changed(partition):
    transaction = partition.begin()
    transaction.set("k", 1, prefix=KEY)
    transaction.prepare()
    assert transaction.prepared
    with pytest.raises(StateTransactionError):
        transaction.set("k", 2, prefix=KEY)
    with pytest.raises(StateTransactionError):
        transaction.delete("k", prefix=KEY)


@pytest.mark.parametrize("offset", [None, 0, 1, 2**40])
def test_flush_keeps_the_changelog_offset(with_changelog, offset):
    transaction = with_changelog.begin()
    transaction.set("k", 1, prefix=KEY)
    transaction.flush(changelog_offset=offset)
    assert transaction.completed
    assert with_changelog.get_changelog_offset() == offset


def test_a_changelog_offset_below_the_stored_one_is_refused(with_changelog):
    transaction = with_changelog.begin()
    transaction.set("k", 1, prefix=KEY)
    transaction.flush(changelog_offset=9999)
    transaction = with_changelog.begin()
    transaction.set("k", 2, prefix=KEY)
    with pytest.raises(InvalidChangelogOffset):
        transaction.flush(changelog_offset=1)
    assert transaction.failed
    assert with_changelog.begin().get("k", prefix=KEY) == 1


# --- Changelog ---


@pytest.mark.parametrize("offsets", [None, {"topic": 1}, {"a": 1, "b": 2}])
def test_each_changed_key_is_one_message(with_changelog, backend, offsets):
    transaction = with_changelog.begin()
    for number in range(3):
        transaction.set("k%d" % number, "first", prefix=KEY)
        transaction.set("k%d" % number, number, prefix=KEY)
    transaction.prepare(processed_offsets=offsets)
    assert transaction.prepared
    found = {message.key(): message for message in backend.kafka.messages}
    assert len(found) == len(backend.kafka.messages) == 3
    for number in range(3):
        message = found[b'%s|"k%d"' % (KEY, number)]
        assert message.value() == b"%d" % number
        headers = dict(message.headers())
        assert headers[CHANGELOG_CF_MESSAGE_HEADER] == b"default"
        assert json.loads(headers[CHANGELOG_PROCESSED_OFFSETS_MESSAGE_HEADER]) == offsets


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_deleted_key_is_one_tombstone(with_changelog, backend, is_stored):
    if is_stored:
        with with_changelog.begin() as transaction:
            transaction.set("k", 1, prefix=KEY, cf_name="other")
        backend.kafka.log.clear()
    transaction = with_changelog.begin()
    transaction.set("k", 2, prefix=KEY, cf_name="other")
    transaction.delete("k", prefix=KEY, cf_name="other")
    transaction.prepare()
    (message,) = backend.kafka.messages
    assert (message.key(), message.value()) == (KEY + b'|"k"', None)
    assert dict(message.headers())[CHANGELOG_CF_MESSAGE_HEADER] == b"other"


def test_an_error_of_the_producer_fails_it(with_changelog, backend):
    transaction = with_changelog.begin()
    transaction.set("k", 1, prefix=KEY)
    backend.kafka.error = ValueError("no broker")
    with pytest.raises(ValueError, match="no broker"):
        transaction.prepare()
    assert transaction.failed
    with pytest.raises(StateTransactionError):
        transaction.flush()
    assert with_changelog.begin().get("k", prefix=KEY) is None


def test_the_topic_of_the_changelog_is_told(backend):
    topic = backend.partition(changelog=True).begin().changelog_topic_partition
    assert topic == ("changelog__group--topic--store", 0)


def test_without_a_changelog_none_is_told(partition):
    assert partition.begin().changelog_topic_partition is None
