"""Timestamped stores, and values that expire."""

from datetime import timedelta

import pytest
from quixstreams.state.serialization import encode_integer_pair

KEY = b"__record__"


@pytest.fixture()
def timestamped(backend):
    return backend.partition("timestamped")


@pytest.fixture()
def with_grace(backend):
    return backend.partition("timestamped", grace_ms=10)


# --- The latest value up to a time ---


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("asked, expected", [(10, "v"), (11, "v"), (10**12, "v"), (9, None)])
def test_the_latest_value_is_not_later_than_asked_for(timestamped, asked, expected, is_flushed):
    transaction = timestamped.begin()
    transaction.set_for_timestamp(10, "v", prefix=KEY)
    transaction.set_for_timestamp(10, "of another", prefix=b"__record")
    transaction.set_for_timestamp(10, "of another", prefix=b"__record__2")
    if is_flushed:
        transaction.flush()
        transaction = timestamped.begin()
    assert transaction.get_latest(asked, prefix=KEY) == expected


@pytest.mark.parametrize("stored, cached, expected", [(3, 2, "stored"), (2, 3, "cached")])
def test_the_latest_of_store_and_cache_counts(timestamped, stored, cached, expected):
    with timestamped.begin() as transaction:
        transaction.set_for_timestamp(stored, "stored", prefix=KEY)
    transaction = timestamped.begin()
    transaction.set_for_timestamp(cached, "cached", prefix=KEY)
    assert transaction.get_latest(5, prefix=KEY) == expected


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_prefix_that_is_not_bytes_is_dumped(timestamped, is_flushed):
    transaction = timestamped.begin()
    transaction.set_for_timestamp(10, "v", prefix="key")
    if is_flushed:
        transaction.flush()
        transaction = timestamped.begin()
    assert transaction.get_latest(10, prefix="key") == "v"
    assert transaction.get_latest(10, prefix=b'"key"') == "v"
    assert transaction.get_latest(10, prefix=b"key") is None


@pytest.mark.parametrize("keep_duplicates", [False, True])
@pytest.mark.parametrize("is_flushed", [False, True])
def test_of_one_time_the_last_value_counts(backend, keep_duplicates, is_flushed):
    partition = backend.partition("timestamped", keep_duplicates=keep_duplicates)
    transaction = partition.begin()
    transaction.set_for_timestamp(123, "1", prefix=KEY)
    if is_flushed:
        transaction.flush()
        transaction = partition.begin()
    transaction.set_for_timestamp(123, "2", prefix=KEY)
    assert transaction.get_latest(123, prefix=KEY) == "2"
    transaction.flush()
    transaction = partition.begin()
    assert transaction.get_latest(123, prefix=KEY) == "2"
    both = transaction.get_interval(123, 124, prefix=KEY)
    assert both == (["1", "2"] if keep_duplicates else ["2"])
    rows = [transaction.get(encode_integer_pair(123, n), prefix=KEY) for n in (0, 1)]
    assert rows == (["1", "2"] if keep_duplicates else ["2", None])


# --- Grace ---


@pytest.mark.parametrize("is_flushed", [False, True])
def test_what_is_older_than_the_grace_is_gone(with_grace, is_flushed):
    transaction = with_grace.begin()
    transaction.set_for_timestamp(2, "v2", prefix=KEY)
    transaction.set_for_timestamp(20, "v20", prefix=KEY)
    if is_flushed:
        transaction.flush()
        transaction = with_grace.begin()
    assert transaction.get_latest(2, prefix=KEY) is None
    assert transaction.get_latest(19, prefix=KEY) is None
    assert transaction.get_latest(20, prefix=KEY) == "v20"


def test_late_values_count_within_the_grace(with_grace):
    with with_grace.begin() as transaction:
        transaction.set_for_timestamp(20, "v20", prefix=KEY)
        transaction.set_for_timestamp(10, "v10", prefix=KEY)
        transaction.set_for_timestamp(9, "v9", prefix=KEY)
        assert transaction.get_latest(20, prefix=KEY) == "v20"
        assert transaction.get_latest(10, prefix=KEY) == "v10"
    transaction = with_grace.begin()
    assert transaction.get_latest(10, prefix=KEY) == "v10"
    assert transaction.get_latest(9, prefix=KEY) is None


def test_each_key_expires_for_itself(with_grace):
    with with_grace.begin() as transaction:
        for timestamp in (1, 12):
            transaction.set_for_timestamp(timestamp, timestamp, prefix=b"key")
            transaction.set_for_timestamp(timestamp, timestamp, prefix=b"key1")
        transaction.set_for_timestamp(1, 1, prefix=b"key2")
    transaction = with_grace.begin()
    rows = {
        (prefix, timestamp): transaction.get(encode_integer_pair(timestamp, 0), prefix=prefix)
        for prefix in (b"key", b"key1", b"key2")
        for timestamp in (1, 12)
    }
    assert [at for at, value in rows.items() if value is not None] == [
        (b"key", 12),
        (b"key1", 12),
        (b"key2", 1),
    ]
    # Reading at a later time makes nothing expire.
    assert transaction.get_latest(30, prefix=b"key") == 12


def test_the_grace_is_not_forgotten_with_the_transaction(with_grace):
    """Weak spot 1: it was written to one column family and read from another."""
    with with_grace.begin() as transaction:
        transaction.set_for_timestamp(100, "v100", prefix=KEY)
    with with_grace.begin() as transaction:
        transaction.set_for_timestamp(50, "too old", prefix=KEY)
        assert transaction.get_latest(60, prefix=KEY) is None
    assert with_grace.begin().get_latest(60, prefix=KEY) is None


def test_values_of_a_longer_key_are_not_those_of_a_shorter(timestamped):
    """Weak spot 10: the key `a`, and the key `a|` and 8 bytes, lie in one range."""
    longer = b"a|" + b"\0" * 7 + b"\5"
    with timestamped.begin() as transaction:
        transaction.set_for_timestamp(5, "of the longer", prefix=longer)
    assert timestamped.begin().get_latest(100, prefix=b"a") is None


# --- Intervals ---


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize(
    "start, end, expected",
    [(10, 30, [10, 20]), (11, 31, [20, 30]), (0, 99, [10, 20, 30]), (21, 30, []), (10, 10, [])],
)
def test_an_interval_has_its_start_and_not_its_end(timestamped, start, end, expected, is_flushed):
    transaction = timestamped.begin()
    for timestamp in (30, 10, 20):
        transaction.set_for_timestamp(timestamp, timestamp, prefix=KEY)
        transaction.set_for_timestamp(timestamp, "of another", prefix=b"another")
    if is_flushed:
        transaction.flush()
        transaction = timestamped.begin()
    assert transaction.get_interval(start, end, prefix=KEY) == expected
    assert transaction.get_interval(start, end, prefix=KEY, limit=1) == expected[:1]


def test_an_interval_is_deleted(timestamped):
    with timestamped.begin() as transaction:
        for timestamp in (10, 20):
            transaction.set_for_timestamp(timestamp, timestamp, prefix=KEY)
    with timestamped.begin() as transaction:
        transaction.set_for_timestamp(30, 30, prefix=KEY)
        assert transaction.delete_interval(15, 31, prefix=KEY) == 2
        assert transaction.get_interval(0, 99, prefix=KEY) == [10]
    assert timestamped.begin().get_interval(0, 99, prefix=KEY) == [10]


# --- Values that expire ---

HOUR = timedelta(hours=1)
NOW = 1_700_000_000_000
LATER = NOW + 3_600_000


def test_a_value_is_there_until_its_time_is_over(partition):
    with partition.begin() as transaction:
        state = transaction.as_state(KEY, timestamp=NOW)
        state.set("k", "v", ttl=HOUR)
        state.set("for good", "v")
        assert state.get("k") == "v"
    for timestamp, expected in ((LATER - 1, "v"), (LATER, None), (LATER + 1, None)):
        with partition.begin() as transaction:
            state = transaction.as_state(KEY, timestamp=timestamp)
            assert state.get("k") == expected
            assert state.exists("k") == (expected is not None)
            assert state.get("for good") == "v"


def test_a_value_that_expired_may_be_set_again(partition):
    with partition.begin() as transaction:
        transaction.as_state(KEY, timestamp=NOW).set("k", 1, ttl=HOUR)
    with partition.begin() as transaction:
        state = transaction.as_state(KEY, timestamp=LATER + 5)
        state.set("k", 2, ttl=HOUR)
        assert state.get("k") == 2
    with partition.begin() as transaction:
        assert transaction.as_state(KEY, timestamp=LATER + 6).get("k") == 2


def test_the_last_write_says_how_long(partition):
    with partition.begin() as transaction:
        transaction.as_state(KEY, timestamp=NOW).set("k", 1, ttl=HOUR)
    with partition.begin() as transaction:
        transaction.as_state(KEY, timestamp=NOW + 1).set("k", 2)
    with partition.begin() as transaction:
        assert transaction.as_state(KEY, timestamp=LATER + 1).get("k") == 2


def test_bytes_may_expire(partition):
    with partition.begin() as transaction:
        transaction.as_state(KEY, timestamp=NOW).set_bytes("k", b"v", ttl=HOUR)
    with partition.begin() as transaction:
        assert transaction.as_state(KEY, timestamp=NOW).get_bytes("k") == b"v"
        assert transaction.as_state(KEY, timestamp=LATER).get_bytes("k") is None


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
def test_a_time_that_is_not_above_zero_is_refused(partition, ttl):
    with pytest.raises(Exception):
        partition.begin().as_state(KEY, timestamp=NOW).set("k", 1, ttl=ttl)


def test_stamped_values_are_marked_in_the_changelog_and_recovered(backend):
    with backend.partition(name="first", changelog=True).begin() as transaction:
        transaction.as_state(KEY, timestamp=NOW).set("k", "v", ttl=HOUR)
    again = backend.partition(name="second", changelog=True)
    for message in backend.kafka.messages:
        headers = dict(message.headers())
        again.recover_from_changelog_message(
            key=message.key(),
            value=message.value(),
            cf_name=headers["__column_family__"].decode(),
            offset=message.offset(),
            ttl_stamped="__ttl_stamped__" in headers,
        )
    again.complete_recovery()
    with again.begin() as transaction:
        assert transaction.as_state(KEY, timestamp=NOW + 1).get("k") == "v"
        assert transaction.as_state(KEY, timestamp=LATER).get("k") is None


def test_a_value_that_looks_stamped_is_no_stamped_one(backend):
    """Weak spot 7: eight bytes that look like a time made a store expire values."""
    partition = backend.partition(changelog=True)
    value = (LATER).to_bytes(8, "big") + b"payload"
    partition.recover_from_changelog_message(
        key=b"k", value=value, cf_name="default", offset=0, ttl_stamped=False
    )
    partition.complete_recovery()
    transaction = partition.begin()
    assert transaction.get_bytes(b"k", prefix=b"") == value
