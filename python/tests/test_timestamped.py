"""Values by event time."""

import pytest


@pytest.fixture()
def partition(stores):
    return stores.timestamped(grace_ms=10).assign_partition(0)


@pytest.mark.parametrize("prefix", [b"bytes", "text", 5])
@pytest.mark.parametrize("is_flushed", [False, True])
def test_the_latest_value_up_to_a_time_is_found(partition, prefix, is_flushed):
    transaction = partition.begin()
    for timestamp in (3, 5):
        transaction.set_for_timestamp(timestamp, {"t": timestamp}, prefix)
    if is_flushed:
        transaction.prepare()
        transaction.flush()
        transaction = partition.begin()
    for timestamp, found in (
        (2, None),
        (3, {"t": 3}),
        (4, {"t": 3}),
        (5, {"t": 5}),
        (99, {"t": 5}),
    ):
        assert transaction.get_latest(timestamp=timestamp, prefix=prefix) == found
    assert transaction.get_latest(99, b"other") is None


def test_the_same_time_again_replaces_the_value(partition):
    with partition.begin() as transaction:
        transaction.set_for_timestamp(5, "a", b"k")
        transaction.set_for_timestamp(5, "b", b"k")
        assert transaction.get_latest(5, b"k") == "b"
        assert transaction.get_interval(0, 10, b"k") == ["b"]


def test_with_duplicates_all_are_kept_and_the_last_counts(stores):
    partition = stores.timestamped(keep_duplicates=True).assign_partition(0)
    with partition.begin() as transaction:
        transaction.set_for_timestamp(5, "a", b"k")
        transaction.set_for_timestamp(5, "b", b"k")
    transaction = partition.begin()
    assert transaction.get_latest(5, b"k") == "b"
    assert transaction.get_interval(0, 10, b"k") == ["a", "b"]


def test_an_interval_has_its_start_and_not_its_end(partition):
    with partition.begin() as transaction:
        for timestamp in (1, 2, 3):
            transaction.set_for_timestamp(timestamp, timestamp, b"k")
            transaction.set_for_timestamp(timestamp, -timestamp, b"k|")
    transaction = partition.begin()
    transaction.set_for_timestamp(4, 4, b"k")
    assert transaction.get_interval(start=2, end=4, prefix=b"k") == [2, 3]
    assert transaction.get_interval(0, 100, b"k") == [1, 2, 3, 4]
    assert transaction.get_interval(4, 2, b"k") == []


def test_an_interval_may_be_limited_and_deleted(partition):
    transaction = partition.begin()
    if not hasattr(transaction, "delete_interval"):
        pytest.skip("this version of the reference has none")
    for timestamp in (1, 2, 3):
        transaction.set_for_timestamp(timestamp, timestamp, b"k")
    assert transaction.get_interval(0, 10, b"k", limit=2) == [1, 2]
    assert transaction.get_interval(0, 10, b"k", limit=0) == []
    assert transaction.delete_interval(start=1, end=3, prefix=b"k") == 2
    assert transaction.delete_interval(1, 3, b"k") == 0
    assert transaction.get_interval(0, 10, b"k") == [3]


def test_what_is_older_than_the_grace_is_gone(weir_stores):
    partition = weir_stores.timestamped(grace_ms=10).assign_partition(0)
    with partition.begin() as transaction:
        transaction.set_for_timestamp(100, "a", b"k")
    with partition.begin() as transaction:
        transaction.set_for_timestamp(120, "b", b"k")
    transaction = partition.begin()
    assert transaction.get_latest(115, b"k") is None
    transaction.set_for_timestamp(105, "late", b"k")
    assert transaction.get_interval(0, 1000, b"k") == ["b"]


def test_a_value_that_json_has_not_fails_the_transaction(partition):
    transaction = partition.begin()
    with pytest.raises(Exception, match="serialize"):
        transaction.set_for_timestamp(1, object(), b"k")
    assert transaction.failed


def test_changes_go_to_the_changelog(stores):
    transaction = stores.timestamped(changelog=True, grace_ms=10).assign_partition(0).begin()
    transaction.set_for_timestamp(100, "a", b"k")
    transaction.prepare({"topic": 3})
    stored = b"k|" + (100).to_bytes(8, "big") + b"|" + (0).to_bytes(8, "big")
    messages = {m.headers["__column_family__"]: (m.key, m.value) for m in stores.producer.messages}
    assert messages["default"] == (stored, b'"a"')
    assert messages["__min-eligible-timestamps__"] == (
        b"k|__min_eligible_timestamps__",
        (90).to_bytes(8, "big"),
    )


def test_a_negative_time_is_refused(weir_stores):
    transaction = weir_stores.timestamped().assign_partition(0).begin()
    with pytest.raises(ValueError):
        transaction.get_latest(-1, b"k")
    with pytest.raises(ValueError):
        transaction.set_for_timestamp(-1, "a", b"k")
