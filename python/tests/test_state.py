"""What an application's functions see of a plain store."""

import datetime

import pytest
from quixstreams.state import State
from quixstreams.state.exceptions import StateSerializationError
from quixstreams.utils.json import dumps as json_dumps

VALUES = [
    0,
    -1,
    7,
    10**17,
    10**18,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    0.0,
    -0.0,
    1.5,
    1e300,
    1e16,
    5e-324,
    True,
    False,
    None,
    "",
    "text",
    'with "quotes" and \\ and \n',
    "é",
    "\x7f",
    "日本語 🎉",
    "a" * 253,
    "a" * 254,
    "a" * 255,
    "a" * 10_000,
    [],
    [1, [2, {"a": None}]],
    {},
    {"b": 1, "a": {"x": [True, 1.25]}},
]


@pytest.fixture()
def state(partition):
    with partition.begin() as transaction:
        yield transaction.as_state(prefix=b"key")


def test_a_state_is_what_quix_streams_calls_one(state):
    assert isinstance(state, State)


KEYS = ["name", "é", 'a"b', 5, -1, 1.5, True, None, b"raw", b""]


def test_values_come_back_before_and_after_the_flush(partition):
    def check(state):
        for number, value in enumerate(VALUES):
            found = state.get(number, default="absent")
            assert found == value
            assert type(found) is type(value)

    with partition.begin() as transaction:
        state = transaction.as_state(prefix=b"key")
        for number, value in enumerate(VALUES):
            state.set(number, value)
        check(state)
    check(partition.begin().as_state(prefix=b"key"))


def test_bytes_in_the_database_are_those_of_orjson(partition):
    for value in VALUES:
        with partition.begin() as transaction:
            for key in KEYS:
                transaction.as_state(prefix=b"key").set(key, value)
        for key in KEYS:
            stored = key if isinstance(key, bytes) else json_dumps(key)
            assert partition.get(b"key|" + stored) == json_dumps(value)


def test_an_absent_key_gives_the_default(state):
    assert state.get("absent") is None
    assert state.get("absent", 5) == 5
    assert state.get(key="absent", default=[]) == []
    assert state.get_bytes("absent") is None
    assert state.get_bytes("absent", default=b"x") == b"x"
    assert not state.exists("absent")


def test_a_stored_null_is_not_absent(state):
    state.set("name", None)
    assert state.get("name", default="other") is None
    assert state.exists("name")


def test_a_deleted_key_is_absent_and_may_be_set_again(state):
    state.set("name", 1)
    assert state.delete("name") is None
    assert state.get("name") is None
    assert not state.exists("name")
    state.set("name", 2)
    assert state.get("name") == 2


def test_deleting_what_is_not_there_is_no_error(state):
    state.delete("absent")
    assert not state.exists("absent")


def test_bytes_are_stored_as_they_are(partition):
    with partition.begin() as transaction:
        state = transaction.as_state(prefix=b"key")
        state.set_bytes("name", b"\x00\xffraw")
        assert state.get_bytes("name") == b"\x00\xffraw"
    assert partition.get(b'key|"name"') == b"\x00\xffraw"


def test_keys_of_one_record_key_are_not_those_of_another(partition):
    with partition.begin() as transaction:
        transaction.as_state(prefix=b"one").set("name", 1)
        assert transaction.as_state(prefix=b"two").get("name") is None
        assert transaction.as_state(prefix=b"one").get("name") == 1


@pytest.mark.parametrize(
    "prefix, stored",
    [(b"key", b'key|"n"'), ("key", b'"key"|"n"'), (5, b'5|"n"'), (b"", b'"n"')],
)
def test_a_prefix_is_bytes_or_dumped(partition, prefix, stored):
    with partition.begin() as transaction:
        transaction.as_state(prefix=prefix).set("n", 1)
    assert partition.get(stored) == b"1"


@pytest.mark.parametrize("value", [object(), {1, 2}, datetime.datetime.now(), {1: 2}])
def test_a_value_that_json_has_not_fails_the_transaction(partition, value):
    transaction = partition.begin()
    with pytest.raises(StateSerializationError):
        transaction.as_state(prefix=b"key").set("name", value)
    assert transaction.failed


@pytest.mark.parametrize("value", ["text", 1, None, bytearray(b"x")])
def test_set_bytes_takes_bytes_alone(partition, value):
    transaction = partition.begin()
    with pytest.raises(StateSerializationError):
        transaction.as_state(prefix=b"key").set_bytes("name", value)
    assert transaction.failed


def test_a_key_that_json_has_not_fails_a_change_but_not_a_read(partition):
    transaction = partition.begin()
    with pytest.raises(StateSerializationError):
        transaction.as_state(prefix=b"key").get(object())
    assert not transaction.failed
    with pytest.raises(StateSerializationError):
        transaction.as_state(prefix=b"key").set(object(), 1)
    assert transaction.failed


def test_bytes_that_are_no_json_are_an_error_of_the_read(partition):
    with partition.begin() as transaction:
        state = transaction.as_state(prefix=b"key")
        state.set_bytes("name", b"{no json")
        with pytest.raises(StateSerializationError):
            state.get("name")
        assert not transaction.failed


@pytest.mark.parametrize(
    "stored, value",
    [(b"-0", None), (b"01", None), (b"-", None), (b'"a', None), (b'"a"b"', None), (b"1 ", 1)],
)
def test_shortcuts_read_what_orjson_reads(partition, stored, value):
    import orjson

    with partition.begin() as transaction:
        state = transaction.as_state(prefix=b"key")
        state.set_bytes("name", stored)
        try:
            expected = orjson.loads(stored)
        except orjson.JSONDecodeError:
            with pytest.raises(StateSerializationError):
                state.get("name")
        else:
            assert state.get("name") == expected


def test_own_dumps_and_loads_are_used_for_keys_and_values(stores):
    store = stores.plain(
        dumps=lambda value: repr(value).encode(), loads=lambda data: eval(data.decode())
    )
    partition = store.assign_partition(0)
    with partition.begin() as transaction:
        state = transaction.as_state(prefix="k")
        state.set("a", {1, 2})
        assert state.get("a") == {1, 2}
    assert partition.get(b"'k'|'a'") == b"{1, 2}"
