"""Wrong use: an exception of the right type, and never a crash of the interpreter."""

import gc
import os
import pickle
import sys
import threading
import weakref

import pytest
from quixstreams.state.exceptions import StateError, StateSerializationError

from weirstreams import WeirError, _native
from weirstreams.quix import RocksDBStore, StateClosedError
from weirstreams.quix.options import StoreOptions


def test_a_closed_partition_raises(weir_partition):
    transaction = weir_partition.begin()
    state = transaction.as_state(prefix=b"key")
    items = transaction.items()
    committed = weir_partition.iter_items()
    weir_partition.close()
    weir_partition.close()
    for call in (
        lambda: weir_partition.get(b"a"),
        lambda: weir_partition.begin(),
        lambda: weir_partition.iter_items(),
        lambda: weir_partition.get_changelog_offset(),
        lambda: weir_partition.native.path,
        lambda: transaction.get("a", prefix=b"key"),
        lambda: transaction.set("a", 1, prefix=b"key"),
        lambda: transaction.prepare(),
        lambda: transaction.flush(),
        lambda: state.get("a"),
        lambda: state.set("a", 1),
        lambda: state.exists("a"),
        lambda: next(items),
        lambda: next(committed),
    ):
        with pytest.raises(StateClosedError):
            call()
    assert weir_partition.native.closed
    assert transaction.failed


def test_objects_may_go_in_any_order(weir_partition):
    for order in range(6):
        transaction = weir_partition.begin()
        transaction.set("a", order, prefix=b"key")
        objects = [transaction, transaction.items(), transaction.as_state(prefix=b"k")]
        del transaction
        if order == 5:
            weir_partition.close()
        while objects:
            objects.pop(order % len(objects))
            gc.collect()


def test_an_iterator_ends_with_its_transaction(weir_partition):
    transaction = weir_partition.begin()
    transaction.set("a", 1, prefix=b"key")
    items = transaction.items()
    transaction.flush()
    with pytest.raises(StateError):
        next(items)


def test_exceptions_of_dumps_and_loads_are_the_cause(weir_stores):
    class Broken(Exception):
        pass

    def fail(value):
        raise Broken(value)

    partition = weir_stores.plain(dumps=fail).assign_partition(0)
    transaction = partition.begin()
    with pytest.raises(StateSerializationError) as raised:
        transaction.as_state(prefix=b"key").set(b"name", 1)
    assert isinstance(raised.value.__cause__, Broken)
    assert transaction.failed

    partition = weir_stores.plain(name="other", loads=fail).assign_partition(0)
    transaction = partition.begin()
    state = transaction.as_state(prefix=b"key")
    state.set(b"name", 1)
    with pytest.raises(StateSerializationError) as raised:
        state.get(b"name")
    assert isinstance(raised.value.__cause__, Broken)
    assert not transaction.failed


def test_a_value_that_cannot_be_pickled_is_told_by_its_exception(weir_stores):
    partition = weir_stores.plain(dumps=pickle.dumps, loads=pickle.loads).assign_partition(0)
    state = partition.begin().as_state(prefix=b"key")
    state.set("fits", {1, 2})
    assert state.get("fits") == {1, 2}
    with pytest.raises(StateSerializationError) as raised:
        state.set("does not", threading.Lock())
    assert isinstance(raised.value.__cause__, TypeError)
    assert "lock" in str(raised.value.__cause__)


def test_an_interrupt_in_dumps_stays_an_interrupt(weir_stores):
    def interrupt(value):
        raise KeyboardInterrupt

    transaction = weir_stores.plain(dumps=interrupt).assign_partition(0).begin()
    with pytest.raises(KeyboardInterrupt):
        transaction.set(b"name", 1, prefix=b"key")
    assert transaction.failed


@pytest.mark.parametrize("result", ["text", None, 5, bytearray(b"x")])
def test_dumps_must_give_bytes(weir_stores, result):
    transaction = weir_stores.plain(dumps=lambda value: result).assign_partition(0).begin()
    with pytest.raises(StateSerializationError):
        transaction.set(b"name", 1, prefix=b"key")


def test_dumps_and_loads_may_use_the_state(weir_stores):
    seen = []

    def dumps(value):
        state.set_bytes(b"inner", b"1")
        return b"outer"

    def loads(data):
        seen.append(state.get_bytes(b"inner"))
        partition.close()
        return data

    partition = weir_stores.plain(dumps=dumps, loads=loads).assign_partition(0)
    state = partition.begin().as_state(prefix=b"key")
    state.set(b"name", "x")
    assert state.get(b"name") == b"outer"
    assert seen == [b"1"]


@pytest.mark.parametrize("ttl", [5, "1h", object()])
def test_a_ttl_that_is_no_timedelta_is_refused(weir_partition, ttl):
    transaction = weir_partition.begin()
    with pytest.raises((TypeError, AttributeError, ValueError)):
        transaction.as_state(prefix=b"key", timestamp=1).set("a", 1, ttl=ttl)
    assert transaction.failed


@pytest.mark.parametrize(
    "call",
    [
        lambda p, t, s: p.native.get("text"),
        lambda p, t, s: p.native.items(5),
        lambda p, t, s: p.native.push("text", b"", "default", 1),
        lambda p, t, s: p.native.push(b"a", "text", "default", 1),
        lambda p, t, s: p.native.push(b"a", b"", "default", -1),
        lambda p, t, s: t.get("a"),
        lambda p, t, s: t.get("a", "text"),
        lambda p, t, s: t.get("a", b"k", cf_name=5),
        lambda p, t, s: t.get("a", b"k", unknown=5),
        lambda p, t, s: t.get("a", b"k", prefix=b"k"),
        lambda p, t, s: t.set("a", 1),
        lambda p, t, s: t.prepare(processed_offsets=5),
        lambda p, t, s: s.get(),
        lambda p, t, s: s.get("a", 1, 2, 3, 4),
        lambda p, t, s: s.set("a"),
        lambda p, t, s: _native.Transaction(None, None, None),
        lambda p, t, s: _native.Transaction(p.native, None, None, None, int),
        lambda p, t, s: _native.State(5),
        lambda p, t, s: type(t.items())(),
        lambda p, t, s: _native.Partition(),
        lambda p, t, s: _native.configure(errors=5),
        lambda p, t, s: _native.set_log_level(99),
        lambda p, t, s: t.__init__(p),
    ],
)
def test_arguments_of_wrong_types_are_refused(weir_stores, call):
    partition = weir_stores.plain(changelog=True).assign_partition(0)
    transaction = partition.begin()
    state = transaction.as_state(prefix=b"key")
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        call(partition, transaction, state)


def test_a_transaction_without_init_raises():
    transaction = _native.Transaction.__new__(_native.Transaction)
    for call in (
        lambda: transaction.get(b"a", prefix=b""),
        lambda: transaction.set_bytes(b"a", b"", prefix=b""),
        lambda: transaction.flush(),
        lambda: transaction.as_state(),
        lambda: _native.State(transaction),
    ):
        with pytest.raises((WeirError, TypeError)):
            call()
    assert transaction.failed and not transaction.changed


def test_recovery_without_a_changelog_is_refused(weir_partition):
    with pytest.raises(StateError, match="no changelog"):
        weir_partition.recover_from_changelog_message(b"a", b"1", "default", 1)


def test_recovery_while_a_transaction_is_open_is_refused(weir_stores):
    partition = weir_stores.plain(changelog=True).assign_partition(0)
    transaction = partition.begin()
    partition.recover_from_changelog_message(b"a", b"1", "default", 1)
    with pytest.raises(StateError):
        partition.complete_recovery()
    del transaction


def test_a_key_that_is_too_large_fails_the_transaction(weir_partition):
    transaction = weir_partition.begin()
    with pytest.raises(StateError) as raised:
        transaction.set(b"x" * 70_000, 1, prefix=b"key")
    assert raised.value.status == "TOO_LARGE"
    assert transaction.failed


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"name": "a/b"}, "store"),
        ({"backend": "rocksdb", "options": StoreOptions(backend=(("no_such", "1"),))}, "no_such"),
        (
            {"options": StoreOptions(backend=(("write_buffer_size", "-1"),))},
            "write_buffer_size",
        ),
        ({"options": StoreOptions(backend=(("durability", "flushed"),))}, "durability"),
    ],
)
def test_options_that_are_wrong_are_named(tmp_path, arguments, text):
    given = {"name": "default", "stream_id": "topic", "base_dir": tmp_path / "g", **arguments}
    store = RocksDBStore(**given)
    with pytest.raises(ValueError, match=text):
        store.assign_partition(0)


def test_a_folder_of_another_backend_is_refused(tmp_path):
    from weirstreams.quix.stores import WeirStore

    folder = tmp_path / "g"
    store = RocksDBStore("default", "topic", folder)
    store.assign_partition(0)
    store.close()
    try:
        other = WeirStore("default", "topic", folder, backend="lmdb")
    except WeirError:
        pytest.skip("LMDB was not built")
    with pytest.raises(StateError) as raised:
        other.assign_partition(0)
    assert raised.value.status == "WRONG_BACKEND"


def test_an_unknown_backend_is_told_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(WeirError, match="no_such"):
        RocksDBStore("default", "topic", tmp_path, backend="no_such")


# --- Threads and processes ---


def test_another_thread_at_the_same_time_is_refused(weir_stores):
    inside, leave = threading.Event(), threading.Event()

    class SlowProducer:
        changelog_name, partition = "changelog", 0

        def produce(self, **_):
            inside.set()
            leave.wait(10)

    partition = weir_stores.plain(changelog=True).assign_partition(0)
    transaction = _native.Transaction(
        partition.native, partition.dumps, partition.loads, SlowProducer()
    )
    transaction.set_bytes(b"a", b"1", prefix=b"")
    other = partition.begin()
    other.set_bytes(b"b", b"1", prefix=b"")
    left = [other.items(), partition.iter_items(), other, partition.begin()]
    assert next(left[0]) == (b"b", b"1")
    thread = threading.Thread(target=lambda: transaction.prepare_changes(None, b"null"))
    thread.start()
    assert inside.wait(10)
    try:
        for call in (lambda: partition.get(b"a"), lambda: partition.close()):
            with pytest.raises(WeirError, match="another thread"):
                call()
        # What ends meanwhile is released when the other thread is done.
        del other
        left.clear()
        gc.collect()
    finally:
        leave.set()
        thread.join()
    assert transaction.prepared
    transaction.flush(1)
    assert partition.get(b"a") == b"1"


@pytest.fixture()
def patient_threads():
    """No thread takes the interpreter lock from one that does not give it up."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(30)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    "kind, class_, read",
    [
        (_native.PLAIN, _native.Transaction, lambda t: t.get("a", b"key")),
        (_native.PLAIN, _native.Transaction, lambda t: list(t.items())),
        (_native.WINDOWED, _native.WindowedTransaction, lambda t: t.get_window(0, 9, b"key")),
        (_native.TIMESTAMPED, _native.TimestampedTransaction, lambda t: t.get_latest(5, b"key")),
    ],
)
def test_a_read_that_waits_lets_other_threads_run(tmp_path, patient_threads, kind, class_, read):
    delays = {"op": "any", "error": "none", "times": "0", "delay_ms": "20"}
    options = {f"fault.{name}": value for name, value in delays.items()}

    def begin():
        partition = _native.Partition(
            str(tmp_path), "group", "store", "topic", 0, "fault:rocksdb", options, None, kind, 1000
        )
        return partition, class_(partition, lambda value: b"key", lambda data: data)

    # What begins empty is known without the backend.
    partition, transaction = begin()
    transaction.set_bytes(b"other", b"1", prefix=b"")
    transaction.flush()
    partition.close()
    partition, transaction = begin()
    turns, done = [], threading.Event()

    def take_turns():
        while not done.wait(0.001):
            turns.append(None)

    thread = threading.Thread(target=take_turns)
    thread.start()
    before = len(turns)
    read(transaction)
    after = len(turns)
    done.set()
    thread.join()
    assert after > before
    partition.close()


def test_threads_may_take_turns(weir_partition):
    def work(number):
        with weir_partition.begin() as transaction:
            transaction.set("a", number, prefix=b"key")

    for number in range(10):
        thread = threading.Thread(target=work, args=(number,))
        thread.start()
        thread.join()
    assert weir_partition.begin().get("a", prefix=b"key") == 9


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_may_not_use_what_was_open(weir_partition):
    transaction = weir_partition.begin()
    transaction.set("a", 1, prefix=b"key")
    items = transaction.items()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            refused = 0
            for call in (
                lambda: weir_partition.get(b"a"),
                lambda: weir_partition.begin(),
                lambda: transaction.get("a", prefix=b"key"),
                lambda: transaction.flush(),
                lambda: next(items),
            ):
                try:
                    call()
                except WeirError as exc:
                    refused += "forked" in str(exc)
            assert transaction.failed and not transaction.changed
            weir_partition.close()
            del items, transaction
            gc.collect()
            code = 0 if refused == 5 else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    del items
    transaction.flush()
    assert weir_partition.begin().get("a", prefix=b"key") == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_opens_stores_of_its_own_or_is_told(weir_stores):
    weir_stores.plain(name="parents").assign_partition(0)
    reader = _native.ChangelogReader("127.0.0.1:1", "group", {})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store = weir_stores.plain(name="childs", changelog=True)
            try:
                partition = store.assign_partition(0)
                assert weir_stores.backend != "slatedb"
                partition.recover_from_changelog_message(b"a", b"1", "default", 3)
                assert partition.get(b"a") == b"1"
                with pytest.raises(WeirError, match="forked"):
                    partition.native.recover_begin(reader, "changelog", 0, 0, 10, {})
            except WeirError as exc:
                # Its threads stayed with the parent.
                assert weir_stores.backend == "slatedb" and "forked" in str(exc)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


# --- References ---


def test_objects_are_freed_when_nothing_refers_to_them(weir_stores):
    partition = weir_stores.plain().assign_partition(0)
    transaction = partition.begin()
    state = transaction.as_state(prefix=b"key")
    gone = weakref.ref(transaction)
    del transaction
    gc.collect()
    # A state keeps its transaction.
    assert gone() is not None
    del state
    gc.collect()
    assert gone() is None


def test_cycles_through_dumps_are_collected(weir_stores):
    holder = {}

    def dumps(value):
        return holder["transaction"] and b"1"

    partition = weir_stores.plain(dumps=dumps).assign_partition(0)
    native = partition.native
    holder["transaction"] = _native.Transaction(native, dumps, dumps, holder)
    gone = weakref.ref(dumps)
    weir_stores.close()
    weir_stores._open.clear()
    del partition, dumps, holder, native
    gc.collect()
    assert gone() is None


def test_references_do_not_grow(weir_partition):
    key, value, prefix = b"some key", {"a": [1, 2]}, b"prefix"
    missing = object()
    counted = (key, value, prefix, missing, weir_partition.dumps, weir_partition.native)

    def work():
        with weir_partition.begin() as transaction:
            state = transaction.as_state(prefix=prefix)
            state.set(key, value)
            state.get(key, missing)
            state.get(b"absent", missing)
            state.exists(key)
            state.delete(b"absent")
            list(transaction.items())
            for bad in (object(), {1}):
                try:
                    weir_partition.begin().set(key, bad, prefix)
                except StateError:
                    pass

    work()
    before = [sys.getrefcount(each) for each in counted]
    for _ in range(50):
        work()
    gc.collect()
    assert [sys.getrefcount(each) for each in counted] == before
