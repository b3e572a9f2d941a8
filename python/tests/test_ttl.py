"""Values that expire by event time."""

from datetime import timedelta

import pytest

HOUR = 3_600_000
NOW = 1_700_000_000_000


@pytest.fixture()
def partition(stores):
    return stores.plain(changelog=True).assign_partition(0)


def at(transaction, time, key=b"k"):
    return transaction.as_state(prefix=key, timestamp=time)


def commit(transaction, offset):
    transaction.prepare({"topic": offset})
    transaction.flush(changelog_offset=offset)


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_value_is_gone_when_its_time_is_over(partition, is_flushed):
    transaction = partition.begin()
    at(transaction, NOW).set("short", 1, ttl=timedelta(hours=1))
    at(transaction, NOW).set_bytes("bytes", b"1", ttl=timedelta(hours=1))
    at(transaction, NOW).set("long", 2, ttl=timedelta(hours=3))
    at(transaction, NOW).set("ever", 3)
    if is_flushed:
        commit(transaction, 1)
        transaction = partition.begin()
    just_before = at(transaction, NOW + HOUR - 1)
    assert just_before.get("short") == 1
    assert just_before.exists("bytes")
    if not is_flushed:
        return  # the reference has no expiry among what is not flushed
    after = at(transaction, NOW + HOUR)
    assert after.get("short", "gone") == "gone"
    assert not after.exists("short")
    assert after.get_bytes("bytes") is None
    assert after.get("long") == 2
    assert after.get("ever") == 3


def test_the_last_write_decides(partition):
    transaction = partition.begin()
    at(transaction, NOW).set("a", 1, ttl=timedelta(hours=1))
    at(transaction, NOW).set("a", 2)
    at(transaction, NOW).set("b", 1)
    at(transaction, NOW).set("b", 2, ttl=timedelta(hours=1))
    commit(transaction, 1)
    later = at(partition.begin(), NOW + 2 * HOUR)
    assert later.get("a") == 2
    assert later.get("b") is None


def test_stamped_messages_are_marked_and_recovered(stores):
    first = stores.plain(changelog=True).assign_partition(0)
    transaction = first.begin()
    at(transaction, NOW).set("short", 1, ttl=timedelta(hours=1))
    at(transaction, NOW).set("ever", 2)
    commit(transaction, 1)
    values = {
        m.key: m for m in stores.producer.messages if m.headers["__column_family__"] == "default"
    }
    assert values[b'k|"short"'].value == (NOW + HOUR).to_bytes(8, "big") + b"1"
    assert values[b'k|"ever"'].value == b"\xff" * 8 + b"2"
    assert all(m.headers["__ttl_stamped__"] == b"\x01" for m in values.values())

    second = stores.plain(name="second", changelog=True).assign_partition(0)
    for offset, message in enumerate(stores.producer.messages):
        second.recover_from_changelog_message(
            key=message.key,
            value=message.value,
            cf_name=message.headers["__column_family__"],
            offset=offset,
            ttl_stamped=bool(message.headers.get("__ttl_stamped__")),
        )
    second.complete_recovery()
    transaction = second.begin()
    assert at(transaction, NOW + 1).get("short") == 1
    assert at(transaction, NOW + HOUR).get("short") is None
    assert at(transaction, NOW + HOUR).get("ever") == 2


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
def test_a_ttl_that_is_not_above_zero_is_refused(partition, ttl):
    transaction = partition.begin()
    with pytest.raises(ValueError):
        at(transaction, NOW).set("a", 1, ttl=ttl)
    assert transaction.failed


def test_a_ttl_needs_an_event_time(partition):
    transaction = partition.begin()
    with pytest.raises(ValueError):
        transaction.as_state(prefix=b"k").set("a", 1, ttl=timedelta(hours=1))
    assert transaction.failed
