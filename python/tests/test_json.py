"""The default JSON, most of which is done in C: byte for byte what Quix Streams' dumps writes."""

import random
import string

import pytest
from quixstreams.state.exceptions import StateSerializationError
from quixstreams.utils.json import dumps, loads

from weirstreams.quix import MemoryStore

SEED = 20260913


@pytest.fixture()
def state(tmp_path):
    store = MemoryStore("default", "topic", base_dir=tmp_path / "group")
    with store.assign_partition(0).begin() as transaction:
        yield transaction.as_state(prefix=b"key")
    store.close()


def is_same(found, expected):
    """Equal, and of the same types all through; -0.0 is not 0.0."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(
            is_same(found[name], expected[name]) for name in expected
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    return repr(found) == repr(expected)


def check(state, value):
    expected = dumps(value)
    state.set("value", value)
    assert state.get_bytes("value") == expected, value
    assert is_same(state.get("value"), loads(expected)), value


PLAIN = [
    *(None, True, False, "", "text", "é", "日本", "\U0001f600", '"', "\\", "/", "\b\f\n\r\t"),
    *("\x00", "\x1f", "\x7f", "\x80", "\u2028", "a" * 600, "é" * 300, "\\u0041", "null"),
    *(0, 1, -1, 9, 10, -10, 10**17, 10**18, -(10**18), 2**63 - 1, -(2**63), 2**63, 2**64 - 1),
    *(0.0, -0.0, 1.0, -1.0, 0.1, 0.5, 1.5, 1e-3, 1.001, 0.001, 9.99e-4, 1e-5, 1e-7, 5e-324),
    *(1e14, 1e15, 1e16, 1e17, 1e21, 1e22, 1e300, 999999999999999.9, 123456789.123456),
    *(0.1 + 0.2, 1 / 3, 2 / 3, 1e15 + 0.5, 4503599627370497.5, 3.14159265358979, 2.5e-8),
    *(float("nan"), float("inf"), -float("inf")),
    *([], {}, [[]], [{}], {"a": {}}, [None], (1, 2), [1] * 100, {"a": [1, {"b": [2, "c"]}]}),
    *({"": 1}, {"é": 1}, {'"': 1}, {"a" * 30: 1}, {"a": 1, "b": 1}, {"b": 1, "a": 1}),
    *([[[[[[[[[[1]]]]]]]]]], {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_value_is_written_and_read_as_by_quix_streams(state, value):
    check(state, value)


def random_text(rng):
    letters = rng.choice((string.ascii_letters, string.printable, 'aé日\U0001f600\\"\n\x01'))
    return "".join(rng.choice(letters) for _ in range(rng.choice((0, 1, 5, 20, 40))))


def random_float(rng):
    shape = rng.randrange(4)
    if shape == 0:
        return round(rng.uniform(-1000, 1000), rng.randrange(10))
    if shape == 1:
        return float(rng.randrange(-(10**16), 10**16)) / 10 ** rng.randrange(12)
    if shape == 2:
        return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-30, 30)
    return float(rng.randrange(-1000, 1000))


def random_value(rng, depth=0):
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return rng.randrange(-(2 ** rng.randrange(64)), 2 ** rng.randrange(1, 65))
    if kind == 3:
        return random_float(rng)
    if kind in (4, 5):
        return random_text(rng)
    count = rng.choice((0, 1, 2, 3, 10))
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(count)]
    return {random_text(rng): random_value(rng, depth + 1) for _ in range(count)}


def test_random_values_are_written_and_read_as_by_quix_streams(state):
    rng = random.Random(SEED)
    for _ in range(10_000):
        check(state, random_value(rng))


def test_random_bytes_are_read_as_by_quix_streams(state):
    """What others have written may have any form, or be damaged."""
    rng = random.Random(SEED)
    for _ in range(10_000):
        text = bytearray(dumps(random_value(rng, 2)))
        for _ in range(rng.randrange(3)):
            place = rng.randrange(len(text) + 1)
            text[place : place + rng.randrange(2)] = rng.choice(
                (
                    b"",
                    b" ",
                    b"0",
                    b"-",
                    b".",
                    b"e5",
                    b",",
                    b"[",
                    b"]",
                    b"{",
                    b"}",
                    b'"',
                    b"\xff",
                    b"a",
                )
            )
        state.set_bytes("value", bytes(text))
        try:
            expected = loads(bytes(text))
        except ValueError:
            with pytest.raises(StateSerializationError):
                state.get("value")
        else:
            assert is_same(state.get("value"), expected), text


def test_keys_are_written_as_by_quix_streams(state):
    rng = random.Random(SEED)
    for number in range(1000):
        key = random_value(rng)
        state.set(key, number)
        assert state.get(dumps(key)) == number


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, "\ud800", {1: 2}, {"a": {1, 2}}, [object()], b"bytes", 1j]
)
def test_what_json_can_not_hold_raises(state, value):
    with pytest.raises(StateSerializationError):
        state.set("value", value)
