"""Partitions: what is committed, recovery from changelog messages, reopening, locks."""

import subprocess
import sys
import threading
import time

import pytest
from quixstreams.state.rocksdb import OpenDeadline
from quixstreams.state.rocksdb.exceptions import RocksDBOpenAborted

from weirstreams.quix import RocksDBStore, StateLockedError
from weirstreams.quix.options import StoreOptions


def recover(partition, records):
    for offset, (key, value, cf_name) in records:
        partition.recover_from_changelog_message(
            key=key, value=value, cf_name=cf_name, offset=offset
        )


@pytest.fixture()
def recovering(stores):
    return stores.plain(changelog=True).assign_partition(0)


def test_changelog_messages_are_applied(recovering):
    recover(
        recovering,
        [
            (0, (b"a", b"1", "default")),
            (1, (b"b", b"2", "default")),
            (2, (b"a", b"3", "default")),
            (5, (b"b", None, "default")),
            (6, (b"a", b"4", "other")),
        ],
    )
    assert recovering.get_changelog_offset() == 6
    recovering.complete_recovery()
    assert recovering.get_changelog_offset() == 6
    assert recovering.get(b"a") == b"3"
    assert not recovering.exists(b"b")
    assert recovering.get(b"a", cf_name="other") == b"4"


def test_what_was_recovered_is_seen_at_once(recovering):
    recover(recovering, [(3, (b'k|"a"', b"1", "default"))])
    assert recovering.begin().as_state(prefix=b"k").get("a") == 1
    recover(recovering, [(4, (b'k|"a"', b"2", "default"))])
    assert recovering.begin().as_state(prefix=b"k").get("a") == 2


def test_an_offset_alone_is_kept(recovering):
    recovering.write_changelog_offset(41)
    recover(recovering, [(42, (b"a", b"1", "default"))])
    recovering.write_changelog_offset(43)
    recovering.complete_recovery()
    assert recovering.get_changelog_offset() == 43
    assert recovering.get(b"a") == b"1"


def test_recovery_is_kept_when_the_partition_is_closed(durable_stores):
    store = durable_stores.plain(changelog=True)
    recover(store.assign_partition(0), [(7, (b"a", b"1", "default"))])
    store.revoke_partition(0)
    again = store.assign_partition(0)
    assert again.get(b"a") == b"1"
    assert again.get_changelog_offset() == 7


def test_state_is_there_after_reopening(durable_stores):
    store = durable_stores.plain()
    with store.assign_partition(0).begin() as transaction:
        transaction.set("a", 1, prefix=b"key")
    with store.assign_partition(1).begin() as transaction:
        transaction.set("a", 2, prefix=b"key")
    store.close()
    again = durable_stores.plain()
    for number in (0, 1):
        transaction = again.assign_partition(number).begin()
        assert transaction.get("a", prefix=b"key") == number + 1


def test_a_partition_is_assigned_once(stores):
    store = stores.plain()
    assert store.assign_partition(0) is store.assign_partition(0)
    assert set(store.partitions) == {0}
    store.revoke_partition(0)
    store.revoke_partition(0)
    assert store.partitions == {}


def test_a_partition_is_destroyed_with_its_data(durable_stores):
    store = durable_stores.plain()
    with store.assign_partition(0).begin() as transaction:
        transaction.set("a", 1, prefix=b"key")
    store.revoke_partition(0)
    assert store.destroy_partition(0)
    assert not store.destroy_partition(0)
    assert store.assign_partition(0).begin().get("a", prefix=b"key") is None


def test_a_store_without_a_stream_has_its_folder_too(stores):
    partition = stores.plain(stream_id=None).assign_partition(3)
    with partition.begin() as transaction:
        transaction.set("a", 1, prefix=b"key")
    assert partition.get(b'key|"a"') == b"1"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "lower, upper, expected",
    [
        (b"", None, [b"a", b"b", b"c"]),
        (b"b", None, [b"b", b"c"]),
        (b"a", b"c", [b"a", b"b"]),
        (b"b", b"b", []),
        (b"c", b"a", []),
    ],
)
def test_committed_items_come_in_order(stores, lower, upper, expected, backwards):
    if stores.is_reference and upper is None:
        pytest.skip("the reference always has an upper bound")
    partition = stores.plain().assign_partition(0)
    with partition.begin() as transaction:
        for key in (b"c", b"a", b"b"):
            transaction.set_bytes(key, b"v" + key, prefix=b"")
    items = list(partition.iter_items(lower, upper, backwards))
    assert items == [(k, b"v" + k) for k in (reversed(expected) if backwards else expected)]


def test_items_of_a_transaction_have_its_changes(weir_partition):
    with weir_partition.begin() as transaction:
        for key in (b"a", b"b", b"c"):
            transaction.set_bytes(key, b"old", prefix=b"")
    transaction = weir_partition.begin()
    transaction.set_bytes(b"bb", b"new", prefix=b"")
    transaction.delete(b"a", prefix=b"")
    items = transaction.items()
    transaction.set_bytes(b"z", b"later", prefix=b"")
    assert list(items) == [(b"b", b"old"), (b"bb", b"new"), (b"c", b"old")]
    assert list(transaction.items(b"b", b"c", True)) == [(b"bb", b"new"), (b"b", b"old")]


def test_figures_tell_what_the_cache_answered(weir_partition):
    with weir_partition.begin() as transaction:
        transaction.set("a", 1, prefix=b"key")
    transaction = weir_partition.begin()
    for _ in range(5):
        transaction.get("a", prefix=b"key")
    figures = weir_partition.native.stats()
    assert figures["cache_hits"] == 5
    assert figures["backend_gets"] == 0
    assert (figures["flushes"], figures["written"]) == (1, 1)


# --- Locks ---

HOLDER = """
import sys
from weirstreams.quix import RocksDBStore
store = RocksDBStore("default", "topic", sys.argv[1])
store.assign_partition(0)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture()
def held_folder(tmp_path):
    """A folder whose state another process has open, until the test closes its input."""
    folder = str(tmp_path / "state" / "group")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert holder.stdout.readline() == b"open\n"
    yield folder, holder
    holder.stdin.close()
    holder.wait()
    holder.stdout.close()


def locked_store(folder, **arguments):
    options = StoreOptions(open_max_retries=1000, open_retry_backoff=0.02)
    arguments = {"options": options, **arguments}
    return RocksDBStore("default", "topic", folder, **arguments)


def test_another_owner_is_told_with_its_pid(held_folder):
    folder, holder = held_folder
    store = locked_store(folder, options=StoreOptions(open_max_retries=0))
    with pytest.raises(StateLockedError, match=str(holder.pid)) as raised:
        store.assign_partition(0)
    assert raised.value.status == "LOCKED"


def test_retries_end(held_folder):
    store = locked_store(
        held_folder[0], options=StoreOptions(open_max_retries=3, open_retry_backoff=0.01)
    )
    with pytest.raises(StateLockedError):
        store.assign_partition(0)


def test_waiting_ends_with_success_when_the_owner_closes(held_folder):
    folder, holder = held_folder
    threading.Timer(0.1, holder.kill).start()
    assert locked_store(folder).assign_partition(0).get(b"a") is not None


def test_a_stop_event_ends_the_wait(held_folder):
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    store = locked_store(
        held_folder[0],
        stop_event=stop,
        options=StoreOptions(open_max_retries=10, open_retry_backoff=60),
    )
    began = time.monotonic()
    with pytest.raises(RocksDBOpenAborted):
        store.assign_partition(0)
    assert time.monotonic() - began < 10


def test_an_open_deadline_ends_the_wait(held_folder):
    deadline = OpenDeadline()
    deadline.arm(0.2)
    store = locked_store(held_folder[0], open_deadline=deadline)
    began = time.monotonic()
    with pytest.raises(StateLockedError):
        store.assign_partition(0)
    assert time.monotonic() - began < 10
