"""The Application: what it takes and refuses. No broker is needed: making one does no I/O."""

import subprocess
import sys
from importlib import metadata

import pytest
from quixstreams.state.rocksdb import RocksDBStore as QuixRocksDBStore

from weirstreams import WeirError
from weirstreams.quix import (
    Application,
    MemoryStore,
    RocksDBOptions,
    RocksDBStore,
    SlateDBOptions,
    SlateDBStore,
    StateStoreManager,
    TimestampedMemoryStore,
    WindowedMemoryStore,
    version,
)


def make(tmp_path, **arguments):
    return Application(
        broker_address="localhost:1",
        consumer_group="group",
        state_dir=tmp_path,
        loglevel=None,
        **arguments,
    )


def test_rocksdb_is_the_default(tmp_path, monkeypatch):
    monkeypatch.delenv("WEIR_STATE_BACKEND", raising=False)
    manager = make(tmp_path)._state_manager
    assert isinstance(manager, StateStoreManager)
    assert manager.default_store_type is RocksDBStore
    assert manager.using_changelogs


@pytest.mark.parametrize("backend, store_type", [("memory", MemoryStore), ("trace:memory", None)])
def test_state_backend_decides(tmp_path, backend, store_type):
    app = make(tmp_path, state_backend=backend)
    manager = app._state_manager
    assert app._processing_context.state_manager is manager
    manager.register_store("topic", "default")
    store = manager.get_store("topic", "default")
    assert store_type is None or isinstance(store, store_type)
    assert store.assign_partition(0).native.backend == backend
    manager.close()


def test_the_environment_decides_where_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIR_STATE_BACKEND", "memory")
    assert make(tmp_path)._state_manager.default_store_type is MemoryStore
    chosen = make(tmp_path, state_backend="rocksdb")._state_manager
    assert chosen.default_store_type is RocksDBStore


def test_without_changelog_topics_there_is_no_recovery(tmp_path):
    assert not make(tmp_path, use_changelog_topics=False)._state_manager.using_changelogs


@pytest.mark.parametrize(
    "arguments",
    [
        {"state_backend": "memory", "rocksdb_options": RocksDBOptions()},
        {"state_backend": "memory", "slatedb_options": SlateDBOptions()},
        {"state_backend": "rocksdb", "slatedb_options": SlateDBOptions()},
        {"slatedb_options": SlateDBOptions()},
        {"rocksdb_options": RocksDBOptions(), "state_options": {"wal": "off"}},
    ],
)
def test_options_of_another_backend_are_refused(tmp_path, monkeypatch, arguments):
    monkeypatch.delenv("WEIR_STATE_BACKEND", raising=False)
    with pytest.raises(ValueError, match="options"):
        make(tmp_path, **arguments)


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("rocksdb_options", SlateDBOptions()),
        ("rocksdb_options", {"use_fsync": True}),
        ("slatedb_options", RocksDBOptions()),
        ("state_options", RocksDBOptions()),
        ("state_options", "use_fsync=true"),
    ],
)
def test_options_of_another_class_are_refused(tmp_path, name, wrong):
    with pytest.raises(TypeError, match=f"{name} takes .*, not {type(wrong).__name__}"):
        StateStoreManager(state_dir=tmp_path, **{name: wrong})
    with pytest.raises(TypeError, match=name):
        backend = "slatedb" if name.startswith("slatedb") else "rocksdb"
        make(tmp_path, state_backend=backend, **{name: wrong})


def test_state_options_reach_the_backend(tmp_path):
    app = make(tmp_path, state_backend="memory", state_options={"max_bytes": 100})
    app._state_manager.register_store("topic", "default")
    partition = app._state_manager.get_store("topic", "default").assign_partition(0)
    transaction = partition.begin()
    transaction.set_bytes(b"k", b"x" * 1000, prefix=b"")
    with pytest.raises(Exception) as raised:
        transaction.flush()
    assert raised.value.status == "NO_SPACE"
    app._state_manager.close()


def test_rocksdb_options_reach_the_backend(tmp_path):
    options = RocksDBOptions(write_buffer_size=1, open_max_retries=0)
    app = make(tmp_path, rocksdb_options=options)
    app._state_manager.register_store("topic", "default")
    with pytest.raises(ValueError, match="write_buffer_size"):
        app._state_manager.get_store("topic", "default").assign_partition(0)


WITHOUT_PLUGIN = """
import os, sys
sys.modules["weirstreams_slatedb"] = None
os.environ.pop("WEIR_BACKEND_PATH", None)
from weirstreams.quix import Application
try:
    Application(broker_address="localhost:1", loglevel=None, state_backend="slatedb")
except ModuleNotFoundError as exc:
    print(exc)
"""


def test_a_missing_plugin_is_told_with_how_to_install_it(tmp_path):
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_PLUGIN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'pip install "weirstreams[slatedb]"' in found.stdout, found


def test_a_plugin_that_is_no_plugin_is_told(tmp_path):
    (tmp_path / "libweir_broken.so").write_bytes(b"no library")
    with pytest.raises(WeirError, match="libweir_broken.so"):
        make(tmp_path, state_backend=str(tmp_path / "libweir_broken.so"))


@pytest.mark.parametrize("found", ["3.25.0", "3.29.0", "4.0.0", "2.11.1"])
def test_another_version_of_quix_streams_is_refused(monkeypatch, found):
    monkeypatch.setattr(metadata, "version", lambda name: found)
    with pytest.raises(ImportError, match=f"{found}.*3.26, 3.27, 3.28"):
        version.check_version()


def test_a_missing_quix_streams_is_told(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ImportError, match="needs quixstreams"):
        version.check_version()


# --- The manager ---


@pytest.fixture()
def manager(tmp_path):
    with StateStoreManager(
        group_id="group", state_dir=tmp_path, default_store_type=MemoryStore
    ) as made:
        yield made


def test_stores_of_all_kinds_are_on_the_default_backend(manager):
    manager.register_store("topic", "plain")
    manager.register_windowed_store("topic", "windows")
    manager.register_timestamped_store("topic", "times", grace_ms=5, keep_duplicates=True)
    assert isinstance(manager.get_store("topic", "plain"), MemoryStore)
    assert isinstance(manager.get_store("topic", "windows"), WindowedMemoryStore)
    assert isinstance(manager.get_store("topic", "times"), TimestampedMemoryStore)
    assigned = manager.on_partition_assign("topic", 0, committed_offsets={})
    assert set(assigned) == {"plain", "windows", "times"}
    manager.on_partition_revoke("topic", 0)
    assert all(not store.partitions for store in manager.stores["topic"].values())


def test_a_store_may_be_on_another_backend(manager):
    manager.register_store("topic", "other", store_type=RocksDBStore)
    manager.register_store("topic", "own", store_type=QuixRocksDBStore)
    assigned = manager.on_partition_assign("topic", 0, committed_offsets={})
    assert assigned["other"].native.backend == "rocksdb"
    assert assigned["own"].native.backend == "rocksdb"


@pytest.mark.parametrize("store_type", [int, "rocksdb", object()])
def test_what_is_no_store_type_is_refused(manager, store_type):
    with pytest.raises(ValueError, match="invalid store type"):
        manager.register_store("topic", "other", store_type=store_type)


def test_a_backend_and_a_store_type_are_one_too_many(tmp_path):
    with pytest.raises(ValueError, match="not both"):
        StateStoreManager(
            state_dir=tmp_path, state_backend="memory", default_store_type=SlateDBStore
        )


def test_clearing_removes_the_group(tmp_path):
    from quixstreams.state.exceptions import PartitionStoreIsUsed

    with StateStoreManager(group_id="group", state_dir=tmp_path) as manager:
        manager.register_store("topic", "default")
        manager.on_partition_assign("topic", 0, committed_offsets={})
        with pytest.raises(PartitionStoreIsUsed):
            manager.clear_stores()
        manager.on_partition_revoke("topic", 0)
        assert (tmp_path / "group" / "default" / "topic" / "0").exists()
        manager.clear_stores()
        assert not (tmp_path / "group").exists()


def test_partition_state_is_destroyed_by_name(tmp_path):
    with StateStoreManager(group_id="group", state_dir=tmp_path) as manager:
        manager.register_store("topic", "default")
        manager.on_partition_assign("topic", 0, committed_offsets={})
        assert manager.destroy_partition_state("topic", 0) == ["default"]
        assert not (tmp_path / "group" / "default" / "topic" / "0").exists()
