"""Changelog messages in bulk, as the recovery manager hands them over."""

import pytest
from quixstreams.state.exceptions import ColumnFamilyHeaderMissing, StateError

from weirstreams import WeirError, _native
from weirstreams.quix.recovery import RecoveryPartition, _make_reader


class Message:
    def __init__(self, offset, key, value, processed=b"null", cf=b"default", **headers):
        self._offset, self._key, self._value = offset, key, value
        self._headers = [("other", None), *headers.items()]
        if cf is not None:
            self._headers.append(("__column_family__", cf))
        if processed is not None:
            self._headers.append(("__processed_tp_offsets__", processed))

    def offset(self):
        return self._offset

    def key(self):
        return self._key

    def value(self):
        return self._value

    def headers(self):
        return self._headers


@pytest.fixture(params=["bulk", "reference"])
def recover(request, stores):
    """Both ways of Quix Streams' messages into a partition, on each backend."""
    partition = stores.plain(changelog=True).assign_partition(0)
    if stores.is_reference and request.param == "bulk":
        pytest.skip("the reference has no bulk")

    def run(messages, committed=None):
        recovery = RecoveryPartition(
            changelog_name="changelog",
            partition_num=0,
            store_partition=partition,
            committed_offsets=committed or {"topic": 10},
            lowwater=0,
            highwater=100,
        )
        if request.param == "bulk":
            recovery.take(messages)
        else:
            for message in messages:
                recovery.recover_from_changelog_message(message)
        recovery.complete_recovery()
        return partition

    return run


def test_messages_are_applied_in_order(recover):
    partition = recover(
        [
            Message(0, b"a", b"1"),
            Message(1, b"b", b"2", processed=None),
            Message(3, b"a", b"3", processed=b'{"topic":9}'),
            Message(4, b"b", None),
            Message(5, b"a", b"4", cf=b"other"),
        ]
    )
    assert partition.get(b"a") == b"3"
    assert not partition.exists(b"b")
    assert partition.get(b"a", "other") == b"4"
    assert partition.get_changelog_offset() == 5


def test_what_is_processed_again_is_left_out(recover):
    partition = recover(
        [
            Message(0, b"a", b"1", processed=b'{"topic":9}'),
            Message(1, b"a", b"2", processed=b'{"topic":10}'),
            Message(2, b"b", b"2", processed=b'{"topic":10}'),
            Message(3, b"c", b"2", processed=b'{"topic":9}'),
            Message(4, b"c", b"3", processed=b'{"topic":11}'),
        ]
    )
    assert partition.get(b"a") == b"1"
    assert not partition.exists(b"b")
    assert partition.get(b"c") == b"2"
    assert partition.get_changelog_offset() == 4


@pytest.mark.parametrize(
    "message, error",
    [
        (Message(2, b"a", b"1", cf=None), ColumnFamilyHeaderMissing),
        (Message(2, None, b"1"), TypeError),
        (Message(2, b"a", "text"), TypeError),
    ],
)
def test_a_message_that_is_malformed_is_told(recover, message, error):
    with pytest.raises(error):
        recover([Message(1, b"a", b"1"), message])


def test_a_topic_that_is_read_no_more_sets_no_bound(weir_stores):
    partition = weir_stores.plain(changelog=True).assign_partition(0)
    recovery = RecoveryPartition("changelog", 0, partition, {"topic": 10}, 0, 100)
    recovery.take([Message(0, b"a", b"1", processed=b'{"old":99,"topic":9}')])
    assert partition.get(b"a") == b"1"


def test_a_header_that_is_no_json_is_an_error(weir_stores):
    partition = weir_stores.plain(changelog=True).assign_partition(0)
    recovery = RecoveryPartition("changelog", 0, partition, {"topic": 10}, 0, 100)
    with pytest.raises(ValueError):
        recovery.take([Message(0, b"a", b"1", processed=b"{no json")])


def test_bulk_without_a_changelog_is_refused(weir_partition):
    with pytest.raises(StateError, match="no changelog"):
        weir_partition.native.push_messages([Message(0, b"a", b"1")], bool)
    for wrong in (None, (), [5]):
        with pytest.raises((TypeError, AttributeError)):
            weir_partition.native.push_messages(wrong, bool)


# --- A reader ---

NOWHERE = "127.0.0.1:1"


@pytest.fixture()
def reader():
    return _native.ChangelogReader(NOWHERE, "group", {})


def begin(partition, reader, low=0, high=10):
    return partition.native.recover_begin(reader, "changelog", 0, low, high, {"topic": 5})


def test_a_recovery_with_a_reader_waits_for_its_broker(stores, reader):
    if stores.is_reference:
        pytest.skip("the reference has no reader")
    partition = stores.plain(changelog=True).assign_partition(0)
    assert begin(partition, reader)
    assert partition.native.recover_step(10) == (0, 0, False)
    for use in (
        lambda: partition.native.push(b"a", b"1", "default", 1),
        lambda: begin(partition, reader),
        partition.begin,
    ):
        with pytest.raises(StateError, match="recovery"):
            use()
    partition.native.recover_end()
    partition.recover_from_changelog_message(b"a", b"1", "default", 3)
    partition.complete_recovery()
    assert partition.get(b"a") == b"1"
    assert partition.get_changelog_offset() == 3


def test_a_recovery_of_nothing_is_over_at_once(weir_stores, reader):
    partition = weir_stores.plain(changelog=True).assign_partition(0)
    partition.recover_from_changelog_message(b"a", b"1", "default", 9)
    assert not begin(partition, reader)
    with pytest.raises(StateError, match="no recovery"):
        partition.native.recover_step(10)
    assert partition.get(b"a") == b"1"


def test_a_partition_is_closed_in_the_middle_of_a_recovery(weir_stores, reader):
    store = weir_stores.plain(changelog=True)
    assert begin(store.assign_partition(0), reader)
    store.revoke_partition(0)
    assert store.assign_partition(0).get_changelog_offset() is None


def test_a_reader_needs_a_changelog(weir_partition, reader):
    with pytest.raises(StateError, match="no changelog"):
        begin(weir_partition, reader)


@pytest.mark.parametrize(
    "arguments, error",
    [
        (("", "group", {"no.such.property": "1"}), WeirError),
        ((NOWHERE, "group", {"isolation.level": "read_uncommitted"}), WeirError),
        ((NOWHERE, "group", {"client.id": 1}), TypeError),
        ((NOWHERE, "group", None), TypeError),
        ((NOWHERE, "group", {f"{number}": "1" for number in range(200)}), ValueError),
    ],
)
def test_a_reader_that_can_not_be_made_raises(arguments, error):
    with pytest.raises(error):
        _native.ChangelogReader(*arguments)


@pytest.mark.parametrize(
    "changed, is_made",
    [
        ({}, True),
        ({"fetch.min.bytes": 5, "socket.keepalive.enable": True}, True),
        ({"error_cb": print, "stats_cb": print, "statistics.interval.ms": 5}, True),
        ({"oauth_cb": print}, False),
        ({"isolation.level": "read_uncommitted"}, False),
        ({"no.such.property": 1}, False),
    ],
)
def test_a_reader_has_the_settings_of_the_consumer(changed, is_made):
    config = {"bootstrap.servers": NOWHERE, "group.id": "group", "enable.auto.commit": False}
    assert (_make_reader({**config, **changed}) is not None) == is_made
    assert _make_reader(None) is None
