"""Partitions: opening, closing, locks, what is committed, stores of partitions."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from quixstreams.state.base import PartitionTransactionCache
from quixstreams.state.exceptions import PartitionNotAssignedError
from quixstreams.state.metadata import Marker
from quixstreams.state.rocksdb import OpenDeadline
from quixstreams.state.rocksdb.exceptions import RocksDBOpenAborted

KEY = b"__record__"
LOCKED = "(?i)lock|in use"


def test_a_partition_opens_and_closes(backend):
    store = backend.store()
    store.assign_partition(0)
    assert list(store.partitions) == [0]
    store.revoke_partition(0)
    assert store.partitions == {}


def test_a_closed_partition_can_not_be_read(backend):
    store = backend.store()
    partition = store.assign_partition(0)
    store.revoke_partition(0)
    with pytest.raises(Exception):
        partition.get(b"k")


def test_an_assigned_partition_stays_the_same(backend):
    store = backend.store()
    assert store.assign_partition(0) is store.assign_partition(0)


def test_a_partition_that_is_not_assigned_may_be_revoked(backend):
    backend.store().revoke_partition(5)


def test_a_partition_that_is_not_assigned_has_no_transaction(backend):
    with pytest.raises(PartitionNotAssignedError):
        backend.store().start_partition_transaction(0)


def test_partitions_of_a_store_share_nothing(backend):
    store = backend.store()
    for number in (0, 1):
        with store.assign_partition(number).begin() as transaction:
            transaction.set("k", number, prefix=KEY)
    for number in (0, 1):
        with store.start_partition_transaction(number) as transaction:
            assert transaction.get("k", prefix=KEY) == number


def test_stores_of_one_topic_share_nothing(backend):
    for name in ("one", "two"):
        with backend.partition(name=name).begin() as transaction:
            assert not transaction.exists("k", prefix=KEY)
            transaction.set("k", name, prefix=KEY)


def test_closing_a_store_revokes_its_partitions(backend):
    store = backend.store()
    store.assign_partition(0)
    store.assign_partition(1)
    store.close()
    assert store.partitions == {}


@pytest.mark.parametrize("kind", ["plain", "windowed", "timestamped"])
def test_state_outlives_its_partition(durable, kind):
    store = durable.store(kind)
    with store.assign_partition(0).begin() as transaction:
        transaction.set_bytes(b"k", b"v", prefix=KEY)
    store.revoke_partition(0)
    with store.assign_partition(0).begin() as transaction:
        assert transaction.get_bytes(b"k", prefix=KEY) == b"v"


def test_state_is_in_the_folder_of_store_topic_and_partition(durable):
    partition = durable.store(name="mine", stream_id="topic").assign_partition(3)
    assert Path(partition.path) == durable.folder / "mine" / "topic" / "3"
    assert Path(partition.path).is_dir()


def test_a_destroyed_partition_starts_empty(durable):
    store = durable.store()
    with store.assign_partition(0).begin() as transaction:
        transaction.set("k", "v", prefix=KEY)
    store.revoke_partition(0)
    assert store.destroy_partition(0)
    with store.assign_partition(0).begin() as transaction:
        assert transaction.get("k", prefix=KEY) is None


def test_what_was_never_there_is_not_destroyed(backend):
    assert not backend.store().destroy_partition(7)


def test_what_is_committed_is_read_by_its_bytes(partition):
    with partition.begin() as transaction:
        transaction.set_bytes(b"k", b"v", prefix=b"")
    assert partition.get(b"k") == b"v"
    assert partition.exists(b"k")
    assert partition.get(b"absent") is Marker.UNDEFINED
    assert not partition.exists(b"absent")


def test_a_cache_of_changes_is_written_at_once(partition):
    with partition.begin() as transaction:
        transaction.set_bytes(b"old", b"1", prefix=b"")
    cache = PartitionTransactionCache()
    cache.set(key=b"k", value=b"v", prefix=b"", cf_name="default")
    cache.set(key=b"k", value=b"w", prefix=b"", cf_name="other")
    cache.delete(key=b"old", prefix=b"", cf_name="default")
    partition.write(cache=cache, changelog_offset=5)
    assert partition.get(b"k") == b"v"
    assert partition.get(b"k", cf_name="other") == b"w"
    assert not partition.exists(b"old")


ITEMS = [(b"a", b"1"), (b"ab", b"2"), (b"b", b"3"), (b"b\xff", b"4"), (b"c", b"5")]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "lower, upper, first, last",
    [
        (b"", b"c", 0, 4),
        (b"ab", b"b", 1, 2),
        (b"aa", b"bb", 1, 3),
        (b"d", b"e", 5, 5),
        (b"b", b"b", 2, 2),
        (b"a", b"z", 0, 5),
    ],
)
def test_a_range_has_its_lower_bound_and_not_its_upper(
    partition, lower, upper, first, last, backwards
):
    with partition.begin() as transaction:
        for key, value in ITEMS:
            transaction.set_bytes(key, value, prefix=b"")
    found = list(partition.iter_items(lower, upper, backwards))
    expected = ITEMS[first:last]
    assert found == (expected[::-1] if backwards else expected)


@pytest.mark.parametrize("lower, first", [(b"", 0), (b"c", 4), (b"d", 5)])
def test_a_range_may_be_open_above(partition, lower, first):
    with partition.begin() as transaction:
        for key, value in ITEMS:
            transaction.set_bytes(key, value, prefix=b"")
    assert list(partition.iter_items(lower, None)) == ITEMS[first:]


def test_a_backward_range_may_be_open_above(partition):
    with partition.begin() as transaction:
        for key, value in ITEMS:
            transaction.set_bytes(key, value, prefix=b"")
    assert list(partition.iter_items(b"ab", None, True)) == ITEMS[:0:-1]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_range_starts_where_it_should_when_bounds_are_among_others(partition, backwards):
    """A backward walk must not start at the last key of the database."""
    with partition.begin() as transaction:
        for number in range(50):
            transaction.set_bytes(b"k%02d" % number, b"%d" % number, prefix=b"")
    found = list(partition.iter_items(b"k10", b"k13", backwards))
    expected = [(b"k%02d" % number, b"%d" % number) for number in range(10, 13)]
    assert found == (expected[::-1] if backwards else expected)


# --- Locks ---


@pytest.fixture()
def held(durable):
    """A store whose partition 0 another store has open, and the other store."""
    holder = durable.store()
    holder.assign_partition(0)
    return durable, holder


def test_a_locked_partition_is_not_opened_without_retries(held):
    durable, _ = held
    with pytest.raises(Exception, match=LOCKED):
        durable.store(options={"open_max_retries": 0}).assign_partition(0)


def test_retries_of_a_locked_partition_end(held):
    durable, _ = held
    started = time.monotonic()
    with pytest.raises(Exception, match=LOCKED):
        durable.store(options={"open_max_retries": 3, "open_retry_backoff": 0.05}).assign_partition(
            0
        )
    assert time.monotonic() - started >= 0.1


def test_a_partition_opens_once_its_lock_is_released(held):
    durable, holder = held
    waiting = durable.store(options={"open_max_retries": 200, "open_retry_backoff": 0.05})
    releasing = threading.Timer(0.15, holder.revoke_partition, (0,))
    releasing.start()
    waiting.assign_partition(0)
    releasing.join()


def test_a_stop_event_ends_the_wait_for_a_lock(held):
    durable, _ = held
    stop = threading.Event()
    stop.set()
    waiting = durable.store(
        options={"open_max_retries": 100, "open_retry_backoff": 30.0}, stop_event=stop
    )
    started = time.monotonic()
    with pytest.raises(RocksDBOpenAborted):
        waiting.assign_partition(0)
    assert time.monotonic() - started < 20


def test_an_open_deadline_ends_the_wait_for_a_lock(held):
    durable, _ = held
    deadline = OpenDeadline()
    deadline.arm(0.0)
    waiting = durable.store(
        options={"open_max_retries": 100, "open_retry_backoff": 30.0},
        open_deadline=deadline,
    )
    started = time.monotonic()
    with pytest.raises(Exception, match=LOCKED):
        waiting.assign_partition(0)
    assert time.monotonic() - started < 20


_OPEN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from harness import Backend
backend = Backend(sys.argv[2], Path(sys.argv[3]))
partition = backend.partition()
with partition.begin() as transaction:
    transaction.set("k", "of the other process", prefix=b"__record__")
print("open", flush=True)
sys.stdin.read()
"""


def test_what_another_process_holds_opens_when_that_process_is_dead(durable):
    """Even if it was killed: nothing of it stays locked, and what it committed is there."""
    folder = durable.folder.parent.parent
    command = [sys.executable, "-c", _OPEN, str(Path(__file__).parent), durable.name, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout.readline() == "open\n"
            with pytest.raises(Exception, match=LOCKED):
                durable.partition()
        finally:
            other.kill()
    partition = durable.partition(options={"open_max_retries": 20})
    assert partition.begin().get("k", prefix=KEY) == "of the other process"
