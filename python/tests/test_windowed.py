"""Windows in time, and the collections of keys."""

import pytest

PREFIX = b"__key__"


@pytest.fixture()
def windowed(stores):
    return stores.windowed().assign_partition(0)


@pytest.fixture()
def transaction(windowed):
    with windowed.begin() as transaction:
        yield transaction


def put(transaction, *windows, prefix=PREFIX):
    for start, end in windows:
        transaction.update_window(
            start_ms=start, end_ms=end, value=start, timestamp_ms=start, prefix=prefix
        )


def expire(transaction, max_start_time, **arguments):
    return list(
        transaction.expire_windows(max_start_time=max_start_time, prefix=PREFIX, **arguments)
    )


def starts(windows):
    return [window[0][0] for window in windows]


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_window_comes_back(windowed, is_flushed):
    transaction = windowed.begin()
    put(transaction, (0, 10))
    if is_flushed:
        transaction.prepare()
        transaction.flush()
        transaction = windowed.begin()
    state = transaction.as_state(PREFIX)
    assert state.get_window(start_ms=0, end_ms=10) == 0
    assert state.get_window(0, 11) is None
    assert state.get_window(0, 11, default=5) == 5
    assert transaction.get_window(0, 10, PREFIX) == 0
    transaction.delete_window(0, 10, prefix=PREFIX)
    assert state.get_window(0, 10) is None


def test_state_and_transaction_speak_of_the_same_windows(transaction):
    state = transaction.as_state("text")
    state.update_window(0, 10, value={"a": 1}, timestamp_ms=3)
    assert transaction.get_window(0, 10, prefix=b'"text"') == {"a": 1}
    assert state.get_latest_timestamp() == 3
    state.set("plain", 5)
    assert state.get("plain") == 5


def test_the_latest_timestamp_never_falls(transaction):
    state = transaction.as_state(PREFIX)
    assert state.get_latest_timestamp() == 0
    for timestamp, latest in ((5, 5), (3, 5), (8, 8)):
        state.update_window(0, 10, value=1, timestamp_ms=timestamp)
        assert state.get_latest_timestamp() == latest
    assert transaction.get_latest_timestamp(prefix=b"other") == 0


@pytest.mark.parametrize("start, end", [(10, 10), (10, 9)])
def test_a_window_that_ends_before_it_starts_is_refused(windowed, start, end):
    for call in (
        lambda state: state.get_window(start, end),
        lambda state: state.update_window(start, end, value=1, timestamp_ms=1),
        lambda state: state._transaction.delete_window(start, end, prefix=PREFIX),
    ):
        with pytest.raises(ValueError):
            call(windowed.begin().as_state(PREFIX))


def test_a_negative_timestamp_is_refused(windowed):
    with pytest.raises(ValueError):
        windowed.begin().as_state(PREFIX).update_window(0, 10, value=1, timestamp_ms=-1)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "start_from, start_to, expected",
    [(-1, 20, [0, 5, 10, 20]), (0, 10, [5, 10]), (5, 9, []), (20, 100, []), (10, 5, [])],
)
def test_windows_of_a_range_start_after_from_and_not_after_to(
    windowed, start_from, start_to, expected, backwards
):
    with windowed.begin() as transaction:
        put(transaction, (0, 10), (10, 20), (20, 30))
        put(transaction, (0, 10), (5, 15), prefix=PREFIX + b"|other")
    transaction = windowed.begin()
    put(transaction, (5, 15))
    found = transaction.as_state(PREFIX).get_windows(start_from, start_to, backwards)
    assert starts(found) == (expected[::-1] if backwards else expected)
    assert all(key == PREFIX and value == start for (start, _), value, key in found)


def test_windows_are_walked_one_by_one(windowed):
    with windowed.begin() as transaction:
        put(transaction, (0, 10), (10, 20), (20, 30))
    state = windowed.begin().as_state(PREFIX)
    if not hasattr(state, "iter_windows"):
        pytest.skip("this version of the reference has none")
    assert starts(state.iter_windows()) == [0, 10, 20]
    assert starts(state.iter_windows(start_from_ms=10)) == [10, 20]
    assert starts(state.iter_windows(start_to_ms=10)) == [0, 10]
    assert next(state.iter_windows(start_to_ms=15, backwards=True)) == ((10, 20), 10, PREFIX)
    assert next(state.iter_windows(start_from_ms=21), None) is None
    assert list(state.iter_windows(start_from_ms=5, start_to_ms=2)) == []
    walk = state.iter_windows()
    for (start, end), _, _ in walk:
        state.delete_window(start, end)
    assert list(walk) == []
    assert state.get_windows(-1, 100) == []


def test_expired_windows_are_told_once_and_deleted(windowed):
    with windowed.begin() as transaction:
        put(transaction, (0, 10), (10, 20), (20, 30))
    with windowed.begin() as transaction:
        assert expire(transaction, 10) == [((0, 10), 0, [], PREFIX), ((10, 20), 10, [], PREFIX)]
        assert expire(transaction, 10) == []
        assert transaction.get_window(0, 10, PREFIX) is None
        assert transaction.get_latest_expired(prefix=PREFIX) == 10
    with windowed.begin() as transaction:
        assert starts(expire(transaction, 50)) == [20]
        assert expire(transaction, 50) == []


def test_expired_windows_may_stay(transaction):
    put(transaction, (0, 10))
    assert starts(expire(transaction, 5, delete=False)) == [0]
    assert expire(transaction, 5) == []
    assert transaction.get_window(0, 10, PREFIX) == 0


def test_expired_windows_bring_their_collection(transaction):
    state = transaction.as_state(PREFIX)
    for number in (1, 9, 10, 12):
        state.add_to_collection(value={"n": number}, id=number)
    put(transaction, (0, 10))
    (window,) = expire(transaction, 5, collect=True)
    assert window == ((0, 10), 0, [{"n": 1}, {"n": 9}], PREFIX)


def test_an_end_that_counts_brings_one_more(transaction):
    state = transaction.as_state(PREFIX)
    for number in (1, 10, 11):
        state.add_to_collection(value=number, id=number)
    put(transaction, (0, 10))
    assert expire(transaction, 5, collect=True, end_inclusive=True)[0][2] == [1, 10]


def test_windows_of_all_keys_expire_by_their_end(windowed):
    with windowed.begin() as transaction:
        put(transaction, (0, 10), (10, 20))
        put(transaction, (0, 10), prefix=b"other")
    with windowed.begin() as transaction:
        found = list(transaction.expire_all_windows(max_end_time=10, step_ms=10))
        assert sorted(found) == sorted([((0, 10), 0, [], PREFIX), ((0, 10), 0, [], b"other")])
        assert list(transaction.expire_all_windows(max_end_time=10, step_ms=10)) == []
        assert transaction.get_window(10, 20, PREFIX) == 10
    with windowed.begin() as transaction:
        found = list(transaction.expire_all_windows(max_end_time=25, step_ms=10))
        assert found == [((10, 20), 10, [], PREFIX)]


def test_windows_are_deleted_up_to_a_start(windowed):
    with windowed.begin() as transaction:
        put(transaction, (0, 10), (10, 20), (20, 30))
        for number in (5, 10, 15):
            transaction.add_to_collection(value=number, id=number, prefix=PREFIX)
    with windowed.begin() as transaction:
        state = transaction.as_state(PREFIX)
        state.delete_windows(max_start_time=10, delete_values=True)
        assert starts(state.get_windows(-1, 100)) == [20]
        assert state.get_from_collection(0, 100) == [10, 15]


def test_a_collection_is_read_and_deleted_by_id(windowed):
    with windowed.begin() as transaction:
        state = transaction.as_state(PREFIX)
        numbers = [
            state.add_to_collection(value=v, id=i) for i, v in ((7, "b"), (3, "a"), (7, "c"))
        ]
        assert numbers == sorted(set(numbers))
    with windowed.begin() as transaction:
        state = transaction.as_state(PREFIX)
        assert state.get_from_collection(start=0, end=100) == ["a", "b", "c"]
        assert state.get_from_collection(3, 7) == ["a"]
        state.delete_from_collection(end=7)
        assert state.get_from_collection(0, 100) == ["b", "c"]
        state.delete_from_collection(end=100, start=8)
        assert state.get_from_collection(0, 100) == ["b", "c"]


def test_a_value_without_an_id_has_its_number(transaction):
    state = transaction.as_state(PREFIX)
    first = state.add_to_collection(value="a", id=None)
    second = state.add_to_collection(value="b", id=None)
    assert state.get_from_collection(first, second) == ["a"]
    assert state.get_from_collection(first, second + 1) == ["a", "b"]


def test_keys_and_prefixes_are_those_of_store_and_changes(windowed):
    with windowed.begin() as transaction:
        put(transaction, (0, 10), (10, 20))
        put(transaction, (0, 10), prefix=b"other")
    transaction = windowed.begin()
    put(transaction, (0, 10), prefix=b"new")
    assert len(set(transaction.keys())) == 4
    if hasattr(transaction, "iter_prefixes"):
        assert sorted(transaction.iter_prefixes()) == sorted([PREFIX, b"other", b"new"])


def test_marks_of_sessions_are_kept(windowed):
    with windowed.begin() as transaction:
        if not hasattr(transaction, "get_expiry_checkpoint"):
            pytest.skip("this version of the reference has none")
        state = transaction.as_state(PREFIX)
        assert state.get_expiry_checkpoint() is None
        assert transaction.get_expiry_checkpoint() is None
        state.set_expiry_checkpoint(5)
        transaction.set_expiry_checkpoint(7)
        assert transaction.get_partition_timestamp() == 0
        assert transaction.advance_partition_timestamp(9) == 9
        assert transaction.advance_partition_timestamp(4) == 9
    with windowed.begin() as transaction:
        assert transaction.get_expiry_checkpoint(prefix=PREFIX) == 5
        assert transaction.get_expiry_checkpoint() == 7
        assert transaction.get_partition_timestamp() == 9


@pytest.mark.parametrize("key", [b"bytes", "text", 5, None])
def test_a_record_key_is_found_again_from_its_prefix(transaction, key):
    if not hasattr(transaction, "key_from_prefix"):
        pytest.skip("this version of the reference has none")
    prefix = transaction.as_state(key)._prefix
    assert transaction.key_from_prefix(prefix, message_key=key) == key


def test_changes_of_windows_go_to_the_changelog(stores):
    transaction = stores.windowed(changelog=True).assign_partition(0).begin()
    put(transaction, (0, 10))
    transaction.prepare({"topic": 3})
    stored = b"__key__|" + (0).to_bytes(8, "big") + b"|" + (10).to_bytes(8, "big")
    messages = {m.headers["__column_family__"]: (m.key, m.value) for m in stores.producer.messages}
    assert messages == {
        "default": (stored, b"0"),
        "__latest-timestamps__": (b"__key__|__latest_timestamp__", b"0"),
    }


def test_an_error_of_loads_loses_nothing(weir_stores):
    partition = weir_stores.windowed().assign_partition(0)
    transaction = partition.begin()
    transaction.set_bytes(b"\0" * 8 + b"|" + b"\1" * 8, b"{no json", prefix=PREFIX)
    transaction.add_to_collection(value=1, id=1, prefix=PREFIX)
    for call in (
        lambda: transaction.get_windows(-1, 100, PREFIX),
        lambda: list(transaction.iter_windows(PREFIX)),
    ):
        with pytest.raises(Exception, match="deserialize"):
            call()
    assert not transaction.failed


def test_iterators_of_windows_end_with_the_partition(weir_stores):
    from weirstreams.quix import StateClosedError

    partition = weir_stores.windowed().assign_partition(0)
    transaction = partition.begin()
    put(transaction, (0, 10))
    walk = transaction.iter_windows(PREFIX)
    partition.close()
    with pytest.raises(StateClosedError):
        next(walk)
    with pytest.raises(StateClosedError):
        transaction.get_window(0, 10, PREFIX)
