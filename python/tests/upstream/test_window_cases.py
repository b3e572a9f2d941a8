"""Windows: get, update, delete, ranges, expiry per key and per partition, marks of progress."""

import pytest
from quixstreams.state.metadata import CHANGELOG_CF_MESSAGE_HEADER
from quixstreams.state.serialization import encode_integer_pair

KEY = b"__record__"


def fill(transaction, windows, prefix=KEY):
    """:param windows: pairs of start and value; each is 10 ms long"""
    for start, value in windows:
        transaction.update_window(
            start_ms=start, end_ms=start + 10, value=value, timestamp_ms=start, prefix=prefix
        )


def ranges(found):
    return [(window[0], window[1]) for window in found]


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("value", [1, None, {"a": [1]}, [1, None]])
def test_an_updated_window_comes_back(windowed, value, is_flushed):
    transaction = windowed.begin()
    transaction.update_window(0, 10, value="first", timestamp_ms=2, prefix=KEY)
    transaction.update_window(0, 10, value=value, timestamp_ms=2, prefix=KEY)
    if is_flushed:
        transaction.flush()
        transaction = windowed.begin()
    assert transaction.get_window(0, 10, prefix=KEY) == value
    assert transaction.as_state(KEY).get_window(0, 10) == value


def test_an_absent_window_gives_the_default(windowed):
    transaction = windowed.begin()
    assert transaction.get_window(0, 10, prefix=KEY) is None
    assert transaction.get_window(0, 10, prefix=KEY, default=5) == 5


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_deleted_window_is_gone(windowed, is_flushed):
    transaction = windowed.begin()
    fill(transaction, [(0, 1)])
    if is_flushed:
        transaction.flush()
        transaction = windowed.begin()
    transaction.delete_window(0, 10, prefix=KEY)
    assert transaction.get_window(0, 10, prefix=KEY) is None
    transaction.flush()
    assert windowed.begin().get_window(0, 10, prefix=KEY) is None


@pytest.mark.parametrize("call", ["get", "update", "delete"])
@pytest.mark.parametrize("start, end", [(0, 0), (1, 0)])
def test_a_window_without_a_length_is_refused(windowed, call, start, end):
    transaction = windowed.begin()
    calls = {
        "get": lambda: transaction.get_window(start, end, prefix=KEY),
        "update": lambda: transaction.update_window(start, end, 1, 1, prefix=KEY),
        "delete": lambda: transaction.delete_window(start, end, prefix=KEY),
    }
    with pytest.raises(ValueError):
        calls[call]()


# --- Latest timestamps ---


def test_the_latest_timestamp_is_kept(windowed):
    with windowed.begin() as transaction:
        assert transaction.get_latest_timestamp(prefix=KEY) == 0
        transaction.update_window(0, 10, value=1, timestamp_ms=123, prefix=KEY)
        transaction.update_window(0, 10, value=1, timestamp_ms=122, prefix=KEY)
        assert transaction.get_latest_timestamp(prefix=KEY) == 123
    transaction = windowed.begin()
    assert transaction.get_latest_timestamp(prefix=KEY) == 123
    assert transaction.as_state(KEY).get_latest_timestamp() == 123
    assert transaction.get_latest_timestamp(prefix=b"another") == 0


def test_the_latest_timestamp_outlives_the_partition(durable):
    store = durable.store("windowed")
    with store.assign_partition(0).begin() as transaction:
        transaction.as_state(KEY).update_window(0, 10, value=1, timestamp_ms=123)
    store.revoke_partition(0)
    with store.assign_partition(0).begin() as transaction:
        assert transaction.get_latest_timestamp(prefix=KEY) == 123


def test_the_timestamp_of_the_partition_advances(windowed):
    with windowed.begin() as transaction:
        transaction.advance_partition_timestamp(100)
        transaction.advance_partition_timestamp(50)
        assert transaction.get_partition_timestamp() == 100
    assert windowed.begin().get_partition_timestamp() == 100


def test_the_mark_of_an_expiry_is_kept(windowed):
    with windowed.begin() as transaction:
        assert transaction.get_expiry_checkpoint(prefix=KEY) is None
        transaction.set_expiry_checkpoint(7, prefix=KEY)
        assert transaction.as_state(KEY).get_expiry_checkpoint() == 7
    assert windowed.begin().get_expiry_checkpoint(prefix=KEY) == 7


# --- Ranges ---

STORED = [(2, "c"), (0, "a"), (1, "b")]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "stored, cached, deleted, bounds, expected",
    [
        pytest.param(STORED, [], [], (-1, 2), "a b c", id="stored"),
        pytest.param([], STORED, [], (-1, 2), "a b c", id="cached"),
        pytest.param(STORED[:2], STORED[2:], [], (-1, 2), "a b c", id="both"),
        pytest.param(
            [(2, "c"), (0, "a"), (3, "d")],
            [(1, "b"), (0, "new")],
            [],
            (-1, 3),
            "new b c d",
            id="cached-wins",
        ),
        pytest.param(STORED, [], [0], (-1, 2), "b c", id="deleted"),
        pytest.param(STORED, [(0, "new")], [0], (-1, 2), "b c", id="cached-and-deleted"),
        pytest.param(STORED, [], [], (0, 2), "b c", id="from-is-not-in"),
        pytest.param(STORED, [], [], (-1, 1), "a b", id="to-is-in"),
        pytest.param(STORED, STORED, [], (0, 1), "b", id="one"),
        pytest.param(STORED, [], [], (2, 9), "", id="none-above"),
        pytest.param(STORED, [], [], (1, 0), "", id="no-range"),
        pytest.param([], [], [], (-1, 100), "", id="empty"),
    ],
)
def test_windows_of_a_range(windowed, stored, cached, deleted, bounds, expected, backwards):
    with windowed.begin() as transaction:
        fill(transaction, stored)
        fill(transaction, stored, prefix=b"__record")
        fill(transaction, stored, prefix=b"__record__2")
    transaction = windowed.begin()
    fill(transaction, cached)
    for start in deleted:
        transaction.delete_window(start, start + 10, prefix=KEY)
    found = transaction.as_state(KEY).get_windows(*bounds, backwards=backwards)
    values = expected.split()
    assert [window[1] for window in found] == (values[::-1] if backwards else values)
    assert all(window[2] == KEY and window[0][1] == window[0][0] + 10 for window in found)


@pytest.mark.parametrize("backwards", [False, True])
def test_many_windows_of_store_and_cache_are_merged(windowed, backwards):
    count = 100
    with windowed.begin() as transaction:
        fill(transaction, [(start, start) for start in range(count)])
    transaction = windowed.begin()
    fill(transaction, [(start, -start) for start in range(0, count, 2)])
    for start in range(0, count, 4):
        transaction.delete_window(start, start + 10, prefix=KEY)
    expected = [
        ((start, start + 10), start if start % 2 else -start) for start in range(count) if start % 4
    ]
    found = ranges(transaction.get_windows(-1, count, prefix=KEY, backwards=backwards))
    assert found == (expected[::-1] if backwards else expected)
    walked = list(transaction.iter_windows(prefix=KEY, backwards=backwards))
    assert ranges(walked) == found


def test_rows_of_a_longer_key_are_not_windows_of_a_shorter(windowed):
    """Weak spot 10: the key `a`, and the key `a|` and 8 bytes, lie in one range."""
    longer = b"a|" + b"\0" * 7 + b"\5"
    with windowed.begin() as transaction:
        fill(transaction, [(5, "of the longer")], prefix=longer)
        fill(transaction, [(6, "of the shorter")], prefix=b"a")
    transaction = windowed.begin()
    found = transaction.get_windows(-1, 100, prefix=b"a")
    assert ranges(found) == [((6, 16), "of the shorter")]


# --- Expiry per key ---


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("delete", [True, False])
def test_expired_windows_are_told_once(windowed, is_flushed, delete):
    transaction = windowed.begin()
    fill(transaction, [(0, 1), (10, 2)])
    if is_flushed:
        transaction.flush()
        transaction = windowed.begin()
    fill(transaction, [(20, 3)])
    latest = transaction.get_latest_timestamp(prefix=KEY) - 10
    arguments = {"max_start_time": latest, "prefix": KEY, "delete": delete}
    assert list(transaction.expire_windows(**arguments)) == [
        ((0, 10), 1, [], KEY),
        ((10, 20), 2, [], KEY),
    ]
    assert list(transaction.expire_windows(**arguments)) == []
    transaction.flush()
    transaction = windowed.begin()
    found = [transaction.get_window(start, start + 10, prefix=KEY) for start in (0, 10, 20)]
    assert found == ([None, None, 3] if delete else [1, 2, 3])
    assert list(transaction.expire_windows(**arguments)) == []
    assert transaction.get_latest_expired(prefix=KEY) == 10


@pytest.mark.parametrize("latest, expired", [(15, [0]), (13, []), (9, []), (25, [0])])
def test_a_grace_keeps_windows(windowed, latest, expired):
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1)])
    transaction = windowed.begin()
    fill(transaction, [(latest, 2)])
    newest = transaction.get_latest_timestamp(prefix=KEY) - 10 - 5
    found = list(transaction.expire_windows(max_start_time=newest, prefix=KEY))
    assert [window[0][0] for window in found] == expired


def test_a_state_tells_its_expired_windows(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, "of another")], prefix=b"another")
        state = transaction.as_state(KEY)
        state.update_window(0, 10, value=1, timestamp_ms=8)
        state.update_window(10, 20, value=2, timestamp_ms=10)
        found = list(state.expire_windows(max_start_time=0))
        assert found == [((0, 10), 1, [], KEY)]
    assert windowed.begin().get_window(0, 10, prefix=b"another") == "of another"


def test_a_value_of_the_cache_expires_instead_of_the_stored_one(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1)])
    transaction = windowed.begin()
    fill(transaction, [(0, 3), (10, 2)])
    found = list(transaction.expire_windows(max_start_time=0, prefix=KEY))
    assert ranges(found) == [((0, 10), 3)]


def test_windows_up_to_a_start_that_expired_are_not_told_again(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1), (10, 2)])
        assert len(list(transaction.expire_windows(10, KEY))) == 2
        fill(transaction, [(5, "late"), (11, 3)])
        assert ranges(transaction.expire_windows(30, KEY)) == [((11, 21), 3)]


def test_expiry_whose_results_are_not_all_read_is_complete(windowed):
    """Weak spot 5: the mark was set first and rows were deleted when the last one was read."""
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1), (10, 2)])
    with windowed.begin() as transaction:
        next(iter(transaction.expire_windows(10, KEY)))
    transaction = windowed.begin()
    left = ranges(transaction.get_windows(-1, 100, prefix=KEY))
    again = ranges(transaction.expire_windows(10, KEY))
    assert left == again


# --- Expiry per partition ---


def test_windows_of_all_keys_expire_by_their_end(windowed):
    with windowed.begin() as transaction:
        for prefix in (b"one", b"two"):
            fill(transaction, [(0, 1), (10, 2), (20, 3)], prefix=prefix)
    with windowed.begin() as transaction:
        found = transaction.expire_all_windows(max_end_time=20, step_ms=10)
        assert sorted(found, key=lambda window: (window[3], window[0])) == [
            ((start, start + 10), value, [], prefix)
            for prefix in (b"one", b"two")
            for start, value in ((0, 1), (10, 2))
        ]
        assert list(transaction.expire_all_windows(max_end_time=20, step_ms=10)) == []
    with windowed.begin() as transaction:
        for prefix in (b"one", b"two"):
            assert ranges(transaction.get_windows(-1, 100, prefix=prefix)) == [((20, 30), 3)]
        assert transaction.get_latest_expired(prefix=b"") == 20
        found = transaction.expire_all_windows(max_end_time=35, step_ms=10)
        assert sorted(window[3] for window in found) == [b"one", b"two"]


def test_windows_of_all_keys_may_expire_and_stay(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1)])
        found = list(transaction.expire_all_windows(10, 10, delete=False))
        assert found == [((0, 10), 1, [], KEY)]
        assert transaction.get_window(0, 10, prefix=KEY) == 1


def test_windows_that_hop_expire_at_their_own_end(windowed):
    """Weak spot 2: ends were looked for at multiples of the step."""
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1), (4, 2), (8, 3)])
    found = []
    for end in (12, 16, 20):
        with windowed.begin() as transaction:
            found += ranges(transaction.expire_all_windows(max_end_time=end, step_ms=4))
    assert found == [((0, 10), 1), ((4, 14), 2), ((8, 18), 3)]


# --- Deleting up to a start ---


def test_windows_are_deleted_up_to_a_start(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(1, 1), (2, 2), (3, 3), (4, 4)])
        fill(transaction, [(1, 1)], prefix=b"another")
        transaction.delete_windows(max_start_time=2, delete_values=False, prefix=KEY)
    with windowed.begin() as transaction:
        assert ranges(transaction.get_windows(-1, 9, prefix=KEY)) == [((3, 13), 3), ((4, 14), 4)]
        transaction.as_state(KEY).delete_windows(3, delete_values=False)
        assert ranges(transaction.get_windows(-1, 9, prefix=KEY)) == [((4, 14), 4)]
        assert transaction.get_window(1, 11, prefix=b"another") == 1


@pytest.mark.parametrize("delete_values, left", [(True, [3]), (False, [1, 2, 3])])
def test_values_are_deleted_with_windows_if_asked_for(windowed, delete_values, left):
    with windowed.begin() as transaction:
        fill(transaction, [(1, None), (2, None), (3, None)])
        for id in (1, 2, 3):
            transaction.add_to_collection(id=id, value=id, prefix=KEY)
        transaction.delete_windows(max_start_time=3, delete_values=delete_values, prefix=KEY)
    assert windowed.begin().get_from_collection(0, 10, prefix=KEY) == left


# --- Collections ---


@pytest.mark.parametrize("is_flushed", [False, True])
def test_values_of_a_range_are_collected(windowed, is_flushed):
    transaction = windowed.begin()
    for id, value in ((12, "a"), (5, "b"), (12, "c"), (15, "d"), (19, "e"), (20, "f")):
        transaction.add_to_collection(id=id, value=value, prefix=KEY)
    transaction.add_to_collection(id=12, value="of another", prefix=b"another")
    if is_flushed:
        transaction.flush()
        transaction = windowed.begin()
    assert transaction.get_from_collection(start=12, end=20, prefix=KEY) == list("acde")
    assert transaction.as_state(KEY).get_from_collection(0, 12) == ["b"]
    assert transaction.get_from_collection(start=21, end=99, prefix=KEY) == []


def test_values_without_an_id_are_numbered(windowed):
    with windowed.begin() as transaction:
        first = transaction.add_to_collection(id=None, value="a", prefix=KEY)
        second = transaction.add_to_collection(id=None, value="b", prefix=KEY)
        assert second == first + 1
    with windowed.begin() as transaction:
        third = transaction.as_state(KEY).add_to_collection("c", id=None)
        assert third == second + 1
        assert transaction.get_from_collection(second, third + 1, prefix=KEY) == ["b", "c"]


def test_collected_values_are_deleted_up_to_an_id(windowed):
    with windowed.begin() as transaction:
        for id in (10, 11, 12, 13):
            transaction.add_to_collection(id=id, value=id, prefix=KEY)
    with windowed.begin() as transaction:
        transaction.delete_from_collection(end=12, prefix=KEY)
        assert transaction.get_from_collection(0, 99, prefix=KEY) == [12, 13]
    with windowed.begin() as transaction:
        transaction.as_state(KEY).delete_from_collection(13)
    assert windowed.begin().get_from_collection(0, 99, prefix=KEY) == [13]


def test_collected_values_are_deleted_between_ids(windowed):
    with windowed.begin() as transaction:
        for id in (10, 11, 12, 13):
            transaction.add_to_collection(id=id, value=id, prefix=KEY)
        transaction.delete_from_collection(start=11, end=13, prefix=KEY)
    assert windowed.begin().get_from_collection(0, 99, prefix=KEY) == [10, 13]


@pytest.mark.parametrize("delete", [True, False])
@pytest.mark.parametrize("end_inclusive, last", [(False, []), (True, [20])])
def test_expired_windows_bring_what_was_collected(windowed, delete, end_inclusive, last):
    with windowed.begin() as transaction:
        fill(transaction, [(0, None), (10, None), (20, None)])
        for id in (0, 9, 10, 15, 20):
            transaction.add_to_collection(id=id, value=id, prefix=KEY)
    with windowed.begin() as transaction:
        found = list(
            transaction.expire_windows(
                10, KEY, delete=delete, collect=True, end_inclusive=end_inclusive
            )
        )
        first = [0, 9, 10] if end_inclusive else [0, 9]
        assert found == [
            ((0, 10), None, first, KEY),
            ((10, 20), None, [10, 15, *last], KEY),
        ]
    left = windowed.begin().get_from_collection(0, 99, prefix=KEY)
    # What other windows may have stays.
    assert 20 in left
    assert (0 in left, 9 in left) == (not delete, not delete)


def test_collected_values_stay_for_windows_that_overlap(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, None), (5, None), (10, None)])
        for id in (0, 4, 5, 9, 10):
            transaction.add_to_collection(id=id, value=id, prefix=KEY)
        list(transaction.expire_windows(0, KEY, collect=True))
    with windowed.begin() as transaction:
        assert list(transaction.expire_windows(5, KEY, collect=True)) == [
            ((5, 15), None, [5, 9, 10], KEY)
        ]


def test_collected_values_go_with_the_last_window_that_has_them(windowed):
    """Weak spot 16: those of the last expired window stayed for good."""
    with windowed.begin() as transaction:
        fill(transaction, [(0, None)])
        transaction.add_to_collection(id=5, value="v", prefix=KEY)
        list(transaction.expire_windows(0, KEY, collect=True))
    assert windowed.begin().get_from_collection(0, 99, prefix=KEY) == []


def test_windows_of_all_keys_bring_what_was_collected(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, None), (10, None)])
        for id in (0, 5, 10):
            transaction.add_to_collection(id=id, value=id, prefix=KEY)
        found = list(transaction.expire_all_windows(10, 10, collect=True))
        assert found == [((0, 10), None, [0, 5], KEY)]


# --- Keys ---


def test_keys_and_prefixes_are_told(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1), (10, 1)], prefix=b"one")
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1)], prefix=b"two")
        assert sorted(transaction.keys()) == [
            b"one|" + encode_integer_pair(0, 10),
            b"one|" + encode_integer_pair(10, 20),
            b"two|" + encode_integer_pair(0, 10),
        ]
        assert sorted(transaction.iter_prefixes()) == [b"one", b"two"]


def test_a_record_key_without_windows_is_not_told(windowed):
    with windowed.begin() as transaction:
        fill(transaction, [(0, 1)])
    transaction = windowed.begin()
    transaction.delete_window(0, 10, prefix=KEY)
    assert list(transaction.keys()) == []
    assert list(transaction.iter_prefixes()) == []


@pytest.mark.parametrize("key", ["text", b"bytes", 5, None])
def test_a_record_key_is_known_from_its_prefix(windowed, key):
    """Weak spot 14: callbacks of windows with keys that are text raised TypeError."""
    transaction = windowed.begin()
    transaction.as_state(key).update_window(0, 10, value=1, timestamp_ms=1)
    ((_, _, _, prefix),) = list(transaction.expire_all_windows(10, 10))
    assert transaction.key_from_prefix(prefix, message_key=key) == key


# --- Changelog ---


def test_an_updated_window_is_two_messages(backend):
    partition = backend.partition("windowed", changelog=True)
    transaction = partition.begin()
    transaction.update_window(0, 10, value=1, timestamp_ms=2, prefix=KEY)
    transaction.prepare(processed_offsets={"topic": 1})
    found = {
        dict(message.headers())[CHANGELOG_CF_MESSAGE_HEADER]: (message.key(), message.value())
        for message in backend.kafka.messages
    }
    assert found == {
        b"default": (KEY + b"|" + encode_integer_pair(0, 10), b"1"),
        b"__latest-timestamps__": (KEY + b"|__latest_timestamp__", b"2"),
    }


def test_a_deleted_window_is_one_tombstone(backend):
    partition = backend.partition("windowed", changelog=True)
    with partition.begin() as transaction:
        fill(transaction, [(0, 1)])
    backend.kafka.log.clear()
    transaction = partition.begin()
    transaction.delete_window(0, 10, prefix=KEY)
    transaction.prepare(processed_offsets={"topic": 1})
    (message,) = backend.kafka.messages
    assert (message.key(), message.value()) == (KEY + b"|" + encode_integer_pair(0, 10), None)
